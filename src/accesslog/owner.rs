//! Whose rows a lane holds: written once into a file of its own when the lane is made, and in each segment's header.
//!
//! Either is enough, so that a damaged header costs nothing but itself. The file `owner` is one line, `0131234A gw-1
//! 1795435200000000 <crc>`: college, gateway, when the lane was made in microseconds since 1970 UTC, and the CRC-32C of
//! what comes before in 8 hexadecimal digits. A line whose checksum is wrong says nothing.

use std::io;
use std::path::Path;

use super::disk::{Disk, write_aside};
use super::header::Header;
use crate::access::{CollegeCode, GatewayName, Timestamp};

/// Of which college and gateway the rows of a lane are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub college: CollegeCode,
    pub gateway: GatewayName,
    /// Nothing in the lane is older.
    pub since: Timestamp,
}

const NAME: &str = "owner";
const LONGEST: u64 = 256;

impl Owner {
    pub(super) fn write(&self, disk: &dyn Disk, lane: &Path) -> io::Result<()> {
        write_aside(disk, lane, NAME, self.line().as_bytes()).map(drop)
    }

    /// As the lane's file says; `None` where it is not there or damaged.
    pub(super) fn read(disk: &dyn Disk, lane: &Path) -> Option<Owner> {
        Owner::parse(std::str::from_utf8(&disk.read(&lane.join(NAME), 0, LONGEST).ok()?).ok()?)
    }

    pub(super) fn of_header(header: &Header) -> Owner {
        Owner { college: header.college.clone(), gateway: header.gateway.clone(), since: header.opened }
    }

    fn line(&self) -> String {
        let names = format!("{} {} {}", self.college, self.gateway, self.since.as_micros());
        format!("{names} {:08x}\n", crc32c::crc32c(names.as_bytes()))
    }

    fn parse(line: &str) -> Option<Owner> {
        let (names, crc) = line.strip_suffix('\n')?.rsplit_once(' ')?;
        if u32::from_str_radix(crc, 16) != Ok(crc32c::crc32c(names.as_bytes())) {
            return None;
        }
        let mut words = names.split(' ');
        let college = CollegeCode::parse(words.next()?).ok()?;
        let gateway = GatewayName::parse(words.next()?).ok()?;
        let since = Timestamp::from_micros(words.next()?.parse().ok()?);
        words.next().is_none().then_some(Owner { college, gateway, since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_changed_anywhere_says_nothing() {
        let owner = Owner {
            college: CollegeCode::parse("0131234A").unwrap(),
            gateway: GatewayName::parse("gw-1").unwrap(),
            since: Timestamp::from_micros(1_795_435_200_000_000),
        };
        let line = owner.line();
        assert_eq!(Owner::parse(&line), Some(owner));
        for at in 0..line.len() {
            let mut bytes = line.clone().into_bytes();
            bytes[at] ^= 1;
            assert_eq!(String::from_utf8(bytes).ok().and_then(|line| Owner::parse(&line)), None, "byte {at}");
            assert_eq!(Owner::parse(&line[..at]), None, "cut at {at}");
        }
    }
}
