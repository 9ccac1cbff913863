//! Numbers as people read them: short, and of nearly the same length whatever their size. Pure.

/// A count of things: `950`, `1.2K`, `3.4M`, in steps of a thousand; to the last one if that was asked for.
pub(super) fn count(number: u64, is_raw: bool) -> String {
    if is_raw {
        number.to_string()
    } else {
        shortened(as_float(number), 1000.0)
    }
}

/// A count of bytes, in steps of 1024; to the byte if that was asked for.
pub(super) fn bytes(number: u64, is_raw: bool) -> String {
    if is_raw {
        number.to_string()
    } else {
        shortened(as_float(number), 1024.0)
    }
}

/// Things per second.
pub(super) fn rate(per_second: f64, is_raw: bool) -> String {
    let is_slow = per_second > 0.0 && per_second < 10.0;
    if is_raw || is_slow {
        format!("{per_second:.1}")
    } else {
        shortened(per_second.round(), 1000.0)
    }
}

/// Bytes per second.
pub(super) fn byte_rate(per_second: f64, is_raw: bool) -> String {
    if is_raw {
        format!("{per_second:.0}")
    } else {
        shortened(per_second.round(), 1024.0)
    }
}

fn shortened(number: f64, step: f64) -> String {
    if number < step {
        return format!("{number:.0}");
    }
    let mut scaled = number;
    let mut unit = "";
    for next in UNITS {
        // What would be shown as a whole step belongs to the next unit.
        if (scaled * 10.0).round() / 10.0 < step {
            break;
        }
        scaled /= step;
        unit = next;
    }
    format!("{scaled:.1}{unit}")
}

/// Enough for what 64 bits can count.
const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];

#[allow(
    clippy::cast_precision_loss,
    reason = "two digits of it are shown, and 53 bits are exact"
)]
pub(super) fn as_float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_units_from_a_thousand_on() {
        let shown: Vec<String> = [0, 999, 1000, 1_250, 999_949, 999_950, 1_000_000, u64::MAX]
            .into_iter()
            .map(|number| count(number, false))
            .collect();
        assert_eq!(
            shown,
            [
                "0", "999", "1.0K", "1.2K", "999.9K", "1.0M", "1.0M", "18.4E"
            ]
        );
        assert_eq!(count(1_250, true), "1250");
    }

    #[test]
    fn bytes_have_units_from_1024_on_or_none() {
        assert_eq!(bytes(1023, false), "1023");
        assert_eq!(bytes(1024, false), "1.0K");
        assert_eq!(bytes(15_028_224, false), "14.3M");
        assert_eq!(bytes(u64::MAX, false), "16.0E");
        assert_eq!(bytes(15_028_224, true), "15028224");
    }

    #[test]
    fn slow_rates_keep_a_digit_behind_the_point() {
        let shown: Vec<String> = [0.0, 0.25, 9.5, 10.4, 999.6, 13_129.0]
            .into_iter()
            .map(|per_second| rate(per_second, false))
            .collect();
        assert_eq!(shown, ["0", "0.2", "9.5", "10", "1.0K", "13.1K"]);
        assert_eq!(rate(13_129.04, true), "13129.0");
        assert_eq!(byte_rate(39_424.4, false), "38.5K");
        assert_eq!(byte_rate(39_424.4, true), "39424");
    }
}
