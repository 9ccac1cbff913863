//! What blocks become that lead from one subject to another: exports, imports, mappings.

use std::time::Duration;

use super::{options, refused};
use crate::base::ids::AccountId;
use crate::config::account::{
    Account, Destination, Export, ExportKind, Import, ImportKind, Mapping, ResponseKind, Sampling,
    ServiceLatency,
};

const A: AccountId = AccountId(2);
const B: AccountId = AccountId(3);
const C: AccountId = AccountId(4);

fn account(text: &str, id: AccountId) -> Account {
    options(text).accounts[id.index()].clone()
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

fn to(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn exports_are_read() {
    let text = "accounts {
      A { exports: [
        {stream: 'a.>'}
        {stream: 'b.*', accounts: [B, C]}
        {stream: 'c.*.x', account_token_position: 2}
        {service: q}
        {service: r, response: Stream, threshold: '5s', accounts: B, allow_trace: true}
        {service: s, response_type: single, latency: lat.s}
        {service: t, latency {subject: lat.t, sampling: '25%'}}
        {service: u, latency {subject: lat.u, sampling: headers}, response_time: '0s'}
        {service: v, latency {subject: lat.v, sampling: 1}, response_type: SINGLETON}
      ] }
      B {}
      C {}
    }";
    let measured = |subject: &str, to: &str, sampling| Export {
        kind: ExportKind::Service {
            responses: ResponseKind::Singleton,
            response_threshold: Duration::from_secs(120),
            latency: Some(ServiceLatency {
                sampling,
                subject: to.to_owned(),
            }),
        },
        ..stream(subject)
    };
    assert_eq!(
        account(text, A).exports,
        [
            stream("a.>"),
            Export {
                accounts: Some(vec![B, C]),
                ..stream("b.*")
            },
            Export {
                account_token_position: 2,
                ..stream("c.*.x")
            },
            service("q"),
            Export {
                accounts: Some(vec![B]),
                allow_trace: true,
                kind: ExportKind::Service {
                    responses: ResponseKind::Stream,
                    response_threshold: Duration::from_secs(5),
                    latency: None,
                },
                ..stream("r")
            },
            measured("s", "lat.s", Sampling::Percent(100)),
            measured("t", "lat.t", Sampling::Percent(25)),
            measured("u", "lat.u", Sampling::Headers),
            measured("v", "lat.v", Sampling::Percent(1)),
        ]
    );
}

#[test]
fn exports_of_one_subject_become_one() {
    let text = "accounts {
      A { exports: [
        {stream: a}, {service: a}, {stream: a, accounts: [B]}, {stream: a}, {stream: a, accounts: [B, C]}
        {service: a, response: chunked, threshold: '1s'}, {service: a, allow_trace: true}
      ] }
      B {}, C {}
    }";
    assert_eq!(
        account(text, A).exports,
        [
            Export {
                accounts: Some(vec![B, C]),
                ..stream("a")
            },
            Export {
                allow_trace: true,
                kind: ExportKind::Service {
                    responses: ResponseKind::Chunked,
                    response_threshold: Duration::from_secs(120),
                    latency: None,
                },
                ..stream("a")
            },
        ]
    );
}

