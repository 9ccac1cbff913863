//! What the broker has promised (DESIGN §2), and whether it has kept it. Knows nothing of shards, lanes or batches.
//!
//! It hears of every operation when its first byte is sent and of every delivery when its last byte is read. A run is
//! cut into rounds: at the end of one everything has come to rest, and each message must be where it belongs.
//!
//! A message may belong in several accounts, under several names (`geography`); an answer to a request that came from
//! another account belongs in that one, once.
//!
//! A subscription is *settled* for all later publishes once anybody has read something that the server can only have
//! said after it: the `PONG` of a later `PING`, or a message that its client has published afterwards.

use super::geography::{self, Place, Way};
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// What was broken, and how it showed.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) promise: Promise,
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    SubscribeThenFlush,
    OneCopyPerGroup,
    Order,
    NothingLostSilently,
    Integrity,
    BoundedMemory,
    NothingLeaks,
    ComesToRest,
    Protocol,
    OneResponse,
}

pub(crate) type Checked = Result<(), Violation>;

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.promise, self.text)
    }
}

pub(crate) fn broken(promise: Promise, text: String) -> Checked {
    Err(Violation { promise, text })
}

/// Something the client has read as one message.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) subject: String,
    pub(crate) sid: u32,
    pub(crate) reply: String,
    pub(crate) headers: Option<Vec<u8>>,
    pub(crate) payload: Vec<u8>,
}

/// What a client says of itself, as far as it changes what it gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    pub(crate) verbose: bool,
    pub(crate) echo: bool,
    pub(crate) headers: bool,
    pub(crate) no_responders: bool,
}

/// How a peer has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Here,
    /// It has said all it wanted and closed: what it sent counts.
    Left,
    /// It was cut off: what was on the way, either way, may be lost.
    CutOff,
}

/// What the shards' counters say, summed, and what the driver saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    pub(crate) dropped_no_interest: u64,
    pub(crate) dropped_interest_gone: u64,
    pub(crate) dropped_group_gone: u64,
    pub(crate) handed_on: u64,
    /// Connections that the server has closed for being slow or stale.
    pub(crate) closed_by_server: u64,
    /// Messages put into outboxes, by connection.
    pub(crate) into_outboxes: u64,
    /// Messages put into outboxes of connections that ended before their clients read them.
    pub(crate) lost_with_connections: u64,
}

#[derive(Debug)]
struct Subscription {
    client: usize,
    account: usize,
    pattern: String,
    queue: Option<&'static str>,
    made_by: u64,
    round: u32,
    /// Which operation has ended or limited it.
    ended_by: Option<u64>,
    delivered_max: Option<u64>,
    /// How many deliveries it may have had in all, once the server has confirmed its end.
    bound: Option<u64>,
    /// Without those that a stream import has brought: they do not count for `UNSUB`.
    received: u64,
    last_from: HashMap<usize, u64>,
    /// For a member of a group: the numbers of what it got in this round, by publisher.
    heard: BTreeMap<usize, Vec<u64>>,
}

#[derive(Debug)]
struct Published {
    client: usize,
    operation: u64,
    sequence: u64,
    places: Vec<Place>,
    reply: String,
    headers: Option<Vec<u8>>,
    payload_len: usize,
    /// Subscriptions that were settled when it was sent.
    settled: Vec<usize>,
    /// Those that would get it as a response, if it is the first.
    settled_for_response: Vec<usize>,
    /// Subscriptions whose end was known by everybody when it was sent.
    impossible: Vec<usize>,
    received: BTreeMap<usize, u32>,
    refused: u32,
}

