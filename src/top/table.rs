//! The table of connections: columns, cells, widths.
//!
//! Pure. A column is as wide as what is in it, up to a limit; where all of them do not fit, whole columns are left out, the
//! least telling first, because half a number is a wrong number.

use super::figure;
use super::state::{Rates, Row, Wishes};
use unicode_width::UnicodeWidthStr;

/// One column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Numbers stand to the right.
    is_number: bool,
    /// Cells are cut beyond this on a screen.
    width_max: usize,
    /// Those with the greatest are left out first where there is no room.
    rank: u8,
    /// Takes what room is left, rather than that others are left out for its sake.
    is_elastic: bool,
    cell: fn(&Row, &Wishes) -> String,
}

const fn number(title: &'static str, rank: u8, cell: fn(&Row, &Wishes) -> String) -> Column {
    Column {
        title,
        is_number: true,
        width_max: 20,
        rank,
        is_elastic: false,
        cell,
    }
}

const fn text(
    title: &'static str,
    width_max: usize,
    rank: u8,
    cell: fn(&Row, &Wishes) -> String,
) -> Column {
    Column {
        title,
        is_number: false,
        width_max,
        rank,
        is_elastic: false,
        cell,
    }
}

/// Who it is. The columns are in nats-top's order, with the account and the rates beside what they belong to.
const IDENTITY: &[Column] = &[
    text("HOST", 47, 0, host),
    number("CID", 1, |row, _| row.connection.cid.to_string()),
    text("NAME", 24, 2, |row, _| row.connection.name.clone()),
    text("ACCOUNT", 16, 10, |row, _| {
        row.connection.account().to_owned()
    }),
    number("SUBS", 8, |row, wishes| {
        figure::count(row.connection.subscriptions, wishes.raw_counts)
    }),
    number("PENDING", 3, |row, wishes| {
        figure::bytes(row.connection.pending_bytes, wishes.raw_bytes)
    }),
];

/// What it has moved since it came, and messages in a second.
const TRAFFIC: &[Column] = &[
    number("MSGS_TO", 6, |row, wishes| {
        figure::count(row.connection.traffic.out_msgs, wishes.raw_counts)
    }),
    number("MSGS_FROM", 7, |row, wishes| {
        figure::count(row.connection.traffic.in_msgs, wishes.raw_counts)
    }),
    number("BYTES_TO", 11, |row, wishes| {
        figure::bytes(row.connection.traffic.out_bytes, wishes.raw_bytes)
    }),
    number("BYTES_FROM", 12, |row, wishes| {
        figure::bytes(row.connection.traffic.in_bytes, wishes.raw_bytes)
    }),
    number("TO/S", 4, |row, wishes| {
        count_rate(row, wishes, |rates| rates.out_msgs)
    }),
    number("FROM/S", 5, |row, wishes| {
        count_rate(row, wishes, |rates| rates.in_msgs)
    }),
];

/// What it moves in a second, for those who want to see nothing else.
const RATES: &[Column] = &[
    number("MSGS_TO/S", 4, |row, wishes| {
        count_rate(row, wishes, |rates| rates.out_msgs)
    }),
    number("MSGS_FROM/S", 5, |row, wishes| {
        count_rate(row, wishes, |rates| rates.in_msgs)
    }),
    number("BYTES_TO/S", 6, |row, wishes| {
        byte_rate(row, wishes, |rates| rates.out_bytes)
    }),
    number("BYTES_FROM/S", 7, |row, wishes| {
        byte_rate(row, wishes, |rates| rates.in_bytes)
    }),
];

const REST: &[Column] = &[
    text("RTT", 12, 9, |row, _| row.connection.rtt.clone()),
    text("LANG", 12, 15, |row, _| row.connection.lang.clone()),
    text("VERSION", 12, 16, |row, _| row.connection.version.clone()),
    text("UPTIME", 14, 14, |row, _| row.connection.uptime.clone()),
    text("IDLE", 14, 13, |row, _| row.connection.idle.clone()),
];

/// Shown on demand.
const SUBSCRIPTIONS: Column = Column {
    is_elastic: true,
    ..text("SUBSCRIPTIONS", 1000, 6, |row, _| {
        row.connection.subscriptions_list.join(", ")
    })
};

/// Nothing moved is `0`; this is not known yet.
fn unknown() -> String {
    "-".to_owned()
}

fn count_rate(row: &Row, wishes: &Wishes, of: fn(Rates) -> f64) -> String {
    row.rates
        .map_or_else(unknown, |rates| figure::rate(of(rates), wishes.raw_counts))
}

fn byte_rate(row: &Row, wishes: &Wishes, of: fn(Rates) -> f64) -> String {
    row.rates.map_or_else(unknown, |rates| {
        figure::byte_rate(of(rates), wishes.raw_bytes)
    })
}

