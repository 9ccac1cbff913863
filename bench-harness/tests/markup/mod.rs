//! A checker of markup that knows only what the report writes: every element is closed in its turn, attributes are quoted
//! and not doubled, identifiers occur once, references to them lead somewhere, and `&` begins an entity.

use std::collections::HashSet;

const VOID: [&str; 3] = ["meta", "br", "hr"];
const ENTITIES: [&str; 6] = ["amp;", "lt;", "gt;", "quot;", "apos;", "#39;"];

/// Panics where the page is not well formed.
pub(crate) fn check(page: &str) {
    let mut rest = page
        .strip_prefix("<!DOCTYPE html>")
        .expect("no document type");
    let mut open: Vec<&str> = Vec::new();
    let mut ids: HashSet<&str> = HashSet::new();
    let mut references: Vec<&str> = Vec::new();
    while let Some((text, after)) = rest.split_once('<') {
        check_text(text, open.last().copied());
        let (tag, behind) = after.split_once('>').expect("a tag without an end");
        rest = behind;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(
                open.pop(),
                Some(name),
                "closed out of turn, before {:.80}",
                rest
            );
            continue;
        }
        let (tag, closed) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(
            name.chars().all(|c| c.is_ascii_alphanumeric()),
            "no element: {tag}"
        );
        for (attribute, value) in parse_attributes(attributes) {
            match attribute {
                "id" => assert!(ids.insert(value), "{value} twice"),
                "aria-labelledby" => references.extend(value.split(' ')),
                _ => {}
            }
        }
        if !closed && !VOID.contains(&name) {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<&str>::new(), "left open");
    assert!(rest.trim().is_empty(), "text after the document: {rest}");
    for reference in references {
        assert!(ids.contains(reference), "nothing is called {reference}");
    }
}

fn check_text(text: &str, element: Option<&str>) {
    if element == Some("style") {
        return;
    }
    assert!(!text.contains('>'), "a stray > in {text}");
    for entity in text.split('&').skip(1) {
        assert!(
            ENTITIES.iter().any(|known| entity.starts_with(known)),
            "a bare & before {entity}"
        );
    }
}

fn parse_attributes(mut text: &str) -> Vec<(&str, &str)> {
    let mut attributes: Vec<(&str, &str)> = Vec::new();
    while !text.trim().is_empty() {
        let (name, after) = text.split_once("=\"").expect("an attribute without quotes");
        let (value, rest) = after.split_once('"').expect("a quote without its end");
        let name = name.trim();
        assert!(!name.contains([' ', '"']), "no attribute: {name}");
        assert!(
            !attributes.iter().any(|(other, _)| *other == name),
            "{name} twice"
        );
        check_text(value, None);
        attributes.push((name, value));
        text = rest;
    }
    attributes
}

#[test]
fn it_finds_what_is_wrong() {
    let wrong = [
        "<p></p>",
        "<!DOCTYPE html><p><b></p></b>",
        "<!DOCTYPE html><p>",
        "<!DOCTYPE html><p class=x></p>",
        "<!DOCTYPE html><p>a & b</p>",
        "<!DOCTYPE html><p id=\"a\"></p><p id=\"a\"></p>",
        "<!DOCTYPE html><p id=\"a\" id=\"b\"></p>",
        "<!DOCTYPE html><p aria-labelledby=\"a\"></p>",
    ];
    for page in wrong {
        assert!(
            std::panic::catch_unwind(|| check(page)).is_err(),
            "not found in {page}"
        );
    }
    check("<!DOCTYPE html>\n<p id=\"a\" class=\"b\">c &amp; d<br></p>\n");
}