#[derive(Debug)]
struct Peer {
    manners: Manners,
    account: usize,
    fate: Fate,
    gone_in: u32,
    /// The last operation known to have been handled.
    settled: u64,
    sequence: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Oracle {
    round: u32,
    subscriptions: Vec<Subscription>,
    peers: Vec<Peer>,
    /// Messages of this round; the first has the number `first`.
    messages: Vec<Published>,
    first: u64,
    before: Totals,
    pub(crate) delivered: u64,
    /// What is known of the server's own reply subjects.
    replies: HashMap<String, Route>,
    /// How many have crossed, by the way they took.
    pub(crate) crossed: Crossed,
}

/// Where a response to a request from another account goes.
#[derive(Clone, Debug)]
struct Route {
    request: u64,
    /// The accounts it goes through.
    via: Vec<usize>,
    home: usize,
    reply: String,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Crossed {
    pub(crate) streams: u64,
    pub(crate) requests: u64,
    pub(crate) responses: u64,
}

impl Published {
    /// How it comes to an account.
    fn place(&self, account: usize) -> Option<&Place> {
        self.places.iter().find(|place| place.account == account)
    }

    /// How a subscription could get it.
    fn place_for(&self, subscription: &Subscription) -> Option<&Place> {
        let place = self.place(subscription.account)?;
        matches(&subscription.pattern, &place.name).then_some(place)
    }

    /// The group that a member is in, as far as this message goes: those who hear it as it is published, here and through
    /// streams, are one group; those in another account that it crosses to are another.
    fn group<'a>(&self, member: &'a Subscription) -> Option<(&'a str, usize)> {
        let queue = member.queue?;
        let place = self.place(member.account)?;
        let is_published = matches!(place.way, Way::Published | Way::Stream);
        Some((queue, if is_published { 0 } else { 1 + place.account }))
    }

    fn subject(&self) -> &str {
        &self.places[0].name
    }

    /// Whether it is a response to that request.
    fn answers(&self, number: u64) -> bool {
        let mut places = self.places.iter();
        places.any(|place| place.way == Way::Response { request: number })
    }
}

impl Oracle {
    pub(crate) fn joined(&mut self, manners: Manners, account: usize) {
        self.peers.push(Peer {
            manners,
            account,
            fate: Fate::Here,
            gone_in: 0,
            settled: 0,
            sequence: 0,
        });
    }

    pub(crate) fn gone(&mut self, client: usize, fate: Fate) {
        let peer = &mut self.peers[client];
        (peer.fate, peer.gone_in) = (fate, self.round);
    }

    pub(crate) fn subscribed(
        &mut self,
        client: usize,
        pattern: &str,
        queue: Option<&'static str>,
        operation: u64,
    ) -> usize {
        self.subscriptions.push(Subscription {
            client,
            account: self.peers[client].account,
            pattern: pattern.to_owned(),
            queue,
            made_by: operation,
            round: self.round,
            ended_by: None,
            delivered_max: None,
            bound: None,
            received: 0,
            last_from: HashMap::new(),
            heard: BTreeMap::new(),
        });
        self.subscriptions.len() - 1
    }

    pub(crate) fn unsubscribed(&mut self, subscription: usize, max: Option<u64>, operation: u64) {
        let subscription = &mut self.subscriptions[subscription];
        subscription.ended_by = Some(operation);
        subscription.delivered_max = max;
    }

    /// Whether the client may still end it: once is enough for the model.
    pub(crate) fn is_open(&self, subscription: usize) -> bool {
        self.subscriptions[subscription].ended_by.is_none()
    }

    pub(crate) fn is_group(&self, subscription: usize) -> bool {
        self.subscriptions[subscription].queue.is_some()
    }

    /// Another subscription of the same group that could have got this; for mutants.
    pub(crate) fn another_member(&self, of: usize, delivery: &Delivery) -> Option<usize> {
        let (_, at) = self.find(&delivery.payload)?;
        let message = &self.messages[at];
        let group = message.group(&self.subscriptions[of])?;
        (0..self.subscriptions.len()).find(|index| {
            let other = &self.subscriptions[*index];
            *index != of
                && other.account == self.subscriptions[of].account
                && message.group(other) == Some(group)
                && other.ended_by.is_none()
                && self.peers[other.client].manners.echo
                && self.peers[other.client].manners.headers
                && self.peers[self.subscriptions[of].client].manners.headers
                && message.place_for(other).is_some()
        })
    }

