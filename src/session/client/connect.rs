//! `CONNECT`, and who a client turns out to be.
//!
//! Comparing a password with a bcrypt hash takes longer than a shard has time. Meanwhile the client is paused: what it has
//! sent already is kept, the rest stays in its socket, and the time in which it must prove itself goes on.
//!
//! nats-server lets a client introduce itself anew; what it had subscribed to belongs to who it was, and ends.

use super::account::ROUND_TRIP_MIN;
use super::{Client, Handled, Stage, Turn};
use crate::auth::{
    CertificateFacts, Claim, Claimant, Identity, Name, PasswordCheck, Refusal, Verdict,
};
use crate::base::log::Level;
use crate::config::authorization::ConnectionType;
use crate::protocol::reply::{self, quoted};
use crate::session::close::CloseReason;
use std::sync::Arc;

/// A client whose password is being compared.
#[derive(Debug)]
pub(super) struct Checking {
    identity: Identity,
    /// Without it nobody compares any more.
    _claimant: Arc<Claimant>,
    /// It has hung up meanwhile; what it had said before still counts.
    hung_up: Option<CloseReason>,
}

impl Client {
    /// Notes the certificate that the client has shown in its handshake; it has been found valid.
    pub fn show_certificate(&mut self, facts: CertificateFacts) {
        self.certificate = Some(Box::new(facts));
    }

    pub(super) fn connect(&mut self, json: &[u8], turn: &mut Turn<'_>) -> Handled {
        let deadline = self.auth_deadline.take();
        self.round_trip = turn.now.since(self.started).max(ROUND_TRIP_MIN);
        if self.options.merge(json).is_err() {
            return Err(CloseReason::ProtocolViolation);
        }
        let headers = self.options.headers && turn.settings.headers;
        turn.router.outboxes.set_headers(self.id.slot, headers);
        if self.stage == Stage::Connected {
            self.end_all_subscriptions(turn);
        }
        let nonce = turn.settings.directory.nonce(self.number);
        let verdict = turn.settings.directory.examine(&Claim {
            connect: &self.options,
            nonce: nonce.as_ref(),
            connection_type: ConnectionType::Standard,
            certificate: self.certificate.as_deref(),
        });
        match verdict {
            Verdict::Granted(identity) => self.admit(identity, turn),
            Verdict::Check(check, identity) => {
                let within = || turn.now.after(turn.settings.auth_timeout);
                self.auth_deadline = Some(deadline.unwrap_or_else(within));
                self.have_checked(check, identity, turn);
                Ok(())
            }
            Verdict::Refused(refusal) => Err(self.refuse(refusal, turn)),
        }
    }

    /// Gives the password to somebody who has the time, and waits.
    fn have_checked(&mut self, mut check: PasswordCheck, identity: Identity, turn: &mut Turn<'_>) {
        let checking = Checking {
            identity,
            _claimant: check.claim(),
            hung_up: None,
        };
        self.checking = Some(Box::new(checking));
        self.is_paused = true;
        turn.checks.push((self.id, check));
    }

    /// Whether it waits for its password to be compared.
    pub fn is_being_checked(&self) -> bool {
        self.checking.is_some()
    }

    /// It has hung up while its password is being compared: that ends it when what it had said before has been heard.
    pub fn hang_up_later(&mut self, reason: CloseReason) {
        if let Some(checking) = &mut self.checking {
            checking.hung_up = Some(reason);
        }
    }

