//! Decodes a transaction that is in no block yet: its claims, as far as its own bytes show them.
//!
//! In: a transaction whose sender was recovered, and the node's answers at the newest judged block. Out: the activities
//! that a block with it would give, at stage `pending` and in the same positions, so that its inclusion is recognized
//! as the same activities. There is no receipt: nothing has happened yet, and a call that a stranger's contract only
//! claims to pass on is not confirmed.

use super::frames::{Frame, FrameKind};
use super::versions::Codes;
use super::{
    Decoded, Questions, Subjects, activities, allowance, code, delegations, frames, is_tx_relevant, minime, multisig,
    safe,
};
use crate::model::read::Answers;
use crate::model::{Block, Fate, Known, Position, Stage, Tx};

/// Returns whether `tx` may touch a subject: a few hash probes, since most announced transactions concern none.
#[must_use]
pub fn is_pending_relevant(tx: &Tx, subjects: &Subjects) -> bool {
    is_tx_relevant(tx, subjects)
}

/// Decodes the effects that `tx` would have in the block after `tip`. Of `tip` itself, only the state at that block is
/// read.
///
/// Like [`super::decode_block`], it is called again with the answers to its open questions.
#[must_use]
pub fn decode_pending(tx: &Tx, tip: &Block, subjects: &Subjects, answers: &Answers) -> Decoded {
    if !is_tx_relevant(tx, subjects) {
        return Decoded::default();
    }
    let mut questions = Questions::new(answers);
    let mut frames = frames::open_ahead(tx, subjects, &mut questions);
    // The code that will run at inclusion is not known; the code that would run now is.
    let known = Known::default();
    let mut codes = Codes::new(&[], subjects, &known);
    codes.read_calls(&mut frames, tx, &mut questions);
    for frame in &mut frames {
        frame.stage = Stage::Pending;
        frame.fate = if frame.certain { Fate::Waiting } else { Fate::Unconfirmed };
    }
    safe::recover_safe_signers(&mut frames, tip, tx, subjects, &mut questions);
    frames.iter_mut().for_each(add_caller_confirmation);
    let mut found = Vec::new();
    activities::from_frames(&mut frames, tx, subjects, &mut found);
    let delegations = delegations::recover_delegations(std::slice::from_ref(tx), subjects);
    delegations::append_delegations(&delegations, tx, subjects, &mut found);
    activities::append_unopened_subjects(&frames, tx, subjects, 0, &mut found);
    codes.note_implementations(&frames, tx, 0, &mut found);
    for activity in found.iter_mut().filter(|activity| matches!(activity.position, Position::Authorization(_))) {
        (activity.stage, activity.fate) = (Stage::Pending, Fate::Waiting);
    }
    allowance::note_oversized_allowances(&mut found, &mut questions);
    minime::note_controller_transfers(&mut found, subjects, &mut questions);
    minime::recognize_issuer(&mut found, subjects, &mut questions);
    code::look_up(&mut found, subjects, &mut questions);
    Decoded { activities: found, wanted: questions.wanted, ..Decoded::default() }
}

/// Adds the caller of a submission or confirmation to the earlier signers, since either counts as agreement.
fn add_caller_confirmation(frame: &mut Frame) {
    let FrameKind::Proposal { id, verb } = &frame.shape else { return };
    // A submission has no number yet, and only its sender agrees to it.
    if id.is_none() && *verb == multisig::Verb::Submit {
        frame.signers = Some(Vec::new());
    }
    if let Some(signers) = frame.signers.as_mut().filter(|_| *verb != multisig::Verb::Execute)
        && !signers.contains(&frame.caller)
    {
        signers.push(frame.caller);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Abi;
    use crate::contracts::kind_named;
    use crate::decode::Subject;
    use crate::model::{ActivityKind, BlockRef, ChainId, Kind, Status, WatchId};
    use alloy_primitives::{Address, B256, Bytes, U256};
    use std::sync::Arc;

    fn subjects(address: Address, kind: Kind) -> Subjects {
        let mut subjects = Subjects::new(ChainId(1));
        let abi = Arc::new(Abi::default());
        subjects.insert_subject(address, Subject { watch: WatchId(0), kind, rule_abi: abi.clone(), abi });
        subjects
    }

    fn tip() -> Block {
        Block {
            at: BlockRef { number: 7, hash: B256::ZERO },
            parent: B256::ZERO,
            time: 0,
            txs: vec![],
            withdrawals: vec![],
        }
    }

    fn payment(from: Address, to: Address) -> Tx {
        Tx {
            hash: B256::repeat_byte(1),
            index: 0,
            kind: 2,
            from,
            to: Some(to),
            value: U256::from(1),
            input: Bytes::new(),
            nonce: 0,
            authorizations: vec![],
            status: Status::Unknown,
            created: None,
            logs: vec![],
            fee: None,
            tip: None,
            bid: None,
        }
    }

    #[test]
    fn what_is_announced_of_a_subject_is_the_same_act_that_a_block_would_hold_only_waiting() {
        let (payer, stranger) = (Address::repeat_byte(2), Address::repeat_byte(3));
        let subjects = subjects(payer, kind_named("eoa").unwrap());
        let tx = payment(payer, stranger);
        let pending = decode_pending(&tx, &tip(), &subjects, &Answers::new()).activities;
        let included = Block { txs: vec![Tx { status: Status::Success, ..tx }], ..tip() };
        let included = super::super::decode_block(&included, &subjects, &Known::default(), &Answers::new()).activities;
        let [pending] = &pending[..] else { panic!("one act: {pending:#?}") };
        assert_eq!((pending.kind, pending.stage, pending.fate), (ActivityKind::Act, Stage::Pending, Fate::Waiting));
        let place = |activity: &crate::model::Activity| (activity.tx, activity.position.clone(), activity.kind);
        assert_eq!(included.iter().map(place).collect::<Vec<_>>(), [place(pending)]);
    }

    #[test]
    fn what_concerns_nobody_is_not_opened() {
        let subjects = subjects(Address::repeat_byte(2), kind_named("eoa").unwrap());
        let tx = payment(Address::repeat_byte(3), Address::repeat_byte(4));
        assert!(!is_pending_relevant(&tx, &subjects));
        assert_eq!(decode_pending(&tx, &tip(), &subjects, &Answers::new()), Decoded::default());
    }
}
