//! Users and groups of this machine: from names to numbers, as `/etc/passwd` and `/etc/group` have them.
//!
//! *Control path.* Pure. Whom only a directory service knows can be given by number.

/// Where users of this machine are listed.
pub const USERS_FILE: &str = "/etc/passwd";
/// Where its groups are.
pub const GROUPS_FILE: &str = "/etc/group";

/// The number that `text` is, or that one of these files has for the name. The highest number is nobody's: the kernel says it
/// where it knows none, and takes it for "as it is" where one is to be set.
pub fn number(text: &str, file: &[u8]) -> Option<u32> {
    let number = text.parse().ok().or_else(|| listed(text, file));
    number.filter(|number| *number != NOBODY)
}

const NOBODY: u32 = u32::MAX;

/// Both files have a name, a password and a number first, with colons between them.
fn listed(name: &str, file: &[u8]) -> Option<u32> {
    let mut lines = file.split(|byte| *byte == b'\n');
    lines.find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        if fields.next() != Some(name.as_bytes()) || name.is_empty() {
            return None;
        }
        std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n# a comment\nbroken\n\
        \xFF:x:7:7\nnats:x:4222:4222::/:\nshort:x\nodd:x:many:1\n+::::::\nnone:x:4294967295:\n";

    #[test]
    fn names_become_numbers_and_numbers_stay() {
        for (text, wanted) in [
            ("root", Some(0)),
            ("nats", Some(4222)),
            ("1000", Some(1000)),
            ("4294967294", Some(u32::MAX - 1)),
            ("4294967295", None),
            ("none", None),
            ("4294967296", None),
            ("-1", None),
            ("nat", None),
            ("short", None),
            ("odd", None),
            ("broken", None),
            ("+", None),
            ("", None),
        ] {
            assert_eq!(number(text, FILE), wanted, "{text:?}");
        }
    }
}
