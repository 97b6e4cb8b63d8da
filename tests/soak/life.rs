//! What happens on the chain meanwhile: bills, thefts and calls of watched contracts in nearly every block, at the pace of the
//! wall clock; reorgs that move, replace and drop them; and now and then a rollback.

use super::support::watched_proxy::{CLERKS, WatchedProxy};
use crate::support::abi::IBox;
use crate::support::accounts::{DEPUTY, KEEPER, STRANGER};
use crate::support::anvil::Tx;
use crate::support::bill_payers::{SHOPS, bill, clerk, theft};
use alloy_primitives::{Address, U256, hex};
use alloy_sol_types::SolCall;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

/// A call that the Box does not know.
const UNKNOWN_CALL: [u8; 36] = hex!("deadbeef0000000000000000000000000000000000000000000000000000000000000001");

/// Blocks between the past and the first that is watched, more than a reorg and a rollback after it undo.
const BURIED: u64 = 12;

/// See the module's head.
pub(crate) struct Life<'a> {
    stage: &'a WatchedProxy,
    rng: fastrand::Rng,
    /// Transactions of the treasury's Safes that nobody vouches for, wherever they are now.
    strange: BTreeSet<String>,
    pub(crate) n_blocks: u64,
    pub(crate) reorgs: BTreeMap<u64, u32>,
    pub(crate) rollbacks: u32,
}

impl<'a> Life<'a> {
    /// Life on the stage's chain.
    pub(crate) fn begin(stage: &'a WatchedProxy, rng: fastrand::Rng) -> Self {
        Self { stage, rng, strange: BTreeSet::new(), n_blocks: 0, reorgs: BTreeMap::new(), rollbacks: 0 }
    }

    /// One block, unless the newest is ahead of the clock.
    pub(crate) async fn block(&mut self) {
        if !self.wind().await {
            return;
        }
        let mut txs = Vec::new();
        let mut clerks: Vec<usize> = (0..CLERKS).collect();
        self.rng.shuffle(&mut clerks);
        for n in clerks.into_iter().take(self.rng.usize(..3)) {
            let nonce = self.nonce(clerk(n)).await;
            txs.push(some_payment(n, nonce, &mut self.rng));
        }
        for (caller, percent) in [(KEEPER.address, 75), (DEPUTY.address, 8), (STRANGER.address, 5)] {
            if self.rng.u8(..100) < percent {
                let nonce = self.nonce(caller).await;
                txs.push(self.call(caller, nonce));
            }
        }
        self.stage.mine(&txs).await;
        self.n_blocks += 1;
        if self.rng.u8(..100) < 8 {
            self.treasury().await;
        }
    }

    /// Replaces the newest blocks, at most as many as are watched. Of each sender's transactions some are moved to another
    /// block, some replaced by others of the same number, and some dropped.
    pub(crate) async fn reorg(&mut self, depth: u64) {
        let anvil = &self.stage.anvil;
        let head = anvil.block_number().await;
        let depth = depth.min((head + 1).saturating_sub(self.stage.first));
        if depth == 0 {
            return;
        }
        let mut orphans: BTreeMap<Address, Vec<Tx>> = BTreeMap::new();
        for number in head + 1 - depth..=head {
            let block = anvil.whole_block(number).await;
            for tx in block["transactions"].as_array().into_iter().flatten() {
                let tx = sent(tx);
                if self.plays(tx.from) {
                    orphans.entry(tx.from).or_default().push(tx);
                }
            }
        }
        let mut placed = Vec::new();
        for (from, txs) in orphans {
            // One sender's transactions keep their order, and none can follow one that is dropped.
            let mut at = 0;
            for tx in txs {
                at = self.rng.u64(at..depth);
                let nonce = tx.nonce.unwrap_or_default();
                match (self.rng.u8(..6), (0..CLERKS).find(|n| clerk(*n) == from)) {
                    (0, _) => break,
                    (1 | 2, Some(n)) => placed.push((some_payment(n, nonce, &mut self.rng), at)),
                    (1 | 2, None) => placed.push((self.call(from, nonce), at)),
                    _ => placed.push((tx, at)),
                }
            }
        }
        anvil.reorg(depth, &placed).await;
        *self.reorgs.entry(depth).or_default() += 1;
    }

    /// Takes the newest blocks away.
    pub(crate) async fn rollback(&mut self, depth: u64) {
        let head = self.stage.anvil.block_number().await;
        let depth = depth.min((head + 1).saturating_sub(self.stage.first));
        if depth > 0 {
            self.stage.anvil.rollback(depth).await;
            self.rollbacks += 1;
        }
    }

