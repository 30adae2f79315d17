//! Whether a fetched list is one that may replace what is in place.

use std::collections::BTreeMap;

use crate::lists::{Tally, Upstream};

/// A page of a web site, read as a list, is nearly all bad lines; UT1 has one bad line in a hundred thousand.
const BAD_LINES_PERCENT: u64 = 10;

/// Why a fetched list is not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Objection {
    /// It is no list, or not this one: nothing overrules that.
    Unfit(String),
    /// It changed more than lists do: a person may say that it is right.
    Changed(String),
}

/// `before`: entries of each list in place, where there is one.
pub fn objections(upstream: &Upstream, tally: &Tally, before: Option<&BTreeMap<String, u64>>) -> Vec<Objection> {
    let mut found = Vec::new();
    let entries = tally.entries();
    if tally.bad_lines * 100 > tally.lines * BAD_LINES_PERCENT {
        let what = format!("{} of {} lines cannot be used: this is no list", tally.bad_lines, tally.lines);
        found.push(Objection::Unfit(what));
    }
    if entries < upstream.minimum_entries {
        let what = format!("it has {entries} entries, `minimum_entries` is {}", upstream.minimum_entries);
        found.push(Objection::Unfit(what));
    }
    if let Some(before) = before {
        found.extend(changes(upstream, tally, before).into_iter().map(Objection::Changed));
    }
    found
}

fn changes(upstream: &Upstream, tally: &Tally, before: &BTreeMap<String, u64>) -> Vec<String> {
    let mut found = Vec::new();
    let (old, new) = (u128::from(before.values().sum::<u64>()), u128::from(tally.entries()));
    if new * 100 < old * u128::from(100 - upstream.maximum_loss_percent.min(100)) {
        let most = upstream.maximum_loss_percent;
        found.push(format!("it lost more than {most} % of its entries: {old} before, {new} now"));
    }
    if old > 0 && new * 100 > old * (100 + u128::from(upstream.maximum_growth_percent)) {
        let most = upstream.maximum_growth_percent;
        found.push(format!("it grew by more than {most} %: {old} entries before, {new} now"));
    }
    // A category that nobody fills any more leaves a hole in the policy, however small it is in the whole.
    let gone = before.iter().filter(|(name, entries)| **entries > 0 && tally.lists.get(*name).is_none_or(|n| *n == 0));
    let gone: Vec<String> = gone.map(|(name, entries)| format!("{name} ({entries})")).collect();
    if !gone.is_empty() && upstream.maximum_loss_percent < 100 {
        found.push(format!("lists that had entries are empty or gone: {}", gone.join(", ")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: &[u64], now: &[u64], bad_lines: u64) -> String {
        let upstream = Upstream {
            urls: Vec::new(),
            sha256: None,
            sums_url: None,
            minimum_entries: 10,
            maximum_loss_percent: 30,
            maximum_growth_percent: 200,
        };
        let lists = |counts: &[u64]| counts.iter().enumerate().map(|(i, n)| (format!("ut1/{i}"), *n)).collect();
        let lines = now.iter().sum::<u64>() + bad_lines;
        let tally = Tally { lists: lists(now), lines, bad_lines };
        let before: BTreeMap<String, u64> = lists(before);
        let found = objections(&upstream, &tally, Some(&before).filter(|before| !before.is_empty()));
        let words = found.iter().map(|objection| match objection {
            Objection::Unfit(what) if what.contains("no list") => "no-list",
            Objection::Unfit(_) => "small",
            Objection::Changed(what) if what.contains("lost") => "lost",
            Objection::Changed(what) if what.contains("grew") => "grew",
            Objection::Changed(_) => "gone",
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_list_that_changed_more_than_lists_do_is_objected_to_and_others_are_not() {
        for (before, now, bad, expected) in [
            (&[100][..], &[100][..], 0, ""),
            (&[100], &[70], 0, ""),
            (&[100], &[69], 0, "lost"),
            (&[100], &[300], 0, ""),
            (&[100], &[301], 0, "grew"),
            (&[1000, 1], &[1000], 0, "gone"),
            (&[1000, 1], &[1000, 0], 0, "gone"),
            (&[1000, 0], &[1000], 0, ""),
            (&[1000], &[1000, 5], 0, ""),
            (&[], &[9], 0, "small"),
            (&[], &[10], 0, ""),
            (&[100], &[], 0, "small lost gone"),
            (&[100], &[100], 11, ""),
            (&[100], &[100], 12, "no-list"),
            (&[], &[], 50, "no-list small"),
        ] {
            assert_eq!(check(before, now, bad), expected, "{before:?} → {now:?}, {bad} bad lines");
        }
    }
}
