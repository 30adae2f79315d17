//! The story of one source: mirrors, sum, unpack, count, judge, put in place.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use url::Url;

use crate::clock::Clock;
use crate::lists::{Format, Source, Tally, Upstream};

use super::fetch::{Body, Fetched, Fetcher, Progress};
use super::place::{Draft, Place, Version};
use super::receipt::{Receipt, Validators};
use super::sanity::{self, Objection};
use super::unpack::{UnpackError, UnpackLimits, root_of, unpack};
use super::{UpdateError, sums};

/// Updates sources, one after the other.
pub struct Updater<'a> {
    pub fetcher: &'a Fetcher,
    /// The folder of the downloaded lists; the caller holds its lock.
    pub lists: &'a Path,
    pub clock: Clock,
    /// A person says that a list which changed much is right.
    pub accept_change: bool,
    /// Fetched also where nothing is newer.
    pub force: bool,
}

/// How it ended for one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A new version is in place.
    Updated,
    /// A mirror has nothing newer.
    Unchanged,
    /// The version before is in place again.
    Restored,
    /// Lists came, and none may be taken.
    Refused,
    /// No mirror gave anything.
    Unreachable,
    /// Our own disk.
    Failed,
}

/// What happened to one source. The receipt is that of the list which is in place now.
#[derive(Debug)]
pub struct Report {
    pub source: String,
    pub ending: Ending,
    pub receipt: Option<Receipt>,
    /// Before the update, where there was a list.
    pub entries_before: Option<u64>,
    /// One line for each mirror that gave nothing, or a word on what is unusual.
    pub why: Vec<String>,
}

/// What is at work, for who watches.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    Asking(&'a Url),
    Fetching(Progress),
    Unpacking,
    Counting,
}

enum Taken {
    New(Receipt),
    Unchanged(Receipt, Option<String>),
}

impl Updater<'_> {
    /// Updates one source; whatever goes wrong, the list in place stays.
    pub async fn update(&self, source: &Source, upstream: &Upstream, watch: &mut dyn FnMut(Step<'_>)) -> Report {
        let place = Place::of(self.lists, source);
        let current = place.current();
        let before = self.before(source, current.as_ref());
        let mut report = Report {
            source: source.name.clone(),
            ending: Ending::Unreachable,
            receipt: current.as_ref().and_then(|version| version.receipt.clone()),
            entries_before: before.as_ref().map(|lists| lists.values().sum()),
            why: Vec::new(),
        };
        for url in &upstream.urls {
            watch(Step::Asking(url));
            let mirror = Mirror { updater: self, source, upstream, place: &place, current: current.as_ref(), url };
            match mirror.take(before.as_ref(), watch).await {
                Ok(Taken::New(receipt)) => {
                    (report.ending, report.receipt) = (Ending::Updated, Some(receipt));
                    return report;
                }
                Ok(Taken::Unchanged(receipt, note)) => {
                    (report.ending, report.receipt) = (Ending::Unchanged, Some(receipt));
                    report.why.extend(note);
                    return report;
                }
                Err(error) => {
                    report.why.push(format!("{url}: {error}"));
                    match error {
                        UpdateError::Unreachable(_) => {}
                        UpdateError::Unfit(_) => report.ending = Ending::Refused,
                        // Another mirror would meet the same disk.
                        UpdateError::Disk { .. } => {
                            report.ending = Ending::Failed;
                            return report;
                        }
                    }
                }
            }
        }
        report
    }

    /// Entries of each list in place, also of one that was put there by hand.
    fn before(&self, source: &Source, current: Option<&Version>) -> Option<BTreeMap<String, u64>> {
        if let Some(receipt) = current.and_then(|version| version.receipt.as_ref()) {
            return Some(receipt.lists.clone());
        }
        source.present.then(|| Tally::of(source, &source.path).ok().map(|tally| tally.lists)).flatten()
    }

    /// Puts the version before in place again. What was set aside is not taken again until something newer comes.
    pub fn restore(&self, source: &Source) -> Result<Report, UpdateError> {
        let place = Place::of(self.lists, source);
        place.clean()?;
        let (Some(current), Some(other)) = (place.current(), place.before()) else {
            return Err(UpdateError::Unfit(format!("`{}` has no version before the one in place", source.name)));
        };
        let mut receipt = match &other.receipt {
            Some(receipt) => receipt.clone(),
            None => self.receipt_by_hand(source, &other)?,
        };
        if let Some(aside) = &current.receipt {
            receipt.set_aside = Some(aside.sha256.clone());
            receipt.validators = aside.validators.clone();
        }
        receipt.before = Some(current.number);
        other.keep(&receipt)?;
        place.point_to(&other)?;
        Ok(Report {
            source: source.name.clone(),
            ending: Ending::Restored,
            entries_before: current.receipt.as_ref().map(Receipt::entries),
            receipt: Some(receipt),
            why: Vec::new(),
        })
    }

    fn receipt_by_hand(&self, source: &Source, version: &Version) -> Result<Receipt, UpdateError> {
        let tally = Tally::of(source, &version.list()).map_err(UpdateError::disk(version.list()))?;
        let now = self.clock.now();
        Ok(Receipt {
            source: source.name.clone(),
            url: "put there by hand".to_owned(),
            fetched: now,
            checked: now,
            validators: Validators::default(),
            bytes: 0,
            sha256: String::new(),
            lists: tally.lists,
            bad_lines: tally.bad_lines,
            before: None,
            set_aside: None,
        })
    }
}

