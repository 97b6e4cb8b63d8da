//! State that changes without a log and without a call that could be seen, and what the registry says of it.

use super::{CaseChain, Row, pays, watch};
use crate::support::abi::IMiniMe;
use crate::support::accounts::{
    DEPLOYER, GRANTEE, HOLDER, KEEPER, OWNER_A, OWNER_B, OWNER_C, PAYER, RELAYER, STRANGER,
};
use crate::support::anvil::{Anvil, Tx};
use crate::support::contracts::{artifact, deploy};
use crate::support::kit::Version;
use crate::support::multisig::Multisig;
use crate::support::safe::{Safe, SafeTx};
use crate::support::tokens::{Token, transfer};
use crate::support::treasury::{SIGNERS, ether};
use alloy_primitives::{Address, B256, Bytes, U256, address, b256, hex, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use serde_json::json;
use watchfire::model::Severity::{Critical, High};

pub(super) const ROWS: &[&Row] = &[
    &S3, &S4_STATE, &S17, &L6_STATE, &L3_STATE, &N1_STATE, &N3, &T1_STATE, &P5, &P6, &P8_STATE, &E3, &E6, &I2,
    &I2_MANY, &I4,
];

const OWNERS: [Address; 3] = [OWNER_A.address, OWNER_B.address, OWNER_C.address];
/// Blocks after which a lone watch was looked at once, whatever happened.
const BEAT: u64 = 50;
/// Writes its second word into the slot that its first word names, in whoever's storage it runs.
const SCRIBE: Address = address!("5C71bE0000000000000000000000000000000001");
const SCRIBE_CODE: [u8; 8] = hex!("6020356000355500");
const IMPLEMENTATION: B256 = b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");

async fn stage() -> (CaseChain, Safe) {
    CaseChain::with_safe(Version::V1_4_1, &OWNERS, 2).await
}

async fn run(stage: &CaseChain, safe: &Safe, tx: SafeTx) {
    safe.exec(&stage.anvil, RELAYER, &tx, &SIGNERS).await;
}

/// The case begins, and what is there is known before anything happens.
async fn settle(stage: &mut CaseChain) {
    stage.begin().await;
    stage.anvil.mine(2).await;
}

async fn overwrite(anvil: &Anvil, of: Address, slot: impl Into<B256>, word: impl Into<B256>) {
    anvil.rpc("anvil_setStorageAt", json!([of, slot.into(), word.into()])).await;
}

/// A box behind a proxy of this kind. A proxy begins with a call: here one that changes nothing.
async fn proxied(stage: &CaseChain, name: &str, arguments: impl Fn(Address, Bytes) -> Vec<u8>) -> (Address, Address) {
    let code = deploy(&stage.anvil, DEPLOYER.address, "Box", KEEPER.address.abi_encode()).await;
    let call = Bytes::copy_from_slice(&keccak256("owner()")[..4]);
    let proxy = deploy(&stage.anvil, DEPLOYER.address, name, arguments(code, call)).await;
    (code, proxy)
}

/// A rule that vouches for what a certain contract does by delegatecall.
fn vouched(library: Address) -> String {
    format!(
        "[[watch.normal]]\nname = \"foreign\"\nact = \"*\"\nto = [\"{library}\"]\noperation = [\"delegatecall\"]\n\
         [[watch.normal]]\nname = \"grants\"\nact = \"ether\"\nto = [\"{}\"]\n",
        GRANTEE.address
    )
}

/// A rule that vouches for one item becoming one value.
fn planned(item: &str, after: &str) -> String {
    format!("[[watch.normal]]\nname = \"planned\"\nstate = \"{item}\"\nargs = {{ after = {after} }}\n")
}

const S3: Row = Row {
    id: "S3",
    finds: "the Safe's code slot is overwritten by foreign code that a rule vouches for, and no log tells of it",
    by: "builtin/state",
    severity: Critical,
    incidents: 1,
    beside: "the migration that was planned, by a rule that names the new singleton",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_code_slot_is_overwritten() {
    let (mut stage, safe) = stage().await;
    let thief = deploy(&stage.anvil, DEPLOYER.address, "SlotThief", []).await;
    let drain = deploy(&stage.anvil, DEPLOYER.address, "Drain", []).await;
    settle(&mut stage).await;
    run(&stage, &safe, SafeTx::delegate(thief, transfer(drain, U256::ZERO))).await;
    let vouching = watch("safe", safe.address, &vouched(thief));
    let seen = stage.finds(&S3, &vouching).await;
    assert_eq!(seen.findings.len(), 1, "the state alone tells of it: {:#?}", seen.findings);
    let twice = stage.seen(&watch("safe", safe.address, "")).await;
    assert_eq!(twice.incidents, [Critical], "{:#?}", twice.findings);
    for by in ["builtin/delegatecall", "builtin/state"] {
        assert!(twice.findings.iter().any(|line| line.ends_with(by)), "no {by} in {:#?}", twice.findings);
    }
    let announced = planned("singleton", &format!("\"{drain}\""));
    stage.is_quiet(&S3, &watch("safe", safe.address, &format!("{}{announced}", vouched(thief)))).await;
}

const S4_STATE: Row = Row {
    id: "S4-state",
    finds: "an owner is written into the list of owners by foreign code that a rule vouches for",
    by: "builtin/state",
    severity: Critical,
    incidents: 1,
    beside: "payments, which change nothing but the nonce and the balance",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_written_into_the_list() {
    let (mut stage, safe) = stage().await;
    stage.anvil.rpc("anvil_setCode", json!([SCRIBE, Bytes::from(SCRIBE_CODE)])).await;
    settle(&mut stage).await;
    let pay = || SafeTx::pay(GRANTEE.address, ether(1));
    run(&stage, &safe, pay()).await;
    run(&stage, &safe, safe.batch(&[pay(), pay()])).await;
    let rules = watch("safe", safe.address, &vouched(SCRIBE));
    stage.is_quiet(&S4_STATE, &rules).await;
    let entry = |owner: Address| keccak256((owner, U256::from(2)).abi_encode());
    let write = |slot: B256, word: B256| SafeTx::delegate(SCRIBE, [slot.as_slice(), word.as_slice()].concat());
    let sentinel = Address::with_last_byte(1);
    let first = stage.anvil.storage(safe.address, U256::from_be_bytes(entry(sentinel).0)).await;
    let links = [
        write(entry(STRANGER.address), first),
        write(entry(sentinel), STRANGER.address.into_word()),
        write(B256::with_last_byte(3), B256::with_last_byte(4)),
    ];
    run(&stage, &safe, safe.batch(&links)).await;
    assert!(safe.owners(&stage.anvil).await.contains(&STRANGER.address));
    let seen = stage.finds(&S4_STATE, &rules).await;
    assert!(seen.findings[0].contains(&format!("state.owner:{}", STRANGER.address)), "{:#?}", seen.findings);
}

const S17: Row = Row {
    id: "S17",
    finds: "the threshold on chain is not the one of the registry, from the start",
    by: "builtin/drift",
    severity: Critical,
    incidents: 1,
    beside: "a registry that says what is there",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_says_otherwise() {
    let (mut stage, safe) = stage().await;
    settle(&mut stage).await;
    run(&stage, &safe, SafeTx::pay(GRANTEE.address, ether(1))).await;
    run(&stage, &safe, SafeTx::pay(GRANTEE.address, ether(1))).await;
    let registry = |threshold: u32| {
        let owners = OWNERS.map(|owner| format!("\"{owner}\"")).join(", ");
        let handler = safe.kit.fallback_handler;
        let registry = format!(
            "registry = {{ owners = [{owners}], threshold = {threshold}, modules = [], guard = \"none\", \
             fallback_handler = \"{handler}\", singleton = \"{}\" }}\n",
            safe.kit.singleton
        );
        watch("safe", safe.address, &format!("{registry}{}", vouched(SCRIBE)))
    };
    let seen = stage.finds(&S17, &registry(3)).await;
    assert_eq!(seen.findings.len(), 1, "once, however often it is looked at: {:#?}", seen.findings);
    stage.is_quiet(&S17, &registry(2)).await;
}

const L6_STATE: Row = Row {
    id: "L6-state",
    finds: "ether leaves a wallet, and nothing that could be seen moved it",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 1,
    beside: "petty cash within the daily limit, by a rule about the payment",
};

#[tokio::test(flavor = "multi_thread")]
async fn ether_leaves_a_wallet_unseen() {
    let mut stage = CaseChain::new().await;
    let owners = [OWNER_A.address, OWNER_B.address];
    let wallet = Multisig::deploy_with_daily_limit(&stage.anvil, DEPLOYER.address, &owners, 2, ether(5)).await;
    stage.anvil.succeed(&Tx::pay(DEPLOYER.address, wallet.address, ether(9))).await;
    settle(&mut stage).await;
    let pays = "[[watch.normal]]\nname = \"petty\"\nact = \"ether\"\nvalue = { max = \"5 ether\" }\n";
    let rules = watch("multisig", wallet.address, pays);
    wallet.submit(&stage.anvil, OWNER_A, GRANTEE.address, ether(1), Bytes::new()).await;
    stage.anvil.mine(BEAT).await;
    stage.is_quiet(&L6_STATE, &rules).await;
    stage.anvil.set_balance(wallet.address, ether(3)).await;
    stage.anvil.mine(BEAT).await;
    stage.finds(&L6_STATE, &rules).await;
}

const L3_STATE: Row = Row {
    id: "L3-state",
    finds: "the number of confirmations required changes without any call",
    by: "builtin/state",
    severity: Critical,
    incidents: 1,
    beside: "the same wallet when nothing happens",
};

#[tokio::test(flavor = "multi_thread")]
async fn fewer_confirmations_are_required() {
    let mut stage = CaseChain::new().await;
    let wallet = Multisig::deploy(&stage.anvil, DEPLOYER.address, &OWNERS, 2).await;
    let rules = watch("multisig", wallet.address, "");
    settle(&mut stage).await;
    stage.anvil.succeed(&Tx::pay(DEPLOYER.address, wallet.address, ether(1))).await;
    stage.anvil.mine(BEAT).await;
    stage.is_quiet(&L3_STATE, &rules).await;
    // `required` stands behind three mappings and the list of owners.
    overwrite(&stage.anvil, wallet.address, B256::with_last_byte(4), B256::with_last_byte(1)).await;
    stage.anvil.mine(BEAT).await;
    stage.finds(&L3_STATE, &rules).await;
}

const N1_STATE: Row = Row {
    id: "N1-state",
    finds: "the token's controller is another, and no call that could be seen made it so",
    by: "builtin/state",
    severity: Critical,
    incidents: 1,
    beside: "the planned hand-over, by a rule about the call, which explains the state as well",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_is_another() {
    let mut stage = CaseChain::new().await;
    let token = Token::deploy_minime(&stage.anvil, DEPLOYER.address, "NET").await;
    let rules = watch(
        "minime",
        token.address,
        &format!(
            "[[watch.normal]]\nname = \"hand-over\"\ncall = \"changeController\"\nargs = {{ newController = \"{}\" }}\n",
            KEEPER.address
        ),
    );
    settle(&mut stage).await;
    let hand_over = [&keccak256("changeController(address)")[..4], KEEPER.address.into_word().as_slice()].concat();
    stage.send(DEPLOYER.address, token.address, hand_over).await;
    stage.anvil.mine(BEAT).await;
    stage.is_quiet(&N1_STATE, &rules).await;
    overwrite(&stage.anvil, token.address, B256::ZERO, STRANGER.address.into_word()).await;
    stage.anvil.mine(BEAT).await;
    stage.finds(&N1_STATE, &rules).await;
}

const N3: Row = Row {
    id: "N3",
    finds: "transfers are switched off, and no call that could be seen did it",
    by: "builtin/state",
    severity: High,
    incidents: 1,
    beside: "the same by the controller, under a rule about the call",
};

#[tokio::test(flavor = "multi_thread")]
async fn transfers_are_switched_off() {
    let mut stage = CaseChain::new().await;
    let token = Token::deploy_minime(&stage.anvil, DEPLOYER.address, "NET").await;
    let call = IMiniMe::generateTokensCall { owner: HOLDER.address, amount: U256::from(5) };
    stage.send(DEPLOYER.address, token.address, call.abi_encode()).await;
    let rule = "[[watch.normal]]\nname = \"pause\"\ncall = \"enableTransfers\"\n";
    let rules = watch("minime", token.address, rule);
    settle(&mut stage).await;
    let switch = |on: bool| [&keccak256("enableTransfers(bool)")[..4], &on.abi_encode()].concat();
    stage.send(DEPLOYER.address, token.address, switch(false)).await;
    stage.send(DEPLOYER.address, token.address, switch(true)).await;
    stage.anvil.mine(BEAT).await;
    stage.is_quiet(&N3, &rules).await;
    // The flag is found by what the call changes: it shares its slot with an address.
    let (place, word) = flag(&stage.anvil, token.address, &switch(false)).await;
    overwrite(&stage.anvil, token.address, place, word).await;
    stage.anvil.mine(BEAT).await;
    stage.finds(&N3, &rules).await;
}

/// Which slot a call of the deployer changes, and into what.
async fn flag(anvil: &Anvil, of: Address, call: &[u8]) -> (B256, B256) {
    let slots = (0..16u8).map(B256::with_last_byte);
    let snapshot = anvil.snapshot().await;
    let mut before = Vec::new();
    for slot in slots.clone() {
        before.push(anvil.storage(of, slot.into()).await);
    }
    anvil.succeed(&Tx::call(DEPLOYER.address, of, call.to_vec())).await;
    let mut changed = None;
    for (slot, before) in slots.zip(before) {
        let after = anvil.storage(of, slot.into()).await;
        if after != before {
            changed = Some((slot, after));
        }
    }
    anvil.restore(snapshot).await;
    changed.expect("the call changes a slot")
}

const T1_STATE: Row = Row {
    id: "T1-state",
    finds: "there are more tokens than were minted by any log",
    by: "builtin/state",
    severity: Critical,
    incidents: 1,
    beside: "a mint by a rule that names its receiver",
};

#[tokio::test(flavor = "multi_thread")]
async fn tokens_come_from_nowhere() {
    let mut stage = CaseChain::new().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, KEEPER.address).await;
    coin.mint(&stage.anvil, KEEPER.address, HOLDER.address, U256::from(1_000)).await;
    let rule = format!(
        "[[watch.normal]]\nname = \"vesting\"\ncall = \"mint(address to, uint256 amount)\"\nargs = {{ to = \"{}\" }}\n",
        HOLDER.address
    );
    let rules = watch("erc20", coin.address, &format!("abi = \"erc20-control\"\n{rule}"));
    settle(&mut stage).await;
    coin.mint(&stage.anvil, KEEPER.address, HOLDER.address, U256::from(7)).await;
    stage.anvil.mine(BEAT).await;
    stage.is_quiet(&T1_STATE, &rules).await;
    let total = B256::from(coin.total_supply(&stage.anvil).await);
    let mut slot = None;
    for n in 0..8u8 {
        if stage.anvil.storage(coin.address, U256::from(n)).await == total {
            slot = Some(B256::with_last_byte(n));
        }
    }
    overwrite(&stage.anvil, coin.address, slot.expect("the supply is stored"), B256::from(U256::from(5_000))).await;
    stage.anvil.mine(BEAT).await;
    stage.finds(&T1_STATE, &rules).await;
}

const P5: Row = Row {
    id: "P5",
    finds: "a proxy's implementation slot changes with no event",
    by: "builtin/state",
    severity: Critical,
    incidents: 1,
    beside: "the release that was announced, by a rule that names the implementation",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_implementation_changes_silently() {
    let mut stage = CaseChain::new().await;
    let new = deploy(&stage.anvil, DEPLOYER.address, "Noise", []).await;
    let (_, proxy) = proxied(&stage, "ERC1967Proxy", |old, call| (old, call).abi_encode_params()).await;
    settle(&mut stage).await;
    overwrite(&stage.anvil, proxy, IMPLEMENTATION, new.into_word()).await;
    stage.anvil.mine(BEAT).await;
    stage.finds(&P5, &watch("proxy", proxy, "")).await;
    stage.is_quiet(&P5, &watch("proxy", proxy, &planned("implementation", &format!("\"{new}\"")))).await;
}

const P6: Row = Row {
    id: "P6",
    finds: "the code at a proxy's implementation is another than it was, at the same address",
    by: "builtin/state",
    severity: Critical,
    incidents: 1,
    beside: "the new code, by a rule that names its hash",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_code_at_an_address_is_another() {
    let mut stage = CaseChain::new().await;
    let (old, proxy) = proxied(&stage, "ERC1967Proxy", |old, call| (old, call).abi_encode_params()).await;
    settle(&mut stage).await;
    stage.anvil.rpc("anvil_setCode", json!([old, Bytes::from(SCRIBE_CODE)])).await;
    stage.anvil.mine(BEAT).await;
    stage.finds(&P6, &watch("proxy", proxy, "")).await;
    let known = planned("implementation-code", &format!("\"{}\"", keccak256(SCRIBE_CODE)));
    stage.is_quiet(&P6, &watch("proxy", proxy, &known)).await;
}

const P8_STATE: Row = Row {
    id: "P8-state",
    finds: "a proxy's ProxyAdmin, which is not watched itself, has another owner",
    by: "builtin/state",
    severity: Critical,
    incidents: 1,
    beside: "the same hand-over, by a rule that names the new owner",
};

#[tokio::test(flavor = "multi_thread")]
async fn who_owns_the_proxy_admin_changes() {
    let mut stage = CaseChain::new().await;
    let arguments = |old, call| (old, OWNER_A.address, call).abi_encode_params();
    let (_, proxy) = proxied(&stage, "TransparentUpgradeableProxy", arguments).await;
    let slot = keccak256("eip1967.proxy.admin");
    let slot = U256::from_be_bytes(slot.0) - U256::ONE;
    let admin = Address::from_word(stage.anvil.storage(proxy, slot).await);
    settle(&mut stage).await;
    stage.anvil.mine(BEAT).await;
    let call = [&keccak256("transferOwnership(address)")[..4], STRANGER.address.into_word().as_slice()].concat();
    stage.send(OWNER_A.address, admin, call).await;
    stage.anvil.mine(BEAT).await;
    stage.finds(&P8_STATE, &watch("proxy", proxy, "")).await;
    let known = planned("admin-owner", &format!("\"{}\"", STRANGER.address));
    stage.is_quiet(&P8_STATE, &watch("proxy", proxy, &known)).await;
}

const E3: Row = Row {
    id: "E3",
    finds: "an account's code is delegated before it is watched",
    by: "builtin/drift",
    severity: Critical,
    incidents: 1,
    beside: "the same account whose registry says to whom",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_was_delegated_before() {
    let mut stage = CaseChain::new().await;
    let wallet = deploy(&stage.anvil, DEPLOYER.address, "Drain", []).await;
    let code = [hex!("ef0100").as_slice(), wallet.as_slice()].concat();
    stage.anvil.rpc("anvil_setCode", json!([PAYER.address, Bytes::from(code)])).await;
    stage.begin().await;
    stage.anvil.mine(2).await;
    stage.anvil.succeed(&Tx::pay(DEPLOYER.address, PAYER.address, ether(1))).await;
    stage.finds(&E3, &watch("eoa", PAYER.address, "")).await;
    let known = format!("registry = {{ delegate = \"{wallet}\" }}\n");
    stage.is_quiet(&E3, &watch("eoa", PAYER.address, &known)).await;
}

const E6: Row = Row {
    id: "E6",
    finds: "an account's nonce grew by more than the transactions that were seen",
    by: "builtin/state",
    severity: High,
    incidents: 1,
    beside: "its own payments, by a rule about them: nonce, balance and fees add up",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_jumps() {
    let mut stage = CaseChain::new().await;
    let rule = pays(GRANTEE.address);
    let rules = watch("eoa", PAYER.address, &rule);
    settle(&mut stage).await;
    for n in 1..4 {
        stage.anvil.succeed(&Tx::pay(PAYER.address, GRANTEE.address, ether(n))).await;
    }
    stage.anvil.mine(BEAT).await;
    stage.is_quiet(&E6, &rules).await;
    stage.anvil.rpc("anvil_setNonce", json!([PAYER.address, "0x20"])).await;
    stage.anvil.mine(BEAT).await;
    stage.finds(&E6, &rules).await;
}

const I2: Row = Row {
    id: "I2",
    finds: "a listed token leaves a Safe, and no log of the token says so",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 1,
    beside: "a payment of the same token by a rule about it",
};

/// All but one unit of what the Safe holds is gone, and no log says so.
async fn leave_one_unit(stage: &CaseChain, coin: &Token, safe: &Safe) {
    let held = B256::from(coin.balance(&stage.anvil, safe.address).await);
    let mut slot = None;
    for n in 0..8u8 {
        let place = keccak256((safe.address, U256::from(n)).abi_encode());
        if stage.anvil.storage(coin.address, place.into()).await == held {
            slot = Some(place);
        }
    }
    overwrite(&stage.anvil, coin.address, slot.expect("the balance is stored"), B256::with_last_byte(1)).await;
}

const I2_MANY: Row = Row {
    id: "I2-many",
    finds: "a listed token leaves without a log, where more tokens are listed than are read at once",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 1,
    beside: "the same list while nothing leaves",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_many_leaves_without_a_log() {
    let (mut stage, safe) = stage().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, KEEPER.address).await;
    coin.mint(&stage.anvil, KEEPER.address, safe.address, U256::from(1_000)).await;
    let listed = |name: &str, address: Address| {
        format!("[token.{name}]\nchain = \"demo\"\naddress = \"{address}\"\ndecimals = 18\n")
    };
    let (mut others, code) = (String::new(), stage.anvil.code(coin.address).await);
    for n in 0x40..0x67 {
        let other = Address::repeat_byte(n);
        stage.anvil.rpc("anvil_setCode", json!([other, code])).await;
        others += &listed(&format!("A{n}"), other);
    }
    let rules = format!("{others}{}{}", listed("COIN", coin.address), watch("safe", safe.address, ""));
    settle(&mut stage).await;
    stage.anvil.mine(2 * BEAT).await;
    assert_eq!(stage.seen(&rules).await.findings, Vec::<String>::new());
    leave_one_unit(&stage, &coin, &safe).await;
    stage.anvil.mine(2 * BEAT).await;
    stage.finds(&I2_MANY, &rules).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_leaves_without_a_log() {
    let (mut stage, safe) = stage().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, KEEPER.address).await;
    coin.mint(&stage.anvil, KEEPER.address, safe.address, U256::from(1_000)).await;
    let token = format!("[token.COIN]\nchain = \"demo\"\naddress = \"{}\"\ndecimals = 18\n", coin.address);
    let rule = "[[watch.normal]]\nname = \"pays\"\nact = \"transfer(address to, uint256 amount)\"\nto = \"@COIN\"\n";
    let rules = format!("{token}{}", watch("safe", safe.address, rule));
    settle(&mut stage).await;
    stage.anvil.mine(BEAT).await;
    run(&stage, &safe, SafeTx::call(coin.address, transfer(GRANTEE.address, U256::from(10)))).await;
    stage.is_quiet(&I2, &rules).await;
    leave_one_unit(&stage, &coin, &safe).await;
    stage.anvil.mine(BEAT).await;
    stage.finds(&I2, &rules).await;
}

const I4: Row = Row {
    id: "I4",
    finds: "wrapped ether leaves a Safe as ether, for somebody who is not listed",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "wrapping and unwrapping by rules about both, where both balances add up",
};

#[tokio::test(flavor = "multi_thread")]
async fn wrapped_ether_adds_up() {
    let (mut stage, safe) = stage().await;
    assert!(!artifact("WETH9").bytecode.is_empty());
    let weth = deploy(&stage.anvil, DEPLOYER.address, "WETH9", []).await;
    let token = format!("[token.WETH]\nchain = \"demo\"\naddress = \"{weth}\"\ndecimals = 18\n");
    let rule = |way: &str, what: &str| format!("[[watch.normal]]\nname = \"{way} {what}\"\n{way} = \"{what}\"\n");
    let acts = format!(
        "{}value = {{ max = \"9 ether\" }}\n{}",
        rule("act", "deposit()"),
        rule("act", "withdraw(uint256 wad)")
    );
    let calls = format!(
        "{}value = {{ max = \"9 ether\" }}\n{}",
        rule("call", "deposit()"),
        rule("call", "withdraw(uint256 wad)")
    );
    let pays = format!("abi = \"weth9\"\n{calls}{}{}", rule("act", "ether"), rule("event", "*"));
    let rules = format!("{token}{}{}", watch("safe", safe.address, &acts), watch("erc20", weth, &pays));
    settle(&mut stage).await;
    stage.anvil.mine(BEAT).await;
    let wrap = SafeTx { value: ether(5), ..SafeTx::call(weth, keccak256("deposit()")[..4].to_vec()) };
    run(&stage, &safe, wrap).await;
    let unwrap = [&keccak256("withdraw(uint256)")[..4], &ether(2).abi_encode()].concat();
    run(&stage, &safe, SafeTx::call(weth, unwrap)).await;
    stage.anvil.mine(BEAT).await;
    stage.is_quiet(&I4, &rules).await;
    run(&stage, &safe, SafeTx::pay(STRANGER.address, ether(1))).await;
    let seen = stage.finds(&I4, &rules).await;
    assert_eq!(seen.findings.len(), 1, "the balance adds up all the same: {:#?}", seen.findings);
}
