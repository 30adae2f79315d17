//! How much went in and came out of a decoder, and when it is enough.

use std::cell::Cell;
use std::io::{self, Read};
use std::time::Instant;

use super::{UnpackError, UnpackLimits};

#[derive(Debug, Clone, Copy)]
enum Exceeded {
    Bytes,
    Ratio,
    Time,
}

/// Shared by both ends of a decoder.
pub struct Meter {
    limits: UnpackLimits,
    started: Instant,
    packed: Cell<u64>,
    unpacked: Cell<u64>,
    exceeded: Cell<Option<Exceeded>>,
}

impl Meter {
    pub fn new(limits: UnpackLimits) -> Self {
        let (packed, unpacked) = (Cell::new(0), Cell::new(0));
        Meter { limits, started: Instant::now(), packed, unpacked, exceeded: Cell::new(None) }
    }

    pub fn exceeded(&self) -> Option<UnpackError> {
        Some(match self.exceeded.get()? {
            Exceeded::Bytes => UnpackError::TooLarge(self.limits.bytes),
            Exceeded::Ratio => UnpackError::Bomb(self.limits.ratio),
            Exceeded::Time => UnpackError::TooLong(self.limits.within),
        })
    }

    fn add(&self, n: usize) -> io::Result<()> {
        let unpacked = self.unpacked.get() + n as u64;
        self.unpacked.set(unpacked);
        let exceeded = if unpacked > self.limits.bytes {
            Exceeded::Bytes
        } else if unpacked > self.limits.ratio_from && unpacked / self.limits.ratio > self.packed.get() {
            Exceeded::Ratio
        } else if self.started.elapsed() > self.limits.within {
            Exceeded::Time
        } else {
            return Ok(());
        };
        self.exceeded.set(Some(exceeded));
        Err(io::Error::other("a limit is exceeded"))
    }
}

/// What goes into the decoder.
pub struct Packed<'a, R> {
    inner: R,
    meter: &'a Meter,
}

impl<'a, R> Packed<'a, R> {
    pub fn new(inner: R, meter: &'a Meter) -> Self {
        Packed { inner, meter }
    }
}

impl<R: Read> Read for Packed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.meter.packed.set(self.meter.packed.get() + n as u64);
        Ok(n)
    }
}

/// What comes out of it.
pub struct Unpacked<'a, R> {
    inner: R,
    meter: &'a Meter,
}

impl<'a, R> Unpacked<'a, R> {
    pub fn new(inner: R, meter: &'a Meter) -> Self {
        Unpacked { inner, meter }
    }
}

impl<R: Read> Read for Unpacked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.meter.add(n)?;
        Ok(n)
    }
}
