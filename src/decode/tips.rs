//! What a watched account pays for being included, beside what everybody pays: whoever is in a hurry with somebody else's key does not
//! look at the price.
//!
//! The measure is the block itself, since what is usual changes from hour to hour: ten times what half of its other senders offer at most
//! for a unit of gas. That alone would be noise where others offer next to nothing, so that it has to come to a fiftieth of an ether in all,
//! which is a hundred times what a transfer costs in a busy hour. What goes to the block's maker by a payment of its own is no tip: it shows as
//! that payment.

use super::Subjects;
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind, Kind, Position, Tx};
use alloy_primitives::U256;

/// How many times the median.
const TIMES: u128 = 10;
/// What it comes to at least, in wei.
const PAID_MIN: u64 = 20_000_000_000_000_000;
/// Transactions of others in the block, below which nothing is usual.
const OTHERS_MIN: usize = 8;

/// Notes the tip of a watched account's transaction where it is unusual.
pub(super) fn weigh(tx: &Tx, txs: &[Tx], subjects: &Subjects, activities: &mut [Activity]) {
    let Some(tip) = tx.tip.filter(|tip| tip.paid >= U256::from(PAID_MIN)) else { return };
    let Some(subject) = subjects.get(&tx.from).filter(|subject| subject.kind == Kind::Eoa) else { return };
    let own = |activity: &&mut Activity| {
        let whole = matches!(&activity.position, Position::Call(path) if path.is_empty());
        activity.watch == subject.watch && activity.kind == ActivityKind::Act && whole
    };
    let Some(activity) = activities.iter_mut().find(own) else { return };
    let others = txs.iter().filter(|other| other.from != tx.from);
    let mut others: Vec<u128> = others.filter_map(|other| Some(other.tip?.per_gas)).collect();
    if others.len() < OTHERS_MIN {
        return;
    }
    let middle = others.len() / 2;
    let (_, median, _) = others.select_nth_unstable(middle);
    if tip.per_gas >= median.saturating_mul(TIMES) {
        activity.notes.push(Note::Tip { paid: tip.paid, per_gas: tip.per_gas, usual: *median });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Abi;
    use crate::decode::{Subject, decode};
    use crate::model::{Block, BlockRef, ChainId, Known, Status, Tip, WatchId};
    use alloy_primitives::{Address, B256, Bytes};
    use std::sync::Arc;

    const GWEI: u128 = 1_000_000_000;

    fn tx(n: u8, per_gas: u128) -> Tx {
        Tx {
            hash: B256::repeat_byte(n),
            index: n.into(),
            kind: 2,
            from: Address::repeat_byte(n),
            to: Some(Address::repeat_byte(0xee)),
            value: U256::ONE,
            input: Bytes::new(),
            nonce: 0,
            authorizations: vec![],
            status: Status::Success,
            created: None,
            logs: vec![],
            fee: None,
            bid: None,
            tip: Some(Tip { per_gas, paid: U256::from(per_gas) * U256::from(21_000) }),
        }
    }

    /// Whether the tip of the first is unusual among the rest.
    fn is_unusual(own: u128, others: &[u128]) -> bool {
        let mut subjects = Subjects::new(ChainId(1));
        let abi = Arc::new(Abi::default());
        let subject = Subject { watch: WatchId(0), kind: Kind::Eoa, rule_abi: Arc::clone(&abi), abi };
        subjects.watch(Address::ZERO, subject);
        let txs = (0..).zip([own].into_iter().chain(others.iter().copied())).map(|(n, per_gas)| tx(n, per_gas));
        let at = BlockRef { number: 1, hash: B256::ZERO };
        let block = Block { at, parent: B256::ZERO, time: 0, txs: txs.collect(), withdrawals: vec![] };
        let decoded = decode(&block, &subjects, &Known::default(), &Default::default());
        let own = decoded.activities.iter().find(|activity| activity.kind == ActivityKind::Act);
        own.is_some_and(|own| own.notes.iter().any(|note| matches!(note, Note::Tip { .. })))
    }

    #[test]
    fn a_tip_is_unusual_by_what_the_others_of_the_block_offer_and_by_what_it_comes_to() {
        let calm = [GWEI; 9];
        assert!(is_unusual(1_000 * GWEI, &calm));
        assert!(!is_unusual(900 * GWEI, &calm), "it comes to less than a fiftieth of an ether");
        assert!(!is_unusual(1_000 * GWEI, &[101 * GWEI; 9]), "everybody is in a hurry");
        assert!(!is_unusual(1_000 * GWEI, &calm[..7]), "too few to say what is usual");
        assert!(is_unusual(
            1_000 * GWEI,
            &[GWEI, GWEI, GWEI, GWEI, GWEI, 5_000 * GWEI, 5_000 * GWEI, 5_000 * GWEI, GWEI]
        ));
    }
}
