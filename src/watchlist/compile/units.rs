//! Units of an amount and of the value it is compared with: different units are an error before anything is judged.

use super::chains::unknown_name_problem;
use super::directory::{Scope, Token};
use crate::classify::rule::Bound;
use crate::model::amount::Unit;
use crate::settings::{At, Problems, Spot, Value};
use crate::watchlist::amount::{BASE_UNITS, Number};
use alloy_primitives::{Address, U256};

/// Unit that the compared value counts.
#[derive(Clone, Debug)]
pub(super) enum Counts<'d> {
    /// Ether, as in `value`.
    Ether,
    /// Units of these tokens, since the rule's targets are these tokens and nothing else.
    Tokens(Vec<(&'d str, &'d Token)>),
    /// Units of these tokens, or of an unknown contract at this address.
    Mixed(Vec<(&'d str, &'d Token)>, Address),
    /// Units of the token that moves, which the rule does not restrict.
    AnyToken,
    /// Unknown.
    Anything,
}

impl Counts<'_> {
    /// Returns the possible units as text, if there are several.
    fn describe_several(&self) -> Option<String> {
        let names = |tokens: &[(&str, &Token)]| tokens.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" or ");
        match self {
            Self::Tokens(tokens) if tokens.len() > 1 => Some(names(tokens)),
            Self::Mixed(tokens, other) => Some(format!("{} or units of {other}", names(tokens))),
            _ => None,
        }
    }
}

/// An amount in its smallest unit.
pub(super) struct Measured {
    pub(super) bound: Bound,
    /// True if no unit was written.
    pub(super) bare: bool,
}

/// Reads an amount that is compared with `label`, whose unit is `counts`.
pub(super) fn read_amount(
    value: &Value<'_>,
    label: &str,
    counts: &Counts<'_>,
    scope: &Scope<'_>,
    problems: &mut Problems,
) -> Option<At<Measured>> {
    let number = Number::from_value(value, problems)?;
    let mut of = None;
    let (unit, decimals) = match number.unit {
        "" => (Unit::bare_number(), 0),
        "ether" => (Unit::ether(), 18),
        "gwei" => (Unit::ether(), 9),
        "wei" => (Unit::ether(), 0),
        BASE_UNITS => (Unit::bare_number(), 0),
        name => {
            let Some(token) = scope.directory.token(name) else {
                scope.directory.report_unknown(name, unknown_unit(&number, name, scope), problems);
                return None;
            };
            if matches!(counts, Counts::Tokens(_)) {
                of = Some(token.address);
            }
            (token.unit.clone(), token.unit.decimals)
        }
    };
    if let Some((message, hint)) = unit_mismatch(&number, label, counts, scope) {
        problems.push(number.problem(format!("unit mismatch: {message}")).with_hint(hint));
        return None;
    }
    match number.in_smallest_unit(decimals) {
        Ok(value) => {
            let bare = number.unit.is_empty();
            let negative = number.negative && !value.is_zero();
            Some(At { value: Measured { bound: Bound { value, negative, unit, token: of }, bare }, spot: number.spot })
        }
        Err(why) => {
            problems.push(number.problem(format!("this amount cannot be counted: {why}")));
            None
        }
    }
}

/// Rejects a bare number for an amount of a known token: it could mean whole tokens or base units, and for several
/// tokens it is ambiguous. If no token is specified, a note is added.
pub(super) fn refuse_bare(measured: &At<Measured>, label: &str, counts: &Counts<'_>, problems: &mut Problems) {
    let Measured { bound, bare } = &measured.value;
    if !*bare || bound.value.is_zero() {
        return;
    }
    let number = &bound.value;
    if let Some(several) = counts.describe_several() {
        let problem =
            measured.problem(format!("`{label}` counts {several}, whichever moves, and `{number}` has no unit"));
        problems.push(problem.with_hint(format!("write one rule for each token, or \"{number} base units\"")));
        return;
    }
    match counts {
        Counts::Tokens(tokens) if tokens.iter().all(|(_, token)| token.unit.decimals > 0) => {
            let name = tokens.first().map_or("", |(name, _)| *name);
            let problem = measured.problem(format!("`{number}` could be {name} or its base units"));
            problems.push(problem.with_hint(format!("write \"{number} {name}\" or \"{number} base units\"")));
        }
        Counts::AnyToken => {
            let note = format!("`{number}` counts base units of whichever token moves: it is another amount of each");
            problems.push_note(
                measured.problem(note).with_hint("say which token the rule is about, and write the amount in it"),
            );
        }
        _ => {}
    }
}

