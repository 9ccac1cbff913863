//! Traces over lanes, between routers without shards around them.

use super::*;
use crate::account::Accounts;
use crate::base::ids::ConnectionId;
use crate::base::limits::QUEUE_HOPS_MAX;
use crate::config::Options;
use crate::config::account::predefined;
use crate::interest::{SubscriptionId, Wish};
use crate::mesh::{self, Item, Parcel, Sender};
use crate::protocol::client_info::ClientInfo;
use crate::protocol::message::write_tail;
use crate::router::OutboxLimits;
use crate::subject::Pattern;
use serde_json::Value;
use std::sync::Arc;

/// The connection that everything is published by and every event goes to, on shard 0.
const SELF: u32 = 0;
/// A connection of each shard that subscribes.
const OTHER: u32 = 1;

struct Routers {
    all: Vec<Router>,
    info: ServerInfo,
}

impl Routers {
    fn new(shards: u8) -> Routers {
        let accounts = Accounts::compile(&predefined(), AccountId::SYSTEM).expect("valid");
        let accounts = Arc::new(accounts);
        let limits = OutboxLimits {
            pending: 1 << 30,
            stall: false,
        };
        let router = |mesh| {
            let mut router = Router::new(mesh, Arc::clone(&accounts), limits, false, 7);
            for slot in [SELF, OTHER] {
                router.outboxes.open(slot);
                router.outboxes.set_headers(slot, true);
            }
            router
        };
        let all = mesh::build(shards, 4).into_iter().map(router).collect();
        let mut routers = Routers { all, info: info() };
        routers.subscribe(0, SELF, "trace", "");
        routers
    }

    fn subscribe(&mut self, shard: usize, slot: u32, pattern: &str, queue: &str) -> SubscriptionId {
        let id = self.all[shard].subscribe(&Wish {
            account: AccountId::GLOBAL,
            connection: slot,
            pattern: Pattern::new(pattern.as_bytes()).expect("valid"),
            queue: queue.as_bytes(),
            sid: b"1",
        });
        self.push(shard);
        for peer in 0..self.all.len() {
            self.receive(peer);
        }
        id
    }

    /// Publishes on shard 0; says whether it reached anybody.
    fn publish(&mut self, subject: &str, only: bool) -> bool {
        let router = &mut self.all[0];
        router.begin_trace(Traced {
            account: AccountId::GLOBAL,
            destination: b"trace".to_vec(),
            encoding: None,
            headers: BTreeMap::new(),
            size: 2,
            only,
            connection: Connection::default(),
            subject: subject.to_owned(),
        });
        let mut tail = Vec::new();
        let line = write_tail(&mut tail, b"", b"", b"hi").len();
        let message = Message {
            subject: subject.as_bytes(),
            tail: &tail,
            line_len: u32::try_from(line).expect("short"),
            reply_len: 0,
            header_len: None,
        };
        let publisher = Publisher {
            sender: Sender {
                shard: 0,
                connection: ConnectionId {
                    slot: SELF,
                    reuse: 0,
                },
            },
            account: AccountId::GLOBAL,
            echo: true,
            memo: &mut Memo::default(),
        };
        let describe = |_| ClientInfo::default();
        let reached = router.publish_traced(publisher, &message, None, &describe);
        router.end_trace();
        self.write_up(0);
        reached
    }

    fn write_up(&mut self, shard: usize) {
        let name = |slot| Connection {
            number: u64::from(slot) + 10 * shard as u64,
            name: String::new(),
        };
        self.all[shard].write_up(&self.info, &name);
    }

    fn push(&mut self, shard: usize) {
        self.all[shard].mesh.push();
    }

    /// Takes in what has come over all lanes of a shard.
    fn receive(&mut self, shard: usize) {
        let mut second_look = Vec::new();
        let peers: Vec<ShardId> = self.all[shard].mesh.peers().collect();
        for peer in peers {
            while let Some(parcel) = self.all[shard].mesh.receive(peer) {
                self.unpack(shard, peer, &parcel, false);
                second_look.append(&mut self.all[shard].take_homeless());
            }
        }
        for (peer, parcel) in second_look {
            self.unpack(shard, peer, &parcel, true);
        }
        self.write_up(shard);
    }

    fn unpack(&mut self, shard: usize, peer: ShardId, parcel: &Parcel, is_last_word: bool) {
        let router = &mut self.all[shard];
        for item in parcel.items() {
            match item {
                Item::Traced(ticket, carried) => {
                    router.receive_traced(peer, ticket, &carried, is_last_word);
                }
                Item::Messages(carried) => {
                    router.receive(peer, &carried, &mut Memo::default(), is_last_word);
                }
                Item::Report(report) => router.hear_report(&self.info, report),
                Item::Wants {
                    layer,
                    pattern,
                    queue,
                    weight,
                } => router.peer_wants(peer, layer, pattern, queue, weight),
                Item::Responder { .. } | Item::Pause(_) | Item::Resume(_) => {}
            }
        }
    }

    /// Until nothing is on its way any more.
    fn settle(&mut self) {
        for _ in 0..4 * usize::from(QUEUE_HOPS_MAX) {
            for shard in 0..self.all.len() {
                self.push(shard);
                self.receive(shard);
            }
        }
    }

    /// What a connection has got, as text.
    fn got(&mut self, shard: usize, slot: u32) -> String {
        let outboxes = &mut self.all[shard].outboxes;
        let mut text = String::new();
        while let Some(batch) = outboxes.take(slot) {
            let bytes: Vec<u8> = batch.slices(0).flatten().copied().collect();
            text += std::str::from_utf8(&bytes).expect("text");
            outboxes.sent(slot, bytes.len());
            outboxes.finished(slot, batch);
        }
        text
    }

