//! What the system services have a shard do, or ask it, beside what the monitor asks. *Control path, between the steps of a
//! turn.*

use super::{Seat, Shard};
use crate::base::ids::ClientNumber;
use crate::config;
use crate::session::client::Client;
use crate::session::close::CloseReason;

/// Something to do or to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Close this client.
    Kick(ClientNumber),
    /// Tell this client that the server is about to go.
    Warn(ClientNumber),
    /// What this client may do.
    Permissions(ClientNumber),
    /// Which of these subjects of the system account anybody wants.
    Wanted(Vec<Box<[u8]>>),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client is not on this shard.
    Nobody,
    Done,
    /// The client would not understand.
    NotReady,
    /// `None` is everything.
    Permissions(Option<config::Permissions>),
    /// For each of the subjects.
    Wanted(Vec<bool>),
}

impl Shard {
    pub fn run(&mut self, errand: &Errand) -> Outcome {
        let outcome = match errand {
            Errand::Kick(number) => self.kick(*number),
            Errand::Warn(number) => self.warn(*number),
            Errand::Permissions(number) => match self.numbered(*number) {
                Some(client) => Outcome::Permissions(client.permissions().cloned()),
                None => Outcome::Nobody,
            },
            Errand::Wanted(subjects) => {
                let system = self.settings.system;
                let mut is_wanted = |subject: &[u8]| {
                    system.is_some_and(|system| self.router.is_wanted(system, subject))
                };
                Outcome::Wanted(subjects.iter().map(|subject| is_wanted(subject)).collect())
            }
        };
        self.settle();
        outcome
    }

    fn kick(&mut self, number: ClientNumber) -> Outcome {
        let Some(id) = self.numbered(number).map(Client::id) else {
            return Outcome::Nobody;
        };
        self.close(id, CloseReason::Kicked);
        Outcome::Done
    }

    fn warn(&mut self, number: ClientNumber) -> Outcome {
        let Some(client) = self.numbered(number) else {
            return Outcome::Nobody;
        };
        if !client.wants_updates() {
            return Outcome::NotReady;
        }
        let id = client.id();
        let mut info = self.settings.info.clone();
        info.ldm = true;
        self.with_client(id, |client, turn| {
            client.warn(&info, turn);
            Ok(())
        });
        Outcome::Done
    }

    fn numbered(&self, number: ClientNumber) -> Option<&Client> {
        self.seats.iter().find_map(|(_, seat)| match seat {
            Seat::Serving(client) if client.number() == number => Some(&**client),
            _ => None,
        })
    }
}
