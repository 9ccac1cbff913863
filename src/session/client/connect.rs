//! `CONNECT`, and who a client turns out to be.
//!
//! Comparing a password with a bcrypt hash takes longer than a shard has time. Meanwhile the client is paused: what it has
//! sent already is kept, the rest stays in its socket, and the time in which it must prove itself goes on.
//!
//! nats-server lets a client introduce itself anew; what it had subscribed to belongs to who it was, and ends.

use super::account::ROUND_TRIP_MIN;
use super::{Client, Handled, Stage, Turn};
use crate::auth::{
    CertificateFacts, Claim, Claimant, Directory, Identity, PasswordCheck, Refusal, Standing,
    Verdict,
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
    /// Who says so; there may be another one when the password has been compared.
    directory: Arc<Directory>,
    purpose: Purpose,
    /// Without it nobody compares any more.
    _claimant: Arc<Claimant>,
    /// It has hung up meanwhile; what it had said before still counts.
    hung_up: Option<CloseReason>,
}

/// What it is proven for who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be let in.
    Admission,
    /// To stay, although the user has another password now.
    Confirmation,
}

impl Client {
    /// Notes the certificate that the client has shown in its handshake; it has been found valid.
    pub fn show_certificate(&mut self, facts: CertificateFacts) {
        self.certificate = Some(Box::new(facts));
    }

    pub(super) fn connect(&mut self, json: &[u8], turn: &mut Turn<'_>) -> Handled {
        let deadline = self.auth_deadline.take();
        self.active_at = turn.now;
        self.round_trip = turn.now.since(self.started).max(ROUND_TRIP_MIN);
        if self.options.merge(json).is_err() {
            // What is wrong with it is not said: it may be about a secret.
            self.complain_seldom("invalid CONNECT", turn);
            return Err(CloseReason::ProtocolViolation);
        }
        let headers = self.options.headers && turn.settings.headers;
        turn.router.outboxes.set_headers(self.id.slot, headers);
        if self.stage == Stage::Connected {
            self.end_all_subscriptions(turn);
        }
        self.prove(Purpose::Admission, turn)?;
        if self.is_being_checked() {
            let within = || turn.now.after(turn.settings.auth_timeout);
            self.auth_deadline = Some(deadline.unwrap_or_else(within));
        }
        Ok(())
    }

    /// Finds out who it is, perhaps later.
    pub(super) fn prove(&mut self, purpose: Purpose, turn: &mut Turn<'_>) -> Handled {
        let directory = Arc::clone(&turn.settings.directory);
        self.take_name_of_certificate(&directory, turn);
        let verdict = self.claiming(&directory, |claim| directory.examine(claim));
        match verdict {
            Verdict::Granted(identity) => self.proven(identity, purpose, turn),
            Verdict::Check(check, identity) => {
                self.have_checked(check, identity, purpose, turn);
                Ok(())
            }
            Verdict::Refused(refusal) => Err(self.refuse_claim(refusal, turn)),
        }
    }

    /// Where certificates stand for users it is called as its certificate says, whatever it calls itself.
    fn take_name_of_certificate(&mut self, directory: &Directory, turn: &mut Turn<'_>) {
        let certified = self.claiming(directory, |claim| directory.certified(claim));
        let Some((user, lines)) = certified else {
            return;
        };
        if self.secured().is_some_and(|secured| secured.peer.len() > 1) {
            let text = "Multiple peer certificates found, selecting first";
            turn.log.debug(|| self.labelled(text));
        }
        for line in lines {
            turn.log.debug(|| self.labelled(&line));
        }
        let Some(user) = user else {
            return;
        };
        if !self.options.user.is_empty() {
            let said = quoted(self.options.user.as_bytes());
            let text = format!("User {said} found in connect proto, but user required from cert");
            turn.log.add(Level::Warn, text);
        }
        user.as_ref().clone_into(&mut self.options.user);
    }

