//! Server processes on loopback for the behaviours: started on a free port, killed, started again on
//! the same port, and always gone at the end.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::{env, process};

use tokio::time::sleep;

use crate::Failure;

const START_MAX: Duration = Duration::from_secs(10);
const LOG_TAIL_BYTES: usize = 800;

/// All servers of one behaviour.
pub struct Servers {
    command: Vec<String>,
    started: Mutex<Vec<Arc<Server>>>,
}

impl Servers {
    pub fn new(command: Vec<String>) -> Self {
        Self {
            command,
            started: Mutex::default(),
        }
    }

    pub async fn start(&self, flags: &[&str]) -> Result<Arc<Server>, Failure> {
        let server = Arc::new(Server::prepare(&self.command, flags)?);
        self.started().push(server.clone());
        server.restart().await?;
        Ok(server)
    }

    pub fn alive(&self) -> bool {
        self.started().iter().all(|server| server.alive())
    }

    pub fn log_tails(&self) -> String {
        self.started()
            .iter()
            .map(|server| server.log_tail())
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn started(&self) -> MutexGuard<'_, Vec<Arc<Server>>> {
        self.started.lock().expect("no panic under the lock")
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // A connection's task may hold a server for longer than the behaviour lasts.
        for server in self.started().iter() {
            server.kill();
            fs::remove_dir_all(&server.directory).ok();
        }
    }
}

/// One server process; what runs may change, the port stays.
pub struct Server {
    program: String,
    flags: Vec<String>,
    directory: PathBuf,
    running: Mutex<Running>,
}

struct Running {
    process: Option<Child>,
    port: Option<u16>,
}

impl Server {
    fn prepare(command: &[String], flags: &[&str]) -> Result<Self, Failure> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory =
            env::temp_dir().join(format!("trunkline-clients-{}-{count}", process::id()));
        fs::create_dir(&directory)?;
        let mut all: Vec<String> = command[1..].to_vec();
        all.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let running = Mutex::new(Running {
            process: None,
            port: None,
        });
        Ok(Self {
            program: command[0].clone(),
            flags: all,
            directory,
            running,
        })
    }

    pub fn url(&self) -> String {
        format!(
            "nats://127.0.0.1:{}",
            self.running().port.expect("asked for after the start")
        )
    }

    /// Starts the process and waits until it has told its port.
    pub async fn restart(&self) -> Result<(), Failure> {
        let port = self
            .running()
            .port
            .map_or("-1".to_owned(), |port| port.to_string());
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.directory.join("log"))?;
        let process = Command::new(&self.program)
            .args(&self.flags)
            .args(["-a", "127.0.0.1", "-p", &port, "--ports_file_dir"])
            .arg(&self.directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let suffix = format!("_{}.ports", process.id());
        self.running().process = Some(process);
        let started = Instant::now();
        while started.elapsed() < START_MAX {
            if !self.alive() {
                return Err("the server ended at start".into());
            }
            if let Some(port) = self.port_told(&suffix)? {
                self.running().port = Some(port);
                return Ok(());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Err(format!("no ports file after {START_MAX:?}").into())
    }

    pub fn alive(&self) -> bool {
        let mut running = self.running();
        running
            .process
            .as_mut()
            .is_some_and(|process| matches!(process.try_wait(), Ok(None)))
    }

    pub fn kill(&self) {
        if let Some(mut process) = self.running().process.take() {
            // Fails only when the process has ended already.
            process.kill().ok();
            process.wait().ok();
        }
    }

    pub fn signal(&self, number: libc::c_int) {
        let running = self.running();
        let process = running.process.as_ref().expect("signalled while it runs");
        let id = libc::pid_t::try_from(process.id()).expect("a process id fits");
        // SAFETY: `kill` touches no memory, and the child has not been waited for, so the id is its own.
        unsafe { libc::kill(id, number) };
    }

    fn log_tail(&self) -> String {
        let log = fs::read(self.directory.join("log")).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(LOG_TAIL_BYTES)..];
        String::from_utf8_lossy(tail).trim().to_owned()
    }

    /// The file may be there and not yet be written: then there is no port yet.
    fn port_told(&self, suffix: &str) -> Result<Option<u16>, Failure> {
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(suffix) {
                let ports: serde_json::Value =
                    serde_json::from_slice(&fs::read(path)?).unwrap_or_default();
                let url = ports["nats"][0].as_str();
                return Ok(url.and_then(|url| url.rsplit(':').next()?.parse().ok()));
            }
        }
        Ok(None)
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().expect("no panic under the lock")
    }
}
