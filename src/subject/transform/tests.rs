//! Rules and results one by one; `tests/transforms.rs` has hundreds of them, beside the real server's.

use super::step::fnv_1a;
use super::*;
use proptest::prelude::*;

fn certain(bound: u32) -> u32 {
    unreachable!("nothing is left to chance, but a number below {bound} was asked for")
}

fn applied(source: &str, destination: &str, subject: &str) -> Option<String> {
    let transform = Transform::compile(source, destination).expect("it compiles");
    let result = transform.apply(subject.as_bytes(), &mut certain)?;
    Some(String::from_utf8(result).expect("whole characters"))
}

#[test]
fn functions_do_what_their_names_say() {
    for (source, destination, subject, result) in [
        ("a", "b", "a", "b"),
        ("", "p.>", "a.b", "p.a.b"),
        (">", ">", "a.b", "a.b"),
        ("a.*.*", "$2.$1", "a.x.y", "y.x"),
        ("a.>", "b.c.>", "a.x.y", "b.c.x.y"),
        ("a.*.>", "$1.>", "a.x.y.z", "x.y.z"),
        ("*", "{{wildcard(1)}}.$JS", "x", "x.$JS"),
        ("*.*", "{{partition(10,1,2)}}", "foo.bar", "0"),
        (
            "*.*",
            "{{partition(10,2)}}.{{partition(0,2)}}",
            "foo.bar",
            "2.0",
        ),
        ("*", "{{split(1,-)}}", "-a-b--c-", "a.b.c"),
        ("*", "{{split(1,)}}", "aé", "a.é"),
        ("*", "{{splitFromLeft(1,3)}}", "abcde", "abc.de"),
        ("*", "{{splitFromRight(1,3)}}", "abcde", "ab.cde"),
        ("*", "{{splitFromLeft(1,5)}}", "abcde", "abcde"),
        ("*", "{{sliceFromLeft(1,2)}}", "abcde", "ab.cd.e"),
        ("*", "{{sliceFromRight(1,2)}}", "abcde", "a.bc.de"),
        ("*", "{{sliceFromRight(1,2)}}", "abcd", "ab.cd"),
        (
            "*",
            "{{left(1,2)}}.{{right(1,2)}}.{{left(1,-2)}}",
            "abcde",
            "ab.de.abcde",
        ),
        // The first token, whatever it is.
        ("a.*", "$0.{{wildcard(-1)}}", "a.x", "a.a"),
    ] {
        let found = applied(source, destination, subject);
        assert_eq!(found.as_deref(), Some(result), "{source} {destination}");
    }
}

#[test]
fn what_the_source_does_not_stand_for_is_left_alone() {
    for (source, subject) in [
        ("a", "b"),
        ("a", "a.b"),
        ("a.*", "a"),
        ("a.*", "a."),
        ("a.*", "a.>"),
        ("a.>", "a"),
        ("a.*.>", "a.b"),
        ("a.*.>", "a..b"),
    ] {
        let transform = Transform::compile(source, &numbered(source)).expect("it compiles");
        assert_eq!(
            transform.apply(subject.as_bytes(), &mut certain),
            None,
            "{source} {subject}"
        );
    }
    // What is published with a wildcard's name is a subject, and what `>` stands for is not looked at.
    assert_eq!(applied("a.*", "b.$1", "a.*").as_deref(), Some("b.*"));
    assert_eq!(applied("a.>", "b.>", "a.x..y").as_deref(), Some("b.x..y"));
}

#[test]
fn mistakes_are_told_in_the_words_of_nats_server() {
    let general = "invalid mapping destination";
    for (source, destination, error) in [
        ("a..b", "c", "invalid subject"),
        ("a", "", "invalid subject"),
        ("a", "c.*", "invalid subject"),
        ("a.>", "c", "invalid subject"),
        ("a.*", "$2", ": wildcard index out of range in $2: [2]"),
        ("a", "$1", ": wildcard index out of range in $1"),
        (
            "a.*",
            "{{split(1)}}",
            ": not enough arguments passed to the function in {{split(1)}}",
        ),
        (
            "a.*",
            "{{left(1,2,3)}}",
            ": too many arguments passed to the function in {{left(1,2,3)}}",
        ),
        (
            "a.*",
            "{{left(1,x)}}",
            ": function argument is invalid or in the wrong format in {{left(1,x)}}",
        ),
        (
            "a.*",
            "{{LEFT(1,1)}}",
            ": unknown function in {{LEFT(1,1)}}",
        ),
    ] {
        let found = Transform::compile(source, destination)
            .expect_err(destination)
            .to_string();
        let wanted = match error.strip_prefix(':') {
            Some(_) => format!("{general}{error}"),
            None => error.to_owned(),
        };
        assert_eq!(found, wanted, "{source} {destination}");
    }
}

