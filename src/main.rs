//! The broker's binary: reads the command line and does what it says. Everything else is in the library.

use std::ffi::OsString;
use std::process::ExitCode;
use trunkline::config::{Action, CommandLineError, Identity, parse_command_line};
use trunkline::runtime::probe;
use trunkline::supervisor::{self, signal_command};

// Outboxes and payloads are allocated on one core and often freed on another, many times a second; mimalloc's free
// lists are made for that. The figures are in docs/performance.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let identity = Identity::from_argument_zero(arguments.next().as_deref());
    let arguments: Vec<OsString> = arguments.collect();
    let action = match parse_command_line(&identity, &arguments) {
        Ok(action) => action,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(CommandLineError::EXIT_CODE);
        }
    };
    match action {
        Action::Run(options) => ExitCode::from(supervisor::run(&options, &identity)),
        Action::Help(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Action::Version => {
            println!("{}", identity.version_line());
            ExitCode::SUCCESS
        }
        Action::Doctor => doctor(),
        Action::Signal(request) => match signal_command::send_signal(&identity, &request) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: {error}", identity.program);
                ExitCode::FAILURE
            }
        },
    }
}

fn doctor() -> ExitCode {
    let findings = probe::examine();
    for finding in &findings {
        println!("{finding}");
    }
    if findings.iter().any(|finding| finding.remedy.is_some()) {
        return ExitCode::FAILURE;
    }
    println!("This machine can run the broker.");
    ExitCode::SUCCESS
}
