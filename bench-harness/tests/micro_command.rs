//! `trunkline-bench micro` from end to end, with stand-ins for the programs that count: what it says about missing tools,
//! how it judges, and when a baseline changes. What cargo and callgrind really print, `scripts/micro` shows.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bench_harness::micro::{Arguments, run_in};
use tempfile::TempDir;

/// A clone with nothing in it but what `micro` looks for, and a folder of programs.
struct Clone {
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// One test at a time: while one writes a program, a process that another is about to start would hold the file open, and
/// what is open for writing cannot be run.
static TURN: Mutex<()> = Mutex::new(());

impl Clone {
    fn new() -> Clone {
        let folder = tempfile::tempdir().expect("a folder");
        let clone = Clone {
            folder,
            _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner),
        };
        clone.file("bench-harness/benches/micro/main.rs", "");
        clone.file("bench-harness/baselines/.keep", "");
        clone.file("src/base/mod.rs", "");
        let lock = "[[package]]\nname = \"gungraun\"\nversion = \"0.20.0\"\n";
        clone.file("Cargo.lock", lock);
        clone.program("valgrind", "echo valgrind-3.19.0");
        clone.program("gungraun-runner", "echo gungraun-runner 0.20.0");
        clone.compiler("1.95.0");
        clone.counts(&[
            ("publish", "one_to_one_16", 545_073),
            ("parse", "pub_16", 88_186),
        ]);
        clone
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("in the folder")).expect("a folder");
        fs::write(&path, text).expect("written");
        path
    }

    fn program(&self, name: &str, does: &str) {
        let path = self.file(&format!("bin/{name}"), &format!("#!/bin/sh\n{does}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("made executable");
    }

    fn compiler(&self, version: &str) {
        let says = format!("echo 'rustc {version}'; echo 'host: x86_64-unknown-linux-gnu'");
        self.program("rustc", &says);
    }

    /// From now on these are counted: group, id, instructions of 1,000 operations. What cargo is asked for goes to a file.
    fn counts(&self, counts: &[(&str, &str, u64)]) {
        let line = |(group, id, instructions): &(&str, &str, u64)| {
            format!(
                r#"{{"group":"{group}","id":"{id}","output_dir":"/out/{id}","profiles":[{{"data":{{"total":{{"metrics":{{"Ir":{{"values":{{"new":{instructions}}}}}}}}}}}}}]}}"#
            )
        };
        let lines: Vec<String> = counts.iter().map(line).collect();
        let log = self.path("asked");
        let does = format!(
            "echo \"$PWD $*\" > '{}'\ncat <<'END'\n{}\nEND",
            log.display(),
            lines.join("\n")
        );
        self.program("cargo", &does);
    }

    /// Whether all is well, and what was printed; or the error.
    fn micro(&self, arguments: &Arguments) -> Result<(bool, String), String> {
        let mut out = Vec::new();
        let (folder, path) = (self.path("src/base"), self.path("bin"));
        // The stand-ins need a few programs of their own.
        let path = format!("{}:/usr/bin:/bin", path.display());
        let is_good = run_in(&folder, path.as_ref(), arguments, &mut out)
            .map_err(|error| error.to_string())?;
        Ok((is_good, String::from_utf8(out).expect("text")))
    }

    fn baseline(&self) -> String {
        fs::read_to_string(self.path("bench-harness/baselines/micro.toml")).expect("a baseline")
    }
}

fn judge() -> Arguments {
    Arguments::default()
}

fn update(because: Option<&str>) -> Arguments {
    Arguments {
        update: true,
        because: because.map(str::to_owned),
        ..Arguments::default()
    }
}

/// Those that hold what a line of the table must hold.
#[track_caller]
fn assert_line(text: &str, parts: &[&str]) {
    let holds = |line: &str| parts.iter().all(|part| line.contains(part));
    assert!(text.lines().any(holds), "no line with {parts:?} in\n{text}");
}

#[test]
fn a_rise_fails_until_it_is_explained() {
    let clone = Clone::new();
    let (is_good, text) = clone.micro(&judge()).expect("counted");
    assert!(!is_good, "without a baseline nothing holds");
    assert_line(&text, &["publish/one-to-one-16", "545.1", "NO BASELINE"]);
    clone.micro(&update(None)).expect("new ones need no reason");
    let (is_good, text) = clone.micro(&judge()).expect("counted");
    assert!(is_good);
    assert_line(
        &text,
        &["publish/one-to-one-16", "545.1", "+0.00 %", "same"],
    );

    clone.counts(&[
        ("publish", "one_to_one_16", 562_000),
        ("parse", "pub_16", 80_000),
    ]);
    let (is_good, text) = clone.micro(&judge()).expect("counted");
    assert!(!is_good);
    assert_line(&text, &["publish/one-to-one-16", "+3.11 %", "WORSE"]);
    assert_line(&text, &["parse/pub-16", "-9.28 %", "better"]);
    assert_line(&text, &["callgrind_annotate", "/out/one_to_one_16"]);

    let before = clone.baseline();
    let error = clone.micro(&update(None)).expect_err("no reason given");
    assert!(error.contains("publish/one-to-one-16: +3.1 %"), "{error}");
    assert_eq!(clone.baseline(), before, "nothing is written then");
    let error = clone.micro(&update(Some("slower"))).expect_err("no reason");
    assert!(error.contains("a sentence"), "{error}");
    let because = update(Some("Subjects are checked once more"));
    clone.micro(&because).expect("explained");
    assert!(clone.baseline().contains("Subjects are checked once more"));
    assert!(clone.micro(&judge()).expect("counted").0);
}

#[test]
fn a_benchmark_that_has_gone_is_noticed_by_whole_runs() {
    let clone = Clone::new();
    clone.micro(&update(None)).expect("a baseline");
    clone.counts(&[("parse", "pub_16", 88_186)]);
    let (is_good, text) = clone.micro(&judge()).expect("counted");
    assert!(!is_good);
    assert_line(&text, &["publish/one-to-one-16", "GONE"]);
    let part = Arguments {
        benchmarks: Some("parse".to_owned()),
        ..judge()
    };
    let (is_good, text) = clone.micro(&part).expect("counted");
    assert!(is_good && !text.contains("publish"), "{text}");
    let asked = fs::read_to_string(clone.path("asked")).expect("cargo was asked");
    assert!(asked.contains("micro::parse::*"), "{asked}");
}

#[test]
fn with_another_compiler_there_is_no_verdict() {
    let clone = Clone::new();
    clone.micro(&update(None)).expect("a baseline");
    clone.compiler("1.96.0");
    clone.counts(&[
        ("publish", "one_to_one_16", 900_000),
        ("parse", "pub_16", 88_186),
    ]);
    let (is_good, text) = clone.micro(&judge()).expect("counted");
    assert!(is_good);
    assert_line(&text, &["publish/one-to-one-16", "900.0", "not comparable"]);
    assert_line(
        &text,
        &["No verdict", "rustc 1.96.0 here, rustc 1.95.0 there"],
    );
}

#[test]
fn another_baseline_compares_two_commits() {
    let clone = Clone::new();
    let file = clone.path("old.toml");
    let with_file = |arguments: Arguments| Arguments {
        baseline: Some(file.clone()),
        ..arguments
    };
    clone
        .micro(&with_file(update(None)))
        .expect("the old commit's");
    assert!(!clone.path("bench-harness/baselines/micro.toml").exists());
    clone.counts(&[
        ("publish", "one_to_one_16", 400_000),
        ("parse", "pub_16", 88_186),
    ]);
    let (is_good, text) = clone.micro(&with_file(judge())).expect("counted");
    assert!(is_good);
    assert_line(&text, &["publish/one-to-one-16", "-26.62 %", "better"]);
}

#[test]
fn missing_programs_are_named_with_their_remedy() {
    let clone = Clone::new();
    fs::remove_file(clone.path("bin/gungraun-runner")).expect("it was there");
    let mut out = Vec::new();
    let only = clone.path("bin");
    let error = |folder: &Path, out: &mut Vec<u8>| {
        run_in(folder, only.as_os_str(), &judge(), out)
            .expect_err("it cannot count")
            .to_string()
    };
    fs::remove_file(clone.path("bin/valgrind")).expect("it was there");
    let text = error(clone.folder.path(), &mut out);
    assert!(
        text.contains("valgrind is not installed: apt-get install valgrind"),
        "{text}"
    );
    let install = "cargo install gungraun-runner --version 0.20.0 --locked";
    assert!(
        text.contains(install) && text.contains("scripts/micro"),
        "{text}"
    );

    clone.program("valgrind", "echo valgrind-3.19.0");
    clone.program("gungraun-runner", "echo gungraun-runner 0.19.2");
    let text = error(clone.folder.path(), &mut out);
    assert!(text.contains("0.19.2") && text.contains(install), "{text}");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let text = error(elsewhere.path(), &mut out);
    assert!(text.contains("not in one"), "{text}");
    assert!(out.is_empty());
}

#[test]
fn a_run_that_fails_or_finds_nothing_is_no_good_news() {
    let clone = Clone::new();
    clone.program("cargo", "exit 101");
    let error = clone.micro(&judge()).expect_err("cargo failed");
    assert!(error.contains("cargo bench failed"), "{error}");
    clone.program("cargo", "true");
    let error = clone.micro(&judge()).expect_err("no counts");
    assert!(error.contains("no counts"), "{error}");
    let part = Arguments {
        benchmarks: Some("sessions".to_owned()),
        ..judge()
    };
    let error = clone.micro(&part).expect_err("no such benchmark");
    assert!(error.contains("`sessions`"), "{error}");
    clone.file("bench-harness/baselines/micro.toml", "[circumstances]\n");
    let error = clone.micro(&judge()).expect_err("half a baseline");
    assert!(error.contains("micro.toml"), "{error}");
}
