//! The symbolic links of an archive: made when everything else is there, then looked at once more.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use super::UnpackError;
use super::archive::shown;

/// Link and target.
#[derive(Default)]
pub struct Links(Vec<(PathBuf, PathBuf)>);

impl Links {
    /// `path` was looked at already; the target must be relative and stay inside.
    pub fn add(&mut self, path: PathBuf, target: &[u8]) -> Result<(), UnpackError> {
        let outside = || UnpackError::LinkOutside(shown(path.as_os_str().as_encoded_bytes()));
        let text = std::str::from_utf8(target).map_err(|_| outside())?;
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(outside());
        }
        let mut depth = path.components().count() - 1;
        for part in Path::new(text).components() {
            match part {
                Component::Normal(_) => depth += 1,
                Component::CurDir => {}
                Component::ParentDir => depth = depth.checked_sub(1).ok_or_else(outside)?,
                Component::RootDir | Component::Prefix(_) => return Err(outside()),
            }
        }
        self.0.push((path, PathBuf::from(text)));
        Ok(())
    }

    pub fn make(&self, into: &Path) -> Result<(), UnpackError> {
        for (path, target) in &self.0 {
            let link = into.join(path);
            symlink(target, &link).map_err(UnpackError::disk(&link))?;
        }
        // Counting dots is right only without links in the way: now the system says where they really lead.
        let root = into.canonicalize().map_err(UnpackError::disk(into))?;
        for (path, _) in &self.0 {
            let name = || shown(path.as_os_str().as_encoded_bytes());
            match into.join(path).canonicalize() {
                Ok(target) if target.starts_with(&root) => {}
                Ok(_) => return Err(UnpackError::LinkOutside(name())),
                // It leads nowhere, or to itself: a name of nothing, which does no harm where it is not.
                Err(_) => remove(&into.join(path)).map_err(UnpackError::disk(into))?,
            }
        }
        Ok(())
    }
}

fn remove(link: &Path) -> io::Result<()> {
    match fs::remove_file(link) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
