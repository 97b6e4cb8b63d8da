//! What `eth_getProof` answers. Source: EIP-1186.

use super::{ParseError, hex, json};
use alloy_primitives::{B256, Bytes, U256};
use serde::Deserialize;

/// An account and some of its storage as a node tells them, with the nodes of the tries that should show it. Nothing of it is held
/// against a root yet.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountProof {
    /// Transactions sent; of a contract, contracts created, from 1.
    #[serde(deserialize_with = "hex::number")]
    pub nonce: u64,
    /// In wei.
    #[serde(deserialize_with = "hex::quantity")]
    pub balance: U256,
    /// Of nothing, or zero, where there is no code.
    #[serde(deserialize_with = "hex::hash")]
    pub code_hash: B256,
    /// Root of its storage; that of an empty trie, or zero, where there is none.
    #[serde(deserialize_with = "hex::hash")]
    pub storage_hash: B256,
    /// From the state root down to the account.
    #[serde(rename = "accountProof")]
    pub nodes: Vec<TrieNode>,
    /// In the order in which they were asked for.
    #[serde(rename = "storageProof")]
    pub slots: Vec<SlotProof>,
}

/// One storage slot. Its key is not read: nodes write it in different ways, and the order says which it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SlotProof {
    /// What it holds.
    #[serde(deserialize_with = "hex::quantity")]
    pub value: U256,
    /// From the storage root down to the slot.
    #[serde(rename = "proof")]
    pub nodes: Vec<TrieNode>,
}

/// An encoded node of a trie.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TrieNode(#[serde(deserialize_with = "hex::bytes")] pub Bytes);

/// The answer of `eth_getProof`. Not checked: that any of it is true.
pub fn account_proof(answer: &str) -> Result<AccountProof, ParseError> {
    json("proof", answer)
}
