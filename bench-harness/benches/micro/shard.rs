//! The whole way of a message through real shards: bytes that a publisher sent in, batches that the kernel takes out. What
//! a driver does beside it, system calls above all, is not counted.
//!
//! Reads are as large as the runtime's receive buffers, so that operations are cut in two as often as on a busy broker.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};

use bench_harness::micro::OPERATIONS;
use gungraun::{library_benchmark, library_benchmark_group};
use trunkline::auth::NonceKey;
use trunkline::base::ids::{ClientNumber, ConnectionId};
use trunkline::base::limits::LANE_PARCELS;
use trunkline::config::Options;
use trunkline::mesh;
use trunkline::protocol::info::ServerInfo;
use trunkline::session::settings::Settings;
use trunkline::shard::Shard;

use crate::traffic;

const READ_BYTES: usize = 64 * 1024;

pub(crate) struct Broker {
    shards: Vec<Shard>,
    /// On the first shard.
    publisher: ConnectionId,
    sends: Vec<u8>,
    read_bytes: usize,
    connected: u64,
}

impl Broker {
    /// Shards with a publisher on the first one.
    fn new(shards: u8) -> Broker {
        let lanes = mesh::build(shards, LANE_PARCELS);
        let shards = lanes
            .into_iter()
            .map(|mesh| Shard::new(settings(), mesh, 7));
        let mut broker = Broker {
            shards: shards.collect(),
            publisher: ConnectionId { slot: 0, reuse: 0 },
            sends: Vec::new(),
            read_bytes: READ_BYTES,
            connected: 0,
        };
        broker.publisher = broker.client(0, "");
        broker
    }

    /// Connects a client and lets it say more.
    fn client(&mut self, shard: usize, says: &str) -> ConnectionId {
        self.connected += 1;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let id = self.shards[shard].connect(ClientNumber(self.connected), address);
        let text = format!("{}{says}PING\r\n", traffic::CONNECT);
        self.shards[shard].receive(id, text.as_bytes());
        self.turns();
        id
    }

    /// Gives the publisher what it sends, and sends it once, uncounted: `deliveries` must come of it.
    fn publishing(mut self, sends: Vec<u8>, deliveries: usize) -> Broker {
        self.sends = sends;
        self.publish();
        let routed = self.shards.iter().map(|shard| shard.snapshot().routed);
        let (published, delivered) = routed.fold((0, 0), |(published, delivered), routed| {
            (
                published + routed.published.messages,
                delivered + routed.delivered.messages,
            )
        });
        assert_eq!(published, OPERATIONS as u64);
        assert_eq!(delivered, deliveries as u64);
        self
    }

    /// Everything the publisher sends, read by read, with a turn of every shard after each.
    fn publish(&mut self) {
        let sends = std::mem::take(&mut self.sends);
        for read in sends.chunks(self.read_bytes) {
            self.shards[0].receive(self.publisher, read);
            self.turns();
        }
        self.sends = sends;
    }

    /// The turn as the runtime drives it; the kernel takes every batch whole and at once.
    fn turns(&mut self) {
        for shard in &mut self.shards {
            shard.drain_lanes();
            shard.push_parcels();
            while let Some(id) = shard.next_heavy().or_else(|| shard.next_dirty()) {
                send(shard, id);
            }
        }
    }
}

fn send(shard: &mut Shard, id: ConnectionId) {
    while let Some(batch) = shard.take_batch(id) {
        let len = black_box(&batch).len();
        shard.batch_progressed(id, len);
        shard.batch_finished(id, batch);
    }
}

fn settings() -> Settings {
    let info = ServerInfo::new(&Options::default(), "MICRO");
    Settings::new(&Options::default(), info, NonceKey::new([0; 32]))
}

fn subscription(queue: &str) -> String {
    format!("SUB {} {queue} 1\r\n", traffic::SUBJECT)
}

fn publishes(payload_bytes: usize) -> Vec<u8> {
    traffic::repeated(|_| traffic::publish(traffic::SUBJECT, payload_bytes))
}

fn operation_bytes(payload_bytes: usize) -> usize {
    traffic::publish(traffic::SUBJECT, payload_bytes).len()
}

