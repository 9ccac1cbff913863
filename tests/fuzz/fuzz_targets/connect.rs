//! The JSON of CONNECT: no panic, all or nothing, and saying the same again changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline::protocol::connect::ConnectOptions;

fuzz_target!(|input: (&[u8], &[u8])| {
    let (first, second) = input;
    let mut options = ConnectOptions::default();
    for json in [first, second] {
        let before = options.clone();
        match options.merge(json) {
            Ok(()) => {
                let once = options.clone();
                assert!(options.merge(json).is_ok(), "what was right is right again");
                assert_eq!(options, once);
            }
            Err(_) => assert_eq!(options, before),
        }
        let _ = options.label();
    }
});
