//! Movements of tokens and allowances as recorded in logs, for every supported token standard.
//!
//! In: a log. Out: the token, both parties, the amount, and the views that read the moved value from the token. A token
//! that follows two standards logs one movement twice: its ERC-20 log represents both.
//!
//! Source: EIP-20, EIP-721, EIP-1155, EIP-6909, EIP-777, EIP-223 and ERC-677; AllowanceTransfer.sol of Permit2.

use super::logs::{data_word, log_argument};
use crate::model::{Log, Tx};
use alloy_primitives::{Address, B256, U256, address, b256};

/// `Transfer(address,address,uint256)`: ERC-20 with three topics, ERC-721 with four.
const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// `Approval(address,address,uint256)`: likewise.
const APPROVAL: B256 = b256!("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925");
/// `Transfer(address,address,uint256,bytes)` of ERC-223 and ERC-677: sender, receiver; then the amount. The bytes may
/// be indexed.
const TRANSFER_WITH_DATA: B256 = b256!("e19260aff97b920c7df27010903aeb9c8d2be5d310a2c67824cf3f15396e4c16");

/// `TransferSingle(address,address,address,uint256,uint256)` of ERC-1155: operator, sender, receiver, id, amount.
const TRANSFER_SINGLE: B256 = b256!("c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62");
/// `TransferBatch(address,address,address,uint256[],uint256[])` of ERC-1155.
const TRANSFER_BATCH: B256 = b256!("4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb");
/// `ApprovalForAll(address,address,bool)` of ERC-721 and ERC-1155: everything of a collection, to one operator.
const APPROVAL_FOR_ALL: B256 = b256!("17307eab39ab6107e8899845ad3d59bd9653f200f220920489ca2b5937696c31");

/// `Transfer(address,address,address,uint256,uint256)` of ERC-6909: sender, receiver and id are indexed; then the
/// caller and the amount.
const TRANSFER_OF_ID: B256 = b256!("1b3d7edb2e9c0b0e7c525b20aaaef0f5940d2ed71663c7d39266ecafac728859");
/// `Approval(address,address,uint256,uint256)` of ERC-6909: owner, spender and id are indexed; then the amount.
const APPROVAL_OF_ID: B256 = b256!("b3fd5071835887567a0671151121894ddccc2842f1d10bedad13e0d17cace9a7");
/// `OperatorSet(address,address,bool)` of ERC-6909: owner and operator; then whether the operator is approved.
const OPERATOR_SET: B256 = b256!("ceb576d9f15e4e200fdb5096d64d5dfd667e16def20c1eefd14256d8e3faa267");

/// `Sent(address,address,address,uint256,bytes,bytes)` of ERC-777: operator, sender and receiver; then the amount.
const SENT: B256 = b256!("06b541ddaa720db2b10a4d0cdac39b8d360425fc073085fac19bc82614677987");
/// `Minted(address,address,uint256,bytes,bytes)` of ERC-777: operator and receiver; then the amount.
const MINTED: B256 = b256!("2fe5be0146f74c5bce36c0b80911af6c7d86ff27e89d5cfa61fc681327954e5d");
/// `Burned(address,address,uint256,bytes,bytes)` of ERC-777: operator and holder; then the amount.
const BURNED: B256 = b256!("a78a9be3a7b862d26933ad85fb11d80ef66b8f972d7cbba06621d583943a4098");
/// `AuthorizedOperator(address,address)` of ERC-777: operator and holder.
const AUTHORIZED_OPERATOR: B256 = b256!("f4caeb2d6ca8932a215a353d0703c326ec2d81fc68170f320eb2ab49e9df61f9");
/// `RevokedOperator(address,address)` of ERC-777: likewise.
const REVOKED_OPERATOR: B256 = b256!("50546e66e5f44d728365dc3908c63bc5cfeeab470722c1677e3073a6ac294aa1");

/// Permit2, which is at the same address on every chain. Source: its published deployments.
pub(crate) const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");
/// `Approval(address,address,address,uint160,uint48)` of Permit2: owner, token, spender; then the amount.
const PERMIT2_APPROVAL: B256 = b256!("da9fa7c1b00402c17d0161b249b1ab8bbec047c5a52207b9c112deffd817036b");
/// `Permit(address,address,address,uint160,uint48,uint48)` of Permit2: likewise.
const PERMIT2_PERMIT: B256 = b256!("c6a377bfc4eb120024a8ac08eef205be16b817020812c73223e81d1bdb9708ec");

