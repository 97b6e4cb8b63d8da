//! The oldest wallets, and what is released over time.

use super::{CaseChain, Row, calldata, pays, vouch, watch};
use crate::support::abi::{IOldWallet, IPuppet, IVesting};
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, OWNER_A, OWNER_B, STRANGER};
use crate::support::anvil::Tx;
use crate::support::contracts::deploy;
use crate::support::treasury::ether;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent, SolValue};
use watchfire::model::Severity::{Critical, High};

pub(super) const ROWS: &[&Row] = &[&L7, &L7B, &L7C, &L6, &V1, &V2, &V3, &V4, &V5, &V6];

/// Two owners, both of whom are asked above one ether a day; it holds ether.
async fn wallet() -> (CaseChain, Address) {
    let stage = CaseChain::new().await;
    let wallet = deploy(&stage.anvil, DEPLOYER.address, "OldWallet", []).await;
    let owners = vec![OWNER_A.address, OWNER_B.address];
    let init = IOldWallet::initWalletCall { owners, required: U256::from(2), limit: ether(1) };
    stage.send(DEPLOYER.address, wallet, init.abi_encode()).await;
    stage.anvil.succeed(&Tx::pay(DEPLOYER.address, wallet, ether(50))).await;
    (stage, wallet)
}

async fn submit(stage: &CaseChain, wallet: Address, to: Address, value: U256, data: Vec<u8>) -> Option<B256> {
    let call = IOldWallet::executeCall { to, value, data: data.into() };
    let receipt = stage.anvil.succeed(&Tx::call(OWNER_A.address, wallet, call.abi_encode())).await;
    let log = receipt.log(wallet, IOldWallet::ConfirmationNeeded::SIGNATURE_HASH)?;
    Some(B256::from_slice(&log.data[..32]))
}

async fn confirm(stage: &CaseChain, wallet: Address, operation: B256) {
    stage.send(OWNER_B.address, wallet, IOldWallet::confirmCall { operation }.abi_encode()).await;
}

/// The wallet pays the grantee.
fn rules(wallet: Address, more: &str) -> String {
    let pays = pays(GRANTEE.address);
    watch("parity-multisig", wallet, &format!("{pays}{more}"))
}

const L7: Row = Row {
    id: "L7",
    finds: "a live wallet is initialized again: whoever does it owns it",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "ether that arrives, and a payment of the daily allowance to a listed payee",
};

#[tokio::test(flavor = "multi_thread")]
async fn initialized_again() {
    let (mut stage, wallet) = wallet().await;
    stage.begin().await;
    stage.anvil.succeed(&Tx::pay(STRANGER.address, wallet, ether(1))).await;
    submit(&stage, wallet, GRANTEE.address, ether(1), vec![]).await;
    stage.is_quiet(&L7, &rules(wallet, "")).await;
    stage.begin().await;
    let owners = vec![STRANGER.address];
    let init = IOldWallet::initWalletCall { owners, required: U256::ONE, limit: ether(1_000) };
    stage.send(STRANGER.address, wallet, init.abi_encode()).await;
    stage.finds(&L7, &rules(wallet, "")).await;
}

const L7B: Row = Row {
    id: "L7-kill",
    finds: "the wallet's destruction is submitted, and confirmed",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "a payment above the daily limit to a listed payee, submitted by one owner and confirmed by the other",
};

#[tokio::test(flavor = "multi_thread")]
async fn destroyed_by_its_owners() {
    let (mut stage, wallet) = wallet().await;
    stage.begin().await;
    let operation = submit(&stage, wallet, GRANTEE.address, ether(5), vec![]).await.expect("above the limit");
    confirm(&stage, wallet, operation).await;
    stage.is_quiet(&L7B, &rules(wallet, "")).await;
    stage.begin().await;
    let kill = IOldWallet::killCall { to: STRANGER.address }.abi_encode();
    let operation = submit(&stage, wallet, wallet, U256::ZERO, kill).await.expect("calldata asks everybody");
    stage.finds(&L7B, &rules(wallet, "")).await;
    confirm(&stage, wallet, operation).await;
    stage.finds(&L7B, &rules(wallet, "")).await;
}

