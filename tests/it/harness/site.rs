//! The files of one college: configuration, policy, people and lists, in a folder that goes with the test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

/// Clients of the groups of [`POLICY`]: on loopback, every 127.x.y.z is another device.
pub const PUPIL: &str = "127.0.0.2";
pub const TEACHER: &str = "127.0.20.1";

/// Pupils are refused what is listed, teachers only some of it, and help-lines pass for everybody.
pub const POLICY: &str = r#"
name = "Essai"
time_zone = "Europe/Paris"
default = "allow"

[categories.adult]
label = "contenus réservés aux adultes"
label_en = "adult content"
forbids = true

[categories.games]
label = "jeux"
label_en = "games"
forbids = true

[categories.bank]
label = "banques"
label_en = "banks"
forbids = false

[categories.help-line]
label = "lignes d'écoute"
label_en = "help-lines"
forbids = false

[groups.eleves]
label = "Élèves"
networks = ["127.0.0.0/20", "::1/128"]
default = true

[groups.enseignants]
label = "Enseignants"
networks = ["127.0.20.0/24"]

[[rule]]
name = "lignes-d-ecoute"
label = "Lignes d'écoute"
categories = ["help-line"]
action = "allow"
duties = ["help-line", "never-inspect"]
reason = "Un enfant qui demande de l'aide n'est ni arrêté ni nommé."

[[rule]]
name = "chemins"
label = "Chemins gardés"
hosts = ["paths.test"]
action = "allow"
duties = ["keep-path"]
reason = "Le chemin est gardé sur ce site."

[[rule]]
name = "adultes"
label = "Contenus pour adultes"
categories = ["adult"]
action = "refuse"
reason = "Ces contenus sont interdits aux mineurs."

[[rule]]
name = "jeux"
label = "Jeux"
who = ["eleves"]
categories = ["games"]
action = "refuse"
reason = "Pas de jeux au collège."

[[rule]]
name = "adresse-interdite"
label = "Adresse interdite"
addresses = ["127.66.0.0/16"]
action = "refuse"
reason = "Cette adresse est interdite."
"#;

pub const CATALOGUE: &str = r#"
[[source]]
name = "adultes"
format = "domains"
path = "adult.txt"
category = "adult"
licence = "EUPL-1.2"

[[source]]
name = "jeux"
format = "domains"
path = "games.txt"
category = "games"
licence = "EUPL-1.2"

[[source]]
name = "pages"
format = "urls"
path = "urls.txt"
category = "adult"
licence = "EUPL-1.2"

[[source]]
name = "banques"
format = "domains"
path = "bank.txt"
category = "bank"
licence = "EUPL-1.2"

[[source]]
name = "ecoute"
format = "domains"
path = "help.txt"
category = "help-line"
licence = "EUPL-1.2"
"#;

/// The catalogue of the whole UT1 set, unpacked beside it.
pub const UT1_CATALOGUE: &str = r#"
[[source]]
name = "ut1"
format = "squidguard"
path = "ut1"
licence = "CC BY-SA 4.0"
attribution = "Université Toulouse Capitole"
"#;

const LISTS: [(&str, &str); 5] = [
    ("adult.txt", "# a comment\nother.test\nadult.test\n"),
    ("games.txt", "games.test\n"),
    ("urls.txt", "mixed.test/adult\n"),
    ("bank.txt", "bank.test\n"),
    ("help.txt", "help.test\n"),
];

/// A port of loopback that is free now. They are taken from outside the range that the kernel gives to outgoing
/// connections, so that nobody takes one by chance before the gateway does.
pub fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 18_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes start at places of their own.
    let offset = (std::process::id().wrapping_mul(977) % u32::from(COUNT)) as u16;
    loop {
        let port = FIRST + (offset.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed))) % COUNT;
        let v4 = std::net::TcpListener::bind(("127.0.0.1", port));
        let v6_taken =
            std::net::TcpListener::bind(("::1", port)).is_err_and(|e| e.kind() == std::io::ErrorKind::AddrInUse);
        if v4.is_ok() && !v6_taken {
            return port;
        }
    }
}

