//! Coverage of every function of every watch: the rules that could vouch for it, and the finding where none does.

use crate::abi::{Abi, Function};
use crate::classify::builtin::BUILTINS;
use crate::classify::rule::{AddressTest, CallMatch, Condition, Polarity, Rule, Rules, ValueRule, WatchRules};
use crate::classify::{self, History, Moment};
use crate::contracts::{self, Property};
use crate::model::value::Arg;
use crate::model::{
    Activity, ActivityKind, DecodedCall, Decoding, Fate, Kind, Operation, Position, Role, Severity, Stage, Verdict,
    Voucher, WatchId, WatchInfo,
};
use crate::watchlist::book::Config;
use crate::watchlist::compile::{STRANGER, zero_value};
use alloy_primitives::{Address, B256, U256};
use std::sync::Arc;

/// Coverage of one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageRow {
    /// Watch that the row belongs to.
    pub watch: WatchId,
    /// Kind of activity: somebody calls the function, or the watch does it, or it only appears in a log.
    pub kind: ActivityKind,
    /// Canonical signature, `ether`, `creation`, or `anything else`.
    pub function: Arc<str>,
    /// Set if the watch calls itself, as a wallet does to change its own owners.
    pub to_itself: bool,
    /// Normal rules for it, in the order of the file. The conditions of each rule still apply.
    pub vouched_by: Vec<Arc<str>>,
    /// Abnormal rules for it.
    pub raised_by: Vec<Arc<str>>,
    /// Outcome if no rule holds.
    pub otherwise: Otherwise,
}

/// Outcome if no rule holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// A built-in vouches for it.
    Normal(&'static str),
    /// Judged by the calls that it carries.
    Envelope,
    /// A finding, with the name of a built-in. The caller is assumed unknown and the arguments blank; worse values may
    /// give a higher severity.
    Finding {
        /// Name of the built-in.
        by: Arc<str>,
        /// Severity of the finding.
        severity: Severity,
    },
}

/// Returns one row for each function that changes state and each thing that a rule is about, watch by watch in the
/// order of the book.
#[must_use]
pub fn coverage_rows(book: &Config) -> Vec<CoverageRow> {
    let unruled = book.rules.watches.iter().map(|rules| WatchRules { rules: Vec::new(), ..rules.clone() }).collect();
    let unruled = Rules { watches: unruled, timed: Vec::new() };
    let mut rows = Vec::new();
    for watch in book.watches.iter() {
        let Some(rules) = book.rules.watches.get(watch.id.index()) else { continue };
        let chain = book.chains.iter().find(|chain| chain.info.id == watch.chain.id);
        let Some(subject) = chain.and_then(|chain| chain.subjects.get(&watch.address)) else { continue };
        let cases = coverage_cases(watch, rules, &subject.abi, &subject.rule_abi);
        let activities = cases.iter().map(|case| case.sample_activity(watch)).collect();
        let (judged, _) = classify::judge_activities(activities, &unruled, &History::default(), Moment { time: 0 });
        rows.extend(cases.into_iter().zip(judged).map(|(case, judged)| case.into_row(watch, rules, &judged.verdict)));
    }
    rows
}

/// An activity that could happen.
struct Case {
    kind: ActivityKind,
    name: Arc<str>,
    matches: CallMatch,
    function: Option<Arc<Function>>,
    to_itself: bool,
}

