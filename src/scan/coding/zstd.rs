//! Zstandard (RFC 8878), by the reference library that browsers use as well.

use zstd::stream::raw::{DParameter, Decoder, Operation};

use super::{CodingError, Step};

/// 8 MiB: the largest that a content coding may want (RFC 9659 §3).
const WINDOW_LOG: u32 = 23;

pub struct Zstd {
    decoder: Decoder<'static>,
    /// There may be more of what it has read already.
    full: bool,
}

impl Zstd {
    pub fn new() -> Result<Self, CodingError> {
        let mut decoder = Decoder::new().map_err(|_| CodingError::Broken)?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(|_| CodingError::Broken)?;
        Ok(Zstd { decoder, full: false })
    }

    /// Frames one behind another are one body.
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, CodingError> {
        if input.is_empty() && !self.full {
            return Ok(Step { read: 0, written: 0 });
        }
        let status = self.decoder.run_on_buffers(input, output).map_err(|_| CodingError::Broken)?;
        self.full = status.bytes_written == output.len();
        Ok(Step { read: status.bytes_read, written: status.bytes_written })
    }
}
