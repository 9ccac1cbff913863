//! What happens to one traced message on one shard. *Off the hot path.*
//!
//! Deliveries are noted by subscription while they are made, and looked up right behind, while all of those subscriptions
//! are still there; connections get their names when the journal is written up.

use super::Connection;
use super::watch::{Copy, Watch};
use crate::account::Accounts;
use crate::base::ids::{AccountId, ShardId};
use crate::interest::{Interest, SubscriptionId};
use crate::mesh::{Mesh, Parcel, Report, Ticket};
use crate::protocol::client_info::rfc3339;
use crate::protocol::headers;
use crate::protocol::trace_event::{ConnectionKind, TraceStep};
use crate::protocol::trace_request::{DESTINATION, DISABLED};
use crate::router::imports::Journey;
use std::borrow::Cow;
use std::time::Duration;

/// What happened to one traced message on this shard.
#[derive(Debug)]
pub(in crate::router) struct Journal {
    home: ShardId,
    ticket: Ticket,
    at: Duration,
    /// The queue group that the next delivery is for.
    group: Vec<u8>,
    /// Deliveries whose subscription is not looked up yet.
    sightings: Vec<Sighting>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Sighting {
    connection: u32,
    subscription: SubscriptionId,
    group: Vec<u8>,
    miss: Option<Miss>,
}

/// Why somebody did not get a message that was meant for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::router) enum Miss {
    NoEcho,
    Spent,
    Closed,
}

#[derive(Debug)]
enum Entry {
    Mapping {
        to: String,
    },
    StreamExport {
        account: AccountId,
        to: String,
    },
    ServiceImport {
        account: AccountId,
        from: String,
        to: String,
    },
    Egress {
        connection: u32,
        account: AccountId,
        pattern: String,
        queue: String,
        miss: Option<Miss>,
    },
}

impl Watch for &mut Journal {
    fn delivers(&self) -> bool {
        !self.ticket.only
    }

    fn enter_group(&mut self, name: &[u8]) {
        self.group.clear();
        self.group.extend_from_slice(name);
    }

    fn saw(&mut self, connection: u32, subscription: SubscriptionId, miss: Option<Miss>) {
        self.sightings.push(Sighting {
            connection,
            subscription,
            group: self.group.clone(),
            miss,
        });
    }

    fn send<'p>(
        &mut self,
        mesh: &mut Mesh,
        to: ShardId,
        copy: Copy<'_>,
        picks: impl Iterator<Item = &'p [u8]>,
    ) {
        match self.share() {
            Some(ticket) => {
                mesh.send_traced(to, ticket, copy.run, copy.shared, copy.routing, picks);
            }
            // Its way is told no further.
            None if self.delivers() => {
                mesh.send(to, copy.run, copy.shared, copy.routing, picks);
            }
            None => {}
        }
    }

    fn put<'p>(
        &mut self,
        parcel: &mut Parcel,
        copy: Copy<'_>,
        picks: impl Iterator<Item = &'p [u8]>,
    ) {
        match self.share() {
            Some(ticket) => parcel.put_traced(ticket, copy.run, copy.shared, copy.routing, picks),
            None if self.delivers() => {
                parcel.put_messages(copy.run, copy.shared, copy.routing, picks);
            }
            None => {}
        }
    }

    fn conclude(&mut self, interest: &Interest, subject: &[u8]) {
        for seen in std::mem::take(&mut self.sightings) {
            let (mut account, pattern) = interest.wish_of(seen.subscription);
            let pattern = text(pattern);
            let mut is_shown = true;
            if let Some((importer, import)) = interest.import_of(seen.subscription) {
                account = importer;
                is_shown = import.allow_trace;
                self.entries.push(Entry::StreamExport {
                    account,
                    to: text(&import.subject_here(subject)),
                });
            }
            if is_shown {
                self.entries.push(Entry::Egress {
                    connection: seen.connection,
                    account,
                    pattern,
                    queue: text(&seen.group),
                    miss: seen.miss,
                });
            }
        }
    }

    fn journal(&mut self) -> Option<&mut Journal> {
        Some(self)
    }
}

/// How a traced message goes on into another account.
pub(in crate::router) struct Crossing<'a> {
    /// It does, at all.
    pub(in crate::router) goes_on: bool,
    /// It is delivered to somebody who may respond.
    pub(in crate::router) is_asked: bool,
    /// Nobody further on must trace it in the name of its publisher.
    pub(in crate::router) is_traced: bool,
    /// The journal, when it is not for what happens there.
    set_aside: Option<&'a mut Journal>,
}

