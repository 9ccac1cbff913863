//! Accounts as they are configured, and what comes out.

use super::*;
use crate::config::account::{Export, ExportKind, Import, Mapping, ResponseKind};
use crate::subject::Pattern;
use std::time::Duration;

const A: usize = 2;
const B: usize = 3;

fn two() -> Vec<config::Account> {
    let mut list = config::account::predefined();
    for name in ["A", "B"] {
        list.push(config::Account {
            name: name.to_owned(),
            ..config::Account::default()
        });
    }
    list
}

fn stream(subject: &str) -> Export {
    Export {
        subject: subject.to_owned(),
        accounts: None,
        account_token_position: 0,
        kind: ExportKind::Stream,
        allow_trace: false,
    }
}

fn service(subject: &str) -> Export {
    Export {
        kind: ExportKind::Service {
            responses: ResponseKind::Singleton,
            response_threshold: Duration::from_secs(120),
            latency: None,
        },
        ..stream(subject)
    }
}

fn import(from: usize, subject: &str, kind: ImportKind) -> Import {
    Import {
        from: AccountId(u16::try_from(from).expect("few")),
        subject: subject.to_owned(),
        kind,
        allow_trace: false,
    }
}

fn stream_import(subject: &str, to: Option<&str>) -> Import {
    let to = to.map(str::to_owned);
    import(A, subject, ImportKind::Stream { to })
}

fn service_import(subject: &str, to: Option<&str>) -> Import {
    let to = to.map(str::to_owned);
    import(A, subject, ImportKind::Service { to, share: false })
}

/// The account `B` with one import from `A`, which exports this.
fn importing(export: Export, import: Import) -> Result<Accounts, AccountError> {
    let mut list = two();
    list[A].exports.push(export);
    list[B].imports.push(import);
    Accounts::compile(&list, AccountId::SYSTEM)
}

fn b(accounts: &Accounts) -> &Account {
    accounts.get(AccountId(3)).expect("it is there")
}

#[test]
fn a_subscription_asks_for_what_it_shares_with_a_stream() {
    for (there, here, wanted, theirs) in [
        ("a.>", None, "a.b", Some("a.b")),
        ("a.>", None, "a.*", Some("a.*")),
        ("a.>", None, ">", Some("a.>")),
        ("a.>", None, "*.b", Some("a.b")),
        ("a.>", None, "b.>", None),
        ("a.*.c", None, "a.b.*", Some("a.b.c")),
        ("a.*", Some("x.$1"), "x.b", Some("a.b")),
        ("a.*", Some("x.*"), "x.b", Some("a.b")),
        ("a.*", Some("x.$1"), "a.b", None),
        ("a.*.*", Some("$2.x.$1"), "p.>", Some("a.*.p")),
        ("a.>", Some("x.a.>"), "x.>", Some("a.>")),
        ("a.>", Some("x.a.>"), "*.*.b", Some("a.b")),
        ("a", Some("x"), "*", Some("a")),
        ("a", Some("x"), "a", None),
    ] {
        let accounts = importing(stream(">"), stream_import(there, here)).expect("valid");
        let pattern = Pattern::new(wanted.as_bytes()).expect("valid");
        let asked = b(&accounts).streams[0].pattern_there(pattern);
        let asked = asked.map(|asked| String::from_utf8(asked).expect("text"));
        assert_eq!(asked.as_deref(), theirs, "{there} {here:?} {wanted}");
    }
}

#[test]
fn a_streams_subject_gets_its_name_here() {
    for (there, here, subject, called) in [
        ("a.>", None, "a.b.c", "a.b.c"),
        ("a.>", Some("x.a.>"), "a.b.c", "x.a.b.c"),
        ("a.*.*", Some("x.$2.$1"), "a.b.c", "x.c.b"),
        ("a.*.*", Some("x.*.*"), "a.b.c", "x.b.c"),
        ("a", Some("x.y"), "a", "x.y"),
    ] {
        let accounts = importing(stream(">"), stream_import(there, here)).expect("valid");
        let stream = &b(&accounts).streams[0];
        assert_eq!(&*stream.subject_here(subject.as_bytes()), called.as_bytes());
        assert_eq!(stream.keeps_subjects(), here.is_none());
    }
}

