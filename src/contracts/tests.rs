//! Checks over all kinds of the list.

use super::*;
use crate::model::Item;
use std::collections::BTreeSet;

#[test]
fn every_kind_is_listed_once_and_found_by_its_word() {
    let words: BTreeSet<&str> = CONTRACTS.iter().map(|contract| contract.word).collect();
    assert_eq!(words.len(), CONTRACTS.len(), "{words:?}");
    for contract in CONTRACTS {
        assert!(std::ptr::eq(of_kind(contract.kind()), *contract), "{}", contract.word);
        assert!(!contract.about.is_empty(), "{}", contract.word);
    }
}

#[test]
fn no_table_says_two_things_of_one_name() {
    let lists = CONTRACTS.iter().flat_map(|contract| [contract.control.functions, contract.control.events]);
    for rows in lists.chain([FUNCTIONS, EVENTS]) {
        let names: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), rows.len(), "{rows:?}");
    }
}

#[test]
fn whoever_acts_only_through_an_envelope_carries_out_decisions_and_names_its_entry_points() {
    for contract in CONTRACTS {
        assert!(contract.has(Property::CarriesOut) || !contract.has(Property::Wallet), "{}", contract.word);
        assert_eq!(contract.has(Property::CarriesOut), !contract.entry_points.is_empty(), "{}", contract.word);
    }
}

#[test]
fn every_state_line_is_about_an_item_and_stands_behind_what_it_needs() {
    for contract in CONTRACTS {
        let lines: Vec<&StateLine> = contract.state_lines().collect();
        for (at, line) in lines.iter().enumerate() {
            assert!(Item::from_name(line.item).is_some(), "{} of {}", line.item, contract.word);
            if let ReadMethod::Behind { item, .. } | ReadMethod::Delegates { of: item } = line.how {
                assert!(lines[..at].iter().any(|before| before.item == item), "{} of {}", line.item, contract.word);
            }
        }
        for row in contract.state.iter().flat_map(|group| group.causes) {
            assert!(lines.iter().any(|line| line.item == row.item), "{} of {} is read", row.item, contract.word);
        }
        for (item, _) in contract.essentials {
            assert!(lines.iter().any(|line| line.item == *item), "{item} of {} is read", contract.word);
        }
    }
}
