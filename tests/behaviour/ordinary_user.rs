//! The broker needs no privileges: it runs as an ordinary user who may lock 8 MiB of memory, and with too little of that
//! it says so instead of failing somehow. `trunkline doctor` tells both beforehand.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, process};

use crate::cast::join;

#[test]
fn with_8_mib_of_locked_memory() {
    let Some(program) = Program::for_nobody() else {
        return;
    };
    let doctor = output(program.command(8192).arg("doctor"));
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert_eq!(doctor.status.code(), Some(0), "{text}");
    assert!(
        text.lines().filter(|line| line.starts_with("ok ")).count() >= 4,
        "{text}"
    );
    assert!(!text.contains("FAIL"), "{text}");
    for shards in ["1", "2", "4"] {
        serve(
            program
                .command(8192)
                .args(["-a", "127.0.0.1", "-p", "-1", "--shards", shards]),
        );
    }
}

#[test]
fn with_too_little_locked_memory() {
    let Some(program) = Program::for_nobody() else {
        return;
    };
    let doctor = output(program.command(64).arg("doctor"));
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert_eq!(doctor.status.code(), Some(1), "{text}");
    assert!(
        text.contains("FAIL  memlock") && text.contains("ulimit -l"),
        "{text}"
    );
    let broker = output(program.command(64).args(["-a", "127.0.0.1", "-p", "-1"]));
    let text = String::from_utf8_lossy(&broker.stderr).into_owned();
    assert_eq!(broker.status.code(), Some(1), "{text}");
    assert!(text.contains("[FTL]") && text.contains("memlock"), "{text}");
}

/// Starts the broker, exchanges a message, ends it with a signal.
fn serve(command: &mut Command) {
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let pid = child.id();
    let mut log = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut seen = Vec::new();
    let address = log.by_ref().map_while(Result::ok).find_map(|line| {
        let address = line.split_once("Listening for client connections on ");
        seen.push(line.clone());
        address.map(|(_, address)| address.to_owned())
    });
    let address = address.unwrap_or_else(|| panic!("it ended with {seen:?}"));
    let mut client = join(address.parse().expect("an address"));
    client.send(b"SUB a 1\r\nPUB a 2\r\nhi\r\n").expect("sent");
    assert_eq!(client.message().expect("served").body, b"hi");
    let killed = Command::new("sh")
        .args(["-c", &format!("kill -s TERM {pid}")])
        .status();
    assert!(killed.expect("a shell").success());
    let _rest_of_the_log = log.by_ref().count();
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("it runs")
}

/// A copy of the broker where every user can reach it.
struct Program {
    folder: PathBuf,
}

impl Program {
    /// None, with a word why, where this process cannot become somebody else.
    fn for_nobody() -> Option<Self> {
        let may = Command::new("setpriv")
            .args(BECOME_NOBODY)
            .arg("true")
            .output();
        if !may.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: only root with setpriv can become an ordinary user");
            return None;
        }
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default().replace("::", "-");
        let folder = env::temp_dir().join(format!("trunkline-{}-{name}", process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("for everybody");
        let program = Self { folder };
        fs::copy(Path::new(env!("CARGO_BIN_EXE_trunkline")), program.file()).expect("a copy");
        Some(program)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("trunkline")
    }

    /// The broker as an ordinary user who may lock that much memory.
    fn command(&self, locked_kib: u32) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(BECOME_NOBODY)
            .args([
                "bash",
                "-c",
                &format!("ulimit -l {locked_kib} && exec \"$0\" \"$@\""),
            ])
            .arg(self.file())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

const BECOME_NOBODY: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];
