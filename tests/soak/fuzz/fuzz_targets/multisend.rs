//! Any bytes as MultiSend's list, and each item's data as a call of a bundled ABI.
#![no_main]

use alloy_primitives::Bytes;
use libfuzzer_sys::fuzz_target;
use watchfire::abi::{Budget, bundled, multisend};

fuzz_target!(|list: &[u8]| {
    let list = Bytes::copy_from_slice(list);
    let mut budget = Budget::default();
    let Ok((items, flaws)) = multisend::items(&list, &mut budget) else { return };
    let again = multisend::pack(items.iter().map(|item| (item.operation, item.to, item.value, &item.data[..])));
    let known = items.iter().all(|item| item.operation < 2);
    assert_eq!(flaws.is_empty(), again == *list && known, "{flaws}");
    for item in &items {
        let Some(selector) = item.data.first_chunk::<4>() else { continue };
        for (_, abi) in bundled::bundled_abis() {
            if let Some(function) = abi.function(*selector) {
                let _ = function.decode(&item.data.slice(4..), &mut budget);
            }
        }
    }
});
