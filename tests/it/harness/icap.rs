//! A real c-icap with its echo service, and its antivirus asking a clamd of the tests.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::clamd::{Clamd, tool_of_the_system};
use super::{eventually, skip};

/// Where Debian has its modules.
const MODULES: &str = "/usr/lib/x86_64-linux-gnu/c_icap";

/// One process; killed when dropped.
#[derive(Debug)]
pub struct Icap {
    child: Child,
    folder: TempDir,
    pub port: u16,
}

impl Icap {
    /// `None`: there is none here, and that has been said.
    pub async fn start(clamd: &Clamd) -> Option<Self> {
        let program = tool_of_the_system("c-icap")?;
        if !Path::new(MODULES).join("virus_scan.so").is_file() {
            skip("c-icap", "its module virus_scan is missing");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("ecluse-icap-").tempdir().expect("a temporary folder");
        let port = super::site::free_port();
        let at = folder.path().display();
        std::fs::create_dir(folder.path().join("tmp")).expect("a writable folder");
        let conf = format!(
            "PidFile {at}/pid\nCommandsSocket {at}/ctl\nTimeout 60\nStartServers 1\nMaxServers 1\nMinSpareThreads 2\n\
             MaxSpareThreads 20\nThreadsPerChild 20\nPort 127.0.0.1:{port}\nServerName essai\nTmpDir {at}/tmp\n\
             DebugLevel 1\nModulesDir {MODULES}\nServicesDir {MODULES}\nTemplateDir /usr/share/c_icap/templates/\n\
             LoadMagicFile /etc/c-icap/c-icap.magic\nServerLog {at}/server.log\nAccessLog {at}/access.log\n\
             Service echo srv_echo.so\nService antivirus_module virus_scan.so\nModule common clamd_mod.so\n\
             clamd_mod.ClamdSocket {}\nvirus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE\n\
             virus_scan.SendPercentData 0\nvirus_scan.MaxObjectSize 100M\nvirus_scan.DefaultEngine clamd\n\
             ServiceAlias avscan virus_scan?allow204=on&sizelimit=off&mode=simple\n",
            clamd.socket().display(),
        );
        std::fs::write(folder.path().join("c-icap.conf"), conf).expect("a writable folder");
        let log = std::fs::File::create(folder.path().join("log")).expect("a writable folder");
        let child = Command::new(program)
            .args(["-N", "-f"])
            .arg(folder.path().join("c-icap.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn()
            .expect("c-icap starts");
        let icap = Icap { child, folder, port };
        eventually("c-icap listens", async || std::net::TcpStream::connect(("127.0.0.1", port)).ok()).await;
        Some(icap)
    }

    /// What it says of each message.
    pub fn access_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default()
    }

    /// `[antivirus]` that leads to one of its services.
    pub fn settings(&self, service: &str, more: &str) -> String {
        format!("scanner = \"icap://127.0.0.1:{}/{service}\"\n{more}", self.port)
    }
}

/// Asked to leave, so that it takes its children along.
impl Drop for Icap {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let pid = rustix::process::Pid::from_child(&self.child);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = self.child.wait();
        }
    }
}
