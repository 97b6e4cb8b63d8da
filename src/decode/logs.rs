//! Logs become activities: what a subject says, and what tokens say of it.

use super::frames::{Frame, Shape};
use super::versions::Codes;
use super::{Subject, Subjects, activities, deed, effects, told};
use crate::abi::Budget;
use crate::abi::budget::{BYTES_MAX, DEPTH_MAX, NODES_MAX};
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind, Deed, Fate, Kind, Log, Operation, Position, Role, Stage, Tx, WatchId};
use alloy_primitives::map::HashMap;
use alloy_primitives::{Address, B256, U256, address, b256};

/// `Transfer(address,address,uint256)`: ERC-20 with three topics, ERC-721 with four.
pub(crate) const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// `Approval(address,address,uint256)`: likewise.
pub(crate) const APPROVAL: B256 = b256!("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925");

/// `TransferSingle(address,address,address,uint256,uint256)` of ERC-1155: operator, giver, receiver, id, amount.
const TRANSFER_SINGLE: B256 = b256!("c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62");
/// `TransferBatch(address,address,address,uint256[],uint256[])` of ERC-1155.
const TRANSFER_BATCH: B256 = b256!("4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb");
/// `ApprovalForAll(address,address,bool)` of ERC-721 and ERC-1155: everything of a collection, to one operator.
const APPROVAL_FOR_ALL: B256 = b256!("17307eab39ab6107e8899845ad3d59bd9653f200f220920489ca2b5937696c31");

/// Permit2, which is at the same address on every chain. Source: its published deployments.
pub(crate) const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");
/// `Approval(address,address,address,uint160,uint48)` of Permit2: owner, token, spender; then the amount.
const PERMIT2_APPROVAL: B256 = b256!("da9fa7c1b00402c17d0161b249b1ab8bbec047c5a52207b9c112deffd817036b");
/// `Permit(address,address,address,uint160,uint48,uint48)` of Permit2: likewise.
const PERMIT2_PERMIT: B256 = b256!("c6a377bfc4eb120024a8ac08eef205be16b817020812c73223e81d1bdb9708ec");

/// Whether a log is by a subject, or a transfer or approval that names one.
pub(crate) fn concerns(log: &Log, subjects: &Subjects) -> bool {
    subjects.get(&log.address).is_some()
        || !subjects.names_of(log).is_empty()
        || parties(log).is_some_and(|(a, b)| subjects.get(&a).is_some() || subjects.get(&b).is_some())
}

/// Arguments that an ordinary event has at most.
const NODES_OF_A_LOG: usize = 8;

/// Appends an activity per log and subject, and joins it to the act that explains it.
///
/// A subject that emits a log hears of it once, as its own event, even where the log names it too.
pub(crate) fn read(frames: &[Frame], tx: &Tx, subjects: &Subjects, codes: &Codes<'_>, out: &mut Vec<Activity>) {
    // An airdrop writes thousands of honest logs; each has room for its arguments, and no more in all than the data pays for.
    let nodes = NODES_MAX.saturating_add(u32::try_from(tx.logs.len() * NODES_OF_A_LOG).unwrap_or(u32::MAX));
    let mut budget = Budget::new(nodes, DEPTH_MAX, BYTES_MAX);
    let mut explainer = effects::Explainer::new(frames, tx, out);
    let mut spoken: Vec<(usize, usize)> = Vec::new();
    let of_log = |(index, frame): (usize, &Frame)| match &frame.shape {
        Shape::Told(saying) => Some((saying.ordinal, index)),
        _ => None,
    };
    let telling: HashMap<u32, usize> = frames.iter().enumerate().filter_map(of_log).collect();
    for log in &tx.logs {
        if !concerns(log, subjects) {
            continue;
        }
        if let Some(subject) = subjects.get(&log.address) {
            let ran = codes.at_log(&log.address, tx, log.ordinal);
            let deed = match ran.and_then(|ran| ran.abi()) {
                Some(abi) => deed::of_log_by(abi, subject, log, &mut budget),
                None => deed::of_log(subjects, log, &mut budget),
            };
            let mut event = from_log(subject.watch, ActivityKind::Event, log, tx, deed);
            event.from = log.address;
            let said = telling.get(&log.ordinal).copied();
            if let Some(of) = explainer.explain(&event, log) {
                event.role = Role::Effect { of };
            } else if let Some(said) = said {
                // Nobody's call can be seen that made the wallet say so: the log itself carries what it tells of.
                event.role = Role::Envelope { carries: activities::carried(frames, said, subject.watch, out) };
                event.notes.clone_from(&frames[said].notes);
                spoken.push((said, out.len()));
            } else if let Some(of) = beside(&spoken, frames, &event) {
                event.role = Role::Effect { of };
            } else if let Some(of) = within(subject, log, frames, out) {
                event.role = Role::Effect { of };
                event.notes.push(Note::Logged);
            }
            out.push(event);
        }
        for name in subjects.names_of(log) {
            let Some(subject) = subjects.get(&name) else { continue };
            let deed = deed::of_log(subjects, log, &mut budget);
            out.push(from_log(subject.watch, ActivityKind::Event, log, tx, deed));
        }
        let Some(movement) = Movement::of(log) else { continue };
        let mut told: Option<WatchId> = None;
        for party in [movement.from, movement.to] {
            let Some(subject) = subjects.get(&party).filter(|_| party != log.address) else { continue };
            if told == Some(subject.watch) {
                continue;
            }
            told = Some(subject.watch);
            let mut moved =
                from_log(subject.watch, ActivityKind::Move, log, tx, deed::movement(movement.token, &movement));
            moved.from = movement.from;
            moved.to = Some(movement.to);
            if party == movement.from
                && let Some(of) = explainer.explain(&moved, log)
            {
                moved.role = Role::Effect { of };
            }
            out.push(moved);
        }
    }
}

