//! Accounts with a key, and what others do with what they signed.

use super::{CaseChain, Row, calldata, pays, vouch, watch};
use crate::support::accounts::{Account, DEPLOYER, GRANTEE, KEEPER, OWNER_A, RELAYER, STRANGER};
use crate::support::anvil::Tx;
use crate::support::contracts::deploy;
use crate::support::tokens::{Token, approve, transfer, transfer_from};
use crate::support::treasury::ether;
use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use alloy_sol_types::{SolCall, SolValue, sol};
use serde_json::json;
use watchfire::model::Severity::{Critical, High, Warning};

pub(super) const ROWS: &[&Row] = &[&T2B, &T3, &T4, &T4B, &T7, &N4, &E2, &E2B, &E2C, &E4, &E5, &E7, &E7_FEW, &E8, &E11];

/// Where Permit2 stands on every chain.
const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");

sol! {
    interface ISigned {
        function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s);
        function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, bytes signature);
        function approve(address token, address spender, uint160 amount, uint48 expiration);
        function execute(address dest, uint256 value, bytes func);
        function bring(address owner, address token, address spender, uint160 amount);
    }
}

/// A watched account and a token that the configuration knows.
fn account(token: Address, more: &str) -> String {
    let known = format!("[token.COIN]\nchain = \"demo\"\naddress = \"{token}\"\ndecimals = 18\n");
    format!("{known}{}", watch("eoa", OWNER_A.address, more))
}

/// What `signer` signs of a structure for `contract`, by EIP-712 with a name, version 1, this chain.
fn typed(signer: Account, name: &str, contract: Address, structure: B256) -> [u8; 65] {
    let kind = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    let domain = (kind, keccak256(name), keccak256("1"), U256::from(31_337), contract).abi_encode();
    signer.sign(keccak256([&[0x19, 0x01], keccak256(domain).as_slice(), structure.as_slice()].concat()))
}

const T2B: Row = Row {
    id: "T2-spender",
    finds: "a bounded allowance for somebody who is not listed",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same for a listed spender",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_allowance_for_somebody_unlisted() {
    let mut stage = CaseChain::new().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    coin.mint(&stage.anvil, DEPLOYER.address, OWNER_A.address, coin.units(1_000)).await;
    let listed = vouch("act", "approve(address spender, uint256 amount)", &[("spender", &GRANTEE.address)]);
    let rules = account(coin.address, &listed);
    let both = [STRANGER, GRANTEE].map(|spender| approve(spender.address, coin.units(10)).to_vec());
    stage.tells_apart(&T2B, &rules, [OWNER_A.address, coin.address], both).await;
}

