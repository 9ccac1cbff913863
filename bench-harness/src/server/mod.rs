//! The servers that can be started: what they are ([`table`], data) and one that runs ([`process`]).

pub mod process;
pub mod table;

pub use process::{StartError, Started};
pub use table::{Ability, Server, ServerTable, Wire};
