//! From the values of a configuration file to options, by the table.
//!
//! *Control path.* Pure: files and the environment come in through [`Surroundings`].
//!
//! - Defaults first, then the file, then the flags, whatever their order on the command line.
//! - All mistakes of a file are told at once, each with its place, in the order in which they stand; what can only be seen
//!   when everything is right by itself (an import of what nobody exports) is told when it is.
//! - No key is ignored in silence: unknown ones are faults with the nearest known name, known ones that are not supported
//!   yet are refused by name. A key that a variable refers to need not be an option, as in nats-server.
//! - Blocks (users, accounts, …) are read by files of their own, all in one way: `Reader::parts` gives those parts that
//!   are known and of the right type, `gathered` keeps what they said until it can be put together.

pub(super) mod accounts;
mod crossings;
mod cycles;
mod exports;
mod gathered;
mod imports;
pub(super) mod labels;
pub(super) mod mappings;
mod patterns;
pub(super) mod permissions;
pub(super) mod proxies;
mod subjects;
pub(super) mod tls;
pub(super) mod users;
mod values;

use std::fmt;

use super::account::{self, Account};
use super::command_line::Flags;
use super::go_text::go_quote;
use super::language::{
    Document, Entry, Fault, List, Map, Position, Surroundings, Value, digest, parse,
};
use super::system_names;
use super::table::{Kind, Row, Shape, Sort, find_key, is_section, rows};
use super::{ConfigFile, Contradiction, Draft, Options};
use gathered::Gathered;
use values::{shown, wrong_type};

/// A configuration file to be read, and the flags that win over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRequest {
    /// As it was given.
    pub path: String,
    /// Only say whether the file is valid.
    pub check_only: bool,
    pub(super) flags: Flags,
}

/// What came of a configuration file.
#[derive(Debug)]
pub struct Configured {
    pub options: Options,
    /// What nats-server tells and takes nevertheless, except when it only checks.
    pub warnings: Vec<Fault>,
}

impl FileRequest {
    /// Reads the file and brings it into options.
    ///
    /// # Errors
    /// Everything that is wrong with it, warnings first. Those are faults too when the file is only checked.
    pub fn configure(&self, surroundings: &dyn Surroundings) -> Result<Configured, Vec<Fault>> {
        self.configure_again(surroundings, &account::predefined())
    }

    /// Reads the file for a process that has `known` accounts already. A name that was known keeps its number; one that
    /// has vanished from the file stays, as an account without anything.
    ///
    /// # Errors
    /// As [`FileRequest::configure`].
    pub fn configure_again(
        &self,
        surroundings: &dyn Surroundings,
        known: &[Account],
    ) -> Result<Configured, Vec<Fault>> {
        let document = parse(&self.path, surroundings).map_err(|fault| vec![fault])?;
        let mut reader = Reader::new(&document, known, surroundings);
        if document.root.is_empty() {
            let text = format!("{}: config has no values or is empty", self.path);
            reader.warnings.push(Fault::general(text));
        }
        reader.section("", &document.root);
        reader.settle();
        self.flags.apply(&mut reader.draft);
        let finished = std::mem::take(&mut reader.draft).finish();
        if reader.faults.is_empty()
            && let Err(contradiction) = &finished
        {
            reader.contradict(contradiction);
        }
        let Reader {
            mut faults,
            mut warnings,
            ..
        } = reader;
        match finished {
            Ok(mut options) if faults.is_empty() && (warnings.is_empty() || !self.check_only) => {
                options.config_file = Some(ConfigFile {
                    path: self.path.clone(),
                    digest: digest(&document.root),
                });
                Ok(Configured { options, warnings })
            }
            _ => {
                warnings.append(&mut faults);
                Err(warnings)
            }
        }
    }
}

/// Goes through the values of one document.
#[derive(Debug)]
pub struct Reader<'a> {
    document: &'a Document,
    machine: Machine<'a>,
    draft: Draft,
    gathered: Gathered,
    /// The rows that were set, and by which key.
    seen: Vec<(&'static Row, Position)>,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

/// The files that list the users and groups of this machine.
struct Machine<'a>(&'a dyn Surroundings);

impl fmt::Debug for Machine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Machine")
    }
}

impl Machine<'_> {
    /// The number of a user or group that one of its files may list.
    fn number(&self, text: &str, file: &str) -> Option<u32> {
        let listed = self.0.read(file).unwrap_or_default();
        system_names::number(text, &listed)
    }
}

