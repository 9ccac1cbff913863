//! A publish into outboxes when the answer is known: head and tail appended to the open batch, and the batch taken away as
//! often as a busy shard sends.

use std::hint::black_box;
use std::sync::Arc;

use bench_harness::micro::OPERATIONS;
use gungraun::{library_benchmark, library_benchmark_group};
use trunkline::base::ids::{AccountId, ConnectionId};
use trunkline::interest::{Memo, Wish};
use trunkline::mesh;
use trunkline::protocol::message::Run;
use trunkline::protocol::parser::{self, Limits, LineMemo};
use trunkline::router::{OutboxLimits, Published, Publisher, Router, Sender};
use trunkline::subject::Pattern;

use crate::traffic;

const LIMITS: Limits = Limits {
    control_line: 4096,
    payload: 1 << 20,
    headers: true,
};
const OUTBOX_LIMITS: OutboxLimits = OutboxLimits {
    pending: 64 << 20,
    stall: true,
};
const PUBLISHER: ConnectionId = ConnectionId { slot: 0, reuse: 0 };
/// Messages between two sends.
const SEND_EVERY: usize = 100;

pub(crate) struct Publishing {
    router: Router,
    text: Vec<u8>,
    subscribers: u32,
}

impl Publishing {
    fn new(payload_bytes: usize, subscribers: u32, queue: &[u8]) -> Publishing {
        let mesh = mesh::build(1, 1).pop().expect("one shard");
        let mut router = Router::new(mesh, Arc::default(), OUTBOX_LIMITS, false, 7);
        router.outboxes.open(PUBLISHER.slot);
        for slot in 1..=subscribers {
            router.outboxes.open(slot);
            let pattern = Pattern::new(traffic::SUBJECT.as_bytes()).expect("a pattern");
            router.subscribe(&Wish {
                account: AccountId::GLOBAL,
                connection: slot,
                pattern,
                queue,
                sid: b"1",
            });
        }
        let mut publishing = Publishing {
            router,
            text: traffic::publish(traffic::SUBJECT, payload_bytes),
            subscribers,
        };
        publishing.publish();
        let copies = if queue.is_empty() { subscribers } else { 1 };
        let expected = u64::from(copies) * OPERATIONS as u64;
        assert_eq!(publishing.router.counters.delivered.messages, expected);
        publishing
    }

    fn publish(&mut self) {
        let mut memo = Memo::default();
        let text = std::mem::take(&mut self.text);
        let (message, _) = parser::next_publish(&text, &LIMITS, &mut LineMemo::default())
            .expect("the usual spelling");
        for _ in 0..OPERATIONS / SEND_EVERY {
            for _ in 0..SEND_EVERY {
                let publisher = Publisher {
                    sender: Sender {
                        shard: 0,
                        connection: PUBLISHER,
                    },
                    account: AccountId::GLOBAL,
                    echo: true,
                    memo: &mut memo,
                };
                let message = black_box(message);
                let published = self.router.publish(publisher, &Run::of_one(message), None);
                assert!(published == Published::Somebody);
            }
            self.send();
        }
        self.text = text;
    }

    fn send(&mut self) {
        for slot in 1..=self.subscribers {
            if let Some(batch) = self.router.outboxes.take(slot) {
                let len = black_box(&batch).len();
                self.router.outboxes.sent(slot, len);
                self.router.outboxes.finished(slot, batch);
            }
        }
        while self.router.outboxes.next_dirty().is_some() {}
    }
}

fn to_one(payload_bytes: usize) -> Publishing {
    Publishing::new(payload_bytes, 1, b"")
}

fn to_each_of_eight(payload_bytes: usize) -> Publishing {
    Publishing::new(payload_bytes, 8, b"")
}

fn to_one_of_a_group_of_eight(payload_bytes: usize) -> Publishing {
    Publishing::new(payload_bytes, 8, b"workers")
}

#[library_benchmark]
#[bench::one_16(args = (16,), setup = to_one)]
#[bench::one_128(args = (128,), setup = to_one)]
#[bench::eight_128(args = (128,), setup = to_each_of_eight)]
#[bench::queue_of_eight_16(args = (16,), setup = to_one_of_a_group_of_eight)]
fn publish(mut publishing: Publishing) -> Publishing {
    publishing.publish();
    publishing
}

library_benchmark_group!(name = delivery, benchmarks = [publish]);
