//! The state directory: made, private, and held by one gateway at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use crate::config::Config;

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(
        "the state directory {directory} cannot be written: {error}\n  help: it must belong to the user that runs the gateway; `--state DIR` names another"
    )]
    Unwritable { directory: PathBuf, error: io::Error },
    #[error("another gateway{} is running on {directory}\n  help: `ecluse status` asks it; `--state DIR` and other ports in `[listen]` make a second one",
        .pid.as_ref().map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Taken { directory: PathBuf, pid: Option<String> },
}

/// Held as long as the gateway lives.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

/// Makes the state directory, private to its owner, and takes its lock.
pub fn take(config: &Config) -> Result<StateLock, StateError> {
    let directory = &config.paths.state;
    let unwritable = |error| StateError::Unwritable { directory: directory.clone(), error };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(unwritable)?;
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&config.paths.lock)
        .map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StateError::Taken { directory: directory.clone(), pid: pid_in(&mut file) });
        }
        Err(TryLockError::Error(error)) => return Err(unwritable(error)),
    }
    // The lock counts, not the number: the number only makes a message better.
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(unwritable)?;
    Ok(StateLock { _file: file })
}

fn pid_in(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.take(20).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned()).filter(|pid| !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()))
}
