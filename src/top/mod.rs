//! `trunkline top`: a live view of a server in the terminal, like nats-top, from the monitor port of any NATS server.
//!
//! It is a program of its own that happens to be in the same binary: it uses no other room, and knows of a server only what its
//! pages say. Here threads may wait and the clock may be read, because no shard runs in this process.
//!
//! | file | what is in it |
//! |---|---|
//! | `request` | the words of the command line |
//! | `fetch` | the thread that reads pages |
//! | `sample` | what the pages say |
//! | `names` | the threads that look up what addresses are called |
//! | `state` | samples become rates, rows and their order |
//! | `summary`, `table`, `figure` | lines, cells and numbers as text |
//! | `snapshot` | the text that `-o` writes |
//! | `input`, `draw`, `screen` | keys, the screen, and the loop between them |

mod draw;
mod fetch;
mod figure;
mod input;
mod names;
mod request;
mod sample;
mod screen;
mod snapshot;
mod state;
mod summary;
mod table;

use fetch::Fetcher;
use names::Names;
use request::{Output, Refusal, Request};
use state::State;
use std::io::{self, IsTerminal, Write};

/// Does what the words after `trunkline top` ask for; gives the exit code.
pub fn run(words: &[String]) -> u8 {
    let outcome = match request::parse(words) {
        Ok(request) => follow(&request).map_err(|why| format!("trunkline top: {why}")),
        Err(Refusal::Help(text)) => {
            print!("{text}");
            Ok(())
        }
        Err(Refusal::Mistake(text)) => Err(text),
    };
    match outcome {
        Ok(()) => 0,
        Err(why) => {
            eprintln!("{why}");
            1
        }
    }
}

fn follow(request: &Request) -> Result<(), String> {
    let Request {
        source,
        wishes,
        every,
        rounds,
        output,
    } = request;
    if output.is_none() && !io::stdout().is_terminal() {
        return Err("standard output is no terminal; -o - writes to it".to_owned());
    }
    let state = State::new(source.base.clone(), wishes.clone());
    let fetcher = Fetcher::start(source, wishes.clone(), *every)?;
    match output {
        None => screen::show(state, &fetcher, *rounds),
        Some(output) => write(state, &fetcher, rounds.unwrap_or(1), output),
    }
}

/// Writes so many snapshots. Each needs a sample before it, because rates are differences.
fn write(mut state: State, fetcher: &Fetcher, rounds: u32, output: &Output) -> Result<(), String> {
    let failed = |why: String| format!("no answer from {}: {why}", state.address);
    let first = fetcher.next_reading().map_err(failed)?;
    let mut names = Names::new();
    let mut file = open(output)?;
    state.take(first);
    for round in 0..rounds {
        let sample = fetcher
            .next_reading()
            .map_err(|why| format!("no answer from {}: {why}", state.address))?;
        state.take(sample);
        if state.wishes.with_names {
            names.tell_all(&mut state);
        }
        let mut text = snapshot::text(&state, output.delimiter.as_deref());
        if round > 0 {
            text.insert(0, '\n');
        }
        let written = file.write_all(text.as_bytes()).and_then(|()| file.flush());
        match written {
            // Whoever reads has had enough, as `head` has.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.map_err(|error| format!("cannot write: {error}"))?,
        }
    }
    Ok(())
}

fn open(output: &Output) -> Result<Box<dyn Write>, String> {
    let Some(path) = &output.path else {
        return Ok(Box::new(io::stdout()));
    };
    let file = std::fs::File::create(path);
    let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Box::new(file))
}