    /// Which transactions of the chain as it stands are abnormal, reckoned by hand.
    pub(crate) async fn abnormal(&self) -> BTreeSet<String> {
        let mut abnormal = self.stage.reckon().await;
        let the_box = self.the_box();
        for number in self.stage.first..=self.stage.anvil.block_number().await {
            let block = self.stage.anvil.whole_block(number).await;
            for tx in block["transactions"].as_array().into_iter().flatten() {
                let (hash, tx) = (tx["hash"].as_str().expect("a hash").to_owned(), sent(tx));
                let barred = tx.to == Some(the_box) && tx.from != KEEPER.address;
                if barred || self.strange.contains(&hash) {
                    abnormal.insert(hash);
                }
            }
        }
        abnormal
    }

    /// A payment of one of the treasury's Safes. Each of its transactions waits to be mined, so each gets a block.
    async fn treasury(&mut self) {
        let anvil = &self.stage.anvil;
        let treasury = self.stage.treasury.as_ref().expect("the treasury stands");
        anvil.set_automine(true).await;
        if self.rng.u8(..3) == 0 {
            self.strange.insert(treasury.unknown_recipient(anvil).await.to_string());
        } else {
            treasury.ops_pays_old_coins(anvil).await;
        }
        anvil.set_automine(false).await;
        self.n_blocks += 1;
    }

    /// A call of the Box: the keeper writes, which is normal; the deputy may and should not; a stranger calls what is not there.
    fn call(&mut self, from: Address, nonce: u64) -> Tx {
        let value = U256::from(self.rng.u64(1..100));
        let data =
            if from == STRANGER.address { UNKNOWN_CALL.to_vec() } else { IBox::storeCall { value }.abi_encode() };
        // A limit that leaves room for many in one block.
        Tx { gas: 200_000, ..Tx::call(from, self.the_box(), data) }.numbered(nonce)
    }

    fn the_box(&self) -> Address {
        self.stage.treasury.as_ref().expect("the treasury stands").watched_box
    }

    fn plays(&self, from: Address) -> bool {
        [KEEPER.address, DEPUTY.address, STRANGER.address].contains(&from) || (0..CLERKS).any(|n| clerk(n) == from)
    }

    async fn nonce(&self, from: Address) -> u64 {
        self.stage.anvil.sent_by(from, self.stage.anvil.block_number().await).await
    }

    /// Sets the next block's time to the clock's. False when the newest block is not older than that.
    async fn wind(&self) -> bool {
        let now = now();
        let newest = self.stage.anvil.now().await;
        if now > newest + 1 {
            self.stage.anvil.set_next_timestamp(now).await;
        }
        now > newest
    }
}

/// Brings the stage's chain to the wall clock, which it keeps to from now on; what is watched begins behind that, deeper than any
/// reorg reaches.
pub(crate) async fn wake(stage: &mut WatchedProxy) {
    stage.anvil.rpc("anvil_setBlockTimestampInterval", json!([1])).await;
    stage.anvil.set_next_timestamp(now() - 2 * BURIED).await;
    stage.anvil.mine(BURIED).await;
    stage.first = stage.anvil.block_number().await + 1;
}

/// Unix seconds.
fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()
}

/// A bill, too large a bill, or a theft.
fn some_payment(n: usize, nonce: u64, rng: &mut fastrand::Rng) -> Tx {
    match rng.u8(..6) {
        0 => theft(n, nonce),
        _ => bill(n, SHOPS[rng.usize(..2)], rng.u64(1..3), nonce),
    }
}

/// A transaction as it was sent.
fn sent(tx: &Value) -> Tx {
    let read = |key: &str| tx[key].clone();
    let number = |key: &str| -> U256 { serde_json::from_value(read(key)).unwrap_or_default() };
    Tx {
        from: serde_json::from_value(read("from")).expect("a sender"),
        to: serde_json::from_value(read("to")).unwrap_or_default(),
        value: number("value"),
        data: serde_json::from_value(read("input")).unwrap_or_default(),
        gas: number("gas").to(),
        nonce: Some(number("nonce").to()),
    }
}

/// Every address that is watched, by the watchlists themselves.
pub(crate) fn watched(stage: &WatchedProxy) -> BTreeSet<Address> {
    let mut watched: BTreeSet<Address> = (0..CLERKS).map(clerk).collect();
    let text = std::fs::read_to_string(stage.watch.path("treasury.toml")).expect("the demo's watchlist");
    let list: toml::Table = text.parse().expect("TOML");
    for watch in list["watch"].as_array().expect("watches") {
        watched.insert(watch["address"].as_str().and_then(|address| address.parse().ok()).expect("an address"));
    }
    watched
}
