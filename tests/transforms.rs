//! Transforms and mappings beside the real `nats-server`: hundreds of generated mappings, the same subjects through both.
//!
//! What we compile, nats-server takes in its configuration file, and maps subjects to what we map them to; what we refuse,
//! it refuses in the same words. The mappings are the same in every run: they come from fixed seeds.

// The rules on clocks, sockets and threads are for the broker, not for those who talk to it from outside.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::{Launch, RawClient, Server};
use trunkline::base::rng::Rng;
use trunkline::subject::{Destination, Mapped, Mapping, Mappings, Subject, Transform};

/// Destination, weight, cluster.
type Weighed = (&'static str, u8, &'static str);

/// A mapping of one destination, as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sample {
    source: String,
    destination: String,
}

#[test]
fn what_is_compiled_maps_as_in_nats_server() {
    let mut rng = Rng::from_seed(15);
    let samples = numbered_samples(&mut rng, 2500);
    let (valid, _): (Vec<_>, Vec<_>) = samples.iter().partition(|one| one.compile().is_ok());
    assert!(valid.len() > 500, "only {} are valid", valid.len());

    let lines = valid.iter().map(|one| one.config_line());
    let server = reference(lines).expect("nats-server takes what we take");
    let mut published = Vec::new();
    for sample in &valid {
        let mappings = sample.compile().expect("it is valid");
        for _ in 0..4 {
            let subject = a_subject(&mut rng, &sample.source);
            let wanted = match mappings.find(subject.as_bytes()) {
                Some(mapping) => results(sample, mapping, &subject),
                None => BTreeSet::from([text(subject.as_bytes())]),
            };
            published.push((subject, wanted, *sample));
        }
    }
    let subjects: Vec<&str> = published.iter().map(|(subject, ..)| &**subject).collect();
    let found = delivered(&server, &subjects);
    let mut mapped = 0;
    for (index, (subject, wanted, sample)) in published.iter().enumerate() {
        let found = found.get(&index);
        mapped += usize::from(found.is_some_and(|found| *found != text(subject.as_bytes())));
        match found {
            Some(found) => assert!(
                wanted.contains(found),
                "{sample:?} of {subject}: {found}, not {wanted:?}"
            ),
            // Nobody can subscribe to a subject with an empty token.
            None => assert!(
                wanted
                    .iter()
                    .all(|one| Subject::new(one.as_bytes()).is_none()),
                "{sample:?} of {subject}: lost, not {wanted:?}"
            ),
        }
    }
    assert!(mapped > 1000, "only {mapped} were mapped");
}

#[test]
fn what_is_refused_is_refused_in_the_same_words() {
    let mut rng = Rng::from_seed(16);
    let mut samples = numbered_samples(&mut rng, 1500);
    samples.extend(mistakes());
    let refused = samples.iter().filter_map(|one| {
        let error = one.compile().err()?;
        Some((one, error.to_string()))
    });
    let refused: BTreeMap<_, _> = refused.collect();
    assert!(refused.len() > 300, "only {} are refused", refused.len());
    let kinds: BTreeSet<&str> = refused
        .values()
        .map(|error| error.split(" in ").next().unwrap_or_default())
        .collect();
    assert_eq!(kinds.len(), 7, "{kinds:?}");

    let told = reference(refused.keys().map(|one| one.config_line()))
        .expect_err("nats-server refuses what we refuse");
    for (sample, error) in refused {
        let wanted = format!(
            "Error adding mapping for \"{}\" to \"{}\" : {error}",
            sample.source, sample.destination
        );
        let line = told
            .lines()
            .find(|line| line.contains(&format!("for \"{}\" to", sample.source)));
        assert!(
            line.is_some_and(|line| line.ends_with(&wanted)),
            "{wanted}\n     nats-server: {line:?}"
        );
    }
}

