//! List files: parsed, compiled, mapped.
//!
//! Text goes one road: a [`Catalogue`] says which lists there are, [`compile()`] reads them line by line into one image
//! file, [`Image`] maps it and answers which lists hold a target and, for refusals and explanations, which line of
//! which file it was. A list with bad lines is usable: each is a [`Problem`] and none hides the next.
//! Nothing here knows policy (whether being listed means being refused) or opens a socket.
//!
//! Type to read first: [`Image`]; the file's format is specified in [`image`].

mod catalogue;
mod compile;
pub mod image;
mod input;
mod meta;
mod parse;
mod problem;
mod tally;
mod urgent;

pub use crate::matcher::{Candidate, ListId, ListMatches};
pub use catalogue::{Catalogue, Format, Source, Upstream, parse_sha256};
pub use compile::{CompileError, CompileReport, ListText, Totals, compile};
pub use image::{Damage, Image, ImageError};
pub use meta::{ListFiles, ListMeta, Usage};
pub use problem::Problem;
pub use tally::Tally;
pub use urgent::{Change, MAX_ENTRIES, Urgent, UrgentEntry};

/// How many entries and how many faults a list has, whatever its bytes are: what a fuzzer asks of the parsers.
///
/// # Errors
/// Never, for bytes in memory.
pub fn count_entries(format: Format, mut bytes: &[u8]) -> std::io::Result<(usize, usize)> {
    let (mut entries, mut faults) = (0, 0);
    parse::for_each_line(&mut bytes, |_, line| {
        let read = line.ok().and_then(|line| parse::parse_line(format.line_kind(), line, &mut |_| entries += 1).ok());
        faults += usize::from(read.is_none());
    })?;
    Ok((entries, faults))
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
pub(crate) mod tests_real;
