//! Quantities that add up: ether, tokens, a supply, a nonce. Inflow less outflow is the balance, to the last wei.

use super::Look;
use crate::contracts::{Envelope, Property};
use crate::decode::movement::Movement;
use crate::decode::subjects::Counted;
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind, Fate, Item, Log, Operation, Position, Role, Stage, Tx};
use alloy_primitives::{Address, B256, U256, b256};

/// Maximum number of tokens whose balance is read for one subject on one scheduled read, in addition to the tokens that
/// move in its block. Where more are listed, they are read in turns.
pub const TOKENS_AT_ONCE: usize = 32;

/// `Deposit(address,uint256)` and `Withdrawal(address,uint256)` of WETH9, which wraps ether without logging a transfer.
const WRAPPED: B256 = b256!("e1fffcc4923d04b559f4d29a8bfc6cda04eb5b0d3c460751c2402c5c5cc9109c");
const UNWRAPPED: B256 = b256!("7fcf532c15f0a6db0bd6d0e038bea71d30d808c7d98cb3bf7268a95bf5081b65");

/// Allowed difference between a token's balances and its transfers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tolerance {
    /// No deviation.
    #[default]
    Exact,
    /// A deviation of up to this many ten-thousandths: a token that takes a fee.
    Within(u32),
    /// Any deviation: balances change without transfers.
    Any,
}

/// Amounts that moved.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    into: U256,
    /// Minimum amount that went out.
    out: U256,
    /// Amount that may have gone out in addition: fees with parts that the node does not return, up to the limit that
    /// the sender signed, and payments that an account made in advance for its operations.
    perhaps: U256,
    /// Name of the part that the node does not return.
    lacks: Option<&'static str>,
}

impl Flow {
    fn add_inflow(&mut self, amount: U256) {
        self.into = self.into.saturating_add(amount);
    }

    fn add_outflow(&mut self, amount: U256) {
        self.out = self.out.saturating_add(amount);
    }
}

/// Returns the tokens whose balance is read now: those that moved according to a log of the block, and, on the
/// schedule, those that are due.
pub(super) fn tokens_due(look: &Look<'_>) -> Vec<Address> {
    let named = |token: &Address| {
        let logs = look.activities.iter().filter(|activity| activity.watch == look.subject.watch);
        let mut moved = logs.filter(|activity| activity.kind == ActivityKind::Move);
        moved.any(|activity| activity.deed.args.first().and_then(|arg| arg.value.as_address()) == Some(*token))
    };
    let counted = || look.subjects.counted_tokens().iter().map(|Counted { token, .. }| *token);
    let mut tokens: Vec<Address> = counted().filter(named).collect();
    let n = look.subjects.counted_tokens().len();
    if look.whole && n > 0 {
        let beats = usize::try_from(look.block.at.number / look.subjects.cycle_blocks()).unwrap_or(usize::MAX);
        let first = beats % n.div_ceil(TOKENS_AT_ONCE) * TOKENS_AT_ONCE;
        let new = counted().skip(first).take(TOKENS_AT_ONCE).filter(|token| !tokens.contains(token));
        let new: Vec<Address> = new.collect();
        tokens.extend(new);
    }
    tokens
}

/// Returns whether the amounts that moved account for the change in full.
pub(super) fn is_change_explained(look: &Look<'_>, item: Item, before: B256, after: B256) -> bool {
    let (before_n, after_n) = (uint_from_word(before), uint_from_word(after));
    if item == Item::NONCE {
        let (least, most) = nonce_growth(look);
        return after_n.checked_sub(before_n).is_some_and(|more| least <= more && more <= most);
    }
    let Some(flow) = item_flow(look, item) else { return false };
    let (missing, surplus) = shortfall_and_surplus(look, item, before, after);
    let off = missing.max(surplus);
    match item_tolerance(look, item) {
        Tolerance::Exact => off.is_zero(),
        Tolerance::Within(parts) => {
            let base = before_n.max(flow.into).max(flow.out);
            off <= base.saturating_mul(U256::from(parts)) / U256::from(10_000)
        }
        Tolerance::Any => true,
    }
}

/// Returns the part of a fee that a node does not return, and the amount allowed for it, for reports about missing
/// ether.
pub(super) fn unreported_fee(look: &Look<'_>, item: Item) -> Option<(&'static str, U256)> {
    let flow = item_flow(look, item)?;
    flow.lacks.map(|lacks| (lacks, flow.perhaps))
}

