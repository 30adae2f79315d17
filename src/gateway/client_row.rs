//! Which row of the stream of connections an access of a client's connection names when we answer it ourselves.
//!
//! A client's connection has a row for each origin that it is joined with, or one of its own where there was none. That
//! one is written at the end, and so its number is promised to the first access that we answer. The first origin's row
//! takes the number if one follows: nothing is written for it that would not be written anyway.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::accesslog::{AccessLog, PromisedConnection};

#[derive(Debug, Default)]
pub struct ClientRow(Mutex<Stands>);

/// What stands for a client's connection.
#[derive(Debug, Default)]
enum Stands {
    /// No row yet.
    #[default]
    Nothing,
    /// No row yet, and accesses name it.
    Promised(PromisedConnection),
    /// The row of this sequence.
    Written(u64),
    /// A help-line's row, which nothing joins, or one that a gap counts.
    Nameless,
}

impl ClientRow {
    /// Inside a tunnel: the tunnel's row, `0` where nothing may join it.
    pub fn of_tunnel(sequence: u64) -> Self {
        ClientRow(Mutex::new(if sequence == 0 { Stands::Nameless } else { Stands::Written(sequence) }))
    }

    /// The sequence by which an access names it. Never asked for a help-line's.
    pub fn sequence(&self, log: &AccessLog) -> u64 {
        let mut stands = self.stands();
        match &*stands {
            Stands::Written(sequence) => *sequence,
            Stands::Promised(promised) => promised.sequence(),
            Stands::Nothing | Stands::Nameless => {
                let promised = log.promise_connection();
                let sequence = promised.sequence();
                *stands = Stands::Promised(promised);
                sequence
            }
        }
    }

    /// The number for the row of an origin's connection, where one was promised.
    pub fn take_promised(&self) -> Option<PromisedConnection> {
        let mut stands = self.stands();
        match std::mem::replace(&mut *stands, Stands::Nameless) {
            Stands::Promised(promised) => Some(promised),
            other => {
                *stands = other;
                None
            }
        }
    }

    /// An origin's connection carries the client's into the log; `0`: in a row that nothing joins.
    pub fn is_written(&self, sequence: u64) {
        let mut stands = self.stands();
        match (&*stands, sequence) {
            (Stands::Nothing, 0) => *stands = Stands::Nameless,
            (_, 0) => {}
            (_, sequence) => *stands = Stands::Written(sequence),
        }
    }

    /// The number of the row that is still to be written when the connection is over; `None`: there is one.
    pub fn left(&self, log: &AccessLog) -> Option<PromisedConnection> {
        match std::mem::replace(&mut *self.stands(), Stands::Nameless) {
            Stands::Nothing => Some(log.promise_connection()),
            Stands::Promised(promised) => Some(promised),
            Stands::Written(_) | Stands::Nameless => None,
        }
    }

    fn stands(&self) -> MutexGuard<'_, Stands> {
        // What is inside is whole whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
