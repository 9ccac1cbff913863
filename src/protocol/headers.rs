//! Header blocks: `NATS/1.0[ status]\r\nKey: value\r\n…\r\n`. *Control path.*
//!
//! Reads leniently and changes only what it is asked to: what publishers send is theirs (nats-server `client.go`).

const VERSION: &[u8] = b"NATS/1.0\r\n";
const CRLF: &[u8] = b"\r\n";

/// A block with `value` as the only header of that name, last. `block` may be empty: there were no headers.
pub fn with(block: &[u8], name: &str, value: &[u8]) -> Vec<u8> {
    let kept = block.strip_suffix(CRLF).filter(|kept| !kept.is_empty());
    let mut whole = Vec::with_capacity(block.len() + VERSION.len() + name.len() + value.len() + 6);
    match kept {
        None => whole.extend_from_slice(VERSION),
        Some(kept) => {
            for line in kept.split_inclusive(|byte| *byte == b'\n') {
                if !is_named(line, name) {
                    whole.extend_from_slice(line);
                }
            }
        }
    }
    for part in [name.as_bytes(), b": ", value, CRLF, CRLF] {
        whole.extend_from_slice(part);
    }
    whole
}

/// The headers of a block, in order, without white space around the values.
pub fn iter(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = block.split(|byte| *byte == b'\n').skip(1);
    lines.filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}

/// Whether a line is the header of that name, spelled exactly so.
fn is_named(line: &[u8], name: &str) -> bool {
    let after = line.strip_prefix(name.as_bytes());
    after.is_some_and(|after| after.first() == Some(&b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(block: &str) -> String {
        String::from_utf8(with(block.as_bytes(), "Key", b"new")).expect("text")
    }

    #[test]
    fn a_header_is_added_last_and_takes_the_place_of_others_of_its_name() {
        for (before, after) in [
            ("", "NATS/1.0\r\nKey: new\r\n\r\n"),
            ("NATS/1.0\r\n\r\n", "NATS/1.0\r\nKey: new\r\n\r\n"),
            ("NATS/1.0 503\r\n\r\n", "NATS/1.0 503\r\nKey: new\r\n\r\n"),
            (
                "NATS/1.0\r\nA: 1\r\nKey: old\r\nKeys: x\r\nKey:old\r\n\r\n",
                "NATS/1.0\r\nA: 1\r\nKeys: x\r\nKey: new\r\n\r\n",
            ),
        ] {
            assert_eq!(told(before), after, "{before:?}");
        }
    }

    #[test]
    fn headers_are_read_in_order() {
        let block = b"NATS/1.0 100 idle\r\nA: 1\r\nB:  two \r\nA:3\r\nnot one\r\n\r\n";
        let found: Vec<(&[u8], &[u8])> = iter(block).collect();
        let wanted: [(&[u8], &[u8]); 3] = [(b"A", b"1"), (b"B", b"two"), (b"A", b"3")];
        assert_eq!(found, wanted);
    }
}
