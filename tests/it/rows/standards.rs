//! Tokens of the less common standards: what leaves by them is seen as what leaves by an ERC-20 is, whatever the log is called.

use super::{CaseChain, Row, calldata, vouch, watch};
use crate::support::accounts::{DEPLOYER, GRANTEE, PAYER, STRANGER};
use crate::support::contracts::deploy;
use crate::support::treasury::ether;
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolValue;
use watchfire::model::Severity::{Critical, High};

pub(super) const ROWS: &[&Row] = &[&S_6909, &S_OPERATOR, &S_777, &S_BATCH, &S_CALLED];

/// Operators for whomever.
const OPERATORS: &str = "[[watch.normal]]\nname = \"claims\"\nact = \"setOperator(address operator, bool approved)\"\n\
    [[watch.normal]]\nname = \"units\"\nact = \"authorizeOperator(address operator)\"\n\
    [[watch.normal]]\nname = \"badges\"\nact = \"setApprovalForAll(address operator, bool approved)\"\n";

fn payer(rules: &str) -> String {
    watch("eoa", PAYER.address, rules)
}

fn number(n: u64) -> U256 {
    U256::from(n)
}

/// A contract of which the payer holds so much of each id.
async fn holding(stage: &CaseChain, token: &str, held: &[(u64, u64)]) -> Address {
    let token = deploy(&stage.anvil, DEPLOYER.address, token, []).await;
    for (id, amount) in held {
        let mint = (PAYER.address, number(*id), number(*amount)).abi_encode();
        stage.send(DEPLOYER.address, token, calldata("mint(address,uint256,uint256)", mint)).await;
    }
    token
}

const S_6909: Row = Row {
    id: "S-6909",
    finds: "most of one id of an ERC-6909 token leaves by an operator that a rule vouched for",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 1,
    beside: "the operator alone; a transfer of the holder's own, by a rule about it",
};

#[tokio::test(flavor = "multi_thread")]
async fn claims_leave_by_an_operator() {
    for traces in [true, false] {
        let mut stage = CaseChain::new().await;
        stage.trace(traces);
        let claims = holding(&stage, "Claims", &[(7, 1_000), (8, 1_000)]).await;
        let operator = calldata("setOperator(address,bool)", (STRANGER.address, true).abi_encode());
        stage.when(PAYER.address, claims, operator).await.is_quiet(&S_6909, &payer(OPERATORS)).await;
        let taken = (PAYER.address, STRANGER.address, number(7), number(900)).abi_encode();
        let take = calldata("transferFrom(address,address,uint256,uint256)", taken);
        stage.send(STRANGER.address, claims, take).await;
        let seen = stage.finds(&S_6909, &payer(OPERATORS)).await;
        assert_eq!(seen.findings.len(), 1, "{:#?}", seen.findings);
        let own = (GRANTEE.address, number(8), number(50)).abi_encode();
        stage.when(PAYER.address, claims, calldata("transfer(address,uint256,uint256)", own)).await;
        let act = vouch("act", "transfer(address to, uint256 id, uint256 amount)", &[("id", &8)]);
        stage.is_quiet(&S_6909, &payer(&act)).await;
    }
}

