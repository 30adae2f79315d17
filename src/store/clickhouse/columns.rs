//! How a record lies in a table of the server: one column per field, under the field's name, with its type.
//!
//! | in a record | in ClickHouse |
//! |---|---|
//! | instant | `DateTime64(6, 'UTC')`, microseconds since 1970 |
//! | unsigned number | `UInt16/32/64` |
//! | text, enumeration | `LowCardinality(String)`; `String` for those of [`MANY`]; empty where there is nothing to say |
//! | reference | `String`, empty for none |
//! | address | `Nullable(IPv6)`; IPv4 as `::ffff:192.0.2.7`, so that a network of either is one range |
//! | optional number, optional instant | `Nullable(…)` |
//! | pseudonym | `FixedString(16)`, sixteen zeros for nobody: it is in the order of the table, where NULL costs |
//! | flags | `UInt32` |
//!
//! Rows travel as RowBinaryWithNamesAndTypes: the head names every column with its type, and each side refuses another's.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use bytes::Bytes;

use crate::access::{
    AccessRecord, AccessRow, ActionTaken, CollegeCode, ConnectionRecord, ConnectionRow, Ending, Flags, GatewayName,
    HostSource, IdentitySource, IdentityStrength, Protocol, Pseudonym, Reference, Row, RowKey, Stream, Timestamp,
    Visit,
};
use crate::store::fields::{access_fields, connection_fields, word_types};

/// Texts with so many different values that a dictionary would only cost.
const MANY: [&str; 5] = ["path", "entry", "cause", "root", "line"];

/// A field that is a column.
pub(super) trait Column: Sized {
    const TYPE: &'static str;
    fn put(&self, out: &mut Vec<u8>);
    /// `None`: not whole, or nothing that this program knows.
    fn take(input: &mut &[u8]) -> Option<Self>;
}

fn take_array<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(*head)
}

macro_rules! number_column {
    ($($name:ty: $kind:literal),+) => {$(
        impl Column for $name {
            const TYPE: &'static str = $kind;
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn take(input: &mut &[u8]) -> Option<Self> {
                take_array(input).map(Self::from_le_bytes)
            }
        }
    )+};
}
number_column!(u8: "UInt8", u16: "UInt16", u32: "UInt32", u64: "UInt64", i64: "Int64");

impl Column for Timestamp {
    const TYPE: &'static str = "DateTime64(6, 'UTC')";
    fn put(&self, out: &mut Vec<u8>) {
        self.as_micros().put(out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        i64::take(input).map(Timestamp::from_micros)
    }
}

impl Column for Flags {
    const TYPE: &'static str = "UInt32";
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        u32::take(input).map(Flags)
    }
}

/// A byte says whether there is none.
fn put_nullable<T>(value: Option<T>, out: &mut Vec<u8>, put: impl FnOnce(T, &mut Vec<u8>)) {
    out.push(u8::from(value.is_none()));
    if let Some(value) = value {
        put(value, out);
    }
}

fn take_nullable<T>(input: &mut &[u8], take: impl FnOnce(&mut &[u8]) -> Option<T>) -> Option<Option<T>> {
    match u8::take(input)? {
        0 => take(input).map(Some),
        1 => Some(None),
        _ => None,
    }
}

impl Column for Option<u16> {
    const TYPE: &'static str = "Nullable(UInt16)";
    fn put(&self, out: &mut Vec<u8>) {
        put_nullable(*self, out, |number, out| number.put(out));
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        take_nullable(input, u16::take)
    }
}

impl Column for Option<Timestamp> {
    const TYPE: &'static str = "Nullable(DateTime64(6, 'UTC'))";
    fn put(&self, out: &mut Vec<u8>) {
        put_nullable(*self, out, |at, out| at.put(out));
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        take_nullable(input, Timestamp::take)
    }
}

impl Column for Option<IpAddr> {
    const TYPE: &'static str = "Nullable(IPv6)";
    fn put(&self, out: &mut Vec<u8>) {
        put_nullable(*self, out, |address, out| out.extend_from_slice(&as_v6(address).octets()));
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        take_nullable(input, |input| take_array(input).map(|octets: [u8; 16]| IpAddr::from(octets).to_canonical()))
    }
}

/// IPv4 inside IPv6 (RFC 4291 §2.5.5.2).
pub(super) fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

impl Column for Option<Pseudonym> {
    const TYPE: &'static str = "FixedString(16)";
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.map_or([0; 16], |pseudonym| pseudonym.0));
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        take_array(input).map(|bytes| (bytes != [0; 16]).then_some(Pseudonym(bytes)))
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    put_length(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn put_length(mut length: usize, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

fn take_length(input: &mut &[u8]) -> Option<usize> {
    let mut length = 0usize;
    for shift in (0..35).step_by(7) {
        let byte = u8::take(input)?;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(length);
        }
    }
    None
}

fn take_text<'a>(input: &mut &'a [u8]) -> Option<&'a str> {
    let length = take_length(input)?;
    let (text, rest) = input.split_at_checked(length)?;
    *input = rest;
    std::str::from_utf8(text).ok()
}

const WORD: &str = "LowCardinality(String)";

impl Column for Arc<str> {
    const TYPE: &'static str = WORD;
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        take_text(input).map(Arc::from)
    }
}

impl Column for String {
    const TYPE: &'static str = WORD;
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        take_text(input).map(str::to_owned)
    }
}

/// Bytes that are no text.
impl Column for Bytes {
    const TYPE: &'static str = "String";
    fn put(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        out.extend_from_slice(self);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        let length = take_length(input)?;
        let (bytes, rest) = input.split_at_checked(length)?;
        *input = rest;
        Some(Bytes::copy_from_slice(bytes))
    }
}

