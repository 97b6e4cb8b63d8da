//! Weekly hours as people write them: `Fri 08:00-18:00 Europe/Zurich`.

use crate::classify::rule::{Hours, Span, Weekly};
use crate::settings::nearest_name;
use jiff::tz::TimeZone;

/// Monday is bit 0.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const EVERY_DAY: u8 = 0b111_1111;
const MINUTES_OF_A_DAY: u16 = 24 * 60;
const USAGE: &str = "write hours such as \"Mon-Fri 09:00-17:00 Europe/Berlin\"";
const MOMENTS_USAGE: &str = "write moments such as \"Fri 18:00 Europe/Berlin\"";

/// Parses spans with an IANA time zone behind them.
///
/// Spans are days followed by times; both may be lists: `Mon,Wed 08:00-12:00,13:00-17:00`. Spans without days apply to
/// every day. `22:00-06:00` ends the next morning.
///
/// Returns an error with the problem and the accepted form.
pub(super) fn parse_hours(text: &str) -> Result<Hours, (String, String)> {
    let (spans, zone) = split_time_zone(text, USAGE)?;
    Ok(Hours { text: text.trim().into(), zone, spans: parse_spans(spans)? })
}

/// Parses moments with an IANA time zone behind them: `Fri 18:00 Europe/Zurich`, `Mon-Fri 09:00,17:00 UTC`. Moments
/// without days apply to every day.
///
/// Returns an error with the problem and the accepted form.
pub(super) fn parse_moments(text: &str) -> Result<Weekly, (String, String)> {
    let (words, zone) = split_time_zone(text, MOMENTS_USAGE)?;
    let mut moments = Vec::new();
    let (mut days, mut timed) = (0u8, true);
    for word in words.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()) {
        if let Some(named) = parse_days(word) {
            days = if timed { named } else { days | named };
            timed = false;
        } else {
            let minute = parse_minute_of_day(word).filter(|minute| *minute < MINUTES_OF_A_DAY);
            let Some(minute) = minute else {
                let message = format!("`{word}` is neither a day such as `Fri` nor a time such as `18:00`");
                return Err((message, MOMENTS_USAGE.to_owned()));
            };
            moments.push((if days == 0 { EVERY_DAY } else { days }, minute));
            timed = true;
        }
    }
    if !timed || moments.is_empty() {
        return Err((format!("`{}` names no time", words.trim()), MOMENTS_USAGE.to_owned()));
    }
    Ok(Weekly { text: text.trim().into(), zone, moments })
}

/// Splits off the time zone: returns the text before it, and the zone.
fn split_time_zone<'t>(text: &'t str, usage: &str) -> Result<(&'t str, TimeZone), (String, String)> {
    let trimmed = text.trim();
    let (spans, zone) = trimmed.rsplit_once(char::is_whitespace).unwrap_or((trimmed, ""));
    if zone.is_empty() || zone.starts_with(|c: char| c.is_ascii_digit()) || parse_weekday(zone).is_some() {
        return Err((format!("`{text}` names no time zone"), usage.to_owned()));
    }
    let tz = TimeZone::get(zone).map_err(|_| (format!("`{zone}` is not a time zone"), place_for(zone)))?;
    Ok((spans, tz))
}

/// Common abbreviations of zones, with places that use that time; several places where an abbreviation means several
/// zones. None of them resembles another zone's name by more than its letters.
const ABBREVIATIONS: [(&str, &[&str]); 22] = [
    ("AEDT", &["Australia/Sydney"]),
    ("AEST", &["Australia/Sydney", "Australia/Brisbane"]),
    ("AKST", &["America/Anchorage"]),
    ("BST", &["Europe/London", "Asia/Dhaka"]),
    ("CDT", &["America/Chicago"]),
    ("CEST", &["Europe/Berlin"]),
    ("CST", &["America/Chicago", "Asia/Shanghai"]),
    ("EDT", &["America/New_York"]),
    ("EEST", &["Europe/Kyiv"]),
    ("HKT", &["Asia/Hong_Kong"]),
    ("IST", &["Asia/Kolkata", "Asia/Jerusalem", "Europe/Dublin"]),
    ("JST", &["Asia/Tokyo"]),
    ("KST", &["Asia/Seoul"]),
    ("MDT", &["America/Denver"]),
    ("MSK", &["Europe/Moscow"]),
    ("NZDT", &["Pacific/Auckland"]),
    ("NZST", &["Pacific/Auckland"]),
    ("PDT", &["America/Los_Angeles"]),
    ("PST", &["America/Los_Angeles"]),
    ("SGT", &["Asia/Singapore"]),
    ("WEST", &["Europe/Lisbon"]),
    ("Z", &["UTC"]),
];

/// Returns what to write for an unknown time zone. Suggestions are names of places only: zones by letters alone are
/// hours apart even if their names are similar.
fn place_for(zone: &str) -> String {
    if let Some((_, places)) = ABBREVIATIONS.iter().find(|(short, _)| short.eq_ignore_ascii_case(zone)) {
        return format!(
            "an abbreviation does not say when clocks change; name the place, such as `{}`",
            places.join("` or `")
        );
    }
    let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    let places = known.iter().map(String::as_str).filter(|name| name.contains('/') && !name.starts_with("Etc/"));
    match nearest_name(zone, places) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "name a place of the IANA database, such as `Europe/Zurich`, or `UTC`".to_owned(),
    }
}

