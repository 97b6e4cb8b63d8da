//! Data that could not be read, or not completely.

use super::names::{BUDGET, HASH, UNCONFIRMED, UNDECODABLE, UNREAD};
use super::{DefaultFinding, finding_with_reason};
use crate::abi::attributed_codes;
use crate::classify::rule::WatchRules;
use crate::model::activity::Note;
use crate::model::value::Value;
use crate::model::{Activity, ActivityKind, Decoding, Operation, Severity};
use alloy_primitives::Bytes;

/// Returns the cost of bytes that could not be read, or not to their end. No rule vouches for those, except for bytes
/// after the arguments of a call that the rule names (see `unreadable`).
#[must_use]
pub fn decoding_finding(activity: &Activity, rules: &WatchRules) -> Option<DefaultFinding> {
    let suffixed = || match &activity.deed.decoding {
        Decoding::Suffixed(bytes) => {
            let loud = rules.contract().control.unreadable;
            let word = if attributed_codes(bytes).is_some() { "erc8021" } else { "any" };
            let why =
                format!("the calldata ends in {}; `suffix = \"{word}\"` in a rule lets it be", suffix_words(bytes));
            Some(finding_with_reason(UNDECODABLE, loud, why))
        }
        _ => None,
    };
    undecodable_finding(activity, rules).or_else(suffixed)
}

/// Describes the bytes behind the arguments of a call.
pub(crate) fn suffix_words(bytes: &Bytes) -> String {
    match attributed_codes(bytes) {
        Some(codes) => format!("an attribution by ERC-8021 ({})", codes.join(", ")),
        None if bytes.len() == 1 => format!("a byte ({bytes}) behind the arguments"),
        None => format!("{} bytes ({}) behind the arguments", bytes.len(), Value::Bytes(bytes.clone())),
    }
}

/// Returns the part of [`decoding_finding`] that no rule can vouch for.
#[must_use]
pub(crate) fn undecodable_finding(activity: &Activity, rules: &WatchRules) -> Option<DefaultFinding> {
    let loud = rules.contract().control.unreadable;
    for note in &activity.notes {
        match note {
            Note::BudgetReached(why) => return Some(finding_with_reason(BUDGET, loud, why.clone())),
            Note::Unread(why) => return Some(finding_with_reason(UNREAD, loud, why.clone())),
            Note::Unlogged if activity.kind == ActivityKind::Call => {
                let why =
                    "the subject was called and logged nothing of what it always logs: it is not the wallet it was";
                return Some(finding_with_reason(UNCONFIRMED, Severity::Critical, why.to_owned()));
            }
            Note::HashMismatch => {
                let why = "the Safe logged a transaction hash that the executed fields do not give";
                return Some(finding_with_reason(HASH, Severity::Critical, why.to_owned()));
            }
            _ => {}
        }
    }
    // A delegatecall counts as foreign code, whatever its calldata is.
    let delegated = activity.operation == Operation::Delegatecall;
    match &activity.deed.decoding {
        Decoding::Clean | Decoding::Ether | Decoding::Suffixed(_) => None,
        Decoding::Opaque(_) if delegated => None,
        Decoding::Opaque(why) => Some(finding_with_reason(UNDECODABLE, loud, why.clone())),
        Decoding::Flawed(flaws) => {
            let why = format!("the encoding is not one that an honest encoder writes: {}", flaws.join("; "));
            Some(finding_with_reason(UNDECODABLE, loud, why))
        }
        Decoding::Ambiguous(several) => {
            Some(finding_with_reason(UNDECODABLE, loud, format!("several functions fit: {}", several.join(", "))))
        }
    }
}
