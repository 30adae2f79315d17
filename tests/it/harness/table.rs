//! Rows of `docs/reliability.md`: what was tried, how much of it, and what came of it.
//!
//! A test prints its rows; `$ECLUSE_TEST_TABLE` names a folder in which each table is a file, from which
//! `tests/hostile/run` makes the page.

use std::fmt::{Display, Write};

/// One table of a test.
#[derive(Debug)]
pub struct Table {
    title: String,
    rows: String,
}

impl Table {
    pub fn new(title: &str) -> Self {
        Table { title: title.to_owned(), rows: String::new() }
    }

    pub fn row(&mut self, tried: &str, count: &dyn Display, result: &str) {
        let cell = |text: &str| text.replace('|', "\\|");
        let _ = writeln!(self.rows, "| {} | {count} | {} |", cell(tried), cell(result));
    }

    /// To stderr, and into the folder of tables.
    pub fn print(&self) {
        eprintln!("{}\n{}", self.title, self.rows);
        if let Some(folder) = std::env::var_os("ECLUSE_TEST_TABLE").map(std::path::PathBuf::from) {
            let name: String = self
                .title
                .to_ascii_lowercase()
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
                .collect();
            let text = format!("| {} | how many | result |\n|---|---:|---|\n{}", self.title, self.rows);
            std::fs::write(folder.join(name + ".md"), text).expect("a writable folder of tables");
        }
    }
}
