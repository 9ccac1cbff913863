//! What a monitor port says, as far as it is shown: one reading of `/varz` and `/connz`.
//!
//! Pure. Every field may be missing, because servers of all ages are looked at; what cannot be read as JSON is refused. Text
//! that clients choose (names, languages, versions) is made printable here, so that nobody draws on the operator's terminal.

use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// Both pages, and when they were read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sample {
    /// Since some beginning that all samples of a run share.
    pub(super) at: Duration,
    pub(super) server: Server,
    pub(super) connections: Connections,
}

/// From `/varz`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Server {
    #[serde(deserialize_with = "printable")]
    pub(super) server_id: String,
    #[serde(deserialize_with = "printable")]
    pub(super) server_name: String,
    #[serde(deserialize_with = "printable")]
    pub(super) version: String,
    /// Our own version, where the server is one of ours.
    #[serde(deserialize_with = "printable")]
    pub(super) trunkline: String,
    #[serde(deserialize_with = "printable")]
    pub(super) uptime: String,
    /// Per cent of one core.
    pub(super) cpu: f64,
    pub(super) mem: u64,
    pub(super) slow_consumers: u64,
    pub(super) subscriptions: u64,
    #[serde(flatten)]
    pub(super) traffic: Traffic,
}

/// From `/connz`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Connections {
    /// All there are, of which the list may be a part.
    pub(super) total: u64,
    #[serde(rename = "connections", deserialize_with = "list")]
    pub(super) list: Vec<Connection>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Connection {
    pub(super) cid: u64,
    #[serde(deserialize_with = "printable")]
    pub(super) ip: String,
    pub(super) port: u32,
    #[serde(deserialize_with = "printable")]
    pub(super) name: String,
    #[serde(deserialize_with = "printable")]
    account: String,
    #[serde(deserialize_with = "printable")]
    name_tag: String,
    pub(super) subscriptions: u64,
    pub(super) pending_bytes: u64,
    #[serde(flatten)]
    pub(super) traffic: Traffic,
    #[serde(deserialize_with = "printable")]
    pub(super) rtt: String,
    #[serde(deserialize_with = "printable")]
    pub(super) lang: String,
    #[serde(deserialize_with = "printable")]
    pub(super) version: String,
    #[serde(deserialize_with = "printable")]
    pub(super) uptime: String,
    #[serde(deserialize_with = "printable")]
    pub(super) idle: String,
    #[serde(deserialize_with = "printable_list")]
    pub(super) subscriptions_list: Vec<String>,
}

impl Connection {
    /// The account, by the name that a person gave it if there is one.
    pub(super) fn account(&self) -> &str {
        if self.name_tag.is_empty() {
            &self.account
        } else {
            &self.name_tag
        }
    }
}

/// Counts since a server's or a connection's beginning. "In" is what the server has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Traffic {
    pub(super) in_msgs: u64,
    pub(super) out_msgs: u64,
    pub(super) in_bytes: u64,
    pub(super) out_bytes: u64,
}

fn printable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    Ok(without_controls(text.unwrap_or_default()))
}

fn printable_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts: Vec<String> = list(deserializer)?;
    Ok(texts.into_iter().map(without_controls).collect())
}

/// Go writes `null` for a list that was never made.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

pub(super) fn without_controls(text: String) -> String {
    // Besides controls: characters that turn the direction of what follows them, and so hide or forge it.
    let is_harmful =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.contains(is_harmful) {
        text.replace(is_harmful, "?")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_old_and_new_servers_are_read() {
        let server: Server = serde_json::from_str(
            r#"{"server_id":"NA","version":"2.15.1","cpu":1,"mem":15028224,"in_msgs":7,"cluster":{}}"#,
        )
        .unwrap();
        assert_eq!((server.cpu, server.traffic.in_msgs), (1.0, 7));
        assert_eq!(server.trunkline, "");
        let none: Connections = serde_json::from_str(r#"{"connections":null}"#).unwrap();
        assert_eq!(none, Connections::default());
        let page: Connections = serde_json::from_str(
            r#"{"total":9,"connections":[{"cid":5,"out_bytes":3,"account":"ACME","name":null,
               "subscriptions_list":null},{"account":"AKEY","name_tag":"Acme & Sons"}]}"#,
        )
        .unwrap();
        assert_eq!((page.total, page.list[0].traffic.out_bytes), (9, 3));
        assert_eq!(page.list[0].account(), "ACME");
        assert_eq!(page.list[1].account(), "Acme & Sons");
        assert!(serde_json::from_str::<Connections>(r#"{"connections":7}"#).is_err());
    }

    #[test]
    fn a_client_cannot_send_commands_to_the_terminal() {
        let page = "{\"connections\":[{\"name\":\"\\u001b[2J\\u202eann\",\"subscriptions_list\":[\"a\\u0007\"]}]}";
        let page: Connections = serde_json::from_str(page).unwrap();
        assert_eq!(page.list[0].name, "?[2J?ann");
        assert_eq!(page.list[0].subscriptions_list, ["a?"]);
    }
}