fn host(row: &Row, wishes: &Wishes) -> String {
    let (ip, port) = (&row.connection.ip, row.connection.port);
    match &row.host_name {
        // A process behind a Unix socket has no port.
        _ if port == 0 => ip.clone(),
        Some(name) if wishes.with_names => format!("{name}:{port}"),
        _ if ip.contains(':') => format!("[{ip}]:{port}"),
        _ => format!("{ip}:{port}"),
    }
}

/// The columns that are wished for.
pub(super) fn columns(wishes: &Wishes) -> Vec<Column> {
    let moved = if wishes.as_rates { RATES } else { TRAFFIC };
    let mut columns = [IDENTITY, moved, REST].concat();
    if wishes.with_subscriptions {
        columns.push(SUBSCRIPTIONS);
    }
    columns
}

/// A table ready to be printed: every line has a cell for every column.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) lines: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(rows: &[Row], wishes: &Wishes) -> Table {
        let columns = columns(wishes);
        let line = |row| {
            columns
                .iter()
                .map(|column| (column.cell)(row, wishes))
                .collect()
        };
        Table {
            lines: rows.iter().map(line).collect(),
            columns,
        }
    }

    /// The title line and the others, cut and padded to fit `width`; `None` is as wide as it takes.
    pub(super) fn aligned(&self, width: Option<usize>) -> (String, Vec<String>) {
        let mut widths = self.widths(width.is_some());
        if let Some(width) = width {
            self.fit(&mut widths, width);
        }
        let titles: Vec<&str> = self.columns.iter().map(|column| column.title).collect();
        let lines = self.lines.iter();
        (
            self.line(&titles, &widths),
            lines.map(|cells| self.line(cells, &widths)).collect(),
        )
    }

    /// How wide each column wants to be.
    fn widths(&self, is_cut: bool) -> Vec<Option<usize>> {
        let width_of = |(index, column): (usize, &Column)| {
            let cells = self.lines.iter().map(|cells| cells[index].width());
            let most = if is_cut { column.width_max } else { usize::MAX };
            Some(cells.fold(column.title.width(), usize::max).min(most))
        };
        self.columns.iter().enumerate().map(width_of).collect()
    }

    /// Takes columns away until the rest fits; the first stays, whatever happens.
    fn fit(&self, widths: &mut [Option<usize>], width: usize) {
        let wanted = widths.to_vec();
        for (column, width) in self.columns.iter().zip(&mut *widths) {
            if column.is_elastic {
                *width = Some(column.title.width());
            }
        }
        while taken(widths) > width {
            let there = (0..widths.len()).filter(|index| widths[*index].is_some());
            let last = there.max_by_key(|index| self.columns[*index].rank);
            match last {
                Some(index) if self.columns[index].rank > 0 => widths[index] = None,
                _ => break,
            }
        }
        let mut left = width.saturating_sub(taken(widths));
        for (shown, wanted) in widths.iter_mut().zip(wanted) {
            if let (Some(shown), Some(wanted)) = (shown, wanted) {
                let more = left.min(wanted - *shown);
                *shown += more;
                left -= more;
            }
        }
    }

    fn line(&self, cells: &[impl AsRef<str>], widths: &[Option<usize>]) -> String {
        let mut line = String::new();
        for ((column, cell), width) in self.columns.iter().zip(cells).zip(widths) {
            let Some(width) = *width else { continue };
            if !line.is_empty() {
                line.push_str(GAP);
            }
            let cell = cut(cell.as_ref(), width);
            let padding = " ".repeat(width - cell.width());
            if column.is_number {
                line.push_str(&padding);
                line.push_str(&cell);
            } else {
                line.push_str(&cell);
                line.push_str(&padding);
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// The width of a line with columns of these widths.
fn taken(widths: &[Option<usize>]) -> usize {
    let all = widths.iter().flatten().map(|width| width + GAP.len());
    all.sum::<usize>().saturating_sub(GAP.len())
}

/// Between two columns.
const GAP: &str = "  ";

/// At most `width` cells of a terminal wide; what was cut ends in a sign that says so.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    for c in text.chars() {
        cut.push(c);
        if cut.width() >= width {
            cut.pop();
            break;
        }
    }
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::sample::{Connection, Connections};
    use crate::top::state::tests::wishes;

    fn row(page: &str) -> Row {
        let page = format!(r#"{{"connections":[{page}]}}"#);
        let page: Connections = serde_json::from_str(&page).unwrap();
        let connection: Connection = page.list.into_iter().next().unwrap();
        Row {
            connection,
            rates: None,
            host_name: None,
        }
    }

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [
            row(r#"{"cid":5,"ip":"127.0.0.1","port":38000,"name":"ann","out_msgs":161600}"#),
            row(r#"{"cid":123456,"ip":"::1","port":1,"pending_bytes":12288}"#),
            row(r#"{"cid":7,"ip":"unix:pid=4,uid=0","port":0}"#),
        ];
        let (titles, lines) = Table::new(&rows, &wishes()).aligned(None);
        assert_eq!(
            titles,
            "HOST                 CID  NAME  ACCOUNT  SUBS  PENDING  MSGS_TO  MSGS_FROM  BYTES_TO  BYTES_FROM  TO/S  \
             FROM/S  RTT  LANG  VERSION  UPTIME  IDLE"
        );
        assert_eq!(
            lines[0],
            "127.0.0.1:38000        5  ann               0        0   161.6K          0         0           0     -       -"
        );
        assert!(
            lines[1].starts_with("[::1]:1           123456        "),
            "{}",
            lines[1]
        );
        assert!(lines[1].contains("  12.0K"), "{}", lines[1]);
        assert!(lines[2].starts_with("unix:pid=4,uid=0 "), "{}", lines[2]);
    }

    #[test]
    fn hosts_by_name_and_what_moves_in_a_second() {
        let mut rows = [row(
            r#"{"cid":5,"ip":"127.0.0.1","port":38000,"out_msgs":7}"#,
        )];
        rows[0].host_name = Some("ann.example.org".into());
        rows[0].rates = Some(Rates {
            in_msgs: 10.0,
            out_msgs: 20.0,
            in_bytes: 4096.0,
            out_bytes: 8192.0,
        });
        let mut wishes = wishes();
        let text = |wishes: &Wishes| Table::new(&rows, wishes).aligned(None);
        assert!(text(&wishes).1[0].starts_with("127.0.0.1:38000 "));
        wishes.with_names = true;
        wishes.as_rates = true;
        let (titles, lines) = text(&wishes);
        let titles: Vec<&str> = titles.split_whitespace().collect();
        assert_eq!(
            titles[4..10],
            [
                "SUBS",
                "PENDING",
                "MSGS_TO/S",
                "MSGS_FROM/S",
                "BYTES_TO/S",
                "BYTES_FROM/S"
            ]
        );
        let cells: Vec<&str> = lines[0].split_whitespace().collect();
        assert_eq!(cells[0], "ann.example.org:38000");
        assert_eq!(cells[4..8], ["20", "10", "8.0K", "4.0K"]);
    }

    #[test]
    fn where_there_is_no_room_whole_columns_are_left_out() {
        let rows = [row(
            r#"{"cid":5,"ip":"127.0.0.1","port":38000,"name":"ann"}"#,
        )];
        let table = Table::new(&rows, &wishes());
        for width in 0..250 {
            let (titles, lines) = table.aligned(Some(width));
            let shown: Vec<&str> = titles.split_whitespace().collect();
            assert!(
                titles.len() <= width || shown == ["HOST"],
                "{width}: {titles}"
            );
            assert!(lines[0].starts_with("127.0.0.1:38000"));
        }
        let (titles, _) = table.aligned(Some(60));
        let shown: Vec<&str> = titles.split_whitespace().collect();
        assert_eq!(
            shown,
            [
                "HOST", "CID", "NAME", "PENDING", "MSGS_TO", "TO/S", "FROM/S"
            ]
        );
    }

    #[test]
    fn long_and_wide_text_is_cut_by_what_it_takes_on_the_screen() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        // Each of these takes two cells.
        assert_eq!(cut("消息总线", 8), "消息总线");
        assert_eq!(cut("消息总线", 7), "消息总…");
        assert_eq!(cut("消息总线", 6), "消息…");
        assert_eq!(cut("ab", 1), "…");
        let rows = [row(&format!(
            r#"{{"ip":"::","name":"{}"}}"#,
            "n".repeat(40)
        ))];
        let table = Table::new(&rows, &wishes());
        assert!(
            table.aligned(Some(250)).1[0].contains(&format!("  {}…  ", "n".repeat(23))),
            "cut on a screen"
        );
        assert!(
            table.aligned(None).1[0].contains(&"n".repeat(40)),
            "whole in a file"
        );
    }

    #[test]
    fn subscriptions_are_there_when_asked_for() {
        let rows = [row(
            r#"{"cid":5,"subscriptions_list":["a.>","b"],"account":"ACME"}"#,
        )];
        let mut wishes = wishes();
        assert!(!Table::new(&rows, &wishes).aligned(None).1[0].contains("a.>"));
        wishes.with_subscriptions = true;
        let (titles, lines) = Table::new(&rows, &wishes).aligned(None);
        assert!(
            titles.ends_with("SUBSCRIPTIONS") && lines[0].ends_with("a.>, b"),
            "{lines:?}"
        );
        assert!(lines[0].contains("ACME"));
    }

    #[test]
    fn subscriptions_take_the_room_that_is_left() {
        let page = format!(
            r#"{{"cid":5,"subscriptions_list":["{}"]}}"#,
            "s".repeat(300)
        );
        let mut wishes = wishes();
        wishes.with_subscriptions = true;
        let table = Table::new(&[row(&page)], &wishes);
        let (titles, lines) = table.aligned(Some(170));
        assert!(titles.contains("VERSION"), "{titles}");
        assert_eq!(lines[0].width(), 170);
        assert!(lines[0].ends_with("sss…"));
    }
}
