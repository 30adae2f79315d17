//! The rules that come with the program: a starting policy, people and small lists, for a trial and as a pattern.

use std::io;
use std::path::Path;

/// One file of `rules/`: where it goes, and its text.
pub type StarterFile = (&'static str, &'static str);

/// Every file under `rules/`. A test compares it with the directory.
pub const FILES: &[StarterFile] = &[];

/// Written last: names the set that the directory holds.
const STAMP: &str = ".version";

/// Writes the starter rules to `directory` when they are absent or of another version. Says whether it wrote.
///
/// # Errors
/// The directory cannot be written.
pub fn write_to(directory: &Path) -> io::Result<bool> {
    let version = version();
    let stamp = directory.join(STAMP);
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == version) {
        return Ok(false);
    }
    for (path, text) in FILES {
        let file = directory.join(path);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(file, text)?;
    }
    std::fs::create_dir_all(directory)?;
    std::fs::write(stamp, version)?;
    Ok(true)
}

/// Changes with any file of the set.
fn version() -> String {
    let mut sum = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for (path, text) in FILES {
        for part in [path, text] {
            sum.update(&(part.len() as u64).to_be_bytes());
            sum.update(part.as_bytes());
        }
    }
    sum.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
