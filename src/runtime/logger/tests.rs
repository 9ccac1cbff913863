//! The log's lines, its behaviour at its limits, and its files.

use std::fs;
use std::path::{Path, PathBuf};

use super::line::Stamp;
use super::log_file::LogFile;
use super::*;
use crate::base::ids::ClientNumber;
use crate::base::log::{About, Line, Party};
use crate::base::origin::Origin;
use crate::config::LogFormat;

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("trunkline-log-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn options(log_file: &Path) -> Options {
    Options {
        log_file: Some(log_file.to_owned()),
        logtime: false,
        ..Options::default()
    }
}

fn info(logger: &Logger, text: &str) {
    logger.log(Record::new(Level::Info, text));
}

fn form(format: LogFormat) -> Form {
    Form {
        pid: 42,
        stamp: Some(Stamp::new(true)),
        coloured: false,
        format,
    }
}

fn line(form: &mut Form, shard: Option<ShardId>, record: Record) -> String {
    let mut block = String::new();
    let when = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 12_345_678);
    let entry = Entry {
        when,
        shard,
        record,
    };
    form.push_line(&mut block, &entry);
    block
}

#[test]
fn lines_look_like_those_of_nats_server() {
    let mut form = form(LogFormat::Text);
    let line = |form: &mut Form, level, text: &str| line(form, None, Record::new(level, text));
    assert_eq!(
        line(&mut form, Level::Info, "Server is ready"),
        "[42] 2001/09/09 01:46:40.012345 [INF] Server is ready\n"
    );
    form.stamp = None;
    assert_eq!(line(&mut form, Level::Warn, "text\n"), "[42] [WRN] text\n");
    form.coloured = true;
    assert_eq!(
        line(&mut form, Level::Trace, "x"),
        "[42] [\x1b[33mTRC\x1b[0m] x\n"
    );
    form.coloured = false;
    assert_eq!(
        line(
            &mut form,
            Level::Trace,
            "<<- [SUB a.\x1b[31m\0\u{9b}\tü 1]\nmore"
        ),
        "[42] [TRC] <<- [SUB a.\\x1b[31m\\x00\\x9b\tü 1]\nmore\n"
    );
}

#[test]
fn lines_may_be_objects() {
    let mut form = form(LogFormat::Json);
    form.coloured = true;
    assert_eq!(
        line(
            &mut form,
            None,
            Record::new(Level::Info, "Server is \"ready\"\n")
        ),
        concat!(
            r#"{"time":"2001-09-09T01:46:40.012345Z","level":"info","pid":42,"#,
            r#""message":"Server is \"ready\""}"#,
            "\n"
        )
    );
    let party = Party {
        shown: "\"v1:go:name\" - \"ACME/user:bob\"".to_owned(),
        program: "v1:go:name".to_owned(),
        account: "ACME".to_owned(),
        user: "bob".to_owned(),
    };
    let prefix = "127.0.0.1:5 - cid:7 - \"v1:go:name\" - \"ACME/user:bob\" - ";
    let about = |party| About {
        number: ClientNumber(7),
        origin: Origin::Network("127.0.0.1:5".parse().unwrap()),
        party,
        prefix: prefix.len(),
    };
    let said = |party| Line::about(about(party), format!("{prefix}two\nlines"));
    let shard = Some(ShardId(1));
    form.stamp = None;
    assert_eq!(
        line(
            &mut form,
            shard,
            Record::new(Level::Error, said(Some(Arc::new(party))))
        ),
        concat!(
            r#"{"level":"error","pid":42,"shard":1,"kind":"client","cid":7,"address":"127.0.0.1:5","#,
            r#""account":"ACME","user":"bob","program":"v1:go:name","message":"two\nlines"}"#,
            "\n"
        )
    );
    assert_eq!(
        line(&mut form, shard, Record::new(Level::Debug, said(None))),
        concat!(
            r#"{"level":"debug","pid":42,"shard":1,"kind":"client","cid":7,"address":"127.0.0.1:5","#,
            r#""message":"two\nlines"}"#,
            "\n"
        )
    );
}

#[test]
fn objects_carry_the_offset_of_the_zone() {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(-3));
    let stamp = Stamp::in_zone(zone);
    let when = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 0);
    assert_eq!(stamp.rfc_3339(when), "2001-09-08T22:46:40.000000-03:00");
}

