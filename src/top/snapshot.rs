//! What `-o` writes: a look at the server as text. Pure.
//!
//! Aligned for people, or with a delimiter for programs: then numbers are in full and a cell that holds the delimiter, a quote or a line end
//! stands in quotes, as RFC 4180 has it.

use super::state::State;
use super::summary;
use super::table::Table;

pub(super) fn text(state: &State, delimiter: Option<&str>) -> String {
    let table = Table::new(state.rows(), &state.wishes);
    let mut text = String::new();
    let mut push = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    match delimiter {
        None => {
            let (titles, lines) = table.aligned(None);
            summary::lines(state).iter().for_each(|line| push(line));
            push(&titles);
            lines.iter().for_each(|line| push(line));
        }
        Some(delimiter) => {
            let (names, values): (Vec<_>, Vec<_>) = summary::cells(state).into_iter().unzip();
            push(&delimited(&names, delimiter));
            push(&delimited(&values, delimiter));
            push("");
            let titles: Vec<&str> = table.columns.iter().map(|column| column.title).collect();
            push(&delimited(&titles, delimiter));
            for cells in &table.lines {
                push(&delimited(cells, delimiter));
            }
        }
    }
    text
}

fn delimited(cells: &[impl AsRef<str>], delimiter: &str) -> String {
    let quoted = |cell: &str| {
        let is_plain = !cell.contains(['"', '\n', '\r']) && !cell.contains(delimiter);
        if is_plain || delimiter.is_empty() {
            cell.to_owned()
        } else {
            format!("\"{}\"", cell.replace('"', "\"\""))
        }
    };
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell.as_ref())).collect();
    cells.join(delimiter)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::top::sample::{Connections, Sample, Server};
    use crate::top::state::tests::wishes;
    use std::time::Duration;

    /// A server that has been looked at twice.
    pub(in crate::top) fn looked_at() -> State {
        let mut state = State::new("http://127.0.0.1:8222".to_owned(), wishes());
        for (seconds, sum) in [(1, 0), (3, 2_000_000)] {
            state.take(sample(seconds, sum));
        }
        state
    }

    pub(in crate::top) fn sample(seconds: u64, sum: u64) -> Sample {
        let server = format!(
            r#"{{"server_id":"NA","server_name":"main","version":"2.15.1","uptime":"3m34s","cpu":58.25,"mem":8650752,
               "slow_consumers":2,"subscriptions":3,"in_msgs":{sum},"in_bytes":{sum},"out_msgs":{sum},"out_bytes":{sum}}}"#
        );
        let connections = format!(
            r#"{{"total":2,"connections":[
               {{"cid":5,"ip":"127.0.0.1","port":57487,"name":"ann, \"the\" one","subscriptions":1,"pending_bytes":12288,
                 "in_msgs":0,"out_msgs":{sum},"lang":"go","version":"1.52.0","uptime":"17s","idle":"0s","rtt":"133µs"}},
               {{"cid":6,"ip":"127.0.0.1","port":57488,"subscriptions":2,"account":"ACME","in_msgs":{sum}}}]}}"#
        );
        let server: Server = serde_json::from_str(&server).unwrap();
        let connections: Connections = serde_json::from_str(&connections).unwrap();
        Sample {
            at: Duration::from_secs(seconds),
            server,
            connections,
        }
    }

    #[test]
    fn people_get_a_table() {
        let text = text(&looked_at(), None);
        let expected = "\
NATS server version 2.15.1  main  (uptime: 3m34s)
Server: NA
  Load: CPU: 58.2%  Memory: 8.2M  Slow Consumers: 2  Subscriptions: 3
  In:  Msgs: 2.0M  Bytes: 1.9M  Msgs/Sec: 1.0M  Bytes/Sec: 976.6K
  Out: Msgs: 2.0M  Bytes: 1.9M  Msgs/Sec: 1.0M  Bytes/Sec: 976.6K

Connections: 2
HOST             CID  NAME            ACCOUNT  SUBS  PENDING  MSGS_TO  MSGS_FROM  BYTES_TO  BYTES_FROM  TO/S  FROM/S  RTT    LANG  VERSION  UPTIME  IDLE
127.0.0.1:57487    5  ann, \"the\" one              1    12.0K     2.0M          0         0           0  1.0M       0  133µs  go    1.52.0   17s     0s
127.0.0.1:57488    6                  ACME        2        0        0       2.0M         0           0     0    1.0M
";
        assert_eq!(text, expected);
    }

    #[test]
    fn programs_get_numbers_in_full_and_quotes_where_needed() {
        let mut state = looked_at();
        state.wishes.raw_counts = true;
        state.wishes.raw_bytes = true;
        let text = text(&state, Some(","));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("SERVER,VERSION,UPTIME,CPU,MEMORY,"));
        assert_eq!(
            lines[1],
            "main,2.15.1,3m34s,58.25,8650752,2,3,2000000,2000000,1000000.0,1000000.0,2000000,2000000,1000000.0,\
             1000000.0,2,NA"
        );
        assert_eq!(lines[2], "");
        assert!(lines[3].starts_with("HOST,CID,NAME,ACCOUNT,SUBS,PENDING,"));
        assert_eq!(
            lines[4],
            "127.0.0.1:57487,5,\"ann, \"\"the\"\" one\",,1,12288,2000000,0,0,0,1000000.0,0.0,133µs,go,1.52.0,17s,0s"
        );
        assert_eq!(lines.len(), 6);
        assert!(lines[0].matches(',').count() == lines[1].matches(',').count());
    }
}
