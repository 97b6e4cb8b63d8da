//! Conditions of a rule: parties, arguments and time.

use super::rule::{AddressSet, AddressTest, ArgTest, Bound, Condition, Elements, Hours, Party, Scalar, Span};
use super::rule_result::Mismatches;
use crate::model::activity::Note;
use crate::model::amount::Unit;
use crate::model::arg_path::ArgPath;
use crate::model::value::Value;
use crate::model::{Activity, ActivityKind, Fate, Stage};
use alloy_primitives::{Address, B256, U256, keccak256};
use jiff::Timestamp;
use jiff::civil::Weekday;

/// Tests one condition and adds each mismatch to `refusals`. `elements` says how many elements of a list must pass.
///
/// For a transaction in a Safe's queue, the sender, the time and the full list of signers are known only at execution,
/// so those conditions are tested then. Until then, only a signer outside the allowed set is refused.
pub(crate) fn test_condition(
    condition: &Condition,
    elements: Elements,
    activity: &Activity,
    now: u64,
    refusals: &mut Mismatches,
) {
    if activity.proposal_progress().is_some() {
        match condition {
            Condition::Origin(_) | Condition::Hours(_) | Condition::Code { of: Party::Origin, .. } => return,
            Condition::Signers { within, .. } => {
                let so_far = activity.signers.as_deref().filter(|signers| !signers.is_empty());
                if so_far.is_some() {
                    test_signers(so_far, None, within.as_ref(), None, refusals);
                }
                return;
            }
            Condition::From(_)
            | Condition::To(_)
            | Condition::Arg { .. }
            | Condition::Code { .. }
            | Condition::Outcome(_)
            | Condition::Stage(_)
            | Condition::Tip { .. }
            | Condition::Via(_) => {}
        }
    }
    // The signers may be unknown until the transaction is in a block. The condition is tested then, and no guess counts
    // against it now.
    let unsigned = activity.stage == Stage::Pending && activity.signers.is_none();
    if unsigned && matches!(condition, Condition::Signers { .. }) {
        return;
    }
    match condition {
        Condition::From(test) => test_address("from", Some(activity.from), test, refusals),
        Condition::Origin(test) => test_address("origin", Some(activity.origin), test, refusals),
        Condition::To(test) => test_address("to", activity.to, test, refusals),
        Condition::Arg { path, label, tests, .. } => match elements {
            Elements::Every => test_every_value(path, label, tests, activity, refusals),
            Elements::Any => test_any_value(path, label, tests, activity, refusals),
        },
        Condition::Signers { at_least, within, include } => {
            test_signers(activity.signers.as_deref(), *at_least, within.as_ref(), include.as_ref(), refusals);
        }
        Condition::Tip { max } => test_priority_fee(*max, activity, refusals),
        Condition::Via(via) => super::via::test_via(via, activity, refusals),
        Condition::Code { of, hashes, .. } if elements == Elements::Any && is_listed(of, hashes, activity) => {}
        Condition::Code { of, label, hashes } => test_code_hash(of, label, hashes, activity, refusals),
        Condition::Hours(hours) => {
            test_hours(hours, now, refusals);
        }
        Condition::Outcome(outcomes) => test_outcome(outcomes, elements, activity.fate, refusals),
        Condition::Stage(stages) => test_stage(stages, activity.stage, refusals),
    }
}

fn test_outcome(outcomes: &[Fate], elements: Elements, fate: Fate, refusals: &mut Mismatches) {
    // A normal rule about executed transactions also vouches for one that still waits. An abnormal rule raises only
    // after the execution.
    let may_come = fate == Fate::Waiting && elements == Elements::Every && outcomes.contains(&Fate::Executed);
    if !may_come && !outcomes.contains(&fate) {
        let words = || outcomes.iter().map(|fate| fate.as_str()).collect::<Vec<_>>().join(" or ");
        refusals.add("outcome", || format!("is {}, and the rule is about what is {}", fate.as_str(), words()));
    }
}

fn test_stage(stages: &[Stage], stage: Stage, refusals: &mut Mismatches) {
    let stage = if stage == Stage::Reverted { Stage::Included } else { stage };
    if !stages.contains(&stage) {
        let words = || stages.iter().map(|stage| stage.as_str()).collect::<Vec<_>>().join(" or ");
        refusals.add("stage", || format!("is {}, and the rule is about what is {}", stage.as_str(), words()));
    }
}

