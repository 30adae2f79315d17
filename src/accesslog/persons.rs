//! Pseudonyms: HMAC-SHA-256(day key, person), first 128 bits.
//!
//! A day key lives for one UTC day at most and in memory only. Before a person's pseudonym is used for the first time,
//! the key and the person's name are sealed to the recipients, in the journal and in a file of their own
//! ([`super::sealed`]). Without recipients there are no pseudonyms, and so no persons in the log.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use age::secrecy::{ExposeSecret, SecretBox};
use aws_lc_rs::{hmac, rand};

use super::error::OpenError;
use super::log::Own;
use super::sealed::{self, DayPeople};
use super::settings::JournalSettings;
use crate::access::{PersonName, Pseudonym, Timestamp};

pub(super) struct Persons {
    recipients: Vec<age::x25519::Recipient>,
    roster: Mutex<Vec<PersonName>>,
    day: RwLock<Option<Day>>,
    /// When sealing failed last: it is not tried again at once.
    failed: Mutex<Option<Timestamp>>,
}

struct Day {
    day: i32,
    key: DayKey,
    /// Who is sealed with this key.
    people: HashSet<PersonName>,
    parts: u32,
}

const PAUSE: Duration = Duration::from_secs(1);

/// Both forms are wiped when dropped.
pub(super) struct DayKey {
    secret: SecretBox<[u8; 32]>,
    mac: hmac::Key,
}

impl DayKey {
    /// `None` if the system has no randomness.
    fn random() -> Option<DayKey> {
        let mut secret = SecretBox::new(Box::new([0; 32]));
        rand::fill(age::secrecy::ExposeSecretMut::expose_secret_mut(&mut secret)).ok()?;
        Some(DayKey::new(secret))
    }

    pub(super) fn new(secret: SecretBox<[u8; 32]>) -> DayKey {
        let mac = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret());
        DayKey { secret, mac }
    }

    pub(super) fn pseudonym(&self, person: &PersonName) -> Pseudonym {
        let tag = hmac::sign(&self.mac, person.as_str().as_bytes());
        let mut first = [0; 16];
        first.copy_from_slice(&tag.as_ref()[..16]); // a SHA-256 tag has 32
        Pseudonym(first)
    }

    pub(super) fn secret(&self) -> &[u8; 32] {
        self.secret.expose_secret()
    }
}

impl Persons {
    pub(super) fn new(settings: &JournalSettings) -> Result<Self, OpenError> {
        let parse = |text: &String| {
            text.parse().map_err(|reason: &str| OpenError::Recipient { recipient: text.clone(), reason: reason.into() })
        };
        Ok(Persons {
            recipients: settings.recipients.iter().map(parse).collect::<Result<_, _>>()?,
            roster: Mutex::default(),
            day: RwLock::default(),
            failed: Mutex::default(),
        })
    }

    pub(super) fn set_roster(&self, people: Vec<PersonName>) {
        *self.roster.lock().unwrap_or_else(PoisonError::into_inner) = people;
    }

    pub(super) fn pseudonym(&self, own: &Own, person: &PersonName) -> Option<Pseudonym> {
        if self.recipients.is_empty() {
            return None;
        }
        let now = own.clock.now();
        let known = self.day.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(day) = known.as_ref().filter(|day| day.day == now.day() && day.people.contains(person)) {
            return Some(day.key.pseudonym(person));
        }
        drop(known);
        self.seal(own, now, Some(person))
    }

    /// At midnight the old key goes and the new one is sealed, on the thread that syncs and not on the traffic's.
    pub(super) fn turn(&self, own: &Own) {
        let now = own.clock.now();
        let day = self.day.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|day| day.day);
        if day.is_some_and(|day| day != now.day()) {
            self.seal(own, now, None);
        }
    }

    /// Seals the roster, and `person` if it is not on it, for the day of `now`; makes the day's key if need be.
    fn seal(&self, own: &Own, now: Timestamp, person: Option<&PersonName>) -> Option<Pseudonym> {
        let mut day = self.day.write().unwrap_or_else(PoisonError::into_inner);
        if day.as_ref().is_some_and(|day| day.day != now.day()) {
            *day = None; // wiped, whatever comes next
        }
        if let Some(found) = day.as_ref().zip(person).filter(|(day, person)| day.people.contains(*person)) {
            return Some(found.0.key.pseudonym(found.1)); // another thread was faster
        }
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_some_and(|at| now >= at && now.since(at) < PAUSE) {
            return None;
        }
        let mut next = match day.take() {
            Some(day) => day,
            None => Day { day: now.day(), key: DayKey::random()?, people: HashSet::new(), parts: 0 },
        };
        let roster = self.roster.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let new: Vec<PersonName> =
            roster.into_iter().chain(person.cloned()).filter(|p| !next.people.contains(p)).collect();
        let sealed = self.seal_people(own, &mut next, new);
        *failed = sealed.is_err().then_some(now);
        if let Err(error) = sealed {
            tracing::error!(error, "today's key could not be sealed: persons are not recorded");
        }
        let pseudonym = person.filter(|person| next.people.contains(*person)).map(|person| next.key.pseudonym(person));
        *day = Some(next);
        pseudonym
    }

    fn seal_people(&self, own: &Own, day: &mut Day, mut people: Vec<PersonName>) -> Result<(), String> {
        people.sort_unstable();
        people.dedup();
        for part in sealed::parts(&people) {
            day.parts += 1;
            let content = DayPeople {
                college: own.settings.college.clone(),
                gateway: own.settings.gateway.clone(),
                lane: own.lane.number,
                day: day.day,
                people: part.to_vec(),
            };
            let bytes = content.seal(&day.key, &self.recipients)?;
            own.append_sealed(&bytes).map_err(|error| error.to_string())?;
            let name = sealed::file_name(day.day, own.lane.number, day.parts);
            sealed::keep(&*own.disk, &own.sealed_folder(), &name, &bytes).map_err(|error| error.to_string())?;
            day.people.extend(part.iter().cloned());
        }
        Ok(())
    }
}
