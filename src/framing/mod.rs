//! Where each request of a client begins and ends, by RFC 9112 taken at its word.
//!
//! Whoever reads the same bytes and sees other requests in them can be made to do what was never judged (request
//! smuggling). So nothing is guessed here: a head, a chunk or a trailer that two servers could read in two ways is a
//! [`Fault`], and what follows it is nobody's. A [`Framer`] follows the bytes of one connection and says how many of
//! those at hand belong to the present request and may be handed on; a head is handed on only when it is whole and
//! good. It copies nothing, waits for nothing, and knows neither policy nor origins.
//!
//! What is refused although some servers take it: a line that ends in LF alone, CR anywhere else, control bytes,
//! folded lines, blanks before a colon, several `Host`, `Content-Length` or `Transfer-Encoding`, both of the latter,
//! any coding but `chunked`, either in HTTP/1.0 where it has no meaning, a number that is not plain digits, names in
//! which an underscore poses as the hyphen of a field that matters, and a body on CONNECT or TRACE.
//!
//! Type to read first: [`Framer`].

mod chunked;
mod fault;
mod head;

#[cfg(test)]
mod tests;

pub use fault::Fault;

use chunked::Chunks;
use head::Body;

/// How large a head may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramingLimits {
    /// Request line and fields together, in bytes.
    pub head_bytes: usize,
    pub fields: usize,
}

/// What to do with the bytes at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// This many belong to the present request: hand them on. A head and what follows it are never in one step.
    Pass(usize),
    /// This many are empty lines before a request (RFC 9112 §2.2): they are nothing.
    Skip(usize),
    /// Not enough is there to say.
    More,
}

/// Follows the requests of one connection.
#[derive(Debug)]
pub struct Framer {
    limits: FramingLimits,
    state: State,
    /// Empty lines skipped before the present request.
    skipped: usize,
}

#[derive(Debug)]
enum State {
    /// A head is arriving; this much of it was searched for its end.
    Head {
        searched: usize,
    },
    /// A good head, of which this much is still to be handed on.
    Passing {
        left: usize,
        then: Body,
    },
    /// A body of which this many bytes are to come.
    Length(u64),
    Chunked(Chunks),
    /// What comes after a fault is nobody's.
    Broken(Fault),
}

/// Empty lines that are forgiven before a request; old clients send one after a POST.
const EMPTY_LINES: usize = 2;

impl Framer {
    pub fn new(limits: FramingLimits) -> Self {
        Framer { limits, state: State::Head { searched: 0 }, skipped: 0 }
    }

    /// Whether the next byte begins a request.
    pub fn is_between(&self) -> bool {
        matches!(self.state, State::Head { searched: 0 })
    }

    /// Whether a head is expected or arriving.
    pub fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head { .. })
    }

    /// How many bytes may be read from the client and handed on without being looked at: the rest of a body whose
    /// length is known. Tell what was read by [`Framer::passed`].
    pub fn unseen(&self) -> u64 {
        match self.state {
            State::Length(left) => left,
            _ => 0,
        }
    }

    /// `n` bytes of those that [`Framer::unseen`] allowed were handed on.
    pub fn passed(&mut self, n: u64) {
        if let State::Length(left) = &mut self.state {
            *left = left.saturating_sub(n);
            if *left == 0 {
                self.begin_anew();
            }
        }
    }

    /// Looks at the bytes at hand, which begin where the last step ended; hands on at most `room` of them.
    pub fn step(&mut self, bytes: &[u8], room: usize) -> Result<Step, Fault> {
        let step = self.look(bytes, room);
        if let Err(fault) = step {
            self.state = State::Broken(fault);
        }
        step
    }

    fn look(&mut self, bytes: &[u8], room: usize) -> Result<Step, Fault> {
        if let State::Head { searched } = &mut self.state {
            if bytes.starts_with(b"\r\n") {
                *searched = 0;
                self.skipped += 1;
                return if self.skipped > EMPTY_LINES { Err(Fault::EmptyLines) } else { Ok(Step::Skip(2)) };
            }
            let Some(length) = head::find_end(bytes, searched, &self.limits)? else {
                return Ok(Step::More);
            };
            let body = head::read(&bytes[..length], &self.limits)?;
            self.state = State::Passing { left: length, then: body };
        }
        let bytes = &bytes[..bytes.len().min(room)];
        let n = match &mut self.state {
            State::Broken(fault) => return Err(*fault),
            State::Head { .. } => 0,
            State::Passing { left, then } => {
                let n = bytes.len().min(*left);
                *left -= n;
                if *left == 0 {
                    match *then {
                        Body::None | Body::Length(0) => self.begin_anew(),
                        Body::Length(length) => self.state = State::Length(length),
                        Body::Chunked => self.state = State::Chunked(Chunks::default()),
                    }
                }
                n
            }
            State::Length(left) => {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                self.passed(n as u64);
                n
            }
            State::Chunked(chunks) => {
                let n = chunks.follow(bytes)?;
                if chunks.is_over() {
                    self.begin_anew();
                }
                n
            }
        };
        Ok(if n == 0 { Step::More } else { Step::Pass(n) })
    }

    fn begin_anew(&mut self) {
        self.state = State::Head { searched: 0 };
        self.skipped = 0;
    }
}
