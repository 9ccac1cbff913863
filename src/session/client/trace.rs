//! What `-V` shows of a client: operations as they come in, replies and deliveries as they go out, in nats-server's words.
//!
//! Nothing here is called unless tracing is on. Secrets are left out even then.

use super::{Client, Turn};
use crate::protocol::message::Message;
use crate::protocol::op::Op;
use crate::protocol::reply::quoted;
use crate::router::Delivery;
use crate::session::settings::Settings;
use serde::de::IgnoredAny;

impl Client {
    pub(super) fn trace_op(&self, op: &Op<'_>, turn: &mut Turn<'_>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let args = match op {
            _ if !turn.log.trace => return,
            Op::Publish(message) => return self.trace_publish(op.verb(), message, turn),
            Op::PublishLoose(loose) => {
                let mut scratch = Vec::new();
                return self.trace_publish(op.verb(), &loose.tighten(&mut scratch), turn);
            }
            Op::Connect(json) => redacted(json),
            Op::Subscribe {
                subject,
                queue: b"",
                sid,
            } => format!("{} {}", text(subject), text(sid)),
            Op::Subscribe {
                subject,
                queue,
                sid,
            } => {
                format!("{} {} {}", text(subject), text(queue), text(sid))
            }
            Op::Unsubscribe { sid, max: None } => text(sid),
            Op::Unsubscribe {
                sid,
                max: Some(max),
            } => format!("{} {max}", text(sid)),
            Op::Err(args) | Op::Info(args) => text(args),
            Op::Ping | Op::Pong | Op::Ok => String::new(),
        };
        let gap = if args.is_empty() { "" } else { " " };
        turn.log
            .trace(|| self.labelled(&format!("<<- [{}{gap}{args}]", op.verb())));
    }

    #[cold]
    pub(super) fn trace_publish(&self, verb: &str, message: &Message<'_>, turn: &mut Turn<'_>) {
        let verb = if message.header_len.is_some() {
            "HPUB"
        } else {
            verb
        };
        let line = String::from_utf8_lossy(message.line());
        let subject = String::from_utf8_lossy(message.subject);
        turn.log
            .trace(|| self.labelled(&format!("<<- [{verb} {subject} {}]", line.trim_end())));
        let body = &message.body()[..message.size()];
        self.trace_payload("<<-", body, message.headers().len(), turn);
    }

    /// Traces a message that has been put into its outbox.
    #[cold]
    pub fn trace_delivery(&self, delivery: &Delivery, turn: &mut Turn<'_>) {
        let line = String::from_utf8_lossy(&delivery.line);
        turn.log
            .trace(|| self.labelled(&format!("->> [{}]", line.trim_end())));
        // `HMSG subject sid [reply] headers total`
        let mut lengths = line.split_whitespace().rev().skip(1);
        let header_len = line.starts_with('H').then(|| lengths.next()?.parse().ok());
        let header_len = header_len.flatten().unwrap_or(0);
        self.trace_payload("->>", &delivery.body, header_len, turn);
    }

    fn trace_payload(&self, arrow: &str, body: &[u8], header_len: usize, turn: &mut Turn<'_>) {
        if let Some(payload) = payload(body, header_len, turn.settings) {
            turn.log
                .trace(|| self.labelled(&format!("{arrow} {payload}")));
        }
    }

    /// Traces what a mapping makes of a subject.
    pub(super) fn trace_mapping(&self, subject: &[u8], mapped: &[u8], turn: &mut Turn<'_>) {
        turn.log.trace(|| {
            let [from, to] = [subject, mapped].map(String::from_utf8_lossy);
            self.labelled(&format!("<<- [MAPPING {from} -> {to}]"))
        });
    }

    /// Traces the end of a subscription.
    pub(super) fn trace_end(&self, sid: &[u8], turn: &mut Turn<'_>) {
        turn.log.trace(|| {
            let sid = String::from_utf8_lossy(sid);
            self.labelled(&format!("<-> [DELSUB {sid}]"))
        });
    }
}

/// Headers and payload for a trace line, as far as they are to be shown.
fn payload(body: &[u8], header_len: usize, settings: &Settings) -> Option<String> {
    let shown = if settings.traces_headers_only {
        body.get(..header_len)?.strip_suffix(b"\r\n\r\n")?
    } else {
        body
    };
    match settings.traced_payload_max {
        _ if shown.is_empty() => None,
        max if max > 0 && shown.len() > max => {
            // nats-server puts the dots inside the quotes.
            let quoted = quoted(&shown[..max]);
            Some(format!("MSG_PAYLOAD: [{}...\"]", quoted.strip_suffix('"')?))
        }
        _ => Some(format!("MSG_PAYLOAD: [{}]", quoted(shown))),
    }
}

/// A CONNECT for a trace line: its text, without what it proves itself with. What is no JSON is not shown at all, for
/// nobody knows where its secrets are.
fn redacted(json: &[u8]) -> String {
    let text = String::from_utf8_lossy(json);
    if serde_json::from_str::<IgnoredAny>(&text).is_err() {
        return "[not JSON]".to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(start) = rest.find('"') {
        let end = start + value_len(&rest[start..]);
        let name: String = serde_json::from_str(&rest[start..end]).unwrap_or_default();
        shown.push_str(&rest[..end]);
        rest = &rest[end..];
        let blanks = rest.len() - rest.trim_start().len();
        if rest[blanks..].starts_with(':') && is_secret(&name) {
            let value = &rest[blanks + 1..];
            let blanks_too = value.len() - value.trim_start().len();
            let start = blanks + 1 + blanks_too;
            shown.push_str(&rest[..start]);
            shown.push_str("\"[REDACTED]\"");
            rest = &rest[start + value_len(&rest[start..])..];
        }
    }
    shown + rest
}

/// How long the JSON value is that `text` begins with.
fn value_len(text: &str) -> usize {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => values.byte_offset(),
        Some(Err(_)) | None => text.len(),
    }
}

/// Go takes names of fields in any case; passwords have been seen under longer names too.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let exactly = ["jwt", "sig", "proxy_sig", "nkey"];
    name.starts_with("pass") || name.starts_with("auth_token") || exactly.contains(&&*name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_and_the_rest_is_as_it_was() {
        for (json, shown) in [
            ("{}", "{}"),
            (
                r#"{"user":"a", "pass" : "s\"e,c", "name":"pass"}"#,
                r#"{"user":"a", "pass" : "[REDACTED]", "name":"pass"}"#,
            ),
            (
                r#"{"PASS":"x","p\u0061ss":"x","password":"x","auth_token":"x"}"#,
                r#"{"PASS":"[REDACTED]","p\u0061ss":"[REDACTED]","password":"[REDACTED]","auth_token":"[REDACTED]"}"#,
            ),
            (
                r#"{"sig":"x","nkey":null,"proxy_sig":["x",{"y":"x"}],"jwt":7,"signature":"y"}"#,
                r#"{"sig":"[REDACTED]","nkey":"[REDACTED]","proxy_sig":"[REDACTED]","jwt":"[REDACTED]","signature":"y"}"#,
            ),
            (r#"{"a":{"pass":"x"}}"#, r#"{"a":{"pass":"[REDACTED]"}}"#),
            (r#"{"pass":"x""#, "[not JSON]"),
            (r#"{"pass":"x"} "pass":"y""#, "[not JSON]"),
        ] {
            assert_eq!(redacted(json.as_bytes()), shown);
        }
    }
}