/// The call to a contract in which it must have written its log: the transaction's own, or, where a trace shows every call there was, the
/// first of them.
///
/// Of a wallet, of a token, and of what governs others every log has to be explained by its words.
fn within(subject: &Subject, log: &Log, frames: &[Frame], out: &[Activity]) -> Option<usize> {
    if !matches!(subject.kind, Kind::Contract | Kind::Proxy | Kind::Ownable | Kind::AccessControl) {
        return None;
    }
    let called = |frame: &&Frame| {
        let own = frame.target == Some(log.address) && frame.caller != log.address;
        own && frame.operation == Operation::Call && frame.fate == Fate::Executed
    };
    let is_traced = frames.first().is_some_and(|frame| frame.seen.is_some());
    let mut seen = frames.iter().take(if is_traced { frames.len() } else { 1 });
    activities::called(seen.find(called)?, out)
}

/// The log of the same operation that this one goes with.
fn beside(spoken: &[(usize, usize)], frames: &[Frame], event: &Activity) -> Option<usize> {
    let belongs = |said: usize| match &frames[said].shape {
        Shape::Told(saying) => frames[said].target == Some(event.from) && told::goes_with(saying, &event.deed),
        _ => false,
    };
    spoken.iter().find(|(said, _)| belongs(*said)).map(|(_, of)| *of)
}

pub(crate) fn from_log(watch: WatchId, kind: ActivityKind, log: &Log, tx: &Tx, deed: Deed) -> Activity {
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

/// Single tokens of one log that are told one by one. A list that is longer counts as one that cannot be read: as much as can be.
const PIECES_MAX: usize = 256;

/// What a log says of a token: who gives, who gets, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Movement {
    /// The token: who logs it, but for Permit2, which holds allowances of every token.
    pub(crate) token: Address,
    /// Whether it is an allowance, which moves nothing yet.
    pub(crate) approval: bool,
    pub(crate) from: Address,
    pub(crate) to: Address,
    /// In the smallest unit; of tokens with ids how many in all. An allowance for everything is as large as can be, and so is what
    /// cannot be read.
    pub(crate) amount: U256,
    /// Which tokens, where each has an id: ERC-721 and ERC-1155. Empty where they have none.
    pub(crate) pieces: Vec<Piece>,
}

/// Tokens of one id. Of ERC-721 there is one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) id: U256,
    pub(crate) amount: U256,
}

