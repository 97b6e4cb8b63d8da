//! Governors: found when it is proposed, with the time of the vote to react.

use super::{CaseChain, Row, calldata, pays, vouch, watch};
use crate::support::abi::{IGovernor, IPuppet, IToken};
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, STRANGER};
use crate::support::anvil::{Anvil, Tx};
use crate::support::contracts::deploy;
use crate::support::tokens::Token;
use crate::support::treasury::ether;
use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use alloy_sol_types::{SolCall, SolValue, sol};
use watchfire::model::Severity::{Critical, High, Warning};

pub(super) const ROWS: &[&Row] = &[&G1, &G2, &G3, &G4, &G5, &G6, &G7, &G8, &G9, &G10, &G11, &Z1, &Z2, &Z3, &Z4];

type Call = (Address, U256, Vec<u8>);

/// A council with all votes at the deployer, one block of delay and two of vote; it holds ether.
async fn stage() -> (CaseChain, Address) {
    let stage = CaseChain::new().await;
    let votes = deploy(&stage.anvil, DEPLOYER.address, "Ballot", []).await;
    let council = deploy(&stage.anvil, DEPLOYER.address, "Council", (votes, 2_u32).abi_encode_params()).await;
    stage.anvil.succeed(&Tx::pay(DEPLOYER.address, council, ether(10))).await;
    (stage, council)
}

fn propose(calls: &[Call], text: &str) -> Vec<u8> {
    IGovernor::proposeCall {
        targets: calls.iter().map(|call| call.0).collect(),
        values: calls.iter().map(|call| call.1).collect(),
        calldatas: calls.iter().map(|call| call.2.clone().into()).collect(),
        description: text.to_owned(),
    }
    .abi_encode()
}

fn execute(calls: &[Call], text: &str) -> Vec<u8> {
    IGovernor::executeCall {
        targets: calls.iter().map(|call| call.0).collect(),
        values: calls.iter().map(|call| call.1).collect(),
        calldatas: calls.iter().map(|call| call.2.clone().into()).collect(),
        descriptionHash: keccak256(text),
    }
    .abi_encode()
}

fn id(calls: &[Call], text: &str) -> U256 {
    U256::from_be_bytes(keccak256(&execute(calls, text)[4..]).0)
}

async fn vote(anvil: &Anvil, council: Address, id: U256) {
    anvil.mine(2).await;
    let call = IGovernor::castVoteCall { proposalId: id, support: 1 }.abi_encode();
    anvil.succeed(&Tx::call(DEPLOYER.address, council, call)).await;
    anvil.mine(3).await;
}

/// The council pays the grantee.
fn rules(council: Address, more: &str) -> String {
    let pays = pays(GRANTEE.address);
    watch("governor", council, &format!("{more}{pays}"))
}

fn pay(to: Address) -> Call {
    (to, ether(1), vec![])
}

const G1: Row = Row {
    id: "governor-1",
    finds: "a mint is proposed by a stranger",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "a proposal of words alone, which has to hold a call and calls nothing, with the votes on it",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_is_proposed() {
    let (mut stage, council) = stage().await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, council).await;
    let mint = IToken::mintCall { to: STRANGER.address, amount: coin.units(1) }.abi_encode();
    let words = [(Address::ZERO, U256::ZERO, vec![])];
    stage.when(STRANGER.address, council, propose(&words, "we like it here")).await;
    vote(&stage.anvil, council, id(&words, "we like it here")).await;
    stage.is_quiet(&G1, &rules(council, "")).await;
    stage.when(STRANGER.address, council, propose(&[(coin.address, U256::ZERO, mint)], "a gift")).await;
    stage.finds(&G1, &rules(council, "")).await;
}

const G11: Row = Row {
    id: "governor-10",
    finds: "somebody proposes who is not known to, if only words",
    by: "builtin/executor",
    severity: Warning,
    incidents: 1,
    beside: "the same words by one whom `executors` lists; and a vote by anybody",
};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_unknown_proposes() {
    let (mut stage, council) = stage().await;
    let words = [(Address::ZERO, U256::ZERO, vec![])];
    let rules = rules(council, &format!("executors = [\"{}\"]\n", KEEPER.address));
    stage.when(KEEPER.address, council, propose(&words, "we like it here")).await;
    vote(&stage.anvil, council, id(&words, "we like it here")).await;
    stage.is_quiet(&G11, &rules).await;
    stage.when(STRANGER.address, council, propose(&words, "and there")).await;
    stage.finds(&G11, &rules).await;
}

