//! Which connection is on which thread, and how many threads there are.
//!
//! Connections are dealt out in turn, publishers first, then subscribers: one publisher and one subscriber on two threads
//! get a thread each. Idle connections follow, so that every thread has its part of them.

use std::sync::Arc;
use std::thread;

use super::connect::{Spec, source_of};
use super::{LoadError, Settings, Target};
use crate::scenario::subjects::{self, Names};
use crate::scenario::{Exchange, Scenario};

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    Publish(u16),
    Subscribe(u32),
    Churn,
    Idle,
}

/// The connections of one thread.
#[derive(Debug, Default)]
pub(super) struct Share {
    pub(super) duties: Vec<Duty>,
    pub(super) specs: Vec<Spec>,
}

/// How many load threads there are to be.
pub(super) fn threads(scenario: &Scenario, settings: &Settings) -> Result<u32, LoadError> {
    let connections = busy_connections(scenario);
    let no = |text: String| Err(LoadError::Settings(text));
    if settings.threads == Some(0) || settings.connections_per_thread == Some(0) {
        return no(
            "0 threads, or 0 connections on each, can do nothing; say at least 1".to_owned(),
        );
    }
    let threads = match (settings.threads, settings.connections_per_thread) {
        (Some(threads), Some(each))
            if u64::from(threads) * u64::from(each) < u64::from(connections) =>
        {
            return no(format!(
                "{threads} threads of {each} connections do not hold the {connections} connections of this scenario; give \
                 one of the two only, or larger numbers"
            ));
        }
        (Some(threads), _) => threads,
        (None, Some(each)) => connections.div_ceil(each),
        (None, None) => usual_threads(),
    };
    if threads > THREADS_MAX {
        return no(format!(
            "{threads} load threads are too many; {THREADS_MAX} are possible. Put more connections on each"
        ));
    }
    Ok(threads.min(connections))
}

/// The cores exist.
pub(super) fn check_cores(pin: &[usize]) -> Result<(), LoadError> {
    let Some(cores) = core_affinity::get_core_ids().filter(|_| !pin.is_empty()) else {
        return Ok(());
    };
    let allowed: Vec<usize> = cores.iter().map(|core| core.id).collect();
    match pin.iter().find(|core| !allowed.contains(core)) {
        None => Ok(()),
        Some(core) => Err(LoadError::Settings(format!(
            "there is no core {core} for the load threads; this process may use {allowed:?}"
        ))),
    }
}

/// Deals the connections out.
pub(super) fn shares(
    scenario: &Scenario,
    target: &Target,
    names: &Names,
    tag: &str,
    threads: u32,
) -> Vec<Share> {
    let mut dealer = Dealer {
        scenario,
        target,
        names,
        tag,
        shares: (0..threads).map(|_| Share::default()).collect(),
        count: 0,
    };
    dealer.deal_publishers();
    dealer.deal_subscribers();
    if scenario.churn_per_s > 0.0 {
        dealer.deal(Duty::Churn, "churn".to_owned(), Arc::default(), None);
    }
    for idle in 0..scenario.idle_connections {
        let pattern = format!("{tag}.idle.{idle}");
        dealer.deal(
            Duty::Idle,
            format!("idle-{idle}"),
            Arc::new(vec![pattern]),
            None,
        );
    }
    dealer.shares
}

/// Where the answers to a publisher's requests go.
pub(super) fn inbox(tag: &str, publisher: u16) -> String {
    format!("_INBOX.{tag}.{publisher}.")
}

/// All connections of a scenario.
pub(super) fn connections(scenario: &Scenario) -> u64 {
    u64::from(busy_connections(scenario)) + u64::from(scenario.idle_connections)
}

struct Dealer<'a> {
    scenario: &'a Scenario,
    target: &'a Target,
    names: &'a Names,
    tag: &'a str,
    shares: Vec<Share>,
    count: u32,
}

