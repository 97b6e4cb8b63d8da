//! What is judged and how: deny by default, every condition both ways, limits, order, built-ins, and what each thing costs.
//!
//! All of it from a watchlist's text and a node's JSON to the verdict; `tried` and `told` alone touch the program.

use crate::support::abi::{IMiniMe, IMultiSigWallet, ISafe, IToken};
use crate::support::accounts::{GRANTEE, HOLDER, KEEPER, OWNER_A, OWNER_B, OWNER_C, PAYER, RELAYER, STRANGER};
use crate::support::hostile_blocks::*;
use alloy_primitives::{Address, B256, Bytes, I256, U256, address, b256};
use alloy_sol_types::{SolCall, SolValue, sol};
use watchfire::model::Verdict;

const DESK: Address = address!("De5c000000000000000000000000000000000001");

sol! {
    struct Leg { address to; uint256 amount; }

    interface IDesk {
        function pay(address to, uint256 amount);
        function order(Leg[] legs, bytes32 memo, int256 delta, string note, bool on);
        function look() returns (uint256);
    }
}

const DESK_ABI: &str = r#"[
  {"type":"function","name":"pay","inputs":[{"name":"to","type":"address"},{"name":"amount","type":"uint256"}],"outputs":[],"stateMutability":"payable"},
  {"type":"function","name":"order","inputs":[
    {"name":"legs","type":"tuple[]","components":[{"name":"to","type":"address"},{"name":"amount","type":"uint256"}]},
    {"name":"memo","type":"bytes32"},{"name":"delta","type":"int256"},{"name":"note","type":"string"},{"name":"on","type":"bool"}],
    "outputs":[],"stateMutability":"nonpayable"},
  {"type":"function","name":"look","inputs":[],"outputs":[{"name":"","type":"uint256"}],"stateMutability":"view"}
]"#;

fn watch(label: &str, address: Address, kind: &str, more: &str) -> String {
    format!(
        "[[watch]]\nlabel = \"{label}\"\nchain = \"demo\"\naddress = \"{address}\"\nkind = \"{kind}\"\n\
         purpose = \"A test\"\npath = \"duty\"\n{more}\n"
    )
}

/// Sets and a token, then the watches.
fn court(watches: &str) -> Court {
    let (keeper, grantee, holder) = (KEEPER.address, GRANTEE.address, HOLDER.address);
    let (a, b, c) = (OWNER_A.address, OWNER_B.address, OWNER_C.address);
    let sets = format!(
        "[set]\nkeepers = [\"{keeper}\"]\npayees = [\"{grantee}\", \"{holder}\"]\nkeys = [\"{a}\", \"{b}\", \"{c}\"]\n\
         [token.COIN]\nchain = \"demo\"\naddress = \"{COIN}\"\ndecimals = 2\n"
    );
    Court::with(&(sets + watches), &[("desk.json", DESK_ABI)])
}

/// The desk with one normal rule called `r`.
fn desk(rule: &str) -> Court {
    court(&watch("Desk", DESK, "contract", &format!("abi = \"desk.json\"\n[[watch.normal]]\nname = \"r\"\n{rule}")))
}

/// `normal`, or why the rule refused.
fn tried_at(time: u64, rule: &str, tx: Tx) -> String {
    let judged = desk(rule).at(time).judge(&[tx]);
    match &judged[0].verdict {
        Verdict::Normal { by } => {
            assert_eq!(by.to_string(), "r");
            "normal".to_owned()
        }
        Verdict::Abnormal(abnormal) => abnormal.reasons.join("; "),
    }
}

#[track_caller]
fn holds(rule: &str, tx: Tx) {
    assert_eq!(tried_at(FRIDAY, rule, tx), "normal", "{rule}");
}

#[track_caller]
fn refuses(rule: &str, tx: Tx, why: &str) {
    let told = tried_at(FRIDAY, rule, tx);
    assert!(told.starts_with(&format!("r: {why}")), "{rule}: {told:?} does not begin with {why:?}");
}

fn pay(to: Address, amount: u64) -> Tx {
    Tx::call(KEEPER.address, DESK, IDesk::payCall { to, amount: U256::from(amount) }.abi_encode())
}

fn order(legs: &[(Address, u64)], memo: B256, delta: i64, note: &str, on: bool) -> Tx {
    let legs = legs.iter().map(|(to, amount)| Leg { to: *to, amount: U256::from(*amount) }).collect();
    let delta = I256::try_from(delta).unwrap();
    let call = IDesk::orderCall { legs, memo, delta, note: note.to_owned(), on };
    Tx::call(KEEPER.address, DESK, call.abi_encode())
}

fn plain_order() -> Tx {
    order(&[(GRANTEE.address, 5), (HOLDER.address, 7)], B256::ZERO, -3, "rent", true)
}

// === Deny by default ===

#[test]
fn what_no_rule_mentions_is_a_finding_on_every_kind() {
    let account = STRANGER.address;
    let kinds = [("safe", SAFE), ("multisig", MULTISIG), ("erc20", TOKEN), ("minime", MINIME), ("contract", DESK)];
    for (kind, address) in kinds {
        let court = court(&watch("It", address, kind, ""));
        for input in [&[0xde, 0xad, 0xbe, 0xef][..], &[1], &[0xff; 100]] {
            let told = court.told(&[Tx::call(account, address, input.to_vec())]);
            assert!(told.len() == 1 && told[0].ends_with("builtin/undecodable"), "{kind}: {told:?}");
        }
    }
    for (kind, address) in [("erc20", TOKEN), ("minime", MINIME)] {
        let told = court(&watch("It", address, kind, ""))
            .told(&[Tx::call(account, address, transfer(EVIL, 1)).log(moved(address, account, EVIL, 1))]);
        assert_eq!(told, ["It call transfer: high builtin/unvouched", "It event Transfer: (high builtin/unvouched)"]);
        let told = court(&watch("It", address, kind, ""))
            .told(&[Tx::call(account, FAKE, []).log(moved(address, account, EVIL, 1))]);
        assert_eq!(told, ["It event Transfer: high builtin/unvouched"]);
    }
    let eoa = court(&watch("It", PAYER.address, "eoa", ""));
    let told = eoa.told(&[Tx::call(PAYER.address, COIN, transfer(EVIL, 1)).log(moved(COIN, PAYER.address, EVIL, 1))]);
    assert_eq!(told, ["It act transfer: high builtin/unvouched", "It move transfer: (high builtin/unvouched)"]);
}

