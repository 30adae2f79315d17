//! The rule and the table that the documentation shows, in the policy that we ship.

use std::path::Path;

use crate::harness::cli;
use crate::harness::site::Site;

#[test]
fn the_rule_and_the_table_that_we_show_scan_in_the_policy_that_we_ship() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let block = |page: &str, word: &str| {
        let page = std::fs::read_to_string(root.join(page)).unwrap();
        let block = page.split("```toml\n").find(|block| block.starts_with(word)).expect("a block is shown");
        block.split("```").next().unwrap().to_owned()
    };
    let shown = [
        block("docs/inspection.md", "[[rule]]"),
        block("docs/antivirus.md", "[[rule]]"),
        block("docs/antivirus.md", "[scan]"),
    ];
    let mut site = Site::new(None);
    let shipped = root.join("rules");
    let policy = std::fs::read_to_string(shipped.join("policy.toml")).unwrap();
    site.write_rule("policy.toml", &format!("{policy}\n{}", shown.join("\n")));
    std::fs::remove_dir_all(site.rules().join("lists")).unwrap();
    std::os::unix::fs::symlink(shipped.join("lists"), site.rules().join("lists")).unwrap();
    let said = cli::run(Some(&site.write_config()), &site.state(), &["check", "--rules"]);
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    assert!(said.stderr.contains("`[antivirus]` names no scanner"), "{}", said.stderr);
    site.set("antivirus", "scanner = \"unix:/run/clamav/clamd.ctl\"");
    let config = site.write_config();
    assert!(!cli::run(Some(&config), &site.state(), &["check"]).stderr.contains("names no scanner"));
    for (group, url, scanned) in [
        ("eleves", "http://www.example.org/", true),
        ("personnels", "http://www.example.org/", false),
        ("eleves", "http://adult.test/", false),
    ] {
        let arguments = ["explain", "--url", url, "--group", group, "--json"];
        let said = cli::run(Some(&config), &site.state(), &arguments).ok();
        let duties = cli::rows(&said)[0]["duties"].to_string();
        assert_eq!(
            duties.contains("\"scan\"") && duties.contains("\"scan-uploads\""),
            scanned,
            "{group} {url}: {said}"
        );
    }
}
