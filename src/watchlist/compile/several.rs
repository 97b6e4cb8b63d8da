//! Rules for several functions, events or movements: each is resolved by itself, and a condition on an argument must
//! mean the same for all of them.

use super::abis::{Spelled, WatchAbi};
use super::deed::{Argument, CallMatcher, Targets};
use crate::classify::rule::CallMatch;
use crate::model::ActivityKind;
use crate::settings::{At, Problems};
use crate::watchlist::file::DeedText;

/// Resolves a list of functions, events or movements.
pub(super) fn resolve_deed_list(
    text: &DeedText<'_>,
    own: &WatchAbi,
    targets: &Targets,
    problems: &mut Problems,
) -> Option<CallMatcher> {
    if text.kind == ActivityKind::State {
        problems.push(text.text.problem("`state` is one item, and no list").with_hint("write one rule for each"));
        return None;
    }
    let mut parts: Vec<(CallMatcher, &At<&str>)> = Vec::with_capacity(1 + text.more.len());
    let mut sound = true;
    for written in std::iter::once(&text.text).chain(&text.more) {
        let Some(part) = CallMatcher::resolve_one(text.kind, written, own, targets, problems) else {
            sound = false;
            continue;
        };
        let twin = parts.iter().find(|(other, _)| other.matches == part.matches);
        if matches!(part.matches, CallMatch::Any | CallMatch::Ether | CallMatch::Creation) {
            let problem = written.problem(format!("`{}` stands alone, and in no list", written.trim()));
            problems
                .push(problem.with_hint("a list holds functions, events or movements; write a rule of its own for it"));
            sound = false;
        } else if let Some((_, first)) = twin {
            let problem = written.problem(format!("`{}` stands twice in this list", part.matches.watchlist_text()));
            problems.push(problem.with_related_spot(first.spot.clone(), "first here").with_hint("remove one of them"));
            sound = false;
        } else {
            parts.push((part, written));
        }
    }
    let parts: Vec<CallMatcher> = parts.into_iter().filter(|_| sound).map(|(part, _)| part).collect();
    parts.first()?;
    let spelled = |part: &CallMatcher| part.spelled.clone();
    Some(CallMatcher {
        kind: text.kind,
        matches: CallMatch::OneOf(parts.iter().map(|part| part.matches.clone()).collect()),
        shapes: parts.iter().flat_map(|part| part.shapes.clone()).collect(),
        function: None,
        spelled: parts.iter().map(spelled).fold(Spelled::default(), Spelled::joined),
        parts,
    })
}

/// Finds an argument that is the same in every part: at the same place, and of the same type.
pub(super) fn find_common_argument(
    parts: &[CallMatcher],
    label: &At<&str>,
    problems: &mut Problems,
) -> Option<Argument> {
    let (first, rest) = parts.split_first()?;
    let found = first.argument_or_hash(label, problems)?;
    for other in rest {
        let same = other.argument_or_hash(label, problems)?;
        if (&same.path, &same.ty, same.hashed) != (&found.path, &found.ty, found.hashed) {
            let message = format!(
                "`{}` is one argument of `{}` and another of `{}`",
                **label,
                first.matches.watchlist_text(),
                other.matches.watchlist_text()
            );
            problems.push(label.problem(message).with_hint("write one rule for each"));
            return None;
        }
    }
    Some(found)
}
