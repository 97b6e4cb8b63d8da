//! Past transactions in which an account used a token, according to the token's logs and the transactions.
//!
//! Any token contract can log transfers and allowances of any account. A log therefore counts only if its transaction
//! was sent by the account or to it: no other account can send the former, and a contract that is called directly
//! decides itself which tokens it calls. Input: an account and a token. Output: whether such a transaction exists. The
//! answer of a single node is trusted; logs that it omits can lower the severity of a finding but never suppress it.

use super::intake::BoundedText;
use super::node::Node;
use super::role_members::{TOO_MUCH, is_said};
use super::rpc::NodeError;
use crate::wire;
use alloy_primitives::{Address, B256, Bytes, U256, b256};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// `Transfer(address,address,uint256)`, `Approval(address,address,uint256)` and `ApprovalForAll(address,address,bool)`: EIP-20, EIP-721.
const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
const APPROVAL: B256 = b256!("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925");
const APPROVAL_FOR_ALL: B256 = b256!("17307eab39ab6107e8899845ad3d59bd9653f200f220920489ca2b5937696c31");
/// `Transfer(address,address,uint256,bytes)`: EIP-223, ERC-677.
const TRANSFER_WITH_DATA: B256 = b256!("e19260aff97b920c7df27010903aeb9c8d2be5d310a2c67824cf3f15396e4c16");
/// `TransferSingle` and `TransferBatch` of EIP-1155, whose first topic is the operator.
const TRANSFER_SINGLE: B256 = b256!("c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62");
const TRANSFER_BATCH: B256 = b256!("4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb");
/// `Transfer`, `Approval` and `OperatorSet` of EIP-6909.
const TRANSFER_OF_ID: B256 = b256!("1b3d7edb2e9c0b0e7c525b20aaaef0f5940d2ed71663c7d39266ecafac728859");
const APPROVAL_OF_ID: B256 = b256!("b3fd5071835887567a0671151121894ddccc2842f1d10bedad13e0d17cace9a7");
const OPERATOR_SET: B256 = b256!("ceb576d9f15e4e200fdb5096d64d5dfd667e16def20c1eefd14256d8e3faa267");
/// `Sent` and `AuthorizedOperator` of EIP-777, whose first topic is the operator.
const SENT: B256 = b256!("06b541ddaa720db2b10a4d0cdac39b8d360425fc073085fac19bc82614677987");
const AUTHORIZED_OPERATOR: B256 = b256!("f4caeb2d6ca8932a215a353d0703c326ec2d81fc68170f320eb2ab49e9df61f9");

/// Returns filters for the logs in which an account gives, allows or receives a token, by the topic in which each
/// standard puts the account.
fn filters(own: B256) -> [Value; 3] {
    let given =
        [TRANSFER, APPROVAL, APPROVAL_FOR_ALL, TRANSFER_WITH_DATA, TRANSFER_OF_ID, APPROVAL_OF_ID, OPERATOR_SET];
    let either =
        [TRANSFER, TRANSFER_WITH_DATA, TRANSFER_OF_ID, TRANSFER_SINGLE, TRANSFER_BATCH, SENT, AUTHORIZED_OPERATOR];
    let behind_an_operator = [TRANSFER_SINGLE, TRANSFER_BATCH, SENT];
    [json!([given, [own]]), json!([either, null, [own]]), json!([behind_an_operator, null, null, [own]])]
}

/// Block ranges that are tried, newest blocks first: all blocks, then the ranges that hosted nodes search in one
/// request.
const SPANS: [u64; 5] = [u64::MAX, 1_000_000, 100_000, 10_000, 1_000];
/// Number of transactions that are examined from each end of the search result: a block waits for the answer.
const TXS_MAX: usize = 4;
/// Number of transactions that are examined for several tokens together: one call by an unrelated account can write
/// logs of many tokens.
const LOOKED_AT_MAX: usize = 64;

impl Node {
    /// Returns whether `by` used `token` in any block up to `until`, in the form of an answer to
    /// [`Read::Uses`](crate::model::read::Read::Uses).
    ///
    /// # Errors
    /// When the node does not answer, or searches only some of the blocks and none of those has such a transaction.
    pub(super) async fn fetch_token_use(&self, token: Address, by: Address, until: u64) -> Result<Bytes, NodeError> {
        let mut whole = true;
        for topics in filters(by.into_word()) {
            let (hashes, all) = self.transactions_of(token, &topics, until).await?;
            whole &= all;
            let ends = hashes
                .iter()
                .rev()
                .take(TXS_MAX)
                .chain(hashes.iter().take(hashes.len().saturating_sub(TXS_MAX).min(TXS_MAX)));
            for hash in ends {
                let answer = self.send_request("eth_getTransactionByHash", [hash], self.deadlines().call).await?;
                let parties = wire::parse_sender_and_recipient(answer.get())?;
                if parties.is_some_and(|(from, to)| from == by || to == Some(by)) {
                    return Ok(bool_word(true));
                }
            }
        }
        if whole { Ok(bool_word(false)) } else { Err(NodeError::Missing("logs of older blocks".to_owned())) }
    }

