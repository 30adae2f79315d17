//! Sealed day keys, and how they are opened again by whoever holds an identity.
//!
//! Beside the spool lies a folder `sealed`, which outlives the segments. It holds, for each day, lane and part, a file
//! `2026-11-23-lane-0000000001-0001.age`: written aside, synced, renamed, never altered. A key has several parts when
//! its roster is long, and one more each time that somebody is seen who was not on the roster. `age -d` opens a part;
//! it is one JSON object:
//!
//! ```json
//! {"version": 1, "college": "0131234A", "gateway": "gw-1", "lane": 1, "day": "2026-11-23",
//!  "key": "<64 hexadecimal digits>", "people": ["…"]}
//! ```
//!
//! The day is the UTC day on which the key was made. A row that began before midnight may carry the next day's
//! pseudonym: who searches a day opens the following one too ([`unseal`] does).

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use age::secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretString};
use serde::{Deserialize, Serialize};

use super::disk::{ASIDE, Disk, write_aside};
use super::persons::DayKey;
use crate::access::{CollegeCode, GatewayName, PersonName, Pseudonym, Timestamp};

/// Names in one part, in bytes: sealed, it fits a frame.
const PART_BYTES: usize = 256 << 10;

/// The people of a part.
pub(super) struct DayPeople {
    pub college: CollegeCode,
    pub gateway: GatewayName,
    pub lane: u64,
    pub day: i32,
    pub people: Vec<PersonName>,
}

#[derive(Serialize, Deserialize)]
struct Content<'a> {
    version: u32,
    college: CollegeCode,
    gateway: GatewayName,
    lane: u64,
    day: String,
    key: &'a str,
    people: Vec<PersonName>,
}

impl DayPeople {
    pub(super) fn seal(self, key: &DayKey, recipients: &[age::x25519::Recipient]) -> Result<Vec<u8>, String> {
        let hex: String = key.secret().iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = SecretString::from(hex);
        let content = Content {
            version: 1,
            college: self.college,
            gateway: self.gateway,
            lane: self.lane,
            day: date(self.day).to_string(),
            key: hex.expose_secret(),
            people: self.people,
        };
        // Room enough that the plaintext is never moved: only the copy that is wiped exists.
        let mut plain = SecretBox::new(Box::new(Vec::<u8>::with_capacity(8 * PART_BYTES)));
        serde_json::to_writer(&mut *plain.expose_secret_mut(), &content).map_err(|error| error.to_string())?;
        let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(|error| error.to_string())?;
        let mut sealed = Vec::new();
        let mut writer = encryptor.wrap_output(&mut sealed).map_err(|error| error.to_string())?;
        writer.write_all(plain.expose_secret()).and_then(|()| writer.finish()).map_err(|error| error.to_string())?;
        Ok(sealed)
    }
}

fn date(day: i32) -> jiff::civil::Date {
    jiff::tz::Offset::UTC.to_datetime(Timestamp::start_of_day(day).to_jiff()).date()
}

/// Splits people into parts that fit a frame; one part if there is nobody yet.
pub(super) fn parts(people: &[PersonName]) -> Vec<&[PersonName]> {
    let mut parts = Vec::new();
    let mut rest = people;
    loop {
        let mut bytes = 0;
        let fits = |person: &&PersonName| {
            bytes += person.as_str().len() + 3;
            bytes <= PART_BYTES
        };
        let n = rest.iter().take_while(fits).count().clamp(1, rest.len().max(1)).min(rest.len());
        parts.push(&rest[..n]);
        rest = &rest[n..];
        if rest.is_empty() {
            return parts;
        }
    }
}

/// The folder of a spool's sealed keys.
pub fn folder(spool: &Path) -> PathBuf {
    spool.parent().unwrap_or(spool).join("sealed")
}

pub(super) fn file_name(day: i32, lane: u64, part: u32) -> String {
    format!("{}-lane-{lane:010}-{part:04}.age", date(day))
}

pub(super) fn keep(disk: &dyn Disk, folder: &Path, name: &str, sealed: &[u8]) -> io::Result<()> {
    disk.create_dir(folder)?;
    if let Some(above) = folder.parent() {
        disk.sync_dir(above)?;
    }
    write_aside(disk, folder, name, sealed).map(drop)
}

/// Deletes the sealed keys of days (since 1970, UTC) before `before`; answers how many files went.
pub fn purge(sealed: &Path, before: i32) -> io::Result<usize> {
    let files = match std::fs::read_dir(sealed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        files => files?,
    };
    let mut gone = 0;
    for file in files {
        let path = file?.path();
        let day = path.file_name().and_then(|name| day_of(name.to_str()?));
        if day.is_some_and(|day| day < before) {
            std::fs::remove_file(&path)?;
            gone += 1;
        }
    }
    Ok(gone)
}

/// The day that a file's name tells; `None` for files that are none of ours.
fn day_of(name: &str) -> Option<i32> {
    let (date, rest) = name.split_at_checked(10)?;
    if !rest.starts_with("-lane-") || !rest.ends_with(".age") {
        return None;
    }
    let first: Timestamp = format!("{date}T00:00:00Z").parse().ok()?;
    Some(first.day())
}

