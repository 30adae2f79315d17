//! The promises of the journal, on a disk that is stricter than a disk.

mod compression;
mod damage;
mod junk;
mod model;
mod promises;
mod rig;
mod shipping;
mod telling;
