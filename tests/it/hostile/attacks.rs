//! Transactions made to move money or control past the watcher, each with what it must not get away with.
//!
//! All of it within what a block and its receipts can show: what leaves no trace in either is not claimed to be seen.

use crate::support::abi::{IMiniMe, IMultiSigWallet, ISafe, IToken};
use crate::support::accounts::{GRANTEE, OWNER_A, OWNER_B, OWNER_C, PAYER, RELAYER, STRANGER};
use crate::support::hostile_blocks::*;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue};

/// Rules that an operator might well write, each of which an attacker might hide behind.
fn watchlist() -> String {
    let (a, b, c) = (OWNER_A.address, OWNER_B.address, OWNER_C.address);
    let (grantee, payer) = (GRANTEE.address, PAYER.address);
    format!(
        r#"
[set]
payees = ["{grantee}"]
keys = ["{a}", "{b}", "{c}"]

[token.COIN]
chain = "demo"
address = "{COIN}"
decimals = 0

[[watch]]
label = "Safe"
chain = "demo"
address = "{SAFE}"
kind = "safe"
purpose = "Pays grants"
path = "duty"
registry = {{ owners = ["@keys"], threshold = 2, modules = ["{MODULE}"], guard = "none" }}
[[watch.normal]]
name = "grants"
act = "transfer(address to, uint256 amount)"
to = ["@COIN"]
args = {{ to = {{ in = "@payees" }}, amount = {{ max = "1_000 COIN" }} }}
[[watch.normal]]
name = "large-ether"
act = "ether"
to = ["@payees"]
signers = {{ at_least = 3, in = "@owners" }}

[[watch]]
label = "Child"
chain = "demo"
address = "{CHILD}"
kind = "safe"
purpose = "Belongs to another Safe"
path = "duty"
[[watch.normal]]
name = "signed-by-owners-only"
act = "ether"
to = ["@payees"]
signers = {{ in = "@keys" }}

[[watch]]
label = "Multisig"
chain = "demo"
address = "{MULTISIG}"
kind = "multisig"
purpose = "Controls the token"
path = "duty"
[[watch.normal]]
name = "pay"
act = "ether"
to = ["@payees"]

[[watch]]
label = "Token"
chain = "demo"
address = "{TOKEN}"
kind = "erc20"
purpose = "Anyone may move it"
path = "duty"
[[watch.normal]]
name = "transfers"
call = "transfer"
[[watch.normal]]
name = "spends"
call = "transferFrom"
[[watch.normal]]
name = "moved"
event = "Transfer(address indexed from, address indexed to, uint256 amount)"
args = {{ from = {{ not_in = ["0x0000000000000000000000000000000000000000"] }} }}

[[watch]]
label = "MiniMe"
chain = "demo"
address = "{MINIME}"
kind = "minime"
purpose = "Anyone may move it"
path = "duty"
[[watch.normal]]
name = "transfers"
call = "transfer"
[[watch.normal]]
name = "spends"
call = "transferFrom"
from = ["@payees"]

[[watch]]
label = "Payer"
chain = "demo"
address = "{payer}"
kind = "eoa"
purpose = "Carries what owners signed"
path = "duty"
"#
    )
}

fn court() -> Court {
    Court::new(&watchlist())
}

#[track_caller]
fn has(told: &[String], line: &str) {
    assert!(told.iter().any(|told| told == line), "`{line}` is not among {told:#?}");
}

#[track_caller]
fn lacks(told: &[String], part: &str) {
    assert!(told.iter().all(|told| !told.contains(part)), "`{part}` is among {told:#?}");
}

/// A grant that the rule vouches for.
fn grant() -> Order {
    Order::call(COIN, transfer(GRANTEE.address, 10))
}

/// The same Safe is named twice in one transaction: by a contract of the attacker's that does nothing, and for real.
fn decoy() -> (Tx, B256) {
    let theft = Order::pay(EVIL, 1_000_000);
    let (theft_data, theft_hash) = theft.signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let claim = Order::call(SAFE, grant().signed(SAFE, 6, &[OWNER_A, OWNER_B]).0);
    let items = [(0, FAKE, 0, claim.calldata(Bytes::new())), (0, SAFE, 0, theft_data)];
    let tx = Tx::call(STRANGER.address, CALL_ONLY_1_4_1, multi_send(&items))
        .log(success(FAKE, B256::ZERO))
        .log(success(SAFE, theft_hash));
    (tx, theft_hash)
}

