//! A model client: says random things in good grammar, reads what comes, and tells the oracle about both.

use super::chance::{chance, pick, range};
use super::geography::{ACCOUNTS, Way, credentials};
use super::oracle::{
    Checked, Delivery, Fate, Manners, Oracle, PAYLOAD_MIN, Promise, TRACED, broken,
};
use super::server_lines::{Line, read};
use super::{Knobs, Mutant};
use std::collections::{HashMap, VecDeque};
use trunkline::base::rng::Rng;

#[derive(Debug)]
pub(crate) struct Client {
    index: usize,
    manners: Manners,
    pub(crate) fate: Fate,
    /// It does not read before this step of the run.
    pub(crate) blocked_until: u64,
    /// Bytes of the server that make no whole line yet.
    buffer: Vec<u8>,
    /// How many operations it has sent.
    operations: u64,
    /// For each `PING` on its way: which operation it was, and how many `+OK` must come before its `PONG`.
    pings: VecDeque<(u64, u64)>,
    oks_due: u64,
    oks: u64,
    /// Subscription identifiers, and the oracle's names for them.
    sids: HashMap<u32, usize>,
    sid: u32,
    /// Messages read, refusals not counted.
    pub(crate) received: u64,
    /// Held back by a mutant, to come after the next one.
    held: Option<Delivery>,
}

/// The account of all clients when there are no others: one between which and others nothing crosses.
const ALONE: usize = ACCOUNTS;

/// What messages have in common that differ in nothing but their payloads.
struct Shape {
    payload_len: usize,
    headers: Option<Vec<u8>>,
}

impl Client {
    /// A client and the first bytes it sends.
    pub(crate) fn new(
        index: usize,
        knobs: &Knobs,
        rng: &mut Rng,
        oracle: &mut Oracle,
    ) -> (Client, Vec<u8>) {
        let headers = chance(rng, 70);
        let mut manners = Manners {
            verbose: chance(rng, 30),
            echo: chance(rng, 70),
            headers,
            no_responders: headers && chance(rng, 50),
        };
        let account = if knobs.has_accounts {
            rng.below(u32::try_from(ACCOUNTS).expect("few")) as usize
        } else {
            ALONE
        };
        let introduces_itself = chance(rng, 90) || knobs.has_accounts;
        if !introduces_itself {
            // nats-server's manners for those who never say CONNECT.
            manners = Manners {
                verbose: true,
                echo: true,
                headers: false,
                no_responders: false,
            };
        }
        oracle.joined(manners, account);
        let mut client = Client {
            index,
            manners,
            fate: Fate::Here,
            blocked_until: 0,
            buffer: Vec::new(),
            operations: 0,
            pings: VecDeque::new(),
            oks_due: 0,
            oks: 0,
            sids: HashMap::new(),
            sid: 0,
            received: 0,
            held: None,
        };
        let mut says = Vec::new();
        if introduces_itself {
            let Manners {
                verbose,
                echo,
                headers,
                no_responders,
            } = manners;
            let protocol = range(rng, 0, 2);
            let credentials = if knobs.has_accounts {
                credentials(account)
            } else {
                String::new()
            };
            let json = format!(
                "CONNECT {{{credentials}\"verbose\":{verbose},\"pedantic\":false,\"echo\":{echo},\"headers\":{headers},\
                 \"no_responders\":{no_responders},\"protocol\":{protocol},\"name\":\"c{index}\"}}\r\n"
            );
            client.say(&mut says, json.as_bytes());
        }
        for _ in 0..range(rng, 0, 3) {
            client.subscribe(knobs, rng, oracle, &mut says);
        }
        (client, says)
    }