/// One try at one mirror.
struct Mirror<'a> {
    updater: &'a Updater<'a>,
    source: &'a Source,
    upstream: &'a Upstream,
    place: &'a Place,
    current: Option<&'a Version>,
    url: &'a Url,
}

impl Mirror<'_> {
    async fn take(
        &self,
        before: Option<&BTreeMap<String, u64>>,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Taken, UpdateError> {
        if let Some((version, receipt)) = self.pinned() {
            return self.unchanged(version, receipt, None);
        }
        let draft = self.place.begin()?;
        let progress = &mut |progress| watch(Step::Fetching(progress));
        let fetched = self.updater.fetcher.fetch(self.url, self.condition(), &draft.archive(), progress).await?;
        let body = match (fetched, self.known()) {
            (Fetched::Body(body), _) => body,
            (Fetched::Unchanged, Some((version, receipt))) => return self.unchanged(version, receipt, None),
            (Fetched::Unchanged, None) => return Err(UpdateError::Unfit("it answers a question not asked".to_owned())),
        };
        self.check_sum(&body).await?;
        if let Some((version, receipt)) = self.known() {
            let is_aside = receipt.set_aside.as_ref() == Some(&body.sums.sha256) && !self.updater.accept_change;
            if is_aside || receipt.sha256 == body.sums.sha256 && !self.updater.force {
                return self.unchanged(version, receipt, Some(body.validators));
            }
        }
        watch(Step::Unpacking);
        self.unpack(&draft, &body)?;
        watch(Step::Counting);
        let tally = Tally::of(self.source, &draft.list()).map_err(UpdateError::disk(draft.list()))?;
        self.judge(&tally, before, &body)?;
        let receipt = self.receipt(body, tally);
        Ok(Taken::New(self.place.install(draft, receipt)?))
    }

    /// The version in place, where something is known of it.
    fn known(&self) -> Option<(&Version, &Receipt)> {
        let version = self.current?;
        Some((version, version.receipt.as_ref()?))
    }

    /// What is pinned and in place needs nobody to be asked.
    fn pinned(&self) -> Option<(&Version, &Receipt)> {
        let pinned = super::hex(&self.upstream.sha256?);
        self.known().filter(|(_, receipt)| receipt.sha256 == pinned && !self.updater.force)
    }

    fn condition(&self) -> Option<&Validators> {
        let (_, receipt) = self.known()?;
        let wants_aside = self.updater.accept_change && receipt.set_aside.is_some();
        let asks_all = self.updater.force || wants_aside || receipt.validators.url != self.url.as_str();
        (!asks_all).then_some(&receipt.validators)
    }

    fn unchanged(
        &self,
        version: &Version,
        receipt: &Receipt,
        validators: Option<Validators>,
    ) -> Result<Taken, UpdateError> {
        let mut receipt = Receipt { checked: self.updater.clock.now(), ..receipt.clone() };
        receipt.validators = validators.unwrap_or(receipt.validators);
        version.keep(&receipt)?;
        let note = receipt.set_aside.as_ref().map(|_| {
            "the version before was restored, and nothing newer than what was set aside has come; \
             `--accept-change` takes it again"
                .to_owned()
        });
        Ok(Taken::Unchanged(receipt, note))
    }

    async fn check_sum(&self, body: &Body) -> Result<(), UpdateError> {
        let mut expected = Vec::new();
        if let Some(pinned) = &self.upstream.sha256 {
            expected.push(sums::Sum::Sha256(super::hex(pinned)));
        }
        if let Some(url) = &self.upstream.sums_url {
            let text = self.updater.fetcher.text(url).await?;
            let name = self.url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
            let sum = sums::published(&text, name);
            expected.push(sum.ok_or_else(|| UpdateError::Unfit(format!("{url} has no sum for `{name}`")))?);
        }
        match expected.iter().find(|sum| !body.sums.agree_with(sum)) {
            None => Ok(()),
            Some(sum) => {
                Err(UpdateError::Unfit(format!("its sum is not the published one: {:?}, not {sum:?}", body.sums)))
            }
        }
    }

    fn unpack(&self, draft: &Draft, body: &Body) -> Result<(), UpdateError> {
        let archive = File::open(draft.archive()).map_err(UpdateError::disk(draft.archive()))?;
        let is_folder = self.source.format == Format::SquidGuard;
        let into = if is_folder { draft.tree() } else { draft.list() };
        unpack(archive, self.source.format, &into, &UnpackLimits::default()).map_err(|error| match error {
            UnpackError::Disk { path, error } => UpdateError::Disk { path, error },
            refused => UpdateError::Unfit(refused.to_string()),
        })?;
        if is_folder {
            let root = root_of(&into).map_err(UpdateError::disk(&into))?;
            fs::rename(&root, draft.list()).map_err(UpdateError::disk(root))?;
        } else if let Some(date) = body.validators.last_modified.as_deref().and_then(seconds_of) {
            // The day of a list is that of its file; one that cannot be set is that of today.
            let date = UNIX_EPOCH + Duration::from_secs(date);
            let _ = File::options().write(true).open(&into).and_then(|file| file.set_modified(date));
        }
        Ok(())
    }

    fn judge(&self, tally: &Tally, before: Option<&BTreeMap<String, u64>>, body: &Body) -> Result<(), UpdateError> {
        let mut objections = sanity::objections(self.upstream, tally, before);
        if let Some((_, receipt)) = self.known()
            && is_older(&body.validators, &receipt.validators)
        {
            let what = "it is older than the list in place: this mirror is behind";
            objections.push(Objection::Changed(what.to_owned()));
        }
        let (mut unfit, mut changed) = (Vec::new(), Vec::new());
        for objection in objections {
            match objection {
                Objection::Unfit(what) => unfit.push(what),
                Objection::Changed(what) => changed.push(what),
            }
        }
        if !unfit.is_empty() {
            return Err(UpdateError::Unfit(unfit.join("; ")));
        }
        if !changed.is_empty() && !self.updater.accept_change {
            let name = &self.source.name;
            let help = format!("if that is right: `ecluse lists update --accept-change {name}`");
            return Err(UpdateError::Unfit(format!("{}\n  help: {help}", changed.join("; "))));
        }
        Ok(())
    }

    fn receipt(&self, body: Body, tally: Tally) -> Receipt {
        let now = self.updater.clock.now();
        Receipt {
            source: self.source.name.clone(),
            url: self.url.to_string(),
            fetched: now,
            checked: now,
            validators: body.validators,
            bytes: body.bytes,
            sha256: body.sums.sha256,
            lists: tally.lists,
            bad_lines: tally.bad_lines,
            before: None,
            set_aside: None,
        }
    }
}