#[test]
fn what_only_looks_is_normal_and_what_arrives_is_inbound() {
    let desk = court(&watch("Desk", DESK, "contract", "abi = \"desk.json\""));
    let look = IDesk::lookCall {}.abi_encode();
    assert_eq!(
        desk.told(&[Tx::call(STRANGER.address, DESK, look.clone())]),
        ["Desk call look: normal by builtin/view"]
    );
    assert_eq!(
        desk.told(&[Tx::call(STRANGER.address, DESK, look).value(1)]),
        ["Desk call look: high builtin/unvouched"]
    );

    let safe = |more: &str| court(&watch("Safe", SAFE, "safe", more));
    let arrives = [
        Tx::call(STRANGER.address, SAFE, []).value(5),
        Tx::call(STRANGER.address, COIN, transfer(SAFE, 5)).log(moved(COIN, STRANGER.address, SAFE, 5)),
    ];
    assert_eq!(
        safe("").told(&arrives),
        ["Safe call ether: normal by builtin/inbound", "Safe move transfer: normal by builtin/inbound"]
    );
    assert_eq!(
        safe("inbound = \"judge\"").told(&arrives),
        ["Safe call ether: high builtin/unvouched", "Safe move transfer: high builtin/unvouched"]
    );
}

#[test]
fn a_rejection_uses_up_a_nonce_and_is_normal() {
    let court = court(&watch("Safe", SAFE, "safe", "")).safe_at(SAFE, 7, 2);
    let run = |order: Order| {
        let (data, hash) = order.signed(SAFE, 6, &[OWNER_A, OWNER_B]);
        court.told(&[Tx::call(RELAYER.address, SAFE, data).log(success(SAFE, hash))])[1].clone()
    };
    assert_eq!(run(Order::pay(SAFE, 0)), "Safe act ether: normal by builtin/rejection");
    assert_eq!(run(Order::pay(SAFE, 1)), "Safe act ether: high builtin/unvouched");
    assert_eq!(run(Order::delegate(SAFE, [])), "Safe act ether: critical builtin/delegatecall");
}

// === Conditions ===

#[test]
fn who_calls_and_who_sent_the_transaction() {
    holds("call = \"pay\"\nfrom = [\"@keepers\"]", pay(EVIL, 1));
    refuses("call = \"pay\"\nfrom = [\"@payees\"]", pay(EVIL, 1), "from 0x15d3");
    holds("call = \"pay\"\nfrom = { not_in = [\"@payees\"] }", pay(EVIL, 1));
    refuses("call = \"pay\"\nfrom = { not_in = [\"@keepers\"] }", pay(EVIL, 1), "from 0x15d3");
    // A batch library calls in between: the caller is the library, the sender is not.
    let through = Tx::call(KEEPER.address, CALL_ONLY_1_4_1, multi_send(&[(0, DESK, 0, pay(EVIL, 1).input)]));
    holds("call = \"pay\"\norigin = [\"@keepers\"]", through.clone());
    refuses("call = \"pay\"\nfrom = [\"@keepers\"]", through.clone(), "from 0x9641");
    refuses("call = \"pay\"\norigin = [\"@payees\"]", through.clone(), "origin 0x15d3");
    refuses("call = \"pay\"\norigin = { not_in = [\"@keepers\"] }", through, "origin 0x15d3");
}

#[test]
fn arguments_of_every_type() {
    let equal = |what: &str| format!("call = \"order\"\nargs = {{ {what} }}");
    let memo = b256!("00000000000000000000000000000000000000000000000000000000000000aa");
    let tx = || order(&[(GRANTEE.address, 5), (HOLDER.address, 7)], memo, -3, "rent", true);
    for good in [
        &format!("memo = {{ eq = \"{memo}\" }}"),
        "note = { eq = \"rent\" }",
        "on = { eq = true }",
        "delta = { min = \"-3\", max = \"0\" }",
        "note = { in = [\"rent\", \"pay\"] }",
        "note = { not_in = [\"gift\"] }",
        "\"legs[*].to\" = { in = \"@payees\" }",
        "\"legs[*].amount\" = { min = \"5\", max = \"7\" }",
        "\"legs[1].amount\" = { eq = \"7\" }",
        "\"#3\" = { eq = \"rent\" }",
    ] {
        holds(&equal(good), tx());
    }
    for (bad, why) in [
        ("memo = { eq = \"0x00000000000000000000000000000000000000000000000000000000000000ab\" }", "memo 0x"),
        ("note = { eq = \"rent \" }", "note \"rent\" is not"),
        ("on = { eq = false }", "on true is not false"),
        ("delta = { min = \"-2\" }", "delta -3 is below -2"),
        ("delta = { max = \"-4\" }", "delta -3 is above -4"),
        ("note = { in = [\"gift\"] }", "note \"rent\" is not one of"),
        ("note = { not_in = [\"rent\"] }", "note \"rent\" is not allowed"),
        ("\"legs[*].to\" = { in = \"@keepers\" }", "legs[*].to 0x14dC"),
        ("\"legs[*].to\" = { not_in = \"@payees\" }", "legs[*].to 0x14dC"),
        ("\"legs[*].amount\" = { max = \"6\" }", "legs[*].amount 7 is above 6"),
        ("\"legs[*].amount\" = { min = \"6\" }", "legs[*].amount 5 is below 6"),
        ("\"legs[2].amount\" = { min = \"0\" }", "legs[2].amount is not among the arguments"),
    ] {
        refuses(&equal(bad), tx(), why);
    }
    // Of no legs nothing can be said, so nothing is vouched for.
    let none = order(&[], memo, 0, "", true);
    refuses(&equal("\"legs[*].amount\" = { max = \"6\" }"), none, "legs[*].amount is not among the arguments");
}

#[test]
fn bounds_hold_at_their_edges() {
    let rule = "call = \"pay\"\nargs = { amount = { min = \"10\", max = \"20\" } }";
    for (amount, good) in [(9, false), (10, true), (20, true), (21, false)] {
        assert_eq!(tried_at(FRIDAY, rule, pay(EVIL, amount)) == "normal", good, "{amount}");
    }
    let huge = Tx::call(KEEPER.address, DESK, IDesk::payCall { to: EVIL, amount: U256::MAX }.abi_encode());
    refuses(rule, huge, "amount 115,792,089");
}

