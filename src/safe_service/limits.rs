//! Limits of a service, read from the headers of its responses.
//!
//! Headers that are read: `Retry-After` (RFC 9110), `X-RateLimit-Remaining` and `-Reset` as sent by hosted services,
//! the same without the `X-`, and `RateLimit`, written as `limit=5, remaining=0, reset=9` or as `"day";r=0;t=9` (drafts
//! of the IETF's HTTPAPI group).

use crate::http::retry_after;
use reqwest::header::HeaderMap;
use std::time::Duration;

/// Maximum number of statements about limits that are read from one response; a service has one for each second, day or
/// month.
const STATEMENTS_MAX: usize = 8;
/// Value in seconds above which a reset is a timestamp and not a duration: no quota lasts thirty years. Values above a
/// thousand times this are milliseconds.
const EPOCH_AFTER: u64 = 1_000_000_000;

/// Limits given in a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Duration for which the service must not be queried.
    pub(super) pause: Option<Duration>,
    /// Remaining requests of each of its quotas.
    pub(super) left: Vec<RemainingQuota>,
}

/// Remaining requests of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RemainingQuota {
    /// Number of requests left.
    pub(super) requests: u64,
    /// Time until the quota is refilled.
    pub(super) reset: Duration,
}

impl Limits {
    /// Reads `headers`; values that are not numbers are ignored. `now_ms` is wall-clock milliseconds.
    pub(super) fn from_headers(headers: &HeaderMap, now_ms: u64) -> Self {
        let number = |name: &str| parse_leading_number(headers.get(name)?.to_str().ok()?);
        let pair = |remaining: &str, reset: &str| {
            Some(RemainingQuota { requests: number(remaining)?, reset: wait_until_reset(number(reset)?, now_ms) })
        };
        let mut left = Vec::new();
        left.extend(pair("x-ratelimit-remaining", "x-ratelimit-reset"));
        left.extend(pair("ratelimit-remaining", "ratelimit-reset"));
        let whole = headers.get_all("ratelimit").iter().filter_map(|value| value.to_str().ok());
        left.extend(whole.flat_map(|text| parse_combined_header(text, now_ms)).take(STATEMENTS_MAX));
        Self { pause: retry_after(headers, now_ms), left }
    }
}

/// `RateLimit` in either of its forms.
fn parse_combined_header(text: &str, now_ms: u64) -> Vec<RemainingQuota> {
    let of = |part: &str| {
        let mut left = (None, None);
        for (key, value) in part.split([';', ',']).filter_map(|item| item.trim().split_once('=')) {
            match key.trim() {
                "r" | "remaining" => left.0 = parse_leading_number(value),
                "t" | "reset" => left.1 = parse_leading_number(value),
                _ => {}
            }
        }
        Some(RemainingQuota { requests: left.0?, reset: wait_until_reset(left.1?, now_ms) })
    };
    // The older form uses commas between the parts of its single statement, the newer form between statements.
    if text.contains("remaining=") { of(text).into_iter().collect() } else { text.split(',').filter_map(of).collect() }
}

/// Returns the number at the beginning of `text`, such as `5` of `5;w=60`.
fn parse_leading_number(text: &str) -> Option<u64> {
    let text = text.trim();
    text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())].parse().ok()
}

/// Returns the time left until `reset`, which is a wait in seconds, or a time in seconds or milliseconds since 1970.
fn wait_until_reset(reset: u64, now_ms: u64) -> Duration {
    match reset {
        0..EPOCH_AFTER => Duration::from_secs(reset),
        _ if reset / 1_000 < EPOCH_AFTER => Duration::from_millis((reset * 1_000).saturating_sub(now_ms)),
        _ => Duration::from_millis(reset.saturating_sub(now_ms)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn read(lines: &[(&str, &str)]) -> Limits {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        Limits::from_headers(&headers, 1_795_168_800_000)
    }

    fn left(lines: &[(&str, &str)]) -> Vec<(u64, u64)> {
        read(lines).left.iter().map(|left| (left.requests, left.reset.as_secs())).collect()
    }

    #[test]
    fn what_is_left_is_read_in_every_form() {
        let x = |remaining, reset| [("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", reset)];
        assert_eq!(left(&x("7", "30")), [(7, 30)]);
        assert_eq!(left(&x("0", "1795168860")), [(0, 60)], "a time");
        assert_eq!(left(&x("0", "1795168860000")), [(0, 60)], "the same in milliseconds");
        assert_eq!(left(&x("0", "1795168000")), [(0, 0)], "a time that is past");
        assert_eq!(left(&[("ratelimit-remaining", "3"), ("ratelimit-reset", "9")]), [(3, 9)]);
        assert_eq!(left(&[("ratelimit", "limit=5, remaining=2, reset=9")]), [(2, 9)]);
        assert_eq!(left(&[("ratelimit", "\"burst\";r=1;t=2, \"day\";r=40;t=900")]), [(1, 2), (40, 900)]);
        assert_eq!(left(&[("ratelimit", "\"a\";r=1;t=2"), ("ratelimit", "\"b\";r=3;t=4")]), [(1, 2), (3, 4)]);
    }

    #[test]
    fn what_makes_no_sense_is_nothing_that_was_said() {
        let many = "\"a\";r=1;t=2,".repeat(1_000);
        assert_eq!(left(&[("ratelimit", &many)]).len(), STATEMENTS_MAX);
        for lines in [
            [("x-ratelimit-remaining", "many"), ("x-ratelimit-reset", "9")],
            [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "-1")],
            [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "99999999999999999999")],
            [("ratelimit", "remaining=1"), ("retry-after", "tomorrow")],
            [("ratelimit", "\u{e9};r=\u{661};t=3"), ("x-ratelimit-reset", "9")],
        ] {
            assert_eq!(read(&lines), Limits::default(), "{lines:?}");
        }
        assert_eq!(left(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "18446744073709551615")]).len(), 1);
    }
}
