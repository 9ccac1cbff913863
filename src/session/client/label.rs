//! How log lines name a client, and what they tell of one that was too slow.

use super::{Client, Turn};
use crate::auth::Name;
use crate::base::clock::Now;
use crate::base::log::{About, Level, Line, Party};
use crate::protocol::reply::quoted;
use crate::router::{Filler, Router};
use crate::session::close::CloseReason;
use crate::session::slow_consumer::{Glut, SlowConsumer};
use std::fmt::Write as _;

impl Client {
    /// A line that names this client: `ip:port - cid:7 - "v1.0:go:name" - "$G/user:bob" - text`.
    pub fn labelled(&self, text: &str) -> Line {
        let (number, origin, party) = (self.number, &self.origin, self.party.clone());
        let mut line = format!("{origin} - cid:{number} - ");
        if let Some(party) = party.as_ref().filter(|party| !party.shown.is_empty()) {
            let _ = write!(line, "{} - ", party.shown);
        }
        let prefix = line.len();
        line.push_str(text);
        let about = About {
            number,
            origin: origin.clone(),
            party,
            prefix,
        };
        Line::about(about, line)
    }

    /// Logs an error of this client that it may make a million times a second.
    pub(super) fn complain_seldom(&self, text: &str, turn: &mut Turn<'_>) {
        let line = self.labelled(text);
        turn.log.add_seldom_of_client(turn.now, Level::Error, line);
    }

    /// Logs an error that many clients of an account may make at the same time: one of them stands for all.
    pub(super) fn complain_for_all(&self, text: &str, turn: &mut Turn<'_>) {
        let account = turn.settings.accounts.name(self.place.account);
        let key = format!("{text} - Account:{account}");
        let line = self.labelled(text);
        turn.log.add_seldom(turn.now, Level::Error, &key, line);
    }

    /// What there is to say of it when it has been too slow.
    pub fn slow_consumer(&self, reason: CloseReason, now: Now, router: &Router) -> SlowConsumer {
        let glut = router.outboxes.filler(self.id.slot).map(|filler| {
            let Filler {
                subject,
                sid,
                percent,
                subscription_percent,
            } = filler;
            let id = self.find_sid(&sid, router);
            let interest = router.interest();
            Glut {
                subject,
                sid,
                pattern: id.map(|id| interest.wish_of(id).1.into()),
                queue: id.map_or_else(Box::default, |id| interest.queue_of(id).into()),
                percent,
                subscription_percent,
            }
        });
        SlowConsumer {
            number: self.number,
            origin: self.origin.clone(),
            account: self.place.account,
            reason,
            closed_at: now,
            pending_bytes: router.outboxes.pending(self.id.slot),
            glut,
        }
    }

    /// What the first `CONNECT` says of the client's program, and who it is.
    pub(super) fn introduced(&self, turn: &Turn<'_>) -> Party {
        let options = &self.options;
        let program = options.label();
        let (sort, user) = match (&self.identity.name, &*options.nkey, &*options.user) {
            (Some(Name::User(name)), ..) => ("user:", name.to_string()),
            (Some(Name::Nkey(key)), ..) => ("nkey:", key.to_string()),
            (None, "", "") if options.token.is_empty() => ("", String::new()),
            (None, "", "") => ("token", String::new()),
            (None, "", user) => ("user:", user.to_owned()),
            (None, nkey, _) => ("nkey:", nkey.to_owned()),
        };
        let directory = &turn.settings.directory;
        let account = directory.account_name(self.identity.account).to_owned();
        let place = match sort {
            "" => String::new(),
            sort => format!("{account}/{sort}{user}"),
        };
        let parts = [program.as_str(), &place];
        let parts = parts.iter().filter(|part| !part.is_empty());
        let shown: Vec<String> = parts.map(|part| quoted(part.as_bytes())).collect();
        Party {
            shown: shown.join(" - "),
            program,
            account,
            user,
        }
    }
}
