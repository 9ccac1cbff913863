//! What bounds the traffic between accounts, each at its limit.

use super::*;
use crate::account::Accounts;
use crate::config;
use crate::config::account::{Export, ExportKind, Import, ImportKind};
use crate::interest::Wish;
use crate::mesh::{self, Item, Mesh};
use crate::router::{OutboxLimits, Published};
use std::time::Duration;

const REQUESTER: u32 = 0;
const RESPONDER: u32 = 1;

/// Accounts of which each asks the next one the service `a`.
fn chain(length: usize) -> Arc<Accounts> {
    let mut list = config::account::predefined();
    list.truncate(1);
    for index in 1..=length {
        list.push(config::Account {
            name: format!("A{index}"),
            exports: vec![Export {
                subject: "a".to_owned(),
                accounts: None,
                account_token_position: 0,
                kind: ExportKind::Service {
                    responses: ResponseKind::Singleton,
                    response_threshold: Duration::from_secs(60),
                    latency: None,
                },
                allow_trace: false,
            }],
            ..config::Account::default()
        });
    }
    for (index, account) in list.iter_mut().take(length).enumerate() {
        account.imports.push(Import {
            from: account_id(index + 1),
            subject: "a".to_owned(),
            kind: ImportKind::Service {
                to: None,
                share: false,
            },
            allow_trace: false,
        });
    }
    Arc::new(Accounts::compile(&list, AccountId::GLOBAL).expect("valid"))
}

fn account_id(index: usize) -> AccountId {
    AccountId(u16::try_from(index).expect("few"))
}

fn router(mesh: Mesh, accounts: &Arc<Accounts>) -> Router {
    let limits = OutboxLimits {
        pending: 1 << 20,
        stall: false,
    };
    let mut router = Router::new(mesh, Arc::clone(accounts), limits, false, 7);
    for slot in [REQUESTER, RESPONDER] {
        router.outboxes.open(slot);
        router.outboxes.set_headers(slot, true);
    }
    router
}

fn subscribe(router: &mut Router, slot: u32, account: AccountId, pattern: &str) -> SubscriptionId {
    router.subscribe(&Wish {
        account,
        connection: slot,
        pattern: Pattern::new(pattern.as_bytes()).expect("valid"),
        queue: b"",
        sid: b"1",
    })
}

/// Publishes as a client of this shard; says whether anybody got it.
fn publish(router: &mut Router, account: AccountId, subject: &str, reply: &str) -> bool {
    let mut tail = Vec::new();
    let line = write_tail(&mut tail, reply.as_bytes(), b"", b"hi");
    let message = Message {
        subject: subject.as_bytes(),
        tail: &tail,
        line_len: u32::try_from(line.len()).expect("short"),
        reply_len: u32::try_from(reply.len()).expect("short"),
        header_len: None,
    };
    let run = Run::of_one(message);
    let connection = ConnectionId {
        slot: REQUESTER,
        reuse: 0,
    };
    let publisher = |memo| Publisher {
        sender: Sender {
            shard: 0,
            connection,
        },
        account,
        echo: true,
        memo,
    };
    let describe = |_| ClientInfo::default();
    match router.publish(publisher(&mut Memo::default()), &run, None) {
        Published::Nobody => false,
        Published::Somebody => true,
        Published::Abroad => {
            router.publish_abroad(publisher(&mut Memo::default()), &run, None, &describe)
        }
    }
}

/// The reply subject of what a connection was sent last.
fn reply_of(router: &mut Router, slot: u32) -> String {
    let batch = router.outboxes.take(slot).expect("something was sent");
    let bytes: Vec<u8> = batch.slices(0).flatten().copied().collect();
    router.outboxes.finished(slot, batch);
    let text = String::from_utf8(bytes).expect("text");
    let mut words = text.split(' ');
    words
        .find(|word| word.starts_with("_R_."))
        .expect("a request")
        .to_owned()
}

