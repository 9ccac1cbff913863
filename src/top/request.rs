//! What the words after `trunkline top` ask for.
//!
//! Pure. nats-top's flags, in Go's style (`-sort bytes_to`, `--sort=bytes_to`) wherever clap's differs.

use super::state::{LIMIT_MAX, SortKey, Wishes};
use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) source: Source,
    pub(super) wishes: Wishes,
    pub(super) every: Duration,
    /// Refreshes until the end; without an end, unless it is written to a file.
    pub(super) rounds: Option<u32>,
    pub(super) output: Option<Output>,
}

/// Where the pages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// What page names are put behind: `http://127.0.0.1:8222`, without a slash at its end.
    pub(super) base: String,
    pub(super) authorities: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    /// The server's certificate is not looked at.
    pub(super) is_unverified: bool,
}

/// Where snapshots are written instead of being shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Output {
    /// `None` is standard output.
    pub(super) path: Option<PathBuf>,
    /// Between cells; `None` aligns them.
    pub(super) delimiter: Option<String>,
}

/// Why there is nothing to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It was asked for.
    Help(String),
    Mistake(String),
}

pub(super) fn parse(words: &[String]) -> Result<Request, Refusal> {
    let words = words.iter().map(|word| with_claps_dashes(word));
    let matches = command().try_get_matches_from(words).map_err(|error| {
        let text = error.to_string();
        if matches!(
            error.kind(),
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
        ) {
            Refusal::Help(text)
        } else {
            Refusal::Mistake(text.trim_end().to_owned())
        }
    })?;
    let source = Source {
        base: base(&matches)?,
        authorities: matches.get_one("cacert").cloned(),
        certificate: matches.get_one("cert").cloned(),
        key: matches.get_one("key").cloned(),
        is_unverified: matches.get_flag("k"),
    };
    let sort = matches.get_one::<String>("sort");
    let is_for_programs = matches.contains_id("l");
    let wishes = Wishes {
        sort: sort
            .and_then(|name| SortKey::named(name))
            .unwrap_or(SortKey::Cid),
        is_reversed: false,
        limit: matches.get_one("n").copied().unwrap_or(LIMIT),
        raw_bytes: is_for_programs || matches.get_flag("b"),
        raw_counts: is_for_programs,
        with_subscriptions: matches.get_flag("u"),
        with_names: matches.get_flag("lookup"),
        as_rates: false,
    };
    let output = matches.get_one::<String>("o").map(|path| Output {
        path: (path != "-").then(|| PathBuf::from(path)),
        delimiter: matches.get_one("l").cloned(),
    });
    // None and fewer are nats-top's way of saying never.
    let rounds: Option<i32> = matches.get_one("r").copied();
    let rounds = rounds.and_then(|rounds| u32::try_from(rounds).ok());
    let rounds = rounds.filter(|rounds| *rounds > 0);
    let seconds = matches.get_one("d").copied().unwrap_or(1.0);
    Ok(Request {
        source,
        wishes,
        every: Duration::from_secs_f64(seconds),
        rounds,
        output,
    })
}

/// nats-top's default.
const LIMIT: u32 = 1024;
/// nats-server's port for monitoring.
const PORT: u16 = 8222;

