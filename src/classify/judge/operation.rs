//! Conditions that a contract has to meet by itself, even if its calls are vouched for: time to react, the intended
//! code, and at most one replacement of its code.

use super::Evaluator;
use crate::classify::builtin::{self, DefaultFinding};
use crate::classify::condition;
use crate::classify::history::SUBMISSIONS;
use crate::classify::rule::{Polarity, Rule, WatchRules};
use crate::classify::rule_result;
use crate::contracts::Property;
use crate::model::activity::{Note, Usual};
use crate::model::amount::Unit;
use crate::model::span::format_duration;
use crate::model::{Abnormal, Activity, ActivityKind, Severity, Stage, Verdict};
use alloy_primitives::{B256, KECCAK256_EMPTY, U256};
use std::sync::Arc;

/// Tip in wei from which on the severity is high: one ether, which is a theft through the fee and not haste.
const TIP_HIGH: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);

/// Returns, for a scheduled or proposed call, its id and the earliest time of execution, so that readers know how much
/// time is left to stop it.
pub(super) fn describe_operation_progress(activity: &Activity) -> Option<String> {
    if activity.stage != Stage::Proposed {
        return None;
    }
    activity.notes.iter().find_map(|note| match note {
        Note::Operation { id, delay: Some(delay) } => {
            Some(format!("it may be carried out in {}, as operation {id}", format_duration(*delay)))
        }
        Note::Operation { id, delay: None } => Some(format!("it waits to be carried out, as number {id}")),
        _ => None,
    })
}

/// Returns the default finding for an unusual payment of an account for inclusion.
pub(super) fn priority_fee_finding(activity: &Activity, rules: &WatchRules) -> Option<DefaultFinding> {
    let (paid, why) = activity.notes.iter().find_map(|note| match note {
        Note::Tip { paid, per_gas, beside } => {
            let show = |wei: u128| Unit::ether().format_amount(U256::from(wei));
            let beside = match beside {
                Usual::Others(most) => format!("half of the others in its block offered {} at most", show(*most)),
                Usual::BaseFee(fee) => format!("the base fee of its block is {}", show(*fee)),
            };
            let shown = Unit::ether().format_amount(*paid);
            let why =
                format!("it pays {shown} for being included, {} for each unit of gas, and {beside}", show(*per_gas));
            Some((*paid, why))
        }
        _ => None,
    })?;
    let on = !rules.builtins_off.contains(builtin::TIP);
    let severity = if paid >= TIP_HIGH { Severity::High } else { Severity::Warning };
    on.then_some(DefaultFinding { name: builtin::TIP, severity, reason: Some(why) })
}

/// Returns the finding with the tip as an additional reason and with at least the severity of the tip.
pub(super) fn with_tip(found: Verdict, tip: DefaultFinding) -> Verdict {
    match (found, tip.reason) {
        (Verdict::Abnormal(own), Some(why)) => {
            let severity = own.severity.max(tip.severity);
            Verdict::Abnormal(Abnormal { severity, ..own.with_reason(why) })
        }
        (found, _) => found,
    }
}

impl Evaluator<'_> {
    /// Checks that a timelock or a governor recorded the operation long enough before, even if the call is vouched for.
    pub(super) fn operation_finding(&mut self, activity: &Activity, rules: &WatchRules) -> Option<DefaultFinding> {
        if activity.kind != ActivityKind::Act || !rules.contract().has(Property::Delays) {
            return None;
        }
        let (id, delay) = activity.notes.iter().find_map(|note| match note {
            Note::Operation { id, delay } => Some((*id, *delay)),
            _ => None,
        })?;
        let key: Arc<str> = Arc::from(format!("{SUBMISSIONS}{id}"));
        let changed = self.changed_target(id, activity, rules);
        let first = self.windows.history.first_entry_time(rules.address, &key);
        let here = self.windows.added.contains_key(&(rules.address, key.clone()));
        let floor = rules.delay.unwrap_or(0);
        let short = |had: u64, what: &str| {
            let why =
                format!("{what} {}, and registry.delay asks for {}", format_duration(had), format_duration(floor));
            (had < floor).then_some((builtin::SHORT_DELAY, why))
        };
        let (name, why) = match (activity.stage, first) {
            (Stage::Proposed, _) => {
                if first.is_none() && !here {
                    self.add(rules, key, U256::ONE);
                }
                short(delay?, "it may be carried out after")?
            }
            (Stage::Included, Some(first)) => {
                let had = self.windows.now.saturating_sub(first);
                let changed = || changed.map(|why| (builtin::CHANGED_TARGET, why));
                short(had, "it is carried out after").or_else(changed)?
            }
            (Stage::Included, None) if here => {
                (builtin::UNSCHEDULED, "it is written down and carried out in one block".to_owned())
            }
            (Stage::Included, None) => {
                (builtin::UNSCHEDULED, "it is carried out, and nothing was seen that wrote it down before".to_owned())
            }
            // The operation is recorded by a log, and a pending or reverted transaction has none.
            (Stage::Pending | Stage::Reverted, _) => return None,
        };
        let cost = DefaultFinding { name, severity: Severity::Critical, reason: Some(why) };
        (!rules.builtins_off.contains(name)).then_some(cost)
    }

    /// Records the code for which a call was scheduled, and returns how the code that ran differs. A rule about the
    /// call that tests the code itself vouches for it.
    fn changed_target(&mut self, id: B256, activity: &Activity, rules: &WatchRules) -> Option<String> {
        let to = activity.to?;
        let is = condition::code_of(to, activity)?;
        let key: Arc<str> = Arc::from(format!("{SUBMISSIONS}{id}/code/{to}"));
        let was = self.windows.amounts(rules.address, &key).last().map(B256::from);
        if activity.stage == Stage::Proposed {
            if was != Some(is) {
                self.add(rules, key, is.into());
            }
            return None;
        }
        let was = was.filter(|was| *was != is && activity.stage == Stage::Included)?;
        let asks = |rule: &&Rule| rule.polarity == Polarity::Normal && rule.asks_code();
        if rules.rules.iter().filter(asks).any(|rule| rule_result::is_rule_match(rule, activity, rules, &self.windows))
        {
            return None;
        }
        let shown =
            |hash: B256| if hash == KECCAK256_EMPTY { "no code".to_owned() } else { format!("the code {hash}") };
        Some(format!("{to} had {} when it was written down, and has {} as it is carried out", shown(was), shown(is)))
    }

    /// Returns the cost of two code replacements in one transaction: the code in between can do anything, and the end
    /// state shows no trace of it.
    pub(super) fn replaced_twice(&self, activity: &Activity, rules: &WatchRules) -> Option<DefaultFinding> {
        let often = self.upgrades.get(&(activity.watch.0, activity.tx)).copied().unwrap_or_default();
        let twice = often > 1 && builtin::is_upgrade(activity) && !rules.builtins_off.contains(builtin::CONTROL);
        let why = || format!("the contract's code is replaced {often} times in one transaction");
        twice.then(|| DefaultFinding { name: builtin::CONTROL, severity: Severity::Critical, reason: Some(why()) })
    }
}
