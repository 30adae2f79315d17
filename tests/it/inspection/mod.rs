//! TLS that is opened where policy says so, and the page that refused names get over it: real clients, with our authority
//! and without.

mod block_page;
mod bodies;
mod certificates;
mod chromium;
mod opening;
mod pinning;
mod rules;

use std::path::PathBuf;
use std::process::Command;

use crate::harness::cli::{self, Said};
use crate::harness::school::School;
use crate::harness::site::{POLICY, Site};
use crate::harness::tls::Authority;
use crate::harness::tool;

/// A school whose devices may believe its authority, and an authority of the world's, for origins.
pub struct Opened {
    pub school: School,
    pub world: Authority,
    /// Of the school (PEM).
    pub ours: PathBuf,
    /// Of the world (PEM).
    pub theirs: PathBuf,
}

impl Opened {
    /// `rules` stand before those of [`POLICY`], `keys` in `[inspection]`.
    pub async fn with(rules: &str, keys: &str) -> Opened {
        let at = POLICY.find("[[rule]]").expect("a rule");
        Opened::with_policy(&format!("{}{rules}\n{}", &POLICY[..at], &POLICY[at..]), keys).await
    }

    /// `rules` stand behind those of [`POLICY`], as those that open do.
    pub async fn inspecting(rules: &str) -> Opened {
        Opened::with_policy(&format!("{POLICY}{rules}"), "").await
    }

    async fn with_policy(policy: &str, keys: &str) -> Opened {
        Opened::with_limits(policy, keys, "").await
    }

    /// `limits` are keys of `[limits]`.
    pub async fn with_limits(policy: &str, keys: &str, limits: &str) -> Opened {
        Opened::with_change(policy, keys, |site| {
            site.set("limits", limits);
        })
        .await
    }

    /// `rules` stand behind those of [`POLICY`]; `change` sees the site before the gateway starts.
    pub async fn with_site(rules: &str, change: impl FnOnce(&mut Site)) -> Opened {
        Opened::with_change(&format!("{POLICY}{rules}"), "", change).await
    }

    async fn with_change(policy: &str, keys: &str, change: impl FnOnce(&mut Site)) -> Opened {
        let world = Authority::new();
        let school = School::open_with(|site| {
            make_authority(site, keys);
            change(site);
            world.write_pem(&site.folder().join("world.pem"));
            site.write_rule("policy.toml", policy);
        })
        .await;
        let (ours, theirs) = (school.site.state().join("authority.pem"), school.site.folder().join("world.pem"));
        Opened { school, world, ours, theirs }
    }

    /// curl through the proxy on a device, believing these authorities: what it got, and the status in its last line.
    /// `None`: there is no curl.
    pub async fn curl(&self, device: &str, believes: &std::path::Path, more: &[&str]) -> Option<Said> {
        let mut command = Command::new(tool("curl")?);
        command.args(["-sS", "--max-time", "15", "--http1.1", "-w", "\n%{http_code}", "--interface", device]);
        command.arg("--proxy").arg(format!("http://{}", self.school.gateway.proxy));
        command.arg("--cacert").arg(believes).args(more);
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
        Some(Said::of(output.expect("curl starts")))
    }
}

/// Opens what pupils reach over TLS; banks never, by a rule that stands behind.
pub const INSPECT: &str = r#"
[[rule]]
name = "ouvrir"
label = "Ouvert et regardé"
who = ["eleves"]
all = true
protocols = ["tls"]
schemes = ["tunnel"]
action = "allow"
duties = ["inspect"]

[[rule]]
name = "banques"
categories = ["bank"]
action = "allow"
duties = ["never-inspect"]
"#;

/// Makes the authority of a site and names it in its configuration.
pub fn make_authority(site: &mut Site, keys: &str) {
    cli::run(None, &site.state(), &["authority", "init"]).ok();
    let file = |name: &str| site.state().join(name).display().to_string();
    let (certificate, key) = (file("authority.pem"), file("authority.key"));
    let world = site.folder().join("world.pem").display().to_string();
    site.set(
        "inspection",
        &format!("certificate_file = {certificate:?}\nkey_file = {key:?}\norigin_ca_file = {world:?}\n{keys}"),
    );
}
