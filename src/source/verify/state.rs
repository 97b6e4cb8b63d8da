//! What a node says of an account, held against a state root. Source: the Yellow Paper, 4.1 and appendix D; EIP-1186.

use super::{Flaw, rlp};
use crate::model::parse::{AccountProof, TrieNode};
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::proof::verify_proof;
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, Nibbles};

/// Whether the proof begins at this state root. One that does not is of another block: it shows nothing, not even a lie.
pub fn is_of(root: B256, proof: &AccountProof) -> bool {
    proof.nodes.first().map_or(root == EMPTY_ROOT_HASH, |TrieNode(node)| keccak256(node) == root)
}

/// Holds an account, and what it keeps at `slots`, against the state root of a block. Each value follows from the root, or there is a
/// [`Flaw`]: one that is said to be nothing as well.
pub fn prove_account(root: B256, of: Address, slots: &[B256], proof: &AccountProof) -> Result<(), Flaw> {
    let flaw = |what| Flaw::State { of, what };
    // Where there is nothing, nodes write zero, or the hash of nothing.
    let or_of_nothing = |hash: B256, nothing: B256| if hash.is_zero() { nothing } else { hash };
    let storage_root = or_of_nothing(proof.storage_hash, EMPTY_ROOT_HASH);
    let code_hash = or_of_nothing(proof.code_hash, KECCAK_EMPTY);
    let has_nothing = storage_root == EMPTY_ROOT_HASH && code_hash == KECCAK_EMPTY;
    let is_nothing = has_nothing && proof.nonce == 0 && proof.balance.is_zero();
    let mut account = Vec::with_capacity(128);
    rlp::list(&mut account, |out| {
        proof.nonce.encode(out);
        proof.balance.encode(out);
        storage_root.encode(out);
        code_hash.encode(out);
    });
    let nodes = || proof.nodes.iter().map(|TrieNode(node)| node);
    let there = || verify_proof(root, place(of), Some(account.clone()), nodes()).is_ok();
    // An account without anything may stand in the trie all the same, on chains older than EIP-161.
    let absent = || is_nothing && verify_proof(root, place(of), None, nodes()).is_ok();
    if !absent() && !there() {
        return Err(flaw("account"));
    }
    if proof.slots.len() != slots.len() {
        return Err(flaw("storage"));
    }
    for (slot, told) in slots.iter().zip(&proof.slots) {
        let value = (told.value != U256::ZERO).then(|| alloy_rlp::encode(told.value));
        let nodes = told.nodes.iter().map(|TrieNode(node)| node);
        verify_proof(storage_root, place(slot), value, nodes).map_err(|_| flaw("storage"))?;
    }
    Ok(())
}

/// Where a key stands in a trie.
fn place(key: impl AsRef<[u8]>) -> Nibbles {
    Nibbles::unpack(keccak256(key))
}
