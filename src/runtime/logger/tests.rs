//! The log's lines, its behaviour at its limits, and its files.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

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

fn line(form: &mut Form, level: Level, text: &str) -> String {
    let mut block = String::new();
    let when = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 12_345_678);
    form.push_line(&mut block, when, level, text);
    block
}

#[test]
fn lines_look_like_those_of_nats_server() {
    let mut form = Form {
        pid: 42,
        stamp: Some(Stamp::new(true)),
        coloured: false,
    };
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
fn a_stuck_reader_costs_lines_and_not_time() {
    let (orders_in, orders) = sync_channel(4);
    let shared = Arc::new(Shared::default());
    let logger = Logger {
        queue: orders_in,
        shared: Arc::clone(&shared),
    };
    for number in 0..10 {
        info(&logger, &format!("{number}"));
    }
    logger.log(Record::new(Level::Info, "x".repeat(QUEUE_BYTES_MAX + 1)));
    assert_eq!(shared.dropped_lines.load(Ordering::Relaxed), 7);
    assert_eq!(shared.queued_bytes.load(Ordering::Relaxed), 4);

    let directory = directory("stuck");
    let path = directory.join("log");
    let output = Output::File(LogFile::open(&path, 0).unwrap());
    let form = Form {
        pid: 1,
        stamp: None,
        coloured: false,
    };
    let writer = Writer {
        orders,
        shared,
        output,
        form,
        block: String::new(),
    };
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
