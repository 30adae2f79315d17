//! A real ClickHouse for the tests: the engine in a process of its own, started, killed and started again.
//!
//! The engine is `libchdb.so`, which `tests/run` installs. The process is this test binary once more, told to be the
//! engine by a variable ([`DIRECTORY`]); `front.rs` gives it the server's HTTP interface.

mod front;
mod native;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

/// Tells the test binary to be an engine on this directory.
const DIRECTORY: &str = "ECLUSE_ENGINE_DIRECTORY";
/// The password that it wants.
const KEY: &str = "ECLUSE_ENGINE_KEY";
/// What the line begins with that tells the port.
const PORT: &str = "engine listens on ";

/// Becomes the engine, if this process was started as one; then it never returns.
pub fn serve_if_asked() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    native::load(&library().expect("whoever starts an engine has seen the library"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let key = std::env::var(KEY).ok();
    runtime.expect("a runtime").block_on(front::serve(directory, key, |port| {
        use std::io::Write;
        // Past the capture of a test's output.
        writeln!(std::io::stdout().lock(), "\n{PORT}{port}").expect("somebody listens");
    }));
}

/// The library, where it was installed.
fn library() -> Option<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"));
    Some(target.join("engine/package/libchdb.so")).filter(|library| library.exists())
}

/// An engine. Killed when dropped.
pub struct Engine {
    process: Mutex<Running>,
    directory: PathBuf,
    key: Option<String>,
    /// Arguments that make this binary call [`serve_if_asked`].
    arguments: &'static [&'static str],
}

struct Running {
    child: Child,
    port: u16,
}

impl Engine {
    /// Starts an engine on a directory, or says loudly that there is none here.
    pub fn start(directory: &Path, arguments: &'static [&'static str]) -> Option<Engine> {
        Engine::start_with_key(directory, arguments, None)
    }

    pub fn start_with_key(directory: &Path, arguments: &'static [&'static str], key: Option<&str>) -> Option<Engine> {
        if library().is_none() {
            super::skip(
                "engine",
                "tests/run installs it: `npm pack @chdb/lib-linux-x64-gnu`, unpacked in target/engine",
            );
            return None;
        }
        let key = key.map(str::to_owned);
        let process = Mutex::new(run(directory, arguments, key.as_deref()));
        Some(Engine { process, directory: directory.to_owned(), key, arguments })
    }

    pub fn port(&self) -> u16 {
        self.process.lock().expect("no panic").port
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// Pulls the plug (SIGKILL), and waits until the process is gone.
    pub fn kill(&self) {
        let mut process = self.process.lock().expect("no panic");
        let _ = process.child.kill();
        let _ = process.child.wait();
    }

    /// Starts it again on the same data, on another port.
    pub fn restart(&self) {
        self.kill();
        *self.process.lock().expect("no panic") = run(&self.directory, self.arguments, self.key.as_deref());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}

fn run(directory: &Path, arguments: &[&str], key: Option<&str>) -> Running {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    command.args(arguments).env(DIRECTORY, directory).stdin(Stdio::null()).stdout(Stdio::piped());
    if let Some(key) = key {
        command.env(KEY, key);
    }
    let mut child = command.spawn().expect("this program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let port = loop {
        let line = lines.next().expect("an engine says its port before it ends").expect("text");
        if let Some(port) = line.strip_prefix(PORT) {
            break port.parse().expect("a port");
        }
    };
    // What it says later must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Running { child, port }
}