    /// A subscription of another account that would like the subject; for mutants.
    pub(crate) fn stranger(&self, of: usize, delivery: &Delivery) -> Option<usize> {
        (0..self.subscriptions.len()).find(|index| {
            let other = &self.subscriptions[*index];
            other.account != self.subscriptions[of].account
                && matches(&other.pattern, &delivery.subject)
        })
    }

    /// How a delivery has come to its subscription's account; for mutants.
    pub(crate) fn way(&self, of: usize, delivery: &Delivery) -> Option<&Way> {
        let (_, at) = self.find(&delivery.payload)?;
        let place = self.messages[at].place(self.subscriptions[of].account)?;
        Some(&place.way)
    }

    /// Everywhere a message belongs.
    fn places(&self, account: usize, subject: &str) -> Vec<Place> {
        let mut places = geography::places(account, subject);
        if let Some(route) = self.replies.get(subject) {
            places.extend(route.via.iter().map(|account| Place {
                account: *account,
                name: "_R_.?.?".to_owned(),
                way: Way::Passing,
            }));
            places.push(Place {
                account: route.home,
                name: route.reply.clone(),
                way: Way::Response {
                    request: route.request,
                },
            });
        }
        places
    }

    /// Notes a publish that is about to be sent; gives the payload that goes with it.
    pub(crate) fn published(
        &mut self,
        client: usize,
        subject: &str,
        reply: &str,
        headers: Option<Vec<u8>>,
        payload_len: usize,
        operation: u64,
    ) -> Vec<u8> {
        let number = self.first + self.messages.len() as u64;
        let mut message = Published {
            client,
            operation,
            sequence: 0,
            places: self.places(self.peers[client].account, subject),
            reply: reply.to_owned(),
            headers,
            payload_len,
            settled: Vec::new(),
            settled_for_response: Vec::new(),
            impossible: Vec::new(),
            received: BTreeMap::new(),
            refused: 0,
        };
        for (index, subscription) in self.subscriptions.iter().enumerate() {
            let Some(place) = message.place_for(subscription) else {
                continue;
            };
            if self.is_deaf(subscription, client) {
                continue;
            }
            let settled = match place.way {
                Way::Published | Way::Stream | Way::Service { .. } => &mut message.settled,
                Way::Response { .. } => &mut message.settled_for_response,
                Way::Passing => continue,
            };
            let peer = &self.peers[subscription.client];
            // A server that has not noticed yet that a client is gone may count on it until the end of the round.
            let is_over = peer.fate != Fate::Here && peer.gone_in < self.round;
            if subscription.bound == Some(subscription.received) || is_over {
                message.impossible.push(index);
            } else if peer.fate == Fate::Here && subscription.made_by < peer.settled {
                settled.push(index);
            }
        }
        let peer = &mut self.peers[client];
        peer.sequence += 1;
        message.sequence = peer.sequence;
        self.messages.push(message);
        payload(number, payload_len)
    }

    /// A client has read the `PONG` to a `PING`.
    pub(crate) fn flushed(&mut self, client: usize, operation: u64) {
        self.settle_until(client, operation);
        let ended = self.subscriptions.iter_mut().filter(|subscription| {
            subscription.client == client
                && subscription.bound.is_none()
                && subscription.ended_by.is_some_and(|by| by < operation)
        });
        for subscription in ended {
            let max = subscription.delivered_max.unwrap_or(0);
            subscription.bound = Some(max.max(subscription.received));
        }
    }

    fn settle_until(&mut self, client: usize, operation: u64) {
        let settled = &mut self.peers[client].settled;
        *settled = operation.max(*settled);
    }

    /// A client is about to answer a request: if that has crossed, its reply is the server's own.
    pub(crate) fn learn_reply(&mut self, index: usize, delivery: &Delivery) {
        let Some((number, at)) = self.find(&delivery.payload) else {
            return;
        };
        let message = &self.messages[at];
        let place = message.place(self.subscriptions[index].account);
        if let Some(Way::Service { via }) = place.map(|place| &place.way) {
            let route = Route {
                request: number,
                via: via.clone(),
                home: self.peers[message.client].account,
                reply: message.reply.clone(),
            };
            self.replies.insert(delivery.reply.clone(), route);
        }
    }

