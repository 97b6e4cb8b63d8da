//! Evaluation of one rule on one activity: the rule holds in full, or each condition that does not hold is explained.

use super::history::History;
use super::rule::{CallMatch, Limit, Measure, Polarity, Rule, TokenUnit, ValueRule, WatchRules};
use super::{baseline, builtin, condition};
use crate::model::amount::Unit;
use crate::model::state::{NO_CODE, UNSAID};
use crate::model::{Activity, Decoding, Item, Operation};
use alloy_primitives::{Address, B256, U256};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Result of the evaluation of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleResult {
    /// The rule's name.
    pub rule: Arc<str>,
    /// Empty when the rule holds in full.
    pub refusals: Vec<Mismatch>,
}

/// Condition that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// `function`, `from`, `to`, an argument's name, `value`, `operation`, `signers`, `hours`, `limit`.
    pub condition: Arc<str>,
    /// The rest of the sentence, after the condition.
    pub text: String,
}

impl RuleResult {
    /// Returns whether the rule holds in full.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.refusals.is_empty()
    }

    /// Returns whether the rule is about this function or event at all.
    #[must_use]
    pub fn is_about(&self) -> bool {
        self.refusals.first().is_none_or(|refusal| &*refusal.condition != FUNCTION)
    }

    /// Returns one sentence for each mismatch: `friday-grants: amount 60,000 SNT is above 50,000 SNT`.
    pub fn mismatch_sentences(&self) -> impl Iterator<Item = String> + '_ {
        self.refusals.iter().map(|refusal| format!("{}: {} {}", self.rule, refusal.condition, refusal.text))
    }
}

const FUNCTION: &str = "function";

/// Contents of the rolling windows at this moment: the committed entries, and those that this block added before this
/// activity.
pub(crate) struct Windows<'a> {
    pub(crate) history: &'a History,
    pub(crate) added: HashMap<(Address, Arc<str>), U256>,
    /// Single entries that this block added, in order and as a set.
    entries: HashMap<(Address, Arc<str>), Fresh>,
    /// Facts of watched state that this block brought.
    facts: HashMap<(Address, Item), B256>,
    pub(crate) now: u64,
}

/// Entries of one window that this block added.
type Fresh = (Vec<U256>, HashSet<U256>);

impl<'a> Windows<'a> {
    pub(crate) fn new(history: &'a History, now: u64) -> Self {
        Self { history, added: HashMap::new(), entries: HashMap::new(), facts: HashMap::new(), now }
    }

    /// Returns the known value of an item of a watch's state.
    pub(crate) fn known_state_value(&self, watch: Address, item: Item) -> Option<B256> {
        self.facts.get(&(watch, item)).copied().or_else(|| self.history.known_state().last_value(watch, item))
    }

    /// Records a fact that this block added.
    pub(crate) fn record_fact(&mut self, watch: Address, item: Item, value: B256) {
        self.facts.insert((watch, item), value);
    }

    /// Adds an entry of this block.
    pub(crate) fn add(&mut self, watch: Address, key: &Arc<str>, amount: U256) {
        let sum = self.added.entry((watch, Arc::clone(key))).or_default();
        *sum = sum.saturating_add(amount);
        let (list, set) = self.entries.entry((watch, Arc::clone(key))).or_default();
        list.push(amount);
        set.insert(amount);
    }

    fn entries_in_block(&self, watch: Address, key: &Arc<str>) -> &[U256] {
        self.entries.get(&(watch, Arc::clone(key))).map_or(&[], |(list, _)| list.as_slice())
    }

    /// Returns whether this block added this exact entry.
    pub(crate) fn is_of_this_block(&self, watch: Address, key: &Arc<str>, amount: U256) -> bool {
        self.entries.get(&(watch, Arc::clone(key))).is_some_and(|(_, set)| set.contains(&amount))
    }

    /// Returns the amounts of all entries.
    pub(crate) fn amounts(&self, watch: Address, key: &Arc<str>) -> impl Iterator<Item = U256> {
        self.history
            .entries(watch, key)
            .map(|(_, amount)| amount)
            .chain(self.entries_in_block(watch, key).iter().copied())
    }

    /// Returns whether this exact entry of a lasting window exists.
    pub(crate) fn has_entry(&self, watch: Address, key: &Arc<str>, amount: U256) -> bool {
        self.entered_since(watch, key, amount).is_some() || self.is_of_this_block(watch, key, amount)
    }

