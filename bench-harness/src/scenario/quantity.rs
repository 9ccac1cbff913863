//! How a person writes the numbers of a scenario: `1M`, `250ms`, `16..4096`, `zipf:1.1`. One spelling for the command line
//! and for files. Ranges are not looked at here: [`Scenario::check`](super::Scenario::check) does that for all sources.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::{Pick, Rate, Share, Sharing, Size};

/// A value as it was written, in a file as a number or as text.
#[derive(Debug, Clone, PartialEq)]
pub struct Written<T>(pub T);

impl<T: FromStr<Err = String>> FromStr for Written<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.trim().parse().map(Written)
    }
}

/// A number of things: `4`, `100k`, `1.5M`, `100_000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(pub u64);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Count, String> {
        let number = scaled(text, &DECIMAL).ok().and_then(whole);
        number
            .map(Count)
            .ok_or_else(|| format!("`{text}` is not a count: write 4, 100k or 1.5M"))
    }
}

/// A length of time in seconds: `10s`, `250ms`, `2m`; a bare number means seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seconds(pub f64);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Seconds, String> {
        let wrong = || format!("`{text}` is not a duration: write 10s, 250ms, 2m or 1h");
        let unit_at = text
            .find(|letter: char| letter.is_ascii_alphabetic())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let unit_s = match unit {
            "" | "s" => 1.0,
            "us" => 1e-6,
            "ms" => 1e-3,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        let number: f64 = plain(number).ok_or_else(wrong)?;
        Ok(Seconds(number * unit_s))
    }
}

/// Any number: `0.1`, `1000`, `10k`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(pub f64);

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Number, String> {
        scaled(text, &DECIMAL).map(Number)
    }
}

impl FromStr for Size {
    type Err = String;

    /// `128`, `16KiB`, `16..4096`, or lengths with weights: `16:0.9,4096:0.1`. `k` is 1024 here: it counts bytes.
    fn from_str(text: &str) -> Result<Size, String> {
        if let Some((least, greatest)) = text.split_once("..") {
            let greatest = greatest.trim_start_matches('=');
            return Ok(Size::Between(bytes(least)?, bytes(greatest)?));
        }
        if text.contains(':') {
            return text
                .split(',')
                .map(share)
                .collect::<Result<_, _>>()
                .map(Size::Mix);
        }
        bytes(text).map(Size::Fixed)
    }
}

fn share(text: &str) -> Result<Share, String> {
    let (length, weight) = text
        .split_once(':')
        .ok_or_else(|| format!("`{text}` is not a length with a weight: write 16:0.9,4096:0.1"))?;
    let weight =
        plain(weight).ok_or_else(|| format!("`{weight}` is not a weight: write 16:0.9"))?;
    Ok(Share {
        bytes: bytes(length)?,
        weight,
    })
}

impl FromStr for Rate {
    type Err = String;

    /// `max`, or messages a second.
    fn from_str(text: &str) -> Result<Rate, String> {
        if matches!(text, "max" | "saturate") {
            return Ok(Rate::Saturate);
        }
        scaled(text, &DECIMAL)
            .map(Rate::PerSecond)
            .map_err(|_| format!("`{text}` is not a rate: write messages a second (100k) or max"))
    }
}

impl FromStr for Pick {
    type Err = String;

    fn from_str(text: &str) -> Result<Pick, String> {
        match text.split_once(':') {
            Some(("zipf", exponent)) => Ok(Pick::Zipf {
                exponent: plain(exponent)
                    .ok_or_else(|| format!("`{exponent}` is not an exponent: write zipf:1.1"))?,
            }),
            None if text == "in-turn" => Ok(Pick::InTurn),
            None if text == "own" => Ok(Pick::Own),
            None if text == "uniform" => Ok(Pick::Uniform),
            _ => Err(format!(
                "`{text}` is no way to pick subjects: write in-turn, own, uniform or zipf:1.1"
            )),
        }
    }
}

impl FromStr for Sharing {
    type Err = String;

    fn from_str(text: &str) -> Result<Sharing, String> {
        match text.split_once(':') {
            Some(("groups", count)) => {
                let Count(count) = count.parse()?;
                u32::try_from(count)
                    .map(Sharing::Groups)
                    .map_err(|_| format!("{count} queue groups are too many"))
            }
            None if text == "all" => Ok(Sharing::All),
            None if text == "dealt" => Ok(Sharing::Dealt),
            _ => Err(format!(
                "`{text}` is no way to share messages: write all, dealt or groups:2"
            )),
        }
    }
}

