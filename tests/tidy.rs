//! The project's own rules about its files: which room may use which, where the outside world may be touched, how files
//! begin, how long they get, and what must not be left behind.
//!
//! Reads text and nothing else; what needs types is clippy's. Every rule is one function from a file to its faults, and is tried on
//! a deliberately bad snippet in `tidy/snippets.rs`, so that a rule that can no longer fail is noticed. A fault says what to
//! do; where a rule has exceptions they are a list with reasons, and an exception that nobody needs is a fault too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "tidy/reader.rs"]
mod reader;
#[path = "tidy/snippets.rs"]
mod snippets;

use reader::{Source, names_after, words};

// ---------------------------------------------------------------------------------------------------------------------
// The tables: what is allowed, and why.

/// The rooms of `src`, lowest first. A room uses rooms above its own line only; within a line see [`WITHIN_A_LINE`].
/// Rooms that do not exist yet are here too, so that they are born in their place.
const LINES: &[(&[&str], &str)] = &[
    (
        &["base"],
        "it knows nothing of NATS, so that everything may stand on it",
    ),
    (
        &["top"],
        "it is a program of its own, which knows of a server only what any monitor port says",
    ),
    (
        &["subject", "config"],
        "they turn text into checked values, whoever asks",
    ),
    (
        &["protocol", "wire"],
        "they know bytes and operations, not who sends them nor what follows from them",
    ),
    (
        &["interest", "account", "auth"],
        "they answer questions about who wants and who may; they send nothing",
    ),
    (
        &["mesh", "router"],
        "they bring messages from a publisher to outboxes and lanes; they do not know what a session is",
    ),
    (
        &["session", "jetstream"],
        "they speak for one peer or one stream; they do not know of other sessions, nor of the shard",
    ),
    (
        &["shard"],
        "it is one core's state machine, sans-IO: the simulator must be able to drive it without a kernel",
    ),
    (
        &["runtime"],
        "it drives shards; what it needs to be told comes as a directive",
    ),
    (
        &["monitor", "system"],
        "they read snapshots and emit directives",
    ),
    (
        &["supervisor"],
        "it starts and stops everything, and only the binary starts it",
    ),
];

/// Uses between two rooms of one line.
const WITHIN_A_LINE: &[(&str, &str, &str)] = &[
    (
        "system",
        "monitor",
        "its answers are the monitor's pages, made by the same code on the same thread",
    ),
    (
        "router",
        "mesh",
        "a delivery to another shard is an item in the open parcel of its lane",
    ),
    (
        "interest",
        "account",
        "what a stream import brings is interest in the exporting account",
    ),
    (
        "config",
        "subject",
        "options are checked when they are read, and subjects are among them",
    ),
];

/// A word, the rooms where it may stand, and why nowhere else.
struct Fence {
    word: &'static str,
    rooms: &'static [&'static str],
    why: &'static str,
}

const FENCES: &[Fence] = &[
    Fence {
        word: "glommio",
        rooms: &["runtime"],
        why: "it is dormant upstream and we want to be able to move: only `runtime` shows its face",
    },
    Fence {
        word: "unsafe",
        rooms: &["runtime"],
        why: "only io_uring's memory needs it; everything else is proven by the compiler",
    },
    Fence {
        word: "async",
        rooms: &["runtime", "supervisor", "monitor", "system"],
        why: "turns do not await: a shard takes bytes and time and gives back effects",
    },
    Fence {
        word: "await",
        rooms: &["runtime", "supervisor", "monitor", "system"],
        why: "turns do not await: a shard takes bytes and time and gives back effects",
    },
    Fence {
        word: "TcpStream",
        rooms: &["runtime", "monitor"],
        why: "sockets are the ring's; the monitor's are its own executor's",
    },
    Fence {
        word: "TcpListener",
        rooms: &["runtime", "monitor"],
        why: "sockets are the ring's; the monitor's are its own executor's",
    },
    Fence {
        word: "std::fs",
        rooms: &["runtime"],
        why: "a file can block a whole shard",
    },
    Fence {
        word: "Instant::now",
        rooms: &["runtime"],
        why: "time is an argument (`base::clock::Now`), so that the simulator can own it",
    },
    Fence {
        word: "SystemTime::now",
        rooms: &["runtime"],
        why: "time is an argument (`base::clock::Now`), so that the simulator can own it",
    },
];

