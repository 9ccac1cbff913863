//! Keys and scalars to a tree; includes and variables on the way.
//!
//! *Control path.* Pure. Maps and lists are kept on a stack of our own and not on the machine's, so nesting costs
//! memory and never the process; only an include calls the parser anew, and a chain of them has a limit.
//!
//! A variable is looked for among the keys already seen of the maps around it, from the inside out, then in the
//! environment, whose text is read as a value of this language. An included file does not see the maps around the
//! place where it is included.

mod reference;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::fault::Fault;
use super::lexer::{Lexed, Lexer, Mistake, Scalar, mistake_at};
use super::value::{Entry, List, Map, Position, VALUE_WEIGHT, Value};
use super::{
    DEPTH_MAX, Document, EXPANDED_BYTES_MAX, FILES_BYTES_MAX, INCLUDE_DEPTH_MAX, INCLUDES_MAX,
    Source, Surroundings,
};

/// Reads the file at `path` and all that it includes.
///
/// # Errors
/// The first fault of the language. A file that cannot be read is a fault without a place, in Go's words.
pub fn parse(path: &str, surroundings: &dyn Surroundings) -> Result<Document, Fault> {
    let mut reading = Reading {
        surroundings,
        sources: Vec::new(),
        bytes: 0,
        expanded_bytes: 0,
        entries: 0,
        open_files: Vec::new(),
        open_variables: Vec::new(),
    };
    let path = path.to_owned();
    let bytes = reading.read(&path).map_err(Fault::general)?;
    let root = reading.file(path.clone(), bytes)?;
    Ok(Document {
        path,
        root,
        sources: reading.sources,
    })
}

/// What all files of one document have in common.
struct Reading<'a> {
    surroundings: &'a dyn Surroundings,
    sources: Vec<Source>,
    bytes: usize,
    /// What the values would take if every variable were written out.
    expanded_bytes: usize,
    /// Entries of all maps so far.
    entries: usize,
    /// Files that are being read, outermost first.
    open_files: Vec<String>,
    /// Variables of the environment that are being read, outermost first.
    open_variables: Vec<String>,
}

impl Reading<'_> {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let bytes = self.surroundings.read(path)?;
        self.bytes += bytes.len();
        if self.bytes > FILES_BYTES_MAX {
            return Err(format!(
                "{path}: the configuration is longer than {} MiB, all included files together",
                FILES_BYTES_MAX >> 20
            ));
        }
        Ok(bytes)
    }

    fn file(&mut self, path: String, bytes: Vec<u8>) -> Result<Map, Fault> {
        let source = self.sources.len();
        let number = u16::try_from(source).unwrap_or(u16::MAX);
        self.sources.push(Source {
            path: path.clone(),
            bytes: Vec::new(),
        });
        self.open_files.push(path);
        let parsed = Parser::new(&bytes, number, self).run();
        self.open_files.pop();
        self.sources[source].bytes = bytes;
        parsed.map_err(|trouble| match trouble {
            Trouble::Here(Mistake { position, reason }) => {
                let source = &self.sources[source];
                Fault::at(&source.path, &source.bytes, position, reason)
            }
            Trouble::Elsewhere(fault) => fault,
        })
    }
}

/// A mistake of the file that is being read, or a fault of one that it includes.
enum Trouble {
    Here(Mistake),
    Elsewhere(Fault),
}

impl From<Mistake> for Trouble {
    fn from(mistake: Mistake) -> Trouble {
        Trouble::Here(mistake)
    }
}

/// One file, or one variable of the environment.
struct Parser<'a, 'b> {
    lexer: Lexer<'a>,
    reading: &'a mut Reading<'b>,
    /// Maps and lists that are not closed; the first is the file's own map.
    open: Vec<Open>,
    /// Braces around the whole file that are not closed. They make no map of their own.
    braces: usize,
}

struct Open {
    container: Container,
    /// Where it begins.
    position: Position,
    weight: usize,
    depth: usize,
    /// The key that waits for its value; of maps only.
    key: Option<(Rc<str>, Position)>,
}

enum Container {
    Map(BTreeMap<Rc<str>, Entry>),
    List(Vec<(Position, Value)>),
}

/// What may come next.
#[derive(Clone, Copy)]
enum Next {
    Item,
    EndOfItem,
    Done,
}

