//! The JSON of what the server tells of its clients on subjects of the system account. *Control path.*
//!
//! Field names, order and omissions are nats-server's (`events.go`).

use super::client_info::ClientInfo;
use super::info::ServerInfo;
use crate::config::Labels;
use serde::Serialize;
use std::collections::BTreeMap;

/// The server that sends an event.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct EventServer<'a> {
    pub name: &'a str,
    pub host: &'a str,
    pub id: &'a str,
    #[serde(rename = "ver")]
    pub version: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub tags: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: &'a BTreeMap<String, String>,
    pub jetstream: bool,
    pub flags: u64,
    /// Of its events.
    #[serde(rename = "seq")]
    pub sequence: u64,
    /// RFC 3339.
    pub time: &'a str,
}

impl<'a> EventServer<'a> {
    /// The server that says `info` to its clients, as it says it at `time`.
    pub fn new(info: &'a ServerInfo, sequence: u64, time: &'a str) -> EventServer<'a> {
        let labels: &Labels = &info.labels;
        EventServer {
            name: &info.server_name,
            host: &info.host,
            id: &info.server_id,
            version: &info.version,
            tags: labels.tags(),
            metadata: &labels.metadata,
            jetstream: false,
            flags: 0,
            sequence,
            time,
        }
    }
}

/// What every event begins with.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Heading<'a> {
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// Another one for every event.
    pub id: &'a str,
    /// RFC 3339.
    pub timestamp: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum EventKind {
    #[serde(rename = "io.nats.server.advisory.v1.client_connect")]
    Connect,
    #[serde(rename = "io.nats.server.advisory.v1.client_disconnect")]
    Disconnect,
    #[serde(rename = "io.nats.server.advisory.v1.account_connections")]
    AccountConnections,
}

/// A client has come or gone, or was not let in.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ClientEvent<'a> {
    #[serde(flatten)]
    pub heading: Heading<'a>,
    pub server: EventServer<'a>,
    pub client: &'a ClientInfo,
    /// When it has gone.
    #[serde(flatten)]
    pub farewell: Option<Farewell<'a>>,
}

/// What a client has left behind.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Farewell<'a> {
    /// By the client.
    pub sent: Amount,
    /// By the client.
    pub received: Amount,
    pub reason: &'a str,
    /// Of one that did not keep up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_consumer: Option<&'a SlowConsumer>,
}

/// What was too much for a client. nats-server does not tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SlowConsumer {
    pub pending_bytes: usize,
    /// What most of these were, as far as that is known: the subject of the messages, and the subscription they came for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subscription: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub queue: String,
    /// How much of a sample they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
}

/// Messages, and the bytes of their headers and payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    #[serde(rename = "msgs")]
    pub messages: u64,
    pub bytes: u64,
}

impl ClientEvent<'_> {
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data turns into JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_leaves_nothing_behind() {
        let client = ClientInfo {
            account: "A".to_owned(),
            issuer_key: "K".to_owned(),
            name_tag: "A".to_owned(),
            stop: "2".to_owned(),
            ..ClientInfo::default()
        };
        let mut event = ClientEvent {
            heading: Heading {
                kind: EventKind::Connect,
                id: "i",
                timestamp: "t",
            },
            server: EventServer {
                name: "n",
                host: "h",
                id: "N",
                version: "2",
                tags: &[],
                metadata: &BTreeMap::new(),
                jetstream: false,
                flags: 0,
                sequence: 7,
                time: "w",
            },
            client: &client,
            farewell: None,
        };
        let server = r#"{"name":"n","host":"h","id":"N","ver":"2","jetstream":false,"flags":0,"seq":7,"time":"w"}"#;
        let heading =
            r#""type":"io.nats.server.advisory.v1.client_connect","id":"i","timestamp":"t""#;
        let client = r#"{"acc":"A","stop":"2","issuer_key":"K","name_tag":"A"}"#;
        let text = |event: &ClientEvent<'_>| String::from_utf8(event.to_json()).expect("text");
        assert_eq!(
            text(&event),
            format!(r#"{{{heading},"server":{server},"client":{client}}}"#)
        );
        event.farewell = Some(Farewell {
            sent: Amount {
                messages: 1,
                bytes: 2,
            },
            received: Amount::default(),
            reason: "Client Closed",
            slow_consumer: None,
        });
        let farewell = r#""sent":{"msgs":1,"bytes":2},"received":{"msgs":0,"bytes":0},"reason":"Client Closed""#;
        assert_eq!(
            text(&event),
            format!(r#"{{{heading},"server":{server},"client":{client},{farewell}}}"#)
        );
    }

    #[test]
    fn of_who_was_slow_all_that_is_known_is_told() {
        let mut slow = SlowConsumer {
            pending_bytes: 5,
            ..SlowConsumer::default()
        };
        let text = |slow: &SlowConsumer| {
            let farewell = Farewell {
                sent: Amount::default(),
                received: Amount::default(),
                reason: "r",
                slow_consumer: Some(slow),
            };
            serde_json::to_value(farewell).expect("plain data")["slow_consumer"].to_string()
        };
        assert_eq!(text(&slow), r#"{"pending_bytes":5}"#);
        slow.subject = "a.b".to_owned();
        slow.percent = Some(90);
        assert_eq!(
            text(&slow),
            r#"{"pending_bytes":5,"percent":90,"subject":"a.b"}"#
        );
    }
}
