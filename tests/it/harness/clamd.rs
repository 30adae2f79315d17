//! A real clamd with a database of the tests' own: one signature, no download, in the foreground of its folder.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{eventually, tool};

/// The test file of EICAR (68 bytes), in two parts: no scanner is to find it in the sources.
pub fn eicar() -> Vec<u8> {
    [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-", "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat().into_bytes()
}

/// How clamd names it: what is not from its makers ends so.
pub const EICAR_NAME: &str = "Essai.EICAR.UNOFFICIAL";

/// One process; killed when dropped.
#[derive(Debug)]
pub struct Clamd {
    child: Child,
    folder: TempDir,
    pub port: u16,
}

impl Clamd {
    /// `None`: there is no clamd here, and that has been said. `lines` are added to its configuration.
    pub async fn start(lines: &str) -> Option<Self> {
        let program = tool_of_the_system("clamd")?;
        let folder = tempfile::Builder::new().prefix("ecluse-clamd-").tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["db", "tmp"] {
            std::fs::create_dir(path(name)).expect("a writable folder");
        }
        // Anywhere in a file of any kind.
        let signature: String = eicar().iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(path("db/essai.ndb"), format!("Essai.EICAR:0:*:{signature}\n")).expect("a writable folder");
        let port = super::site::free_port();
        let conf = format!(
            "Foreground yes\nLocalSocket {}\nTCPSocket {port}\nTCPAddr 127.0.0.1\nDatabaseDirectory {}\n\
             TemporaryDirectory {}\nMaxThreads 4\nAlertEncrypted yes\nMaxScanSize 2000M\nMaxFileSize 2000M\n{lines}\n",
            path("clamd.ctl").display(),
            path("db").display(),
            path("tmp").display(),
        );
        std::fs::write(path("clamd.conf"), conf).expect("a writable folder");
        let log = std::fs::File::create(path("log")).expect("a writable folder");
        let child = Command::new(program)
            .arg("--config-file")
            .arg(path("clamd.conf"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn()
            .expect("clamd starts");
        let clamd = Clamd { child, folder, port };
        let socket = clamd.socket();
        let log = clamd.folder.path().join("log");
        eventually(&format!("clamd listens; see {}", log.display()), async || {
            std::os::unix::net::UnixStream::connect(&socket).ok()
        })
        .await;
        Some(clamd)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("clamd.ctl")
    }

    pub fn conf(&self) -> PathBuf {
        self.folder.path().join("clamd.conf")
    }

    /// `[antivirus]` that leads here, by its socket.
    pub fn settings(&self, more: &str) -> String {
        format!("scanner = \"unix:{}\"\n{more}", self.socket().display())
    }

    /// The same over TCP.
    pub fn settings_tcp(&self, more: &str) -> String {
        format!("scanner = \"tcp:127.0.0.1:{}\"\n{more}", self.port)
    }
}

impl Drop for Clamd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Daemons are not in the `PATH` of everybody.
pub fn tool_of_the_system(name: &str) -> Option<PathBuf> {
    let file = Path::new("/usr/sbin").join(name);
    if file.is_file() { Some(file) } else { tool(name) }
}
