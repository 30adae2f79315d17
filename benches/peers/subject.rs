//! What is measured: a program that runs, its process, and where it listens.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::bare::Peer;
use super::harness::gateway::Gateway;
use super::harness::site::Site;
use super::harness::{cli, meanwhile};
use super::lists::Lists;
use super::load::{Client, Door};
use super::origin::NAME;
use super::programs::{self, Program, Running};
use super::table::Column;

/// A program under measure: where pages and tunnels are asked of it, and whose time is counted.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    pub column: Column,
    pub pid: Option<u32>,
    /// One in so many of what the others do: it is too slow for more.
    pub share: usize,
    pub pages: Option<Door>,
    pub tunnels: Option<Door>,
    pub tls: Option<Door>,
}

impl Subject {
    fn whole(column: Column, pid: u32, address: SocketAddr) -> Self {
        let door = Some(Door { proxy: Some(address) });
        let share = if matches!(column, Column::Tinyproxy | Column::Privoxy) { 10 } else { 1 };
        Subject { column, pid: Some(pid), share, pages: door, tunnels: door, tls: door }
    }

    pub fn no_proxy() -> Self {
        let door = Some(Door { proxy: None });
        Subject { column: Column::NoProxy, pid: None, share: 1, pages: door, tunnels: door, tls: door }
    }

    /// A bare peer has one origin, and is one subject for each.
    pub fn bare(peer: &Peer) -> Self {
        let (pid, address) = peer.subject();
        Subject::whole(Column::Bare, pid, address)
    }
}

/// A program that can be started again and again.
pub enum Contender {
    Ours { site: Box<Site>, gateway: Option<Gateway> },
    Other { program: Program, folder: PathBuf, port: u16, running: Option<Running> },
}

impl Contender {
    pub fn ours(site: Site) -> Self {
        Contender::Ours { site: Box::new(site), gateway: None }
    }

    /// Another's, its configuration written and its lists compiled, and how long that took.
    pub fn other(program: Program, lists: &Lists, folder: PathBuf) -> (Self, Duration) {
        let port = programs::port();
        let took = programs::configure(program, lists, &folder, port);
        (Contender::Other { program, folder, port, running: None }, took)
    }

    pub fn column(&self) -> Column {
        match self {
            Contender::Ours { .. } => Column::Gateway,
            Contender::Other { program: Program::Squid, .. } => Column::Squid,
            Contender::Other { program: Program::SquidGuard, .. } => Column::SquidGuard,
            Contender::Other { program: Program::E2guardian, .. } => Column::E2guardian,
            Contender::Other { program: Program::Tinyproxy, .. } => Column::Tinyproxy,
            Contender::Other { program: Program::Privoxy, .. } => Column::Privoxy,
        }
    }

    /// Whether it runs with the whole list.
    pub fn has_lists(&self) -> bool {
        match self {
            Contender::Ours { .. } => true,
            Contender::Other { program, .. } => program.has_lists(),
        }
    }

    /// Starts it: the time until it brings its first page. `None` where it never does.
    pub async fn start(&mut self, pages: SocketAddr) -> Option<Duration> {
        /// Squid takes most of a minute to read the whole list.
        const LONGEST: Duration = Duration::from_secs(300);
        let begun = Instant::now();
        match self {
            Contender::Ours { site, gateway } => *gateway = Some(Gateway::start(site).await),
            Contender::Other { program, folder, port, running } => {
                *running = Some(programs::start(*program, folder, *port));
            }
        }
        let door = self.door();
        while begun.elapsed() < LONGEST {
            if Client::new(door, pages).page(1).await.is_ok() {
                return Some(begun.elapsed());
            }
            if let Contender::Other { running: Some(running), .. } = self
                && running.child.try_wait().ok().flatten().is_some()
            {
                return None;
            }
            meanwhile(Duration::from_millis(5)).await;
        }
        None
    }

    pub fn subject(&self) -> Subject {
        let pid = match self {
            Contender::Ours { gateway: Some(gateway), .. } => gateway.pid(),
            Contender::Other { running: Some(running), .. } => running.child.id(),
            _ => panic!("{:?} does not run", self.column()),
        };
        Subject::whole(self.column(), pid, self.address())
    }

    pub fn door(&self) -> Door {
        Door { proxy: Some(self.address()) }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Contender::Ours { gateway: Some(gateway), .. } => gateway.proxy,
            Contender::Ours { site, .. } => site.proxy(),
            Contender::Other { port, .. } => SocketAddr::from(([127, 0, 0, 1], *port)),
        }
    }

    /// Other lists are there: has it take them, without waiting for that.
    pub fn reload(&self, round: usize) {
        match self {
            Contender::Ours { site, gateway: Some(gateway) } => {
                let rule = format!(
                    "{}\n[[rule]]\nname = \"r{round}\"\nlabel = \"r\"\nhosts = [\"r{round}.test\"]\naction = \"refuse\"\n\
                     reason = \"r\"\n",
                    super::harness::site::POLICY
                );
                site.write_rule("policy.toml", &rule);
                gateway.signal(rustix::process::Signal::HUP);
            }
            Contender::Other { program, running: Some(running), .. } => running.reload(*program),
            _ => panic!("{:?} does not run", self.column()),
        }
    }

    /// Ends it as the plug being pulled would.
    pub fn kill(&mut self) {
        match self {
            Contender::Ours { gateway, .. } => {
                if let Some(gateway) = gateway.take() {
                    gateway.kill();
                }
            }
            Contender::Other { running, .. } => {
                if let Some(running) = running {
                    running.kill();
                }
            }
        }
    }

    /// How many lines its log has of two origins, after it was killed and, where that is its way, started again.
    pub async fn logged(&mut self, pages: SocketAddr, ports: [u16; 2]) -> [usize; 2] {
        if let Contender::Other { running, .. } = self {
            // Its log's own process may still be writing.
            meanwhile(Duration::from_secs(2)).await;
            let running = running.take().expect("it ran");
            return ports.map(|port| running.log_lines(&format!("{NAME}:{port}")));
        }
        // A college's gateway that is a centre too, for as long as its log is read, ships what the killed one has left.
        self.set_role("gateway = true\ncentral = true");
        self.start(pages).await.expect("it starts again");
        let mut counts = [0; 2];
        for _ in 0..60 {
            let Contender::Ours { gateway: Some(gateway), .. } = &*self else { unreachable!("it was started") };
            let rows = gateway.search(&["--host", NAME]);
            let before = counts;
            counts = ports.map(|port| {
                let rows = rows.iter().filter(|row| cli::number(row, "port") == u64::from(port));
                rows.map(|row| cli::number(row, "count").max(1) as usize).sum()
            });
            // Until two looks see the same.
            if counts == before && counts[0] > 0 {
                break;
            }
            meanwhile(Duration::from_secs(1)).await;
        }
        self.kill();
        self.set_role("gateway = true\ncentral = false");
        counts
    }

    fn set_role(&mut self, role: &str) {
        if let Contender::Ours { site, .. } = self {
            site.set("role", role);
        }
    }
}
