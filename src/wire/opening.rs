//! What happens on a connection before its session begins, and in which order. *A few times per connection.*
//!
//! The order is nats-server's (`server.go`): `INFO`, unless TLS comes first; a look at the first byte, where connections
//! with and without TLS are welcome; the PROXY header; the TLS handshake; `INFO`, if it has not been said yet.
//!
//! The driver hands in bytes and time and does what each [`Step`] says, until one of them ends the opening.
//!
//! Invariants
//! - No byte that came is lost: what does not belong to the opening is there for whoever comes next.
//! - Every phase that waits has a deadline.
//! - Where TLS is required nothing but a finished handshake ends in [`Step::Open`].

use super::proxy::{self, Header};
use super::tls::handshake::{Handshake, Progress};
use super::tls::stream::Stream;
use super::tls::{Acceptor, Failure, Secured};
use crate::base::clock::Now;
use crate::config::Options;
use crate::config::tls::HandshakeFirst;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a PROXY header may take (nats-server `proxyProtoReadTimeout`).
pub const PROXY_TIMEOUT: Duration = Duration::from_secs(5);
/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// What a listener asks of connections before their sessions begin. Shared by all shards; a reload makes a new one.
#[derive(Clone, Debug)]
pub struct Entrance {
    pub proxy_protocol: bool,
    /// Connections without TLS are welcome beside those with it.
    pub allow_non_tls: bool,
    pub tls: Option<Arc<Acceptor>>,
}

/// How `INFO` is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// It says that TLS is required even where it is not: the client has begun with it, or is about to.
    pub insists_on_tls: bool,
    /// It tells the client its address; not before the proxy has told ours.
    pub names_client: bool,
}

impl Greeting {
    /// Where nothing is between the socket and the session.
    pub const PLAIN: Greeting = Greeting {
        insists_on_tls: false,
        names_client: true,
    };
}

/// What the driver has to do.
#[derive(Debug)]
pub enum Step {
    /// Say `INFO`.
    Greet(Greeting),
    /// Note that the client is there, and not where the connection comes from.
    Source(SocketAddr),
    HandshakeBegins,
    /// Begin the session, with what [`Opening::take_rest`] gives. Nothing follows.
    Open(Opened),
    /// Send what `outgoing` holds and close. Nothing follows.
    Refuse(Refusal),
}

/// How a session begins.
#[derive(Debug)]
pub struct Opened {
    pub secure: Option<(Box<Stream>, Box<Secured>)>,
    /// `INFO` has not been said yet.
    pub greeting: Option<Greeting>,
}

/// Why there will be no session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    ProxyHeader(String),
    /// More handshakes than `connection_rate_limit` allows.
    Throttled,
    HandshakeTimeout,
    Handshake(Failure),
}

/// A connection whose session has not begun.
#[derive(Debug)]
pub struct Opening {
    entrance: Arc<Entrance>,
    phase: Phase,
    /// What has come and was not understood yet.
    kept: Vec<u8>,
    deadline: Now,
    /// `INFO` waits until after the handshake.
    is_tls_first: bool,
    wants_tls: bool,
}

#[derive(Debug)]
enum Phase {
    /// Nothing has been said.
    Start,
    /// TLS may begin before `INFO`, until the deadline.
    Hesitate,
    /// With or without TLS? The first byte tells; silence means without.
    Sniff,
    ProxyHeader {
        is_recognized: bool,
    },
    /// The first byte after the PROXY header.
    SniffAgain,
    Tls,
    Handshake(Box<Handshake>),
    Over,
}

/// What one look at the phase comes to.
#[derive(Debug)]
enum Next {
    Again,
    Wait,
    Say(Step),
}

impl Entrance {
    /// What the options ask for; `None` where sessions begin at once.
    pub fn new(options: &Options, tls: Option<Arc<Acceptor>>) -> Option<Entrance> {
        let is_needed = options.proxy_protocol || tls.is_some();
        is_needed.then(|| Entrance {
            proxy_protocol: options.proxy_protocol,
            allow_non_tls: options.allow_non_tls,
            tls,
        })
    }

    /// How a client is greeted that is turned away unheard; not at all where TLS comes first.
    pub fn farewell_greeting(&self) -> Option<Greeting> {
        let tls_first = self.tls.as_ref().map(|tls| tls.handshake_first());
        matches!(tls_first, None | Some(HandshakeFirst::No)).then_some(Greeting {
            insists_on_tls: false,
            names_client: !self.proxy_protocol,
        })
    }
}

