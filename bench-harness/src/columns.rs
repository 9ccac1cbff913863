//! Text in columns for terminals: the first column begins at the left, the others end at the right.

/// A row of cells; rows may be of different lengths.
pub(crate) type Row = Vec<String>;

/// The rows below each other, each after `indent`, with two spaces between columns.
pub(crate) fn align(rows: &[Row], indent: &str) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = indent.to_owned();
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            if index == 0 {
                line += &format!("{cell}{padding}");
            } else {
                line += &format!("  {padding}{cell}");
            }
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// A row of these cells.
pub(crate) fn row<const COUNT: usize>(cells: [&str; COUNT]) -> Row {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [
            row(["", "p50", "p99"]),
            row(["corrected", "12 µs", "1.5 ms"]),
            row(["only"]),
        ];
        assert_eq!(
            align(&rows, "  "),
            "               p50     p99\n  corrected  12 µs  1.5 ms\n  only\n"
        );
    }
}
