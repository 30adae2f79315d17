//! What the log does not hold, and says so: a gap is a record of its own.

use serde::{Deserialize, Serialize};

use super::ids::{CollegeCode, GatewayName};
use super::record::Stream;
use super::time::Timestamp;

/// Records are missing, or were not written, and why.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    pub since: Timestamp,
    pub until: Timestamp,
    /// How many accesses or connections; 0: nobody knows.
    pub count: u64,
    /// The damaged segment it is about; 0: none.
    pub segment: u32,
    /// In words, for whoever reads the log: `disk full, traffic passed`.
    pub cause: String,
}

/// A gap with the stream, the lane and the gateway it is of. Two that are equal are one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GapRow {
    pub college: CollegeCode,
    pub gateway: GatewayName,
    pub lane: u64,
    pub stream: Stream,
    pub gap: Gap,
}
