//! What an answer cannot hold because nobody wrote it down, in words.

use jiff::tz::TimeZone;

use crate::access::{GapRow, Stream, Timestamp};
use crate::store::GAPS_MAX;

/// The most gaps that are told one by one.
const TOLD_MAX: usize = 10;

/// A line for each gap: `12 accesses between 2026-11-23 10:04:12 and 10:06:00 were not written: …`. Times are local.
pub fn sentences(gaps: &[GapRow], zone: &TimeZone) -> Vec<String> {
    let mut lines: Vec<String> = gaps.iter().take(TOLD_MAX).map(|row| sentence(row, zone)).collect();
    if gaps.len() > TOLD_MAX {
        let more = gaps.len() - TOLD_MAX;
        let at_least = if gaps.len() == GAPS_MAX { "at least " } else { "" };
        let count: u64 = gaps.iter().skip(TOLD_MAX).map(|row| row.gap.count).sum();
        lines.push(format!(
            "and {at_least}{more} more gaps, of {count} rows together: narrow --from and --to to see them"
        ));
    }
    lines
}

fn sentence(row: &GapRow, zone: &TimeZone) -> String {
    let GapRow { gateway, stream, gap, .. } = row;
    let what = match (gap.count, stream) {
        (0, _) => format!("an unknown number of {stream}"),
        (1, Stream::Accesses) => "1 access".into(),
        (1, Stream::Connections) => "1 connection".into(),
        (count, _) => format!("{count} {stream}"),
    };
    let verb = if gap.count == 1 { "was" } else { "were" };
    let local = |at: Timestamp| zone.to_datetime(at.to_jiff());
    let (since, until) = (local(gap.since), local(gap.until));
    let shape = if since.date() == until.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    let (since, until) = (since.strftime("%Y-%m-%d %H:%M:%S"), until.strftime(shape));
    format!("{what} between {since} and {until} {verb} not written or are lost (gateway {gateway}): {}", gap.cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{CollegeCode, Gap, GatewayName};

    #[test]
    fn a_gap_says_since_when_until_when_how_many_and_why() {
        let zone = TimeZone::get("Europe/Paris").unwrap();
        let row = |since: &str, until: &str, count| GapRow {
            college: CollegeCode::parse("0131234A").unwrap(),
            gateway: GatewayName::parse("gw-1").unwrap(),
            lane: 1,
            stream: Stream::Accesses,
            gap: Gap {
                since: since.parse().unwrap(),
                until: until.parse().unwrap(),
                count,
                segment: 0,
                cause: "disk full".into(),
            },
        };
        let short = row("2026-11-23T09:04:12Z", "2026-11-23T09:06:00Z", 12);
        let long = row("2026-11-22T09:04:12Z", "2026-11-23T09:06:00Z", 0);
        assert_eq!(
            sentences(&[short.clone(), long], &zone),
            [
                "12 accesses between 2026-11-23 10:04:12 and 10:06:00 were not written or are lost (gateway gw-1): disk full",
                "an unknown number of accesses between 2026-11-22 10:04:12 and 2026-11-23 10:06:00 were not written or \
                 are lost (gateway gw-1): disk full",
            ]
        );
        let many = sentences(&vec![short; 15], &zone);
        assert_eq!(many.len(), 11);
        assert!(many[10].starts_with("and 5 more gaps, of 60 rows together"), "{}", many[10]);
    }
}