#[test]
fn exports_are_refused_that_cannot_be() {
    for (export, reason) in [
        ("x", "an export must be a map, not a text"),
        ("{}", "an export needs a stream or a service"),
        (
            "{stream: a, service: b}",
            "Detected service \"b\" but already saw a stream",
        ),
        (
            "{stream: a, response: stream}",
            "Detected response directive on non-service",
        ),
        (
            "{threshold: '1s', stream: a}",
            "Detected response directive on non-service",
        ),
        (
            "{stream: a, latency: b}",
            "Detected latency directive on non-service",
        ),
        (
            "{stream: a, allow_trace: false}",
            "Detected allow_trace directive on non-service",
        ),
        ("{stream: a..b}", "subject \"a..b\" is not a valid subject"),
        (
            "{service: a, response: some}",
            "Unknown response type: \"some\"; there are singleton, stream and chunked",
        ),
        (
            "{service: a, threshold: '5'}",
            "Expected response threshold to be a parseable time duration, got \"5\"",
        ),
        (
            "{service: a, latency {sampling: 5}}",
            "Latency subject required, but missing",
        ),
        (
            "{service: a, latency {subject: b, sampling: 0}}",
            "sampling must be 1 to 100, or 1% to 100% in quotes",
        ),
        (
            "{service: a, latency: 'b.*'}",
            "Error adding service latency sampling for \"a\": invalid publish subject",
        ),
        (
            "{service: 'a.*', latency: 'a.b'}",
            "Error adding service latency sampling for \"a.*\": invalid publish subject",
        ),
        (
            "{service: a, latency: b, response: stream}",
            "Error adding service latency sampling for \"a\": bad service response type",
        ),
        (
            "{stream: a, accounts: [B]}",
            "\"B\" account not defined for stream export",
        ),
        (
            "{service: a, accounts: '$SYS'}",
            "\"$SYS\" account not defined for service export",
        ),
        (
            "{stream: a, accounts: []}",
            "accounts is empty, which lets every account in: leave it out if that is meant",
        ),
        (
            "{stream: 'a.*', account_token_position: 1}",
            "Error adding stream export \"a.*\": invalid subject",
        ),
        (
            "{stream: 'a.*', account_token_position: 3}",
            "Error adding stream export \"a.*\": invalid subject",
        ),
        (
            "{stream: 'a.*', account_token_position: -1}",
            "invalid value -1 for account_token_position: it is below zero",
        ),
        (
            "{straem: a}",
            "unknown field \"straem\"; did you mean \"stream\"?\nan export needs a stream or a service",
        ),
    ] {
        let text = format!("accounts {{ A {{ exports: [{export}] }} }}");
        assert_eq!(refused(&text), reason, "{text}");
    }
    assert_eq!(
        refused("no_system_account: true, accounts { A { exports: [{service: a, latency: b}] } }"),
        "Error adding service latency sampling for \"a\": system account not setup"
    );
}

#[test]
fn imports_are_read() {
    let text = "accounts {
      A { exports: [
        {stream: 'a.>'}, {stream: 'm.*.*', accounts: [B]}, {stream: 't.*', account_token_position: 2}
        {service: 'q.*', accounts: B}, {service: r}
      ] }
      B { imports: [
        {stream {account: A, subject: 'a.>'}}
        {stream {account: A, subject: 'a.x.*'}, prefix: p, allow_trace: true}
        {stream {account: A, subject: 'a.y.*'}, prefix: 'p.q.'}
        {stream {account: A, subject: 'm.*.*'}, to: 'n.$2.$1'}
        {stream {account: A, subject: 'a.z'}, to: z, prefix: ''}
        {stream {account: A, subject: 't.B'}}
        {service {account: A, subject: 'q.*'}, to: 'w.{{wildcard(1)}}', share: true}
        {service {account: A, subject: r}}
        {service {account: A, subject: r}, to: 'r.*'}
      ] }
    }";
    let stream = |subject: &str, to| Import {
        from: A,
        subject: subject.to_owned(),
        kind: ImportKind::Stream { to },
        allow_trace: false,
    };
    let service = |subject: &str, to, share| Import {
        from: A,
        subject: subject.to_owned(),
        kind: ImportKind::Service { to, share },
        allow_trace: false,
    };
    assert_eq!(
        account(text, B).imports,
        [
            stream("a.>", None),
            Import {
                allow_trace: true,
                ..stream("a.x.*", to("p.a.x.*"))
            },
            stream("a.y.*", to("p.q.a.y.*")),
            stream("m.*.*", to("n.$2.$1")),
            stream("a.z", to("z")),
            stream("t.B", None),
            service("q.*", to("w.{{wildcard(1)}}"), true),
            service("r", None, false),
            service("r", to("r.*"), false),
        ]
    );
}

