//! What addresses are called, looked up beside the screen: a name server may take seconds, and nobody waits for it.
//!
//! An address is asked for once, whatever comes of it, and [`NAMES_MAX`] are remembered; the others keep their numbers, and so do
//! all when no thread can be made. A name is what its owner has written into the name service, so it is made printable.

use super::sample::without_controls;
use super::state::State;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// Look-ups at a time: one that hangs holds up a part of the others only.
const WORKERS: usize = 8;
const NAMES_MAX: usize = 100_000;
/// How long a snapshot waits for the next answer before it does without.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

type LookUp = fn(&IpAddr) -> Option<String>;
type Answer = (IpAddr, Option<String>);

/// Threads that look up. There are none before anybody asks.
#[derive(Debug)]
pub(super) struct Names {
    look_up: LookUp,
    workers: Vec<Sender<IpAddr>>,
    answers: Receiver<Answer>,
    /// For more workers.
    answering: Sender<Answer>,
    asked: HashSet<IpAddr>,
    /// Look-ups that have not come to an end.
    open: usize,
}

impl Names {
    pub(super) fn new() -> Names {
        Names::looked_up_with(|address| dns_lookup::lookup_addr(address).ok())
    }

    fn looked_up_with(look_up: LookUp) -> Names {
        let (answering, answers) = channel();
        Names {
            look_up,
            workers: Vec::new(),
            answers,
            answering,
            asked: HashSet::new(),
            open: 0,
        }
    }

    /// Tells the state what has become known. Says whether there is anything new.
    pub(super) fn tell(&mut self, state: &mut State) -> bool {
        let mut known = Vec::new();
        while let Ok(answer) = self.answers.try_recv() {
            known.extend(self.taken(answer));
        }
        let is_new = !known.is_empty();
        if is_new {
            state.learn(known);
        }
        is_new
    }

    /// Asks and tells, and waits as long as answers keep coming.
    pub(super) fn tell_all(&mut self, state: &mut State) {
        self.ask(state);
        let mut known = Vec::new();
        while self.open > 0 {
            let Ok(answer) = self.answers.recv_timeout(ANSWER_WITHIN) else {
                break;
            };
            known.extend(self.taken(answer));
        }
        state.learn(known);
    }

    /// Has the addresses of all rows looked up that have not been yet.
    pub(super) fn ask(&mut self, state: &State) {
        for row in state.rows() {
            let Ok(address) = row.connection.ip.parse() else {
                continue;
            };
            if self.asked.len() >= NAMES_MAX || !self.asked.insert(address) {
                continue;
            }
            if self.workers.len() < WORKERS {
                self.workers.extend(self.worker());
            }
            let Some(turn) = self.asked.len().checked_rem(self.workers.len()) else {
                return;
            };
            // The thread is there as long as this is.
            let _ = self.workers[turn].send(address);
            self.open += 1;
        }
    }

    fn worker(&self) -> Option<Sender<IpAddr>> {
        let (questions, addresses) = channel::<IpAddr>();
        let (look_up, answering) = (self.look_up, self.answering.clone());
        let work = move || {
            for address in addresses {
                if answering.send((address, look_up(&address))).is_err() {
                    break;
                }
            }
        };
        let thread = thread::Builder::new().name("names".to_owned());
        thread.spawn(work).ok().map(|_| questions)
    }

    fn taken(&mut self, (address, name): (IpAddr, Option<String>)) -> Option<(IpAddr, String)> {
        self.open -= 1;
        Some((address, without_controls(name?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::snapshot::tests::looked_at;

    #[test]
    fn an_address_is_looked_up_once_and_its_name_made_printable() {
        let mut names = Names::looked_up_with(|address| {
            let is_known = address.to_string() == "127.0.0.1";
            is_known.then(|| "a\u{1b}b.example".to_owned())
        });
        let mut state = looked_at();
        names.tell_all(&mut state);
        // Two connections come from there.
        assert_eq!((names.asked.len(), names.open), (1, 0));
        for row in state.rows() {
            assert_eq!(row.host_name.as_deref(), Some("a?b.example"));
        }
        assert!(!names.tell(&mut state), "nothing is new");
    }

    #[test]
    fn what_has_no_name_keeps_its_address() {
        let mut names = Names::looked_up_with(|_| None);
        let mut state = looked_at();
        names.tell_all(&mut state);
        assert!(state.rows().iter().all(|row| row.host_name.is_none()));
    }
}