const G2: Row = Row {
    id: "governor-2",
    finds: "a payment to somebody unlisted is proposed, voted and carried out",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same for a listed payee, from the proposal to its execution",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_voted() {
    let (mut stage, council) = stage().await;
    for (payee, expected) in [(STRANGER.address, false), (GRANTEE.address, true)] {
        let calls = [pay(payee)];
        stage.when(STRANGER.address, council, propose(&calls, "pay")).await;
        vote(&stage.anvil, council, id(&calls, "pay")).await;
        stage.send(STRANGER.address, council, execute(&calls, "pay")).await;
        stage.judged(&G2, &rules(council, ""), expected).await;
    }
}

const G3: Row = Row {
    id: "governor-3",
    finds: "what is carried out had less time than `registry.delay` says",
    by: "builtin/short-delay",
    severity: Critical,
    incidents: 1,
    beside: "the same, with a floor that its vote keeps",
};

#[tokio::test(flavor = "multi_thread")]
async fn too_little_time_to_vote() {
    let (mut stage, council) = stage().await;
    let calls = [pay(GRANTEE.address)];
    stage.when(KEEPER.address, council, propose(&calls, "pay")).await;
    vote(&stage.anvil, council, id(&calls, "pay")).await;
    stage.send(KEEPER.address, council, execute(&calls, "pay")).await;
    stage.finds(&G3, &rules(council, "registry = { delay = \"1d\" }\n")).await;
    stage.is_quiet(&G3, &rules(council, "registry = { delay = \"60s\" }\n")).await;
}

const G4: Row = Row {
    id: "governor-4",
    finds: "the time before a vote is to change",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned change, by a rule that names it; the log of it is explained",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_of_the_vote_change() {
    let (mut stage, council) = stage().await;
    let set = |blocks: u64| {
        let call = IGovernor::setVotingDelayCall { newVotingDelay: alloy_primitives::aliases::U48::from(blocks) };
        [(council, U256::ZERO, call.abi_encode())]
    };
    let planned = format!(
        "[[watch.normal]]\nname = \"planned\"\nact = \"setVotingDelay(uint48 newVotingDelay)\"\nto = [\"{council}\"]\n\
         args = {{ newVotingDelay = {{ eq = \"9\" }} }}\n"
    );
    stage.when(STRANGER.address, council, propose(&set(0), "faster")).await.finds(&G4, &rules(council, &planned)).await;
    stage.when(STRANGER.address, council, propose(&set(9), "slower")).await;
    vote(&stage.anvil, council, id(&set(9), "slower")).await;
    stage.send(STRANGER.address, council, execute(&set(9), "slower")).await;
    stage.is_quiet(&G4, &rules(council, &planned)).await;
}

/// `0x00000001`, then target, length and calldata of each call.
fn script(calls: &[Call]) -> Bytes {
    let call = |(to, _, data): &Call| {
        let len = u32::try_from(data.len()).expect("short").to_be_bytes();
        [to.as_slice(), &len, data].concat()
    };
    [vec![0, 0, 0, 1], calls.iter().flat_map(call).collect()].concat().into()
}

const G5: Row = Row {
    id: "N6",
    finds: "a script is put to the vote and carried out in one block",
    by: "builtin/unscheduled",
    severity: Critical,
    incidents: 1,
    beside: "the same script by a rule about what it calls, a block between its vote and its execution",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_voted_and_run_at_once() {
    let mut stage = CaseChain::new().await;
    let council = deploy(&stage.anvil, DEPLOYER.address, "ScriptCouncil", []).await;
    let puppet = deploy(&stage.anvil, DEPLOYER.address, "Puppet", []).await;
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, council).await;
    let mint = IToken::mintCall { to: GRANTEE.address, amount: coin.units(1) }.abi_encode();
    let text = script(&[(coin.address, U256::ZERO, mint)]);
    let ask = || IGovernor::newVoteCall { executionScript: text.clone(), metadata: String::new() }.abi_encode();
    let run = |id: u64| IGovernor::executeVoteCall { voteId: U256::from(id) }.abi_encode();
    let planned = format!(
        "[[watch.normal]]\nname = \"planned\"\nact = \"mint(address to, uint256 amount)\"\nto = [\"{}\"]\n\
         args = {{ to = {{ eq = \"{}\" }} }}\n",
        coin.address, GRANTEE.address
    );
    stage.when(STRANGER.address, council, ask()).await;
    stage.send(STRANGER.address, council, run(0)).await;
    stage.is_quiet(&G5, &rules(council, &planned)).await;
    stage.begin().await;
    let both = IPuppet::makeTwoCall { to: council, first: ask().into(), second: run(1).into() };
    stage.send(STRANGER.address, puppet, both.abi_encode()).await;
    stage.finds(&G5, &rules(council, &planned)).await;
}

