//! Evaluation of each `[[watch.test]]`.

use crate::classify::{self, History, Moment};
use crate::model::{Activity, Verdict, Voucher, WatchId};
use crate::settings::Spot;
use crate::watchlist::book::{Config, Expectation, TestOf, WatchTest};
use alloy_primitives::B256;
use std::sync::Arc;

/// Result of one test.
#[derive(Clone, Debug)]
pub struct TestOutcome {
    /// Watch that the test belongs to.
    pub watch: WatchId,
    /// Name of the test: what it shows.
    pub name: Arc<str>,
    /// Place of the test in its file.
    pub spot: Spot,
    /// Differences from what was expected, a sentence each; empty for a test that passed.
    pub failures: Vec<String>,
    /// Verdict that was reached.
    pub verdict: Verdict,
}

impl TestOutcome {
    /// Returns whether everything was as expected.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Assumed time of watching before a test and before all its earlier activities: 400 days.
const WATCHED_FOR: u64 = 400 * 86_400;

/// Judges every test of the configuration independently: the history of a test contains only its own `before`.
#[must_use]
pub fn run_tests(book: &Config) -> Vec<TestOutcome> {
    book.tests.iter().map(|test| run(test, book)).collect()
}

fn run(test: &WatchTest, book: &Config) -> TestOutcome {
    let verdict = match &test.of {
        TestOf::Activity { activity, before } => judge_test_activity(test, activity, before, book),
        TestOf::Absence { name, before } => does_not_come(test, name, before, book),
    };
    TestOutcome {
        watch: test.watch,
        name: Arc::clone(&test.name),
        spot: test.spot.clone(),
        failures: compare_expectation(&verdict, &test.expect),
        verdict,
    }
}

fn judge_test_activity(test: &WatchTest, activity: &Activity, before: &[(u64, Activity)], book: &Config) -> Verdict {
    let mut history = History::default();
    let oldest = before.first().map_or(0, |(ago, _)| *ago);
    if let Some(rules) = book.rules.watches.get(test.watch.index()) {
        let begun = Moment { time: test.time.saturating_sub(WATCHED_FOR + oldest) };
        let (_, deltas) = classify::absences_of(rules, &history, begun);
        deltas.iter().for_each(|delta| history.add(B256::ZERO, begun.time, delta));
    }
    for (ago, earlier) in before {
        let at = Moment { time: test.time.saturating_sub(*ago) };
        let (_, deltas) = classify::judge_activities(vec![earlier.clone()], &book.rules, &history, at);
        deltas.iter().for_each(|delta| history.add(B256::ZERO, at.time, delta));
    }
    let at = Moment { time: test.time };
    let (judged, _) = classify::judge_activities(vec![activity.clone()], &book.rules, &history, at);
    let verdict = judged.into_iter().next().map(|judged| judged.verdict);
    // The judge returns exactly one verdict for one activity.
    verdict.unwrap_or(Verdict::Normal { by: Voucher::Envelope })
}

/// Judges an expected action: normal by its own name if nothing is missing at that time.
fn does_not_come(test: &WatchTest, name: &Arc<str>, before: &[u64], book: &Config) -> Verdict {
    let fine = Verdict::Normal { by: Voucher::Rule(Arc::clone(name)) };
    let Some(rules) = book.rules.watches.get(test.watch.index()) else { return fine };
    let Some(expected) = rules.expected.iter().find(|expected| expected.rule.name == *name) else { return fine };
    let mut history = History::default();
    let begun = Moment { time: test.time.saturating_sub(before.first().copied().unwrap_or(WATCHED_FOR)) };
    let (_, deltas) = classify::absences_of(rules, &history, begun);
    deltas.iter().for_each(|delta| history.add(B256::ZERO, begun.time, delta));
    for ago in before {
        history.add(B256::ZERO, test.time.saturating_sub(*ago), &classify::arrival_entry(expected, rules.address));
    }
    let (judged, _) = classify::absences_of(rules, &history, Moment { time: test.time });
    let missing = judged.into_iter().find(|judged| judged.activity.deed.name == *name);
    missing.map_or(fine, |judged| judged.verdict)
}

fn compare_expectation(verdict: &Verdict, expect: &Expectation) -> Vec<String> {
    let mut failures = Vec::new();
    let by = match verdict {
        Verdict::Normal { by } => by.to_string(),
        Verdict::Abnormal(abnormal) => abnormal.rule.to_string(),
    };
    match (verdict, expect.normal) {
        (Verdict::Normal { .. }, false) => failures.push(format!("it is normal by `{by}`, and should be abnormal")),
        (Verdict::Abnormal(abnormal), true) => {
            failures.push(format!("it is abnormal (`{by}`, {}), and should be normal", abnormal.severity));
        }
        _ => {}
    }
    if let Some(expected) = expect.by.as_ref().filter(|expected| ***expected != *by) {
        failures.push(format!("it is judged by `{by}`, and should be by `{expected}`"));
    }
    let Verdict::Abnormal(abnormal) = verdict else { return failures };
    if let Some(expected) = expect.severity.filter(|expected| *expected != abnormal.severity) {
        failures.push(format!("it is {}, and should be {expected}", abnormal.severity));
    }
    for expected in &expect.refused {
        if !abnormal.reasons.iter().any(|reason| starts_with_words(reason, expected)) {
            failures.push(format!("no reason begins with `{expected}`"));
        }
    }
    // A test that names a rule must list every reason why the rule refused: an unlisted reason would hide that the rule
    // has become too wide in the condition under test.
    for reason in &abnormal.reasons {
        let Some((rule, _)) = reason.split_once(": ") else { continue };
        let spoken_of = expect.refused.iter().any(|expected| starts_with_words(expected, rule));
        if spoken_of && !expect.refused.iter().any(|expected| starts_with_words(reason, expected)) {
            failures.push(format!("the rule refused for one more reason: {reason}"));
        }
    }
    failures
}

/// Returns whether `text` begins with the words of `beginning`.
fn starts_with_words(text: &str, beginning: &str) -> bool {
    let beginning = beginning.trim_end();
    text.strip_prefix(beginning).is_some_and(|rest| {
        let inside_a_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        !(rest.starts_with(inside_a_word) && beginning.ends_with(inside_a_word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Abnormal, Severity, Voucher};

    fn abnormal(reasons: &[&str]) -> Verdict {
        Verdict::Abnormal(Abnormal {
            rule: "builtin/unvouched".into(),
            severity: Severity::High,
            reasons: reasons.iter().map(ToString::to_string).collect(),
            near: reasons.len(),
            observe: false,
            hushed: false,
            repeats: None,
        })
    }

    fn expect(normal: bool, refused: &[&str]) -> Expectation {
        let refused = refused.iter().map(|text| Arc::from(*text)).collect();
        Expectation { normal, by: None, severity: None, refused }
    }

    #[test]
    fn the_verdict_its_author_and_its_severity_are_compared() {
        let verdict = Verdict::Normal { by: Voucher::Rule("grants".into()) };
        assert!(compare_expectation(&verdict, &expect(true, &[])).is_empty());
        assert_eq!(
            compare_expectation(&verdict, &expect(false, &[])),
            ["it is normal by `grants`, and should be abnormal"]
        );
        let other = Expectation { by: Some("payroll".into()), ..expect(true, &[]) };
        assert_eq!(compare_expectation(&verdict, &other), ["it is judged by `grants`, and should be by `payroll`"]);
        let louder = Expectation { severity: Some(Severity::Critical), ..expect(false, &[]) };
        assert_eq!(compare_expectation(&abnormal(&[]), &louder), ["it is high, and should be critical"]);
    }

    #[test]
    fn a_refusal_is_expected_by_its_first_words() {
        let verdict = abnormal(&["grants: amount 60 SNT is above 50 SNT", "payroll: function is transfer(…)"]);
        assert!(compare_expectation(&verdict, &expect(false, &["grants: amount"])).is_empty());
        assert!(compare_expectation(&verdict, &expect(false, &["grants: amount 60 SNT"])).is_empty());
        assert_eq!(compare_expectation(&verdict, &expect(false, &["grants: am"])).len(), 2);
        assert_eq!(compare_expectation(&verdict, &expect(false, &["grants: hours"])).len(), 2);
        // The reasons themselves are shown once, below all failures.
        let failures = compare_expectation(&verdict, &expect(true, &[]));
        assert_eq!(failures, ["it is abnormal (`builtin/unvouched`, high), and should be normal"]);
    }

    #[test]
    fn a_second_refusal_of_the_same_rule_is_told() {
        let verdict = abnormal(&["grants: amount 60 SNT is above 50 SNT", "grants: hours Sun 10:00 is outside Fri"]);
        let failures = compare_expectation(&verdict, &expect(false, &["grants: amount"]));
        assert_eq!(failures, ["the rule refused for one more reason: grants: hours Sun 10:00 is outside Fri"]);
        assert!(compare_expectation(&verdict, &expect(false, &["grants: amount", "grants: hours"])).is_empty());
        assert!(compare_expectation(&verdict, &expect(false, &["grants"])).is_empty());
    }
}