    /// Says something; may close.
    pub(crate) fn act(&mut self, knobs: &Knobs, rng: &mut Rng, oracle: &mut Oracle) -> Vec<u8> {
        let mut says = Vec::new();
        match range(rng, 0, 100) {
            0..18 => self.subscribe(knobs, rng, oracle, &mut says),
            18..30 if chance(rng, knobs.unsubscribes) => {
                self.unsubscribe(rng, oracle, &mut says);
            }
            30..45 => self.ping(&mut says),
            45..55 => self.request(knobs, rng, oracle, &mut says),
            55..70 => {
                // What differs in nothing but the payload is handled as one run.
                let subject = subject(rng);
                let shape = self.shape(knobs, rng);
                for _ in 0..range(rng, 2, 12) {
                    self.publish_shaped(&subject, "", &shape, oracle, &mut says);
                }
            }
            _ => {
                for _ in 0..range(rng, 1, 5) {
                    let subject = subject(rng);
                    self.publish(&subject, "", knobs, rng, oracle, &mut says);
                }
            }
        }
        says
    }

    pub(crate) fn ping(&mut self, says: &mut Vec<u8>) {
        let due = self.oks_due;
        self.say(says, b"PING\r\n");
        self.oks_due = due;
        self.pings.push_back((self.operations, due));
    }

    fn subscribe(&mut self, knobs: &Knobs, rng: &mut Rng, oracle: &mut Oracle, says: &mut Vec<u8>) {
        let queue = chance(rng, knobs.queues).then(|| *pick(rng, &["q1", "q2"]));
        self.subscribe_to(&pattern(knobs, rng), queue, oracle, says);
        if chance(rng, 50) {
            self.ping(says);
        }
    }

    fn subscribe_to(
        &mut self,
        pattern: &str,
        queue: Option<&'static str>,
        oracle: &mut Oracle,
        says: &mut Vec<u8>,
    ) {
        self.sid += 1;
        let words = match queue {
            Some(queue) => format!("SUB {pattern} {queue} {}\r\n", self.sid),
            None => format!("SUB {pattern} {}\r\n", self.sid),
        };
        self.say(says, words.as_bytes());
        let subscription = oracle.subscribed(self.index, pattern, queue, self.operations);
        self.sids.insert(self.sid, subscription);
    }

    fn unsubscribe(&mut self, rng: &mut Rng, oracle: &mut Oracle, says: &mut Vec<u8>) {
        if self.sid == 0 {
            return;
        }
        let sid = range(rng, 1, self.sid + 1);
        let subscription = self.sids[&sid];
        if oracle.is_open(subscription) {
            let max = chance(rng, 40).then(|| u64::from(range(rng, 1, 6)));
            self.end(sid, max, oracle, says);
        }
        if chance(rng, 50) {
            self.ping(says);
        }
    }

    fn end(&mut self, sid: u32, max: Option<u64>, oracle: &mut Oracle, says: &mut Vec<u8>) {
        let words = match max {
            Some(max) => format!("UNSUB {sid} {max}\r\n"),
            None => format!("UNSUB {sid}\r\n"),
        };
        self.say(says, words.as_bytes());
        oracle.unsubscribed(self.sids[&sid], max, self.operations);
    }

    /// A request as every client library makes it: inbox, limit and publish in one write.
    fn request(&mut self, knobs: &Knobs, rng: &mut Rng, oracle: &mut Oracle, says: &mut Vec<u8>) {
        let inbox = format!("inbox.{}.{}", self.index, self.sid);
        self.subscribe_to(&inbox, None, oracle, says);
        if chance(rng, 60) {
            self.end(self.sid, Some(1), oracle, says);
        }
        let subject = if knobs.has_accounts && chance(rng, 50) {
            // What each of the accounts asks another one.
            (*pick(rng, &["b.a", "c.c", "a.c"])).to_owned()
        } else {
            subject(rng)
        };
        self.publish(&subject, &inbox, knobs, rng, oracle, says);
    }

    fn publish(
        &mut self,
        subject: &str,
        reply: &str,
        knobs: &Knobs,
        rng: &mut Rng,
        oracle: &mut Oracle,
        says: &mut Vec<u8>,
    ) {
        let shape = self.shape(knobs, rng);
        self.publish_shaped(subject, reply, &shape, oracle, says);
    }