#[test]
fn a_requests_subject_gets_its_name_there() {
    for (there, here, subject, called) in [
        ("help", None, "help", Some("help")),
        ("help", Some("ask"), "ask", Some("help")),
        ("help", Some("ask"), "help", None),
        ("help", Some("ask.*"), "ask.x", Some("help")),
        ("help.>", None, "help.x.y", Some("help.x.y")),
        ("help.*", Some("ask.*"), "ask.x", Some("help.x")),
        ("help.*.*", Some("ask.$2.$1"), "ask.x.y", Some("help.y.x")),
        ("help.*", Some("ask.*"), "ask.x.y", None),
    ] {
        let accounts = importing(service(">"), service_import(there, here)).expect("valid");
        let mut found = Vec::new();
        b(&accounts)
            .services
            .matching(subject.as_bytes(), &mut |index, subject| {
                assert_eq!(index, 0);
                found.push(String::from_utf8(subject.to_vec()).expect("text"));
            });
        assert_eq!(found, Vec::from_iter(called), "{there} {here:?} {subject}");
    }
}

#[test]
fn only_what_is_exported_to_an_account_is_imported() {
    let for_a = |mut export: Export| {
        export.accounts = Some(vec![AccountId(2)]);
        export
    };
    let for_b = |mut export: Export| {
        export.accounts = Some(vec![AccountId(3)]);
        export
    };
    let by_token = |mut export: Export| {
        export.account_token_position = 2;
        export
    };
    for (export, import, is_fine) in [
        (stream("a.>"), stream_import("a.b", None), true),
        (stream("a.>"), stream_import("b", None), false),
        (stream("a.>"), stream_import(">", None), false),
        (stream("a.>"), service_import("a.b", None), false),
        (service("a.>"), stream_import("a.b", None), false),
        (for_a(stream("a")), stream_import("a", None), false),
        (for_b(stream("a")), stream_import("a", None), true),
        (for_a(service("a")), service_import("a", None), false),
        (for_b(service("a")), service_import("a", None), true),
        (by_token(stream("a.*")), stream_import("a.B", None), true),
        (by_token(stream("a.*")), stream_import("a.C", None), false),
        (by_token(stream("a.*")), stream_import("a.*", None), false),
        (
            by_token(service("a.*.>")),
            service_import("a.B.x", None),
            true,
        ),
        (
            by_token(service("a.*.>")),
            service_import("a.A.x", None),
            false,
        ),
    ] {
        let what = format!("{export:?} {import:?}");
        assert_eq!(importing(export, import).is_ok(), is_fine, "{what}");
    }
}

#[test]
fn the_export_of_exactly_that_subject_comes_first() {
    let mut list = two();
    for (subject, threshold) in [("a.>", 1), ("a.b", 2), (">", 3)] {
        let mut export = service(subject);
        export.kind = ExportKind::Service {
            responses: ResponseKind::Stream,
            response_threshold: Duration::from_secs(threshold),
            latency: None,
        };
        list[A].exports.push(export);
    }
    for subject in ["a.b", "a.c", "b"] {
        list[B].imports.push(service_import(subject, None));
    }
    let accounts = Accounts::compile(&list, AccountId::SYSTEM).expect("valid");
    let exports = b(&accounts)
        .services
        .iter()
        .map(|import| accounts.export(import.export));
    let thresholds =
        exports.map(|export| export.expect("it is there").response_threshold.as_secs());
    assert_eq!(thresholds.collect::<Vec<_>>(), [2, 1, 3]);
}

#[test]
fn what_cannot_be_compiled_names_its_account() {
    let twice = importing(stream(">"), stream_import("a.*.*", Some("x.$1.$1")));
    let text = twice.expect_err("no way back").to_string();
    assert!(
        text.starts_with("account \"B\" cannot import \"a.*.*\": "),
        "{text}"
    );
    let mut list = two();
    list[B].mappings.push(Mapping {
        source: "a.*".to_owned(),
        destinations: vec![config::account::Destination {
            subject: "b.$2".to_owned(),
            weight: 100,
            cluster: None,
        }],
    });
    let text = Accounts::compile(&list, AccountId::SYSTEM).expect_err("no second wildcard");
    assert!(
        text.to_string()
            .starts_with("account \"B\" cannot map \"a.*\": "),
        "{text}"
    );
    list[B].mappings.clear();
    list[B]
        .imports
        .push(import(9, "a", ImportKind::Stream { to: None }));
    let text = Accounts::compile(&list, AccountId::SYSTEM)
        .expect_err("nobody is there")
        .to_string();
    assert_eq!(
        text,
        "account \"B\" cannot import \"a\": there is no such account"
    );
}

#[test]
fn an_account_takes_as_many_clients_as_it_may() {
    let mut list = two();
    list[B].limits.connections_max = Some(2);
    let accounts = Accounts::compile(&list, AccountId::SYSTEM).expect("valid");
    let account = b(&accounts);
    assert!(account.admit() && account.admit());
    assert!(!account.admit());
    assert_eq!(account.connections(), 2);
    account.dismiss();
    assert!(account.admit());
    assert!((0..100).all(|_| accounts.get(AccountId(2)).expect("it is there").admit()));
}