const T3: Row = Row {
    id: "T3",
    finds: "somebody else brings a permit that the account signed, for an allowance without limit",
    by: "builtin/approval",
    severity: Critical,
    incidents: 1,
    beside: "a bounded permit for a listed spender, by a rule about the allowance",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_is_brought_by_a_stranger() {
    let mut stage = CaseChain::new().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    let permit = |spender: Address, value: U256, nonce: u64| {
        let kind = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        let words = (kind, OWNER_A.address, spender, value, U256::from(nonce), U256::MAX).abi_encode();
        let signed = typed(OWNER_A, "COIN coin", coin.address, keccak256(words));
        let (r, s) = (B256::from_slice(&signed[..32]), B256::from_slice(&signed[32..64]));
        let (owner, deadline, v) = (OWNER_A.address, U256::MAX, signed[64]);
        ISigned::permitCall { owner, spender, value, deadline, v, r, s }.abi_encode()
    };
    let bounded = format!(
        "[[watch.normal]]\nname = \"spender\"\nmove = \"approval\"\nargs = {{ spender = {{ eq = \"{}\" }}, amount = {{ max = \"100\" }} }}\n",
        GRANTEE.address
    );
    stage.when(STRANGER.address, coin.address, permit(STRANGER.address, U256::MAX, 0)).await;
    stage.finds(&T3, &account(coin.address, &bounded)).await;
    stage.when(RELAYER.address, coin.address, permit(GRANTEE.address, U256::from(100), 1)).await;
    stage.is_quiet(&T3, &account(coin.address, &bounded)).await;
}

const T4: Row = Row {
    id: "T4",
    finds: "Permit2 is brought a permit of the account's, for all of a token",
    by: "builtin/approval",
    severity: Critical,
    incidents: 1,
    beside: "a bounded allowance that the account gives through Permit2 itself; and the same log by a contract that is not Permit2",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_for_permit2() {
    let mut stage = CaseChain::new().await;
    let desk = deploy(&stage.anvil, DEPLOYER.address, "PermitDesk", []).await;
    let code = stage.anvil.code(desk).await;
    stage.anvil.rpc("anvil_setCode", json!([PERMIT2, code])).await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    let swap = format!(
        "[[watch.normal]]\nname = \"swap\"\nact = \"approve(address token, address spender, uint160 amount, uint48 expiration)\"\n\
         to = [\"{PERMIT2}\"]\nargs = {{ spender = {{ eq = \"{}\" }}, amount = {{ max = \"100\" }} }}\n",
        GRANTEE.address
    );
    let all = alloy_primitives::aliases::U160::MAX;
    let (owner, token) = (OWNER_A.address, coin.address);
    let bring = ISigned::bringCall { owner, token, spender: STRANGER.address, amount: all }.abi_encode();
    let approve = ISigned::approveCall {
        token,
        spender: GRANTEE.address,
        amount: alloy_primitives::aliases::U160::from(100),
        expiration: alloy_primitives::aliases::U48::from(9),
    };
    stage.when(owner, PERMIT2, approve.abi_encode()).await;
    stage.send(STRANGER.address, desk, bring.clone()).await;
    stage.is_quiet(&T4, &account(token, &swap)).await;
    stage.when(STRANGER.address, PERMIT2, bring).await.finds(&T4, &account(token, &swap)).await;
}

const T4B: Row = Row {
    id: "T4-lockdown",
    finds: "the account takes back allowances that it gave through Permit2",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "a drill, by a rule that names the spender",
};

#[tokio::test(flavor = "multi_thread")]
async fn allowances_of_permit2_are_taken_back() {
    let mut stage = CaseChain::new().await;
    let desk = deploy(&stage.anvil, DEPLOYER.address, "PermitDesk", []).await;
    let code = stage.anvil.code(desk).await;
    stage.anvil.rpc("anvil_setCode", json!([PERMIT2, code])).await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    let lock = |spender: Address| {
        let pairs = vec![(coin.address, spender)];
        calldata("lockdown((address,address)[])", (pairs,).abi_encode_params())
    };
    let drill = vouch("act", "lockdown", &[("#0[*].spender", &GRANTEE.address)]);
    let drill = format!("{drill}to = [\"{PERMIT2}\"]\n");
    let both = [STRANGER, GRANTEE].map(|spender| lock(spender.address));
    let rules = account(coin.address, &drill);
    stage.tells_apart(&T4B, &rules, [OWNER_A.address, PERMIT2], both).await;
}

const T7: Row = Row {
    id: "T7",
    finds: "somebody else brings a signed transfer of the account's",
    by: "builtin/outflow",
    severity: High,
    incidents: 1,
    beside: "the same for a listed payee, by a rule about what may move",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_transfer_is_brought() {
    let mut stage = CaseChain::new().await;
    let coin = deploy(&stage.anvil, DEPLOYER.address, "SignedCoin", OWNER_A.address.abi_encode()).await;
    let signed = |to: Address, sequence: u64| {
        let kind = keccak256(
            "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)",
        );
        let (from, value, nonce) = (OWNER_A.address, ether(1), B256::from(U256::from(sequence)));
        let (after, before) = (U256::ZERO, U256::from(u64::MAX));
        let words = (kind, from, to, value, after, before, nonce).abi_encode();
        let signature = Bytes::from(typed(OWNER_A, "Signed coin", coin, keccak256(words)).to_vec());
        ISigned::transferWithAuthorizationCall {
            from,
            to,
            value,
            validAfter: after,
            validBefore: before,
            nonce,
            signature,
        }
        .abi_encode()
    };
    let listed = format!("[[watch.normal]]\nname = \"gasless\"\nmove = \"out\"\nto = [\"{}\"]\n", GRANTEE.address);
    stage.when(STRANGER.address, coin, signed(STRANGER.address, 0)).await.finds(&T7, &account(coin, &listed)).await;
    stage.when(RELAYER.address, coin, signed(GRANTEE.address, 1)).await.is_quiet(&T7, &account(coin, &listed)).await;
}

const N4: Row = Row {
    id: "N4",
    finds: "the token's controller moves a holder's tokens, and needs no allowance for it",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "a holder who moves his own, by a rule about transfers",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_takes_a_holder_s_tokens() {
    let mut stage = CaseChain::new().await;
    let token = Token::deploy_minime(&stage.anvil, DEPLOYER.address, "NET").await;
    token.generate(&stage.anvil, DEPLOYER.address, KEEPER.address, token.units(10)).await;
    let moves = "[[watch.normal]]\nname = \"moves\"\ncall = \"transfer\"\n[[watch.normal]]\nname = \"draws\"\ncall = \"transferFrom\"\nargs = { amount = { max = \"1\" } }\n";
    let watchlist = watch("minime", token.address, moves);
    stage.when(KEEPER.address, token.address, transfer(GRANTEE.address, token.units(1))).await;
    stage.is_quiet(&N4, &watchlist).await;
    stage.begin().await;
    let taken = transfer_from(KEEPER.address, STRANGER.address, token.units(9));
    stage.send(DEPLOYER.address, token.address, taken).await;
    stage.finds(&N4, &watchlist).await;
}

/// A transaction of `sender` that carries an authorization by the watched account; returns whether it succeeded.
pub(super) async fn sponsored(
    stage: &CaseChain,
    sender: Account,
    to: Address,
    data: Vec<u8>,
    delegate: Address,
    nonce: u64,
) -> bool {
    let number = |n: u64| match n {
        0 => vec![0x80],
        1..=0x7f => vec![u8::try_from(n).expect("small")],
        _ => [vec![0x82], u16::try_from(n).expect("a chain id of two bytes").to_be_bytes().to_vec()].concat(),
    };
    let list = [number(31_337), [&[0x94], delegate.as_slice()].concat(), number(nonce)].concat();
    let length = 0xc0 + u8::try_from(list.len()).expect("a short list");
    let signed = OWNER_A.sign(keccak256([vec![0x05, length], list].concat()));
    let tx = json!([{
        "from": sender.address, "to": to, "data": Bytes::from(data), "gas": "0x4c4b40", "type": "0x4",
        "authorizationList": [{
            "chainId": "0x7a69", "address": delegate, "nonce": format!("{nonce:#x}"), "yParity": format!("{:#x}", signed[64] - 27),
            "r": U256::from_be_slice(&signed[..32]), "s": U256::from_be_slice(&signed[32..64]),
        }],
    }]);
    let hash = stage.anvil.rpc("eth_sendTransaction", tx).await;
    stage.anvil.receipt(serde_json::from_value(hash).expect("a hash")).await.succeeded()
}

const E2: Row = Row {
    id: "E2",
    finds: "a stranger's transaction delegates the account's code",
    by: "builtin/delegation",
    severity: Critical,
    incidents: 1,
    beside: "the announced code, by a rule that names it and `registry.delegate`",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_account_s_code_is_delegated() {
    let mut stage = CaseChain::new().await;
    let code = deploy(&stage.anvil, DEPLOYER.address, "Puppet", []).await;
    let evil = deploy(&stage.anvil, DEPLOYER.address, "Drain", []).await;
    let announced = format!(
        "registry = {{ delegate = \"{code}\" }}\n[[watch.normal]]\nname = \"announced\"\nact = \"delegate code\"\nto = [\"{code}\"]\n"
    );
    stage.begin().await;
    assert!(sponsored(&stage, STRANGER, KEEPER.address, vec![], evil, 0).await);
    stage.finds(&E2, &watch("eoa", OWNER_A.address, &announced)).await;
    assert_eq!(stage.anvil.code(OWNER_A.address).await.len(), 23, "the account runs other code from now on");
    stage.begin().await;
    assert!(sponsored(&stage, RELAYER, KEEPER.address, vec![], code, 1).await);
    stage.is_quiet(&E2, &watch("eoa", OWNER_A.address, &announced)).await;
    // Whoever writes `*` names nothing.
    let anything = announced.replace("delegate code", "*");
    stage.finds(&E2, &watch("eoa", OWNER_A.address, &anything)).await;
}

const E2B: Row = Row {
    id: "E2-failed",
    finds: "the same in a transaction that reverts: the delegation stays",
    by: "builtin/delegation",
    severity: Critical,
    incidents: 1,
    beside: "a transaction that reverts and carries nothing of the account's",
};

#[tokio::test(flavor = "multi_thread")]
async fn delegated_by_a_transaction_that_failed() {
    let mut stage = CaseChain::new().await;
    let evil = deploy(&stage.anvil, DEPLOYER.address, "Drain", []).await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    let refused: Vec<u8> = transfer(STRANGER.address, coin.units(1)).into();
    stage.begin().await;
    stage.anvil.transact(&Tx::call(STRANGER.address, coin.address, refused.clone())).await;
    let nothing = stage.seen(&watch("eoa", OWNER_A.address, "")).await;
    assert!(nothing.lines.is_empty(), "{:?}", nothing.lines);
    stage.begin().await;
    assert!(!sponsored(&stage, STRANGER, coin.address, refused, evil, 0).await, "the stranger has no coins");
    stage.finds(&E2B, &watch("eoa", OWNER_A.address, "")).await;
    assert_eq!(stage.anvil.code(OWNER_A.address).await.len(), 23, "delegated all the same");
}

const E2C: Row = Row {
    id: "E2-cleared",
    finds: "the account's delegated code, which guarded it, is cleared",
    by: "builtin/delegation",
    severity: Critical,
    incidents: 1,
    beside: "the announced end of it, by a rule about nobody's code",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_account_s_code_is_cleared() {
    let mut stage = CaseChain::new().await;
    let code = deploy(&stage.anvil, DEPLOYER.address, "Puppet", []).await;
    assert!(sponsored(&stage, RELAYER, KEEPER.address, vec![], code, 0).await);
    stage.begin().await;
    assert!(sponsored(&stage, STRANGER, KEEPER.address, vec![], Address::ZERO, 1).await);
    stage.finds(&E2C, &watch("eoa", OWNER_A.address, "")).await;
    assert!(stage.anvil.code(OWNER_A.address).await.is_empty(), "an account as before");
    let announced =
        format!("[[watch.normal]]\nname = \"announced\"\nact = \"clear delegation\"\nto = [\"{}\"]\n", Address::ZERO);
    stage.is_quiet(&E2C, &watch("eoa", OWNER_A.address, &announced)).await;
}

const E4: Row = Row {
    id: "E4",
    finds: "somebody calls the account with calldata, which means something only where its code is delegated",
    by: "builtin/undecodable",
    severity: High,
    incidents: 1,
    beside: "ether that arrives",
};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_calls_the_account() {
    let mut stage = CaseChain::new().await;
    stage.begin().await;
    stage.anvil.succeed(&Tx::pay(STRANGER.address, OWNER_A.address, ether(1))).await;
    stage.is_quiet(&E4, &watch("eoa", OWNER_A.address, "")).await;
    stage.when(STRANGER.address, OWNER_A.address, vec![0xde, 0xad, 0xbe, 0xef]).await;
    stage.finds(&E4, &watch("eoa", OWNER_A.address, "")).await;
}

const E5: Row = Row {
    id: "E5",
    finds: "a payment key creates a contract",
    by: "builtin/creation",
    severity: High,
    incidents: 1,
    beside: "a deployment, by a rule about creations",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_account_creates_a_contract() {
    let mut stage = CaseChain::new().await;
    stage.begin().await;
    deploy(&stage.anvil, OWNER_A.address, "Drain", []).await;
    stage.finds(&E5, &watch("eoa", OWNER_A.address, "")).await;
    let deploys = "[[watch.normal]]\nname = \"deploys\"\nact = \"creation\"\noperation = [\"create\"]\n";
    stage.is_quiet(&E5, &watch("eoa", OWNER_A.address, deploys)).await;
}

const E7: Row = Row {
    id: "E7",
    finds: "the account pays far more for being included than the others of its block",
    by: "builtin/tip",
    severity: Warning,
    incidents: 1,
    beside: "the same by a rule that says how much may be paid for it; and where everybody pays as much",
};

/// A block in which the account pays the grantee, and so many of others, each with such a tip for a unit of gas.
async fn in_a_block(stage: &CaseChain, own_gwei: u64, (n_others, others_gwei): (usize, u64)) {
    let pay = |from: Address, gwei: u64| {
        let tip = U256::from(gwei) * U256::from(1_000_000_000_u64);
        let most = tip + ether(1) / U256::from(10_000_000_u64);
        json!([{
            "from": from, "to": GRANTEE.address, "value": "0x1", "gas": "0x5208", "type": "0x2",
            "maxPriorityFeePerGas": tip, "maxFeePerGas": most,
        }])
    };
    stage.anvil.set_automine(false).await;
    for _ in 0..n_others {
        stage.anvil.rpc("eth_sendTransaction", pay(DEPLOYER.address, others_gwei)).await;
    }
    stage.anvil.rpc("eth_sendTransaction", pay(OWNER_A.address, own_gwei)).await;
    stage.anvil.mine(1).await;
    stage.anvil.set_automine(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_pays_for_being_fast() {
    let mut stage = CaseChain::new().await;
    let pays = pays(GRANTEE.address);
    let (plain, hurry) = (watch("eoa", OWNER_A.address, &pays), format!("{pays}tip = \"0.1 ether\"\n"));
    stage.begin().await;
    in_a_block(&stage, 2_000, (9, 1_000)).await;
    stage.is_quiet(&E7, &plain).await;
    stage.begin().await;
    in_a_block(&stage, 2_000, (9, 1)).await;
    stage.finds(&E7, &plain).await;
    stage.is_quiet(&E7, &watch("eoa", OWNER_A.address, &hurry)).await;
}

const E7_FEW: Row = Row {
    id: "E7-few",
    finds: "the account pays far more for being included than the base fee, in a block of few transactions; or 0.1 ether and more in whichever block",
    by: "builtin/tip",
    severity: Warning,
    incidents: 1,
    beside: "the same by a rule that says how much may be paid for it, and the price of a calm hour",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_account_pays_for_being_fast_where_others_do_not_say_what_is_usual() {
    let mut stage = CaseChain::new().await;
    let pays = pays(GRANTEE.address);
    let (plain, hurry) = (watch("eoa", OWNER_A.address, &pays), format!("{pays}tip = \"0.2 ether\"\n"));
    for (own_gwei, others) in [(2_000, (0, 0)), (2_000, (7, 1_000)), (5_000, (9, 5_000))] {
        stage.begin().await;
        in_a_block(&stage, own_gwei, others).await;
        stage.finds(&E7_FEW, &plain).await;
        stage.is_quiet(&E7_FEW, &watch("eoa", OWNER_A.address, &hurry)).await;
    }
    stage.begin().await;
    in_a_block(&stage, 2, (0, 0)).await;
    stage.is_quiet(&E7_FEW, &plain).await;
}

const E8: Row = Row {
    id: "E8",
    finds: "a key that is for emergencies alone sends anything at all",
    by: "break-glass",
    severity: Critical,
    incidents: 1,
    beside: "ether that arrives for it",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_emergency_key_is_used() {
    let mut stage = CaseChain::new().await;
    let glass = "[[watch.abnormal]]\nname = \"break-glass\"\nact = \"*\"\nseverity = \"critical\"\n";
    stage.begin().await;
    stage.anvil.succeed(&Tx::pay(KEEPER.address, OWNER_A.address, ether(1))).await;
    stage.is_quiet(&E8, &watch("eoa", OWNER_A.address, glass)).await;
    stage.begin().await;
    stage.anvil.succeed(&Tx::pay(OWNER_A.address, GRANTEE.address, ether(1))).await;
    stage.finds(&E8, &watch("eoa", OWNER_A.address, glass)).await;
}

/// EntryPoint 0.7.
const ENTRY_POINT: Address = address!("0000000071727De22E5E9d8BAf0edAc6f37da032");

const E11: Row = Row {
    id: "E-4337",
    finds: "a bundler brings an operation in which the account pays somebody unlisted",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "operations that pay a listed payee, and that of somebody else's account, where no node traces",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_brought_by_a_bundler() {
    let mut stage = CaseChain::new().await;
    stage.without_traces();
    let from = DEPLOYER.address;
    let desk = deploy(&stage.anvil, from, "EntryDesk", []).await;
    let code = stage.anvil.code(desk).await;
    stage.anvil.rpc("anvil_setCode", json!([ENTRY_POINT, code])).await;
    let account = deploy(&stage.anvil, from, "SmartAccount", []).await;
    let other = deploy(&stage.anvil, from, "SmartAccount", []).await;
    for purse in [account, other] {
        stage.anvil.succeed(&Tx::pay(from, purse, ether(5))).await;
    }
    let bundle = |payments: &[(Address, Address)]| {
        let one = |(at, (sender, to)): (usize, &(Address, Address))| {
            let call = ISigned::executeCall { dest: *to, value: ether(1), func: Bytes::new() }.abi_encode();
            let (nonce, nothing) = (U256::from(at), Bytes::new());
            (
                *sender,
                nonce,
                nothing.clone(),
                Bytes::from(call),
                B256::ZERO,
                U256::ZERO,
                B256::ZERO,
                nothing.clone(),
                nothing,
            )
        };
        let ops: Vec<_> = payments.iter().enumerate().map(one).collect();
        // `handleOps` of packed operations.
        [&[0x76, 0x5e, 0x82, 0x7f][..], &(ops, STRANGER.address).abi_encode_params()].concat()
    };
    let pays = format!(
        "abi = \"smart-account\"\n[[watch.normal]]\nname = \"grants\"\nact = \"ether\"\nto = [\"{}\"]\n",
        GRANTEE.address
    );
    let watchlist = watch("contract", account, &pays);
    stage.begin().await;
    let calm = bundle(&[(account, GRANTEE.address), (other, STRANGER.address), (account, GRANTEE.address)]);
    stage.send(RELAYER.address, ENTRY_POINT, calm).await;
    stage.is_quiet(&E11, &watchlist).await;
    stage.when(RELAYER.address, ENTRY_POINT, bundle(&[(account, STRANGER.address)])).await;
    stage.finds(&E11, &watchlist).await;
}
