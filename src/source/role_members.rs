//! Members of a role, taken from a contract's own logs.
//!
//! An OpenZeppelin contract reports whether an account holds a role, but does not list the holders of a role. They are
//! found only in its logs, back to its creation. Input: a contract and a range of blocks. Output: the holders of roles
//! according to its logs. Logs that a node omits are not detected here. Invented logs do no harm, because the contract
//! itself is asked about every account found.

use super::node::Node;
use super::rpc::NodeError;
use crate::model::read::{ROLE_GRANTED, ROLE_REVOKED, holder_bytes, parse_role_members};
use crate::runtime::monotonic_now;
use crate::wire;
use alloy_primitives::{Address, B256, Bytes};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Maximum number of requests about one contract: hosted nodes search 10,000 blocks at once, or ten.
const QUERIES_MAX: u64 = 512;
/// Longest time for all queries together: a block waits for the answer.
const SEARCH_MAX: Duration = Duration::from_secs(20);

/// Phrases with which nodes ask for a smaller request; every kind of node has its own error code. The first three never
/// mean anything else.
pub(super) const TOO_MUCH: [&str; 9] =
    ["results", "range", "response size", "limit", "too many", "too large", "exceed", "maximum", "more than"];

/// Role members, as pairs of role and account.
type Holders = BTreeSet<(B256, Address)>;

/// Role changes in a contract's logs: each grant and revocation, in the order of the chain.
#[derive(Debug, Default)]
struct RoleChanges(BTreeMap<(u64, u64), (B256, Address, bool)>);

impl RoleChanges {
    /// Returns the accounts that hold a role after these logs.
    fn role_members(&self) -> Holders {
        let mut holders = Holders::new();
        for (role, who, given) in self.0.values() {
            if *given {
                holders.insert((*role, *who));
            } else {
                holders.remove(&(*role, *who));
            }
        }
        holders
    }
}

/// Returns the union of the holders in these answers.
pub(super) fn merge_role_members(told: &[Bytes]) -> Bytes {
    holder_bytes(told.iter().flat_map(|told| parse_role_members(told)).collect::<Holders>())
}

impl Node {
    /// Returns the holders of roles according to the logs that `by` wrote in these blocks, as [`parse_role_members`] reads it.
    /// When the node refuses a range, as hosted nodes do with large ones, smaller ranges are requested, as long as
    /// [`QUERIES_MAX`] of them can be enough.
    pub(super) async fn fetch_role_members(
        &self,
        by: Address,
        blocks: RangeInclusive<u64>,
    ) -> Result<Bytes, NodeError> {
        let (end, until) = (*blocks.end(), monotonic_now() + SEARCH_MAX);
        let (mut from, mut span, mut n_asked) = (*blocks.start(), u64::MAX, 0);
        let mut grants = RoleChanges::default();
        while from <= end {
            let to = end.min(from.saturating_add(span - 1));
            let filter = json!([{
                "address": by, "topics": [[ROLE_GRANTED, ROLE_REVOKED]],
                "fromBlock": format!("{from:#x}"), "toBlock": format!("{to:#x}"),
            }]);
            n_asked += 1;
            let after = self.deadlines().block.min(until.saturating_duration_since(monotonic_now()));
            match self.send_request("eth_getLogs", filter, after).await {
                Ok(answer) => {
                    for log in wire::parse_logs(answer.get())? {
                        let (&[kind, role, who, ..], true) = (&log.topics[..], log.address == by) else { continue };
                        let given = kind == ROLE_GRANTED;
                        if (given || kind == ROLE_REVOKED) && (from..=to).contains(&log.block_number) {
                            grants.0.insert((log.block_number, log.log_index), (role, Address::from_word(who), given));
                        }
                    }
                    from = to.saturating_add(1);
                }
                Err(NodeError::Refused { message, code, .. }) if code != -32601 && is_said(&TOO_MUCH, &message) => {
                    span = narrow_range(from, to, end, n_asked, &message)?;
                }
                Err(error @ NodeError::TooLarge { .. }) => {
                    span = narrow_range(from, to, end, n_asked, &error.to_string())?;
                }
                // Some nodes use the code that others use for rate limits.
                Err(NodeError::Limited { why, .. }) if is_said(&TOO_MUCH[..3], &why) => {
                    span = narrow_range(from, to, end, n_asked, &why)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(holder_bytes(grants.role_members()))
    }
}

pub(super) fn is_said(words: &[&str], message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    words.iter().any(|words| message.contains(words))
}

/// Returns half of the refused range, if enough requests of that size are left.
fn narrow_range(from: u64, to: u64, end: u64, n_asked: u64, message: &str) -> Result<u64, NodeError> {
    let span = (to - from).div_ceil(2);
    if span == 0 || (end - from) / span + n_asked > QUERIES_MAX {
        let why = format!("the logs of blocks {from} to {end} take too many questions: {message}");
        return Err(NodeError::Missing(why));
    }
    Ok(span)
}