/// Maximum number of single tokens of one log that are reported individually. A longer list counts as unreadable, with
/// the largest possible amount.
pub(crate) const PIECES_MAX: usize = 256;

/// A log of a token: sender, receiver and amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Movement {
    /// The token: the contract that logs, except for Permit2, which holds allowances of every token.
    pub(crate) token: Address,
    /// True for an allowance, which moves nothing yet.
    pub(crate) approval: bool,
    pub(crate) from: Address,
    pub(crate) to: Address,
    /// Amount in the smallest unit; for tokens with ids, the total number. An unlimited allowance has the largest
    /// possible amount, and so has an amount that cannot be read.
    pub(crate) amount: U256,
    /// The single tokens, where each has an id: ERC-721, ERC-1155 and ERC-6909. Empty for tokens without ids.
    pub(crate) pieces: Vec<Piece>,
    /// Views that read the moved value from the token.
    pub(crate) views: Views,
}

/// Tokens of one id. ERC-721 has one token for each id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) id: U256,
    pub(crate) amount: U256,
}

/// Views of a token that return the value that a log is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Views {
    /// Balance of each holder, allowance of each spender, and approval of each piece: ERC-20, ERC-721, ERC-777.
    Plain,
    /// A balance for each id, and of ERC-6909 an allowance for each id.
    ById,
    /// `isApprovedForAll(address,address)` of ERC-721 and ERC-1155.
    ForAll,
    /// `isOperator(address,address)` of ERC-6909.
    Operator,
    /// `isOperatorFor(address,address)` of ERC-777, which names the operator first.
    OperatorFor,
    /// Allowances of all tokens, kept by Permit2.
    Permit2,
}

impl Movement {
    /// Reads a transfer or an allowance of a token.
    ///
    /// The oldest tokens index fewer parties than the standard requires, so a value that is not in a topic is read from
    /// the data. Data that is too short is extended with zeros, as a contract would read it.
    pub(crate) fn from_log(log: &Log) -> Option<Self> {
        let (from, to) = movement_parties(log)?;
        let topic = log.topics.first()?;
        let word = |word: B256| U256::from_be_bytes(word.0);
        let all = |is_set: bool| (if is_set { U256::MAX } else { U256::ZERO }, vec![]);
        let one = |id: B256, amount: U256| (amount, vec![Piece { id: word(id), amount }]);
        let views = movement_views(topic);
        let (amount, pieces) = match *topic {
            TRANSFER | APPROVAL if log.topics.len() == 4 => one(log.topics[3], U256::ONE),
            TRANSFER_SINGLE => one(data_word(log, 0), word(data_word(log, 1))),
            TRANSFER_OF_ID => one(*log.topics.get(3)?, word(data_word(log, 1))),
            APPROVAL_OF_ID => one(*log.topics.get(3)?, word(data_word(log, 0))),
            TRANSFER_BATCH => match decode_batch(log) {
                Some(pieces) => (pieces.iter().fold(U256::ZERO, |sum, piece| sum.saturating_add(piece.amount)), pieces),
                None => (U256::MAX, vec![]),
            },
            APPROVAL_FOR_ALL | OPERATOR_SET => all(!data_word(log, 0).is_zero()),
            AUTHORIZED_OPERATOR => all(true),
            REVOKED_OPERATOR => all(false),
            PERMIT2_APPROVAL | PERMIT2_PERMIT | SENT | MINTED | BURNED | TRANSFER_WITH_DATA => {
                (word(data_word(log, 0)), vec![])
            }
            _ => (word(log_argument(log, 2)), vec![]),
        };
        let token = if views == Views::Permit2 { Address::from_word(log_argument(log, 1)) } else { log.address };
        let is_operator = matches!(views, Views::ForAll | Views::Operator | Views::OperatorFor | Views::Permit2);
        let approval = is_operator || matches!(*topic, APPROVAL | APPROVAL_OF_ID);
        Some(Self { token, approval, from, to, amount, pieces, views })
    }

