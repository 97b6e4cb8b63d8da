//! Conditions of rules, from a watchlist's text and a node's JSON to the verdict.

use crate::support::accounts::{GRANTEE, KEEPER, OWNER_A, STRANGER};
use crate::support::examples::check_examples;
use crate::support::hostile_blocks::*;
use alloy_primitives::{Address, B256, Bytes, U256, address, hex, keccak256};
use alloy_sol_types::{SolCall, SolValue, sol};
use proptest::prelude::*;
use watchfire::model::{Judged, Verdict};

sol! {
    struct Payee { address to; uint256 amount; }
    function pay(Payee[] payees);
    function swap(address a, address b, uint256 c);
}

const SHOP: Address = address!("5409000000000000000000000000000000000020");
/// An attribution of schema 0 to `baseapp`.
const SUFFIX: [u8; 25] = hex!("62617365617070070080218021802180218021802180218021");

/// One contract with these rules.
fn shop(rules: &str) -> Court {
    Court::new(&format!(
        "[set]\npayees = [\"{}\", \"{}\"]\n[[watch]]\nlabel = \"Shop\"\nchain = \"demo\"\naddress = \"{SHOP}\"\nkind = \"contract\"\n\
         purpose = \"A test\"\npath = \"duty\"\n{rules}\n",
        GRANTEE.address, KEEPER.address
    ))
}

fn called(input: impl Into<Bytes>) -> Tx {
    Tx::call(STRANGER.address, SHOP, input)
}

/// What is told of the one activity of `tx`, with its reasons.
fn reasons(court: &Court, tx: Tx) -> (String, Vec<String>) {
    let judged: Vec<Judged> = court.judge(&[tx]);
    let [only] = &judged[..] else { panic!("one activity, not {}", judged.len()) };
    let reasons = match &only.verdict {
        Verdict::Abnormal(abnormal) => abnormal.reasons.clone(),
        Verdict::Normal { .. } => Vec::new(),
    };
    (court.line(only), reasons)
}

#[test]
fn the_examples_of_the_documentation_compile_and_pass_their_own_tests() {
    check_examples("conditions.md", 11);
}

#[test]
fn a_stranger_among_good_payees_is_raised_from_real_calldata() {
    let court = shop(
        "[[watch.abnormal]]\nname = \"stranger\"\ncall = \"pay((address to, uint256 amount)[] payees)\"\n\
         args = { \"payees[*].to\" = { not_in = \"@payees\" } }\n\
         [[watch.normal]]\nname = \"salaries\"\ncall = \"pay((address to, uint256 amount)[] payees)\"\n",
    );
    let payment = |payees: &[Address]| {
        let payees = payees.iter().map(|to| Payee { to: *to, amount: U256::from(1) }).collect();
        called(payCall { payees }.abi_encode())
    };
    let good = [GRANTEE.address, KEEPER.address];
    assert_eq!(court.told(&[payment(&good)]), ["Shop call pay: normal by salaries"]);
    for at in 0..=good.len() {
        let mut payees = good.to_vec();
        payees.insert(at, EVIL);
        assert_eq!(court.told(&[payment(&payees)]), ["Shop call pay: high stranger"], "at {at}");
    }
    // An empty list holds no stranger, and nobody who would have to be known.
    assert_eq!(court.told(&[payment(&[])]), ["Shop call pay: normal by salaries"]);
}

#[test]
fn each_of_two_arguments_of_one_name_is_looked_at_by_its_position() {
    let court = shop(
        "[[watch.normal]]\nname = \"swaps\"\ncall = \"swap(address token, address token, uint256 amount)\"\n\
         args = { \"#0\" = \"@payees\", \"#1\" = \"@payees\" }\n",
    );
    let swap = |a, b| called(swapCall { a, b, c: U256::from(1) }.abi_encode());
    assert_eq!(court.told(&[swap(GRANTEE.address, KEEPER.address)]), ["Shop call swap: normal by swaps"]);
    for (a, b, place) in [(EVIL, GRANTEE.address, "#0"), (GRANTEE.address, EVIL, "#1")] {
        let (line, reasons) = reasons(&court, swap(a, b));
        assert_eq!(line, "Shop call swap: high builtin/unvouched");
        assert_eq!(reasons, [format!("swaps: {place} {EVIL} is not in @payees")]);
    }
}

// === Bytes behind the calldata ===

const SUFFIXED: &str = "[[watch.normal]]\nname = \"swaps\"\ncall = \"swap(address a, address b, uint256 c)\"\n";

