//! The rules of `tests/tidy.rs` on snippets that break them: a rule that cannot fail holds nothing.

use super::*;

fn source(path: &str, text: &str) -> Source {
    Source::new(path, text)
}

#[track_caller]
fn assert_found(faults: &[String], expected: &[&str]) {
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, part) in faults.iter().zip(expected) {
        assert!(fault.contains(part), "{fault} does not speak of {part}");
    }
}

#[test]
fn arrows_that_point_up_are_found() {
    let upward = "use crate::session::client::Client;\nuse crate::base::ids::ShardId;\n";
    assert_found(
        &arrows(&source("src/mesh/mod.rs", upward)),
        &["mod.rs:1: `mesh` must not use `session`"],
    );
    let grouped =
        "use crate::{\n    base::ids,\n    runtime::{probe, thread},\n    shard::Shard,\n};\n";
    assert_found(
        &arrows(&source("src/shard/mod.rs", grouped)),
        &["mod.rs:3: `shard` must not use `runtime`"],
    );
    let in_passing = "fn f() -> crate::supervisor::Broker { todo }\n";
    assert_found(
        &arrows(&source("src/runtime/pump.rs", in_passing)),
        &["`supervisor`"],
    );
    let around = "use super::super::router::Router;\n";
    assert_found(
        &arrows(&source("src/interest/trie.rs", around)),
        &["`router`"],
    );
    assert_found(&arrows(&source("src/parlour/mod.rs", "")), &["new room"]);
}

#[test]
fn within_a_line_only_listed_uses_are_allowed() {
    assert_found(
        &arrows(&source("src/router/mod.rs", "use crate::mesh::Mesh;")),
        &[],
    );
    assert_found(
        &arrows(&source("src/mesh/mod.rs", "use crate::router::Router;")),
        &["`router`"],
    );
    assert_found(
        &arrows(&source("src/subject/mod.rs", "use crate::config::Options;")),
        &["`config`"],
    );
}

#[test]
fn comments_and_strings_are_no_uses() {
    let quoted = "// use crate::supervisor;\n/* crate::shard */\nconst A: &str = \"crate::shard\";\n\
                  const B: &str = r#\"crate::\"shard\"#;\nconst C: char = '\"'; // crate::shard\n";
    assert_found(&arrows(&source("src/base/mod.rs", quoted)), &[]);
    let inside = "#[cfg(test)]\nmod tests {\n    use super::super::ids::ShardId;\n}\n";
    assert_found(&arrows(&source("src/base/slab.rs", inside)), &[]);
}

#[test]
fn words_beyond_their_fence_are_found() {
    let text = "use glommio::Task;\nasync fn f() { g().await }\nlet now = Instant::now();\nuse std::fs;\n\
                let s: TcpStream;\nlet l: TcpListener;\nlet t = SystemTime::now();\nunsafe { x() }\n";
    let faults = fences(&source("src/shard/mod.rs", text));
    assert_found(
        &faults,
        &[
            "glommio",
            "unsafe",
            "async",
            "await",
            "TcpStream",
            "TcpListener",
            "std::fs",
            "Instant::now",
            "SystemTime::now",
        ],
    );
    assert_found(&fences(&source("src/runtime/pump.rs", text)), &[]);
    assert_found(&fences(&source("tests/sim.rs", text)), &["unsafe"]);
    assert_found(&fences(&source("src/lib.rs", "#![deny(unsafe_code)]")), &[]);
}

#[test]
fn a_harness_that_borrows_the_router_is_found() {
    let text = "use trunkline::protocol::op;\nuse trunkline::router::Router;\n";
    assert_found(
        &harness_uses(&source("bench-harness/src/lib.rs", text)),
        &["rs:2"],
    );
    assert_found(
        &harness_uses(&source("bench-harness/benches/micro/router.rs", text)),
        &[],
    );
    assert_found(
        &harness_uses(&source("bench-harness/src/benches/a.rs", text)),
        &["rs:2"],
    );
}

