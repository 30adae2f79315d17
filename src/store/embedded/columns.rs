//! How a record lies in a table: one column per field, under the field's name, with its type.
//!
//! College, gateway and lane are the same for very many rows: the table `sources` numbers them, and a row has the number.
//! Every index ends with the key of the table, so a short key makes all of them short (measured: 411 bytes a row became 308).
//!
//! | in a record | in SQLite |
//! |---|---|
//! | instant | INTEGER, microseconds since 1970 UTC |
//! | unsigned number | INTEGER, the same 64 bits (no real count reaches the sign) |
//! | text | TEXT, empty where there is nothing to say |
//! | enumeration, reference | TEXT, the stable word |
//! | address | BLOB of 4 or 16 bytes, so that a network is a range |
//! | pseudonym | BLOB of 16 bytes |
//! | flags | INTEGER |
//!
//! `None` is NULL. Tables are STRICT: a value of another type is refused by SQLite itself.

use std::net::IpAddr;
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use crate::access::{
    AccessRecord, AccessRow, ActionTaken, CollegeCode, ConnectionRecord, ConnectionRow, Ending, Flags, GatewayName,
    HostSource, IdentitySource, IdentityStrength, Protocol, Pseudonym, Reference, Row, RowKey, Stream, Timestamp,
    Visit,
};
use crate::store::fields::{access_fields, connection_fields, word_types};

/// A field that is a column.
pub(super) trait Column: Sized {
    const TYPE: &'static str;
    fn to_sql(&self) -> ToSqlOutput<'_>;
    fn from_sql(value: ValueRef<'_>) -> Option<Self>;
}

macro_rules! integer_column {
    ($($name:ty),+) => {$(
        impl Column for $name {
            const TYPE: &'static str = "INTEGER NOT NULL";
            fn to_sql(&self) -> ToSqlOutput<'_> {
                i64::from(*self).into()
            }
            fn from_sql(value: ValueRef<'_>) -> Option<Self> {
                value.as_i64().ok()?.try_into().ok()
            }
        }
    )+};
}
integer_column!(u16, u32);

impl Column for u64 {
    const TYPE: &'static str = "INTEGER NOT NULL";
    fn to_sql(&self) -> ToSqlOutput<'_> {
        (*self as i64).into()
    }
    fn from_sql(value: ValueRef<'_>) -> Option<Self> {
        value.as_i64().ok().map(|n| n as u64)
    }
}

impl Column for Timestamp {
    const TYPE: &'static str = "INTEGER NOT NULL";
    fn to_sql(&self) -> ToSqlOutput<'_> {
        self.as_micros().into()
    }
    fn from_sql(value: ValueRef<'_>) -> Option<Self> {
        value.as_i64().ok().map(Timestamp::from_micros)
    }
}

impl Column for Flags {
    const TYPE: &'static str = "INTEGER NOT NULL";
    fn to_sql(&self) -> ToSqlOutput<'_> {
        i64::from(self.0).into()
    }
    fn from_sql(value: ValueRef<'_>) -> Option<Self> {
        u32::from_sql(value).map(Flags)
    }
}

impl Column for Option<u16> {
    const TYPE: &'static str = "INTEGER";
    fn to_sql(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Owned(self.map_or(Value::Null, |n| Value::Integer(n.into())))
    }
    fn from_sql(value: ValueRef<'_>) -> Option<Self> {
        value.as_i64_or_null().ok()?.map(u16::try_from).transpose().ok()
    }
}

impl Column for Arc<str> {
    const TYPE: &'static str = "TEXT NOT NULL";
    fn to_sql(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(ValueRef::Text(self.as_bytes()))
    }
    fn from_sql(value: ValueRef<'_>) -> Option<Self> {
        value.as_str().ok().map(Arc::from)
    }
}

impl Column for Option<Reference> {
    const TYPE: &'static str = "TEXT";
    fn to_sql(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Owned(self.map_or(Value::Null, |r| Value::Text(r.to_string())))
    }
    fn from_sql(value: ValueRef<'_>) -> Option<Self> {
        value.as_str_or_null().ok()?.map(str::parse).transpose().ok()
    }
}

impl Column for Option<Pseudonym> {
    const TYPE: &'static str = "BLOB";
    fn to_sql(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(self.as_ref().map_or(ValueRef::Null, |p| ValueRef::Blob(&p.0)))
    }
    fn from_sql(value: ValueRef<'_>) -> Option<Self> {
        let bytes = value.as_blob_or_null().ok()?;
        bytes.map(<[u8; 16]>::try_from).transpose().ok().map(|bytes| bytes.map(Pseudonym))
    }
}

impl Column for Option<IpAddr> {
    const TYPE: &'static str = "BLOB";
    fn to_sql(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Owned(self.map_or(Value::Null, |address| Value::Blob(address_bytes(address))))
    }
    fn from_sql(value: ValueRef<'_>) -> Option<Self> {
        match value.as_blob_or_null().ok()? {
            None => Some(None),
            Some(bytes) => match bytes.len() {
                4 => Some(Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?))),
                16 => Some(Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?))),
                _ => None,
            },
        }
    }
}