fn with_suffix(suffix: &[u8]) -> Tx {
    let call = swapCall { a: GRANTEE.address, b: KEEPER.address, c: U256::from(1) }.abi_encode();
    called([&call[..], suffix].concat())
}

#[test]
fn bytes_behind_the_arguments_are_refused_with_the_key_that_would_let_them_be() {
    let strict = shop(SUFFIXED);
    assert_eq!(strict.told(&[with_suffix(&[])]), ["Shop call swap: normal by swaps"]);
    let (line, said) = reasons(&strict, with_suffix(&SUFFIX));
    assert_eq!(line, "Shop call swap: high builtin/undecodable");
    let words =
        "the calldata ends in an attribution by ERC-8021 (baseapp); `suffix = \"erc8021\"` in a rule lets it be";
    assert!(said.iter().any(|reason| reason == words), "{said:?}");
    assert!(said.iter().any(|reason| reason.starts_with("swaps: suffix is an attribution by ERC-8021")), "{said:?}");
    let (line, said) = reasons(&strict, with_suffix(&[0xde; 40]));
    assert_eq!(line, "Shop call swap: high builtin/undecodable");
    assert!(said.iter().any(|reason| reason.contains("40 bytes") && reason.contains("`suffix = \"any\"`")), "{said:?}");
}

#[test]
fn a_rule_lets_exactly_those_bytes_be_that_it_names() {
    let attributed = shop(&format!("{SUFFIXED}suffix = \"erc8021\"\n"));
    let whatever = shop(&format!("{SUFFIXED}suffix = \"any\"\n"));
    let longer = [&[0][..], &SUFFIX].concat();
    for (suffix, by_attribution) in
        [(&[][..], true), (&SUFFIX[..], true), (&longer[..], false), (&SUFFIX[1..], false), (&[0xde; 40], false)]
    {
        let verdict = if by_attribution { "normal by swaps" } else { "high builtin/undecodable" };
        assert_eq!(attributed.told(&[with_suffix(suffix)]), [format!("Shop call swap: {verdict}")]);
        assert_eq!(whatever.told(&[with_suffix(suffix)]), ["Shop call swap: normal by swaps"]);
    }
    // Whatever else is wrong with the encoding is not excused by it.
    let mut dirty = swapCall { a: GRANTEE.address, b: KEEPER.address, c: U256::from(1) }.abi_encode();
    dirty[4] = 1;
    dirty.extend(SUFFIX);
    assert_eq!(whatever.told(&[called(dirty)]), ["Shop call swap: high builtin/undecodable"]);
    let raised = shop(&format!("{SUFFIXED}[[watch.abnormal]]\nname = \"tagged\"\ncall = \"*\"\nsuffix = \"any\"\n"));
    assert_eq!(raised.told(&[with_suffix(&[1])]), ["Shop call swap: high tagged"]);
    assert_eq!(raised.told(&[with_suffix(&[])]), ["Shop call swap: normal by swaps"]);
}

#[test]
fn a_suffix_behind_what_carries_a_signed_transaction_is_let_be_by_a_rule_about_the_envelope() {
    let rules = "[[watch.normal]]\nname = \"ether\"\nact = \"ether\"\nto = \"@payees\"\n";
    let tagged = "[[watch.normal]]\nname = \"tagged\"\ncall = \"execTransaction\"\nsuffix = \"erc8021\"\n";
    let court = |rules: &str| {
        Court::new(&format!(
            "[set]\npayees = [\"{}\"]\n[[watch]]\nlabel = \"Safe\"\nchain = \"demo\"\naddress = \"{SAFE}\"\nkind = \"safe\"\n\
             purpose = \"A test\"\npath = \"duty\"\n{rules}\n",
            GRANTEE.address
        ))
    };
    let executed = |court: Court| {
        let (data, hash) = Order::pay(GRANTEE.address, 5).signed(SAFE, 6, &[OWNER_A]);
        let tx = Tx::call(KEEPER.address, SAFE, [&data[..], &SUFFIX].concat()).log(success(SAFE, hash));
        court.safe_at(SAFE, 7, 1).told(&[tx])
    };
    let of_envelope = |told: Vec<String>| told.into_iter().find(|line| line.contains("execTransaction")).unwrap();
    let strict = of_envelope(executed(court(rules)));
    assert!(strict.contains("critical builtin/undecodable"), "{strict}");
    let lenient = of_envelope(executed(court(&format!("{rules}{tagged}"))));
    assert!(lenient.contains("normal by"), "{lenient}");
}