const G6: Row = Row {
    id: "governor-5",
    finds: "a governor's timelock is to take a mint: proposed, queued and carried out, each watch told once",
    by: "builtin/control",
    severity: Critical,
    incidents: 2,
    beside: "a payment on the same way, by the same rule at the governor and at the timelock",
};

#[tokio::test(flavor = "multi_thread")]
async fn through_a_timelock() {
    let mut stage = CaseChain::new().await;
    let from = DEPLOYER.address;
    let votes = deploy(&stage.anvil, from, "Ballot", []).await;
    let nobody: Vec<Address> = vec![];
    let arguments = (U256::from(60), nobody, vec![Address::ZERO], from).abi_encode_params();
    let lock = deploy(&stage.anvil, from, "TimelockController", arguments).await;
    let council = deploy(&stage.anvil, from, "LockedCouncil", (votes, lock).abi_encode_params()).await;
    let proposer = (keccak256("PROPOSER_ROLE"), council).abi_encode_params();
    stage.send(from, lock, [&[0x2f, 0x2f, 0xf1, 0x5d][..], &proposer].concat()).await;
    stage.anvil.succeed(&Tx::pay(from, lock, ether(10))).await;
    let coin = Token::deploy_coin(&stage.anvil, from, "COIN", 18, lock).await;
    let both = format!(
        "{}{}",
        rules(council, ""),
        rules(lock, "registry = { open_executor = true }\n").replace("kind = \"governor\"", "kind = \"timelock\"")
    );
    let mint = IToken::mintCall { to: STRANGER.address, amount: coin.units(1) }.abi_encode();
    for (calls, text, expected) in
        [(vec![pay(GRANTEE.address)], "pay", true), (vec![(coin.address, U256::ZERO, mint)], "mint", false)]
    {
        stage.when(from, council, propose(&calls, text)).await;
        vote(&stage.anvil, council, id(&calls, text)).await;
        let queue = [&IGovernor::queueCall::SELECTOR[..], &execute(&calls, text)[4..]].concat();
        stage.send(from, council, queue).await;
        stage.anvil.set_next_timestamp(stage.anvil.now().await + 120).await;
        stage.send(from, council, execute(&calls, text)).await;
        stage.judged(&G6, &both, expected).await;
    }
}

sol! {
    interface IShapes {
        function propose(address[] targets, uint256[] values, string[] signatures, bytes[] calldatas, string description) returns (uint256);
        function execute(uint256 proposalId);
        function execTransactionFromModule(address to, uint256 value, bytes data, uint8 operation) returns (bool);
        function setTarget(address target);
    }
}

const G7: Row = Row {
    id: "governor-6",
    finds: "a governor of Bravo's shape carries out by number what was proposed before anybody watched",
    by: "builtin/unscheduled",
    severity: Critical,
    incidents: 1,
    beside: "a proposal that was seen, its function written out in words, and carried out by number",
};

#[tokio::test(flavor = "multi_thread")]
async fn carried_out_by_number() {
    let mut stage = CaseChain::new().await;
    let from = DEPLOYER.address;
    let council = deploy(&stage.anvil, from, "BravoStyleGovernor", []).await;
    let coin = Token::deploy_coin(&stage.anvil, from, "COIN", 18, from).await;
    coin.mint(&stage.anvil, from, council, coin.units(10)).await;
    let propose = |units: u64| {
        let data = (GRANTEE.address, coin.units(units)).abi_encode_params();
        IShapes::proposeCall {
            targets: vec![coin.address],
            values: vec![U256::ZERO],
            signatures: vec!["transfer(address,uint256)".to_owned()],
            calldatas: vec![data.into()],
            description: "pay".to_owned(),
        }
        .abi_encode()
    };
    let run = |id: u64| IShapes::executeCall { proposalId: U256::from(id) }.abi_encode();
    let pays = format!(
        "[[watch.normal]]\nname = \"coins\"\nact = \"transfer(address to, uint256 amount)\"\nto = [\"{}\"]\n\
         args = {{ to = {{ eq = \"{}\" }} }}\n",
        coin.address, GRANTEE.address
    );
    stage.send(STRANGER.address, council, propose(1)).await;
    stage.when(STRANGER.address, council, run(0)).await.finds(&G7, &rules(council, &pays)).await;
    stage.when(STRANGER.address, council, propose(2)).await;
    stage.send(STRANGER.address, council, run(1)).await;
    stage.is_quiet(&G7, &rules(council, &pays)).await;
}

