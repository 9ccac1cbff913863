//! What the language makes of texts, where it says no, and that nothing makes it panic or run away.
//!
//! Digests are nats-server's own, taken from `nats-server -t`.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Files and variables by name.
#[derive(Default)]
struct Given {
    files: HashMap<String, Vec<u8>>,
    variables: HashMap<String, String>,
}

impl Given {
    fn file(text: impl AsRef<[u8]>) -> Given {
        Given::default().and("a.conf", text)
    }

    fn and(mut self, path: &str, text: impl AsRef<[u8]>) -> Given {
        self.files.insert(path.to_owned(), text.as_ref().to_vec());
        self
    }

    fn with(mut self, name: &str, value: &str) -> Given {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn parse(&self) -> Result<Document, Fault> {
        parse("a.conf", self)
    }

    /// The whole tree on one line, keys sorted.
    fn shown(&self) -> String {
        match self.parse() {
            Ok(document) => shown_map(&document.root),
            Err(fault) => panic!("{fault}"),
        }
    }

    fn refused(&self) -> String {
        let fault = self.parse().expect_err("a fault");
        match &fault.place {
            Some(place) => format!(
                "{}:{}:{}: {}",
                place.file, place.line, place.column, fault.reason
            ),
            None => fault.reason,
        }
    }
}

impl Surroundings for Given {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let missing = || format!("open {path}: no such file or directory");
        self.files.get(path).cloned().ok_or_else(missing)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

fn shown_map(map: &Map) -> String {
    let parts: Vec<String> = map
        .entries
        .iter()
        .map(|(key, entry)| format!("{key}={}", shown(&entry.value)))
        .collect();
    format!("{{{}}}", parts.join(" "))
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Boolean(on) => on.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Date(date) => format!("@{date}"),
        Value::List(list) => {
            let parts: Vec<String> = list.elements.iter().map(|(_, one)| shown(one)).collect();
            format!("[{}]", parts.join(" "))
        }
        Value::Map(map) => shown_map(map),
    }
}

fn read(text: &str) -> String {
    Given::file(text).shown()
}

fn refused(text: &str) -> String {
    Given::file(text).refused()
}

#[test]
fn keys_are_followed_by_a_sign_or_a_space() {
    for text in [
        "a: 1\nb: 2",
        "a = 1, b = 2",
        "a 1; b 2",
        "a=1\r\nb=2\r\n",
        "\"a\": 1\n'b' 2",
        "{\"a\": 1, \"b\": 2}",
        "{ a: 1\n b: 2 }\n",
        "a\n1\nb\n:2",
        "# c\na: 1 # c\n// c\nb: 2 // c",
        "\u{feff}a: 1\nb: 2",
        // nats-server misses no brace that was opened around the whole file, and takes one too many behind a value.
        "{ a: 1\n b: 2\n",
        "a: 1\nb: 2 }",
    ] {
        assert_eq!(read(text), "{a=1 b=2}", "{text:?}");
    }
    assert_eq!(read(""), "{}");
    assert_eq!(read(" # nothing"), "{}");
}

#[test]
fn maps_and_lists_nest() {
    assert_eq!(
        read("a { b: [1, {c: x}\n[] # why\n 2], d {} }\ne: []"),
        "{a={b=[1 {c=\"x\"} [] 2] d={}} e=[]}"
    );
    assert_eq!(read("a: {\n\n b\n:\n 1;c:2,\n}"), "{a={b=1 c=2}}");
    assert_eq!(read("a: [1]"), "{a=[1]}", "refused by nats-server");
}

#[test]
fn the_last_of_equal_keys_wins() {
    assert_eq!(read("a: 1\nA: 2\na: 3"), "{A=2 a=3}");
}

#[test]
fn numbers_have_suffixes() {
    for (text, value) in [
        ("5", "5"),
        ("-5", "-5"),
        ("1k", "1000"),
        ("1kb", "1024"),
        ("1KiB", "1024"),
        ("2mb", "2097152"),
        ("-2g", "-2000000000"),
        ("8e", "8000000000000000000"),
        ("1.5", "1.5"),
        ("-0.25", "-0.25"),
        ("5s", "\"5s\""),
        ("1kx", "\"1kx\""),
        ("10.0.0.1", "\"10.0.0.1\""),
        ("127.0.0.1:4222", "\"127.0.0.1:4222\""),
        ("2024-02-29T12:00:00Z", "@2024-02-29T12:00:00Z"),
    ] {
        assert_eq!(read(&format!("a: {text}")), format!("{{a={value}}}"));
    }
    for text in [
        "10e",
        "99999999999999999999",
        "1kbb",
        "1.",
        "-x",
        ".5",
        "1.5k",
    ] {
        assert!(
            refused(&format!("a: {text}")).starts_with("a.conf:1:"),
            "{text}"
        );
    }
    for text in ["2023-02-29T12:00:00Z", "2024-1-1", "12-34", "2024-02-29"] {
        assert!(
            refused(&format!("a: {text}")).contains("must be a date"),
            "{text}"
        );
    }
}

#[test]
fn texts_come_in_four_forms() {
    assert_eq!(
        read(r#"a: "x\t\"\\\n\x41\xc3\xa9 #""#),
        r#"{a="x\t\"\\\nAé #"}"#
    );
    assert_eq!(read(r"a: 'x\t # y'"), r#"{a="x\\t # y"}"#);
    assert_eq!(read("a: nats://h:1#x"), "{a=\"nats://h:1#x\"}");
    assert_eq!(read(r"a: b\x20c"), "{a=\"b c\"}");
    assert_eq!(read("a: (\n {x} )\n)\nb: 1"), r#"{a="\n {x} )\n" b=1}"#);
    assert_eq!(read("a: \"x\ny\""), r#"{a="x\ny"}"#);
    assert_eq!(read("a: \"\"\nb: ''"), r#"{a="" b=""}"#);
}

#[test]
fn words_may_be_booleans_but_quoted_ones_are_not() {
    assert_eq!(
        read("a: true, b: YES, c: on, d: False, e: no, f: off, g: 'yes', h: \"true\", i: truely"),
        r#"{a=true b=true c=true d=false e=false f=false g="yes" h="true" i="truely"}"#
    );
}

#[test]
fn variables_are_looked_for_from_the_inside_out() {
    let given = Given::file("x: 1\na { x: 2, b: $x, c { d: $x, e: $y } }\nf: $x\ny: 3\ng: [$y]")
        .with("y", "[4 # of the environment\n $x]")
        .with("x", "5");
    assert_eq!(
        given.shown(),
        "{a={b=2 c={d=2 e=[4 5]} x=2} f=1 g=[3] x=1 y=3}"
    );
    let given = Given::file("a: $HOST").with("HOST", "\"a b\"");
    assert_eq!(given.shown(), "{a=\"a b\"}");
    let document = Given::file("a: 1\nb: 2\nc: $a")
        .parse()
        .expect("a document");
    let referred: Vec<bool> = document
        .root
        .in_order()
        .iter()
        .map(|(_, entry)| entry.is_referred_to())
        .collect();
    assert_eq!(referred, [true, false, false]);
}

#[test]
fn variables_that_lead_nowhere_are_refused() {
    assert_eq!(
        refused("a: 1\nb: $c"),
        "a.conf:2:4: variable reference for 'c' on line 2 can not be found"
    );
    let cycle = Given::file("a: $b").with("b", "$c").with("c", "$b");
    assert!(
        cycle
            .refused()
            .ends_with("variable reference cycle for 'b'")
    );
    let broken = Given::file("a: $b").with("b", "1 2");
    assert!(
        broken
            .refused()
            .contains("'b' on line 1 could not be parsed: expected the end")
    );
    let including = Given::file("a: $b").with("b", "1\ninclude 'a.conf'");
    assert!(including.refused().contains("must not include files"));
}

#[test]
fn a_bcrypt_hash_needs_no_quotes() {
    assert_eq!(read("a: $2a$11$W2zko"), "{a=\"$2a$11$W2zko\"}");
    let other = refused("a: $2b$11$W2zko");
    assert!(other.ends_with("needs quotes"), "{other}");
}

#[test]
fn included_files_are_found_beside_the_including_one() {
    let given =
        Given::file("include sub/b.conf\nc { include 'sub/../d.conf' ; x: 1 }\nINCLUDE \"d.conf\"")
            .and("sub/b.conf", "b: 1\ninclude ./e.conf")
            .and("sub/e.conf", "e: $z\nb: 2")
            .and("d.conf", "d: 3")
            .with("z", "9");
    assert_eq!(given.shown(), "{b=2 c={d=3 x=1} d=3 e=9}");
    assert_eq!(read("include: x"), "{include=\"x\"}");
    let within = Given::file("a: 1\ninclude b.conf").and("b.conf", "b: $a");
    assert!(
        within.refused().starts_with("b.conf:1:4: "),
        "it sees nothing of the other file"
    );
}

#[test]
fn includes_that_cannot_be_are_refused() {
    assert_eq!(
        refused("\n include x.conf"),
        "a.conf:2:2: error parsing include file 'x.conf', open x.conf: no such file or directory"
    );
    assert_eq!(
        refused("include ./a.conf"),
        "a.conf:1:1: error parsing include file './a.conf', it includes itself"
    );
    let round = Given::file("include b.conf").and("b.conf", "x: 1\n\ninclude a.conf");
    assert!(
        round.refused().starts_with("b.conf:3:1: "),
        "{}",
        round.refused()
    );
    let chain = (1..40).fold(Given::file("include c1.conf"), |given, number| {
        given.and(
            &format!("c{number}.conf"),
            format!("include c{}.conf", number + 1),
        )
    });
    assert!(
        chain
            .refused()
            .contains("more than 16 files include each other")
    );
    let text = "include b.conf\n".repeat(INCLUDES_MAX + 1);
    let many = Given::file(text).and("b.conf", "b: 1");
    assert!(many.refused().contains("more than 1000 includes"));
    for text in ["include [", "include 5", "include", "include 'x"] {
        refused(text);
    }
}

#[test]
fn mistakes_have_a_place() {
    for (text, expected) in [
        (
            "port 4222 4223",
            "1:11: expected the end of the line, ',' or ';' after a value, but found '4'; texts with spaces need quotes",
        ),
        (
            "port =\n",
            "1:7: expected a value, but found the end of the line",
        ),
        (
            "port:",
            "1:1: expected a value for \"port\", but found the end of the file",
        ),
        (
            "port",
            "1:1: expected a value for \"port\", but found the end of the file",
        ),
        (
            "é: \"é\" = 2",
            "1:8: expected the end of the line, ',' or ';' after a value, but found '='; texts with spaces need quotes",
        ),
        (
            "a {\n b: [1,\n",
            "2:5: this list is not closed: the file ends without its ']'",
        ),
        (
            "a {\n b: 1\n",
            "1:3: this map is not closed: the file ends without its '}'",
        ),
        ("a: 'x\n\n", "1:4: the quotes of this text are not closed"),
        ("'a: 1", "1:1: the quotes of this key are not closed"),
        (
            "a: \"\\q\"",
            "1:5: unknown escape: there are \\xHH, \\t, \\n, \\r, \\\" and \\\\; in '…' none is needed",
        ),
        (
            "a: \"\\x4\"",
            "1:5: expected two hexadecimal digits after \\x",
        ),
        (
            "a: (\nx\n",
            "1:4: this text is not closed: a ')' on a line of its own is missing",
        ),
        ("= 1", "1:1: expected a key, but found '='"),
        (
            "a: 1\n}\nb: 1",
            "2:1: this '}' closes nothing: a '{' before it is missing",
        ),
        ("{ a: 1", "1:7: a '}' is missing at the end of the file"),
        ("a: [,]", "1:5: expected a value, but found ','"),
        ("a: {b: }", "1:8: expected a value, but found '}'"),
        ("a: \"\\xff\"", "1:4: this text is not UTF-8"),
    ] {
        assert_eq!(refused(text), format!("a.conf:{expected}"), "{text:?}");
    }
    assert_eq!(
        Given::file(b"a: \"\xff\"").refused(),
        "a.conf:1:4: this text is not UTF-8"
    );
    assert_eq!(Given::file(b"a: 1 # \xff").shown(), "{a=1}");
}

#[test]
fn a_fault_shows_its_line_and_no_secret() {
    let shown = |text: &str| Given::file(text).parse().expect_err("a fault").to_string();
    assert_eq!(
        shown("a: 1\n\tport: 1 \u{1b}2"),
        "a.conf:2:10: expected the end of the line, ',' or ';' after a value, but found '\\u{1b}'; \
         texts with spaces need quotes\n    2 | \tport: 1 ?2\n      | \t        ^"
    );
    for text in [
        "password: hunter2 x",
        "a { token = hunter2 x",
        "pass hunter2 x",
        "a: [$2a$11$hunter2 hunter2]",
    ] {
        let shown = shown(text);
        assert!(!shown.contains("hunter2") && shown.contains('…'), "{shown}");
    }
    let line = format!("{{ \"password\": \"{}\", \"a\": 1 2", "hunter2".repeat(30));
    let behind = shown(&line);
    assert!(
        !behind.contains("hunter2") && behind.contains('…'),
        "{behind}"
    );
    for url in [
        "routes: [\"nats://ann:hunter2@h:6222\", 'x://hunter2@h'] 5 5",
        "a: nats-route://ann:hunter2/@:h@host:6222 b",
        &format!("a: 1 nats://ann:hunter2{}@host", "y".repeat(60)),
    ] {
        let shown = shown(url);
        assert!(
            !shown.contains("hunter2") && shown.contains("://…"),
            "{shown}"
        );
    }
    let plain = shown("a: http://host:80/x https://other:443 b");
    assert!(
        plain.contains("http://host:80/x https://other:443 b"),
        "{plain}"
    );
    let misspelled = shown("pasword: hunter2 x");
    assert!(!misspelled.contains("hunter2"), "{misspelled}");
    let long = shown(&format!("a: {} b", "x".repeat(100_000)));
    assert!(long.len() < 600, "{}", long.len());
    let name = shown(&format!("a: $\u{1b}{}", "x".repeat(100_000)));
    assert!(
        name.len() < 900 && !name.contains('\u{1b}'),
        "{}",
        name.len()
    );
}

#[test]
fn limits_hold() {
    let deep = "a: ".to_owned() + &"[".repeat(DEPTH_MAX + 1);
    assert!(refused(&deep).contains("more than 100 deep"));
    let braces = "{".repeat(DEPTH_MAX + 1);
    assert!(refused(&braces).contains("more than 100 deep"));
    let fits = format!("a: {}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
    read(&fits);
    // Each line is one deeper than the one before it.
    let ladder: String = (1..200)
        .map(|step| format!("a{step}: [$a{}]\n", step - 1))
        .collect();
    assert!(refused(&format!("a0: 1\n{ladder}")).contains("more than 100 deep"));
    // Each line is ten times the one before it.
    let bomb: String = (1..90)
        .map(|step| {
            format!(
                "a{step}: [{}]\n",
                vec![format!("$a{}", step - 1); 10].join(",")
            )
        })
        .collect();
    assert!(refused(&format!("a0: x\n{bomb}")).contains("more than 64 MiB"));
    let crowd = "a: [\n".to_owned() + &"1\n".repeat(2_000_000);
    assert!(refused(&crowd).contains("more than 64 MiB"));
    let long = Given::file(vec![b'#'; FILES_BYTES_MAX + 1]).refused();
    assert!(long.contains("longer than 8 MiB"), "{long}");
    let line = "a:1,".repeat(FILES_BYTES_MAX / 5);
    assert!(
        refused(&line).contains("more than 64 MiB"),
        "time is linear in one line too"
    );
}

#[test]
fn digests_are_those_of_nats_server() {
    for (text, expected) in DIGESTS {
        let document = Given::file(text).parse().expect("a document");
        assert_eq!(
            digest(&document.root),
            format!("sha256:{expected}"),
            "{text}"
        );
    }
}

const DIGESTS: &[(&str, &str)] = &[
    (
        "port: 4222\n",
        "797533ebd0dfba7d34a0f9337ecf147e442871f48ddfd07ed751575a5737267e",
    ),
    (
        "{\"port\": 4222, \"host\": \"1.2.3.4\"}",
        "025563ef249183c7aeaa66073bdea69f89e860eecac7fbc77146563044d22fc2",
    ),
    (
        "server_name: (\nabc\n)\nport:1",
        "88e96b8ed0067831c70e420e481bed9de3dc607024e26359dd575e2d794571a2",
    ),
    (
        "x: 1mb\nmax_payload: $x\n",
        "55443ee28e52fd928c7a70f140c8f16fd10e802ebf608af43af54c2f76986de7",
    ),
];

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Given::file(bytes).parse();
    }

    #[test]
    fn no_text_of_its_own_signs_makes_it_panic(
        text in "([\\[\\]{}()=:;,#/'\"$\\\\. \n\r\t-]|x1|include |a\\.conf|\\$[ab]|[0-9kmbTZ]|true|é){0,60}"
    ) {
        let given = Given::file(&text).with("a", &text).with("b", "$a");
        match given.parse() {
            Ok(document) => {
                digest(&document.root);
                for (_, entry) in document.root.in_order() {
                    let _ = document.fault(entry.position, "x").to_string();
                }
            }
            Err(fault) => {
                let _ = fault.to_string();
            }
        }
    }
}