#[test]
fn imports_are_refused_that_cannot_be() {
    for (import, reason) in [
        ("x", "an import must be a map, not a text"),
        ("{to: a}", "an import needs a stream or a service"),
        (
            "{stream {account: A, subject: a}, service {account: A, subject: q}}",
            "Detected service but already saw a stream",
        ),
        (
            "{stream: a}",
            "stream must be a map, not a text\nan import needs a stream or a service",
        ),
        (
            "{stream {account: A}}",
            "Expect an account name and a subject",
        ),
        (
            "{service {subject: a}}",
            "Expect an account name and a subject",
        ),
        (
            "{stream {account: A, subject: a}, prefix: p, to: b}",
            "Stream import can not have a 'prefix' and a 'to' property",
        ),
        (
            "{service {account: A, subject: q}, prefix: p}",
            "a service import has 'to' instead of a 'prefix'",
        ),
        (
            "{service {account: A, subject: q}, allow_trace: true}",
            "Detected allow_trace directive on a non-stream",
        ),
        (
            "{stream {account: X, subject: a}}",
            "\"X\" account not defined for stream import",
        ),
        (
            "{stream {account: '$G', subject: a}}",
            "\"$G\" account not defined for stream import",
        ),
        (
            "{service {account: '$SYS', subject: a}}",
            "\"$SYS\" account not defined for service import",
        ),
        (
            "{stream {account: A, subject: z}}",
            "Error adding stream import \"z\": stream import not authorized",
        ),
        (
            "{stream {account: A, subject: q}}",
            "Error adding stream import \"q\": stream import not authorized",
        ),
        (
            "{service {account: A, subject: a}}",
            "Error adding service import \"a\": service import not authorized",
        ),
        (
            "{stream {account: A, subject: '>'}}",
            "Error adding stream import \">\": stream import not authorized",
        ),
        (
            "{stream {account: A, subject: only.c}}",
            "Error adding stream import \"only.c\": stream import not authorized",
        ),
        (
            "{stream {account: A, subject: 't.C'}}",
            "Error adding stream import \"t.C\": stream import not authorized",
        ),
        (
            "{stream {account: A, subject: 't.*'}}",
            "Error adding stream import \"t.*\": stream import not authorized",
        ),
        (
            "{stream {account: A, subject: a..b}}",
            "Error adding stream import \"a..b\": stream import not authorized",
        ),
        (
            "{stream {account: A, subject: a}, prefix: 'p.*'}",
            "Error adding stream import \"a\": stream import prefix can not contain wildcard tokens",
        ),
        (
            "{stream {account: A, subject: a}, to: 'b.*'}",
            "Error adding stream import \"a\": invalid subject",
        ),
        (
            "{service {account: A, subject: q}, to: 'b..c'}",
            "Error adding service import \"q\": invalid subject",
        ),
        (
            "{stream {account: A, subject: 'w.*.*'}, to: 'b.$1'}",
            "Error adding stream import \"w.*.*\": failed to create mapping transform for stream import \
             subject from \"w.*.*\" to \"b.$1\": invalid mapping destination: not using all of the token \
             wildcard(s) in b.$1",
        ),
        (
            "{stream {account: A, subject: 'w.*.*'}, to: 'b.{{partition(3,1)}}.$2'}",
            "Error adding stream import \"w.*.*\": failed to create mapping transform for stream import \
             subject from \"w.*.*\" to \"b.{{partition(3,1)}}.$2\": invalid mapping destination: the only \
             mapping function allowed for import transforms is {{Wildcard()}} in {{partition(3,1)}}",
        ),
        (
            "{stream {account: A, subject: a}}, {stream {account: A, subject: a}, to: b}",
            "Error adding stream import \"a\": stream import already exists",
        ),
        (
            "{service {account: A, subject: q}, to: x}, {service {account: A, subject: 'v'}, to: x}",
            "Error adding service import \"v\": duplicate service import subject \"x\"",
        ),
    ] {
        let text = format!(
            "accounts {{
               A {{ exports: [
                 {{stream: a}}, {{stream: 'w.>'}}, {{stream: only.c, accounts: [C]}}
                 {{stream: 't.*', account_token_position: 2}}, {{service: q}}, {{service: v}}
               ] }}
               B {{ imports: [{import}] }}
               C {{}}
             }}"
        );
        assert_eq!(refused(&text), reason, "{text}");
    }
}

