//! `ecluse run`.

use std::path::Path;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::process::{self, StartError};

/// Runs the gateway until it is told to stop.
pub fn run(config: Option<&Path>, state: Option<&Path>) -> anyhow::Result<ExitCode> {
    let checked = match Config::load(config, state) {
        Ok(checked) => checked,
        Err(problems) => return Ok(super::wrong(&problems)),
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&checked.log.level))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    match process::run(checked, config, state) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(StartError::Rules(error)) => Ok(super::wrong(&error)),
        Err(error) => Err(error.into()),
    }
}
