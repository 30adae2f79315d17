//! The command line: one file per subcommand, machine-readable output on stdout, diagnostics on stderr.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done; for `log search`: answered, even with nothing found |
//! | 1 | it failed; stderr says why and what to do |
//! | 3 | `log export`, `log verify`: the package is whole, but not all of it is proven; what is missing is said |
//! | 64 | the command line, a filter or a file of configuration or rules is wrong (`EX_USAGE` of sysexits(3)) |
//! | 65 | `lists update`: a list was fetched and refused; the one in place stays; `log verify`: the package was altered, and the first row that was is named (`EX_DATAERR`) |
//! | 66 | there is no store, or it may not be read (`EX_NOINPUT`) |
//! | 67 | `log verify`: whole, but signed by an unknown key, whose fingerprint is shown (`EX_NOUSER`) |
//! | 69 | no gateway answers (`EX_UNAVAILABLE`) |
//! | 73 | the trail of consultations cannot be written, so nothing is shown (`EX_CANTCREAT`) |
//! | 75 | `lists update`: no mirror could be reached, or another update is at work; the list in place stays (`EX_TEMPFAIL`) |

mod authority;
mod check;
mod explain;
mod lists;
mod log;
mod nftables;
mod run;
mod status;
mod store;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;

/// The command line or a file is wrong.
pub const EXIT_USAGE: u8 = 64;
/// Nobody answers.
pub const EXIT_UNAVAILABLE: u8 = 69;

/// Écluse, the web filtering and traceability gateway of French colleges.
#[derive(Debug, Parser)]
#[command(name = "ecluse", version, about, arg_required_else_help = true)]
struct Cli {
    /// The configuration; without it: embedded defaults, loopback only.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the gateway keeps what it makes [default: /var/lib/ecluse as a service, else ~/.local/state/ecluse].
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the gateway.
    Run,
    /// The authority by which TLS is opened: make it, hand it to the devices.
    Authority(authority::AuthorityArgs),
    /// Everything that is wrong with the configuration, at once.
    Check(check::CheckArgs),
    /// The decision the gateway would take, and why.
    Explain(explain::ExplainArgs),
    /// Fetch, compile, show and search the lists.
    Lists(lists::ListsArgs),
    /// Search the log of accesses.
    Log(Box<log::LogArgs>),
    /// The rules of the firewall that bring connections to the transparent doors.
    Nftables(nftables::NftablesArgs),
    /// Ask a running gateway how it is.
    Status(status::StatusArgs),
    /// Look after the store of the centre: tables, accounts, retention.
    Store(store::StoreArgs),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers; anything else is a wrong command line.
            let wrong = error.use_stderr();
            let _ = error.print();
            return if wrong { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let (config, state) = (cli.config.as_deref(), cli.state.as_deref());
    match cli.command {
        Command::Run => run::run(config, state),
        Command::Authority(args) => authority::run(&args, config, state),
        Command::Check(args) => check::run(&args, config, state),
        Command::Explain(args) => explain::run(&args, config, state),
        Command::Lists(args) => lists(&args, config, state),
        Command::Log(args) => log::here::run(*args, config, state),
        Command::Nftables(args) => nftables::run(&args, config, state),
        Command::Status(args) => status::run(&args, config, state),
        Command::Store(args) => store::run(args, config, state),
    }
}

fn lists(args: &lists::ListsArgs, config: Option<&Path>, state: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = match Config::load(config, state) {
        Ok(config) => config,
        Err(problems) => return Ok(wrong(&problems)),
    };
    lists::run(args, &config)
}

/// Says what is wrong with the command line or a file.
fn wrong(problems: &dyn std::fmt::Display) -> ExitCode {
    complain(&anyhow::anyhow!("{problems}"));
    ExitCode::from(EXIT_USAGE)
}

#[expect(clippy::print_stderr, reason = "the one place that tells the person at the terminal")]
fn complain(error: &anyhow::Error) {
    eprintln!("ecluse: {error:#}");
}

/// Says on the side what the person at the terminal may do next.
#[expect(clippy::print_stderr, reason = "no part of the answer on stdout")]
fn hint(text: &str) {
    eprintln!("{text}");
}
