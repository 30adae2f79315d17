//! What clients are to be told on their next page: a download that broke off says nothing by itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::finding::Refused;
use crate::access::{Client, PersonName, Timestamp};

/// Who has asked for no page by then has forgotten the download.
const KEPT: Duration = Duration::from_secs(600);
/// One for each client; beyond so many clients, the oldest is forgotten.
const MOST: usize = 1024;

/// One download that was broken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub host: String,
    pub refused: Refused,
    pub at: Timestamp,
}

/// A device, and the person on it where that is known: another one at the same address is told nothing.
type Whom = (IpAddr, Option<PersonName>);

/// The last one of each client that has not been told yet.
#[derive(Debug, Default)]
pub struct Notices(Mutex<HashMap<Whom, Notice>>);

impl Notices {
    pub fn leave(&self, client: &Client, notice: Notice) {
        let mut notices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notices.len() >= MOST
            && let Some(oldest) = notices.iter().min_by_key(|(_, notice)| notice.at).map(|(whom, _)| whom.clone())
        {
            notices.remove(&oldest);
        }
        notices.insert(whom(client), notice);
    }

    /// Takes what this client is to be told, if anything.
    pub fn take(&self, client: &Client, now: Timestamp) -> Option<Notice> {
        let mut notices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notices.is_empty() {
            return None;
        }
        notices.remove(&whom(client)).filter(|notice| notice.at >= now.minus(KEPT))
    }
}

fn whom(client: &Client) -> Whom {
    (client.address, client.person.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::antivirus::Finding;

    #[test]
    fn a_client_is_told_once_and_nobody_else_is() {
        let notices = Notices::default();
        let start: Timestamp = "2026-11-23T08:15:00Z".parse().unwrap();
        let client = |last: u8| Client::unknown(IpAddr::from([10, 0, 0, last]), 4000);
        let notice = |host: &str| Notice { host: host.into(), refused: Refused::new(Finding::Bomb), at: start };
        notices.leave(&client(1), notice("a.test"));
        notices.leave(&client(1), notice("b.test"));
        notices.leave(&client(3), notice("c.test"));
        assert_eq!(notices.take(&client(2), start), None);
        assert_eq!(notices.take(&client(1), start).unwrap().host, "b.test");
        assert_eq!(notices.take(&client(1), start), None);
        assert_eq!(notices.take(&client(3), start.plus(KEPT + Duration::from_secs(1))), None);
        for i in 0..2 * MOST as u32 {
            let client = Client::unknown(IpAddr::from(i.to_be_bytes()), 1);
            notices.leave(&client, notice("d.test"));
        }
        assert_eq!(notices.0.lock().unwrap().len(), MOST);
    }
}