#[test]
fn a_claim_through_a_strangers_contract_does_not_take_the_place_of_what_ran() {
    let (tx, _) = decoy();
    for court in [court(), court().safe_at(SAFE, 7, 2)] {
        let told = court.told(std::slice::from_ref(&tx));
        has(&told, "Safe act ether: high builtin/unvouched");
        lacks(&told, "Safe act ether: info");
    }
}

#[test]
fn a_claim_through_a_strangers_contract_is_not_believed_without_its_hash() {
    // The attacker's contract runs what the owners were tricked into signing, and its own calldata tells of a grant.
    let (_, theft_hash) = Order::pay(EVIL, 1_000_000).signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let claim = Order::call(SAFE, grant().signed(SAFE, 6, &[OWNER_A, OWNER_B]).0);
    let tx = Tx::call(STRANGER.address, FAKE, claim.calldata(Bytes::new()))
        .log(success(SAFE, theft_hash))
        .log(success(FAKE, B256::ZERO));
    has(
        &court().safe_at(SAFE, 7, 2).told(std::slice::from_ref(&tx)),
        "Safe call execTransaction: critical builtin/hash-mismatch",
    );
    has(&court().told(std::slice::from_ref(&tx)), "Safe call execTransaction: critical builtin/unread");
}

#[test]
fn what_an_unwatched_owner_really_relays_is_normal_once_its_hash_is_checked() {
    let (data, hash) = grant().signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let tx = Tx::call(RELAYER.address, FAKE, Order::call(SAFE, data).calldata(Bytes::new()))
        .log(moved(COIN, SAFE, GRANTEE.address, 10))
        .log(success(SAFE, hash))
        .log(success(FAKE, B256::ZERO));
    let told = court().safe_at(SAFE, 7, 2).told(&[tx]);
    has(&told, "Safe call execTransaction: normal by builtin/envelope");
    assert!(told.iter().all(|line| line.contains("normal by")), "{told:#?}");
}

#[test]
fn a_node_that_answers_from_a_later_block_makes_no_honest_hash_a_lie() {
    let (data, hash) = grant().signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let tx = Tx::call(RELAYER.address, SAFE, data).log(moved(COIN, SAFE, GRANTEE.address, 10)).log(success(SAFE, hash));
    let told = |nonce| court().safe_at(SAFE, nonce, 2).told(std::slice::from_ref(&tx));
    assert!(told(9).iter().all(|line| line.contains("normal by")), "{:#?}", told(9));
    // Neither a nonce that is behind nor one that is far ahead can come of that.
    has(&told(6), "Safe call execTransaction: critical builtin/hash-mismatch");
    has(&told(40), "Safe call execTransaction: critical builtin/hash-mismatch");
}

#[test]
fn an_execution_that_a_watched_safe_does_not_log_is_loud() {
    // Its code was replaced: it takes what a Safe takes and does something else.
    let (data, _) = grant().signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let told = court().told(&[Tx::call(RELAYER.address, SAFE, data)]);
    has(&told, "Safe call execTransaction: critical builtin/unconfirmed");
}

#[test]
fn a_claim_that_nobody_confirms_is_no_more_than_a_claim() {
    let (data, _) = grant().signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let tx = Tx::call(STRANGER.address, FAKE, Order::call(SAFE, data).calldata(Bytes::new()));
    let told = court().told(&[tx]);
    has(&told, "Safe call execTransaction: info builtin/unconfirmed");
}

