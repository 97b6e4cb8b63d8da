//! Expected actions that did not occur in time.
//!
//! Input: the expected actions of each watch, the windows, a block's time. Output: a finding for each due time that
//! passed, and the entries to remember. Due times are judged at the first block after their grace, before that block's
//! activities: an expected action in that block is late.
//!
//! Nothing is judged between blocks. A chain that stands still is reported as an outage, and the due times that passed
//! meanwhile are judged with its next block.

use super::baseline;
use super::history::{History, LASTING};
use super::judge::Moment;
use super::rule::{Rule, Rules, WatchRules};
use super::rule_result::Windows;
use crate::model::verdict::CAME_LATE;
use crate::model::{
    Abnormal, Activity, ChainId, DecodedCall, Fate, Judged, Operation, Position, Role, Severity, Stage, Verdict,
    WindowEntry, span,
};
use alloy_primitives::{Address, B256, U256};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use std::sync::Arc;

/// Days searched for the last two due times of a week.
const DAYS_BACK: i64 = 15;

/// An action that must come repeatedly.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Rule that matches the expected action, and gives the name and the severity of its absence. It vouches for
    /// nothing and raises nothing by itself.
    pub rule: Rule,
    /// Time by which the action must come.
    pub due: Due,
    /// Number of seconds that the action may be late.
    pub grace: u64,
}

impl Expected {
    /// Returns the length in seconds of the windows that this expected action needs: two due times and the grace
    /// between them.
    pub(crate) fn looks_back(&self) -> u64 {
        let between = match &self.due {
            Due::Every { seconds, .. } => *seconds,
            Due::By(_) => 7 * 86_400,
        };
        between.saturating_mul(2).saturating_add(self.grace)
    }
}

/// Time by which an action must come.
#[derive(Clone, Debug)]
pub enum Due {
    /// `every`: at most this long after the last one.
    Every {
        /// Seconds, never zero.
        seconds: u64,
        /// Text as written in the watchlist.
        text: Arc<str>,
    },
    /// `by`: once before each of these moments.
    By(Weekly),
}

/// Moments of a week in a time zone.
#[derive(Clone, Debug)]
pub struct Weekly {
    /// Text as written in the watchlist.
    pub text: Arc<str>,
    /// IANA zone.
    pub zone: TimeZone,
    /// Days (bit 0 is Monday) and minute of the day, 0 to 1439.
    pub moments: Vec<(u8, u16)>,
}

/// Returns a finding for every action that `chain`'s watches expected by now and that did not come, and the entries to
/// remember.
///
/// `history` holds the windows before the block of `at`. An expected action counts from the first block that is judged
/// with it.
#[must_use]
pub fn find_missed_expectations(
    rules: &Rules,
    chain: ChainId,
    history: &History,
    at: Moment,
) -> (Vec<Judged>, Vec<WindowEntry>) {
    let (mut judged, mut deltas) = (Vec::new(), Vec::new());
    let timed = rules.timed.iter().filter_map(|watch| rules.watches.get(watch.index()));
    for rules in timed.filter(|rules| rules.chain == chain) {
        let (missing, more) = absences_of(rules, history, at);
        judged.extend(missing);
        deltas.extend(more);
    }
    (judged, deltas)
}

/// The same for one watch.
#[must_use]
pub fn absences_of(rules: &WatchRules, history: &History, at: Moment) -> (Vec<Judged>, Vec<WindowEntry>) {
    let windows = Windows::new(history, at.time);
    let (mut judged, mut deltas) = (Vec::new(), Vec::new());
    let delta = |rule: Arc<str>, amount: U256| WindowEntry { watch: rules.address, rule, amount };
    for rule in rules.rules.iter().filter(|rule| baseline::asks_since(rule)) {
        if history.first_entry_time(rules.address, &since_key(rule)).is_none() {
            deltas.push(delta(since_key(rule), U256::ONE));
        }
    }
    for expected in &rules.expected {
        let Some(since) = history.first_entry_time(rules.address, &since_key(&expected.rule)) else {
            deltas.push(delta(since_key(&expected.rule), U256::ONE));
            continue;
        };
        if let Some(missed) = missed_occurrence(expected, since, rules.address, &windows) {
            deltas.push(delta(missed_key(&expected.rule), U256::from(missed.due)));
            judged.push(missed_expectation_finding(expected, rules, &missed));
        }
    }
    (judged, deltas)
}

