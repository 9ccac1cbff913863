//! `/metrics` is OpenMetrics, has the names that dashboards for prometheus-nats-exporter ask for, and all that
//! `docs/metrics.md` lists; what a label may be does not depend on clients.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::cast::join;
use crate::dashboard::overwhelm;
use crate::support::http::{ask, get, get_with};
use crate::support::{Launch, Server};

fn monitored(shards: u32) -> Server {
    Launch::trunkline(shards)
        .flags(["-m", "-1"])
        .start()
        .expect("a server")
}

/// The samples of a page by their names with labels. Panics when the page is not well-formed.
fn samples(server: &Server) -> BTreeMap<String, f64> {
    let page = get(server.monitor(), "/metrics").expect("a reply");
    let content_type = page.header("content-type").expect("a type").to_owned();
    assert!(
        content_type.starts_with("application/openmetrics-text; version=1.0.0"),
        "{content_type}"
    );
    let text = page.text();
    let (mut samples, mut types) = (BTreeMap::new(), BTreeMap::new());
    let body = text.strip_suffix("# EOF\n").expect("the end is marked");
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(
                types.insert(name.to_owned(), kind.to_owned()).is_none(),
                "{name} comes twice"
            );
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            let family = name.split('{').next().expect("a name");
            let known = |ends: &[&str]| {
                ends.iter()
                    .filter_map(|end| family.strip_suffix(end))
                    .any(|name| types.contains_key(name))
            };
            assert!(
                known(&["", "_total", "_bucket", "_sum", "_count"]),
                "{line}: no type"
            );
            let value = value.parse().expect("a number");
            assert!(
                samples.insert(name.to_owned(), value).is_none(),
                "{name} comes twice"
            );
        }
    }
    samples
}

fn families(samples: &BTreeMap<String, f64>) -> BTreeSet<String> {
    let base = |name: &String| {
        let name = name.split('{').next().unwrap_or_default();
        let plain = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
            name.strip_suffix(end)
                .filter(|_| name.starts_with("trunkline"))
        });
        plain.unwrap_or(name).to_owned()
    };
    samples.keys().map(base).collect()
}

#[test]
fn figures_are_those_of_the_clients() {
    for shards in [1, 2, 4] {
        let server = monitored(shards);
        let (mut left, mut right) = (join(server.address()), join(server.address()));
        left.send(b"SUB a 1\r\n").expect("it is sent");
        left.sync().expect("it is taken");
        right
            .send(b"PUB a 5\r\nhello\r\nPUB nobody 1\r\nx\r\n")
            .expect("it is sent");
        right.sync().expect("it is taken");
        left.message().expect("a message");
        let samples = samples(&server);
        let sum = |start: &str| -> f64 {
            let parts = samples.iter().filter(|(name, _)| name.starts_with(start));
            parts.map(|(_, value)| value).sum()
        };
        for (name, value) in [
            ("gnatsd_varz_connections{", 2.0),
            ("gnatsd_varz_in_msgs{", 2.0),
            ("gnatsd_varz_in_bytes{", 6.0),
            ("gnatsd_varz_out_msgs{", 1.0),
            ("gnatsd_varz_subscriptions{", 1.0),
            ("gnatsd_connz_in_bytes{", 6.0),
            ("gnatsd_connz_total{", 2.0),
            ("gnatsd_healthz_status{", 0.0),
            ("trunkline_shard_connections{", 2.0),
            ("trunkline_shard_messages_in_total{", 2.0),
            ("trunkline_shard_messages_out_total{", 1.0),
            ("trunkline_pending_bytes_count{", 2.0),
        ] {
            assert_eq!(sum(name), value, "{name}");
        }
        let dropped: f64 = samples
            .iter()
            .filter(|(name, _)| name.contains("no_interest"))
            .map(|(_, value)| value)
            .sum();
        assert_eq!(dropped, 1.0);
        assert!(sum("trunkline_shard_turn_seconds_count{") > 0.0);
        // The subscription was announced to all other shards, and a message may have followed.
        let parcels = sum("trunkline_shard_parcels_in_total{");
        assert!(parcels >= f64::from(shards - 1), "{parcels}");
        assert_eq!(sum("trunkline_shard_lane_seconds_count{"), parcels);
        let lanes = samples
            .keys()
            .filter(|name| name.starts_with("trunkline_lane_parcels{"));
        assert_eq!(lanes.count(), (shards * (shards - 1)) as usize);
    }
}

