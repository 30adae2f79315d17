//! The journal's way to the store, on a thread and a runtime of its own: traffic never waits for it.

use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::accesslog::proof::{HandOn, Proofs};
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
pub fn start(config: &Config, log: &AccessLog, proofs: &Proofs) -> Shipping {
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
    let settings = ShipSettings { proofs: Some(proofs.clone()), ..ShipSettings::of(config) };
    let mut hand_on = HandOn::new(proofs.clone(), config.proof.witness.clone());
    let (own, log) = (store.clone(), log.clone());
    let work = move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "the shipper does not start; records wait in the journal"),
        };
        runtime.block_on(async {
            let shipped = ship(log, &own, settings, stopped);
            // Ends with the shipping; what it had not handed on then goes now, or with the next start.
            tokio::select! {
                () = shipped => {}
                () = hand_on_for_ever(&mut hand_on, &own) => {}
            }
            hand_on_now(&mut hand_on, &own).await;
        });
    };
    let thread = std::thread::Builder::new().name("shipper".to_owned()).spawn(work);
    if let Err(error) = &thread {
        tracing::error!(%error, "the shipper does not start; records wait in the journal");
    }
    Shipping { stop, thread: thread.ok(), store: Some(store) }
}

/// Often enough that an export right after a segment's end has its proof.
const HAND_ON_EVERY: Duration = Duration::from_secs(1);

/// What keeps roots back is said no more often.
const HAND_ON_AGAIN: Duration = Duration::from_secs(30);

async fn hand_on_for_ever(hand_on: &mut HandOn, store: &AnyStore) {
    let mut pause = HAND_ON_EVERY;
    loop {
        tokio::time::sleep(pause).await;
        pause = if hand_on_now(hand_on, store).await { HAND_ON_EVERY } else { HAND_ON_AGAIN };
    }
}

/// Whether everything is handed on.
async fn hand_on_now(hand_on: &mut HandOn, store: &AnyStore) -> bool {
    let done = hand_on.turn(store).await;
    if let Err(error) = &done {
        tracing::error!(%error, "signed roots wait in the state directory");
    }
    done.is_ok()
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
