//! What the documentation shows works: commands exist with their options, examples are read, links lead somewhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

use crate::harness::cli;
use crate::harness::site::Site;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages people read: README, CHANGELOG, docs and the architecture.
fn pages() -> Vec<(PathBuf, String)> {
    let mut files: Vec<PathBuf> = ["README.md", "CHANGELOG.md", "src/README.md", "tests/README.md"]
        .iter()
        .map(|name| root().join(name))
        .filter(|file| file.is_file())
        .collect();
    let docs = std::fs::read_dir(root().join("docs")).expect("docs/").map(|entry| entry.expect("an entry").path());
    files.extend(docs.filter(|file| file.extension().is_some_and(|e| e == "md")));
    let read = |file: PathBuf| (std::fs::read_to_string(&file).expect("a readable page"), file);
    files.into_iter().map(read).map(|(text, file)| (file, text)).collect()
}

/// The blocks of a page fenced as `kind`.
fn blocks(page: &str, kind: &str) -> Vec<String> {
    let pattern = format!(r"(?ms)^```{kind}\n(.*?)^```");
    Regex::new(&pattern).expect("a pattern").captures_iter(page).map(|block| block[1].to_owned()).collect()
}

/// The words after the program's name in a shell line that starts it: `ecluse …` or `cargo run --release -- …`.
fn arguments(line: &str) -> Option<Vec<&str>> {
    let line = line.trim().trim_start_matches("$ ").trim_start_matches("sudo ");
    let rest = line.strip_prefix("ecluse ").or_else(|| line.strip_prefix("cargo run --release -- "))?;
    let rest = rest.split(['|', '#', '&', '>']).next().unwrap_or_default();
    Some(rest.split_whitespace().collect())
}

#[test]
fn every_command_shown_exists_with_its_options() {
    let mut checked = 0;
    for (file, page) in pages() {
        for line in blocks(&page, "(?:sh|bash|console)").iter().flat_map(|block| block.lines()) {
            let Some(words) = arguments(line) else { continue };
            let commands: Vec<&str> = words.iter().copied().take_while(|word| !word.starts_with('-')).collect();
            // A positional argument may follow the subcommands; three levels is the deepest there is.
            let help = (1..=commands.len().min(3)).rev().find_map(|depth| {
                let output = Command::new(cli::PROGRAM).args(&commands[..depth]).arg("--help").output().ok()?;
                output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
            });
            let help = help.unwrap_or_else(|| panic!("{}: `{line}` is no command", file.display()));
            for option in words.iter().filter(|word| word.starts_with("--")) {
                let name = option.split('=').next().unwrap_or_default();
                assert!(help.contains(name), "{}: `{line}` has no {name}:\n{help}", file.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 0, "no command is shown anywhere");
}

#[test]
fn the_readme_has_its_two_commands_and_they_can_be_started() {
    use std::os::unix::fs::PermissionsExt;
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let shown = blocks(&readme, "sh").concat();
    assert!(shown.lines().any(|line| line.trim() == "cargo run --release -- run"), "{shown}");
    assert!(shown.lines().any(|line| line.trim() == "tests/run"), "{shown}");
    for script in ["tests/run", ".ci/run"] {
        let mode = std::fs::metadata(root().join(script)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} is not executable");
    }
}

#[test]
fn every_link_inside_the_repository_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s#]+)(?:#[^)]*)?\)").unwrap();
    for (file, page) in pages() {
        for found in link.captures_iter(&page) {
            let target = &found[1];
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let target = file.parent().expect("a folder").join(target);
            assert!(target.exists(), "{}: {} does not exist", file.display(), target.display());
        }
    }
}

#[test]
fn every_toml_example_in_the_documentation_is_toml() {
    for (file, page) in pages() {
        for block in blocks(&page, "toml") {
            block.parse::<toml::Table>().unwrap_or_else(|e| panic!("{}: {e}\n{block}", file.display()));
        }
    }
}

#[test]
fn the_rules_that_we_ship_are_right_and_keep_their_promises() {
    let rules = root().join("rules");
    assert!(rules.join("policy.toml").is_file(), "rules/policy.toml is missing");
    let mut site = Site::new(None);
    site.set("rules", "");
    let own = site.rules().display().to_string();
    let text = site.text().replace(&own, &rules.display().to_string());
    std::fs::write(site.config(), text).unwrap();
    let said = cli::run(Some(&site.config()), &site.state(), &["check", "--rules"]);
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
}

#[test]
fn the_configuration_that_we_ship_is_right() {
    let file = root().join("systemd/ecluse.toml");
    let state = tempfile::tempdir().unwrap();
    let said = cli::run(Some(&file), state.path(), &["check"]);
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
}

/// `docs/bypass.md` promises with names of tests.
#[test]
fn every_test_that_a_page_names_is_there() {
    let named = Regex::new(r"\[`([a-z0-9_]+)`\]\(([^)\s]+\.rs)\)").unwrap();
    let mut checked = 0;
    for (file, page) in pages() {
        for found in named.captures_iter(&page) {
            let source = file.parent().expect("a folder").join(&found[2]);
            let text = std::fs::read_to_string(&source).unwrap_or_else(|e| panic!("{}: {e}", source.display()));
            assert!(text.contains(&format!("fn {}(", &found[1])), "{}: {} is not in it", source.display(), &found[1]);
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} tests are named");
}