/// Returns whether the rules of a watch have to be evaluated in every block.
#[must_use]
pub fn keeps_time(rules: &WatchRules) -> bool {
    !rules.expected.is_empty() || rules.rules.iter().any(baseline::asks_since)
}

/// Returns the window entry for a block in which the expected action occurs.
#[must_use]
pub fn arrival_entry(expected: &Expected, watch: Address) -> WindowEntry {
    WindowEntry { watch, rule: came_key(&expected.rule), amount: U256::ONE }
}

/// Returns the window entry for an activity that meets an expectation: late for the missed due time, or in time for the
/// next.
pub(crate) fn expectation_entry(
    expected: &Expected,
    activity: &Activity,
    watch: Address,
    windows: &Windows<'_>,
) -> Option<(Arc<str>, U256)> {
    if activity.fate != Fate::Executed || activity.stage != Stage::Included {
        return None;
    }
    let missed = last_amount(windows, watch, &missed_key(&expected.rule));
    let made_up = last_amount(windows, watch, &late_key(&expected.rule));
    let lesson = match missed.filter(|due| made_up.is_none_or(|made_up| made_up < *due)) {
        Some(due) => (late_key(&expected.rule), U256::from(due)),
        None => (came_key(&expected.rule), U256::ONE),
    };
    (!windows.is_of_this_block(watch, &lesson.0, lesson.1)).then_some(lesson)
}

/// A due time that passed.
struct Missed {
    due: u64,
    /// Time of its last occurrence; `None` if it has not occurred since it became expected.
    last: Option<u64>,
    /// Number of consecutive missed due times, including this one, where known.
    row: u64,
}

fn missed_occurrence(expected: &Expected, since: u64, watch: Address, windows: &Windows<'_>) -> Option<Missed> {
    let rule = &expected.rule;
    let told = last_amount(windows, watch, &missed_key(rule));
    let came = windows.last_entry_time(watch, &came_key(rule));
    let late = windows.last_entry_time(watch, &late_key(rule));
    let last = came.max(late);
    let horizon = windows.now.checked_sub(expected.grace.saturating_add(1))?;
    match &expected.due {
        Due::Every { seconds, .. } => {
            let base = last.into_iter().chain(told).fold(since, u64::max);
            let row = horizon.checked_sub(base)? / seconds;
            (row > 0).then(|| Missed { due: base + row * seconds, last, row })
        }
        Due::By(weekly) => {
            let (before, due) = weekly.last_two(horizon)?;
            if due <= since || told.is_some_and(|told| told >= due) {
                return None;
            }
            // The window starts after the end of the previous grace, which it excludes, and ends with this one's.
            let window = windows.now.saturating_sub(before + expected.grace);
            let until = due + expected.grace;
            let in_time = windows.entries_within(watch, &came_key(rule), window).any(|(time, _)| time <= until);
            (!in_time).then_some(Missed { due, last, row: 1 })
        }
    }
}

/// An absence has no transaction: its cause is the rule and the due time.
fn missed_expectation_finding(expected: &Expected, rules: &WatchRules, missed: &Missed) -> Judged {
    let rule = &expected.rule;
    let when = match &expected.due {
        Due::Every { text, .. } => format!("every {text}"),
        Due::By(weekly) => format!("by {}", weekly.text),
    };
    let last = missed.last.map_or("it was not seen since it is expected".to_owned(), |last| {
        format!("it came last at {}", format_rfc3339(last))
    });
    let mut reasons = vec![format!("{}: expected {when}, and {last}", rule.name)];
    if expected.grace > 0 {
        reasons.push(format!("{}: {} of grace are over", rule.name, span::format_duration(expected.grace)));
    }
    if missed.row > 1 {
        reasons.push(format!("{}: {} due times passed without it", rule.name, missed.row));
    }
    Judged {
        activity: Activity {
            watch: rules.watch,
            kind: rule.kind,
            stage: Stage::Included,
            fate: Fate::Waiting,
            tx: B256::ZERO,
            tx_index: 0,
            position: Position::Due(missed.due),
            from: rules.address,
            origin: Address::ZERO,
            to: None,
            value: U256::ZERO,
            deed: DecodedCall::without_calldata(Arc::clone(&rule.name), rule.deed.watchlist_text(), Vec::new()),
            operation: Operation::Call,
            signers: Some(Vec::new()),
            via: Vec::new(),
            role: Role::Leaf,
            notes: Vec::new(),
        },
        verdict: Verdict::Abnormal(Abnormal {
            rule: Arc::clone(&rule.name),
            severity: rule.severity.unwrap_or(Severity::High),
            near: reasons.len(),
            reasons,
            observe: rules.observe || rule.observe,
            hushed: false,
            repeats: None,
        }),
    }
}

