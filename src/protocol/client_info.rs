//! What the server says of a client to others: the JSON of `Nats-Request-Info` and of events. *Control path.*
//!
//! Field names, order and omissions are nats-server's (`events.go`).

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A client, as much of it as may be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientInfo {
    /// RFC 3339.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub start: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub id: u64,
    #[serde(rename = "acc", skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// The account through which a request came, when it has gone through several.
    #[serde(rename = "svc", skip_serializing_if = "String::is_empty")]
    pub service: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub lang: String,
    #[serde(rename = "ver", skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// In nanoseconds.
    #[serde(rename = "rtt", skip_serializing_if = "is_zero")]
    pub round_trip_nanos: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// When it has gone; RFC 3339.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop: String,
    /// Who vouches for a user that has signed a nonce: its account.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub issuer_key: String,
    /// What its account is called.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name_tag: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_type: String,
}

/// A time since the Unix epoch, as JSON shows times.
pub fn rfc3339(since_epoch: Duration) -> String {
    let nanos = i128::try_from(since_epoch.as_nanos()).unwrap_or(i128::MAX);
    jiff::Timestamp::from_nanosecond(nanos).map_or_else(|_| String::new(), |at| at.to_string())
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}