#[test]
fn ether_that_goes_along() {
    refuses("call = \"pay\"", pay(EVIL, 1).value(1), "value 0.000000000000000001 ETH goes along");
    let within = "call = \"pay\"\nvalue = { min = \"1 ether\", max = \"2 ether\" }";
    let ether = |n: u64| U256::from(n) * U256::from(10).pow(U256::from(18));
    holds(within, pay(EVIL, 1).value(ether(1)));
    holds(within, pay(EVIL, 1).value(ether(2)));
    refuses(within, pay(EVIL, 1).value(ether(2) + U256::from(1)), "value 2.000000000000000001 ETH is above 2 ETH");
    refuses(within, pay(EVIL, 1), "value 0 ETH is below 1 ETH");
}

/// The Safe with one normal rule.
fn safe(rule: &str) -> Court {
    let registry = "registry = { owners = [\"@keys\"], threshold = 2, modules = [], guard = \"none\" }";
    court(&watch("Safe", SAFE, "safe", &format!("{registry}\n[[watch.normal]]\nname = \"r\"\n{rule}")))
        .safe_at(SAFE, 7, 2)
}

/// The verdict of what the Safe does, signed by two owners.
fn acted(rule: &str, order: &Order) -> String {
    let (data, hash) = order.signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    safe(rule).told(&[Tx::call(RELAYER.address, SAFE, data).log(success(SAFE, hash))])[1].clone()
}

#[test]
fn whom_an_act_reaches_and_how_it_is_run() {
    let ether = Order::pay(GRANTEE.address, 5);
    assert_eq!(acted("act = \"ether\"\nto = [\"@payees\"]", &ether), "Safe act ether: normal by r");
    assert_eq!(acted("act = \"ether\"\nto = [\"@keys\"]", &ether), "Safe act ether: high builtin/unvouched");
    assert_eq!(
        acted("act = \"ether\"\nto = { not_in = [\"@payees\"] }", &ether),
        "Safe act ether: high builtin/unvouched"
    );
    let foreign = Order::delegate(EVIL, transfer(EVIL, 1));
    let rule = "act = \"transfer(address to, uint256 amount)\"";
    assert_eq!(acted(rule, &foreign), "Safe act transfer: critical builtin/delegatecall");
    let lets = format!("{rule}\nto = [\"{EVIL}\"]\noperation = \"delegatecall\"");
    assert_eq!(acted(&lets, &foreign), "Safe act transfer: normal by r");
    assert_eq!(acted(&lets, &Order::call(EVIL, transfer(EVIL, 1))), "Safe act transfer: high builtin/unvouched");
}

#[test]
fn who_signed() {
    let ether = Order::pay(GRANTEE.address, 5);
    let rule = |signers: &str| format!("act = \"ether\"\nto = [\"@payees\"]\nsigners = {{ {signers} }}");
    let (a, b, c) = (OWNER_A.address, OWNER_B.address, OWNER_C.address);
    for (signers, good) in [
        ("at_least = 2".to_owned(), true),
        ("at_least = 3".to_owned(), false),
        ("in = \"@owners\"".to_owned(), true),
        (format!("within = [\"{a}\", \"{b}\"]"), true),
        (format!("within = [\"{a}\"]"), false),
        (format!("include = [\"{b}\"]"), true),
        (format!("include = [\"{c}\"]"), false),
        (format!("at_least = 2, within = [\"@keys\"], include = [\"{a}\"]"), true),
    ] {
        let verdict = if good { "normal by r" } else { "high builtin/unvouched" };
        assert_eq!(acted(&rule(&signers), &ether), format!("Safe act ether: {verdict}"), "{signers}");
    }
    // Nobody can tell who signed where the node does not say how many signatures count.
    let (data, hash) = ether.signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let blind =
        court(&watch("Safe", SAFE, "safe", &format!("[[watch.normal]]\nname = \"r\"\n{}", rule("at_least = 1"))));
    let told = blind.told(&[Tx::call(RELAYER.address, SAFE, data).log(success(SAFE, hash))]);
    assert_eq!(told[1], "Safe act ether: high builtin/unvouched");
}

#[test]
fn hours_end_where_they_say_over_midnight_and_when_clocks_change() {
    let at = |time: &str| time.parse::<jiff::Timestamp>().unwrap().as_second() as u64;
    let in_hours = |hours: &str, time: &str| {
        let rule = format!("call = \"pay\"\nhours = \"{hours}\"");
        tried_at(at(time), &rule, pay(EVIL, 1)) == "normal"
    };
    let friday = "Fri 08:00-18:00 Europe/Zurich";
    for (time, good) in [
        ("2026-11-20T06:59:59Z", false),
        ("2026-11-20T07:00:00Z", true),
        ("2026-11-20T16:59:59Z", true),
        ("2026-11-20T17:00:00Z", false),
        ("2026-11-19T12:00:00Z", false),
        // Summer time: an hour earlier by the world's clock.
        ("2026-07-17T06:00:00Z", true),
        ("2026-07-17T05:59:59Z", false),
        ("2026-07-17T16:00:00Z", false),
    ] {
        assert_eq!(in_hours(friday, time), good, "{friday} at {time}");
    }
    // From Friday night into Saturday, and no Friday morning.
    let night = "Fri 22:00-06:00 UTC";
    for (time, good) in [
        ("2026-11-20T21:59:00Z", false),
        ("2026-11-20T22:00:00Z", true),
        ("2026-11-21T05:59:59Z", true),
        ("2026-11-21T06:00:00Z", false),
        ("2026-11-20T05:00:00Z", false),
        ("2026-11-21T22:30:00Z", false),
    ] {
        assert_eq!(in_hours(night, time), good, "{night} at {time}");
    }
    // The night on which an hour comes twice (25 October 2026, 03:00 to 02:00 in Zurich): both are inside.
    let twice = "Sun 02:00-03:00 Europe/Zurich";
    for (time, good) in [
        ("2026-10-24T23:59:00Z", false),
        ("2026-10-25T00:30:00Z", true),
        ("2026-10-25T01:30:00Z", true),
        ("2026-10-25T02:00:00Z", false),
        // On 29 March the hour does not exist.
        ("2026-03-29T00:59:00Z", false),
        ("2026-03-29T01:00:00Z", false),
    ] {
        assert_eq!(in_hours(twice, time), good, "{twice} at {time}");
    }
}

