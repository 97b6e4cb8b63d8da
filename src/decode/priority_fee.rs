//! Payments of a watched account for inclusion, compared with usual ones: an attacker in a hurry with a stolen key does
//! not look at the price.
//!
//! The reference is the block itself, since usual tips change from hour to hour: a tip is unusual at ten times the
//! amount for a unit of gas that half of the block's other senders do not exceed. To avoid noise where others offer
//! next to nothing, it must also reach a fiftieth of an ether in all, which is a hundred times the cost of a transfer
//! in a busy hour. Where the block holds too few others for a comparison, the reference is ten times its base fee. The
//! same reference applies to a tip of a tenth of an ether or more that exceeds the ether sent, independent of other
//! offers, since a block producer can fill a block with offers to itself at no cost. A separate payment to the block
//! producer is not a tip: it is reported as that payment.
//!
//! An account with code pays the bundler that submits its operations to an EntryPoint (ERC-4337), at a price that the
//! account signed. The same reference applies to the amount that an operation paid beyond the fee burned for its gas,
//! as logged by the EntryPoint. An operation also signs an amount of gas that is charged in addition to the gas used,
//! so the gas is capped at that of its transaction.

use super::{Subjects, erc4337};
use crate::contracts::Property;
use crate::model::activity::{Note, Usual};
use crate::model::{Activity, ActivityKind, Log, Position, Role, Tx};
use alloy_primitives::{Address, B256, U256};

/// Multiple of the median from which an offer is unusual.
const TIMES: u128 = 10;
/// Least total of an unusual payment, in wei.
const PAID_MIN: u64 = 20_000_000_000_000_000;
/// Minimum number of other transactions in the block; with fewer, its base fee is the reference.
const OTHERS_MIN: usize = 8;
/// Tip in wei from which the offers of others are no excuse.
const EXCUSED_MAX: u64 = 100_000_000_000_000_000;

/// Notes the tip of a watched account's transaction where it is unusual.
pub(super) fn note_priority_fees(tx: &Tx, txs: &[Tx], subjects: &Subjects, activities: &mut [Activity]) {
    let Some(tip) = tx.tip else { return };
    let Some(subject) = subjects.get(&tx.from).filter(|subject| subject.contract().has(Property::Account)) else {
        return;
    };
    let own = |activity: &&mut Activity| {
        let whole = matches!(&activity.position, Position::Call(path) if path.is_empty());
        activity.watch == subject.watch && activity.kind == ActivityKind::Act && whole
    };
    let Some(activity) = activities.iter_mut().find(own) else { return };
    let offer = Offer { paid: tip.paid, per_gas: tip.per_gas, base_fee: tip.base_fee, sent: activity.value };
    activity.notes.extend(offer.unusual(tx, txs));
}

/// Notes the payment of operations in `tx` to their bundler, where it is unusual: on the act of an operation, otherwise
/// on the EntryPoint's call to the account. The activities of `tx` begin at `first`.
pub(super) fn weigh_operations(tx: &Tx, txs: &[Tx], first: usize, activities: &mut [Activity]) {
    let mut calls = Vec::new();
    for log in tx.logs.iter().filter(|log| erc4337::ENTRY_POINTS.contains(&log.address)) {
        let Some(account) = operation_account(log) else { continue };
        let asks = |at: &usize| {
            let call = &activities[*at];
            let is_asked = call.kind == ActivityKind::Call && !matches!(call.role, Role::Effect { .. });
            is_asked && (call.from, call.to) == (log.address, Some(account)) && !calls.contains(at)
        };
        let Some(call) = (first..activities.len()).find(asks) else { continue };
        calls.push(call);
        let Some(offer) = paid_beyond(log, tx) else { continue };
        let on = match &activities[call].role {
            Role::Envelope { carries } => carries.first().copied().unwrap_or(call),
            _ => call,
        };
        if let Some(activity) = activities.get_mut(on) {
            activity.notes.extend(Offer { sent: activity.value, ..offer }.unusual(tx, txs));
        }
    }
}

/// Returns the account whose operation an EntryPoint logs. Source: IEntryPoint.sol 0.6 to 0.8, `UserOperationEvent`.
fn operation_account(log: &Log) -> Option<Address> {
    match log.topics.as_slice() {
        [erc4337::USER_OPERATION, _, account, _] => Some(Address::from_word(*account)),
        _ => None,
    }
}

/// Returns the cost of an operation without a paymaster to its account, beyond the gas that its transaction burned.
fn paid_beyond(log: &Log, tx: &Tx) -> Option<Offer> {
    let around = tx.tip.filter(|tip| tip.gas_used > 0)?;
    let word = |nth: usize| Some(U256::from_be_bytes(*log.data.get(nth * 32..)?.first_chunk::<32>()?));
    let (cost, counted) = (word(2)?, word(3)?);
    let gas = counted.clamp(U256::ONE, U256::from(around.gas_used));
    let paid = cost.saturating_sub(gas.saturating_mul(U256::from(around.base_fee)));
    let by_itself = log.topics.get(3) == Some(&B256::ZERO);
    let per_gas = u128::try_from(paid / gas).unwrap_or(u128::MAX);
    by_itself.then_some(Offer { paid, per_gas, base_fee: around.base_fee, sent: U256::ZERO })
}

