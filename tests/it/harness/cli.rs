//! The `ecluse` program as an operator runs it: arguments in, exit code, lines and errors out.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_ecluse");

/// What one run of the program said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    pub fn of(output: Output) -> Self {
        let said = Said {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(!said.stderr.contains("panicked at"), "the program panicked: {}", said.stderr);
        said
    }

    /// The standard output of a run that went well.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "the command failed: {}{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// The same command in a shell that may have so many files open.
pub fn limited(command: &Command, descriptors: u64) -> Command {
    in_shell(command, &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\""))
}

/// The same command with a socket that a service manager has opened (sd_listen_fds(3)), and without any capability.
pub fn handed(command: &Command, socket: OwnedFd) -> Command {
    let script = "exec 3<&0 0< /dev/null; export LISTEN_PID=$$ LISTEN_FDS=1
                  exec setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all \"$0\" \"$@\"";
    let mut shell = in_shell(command, script);
    shell.stdin(socket);
    shell
}

fn in_shell(command: &Command, script: &str) -> Command {
    let mut shell = Command::new("sh");
    for (name, _) in command.get_envs().filter(|(_, value)| value.is_none()) {
        shell.env_remove(name);
    }
    shell.arg("-c").arg(script);
    shell.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    shell
}

/// The program with a clean environment.
pub fn command(config: Option<&Path>, state: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    for name in ["STATE_DIRECTORY", "RUST_LOG", "NOTIFY_SOCKET", "http_proxy", "https_proxy", "HTTPS_PROXY"] {
        command.env_remove(name);
    }
    command.arg("--state").arg(state).stdin(Stdio::null());
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    command
}

/// Runs a command to its end.
pub fn run(config: Option<&Path>, state: &Path, arguments: &[&str]) -> Said {
    let output = command(config, state).args(arguments).output();
    Said::of(output.unwrap_or_else(|e| panic!("starting {PROGRAM}: {e}")))
}

/// Lines of JSON.
pub fn rows(text: &str) -> Vec<Value> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON ({e}): {line}"))).collect()
}

/// A text field of a row; empty where it is missing or null.
pub fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a row bears a flag.
pub fn has_flag(row: &Value, flag: &str) -> bool {
    row["flags"].as_array().is_some_and(|flags| flags.iter().any(|one| one == flag))
}

/// A number of a row; 0 where it is missing or null.
pub fn number(row: &Value, field: &str) -> u64 {
    row.get(field).and_then(Value::as_u64).unwrap_or_default()
}
