//! The screen. Pure as far as a frame is: it shows what the state holds and decides nothing.

use super::input::{Input, Mode};
use super::state::{SortKey, State};
use super::summary;
use super::table::Table;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

/// Lines above the rows of the table: the server, an empty one, and the titles.
const LINES_ABOVE: u16 = 8;
const LINES_BELOW: u16 = 1;

/// How many rows of the table a screen of this height shows.
pub(super) fn page(height: u16) -> usize {
    usize::from(height.saturating_sub(LINES_ABOVE + LINES_BELOW))
}

pub(super) fn draw(frame: &mut Frame<'_>, state: &State, input: &Input) {
    let [body, foot] =
        Layout::vertical([Constraint::Min(0), Constraint::Length(LINES_BELOW)]).areas(frame.area());
    match (&input.mode, state.server()) {
        (Mode::Help, _) => frame.render_widget(Paragraph::new(help()), body),
        (_, None) => {
            let text = match state.fault() {
                Some(why) => format!("No answer from {}: {why}", state.address),
                None => format!("Asking {} …", state.address),
            };
            frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), body);
        }
        (_, Some(_)) => draw_server(frame, body, state, input),
    }
    let (text, style) = foot_line(state, input);
    frame.render_widget(Line::styled(text, style), foot);
}

fn draw_server(frame: &mut Frame<'_>, area: Rect, state: &State, input: &Input) {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let table = Table::new(state.rows(), &state.wishes);
    let (titles, lines) = table.aligned(Some(usize::from(area.width)));
    let mut shown: Vec<Line<'_>> = summary::lines(state).into_iter().map(Line::from).collect();
    if let Some(first) = shown.first_mut() {
        *first = std::mem::take(first).style(bold);
    }
    let has_slow = state
        .server()
        .is_some_and(|server| server.slow_consumers > 0);
    if let (true, Some(load)) = (has_slow, shown.get_mut(2)) {
        *load = std::mem::take(load).style(Style::new().fg(Color::Yellow));
    }
    let titles = format!("{titles:width$}", width = usize::from(area.width));
    let reversed = Style::new().add_modifier(Modifier::REVERSED);
    shown.push(Line::styled(titles, reversed));
    let page = usize::from(area.height.saturating_sub(LINES_ABOVE));
    let rows = lines.into_iter().skip(input.scroll).take(page);
    shown.extend(rows.map(Line::from));
    frame.render_widget(Paragraph::new(shown), area);
}

/// What is asked or complained of, or what can be done.
fn foot_line(state: &State, input: &Input) -> (String, Style) {
    let alarm = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
    let wishes = &state.wishes;
    match &input.mode {
        Mode::Help => ("Press any key to continue".to_owned(), Style::new()),
        Mode::Sort(typed) => {
            let text = format!("sort by [{}]: {typed}_", wishes.sort.name());
            (text, Style::new())
        }
        Mode::Limit(typed) => (format!("limit [{}]: {typed}_", wishes.limit), Style::new()),
        Mode::Looking => {
            if let Some(complaint) = &input.complaint {
                (complaint.clone(), alarm)
            } else if let Some(why) = state.fault() {
                let text = format!("No answer from {}: {why}; trying again", state.address);
                (text, alarm)
            } else {
                let direction = if wishes.is_reversed { " reversed" } else { "" };
                let text = format!(
                    "q quit  o sort [{}{direction}]  n limit [{}]  ? help",
                    wishes.sort.name(),
                    wishes.limit
                );
                (text, Style::new().add_modifier(Modifier::DIM))
            }
        }
    }
}

