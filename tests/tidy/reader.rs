//! Just enough of a Rust reader for the rules of `tests/tidy.rs`: it tells code from comments and from strings.
//!
//! It keeps every line in its place, so that a fault can name it. It does not parse: macros that build names out of
//! pieces go unseen, and clippy sees those.

/// A file, taken apart.
pub(crate) struct Source {
    /// From the repository's root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and the insides of strings blanked out.
    pub(crate) code: String,
    /// The text with everything but comments blanked out.
    pub(crate) comments: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let (code, comments) = split(text);
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            comments,
        }
    }

    /// The room of `src` that the file is in; none for `src/lib.rs`, `src/main.rs` and what is not in `src`.
    pub(crate) fn room(&self) -> Option<&str> {
        let (room, _) = self.path.strip_prefix("src/")?.split_once('/')?;
        Some(room)
    }

    /// Rooms that the file names, with the line: `crate::X`, `crate::{X, Y}`, and `super::X` where that leaves its room.
    pub(crate) fn crate_uses(&self) -> Vec<(usize, String)> {
        let mut uses = names_after(&self.code, "crate");
        for (number, supers, name) in super_paths(&self.code) {
            if supers >= self.depth_at(number) {
                uses.push((number, name));
            }
        }
        uses
    }

    /// How many `super` it takes at a line to reach the crate's root.
    fn depth_at(&self, number: usize) -> usize {
        let folders = self.path.matches('/').count();
        let is_root_of_folder = self.path.ends_with("/mod.rs");
        let is_in_tests = self.tests_begin().is_some_and(|begin| number > begin);
        folders - usize::from(is_root_of_folder) + usize::from(is_in_tests)
    }

    /// The line where the tests module at the end of the file begins.
    fn tests_begin(&self) -> Option<usize> {
        let mut lines = self.code.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            if line == "#[cfg(test)]" {
                let (next, _) = lines.next()?;
                if next.starts_with("mod tests {") {
                    return Some(number);
                }
            }
        }
        None
    }

    /// Lines with code on them, without the tests module at the end.
    pub(crate) fn code_lines(&self) -> usize {
        let end = self.tests_begin().map_or(usize::MAX, |begin| begin - 1);
        let is_code = |line: &&str| !line.trim().is_empty();
        self.code.lines().take(end).filter(is_code).count()
    }
}

/// Lines on which `word` stands by itself, each once.
pub(crate) fn words(text: &str, word: &str) -> Vec<usize> {
    let has = |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + word.len()..].chars().next();
            !before.is_some_and(is_name) && !after.is_some_and(is_name)
        })
    };
    let lines = text.lines().zip(1..);
    lines
        .filter(|(line, _)| has(line))
        .map(|(_, number)| number)
        .collect()
}

/// The names that follow `root::`, also in `root::{a::b, c}`, with their lines.
pub(crate) fn names_after(code: &str, root: &str) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    let needle = format!("{root}::");
    for (at, _) in code.match_indices(&needle) {
        // `my_crate::` and `$crate::` are something else.
        if code[..at]
            .chars()
            .next_back()
            .is_some_and(|c| is_name(c) || c == ':')
        {
            continue;
        }
        push_names(code, at + needle.len(), &mut names);
    }
    names
}

/// Adds the name at `at`, or those of the braces that open there.
fn push_names(code: &str, at: usize, names: &mut Vec<(usize, String)>) {
    let mut add = |at: usize| {
        let name: String = code[at..].chars().take_while(|c| is_name(*c)).collect();
        if !name.is_empty() {
            names.push((line_number(code, at), name));
        }
    };
    if !code[at..].starts_with('{') {
        return add(at);
    }
    let (mut depth, mut is_expected) = (0, false);
    for (offset, c) in code[at..].char_indices() {
        match c {
            '{' => {
                depth += 1;
                is_expected = depth == 1;
            }
            '}' if depth == 1 => return,
            '}' => depth -= 1,
            ',' => is_expected = depth == 1,
            c if is_expected && is_name(c) => {
                add(at + offset);
                is_expected = false;
            }
            _ => {}
        }
    }
}

