//! Votes with voting power that the voter did not have a day before: borrowed, bought or delegated for a single vote.
//!
//! A vote's log does not show since when the voter had the voting power, so the governor is asked for the power at an
//! earlier time. Where a governor cannot answer, such as Bravo, nothing is noted on its votes.
//!
//! Source: Governor.sol 4 and 5 `proposalSnapshot`, `getVotes` and `quorum`; ERC-6372, whose clock counts blocks or seconds.

use super::{Questions, Subjects, decoded_call};
use crate::contracts::Property;
use crate::model::activity::Note;
use crate::model::read::{Answer, Read};
use crate::model::{Activity, ActivityKind};
use alloy_primitives::{Address, U256};

/// `proposalSnapshot(uint256)`, `getVotes(address,uint256)`, `quorum(uint256)`
const SNAPSHOT: [u8; 4] = [0x2d, 0x63, 0xf6, 0x93];
const VOTES: [u8; 4] = [0xeb, 0x90, 0x19, 0xd4];
const QUORUM: [u8; 4] = [0xf8, 0xce, 0x56, 0x0a];

/// Length of a day in seconds, and in mainnet's blocks of twelve seconds for a clock that counts blocks.
const DAY_SECONDS: u64 = 86_400;
const DAY_BLOCKS: u64 = 7_200;
/// Clock value from which a clock counts seconds: no chain has that many blocks yet, and as a Unix time it lies
/// in 2001.
const SECONDS_FROM: u64 = 1_000_000_000;
/// Divisor of the quorum: a vote with at least that part of the quorum matters. A new voter with less power is ignored.
const QUORUM_PART: u64 = 4;

/// Notes the votes of watched governors whose voter had at most half the power a day before the proposal's snapshot. Where the node
/// or the governor cannot say, or the chain is younger than that, nothing is noted.
pub(crate) fn note_recent_voting_power(
    activities: &mut [Activity],
    subjects: &Subjects,
    questions: &mut Questions<'_>,
) {
    for activity in activities {
        if is_fresh(activity, subjects, questions) == Some(true) {
            activity.notes.push(Note::FreshVotes);
        }
    }
}

fn is_fresh(vote: &Activity, subjects: &Subjects, questions: &mut Questions<'_>) -> Option<bool> {
    let is_vote = vote.kind == ActivityKind::Event
        && matches!(
            &*vote.deed.signature,
            "VoteCast(address,uint256,uint8,uint256,string)"
                | "VoteCastWithParams(address,uint256,uint8,uint256,string,bytes)"
        );
    let governor = vote.from;
    if !is_vote || subjects.get(&governor).is_none_or(|subject| !subject.contract().has(Property::Votes)) {
        return None;
    }
    let (voter, id) = (decoded_call::address_at(&vote.deed, 0)?, decoded_call::uint_at(&vote.deed, 1)?);
    let weight = decoded_call::uint_at(&vote.deed, 3).filter(|weight| !weight.is_zero())?;
    let snapshot = query_number(questions, governor, SNAPSHOT, &[id])?;
    let day = if snapshot > U256::from(SECONDS_FROM) { DAY_SECONDS } else { DAY_BLOCKS };
    let earlier = snapshot.checked_sub(U256::from(day)).filter(|time| !time.is_zero())?;
    // Ask for both in the same round.
    let before = query_number(questions, governor, VOTES, &[U256::from_be_bytes(voter.into_word().0), earlier]);
    let quorum = query_number(questions, governor, QUORUM, &[snapshot]);
    let matters = quorum.is_none_or(|quorum| weight.saturating_mul(U256::from(QUORUM_PART)) >= quorum);
    Some(matters && before?.saturating_mul(U256::from(2)) <= weight)
}

/// Returns the result of a view of the governor, if it is a number.
fn query_number(questions: &mut Questions<'_>, of: Address, view: [u8; 4], arguments: &[U256]) -> Option<U256> {
    let words = arguments.iter().flat_map(|word| word.to_be_bytes::<32>());
    let data = view.into_iter().chain(words).collect();
    match questions.ask(Read::Call { to: of, data }) {
        Some(Answer::Data(word)) => word.first_chunk::<32>().map(|word| U256::from_be_bytes(*word)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn views_are_those_of_their_names() {
        for (signature, view) in
            [("proposalSnapshot(uint256)", SNAPSHOT), ("getVotes(address,uint256)", VOTES), ("quorum(uint256)", QUORUM)]
        {
            assert_eq!(keccak256(signature)[..4], view, "{signature}");
        }
    }
}