/// Returns the expected value after the block; `None` for an item that does not add up.
pub(super) fn expected_sum(look: &Look<'_>, item: Item, before: B256) -> Option<B256> {
    let before = uint_from_word(before);
    if item == Item::NONCE {
        return Some(before.saturating_add(nonce_growth(look).0).into());
    }
    let flow = item_flow(look, item)?;
    // Assume the highest fee. A lower actual fee appears later as a surplus, which is normal.
    let out = flow.out.saturating_add(flow.perhaps);
    Some(before.saturating_add(flow.into).saturating_sub(out).into())
}

/// Returns the missing amount and the surplus, compared with the expected value.
pub(super) fn shortfall_and_surplus(look: &Look<'_>, item: Item, before: B256, after: B256) -> (U256, U256) {
    let Some(flow) = item_flow(look, item) else { return (U256::ZERO, U256::ZERO) };
    let should = uint_from_word(before).saturating_add(flow.into);
    let is = uint_from_word(after).saturating_add(flow.out);
    (should.saturating_sub(is.saturating_add(flow.perhaps)), is.saturating_sub(should))
}

fn uint_from_word(word: B256) -> U256 {
    U256::from_be_bytes(word.0)
}

fn item_tolerance(look: &Look<'_>, item: Item) -> Tolerance {
    let token = match item.of {
        Some(token) => token,
        None if item == Item::SUPPLY => look.address,
        None => return Tolerance::Exact,
    };
    look.subjects
        .counted_tokens()
        .iter()
        .find(|counted| counted.token == token)
        .map(|counted| counted.tolerance)
        .unwrap_or_default()
}

fn item_flow(look: &Look<'_>, item: Item) -> Option<Flow> {
    match item.of {
        _ if item == Item::SUPPLY => Some(supply_flow(look)),
        None if item == Item::ETHER => Some(ether_flow(look)),
        Some(token) if item.name() == Item::ETHER.name() => Some(tokens_moved(look, token)),
        _ => None,
    }
}

/// Returns the ether carried by visible calls, with fees, withdrawals and refunds.
fn ether_flow(look: &Look<'_>) -> Flow {
    let own = look.address;
    let mut flow = Flow::default();
    for activity in look.activities.iter().filter(|activity| activity.watch == look.subject.watch) {
        let ran = activity.fate == Fate::Executed && activity.stage == Stage::Included;
        if !ran || activity.from == own && activity.to == Some(own) {
            continue;
        }
        match activity.kind {
            ActivityKind::Act if activity.operation != Operation::Delegatecall => flow.add_outflow(activity.value),
            ActivityKind::Call if activity.operation != Operation::Delegatecall => flow.add_inflow(activity.value),
            // Where no trace shows the payment, the wallet's own log does.
            ActivityKind::Event if !look.traced.contains(&activity.tx_index) => {
                add_logged_ether(look, activity, &mut flow);
            }
            _ => {}
        }
    }
    for fee in look.block.txs.iter().filter(|tx| tx.from == own).filter_map(|tx| tx.fee) {
        flow.add_outflow(fee.least);
        flow.perhaps = flow.perhaps.saturating_add(fee.most.saturating_sub(fee.least));
        flow.lacks = flow.lacks.or(fee.lacks);
    }
    for advance in look.advances.iter().filter(|advance| advance.account == own) {
        flow.perhaps = flow.perhaps.saturating_add(advance.most);
        flow.lacks = flow.lacks.or(advance.lacks);
    }
    for (_, amount) in look.block.withdrawals.iter().filter(|(to, _)| *to == own) {
        flow.add_inflow(*amount);
    }
    flow
}