    /// Returns the same, except for a log that only repeats the adjacent ERC-20 log in the form of another standard.
    pub(crate) fn repeated_by_log(tx: &Tx, log: &Log) -> Option<Self> {
        Self::from_log(log).filter(|_| !is_echo(tx, log))
    }
}

/// Returns whether an ERC-20 log of the same movement stands beside this log.
///
/// Source: ERC777.sol of OpenZeppelin 2 to 4 logs `Sent`, `Minted` or `Burned`, immediately followed by `Transfer`;
/// ERC677Token.sol of LinkToken logs the transfer with data immediately after the one without, and tokens of ERC-223 in
/// either order.
pub(crate) fn is_echo(tx: &Tx, log: &Log) -> bool {
    let is_like = |ordinal: Option<u32>| {
        let beside = ordinal.and_then(|ordinal| tx.logs.get(ordinal as usize));
        beside.filter(|beside| beside.address == log.address && beside.topics.first() == Some(&TRANSFER)).is_some_and(
            |beside| {
                let face =
                    |log: &Log| Movement::from_log(log).map(|it| (it.from, it.to, it.amount, it.pieces.is_empty()));
                face(beside) == face(log)
            },
        )
    };
    match log.topics.first() {
        Some(&(SENT | MINTED | BURNED)) => is_like(log.ordinal.checked_add(1)),
        Some(&TRANSFER_WITH_DATA) => is_like(log.ordinal.checked_sub(1)) || is_like(log.ordinal.checked_add(1)),
        _ => false,
    }
}

fn movement_views(topic: &B256) -> Views {
    match *topic {
        TRANSFER_SINGLE | TRANSFER_BATCH | TRANSFER_OF_ID | APPROVAL_OF_ID => Views::ById,
        APPROVAL_FOR_ALL => Views::ForAll,
        OPERATOR_SET => Views::Operator,
        AUTHORIZED_OPERATOR | REVOKED_OPERATOR => Views::OperatorFor,
        PERMIT2_APPROVAL | PERMIT2_PERMIT => Views::Permit2,
        _ => Views::Plain,
    }
}

/// Returns the giving and the receiving party.
pub(crate) fn movement_parties(log: &Log) -> Option<(Address, Address)> {
    let (from, to) = match log.topics.as_slice() {
        [TRANSFER | APPROVAL, ..] => (log_argument(log, 0), log_argument(log, 1)),
        [TRANSFER_WITH_DATA, from, to, ..] => (*from, *to),
        [TRANSFER_SINGLE | TRANSFER_BATCH | SENT, _, from, to] => (*from, *to),
        [TRANSFER_OF_ID | APPROVAL_OF_ID, from, to, _] => (*from, *to),
        [APPROVAL_FOR_ALL | OPERATOR_SET, owner, operator] => (*owner, *operator),
        [AUTHORIZED_OPERATOR | REVOKED_OPERATOR, operator, holder] => (*holder, *operator),
        [MINTED, _, to] => (B256::ZERO, *to),
        [BURNED, _, from] => (*from, B256::ZERO),
        [PERMIT2_APPROVAL | PERMIT2_PERMIT, owner, _, spender] if log.address == PERMIT2 => (*owner, *spender),
        _ => return None,
    };
    Some((Address::from_word(from), Address::from_word(to)))
}

/// Returns the ids and amounts of a batch, where its data is laid out as an encoder would and names as many amounts as
/// ids.
fn decode_batch(log: &Log) -> Option<Vec<Piece>> {
    let (ids, amounts) = (data_list(log, 0)?, data_list(log, 1)?);
    let pieces = ids.iter().zip(&amounts).map(|(id, amount)| Piece { id: *id, amount: *amount });
    (ids.len() == amounts.len()).then(|| pieces.collect())
}

