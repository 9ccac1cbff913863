//! Every wire dialogue in `tests/transcripts` holds for Trunkline with one shard and with two, and
//! for `nats-server`.
//!
//! The same file runs unchanged against all three: what we take for the protocol is what the real
//! server does. The format is described in `tests/transcripts/README.md`. Set `TRANSCRIPT` to a
//! part of a file name to run only those.

// The rules on clocks, sockets and threads are for the broker, not for those who talk to it from
// outside.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "transcripts/dialogue.rs"]
mod dialogue;
#[path = "transcripts/script.rs"]
mod script;
mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

use dialogue::Peer;
use script::{Script, Setting};
use support::{Launch, Server};

#[test]
fn trunkline_with_one_shard() {
    hold_for(&|settings| ours(Launch::trunkline(1), settings));
}

#[test]
fn trunkline_with_two_shards() {
    hold_for(&|settings| ours(Launch::trunkline(2), settings));
}

#[test]
fn nats_server() {
    let launch = Launch::nats_server().unwrap_or_else(|missing| panic!("{missing}"));
    hold_for(&|settings| theirs(launch.clone(), settings));
}

/// Runs every transcript against a server of its own and fails with all that did not hold.
fn hold_for(launch: &(dyn Fn(&[Setting]) -> Launch + Sync)) {
    let files = transcripts();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(failure) = hold(file, launch) {
                        let name = file
                            .file_name()
                            .unwrap_or_default()
                            .to_string_lossy()
                            .into_owned();
                        failures
                            .lock()
                            .expect("no worker panics")
                            .push(format!("{name}{failure}"));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("no worker panics");
    failures.sort();
    let report = failures.join("\n");
    assert!(
        failures.is_empty(),
        "{} of {} transcripts failed:\n{report}",
        failures.len(),
        files.len()
    );
}

fn hold(file: &Path, launch: &dyn Fn(&[Setting]) -> Launch) -> Result<(), String> {
    let text = fs::read_to_string(file).map_err(|error| format!(": {error}"))?;
    let script = Script::parse(&text)?;
    let server = launch(&script.settings)
        .start()
        .map_err(|error| format!(": {error}"))?;
    dialogue::run(&script, &server).map_err(|failure| {
        format!(
            "{failure}\n    log: {}",
            server.log().replace('\n', "\n         ")
        )
    })
}

impl Peer for Server {
    fn address(&self) -> SocketAddr {
        self.address()
    }

    fn log(&self) -> String {
        self.log()
    }

    fn reload(&self, config: &str) -> Result<bool, String> {
        self.reload(config)
    }
}

fn ours(launch: Launch, settings: &[Setting]) -> Launch {
    settings
        .iter()
        .fold(launch, |launch, setting| match setting {
            Setting::Flags(flags) | Setting::TrunklineFlags(flags) => launch.flags(flags),
            // Flags, so that the dialogues need no file: each option has one of the same
            // name.
            Setting::Option { name, value } => {
                launch.flags([format!("--{name}"), value.trim_matches('"').to_owned()])
            }
            Setting::File(line) => launch.config_line(line),
            Setting::NatsServerFlags(_) | Setting::NatsServerConfig(_) => launch,
        })
}

fn theirs(launch: Launch, settings: &[Setting]) -> Launch {
    settings
        .iter()
        .fold(launch, |launch, setting| match setting {
            Setting::Flags(flags) | Setting::NatsServerFlags(flags) => launch.flags(flags),
            Setting::Option { name, value } => launch.config_line(&format!("{name}: {value}")),
            Setting::File(line) | Setting::NatsServerConfig(line) => launch.config_line(line),
            Setting::TrunklineFlags(_) => launch,
        })
}

fn transcripts() -> Vec<PathBuf> {
    let wanted = env::var("TRANSCRIPT").unwrap_or_default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let entries = fs::read_dir(folder).expect("the folder of transcripts is there");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".txt") && name.contains(&wanted)
    });
    files.sort();
    assert!(
        !files.is_empty(),
        "no transcript has {wanted:?} in its name"
    );
    files
}

/// Transcripts mostly wait for a peer or a timer, so more of them at once than there are cores.
const WORKERS: usize = 8;

/// The runner itself: a transcript that does not hold must fail, or all of the above proves
/// nothing.
mod the_runner {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::thread;

    use crate::dialogue::{self, Peer};
    use crate::script::Script;

    #[test]
    fn accepts_what_holds() {
        assert_eq!(
            outcome("A connects\nA<info a=1 b=text c=absent\nA> PING\nA< PONG"),
            Ok(())
        );
        assert_eq!(
            outcome("A connects\nA< INFO {*}\nA>> P\\x49NG\\r\\n\nA<< PO\\x4eG\\r\\n"),
            Ok(())
        );
        assert_eq!(
            outcome(
                "A connects\nA< INFO {*}\"b\":{*}\nA.> PING\\r\\n\nA< PONG\nA silent 1ms\nA syncs"
            )
            .err(),
            None
        );
        assert_eq!(
            outcome("A connects\nA<info\nA> MSG\nshare A: 1 of MSG foo {*}"),
            Ok(())
        );
        assert_eq!(outcome("A connects\nA<info\nA> QUIT\nA< EOF"), Ok(()));
        assert_eq!(outcome("logged so{*}is\nunlogged never"), Ok(()));
        assert_eq!(
            outcome("file bad\nreload refused\nfile good\nreload"),
            Ok(())
        );
    }

