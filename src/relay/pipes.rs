//! Pipes that bytes pass through inside the kernel, lent while there are bytes in them and only then.
//!
//! An idle relay holds none. Empty ones wait on the thread that used them last, a few; all there are together are
//! bounded, and who gets none copies.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

/// What one pipe is asked to hold: 64 pages. A page of a pipe holds one segment from the network at most, so these are
/// some 90 KiB of a download, and all of what one read of a fast sender brings.
pub(super) const PIPE_BYTES: usize = 256 * 1024;
/// All pipes of this process, where nobody says otherwise: with [`PIPE_BYTES`] each, what Linux lets an unprivileged
/// user have (`fs.pipe-user-pages-soft`, 16,384 pages); beyond that it makes them smaller.
const MOST: usize = 256;
/// Empty pipes that a thread keeps: as many relays as it can be in the middle of, and a few receivers that were slow.
const KEPT: usize = 8;

static OPEN: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(MOST);

thread_local! {
    static EMPTY: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// Both ends of a pipe. Counted for as long as it is open.
#[derive(Debug)]
pub(super) struct Pipe {
    pub read: OwnedFd,
    pub write: OwnedFd,
    _place: Place,
}

#[derive(Debug)]
struct Place;

impl Drop for Place {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Allows this process so many pipes, each of two descriptors, and at most the number that the kernel gives in full size.
/// What is over already is closed as it is given back.
pub fn allow_pipes(most: usize) -> usize {
    let most = most.min(MOST);
    LIMIT.store(most, Ordering::Relaxed);
    most
}

/// How many pipes this process has open.
pub fn open_pipes() -> usize {
    OPEN.load(Ordering::Relaxed)
}

/// An empty pipe, or none where there are too many or no descriptor is left.
pub(super) fn take() -> Option<Pipe> {
    kept().or_else(|| open(LIMIT.load(Ordering::Relaxed)))
}

/// One that this thread keeps.
pub(super) fn kept() -> Option<Pipe> {
    // A thread that is ending has none any more.
    EMPTY.try_with(|empty| empty.borrow_mut().pop()).ok().flatten()
}

/// Takes back a pipe that nothing is left in.
pub(super) fn give_back(pipe: Pipe) {
    let within = open_pipes() <= LIMIT.load(Ordering::Relaxed);
    let _ = EMPTY.try_with(|empty| {
        let mut empty = empty.borrow_mut();
        if within && empty.len() < KEPT {
            empty.push(pipe);
        }
    });
}

/// One more, where there are fewer than `limit`.
pub(super) fn open(limit: usize) -> Option<Pipe> {
    OPEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < limit).then_some(n + 1)).ok()?;
    let place = Place;
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
    // Where that is refused, a smaller one serves as well, a little more often.
    let _ = fcntl_setpipe_size(&write, PIPE_BYTES);
    Some(Pipe { read, write, _place: place })
}