#[test]
fn signatures_beyond_the_threshold_count_for_nobody() {
    // Two keys are stolen. A Safe looks at as many signatures as its threshold says and ignores the rest, so anything can
    // stand behind them: here an owner who approved nothing, and a signature of a key made up on the spot.
    let order = Order::pay(GRANTEE.address, 1_000_000);
    let hash = order.hash(SAFE, 6);
    let mut stolen = [OWNER_A, OWNER_B];
    stolen.sort_by_key(|owner| owner.address);
    let mut signatures: Vec<u8> = stolen.iter().flat_map(|owner| owner.sign(hash)).collect();
    signatures.extend(OWNER_C.address.into_word());
    signatures.extend([0; 32]);
    signatures.push(1);
    let court = court().safe_at(SAFE, 7, 2);
    let told = court.told(&[Tx::call(STRANGER.address, SAFE, order.calldata(signatures)).log(success(SAFE, hash))]);
    has(&told, "Safe act ether: high builtin/unvouched");

    let three = [OWNER_A, OWNER_B, OWNER_C];
    let (data, hash) = order.signed(SAFE, 6, &three);
    let honest = Tx::call(STRANGER.address, SAFE, data).log(success(SAFE, hash));
    let told = court.told(std::slice::from_ref(&honest));
    has(&told, "Safe act ether: high builtin/unvouched");
    let told = self::court().safe_at(SAFE, 7, 3).told(&[honest]);
    has(&told, "Safe act ether: normal by large-ether");
}

#[test]
fn what_nobody_signed_is_not_signed_by_owners_only() {
    let data = ISafeModule::payment(GRANTEE.address);
    let tx = Tx::call(MODULE, CHILD, data).log(raw(CHILD, "ExecutionFromModuleSuccess(address)", &[word(MODULE)], []));
    let told = court().told(&[tx]);
    has(&told, "Child act ether: critical builtin/module");
}

/// `execTransactionFromModule`, which the stories do not speak.
struct ISafeModule;

impl ISafeModule {
    fn payment(to: Address) -> Bytes {
        let arguments = (to, U256::from(1), Bytes::new(), U256::ZERO).abi_encode_params();
        [&[0x46, 0x87, 0x21, 0xa7], &arguments[..]].concat().into()
    }
}

#[test]
fn a_modules_log_confirms_no_other_modules_claim() {
    let tx = Tx::call(STRANGER.address, FAKE, Order::call(SAFE, ISafeModule::payment(GRANTEE.address)).calldata([]))
        .log(raw(SAFE, "ExecutionFromModuleSuccess(address)", &[word(MODULE)], []))
        .log(success(FAKE, B256::ZERO));
    let told = court().told(&[tx]);
    // What the module really did is not in the calldata.
    has(&told, "Safe event ExecutionFromModuleSuccess: critical builtin/outflow");
}

#[test]
fn a_change_of_control_is_not_the_effect_of_an_innocent_call() {
    // The old owner's own code is called in the same transaction; the visible call names the new owner as a receiver.
    let visible = transfer(EVIL, 1);
    let handed_over = raw(TOKEN, "OwnershipTransferred(address,address)", &[word(STRANGER.address), word(EVIL)], []);
    let upgraded = raw(TOKEN, "Upgraded(address)", &[word(EVIL)], []);
    let paused = raw(TOKEN, "Paused(address)", &[], STRANGER.address.abi_encode());
    let tx = Tx::call(STRANGER.address, TOKEN, visible)
        .log(moved(TOKEN, STRANGER.address, EVIL, 1))
        .log(handed_over)
        .log(upgraded)
        .log(paused);
    let told = court().told(&[tx]);
    has(&told, "Token call transfer: normal by transfers");
    has(&told, "Token event OwnershipTransferred: critical builtin/control");
    has(&told, "Token event Upgraded: critical builtin/control");
    has(&told, "Token event Paused: critical builtin/control");
}

#[test]
fn a_change_of_control_is_the_effect_of_the_call_that_asks_for_it() {
    let call = IToken::transferOwnershipCall { newOwner: EVIL }.abi_encode();
    let handed_over = raw(TOKEN, "OwnershipTransferred(address,address)", &[word(STRANGER.address), word(EVIL)], []);
    let told = court().told(&[Tx::call(STRANGER.address, TOKEN, call).log(handed_over)]);
    assert_eq!(
        told,
        [
            "Token call transferOwnership: critical builtin/control",
            "Token event OwnershipTransferred: (critical builtin/control)"
        ]
    );
}

#[test]
fn what_stands_behind_more_calls_than_are_opened_is_not_passed_over() {
    // An unwatched Safe controls the token. Its batch begins with thousands of calls of nothing, and MiniMe logs no change
    // of controller.
    let seize: Bytes = IMiniMe::changeControllerCall { newController: EVIL }.abi_encode().into();
    for many in [1_100, 5_000] {
        let mut items = vec![(0, OTHER_TOKEN, 0, Bytes::new()); many];
        items.push((0, MINIME, 0, seize.clone()));
        let tx = Tx::call(STRANGER.address, FAKE, Order::batch(&items).calldata([])).log(success(FAKE, B256::ZERO));
        let told = court().told(&[tx]);
        assert!(
            told.iter().any(|line| line.starts_with("MiniMe call") && line.contains("builtin/budget")),
            "{told:#?}"
        );
    }
}

