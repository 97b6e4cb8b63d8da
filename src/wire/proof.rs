//! Response to `eth_getProof`. Source: EIP-1186.

use super::{ParseError, hex, parse_json};
use alloy_primitives::{B256, Bytes, U256};
use serde::Deserialize;

/// An account and some of its storage as reported by a node, with the trie nodes that should prove them. Not yet
/// verified against a root.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountProof {
    /// Number of transactions sent; for a contract, of contracts created, from 1.
    #[serde(deserialize_with = "hex::deserialize_u64")]
    pub nonce: u64,
    /// Balance in wei.
    #[serde(deserialize_with = "hex::deserialize_quantity")]
    pub balance: U256,
    /// Hash of the code; where there is no code, the hash of no bytes, or zero.
    #[serde(deserialize_with = "hex::hash")]
    pub code_hash: B256,
    /// Root of its storage; where there is none, the root of an empty trie, or zero.
    #[serde(deserialize_with = "hex::hash")]
    pub storage_hash: B256,
    /// Trie nodes from the state root down to the account.
    #[serde(rename = "accountProof")]
    pub nodes: Vec<TrieNode>,
    /// Slots in the order in which they were requested.
    #[serde(rename = "storageProof")]
    pub slots: Vec<SlotProof>,
}

/// A storage slot. Its key is not read, since nodes write it in different ways; the order identifies the slot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SlotProof {
    /// Value of the slot.
    #[serde(deserialize_with = "hex::deserialize_quantity")]
    pub value: U256,
    /// Trie nodes from the storage root down to the slot.
    #[serde(rename = "proof")]
    pub nodes: Vec<TrieNode>,
}

/// An encoded node of a trie.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TrieNode(#[serde(deserialize_with = "hex::deserialize_bytes")] pub Bytes);

/// Parses the response to `eth_getProof`. Not checked: that any of the data is true.
pub fn account_proof(answer: &str) -> Result<AccountProof, ParseError> {
    parse_json("proof", answer)
}
