//! The options in a request's body: whom it is for, and what of a page is wanted.
//!
//! Names, kinds and texts are those of nats-server's option structs (`events.go`, `monitor.go`).

use super::go_json::{self, Object, Top};
use crate::config::Labels;
use std::collections::BTreeMap;

/// What a body may say, beside whom it is for.
#[derive(Debug)]
pub(super) struct Form {
    /// The name of nats-server's struct: it is in the texts of errors.
    pub(super) name: &'static str,
    pub(super) fields: &'static [Field],
}

/// A field: what it is called, what it holds, and what the page calls it.
pub(super) type Field = (&'static str, Kind, &'static str);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A text with a type of its own.
    Sort,
    Switch,
    /// Which subscriptions: a switch that the page has as an argument's value.
    Subscriptions(&'static str),
    Integer,
    Unsigned,
    /// Open, closed or all connections, by number.
    State,
    /// Nanoseconds.
    Span,
    Texts,
}

/// Whom a request is for: the server only answers if it is meant.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    name: String,
    cluster: String,
    host: String,
    domain: String,
    tags: Vec<String>,
    is_exact: bool,
}

/// What a body says.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) filter: Filter,
    /// By the page's names.
    pub(super) arguments: BTreeMap<&'static str, Vec<String>>,
}

const FILTER: &[Field] = &[
    ("server_name", Kind::Text, ""),
    ("cluster", Kind::Text, ""),
    ("host", Kind::Text, ""),
    ("exact_match", Kind::Switch, ""),
    ("tags", Kind::Texts, ""),
    ("domain", Kind::Text, ""),
];

impl Form {
    /// Reads a body; an empty one says nothing.
    ///
    /// # Errors
    /// Go's text for what is wrong with it.
    pub(super) fn read(&self, body: &[u8]) -> Result<Options, String> {
        let mut options = Options::default();
        if body.is_empty() {
            return Ok(options);
        }
        let object = match go_json::read(body)? {
            Top::Object(object) => object,
            Top::Null => return Ok(options),
            Top::Other(kind) => {
                let name = self.name;
                return Err(format!(
                    "json: cannot unmarshal {kind} into Go value of type server.{name}"
                ));
            }
        };
        self.check(&object)?;
        options.filter = Filter::of(&object);
        for (name, kind, argument) in self.fields {
            let values = object.get(name).map(|value| kind.values(value));
            let values = values.filter(|values| !values.is_empty());
            if let Some(values) = values {
                options.arguments.insert(argument, values);
            }
        }
        Ok(options)
    }

    /// The first value, in the order of the body, that is of another kind than it should be.
    fn check(&self, object: &Object<'_>) -> Result<(), String> {
        let form = self.name;
        for (name, value) in object.iter() {
            let mut fields = self.fields.iter().chain(FILTER);
            let field = fields.find(|(known, ..)| known.eq_ignore_ascii_case(name));
            let Some((name, kind, _)) = field else {
                continue;
            };
            kind.check(value).map_err(|(found, kind)| {
                format!("json: cannot unmarshal {found} into Go struct field {form}.{name} of type {kind}")
            })?;
            let elements = go_json::elements(value).unwrap_or_default();
            for (index, element) in elements.into_iter().enumerate() {
                Kind::Text.check(element).map_err(|(found, kind)| {
                    format!(
                        "json: cannot unmarshal {found} into {form}.{name}.{index} of type {kind}"
                    )
                })?;
            }
        }
        Ok(())
    }
}

impl Kind {
    /// # Errors
    /// What is there, and what should be.
    fn check(self, value: &[u8]) -> Result<(), (String, &'static str)> {
        let found = go_json::kind(value);
        let number = || format!("number {}", String::from_utf8_lossy(value));
        let digits = std::str::from_utf8(value).unwrap_or_default();
        let expects = |wanted: &str, kind| match found == wanted || found == "null" {
            true => Ok(()),
            false => Err((found.to_owned(), kind)),
        };
        let fits = |fits: bool, kind| match (found, fits) {
            ("null", _) | ("number", true) => Ok(()),
            ("number", false) => Err((number(), kind)),
            _ => Err((found.to_owned(), kind)),
        };
        match self {
            Kind::Text => expects("string", "string"),
            Kind::Sort => expects("string", "server.SortOpt"),
            Kind::Switch | Kind::Subscriptions(_) => expects("bool", "bool"),
            Kind::Integer => fits(digits.parse::<i64>().is_ok(), "int"),
            Kind::State => fits(digits.parse::<i64>().is_ok(), "server.ConnState"),
            Kind::Span => fits(digits.parse::<i64>().is_ok(), "time.Duration"),
            Kind::Unsigned => fits(digits.parse::<u64>().is_ok(), "uint64"),
            Kind::Texts => {
                expects("array", "[]string")?;
                Ok(())
            }
        }
    }

    /// The value as the page's arguments have it; none for nothing.
    fn values(self, value: &[u8]) -> Vec<String> {
        let plain = || String::from_utf8_lossy(value).into_owned();
        let is_on = value == b"true";
        let one = match self {
            _ if value == b"null" => None,
            Kind::Text | Kind::Sort => go_json::text(value).filter(|text| !text.is_empty()),
            Kind::Switch => is_on.then(|| "true".to_owned()),
            Kind::Subscriptions(argument) => is_on.then(|| argument.to_owned()),
            Kind::Integer | Kind::Unsigned | Kind::Span => Some(plain()),
            Kind::State => Some(
                match value {
                    b"1" => "closed",
                    b"2" => "any",
                    _ => "open",
                }
                .to_owned(),
            ),
            Kind::Texts => {
                let elements = go_json::elements(value).unwrap_or_default();
                return elements.into_iter().filter_map(go_json::text).collect();
            }
        };
        one.into_iter().collect()
    }
}