// === Texts that are indexed ===

#[test]
fn an_indexed_text_is_compared_by_its_hash() {
    let told = |written: &str, name: &[u8]| {
        let court = shop(&format!(
            "[[watch.normal]]\nname = \"ours\"\nevent = \"Registered(string indexed name, address indexed who)\"\nargs = {{ name = {written} }}\n"
        ));
        let topics = vec![keccak256("Registered(string,address)"), keccak256(name), GRANTEE.address.into_word()];
        let log = Log { address: SHOP, topics, data: Bytes::new() };
        let (line, reasons) = reasons(&court, Tx::call(STRANGER.address, FAKE, []).log(log));
        (line.ends_with("normal by ours"), reasons)
    };
    let hash = keccak256("example");
    for written in [
        "\"example\"".to_owned(),
        format!("\"{hash}\""),
        format!("{{ hash = \"{hash}\" }}"),
        "[\"other\", \"example\"]".to_owned(),
    ] {
        assert!(told(&written, b"example").0, "{written}");
        assert!(!told(&written, b"exemple").0, "{written}");
    }
    assert!(told("{ not_in = [\"exemple\"] }", b"example").0);
    assert!(!told("{ not_in = [\"exemple\"] }", b"exemple").0);
    let (_, reasons) = told("\"example\"", b"exemple");
    assert_eq!(reasons[0], format!("ours: name keccak {:#x} is not that of \"example\"", keccak256("exemple")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn indexed_bytes_are_compared_by_their_hash(
        bytes in prop::collection::vec(any::<u8>(), 0..70).prop_filter("32 bytes could be a hash", |bytes| bytes.len() != 32),
        other in prop::collection::vec(any::<u8>(), 0..70),
    ) {
        let court = shop(&format!(
            "[[watch.normal]]\nname = \"ours\"\nevent = \"Stored(bytes indexed data)\"\nargs = {{ data = \"0x{}\" }}\n",
            hex::encode(&bytes)
        ));
        let told = |data: &[u8]| {
            let topics = vec![keccak256("Stored(bytes)"), keccak256(data)];
            let log = Log { address: SHOP, topics, data: Bytes::new() };
            court.told(&[Tx::call(STRANGER.address, FAKE, []).log(log)]).remove(0).ends_with("normal by ours")
        };
        prop_assert!(told(&bytes));
        prop_assert_eq!(told(&other), bytes == other);
    }
}

#[test]
fn an_indexed_list_is_compared_by_its_hash_alone() {
    let list = vec![U256::from(1), U256::from(2)];
    // In a topic a list is its elements side by side, without their number (Solidity ABI specification).
    let hash: B256 = keccak256(list.abi_encode_packed());
    let court = shop(&format!(
        "[[watch.normal]]\nname = \"ours\"\nevent = \"Listed(uint256[] indexed ids)\"\nargs = {{ ids = {{ hash = \"{hash}\" }} }}\n"
    ));
    let told = |hash: B256| {
        let log = Log { address: SHOP, topics: vec![keccak256("Listed(uint256[])"), hash], data: Bytes::new() };
        court.told(&[Tx::call(STRANGER.address, FAKE, []).log(log)])
    };
    assert_eq!(told(hash), ["Shop event Listed: normal by ours"]);
    assert_eq!(told(B256::ZERO), ["Shop event Listed: high builtin/unvouched"]);
}

// === Outcome ===

#[test]
fn a_rule_about_what_is_executed_vouches_for_no_attempt_and_one_about_attempts_for_nothing_else() {
    let swap = || called(swapCall { a: EVIL, b: EVIL, c: U256::ZERO }.abi_encode());
    let told = |outcome: &str| {
        let court = shop(&format!("{SUFFIXED}outcome = {outcome}\n"));
        [court.told(&[swap()]).remove(0), court.told(&[swap().reverted()]).remove(0)]
            .map(|line| line.rsplit_once(": ").unwrap().1.to_owned())
    };
    assert_eq!(told("\"any\""), ["normal by swaps", "normal by swaps"]);
    assert_eq!(told("\"executed\""), ["normal by swaps", "info builtin/attempt"]);
    assert_eq!(told("[\"failed\", \"reverted\"]"), ["high builtin/unvouched", "normal by swaps"]);
    assert_eq!(told("[\"executed\", \"reverted\"]"), ["normal by swaps", "normal by swaps"]);
}