    /// Returns the time at which this exact entry of a lasting window was first made, before this block.
    pub(crate) fn entered_since(&self, watch: Address, key: &Arc<str>, amount: U256) -> Option<u64> {
        self.history.entered_since(watch, key, amount)
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self, watch: Address, key: &Arc<str>) -> usize {
        self.history.len(watch, key) + self.entries_in_block(watch, key).len()
    }

    /// Returns the time of the last entry.
    pub(crate) fn last_entry_time(&self, watch: Address, key: &Arc<str>) -> Option<u64> {
        if self.entries_in_block(watch, key).is_empty() {
            self.history.last_entry_time(watch, key)
        } else {
            Some(self.now)
        }
    }

    /// Entries of the `per` seconds up to now with their times, oldest first.
    pub(crate) fn entries_within(&self, watch: Address, key: &Arc<str>, per: u64) -> impl Iterator<Item = (u64, U256)> {
        let (now, since) = (self.now, self.now.saturating_sub(per));
        let old = self.history.entries(watch, key).skip_while(move |(time, _)| *time <= since && per <= now);
        old.chain(self.entries_in_block(watch, key).iter().map(move |amount| (now, *amount)))
    }

    pub(crate) fn sum_in_window(&self, watch: Address, key: &Arc<str>, per: u64) -> U256 {
        let committed = self.history.sum_in_window(watch, key, self.now, per);
        let added = self.added.get(&(watch, key.clone())).copied().unwrap_or_default();
        committed.saturating_add(added)
    }
}

/// Tries every rule of the watch on `activity`, in the order of the file.
///
/// `history` is the windows as committed before the activity's block, `now` the block's time.
#[must_use]
pub fn evaluate_rules(activity: &Activity, rules: &WatchRules, history: &History, now: u64) -> Vec<RuleResult> {
    let windows = Windows::new(history, now);
    rules.rules.iter().map(|rule| evaluate_rule(rule, activity, rules, &windows)).collect()
}

/// Tries all conditions of `rule` on `activity`.
pub(crate) fn evaluate_rule(rule: &Rule, activity: &Activity, rules: &WatchRules, windows: &Windows<'_>) -> RuleResult {
    let mut refusals = Mismatches { told: Some(Vec::new()), any: false };
    collect_mismatches(rule, activity, rules, windows, &mut refusals);
    look_back(rule, activity, rules.address, windows, &mut refusals);
    RuleResult { rule: rule.name.clone(), refusals: refusals.told.unwrap_or_default() }
}

/// Returns whether `rule` holds in full. It composes no texts, since most rules of a long list are about something
/// else.
pub(crate) fn is_rule_match(rule: &Rule, activity: &Activity, rules: &WatchRules, windows: &Windows<'_>) -> bool {
    let mut refusals = Mismatches { told: None, any: false };
    collect_mismatches(rule, activity, rules, windows, &mut refusals);
    look_back(rule, activity, rules.address, windows, &mut refusals);
    !refusals.any
}

/// Returns whether all conditions of `rule` on the activity alone hold, regardless of earlier activity.
pub(crate) fn is_of(rule: &Rule, activity: &Activity, rules: &WatchRules, windows: &Windows<'_>) -> bool {
    let mut refusals = Mismatches { told: None, any: false };
    collect_mismatches(rule, activity, rules, windows, &mut refusals);
    !refusals.any
}

/// Mismatches of a rule with an activity: as texts for a finding, or only as a flag.
pub(crate) struct Mismatches {
    told: Option<Vec<Mismatch>>,
    any: bool,
}

impl Mismatches {
    /// Adds a mismatch. Its text is composed only where it is read.
    pub(crate) fn add(&mut self, condition: &str, text: impl FnOnce() -> String) {
        self.any = true;
        if let Some(told) = &mut self.told {
            told.push(Mismatch { condition: Arc::from(condition), text: text() });
        }
    }

    /// Returns whether no further condition can change the result.
    pub(crate) fn is_settled(&self) -> bool {
        self.any && self.told.is_none()
    }
}

