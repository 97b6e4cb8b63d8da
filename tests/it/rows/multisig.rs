//! The legacy multisig: everything is found at submission, and one incident follows it to its execution.

use super::{CaseChain, Row, calldata, pays, vouch, watch};
use crate::support::abi::IMultiSigWallet;
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, OWNER_A, OWNER_B, OWNER_C, STRANGER};
use crate::support::altered_node::Twisted;
use crate::support::anvil::Tx;
use crate::support::multisig::Multisig;
use crate::support::tokens::Token;
use crate::support::treasury::ether;
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue};
use watchfire::model::Severity::{Critical, High, Warning};

pub(super) const ROWS: &[&Row] = &[&L1, &L2, &L3, &L3_REQUIRED, &L4, &L4_OLD, &L4_HASTY, &L5];

async fn stage() -> (CaseChain, Multisig) {
    let stage = CaseChain::new().await;
    let owners = [OWNER_A.address, OWNER_B.address, OWNER_C.address];
    let wallet = Multisig::deploy(&stage.anvil, DEPLOYER.address, &owners, 2).await;
    stage.anvil.succeed(&Tx::pay(DEPLOYER.address, wallet.address, ether(100))).await;
    (stage, wallet)
}

/// The wallet pays the grantee, and does what else `more` says.
fn rules(wallet: &Multisig, more: &str) -> String {
    let pays = pays(GRANTEE.address);
    watch("multisig", wallet.address, &format!("{more}{pays}"))
}

async fn pay(stage: &CaseChain, wallet: &Multisig, to: Address, wei: U256) -> U256 {
    wallet.submit(&stage.anvil, OWNER_A, to, wei, Bytes::new()).await.0
}

