//! Pieces put together, beside what was done to the shard.

use super::*;
use crate::auth::NonceKey;
use crate::base::clock::Now;
use crate::base::limits::{CLOSED_SUBSCRIPTIONS_MAX, SURVEYED_SUBJECTS, SURVEYED_SUBSCRIBERS};
use crate::config::account::{self, Account};
use crate::config::authorization::Credentials;
use crate::config::{Auth, Options, Secret, User};
use crate::mesh;
use crate::protocol::info::ServerInfo;
use crate::session::close::CloseReason;
use crate::session::settings::Settings;
use crate::shard::Effect;
use std::net::SocketAddr;
use std::time::Duration;

fn shard(options: &Options) -> Shard {
    let info = ServerInfo::new(options, "ID");
    let mesh = mesh::build(1, 1).pop().expect("one end");
    Shard::new(
        Settings::new(options, info, NonceKey::new([0; 32])),
        mesh,
        7,
    )
}

fn monitored() -> Shard {
    shard(&Options {
        monitor_port: Some(0),
        ..Options::default()
    })
}

fn join(shard: &mut Shard, number: u64) -> ConnectionId {
    let address = SocketAddr::from(([127, 0, 0, 1], 4000));
    let id = shard.connect(ClientNumber(number), address);
    let connect = format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"name\":\"c{number}\",\"user\":\"u{}\"}}\r\n",
        number % 2
    );
    shard.receive(id, connect.as_bytes());
    id
}

fn say(shard: &mut Shard, id: ConnectionId, text: &str) {
    shard.receive(id, text.as_bytes());
}

/// What a driver does at the end of a turn, without a socket.
fn flush(shard: &mut Shard) {
    while let Some(id) = shard.next_dirty() {
        while let Some(batch) = shard.take_batch(id) {
            shard.batch_progressed(id, batch.len());
            shard.batch_finished(id, batch);
        }
    }
    let mut effects = Vec::new();
    shard.take_effects(&mut effects);
    for effect in effects {
        if let Effect::Close(id) = effect {
            shard.release(id);
        }
    }
}

fn all_ranked(shard: &Shard, wanted: &WantedConnections) -> (Vec<Ranked>, usize, usize) {
    let wanted = Arc::new(wanted.clone());
    let (mut all, mut of_account, mut pieces) = (Vec::new(), 0, 0);
    let mut from = Some(0);
    while let Some(next) = from {
        let wanted = Arc::clone(&wanted);
        let Piece::Connections {
            ranked,
            of_account: more,
            next,
        } = shard.answer(&Question::Connections { from: next, wanted })
        else {
            panic!("connections were asked for");
        };
        all.extend(ranked);
        of_account += more;
        pieces += 1;
        from = next;
    }
    (all, of_account, pieces)
}

fn all_subscriptions(
    shard: &Shard,
    wanted: WantedSubscriptions,
) -> (Vec<SubscriptionRecord>, usize) {
    let wanted = Arc::new(wanted);
    let (mut all, mut matching) = (Vec::new(), 0);
    let mut from = Some(0);
    while let Some(next) = from {
        let question = Question::Subscriptions {
            from: next,
            wanted: Arc::clone(&wanted),
            skip: 0,
            take: usize::MAX,
        };
        let Piece::Subscriptions {
            matching: more,
            records,
            next,
        } = shard.answer(&question)
        else {
            panic!("subscriptions were asked for");
        };
        assert!(records.len() <= SURVEYED_SUBSCRIPTION_RECORDS);
        all.extend(records);
        matching += more;
        from = next;
    }
    (all, matching)
}

fn closed(shard: &Shard) -> Vec<Arc<ClosedConnection>> {
    let Piece::Closed {
        connections,
        next: None,
    } = shard.answer(&Question::Closed { from: 0 })
    else {
        panic!("closed connections were asked for, and there are few");
    };
    connections
}

