//! What packages and images bring to a machine: their configuration is valid on both servers, the unit asks systemd for things that exist, and the
//! image has what those expect who come from nats-server's. What needs systemd itself or containers is in `scripts/packaging/check`.

// The rules on clocks, sockets and threads are for the broker, not for those who talk to it from outside.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

mod support;

use support::{Folder, Launch};

fn packaged(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/packaging");
    folder.join(name)
}

/// What is commented out, too: an option that is offered must work when its `# ` is taken away.
fn with_all_it_offers(config: &str) -> String {
    let uncommented = |line: &str| {
        let offered = line.strip_prefix("# ").unwrap_or_default();
        let is_option = offered.starts_with([' ', '}', ']'])
            || offered.split_once([':', '{']).is_some_and(|(key, _)| {
                let is_key = |c: char| c.is_ascii_lowercase() || c == '_';
                !key.is_empty() && key.trim_end().chars().all(is_key)
            });
        if is_option {
            offered.to_owned()
        } else {
            line.to_owned()
        }
    };
    config
        .lines()
        .map(|line| uncommented(line) + "\n")
        .collect()
}

fn verdict(launch: &Launch, config: &Path) -> (bool, String) {
    let mut command = launch.command();
    let output = command
        .arg("-t")
        .arg("-c")
        .arg(config)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said)
}

#[test]
fn the_installed_configurations_are_valid() {
    for config in ["trunkline.conf", "image.conf"] {
        let launches = [
            Launch::trunkline(1),
            Launch::nats_server().expect("nats-server"),
        ];
        for launch in launches {
            let (is_valid, said) = verdict(&launch, &packaged(config));
            assert!(is_valid, "{config}: {said}");
        }
    }
}

#[test]
fn what_the_installed_configuration_offers_is_valid() {
    let config = fs::read_to_string(packaged("trunkline.conf")).expect("a file");
    let whole = with_all_it_offers(&config);
    for offered in [
        "\nauthorization {",
        "\nlame_duck_duration: \"2m\"",
        "\nlog_file:",
        "\naccounts {",
        "\ntls {",
    ] {
        assert!(whole.contains(offered), "{offered} is not in {whole}");
    }
    // Users are in one of these places, and the certificates are not here.
    let folder = Folder::create().expect("a folder");
    for left_out in ["accounts", "authorization"] {
        let config = without_block(&without_block(&whole, left_out), "tls");
        let file = folder.path().join("trunkline.conf");
        fs::write(&file, config).expect("written");
        for launch in [
            Launch::trunkline(1),
            Launch::nats_server().expect("nats-server"),
        ] {
            let (is_valid, said) = verdict(&launch, &file);
            assert!(is_valid, "{said}");
        }
    }
}

/// Without the lines from `name {` to the brace that stands alone.
fn without_block(config: &str, name: &str) -> String {
    let begins = format!("{name} {{");
    let mut is_inside = false;
    let mut rest = String::new();
    for line in config.lines() {
        is_inside |= line.starts_with(&begins);
        if !is_inside {
            rest.push_str(line);
            rest.push('\n');
        }
        is_inside &= line != "}";
    }
    rest
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let folder = Folder::create().expect("a folder");
    let unit = fs::read_to_string(packaged("trunkline.service")).expect("a file");
    // Nothing is installed here: the program stands elsewhere, and there is no manual.
    let unit = unit
        .replace("/usr/bin/trunkline", env!("CARGO_BIN_EXE_trunkline"))
        .replace("Documentation=", "#");
    let file = folder.path().join("trunkline.service");
    fs::write(&file, &unit).expect("written");
    for wanted in [
        "Type=notify",
        "WatchdogSec=",
        "LimitMEMLOCK=",
        "KillSignal=SIGUSR2",
    ] {
        assert!(unit.contains(&format!("\n{wanted}")), "{wanted}");
    }
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&file)
        .output();
    match verified {
        Ok(output) => assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => eprintln!("systemd-analyze is missing, so the unit is not verified: {error}"),
    }
}

