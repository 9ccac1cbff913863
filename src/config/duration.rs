//! Durations as Go writes and reads them: `2m`, `1h30m`, `1.5s`, `500ms`.
//!
//! *Control path.* Pure. Reading follows Go's `time.ParseDuration` without a sign, because no option of ours can be
//! negative; a plain number means seconds, nats-server's older form. Writing follows Go's `Duration.String`, because
//! log lines and errors that show a duration are compared with nats-server's.

use std::fmt;
use std::time::Duration;

/// The time span that `text` names: numbers with a unit each (`ns us µs ms s m h`), or one plain number of seconds.
///
/// # Errors
/// `None` when a number or unit is missing or unknown, the sign is negative, or the span exceeds 584 years.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return part(text, NANOS_PER_SECOND).map(Duration::from_nanos);
    }
    let mut rest = text;
    let mut nanos: u64 = 0;
    loop {
        let unit_start = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(unit_start);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        nanos = nanos.checked_add(part(number, unit_nanos(unit)?)?)?;
        rest = tail;
        if rest.is_empty() {
            return Some(Duration::from_nanos(nanos));
        }
    }
}

/// `number` (with an optional decimal fraction) of a unit; digits below a nanosecond are dropped, as Go does.
fn part(number: &str, unit_nanos: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let digits: String = fraction.chars().take(FRACTION_DIGITS_MAX).collect();
    let scale = 10_u128.pow(u32::try_from(digits.len()).ok()?);
    let digits: u128 = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    let below = u64::try_from(digits * u128::from(unit_nanos) / scale).ok()?;
    whole.checked_mul(unit_nanos)?.checked_add(below)
}

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => NANOS_PER_SECOND,
        "m" => 60 * NANOS_PER_SECOND,
        "h" => 3_600 * NANOS_PER_SECOND,
        _ => return None,
    })
}

/// Shows a duration the way Go does: `1h30m0s`, `2m0s`, `1.5s`, `500ms`, `0s`.
#[derive(Clone, Copy, Debug)]
pub struct GoDuration(pub Duration);

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let second = u128::from(NANOS_PER_SECOND);
        if nanos == 0 {
            return f.write_str("0s");
        }
        if nanos < second {
            let (unit, name) = match nanos {
                0..1_000 => (1, "ns"),
                1_000..1_000_000 => (1_000, "µs"),
                _ => (1_000_000, "ms"),
            };
            return write!(f, "{}{name}", decimal(nanos, unit));
        }
        let (hours, minutes) = (nanos / second / 3600, nanos / second / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}s", decimal(nanos % (60 * second), second))
    }
}

/// `nanos / unit` as a decimal without trailing zeros.
fn decimal(nanos: u128, unit: u128) -> String {
    let whole = nanos / unit;
    let width = usize::try_from(unit.ilog10()).unwrap_or(0);
    let fraction = format!("{:0width$}", nanos % unit);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        whole.to_string()
    } else {
        format!("{whole}.{fraction}")
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// An hour has thirteen digits of nanoseconds; what lies below them changes nothing.
const FRACTION_DIGITS_MAX: usize = 13;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read() {
        let cases = [
            ("2m", 120_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("1.5s", 1_500),
            (".5s", 500),
            ("1.h", 3_600_000),
            ("0", 0),
            ("+3s", 3_000),
            ("10", 10_000),
            ("2.25", 2_250),
            ("1m0.125s", 60_125),
            ("0.05m", 3_000),
        ];
        for (text, millis) in cases {
            assert_eq!(
                parse_duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        assert_eq!(parse_duration("3us4ns"), Some(Duration::from_nanos(3_004)));
        assert_eq!(parse_duration("7µs"), Some(Duration::from_nanos(7_000)));
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in [
            "",
            "s",
            "-1s",
            "1s2",
            "1.2.3s",
            ".",
            "1 s",
            "1d",
            "9999999999h",
            "+",
            "1s-2s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_shown_as_go_shows_them() {
        for text in [
            "0s",
            "1ns",
            "1.5µs",
            "500ms",
            "10s",
            "2m0s",
            "1h0m0s",
            "1h30m0.25s",
            "30s",
            "1.000000001s",
        ] {
            let read = parse_duration(text)
                .map(GoDuration)
                .map(|shown| shown.to_string());
            assert_eq!(read.as_deref(), Some(text));
        }
    }
}