fn record(shard: &Shard, id: ConnectionId) -> ConnectionRecord {
    let Piece::Records(mut records) = shard.answer(&Question::Records { of: vec![id] }) else {
        panic!("a record was asked for");
    };
    records.pop().expect("the connection is there")
}

#[test]
fn every_connection_is_in_one_piece_at_and_over_the_size_of_a_piece() {
    let mut shard = monitored();
    for count in [SURVEYED_CONNECTIONS, SURVEYED_CONNECTIONS + 1] {
        while shard.snapshot().connections < count as usize {
            let number = shard.snapshot().tally.connected + 1;
            join(&mut shard, number);
        }
        let (ranked, of_account, pieces) = all_ranked(&shard, &WantedConnections::default());
        let mut numbers: Vec<u64> = ranked.iter().map(|ranked| ranked.number.0).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=u64::from(count)).collect::<Vec<_>>());
        assert_eq!(of_account, count as usize);
        assert_eq!(pieces, count.div_ceil(SURVEYED_CONNECTIONS) as usize);
    }
}

#[test]
fn connections_are_chosen_by_number_user_and_account() {
    let mut shard = monitored();
    for number in 1..=5 {
        join(&mut shard, number);
    }
    let numbers = |wanted: WantedConnections| -> Vec<u64> {
        let (ranked, of_account, _) = all_ranked(&shard, &wanted);
        let expected = if wanted.account == Some(AccountId::SYSTEM) {
            0
        } else {
            5
        };
        assert_eq!(
            of_account, expected,
            "users and numbers do not count for the total"
        );
        ranked.iter().map(|ranked| ranked.number.0).collect()
    };
    let user = |user: &str| WantedConnections {
        user: Some(user.into()),
        ..Default::default()
    };
    assert_eq!(numbers(user("u1")), [1, 3, 5]);
    assert_eq!(numbers(user("nobody")), [0; 0]);
    let number = Some(ClientNumber(4));
    assert_eq!(
        numbers(WantedConnections {
            number,
            ..Default::default()
        }),
        [4]
    );
    let account = Some(AccountId::SYSTEM);
    assert_eq!(
        numbers(WantedConnections {
            account,
            ..Default::default()
        }),
        [0; 0]
    );
}

#[test]
fn a_record_says_what_happened_and_when() {
    let at = |seconds| Now::ZERO.after(Duration::from_secs(seconds));
    let mut shard = monitored();
    shard.set_now(at(1));
    let listener = shard.connect(ClientNumber(1), SocketAddr::from(([10, 0, 0, 9], 77)));
    shard.set_now(at(3));
    say(
        &mut shard,
        listener,
        "CONNECT {\"name\":\"n\",\"lang\":\"l\",\"version\":\"v\",\"verbose\":false,\"auth_token\":\"t\"}\r\nSUB a 1\r\n",
    );
    flush(&mut shard);
    let fresh = record(&shard, listener);
    assert_eq!(
        (&*fresh.name, &*fresh.language, &*fresh.version),
        ("n", "l", "v")
    );
    assert_eq!(&*fresh.user, "[REDACTED]", "a token is a secret");
    assert_eq!(
        (fresh.started_at, fresh.active_at, fresh.rtt),
        (at(1), at(3), Duration::from_secs(2))
    );
    assert_eq!(
        (fresh.origin.address(), fresh.subscriptions),
        (SocketAddr::from(([10, 0, 0, 9], 77)), 1)
    );

    let publisher = join(&mut shard, 2);
    shard.set_now(at(5));
    say(
        &mut shard,
        publisher,
        "PUB a 3\r\nabc\r\nPUB nobody 2\r\nab\r\n",
    );
    let told = record(&shard, listener);
    assert_eq!(
        told.sent,
        Traffic {
            messages: 1,
            bytes: 3
        }
    );
    assert_eq!(told.pending_bytes, "MSG a 1 3\r\nabc\r\n".len());
    assert_eq!(told.active_at, at(3), "nothing has been sent yet");
    flush(&mut shard);
    assert_eq!(record(&shard, listener).active_at, at(5));
    assert_eq!(
        record(&shard, publisher).received,
        Traffic {
            messages: 2,
            bytes: 5
        }
    );

    // Keeping the connection alive is no activity; a PONG measures the way there and back.
    shard.set_now(at(7));
    shard.run_timers();
    flush(&mut shard);
    shard.set_now(at(8));
    say(&mut shard, listener, "PONG\r\nPING\r\n");
    let pinged = record(&shard, listener);
    assert_eq!(
        (pinged.rtt, pinged.active_at),
        (Duration::from_secs(1), at(5))
    );
    shard.set_now(at(9));
    say(&mut shard, listener, "PONG\r\n");
    assert_eq!(
        record(&shard, listener).rtt,
        Duration::from_secs(1),
        "nobody asked for it"
    );
}

