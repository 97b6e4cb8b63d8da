//! Privileged accounts of tokens: the controller of a MiniMe token, who can move any holder's tokens by `transferFrom`
//! without an allowance, and the issuer of a token whose functions have the same names as those of a lending pool that
//! any user calls.
//!
//! Source: MiniMeToken.sol `transferFrom`, which skips the check of the allowance where the caller is the controller;
//! TetherToken.sol, where only the owner may call `issue` and `redeem`.

use super::{Questions, Subjects};
use crate::contracts::Property;
use crate::model::activity::Note;
use crate::model::read::{Answer, Read};
use crate::model::{Activity, ActivityKind, Fate, Stage};
use alloy_primitives::{Address, B256, Bytes};

/// `owner()`
const OWNER: [u8; 4] = [0x8d, 0xa5, 0xcb, 0x5b];
/// Functions that may be acts of a token's issuer.
const ISSUES: &[&str] = &["redeem(uint256)", "issue(uint256)", "mint(uint256)"];
/// `controller()`
const CONTROLLER: [u8; 4] = [0xf7, 0x7c, 0x47, 0x91];

/// Notes the calls of `transferFrom` that a watched MiniMe token's controller makes. The node is asked for the
/// controller at the block's end. Where it cannot answer, the call is judged like a call by any account.
pub(crate) fn note_controller_transfers(
    activities: &mut [Activity],
    subjects: &Subjects,
    questions: &mut Questions<'_>,
) {
    for activity in activities {
        let moves = activity.kind == ActivityKind::Call
            && (activity.fate == Fate::Executed || activity.stage == Stage::Pending)
            && &*activity.deed.signature == "transferFrom(address,address,uint256)";
        let Some(token) = activity.to.filter(|_| moves) else { continue };
        if subjects.get(&token).is_none_or(|subject| !subject.contract().has(Property::MovedByController)) {
            continue;
        }
        if let Some(Answer::Data(word)) = questions.ask(Read::Call { to: token, data: Bytes::from_static(&CONTROLLER) })
            && word.first_chunk::<32>().map(|word| Address::from_word(B256::from(word))) == Some(activity.from)
        {
            activity.notes.push(Note::Controller);
        }
    }
}

/// Notes the issuer's acts on a token that is watched itself, or whose owner is the subject according to the node.
/// Where the node cannot answer, the acts are judged like those of any account.
pub(crate) fn recognize_issuer(activities: &mut [Activity], subjects: &Subjects, questions: &mut Questions<'_>) {
    for activity in activities {
        let issues = activity.kind == ActivityKind::Act && ISSUES.contains(&&*activity.deed.signature);
        let Some(token) = activity.to.filter(|to| issues && *to != activity.from) else { continue };
        let mut owned = || {
            let asked = questions.ask(Read::Call { to: token, data: Bytes::from_static(&OWNER) });
            asked.and_then(Answer::first_word) == Some(activity.from.into_word())
        };
        if subjects.get(&token).is_some() || owned() {
            activity.notes.push(Note::Issuer);
        }
    }
}
