//! What clients send, as bytes: the input of the other files. Spelled as every client library spells it.

use bench_harness::micro::OPERATIONS;

/// What most benchmarks publish to.
pub(crate) const SUBJECT: &str = "orders.new";

/// One `PUB` of `payload_bytes`.
pub(crate) fn publish(subject: &str, payload_bytes: usize) -> Vec<u8> {
    let mut text = format!("PUB {subject} {payload_bytes}\r\n").into_bytes();
    text.resize(text.len() + payload_bytes, b'x');
    text.extend_from_slice(b"\r\n");
    text
}

/// One `HPUB` of `payload_bytes` behind a usual header.
pub(crate) fn publish_with_headers(subject: &str, payload_bytes: usize) -> Vec<u8> {
    let headers = "NATS/1.0\r\nNats-Msg-Id: 7f3a9c\r\n\r\n";
    let total = headers.len() + payload_bytes;
    let mut text = format!("HPUB {subject} {} {total}\r\n{headers}", headers.len()).into_bytes();
    text.resize(text.len() + payload_bytes, b'x');
    text.extend_from_slice(b"\r\n");
    text
}

/// Subjects that share their first token, as many as asked for, all of one length.
pub(crate) fn subjects(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("orders.{number:06}"))
}

/// As many operations as a benchmark does, made one by one.
pub(crate) fn repeated(operation: impl FnMut(usize) -> Vec<u8>) -> Vec<u8> {
    (0..OPERATIONS).flat_map(operation).collect()
}

/// The `CONNECT` of a usual client library.
pub(crate) const CONNECT: &str = concat!(
    r#"CONNECT {"verbose":false,"pedantic":false,"tls_required":false,"name":"orders","lang":"go","version":"1.48.0","#,
    r#""protocol":1,"echo":true,"headers":true,"no_responders":true}"#,
    "\r\n"
);
