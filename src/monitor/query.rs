//! The arguments of a request, read as Go reads them, with nats-server's texts for what cannot be read.

use super::path::unescaped;
use super::reply::Refusal;
use crate::config::go_text::go_quote;
use std::collections::BTreeMap;
use std::num::IntErrorKind;

/// Names and values, in their order.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands behind the question mark. Pairs that are no pairs are left out, as in Go's `net/url`: those
    /// with a semicolon, and those with a broken escape.
    pub fn parse(text: &str) -> Query {
        let pairs = text
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.contains(';'));
        let decoded = pairs.filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        });
        Query(decoded.collect())
    }

    /// Arguments that are known already.
    pub(super) fn of(arguments: &BTreeMap<&'static str, Vec<String>>) -> Query {
        let pairs = arguments.iter().flat_map(|(name, values)| {
            let pair = move |value: &String| ((*name).to_owned(), value.clone());
            values.iter().map(pair)
        });
        Query(pairs.collect())
    }

    /// The first value of that name; empty for none.
    pub fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    pub fn boolean(&self, name: &str) -> Result<bool, Refusal> {
        match self.text(name) {
            "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
            value => Err(Refusal::Bad(format!(
                "Error decoding boolean for '{name}': strconv.ParseBool: parsing {}: invalid syntax",
                go_quote(value)
            ))),
        }
    }

    /// A whole number; zero for none.
    pub fn integer(&self, name: &str) -> Result<i64, Refusal> {
        let value = self.text(name);
        match value.parse::<i64>() {
            Ok(number) => Ok(number),
            Err(_) if value.is_empty() => Ok(0),
            Err(error) => Err(Refusal::Bad(format!(
                "Error decoding int for '{name}': strconv.Atoi: parsing {}: {}",
                go_quote(value),
                go_reason(error.kind())
            ))),
        }
    }

    /// A whole number above zero, or zero for none.
    pub fn unsigned(&self, name: &str) -> Result<u64, Refusal> {
        let value = self.text(name);
        let parsed = value.parse::<u64>();
        match parsed {
            Ok(number) if !value.starts_with('+') => Ok(number),
            Err(_) if value.is_empty() => Ok(0),
            other => {
                let reason = other
                    .err()
                    .map_or("invalid syntax", |error| go_reason(error.kind()));
                Err(Refusal::Bad(format!(
                    "Error decoding uint64 for '{name}': strconv.ParseUint: parsing {}: {reason}",
                    go_quote(value)
                )))
            }
        }
    }

    /// Whether subscriptions are wanted, and how.
    pub fn subscriptions(&self) -> Result<Subscriptions, Refusal> {
        if self.text("subs").eq_ignore_ascii_case("detail") {
            return Ok(Subscriptions::Detail);
        }
        Ok(if self.boolean("subs")? {
            Subscriptions::Subjects
        } else {
            Subscriptions::None
        })
    }

    /// Which part of a list is wanted: where it begins, and how much of it.
    pub fn page(&self) -> Result<Page, Refusal> {
        let offset = usize::try_from(self.integer("offset")?).unwrap_or(0);
        let limit = usize::try_from(self.integer("limit")?).unwrap_or(0);
        let limit = if limit == 0 { LIMIT_DEFAULT } else { limit };
        Ok(Page { offset, limit })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscriptions {
    None,
    Subjects,
    Detail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    pub offset: usize,
    pub limit: usize,
}

impl Page {
    /// What it leaves of a list.
    pub(super) fn cut<T>(self, mut list: Vec<T>) -> Vec<T> {
        list.truncate(self.offset.saturating_add(self.limit));
        list.drain(..self.offset.min(list.len()));
        list
    }
}

/// nats-server's.
pub(super) const LIMIT_DEFAULT: usize = 1024;

fn go_reason(kind: &IntErrorKind) -> &'static str {
    match kind {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    }
}

/// A name or a value without its escapes; `None` if one is broken.
fn decode(text: &str) -> Option<String> {
    unescaped(&text.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(text: &str) -> Refusal {
        Refusal::Bad(text.to_owned())
    }

    #[test]
    fn pairs_are_decoded_and_broken_ones_left_out() {
        let query = Query::parse("a=1%2B1&b=x+y&&a=2&c&d=%zz&e=1;f=2&%41=big&g=%");
        assert_eq!(query.text("a"), "1+1", "the first counts");
        assert_eq!(
            (query.text("b"), query.text("c"), query.text("A")),
            ("x y", "", "big")
        );
        for left_out in ["d", "e", "f", "g"] {
            assert_eq!(query.text(left_out), "", "{left_out}");
        }
    }

    #[test]
    fn wrong_values_are_told_in_nats_servers_words() {
        let query = Query::parse(
            "b=maybe&i=x&h=0x10&big=99999999999999999999&u=-1&p=%2B5&small=-99999999999999999999",
        );
        assert_eq!(
            query.boolean("b"),
            Err(bad(
                "Error decoding boolean for 'b': strconv.ParseBool: parsing \"maybe\": invalid syntax"
            ))
        );
        assert_eq!(
            query.integer("i"),
            Err(bad(
                "Error decoding int for 'i': strconv.Atoi: parsing \"x\": invalid syntax"
            ))
        );
        assert!(query.integer("h").is_err());
        assert_eq!(
            query.integer("big"),
            Err(bad(
                "Error decoding int for 'big': strconv.Atoi: parsing \"99999999999999999999\": value out of range"
            ))
        );
        assert_eq!(
            query.integer("small"),
            Err(bad(
                "Error decoding int for 'small': strconv.Atoi: parsing \"-99999999999999999999\": value out of range"
            ))
        );
        assert_eq!(
            query.unsigned("u"),
            Err(bad(
                "Error decoding uint64 for 'u': strconv.ParseUint: parsing \"-1\": invalid syntax"
            ))
        );
        assert!(query.unsigned("p").is_err(), "Go takes no sign here");
        assert_eq!(query.integer("p"), Ok(5));
        assert_eq!(
            (
                query.integer("none"),
                query.unsigned("none"),
                query.boolean("none")
            ),
            (Ok(0), Ok(0), Ok(false))
        );
    }

    #[test]
    fn a_page_lies_within_its_list_wherever_it_begins() {
        let page = |text: &str| Query::parse(text).page().expect("numbers");
        let list = || (0..10).collect::<Vec<u8>>();
        assert_eq!(page("").cut(list()), list());
        assert_eq!(page("offset=3&limit=2").cut(list()), [3, 4]);
        assert_eq!(page("offset=10").cut(list()), [0u8; 0]);
        assert_eq!(
            page("offset=9223372036854775807&limit=9223372036854775807").cut(list()),
            [0u8; 0]
        );
        assert_eq!(
            page("offset=-4&limit=-1"),
            Page {
                offset: 0,
                limit: LIMIT_DEFAULT
            }
        );
    }
}