#[test]
fn ether_sent_along_with_an_envelope_is_judged_for_itself() {
    let (data, hash) = grant().signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let tx = Tx::call(PAYER.address, SAFE, data).log(moved(COIN, SAFE, GRANTEE.address, 10)).log(success(SAFE, hash));
    let told = court().safe_at(SAFE, 7, 2).told(std::slice::from_ref(&tx));
    has(&told, "Payer act execTransaction: normal by builtin/envelope");
    let told = court().safe_at(SAFE, 7, 2).told(&[tx.value(1_000_000)]);
    has(&told, "Payer act execTransaction: high builtin/unvouched");
}

#[test]
fn tokens_that_leave_are_seen_however_the_token_logs_them() {
    let stranger = STRANGER.address;
    let one = |log: Log| court().told(&[Tx::call(stranger, FAKE, []).log(log)]);
    let two = (SAFE, EVIL).abi_encode();

    // Nothing indexed, as the oldest collectibles log it; one party indexed.
    let unindexed = raw(COIN, "Transfer(address,address,uint256)", &[], (SAFE, EVIL, U256::from(5)).abi_encode());
    has(&one(unindexed), "Safe move transfer: critical builtin/outflow");
    let half = raw(COIN, "Transfer(address,address,uint256)", &[word(SAFE)], (EVIL, U256::from(5)).abi_encode());
    has(&one(half), "Safe move transfer: critical builtin/outflow");
    let short = raw(COIN, "Transfer(address,address,uint256)", &[], two);
    has(&one(short), "Safe move transfer: info builtin/poisoning");

    // ERC-721, ERC-1155.
    let id = raw(COIN, "Transfer(address,address,uint256)", &[word(SAFE), word(EVIL), number(7)], []);
    has(&one(id), "Safe move transfer: critical builtin/outflow");
    let parties = [word(stranger), word(SAFE), word(EVIL)];
    let single = raw(
        COIN,
        "TransferSingle(address,address,address,uint256,uint256)",
        &parties,
        (U256::from(7), U256::from(2)).abi_encode(),
    );
    has(&one(single), "Safe move transfer: critical builtin/outflow");
    let batch = raw(
        COIN,
        "TransferBatch(address,address,address,uint256[],uint256[])",
        &parties,
        (vec![U256::from(7)], vec![U256::from(2)]).abi_encode_params(),
    );
    has(&one(batch), "Safe move transfer: critical builtin/outflow");
    let all = raw(COIN, "ApprovalForAll(address,address,bool)", &[word(SAFE), word(EVIL)], true.abi_encode());
    has(&one(all), "Safe move approval: critical builtin/approval");
    let none = raw(COIN, "ApprovalForAll(address,address,bool)", &[word(SAFE), word(EVIL)], false.abi_encode());
    has(&one(none), "Safe move approval: info builtin/poisoning");
}

#[test]
fn an_allowance_by_signature_is_seen() {
    let permit = event_approval(COIN, SAFE, EVIL, U256::MAX);
    let told = court().told(&[Tx::call(STRANGER.address, FAKE, []).log(permit)]);
    assert_eq!(told, ["Safe move approval: critical builtin/approval"]);
}

fn event_approval(token: Address, owner: Address, spender: Address, value: U256) -> Log {
    event(token, &IToken::Approval { owner, spender, value })
}

#[test]
fn the_zero_address_in_a_batch_means_the_safe_itself_where_multisend_reads_it_so() {
    let enable: Bytes = ISafe::enableModuleCall { module: EVIL }.abi_encode().into();
    let items = [(0, Address::ZERO, 0, enable)];
    let run = |library: Address| {
        let (data, hash) = Order::delegate(library, multi_send(&items)).signed(SAFE, 6, &[OWNER_A, OWNER_B]);
        court().safe_at(SAFE, 7, 2).told(&[Tx::call(RELAYER.address, SAFE, data).log(success(SAFE, hash))])
    };
    has(&run(MULTI_SEND_1_5_0), "Safe act enableModule: critical builtin/control");
    has(&run(MULTI_SEND_1_3_0), "Safe act enableModule: high builtin/unvouched");
}

