//! `[[watch.absent]]`: expected actions with their deadlines.

use super::directory::Scope;
use super::limits::WINDOW_SECONDS_MAX;
use super::rule::{self, Compiled};
use super::watch::{Head, Heads};
use crate::classify::rule::{Due, Elements, Expected, Weekly};
use crate::settings::{At, Problems};
use crate::watchlist::file::{AbsentText, LengthText};
use crate::watchlist::hours;
use std::sync::Arc;

/// Compiles the expected actions of a watch. Their names are names of findings, so no rule may have the same name.
pub(super) fn compile_expected(
    texts: &[AbsentText<'_>],
    rules: &[Compiled],
    head: &Head<'_>,
    heads: &Heads<'_>,
    scope: &Scope<'_>,
    problems: &mut Problems,
) -> Vec<(Expected, Compiled)> {
    let mut expected: Vec<(Expected, Compiled)> = Vec::new();
    for text in texts {
        refuse_idle(text, problems);
        let due = compile_due(text, problems);
        let grace = text.grace.as_ref().map_or(Some(0), |grace| compile_length(grace, problems));
        let Some(mut compiled) = rule::compile_rule(&text.rule, head, heads, scope, problems) else { continue };
        // A list in which only one element matches is not the expected action.
        compiled.rule.elements = Elements::Every;
        let known = rules.iter().chain(expected.iter().map(|(_, compiled)| compiled));
        let twin = known.into_iter().find(|other| !other.rule.name.is_empty() && other.rule.name == compiled.rule.name);
        if let Some(first) = twin {
            let problem = compiled.name_spot.problem(format!("`{}` stands twice in this watch", compiled.rule.name));
            problems.push(problem.with_related_spot(first.name_spot.clone(), "first here"));
            continue;
        }
        if let (Some(due), Some(grace)) = (due, grace) {
            expected.push((Expected { rule: compiled.rule.clone(), due, grace }, compiled));
        }
    }
    expected
}

/// Reports rule keys that have no meaning for an expected action.
fn refuse_idle(text: &AbsentText<'_>, problems: &mut Problems) {
    let habits = &text.rule.habits;
    let spots = [
        ("limit", text.rule.limits.first().map(|limit| &limit.per.spot)),
        ("pause", habits.pause.as_ref().map(|pause| &pause.length.spot)),
        ("first_seen", habits.first_seen.first().map(|at| &at.spot)),
        ("dormant", habits.dormant.as_ref().map(|dormant| &dormant.length.spot)),
        ("failed", habits.failed.as_ref().map(|failed| &failed.spot)),
        ("age", habits.age.as_ref().map(|age| &age.spot)),
    ];
    for (key, spot) in spots {
        if let Some(spot) = spot {
            let problem = spot.problem(format!("`{key}` says nothing here: this is about what does not come"));
            problems.push(problem.with_hint("put it on a rule"));
        }
    }
}

fn compile_due(text: &AbsentText<'_>, problems: &mut Problems) -> Option<Due> {
    match (&text.every, &text.by[..]) {
        (Some(every), []) => {
            let seconds = compile_length(every, problems)?;
            Some(Due::Every { seconds, text: every.text.into() })
        }
        (Some(_), [by, ..]) => {
            let problem = by.problem("an absence says either `every` or `by`");
            problems.push(problem.with_hint("`by` alone means every week, or every day where it names none"));
            None
        }
        (None, several) => compile_weekly(several, problems).map(Due::By),
    }
}

/// Joins several texts if they are in the same zone.
fn compile_weekly(texts: &[At<&str>], problems: &mut Problems) -> Option<Weekly> {
    let mut joined: Option<Weekly> = None;
    for text in texts {
        match (hours::parse_moments(text), &mut joined) {
            (Ok(weekly), None) => joined = Some(weekly),
            (Ok(weekly), Some(joined)) if weekly.zone == joined.zone => {
                joined.text = Arc::from(format!("{}; {}", joined.text, weekly.text));
                joined.moments.extend(weekly.moments);
            }
            (Ok(_), Some(_)) => problems.push(text.problem("the times of one absence are in one time zone")),
            (Err((message, hint)), _) => problems.push(text.problem(message).with_hint(hint)),
        }
    }
    joined
}

fn compile_length(text: &LengthText<'_>, problems: &mut Problems) -> Option<u64> {
    let seconds = text.length.value.as_secs();
    if seconds == 0 || seconds > WINDOW_SECONDS_MAX {
        problems.push(text.length.problem("it is from a second to a year long"));
        return None;
    }
    Some(seconds)
}
