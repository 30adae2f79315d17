//! TLS records (RFC 8446 §5.1), and the ClientHello put together from them.
//!
//! A client may cut its ClientHello anywhere, in TCP segments and in records; some do that in the hope that nobody puts
//! it together again. [`Handshake`] does, reading each byte once.

use super::client_hello::{ClientHello, Form};
use super::guess::Guess;
use super::{FIRST_BYTES_MAX, Fault, Signature};
use crate::access::Protocol;

/// change_cipher_spec, alert, handshake, application_data (RFC 8446 §5.1).
pub(super) const FIRST_TYPE: u8 = CHANGE_CIPHER_SPEC;
pub(super) const LAST_TYPE: u8 = APPLICATION_DATA;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

pub(super) const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

const RECORD_HEADER: usize = 5;
pub(super) const MESSAGE_HEADER: usize = 4;
/// A record in clear carries at most 2^14 bytes (RFC 8446 §5.1) …
const CLEAR_MAX: usize = 1 << 14;
/// … and an encrypted one of TLS 1.2 at most 2048 more (RFC 5246 §6.2.3).
const ENCRYPTED_MAX: usize = CLEAR_MAX + 2048;

/// The first handshake message of a stream of records, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    /// The message so far: its header, then its body. Stays empty where one record holds it all.
    message: Vec<u8>,
    /// How far the stream was read.
    read: usize,
    /// What is left of the record that was being read.
    left: usize,
}

impl Handshake {
    /// `bytes` starts with a byte of [`FIRST_TYPE`]..=[`LAST_TYPE`].
    pub fn look(&mut self, bytes: &[u8]) -> Guess<Signature> {
        match RecordHeader::read(bytes) {
            Header::None => Guess::No,
            Header::Cut => Guess::Perhaps,
            Header::Is(header) if header.kind == HANDSHAKE => self.look_at_handshake(bytes, header.length),
            Header::Is(header) => look_at_middle(bytes, header),
        }
    }

    /// What the part of a message tells that is there.
    pub fn conclude(&self, bytes: &[u8], fault: Fault) -> Signature {
        match RecordHeader::read(bytes) {
            Header::Is(header) if header.kind == HANDSHAKE => {}
            Header::Is(_) => return Signature::faulty(Protocol::Tls, Fault::NoHello),
            Header::Cut | Header::None => return Signature::faulty(Protocol::Other, fault),
        }
        match self.message.split_at_checked(MESSAGE_HEADER) {
            Some((_, body)) => ClientHello { body, whole: Err(fault), form: Form::Stream }.signature(),
            None => Signature::faulty(Protocol::Tls, fault),
        }
    }

    /// The body of a whole ClientHello, where that is what was read: `bytes` are those that were.
    pub fn hello<'a>(&'a self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let record = bytes.get(RECORD_HEADER..).unwrap_or_default();
        let message = if self.message.is_empty() { record } else { &self.message };
        let end = message_end(*message.first_chunk()?);
        message.get(MESSAGE_HEADER..end).filter(|_| message[0] == CLIENT_HELLO)
    }

    fn look_at_handshake(&mut self, bytes: &[u8], length: usize) -> Guess<Signature> {
        // Nearly always one record holds the whole message: read it where it lies.
        let record = &bytes[RECORD_HEADER..bytes.len().min(RECORD_HEADER + length)];
        if let Some(&header) = record.first_chunk() {
            let end = message_end(header);
            if header[0] == CLIENT_HELLO && end <= record.len() {
                let body = &record[MESSAGE_HEADER..end];
                let hello = ClientHello { body, whole: Ok(()), form: Form::Stream };
                return Guess::Yes(hello.signature());
            }
        }
        self.gather(bytes)
    }

    /// Reads on where it stopped, until the message is whole or the bytes are over.
    fn gather(&mut self, bytes: &[u8]) -> Guess<Signature> {
        loop {
            if self.left == 0 {
                match RecordHeader::read(&bytes[self.read..]) {
                    Header::Cut => return Guess::Perhaps,
                    Header::Is(RecordHeader { kind: HANDSHAKE, length }) => self.left = length,
                    Header::None | Header::Is(_) => return faulty(Fault::Malformed),
                }
                self.read += RECORD_HEADER;
            }
            let here = &bytes[self.read..bytes.len().min(self.read + self.left)];
            if here.is_empty() {
                return Guess::Perhaps;
            }
            self.message.extend_from_slice(here);
            self.read += here.len();
            self.left -= here.len();
            if let Some(guess) = self.whole() {
                return guess;
            }
        }
    }

    /// The answer, once the message is whole or will never be.
    fn whole(&self) -> Option<Guess<Signature>> {
        if self.message.first().is_some_and(|&kind| kind != CLIENT_HELLO) {
            return Some(faulty(Fault::NoHello));
        }
        let end = message_end(*self.message.first_chunk()?);
        if end > FIRST_BYTES_MAX {
            return Some(faulty(Fault::TooLong));
        }
        let body = self.message.get(MESSAGE_HEADER..end)?;
        Some(Guess::Yes(ClientHello { body, whole: Ok(()), form: Form::Stream }.signature()))
    }
}