/// Paths of `super::`, with their line, the number of `super` and the name behind them.
fn super_paths(code: &str) -> Vec<(usize, usize, String)> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("super::") {
        if code[..at]
            .chars()
            .next_back()
            .is_some_and(|c| is_name(c) || c == ':')
        {
            continue;
        }
        let (mut supers, mut end) = (0, at);
        while code[end..].starts_with("super::") {
            supers += 1;
            end += "super::".len();
        }
        let mut names = Vec::new();
        push_names(code, end, &mut names);
        paths.extend(
            names
                .into_iter()
                .map(|(number, name)| (number, supers, name)),
        );
    }
    paths
}

fn line_number(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where the reader is.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Code,
    LineComment,
    /// And how deeply nested.
    BlockComment(usize),
    Text,
    /// And how many `#` close it.
    RawText(usize),
}

/// The text as code and as comments; blanks stand for what belongs to the other.
fn split(text: &str) -> (String, String) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut comments) = (String::new(), String::new());
    let mut place = Place::Code;
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        let next = chars.get(at + 1).copied().unwrap_or('\n');
        let before = place;
        let mut length = 1;
        let mut shown_as_code = c;
        match place {
            Place::Code => match (c, next) {
                ('/', '/') => place = Place::LineComment,
                ('/', '*') => (place, length) = (Place::BlockComment(1), 2),
                ('"', _) => place = Place::Text,
                ('r', '"' | '#') if at == 0 || !is_name(chars[at - 1]) || chars[at - 1] == 'b' => {
                    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
                    if chars.get(at + 1 + hashes) == Some(&'"') {
                        (place, length) = (Place::RawText(hashes), hashes + 2);
                    }
                }
                // A character, not a lifetime: it closes after one character, or begins with a backslash.
                ('\'', '\\') => {
                    let close = chars[at + 3..].iter().position(|c| *c == '\'');
                    length = close.map_or(1, |close| close + 4);
                    shown_as_code = ' ';
                }
                ('\'', _) if chars.get(at + 2) == Some(&'\'') => {
                    length = 3;
                    shown_as_code = ' ';
                }
                _ => {}
            },
            Place::LineComment if c == '\n' => place = Place::Code,
            Place::BlockComment(depth) => match (c, next) {
                ('*', '/') if depth == 1 => (place, length) = (Place::Code, 2),
                ('*', '/') => (place, length) = (Place::BlockComment(depth - 1), 2),
                ('/', '*') => (place, length) = (Place::BlockComment(depth + 1), 2),
                _ => {}
            },
            Place::Text if c == '\\' => length = 2,
            Place::Text if c == '"' => place = Place::Code,
            Place::RawText(hashes) if c == '"' => {
                let closing = chars[at + 1..].iter().take(hashes);
                if closing.filter(|c| **c == '#').count() == hashes {
                    (place, length) = (Place::Code, hashes + 1);
                }
            }
            Place::LineComment | Place::Text | Place::RawText(_) => {}
        }
        let is_comment = |place| matches!(place, Place::LineComment | Place::BlockComment(_));
        for (index, c) in chars[at..chars.len().min(at + length)].iter().enumerate() {
            if *c == '\n' {
                code.push('\n');
                comments.push('\n');
                continue;
            }
            let in_comment = is_comment(before) || is_comment(place);
            comments.push(if in_comment { *c } else { ' ' });
            // Quotes stay, so that an empty string can be told from one with something in it.
            let in_text = matches!(before, Place::Text | Place::RawText(_)) && place == before;
            let is_code = !in_comment && !in_text && (index == 0 || length == 1);
            let shown = if index == 0 { shown_as_code } else { *c };
            code.push(if is_code {
                shown
            } else if in_text {
                '_'
            } else {
                ' '
            });
        }
        at += length;
    }
    (code, comments)
}
