//! Bytes to operations. The fields of each are looked at as little as can be without letting the compiler leave work out.

use std::hint::black_box;

use bench_harness::micro::OPERATIONS;
use gungraun::{library_benchmark, library_benchmark_group};
use trunkline::protocol::connect::ConnectOptions;
use trunkline::protocol::op::Op;
use trunkline::protocol::parser::{self, Limits, LineMemo, Step};

use crate::traffic;

const LIMITS: Limits = Limits {
    control_line: 4096,
    payload: 1 << 20,
    headers: true,
};

fn pub_of(payload_bytes: usize) -> Vec<u8> {
    traffic::repeated(|_| traffic::publish(traffic::SUBJECT, payload_bytes))
}

fn hpub_of(payload_bytes: usize) -> Vec<u8> {
    traffic::repeated(|_| traffic::publish_with_headers(traffic::SUBJECT, payload_bytes))
}

/// No line is the same as the one before.
fn changing_pub_of(payload_bytes: usize) -> Vec<u8> {
    let subjects: Vec<String> = traffic::subjects(100).collect();
    traffic::repeated(|number| traffic::publish(&subjects[number % 100], payload_bytes))
}

#[library_benchmark]
#[bench::pub_16(args = (16,), setup = pub_of)]
#[bench::pub_128(args = (128,), setup = pub_of)]
#[bench::pub_16_changing_subject(args = (16,), setup = changing_pub_of)]
#[bench::hpub_16(args = (16,), setup = hpub_of)]
fn publish(bytes: Vec<u8>) -> Vec<u8> {
    let mut memo = LineMemo::default();
    let mut taken = 0;
    while taken < bytes.len() {
        let (message, len) =
            parser::next_publish(&bytes[taken..], &LIMITS, &mut memo).expect("the usual spelling");
        black_box(message);
        taken += len;
    }
    bytes
}

/// SUB and UNSUB in turn; each line is one operation.
fn sub_and_unsub() -> Vec<u8> {
    let subjects: Vec<String> = traffic::subjects(OPERATIONS).collect();
    traffic::repeated(|number| match number % 2 {
        0 => format!("SUB {} {number}\r\n", subjects[number]).into_bytes(),
        _ => format!("UNSUB {}\r\n", number - 1).into_bytes(),
    })
}

#[library_benchmark]
#[bench::sub_and_unsub(setup = sub_and_unsub)]
fn subscription(bytes: Vec<u8>) -> Vec<u8> {
    let mut taken = 0;
    while taken < bytes.len() {
        match parser::parse(&bytes[taken..], &LIMITS) {
            Ok(Step::Op(op @ (Op::Subscribe { .. } | Op::Unsubscribe { .. }), len)) => {
                black_box(op);
                taken += len;
            }
            other => unreachable!("neither SUB nor UNSUB: {other:?}"),
        }
    }
    bytes
}

fn connects() -> Vec<u8> {
    traffic::repeated(|_| traffic::CONNECT.as_bytes().to_vec())
}

// The line and the JSON in it.
#[library_benchmark]
#[bench::connect(setup = connects)]
fn handshake(bytes: Vec<u8>) -> Vec<u8> {
    let mut taken = 0;
    while taken < bytes.len() {
        let Ok(Step::Op(Op::Connect(json), len)) = parser::parse(&bytes[taken..], &LIMITS) else {
            unreachable!("only CONNECT was written");
        };
        let mut options = ConnectOptions::default();
        options.merge(json).expect("the usual JSON");
        black_box(&options);
        taken += len;
    }
    bytes
}

library_benchmark_group!(
    name = parse,
    benchmarks = [publish, subscription, handshake]
);
