//! `pause`, `first_seen`, `dormant`, `failed` and `age`: conditions that compare an activity with earlier ones. Also
//! `code`, which `age` refers to as well.

use super::deed::CallMatcher;
use super::limits::WINDOW_SECONDS_MAX;
use crate::classify::rule::{Baseline, CallMatch, Condition, Party, Polarity};
use crate::model::ActivityKind;
use crate::settings::{At, Problems, Spot};
use crate::watchlist::file::{AgeText, LengthText, RuleText};
use alloy_primitives::{B256, keccak256};
use std::sync::Arc;

/// Maximum number of failed transactions that a rule may require: as many as are counted.
const FAILED_MAX: i64 = 4_096;

pub(super) fn compile_baseline(text: &RuleText<'_>, deed: &CallMatcher, problems: &mut Problems) -> Vec<Baseline> {
    let written = &text.habits;
    let mut habits = Vec::new();
    if let Some(pause) = &written.pause {
        if text.polarity == Polarity::Abnormal {
            let problem =
                pause.length.problem("a pause says nothing here: what an abnormal rule raises is not counted");
            problems.push(problem.with_hint("put it on a normal rule; for what was long unused write `dormant`"));
        }
        habits.extend(compile_length(pause, problems).map(|(least, text)| Baseline::Pause { least, text }));
    }
    for what in &written.first_seen {
        if let Some(party) = parse_party(what, deed, problems)
            && require_abnormal_rule(text, "first_seen", &what.spot, problems)
        {
            habits.push(Baseline::FirstSeen { what: party, label: what.value.into() });
        }
    }
    if let Some(dormant) = &written.dormant
        && require_abnormal_rule(text, "dormant", &dormant.length.spot, problems)
    {
        habits.extend(
            compile_length(dormant, problems).map(|(longer_than, text)| Baseline::Dormant { longer_than, text }),
        );
    }
    if let Some(failed) = &written.failed
        && require_abnormal_rule(text, "failed", &failed.spot, problems)
    {
        if matches!(deed.kind, ActivityKind::Event | ActivityKind::Move) {
            let problem = failed.spot.problem("`failed` says nothing here: what fails logs nothing");
            problems.push(problem.with_hint("make it a rule about `call` or `act`"));
        }
        if !(1..=FAILED_MAX).contains(&failed.count.value) {
            problems.push(failed.count.problem(format!("`count` must be from 1 to {FAILED_MAX}")));
        }
        let share = failed.share.as_ref().map(|share| parse_percent(share, problems));
        if let (Ok(count), Some((per, text)), false) =
            (u64::try_from(failed.count.value), compile_length(&failed.per, problems), share == Some(None))
        {
            habits.push(Baseline::Failed { count, share: share.flatten(), per, text });
        }
    }
    if let Some(age) = &written.age {
        habits.extend(compile_age(age, text, deed, problems));
    }
    habits
}

/// Compiles `code`: hashes of 32 bytes, or `none`.
pub(super) fn compile_code_condition(
    text: &RuleText<'_>,
    deed: &CallMatcher,
    problems: &mut Problems,
) -> Option<Condition> {
    let written = text.habits.code.as_ref()?;
    let hashes = written.hashes.iter().map(|hash| {
        let read = if hash.value == "none" { Some(keccak256([])) } else { hash.parse::<B256>().ok() };
        if read.is_none() {
            let problem = hash.problem(format!("`{}` is no hash of code", **hash));
            problems.push(problem.with_hint("write its keccak-256 as `0x…`, or `none` for an account without code"));
        }
        read
    });
    let hashes = hashes.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>()?;
    if hashes.is_empty() {
        problems.push(written.spot.problem("no hash is listed, so this could never hold"));
        return None;
    }
    let (of, label) = code_owner(written.of.as_ref(), &written.spot, deed, problems)?;
    Some(Condition::Code { of, label, hashes })
}

fn compile_age(
    written: &AgeText<'_>,
    text: &RuleText<'_>,
    deed: &CallMatcher,
    problems: &mut Problems,
) -> Option<Baseline> {
    let (bound, other, other_key, right) = match text.polarity {
        Polarity::Normal => (&written.min, &written.max, "max", "a normal rule asks for an age of at least `min`"),
        Polarity::Abnormal => (&written.max, &written.min, "min", "an abnormal rule raises an age of less than `max`"),
    };
    if let Some(other) = other {
        problems.push(other.length.problem(format!("`{other_key}` says nothing here: {right}")));
    }
    let (bound, text) = compile_length(bound.as_ref()?, problems)?;
    let (of, label) = code_owner(written.of.as_ref(), &written.spot, deed, problems)?;
    Some(Baseline::Age { of, label, bound, text })
}