    /// A client has read a message for one of its subscriptions.
    pub(crate) fn delivered(&mut self, index: usize, delivery: &Delivery) -> Checked {
        self.delivered += 1;
        let Some((number, at)) = self.find(&delivery.payload) else {
            let text = format!("nobody has sent this in this round: {delivery:?}");
            return broken(Promise::Integrity, text);
        };
        let message = &mut self.messages[at];
        let subscription = &mut self.subscriptions[index];
        let reader = &self.peers[subscription.client];
        let what = format!(
            "message {number} ({} #{} by client {}) at subscription {index} ({} {:?} of client {})",
            message.subject(),
            message.sequence,
            message.client,
            subscription.pattern,
            subscription.queue,
            subscription.client
        );
        let Some(place) = message.place_for(subscription).cloned() else {
            return broken(
                Promise::Integrity,
                format!("{what} was not wanted: {delivery:?}"),
            );
        };
        let is_same = delivery.payload == payload(number, message.payload_len)
            && has_subject(&place, &delivery.subject)
            && has_reply(&place, &message.reply, &delivery.reply)
            && has_headers(
                &place,
                self.peers[message.client].account,
                message.headers.as_deref(),
                delivery.headers.as_deref(),
                reader.manners.headers,
            );
        if !is_same {
            return broken(
                Promise::Integrity,
                format!("{what} came out as {delivery:?}"),
            );
        }
        let request = match &place.way {
            Way::Service { .. } => {
                self.crossed.requests += 1;
                None
            }
            Way::Response { request } => {
                self.crossed.responses += 1;
                Some(*request)
            }
            Way::Stream => {
                self.crossed.streams += 1;
                None
            }
            Way::Published | Way::Passing => None,
        };
        if subscription.client == message.client && !reader.manners.echo {
            return broken(Promise::Protocol, format!("{what} is an unwanted echo"));
        }
        let is_counted = place.way != Way::Stream;
        subscription.received += u64::from(is_counted);
        let is_beyond = |bound| subscription.received > bound;
        let is_over = !is_counted && subscription.delivered_max.is_none();
        if subscription
            .bound
            .is_some_and(|bound| is_beyond(bound) || is_over)
        {
            return broken(Promise::Protocol, format!("{what} came after its end"));
        }
        let times = message.received.entry(index).or_default();
        *times += 1;
        if *times > 1 {
            return broken(Promise::NothingLostSilently, format!("{what} came twice"));
        }
        if let Some(request) = request {
            // Nobody else's response to this request has come here.
            let at = usize::try_from(number - self.first).expect("it was found");
            let first = self.messages.iter().enumerate().find(|(other, message)| {
                *other != at && message.received.contains_key(&index) && message.answers(request)
            });
            if first.is_some() {
                return broken(Promise::OneResponse, format!("{what} is a second response"));
            }
        }
        let clients: Vec<usize> = self.messages.iter().map(|message| message.client).collect();
        let message = &mut self.messages[at];
        let subscription = &mut self.subscriptions[index];
        let last = subscription.last_from.entry(message.client).or_default();
        // A response goes to the requester's shard, and only from there to others of its account.
        let asked_by = request.and_then(|request| request.checked_sub(self.first));
        let asked_by = asked_by.map(|at| clients[usize::try_from(at).expect("of this round")]);
        let may_be_late = place.way == Way::Passing
            || asked_by.is_some_and(|client| client != subscription.client);
        if may_be_late {
            // Nothing to compare.
        } else if subscription.queue.is_some() {
            // Handed on from shard to shard it may overtake and be overtaken; the end of the round sees to that.
            let heard = subscription.heard.entry(message.client).or_default();
            heard.push(message.sequence);
        } else if message.sequence < *last {
            return broken(Promise::Order, format!("{what} came after #{last}"));
        }
        if !may_be_late {
            *last = message.sequence.max(*last);
        }
        let (client, operation) = (message.client, message.operation);
        let message = &self.messages[at];
        if let Some(group) = message.group(&self.subscriptions[index]) {
            let subscriptions = &self.subscriptions;
            let in_group = |index: &&usize| message.group(&subscriptions[**index]) == Some(group);
            if message.received.keys().filter(in_group).count() > 1 {
                let text = format!("{what} is another copy for the group");
                return broken(Promise::OneCopyPerGroup, text);
            }
        }
        self.settle_until(client, operation);
        Ok(())
    }