/// A block, or a part of one, as it stands in the file: its value is of its row's shape.
pub struct Field<'a> {
    row: &'static Row,
    /// As it was written.
    key: &'a str,
    entry: &'a Entry,
}

impl<'a> Field<'a> {
    /// The name that documentation and readers know it by, without its section.
    fn name(&self) -> &'static str {
        let name = self.row.name();
        name.rsplit_once('.').map_or(name, |(_, name)| name)
    }

    fn position(&self) -> Position {
        self.entry.position
    }

    fn value(&self) -> &'a Value {
        &self.entry.value
    }

    /// The text of a field whose shape is text.
    fn text(&self) -> &'a str {
        match self.value() {
            Value::Text(text) => text,
            _ => self.misshapen(),
        }
    }

    /// The value of a field whose shape is true or false.
    fn switch(&self) -> bool {
        match self.value() {
            Value::Boolean(on) => *on,
            _ => self.misshapen(),
        }
    }

    /// The map of a field whose shape is a map.
    fn map(&self) -> &'a Map {
        match self.value() {
            Value::Map(map) => map,
            _ => self.misshapen(),
        }
    }

    /// The list of a field whose shape is a list.
    fn list(&self) -> &'a List {
        match self.value() {
            Value::List(list) => list,
            _ => self.misshapen(),
        }
    }

    /// For the reader of a block, where a part has no row or another shape than the reader takes: every row and
    /// every shape is tried by a test.
    fn misshapen(&self) -> ! {
        unreachable!("{} is not what its row says", self.row.name())
    }
}

impl fmt::Debug for Field<'_> {
    /// Without the value, which may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row.name())
    }
}

/// Something and its place.
#[derive(Debug)]
struct Placed<T> {
    position: Position,
    value: T,
}

