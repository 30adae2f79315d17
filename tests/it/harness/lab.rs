//! Network namespaces made by a test: a client, the gateway where the test itself runs, and origins.
//!
//! ```text
//!  client 10.9.0.2, fd09::2 ── eth-c │ gateway │ eth-o ── 198.51.100.10 …, 2001:db8:6::10 … origins
//! ```
//!
//! No privilege is needed where the kernel lets everybody make user namespaces: the test starts itself again inside one
//! ([`Lab::enter`]). Routing is on, so that what is not intercepted reaches the origin, and a test can fail.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::cli::Said;
use super::{skip, tool};

/// Set in the test that runs inside.
const INSIDE: &str = "ECLUSE_TEST_LAB";

pub const CLIENT_V4: &str = "10.9.0.2";
pub const CLIENT_V6: &str = "fd09::2";
pub const GATEWAY_V4: &str = "10.9.0.1";
pub const ORIGIN_V4: &str = "198.51.100.10";
pub const ORIGIN_V6: &str = "2001:db8:6::10";
/// In the origins' network, and nobody has it.
pub const NOBODY_V4: &str = "198.51.100.77";
pub const NOBODY_V6: &str = "2001:db8:6::77";
/// For `[guard] allow`: the documentation's networks stand for the Internet.
pub const INTERNET: &str = "\"198.51.100.0/24\", \"2001:db8:6::/48\"";

/// A network namespace, kept by a process that sleeps in it.
#[derive(Debug)]
pub struct Namespace(Child);

/// The three of them.
#[derive(Debug)]
pub struct Lab {
    pub client: Namespace,
    pub origin: Namespace,
}

/// Whether this is the test inside its namespaces. Outside, it starts itself again inside and fails if that fails; `None`
/// also where the kernel or a missing program does not allow it (a loud skip). `test` is the test's whole name.
pub fn enter(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        run("ip link set lo up");
        return true;
    }
    let programs = ["unshare", "nsenter", "ip", "nft"].map(tool);
    if programs.iter().any(Option::is_none) {
        return false;
    }
    let allowed = Command::new("unshare").args(["-Urn", "ip", "link", "set", "lo", "up"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        skip("user-namespaces", "`unshare -Urn` fails: the kernel lets nobody make namespaces");
        return false;
    }
    let mut again = Command::new("unshare");
    again.arg("-Urn").arg(std::env::current_exe().expect("this program")).args(["--exact", test, "--nocapture"]);
    let output = again.env(INSIDE, "1").output().expect("unshare starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "inside its namespaces:\n{stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "no test has this name: {test}\n{stdout}");
    eprint!("{stderr}");
    false
}

impl Lab {
    /// Makes the namespaces and the lines between them; `None` outside (see [`enter`]).
    pub fn enter(test: &str) -> Option<Lab> {
        enter(test).then(Lab::build)
    }

    fn build() -> Lab {
        let (client, origin) = (Namespace::new(), Namespace::new());
        let (c, o) = (client.pid(), origin.pid());
        run(&format!(
            "ip link add eth-c type veth peer name eth0 netns {c}
             ip link add eth-o type veth peer name eth0 netns {o}
             ip addr add {GATEWAY_V4}/24 dev eth-c
             ip addr add fd09::1/64 dev eth-c nodad
             ip addr add 198.51.100.1/24 dev eth-o
             ip addr add 2001:db8:6::1/64 dev eth-o nodad
             ip link set eth-c up
             ip link set eth-o up
             echo 1 > /proc/sys/net/ipv4/ip_forward
             echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"
        ));
        client.run(&format!(
            "ip link set lo up
             ip addr add {CLIENT_V4}/24 dev eth0
             ip addr add {CLIENT_V6}/64 dev eth0 nodad
             ip link set eth0 up
             ip route add default via {GATEWAY_V4}
             ip -6 route add default via fd09::1"
        ));
        origin.run(&format!(
            "ip link set lo up
             ip addr add {ORIGIN_V4}/24 dev eth0
             ip addr add {ORIGIN_V6}/64 dev eth0 nodad
             ip link set eth0 up
             ip route add default via 198.51.100.1
             ip -6 route add default via 2001:db8:6::1"
        ));
        Lab { client, origin }
    }
}

impl Namespace {
    fn new() -> Self {
        let child = Command::new("unshare")
            .args(["-n", "sleep", "600"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("unshare: {e}"));
        let namespace = Namespace(child);
        let own = std::fs::read_link("/proc/self/ns/net").expect("this process has one");
        let begun = std::time::Instant::now();
        while std::fs::read_link(namespace.path()).is_ok_and(|net| net == own) {
            assert!(begun.elapsed() < super::SOON, "unshare makes no namespace");
            std::thread::yield_now();
        }
        namespace
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.pid())
    }

    /// A program in it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path())).arg(program).stdin(Stdio::null());
        for variable in ["http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs a program in it to its end.
    pub async fn say(&self, program: &str, arguments: &[&str]) -> Said {
        let mut command = self.command(program);
        command.args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
        Said::of(output.unwrap_or_else(|e| panic!("starting {program}: {e}")))
    }

    /// Commands of a shell in it.
    pub fn run(&self, script: &str) {
        check(self.command("sh").args(["-ec", script]), script);
    }

    /// Sockets made in it stay in it, whoever uses them.
    fn within<T: Send>(&self, make: impl FnOnce() -> T + Send) -> T {
        let file = File::open(self.path()).expect("the namespace is there");
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("it may be entered");
                make()
            });
            inside.join().expect("no panic")
        })
    }

    pub fn listen(&self, address: &str) -> tokio::net::TcpListener {
        let listener = self.within(|| TcpListener::bind(address)).unwrap_or_else(|e| panic!("{address}: {e}"));
        listener.set_nonblocking(true).expect("an open socket");
        tokio::net::TcpListener::from_std(listener).expect("a runtime")
    }

    /// A socket for datagrams.
    pub fn datagrams(&self, address: &str) -> UdpSocket {
        self.within(|| UdpSocket::bind(address)).unwrap_or_else(|e| panic!("{address}: {e}"))
    }

    pub fn connect(&self, address: SocketAddr) -> super::raw::Line {
        let stream = self.within(|| TcpStream::connect_timeout(&address, super::SOON));
        let stream = stream.unwrap_or_else(|e| panic!("connecting to {address}: {e}"));
        stream.set_nonblocking(true).expect("an open socket");
        super::raw::Line::over(tokio::net::TcpStream::from_std(stream).expect("a runtime"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Commands of a shell where the test runs.
pub fn run(script: &str) {
    check(Command::new("sh").args(["-ec", script]), script);
}

fn check(command: &mut Command, script: &str) {
    let output = command.stdin(Stdio::null()).output().expect("a shell");
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
}