/// Returns the account whose code is meant: the other side by default.
fn code_owner(
    of: Option<&At<&str>>,
    spot: &Spot,
    deed: &CallMatcher,
    problems: &mut Problems,
) -> Option<(Party, Arc<str>)> {
    if let Some(of) = of {
        if of.value == "function" {
            problems.push(of.problem("a function has no code of its own"));
            return None;
        }
        return Some((parse_party(of, deed, problems)?, of.value.into()));
    }
    match deed.kind {
        ActivityKind::Call => Some((Party::From, "from".into())),
        ActivityKind::Act | ActivityKind::Move => Some((Party::To, "to".into())),
        ActivityKind::State => {
            problems.push(
                spot.problem("a change of state has no other side").with_hint("say whose code with `of = \"args.…\"`"),
            );
            None
        }
        ActivityKind::Event => {
            problems.push(spot.problem("a log goes to nobody").with_hint("say whose code with `of = \"args.…\"`"));
            None
        }
    }
}

/// Checks that the rule is abnormal, and reports a problem if it is normal: an unusual event is no reason to vouch.
fn require_abnormal_rule(text: &RuleText<'_>, key: &str, spot: &Spot, problems: &mut Problems) -> bool {
    if text.polarity == Polarity::Normal {
        let problem = spot.problem(format!("`{key}` is unusual, and a normal rule would vouch for just that"));
        problems.push(problem.with_hint("write it in an `[[watch.abnormal]]`, which raises"));
    }
    text.polarity == Polarity::Abnormal
}

fn compile_length(text: &LengthText<'_>, problems: &mut Problems) -> Option<(u64, Arc<str>)> {
    let seconds = text.length.value.as_secs();
    if seconds == 0 || seconds > WINDOW_SECONDS_MAX {
        problems.push(text.length.problem("it is from a second to a year long"));
        return None;
    }
    Some((seconds, text.text.into()))
}

fn parse_party(what: &At<&str>, deed: &CallMatcher, problems: &mut Problems) -> Option<Party> {
    let idle = |why: &str, problems: &mut Problems| {
        problems.push(what.problem(format!("`{}` says nothing here: {why}", **what)));
        None
    };
    let own = "it is always the watched address itself";
    Some(match (what.value, deed.kind) {
        ("from", ActivityKind::Act | ActivityKind::Event) | ("to", ActivityKind::Call) => return idle(own, problems),
        ("to", ActivityKind::Event) => return idle("a log goes to nobody", problems),
        ("to", _) if deed.matches == CallMatch::Creation => return idle("a creation goes to nobody", problems),
        ("function", ActivityKind::Move) => return idle("a move has no function", problems),
        ("from", _) => Party::From,
        ("origin", _) => Party::Origin,
        ("to", _) if deed.shapes.iter().all(|shape| shape.iter().all(|param| &*param.name != "to")) => Party::To,
        ("to", ActivityKind::Move) => Party::To,
        // The target of a token's transfer is the token, and the recipient is an argument; the two must not be
        // confused.
        ("to", _) => {
            let problem = what.problem("`to` could be the contract that is called or the argument");
            problems.push(problem.with_hint("write `args.to` for the argument; the contract is in `to = [...]`"));
            return None;
        }
        ("function", _) => Party::Function,
        (text, _) => {
            let label = At { value: text.strip_prefix("args.").unwrap_or(text), spot: what.spot.clone() };
            Party::Arg(deed.find_argument(&label, problems)?.path)
        }
    })
}

/// Parses a percentage such as `50%`.
fn parse_percent(text: &At<&str>, problems: &mut Problems) -> Option<u8> {
    let number = text.strip_suffix('%').and_then(|digits| digits.trim().parse::<u8>().ok());
    let percent = number.filter(|percent| (1..=100).contains(percent));
    if percent.is_none() {
        problems.push(text.problem(format!("`{}` is no share", **text)).with_hint("write it as \"50%\""));
    }
    percent
}
