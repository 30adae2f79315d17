//! `ecluse lists update`: what it takes, what it refuses, and that the list in place outlives everything.

mod archives;
mod promises;
mod refusals;

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::harness::cli::{self, Said, rows, text};
use crate::harness::dns::NameServer;
use crate::harness::mirror::Mirror;
use crate::harness::site::Site;
use crate::harness::tls::Authority;

/// A college whose catalogue names a mirror, without a gateway.
pub struct Desk {
    pub site: Site,
    pub mirror: Mirror,
    _names: NameServer,
}

impl Desk {
    /// The source `distant`, one file of domains, with more keys.
    pub async fn with_file(keys: &str) -> Desk {
        Desk::with("domains", "distant.txt", "category = \"adult\"", keys).await
    }

    /// The source `ut1`, a squidguard archive.
    pub async fn with_folder(keys: &str) -> Desk {
        Desk::with("squidguard", "ut1", "", keys).await
    }

    async fn with(format: &str, path: &str, category: &str, keys: &str) -> Desk {
        let names = NameServer::start().await;
        let authority = Authority::new();
        let mirror = Mirror::start(authority.acceptor(&["lists.test", "other.test"])).await;
        let site = Site::new(Some(names.address));
        authority.write_pem(&site.folder().join("authority.pem"));
        site.write_config();
        let desk = Desk { site, mirror, _names: names };
        let name = if format == "squidguard" { "ut1" } else { "distant" };
        let keys = keys.replace("MIRROR", &desk.mirror.url("").replace("https://", ""));
        let urls =
            if keys.contains("urls =") { String::new() } else { format!("urls = [\"{}\"]", desk.mirror.url("/list")) };
        let source = format!(
            "[[source]]\nname = \"{name}\"\nformat = \"{format}\"\npath = \"{path}\"\noptional = true\n{category}\n{urls}\n{keys}\n"
        );
        desk.site.write_rule("lists/distant.toml", &source);
        desk
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = cli::command(Some(&self.site.config()), &self.site.state());
        command.args(["lists", "update", "--json", "--ca-file"]).arg(self.site.folder().join("authority.pem"));
        command.args(arguments);
        command
    }

    /// Runs an update on another thread: the mirror is in this runtime.
    pub async fn run(&self, arguments: &[&str]) -> Said {
        finish(self.command(arguments)).await
    }

    /// Runs it and expects one source, its result and an exit code.
    pub async fn expect(&self, arguments: &[&str], code: i32, result: &str) -> (Value, String) {
        let said = self.run(arguments).await;
        assert_eq!(said.code, Some(code), "{}{}", said.stdout, said.stderr);
        let mut rows = rows(&said.stdout);
        assert_eq!(rows.len(), 1, "{rows:#?}");
        let row = rows.remove(0);
        assert_eq!(text(&row, "result"), result, "{row:#}{}", said.stderr);
        (row, said.stderr)
    }

    pub fn lists(&self) -> PathBuf {
        self.site.state().join("lists")
    }

    /// Whether the compiled image holds a host.
    pub fn holds(&self, host: &str) -> bool {
        cli::run(Some(&self.site.config()), &self.site.state(), &["lists", "find", host]).code == Some(0)
    }
}

pub async fn finish(mut command: Command) -> Said {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    Said::of(output.unwrap())
}

/// A list of `n` names.
pub fn names(n: usize) -> String {
    (0..n).map(|i| format!("name{i}.listed.test\n")).collect()
}