    fn shape(&self, knobs: &Knobs, rng: &mut Rng) -> Shape {
        let payload_len = if chance(rng, knobs.large_payloads) {
            range(rng, 3_900, 12_000)
        } else {
            range(rng, 8, 300)
        };
        let mut headers = None;
        if self.manners.headers && chance(rng, 40) {
            let trace = match knobs.traces {
                true if chance(rng, 50) => TRACED,
                _ => "",
            };
            let block = format!("NATS/1.0\r\nK: {}\r\n{trace}\r\n", range(rng, 0, 1_000));
            headers = Some(block.into_bytes());
        }
        Shape {
            payload_len: payload_len as usize,
            headers,
        }
    }

    fn publish_shaped(
        &mut self,
        subject: &str,
        reply: &str,
        shape: &Shape,
        oracle: &mut Oracle,
        says: &mut Vec<u8>,
    ) {
        let headers = shape.headers.clone();
        // The numbers of operations are handed out by `say`; this one is not said yet.
        let operation = self.operations + 1;
        let payload = oracle.published(
            self.index,
            subject,
            reply,
            headers.clone(),
            shape.payload_len.max(PAYLOAD_MIN),
            operation,
        );
        let gap = if reply.is_empty() { "" } else { " " };
        let total = payload.len() + headers.as_ref().map_or(0, Vec::len);
        let mut whole = match &headers {
            Some(block) => format!("HPUB {subject} {reply}{gap}{} {total}\r\n", block.len()),
            None => format!("PUB {subject} {reply}{gap}{total}\r\n"),
        }
        .into_bytes();
        whole.extend(headers.unwrap_or_default());
        whole.extend(payload);
        whole.extend(b"\r\n");
        self.say(says, &whole);
    }

    fn say(&mut self, says: &mut Vec<u8>, bytes: &[u8]) {
        self.operations += 1;
        self.oks_due += u64::from(self.manners.verbose);
        says.extend_from_slice(bytes);
    }

    /// Reads what has come; gives what it has to say to it.
    pub(crate) fn hear(
        &mut self,
        bytes: &[u8],
        knobs: &Knobs,
        rng: &mut Rng,
        oracle: &mut Oracle,
        mutant: &mut Mutant,
    ) -> Result<Vec<u8>, super::oracle::Violation> {
        self.buffer.extend_from_slice(bytes);
        let buffer = std::mem::take(&mut self.buffer);
        let mut says = Vec::new();
        let mut taken = 0;
        loop {
            let (line, len) = match read(&buffer[taken..]) {
                Ok(Some(found)) => found,
                Ok(None) => break,
                Err(text) => {
                    let text = format!("client {} read {text}", self.index);
                    broken(Promise::Protocol, text)?;
                    break;
                }
            };
            taken += len;
            match line {
                Line::Info(_) => {}
                Line::Ok => self.oks += 1,
                Line::Err(text) => {
                    let text = String::from_utf8_lossy(text);
                    let text = format!("client {} was told {text}", self.index);
                    broken(Promise::Protocol, text)?;
                }
                Line::Ping => says.extend_from_slice(b"PONG\r\n"),
                Line::Pong => self.on_pong(oracle)?,
                Line::Message(message) => {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    let delivery = Delivery {
                        subject: text(message.subject),
                        sid: text(message.sid).parse().unwrap_or(0),
                        reply: text(message.reply),
                        headers: message.headers.map(<[u8]>::to_vec),
                        payload: message.payload.to_vec(),
                    };
                    self.on_message(delivery, knobs, rng, oracle, mutant, &mut says)?;
                }
            }
        }
        self.buffer = buffer[taken..].to_vec();
        Ok(says)
    }

    fn on_pong(&mut self, oracle: &mut Oracle) -> Checked {
        let Some((operation, oks)) = self.pings.pop_front() else {
            let text = format!("client {} got a PONG without a PING", self.index);
            return broken(Promise::Protocol, text);
        };
        if oks != self.oks {
            let text = format!("client {} got {} +OK, not {oks}", self.index, self.oks);
            return broken(Promise::Protocol, text);
        }
        oracle.flushed(self.index, operation);
        Ok(())
    }

