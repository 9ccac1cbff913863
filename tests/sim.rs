//! The promises of DESIGN §2 under every interleaving that dice can find: real shards on real lanes, fake sockets, fake
//! clock, one seed = one run.
//!
//! - `cargo test --test sim` runs a fixed set of seeds and the mutants: a broken driver or a broken delivery that a
//!   checker must complain about.
//! - `SIM_SEED=n` runs that seed alone. `SIM_SEEDS=n` runs that many fresh ones, `SIM_SECONDS=n` goes on that long.

// The rules on clocks are for the broker; how long to go on testing is a person's question.
#![allow(clippy::disallowed_methods)]

#[path = "sim/chance.rs"]
mod chance;
#[path = "sim/client.rs"]
mod client;
#[path = "sim/found.rs"]
mod found;
#[path = "sim/geography.rs"]
mod geography;
#[path = "sim/oracle.rs"]
mod oracle;
#[path = "sim/passwords.rs"]
mod passwords;
#[path = "sim/reload.rs"]
mod reload;
#[path = "sim/server_lines.rs"]
mod server_lines;
#[path = "sim/world.rs"]
mod world;

use chance::{chance, pick, range};
use oracle::Promise;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant, SystemTime};
use trunkline::base::rng::Rng;
use world::{Work, World};

/// What kind of run a seed is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Knobs {
    pub(crate) shards: u8,
    pub(crate) lane_parcels: usize,
    pub(crate) clients: u32,
    pub(crate) rounds: u32,
    pub(crate) operations: u32,
    /// Whether clients stop reading for a while and outboxes are small.
    pub(crate) is_slow: bool,
    pub(crate) pending_max: usize,
    pub(crate) closes: Closes,
    /// In percent.
    pub(crate) queues: u32,
    pub(crate) unsubscribes: u32,
    pub(crate) large_payloads: u32,
    pub(crate) stall_steps: u32,
    /// Whether messages ask to be traced. They are messages like others; what is told of them nobody wants.
    pub(crate) traces: bool,
    /// Whether clients are in several accounts, between which streams and services are imported.
    pub(crate) has_accounts: bool,
    /// Whether there are new configurations while all this goes on.
    pub(crate) reloads: bool,
}

/// How clients leave before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closes {
    Never,
    /// Having sent all they wanted to send.
    Leave,
    /// Also in the middle of a word.
    CutOff,
}

/// A mistake made on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    None,
    DrainBeforeReap,
    SendBeforePush,
    SendWhileAnnouncementsWait,
    LoseMessage,
    LoseForGroup,
    DoubleMessage,
    CopyToOtherMember,
    SpoilByte,
    Swap,
    SwapForGroup,
    NoLimit,
    ForgetHangUps,
    ForgetResume,
    LeakToStranger,
    LoseFromStream,
    LoseRequest,
    LoseResponse,
    /// One shard hears of a configuration without imports of streams.
    ForgetImports,
}

impl Mutant {
    fn is_about_accounts(self) -> bool {
        matches!(
            self,
            Mutant::LeakToStranger
                | Mutant::LoseFromStream
                | Mutant::LoseRequest
                | Mutant::LoseResponse
                | Mutant::ForgetImports
        )
    }
}

impl Knobs {
    fn new(rng: &mut Rng, mutant: Mutant) -> Knobs {
        let is_slow = chance(rng, 30) || matches!(mutant, Mutant::NoLimit | Mutant::ForgetResume);
        Knobs {
            shards: *pick(rng, &[1, 2, 2, 3, 3, 4]),
            lane_parcels: range(rng, 1, 5) as usize,
            clients: range(rng, 2, 9),
            rounds: range(rng, 1, 4),
            operations: range(rng, 20, 120),
            is_slow,
            pending_max: if is_slow { 48 << 10 } else { 64 << 20 },
            closes: *pick(rng, &[Closes::Never, Closes::Leave, Closes::CutOff]),
            queues: *pick(rng, &[0, 30, 60]),
            unsubscribes: *pick(rng, &[0, 50, 100]),
            large_payloads: if is_slow {
                40
            } else {
                *pick(rng, &[0, 10, 40])
            },
            stall_steps: *pick(rng, &[2, 100, 1_000]),
            traces: mutant == Mutant::None && chance(rng, 30),
            // Clients of different accounts meet less, and rare mistakes need all that can be had.
            has_accounts: match mutant {
                Mutant::None => chance(rng, 40),
                mutant => mutant.is_about_accounts(),
            },
            reloads: match mutant {
                Mutant::None => chance(rng, 40),
                mutant => mutant == Mutant::ForgetImports,
            },
        }
    }
}

/// Seeds of the quick run.
const SEEDS: u64 = 300;
/// Seeds within which a mutant must be caught.
const MUTANT_SEEDS: u64 = 300;

#[test]
fn the_promises_hold() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>());
    let number = |name: &str| number(name).map(|parsed| parsed.expect("a number"));
    if let Some(seed) = number("SIM_SEED") {
        println!("{:#?}", run_or_panic(seed));
        return;
    }
    let mut seen = Work::default();
    let (count, seconds) = (number("SIM_SEEDS"), number("SIM_SECONDS"));
    if count.is_none() && seconds.is_none() {
        for seed in 0..SEEDS {
            add(&mut seen, &run_or_panic(seed));
        }
        assert_all_seen(&seen);
        return;
    }
    let fresh = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let first = Rng::from_seed(fresh.map_or(0, |since| since.as_secs())).next_u64() >> 16;
    let started = Instant::now();
    let is_over = |run: u64| {
        count.is_none_or(|count| run >= count)
            && seconds.is_none_or(|limit| started.elapsed() >= Duration::from_secs(limit))
    };
    let mut run = 0;
    while !is_over(run) {
        add(&mut seen, &run_or_panic(first + run));
        run += 1;
    }
    println!("{run} seeds from {first}: {seen:#?}");
}

