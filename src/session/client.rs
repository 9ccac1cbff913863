//! A NATS client on its connection. *Hot path: [`Client::receive`].*
//!
//! Sans-IO: bytes and time come in; replies and deliveries go into outboxes, wishes into the interest. The order of
//! checks, the texts and what closes a connection are nats-server's (`client.go`, `parser.go`).
//!
//! Invariants
//! - `carry` holds the beginning of exactly one unfinished operation, or, while paused, all that has come since.
//! - A client that has not said who it is can neither publish nor subscribe.
//! - Whoever calls [`Client::end`] ends all its subscriptions; no other shard or session knows of it afterwards.

mod account;
mod connect;
mod events;
mod label;
mod message_trace;
mod permissions;
mod publish;
mod record;
mod reload;
mod resident;
mod subscribe;
mod trace;
mod transport;

use super::close::CloseReason;
use super::settings::Settings;
use crate::auth::{CertificateFacts, Identity, Nonce, PasswordCheck};
use crate::base::clock::Now;
use crate::base::ids::{AccountId, ClientNumber, ConnectionId};
use crate::base::limits::{SHARED_TAIL_BYTES, UNPROVEN_BYTES_MAX};
use crate::base::log::{Level, Log, Party};
use crate::base::origin::{Origin, Peer};
use crate::config;
use crate::interest::{Memo, Scope, Scouted, SubscriptionId};
use crate::protocol::connect::ConnectOptions;
use crate::protocol::info::{Addressee, Occasion, ServerInfo};
use crate::protocol::message::Run;
use crate::protocol::op::Op;
use crate::protocol::parser::{self, Limits, LineMemo, ParseError, Step};
use crate::protocol::reply::{self, ErrorReply};
use crate::router::{Router, Traffic};
use crate::wire::opening::Greeting;
use crate::wire::tls::Secured;
use account::Place;
use bytes::Bytes;
use connect::Checking;
pub use events::Ending;
use hashbrown::HashTable;
use permissions::Granted;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How often the round-trip time is measured even on a busy connection.
const RTT_EVERY: Duration = Duration::from_secs(3600);
/// Carried bytes for which room is made at once; beyond, it grows with what really arrives.
const CARRY_AT_ONCE: usize = 256 * 1024;
/// An empty carry buffer larger than this is given back.
const CARRY_KEPT: usize = 4096;
/// Protocol state of one client.
#[derive(Debug)]
pub struct Client {
    id: ConnectionId,
    number: ClientNumber,
    origin: Origin,
    options: Box<ConnectOptions>,
    /// Who it is; of use once the stage is `Connected`.
    identity: Identity,
    /// What it may do; `None` is everything.
    granted: Option<Box<Granted>>,
    /// What log lines show of it, once it has been let in.
    party: Option<Arc<Party>>,
    /// What its certificate says, if it has shown one.
    certificate: Option<Box<CertificateFacts>>,
    /// What its TLS handshake came to, if there was one.
    secured: Option<Box<Secured>>,
    /// What it may do where it is.
    place: Place,
    stage: Stage,
    carry: Vec<u8>,
    /// Bytes of the unfinished operation in all, as far as they are known.
    wanted: usize,
    /// Where the answer for its last subject was found.
    memo: Memo,
    sids: HashTable<SubscriptionId>,
    received: Traffic,
    /// When it last published, subscribed or introduced itself.
    active_at: Now,
    /// How often it was made to pause.
    stalls: u64,
    heard_at: Now,
    ping_at: Now,
    /// When the last ping was sent, if one ever was.
    pinged_at: Option<Now>,
    pings_out: u32,
    started: Now,
    /// How long a word takes to the client and back, as far as it is known.
    round_trip: Duration,
    auth_deadline: Option<Now>,
    /// Who it will be if its password turns out to be right.
    checking: Option<Box<Checking>>,
    is_paused: bool,
    /// Whether the account was told, after the first ping.
    told_account: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Before `CONNECT`, on a server that wants credentials.
    Unauthorized,
    /// Before `CONNECT`, on a server that does not.
    Unconnected,
    Connected,
}

/// What a session may touch while it runs.
#[derive(Debug)]
pub struct Turn<'a> {
    pub router: &'a mut Router,
    pub settings: &'a Settings,
    pub log: &'a mut Log,
    /// Passwords that somebody with more time should compare.
    pub checks: &'a mut Vec<(ConnectionId, PasswordCheck)>,
    /// Accounts that have more or fewer clients now, where somebody wants to hear that.
    pub changed_accounts: &'a mut Vec<AccountId>,
    pub now: Now,
}

