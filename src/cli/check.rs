//! `ecluse check`: everything wrong at once.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;

use crate::config::{Config, Problem, Problems, starter};
use crate::lists::{Catalogue, Image, compile};
use crate::origin::Parent;
use crate::policy::Ruleset;
use crate::process::rules::{cannot_inspect, scanner};

/// `EX_USAGE` of sysexits.h: what a person wrote is wrong.
pub const EXIT_PROBLEMS: u8 = 64;

/// Checks configuration, policy, people and catalogue of lists; with `--rules` also what the policy expects of itself.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    /// Compile the lists where needed and run every `[[expect]]` of the policy.
    #[arg(long)]
    pub rules: bool,
}

/// Prints problems and notes on stderr, the table of expectations on stdout.
///
/// # Errors
/// The lists cannot be compiled or the output cannot be written.
pub fn run(args: &CheckArgs, config: Option<&Path>, state: Option<&Path>) -> anyhow::Result<ExitCode> {
    check(args, config, state, &mut std::io::stdout().lock(), &mut std::io::stderr().lock())
}

fn check(
    args: &CheckArgs,
    file: Option<&Path>,
    state: Option<&Path>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let (config, mut problems) = match Config::read(file, state) {
        Ok((config, problems)) => (config, problems),
        Err(unreadable) => return report(&unreadable.0, &[], err),
    };
    if let Some(Err(error)) = config.parent.as_ref().map(Parent::open) {
        let file = config.file.as_deref().unwrap_or(Path::new(""));
        problems.push(Problem::of_file(file, error.to_string(), ""));
    }
    let mut notes = config.notes.clone();
    // The starter rules are ours: a configuration that does not even say where its rules are has enough to mend.
    if problems.is_empty() || !config.rules.starter {
        let images = if args.rules { Images::Fresh } else { Images::AsTheyAre };
        match load_rules(&config, images)? {
            Ok(Loaded { ruleset, notes: more }) => {
                notes.extend(more);
                notes.extend(cannot_inspect(&config, &ruleset).map(|what| {
                    let file = config.file.as_deref().unwrap_or(Path::new(""));
                    Problem::of_file(file, what, "`ecluse authority init` makes one")
                }));
                let of_scanner = scanner::cannot_scan(&config, &ruleset).into_iter();
                notes.extend(of_scanner.chain(scanner::compare(&config, &ruleset)).map(|what| {
                    let file = config.file.as_deref().unwrap_or(Path::new(""));
                    Problem::of_file(file, what, "docs/antivirus.md")
                }));
                if args.rules {
                    problems.extend(expectations(&ruleset, out)?);
                }
            }
            Err(more) => problems.extend(more.0),
        }
    }
    report(&problems, &notes, err)
}

fn report(problems: &[Problem], notes: &[Problem], err: &mut impl Write) -> anyhow::Result<ExitCode> {
    for note in notes {
        writeln!(err, "note: {note}\n")?;
    }
    if problems.is_empty() {
        writeln!(err, "no problem found")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(err, "{}", Problems(problems.to_vec()))?;
    Ok(ExitCode::from(EXIT_PROBLEMS))
}

fn expectations(ruleset: &Ruleset, out: &mut impl Write) -> anyhow::Result<Vec<Problem>> {
    let tried = ruleset.try_expectations();
    let width = tried.iter().map(|tried| tried.case.chars().count()).max().unwrap_or(0).min(72);
    for tried in &tried {
        let holds = if tried.problem.is_none() { "ok   " } else { "WRONG" };
        let because = tried.found.category.as_ref().map_or(String::new(), |category| format!(" ({category})"));
        writeln!(out, "{holds}  {:width$}  {:7}  {}{because}", tried.case, tried.found.action, tried.found.rule)?;
    }
    let problems: Vec<Problem> = tried.iter().filter_map(|tried| tried.problem.clone()).collect();
    let (all, holding) = (tried.len(), tried.len() - problems.len());
    writeln!(out, "{all} expectations, {holding} hold; rules {}", ruleset.version())?;
    Ok(problems)
}

/// Which image of the lists will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Images {
    /// Whatever was compiled last, or none: names of lists are checked as far as they are known.
    AsTheyAre,
    /// That of the lists as they are now, compiled aside where the last one is older.
    Fresh,
}

/// The rules as a gateway would load them.
pub(super) struct Loaded {
    pub ruleset: Ruleset,
    pub notes: Vec<Problem>,
}

