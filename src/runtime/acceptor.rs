//! New connections, and which shard gets them: the one with the fewest. *Once per connection; runs on shard 0.*

use super::doorbell::Doorbells;
use super::peer_credentials;
use super::ring::Ring;
use super::thread::{Directive, Doorway};
use crate::base::clock::Now;
use crate::base::ids::{ClientNumber, ShardId};
use crate::base::log::{Level, Record};
use crate::base::origin::Origin;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{acceptfrom, getpeername, sockopt};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// How long to stop accepting after an error; doubles up to the maximum (nats-server: 10 ms to 1 s).
const BACK_OFF: Duration = Duration::from_millis(10);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);
/// Connections closed unseen before trying again: more than a listening socket's queue usually holds.
const CLOSED_AT_ONCE: usize = 4096;

/// A connection for one of the shards.
#[derive(Debug)]
pub struct Arrival {
    pub socket: OwnedFd,
    pub number: ClientNumber,
    pub origin: Origin,
    /// Whether there is room for it; if not, it is told so and closed.
    pub is_welcome: bool,
}

/// Accepts on the listening sockets and hands out what comes.
#[derive(Debug)]
pub(super) struct Acceptor {
    doors: Vec<Door>,
    bells: Doorbells,
    connections_max: u64,
    /// Connections handed to each shard so far.
    handed: Vec<u64>,
    next_number: u64,
    back_off: Duration,
    retry_at: Option<Now>,
    /// A descriptor kept for when there is no other: it is given up to accept a connection and close it, which tells
    /// the peer more than silence.
    reserve: Option<OwnedFd>,
}

/// A listening socket. Its number is its place among them.
#[derive(Debug)]
struct Door {
    /// `None` once it is closed.
    listener: Option<OwnedFd>,
    is_local: bool,
    is_armed: bool,
}

impl Acceptor {
    pub(super) fn new(doorway: Doorway, bells: Doorbells) -> Acceptor {
        let Doorway {
            network,
            local,
            connections_max,
        } = doorway;
        let door = |listener, is_local| Door {
            listener: Some(listener),
            is_local,
            is_armed: false,
        };
        let network = network.map(|listener| door(listener, false));
        let local = local.map(|listener| door(listener, true));
        Acceptor {
            doors: network.into_iter().chain(local).collect(),
            handed: vec![0; bells.shards()],
            bells,
            connections_max: u64::from(connections_max),
            next_number: 0,
            back_off: BACK_OFF,
            retry_at: None,
            reserve: open_reserve(),
        }
    }

    pub(super) fn arm(&mut self, ring: &mut Ring) {
        self.retry_at = None;
        for (door, number) in self.doors.iter_mut().zip(0u32..) {
            if let Some(listener) = door.listener.as_ref().filter(|_| !door.is_armed) {
                ring.accept(listener.as_fd(), number);
                door.is_armed = true;
            }
        }
    }

    /// A listening socket must be armed anew; after an error, a little later.
    pub(super) fn ended(&mut self, number: u32, ring: &mut Ring) {
        if let Some(door) = self.doors.get_mut(number as usize) {
            door.is_armed = false;
        }
        if self.retry_at.is_none() {
            self.arm(ring);
        }
    }

    /// Closes the listening sockets: lame duck mode, or the end.
    pub(super) fn stop(&mut self, ring: &mut Ring) {
        for (door, number) in self.doors.iter_mut().zip(0u32..) {
            if let Some(listener) = door.listener.take() {
                // The armed accept holds the socket a while longer; it must not go on listening on the port meanwhile.
                let _ = rustix::net::shutdown(&listener, rustix::net::Shutdown::Both);
                ring.cancel_accept(number);
            }
        }
        self.retry_at = None;
    }

    /// From now on there may be so many clients. Has the newest of each shard closed if there are more; gives how many
    /// shard 0 may keep then.
    ///
    /// nats-server closes some at random. Shards differ by one in what they have, so the newest of each are about the
    /// newest of all.
    pub(super) fn limit_connections(
        &mut self,
        connections_max: u32,
        log: &mut Vec<Record>,
    ) -> Option<usize> {
        self.connections_max = u64::from(connections_max);
        let actives: Vec<u64> = self.actives().map(|(active, _)| active).collect();
        let total: u64 = actives.iter().sum();
        let closed = total
            .checked_sub(self.connections_max)
            .filter(|closed| *closed > 0)?;
        let text = format!("Closed {closed} connections to fall within max_connections");
        log.push(Record::new(Level::Info, text));
        let mut own = None;
        for (most, shard) in even_shares(actives, closed).into_iter().zip(0u8..) {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            if shard == 0 {
                own = Some(most);
                continue;
            }
            let mut waiting = Some(Directive::KeepAtMost(most));
            // As with the supervisor's directives: a full mailbox is being emptied.
            while let Some(directive) = waiting.take() {
                waiting = self.bells.tell(ShardId(shard), directive);
                std::thread::yield_now();
            }
        }
        own
    }