    /// The password has been compared: goes on with what has come meanwhile.
    pub fn password_checked(&mut self, is_right: bool, turn: &mut Turn<'_>) -> Handled {
        let Some(checking) = self.checking.take() else {
            return Ok(());
        };
        let Checking {
            identity, hung_up, ..
        } = *checking;
        if !is_right {
            return Err(self.refuse(Refusal::Credentials(""), turn));
        }
        self.auth_deadline = None;
        self.admit(identity, turn)?;
        self.resume(turn)?;
        match hung_up {
            // The next password, of a second `CONNECT`.
            Some(reason) if self.is_being_checked() => {
                self.hang_up_later(reason);
                Ok(())
            }
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }

    /// Something else than `CONNECT` comes first: fine if there is a user for those who have not said who they are.
    #[cold]
    pub(super) fn begin_without_connect(&mut self, turn: &mut Turn<'_>) -> Handled {
        let greeted = turn.settings.directory.greet(ConnectionType::Standard);
        let Some(identity) = greeted else {
            return Err(self.refuse(Refusal::Credentials(""), turn));
        };
        self.auth_deadline = None;
        self.stage = Stage::Connected;
        self.become_somebody(identity, turn)
    }

    /// Lets the client in as `identity`.
    fn admit(&mut self, identity: Identity, turn: &mut Turn<'_>) -> Handled {
        if !self.options.account.is_empty() || self.options.new_account {
            return Err(self.refuse(Refusal::Credentials(""), turn));
        }
        self.become_somebody(identity, turn)?;
        if self.stage != Stage::Connected {
            self.stage = Stage::Connected;
            self.label = self.make_label(turn).into();
        }
        if !(0..=1).contains(&self.options.protocol) {
            return Err(CloseReason::BadClientProtocolVersion);
        }
        if self.options.no_responders && !(self.options.headers && turn.settings.headers) {
            return Err(CloseReason::NoRespondersRequiresHeaders);
        }
        if self.options.verbose {
            self.say(reply::OK, turn);
        }
        Ok(())
    }

    /// From here on it acts as `identity`.
    fn become_somebody(&mut self, identity: Identity, turn: &mut Turn<'_>) -> Handled {
        self.take_permissions(identity.permissions.clone(), turn);
        self.identity = identity;
        self.enter(self.identity.account, turn)
    }

    /// Says in the log why the client is not let in; the client hears no reason.
    #[cold]
    fn refuse(&self, refusal: Refusal, turn: &mut Turn<'_>) -> CloseReason {
        let (detail, reason) = match refusal {
            Refusal::Credentials(detail) => (detail, CloseReason::AuthenticationFailure),
            Refusal::ProxyNotTrusted => ("proxy is not trusted", CloseReason::ProxyNotTrusted),
            Refusal::ProxyRequired => ("proxy connection required", CloseReason::ProxyRequired),
        };
        if !detail.is_empty() {
            turn.log.debug(|| self.labelled(detail));
        }
        let options = &self.options;
        let who = match (&*options.nkey, &*options.user, options.token.is_empty()) {
            ("", "", true) => String::new(),
            ("", "", false) => " - Token \"[REDACTED]\"".to_owned(),
            ("", user, _) => format!(" - User {}", quoted(user.as_bytes())),
            (nkey, ..) => format!(" - Nkey {}", quoted(nkey.as_bytes())),
        };
        let text = format!("authentication error{who}");
        turn.log.add(Level::Error, self.labelled(&text));
        reason
    }

    /// What the first `CONNECT` says of the client's program, and who it is, each in quotes.
    fn make_label(&self, turn: &Turn<'_>) -> String {
        let program = self.options.label();
        let user = match (
            &self.identity.name,
            &*self.options.nkey,
            &*self.options.user,
        ) {
            (Some(Name::User(name)), ..) => format!("user:{name}"),
            (Some(Name::Nkey(key)), ..) => format!("nkey:{key}"),
            (None, "", "") if self.options.token.is_empty() => String::new(),
            (None, "", "") => "token".to_owned(),
            (None, "", user) => format!("user:{user}"),
            (None, nkey, _) => format!("nkey:{nkey}"),
        };
        let account = turn.settings.directory.account_name(self.identity.account);
        let user = match user.as_str() {
            "" => user,
            user => format!("{account}/{user}"),
        };
        let parts = [program, user];
        let parts = parts.iter().filter(|part| !part.is_empty());
        let quoted: Vec<String> = parts.map(|part| quoted(part.as_bytes())).collect();
        quoted.join(" - ")
    }
}
