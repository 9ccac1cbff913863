//! Values as Go's encoders write them, so that tools made for nats-server read ours the same way.

use crate::config::duration::GoDuration;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::time::{Duration, SystemTime};

/// A page of JSON, indented by two.
pub(super) fn pretty(value: &impl Serialize) -> Vec<u8> {
    // Plain data: it always turns into JSON.
    serde_json::to_vec_pretty(value).unwrap_or_default()
}

/// JSON without the blanks between its parts.
pub(super) fn compact(indented: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(indented.len());
    let (mut in_text, mut is_escaped) = (false, false);
    for byte in indented {
        if in_text {
            in_text = is_escaped || *byte != b'"';
            is_escaped = !is_escaped && *byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_text = *byte == b'"';
        }
        plain.push(*byte);
    }
    plain
}

/// A moment, in RFC 3339 with as many digits of the second as it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time(pub(super) SystemTime);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stamp = Timestamp::try_from(self.0).unwrap_or_default();
        serializer.collect_str(&stamp)
    }
}

/// A number that Go keeps as a `float64` and writes without a point when it is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Float(pub(super) f64);

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[allow(clippy::cast_possible_truncation, reason = "it is whole and small")]
        if self.0.fract() == 0.0 && self.0.abs() < 1e15 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

/// Nanoseconds, as Go writes a `time.Duration`.
pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// A round-trip time: below a millisecond in whole microseconds.
pub(super) fn rtt(span: Duration) -> String {
    let is_short = span > Duration::from_micros(1) && span < Duration::from_millis(1);
    let shown = if is_short {
        Duration::from_micros(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
    } else {
        span
    };
    GoDuration(shown).to_string()
}

/// How long something has been up, in the units that matter (nats-server `myUptime`).
pub(super) fn uptime(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let years = days / 365;
    let (s, m, h) = (seconds % 60, minutes % 60, hours % 24);
    match (years, days, hours, minutes) {
        (0, 0, 0, 0) => format!("{s}s"),
        (0, 0, 0, _) => format!("{m}m{s}s"),
        (0, 0, _, _) => format!("{h}h{m}m{s}s"),
        (0, _, _, _) => format!("{days}d{h}h{m}m{s}s"),
        _ => format!("{years}y{}d{h}h{m}m{s}s", days % 365),
    }
}

/// Bytes that a client has chosen; what is no UTF-8 is replaced, as Go's encoder does.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_nats_server_writes_them() {
        let day = 86_400;
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m0s"),
            (3_661, "1h1m1s"),
            (day + 1, "1d0h0m1s"),
            (366 * day + 3_600, "1y1d1h0m0s"),
        ] {
            assert_eq!(uptime(Duration::from_secs(seconds)), expected);
        }
        for (nanos, expected) in [
            (1, "1ns"),
            (999, "999ns"),
            (431_999, "431µs"),
            (1_234_567, "1.234567ms"),
            (2_000_000_001, "2.000000001s"),
        ] {
            assert_eq!(rtt(Duration::from_nanos(nanos)), expected);
        }
    }

    #[test]
    fn blanks_go_from_between_and_stay_in_texts() {
        let value = serde_json::json!({"a b": [1, " \" \\", {"c": "\n\\\""}], "d": {}, "e": "\\"});
        let plain = compact(&pretty(&value));
        assert_eq!(plain, serde_json::to_vec(&value).expect("plain data"));
    }

    #[test]
    fn numbers_and_times_look_like_gos() {
        let json = |value: f64| serde_json::to_string(&Float(value)).expect("a number");
        assert_eq!(
            (json(2.0).as_str(), json(0.5).as_str(), json(0.0).as_str()),
            ("2", "0.5", "0")
        );
        let at = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 120_000_000);
        assert_eq!(
            serde_json::to_string(&Time(at)).expect("a time"),
            "\"2023-11-14T22:13:20.12Z\""
        );
    }
}
