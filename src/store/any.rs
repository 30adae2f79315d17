//! The store that a configuration names: either of the two, under one type.

use super::{
    Batch, ChainName, ClickHouse, Embedded, Filter, Found, ProofStore, Query, Question, ReadError, RecordStore,
    RootsAsked, StoreError, Tally, clickhouse, embedded,
};
use crate::access::GapRow;
use crate::access::proof::{Hash, Sealed};
use crate::config::{Config, StoreKind};

/// One of the stores.
#[derive(Clone)]
pub enum AnyStore {
    Embedded(Embedded),
    ClickHouse(ClickHouse),
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Embedded(#[from] embedded::OpenError),
    #[error(transparent)]
    ClickHouse(#[from] clickhouse::OpenError),
}

impl AnyStore {
    /// Opens the configured store to write and read.
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        match config.store.kind {
            StoreKind::Embedded => Ok(AnyStore::Embedded(Embedded::open(&config.store.directory)?)),
            StoreKind::ClickHouse => AnyStore::server(config),
        }
    }

    /// Opens the configured store to read.
    pub fn open_read_only(config: &Config) -> Result<Self, OpenError> {
        match config.store.kind {
            StoreKind::Embedded => Ok(AnyStore::Embedded(Embedded::open_read_only(&config.store.directory))),
            StoreKind::ClickHouse => AnyStore::server(config),
        }
    }

    fn server(config: &Config) -> Result<Self, OpenError> {
        Ok(AnyStore::ClickHouse(ClickHouse::open(&config.store.server, &config.gateway)?))
    }

    /// Stores rows that no batch of a journal brings any more, each once: those that are there already stay as they are.
    pub async fn bring_back(&self, batch: &Batch) -> Result<(), StoreError> {
        match self {
            AnyStore::Embedded(store) => store.insert(batch).await,
            AnyStore::ClickHouse(store) => store.bring_back(batch).await,
        }
    }

    /// The embedded one, where it is that.
    pub fn embedded(&self) -> Option<&Embedded> {
        match self {
            AnyStore::Embedded(store) => Some(store),
            AnyStore::ClickHouse(_) => None,
        }
    }
}

macro_rules! either {
    ($this:expr, $store:ident => $call:expr) => {
        match $this {
            AnyStore::Embedded($store) => $call.await,
            AnyStore::ClickHouse($store) => $call.await,
        }
    };
}

impl RecordStore for AnyStore {
    async fn insert(&self, batch: &Batch) -> Result<(), StoreError> {
        either!(self, store => store.insert(batch))
    }

    async fn confirm(&self, batch: &Batch) -> Result<u64, StoreError> {
        either!(self, store => store.confirm(batch))
    }

    async fn search(&self, query: &Query) -> Result<Found, ReadError> {
        either!(self, store => store.search(query))
    }

    async fn gaps(&self, filter: &Filter) -> Result<Vec<GapRow>, ReadError> {
        either!(self, store => store.gaps(filter))
    }

    async fn stats(&self, question: &Question) -> Result<Vec<Tally>, ReadError> {
        either!(self, store => store.stats(question))
    }
}

impl ProofStore for AnyStore {
    async fn keep(&self, sealed: &[Sealed]) -> Result<(), StoreError> {
        either!(self, store => store.keep(sealed))
    }

    async fn newest(&self, chain: &ChainName) -> Result<Option<(u64, Hash)>, ReadError> {
        either!(self, store => store.newest(chain))
    }

    async fn roots(&self, asked: &RootsAsked) -> Result<Vec<Sealed>, ReadError> {
        either!(self, store => store.roots(asked))
    }
}
