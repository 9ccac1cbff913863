//! The live view: a terminal, keys and readings, brought together until the user leaves.
//!
//! Nothing is drawn while nothing changes. The terminal is given back as it was found, also after a panic and a signal.

use super::draw;
use super::fetch::Fetcher;
use super::input::{Input, Outcome};
use super::names::Names;
use super::state::State;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a reading may wait to be shown, and a signal to be obeyed.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Shows the server until the user leaves, or for so many readings.
pub(super) fn show(state: State, fetcher: &Fetcher, rounds: Option<u32>) -> Result<(), String> {
    let told = |error: io::Error| format!("the terminal cannot be used: {error}");
    let is_told_to_end = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&is_told_to_end)).map_err(told)?;
    }
    let mut terminal = ratatui::try_init().map_err(told)?;
    let mut view = View {
        state,
        input: Input::default(),
        names: Names::new(),
        rounds,
    };
    let ended = view.run(&mut terminal, fetcher, &is_told_to_end);
    ratatui::try_restore().map_err(told)?;
    ended.map_err(told)
}

struct View {
    state: State,
    input: Input,
    names: Names,
    /// Readings that are still to be shown.
    rounds: Option<u32>,
}

impl View {
    fn run(
        &mut self,
        terminal: &mut DefaultTerminal,
        fetcher: &Fetcher,
        is_told_to_end: &AtomicBool,
    ) -> io::Result<()> {
        let mut is_stale = true;
        while !is_told_to_end.load(Ordering::Relaxed) {
            while let Some(reading) = fetcher.reading() {
                match reading {
                    Ok(sample) => self.state.take(sample),
                    Err(why) => self.state.lose(why),
                }
                is_stale = true;
                if let Some(rounds) = &mut self.rounds {
                    *rounds -= 1;
                }
            }
            if self.state.wishes.with_names {
                if is_stale {
                    self.names.ask(&self.state);
                }
                is_stale |= self.names.tell(&mut self.state);
            }
            if is_stale {
                let page = draw::page(terminal.size()?.height);
                self.input.keep_within(page, self.state.rows().len());
                terminal.draw(|frame| draw::draw(frame, &self.state, &self.input))?;
                is_stale = false;
            }
            if self.rounds == Some(0) {
                break;
            }
            if !event::poll(LOOK_EVERY)? {
                continue;
            }
            is_stale = true;
            // A resized terminal only needs drawing.
            if let Event::Key(key) = event::read()?
                && key.kind != KeyEventKind::Release
            {
                let page = draw::page(terminal.size()?.height);
                let rows = self.state.rows().len();
                match self.input.press(key, &mut self.state.wishes, page, rows) {
                    Outcome::Nothing => {}
                    Outcome::Ask => fetcher.change(&self.state.wishes),
                    Outcome::Quit => break,
                }
            }
        }
        Ok(())
    }
}