#[test]
fn weights_share_as_in_nats_server() {
    let weighed: &[(&str, &[Weighed])] = &[
        ("all.*", &[("one.$1", 100, "")]),
        ("none", &[("two", 0, "")]),
        ("never.*", &[("three.$1", 0, ""), ("four", 100, "")]),
        ("lost", &[("lost", 0, "")]),
        ("elsewhere", &[("five", 100, "other")]),
        ("lost.elsewhere", &[("lost.elsewhere", 10, "other")]),
        ("nothing", &[]),
        ("half.*", &[("six.$1", 50, "")]),
        (
            "some.lost.>",
            &[("some.lost.>", 30, ""), ("seven.>", 30, "")],
        ),
        ("open.>", &[("nine.>", 40, ""), ("ten.>", 60, "")]),
    ];
    let mut mappings = Mappings::default();
    let mut lines = Vec::new();
    for (source, destinations) in weighed {
        let list: Vec<Destination<'_>> = destinations
            .iter()
            .map(|&(subject, weight, cluster)| Destination {
                subject,
                weight,
                cluster: Some(cluster),
            })
            .collect();
        mappings.add(source, &list, None).expect("valid");
        let written = destinations.iter().map(|(subject, weight, cluster)| {
            format!("{{destination: \"{subject}\", weight: {weight}, cluster: \"{cluster}\"}}")
        });
        let written = written.collect::<Vec<_>>().join(", ");
        lines.push(format!("\"{source}\": [{written}]"));
    }
    let server = reference(lines.into_iter()).expect("nats-server takes them");
    let subjects = [
        "all.x",
        "none",
        "never.x",
        "lost",
        "elsewhere",
        "lost.elsewhere",
        "nothing",
        "half.x",
        "some.lost.x.y",
        "open.x.y",
    ];
    let repeated: Vec<&str> = subjects.iter().flat_map(|one| [*one; 200]).collect();
    let found = delivered(&server, &repeated);
    for (kind, subject) in subjects.iter().enumerate() {
        let theirs: BTreeSet<Option<String>> = (kind * 200..(kind + 1) * 200)
            .map(|index| found.get(&index).cloned())
            .collect();
        let mapping = mappings.find(subject.as_bytes()).expect("it is mapped");
        let ours: BTreeSet<Option<String>> = (0..100)
            .map(
                |chance| match mapping.map(subject.as_bytes(), &mut |_| chance) {
                    Mapped::To(bytes) => Some(text(&bytes)),
                    Mapped::Nowhere => None,
                },
            )
            .collect();
        assert_eq!(ours, theirs, "{subject}");
        assert_eq!(mapping.depends_on_chance(), ours.len() > 1, "{subject}");
    }
}

/// Alone, for with others it may be another constant.
#[test]
fn a_partition_of_one_subject_is_the_constant_of_nats_server() {
    let sample = Sample {
        source: "one".to_owned(),
        destination: "part.{{partition(1000)}}".to_owned(),
    };
    let mappings = sample.compile().expect("it is valid");
    let server = reference([sample.config_line()].into_iter()).expect("nats-server takes it");
    let found = delivered(&server, &["one"]);
    let mapping = mappings.find(b"one").expect("it is mapped");
    let ours = mapping.map(b"one", &mut |_| unreachable!("there is no chance in it"));
    assert_eq!(Mapped::To(found[&0].as_bytes().to_vec()), ours);
}

impl Sample {
    fn compile(&self) -> Result<Mappings, trunkline::subject::MappingError> {
        let mut mappings = Mappings::default();
        let destination = Destination {
            subject: &self.destination,
            weight: 100,
            cluster: None,
        };
        mappings.add(&self.source, &[destination], None)?;
        Ok(mappings)
    }

    fn config_line(&self) -> String {
        format!("\"{}\": \"{}\"", self.source, self.destination)
    }
}

