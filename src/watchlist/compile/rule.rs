//! A compiled rule: its deed, its conditions, and the units that its amounts are compared in.

use super::abis::Spelled;
use super::args;
use super::deed::{Argument, CallMatcher, Targets};
use super::directory::Scope;
use super::units::{self, Counts};
use super::watch::{Head, Heads};
use super::{habits, limits, via};
use crate::abi::bundled;
use crate::classify::rule::{
    AddressSet, AddressTest, ArgTest, CallMatch, Condition, Elements, Hours, Polarity, Rule, Scalar, ValueRule,
};
use crate::model::{ActivityKind, Fate, Operation, Stage};
use crate::settings::{At, Problems, Spot, Value};
use crate::watchlist::file::{AddressesText, ListText, RuleText, SignersText};
use crate::watchlist::hours;
use alloy_primitives::U256;
use std::sync::Arc;

const ALL_OPERATIONS: [Operation; 3] = [Operation::Call, Operation::Delegatecall, Operation::Create];

/// A rule with the other results of compiling it.
pub(super) struct Compiled {
    pub(super) rule: Rule,
    /// Place of the rule in its file.
    pub(super) spot: Spot,
    /// Place of the rule's name.
    pub(super) name_spot: Spot,
    /// True if the whole rule was understood.
    pub(super) sound: bool,
    pub(super) spelled: Spelled,
    /// The deed with the rule's own names of its arguments, which the watch's tests may use as well.
    pub(super) deed: CallMatcher,
}

/// Compiles one rule of `head`. Returns `None` if not even its deed could be parsed.
pub(super) fn compile_rule(
    text: &RuleText<'_>,
    head: &Head<'_>,
    heads: &Heads<'_>,
    scope: &Scope<'_>,
    problems: &mut Problems,
) -> Option<Compiled> {
    let told = problems.seen_count();
    let written = text.deed.as_ref()?;
    let to = text.to.as_ref().map(|to| compile_address_tests(to, scope, problems)).unwrap_or_default();
    let targets = heads.target_abis(inclusion_set(&to), scope);
    let deed = CallMatcher::resolve(written, &head.abi, &targets, problems)?;
    let unknown = deed.each().iter().filter(|part| part.function.is_none());
    for part in unknown.filter(|_| text.polarity == Polarity::Normal) {
        let CallMatch::Function { signature, .. } = &part.matches else { continue };
        let problem = written
            .text
            .problem(format!("no one function `{signature}` is known, and what cannot be decoded is never normal"));
        problems.push(problem.with_hint("write the function's signature instead of its selector"));
    }
    let mut rule = Rule {
        name: text.name.as_ref().map_or("", |name| name.value).into(),
        polarity: text.polarity,
        kind: deed.kind,
        deed: deed.matches.clone(),
        conditions: Vec::new(),
        elements: match text.polarity {
            Polarity::Normal => Elements::Every,
            Polarity::Abnormal => Elements::Any,
        },
        value: compile_value(text, &deed, scope, problems),
        operations: compile_operations(text, &deed, problems),
        suffix: text.suffix.as_ref().map(|at| at.value),
        habits: habits::compile_baseline(text, &deed, problems),
        limits: Vec::new(),
        severity: text.severity,
        observe: text.observe,
        units: Vec::new(),
        effects: via::compile_effects(text, deed.kind, head.info.kind, problems),
        replaces: text.replaces.as_ref().is_some_and(|at| at.value),
    };
    refuse_idle(text, &deed, problems);
    for (field, wrap) in [(&text.from, Condition::From as fn(_) -> _), (&text.origin, Condition::Origin)] {
        let tests = field.as_ref().map(|field| compile_address_tests(field, scope, problems)).unwrap_or_default();
        rule.conditions.extend(tests.into_iter().map(wrap));
    }
    // Targets that could not be parsed may be any token. That was reported already, and the rule's amounts are accepted
    // as written.
    let lost = inclusion_set(&to).is_none() && text.to.as_ref().is_some_and(|to| to.inside.is_some());
    let own = if lost { Counts::Anything } else { Counts::from_rule(&deed, inclusion_set(&to), text, scope) };
    rule.conditions.extend(to.into_iter().map(Condition::To));
    let conditions =
        text.args.iter().map(|(label, value)| args::compile_arg_condition(label, value, &deed, &own, scope, problems));
    rule.conditions.extend(conditions.collect::<Vec<_>>().into_iter().flatten());
    if let Some(signers) = &text.signers {
        rule.conditions.push(compile_signers(signers, scope, problems));
    }
    if let Some(tip) = &text.tip {
        let most = units::read_ether(tip, "tip", scope, problems);
        rule.conditions.extend(most.map(|most| Condition::Tip { max: most.value }));
    }
    rule.conditions.extend(habits::compile_code_condition(text, &deed, problems));
    rule.conditions.extend(via::compile_via_condition(text, deed.kind, head, heads, scope, problems));
    rule.conditions.extend(compile_outcome(text));
    rule.conditions.extend(compile_stage(text));
    rule.conditions.extend(compile_hours(&text.hours, problems).map(Condition::Hours));
    let limits = text.limits.iter().filter_map(|limit| limits::compile_limit(limit, &deed, &own, scope, problems));
    rule.limits = limits.collect();
    rule.conditions.shrink_to_fit();
    let sound = text.sound && problems.seen_count() == told;
    let spelled = deed.spelled.clone();
    let name_spot = text.name.as_ref().map_or(&text.spot, |name| &name.spot).clone();
    Some(Compiled { rule, spot: text.spot.clone(), name_spot, sound, spelled, deed })
}