impl Movement {
    /// Reads a transfer or an allowance of ERC-20, ERC-721 or ERC-1155.
    ///
    /// The oldest tokens index fewer parties than the standard says, so what is not in a topic is read from the data. Short data
    /// reads as zeros behind it, as a contract would read it.
    pub(crate) fn of(log: &Log) -> Option<Self> {
        let (from, to) = parties(log)?;
        let topic = log.topics.first()?;
        let word = |word: B256| U256::from_be_bytes(word.0);
        let (amount, pieces) = match *topic {
            TRANSFER | APPROVAL if log.topics.len() == 4 => {
                (U256::ONE, vec![Piece { id: word(log.topics[3]), amount: U256::ONE }])
            }
            TRANSFER_SINGLE => {
                let piece = Piece { id: word(data_word(log, 0)), amount: word(data_word(log, 1)) };
                (piece.amount, vec![piece])
            }
            TRANSFER_BATCH => match batch(log) {
                Some(pieces) => (pieces.iter().fold(U256::ZERO, |sum, piece| sum.saturating_add(piece.amount)), pieces),
                None => (U256::MAX, vec![]),
            },
            APPROVAL_FOR_ALL if data_word(log, 0).is_zero() => (U256::ZERO, vec![]),
            APPROVAL_FOR_ALL => (U256::MAX, vec![]),
            PERMIT2_APPROVAL | PERMIT2_PERMIT => (word(data_word(log, 0)), vec![]),
            _ => (word(argument(log, 2)), vec![]),
        };
        let permit2 = matches!(*topic, PERMIT2_APPROVAL | PERMIT2_PERMIT);
        let token = if permit2 { Address::from_word(argument(log, 1)) } else { log.address };
        let approval = permit2 || matches!(*topic, APPROVAL | APPROVAL_FOR_ALL);
        Some(Self { token, approval, from, to, amount, pieces })
    }
}

/// Whether the token that logs this keeps a balance for each id: ERC-1155.
pub(crate) fn counts_by_id(log: &Log) -> bool {
    matches!(log.topics.first(), Some(&(TRANSFER_SINGLE | TRANSFER_BATCH)))
}

/// Whether a log is about an operator for everything of a collection.
pub(crate) fn is_for_all(log: &Log) -> bool {
    log.topics.first() == Some(&APPROVAL_FOR_ALL)
}

/// Who gives and who gets.
fn parties(log: &Log) -> Option<(Address, Address)> {
    let (from, to) = match log.topics.as_slice() {
        [TRANSFER | APPROVAL, ..] => (argument(log, 0), argument(log, 1)),
        [TRANSFER_SINGLE | TRANSFER_BATCH, _, from, to] => (*from, *to),
        [APPROVAL_FOR_ALL, owner, operator] => (*owner, *operator),
        [PERMIT2_APPROVAL | PERMIT2_PERMIT, owner, _, spender] if log.address == PERMIT2 => (*owner, *spender),
        _ => return None,
    };
    Some((Address::from_word(from), Address::from_word(to)))
}

/// The `nth` argument of a log whose indexed arguments come first.
pub(crate) fn argument(log: &Log, nth: usize) -> B256 {
    let indexed = log.topics.len().saturating_sub(1);
    log.topics.get(nth + 1).copied().unwrap_or_else(|| data_word(log, nth.saturating_sub(indexed)))
}

fn data_word(log: &Log, nth: usize) -> B256 {
    let rest = log.data.get(nth * 32..).unwrap_or_default();
    B256::right_padding_from(&rest[..rest.len().min(32)])
}

/// Which tokens a batch moves and how many of each, where its data is laid out as an encoder would and names as many amounts as ids.
fn batch(log: &Log) -> Option<Vec<Piece>> {
    let (ids, amounts) = (data_list(log, 0)?, data_list(log, 1)?);
    let pieces = ids.iter().zip(&amounts).map(|(id, amount)| Piece { id: *id, amount: *amount });
    (ids.len() == amounts.len()).then(|| pieces.collect())
}

/// The list of numbers that the `nth` argument in the data is, if it is no longer than what is told.
fn data_list(log: &Log, nth: usize) -> Option<Vec<U256>> {
    let place = |word: U256| usize::try_from(word).ok().filter(|at| *at <= log.data.len());
    let list = log.data.get(place(U256::from_be_bytes(data_word(log, nth).0))?..)?;
    let len = usize::try_from(U256::from_be_slice(list.get(..32)?)).ok().filter(|len| *len <= PIECES_MAX)?;
    let words = list.get(32..32 + len * 32)?;
    Some(words.chunks_exact(32).map(U256::from_be_slice).collect())
}
