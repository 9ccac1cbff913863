//! Loads on a real Redis: everything arrives, and what goes wrong is said in words.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

mod drivers;

use bench_harness::load::{Observer, Progress, Protocol};
use bench_harness::scenario::{Exchange, Length, Rate, Scenario, Sharing, Size};
use bench_harness::server::{Server, Started};
use drivers::{
    assert_whole, complaint, gentle, hundred, run, run_watched, server, signed, started, target,
    web_server,
};
use rustix::process::{Pid, Signal, kill_process};

fn redis() -> Started {
    started(&server("redis"))
}

fn redis_with(flags: &[&str]) -> Started {
    let mut redis: Server = server("redis");
    redis.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    // A ping is answered before authentication, but not with a pong.
    redis.ready.expect = "-NOAUTH".to_owned();
    started(&redis)
}

#[test]
fn everything_arrives_at_one_and_at_each_of_four() {
    let redis = redis();
    let target = target(Protocol::Resp, redis.address);
    for subscribers in [1, 4] {
        let scenario = Scenario {
            subscribers,
            rate: Rate::Saturate,
            ..gentle(20_000)
        };
        let measurement = run(&scenario, &target).unwrap();
        assert_whole(&measurement, 20_000, u64::from(subscribers));
        let version = &measurement.server_version;
        assert!(
            version.starts_with("redis ") && version.len() > 8,
            "{version}"
        );
    }
}

#[test]
fn names_and_wildcards_each_get_their_subjects_once() {
    let redis = redis();
    let target = target(Protocol::Resp, redis.address);
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
    let redis = redis();
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
        &run(&scenario, &target(Protocol::Resp, redis.address)).unwrap(),
        3_000,
        1,
    );
}

#[test]
fn payloads_of_all_lengths_arrive() {
    let redis = redis();
    let target = target(Protocol::Resp, redis.address);
    // Redis closes a subscriber that is 32 MiB behind, so the large ones come slowly.
    for (size, messages, rate) in [
        (Size::Between(16, 70_000), 1_000, 2_000.0),
        (Size::Fixed(2 << 20), 10, 30.0),
    ] {
        let scenario = Scenario {
            size,
            rate: Rate::PerSecond(rate),
            ..gentle(messages)
        };
        assert_whole(&run(&scenario, &target).unwrap(), messages, 1);
    }
}

#[test]
fn whoever_has_no_or_the_wrong_password_is_told_so() {
    let redis = redis_with(&[
        "--requirepass",
        "word",
        "--user",
        "alice",
        "on",
        ">secret",
        "allchannels",
        "+@all",
        "--user",
        "mute",
        "on",
        ">secret",
        "allchannels",
        "+ping",
        "+subscribe",
    ]);
    let anybody = || target(Protocol::Resp, redis.address);
    let scenario = gentle(100);
    assert_whole(
        &run(&scenario, &signed(anybody(), None, Some("word"))).unwrap(),
        100,
        1,
    );
    assert_whole(
        &run(&scenario, &signed(anybody(), Some("alice"), Some("secret"))).unwrap(),
        100,
        1,
    );
    for (user, password, said) in [
        (None, None, "NOAUTH"),
        (None, Some("wrong"), "WRONGPASS"),
        (Some("alice"), Some("wrong"), "WRONGPASS"),
        (Some("alice"), None, "WRONGPASS"),
    ] {
        let text = complaint(&scenario, &signed(anybody(), user, password));
        assert!(
            text.contains("refused the connection") && text.contains(said),
            "{text}"
        );
    }
    // May come in, and may not even ask for the version, but may not publish.
    let text = complaint(&scenario, &signed(anybody(), Some("mute"), Some("secret")));
    assert!(
        text.contains("complained: NOPERM") && text.contains("publish"),
        "{text}"
    );
}

#[test]
fn a_password_that_redis_does_not_want_is_refused_by_it() {
    let redis = redis();
    let text = complaint(
        &gentle(100),
        &signed(target(Protocol::Resp, redis.address), None, Some("word")),
    );
    assert!(text.contains("without any password configured"), "{text}");
}

#[test]
fn another_kind_of_server_is_noticed() {
    let (nats, mosquitto) = (
        started(&server("nats-server")),
        started(&server("mosquitto")),
    );
    for address in [nats.address, mosquitto.address, web_server()] {
        let text = complaint(&gentle(100), &target(Protocol::Resp, address));
        assert!(
            text.contains("Redis") && text.contains(&address.to_string()),
            "{text}"
        );
    }
}

#[test]
fn what_redis_does_not_have_is_refused_before_anything_is_sent() {
    let redis = redis();
    let target = target(Protocol::Resp, redis.address);
    let groups = Scenario {
        sharing: Sharing::Groups(1),
        ..gentle(100)
    };
    let requests = Scenario {
        exchange: Exchange::Request { in_flight: 1 },
        ..gentle(100)
    };
    let text = complaint(&groups, &target);
    assert!(text.starts_with("Redis has no queue groups"), "{text}");
    let text = complaint(&requests, &target);
    assert!(text.starts_with("Redis has no request"), "{text}");
}

/// Ends the server as soon as the measurement has begun.
struct Ender(Pid);

impl Observer for Ender {
    fn measuring_begins(&mut self) {
        kill_process(self.0, Signal::KILL).unwrap();
    }
    fn progress(&mut self, _progress: Progress) {}
    fn measuring_ends(&mut self) {}
}

#[test]
fn a_server_that_ends_midway_ends_the_run() {
    let redis = redis();
    let pid = Pid::from_raw(i32::try_from(redis.pid()).unwrap()).unwrap();
    let scenario = Scenario {
        length: Length::Seconds(60.0),
        ..gentle(1)
    };
    let target = target(Protocol::Resp, redis.address);
    let text = match run_watched(&scenario, &target, &mut Ender(pid)) {
        Ok(measurement) => panic!("no error, but {:?}", measurement.verdict),
        Err(error) => error.to_string(),
    };
    assert!(text.contains("closed a connection midway"), "{text}");
}
