//! Measurements of services, published in the exporting account as `io.nats.server.metric.v1.service_latency`.
//!
//! When a request is measured, which of its headers go with the measurement, and the JSON are nats-server's
//! (`accounts.go`).

use super::imports::{Describe, Detail, Journey};
use super::replies::Awaited;
use super::{Router, hops_of};
use crate::account::ServiceExport;
use crate::base::clock::Now;
use crate::base::ids::AccountId;
use crate::base::rng::Rng;
use crate::config::account::{Sampling, ServiceLatency};
use crate::interest::{Memo, Route, Scope};
use crate::protocol::client_info::{ClientInfo, rfc3339};
use crate::protocol::headers;
use crate::protocol::message::{Message, write_tail};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A request that is being measured.
#[derive(Debug)]
pub(super) struct Measured {
    subject: String,
    requestor: ClientInfo,
    headers: Headers,
    started: Now,
    /// Who answers, if that is a client of another shard; said before the answer comes.
    pub(super) responder: Option<ClientInfo>,
}

/// How a request ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Answered(Box<ClientInfo>),
    Failed(Failure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It wanted no response.
    BadRequest,
    /// The requester has lost interest.
    InterestLost,
    /// Nobody serves it.
    Unavailable,
    /// No response came in time.
    Timeout,
}

type Headers = BTreeMap<String, Vec<String>>;

/// Field names and order are nats-server's.
#[derive(Serialize)]
struct Metric<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    timestamp: String,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'static str,
    requestor: &'a ClientInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    responder: Option<&'a ClientInfo>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    header: &'a Headers,
    start: String,
    service: u64,
    system: u64,
    total: u64,
}

const KIND: &str = "io.nats.server.metric.v1.service_latency";