impl<'d> Counts<'d> {
    /// Returns the units of amounts among a deed's arguments. `to` are the rule's targets, if it names any.
    fn from_rule(deed: &CallMatcher, to: Option<&AddressSet>, text: &RuleText<'_>, scope: &Scope<'d>) -> Self {
        // Problems of an argument are reported where its condition is compiled.
        let mut unheard = Problems::new();
        let tokens = |set: &AddressSet| {
            let mut tokens: Vec<_> = set.members.iter().filter_map(|address| scope.token_at(*address)).collect();
            tokens.sort_by_key(|(name, _)| *name);
            let unknown = set.members.iter().filter(|address| scope.token_at(**address).is_none()).min();
            match unknown {
                _ if tokens.is_empty() => Counts::Anything,
                Some(other) => Counts::Mixed(tokens, *other),
                None => Counts::Tokens(tokens),
            }
        };
        match (deed.kind, to) {
            (ActivityKind::Call | ActivityKind::Event, _) => match scope.token_at(scope.own) {
                Some(token) => Counts::Tokens(vec![token]),
                None => Counts::Anything,
            },
            (ActivityKind::State, _) => Counts::Anything,
            (ActivityKind::Act, Some(to)) => tokens(to),
            (ActivityKind::Act, None) => {
                let is_of_tokens = |one: &CallMatch| matches!(one, CallMatch::Function { selector, .. } if bundled::erc20().function_by_selector(*selector).is_some());
                if deed.matches.each().iter().any(is_of_tokens) { Counts::AnyToken } else { Counts::Anything }
            }
            (ActivityKind::Move, _) => {
                // `token` is an ordinary argument, and here it also determines the unit of `amount`.
                let token = text.args.iter().find(|(label, _)| {
                    let found = deed.find_argument(label, &mut unheard);
                    found.is_some_and(|Argument { path, .. }| path.to_string() == "#0")
                });
                let condition = token.and_then(|(label, value)| {
                    args::compile_arg_condition(label, value, deed, &Counts::Anything, scope, &mut unheard)
                });
                let Some(Condition::Arg { tests, .. }) = condition else { return Counts::AnyToken };
                tests
                    .iter()
                    .find_map(|test| match test {
                        ArgTest::InAddresses(set) => Some(tokens(set)),
                        ArgTest::Eq(Scalar::Address(address)) => Some(match scope.token_at(*address) {
                            Some(token) => Counts::Tokens(vec![token]),
                            None => Counts::Anything,
                        }),
                        _ => None,
                    })
                    .unwrap_or(Counts::AnyToken)
            }
        }
    }
}

/// Compiles `in` and `not_in`, each to a test of its own.
fn compile_address_tests(text: &AddressesText<'_>, scope: &Scope<'_>, problems: &mut Problems) -> Vec<AddressTest> {
    let inside = text.inside.as_ref().and_then(|list| scope.resolve_set(list, problems));
    let outside = text.outside.as_ref().and_then(|list| scope.resolve_set(list, problems));
    let mut tests: Vec<_> = inside.map(AddressTest::In).into_iter().collect();
    if let (Some(AddressTest::In(inside)), Some(outside)) = (tests.first(), &outside)
        && inside.members.is_subset(&outside.members)
    {
        problems.push(text.spot.problem("everything in `in` is in `not_in` too, so this could never hold"));
    }
    tests.extend(outside.map(AddressTest::NotIn));
    tests
}

fn inclusion_set(tests: &[AddressTest]) -> Option<&AddressSet> {
    tests.iter().find_map(|test| match test {
        AddressTest::In(set) => Some(set),
        AddressTest::NotIn(_) => None,
    })
}