/// A server's records: two headers that make sense, or the first message of a handshake.
pub(super) fn server(bytes: &[u8]) -> Guess {
    match RecordHeader::read(bytes) {
        Header::None => Guess::No,
        Header::Cut => Guess::Perhaps,
        Header::Is(header) if header.kind == HANDSHAKE => {
            Guess::at(bytes, RECORD_HEADER, |[kind]| kind == SERVER_HELLO)
        }
        Header::Is(header) => match look_at_middle(bytes, header) {
            Guess::Yes(_) => Guess::Yes(()),
            Guess::Perhaps => Guess::Perhaps,
            Guess::No => Guess::No,
        },
    }
}

/// Where a handshake message ends: a type, a length of three bytes, and as many bytes (RFC 8446 §4).
pub(super) fn message_end([_, high, middle, low]: [u8; MESSAGE_HEADER]) -> usize {
    MESSAGE_HEADER + usize::from(high) * 0x1_0000 + usize::from(middle) * 0x100 + usize::from(low)
}

/// Records that no connection begins with: TLS all the same, when the one behind them makes sense too. It is waited for,
/// so that the answer does not depend on how the bytes arrive.
fn look_at_middle(bytes: &[u8], header: RecordHeader) -> Guess<Signature> {
    let after = bytes.get(RECORD_HEADER + header.length..).unwrap_or_default();
    match RecordHeader::read(after) {
        Header::None => Guess::No,
        Header::Cut => Guess::Perhaps,
        Header::Is(_) => faulty(Fault::NoHello),
    }
}

fn faulty(fault: Fault) -> Guess<Signature> {
    Guess::Yes(Signature::faulty(Protocol::Tls, fault))
}

#[derive(Clone, Copy)]
struct RecordHeader {
    kind: u8,
    length: usize,
}

enum Header {
    Is(RecordHeader),
    /// It may be one; there are too few bytes to tell.
    Cut,
    None,
}

impl RecordHeader {
    fn read(bytes: &[u8]) -> Header {
        let known = |i: usize, may: fn(u8) -> bool| bytes.get(i).is_none_or(|&b| may(b));
        // Version 3.0 to 3.4: SSL 3 to, wrongly, TLS 1.3.
        if !(known(0, |b| (FIRST_TYPE..=LAST_TYPE).contains(&b)) && known(1, |b| b == 3) && known(2, |b| b <= 4)) {
            return Header::None;
        }
        let Some(&[kind, _, _, high, low]) = bytes.first_chunk::<RECORD_HEADER>() else { return Header::Cut };
        let length = usize::from(high) * 0x100 + usize::from(low);
        let fits = match kind {
            CHANGE_CIPHER_SPEC => length == 1,
            // In clear two bytes, encrypted no more than padding and a MAC can add.
            ALERT => (2..=256).contains(&length),
            HANDSHAKE => (1..=CLEAR_MAX).contains(&length),
            _ => (1..=ENCRYPTED_MAX).contains(&length),
        };
        if fits { Header::Is(RecordHeader { kind, length }) } else { Header::None }
    }
}