#[test]
fn ether_that_arrives_from_inside_another_call_is_inbound() {
    let received = raw(SAFE, "SafeReceived(address,uint256)", &[word(FAKE)], U256::from(5).abi_encode());
    let deposit = raw(MULTISIG, "Deposit(address,uint256)", &[word(FAKE)], U256::from(5).abi_encode());
    let told = court().told(&[Tx::call(STRANGER.address, FAKE, []).log(received).log(deposit)]);
    assert_eq!(
        told,
        ["Safe event SafeReceived: normal by builtin/inbound", "Multisig event Deposit: normal by builtin/inbound"]
    );
}

#[test]
fn an_airdrop_of_thousands_of_transfers_is_read_to_its_end() {
    let mut tx = Tx::call(STRANGER.address, FAKE, []);
    for n in 0..2_000 {
        tx = tx.log(moved(TOKEN, FAKE, EVIL, n));
    }
    let told = court().told(&[tx]);
    assert_eq!(told.len(), 2_000);
    assert!(told.iter().all(|line| line == "Token event Transfer: normal by moved"), "{:?}", told.last());
}

#[test]
fn what_was_submitted_counts_and_not_what_a_wrapper_says_of_it() {
    let submit = |to: Address| IMultiSigWallet::submitTransactionCall {
        destination: to,
        value: U256::from(1),
        data: Bytes::new(),
    };
    let claim = Order::call(MULTISIG, submit(GRANTEE.address).abi_encode()).calldata([]);
    let id = U256::from(3);
    let tx = Tx::call(STRANGER.address, FAKE, claim)
        .log(event(MULTISIG, &IMultiSigWallet::Submission { transactionId: id }))
        .log(event(MULTISIG, &IMultiSigWallet::Confirmation { sender: FAKE, transactionId: id }))
        .log(success(FAKE, B256::ZERO));
    let asked = [&[0x9a, 0xce, 0x38, 0xc2], &id.to_be_bytes::<32>()[..]].concat();
    let written = |to: Address| (to, U256::from(1), Bytes::new(), false).abi_encode_params();

    let told = court().knows(MULTISIG, asked.clone(), written(GRANTEE.address)).told(std::slice::from_ref(&tx));
    has(&told, "Multisig act ether: normal by pay");
    let told = court().knows(MULTISIG, asked, written(EVIL)).told(std::slice::from_ref(&tx));
    has(&told, "Multisig call submitTransaction: critical builtin/unread");
    let told = court().told(std::slice::from_ref(&tx));
    has(&told, "Multisig call submitTransaction: critical builtin/unread");
}

#[test]
fn the_controller_of_a_minime_token_needs_no_allowance() {
    let call = IToken::transferFromCall { from: GRANTEE.address, to: EVIL, amount: U256::from(5) }.abi_encode();
    let tx = Tx::call(STRANGER.address, MINIME, call).log(moved(MINIME, GRANTEE.address, EVIL, 5));
    let controller = IMiniMe::controllerCall {}.abi_encode();
    let told = court().knows(MINIME, controller.clone(), EVIL.abi_encode()).told(std::slice::from_ref(&tx));
    has(&told, "MiniMe call transferFrom: high builtin/unvouched");
    let told = court().knows(MINIME, controller, STRANGER.address.abi_encode()).told(&[tx]);
    has(&told, "MiniMe call transferFrom: critical builtin/control");
}

#[test]
fn an_account_that_gives_its_code_away_is_seen_in_anybodys_transaction() {
    let seen = |chain: u64| {
        let tx = Tx::call(STRANGER.address, FAKE, []).authorized(PAYER, chain, EVIL, 5).reverted();
        court().told(&[tx])
    };
    assert_eq!(seen(0), ["Payer act delegate code: critical builtin/delegation"]);
    assert_eq!(seen(31_337), ["Payer act delegate code: critical builtin/delegation"]);
    assert!(seen(5).is_empty(), "it is not valid here");
    let many = (0..1_500).fold(Tx::call(STRANGER.address, FAKE, []), |tx, _| tx.authorized(STRANGER, 0, EVIL, 1));
    let told = court().told(&[many.authorized(PAYER, 0, EVIL, 1)]);
    assert_eq!(told, ["Payer act delegate code: critical builtin/delegation"], "behind many others");
}

