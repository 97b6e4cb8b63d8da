//! Oracle answers to questions of a watched module: once an answer is final, the module executes the proposal.
//!
//! Nothing in such an answer names the module: the oracle logs it under the question's number. The module logged the
//! numbers of its questions when it asked them, and these are remembered as facts of its watch. The module itself names
//! the oracle that it trusts.
//!
//! Source: RealityModule.sol of Zodiac; RealityETH-3.0.sol.

use super::{Questions, Subjects, decoded_call, logs};
use crate::abi::{Budget, bundled};
use crate::contracts::Property;
use crate::model::read::{Answer, Read};
use crate::model::state::QUESTION;
use crate::model::{Activity, ActivityKind, Fact, Item, Known, Log, Tx, WindowEntry};
use alloy_primitives::{Address, B256, Bytes, b256};

/// `LogNewAnswer(bytes32,bytes32,bytes32,address,uint256,uint256,bool)`: the answer, then the question, which is indexed.
const NEW_ANSWER: B256 = b256!("e47ca4ebbbc2990134d1168821f38c5e177f3d5ee564bffeadeaa351905e6221");
/// `oracle()` of the module.
const ORACLE: [u8; 4] = [0x7d, 0xc0, 0xd1, 0xd0];
/// Maximum number of questions remembered for one module, more than any module has asked. When the list is full, every
/// answer of the module's oracle counts as an answer to it, so that asking too many questions raises more alerts, not
/// fewer.
const QUESTIONS_MAX: usize = 1_024;

/// Returns whether a log may be an answer to a question of a watched module.
pub(super) fn may_concern(log: &Log, subjects: &Subjects) -> bool {
    subjects.has_governors() && log.topics.first() == Some(&NEW_ANSWER)
}

/// Appends the answers in `tx` to oracles of watched modules.
pub(super) fn append_oracle_answers(
    tx: &Tx,
    subjects: &Subjects,
    known: &Known,
    questions: &mut Questions<'_>,
    activities: &mut Vec<Activity>,
) {
    let mut budget = Budget::default();
    for log in tx.logs.iter().filter(|log| may_concern(log, subjects)) {
        let Some(id) = log.topics.get(1) else { continue };
        for module in subjects.addresses() {
            let Some(subject) = subjects.get(&module).filter(|subject| subject.contract().has(Property::Votes)) else {
                continue;
            };
            let fresh = asked_questions(activities).any(|(of, asked)| of == module && asked == *id);
            let ours = fresh || known.last_value(module, question_item(*id)).is_some() || is_full(module, known);
            if ours && is_oracle_of_module(module, log.address, questions) {
                let deed = decoded_call::of_log_by(bundled::zodiac(), subject, log, &mut budget);
                activities.push(logs::from_log(subject.watch, ActivityKind::Event, log, tx, deed));
            }
        }
    }
}

/// Questions that watched modules ask in this block, to be remembered.
pub(super) fn question_facts(activities: &[Activity], subjects: &Subjects, known: &Known) -> Vec<WindowEntry> {
    let of_governor = |of: &Address| subjects.get(of).is_some_and(|subject| subject.contract().has(Property::Votes));
    let new = asked_questions(activities).filter(|(of, id)| {
        of_governor(of) && known.last_value(*of, question_item(*id)).is_none() && !is_full(*of, known)
    });
    new.take(QUESTIONS_MAX)
        .map(|(of, id)| Fact::Value(question_item(id)).window_entry(of, B256::with_last_byte(1)))
        .collect()
}

/// Returns the modules that ask, each with the number of its question.
fn asked_questions(activities: &[Activity]) -> impl Iterator<Item = (Address, B256)> + '_ {
    let events = activities.iter().filter(|activity| {
        activity.kind == ActivityKind::Event && &*activity.deed.signature == "ProposalQuestionCreated(bytes32,string)"
    });
    events.filter_map(|event| match event.deed.args.first()?.value {
        crate::model::value::Value::FixedBytes(id, 32) => Some((event.from, id)),
        _ => None,
    })
}

/// Returns a question as an item: as many bytes of its number as fit into an address.
fn question_item(id: B256) -> Item {
    Item::of_table(QUESTION).for_address(Address::from_slice(&id[..20]))
}

fn is_full(module: Address, known: &Known) -> bool {
    known.set_members(module, QUESTION).count() >= QUESTIONS_MAX
}

/// Returns whether the module accepts answers from this oracle. A module that cannot be queried counts as accepting
/// them.
fn is_oracle_of_module(module: Address, oracle: Address, questions: &mut Questions<'_>) -> bool {
    match questions.ask(Read::Call { to: module, data: Bytes::from_static(&ORACLE) }) {
        Some(answer @ Answer::Data(_)) => answer.first_word().is_none_or(|word| Address::from_word(word) == oracle),
        Some(_) => true,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn the_answer_and_the_view_are_those_of_their_names() {
        assert_eq!(keccak256("LogNewAnswer(bytes32,bytes32,bytes32,address,uint256,uint256,bool)"), NEW_ANSWER);
        assert_eq!(keccak256("oracle()")[..4], ORACLE);
    }
}