impl Dealer<'_> {
    fn deal_publishers(&mut self) {
        for publisher in 0..self.scenario.publishers {
            let publisher = u16::try_from(publisher).unwrap_or(u16::MAX);
            let patterns = match self.scenario.exchange {
                Exchange::Publish => Vec::new(),
                Exchange::Request { .. } => vec![format!("{}*", inbox(self.tag, publisher))],
            };
            let name = format!("publisher-{publisher}");
            self.deal(Duty::Publish(publisher), name, Arc::new(patterns), None);
        }
    }

    fn deal_subscribers(&mut self) {
        let mut last: Option<(u32, Arc<Vec<String>>)> = None;
        for subscriber in 0..self.scenario.subscribers {
            let class = subjects::class_of_subscriber(self.scenario, subscriber);
            // Subscribers of one class share the list: it can be long.
            let patterns = match &last {
                Some((of, patterns)) if *of == class => Arc::clone(patterns),
                _ => Arc::new(self.names.patterns(class)),
            };
            last = Some((class, Arc::clone(&patterns)));
            let group = subjects::group_of_subscriber(self.scenario, subscriber);
            let group = group.map(|group| format!("group{group}"));
            let name = format!("subscriber-{subscriber}");
            self.deal(Duty::Subscribe(subscriber), name, patterns, group);
        }
    }

    fn deal(
        &mut self,
        duty: Duty,
        name: String,
        patterns: Arc<Vec<String>>,
        group: Option<String>,
    ) {
        let thread = self.count as usize % self.shares.len();
        let share = &mut self.shares[thread];
        share.duties.push(duty);
        share.specs.push(Spec {
            name: format!("trunkline-bench-{name}"),
            patterns,
            group,
            source: source_of(self.count, self.target.address),
        });
        self.count += 1;
    }
}

fn busy_connections(scenario: &Scenario) -> u32 {
    scenario.publishers + scenario.subscribers + u32::from(scenario.churn_per_s > 0.0)
}

/// The other half is for a server on the same machine.
fn usual_threads() -> u32 {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(processors / 2).unwrap_or(1).max(1)
}

const THREADS_MAX: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(publishers: u32, subscribers: u32) -> Scenario {
        Scenario {
            publishers,
            subscribers,
            ..Scenario::default()
        }
    }

    fn settings(threads: Option<u32>, connections_per_thread: Option<u32>) -> Settings {
        Settings {
            threads,
            connections_per_thread,
            pin: Vec::new(),
        }
    }

    #[test]
    fn connections_per_thread_make_the_threads() {
        let scenario = scenario(5, 4);
        assert_eq!(threads(&scenario, &settings(None, Some(2))).unwrap(), 5);
        assert_eq!(threads(&scenario, &settings(Some(3), None)).unwrap(), 3);
        assert_eq!(
            threads(&scenario, &settings(Some(30), None)).unwrap(),
            9,
            "no idle threads"
        );
        let error = threads(&scenario, &settings(Some(2), Some(2))).unwrap_err();
        assert!(
            error.to_string().contains("do not hold the 9 connections"),
            "{error}"
        );
        assert!(threads(&scenario, &settings(Some(0), None)).is_err());
    }

    #[test]
    fn a_core_that_is_not_there_is_refused() {
        let error = check_cores(&[usize::MAX]).unwrap_err();
        assert!(error.to_string().contains("no core"), "{error}");
        assert!(check_cores(&[]).is_ok());
    }

    #[test]
    fn each_connection_is_dealt_once_and_evenly() {
        let scenario = Scenario {
            idle_connections: 3,
            churn_per_s: 1.0,
            ..scenario(2, 3)
        };
        let target = Target {
            address: "127.0.0.1:1".parse().unwrap(),
            protocol: crate::wire::Protocol::Nats,
            credentials: crate::wire::Credentials::default(),
            tls: None,
        };
        let names = Names::new(&scenario, "tag");
        let shares = shares(&scenario, &target, &names, "tag", 2);
        let duties: Vec<Vec<Duty>> = shares.iter().map(|share| share.duties.clone()).collect();
        let expected = [
            vec![
                Duty::Publish(0),
                Duty::Subscribe(0),
                Duty::Subscribe(2),
                Duty::Idle,
                Duty::Idle,
            ],
            vec![
                Duty::Publish(1),
                Duty::Subscribe(1),
                Duty::Churn,
                Duty::Idle,
            ],
        ];
        assert_eq!(duties, expected);
    }
}