fn collect_mismatches(
    rule: &Rule,
    activity: &Activity,
    rules: &WatchRules,
    windows: &Windows<'_>,
    refusals: &mut Mismatches,
) {
    if !is_about(rule, activity, rules.address) {
        refusals.add(FUNCTION, || other_deed(rule, activity));
        return;
    }
    if rule.polarity == Polarity::Normal
        && rule.deed == CallMatch::Any
        && let Some(what) = builtin::needs_a_name(activity, rules)
    {
        refusals.add(FUNCTION, || unnamed(activity, &what));
    }
    let wrong = wrong_units(rule, rules.address, windows);
    // An abnormal rule raises whatever the amount is. A normal rule with wrong units cannot know the amount it vouches
    // for.
    if rule.polarity == Polarity::Normal {
        for (unit, is) in &wrong {
            refusals.add("unit", || wrong_unit(unit, *is));
        }
    }
    if !rule.operations.contains(&activity.operation) {
        refusals.add("operation", || {
            format!("is {}, {}", activity.operation.as_str(), describe_allowed_operations(&rule.operations))
        });
    }
    test_suffix(rule, activity, refusals);
    test_sent_value(rule, activity, refusals);
    for condition in &rule.conditions {
        if refusals.is_settled() {
            return;
        }
        let unknown = |measure: &Unit| wrong.iter().any(|(unit, _)| unit.unit == *measure);
        if !condition.units().iter().any(unknown) {
            condition::test_condition(condition, rule.elements, activity, windows.now, refusals);
        }
    }
}

/// Returns the units of the rule that the token's own decimals contradict, with the decimals that the token reports.
fn wrong_units<'r>(rule: &'r Rule, watch: Address, windows: &Windows<'_>) -> Vec<(&'r TokenUnit, B256)> {
    let denied = rule.units.iter().filter_map(|unit| {
        let is = windows.known_state_value(watch, Item::decimals_of(unit.token))?;
        // A token that does not report its decimals contradicts nothing.
        (![B256::with_last_byte(unit.unit.decimals), UNSAID].contains(&is)).then_some((unit, is))
    });
    denied.collect()
}

fn wrong_unit(unit: &TokenUnit, is: B256) -> String {
    let (symbol, written) = (&unit.unit.symbol, unit.unit.decimals);
    if is == NO_CODE {
        return format!("{symbol} cannot be measured in: no code stands at {}", unit.token);
    }
    let is = U256::from_be_bytes(is.0);
    format!("{symbol} cannot be measured in: [token.{symbol}] says {written} decimals, and the token says {is}")
}

/// Checks the conditions on earlier activity. They are checked last, so that a window is looked up only if every other
/// condition holds.
fn look_back(rule: &Rule, activity: &Activity, watch: Address, windows: &Windows<'_>, refusals: &mut Mismatches) {
    if !is_about(rule, activity, watch) {
        return;
    }
    for habit in &rule.habits {
        if refusals.is_settled() {
            return;
        }
        baseline::test_baseline(habit, rule, activity, watch, windows, refusals);
    }
    let wrong = wrong_units(rule, watch, windows);
    for limit in rule.limits.iter().filter(|limit| !wrong.iter().any(|(unit, _)| unit.unit == limit.unit)) {
        if refusals.is_settled() {
            return;
        }
        test_limit(limit, rule, activity, watch, windows, refusals);
    }
}

/// Returns whether the rule is about this function, event or movement.
pub(crate) fn is_about(rule: &Rule, activity: &Activity, watch: Address) -> bool {
    rule.kind == activity.kind && rule.deed.each().iter().any(|one| is_deed(one, activity, watch))
}

fn is_deed(wanted: &CallMatch, activity: &Activity, watch: Address) -> bool {
    let deed = &activity.deed;
    match wanted {
        CallMatch::Any => true,
        CallMatch::Ether => deed.selector.is_none() && &*deed.name == "ether",
        CallMatch::Creation => activity.operation == Operation::Create,
        CallMatch::Function { selector, .. } => deed.selector == Some(*selector),
        CallMatch::Event { topic0, .. } => deed.topic0 == Some(*topic0),
        CallMatch::MoveIn => &*deed.name == "transfer" && activity.to == Some(watch),
        CallMatch::MoveOut => &*deed.name == "transfer" && activity.from == watch,
        CallMatch::Approval => &*deed.name == "approval" && activity.from == watch,
        CallMatch::Item(name) => deed.selector.is_none() && deed.topic0.is_none() && &*deed.name == *name,
        // A list cannot contain lists.
        CallMatch::OneOf(_) => false,
    }
}

fn unnamed(activity: &Activity, what: &str) -> String {
    let signature = &activity.deed.signature;
    format!("is {signature}: {what}, and `*` vouches for that nowhere; a rule has to name `{signature}`")
}

