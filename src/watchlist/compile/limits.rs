//! `limit`: number or sum within a rolling window.

use super::amounts;
use super::deed::CallMatcher;
use super::directory::Scope;
use super::units::{self, Counts};
use crate::abi::Kind as Type;
use crate::classify::rule::{Limit, Measure};
use crate::model::ActivityKind;
use crate::model::amount::Unit;
use crate::settings::{At, Problems};
use crate::watchlist::file::{LimitText, MeasureText};
use alloy_primitives::U256;

/// Maximum window in seconds: a year. Counted activities are kept for as long, with every commit.
pub(super) const WINDOW_SECONDS_MAX: u64 = 366 * 86_400;

pub(super) fn compile_limit(
    text: &LimitText<'_>,
    deed: &CallMatcher,
    counts: &Counts<'_>,
    scope: &Scope<'_>,
    problems: &mut Problems,
) -> Option<Limit> {
    let per = text.per.value.as_secs();
    if per == 0 || per > WINDOW_SECONDS_MAX {
        problems.push(text.per.problem("a window is from a second to a year long"));
        return None;
    }
    let (measure, max, unit, token) = match &text.measure {
        MeasureText::Count(count) => {
            let Some(max) = u64::try_from(count.value).ok().filter(|max| *max > 0) else {
                problems
                    .push(count.problem("a limit of zero vouches for nothing").with_hint("remove the rule instead"));
                return None;
            };
            (Measure::Count, U256::from(max), Unit::bare_number(), None)
        }
        MeasureText::Sum { of, max } => {
            let measure = compile_measure(of, deed, problems)?;
            let read = match measure {
                Measure::Value => units::read_ether(max, of, scope, problems)?.map(|wei| (wei, Unit::ether(), None)),
                Measure::Arg { .. } | Measure::Count => {
                    let is_amount = matches!(&measure, Measure::Arg { path, .. } if amounts::is_amount(deed, path));
                    if is_amount && units::refuse_sum(&max.spot(), of, counts, problems) {
                        return None;
                    }
                    let measured = units::read_amount(max, of, counts, scope, problems)?;
                    if is_amount {
                        units::refuse_bare(&measured, of, counts, problems);
                    }
                    if measured.bound.negative {
                        problems.push(measured.problem("a limit is never below zero"));
                        return None;
                    }
                    measured.map(|measured| (measured.bound.value, measured.bound.unit, measured.bound.token))
                }
            };
            if read.0.is_zero() {
                problems.push(read.problem("a limit of zero vouches for nothing").with_hint("remove the rule instead"));
                return None;
            }
            (measure, read.value.0, read.value.1, read.value.2)
        }
    };
    Some(Limit { measure, max, unit, token, per, per_text: text.per_text.trim().into() })
}

/// Resolves the measure of a limit. `ether` and `value` mean ether sent along, unless an argument has that name; every
/// other name is an argument.
fn compile_measure(of: &At<&str>, deed: &CallMatcher, problems: &mut Problems) -> Option<Measure> {
    let has_ether = matches!(deed.kind, ActivityKind::Call | ActivityKind::Act);
    let named = |name: &str| deed.shapes.iter().any(|shape| shape.iter().any(|param| *param.name == *name));
    let label = match of.value {
        "ether" if has_ether => return Some(Measure::Value),
        "value" if has_ether && named("value") => {
            let problem = of.problem("`value` could be the argument or the ether sent along");
            problems.push(problem.with_hint("write `sum = \"args.value\"` or `sum = \"ether\"`"));
            return None;
        }
        "value" if has_ether => return Some(Measure::Value),
        text => text.strip_prefix("args.").unwrap_or(text),
    };
    let at = At { value: label, spot: of.spot.clone() };
    let argument = deed.find_argument(&at, problems)?;
    if !matches!(argument.ty, Type::Uint(_)) {
        problems.push(at.problem(format!("`{label}` is `{}`, and only unsigned numbers add up", argument.ty)));
        return None;
    }
    Some(Measure::Arg { path: argument.path, label: label.into() })
}