/// What may become of a subject: with `random` in it one of several.
///
/// Partitions of a source without wildcards are a constant that depends on the order of nats-server's mappings.
fn results(sample: &Sample, mapping: &Mapping, subject: &str) -> BTreeSet<String> {
    let transform = Transform::compile_mapping(&sample.source, &sample.destination);
    let transform = transform.expect("it is valid");
    let other = (0..RANDOM_MAX).map(|chance| {
        let bytes = transform.rewrite(subject.as_bytes(), &mut |bound| chance.min(bound - 1));
        text(&bytes)
    });
    let literal = sample
        .source
        .split('.')
        .all(|token| token != "*" && token != ">");
    let other = other.filter(|_| literal);
    (0..RANDOM_MAX)
        .filter_map(|chance| {
            let mapped = mapping.map(subject.as_bytes(), &mut |bound| chance.min(bound - 1));
            match mapped {
                Mapped::To(bytes) => Some(text(&bytes)),
                Mapped::Nowhere => None,
            }
        })
        .chain(other)
        .collect()
}

/// A nats-server with these mappings.
fn reference(lines: impl Iterator<Item = String>) -> Result<Server, String> {
    let launch = Launch::nats_server().unwrap_or_else(|missing| panic!("{missing}"));
    let launch = lines.fold(launch.config_line("mappings = {"), |launch, line| {
        launch.config_line(&line)
    });
    launch.config_line("}").start()
}

/// The subjects under which a subscriber to everything gets these, by position; those that nobody gets are not there.
fn delivered(server: &Server, subjects: &[&str]) -> BTreeMap<usize, String> {
    let mut subscriber = server.join(CONNECT);
    subscriber.send(b"SUB > 1\r\n").expect("SUB is sent");
    subscriber.sync().expect("SUB is in force");
    let mut publisher = server.join(CONNECT);
    let mut found = BTreeMap::new();
    for (batch, part) in subjects.chunks(BATCH).enumerate() {
        for (index, subject) in part.iter().enumerate() {
            let payload = (batch * BATCH + index).to_string();
            let operation = format!("PUB {subject} {}\r\n{payload}\r\n", payload.len());
            publisher.send(operation.as_bytes()).expect("PUB is sent");
        }
        publisher.sync().expect("they are all published");
        take_in(&mut subscriber, &mut found);
    }
    found
}

/// Bytes as characters of the same numbers: functions cut characters in two.
fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// What came before a `PONG`.
fn take_in(subscriber: &mut RawClient, found: &mut BTreeMap<usize, String>) {
    subscriber.send(b"PING\r\n").expect("PING is sent");
    loop {
        let line = text(&subscriber.line().expect("a line"));
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["MSG", subject, _, size] => {
                let size: usize = size.parse().expect("a size");
                let body = subscriber.exactly(size + 2).expect("the payload");
                let index = String::from_utf8_lossy(&body[..size]).parse();
                found.insert(index.expect("a number"), subject.to_owned());
            }
            ["PONG"] => return,
            ["PING"] => subscriber.send(b"PONG\r\n").expect("PONG is sent"),
            ["INFO", ..] => {}
            _ => panic!("unexpected: {line}"),
        }
    }
}

/// Mappings with sources of their own, so that they do not get into each other's way.
fn numbered_samples(rng: &mut Rng, count: usize) -> Vec<Sample> {
    (0..count)
        .map(|number| {
            let open = rng.below(4) == 0;
            let mut source = format!("m{number}");
            for _ in 0..rng.below(4) {
                source.push('.');
                source.push_str(pick(rng, &["*", "*", "*", "lit", "$1", "x*"]));
            }
            let mut tokens = vec!["to".to_owned()];
            let mut random_left = true;
            for _ in 0..=rng.below(3) {
                let token = a_token(rng);
                // What several of them do cannot be told one by one.
                if !token.to_ascii_lowercase().contains("random") || random_left {
                    random_left &= !token.to_ascii_lowercase().contains("random");
                    tokens.push(token);
                }
            }
            if open {
                source.push_str(".>");
            }
            if open != (rng.below(40) == 0) {
                tokens.push(">".to_owned());
            }
            Sample {
                source,
                destination: tokens.join("."),
            }
        })
        .collect()
}

fn a_token(rng: &mut Rng) -> String {
    match rng.below(8) {
        0 => pick(rng, &["lit", "$", "$x", "$JS", "{{}}", "a{{b}}", "é"]).to_owned(),
        1 => format!("${}", a_wildcard(rng)),
        _ => a_call(rng),
    }
}