/// Files that may climb a fence.
const FENCE_EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "src/supervisor/config_file.rs",
        "std::fs",
        "configuration files, read on the main thread before the shards start",
    ),
    (
        "src/supervisor/process_files.rs",
        "std::fs",
        "pid and ports file, written on the main thread at start and stop, where blocking harms nobody",
    ),
    (
        "src/supervisor/signal_command.rs",
        "std::fs",
        "reads a pid file and /proc in a process that is no broker",
    ),
    (
        "src/top/fetch.rs",
        "Instant::now",
        "rates need the time, and no shard runs in the process of `trunkline top`",
    ),
    (
        "src/top/fetch.rs",
        "std::fs",
        "reads certificates in a process that is no broker",
    ),
    (
        "src/top/mod.rs",
        "std::fs",
        "writes what `-o` asks for, in a process that is no broker",
    ),
    (
        "tests/clients/rust/src/server.rs",
        "unsafe",
        "signals the broker it has started, with kill(2); it depends on no crate that could do it safely",
    ),
];

/// Files with more than [`CODE_LINES_MAX`] lines of code.
const LONG_FILES: &[(&str, &str)] = &[];
const CODE_LINES_MAX: usize = 800;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "common", "helpers", "helper", "misc", "types", "manager", "impl",
];

/// What the load generator may use of the broker: nothing that decides whether a message arrives.
const HARNESS_MAY_USE: &[&str] = &["protocol", "subject"];

/// Parts of the load generator that may use all of the broker, and why.
const HARNESS_EXCEPTIONS: &[(&str, &str)] = &[
    (
        "bench-harness/benches/",
        "they count the instructions of the broker's parts, and judge nothing that it does",
    ),
    (
        "bench-harness/examples/pieces.rs",
        "it times what a shard answers the monitor, and judges nothing that it does",
    ),
];

// ---------------------------------------------------------------------------------------------------------------------
// The rules.

type Faults = Vec<String>;

/// `crate::X` and `super::…::X` in `src` lead downwards only.
fn arrows(source: &Source) -> Faults {
    let Some(room) = source.room() else {
        return Faults::new();
    };
    let Some((line, why)) = line_of(room) else {
        return vec![format!(
            "{}: `{room}` is a new room: give it a place in LINES of tests/tidy.rs",
            source.path
        )];
    };
    let mut faults = Faults::new();
    for (number, used) in source.crate_uses() {
        let place = format!("{}:{number}", source.path);
        let Some((used_line, _)) = line_of(&used) else {
            faults.push(format!(
                "{place}: `{used}` has no place in LINES of tests/tidy.rs"
            ));
            continue;
        };
        let is_allowed = used == room
            || used_line < line
            || WITHIN_A_LINE
                .iter()
                .any(|(from, to, _)| *from == room && *to == used);
        if !is_allowed {
            faults.push(format!(
                "{place}: `{room}` must not use `{used}`: arrows point down only, and of `{room}` it holds that {why}. \
                 A value or a parent is missing"
            ));
        }
    }
    faults
}

fn line_of(room: &str) -> Option<(usize, &'static str)> {
    LINES
        .iter()
        .enumerate()
        .find(|(_, (rooms, _))| rooms.contains(&room))
        .map(|(line, (_, why))| (line, *why))
}

/// Words of [`FENCES`] stand only where they may. `unsafe` is looked for everywhere, the others in `src`.
fn fences(source: &Source) -> Faults {
    let mut faults = Faults::new();
    for fence in FENCES {
        if !source.path.starts_with("src/") && fence.word != "unsafe" {
            continue;
        }
        let is_inside = source
            .room()
            .is_some_and(|room| fence.rooms.contains(&room));
        let is_excepted = FENCE_EXCEPTIONS
            .iter()
            .any(|(path, word, _)| *path == source.path && *word == fence.word);
        if is_inside || is_excepted {
            continue;
        }
        for number in words(&source.code, fence.word) {
            faults.push(format!(
                "{}:{number}: `{}` belongs in src/{{{}}} only: {}",
                source.path,
                fence.word,
                fence.rooms.join(","),
                fence.why
            ));
        }
    }
    faults
}

