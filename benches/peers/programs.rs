//! The proxies of others, as Debian has them: configured with the same lists, started in the foreground, on loopback.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::harness::site::free_port;
use super::lists::Lists;
use super::origin::NAME;

/// Where the name server of the others listens: their resolvers know one port, 53.
pub const NAME_SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 53, 0, 1)), 53);
/// Compiling the lists may take that long.
const COMPILE: Duration = Duration::from_secs(600);

/// One of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Squid,
    SquidGuard,
    E2guardian,
    Tinyproxy,
    Privoxy,
}

impl Program {
    pub const ALL: [Program; 5] =
        [Program::Squid, Program::SquidGuard, Program::E2guardian, Program::Tinyproxy, Program::Privoxy];

    pub fn name(self) -> &'static str {
        match self {
            Program::Squid => "Squid, dstdomain",
            Program::SquidGuard => "Squid + squidGuard",
            Program::E2guardian => "e2guardian",
            Program::Tinyproxy => "tinyproxy (no lists)",
            Program::Privoxy => "privoxy (no lists)",
        }
    }

    /// What has to be installed, as Debian calls it.
    fn package(self) -> &'static str {
        match self {
            Program::Squid => "squid",
            Program::SquidGuard => "squidguard",
            Program::E2guardian => "e2guardian",
            Program::Tinyproxy => "tinyproxy-bin",
            Program::Privoxy => "privoxy",
        }
    }

    /// The installed version; `None` where it is not installed.
    pub fn version(self) -> Option<String> {
        let output =
            Command::new("dpkg-query").args(["-W", "-f=${Status} ${Version}", self.package()]).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.strip_prefix("install ok installed ").map(str::to_owned)
    }

    /// It reads the whole list for every request, or has none of names: it runs with the one name that is refused.
    pub fn has_lists(self) -> bool {
        !matches!(self, Program::Tinyproxy | Program::Privoxy)
    }
}

/// One of the others, running. It and its children end when this is dropped.
pub struct Running {
    pub child: Child,
    pub address: SocketAddr,
    pub folder: PathBuf,
}

impl Running {
    /// Lines of its log, in a file or on its standard error, that hold `text`.
    pub fn log_lines(&self, text: &str) -> usize {
        let read = |name: &str| std::fs::read(self.folder.join(name)).unwrap_or_default();
        let lines = [read("access.log"), read("said")].concat();
        String::from_utf8_lossy(&lines).lines().filter(|line| line.contains(text)).count()
    }

    /// Has it read its lists again.
    pub fn reload(&self, program: Program) {
        let signal = match program {
            Program::E2guardian => rustix::process::Signal::USR1,
            _ => rustix::process::Signal::HUP,
        };
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal);
    }

    /// Pulls the plug on the program itself.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Helpers leave when their pipe closes.
        self.kill();
    }
}

/// Writes a program's configuration into a folder of its own, its lists compiled; how long that took.
pub fn configure(program: Program, lists: &Lists, folder: &Path, port: u16) -> Duration {
    std::fs::create_dir_all(folder).expect("a writable folder");
    open_to_all(folder);
    let begun = std::time::Instant::now();
    match program {
        Program::Squid => {
            let acl = format!("acl listed dstdomain \"{}\"\nhttp_access deny listed\n", lists.dotted.display());
            write(folder, "squid.conf", &squid(folder, port, &acl));
        }
        Program::SquidGuard => {
            compile_squidguard(lists, folder);
            let helper = format!(
                "url_rewrite_program /usr/bin/squidGuard -c {}\nurl_rewrite_children 4 startup=4 idle=1\n",
                folder.join("squidGuard.conf").display()
            );
            write(folder, "squid.conf", &squid(folder, port, &helper));
        }
        Program::E2guardian => configure_e2guardian(lists, folder, port),
        Program::Tinyproxy => {
            write(folder, "filter", &format!("{}\n", lists.refused));
            let log = folder.join("access.log");
            write(
                folder,
                "tinyproxy.conf",
                &format!(
                    "Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 20000\nLogFile \"{}\"\nLogLevel Connect\n\
                     Filter \"{}\"\nFilterDefaultDeny No\n",
                    log.display(),
                    folder.join("filter").display()
                ),
            );
        }
        Program::Privoxy => {
            write(folder, "refused.action", &format!("{{+block{{listed}}}}\n.{}\n", lists.refused));
            write(
                folder,
                "privoxy.conf",
                &format!(
                    "confdir /etc/privoxy\nlogdir {f}\nlogfile access.log\nactionsfile {f}/refused.action\n\
                     listen-address 127.0.0.1:{port}\ndebug 1\nkeep-alive-timeout 300\nmax-client-connections 20000\n\
                     socket-timeout 600\ntolerate-pipelining 1\n",
                    f = folder.display()
                ),
            );
        }
    }
    begun.elapsed()
}

/// The program in the foreground, in a view of the files in which names lead where ours do.
pub fn start(program: Program, folder: &Path, port: u16) -> Running {
    let file = |name: &str| folder.join(name).display().to_string();
    let arguments: Vec<String> = match program {
        Program::Squid | Program::SquidGuard => {
            ["squid", "-N", "-f"].map(str::to_owned).into_iter().chain([file("squid.conf")]).collect()
        }
        Program::E2guardian => vec!["e2guardian".into(), "-N".into(), "-c".into(), file("e2guardian.conf")],
        Program::Tinyproxy => vec!["tinyproxy".into(), "-d".into(), "-c".into(), file("tinyproxy.conf")],
        Program::Privoxy => vec!["privoxy".into(), "--no-daemon".into(), file("privoxy.conf")],
    };
    write(folder, "hosts", &format!("127.0.0.1 localhost {NAME}\n"));
    write(folder, "resolv.conf", &format!("nameserver {}\noptions attempts:1 timeout:2\n", NAME_SERVER.ip()));
    let said = std::fs::File::create(folder.join("said")).expect("a writable folder");
    // `exec` all along: the process that is measured is the one that was started.
    let script = "mount --bind \"$1\" /etc/hosts && mount --bind \"$2\" /etc/resolv.conf && shift 2 && exec \"$@\"";
    let child = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh", &file("hosts"), &file("resolv.conf")])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(said.try_clone().expect("a descriptor"))
        .stderr(said)
        .spawn()
        .expect("unshare, of util-linux");
    Running { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), folder: folder.to_owned() }
}

