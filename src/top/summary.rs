//! The server in a few lines, as nats-top's users know them. Pure.

use super::figure;
use super::state::{Rates, State, Wishes};

/// The lines above the table.
pub(super) fn lines(state: &State) -> Vec<String> {
    let Some(server) = state.server() else {
        return Vec::new();
    };
    let mut first = format!("NATS server version {}", server.version);
    if !server.trunkline.is_empty() {
        first = format!("Trunkline {} ({first})", server.trunkline);
    }
    first.push_str(&format!(
        "  {}  (uptime: {})",
        server.server_name, server.uptime
    ));
    let Wishes {
        raw_bytes,
        raw_counts,
        ..
    } = state.wishes;
    let rates = state.rates();
    let way = |name: &str, msgs: u64, bytes: u64, of: fn(Rates) -> (f64, f64)| {
        let (msgs_rate, bytes_rate) = match rates.map(of) {
            Some((msgs, bytes)) => (
                figure::rate(msgs, raw_counts),
                figure::byte_rate(bytes, raw_bytes),
            ),
            None => ("-".to_owned(), "-".to_owned()),
        };
        format!(
            "  {name:4} Msgs: {}  Bytes: {}  Msgs/Sec: {msgs_rate}  Bytes/Sec: {bytes_rate}",
            figure::count(msgs, raw_counts),
            figure::bytes(bytes, raw_bytes),
        )
    };
    let traffic = server.traffic;
    let shown = state.rows().len();
    let total = state.connections_total();
    let part = if as_u64(shown) < total {
        format!("  ({shown} shown)")
    } else {
        String::new()
    };
    vec![
        first,
        format!("Server: {}", server.server_id),
        format!(
            "  Load: CPU: {:.1}%  Memory: {}  Slow Consumers: {}  Subscriptions: {}",
            server.cpu,
            figure::bytes(server.mem, raw_bytes),
            figure::count(server.slow_consumers, raw_counts),
            figure::count(server.subscriptions, raw_counts),
        ),
        way("In:", traffic.in_msgs, traffic.in_bytes, |rates| {
            (rates.in_msgs, rates.in_bytes)
        }),
        way("Out:", traffic.out_msgs, traffic.out_bytes, |rates| {
            (rates.out_msgs, rates.out_bytes)
        }),
        String::new(),
        format!("Connections: {total}{part}"),
    ]
}

/// The same for programs: a name and a value each.
pub(super) fn cells(state: &State) -> Vec<(&'static str, String)> {
    let Some(server) = state.server() else {
        return Vec::new();
    };
    let rate = |of: fn(Rates) -> f64| match state.rates().map(of) {
        Some(rate) => figure::rate(rate, true),
        None => "-".to_owned(),
    };
    let traffic = server.traffic;
    vec![
        ("SERVER", server.server_name.clone()),
        ("VERSION", server.version.clone()),
        ("UPTIME", server.uptime.clone()),
        ("CPU", server.cpu.to_string()),
        ("MEMORY", server.mem.to_string()),
        ("SLOW_CONSUMERS", server.slow_consumers.to_string()),
        ("SUBS", server.subscriptions.to_string()),
        ("IN_MSGS", traffic.in_msgs.to_string()),
        ("IN_BYTES", traffic.in_bytes.to_string()),
        ("IN_MSGS/S", rate(|rates| rates.in_msgs)),
        ("IN_BYTES/S", rate(|rates| rates.in_bytes)),
        ("OUT_MSGS", traffic.out_msgs.to_string()),
        ("OUT_BYTES", traffic.out_bytes.to_string()),
        ("OUT_MSGS/S", rate(|rates| rates.out_msgs)),
        ("OUT_BYTES/S", rate(|rates| rates.out_bytes)),
        ("CONNECTIONS", state.connections_total().to_string()),
        ("SERVER_ID", server.server_id.clone()),
    ]
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
