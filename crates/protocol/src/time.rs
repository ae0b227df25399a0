//! Points in time as the protocol writes them: ISO 8601, UTC, milliseconds.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970-01-01T00:00:00Z. On every wire it is the text that `JSON.stringify(new Date())` gives,
/// `2026-11-23T16:31:00.000Z`, in msgpack too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Timestamp of milliseconds since 1970, clamped to the years 0001 to 9999.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        if millis < MIN_MILLIS {
            Self(MIN_MILLIS)
        } else if millis > MAX_MILLIS {
            Self(MAX_MILLIS)
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, as JWT claims count them (RFC 7519 section 2, `NumericDate`).
    #[must_use]
    pub fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Timestamp later by `duration`.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// Timestamp earlier by `duration`.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_sub(millis))
    }

    /// Duration since `earlier`; zero when `earlier` is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Bounds of four-digit ISO 8601: the years 0001 to 9999.
const MIN_MILLIS: i64 = -62_135_596_800_000;
const MAX_MILLIS: i64 = 253_402_300_799_999;

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(0).plus(after),
            Err(before) => {
                Self::from_millis(i64::try_from(before.duration().as_millis()).map_or(MIN_MILLIS, |millis| -millis))
            }
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .map_err(|_out_of_range| fmt::Error)?;
        let text = iso_millis(time).ok_or(fmt::Error)?;
        f.write_str(str::from_utf8(&text).map_err(|_not_ascii| fmt::Error)?)
    }
}

/// Text of a time of the years 0000 to 9999. Every event and answer has one, and a format description costs ten times as much.
fn iso_millis(time: OffsetDateTime) -> Option<[u8; 24]> {
    let (year, millis) = (u16::try_from(time.year()).ok()?, time.millisecond());
    let [y1, y2] = two_digits(u8::try_from(year / 100).ok()?);
    let [y3, y4] = two_digits(u8::try_from(year % 100).ok()?);
    let [m1, m2] = two_digits(time.month().into());
    let [d1, d2] = two_digits(time.day());
    let [h1, h2] = two_digits(time.hour());
    let [min1, min2] = two_digits(time.minute());
    let [s1, s2] = two_digits(time.second());
    let [ms1, ms2] = two_digits(u8::try_from(millis / 10).ok()?);
    let [_, ms3] = two_digits(u8::try_from(millis % 10).ok()?);
    Some([
        y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', min1, min2, b':', s1, s2, b'.', ms1, ms2, ms3,
        b'Z',
    ])
}

/// Decimal digits of a number below 100.
fn two_digits(number: u8) -> [u8; 2] {
    [b'0' + number / 10 % 10, b'0' + number % 10]
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = OffsetDateTime::parse(&text, &Rfc3339)
            .map_err(|_unreadable| D::Error::custom("an ISO 8601 time was expected"))?;
        let millis = time.unix_timestamp_nanos().div_euclid(1_000_000);
        Ok(Self::from_millis(i64::try_from(millis).map_err(D::Error::custom)?))
    }
}

#[cfg(feature = "schema")]
impl Timestamp {
    /// Schema of a time or null. A derived `Option` is a field that may be absent; this one is a value.
    pub(crate) fn or_null(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"oneOf": [generator.subschema_for::<Self>(), {"type": "null"}]})
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Time as ISO 8601 (RFC 3339). Postern writes UTC with milliseconds.",
            "format": "date-time",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamp_is_written_as_javascript_writes_it() {
        let time = Timestamp::from_millis(1_795_451_460_007);
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"2026-11-23T16:31:00.007Z\"");
        assert_eq!(
            serde_json::from_str::<Timestamp>("\"2026-11-23T17:31:00.007+01:00\"").unwrap(),
            time
        );
    }

    #[test]
    fn extreme_timestamps_are_clamped_and_written() {
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::from_millis(i64::MIN).to_string(), "0001-01-01T00:00:00.000Z");
    }
}
