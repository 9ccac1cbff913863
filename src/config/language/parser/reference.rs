//! What a file refers to: variables of the maps around them and of the environment, and other files.
//!
//! *Control path.* Pure. A variable's value is charged for like one that is written out; an included file is read by a
//! parser of its own and sees nothing of the maps around the place where it is included.

use super::{Container, Lexed, Next, Parser, Position, Trouble, Value, mistake_at};
use super::{INCLUDE_DEPTH_MAX, INCLUDES_MAX};

impl Parser<'_, '_> {
    pub(super) fn variable(&mut self, name: &str, position: Position) -> Lexed<Value> {
        // A bcrypt hash may stand without quotes, as in nats-server: only the kind that it makes itself.
        if name.starts_with("2a$") {
            return Ok(Value::Text(format!("${name}").into()));
        }
        let maps = self
            .open
            .iter()
            .rev()
            .filter_map(|open| match &open.container {
                Container::Map(entries) => Some(entries),
                Container::List(_) => None,
            });
        for entries in maps {
            if let Some(entry) = entries.get(name) {
                entry.is_referred_to.set(true);
                return Ok(entry.value.clone());
            }
        }
        self.environment_variable(name, position)
    }

    fn environment_variable(&mut self, name: &str, position: Position) -> Lexed<Value> {
        let line = position.line;
        let unusable = |why: &str| {
            let text = format!(
                "variable reference for '{name}' on line {line} could not be parsed: {why}"
            );
            mistake_at(position, text)
        };
        if name.starts_with("2b$") || name.starts_with("2x$") || name.starts_with("2y$") {
            return Err(mistake_at(
                position,
                "a bcrypt hash that does not begin with $2a$ needs quotes",
            ));
        }
        if self.reading.open_variables.iter().any(|open| open == name) {
            return Err(unusable(&format!("variable reference cycle for '{name}'")));
        }
        if self.reading.open_variables.len() == INCLUDE_DEPTH_MAX {
            return Err(unusable(
                "too many variables refer to each other in a chain",
            ));
        }
        let Some(text) = self.reading.surroundings.variable(name) else {
            return Err(mistake_at(
                position,
                format!("variable reference for '{name}' on line {line} can not be found"),
            ));
        };
        self.charge(position, text.len())?;
        self.reading.open_variables.push(name.to_owned());
        let text = format!("{VALUE_KEY}={text}");
        let parsed = Parser::new(text.as_bytes(), position.source, self.reading).run();
        self.reading.open_variables.pop();
        match parsed {
            Ok(mut map) => match map.entries.remove(VALUE_KEY) {
                Some(entry) => Ok(entry.value),
                None => Err(unusable("it is empty")),
            },
            Err(Trouble::Here(mistake)) => Err(unusable(&mistake.reason)),
            Err(Trouble::Elsewhere(fault)) => Err(unusable(&fault.reason)),
        }
    }

    /// Takes all entries of another file into the innermost map.
    pub(super) fn include(&mut self, position: Position) -> Result<Next, Trouble> {
        let name = self.lexer.include_path()?;
        let failed = |why: &str| {
            let reason = format!("error parsing include file '{name}', {why}");
            Trouble::Here(mistake_at(position, reason))
        };
        if !self.reading.open_variables.is_empty() {
            return Err(failed(
                "a variable of the environment must not include files",
            ));
        }
        let path = join(
            self.reading.open_files.last().map_or("", String::as_str),
            &name,
        );
        if self.reading.open_files.contains(&path) {
            return Err(failed("it includes itself"));
        }
        if self.reading.open_files.len() > INCLUDE_DEPTH_MAX {
            return Err(failed(&format!(
                "more than {INCLUDE_DEPTH_MAX} files include each other in a chain"
            )));
        }
        if self.reading.sources.len() > INCLUDES_MAX {
            return Err(failed(&format!(
                "there are more than {INCLUDES_MAX} includes"
            )));
        }
        let bytes = self.reading.read(&path).map_err(|why| failed(&why))?;
        let map = self.reading.file(path, bytes).map_err(Trouble::Elsewhere)?;
        let mut entries: Vec<_> = map.entries.into_iter().collect();
        entries.sort_by_key(|(_, entry)| entry.order);
        for (key, entry) in entries {
            self.check_depth(position, entry.value.depth())?;
            self.innermost().key = Some((key.clone(), entry.position));
            let was_referred_to = entry.is_referred_to();
            self.put_closed(entry.position, entry.value);
            if let Container::Map(entries) = &self.innermost().container
                && let Some(entry) = entries.get(&key)
            {
                entry.is_referred_to.set(was_referred_to);
            }
        }
        Ok(Next::EndOfItem)
    }
}

/// `path` seen from the folder of the file `from`, without needless parts, as Go's `filepath.Join` has it. Unlike there
/// an absolute path stays what it is.
fn join(from: &str, path: &str) -> String {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let is_absolute = path.starts_with('/') || from.starts_with('/');
    let folder = if path.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if is_absolute => {}
            part => parts.push(part),
        }
    }
    format!("{}{}", if is_absolute { "/" } else { "" }, parts.join("/"))
}

/// The key under which a variable of the environment is read.
const VALUE_KEY: &str = "pk";
