//! What the simulator and the fuzz targets have found, each as the shortest dialogue that shows it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use trunkline::base::clock::Now;
use trunkline::base::histogram::Histogram;
use trunkline::base::ids::{ClientNumber, ConnectionId};
use trunkline::mesh;
use trunkline::session::close::CloseReason;
use trunkline::session::settings::Settings;
use trunkline::shard::Shard;
use trunkline::shard::survey::{Piece, Question};

use super::geography;
use super::world::{plain_settings, settings_of};

/// Shards that run only when told to.
struct Room {
    shards: Vec<Shard>,
    joined: u64,
}

impl Room {
    fn new(count: u8) -> Room {
        Room::of(count, &plain_settings())
    }

    /// With the accounts of the simulator.
    fn with_accounts(count: u8) -> Room {
        Room::of(count, &settings_of(&geography::options()))
    }

    fn of(count: u8, settings: &Settings) -> Room {
        let lanes = mesh::build(count, 8).into_iter();
        let shard = |mesh| Shard::new(settings.clone(), mesh, 1);
        Room {
            shards: lanes.map(shard).collect(),
            joined: 0,
        }
    }

    /// A client that has introduced itself.
    fn join(&mut self, shard: usize, echo: bool) -> ConnectionId {
        self.join_as(shard, "", echo)
    }

    fn join_as(&mut self, shard: usize, credentials: &str, echo: bool) -> ConnectionId {
        self.joined += 1;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let id = self.shards[shard].connect(ClientNumber(self.joined), address);
        let json = format!("CONNECT {{{credentials}\"verbose\":false,\"echo\":{echo}}}\r\n");
        self.say(shard, id, &json);
        id
    }

    /// What a client was sent since the last time, as text.
    fn heard(&mut self, shard: usize, id: ConnectionId) -> String {
        let shard = &mut self.shards[shard];
        let mut text = String::new();
        while let Some(batch) = shard.take_batch(id) {
            let bytes: Vec<u8> = batch.slices(0).flatten().copied().collect();
            text += &String::from_utf8_lossy(&bytes);
            shard.batch_progressed(id, bytes.len());
            shard.batch_finished(id, batch);
        }
        text
    }

    fn say(&mut self, shard: usize, id: ConnectionId, words: &str) {
        self.shards[shard].receive(id, words.as_bytes());
        self.shards[shard].push_parcels();
    }

    fn drain(&mut self, shard: usize) {
        self.shards[shard].drain_lanes();
        self.shards[shard].push_parcels();
    }

    fn drain_all(&mut self) {
        for shard in 0..self.shards.len() {
            self.drain(shard);
        }
    }

    fn at(&mut self, shard: usize, micros: u64) {
        self.shards[shard].set_now(Now::ZERO.after(Duration::from_micros(micros)));
    }

    /// How long the parcels were on their way that a shard has taken in.
    fn lane_times(&self, shard: usize) -> Histogram {
        match self.shards[shard].answer(&Question::Counts) {
            Piece::Counts(counts) => counts.lane_times,
            other => panic!("no counts: {other:?}"),
        }
    }

    fn delivered(&self, shard: usize) -> u64 {
        self.shards[shard].snapshot().routed.delivered.messages
    }
}

#[test]
fn a_subscription_that_had_its_last_message_may_be_ended_in_the_same_breath() {
    for end in ["UNSUB 1\r\n", "CONNECT {}\r\n", "nonsense\r\n"] {
        let mut room = Room::new(1);
        let id = room.join(0, true);
        let words = format!("SUB a 1\r\nUNSUB 1 1\r\nPUB a 1\r\nx\r\n{end}");
        room.say(0, id, &words);
        assert_eq!(room.shards[0].snapshot().subscriptions, 0, "{end}");
    }
}

#[test]
fn a_batch_that_was_given_up_is_owed_no_more() {
    let mut room = Room::new(1);
    let id = room.join(0, true);
    let shard = &mut room.shards[0];
    assert_eq!(shard.next_dirty(), Some(id));
    let batch = shard.take_batch(id).expect("INFO");
    shard.batch_finished(id, batch);
    shard.hang_up(id, CloseReason::WriteError);
    while let Some(id) = shard.next_dirty() {
        assert!(shard.take_batch(id).is_none());
    }
    assert_eq!(shard.pending(id), 0);
}

#[test]
fn a_message_handed_on_does_not_come_home_to_who_wants_no_echo() {
    let mut room = Room::new(2);
    let publisher = room.join(0, false);
    let member = room.join(1, true);
    room.say(0, publisher, "SUB a q 1\r\n");
    room.say(1, member, "SUB a q 1\r\n");
    room.drain_all();
    // Whichever shard is picked, only the other one's member may get it, and it leaves while the message is on its way.
    room.say(0, publisher, "PUB a 1\r\nx\r\n");
    room.say(1, member, "UNSUB 1\r\n");
    for _ in 0..4 {
        room.drain(1);
        room.drain(0);
    }
    assert_eq!((room.delivered(0), room.delivered(1)), (0, 0));
}

