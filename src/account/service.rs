//! Imported services: subjects of an account whose messages are requests to another one.

use super::export::ExportId;
use super::stream::{no_chance, way_back};
use crate::base::ids::AccountId;
use crate::config::account::Import;
use crate::subject::{Pattern, Transform, TransformError, matches, numbered, unnumbered};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::borrow::Cow;

/// The service imports of one account.
#[derive(Debug, Default)]
pub struct ServiceImports {
    all: Vec<ServiceImport>,
    /// Those of one subject, by that.
    literals: HashMap<Box<[u8]>, Vec<usize>, FixedState>,
    wildcards: Vec<usize>,
}

/// One import of a service.
#[derive(Debug)]
pub struct ServiceImport {
    /// The exporting account.
    pub from: AccountId,
    pub export: ExportId,
    /// Whether the exporting account learns who asks.
    pub share: bool,
    pub allow_trace: bool,
    here: Box<[u8]>,
    there: Box<[u8]>,
    names: Names,
}

/// What a subject here is called there.
#[derive(Debug)]
enum Names {
    Same,
    /// The one subject there.
    Literal,
    Changed(Transform),
}

impl ServiceImports {
    pub(super) fn add(&mut self, import: ServiceImport) {
        let index = self.all.len();
        if Pattern::new(&import.here).is_some_and(Pattern::is_literal) {
            let here = import.here.clone();
            self.literals.entry(here).or_default().push(index);
        } else {
            self.wildcards.push(index);
        }
        self.all.push(import);
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether there is an import of exactly this subject.
    pub(super) fn has_literal(&self, here: &[u8]) -> bool {
        self.literals.contains_key(here)
    }

    pub fn get(&self, index: usize) -> Option<&ServiceImport> {
        self.all.get(index)
    }

    pub fn iter(&self) -> impl Iterator<Item = &ServiceImport> {
        self.all.iter()
    }

    /// Calls `found` with the imports that take messages of `subject`, and with what that is called there.
    pub fn matching(&self, subject: &[u8], found: &mut impl FnMut(usize, &[u8])) {
        let literals = self.literals.get(subject).into_iter().flatten();
        let takes = |index: &&usize| matches(&self.all[**index].here, subject);
        for index in literals.chain(self.wildcards.iter().filter(takes)) {
            found(*index, &self.all[*index].subject_there(subject));
        }
    }
}

impl ServiceImport {
    pub(super) fn compile(
        import: &Import,
        to: Option<&str>,
        share: bool,
        export: ExportId,
    ) -> Result<ServiceImport, TransformError> {
        let here = to.unwrap_or(&import.subject);
        let there = unnumbered(&import.subject);
        let is_literal = Pattern::new(there.as_bytes()).is_some_and(Pattern::is_literal);
        let names = if is_literal {
            Names::Literal
        } else if here == import.subject {
            Names::Same
        } else {
            // Strict and backwards, as nats-server does it: only the side here may have its wildcards in another order.
            let to_here = Transform::compile_strict(&there, &numbered(here))?;
            Names::Changed(way_back(&to_here, here)?)
        };
        Ok(ServiceImport {
            from: import.from,
            export,
            share,
            allow_trace: import.allow_trace,
            here: unnumbered(here).into_bytes().into(),
            there: there.into_bytes().into(),
            names,
        })
    }

    /// An import that all accounts have, each with its own subject there.
    pub(super) fn of_all(here: &str, there: &str, share: bool, export: ExportId) -> ServiceImport {
        ServiceImport {
            from: export.account,
            export,
            share,
            allow_trace: false,
            here: here.as_bytes().into(),
            there: there.as_bytes().into(),
            names: Names::Literal,
        }
    }

    /// The pattern here.
    pub fn here(&self) -> &[u8] {
        &self.here
    }

    /// The pattern there.
    pub fn there(&self) -> &[u8] {
        &self.there
    }

    fn subject_there<'s>(&'s self, subject: &'s [u8]) -> Cow<'s, [u8]> {
        match &self.names {
            Names::Same => subject.into(),
            Names::Literal => (&*self.there).into(),
            Names::Changed(transform) => transform.rewrite(subject, &mut no_chance).into(),
        }
    }
}