fn a_call(rng: &mut Rng) -> String {
    let name = pick(rng, NAMES);
    let arguments = match rng.below(12) {
        0 => String::new(),
        1 => pick(rng, &["a", "1,b", "1,2,3", " 1 ", "1,", ",", "1;2", "2 2"]).to_owned(),
        _ => {
            let comma = pick(rng, &[",", ", ", " ,", ",  "]);
            let wildcard = a_wildcard(rng);
            let number = pick(rng, &["1", "2", "3", "0", "-1", "5", "+2", "2147483648"]);
            match name.to_ascii_lowercase().as_str() {
                "wildcard" => wildcard,
                "random" => pick(rng, &["0", "1", "4", "6", "-3", "4294967296", "1,2"]).to_owned(),
                "partition" => {
                    let count = pick(rng, &["10", "3", "0", "-7", "1000000", "99999999999"]);
                    let mut list = count.to_owned();
                    for _ in 0..rng.below(3) {
                        list += comma;
                        list += &a_wildcard(rng);
                    }
                    list
                }
                "split" => wildcard + comma + pick(rng, &["-", "_", "ab", "", "é", ")", " -", "}"]),
                _ => wildcard + comma + number,
            }
        }
    };
    let space = pick(rng, &["", "", "", " ", "  "]);
    let around = pick(
        rng,
        &[
            "{{@}}", "{{@}}", "{{@}}", "{{ @ }}", "{{{@}}}", "{{x{{@}}", "{@}}",
        ],
    );
    around.replace('@', &format!("{name}{space}({arguments})"))
}

fn a_wildcard(rng: &mut Rng) -> String {
    pick(
        rng,
        &["1", "1", "1", "2", "2", "3", "0", "-1", "4", "+1", "01"],
    )
    .to_owned()
}

/// A subject that mostly fits the source.
fn a_subject(rng: &mut Rng, source: &str) -> String {
    let mut words = Vec::new();
    for token in source.split('.') {
        match token {
            "*" => words.push(a_word(rng)),
            ">" => words.extend((0..=rng.below(3)).map(|_| a_word(rng))),
            _ => words.push(token.to_owned()),
        }
    }
    match rng.below(20) {
        0 => words.push(a_word(rng)),
        1 if words.len() > 1 => drop(words.pop()),
        _ => {}
    }
    words.join(".")
}

fn a_word(rng: &mut Rng) -> String {
    const LETTERS: &[&str] = &["a", "b", "-", "-", "_", "ab", "é", "7", ")", "Z", "*"];
    let word: String = (0..=rng.below(7)).map(|_| pick(rng, LETTERS)).collect();
    word
}

fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    let count = u32::try_from(from.len()).expect("few");
    from[usize::try_from(rng.below(count)).expect("few")]
}

/// What the generator does not make.
fn mistakes() -> Vec<Sample> {
    let pairs = [
        ("e1", "x..y"),
        ("e2", ".x"),
        ("e3", "x y"),
        ("e4.>", "x.>.y"),
        ("e5", "x.*"),
        ("e6.*", "x.* y"),
        ("e7.*", "{{wildcard(1)}} {{wildcard(1)}}"),
        ("e8.>", ">.x"),
        ("e9.*", "x.{{ wildcard(1) }}y z"),
    ];
    let samples = pairs.map(|(source, destination)| Sample {
        source: source.to_owned(),
        destination: destination.to_owned(),
    });
    samples.to_vec()
}

const NAMES: &[&str] = &[
    "wildcard",
    "Wildcard",
    "wildCard",
    "partition",
    "Partition",
    "split",
    "Split",
    "splitFromLeft",
    "SplitfromRight",
    "splitfromright",
    "sliceFromLeft",
    "Slicefromleft",
    "SliceFromRight",
    "left",
    "Left",
    "right",
    "RIGHT",
    "random",
    "Random",
    "unknown",
];

/// Of what the samples ask for.
const RANDOM_MAX: u32 = 6;
const BATCH: usize = 200;
const CONNECT: &str = r#"{"verbose":false,"pedantic":false}"#;
