//! The JSON of `INFO`. *Control path.* Field names, order and omissions are nats-server's (`server.go`).

use crate::config::{Labels, NATS_SERVER_VERSION, Options};
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;

/// What the server says of itself to every client.
#[derive(Clone, Debug, Serialize)]
pub struct ServerInfo {
    pub server_id: String,
    pub server_name: String,
    /// The nats-server version whose client protocol this is: clients gate features on it.
    pub version: String,
    /// Our own name and version.
    pub trunkline: String,
    pub proto: u8,
    /// nats-server names its Go version here; tools print it, so it must be there.
    pub go: String,
    pub host: String,
    pub port: u16,
    pub headers: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub auth_required: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub tls_required: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub tls_verify: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub tls_available: bool,
    pub max_payload: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connect_urls: Vec<String>,
    /// Lame duck mode: the server is about to go, reconnect elsewhere.
    #[serde(skip_serializing_if = "is_false")]
    pub ldm: bool,
    /// Told in the system account, and not to clients.
    #[serde(skip)]
    pub labels: Arc<Labels>,
}

#[derive(Serialize)]
struct ForClient<'a> {
    #[serde(flatten)]
    server: &'a ServerInfo,
    client_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "is_false")]
    connect_info: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    remote_account: &'a str,
}

/// When an `INFO` is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// First thing on the connection.
    Greeting,
    /// Something has changed.
    Announcement,
    /// After the first `PING` of a client with `protocol` 1: which account it is bound to.
    Connected,
}

/// Whom an `INFO` is for.
#[derive(Clone, Copy, Debug)]
pub struct Addressee<'a> {
    pub client_id: u64,
    /// Where it is; `None` as long as only its proxy is known.
    pub address: Option<IpAddr>,
    /// For the first one, if the server has any.
    pub nonce: Option<&'a str>,
    /// The account that the client is bound to.
    pub account: &'a str,
    /// What the client may send at most; the account may allow less than the server.
    pub payload_max: u32,
}

impl ServerInfo {
    /// What a server with these options says, while nobody has an address for it that is better than the configured one.
    /// Whether clients have to authenticate is not decided here.
    pub fn new(options: &Options, server_id: &str) -> ServerInfo {
        let server_name = options.server_name.as_deref().unwrap_or(server_id);
        let has_tls = options.tls.is_some();
        ServerInfo {
            server_id: server_id.to_owned(),
            server_name: server_name.to_owned(),
            version: NATS_SERVER_VERSION.to_owned(),
            trunkline: env!("CARGO_PKG_VERSION").to_owned(),
            proto: 1,
            go: "none".to_owned(),
            host: options.host.clone(),
            port: options.port,
            headers: !options.no_header_support,
            auth_required: false,
            tls_required: has_tls && !options.allow_non_tls,
            tls_verify: options.tls.as_ref().is_some_and(|tls| tls.verify),
            tls_available: has_tls && options.allow_non_tls,
            max_payload: options.max_payload,
            connect_urls: Vec::new(),
            ldm: false,
            labels: Arc::new(options.labels.clone()),
        }
    }

    /// Appends `INFO {…}\r\n` for one client.
    pub fn write_line(&self, into: &mut Vec<u8>, to: &Addressee<'_>, occasion: Occasion) {
        let connected = occasion == Occasion::Connected;
        let restricted = (to.payload_max != self.max_payload).then(|| ServerInfo {
            max_payload: to.payload_max,
            ..self.clone()
        });
        let for_client = ForClient {
            server: restricted.as_ref().unwrap_or(self),
            client_id: to.client_id,
            client_ip: to.address.map(|ip| ip.to_canonical()),
            nonce: to.nonce,
            connect_info: connected,
            remote_account: if connected { to.account } else { "" },
        };
        into.extend_from_slice(b"INFO ");
        serde_json::to_writer(&mut *into, &for_client).expect("plain data turns into JSON");
        into.extend_from_slice(b" \r\n");
    }
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}
