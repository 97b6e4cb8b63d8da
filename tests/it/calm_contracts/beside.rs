//! What looks like ordinary life and is not, beside what is: where a silence ends, case by case.

use crate::support::accounts::{GRANTEE, KEEPER, STRANGER};
use crate::support::hostile_blocks::*;
use alloy_primitives::{Address, Bytes, U256, address, keccak256};
use alloy_sol_types::{SolCall, SolValue, sol};
use watchfire::model::{ActivityKind, CallHow, TracedCall, TxTrace};
use watchfire::wire;

sol! {
    function cancel(address[] targets, uint256[] values, bytes[] calldatas, bytes32 descriptionHash);
    function castVote(uint256 proposalId, uint8 support);
    function release(address token);
}

const SUBJECT: Address = address!("5409000000000000000000000000000000000021");

fn court(kind: &str, rules: &str) -> Court {
    Court::new(&format!(
        "[token.COIN]\nchain = \"demo\"\naddress = \"{COIN}\"\ndecimals = 0\n[[watch]]\nlabel = \"It\"\nchain = \"demo\"\n\
         address = \"{SUBJECT}\"\nkind = \"{kind}\"\npurpose = \"A test\"\npath = \"duty\"\n{rules}\n"
    ))
}

#[test]
fn a_cancellation_is_explained_by_the_call_whose_hash_it_tells_and_by_no_other() {
    let court = court(
        "governor",
        "[[watch.normal]]\nname = \"taken back\"\ncall = \"cancel(address[],uint256[],bytes[],bytes32)\"\n",
    );
    let asked = cancelCall {
        targets: vec![GRANTEE.address],
        values: vec![U256::from(1)],
        calldatas: vec![Bytes::new()],
        descriptionHash: keccak256("a grant"),
    }
    .abi_encode();
    let id = U256::from_be_bytes(keccak256(&asked[4..]).0);
    let vote = castVoteCall { proposalId: id, support: 1 }.abi_encode();
    let told = |input: &[u8], id: U256| {
        let log = raw(SUBJECT, "ProposalCanceled(uint256)", &[], id.to_be_bytes::<32>());
        let lines = court.told(&[Tx::call(KEEPER.address, SUBJECT, input.to_vec()).log(log)]);
        lines.iter().find(|line| line.contains("ProposalCanceled")).cloned().unwrap()
    };
    assert!(told(&asked, id).starts_with("It event ProposalCanceled: normal by"), "{}", told(&asked, id));
    let alone = "It event ProposalCanceled: warning builtin/control";
    assert_eq!(told(&asked, id + U256::from(1)), alone, "another proposal");
    let longer = [&asked[..], &[0; 32]].concat();
    assert_eq!(told(&longer, id), alone, "what was asked has another hash");
    assert_eq!(told(&vote, id), alone, "a vote cancels nothing, though it names the proposal");
}

#[test]
fn a_rule_for_what_moves_lets_a_transfer_of_nothing_be_to_whom_it_lets_more() {
    let rules = format!(
        "[[watch.normal]]\nname = \"tokens\"\nmove = \"out\"\nto = \"{}\"\nargs = {{ token = \"@COIN\", amount = {{ max = \"10 COIN\" }} }}\n",
        GRANTEE.address
    );
    let court = court("vesting", &rules);
    let verdict = |to: Address, amount: u64| {
        let input: Bytes = releaseCall { token: COIN }.abi_encode().into();
        let tx = Tx::call(STRANGER.address, SUBJECT, input.clone()).log(moved(COIN, SUBJECT, to, amount));
        let (block, receipts) = wire(9, 1_800_000_000, &[tx]);
        let block = wire::parse_block(&block, &receipts).unwrap_or_else(|why| panic!("{why}"));
        let call = |parent, from, to, input| TracedCall {
            parent,
            how: CallHow::Call,
            from,
            to: Some(to),
            value: U256::ZERO,
            input,
            failed: false,
            logs: vec![],
        };
        let inner = [&keccak256("transfer(address,uint256)")[..4], &(to, U256::from(amount)).abi_encode()].concat();
        let calls = vec![call(None, STRANGER.address, SUBJECT, input), call(Some(0), SUBJECT, COIN, inner.into())];
        let trace = TxTrace { tx: Some(block.txs[0].hash), calls, has_logs: false };
        let judged = court.examine_traced(&block, vec![trace]).judged;
        let act = judged.iter().find(|one| one.activity.kind == ActivityKind::Act).expect("the transfer");
        court.line(act)
    };
    for amount in [0, 1, 10] {
        assert_eq!(verdict(GRANTEE.address, amount), "It act transfer: normal by tokens", "{amount}");
    }
    for (to, amount) in [(GRANTEE.address, 11), (STRANGER.address, 0), (STRANGER.address, 1)] {
        assert_eq!(verdict(to, amount), "It act transfer: high builtin/unvouched", "{to} {amount}");
    }
}