    /// Returns which of `tokens` were used in this way by `by` in any block up to `until`, in the form of
    /// [`Read::UsedOf`](crate::model::read::Read::UsedOf). The first and the last transaction of each token are
    /// examined.
    ///
    /// # Errors
    /// When the node does not answer.
    pub(super) async fn used_of(&self, tokens: &[Address], by: Address, until: u64) -> Result<Bytes, NodeError> {
        let mut ends: BTreeMap<Address, [B256; 2]> = BTreeMap::new();
        for topics in filters(by.into_word()) {
            let (answer, _) = self.logs_of(&json!(tokens), &topics, until).await?;
            for (token, hash) in wire::log_writers(answer.get())? {
                ends.entry(token).or_insert([hash; 2])[1] = hash;
            }
        }
        ends.retain(|token, _| tokens.contains(token));
        let firsts = ends.iter().map(|(token, [first, _])| (*token, *first));
        let lasts = ends.iter().map(|(token, [_, last])| (*token, *last));
        let (mut known, mut used) = (HashMap::new(), BTreeSet::new());
        for (token, hash) in firsts.chain(lasts) {
            if known.len() >= LOOKED_AT_MAX && !known.contains_key(&hash) {
                continue;
            }
            let is_own = match known.get(&hash) {
                Some(is_own) => *is_own,
                None => {
                    let answer = self.send_request("eth_getTransactionByHash", [hash], self.deadlines().call).await?;
                    let parties = wire::parse_sender_and_recipient(answer.get())?;
                    let is_own = parties.is_some_and(|(from, to)| from == by || to == Some(by));
                    known.insert(hash, is_own);
                    is_own
                }
            };
            if is_own {
                used.insert(token);
            }
        }
        Ok(used.iter().flat_map(|token: &Address| token.0.0).collect::<Vec<u8>>().into())
    }

    /// Returns the spenders that `owner` ever approved for any of `tokens`, each with the token, in the order of the
    /// chain up to block `until`.
    ///
    /// # Errors
    /// When the node does not answer, or does not search all blocks.
    pub(super) async fn fetch_spenders(
        &self,
        owner: Address,
        tokens: &[Address],
        until: u64,
    ) -> Result<Vec<(Address, Address)>, NodeError> {
        let topics = json!([[APPROVAL, APPROVAL_FOR_ALL, OPERATOR_SET], [owner.into_word()]]);
        let (answer, whole) = self.logs_of(&json!(tokens), &topics, until).await?;
        if !whole {
            return Err(NodeError::Missing("logs of older blocks".to_owned()));
        }
        let logs = wire::parse_logs(answer.get())?.into_iter();
        let given = logs.filter(|log| tokens.contains(&log.address) && log.topics.get(1) == Some(&owner.into_word()));
        Ok(given.filter_map(|log| Some((log.address, Address::from_word(*log.topics.get(2)?)))).collect())
    }

    /// Transactions that wrote logs of `token` with these topics, and whether all blocks were searched.
    async fn transactions_of(
        &self,
        token: Address,
        topics: &Value,
        until: u64,
    ) -> Result<(Vec<B256>, bool), NodeError> {
        let (answer, whole) = self.logs_of(&json!(token), topics, until).await?;
        Ok((wire::log_transactions(answer.get())?, whole))
    }

    /// Returns logs of one or several tokens with these topics, from as many of the newest blocks as the node searches,
    /// and whether those are all blocks.
    async fn logs_of(&self, of: &Value, topics: &Value, until: u64) -> Result<(BoundedText, bool), NodeError> {
        let mut refused = None;
        for span in SPANS {
            let from = until.saturating_sub(span.saturating_sub(1));
            let filter = json!([{
                "address": of, "topics": topics,
                "fromBlock": format!("{from:#x}"), "toBlock": format!("{until:#x}"),
            }]);
            match self.send_request("eth_getLogs", filter, self.deadlines().block).await {
                Ok(answer) => return Ok((answer, from == 0)),
                Err(NodeError::Refused { code, message, data }) if code != -32601 && is_said(&TOO_MUCH, &message) => {
                    refused = Some(NodeError::Refused { code, message, data });
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or(NodeError::Another))
    }
}

fn bool_word(truth: bool) -> Bytes {
    B256::from(U256::from(u8::from(truth))).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn topics_are_those_of_their_names() {
        for (signature, topic) in [
            ("Transfer(address,address,uint256)", TRANSFER),
            ("Approval(address,address,uint256)", APPROVAL),
            ("ApprovalForAll(address,address,bool)", APPROVAL_FOR_ALL),
            ("Transfer(address,address,uint256,bytes)", TRANSFER_WITH_DATA),
            ("TransferSingle(address,address,address,uint256,uint256)", TRANSFER_SINGLE),
            ("TransferBatch(address,address,address,uint256[],uint256[])", TRANSFER_BATCH),
            ("Transfer(address,address,address,uint256,uint256)", TRANSFER_OF_ID),
            ("Approval(address,address,uint256,uint256)", APPROVAL_OF_ID),
            ("OperatorSet(address,address,bool)", OPERATOR_SET),
            ("Sent(address,address,address,uint256,bytes,bytes)", SENT),
            ("AuthorizedOperator(address,address)", AUTHORIZED_OPERATOR),
        ] {
            assert_eq!(keccak256(signature), topic, "{signature}");
        }
    }
}