/// Requires that all tests hold for every value, and that there is at least one value.
fn test_every_value(path: &ArgPath, label: &str, tests: &[ArgTest], activity: &Activity, refusals: &mut Mismatches) {
    let mut missing = true;
    path.visit_values(&activity.deed.args, &mut |value| {
        missing = false;
        for test in tests {
            test_argument(label, value, test, activity, refusals);
        }
    });
    if missing {
        refusals.add(label, || "is not among the arguments".to_owned());
    }
}

/// Requires that all tests hold for one value.
fn test_any_value(path: &ArgPath, label: &str, tests: &[ArgTest], activity: &Activity, refusals: &mut Mismatches) {
    let (mut first, mut count, mut found) = (None, 0_usize, false);
    path.visit_values(&activity.deed.args, &mut |value| {
        first.get_or_insert(value);
        count += 1;
        found = found || tests.iter().all(|test| is_value_accepted(value, test));
    });
    match first {
        None => refusals.add(label, || "is not among the arguments".to_owned()),
        Some(_) if found => {}
        Some(only) if count == 1 => tests.iter().for_each(|test| test_argument(label, only, test, activity, refusals)),
        Some(_) => refusals.add(label, || format!("holds of none of the {count} elements")),
    }
}

/// Returns the addresses that `of` selects.
pub(crate) fn party_addresses(of: &Party, activity: &Activity) -> Vec<Address> {
    match of {
        Party::From => vec![activity.from],
        Party::Origin => vec![activity.origin],
        Party::To => activity.to.into_iter().collect(),
        Party::Function => Vec::new(),
        Party::Arg(path) => {
            let mut found = Vec::new();
            path.visit_values(&activity.deed.args, &mut |value| found.extend(value.as_address()));
            found
        }
    }
}

/// Returns the code hash at `address`, if the code was read.
pub(crate) fn code_of(address: Address, activity: &Activity) -> Option<B256> {
    activity.notes.iter().find_map(|note| match note {
        Note::Code { of, hash } if *of == address => Some(*hash),
        _ => None,
    })
}

/// Returns whether the code of any of the addresses is listed.
fn is_listed(of: &Party, hashes: &[B256], activity: &Activity) -> bool {
    party_addresses(of, activity)
        .iter()
        .any(|address| code_of(*address, activity).is_some_and(|hash| hashes.contains(&hash)))
}

fn test_code_hash(of: &Party, label: &str, hashes: &[B256], activity: &Activity, refusals: &mut Mismatches) {
    let addresses = party_addresses(of, activity);
    if addresses.is_empty() {
        refusals.add("code", || format!("finds no {label}"));
    }
    for address in addresses {
        match code_of(address, activity) {
            None => refusals.add("code", || format!("of {address} could not be read")),
            Some(hash) if !hashes.contains(&hash) => {
                refusals.add("code", || format!("of {address} has the hash {hash}, which is not listed"));
            }
            Some(_) => {}
        }
    }
}

/// Checks that an unusual payment for inclusion is at most `max`. A usual payment passes, whatever its amount.
fn test_priority_fee(max: U256, activity: &Activity, refusals: &mut Mismatches) {
    let paid =
        activity.notes.iter().find_map(|note| if let Note::Tip { paid, .. } = note { Some(*paid) } else { None });
    if let Some(paid) = paid.filter(|paid| *paid > max) {
        refusals.add("tip", || {
            format!("{} is above {}", Unit::ether().format_amount(paid), Unit::ether().format_amount(max))
        });
    }
}

fn test_address(key: &str, who: Option<Address>, test: &AddressTest, refusals: &mut Mismatches) {
    let Some(who) = who else {
        refusals.add(key, || "is nobody".to_owned());
        return;
    };
    match test {
        AddressTest::In(set) if !set.members.contains(&who) => {
            refusals.add(key, || format!("{who} is not in {}", set.name));
        }
        AddressTest::NotIn(set) if set.members.contains(&who) => {
            refusals.add(key, || format!("{who} is in {}", set.name));
        }
        AddressTest::In(_) | AddressTest::NotIn(_) => {}
    }
}

