//! The Markdown page, whole: a comparison, single runs, and a comparison without cases, against committed pages.
//! Rendered anew into `tests/data` when `UPDATE_PAGES` is set, for a look at what changed.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

use std::path::Path;

use bench_harness::report::{Input, markdown};

fn rendered(names: &[&str]) -> String {
    let inputs: Vec<Input> = names.iter().map(|name| input(name)).collect();
    markdown(&inputs).unwrap()
}

fn input(name: &str) -> Input {
    Input::read(&data(name)).unwrap()
}

fn data(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn is_page(rendered: &str, name: &str) {
    if std::env::var_os("UPDATE_PAGES").is_some() {
        std::fs::write(data(name), rendered).unwrap();
    }
    let expected = std::fs::read_to_string(data(name)).unwrap();
    assert_eq!(rendered, expected, "the page differs from {name}");
}

#[test]
fn a_comparison_is_a_table_of_figures_and_a_table_of_ratios() {
    is_page(
        &rendered(&["report-comparison.json"]),
        "report-comparison.md",
    );
}

#[test]
fn single_runs_are_one_row_each_whatever_their_text_and_numbers() {
    let page = rendered(&[
        "report-run.json",
        "report-run-interrupted.json",
        "report-run-hostile.json",
    ]);
    is_page(&page, "report-runs.md");
    assert!(!page.contains("<script"), "text became markup");
}

#[test]
fn a_comparison_without_cases_says_that_nothing_was_measured() {
    let page = rendered(&["report-comparison-empty.json"]);
    assert!(page.contains("**Nothing was measured.**"), "{page}");
    assert!(!page.contains('|'), "a table without rows: {page}");
    assert!(
        !page.contains("Method"),
        "a method that was not used: {page}"
    );
}

#[test]
fn comparisons_come_before_runs_and_each_has_a_heading() {
    let page = rendered(&["report-run.json", "report-comparison.json"]);
    let headings: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("## "))
        .collect();
    assert_eq!(
        headings,
        [
            "## trunkline against nats-server",
            "## fan-out-8 with trunkline"
        ]
    );
}

#[test]
fn the_lines_of_a_table_are_equally_long() {
    let page = rendered(&["report-comparison.json", "report-run-hostile.json"]);
    let lines: Vec<&str> = page.lines().collect();
    let tables = lines
        .split(|line| !line.starts_with('|'))
        .filter(|table| !table.is_empty());
    let mut found = 0;
    for table in tables {
        found += 1;
        let width = table[0].chars().count();
        assert!(
            table.iter().all(|line| line.chars().count() == width),
            "{table:#?}"
        );
    }
    assert_eq!(found, 3);
}

#[test]
fn two_runs_of_one_server_are_told_apart_by_their_files() {
    let mut again = input("report-run.json");
    again.path = Path::new("elsewhere/after.json").to_owned();
    let page = markdown(&[input("report-run.json"), again]).unwrap();
    assert!(page.contains("| trunkline (report-run) |"), "{page}");
    assert!(page.contains("| trunkline (after)      |"), "{page}");
}
