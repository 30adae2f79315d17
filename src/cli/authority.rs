//! `ecluse authority`: the authority by which TLS is opened and refused names get their page.

mod mobileconfig;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};

use crate::access::HostName;
use crate::clock::Clock;
use crate::config::{AuthorityFiles, Config};
use crate::store::embedded::{NO_FOLLOW, give_to_owner_of};
use crate::tls;

/// Make the authority by which TLS is opened, and hand it to the devices.
#[derive(Debug, Args)]
pub struct AuthorityArgs {
    #[command(subcommand)]
    command: AuthorityCommand,
}

#[derive(Debug, Subcommand)]
enum AuthorityCommand {
    /// Make the key (P-256) and the certificate; never over one that is there
    Init(InitArgs),
    /// Write the certificate (never the key) for the devices that are to believe it
    Export(ExportArgs),
}

#[derive(Debug, Args)]
struct InitArgs {
    /// What a device's settings show [default: the school's name]
    #[arg(long)]
    name: Option<String>,
    /// How long it is valid; all devices need the next one before that
    #[arg(long, default_value_t = 1826, value_parser = clap::value_parser!(u32).range(1..=7305))]
    days: u32,
    /// The only names that it may ever sign, with all below them; may be repeated
    #[arg(long, value_name = "NAME", value_parser = HostName::parse)]
    only: Vec<HostName>,
    /// Names that it may never sign, with all below them; may be repeated
    #[arg(long, value_name = "NAME", value_parser = HostName::parse)]
    except: Vec<HostName>,
    /// Where the certificate goes [default: `[inspection] certificate_file`, else authority.pem in the state directory]
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Where the key goes [default: `[inspection] key_file`, else authority.key in the state directory]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ExportArgs {
    #[arg(long, value_enum, default_value_t = Format::Pem)]
    format: Format,
    /// The certificate [default: as for `init`]
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Write to this file instead of the output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text: Linux, Firefox, Android
    Pem,
    /// Binary: Windows, Android
    Der,
    /// A profile of Apple's: iPad, Mac, and their management
    Mobileconfig,
}

/// Runs an `authority` command.
///
/// # Errors
/// A file cannot be read or written, or is there already.
pub fn run(args: &AuthorityArgs, config: Option<&Path>, state: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = match Config::load(config, state) {
        Ok(config) => config,
        Err(problems) => return Ok(super::wrong(&problems)),
    };
    match &args.command {
        AuthorityCommand::Init(args) => init(args, &config)?,
        AuthorityCommand::Export(args) => export(args, &config)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The configured files, or their places in the state directory.
fn files(config: &Config) -> AuthorityFiles {
    config.inspection.authority.clone().unwrap_or_else(|| AuthorityFiles {
        certificate: config.paths.state.join("authority.pem"),
        key: config.paths.state.join("authority.key"),
    })
}

fn init(args: &InitArgs, config: &Config) -> anyhow::Result<()> {
    let usual = files(config);
    let certificate = args.certificate.as_ref().unwrap_or(&usual.certificate);
    let key = args.key.as_ref().unwrap_or(&usual.key);
    for file in [key, certificate] {
        if file.symlink_metadata().is_ok() {
            bail!(
                "{} is there already: devices believe it, so it is not overwritten\n  help: move both files away first",
                file.display()
            );
        }
    }
    let name = args.name.clone().unwrap_or_else(|| format!("Écluse, {}", config.college.name));
    let wish = tls::Wish { name, days: args.days, only: args.only.clone(), except: args.except.clone() };
    let made = tls::make(&wish, Clock::System.now())?;
    write_new(key, made.key.as_bytes(), 0o600)?;
    if let Err(error) = write_new(certificate, made.certificate.as_bytes(), 0o644) {
        // A key without its certificate is of no use, and would be in the way of the next attempt.
        let _ = fs::remove_file(key);
        return Err(error);
    }
    tell(&format!("certificate_file = {:?}", absolute(certificate)));
    tell(&format!("key_file = {:?}", absolute(key)));
    super::hint(&format!(
        "{} and its key are made. Put the two lines above into `[inspection]`, and hand the certificate to the devices: \
         `ecluse authority export`",
        wish.name
    ));
    Ok(())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Made whole or not at all: a file that is there meanwhile is not touched. It belongs to whom its folder belongs to.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).custom_flags(NO_FOLLOW).open(path)?;
        give_to_owner_of(folder, &file)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        File::open(folder)?.sync_all()
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

fn export(args: &ExportArgs, config: &Config) -> anyhow::Result<()> {
    let path = args.certificate.clone().unwrap_or_else(|| files(config).certificate);
    let certificate = tls::Certificate::open(&path)?;
    let bytes = match args.format {
        Format::Pem => certificate.pem().into_bytes(),
        Format::Der => certificate.der().to_vec(),
        Format::Mobileconfig => mobileconfig::profile(&certificate, &config.college.name).into_bytes(),
    };
    match &args.out {
        None => io::stdout().lock().write_all(&bytes).context("the output cannot be written"),
        Some(file) => fs::write(file, &bytes).with_context(|| format!("{} cannot be written", file.display())),
    }
}

#[expect(clippy::print_stdout, reason = "what was made is the answer")]
fn tell(line: &str) {
    println!("{line}");
}
