//! The store that a configuration names: either of the two, under one type.

use super::{Batch, ClickHouse, Embedded, Filter, Found, Query, Question, ReadError, RecordStore, StoreError, Tally};
use super::{clickhouse, embedded};
use crate::access::GapRow;
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