impl Opening {
    pub fn new(entrance: Arc<Entrance>) -> Opening {
        Opening {
            wants_tls: entrance.tls.is_some() && !entrance.allow_non_tls,
            entrance,
            phase: Phase::Start,
            kept: Vec::new(),
            deadline: Now::ZERO,
            is_tls_first: false,
        }
    }

    /// Takes in what has come.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
    }

    /// Bytes that wait for [`Opening::advance`].
    pub fn waiting_bytes(&self) -> usize {
        self.kept.len()
    }

    /// When [`Opening::advance`] has something to do though nothing came.
    pub fn deadline(&self) -> Now {
        self.deadline
    }

    /// Whether the next [`Opening::advance`] may take long.
    pub fn is_dear(&self) -> bool {
        match &self.phase {
            Phase::Handshake(handshake) => handshake.is_ready(&self.kept),
            _ => false,
        }
    }

    /// Whether keys are being agreed on: nothing that a session says may leave meanwhile.
    pub fn is_in_handshake(&self) -> bool {
        matches!(self.phase, Phase::Handshake(_))
    }

    /// What came and belongs to the session.
    pub fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.kept)
    }

    /// The next thing to do; `None` when more bytes or time are needed. Appends what is to be sent to `outgoing`.
    pub fn advance(&mut self, now: Now, outgoing: &mut Vec<u8>) -> Option<Step> {
        loop {
            match self.next(now, outgoing) {
                Next::Again => {}
                Next::Wait => return None,
                Next::Say(step) => return Some(step),
            }
        }
    }

    /// What to make of it that the peer has gone in the middle; `None` is nothing in particular.
    pub fn cut_off(&self) -> Option<Refusal> {
        match &self.phase {
            Phase::ProxyHeader { .. } => {
                let what = proxy::unfinished(&self.kept);
                Some(Refusal::ProxyHeader(format!("{what}: EOF")))
            }
            Phase::Hesitate | Phase::Tls | Phase::Handshake(_) => {
                let text = if self.kept.is_empty() {
                    "EOF"
                } else {
                    "unexpected EOF"
                };
                Some(Refusal::Handshake(Failure::new(text)))
            }
            Phase::Start | Phase::Sniff | Phase::SniffAgain | Phase::Over => None,
        }
    }

    fn next(&mut self, now: Now, outgoing: &mut Vec<u8>) -> Next {
        match self.phase {
            Phase::Start => self.start(now),
            Phase::Hesitate => self.hesitate(now),
            Phase::Sniff | Phase::SniffAgain => self.sniff(now),
            Phase::ProxyHeader { is_recognized } => self.read_header(is_recognized, now),
            Phase::Tls => Next::Say(self.begin_tls(now)),
            Phase::Handshake(_) => self.shake_hands(now, outgoing),
            Phase::Over => Next::Wait,
        }
    }

    fn start(&mut self, now: Now) -> Next {
        let tls = self.entrance.tls.as_ref();
        match tls.map_or(HandshakeFirst::No, |tls| tls.handshake_first()) {
            HandshakeFirst::No => self.greet(now),
            HandshakeFirst::Always => {
                self.is_tls_first = true;
                self.wants_tls = true;
                self.look_for_header(now)
            }
            HandshakeFirst::Within(delay) => {
                self.is_tls_first = true;
                self.wants_tls = true;
                self.wait(now, delay);
                self.go_on(Phase::Hesitate)
            }
        }
    }

    fn hesitate(&mut self, now: Now) -> Next {
        if !self.kept.is_empty() {
            self.look_for_header(now)
        } else if now >= self.deadline {
            self.is_tls_first = false;
            self.greet(now)
        } else {
            Next::Wait
        }
    }

    fn greet(&mut self, now: Now) -> Next {
        match &self.entrance.tls {
            Some(tls) if self.entrance.allow_non_tls => {
                let timeout = tls.timeout();
                self.wait(now, timeout);
                self.phase = Phase::Sniff;
            }
            _ => {
                self.look_for_header(now);
            }
        }
        Next::Say(Step::Greet(self.greeting(false)))
    }

    fn go_on(&mut self, phase: Phase) -> Next {
        self.phase = phase;
        Next::Again
    }

    fn greeting(&self, names_client: bool) -> Greeting {
        Greeting {
            insists_on_tls: self.is_tls_first,
            names_client: names_client || !self.entrance.proxy_protocol,
        }
    }

    fn look_for_header(&mut self, now: Now) -> Next {
        if !self.entrance.proxy_protocol {
            return self.go_on(Phase::Tls);
        }
        self.wait(now, PROXY_TIMEOUT);
        self.go_on(Phase::ProxyHeader {
            is_recognized: false,
        })
    }

    fn sniff(&mut self, now: Now) -> Next {
        if self.kept.is_empty() && now < self.deadline {
            return Next::Wait;
        }
        self.wants_tls = self.kept.first() == Some(&TLS_HANDSHAKE);
        match self.phase {
            Phase::Sniff => self.look_for_header(now),
            _ => self.go_on(Phase::Tls),
        }
    }

    fn read_header(&mut self, was_recognized: bool, now: Now) -> Next {
        match proxy::parse(&self.kept) {
            Ok(Header::Partial { is_recognized }) => {
                if is_recognized && !was_recognized {
                    // nats-server's clock starts anew once it knows which version to read.
                    self.wait(now, PROXY_TIMEOUT);
                    self.phase = Phase::ProxyHeader { is_recognized };
                }
                if now < self.deadline {
                    return Next::Wait;
                }
                let what = proxy::unfinished(&self.kept);
                self.refuse(Refusal::ProxyHeader(format!("{what}: i/o timeout")))
            }
            Ok(Header::Absent) => self.go_on(Phase::Tls),
            Ok(Header::Present { source, len }) => {
                self.kept.drain(..len);
                self.after_header(now);
                source.map_or(Next::Again, |source| Next::Say(Step::Source(source)))
            }
            Err(error) => self.refuse(Refusal::ProxyHeader(error.to_string())),
        }
    }

    fn after_header(&mut self, now: Now) {
        self.phase = Phase::Tls;
        if let Some(tls) = &self.entrance.tls
            && self.entrance.allow_non_tls
            && !self.is_tls_first
        {
            // The byte that was looked at belonged to the header.
            let timeout = tls.timeout();
            self.wait(now, timeout);
            self.phase = Phase::SniffAgain;
        }
    }

    fn begin_tls(&mut self, now: Now) -> Step {
        let tls = self.entrance.tls.clone().filter(|_| self.wants_tls);
        let Some(tls) = tls else {
            self.phase = Phase::Over;
            return Step::Open(Opened {
                secure: None,
                greeting: None,
            });
        };
        self.phase = Phase::Over;
        if !tls.allow(now) {
            return Step::Refuse(Refusal::Throttled);
        }
        match Handshake::new(&tls) {
            Ok(handshake) => {
                self.wait(now, tls.timeout());
                self.phase = Phase::Handshake(Box::new(handshake));
                Step::HandshakeBegins
            }
            Err(failure) => Step::Refuse(Refusal::Handshake(failure)),
        }
    }

    fn shake_hands(&mut self, now: Now, outgoing: &mut Vec<u8>) -> Next {
        let Phase::Handshake(handshake) = &mut self.phase else {
            return Next::Wait;
        };
        match handshake.advance(&mut self.kept, outgoing) {
            Ok(Progress::Waiting) if now >= self.deadline => self.refuse(Refusal::HandshakeTimeout),
            Ok(Progress::Waiting) => Next::Wait,
            Ok(Progress::Finished) => self.finish(outgoing),
            Err(failure) => self.refuse(Refusal::Handshake(failure)),
        }
    }

    fn finish(&mut self, outgoing: &mut Vec<u8>) -> Next {
        let Phase::Handshake(handshake) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return Next::Wait;
        };
        match handshake.into_stream(outgoing) {
            Ok((stream, mut secured)) => {
                secured.is_first = self.is_tls_first;
                Next::Say(Step::Open(Opened {
                    secure: Some((Box::new(stream), Box::new(secured))),
                    greeting: self.is_tls_first.then(|| self.greeting(true)),
                }))
            }
            Err(failure) => self.refuse(Refusal::Handshake(failure)),
        }
    }

    fn refuse(&mut self, refusal: Refusal) -> Next {
        self.phase = Phase::Over;
        Next::Say(Step::Refuse(refusal))
    }

    fn wait(&mut self, now: Now, time: Duration) {
        self.deadline = now.after(time);
    }
}

#[cfg(test)]
mod tests;