/// Network order, so that a network's addresses are one range of BLOBs of one length.
pub(super) fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

macro_rules! word_column {
    ($($name:ty: $parse:expr),+ $(,)?) => {$(
        impl Column for $name {
            const TYPE: &'static str = "TEXT NOT NULL";
            fn to_sql(&self) -> ToSqlOutput<'_> {
                ToSqlOutput::Borrowed(ValueRef::Text(self.as_str().as_bytes()))
            }
            fn from_sql(value: ValueRef<'_>) -> Option<Self> {
                $parse(value.as_str().ok()?).ok()
            }
        }
    )+};
}

word_types!(word_column);

/// A row that is a line of a table.
pub(super) trait TableRow: Sized {
    /// Names and types, in the order of [`TableRow::read`]: the key first.
    const COLUMNS: &'static [(&'static str, &'static str)];
    /// Binds the columns of the table: the source's number, then the others.
    fn bind(&self, source: i64, statement: &mut rusqlite::Statement<'_>) -> rusqlite::Result<()>;
    /// The name of the column that holds something that this program does not know.
    fn read(line: &rusqlite::Row<'_>) -> rusqlite::Result<Self>;
}

macro_rules! table_row {
    ($row:ident, $record:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        table_row!(@ $row, $record {
            college: CollegeCode, gateway: GatewayName, lane: u64, sequence: u64, slice: u32
        } { $($field: $type),+ });
    };
    (@ $row:ident, $record:ident { $($key:ident: $key_type:ty),+ } { $($field:ident: $type:ty),+ }) => {
        impl TableRow for $row {
            const COLUMNS: &'static [(&'static str, &'static str)] = &[
                $((stringify!($key), <$key_type as Column>::TYPE),)+
                $((stringify!($field), <$type as Column>::TYPE),)+
            ];

            fn bind(&self, source: i64, statement: &mut rusqlite::Statement<'_>) -> rusqlite::Result<()> {
                // Destructured, so that a field added to the record is an error here.
                let $row { key, record: $record { $($field),+ } } = self;
                statement.raw_bind_parameter(1, source)?;
                statement.raw_bind_parameter(2, Column::to_sql(&key.sequence))?;
                statement.raw_bind_parameter(3, Column::to_sql(&key.slice))?;
                let mut place = 3;
                $(place += 1; statement.raw_bind_parameter(place, Column::to_sql($field))?;)+
                Ok(())
            }

            fn read(line: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
                let mut columns = Reader { line, place: 0 };
                $(let $key = columns.next(stringify!($key))?;)+
                $(let $field = columns.next(stringify!($field))?;)+
                Ok($row { key: RowKey { $($key),+ }, record: $record { $($field),+ } })
            }
        }
    };
}

struct Reader<'a> {
    line: &'a rusqlite::Row<'a>,
    place: usize,
}

impl Reader<'_> {
    fn next<C: Column>(&mut self, name: &'static str) -> rusqlite::Result<C> {
        let value = self.line.get_ref(self.place)?;
        let read = C::from_sql(value);
        let wrong = || rusqlite::Error::InvalidColumnType(self.place, name.into(), value.data_type());
        let read = read.ok_or_else(wrong)?;
        self.place += 1;
        Ok(read)
    }
}

access_fields!(table_row);
connection_fields!(table_row);

/// The columns of a stream's table, in order.
pub(super) fn columns(stream: Stream) -> &'static [(&'static str, &'static str)] {
    match stream {
        Stream::Accesses => AccessRow::COLUMNS,
        Stream::Connections => ConnectionRow::COLUMNS,
    }
}

/// Columns of the key that stand in `sources`.
const SOURCE: [&str; 3] = ["college", "gateway", "lane"];

/// The columns of a stream's table as it lies in a file.
pub(super) fn table_columns(stream: Stream) -> impl Iterator<Item = (&'static str, &'static str)> {
    let own = columns(stream).iter().copied().filter(|(name, _)| !SOURCE.contains(name));
    std::iter::once(("source", "INTEGER NOT NULL")).chain(own)
}

/// The table and, for college, gateway and lane, its sources: for a SELECT of [`names`]. The order of the two is ours: the
/// rows lead, by the index that the question is for.
pub(super) fn from(stream: Stream) -> String {
    format!("\"{stream}\" CROSS JOIN sources USING (source)")
}

/// The names of a stream's columns, quoted (`end` is a word of SQL), for a SELECT that [`read_row`] reads.
pub(super) fn names(stream: Stream) -> String {
    let quoted: Vec<String> = columns(stream).iter().map(|(name, _)| format!("\"{name}\"")).collect();
    quoted.join(", ")
}

pub(super) fn bind_row(row: &Row, source: i64, statement: &mut rusqlite::Statement<'_>) -> rusqlite::Result<()> {
    match row {
        Row::Access(row) => row.bind(source, statement),
        Row::Connection(row) => row.bind(source, statement),
    }
}

pub(super) fn read_row(stream: Stream, line: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    match stream {
        Stream::Accesses => AccessRow::read(line).map(|row| Row::Access(Box::new(row))),
        Stream::Connections => ConnectionRow::read(line).map(|row| Row::Connection(Box::new(row))),
    }
}