fn command() -> Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        let argument = Arg::new(name).value_name(value).help(help);
        if name.len() == 1 {
            argument.short(name.chars().next())
        } else {
            argument.long(name)
        }
    };
    let switch = |name: char, help: &'static str| {
        let argument = Arg::new(name.to_string()).short(name);
        argument.help(help).action(ArgAction::SetTrue)
    };
    let sort_keys = SortKey::ALL.map(SortKey::name);
    Command::new("trunkline top")
        .no_binary_name(true)
        .about("Shows live what a NATS server does: any server that has a monitor port")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(
            Arg::new("url").value_name("URL").help(
                "The monitor port, such as host:8222 or https://host:8443/path [default: 127.0.0.1:8222]",
            ),
        )
        .arg(value("s", "HOST", "Host of the monitor port").conflicts_with("url"))
        .arg(
            value("m", "PORT", "Port for HTTP")
                .value_parser(value_parser!(u16).range(1..))
                .conflicts_with_all(["url", "ms"]),
        )
        .arg(
            value("ms", "PORT", "Port for HTTPS")
                .value_parser(value_parser!(u16).range(1..))
                .conflicts_with("url"),
        )
        .arg(
            value("n", "CONNECTIONS", "How many connections to ask for [default: 1024]")
                .value_parser(value_parser!(u32).range(1..=i64::from(LIMIT_MAX))),
        )
        .arg(
            value("d", "SECONDS", "Time between refreshes [default: 1]").value_parser(seconds),
        )
        .arg(
            value("r", "TIMES", "Stop after so many refreshes [default: never; with -o 1]")
                .value_parser(value_parser!(i32))
                .allow_negative_numbers(true),
        )
        .arg(value(
            "o",
            "FILE",
            "Write to a file instead of showing; - is standard output",
        ))
        .arg(value("l", "DELIMITER", "Between the cells that -o writes; numbers are in full then").requires("o"))
        .arg(
            value("sort", "KEY", "What to sort connections by")
                .value_parser(PossibleValuesParser::new(sort_keys)),
        )
        .arg(switch('b', "Show bytes to the byte"))
        .arg(switch('u', "Show subscriptions").long("display-subscriptions-column"))
        .arg(
            Arg::new("lookup")
                .long("lookup")
                .help("Show hosts by name where they have one")
                .action(ArgAction::SetTrue),
        )
        .arg(
            value("cacert", "FILE", "Authorities to trust instead of the system's")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            value("cert", "FILE", "Certificate to show")
                .value_parser(value_parser!(PathBuf))
                .requires("key"),
        )
        .arg(
            value("key", "FILE", "Its key")
                .value_parser(value_parser!(PathBuf))
                .requires("cert"),
        )
        .arg(switch('k', "Do not verify the server's certificate"))
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .help("Print help")
                .action(ArgAction::Help),
        )
        .arg(
            Arg::new("version")
                .short('v')
                .long("version")
                .help("Print the version")
                .action(ArgAction::Version),
        )
}

/// One dash before a letter and two before a word, whichever way it was written.
fn with_claps_dashes(word: &str) -> String {
    let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
        return word.to_owned();
    };
    let name = flag.split_once('=').map_or(flag, |(name, _)| name);
    match name.len() {
        0 => word.to_owned(),
        // A number below zero.
        _ if flag.starts_with(|first: char| first.is_ascii_digit()) => word.to_owned(),
        1 => format!("-{flag}"),
        _ => format!("--{flag}"),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    if SECONDS.contains(&seconds) {
        Ok(seconds)
    } else {
        Err("must be from 0.1 to 3600".to_owned())
    }
}

const SECONDS: std::ops::RangeInclusive<f64> = 0.1..=3600.0;

/// The URL, or what host and port make.
fn base(matches: &ArgMatches) -> Result<String, Refusal> {
    if let Some(url) = matches.get_one::<String>("url") {
        return base_of_url(url);
    }
    let host: &str = matches
        .get_one::<String>("s")
        .map_or("127.0.0.1", |host| host);
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let url = match matches.get_one::<u16>("ms") {
        Some(port) => format!("https://{host}:{port}"),
        None => {
            let port = matches.get_one("m").copied().unwrap_or(PORT);
            format!("http://{host}:{port}")
        }
    };
    base_of_url(&url)
}