/// Adds ether that a wallet's log reports as received from inside another call, or as paid for an execution.
fn add_logged_ether(look: &Look<'_>, event: &Activity, flow: &mut Flow) {
    let amount = |at: usize| event.deed.args.get(at).and_then(|arg| arg.value.as_uint()).unwrap_or_default();
    let unexplained = event.role == Role::Leaf;
    let contract = look.subject.contract();
    let is_inflow = |signature| contract.has(Property::EtherLogsAddUp) && contract.ether_logs.contains(&signature);
    match (contract.envelope, &*event.deed.signature) {
        (_, signature) if unexplained && is_inflow(signature) => flow.add_inflow(amount(1)),
        (
            Some(Envelope::SafeTransaction),
            "ExecutionSuccess(bytes32,uint256)" | "ExecutionFailure(bytes32,uint256)",
        ) => {
            let Role::Effect { of } = event.role else { return };
            let in_tokens = |call: &Activity| {
                let token = call.deed.args.get(7).and_then(|arg| arg.value.as_address());
                token.is_some_and(|token| !token.is_zero())
            };
            let pays = |call: &&Activity| call.notes.iter().any(|note| matches!(note, Note::Refund(_)));
            if look.activities.get(of).filter(pays).is_some_and(|call| !in_tokens(call)) {
                flow.add_outflow(amount(1));
            }
        }
        _ => {}
    }
}

/// Returns the flow of a token according to its own logs.
fn tokens_moved(look: &Look<'_>, token: Address) -> Flow {
    let own = look.address;
    let mut flow = Flow::default();
    for (tx, log) in logs_of(look, token) {
        if let Some(movement) = Movement::repeated_by_log(tx, log).filter(|movement| !movement.approval) {
            if movement.from == own {
                flow.add_outflow(movement.amount);
            }
            if movement.to == own {
                flow.add_inflow(movement.amount);
            }
        } else if let Some((_, into, amount)) = wrapped_ether(log).filter(|(who, ..)| *who == own) {
            if into { flow.add_inflow(amount) } else { flow.add_outflow(amount) }
        }
    }
    flow
}

/// Returns the amounts minted and burned; for WETH9, whose supply is the ether it holds, the amounts wrapped and
/// unwrapped.
fn supply_flow(look: &Look<'_>) -> Flow {
    let mut flow = Flow::default();
    for (tx, log) in logs_of(look, look.address) {
        if let Some(movement) = Movement::repeated_by_log(tx, log).filter(|movement| !movement.approval) {
            if movement.from.is_zero() {
                flow.add_inflow(movement.amount);
            }
            if movement.to.is_zero() {
                flow.add_outflow(movement.amount);
            }
        } else if let Some((_, into, amount)) = wrapped_ether(log) {
            if into { flow.add_inflow(amount) } else { flow.add_outflow(amount) }
        }
    }
    flow
}

/// Returns the account that wrapped or unwrapped ether, the direction, and the amount.
fn wrapped_ether(log: &Log) -> Option<(Address, bool, U256)> {
    let [topic @ (WRAPPED | UNWRAPPED), who] = log.topics.as_slice() else { return None };
    let amount = log.data.first_chunk::<32>().map(|word| U256::from_be_bytes(*word))?;
    Some((Address::from_word(*who), *topic == WRAPPED, amount))
}

fn logs_of<'a>(look: &'a Look<'_>, token: Address) -> impl Iterator<Item = (&'a Tx, &'a Log)> + 'a {
    let all = look.block.txs.iter().flat_map(|tx| tx.logs.iter().map(move |log| (tx, log)));
    all.filter(move |(_, log)| log.address == token)
}

/// Returns the least and the greatest increase of a nonce, by the observed activity.
///
/// A Safe's nonce grows with each execution. An account's nonce grows with each transaction that it sends, successful
/// or not; with each of its valid authorizations, whose validity the block does not show; and with each contract that
/// it creates by an inner call while it is delegated.
fn nonce_growth(look: &Look<'_>) -> (U256, U256) {
    let own = look.address;
    let count = |n: usize| U256::from(n);
    if look.subject.contract().envelope == Some(Envelope::SafeTransaction) {
        let executions = look.block.txs.iter().flat_map(|tx| &tx.logs);
        let executions = executions.filter(|log| log.address == own && crate::decode::safe::is_execution(log)).count();
        return (count(executions), count(executions));
    }
    let txs = look.block.txs.iter().filter(|tx| tx.from == own).count();
    let acts = look.activities.iter().filter(|activity| activity.watch == look.subject.watch);
    let more = acts.filter(|act| {
        let creates = act.operation == Operation::Create && matches!(act.position, Position::Inside(_));
        matches!(act.position, Position::Authorization(_)) || creates && act.kind == ActivityKind::Act
    });
    (count(txs), count(txs + more.count()))
}