    /// A client was told that nobody serves its request.
    pub(crate) fn refused(&mut self, client: usize, reply: &str) -> Checked {
        let requests = self.messages.iter_mut();
        let mut requests = requests.filter(|m| m.client == client && m.reply == reply);
        let Some(request) = requests.next() else {
            let text = format!("client {client} never asked with reply {reply}");
            return broken(Promise::Protocol, text);
        };
        request.refused += 1;
        Ok(())
    }

    /// Everything has come to rest: judges the messages of the round and begins the next.
    pub(crate) fn end_round(&mut self, totals: Totals) -> Checked {
        let before = std::mem::replace(&mut self.before, totals);
        let mut missed_groups = 0;
        let mut nowhere = 0;
        for (index, message) in self.messages.iter().enumerate() {
            let number = self.first + index as u64;
            nowhere += u64::from(message.received.is_empty());
            if self.peers[message.client].fate == Fate::CutOff {
                continue;
            }
            missed_groups += self.judge(number, message)?;
            self.judge_responses(number, message)?;
            self.judge_refusal(number, message)?;
        }
        let group_gone = totals.dropped_group_gone - before.dropped_group_gone;
        let handed_on = totals.handed_on - before.handed_on;
        let lost = totals.lost_with_connections - before.lost_with_connections;
        // With a member that stayed, the only excuse is a chain of hand-overs to members that had all just left.
        let excused = lost + group_gone.min(handed_on / u64::from(HOPS_MAX));
        if missed_groups > excused {
            let text = format!(
                "{missed_groups} messages reached no member of a group in which one stayed; excused are {excused} \
                 ({group_gone} dropped, {handed_on} handed on, {lost} lost with connections)"
            );
            return broken(Promise::OneCopyPerGroup, text);
        }
        // Only what was handed on may be out of its place.
        let heard = self
            .subscriptions
            .iter_mut()
            .map(|s| std::mem::take(&mut s.heard));
        let misplaced: usize = heard
            .flat_map(BTreeMap::into_values)
            .map(|h| misplaced(&h))
            .sum();
        if misplaced as u64 > handed_on {
            let text =
                format!("{misplaced} messages to groups out of order, {handed_on} handed on");
            return broken(Promise::Order, text);
        }
        self.judge_counters(&before, &totals, nowhere)?;
        self.first += self.messages.len() as u64;
        self.messages.clear();
        self.round += 1;
        Ok(())
    }

    /// Whether a message reached the subscriptions it had to; gives how many groups it missed.
    fn judge(&self, number: u64, message: &Published) -> Result<u64, Violation> {
        let stays = |index: &&usize| self.stays(**index);
        let mut groups: Vec<(&str, usize)> = Vec::new();
        for index in message.settled.iter().filter(stays) {
            let subscription = &self.subscriptions[*index];
            if let Some(group) = message.group(subscription) {
                if !groups.contains(&group) {
                    groups.push(group);
                }
            } else if !message.received.contains_key(index) {
                let is_new = subscription.round == self.round;
                let promise = if is_new {
                    Promise::SubscribeThenFlush
                } else {
                    Promise::NothingLostSilently
                };
                let text = format!(
                    "message {number} ({} #{} by client {}, {:?}) never reached subscription {index} ({} of client {})",
                    message.subject(),
                    message.sequence,
                    message.client,
                    self.peers[message.client].fate,
                    subscription.pattern,
                    subscription.client
                );
                broken(promise, text)?;
            }
        }
        let missed = |group: &&(&str, usize)| {
            let mut receivers = message.received.keys();
            !receivers.any(|index| message.group(&self.subscriptions[*index]) == Some(**group))
        };
        Ok(groups.iter().filter(missed).count() as u64)
    }