impl<'a, 'b> Parser<'a, 'b> {
    fn new(bytes: &'a [u8], source: u16, reading: &'a mut Reading<'b>) -> Parser<'a, 'b> {
        let lexer = Lexer::new(bytes, source);
        let root = Open::new(Container::Map(BTreeMap::new()), lexer.position());
        Parser {
            lexer,
            reading,
            open: vec![root],
            braces: 0,
        }
    }

    fn run(mut self) -> Result<Map, Trouble> {
        let mut next = Next::Item;
        loop {
            let is_list = matches!(self.innermost().container, Container::List(_));
            next = match next {
                Next::Item if is_list => self.element()?,
                Next::Item => self.entry()?,
                Next::EndOfItem => self.end_of_item()?,
                Next::Done => break,
            };
        }
        match self.open.swap_remove(0).close() {
            Value::Map(map) => Ok(Rc::into_inner(map).unwrap_or_default()),
            _ => unreachable!("the file's own container is a map"),
        }
    }

    /// A key and the beginning of its value, or the end of a map or the file.
    fn entry(&mut self) -> Result<Next, Trouble> {
        self.skip_spaces_and_comments();
        let is_root = self.open.len() == 1;
        let position = self.lexer.position();
        match self.lexer.peek() {
            // nats-server does not miss the closing brace of braces around the whole file.
            None if is_root => return Ok(Next::Done),
            None => return Err(self.unclosed("map").into()),
            Some(b'{') if is_root => {
                self.lexer.take(b'{');
                self.braces += 1;
                self.check_depth(position, 0)?;
                return Ok(Next::Item);
            }
            Some(b'}') if is_root => return Ok(self.close_brace(position)?),
            Some(b'}') => return Ok(self.close()?),
            Some(b'=' | b':' | b']' | b'/') => {
                let found = self.lexer.found();
                let reason = format!("expected a key, but found {found}");
                return Err(self.lexer.mistake(reason).into());
            }
            Some(_) => {}
        }
        let (key, is_include) = self.lexer.key()?;
        if is_include {
            return self.include(position);
        }
        self.charge(position, key.len())?;
        self.innermost().key = Some((key.clone(), position));
        self.lexer.skip_spaces();
        if self.lexer.take(b'=') || self.lexer.take(b':') {
            if is_root {
                self.lexer.skip_blanks();
            } else {
                self.lexer.skip_spaces();
            }
        }
        if self.lexer.peek().is_none() {
            let reason = format!("expected a value for {key:?}, but found the end of the file");
            return Err(mistake_at(position, reason).into());
        }
        self.value()
    }

    /// A value of a list, or the list's end.
    fn element(&mut self) -> Result<Next, Trouble> {
        self.skip_spaces_and_comments();
        match self.lexer.peek() {
            None => Err(self.unclosed("list").into()),
            Some(b']') => Ok(self.close()?),
            Some(_) => self.value(),
        }
    }

    fn value(&mut self) -> Result<Next, Trouble> {
        let position = self.lexer.position();
        let container = match self.lexer.peek() {
            Some(b'{') => Container::Map(BTreeMap::new()),
            Some(b'[') => Container::List(Vec::new()),
            _ => {
                let value = match self.lexer.scalar()? {
                    Scalar::Value(value) => value,
                    Scalar::Variable(name) => self.variable(&name, position)?,
                };
                self.put(position, value)?;
                return Ok(Next::EndOfItem);
            }
        };
        let _ = self.lexer.take(b'{') || self.lexer.take(b'[');
        self.open.push(Open::new(container, position));
        self.check_depth(position, 0)?;
        self.charge(position, VALUE_WEIGHT)?;
        Ok(Next::Item)
    }

    /// What separates a value from the next, or closes what it is in.
    fn end_of_item(&mut self) -> Lexed<Next> {
        self.lexer.skip_blanks();
        if self.lexer.skip_comment() {
            return Ok(Next::Item);
        }
        let is_root = self.open.len() == 1;
        let is_list = matches!(self.innermost().container, Container::List(_));
        let position = self.lexer.position();
        match self.lexer.peek() {
            Some(b'\n' | b'\r' | b',') => {}
            Some(b';') if !is_list => {}
            Some(b']') if is_list => return self.close(),
            Some(b'}') if is_root => return self.close_brace(position),
            Some(b'}') if !is_list => return self.close(),
            None if is_root && self.braces == 0 => return Ok(Next::Done),
            None if is_root => {
                return Err(mistake_at(
                    position,
                    "a '}' is missing at the end of the file",
                ));
            }
            None => return Err(self.unclosed(if is_list { "list" } else { "map" })),
            Some(_) => {
                let expected = match (is_root, is_list) {
                    (true, _) => "the end of the line, ',' or ';'",
                    (_, true) => "',', the end of the line or ']'",
                    _ => "',', the end of the line or '}'",
                };
                return Err(self.lexer.mistake(format!(
                    "expected {expected} after a value, but found {}; texts with spaces need quotes",
                    self.lexer.found()
                )));
            }
        }
        for separator in [b',', b';'] {
            if self.lexer.take(separator) {
                break;
            }
        }
        Ok(Next::Item)
    }

