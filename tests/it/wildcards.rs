//! What a rule about `*` never vouches for, and who calls off what others are to do.

use crate::support::accounts::{KEEPER, PAYER, STRANGER};
use crate::support::hostile_blocks::*;
use alloy_primitives::{Address, B256, U256, address, b256, keccak256};
use alloy_sol_types::SolValue;
use watchfire::model::{CallHow, TracedCall, TxTrace};
use watchfire::wire;

const LOCK: Address = address!("10c4000000000000000000000000000000000001");
const VAULT: Address = address!("10c4000000000000000000000000000000000002");
const MINTER_ROLE: B256 = b256!("9f2df0fed2c77648de5860a4cc508cd0818c85b8b8a1ab4ceeef8d981c8956a6");

/// Everything that a watchlist can say by `*`.
const ANYTHING: &str = "[[watch.normal]]\nname = \"calls\"\ncall = \"*\"\nvalue = { max = \"9 ether\" }\n\
    [[watch.normal]]\nname = \"acts\"\nact = \"*\"\noperation = [\"call\", \"delegatecall\", \"create\"]\nvalue = { max = \"9 ether\" }\n\
    [[watch.normal]]\nname = \"logs\"\nevent = \"*\"\n[[watch.normal]]\nname = \"moves\"\nmove = \"*\"\n\
    [[watch.normal]]\nname = \"becomes\"\nstate = \"*\"\n";

fn call(signature: &str, arguments: impl AsRef<[u8]>) -> Vec<u8> {
    [&keccak256(signature)[..4], arguments.as_ref()].concat()
}

fn court(kind: &str, own: Address, rules: &str) -> Court {
    Court::new(&watched("Own", own, kind, rules))
}

/// What happens, to which kind of watch, by which word of a watchlist, and the rule that names it.
fn cases() -> Vec<(&'static str, Address, Tx, &'static str)> {
    let on_vault = |data: Vec<u8>| Tx::call(STRANGER.address, VAULT, data);
    let by_payer = |data: Vec<u8>| Tx::call(PAYER.address, VAULT, data);
    let log = |signature: &str, indexed: &[B256]| {
        Tx::call(STRANGER.address, FAKE, [1]).log(raw(VAULT, signature, indexed, []))
    };
    let gives = || call("transferOwnership(address)", EVIL.abi_encode());
    let role = || call("grantRole(bytes32,address)", (B256::ZERO, EVIL).abi_encode());
    let delegates = |to| Tx::call(STRANGER.address, FAKE, [1]).authorized(PAYER, 31_337, to, 0);
    vec![
        ("eoa", PAYER.address, delegates(EVIL), "act = \"delegate code\""),
        ("eoa", PAYER.address, delegates(Address::ZERO), "act = \"clear delegation\""),
        ("eoa", PAYER.address, by_payer(gives()), "act = \"transferOwnership(address)\""),
        ("eoa", PAYER.address, by_payer(role()), "act = \"grantRole(bytes32,address)\""),
        ("eoa", PAYER.address, by_payer(call("upgradeTo(address)", EVIL.abi_encode())), "act = \"upgradeTo(address)\""),
        ("eoa", PAYER.address, by_payer(call("pause()", [])), "act = \"pause()\""),
        ("ownable", VAULT, on_vault(gives()), "call = \"transferOwnership(address)\""),
        ("access-control", VAULT, on_vault(role()), "call = \"grantRole(bytes32,address)\""),
        ("proxy", VAULT, on_vault(call("upgradeTo(address)", EVIL.abi_encode())), "call = \"upgradeTo(address)\""),
        (
            "erc20",
            VAULT,
            on_vault(call("mint(address,uint256)", (EVIL, U256::from(9)).abi_encode())),
            "call = \"mint(address,uint256)\"",
        ),
        (
            "timelock",
            VAULT,
            on_vault(call("updateDelay(uint256)", U256::ZERO.abi_encode())),
            "call = \"updateDelay(uint256)\"",
        ),
        ("timelock", VAULT, on_vault(call("cancel(bytes32)", B256::ZERO.abi_encode())), "call = \"cancel(bytes32)\""),
        (
            "ownable",
            VAULT,
            log("OwnershipTransferred(address,address)", &[word(KEEPER.address), word(EVIL)]),
            "event = \"OwnershipTransferred\"",
        ),
        ("proxy", VAULT, log("Upgraded(address)", &[word(EVIL)]), "event = \"Upgraded\""),
        (
            "access-control",
            VAULT,
            log("RoleGranted(bytes32,address,address)", &[MINTER_ROLE, word(EVIL), word(STRANGER.address)]),
            "event = \"RoleGranted\"",
        ),
    ]
}