    /// How many connections each shard has.
    fn actives(&self) -> impl Iterator<Item = (u64, ShardId)> + Clone {
        self.handed.iter().zip(0u8..).map(|(handed, shard)| {
            let shard = ShardId(shard);
            (handed.saturating_sub(self.bells.departed(shard)), shard)
        })
    }

    pub(super) fn retry_at(&self) -> Option<Now> {
        self.retry_at
    }

    /// Takes in what the ring has accepted. Gives the arrival if it is for shard 0 itself.
    pub(super) fn accepted(
        &mut self,
        number: u32,
        result: Result<OwnedFd, Errno>,
        now: Now,
        log: &mut Vec<Record>,
    ) -> Option<Arrival> {
        let door = self.doors.get(number as usize)?;
        match result {
            Ok(socket) => {
                let origin = origin(&socket, door.is_local)?;
                self.back_off = BACK_OFF;
                self.place(socket, origin, log)
            }
            Err(_) if door.listener.is_none() => None,
            // The peer was gone before it was accepted.
            Err(Errno::CONNABORTED | Errno::PROTO | Errno::AGAIN) => None,
            Err(error) => {
                self.turn_away_unseen(error, now, log);
                None
            }
        }
    }

    fn place(&mut self, socket: OwnedFd, origin: Origin, log: &mut Vec<Record>) -> Option<Arrival> {
        let total: u64 = self.actives().map(|(active, _)| active).sum();
        let (_, shard) = self.actives().min()?;
        self.next_number += 1;
        let number = ClientNumber(self.next_number);
        let is_welcome = total < self.connections_max;
        self.handed[shard.index()] += 1;
        let arrival = Arrival {
            socket,
            number,
            origin: origin.clone(),
            is_welcome,
        };
        if shard == ShardId(0) {
            return Some(arrival);
        }
        if self.bells.tell(shard, Directive::Adopt(arrival)).is_some() {
            self.handed[shard.index()] -= 1;
            let text = format!("Shard {shard} takes no connections; {origin} was closed");
            log.push(Record::new(Level::Error, text));
        }
        None
    }

    /// The process is out of descriptors, most likely. Closes those who wait, one after another, with the descriptor kept
    /// for that, and tries again a little later.
    fn turn_away_unseen(&mut self, error: Errno, now: Now, log: &mut Vec<Record>) {
        let text = format!(
            "Temporary Client Accept Error ({}), sleeping {}ms",
            std::io::Error::from(error),
            self.back_off.as_millis()
        );
        log.push(Record::new(Level::Error, text));
        if matches!(error, Errno::MFILE | Errno::NFILE) && self.reserve.take().is_some() {
            self.close_waiting();
            self.reserve = open_reserve();
        }
        self.retry_at = Some(now.after(self.back_off));
        self.back_off = (self.back_off * 2).min(BACK_OFF_MAX);
    }

    fn close_waiting(&self) {
        for listener in self.doors.iter().filter_map(|door| door.listener.as_ref()) {
            for _ in 0..CLOSED_AT_ONCE {
                if !has_waiting(listener) || acceptfrom(listener).is_err() {
                    break;
                }
            }
        }
    }
}

/// Where a connection comes from; `None` if it has gone already.
fn origin(socket: &OwnedFd, is_local: bool) -> Option<Origin> {
    if is_local {
        let peer = peer_credentials::of(socket.as_fd()).ok()?;
        return Some(Origin::Local(Arc::new(peer)));
    }
    let address: SocketAddr = getpeername(socket).ok().flatten()?.try_into().ok()?;
    // Batching is ours to do; Nagle would only add to it.
    let _ = sockopt::set_tcp_nodelay(socket, true);
    Some(Origin::Network(address))
}

/// What each may keep of its own when `closed` are taken, one after another, from whoever has most.
fn even_shares(mut shares: Vec<u64>, closed: u64) -> Vec<u64> {
    for _ in 0..closed {
        if let Some(most) = shares.iter_mut().max() {
            *most = most.saturating_sub(1);
        }
    }
    shares
}

fn has_waiting(listener: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

fn open_reserve() -> Option<OwnedFd> {
    rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_with_most_give_most() {
        assert_eq!(even_shares(vec![3, 3, 2], 2), [2, 2, 2]);
        assert_eq!(even_shares(vec![9, 1, 1], 4), [5, 1, 1]);
        assert_eq!(even_shares(vec![2, 2], 4), [0, 0]);
        assert_eq!(even_shares(vec![1], 0), [1]);
    }
}