/// The load generator uses nothing of the broker that decides correctness.
fn harness_uses(source: &Source) -> Faults {
    let is_excepted = |(folder, _): &(&str, &str)| source.path.starts_with(folder);
    if HARNESS_EXCEPTIONS.iter().any(is_excepted) {
        return Faults::new();
    }
    let fault = |(number, used): (usize, String)| {
        format!(
            "{}:{number}: the harness must not use `trunkline::{used}`: what it measures must not also judge it",
            source.path
        )
    };
    uses_of_a_judge(source).into_iter().map(fault).collect()
}

/// What a file of the load generator uses beyond [`HARNESS_MAY_USE`], with the line.
fn uses_of_a_judge(source: &Source) -> Vec<(usize, String)> {
    if !source.path.starts_with("bench-harness/") {
        return Vec::new();
    }
    let mut uses = names_after(&source.code, "trunkline");
    uses.retain(|(_, used)| !HARNESS_MAY_USE.contains(&used.as_str()));
    uses
}

/// Every file says first what it is.
fn opens_with_a_header(source: &Source) -> Faults {
    if source.text.starts_with("//!") {
        return Faults::new();
    }
    vec![format!(
        "{}: begins without `//!`: say first what it is, what always holds, what it will not do",
        source.path
    )]
}

/// A file above [`CODE_LINES_MAX`] is on [`LONG_FILES`] with its reason.
fn length(source: &Source) -> Faults {
    let lines = source.code_lines();
    if lines <= CODE_LINES_MAX || LONG_FILES.iter().any(|(path, _)| *path == source.path) {
        return Faults::new();
    }
    vec![format!(
        "{}: {lines} lines of code, more than {CODE_LINES_MAX}: is it two things? If not, it goes on LONG_FILES of \
         tests/tidy.rs with the reason",
        source.path
    )]
}

/// No file, folder or module has a name that says nothing.
fn module_names(source: &Source) -> Faults {
    let path = Path::new(&source.path).with_extension("");
    let parts = path
        .components()
        .filter_map(|part| part.as_os_str().to_str());
    let mut found: BTreeSet<String> = parts
        .filter(|part| EMPTY_NAMES.contains(part))
        .map(str::to_owned)
        .collect();
    for line in source.code.lines() {
        let mut tokens = line
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .skip_while(|token| *token != "mod");
        if let (Some(_), Some(name)) = (tokens.next(), tokens.next())
            && EMPTY_NAMES.contains(&name)
        {
            found.insert(name.to_owned());
        }
    }
    let fault = |name: &String| {
        format!(
            "{}: a module called `{name}` says nothing about what is in it",
            source.path
        )
    };
    found.iter().map(fault).collect()
}

/// Nothing unfinished is left: no placeholder macro, no test ignored without a reason.
fn unfinished_code(source: &Source) -> Faults {
    let mut faults = Faults::new();
    for word in ["todo!", "unimplemented!", "dbg!"] {
        for number in words(&source.code, word) {
            faults.push(format!("{}:{number}: `{word}` is left behind", source.path));
        }
    }
    for (line, number) in source.code.lines().zip(1..) {
        let bare: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        if bare.contains("#[ignore]") || bare.contains("#[ignore=\"\"]") {
            faults.push(format!(
                "{}:{number}: a test is ignored without a reason: `#[ignore = \"why, and who runs it\"]`",
                source.path
            ));
        }
    }
    faults
}

/// No note to oneself is left in a comment (Rust) or anywhere (other files).
fn notes_to_oneself(path: &str, text: &str) -> Faults {
    let mut faults = Faults::new();
    for word in [
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("XX", "X"),
    ] {
        for number in words(text, word) {
            faults.push(format!(
                "{path}:{number}: `{word}` is left behind: do it, or open an issue and say which"
            ));
        }
    }
    faults
}

