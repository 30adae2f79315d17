//! `ecluse log export`: rows as a package that proves itself.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{End, Exports, NO_INPUT, Places, SharedArgs, Shown, USAGE};
use crate::access::proof::{Hash, Signer};
use crate::accesslog::proof::read_key;
use crate::audit::package::{self, ExportError, ExportOrder, timestamp_request, token_of_response};
use crate::fleet::{FetchLimits, Fetcher};
use crate::origin::Resolver;
use crate::store::{Filter, ProofStore, RecordStore};

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    pub common: SharedArgs,
    /// The folder to make; it must not exist
    #[arg(long, value_name = "PACKAGE")]
    out: Option<PathBuf>,
    /// Prove too that no answer is missing: opens half of every other row of that time (when and who, or when and what)
    #[arg(long)]
    pub complete: bool,
}

impl ExportArgs {
    pub fn parse(&self) -> Result<PathBuf, Vec<String>> {
        let mut bad = Vec::new();
        if self.common.reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) {
            bad.push("--reason: an export leaves the house: say why, for the trail and the package".to_owned());
        }
        match &self.out {
            None => bad.push("--out: name the folder to make".to_owned()),
            Some(out) if std::fs::symlink_metadata(out).is_ok() => {
                bad.push(format!("--out: {} is there already: name another place", out.display()));
            }
            Some(out) if bad.is_empty() => return Ok(out.clone()),
            Some(_) => {}
        }
        Err(bad)
    }

    /// Writes the package; gives how many lines it has.
    pub async fn answer(
        &self,
        store: &(impl RecordStore + ProofStore),
        filter: Filter,
        places: &Places,
        pending: &str,
        out: &mut impl Write,
        shown: &mut Shown,
    ) -> Result<(), End> {
        let place = self.parse().map_err(|bad| End::Refused(USAGE, bad.join("\n")))?;
        let exports = &places.exports;
        let signer = signer(exports)?;
        let order = ExportOrder {
            filter,
            filters: serde_json::to_value(self.common.filters().for_the_trail()).unwrap_or_default(),
            reason: self.common.reason.clone().unwrap_or_default(),
            question: shown.question,
            complete: self.complete,
            college: exports.college.clone(),
            gateway: exports.gateway.clone(),
            now: places.clock.now(),
            pending: pending.to_owned(),
        };
        let stamp = exports.tsa.clone().map(|tsa| async move |imprint| stamp(&tsa, imprint).await);
        let written = package::write(store, order, &signer, &place, stamp).await?;
        shown.rows = written.rows;
        writeln!(out, "{}: {} rows, {} with proof", place.display(), written.rows, written.proven)?;
        writeln!(out, "signed by the key {}", signer.public().fingerprint())?;
        out.flush()?;
        shown.notes.extend(written.notes);
        if written.proven < written.rows {
            shown.notes.push(format!(
                "{} rows have no proof yet: their segment of the journal is not sealed (it is within [journal] segment_seconds)",
                written.rows - written.proven
            ));
            shown.code = super::NOT_ALL_PROVEN;
        }
        if self.complete && !written.complete {
            shown.notes.push("that no answer is missing could not be proven, see above".into());
            shown.code = super::NOT_ALL_PROVEN;
        }
        if !self.complete && written.rows == 0 {
            shown.notes.push(
                "nothing was found, and this package does not prove it: --complete does, and opens half of every row of that time"
                    .into(),
            );
        }
        if self.complete {
            shown.notes.push(format!("{} other leaves were opened by half; see docs/proof.md", written.openings));
        }
        Ok(())
    }
}

fn signer(exports: &Exports) -> Result<Signer, End> {
    let path = exports.key_file.clone().unwrap_or_else(|| exports.folder.join("gateway.key"));
    read_key(&path).map_err(|why| {
        End::Refused(
            NO_INPUT,
            format!("{why}\nthe gateway makes its key at its first start: run this as its account or with sudo"),
        )
    })
}

impl From<ExportError> for End {
    fn from(e: ExportError) -> Self {
        match e {
            ExportError::Read(e) => e.into(),
            ExportError::TooMuch(_) => End::Refused(USAGE, e.to_string()),
            e => End::BrokeOff(e.to_string()),
        }
    }
}

/// Asks the authority for a token over a hash.
async fn stamp(tsa: &url::Url, imprint: Hash) -> Result<Vec<u8>, String> {
    let limits = FetchLimits { bytes: 1 << 20, total: std::time::Duration::from_secs(60), ..FetchLimits::default() };
    let resolver = Resolver::new(&[], std::time::Duration::from_secs(4), 16).map_err(|e| e.to_string())?;
    let fetcher = Fetcher::new(resolver, None, limits).map_err(|e| e.to_string())?;
    let mut nonce = [0; 8];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| "the system gives no randomness".to_owned())?;
    let nonce = u64::from_be_bytes(nonce);
    let question = timestamp_request(imprint, nonce);
    let answer = fetcher.post(tsa, "application/timestamp-query", question).await;
    let answer = answer.map_err(|e| format!("{tsa}: {e}"))?;
    token_of_response(&answer, imprint, nonce).map_err(|e| format!("{tsa}: {e}"))
}