    /// What it says of itself, for a question about it.
    pub(super) fn claiming<T>(
        &self,
        directory: &Directory,
        ask: impl FnOnce(&Claim<'_>) -> T,
    ) -> T {
        let nonce = directory.nonce(self.number);
        ask(&Claim {
            connect: &self.options,
            nonce: nonce.as_ref(),
            connection_type: ConnectionType::Standard,
            certificate: self.certificate.as_deref(),
            peer: self.peer(),
        })
    }

    /// Gives the password to somebody who has the time, and waits.
    fn have_checked(
        &mut self,
        mut check: PasswordCheck,
        identity: Identity,
        purpose: Purpose,
        turn: &mut Turn<'_>,
    ) {
        let checking = Checking {
            identity,
            directory: Arc::clone(&turn.settings.directory),
            purpose,
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
        self.conclude(&checking, is_right, turn)?;
        self.resume(turn)?;
        match checking.hung_up {
            // The next password: of a second `CONNECT`, or of a user whose password has changed meanwhile.
            Some(reason) if self.is_being_checked() => {
                self.hang_up_later(reason);
                Ok(())
            }
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }

    /// A password was compared that a directory has asked for. If there is another one now, that one decides.
    fn conclude(&mut self, checking: &Checking, is_right: bool, turn: &mut Turn<'_>) -> Handled {
        let directory = Arc::clone(&turn.settings.directory);
        let (before, identity) = (&*checking.directory, &checking.identity);
        let standing = if Arc::ptr_eq(&directory, &checking.directory) {
            Standing::Same
        } else {
            self.claiming(&directory, |claim| {
                directory.standing(before, identity, claim)
            })
        };
        let identity = match standing {
            Standing::Unproven => return self.prove(checking.purpose, turn),
            Standing::Gone if checking.purpose == Purpose::Confirmation => {
                return Err(CloseReason::ClientClosed);
            }
            Standing::Same if is_right => checking.identity.clone(),
            Standing::Changed(identity) if is_right => identity,
            Standing::Same | Standing::Changed(_) | Standing::Gone => {
                return Err(self.refuse_claim(Refusal::Credentials(""), turn));
            }
        };
        self.proven(identity, checking.purpose, turn)
    }

    fn proven(&mut self, identity: Identity, purpose: Purpose, turn: &mut Turn<'_>) -> Handled {
        match purpose {
            Purpose::Admission => {
                self.auth_deadline = None;
                self.admit(identity, turn)
            }
            Purpose::Confirmation => self.stay_as(identity, turn),
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
        self.become_somebody(identity, turn)?;
        self.tell_connected(turn);
        Ok(())
    }

    /// Lets the client in as `identity`.
    fn admit(&mut self, identity: Identity, turn: &mut Turn<'_>) -> Handled {
        if !self.options.account.is_empty() || self.options.new_account {
            return Err(self.refuse(Refusal::Credentials(""), turn));
        }
        self.become_somebody(identity, turn)?;
        self.tell_connected(turn);
        if self.stage != Stage::Connected {
            self.stage = Stage::Connected;
            self.party = Some(Arc::new(self.introduced(turn)));
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

    /// What it says of itself is not true.
    #[cold]
    fn refuse_claim(&self, refusal: Refusal, turn: &mut Turn<'_>) -> CloseReason {
        self.tell_refused_in_account(reason_of(refusal), turn);
        self.refuse(refusal, turn)
    }

    /// Says in the log why the client is not let in; the client hears no reason.
    #[cold]
    pub(super) fn refuse(&self, refusal: Refusal, turn: &mut Turn<'_>) -> CloseReason {
        let detail = match refusal {
            Refusal::Credentials(detail) => detail,
            Refusal::ProxyNotTrusted => "proxy is not trusted",
            Refusal::ProxyRequired => "proxy connection required",
        };
        let reason = reason_of(refusal);
        self.tell_refused(reason, turn);
        if !detail.is_empty() {
            turn.log.debug(|| self.labelled(detail));
        }
        let who = self.claimed_user().map(|who| format!(" - {who}"));
        let text = format!("authentication error{}", who.unwrap_or_default());
        turn.log.add(Level::Error, self.labelled(&text));
        reason
    }

    /// Who it says it is, for the log.
    pub(super) fn claimed_user(&self) -> Option<String> {
        let options = &self.options;
        Some(
            match (&*options.nkey, &*options.user, options.token.is_empty()) {
                ("", "", true) => return None,
                ("", "", false) => "Token \"[REDACTED]\"".to_owned(),
                ("", user, _) => format!("User {}", quoted(user.as_bytes())),
                (nkey, ..) => format!("Nkey {}", quoted(nkey.as_bytes())),
            },
        )
    }
}

fn reason_of(refusal: Refusal) -> CloseReason {
    match refusal {
        Refusal::Credentials(_) => CloseReason::AuthenticationFailure,
        Refusal::ProxyNotTrusted => CloseReason::ProxyNotTrusted,
        Refusal::ProxyRequired => CloseReason::ProxyRequired,
    }
}