/// Rejects conditions on values that are constant, or never known, for this kind of activity: they would match
/// everything or nothing.
fn refuse_idle(text: &RuleText<'_>, deed: &CallMatcher, problems: &mut Problems) {
    let is = |kind: ActivityKind| deed.kind == kind;
    let act = is(ActivityKind::Act);
    let state = is(ActivityKind::State);
    let silent = is(ActivityKind::Event) || is(ActivityKind::Move) || state;
    let from = text.from.as_ref().map(|from| &from.spot);
    let to = text.to.as_ref().map(|to| &to.spot);
    let own = "it is always the watched address itself";
    let flaws = [
        (act, from, "from", own, "who sends the transaction is `origin`; who approved it is `signers`"),
        (is(ActivityKind::Event), from, "from", own, "who sends the transaction is `origin`"),
        (state, from, "from", own, "what it was and what it became is in `args`"),
        (state, to, "to", "a change goes to nobody", "what it was and what it became is in `args`"),
        (is(ActivityKind::Call), to, "to", own, "who calls is `from`"),
        (is(ActivityKind::Event), to, "to", "a log goes to nobody", "what it says is in `args`"),
        (deed.matches == CallMatch::Creation, to, "to", "a creation goes to nobody", "remove it"),
        (
            !act,
            text.signers.as_ref().map(|signers| &signers.spot),
            "signers",
            "only acts of a wallet are approved",
            "remove it",
        ),
        (
            !act,
            text.operations.as_ref().and_then(|o| Some(&o.first()?.spot)),
            "operation",
            "it is about acts",
            "remove it",
        ),
        (
            silent,
            text.outcomes.as_ref().and_then(|o| Some(&o.first()?.spot)),
            "outcome",
            "what is logged or found has happened",
            "remove it",
        ),
        (
            silent,
            text.stages.as_ref().and_then(|s| Some(&s.first()?.spot)),
            "stage",
            "what is logged or found is in a block",
            "remove it",
        ),
        (
            silent || deed.matches == CallMatch::Ether || deed.matches == CallMatch::Creation,
            text.suffix.as_ref().map(|suffix| &suffix.spot),
            "suffix",
            "it is about what stands behind the arguments of a function",
            "remove it",
        ),
    ];
    for (_, spot, key, why, hint) in flaws.into_iter().filter(|(wrong, ..)| *wrong) {
        if let Some(spot) = spot {
            problems.push(spot.problem(format!("`{key}` says nothing here: {why}")).with_hint(hint));
        }
    }
    if let Some(value) = text.value.filter(|_| silent) {
        let problem = value.spot().problem("`value` says nothing here: no ether goes along with a log");
        problems.push(problem.with_hint("an amount that a log tells is in `args`"));
    }
    if let Some(tip) = text.tip.filter(|_| !act) {
        let problem =
            tip.spot().problem("`tip` says nothing here: it is what a watched account pays for an act of its own");
        problems.push(problem.with_hint("remove it"));
    }
    if let Some(replaces) = text.replaces.as_ref().filter(|_| !act || text.polarity == Polarity::Abnormal) {
        let why = "`replaces` says nothing here: it lets a normal act of an account take the place of another";
        problems.push(replaces.problem(why).with_hint("remove it"));
    }
    if let Some(first) = text.limits.first().filter(|_| text.polarity == Polarity::Abnormal) {
        let problem = first.per.problem("a limit says nothing here: what an abnormal rule raises is not counted");
        problems.push(problem.with_hint("put the limit on a normal rule"));
    }
}

fn compile_value(text: &RuleText<'_>, deed: &CallMatcher, scope: &Scope<'_>, problems: &mut Problems) -> ValueRule {
    let Some(written) = &text.value else {
        // Deny by default applies to rules that vouch: a rule that raises matches regardless of the ether sent along.
        return match text.polarity {
            Polarity::Normal => ValueRule::Unsaid,
            Polarity::Abnormal => ValueRule::Within { min: None, max: None },
        };
    };
    let (min, max) = compile_value_bounds(written, scope, problems);
    let refuses_ether = deed.each().iter().any(|part| {
        part.function.as_ref().is_some_and(|function| !function.payable) && part.spelled.functions.is_empty()
    });
    if let Some(min) = min.as_ref().filter(|min| refuses_ether && !min.value.is_zero()) {
        problems.push(min.problem("the function is not payable, so ether never goes along with it"));
    }
    ValueRule::Within { min: min.map(|at| at.value), max: max.map(|at| at.value) }
}