impl Column for Option<Reference> {
    const TYPE: &'static str = "String";
    fn put(&self, out: &mut Vec<u8>) {
        put_text(&self.map(|reference| reference.to_string()).unwrap_or_default(), out);
    }
    fn take(input: &mut &[u8]) -> Option<Self> {
        match take_text(input)? {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        }
    }
}

macro_rules! word_column {
    ($($name:ty: $parse:expr),+ $(,)?) => {$(
        impl Column for $name {
            const TYPE: &'static str = WORD;
            fn put(&self, out: &mut Vec<u8>) {
                put_text(self.as_str(), out);
            }
            fn take(input: &mut &[u8]) -> Option<Self> {
                $parse(take_text(input)?).ok()
            }
        }
    )+};
}

word_types!(word_column);
word_column!(Stream: str::parse);

/// A column as the table has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Definition {
    pub name: &'static str,
    kind: &'static str,
}

impl Definition {
    pub const fn new(name: &'static str, kind: &'static str) -> Self {
        Definition { name, kind }
    }

    pub fn kind(&self) -> &'static str {
        if MANY.contains(&self.name) { "String" } else { self.kind }
    }
}

/// Names, comma between; quoted, for `end` is a word of SQL.
pub(super) fn names(columns: &[Definition]) -> String {
    let quoted: Vec<String> = columns.iter().map(|column| format!("`{}`", column.name)).collect();
    quoted.join(", ")
}

/// A line of a table.
pub(super) trait Line: Sized {
    const COLUMNS: &'static [Definition];
    /// No line is longer: thirty texts of at most 2 KiB each.
    const BYTES_MAX: usize = 256 << 10;
    fn put(&self, out: &mut Vec<u8>);
    fn take(input: &mut &[u8]) -> Option<Self>;
}

/// A line of an answer that is made for the question: its fields, in their order.
macro_rules! line {
    ($name:ident { $($field:ident: $kind:ty),+ }) => {
        pub(super) struct $name { $(pub $field: $kind),+ }

        impl Line for $name {
            const COLUMNS: &'static [Definition] =
                &[$(Definition::new(stringify!($field), <$kind as Column>::TYPE)),+];
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)+
            }
            fn take(input: &mut &[u8]) -> Option<Self> {
                $(let $field = Column::take(input)?;)+
                Some($name { $($field),+ })
            }
        }
    };
}
pub(super) use line;

macro_rules! lines {
    ($row:ident, $record:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        lines!(@ $row, $record {
            college: CollegeCode, gateway: GatewayName, lane: u64, sequence: u64, slice: u32
        } { $($field: $type),+ });
    };
    (@ $row:ident, $record:ident { $($key:ident: $key_type:ty),+ } { $($field:ident: $type:ty),+ }) => {
        impl Line for $row {
            const COLUMNS: &'static [Definition] = &[
                $(Definition::new(stringify!($key), <$key_type as Column>::TYPE),)+
                $(Definition::new(stringify!($field), <$type as Column>::TYPE),)+
            ];

            fn put(&self, out: &mut Vec<u8>) {
                // Destructured, so that a field added to the record is an error here.
                let $row { key: RowKey { $($key),+ }, record: $record { $($field),+ } } = self;
                $(Column::put($key, out);)+
                $(Column::put($field, out);)+
            }

            fn take(input: &mut &[u8]) -> Option<Self> {
                $(let $key = Column::take(input)?;)+
                $(let $field = Column::take(input)?;)+
                Some($row { key: RowKey { $($key),+ }, record: $record { $($field),+ } })
            }
        }
    };
}

access_fields!(lines);
connection_fields!(lines);

/// The columns of a stream's table.
pub(super) fn columns(stream: Stream) -> &'static [Definition] {
    match stream {
        Stream::Accesses => AccessRow::COLUMNS,
        Stream::Connections => ConnectionRow::COLUMNS,
    }
}

pub(super) fn put_row(row: &Row, out: &mut Vec<u8>) {
    match row {
        Row::Access(row) => row.put(out),
        Row::Connection(row) => row.put(out),
    }
}

pub(super) fn take_row(stream: Stream, input: &mut &[u8]) -> Option<Row> {
    match stream {
        Stream::Accesses => AccessRow::take(input).map(|row| Row::Access(Box::new(row))),
        Stream::Connections => ConnectionRow::take(input).map(|row| Row::Connection(Box::new(row))),
    }
}

/// The head of RowBinaryWithNamesAndTypes: how many columns, their names, their types.
pub(super) fn head(columns: &[Definition]) -> Vec<u8> {
    let mut head = Vec::new();
    put_length(columns.len(), &mut head);
    columns.iter().for_each(|column| put_text(column.name, &mut head));
    columns.iter().for_each(|column| put_text(column.kind(), &mut head));
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suite::sample::{self, Dice};

    #[test]
    fn a_row_is_read_back_as_it_was_and_half_a_row_is_none() {
        let mut dice = Dice::seeded(11);
        for stream in Stream::ALL {
            for row in sample::rows(&mut dice, *stream, 200) {
                let mut bytes = Vec::new();
                put_row(&row, &mut bytes);
                assert_eq!(take_row(*stream, &mut &bytes[..]), Some(row));
                for cut in 0..bytes.len() {
                    assert_eq!(take_row(*stream, &mut &bytes[..cut]), None, "cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn both_stores_have_the_same_columns_in_the_same_order() {
        for stream in Stream::ALL {
            let here: Vec<&str> = columns(*stream).iter().map(|column| column.name).collect();
            assert_eq!(here, crate::store::embedded::column_names(*stream).collect::<Vec<_>>());
        }
    }
}
