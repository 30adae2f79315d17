//! The journal's way to the store, on a thread and a runtime of its own: traffic never waits for it.

use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::accesslog::{AccessLog, ShipSettings, ship};
use crate::config::{Config, StoreKind};
use crate::store::AnyStore;

/// The shipper at work.
pub struct Shipping {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
    store: Option<AnyStore>,
}

/// Starts shipping to the store of this machine, or to the server of the centre.
pub fn start(config: &Config, log: &AccessLog) -> Shipping {
    let (stop, stopped) = watch::channel(false);
    if config.store.kind == StoreKind::Embedded && !config.role.central {
        return Shipping { stop, thread: None, store: None };
    }
    let store = match AnyStore::open(config) {
        Ok(store) => store,
        Err(error) => {
            tracing::error!(%error, "the store cannot be opened; records wait in the journal");
            return Shipping { stop, thread: None, store: None };
        }
    };
    let settings = ShipSettings::of(config);
    let (own, log) = (store.clone(), log.clone());
    let work = move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "the shipper does not start; records wait in the journal"),
        };
        runtime.block_on(ship(log, &own, settings, stopped));
    };
    let thread = std::thread::Builder::new().name("shipper".to_owned()).spawn(work);
    if let Err(error) = &thread {
        tracing::error!(%error, "the shipper does not start; records wait in the journal");
    }
    Shipping { stop, thread: thread.ok(), store: Some(store) }
}

impl Shipping {
    /// The store that this machine ships to, where it does.
    pub fn store(&self) -> Option<AnyStore> {
        self.store.clone()
    }

    /// Lets it bring what is left into the store.
    pub async fn finish(self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the shipper panicked; what it had not shipped waits in the journal");
            }
        }
    }
}
