//! Several connections of one shard say arbitrary things, raw bytes among them: no panic, every byte that goes out is
//! protocol, and nothing is left behind when all have gone.
#![no_main]

#[path = "../../sim/server_lines.rs"]
mod server_lines;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use trunkline::auth::NonceKey;
use trunkline::base::clock::Now;
use trunkline::base::ids::{ClientNumber, ConnectionId};
use trunkline::config::Options;
use trunkline::mesh;
use trunkline::protocol::info::ServerInfo;
use trunkline::session::close::CloseReason;
use trunkline::session::settings::Settings;
use trunkline::shard::{Effect, Shard};

#[derive(Arbitrary, Debug)]
enum Operation<'a> {
    Open,
    Raw(u8, &'a [u8]),
    Connect(u8, u8),
    Subscribe {
        who: u8,
        pattern: u8,
        queue: u8,
        sid: u8,
    },
    Unsubscribe {
        who: u8,
        sid: u8,
        max: Option<u8>,
    },
    Publish {
        who: u8,
        subject: u8,
        reply: Option<u8>,
        headers: bool,
        len: u16,
        /// Where the bytes are cut in two.
        cut: u16,
    },
    Ping(u8),
    /// From here on what is said waits, to arrive in one piece.
    Hold,
    /// What waits arrives.
    Arrive,
    HangUp(u8),
    /// The kernel takes this much of what one connection is owed.
    Drain(u8, u16),
    DrainAll,
    Wait(u16),
    LameDuck,
}

const PATTERNS: [&str; 12] = [
    "a", "b", "a.b", "*", ">", "a.*", "*.b", "a.>", "$SYS.a", "_INBOX.1", "a..b", "a*",
];
const QUEUES: [&str; 4] = ["", "", "q", "_sys_"];
const OPERATIONS_MAX: usize = 200;
const CONNECTIONS_MAX: usize = 6;
const PENDING_MAX: usize = 20_000;
const PAYLOAD_MAX: usize = 8_000;

/// A connection and what came out of it that is no whole line yet.
struct Peer {
    id: ConnectionId,
    heard: Vec<u8>,
    /// Said and not yet received.
    unheard: Vec<u8>,
    is_over: bool,
}

fuzz_target!(|operations: Vec<Operation<'_>>| {
    let mut world = World::new();
    world.open();
    for operation in operations.iter().take(OPERATIONS_MAX) {
        world.perform(operation);
        world.settle();
    }
    world.end();
});

struct World {
    shard: Shard,
    peers: Vec<Peer>,
    now: Now,
    opened: u64,
    holds: bool,
}

impl World {
    fn new() -> World {
        let mesh = mesh::build(1, 1).pop().expect("one shard");
        World {
            shard: Shard::new(settings(), mesh, 7),
            peers: Vec::new(),
            now: Now::ZERO,
            opened: 0,
            holds: false,
        }
    }

    fn open(&mut self) {
        if self.peers.len() >= CONNECTIONS_MAX {
            return;
        }
        self.opened += 1;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let id = self.shard.connect(ClientNumber(self.opened), address);
        self.peers.push(Peer {
            id,
            heard: Vec::new(),
            unheard: Vec::new(),
            is_over: false,
        });
    }

    fn perform(&mut self, operation: &Operation<'_>) {
        match operation {
            Operation::Open => self.open(),
            Operation::Raw(who, bytes) => self.say(*who, bytes),
            Operation::Connect(who, flags) => {
                let flag = |bit: u8| flags & (1 << bit) != 0;
                let json = format!(
                    "CONNECT {{\"verbose\":{},\"pedantic\":{},\"echo\":{},\"headers\":{},\"no_responders\":{},\
                     \"protocol\":{}}}\r\n",
                    flag(0),
                    flag(1),
                    flag(2),
                    flag(3),
                    flag(4),
                    flags >> 6
                );
                self.say(*who, json.as_bytes());
            }
            Operation::Subscribe {
                who,
                pattern,
                queue,
                sid,
            } => {
                let (pattern, queue) = (word(&PATTERNS, *pattern), word(&QUEUES, *queue));
                let line = format!("SUB {pattern} {queue} {}\r\n", sid % 8);
                self.say(*who, line.as_bytes());
            }
            Operation::Unsubscribe { who, sid, max } => {
                let max = max.map(|max| format!(" {max}")).unwrap_or_default();
                self.say(*who, format!("UNSUB {}{max}\r\n", sid % 8).as_bytes());
            }
            Operation::Publish {
                who,
                subject,
                reply,
                headers,
                len,
                cut,
            } => {
                let reply = reply.map(|reply| format!("{} ", word(&PATTERNS, reply)));
                let reply = reply.unwrap_or_default();
                let subject = word(&PATTERNS, *subject);
                let payload = vec![b'x'; usize::from(*len) % (PAYLOAD_MAX + 2)];
                let block: &[u8] = if *headers { b"NATS/1.0\r\n\r\n" } else { b"" };
                let total = block.len() + payload.len();
                let line = if *headers {
                    format!("HPUB {subject} {reply}{} {total}\r\n", block.len())
                } else {
                    format!("PUB {subject} {reply}{total}\r\n")
                };
                let whole = [line.as_bytes(), block, &payload, b"\r\n"].concat();
                let (first, second) = whole.split_at(usize::from(*cut) % whole.len());
                self.say(*who, first);
                self.say(*who, second);
            }
            Operation::Ping(who) => self.say(*who, b"PING\r\n"),
            Operation::Hold => self.holds = true,
            Operation::Arrive => self.arrive(),
            Operation::HangUp(who) => {
                if let Some(id) = self.id_of(*who) {
                    self.shard.hang_up(id, CloseReason::ClientClosed);
                }
            }
            Operation::Drain(who, bytes) => {
                if let Some(id) = self.id_of(*who) {
                    self.drain(id, usize::from(*bytes));
                }
            }
            Operation::DrainAll => {
                for place in 0..self.peers.len() {
                    self.drain(self.peers[place].id, usize::MAX);
                }
            }
            Operation::Wait(millis) => {
                self.now = self.now.after(Duration::from_millis((*millis).into()));
                self.shard.set_now(self.now);
            }
            Operation::LameDuck => self.shard.enter_lame_duck(),
        }
    }

