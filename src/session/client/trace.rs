//! What `-V` shows of a client: operations as they come in, replies and deliveries as they go out, in nats-server's words.
//!
//! Nothing here is called unless tracing is on. Secrets are left out even then.

use super::{Client, Turn};
use crate::protocol::message::Message;
use crate::protocol::op::Op;
use crate::protocol::reply::quoted;
use crate::router::Delivery;
use crate::session::settings::Settings;

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
        turn.log
            .trace(|| self.labelled(&format!("<<- {}", payload(body, turn.settings))));
    }

    /// Traces a message that has been put into its outbox.
    #[cold]
    pub fn trace_delivery(&self, delivery: &Delivery, turn: &mut Turn<'_>) {
        let line = String::from_utf8_lossy(&delivery.line);
        turn.log
            .trace(|| self.labelled(&format!("->> [{}]", line.trim_end())));
        let body = &delivery.body;
        turn.log
            .trace(|| self.labelled(&format!("->> {}", payload(body, turn.settings))));
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

/// A payload for a trace line.
fn payload(body: &[u8], settings: &Settings) -> String {
    match settings.traced_payload_max {
        max if max > 0 && body.len() > max => {
            format!("MSG_PAYLOAD: [{}...]", quoted(&body[..max]))
        }
        _ => format!("MSG_PAYLOAD: [{}]", quoted(body)),
    }
}

/// A CONNECT for a trace line, without what it proves itself with.
fn redacted(json: &[u8]) -> String {
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(json) else {
        return "[not JSON]".to_owned();
    };
    for secret in ["pass", "auth_token", "jwt", "sig", "nkey"] {
        if let Some(value) = fields.get_mut(secret) {
            *value = "[REDACTED]".into();
        }
    }
    serde_json::Value::Object(fields).to_string()
}
