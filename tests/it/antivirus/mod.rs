//! Bodies examined on their way: a real clamd with a signature of the tests' own, real clients, and the row that tells.

mod bombs;
mod held;
mod icap;
mod rules;
mod settings;
mod shelf;
mod streaming;
mod uploads;

use crate::harness::clamd::Clamd;
use crate::harness::school::School;
use crate::harness::site::{POLICY, Site};
use shelf::Shelf;

/// What pupils get is scanned, in clear and inside of what is opened.
const SCAN: &str = r#"
[[rule]]
name = "antivirus"
label = "Antivirus"
who = ["eleves"]
all = true
schemes = ["http", "https"]
action = "allow"
duties = ["scan"]
"#;

/// A school whose pupils' downloads are scanned, and an origin with files on a shelf.
struct Scanned {
    school: School,
    shelf: Shelf,
    clamd: Clamd,
}

impl Scanned {
    /// `None`: there is no clamd here. `rules` stand behind all others.
    async fn open_with(conf: &str, settings: &str, rules: &str) -> Option<Scanned> {
        let clamd = Clamd::start(conf).await?;
        let shelf = Shelf::open().await;
        let antivirus = clamd.settings(settings);
        let school = School::open_with(|site: &mut Site| {
            site.set("antivirus", &antivirus);
            // A table of the policy stands before its rules.
            let at = POLICY.find("[categories").expect("a category");
            let (table, rules) = rules
                .split_once("[[rule]]")
                .map_or((rules, String::new()), |(table, rest)| (table, format!("[[rule]]{rest}")));
            site.write_rule("policy.toml", &format!("{}{table}\n{}{rules}", &POLICY[..at], &POLICY[at..]));
        })
        .await;
        Some(Scanned { school, shelf, clamd })
    }

    async fn open() -> Option<Scanned> {
        Scanned::open_with("", "", SCAN).await
    }
}
