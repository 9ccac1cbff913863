//! Transforms: no panic, the same result for the same subject, and a way back that leads back.
//!
//! The first text is the source, the second the destination, the third a subject.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline::subject::{Destination, Mappings, Transform};

fuzz_target!(|input: (&str, &str, &[u8], u8)| {
    let (source, destination, subject, weight) = input;
    if let Ok(transform) = Transform::compile(source, destination) {
        let mut asked = false;
        let mut random = |bound: u32| {
            asked = true;
            bound - 1
        };
        let first = transform.apply(subject, &mut random);
        assert_eq!(first, transform.apply(subject, &mut random));
        transform.rewrite(subject, &mut random);
        assert!(!asked || transform.depends_on_chance());
        if let (Some(there), Some(back)) = (first, transform.reverse()) {
            // A token that has become another number of tokens cannot be known again: only `wildcard` is reversible.
            assert_eq!(back.apply(&there, &mut |_| 0).as_deref(), Some(subject));
        }
    }
    if let Ok(transform) = Transform::compile_strict(source, destination) {
        assert_eq!(Ok(transform), Transform::compile(source, destination));
    }
    let mut mappings = Mappings::default();
    let one = Destination {
        subject: destination,
        weight,
        cluster: None,
    };
    if mappings.add(source, &[one], None).is_ok() {
        assert!(weight <= 100);
        if let Some(mapping) = mappings.find(subject) {
            mapping.map(subject, &mut |bound| bound - 1);
        }
    }
});
