//! Brotli (RFC 7932), in safe Rust. Its window is 16 MiB at most; the larger ones that some encoders offer are no content
//! coding and are not taken.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::{CodingError, Step};

type State = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

pub struct Brotli {
    state: State,
    ended: bool,
}

impl Default for Brotli {
    fn default() -> Self {
        let state = State::new_strict(StandardAlloc::default(), StandardAlloc::default(), StandardAlloc::default());
        Brotli { state, ended: false }
    }
}

impl Brotli {
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, CodingError> {
        if self.ended {
            // What follows is read by nobody.
            return Ok(Step { read: input.len(), written: 0 });
        }
        let (mut left, mut read) = (input.len(), 0);
        let (mut space, mut written, mut total) = (output.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut read,
            input,
            &mut space,
            &mut written,
            output,
            &mut total,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultFailure => return Err(CodingError::Broken),
            BrotliResult::ResultSuccess => self.ended = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        Ok(Step { read, written })
    }
}