const L1: Row = Row {
    id: "L1",
    finds: "a payment to somebody unlisted is submitted, confirmed and executed",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "a routine payment to a listed payee",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_found_at_its_submission() {
    let (mut stage, wallet) = stage().await;
    stage.begin().await;
    let id = pay(&stage, &wallet, STRANGER.address, ether(1)).await;
    stage.finds(&L1, &rules(&wallet, "")).await;
    wallet.confirm_later(&stage.anvil, OWNER_B, id).await;
    stage.finds(&L1, &rules(&wallet, "")).await;
    stage.begin().await;
    let id = pay(&stage, &wallet, GRANTEE.address, ether(1)).await;
    wallet.confirm_later(&stage.anvil, OWNER_B, id).await;
    stage.is_quiet(&L1, &rules(&wallet, "")).await;
}

const L2: Row = Row {
    id: "L2",
    finds: "a change of a token's controller is submitted",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned change, by a rule that names the next controller",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_control_is_found_at_its_submission() {
    let (mut stage, wallet) = stage().await;
    let token = Token::deploy_minime(&stage.anvil, DEPLOYER.address, "NET").await;
    let change = |to: Address| crate::support::abi::IMiniMe::changeControllerCall { newController: to }.abi_encode();
    stage.send(DEPLOYER.address, token.address, change(wallet.address)).await;
    let planned = format!(
        "[[watch.normal]]\nname = \"planned\"\nact = \"changeController\"\nto = [\"{}\"]\nargs = {{ \"#0\" = {{ eq = \"{}\" }} }}\n",
        token.address, KEEPER.address
    );
    stage.begin().await;
    let submitted =
        wallet.submit(&stage.anvil, OWNER_A, token.address, U256::ZERO, change(STRANGER.address).into()).await;
    stage.finds(&L2, &rules(&wallet, &planned)).await;
    stage.begin().await;
    let next = change(KEEPER.address).into();
    let (id, _) = wallet.submit(&stage.anvil, OWNER_A, token.address, U256::ZERO, next).await;
    wallet.confirm_later(&stage.anvil, OWNER_B, id).await;
    assert_ne!(submitted.0, id);
    stage.is_quiet(&L2, &rules(&wallet, &planned)).await;
}

const L3: Row = Row {
    id: "L3",
    finds: "an owner is added: submitted, confirmed, executed",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned rotation, by a rule that names the new owner",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_added() {
    let (mut stage, wallet) = stage().await;
    let planned = format!(
        "[[watch.normal]]\nname = \"planned\"\nact = \"addOwner\"\nto = [\"{}\"]\nargs = {{ owner = {{ eq = \"{}\" }} }}\n",
        wallet.address, KEEPER.address
    );
    for (owner, expected) in [(STRANGER.address, false), (KEEPER.address, true)] {
        let call = IMultiSigWallet::addOwnerCall { owner }.abi_encode();
        stage.begin().await;
        let (id, _) = wallet.submit(&stage.anvil, OWNER_A, wallet.address, U256::ZERO, call.into()).await;
        wallet.confirm_later(&stage.anvil, OWNER_B, id).await;
        stage.judged(&L3, &rules(&wallet, &planned), expected).await;
    }
}

const L3_REQUIRED: Row = Row {
    id: "L3-required",
    finds: "one confirmation is to be enough: submitted, confirmed, executed",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned number, by a rule that names it; the log of it is explained",
};

#[tokio::test(flavor = "multi_thread")]
async fn one_confirmation_is_to_be_enough() {
    let (mut stage, wallet) = stage().await;
    let planned = vouch("act", "changeRequirement", &[("#0", &3)]);
    let rules = rules(&wallet, &format!("{planned}to = [\"{}\"]\n", wallet.address));
    for (required, silent) in [(3_u64, true), (1, false)] {
        let call = calldata("changeRequirement(uint256)", U256::from(required).abi_encode());
        stage.begin().await;
        let (id, _) = wallet.submit(&stage.anvil, OWNER_A, wallet.address, U256::ZERO, call.into()).await;
        wallet.confirm_later(&stage.anvil, OWNER_B, id).await;
        if !silent {
            wallet.confirm_later(&stage.anvil, OWNER_C, id).await;
        }
        stage.judged(&L3_REQUIRED, &rules, silent).await;
    }
}

const L4: Row = Row {
    id: "L4",
    finds: "an owner confirms who is not in the registry",
    by: "builtin/confirmer",
    severity: High,
    incidents: 1,
    beside: "the same confirmation by an owner who is",
};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_unexpected_confirms() {
    let (mut stage, wallet) = stage().await;
    // That the third owner is not in the registry is found by the state as well, which is another row.
    let owners = format!("owners = [\"{}\", \"{}\"]", OWNER_A.address, OWNER_B.address);
    let registry = format!("registry = {{ {owners} }}\nbuiltins = {{ off = [\"builtin/drift\"] }}\n");
    let id = pay(&stage, &wallet, GRANTEE.address, ether(1)).await;
    stage.begin().await;
    wallet.confirm_later(&stage.anvil, OWNER_C, id).await;
    stage.finds(&L4, &rules(&wallet, &registry)).await;
    let id = pay(&stage, &wallet, GRANTEE.address, ether(1)).await;
    stage.begin().await;
    wallet.confirm_later(&stage.anvil, OWNER_B, id).await;
    stage.is_quiet(&L4, &rules(&wallet, &registry)).await;
}

const L4_OLD: Row = Row {
    id: "L4-old",
    finds: "an owner confirms what was submitted a year ago, and it is carried out",
    by: "builtin/stale-confirmation",
    severity: High,
    incidents: 1,
    beside: "a submission of last week, confirmed today",
};

#[tokio::test(flavor = "multi_thread")]
async fn something_old_is_confirmed() {
    let (mut stage, wallet) = stage().await;
    for (days, silent) in [(7, true), (365, false)] {
        stage.begin().await;
        let id = pay(&stage, &wallet, GRANTEE.address, ether(1)).await;
        stage.anvil.set_next_timestamp(stage.anvil.now().await + days * 86_400).await;
        wallet.confirm(&stage.anvil, OWNER_B, id).await;
        stage.judged(&L4_OLD, &rules(&wallet, ""), silent).await;
    }
}

const L4_HASTY: Row = Row {
    id: "L4-hasty",
    finds: "an owner confirms within the minute what nobody can have read, and it is carried out",
    by: "builtin/hasty-confirmation",
    severity: High,
    incidents: 1,
    beside: "the same an hour later, and by a bot that confirms by itself, by a rule about its confirmations",
};

#[tokio::test(flavor = "multi_thread")]
async fn something_unread_is_confirmed() {
    let (mut stage, wallet) = stage().await;
    let bot =
        format!("[[watch.normal]]\nname = \"bot\"\ncall = \"confirmTransaction\"\nfrom = [\"{}\"]\n", OWNER_C.address);
    let rules = rules(&wallet, &bot);
    stage.begin().await;
    let id = pay(&stage, &wallet, GRANTEE.address, ether(1)).await;
    wallet.confirm(&stage.anvil, OWNER_B, id).await;
    stage.finds(&L4_HASTY, &rules).await;
    stage.begin().await;
    let id = pay(&stage, &wallet, GRANTEE.address, ether(1)).await;
    wallet.confirm_later(&stage.anvil, OWNER_B, id).await;
    let id = pay(&stage, &wallet, GRANTEE.address, ether(1)).await;
    wallet.confirm(&stage.anvil, OWNER_C, id).await;
    stage.is_quiet(&L4_HASTY, &rules).await;
}

const L5: Row = Row {
    id: "L5",
    finds: "the last confirmation executes what fails, in a transaction that succeeds",
    by: "builtin/inner-failure",
    severity: Warning,
    incidents: 1,
    beside: "the same payment when there is money for it",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_fails() {
    let (mut stage, wallet) = stage().await;
    stage.begin().await;
    let id = pay(&stage, &wallet, GRANTEE.address, ether(1_000)).await;
    wallet.confirm_later(&stage.anvil, OWNER_B, id).await;
    stage.finds(&L5, &rules(&wallet, "")).await;
    stage.begin().await;
    let id = pay(&stage, &wallet, GRANTEE.address, ether(1)).await;
    wallet.confirm_later(&stage.anvil, OWNER_B, id).await;
    stage.is_quiet(&L5, &rules(&wallet, "")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_that_cannot_be_read_is_told_as_that_and_as_nothing_else() {
    let mut stage = CaseChain::new().await;
    stage.without_traces();
    let owners = [OWNER_A.address, OWNER_B.address, OWNER_C.address];
    let wallet = Multisig::deploy(&stage.anvil, DEPLOYER.address, &owners, 3).await;
    stage.anvil.succeed(&Tx::pay(DEPLOYER.address, wallet.address, ether(100))).await;
    let id = pay(&stage, &wallet, GRANTEE.address, ether(1)).await;
    stage.begin().await;
    wallet.confirm_later(&stage.anvil, OWNER_B, id).await;
    stage.is_quiet(&L1, &rules(&wallet, "")).await;
    // The same, and the node does not say what was submitted.
    let glass = Twisted::start(&stage.anvil).await;
    glass.twist(|method, _, response| {
        if method == "eth_call" {
            let error = serde_json::json!({ "code": -32000, "message": "missing trie node" });
            *response = serde_json::json!({ "jsonrpc": "2.0", "id": response["id"], "error": error });
        }
    });
    stage.ask_through(glass.url());
    let seen = stage.seen(&rules(&wallet, "")).await;
    let told = seen.headlines.join("\n");
    assert!(!seen.findings.is_empty(), "{:#?}", seen.lines);
    assert!(told.contains("a call that could not be read") && !told.contains("created"), "{told}");
    let notes = format!("{:?}", seen.judged);
    assert!(notes.contains(&format!("What submission {id} does could not be read from the node.")), "{notes}");
}
