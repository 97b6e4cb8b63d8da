//! Checks that the bundled files contain the ABIs published with the contracts.

use super::*;
use alloy_primitives::{B256, hex};

/// Published selectors and topics: a line for each, under the name of the file.
const PUBLISHED: &str = include_str!("published.txt");

#[test]
fn each_file_has_what_is_published() {
    let (mut file, mut n) = ("", 0);
    for line in PUBLISHED.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let abi =
            || bundled_abis().into_iter().find(|(name, _)| *name == file).map(|(_, abi)| abi).expect("a bundled file");
        n += 1;
        match *line.split_whitespace().collect::<Vec<_>>() {
            [name] => file = name,
            ["function", selector, signature] => has_function(abi(), selector, signature),
            ["event", topic, layouts, signature] => has_event(abi(), topic, layouts, signature),
            _ => panic!("`{line}` says nothing"),
        }
    }
    assert!(n > 300, "{n} lines");
}

fn has_function(abi: &Abi, selector: &str, signature: &str) {
    let bytes = hex::decode_to_array::<_, 4>(selector).unwrap_or_else(|e| panic!("{selector}: {e}"));
    assert_eq!(abi.function_by_selector(bytes).map(|function| &*function.signature), Some(signature), "{selector}");
}

fn has_event(abi: &Abi, topic: &str, layouts: &str, signature: &str) {
    let events = abi.events_named(signature);
    let n_topics: Vec<String> = events.iter().map(|event| event.n_topics().to_string()).collect();
    assert_eq!(n_topics.join(","), layouts, "{signature}");
    for event in events {
        let topic0 = event.topic0.unwrap_or_default();
        assert!(format!("{topic0:#x}").starts_with(topic), "{signature}: {topic0}");
        let topics = [vec![topic0], vec![B256::ZERO; event.n_topics() - 1]].concat();
        assert_eq!(abi.event_for(&topics), Some(event));
    }
}

#[test]
fn the_index_of_all_has_what_each_of_them_has() {
    for (file, abi) in bundled_abis() {
        assert!(abi.functions().len() > 0, "{file}");
        for function in abi.functions() {
            let found = combined_abi().functions_of(function.selector);
            assert!(found.iter().any(|known| known.signature == function.signature), "{file}: {}", function.signature);
        }
        for event in abi.all_events() {
            let topics = [vec![event.topic0.unwrap_or_default()], vec![B256::ZERO; event.n_topics() - 1]].concat();
            assert!(combined_abi().event_for(&topics).is_some(), "{file}: {}", event.signature);
            assert!(!event.anonymous, "an anonymous event would fit logs of any contract");
        }
    }
}

#[test]
fn no_selector_and_no_topic_has_two_meanings_in_the_index_of_all() {
    for function in combined_abi().functions() {
        assert_eq!(combined_abi().functions_of(function.selector).len(), 1, "{}", function.signature);
    }
    for event in combined_abi().all_events() {
        let same = combined_abi().events_by_topic(event.topic0.unwrap_or_default());
        assert!(same.iter().all(|other| other.signature == event.signature), "{}", event.signature);
    }
}

#[test]
fn wallets_take_ether_and_a_submitted_transaction_can_be_read_back() {
    assert!(safe().takes_ether());
    assert!(multisig_wallet().takes_ether());
    let outputs = multisig_wallet().functions_named("transactions")[0].outputs.iter().map(|output| &*output.ty);
    assert_eq!(outputs.collect::<Vec<_>>(), ["address", "uint256", "bytes", "bool"]);
}

#[test]
fn a_topic_alone_never_says_who_speaks() {
    let topic = |abi: &Abi| abi.events_named("Deposit(address,uint256)")[0].topic0;
    assert_eq!(topic(weth9()), topic(multisig_wallet()));
}
