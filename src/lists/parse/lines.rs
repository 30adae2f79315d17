//! A file, line by line, within limits.

use std::io::{self, BufRead, Read};

/// No entry is longer; what is, is no list.
pub const MAX_LINE_BYTES: usize = 8192;
/// An image keeps 23 bits of a line's number.
pub const MAX_LINES: u32 = (1 << 23) - 1;
/// The largest file that is read.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// Why a line cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("the line is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    #[error("the line is not UTF-8 text")]
    NotText,
    #[error("the file has more than {MAX_LINES} lines; the rest is left out")]
    TooMany,
}

/// Calls `f` with each line and its number, from 1, without its end.
pub fn for_each_line(mut from: impl BufRead, mut f: impl FnMut(u32, Result<&str, LineError>)) -> io::Result<()> {
    let mut number = 0;
    let mut line = Vec::new();
    loop {
        let mut whole = whole_lines(from.fill_buf()?);
        let used = whole.len();
        while let Some(end) = memchr::memchr(b'\n', whole) {
            number += 1;
            if number > MAX_LINES {
                f(number, Err(LineError::TooMany));
                return Ok(());
            }
            f(number, if end > MAX_LINE_BYTES { Err(LineError::TooLong) } else { text_of(&whole[..end], number) });
            whole = &whole[end + 1..];
        }
        from.consume(used);
        // What the buffer cut: one line at a time, with what is still to be read.
        line.clear();
        if from.by_ref().take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        number += 1;
        if number > MAX_LINES {
            f(number, Err(LineError::TooMany));
            return Ok(());
        }
        if line.len() > MAX_LINE_BYTES && line.last() != Some(&b'\n') {
            from.skip_until(b'\n')?;
            f(number, Err(LineError::TooLong));
            continue;
        }
        f(number, text_of(&line, number));
    }
}

/// The lines of a buffer that end in it.
fn whole_lines(buffer: &[u8]) -> &[u8] {
    let end = memchr::memrchr(b'\n', buffer).map_or(0, |at| at + 1);
    &buffer[..end]
}

fn text_of(line: &[u8], number: u32) -> Result<&str, LineError> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // Windows editors begin a file with a byte order mark.
    let line = if number == 1 { line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line) } else { line };
    std::str::from_utf8(line).map_err(|_| LineError::NotText)
}
