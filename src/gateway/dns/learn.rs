//! Answers that nobody has yet: the first who asks asks for all, within bounds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::access::HostName;
use crate::dns::{Key, Rcode, Rewriting, Stored, Variant, alias, kind, rewrite, spelt_at_random};
use crate::metrics::METRICS;
use crate::origin::{Query, is_public};
use crate::tasks;

use super::super::Gateway;

/// Questions that are being asked at once: each has a socket for four seconds at most.
const ASKED_MAX: usize = 512;
/// Of one client: others have room whatever it asks for.
const ASKED_PER_CLIENT_MAX: usize = 128;
/// A failure is remembered this long, so that a name whose servers are down costs one question (RFC 9520 §3.2: 1 s to 5 min).
const FAILURE: Duration = Duration::from_secs(5);

type Learnt = Option<Arc<Stored>>;

/// The questions that are being asked.
#[derive(Debug, Default)]
pub struct Questions(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    by_key: HashMap<Box<[u8]>, watch::Receiver<Learnt>>,
    by_client: HashMap<IpAddr, usize>,
}

enum Joined {
    /// Somebody asks already.
    Waits(watch::Receiver<Learnt>),
    /// It is ours to ask.
    Asks(watch::Sender<Learnt>),
    Full,
}

impl Questions {
    fn join(&self, client: IpAddr, key: &Key) -> Joined {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = open.by_key.get(key.as_slice()) {
            return Joined::Waits(asked.clone());
        }
        let of_client = open.by_client.get(&client).copied().unwrap_or(0);
        if open.by_key.len() >= ASKED_MAX || of_client >= ASKED_PER_CLIENT_MAX {
            return Joined::Full;
        }
        let sender = watch::Sender::new(None);
        open.by_key.insert(key.as_slice().into(), sender.subscribe());
        open.by_client.insert(client, of_client + 1);
        Joined::Asks(sender)
    }

    fn leave(&self, client: IpAddr, key: &Key) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.by_key.remove(key.as_slice());
        if let Some(count) = open.by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                open.by_client.remove(&client);
            }
        }
    }
}

/// Leaves however the asking ends.
struct Place {
    gateway: Arc<Gateway>,
    client: IpAddr,
    key: Key,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gateway.names.questions.leave(self.client, &self.key);
    }
}

impl Gateway {
    /// The answer to a key that the cache does not hold; `None`: too much is being asked.
    pub(super) async fn learn(self: &Arc<Self>, client: IpAddr, key: Key, host: Option<HostName>) -> Learnt {
        let mut answer = match self.names.questions.join(client, &key) {
            Joined::Full => return None,
            Joined::Waits(answer) => answer,
            Joined::Asks(sender) => {
                let answer = sender.subscribe();
                let place = Place { gateway: self.clone(), client, key };
                // Its own task: who asked first may leave, the others still wait.
                tasks::spawn("question of names", async move {
                    let stored = place.gateway.known_or_asked(client, &place.key, host.as_ref()).await;
                    drop(place);
                    sender.send_replace(Some(stored));
                });
                answer
            }
        };
        // An error means that the task that asked is gone without an answer.
        let answer = answer.wait_for(Option::is_some).await.ok()?;
        answer.clone()
    }

    /// The answer may have come between our look into the cache and our turn to ask.
    async fn known_or_asked(self: &Arc<Self>, client: IpAddr, key: &Key, host: Option<&HostName>) -> Arc<Stored> {
        if let Some((stored, _)) = self.names.cache.find(key, Instant::now()) {
            return stored;
        }
        let under = self.snapshot.load_full();
        let stored = Arc::new(self.ask_for(client, key, host).await);
        // What was asked under older rules is not kept beyond them.
        if Arc::ptr_eq(&under, &self.snapshot.load_full()) {
            self.keep_answer(key, &stored);
        }
        stored
    }

    fn keep_answer(&self, key: &Key, stored: &Arc<Stored>) {
        let now = Instant::now();
        if stored.rcode() == Rcode::ServFail as u8 {
            METRICS.names_failed.add(1);
            self.names.cache.keep_for(key, stored.clone(), now, FAILURE);
        } else {
            self.names.cache.keep(key, stored.clone(), now);
        }
    }

    /// Asking for one name may lead to asking for another, once: so the type of it is named.
    fn ask_for<'a>(
        self: &'a Arc<Self>,
        client: IpAddr,
        key: &'a Key,
        host: Option<&'a HostName>,
    ) -> Pin<Box<dyn Future<Output = Stored> + Send + 'a>> {
        let variant = key.variant();
        let limits = crate::policy::NameLimits {
            safe_search: variant.safe,
            youtube: match (variant.safe, variant.moderate) {
                (false, _) => crate::policy::Youtube::Free,
                (true, true) => crate::policy::Youtube::Moderate,
                (true, false) => crate::policy::Youtube::Strict,
            },
            without_h3: variant.without_h3,
            quic: false,
        };
        match host.and_then(|host| self.names.safe.of(host, limits)) {
            Some(target) => Box::pin(self.ask_for_alias(client, key, target)),
            None => Box::pin(self.ask_upstream(key, host)),
        }
    }

    /// A name that is answered by another's addresses.
    async fn ask_for_alias(self: &Arc<Self>, client: IpAddr, key: &Key, target: &HostName) -> Stored {
        if !matches!(key.kind(), kind::A | kind::AAAA) {
            return alias(key, target, &[], Duration::MAX).unwrap_or_else(|_| Stored::failure(key));
        }
        let own = Key::of(target, key.kind(), Variant::default());
        let known = self.names.cache.find(&own, Instant::now()).map(|(stored, _)| stored);
        let answer = match known {
            Some(answer) => Some(answer),
            None => self.learn(client, own, Some(target.clone())).await,
        };
        let answer = answer.filter(|answer| answer.rcode() == Rcode::NoError as u8);
        let composed = answer.and_then(|answer| alias(key, target, &answer.addresses, answer.ttl).ok());
        composed.unwrap_or_else(|| Stored::failure(key))
    }

    async fn ask_upstream(&self, key: &Key, host: Option<&HostName>) -> Stored {
        let snapshot = self.snapshot.load_full();
        let config = &snapshot.config;
        let zone = host.and_then(|host| config.dns.zone(host));
        let servers = zone.map_or(&self.names.upstream, |zone| &zone.servers);
        let mut chance = [0; 32];
        // aws-lc's generator does not fail once it is seeded; were it to, the letters would be small.
        let _ = aws_lc_rs::rand::fill(&mut chance);
        let variant = key.variant();
        let section = spelt_at_random(&key.section(), &chance);
        let query = Query { section, dnssec: variant.dnssec, unchecked: variant.unchecked };
        let private = zone.is_some() || host.is_some_and(|host| config.dns.may_be_private(host));
        let rewriting = Rewriting { without_h3: variant.without_h3, private };
        let asked = self.names.servers.ask(servers, &query, config.resolver.timeout).await;
        let read = asked.map(|wire| rewrite(&wire, rewriting, is_public));
        match read {
            Ok(Ok(stored)) => {
                self.names.ech.remember(&stored.ech, stored.ttl, Instant::now());
                if stored.blocked {
                    tracing::debug!("an answer from outside led into a private network");
                }
                stored
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "what a name server said is no answer");
                Stored::failure(key)
            }
            Err(error) => {
                tracing::debug!(%error, "a name could not be asked for");
                Stored::failure(key)
            }
        }
    }
}
