//! The catalogue of lists as somebody writes it: every problem is told with a line that exists, and no source leads out
//! of its place by its name.

#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use ecluse::lists::Catalogue;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// One folder for all inputs: it is the text that is tried.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a temporary folder")).path()
}

fuzz_target!(|text: &str| {
    let file = folder().join("fuzz.toml");
    std::fs::write(&file, text).expect("a writable file");
    let nowhere = folder().join("nowhere");
    match Catalogue::read_sources(folder(), &nowhere) {
        Ok(sources) => {
            for source in sources.iter().filter(|source| source.upstream.is_some()) {
                assert!(!source.name.is_empty() && !source.name.contains(['/', '\\', '\0']), "{:?}", source.name);
                assert!(!source.name.starts_with('.'), "{:?}", source.name);
            }
        }
        Err(problems) => {
            let lines = text.matches('\n').count() as u32 + 1;
            assert!(!problems.is_empty(), "a refusal says why");
            for problem in problems.iter().filter(|problem| problem.file == file) {
                assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{:?} of {lines}", problem.line);
            }
        }
    }
});