const L7C: Row = Row {
    id: "L7-owner",
    finds: "an owner is replaced",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned rotation, by a rule that names both owners; these wallets really do that",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_replaced() {
    let (mut stage, wallet) = wallet().await;
    let change = |to: Address| IOldWallet::changeOwnerCall { from: OWNER_B.address, to }.abi_encode();
    let planned = format!(
        "[[watch.normal]]\nname = \"planned\"\nact = \"changeOwner(address from, address to)\"\nto = [\"{wallet}\"]\n\
         args = {{ from = {{ eq = \"{}\" }}, to = {{ eq = \"{}\" }} }}\n",
        OWNER_B.address, KEEPER.address
    );
    stage.begin().await;
    submit(&stage, wallet, wallet, U256::ZERO, change(STRANGER.address)).await;
    stage.finds(&L7C, &rules(wallet, &planned)).await;
    stage.begin().await;
    let operation =
        submit(&stage, wallet, wallet, U256::ZERO, change(KEEPER.address)).await.expect("everybody is asked");
    confirm(&stage, wallet, operation).await;
    stage.is_quiet(&L7C, &rules(wallet, &planned)).await;
}

const L6: Row = Row {
    id: "L6-parity",
    finds: "one owner pays below the daily limit again and again",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "petty cash: the first of them, by a rule with a limit of its own",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_daily_limit_is_drawn_again_and_again() {
    let (mut stage, wallet) = wallet().await;
    let petty = format!(
        "[[watch.normal]]\nname = \"petty-cash\"\nact = \"ether\"\nto = [\"{}\"]\nlimit = {{ sum = \"value\", max = \"2 ether\", per = \"1d\" }}\n",
        KEEPER.address
    );
    stage.begin().await;
    submit(&stage, wallet, KEEPER.address, ether(1), vec![]).await;
    submit(&stage, wallet, KEEPER.address, ether(1), vec![]).await;
    stage.is_quiet(&L6, &rules(wallet, &petty)).await;
    submit(&stage, wallet, KEEPER.address, ether(1), vec![]).await;
    stage.finds(&L6, &rules(wallet, &petty)).await;
}

/// Ether for the grantee, of which half is due.
async fn vesting() -> (CaseChain, Address) {
    let stage = CaseChain::new().await;
    let (now, day) = (stage.anvil.now().await, 86_400_u64);
    let arguments = (GRANTEE.address, now - day, 2 * day).abi_encode_params();
    let vesting = deploy(&stage.anvil, DEPLOYER.address, "VestingWallet", arguments).await;
    stage.anvil.succeed(&Tx::pay(DEPLOYER.address, vesting, ether(10))).await;
    (stage, vesting)
}

/// The vesting wallet pays the grantee.
fn vested(vesting: Address) -> String {
    let rule = pays(GRANTEE.address);
    watch("vesting", vesting, &rule)
}

const V1: Row = Row {
    id: "vesting-1",
    finds: "a vesting wallet gets another owner, who is paid from then on",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "a release, which anybody may ask for, by a rule about whom it pays",
};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_is_to_be_paid() {
    let (mut stage, vesting) = vesting().await;
    stage.when(STRANGER.address, vesting, IVesting::releaseCall {}.abi_encode()).await;
    stage.is_quiet(&V1, &vested(vesting)).await;
    stage.begin().await;
    let hand = IVesting::transferOwnershipCall { newOwner: STRANGER.address };
    stage.send(GRANTEE.address, vesting, hand.abi_encode()).await;
    stage.finds(&V1, &vested(vesting)).await;
}

const V2: Row = Row {
    id: "vesting-2",
    finds: "somebody tries a function of a token lock that this wallet does not have",
    by: "builtin/attempt",
    severity: High,
    incidents: 1,
    beside: "a release",
};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_tries_to_take_it_all() {
    let (mut stage, vesting) = vesting().await;
    stage.when(KEEPER.address, vesting, IVesting::releaseCall {}.abi_encode()).await;
    stage.is_quiet(&V2, &vested(vesting)).await;
    stage.begin().await;
    // `emergencyWithdraw(address)`
    let data: Bytes = [&[0x6f, 0xf1, 0xc9, 0xbc][..], &STRANGER.address.abi_encode()].concat().into();
    let refused = stage.anvil.transact(&Tx::call(STRANGER.address, vesting, data)).await;
    assert!(!refused.succeeded(), "there is no such function");
    stage.finds(&V2, &vested(vesting)).await;
}

const V3: Row = Row {
    id: "vesting-3",
    finds: "what is not yet vested is taken back",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "a release, which anybody may ask for; and the agreed revocation, by a rule that names the token",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_vesting_is_revoked() {
    let mut stage = CaseChain::new().await;
    let arguments = (KEEPER.address, GRANTEE.address).abi_encode();
    let lock = deploy(&stage.anvil, DEPLOYER.address, "TokenLock", arguments).await;
    let of = |function: &str, token: Address| calldata(function, token.abi_encode());
    let rules = watch("vesting", lock, &vouch("call", "revoke(address token)", &[("token", &OWNER_A.address)]));
    stage.when(STRANGER.address, lock, of("release(address)", OWNER_B.address)).await.is_quiet(&V3, &rules).await;
    let both = [OWNER_B, OWNER_A].map(|token| of("revoke(address)", token.address));
    stage.tells_apart(&V3, &rules, [KEEPER.address, lock], both).await;
}

const V4: Row = Row {
    id: "vesting-4",
    finds: "somebody else is to be paid, from inside another contract's call: where no node traces, its log tells",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the agreed beneficiary, by a rule about the log that names him",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_beneficiary_changes_from_inside() {
    let mut stage = CaseChain::new().await;
    stage.without_traces();
    let puppet = deploy(&stage.anvil, DEPLOYER.address, "Puppet", []).await;
    let lock = deploy(&stage.anvil, DEPLOYER.address, "TokenLock", (puppet, KEEPER.address).abi_encode()).await;
    let rules = watch("vesting", lock, &vouch("event", "BeneficiaryUpdated", &[("#0", &GRANTEE.address)]));
    let both = [STRANGER, GRANTEE].map(|who| {
        let data = calldata("setBeneficiary(address)", who.address.abi_encode()).into();
        IPuppet::makeCall { to: lock, data }.abi_encode()
    });
    stage.tells_apart(&V4, &rules, [STRANGER.address, puppet], both).await;
}

const V5: Row = Row {
    id: "vesting-5",
    finds: "everything is taken out of a lock at once",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the agreed end, by rules about the call that names who gets it and about the payment",
};

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_taken_out_of_a_lock() {
    let mut stage = CaseChain::new().await;
    let lock = deploy(&stage.anvil, DEPLOYER.address, "TokenLock", (KEEPER.address, KEEPER.address).abi_encode()).await;
    let end = vouch("call", "emergencyWithdraw(address)", &[("#0", &GRANTEE.address)]);
    let rules = watch("vesting", lock, &format!("{end}{}", pays(GRANTEE.address)));
    for (to, silent) in [(STRANGER, false), (GRANTEE, true)] {
        stage.anvil.succeed(&Tx::pay(DEPLOYER.address, lock, ether(10))).await;
        let take = calldata("emergencyWithdraw(address)", to.address.abi_encode());
        stage.when(KEEPER.address, lock, take).await.judged(&V5, &rules, silent).await;
    }
}

const V6: Row = Row {
    id: "vesting-6",
    finds: "a release that anybody may ask for pays more than the schedule says is vested",
    by: "builtin/state",
    severity: Critical,
    incidents: 1,
    beside: "releases of what is vested, again and again",
};

#[tokio::test(flavor = "multi_thread")]
async fn more_is_released_than_is_vested() {
    let mut stage = CaseChain::new().await;
    let (now, day) = (stage.anvil.now().await, 86_400_u64);
    let arguments = (GRANTEE.address, U256::from(now - day), U256::from(2 * day)).abi_encode_params();
    let leaky = deploy(&stage.anvil, DEPLOYER.address, "LeakyVesting", arguments).await;
    stage.anvil.succeed(&Tx::pay(DEPLOYER.address, leaky, ether(10))).await;
    stage.begin().await;
    for _ in 0..2 {
        stage.send(STRANGER.address, leaky, IVesting::releaseCall {}.abi_encode()).await;
    }
    stage.is_quiet(&V6, &vested(leaky)).await;
    stage.send(DEPLOYER.address, leaky, calldata("leak()", [])).await;
    stage.when(STRANGER.address, leaky, IVesting::releaseCall {}.abi_encode()).await;
    stage.send(STRANGER.address, leaky, IVesting::releaseCall {}.abi_encode()).await;
    stage.finds(&V6, &vested(leaky)).await;
}
