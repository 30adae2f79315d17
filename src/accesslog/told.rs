//! What the shipper has to tell: gaps about damaged segments and about batches, in their words, and how one that was told
//! already is known again.

use super::aside::possible;
use super::reading::Damage;
use crate::access::{Gap, Row, Timestamp};
use crate::store::BatchToken;

/// Records are lost, of which nothing is known but that they were between two instants.
pub(super) fn damage(damage: &Damage, since: Timestamp, until: Timestamp) -> Gap {
    let cause = format!("{} bytes of segment {} of the journal cannot be read", damage.bytes, damage.segment);
    Gap { since, until: until.max(since), count: damage.frames.unwrap_or(0), segment: damage.segment, cause }
}

/// Rows of a batch, which ends in `segment`, are in quarantine. They were written between two instants, whatever they say.
pub(super) fn quarantine(
    token: &BatchToken,
    segment: u32,
    rows: &[Row],
    (since, until): (Timestamp, Timestamp),
) -> Gap {
    let mut days: Vec<String> = rows.iter().map(|row| Timestamp::start_of_day(row.start().day()).to_string()).collect();
    days.sort_unstable();
    let date = |text: Option<&String>| text.and_then(|text| text.split('T').next()).unwrap_or_default().to_owned();
    let (first, last) = (date(days.first()), date(days.last()));
    let cause = format!("{}: in quarantine for their dates, {first} to {last}: the clock was wrong", subject(token));
    let since = possible(since.min(until));
    Gap { since, until: possible(until), count: rows.len() as u64, segment, cause }
}

/// The store refuses a batch, which ends in `segment`.
pub(super) fn refusal(token: &BatchToken, segment: u32, rows: &[Row], now: Timestamp, why: &str) -> Gap {
    let since = rows.iter().map(Row::start).min().unwrap_or(now);
    let until = rows.iter().map(Row::start).max().unwrap_or(now);
    let cause = format!("{}: refused by the store, set aside in `poison`: {why}", subject(token));
    Gap { since: possible(since), until: possible(until), count: rows.len() as u64, segment, cause }
}

fn subject(token: &BatchToken) -> String {
    format!("rows {}-{}", token.first, token.last)
}

/// Of which batch a gap tells, if it is of one.
pub(super) fn batch_of(gap: &Gap) -> Option<&str> {
    gap.cause.starts_with("rows ").then(|| gap.cause.split(':').next()).flatten()
}

/// Which damaged segment a gap tells of, if it is of one.
pub(super) fn damage_of(gap: &Gap) -> Option<u32> {
    (gap.segment > 0 && batch_of(gap).is_none()).then_some(gap.segment)
}

/// Whether two gaps tell of the same.
pub(super) fn is_same(a: &Gap, b: &Gap) -> bool {
    a.segment == b.segment && batch_of(a) == batch_of(b)
}
