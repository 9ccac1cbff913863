//! Clients whose password is being compared elsewhere: what they may do meanwhile, and what becomes of them.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use trunkline::auth::PasswordCheck;
use trunkline::base::clock::Now;
use trunkline::base::ids::{ClientNumber, ConnectionId};
use trunkline::base::limits::UNPROVEN_BYTES_MAX;
use trunkline::config::{Auth, Options, Secret};
use trunkline::mesh;
use trunkline::session::close::CloseReason;
use trunkline::shard::{Effect, Shard};

use super::world::settings_of;

/// One shard, and one client that has said who it is.
struct Room {
    shard: Shard,
    id: ConnectionId,
    check: PasswordCheck,
}

impl Room {
    /// With what the client says behind its CONNECT.
    fn new(more: &str) -> Room {
        let options = Options {
            auth: Auth::Token(Secret::new(HASH)),
            ..Options::default()
        };
        let lanes = mesh::build(1, 8).into_iter().next().expect("one");
        let mut shard = Shard::new(settings_of(&options), lanes, 1);
        shard.set_now(Now::ZERO);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let id = shard.connect(ClientNumber(1), address);
        let json = format!("CONNECT {{\"verbose\":false,\"auth_token\":\"token\"}}\r\n{more}");
        shard.receive(id, json.as_bytes());
        let effects = effects(&mut shard);
        let [
            Effect::PauseReading(paused),
            Effect::CheckPassword(of, check),
        ] = &effects[..]
        else {
            panic!("it is paused and its password is to be compared, not {effects:?}");
        };
        assert!(*paused == id && *of == id);
        let check = check.clone();
        Room { shard, id, check }
    }

    fn say(&mut self, words: &str) {
        self.shard.receive(self.id, words.as_bytes());
    }

    fn published(&self) -> u64 {
        self.shard.snapshot().routed.published.messages
    }

    fn is_open(&self) -> bool {
        self.shard.snapshot().connections == 1
    }

    /// What it is told.
    fn heard(&mut self) -> String {
        let mut heard = Vec::new();
        while let Some(batch) = self.shard.take_batch(self.id) {
            heard.extend(batch.as_one_slice().expect("small").to_vec());
            self.shard.batch_finished(self.id, batch);
        }
        String::from_utf8(heard).expect("text")
    }
}

fn effects(shard: &mut Shard) -> Vec<Effect> {
    let mut effects = Vec::new();
    shard.take_effects(&mut effects);
    effects
}

/// Of `token`, at the lowest cost.
const HASH: &str = "$2a$04$ABCDEFGHIJKLMNOPQRSTUuP3mQpqkDUOKyOo18uiXDuj5lsylhKoO";
const PUBLISH: &str = "PUB a 1\r\nx\r\n";

#[test]
fn what_comes_meanwhile_is_heard_afterwards_whatever_pieces_it_came_in() {
    for cut in 0..PUBLISH.len() {
        let (first, second) = PUBLISH.split_at(cut);
        let mut room = Room::new(first);
        room.say(second);
        room.say(PUBLISH);
        assert_eq!(room.published(), 0);
        assert!(room.check.is_wanted() && room.check.run());
        room.shard.password_checked(room.id, true);
        assert_eq!(room.published(), 2);
        let effects = effects(&mut room.shard);
        assert!(
            matches!(effects[..], [Effect::ResumeReading(_)]),
            "{effects:?}"
        );
        room.say("PING\r\n");
        assert!(room.heard().ends_with("PONG\r\n"));
    }
}

#[test]
fn a_wrong_password_loses_all_that_came_behind_it() {
    let mut room = Room::new(PUBLISH);
    room.shard.password_checked(room.id, false);
    assert_eq!((room.published(), room.is_open()), (0, false));
    assert!(room.heard().ends_with("-ERR 'Authorization Violation'\r\n"));
    assert!(!room.check.is_wanted());
    // An answer that comes twice finds nobody.
    room.shard.password_checked(room.id, true);
    assert_eq!(room.published(), 0);
}

#[test]
fn its_time_goes_on() {
    let mut room = Room::new(PUBLISH);
    room.shard.set_now(Now::ZERO.after(Duration::from_secs(10)));
    room.shard.run_timers();
    assert!(!room.is_open() && !room.check.is_wanted());
    assert!(room.heard().ends_with("-ERR 'Authentication Timeout'\r\n"));
    room.shard.password_checked(room.id, true);
    assert_eq!(room.published(), 0);
}

#[test]
fn where_there_is_no_room_for_the_check_its_time_is_over() {
    let mut room = Room::new("");
    room.shard.password_unchecked(room.id);
    assert!(!room.is_open());
    assert!(room.heard().ends_with("-ERR 'Authentication Timeout'\r\n"));
}

#[test]
fn what_it_had_said_before_it_hung_up_counts() {
    for is_right in [true, false] {
        let mut room = Room::new(PUBLISH);
        room.shard.hang_up(room.id, CloseReason::ClientClosed);
        assert!(room.is_open() && room.check.is_wanted());
        room.shard.password_checked(room.id, is_right);
        assert!(!room.is_open());
        assert_eq!(room.published(), u64::from(is_right));
    }
    let mut broken = Room::new(PUBLISH);
    broken.shard.hang_up(broken.id, CloseReason::ReadError);
    assert!(!broken.is_open() && !broken.check.is_wanted());
}

#[test]
fn a_second_password_is_compared_too() {
    let again = "CONNECT {\"verbose\":false,\"auth_token\":\"other\"}\r\n";
    let mut room = Room::new(&format!("SUB a 1\r\n{again}{PUBLISH}"));
    room.shard.hang_up(room.id, CloseReason::ClientClosed);
    room.shard.password_checked(room.id, true);
    let effects = effects(&mut room.shard);
    let [Effect::PauseReading(_), Effect::CheckPassword(_, check)] = &effects[..] else {
        panic!("asked again, not {effects:?}");
    };
    assert!(room.is_open() && check.is_wanted() && !room.check.is_wanted());
    assert_eq!(room.shard.snapshot().subscriptions, 0);
    room.shard.password_checked(room.id, check.run());
    assert!(!room.is_open());
    assert_eq!(room.published(), 0);
}

#[test]
fn it_cannot_fill_the_memory_meanwhile() {
    let mut room = Room::new("");
    let piece = "x".repeat(UNPROVEN_BYTES_MAX / 4);
    for _ in 0..4 {
        room.say(&piece);
        assert!(room.is_open());
    }
    room.say("x");
    assert!(!room.is_open() && !room.check.is_wanted());
}
