//! Configuration files, seen from outside: verdict, digest and error text of each file in `tests/config`, beside those of
//! the real `nats-server` if there is one on the path.
//!
//! The first line of a file says what is expected of it:
//!
//! | | here | nats-server |
//! |---|---|---|
//! | `valid` | valid, with the same digest | valid |
//! | `invalid` | refused | refused |
//! | `stricter` | refused: it could not run, or would not do what it says | valid |
//! | `lenient` | valid | refused |
//! | `unsupported` | refused by name | valid |
//! | `unbearable` | refused | not asked: it does not survive the file, or leaves its verdict to chance |
//!
//! A file `X.txt` beside `X.conf` is what we print for it, in full. `UPDATE_EXPECTED=1` writes those that exist anew.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

const BROKER: &str = env!("CARGO_BIN_EXE_trunkline");
const ENVIRONMENT: [(&str, &str); 3] = [
    ("TRUNKLINE_TEST_PORT", "4222"),
    (
        "TRUNKLINE_TEST_NAME",
        "\"from-the-environment\" # a comment",
    ),
    ("TRUNKLINE_TEST_SIZE", "2MB"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

/// Runs `program` in the folder of the files, to its end.
fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .current_dir(folder())
        .envs(ENVIRONMENT)
        .output()
        .expect("the program runs")
}

/// The exit code, and standard error without the program's name.
fn checked(program: &str, file: &str) -> (Option<i32>, String) {
    let output = run(program, &["-t", "-c", file]);
    assert!(output.stdout.is_empty(), "{program} {file}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, text) = text.split_once(": ").expect("the program's name in front");
    (output.status.code(), text.to_owned())
}

fn reference() -> Option<&'static str> {
    let found = Command::new("nats-server")
        .arg("-v")
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("no nats-server on the path: not compared");
    }
    found.then_some("nats-server")
}

fn files() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("a folder of files");
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".conf"))
        .collect();
    names.sort();
    assert!(names.len() > 200, "only {} files", names.len());
    names
}

fn expected(file: &str) -> String {
    let text = fs::read_to_string(folder().join(file)).expect("a readable file");
    let first = text.lines().next().unwrap_or_default();
    let verdict = first.strip_prefix("# expect: ");
    verdict
        .unwrap_or_else(|| panic!("{file}: no verdict"))
        .to_owned()
}

