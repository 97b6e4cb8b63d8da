//! Allowances that are effectively unlimited: at or above the total supply of the token.

use super::{Questions, decoded_call};
use crate::model::activity::Note;
use crate::model::read::{Answer, Read};
use crate::model::{Activity, ActivityKind, Decoding};
use alloy_primitives::{Bytes, U256};

/// `totalSupply()`. Source: EIP-20.
const TOTAL_SUPPLY: [u8; 4] = [0x18, 0x16, 0x0d, 0xdd];

/// Notes allowances that a subject gives at or above the token's supply. Where the node cannot return the supply,
/// nothing is noted; the amount itself is judged anyway.
pub(crate) fn note_oversized_allowances(activities: &mut [Activity], questions: &mut Questions<'_>) {
    for activity in activities {
        let Some(amount) = allowance_amount(activity) else { continue };
        let Some(token) = activity.to else { continue };
        let read = Read::Call { to: token, data: Bytes::from_static(&TOTAL_SUPPLY) };
        if let Some(Answer::Data(word)) = questions.ask(read)
            && let Some(supply) = word.first_chunk::<32>().map(|word| U256::from_be_bytes(*word))
            && !supply.is_zero()
            && amount >= supply
        {
            activity.notes.push(Note::AboveSupply);
        }
    }
}

/// Returns the amount of an allowance that is worth comparing with the supply: not zero, and not so large that the
/// supply does not matter.
fn allowance_amount(activity: &Activity) -> Option<U256> {
    let gives = matches!(&*activity.deed.name, "approve" | "increaseAllowance" | "approveAndCall" | "increaseApproval");
    // In an allowance for one id (ERC-6909), the second argument is the id.
    let gives = gives && &*activity.deed.signature != "approve(address,uint256,uint256)";
    if activity.kind != ActivityKind::Act || !gives || activity.deed.decoding != Decoding::Clean {
        return None;
    }
    decoded_call::uint_at(&activity.deed, 1).filter(|amount| !amount.is_zero() && *amount < U256::ONE << 128)
}
