//! `ecluse status`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use crate::access::Timestamp;
use crate::config::Config;
use crate::gateway::control::{Status, ask_status};

#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &StatusArgs, config: Option<&Path>, state: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = Config::load(config, state)?;
    let path = &config.paths.control_socket;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime does not start")?;
    let status = match runtime.block_on(ask_status(path)) {
        Ok(status) => status,
        Err(error) => {
            let error = anyhow::Error::new(error).context(format!(
                "no gateway answers on {}\n  help: is it running, and with the same --state?",
                path.display()
            ));
            super::complain(&error);
            return Ok(ExitCode::from(super::EXIT_UNAVAILABLE));
        }
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&status)?)?;
    } else {
        write!(out, "{}", in_words(&status))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(status: &Status) -> String {
    let mut text = format!(
        "{} since {} (version {}, process {})\nrules {} in force since {}\n{} accesses and {} origin connections open\n",
        status.phase,
        status.started,
        status.version,
        status.pid,
        status.rules_version,
        status.rules_installed,
        status.open_accesses,
        status.open_origin_connections,
    );
    if let Some(rejected) = &status.reload_rejected {
        text.push_str(&format!("\nthe reload of {} changed nothing:\n{}\n\n", rejected.at, rejected.why));
    }
    for (name, value) in &status.figures {
        let (name, value) = match name.strip_suffix("_us") {
            Some(name) => (name, instant(*value)),
            None => (name.as_str(), value.to_string()),
        };
        text.push_str(&format!("{:<24} {value}\n", name.replace('_', " ")));
    }
    text
}

/// Figures that are instants count microseconds; 0 is none yet.
fn instant(micros: u64) -> String {
    match i64::try_from(micros) {
        Ok(0) | Err(_) => "never".to_owned(),
        Ok(micros) => Timestamp::from_micros(micros).to_string(),
    }
}