    #[test]
    fn tells_the_line_that_does_not_hold() {
        for (script, failure) in [
            ("A connects\nA< PONG", ":2: A< PONG\n    got: INFO"),
            (
                "A connects\nA< INFO {*}x",
                ":2: A< INFO {*}x\n    got: INFO",
            ),
            (
                "A connects\nA<info a=2",
                ":2: A<info a=2\n    a is Some(Number(1))",
            ),
            (
                "A connects\nA<info a=text",
                ":2: A<info a=text\n    a is Some(Number(1))",
            ),
            (
                "A connects\nA<info c=number",
                ":2: A<info c=number\n    c is None",
            ),
            (
                "A connects\nA<info a=absent",
                ":2: A<info a=absent\n    a is Some(Number(1))",
            ),
            ("A connects\nA<< INFX", ":2: A<< INFX\n    got: INFO"),
            ("A connects\nA< EOF", ":2: A< EOF\n    wanted the end"),
            (
                "A connects\nA silent 200ms",
                ":2: A silent 200ms\n    wanted silence",
            ),
            (
                "A connects\nA<info\nA> QUIT\nA syncs",
                ":4: A syncs\n    the broker closed",
            ),
            (
                "A connects\nA<info\nA> QUIT\nA silent 200ms",
                ":4: A silent 200ms\n    the broker closed",
            ),
            (
                "A connects\nA<info\nA> LF\nA< LF",
                ":4: A< LF\n    this line does not end in CRLF",
            ),
            (
                "A connects\nA<info\nA> MSG\nshare A: 1 of MSG bar {*}",
                ":4: share A: 1 of MSG bar {*}\n    A: got: MSG",
            ),
            (
                "A connects\nA<info\nA> MSG\nA> MSG\nshare A: 1 of MSG {*}",
                ":5: share A: 1 of MSG {*}\n    A, after",
            ),
            (
                "A connects\nsleep 100ms",
                ": at the end, A: wanted silence, got \"INFO",
            ),
            ("A> PING", ":1: A> PING\n    A is not connected"),
            (
                "unlogged it is",
                ":1: unlogged it is\n    the log has: [ERR] so it is",
            ),
            ("file bad\nreload", ":2: reload\n    the server refused it"),
            (
                "file good\nreload refused",
                ":2: reload refused\n    the server took it",
            ),
            (
                "A connects\nA signs sig SUX {}",
                ":2: A signs sig SUX {}\n    nonce is None",
            ),
        ] {
            let found = outcome(script).expect_err(script);
            assert!(
                found.starts_with(failure),
                "{script:?} fails with {found:?}, not with {failure:?}"
            );
        }
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for script in [
            "",
            "# nothing",
            "A",
            "A PING",
            "A! PING",
            "a> PING",
            "A>> \\q",
            "A>> \\x4",
            "@servers --foo",
            "@config max_payload",
            "A silent 5",
            "sleep",
            "share A 3",
            "A<info a",
            "A<info a=b",
            "A joined",
            "A syncs now",
            "logged",
            "reload now",
            "unlogged",
            "A signs sig SUX",
        ] {
            assert!(Script::parse(script).is_err(), "{script:?} was understood");
        }
    }

    fn outcome(script: &str) -> Result<(), String> {
        dialogue::run(&Script::parse(script)?, &StandIn(stand_in()))
    }

    /// It takes every configuration but one.
    struct StandIn(SocketAddr);

    impl Peer for StandIn {
        fn address(&self) -> SocketAddr {
            self.0
        }

        fn log(&self) -> String {
            "[INF] ready\n[ERR] so it is".to_owned()
        }

        fn reload(&self, config: &str) -> Result<bool, String> {
            Ok(config != "bad\n")
        }
    }

    /// A peer of one connection that greets, answers PING, and misbehaves when told to.
    fn stand_in() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        thread::spawn(move || {
            let (mut stream, _) = listener.accept()?;
            stream.write_all(b"INFO {\"a\":1,\"b\":\"x\"}\r\n")?;
            for line in BufReader::new(stream.try_clone()?).lines() {
                match line?.as_str() {
                    "PING" => stream.write_all(b"PONG\r\n")?,
                    "MSG" => stream.write_all(b"MSG foo 1 2\r\nhi\r\n")?,
                    "LF" => stream.write_all(b"LF\n")?,
                    "QUIT" => return Ok(()),
                    _ => {}
                }
            }
            Ok::<(), std::io::Error>(())
        });
        address
    }
}
