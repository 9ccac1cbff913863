//! What the view knows: the last sample, what has changed since the one before, and what the user wants to see.
//!
//! Pure: samples and keys come in, and everything that is drawn can be asked for. The server sorts and limits the connections,
//! so that the busiest of many thousands can be seen; only by rate, which no server knows, they are sorted here.

use super::figure::as_float;
use super::sample::{Connection, Sample, Server, Traffic};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

/// How connections are to be chosen and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) sort: SortKey,
    pub(super) is_reversed: bool,
    /// Connections that the server is asked for.
    pub(super) limit: u32,
    pub(super) raw_bytes: bool,
    /// Messages and subscriptions too are shown to the last one, for programs that read them.
    pub(super) raw_counts: bool,
    pub(super) with_subscriptions: bool,
    /// Hosts by their names, as far as they have one.
    pub(super) with_names: bool,
    /// What connections move in a second instead of what they have moved.
    pub(super) as_rates: bool,
}

/// At most so many connections can be asked for: all of them are kept and laid out at every refresh.
pub(super) const LIMIT_MAX: u32 = 100_000;

/// What connections are sorted by, under nats-top's names where it has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SortKey {
    Cid,
    Start,
    Subs,
    Pending,
    MsgsTo,
    MsgsFrom,
    BytesTo,
    BytesFrom,
    Rate,
    Last,
    Idle,
    Uptime,
    Rtt,
}

impl SortKey {
    pub(super) const ALL: [SortKey; 13] = [
        SortKey::Cid,
        SortKey::Start,
        SortKey::Subs,
        SortKey::Pending,
        SortKey::MsgsTo,
        SortKey::MsgsFrom,
        SortKey::BytesTo,
        SortKey::BytesFrom,
        SortKey::Rate,
        SortKey::Last,
        SortKey::Idle,
        SortKey::Uptime,
        SortKey::Rtt,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            SortKey::Cid => "cid",
            SortKey::Start => "start",
            SortKey::Subs => "subs",
            SortKey::Pending => "pending",
            SortKey::MsgsTo => "msgs_to",
            SortKey::MsgsFrom => "msgs_from",
            SortKey::BytesTo => "bytes_to",
            SortKey::BytesFrom => "bytes_from",
            SortKey::Rate => "rate",
            SortKey::Last => "last",
            SortKey::Idle => "idle",
            SortKey::Uptime => "uptime",
            SortKey::Rtt => "rtt",
        }
    }

    pub(super) fn named(name: &str) -> Option<SortKey> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }

    /// What the server is asked to sort by.
    pub(super) fn of_server(self) -> &'static str {
        match self {
            // Those that have moved last are the likeliest to be moving.
            SortKey::Rate => SortKey::Last.name(),
            key => key.name(),
        }
    }
}

/// Traffic per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) in_msgs: f64,
    pub(super) out_msgs: f64,
    pub(super) in_bytes: f64,
    pub(super) out_bytes: f64,
}

impl Rates {
    /// From two counts; nothing is known where no time has passed, or where the counts began anew.
    fn between(before: Traffic, after: Traffic, passed: Duration) -> Option<Rates> {
        let seconds = passed.as_secs_f64();
        let per_second = |before: u64, after: u64| {
            let moved = after.checked_sub(before)?;
            (seconds > 0.0).then(|| as_float(moved) / seconds)
        };
        Some(Rates {
            in_msgs: per_second(before.in_msgs, after.in_msgs)?,
            out_msgs: per_second(before.out_msgs, after.out_msgs)?,
            in_bytes: per_second(before.in_bytes, after.in_bytes)?,
            out_bytes: per_second(before.out_bytes, after.out_bytes)?,
        })
    }

    fn msgs(self) -> f64 {
        self.in_msgs + self.out_msgs
    }
}

/// A connection, and how much it moves, once it has been seen twice.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) connection: Connection,
    pub(super) rates: Option<Rates>,
    pub(super) host_name: Option<Rc<str>>,
}

/// The counters of an earlier sample.
#[derive(Debug)]
struct Counts {
    at: Duration,
    server_id: String,
    server: Traffic,
    connections: HashMap<u64, Traffic>,
}

/// Everything that is shown of a server.
#[derive(Debug)]
pub(super) struct State {
    /// Where the server is looked for.
    pub(super) address: String,
    pub(super) wishes: Wishes,
    server: Option<Server>,
    at: Duration,
    /// What rates are counted from.
    before: Option<Counts>,
    rates: Option<Rates>,
    connections_total: u64,
    rows: Vec<Row>,
    /// What addresses are called.
    names: HashMap<IpAddr, Rc<str>>,
    /// Why the last attempt to read failed.
    fault: Option<String>,
}

