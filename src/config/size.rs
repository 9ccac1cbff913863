//! Byte counts as nats-server's configuration writes them: a whole number and an optional suffix.
//!
//! *Control path.* Pure. A lone letter is decimal, a letter with `b`, `i` or `ib` is binary, as in nats-server's
//! `conf/parse.go`; a product that does not fit is an error here, where nats-server wraps around.

/// The bytes that `text` names: `k` = 1000, `kb` = `ki` = `kib` = 1024, likewise `m g t p e`; case does not matter.
///
/// # Errors
/// `None` when `text` is no whole number, carries an unknown suffix, or does not fit 64 bits.
pub fn parse_size(text: &str) -> Option<i64> {
    let digits_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '-' && c != '+')
        .unwrap_or(text.len());
    let (digits, suffix) = text.split_at(digits_end);
    let number: i64 = digits.parse().ok()?;
    number.checked_mul(multiplier(suffix.trim())?)
}

fn multiplier(suffix: &str) -> Option<i64> {
    let suffix = suffix.to_ascii_lowercase();
    let mut letters = suffix.chars();
    let Some(letter) = letters.next() else {
        return Some(1);
    };
    let power = 1 + u32::try_from("kmgtpe".find(letter)?).ok()?;
    let base: i64 = match letters.as_str() {
        "" => 1000,
        "b" | "i" | "ib" => 1024,
        _ => return None,
    };
    base.checked_pow(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_letter_is_decimal_and_two_are_binary() {
        assert_eq!(parse_size("512"), Some(512));
        assert_eq!(parse_size("64k"), Some(64_000));
        assert_eq!(parse_size("64kb"), Some(65_536));
        assert_eq!(parse_size("64KiB"), Some(65_536));
        assert_eq!(parse_size("1 MB"), Some(1 << 20));
        assert_eq!(parse_size("2Gi"), Some(2 << 30));
        assert_eq!(parse_size("-1"), Some(-1));
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in [
            "",
            "k",
            "1.5k",
            "1kbb",
            "1z",
            "99999999999999999999",
            "10e",
            "1-2",
            "é",
        ] {
            assert_eq!(parse_size(text), None, "{text}");
        }
        assert_eq!(parse_size("8e"), Some(8_000_000_000_000_000_000));
    }
}
