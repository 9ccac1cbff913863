//! Numbers as people write them: three digits and the unit that fits.
//!
//! What is no number is a dash. Nothing above zero is shown as zero.

use crate::record::Spread;

/// Stands for what was not measured.
pub(crate) const ABSENT: &str = "–";

pub(crate) fn rate(per_s: f64) -> String {
    scaled(
        per_s,
        &[(1.0, "/s"), (1e3, "k/s"), (1e6, "M/s"), (1e9, "G/s")],
    )
}

pub(crate) fn time(ns: f64) -> String {
    scaled(ns, &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")])
}

pub(crate) fn seconds(seconds: f64) -> String {
    time(seconds * 1e9)
}

pub(crate) fn bytes(bytes: f64) -> String {
    const KIB: f64 = 1024.0;
    let units = [
        (1.0, "B"),
        (KIB, "KiB"),
        (KIB * KIB, "MiB"),
        (KIB * KIB * KIB, "GiB"),
        (KIB * KIB * KIB * KIB, "TiB"),
    ];
    scaled(bytes, &units)
}

/// A number without a unit, such as system calls per message.
pub(crate) fn plain(value: f64) -> String {
    if value.is_finite() {
        three_digits(value)
    } else {
        ABSENT.to_owned()
    }
}

/// `1.45 (1.38–1.52)`: the median, and between which ratios the rounds lay.
pub(crate) fn ratio(spread: &Spread) -> String {
    let [median, least, greatest] = [spread.median, spread.least, spread.greatest].map(fixed_ratio);
    format!("{median} ({least}–{greatest})")
}

/// `6.52–6.97 M/s`: a unit that both have is written once.
pub(crate) fn range(least: &str, greatest: &str) -> String {
    match (least.split_once(' '), greatest.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number}–{greatest}"),
        _ => format!("{least}–{greatest}"),
    }
}

/// `1,234,567`.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 run`, `5 runs`.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(number as u64))
}

/// In the greatest unit that leaves at least one before the point, after rounding: 999.7 ns are 1 µs.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    if !value.is_finite() {
        return ABSENT.to_owned();
    }
    let fits = |&&(size, _): &&(f64, &str)| value / size < 999.5;
    let (size, unit) = match (units.iter().find(fits), units.last()) {
        (Some(unit), _) | (None, Some(unit)) => *unit,
        (None, None) => (1.0, ""),
    };
    format!("{} {unit}", three_digits(value / size))
}

fn three_digits(value: f64) -> String {
    if value > 0.0 && value < 0.000_05 {
        return "<0.0001".to_owned();
    }
    if value >= 1e5 {
        return format!("{value:.2e}");
    }
    let decimals = match value {
        v if v < 0.099_95 => 4,
        v if v < 0.999_5 => 3,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Ratios keep their zeros, so that 1.50 and 1.45 stand below each other.
fn fixed_ratio(value: f64) -> String {
    if !value.is_finite() {
        ABSENT.to_owned()
    } else if value < 9.995 {
        format!("{value:.2}")
    } else {
        three_digits(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_fits_the_number() {
        assert_eq!(rate(0.0), "0 /s");
        assert_eq!(rate(987.0), "987 /s");
        assert_eq!(rate(1_234_567.0), "1.23 M/s");
        assert_eq!(rate(1_200_000.0), "1.2 M/s");
        assert_eq!(time(43.0), "43 ns");
        assert_eq!(time(43.27), "43.3 ns");
        assert_eq!(time(310_000.0), "310 µs");
        assert_eq!(time(2.5e9), "2.5 s");
        assert_eq!(bytes(1536.0), "1.5 KiB");
        assert_eq!(seconds(0.5), "500 ms");
    }

    #[test]
    fn rounding_moves_on_to_the_next_unit() {
        assert_eq!(time(999.4), "999 ns");
        assert_eq!(time(999.7), "1 µs");
        assert_eq!(time(9.996), "10 ns");
        assert_eq!(time(99.96), "100 ns");
    }

    #[test]
    fn small_huge_and_absent_numbers_stay_honest() {
        assert_eq!(plain(0.031_24), "0.0312");
        assert_eq!(plain(0.999_7), "1");
        assert_eq!(time(0.000_01), "<0.0001 ns");
        assert_eq!(rate(4.2e300), "4.20e291 G/s");
        assert_eq!(rate(f64::NAN), "–");
        assert_eq!(plain(f64::INFINITY), "–");
        assert_eq!(time(18_446_744_073_709_551_615.0), "1.84e10 s");
    }

    #[test]
    fn ratios_and_counts() {
        let spread = Spread {
            median: 1.5,
            least: 1.38,
            greatest: 12.34,
        };
        assert_eq!(ratio(&spread), "1.50 (1.38–12.3)");
        assert_eq!(range("6.52 M/s", "6.97 M/s"), "6.52–6.97 M/s");
        assert_eq!(range("987 ns", "1.2 µs"), "987 ns–1.2 µs");
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(counted(1, "run"), "1 run");
    }
}
