//! A chain made up for tests, with all its forks, in the JSON a node would write. Every block of it is valid.
#![allow(dead_code, reason = "the words of a language; not every test says all of them")]

mod made;
mod txs;

use alloy_primitives::{B256, keccak256};
pub(crate) use made::{Form, Happened, Made, Odd, happened};
use std::collections::HashMap;
use std::sync::Arc;
pub(crate) use txs::CHAIN_ID;

/// When the genesis block was made, in seconds since the Unix epoch.
pub(crate) const GENESIS_TIME: u64 = 1_700_000_000;

/// Every block ever made, and which of them are canonical now.
#[derive(Clone)]
pub(crate) struct Chain {
    pub(crate) blocks: HashMap<B256, Arc<Made>>,
    pub(crate) canonical: Vec<B256>,
    /// The time that new blocks carry, if that is later than a second after their parent.
    pub(crate) now: u64,
    n_made: u64,
    seed: u64,
}

impl Chain {
    /// A chain of this many blocks, genesis included.
    pub(crate) fn new(n: usize) -> Self {
        Self::seeded(0, n)
    }

    /// Another seed gives another chain, with another genesis block.
    pub(crate) fn seeded(seed: u64, n: usize) -> Self {
        let mut chain = Self { blocks: HashMap::new(), canonical: Vec::new(), now: GENESIS_TIME, n_made: 0, seed };
        chain.extend(n);
        chain
    }

    pub(crate) fn extend(&mut self, n: usize) {
        let tip = self.canonical.last().copied();
        let mut new = self.grow(tip, n, None);
        self.canonical.append(&mut new);
    }

    /// One more block, which has something that nobody has seen before.
    pub(crate) fn extend_with(&mut self, odd: Odd) {
        // A block without transactions has none of an unknown type.
        self.n_made += u64::from(self.n_made % 4 == 3);
        let tip = self.canonical.last().copied();
        let mut new = self.grow(tip, 1, Some(odd));
        self.canonical.append(&mut new);
    }

    /// Replaces the newest `depth` blocks by `n` others. Some of their transactions are in the new ones again, at another place;
    /// some give way to others of the same sender and nonce; some are gone.
    pub(crate) fn reorg(&mut self, depth: usize, n: usize) {
        self.canonical.truncate(self.canonical.len().saturating_sub(depth).max(1));
        self.extend(n);
    }

    /// Grows until it is higher than every block ever made, as the chain that stays in the end is.
    pub(crate) fn outgrow(&mut self) {
        let height = self.blocks.values().map(|made| made.link.at.number).max().unwrap_or(0) as usize;
        self.extend((height + 2).saturating_sub(self.canonical.len()));
    }

    /// Makes `n` blocks that are not canonical, on top of any block, and says which is the last of them.
    pub(crate) fn branch(&mut self, from: B256, n: usize) -> B256 {
        self.grow(Some(from), n, None).last().copied().unwrap_or(from)
    }

    /// Makes the chain that ends in this block canonical.
    pub(crate) fn switch(&mut self, tip: B256) {
        self.canonical = self.path(tip);
    }

    /// Every block from genesis to this one.
    pub(crate) fn path(&self, tip: B256) -> Vec<B256> {
        let parent =
            |hash: &B256| self.blocks.get(hash).map(|made| made.link.parent).filter(|hash| *hash != B256::ZERO);
        let mut path: Vec<B256> = std::iter::successors(Some(tip), parent).collect();
        path.reverse();
        path
    }

    pub(crate) fn head(&self) -> &Made {
        &self.blocks[self.canonical.last().expect("there is a genesis")]
    }

    pub(crate) fn numbered(&self, number: u64) -> Option<&Made> {
        self.canonical.get(usize::try_from(number).ok()?).map(|hash| &*self.blocks[hash])
    }

    fn grow(&mut self, from: Option<B256>, n: usize, odd: Option<Odd>) -> Vec<B256> {
        let mut parent = from.map(|hash| self.blocks[&hash].clone());
        let mut new = Vec::new();
        for _ in 0..n {
            self.n_made += 1;
            let time = parent.as_ref().map_or(self.now, |parent| self.now.max(parent.link.time + 1));
            let salt = keccak256([self.seed.to_be_bytes(), self.n_made.to_be_bytes()].concat());
            let made = Arc::new(Made::on(parent.as_deref(), time, (self.n_made % 4) as usize, salt, odd));
            self.blocks.insert(made.link.at.hash, made.clone());
            new.push(made.link.at.hash);
            parent = Some(made);
        }
        new
    }
}

