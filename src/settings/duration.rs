//! Durations in human notation: `90s`, `5m`, `1h30m`, `7d`.

use std::time::Duration;

/// Longest unit first, so that a duration is shown in its largest units.
const UNITS: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// Longest duration that a setting may have: ten years. A longer one is a typing error.
const SECONDS_MAX: u64 = 10 * 365 * 86_400;

/// Reads `90s`, `5m`, `1h30m`, `7d`, `2w` or `500ms`. A day is 24 hours.
///
/// # Errors
///
/// Returns a message that describes the error in `text`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let malformed =
        || format!("`{text}` is not a length of time; write one such as \"90s\", \"5m\", \"1h30m\" or \"7d\"");
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(malformed());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let number: u64 = number.parse().map_err(|_| malformed())?;
        let part = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, seconds)) => number.checked_mul(*seconds).map(Duration::from_secs),
            None if unit == "ms" => Some(Duration::from_millis(number)),
            None => return Err(malformed()),
        };
        total = part
            .and_then(|part| total.checked_add(part))
            .filter(|total| total.as_secs() <= SECONDS_MAX)
            .ok_or_else(|| format!("`{text}` is longer than ten years"))?;
        rest = tail.trim_start();
    }
    Ok(total)
}

/// The shortest way to write `duration`, in whole seconds unless it is shorter than one: `1h30m`, `7d`, `250ms`.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let mut seconds = duration.as_secs();
    if seconds == 0 {
        return if duration.is_zero() { "0s".to_owned() } else { format!("{}ms", duration.as_millis()) };
    }
    let mut out = String::new();
    // Weeks are read but never written: 14 days is more common than two weeks.
    for (name, length) in &UNITS[1..] {
        let count = seconds / length;
        if count > 0 {
            out.push_str(&format!("{count}{name}"));
            seconds %= length;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_read_as_people_write_them() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(show_duration(Duration::from_secs(5_400)), "1h30m");
        assert_eq!(show_duration(Duration::from_secs(604_800)), "7d");
        assert_eq!(show_duration(Duration::from_millis(250)), "250ms");
    }

    #[test]
    fn what_is_no_length_of_time_is_refused_and_nothing_overflows() {
        for text in ["", "5", "m", "5 minutes", "5M", "-5m", "5m3", "1.5h", "é5m", "18446744073709551616s"] {
            assert!(parse_duration(text).unwrap_err().contains("is not a length of time"), "{text}");
        }
        for text in ["99999999999999999w", "18446744073709551615ms", "3651d"] {
            assert!(parse_duration(text).unwrap_err().contains("longer than ten years"), "{text}");
        }
    }
}
