//! A calm week: five hundred ordinary transactions of a treasury and what stands around it, fourteen kinds of subjects in all, in which
//! nobody is woken; and the same week with one theft among a hundred and twenty transactions of one block.

mod offices;

use offices::Offices;

use crate::support::abi::IBox;
use crate::support::accounts::{HOLDER, KEEPER, PAYER, STRANGER, SUPPLIER};
use crate::support::anvil::Anvil;
use crate::support::safe::SafeTx;
use crate::support::tokens::transfer;
use crate::support::treasury::{READY_TIME, Treasury};
use crate::support::treasury::{SIGNERS, ether};
use crate::support::tx::Tx;
use crate::support::watch::{Answers, Watch};
use alloy_primitives::{B256, U256};
use alloy_sol_types::SolCall as _;
use std::collections::HashSet;

const DAY: u64 = 86_400;
/// Small things that happen every day of the week, in rounds.
const ROUNDS: usize = 8;
/// Transactions of the block in which the theft hides.
const CROWD: usize = 120;

struct Week {
    anvil: Anvil,
    treasury: Treasury,
    offices: Offices,
    begun: u64,
    n_txs: usize,
}

/// The program beside it, which goes on where it stopped.
struct Watcher {
    watch: Watch,
    from: String,
}

/// Monday morning, when all of it is deployed.
const BEGINS: u64 = READY_TIME + 1_800;

impl Week {
    /// From Monday to Sunday. On working days everything that a treasury does; every day the small things.
    async fn lived() -> Self {
        let anvil = Anvil::start().await;
        let treasury = Treasury::deploy(&anvil).await;
        let offices = Offices::deploy(&anvil).await;
        let begun = anvil.block_number().await + 1;
        let mut week = Self { anvil, treasury, offices, begun, n_txs: 0 };
        for day in 0..7 {
            week.anvil.set_next_timestamp(BEGINS + day * DAY).await;
            if day < 5 {
                let steps = week.treasury.normal_day(&week.anvil).await;
                week.n_txs += steps.iter().map(|(_, txs)| txs.len()).sum::<usize>();
            }
            week.n_txs += week.offices.normal_day(&week.anvil, day).await;
            for _ in 0..ROUNDS {
                week.small_things().await;
            }
        }
        week
    }

    async fn small_things(&mut self) {
        let Self { anvil, treasury, .. } = self;
        treasury.payer_pays_ether(anvil).await;
        treasury.payer_pays_coins(anvil).await;
        treasury.holder_moves_minime(anvil).await;
        treasury.keeper_stores(anvil).await;
        treasury.supplier_deposits_ether(anvil).await;
        self.n_txs += 5;
    }

    /// One block of so many transactions, all ordinary but `theft`, which stands in the middle.
    async fn crowd(&self, theft: &Tx) -> B256 {
        let Self { anvil, treasury, offices, .. } = self;
        let store = IBox::storeCall { value: U256::from(7) }.abi_encode();
        let ordinary = [
            Tx::pay(PAYER.address, SUPPLIER.address, ether(1)),
            Tx::call(PAYER.address, treasury.coin.address, transfer(SUPPLIER.address, treasury.coin.units(1))),
            Tx::call(HOLDER.address, treasury.minime.address, transfer(PAYER.address, treasury.minime.units(1))),
            Tx::call(KEEPER.address, treasury.watched_box, store),
            Tx::pay(SUPPLIER.address, treasury.ops.address, ether(1)),
        ];
        let ordinary = ordinary.into_iter().chain(offices.ordinary()).collect::<Vec<_>>();
        anvil.set_automine(false).await;
        let mut stolen = B256::ZERO;
        for (n, tx) in ordinary.iter().cycle().take(CROWD).enumerate() {
            let hash = anvil.send(if n == CROWD / 2 { theft } else { tx }).await;
            if n == CROWD / 2 {
                stolen = hash;
            }
        }
        anvil.mine(1).await;
        anvil.set_automine(true).await;
        let block = anvil.whole_block(anvil.block_number().await).await;
        assert_eq!(block["transactions"].as_array().map(Vec::len), Some(CROWD), "all of them in one block");
        stolen
    }

    /// Somebody who watches all of it from Monday on.
    fn watcher(&self) -> Watcher {
        let watch = Watch::treasury(&self.anvil.ws_url(), "[destination.pager]\nkind = \"terminal\"\n");
        let main = std::fs::read_to_string(watch.path("watchfire.toml")).expect("it was written");
        watch.write("watchfire.toml", &main.replace("\"treasury.toml\"", "\"treasury.toml\", \"offices.toml\""));
        watch.write("offices.toml", &self.offices.watchlist());
        Watcher { watch, from: self.begun.to_string() }
    }
}

impl Watcher {
    /// Everything up to the newest block that was not judged before.
    async fn judges(&self, anvil: &Anvil) -> Answers {
        let until = anvil.block_number().await.to_string();
        let run = ["run", "--from-block", &self.from, "--until-block", &until];
        tokio::task::block_in_place(|| self.watch.run(&run))
    }
}

/// A subject of each kind.
const KINDS: [(&str, &str); 14] = [
    ("safe", "Grants Safe"),
    ("multisig", "Founders multisig"),
    ("minime", "NET"),
    ("erc20", "COIN"),
    ("contract", "Box"),
    ("eoa", "Payer"),
    ("timelock", "Timelock"),
    ("governor", "Governor"),
    ("proxy", "Engine"),
    ("ownable", "Office"),
    ("access-control", "Roles"),
    ("vesting", "Vesting"),
    ("ens-name", "Name"),
    ("parity-multisig", "Old wallet"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_calm_week_wakes_nobody_and_a_theft_in_a_crowd_is_the_one_thing_found_in_it() {
    let week = Week::lived().await;
    assert!(week.n_txs >= 500, "{}", week.n_txs);
    let watcher = week.watcher();
    let calm = watcher.judges(&week.anvil).await;
    assert_eq!(calm.findings(), [""; 0], "{}", calm.stderr);
    assert_eq!(calm.code, 0, "{}", calm.stderr);
    let seen: HashSet<&str> = calm.of("verdict").filter_map(|line| line["tx"].as_str()).collect();
    assert!(seen.len() >= week.n_txs, "{} of {} transactions were seen", seen.len(), week.n_txs);
    let watches: HashSet<&str> = calm.of("verdict").filter_map(|line| line["watch"].as_str()).collect();
    for (kind, label) in KINDS {
        assert!(watches.contains(label), "no {kind} did anything: {watches:?}");
    }

    let grants = &week.treasury.grants;
    let stolen = SafeTx::call(week.treasury.coin.address, transfer(STRANGER.address, week.treasury.coin.units(20_000)));
    let theft = grants.exec_calldata(&stolen, grants.nonce(&week.anvil).await, &SIGNERS);
    let monday = BEGINS + 7 * DAY;
    week.anvil.set_next_timestamp(monday).await;
    let hash = week.crowd(&Tx::call(KEEPER.address, grants.address, theft)).await;
    let seen = watcher.judges(&week.anvil).await;
    assert_eq!(seen.findings(), ["Grants Safe high builtin/unvouched transfer"], "{}", seen.stderr);
    assert_eq!(seen.incidents().len(), 1);
    let found = seen.of("verdict").find(|line| line["finding_id"].is_string()).expect("it was found");
    assert_eq!(found["tx"], hash.to_string());
}
