//! `ecluse store`: the tables of the centre's server, who may use them, and what is deleted or kept in them.

mod accounts;
mod hold;
mod purge;
mod reconcile;
mod set_aside;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use crate::config::{Config, StoreKind};
use crate::store::ClickHouse;
use crate::store::clickhouse::{Plan, statements};

/// Look after the store of the centre.
#[derive(Debug, Args)]
pub struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Make the tables, or bring them to this program's version and to the durations of `[retention]`
    Migrate(MigrateArgs),
    /// Let a gateway write
    Admit(accounts::AdmitArgs),
    /// Make the role that reads one college, or all
    Reader(accounts::ReaderArgs),
    /// Compare this gateway's journal with what the server has, and send again what is missing
    Reconcile(reconcile::ReconcileArgs),
    /// Show the rows that were set aside because the store refused them or their dates cannot be right; send them again
    SetAside(set_aside::SetAsideArgs),
    /// Delete what is past its duration, and certify it in the trail
    Purge(purge::PurgeArgs),
    /// Copy rows out of retention's reach for a case, with what proves them
    Hold(hold::HoldArgs),
    /// Give the rows of a case out, as a package that proves itself
    Held(hold::HeldArgs),
}

/// What is common to those that change the server.
#[derive(Debug, Args)]
struct ServerArgs {
    /// The cluster's name in the server's `remote_servers`: replicated and sharded tables
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Print the statements and send nothing
    #[arg(long)]
    print: bool,
}

#[derive(Debug, Args)]
struct MigrateArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs a `store` command.
pub fn run(args: StoreArgs, config: Option<&Path>, state: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = match Config::load(config, state) {
        Ok(config) => config,
        Err(problems) => return Ok(super::wrong(&problems)),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime does not start")?;
    runtime.block_on(async {
        match args.command {
            StoreCommand::Migrate(args) => migrate(&args, &config).await,
            StoreCommand::Admit(args) => accounts::admit(&args, &config).await,
            StoreCommand::Reader(args) => accounts::reader(&args, &config).await,
            StoreCommand::Reconcile(args) => return reconcile::run(&args, &config).await,
            StoreCommand::SetAside(args) => return set_aside::run(&args, &config).await,
            StoreCommand::Purge(args) => purge::run(&args, &config).await,
            StoreCommand::Hold(args) => hold::run(&args, &config).await,
            StoreCommand::Held(args) => hold::held(&args, &config).await,
        }
        .map(|()| ExitCode::SUCCESS)
    })
}

fn plan(config: &Config, cluster: Option<&str>) -> anyhow::Result<Plan> {
    if let Some(name) = cluster
        && !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    {
        bail!("--cluster: `{name}` is no name: letters, digits, `_` and `-`");
    }
    Ok(Plan {
        database: config.store.server.database.clone(),
        cluster: cluster.map(str::to_owned),
        accesses_days: config.retention.accesses_days,
        connections_days: config.retention.connections_days,
    })
}

/// The server of the configuration.
fn server(config: &Config) -> anyhow::Result<ClickHouse> {
    if config.store.kind != StoreKind::ClickHouse {
        bail!("the store of this configuration is embedded: the gateway makes and purges it by itself");
    }
    Ok(ClickHouse::open(&config.store.server, &config.gateway)?)
}

#[expect(clippy::print_stdout, reason = "what was done, or would be, is the answer")]
fn tell(line: impl std::fmt::Display) {
    println!("{line}");
}

/// As a file that the server's own client runs.
fn print(statements: &[String]) {
    for statement in statements {
        let words: Vec<&str> = statement.split_whitespace().collect();
        tell(format_args!("{};", words.join(" ")));
    }
}

async fn migrate(args: &MigrateArgs, config: &Config) -> anyhow::Result<()> {
    let plan = plan(config, args.server.cluster.as_deref())?;
    if args.server.print {
        print(&statements(&plan));
        return Ok(());
    }
    let migrated = server(config)?.migrate(&plan).await?;
    for (number, name) in &migrated.applied {
        tell(format_args!("applied step {number}: {name}"));
    }
    for table in &migrated.durations {
        tell(format_args!("changed how long {table} is kept"));
    }
    if migrated == Default::default() {
        tell("nothing to do");
    }
    Ok(())
}
