//! What is wrong, where, and what to do about it; printed like a compiler's message.

use std::fmt;
use std::path::{Path, PathBuf};

/// One problem of a file that people write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// 1-based.
    pub line: Option<u32>,
    /// 1-based, in characters.
    pub column: Option<u32>,
    pub what: String,
    /// The cure; empty where `what` says it all.
    pub help: String,
    /// The line as it stands in the file, and how many characters of it are meant.
    pub excerpt: Option<(String, u32)>,
}

impl Problem {
    /// About a file as a whole.
    pub fn of_file(file: impl Into<PathBuf>, what: impl Into<String>, help: impl Into<String>) -> Problem {
        Problem { file: file.into(), line: None, column: None, what: what.into(), help: help.into(), excerpt: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.map_or(String::new(), |line| line.to_string());
        let margin = " ".repeat(number.len().max(1));
        write!(f, "{}\n{margin}--> {}", self.what, self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        if let Some((text, width)) = &self.excerpt {
            // A tab is shown as it stands: the caret's line repeats it, so that both stay aligned.
            let before = text.chars().take(self.column.unwrap_or(1).saturating_sub(1) as usize);
            let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let carets = "^".repeat((*width).max(1) as usize);
            write!(f, "\n{margin} |\n{number} | {text}\n{margin} | {indent}{carets}")?;
        }
        if !self.help.is_empty() {
            write!(f, "\n{margin} = help: {}", self.help)?;
        }
        Ok(())
    }
}

/// Everything that is wrong, in the order in which it stands in the files. Never empty as an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "error: {problem}\n")?;
        }
        match self.0.len() {
            1 => f.write_str("1 problem"),
            n => write!(f, "{n} problems"),
        }
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Problems(vec![problem])
    }
}

/// No file that people write by hand comes near this size: a larger one is a mistake, and reading it has a limit.
const TEXT_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Reads a text that people write. `what` names it in the message: "the configuration".
pub(crate) fn read_text(file: &Path, what: &str) -> Result<String, Problems> {
    let unreadable = |e: std::io::Error| {
        let help = match e.kind() {
            std::io::ErrorKind::NotFound => "check the path, or leave it out for the defaults".to_owned(),
            std::io::ErrorKind::PermissionDenied => "give the user that runs ecluse the right to read it".to_owned(),
            _ => String::new(),
        };
        Problems::from(Problem::of_file(file, format!("{what} cannot be read: {e}"), help))
    };
    let length = std::fs::metadata(file).map_err(unreadable)?.len();
    if length > TEXT_MAX_BYTES {
        let what = format!("{what} has {length} bytes, more than the {TEXT_MAX_BYTES} that are read");
        return Err(Problem::of_file(file, what, "is it the right file?").into());
    }
    let bytes = std::fs::read(file).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|e| {
        let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = good.iter().filter(|&&b| b == b'\n').count() + 1;
        let what = format!("{what} is not UTF-8 from line {line} on");
        Problem::of_file(file, what, "save it as UTF-8 (an editor may have written Latin-1)").into()
    })
}