/// Whether both say their day, and another mirror's is the earlier. The mirror itself may go back: it is the source.
fn is_older(new: &Validators, old: &Validators) -> bool {
    let day = |validators: &Validators| validators.last_modified.as_deref().and_then(seconds_of);
    new.url != old.url && matches!((day(new), day(old)), (Some(new), Some(old)) if new < old)
}

/// RFC 9110 §5.6.7.
fn seconds_of(date: &str) -> Option<u64> {
    let zoned = jiff::fmt::rfc2822::parse(date).ok()?;
    u64::try_from(zoned.timestamp().as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_http_is_read() {
        assert_eq!(seconds_of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds_of("yesterday"), None);
    }

    #[test]
    fn another_mirror_that_is_behind_is_seen_and_the_same_one_may_go_back() {
        let says = |url: &str, day: &str| Validators {
            url: url.to_owned(),
            etag: None,
            last_modified: Some(format!("{day} Nov 1994 08:49:37 GMT")),
        };
        assert!(is_older(&says("b", "Sat, 05"), &says("a", "Sun, 06")));
        assert!(!is_older(&says("a", "Sat, 05"), &says("a", "Sun, 06")));
        assert!(!is_older(&says("b", "Sun, 06"), &says("a", "Sat, 05")));
        assert!(!is_older(&Validators::default(), &says("a", "Sat, 05")));
    }
}