const G8: Row = Row {
    id: "governor-7",
    finds: "somebody votes with power that was delegated to him for this vote",
    by: "builtin/fresh-votes",
    severity: Critical,
    incidents: 1,
    beside: "a vote by power that was held for longer than a day",
};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_votes_with_fresh_power() {
    let mut stage = CaseChain::new().await;
    let votes = deploy(&stage.anvil, DEPLOYER.address, "TimedBallot", []).await;
    let council = deploy(&stage.anvil, DEPLOYER.address, "Council", (votes, 600_u32).abi_encode_params()).await;
    stage.anvil.set_next_timestamp(stage.anvil.now().await + 90_000).await;
    stage.anvil.mine(1).await;
    let words = [(Address::ZERO, U256::ZERO, vec![])];
    stage.when(KEEPER.address, council, propose(&words, "we like it here")).await;
    vote(&stage.anvil, council, id(&words, "we like it here")).await;
    stage.is_quiet(&G8, &rules(council, "")).await;
    let give = calldata("transfer(address,uint256)", (STRANGER.address, ether(400)).abi_encode());
    stage.send(DEPLOYER.address, votes, give).await;
    let lend = calldata("delegate(address)", STRANGER.address.abi_encode());
    stage.send(STRANGER.address, votes, lend).await;
    stage.when(KEEPER.address, council, propose(&words, "we like it there")).await;
    stage.anvil.mine(2).await;
    let call = IGovernor::castVoteCall { proposalId: id(&words, "we like it there"), support: 1 };
    stage.send(STRANGER.address, council, call.abi_encode()).await;
    stage.finds(&G8, &rules(council, "")).await;
}

const G9: Row = Row {
    id: "governor-8",
    finds: "fewer votes are to be enough",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned quorum, by a rule that names it",
};

#[tokio::test(flavor = "multi_thread")]
async fn the_quorum_is_to_change() {
    let (mut stage, council) = stage().await;
    let planned = vouch("act", "updateQuorumNumerator", &[("newQuorumNumerator", &10)]);
    let rules = rules(council, &format!("{planned}to = [\"{council}\"]\n"));
    let both = [1_u64, 10].map(|part| {
        let call = calldata("updateQuorumNumerator(uint256)", U256::from(part).abi_encode());
        propose(&[(council, U256::ZERO, call)], "another quorum")
    });
    stage.tells_apart(&G9, &rules, [STRANGER.address, council], both).await;
}

