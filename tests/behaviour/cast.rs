//! Who appears in several behaviours: quiet clients, publishers that can be waited for, bystanders, and chance.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::{RawClient, wait_until};

/// For [`RawClient::join`]: nothing is acknowledged, no own INFO is asked for.
pub(crate) const QUIET: &str = r#"{"verbose":false,"pedantic":false}"#;

/// What a busy machine may need for anything; only a broker that hangs takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A quiet client with patience.
pub(crate) fn join(address: SocketAddr) -> RawClient {
    let mut client = RawClient::connect(address).expect("the broker accepts connections");
    client.patience(PATIENCE);
    let greeting = client.line().expect("the broker greets");
    assert!(greeting.starts_with(b"INFO {"), "greeting is {greeting:?}");
    client
        .send(format!("CONNECT {QUIET}\r\n").as_bytes())
        .expect("CONNECT is sent");
    is_served(&mut client).expect("the broker answers CONNECT and PING");
    client
}

/// A client that has said who it is, with fields of `CONNECT` such as `"user":"a","pass":"p"`, and `PING`; what it is
/// answered is left to be read.
pub(crate) fn knock(address: SocketAddr, credentials: &str) -> RawClient {
    let mut client = RawClient::connect(address).expect("the broker accepts connections");
    client.patience(PATIENCE);
    let greeting = client.line().expect("the broker greets");
    assert!(greeting.starts_with(b"INFO {"), "greeting is {greeting:?}");
    let words = format!("CONNECT {{\"verbose\":false,{credentials}}}\r\nPING\r\n");
    client.send(words.as_bytes()).expect("CONNECT is sent");
    client
}

/// A quiet client of this user, with patience.
pub(crate) fn join_as(address: SocketAddr, user: &str, password: &str) -> RawClient {
    let mut client = knock(
        address,
        &format!("\"user\":\"{user}\",\"pass\":\"{password}\""),
    );
    client.expect_line("PONG");
    client
}

/// Subscribes and waits until that is in force.
pub(crate) fn subscribe(client: &mut RawClient, subject_and_sid: &str) {
    client
        .send(format!("SUB {subject_and_sid}\r\n").as_bytes())
        .expect("SUB is sent");
    client.sync().expect("SUB is taken");
}

/// Whether the broker still answers: like [`RawClient::sync`], for a client that has been there long enough to be asked
/// itself.
pub(crate) fn is_served(client: &mut RawClient) -> io::Result<()> {
    client.send(b"PING\r\n")?;
    loop {
        match &client.line()?[..] {
            b"PONG\r\n" => return Ok(()),
            b"PING\r\n" => client.send(b"PONG\r\n")?,
            other => {
                let other = String::from_utf8_lossy(other).into_owned();
                return Err(io::Error::other(format!("wanted PONG, got {other}")));
            }
        }
    }
}

/// Tells other threads to stop when the test is over, also by a panic: a scope waits for them.
#[derive(Debug)]
pub(crate) struct StopAtEnd<'a>(pub(crate) &'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Appends a publish to `into`.
pub(crate) fn write_publish(into: &mut Vec<u8>, subject: &str, payload: &[u8]) {
    into.extend_from_slice(format!("PUB {subject} {}\r\n", payload.len()).as_bytes());
    into.extend_from_slice(payload);
    into.extend_from_slice(b"\r\n");
}

/// Numbers that look like chance and are the same in each run with the same seed (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let words = (0..length.div_ceil(8)).flat_map(|_| self.next().to_le_bytes());
        words.take(length).collect()
    }
}

/// Two clients that talk to each other while something bad happens to the broker: one publishes numbers, the other
/// sends each back, and the first must get them all, once and in order. Then the second has had them so, too.
#[derive(Debug)]
pub(crate) struct Bystanders {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    talk: Option<JoinHandle<io::Result<()>>>,
}

impl Bystanders {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let rounds = Arc::new(AtomicU64::new(0));
        let mut here = join(address);
        let mut there = join(address);
        subscribe(&mut here, "bystander.pong 1");
        subscribe(&mut there, "bystander.ping 1");
        let talk = {
            let (stop, rounds) = (Arc::clone(&stop), Arc::clone(&rounds));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let round = rounds.load(Ordering::Relaxed);
                    talk_once(&mut here, &mut there, round)?;
                    rounds.store(round + 1, Ordering::Relaxed);
                }
                Ok(())
            })
        };
        Self {
            stop,
            rounds,
            talk: Some(talk),
        }
    }

    /// Waits for a few more rounds, so that the broker is known to serve them now.
    pub(crate) fn expect_progress(&self) {
        let goal = self.rounds.load(Ordering::Relaxed) + 5;
        let reached = || self.rounds.load(Ordering::Relaxed) >= goal;
        assert!(wait_until(PATIENCE, reached), "the bystanders are stuck");
    }

    /// Stops them; panics when anything was lost, doubled or out of order.
    pub(crate) fn finish(mut self) {
        self.expect_progress();
        self.stop.store(true, Ordering::Relaxed);
        let talk = self.talk.take().expect("it is taken once");
        talk.join()
            .expect("the bystanders do not panic")
            .expect("bystanders are not disturbed");
    }
}

impl Drop for Bystanders {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn talk_once(here: &mut RawClient, there: &mut RawClient, round: u64) -> io::Result<()> {
    // A burst, so that there is an order to keep.
    let mut burst = Vec::new();
    for step in 0..BURST {
        let number = (round * BURST + step).to_string();
        write_publish(&mut burst, "bystander.ping", number.as_bytes());
    }
    here.send(&burst)?;
    let mut answers = Vec::new();
    for _ in 0..BURST {
        write_publish(&mut answers, "bystander.pong", &there.message()?.body);
    }
    there.send(&answers)?;
    for step in 0..BURST {
        let number = (round * BURST + step).to_string();
        let back = here.message()?.body;
        if back != number.as_bytes() {
            let back = String::from_utf8_lossy(&back).into_owned();
            return Err(io::Error::other(format!("wanted {number}, got {back}")));
        }
    }
    // The machine has two cores, and this is not the test.
    thread::sleep(Duration::from_millis(1));
    Ok(())
}

const BURST: u64 = 8;
