//! The integration tests: the real program, real sockets, real files. Nothing is faked but the internet.
//!
//! Each test reads in the order in which things happen: browser connects → gateway answers → origin saw → log holds.
//! See `tests/README.md`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "all of it is test code")]

mod harness;

#[global_allocator]
static HEAP: harness::heap::Counting = harness::heap::Counting;

mod allocations;
mod antivirus;
mod authority;
mod clickhouse;
mod clients;
mod crowd;
mod docs;
mod durability;
mod ech;
mod guard;
mod inspection;
mod joins;
mod layering;
mod limits;
mod lists_update;
mod log;
mod names;
mod origins;
mod own_ground;
mod parent;
mod probes;
mod proof;
mod proxy;
mod quic;
mod refusals;
mod reload;
mod slow;
mod spool;
mod start;
mod streaming;
mod tidy;
mod transparent;
mod tunnels;
mod urgent;
mod whole_list;
