//! The running gateway: the real program in a process of its own, started, signalled and killed.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::cli::{self, Said};
use super::site::Site;
use super::{SOON, eventually};

/// One process. Killed when dropped; a panic in it fails the test that drops it.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    stderr: Arc<Mutex<Vec<String>>>,
    config: Option<PathBuf>,
    state: PathBuf,
    pub proxy: SocketAddr,
    pub proxy_v6: Option<SocketAddr>,
    started: Instant,
    /// From the start of the process to its line `ready`.
    pub ready_after: Duration,
}

/// How a gateway that did not get ready ended.
#[derive(Debug)]
pub struct NotReady {
    pub status: ExitStatus,
    pub stderr: String,
}

impl Gateway {
    /// Starts a gateway and waits until it is ready; takes other ports where somebody was faster.
    pub async fn start(site: &mut Site) -> Self {
        for _ in 0..5 {
            match Gateway::try_start(site).await {
                Ok(gateway) => return gateway,
                Err(not) if not.stderr.contains(&site.proxy().port().to_string()) => site.move_ports(),
                Err(not) => panic!("the gateway ended with {}:\n{}", not.status, not.stderr),
            }
        }
        panic!("no port stayed free");
    }

    /// Starts a gateway on the ports that the site names, or says how it ended.
    pub async fn try_start(site: &Site) -> Result<Self, NotReady> {
        let config = site.write_config();
        let mut command = cli::command(Some(&config), &site.state());
        if let Some(descriptors) = site.descriptors {
            command = cli::limited(&command, descriptors);
        }
        if let Some(socket) = &site.handed {
            command = cli::handed(&command, socket.try_clone().expect("a descriptor"));
        }
        let mut gateway = Gateway::spawn_command(command, Some(&config), &site.state(), site.proxy());
        gateway.proxy_v6 = site.proxy_v6();
        gateway.wait_ready().await?;
        Ok(gateway)
    }

    /// Starts the process and waits for nothing.
    pub fn spawn(config: Option<&Path>, state: &Path, proxy: SocketAddr) -> Self {
        Gateway::spawn_command(cli::command(config, state), config, state, proxy)
    }

    fn spawn_command(mut command: Command, config: Option<&Path>, state: &Path, proxy: SocketAddr) -> Self {
        command.arg("run").stdout(Stdio::null()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|e| panic!("starting {}: {e}", cli::PROGRAM));
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let sink = stderr.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                sink.lock().expect("no panic").push(line);
            }
        });
        Gateway {
            child,
            stderr,
            config: config.map(Path::to_owned),
            state: state.to_owned(),
            proxy,
            proxy_v6: None,
            started,
            ready_after: Duration::ZERO,
        }
    }

    pub async fn wait_ready(&mut self) -> Result<(), NotReady> {
        loop {
            if self.lines().iter().any(|line| line.trim() == "ready") {
                self.ready_after = self.started.elapsed();
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().expect("our own child") {
                // What it said last may still be in the pipe.
                super::meanwhile(Duration::from_millis(50)).await;
                return Err(NotReady { status, stderr: self.stderr() });
            }
            assert!(self.started.elapsed() < SOON, "not ready after {SOON:?}:\n{}", self.stderr());
            super::meanwhile(Duration::from_millis(1)).await;
        }
    }

    pub fn lines(&self) -> Vec<String> {
        self.stderr.lock().expect("no panic").clone()
    }

    pub fn stderr(&self) -> String {
        self.lines().join("\n")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a living process");
    }

    /// Pulls the plug: SIGKILL, and waits for the process to be gone.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to leave (SIGTERM), and waits for it.
    pub async fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait().await
    }

    /// Waits for it to leave by itself.
    pub async fn wait(&mut self) -> ExitStatus {
        eventually("the gateway leaves", async || self.child.try_wait().expect("our own child")).await
    }

    /// Runs a command of the program with the same configuration and state.
    pub fn cli(&self, arguments: &[&str]) -> Said {
        cli::run(self.config.as_deref(), &self.state, arguments)
    }

    pub fn status(&self) -> Value {
        let text = self.cli(&["status", "--json"]).ok();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("no JSON ({e}): {text}"))
    }

    pub fn rules_version(&self) -> String {
        cli::text(&self.status(), "rules_version").to_owned()
    }

    /// Sends SIGHUP and waits until other rules are in force.
    pub async fn reload(&self) -> String {
        let before = self.rules_version();
        self.signal(Signal::HUP);
        eventually("other rules are in force", async || Some(self.rules_version()).filter(|now| *now != before)).await
    }

    /// The rows of the access log that a search finds.
    pub fn search(&self, arguments: &[&str]) -> Vec<Value> {
        search(self.config.as_deref(), &self.state, arguments)
    }

    /// Searches until as many rows are found; more of them is a failure.
    pub async fn rows(&self, count: usize, arguments: &[&str]) -> Vec<Value> {
        let what = format!("{count} rows for {arguments:?}");
        let rows = eventually(&what, async || Some(self.search(arguments)).filter(|rows| rows.len() >= count)).await;
        assert_eq!(rows.len(), count, "{what}: {rows:#?}");
        rows
    }

    /// The one row about a host.
    pub async fn row(&self, host: &str) -> Value {
        self.rows(1, &["--host", host]).await.remove(0)
    }

    /// User and system time so far, in ticks of the clock (proc(5), `stat`; 100 a second).
    pub fn cpu_ticks(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("a living process");
        // The name in brackets may hold blanks; utime and stime are the 14th and 15th field.
        let fields = text.rsplit(')').next().unwrap_or_default();
        fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    }

    /// A line of /proc/PID/status in KiB: `VmRSS`, `VmHWM`, `RssAnon`.
    pub fn memory_kib(&self, field: &str) -> u64 {
        memory_kib(self.pid(), field)
    }
}

/// Searches the log of a gateway that may be dead.
pub fn search(config: Option<&Path>, state: &Path, arguments: &[&str]) -> Vec<Value> {
    let mut all = vec!["log", "search", "--format", "json"];
    all.extend_from_slice(arguments);
    cli::rows(&cli::run(config, state, &all).ok())
}

/// A line of /proc/PID/status in KiB.
pub fn memory_kib(pid: u32, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a living process");
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {field} for process {pid}"))
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the gateway said:\n{}\n---", self.stderr());
        } else {
            let stderr = self.stderr();
            assert!(!stderr.contains("panicked at"), "the gateway panicked:\n{stderr}");
        }
    }
}