const S_OPERATOR: Row = Row {
    id: "S-operator",
    finds: "an operator for all of an ERC-6909 or an ERC-777 token, which no rule vouches for",
    by: "builtin/approval",
    severity: Critical,
    incidents: 1,
    beside: "the same operator taken back, by a rule that names what is asked",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_for_everything_is_an_allowance_without_limit() {
    let mut stage = CaseChain::new().await;
    let claims = holding(&stage, "Claims", &[(7, 1_000)]).await;
    let courier = deploy(&stage.anvil, DEPLOYER.address, "Courier", true.abi_encode()).await;
    let who = STRANGER.address;
    let back = vouch("act", "setOperator(address operator, bool approved)", &[("approved", &false)])
        + &vouch("act", "revokeOperator(address operator)", &[("operator", &who)]);
    let rules = payer(&back);
    let set = [true, false].map(|is_set| calldata("setOperator(address,bool)", (who, is_set).abi_encode()));
    stage.tells_apart(&S_OPERATOR, &rules, [PAYER.address, claims], set).await;
    let units = ["authorizeOperator(address)", "revokeOperator(address)"];
    let units = units.map(|function| calldata(function, who.abi_encode()));
    stage.tells_apart(&S_OPERATOR, &rules, [PAYER.address, courier], units).await;
}

const S_777: Row = Row {
    id: "S-777",
    finds: "most of an ERC-777 token leaves by an operator that a rule vouched for, whether the token logs it as an ERC-20 too or not",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 1,
    beside: "the operator alone; what the holder sends, by a rule",
};

#[tokio::test(flavor = "multi_thread")]
async fn units_leave_by_an_operator_and_are_told_once() {
    let no_bytes = Bytes::new;
    for twice in [true, false] {
        let mut stage = CaseChain::new().await;
        let courier = deploy(&stage.anvil, DEPLOYER.address, "Courier", twice.abi_encode()).await;
        let mint = calldata("mint(address,uint256)", (PAYER.address, number(1_000)).abi_encode());
        stage.send(DEPLOYER.address, courier, mint).await;
        let operator = calldata("authorizeOperator(address)", STRANGER.address.abi_encode());
        stage.when(PAYER.address, courier, operator).await.is_quiet(&S_777, &payer(OPERATORS)).await;
        let taken = (PAYER.address, STRANGER.address, number(600), no_bytes(), no_bytes()).abi_encode_params();
        let take = calldata("operatorSend(address,address,uint256,bytes,bytes)", taken);
        stage.send(STRANGER.address, courier, take).await;
        let burnt = (PAYER.address, number(100), no_bytes(), no_bytes()).abi_encode_params();
        let seen = stage.finds(&S_777, &payer(OPERATORS)).await;
        assert_eq!(seen.findings.len(), 1, "one movement is one finding: {:#?}", seen.findings);
        let burn = calldata("operatorBurn(address,uint256,bytes,bytes)", burnt);
        let seen = stage.when(STRANGER.address, courier, burn).await.seen(&payer(OPERATORS)).await;
        assert_eq!(seen.incidents, [High], "{:#?}", seen.lines);
        let own = (GRANTEE.address, number(50), no_bytes()).abi_encode_params();
        stage.when(PAYER.address, courier, calldata("send(address,uint256,bytes)", own)).await;
        let send = vouch("act", "send(address to, uint256 amount, bytes data)", &[("amount", &50)]);
        stage.is_quiet(&S_777, &payer(&send)).await;
    }
}

const S_BATCH: Row = Row {
    id: "S-batch",
    finds: "an operator takes all of one id of an ERC-1155 token in a batch with others that it gives back at once",
    by: "builtin/outflow",
    severity: Critical,
    incidents: 1,
    beside: "the operator alone",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_which_some_comes_back_is_judged_by_what_does_not() {
    let held = [(1, 1), (2, 1), (3, 1), (4, 1), (7, 1_000)];
    let zeros_first = [(9, 0), (9, 0), (9, 0), (9, 0), (1, 1), (2, 1), (3, 1), (4, 1)];
    let last_first = [(4, 1), (3, 1), (2, 1), (1, 1)];
    for (taken, back) in [(&held[4..], &[][..]), (&held[..], &zeros_first[..]), (&held[..], &last_first[..])] {
        let mut stage = CaseChain::new().await;
        let badges = holding(&stage, "Badges", &held).await;
        let juggler = deploy(&stage.anvil, DEPLOYER.address, "Juggler", []).await;
        let operator = calldata("setApprovalForAll(address,bool)", (juggler, true).abi_encode());
        stage.when(PAYER.address, badges, operator).await.is_quiet(&S_BATCH, &payer(OPERATORS)).await;
        let split = |pieces: &[(u64, u64)]| -> (Vec<U256>, Vec<U256>) {
            pieces.iter().map(|(id, amount)| (number(*id), number(*amount))).unzip()
        };
        let ((ids, amounts), (back_ids, back_amounts)) = (split(taken), split(back));
        let arguments = (badges, PAYER.address, ids, amounts, back_ids, back_amounts).abi_encode_params();
        let juggle = "juggle(address,address,uint256[],uint256[],uint256[],uint256[])";
        stage.send(STRANGER.address, juggler, calldata(juggle, arguments)).await;
        stage.finds(&S_BATCH, &payer(OPERATORS)).await;
    }
}

const S_CALLED: Row = Row {
    id: "S-called",
    finds: "more leaves by a transfer that calls the receiver (ERC-677, ERC-1363) than a rule about `move` lets go",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "as much as it lets go, with traces and without",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_calls_the_receiver_is_a_transfer() {
    for traces in [false, true] {
        let mut stage = CaseChain::new().await;
        stage.trace(traces);
        let token = deploy(&stage.anvil, DEPLOYER.address, "Caller", []).await;
        let reactor = deploy(&stage.anvil, DEPLOYER.address, "Reactor", []).await;
        let mint = calldata("mint(address,uint256)", (reactor, ether(1_000)).abi_encode());
        stage.send(DEPLOYER.address, token, mint).await;
        let list = format!("[token.CALL]\nchain = \"demo\"\naddress = \"{token}\"\ndecimals = 18\n");
        let rules = format!(
            "abi = \"abi/Reactor.json\"\n[[watch.normal]]\nname = \"harvest\"\ncall = \"harvest()\"\n\
             [[watch.normal]]\nname = \"fee\"\nmove = \"out\"\nto = [\"{}\"]\n\
             args = {{ token = \"@CALL\", amount = {{ max = \"10 CALL\" }} }}\n",
            GRANTEE.address
        );
        let watched = list + &watch("contract", reactor, &rules);
        for (amount, is_silent) in [(10_u64, true), (11, false)] {
            let pays = (GRANTEE.address, ether(amount), Bytes::new()).abi_encode_params();
            let pays = Bytes::from(calldata("transferAndCall(address,uint256,bytes)", pays));
            let arguments = (U256::ONE, token, pays, U256::ZERO).abi_encode_params();
            stage.send(DEPLOYER.address, reactor, calldata("prepare(uint8,address,bytes,uint256)", arguments)).await;
            stage.when(DEPLOYER.address, reactor, calldata("harvest()", [])).await;
            if is_silent {
                stage.is_quiet(&S_CALLED, &watched).await;
            } else {
                let seen = stage.seen(&watched).await;
                assert_eq!(seen.incidents.len(), 1, "{:#?}", seen.lines);
                if traces {
                    stage.finds(&S_CALLED, &watched).await;
                }
            }
        }
    }
}
