//! What a new configuration makes of a client that is connected (nats-server `reloadAuthorization`). *Off the hot path.*
//!
//! Invariants
//! - Nobody does or hears more than the new configuration allows once its shard has it, except while a password is being
//!   compared that has changed: until then the client, which does nothing, is who it was.
//! - Who is still in the middle of saying who it is, is asked by the new configuration when it has done so.

use super::connect::Purpose;
use super::{Client, Handled, Stage, Turn};
use crate::auth::{Identity, Name, Permissions, Refusal, Standing};
use crate::base::log::Level;
use crate::interest::SubscriptionId;
use crate::protocol::reply::{ErrorReply, quoted};
use crate::session::close::CloseReason;
use crate::session::settings::Settings;
use std::sync::Arc;

impl Client {
    /// The settings have changed from those `before` to those of the turn.
    pub fn reload(&mut self, before: &Settings, turn: &mut Turn<'_>) -> Handled {
        if before.pinned_keys != turn.settings.pinned_keys {
            self.compare_key(turn)?;
        }
        if self.is_being_checked() {
            return Ok(());
        }
        if self.stage != Stage::Connected {
            return self.reconsider_stranger(turn);
        }
        let directory = Arc::clone(&turn.settings.directory);
        let standing = self.claiming(&directory, |claim| {
            directory.standing(&before.directory, &self.identity, claim)
        });
        match standing {
            Standing::Same => Ok(()),
            Standing::Changed(identity) => self.stay_as(identity, turn),
            Standing::Unproven => self.prove(Purpose::Confirmation, turn),
            Standing::Gone => Err(CloseReason::ClientClosed),
        }
    }

    /// It goes on as `identity`, which may have other permissions than it had.
    pub(super) fn stay_as(&mut self, identity: Identity, turn: &mut Turn<'_>) -> Handled {
        if identity.account != self.identity.account {
            return Err(CloseReason::ClientClosed);
        }
        let before = std::mem::replace(&mut self.identity, identity);
        let permissions = self.identity.permissions.clone();
        let is_same = match (&before.permissions, &permissions) {
            (None, None) => true,
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            _ => false,
        };
        if !is_same {
            self.take_permissions(permissions.clone(), turn);
            turn.router.distrust_answers();
            if let Some(permissions) = permissions {
                self.end_forbidden_subscriptions(&permissions, turn);
            }
        }
        Ok(())
    }

    /// Other keys are pinned now than when it shook hands.
    ///
    /// nats-server means to do this too, and looks at the old pins.
    pub fn compare_key(&self, turn: &mut Turn<'_>) -> Handled {
        let (Some(pinned), Some(secured)) = (&turn.settings.pinned_keys, self.secured()) else {
            return Ok(());
        };
        let own = secured.peer.first();
        if own.is_some_and(|own| pinned.contains(&own.key_sha256)) {
            return Ok(());
        }
        let text = "Disconnected due to pinned certs reload";
        turn.log.add(Level::Info, self.labelled(text));
        Err(CloseReason::TlsHandshakeFailure)
    }

    /// It has not said who it is. nats-server closes it if it would have to.
    fn reconsider_stranger(&mut self, turn: &mut Turn<'_>) -> Handled {
        match (self.stage, turn.settings.directory.wants_credentials()) {
            (Stage::Unconnected, true) if self.sids.is_empty() => {
                self.stage = Stage::Unauthorized;
                if self.is_open() {
                    self.auth_deadline = Some(turn.now.after(turn.settings.auth_timeout));
                }
            }
            (Stage::Unconnected, true) => {
                return Err(self.refuse(Refusal::Credentials(""), turn));
            }
            (Stage::Unauthorized, false) => {
                self.stage = Stage::Unconnected;
                self.auth_deadline = None;
            }
            _ => {}
        }
        Ok(())
    }

    fn end_forbidden_subscriptions(&mut self, permissions: &Permissions, turn: &mut Turn<'_>) {
        let interest = turn.router.interest();
        let is_forbidden = |id: &SubscriptionId| {
            let (_, pattern) = interest.wish_of(*id);
            !permissions.may_subscribe(pattern, interest.queue_of(*id))
        };
        let mut forbidden: Vec<_> = self.sids.iter().copied().filter(is_forbidden).collect();
        forbidden.sort_unstable();
        for id in forbidden {
            let interest = turn.router.interest();
            let subject = interest.wish_of(id).1.to_vec();
            let queue = interest.queue_of(id).to_vec();
            let sid = interest.subscription(id).sid.clone();
            let sid = sid.as_slice();
            self.end_subscription(id, turn);
            let error = ErrorReply::SubscriptionRevoked {
                subject: &subject,
                queue: &queue,
                sid,
            };
            self.say_error(&error, turn);
            let using = match &*queue {
                b"" => String::new(),
                queue => format!(" using queue {}", quoted(queue)),
            };
            let (subject, sid, user) = (quoted(&subject), quoted(sid), self.shown_user());
            let text =
                format!("Removed sub {subject}{using} (sid {sid}) for {user} - not authorized");
            turn.log.add(Level::Info, text);
        }
    }

    /// Who it is, for the log.
    fn shown_user(&self) -> String {
        match &self.identity.name {
            Some(Name::User(name)) => format!("User {}", quoted(name.as_bytes())),
            Some(Name::Nkey(key)) => format!("Nkey {}", quoted(key.as_bytes())),
            None => self
                .claimed_user()
                .unwrap_or_else(|| "User \"N/A\"".to_owned()),
        }
    }
}
