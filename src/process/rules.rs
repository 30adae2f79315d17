//! From the files of rules to a snapshot: compile what is stale in a child process, map, check whole.

pub mod scanner;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;

use crate::clock::Clock;
use crate::config::{Config, Problems, starter};
use crate::gateway::Snapshot;
use crate::gateway::antivirus::Antivirus;
use crate::lists::{Catalogue, Image, ImageError, Problem};
use crate::origin::{CredentialsError, Guard, Parent};
use crate::policy::Ruleset;
use crate::tasks;
use crate::tls::{Inspection, InspectionError};

/// Why there are no new rules. What was in force stays.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("the starter rules cannot be written to {directory}: {error}")]
    Starter { directory: PathBuf, error: std::io::Error },
    #[error(transparent)]
    Problems(#[from] Problems),
    #[error("{}", in_lines(.0))]
    Catalogue(Vec<Problem>),
    #[error("the lists cannot be compiled:\n{0}")]
    Compile(String),
    #[error("the compiled lists {path}: {error}")]
    Image { path: PathBuf, error: ImageError },
    #[error(transparent)]
    Parent(#[from] CredentialsError),
    #[error("inspection: {0}")]
    Inspection(#[from] InspectionError),
}

fn in_lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Everything checked whole, or an error; nothing in force is touched.
pub async fn build(config: Config, own: &[SocketAddr], clock: &Clock) -> Result<Snapshot, RulesError> {
    if config.rules.starter {
        starter::write_to(&config.rules.directory)
            .map_err(|error| RulesError::Starter { directory: config.rules.directory.clone(), error })?;
    }
    let image = Arc::new(current_image(&config).await?);
    let guard = Guard::new(own.to_vec(), config.guard.allow.clone(), config.guard.refuse.clone());
    let parent = config.parent.as_ref().map(Parent::open).transpose()?.map(Arc::new);
    let inspection = Inspection::open(&config.inspection)?.map(Arc::new);
    // Policy and people are small; the gateway's other threads go on meanwhile.
    let (config, rules) = blocking(move || {
        let rules = Ruleset::build(&config, image);
        (config, rules)
    })
    .await;
    let rules = rules?;
    for what in cannot_inspect(&config, &rules).into_iter().chain(scanner::cannot_scan(&config, &rules)) {
        tracing::warn!("{what}");
    }
    let antivirus = Antivirus::new(&config.antivirus);
    Ok(Snapshot { rules: Arc::new(rules), config, guard, parent, inspection, antivirus, installed: clock.now() })
}

/// What is to be said of rules that want opened what nothing can open.
pub fn cannot_inspect(config: &Config, rules: &Ruleset) -> Option<String> {
    let wanting = rules.rules_with(|duties| duties.inspect);
    let first = wanting.first().filter(|_| config.inspection.authority.is_none())?;
    Some(format!("rule `{}` wants TLS opened, and `[inspection]` names no authority: nothing is", first.name))
}

/// The compiled lists: as they lie there if nothing changed since, otherwise compiled anew; the urgent changes over them.
async fn current_image(config: &Config) -> Result<Image, RulesError> {
    let (rules, lists) = (config.rules.directory.join("lists"), config.paths.lists.clone());
    let catalogue = blocking(move || Catalogue::read(&rules, &lists)).await.map_err(RulesError::Catalogue)?;
    let image = match open(config).await {
        Ok(image) if image.source_fingerprint() == catalogue.fingerprint() => image,
        other => {
            match other {
                Ok(_) => tracing::info!("the lists have changed: compiling"),
                Err(_) if !config.paths.image.exists() => tracing::info!("compiling the lists"),
                Err(error) => tracing::warn!("{error}; compiling anew"),
            }
            compile_in_child(config).await?;
            open(config).await?
        }
    };
    image.with_urgent(catalogue.urgent).map_err(|problem| RulesError::Catalogue(vec![problem]))
}

async fn open(config: &Config) -> Result<Image, RulesError> {
    let path = config.paths.image.clone();
    blocking(move || Image::open(&path).map_err(|error| RulesError::Image { path, error })).await
}

/// What start does not wait for: has the image that is now in force in memory, then reads the rest of it through. One
/// that is damaged stays in force (what it cannot confirm counts as listed) and is taken away, so that the next
/// reload compiles a new one.
pub fn look_through(rules: &Arc<Ruleset>, file: PathBuf) {
    let image = rules.image().clone();
    tasks::spawn("look through the lists", async move {
        let damage = blocking(move || {
            image.warm();
            image.verify()
        });
        if let Err(damage) = damage.await {
            tracing::error!("{}: {damage}; compile the lists anew: `systemctl reload ecluse`", file.display());
            if let Err(error) = std::fs::remove_file(&file) {
                tracing::error!("{} cannot be removed: {error}; remove it before the reload", file.display());
            }
        }
    });
}

/// A process of its own, niced, so that the gateway's memory and latency do not move.
async fn compile_in_child(config: &Config) -> Result<(), RulesError> {
    let failed = |what: String| RulesError::Compile(what);
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    // nice(1) exists wherever coreutils do; a compile in the foreground would be felt by 700 tablets.
    let output = Command::new("nice")
        .arg(program)
        .args(["lists", "compile", "--rules"])
        .arg(&config.rules.directory)
        .arg("--lists")
        .arg(&config.paths.lists)
        .arg("--out")
        .arg(&config.paths.image)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(if said.trim().is_empty() { output.status.to_string() } else { said.trim().to_owned() }))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
