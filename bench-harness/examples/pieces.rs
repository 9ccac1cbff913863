//! How long a shard takes for one piece of what the monitor asks: messages wait that long for a page, however large it is.
//! `cargo run --release -p bench-harness --example pieces [CONNECTIONS]`, 50,000 without an argument.
//!
//! The shard is a real one without sockets, so that a limit of descriptors does not matter. Each connection has one
//! subscription. Every kind of question is asked from the first piece to the last, several times over; what one walk
//! leaves in the caches, the next has driven out where there are many connections.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use trunkline::auth::NonceKey;
use trunkline::base::ids::ClientNumber;
use trunkline::base::limits::{LANE_PARCELS, SURVEYED_RECORDS};
use trunkline::config::Options;
use trunkline::mesh;
use trunkline::protocol::info::ServerInfo;
use trunkline::session::settings::Settings;
use trunkline::shard::Shard;
use trunkline::shard::survey::{Below, Piece, Question, WantedConnections, WantedSubscriptions};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WALKS: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let argument = std::env::args().nth(1);
    let connections: u64 = argument.map_or(Ok(50_000), |text| text.parse())?;
    let shard = shard_with(connections)?;
    println!("{connections} connections on one shard, {WALKS} walks");
    report("counts", &shard, Question::Counts);
    report("sums over connections", &shard, Question::Sums { from: 0 });
    let wanted = Arc::new(WantedConnections::default());
    let sorted = Question::Connections { from: 0, wanted };
    report("connections to be sorted", &shard, sorted.clone());
    report_records(&shard, sorted);
    let subscriptions = Question::Subscriptions {
        from: 0,
        wanted: Arc::new(WantedSubscriptions::default()),
        skip: 0,
        take: usize::MAX,
    };
    report("subscriptions in full", &shard, subscriptions);
    let below = Arc::new(Below::default());
    let level = Question::Subjects { from: 0, below };
    report("a level of subjects", &shard, level);
    Ok(())
}

fn shard_with(connections: u64) -> Result<Shard, Box<dyn Error>> {
    let mesh = mesh::build(1, LANE_PARCELS).pop().ok_or("no shard")?;
    let info = ServerInfo::new(&Options::default(), "PIECES");
    let settings = Settings::new(&Options::default(), info, NonceKey::new([0; 32]));
    let mut shard = Shard::new(settings, mesh, 7);
    for number in 1..=connections {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let id = shard.connect(ClientNumber(number), address);
        let says = format!(
            "CONNECT {{\"verbose\":false,\"name\":\"one of many\",\"lang\":\"rust\"}}\r\nSUB held.{number} 1\r\nPING\r\n"
        );
        shard.receive(id, says.as_bytes());
        while let Some(batch) = shard.take_batch(id) {
            shard.batch_progressed(id, batch.len());
            shard.batch_finished(id, batch);
        }
    }
    Ok(shard)
}

/// Asks until there is nothing more to ask, many times.
fn report(what: &str, shard: &Shard, first: Question) {
    let mut times = Vec::new();
    for _ in 0..WALKS {
        let mut question = Some(first.clone());
        while let Some(asked) = question.take() {
            let begin = Instant::now();
            let piece = shard.answer(&asked);
            times.push(begin.elapsed());
            question = after(asked, &piece);
        }
    }
    print(what, times);
}

/// All connections in full, as `/connz` asks for those that it has found.
fn report_records(shard: &Shard, first: Question) {
    let mut found = Vec::new();
    let mut question = Some(first);
    while let Some(asked) = question.take() {
        let piece = shard.answer(&asked);
        if let Piece::Connections { ranked, .. } = &piece {
            found.extend(ranked.iter().map(|one| one.id));
        }
        question = after(asked, &piece);
    }
    let mut times = Vec::new();
    for _ in 0..WALKS {
        for some in found.chunks(SURVEYED_RECORDS) {
            let asked = Question::Records { of: some.to_vec() };
            let begin = Instant::now();
            let piece = shard.answer(&asked);
            times.push(begin.elapsed());
            drop(piece);
        }
    }
    print("connections in full", times);
}

/// The question that goes on behind a piece.
fn after(asked: Question, piece: &Piece) -> Option<Question> {
    match (asked, piece) {
        (Question::Sums { .. }, Piece::Sums { next, .. }) => {
            next.map(|from| Question::Sums { from })
        }
        (Question::Connections { wanted, .. }, Piece::Connections { next, .. }) => {
            next.map(|from| Question::Connections { from, wanted })
        }
        (
            Question::Subscriptions {
                wanted, skip, take, ..
            },
            Piece::Subscriptions { next, .. },
        ) => next.map(|from| Question::Subscriptions {
            from,
            wanted,
            skip,
            take,
        }),
        (Question::Subjects { below, .. }, Piece::Subjects { next, .. }) => {
            next.map(|from| Question::Subjects { from, below })
        }
        _ => None,
    }
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let index = ((times.len() - 1) as f64 * share) as usize;
        times[index].as_secs_f64() * 1e6
    };
    let walk = times.iter().sum::<Duration>() / u32::try_from(WALKS).unwrap_or(u32::MAX);
    println!(
        "{what:26} {:5} pieces: median {:6.1} µs, p99 {:6.1} µs, longest {:6.1} µs; all of them {:8.2} ms",
        times.len() / WALKS,
        at(0.5),
        at(0.99),
        at(1.0),
        walk.as_secs_f64() * 1e3,
    );
}