/// `systemd-analyze verify` does not see it: the unit would start, and no reload would ever reach the broker.
#[test]
fn what_the_unit_runs_has_no_variable_inside_a_word() {
    let unit = fs::read_to_string(packaged("trunkline.service")).expect("a file");
    let commands = unit.lines().filter(|line| line.starts_with("Exec"));
    let words: Vec<&str> = commands.flat_map(str::split_whitespace).collect();
    assert!(words.iter().any(|word| word.contains("${MAINPID}")));
    for word in words {
        let bare = word.find('$').filter(|at| !word[*at..].starts_with("${"));
        assert!(
            matches!(bare, None | Some(0)),
            "systemd leaves {word} as it is"
        );
    }
}

#[test]
fn the_package_s_changelog_begins_with_this_version() {
    let changelog = fs::read_to_string(packaged("changelog")).expect("a file");
    let begins = format!("trunkline ({}-", env!("CARGO_PKG_VERSION"));
    assert!(changelog.starts_with(&begins), "{changelog}");
}

/// What it is built with, where it listens, and where nats-server's images have their configuration.
#[test]
fn the_image_has_what_the_sources_and_its_users_expect() {
    let dockerfile = fs::read_to_string(packaged("Dockerfile")).expect("a file");
    let line = |begins: &str| {
        let lines = dockerfile
            .lines()
            .filter_map(|line| line.strip_prefix(begins));
        lines.collect::<Vec<_>>()
    };
    let oldest = env!("CARGO_PKG_RUST_VERSION")
        .split('.')
        .map(str::parse::<u32>);
    let oldest: Vec<u32> = oldest.map(|number| number.expect("a number")).collect();
    let toolchain = line("FROM rust:")[0].split_once("-bookworm AS build");
    let toolchain = toolchain
        .expect("Debian's release, so that the C library is known")
        .0;
    let toolchain = toolchain
        .split('.')
        .map(|number| number.parse().expect("a number"));
    assert!(toolchain.collect::<Vec<u32>>() >= oldest, "{dockerfile}");
    assert_eq!(line("EXPOSE "), ["4222 8222"]);
    assert_eq!(line("CMD "), ["[\"-c\", \"/etc/nats/nats-server.conf\"]"]);
    let user = line("USER ")[0].split_once(':').expect("user and group").0;
    assert!(user.parse::<u32>().expect("a number") > 0);
    let config = fs::read_to_string(packaged("image.conf")).expect("a file");
    for port in ["port: 4222", "monitor_port: 8222"] {
        assert!(config.lines().any(|line| line == port), "{config}");
    }
}

/// A profile as Podman's: io_uring is forbidden by not being there, or by a rule.
#[test]
fn a_seccomp_profile_is_made_to_allow_io_uring() {
    let folder = Folder::create().expect("a folder");
    let file = folder.path().join("default.json");
    let profile = r#"{ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [
        { "names": ["read", "write"], "action": "SCMP_ACT_ALLOW" },
        { "names": ["io_uring_setup", "bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1 },
        { "names": ["io_uring_enter"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1 } ] }"#;
    fs::write(&file, profile).expect("written");
    let make = || {
        let mut command = Command::new(packaged("seccomp-profile"));
        command.arg(&file).output().expect("it runs")
    };
    let made = make();
    let text = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{text}");
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect("JSON");
    let allowed = ["io_uring_enter", "io_uring_register", "io_uring_setup"];
    let expected = serde_json::json!({ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [
        { "names": ["read", "write"], "action": "SCMP_ACT_ALLOW" },
        { "names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1 },
        { "names": allowed, "action": "SCMP_ACT_ALLOW" } ] });
    assert_eq!(made, expected);
    // Something else than a profile is refused, and nothing is written that could be taken for one.
    fs::write(&file, "{}").expect("written");
    let refused = make();
    assert!(!refused.status.success() && refused.stdout.is_empty());
}