/// Returns whether `value` passes `test`.
fn is_value_accepted(value: &Value, test: &ArgTest) -> bool {
    match test {
        ArgTest::Eq(scalar) => is_equal_to_scalar(value, scalar),
        ArgTest::InAddresses(set) => is_in_address_set(value, set),
        ArgTest::NotInAddresses(set) => !is_in_address_set(value, set),
        ArgTest::InScalars(list) => list.iter().any(|one| is_equal_to_scalar(value, one)),
        ArgTest::NotInScalars(list) => !list.iter().any(|one| is_equal_to_scalar(value, one)),
        ArgTest::Min(bound) => at_least(value, bound),
        ArgTest::Max(bound) => at_most(value, bound),
    }
}

fn test_argument(label: &str, value: &Value, test: &ArgTest, activity: &Activity, refusals: &mut Mismatches) {
    if is_value_accepted(value, test) {
        return;
    }
    refusals.add(label, || match test {
        ArgTest::Eq(scalar) => format!("{value} is not {}", describe_comparand(value, scalar)),
        ArgTest::InAddresses(set) => format!("{value} is not in {}", set.name),
        ArgTest::NotInAddresses(set) => format!("{value} is in {}", set.name),
        ArgTest::InScalars(list) => {
            let several: Vec<String> = list.iter().map(|scalar| describe_comparand(value, scalar)).collect();
            format!("{value} is not one of {}", several.join(", "))
        }
        ArgTest::NotInScalars(_) => format!("{value} is not allowed"),
        ArgTest::Min(bound) => {
            format!("{} is below {}", format_value_in_unit(value, bound, activity), format_bound(bound))
        }
        ArgTest::Max(bound) => {
            format!("{} is above {}", format_value_in_unit(value, bound, activity), format_bound(bound))
        }
    });
}

fn is_in_address_set(value: &Value, set: &AddressSet) -> bool {
    value.as_address().is_some_and(|address| set.members.contains(&address))
}

fn is_equal_to_scalar(value: &Value, scalar: &Scalar) -> bool {
    match (value, scalar) {
        (Value::Address(a), Scalar::Address(b)) => a == b,
        (Value::Uint(a), Scalar::Uint(b)) => a == b,
        (Value::Int(a), Scalar::Int(b)) => a == b,
        (Value::Int(a), Scalar::Uint(b)) => !a.is_negative() && a.into_raw() == *b,
        (Value::Bool(a), Scalar::Bool(b)) => a == b,
        (Value::Bytes(a), Scalar::Bytes(b)) => a == b,
        (Value::FixedBytes(a, len), Scalar::Bytes(b)) => a[..usize::from(*len).min(32)] == b[..],
        (Value::String(a), Scalar::Text(b)) => a[..] == *b.as_bytes(),
        // A log holds only the hash of an indexed value, so hashes are compared.
        (Value::Hash(a), Scalar::Text(b)) => *a == keccak256(b.as_bytes()),
        (Value::Hash(a), Scalar::Bytes(b)) => *a == keccak256(b),
        (Value::Hash(a), Scalar::Hash(b)) => a == b,
        (Value::String(a) | Value::Bytes(a), Scalar::Hash(b)) => keccak256(a) == *b,
        _ => false,
    }
}

fn format_scalar(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Address(address) => address.to_string(),
        Scalar::Uint(number) => number.to_string(),
        Scalar::Int(number) => number.to_string(),
        Scalar::Bool(truth) => truth.to_string(),
        Scalar::Bytes(bytes) => bytes.to_string(),
        Scalar::Text(text) => format!("{text:?}"),
        Scalar::Hash(hash) => format!("{hash:#x}"),
    }
}

/// Describes the scalar that `value` is compared with, and notes a comparison by hash.
fn describe_comparand(value: &Value, scalar: &Scalar) -> String {
    match (value, scalar) {
        (Value::Hash(_), Scalar::Text(_) | Scalar::Bytes(_)) => format!("that of {}", format_scalar(scalar)),
        _ => format_scalar(scalar),
    }
}

/// A value that is no number is neither at least nor at most anything.
fn at_least(value: &Value, bound: &Bound) -> bool {
    signed_magnitude(value).is_some_and(|(negative, size)| match (negative, bound.negative) {
        (false, false) => size >= bound.value,
        (false, true) => true,
        (true, false) => false,
        (true, true) => size <= bound.value,
    })
}

