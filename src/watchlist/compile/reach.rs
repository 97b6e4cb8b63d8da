//! Unreachable rules: an earlier rule covers all their activities.

use super::rule::Compiled;
use crate::classify::builtin::may_change_control;
use crate::classify::rule::{
    AddressSet, AddressTest, ArgTest, CallMatch, Condition, Polarity, Rule, Suffix, ValueRule, Via,
};
use crate::model::Severity;
use crate::settings::Problems;
use std::collections::BTreeSet;

/// Reports every rule of a watch that an earlier rule fully covers, and duplicate names.
pub(super) fn check_reachability(rules: &[Compiled], problems: &mut Problems) {
    let keys: Vec<BTreeSet<String>> = rules.iter().map(|compiled| condition_keys(&compiled.rule)).collect();
    for (i, later) in rules.iter().enumerate() {
        let named = |other: &&Compiled| !other.rule.name.is_empty() && other.rule.name == later.rule.name;
        if let Some(first) = rules[..i].iter().find(named) {
            let problem = later.name_spot.problem(format!("rule `{}` stands twice in this watch", later.rule.name));
            problems.push(problem.with_related_spot(first.name_spot.clone(), "first here"));
        }
        // A rule that could not be parsed in full may cover anything.
        if !later.sound {
            continue;
        }
        let before = rules.iter().enumerate().filter(|(j, _)| *j != i).find(|(j, earlier)| {
            earlier.sound && is_asked_before((&earlier.rule, *j), (&later.rule, i)) && {
                rule_covers(&earlier.rule, &later.rule) && keys[*j].is_subset(&keys[i])
            }
        });
        if let Some((_, earlier)) = before {
            let does = match earlier.rule.polarity {
                Polarity::Normal => "vouches for",
                Polarity::Abnormal => "raises",
            };
            let message =
                format!("rule `{}` is never reached: `{}` {does} all of it", later.rule.name, earlier.rule.name);
            let problem = later.spot.problem(message).with_related_spot(earlier.spot.clone(), "this rule comes first");
            let above = earlier.spot.span.start < later.spot.span.start;
            problems.push(problem.with_hint(if above { "move it above, or remove it" } else { "remove it" }));
        }
    }
}

/// Normal rules apply in the order of the file. Among abnormal rules the most severe active one counts; it leaves
/// nothing to a normal rule unless its severity is lower than that of unvouched activities, which is high. An abnormal
/// rule in observe mode covers only later abnormal rules in observe mode.
fn is_asked_before((earlier, i): (&Rule, usize), (later, j): (&Rule, usize)) -> bool {
    match (earlier.polarity, later.polarity) {
        (Polarity::Abnormal, Polarity::Normal) => !earlier.observe && finding_severity(earlier) >= Severity::High,
        (Polarity::Normal, Polarity::Abnormal) => false,
        (Polarity::Normal, Polarity::Normal) => i < j,
        (Polarity::Abnormal, Polarity::Abnormal) if earlier.observe => later.observe && i < j,
        (Polarity::Abnormal, Polarity::Abnormal) => {
            later.observe
                || finding_severity(earlier) > finding_severity(later)
                || finding_severity(earlier) == finding_severity(later) && i < j
        }
    }
}

fn finding_severity(rule: &Rule) -> Severity {
    rule.severity.unwrap_or(Severity::High)
}

