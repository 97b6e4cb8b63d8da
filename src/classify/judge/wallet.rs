//! Conditions that a wallet's envelope has to meet by itself, even if its contents are vouched for: the executor, the
//! recipient of the refund, the module, the confirmers and the time of confirmation.

use super::{Evaluator, Polarity};
use crate::classify::builtin::{self, DefaultFinding};
use crate::classify::finding::abnormal_verdict;
use crate::classify::history::SUBMISSIONS;
use crate::classify::rule::{Rule, WatchRules};
use crate::classify::rule_result;
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind, Fate, Severity, Stage, Verdict};
use alloy_primitives::U256;
use std::sync::Arc;

/// Age in seconds above which confirming a submission is unusual: 30 days.
const SUBMISSION_OLD: u64 = 30 * 86_400;
/// Age in seconds below which no confirmer can have read the submission: five blocks of mainnet.
const SUBMISSION_YOUNG: u64 = 60;

impl Evaluator<'_> {
    /// Checks the conditions on an envelope itself: its executor, the recipient of its refund, its module, and the
    /// success of the call inside.
    pub(super) fn own_conditions(
        &self,
        activity: &Activity,
        rules: &WatchRules,
        carries: &[usize],
        all: &[Activity],
        carries_finding: bool,
    ) -> Option<DefaultFinding> {
        // A condition that is switched off is not tested; the leaves are still judged.
        let cost = |name, severity, reason: String| {
            (!rules.builtins_off.contains(name)).then_some(DefaultFinding { name, severity, reason: Some(reason) })
        };
        // Only the wallet's own envelope has these conditions, not an act of another watch around it.
        if activity.kind != ActivityKind::Call {
            return None;
        }
        let from = activity.from;
        for note in &activity.notes {
            match note {
                Note::Module(module) if !rules.modules.as_ref().is_some_and(|set| set.members.contains(module)) => {
                    let why = format!("module {module} acts and is not in registry.modules");
                    if let Some(cost) = cost(builtin::MODULE, Severity::Critical, why) {
                        return Some(cost);
                    }
                }
                Note::Refund(to) if !rules.refund_receivers.as_ref().is_some_and(|set| set.members.contains(to)) => {
                    let (severity, who) = if to.is_zero() {
                        (Severity::Warning, "whoever executes".to_owned())
                    } else {
                        (Severity::Critical, to.to_string())
                    };
                    if let Some(cost) =
                        cost(builtin::REFUND, severity, format!("the Safe pays {who} for its execution"))
                    {
                        return Some(cost);
                    }
                }
                Note::Submission(id) => {
                    if let Some(cost) = self.confirmation_finding(*id, activity, rules) {
                        return Some(cost);
                    }
                }
                _ => {}
            }
        }
        // A module needs no signatures: `registry.modules` lists the modules that may act. The executor of a queued
        // transaction is not known yet.
        let by_module = activity.notes.iter().any(|note| matches!(note, Note::Module(_)));
        if let Some(executors) = &rules.executors
            && activity.proposal_progress().is_none()
            && !by_module
            && !executors.members.contains(&from)
        {
            let why = format!("{from} carries it and is not in {}", executors.name);
            if let Some(cost) = cost(builtin::EXECUTOR, Severity::Warning, why) {
                return Some(cost);
            }
        }
        let failed = carries.iter().any(|at| all.get(*at).is_some_and(|leaf| leaf.fate == Fate::Failed));
        if failed && !carries_finding {
            let why = "an inner call failed although the transaction succeeded".to_owned();
            return cost(builtin::INNER_FAILURE, Severity::Warning, why);
        }
        None
    }

    fn confirmation_finding(&self, id: U256, activity: &Activity, rules: &WatchRules) -> Option<DefaultFinding> {
        let on = |name| !rules.builtins_off.contains(name);
        if let Some(owners) = rules.owners.as_ref().filter(|_| on(builtin::CONFIRMER))
            && !owners.members.contains(&activity.from)
        {
            let why = format!("{} confirms and is not in {}", activity.from, owners.name);
            return Some(DefaultFinding { name: builtin::CONFIRMER, severity: Severity::High, reason: Some(why) });
        }
        let age = self.windows.now.saturating_sub(self.submission_time(id, rules)?);
        (age > SUBMISSION_OLD && on(builtin::STALE)).then(|| DefaultFinding {
            name: builtin::STALE,
            severity: Severity::High,
            reason: Some(format!("submission {id} is {} days old", age / 86_400)),
        })
    }

    /// Records the time of a submission, so that a late confirmation is recognized.
    pub(super) fn remember_submission(&mut self, activity: &Activity, rules: &WatchRules) {
        let Some(id) = submission_id(activity) else { return };
        let known = self.submission_time(id, rules).is_some();
        if !known && &*activity.deed.name == "submitTransaction" && activity.fate == Fate::Executed {
            self.add(rules, submission_key(id), U256::ONE);
        }
    }

    /// Returns a finding for a confirmation that comes too soon for its sender to have read the submission. A rule
    /// about the call can vouch for expected ones, such as those of a bot; it does not vouch for the confirmed call.
    pub(super) fn judge_hasty_confirmation(&mut self, activity: &Activity, rules: &WatchRules) -> Option<Verdict> {
        // The submission counts as a confirmation by its author.
        let off = rules.builtins_off.contains(builtin::HASTY);
        // The age of a submission at its confirmation is known only in the block with the confirmation.
        if &*activity.deed.name != "confirmTransaction" || off || activity.stage == Stage::Pending {
            return None;
        }
        let id = submission_id(activity)?;
        let age = self.windows.now.saturating_sub(self.submission_time(id, rules)?);
        if age >= SUBMISSION_YOUNG {
            return None;
        }
        let normal = || rules.rules.iter().filter(|rule| rule.polarity == Polarity::Normal);
        if let Some(rule) = normal().find(|rule| rule_result::is_rule_match(rule, activity, rules, &self.windows)) {
            self.record_rule_usage(rule, activity, rules);
            return None;
        }
        let why = match age {
            0 => format!("submission {id} is confirmed in the block that holds it"),
            age => format!("submission {id} is {age} s old, too young for anybody to have read it"),
        };
        let cost = DefaultFinding { name: builtin::HASTY, severity: Severity::High, reason: Some(why) };
        let trials: Vec<(&Rule, rule_result::RuleResult)> =
            normal().map(|rule| (rule, rule_result::evaluate_rule(rule, activity, rules, &self.windows))).collect();
        Some(abnormal_verdict(&cost, &trials, rules))
    }

    /// Returns the time at which submission `id` was recorded, as far as that was seen.
    fn submission_time(&self, id: U256, rules: &WatchRules) -> Option<u64> {
        let key = submission_key(id);
        let before = self.windows.history.first_entry_time(rules.address, &key);
        let here = || self.windows.added.contains_key(&(rules.address, Arc::clone(&key))).then_some(self.windows.now);
        before.or_else(here)
    }
}

/// The id of the submission that an envelope is about.
fn submission_id(activity: &Activity) -> Option<U256> {
    activity.notes.iter().find_map(|note| if let Note::Submission(id) = note { Some(*id) } else { None })
}

/// Returns the name of the window with the time of a submission. It is never pruned.
fn submission_key(id: U256) -> Arc<str> {
    Arc::from(format!("{SUBMISSIONS}{id}"))
}