/// A port for a program of the others.
pub fn port() -> u16 {
    free_port()
}

/// No cache, no headers added, everything allowed but what `judged` refuses; its default log daemon.
fn squid(folder: &Path, port: u16, judged: &str) -> String {
    format!(
        "http_port 127.0.0.1:{port}\npid_filename {f}/squid.pid\nhosts_file {f}/hosts\ndns_nameservers {ns}\n\
         cache deny all\ncache_mem 8 MB\nmaximum_object_size_in_memory 0 KB\ncache_log {f}/cache.log\n\
         access_log daemon:{f}/access.log squid\nlogfile_daemon /usr/lib/squid/log_file_daemon\ncoredump_dir {f}\n\
         cache_store_log none\nnetdb_filename none\nicon_directory /usr/share/squid/icons\nvia off\n\
         forwarded_for delete\nshutdown_lifetime 1 seconds\nmax_filedescriptors 20000\npinger_enable off\n\
         {judged}http_access allow all\n",
        f = folder.display(),
        ns = NAME_SERVER.ip()
    )
}

/// Every category that has domains, all of them refused: compiled into its Berkeley DB files.
fn compile_squidguard(lists: &Lists, folder: &Path) {
    let database = folder.join("db");
    std::fs::create_dir_all(&database).expect("a writable folder");
    std::fs::copy(&lists.plain, database.join("domains")).expect("space on the disk");
    let config = format!(
        "dbhome {}\nlogdir {}\ndest listed {{\n  domainlist domains\n}}\nacl {{\n  default {{\n    pass !listed all\n    \
         redirect 302:http://127.0.0.1:1/refused\n  }}\n}}\n",
        database.display(),
        folder.display()
    );
    write(folder, "squidGuard.conf", &config);
    let mut compiling = Command::new("squidGuard")
        .args(["-b", "-C", "all", "-c"])
        .arg(folder.join("squidGuard.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("squidGuard");
    let begun = std::time::Instant::now();
    while compiling.try_wait().expect("our own child").is_none() {
        if begun.elapsed() > COMPILE {
            let _ = compiling.kill();
            panic!("squidGuard compiles for more than {COMPILE:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(database.join("domains.db").exists(), "squidGuard made no database");
    open_to_all(&database);
    let made = [folder, &database].map(|folder| std::fs::read_dir(folder).expect("our own folder"));
    made.into_iter().flatten().flatten().for_each(|entry| open_to_all(&entry.path()));
}

/// Debian's own configuration with our port, our list of names, a log and nobody to pass requests on to; its phrases stay off.
fn configure_e2guardian(lists: &Lists, folder: &Path, port: u16) {
    let debian = Path::new("/etc/e2guardian");
    let read = |name: &str| std::fs::read_to_string(debian.join(name)).expect("Debian's configuration of e2guardian");
    write(folder, "banned", &format!(".Include<{}>\n", lists.plain.display()));
    write(folder, "empty", "");
    let mut main = String::new();
    for line in read("e2guardian.conf").lines() {
        let key = line.split('=').next().unwrap_or_default().trim();
        let ours =
            ["filterip", "filterports", "httpworkers", "loglocation", "transparenthttpsport", "weightedphrasemode"];
        if !ours.contains(&key) {
            writeln!(main, "{line}").expect("a string takes everything");
        }
    }
    writeln!(
        main,
        "filterip = 127.0.0.1\nfilterports = {port}\nhttpworkers = 500\nloglocation = '{f}/access.log'\n\
         transparenthttpsport = {unused}\nweightedphrasemode = 0\npidfilename = '{f}/e2guardian.pid'\ndaemonuser = 'root'\n\
         daemongroup = 'root'",
        f = folder.display(),
        unused = free_port()
    )
    .expect("a string takes everything");
    write(folder, "e2guardian.conf", &main);
    let mut group = String::new();
    for line in read("e2guardianf1.conf").lines() {
        // Names alone: what the others do not do is off here as well.
        let line = if let Some(list) = ["bannedphraselist", "weightedphraselist"].iter().find(|k| line.starts_with(*k))
        {
            format!("{list} = '{}'", folder.join("empty").display())
        } else if line.starts_with("sitelist = 'name=banned,") {
            format!("sitelist = 'name=banned,messageno=500,path={}'", folder.join("banned").display())
        } else if line.starts_with("sitelist = 'name=bannedssl,") {
            format!("sitelist = 'name=bannedssl,messageno=520,path={}'", folder.join("banned").display())
        } else {
            line.to_owned()
        };
        writeln!(group, "{line}").expect("a string takes everything");
    }
    write(folder, "e2guardianf1.conf", &group);
}

fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    std::fs::write(&file, text).expect("a writable folder");
    open_to_all(&file);
}

/// The others leave root behind and must still reach their files.
fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = if path.is_dir() { 0o777 } else { 0o666 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("our own file");
}