#[test]
fn an_account_that_creates_calls_itself_or_pays_is_judged() {
    let payer = PAYER.address;
    let told = court().told(&[
        Tx::create(payer, vec![0x60, 0x00]),
        Tx::call(payer, payer, transfer(EVIL, 1)),
        Tx::call(payer, EVIL, []).value(5),
    ]);
    assert_eq!(
        told,
        [
            "Payer act creation: high builtin/creation",
            "Payer act 0xa9059cbb: high builtin/undecodable",
            "Payer act ether: high builtin/unvouched"
        ]
    );
}

#[test]
fn another_function_of_a_batch_library_is_foreign_code() {
    let order = Order::delegate(MULTI_SEND_1_4_1, vec![0xde, 0xad, 0xbe, 0xef]);
    let (data, hash) = order.signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let told = court().safe_at(SAFE, 7, 2).told(&[Tx::call(RELAYER.address, SAFE, data).log(success(SAFE, hash))]);
    has(&told, "Safe act 0xdeadbeef: critical builtin/delegatecall");
    let inner = [(1, EVIL, 0, Bytes::new()), (0, COIN, 0, transfer(GRANTEE.address, 1))];
    for library in [MULTI_SEND_1_4_1, CALL_ONLY_1_4_1] {
        let (data, hash) = Order::delegate(library, multi_send(&inner)).signed(SAFE, 6, &[OWNER_A, OWNER_B]);
        let told = court().safe_at(SAFE, 7, 2).told(&[Tx::call(RELAYER.address, SAFE, data).log(success(SAFE, hash))]);
        has(&told, "Safe act ether: critical builtin/delegatecall");
        has(&told, "Safe act transfer: normal by grants");
        has(&told, "Safe call execTransaction: (critical builtin/delegatecall)");
    }
}

#[test]
fn who_is_paid_for_an_execution_is_told() {
    let run = |refund: Address| {
        let order = Order { refund: Some(refund), ..grant() };
        let (data, hash) = order.signed(SAFE, 6, &[OWNER_A, OWNER_B]);
        let tx =
            Tx::call(RELAYER.address, SAFE, data).log(moved(COIN, SAFE, GRANTEE.address, 10)).log(success(SAFE, hash));
        court().safe_at(SAFE, 7, 2).told(&[tx])
    };
    has(&run(EVIL), "Safe call execTransaction: critical builtin/refund");
    has(&run(Address::ZERO), "Safe call execTransaction: warning builtin/refund");
}

#[test]
fn several_executions_in_one_transaction_are_told_apart() {
    let (first, first_hash) = grant().signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let (second, second_hash) = Order::pay(EVIL, 5).signed(SAFE, 7, &[OWNER_A, OWNER_B]);
    let tx = Tx::call(RELAYER.address, CALL_ONLY_1_4_1, multi_send(&[(0, SAFE, 0, first), (0, SAFE, 0, second)]))
        .log(moved(COIN, SAFE, GRANTEE.address, 10))
        .log(success(SAFE, first_hash))
        .log(success(SAFE, second_hash));
    let told = court().safe_at(SAFE, 8, 2).told(&[tx]);
    assert_eq!(
        told,
        [
            "Safe call execTransaction: normal by builtin/envelope",
            "Safe act transfer: normal by grants",
            "Safe call execTransaction: (high builtin/unvouched)",
            "Safe act ether: high builtin/unvouched",
            "Safe move transfer: normal by effect of call.0.0",
            "Safe event ExecutionSuccess: normal by effect of call.0",
            "Safe event ExecutionSuccess: (high builtin/unvouched)",
        ]
    );
}

#[test]
fn a_safe_that_is_another_safes_module_answers_for_both() {
    let pay = ISafeModule::payment(GRANTEE.address);
    let (data, hash) = Order::call(CHILD, pay).signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let tx = Tx::call(RELAYER.address, SAFE, data)
        .log(raw(CHILD, "ExecutionFromModuleSuccess(address)", &[word(SAFE)], []))
        .log(success(SAFE, hash));
    let told = court().safe_at(SAFE, 7, 2).told(&[tx]);
    has(&told, "Child call execTransactionFromModule: critical builtin/module");
    has(&told, "Safe act execTransactionFromModule: (critical builtin/module)");
}