const G10: Row = Row {
    id: "governor-9",
    finds: "a proposal is cancelled",
    by: "builtin/control",
    severity: Warning,
    incidents: 1,
    beside: "the same by whom the rules name, with its log",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_is_cancelled() {
    let (mut stage, council) = stage().await;
    let words = [(Address::ZERO, U256::ZERO, vec![])];
    stage.send(KEEPER.address, council, propose(&words, "a slip")).await;
    let cancel = [&hex!("452115d6")[..], &execute(&words, "a slip")[4..]].concat();
    stage.when(KEEPER.address, council, cancel).await.finds(&G10, &rules(council, "")).await;
    let keeper = format!(
        "{}from = [\"{}\"]\n",
        vouch("call", "cancel(address[],uint256[],bytes[],bytes32)", &[]),
        KEEPER.address
    );
    let keeper = format!("{keeper}{}", vouch("event", "ProposalCanceled", &[]));
    stage.is_quiet(&G10, &rules(council, &keeper)).await;
}

const Z1: Row = Row {
    id: "zodiac-1",
    finds: "a module asks for an unlisted payment, which waits in the queue of a Delay",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same for a listed payee",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_waits_in_a_delay() {
    let mut stage = CaseChain::new().await;
    let delay = deploy(&stage.anvil, DEPLOYER.address, "DelayModifier", []).await;
    let ask = |to: Address| {
        let (value, data, operation) = (ether(1), Bytes::new(), 0);
        IShapes::execTransactionFromModuleCall { to, value, data, operation }.abi_encode()
    };
    stage.when(KEEPER.address, delay, ask(GRANTEE.address)).await.is_quiet(&Z1, &rules(delay, "")).await;
    stage.when(KEEPER.address, delay, ask(STRANGER.address)).await.finds(&Z1, &rules(delay, "")).await;
}

const Z2: Row = Row {
    id: "zodiac-2",
    finds: "where a module sends its calls changes",
    by: "builtin/control",
    severity: Critical,
    incidents: 1,
    beside: "the planned change, by a rule that names the target; its log is explained",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_module_gets_another_target() {
    let mut stage = CaseChain::new().await;
    let delay = deploy(&stage.anvil, DEPLOYER.address, "DelayModifier", []).await;
    let set = |target: Address| IShapes::setTargetCall { target }.abi_encode();
    let planned = format!(
        "[[watch.normal]]\nname = \"planned\"\ncall = \"setTarget\"\nargs = {{ target = {{ eq = \"{}\" }} }}\n",
        GRANTEE.address
    );
    let rules = rules(delay, &planned);
    let both = [set(STRANGER.address), set(GRANTEE.address)];
    stage.tells_apart(&Z2, &rules, [KEEPER.address, delay], both).await;
}

const Z3: Row = Row {
    id: "zodiac-3",
    finds: "somebody asks the oracle a question whose answer executes a proposal",
    by: "builtin/control",
    severity: High,
    incidents: 1,
    beside: "the announced proposal, by rules about its call and its log",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_asked_whose_answer_executes() {
    let mut stage = CaseChain::new().await;
    let reality = deploy(&stage.anvil, DEPLOYER.address, "RealityAsker", []).await;
    let (theirs, ours) = (keccak256("theirs"), keccak256("ours"));
    let ask = |what: B256| {
        calldata("addProposal(string,bytes32[])", ("a proposal".to_owned(), vec![what]).abi_encode_params())
    };
    let announced = [
        vouch("call", "addProposal(string proposalId, bytes32[] txHashes)", &[("txHashes[*]", &ours)]),
        vouch(
            "event",
            "ProposalQuestionCreated",
            &[("questionId", &keccak256(("a proposal".to_owned(), vec![ours]).abi_encode_params()))],
        ),
    ];
    let rules = rules(reality, &announced.concat());
    stage.tells_apart(&Z3, &rules, [STRANGER.address, reality], [ask(theirs), ask(ours)]).await;
}

const Z4: Row = Row {
    id: "zodiac-4",
    finds: "the oracle is given an answer to the question whose answer executes a proposal",
    by: "builtin/control",
    severity: High,
    incidents: 1,
    beside: "the announced answer, by a rule that names who answers what; one to somebody else's question; and the same log by a contract \
             that is not the module's oracle",
};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_executes_is_given() {
    let mut stage = CaseChain::new().await;
    let reality = deploy(&stage.anvil, DEPLOYER.address, "RealityAsker", []).await;
    let (oracle, forger) = (reality.create(1), deploy(&stage.anvil, DEPLOYER.address, "AnsweringOracle", []).await);
    let proposal = ("a proposal".to_owned(), vec![keccak256("ours")]).abi_encode_params();
    let question = keccak256(&proposal);
    let answer = |question: B256| {
        let arguments = (question, B256::with_last_byte(1), U256::ZERO).abi_encode_params();
        calldata("submitAnswer(bytes32,bytes32,uint256)", arguments)
    };
    let announced = [
        vouch("call", "addProposal", &[]),
        vouch("event", "ProposalQuestionCreated", &[]),
        vouch("event", "LogNewAnswer", &[("user", &KEEPER.address), ("questionId", &question)]),
    ];
    let rules = rules(reality, &announced.concat());
    stage.begin().await;
    stage.send(STRANGER.address, reality, calldata("addProposal(string,bytes32[])", proposal)).await;
    stage.anvil.mine(2).await;
    stage.send(STRANGER.address, oracle, answer(keccak256("theirs"))).await;
    stage.send(STRANGER.address, forger, answer(question)).await;
    stage.is_quiet(&Z4, &rules).await;
    stage.send(KEEPER.address, oracle, answer(question)).await;
    stage.is_quiet(&Z4, &rules).await;
    stage.send(STRANGER.address, oracle, answer(question)).await;
    stage.finds(&Z4, &rules).await;
}