/// Decides whether a request is measured.
pub(super) fn begin(
    export: &ServiceExport,
    (describe, share): (Describe<'_>, bool),
    block: &[u8],
    rng: &mut Rng,
    now: Now,
) -> Option<Measured> {
    let latency = export.latency.as_ref()?;
    let headers = sampled(latency, block, rng)?;
    let detail = if share { Detail::Full } else { Detail::Little };
    Some(Measured {
        subject: latency.subject.clone(),
        requestor: describe(detail),
        headers,
        started: now,
        responder: None,
    })
}

impl Router {
    /// Publishes how a measured request ended.
    pub(super) fn report(&mut self, exporter: AccountId, measured: &Measured, outcome: &Outcome) {
        let took = nanos(self.now.since(measured.started));
        let way = measured.requestor.round_trip_nanos;
        let start = self.wall.at(measured.started) - Duration::from_nanos(way);
        let (status, description) = outcome.status();
        let mut metric = Metric {
            kind: KIND,
            id: self.replies.event_id(),
            timestamp: rfc3339(self.wall.at(self.now)),
            status,
            description,
            requestor: &measured.requestor,
            responder: None,
            header: &measured.headers,
            start: rfc3339(start),
            service: 0,
            system: 0,
            total: 0,
        };
        if let Outcome::Answered(responder) = outcome {
            metric.responder = Some(responder);
            metric.service = took.saturating_sub(responder.round_trip_nanos);
            metric.total = took + way;
        }
        let json = serde_json::to_vec(&metric).expect("plain data turns into JSON");
        self.say(exporter, measured.subject.as_bytes(), b"", &json);
    }

    /// Publishes that a response will not come, if its request is measured.
    pub(super) fn report_failure(&mut self, awaited: &Awaited, failure: Failure) {
        if let Some(measured) = &awaited.measured {
            self.report(awaited.exporter, measured, &Outcome::Failed(failure));
        }
    }

    /// A name for an event.
    pub fn event_id(&mut self) -> String {
        self.replies.event_id()
    }

    /// Whether anybody would hear a message. What is no subject, nobody does.
    pub fn is_wanted(&mut self, account: AccountId, subject: &[u8]) -> bool {
        let is_plain = !subject.iter().any(u8::is_ascii_whitespace);
        let scope = Scope::published(account);
        let answer = is_plain.then(|| self.interest.answer(scope, subject, &mut Memo::default()));
        let answer = answer.flatten().map(|(answer, _)| answer);
        answer.is_some_and(|answer| {
            !matches!(answer.route(), Route::Nobody) || hops_of(answer).is_some()
        })
    }

    /// Publishes in an account in the server's own name.
    pub fn say(&mut self, account: AccountId, subject: &[u8], headers: &[u8], payload: &[u8]) {
        let mut tail = Vec::with_capacity(headers.len() + payload.len() + 16);
        let line = write_tail(&mut tail, b"", headers, payload);
        let message = Message {
            subject,
            tail: &tail,
            line_len: u32::try_from(line.len()).unwrap_or(u32::MAX),
            reply_len: 0,
            header_len: (!headers.is_empty())
                .then(|| u32::try_from(headers.len()).unwrap_or(u32::MAX)),
        };
        let describe = |_| ClientInfo::default();
        let mut journey = Journey::of_the_server(self.mesh.shard(), &describe);
        self.travel(Scope::published(account), &message, None, &mut journey);
    }
}

impl Outcome {
    fn status(&self) -> (u16, &'static str) {
        match self {
            Outcome::Answered(_) => (200, ""),
            Outcome::Failed(Failure::BadRequest) => (400, "Bad Request"),
            Outcome::Failed(Failure::InterestLost) => (408, "Request Timeout"),
            Outcome::Failed(Failure::Unavailable) => (503, "Service Unavailable"),
            Outcome::Failed(Failure::Timeout) => (504, "Service Timeout"),
        }
    }
}

/// `None` when the request is not measured; else the headers that made it so.
fn sampled(latency: &ServiceLatency, block: &[u8], rng: &mut Rng) -> Option<Headers> {
    // nats-server draws from 0 to 99 and compares with "less or equal".
    if let Sampling::Percent(percent) = latency.sampling
        && (percent >= 100 || rng.below(100) <= u32::from(percent))
    {
        return Some(Headers::new());
    }
    let mut all = Headers::new();
    for (name, value) in headers::iter(block) {
        let value = String::from_utf8_lossy(value).into_owned();
        all.entry(canonical(name)).or_default().push(value);
    }
    traced(&all)
}

/// Which headers of a trace context ask for a measurement, by the conventions of those who write them.
fn traced(all: &Headers) -> Option<Headers> {
    let first = |name: &str| all.get(name).and_then(|values| values.first());
    let only = |wanted: &dyn Fn(&str) -> bool| {
        let kept = all.iter().filter(|(name, _)| wanted(name));
        kept.map(|(name, values)| (name.clone(), values.clone()))
            .collect()
    };
    if let Some(id) = first("Uber-Trace-Id") {
        let flags: Vec<&str> = id.split(':').collect();
        let [_, _, _, flags] = flags[..] else {
            return None;
        };
        let is_short = (1..=2).contains(&flags.len());
        let is_on = is_short && u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
        return is_on
            .then(|| only(&|name| name == "Uber-Trace-Id" || name.starts_with("Uberctx-")));
    }
    let b3 = [
        "X-B3-Sampled",
        "X-B3-Traceid",
        "X-B3-Parentspanid",
        "X-B3-Spanid",
    ];
    match first("X-B3-Sampled").map(String::as_str) {
        Some("0") => return None,
        Some("1") => return Some(only(&|name| b3.contains(&name))),
        _ if all.contains_key("X-B3-Traceid") => return Some(only(&|name| b3.contains(&name))),
        _ => {}
    }
    if let Some(id) = first("B3") {
        let parts: Vec<&str> = id.split('-').collect();
        let is_denied = matches!(parts[..], [_, _, "0", ..] | ["0"]);
        return (!is_denied).then(|| only(&|name| name == "B3"));
    }
    let parts: Vec<&str> = first("Traceparent")?.split('-').collect();
    let [_, _, _, flags] = parts[..] else {
        return None;
    };
    let is_on = flags.len() == 2 && i8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
    is_on.then(|| only(&|name| name == "Traceparent" || name == "Tracestate"))
}

/// A header's name as Go spells it: every word begins with a capital.
fn canonical(name: &[u8]) -> String {
    let mut begins = true;
    let name = String::from_utf8_lossy(name);
    let spelled = name.chars().map(|character| {
        let upper = std::mem::replace(&mut begins, character == '-');
        if upper {
            character.to_ascii_uppercase()
        } else {
            character.to_ascii_lowercase()
        }
    });
    spelled.collect()
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers_kept(block: &str) -> Option<Vec<String>> {
        let latency = ServiceLatency {
            sampling: Sampling::Headers,
            subject: "m".to_owned(),
        };
        let block = format!("NATS/1.0\r\n{block}\r\n\r\n");
        let kept = sampled(&latency, block.as_bytes(), &mut Rng::from_seed(1))?;
        Some(kept.into_keys().collect())
    }

    #[test]
    fn a_trace_context_decides_when_headers_do() {
        for (block, kept) in [
            ("", None),
            ("X: 1", None),
            (
                "uber-trace-id: a:b:c:1\r\nUberctx-x: y\r\nB: 1",
                Some(vec!["Uber-Trace-Id", "Uberctx-X"]),
            ),
            ("uber-trace-id: a:b:c:0", None),
            ("uber-trace-id: a:b:c:03", Some(vec!["Uber-Trace-Id"])),
            ("uber-trace-id: a:b:c", None),
            (
                "X-B3-Sampled: 1\r\nX-B3-TraceId: 9",
                Some(vec!["X-B3-Sampled", "X-B3-Traceid"]),
            ),
            ("X-B3-Sampled: 0\r\nX-B3-TraceId: 9", None),
            ("X-B3-TraceId: 9", Some(vec!["X-B3-Traceid"])),
            (
                "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1",
                Some(vec!["B3"]),
            ),
            ("b3: a-b-0", None),
            ("b3: 0", None),
            (
                "traceparent: 00-a-b-01\r\ntracestate: s",
                Some(vec!["Traceparent", "Tracestate"]),
            ),
            ("traceparent: 00-a-b-00", None),
            ("traceparent: 00-a-b", None),
        ] {
            let kept = kept.map(|names| names.into_iter().map(str::to_owned).collect());
            assert_eq!(headers_kept(block), kept, "{block}");
        }
    }

    #[test]
    fn a_share_of_requests_is_measured() {
        let mut rng = Rng::from_seed(5);
        let mut count = |percent| {
            let latency = ServiceLatency {
                sampling: Sampling::Percent(percent),
                subject: "m".to_owned(),
            };
            (0..10_000)
                .filter(|_| sampled(&latency, b"", &mut rng).is_some())
                .count()
        };
        assert_eq!(count(100), 10_000);
        let tenth = count(10);
        assert!((900..1_300).contains(&tenth), "{tenth}");
    }
}