fn other_deed(rule: &Rule, activity: &Activity) -> String {
    let vouched = match &rule.deed {
        CallMatch::Any => "anything".to_owned(),
        CallMatch::Ether => "plain ether".to_owned(),
        CallMatch::Creation => "contract creations".to_owned(),
        CallMatch::Function { .. } | CallMatch::Event { .. } | CallMatch::OneOf(_) => {
            rule.deed.watchlist_text().to_string()
        }
        CallMatch::MoveIn => "value received".to_owned(),
        CallMatch::MoveOut => "value that left".to_owned(),
        CallMatch::Approval => "allowances given".to_owned(),
        CallMatch::Item(name) => (*name).to_owned(),
    };
    if rule.kind == activity.kind {
        format!("is {}, the rule is about {vouched}", activity.deed.signature)
    } else {
        format!(
            "is {} as a `{}`, the rule is about `{}` {vouched}",
            activity.deed.signature,
            activity.kind.as_str(),
            rule.kind.as_str()
        )
    }
}

/// Checks the bytes after the arguments: a normal rule has to allow them, an abnormal one may require them.
fn test_suffix(rule: &Rule, activity: &Activity, refusals: &mut Mismatches) {
    let bytes = match &activity.deed.decoding {
        Decoding::Suffixed(bytes) => Some(bytes),
        _ => None,
    };
    match (rule.polarity, rule.suffix, bytes) {
        (Polarity::Normal, None, Some(bytes)) => {
            refusals.add("suffix", || format!("is {}, and the rule lets none be", builtin::suffix_words(bytes)));
        }
        (_, Some(suffix), Some(bytes)) if !suffix.admits(bytes) => refusals.add("suffix", || {
            format!(
                "is {}, and no attribution by ERC-8021 from its first byte to its last",
                builtin::suffix_words(bytes)
            )
        }),
        (Polarity::Abnormal, Some(suffix), None) => {
            refusals.add("suffix", || format!("is none, and the rule is about `{}`", suffix.as_str()));
        }
        _ => {}
    }
}

fn test_sent_value(rule: &Rule, activity: &Activity, refusals: &mut Mismatches) {
    let ether = Unit::ether();
    let sent = activity.value;
    match &rule.value {
        ValueRule::Unsaid => {
            let pays = matches!(rule.deed, CallMatch::Ether);
            if !pays && !sent.is_zero() {
                refusals.add("value", || format!("{} goes along, the rule lets none", ether.format_amount(sent)));
            }
        }
        ValueRule::Within { min, max } => {
            if let Some(min) = min.filter(|min| sent < *min) {
                refusals
                    .add("value", || format!("{} is below {}", ether.format_amount(sent), ether.format_amount(min)));
            }
            if let Some(max) = max.filter(|max| sent > *max) {
                refusals
                    .add("value", || format!("{} is above {}", ether.format_amount(sent), ether.format_amount(max)));
            }
        }
    }
}

fn test_limit(
    limit: &Limit,
    rule: &Rule,
    activity: &Activity,
    watch: Address,
    windows: &Windows<'_>,
    refusals: &mut Mismatches,
) {
    let Some(more) = measured_amount(&limit.measure, activity) else {
        refusals.add("limit", || "cannot be added up: the argument is missing".to_owned());
        return;
    };
    let sum = windows.sum_in_window(watch, &window_key(&rule.name, &limit.measure), limit.per).saturating_add(more);
    if sum > limit.max {
        refusals.add("limit", || {
            let sum = condition::show_amount(sum, &limit.unit, limit.token, activity);
            format!("{sum} in {} is above {}", limit.per_text, limit.unit.format_amount(limit.max))
        });
    }
}

/// Returns the amount that `activity` adds to a window; `None` if the argument is absent.
pub(crate) fn measured_amount(measure: &Measure, activity: &Activity) -> Option<U256> {
    match measure {
        Measure::Count => Some(U256::ONE),
        Measure::Value => Some(activity.value),
        Measure::Arg { path, .. } => {
            // A missing value and a value that is not a number cannot be added up.
            let mut sum = None;
            let mut sound = true;
            path.visit_values(&activity.deed.args, &mut |value| match value.as_uint() {
                Some(number) => sum = Some(sum.unwrap_or(U256::ZERO).saturating_add(number)),
                None => sound = false,
            });
            sum.filter(|_| sound)
        }
    }
}

/// Returns the name of the window of a limit of `rule`. The name does not change when limits or rules are reordered.
pub(crate) fn window_key(rule: &str, measure: &Measure) -> Arc<str> {
    match measure {
        Measure::Count => Arc::from(format!("{rule}#count")),
        Measure::Value => Arc::from(format!("{rule}#value")),
        Measure::Arg { path, .. } => Arc::from(format!("{rule}#{path}")),
    }
}

fn describe_allowed_operations(operations: &[Operation]) -> String {
    let words: Vec<&str> = operations.iter().map(|operation| operation.as_str()).collect();
    format!("the rule lets {} only", words.join(" and "))
}
