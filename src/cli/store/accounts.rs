//! `ecluse store admit` and `reader`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::{ServerArgs, plan, print, server, tell};
use crate::access::{CollegeCode, GatewayName};
use crate::config::Config;
use crate::store::clickhouse::accounts::{Secret, gateway, reader as reader_statements};
use crate::store::clickhouse::read_password;

#[derive(Debug, Args)]
pub(super) struct AdmitArgs {
    /// The gateway's name; its account is `gw_<name>`
    #[arg(long, value_name = "NAME")]
    gateway: String,
    /// The UAI code of its college: it writes rows of no other
    #[arg(long, value_name = "CODE")]
    college: String,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SecretArgs {
    /// A file with the gateway's password in one line; the server gets its SHA-256
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The common name of the gateway's client certificate
    #[arg(long, value_name = "NAME")]
    certificate_name: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ReaderArgs {
    /// The one college that the role reads; without it, all of them
    #[arg(long, value_name = "CODE")]
    college: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn admit(args: &AdmitArgs, config: &Config) -> anyhow::Result<()> {
    let plan = plan(config, args.server.cluster.as_deref())?;
    let name = GatewayName::parse(&args.gateway)?;
    let college = CollegeCode::parse(&args.college)?;
    let password = args.secret.password_file.as_deref().map(read_password).transpose()?;
    let secret = match (&password, &args.secret.certificate_name) {
        (Some(password), _) => Secret::Password(password),
        (None, Some(name)) => Secret::Certificate(name),
        (None, None) => anyhow::bail!("give --password-file or --certificate-name"),
    };
    send(&gateway(&plan, &name, &college, &secret), &args.server, config).await?;
    if !args.server.print {
        tell(format_args!("gateway {name} may write rows of college {college}"));
    }
    Ok(())
}

pub(super) async fn reader(args: &ReaderArgs, config: &Config) -> anyhow::Result<()> {
    let plan = plan(config, args.server.cluster.as_deref())?;
    let college = args.college.as_deref().map(CollegeCode::parse).transpose()?;
    send(&reader_statements(&plan, college.as_ref()), &args.server, config).await?;
    if !args.server.print {
        let role = college.map_or("all_colleges".to_owned(), |college| format!("college_{college}"));
        tell(format_args!("the role {role} is there: GRANT {role} TO whoever reads"));
    }
    Ok(())
}

async fn send(statements: &[String], args: &ServerArgs, config: &Config) -> anyhow::Result<()> {
    if args.print {
        print(statements);
        return Ok(());
    }
    server(config)?.run(statements).await.context("the server refused; what came before it is done")
}