// === Limits ===

#[test]
fn a_count_holds_until_it_is_full_and_forgets_at_the_edge_of_its_window() {
    let mut desk = desk("call = \"pay\"\nlimit = { count = 2, per = \"1h\" }");
    let tries = [(0, true), (1, true), (2, false), (3_599, false), (3_600, true), (3_600, false), (3_601, true)];
    for (after, good) in tries {
        desk.time = FRIDAY + after;
        let told = desk.stands(&[pay(EVIL, 1)]);
        assert_eq!(told[0].contains("normal by r"), good, "{after} seconds on: {told:?}");
    }
}

#[test]
fn a_sum_counts_what_stands_and_what_comes_before_in_the_block() {
    let rule = "call = \"pay\"\nlimit = { sum = \"amount\", max = \"100\", per = \"1d\" }";
    let mut desk = desk(rule);
    let told = desk.stands(&[pay(EVIL, 60), pay(EVIL, 41), pay(EVIL, 40), pay(EVIL, 1)]);
    let normal: Vec<bool> = told.iter().map(|line| line.contains("normal")).collect();
    assert_eq!(normal, [true, false, true, false], "what is refused does not count: {told:?}");

    // A reorg takes the block's part back.
    desk.falls();
    let told = desk.stands(&[pay(EVIL, 100), pay(EVIL, 1)]);
    assert!(told[0].contains("normal") && told[1].contains("unvouched"), "{told:?}");
}

#[test]
fn a_sum_of_ether_and_a_nested_sum() {
    let mut ether = desk(
        "call = \"pay\"\nvalue = { max = \"1 ether\" }\nlimit = { sum = \"value\", max = \"1 ether\", per = \"1d\" }",
    );
    let half = U256::from(10).pow(U256::from(18)) / U256::from(2);
    let told = ether.stands(&[pay(EVIL, 1).value(half), pay(EVIL, 1).value(half), pay(EVIL, 1).value(1)]);
    assert!(told[1].contains("normal") && told[2].contains("unvouched"), "{told:?}");

    let mut nested = desk("call = \"order\"\nlimit = { sum = \"legs[*].amount\", max = \"24\", per = \"1d\" }");
    let told = nested.stands(&[plain_order(), plain_order(), plain_order()]);
    assert!(told[1].contains("normal") && told[2].contains("unvouched"), "{told:?}");
}

#[test]
fn what_was_undone_or_is_only_proposed_does_not_count() {
    let mut desk = desk("call = \"pay\"\nlimit = { count = 1, per = \"1d\" }");
    assert_eq!(desk.stands(&[pay(EVIL, 1).reverted()]), ["Desk call pay: normal by r"]);
    assert_eq!(desk.stands(&[pay(EVIL, 1)]), ["Desk call pay: normal by r"]);
    assert_eq!(desk.stands(&[pay(EVIL, 1)]), ["Desk call pay: high builtin/unvouched"]);

    let rule =
        "[[watch.normal]]\nname = \"r\"\nact = \"ether\"\nto = [\"@payees\"]\nlimit = { count = 1, per = \"1d\" }";
    let mut multisig = court(&watch("Multisig", MULTISIG, "multisig", rule));
    let submit = IMultiSigWallet::submitTransactionCall {
        destination: GRANTEE.address,
        value: U256::from(1),
        data: Bytes::new(),
    };
    for id in 0..3 {
        let id = U256::from(id);
        let tx = Tx::call(OWNER_A.address, MULTISIG, submit.abi_encode())
            .log(event(MULTISIG, &IMultiSigWallet::Submission { transactionId: id }))
            .log(event(MULTISIG, &IMultiSigWallet::Confirmation { sender: OWNER_A.address, transactionId: id }));
        let told = multisig.stands(&[tx]);
        assert_eq!(told[1], "Multisig act ether: normal by r", "proposed for the time number {id}");
    }
}

// === Order, attempts, observation ===

#[test]
fn an_abnormal_rule_beats_a_normal_one_and_the_first_normal_one_vouches() {
    let rules = "abi = \"desk.json\"\n[[watch.normal]]\nname = \"small\"\ncall = \"pay\"\nargs = { amount = { max = \"10\" } }\n\
        [[watch.normal]]\nname = \"any\"\ncall = \"pay\"\n\
        [[watch.abnormal]]\nname = \"to-evil\"\ncall = \"pay\"\nargs = { to = { in = [\"0xe1E1e1E1e1e1e1E1e1E1e1E1e1e1E1e1E1E1E10A\"] } }\nseverity = \"critical\"";
    let desk = court(&watch("Desk", DESK, "contract", rules));
    assert_eq!(desk.told(&[pay(GRANTEE.address, 5)]), ["Desk call pay: normal by small"]);
    assert_eq!(desk.told(&[pay(GRANTEE.address, 50)]), ["Desk call pay: normal by any"]);
    assert_eq!(desk.told(&[pay(EVIL, 5)]), ["Desk call pay: critical to-evil"]);
}

#[test]
fn the_nearest_refusal_comes_first_and_decides_the_severity() {
    let rules = "abi = \"desk.json\"\n[[watch.normal]]\nname = \"orders\"\ncall = \"order\"\n\
        [[watch.normal]]\nname = \"far\"\ncall = \"pay\"\nfrom = [\"@payees\"]\nargs = { amount = { max = \"1\" } }\nseverity = \"info\"\n\
        [[watch.normal]]\nname = \"near\"\ncall = \"pay\"\nargs = { amount = { max = \"4\" } }\nseverity = \"warning\"";
    let judged = court(&watch("Desk", DESK, "contract", rules)).judge(&[pay(EVIL, 5)]);
    let Verdict::Abnormal(abnormal) = &judged[0].verdict else { panic!("{judged:?}") };
    assert_eq!(abnormal.severity.as_str(), "warning");
    let begin: Vec<&str> = abnormal.reasons.iter().map(|reason| reason.split(' ').next().unwrap()).collect();
    assert_eq!(begin, ["near:", "far:", "far:", "orders:"], "{:?}", abnormal.reasons);
}

