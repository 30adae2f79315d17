//! As much of DER (X.690) as a time-stamp needs: tags of one byte, definite lengths.

/// Reads one value after the other.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tag, contents and the whole of the next value.
    fn peek(&self) -> Option<(u8, &'a [u8], &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let contents = rest.get(..length)?;
        let whole = &self.0[..self.0.len() - rest.len() + length];
        Some((tag, contents, whole))
    }

    fn next_if(&mut self, wanted: Option<u8>) -> Option<(&'a [u8], &'a [u8])> {
        let (tag, contents, whole) = self.peek()?;
        if wanted.is_some_and(|wanted| wanted != tag) {
            return None;
        }
        self.0 = &self.0[whole.len()..];
        Some((contents, whole))
    }

    /// The contents of the next value, if it has this tag; otherwise nothing is read.
    pub fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next_if(Some(tag)).map(|(contents, _)| contents)
    }

    /// The next value with its tag and length.
    pub fn whole(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next_if(Some(tag)).map(|(_, whole)| whole)
    }

    pub fn any(&mut self) -> Option<&'a [u8]> {
        self.next_if(None).map(|(_, whole)| whole)
    }

    /// Goes into the next value.
    pub fn enter(&mut self, tag: u8) -> Option<Reader<'a>> {
        self.take(tag).map(Reader)
    }
}

/// A value of these contents.
pub(super) fn tlv(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let length: usize = contents.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    if length < 0x80 {
        out.push(length as u8);
    } else {
        let bytes = length.to_be_bytes();
        let digits = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
        out.push(0x80 | digits.len() as u8);
        out.extend_from_slice(digits);
    }
    contents.iter().for_each(|part| out.extend_from_slice(part));
    out
}
