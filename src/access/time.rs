//! An instant as the log keeps it.

use super::text_enum::as_text;

/// Microseconds since 1970-01-01T00:00:00 UTC. The log knows UTC only; local time belongs to policy and pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// Microseconds in one hour: the grain at which a help-line access is kept.
const HOUR_US: i64 = 3_600_000_000;
/// Microseconds in one UTC day (leap seconds are smeared or repeated by the system's clock).
const DAY_US: i64 = 24 * HOUR_US;

impl Timestamp {
    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The whole hour it falls in.
    pub fn hour(self) -> Self {
        Timestamp(self.0.div_euclid(HOUR_US) * HOUR_US)
    }

    /// Days since 1970-01-01, UTC: the day part a row belongs to.
    pub fn day(self) -> i32 {
        // 2^63 µs are 292,000 years: the quotient fits.
        self.0.div_euclid(DAY_US) as i32
    }

    /// The first instant of a UTC day.
    pub fn start_of_day(day: i32) -> Self {
        Timestamp(i64::from(day) * DAY_US)
    }

    pub fn plus(self, duration: std::time::Duration) -> Self {
        Timestamp(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    pub fn minus(self, duration: std::time::Duration) -> Self {
        Timestamp(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` it is; zero when it is not after.
    pub fn since(self, earlier: Timestamp) -> std::time::Duration {
        std::time::Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// As a jiff instant, for calendars and time zones. Out-of-range values are clamped.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(instant: jiff::Timestamp) -> Self {
        Timestamp(instant.as_microsecond())
    }
}

/// RFC 3339 in UTC with six decimals: `2026-11-23T08:15:00.123456Z`. Texts sort as the instants do.
impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let civil = jiff::tz::Offset::UTC.to_datetime(self.to_jiff());
        write!(f, "{}.{:06}Z", civil.strftime("%Y-%m-%dT%H:%M:%S"), self.0.rem_euclid(1_000_000))
    }
}

impl std::str::FromStr for Timestamp {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        Ok(text.parse::<jiff::Timestamp>()?.into())
    }
}

as_text!(Timestamp);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_printed_in_utc_and_read_back() {
        let t = Timestamp::from_micros(1_795_421_700_123_456);
        assert_eq!(t.to_string(), "2026-11-23T08:15:00.123456Z");
        assert_eq!(t.to_string().parse::<Timestamp>().unwrap(), t);
        assert_eq!(t.hour().to_string(), "2026-11-23T08:00:00.000000Z");
    }

    #[test]
    fn the_day_of_an_instant_before_1970_is_the_day_before() {
        assert_eq!(Timestamp::from_micros(-1).day(), -1);
        assert_eq!(Timestamp::start_of_day(-1).as_micros(), -DAY_US);
    }
}
