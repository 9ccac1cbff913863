//! The line that tells how far a run is: rewritten in place on a terminal, one line a second if asked for elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::load::{Phase, Progress};
use crate::report::quantity;

/// Writes to standard error; what it shows is gone when it is dropped.
#[derive(Debug)]
pub(super) struct ProgressLine {
    style: Style,
    /// Stands before everything, such as which run of how many it is.
    prefix: String,
    last: Option<Instant>,
    is_showing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Silent,
    InPlace,
    Lines,
}

const LINE_EVERY: Duration = Duration::from_secs(1);
const REWRITE_EVERY: Duration = Duration::from_millis(200);

impl ProgressLine {
    pub(super) fn new(is_asked_for: bool) -> ProgressLine {
        let style = match (io::stderr().is_terminal(), is_asked_for) {
            (true, _) => Style::InPlace,
            (false, true) => Style::Lines,
            (false, false) => Style::Silent,
        };
        ProgressLine {
            style,
            prefix: String::new(),
            last: None,
            is_showing: false,
        }
    }

    /// Begins another run.
    pub(super) fn begin(&mut self, prefix: String) {
        self.prefix = prefix;
        self.last = None;
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        let every = match self.style {
            Style::Silent => return,
            Style::InPlace => REWRITE_EVERY,
            Style::Lines => LINE_EVERY,
        };
        if self.last.is_some_and(|last| last.elapsed() < every) {
            return;
        }
        self.last = Some(Instant::now());
        let text = format!("{}{}", self.prefix, line(progress));
        // Nobody is harmed if it cannot be seen.
        let mut out = io::stderr().lock();
        if self.style == Style::InPlace {
            let _ = write!(out, "\r\x1b[K{text}");
            self.is_showing = true;
        } else {
            let _ = writeln!(out, "{text}");
        }
        let _ = out.flush();
    }

    pub(super) fn clear(&mut self) {
        if self.is_showing {
            let mut out = io::stderr().lock();
            let _ = write!(out, "\r\x1b[K");
            let _ = out.flush();
            self.is_showing = false;
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.clear();
    }
}

fn line(progress: &Progress) -> String {
    let phase = match progress.phase {
        Phase::Connecting => return "connecting".to_owned(),
        Phase::WarmUp => "warming up",
        Phase::Measuring => "measuring",
        Phase::Draining => "waiting for the last",
    };
    let mut text = format!(
        "{phase} {:.1} s  published {} ({})  delivered {} ({})",
        progress.elapsed_s,
        quantity::count(progress.published),
        quantity::rate(progress.published_per_s),
        quantity::count(progress.delivered),
        quantity::rate(progress.delivered_per_s),
    );
    if let Some(p99_ns) = progress.p99_ns {
        text += &format!("  p99 {}", quantity::time(p99_ns as f64));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_rates_and_the_99th_percentile() {
        let mut progress = Progress {
            phase: Phase::Measuring,
            elapsed_s: 2.0,
            published: 1_000_000,
            delivered: 999_000,
            published_per_s: 500_000.0,
            delivered_per_s: 499_500.0,
            p99_ns: Some(12_300),
        };
        assert_eq!(
            line(&progress),
            "measuring 2.0 s  published 1,000,000 (500 k/s)  delivered 999,000 (500 k/s)  p99 12.3 µs"
        );
        progress.phase = Phase::Connecting;
        assert_eq!(line(&progress), "connecting");
    }
}
