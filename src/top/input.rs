//! What a key does. Pure: the state changes, and the caller hears what else is to be done.

use super::state::{LIMIT_MAX, SortKey, Wishes};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What the user is doing, besides looking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) mode: Mode,
    /// The first line of the table that is shown.
    pub(super) scroll: usize,
    /// What was wrong with what was typed.
    pub(super) complaint: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Looking,
    Help,
    /// Typing a sort key.
    Sort(String),
    /// Typing a number of connections.
    Limit(String),
}

/// What follows from a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Nothing,
    /// The server has to be asked, in a new way or just now.
    Ask,
    Quit,
}

/// Longer than any answer to a question.
const TYPED_MAX: usize = 16;

impl Input {
    /// `page` is how many lines of the table fit on the screen, `rows` how many there are.
    pub(super) fn press(
        &mut self,
        key: KeyEvent,
        wishes: &mut Wishes,
        page: usize,
        rows: usize,
    ) -> Outcome {
        self.complaint = None;
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c' | 'd') => Outcome::Quit,
                _ => Outcome::Nothing,
            };
        }
        match &mut self.mode {
            Mode::Looking => self.command(key.code, wishes, page, rows),
            Mode::Help => {
                self.mode = Mode::Looking;
                if key.code == KeyCode::Char('q') {
                    Outcome::Quit
                } else {
                    Outcome::Nothing
                }
            }
            Mode::Sort(typed) | Mode::Limit(typed) => match key.code {
                KeyCode::Char(c) if typed.len() < TYPED_MAX && c.is_ascii_graphic() => {
                    typed.push(c);
                    Outcome::Nothing
                }
                KeyCode::Backspace => {
                    typed.pop();
                    Outcome::Nothing
                }
                KeyCode::Esc => {
                    self.mode = Mode::Looking;
                    Outcome::Nothing
                }
                KeyCode::Enter => self.answer(wishes),
                _ => Outcome::Nothing,
            },
        }
    }

    fn command(&mut self, code: KeyCode, wishes: &mut Wishes, page: usize, rows: usize) -> Outcome {
        match code {
            KeyCode::Char('q') => return Outcome::Quit,
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Char('o') => self.mode = Mode::Sort(String::new()),
            KeyCode::Char('n') => self.mode = Mode::Limit(String::new()),
            KeyCode::Char('b') => wishes.raw_bytes = !wishes.raw_bytes,
            KeyCode::Char('r') => {
                wishes.is_reversed = !wishes.is_reversed;
                return Outcome::Ask;
            }
            KeyCode::Char('s') => {
                wishes.with_subscriptions = !wishes.with_subscriptions;
                return Outcome::Ask;
            }
            KeyCode::Char('d') => wishes.with_names = !wishes.with_names,
            KeyCode::Char(' ') => wishes.as_rates = !wishes.as_rates,
            KeyCode::Down | KeyCode::Char('j') => self.scroll += 1,
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown => self.scroll += page,
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(page),
            KeyCode::Home => self.scroll = 0,
            KeyCode::End => self.scroll = rows,
            _ => {}
        }
        self.keep_within(page, rows);
        Outcome::Nothing
    }

    /// No further than to where the last line is the last one shown.
    pub(super) fn keep_within(&mut self, page: usize, rows: usize) {
        self.scroll = self.scroll.min(rows.saturating_sub(page));
    }

    /// What was typed is complete; nothing typed is nothing wanted.
    fn answer(&mut self, wishes: &mut Wishes) -> Outcome {
        let outcome = match std::mem::take(&mut self.mode) {
            Mode::Sort(typed) if !typed.is_empty() => match SortKey::named(&typed) {
                Some(key) => {
                    wishes.sort = key;
                    Ok(())
                }
                None => Err(format!("invalid order: {typed}")),
            },
            Mode::Limit(typed) if !typed.is_empty() => match typed.parse() {
                Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => {
                    wishes.limit = limit;
                    Ok(())
                }
                _ => Err(format!("invalid limit: {typed}; it is 1 to {LIMIT_MAX}")),
            },
            _ => return Outcome::Nothing,
        };
        match outcome {
            Ok(()) => {
                self.scroll = 0;
                Outcome::Ask
            }
            Err(complaint) => {
                self.complaint = Some(complaint);
                Outcome::Nothing
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::state::tests::wishes;

    struct Hand {
        input: Input,
        wishes: Wishes,
    }

    impl Hand {
        fn new() -> Hand {
            Hand {
                input: Input::default(),
                wishes: wishes(),
            }
        }

        fn press(&mut self, code: KeyCode) -> Outcome {
            let key = KeyEvent::new(code, KeyModifiers::NONE);
            self.input.press(key, &mut self.wishes, 10, 25)
        }

        fn write(&mut self, text: &str) -> Outcome {
            let typed = text.chars().map(|c| self.press(KeyCode::Char(c)));
            typed.last().unwrap_or(Outcome::Nothing)
        }
    }

    #[test]
    fn o_and_a_name_sort() {
        let mut hand = Hand::new();
        hand.input.scroll = 3;
        hand.write("obytes_tx");
        hand.press(KeyCode::Backspace);
        hand.write("o");
        assert_eq!(hand.input.mode, Mode::Sort("bytes_to".to_owned()));
        assert_eq!(hand.press(KeyCode::Enter), Outcome::Ask);
        assert_eq!(
            (hand.wishes.sort, hand.input.scroll, &hand.input.mode),
            (SortKey::BytesTo, 0, &Mode::Looking)
        );
        hand.write("oq");
        assert_eq!(hand.press(KeyCode::Enter), Outcome::Nothing);
        assert_eq!(hand.input.complaint.as_deref(), Some("invalid order: q"));
        assert_eq!(hand.wishes.sort, SortKey::BytesTo);
        hand.write("o");
        assert_eq!(hand.input.complaint, None);
        assert_eq!(hand.press(KeyCode::Enter), Outcome::Nothing);
        assert_eq!(hand.input.complaint, None);
    }

    #[test]
    fn n_and_a_number_limit() {
        let mut hand = Hand::new();
        hand.write("n100000");
        assert_eq!(hand.press(KeyCode::Enter), Outcome::Ask);
        assert_eq!(hand.wishes.limit, 100_000);
        for wrong in ["n0", "n100001", "n-1", "nmany", "n99999999999999999999"] {
            hand.write(wrong);
            assert_eq!(hand.press(KeyCode::Enter), Outcome::Nothing);
            assert!(hand.input.complaint.is_some(), "{wrong}");
        }
        assert_eq!(hand.wishes.limit, 100_000);
        hand.write("n5");
        hand.press(KeyCode::Esc);
        assert_eq!(
            (hand.wishes.limit, &hand.input.mode),
            (100_000, &Mode::Looking)
        );
    }

    #[test]
    fn what_is_typed_has_a_limit() {
        let mut hand = Hand::new();
        hand.write("o");
        hand.write(&"x".repeat(100));
        assert_eq!(hand.input.mode, Mode::Sort("x".repeat(TYPED_MAX)));
    }

    #[test]
    fn q_and_control_c_quit_but_a_q_that_is_typed_does_not() {
        assert_eq!(Hand::new().write("q"), Outcome::Quit);
        assert_eq!(Hand::new().write("?q"), Outcome::Quit);
        let mut hand = Hand::new();
        assert_eq!(hand.write("oq"), Outcome::Nothing);
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(
            hand.input.press(key, &mut hand.wishes, 10, 25),
            Outcome::Quit
        );
    }

    #[test]
    fn scrolling_ends_with_the_last_line() {
        let mut hand = Hand::new();
        for (code, line) in [
            (KeyCode::Up, 0),
            (KeyCode::Down, 1),
            (KeyCode::PageDown, 11),
            (KeyCode::PageDown, 15),
            (KeyCode::Down, 15),
            (KeyCode::PageUp, 5),
            (KeyCode::End, 15),
            (KeyCode::Home, 0),
        ] {
            hand.press(code);
            assert_eq!(hand.input.scroll, line, "{code:?}");
        }
        hand.input.scroll = 15;
        hand.input.keep_within(10, 12);
        assert_eq!(hand.input.scroll, 2);
        hand.input.keep_within(10, 3);
        assert_eq!(hand.input.scroll, 0);
    }

    #[test]
    fn switches_switch() {
        let mut hand = Hand::new();
        assert_eq!(hand.write("b"), Outcome::Nothing);
        assert_eq!(hand.write("s"), Outcome::Ask);
        assert_eq!(hand.write("r"), Outcome::Ask);
        assert_eq!(hand.write(" "), Outcome::Nothing);
        assert_eq!(hand.write("d"), Outcome::Nothing);
        let Wishes {
            raw_bytes,
            with_subscriptions,
            is_reversed,
            with_names,
            as_rates,
            ..
        } = hand.wishes;
        assert!(raw_bytes && with_subscriptions && is_reversed);
        assert!(with_names && as_rates);
        hand.write("?");
        assert_eq!(hand.input.mode, Mode::Help);
        assert_eq!(hand.write("s"), Outcome::Nothing, "any key leaves the help");
        assert!(hand.wishes.with_subscriptions);
    }
}