/// Rejects a sum of amounts of several tokens.
pub(super) fn refuse_sum(spot: &Spot, label: &str, counts: &Counts<'_>, problems: &mut Problems) -> bool {
    let several = counts.describe_several();
    if let Some(several) = &several {
        let problem = spot.problem(format!("`{label}` counts {several}, and these do not add up"));
        problems.push(problem.with_hint("write one rule for each token"));
    }
    several.is_some()
}

/// Reads an amount of ether for `value`: a bare number other than zero could mean ether or wei, and is rejected.
pub(super) fn read_ether(
    value: &Value<'_>,
    label: &str,
    scope: &Scope<'_>,
    problems: &mut Problems,
) -> Option<At<U256>> {
    let measured = read_amount(value, label, &Counts::Ether, scope, problems)?;
    let Measured { bound, bare } = &measured.value;
    if bound.negative {
        problems.push(measured.problem("ether is never below zero"));
        return None;
    }
    if *bare && !bound.value.is_zero() {
        let problem = measured.problem(format!("`{}` could be ether or wei", bound.value));
        problems.push(problem.with_hint(format!("write \"{0} ether\" or \"{0} wei\"", bound.value)));
        return None;
    }
    let wei = bound.value;
    Some(measured.map(|_| wei))
}

/// Returns the reason that the two cannot be compared, and what to do.
fn unit_mismatch(number: &Number<'_>, label: &str, counts: &Counts<'_>, scope: &Scope<'_>) -> Option<(String, String)> {
    let ether = matches!(number.unit, "ether" | "gwei" | "wei");
    let unit = number.unit;
    if unit.is_empty() {
        return None;
    }
    match counts {
        Counts::Ether if ether => None,
        Counts::Ether if unit == BASE_UNITS => {
            Some((format!("`{label}` counts ether"), "write \"wei\" for its base units".to_owned()))
        }
        _ if unit == BASE_UNITS => None,
        Counts::Ether => {
            Some((format!("`{label}` counts ether, and this is in {unit}"), "write such as \"5 ether\"".to_owned()))
        }
        Counts::Tokens(tokens) => match &tokens[..] {
            [(name, _)] if *name == unit => None,
            [(name, _)] => Some((
                format!("`{label}` counts {name}, and this is in {unit}"),
                format!("write the amount in {name}, such as \"5_000 {name}\""),
            )),
            _ => {
                let several = counts.describe_several().unwrap_or_default();
                let message = format!("`{label}` counts {several}, whichever moves, and this is in {unit}");
                Some((message, "write one rule for each token".to_owned()))
            }
        },
        Counts::Mixed(..) => {
            let several = counts.describe_several().unwrap_or_default();
            let message = format!("`{label}` counts {several}, whichever moves, and this is in {unit}");
            Some((message, "write one rule for each of them".to_owned()))
        }
        Counts::AnyToken if ether => Some((
            format!("`{label}` counts a token, and this is in {unit}"),
            "write the amount in the token".to_owned(),
        )),
        Counts::AnyToken => Some((
            format!("`{label}` counts whichever token moves, and this is in {unit}"),
            format!("say which token the rule is about: `@{unit}`"),
        )),
        Counts::Anything if ether => None,
        Counts::Anything => {
            let here = scope.chain?;
            let token = scope.directory.token(unit).filter(|token| token.chain.id != here.id)?;
            let message = format!("{unit} is a token on {}, and this watch is on {}", token.chain.name, here.name);
            Some((message, format!("write the amount in a token of {}", here.name)))
        }
    }
}

fn unknown_unit(number: &At<Number<'_>>, name: &str, scope: &Scope<'_>) -> crate::settings::Problem {
    let at = At { value: name, spot: number.spot.clone() };
    if name.eq_ignore_ascii_case("eth") {
        return at.problem(format!("unknown unit `{name}`")).with_hint("write `ether`, `gwei` or `wei`");
    }
    let tokens = scope.directory.tokens().map(|(name, _)| name);
    let names = tokens.chain(["ether", "gwei", "wei"]);
    unknown_name_problem("unit", &at, names, "define the token as `[token.X]`, or write `ether`, `gwei` or `wei`")
}
