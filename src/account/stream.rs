//! Imported streams: what an account's subscriptions hear from another one.

use crate::base::ids::AccountId;
use crate::config::account::Import;
use crate::subject::{
    Pattern, Reason, Transform, TransformError, intersection, numbered, unnumbered,
};
use std::borrow::Cow;

/// One import of a stream.
#[derive(Debug)]
pub struct StreamImport {
    /// The exporting account.
    pub from: AccountId,
    pub allow_trace: bool,
    pub(super) written: Import,
    /// In the exporting account.
    there: Box<[u8]>,
    /// What it is here.
    here: Box<[u8]>,
    names: Names,
}

/// How subjects there and here belong together.
#[derive(Debug)]
enum Names {
    Same,
    /// One subject there, and one here.
    Literal,
    Changed {
        to_here: Transform,
        to_there: Transform,
    },
}

impl StreamImport {
    pub(super) fn compile(
        import: &Import,
        to: Option<&str>,
    ) -> Result<StreamImport, TransformError> {
        let there = import.subject.as_str();
        let to = to.unwrap_or(there);
        let is_literal = Pattern::new(there.as_bytes()).is_some_and(Pattern::is_literal);
        let names = if to == there {
            Names::Same
        } else if is_literal {
            Names::Literal
        } else {
            let to_here = Transform::compile_strict(there, &numbered(to))?;
            let to_there = way_back(&to_here, to)?;
            Names::Changed { to_here, to_there }
        };
        Ok(StreamImport {
            from: import.from,
            allow_trace: import.allow_trace,
            written: import.clone(),
            there: there.as_bytes().into(),
            here: unnumbered(to).into_bytes().into(),
            names,
        })
    }

    /// The pattern here.
    pub fn here(&self) -> &[u8] {
        &self.here
    }

    /// The pattern there.
    pub fn there(&self) -> &[u8] {
        &self.there
    }

    /// What a subscription here wants of the exporting account; `None` when the import does not concern it.
    pub fn pattern_there(&self, wanted: Pattern<'_>) -> Option<Vec<u8>> {
        let common = intersection(wanted.as_bytes(), &self.here)?;
        Some(match &self.names {
            Names::Same => common,
            Names::Literal => self.there.to_vec(),
            Names::Changed { to_there, .. } => to_there.rewrite(&common, &mut no_chance),
        })
    }

    /// What a subject there is called here.
    pub fn subject_here<'s>(&'s self, subject: &'s [u8]) -> Cow<'s, [u8]> {
        match &self.names {
            Names::Same => subject.into(),
            Names::Literal => (&*self.here).into(),
            Names::Changed { to_here, .. } => to_here.rewrite(subject, &mut no_chance).into(),
        }
    }

    /// Whether subjects are the same there and here.
    pub fn keeps_subjects(&self) -> bool {
        matches!(self.names, Names::Same)
    }
}

/// A strict transform uses as many wildcards as there are; it has a way back when it uses none twice.
pub(super) fn way_back(transform: &Transform, text: &str) -> Result<Transform, TransformError> {
    transform.reverse().ok_or_else(|| TransformError {
        reason: Reason::UnusedWildcards,
        place: text.to_owned(),
    })
}

/// The transforms of imports have no functions that ask for chance.
pub(super) fn no_chance(_: u32) -> u32 {
    0
}
