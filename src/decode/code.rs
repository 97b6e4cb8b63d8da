//! Code at a counterparty's address, where a rule asks for it; and code at the target of an operation that a timelock
//! or a governor holds, which may differ by the time of execution.
//!
//! Code is read at the hash of the block, so the result is the code after that block. A node without the state of that
//! block cannot answer, and nothing is noted then: a condition on the code is not met.

use super::{Questions, Subjects};
use crate::contracts::Property;
use crate::model::activity::Note;
use crate::model::read::{Answer, Read};
use crate::model::value::Value;
use crate::model::{Activity, ActivityKind, Decoding, Fate};
use alloy_primitives::{Address, keccak256};

/// Maximum number of addresses of one activity whose code is read: target, caller and the arguments of any function
/// that a rule is likely to test.
const CODES_MAX: usize = 8;

/// Notes the code of counterparties of subjects whose rules test it, and of the targets of operations.
pub(crate) fn look_up(activities: &mut [Activity], subjects: &Subjects, questions: &mut Questions<'_>) {
    for activity in activities {
        // No code is read for reverted or merely claimed activities: anyone can create such claims.
        if matches!(activity.fate, Fate::Reverted | Fate::Unconfirmed) {
            continue;
        }
        let own = match activity.kind {
            ActivityKind::Call => activity.to,
            ActivityKind::Act | ActivityKind::Event | ActivityKind::State => Some(activity.from),
            ActivityKind::Move => {
                [Some(activity.from), activity.to].into_iter().flatten().find(|a| subjects.asks_code(a))
            }
        };
        let of = match own.filter(|own| subjects.asks_code(own)) {
            Some(own) => activity_counterparties(activity, own),
            None => scheduled_target(activity, subjects).into_iter().collect(),
        };
        for of in of {
            if let Some(Answer::Data(code)) = questions.ask(Read::Code(of)) {
                activity.notes.push(Note::Code { of, hash: keccak256(code) });
            }
        }
    }
}

/// Returns the address whose code a scheduled or proposed call runs. A payment is left out, since its recipient was not
/// chosen for its code.
fn scheduled_target(activity: &Activity, subjects: &Subjects) -> Option<Address> {
    let held = activity.notes.iter().any(|note| matches!(note, Note::Operation { .. }));
    let holds = |own: &Address| subjects.get(own).is_some_and(|subject| subject.contract().has(Property::Delays));
    let calls = activity.kind == ActivityKind::Act && activity.deed.decoding != Decoding::Ether;
    activity.to.filter(|to| held && calls && holds(&activity.from) && *to != activity.from)
}

fn activity_counterparties(activity: &Activity, own: Address) -> Vec<Address> {
    let args = activity.deed.args.iter().filter_map(|arg| match &arg.value {
        Value::Address(address) => Some(*address),
        _ => None,
    });
    let mut found: Vec<Address> = Vec::new();
    for address in [Some(activity.from), activity.to].into_iter().flatten().chain(args) {
        if address != own && !address.is_zero() && !found.contains(&address) && found.len() < CODES_MAX {
            found.push(address);
        }
    }
    found
}
