//! Loads on a real Mosquitto: everything arrives, and what goes wrong is said in words.

mod drivers;

use bench_harness::load::Protocol;
use bench_harness::scenario::{Exchange, Rate, Scenario, Sharing, Size};
use bench_harness::server::Started;
use drivers::{
    assert_whole, complaint, gentle, hundred, run, server, signed, started, target, web_server,
};

fn mosquitto() -> Started {
    started(&server("mosquitto"))
}

#[test]
fn everything_arrives_at_one_and_at_each_of_four() {
    let mosquitto = mosquitto();
    let target = target(Protocol::Mqtt, mosquitto.address);
    for subscribers in [1, 4] {
        let scenario = Scenario {
            subscribers,
            ..gentle(4_000)
        };
        let measurement = run(&scenario, &target).unwrap();
        assert_whole(&measurement, 4_000, u64::from(subscribers));
        let version = &measurement.server_version;
        let number = version
            .strip_prefix("mosquitto ")
            .expect("a name and a version");
        assert!(
            number.starts_with(|c: char| c.is_ascii_digit()),
            "{version}"
        );
    }
}

#[test]
fn names_and_wildcards_each_get_their_subjects_once() {
    let mosquitto = mosquitto();
    let target = target(Protocol::Mqtt, mosquitto.address);
    for wildcard_share in [0.0, 0.5, 1.0] {
        let scenario = Scenario {
            publishers: 2,
            subscribers: 2,
            subjects: hundred(wildcard_share),
            ..gentle(3_000)
        };
        assert_whole(&run(&scenario, &target).unwrap(), 3_000, 2);
    }
}

#[test]
fn each_gets_its_own_part_of_the_subjects_beside_churn_and_idle_connections() {
    let mosquitto = mosquitto();
    let scenario = Scenario {
        publishers: 3,
        subscribers: 4,
        sharing: Sharing::Dealt,
        subjects: hundred(0.5),
        churn_per_s: 500.0,
        idle_connections: 20,
        ..gentle(3_000)
    };
    assert_whole(
        &run(&scenario, &target(Protocol::Mqtt, mosquitto.address)).unwrap(),
        3_000,
        1,
    );
}

#[test]
fn payloads_of_all_lengths_arrive() {
    let mosquitto = mosquitto();
    let target = target(Protocol::Mqtt, mosquitto.address);
    for (size, messages) in [(Size::Between(16, 70_000), 300), (Size::Fixed(2 << 20), 10)] {
        let scenario = Scenario {
            size,
            rate: Rate::PerSecond(300.0),
            ..gentle(messages)
        };
        assert_whole(&run(&scenario, &target).unwrap(), messages, 1);
    }
}

#[test]
fn whoever_is_not_let_in_is_told_so() {
    // With `-p` it takes everybody from this machine, so it gets a file instead.
    let mut mosquitto = server("mosquitto");
    let script = "printf 'listener {port} 127.0.0.1\\nallow_anonymous false\\n' >mosquitto.conf; \
        PATH=$PATH:/usr/sbin exec mosquitto -c mosquitto.conf";
    mosquitto.command = ["sh", "-c", script].map(ToOwned::to_owned).to_vec();
    let mosquitto = started(&mosquitto);
    let anybody = || target(Protocol::Mqtt, mosquitto.address);
    for (user, password) in [
        (None, None),
        (Some("alice"), Some("wrong")),
        (None, Some("word")),
    ] {
        let text = complaint(&gentle(100), &signed(anybody(), user, password));
        let refused = format!(
            "the server at {} refused the connection: not authorized",
            mosquitto.address
        );
        assert!(text.starts_with(&refused), "{text}");
    }
}

#[test]
fn another_kind_of_server_is_noticed() {
    let (nats, redis) = (started(&server("nats-server")), started(&server("redis")));
    for address in [nats.address, redis.address, web_server()] {
        let text = complaint(&gentle(100), &target(Protocol::Mqtt, address));
        assert!(
            text.contains("MQTT") && text.contains(&address.to_string()),
            "{text}"
        );
    }
}

#[test]
fn what_mqtt_does_not_have_is_refused_before_anything_is_sent() {
    let mosquitto = mosquitto();
    let target = target(Protocol::Mqtt, mosquitto.address);
    let groups = Scenario {
        sharing: Sharing::Groups(1),
        ..gentle(100)
    };
    let requests = Scenario {
        exchange: Exchange::Request { in_flight: 1 },
        ..gentle(100)
    };
    let text = complaint(&groups, &target);
    assert!(text.starts_with("MQTT has no queue groups"), "{text}");
    let text = complaint(&requests, &target);
    assert!(text.starts_with("MQTT has no request"), "{text}");
}