impl Weekly {
    /// Returns the last two due times up to `now`, in Unix seconds, or `None` for a time outside the calendar.
    pub(crate) fn last_two(&self, now: u64) -> Option<(u64, u64)> {
        let instant = Timestamp::from_second(i64::try_from(now).ok()?).ok()?;
        let today = instant.to_zoned_datetime(self.zone.clone()).date();
        let mut found: Vec<u64> = Vec::with_capacity(4);
        for back in 0..=DAYS_BACK {
            let date = today.checked_sub(back.days()).ok()?;
            let bit = 1u8 << date.weekday().to_monday_zero_offset();
            for (_, minute) in self.moments.iter().filter(|(days, _)| days & bit != 0) {
                let time = Time::new((minute / 60) as i8, (minute % 60) as i8, 0, 0).ok()?;
                // A time that the clocks skip becomes the moment after; a time that they repeat becomes the first of
                // the two.
                let due = date.to_datetime(time).to_zoned_datetime(self.zone.clone()).ok()?.timestamp().as_second();
                found.extend(u64::try_from(due).ok().filter(|due| *due <= now));
            }
            if found.len() >= 2 {
                break;
            }
        }
        found.sort_unstable();
        found.dedup();
        let due = found.pop()?;
        Some((found.pop()?, due))
    }
}

fn last_amount(windows: &Windows<'_>, watch: Address, key: &Arc<str>) -> Option<u64> {
    windows.amounts(watch, key).last().and_then(|amount| u64::try_from(amount).ok())
}

fn format_rfc3339(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.to_string())
}

/// Returns the name of the window that holds the time at which the rule was first applied.
pub(crate) fn since_key(rule: &Rule) -> Arc<str> {
    format!("{LASTING}since:{}", rule.name).into()
}

fn came_key(rule: &Rule) -> Arc<str> {
    format!("builtin/came:{}", rule.name).into()
}

fn missed_key(rule: &Rule) -> Arc<str> {
    format!("builtin/missed:{}", rule.name).into()
}

fn late_key(rule: &Rule) -> Arc<str> {
    format!("{CAME_LATE}{}", rule.name).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weekly(moments: &[(u8, u16)]) -> Weekly {
        Weekly { text: "".into(), zone: TimeZone::get("Europe/Zurich").unwrap(), moments: moments.to_vec() }
    }

    fn last_two(weekly: &Weekly, now: &str) -> (String, String) {
        let now: Timestamp = now.parse().unwrap();
        let (before, due) = weekly.last_two(now.as_second() as u64).unwrap();
        (format_rfc3339(before), format_rfc3339(due))
    }

    fn pair(before: &str, due: &str) -> (String, String) {
        (before.to_owned(), due.to_owned())
    }

    #[test]
    fn due_times_follow_the_clock_on_the_wall() {
        let friday = weekly(&[(1 << 4, 18 * 60)]);
        let winter = pair("2026-11-13T17:00:00Z", "2026-11-20T17:00:00Z");
        assert_eq!(last_two(&friday, "2026-11-20T17:00:00Z"), winter);
        assert_eq!(last_two(&friday, "2026-11-27T16:59:59Z"), winter);
        // Clocks went back on 25 October.
        let autumn = pair("2026-10-23T16:00:00Z", "2026-10-30T17:00:00Z");
        assert_eq!(last_two(&friday, "2026-10-31T00:00:00Z"), autumn);
    }

    #[test]
    fn a_time_that_clocks_skip_is_due_all_the_same() {
        let night = weekly(&[(0b111_1111, 2 * 60 + 30)]);
        let skipped = pair("2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z");
        assert_eq!(last_two(&night, "2026-03-29T10:00:00Z"), skipped);
    }

    #[test]
    fn a_time_no_calendar_has_is_never_due() {
        assert_eq!(weekly(&[(1, 0)]).last_two(u64::MAX), None);
    }
}