#[test]
fn the_strict_form_takes_wildcards_only_and_all_of_them() {
    assert!(Transform::compile_strict("a.*.*", "b.$2.{{wildcard(1)}}").is_ok());
    assert!(Transform::compile_strict("a.>", "b.>").is_ok());
    let error = |source: &str, destination: &str| {
        Transform::compile_strict(source, destination)
            .expect_err(destination)
            .to_string()
    };
    assert_eq!(
        error("a.*.*", "b.$2"),
        "invalid mapping destination: not using all of the token wildcard(s) in b.$2"
    );
    assert_eq!(
        error("a.*", "b.{{left(1,1)}}"),
        "invalid mapping destination: the only mapping function allowed for import transforms is {{Wildcard()}} in \
         {{left(1,1)}}"
    );
}

#[test]
fn the_way_back_needs_every_wildcard_once() {
    for (source, destination) in [
        ("a.*", "b"),
        ("a.*", "b.$1.$1"),
        ("a.*.*", "b.$1.$1"),
        ("a.*", "b.$0"),
        ("a.*", "b.{{left(1,2)}}"),
        ("a", "{{partition(3)}}"),
    ] {
        let transform = Transform::compile(source, destination).expect("it compiles");
        assert_eq!(transform.reverse(), None, "{source} {destination}");
    }
    // Three in a ring: nats-server's way back would be `a.$2.$3.$1`.
    let ring = Transform::compile("a.*.*.*.>", "b.$2.$3.$1.>").expect("it compiles");
    let back = ring.reverse().expect("there is a way back");
    assert_eq!(
        back.apply(b"b.2.3.1.x", &mut certain).as_deref(),
        Some(&b"a.1.2.3.x"[..])
    );
    assert_eq!(back.reverse(), Some(ring));
}

#[test]
fn numbers_and_wildcards_stand_for_each_other() {
    assert_eq!(numbered("a.*.b.*.>"), "a.$1.b.$2.>");
    assert_eq!(unnumbered("a.$2.b.{{ wildcard(1) }}.$x.>"), "a.*.b.*.$x.>");
    assert_eq!(unnumbered("$0.{{wildcard()}}"), "$0.{{wildcard()}}");
}

#[test]
fn chance_is_asked_only_where_there_is_a_choice() {
    for destination in ["{{random(0)}}", "{{random(1)}}", "{{random(-1)}}"] {
        assert_eq!(applied("a", destination, "a").as_deref(), Some("0"));
        let transform = Transform::compile("a", destination).expect("it compiles");
        assert!(!transform.depends_on_chance());
    }
    let transform = Transform::compile("a", "b.{{random(-7)}}").expect("it compiles");
    assert!(transform.depends_on_chance());
    let result = transform.apply(b"a", &mut |bound| bound - 1);
    assert_eq!(result.as_deref(), Some(&b"b.6"[..]));
}

#[test]
fn hashes_are_those_of_fnv() {
    // The published test vectors.
    for (text, hash) in [
        ("", 0x811c_9dc5),
        ("a", 0xe40c_292c),
        ("foobar", 0xbf9c_f968),
    ] {
        assert_eq!(fnv_1a(text.as_bytes()), hash);
    }
}

proptest! {
    #[test]
    fn any_text_is_compiled_or_refused(
        source in "[ab.*>$1]{0,8}",
        destination in "(\\{\\{[a-zA-Z]{4,9}\\([0-9 ,-]{0,5}\\)\\}\\}|[a.$12>*é{}() ]){0,5}",
        subject in "[ab.*>é]{0,12}",
    ) {
        if let Ok(transform) = Transform::compile(&source, &destination) {
            let mut asked = false;
            transform.apply(subject.as_bytes(), &mut |bound| { asked = true; bound - 1 });
            transform.rewrite(subject.as_bytes(), &mut |bound| { asked = true; bound - 1 });
            prop_assert!(!asked || transform.depends_on_chance());
        }
    }

    /// There and back is where it began, whatever the order of the wildcards.
    #[test]
    fn the_way_back_undoes(
        order in Just((1..=5usize).collect::<Vec<_>>()).prop_shuffle(),
        words in prop::collection::vec("[a-z*]{1,3}", 5),
        open in any::<bool>(),
    ) {
        let tail = if open { ".>" } else { "" };
        let places: Vec<String> = order.iter().map(|number| format!("${number}")).collect();
        let destination = format!("there.{}{tail}", places.join(".x."));
        let transform = Transform::compile_strict(&format!("here.*.*.y.*.*.*{tail}"), &destination);
        let transform = transform.expect("it compiles");
        let back = transform.reverse().expect("all wildcards are used");
        let rest = if open { ".more.of.it" } else { "" };
        let [a, b, c, d, e] = &words[..] else { unreachable!("five words") };
        let subject = format!("here.{a}.{b}.y.{c}.{d}.{e}{rest}");
        let there = transform.apply(subject.as_bytes(), &mut certain).expect("it fits");
        let again = back.apply(&there, &mut certain).expect("what came from it fits");
        prop_assert_eq!(String::from_utf8(again).expect("text"), subject);
    }
}
