//! A whole treasury on a fresh chain: Safes of every version, one Safe that owns another, a legacy multisig behind a
//! MiniMe token, tokens, a module, a plain contract and the attacker's tools. Everything is deployed in one fixed order
//! from one account, so every address is the same on every run and a watchlist can name it; the Safes' shared contracts
//! stand where they stand on mainnet.
//!
//! `normal` holds the steps of an ordinary day, `attacks` what a watcher is for; each step returns transaction hashes.

mod attacks;
mod normal;

use std::collections::BTreeMap;
use std::path::PathBuf;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolCall, SolValue};

use super::abi::{IBox, IMiniMe, IToken};
use super::accounts::{self, Account, DEPLOYER, DEPUTY, HOLDER, KEEPER, OWNER_A, OWNER_B, OWNER_C, PAYER};
use super::anvil::{Anvil, Tx, world_dir};
use super::contracts::deploy;
use super::kit::{Kit, Version};
use super::multisig::Multisig;
use super::safe::{Safe, Signer};
use super::tokens::{Token, transfer};

/// Monday, 2026-11-02 10:00:00 UTC: the block in which the treasury stands ready.
pub(crate) const READY_TIME: u64 = super::anvil::GENESIS_TIME + 3_600;
/// The two owners who sign for every Safe and multisig unless a step says otherwise.
pub(crate) const SIGNERS: [Signer<'static>; 2] = [Signer::Key(OWNER_A), Signer::Key(OWNER_B)];

/// Everything that was deployed.
#[derive(Clone, Debug)]
pub(crate) struct Treasury {
    /// The shared contracts, old to new.
    pub(crate) kits: [Kit; 4],
    /// Safe 1.3.0, 2 of 3: ether and old coins for operations.
    pub(crate) ops: Safe,
    /// Safe 1.4.1, 2 of 3: coins for grants; has the module enabled.
    pub(crate) grants: Safe,
    /// Safe 1.4.1, 2 of 3: owner of the vault.
    pub(crate) council: Safe,
    /// Safe 1.3.0, 2 of 2: the council and owner C.
    pub(crate) vault: Safe,
    /// Safe 1.1.1, 2 of 3.
    pub(crate) old_safe: Safe,
    /// Safe 1.5.0, 2 of 3.
    pub(crate) new_safe: Safe,
    /// Legacy multisig, 2 of 3: owner of the MiniMe token's controller.
    pub(crate) multisig: Multisig,
    /// Legacy multisig, 2 of 3, with 5 ether a day on one owner's word.
    pub(crate) petty_cash: Multisig,
    /// Controller of the MiniMe token.
    pub(crate) placeholder: Address,
    /// 18 decimals; owned by `ops`.
    pub(crate) coin: Token,
    /// 6 decimals, returns nothing.
    pub(crate) old_coin: Token,
    /// 18 decimals, controlled by `placeholder`.
    pub(crate) minime: Token,
    pub(crate) weth: Address,
    /// Owned by `ops`; keeper and deputy may write.
    pub(crate) watched_box: Address,
    /// Enabled in `grants`; the keeper pays through it.
    pub(crate) module: Address,
    pub(crate) slot_thief: Address,
    pub(crate) drain: Address,
    pub(crate) noise: Address,
    pub(crate) fake_safe: Address,
}

impl Treasury {
    /// Deploys and funds everything on a chain where nothing happened yet.
    pub(crate) async fn deploy(anvil: &Anvil) -> Self {
        assert_eq!(anvil.block_number().await, 0, "addresses are fixed only on a fresh chain");
        let from = DEPLOYER.address;
        let owners = [OWNER_A.address, OWNER_B.address, OWNER_C.address];

        let mut kits = Vec::new();
        for version in Version::ALL {
            kits.push(Kit::deploy(anvil, from, version).await);
        }
        let kits: [Kit; 4] = kits.try_into().expect("a kit for each version");
        let [kit_1_1_1, kit_1_3_0, kit_1_4_1, kit_1_5_0] = kits;
        let ops = Safe::create(anvil, from, kit_1_3_0, &owners, 2, 1).await;
        let grants = Safe::create(anvil, from, kit_1_4_1, &owners, 2, 2).await;
        let council = Safe::create(anvil, from, kit_1_4_1, &owners, 2, 3).await;
        let vault = Safe::create(anvil, from, kit_1_3_0, &[council.address, OWNER_C.address], 2, 4).await;
        let old_safe = Safe::create(anvil, from, kit_1_1_1, &owners, 2, 5).await;
        let new_safe = Safe::create(anvil, from, kit_1_5_0, &owners, 2, 6).await;
        let multisig = Multisig::deploy(anvil, from, &owners, 2).await;
        let petty_cash = Multisig::deploy_with_daily_limit(anvil, from, &owners, 2, ether(5)).await;

        let coin = Token::deploy_coin(anvil, from, "COIN", 18, from).await;
        let old_coin = Token::deploy_old_coin(anvil, from, from).await;
        let minime = Token::deploy_minime(anvil, from, "NET").await;
        let placeholder = (multisig.address, minime.address).abi_encode_params();
        let placeholder = deploy(anvil, from, "Placeholder", placeholder).await;
        let treasury = Self {
            weth: deploy(anvil, from, "WETH9", []).await,
            watched_box: deploy(anvil, from, "Box", from.abi_encode()).await,
            module: deploy(anvil, from, "PayModule", KEEPER.address.abi_encode()).await,
            slot_thief: deploy(anvil, from, "SlotThief", []).await,
            drain: deploy(anvil, from, "Drain", []).await,
            noise: deploy(anvil, from, "Noise", []).await,
            fake_safe: deploy(anvil, from, "FakeSafe", []).await,
            kits,
            ops,
            grants,
            council,
            vault,
            old_safe,
            new_safe,
            multisig,
            petty_cash,
            placeholder,
            coin,
            old_coin,
            minime,
        };
        treasury.fund(anvil).await;
        treasury.hand_over(anvil).await;
        anvil.set_next_timestamp(READY_TIME).await;
        anvil.mine(1).await;
        treasury
    }

    async fn fund(&self, anvil: &Anvil) {
        let from = DEPLOYER.address;
        let Self { ops, grants, vault, multisig, coin, old_coin, minime, .. } = self;
        let purses = [
            (ops.address, 1_000),
            (grants.address, 500),
            (self.council.address, 10),
            (vault.address, 200),
            (self.old_safe.address, 50),
            (self.new_safe.address, 50),
            (multisig.address, 300),
            (self.petty_cash.address, 20),
            (self.watched_box, 5),
        ];
        for (purse, amount) in purses {
            anvil.succeed(&Tx::pay(from, purse, ether(amount))).await;
        }

        let holders = [(grants.address, 10_000_000), (ops.address, 1_000_000), (vault.address, 500_000)];
        for (holder, amount) in holders.into_iter().chain([(PAYER.address, 100_000)]) {
            coin.mint(anvil, from, holder, coin.units(amount)).await;
        }

        let issue = IToken::issueCall { amount: old_coin.units(3_000_000) };
        anvil.succeed(&Tx::call(from, old_coin.address, issue.abi_encode())).await;
        for (holder, amount) in [(ops.address, 2_000_000), (multisig.address, 500_000)] {
            anvil.succeed(&Tx::call(from, old_coin.address, transfer(holder, old_coin.units(amount)))).await;
        }

        for (holder, amount) in [(multisig.address, 5_000_000), (HOLDER.address, 40_000), (PAYER.address, 1_000)] {
            minime.generate(anvil, from, holder, minime.units(amount)).await;
        }
    }

    /// Gives the offices that the deployer held to those who hold them in the stories.
    async fn hand_over(&self, anvil: &Anvil) {
        let from = DEPLOYER.address;
        for writer in [KEEPER.address, DEPUTY.address] {
            let call = IBox::setWriterCall { writer, allowed: true };
            anvil.succeed(&Tx::call(from, self.watched_box, call.abi_encode())).await;
        }
        let new_owner = self.ops.address;
        for owned in [self.watched_box, self.coin.address] {
            let call = IToken::transferOwnershipCall { newOwner: new_owner };
            anvil.succeed(&Tx::call(from, owned, call.abi_encode())).await;
        }
        let call = IMiniMe::changeControllerCall { newController: self.placeholder };
        anvil.succeed(&Tx::call(from, self.minime.address, call.abi_encode())).await;
        self.grants.enable_module(anvil, self.module, &[OWNER_A, OWNER_B]).await;
    }

    /// The shared contracts of one version.
    pub(crate) fn kit(&self, version: Version) -> &Kit {
        self.kits.iter().find(|kit| kit.version == version).expect("every version is deployed")
    }

    /// Every address with the name a watchlist would give it, accounts included.
    pub(crate) fn labels(&self) -> Vec<(String, Address)> {
        let mut labels: Vec<(String, Address)> = [
            ("Operations Safe", self.ops.address),
            ("Grants Safe", self.grants.address),
            ("Council Safe", self.council.address),
            ("Vault Safe", self.vault.address),
            ("Old Safe", self.old_safe.address),
            ("New Safe", self.new_safe.address),
            ("Founders multisig", self.multisig.address),
            ("Petty cash multisig", self.petty_cash.address),
            ("NET controller", self.placeholder),
            ("COIN", self.coin.address),
            ("OLD", self.old_coin.address),
            ("NET", self.minime.address),
            ("WETH", self.weth),
            ("Box", self.watched_box),
            ("Pay module", self.module),
            ("Slot thief", self.slot_thief),
            ("Drain", self.drain),
            ("Noise", self.noise),
            ("Fake Safe", self.fake_safe),
        ]
        .map(|(label, address)| (label.to_owned(), address))
        .into();
        for kit in &self.kits {
            let version = kit.version.name();
            labels.push((format!("Safe {version} singleton"), kit.singleton));
            labels.push((format!("Safe {version} proxy factory"), kit.factory));
            labels.push((format!("Safe {version} fallback handler"), kit.fallback_handler));
            if kit.singleton_l2 != kit.singleton {
                labels.push((format!("SafeL2 {version} singleton"), kit.singleton_l2));
            }
            labels.push((format!("MultiSend {version}"), kit.multi_send));
            if kit.multi_send_call_only != kit.multi_send {
                labels.push((format!("MultiSendCallOnly {version}"), kit.multi_send_call_only));
            }
        }
        labels.extend(accounts::ALL.map(|Account { name, address, .. }| (name.to_owned(), address)));
        labels
    }

    /// Writes `labels` to `target/world/treasury.json` and returns its path.
    pub(crate) fn write_labels(&self) -> PathBuf {
        let path = world_dir().join("treasury.json");
        // Sorted here, because whether a JSON object keeps its order is some dependency's choice.
        let labels: BTreeMap<String, String> =
            self.labels().into_iter().map(|(label, address)| (label, address.to_string())).collect();
        let text = serde_json::to_string_pretty(&labels).expect("strings are JSON");
        std::fs::write(&path, text + "\n").expect("target/world can be written to");
        path
    }
}

/// A step by name, and the transactions it sent.
pub(crate) type Step = (&'static str, Vec<B256>);

/// `n` ether in wei.
pub(crate) fn ether(n: u64) -> U256 {
    U256::from(n) * U256::from(10).pow(U256::from(18))
}
