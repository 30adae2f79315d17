//! What an answer does not hold yet.

use std::fmt;

use jiff::tz::TimeZone;

use crate::access::{GatewayName, Timestamp};

/// Rows that are written in a journal and not yet in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Every row that ended before is in the store; `None` where that is not known.
    pub complete_up_to: Option<Timestamp>,
    /// Gateways with rows on the way.
    pub waiting: Vec<(GatewayName, u64)>,
}

impl Pending {
    /// Nothing is on the way.
    pub fn nothing(now: Timestamp) -> Self {
        Pending { complete_up_to: Some(now), waiting: Vec::new() }
    }

    /// The last line of every answer: `complete up to 10:04:12; 3 rows of gateway gw-1 not yet here`. The time is local, and
    /// has its date when that is not today.
    pub fn sentence(&self, now: Timestamp, zone: &TimeZone) -> impl fmt::Display {
        let mut sentence = match self.complete_up_to {
            None => "not known to be complete".to_owned(),
            Some(at) => {
                let (at, today) = (zone.to_datetime(at.to_jiff()), zone.to_datetime(now.to_jiff()).date());
                let shape = if at.date() == today { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
                format!("complete up to {}", at.strftime(shape))
            }
        };
        for (gateway, rows) in &self.waiting {
            sentence.push_str(&format!("; {rows} rows of gateway {gateway} not yet here"));
        }
        sentence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_it_does_not_hold_yet() {
        let now: Timestamp = "2026-11-23T09:04:12Z".parse().unwrap();
        let zone = TimeZone::get("Europe/Paris").unwrap();
        let sentence = |pending: Pending| pending.sentence(now, &zone).to_string();
        assert_eq!(sentence(Pending::nothing(now)), "complete up to 10:04:12");
        let yesterday = "2026-11-22T09:04:12Z".parse().ok();
        let waiting = vec![(GatewayName::parse("gw-1").unwrap(), 3)];
        assert_eq!(
            sentence(Pending { complete_up_to: yesterday, waiting }),
            "complete up to 2026-11-22 10:04:12; 3 rows of gateway gw-1 not yet here"
        );
        assert_eq!(sentence(Pending { complete_up_to: None, waiting: vec![] }), "not known to be complete");
    }
}
