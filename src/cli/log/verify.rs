//! `ecluse log verify`: whether a package is what was sealed, with nothing else at hand.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::{ALTERED, NOT_ALL_PROVEN, OK, UNKNOWN_KEY, USAGE};
use crate::audit::package::{Authority, Report, Trust, verify};

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The package's folder
    package: PathBuf,
    /// Whose signatures are believed: a key's fingerprint, or a file of keys (gateway.pub); may be given again
    #[arg(long, value_name = "FILE|FINGERPRINT")]
    trust: Vec<String>,
    /// The certificate of the time-stamping authority, or of the one that issued it
    #[arg(long, value_name = "CERTIFICATE")]
    tsa: Option<PathBuf>,
}

impl VerifyArgs {
    pub fn run(&self, out: &mut impl Write, err: &mut impl Write) -> u8 {
        let mut trust = Trust::default();
        for text in &self.trust {
            match Trust::read(text) {
                Ok(more) => trust.0.extend(more.0),
                Err(e) => return super::say(err, USAGE, &e),
            }
        }
        let authority = match self.tsa.as_deref().map(Authority::read).transpose() {
            Ok(authority) => authority,
            Err(e) => return super::say(err, USAGE, &format!("--tsa {e}")),
        };
        match verify(&self.package, &trust, authority.as_ref()) {
            Ok(report) => self.tell(&report, out).unwrap_or(super::BROKE_OFF),
            Err(e) => super::say(err, ALTERED, &format!("ALTERED: {e}")),
        }
    }

    fn tell(&self, report: &Report, out: &mut impl Write) -> io::Result<u8> {
        let manifest = &report.manifest;
        writeln!(out, "{} rows, {} of them proven by {} signed roots", manifest.rows, manifest.proven, report.roots)?;
        writeln!(out, "made {} by gateway {} of college {}", manifest.made, manifest.gateway, manifest.college)?;
        let asked = serde_json::to_string(&manifest.wanted)?;
        writeln!(out, "asked: {}", printable(&asked))?;
        match report.accounted {
            Some(leaves) => {
                writeln!(
                    out,
                    "complete: all {leaves} leaves of the {} trees of that time are accounted for",
                    report.trees
                )?;
                if manifest.rows == 0 {
                    writeln!(out, "nothing found, and nothing was left out")?;
                }
            }
            None => writeln!(out, "it does not prove that no answer is missing")?,
        }
        if report.set_aside > 0 {
            writeln!(
                out,
                "{} leaves are of rows that no store took, and whose contents are not here",
                report.set_aside
            )?;
        }
        if let Some(sealed) = report.sealed_up_to {
            writeln!(out, "what was sealed after {sealed} is not in it")?;
        }
        match &report.stamped {
            None => writeln!(out, "no time-stamp")?,
            Some(stamp) if stamp.is_signature_checked => writeln!(out, "time-stamped {}", stamp.at)?,
            Some(stamp) => {
                writeln!(out, "time-stamped {} (its signature was not checked: give --tsa CERTIFICATE)", stamp.at)?
            }
        }
        for gap in &manifest.gaps {
            let gap = &gap.gap;
            writeln!(
                out,
                "missing from {} to {}: {} records, {}",
                gap.since,
                gap.until,
                gap.count,
                printable(&gap.cause)
            )?;
        }
        for note in &report.notes {
            writeln!(out, "note: {}", printable(note))?;
        }
        if !report.unknown.is_empty() {
            writeln!(out, "whole, but signed by an unknown key: compare this fingerprint")?;
            for fingerprint in &report.unknown {
                writeln!(out, "  {fingerprint}")?;
            }
            return Ok(UNKNOWN_KEY);
        }
        if manifest.proven < manifest.rows || !report.notes.is_empty() {
            writeln!(out, "whole, but not everything in it is proven, see above")?;
            return Ok(NOT_ALL_PROVEN);
        }
        writeln!(out, "whole, and signed by a key that you trust")?;
        Ok(OK)
    }
}

/// A package's texts are a stranger's: nothing in them reaches the terminal as a control character.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}
