//! Somebody who looks at deliveries while they are made, or nobody. *Hot path: nobody, and that costs nothing.*
//!
//! Delivering is written once, for messages that are traced and for those that are not ([`super::super::Delivering`]).

use super::journal::{Journal, Miss};
use crate::base::ids::ShardId;
use crate::interest::{Interest, SubscriptionId};
use crate::mesh::{Mesh, Parcel, Routing};
use crate::protocol::message::Run;
use bytes::Bytes;

/// Looks at deliveries while they are made.
pub(in crate::router) trait Watch {
    /// Whether the message is to be delivered at all.
    fn delivers(&self) -> bool;

    /// Deliveries up to the next call are for that group.
    fn enter_group(&mut self, name: &[u8]);

    fn saw(&mut self, connection: u32, subscription: SubscriptionId, miss: Option<Miss>);

    /// Sends a copy to another shard.
    fn send<'p>(
        &mut self,
        mesh: &mut Mesh,
        to: ShardId,
        copy: Copy<'_>,
        picks: impl Iterator<Item = &'p [u8]>,
    );

    /// Packs a copy that nobody is known for yet.
    fn put<'p>(
        &mut self,
        parcel: &mut Parcel,
        copy: Copy<'_>,
        picks: impl Iterator<Item = &'p [u8]>,
    );

    /// Looks up what was seen, now that all has been seen.
    fn conclude(&mut self, interest: &Interest, subject: &[u8]);

    fn journal(&mut self) -> Option<&mut Journal>;
}

/// Messages for a lane.
#[derive(Clone, Copy)]
pub(in crate::router) struct Copy<'a> {
    pub(in crate::router) run: &'a Run<'a>,
    pub(in crate::router) shared: Option<&'a Bytes>,
    pub(in crate::router) routing: Routing,
}

/// Nobody wants to know.
#[derive(Clone, Copy, Debug)]
pub(in crate::router) struct Unwatched;

impl Watch for Unwatched {
    #[inline(always)]
    fn delivers(&self) -> bool {
        true
    }

    #[inline(always)]
    fn enter_group(&mut self, _: &[u8]) {}

    #[inline(always)]
    fn saw(&mut self, _: u32, _: SubscriptionId, _: Option<Miss>) {}

    #[inline(always)]
    fn send<'p>(
        &mut self,
        mesh: &mut Mesh,
        to: ShardId,
        copy: Copy<'_>,
        picks: impl Iterator<Item = &'p [u8]>,
    ) {
        mesh.send(to, copy.run, copy.shared, copy.routing, picks);
    }

    fn put<'p>(
        &mut self,
        parcel: &mut Parcel,
        copy: Copy<'_>,
        picks: impl Iterator<Item = &'p [u8]>,
    ) {
        parcel.put_messages(copy.run, copy.shared, copy.routing, picks);
    }

    #[inline(always)]
    fn conclude(&mut self, _: &Interest, _: &[u8]) {}

    #[inline(always)]
    fn journal(&mut self) -> Option<&mut Journal> {
        None
    }
}