#[test]
fn a_rule_about_anything_vouches_for_nothing_that_changes_who_rules_and_one_that_names_it_does() {
    for (kind, own, tx, named) in cases() {
        let told = |rules: &str| court(kind, own, rules).told(std::slice::from_ref(&tx));
        let loud = |lines: &[String]| {
            lines.iter().filter(|line| line.contains(": high ") || line.contains(": critical ")).count()
        };
        let (alone, anything) = (told(""), told(ANYTHING));
        assert!(loud(&alone) > 0, "{kind} {named}: {alone:#?}");
        assert_eq!(loud(&anything), loud(&alone), "{kind} {named}: {anything:#?}");
        let both = told(&format!("{ANYTHING}[[watch.normal]]\nname = \"meant\"\n{named}\n"));
        assert_eq!(
            both.iter().filter(|line| line.ends_with("normal by meant")).count(),
            1,
            "{kind} {named}: {both:#?}"
        );
        assert_eq!(loud(&both), 0, "{kind} {named}: {both:#?}");
    }
    // Beside it whatever `*` is meant for.
    let harmless = [
        (
            "eoa",
            PAYER.address,
            Tx::call(PAYER.address, VAULT, call("transfer(address,uint256)", (EVIL, U256::from(1)).abi_encode())),
        ),
        ("eoa", PAYER.address, Tx::call(PAYER.address, EVIL, []).value(5)),
        (
            "erc20",
            VAULT,
            Tx::call(STRANGER.address, VAULT, call("approve(address,uint256)", (EVIL, U256::from(1)).abi_encode())),
        ),
    ];
    for (kind, own, tx) in harmless {
        let told = court(kind, own, ANYTHING).told(std::slice::from_ref(&tx));
        assert!(told.iter().all(|line| line.contains(": normal by ")), "{kind}: {told:#?}");
    }
}

#[test]
fn a_rule_about_anything_answers_for_no_change_of_control_inside_of_a_call() {
    let inner = |signature: &str, how: CallHow| {
        let made = |parent, how, from, to, input: Vec<u8>| TracedCall {
            parent,
            how,
            from,
            to: Some(to),
            value: U256::ZERO,
            input: input.into(),
            failed: false,
            logs: vec![],
        };
        let outer = call("approve(address,uint256)", (EVIL, U256::from(1)).abi_encode());
        let tx = Tx::call(STRANGER.address, VAULT, outer.clone());
        let data = if signature.is_empty() { vec![] } else { call(signature, EVIL.abi_encode()) };
        let calls =
            vec![made(None, CallHow::Call, STRANGER.address, VAULT, outer), made(Some(0), how, VAULT, FAKE, data)];
        (tx, TxTrace { tx: None, calls, has_logs: true })
    };
    for (signature, how, named) in [
        ("transferOwnership(address)", CallHow::Call, "transferOwnership(address)"),
        ("", CallHow::SelfDestruct, "self-destruct"),
    ] {
        let told = |rules: &str| {
            let (tx, trace) = inner(signature, how);
            let court = court("erc20", VAULT, rules);
            let (block, receipts) = wire(1, FRIDAY, &[tx]);
            let block = wire::parse_block(&block, &receipts).expect("a block");
            let judged = court.examine_traced(&block, vec![trace]).judged;
            judged.iter().map(|one| court.line(one)).collect::<Vec<_>>()
        };
        let anything = ANYTHING.replace("call = \"*\"\n", "call = \"*\"\neffects = \"any\"\n");
        assert_ne!(anything, ANYTHING);
        let meant = format!("{anything}[[watch.normal]]\nname = \"meant\"\nact = \"{named}\"\n");
        let anything = told(&anything);
        assert!(anything.iter().any(|line| line.ends_with("critical builtin/control")), "{named}: {anything:#?}");
        let meant = told(&meant);
        assert!(meant.iter().all(|line| line.contains(": normal by ")), "{named}: {meant:#?}");
    }
}

#[test]
fn whoever_calls_off_what_a_set_of_people_may_is_high_where_nothing_names_him() {
    let id = || B256::repeat_byte(3);
    let lock = |signature: &str, arguments: Vec<u8>| ("timelock", call(signature, arguments));
    let queued = (EVIL, U256::ZERO, String::new(), vec![0u8; 0], U256::from(9)).abi_encode_params();
    let cases = [
        (lock("cancel(bytes32)", id().abi_encode()), ["high", "warning"]),
        (lock("cancelTransaction(address,uint256,string,bytes,uint256)", queued), ["high", "warning"]),
        (("multisig", call("revokeConfirmation(uint256)", U256::from(3).abi_encode())), ["high", "high"]),
        (("parity-multisig", call("revoke(bytes32)", id().abi_encode())), ["high", "warning"]),
        // Whoever proposes may take it back: there is no set of people who may.
        (("governor", call("cancel(uint256)", U256::from(3).abi_encode())), ["warning", "warning"]),
    ];
    for ((kind, data), severities) in cases {
        let list = format!("[name]\n\"{}\" = \"Guardian\"\n{}", KEEPER.address, watched("Own", LOCK, kind, ""));
        for (who, severity) in [STRANGER, KEEPER].into_iter().zip(severities) {
            let told = Court::new(&list).told(&[Tx::call(who.address, LOCK, data.clone())]);
            assert!(
                told.iter().any(|line| line.contains(&format!(": {severity} builtin/"))),
                "{kind} {severity}: {told:#?}"
            );
            // What fails is not louder than what succeeds.
            let failed = Court::new(&list).told(&[Tx::call(who.address, LOCK, data.clone()).reverted()]);
            assert!(severity == "high" || !failed.iter().any(|line| line.contains(": high ")), "{kind}: {failed:#?}");
        }
    }
    // The log alone, where no call that could be seen asked for it: the sender of the transaction is all that is known.
    let list = format!("[name]\n\"{}\" = \"Guardian\"\n{}", KEEPER.address, watched("Own", LOCK, "timelock", ""));
    for (who, severity) in [(STRANGER, "high"), (KEEPER, "warning")] {
        let tx = Tx::call(who.address, FAKE, [1]).log(raw(LOCK, "Cancelled(bytes32)", &[id()], []));
        let told = Court::new(&list).told(&[tx]);
        assert_eq!(told, [format!("Own event Cancelled: {severity} builtin/control")]);
    }
}
