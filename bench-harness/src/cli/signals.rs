//! Ctrl-C: the first one asks the run to end and to show what it has; the second one ends the program at once, and with it
//! the servers that it started.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::INTERRUPTED;
use crate::server::process::abandon_all;

/// The flag that the first signal sets.
pub(super) fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for _ in signals.forever() {
                if flag.swap(true, Ordering::Relaxed) {
                    abandon_all();
                    process::exit(i32::from(INTERRUPTED));
                }
            }
        })?;
    Ok(stop)
}