const DECIMAL: [(&str, f64); 6] = [
    ("k", 1e3),
    ("K", 1e3),
    ("M", 1e6),
    ("m", 1e6),
    ("G", 1e9),
    ("", 1.0),
];
/// Longest first, because `B` ends all of them.
const BINARY: [(&str, f64); 8] = [
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("KB", 1024.0),
    ("MB", 1_048_576.0),
    ("k", 1024.0),
    ("K", 1024.0),
    ("M", 1_048_576.0),
    ("B", 1.0),
];

fn bytes(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is not a number of bytes: write 128, 16KiB or 1MiB");
    let number = scaled(text, &BINARY).map_err(|_| wrong())?;
    whole(number)
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(wrong)
}

fn scaled(text: &str, units: &[(&str, f64)]) -> Result<f64, String> {
    let text = text.trim();
    let (number, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))
        .unwrap_or((text, 1.0));
    plain(number)
        .map(|number| number * factor)
        .ok_or_else(|| format!("`{text}` is not a number"))
}

/// Digits, an optional fraction and underscores between digits; no `inf`, `nan`, `1e3` or sign.
fn plain(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = |letter: char| letter.is_ascii_digit() || letter == '.' || letter == '_';
    if !text.starts_with(|first: char| first.is_ascii_digit()) || !text.chars().all(digits) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// Up to where every whole number has a double of its own.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "proved to be whole and in range"
)]
fn whole(number: f64) -> Option<u64> {
    let exact = (0.0..9_007_199_254_740_992.0).contains(&number) && number.fract() == 0.0;
    exact.then_some(number as u64)
}

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenVisitor(PhantomData))
    }
}

struct WrittenVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for WrittenVisitor<T> {
    type Value = Written<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number or text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Written<T>, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Written<T>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Written<T>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Written<T>, E> {
        self.visit_str(&number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: FromStr<Err = String>>(text: &str) -> Result<T, String> {
        text.parse::<Written<T>>().map(|written| written.0)
    }

    #[test]
    fn counts_take_suffixes_and_refuse_fractions() {
        assert_eq!(read("4"), Ok(Count(4)));
        assert_eq!(read("100k"), Ok(Count(100_000)));
        assert_eq!(read("1.5M"), Ok(Count(1_500_000)));
        assert_eq!(read("100_000"), Ok(Count(100_000)));
        for wrong in [
            "", "k", "1.5", "-1", "1e3", "inf", "NaN", "4 cats", "0x10", "1..2",
        ] {
            assert!(read::<Count>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_take_units() {
        assert_eq!(read("10s"), Ok(Seconds(10.0)));
        assert_eq!(read("250ms"), Ok(Seconds(0.25)));
        assert_eq!(read("2m"), Ok(Seconds(120.0)));
        assert_eq!(read("1.5"), Ok(Seconds(1.5)));
        for wrong in ["", "s", "10 parsecs", "-1s", "1d"] {
            assert!(read::<Seconds>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_fixed_a_range_or_a_mix() {
        assert_eq!(read("128"), Ok(Size::Fixed(128)));
        assert_eq!(read("16KiB"), Ok(Size::Fixed(16_384)));
        assert_eq!(read("16k"), Ok(Size::Fixed(16_384)));
        assert_eq!(read("128B"), Ok(Size::Fixed(128)));
        assert_eq!(read("16..4096"), Ok(Size::Between(16, 4096)));
        let mix = Size::Mix(vec![
            Share {
                bytes: 16,
                weight: 0.9,
            },
            Share {
                bytes: 4096,
                weight: 0.1,
            },
        ]);
        assert_eq!(read("16:0.9,4096:0.1"), Ok(mix));
        for wrong in ["", "..", "16..", "16:", "16:0.9,", "5GiB", "1.5"] {
            assert!(read::<Size>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_picks_and_sharing_have_names() {
        assert_eq!(read("max"), Ok(Rate::Saturate));
        assert_eq!(read("100k"), Ok(Rate::PerSecond(100_000.0)));
        assert_eq!(read("zipf:1.1"), Ok(Pick::Zipf { exponent: 1.1 }));
        assert_eq!(read("own"), Ok(Pick::Own));
        assert_eq!(read("groups:2"), Ok(Sharing::Groups(2)));
        assert!(read::<Rate>("fast").is_err());
        assert!(read::<Pick>("zipf").is_err());
        assert!(read::<Sharing>("groups").is_err());
    }
}
