//! Which servers there are and where their programs lie, as the commands that start servers are told.

use std::path::PathBuf;

use super::{Failure, failure};
use crate::server::ServerTable;
use crate::server::table::{TRUNKLINE, TRUNKLINE_TLS};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Starting servers")]
pub(super) struct Choice {
    /// A file with further servers, or other ways to start the known ones (see `trunkline-bench servers`)
    #[arg(long, value_name = "FILE")]
    servers: Option<PathBuf>,
    /// The broker's program [default: beside this program, else in the PATH]
    #[arg(long, value_name = "PATH")]
    trunkline: Option<PathBuf>,
    /// A server's program; may be given several times
    #[arg(long, value_name = "NAME=PATH")]
    bin: Vec<String>,
    /// Further arguments for a server, such as trunkline="--shards 1"; may be given several times
    #[arg(long, value_name = "NAME=ARGUMENTS", allow_hyphen_values = true)]
    flags: Vec<String>,
    /// Cores that a started server may use, such as 0 or 0,1
    #[arg(long, value_name = "CORES", value_delimiter = ',')]
    pub(super) pin_server: Vec<usize>,
}

impl Choice {
    /// The built-in table with everything that was said about it.
    pub(super) fn table(&self) -> Result<ServerTable, Failure> {
        let mut table = ServerTable::built_in();
        if let Some(file) = &self.servers {
            table.add_file(file)?;
        }
        if let Some(path) = &self.trunkline {
            for name in [TRUNKLINE, TRUNKLINE_TLS] {
                table.named_mut(name)?.binary = Some(path.clone());
            }
        }
        for text in &self.bin {
            let (name, path) = pair("bin", text)?;
            table.named_mut(name)?.binary = Some(PathBuf::from(path));
        }
        for text in &self.flags {
            let (name, arguments) = pair("flags", text)?;
            let arguments = arguments.split_whitespace().map(ToOwned::to_owned);
            table.named_mut(name)?.flags.extend(arguments);
        }
        Ok(table)
    }
}

fn pair<'a>(option: &str, text: &'a str) -> Result<(&'a str, &'a str), Failure> {
    text.split_once('=').ok_or_else(|| {
        failure(format!(
            "--{option} {text}: write the server's name, = and the rest, as in --{option} nats-server=…"
        ))
    })
}
