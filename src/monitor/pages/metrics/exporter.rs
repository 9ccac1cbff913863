//! The metrics that prometheus-nats-exporter makes of a server's pages (`collector/*.go`): names, labels and meaning are
//! its, and so is that all of them are gauges.

use super::family::{Families, Labels, Value, figure};
use crate::shard::survey::Sums;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

const SYSTEM: &str = "gnatsd";
/// Texts that become labels; all others are left out.
const LABELS: &[&str] = &[
    "server_id",
    "server_name",
    "version",
    "domain",
    "leader",
    "name",
    "start",
    "config_load_time",
];

/// Makes them of pages.
#[derive(Debug)]
pub(super) struct Exporter<'a> {
    families: &'a mut Families,
    server_id: &'a str,
}

impl<'a> Exporter<'a> {
    pub(super) fn new(families: &'a mut Families, server_id: &'a str) -> Exporter<'a> {
        Exporter {
            families,
            server_id,
        }
    }

    /// Every number of a page, under the path to it.
    pub(super) fn add_page(&mut self, endpoint: &str, page: &impl Serialize) {
        let json = serde_json::to_value(page).unwrap_or_default();
        self.add_values(&format!("{SYSTEM}_{endpoint}"), &json);
    }

    fn add_values(&mut self, name: &str, json: &Json) {
        for (key, value) in json.as_object().into_iter().flatten() {
            let name = joined(name, key);
            match value {
                Json::Number(number) => {
                    self.gauge(
                        &name,
                        key,
                        self.labels(),
                        number.as_f64().unwrap_or_default(),
                    );
                }
                Json::String(text) if LABELS.contains(&key.as_str()) => {
                    if let Ok(stamp) = text.parse::<Timestamp>() {
                        // In milliseconds.
                        #[allow(
                            clippy::cast_precision_loss,
                            reason = "Prometheus keeps nothing else"
                        )]
                        let millis = stamp.as_millisecond() as f64;
                        self.gauge(&name, key, self.labels(), millis);
                    } else {
                        let mut labels = self.labels();
                        labels.push(("value", text.clone()));
                        self.gauge(&name, key, labels, 1.0);
                    }
                }
                Json::Object(_) => self.add_values(&name, value),
                _ => {}
            }
        }
    }

    /// Sums over the connections. The exporter adds up the 1,024 on the first page; here it is all of them.
    pub(super) fn add_connections(&mut self, sums: &Sums) {
        for (key, value) in [
            ("num_connections", sums.connections),
            ("total", sums.connections),
            ("offset", 0),
            ("limit", sums.connections),
            ("pending_bytes", sums.pending_bytes),
            ("subscriptions", sums.subscriptions),
            ("in_bytes", sums.received.bytes),
            ("out_bytes", sums.sent.bytes),
            ("in_msgs", sums.received.messages),
            ("out_msgs", sums.sent.messages),
        ] {
            let name = format!("{SYSTEM}_connz_{key}");
            self.gauge(&name, key, self.labels(), figure(value));
        }
    }

    /// The figures of `/accstatz` and `/accountz`, by account. The limits of accounts that `/accountz` takes from JWTs are
    /// left out: there are none.
    pub(super) fn add_accounts(&mut self, page: &impl Serialize, system_account: &str) {
        let json = serde_json::to_value(page).unwrap_or_default();
        for account in json["account_statz"].as_array().into_iter().flatten() {
            let text = |key: &str| account[key].as_str().unwrap_or_default().to_owned();
            for (key, value) in [
                ("current_connections", &account["conns"]),
                ("total_connections", &account["total_conns"]),
                ("subscriptions", &account["num_subscriptions"]),
                ("leaf_nodes", &account["leafnodes"]),
                ("sent_messages", &account["sent"]["msgs"]),
                ("sent_bytes", &account["sent"]["bytes"]),
                ("received_messages", &account["received"]["msgs"]),
                ("received_bytes", &account["received"]["bytes"]),
                ("slow_consumers", &account["slow_consumers"]),
            ] {
                let mut labels = self.labels();
                labels.push(("account", text("acc")));
                labels.push(("account_id", text("acc")));
                labels.push(("account_name", text("name")));
                let name = format!("{SYSTEM}_accstatz_{key}");
                self.gauge(&name, key, labels, value.as_f64().unwrap_or_default());
            }
            let is_system = f64::from(text("acc") == system_account);
            let number = |key: &str| account[key].as_f64().unwrap_or_default();
            for (key, value) in [
                ("client_connections", number("conns")),
                ("leafnode_connections", number("leafnodes")),
                ("subscriptions", number("num_subscriptions")),
                ("is_system", is_system),
                ("complete", 1.0),
                ("expired", 0.0),
                ("jetstream_enabled", 0.0),
            ] {
                let mut labels = self.labels();
                labels.push(("account_id", text("acc")));
                labels.push(("account_name", text("name")));
                let name = format!("{SYSTEM}_accountz_{key}");
                self.gauge(&name, key, labels, value);
            }
        }
    }

    /// 0 is well, as the exporter has it.
    pub(super) fn add_health(&mut self, is_well: bool) {
        let (status, text) = if is_well { (0.0, "ok") } else { (1.0, "error") };
        // Without JetStream, asking for its health is asking for nothing more.
        for endpoint in [
            "healthz",
            "healthz_js_enabled_only",
            "healthz_js_server_only",
        ] {
            let name = format!("{SYSTEM}_{endpoint}_status");
            self.gauge(&name, "status", self.labels(), status);
            let mut labels = self.labels();
            labels.push(("value", text.to_owned()));
            self.gauge(&format!("{name}_value"), "status", labels, 1.0 - status);
        }
    }

    /// There are none.
    pub(super) fn add_leafs(&mut self) {
        let name = format!("{SYSTEM}_leafz_conn_nodes_total");
        self.gauge(&name, "nodes_total", self.labels(), 0.0);
    }

    fn gauge(&mut self, name: &str, help: &str, labels: Labels, value: f64) {
        self.families.add(name, help, labels, Value::Gauge(value));
    }

    fn labels(&self) -> Labels {
        vec![("server_id", self.server_id.to_owned())]
    }
}

/// A path as a name: slashes become underscores, and there are never two of them together.
fn joined(name: &str, key: &str) -> String {
    let key = key.replace('/', "_");
    let parts = key.split('_').filter(|part| !part.is_empty());
    parts.fold(name.to_owned(), |name, part| format!("{name}_{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_names_as_the_exporter_makes_them() {
        assert_eq!(
            joined("gnatsd_varz_http_req_stats", "/debug/vars"),
            "gnatsd_varz_http_req_stats_debug_vars"
        );
        assert_eq!(joined("gnatsd_varz", "in_msgs"), "gnatsd_varz_in_msgs");
        assert_eq!(
            joined("gnatsd_varz_http_req_stats", "/"),
            "gnatsd_varz_http_req_stats"
        );
    }
}
