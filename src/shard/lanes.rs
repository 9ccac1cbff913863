//! A shard's end of the lanes: parcels of the other shards taken in, and its own put on their way. *Hot path.*
//!
//! Invariant: what has come by the beginning of a turn is taken in before anything that comes later, and a message whose
//! queue group seems empty is looked at once more after that.

use super::Shard;
use crate::base::ids::{ShardId, ShardSet};
use crate::interest::Scouted;
use crate::mesh::{Item, Parcel};

impl Shard {
    /// Takes in everything that has come over the lanes by now. What comes meanwhile waits for the next turn: a busy
    /// peer could keep this one from ever sending.
    pub fn drain_lanes(&mut self) {
        self.begin_drain();
        while self.drain_next() {}
    }

    /// Notes what has come over the lanes by now, for [`Shard::drain_next`].
    pub fn begin_drain(&mut self) {
        let mesh = &self.router.mesh;
        self.to_drain.clear();
        self.to_drain
            .extend(mesh.peers().map(|peer| (peer, mesh.arrived(peer))));
    }

    /// Takes in the next of the parcels noted; says whether there was one. In between, heavy outboxes may be sent.
    pub fn drain_next(&mut self) -> bool {
        loop {
            if let Some((peer, parcel)) = self.next_parcel() {
                self.tally.parcels += 1;
                self.lane_times.record(parcel.sealed_at(), self.now);
                self.unpack(peer, &parcel, false);
                self.router.mesh.recycle(peer, parcel);
                return true;
            }
            // All lanes have been drained since these were set aside: the groups they are for are really empty.
            for (peer, parcel) in std::mem::take(&mut self.second_look) {
                self.unpack(peer, &parcel, true);
            }
            self.second_look = self.router.take_homeless();
            if self.second_look.is_empty() {
                return false;
            }
            self.begin_drain();
        }
    }

    fn next_parcel(&mut self) -> Option<(ShardId, Parcel)> {
        while let Some((peer, left)) = self.to_drain.last_mut() {
            if *left > 0 {
                *left -= 1;
                let peer = *peer;
                let parcel = self.router.mesh.receive(peer);
                return Some((
                    peer,
                    parcel.expect("what has arrived stays until it is received"),
                ));
            }
            self.to_drain.pop();
        }
        None
    }

    fn unpack(&mut self, peer: ShardId, parcel: &Parcel, is_last_word: bool) {
        let mut items = parcel.items();
        let mut memo = self.lane_memos[peer.index()];
        let mut scouted = Scouted::default();
        let mut runs = 0;
        while let Some(item) = items.next() {
            match item {
                Item::Messages(carried) => {
                    runs += 1;
                    scouted.hint(&mut memo);
                    self.router.receive(peer, &carried, &mut memo, is_last_word);
                    scouted.look_ahead(self.router.interest(), memo, || items.subjects());
                }
                Item::Wants {
                    layer,
                    pattern,
                    queue,
                    weight,
                } => {
                    self.router.peer_wants(peer, layer, pattern, queue, weight);
                }
                Item::Traced(ticket, carried) => {
                    self.router
                        .receive_traced(peer, ticket, &carried, is_last_word);
                }
                Item::Report(report) => {
                    self.router.hear_report(&self.settings.info, report);
                }
                Item::Responder {
                    account,
                    subject,
                    info,
                } => self.router.note_responder(account, subject, info),
                Item::Pause(publisher) => self.pause(publisher),
                Item::Resume(publisher) => self.resume(publisher),
            }
        }
        self.lane_memos[peer.index()] = memo;
        self.tally.runs_from_lanes += runs;
        self.settle();
    }

    /// Puts what is packed on the lanes; gives the shards to wake.
    pub fn push_parcels(&mut self) -> ShardSet {
        self.router.mesh.push(self.now)
    }

    /// Whether sends are allowed: not while an announcement waits for room on a lane.
    pub fn may_send(&self) -> bool {
        !self.router.mesh.announcements_wait()
    }

    /// Whether bytes of clients should wait: the lanes are full.
    pub fn is_congested(&self) -> bool {
        self.router.mesh.is_congested()
    }

    /// Whether an open parcel should leave before the turn ends.
    pub fn has_heavy_parcel(&self) -> bool {
        self.router.mesh.is_heavy()
    }

    pub fn has_arrivals(&self) -> bool {
        self.router.mesh.has_arrivals()
    }

    /// Whether parcels are packed that [`Shard::push_parcels`] has not taken yet.
    pub fn has_open_parcels(&self) -> bool {
        self.router.mesh.has_open_parcels()
    }
}