mod tests {
    use super::*;
    use alloy_consensus::proofs::{calculate_receipt_root, calculate_transaction_root, calculate_withdrawals_root};
    use alloy_consensus::transaction::SignerRecoverable;
    use alloy_consensus::{Header, ReceiptEnvelope, Transaction};
    use alloy_eips::eip4895::Withdrawal;
    use alloy_primitives::{Address, Bloom};
    use serde::de::DeserializeOwned;
    use serde_json::Value;
    use std::collections::BTreeSet;
    use txs::Envelope;
    use watchfire::wire;

    fn read<T: DeserializeOwned>(json: &Value) -> T {
        serde_json::from_value(json.clone()).expect("alloy reads what a node writes")
    }

    #[test]
    fn every_block_of_the_made_up_chain_is_valid() {
        let mut chain = Chain::new(40);
        chain.reorg(5, 9);
        let tip = chain.canonical[20];
        chain.branch(tip, 5);
        let mut kinds = BTreeSet::new();
        let (mut n_authorities, mut n_logs, mut n_withdrawals, mut n_reverted) = (0, 0, 0, 0);
        for (hash, made) in &chain.blocks {
            let (header, txs): (Header, Vec<Envelope>) = (read(&made.block), read(&made.block["transactions"]));
            let receipts: Vec<ReceiptEnvelope> = read(&made.receipts);
            assert_eq!(header.hash_slow(), *hash);
            assert_eq!(header.transactions_root, calculate_transaction_root(&txs));
            assert_eq!(header.receipts_root, calculate_receipt_root(&receipts));
            let bloom = receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom());
            assert_eq!(header.logs_bloom, bloom);
            if let Some(root) = header.withdrawals_root {
                let withdrawals: Vec<Withdrawal> = read(&made.block["withdrawals"]);
                assert_eq!(root, calculate_withdrawals_root(&withdrawals));
                n_withdrawals += withdrawals.len();
            }
            for (index, tx) in txs.iter().enumerate() {
                let said: Address = read(&made.block["transactions"][index]["from"]);
                assert_eq!(tx.recover_signer().expect("it is signed"), said);
                assert_eq!(made.block["transactions"][index]["hash"], read::<Value>(&serde_json::json!(tx.tx_hash())));
                kinds.insert(tx.tx_type() as u8);
                for authorization in tx.authorization_list().into_iter().flatten() {
                    authorization.recover_authority().expect("it is signed");
                    n_authorities += 1;
                }
            }
            let ours = wire::parse_block(&made.block.to_string(), &made.receipts.to_string()).expect("we read it too");
            assert_eq!(happened(&ours), made.content);
            n_logs += made.content.iter().map(|tx| tx.logs.len()).sum::<usize>();
            n_reverted += made.content.iter().filter(|tx| !tx.holds).count();
        }
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert!(n_authorities > 0 && n_logs > 0 && n_withdrawals > 0 && n_reverted > 0);
    }

    #[test]
    fn a_block_with_something_new_hashes_to_its_hash_all_the_same() {
        let mut chain = Chain::new(9);
        chain.extend_with(Odd::TxType);
        let raw = &chain.head().raw;
        assert!(!raw.is_empty() && raw.iter().all(|(tx, receipt)| tx[0] == 0x7e && receipt[0] == 0x7e));
        let header: Header = read(&chain.head().block);
        assert_eq!(header.hash_slow(), chain.head().link.at.hash, "only its transactions are new");
        chain.extend_with(Odd::HeaderField);
        let header: Header = read(&chain.head().block);
        assert_ne!(header.hash_slow(), chain.head().link.at.hash, "who does not know the field cannot verify it");
        for number in [9, 10] {
            let made = chain.numbered(number).expect("a canonical block");
            let ours = wire::parse_block(&made.block.to_string(), &made.receipts.to_string())
                .expect("we read it all the same");
            assert_eq!(happened(&ours), made.content);
        }
    }

    #[test]
    fn a_fork_moves_replaces_and_drops_transactions() {
        let mut chain = Chain::new(30);
        let txs = |chain: &Chain, at: usize| -> Vec<B256> {
            let blocks = chain.canonical[at..].iter().map(|hash| &chain.blocks[hash]);
            blocks.flat_map(|made| made.content.iter().map(|tx| tx.hash)).collect()
        };
        let before = txs(&chain, 25);
        chain.reorg(5, 5);
        let after = txs(&chain, 25);
        assert!(before.iter().any(|tx| after.contains(tx)), "moved");
        assert!(before.iter().any(|tx| !after.contains(tx)), "replaced or dropped");
    }
}
