//! What is below a session: where its connection comes from, how it is greeted, what its TLS handshake came to.
//!
//! A connection that has stages between its socket and its session (`wire`) is admitted first, and greeted and opened when
//! they say so. Until it is opened no byte of it is taken for an operation, and none of its clocks runs.

use super::{Client, Stage, Turn};
use crate::auth::{Attribute, CertificateFacts};
use crate::base::clock::Now;
use crate::base::origin::Origin;
use crate::protocol::info::Occasion;
use crate::wire::opening::Greeting;
use crate::wire::tls::Secured;
use crate::wire::tls::peer::PeerCertificate;
use std::net::SocketAddr;
use std::time::Duration;

/// The first ping comes early, to learn the round-trip time (nats-server `firstClientPingInterval`).
const FIRST_PING_AFTER: Duration = Duration::from_secs(2);

impl Client {
    /// Says the first `INFO`.
    pub fn greet(&self, how: Greeting, turn: &mut Turn<'_>) {
        self.say_info_as(how, turn, Occasion::Greeting);
    }

    /// The client is there, and what its connection comes from is a proxy.
    pub fn relocate(&mut self, address: SocketAddr) {
        self.origin = Origin::Network(address);
    }

    /// Operations may come from now on; the clocks start.
    pub fn open(&mut self, secured: Option<Box<Secured>>, turn: &mut Turn<'_>) {
        if let Some(secured) = secured {
            self.note_handshake(secured, turn);
        }
        let settings = turn.settings;
        self.started = turn.now;
        self.active_at = turn.now;
        self.heard_at = turn.now;
        self.ping_at = turn.now.after(FIRST_PING_AFTER.min(settings.ping_interval));
        if self.stage == Stage::Unauthorized {
            self.auth_deadline = Some(turn.now.after(settings.auth_timeout));
        }
    }

    /// Whether it has been opened.
    pub(super) fn is_open(&self) -> bool {
        self.ping_at < Now::NEVER
    }

    /// What its TLS handshake came to, if there was one.
    pub fn secured(&self) -> Option<&Secured> {
        self.secured.as_deref()
    }

    fn note_handshake(&mut self, secured: Box<Secured>, turn: &mut Turn<'_>) {
        turn.log.debug(|| self.labelled("TLS handshake complete"));
        turn.log.debug(|| {
            let (version, suite) = (secured.version, secured.cipher_suite);
            self.labelled(&format!("TLS version {version}, cipher suite {suite}"))
        });
        if let Some(own) = secured.peer.first() {
            self.show_certificate(facts(own));
        }
        self.secured = Some(secured);
    }
}

fn facts(own: &PeerCertificate) -> CertificateFacts {
    let attribute = |part: &crate::wire::tls::peer::Attribute| Attribute {
        oid: part.oid.clone(),
        value: part.value.clone(),
    };
    CertificateFacts {
        emails: own.emails.clone(),
        dns_names: own.dns_names.clone(),
        uris: own.uris.clone(),
        subject: own
            .subject
            .iter()
            .map(|set| set.iter().map(attribute).collect())
            .collect(),
    }
}