    /// The events that have come, each as the connections it says the message went to.
    fn events(&mut self) -> Vec<Vec<u64>> {
        let text = self.got(0, SELF);
        let events = text.lines().filter(|line| line.starts_with('{'));
        let connections = |event: &str| {
            let event: Value = serde_json::from_str(event).expect("JSON");
            let steps = event["events"].as_array().expect("a list");
            assert_eq!(steps[0]["type"], "in");
            let mut numbers: Vec<u64> = steps[1..]
                .iter()
                .map(|step| {
                    assert_eq!(step["type"], "eg");
                    step["cid"].as_u64().expect("a number")
                })
                .collect();
            numbers.sort_unstable();
            numbers
        };
        events.map(connections).collect()
    }
}

#[test]
fn the_event_waits_for_every_shard() {
    let mut routers = Routers::new(3);
    for shard in 0..3 {
        routers.subscribe(shard, OTHER, "a", "");
    }
    assert!(routers.publish("a", false));
    routers.push(0);
    routers.receive(1);
    routers.push(1);
    routers.receive(0);
    assert!(routers.events().is_empty(), "shard 2 has not said a word");
    routers.settle();
    assert_eq!(routers.events(), [[1, 11, 21]]);
    for shard in 0..3 {
        assert_eq!(routers.got(shard, OTHER), "MSG a 1 2\r\nhi\r\n");
    }
    assert!(routers.all[0].traces.is_empty());
}

#[test]
fn what_is_told_only_is_delivered_nowhere() {
    let mut routers = Routers::new(2);
    for shard in 0..2 {
        routers.subscribe(shard, OTHER, "a", "");
    }
    routers.subscribe(1, OTHER, "a", "group");
    assert!(routers.publish("a", true));
    routers.settle();
    assert_eq!(routers.events(), [[1, 11, 11]]);
    for shard in 0..2 {
        assert_eq!(routers.got(shard, OTHER), "");
        // The event itself.
        let event = u64::from(shard == 0);
        assert_eq!(routers.all[shard].counters.delivered.messages, event);
    }
}

/// The member has left when the message comes: its shard hands it on, and the trace goes along.
#[test]
fn a_message_that_is_handed_on_is_traced_there() {
    for only in [false, true] {
        let mut routers = Routers::new(3);
        let leaving = routers.subscribe(1, OTHER, "a", "group");
        assert!(routers.publish("a", only));
        routers.push(0);
        routers.all[1].unsubscribe(leaving);
        routers.subscribe(2, OTHER, "a", "group");
        routers.settle();
        assert_eq!(routers.all[1].counters.handed_on, 1);
        assert_eq!(routers.events(), [[21]]);
        let got = routers.got(2, OTHER);
        assert_eq!(got, if only { "" } else { "MSG a 1 2\r\nhi\r\n" });
        assert!(routers.all[0].traces.is_empty());
    }
}

#[test]
fn a_message_whose_group_has_gone_still_makes_an_event() {
    let mut routers = Routers::new(2);
    let leaving = routers.subscribe(1, OTHER, "a", "group");
    assert!(routers.publish("a", false));
    routers.push(0);
    routers.all[1].unsubscribe(leaving);
    routers.settle();
    assert_eq!(routers.events(), [Vec::<u64>::new()]);
    let dropped: u64 = routers
        .all
        .iter()
        .map(|one| one.counters.dropped_group_gone)
        .sum();
    assert_eq!(dropped, 1);
}

/// One more than may wait: it is delivered, and told of what happened here.
#[test]
fn at_the_limit_traces_are_cut_short() {
    let mut routers = Routers::new(2);
    for shard in 0..2 {
        routers.subscribe(shard, OTHER, "a", "");
    }
    for _ in 0..TRACES_WAITING_MAX {
        routers.publish("a", false);
    }
    assert_eq!(routers.all[0].counters.traces_cut_short, 0);
    assert!(routers.events().is_empty());
    routers.publish("a", false);
    assert!(routers.publish("a", true));
    assert_eq!(routers.all[0].counters.traces_cut_short, 2);
    assert_eq!(routers.events(), [[1], [1]]);
    routers.settle();
    let events = routers.events();
    assert_eq!(events.len(), TRACES_WAITING_MAX);
    assert!(events.iter().all(|event| *event == [1, 11]));
    for shard in 0..2 {
        let delivered = routers.got(shard, OTHER).matches("MSG a").count();
        assert_eq!(
            delivered,
            TRACES_WAITING_MAX + 1,
            "what is told only is not delivered"
        );
    }
    routers.publish("a", false);
    assert_eq!(routers.all[0].counters.traces_cut_short, 2);
}

/// However often shares are shared, they add up, and come to an end.
#[test]
fn shares_add_up() {
    let ticket = Ticket {
        number: 1,
        weight: journal::WHOLE,
        account: AccountId::GLOBAL,
        only: false,
    };
    let mut journal = Journal::new(ShardId(0), ticket, Duration::ZERO);
    let mut sum = 0u64;
    for _ in 0..63 {
        let share = journal.share().expect("there is enough for 63 shards");
        assert!(share.weight >= 1 << 20, "and for those who hand it on");
        sum += u64::from(share.weight);
    }
    assert_eq!(
        sum + u64::from(journal.report(b"").weight),
        u64::from(journal::WHOLE)
    );
    let poor = Ticket {
        weight: 3,
        ..ticket
    };
    let mut journal = Journal::new(ShardId(0), poor, Duration::ZERO);
    let shares: Vec<u32> = std::iter::from_fn(|| journal.share())
        .map(|share| share.weight)
        .collect();
    assert_eq!(shares, [1, 1]);
    assert_eq!(journal.report(b"").weight, journal::LEAST);
}

fn info() -> ServerInfo {
    ServerInfo::new(&Options::default(), "ID")
}