#[test]
fn a_member_on_a_third_shard_is_known_before_a_message_is_given_up() {
    let mut room = Room::new(3);
    let publisher = room.join(0, true);
    let leaver = room.join(1, true);
    let stayer = room.join(2, true);
    room.say(1, leaver, "SUB a q 1\r\n");
    room.drain_all();
    // The stayer is announced to both; shard 0 has heard of it, shard 1 has it on its lane.
    room.say(2, stayer, "SUB a q 1\r\n");
    room.drain(0);
    for _ in 0..20 {
        room.say(0, publisher, "PUB a 1\r\nx\r\n");
    }
    room.say(1, leaver, "UNSUB 1\r\n");
    for _ in 0..4 {
        room.drain(1);
        room.drain(2);
        room.drain(0);
    }
    assert_eq!(room.delivered(2), 20);
}

#[test]
fn what_a_paused_publisher_has_sent_is_published_when_it_leaves() {
    let mut room = Room::new(1);
    let slow = room.join(0, true);
    let publisher = room.join(0, true);
    room.say(0, slow, "SUB a 1\r\n");
    let large = format!("PUB a 900000\r\n{}\r\n", "x".repeat(900_000));
    room.say(0, publisher, &large);
    room.say(0, publisher, &large);
    let paused = room.shards[0].snapshot().tally.pauses;
    assert_eq!(paused, 1, "the consumer is over its share");
    room.say(0, publisher, "PUB b 1\r\nx\r\n");
    room.shards[0].hang_up(publisher, CloseReason::ClientClosed);
    assert_eq!(room.shards[0].snapshot().routed.published.messages, 3);
}

#[test]
fn a_response_reaches_a_requester_in_the_slot_that_its_responder_has_elsewhere() {
    let mut room = Room::with_accounts(2);
    // Both are the first on their shards, and the responder wants no echo.
    let requester = room.join_as(0, &geography::credentials(0), true);
    let responder = room.join_as(1, &geography::credentials(1), false);
    room.say(1, responder, "SUB b.> 1\r\n");
    room.drain_all();
    room.say(0, requester, "SUB in 1\r\nPUB b.x in 2\r\nme\r\n");
    room.drain_all();
    let heard = room.heard(1, responder);
    let reply = heard.split(' ').find(|word| word.starts_with("_R_."));
    let reply = reply.unwrap_or_else(|| panic!("no request came: {heard}"));
    room.say(1, responder, &format!("PUB {reply} 2\r\nok\r\n"));
    room.drain_all();
    let heard = room.heard(0, requester);
    assert!(heard.ends_with("MSG in 1 2\r\nok\r\n"), "{heard}");
}

#[test]
fn a_parcel_is_on_its_way_from_the_turn_that_packs_it_to_the_turn_that_takes_it_in() {
    let mut room = Room::new(2);
    let subscriber = room.join(0, true);
    let publisher = room.join(1, true);
    room.at(0, 100);
    room.say(0, subscriber, "SUB a 1\r\n");
    room.at(1, 130);
    room.drain(1);
    let mut expected = Histogram::default();
    let micros = |micros| Now::ZERO.after(Duration::from_micros(micros));
    expected.record(micros(0), micros(30));
    assert_eq!(room.lane_times(1), expected, "an announcement is one");
    // The lane holds eight: the other four wait in front of it, and that counts, too.
    let mut expected = Histogram::default();
    for message in 0..12 {
        let packed_at = 1_000 + message * 10;
        room.at(1, packed_at);
        room.say(1, publisher, "PUB a 1\r\nx\r\n");
        expected.record(micros(packed_at), micros(5_000));
    }
    assert!(room.shards[1].is_congested());
    room.at(0, 5_000);
    room.drain(0);
    // That the shard looks at its clock again does not make them any younger.
    room.at(1, 5_000);
    room.drain(1);
    room.drain(0);
    assert_eq!(room.delivered(0), 12);
    assert_eq!(room.lane_times(0), expected);
}

#[test]
fn a_message_that_is_looked_at_twice_has_been_on_its_way_once() {
    let mut room = Room::new(2);
    let publisher = room.join(0, true);
    let member = room.join(1, true);
    room.say(1, member, "SUB a q 1\r\n");
    room.drain_all();
    room.say(0, publisher, "PUB a 1\r\nx\r\n");
    room.say(1, member, "UNSUB 1\r\n");
    room.drain(1);
    let taken_in: u64 = room.lane_times(1).counts().iter().sum();
    assert_eq!((taken_in, room.shards[1].snapshot().tally.parcels), (1, 1));
    assert_eq!(room.shards[1].snapshot().routed.dropped_group_gone, 1);
}
