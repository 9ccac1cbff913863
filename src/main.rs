//! The broker's binary: reads the command line and does what it says. Everything else is in the library.

use std::ffi::OsString;
use std::process::ExitCode;
use trunkline::config::{Action, CommandLineError, FileRequest, Identity, parse_command_line};
use trunkline::runtime::{probe, tls_files};
use trunkline::supervisor::config_file::ProcessSurroundings;
use trunkline::supervisor::{self, signal_command};
use trunkline::top;

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
        Action::Run(options) => ExitCode::from(supervisor::run(&options, None, &identity)),
        Action::Configure(request) => configure(&identity, &request),
        Action::Help(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Action::Version => {
            println!("{}", identity.version_line());
            ExitCode::SUCCESS
        }
        Action::Doctor => doctor(),
        Action::Top(words) => ExitCode::from(top::run(&words)),
        Action::Signal(request) => match signal_command::send_signal(&identity, &request) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: {error}", identity.program);
                ExitCode::FAILURE
            }
        },
    }
}

/// Runs with a configuration file, or says whether it is valid.
fn configure(identity: &Identity, request: &FileRequest) -> ExitCode {
    let program = &identity.program;
    let configured = match request.configure(&ProcessSurroundings) {
        Ok(configured) => configured,
        Err(faults) => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            eprintln!("{program}: {}", faults.join("\n"));
            return ExitCode::FAILURE;
        }
    };
    if request.check_only {
        // nats-server reads certificates with the file that names them.
        let tls = configured.options.tls.as_ref();
        if let Some(Err(error)) = tls.map(tls_files::load) {
            eprintln!("{program}: {error}");
            return ExitCode::FAILURE;
        }
        let digest = configured.options.config_file.map(|file| file.digest);
        let digest = digest.unwrap_or_default();
        eprintln!(
            "{program}: configuration file {} is valid ({digest})",
            request.path
        );
        return ExitCode::SUCCESS;
    }
    for warning in &configured.warnings {
        eprintln!("{warning}");
    }
    ExitCode::from(supervisor::run(
        &configured.options,
        Some(request),
        identity,
    ))
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
