//! The servers that can be started: what they are ([`table`], data) one that runs ([`process`]), and its
//! certificate where it speaks TLS ([`certificate`]).

pub mod certificate;
pub mod process;
pub mod table;

pub use process::{StartError, Started};
pub use table::{Ability, Server, ServerTable, Wire};
