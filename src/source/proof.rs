//! Proofs of state against the state root of its block.
//!
//! Comes in: reads of one account at one block. Goes out: proven answers, or the reason why there is no proof. The
//! state root comes from a header that hashes to the block's hash, whichever endpoint sent it. Results of contract
//! calls and traces cannot be proven in this way.

use super::node::Node;
use super::rpc::NodeError;
use super::{check, verify};
use crate::model::BlockRef;
use crate::model::read::{Answer, Read};
use crate::wire::seal::Header;
use crate::wire::{self, AccountProof};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Number of state roots remembered: those of the blocks whose state was requested recently.
const ROOTS_MAX: usize = 128;

/// Facts about blocks from headers that hash to the block's hash: the state root, and the gas used.
#[derive(Default)]
pub(super) struct StateRoots {
    blocks: Mutex<VecDeque<KnownRoot>>,
    /// Gas limit of the newest of them; zero before the first.
    gas_limit: AtomicU64,
}

struct KnownRoot {
    block: B256,
    root: B256,
    gas_used: Option<u64>,
}

impl StateRoots {
    pub(super) fn record_root(&self, block: B256, root: B256, header: &Header) {
        self.gas_limit.store(header.gas_limit.unwrap_or_default(), Ordering::Relaxed);
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if blocks.iter().any(|known| known.block == block) {
            return;
        }
        if blocks.len() == ROOTS_MAX {
            blocks.pop_front();
        }
        blocks.push_back(KnownRoot { block, root, gas_used: header.gas_used });
    }

    fn state_root(&self, block: B256) -> Option<B256> {
        let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.iter().rev().find(|known| known.block == block).map(|known| known.root)
    }

    /// Gas that a block used, where its header was seen.
    pub(super) fn gas_used(&self, block: B256) -> Option<u64> {
        let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.iter().rev().find(|known| known.block == block)?.gas_used
    }

    /// Returns an upper bound for the gas of a block on this chain: twice the limit of the newest known block, because
    /// limits change.
    pub(super) fn gas_limit(&self) -> Option<u64> {
        Some(self.gas_limit.load(Ordering::Relaxed)).filter(|gas| *gas > 0).map(|gas| gas.saturating_mul(2))
    }
}

/// Returns the account whose state a read concerns, if its answer can be proven.
pub(super) fn account_of(read: &Read) -> Option<Address> {
    match read {
        Read::Storage { of, .. } | Read::Code(of) | Read::Nonce(of) | Read::Balance(of) => Some(*of),
        Read::Call { .. } | Read::Before { .. } => None,
        Read::Grants { .. } | Read::Uses { .. } | Read::UsedOf { .. } | Read::Traces | Read::Trace(_) => None,
    }
}

impl Node {
    /// Returns proven answers to reads of the state of account `of` after block `at`, in their order.
    ///
    /// # Errors
    /// When the node does not answer, or has no proofs ([`NodeError::Missing`]), or when what it says contradicts the block's state
    /// root ([`NodeError::Lie`]).
    pub(super) async fn prove_reads(
        &self,
        at: BlockRef,
        of: Address,
        reads: &[Read],
    ) -> Result<Vec<Answer>, NodeError> {
        let none = || NodeError::Missing("proofs of state".to_owned());
        if self.lacks_proofs() || !self.checks().verify {
            return Err(none());
        }
        let root = self.state_root(at.hash).await?.ok_or_else(none)?;
        let slots: Vec<B256> = reads
            .iter()
            .filter_map(|read| if let Read::Storage { slot, .. } = read { Some(*slot) } else { None })
            .collect();
        let pinned = json!({ "blockHash": at.hash, "requireCanonical": false });
        let proof = self.send_request("eth_getProof", (of, &slots, pinned), self.deadlines().call);
        // The hash of the code is proven, and the code itself is requested at the same time.
        let code = async {
            match reads.contains(&Read::Code(of)) {
                true => self.read_state(at, &Read::Code(of)).await.map(Some),
                false => Ok(None),
            }
        };
        let (answer, code) = futures::join!(proof, code);
        let answer = answer.map_err(|error| {
            if error.lacks_the_method() {
                self.note_lack_of_proofs();
            }
            // The state may be older than the node keeps, which does not count against the node.
            if let NodeError::Refused { message, .. } = error { NodeError::Missing(message) } else { error }
        })?;
        // A node that never sent a valid proof counts as one without proofs.
        let proof = wire::account_proof(answer.get());
        let proof = proof.map_err(|error| if self.has_proven() { error.into() } else { none() })?;
        if !verify::is_of(root, &proof) {
            // The headers of a local fork, and of some chains, have roots of another kind. A node whose proofs never
            // fit counts as one without proofs.
            return Err(if self.has_proven() { NodeError::Another } else { none() });
        }
        self.note_a_proof();
        let lie = |flaw, answers: &[(&'static str, &str)]| {
            check::invalid_response(format!("state of {of} at block {}", at.hash), flaw, answers)
        };
        verify::prove_account(root, of, &slots, &proof).map_err(|flaw| lie(flaw, &[("eth_getProof", answer.get())]))?;
        let code = code?;
        if let Some(code) = &code {
            let is_none = code.is_empty() && proof.code_hash.is_zero();
            if !is_none && keccak256(code) != proof.code_hash {
                let (flaw, hex) = (verify::Flaw::State { of, what: "code" }, format!("\"{code}\""));
                return Err(lie(flaw, &[("eth_getProof", answer.get()), ("eth_getCode", &hex)]));
            }
        }
        Ok(proof_answers(reads, &proof, code.as_ref()))
    }

    /// Returns the state root of this block, from a header that hashes to the block's hash; `None` if the header has
    /// unknown fields and therefore does not prove its root.
    async fn state_root(&self, hash: B256) -> Result<Option<B256>, NodeError> {
        if let Some(root) = self.state_roots().state_root(hash) {
            return Ok(Some(root));
        }
        self.fetch_header(hash).await?;
        Ok(self.state_roots().state_root(hash))
    }
}

/// Returns the answers given by a proof, in the order of the reads.
fn proof_answers(reads: &[Read], proof: &AccountProof, code: Option<&Bytes>) -> Vec<Answer> {
    let mut slots = proof.slots.iter();
    let word = |number: U256| Answer::Data(number.to_be_bytes_vec().into());
    let answer = |read: &Read| match read {
        Read::Storage { .. } => slots.next().map_or(Answer::Unavailable, |slot| word(slot.value)),
        Read::Nonce(_) => word(U256::from(proof.nonce)),
        Read::Balance(_) => word(proof.balance),
        Read::Code(_) => code.map_or(Answer::Unavailable, |code| Answer::Data(code.clone())),
        Read::Call { .. } | Read::Before { .. } => Answer::Unavailable,
        Read::Grants { .. } | Read::Uses { .. } | Read::UsedOf { .. } | Read::Traces | Read::Trace(_) => {
            Answer::Unavailable
        }
    };
    reads.iter().map(answer).collect()
}