#[test]
fn dashboards_for_the_exporter_find_their_names() {
    let server = monitored(2);
    let found = families(&samples(&server));
    // Those of the dashboard that comes with prometheus-nats-exporter, and of its other collectors.
    for name in [
        "gnatsd_varz_cpu",
        "gnatsd_varz_mem",
        "gnatsd_varz_in_bytes",
        "gnatsd_varz_out_bytes",
        "gnatsd_varz_in_msgs",
        "gnatsd_varz_out_msgs",
        "gnatsd_varz_connections",
        "gnatsd_varz_total_connections",
        "gnatsd_varz_subscriptions",
        "gnatsd_varz_slow_consumers",
        "gnatsd_varz_max_connections",
        "gnatsd_varz_version",
        "gnatsd_varz_server_name",
        "gnatsd_varz_start",
        "gnatsd_varz_slow_consumer_stats_clients",
        "gnatsd_subsz_num_subscriptions",
        "gnatsd_subsz_num_cache",
        "gnatsd_subsz_cache_hit_rate",
        "gnatsd_routez_num_routes",
        "gnatsd_connz_num_connections",
        "gnatsd_connz_pending_bytes",
        "gnatsd_accstatz_current_connections",
        "gnatsd_accstatz_sent_messages",
        "gnatsd_healthz_status_value",
        "gnatsd_healthz_js_enabled_only_status",
        "gnatsd_healthz_js_server_only_status_value",
        "gnatsd_subsz_total",
        "gnatsd_subsz_limit",
        "gnatsd_subsz_server_id",
        "gnatsd_leafz_conn_nodes_total",
        "gnatsd_accountz_client_connections",
        "gnatsd_accountz_subscriptions",
        "gnatsd_accountz_is_system",
    ] {
        assert!(found.contains(name), "{name} is missing in {found:?}");
    }
}

#[test]
fn names_do_not_depend_on_clients() {
    let server = monitored(2);
    // Asked twice: the first time the counter of such requests is new itself.
    drop(samples(&server));
    let before: BTreeSet<String> = samples(&server).into_keys().collect();
    let _clients: Vec<_> = (0..20)
        .map(|number| {
            let mut client = server.join(&format!(
                "{{\"verbose\":false,\"echo\":false,\"name\":\"n{number}\",\"user\":\"u{number}\"}}"
            ));
            client
                .send(format!("SUB s{number} q{number} 1\r\nPUB s{number} 1\r\nx\r\n").as_bytes())
                .expect("it is sent");
            client.sync().expect("it is taken");
            client
        })
        .collect();
    let after: BTreeSet<String> = samples(&server).into_keys().collect();
    assert_eq!(before, after);
}

#[test]
fn the_documentation_lists_all_of_our_own() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = fs::read_to_string(page).expect("the page");
    let server = Launch::trunkline(2)
        .flags(["-m", "-1"])
        .config_line("max_pending: 1MB")
        .start()
        .expect("a server");
    // Some are there only when there is something to say.
    let _slow = overwhelm(&server);
    let of_code: BTreeSet<String> = families(&samples(&server))
        .into_iter()
        .filter(|name| name.starts_with("trunkline"))
        .collect();
    let quoted = page
        .split('`')
        .filter(|text| text.starts_with("trunkline_") && !text.contains('*'));
    let of_page: BTreeSet<String> = quoted
        .map(|text| text.split('{').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(of_code, of_page);
    // The others are listed by the page that they are made of.
    let listed: Vec<&str> = page
        .split('`')
        .filter(|text| text.starts_with("gnatsd_"))
        .collect();
    for name in families(&samples(&server)) {
        let is_listed = |known: &&str| match known.strip_suffix('*') {
            Some("gnatsd_") | None => name == **known,
            Some(start) => name.starts_with(start),
        };
        assert!(
            name.starts_with("trunkline") || listed.iter().any(is_listed),
            "{name} is not in docs/metrics.md"
        );
    }
}