fn coverage_cases(watch: &WatchInfo, rules: &WatchRules, abi: &Abi, rule_abi: &Abi) -> Vec<Case> {
    let function = |kind, function: &Arc<Function>, to_itself| Case {
        kind,
        name: Arc::clone(&function.signature),
        matches: CallMatch::Function { selector: function.selector, signature: Arc::clone(&function.signature) },
        function: Some(Arc::clone(function)),
        to_itself,
    };
    let plain = |kind, name: &str, matches| Case { kind, name: name.into(), matches, function: None, to_itself: false };
    let changing = || abi.functions().filter(|function| function.mutates);
    let contract = contracts::of_kind(watch.kind);
    let wallet = contract.has(Property::CarriesOut);
    let acts =
        wallet || contract.has(Property::Account) || rules.rules.iter().any(|rule| rule.kind == ActivityKind::Act);

    let mut cases = vec![plain(ActivityKind::Call, "ether", CallMatch::Ether)];
    cases.extend(changing().map(|f| function(ActivityKind::Call, f, false)));
    cases.push(plain(ActivityKind::Call, "anything else", CallMatch::Any));
    if acts {
        cases.push(plain(ActivityKind::Act, "ether", CallMatch::Ether));
        if wallet {
            cases.extend(
                changing().filter(|f| !is_envelope(watch.kind, &f.name)).map(|f| function(ActivityKind::Act, f, true)),
            );
        }
    }
    // Functions, events and movements that rules name in addition to the watch's own ABI.
    for (rule, deed) in rules.rules.iter().flat_map(|rule| rule.deed.each().iter().map(move |deed| (rule, deed))) {
        let known = |case: &Case| case.kind == rule.kind && case.matches == *deed;
        if cases.iter().any(known) || *deed == CallMatch::Any {
            continue;
        }
        let (name, known): (Arc<str>, _) = match deed {
            CallMatch::Function { selector, signature } => {
                (Arc::clone(signature), rule_abi.function_by_selector(*selector).cloned())
            }
            CallMatch::Event { signature, .. } => (Arc::clone(signature), None),
            CallMatch::Any | CallMatch::Ether | CallMatch::OneOf(_) => ("ether".into(), None),
            CallMatch::Creation => ("creation".into(), None),
            CallMatch::MoveIn => ("in".into(), None),
            CallMatch::MoveOut => ("out".into(), None),
            CallMatch::Approval => ("approval".into(), None),
            CallMatch::Item(name) => ((*name).into(), None),
        };
        cases.push(Case { kind: rule.kind, name, matches: deed.clone(), function: known, to_itself: false });
    }
    if acts {
        cases.push(plain(ActivityKind::Act, "anything else", CallMatch::Any));
    }
    cases
}

fn is_envelope(kind: Kind, name: &str) -> bool {
    contracts::of_kind(kind).entry_points.contains(&name)
}

impl Case {
    /// Returns the case as an activity by a stranger, with blank arguments.
    fn sample_activity(&self, watch: &WatchInfo) -> Activity {
        let own = watch.address;
        let other = if self.to_itself { own } else { STRANGER };
        let (from, to) = match (self.kind, &self.matches) {
            (ActivityKind::Call, _) => (STRANGER, Some(own)),
            (ActivityKind::Act, CallMatch::Creation) | (ActivityKind::Event | ActivityKind::State, _) => (own, None),
            (ActivityKind::Move, CallMatch::MoveIn) => (STRANGER, Some(own)),
            (ActivityKind::Act | ActivityKind::Move, _) => (own, Some(other)),
        };
        let operation = if self.matches == CallMatch::Creation { Operation::Create } else { Operation::Call };
        // A Safe rejects a transaction by a payment of zero to itself; the case here is a payment to another address.
        let value = if self.matches == CallMatch::Ether { U256::ONE } else { U256::ZERO };
        let log = matches!(self.kind, ActivityKind::Event | ActivityKind::Move | ActivityKind::State);
        Activity {
            watch: watch.id,
            kind: self.kind,
            stage: Stage::Included,
            fate: Fate::Executed,
            tx: B256::ZERO,
            tx_index: 0,
            position: if log { Position::Log(0) } else { Position::Call(Vec::new()) },
            from,
            origin: STRANGER,
            to,
            value,
            deed: self.sample_call(from, to),
            operation,
            signers: None,
            via: Vec::new(),
            role: Role::Leaf,
            notes: Vec::new(),
        }
    }

    fn sample_call(&self, from: Address, to: Option<Address>) -> DecodedCall {
        let clean = |name: &str, args| DecodedCall::without_calldata(name, Arc::clone(&self.name), args);
        let blank_arg = |name: &str, value| Arg { name: name.into(), ty: "".into(), value, span: None };
        match (&self.matches, &self.function) {
            (CallMatch::Ether, _) => DecodedCall { decoding: Decoding::Ether, ..clean("ether", Vec::new()) },
            (CallMatch::Creation, _) => clean("creation", Vec::new()),
            (CallMatch::Function { selector, .. }, Some(function)) => {
                let args = function.inputs.iter().map(|input| Arg {
                    name: Arc::clone(&input.name),
                    ty: Arc::clone(&input.ty),
                    value: zero_value(&input.kind),
                    span: None,
                });
                DecodedCall {
                    selector: Some(*selector),
                    mutates: function.mutates,
                    ..clean(&function.name, args.collect())
                }
            }
            (CallMatch::Function { selector, signature }, None) => {
                let name = signature.split('(').next().unwrap_or_default();
                DecodedCall { selector: Some(*selector), ..clean(name, Vec::new()) }
            }
            (CallMatch::Event { topic0, signature }, _) => {
                let name = signature.split('(').next().unwrap_or_default();
                DecodedCall { topic0: Some(*topic0), ..clean(name, Vec::new()) }
            }
            (CallMatch::MoveIn | CallMatch::MoveOut | CallMatch::Approval, _) => {
                use crate::model::value::Value;
                let args = vec![
                    blank_arg("token", Value::Address(Address::ZERO)),
                    blank_arg("from", Value::Address(from)),
                    blank_arg("to", Value::Address(to.unwrap_or_default())),
                    blank_arg("amount", Value::Uint(U256::ONE)),
                ];
                clean(if self.matches == CallMatch::Approval { "approval" } else { "transfer" }, args)
            }
            (CallMatch::Item(name), _) => clean(name, Vec::new()),
            // Each case has a single function, event or movement.
            (CallMatch::OneOf(_), _) => clean(&self.name, Vec::new()),
            (CallMatch::Any, _) if self.kind == ActivityKind::Act => {
                DecodedCall { selector: Some([0; 4]), ..clean("anything else", Vec::new()) }
            }
            (CallMatch::Any, _) => {
                let unknown = Decoding::Opaque("unknown selector".to_owned());
                DecodedCall { selector: Some([0; 4]), decoding: unknown, ..clean("anything else", Vec::new()) }
            }
        }
    }