/// Every `unsafe` says why it is sound: a block or an `impl` with `// SAFETY:` above, a function with `# Safety`.
fn unsafe_says_why(source: &Source) -> Faults {
    let code: Vec<&str> = source.code.lines().collect();
    let comments: Vec<&str> = source.comments.lines().collect();
    let mut faults = Faults::new();
    for number in words(&source.code, "unsafe") {
        let index = number - 1;
        let wanted = if code[index].contains("unsafe fn") {
            "# Safety"
        } else {
            "SAFETY:"
        };
        // Upwards over the rest of the statement, a few lines at most, and then over one run of comments.
        let mut above = index;
        let mut statement_lines = 0;
        while above > 0
            && comments[above - 1].trim().is_empty()
            && statement_lines < 3
            && !code[above - 1].trim_end().ends_with([';', '}'])
        {
            above -= 1;
            statement_lines += 1;
        }
        let run = (0..above)
            .rev()
            .take_while(|line| !comments[*line].trim().is_empty())
            .any(|line| comments[line].contains(wanted));
        if !run {
            faults.push(format!(
                "{}:{number}: `unsafe` without `{wanted}` above: say why it is sound",
                source.path
            ));
        }
    }
    faults
}

/// No path of one person's machine.
fn paths_of_one_machine(path: &str, text: &str) -> Faults {
    let mut faults = Faults::new();
    for home in [
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/wo", "rk/"),
    ] {
        for (line, number) in text.lines().zip(1..) {
            let stands_first = |at: usize| {
                let before = line[..at].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || "._-~}/)".contains(c))
            };
            if line.match_indices(home).any(|(at, _)| stands_first(at)) {
                faults.push(format!(
                    "{path}:{number}: `{home}…` is a place on one machine; the repository must work in any clone"
                ));
            }
        }
    }
    faults
}

/// Every page in docs/decisions is linked from its README.
fn decisions_are_listed(readme: &str, pages: &[&str]) -> Faults {
    let fault = |page: &&str| {
        format!("docs/decisions/README.md: {page} is not listed: nobody will find the decision")
    };
    pages
        .iter()
        .filter(|page| !readme.contains(&format!("({page})")))
        .map(fault)
        .collect()
}

/// Every room is explained in the table of src/lib.rs.
fn rooms_are_explained(lib: &Source) -> Faults {
    let mut faults = Faults::new();
    for line in lib.code.lines() {
        let Some(room) = line.trim().strip_prefix("pub mod ") else {
            continue;
        };
        let room = room.trim_end_matches(';');
        if !lib.comments.contains(&format!("| [`{room}`]")) {
            faults.push(format!(
                "src/lib.rs: `{room}` is missing from the table of rooms in the header"
            ));
        }
    }
    faults
}

/// Exceptions that nobody needs any more.
fn idle_exceptions(sources: &[Source]) -> Faults {
    let find = |path: &str| sources.iter().find(|source| source.path == path);
    let mut faults = Faults::new();
    for (path, word, _) in FENCE_EXCEPTIONS {
        if find(path).is_none_or(|source| words(&source.code, word).is_empty()) {
            faults.push(format!(
                "tests/tidy.rs: {path} does not use `{word}`: take it off FENCE_EXCEPTIONS"
            ));
        }
    }
    for (folder, _) in HARNESS_EXCEPTIONS {
        let needs_it = |source: &Source| {
            source.path.starts_with(folder) && !uses_of_a_judge(source).is_empty()
        };
        if !sources.iter().any(needs_it) {
            faults.push(format!(
                "tests/tidy.rs: {folder} uses no more of the broker than all of the harness may: take it off \
                 HARNESS_EXCEPTIONS"
            ));
        }
    }
    for (path, _) in LONG_FILES {
        if find(path).is_none_or(|source| source.code_lines() <= CODE_LINES_MAX) {
            faults.push(format!(
                "tests/tidy.rs: {path} is not long: take it off LONG_FILES"
            ));
        }
    }
    faults
}

// ---------------------------------------------------------------------------------------------------------------------
// The rules on the repository.

#[test]
fn rooms_use_only_rooms_below() {
    hold(rust_faults(arrows));
}

#[test]
fn the_outside_world_is_touched_in_its_room_only() {
    hold(rust_faults(fences));
}

