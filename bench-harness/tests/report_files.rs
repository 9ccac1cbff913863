//! What goes in and out of a report: broken and foreign files are refused with a sentence, and pages are written whole or
//! not at all.

#![allow(clippy::unwrap_used, reason = "a test may end here")]

use std::fs;
use std::path::{Path, PathBuf};

use bench_harness::report::{Input, html, run};
use tempfile::TempDir;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(data(name)).unwrap()
}

/// What is said of a file with this text.
fn refused(text: &str) -> String {
    Input::parse(Path::new("some.json"), text)
        .unwrap_err()
        .to_string()
}

#[test]
fn broken_json_is_refused_with_its_place() {
    let cut: String = text("report-run.json")
        .lines()
        .take(10)
        .collect::<Vec<_>>()
        .join("\n");
    let sentence = refused(&cut);
    assert!(sentence.starts_with("some.json: "), "{sentence}");
    assert!(sentence.contains("line 10 column"), "{sentence}");
    assert!(refused("").contains("line 1 column 0"));
}

#[test]
fn a_field_of_the_wrong_kind_is_refused_with_its_place() {
    let wrong = text("report-run.json").replacen(
        "\"measured_s\": ",
        "\"measured_s\": \"long\", \"x\": ",
        1,
    );
    let line = 1 + wrong
        .lines()
        .position(|line| line.contains("\"long\""))
        .unwrap();
    let sentence = refused(&wrong);
    assert!(
        sentence.contains(&format!("line {line} column")),
        "{sentence}"
    );
    assert!(sentence.contains("expected f64"), "{sentence}");
}

#[test]
fn a_missing_field_is_named() {
    let wrong = text("report-run.json").replacen("\"verdict\"", "\"verdicts\"", 1);
    let sentence = refused(&wrong);
    assert!(sentence.contains("missing field `verdict`"), "{sentence}");
    assert!(refused("{\"cases\": []}").contains("missing field `schema`"));
}

#[test]
fn another_schema_is_refused_also_within_a_comparison() {
    let newer = text("report-run.json").replacen("\"schema\": 1", "\"schema\": 2", 1);
    let sentence = refused(&newer);
    assert!(sentence.contains("some.json has schema 2"), "{sentence}");
    assert!(sentence.contains("reads schema 1"), "{sentence}");
    let whole = text("report-comparison.json");
    let (before, after) = whole.rsplit_once("\"schema\": 1").unwrap();
    assert!(refused(&format!("{before}\"schema\": 7{after}")).contains("has schema 7"));
}

#[test]
fn foreign_json_is_refused() {
    for foreign in ["{}", "[]", "null", "17", "{\"benchmarks\": []}"] {
        let sentence = refused(foreign);
        assert!(sentence.contains("neither a run"), "{foreign}: {sentence}");
    }
}

#[test]
fn a_damaged_histogram_is_refused_and_an_empty_one_goes_without_its_curve() {
    let whole = text("report-run.json");
    let begin = whole.find("\"histogram\": \"").unwrap() + "\"histogram\": \"".len();
    let end = begin + whole[begin..].find('"').unwrap();
    let with = |histogram: &str| {
        let text = format!("{}{histogram}{}", &whole[..begin], &whole[end..]);
        html(&[Input::parse(Path::new("some.json"), &text).unwrap()])
    };
    let damaged = ["not base64!", "AAAA", &whole[begin..end - 40]];
    for histogram in damaged {
        let sentence = with(histogram).unwrap_err().to_string();
        assert!(
            sentence.starts_with("some.json: the histogram of trunkline in fan-out-8"),
            "{sentence}"
        );
    }
    let page = with("").unwrap();
    assert!(!page.contains("<title id=\"curves-"));
    assert!(page.contains("40.4 µs"), "the percentiles are still there");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let missing = run(&[data("no-such.json")], None, None)
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("cannot read ") && missing.contains("no-such.json"),
        "{missing}"
    );
    assert!(
        run(&[], None, None)
            .unwrap_err()
            .to_string()
            .contains("no file given")
    );
}

#[test]
fn both_pages_are_written_and_replace_older_ones() {
    let folder = TempDir::new().unwrap();
    let (markdown, html) = (folder.path().join("a.md"), folder.path().join("a.html"));
    fs::write(&markdown, "old").unwrap();
    run(&[data("report-run.json")], Some(&markdown), Some(&html)).unwrap();
    assert!(
        fs::read_to_string(&markdown)
            .unwrap()
            .starts_with("## fan-out-8")
    );
    assert!(fs::read_to_string(&html).unwrap().ends_with("</html>\n"));
    assert_eq!(names(folder.path()), ["a.html", "a.md"]);
}

#[test]
fn when_one_place_cannot_be_written_nothing_is() {
    let folder = TempDir::new().unwrap();
    let markdown = folder.path().join("a.md");
    fs::write(&markdown, "old").unwrap();
    let nowhere = folder.path().join("missing/a.html");
    let error = run(&[data("report-run.json")], Some(&markdown), Some(&nowhere)).unwrap_err();
    assert!(error.to_string().starts_with("cannot write "), "{error}");
    assert!(error.to_string().contains("missing/a.html"), "{error}");
    assert_eq!(fs::read_to_string(&markdown).unwrap(), "old");
    assert_eq!(names(folder.path()), ["a.md"]);
}

#[test]
fn a_folder_and_the_same_file_twice_are_refused() {
    let folder = TempDir::new().unwrap();
    let inputs = [data("report-run.json")];
    let error = run(&inputs, Some(folder.path()), None).unwrap_err();
    assert!(error.to_string().starts_with("cannot write "), "{error}");
    let place = folder.path().join("same");
    let error = run(&inputs, Some(&place), Some(&folder.path().join("./same"))).unwrap_err();
    assert!(error.to_string().contains("two different files"), "{error}");
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[test]
fn a_broken_input_among_good_ones_writes_nothing() {
    let folder = TempDir::new().unwrap();
    let broken = folder.path().join("broken.json");
    fs::write(&broken, "{\"scenario\": ").unwrap();
    let page = folder.path().join("a.md");
    let error = run(&[data("report-run.json"), broken], Some(&page), None).unwrap_err();
    assert!(error.to_string().contains("broken.json: "), "{error}");
    assert_eq!(names(folder.path()), ["broken.json"]);
}

#[cfg(unix)]
#[test]
fn a_link_keeps_pointing_and_its_file_is_replaced() {
    let folder = TempDir::new().unwrap();
    let (file, link) = (folder.path().join("file.md"), folder.path().join("link.md"));
    fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    run(&[data("report-run.json")], Some(&link), None).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(
        fs::read_to_string(&file)
            .unwrap()
            .starts_with("## fan-out-8")
    );
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
