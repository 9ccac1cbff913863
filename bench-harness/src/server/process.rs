//! A server that we started: on a free port of 127.0.0.1, in an empty directory of its own, waited for until it can be used.
//!
//! - It is ended when its [`Started`] is dropped, and its directory goes with it.
//! - What it says is kept in that directory; the first and the last lines of it are part of the message when it does not start.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::certificate;
use super::table::{Ready, Server};
use crate::cost::process_listening_at;
use crate::load::Tls;
use crate::scenario::file::FileError;
use crate::scenario::quantity::{Seconds, Written};
use crate::temporary::TemporaryDirectory;

/// Somebody else may take the free port before the server does.
const ATTEMPTS: u32 = 3;
const LOOK_EVERY: Duration = Duration::from_millis(5);
const END_WITHIN: Duration = Duration::from_secs(5);
const FIRST_LINES: usize = 2;
const LAST_LINES: usize = 6;

/// A running server of ours.
#[derive(Debug)]
pub struct Started {
    pub address: SocketAddr,
    /// As it was started, with the port filled in.
    pub command: Vec<String>,
    /// How to speak to it, if over TLS.
    pub tls: Option<Tls>,
    child: Child,
    /// The process that listens: another one than the child if that is a script that started it.
    serving: u32,
    directory: TemporaryDirectory,
}

impl Started {
    /// Starts it on `cores`, or anywhere if there are none, and waits until it can be used.
    pub fn start(server: &Server, cores: &[usize]) -> Result<Started, StartError> {
        let program = server.program().map_err(StartError::Program)?;
        let mut attempt = 1;
        loop {
            let ended = match try_start(server, &program, cores) {
                Err(StartError::Ended { status, log, name }) => (status, log, name),
                other => return other,
            };
            if attempt == ATTEMPTS {
                let (status, log, name) = ended;
                return Err(StartError::Ended { name, status, log });
            }
            attempt += 1;
        }
    }

    /// The process that serves.
    pub fn pid(&self) -> u32 {
        self.serving
    }

    /// The first and the last lines of what it said.
    pub fn log(&self) -> String {
        excerpt(&log_of(&self.directory))
    }

