//! The HTML page: every figure is there as text, the document is well formed, needs nothing else, and text from the files
//! stays text.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

mod markup;

use std::path::Path;

use bench_harness::Comparison;
use bench_harness::report::{Content, Input, html, markdown};

const ALL: [&str; 4] = [
    "report-comparison.json",
    "report-run.json",
    "report-run-interrupted.json",
    "report-run-hostile.json",
];

fn rendered(names: &[&str]) -> String {
    let inputs: Vec<Input> = names.iter().map(|name| input(name)).collect();
    html(&inputs).unwrap()
}

fn input(name: &str) -> Input {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    Input::read(&folder.join(name)).unwrap()
}

fn comparison(name: &str) -> Comparison {
    match input(name).content {
        Content::Comparison(comparison) => *comparison,
        Content::Run(_) => panic!("{name} is a run"),
    }
}

/// Of a row of the Markdown page.
fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split(" | ").map(str::trim).collect()
}

#[test]
fn it_has_the_figures_of_every_case_and_server() {
    let page = rendered(&["report-comparison.json"]);
    let table = markdown(&[input("report-comparison.json")]).unwrap();
    let rows = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.contains("---"));
    let mut checked = 0;
    for row in rows.filter(|row| row.contains("/s |") && row.contains(" ns |")) {
        let cells = cells(row);
        assert!(
            page.contains(&format!(">{} at ", cells[0])),
            "no case {row}"
        );
        for figure in &cells[4..8] {
            assert!(
                page.contains(&format!("<td class=\"number\">{figure}")),
                "no {figure} of {row}"
            );
        }
        assert!(
            page.contains(&format!(">{}</td>", cells[8])),
            "no verdict of {row}"
        );
        checked += 1;
    }
    assert_eq!(checked, 6);
}

#[test]
fn it_draws_each_case_and_describes_the_drawings() {
    let page = rendered(&["report-comparison.json"]);
    let drawings = |id: &str| page.matches(&format!("<title id=\"{id}-")).count();
    assert_eq!(drawings("throughput"), 3);
    assert_eq!(drawings("cpu"), 3);
    assert_eq!(drawings("curves"), 3);
    // Only one of the cases has idle connections.
    assert_eq!(drawings("memory"), 1);
    assert!(
        page.contains("trunkline 6.63 M/s ("),
        "no description of the bars"
    );
    // Corrected and service time of two servers in three cases.
    assert_eq!(page.matches("class=\"line s0 dashed\"").count(), 3);
    assert_eq!(page.matches("class=\"line s1 dashed\"").count(), 3);
}

#[test]
fn it_is_well_formed() {
    markup::check(&rendered(&ALL));
    markup::check(&rendered(&["report-comparison-empty.json"]));
    markup::check(&rendered(&["report-run-interrupted.json"]));
}

#[test]
fn it_asks_for_nothing_else() {
    let page = rendered(&["report-comparison.json", "report-run.json"]);
    for outside in [
        "http:", "https:", "//", " src=", "href=", "@import", "url(", "<script", "<link",
    ] {
        assert!(!page.contains(outside), "{outside} in the page");
    }
}

#[test]
fn no_colour_of_the_drawings_is_fixed() {
    let page = rendered(&ALL);
    let (style, body) = page.split_once("</style>").unwrap();
    assert!(style.contains("prefers-color-scheme: dark"));
    assert!(!body.contains("fill=\"#") && !body.contains("stroke=\"#"));
    for slot in 0..8 {
        let name = format!("--s{slot}:");
        assert_eq!(
            style.matches(&name).count(),
            3,
            "{name} in light, dark and print"
        );
    }
}

#[test]
fn text_stays_text() {
    let page = rendered(&["report-run-hostile.json"]);
    for markup in ["<script", "<img", "<b>", "<svg onload", "<!--", "\u{7}"] {
        assert!(!page.contains(markup), "{markup:?} became markup");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;"));
}

#[test]
fn huge_numbers_and_zeros_are_drawn_and_written() {
    let page = rendered(&["report-run-hostile.json"]);
    assert!(page.contains("1.50e291 G/s"));
    assert!(page.contains("FAILED: 18,446,744,073,709,551,615 lost"));
    assert!(
        !page.contains("NaN") && !page.contains("inf "),
        "a number that is none"
    );
    assert!(page.contains("<title id=\"curves-"), "no curve");
}

#[test]
fn an_interrupted_run_says_so_and_leaves_out_what_it_has_not() {
    let page = rendered(&["report-run-interrupted.json"]);
    assert!(page.contains("1 run ended early."));
    assert!(page.contains("ok (only counted); interrupted"));
    assert!(
        !page.contains("<title id=\"curves-"),
        "curves without delays"
    );
    assert!(
        !page.contains("<title id=\"cpu-"),
        "CPU of an unknown server"
    );
}

#[test]
fn an_empty_comparison_is_a_page_without_tables() {
    let page = rendered(&["report-comparison-empty.json"]);
    assert!(page.contains("Nothing was measured."));
    assert!(!page.contains("<table") && !page.contains("<figure"));
}

#[test]
fn a_server_without_runs_keeps_its_rows() {
    let mut comparison = comparison("report-comparison.json");
    for round in &mut comparison.cases[0].rounds {
        round
            .records
            .retain(|record| record.server.name != "nats-server");
    }
    let content = Content::Comparison(Box::new(comparison));
    let path = "partial.json".into();
    let page = html(&[Input { path, content }]).unwrap();
    markup::check(&page);
    assert!(
        page.contains("nats-server not measured"),
        "no bar without a value"
    );
    assert!(page.contains("Missing: 1 server in some cases."));
}

#[test]
fn many_servers_share_colours_but_are_all_drawn() {
    let mut comparison = comparison("report-comparison.json");
    comparison.cases.truncate(1);
    for round in &mut comparison.cases[0].rounds {
        let record = round.records[0].clone();
        for number in 0..10 {
            let mut more = record.clone();
            more.server.name = format!("server-{number}");
            round.records.push(more);
        }
    }
    comparison
        .servers
        .extend((0..10).map(|number| format!("server-{number}")));
    let content = Content::Comparison(Box::new(comparison));
    let path = "many.json".into();
    let page = html(&[Input { path, content }]).unwrap();
    markup::check(&page);
    let (_, body) = page.split_once("</style>").unwrap();
    assert!(!body.contains("\"#"), "a stand-in colour was left");
    assert_eq!(body.matches("class=\"swatch\"").count(), 12);
}
