//! The state directory: made, private, and held by one gateway at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret;

use crate::config::Config;

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("the state directory {directory} cannot be written: {error}\n  help: it must belong to the user that runs the gateway; `--state DIR` names another")]
    Unwritable { directory: PathBuf, error: io::Error },
    #[error("another gateway{} is running on {directory}\n  help: `ecluse status` asks it; `--state DIR` and other ports in `[listen]` make a second one",
        .pid.as_ref().map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Taken { directory: PathBuf, pid: Option<String> },
    #[error("the trial's key {path} cannot be used: {reason}\n  help: remove it to have a new one made (what was sealed to it can then be opened by nobody)")]
    TrialKey { path: PathBuf, reason: String },
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
        Err(TryLockError::WouldBlock) => return Err(StateError::Taken { directory: directory.clone(), pid: pid_in(&mut file) }),
        Err(TryLockError::Error(error)) => return Err(unwritable(error)),
    }
    // The lock counts, not the number: the number only makes a message better.
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(unwritable)?;
    Ok(StateLock { _file: file })
}

fn pid_in(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.take(20).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned()).filter(|pid| !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()))
}

/// The recipient of a trial's day keys. Its key is made at the first start and lies beside what it opens, which is why
/// it is for trials only.
pub fn trial_recipient(path: &Path) -> Result<String, StateError> {
    let broken = |reason: String| StateError::TrialKey { path: path.to_owned(), reason };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let key = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap_or_default();
            let identity: age::x25519::Identity = key.parse().map_err(|error: &str| broken(error.to_owned()))?;
            Ok(identity.to_public().to_string())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let identity = age::x25519::Identity::generate();
            let recipient = identity.to_public().to_string();
            let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).map_err(|e| broken(e.to_string()))?;
            let text = format!("# trial key of this gateway\n# public key: {recipient}\n{}\n", identity.to_string().expose_secret());
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| broken(e.to_string()))?;
            Ok(recipient)
        }
        Err(error) => Err(broken(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_keeps_its_recipient() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let first = trial_recipient(&path).unwrap();
        assert!(first.starts_with("age1"));
        assert_eq!(trial_recipient(&path).unwrap(), first);
        std::fs::write(&path, "nonsense").unwrap();
        assert!(trial_recipient(&path).is_err());
    }
}