#[test]
fn the_harness_uses_nothing_that_decides_correctness() {
    hold(rust_faults(harness_uses));
}

#[test]
fn every_file_opens_with_a_header() {
    hold(rust_faults(opens_with_a_header));
}

#[test]
fn long_files_have_a_reason() {
    hold(rust_faults(length));
}

#[test]
fn module_names_say_something() {
    hold(rust_faults(module_names));
}

#[test]
fn nothing_unfinished_is_left() {
    let mut faults = rust_faults(unfinished_code);
    faults.extend(rust_faults(|source| {
        notes_to_oneself(&source.path, &source.comments)
    }));
    for (path, text) in texts() {
        // A lock file's checksums may spell anything.
        let is_lock = path.ends_with(".lock") || path.ends_with("package-lock.json");
        if !path.ends_with(".rs") && !is_lock {
            faults.extend(notes_to_oneself(&path, &text));
        }
    }
    hold(faults);
}

#[test]
fn every_unsafe_says_why_it_is_sound() {
    hold(rust_faults(unsafe_says_why));
}

#[test]
fn no_file_names_a_place_on_one_machine() {
    let faults = texts()
        .iter()
        .flat_map(|(path, text)| paths_of_one_machine(path, text))
        .collect();
    hold(faults);
}

#[test]
fn every_decision_is_listed() {
    let paths = paths();
    let pages: Vec<&str> = paths
        .iter()
        .filter_map(|path| path.strip_prefix("docs/decisions/"))
        .filter(|page| *page != "README.md" && page.ends_with(".md"))
        .collect();
    assert!(!pages.is_empty(), "docs/decisions has no pages");
    hold(decisions_are_listed(
        &read("docs/decisions/README.md"),
        &pages,
    ));
}

#[test]
fn every_room_is_explained() {
    hold(rooms_are_explained(&Source::new(
        "src/lib.rs",
        &read("src/lib.rs"),
    )));
}

#[test]
fn every_exception_is_needed() {
    hold(idle_exceptions(&sources()));
}

fn hold(faults: Faults) {
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

fn rust_faults(rule: impl Fn(&Source) -> Faults) -> Faults {
    let sources = sources();
    assert!(sources.len() > 20, "only {} files found", sources.len());
    sources.iter().flat_map(rule).collect()
}

fn sources() -> Vec<Source> {
    let is_rust = |path: &String| path.ends_with(".rs");
    paths()
        .into_iter()
        .filter(is_rust)
        .map(|path| Source::new(&path, &read(&path)))
        .collect()
}

/// All files that are text, with their paths.
fn texts() -> Vec<(String, String)> {
    paths()
        .into_iter()
        .filter_map(|path| {
            let text = String::from_utf8(fs::read(root().join(&path)).ok()?).ok()?;
            Some((path, text))
        })
        .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The repository's files, from its root: those that git knows or would add, or, without git, all that is not built.
fn paths() -> Vec<String> {
    let listed = paths_by_git().unwrap_or_default();
    // In an unpacked archive git may find some other repository around it.
    let mut paths = if listed.iter().any(|path| path == "Cargo.toml") {
        listed
    } else {
        let mut found = Vec::new();
        walk(root(), &mut found);
        found
    };
    // A file that was deleted and not yet committed is still listed.
    paths.retain(|path| root().join(path).is_file());
    paths.sort();
    paths.dedup();
    paths
}

fn paths_by_git() -> Option<Vec<String>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let names = text.split('\0').filter(|name| !name.is_empty());
    output
        .status
        .success()
        .then(|| names.map(str::to_owned).collect())
}

fn walk(folder: &Path, found: &mut Vec<String>) {
    const BUILT: &[&str] = &[
        "target",
        ".git",
        "node_modules",
        ".venv",
        "artifacts",
        "corpus",
        "__pycache__",
    ];
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() {
            if !BUILT.contains(&name) {
                walk(&path, found);
            }
        } else if let Some(text) = relative(&path) {
            found.push(text);
        }
    }
}

fn relative(path: &Path) -> Option<String> {
    let relative: PathBuf = path.strip_prefix(root()).ok()?.into();
    relative.to_str().map(str::to_owned)
}
