//! Calendar months in UTC, by which providers count requests.

use jiff::{Timestamp, tz::TimeZone};
use std::time::Duration;

/// The calendar month that contains `now`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Month {
    /// Name of the month, such as `2026-11`.
    pub(super) name: String,
    /// Time left in the month, always greater than 0.
    pub(super) rest: Duration,
}

impl Month {
    pub(super) fn from_timestamp(now: Timestamp) -> Self {
        let zoned = now.to_zoned_datetime(TimeZone::UTC);
        let next = zoned.date().last_of_month().tomorrow().and_then(|day| day.to_zoned_datetime(TimeZone::UTC));
        // At the end of the representable time range there is no next month.
        let rest = next.ok().and_then(|next| Duration::try_from(next.timestamp().duration_since(now)).ok());
        Self {
            name: format!("{:04}-{:02}", zoned.year(), zoned.month()),
            rest: rest.unwrap_or(Duration::from_secs(1)).max(Duration::from_secs(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_with_its_last_second_in_utc() {
        let of = |at: &str| Month::from_timestamp(at.parse().expect("a time"));
        let told = |month: Month| (month.name, month.rest.as_secs());
        assert_eq!(told(of("2026-11-30T23:59:58Z")), ("2026-11".to_owned(), 2));
        assert_eq!(told(of("2026-12-01T00:00:00Z")), ("2026-12".to_owned(), 31 * 86_400));
        assert_eq!(told(of("2028-02-01T00:00:00Z")), ("2028-02".to_owned(), 29 * 86_400));
        assert_eq!(told(of("2027-01-01T12:00:00+14:00")), ("2026-12".to_owned(), 2 * 3_600));
        assert_eq!(Month::from_timestamp(Timestamp::MAX).rest, Duration::from_secs(1));
    }
}