    /// How it ended, if it did so by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    fn end(&mut self) {
        if self.ended().is_some() {
            return;
        }
        // They cannot be other processes: we have not waited for this child yet.
        signal(self.serving, Signal::TERM);
        signal(self.child.id(), Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < END_WITHIN {
            if self.ended().is_some() {
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
        signal(self.serving, Signal::KILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.end();
        let mut alive = lock_alive();
        alive.retain(|pid| *pid != self.child.id() && *pid != self.serving);
    }
}

/// Servers that would outlive us if we ended without dropping what we have.
static ALIVE: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn lock_alive() -> MutexGuard<'static, Vec<u32>> {
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends every server of ours without waiting: for a program that is about to end at once.
pub fn abandon_all() {
    for pid in lock_alive().iter() {
        signal(*pid, Signal::TERM);
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended already.
        let _ = kill_process(pid, signal);
    }
}

fn try_start(server: &Server, program: &Path, cores: &[usize]) -> Result<Started, StartError> {
    let world = |error| StartError::World {
        name: server.name.clone(),
        error,
    };
    let directory = TemporaryDirectory::create().map_err(world)?;
    let address = free_address().map_err(world)?;
    let tls = server
        .tls
        .then(|| certificate::create(directory.path()))
        .transpose()
        .map_err(world)?;
    let arguments = arguments(server, address.port(), directory.path());
    let log = File::create(log_of(&directory)).map_err(world)?;
    let mut command = Command::new(program);
    command
        .args(&arguments)
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(world)?)
        .stderr(log)
        // A Ctrl-C at the terminal is for us: the server must live until the result is printed.
        .process_group(0);
    let child = on_cores(cores, || command.spawn()).map_err(world)?;
    lock_alive().push(child.id());
    let mut started = Started {
        serving: child.id(),
        address,
        tls,
        command: std::iter::once(program.display().to_string())
            .chain(arguments)
            .collect(),
        child,
        directory,
    };
    wait(server, &mut started)?;
    if let Some(pid) = process_listening_at(address).filter(|pid| *pid != started.serving) {
        lock_alive().push(pid);
        started.serving = pid;
    }
    Ok(started)
}

fn arguments(server: &Server, port: u16, directory: &Path) -> Vec<String> {
    let in_directory = |file: &str| directory.join(file).display().to_string();
    let filled = server.command[1..].iter().map(|argument| {
        argument
            .replace("{port}", &port.to_string())
            .replace("{certificate}", &in_directory(certificate::CERTIFICATE))
            .replace("{key}", &in_directory(certificate::KEY))
            .replace("{directory}", &directory.display().to_string())
    });
    filled.chain(server.flags.iter().cloned()).collect()
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Does `spawn` with this thread bound to `cores`, because a child is born where its parent may run: it must already find
/// its cores when it counts them to decide on its threads.
fn on_cores(cores: &[usize], spawn: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
    if cores.is_empty() {
        return spawn();
    }
    let before = sched_getaffinity(None)?;
    let mut wanted = CpuSet::new();
    for core in cores {
        wanted.set(*core);
    }
    sched_setaffinity(None, &wanted)
        .map_err(|error| io::Error::other(format!("cannot pin it to cores {cores:?}: {error}")))?;
    let child = spawn();
    sched_setaffinity(None, &before)?;
    child
}

fn wait(server: &Server, started: &mut Started) -> Result<(), StartError> {
    let Written(Seconds(within_s)) = server.ready.within;
    let begun = Instant::now();
    loop {
        if let Some(status) = started.ended() {
            return Err(StartError::Ended {
                name: server.name.clone(),
                status,
                log: started.log(),
            });
        }
        if answers(&server.ready, started.address).unwrap_or(false) {
            return Ok(());
        }
        if begun.elapsed().as_secs_f64() > within_s {
            return Err(StartError::Silent {
                name: server.name.clone(),
                within_s,
                log: started.log(),
            });
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn answers(ready: &Ready, address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.write_all(ready.send.as_bytes())?;
    if ready.expect.is_empty() {
        return Ok(true);
    }
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut said = vec![0; ready.expect.len()];
    stream.read_exact(&mut said)?;
    Ok(said == ready.expect.as_bytes())
}

fn log_of(directory: &TemporaryDirectory) -> PathBuf {
    directory.path().join("server.log")
}

/// The beginning and the end: some servers say what is wrong first and then explain all their options.
fn excerpt(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= FIRST_LINES + LAST_LINES {
        return lines.join("\n");
    }
    let last = &lines[lines.len() - LAST_LINES..];
    [&lines[..FIRST_LINES], &["…"], last].concat().join("\n")
}

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    Program(FileError),
    World {
        name: String,
        error: io::Error,
    },
    Ended {
        name: String,
        status: ExitStatus,
        log: String,
    },
    Silent {
        name: String,
        within_s: f64,
        log: String,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Program(error) => error.fmt(formatter),
            StartError::World { name, error } => {
                write!(formatter, "cannot start {name}: {error}")
            }
            StartError::Ended { name, status, log } => write!(
                formatter,
                "{name} ended at once ({status}). It said:\n{}",
                quoted(log)
            ),
            StartError::Silent {
                name,
                within_s,
                log,
            } => write!(
                formatter,
                "{name} was started but could not be used within {within_s} s. It said:\n{}",
                quoted(log)
            ),
        }
    }
}

fn quoted(log: &str) -> String {
    if log.trim().is_empty() {
        return "  (nothing)".to_owned();
    }
    let lines: Vec<String> = log.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

impl std::error::Error for StartError {}
