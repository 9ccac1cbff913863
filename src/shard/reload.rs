//! A new configuration, in one turn of one shard. *Off the hot path.*
//!
//! Every shard gets the same settings as a directive, and takes them over between two turns, each when it comes to it. So for
//! a moment some shards have the new configuration and some the old one.
//!
//! Invariants
//! - A message is judged by one configuration on each shard it comes to: the publisher's shard says whether it may be
//!   published, what mappings make of it and which services it goes to; the subscriber's shard says which of its
//!   subscriptions get it, through which stream imports, and what is hidden from whom. What one shard must know of another
//!   travels as before, as announcements, and these mean the same under every configuration: an account keeps its number
//!   for as long as the process lives, and nothing else of a configuration goes over a lane.
//! - So no promise of DESIGN §2 rests on two shards having the same settings. Announcements that a reload causes are on every
//!   lane before any send of the same turn, like all others.
//! - Once the last shard has said that it has them, the new settings are all there is: whoever acts on that finds them
//!   everywhere.

use super::Shard;
use crate::base::ids::{ClientNumber, ConnectionId};
use crate::base::log::Level;
use crate::session::client::Client;
use crate::session::close::CloseReason;
use crate::session::settings::Settings;

impl Shard {
    /// From now on these are the settings.
    pub fn reload(&mut self, settings: &Settings) {
        let mut settings = settings.clone();
        settings.wall = self.settings.wall;
        // Whoever is about to go does not stay because of a reload.
        settings.info.ldm = self.settings.info.ldm;
        let before = std::mem::replace(&mut self.settings, settings);
        let settings = &self.settings;
        (self.log.debug, self.log.trace) = (settings.debug, settings.trace);
        self.router
            .reload(&settings.accounts, settings.outbox, settings.trace);
        if let Some(at) = self.stuck_check_at {
            let soon = self.now.after(settings.write_deadline / 8);
            self.stuck_check_at = Some(at.min(soon));
        }
        for id in self.serving() {
            self.with_client(id, |client, turn| client.reload(&before, turn));
        }
        // Who has gone by now takes no room from those who stay.
        for id in self.serving() {
            self.with_client(id, Client::renew_place);
            self.arm_earlier(id);
        }
        // Some answers may have been made in between.
        self.router.distrust_answers();
        self.settle();
    }

    /// Closes clients, the newest first, until there are no more than `most`.
    pub fn keep_at_most(&mut self, most: usize) {
        let mut clients: Vec<(ClientNumber, ConnectionId)> = self
            .serving()
            .into_iter()
            .filter_map(|id| Some((self.client(id)?.number(), id)))
            .collect();
        clients.sort_unstable_by_key(|(number, _)| number.0);
        for (_, id) in clients.split_off(most.min(clients.len())) {
            if let Some(client) = self.client(id) {
                let text = "maximum connections exceeded";
                let line = client.labelled(text);
                self.log.add_seldom(self.now, Level::Error, text, line);
            }
            self.close(id, CloseReason::MaximumConnectionsExceeded);
        }
        self.settle();
    }

    /// Sets the timer of a client anew if it has something to do before it goes off.
    fn arm_earlier(&mut self, id: ConnectionId) {
        if let Some(client) = self.client(id) {
            let at = client.deadline();
            if at < self.armed[id.slot as usize] {
                self.arm(id, at);
            }
        }
    }
}