/// Why nothing could be unsealed.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    #[error(
        "the identity file {path}: {reason}\n  help: it holds a line `AGE-SECRET-KEY-1…`, as `age-keygen` writes it"
    )]
    Identity { path: PathBuf, reason: String },
    #[error("the sealed keys in {path}: {error}")]
    Folder { path: PathBuf, error: io::Error },
}

/// What was unsealed.
#[derive(Debug, Default)]
pub struct Unsealed {
    pub people: HashMap<Pseudonym, PersonName>,
    /// Files that the identity does not open, or that are damaged: their people stay unknown.
    pub problems: Vec<String>,
}

/// Opens the day keys of some days (since 1970, UTC) and tells who is behind each pseudonym. `sealed` is the folder of
/// the sealed keys ([`folder`]). The following day is opened too: a row may carry its pseudonyms.
pub fn unseal(sealed: &Path, identity_file: &Path, days: RangeInclusive<i32>) -> Result<Unsealed, UnsealError> {
    let wrong = |reason: String| UnsealError::Identity { path: identity_file.to_owned(), reason };
    let file = std::fs::File::open(identity_file).map_err(|error| wrong(error.to_string()))?;
    let identities = age::IdentityFile::from_buffer(io::BufReader::new(file))
        .map_err(|error| wrong(error.to_string()))?
        .into_identities()
        .map_err(|error| wrong(error.to_string()))?;
    let mut unsealed = Unsealed::default();
    for path in files(sealed, &days).map_err(|error| UnsealError::Folder { path: sealed.to_owned(), error })? {
        if let Err(reason) = unseal_file(&path, &identities, &mut unsealed.people) {
            unsealed.problems.push(format!("{}: {reason}", path.display()));
        }
    }
    Ok(unsealed)
}

fn files(sealed: &Path, days: &RangeInclusive<i32>) -> io::Result<Vec<PathBuf>> {
    let (first, last) = (date(*days.start()).to_string(), date(days.end().saturating_add(1)).to_string());
    let names = match super::disk::LocalDisk.names(sealed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        names => names?,
    };
    let is_asked = |name: &String| {
        !name.ends_with(ASIDE) && name.get(..10).is_some_and(|day| (first.as_str()..=last.as_str()).contains(&day))
    };
    Ok(names.into_iter().filter(is_asked).map(|name| sealed.join(name)).collect())
}

fn unseal_file(
    path: &Path,
    identities: &[Box<dyn age::Identity + Send + Sync>],
    people: &mut HashMap<Pseudonym, PersonName>,
) -> Result<(), String> {
    let sealed = std::fs::read(path).map_err(|error| error.to_string())?;
    let decryptor = age::Decryptor::new(&sealed[..]).map_err(|error| error.to_string())?;
    let identities = identities.iter().map(|identity| &**identity as &dyn age::Identity);
    let mut reader = decryptor.decrypt(identities).map_err(|error| error.to_string())?;
    // What was sealed is shorter than its seal.
    let mut plain = SecretBox::new(Box::new(Vec::<u8>::with_capacity(sealed.len())));
    reader.read_to_end(plain.expose_secret_mut()).map_err(|error| error.to_string())?;
    let content: Content<'_> = serde_json::from_slice(plain.expose_secret()).map_err(|error| error.to_string())?;
    if content.version != 1 {
        return Err(format!("written by a newer version of the program (format {})", content.version));
    }
    let key = DayKey::new(parse_key(content.key).ok_or("its key is no 64 hexadecimal digits")?);
    people.extend(content.people.into_iter().map(|person| (key.pseudonym(&person), person)));
    Ok(())
}

fn parse_key(hex: &str) -> Option<SecretBox<[u8; 32]>> {
    let mut secret = SecretBox::new(Box::new([0u8; 32]));
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (i, byte) in secret.expose_secret_mut().iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(secret)
}

/// The recipient of the identity in `file`, which is made if it is not there: for a trial, where the key lies beside
/// what it opens and protects from nobody who has the disk.
pub fn trial_recipient(file: &Path) -> Result<String, UnsealError> {
    let wrong = |reason: String| UnsealError::Identity { path: file.to_owned(), reason };
    match std::fs::read_to_string(file) {
        Ok(text) => {
            let line = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1"));
            let identity: age::x25519::Identity =
                line.ok_or("it holds no identity").and_then(str::parse).map_err(|reason| wrong(reason.into()))?;
            Ok(identity.to_public().to_string())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let identity = age::x25519::Identity::generate();
            let disk = super::disk::LocalDisk;
            let (Some(folder), Some(name)) = (file.parent(), file.file_name().and_then(|name| name.to_str())) else {
                return Err(wrong("it has no folder or no name".into()));
            };
            let line = identity.to_string();
            disk.create_dir(folder)
                .and_then(|()| write_aside(&disk, folder, name, format!("{}\n", line.expose_secret()).as_bytes()))
                .map_err(|error| wrong(error.to_string()))?;
            Ok(identity.to_public().to_string())
        }
        Err(error) => Err(wrong(error.to_string())),
    }
}
