//! Certificates of purges: a signed line for each day of a stream that was deleted, in a chain.
//!
//! `purges.jsonl` beside the chains of roots: a [`SignedText`] a line, appended, synced, never altered and never deleted:
//! a certificate holds numbers and hashes, nobody's data. Its roots are those of the trees that held something of the
//! day, by which a package that was exported earlier is known to be of that gateway still.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::access::proof::{Hash, PublicKey, Sealed, SignedText, Signer};
use crate::access::{CollegeCode, GatewayName, Stream, Timestamp};
use crate::store::embedded::{NO_FOLLOW, give_to_owner_of};

const KIND: &str = "ecluse purge\n";
/// A day's roots are some hundred.
const LINE_MAX: u64 = 16 << 20;

/// What went, when, and under which duration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    pub format: u32,
    /// From 1.
    pub number: u64,
    /// The hash of the text of the certificate before; zeros in the first.
    pub previous: Hash,
    pub college: CollegeCode,
    pub gateway: GatewayName,
    pub stream: Stream,
    /// `2026-11-23`, UTC.
    pub day: String,
    pub rows: u64,
    /// The duration that was in force.
    pub kept_days: u32,
    /// Trees that held something of the day: their numbers, and the hashes of the texts of their roots.
    pub roots: Vec<(u64, Hash)>,
    pub purged: Timestamp,
    pub software: String,
    pub key: PublicKey,
}

/// A day that went.
pub struct Gone<'a> {
    pub college: &'a CollegeCode,
    pub gateway: &'a GatewayName,
    pub stream: Stream,
    pub day: i32,
    pub rows: u64,
    pub kept_days: u32,
    pub trees: &'a [Sealed],
}

fn path_of(folder: &Path) -> PathBuf {
    folder.join("purges.jsonl")
}

/// Writes a certificate. To be called by the process that purges, of which there is one.
pub fn certify(folder: &Path, signer: &Signer, now: Timestamp, gone: &Gone<'_>) -> io::Result<Certificate> {
    let path = path_of(folder);
    let (number, previous, is_torn) = match end(&path)? {
        Some((last, text, is_torn)) => (last.number + 1, text.hash(), is_torn),
        None => (1, Hash::default(), false),
    };
    let date = Timestamp::start_of_day(gone.day).to_string();
    let roots = gone.trees.iter().filter_map(|tree| {
        let root = tree.root.unverified_root().ok()?;
        Some((root.number, tree.root.hash()))
    });
    let certificate = Certificate {
        format: 1,
        number,
        previous,
        college: gone.college.clone(),
        gateway: gone.gateway.clone(),
        stream: gone.stream,
        day: date.split('T').next().unwrap_or(&date).to_owned(),
        rows: gone.rows,
        kept_days: gone.kept_days,
        roots: roots.collect(),
        purged: now,
        software: env!("CARGO_PKG_VERSION").into(),
        key: signer.public(),
    };
    let signed = SignedText::sign(signer, KIND, serde_json::to_string(&certificate)?);
    let mut line = if is_torn { b"\n".to_vec() } else { Vec::new() };
    serde_json::to_writer(&mut line, &signed)?;
    line.push(b'\n');
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(NO_FOLLOW).open(&path)?;
    give_to_owner_of(folder, &file)?;
    file.write_all(&line)?;
    file.sync_all()?;
    File::open(folder)?.sync_all()?;
    Ok(certificate)
}

/// The last certificate, and whether a crash tore a line after it.
fn end(path: &Path) -> io::Result<Option<(Certificate, SignedText, bool)>> {
    let mut last = None;
    let mut is_torn = false;
    for line in lines(path)? {
        let line = line?;
        is_torn = !line.ends_with(b"\n");
        let Ok(text) = serde_json::from_slice::<SignedText>(&line) else { continue };
        let certificate = serde_json::from_str(&text.text)?;
        last = Some((certificate, text));
    }
    Ok(last.map(|(certificate, text)| (certificate, text, is_torn)))
}

fn lines(path: &Path) -> io::Result<impl Iterator<Item = io::Result<Vec<u8>>>> {
    let mut reader = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        file => Some(BufReader::new(file?)),
    };
    Ok(std::iter::from_fn(move || {
        let mut line = Vec::new();
        match io::Read::take(reader.as_mut()?, LINE_MAX).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(Ok(line)),
            Err(e) => Some(Err(e)),
        }
    }))
}

/// Where the chain of certificates does not hold.
#[derive(Debug, thiserror::Error)]
pub enum BadPurges {
    #[error("{path}: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path}:{line}: {why}")]
    Line { path: PathBuf, line: u64, why: &'static str },
}

/// Every certificate of a folder, each signed by the key that it names and following the one before.
pub fn verify_purges(folder: &Path) -> Result<Vec<Certificate>, BadPurges> {
    let path = path_of(folder);
    let unreadable = |source| BadPurges::Unreadable { path: path.clone(), source };
    let mut certificates: Vec<Certificate> = Vec::new();
    let mut previous = Hash::default();
    for (line, bytes) in (1u64..).zip(lines(&path).map_err(unreadable)?) {
        let bad = |why| BadPurges::Line { path: path.clone(), line, why };
        let bytes = bytes.map_err(unreadable)?;
        // A line that a crash tore; one that was altered into this leaves a hole in the chain.
        let Ok(text) = serde_json::from_slice::<SignedText>(&bytes) else { continue };
        let certificate: Certificate =
            serde_json::from_str(&text.text).map_err(|_| bad("it is no certificate that this program knows"))?;
        if !text.is_signed_by(&certificate.key, KIND) {
            return Err(bad("it was altered: its signature is not that of its key"));
        }
        let number = certificates.last().map_or(1, |last| last.number + 1);
        if certificate.number != number || certificate.previous != previous {
            return Err(bad("it does not follow the one before: certificates were removed, added or moved"));
        }
        previous = text.hash();
        certificates.push(certificate);
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_was_altered_removed_or_moved_is_named() {
        let folder = tempfile::TempDir::new().unwrap();
        let signer = Signer::from_seed(&[5; 32]).unwrap();
        let (college, gateway) = (CollegeCode::parse("0131234A").unwrap(), GatewayName::parse("gw-1").unwrap());
        for day in 20_000..20_003 {
            let gone = Gone {
                college: &college,
                gateway: &gateway,
                stream: Stream::Accesses,
                day,
                rows: 7,
                kept_days: 183,
                trees: &[],
            };
            certify(folder.path(), &signer, Timestamp::start_of_day(day + 183), &gone).unwrap();
        }
        let certificates = verify_purges(folder.path()).unwrap();
        assert_eq!(certificates.iter().map(|c| (c.number, c.rows)).collect::<Vec<_>>(), [(1, 7), (2, 7), (3, 7)]);
        assert_eq!(certificates[0].day, "2024-10-04");
        let path = path_of(folder.path());
        let whole = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        let line_of = |text: String| {
            std::fs::write(&path, text).unwrap();
            match verify_purges(folder.path()).unwrap_err() {
                BadPurges::Line { line, .. } => line,
                other => panic!("{other}"),
            }
        };
        assert_eq!(line_of(whole.replacen("\\\"rows\\\":7", "\\\"rows\\\":8", 1)), 1);
        assert_eq!(line_of(format!("{}\n{}\n", lines[0], lines[2])), 2);
        assert_eq!(line_of(format!("{}\n{}\n{}\n", lines[0], lines[2], lines[1])), 2);
        assert_eq!(line_of(format!("{}\n", lines[1])), 1);
    }
}
