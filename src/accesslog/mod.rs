//! The journal of accesses: what is appended survives the death of the process, and reaches the store exactly once.
//!
//! It knows records, a disk and a [`RecordStore`](crate::store::RecordStore); it does not know who makes the records, nor
//! who reads the store. Type to read first: [`AccessLog`]. The rest of this page is the specification of the format.
//!
//! # The spool
//!
//! | path | holds |
//! |---|---|
//! | `lock` | held while a lane is made |
//! | `next-lane` | the next lane's number, in decimal: no number is ever given twice |
//! | `lane-0000000007/` | one **lane**: what one process wrote, both streams |
//! | `…/lock` | held by the process that writes the lane, or that ships it after that one's death |
//! | `…/owner` | whose rows these are ([`owner`]) |
//! | `…/accesses-00000001.seg` | a **segment** of a stream |
//! | `…/accesses.ledger` | which batches were cut from the stream, and which the store has ([`ledger`]) |
//! | `poison/` | batches that the store refuses for good, each as one segment ([`aside`]) |
//! | `quarantine/` | rows of a batch that the store would not keep for their dates, in the same form |
//! | `strange-…` | what stood in the way of one of these names and was none of ours |
//! | `../sealed/` | day keys and names, sealed ([`sealed`]); they outlive the segments |
//!
//! Only real folders are lanes and only regular files are read: links, pipes and other things are never followed or waited
//! for. Opening the journal reads the names in the spool, one header per stream of the newest 64 lanes, and the sizes of
//! the files in lanes; nothing else, so that a start is quick whatever lies there.
//!
//! # A segment
//!
//! A header, then frames, then nothing. Numbers are little-endian.
//!
//! | header | bytes |
//! |---|---|
//! | magic `ECLUSEJ\0` | 8 |
//! | version of the format, 1 | 2 |
//! | length of the body | 4 |
//! | body: stream, college, gateway (each a length byte and UTF-8), lane (8), segment (4), first sequence (8), opened (8), **cuts** (a count byte; segment 4, length 8 each), **heads** (a count byte; lane 8, segment 4, length 8 each) | at most 4 KiB with all |
//! | CRC-32C of everything before | 4 |
//!
//! *Cuts* name segments of the same lane and stream that hold nothing from a length on: it was written once more here.
//! Every later header repeats them (the last 64). *Heads* stand in a lane's first segment: where the other lanes of the
//! spool ended when it began.
//!
//! | frame | bytes |
//! |---|---|
//! | marker `ff fe ec 1c` (no UTF-8 text holds it) | 4 |
//! | length of the payload, at most 1 MiB | 4 |
//! | CRC-32C over length, kind and payload, seeded with stream, lane and segment | 4 |
//! | kind | 1 |
//! | payload | |
//!
//! | kind | payload | |
//! |---|---|---|
//! | 1 intent | sequence (8), slice (4), record | written before the origin is dialled |
//! | 2 completion | the same | a **row**: the whole record, as the store gets it |
//! | 3 sealed key | an `age` file | before the key's first pseudonym is used |
//! | 4 gap | since (8), until (8), count (8; 0: nobody knows), segment (4; 0: none), cause (UTF-8) | a **row** too: something is missing |
//! | 5 footer | intents, completions, other frames (8 each) | ends a segment that was closed in order |
//! | 6 gap begins | since (8), cause | from now on something may go unwritten; written before it does |
//! | 7 gap ends | – | all was told of |
//!
//! The record is the canonical encoding of [`crate::access::encoding`]. Whoever writes completes an intent with one
//! completion of the same sequence and slice; a flow that goes on ends its slice with the ending `continues` and begins the
//! next in one write. A segment is closed at `segment_bytes`, at `segment_age`, at midnight UTC and when the clock steps back.
//!
//! # A compressed segment
//!
//! A sealed segment that has to wait is compressed: written aside, read back, synced, and renamed over the segment, so that a
//! reader finds the one or the other, whole. It reads as the segment that it was, and every place in it means what it
//! meant: ledgers and cuts know nothing of it. Its header is stored, so that a start decompresses nothing; what follows is
//! compressed in blocks of about 1 MiB that end where a frame ends, each by itself.
//!
//! | file | bytes |
//! |---|---|
//! | magic `ECLUSEZ\0` | 8 |
//! | version of this format, 1 | 2 |
//! | length of the segment, at most 64 MiB | 8 |
//! | CRC-32C of everything before | 4 |
//! | blocks, in order | |
//!
//! | block | bytes |
//! |---|---|
//! | marker `ff fe ec 2c` | 4 |
//! | where it begins in the segment | 8 |
//! | how long it is there, at most 2 MiB and a frame's head | 4 |
//! | how long it is here | 4 |
//! | method: 0 stored, 1 zstd | 1 |
//! | CRC-32C over all of these but the marker and over what follows, seeded with stream, lane and segment | 4 |
//! | what it holds | |
//!
//! Damage in a block costs that block: a reader goes on at the next marker with a whole block behind it, and takes the
//! bytes between for zeroes, in which no frame is found. Never more is decompressed than one block says that it holds.
//! Segments over 64 MiB, and those whose header cannot be read, stay as they are.
//!
//! # What is promised, and when
//!
//! * **Written** means that the kernel has the bytes: one `write(2)` on the thread of the traffic, under the stream's lock.
//!   SIGKILL at any instant loses nothing of it.
//! * **Durable** is what a later `fdatasync` covers: one for all within the window `sync_ms`, on a thread of its own. At
//!   `sync_ms = 0` traffic waits for it between the intent and the dial ([`AccessLog::before_traffic`]). Only what is
//!   durable is shipped, so that the store never holds what a power cut took from the journal.
//! * A sync that **fails** says nothing about the bytes before it: the segment is cut where the last good sync ended, and
//!   what followed is written once more from memory into a new segment, whose header names the cut. While that fails too,
//!   nothing new is accepted.
//! * A write that fails or is short is cut in the same way and repeated in a new segment. A completion that fails there too
//!   is owed: every sync tries it again. Dead before that, the process leaves an intent, and the row ends `interrupted`.
//! * **Room**: an intent is accepted only if its completion fits besides, on the disk (`fallocate`) and under `max_bytes`;
//!   some room is set aside for gaps. When there is none, appending fails with [`AppendError::Full`].
//! * With `on_full = "allow"`, and for help-lines always, traffic then passes ([`AccessLog::pass_unwritten`]) after *gap
//!   begins* is written; gap frames tell how many, at growing distances while it lasts and when it ends.
//!
//! # Reading, and what damage costs
//!
//! A reader trusts a frame whose marker, length, kind and checksum are right. Where there is none it looks for the next
//! marker with such a frame behind it: what lies between is lost, and nothing else. The checksum's seed comes from the
//! names of folder and file and not from the header, so a damaged header costs only itself: whose rows they are says
//! `owner`, or any other header of the lane, and its cuts are repeated by every later header. A footer tells how many
//! frames there were; without one, bytes at the end that are no frame are a write that nobody was told of. Damage becomes a
//! gap record (kind 4, with the segment's number, between the opening of that segment and of the next) and a problem in
//! [`Shipped`]; it is told once, and durably before anything is sent that came behind it.
//!
//! # Recovery and shipping
//!
//! Whoever holds a dead lane's lock first syncs its segments, then reads them all. Intents without a completion are
//! completed as `interrupted`, a gap that began and did not end is told with an unknown count, damage that nobody told of is
//! told: all this into one more segment, written aside and renamed, and `recovered` goes into the ledger. Killed
//! midway, nothing was done; done, nothing is left to do.
//!
//! A row whose date cannot be right (before 2026, after 2099, more than two days ahead, older than anything is kept) goes to
//! quarantine and not to the store, which would drop it in silence; which rows these are is asked for the instant at which
//! the batch was cut, so that it stays the same batch. A batch that the store refuses goes to poison. Either is told by a gap
//! whose cause begins `rows 1-512:`, with the number of the segment in which the batch ends; in the own lane it is
//! appended, in a dead one it is one more segment. Told twice it would be counted twice: whoever tells looks first.
//!
//! Rows (completions and gaps) are numbered from 1 in the order of the lane. A batch is noted in the ledger, durably, before
//! it is sent for the first time; it is sent again, the same, until the store acknowledges it. A segment is deleted, oldest
//! first, when the store has all of it for as long as it is to be kept, every intent in it is completed, and its signed root is
//! kept ([`proof`]); a lane's folder when its last row was acknowledged and sealed.

mod aside;
mod batch;
mod budget;
mod compress;
mod disk;
mod durable;
mod error;
mod frame;
mod gaps;
mod header;
pub mod inspect;
mod journaled;
mod kept;
mod lane;
mod ledger;
mod log;
mod open;
mod owner;
mod packed;
mod persons;
pub mod proof;
mod reading;
mod recovery;
mod sealed;
mod settings;
mod ship;
mod stream;
mod told;
mod writer;

pub use aside::{Aside, AsideFile, Dates, Expired, SetAside, purge as purge_set_aside, set_aside};
pub use error::{AppendError, OpenError, ShipError};
pub use kept::{Kept, acknowledged};
pub use log::{AccessLog, OpenAccess, OpenConnection, PromisedConnection};
pub use open::Open;
pub use sealed::{UnsealError, Unsealed, folder as sealed_folder, purge as purge_sealed, trial_recipient, unseal};
pub use settings::{JournalSettings, ShipSettings};
pub use ship::{Shipped, ship, ship_dead_lanes};

#[cfg(test)]
mod tests;
