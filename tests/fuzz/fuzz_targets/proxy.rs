//! PROXY headers: arbitrary bytes have an answer, and the same one however they are cut: partial until they are decided.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use trunkline::wire::proxy::{HEADER_BYTES_MAX, Header, parse, unfinished};

#[derive(Arbitrary, Debug)]
enum Start {
    Nothing,
    Text,
    Binary,
}

fuzz_target!(|input: (Start, &[u8])| {
    let (start, bytes) = input;
    let start: &[u8] = match start {
        Start::Nothing => b"",
        Start::Text => b"PROXY TCP",
        Start::Binary => b"\r\n\r\n\0\r\nQUIT\n",
    };
    let bytes = [start, bytes].concat();
    let whole = parse(&bytes);
    if let Ok(Header::Present { len, .. }) = whole {
        assert!(len <= bytes.len() && len <= HEADER_BYTES_MAX);
        assert_eq!(parse(&bytes[..len]), whole);
    }
    let mut is_decided = false;
    for cut in 0..=bytes.len() {
        match parse(&bytes[..cut]) {
            Ok(Header::Partial { .. }) => {
                assert!(!is_decided, "what is decided stays so");
                unfinished(&bytes[..cut]);
            }
            decided => {
                is_decided = true;
                assert_eq!(decided, whole);
            }
        }
    }
});