#[test]
fn the_export_that_says_most_decides() {
    let text = |import: &str| {
        format!(
            "accounts {{
               A {{ exports: [
                 {{stream: 'a.>'}}, {{stream: 'a.secret.>', accounts: [C]}}
                 {{stream: 'b.*.c', accounts: [C]}}, {{stream: 'b.x.c'}}
                 {{stream: 'd.*', account_token_position: 2, accounts: [C]}}
               ] }}
               B {{ imports: [{{stream {{account: A, subject: {import}}}}}] }}
               C {{}}
             }}"
        )
    };
    for import in ["a.b", "'a.>'", "b.x.c"] {
        assert_eq!(account(&text(import), B).imports.len(), 1, "{import}");
    }
    for import in ["a.secret.x", "'a.secret.>'", "b.y.c", "d.B"] {
        let told = refused(&text(import));
        assert!(told.ends_with("stream import not authorized"), "{import}");
    }
}

#[test]
fn imports_lead_round_in_no_circle() {
    let cyclic = |text: &str| {
        let told = refused(text);
        assert!(told.ends_with("import forms a cycle"), "{text}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    };
    let everything = "exports: [{stream: '>'}, {service: '>'}]";
    for kind in ["stream", "service"] {
        let import = |from: &str, subject: &str| {
            format!("imports: [{{{kind} {{account: {from}, subject: {subject}}}}}]")
        };
        cyclic(&format!(
            "accounts {{ A {{ {everything}, {} }}, B {{ {everything}, {} }} }}",
            import("B", "'a.*'"),
            import("A", "a.b")
        ));
        cyclic(&format!(
            "accounts {{ A {{ {everything}, {} }}, B {{ {everything}, {} }}, C {{ {everything}, {} }} }}",
            import("B", "a"),
            import("C", "a"),
            import("A", "a")
        ));
        // Different subjects, and a rhombus, are no circle.
        options(&format!(
            "accounts {{ A {{ {everything}, {} }}, B {{ {everything}, {} }} }}",
            import("B", "a"),
            import("A", "b")
        ));
        options(&format!(
            "accounts {{
               A {{ {everything}, imports: [
                 {{{kind} {{account: B, subject: a}}}}, {{{kind} {{account: C, subject: a}}}}
               ] }}
               B {{ {everything}, {} }}, C {{ {everything}, {} }}, D {{ {everything} }}
             }}",
            import("D", "a"),
            import("D", "a")
        ));
    }
    // Names that change on the way.
    let renamed = |first: &str| {
        format!(
            "accounts {{
               A {{ exports: [{{stream: a}}, {{stream: x}}], imports: [{{stream {{account: B, subject: b}}, to: {first}}}] }}
               B {{ exports: [{{stream: b}}], imports: [{{stream {{account: C, subject: c}}, to: b}}] }}
               C {{ exports: [{{stream: c}}], imports: [{{stream {{account: A, subject: a}}, to: c}}] }}
             }}"
        )
    };
    cyclic(&renamed("a"));
    options(&renamed("x"));
}

#[test]
fn a_search_for_circles_has_an_end() {
    // Everybody imports from the next: the last of them is 1,500 accounts away from the first.
    let chain: String = (0..1_500)
        .map(|number| {
            let next = (number + 1) % 1_500;
            format!(
                "n{number} {{ exports: [{{service: a}}], \
                 imports: [{{service {{account: n{next}, subject: a}}}}] }}\n"
            )
        })
        .collect();
    let told = refused(&format!("accounts {{\n{chain}}}"));
    assert!(told.ends_with("search cycle depth exhausted"), "{told}");
}