fn parse_spans(text: &str) -> Result<Vec<Span>, (String, String)> {
    let fail = |message: String| {
        let hint = if message.contains("empty span") { "all day is `00:00-24:00`" } else { USAGE };
        (message, hint.to_owned())
    };
    let mut spans = Vec::new();
    // Days are collected until a time follows; a day after a time starts a new span.
    let (mut days, mut timed) = (0u8, true);
    for word in text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()) {
        if let Some(named) = parse_days(word) {
            days = if timed { named } else { days | named };
            timed = false;
        } else {
            let (from, until) = parse_times(word).map_err(fail)?;
            spans.push(Span { days: if days == 0 { EVERY_DAY } else { days }, from, until });
            timed = true;
        }
    }
    if !timed || spans.is_empty() {
        return Err(fail(format!("`{}` names no hours", text.trim())));
    }
    Ok(spans)
}

/// Parses `Fri`, `Mon-Fri` or `Sat-Mon`.
fn parse_days(word: &str) -> Option<u8> {
    let Some((first, last)) = word.split_once('-') else { return parse_weekday(word).map(|index| 1 << index) };
    let (mut index, last) = (parse_weekday(first)?, parse_weekday(last)?);
    let mut mask = 1 << index;
    while index != last {
        index = (index + 1) % 7;
        mask |= 1 << index;
    }
    Some(mask)
}

fn parse_weekday(word: &str) -> Option<usize> {
    DAYS.iter().position(|name| name.eq_ignore_ascii_case(word))
}

/// Parses `08:00-18:00` to minutes of the day.
fn parse_times(word: &str) -> Result<(u16, u16), String> {
    let usage = || format!("`{word}` is neither a day such as `Fri` nor hours such as `08:00-18:00`");
    let (from, until) = word.split_once('-').ok_or_else(usage)?;
    let (from, until) = (parse_minute_of_day(from).ok_or_else(usage)?, parse_minute_of_day(until).ok_or_else(usage)?);
    if from == until || from == MINUTES_OF_A_DAY {
        return Err(format!("`{word}` is an empty span, so the rule could never hold"));
    }
    // A span until midnight may also end with 00:00.
    Ok((from, if until == 0 { MINUTES_OF_A_DAY } else { until }))
}

fn parse_minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour, 2) || !digits(minute, 2) || minute.len() != 2 {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= MINUTES_OF_A_DAY).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str) -> Vec<(u8, u16, u16)> {
        let hours = parse_hours(text).unwrap_or_else(|(message, _)| panic!("{message}"));
        hours.spans.iter().map(|span| (span.days, span.from, span.until)).collect()
    }

    fn refused(text: &str) -> String {
        let (message, hint) = parse_hours(text).expect_err(text);
        format!("{message} | {hint}")
    }

    #[test]
    fn hours_read_as_people_write_them() {
        assert_eq!(spans("Fri 08:00-18:00 Europe/Zurich"), [(1 << 4, 480, 1080)]);
        assert_eq!(spans("Mon-Fri 9:00-17:30 Europe/Berlin"), [(0b1_1111, 540, 1050)]);
        assert_eq!(spans("00:00-24:00 UTC"), [(EVERY_DAY, 0, 1440)]);
        assert_eq!(spans("mon,Wed 08:00-12:00,13:00-17:00 UTC"), [(0b101, 480, 720), (0b101, 780, 1020)]);
        assert_eq!(spans("Mon 08:00-12:00, Sat-Sun 10:00-11:00 UTC"), [(1, 480, 720), (0b110_0000, 600, 660)]);
        assert_eq!(spans("Sat-Mon 01:00-02:00 UTC"), [(0b110_0001, 60, 120)]);
    }

    #[test]
    fn a_span_over_midnight_keeps_its_order() {
        assert_eq!(spans("Fri 22:00-06:00 UTC"), [(1 << 4, 1320, 360)]);
        assert_eq!(spans("Fri 22:00-00:00 UTC"), [(1 << 4, 1320, 1440)]);
    }

    #[test]
    fn moments_read_as_people_write_them() {
        let read = |text: &str| parse_moments(text).unwrap_or_else(|(message, _)| panic!("{message}")).moments;
        assert_eq!(read("Fri 18:00 Europe/Zurich"), [(1 << 4, 1080)]);
        assert_eq!(read("09:00 UTC"), [(EVERY_DAY, 540)]);
        assert_eq!(read("Mon,Wed 09:00,17:00 UTC"), [(0b101, 540), (0b101, 1020)]);
        let refused = |text: &str| parse_moments(text).expect_err(text).0;
        assert_eq!(refused("Fri 18:00"), "`Fri 18:00` names no time zone");
        assert_eq!(refused("Fri UTC"), "`Fri` names no time");
        assert_eq!(refused("Fri 24:00 UTC"), "`24:00` is neither a day such as `Fri` nor a time such as `18:00`");
        assert_eq!(
            refused("Fri 08:00-18:00 UTC"),
            "`08:00-18:00` is neither a day such as `Fri` nor a time such as `18:00`"
        );
    }

    #[test]
    fn what_are_no_hours_says_why() {
        assert!(refused("Fri 08:00-08:00 UTC").contains("could never hold"));
        assert!(refused("Fri 08:00-18:00").contains("names no time zone"));
        assert!(refused("Fri").contains("names no time zone"));
        assert!(refused("Fri Europe/Zurich").contains("names no hours"));
        assert!(refused("08:00-18:00 Mon UTC").contains("names no hours"));
        assert!(refused("Europe/Zurich").contains("names no time zone"));
        assert!(refused("Fryday 08:00-18:00 UTC").contains("`Fryday` is neither a day"));
        assert!(refused("Fri 25:00-26:00 UTC").contains("neither a day"));
        assert!(refused("Fri 08:00-18:00 Europe/Zürich").contains("did you mean `Europe/Zurich`?"));
        assert!(refused("").contains("names no time zone"));
    }
}