/// Runs a seed; names it if it fails, also by a panic of the broker's own.
fn run_or_panic(seed: u64) -> Work {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed, Mutant::None);
        let outcome = world.run();
        (outcome, world.work, world.knobs, world.steps)
    }));
    match outcome {
        Ok((Ok(()), work, ..)) => work,
        Ok((Err(violation), _, knobs, step)) => {
            panic!("SIM_SEED={seed}, step {step}: {violation}\n{knobs:?}")
        }
        Err(panicked) => {
            eprintln!("SIM_SEED={seed} panicked");
            resume_unwind(panicked);
        }
    }
}

fn add(seen: &mut Work, work: &Work) {
    seen.steps += work.steps;
    seen.messages += work.messages;
    seen.deliveries += work.deliveries;
    seen.held_sends += work.held_sends;
    seen.congested += work.congested;
    seen.partial_sends += work.partial_sends;
    seen.handed_on += work.handed_on;
    seen.group_gone += work.group_gone;
    seen.slow_consumers += work.slow_consumers;
    seen.pauses += work.pauses;
    seen.hang_ups += work.hang_ups;
    seen.crossed_streams += work.crossed_streams;
    seen.crossed_requests += work.crossed_requests;
    seen.crossed_responses += work.crossed_responses;
    seen.reloads += work.reloads;
}

/// A run that meets nothing rare proves nothing.
fn assert_all_seen(seen: &Work) {
    let rare = [
        seen.held_sends,
        seen.congested,
        seen.partial_sends,
        seen.handed_on,
        seen.slow_consumers,
        seen.pauses,
        seen.hang_ups,
        seen.crossed_streams,
        seen.crossed_requests,
        seen.crossed_responses,
        seen.reloads,
    ];
    assert!(rare.iter().all(|count| *count > 0), "{seen:#?}");
}

/// Runs seeds with a mistake in them until the checker of one of `promises` complains. A mistake may break more than
/// one promise; what matters is that this checker is awake.
fn assert_caught(mutant: Mutant, promises: &[Promise]) {
    let mut others = Vec::new();
    for seed in 0..MUTANT_SEEDS {
        match World::new(seed, mutant).run() {
            Ok(()) => {}
            Err(violation) if promises.contains(&violation.promise) => {
                println!("{mutant:?} was caught by seed {seed}: {violation}");
                return;
            }
            Err(violation) => others.push(violation),
        }
    }
    panic!("{mutant:?} went unnoticed by {promises:?}; others said {others:#?}");
}

#[test]
fn draining_lanes_before_reaping_is_caught() {
    assert_caught(Mutant::DrainBeforeReap, &[Promise::SubscribeThenFlush]);
}

#[test]
fn sending_before_parcels_are_pushed_is_caught() {
    assert_caught(Mutant::SendBeforePush, &[Promise::SubscribeThenFlush]);
}

#[test]
fn sending_while_announcements_wait_is_caught() {
    assert_caught(
        Mutant::SendWhileAnnouncementsWait,
        &[Promise::SubscribeThenFlush],
    );
}

#[test]
fn a_lost_message_is_caught() {
    let lost = [Promise::NothingLostSilently, Promise::SubscribeThenFlush];
    assert_caught(Mutant::LoseMessage, &lost);
}

#[test]
fn a_message_lost_for_a_group_is_caught() {
    assert_caught(Mutant::LoseForGroup, &[Promise::OneCopyPerGroup]);
}

#[test]
fn a_doubled_message_is_caught() {
    assert_caught(Mutant::DoubleMessage, &[Promise::NothingLostSilently]);
}

#[test]
fn a_second_copy_for_a_group_is_caught() {
    assert_caught(Mutant::CopyToOtherMember, &[Promise::OneCopyPerGroup]);
}

#[test]
fn a_spoiled_byte_is_caught() {
    assert_caught(Mutant::SpoilByte, &[Promise::Integrity]);
}

#[test]
fn swapped_messages_are_caught() {
    assert_caught(Mutant::Swap, &[Promise::Order]);
}

#[test]
fn swapped_messages_of_a_group_are_caught() {
    assert_caught(Mutant::SwapForGroup, &[Promise::Order]);
}

#[test]
fn an_outbox_without_a_limit_is_caught() {
    assert_caught(Mutant::NoLimit, &[Promise::BoundedMemory]);
}

#[test]
fn a_session_that_nobody_ends_is_caught() {
    assert_caught(
        Mutant::ForgetHangUps,
        &[Promise::ComesToRest, Promise::NothingLeaks],
    );
}

#[test]
fn a_pause_that_never_ends_is_caught() {
    assert_caught(Mutant::ForgetResume, &[Promise::ComesToRest]);
}

#[test]
fn a_message_that_leaks_to_another_account_is_caught() {
    assert_caught(Mutant::LeakToStranger, &[Promise::Integrity]);
}

#[test]
fn a_message_lost_between_accounts_is_caught() {
    let lost = [Promise::NothingLostSilently, Promise::SubscribeThenFlush];
    assert_caught(Mutant::LoseFromStream, &lost);
    assert_caught(Mutant::LoseRequest, &lost);
}

#[test]
fn imports_that_a_reload_forgets_are_caught() {
    let lost = [Promise::NothingLostSilently, Promise::SubscribeThenFlush];
    assert_caught(Mutant::ForgetImports, &lost);
}

#[test]
fn a_lost_response_is_caught() {
    assert_caught(Mutant::LoseResponse, &[Promise::OneResponse]);
}
