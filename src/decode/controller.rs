//! Who controls a MiniMe token: its controller moves anybody's tokens by `transferFrom`, without an allowance.
//!
//! Source: MiniMeToken.sol `transferFrom`, whose check of the allowance is left out where the caller is the controller.

use super::{Questions, Subjects};
use crate::model::activity::Note;
use crate::model::read::{Answer, Read};
use crate::model::{Activity, ActivityKind, Fate, Kind, Stage};
use alloy_primitives::{Address, B256, Bytes};

/// `controller()`
const CONTROLLER: [u8; 4] = [0xf7, 0x7c, 0x47, 0x91];

/// Notes the calls of `transferFrom` that a watched MiniMe token's controller makes, as the node names it at the block's end.
/// Where it cannot, the call is judged as anybody's.
pub(crate) fn recognize(activities: &mut [Activity], subjects: &Subjects, questions: &mut Questions<'_>) {
    for activity in activities {
        let moves = activity.kind == ActivityKind::Call
            && (activity.fate == Fate::Executed || activity.stage == Stage::Pending)
            && &*activity.deed.signature == "transferFrom(address,address,uint256)";
        let Some(token) = activity.to.filter(|_| moves) else { continue };
        if subjects.get(&token).is_none_or(|subject| subject.kind != Kind::Minime) {
            continue;
        }
        if let Some(Answer::Data(word)) = questions.ask(Read::Call { to: token, data: Bytes::from_static(&CONTROLLER) })
            && word.first_chunk::<32>().map(|word| Address::from_word(B256::from(word))) == Some(activity.from)
        {
            activity.notes.push(Note::Controller);
        }
    }
}
