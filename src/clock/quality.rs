//! What the kernel knows of its clock's error: `adjtimex(2)`, read only, which wants no privilege.
#![expect(unsafe_code, reason = "no safe crate of the tree calls adjtimex; one call, explained below")]

use crate::access::proof::ClockQuality;

/// STA_UNSYNC of timex.h: nobody has disciplined the clock for so long that its error is unbounded.
const UNSYNCHRONISED: libc::c_int = libc::STA_UNSYNC;

/// Asks the kernel; all `None` where it does not answer (some containers).
pub(super) fn of_the_system() -> ClockQuality {
    // SAFETY: `timex` is plain old data for which zeros are a value; `modes = 0` asks and changes nothing (adjtimex(2)).
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live, exclusive `timex` of this frame, which the kernel fills and does not keep.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    if state < 0 {
        return ClockQuality::default();
    }
    let is_nano = timex.status & libc::STA_NANO != 0;
    let offset = timex.offset;
    ClockQuality {
        synchronised: Some(timex.status & UNSYNCHRONISED == 0 && state != libc::TIME_ERROR),
        offset_us: Some(if is_nano { offset / 1000 } else { offset }),
        max_error_us: Some(timex.maxerror),
    }
}
