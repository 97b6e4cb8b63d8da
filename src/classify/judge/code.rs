//! Proxies that run code that was not reviewed. No rule was written for the effects of such code.

use super::Evaluator;
use crate::classify::builtin::{self, DefaultFinding};
use crate::classify::finding::{abnormal_verdict, repeated_verdict};
use crate::classify::history::MET_MAX;
use crate::classify::noise::{as_amount, lasting_window_name};
use crate::classify::rule::WatchRules;
use crate::classify::rule_result::Windows;
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind, Fate, Severity, Stage, Verdict, Voucher};
use alloy_primitives::{Address, U256};
use std::sync::{Arc, LazyLock};

/// Code that a rule vouched for when it was installed, although the registry does not list it.
static VOUCHED: LazyLock<Arc<str>> = LazyLock::new(|| lasting_window_name("implementation"));

/// Items of the state that hold the address of the running code.
const ITEMS: &[&str] = &["implementation", "zos-implementation", "uups-implementation", "beacon-implementation"];

impl Evaluator<'_> {
    /// The finding that stands for everything a proxy does while it runs code that is neither listed nor vouched for.
    ///
    /// There is one finding for each block, so that a busy proxy does not cause a flood. An activity with a higher
    /// severity than the first gets its own finding.
    pub(super) fn judge_unlisted_code(
        &mut self,
        index: usize,
        activity: &Activity,
        rules: &WatchRules,
    ) -> Option<Verdict> {
        let code = foreign_code(activity, rules, &self.windows)?;
        let own = builtin::default_finding(activity, rules);
        let severity = own.severity.max(Severity::High);
        let key = (activity.watch.0, code);
        if let Some(first) = self.foreign.get(&key).copied()
            && let Some(Some(verdict @ Verdict::Abnormal(known))) = self.verdicts.get(first)
            && known.severity >= severity
        {
            return Some(repeated_verdict(verdict, first));
        }
        self.foreign.insert(key, index);
        let why = format!(
            "it runs the code of {code}, which registry.implementations does not list: what it does may not be what it is called"
        );
        let mut verdict =
            abnormal_verdict(&DefaultFinding { name: builtin::FOREIGN, severity, reason: Some(why) }, &[], rules);
        if let Verdict::Abnormal(abnormal) = &mut verdict
            && let Some(reason) = own.reason
        {
            abnormal.reasons.insert(abnormal.near, reason);
            abnormal.near += 1;
        }
        Some(verdict)
    }
}

/// Returns the unlisted and unvouched code that the activity ran. A reverted or unconfirmed activity changed nothing
/// and returns `None`.
pub(super) fn foreign_code(activity: &Activity, rules: &WatchRules, windows: &Windows<'_>) -> Option<Address> {
    if !matches!(activity.fate, Fate::Executed | Fate::Waiting) || rules.builtins_off.contains(builtin::FOREIGN) {
        return None;
    }
    rules.implementations.as_ref()?;
    let code = activity.notes.iter().find_map(|note| match note {
        Note::Runs { implementation, listed: false, .. } => Some(*implementation),
        _ => None,
    })?;
    (!windows.has_entry(rules.address, &VOUCHED, as_amount(&code))).then_some(code)
}

/// Records new code that a rule vouched for. Its calls are judged like any other from then on.
pub(super) fn vouched_code_entry(
    activity: &Activity,
    verdict: &Verdict,
    rules: &WatchRules,
    windows: &Windows<'_>,
) -> Option<(Arc<str>, U256)> {
    let by_rule = matches!(verdict, Verdict::Normal { by: Voucher::Rule(_) | Voucher::EffectOf(_) });
    let ran = activity.fate == Fate::Executed && activity.stage == Stage::Included;
    let listed = rules.implementations.as_ref().filter(|_| by_rule && ran)?;
    let name = &*activity.deed.name;
    let argument = match activity.kind {
        ActivityKind::Call if matches!(name, "upgradeTo" | "upgradeToAndCall") => activity.deed.args.first(),
        ActivityKind::Event if name == "Upgraded" => activity.deed.args.first(),
        ActivityKind::State if ITEMS.contains(&name) => activity.deed.args.iter().find(|arg| &*arg.name == "after"),
        _ => None,
    };
    let code = argument?.value.as_address().filter(|code| !listed.members.contains(code))?;
    let (key, amount) = (&VOUCHED, as_amount(&code));
    let room = windows.len(rules.address, key) < MET_MAX && !windows.has_entry(rules.address, key, amount);
    room.then(|| (Arc::clone(key), amount))
}
