//! A terminal of a test's own: a program runs in it, keys are pressed, and what the screen shows is read.
//!
//! The bytes that the program writes are interpreted as a terminal does (crate `vt100`): a program that only writes the right words
//! somewhere has not shown them.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::support::wait_until;

pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    /// The program's end, kept so that the terminal outlives it and can be looked at.
    line: OwnedFd,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    /// Starts a program in a terminal of so many rows and columns.
    pub(crate) fn start(command: &mut Command, rows: u16, columns: u16) -> Terminal {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).expect("a terminal");
        unlockpt(&ours).expect("a terminal");
        let name = ptsname(&ours, Vec::new()).expect("a terminal has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let line = rustix::fs::open(name, flags, Mode::empty()).expect("a terminal");
        resize_line(&line, rows, columns);
        let end = || line.try_clone().expect("a descriptor");
        let child = command
            .env("TERM", "xterm-256color")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("the program starts");
        let keyboard = File::from(ours);
        let mut written = keyboard.try_clone().expect("a descriptor");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(some(rows), some(columns), 0)));
        let shown = Arc::clone(&screen);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Fails when the last who has the other end open is gone.
            while let Ok(length @ 1..) = written.read(&mut bytes) {
                let mut screen = shown.lock().unwrap_or_else(PoisonError::into_inner);
                screen.process(&bytes[..length]);
            }
        });
        Terminal {
            child,
            keyboard,
            line,
            screen,
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("typed");
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        resize_line(&self.line, rows, columns);
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        screen.screen_mut().set_size(some(rows), some(columns));
        drop(screen);
        // The kernel tells those only whose controlling terminal it is.
        self.signal("WINCH");
    }

    pub(crate) fn signal(&self, name: &str) {
        let line = format!("kill -s {name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &line]).status();
        assert!(status.expect("a shell").success(), "{line}");
    }

    pub(crate) fn text(&self) -> String {
        let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        screen.screen().contents()
    }

    /// Waits until the screen shows something of which this holds.
    #[track_caller]
    pub(crate) fn shows(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let is_shown = wait_until(PATIENCE, || holds(&self.text()));
        assert!(is_shown, "{what} is not shown:\n{}", self.text());
    }

    /// The program has left the terminal as those that follow want it.
    #[track_caller]
    pub(crate) fn gives_back(&self) {
        let is_given_back = wait_until(PATIENCE, || {
            let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
            let screen = screen.screen();
            !screen.alternate_screen() && !screen.hide_cursor() && is_cooked(&self.line)
        });
        assert!(
            is_given_back,
            "the terminal is left as the program wanted it"
        );
    }

    pub(crate) fn exit_status(&mut self) -> ExitStatus {
        let mut ended = None;
        wait_until(PATIENCE, || {
            ended = self.child.try_wait().expect("a child");
            ended.is_some()
        });
        ended.expect("the program ends")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn some(cells: u16) -> NonZero<u16> {
    NonZero::new(cells).expect("a terminal has a size")
}

fn resize_line(line: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(line, size).expect("a terminal has a size");
}

fn is_cooked(line: &OwnedFd) -> bool {
    let modes: Termios = tcgetattr(line).expect("a terminal has modes");
    modes
        .local_modes
        .contains(rustix::termios::LocalModes::ICANON | rustix::termios::LocalModes::ECHO)
}

/// For what should come within seconds on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