#[test]
fn a_request_goes_through_as_many_accounts_as_it_may() {
    for (length, arrives) in [
        (1, true),
        (IMPORT_CHAIN_MAX, true),
        (IMPORT_CHAIN_MAX + 1, false),
    ] {
        let mut router = router(mesh::build(1, 1).remove(0), &chain(length));
        subscribe(&mut router, RESPONDER, account_id(length), "a");
        subscribe(&mut router, REQUESTER, AccountId::GLOBAL, "in");
        assert_eq!(
            publish(&mut router, AccountId::GLOBAL, "a", "in"),
            arrives,
            "{length}"
        );
        // Nothing is waited for that cannot come.
        assert_eq!(router.responses_awaited(), if arrives { length } else { 0 });
        if arrives {
            let reply = reply_of(&mut router, RESPONDER);
            assert!(publish(&mut router, account_id(length), &reply, ""));
            assert_eq!(router.responses_awaited(), 0);
            assert_eq!(router.counters.delivered.messages, 2);
        }
    }
}

#[test]
fn what_is_waited_for_ends_with_the_requesters_interest_or_with_its_time() {
    let mut router = router(mesh::build(1, 1).remove(0), &chain(1));
    subscribe(&mut router, RESPONDER, account_id(1), "a");
    let inbox = subscribe(&mut router, REQUESTER, AccountId::GLOBAL, "in.*");
    assert!(publish(&mut router, AccountId::GLOBAL, "a", "in.1"));
    let other = subscribe(&mut router, REQUESTER, AccountId::GLOBAL, "in.1");
    router.unsubscribe(inbox);
    assert_eq!(router.responses_awaited(), 1, "another one wants it");
    router.unsubscribe(other);
    assert_eq!(router.responses_awaited(), 0);
    assert!(publish(&mut router, AccountId::GLOBAL, "a", "in.1"));
    let deadline = Now::ZERO.after(Duration::from_secs(60));
    assert_eq!(router.responses_deadline(), Some(deadline));
    router.expire_responses();
    assert_eq!(router.responses_awaited(), 1);
    router.set_now(deadline);
    router.expire_responses();
    assert_eq!(
        (router.responses_awaited(), router.responses_deadline()),
        (0, None)
    );
}

#[test]
fn a_response_is_not_passed_on_behind_too_much() {
    for (waiting, is_passed_on) in [
        (RELAYED_PARCELS_MAX, true),
        (RELAYED_PARCELS_MAX + 1, false),
    ] {
        let mut ends = mesh::build(2, 1);
        let mut there = ends.pop().expect("two");
        let mut router = router(ends.pop().expect("two"), &chain(1));
        subscribe(&mut router, RESPONDER, account_id(1), "a");
        // The requester's reply is wanted on the other shard only.
        let layer = Layer::own(AccountId::GLOBAL);
        router.peer_wants(there.shard(), layer, b"in", b"", 1);
        router.peer_wants(there.shard(), layer, b"fill", b"", 1);
        assert!(publish(&mut router, AccountId::GLOBAL, "a", "in"));
        let reply = reply_of(&mut router, RESPONDER);
        // One parcel fits the lane: the announcement of where responses go.
        router.mesh.push(Now::ZERO);
        for _ in 0..waiting {
            assert!(publish(&mut router, AccountId::GLOBAL, "fill", ""));
            router.mesh.push(Now::ZERO);
        }
        assert_eq!(router.mesh.waiting(), waiting);
        publish(&mut router, account_id(1), &reply, "");
        assert_eq!(
            router.counters.dropped_responses_congested,
            u64::from(!is_passed_on)
        );
        assert_eq!(router.counters.dropped_interest_gone, 0);
        let mut passed_on = 0;
        for _ in 0..=waiting + 1 {
            while let Some(parcel) = there.receive(router.mesh.shard()) {
                passed_on += parcel.items().filter(is_response).count();
            }
            router.mesh.push(Now::ZERO);
        }
        assert_eq!(passed_on, usize::from(is_passed_on));
    }
}

fn is_response(item: &Item<'_>) -> bool {
    matches!(item, Item::Messages(carried) if carried.run.first.subject == b"in")
}
