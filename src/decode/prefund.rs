//! Ether that accounts pay an EntryPoint in advance for their operations (ERC-4337), where no trace shows the payment.
//!
//! An account whose deposit at the EntryPoint is too small pays the difference while it validates an operation, by a
//! call that only a trace shows. The payment has three bounds, of which the smallest applies: the maximum cost of its
//! operations, as signed by the account; the deposits that the EntryPoint logs for the account during validation; and
//! the increase of the account's deposit, which is the deposit after the block plus the amounts taken from it, less the
//! deposit before. Only the published EntryPoints are trusted. Ether that leaves an account beyond the bound is
//! reported as missing.
//!
//! Source: EntryPoint.sol and StakeManager.sol 0.6 to 0.8.

use super::frames::{Frame, FrameKind};
use super::{Questions, Subjects, erc4337};
use crate::model::read::{Answer, Read};
use crate::model::{Activity, ActivityKind, Block, Decoding, Fate, Log, Stage, Tx};
use alloy_primitives::{Address, B256, Bytes, U256, b256};
use std::collections::BTreeMap;

/// `Deposited(address,uint256)`: the account is indexed; then its new total deposit.
const DEPOSITED: B256 = b256!("2da466a7b24304f47e87fa2e1e5a81b9831ce54fec19055ce277ca2f39ba42c4");
/// `Withdrawn(address,address,uint256)`: the account is indexed; then the receiver and the amount.
const WITHDRAWN: B256 = b256!("d1c19fbcd4551a5edfb66d43d2e337c04837afda3482b42bdf569a8fccdae5fb");
/// `BeforeExecution()`: all operations of the bundle are validated, and none was carried out yet.
const BEFORE_EXECUTION: B256 = b256!("bb47ee3e183a558b1a2ff0874b079f3fc5478b7454eacf2bfc5af2ff5878f972");
/// `balanceOf(address)`: the account's deposit at the EntryPoint, in wei.
const BALANCE_OF: [u8; 4] = [0x70, 0xa0, 0x82, 0x31];
/// `depositTo(address)`.
const DEPOSIT_TO: [u8; 4] = [0xb7, 0x60, 0xfa, 0xf9];
/// Name of the missing part where the EntryPoint could not be read.
const LACKS: &str = "what the account had at its EntryPoint";

/// An account at an EntryPoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Depositor {
    account: Address,
    entry: Address,
}

/// An operation whose payment no trace shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    of: Depositor,
    /// Index of the transaction.
    tx: u32,
    /// Maximum cost to its account, in wei, as signed by the account.
    signed: U256,
}

/// Ether that an account may have paid in advance in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Advance {
    pub(super) account: Address,
    /// Maximum payment, in wei.
    pub(super) most: U256,
    /// Value that the node does not return, so that the bound is wider than necessary.
    pub(super) lacks: Option<&'static str>,
}

/// Returns the operations of watched accounts that `tx` brings to an EntryPoint.
pub(super) fn claimed_operations(frames: &[Frame], tx: &Tx, subjects: &Subjects) -> Vec<Claim> {
    let bundle = |frame: &&Frame| matches!(frame.shape, FrameKind::Operations) && frame.fate == Fate::Executed;
    let mut claims = Vec::new();
    for frame in frames.iter().filter(bundle) {
        let Some(entry) = frame.target.filter(|_| tx.status.has_effects()) else { continue };
        let operations = erc4337::bundled_operations(&frame.deed).into_iter();
        for asked in operations.filter(|asked| subjects.get(&asked.account).is_some()) {
            let of = Depositor { account: asked.account, entry };
            claims.push(Claim { of, tx: tx.index, signed: asked.prefund });
        }
    }
    claims
}

