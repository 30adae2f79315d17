//! Where this machine keeps what it makes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Everything under the state directory that more than one module must find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    pub state: PathBuf,
    /// Lists that `ecluse lists update` downloaded.
    pub lists: PathBuf,
    /// The compiled image of all lists.
    pub image: PathBuf,
    pub journal: PathBuf,
    pub store: PathBuf,
    /// The gateway's key, the chains of signed roots, the certificates of purges.
    pub proofs: PathBuf,
    pub control_socket: PathBuf,
    /// Held by the running gateway: a second instance finds it taken.
    pub lock: PathBuf,
    /// The starter rules, where no directory of rules is configured.
    pub starter: PathBuf,
    /// The key of a trial's only recipient.
    pub trial_key: PathBuf,
}

impl Paths {
    /// The layout of a state directory.
    pub fn under(state: &Path) -> Paths {
        Paths {
            state: state.to_owned(),
            lists: state.join("lists"),
            image: state.join("lists.image"),
            journal: state.join("journal"),
            store: state.join("store"),
            proofs: state.join("proofs"),
            control_socket: state.join("control.sock"),
            lock: state.join("lock"),
            starter: state.join("starter"),
            trial_key: state.join("trial-recipient.key"),
        }
    }
}

/// `--state`, else what systemd gives the service, else the user's own place.
pub(super) fn state_directory(asked: Option<&Path>, env: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    if let Some(asked) = asked {
        return asked.to_owned();
    }
    if let Some(given) = set("STATE_DIRECTORY") {
        // systemd.exec(5): several directories are separated by colons; the first is ours.
        let given = given.to_string_lossy();
        return PathBuf::from(given.split(':').next().unwrap_or_default());
    }
    // The XDG base directory specification: a relative path is to be ignored.
    if let Some(home) = set("XDG_STATE_HOME").map(PathBuf::from).filter(|home| home.is_absolute()) {
        return home.join("ecluse");
    }
    match set("HOME") {
        Some(home) => PathBuf::from(home).join(".local/state/ecluse"),
        None => PathBuf::from("/var/lib/ecluse"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_is_the_first_that_is_named() {
        type Env = &'static [(&'static str, &'static str)];
        let cases: [(Option<&str>, Env, &str); 7] = [
            (Some("here"), &[("STATE_DIRECTORY", "/var/lib/ecluse")], "here"),
            (None, &[("STATE_DIRECTORY", "/var/lib/ecluse:/var/lib/other"), ("HOME", "/root")], "/var/lib/ecluse"),
            (None, &[("XDG_STATE_HOME", "/x"), ("HOME", "/h/a")], "/x/ecluse"),
            (None, &[("XDG_STATE_HOME", "x"), ("HOME", "/h/a")], "/h/a/.local/state/ecluse"),
            (None, &[("XDG_STATE_HOME", ""), ("HOME", "/h/a")], "/h/a/.local/state/ecluse"),
            (None, &[("HOME", "/h/a")], "/h/a/.local/state/ecluse"),
            (None, &[], "/var/lib/ecluse"),
        ];
        for (asked, env, expected) in cases {
            let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value));
            assert_eq!(state_directory(asked.map(Path::new), env), Path::new(expected));
        }
    }
}