#[test]
fn attempts_are_quiet_until_they_pile_up() {
    let mut desk = court(&watch("Desk", DESK, "contract", "abi = \"desk.json\""));
    let severities: Vec<String> = (0..5)
        .map(|n| {
            desk.time = FRIDAY + n * 60;
            desk.stands(&[pay(EVIL, 1).reverted()]).remove(0)
        })
        .collect();
    let expected = ["info", "info", "info", "high", "high"].map(|how| format!("Desk call pay: {how} builtin/attempt"));
    assert_eq!(severities, expected);
    desk.time = FRIDAY + 240 + 600;
    assert_eq!(desk.stands(&[pay(EVIL, 1).reverted()]), ["Desk call pay: info builtin/attempt"], "ten minutes on");
}

#[test]
fn what_is_observed_is_judged_and_wakes_nobody() {
    let observed = |more: &str| {
        let judged =
            court(&watch("Desk", DESK, "contract", &format!("abi = \"desk.json\"\n{more}"))).judge(&[pay(EVIL, 5)]);
        matches!(&judged[0].verdict, Verdict::Abnormal(abnormal) if abnormal.observe)
    };
    assert!(observed("mode = \"observe\""));
    assert!(observed(
        "[[watch.normal]]\nname = \"r\"\ncall = \"pay\"\nargs = { amount = { max = \"1\" } }\nmode = \"observe\""
    ));
    assert!(!observed("[[watch.normal]]\nname = \"r\"\ncall = \"pay\"\nargs = { amount = { max = \"1\" } }"));
}

#[test]
fn a_rule_makes_what_a_built_in_recognizes_louder_and_never_quieter() {
    let said = |how: &str, order: &Order| {
        let rule =
            format!("act = \"transfer(address to, uint256 amount)\"\nargs = {{ amount = {{ max = \"1\" }} }}\n{how}");
        let (data, hash) = order.signed(SAFE, 6, &[OWNER_A, OWNER_B]);
        let judged = safe(&rule).judge(&[Tx::call(RELAYER.address, SAFE, data).log(success(SAFE, hash))]);
        let Verdict::Abnormal(abnormal) = &judged[1].verdict else { panic!("{judged:?}") };
        (abnormal.severity.as_str(), abnormal.observe)
    };
    let much = Order::call(COIN, transfer(EVIL, 5));
    let foreign = Order::delegate(EVIL, transfer(EVIL, 5));
    assert_eq!(said("severity = \"info\"", &much), ("info", false));
    assert_eq!(said("severity = \"info\"", &foreign), ("critical", false));
    assert_eq!(said("mode = \"observe\"", &much), ("high", true));
    assert_eq!(said("mode = \"observe\"", &foreign), ("critical", false), "nobody put foreign code on trial");
    let other = "mode = \"observe\"\n[[watch.normal]]\nname = \"old\"\nact = \"transfer(address to, uint256 amount)\"\n\
                 args = { amount = { max = \"2\" }, to = { in = \"@payees\" } }";
    assert_eq!(said(other, &much), ("high", false), "an older rule refuses it as well");
}

// === Built-ins switched off ===

#[test]
fn a_built_in_that_is_switched_off_makes_nothing_normal() {
    let off = |name: &str| format!("builtins = {{ off = [\"builtin/{name}\"] }}");
    let safe = |name: &str, order: &Order| {
        let (data, hash) = order.signed(SAFE, 6, &[OWNER_A, OWNER_B]);
        let court = court(&watch("Safe", SAFE, "safe", &off(name))).safe_at(SAFE, 7, 2);
        court.told(&[Tx::call(RELAYER.address, SAFE, data).log(success(SAFE, hash))])[1].clone()
    };
    let add =
        Order::call(SAFE, ISafe::addOwnerWithThresholdCall { owner: EVIL, threshold: U256::from(1) }.abi_encode());
    assert_eq!(safe("view", &add), "Safe act addOwnerWithThreshold: critical builtin/control");
    assert_eq!(safe("control", &add), "Safe act addOwnerWithThreshold: high builtin/unvouched");
    assert_eq!(safe("delegatecall", &Order::delegate(EVIL, [])), "Safe act ether: high builtin/unvouched");
    assert_eq!(safe("rejection", &Order::pay(SAFE, 0)), "Safe act ether: high builtin/unvouched");
    let approve = IToken::approveCall { spender: EVIL, amount: U256::MAX }.abi_encode();
    assert_eq!(safe("approval", &Order::call(COIN, approve)), "Safe act approve: high builtin/unvouched");

    let lenient = |name: &str| {
        let more = format!("abi = \"desk.json\"\n{}\n[[watch.normal]]\nname = \"any\"\ncall = \"*\"", off(name));
        court(&watch("Desk", DESK, "contract", &more))
    };
    let mut broken = pay(EVIL, 1);
    broken.input = [&broken.input[..], &[1]].concat().into();
    assert_eq!(
        lenient("undecodable").told(&[broken]),
        ["Desk call pay: high builtin/unvouched"],
        "no rule vouches for it either"
    );

    let desk = |name: &str| court(&watch("Desk", DESK, "contract", &format!("abi = \"desk.json\"\n{}", off(name))));
    assert_eq!(desk("attempt").told(&[pay(EVIL, 1).reverted()]), ["Desk call pay: high builtin/unvouched"]);
    assert_eq!(
        desk("view").told(&[Tx::call(EVIL, DESK, IDesk::lookCall {}.abi_encode())]),
        ["Desk call look: high builtin/unvouched"]
    );
    assert_eq!(desk("inbound").told(&[Tx::call(EVIL, DESK, []).value(1)]), ["Desk call ether: high builtin/unvouched"]);
    assert_eq!(desk("unvouched").told(&[pay(EVIL, 1)]), ["Desk call pay: high builtin/unvouched"], "it cannot be");
}

#[test]
fn an_envelope_s_condition_that_is_switched_off_is_not_asked() {
    let run = |off: &str| {
        let more = format!(
            "builtins = {{ off = [{off}] }}\nexecutors = [\"@keepers\"]\n\
             [[watch.normal]]\nname = \"pay\"\nact = \"ether\"\nto = [\"@payees\"]"
        );
        let order = Order { refund: Some(EVIL), ..Order::pay(GRANTEE.address, 1) };
        let (data, hash) = order.signed(SAFE, 6, &[OWNER_A, OWNER_B]);
        let court = court(&watch("Safe", SAFE, "safe", &more)).safe_at(SAFE, 7, 2);
        court.told(&[Tx::call(RELAYER.address, SAFE, data).log(success(SAFE, hash))])[0].clone()
    };
    assert_eq!(run(""), "Safe call execTransaction: critical builtin/refund");
    assert_eq!(run("\"builtin/refund\""), "Safe call execTransaction: warning builtin/executor");
    assert_eq!(
        run("\"builtin/refund\", \"builtin/executor\""),
        "Safe call execTransaction: normal by builtin/envelope"
    );
    assert_eq!(
        run("\"builtin/refund\", \"builtin/executor\", \"builtin/envelope\""),
        "Safe call execTransaction: high builtin/unvouched"
    );
}

