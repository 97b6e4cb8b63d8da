//! The state of contracts and accounts at one block: by its hash, else by its number while that names the same block.

use super::fetch::is_revert;
use super::intake::BoundedText;
use super::node::Node;
use super::rpc::NodeError;
use crate::model::BlockRef;
use crate::model::read::Read;
use crate::wire;
use alloy_primitives::{B256, Bytes};
use serde_json::{Value, json};
use tracing::debug;

impl Node {
    /// Returns the state after block `at`, or before it if the read requests that. The request names the hash
    /// (EIP-1898), so that a reorg in between causes an error and never returns the state of another block. A node that
    /// does not accept a hash is asked by number.
    ///
    /// # Errors
    /// When the node does not answer, refuses, or has another block at that number ([`NodeError::Missing`]).
    pub(super) async fn read_state(&self, at: BlockRef, read: &Read) -> Result<Bytes, NodeError> {
        let of = match read {
            Read::Before { parent, .. } => BlockRef { number: at.number.saturating_sub(1), hash: *parent },
            _ => at,
        };
        if self.lacks_pinning() {
            return self.state_by_number(of, read).await;
        }
        let told = self.state_at(&json!({ "blockHash": of.hash, "requireCanonical": false }), read).await;
        match told {
            Err(NodeError::Refused { code, message, data }) if refuses_hashes(code, &message, data) => {
                debug!(endpoint = self.name(), "reading state by block number instead of hash: {message}");
                let told = self.state_by_number(of, read).await;
                // If the node refuses this too, the form of the request was not the cause.
                if told.is_ok() {
                    self.note_lack_of_pinning();
                }
                told
            }
            told => told,
        }
    }

    /// Requests state by number, and checks the block's hash before and after. The answer counts only if the node had
    /// this block at that number both times.
    async fn state_by_number(&self, of: BlockRef, read: &Read) -> Result<Bytes, NodeError> {
        let gone = || NodeError::Missing(format!("block {} at its number", of.hash));
        if !self.is_canonical(of).await? {
            return Err(gone());
        }
        let told = self.state_at(&format!("{:#x}", of.number).into(), read).await;
        if self.is_canonical(of).await? { told } else { Err(gone()) }
    }

    async fn state_at(&self, pinned: &Value, read: &Read) -> Result<Bytes, NodeError> {
        let after = self.deadlines().call;
        let quantity = |answer: BoundedText| -> Result<Bytes, NodeError> {
            Ok(wire::parse_quantity(answer.get())?.to_be_bytes_vec().into())
        };
        match read {
            Read::Call { to, data } | Read::Before { to, data, .. } => {
                let call = json!({ "to": to, "data": data });
                Ok(wire::return_data(self.send_request("eth_call", (&call, pinned), after).await?.get())?)
            }
            Read::Storage { of, slot } => {
                let answer = self.send_request("eth_getStorageAt", (of, slot, pinned), after).await?;
                let word = wire::return_data(answer.get())?;
                // Some nodes omit leading zeros.
                let word = word.get(..).filter(|word| word.len() <= 32).ok_or(NodeError::Another)?;
                Ok(B256::left_padding_from(word).into())
            }
            Read::Code(of) => {
                Ok(wire::return_data(self.send_request("eth_getCode", (of, pinned), after).await?.get())?)
            }
            Read::Nonce(of) => quantity(self.send_request("eth_getTransactionCount", (of, pinned), after).await?),
            Read::Balance(of) => quantity(self.send_request("eth_getBalance", (of, pinned), after).await?),
            Read::Grants { .. } | Read::Uses { .. } | Read::UsedOf { .. } | Read::Traces | Read::Trace(_) => {
                Err(NodeError::Another)
            }
        }
    }
}

/// Returns whether the node refuses requests by hash: it reports an object where it expects a number, in the wording of
/// several servers.
fn refuses_hashes(code: i64, message: &str, data: bool) -> bool {
    let message = message.to_ascii_lowercase();
    let words = [
        "unmarshal",
        "invalid argument",
        "invalid param",
        "invalid type",
        "hex string",
        "blockhash",
        "block number",
        "not supported",
        "expected",
        "parse",
        "eip-1898",
        "invalid input",
        "invalid request",
    ];
    !is_revert(code, &message, data)
        && (matches!(code, -32602 | -32600) || words.iter().any(|words| message.contains(words)))
}
