//! The journal of accesses.

mod batch;
mod budget;
mod disk;
mod error;
mod frame;
mod header;
mod journaled;
mod lane;
mod ledger;
mod log;
mod open;
mod persons;
mod reading;
mod recovery;
mod sealed;
mod settings;
mod ship;
mod stream;
mod writer;

pub use error::{AppendError, OpenError, ShipError};
pub use frame::Gap;
pub use log::{AccessLog, OpenAccess, OpenConnection};
pub use open::Open;
pub use sealed::{UnsealError, Unsealed, folder as sealed_folder, trial_recipient, unseal};
pub use settings::{JournalSettings, ShipSettings};
pub use ship::{Shipped, ship, ship_dead_lanes};

#[cfg(test)]
mod tests;
