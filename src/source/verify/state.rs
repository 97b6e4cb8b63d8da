//! Checks of a node's statements about an account against a state root. Source: the Yellow Paper, 4.1 and appendix D;
//! EIP-1186.

use super::{Flaw, rlp};
use crate::wire::{AccountProof, TrieNode};
use alloy_primitives::{Address, B256, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::proof::verify_proof;
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, Nibbles};

/// Returns whether the proof begins at this state root. A proof that begins elsewhere belongs to another block: it
/// proves nothing, not even a false answer.
pub fn is_of(root: B256, proof: &AccountProof) -> bool {
    proof.nodes.first().map_or(root == EMPTY_ROOT_HASH, |TrieNode(node)| keccak256(node) == root)
}

/// Verifies an account, and its values at `slots`, against the state root of a block. Each value follows from the root,
/// or there is a [`Flaw`]. This includes absent values.
pub fn prove_account(root: B256, of: Address, slots: &[B256], proof: &AccountProof) -> Result<(), Flaw> {
    let flaw = |what| Flaw::State { of, what };
    // For an empty account or storage, nodes write zero, or the hash of the empty value.
    let or_of_nothing = |hash: B256, nothing: B256| if hash.is_zero() { nothing } else { hash };
    let storage_root = or_of_nothing(proof.storage_hash, EMPTY_ROOT_HASH);
    let code_hash = or_of_nothing(proof.code_hash, KECCAK_EMPTY);
    let has_nothing = storage_root == EMPTY_ROOT_HASH && code_hash == KECCAK_EMPTY;
    let is_nothing = has_nothing && proof.nonce == 0 && proof.balance.is_zero();
    let mut account = Vec::with_capacity(128);
    rlp::encode_list(&mut account, |out| {
        proof.nonce.encode(out);
        proof.balance.encode(out);
        storage_root.encode(out);
        code_hash.encode(out);
    });
    let nodes = || proof.nodes.iter().map(|TrieNode(node)| node);
    let there = || verify_proof(root, trie_path(of), Some(account.clone()), nodes()).is_ok();
    // An empty account may still be in the trie, on chains older than EIP-161.
    let absent = || is_nothing && verify_proof(root, trie_path(of), None, nodes()).is_ok();
    if !absent() && !there() {
        return Err(flaw("account"));
    }
    if proof.slots.len() != slots.len() {
        return Err(flaw("storage"));
    }
    for (slot, told) in slots.iter().zip(&proof.slots) {
        let holds = |value| {
            let nodes = told.nodes.iter().map(|TrieNode(node)| node);
            verify_proof(storage_root, trie_path(slot), value, nodes).is_ok()
        };
        // A zero value is stored by omitting the slot. Anvil keeps slots that were reset to zero, which means the same.
        let is_shown = holds(Some(alloy_rlp::encode(told.value))) || (told.value.is_zero() && holds(None));
        if !is_shown {
            return Err(flaw("storage"));
        }
    }
    Ok(())
}

/// Returns the position of a key in a trie.
fn trie_path(key: impl AsRef<[u8]>) -> Nibbles {
    Nibbles::unpack(keccak256(key))
}
