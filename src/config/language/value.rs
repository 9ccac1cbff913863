//! Values and where they stand.
//!
//! *Control path.* Pure. A variable's value is shared, not copied: `weight` and `depth` let the parser charge for it as
//! if it had been copied, so that what walks the tree later is bounded too.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A place in one of the files: line and column count from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub(super) source: u16,
    pub line: u32,
    pub column: u32,
}

#[derive(Clone, Debug)]
pub enum Value {
    Text(Rc<str>),
    Boolean(bool),
    Integer(i64),
    Float(f64),
    /// `2006-01-02T15:04:05Z`, a date that exists.
    Date(Rc<str>),
    List(Rc<List>),
    Map(Rc<Map>),
}

#[derive(Debug, Default)]
pub struct List {
    pub elements: Vec<(Position, Value)>,
    pub(super) weight: usize,
    pub(super) depth: usize,
}

/// Entries by key. A key that comes twice keeps its last value, as in nats-server.
#[derive(Debug, Default)]
pub struct Map {
    pub(super) entries: BTreeMap<Rc<str>, Entry>,
    pub(super) weight: usize,
    pub(super) depth: usize,
}

#[derive(Debug)]
pub struct Entry {
    /// Where the key stands.
    pub position: Position,
    pub value: Value,
    /// When it was written, among all entries of the document.
    pub(super) order: usize,
    /// Whether a `$NAME` refers to it. Such a key need not be an option.
    pub(super) is_referred_to: Cell<bool>,
}

impl Map {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries in the order in which they were written.
    pub fn in_order(&self) -> Vec<(&str, &Entry)> {
        let mut entries: Vec<_> = self
            .entries
            .iter()
            .map(|(key, entry)| (&**key, entry))
            .collect();
        entries.sort_by_key(|(_, entry)| entry.order);
        entries
    }
}

impl Entry {
    /// Whether a `$NAME` refers to it.
    pub fn is_referred_to(&self) -> bool {
        self.is_referred_to.get()
    }
}

impl Value {
    /// What kind of value it is, with its article.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a text",
            Value::Boolean(_) => "a boolean",
            Value::Integer(_) => "a whole number",
            Value::Float(_) => "a number with a fraction",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// What it would take if every variable in it were written out.
    pub(super) fn weight(&self) -> usize {
        VALUE_WEIGHT
            + match self {
                Value::Text(text) | Value::Date(text) => text.len(),
                Value::Boolean(_) | Value::Integer(_) | Value::Float(_) => 0,
                Value::List(list) => list.weight,
                Value::Map(map) => map.weight,
            }
    }

    /// Maps and lists inside each other, itself included.
    pub(super) fn depth(&self) -> usize {
        match self {
            Value::List(list) => list.depth,
            Value::Map(map) => map.depth,
            _ => 0,
        }
    }
}

/// What a value takes besides its text: about what its parts, its place and the allocator need.
pub(super) const VALUE_WEIGHT: usize = 64;