#[test]
fn scrapers_get_the_form_that_they_ask_for() {
    let server = monitored(2);
    let asked = |headers: &str| get_with(server.monitor(), "/metrics", headers).expect("a reply");
    let older = asked("Accept: text/plain;version=0.0.4;q=1,*/*;q=0.1\r\n");
    assert_eq!(
        older.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let text = older.text();
    assert!(
        text.contains("\n# TYPE trunkline_shard_turns_total counter\ntrunkline_shard_turns_total{")
    );
    assert!(text.ends_with('\n') && !text.contains("# EOF"));
    // The same samples as in the other form.
    let names = |text: &str| -> BTreeSet<String> {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let name = |line: &str| line.rsplit_once(' ').map(|(name, _)| name.to_owned());
        samples.filter_map(name).collect()
    };
    let open_metrics = asked("Accept: application/openmetrics-text\r\n");
    assert_eq!(names(&text), names(&open_metrics.text()));
    assert_eq!(open_metrics.header("content-encoding"), None);

    let packed = asked("Accept-Encoding: gzip\r\n");
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut unpacked = String::new();
    GzDecoder::new(&packed.body[..])
        .read_to_string(&mut unpacked)
        .expect("gzip");
    assert!(unpacked.ends_with("\n# EOF\n"));
    assert!(packed.body.len() * 4 < unpacked.len());
    let page = get_with(server.monitor(), "/varz", "Accept-Encoding: gzip\r\n").expect("a reply");
    assert_eq!(
        page.header("content-encoding"),
        None,
        "only the metrics are"
    );

    let head = ask(server.monitor(), "HEAD", "/metrics").expect("a reply");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        head.header("content-type"),
        open_metrics.header("content-type")
    );
}

fn grafana_dashboard() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/grafana-dashboard.json");
    serde_json::from_slice(&fs::read(file).expect("the file")).expect("JSON")
}

#[test]
fn panels_of_the_dashboard_have_a_place_of_their_own() {
    let dashboard = grafana_dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeMap::new());
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        assert!(
            ids.insert(panel["id"].as_u64()),
            "{title}: its id is another's"
        );
        let side = |name: &str| panel["gridPos"][name].as_u64().expect("a place");
        let (left, top) = (side("x"), side("y"));
        assert!(left + side("w") <= 24, "{title}: too wide");
        for x in left..left + side("w") {
            for y in top..top + side("h") {
                let other = cells.insert((x, y), title);
                assert_eq!(other, None, "{title} lies on it");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str();
        let is_known = |unit| {
            [
                "short",
                "ops",
                "Bps",
                "bytes",
                "percent",
                "percentunit",
                "s",
            ]
            .contains(&unit)
        };
        assert!(unit.is_some_and(is_known), "{title}: {unit:?}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let mut letters = BTreeSet::new();
        for target in panel["targets"].as_array().expect("targets") {
            let expression = target["expr"].as_str().expect("an expression");
            assert!(
                expression.contains("{instance=~\"$instance\"}"),
                "{expression}"
            );
            assert!(letters.insert(target["refId"].as_str()), "{title}");
        }
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let dashboard = grafana_dashboard();
    let server = monitored(2);
    let samples = samples(&server);
    let found: BTreeSet<&str> = samples
        .keys()
        .filter_map(|name| name.split('{').next())
        .collect();
    let mut asked = 0;
    for target in dashboard["panels"]
        .as_array()
        .expect("panels")
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten()
    {
        let expression = target["expr"].as_str().expect("an expression");
        let words =
            expression.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
        for name in
            words.filter(|word| word.starts_with("gnatsd_") || word.starts_with("trunkline_"))
        {
            assert!(found.contains(name), "{name} of {expression}");
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked}");
}