#[test]
fn verdicts_are_those_of_nats_server() {
    let reference = reference();
    let files = files();
    // Most of the time is the start of processes: a few of them at a time.
    let faults: Vec<String> = thread::scope(|scope| {
        let parts: Vec<_> = files
            .chunks(files.len().div_ceil(WORKERS))
            .map(|part| {
                scope.spawn(move || {
                    let faults = part
                        .iter()
                        .flat_map(|file| faults_of_verdict(file, reference));
                    faults.collect::<Vec<String>>()
                })
            })
            .collect();
        let faults = parts
            .into_iter()
            .map(|part| part.join().expect("its faults"));
        faults.flatten().collect()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

const WORKERS: usize = 4;

/// What nats-server says of a file. It goes through its maps in any order, and of a few files it says now this, now that.
fn asked_until(reference: &str, file: &str, wanted: i32) -> (Option<i32>, String) {
    let mut verdict = checked(reference, file);
    for _ in 0..20 {
        if verdict.0 == Some(wanted) {
            break;
        }
        verdict = checked(reference, file);
    }
    verdict
}

/// What is not as the first line of the file says.
fn faults_of_verdict(file: &str, reference: Option<&str>) -> Vec<String> {
    let mut faults = Vec::new();
    let verdict = expected(file);
    let (code, text) = checked(BROKER, file);
    let (ours, theirs) = match verdict.as_str() {
        "valid" => (0, Some(0)),
        "invalid" => (1, Some(1)),
        "stricter" | "unsupported" => (1, Some(0)),
        "lenient" => (0, Some(1)),
        "unbearable" => (1, None),
        other => panic!("{file}: what is {other}?"),
    };
    if code != Some(ours) {
        faults.push(format!("{file}: {verdict}, but {code:?} {text}"));
    }
    if verdict == "unsupported" && !text.contains("not supported yet") {
        faults.push(format!("{file}: not refused by name: {text}"));
    }
    if let (Some(reference), Some(theirs)) = (reference, theirs) {
        let (code, their_text) = asked_until(reference, file, theirs);
        if code != Some(theirs) {
            faults.push(format!("{file}: nats-server says {code:?} {their_text}"));
        }
        if verdict == "valid" && text != their_text {
            faults.push(format!("{file}: {text} is not {their_text}"));
        }
    }
    faults
}

#[test]
fn mistakes_are_told_with_their_line() {
    let mut compared = 0;
    for file in files() {
        let path = folder().join(&file).with_extension("txt");
        let Ok(expected) = fs::read_to_string(&path) else {
            continue;
        };
        let (_, text) = checked(BROKER, &file);
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&path, &text).expect("a file that can be written");
        } else {
            assert_eq!(text, expected, "{file}");
        }
        compared += 1;
    }
    assert!(compared >= 30, "only {compared} texts");
}

#[test]
fn files_that_cannot_be_read_are_told_as_by_nats_server() {
    for words in [
        &["-t"][..],
        &["-t", "-c", ""],
        &["-t", "-c", "nowhere.conf"],
        &["-c", "nowhere.conf"],
        &["-c", "/"],
    ] {
        let ours = run(BROKER, words);
        assert_eq!(ours.status.code(), Some(1), "{words:?}");
        let text = String::from_utf8_lossy(&ours.stderr).replace("trunkline: ", "nats-server: ");
        if let Some(reference) = reference() {
            let theirs = run(reference, words);
            assert_eq!(text, String::from_utf8_lossy(&theirs.stderr), "{words:?}");
        }
    }
    let endless = run(BROKER, &["-t", "-c", "/dev/zero"]);
    let text = String::from_utf8_lossy(&endless.stderr).into_owned();
    assert!(text.contains("longer than 8 MiB"), "{text}");
}

/// The tables between the two marks of the page are made from the table of options.
#[test]
fn the_documentation_names_every_option() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let page = fs::read_to_string(&path).expect("a page");
    let (before, rest) = page.split_once(BEGIN).expect("a mark before the tables");
    let (tables, after) = rest.split_once(END).expect("a mark behind the tables");
    let made = format!("\n{}\n", trunkline::config::reference::reference());
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        let page = format!("{before}{BEGIN}{made}{END}{after}");
        fs::write(&path, page).expect("a page that can be written");
    } else {
        let hint = "UPDATE_EXPECTED=1 cargo test --test config_files writes it anew";
        assert_eq!(tables, made, "docs/configuration.md is not current: {hint}");
    }
}

const BEGIN: &str = "<!-- Made from the table in src/config/table.rs: do not edit. -->\n";
const END: &str = "<!-- End of what is made. -->\n";

/// What a server with these words says about itself until it is ready, in one text.
fn started(words: &[&str]) -> String {
    let mut child = Command::new(BROKER)
        .args(words)
        .current_dir(folder())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let log = BufReader::new(child.stderr.take().expect("a piped log"));
    let mut said = String::new();
    for line in log.lines().map_while(Result::ok) {
        said.push_str(&line);
        said.push('\n');
        if line.contains("Server is ready") {
            break;
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    said
}

#[test]
fn flags_win_over_the_file_whatever_their_order() {
    for words in [
        &["-c", "running.conf", "-p", "-1", "-T=false"][..],
        &["-p", "-1", "-T=false", "-c", "running.conf"],
    ] {
        let said = started(words);
        assert!(said.contains("Server is ready"), "{said}");
        assert!(
            said.contains("[INF] Using configuration file: running.conf (sha256:"),
            "{said}"
        );
        assert!(said.contains("Name:     from-the-file"), "{said}");
        assert!(!said.contains("127.0.0.1:1\n"), "{said}");
        // The old form of durations is a warning, and no reason not to start.
        assert!(
            said.starts_with("running.conf:6:1: invalid use of field \"ping_interval\": "),
            "{said}"
        );
    }
}
