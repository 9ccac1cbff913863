//! The command line, seen from outside: texts, exit codes, process files and `--signal`, beside nats-server's own.
//!
//! Where the two should be the same, the same words are given to the real `nats-server` if there is one on the path.
//! Signals go to processes by pid, or by a name that only this test uses: never to somebody else's server.
#![allow(clippy::disallowed_methods, reason = "tests wait and read the clock")]

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

const BROKER: &str = env!("CARGO_BIN_EXE_trunkline");
const LOOPBACK: [&str; 4] = ["-a", "127.0.0.1", "-p", "-1"];
const EXIT_WAIT_MAX: Duration = Duration::from_secs(10);

/// A directory of one test's own, gone when the test is over.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path =
            std::env::temp_dir().join(format!("trunkline-cli-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory for the test");
        Directory(path)
    }

    /// The broker under another name.
    fn link(&self, name: &str) -> PathBuf {
        let link = self.0.join(name);
        symlink(BROKER, &link).expect("a link to the broker");
        link
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a UTF-8 path").to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server that runs until it is told to stop, or the test ends.
struct Server {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Server {
    fn start(program: impl AsRef<OsStr>, arguments: &[&str]) -> Server {
        let mut child = Command::new(program)
            .args(LOOPBACK)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let log = BufReader::new(child.stderr.take().expect("a piped log"));
        Server { child, log }
    }

    fn wait_for_line(&mut self, wanted: &str) -> String {
        let mut line = String::new();
        while self.log.read_line(&mut line).expect("a readable log") > 0 {
            if line.contains(wanted) {
                return line;
            }
            line.clear();
        }
        panic!("the log ended without {wanted:?}");
    }

    fn pid(&self) -> String {
        self.child.id().to_string()
    }

    fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + EXIT_WAIT_MAX;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("a child to wait for") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the server did not exit");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `program` to its end. Only for words that make it end.
fn run(program: impl AsRef<OsStr>, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .output()
        .expect("the program runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The real server, if this machine has one.
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

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + EXIT_WAIT_MAX;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_version_depends_on_the_name() {
    let own = run(BROKER, &["-v"]);
    assert!(own.status.success());
    assert!(stdout(&own).starts_with("trunkline: v"), "{}", stdout(&own));
    let directory = Directory::new("version");
    let link = directory.link("nats-server");
    for words in [
        &["-v"][..],
        &["--version"],
        &["-D", "version"],
        &["--version=true"],
    ] {
        let linked = run(&link, words);
        assert!(linked.status.success());
        assert_eq!(stdout(&linked), "nats-server: v2.15.1\n");
    }
}

#[test]
fn help_goes_to_standard_output() {
    for words in [&["-h"][..], &["--help"], &["-help"], &["help"]] {
        let output = run(BROKER, words);
        assert_eq!(
            (output.status.code(), stderr(&output).as_str()),
            (Some(0), ""),
            "{words:?}"
        );
        assert!(stdout(&output).contains("Usage: trunkline [options]"));
        assert!(stdout(&output).contains("--max_pending <size>"));
        assert!(
            stdout(&output).contains("    -c, --config <file>              Configuration file")
        );
        assert!(
            stdout(&output)
                .contains("    -t                               Test configuration and exit")
        );
    }
}

#[test]
fn refusals_are_those_of_nats_server() {
    let directory = Directory::new("refusals");
    let link = directory.link("nats-server");
    let cases: [&[&str]; 10] = [
        &["foo"],
        &["-a", "127.0.0.1", "foo", "-p"],
        &["-T", "false"],
        &["-"],
        &["--", "-p", "3"],
        &["-n", "a b"],
        &["-sl", "stop=abc"],
        &["-sl", "stop=99999999"],
        &["-sl", "stop=a=b"],
        &["-sl", "foo=99999999"],
    ];
    for words in cases {
        let ours = run(&link, words);
        assert_eq!(
            (ours.status.code(), stdout(&ours).as_str()),
            (Some(1), ""),
            "{words:?}"
        );
        assert!(
            stderr(&ours).starts_with("nats-server: "),
            "{words:?}: {}",
            stderr(&ours)
        );
        if let Some(reference) = reference() {
            let theirs = run(reference, words);
            assert_eq!(stderr(&ours), stderr(&theirs), "{words:?}");
            assert_eq!(ours.status.code(), theirs.status.code(), "{words:?}");
        }
    }
}

/// nats-server follows these with its usage and exits with 0; our exit code is 1, and there may be a hint.
#[test]
fn bad_flags_are_told_in_the_words_of_go() {
    let cases: [(&[&str], &str); 7] = [
        (&["-prot", "1"], "; did you mean --port?"),
        (&["--nonsense"], ""),
        (&["-p"], ""),
        (&["---p", "1"], ""),
        (&["--=1"], ""),
        (&["-D=maybe"], ""),
        (&["-sl"], ""),
    ];
    for (words, hint) in cases {
        let ours = run(BROKER, words);
        assert_eq!(
            (ours.status.code(), stdout(&ours).as_str()),
            (Some(1), ""),
            "{words:?}"
        );
        if let Some(reference) = reference() {
            let expected = format!("{}{hint}\n", stderr(&run(reference, words)).trim_end());
            assert_eq!(stderr(&ours), expected, "{words:?}");
        }
    }
    for words in [
        &["-p", "abc"][..],
        &["-port=abc"],
        &["--max_traced_msg_len", "x"],
    ] {
        let ours = run(BROKER, words);
        assert_eq!(ours.status.code(), Some(1));
        if let Some(reference) = reference() {
            let theirs = stderr(&run(reference, words));
            let shared = theirs.trim_end().trim_end_matches("parse error");
            assert!(
                stderr(&ours).starts_with(shared),
                "{words:?}: {}",
                stderr(&ours)
            );
        }
    }
}

#[test]
fn what_is_missing_is_refused_and_not_ignored() {
    for words in [&["--jetstream"][..], &["--routes", "a"], &["-js=false"]] {
        let output = run(BROKER, words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(
            stderr(&output).ends_with(" is not supported yet\n"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn limits_are_checked_before_anything_starts() {
    let cases: [(&[&str], &str); 4] = [
        (
            &["-p", "70000"],
            "invalid value \"70000\" for flag -p: must be -1 to 65535\n",
        ),
        (
            &["--shards", "65"],
            "invalid value \"65\" for flag -shards: must be 1 to 64\n",
        ),
        (
            &["--max_payload", "2mb", "--max_pending", "1mb"],
            "trunkline: max_payload (2097152) cannot be higher than max_pending (1048576)\n",
        ),
        (
            &["--user", "u", "--auth", "t"],
            "trunkline: Cannot have a user/pass and token\n",
        ),
    ];
    for (words, text) in cases {
        let output = run(BROKER, words);
        assert_eq!(
            (output.status.code(), stderr(&output).as_str()),
            (Some(1), text)
        );
    }
}

#[test]
fn files_that_cannot_be_written_end_the_start() {
    let cases: [(&[&str], &str); 2] = [
        (
            &["-l", "/nonexistent/x.log"],
            "error opening file: open /nonexistent/x.log: no such file or directory\n",
        ),
        (
            &["-P", "/nonexistent/x.pid"],
            "[FTL] Could not write pidfile: open /nonexistent/x.pid: no such file or directory\n",
        ),
    ];
    for (words, text) in cases {
        let words: Vec<&str> = LOOPBACK.iter().chain(words).copied().collect();
        for program in [Some(BROKER), reference()].into_iter().flatten() {
            let output = run(program, &words);
            assert_eq!(output.status.code(), Some(1), "{program}");
            assert!(
                stderr(&output).ends_with(text),
                "{program}: {}",
                stderr(&output)
            );
        }
    }
}

/// What a server leaves in its files while it runs and after: pid file, and ports file with its one port replaced.
fn process_files(program: &Path, directory: &Directory) -> (bool, String, bool, bool) {
    let (pid_file, ports_directory) = (directory.path("pid"), directory.path(""));
    let mut server = Server::start(
        program,
        &["-P", &pid_file, "--ports_file_dir", &ports_directory],
    );
    let listening = server.wait_for_line("Listening for client connections on 127.0.0.1:");
    let port = listening
        .trim_end()
        .rsplit(':')
        .next()
        .expect("a port")
        .to_owned();
    server.wait_for_line("Server is ready");
    let pid = server.pid();
    let ports_file = PathBuf::from(directory.path(&format!("nats-server_{pid}.ports")));
    wait_until("a ports file", || {
        fs::read(&ports_file).is_ok_and(|bytes| bytes.ends_with(b"}"))
    });
    let pid_is_plain = fs::read_to_string(&pid_file).expect("a pid file") == pid;
    let ports = fs::read_to_string(&ports_file)
        .expect("a ports file")
        .replace(&port, "PORT");
    let sent = run(BROKER, &["-sl", &format!("term={pid_file}")]);
    assert_eq!((sent.status.code(), stderr(&sent).as_str()), (Some(0), ""));
    assert_eq!(server.exit_code(), Some(0));
    (
        pid_is_plain,
        ports,
        Path::new(&pid_file).exists(),
        ports_file.exists(),
    )
}

#[test]
fn process_files_are_those_of_nats_server() {
    let directory = Directory::new("files");
    let ours = process_files(&directory.link("nats-server"), &directory);
    assert_eq!(
        ours,
        (
            true,
            r#"{"nats":["nats://127.0.0.1:PORT"]}"#.to_owned(),
            true,
            false
        )
    );
    if let Some(reference) = reference() {
        assert_eq!(
            ours,
            process_files(Path::new(reference), &Directory::new("files-reference"))
        );
    }
}

#[test]
fn log_lines_without_time_are_those_of_nats_server() {
    for program in [Some(BROKER), reference()].into_iter().flatten() {
        let mut server = Server::start(program, &["-T=false"]);
        let line = server.wait_for_line("Server is ready");
        assert_eq!(
            line,
            format!("[{}] [INF] Server is ready\n", server.pid()),
            "{program}"
        );
    }
}

#[test]
fn a_moved_log_file_is_opened_anew_on_demand() {
    let directory = Directory::new("reopen");
    let (log, aside) = (directory.path("log"), directory.path("aside"));
    let server = Server::start(BROKER, &["-l", &log]);
    wait_until("ready", || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains("Server is ready"))
    });
    fs::rename(&log, &aside).expect("a log file to move");
    assert!(
        run(BROKER, &["-sl", &format!("reopen={}", server.pid())])
            .status
            .success()
    );
    wait_until("a new log", || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains("[INF] File log re-opened\n"))
    });
}

#[test]
fn signals_find_processes_by_name() {
    let directory = Directory::new("signals");
    // The kernel keeps 15 bytes of a name.
    let name = format!("tl{}", std::process::id());
    let program = directory.link(&name);
    let send = |command: &str| {
        let output = run(&program, &["--signal", command]);
        (output.status.code(), stderr(&output))
    };
    let nobody = (Some(1), format!("{name}: no {name} processes running\n"));
    assert_eq!(send("quit"), nobody);

    let mut first = Server::start(&program, &[]);
    let mut second = Server::start(&program, &[]);
    first.wait_for_line("Server is ready");
    second.wait_for_line("Server is ready");
    let (code, text) = send("reload");
    assert_eq!(code, Some(1));
    assert!(
        text.starts_with(&format!("{name}: multiple {name} processes running:\n")),
        "{text}"
    );
    assert!(
        text.contains(&first.pid()) && text.contains(&second.pid()),
        "{text}"
    );

    assert_eq!(
        send(&format!("quit={}", first.pid())),
        (Some(0), String::new())
    );
    assert_eq!(first.exit_code(), Some(0));
    assert_eq!(send("term=*"), (Some(0), String::new()));
    assert_eq!(second.exit_code(), Some(0));

    let mut third = Server::start(&program, &[]);
    third.wait_for_line("Server is ready");
    assert_eq!(send("stop"), (Some(0), String::new()));
    assert_eq!(third.exit_code(), None, "killed");
    assert_eq!(send("stop"), nobody);
}