fn no_interest(payload_bytes: usize) -> Broker {
    Broker::new(1).publishing(publishes(payload_bytes), 0)
}

/// Each read ends in the middle of an operation, 10 bytes further than the one before.
fn no_interest_in_pieces(payload_bytes: usize) -> Broker {
    let mut broker = Broker::new(1);
    broker.read_bytes = operation_bytes(payload_bytes) + 10;
    broker.publishing(publishes(payload_bytes), 0)
}

fn one_to_one(payload_bytes: usize) -> Broker {
    let mut broker = Broker::new(1);
    broker.client(0, &subscription(""));
    broker.publishing(publishes(payload_bytes), OPERATIONS)
}

/// One message a read, and one turn each, as when nobody is in a hurry.
fn one_to_one_singly(payload_bytes: usize) -> Broker {
    let mut broker = Broker::new(1);
    broker.client(0, &subscription(""));
    broker.read_bytes = operation_bytes(payload_bytes);
    broker.publishing(publishes(payload_bytes), OPERATIONS)
}

fn one_to_one_with_headers(payload_bytes: usize) -> Broker {
    let mut broker = Broker::new(1);
    broker.client(0, &subscription(""));
    let sends =
        traffic::repeated(|_| traffic::publish_with_headers(traffic::SUBJECT, payload_bytes));
    broker.publishing(sends, OPERATIONS)
}

/// 100 subjects in turn, one subscription each.
fn one_to_one_of_many_subjects(payload_bytes: usize) -> Broker {
    let subjects: Vec<String> = traffic::subjects(100).collect();
    let lines = subjects.iter().zip(1..);
    let says: String = lines
        .map(|(subject, sid)| format!("SUB {subject} {sid}\r\n"))
        .collect();
    let mut broker = Broker::new(1);
    broker.client(0, &says);
    let sends =
        traffic::repeated(|number| traffic::publish(&subjects[number % 100], payload_bytes));
    broker.publishing(sends, OPERATIONS)
}

fn one_to_eight(payload_bytes: usize) -> Broker {
    let mut broker = Broker::new(1);
    for _ in 0..8 {
        broker.client(0, &subscription(""));
    }
    broker.publishing(publishes(payload_bytes), 8 * OPERATIONS)
}

fn one_to_a_queue_of_eight(payload_bytes: usize) -> Broker {
    let mut broker = Broker::new(1);
    for _ in 0..8 {
        broker.client(0, &subscription("workers"));
    }
    broker.publishing(publishes(payload_bytes), OPERATIONS)
}

/// The subscriber is on another shard; both shards' instructions count.
fn one_to_one_across(payload_bytes: usize) -> Broker {
    let mut broker = Broker::new(2);
    broker.client(1, &subscription(""));
    // The announcement has to arrive.
    broker.turns();
    broker.publishing(publishes(payload_bytes), OPERATIONS)
}

#[library_benchmark]
#[bench::no_interest_16(args = (16,), setup = no_interest)]
#[bench::no_interest_16_in_pieces(args = (16,), setup = no_interest_in_pieces)]
#[bench::one_to_one_16(args = (16,), setup = one_to_one)]
#[bench::one_to_one_16_singly(args = (16,), setup = one_to_one_singly)]
#[bench::one_to_one_128(args = (128,), setup = one_to_one)]
#[bench::one_to_one_1024(args = (1024,), setup = one_to_one)]
#[bench::one_to_one_16_headers(args = (16,), setup = one_to_one_with_headers)]
#[bench::one_to_one_16_of_100_subjects(args = (16,), setup = one_to_one_of_many_subjects)]
#[bench::one_to_eight_128(args = (128,), setup = one_to_eight)]
#[bench::one_to_a_queue_of_eight_16(args = (16,), setup = one_to_a_queue_of_eight)]
#[bench::one_to_one_16_across_shards(args = (16,), setup = one_to_one_across)]
fn messages(mut broker: Broker) -> Broker {
    broker.publish();
    broker
}

library_benchmark_group!(name = publish, benchmarks = [messages]);
