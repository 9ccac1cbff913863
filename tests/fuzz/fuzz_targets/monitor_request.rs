//! What a request asks the monitor for: any path and any arguments have an answer; nobody is sent in a circle, or to another
//! server.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use trunkline::monitor::path::{Place, base_path, place};
use trunkline::monitor::query::Query;

/// What most requests have somewhere, so that the fuzzer need not find it.
#[derive(Arbitrary, Debug)]
enum Part<'a> {
    Connz,
    Dashboard,
    Base,
    Slash,
    Dots,
    Escape(u8),
    Other(&'a str),
}

impl Part<'_> {
    fn push_to(&self, path: &mut String) {
        match self {
            Part::Connz => path.push_str("connz"),
            Part::Dashboard => path.push_str("dashboard/slow"),
            Part::Base => path.push_str("base"),
            Part::Slash => path.push('/'),
            Part::Dots => path.push_str(".."),
            Part::Escape(byte) => path.push_str(&format!("%{byte:02x}")),
            Part::Other(text) => path.push_str(text),
        }
    }
}

fn text(parts: &[Part<'_>]) -> String {
    let mut text = String::from("/");
    parts.iter().for_each(|part| part.push_to(&mut text));
    text
}

/// Names that pages look for.
const NAMES: [&str; 6] = ["subs", "offset", "limit", "cid", "auth", "sort"];

fuzz_target!(|input: (Vec<Part<'_>>, Vec<Part<'_>>, &str, i64, bool)| {
    let (path, base, arguments, number, is_plain) = input;
    let (path, base) = (text(&path), base_path(&text(&base)));
    assert_eq!(base_path(&base), base);
    assert!(base == "/" || base.starts_with('/') && !base.ends_with('/'));
    match place(&path, &base) {
        Place::Page(page) => assert!(page.starts_with('/')),
        Place::Elsewhere(there) => {
            let mut bytes = there.bytes();
            assert_eq!(bytes.next(), Some(b'/'));
            assert!(!matches!(bytes.next(), Some(b'/' | b'\\')), "{there}");
            assert!(there.bytes().all(|byte| byte.is_ascii_graphic()), "{there}");
            let then = place(&there, &base);
            assert!(!matches!(then, Place::Elsewhere(_) | Place::Broken), "{there}");
        }
        Place::Nothing | Place::Broken => {}
    }

    let query = Query::parse(arguments);
    for name in NAMES {
        let _ = (query.boolean(name), query.integer(name), query.unsigned(name));
    }
    let _ = query.subscriptions();
    if let Ok(page) = query.page() {
        assert!(page.limit > 0);
    }
    // A number among other arguments is found, unless they name it too.
    if is_plain && !arguments.contains(['%', 'o']) {
        let with = Query::parse(&format!("{arguments}&offset={number}"));
        assert!(with.integer("offset") == Ok(number));
    }
});