impl Filter {
    fn of(object: &Object<'_>) -> Filter {
        let text = |name| object.get(name).and_then(go_json::text).unwrap_or_default();
        Filter {
            name: text("server_name"),
            cluster: text("cluster"),
            host: text("host"),
            domain: text("domain"),
            tags: object
                .get("tags")
                .map(|tags| Kind::Texts.values(tags))
                .unwrap_or_default(),
            is_exact: object.get("exact_match") == Some(b"true"),
        }
    }

    /// Whether a server of that name on that host with these tags is meant. It is in no cluster and no domain.
    pub(super) fn takes(&self, name: &str, host: &str, labels: &Labels) -> bool {
        let is_meant = |filter: &str, value: &str| match (filter, self.is_exact) {
            ("", _) => true,
            (filter, true) => filter == value,
            (filter, false) => value.contains(filter),
        };
        is_meant(&self.name, name)
            && is_meant(&self.host, host)
            && is_meant(&self.cluster, "")
            && self.domain.is_empty()
            && self.tags.iter().all(|tag| labels.has_tag(tag))
    }
}

impl Options {
    /// The first value of an argument; empty for none.
    pub(super) fn text(&self, argument: &str) -> &str {
        let values = self.arguments.get(argument);
        values
            .and_then(|values| values.first())
            .map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Form = Form {
        name: "ConnzEventOptions",
        fields: &[
            ("sort", Kind::Sort, "sort"),
            ("auth", Kind::Switch, "auth"),
            ("subscriptions", Kind::Subscriptions("true"), "subs"),
            ("limit", Kind::Integer, "limit"),
            ("cid", Kind::Unsigned, "cid"),
            ("state", Kind::State, "state"),
            ("accounts", Kind::Texts, "acc"),
        ],
    };

    #[test]
    fn values_become_arguments() {
        let body = br#"{"sort":"cid","AUTH":true,"subscriptions":true,"limit":-5,"cid":7,"state":1,
            "accounts":["a","b"],"unknown":{}}"#;
        let options = FORM.read(body).expect("right");
        for (name, value) in [
            ("sort", "cid"),
            ("auth", "true"),
            ("subs", "true"),
            ("limit", "-5"),
            ("cid", "7"),
            ("state", "closed"),
            ("acc", "a"),
            ("other", ""),
        ] {
            assert_eq!(options.text(name), value, "{name}");
        }
        assert_eq!(options.arguments["acc"], ["a", "b"]);
        for nothing in [
            "",
            "null",
            "{}",
            r#"{"sort":null,"auth":false,"accounts":[],"sort":""}"#,
        ] {
            let options = FORM.read(nothing.as_bytes()).expect("right");
            assert!(options.arguments.is_empty(), "{nothing}");
        }
    }

    #[test]
    fn what_is_of_another_kind_is_told_as_go_tells_it() {
        let field = "into Go struct field ConnzEventOptions.";
        for (body, text) in [
            (
                "[]",
                "array into Go value of type server.ConnzEventOptions".to_owned(),
            ),
            (
                "\"\"",
                "string into Go value of type server.ConnzEventOptions".to_owned(),
            ),
            (
                r#"{"limit":"x"}"#,
                format!("string {field}limit of type int"),
            ),
            (
                r#"{"limit":1.5}"#,
                format!("number 1.5 {field}limit of type int"),
            ),
            (
                r#"{"cid":-1}"#,
                format!("number -1 {field}cid of type uint64"),
            ),
            (
                r#"{"sort":1}"#,
                format!("number {field}sort of type server.SortOpt"),
            ),
            (
                r#"{"tags":"a"}"#,
                format!("string {field}tags of type []string"),
            ),
            (
                r#"{"tags":["a",5]}"#,
                "number into ConnzEventOptions.tags.1 of type string".to_owned(),
            ),
            (
                r#"{"auth":"x","limit":"y"}"#,
                format!("string {field}auth of type bool"),
            ),
            (
                r#"{"limit":"y","auth":"x"}"#,
                format!("string {field}limit of type int"),
            ),
        ] {
            let found = FORM.read(body.as_bytes()).expect_err("wrong");
            assert_eq!(found, format!("json: cannot unmarshal {text}"), "{body}");
        }
    }

    #[test]
    fn a_server_answers_if_it_is_meant() {
        let mut labels = Labels::default();
        labels.add_tag("az:1");
        labels.add_tag("ssd");
        for (body, is_meant) in [
            ("{}", true),
            (r#"{"server_name":"sr"}"#, true),
            (r#"{"server_name":"sr","exact_match":true}"#, false),
            (r#"{"server_name":"srv","exact_match":true}"#, true),
            (r#"{"server_name":"x"}"#, false),
            (r#"{"host":"127"}"#, true),
            (r#"{"host":"10."}"#, false),
            (r#"{"cluster":"c"}"#, false),
            (r#"{"domain":"d"}"#, false),
            (r#"{"tags":["t"]}"#, false),
            (r#"{"tags":[]}"#, true),
            (r#"{"tags":["SSD"]}"#, true),
            (r#"{"tags":["ssd","az:1"]}"#, true),
            (r#"{"tags":["ssd","az:2"]}"#, false),
            (r#"{"tags":["ss"]}"#, false),
        ] {
            let options = FORM.read(body.as_bytes()).expect("right");
            let takes = options.filter.takes("srv", "127.0.0.1", &labels);
            assert_eq!(takes, is_meant, "{body}");
        }
    }
}