fn base_of_url(url: &str) -> Result<String, Refusal> {
    let mistake = |what: &str| Refusal::Mistake(format!("error: invalid URL '{url}': {what}"));
    let whole = if url.contains("://") {
        url.to_owned()
    } else {
        format!("http://{url}")
    };
    let whole = whole.trim_end_matches('/');
    let uri: ureq::http::Uri = whole.parse().map_err(|_| mistake("not understood"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(mistake("it must be http or https"));
    }
    let authority = uri.authority().ok_or_else(|| mistake("it has no host"))?;
    if authority.as_str().contains('@') {
        // It would be shown on the screen, and no monitor port asks for one.
        return Err(Refusal::Mistake(
            "error: invalid URL: it must hold no user and no password".to_owned(),
        ));
    }
    if authority.host().is_empty() {
        return Err(mistake("it has no host"));
    }
    if authority.as_str().ends_with(':') {
        return Err(mistake("it has no port behind the colon"));
    }
    if uri.query().is_some() {
        return Err(mistake("it must hold no query"));
    }
    let has_port = uri.port().is_some() || uri.scheme_str() == Some("https");
    if has_port || uri.path().len() > 1 || url.contains("://") {
        return Ok(whole.to_owned());
    }
    Ok(format!("{whole}:{PORT}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words).map_err(|refusal| match refusal {
            Refusal::Help(text) => format!("help: {text}"),
            Refusal::Mistake(text) => text,
        })
    }

    fn base(line: &str) -> String {
        parsed(line).unwrap().source.base
    }

    #[test]
    fn without_words_it_is_nats_tops_defaults() {
        let request = parsed("").unwrap();
        assert_eq!(request.source.base, "http://127.0.0.1:8222");
        assert_eq!(request.wishes, crate::top::state::tests::wishes());
        assert_eq!(request.every, Duration::from_secs(1));
        assert_eq!((request.rounds, request.output), (None, None));
    }

    #[test]
    fn a_server_is_named_by_url_or_by_host_and_port() {
        assert_eq!(base("example.org"), "http://example.org:8222");
        assert_eq!(base("example.org:80"), "http://example.org:80");
        assert_eq!(base("http://example.org"), "http://example.org");
        assert_eq!(
            base("https://example.org:8443/nats/"),
            "https://example.org:8443/nats"
        );
        assert_eq!(base("[::1]:8222"), "http://[::1]:8222");
        assert_eq!(base("-s ::1 -m 81"), "http://[::1]:81");
        assert_eq!(base("-s example.org"), "http://example.org:8222");
        assert_eq!(base("-ms 8443"), "https://127.0.0.1:8443");
        for wrong in [
            "ftp://example.org",
            "http://",
            "http://a b",
            "x?y=1",
            "x:",
            "http://x:/nats",
            "-m 0",
            "-m 70000",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
        assert!(parsed("example.org -s other").is_err());
        let error = parsed("http://ann:secret@example.org").unwrap_err();
        assert!(error.contains("password") && !error.contains("secret"));
    }

    #[test]
    fn flags_are_gos() {
        for line in [
            "-sort bytes_to -n 5 -d 2 -b",
            "--sort=bytes_to -n=5 --d=2 --b",
        ] {
            let request = parsed(line).unwrap();
            assert_eq!(request.wishes.sort, SortKey::BytesTo, "{line}");
            assert_eq!(request.wishes.limit, 5);
            assert_eq!(request.every, Duration::from_secs(2));
            assert!(request.wishes.raw_bytes && !request.wishes.with_subscriptions);
        }
        let request = parsed("-o - -l ; -r 3 -d 0.5 -u").unwrap();
        let delimiter = Some(";".to_owned());
        assert_eq!(
            request.output,
            Some(Output {
                path: None,
                delimiter
            })
        );
        assert_eq!(request.rounds, Some(3));
        assert!(request.wishes.raw_counts && request.wishes.raw_bytes);
        assert!(request.wishes.with_subscriptions);
        for never in ["-r 0", "-r -1", "-r -10"] {
            assert_eq!(parsed(never).unwrap().rounds, None, "{never}");
        }
        let request = parsed("-lookup --display-subscriptions-column").unwrap();
        assert!(request.wishes.with_names && request.wishes.with_subscriptions);
        let tls = parsed("-ms 8443 -cacert ca.pem -cert c.pem -key k.pem -k").unwrap();
        assert_eq!(tls.source.authorities, Some(PathBuf::from("ca.pem")));
        assert!(tls.source.key.is_some() && tls.source.is_unverified);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, part) in [
            ("-n 0", "'0'"),
            ("-n 100001", "100000"),
            ("-d 0", "0.1 to 3600"),
            ("-d nan", "0.1 to 3600"),
            ("-d soon", "not a number"),
            ("-sort size", "msgs_to"),
            ("-l ,", "-o"),
            ("-cert c.pem", "--key"),
            ("-x", "'-x'"),
            ("a b", "'b'"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
        assert!(parsed("-n 100000").is_ok() && parsed("-d 3600").is_ok());
        for line in ["-v", "-version", "--version"] {
            let version = parsed(line).unwrap_err();
            assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
        }
        for line in ["-h", "-help", "--help"] {
            let help = parsed(line).unwrap_err();
            assert!(
                help.starts_with("help: ") && help.contains("-sort"),
                "{help}"
            );
        }
    }
}