impl State {
    pub(super) fn new(address: String, wishes: Wishes) -> State {
        State {
            address,
            wishes,
            server: None,
            at: Duration::ZERO,
            before: None,
            rates: None,
            connections_total: 0,
            rows: Vec::new(),
            names: HashMap::new(),
            fault: None,
        }
    }

    /// The server has answered.
    pub(super) fn take(&mut self, sample: Sample) {
        let Sample {
            at,
            server,
            connections,
        } = sample;
        // Whoever presses a key asks ahead of time: then the rates go on being counted from the sample before the last one.
        if at.saturating_sub(self.at) >= RATE_SPAN_MIN {
            self.before = self.counts();
        }
        // Another server at the same address counts from zero, and numbers its connections anew.
        self.before
            .take_if(|before| before.server_id != server.server_id);
        let before = self.before.as_ref();
        let passed = before.map_or(Duration::ZERO, |before| at.saturating_sub(before.at));
        self.rates =
            before.and_then(|before| Rates::between(before.server, server.traffic, passed));
        let names = &self.names;
        let row = |connection: Connection| Row {
            host_name: name_of(names, &connection),
            rates: before
                .and_then(|before| before.connections.get(&connection.cid))
                .and_then(|before| Rates::between(*before, connection.traffic, passed)),
            connection,
        };
        self.rows = connections.list.into_iter().map(row).collect();
        if self.wishes.sort == SortKey::Rate {
            let rate = |row: &Row| row.rates.map_or(-1.0, Rates::msgs);
            self.rows
                .sort_by(|left, right| rate(right).total_cmp(&rate(left)));
        }
        if self.wishes.is_reversed {
            self.rows.reverse();
        }
        self.connections_total = connections.total;
        self.server = Some(server);
        self.at = at;
        self.fault = None;
    }

    /// What the last sample has counted.
    fn counts(&self) -> Option<Counts> {
        let server = self.server.as_ref()?;
        let identified = |row: &Row| (row.connection.cid, row.connection.traffic);
        Some(Counts {
            at: self.at,
            server_id: server.server_id.clone(),
            server: server.traffic,
            connections: self.rows.iter().map(identified).collect(),
        })
    }

    /// The server has not answered; what was known of it stays to be looked at.
    pub(super) fn lose(&mut self, why: String) {
        self.fault = Some(why);
    }

    /// What addresses are called.
    pub(super) fn learn(&mut self, known: Vec<(IpAddr, String)>) {
        let known = known.into_iter();
        self.names
            .extend(known.map(|(address, name)| (address, name.into())));
        for row in &mut self.rows {
            row.host_name = name_of(&self.names, &row.connection);
        }
    }

    pub(super) fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    pub(super) fn rates(&self) -> Option<Rates> {
        self.rates
    }

