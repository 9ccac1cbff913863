//! `CONNECT`, and who a client turns out to be.
//!
//! nats-server lets a client introduce itself anew; what it had subscribed to belongs to who it was, and ends.

use super::{Client, Handled, Stage, Turn};
use crate::auth::{CertificateFacts, Claim, Identity, Name, Refusal, Verdict};
use crate::base::log::Level;
use crate::config::authorization::ConnectionType;
use crate::protocol::reply::{self, quoted};
use crate::session::close::CloseReason;

impl Client {
    /// Notes the certificate that the client has shown in its handshake; it has been found valid.
    pub fn show_certificate(&mut self, facts: CertificateFacts) {
        self.certificate = Some(Box::new(facts));
    }

    pub(super) fn connect(&mut self, json: &[u8], turn: &mut Turn<'_>) -> Handled {
        self.auth_deadline = None;
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
            Verdict::Check(check, identity) if check.run() => self.admit(identity, turn),
            Verdict::Check(..) => Err(self.refuse(Refusal::Credentials(""), turn)),
            Verdict::Refused(refusal) => Err(self.refuse(refusal, turn)),
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
        self.become_somebody(identity);
        Ok(())
    }

    /// Lets the client in as `identity`.
    fn admit(&mut self, identity: Identity, turn: &mut Turn<'_>) -> Handled {
        if !self.options.account.is_empty() || self.options.new_account {
            return Err(self.refuse(Refusal::Credentials(""), turn));
        }
        self.become_somebody(identity);
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
    fn become_somebody(&mut self, identity: Identity) {
        self.identity = identity;
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