    /// Returns whether the rule's conditions on the target, on ether, and on how and when it is executed can hold here.
    /// The rule's other conditions are left open.
    fn can_match(&self, rule: &Rule, own: Address) -> bool {
        let acts = self.kind == ActivityKind::Act;
        let target = |test: &AddressTest| match (test, self.to_itself) {
            (AddressTest::In(set), true) => set.members.contains(&own),
            (AddressTest::NotIn(set), true) => !set.members.contains(&own),
            (AddressTest::In(set), false) => set.members.iter().any(|to| *to != own),
            (AddressTest::NotIn(_), false) => true,
        };
        let conditions = rule.conditions.iter().all(|condition| match condition {
            Condition::To(test) if acts && self.matches != CallMatch::Creation => target(test),
            Condition::Outcome(outcomes) => outcomes.contains(&Fate::Executed),
            Condition::Stage(stages) => stages.contains(&Stage::Included),
            _ => true,
        });
        let vouches = rule.polarity == Polarity::Normal;
        // A rule that does not mention ether allows none, and no rule vouches for data that cannot be decoded.
        let pays = self.matches == CallMatch::Ether && rule.deed == CallMatch::Any && rule.value == ValueRule::Unsaid;
        let unread = self.matches == CallMatch::Any && self.kind == ActivityKind::Call;
        let executed = self.matches != CallMatch::Creation || rule.operations.contains(&Operation::Create);
        conditions && executed && !(vouches && (pays || unread))
    }

    fn into_row(self, watch: &WatchInfo, rules: &WatchRules, verdict: &Verdict) -> CoverageRow {
        let about = |polarity: Polarity| {
            let rules = rules.rules.iter().filter(|rule| rule.polarity == polarity && rule.kind == self.kind);
            let about = rules.filter(|rule| rule.deed.includes(&self.matches) || rule.deed == CallMatch::Any);
            about
                .filter(|rule| self.can_match(rule, watch.address))
                .map(|rule| Arc::clone(&rule.name))
                .collect::<Vec<_>>()
        };
        let (mut vouched_by, raised_by) = (about(Polarity::Normal), about(Polarity::Abnormal));
        // A rule for a call also vouches for outgoing activities inside of that call, if it says so.
        if matches!(self.kind, ActivityKind::Act | ActivityKind::Move)
            && !contracts::of_kind(watch.kind).has(Property::Wallet)
        {
            let inside = rules.rules.iter().filter(|rule| rule.effects);
            vouched_by.extend(inside.map(|rule| Arc::from(format!("{} (inside of the call)", rule.name))));
        }
        let name = self.function.as_ref().map_or("", |function| &*function.name);
        let otherwise = match verdict {
            _ if self.kind == ActivityKind::Call && is_envelope(watch.kind, name) => Otherwise::Envelope,
            Verdict::Normal { by: Voucher::Builtin(name) } => Otherwise::Normal(name),
            // Without rules, only built-ins vouch.
            Verdict::Normal { by } => {
                let name = by.to_string();
                Otherwise::Normal(
                    BUILTINS.iter().map(|b| b.name).find(|known| *known == name).unwrap_or("builtin/envelope"),
                )
            }
            Verdict::Abnormal(abnormal) => {
                Otherwise::Finding { by: Arc::clone(&abnormal.rule), severity: abnormal.severity }
            }
        };
        CoverageRow {
            watch: watch.id,
            kind: self.kind,
            function: self.name,
            to_itself: self.to_itself,
            vouched_by,
            raised_by,
            otherwise,
        }
    }
}