/// Returns whether `earlier` takes everything that `later` could take, their conditions aside.
fn rule_covers(earlier: &Rule, later: &Rule) -> bool {
    let deed = earlier.deed.includes(&later.deed) || earlier.deed == CallMatch::Any && is_plain(&later.deed);
    let value = match (&earlier.value, &later.value) {
        (ValueRule::Within { min: None, max: None }, _) => true,
        (ValueRule::Unsaid, ValueRule::Unsaid) => earlier.deed.includes(&later.deed) || later.deed != CallMatch::Ether,
        (ValueRule::Unsaid, ValueRule::Within { max, .. }) => {
            later.deed == CallMatch::Ether && earlier.deed == CallMatch::Ether || max.is_some_and(|max| max.is_zero())
        }
        (ValueRule::Within { .. }, ValueRule::Unsaid) => false,
        (ValueRule::Within { min, max }, ValueRule::Within { min: later_min, max: later_max }) => {
            let above = min.is_none_or(|min| later_min.is_some_and(|later| later >= min));
            above && max.is_none_or(|max| later_max.is_some_and(|later| later <= max))
        }
    };
    let operations = later.operations.iter().all(|operation| earlier.operations.contains(operation));
    let suffix = match (earlier.polarity, earlier.suffix, later.suffix) {
        (Polarity::Normal, None, Some(_)) | (Polarity::Abnormal, Some(_), None) => false,
        (Polarity::Normal, None, None) | (Polarity::Abnormal, None, _) => true,
        (_, Some(earlier), later) => earlier == Suffix::Any || later != Some(Suffix::Any),
    };
    // An abnormal rule that requires bytes behind the arguments matches only a part of what a normal rule that allows
    // them matches.
    let suffix = suffix && (earlier.polarity == later.polarity || earlier.suffix.is_none());
    earlier.kind == later.kind
        && deed
        && value
        && operations
        && suffix
        && earlier.limits.is_empty()
        && earlier.habits.is_empty()
}

/// Deeds that `*` takes without a doubt: no payments or creations, and nothing that a rule has to name.
fn is_plain(deed: &CallMatch) -> bool {
    deed.each().iter().all(|one| match one {
        CallMatch::Ether | CallMatch::Creation | CallMatch::Item(_) => false,
        CallMatch::Function { signature, .. } | CallMatch::Event { signature, .. } => {
            !may_change_control(signature.split('(').next().unwrap_or_default())
        }
        _ => true,
    })
}

/// Returns the conditions as texts that are equal if the conditions are equal.
fn condition_keys(rule: &Rule) -> BTreeSet<String> {
    rule.conditions.iter().map(condition_key).collect()
}

fn condition_key(condition: &Condition) -> String {
    let address = |what: &str, test: &AddressTest| match test {
        AddressTest::In(set) => format!("{what} in {}", set_key(set)),
        AddressTest::NotIn(set) => format!("{what} not in {}", set_key(set)),
    };
    let optional = |set: &Option<AddressSet>| set.as_ref().map(set_key).unwrap_or_default();
    match condition {
        Condition::From(test) => address("from", test),
        Condition::Origin(test) => address("origin", test),
        Condition::To(test) => address("to", test),
        Condition::Arg { path, tests, .. } => {
            let tests: BTreeSet<String> = tests.iter().map(arg_key).collect();
            format!("arg {path} {}", tests.into_iter().collect::<Vec<_>>().join(" and "))
        }
        Condition::Signers { at_least, within, include } => {
            format!("signers {at_least:?} within {} include {}", optional(within), optional(include))
        }
        Condition::Code { label, hashes, .. } => format!("code of {label} in {hashes:?}"),
        Condition::Tip { max } => format!("tip {max}"),
        Condition::Via(Via::Party(set)) => format!("via {}", set_key(set)),
        Condition::Via(Via::Call { deed, of }) => format!("via {deed:?} of {}", set_key(of)),
        Condition::Via(Via::Module { module, role }) => {
            format!("via module {} as {:?}", set_key(module), role.as_ref().map(|role| &role.keys))
        }
        Condition::Hours(hours) => format!("hours {:?} {:?}", hours.zone.iana_name(), hours.spans),
        Condition::Outcome(outcomes) => format!("outcome {outcomes:?}"),
        Condition::Stage(stages) => format!("stage {stages:?}"),
    }
}

fn arg_key(test: &ArgTest) -> String {
    match test {
        ArgTest::InAddresses(set) => format!("in {}", set_key(set)),
        ArgTest::NotInAddresses(set) => format!("not in {}", set_key(set)),
        ArgTest::Min(bound) => format!("min {} {}", bound.negative, bound.value),
        ArgTest::Max(bound) => format!("max {} {}", bound.negative, bound.value),
        ArgTest::Eq(_) | ArgTest::InScalars(_) | ArgTest::NotInScalars(_) => format!("{test:?}"),
    }
}

/// Returns the name of a set where it has one, since a name has the same meaning in all rules of a watch; otherwise its
/// members.
fn set_key(set: &AddressSet) -> String {
    if set.name.starts_with('@') && !set.name.contains([',', ' ']) {
        return set.name.to_string();
    }
    let sorted: BTreeSet<_> = set.members.iter().collect();
    format!("{sorted:?}")
}