/// The connection must end.
type Handled = Result<(), CloseReason>;

impl Client {
    /// Greets a new connection whose outbox is open.
    pub fn start(
        id: ConnectionId,
        number: ClientNumber,
        origin: Origin,
        turn: &mut Turn<'_>,
    ) -> Client {
        let mut client = Client::arrive(id, number, origin, turn);
        client.greet(Greeting::PLAIN, turn);
        client.open(None, turn);
        client
    }

    /// Takes a new connection in that has to be [`Client::greet`]ed and [`Client::open`]ed yet.
    pub fn arrive(
        id: ConnectionId,
        number: ClientNumber,
        origin: Origin,
        turn: &mut Turn<'_>,
    ) -> Client {
        let wants_credentials = turn.settings.directory.wants_credentials();
        let client = Client {
            id,
            number,
            origin,
            options: Box::default(),
            identity: Identity::default(),
            granted: None,
            party: None,
            certificate: None,
            secured: None,
            place: Place::of_nobody(turn.settings),
            stage: if wants_credentials {
                Stage::Unauthorized
            } else {
                Stage::Unconnected
            },
            carry: Vec::new(),
            wanted: 0,
            memo: Memo::default(),
            sids: HashTable::new(),
            received: Traffic::default(),
            active_at: turn.now,
            stalls: 0,
            heard_at: turn.now,
            ping_at: Now::NEVER,
            pinged_at: None,
            pings_out: 0,
            started: turn.now,
            round_trip: Duration::ZERO,
            auth_deadline: None,
            checking: None,
            is_paused: false,
            told_account: false,
        };
        turn.log
            .debug(|| client.labelled("Client connection created"));
        client
    }

    pub fn id(&self) -> ConnectionId {
        self.id
    }