/// A configuration and all it points to. Change a field or a file, then start a gateway with it.
#[derive(Debug)]
pub struct Site {
    folder: TempDir,
    /// Where the explicit proxy listens.
    pub explicit: Vec<SocketAddr>,
    /// Tables of the configuration, as TOML text by table name; a test adds or replaces what it needs.
    pub tables: BTreeMap<String, String>,
    /// A socket that the gateway is handed, and then no capability.
    pub handed: Option<OwnedFd>,
    /// How many files the gateway may have open; `None`: as many as the test.
    pub descriptors: Option<u64>,
}

impl Site {
    pub fn new(name_server: Option<SocketAddr>) -> Self {
        let folder = tempfile::Builder::new().prefix("ecluse-it-").tempdir().expect("a temporary folder");
        let port = free_port();
        let mut explicit = vec![SocketAddr::from(([127, 0, 0, 1], port))];
        if std::net::TcpListener::bind("[::1]:0").is_ok() {
            explicit.push(SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port)));
        }
        let mut site = Site { folder, explicit, tables: BTreeMap::new(), handed: None, descriptors: None };
        std::fs::create_dir_all(site.rules().join("lists")).expect("a writable folder");
        std::fs::create_dir_all(site.state()).expect("a writable folder");
        site.set(
            "college",
            "code = \"0131234A\"\nname = \"Collège des Essais\"\ncontact = \"filtrage@college.test\"\n\
             data_protection_officer = \"dpo@academie.test\"\nhead = \"Mme la Principale\"",
        );
        site.set("gateway", "name = \"essai\"");
        site.set("guard", "allow = [\"127.0.0.0/8\", \"::1/128\"]");
        if let Some(address) = name_server {
            site.set("resolver", &format!("servers = [\"{address}\"]\ntimeout_ms = 1000"));
        }
        site.write_rule("policy.toml", POLICY);
        site.write_rule("people.csv", "address,person,groups\n");
        site.write_rule("lists/essai.toml", CATALOGUE);
        for (file, text) in LISTS {
            site.write_rule(&format!("lists/{file}"), text);
        }
        site
    }

    /// Replaces a table of the configuration.
    pub fn set(&mut self, table: &str, body: &str) -> &mut Self {
        self.tables.insert(table.to_owned(), body.to_owned());
        self
    }

    /// Writes a file under the rules' folder.
    pub fn write_rule(&self, file: &str, text: &str) {
        std::fs::write(self.rules().join(file), text).expect("a writable folder");
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn rules(&self) -> PathBuf {
        self.folder().join("rules")
    }

    pub fn state(&self) -> PathBuf {
        self.folder().join("state")
    }

    pub fn config(&self) -> PathBuf {
        self.folder().join("ecluse.toml")
    }

    /// Where a browser of this machine finds the proxy.
    pub fn proxy(&self) -> SocketAddr {
        self.explicit[0]
    }

    pub fn proxy_v6(&self) -> Option<SocketAddr> {
        self.explicit.iter().copied().find(SocketAddr::is_ipv6)
    }

    /// Takes other ports.
    pub fn move_ports(&mut self) {
        let port = free_port();
        self.explicit.iter_mut().for_each(|address| address.set_port(port));
    }

    /// The text of the configuration.
    pub fn text(&self) -> String {
        let explicit: Vec<String> = self.explicit.iter().map(|address| format!("\"{address}\"")).collect();
        let mut tables = self.tables.clone();
        let listen = tables.entry("listen".into()).or_default();
        *listen = format!("explicit = [{}]\n{listen}", explicit.join(", "));
        let rules = tables.entry("rules".into()).or_default();
        *rules = format!("directory = {:?}\n{rules}", self.rules().display().to_string());
        // A test's browsers are one address and in a hurry: the rate of one device is for the tests that are about it.
        let limits = tables.entry("limits".into()).or_default();
        if !limits.contains("requests_per_second") {
            limits.push_str("\nrequests_per_second = 100000\nrequest_burst = 100000");
        }
        tables.iter().map(|(name, body)| format!("[{name}]\n{body}\n\n")).collect()
    }

    /// Writes the configuration file and says where it is.
    pub fn write_config(&self) -> PathBuf {
        std::fs::write(self.config(), self.text()).expect("a writable folder");
        self.config()
    }
}