/// Reads `{ min, max }`, or one amount for both.
fn compile_value_bounds(
    written: &Value<'_>,
    scope: &Scope<'_>,
    problems: &mut Problems,
) -> (Option<At<U256>>, Option<At<U256>>) {
    let Some(mut table) = written.as_table() else {
        let exact = units::read_ether(written, "value", scope, problems);
        return (exact.clone(), exact);
    };
    let min = table.value("min").and_then(|value| units::read_ether(&value, "value", scope, problems));
    let max = table.value("max").and_then(|value| units::read_ether(&value, "value", scope, problems));
    if let (Some(min), Some(max)) = (&min, &max)
        && min.value > max.value
    {
        let problem = min.problem("the least is above the most, so `value` could never hold");
        problems.push(problem.with_related_spot(max.spot.clone(), "the most"));
    }
    table.report_unknown_keys(problems);
    (min, max)
}

fn compile_operations(text: &RuleText<'_>, deed: &CallMatcher, problems: &mut Problems) -> Vec<Operation> {
    let creation = deed.matches == CallMatch::Creation;
    let Some(written) = &text.operations else {
        return match text.polarity {
            Polarity::Abnormal => ALL_OPERATIONS.to_vec(),
            Polarity::Normal if creation => vec![Operation::Create],
            Polarity::Normal => vec![Operation::Call],
        };
    };
    let wrong = |operation: Operation| creation != (operation == Operation::Create) && deed.matches != CallMatch::Any;
    for at in written.iter().filter(|at| wrong(at.value)) {
        let message =
            if creation { "a creation is executed by `create` alone" } else { "only a `creation` is executed so" };
        problems.push(at.problem(message));
    }
    written.iter().map(|at| at.value).collect()
}

fn compile_signers(text: &SignersText<'_>, scope: &Scope<'_>, problems: &mut Problems) -> Condition {
    let mut set = |list: &Option<ListText<'_>>| list.as_ref().and_then(|list| scope.resolve_set(list, problems));
    let (within, include) = (set(&text.within), set(&text.include));
    let at_least = text.at_least.as_ref().and_then(|at| u32::try_from(at.value).ok());
    let known = within.as_ref().or(scope.owners);
    if let (Some(at), Some(known)) = (&text.at_least, known)
        && usize::try_from(at.value).is_ok_and(|at_least| at_least > known.members.len())
    {
        let message = format!("`{}` has {} signers, so {} could never sign", known.name, known.members.len(), at.value);
        problems.push(at.problem(message));
    }
    if let (Some(within), Some(include), Some(list)) = (&within, &include, &text.include)
        && !include.members.is_subset(&within.members)
    {
        problems
            .push(list.spot.problem(format!("not all of these are in `{}`, so this could never hold", within.name)));
    }
    Condition::Signers { at_least, within, include }
}

/// Compiles the outcome; `any` gives no condition.
fn compile_outcome(text: &RuleText<'_>) -> Option<Condition> {
    let outcomes: Option<Vec<Fate>> = text.outcomes.as_ref()?.iter().map(|at| at.value).collect();
    outcomes.filter(|outcomes| !outcomes.is_empty()).map(Condition::Outcome)
}

fn compile_stage(text: &RuleText<'_>) -> Option<Condition> {
    let stages: Vec<Stage> = text.stages.as_ref()?.iter().map(|at| at.value).collect();
    (!stages.is_empty()).then_some(Condition::Stage(stages))
}

/// Joins several texts if they are in the same zone.
fn compile_hours(texts: &[At<&str>], problems: &mut Problems) -> Option<Hours> {
    let mut joined: Option<Hours> = None;
    for text in texts {
        match (hours::parse_hours(text), &mut joined) {
            (Ok(hours), None) => joined = Some(hours),
            (Ok(hours), Some(joined)) if hours.zone == joined.zone => {
                joined.text = format!("{}; {}", joined.text, hours.text).into();
                joined.spans.extend(hours.spans);
            }
            (Ok(_), Some(_)) => {
                let problem = text.problem("the hours of one rule are in one time zone");
                problems.push(problem.with_hint("write another rule for the other zone"));
            }
            (Err((message, hint)), _) => problems.push(text.problem(message).with_hint(hint)),
        }
    }
    joined
}

impl Heads<'_> {
    /// ABIs of the contracts a rule's `to` names.
    pub(super) fn target_abis(&self, to: Option<&AddressSet>, scope: &Scope<'_>) -> Targets {
        let Some(to) = to else { return Targets { abis: Vec::new(), others: true } };
        let mut targets = Targets::default();
        for address in to.members.iter() {
            match self.abi_of(*address, scope) {
                Some(abi) if targets.abis.iter().any(|known| Arc::ptr_eq(known, &abi)) => {}
                Some(abi) => targets.abis.push(abi),
                None => targets.others = true,
            }
        }
        targets
    }
}