impl<'a> Journey<'a> {
    /// Notes that the message goes to another account, as `to`, and decides whether its trace goes on there.
    pub(in crate::router) fn cross(
        &mut self,
        account: AccountId,
        from: &[u8],
        to: Option<&[u8]>,
        allows_trace: bool,
    ) -> Crossing<'a> {
        let Some(journal) = self.journal.take() else {
            return Crossing {
                goes_on: true,
                is_asked: true,
                is_traced: false,
                set_aside: None,
            };
        };
        journal.entries.push(Entry::ServiceImport {
            account,
            from: text(from),
            to: text(to.unwrap_or_default()),
        });
        let delivers = !journal.ticket.only;
        let mut crossing = Crossing {
            goes_on: delivers || allows_trace,
            is_asked: delivers,
            is_traced: true,
            set_aside: None,
        };
        if allows_trace {
            self.journal = Some(journal);
        } else {
            crossing.set_aside = Some(journal);
        }
        crossing
    }

    /// What happens from here on is noted again.
    pub(in crate::router) fn come_back(&mut self, crossing: Crossing<'a>) {
        if crossing.set_aside.is_some() {
            self.journal = crossing.set_aside;
        }
    }
}

impl Crossing<'_> {
    /// The headers of the message there. nats-server names a subject that leads back for a while, and is gone with the
    /// message when no other server has it; this says the same.
    pub(in crate::router) fn headers<'h>(&self, block: &'h [u8]) -> Cow<'h, [u8]> {
        if self.is_traced {
            Cow::Owned(headers::with(block, DESTINATION, DISABLED.as_bytes()))
        } else {
            Cow::Borrowed(block)
        }
    }
}

impl Journal {
    pub(super) fn new(home: ShardId, ticket: Ticket, at: Duration) -> Journal {
        Journal {
            home,
            ticket,
            at,
            group: Vec::new(),
            sightings: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// The shard of the message's publisher.
    pub(super) fn home(&self) -> ShardId {
        self.home
    }

    /// Of the trace, there.
    pub(super) fn number(&self) -> u32 {
        self.ticket.number
    }

    /// For that shard, once it is written.
    pub(super) fn report<'s>(&self, steps: &'s [u8]) -> Report<'s> {
        Report {
            number: self.ticket.number,
            weight: self.ticket.weight,
            steps,
        }
    }

    /// Mappings have given the message another subject.
    pub(super) fn map(&mut self, subject: &[u8]) {
        self.entries.push(Entry::Mapping { to: text(subject) });
    }

    /// A share of what the message weighs here, for a copy; `None` when nothing can be shared any more.
    pub(super) fn share(&mut self) -> Option<Ticket> {
        let weight = match self.ticket.weight {
            ..=LEAST => return None,
            weight => (weight / SHARES).max(LEAST),
        };
        self.ticket.weight -= weight;
        Some(Ticket {
            weight,
            ..self.ticket
        })
    }

    /// Renders what was noted. `connection` tells of the one in a slot.
    pub(super) fn write(
        &self,
        accounts: &Accounts,
        connection: &dyn Fn(u32) -> Connection,
        steps: &mut Vec<u8>,
    ) {
        let ts = &*rfc3339(self.at);
        for entry in &self.entries {
            match entry {
                Entry::Mapping { to } => TraceStep::Mapping { ts, to }.write(steps),
                Entry::StreamExport { account, to } => {
                    let account = accounts.name(*account);
                    TraceStep::StreamExport { ts, account, to }.write(steps);
                }
                Entry::ServiceImport { account, from, to } => {
                    let account = accounts.name(*account);
                    let step = TraceStep::ServiceImport {
                        ts,
                        account,
                        from,
                        to,
                    };
                    step.write(steps);
                }
                Entry::Egress {
                    connection: slot,
                    account,
                    pattern,
                    queue,
                    miss,
                } => {
                    let is_elsewhere = *account != self.ticket.account;
                    let Connection { number, name } = connection(*slot);
                    let step = TraceStep::Egress {
                        ts,
                        kind: ConnectionKind::Client,
                        cid: number,
                        name: &name,
                        account: if is_elsewhere {
                            accounts.name(*account)
                        } else {
                            ""
                        },
                        pattern,
                        queue,
                        error: miss.map_or("", Miss::text),
                    };
                    step.write(steps);
                }
            }
        }
    }
}

impl Miss {
    fn text(self) -> &'static str {
        match self {
            Miss::NoEcho => "Not delivered because of no echo",
            Miss::Spent => "Not delivered because auto-unsubscribe exceeded",
            Miss::Closed => "Not delivered because client is closed",
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a message weighs. Copies take a 64th of what is there, so that there is enough for all shards and for those who
/// hand it on.
pub(super) const WHOLE: u32 = 1 << 31;
const SHARES: u32 = 64;
/// With so little there is nothing to give to other shards.
pub(super) const LEAST: u32 = 1;