#[test]
fn an_allowance_at_or_above_the_supply_is_one_without_limit() {
    let order = Order::call(COIN, IToken::approveCall { spender: EVIL, amount: U256::from(500) }.abi_encode());
    let (data, hash) = order.signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let supply = IToken::totalSupplyCall {}.abi_encode();
    for (total, verdict) in [(500u64, "critical builtin/approval"), (501, "high builtin/unvouched")] {
        let court = court(&watch("Safe", SAFE, "safe", "")).safe_at(SAFE, 7, 2);
        let court = court.knows(COIN, supply.clone(), U256::from(total).abi_encode());
        let told = court.told(&[Tx::call(RELAYER.address, SAFE, data.clone()).log(success(SAFE, hash))]);
        assert_eq!(told[1], format!("Safe act approve: {verdict}"), "of {total}");
    }
}

// === What each thing costs ===

/// What an unvouched call costs, on a watch of this kind.
#[track_caller]
fn costs(kind: &str, address: Address, signature: &str, verdict: &str) {
    let function = watchfire::abi::Function::parse(signature).unwrap();
    let words = vec![0; 32 * function.inputs.len()];
    let input = [&function.selector[..], &words].concat();
    let told = court(&watch("It", address, kind, "")).told(&[Tx::call(STRANGER.address, address, input)]);
    assert_eq!(told, [format!("It call {}: {verdict}", function.name)], "{kind} {signature}");
}

#[test]
fn calls_cost_what_the_table_says() {
    const CONTROL: &str = "critical builtin/control";
    const UNVOUCHED: &str = "high builtin/unvouched";
    for (kind, address, signature, verdict) in [
        ("safe", SAFE, "approveHash(bytes32)", "warning builtin/unvouched"),
        ("safe", SAFE, "addOwnerWithThreshold(address,uint256)", CONTROL),
        ("safe", SAFE, "setGuard(address)", CONTROL),
        ("safe", SAFE, "disableModule(address,address)", "high builtin/control"),
        ("multisig", MULTISIG, "addOwner(address)", CONTROL),
        ("multisig", MULTISIG, "replaceOwner(address,address)", CONTROL),
        ("multisig", MULTISIG, "changeRequirement(uint256)", CONTROL),
        ("multisig", MULTISIG, "changeDailyLimit(uint256)", CONTROL),
        ("multisig", MULTISIG, "revokeConfirmation(uint256)", UNVOUCHED),
        ("erc20", TOKEN, "transfer(address,uint256)", UNVOUCHED),
        ("erc20", TOKEN, "approve(address,uint256)", UNVOUCHED),
        ("erc20", TOKEN, "mint(address,uint256)", CONTROL),
        ("erc20", TOKEN, "burnFrom(address,uint256)", CONTROL),
        ("erc20", TOKEN, "pause()", CONTROL),
        ("erc20", TOKEN, "blacklist(address)", CONTROL),
        ("erc20", TOKEN, "configureMinter(address,uint256)", CONTROL),
        ("erc20", TOKEN, "transferOwnership(address)", CONTROL),
        ("erc20", TOKEN, "upgradeTo(address)", CONTROL),
        ("minime", MINIME, "changeController(address)", CONTROL),
        ("minime", MINIME, "generateTokens(address,uint256)", CONTROL),
        ("minime", MINIME, "destroyTokens(address,uint256)", CONTROL),
        ("minime", MINIME, "enableTransfers(bool)", "high builtin/control"),
        ("minime", MINIME, "claimTokens(address)", "high builtin/control"),
        ("minime", MINIME, "transferFrom(address,address,uint256)", UNVOUCHED),
    ] {
        costs(kind, address, signature, verdict);
    }
    let clone = (String::new(), U256::ZERO, String::new(), U256::ZERO, false).abi_encode_params();
    let clone = [&[0x66, 0x38, 0xc0, 0x87], &clone[..]].concat();
    let told = court(&watch("It", MINIME, "minime", "")).told(&[Tx::call(STRANGER.address, MINIME, clone)]);
    assert_eq!(told, ["It call createCloneToken: warning builtin/control"]);
    let controller = court(&watch("It", MINIME, "minime", "")).knows(
        MINIME,
        IMiniMe::controllerCall {}.abi_encode(),
        STRANGER.address.abi_encode(),
    );
    let take = IToken::transferFromCall { from: HOLDER.address, to: EVIL, amount: U256::from(1) }.abi_encode();
    let told = controller.told(&[Tx::call(STRANGER.address, MINIME, take)]);
    assert_eq!(told, ["It call transferFrom: critical builtin/control"]);
}