#[test]
fn a_multisig_confirmed_by_a_safe_is_opened_to_the_payload() {
    let id = U256::from(4);
    let confirm = IMultiSigWallet::confirmTransactionCall { transactionId: id }.abi_encode();
    let (data, hash) = Order::call(MULTISIG, confirm).signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let seize = IMiniMe::changeControllerCall { newController: EVIL }.abi_encode();
    let asked = [&[0x9a, 0xce, 0x38, 0xc2], &id.to_be_bytes::<32>()[..]].concat();
    let written = (MINIME, U256::ZERO, Bytes::from(seize), true).abi_encode_params();
    let tx = Tx::call(RELAYER.address, SAFE, data)
        .log(event(MULTISIG, &IMultiSigWallet::Confirmation { sender: SAFE, transactionId: id }))
        .log(event(MULTISIG, &IMultiSigWallet::Execution { transactionId: id }))
        .log(success(SAFE, hash));
    let told = court().safe_at(SAFE, 7, 2).knows(MULTISIG, asked, written).told(std::slice::from_ref(&tx));
    has(&told, "Multisig act changeController: critical builtin/control");
    has(&told, "MiniMe call changeController: critical builtin/control");
    let told = court().safe_at(SAFE, 7, 2).told(&[tx]);
    has(&told, "Multisig act unknown: critical builtin/unread");
}

#[test]
fn an_execution_that_no_call_explains_is_an_outflow() {
    // The relayer's contract is nothing that could be opened.
    let tx = Tx::call(STRANGER.address, FAKE, vec![1, 2, 3, 4]).log(success(SAFE, B256::repeat_byte(7)));
    assert_eq!(court().told(&[tx]), ["Safe event ExecutionSuccess: critical builtin/outflow"]);
}

#[test]
fn a_vouched_call_with_ether_is_not_vouched_for() {
    let told = court().told(&[Tx::call(STRANGER.address, TOKEN, transfer(EVIL, 1)).value(1)]);
    has(&told, "Token call transfer: high builtin/unvouched");
    let order = Order { value: U256::from(1), ..grant() };
    let (data, hash) = order.signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let told = court().safe_at(SAFE, 7, 2).told(&[Tx::call(RELAYER.address, SAFE, data).log(success(SAFE, hash))]);
    has(&told, "Safe act transfer: high builtin/unvouched");
}

#[test]
fn what_looks_like_an_envelope_to_a_stranger_is_still_a_payment() {
    // Nothing that a stranger's contract fails to log makes a payment to it less of one.
    let disguise = Order::call(OTHER_TOKEN, transfer(EVIL, 1)).calldata([]);
    let told = court().told(&[Tx::call(PAYER.address, FAKE, disguise.clone()).value(1_000_000)]);
    has(&told, "Payer act execTransaction: high builtin/unvouched");

    let order = Order { value: U256::from(1_000_000), ..Order::call(FAKE, disguise) };
    let (data, hash) = order.signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let told = court().safe_at(SAFE, 7, 2).told(&[Tx::call(RELAYER.address, SAFE, data).log(success(SAFE, hash))]);
    has(&told, "Safe act execTransaction: high builtin/unvouched");
    has(&told, "Safe call execTransaction: (high builtin/unvouched)");
}

#[test]
fn an_abnormal_rule_is_heard_of_effects_too() {
    let more = "[[watch.abnormal]]\nname = \"whale\"\nevent = \"Transfer(address indexed from, address indexed to, uint256 amount)\"\n\
                args = { amount = { min = \"1000\" } }\nseverity = \"critical\"\n";
    let court = Court::new(
        &watchlist().replace("[[watch]]\nlabel = \"MiniMe\"", &format!("{more}\n[[watch]]\nlabel = \"MiniMe\"")),
    );
    let pay = |amount| {
        Tx::call(STRANGER.address, TOKEN, transfer(EVIL, amount)).log(moved(TOKEN, STRANGER.address, EVIL, amount))
    };
    has(&court.told(&[pay(999)]), "Token event Transfer: normal by effect of call");
    has(&court.told(&[pay(1_000)]), "Token event Transfer: critical whale");
}
