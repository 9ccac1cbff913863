//! `/varz`: the server as a whole. Names, order and omissions are nats-server's (`monitor.go`).

use super::totals::Totals;
use crate::base::clock::Now;
use crate::monitor::go_json::{Float, Time, nanos, pretty, uptime};
use crate::monitor::reply::{JSON, Refusal, Reply};
use crate::monitor::site::Site;
use crate::monitor::surveyor::ShardCounts;
use crate::runtime::usage;
use crate::wire::tls::Acceptor;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

pub(super) async fn page(site: &Site) -> Result<Reply, Refusal> {
    let counts = site.surveyor.counts().await?;
    Ok(Reply::page(JSON, pretty(&Varz::new(site, &counts))))
}

/// Nothing yet, as in a server that has no such part.
#[derive(Debug, Serialize)]
struct Absent {}

/// How many connections of each kind.
#[derive(Debug, Default, Serialize)]
pub(super) struct ByKind {
    clients: u64,
    routes: u64,
    gateways: u64,
    leafs: u64,
}

#[derive(Debug, Default, Serialize)]
struct DiskWaits {
    waiters: u64,
    waits: u64,
    wait_time: u64,
    max_wait_time: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Varz<'a> {
    server_id: &'a str,
    server_name: &'a str,
    version: &'a str,
    /// Ours, as in `INFO`.
    trunkline: &'a str,
    proto: u8,
    go: &'a str,
    host: &'a str,
    port: u16,
    #[serde(skip_serializing_if = "is_false")]
    auth_required: bool,
    #[serde(skip_serializing_if = "is_false")]
    tls_required: bool,
    #[serde(skip_serializing_if = "is_false")]
    tls_verify: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    connect_urls: &'a [String],
    max_connections: u32,
    #[serde(skip_serializing_if = "is_zero")]
    max_subscriptions: u32,
    ping_interval: u64,
    ping_max: u32,
    http_host: &'a str,
    http_port: i32,
    http_base_path: &'a str,
    https_port: i32,
    auth_timeout: Float,
    max_control_line: u32,
    max_payload: u32,
    max_pending: usize,
    cluster: Absent,
    gateway: Absent,
    leaf: Absent,
    mqtt: Absent,
    websocket: Absent,
    jetstream: Absent,
    tls_timeout: Float,
    write_deadline: u64,
    start: Time,
    now: Time,
    uptime: String,
    mem: u64,
    cores: usize,
    gomaxprocs: usize,
    cpu: Float,
    connections: u64,
    total_connections: u64,
    routes: u64,
    remotes: u64,
    leafnodes: u64,
    in_msgs: u64,
    in_bytes: u64,
    in_client_msgs: u64,
    in_client_bytes: u64,
    out_msgs: u64,
    out_bytes: u64,
    out_client_msgs: u64,
    out_client_bytes: u64,
    slow_consumers: u64,
    stale_connections: u64,
    stalled_clients: u64,
    subscriptions: u64,
    http_req_stats: BTreeMap<&'static str, u64>,
    config_load_time: Time,
    config_digest: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    system_account: &'a str,
    slow_consumer_stats: ByKind,
    stale_connection_stats: ByKind,
    disk_io_wait_stats: DiskWaits,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert_not_after: Option<Time>,
}

impl<'a> Varz<'a> {
    pub(super) fn new(site: &'a Site, counts: &[ShardCounts]) -> Varz<'a> {
        let (facts, totals) = (&site.facts, Totals::of(counts));
        let (options, info) = (&facts.options, &facts.info);
        let start = site.time_of_day(Now::ZERO);
        let file = options.config_file.as_ref();
        Varz {
            server_id: &info.server_id,
            server_name: &info.server_name,
            version: &info.version,
            trunkline: &info.trunkline,
            proto: info.proto,
            go: &info.go,
            host: &info.host,
            port: info.port,
            auth_required: info.auth_required,
            tls_required: info.tls_required,
            tls_verify: info.tls_verify,
            connect_urls: &info.connect_urls,
            max_connections: options.max_connections,
            max_subscriptions: options.max_subscriptions,
            ping_interval: nanos(options.ping_interval),
            ping_max: options.ping_max,
            http_host: options.monitor_host(),
            http_port: shown_port(options.monitor_port),
            http_base_path: &options.monitor_base_path,
            https_port: shown_port(options.monitor_https_port),
            auth_timeout: Float(options.auth_timeout.as_secs_f64()),
            max_control_line: options.max_control_line,
            max_payload: options.max_payload,
            max_pending: options.max_pending,
            cluster: Absent {},
            gateway: Absent {},
            leaf: Absent {},
            mqtt: Absent {},
            websocket: Absent {},
            jetstream: Absent {},
            tls_timeout: Float(
                options
                    .tls
                    .as_ref()
                    .map_or(TLS_TIMEOUT_S, |tls| tls.timeout.as_secs_f64()),
            ),
            write_deadline: nanos(options.write_deadline),
            start: Time(start),
            now: Time(site.now()),
            uptime: uptime(facts.clock.now().since(Now::ZERO)),
            mem: usage::resident_bytes(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            gomaxprocs: counts.len(),
            cpu: Float(site.load_percent()),
            connections: totals.connections,
            total_connections: totals.connected,
            routes: 0,
            remotes: 0,
            leafnodes: 0,
            in_msgs: totals.received.messages,
            in_bytes: totals.received.bytes,
            in_client_msgs: totals.received.messages,
            in_client_bytes: totals.received.bytes,
            out_msgs: totals.sent.messages,
            out_bytes: totals.sent.bytes,
            out_client_msgs: totals.sent.messages,
            out_client_bytes: totals.sent.bytes,
            slow_consumers: totals.slow_consumers,
            stale_connections: totals.stale,
            stalled_clients: totals.pauses,
            subscriptions: totals.subscriptions,
            http_req_stats: site.requests.borrow().clone(),
            config_load_time: Time(site.time_of_day(facts.configured_at)),
            config_digest: file.map_or("", |file| file.digest.as_str()),
            tags: facts.info.labels.tags(),
            metadata: &facts.info.labels.metadata,
            system_account: site.system_account(),
            slow_consumer_stats: of_clients(totals.slow_consumers),
            stale_connection_stats: of_clients(totals.stale),
            disk_io_wait_stats: DiskWaits::default(),
            tls_cert_not_after: facts.tls.as_deref().and_then(not_after),
        }
    }
}

pub(super) fn of_clients(clients: u64) -> ByKind {
    ByKind {
        clients,
        ..ByKind::default()
    }
}

fn not_after(tls: &Acceptor) -> Option<Time> {
    let seconds = u64::try_from(tls.not_after()?).ok()?;
    Some(Time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)))
}

/// A port as it was asked for: none is 0, any is -1.
fn shown_port(port: Option<u16>) -> i32 {
    match port {
        None => 0,
        Some(0) => -1,
        Some(port) => i32::from(port),
    }
}

/// What nats-server shows where there is no TLS.
const TLS_TIMEOUT_S: f64 = 2.0;

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(value: &u32) -> bool {
    *value == 0
}