#[test]
fn acts_of_a_safe_cost_what_the_table_says() {
    let owners = |call: Vec<u8>| Order::call(SAFE, call);
    let n = U256::from(2);
    let cases: Vec<(Order, &str)> = vec![
        (
            owners(ISafe::addOwnerWithThresholdCall { owner: EVIL, threshold: n }.abi_encode()),
            "critical builtin/control",
        ),
        (
            owners(ISafe::removeOwnerCall { prevOwner: EVIL, owner: EVIL, threshold: n }.abi_encode()),
            "critical builtin/control",
        ),
        (
            owners(ISafe::swapOwnerCall { prevOwner: EVIL, oldOwner: EVIL, newOwner: EVIL }.abi_encode()),
            "critical builtin/control",
        ),
        (owners(ISafe::changeThresholdCall { threshold: n }.abi_encode()), "critical builtin/control"),
        (owners(ISafe::enableModuleCall { module: EVIL }.abi_encode()), "critical builtin/control"),
        (owners(ISafe::setGuardCall { guard: EVIL }.abi_encode()), "critical builtin/control"),
        (Order::delegate(EVIL, [1, 2, 3, 4]), "critical builtin/delegatecall"),
        (Order::call(COIN, transfer(EVIL, 1)), "high builtin/unvouched"),
        (Order::call(COIN, IToken::approveCall { spender: EVIL, amount: n }.abi_encode()), "high builtin/unvouched"),
        (
            Order::call(COIN, IToken::approveCall { spender: EVIL, amount: U256::MAX }.abi_encode()),
            "critical builtin/approval",
        ),
        (Order::pay(EVIL, 1), "high builtin/unvouched"),
        (
            Order::call(MINIME, IMiniMe::changeControllerCall { newController: EVIL }.abi_encode()),
            "critical builtin/control",
        ),
        (Order::call(TOKEN, IToken::transferOwnershipCall { newOwner: EVIL }.abi_encode()), "critical builtin/control"),
        (Order::call(FAKE, [1, 2, 3, 4]), "critical builtin/undecodable"),
    ];
    for (order, verdict) in cases {
        let (data, hash) = order.signed(SAFE, 6, &[OWNER_A, OWNER_B]);
        let court = court(&watch("Safe", SAFE, "safe", "")).safe_at(SAFE, 7, 2);
        let told = court.told(&[Tx::call(RELAYER.address, SAFE, data).log(success(SAFE, hash))]);
        assert!(told[1].ends_with(&format!(": {verdict}")), "{order:?}: {told:?}");
        assert_eq!(told[0], format!("Safe call execTransaction: ({verdict})"));
    }
}

#[test]
fn a_multisig_is_judged_when_a_payload_is_written_down() {
    let add = IMultiSigWallet::addOwnerCall { owner: EVIL }.abi_encode();
    let seize = IMiniMe::changeControllerCall { newController: EVIL }.abi_encode();
    let hand_over = IToken::transferOwnershipCall { newOwner: EVIL }.abi_encode();
    let cases = [
        (MULTISIG, add, "critical builtin/control"),
        (MULTISIG, vec![], "critical builtin/control"),
        (MINIME, seize, "critical builtin/control"),
        (TOKEN, hand_over, "critical builtin/control"),
        (EVIL, vec![], "high builtin/unvouched"),
    ];
    for (destination, data, verdict) in cases {
        let submit = IMultiSigWallet::submitTransactionCall { destination, value: U256::ZERO, data: data.into() };
        let id = U256::from(1);
        let tx = Tx::call(OWNER_A.address, MULTISIG, submit.abi_encode())
            .log(event(MULTISIG, &IMultiSigWallet::Submission { transactionId: id }))
            .log(event(MULTISIG, &IMultiSigWallet::Confirmation { sender: OWNER_A.address, transactionId: id }));
        let court = court(&watch("Multisig", MULTISIG, "multisig", ""));
        let judged = court.judge(&[tx]);
        assert!(court.line(&judged[1]).ends_with(&format!(": {verdict}")), "{destination}: {}", court.line(&judged[1]));
        assert_eq!(judged[1].activity.stage, watchfire::model::Stage::Proposed);
    }
}

#[test]
fn a_late_or_unexpected_confirmation_is_a_finding() {
    let id = U256::from(1);
    let more =
        "registry = { owners = [\"@keys\"] }\n[[watch.normal]]\nname = \"pay\"\nact = \"ether\"\nto = [\"@payees\"]";
    let asked = [&[0x9a, 0xce, 0x38, 0xc2], &id.to_be_bytes::<32>()[..]].concat();
    let written = (GRANTEE.address, U256::from(1), Bytes::new(), false).abi_encode_params();
    let confirm = |who: Address| {
        Tx::call(who, MULTISIG, IMultiSigWallet::confirmTransactionCall { transactionId: id }.abi_encode())
            .log(event(MULTISIG, &IMultiSigWallet::Confirmation { sender: who, transactionId: id }))
    };
    let mut court = court(&watch("Multisig", MULTISIG, "multisig", more)).knows(MULTISIG, asked, written);
    let submit = IMultiSigWallet::submitTransactionCall {
        destination: GRANTEE.address,
        value: U256::from(1),
        data: Bytes::new(),
    };
    court.stands(&[Tx::call(OWNER_A.address, MULTISIG, submit.abi_encode())
        .log(event(MULTISIG, &IMultiSigWallet::Submission { transactionId: id }))
        .log(event(MULTISIG, &IMultiSigWallet::Confirmation { sender: OWNER_A.address, transactionId: id }))]);
    let day = 86_400;
    court.time = FRIDAY + 59;
    assert_eq!(
        court.told(&[confirm(OWNER_B.address)])[0],
        "Multisig call confirmTransaction: high builtin/hasty-confirmation"
    );
    court.time = FRIDAY + 60;
    assert_eq!(
        court.told(&[confirm(OWNER_B.address)])[0],
        "Multisig call confirmTransaction: normal by builtin/envelope"
    );
    assert_eq!(court.told(&[confirm(STRANGER.address)])[0], "Multisig call confirmTransaction: high builtin/confirmer");
    court.time = FRIDAY + 30 * day;
    assert_eq!(
        court.told(&[confirm(OWNER_B.address)])[0],
        "Multisig call confirmTransaction: normal by builtin/envelope"
    );
    court.time = FRIDAY + 31 * day;
    assert_eq!(
        court.told(&[confirm(OWNER_B.address)])[0],
        "Multisig call confirmTransaction: high builtin/stale-confirmation"
    );
}

#[test]
fn what_failed_inside_a_transaction_that_succeeded_is_a_warning() {
    let rule = "[[watch.normal]]\nname = \"pay\"\nact = \"ether\"\nto = [\"@payees\"]";
    let (data, hash) = Order::pay(GRANTEE.address, 1).signed(SAFE, 6, &[OWNER_A, OWNER_B]);
    let failed = event(SAFE, &ISafe::ExecutionFailure { txHash: hash, payment: U256::ZERO });
    let told =
        court(&watch("Safe", SAFE, "safe", rule))
            .safe_at(SAFE, 7, 2)
            .told(&[Tx::call(RELAYER.address, SAFE, data).log(failed)]);
    assert_eq!(told[0], "Safe call execTransaction: warning builtin/inner-failure");
    assert_eq!(told[1], "Safe act ether: normal by pay");
}