/// Loads policy, people and lists without a running gateway and without touching what one uses.
pub(super) fn load_rules(config: &Config, images: Images) -> anyhow::Result<Result<Loaded, Problems>> {
    if config.rules.starter {
        let directory = &config.rules.directory;
        starter::write_to(directory)
            .with_context(|| format!("cannot write the starter rules to {}: use --state", directory.display()))?;
    }
    let catalogue = Catalogue::read(&config.rules.directory.join("lists"), &config.paths.lists);
    let (image, mut problems) = match &catalogue {
        Ok(catalogue) => match image(config, catalogue, images)?.with_urgent(catalogue.urgent.clone()) {
            Ok(image) => (image, Vec::new()),
            Err(problem) => (Image::empty(), vec![Problem::from(problem)]),
        },
        Err(problems) => (Image::empty(), problems.iter().cloned().map(Problem::from).collect()),
    };
    let mut notes: Vec<Problem> = catalogue.into_iter().flat_map(|c| c.notes).map(Problem::from).collect();
    match Ruleset::build(config, Arc::new(image)) {
        Ok(ruleset) if problems.is_empty() => {
            notes.extend_from_slice(ruleset.notes());
            Ok(Ok(Loaded { ruleset, notes }))
        }
        Ok(_) => Ok(Err(Problems(problems))),
        Err(more) => {
            problems.extend(more.0);
            Ok(Err(Problems(problems)))
        }
    }
}

fn image(config: &Config, catalogue: &Catalogue, images: Images) -> anyhow::Result<Image> {
    // One that is damaged anywhere is none.
    let last = Image::open(&config.paths.image).ok().filter(|image| image.verify().is_ok());
    match (last, images) {
        (Some(image), Images::AsTheyAre) => Ok(image),
        (Some(image), Images::Fresh) if image.source_fingerprint() == catalogue.fingerprint() => Ok(image),
        (None, Images::AsTheyAre) => Ok(Image::empty()),
        (_, Images::Fresh) => compile_aside(config, catalogue),
    }
}

/// The file goes at once: the mapping keeps the image for as long as we look at it.
fn compile_aside(config: &Config, catalogue: &Catalogue) -> anyhow::Result<Image> {
    let file = aside(config);
    let compiled = compile(catalogue, &file).with_context(|| format!("cannot compile the lists to {}", file.display()));
    let image = compiled.and_then(|_| Image::open(&file).map_err(Into::into));
    // It may never have been made.
    let _ = std::fs::remove_file(&file);
    image
}

fn aside(config: &Config) -> PathBuf {
    let name = format!("ecluse-check-{}.image", std::process::id());
    let state = &config.paths.state;
    let writable =
        std::fs::create_dir_all(state).is_ok() && rustix::fs::access(state, rustix::fs::Access::WRITE_OK).is_ok();
    if writable { state.join(name) } else { std::env::temp_dir().join(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
        name = "test"
        default = "allow"
        [groups.eleves]
        default = true
        [[rule]]
        name = "jeux"
        hosts = ["jeux.example"]
        action = "refuse"
        [[expect]]
        who = "eleves"
        url = "https://www.jeux.example/"
        decision = "refuse"
        [[expect]]
        who = "eleves"
        url = "http://example.fr/"
        decision = "refuse"
    "#;

    fn checked(args: &CheckArgs, config: &str, policy: &str) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ecluse.toml");
        std::fs::create_dir_all(folder.path().join("rules/lists")).unwrap();
        std::fs::write(&file, config).unwrap();
        std::fs::write(folder.path().join("rules/policy.toml"), policy).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        check(args, Some(&file), Some(&folder.path().join("state")), &mut out, &mut err).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn problems_of_the_configuration_and_of_the_policy_are_told_together() {
        let args = CheckArgs { rules: false };
        let config = "[rules]\ndirectory = \"rules\"\n[limits]\ndial = 3\n";
        let (out, err) = checked(&args, config, &POLICY.replace("\"refuse\"", "\"refuze\""));
        assert_eq!(out, "");
        assert!(err.contains("unknown key `dial`") && err.contains("`refuze` is no action"), "{err}");
        assert!(err.ends_with("4 problems\n"), "{err}");
    }

    #[test]
    fn an_expectation_that_does_not_hold_is_a_problem_of_the_policy() {
        let args = CheckArgs { rules: true };
        let (out, err) = checked(&args, "[rules]\ndirectory = \"rules\"\n", POLICY);
        assert!(out.contains("ok     eleves → https://www.jeux.example/  refuse   jeux"), "{out}");
        assert!(out.contains("2 expectations, 1 hold"), "{out}");
        assert!(err.contains("expected refuse, is allowed by the rule `default`"), "{err}");
        assert!(err.contains("policy.toml:16:15"), "{err}");
    }
}
