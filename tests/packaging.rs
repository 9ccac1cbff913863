//! What packages bring to a machine: the configuration they install is valid on both servers, and the unit asks systemd for things that exist.

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
fn the_installed_configuration_is_valid() {
    let launches = [
        Launch::trunkline(1),
        Launch::nats_server().expect("nats-server"),
    ];
    for launch in launches {
        let (is_valid, said) = verdict(&launch, &packaged("trunkline.conf"));
        assert!(is_valid, "{said}");
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