    /// Whether a request that was answered in another account has got one of the answers.
    fn judge_responses(&self, number: u64, request: &Published) -> Checked {
        let answers = |message: &&Published| {
            message.answers(number) && self.peers[message.client].fate != Fate::CutOff
        };
        let responses: Vec<&Published> = self.messages.iter().filter(answers).collect();
        let mut waiting = responses
            .iter()
            .flat_map(|message| &message.settled_for_response);
        let missed = waiting.find(|index| {
            let subscription = &self.subscriptions[**index];
            let everywhere = responses
                .iter()
                .all(|message| message.settled_for_response.contains(index));
            everywhere
                && subscription.queue.is_none()
                && subscription.client == request.client
                // Interest that was lost once the request was made ends the wait for its response.
                && subscription.made_by < request.operation
                && self.stays(**index)
                && !self
                    .messages
                    .iter()
                    .any(|message| message.answers(number) && message.received.contains_key(index))
        });
        match missed {
            None => Ok(()),
            Some(index) => {
                let text = format!(
                    "request {number} of client {} was answered {} times, and subscription {index} got nothing",
                    request.client,
                    responses.len()
                );
                broken(Promise::OneResponse, text)
            }
        }
    }

    /// Whether a requester was told that nobody is there exactly when nobody was.
    fn judge_refusal(&self, number: u64, message: &Published) -> Checked {
        let peer = &self.peers[message.client];
        let somebody = message.settled.iter().any(|index| self.stays(*index));
        if message.refused > 0 && (somebody || message.refused > 1) {
            let text = format!("request {number} was refused {} times", message.refused);
            return broken(Promise::Protocol, text);
        }
        let possible = |(index, subscription): (usize, &Subscription)| {
            message.place_for(subscription).is_some()
                && !self.is_deaf(subscription, message.client)
                && !message.impossible.contains(&index)
        };
        let nobody = !self.subscriptions.iter().enumerate().any(possible);
        let hears = |(index, subscription): (usize, &Subscription)| {
            subscription.client == message.client
                && subscription.queue.is_none()
                && subscription.made_by < message.operation
                && matches(&subscription.pattern, &message.reply)
                && self.stays(index)
        };
        let can_hear = peer.fate == Fate::Here
            && peer.manners.no_responders
            && !message.reply.is_empty()
            && self.subscriptions.iter().enumerate().any(hears);
        if nobody && can_hear && message.refused == 0 {
            let text = format!("request {number} reached nobody, and nobody said so");
            return broken(Promise::Protocol, text);
        }
        Ok(())
    }

    fn judge_counters(&self, before: &Totals, totals: &Totals, nowhere: u64) -> Checked {
        let wrong = |text: String| broken(Promise::NothingLostSilently, text);
        let sent = self.messages.len() as u64;
        let cut_off = |message: &&Published| self.peers[message.client].fate == Fate::CutOff;
        let uncertain = self.messages.iter().filter(cut_off).count() as u64;
        let published = totals.published - before.published;
        if published > sent || published + uncertain < sent {
            return wrong(format!("{sent} messages were sent, {published} counted"));
        }
        if totals.delivered != totals.into_outboxes {
            return wrong(format!(
                "{} deliveries counted, {} in outboxes",
                totals.delivered, totals.into_outboxes
            ));
        }
        if self.delivered + totals.lost_with_connections != totals.delivered {
            return wrong(format!(
                "{} delivered, {} read and {} lost with connections",
                totals.delivered, self.delivered, totals.lost_with_connections
            ));
        }
        let dropped = |totals: &Totals| {
            totals.dropped_no_interest + totals.dropped_interest_gone + totals.dropped_group_gone
        };
        let named = dropped(totals) - dropped(before);
        let lost = totals.lost_with_connections - before.lost_with_connections;
        if nowhere > named + lost + uncertain {
            return wrong(format!(
                "{nowhere} messages went nowhere, {named} have a reason, {lost} were lost with connections"
            ));
        }
        Ok(())
    }