    fn id_of(&self, who: u8) -> Option<ConnectionId> {
        let count = self.peers.len();
        (count > 0).then(|| self.peers[usize::from(who) % count].id)
    }

    fn say(&mut self, who: u8, bytes: &[u8]) {
        if self.peers.is_empty() {
            return;
        }
        let place = usize::from(who) % self.peers.len();
        let peer = &mut self.peers[place];
        peer.unheard.extend_from_slice(bytes);
        if !self.holds {
            let unheard = std::mem::take(&mut peer.unheard);
            self.shard.receive(peer.id, &unheard);
        }
    }

    fn arrive(&mut self) {
        self.holds = false;
        for peer in &mut self.peers {
            let unheard = std::mem::take(&mut peer.unheard);
            self.shard.receive(peer.id, &unheard);
        }
    }

    /// What the driver does at the end of a turn.
    fn settle(&mut self) {
        self.shard.run_timers();
        self.shard.push_parcels();
        assert!(self.shard.may_send(), "a lonely shard waits for nobody");
        let mut effects = Vec::new();
        self.shard.take_effects(&mut effects);
        for effect in effects {
            if let Effect::Close(id) = effect {
                let peer = self.peers.iter_mut().find(|peer| peer.id == id);
                peer.expect("closed once").is_over = true;
            }
        }
        self.shard.take_log();
        for peer in &self.peers {
            let pending = self.shard.pending(peer.id);
            assert!(
                pending <= PENDING_MAX + PAYLOAD_MAX + 20_000,
                "{pending} pending"
            );
        }
        let over: Vec<ConnectionId> = (self.peers.iter())
            .filter(|peer| peer.is_over)
            .map(|peer| peer.id)
            .collect();
        for id in over {
            self.drain(id, usize::MAX);
            self.peers.retain(|peer| peer.id != id);
            self.shard.release(id);
        }
    }

    /// Sends to one connection, and reads what it gets.
    fn drain(&mut self, id: ConnectionId, bytes: usize) {
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.id == id) else {
            return;
        };
        let mut left = bytes;
        while left > 0 {
            let Some(batch) = self.shard.take_batch(id) else {
                break;
            };
            let sent: Vec<u8> = batch.slices(0).flatten().copied().collect();
            assert_eq!(sent.len(), batch.len());
            self.shard.batch_progressed(id, sent.len());
            self.shard.batch_finished(id, batch);
            left = left.saturating_sub(sent.len());
            peer.heard.extend_from_slice(&sent);
        }
        let mut taken = 0;
        while let Some((_, len)) = server_lines::read(&peer.heard[taken..]).expect("protocol") {
            taken += len;
        }
        peer.heard.drain(..taken);
    }

    fn end(&mut self) {
        self.arrive();
        self.settle();
        for place in 0..self.peers.len() {
            self.drain(self.peers[place].id, usize::MAX);
            assert!(self.peers[place].heard.is_empty(), "half a line is left");
        }
        self.shard.shut_down();
        self.settle();
        let snapshot = self.shard.snapshot();
        let left = (
            snapshot.connections,
            snapshot.subscriptions,
            snapshot.patterns,
        );
        assert_eq!(left, (0, 0, 0));
    }
}

fn word<'a>(words: &[&'a str], number: u8) -> &'a str {
    words[usize::from(number) % words.len()]
}

fn settings() -> Settings {
    let info = ServerInfo::new(&Options::default(), "FUZZ");
    let mut settings = Settings::new(&Options::default(), info, NonceKey::new([0; 32]));
    settings.payload_max = PAYLOAD_MAX;
    settings.outbox.pending = PENDING_MAX;
    settings
}