#[test]
fn a_missing_header_is_found() {
    assert_found(
        &opens_with_a_header(&source("src/a.rs", "use std::fmt;\n")),
        &["begins without"],
    );
    assert_found(&opens_with_a_header(&source("src/a.rs", "//! A.\n")), &[]);
}

#[test]
fn a_long_file_is_found_and_its_tests_do_not_count() {
    let long = "let a = 1;\n".repeat(CODE_LINES_MAX + 1);
    assert_found(&length(&source("src/a.rs", &long)), &["801 lines of code"]);
    let most = "let a = 1;\n\n// why\n".repeat(CODE_LINES_MAX);
    let tests = "#[cfg(test)]\nmod tests {\nlet b = 2;\n}\n";
    assert_found(&length(&source("src/a.rs", &format!("{most}{tests}"))), &[]);
}

#[test]
fn names_that_say_nothing_are_found() {
    assert_found(&module_names(&source("src/base/util.rs", "")), &["`util`"]);
    assert_found(
        &module_names(&source("src/common/ids.rs", "")),
        &["`common`"],
    );
    assert_found(
        &module_names(&source("src/base/ids.rs", "pub(crate) mod helpers {}\n")),
        &["`helpers`"],
    );
    assert_found(
        &module_names(&source("src/base/ids.rs", "impl A {}\nmod module;\n")),
        &[],
    );
}

#[test]
fn what_is_unfinished_is_found() {
    let text = "fn a() { todo!() }\nfn b() { unimplemented!() }\nfn c() { dbg!(1); }\n#[ignore]\n#[ignore = \"\"]\n\
                #[ignore = \"takes an hour; nightly runs it\"]\n// todo! is a macro\n";
    assert_found(
        &unfinished_code(&source("src/a.rs", text)),
        &["todo!", "unimplemented!", "dbg!", "rs:4", "rs:5"],
    );
    let note = concat!("# TO", "DO: later\nmktemp aXX", "XXXX\n");
    assert_found(&notes_to_oneself("a.sh", note), &["a.sh:1"]);
}

#[test]
fn an_unsafe_without_a_reason_is_found() {
    let bare = "let a = unsafe { b() };\n";
    assert_found(
        &unsafe_says_why(&source("src/runtime/a.rs", bare)),
        &["rs:1"],
    );
    let other = "// SAFETY: fine.\nlet a = unsafe { b() };\nlet c = unsafe { d() };\n";
    assert_found(
        &unsafe_says_why(&source("src/runtime/a.rs", other)),
        &["rs:3"],
    );
    let spread =
        "// SAFETY: b outlives the call,\n// and so does c.\nlet a =\n    unsafe { b() };\n";
    assert_found(&unsafe_says_why(&source("src/runtime/a.rs", spread)), &[]);
    let function =
        "/// Does it.\nunsafe fn f() {}\n/// # Safety\n/// Never twice.\npub unsafe fn g() {}\n";
    assert_found(
        &unsafe_says_why(&source("src/runtime/a.rs", function)),
        &["rs:2"],
    );
}

#[test]
fn a_path_of_one_machine_is_found() {
    let text = concat!(
        "see /ho",
        "me/ann/x\nhttps://example.org/ho",
        "me/\n\"/wo",
        "rk/x\"\ncd ~/wo",
        "rk/\n"
    );
    assert_found(&paths_of_one_machine("a.md", text), &["a.md:1", "a.md:3"]);
}

#[test]
fn an_unlisted_decision_is_found() {
    let readme = "| [0001](0001-a.md) | A |\n";
    assert_found(
        &decisions_are_listed(readme, &["0001-a.md", "0002-b.md"]),
        &["0002-b.md"],
    );
}

#[test]
fn an_unexplained_room_is_found() {
    let lib = "//! | [`base`] | ids |\npub mod base;\npub mod mesh;\n";
    assert_found(
        &rooms_are_explained(&source("src/lib.rs", lib)),
        &["`mesh`"],
    );
}

#[test]
fn exceptions_nobody_needs_are_found() {
    assert_eq!(
        idle_exceptions(&[]).len(),
        FENCE_EXCEPTIONS.len() + HARNESS_EXCEPTIONS.len() + LONG_FILES.len()
    );
}