#[test]
fn events_and_moves_that_nothing_explains_cost_what_the_table_says() {
    let stray = |kind: &str, address: Address, log: Log| {
        court(&watch("It", address, kind, "")).told(&[Tx::call(STRANGER.address, FAKE, []).log(log)]).join(", ")
    };
    let evil = word(EVIL);
    for (kind, address, log, verdict) in [
        ("safe", SAFE, raw(SAFE, "AddedOwner(address)", &[evil], []), "event AddedOwner: critical builtin/control"),
        (
            "safe",
            SAFE,
            raw(SAFE, "EnabledModule(address)", &[evil], []),
            "event EnabledModule: critical builtin/control",
        ),
        ("safe", SAFE, success(SAFE, B256::ZERO), "event ExecutionSuccess: critical builtin/outflow"),
        ("safe", SAFE, moved(COIN, SAFE, EVIL, 1), "move transfer: critical builtin/outflow"),
        ("safe", SAFE, moved(OTHER_TOKEN, SAFE, EVIL, 1), "move transfer: info builtin/poisoning"),
        ("safe", SAFE, moved(COIN, SAFE, EVIL, 0), "move transfer: info builtin/poisoning"),
        ("eoa", PAYER.address, moved(COIN, PAYER.address, EVIL, 1), "move transfer: high builtin/outflow"),
        (
            "multisig",
            MULTISIG,
            raw(MULTISIG, "OwnerAddition(address)", &[evil], []),
            "event OwnerAddition: critical builtin/control",
        ),
        (
            "multisig",
            MULTISIG,
            raw(MULTISIG, "Execution(uint256)", &[number(1)], []),
            "event Execution: critical builtin/outflow",
        ),
        (
            "multisig",
            MULTISIG,
            raw(MULTISIG, "Submission(uint256)", &[number(1)], []),
            "event Submission: critical builtin/unread",
        ),
        ("erc20", TOKEN, moved(TOKEN, Address::ZERO, EVIL, 1), "event Transfer: critical builtin/control"),
        ("erc20", TOKEN, moved(TOKEN, EVIL, Address::ZERO, 1), "event Transfer: critical builtin/control"),
        ("erc20", TOKEN, moved(TOKEN, EVIL, STRANGER.address, 1), "event Transfer: high builtin/unvouched"),
        ("minime", MINIME, moved(MINIME, Address::ZERO, EVIL, 1), "event Transfer: critical builtin/control"),
    ] {
        assert_eq!(stray(kind, address, log), format!("It {verdict}"));
    }
}

/// Functions by which a wallet changes itself, with one address for every address they take, and the events of its that tell of a change.
const CHANGES: [(&str, Address, &[&str], &[&str]); 2] = [
    (
        "safe",
        SAFE,
        &[
            "addOwnerWithThreshold(address,uint256)",
            "removeOwner(address,address,uint256)",
            "swapOwner(address,address,address)",
            "enableModule(address)",
            "disableModule(address,address)",
            "setGuard(address)",
            "setModuleGuard(address)",
            "setFallbackHandler(address)",
            "changeMasterCopy(address)",
        ],
        &[
            "AddedOwner",
            "RemovedOwner",
            "EnabledModule",
            "DisabledModule",
            "ChangedGuard",
            "ChangedModuleGuard",
            "ChangedFallbackHandler",
            "ChangedMasterCopy",
        ],
    ),
    (
        "multisig",
        MULTISIG,
        &["addOwner(address)", "removeOwner(address)", "replaceOwner(address,address)"],
        &["OwnerAddition", "OwnerRemoval"],
    ),
];

#[test]
fn the_log_of_one_change_never_passes_for_that_of_another() {
    let mut pairs: Vec<(String, &str)> = Vec::new();
    for (kind, address, functions, events) in CHANGES {
        for function in functions {
            let parsed = watchfire::abi::Function::parse(function).unwrap();
            // The wallet calls itself by a batch; the log names the same address as the call.
            let words = [word(EVIL), word(EVIL), word(EVIL)].map(|word| word.to_vec()).concat();
            let input = [&parsed.selector[..], &words[..32 * parsed.inputs.len()]].concat();
            let rule = format!("[[watch.normal]]\nname = \"planned\"\ncall = \"{function}\"\n");
            for event in events {
                let tx = Tx::call(KEEPER.address, address, input.clone());
                // The oldest Safes index nothing, and no Safe indexes this.
                let signature = format!("{event}(address)");
                let log = match *event {
                    "ChangedMasterCopy" => raw(address, &signature, &[], word(EVIL)),
                    _ => raw(address, &signature, &[word(EVIL)], []),
                };
                let told = court(&watch("It", address, kind, &rule)).told(&[tx.log(log)]);
                assert_eq!(told[0], format!("It call {}: normal by planned", parsed.name), "{function}");
                if told[1].contains(": normal by effect") {
                    pairs.push((parsed.name.to_string(), event));
                } else {
                    assert_eq!(told[1], format!("It event {event}: critical builtin/control"), "{function}");
                }
            }
        }
    }
    let pairs: Vec<String> = pairs.iter().map(|(function, event)| format!("{function} {event}")).collect();
    let own = [
        "addOwnerWithThreshold AddedOwner",
        "removeOwner RemovedOwner",
        "swapOwner AddedOwner",
        "swapOwner RemovedOwner",
        "enableModule EnabledModule",
        "disableModule DisabledModule",
        "setGuard ChangedGuard",
        "setModuleGuard ChangedModuleGuard",
        "setFallbackHandler ChangedFallbackHandler",
        "changeMasterCopy ChangedMasterCopy",
        "addOwner OwnerAddition",
        "removeOwner OwnerRemoval",
        "replaceOwner OwnerAddition",
        "replaceOwner OwnerRemoval",
    ];
    assert_eq!(pairs, own);
}

#[test]
fn a_failed_delegation_or_creation_is_judged_with_the_account() {
    let eoa = court(&watch("It", PAYER.address, "eoa", ""));
    let told = eoa.told(&[
        Tx::call(STRANGER.address, FAKE, []).authorized(PAYER, 0, Address::ZERO, 1).reverted(),
        Tx::create(PAYER.address, [0x00]),
        Tx::call(STRANGER.address, PAYER.address, [1, 2, 3, 4]),
    ]);
    assert_eq!(
        told,
        [
            "It act clear delegation: critical builtin/delegation",
            "It act creation: high builtin/creation",
            "It call 0x01020304: high builtin/undecodable"
        ]
    );
}
