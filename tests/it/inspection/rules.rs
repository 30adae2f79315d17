//! The rule that the documentation shows, in the policy that we ship.

use std::path::Path;

use crate::harness::cli::{self, text};
use crate::harness::site::Site;

#[test]
fn the_rule_that_we_show_opens_in_the_policy_that_we_ship_and_shields_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/inspection.md")).unwrap();
    let rule = page.split("```toml\n").find(|block| block.contains("[[rule]]")).expect("a rule is shown");
    let rule = rule.split("```").next().unwrap();
    let mut site = Site::new(None);
    let shipped = root.join("rules");
    let policy = std::fs::read_to_string(shipped.join("policy.toml")).unwrap();
    // Behind all other rules; the expectations may follow.
    site.write_rule("policy.toml", &format!("{policy}\n{rule}"));
    std::fs::remove_dir_all(site.rules().join("lists")).unwrap();
    std::os::unix::fs::symlink(shipped.join("lists"), site.rules().join("lists")).unwrap();
    site.set("gateway", "name = \"essai\"");
    let config = site.write_config();
    let said = cli::run(Some(&config), &site.state(), &["check", "--rules"]);
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    for (group, host, action) in [
        ("eleves", "www.example.org", "inspect"),
        ("eleves", "boursobank.com", "tunnel"),
        ("eleves", "bank.test", "tunnel"),
        ("eleves", "webmail.test", "tunnel"),
        ("eleves", "adult.test", "refuse"),
        ("personnels", "www.example.org", "tunnel"),
    ] {
        let asked = format!("{host}:443");
        let arguments = ["explain", "--connect", &asked, "--group", group, "--protocol", "tls", "--json"];
        let said = cli::run(Some(&config), &site.state(), &arguments).ok();
        assert_eq!(text(&cli::rows(&said)[0], "action"), action, "{group} {host}: {said}");
    }
}