    pub fn number(&self) -> ClientNumber {
        self.number
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    pub fn address(&self) -> SocketAddr {
        self.origin.address()
    }

    /// The process at the other end, if it came through a Unix socket.
    pub fn peer(&self) -> Option<&Peer> {
        self.origin.peer()
    }

    /// Messages it has published.
    pub fn received(&self) -> Traffic {
        self.received
    }

    pub fn subscription_count(&self) -> usize {
        self.sids.len()
    }

    /// Takes in bytes from the connection.
    pub fn receive(&mut self, bytes: &[u8], turn: &mut Turn<'_>) -> Handled {
        self.heard_at = turn.now;
        let mut bytes = bytes;
        while !self.carry.is_empty() && !bytes.is_empty() && !self.is_paused {
            bytes = self.complete_carried(bytes, turn)?;
        }
        if self.is_paused {
            return self.keep_for_later(bytes, turn);
        }
        self.run(bytes, turn)
    }

    /// Keeps what comes during a pause. Reading is paused too, so it will not be much.
    #[cold]
    fn keep_for_later(&mut self, bytes: &[u8], turn: &mut Turn<'_>) -> Handled {
        if self.checking.is_some() && self.carry.len() + bytes.len() > UNPROVEN_BYTES_MAX {
            let text = "Too much data before the password was checked";
            turn.log.add(Level::Error, self.labelled(text));
            return Err(CloseReason::ProtocolViolation);
        }
        self.carry.extend_from_slice(bytes);
        Ok(())
    }

    /// Adds to the unfinished operation what belongs to it, and no more; gives what is left.
    fn complete_carried<'b>(
        &mut self,
        bytes: &'b [u8],
        turn: &mut Turn<'_>,
    ) -> Result<&'b [u8], CloseReason> {
        let missing = self.wanted.saturating_sub(self.carry.len());
        let take = if missing > 1 {
            missing.min(bytes.len())
        } else {
            memchr::memchr(b'\n', bytes).map_or(bytes.len(), |feed| feed + 1)
        };
        if self.carry.capacity() < self.wanted && self.wanted <= CARRY_AT_ONCE {
            self.carry.reserve_exact(self.wanted - self.carry.len());
        }
        self.carry.extend_from_slice(&bytes[..take]);
        // One byte short of the end it may show already that the payload does not end there.
        if self.carry.len() + 1 < self.wanted {
            return Ok(&bytes[take..]);
        }
        let carried = std::mem::take(&mut self.carry);
        self.wanted = 0;
        if carried.len() >= SHARED_TAIL_BYTES {
            // It is in a buffer of its own already: subscribers can share that.
            let carried = Bytes::from(carried);
            let taken = self.run_shared(&carried, turn)?;
            self.keep(&carried[taken..]);
        } else {
            let taken = self.run_all(&carried, None, turn)?;
            if taken < carried.len() {
                self.carry = carried;
                self.carry.drain(..taken);
                if !self.is_paused {
                    self.carry.truncate(parser::essential(&self.carry).len());
                }
            } else if carried.capacity() <= CARRY_KEPT {
                self.carry = carried;
                self.carry.clear();
            }
        }
        Ok(&bytes[take..])
    }

    fn run(&mut self, bytes: &[u8], turn: &mut Turn<'_>) -> Handled {
        let taken = self.run_all(bytes, None, turn)?;
        self.keep(&bytes[taken..]);
        Ok(())
    }

    fn run_shared(&mut self, bytes: &Bytes, turn: &mut Turn<'_>) -> Result<usize, CloseReason> {
        self.run_all(bytes, Some(bytes), turn)
    }

    /// Keeps the beginning of an operation for when the rest arrives; all that comes next, if the last operation was the
    /// beginning of a pause.
    fn keep(&mut self, rest: &[u8]) {
        let rest = if rest.is_empty() || self.is_paused {
            rest
        } else {
            parser::essential(rest)
        };
        if !rest.is_empty() {
            if self.wanted <= CARRY_AT_ONCE {
                self.carry.reserve_exact(self.wanted.max(rest.len()));
            }
            self.carry.extend_from_slice(rest);
        } else if self.carry.is_empty() && self.carry.capacity() > 0 {
            self.carry = Vec::new();
        }
    }

    /// Handles every whole operation in `bytes`; gives how many bytes they took. `whole` is `bytes` as a shared buffer.
    fn run_all(
        &mut self,
        bytes: &[u8],
        whole: Option<&Bytes>,
        turn: &mut Turn<'_>,
    ) -> Result<usize, CloseReason> {
        // Counted here and added up once: per message it would be two more memory operations that wait for each other.
        let mut published = Traffic::default();
        let taken = self.run_each(bytes, whole, turn, &mut published);
        if published.messages > 0 {
            self.active_at = turn.now;
        }
        self.received.add(published);
        turn.router.counters.published.add(published);
        taken
    }

    #[inline]
    fn run_each(
        &mut self,
        bytes: &[u8],
        whole: Option<&Bytes>,
        turn: &mut Turn<'_>,
        published: &mut Traffic,
    ) -> Result<usize, CloseReason> {
        let mut limits = self.parse_limits(turn.settings);
        let mut memo = LineMemo::default();
        let mut scouted = Scouted::default();
        let mut taken = 0;
        let mut takes_runs = whole.is_none() && self.takes_runs(turn);
        while taken < bytes.len() {
            let left = &bytes[taken..];
            if self.stage == Stage::Unauthorized && !left[0].eq_ignore_ascii_case(&b'c') {
                self.begin_without_connect(turn)?;
            }
            if let Some((run, len)) = parser::next_run(left, &limits, &mut memo, takes_runs) {
                let shared = whole.map(|whole| whole.slice_ref(run.first.tail));
                if turn.log.trace {
                    self.trace_publish("PUB", &run.first, turn);
                }
                published.count_run(run.count, run.first.size());
                scouted.hint(&mut self.memo);
                self.publish(&run, shared.as_ref(), turn);
                taken += len;
                let scope = Scope::published(self.place.account);
                let subjects =
                    || parser::subjects(&bytes[taken..], &limits).map(|subject| (scope, subject));
                scouted.look_ahead(turn.router.interest(), self.memo, subjects);
                continue;
            }
            match parser::parse(left, &limits) {
                Ok(Step::Op(op, len)) => {
                    self.handle(op, turn, published)?;
                    limits = self.parse_limits(turn.settings);
                    takes_runs = whole.is_none() && self.takes_runs(turn);
                    memo = LineMemo::default();
                    taken += len;
                    if self.is_paused {
                        break;
                    }
                }
                Ok(Step::More(wanted)) => {
                    self.wanted = wanted;
                    break;
                }
                Err(error) => {
                    if matches!(error, ParseError::PayloadTooLarge(_)) {
                        self.trace_oversized(left, turn);
                    }
                    return Err(self.complain(error, turn));
                }
            }
        }
        Ok(taken)
    }

    /// Whether messages may be handled a run at a time: when nothing is to be said or logged of each of them.
    fn takes_runs(&self, turn: &Turn<'_>) -> bool {
        !self.options.verbose && !self.options.pedantic && !turn.log.trace
    }

    fn parse_limits(&self, settings: &Settings) -> Limits {
        Limits {
            control_line: self.place.control_line_max,
            payload: self.place.payload_max,
            headers: self.options.headers && settings.headers,
        }
    }

    #[inline(never)]
    fn handle(&mut self, op: Op<'_>, turn: &mut Turn<'_>, published: &mut Traffic) -> Handled {
        self.trace_op(&op, turn);
        match op {
            Op::Publish(message) => {
                published.count(message.size());
                self.publish(&Run::of_one(message), None, turn);
            }
            Op::PublishLoose(loose) => {
                let mut scratch = Vec::new();
                let message = loose.tighten(&mut scratch);
                published.count(message.size());
                self.publish(&Run::of_one(message), None, turn);
            }
            Op::Subscribe {
                subject,
                queue,
                sid,
            } => {
                self.active_at = turn.now;
                self.subscribe(subject, queue, sid, turn);
            }
            Op::Unsubscribe { sid, max } => {
                self.active_at = turn.now;
                self.unsubscribe(sid, max, turn);
            }
            Op::Connect(json) => return self.connect(json, turn),
            Op::Ping => self.pong(turn),
            Op::Pong => self.hear_pong(turn),
            Op::Ok => {}
            Op::Err(text) => {
                let text = format!("Client Error {}", String::from_utf8_lossy(text));
                turn.log.add(Level::Error, self.labelled(&text));
                return Err(CloseReason::ParseError);
            }
            Op::Info(json) => {
                if serde_json::from_slice::<serde_json::Map<_, _>>(json).is_err() {
                    return Err(CloseReason::ProtocolViolation);
                }
            }
        }
        Ok(())
    }

    #[cold]
    fn complain(&self, error: ParseError, turn: &mut Turn<'_>) -> CloseReason {
        let (text, reason) = match error {
            ParseError::UnknownOperation => {
                self.say_error(&ErrorReply::UnknownOperation, turn);
                (
                    "Client parser ERROR".to_owned(),
                    CloseReason::ProtocolViolation,
                )
            }
            ParseError::ControlLineTooLong => {
                let text = "maximum control line exceeded".to_owned();
                (text, CloseReason::MaximumControlLineExceeded)
            }
            ParseError::BadArguments(what) => (
                format!("Parse Error: {what}"),
                CloseReason::ProtocolViolation,
            ),
            ParseError::PayloadTooLarge(size) => {
                let max = self.place.payload_max;
                let text = format!("maximum payload exceeded: {size} vs {max}");
                (text, CloseReason::MaximumPayloadExceeded)
            }
            ParseError::HeadersNotSupported => (
                "message headers not supported".to_owned(),
                CloseReason::ProtocolViolation,
            ),
        };
        turn.log.add(Level::Error, self.labelled(&text));
        reason
    }

    fn pong(&mut self, turn: &mut Turn<'_>) {
        self.say(reply::PONG, turn);
        if self.stage == Stage::Connected && !self.told_account {
            self.told_account = true;
            if self.options.protocol >= 1 {
                self.say_info(turn, Occasion::Connected);
            }
        }
    }

    /// Whether it wants to hear when something about the server changes.
    pub fn wants_updates(&self) -> bool {
        self.options.protocol >= 1 && self.told_account
    }

    /// Sends INFO again because something in it has changed.
    pub fn update(&self, turn: &mut Turn<'_>) {
        self.say_info(turn, Occasion::Announcement);
    }

    /// Says to it alone that the server is about to go: `info` says so.
    pub fn warn(&self, info: &ServerInfo, turn: &mut Turn<'_>) {
        turn.log
            .debug(|| self.labelled("Sending Lame Duck Mode info to client"));
        self.write_info(
            Cow::Borrowed(info),
            Greeting::PLAIN,
            turn,
            Occasion::Announcement,
        );
    }

    /// What the configuration lets it do; `None` is everything.
    pub fn permissions(&self) -> Option<&config::Permissions> {
        let granted = self.granted.as_ref()?;
        Some(granted.permissions().written())
    }

    /// Stops taking operations in until [`Client::resume`]. Says whether it had not before.
    pub fn pause(&mut self) -> bool {
        let is_new = !std::mem::replace(&mut self.is_paused, true);
        self.stalls += u64::from(is_new);
        is_new
    }

    /// Ends a pause and takes in what came meanwhile.
    pub fn resume(&mut self, turn: &mut Turn<'_>) -> Handled {
        if self.is_being_checked() {
            return Ok(());
        }
        if !std::mem::take(&mut self.is_paused) {
            return Ok(());
        }
        let carried = std::mem::take(&mut self.carry);
        self.wanted = 0;
        self.run(&carried, turn)
    }

    /// When [`Client::on_timer`] has something to do next.
    pub fn deadline(&self) -> Now {
        self.auth_deadline
            .map_or(self.ping_at, |deadline| deadline.min(self.ping_at))
    }

    /// Does what is due.
    pub fn on_timer(&mut self, turn: &mut Turn<'_>) -> Handled {
        if self
            .auth_deadline
            .is_some_and(|deadline| deadline <= turn.now)
        {
            turn.log.debug(|| self.labelled("Authentication Timeout"));
            return Err(CloseReason::AuthenticationTimeout);
        }
        if self.ping_at <= turn.now {
            return self.ping(turn);
        }
        Ok(())
    }

    fn ping(&mut self, turn: &mut Turn<'_>) -> Handled {
        turn.log.debug(|| self.labelled("Client Ping Timer"));
        let interval = turn.settings.ping_interval;
        let wants_rtt = self
            .pinged_at
            .is_none_or(|at| turn.now.since(at) > RTT_EVERY);
        self.ping_at = turn.now.after(interval);
        if turn.now.since(self.heard_at) < interval && !wants_rtt {
            return Ok(());
        }
        if self.pings_out >= turn.settings.pings_out_max {
            turn.log
                .debug(|| self.labelled("Stale Client Connection - Closing"));
            return Err(CloseReason::StaleConnection);
        }
        self.pings_out += 1;
        self.pinged_at = Some(turn.now);
        self.say(reply::PING, turn);
        Ok(())
    }

    /// Says what there is to say about it, and ends its subscriptions, here and in the eyes of the other shards.
    pub fn end(&mut self, ending: Ending<'_>, turn: &mut Turn<'_>) {
        let reason = ending.reason;
        if let Some(farewell) = reason.farewell() {
            self.say_error(&farewell, turn);
        }
        self.end_all_subscriptions(turn);
        self.take_permissions(None, turn);
        self.leave(turn);
        self.tell_disconnected(ending, turn);
        if !self.is_resident() {
            turn.log
                .debug(|| self.labelled(&format!("Client connection closed: {reason}")));
        }
    }

    fn say(&self, bytes: &[u8], turn: &mut Turn<'_>) {
        turn.log.trace(|| {
            let text = String::from_utf8_lossy(bytes);
            let text = text.trim_end().trim_start_matches('+');
            self.labelled(&format!("->> [{text}]"))
        });
        turn.router
            .outboxes
            .write(self.id.slot, |into| into.extend_from_slice(bytes));
    }

    fn say_error(&self, error: &ErrorReply<'_>, turn: &mut Turn<'_>) {
        turn.log
            .trace(|| self.labelled(&format!("->> [-ERR {}]", error.text())));
        turn.router
            .outboxes
            .write(self.id.slot, |into| error.write(into));
    }

    fn say_info(&self, turn: &mut Turn<'_>, occasion: Occasion) {
        self.say_info_as(Greeting::PLAIN, turn, occasion);
    }

    fn say_info_as(&self, how: Greeting, turn: &mut Turn<'_>, occasion: Occasion) {
        let info = Cow::Borrowed(&turn.settings.info);
        self.write_info(info, how, turn, occasion);
    }

    fn write_info(
        &self,
        mut info: Cow<'_, ServerInfo>,
        how: Greeting,
        turn: &mut Turn<'_>,
        occasion: Occasion,
    ) {
        let directory = &turn.settings.directory;
        let mut nonce = None;
        if occasion == Occasion::Greeting {
            nonce = directory.nonce(self.number);
            if info.auth_required && !directory.announces_credentials() {
                info.to_mut().auth_required = false;
            }
        }
        if how.insists_on_tls && !info.tls_required {
            info.to_mut().tls_required = true;
        }
        if self.peer().is_some() && (info.tls_required || info.tls_available) {
            // There is none on a Unix socket.
            let info = info.to_mut();
            (info.tls_required, info.tls_available, info.tls_verify) = (false, false, false);
        }
        let is_named = how.names_client && self.peer().is_none();
        let addressee = Addressee {
            client_id: self.number.0,
            address: is_named.then(|| self.address().ip()),
            nonce: nonce.as_ref().map(Nonce::as_str),
            account: turn.settings.accounts.name(self.place.account),
            payload_max: u32::try_from(self.place.payload_max).unwrap_or(info.max_payload),
        };
        turn.router.outboxes.write(self.id.slot, |into| {
            info.write_line(into, &addressee, occasion);
        });
    }
}
