//! Which path is which page, as Go's `net/http` sees it.
//!
//! - A path with empty, `.` or `..` parts is sent to its proper name first. What is a part is decided by what is written: an
//!   escape is a character of a name, never a slash or a dot.
//! - Where somebody is sent is always a path of this server, in characters that mean nothing else to anybody.

use super::pages;

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
    Page(&'static str),
    /// The same place by its proper name.
    Elsewhere(String),
    Nothing,
    /// It is no path, or has an escape that is none.
    Broken,
}

/// What is at `path`, if the pages are below `base` (see [`base_path`]).
pub fn place(path: &str, base: &str) -> Place {
    let Some(name) = unescaped(path).filter(|_| path.starts_with('/')) else {
        return Place::Broken;
    };
    let clean = clean_path(path);
    if clean != path {
        return Place::Elsewhere(escaped(&clean));
    }
    let below = match base {
        "/" => Some(name.as_str()),
        base if name == base => Some("/"),
        base => name
            .strip_prefix(base)
            .filter(|rest| rest.starts_with('/') && *rest != "/"),
    };
    let known = below.and_then(|below| pages::PATHS.iter().find(|path| **path == below));
    known.map_or(Place::Nothing, |path| Place::Page(path))
}

/// The configured path with a slash in front and none behind.
pub fn base_path(configured: &str) -> String {
    let clean = clean_path(&format!("/{configured}"));
    match clean.strip_suffix('/') {
        Some("") | None => clean,
        Some(path) => path.to_owned(),
    }
}

/// A path without empty, `.` and `..` parts, with the slash at its end if it had one.
fn clean_path(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let end = if path.ends_with('/') && !parts.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{end}", parts.join("/"))
}

/// The text without its escapes, as Go's `net/url` reads it; `None` if one is broken.
pub(super) fn unescaped(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    Some(String::from_utf8_lossy(&plain).into_owned())
}

/// The path with escapes for what has no place in one: browsers take a backslash for a slash.
fn escaped(path: &str) -> String {
    let mut shown = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&byte) {
            shown.push(char::from(byte));
        } else {
            shown.push_str(&format!("%{byte:02X}"));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        for (path, clean) in [
            ("/", "/"),
            ("/varz", "/varz"),
            ("/varz/", "/varz/"),
            ("//varz", "/varz"),
            ("/a/../varz", "/varz"),
            ("/../../varz", "/varz"),
            ("/./varz/.", "/varz"),
            ("//", "/"),
            ("", "/"),
        ] {
            assert_eq!(clean_path(path), clean, "{path}");
        }
    }

    #[test]
    fn the_base_path_may_be_written_with_or_without_slashes() {
        for (configured, base) in [
            ("", "/"),
            ("/", "/"),
            ("mon/x/", "/mon/x"),
            ("/mon", "/mon"),
            ("a//b", "/a/b"),
        ] {
            assert_eq!(base_path(configured), base, "{configured}");
        }
    }

    /// As nats-server answers; `tests/monitor/rude_clients.rs` asks it.
    #[test]
    fn escapes_are_characters_of_names() {
        let elsewhere = |path: &str| Place::Elsewhere(path.to_owned());
        for (path, wanted) in [
            ("/varz", Place::Page("/varz")),
            ("/%76arz", Place::Page("/varz")),
            ("/VARZ", Place::Nothing),
            ("/varz%2f", Place::Nothing),
            ("/%2fvarz", Place::Nothing),
            ("/varz%00", Place::Nothing),
            ("/varz%ff", Place::Nothing),
            ("/%2e%2e/varz", Place::Nothing),
            ("/varz%zz", Place::Broken),
            ("/varz%7", Place::Broken),
            ("//varz%", Place::Broken),
            ("varz", Place::Broken),
            ("*", Place::Broken),
            ("", Place::Broken),
            ("%2fvarz", Place::Broken),
            ("/./varz", elsewhere("/varz")),
            ("/.//evil.example/x", elsewhere("/evil.example/x")),
            ("/./\\evil.example", elsewhere("/%5Cevil.example")),
            ("/a//%2f", elsewhere("/a/%2f")),
        ] {
            assert_eq!(place(path, "/"), wanted, "{path}");
        }
        assert_eq!(place("/m%6Fn/varz", "/mon"), Place::Page("/varz"));
        assert_eq!(place("/mon", "/mon"), Place::Page("/"));
        assert_eq!(place("/mon/", "/mon"), Place::Nothing);
        assert_eq!(place("/varz", "/mon"), Place::Nothing);
    }
}