/// Payment for inclusion, in wei.
#[derive(Clone, Copy, Debug)]
struct Offer {
    /// Total amount.
    paid: U256,
    /// Amount for each unit of gas.
    per_gas: u128,
    /// Amount burned in addition for each unit of gas.
    base_fee: u128,
    /// Ether sent along.
    sent: U256,
}

impl Offer {
    /// The note on the offer, where it is unusual in the block.
    fn unusual(&self, tx: &Tx, txs: &[Tx]) -> Option<Note> {
        if self.paid < U256::from(PAID_MIN) {
            return None;
        }
        let others = txs.iter().filter(|other| other.from != tx.from);
        let mut others: Vec<u128> = others.filter_map(|other| Some(other.tip?.per_gas)).collect();
        let few = others.len() < OTHERS_MIN;
        let beside_others = (!few).then(|| {
            let middle = others.len() / 2;
            Usual::Others(*others.select_nth_unstable(middle).1)
        });
        let excessive = self.paid >= U256::from(EXCUSED_MAX) && self.paid > self.sent;
        let beside_fee = (few || excessive).then_some(Usual::BaseFee(self.base_fee));
        let beside = beside_others.into_iter().chain(beside_fee).find(|usual| {
            let (Usual::Others(per_gas) | Usual::BaseFee(per_gas)) = *usual;
            self.per_gas >= per_gas.saturating_mul(TIMES)
        })?;
        Some(Note::Tip { paid: self.paid, per_gas: self.per_gas, beside })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Abi;
    use crate::contracts::kind_named;
    use crate::decode::{Subject, decode_block};
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
            tip: Some(Tip {
                per_gas,
                paid: U256::from(per_gas) * U256::from(21_000),
                gas_used: 21_000,
                base_fee: GWEI,
            }),
        }
    }

    /// Returns the reference by which the tip of the first is unusual among the others.
    fn unusual(own: u128, others: &[u128], sent: u64) -> Option<Usual> {
        let mut subjects = Subjects::new(ChainId(1));
        let abi = Arc::new(Abi::default());
        let subject = Subject { watch: WatchId(0), kind: kind_named("eoa").unwrap(), rule_abi: Arc::clone(&abi), abi };
        subjects.insert_subject(Address::ZERO, subject);
        let txs = (0..).zip([own].into_iter().chain(others.iter().copied())).map(|(n, per_gas)| tx(n, per_gas));
        let mut txs: Vec<Tx> = txs.collect();
        txs[0].value = U256::from(sent);
        let at = BlockRef { number: 1, hash: B256::ZERO };
        let block = Block { at, parent: B256::ZERO, time: 0, txs, withdrawals: vec![] };
        let decoded = decode_block(&block, &subjects, &Known::default(), &Default::default());
        let own = decoded.activities.iter().find(|activity| activity.kind == ActivityKind::Act)?;
        own.notes.iter().find_map(|note| if let Note::Tip { beside, .. } = note { Some(*beside) } else { None })
    }

    #[test]
    fn a_tip_is_unusual_by_what_the_others_of_the_block_offer_and_by_what_it_comes_to() {
        let calm = [GWEI; 9];
        let by_others = Some(Usual::Others(GWEI));
        assert_eq!(unusual(1_000 * GWEI, &calm, 1), by_others);
        assert_eq!(unusual(900 * GWEI, &calm, 1), None, "it comes to less than a fiftieth of an ether");
        assert_eq!(unusual(1_000 * GWEI, &[101 * GWEI; 9], 1), None, "everybody is in a hurry");
        let two_prices = [1, 1, 1, 1, 1, 5_000, 5_000, 5_000, 1].map(|gwei| gwei * GWEI);
        assert_eq!(unusual(1_000 * GWEI, &two_prices, 1), by_others);
    }

    #[test]
    fn where_others_do_not_say_what_is_usual_the_base_fee_is_the_measure() {
        let by_fee = Some(Usual::BaseFee(GWEI));
        for n_others in 0..8 {
            assert_eq!(unusual(1_000 * GWEI, &[1_000 * GWEI; 7][..n_others.min(7)], 1), by_fee, "{n_others} others");
        }
        assert_eq!(unusual(900 * GWEI, &[], 1), None, "it comes to less than a fiftieth of an ether");
        // A block full of equally high offers excuses at most a tenth of an ether, unless the ether sent exceeds the
        // offer.
        let full = [5_000 * GWEI; 12];
        assert_eq!(unusual(4_700 * GWEI, &full, 1), None);
        assert_eq!(unusual(4_800 * GWEI, &full, 1), by_fee);
        assert_eq!(unusual(4_800 * GWEI, &full, 1_000_000_000_000_000_000), None);
    }
}