    pub(super) fn connections_total(&self) -> u64 {
        self.connections_total
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

fn name_of(names: &HashMap<IpAddr, Rc<str>>, connection: &Connection) -> Option<Rc<str>> {
    if names.is_empty() {
        return None;
    }
    let address = connection.ip.parse().ok()?;
    names.get(&address).cloned()
}

/// Differences over less time than this say little. It is less than the shortest time between two readings that can be asked for.
const RATE_SPAN_MIN: Duration = Duration::from_millis(50);

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::top::sample::Connections;

    pub(in crate::top) fn wishes() -> Wishes {
        Wishes {
            sort: SortKey::Cid,
            is_reversed: false,
            limit: 1024,
            raw_bytes: false,
            raw_counts: false,
            with_subscriptions: false,
            with_names: false,
            as_rates: false,
        }
    }

    fn traffic(sum: u64) -> Traffic {
        Traffic {
            in_msgs: sum,
            out_msgs: 2 * sum,
            in_bytes: 100 * sum,
            out_bytes: 200 * sum,
        }
    }

    fn sample(seconds: u64, server_id: &str, sum: u64, connections: &[(u64, u64)]) -> Sample {
        let connection = |&(cid, sum): &(u64, u64)| {
            let mut connection = Connection::default();
            connection.cid = cid;
            connection.traffic = traffic(sum);
            connection
        };
        Sample {
            at: Duration::from_secs(seconds),
            server: Server {
                server_id: server_id.to_owned(),
                traffic: traffic(sum),
                ..Server::default()
            },
            connections: Connections {
                total: 99,
                list: connections.iter().map(connection).collect(),
            },
        }
    }

    fn msgs_in(state: &State) -> Vec<(u64, Option<f64>)> {
        let rate = |row: &Row| (row.connection.cid, row.rates.map(|rates| rates.in_msgs));
        state.rows().iter().map(rate).collect()
    }

    #[test]
    fn rates_are_differences_over_the_time_between_samples() {
        let mut state = State::new(String::new(), wishes());
        state.take(sample(10, "NA", 100, &[(5, 50), (7, 0)]));
        assert_eq!(state.rates(), None);
        assert_eq!(msgs_in(&state), [(5, None), (7, None)]);
        state.take(sample(12, "NA", 300, &[(5, 60), (9, 40)]));
        let rates = state.rates().unwrap();
        assert_eq!((rates.in_msgs, rates.out_msgs), (100.0, 200.0));
        assert_eq!((rates.in_bytes, rates.out_bytes), (10_000.0, 20_000.0));
        assert_eq!(msgs_in(&state), [(5, Some(5.0)), (9, None)]);
        assert_eq!(state.connections_total(), 99);
    }

    #[test]
    fn another_server_and_counts_that_go_back_have_no_rates() {
        let mut state = State::new(String::new(), wishes());
        state.take(sample(1, "NA", 100, &[(5, 50)]));
        state.take(sample(2, "NB", 200, &[(5, 60)]));
        assert_eq!((state.rates(), msgs_in(&state)), (None, vec![(5, None)]));
        state.take(sample(3, "NB", 100, &[(5, 59)]));
        assert_eq!((state.rates(), msgs_in(&state)), (None, vec![(5, None)]));
    }

    #[test]
    fn rates_of_a_sample_out_of_turn_are_counted_from_the_one_before_the_last() {
        let mut state = State::new(String::new(), wishes());
        let sample_at = |millis, sum| Sample {
            at: Duration::from_millis(millis),
            ..sample(0, "NA", sum, &[(5, sum)])
        };
        state.take(sample_at(1000, 100));
        state.take(sample_at(1001, 900));
        assert_eq!(state.rates(), None, "there is none before the last");
        state.take(sample_at(3001, 1100));
        assert_eq!(state.rates().unwrap().in_msgs, 100.0);
        state.take(sample_at(3049, 1100));
        let rate = 200.0 / 2.048;
        assert_eq!(state.rates().unwrap().in_msgs, rate);
        assert_eq!(msgs_in(&state), [(5, Some(rate))]);
        state.take(sample_at(3099, 1150));
        assert_eq!(state.rates().unwrap().in_msgs, 1000.0);
    }

    #[test]
    fn a_lost_server_stays_to_be_looked_at_until_it_is_back() {
        let mut state = State::new(String::new(), wishes());
        state.lose("connection refused".to_owned());
        assert_eq!(
            (state.server(), state.fault()),
            (None, Some("connection refused"))
        );
        state.take(sample(1, "NA", 100, &[(5, 50)]));
        assert_eq!(state.fault(), None);
        state.lose("gone".to_owned());
        assert_eq!(state.rows().len(), 1);
        // The rate is over the whole time without an answer.
        state.take(sample(11, "NA", 200, &[(5, 60)]));
        assert_eq!(state.rates().unwrap().in_msgs, 10.0);
    }

    #[test]
    fn the_order_is_the_servers_unless_by_rate() {
        let mut state = State::new(String::new(), wishes());
        let take_both = |state: &mut State| {
            state.take(sample(1, "NA", 0, &[(3, 10), (1, 0), (2, 0)]));
            state.take(sample(2, "NA", 0, &[(3, 10), (1, 5), (2, 7), (4, 900)]));
            state.rows().iter().map(|row| row.connection.cid).collect()
        };
        let cids: Vec<u64> = take_both(&mut state);
        assert_eq!(cids, [3, 1, 2, 4]);
        state.wishes.is_reversed = true;
        let cids: Vec<u64> = take_both(&mut state);
        assert_eq!(cids, [4, 2, 1, 3]);
        state.wishes.is_reversed = false;
        state.wishes.sort = SortKey::Rate;
        let cids: Vec<u64> = take_both(&mut state);
        assert_eq!(cids, [2, 1, 3, 4], "those of unknown rate come last");
    }

    #[test]
    fn sort_keys_have_names_of_their_own() {
        for key in SortKey::ALL {
            assert_eq!(SortKey::named(key.name()), Some(key));
        }
        assert_eq!(SortKey::named("CID"), None);
        assert_eq!(SortKey::Rate.of_server(), "last");
        assert_eq!(SortKey::MsgsTo.of_server(), "msgs_to");
    }
}
