//! A message into a parcel, over a lane, and out again; a parcel is pushed every few messages, as at the end of a turn.

use std::hint::black_box;

use bench_harness::micro::OPERATIONS;
use gungraun::{library_benchmark, library_benchmark_group};
use trunkline::base::clock::Now;
use trunkline::base::ids::{AccountId, ConnectionId};
use trunkline::base::limits::LANE_PARCELS;
use trunkline::interest::Scope;
use trunkline::mesh::{self, Item, Mesh, Routing, Sender};
use trunkline::protocol::message::Run;
use trunkline::protocol::parser::{self, Limits, LineMemo};

use crate::traffic;

const LIMITS: Limits = Limits {
    control_line: 4096,
    payload: 1 << 20,
    headers: true,
};
/// Messages of one turn.
const PUSH_EVERY: usize = 50;

pub(crate) struct Crossing {
    left: Mesh,
    right: Mesh,
    text: Vec<u8>,
}

impl Crossing {
    fn new(payload_bytes: usize) -> Crossing {
        let mut ends = mesh::build(2, LANE_PARCELS);
        let (Some(right), Some(left)) = (ends.pop(), ends.pop()) else {
            unreachable!("two were asked for");
        };
        let text = traffic::publish(traffic::SUBJECT, payload_bytes);
        let mut crossing = Crossing { left, right, text };
        assert_eq!(crossing.cross(), OPERATIONS);
        crossing
    }

    /// Sends all messages across; gives how many came out.
    fn cross(&mut self) -> usize {
        let (message, _) = parser::next_publish(&self.text, &LIMITS, &mut LineMemo::default())
            .expect("the usual spelling");
        let routing = Routing {
            scope: Scope::published(AccountId::GLOBAL),
            publisher: Sender {
                shard: 0,
                connection: ConnectionId { slot: 0, reuse: 0 },
            },
            plain: true,
            echo: true,
            hops: 0,
        };
        let (from, to) = (self.left.shard(), self.right.shard());
        let mut received = 0;
        for _ in 0..OPERATIONS / PUSH_EVERY {
            for _ in 0..PUSH_EVERY {
                let message = black_box(message);
                self.left
                    .send(to, &Run::of_one(message), None, routing, std::iter::empty());
            }
            self.left.push(Now::ZERO);
            while let Some(parcel) = self.right.receive(from) {
                for item in parcel.items() {
                    if let Item::Messages(carried) = black_box(item) {
                        black_box(carried.run);
                        received += 1;
                    }
                }
                self.right.recycle(from, parcel);
            }
        }
        received
    }
}

fn crossing(payload_bytes: usize) -> Crossing {
    Crossing::new(payload_bytes)
}

#[library_benchmark]
#[bench::cross_16(args = (16,), setup = crossing)]
#[bench::cross_1024(args = (1024,), setup = crossing)]
fn cross(mut crossing: Crossing) -> Crossing {
    black_box(crossing.cross());
    crossing
}

library_benchmark_group!(name = lane, benchmarks = [cross]);