    fn on_message(
        &mut self,
        delivery: Delivery,
        knobs: &Knobs,
        rng: &mut Rng,
        oracle: &mut Oracle,
        mutant: &mut Mutant,
        says: &mut Vec<u8>,
    ) -> Checked {
        let is_refusal = |headers: &Vec<u8>| headers.starts_with(b"NATS/1.0 503");
        if delivery.payload.is_empty() && delivery.headers.as_ref().is_some_and(is_refusal) {
            return oracle.refused(self.index, &delivery.subject);
        }
        self.received += 1;
        let Some(&subscription) = self.sids.get(&delivery.sid) else {
            let text = format!("client {} has no sid {}", self.index, delivery.sid);
            return broken(Promise::Protocol, text);
        };
        let is_request = ["inbox", "_R_."]
            .iter()
            .any(|start| delivery.reply.starts_with(start));
        if chance(rng, 80) && is_request {
            oracle.learn_reply(subscription, &delivery);
            self.publish(&delivery.reply, "", knobs, rng, oracle, says);
        }
        let is_group = oracle.is_group(subscription);
        let mut delivery = delivery;
        match mutant {
            Mutant::LoseMessage if chance(rng, 5) => return Ok(()),
            Mutant::DoubleMessage if chance(rng, 5) && !is_group => {
                oracle.delivered(subscription, &delivery)?;
            }
            Mutant::SpoilByte if chance(rng, 5) => {
                let last = delivery.payload.len() - 1;
                delivery.payload[last] ^= 1;
            }
            Mutant::CopyToOtherMember if is_group => {
                if let Some(other) = oracle.another_member(subscription, &delivery) {
                    oracle.delivered(other, &delivery)?;
                }
            }
            Mutant::LeakToStranger if chance(rng, 20) => {
                if let Some(stranger) = oracle.stranger(subscription, &delivery) {
                    oracle.delivered(stranger, &delivery)?;
                }
            }
            Mutant::LoseFromStream
                if chance(rng, 20) && oracle.way(subscription, &delivery) == Some(&Way::Stream) =>
            {
                return Ok(());
            }
            Mutant::LoseRequest
                if chance(rng, 20)
                    && !is_group
                    && matches!(
                        oracle.way(subscription, &delivery),
                        Some(Way::Service { .. })
                    ) =>
            {
                return Ok(());
            }
            Mutant::LoseResponse
                if matches!(
                    oracle.way(subscription, &delivery),
                    Some(Way::Response { .. })
                ) =>
            {
                return Ok(());
            }
            Mutant::LoseForGroup if chance(rng, 20) && is_group => return Ok(()),
            Mutant::Swap | Mutant::SwapForGroup
                if self.held.is_none()
                    && chance(rng, 10)
                    && is_group == (*mutant == Mutant::SwapForGroup) =>
            {
                self.held = Some(delivery);
                return Ok(());
            }
            _ => {}
        }
        oracle.delivered(subscription, &delivery)?;
        match self.held.take_if(|held| held.sid == delivery.sid) {
            Some(held) => oracle.delivered(subscription, &held),
            None => Ok(()),
        }
    }
}

/// A pattern over few words, so that they meet often.
fn pattern(knobs: &Knobs, rng: &mut Rng) -> String {
    let mut words: Vec<&str> = (0..range(rng, 1, 4))
        .map(|_| *pick(rng, &["a", "b", "a", "b", "c", "*"]))
        .collect();
    if chance(rng, 15) {
        *words.last_mut().expect("at least one") = ">";
        if knobs.traces && words[0] != "a" {
            // Without wildcards in front it takes no events.
            words.insert(0, "a");
        }
    }
    words.join(".")
}

fn subject(rng: &mut Rng) -> String {
    let words: Vec<&str> = (0..range(rng, 1, 4))
        .map(|_| *pick(rng, &["a", "b", "a", "b", "c"]))
        .collect();
    words.join(".")
}
