//! Where the records of an answer stand, without taking them apart.

use super::kind;

/// RFC 1035 §4.1.1.
pub(super) const HEADER: usize = 12;
/// RFC 1035 §4.1.3: what follows a record's name, before its data.
const FIXED: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub kind: u16,
    pub ttl_at: usize,
    pub data: (usize, usize),
}

/// The first three sections of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub question_end: usize,
    pub answers: Vec<Span>,
    pub authorities: Vec<Span>,
    /// Where the additional section begins, which is not kept.
    pub end: usize,
}

impl Layout {
    /// `None`: this is no message, or not one with exactly one question.
    pub fn read(message: &[u8]) -> Option<Layout> {
        let count = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
        if count(4)? != 1 || message.len() > usize::from(u16::MAX) {
            return None;
        }
        // Type and class of the question belong to it.
        let question_end = Some(skip_name(message, HEADER)? + 4).filter(|end| *end <= message.len())?;
        let mut at = question_end;
        let answers = spans(message, &mut at, count(6)?)?;
        let authorities = spans(message, &mut at, count(8)?)?;
        Some(Layout { question_end, answers, authorities, end: at })
    }

    /// Every record, answers first.
    pub fn records(&self) -> impl Iterator<Item = &Span> {
        self.answers.iter().chain(&self.authorities)
    }
}

fn spans(message: &[u8], at: &mut usize, count: u16) -> Option<Vec<Span>> {
    let mut found = Vec::new();
    for _ in 0..count {
        let name_end = skip_name(message, *at)?;
        let fixed = message.get(name_end..name_end + FIXED)?;
        let start = name_end + FIXED;
        let end = start + usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        if end > message.len() {
            return None;
        }
        let kind = u16::from_be_bytes([fixed[0], fixed[1]]);
        // A pseudo record has no place in these sections, and a time to live it has not.
        if kind == kind::OPT {
            return None;
        }
        found.push(Span { kind, ttl_at: name_end + 4, data: (start, end) });
        *at = end;
    }
    Some(found)
}

/// Where a name ends that may be compressed (RFC 1035 §4.1.4). What a pointer points at is not followed.
pub(super) fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*message.get(at)?) {
            0 => return Some(at + 1),
            length if length < 64 => at += 1 + length,
            length if length >= 192 => return (at + 2 <= message.len()).then_some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_ends_within_its_question_is_no_message() {
        let whole = b"\x12\x34\x81\x80\0\x01\0\0\0\0\0\0\x01a\x02fr\0\0\x01\0\x01";
        assert!(Layout::read(whole).is_some());
        for cut in 0..whole.len() {
            assert_eq!(Layout::read(&whole[..cut]), None, "{cut}");
        }
    }
}
