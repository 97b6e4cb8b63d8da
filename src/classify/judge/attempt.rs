//! Attempts: reverted activities, and activities that are claimed without confirmation. Most are mistakes, so their
//! severity is low until they accumulate. An attempt at a function that changes control, or that is restricted to
//! authorized callers, has a high severity from the first one.

use super::Evaluator;
use crate::classify::builtin::{self, DefaultFinding};
use crate::classify::finding::{abnormal_verdict, repeated_verdict};
use crate::classify::rule::{Rule, WatchRules};
use crate::classify::rule_result::RuleResult;
use crate::model::{Activity, Fate, Severity, Verdict};
use alloy_primitives::U256;
use std::sync::{Arc, LazyLock};

/// Number of failed attempts in [`ATTEMPTS_WINDOW`] from which on they have the severity high.
const ATTEMPTS_HIGH: u64 = 4;
/// Length of the window in seconds: ten minutes.
const ATTEMPTS_WINDOW: u64 = 600;
/// Time after an attempt that pages until the next attempt on the same watch pages: an hour. Anyone can make as many
/// attempts as they pay for, and the attempts in between join the same incident.
pub(crate) const PAGES_WINDOW: u64 = 3_600;

/// Attempts that may have paged.
static PAGED: LazyLock<Arc<str>> = LazyLock::new(|| format!("{}#paged", builtin::ATTEMPT).into());

impl Evaluator<'_> {
    /// Returns a finding if vouched attempts accumulate. A single attempt that a rule vouches for is normal; many mean
    /// that something is broken or that an attacker is trying.
    pub(super) fn one_too_many(&mut self, index: usize, activity: &Activity, rules: &WatchRules) -> Option<Verdict> {
        if activity.fate != Fate::Reverted || rules.builtins_off.contains(builtin::ATTEMPT) {
            return None;
        }
        let key = (activity.watch.0, activity.tx);
        if self.attempts.contains_key(&key) {
            return None;
        }
        self.attempts.insert(key, index);
        let cost = self.count_attempt(rules);
        (cost.severity >= Severity::High)
            .then(|| self.hush_repeated_attempt(abnormal_verdict(&cost, &[], rules), rules))
    }

    /// Returns the verdict of a reverted or unconfirmed call. There is one finding for each transaction and watch, plus
    /// one for a part with a higher severity than the first.
    pub(super) fn judge_attempt(
        &mut self,
        index: usize,
        activity: &Activity,
        rules: &WatchRules,
        trials: &[(&Rule, RuleResult)],
    ) -> Verdict {
        let control = builtin::control_attempt(activity, rules).map(|why| DefaultFinding {
            name: builtin::ATTEMPT,
            severity: Severity::High,
            reason: Some(why),
        });
        let key = (activity.watch.0, activity.tx);
        let known = self.attempts.get(&key).copied();
        if let Some(first) = known
            && let Some(Some(verdict @ Verdict::Abnormal(abnormal))) = self.verdicts.get(first)
            && (control.is_none() || abnormal.severity >= Severity::High)
        {
            return repeated_verdict(verdict, first);
        }
        self.attempts.insert(key, index);
        if activity.fate == Fate::Unconfirmed {
            let why = "a wrapper claims it, and no log of the subject confirms that it ran".to_owned();
            let cost = DefaultFinding { name: builtin::UNCONFIRMED, severity: Severity::Info, reason: Some(why) };
            return abnormal_verdict(&cost, trials, rules);
        }
        let cost = match (known, control) {
            (Some(_), Some(control)) => control,
            (_, control) => {
                let counted = self.count_attempt(rules);
                control.unwrap_or(counted)
            }
        };
        self.hush_repeated_attempt(abnormal_verdict(&cost, trials, rules), rules)
    }

    /// Counts an attempt, and returns the finding for their number.
    fn count_attempt(&mut self, rules: &WatchRules) -> DefaultFinding {
        let window: Arc<str> = Arc::from(builtin::ATTEMPT);
        self.add(rules, window.clone(), U256::ONE);
        let count = self.windows.sum_in_window(rules.address, &window, ATTEMPTS_WINDOW);
        let (severity, why) = if count >= U256::from(ATTEMPTS_HIGH) {
            (Severity::High, format!("the transaction reverted, as {count} did within ten minutes"))
        } else {
            (Severity::Info, "the transaction reverted: an attempt".to_owned())
        };
        DefaultFinding { name: builtin::ATTEMPT, severity, reason: Some(why) }
    }

    /// Returns the same finding, marked not to page if another attempt at the same watch may have paged within the
    /// hour.
    fn hush_repeated_attempt(&mut self, verdict: Verdict, rules: &WatchRules) -> Verdict {
        let Verdict::Abnormal(mut abnormal) = verdict else { return verdict };
        if abnormal.severity >= Severity::High {
            abnormal.hushed = !self.windows.sum_in_window(rules.address, &PAGED, PAGES_WINDOW).is_zero();
            if !abnormal.hushed {
                self.add(rules, Arc::clone(&PAGED), U256::ONE);
            }
        }
        Verdict::Abnormal(abnormal)
    }
}