    /// Whether a subscription was in force from when it was settled until now.
    fn stays(&self, index: usize) -> bool {
        let subscription = &self.subscriptions[index];
        let is_limited_only = subscription
            .delivered_max
            .is_some_and(|max| subscription.received < max);
        self.peers[subscription.client].fate == Fate::Here
            && (subscription.ended_by.is_none() || is_limited_only)
    }

    fn is_deaf(&self, subscription: &Subscription, publisher: usize) -> bool {
        subscription.client == publisher && !self.peers[publisher].manners.echo
    }

    /// Which message of this round a payload belongs to: its number and its place.
    fn find(&self, bytes: &[u8]) -> Option<(u64, usize)> {
        let number = u64::from_le_bytes(*bytes.first_chunk()?);
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        (place < self.messages.len()).then_some((number, place))
    }
}

/// The router's `QUEUE_HOPS_MAX`, on purpose from there: the promise is about this number.
const HOPS_MAX: u8 = trunkline::base::limits::QUEUE_HOPS_MAX;

/// The smallest payload: its message's number.
pub(crate) const PAYLOAD_MIN: usize = 8;

/// A payload that says which message it is and shows every changed byte.
fn payload(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    let mut dice = trunkline::base::rng::Rng::from_seed(number);
    while bytes.len() < len {
        bytes.extend_from_slice(&dice.next_u64().to_le_bytes());
    }
    bytes.truncate(len.max(PAYLOAD_MIN));
    bytes
}

/// How many have to go for the others to ascend: all but the longest ascending selection.
fn misplaced(numbers: &[u64]) -> usize {
    let mut ends: Vec<u64> = Vec::new();
    for number in numbers {
        match ends.partition_point(|end| end < number) {
            place if place == ends.len() => ends.push(*number),
            place => ends[place] = *number,
        }
    }
    numbers.len() - ends.len()
}

fn has_subject(place: &Place, found: &str) -> bool {
    match place.way {
        Way::Passing => found.starts_with("_R_."),
        _ => found == place.name,
    }
}

/// A request that crosses has a reply of the server's own.
fn has_reply(place: &Place, reply: &str, found: &str) -> bool {
    match place.way {
        Way::Service { .. } if !reply.is_empty() => found.starts_with("_R_."),
        _ => found == reply,
    }
}

/// A request that crosses says who asks, and what was traced crosses as something that is not traced any further.
fn has_headers(
    place: &Place,
    from: usize,
    headers: Option<&[u8]>,
    found: Option<&[u8]>,
    understands: bool,
) -> bool {
    let crosses = matches!(place.way, Way::Service { .. } | Way::Response { .. });
    if !understands || !crosses {
        return found == headers.filter(|_| understands);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let sent = headers.map_or_else(|| "NATS/1.0\r\n\r\n".to_owned(), text);
    let mut start = sent.replace(TRACED, "");
    let was_traced = start != sent;
    start.truncate(start.len() - "\r\n".len());
    let Some(found) = found.map(text) else {
        return headers.is_none() && matches!(place.way, Way::Response { .. });
    };
    // It stands behind who asked when it crossed, and before who asks for it further on.
    let others = found.replace("Nats-Trace-Dest: trace disabled\r\n", "");
    if was_traced != (others != found) {
        return false;
    }
    if matches!(place.way, Way::Response { .. }) {
        return others == start + "\r\n";
    }
    start += &format!(
        "Nats-Request-Info: {{\"acc\":\"{}\"",
        geography::name_of(from)
    );
    others.starts_with(&start) && others.ends_with("}\r\n\r\n")
}

/// What asks for a trace; nobody listens to what is told.
pub(crate) const TRACED: &str = "Nats-Trace-Dest: told.in.five.long.words\r\n";

/// The naive matcher.
fn matches(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in pattern.split('.') {
        match (wanted, tokens.next()) {
            (_, None) => return false,
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (wanted, Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}