/// Returns the bounds on the advance payments of the accounts of `claims` in `block`.
pub(super) fn bound_advances(
    block: &Block,
    claims: &[Claim],
    activities: &[Activity],
    questions: &mut Questions<'_>,
) -> Vec<Advance> {
    // For each account: the maximum cost of its operations, by transaction.
    let mut signed: BTreeMap<Depositor, BTreeMap<u32, U256>> = BTreeMap::new();
    for claim in claims {
        let most = signed.entry(claim.of).or_default().entry(claim.tx).or_default();
        *most = most.saturating_add(claim.signed);
    }
    let mut advances = Vec::new();
    for (of, by_tx) in signed {
        // Without a deposit logged by the EntryPoint, nothing was paid.
        let logged = by_tx.iter().filter_map(|(tx, most)| {
            let deposited = of.deposited(block.txs.get(*tx as usize)?);
            (!deposited.is_zero()).then_some(deposited.min(*most))
        });
        let logged = logged.fold(U256::ZERO, U256::saturating_add);
        if logged.is_zero() {
            continue;
        }
        let rose = of.rose(block, activities, questions);
        let lacks = if rose.is_some() { None } else { Some(LACKS) };
        advances.push(Advance { account: of.account, most: rose.map_or(logged, |rose| rose.min(logged)), lacks });
    }
    advances
}

impl Depositor {
    /// Returns whether the EntryPoint logs this event for the account, which stands in the topic at `place`.
    fn says(self, log: &Log, topic: B256, place: usize) -> bool {
        log.address == self.entry
            && log.topics.first() == Some(&topic)
            && log.topics.get(place) == Some(&self.account.into_word())
    }

    /// Returns the maximum amount deposited while the EntryPoint validated operations in `tx`: each log contains the
    /// account's total deposit.
    fn deposited(self, tx: &Tx) -> U256 {
        let begins = |log: &Log| log.address == self.entry && log.topics.first() == Some(&BEFORE_EXECUTION);
        let Some(begun) = tx.logs.iter().rposition(begins) else { return U256::ZERO };
        let deposits = tx.logs[..begun].iter().filter(|log| self.says(log, DEPOSITED, 1));
        deposits.fold(U256::ZERO, |sum, log| sum.saturating_add(log_data_word(log, 0)))
    }

    /// Returns all deposits for the account in the block, less those shown by its own calls; `None` where the
    /// EntryPoint could not be read.
    fn rose(self, block: &Block, activities: &[Activity], questions: &mut Questions<'_>) -> Option<U256> {
        let data = Bytes::from([&BALANCE_OF, self.account.into_word().as_slice()].concat());
        let before = Read::Before { parent: block.parent, to: self.entry, data: data.clone() };
        let after = Read::Call { to: self.entry, data };
        // Ask both in the same round.
        let [had, has] = [before, after].map(|read| questions.ask_state(read).and_then(Answer::as_number));
        let (mut had, mut has) = (had?, has?);
        for log in block.txs.iter().flat_map(|tx| &tx.logs) {
            let paid = || self.says(log, erc4337::USER_OPERATION, 2) && log.topics.get(3) == Some(&B256::ZERO);
            if self.says(log, WITHDRAWN, 1) {
                has = has.saturating_add(log_data_word(log, 1));
            } else if paid() {
                has = has.saturating_add(log_data_word(log, 2));
            }
        }
        for act in activities.iter().filter(|act| self.shows_deposit(act)) {
            had = had.saturating_add(act.value);
        }
        Some(has.saturating_sub(had))
    }

    /// Returns whether the activity is a deposit by the account for itself, which counts as ether that a call carries.
    fn shows_deposit(self, act: &Activity) -> bool {
        let for_itself = || {
            let whose = act.deed.args.first().and_then(|arg| arg.value.as_address());
            act.deed.selector == Some(DEPOSIT_TO) && whose.is_none_or(|whose| whose == self.account)
        };
        act.kind == ActivityKind::Act
            && (act.stage, act.fate) == (Stage::Included, Fate::Executed)
            && (act.from, act.to) == (self.account, Some(self.entry))
            && (act.deed.decoding == Decoding::Ether || for_itself())
    }
}

/// A number in the data of a log.
fn log_data_word(log: &Log, nth: usize) -> U256 {
    let word = log.data.get(nth * 32..).and_then(|rest| rest.first_chunk::<32>());
    word.map(|word| U256::from_be_bytes(*word)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