fn help() -> String {
    let keys: Vec<&str> = SortKey::ALL.into_iter().map(SortKey::name).collect();
    let (some, others) = keys.split_at(keys.len() / 2);
    format!(
        "\
Key              What it does

o NAME Enter     sort connections by NAME, also the flag -sort:
                 {}
                 {}
n NUMBER Enter   ask for so many connections, also the flag -n. The server
                 sorts first, so a small number shows the first of all
r                reverse the order
s                show subscriptions, or not
b                bytes in full, or with units
d                hosts by name where they have one, also the flag -lookup
space            what connections move in a second, or have moved in all
arrows, page up, page down, home, end
                 move through the connections
q                quit

MSGS_TO, TO/S: what the server has sent to the connection. FROM: got from it.",
        some.join(" "),
        others.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::snapshot::tests::{looked_at, sample};
    use crate::top::state::tests::wishes;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn drawn(state: &State, input: &Input, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state, input)).unwrap();
        let text = terminal.backend().to_string();
        // Every line comes in quotes.
        let line = |line: &str| line.trim_matches('"').trim_end().to_owned();
        text.lines().map(line).collect()
    }

    #[test]
    fn a_server_on_a_screen_of_80_by_24() {
        let lines = drawn(&looked_at(), &Input::default(), 80, 24);
        let mut expected = vec![
            "NATS server version 2.15.1  main  (uptime: 3m34s)",
            "Server: NA",
            "  Load: CPU: 58.2%  Memory: 8.2M  Slow Consumers: 2  Subscriptions: 3",
            "  In:  Msgs: 2.0M  Bytes: 1.9M  Msgs/Sec: 1.0M  Bytes/Sec: 976.6K",
            "  Out: Msgs: 2.0M  Bytes: 1.9M  Msgs/Sec: 1.0M  Bytes/Sec: 976.6K",
            "",
            "Connections: 2",
            "HOST             CID  NAME            PENDING  MSGS_TO  MSGS_FROM  TO/S  FROM/S",
            "127.0.0.1:57487    5  ann, \"the\" one    12.0K     2.0M          0  1.0M       0",
            "127.0.0.1:57488    6                        0        0       2.0M     0    1.0M",
        ];
        expected.resize(23, "");
        expected.push("q quit  o sort [cid]  n limit [1024]  ? help");
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_lost_server_is_told_and_its_last_figures_stay() {
        let mut state = looked_at();
        state.lose("Connection refused (os error 111)".to_owned());
        let lines = drawn(&state, &Input::default(), 100, 12);
        assert_eq!(lines[6], "Connections: 2");
        assert_eq!(
            lines[11],
            "No answer from http://127.0.0.1:8222: Connection refused (os error 111); trying again"
        );
        let mut never_seen = State::new("http://127.0.0.1:1".to_owned(), wishes());
        let lines = drawn(&never_seen, &Input::default(), 60, 4);
        assert_eq!(lines[0], "Asking http://127.0.0.1:1 …");
        never_seen.lose("the host is not known".to_owned());
        let lines = drawn(&never_seen, &Input::default(), 60, 4);
        assert_eq!(
            lines[0],
            "No answer from http://127.0.0.1:1: the host is not known"
        );
    }

    #[test]
    fn no_screen_is_too_small() {
        for width in 1..40 {
            for height in 1..12 {
                for mode in [Mode::Looking, Mode::Help, Mode::Sort("x".to_owned())] {
                    let input = Input {
                        mode,
                        scroll: 1,
                        complaint: None,
                    };
                    let lines = drawn(&looked_at(), &input, width, height);
                    assert_eq!(lines.len(), usize::from(height));
                }
            }
        }
    }

    #[test]
    fn rows_are_scrolled_and_what_is_typed_is_shown() {
        let input = Input {
            mode: Mode::Sort("bytes".to_owned()),
            scroll: 1,
            complaint: None,
        };
        let lines = drawn(&looked_at(), &input, 80, 12);
        assert!(lines[8].starts_with("127.0.0.1:57488"), "{lines:#?}");
        assert_eq!(lines[11], "sort by [cid]: bytes_");
        let input = Input {
            complaint: Some("invalid order: x".to_owned()),
            ..Input::default()
        };
        assert_eq!(drawn(&looked_at(), &input, 80, 12)[11], "invalid order: x");
    }

    #[test]
    fn the_help_fits_on_a_screen_and_names_every_order() {
        let input = Input {
            mode: Mode::Help,
            ..Input::default()
        };
        let lines = drawn(&looked_at(), &input, 80, 24);
        let text = lines.join("\n");
        for key in SortKey::ALL {
            assert!(text.contains(key.name()), "{}", key.name());
        }
        assert!(text.contains("FROM: got from it."), "{text}");
        assert_eq!(lines[23], "Press any key to continue");
    }

    #[test]
    fn a_part_of_the_connections_says_that_it_is_one() {
        let mut state = looked_at();
        let mut more = sample(5, 0);
        more.connections.total = 50_000;
        state.take(more);
        let lines = drawn(&state, &Input::default(), 80, 24);
        assert_eq!(lines[6], "Connections: 50000  (2 shown)");
    }

    #[test]
    fn a_page_is_what_is_left_of_the_screen() {
        assert_eq!(page(24), 15);
        assert_eq!(page(9), 0);
        assert_eq!(page(1), 0);
    }
}