/// Returns the list of numbers in the `nth` argument of the data, if it is within the limit of reported pieces.
fn data_list(log: &Log, nth: usize) -> Option<Vec<U256>> {
    let place = |word: U256| usize::try_from(word).ok().filter(|at| *at <= log.data.len());
    let list = log.data.get(place(U256::from_be_bytes(data_word(log, nth).0))?..)?;
    let len = usize::try_from(U256::from_be_slice(list.get(..32)?)).ok().filter(|len| *len <= PIECES_MAX)?;
    let words = list.get(32..32 + len * 32)?;
    Some(words.chunks_exact(32).map(U256::from_be_slice).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Bytes, keccak256};

    const GIVER: Address = Address::repeat_byte(0xa1);
    const GETTER: Address = Address::repeat_byte(0xb2);
    const BY: Address = Address::repeat_byte(0xc3);

    fn log(signature: &str, topics: &[B256], data: &[u64]) -> Log {
        let topics = [&[keccak256(signature)], topics].concat();
        let data: Vec<u8> = data.iter().flat_map(|word| U256::from(*word).to_be_bytes::<32>()).collect();
        Log { address: Address::repeat_byte(0xee), topics, data: Bytes::from(data), ordinal: 0 }
    }

    /// Checks each event of each standard: its parties, its amounts, and the views of the token.
    #[test]
    fn every_event_of_every_standard_names_both_parties() {
        let [giver, getter, by] = [GIVER, GETTER, BY].map(|who| who.into_word());
        let id = B256::from(U256::from(7));
        let (all, none) = (U256::MAX, U256::ZERO);
        let five = U256::from(5);
        let cases = [
            (log("Transfer(address,address,uint256)", &[giver, getter], &[5]), false, five, None, Views::Plain),
            (
                log("Transfer(address,address,uint256)", &[giver, getter, id], &[]),
                false,
                U256::ONE,
                Some(7),
                Views::Plain,
            ),
            (log("Approval(address,address,uint256)", &[giver, getter], &[5]), true, five, None, Views::Plain),
            (
                log("Transfer(address,address,uint256,bytes)", &[giver, getter], &[5, 64, 0]),
                false,
                five,
                None,
                Views::Plain,
            ),
            (
                log("Transfer(address,address,uint256,bytes)", &[giver, getter, id], &[5]),
                false,
                five,
                None,
                Views::Plain,
            ),
            (
                log("TransferSingle(address,address,address,uint256,uint256)", &[by, giver, getter], &[7, 5]),
                false,
                five,
                Some(7),
                Views::ById,
            ),
            (
                log(
                    "TransferBatch(address,address,address,uint256[],uint256[])",
                    &[by, giver, getter],
                    &[64, 128, 1, 7, 1, 5],
                ),
                false,
                five,
                Some(7),
                Views::ById,
            ),
            (log("ApprovalForAll(address,address,bool)", &[giver, getter], &[1]), true, all, None, Views::ForAll),
            (
                log("Transfer(address,address,address,uint256,uint256)", &[giver, getter, id], &[9, 5]),
                false,
                five,
                Some(7),
                Views::ById,
            ),
            (
                log("Approval(address,address,uint256,uint256)", &[giver, getter, id], &[5]),
                true,
                five,
                Some(7),
                Views::ById,
            ),
            (log("OperatorSet(address,address,bool)", &[giver, getter], &[1]), true, all, None, Views::Operator),
            (log("OperatorSet(address,address,bool)", &[giver, getter], &[0]), true, none, None, Views::Operator),
            (
                log("Sent(address,address,address,uint256,bytes,bytes)", &[by, giver, getter], &[5, 96, 128, 0, 0]),
                false,
                five,
                None,
                Views::Plain,
            ),
            (log("AuthorizedOperator(address,address)", &[getter, giver], &[]), true, all, None, Views::OperatorFor),
            (log("RevokedOperator(address,address)", &[getter, giver], &[]), true, none, None, Views::OperatorFor),
        ];
        for (log, approval, amount, id, views) in cases {
            let read = Movement::from_log(&log).unwrap_or_else(|| panic!("{log:?} is a movement"));
            let ids: Vec<U256> = read.pieces.iter().map(|piece| piece.id).collect();
            assert_eq!((read.from, read.to, read.approval, read.amount), (GIVER, GETTER, approval, amount), "{log:?}");
            assert_eq!((ids, read.views), (id.map(U256::from).into_iter().collect(), views), "{log:?}");
        }
        let minted = log("Minted(address,address,uint256,bytes,bytes)", &[by, getter], &[5]);
        let burned = log("Burned(address,address,uint256,bytes,bytes)", &[by, giver], &[5]);
        for (log, from, to) in [(minted, Address::ZERO, GETTER), (burned, GIVER, Address::ZERO)] {
            let read = Movement::from_log(&log).expect("a movement");
            assert_eq!((read.from, read.to, read.amount), (from, to, five));
        }
    }
}
