//! What the two kinds of record have in common for the journal.

use crate::access::encoding::Canonical;
use crate::access::{
    AccessRecord, AccessRow, ConnectionRecord, ConnectionRow, Ending, Flags, Row, RowKey, Stream, Timestamp,
};

/// A record that is kept: [`AccessRecord`] or [`ConnectionRecord`], and no other.
pub trait Journaled: Canonical + Clone + sealed::Sealed {
    const STREAM: Stream;
    fn flags(&mut self) -> &mut Flags;
    fn is_help_line(&self) -> bool;
    fn strip(&mut self);
    fn is_stripped(&self) -> bool;
    /// Start, end and ending.
    fn course(&mut self) -> Course<'_>;
    fn totals(&self) -> Totals;
    fn set_totals(&mut self, totals: Totals);
    fn into_row(self, key: RowKey) -> Row;
}

/// When it was, and how it ended.
pub struct Course<'a> {
    pub start: &'a mut Timestamp,
    pub end: &'a mut Timestamp,
    pub ending: &'a mut Ending,
}

/// Bytes each way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub up: u64,
    pub down: u64,
}

impl Totals {
    /// What came on top of `earlier`.
    pub(super) fn since(self, earlier: Totals) -> Totals {
        Totals { up: self.up.saturating_sub(earlier.up), down: self.down.saturating_sub(earlier.down) }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::access::AccessRecord {}
    impl Sealed for crate::access::ConnectionRecord {}
}

macro_rules! journaled {
    ($record:ident, $stream:ident, $row:ident, $variant:ident) => {
        impl Journaled for $record {
            const STREAM: Stream = Stream::$stream;

            fn flags(&mut self) -> &mut Flags {
                &mut self.flags
            }

            fn is_help_line(&self) -> bool {
                self.flags.contains(Flags::HELP_LINE)
            }

            fn strip(&mut self) {
                self.strip_help_line();
            }

            fn is_stripped(&self) -> bool {
                $record::is_stripped(self)
            }

            fn course(&mut self) -> Course<'_> {
                Course { start: &mut self.start, end: &mut self.end, ending: &mut self.ending }
            }

            fn totals(&self) -> Totals {
                Totals { up: self.bytes_up, down: self.bytes_down }
            }

            fn set_totals(&mut self, totals: Totals) {
                (self.bytes_up, self.bytes_down) = (totals.up, totals.down);
            }

            fn into_row(self, key: RowKey) -> Row {
                Row::$variant(Box::new($row { key, record: self }))
            }
        }
    };
}

journaled!(AccessRecord, Accesses, AccessRow, Access);
journaled!(ConnectionRecord, Connections, ConnectionRow, Connection);
