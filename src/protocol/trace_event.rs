//! The JSON that tells where a traced message went. *Control path.*
//!
//! Field names, order and omissions are nats-server's (`msgtrace.go`, `events.go`). Steps are rendered where they happen,
//! on whatever shard, and put together by the publisher's.

use super::event::EventServer;
use serde::Serialize;
use std::collections::BTreeMap;

/// One thing that happened to a message; `ts` is RFC 3339.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "type")]
pub enum TraceStep<'a> {
    /// It came in.
    #[serde(rename = "in")]
    Ingress {
        ts: &'a str,
        kind: ConnectionKind,
        cid: u64,
        #[serde(skip_serializing_if = "str::is_empty")]
        name: &'a str,
        #[serde(rename = "acc")]
        account: &'a str,
        #[serde(rename = "subj")]
        subject: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        error: &'a str,
    },
    /// It was given another subject.
    #[serde(rename = "sm")]
    Mapping { ts: &'a str, to: &'a str },
    /// It came to another account through its stream import.
    #[serde(rename = "se")]
    StreamExport {
        ts: &'a str,
        #[serde(rename = "acc")]
        account: &'a str,
        to: &'a str,
    },
    /// It went to another account, as a request or a response.
    #[serde(rename = "si")]
    ServiceImport {
        ts: &'a str,
        #[serde(rename = "acc")]
        account: &'a str,
        from: &'a str,
        to: &'a str,
    },
    /// It went out, or did not.
    #[serde(rename = "eg")]
    Egress {
        ts: &'a str,
        kind: ConnectionKind,
        cid: u64,
        #[serde(skip_serializing_if = "str::is_empty")]
        name: &'a str,
        /// If it is another one than where the message came in.
        #[serde(rename = "acc", skip_serializing_if = "str::is_empty")]
        account: &'a str,
        #[serde(rename = "sub")]
        pattern: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        queue: &'a str,
        #[serde(skip_serializing_if = "str::is_empty")]
        error: &'a str,
    },
}

/// Numbers of nats-server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionKind {
    Client = 0,
}

impl Serialize for ConnectionKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

#[derive(Serialize)]
struct Request<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    header: &'a BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "is_zero")]
    msgsize: usize,
}

impl TraceStep<'_> {
    /// Adds the step to others; they are separated by commas.
    pub fn write(&self, into: &mut Vec<u8>) {
        if !into.is_empty() {
            into.push(b',');
        }
        serde_json::to_writer(into, self).expect("plain data turns into JSON");
    }
}

/// The whole event about a message of `size` bytes, of the steps that [`TraceStep::write`] has written.
pub fn render(
    server: &EventServer<'_>,
    header: &BTreeMap<String, Vec<String>>,
    size: usize,
    steps: &[u8],
) -> Vec<u8> {
    let request = Request {
        header,
        msgsize: size,
    };
    let mut event = Vec::with_capacity(512 + steps.len());
    event.extend_from_slice(b"{\"server\":");
    serde_json::to_writer(&mut event, server).expect("plain data turns into JSON");
    event.extend_from_slice(b",\"request\":");
    serde_json::to_writer(&mut event, &request).expect("plain data turns into JSON");
    event.extend_from_slice(b",\"events\":[");
    event.extend_from_slice(steps);
    event.extend_from_slice(b"]}");
    event
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(value: &usize) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_made_of_its_steps() {
        let mut steps = Vec::new();
        let ts = "2026-01-02T03:04:05.6Z";
        let ingress = TraceStep::Ingress {
            ts,
            kind: ConnectionKind::Client,
            cid: 7,
            name: "",
            account: "$G",
            subject: "a\"b",
            error: "",
        };
        let egress = TraceStep::Egress {
            ts,
            kind: ConnectionKind::Client,
            cid: 8,
            name: "n",
            account: "A",
            pattern: ">",
            queue: "q",
            error: "lost",
        };
        ingress.write(&mut steps);
        egress.write(&mut steps);
        let server = EventServer {
            name: "N",
            host: "0.0.0.0",
            id: "ID",
            version: "2.15.1",
            tags: &["t".to_owned()],
            metadata: &BTreeMap::new(),
            jetstream: false,
            flags: 0,
            sequence: 3,
            time: ts,
        };
        let headers = BTreeMap::from([("K".to_owned(), vec!["1".to_owned(), "2".to_owned()])]);
        let event = String::from_utf8(render(&server, &headers, 12, &steps)).expect("text");
        assert_eq!(
            event,
            concat!(
                r#"{"server":{"name":"N","host":"0.0.0.0","id":"ID","ver":"2.15.1","tags":["t"],"jetstream":false,"#,
                r#""flags":0,"seq":3,"time":"2026-01-02T03:04:05.6Z"},"#,
                r#""request":{"header":{"K":["1","2"]},"msgsize":12},"events":["#,
                r#"{"type":"in","ts":"2026-01-02T03:04:05.6Z","kind":0,"cid":7,"acc":"$G","subj":"a\"b"},"#,
                r#"{"type":"eg","ts":"2026-01-02T03:04:05.6Z","kind":0,"cid":8,"name":"n","acc":"A","sub":">","#,
                r#""queue":"q","error":"lost"}]}"#
            )
        );
    }
}
