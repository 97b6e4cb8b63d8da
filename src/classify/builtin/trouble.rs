//! What could not be read, or was not read to its end.

use super::names::{BUDGET, HASH, UNCONFIRMED, UNDECODABLE, UNREAD};
use super::{Cost, because, table};
use crate::classify::rule::WatchRules;
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind, Decoding, Operation, Severity};

/// Bytes that could not be read, or were not read to their end. No rule vouches for those.
#[must_use]
pub fn trouble(activity: &Activity, rules: &WatchRules) -> Option<Cost> {
    let loud = table::of(rules.kind).map_or(Severity::High, |table| table.unreadable);
    for note in &activity.notes {
        match note {
            Note::BudgetReached(why) => return Some(because(BUDGET, loud, why.clone())),
            Note::Unread(why) => return Some(because(UNREAD, loud, why.clone())),
            Note::Unlogged if activity.kind == ActivityKind::Call => {
                let why =
                    "the subject was called and logged nothing of what it always logs: it is not the wallet it was";
                return Some(because(UNCONFIRMED, Severity::Critical, why.to_owned()));
            }
            Note::HashMismatch => {
                let why = "the Safe logged a transaction hash that the executed fields do not give";
                return Some(because(HASH, Severity::Critical, why.to_owned()));
            }
            _ => {}
        }
    }
    // Foreign code is what counts of a delegatecall, whatever its calldata is.
    let delegated = activity.operation == Operation::Delegatecall;
    match &activity.deed.decoding {
        Decoding::Clean | Decoding::Ether => None,
        Decoding::Opaque(_) if delegated => None,
        Decoding::Opaque(why) => Some(because(UNDECODABLE, loud, why.clone())),
        Decoding::Flawed(flaws) => {
            let why = format!("the encoding is not one that an honest encoder writes: {}", flaws.join("; "));
            Some(because(UNDECODABLE, loud, why))
        }
        Decoding::Ambiguous(several) => {
            Some(because(UNDECODABLE, loud, format!("several functions fit: {}", several.join(", "))))
        }
    }
}