#[test]
fn connections_are_ranked_by_any_figure_of_their_records() {
    let mut shard = monitored();
    let ids: Vec<ConnectionId> = (1..=3).map(|number| join(&mut shard, number)).collect();
    shard.set_now(Now::ZERO.after(Duration::from_secs(1)));
    say(&mut shard, ids[0], "SUB a 1\r\nSUB b 2\r\n");
    say(
        &mut shard,
        ids[1],
        "PUB a 10\r\n0123456789\r\nPUB b 1\r\nx\r\n",
    );
    let ranks = [
        Rank::Number,
        Rank::Subscriptions,
        Rank::Pending,
        Rank::MessagesTo,
        Rank::MessagesFrom,
        Rank::BytesTo,
        Rank::BytesFrom,
        Rank::ActiveAt,
        Rank::StartedAt,
        Rank::RoundTrip,
    ];
    for rank in ranks {
        let (ranked, ..) = all_ranked(
            &shard,
            &WantedConnections {
                rank,
                ..Default::default()
            },
        );
        assert_eq!(ranked.len(), 3);
        for one in ranked {
            assert_eq!(one.figure, rank.of(&record(&shard, one.id)), "{rank:?}");
        }
    }
}

#[test]
fn sums_are_those_of_the_records() {
    let mut shard = monitored();
    let ids: Vec<ConnectionId> = (1..=2000).map(|number| join(&mut shard, number)).collect();
    flush(&mut shard);
    for id in &ids[..10] {
        say(&mut shard, *id, "SUB a 1\r\n");
    }
    say(&mut shard, ids[0], "PUB a 5\r\nhello\r\n");
    let mut sums = Sums::default();
    let mut from = Some(0);
    while let Some(next) = from {
        let Piece::Sums { sums: more, next } = shard.answer(&Question::Sums { from: next }) else {
            panic!("sums were asked for");
        };
        assert!(more.keys().all(|account| *account == AccountId::GLOBAL));
        more.values().for_each(|more| sums.add(more));
        from = next;
    }
    let pending = 10 * "MSG a 1 5\r\nhello\r\n".len() as u64;
    assert_eq!(
        (sums.connections, sums.subscriptions, sums.pending_bytes),
        (2000, 10, pending)
    );
    assert_eq!((sums.received.bytes, sums.sent.bytes), (5, 50));
    assert_eq!(sums.pending, [1990, 10, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn every_subscription_is_in_one_piece_with_all_there_is_to_say() {
    let mut shard = monitored();
    let ids: Vec<ConnectionId> = (1..=3).map(|number| join(&mut shard, number)).collect();
    for (id, number) in ids.iter().zip(0..) {
        for sid in 0..4000 {
            let queue = if sid % 3 == 0 {
                format!("q{} ", sid % 2)
            } else {
                String::new()
            };
            say(
                &mut shard,
                *id,
                &format!("SUB s{}.{sid} {queue}{sid}\r\n", number % 2),
            );
        }
    }
    say(
        &mut shard,
        ids[0],
        "UNSUB 7 5\r\nUNSUB 8\r\nPUB s0.7 1\r\nx\r\n",
    );
    let (all, matching) = all_subscriptions(&shard, WantedSubscriptions::default());
    assert_eq!((all.len(), matching), (11_999, 11_999));
    for one in &all {
        let sid: usize = std::str::from_utf8(&one.sid)
            .expect("digits")
            .parse()
            .expect("digits");
        let queue = if sid.is_multiple_of(3) {
            format!("q{}", sid % 2)
        } else {
            String::new()
        };
        assert_eq!(*one.queue, *queue.as_bytes(), "{one:?}");
        let subject = format!("s{}.{sid}", (one.client.0 - 1) % 2);
        assert_eq!(*one.subject, *subject.as_bytes());
        let is_first = one.client.0 == 1 && sid == 7;
        assert_eq!(one.limit, is_first.then_some(5));
        assert_eq!(one.delivered, u64::from(sid == 7 && one.client.0 != 2));
    }
    let slots = Some(HashSet::from([ids[1].slot]));
    let (of_one, _) = all_subscriptions(
        &shard,
        WantedSubscriptions {
            slots,
            ..Default::default()
        },
    );
    assert_eq!(of_one.len(), 4000);
    let subject = Some((*b"s0.12").into());
    let (reached, _) = all_subscriptions(
        &shard,
        WantedSubscriptions {
            subject,
            ..Default::default()
        },
    );
    assert_eq!(reached.len(), 2, "the first and the third client");
    let account = Some(AccountId::SYSTEM);
    assert_eq!(
        all_subscriptions(
            &shard,
            WantedSubscriptions {
                account,
                ..Default::default()
            }
        )
        .1,
        0
    );
}

#[test]
fn a_page_of_subscriptions_is_cut_out_of_the_matching_ones() {
    let mut shard = monitored();
    let id = join(&mut shard, 1);
    for sid in 0..20 {
        say(&mut shard, id, &format!("SUB a.{sid} {sid}\r\n"));
    }
    let question = Question::Subscriptions {
        from: 0,
        wanted: Arc::default(),
        skip: 5,
        take: 3,
    };
    let Piece::Subscriptions {
        matching,
        records,
        next,
    } = shard.answer(&question)
    else {
        panic!("subscriptions were asked for");
    };
    let sids: Vec<&[u8]> = records.iter().map(|record| &*record.sid).collect();
    assert_eq!(
        (matching, sids, next),
        (20, vec![&b"5"[..], b"6", b"7"], None)
    );
}

#[test]
fn what_has_ended_is_remembered_with_its_reason_and_subscriptions() {
    let mut shard = monitored();
    let id = join(&mut shard, 9);
    for sid in 0..=CLOSED_SUBSCRIPTIONS_MAX {
        say(&mut shard, id, &format!("SUB a.{sid} q {sid}\r\n"));
    }
    shard.set_now(Now::ZERO.after(Duration::from_secs(4)));
    shard.hang_up(id, CloseReason::ClientClosed);
    let refused = shard.turn_away(
        ClientNumber(10),
        SocketAddr::from(([127, 0, 0, 1], 1)),
        None,
    );
    flush(&mut shard);
    let closed = closed(&shard);
    assert_eq!(closed.len(), 2);
    assert_eq!(
        (closed[0].reason, closed[0].record.number.0),
        (CloseReason::ClientClosed, 9)
    );
    assert_eq!(
        closed[0].stopped_at,
        Now::ZERO.after(Duration::from_secs(4))
    );
    assert_eq!(
        closed[0].record.subscriptions,
        CLOSED_SUBSCRIPTIONS_MAX + 1,
        "the count is the true one"
    );
    assert_eq!(closed[0].subscriptions.len(), CLOSED_SUBSCRIPTIONS_MAX);
    assert!(
        closed[0]
            .subscriptions
            .iter()
            .all(|one| *one.queue == *b"q")
    );
    assert_eq!(closed[1].reason, CloseReason::MaximumConnectionsExceeded);
    assert_eq!(shard.snapshot().connections, 0);
    let Piece::Records(records) = shard.answer(&Question::Records {
        of: vec![id, refused],
    }) else {
        panic!("records were asked for");
    };
    assert_eq!(records, [], "who has gone is left out");
}

#[test]
fn nothing_is_remembered_where_nobody_can_ask() {
    let mut shard = shard(&Options::default());
    let id = join(&mut shard, 1);
    shard.hang_up(id, CloseReason::ClientClosed);
    assert!(closed(&shard).is_empty());
}

#[test]
fn accounts_keep_what_their_ended_connections_have_had() {
    let accounts = (0..=SURVEYED_ACCOUNTS).map(|number| Account {
        name: format!("A{number}"),
        ..Account::default()
    });
    let accounts: Vec<Account> = account::predefined().into_iter().chain(accounts).collect();
    let last = AccountId(u16::try_from(accounts.len() - 1).expect("few"));
    let user = User {
        credentials: Credentials::Password {
            name: "u".to_owned(),
            password: Secret::new("p"),
        },
        account: last,
        permissions: None,
        connection_types: None,
        proxy_required: false,
    };
    let mut shard = shard(&Options {
        monitor_port: Some(0),
        auth: Auth::Users(vec![user]),
        accounts,
        ..Options::default()
    });
    let id = shard.connect(ClientNumber(1), SocketAddr::from(([127, 0, 0, 1], 4000)));
    say(
        &mut shard,
        id,
        "CONNECT {\"verbose\":false,\"user\":\"u\",\"pass\":\"p\"}\r\nSUB a 1\r\nSUB b 2\r\nPUB a 3\r\nabc\r\n",
    );
    let of_last = |shard: &Shard| {
        let (mut all, mut from) = (Vec::new(), Some(0));
        while let Some(next) = from {
            let Piece::Accounts { counts, next } = shard.answer(&Question::Accounts { from: next })
            else {
                panic!("accounts were asked for");
            };
            all.extend(counts);
            from = next;
        }
        let ids: Vec<u16> = all.iter().map(|counts| counts.account.0).collect();
        assert_eq!(ids, (0..=last.0).collect::<Vec<_>>(), "each once");
        let others = &all[..all.len() - 1];
        assert!(others.iter().all(|counts| counts.subscriptions == 0));
        all[all.len() - 1]
    };
    let living = of_last(&shard);
    assert_eq!((living.subscriptions, living.ended), (2, Ended::default()));
    shard.hang_up(id, CloseReason::SlowConsumerPendingBytes);
    let traffic = Traffic {
        messages: 1,
        bytes: 3,
    };
    let ended = Ended {
        received: traffic,
        sent: traffic,
        slow_consumers: 1,
    };
    assert_eq!(
        (of_last(&shard).subscriptions, of_last(&shard).ended),
        (0, ended)
    );
    assert_eq!(closed(&shard)[0].record.account, last);
}

fn level(
    shard: &Shard,
    beginning: &str,
    account: Option<AccountId>,
) -> Vec<(String, usize, usize)> {
    let below = Arc::new(Below {
        beginning: beginning.as_bytes().into(),
        account,
    });
    let mut all: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut from = Some(0);
    while let Some(next) = from {
        let below = Arc::clone(&below);
        let question = Question::Subjects { from: next, below };
        let Piece::Subjects { branches, next, .. } = shard.answer(&question) else {
            panic!("subjects were asked for");
        };
        for branch in branches {
            let token = String::from_utf8_lossy(&branch.token).into_owned();
            let sums = all.entry(token).or_default();
            sums.0 += branch.ending;
            sums.1 += branch.below;
        }
        from = next;
    }
    all.into_iter()
        .map(|(token, (ending, below))| (token, ending, below))
        .collect()
}

#[test]
fn subjects_are_a_tree_over_all_pieces() {
    let mut shard = monitored();
    let id = join(&mut shard, 1);
    let other = join(&mut shard, 2);
    for sid in 0..SURVEYED_SUBJECTS + 1 {
        say(&mut shard, id, &format!("SUB a.{} {sid}\r\n", sid % 3));
    }
    say(
        &mut shard,
        other,
        "SUB a 1\r\nSUB a.> q 2\r\nSUB a.1.x 3\r\nSUB ab 4\r\n",
    );
    let text = str::to_owned;
    let third = SURVEYED_SUBJECTS as usize / 3;
    assert_eq!(
        level(&shard, "", None),
        [(text("a"), 1, 3 * third + 2 + 2), (text("ab"), 1, 0)]
    );
    assert_eq!(
        level(&shard, "a", None),
        [
            (text("0"), third + 1, 0),
            (text("1"), third + 1, 1),
            (text("2"), third, 0),
            (text(">"), 1, 0)
        ]
    );
    assert_eq!(level(&shard, "a", Some(AccountId::SYSTEM)), []);
    let below = Arc::new(Below {
        beginning: (*b"a.1").into(),
        account: Some(AccountId::GLOBAL),
    });
    let question = Question::Subjects { from: 0, below };
    let Piece::Subjects {
        here, ending_here, ..
    } = shard.answer(&question)
    else {
        panic!("subjects were asked for");
    };
    assert_eq!(here.len(), SURVEYED_SUBSCRIBERS, "no more are described");
    assert_eq!(ending_here, third, "of the first piece");
    assert!(here.iter().all(|one| *one.subject == *b"a.1"));
}

#[test]
fn slow_consumers_are_told_with_what_was_too_much() {
    let mut shard = shard(&Options {
        monitor_port: Some(0),
        max_pending: 4096,
        ..Options::default()
    });
    let slow = join(&mut shard, 1);
    let publisher = join(&mut shard, 2);
    flush(&mut shard);
    say(&mut shard, slow, "SUB news.* 9\r\n");
    let message = format!("PUB news.x 1000\r\n{}\r\n", "x".repeat(1000));
    say(&mut shard, publisher, &message.repeat(5));
    let Piece::SlowConsumers(told) = shard.answer(&Question::SlowConsumers) else {
        panic!("slow consumers were asked for");
    };
    assert_eq!(told.len(), 1);
    let glut = told[0].glut.as_ref().expect("something waited");
    assert_eq!(
        (told[0].number.0, &*glut.subject, glut.pattern.as_deref()),
        (1, &b"news.x"[..], Some(&b"news.*"[..]))
    );
}

/// The server's own connection, whose other end may have to wait for a core, beside a client.
#[test]
fn the_servers_own_connection_has_no_write_deadline() {
    let deadline = Duration::from_secs(10);
    let mut shard = shard(&Options {
        write_deadline: deadline,
        ping_interval: Duration::from_secs(3600),
        auth_timeout: Duration::from_secs(3600),
        max_control_line: 4096,
        max_payload: 1024,
        max_pending: 1 << 20,
        ..Options::default()
    });
    let own = shard.host().expect("it has a system account");
    let client = join(&mut shard, 1);
    flush(&mut shard);
    for id in [own, client] {
        shard.receive(id, b"SUB a 1\r\nPING\r\n");
        assert!(shard.take_batch(id).is_some(), "an answer");
        shard.batch_delayed();
    }
    for _ in 0..3 {
        let at = shard
            .deadline()
            .expect("it looks after those who are stuck");
        shard.set_now(at.after(deadline));
        shard.run_timers();
    }
    let survivors: Vec<bool> = [own, client]
        .into_iter()
        .map(|id| shard.is_resident(id.slot) || shard.client(id).is_some())
        .collect();
    assert_eq!(survivors, [true, false]);
    assert_eq!(shard.tally.slow_consumers_deadline, 1);
}
