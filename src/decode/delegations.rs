//! Authorizations of EIP-7702, by which an account lets a contract's code run as its own. They take effect even where
//! the transaction reverts.
//!
//! Source: EIP-7702: authority = ecrecover(keccak(0x05 || rlp([chain_id, address, nonce])), y_parity, r, s).

use super::{Subjects, decoded_call};
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind, Authorization, Fate, Operation, Position, Role, Stage, Tx};
use alloy_primitives::{Address, B256, Signature, U256, keccak256};

/// Maximum number of authorizations recovered in one transaction. Each costs 25,000 gas in advance (EIP-7702), so that
/// no block has room for more. Recovery of one costs 175 µs.
const AUTHORIZATIONS_MAX: usize = 4096;

/// An account that signed an authorization for this chain. A block does not show whether the nonce matched the
/// account's, so the authorization may not be in effect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delegation {
    /// Index of the transaction that contains it.
    pub(crate) tx: u32,
    /// Place in that transaction's list.
    place: u16,
    /// Account that signed the delegation.
    pub(crate) authority: Address,
    /// Address whose code is to run; zero ends the delegation.
    code: Address,
}

/// Returns every account that signed an authorization contained in `txs`, in their order.
pub(crate) fn recover_delegations(txs: &[Tx], subjects: &Subjects) -> Vec<Delegation> {
    if subjects.is_empty() {
        return Vec::new();
    }
    let chain = U256::from(subjects.chain.0);
    let listed = |tx: &Tx| {
        let index = tx.index;
        let signed = (0..).zip(&tx.authorizations).take(AUTHORIZATIONS_MAX);
        let here = signed.filter(|(_, one)| one.chain_id.is_zero() || one.chain_id == chain);
        let known = here.filter_map(|(place, one)| {
            Some(Delegation { tx: index, place, authority: recover_authority(one)?, code: one.address })
        });
        known.collect::<Vec<_>>()
    };
    txs.iter().flat_map(listed).collect()
}

/// Appends the authorizations that watched accounts signed in `tx`.
pub(crate) fn append_delegations(delegations: &[Delegation], tx: &Tx, subjects: &Subjects, out: &mut Vec<Activity>) {
    for delegation in delegations.iter().filter(|delegation| delegation.tx == tx.index) {
        let Some(subject) = subjects.get(&delegation.authority) else { continue };
        out.push(Activity {
            watch: subject.watch,
            kind: ActivityKind::Act,
            stage: Stage::Included,
            fate: Fate::Executed,
            tx: tx.hash,
            tx_index: tx.index,
            position: Position::Authorization(delegation.place),
            from: delegation.authority,
            origin: tx.from,
            to: Some(delegation.code),
            value: U256::ZERO,
            deed: decoded_call::delegation_authorization(delegation.code),
            operation: Operation::Call,
            signers: Some(vec![delegation.authority]),
            via: vec![],
            role: Role::Leaf,
            notes: vec![Note::Delegation],
        });
    }
}

fn recover_authority(authorization: &Authorization) -> Option<Address> {
    let mut list = Vec::with_capacity(64);
    rlp_uint(&mut list, authorization.chain_id);
    list.push(0x80 + 20);
    list.extend_from_slice(authorization.address.as_slice());
    rlp_uint(&mut list, U256::from(authorization.nonce));
    // The content is at most 33 + 21 + 9 bytes, so the RLP list is short or has a one-byte length.
    let mut message = vec![0x05];
    match u8::try_from(list.len()).ok()? {
        len @ 0..=55 => message.push(0xc0 + len),
        len => message.extend_from_slice(&[0xf8, len]),
    }
    message.extend_from_slice(&list);
    let hash: B256 = keccak256(message);
    Signature::new(authorization.r, authorization.s, authorization.y_parity).recover_address_from_prehash(&hash).ok()
}

fn rlp_uint(out: &mut Vec<u8>, number: U256) {
    let bytes = number.to_be_bytes_trimmed_vec();
    match bytes.as_slice() {
        [byte @ 0..=0x7f] if *byte != 0 => out.push(*byte),
        [] | [0] => out.push(0x80),
        bytes => {
            // At most 32 bytes.
            out.push(0x80 + u8::try_from(bytes.len()).unwrap_or(32));
            out.extend_from_slice(bytes);
        }
    }
}