    fn skip_spaces_and_comments(&mut self) {
        loop {
            self.lexer.skip_spaces();
            if !self.lexer.skip_comment() {
                return;
            }
        }
    }

    /// A `}` outside of all maps. nats-server lets one stand behind a value although none was opened.
    fn close_brace(&mut self, position: Position) -> Lexed<Next> {
        self.lexer.take(b'}');
        match self.braces.checked_sub(1) {
            Some(braces) => self.braces = braces,
            None => {
                self.skip_spaces_and_comments();
                if self.lexer.peek().is_some() {
                    let reason = "this '}' closes nothing: a '{' before it is missing";
                    return Err(mistake_at(position, reason));
                }
            }
        }
        Ok(Next::Item)
    }

    /// The innermost map or list is complete; its closing sign is next.
    fn close(&mut self) -> Lexed<Next> {
        let _ = self.lexer.take(b'}') || self.lexer.take(b']');
        if let Some(open) = self.open.pop() {
            let position = open.position;
            self.put_closed(position, open.close());
        }
        Ok(Next::EndOfItem)
    }

    fn unclosed(&mut self, what: &str) -> Mistake {
        let position = self.innermost().position;
        let sign = if what == "map" { '}' } else { ']' };
        mistake_at(
            position,
            format!("this {what} is not closed: the file ends without its '{sign}'"),
        )
    }

    fn innermost(&mut self) -> &mut Open {
        let last = self.open.len() - 1;
        &mut self.open[last]
    }

    /// Puts a value that has just been read where it belongs, and charges for it.
    fn put(&mut self, position: Position, value: Value) -> Lexed<()> {
        self.check_depth(position, value.depth())?;
        self.charge(position, value.weight())?;
        self.put_closed(position, value);
        Ok(())
    }

    /// Puts a value whose parts have been charged for already.
    fn put_closed(&mut self, position: Position, value: Value) {
        let order = self.reading.entries;
        let open = self.innermost();
        open.weight = open.weight.saturating_add(value.weight());
        open.depth = open.depth.max(value.depth() + 1);
        match &mut open.container {
            Container::List(elements) => elements.push((position, value)),
            Container::Map(entries) => {
                let Some((key, position)) = open.key.take() else {
                    unreachable!("a value in a map follows its key");
                };
                open.weight = open.weight.saturating_add(key.len());
                let entry = Entry {
                    position,
                    value,
                    order,
                    is_referred_to: Cell::new(false),
                };
                entries.insert(key, entry);
                self.reading.entries += 1;
            }
        }
    }

    fn check_depth(&self, position: Position, more: usize) -> Lexed<()> {
        if self.open.len() + self.braces + more <= DEPTH_MAX + 1 {
            return Ok(());
        }
        let reason = format!("maps and lists are more than {DEPTH_MAX} deep inside each other");
        Err(mistake_at(position, reason))
    }

    fn charge(&mut self, position: Position, bytes: usize) -> Lexed<()> {
        let spent = &mut self.reading.expanded_bytes;
        *spent = spent.saturating_add(bytes);
        if *spent <= EXPANDED_BYTES_MAX {
            return Ok(());
        }
        let reason = format!(
            "the values of this configuration take more than {} MiB, variables and includes written out",
            EXPANDED_BYTES_MAX >> 20
        );
        Err(mistake_at(position, reason))
    }
}

impl Open {
    fn new(container: Container, position: Position) -> Open {
        Open {
            container,
            position,
            weight: 0,
            depth: 1,
            key: None,
        }
    }

    fn close(self) -> Value {
        let (weight, depth) = (self.weight, self.depth);
        match self.container {
            Container::Map(entries) => Value::Map(Rc::new(Map {
                entries,
                weight,
                depth,
            })),
            Container::List(elements) => Value::List(Rc::new(List {
                elements,
                weight,
                depth,
            })),
        }
    }
}
