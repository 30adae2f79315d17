//! Reads numbers and vectors of TLS (RFC 8446 §3) from where they lie.

/// Takes from the front; `None` where there is too little.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(front)
    }

    pub fn u8(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub fn u16(&mut self) -> Option<u16> {
        let (&first, rest) = self.0.split_first_chunk::<2>()?;
        self.0 = rest;
        Some(u16::from_be_bytes(first))
    }

    pub fn u24(&mut self) -> Option<usize> {
        let (&[high, middle, low], rest) = self.0.split_first_chunk::<3>()?;
        self.0 = rest;
        Some(usize::from(high) * 0x1_0000 + usize::from(middle) * 0x100 + usize::from(low))
    }

    pub fn vec8(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    pub fn vec16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// A vector that must be all there is.
    pub fn rest8(&mut self) -> Option<&'a [u8]> {
        self.vec8().filter(|_| self.0.is_empty())
    }

    /// A vector that must be all there is.
    pub fn rest16(&mut self) -> Option<&'a [u8]> {
        self.vec16().filter(|_| self.0.is_empty())
    }
}
