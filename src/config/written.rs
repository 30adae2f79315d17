//! TOML as it is written: every value with the place where it stands.
//!
//! A reader that stops at the first fault makes an operator run the check once per fault, so this one (unlike serde's)
//! never stops: faults of syntax, unknown keys and values of the wrong kind are all collected, and what could be read is
//! handed on so that [`super::check`] can add what makes no sense. [`as_written!`] declares a table with its keys.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Problems};
use super::suggest::did_you_mean;

/// A value and the bytes of the text where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub value: T,
    pub span: Range<usize>,
}

/// A text that people wrote, and what was found wrong with it so far.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    file: PathBuf,
    text: &'t str,
    problems: Vec<(usize, Problem)>,
}

impl<'t> Document<'t> {
    pub fn new(file: &Path, text: &'t str) -> Self {
        Document { file: file.to_owned(), text, problems: Vec::new() }
    }

    /// A problem at a place of the text.
    pub fn problem(&mut self, span: &Range<usize>, what: impl Into<String>, help: impl Into<String>) {
        let problem = self.problem_at(span, what, help);
        self.problems.push((span.start, problem));
    }

    pub fn problem_at(&self, span: &Range<usize>, what: impl Into<String>, help: impl Into<String>) -> Problem {
        let start = floor_char(self.text, span.start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[line_start..].lines().next().unwrap_or("");
        let column = self.text[line_start..start].chars().count();
        let end = floor_char(self.text, span.end.min(line_start + line.len())).max(start);
        let width = self.text[start..end].chars().count();
        Problem {
            file: self.file.clone(),
            line: Some(self.line_of(start)),
            column: Some(small(column + 1)),
            what: what.into(),
            help: help.into(),
            excerpt: Some((line.to_owned(), small(width))),
        }
    }

    /// 1-based.
    pub fn line_of(&self, offset: usize) -> u32 {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        small(before.iter().filter(|&&b| b == b'\n').count() + 1)
    }

    /// Whether nothing was found wrong; else everything, in the order of the text.
    pub fn finish(mut self) -> Result<(), Problems> {
        if self.problems.is_empty() {
            return Ok(());
        }
        self.problems.sort_by_key(|(offset, _)| *offset);
        Err(Problems(self.problems.into_iter().map(|(_, problem)| problem).collect()))
    }

    fn wrong_kind(&mut self, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.problem(&value.span(), format!("expected {expected}, found {found}"), "");
    }

    /// Reads one key of a table, where it is there and of the right kind.
    pub fn key<T: FromToml>(&mut self, table: &DeTable<'_>, key: &str) -> Option<At<T>> {
        let value = table.get(key)?;
        T::read(value, self).map(|read| At { value: read, span: value.span() })
    }

    pub fn refuse_unknown(&mut self, table: &DeTable<'_>, keys: &[&str]) {
        for key in table.keys().filter(|key| !keys.contains(&key.get_ref().as_ref())) {
            let word = key.get_ref();
            self.problem(&key.span(), format!("unknown key `{word}`"), did_you_mean(word, keys.iter().copied()));
        }
    }
}

fn floor_char(text: &str, mut offset: usize) -> usize {
    offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Lines and columns of a file whose size is bounded.
fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Reads the whole text as one table.
pub(crate) fn read<T: FromToml + Default>(document: &mut Document<'_>) -> T {
    let text = document.text;
    let (root, faults) = DeTable::parse_recoverable(text);
    let broken = !faults.is_empty();
    for fault in faults {
        document.problem(&fault.span().unwrap_or(0..0), fault.message(), "");
    }
    let span = root.span();
    let table = Spanned::new(span, DeValue::Table(root.into_inner()));
    if broken {
        // What recovery left of a broken table is half a guess: its keys would give false alarms.
        let mut aside = Document::new(&document.file, text);
        return T::read(&table, &mut aside).unwrap_or_default();
    }
    T::read(&table, document).unwrap_or_default()
}

/// What a TOML value can be read as. `None` has told its problem to the document.
pub(crate) trait FromToml: Sized {
    fn read(value: &Spanned<DeValue<'_>>, document: &mut Document<'_>) -> Option<Self>;
}

impl FromToml for String {
    fn read(value: &Spanned<DeValue<'_>>, document: &mut Document<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::String(text) => Some(text.clone().into_owned()),
            _ => {
                document.wrong_kind(value, "a text in quotes");
                None
            }
        }
    }
}

impl FromToml for bool {
    fn read(value: &Spanned<DeValue<'_>>, document: &mut Document<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Boolean(answer) => Some(*answer),
            _ => {
                document.wrong_kind(value, "true or false");
                None
            }
        }
    }
}

impl FromToml for u64 {
    fn read(value: &Spanned<DeValue<'_>>, document: &mut Document<'_>) -> Option<Self> {
        let number = match value.get_ref() {
            DeValue::Integer(digits) => u64::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        };
        if number.is_none() {
            match value.get_ref() {
                DeValue::Integer(_) => document.problem(&value.span(), "the number is out of range", "0 or more"),
                _ => document.wrong_kind(value, "a whole number"),
            }
        }
        number
    }
}

/// Elements that can't be read are left out; each has told its problem.
impl<T: FromToml> FromToml for Vec<At<T>> {
    fn read(value: &Spanned<DeValue<'_>>, document: &mut Document<'_>) -> Option<Self> {
        let DeValue::Array(array) = value.get_ref() else {
            document.wrong_kind(value, "an array, as in [\"…\", \"…\"]");
            return None;
        };
        let read =
            |element: &Spanned<DeValue<'_>>| T::read(element, document).map(|value| At { value, span: element.span() });
        Some(array.iter().filter_map(read).collect())
    }
}

/// A table whose keys are names that the author chose, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Named<T>(pub Vec<(At<String>, At<T>)>);

impl<T: FromToml> FromToml for Named<T> {
    fn read(value: &Spanned<DeValue<'_>>, document: &mut Document<'_>) -> Option<Self> {
        let DeValue::Table(table) = value.get_ref() else {
            document.wrong_kind(value, "a table");
            return None;
        };
        let mut named = Vec::new();
        for (key, element) in table {
            let name = At { value: key.get_ref().clone().into_owned(), span: key.span() };
            if let Some(value) = T::read(element, document) {
                named.push((name, At { value, span: element.span() }));
            }
        }
        named.sort_by_key(|(name, _)| name.span.start);
        Some(Named(named))
    }
}

/// Declares a table as it is written: every key may be absent, an unknown one is a problem.
macro_rules! as_written {
    ($($(#[$meta:meta])* $vis:vis struct $name:ident { $($field:ident: $kind:ty,)* })+) => {
        $($(#[$meta])*
        #[derive(Debug, Default)]
        $vis struct $name { $(pub $field: Option<$crate::config::written::At<$kind>>,)* }

        impl $name {
            pub(crate) const KEYS: &'static [&'static str] = &[$(stringify!($field)),*];
        }

        impl $crate::config::written::FromToml for $name {
            fn read(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                document: &mut $crate::config::written::Document<'_>,
            ) -> Option<Self> {
                let table = document.table(value)?;
                document.refuse_unknown(table, Self::KEYS);
                Some($name { $($field: document.key(table, stringify!($field)),)* })
            }
        })+
    };
}
pub(crate) use as_written;

impl Document<'_> {
    pub fn table<'v, 'i>(&mut self, value: &'v Spanned<DeValue<'i>>) -> Option<&'v DeTable<'i>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => {
                self.wrong_kind(value, "a table");
                None
            }
        }
    }
}