fn at_most(value: &Value, bound: &Bound) -> bool {
    signed_magnitude(value).is_some_and(|(negative, size)| match (negative, bound.negative) {
        (false, false) => size <= bound.value,
        (false, true) => false,
        (true, false) => true,
        (true, true) => size >= bound.value,
    })
}

fn signed_magnitude(value: &Value) -> Option<(bool, U256)> {
    match value {
        Value::Uint(number) => Some((false, *number)),
        Value::Int(number) => Some((number.is_negative(), number.unsigned_abs())),
        _ => None,
    }
}

fn format_value_in_unit(value: &Value, bound: &Bound, activity: &Activity) -> String {
    signed_magnitude(value).map_or_else(
        || value.to_string(),
        |(negative, size)| {
            let sign = if negative { "-" } else { "" };
            format!("{sign}{}", show_amount(size, &bound.unit, bound.token, activity))
        },
    )
}

/// Formats an amount that `activity` counts, in `unit`. If `unit` belongs to another `token`, the amount is shown in
/// base units.
pub(crate) fn show_amount(amount: U256, unit: &Unit, token: Option<Address>, activity: &Activity) -> String {
    if token.is_some_and(|token| counted_token(activity) != Some(token)) {
        return format!("{} base units of another token", Unit::bare_number().format_amount(amount));
    }
    unit.format_amount(amount)
}

/// Returns the contract in whose units the amounts among the arguments are counted, if they count a token.
fn counted_token(activity: &Activity) -> Option<Address> {
    match activity.kind {
        ActivityKind::Call | ActivityKind::Act => activity.to,
        ActivityKind::Event => Some(activity.from),
        ActivityKind::Move | ActivityKind::State => activity.deed.args.first().and_then(|arg| arg.value.as_address()),
    }
}

fn format_bound(bound: &Bound) -> String {
    format!("{}{}", if bound.negative { "-" } else { "" }, bound.unit.format_amount(bound.value))
}

fn test_signers(
    known: Option<&[Address]>,
    at_least: Option<u32>,
    within: Option<&AddressSet>,
    include: Option<&AddressSet>,
    refusals: &mut Mismatches,
) {
    let Some(known) = known else {
        refusals.add("signers", || "could not be recovered".to_owned());
        return;
    };
    if let Some(least) = at_least
        && (known.len() as u64) < u64::from(least)
    {
        refusals.add("signers", || format!("are {}, fewer than {least}", known.len()));
    }
    // A module acts without any signature, and an empty list of signers must not pass as "all are members".
    if let Some(set) = within.filter(|_| known.is_empty()) {
        refusals.add("signers", || format!("are nobody, where all must be in {}", set.name));
    }
    if let Some(set) = within
        && let Some(stranger) = known.iter().find(|who| !set.members.contains(*who))
    {
        refusals.add("signers", || format!("include {stranger}, who is not in {}", set.name));
    }
    if let Some(set) = include
        && let Some(absent) = set.members.iter().find(|who| !known.contains(who))
    {
        refusals.add("signers", || format!("lack {absent} of {}", set.name));
    }
}

/// Adds a mismatch if `now` (Unix seconds) is in none of the spans.
fn test_hours(hours: &Hours, now: u64, refusals: &mut Mismatches) {
    let Some(instant) = i64::try_from(now).ok().and_then(|now| Timestamp::from_second(now).ok()) else {
        return refusals.add("hours", || format!("cannot be told for block time {now}"));
    };
    let local = instant.to_zoned_datetime(hours.zone.clone());
    let minute = u16::try_from(i16::from(local.hour()) * 60 + i16::from(local.minute())).unwrap_or(0);
    let weekday = local.weekday();
    if !hours.spans.iter().any(|span| is_within_span(*span, weekday, minute)) {
        refusals.add("hours", || format!("{} is outside {}", local.strftime("%a %H:%M"), hours.text));
    }
}

fn is_within_span(span: Span, weekday: Weekday, minute: u16) -> bool {
    let today = 1u8 << weekday.to_monday_zero_offset();
    let yesterday = 1u8 << weekday.previous().to_monday_zero_offset();
    if span.from < span.until {
        return span.days & today != 0 && (span.from..span.until).contains(&minute);
    }
    span.days & today != 0 && minute >= span.from || span.days & yesterday != 0 && minute < span.until
}
