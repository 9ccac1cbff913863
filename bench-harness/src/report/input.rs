//! A file to report on: one run or one comparison, told apart by their fields.
//!
//! A file is taken whole or refused: with another schema the same field may mean something else, so nothing of it is shown.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ReportError;
use crate::record::{Comparison, Record, SCHEMA};

#[derive(Debug, Clone)]
pub struct Input {
    /// For sentences about the file and to tell runs of the same server apart.
    pub path: PathBuf,
    pub content: Content,
}

#[derive(Debug, Clone)]
pub enum Content {
    Run(Box<Record>),
    Comparison(Box<Comparison>),
}

impl Input {
    pub fn read(path: &Path) -> Result<Input, ReportError> {
        let text = fs::read_to_string(path).map_err(|error| ReportError::Read {
            path: path.to_owned(),
            error,
        })?;
        Input::parse(path, &text)
    }

    pub fn parse(path: &Path, text: &str) -> Result<Input, ReportError> {
        let broken = |error| ReportError::Broken {
            path: path.to_owned(),
            error,
        };
        // The typed reading below goes through the text once more: only that way its errors know line and column.
        let value: Value = serde_json::from_str(text).map_err(broken)?;
        let content = if value.get("cases").is_some() {
            check_schema(path, &value)?;
            for record in nested_records(&value) {
                check_schema(path, record)?;
            }
            Content::Comparison(serde_json::from_str(text).map_err(broken)?)
        } else if value.get("scenario").is_some() {
            check_schema(path, &value)?;
            Content::Run(serde_json::from_str(text).map_err(broken)?)
        } else {
            return Err(ReportError::Foreign {
                path: path.to_owned(),
            });
        };
        Ok(Input {
            path: path.to_owned(),
            content,
        })
    }
}

/// An absent number is left to the typed reading, which names the missing field.
fn check_schema(path: &Path, value: &Value) -> Result<(), ReportError> {
    match value.get("schema") {
        Some(found) if found.as_u64() != Some(u64::from(SCHEMA)) => Err(ReportError::Schema {
            path: path.to_owned(),
            found: found.clone(),
        }),
        _ => Ok(()),
    }
}

/// Whatever of it is there: a wrong shape is the typed reading's to refuse.
fn nested_records(comparison: &Value) -> impl Iterator<Item = &Value> {
    list(comparison, "cases")
        .iter()
        .flat_map(|case| list(case, "rounds"))
        .flat_map(|round| list(round, "records"))
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    match value.get(name) {
        Some(Value::Array(items)) => items,
        _ => &[],
    }
}