impl<'a> Reader<'a> {
    fn new(
        document: &'a Document,
        known: &[Account],
        surroundings: &'a dyn Surroundings,
    ) -> Reader<'a> {
        Reader {
            document,
            machine: Machine(surroundings),
            draft: Draft::default(),
            gathered: Gathered::new(known),
            seen: Vec::new(),
            faults: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// All keys of one map of options; `section` is empty for the outermost.
    fn section(&mut self, section: &str, map: &'a Map) {
        for (key, entry) in map.in_order() {
            let path = path(section, key);
            if is_section(&path) {
                match &entry.value {
                    Value::Map(map) => self.section(&path, map),
                    other => self.fault(entry.position, wrong_type(key, "a map", other)),
                }
            } else if let Some(row) = find_key(&path) {
                if let Kind::Block(shape, read) = &row.kind {
                    if let Some(field) = self.shaped(row, shape, key, entry) {
                        self.seen.push((row, entry.position));
                        read(self, &field);
                    }
                    continue;
                }
                match self.value(row, key, entry) {
                    Ok(()) => self.seen.push((row, entry.position)),
                    Err(reason) => self.fault(entry.position, reason),
                }
            } else {
                self.unknown(section, &path, key, entry);
            }
        }
    }

    /// The parts of a block of the sort `section`, in the order in which they were written: those that are known and have
    /// a value of their shape. The others are faults.
    fn parts(&mut self, section: &str, map: &'a Map) -> Vec<Field<'a>> {
        let mut parts = Vec::new();
        for (key, entry) in map.in_order() {
            let path = path(section, key);
            match find_key(&path) {
                None => self.unknown(section, &path, key, entry),
                Some(row) => match &row.kind {
                    Kind::Part(shape) => parts.extend(self.shaped(row, shape, key, entry)),
                    _ => {
                        if let Err(reason) = self.value(row, key, entry) {
                            self.fault(entry.position, reason);
                        }
                    }
                },
            }
        }
        parts
    }

    /// The maps of a list, with their places. What is no map is a fault; `what` says what it should have been.
    fn maps(&mut self, list: &'a List, what: &str) -> Vec<Placed<&'a Map>> {
        let mut maps = Vec::with_capacity(list.elements.len());
        for (position, element) in &list.elements {
            match element {
                Value::Map(map) => maps.push(Placed {
                    position: *position,
                    value: &**map,
                }),
                other => {
                    let reason = format!("{what} must be a map, not {}", other.kind());
                    self.fault(*position, reason);
                }
            }
        }
        maps
    }

    /// The texts of a field that is one text or a list of them. What is no text is a fault.
    fn texts(&mut self, field: &Field<'a>) -> Vec<Placed<&'a str>> {
        let list = match field.value() {
            Value::Text(text) => {
                return vec![Placed {
                    position: field.position(),
                    value: text,
                }];
            }
            _ => field.list(),
        };
        let mut texts = Vec::with_capacity(list.elements.len());
        for (position, element) in &list.elements {
            match element {
                Value::Text(text) => texts.push(Placed {
                    position: *position,
                    value: &**text,
                }),
                other => {
                    let what = format!("an entry of {}", field.key);
                    self.fault(*position, wrong_type(&what, "a text", other));
                }
            }
        }
        texts
    }

    /// The field, if its value has the shape that its row wants.
    fn shaped(
        &mut self,
        row: &'static Row,
        shape: &Shape,
        key: &'a str,
        entry: &'a Entry,
    ) -> Option<Field<'a>> {
        if sort(&entry.value).is_some_and(|sort| shape.sorts.contains(&sort)) {
            return Some(Field { row, key, entry });
        }
        self.fault(entry.position, wrong_type(key, shape.shown, &entry.value));
        None
    }

    fn unknown(&mut self, section: &str, path: &str, key: &str, entry: &Entry) {
        // Beyond the last fault that is told, nobody looks for the nearest name.
        if !entry.is_referred_to() && self.faults.len() <= FAULTS_MAX {
            self.fault(entry.position, unknown_field(key, path, section));
        }
    }

    fn contradict(&mut self, contradiction: &Contradiction) {
        let part = self
            .seen
            .iter()
            .rev()
            .find(|(row, _)| contradiction.keys.contains(&row.name()));
        match part {
            Some((_, position)) => self.fault(*position, contradiction.text.clone()),
            None => self
                .faults
                .push(Fault::general(contradiction.text.as_str())),
        }
    }

    fn fault(&mut self, position: Position, reason: impl Into<String>) {
        push(&mut self.faults, self.document, position, reason.into());
    }

    fn warn(&mut self, position: Position, reason: impl Into<String>) {
        push(&mut self.warnings, self.document, position, reason.into());
    }
}

/// Adds a fault, unless there are enough: then it is only said that there are more.
fn push(faults: &mut Vec<Fault>, document: &Document, position: Position, reason: String) {
    if faults.len() < FAULTS_MAX {
        faults.push(document.fault(position, reason));
    } else if faults.len() == FAULTS_MAX {
        faults.push(Fault::general("and more"));
    }
}

/// The key as rows have it: in lower case, with its section in front.
fn path(section: &str, key: &str) -> String {
    let key = key.to_lowercase();
    match section {
        "" => key,
        section => format!("{section}.{key}"),
    }
}

/// None for a date, which nothing here takes.
fn sort(value: &Value) -> Option<Sort> {
    Some(match value {
        Value::Text(_) => Sort::Text,
        Value::Boolean(_) => Sort::Boolean,
        Value::Integer(_) => Sort::Integer,
        Value::Float(_) => Sort::Float,
        Value::Date(_) => return None,
        Value::List(_) => Sort::List,
        Value::Map(_) => Sort::Map,
    })
}

fn unknown_field(key: &str, path: &str, section: &str) -> String {
    let mut text = format!("unknown field {}", shown(key));
    // The nearest known name of the same section, supported or not: it is refused by its right name then.
    let in_section = |known: &&'static str| match known.rsplit_once('.') {
        Some((of, _)) => of == section,
        None => section.is_empty(),
    };
    let sections = rows()
        .flat_map(|row| row.config_keys)
        .filter_map(|key| Some(key.rsplit_once('.')?.0))
        .filter(|section| is_section(section));
    let nearest = rows()
        .flat_map(|row| row.config_keys.iter().copied())
        .chain(sections)
        .filter(in_section)
        .filter(|known| known.len().abs_diff(path.len()) <= known.len() / 3)
        .map(|known| (strsim::damerau_levenshtein(path, known), known))
        .filter(|(distance, known)| *distance <= known.len() / 3)
        .min();
    if let Some((_, known)) = nearest {
        let known = known.rsplit_once('.').map_or(known, |(_, key)| key);
        text.push_str(&format!("; did you mean {}?", go_quote(known)));
    }
    text
}

const FAULTS_MAX: usize = 20;

#[cfg(test)]
mod tests;
