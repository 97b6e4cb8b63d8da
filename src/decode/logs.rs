//! Logs become activities: what a subject says, and what tokens say of it.

use super::effects;
use super::frames::Frame;
use super::{Subjects, deed};
use crate::abi::Budget;
use crate::model::{Activity, ActivityKind, Deed, Fate, Log, Operation, Position, Role, Stage, Tx, WatchId};
use alloy_primitives::{Address, B256, U256, b256};

/// `Transfer(address,address,uint256)`: ERC-20 with three topics, ERC-721 with four.
pub(crate) const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// `Approval(address,address,uint256)`: likewise.
pub(crate) const APPROVAL: B256 = b256!("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925");

/// Whether a log is by a subject, or a transfer or approval that names one.
pub(crate) fn concerns(log: &Log, subjects: &Subjects) -> bool {
    subjects.get(&log.address).is_some()
        || parties(log).is_some_and(|(a, b)| subjects.get(&a).is_some() || subjects.get(&b).is_some())
}

/// Appends an activity per log and subject, and joins it to the act that explains it.
///
/// A subject that emits a log hears of it once, as its own event, even where the log names it too.
pub(crate) fn read(frames: &mut [Frame], tx: &Tx, subjects: &Subjects, first: usize, out: &mut Vec<Activity>) {
    let mut budget = Budget::default();
    let mut explainer = effects::Explainer::new(frames, tx, first, out.len());
    for log in &tx.logs {
        if !concerns(log, subjects) {
            continue;
        }
        if let Some(subject) = subjects.get(&log.address) {
            let deed = deed::of_log(subjects, log, &mut budget);
            let mut event = from_log(subject.watch, ActivityKind::Event, log, tx, deed);
            event.from = log.address;
            if let Some(of) = explainer.explain(&event, log, out) {
                event.role = Role::Effect { of };
            }
            out.push(event);
        }
        let Some((one, other)) = parties(log) else { continue };
        let mut told: Option<WatchId> = None;
        for party in [one, other] {
            let Some(subject) = subjects.get(&party).filter(|_| party != log.address) else { continue };
            if told == Some(subject.watch) {
                continue;
            }
            told = Some(subject.watch);
            let name = if log.topics[0] == APPROVAL { "approval" } else { "transfer" };
            let deed = deed::movement(name, log.address, one, other, amount(log));
            let mut movement = from_log(subject.watch, ActivityKind::Move, log, tx, deed);
            movement.from = one;
            movement.to = Some(other);
            if party == one
                && let Some(of) = explainer.explain(&movement, log, out)
            {
                movement.role = Role::Effect { of };
            }
            out.push(movement);
        }
    }
}

fn from_log(watch: WatchId, kind: ActivityKind, log: &Log, tx: &Tx, deed: Deed) -> Activity {
    Activity {
        watch,
        kind,
        stage: Stage::Included,
        fate: Fate::Executed,
        tx: tx.hash,
        tx_index: tx.index,
        position: Position::Log(log.ordinal),
        from: log.address,
        origin: tx.from,
        to: None,
        value: U256::ZERO,
        deed,
        operation: Operation::Call,
        signers: None,
        via: vec![],
        role: Role::Leaf,
        notes: vec![],
    }
}

/// Who gives and who gets, of a transfer or an approval with both indexed.
fn parties(log: &Log) -> Option<(Address, Address)> {
    match log.topics.as_slice() {
        [TRANSFER | APPROVAL, one, other] | [TRANSFER | APPROVAL, one, other, _] => {
            Some((Address::from_word(*one), Address::from_word(*other)))
        }
        _ => None,
    }
}

/// The amount of a fungible token, or the id of a single one.
pub(crate) fn amount(log: &Log) -> U256 {
    match log.topics.get(3) {
        Some(id) => U256::from_be_bytes(id.0),
        // Short data reads as zeros behind it, as a contract would read it.
        None => {
            let mut word = [0; 32];
            let len = log.data.len().min(32);
            word[..len].copy_from_slice(&log.data[..len]);
            U256::from_be_bytes(word)
        }
    }
}