#[test]
fn levels_filter_and_can_be_changed() {
    let directory = directory("levels");
    let path = directory.join("log");
    let logger = Logger::start(&options(&path)).unwrap();
    assert!(logger.enabled(Level::Info) && !logger.enabled(Level::Debug));
    logger.log(Record::new(Level::Debug, "unseen"));
    logger.set_levels(true, false);
    assert!(logger.enabled(Level::Debug) && !logger.enabled(Level::Trace));
    logger.log(Record::new(Level::Debug, "seen"));
    logger.flush_and_stop();
    let pid = std::process::id();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        format!("[{pid}] [DBG] seen\n")
    );
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_moved_file_is_begun_anew() {
    let directory = directory("reopen");
    let (path, aside) = (directory.join("log"), directory.join("aside"));
    fs::write(&path, "kept\n").unwrap();
    let logger = Logger::start(&options(&path)).unwrap();
    info(&logger, "first");
    while !fs::read_to_string(&path).unwrap().ends_with("first\n") {
        thread::sleep(STOP_RETRY);
    }
    fs::rename(&path, &aside).unwrap();
    logger.reopen();
    while !path.exists() {
        thread::sleep(STOP_RETRY);
    }
    info(&logger, "second");
    logger.flush_and_stop();
    assert!(fs::read_to_string(&aside).unwrap().starts_with("kept\n"));
    let texts: Vec<String> = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(|line| line.split_once("[INF] ").unwrap().1.to_owned())
        .collect();
    assert_eq!(texts, ["File log re-opened", "second"]);
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_file_over_its_limit_is_set_aside() {
    let directory = directory("rotate");
    let path = directory.join("log");
    let limited = Options {
        log_size_limit: 1000,
        ..options(&path)
    };
    let logger = Logger::start(&limited).unwrap();
    for number in 0..100 {
        info(&logger, &format!("line {number:03} {}", "x".repeat(80)));
    }
    logger.flush_and_stop();
    let mut files: Vec<PathBuf> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 5, "{files:?}");
    assert!(
        files
            .iter()
            .all(|file| fs::metadata(file).unwrap().len() < 1200),
        "{files:?}"
    );
    let all: String = files[1..]
        .iter()
        .chain(&files[..1])
        .map(|f| fs::read_to_string(f).unwrap())
        .collect();
    let numbers: Vec<&str> = all
        .lines()
        .filter_map(|line| line.split_once("line "))
        .map(|l| &l.1[..3])
        .collect();
    assert_eq!(numbers.len(), 100);
    assert!(numbers.is_sorted() && all.contains("Rotated log, backup saved as \""));
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn no_more_files_are_kept_than_there_may_be() {
    let directory = directory("purge");
    let path = directory.join("log");
    let mine = [
        "log.old",
        "log.2020.01.01.00.00.00.gz",
        "other.2020.01.01.00.00.00.000000000",
    ];
    let aside = [
        "log.2020.01.01.00.00.00.000000001",
        "log.2020.01.01.00.00.00",
    ];
    for name in mine.iter().chain(&aside) {
        fs::write(directory.join(name), "kept?").unwrap();
    }
    // What cannot be removed as a file is none of ours either.
    fs::create_dir(directory.join("log.2020.01.01.00.00.00.5")).unwrap();
    let limited = Options {
        log_size_limit: 1000,
        log_files_max: 3,
        ..options(&path)
    };
    let logger = Logger::start(&limited).unwrap();
    for number in 0..100 {
        info(&logger, &format!("line {number:03} {}", "x".repeat(80)));
    }
    logger.flush_and_stop();
    for name in mine.iter().chain(&["log.2020.01.01.00.00.00.5"]) {
        assert!(directory.join(name).exists(), "{name}");
    }
    let names = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let backups: Vec<String> = names
        .filter(|name| name.starts_with("log.2") && !name.starts_with("log.2020"))
        .collect();
    assert_eq!(backups.len(), 2, "{backups:?}");
    assert!(aside.iter().all(|name| !directory.join(name).exists()));
    let last = fs::read_to_string(
        backups
            .iter()
            .max()
            .map(|name| directory.join(name))
            .unwrap(),
    );
    assert!(last.unwrap().contains("[INF] Purged log file \"log.2"));
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_file_that_is_too_large_already_is_set_aside_at_once() {
    let directory = directory("large");
    let path = directory.join("log");
    fs::write(&path, "x".repeat(2000)).unwrap();
    let limited = Options {
        log_size_limit: 1000,
        ..options(&path)
    };
    let logger = Logger::start(&limited).unwrap();
    info(&logger, "first");
    info(&logger, "second");
    logger.flush_and_stop();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
    let new = fs::read_to_string(&path).unwrap();
    assert!(
        new.contains("Rotated log") && new.contains("second"),
        "{new}"
    );
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_full_disk_costs_lines_and_they_are_counted() {
    let directory = directory("full");
    let path = directory.join("log");
    let logger = Logger::start(&options(Path::new("/dev/full"))).unwrap();
    for number in 0..3 {
        info(&logger, &format!("lost {number}"));
    }
    // Room again, so to speak.
    let change = Logger::prepare(&options(&path)).unwrap();
    logger.change(change);
    info(&logger, "kept");
    logger.flush_and_stop();
    let pid = std::process::id();
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(
        written,
        format!("[{pid}] [INF] kept\n[{pid}] [WRN] Log could not keep up: 3 lines dropped\n")
    );
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_stuck_reader_costs_lines_and_not_time() {
    let (orders_in, orders) = sync_channel(4);
    let shared = Arc::new(Shared::default());
    let logger = Logger {
        queue: orders_in,
        shared: Arc::clone(&shared),
        shard: None,
    };
    for number in 0..10 {
        info(&logger, &format!("{number}"));
    }
    logger.log(Record::new(Level::Info, "x".repeat(QUEUE_BYTES_MAX + 1)));
    assert_eq!(shared.dropped_lines.load(Ordering::Relaxed), 7);
    assert_eq!(shared.queued_bytes.load(Ordering::Relaxed), 4);

    let directory = directory("stuck");
    let path = directory.join("log");
    let output = Output::File(LogFile::open(&path, 0, 0).unwrap());
    let form = Form {
        pid: 1,
        stamp: None,
        coloured: false,
        format: LogFormat::Text,
    };
    let writer = Writer::new(orders, shared, output, form);
    drop(logger);
    writer.run();
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(
        written,
        "[1] [INF] 0\n[1] [INF] 1\n[1] [INF] 2\n[1] [INF] 3\n\
         [1] [WRN] Log could not keep up: 7 lines dropped\n"
    );
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_file_that_cannot_be_opened_is_told_as_nats_server_tells_it() {
    let error = Logger::start(&options(Path::new("/nonexistent/x.log"))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error opening file: open /nonexistent/x.log: no such file or directory"
    );
}

#[test]
fn stopping_twice_and_logging_late_harm_nobody() {
    let directory = directory("late");
    let logger = Logger::start(&options(&directory.join("log"))).unwrap();
    logger.flush_and_stop();
    info(&logger, "late");
    logger.reopen();
    logger.flush_and_stop();
    fs::remove_dir_all(directory).unwrap();
}