#[test]
fn thousands_of_tenants_fit_a_hub() {
    let tenants = 2_000;
    let of_each = |part: &dyn Fn(usize) -> String| (0..tenants).map(part).collect::<String>();
    let text = format!(
        "accounts {{
           HUB {{ exports: [{}], imports: [{}] }}
           {}
         }}",
        of_each(&|tenant| format!("{{stream: 't.{tenant}.>', accounts: [T{tenant}]}}\n")),
        of_each(&|tenant| format!(
            "{{stream {{account: T{tenant}, subject: 'u.>'}}, prefix: 'from.{tenant}'}}\n"
        )),
        of_each(&|tenant| format!(
            "T{tenant} {{ exports: [{{stream: 'u.>'}}], \
             imports: [{{stream {{account: HUB, subject: 't.{tenant}.>'}}}}] }}\n"
        )),
    );
    assert_eq!(account(&text, A).imports.len(), tenants);
}

#[test]
fn mappings_are_read() {
    let text = "mappings {
      a: b
      'c.*': 'd.$1'
      canary: [{destination: v1, weight: 90%}, {dest: v2, weight: 5}, {dest: v2.eu, weight: '10%', cluster: eu}]
      loss: {destination: loss, weight: 50}
      nothing: []
    }
    accounts { A { maps { x: y } } }";
    let options = options(text);
    let destination = |subject: &str, weight| Destination {
        subject: subject.to_owned(),
        weight,
        cluster: None,
    };
    let mapping = |source: &str, destinations: Vec<Destination>| Mapping {
        source: source.to_owned(),
        destinations,
    };
    assert_eq!(
        options.accounts[AccountId::GLOBAL.index()].mappings,
        [
            mapping("a", vec![destination("b", 100)]),
            mapping("c.*", vec![destination("d.$1", 100)]),
            mapping(
                "canary",
                vec![
                    destination("v1", 90),
                    destination("v2", 5),
                    Destination {
                        cluster: to("eu"),
                        ..destination("v2.eu", 10)
                    },
                ]
            ),
            mapping("loss", vec![destination("loss", 50)]),
            mapping("nothing", vec![]),
        ]
    );
    assert_eq!(
        options.accounts[A.index()].mappings,
        [mapping("x", vec![destination("y", 100)])]
    );
}

#[test]
fn mappings_are_refused_that_cannot_be() {
    for (mapping, reason) in [
        (
            "a: 5",
            "a must be a subject, a map or a list of maps, not a whole number",
        ),
        ("a: [b]", "a destination must be a map, not a text"),
        (
            "a..b: c",
            "Error adding mapping for \"a..b\": invalid subject",
        ),
        (
            "a: {dest: b}",
            "Missing weight for mapping destination \"b\"",
        ),
        (
            "a: {dest: b, weight: 101}",
            "Invalid weight 101 for mapping destination: it must be 0 to 100",
        ),
        (
            "a: {dest: b, weight: '-1%'}",
            "Invalid weight \"-1%\" for mapping destination: it must be 0 to 100",
        ),
        (
            "a: {weight: 5}",
            "Error adding mapping for \"a\": a destination is missing",
        ),
        (
            "a: ''",
            "Error adding mapping for \"a\": a destination is missing",
        ),
        (
            "a: [{dest: b, weight: 60}, {dest: c, weight: 60}]",
            "Error adding mapping for \"a\": total weight needs to be <= 100",
        ),
        (
            "a: [{dest: b, weight: 10}, {dest: b, weight: 10}]",
            "Error adding mapping for \"a\": duplicate entry for \"b\"",
        ),
        (
            "'a.*': 'b.$2'",
            "Error adding mapping for \"a.*\": invalid mapping destination: wildcard index out of range in \
             $2: [2]",
        ),
        (
            "'a.*': 'b.{{nothing(1)}}'",
            "Error adding mapping for \"a.*\": invalid mapping destination: unknown function in {{nothing(1)}}",
        ),
        (
            "a: {dest: b, wieght: 5, weight: 5}",
            "unknown field \"wieght\"; did you mean \"weight\"?",
        ),
    ] {
        let text = format!("mappings {{ {mapping} }}");
        assert_eq!(refused(&text), reason, "{text}");
        let of_account = format!("accounts {{ A {{ mappings {{ {mapping} }} }} }}");
        assert_eq!(refused(&of_account), reason, "{of_account}");
    }
}
