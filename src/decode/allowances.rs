//! Remainder of an allowance, which some tokens log again whenever the allowance is used.
//!
//! In: a block's activities, and the allowance of each spender before the block. Out: the log of the remaining
//! allowance becomes an effect of the transfer that used it. A log is explained only if the amounts add up: the same
//! token, the same owner, the same transaction, and a transfer from that owner in the logs just before or just after
//! it, where each transfer explains one such log; and the remaining allowance is the previous one less the transferred
//! amount. An allowance that differs from the value read, that grows, or that could not be read stays unexplained.
//!
//! Source: ERC20.sol of OpenZeppelin, `transferFrom`: 2.0 to 3.4 log the remaining allowance after the transfer, 4.0 to
//! 4.9 before it, and from 4.5 on an allowance of 2^256-1 is neither reduced nor logged. WETH9 and similar tokens log
//! nothing.

use super::holdings::{allowance_of, log_of};
use super::movement::{Movement, Views, is_echo};
use super::{Questions, Subjects};
use crate::model::activity::Note;
use crate::model::read::{Answer, Read};
use crate::model::{Activity, ActivityKind, Block, Log, Position, Role, Tx};
use alloy_primitives::{Address, U256, keccak256};
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of allowances read for one block, those of listed tokens first. An attacker who creates more gets
/// findings for the rest.
const ALLOWANCES_MAX: usize = 32;

/// An allowance: its owner, token and spender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Allowance {
    token: Address,
    owner: Address,
    spender: Address,
}

/// Joins each log of a remaining allowance to the transfer that used the allowance.
pub(super) fn explain_used_allowances(
    block: &Block,
    subjects: &Subjects,
    activities: &mut [Activity],
    questions: &mut Questions<'_>,
) {
    let mut logged: BTreeMap<Allowance, Vec<(usize, U256)>> = BTreeMap::new();
    for (at, activity) in activities.iter().enumerate() {
        if let Some((allowance, left)) = logged_allowance(block, subjects, activity) {
            logged.entry(allowance).or_default().push((at, left));
        }
    }
    logged
        .retain(|allowance, logs| logs.iter().any(|(at, _)| is_beside_a_transfer(block, &activities[*at], allowance)));
    let mut asked: Vec<_> = logged.into_iter().collect();
    // Tokens that are not listed come last, in an order that an attacker cannot choose.
    asked.sort_by_cached_key(|(allowance, _)| {
        let place = keccak256([block.at.hash.as_slice(), allowance.token.as_slice()].concat());
        (!subjects.lists_token(&allowance.token), place)
    });
    let mut spent: BTreeSet<(u32, u32)> = BTreeSet::new();
    for (allowance, logs) in asked.into_iter().take(ALLOWANCES_MAX) {
        let data = allowance_of(allowance.owner, allowance.spender);
        let before = Read::Before { parent: block.parent, to: allowance.token, data };
        let mut stood = questions.ask_holding(before).and_then(Answer::as_number);
        for (at, left) in logs {
            if let Some(of) =
                stood.and_then(|stood| find_using_transfer(block, activities, at, (stood, left), &mut spent))
            {
                activities[at].role = Role::Effect { of };
                activities[at].notes.push(Note::Remainder);
            }
            stood = Some(left);
        }
    }
}

/// Returns the allowance that a token's log sets on a subject's own holding, and its new amount.
fn logged_allowance(block: &Block, subjects: &Subjects, activity: &Activity) -> Option<(Allowance, U256)> {
    if activity.kind != ActivityKind::Move {
        return None;
    }
    let (_, log) = log_of(block, activity)?;
    let movement = Movement::from_log(log).filter(|movement| movement.approval && movement.pieces.is_empty())?;
    let is_own = subjects.address_of(activity) == Some(movement.from);
    let is_plain = movement.views == Views::Plain;
    let allowance = Allowance { token: movement.token, owner: movement.from, spender: movement.to };
    (is_own && is_plain).then_some((allowance, movement.amount))
}

/// Returns whether an unexplained log of an allowance stands beside a transfer by the same token from the same owner.
fn is_beside_a_transfer(block: &Block, activity: &Activity, of: &Allowance) -> bool {
    let Some((tx, log)) = log_of(block, activity).filter(|_| activity.role == Role::Leaf) else { return false };
    let beside = [log.ordinal.checked_sub(1), log.ordinal.checked_add(1)];
    beside.into_iter().flatten().any(|ordinal| amount_taken(tx, ordinal, of.token, of.owner).is_some())
}

/// Returns the amount that left the owner, according to the log at this place.
fn amount_taken(tx: &Tx, ordinal: u32, token: Address, owner: Address) -> Option<U256> {
    let log: &Log = tx.logs.get(ordinal as usize).filter(|log| log.address == token)?;
    let movement = Movement::from_log(log).filter(|movement| !movement.approval && movement.pieces.is_empty())?;
    (movement.from == owner).then_some(movement.amount)
}

/// Returns the activity that accounts for an allowance that was `stood` before and is `left` after. The matching
/// transfers are then used up.
fn find_using_transfer(
    block: &Block,
    activities: &[Activity],
    at: usize,
    (stood, left): (U256, U256),
    spent: &mut BTreeSet<(u32, u32)>,
) -> Option<usize> {
    let own = &activities[at];
    let (tx, log) = log_of(block, own).filter(|_| own.role == Role::Leaf)?;
    // An unlimited allowance may be logged again unchanged.
    let endless = stood == U256::MAX && left == U256::MAX;
    let gone = stood.checked_sub(left).filter(|gone| endless || !gone.is_zero())?;
    let before = (0..log.ordinal).rev();
    let behind = log.ordinal.saturating_add(1)..u32::try_from(tx.logs.len()).unwrap_or(u32::MAX);
    let found = run(tx, before, own, log.address, (gone, endless), spent)
        .or_else(|| run(tx, behind, own, log.address, (gone, endless), spent))?;
    let nearest = *found.first()?;
    let transfer = activities.iter().position(|other| {
        let here = (other.kind, other.watch, other.tx_index) == (ActivityKind::Move, own.watch, own.tx_index);
        here && other.position == Position::Log(nearest)
    })?;
    spent.extend(found.into_iter().map(|ordinal| (tx.index, ordinal)));
    Some(match activities[transfer].role {
        Role::Effect { of } => of,
        _ => transfer,
    })
}

/// Returns consecutive transfers from the owner, starting with the nearest, whose sum is the used amount: one transfer,
/// or several where a token takes a fee.
fn run(
    tx: &Tx,
    ordinals: impl Iterator<Item = u32>,
    own: &Activity,
    token: Address,
    (gone, endless): (U256, bool),
    spent: &BTreeSet<(u32, u32)>,
) -> Option<Vec<u32>> {
    let (mut found, mut sum) = (Vec::new(), U256::ZERO);
    let is_repeated = |ordinal: &u32| tx.logs.get(*ordinal as usize).is_some_and(|log| is_echo(tx, log));
    for ordinal in ordinals.filter(|ordinal| !is_repeated(ordinal)) {
        let amount = amount_taken(tx, ordinal, token, own.from).filter(|_| !spent.contains(&(tx.index, ordinal)))?;
        sum = sum.saturating_add(amount);
        found.push(ordinal);
        if endless || sum == gone {
            return Some(found).filter(|_| !sum.is_zero());
        }
        if sum > gone {
            return None;
        }
    }
    None
}
