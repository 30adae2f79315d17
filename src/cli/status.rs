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
    if !status.not_inspected.is_empty() {
        text.push_str(&format!("not opened, since clients do not believe us: {}\n", status.not_inspected.join(", ")));
    }
    for (figure, what) in ALARMS {
        match status.figures.get(figure) {
            Some(0) | None => {}
            Some(count) => text.push_str(&format!("\nATTENTION: {count} {what}\n\n")),
        }
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

/// Figures that want a person as soon as they are not 0, and what that person does.
const ALARMS: [(&str, &str); 2] = [
    (
        "quarantined_rows",
        "rows bear dates that cannot be right and are in quarantine, not in the store\n  \
         help: set the clock of this machine (timedatectl); then `ecluse store set-aside --send`; the rows are in the journal's folder `quarantine`",
    ),
    (
        "poison_batches",
        "batches were refused by the store for good and are set aside\n  \
         help: the gateway's messages say why (journalctl -u ecluse); then `ecluse store set-aside --send`; the rows are in the journal's folder `poison`",
    ),
];

/// Figures that are instants count microseconds; 0 is none yet.
fn instant(micros: u64) -> String {
    match i64::try_from(micros) {
        Ok(0) | Err(_) => "never".to_owned(),
        Ok(micros) => Timestamp::from_micros(micros).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(figures: &[(&str, u64)]) -> String {
        in_words(&Status {
            phase: "ready".into(),
            version: "1.0.0".into(),
            pid: 7,
            started: Timestamp::default(),
            rules_version: "0123456789ab".into(),
            rules_installed: Timestamp::default(),
            reload_rejected: None,
            open_accesses: 0,
            open_origin_connections: 0,
            not_inspected: Vec::new(),
            figures: figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        })
    }

    #[test]
    fn what_wants_a_person_is_said_and_nothing_else_is() {
        let text = status(&[("quarantined_rows", 3), ("poison_batches", 0), ("acknowledged_us", 0)]);
        assert!(text.contains("ATTENTION: 3 rows bear dates that cannot be right"), "{text}");
        assert_eq!(text.matches("ATTENTION").count(), 1, "{text}");
        assert!(text.lines().any(|line| line.starts_with("acknowledged ") && line.ends_with("never")), "{text}");
        assert!(!status(&[("quarantined_rows", 0)]).contains("ATTENTION"));
    }

    #[test]
    fn every_figure_of_the_journal_is_there() {
        let figures = crate::metrics::METRICS.values();
        for name in [
            "backlog_rows",
            "backlog_bytes",
            "backlog_age_s",
            "acknowledged_us",
            "ship_retries",
            "poison_batches",
            "quarantined_rows",
            "gaps",
            "unwritten",
            "journal_left_bytes",
        ] {
            assert!(figures.iter().any(|(figure, _)| *figure == name), "{name}");
        }
        for (figure, _) in ALARMS {
            assert!(figures.iter().any(|(name, _)| *name == figure), "{figure}");
        }
    }
}
