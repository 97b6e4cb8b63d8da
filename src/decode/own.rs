//! Code that belongs to a subject: its own, the code in a proxy's slots, the code in its registry, and the code that a
//! minimal proxy points to.
//!
//! Other code that it runs by delegatecall is foreign code with access to the subject's storage and funds.

use super::frames::FrameOpener;
use super::state::IMPLEMENTATIONS;
use super::versions;
use crate::contracts::{BEACON, IMPLEMENTATION, PROXIABLE, ZOS_IMPLEMENTATION};
use crate::model::read::{Answer, Read};
use crate::model::{Item, Known, Tx};
use alloy_primitives::Address;
use alloy_primitives::map::AddressHashMap;

/// Knowledge about the code of the subjects of one transaction.
pub(super) struct OwnCode<'a> {
    tx: &'a Tx,
    known: Option<&'a Known>,
    /// Addresses in the slots and code of subjects after the block, as the node returns them, for subjects whose known
    /// state was not sufficient.
    read: AddressHashMap<Vec<Address>>,
}

impl<'a> OwnCode<'a> {
    pub(super) fn new(tx: &'a Tx, known: Option<&'a Known>) -> Self {
        Self { tx, known, read: AddressHashMap::default() }
    }

    /// Returns whether `code` is the subject's own; false if that cannot be read.
    pub(super) fn is_own_code(
        &mut self,
        subject: Address,
        code: Address,
        opener: &mut FrameOpener<'_, '_, '_>,
    ) -> bool {
        if code == subject || opener.subjects.versions_of(&subject).is_some_and(|listed| listed.is_listed(&code)) {
            return true;
        }
        let known = |known: &&Known| {
            let value = |name: &&str| known.last_value(subject, Item::of_table(name));
            IMPLEMENTATIONS.iter().filter_map(value).any(|word| Address::from_word(word) == code)
        };
        // A logged upgrade is judged on its own.
        let said =
            || self.tx.logs.iter().any(|log| log.address == subject && versions::upgrade_target(log) == Some(code));
        if self.known.as_ref().is_some_and(known) || said() {
            return true;
        }
        let read = self.read.entry(subject).or_insert_with(|| own_code_addresses(subject, opener));
        read.contains(&code)
    }
}

/// Returns the addresses that a subject's slots name after the block, and the address in its own code if that is a
/// minimal proxy.
fn own_code_addresses(subject: Address, opener: &mut FrameOpener<'_, '_, '_>) -> Vec<Address> {
    let slots = [IMPLEMENTATION, ZOS_IMPLEMENTATION, PROXIABLE, BEACON];
    let words = slots.map(|slot| opener.ask_node(Read::Storage { of: subject, slot }).and_then(Answer::first_word));
    let [.., beacon] = words;
    let mut codes: Vec<Address> =
        words[..3].iter().flatten().filter(|word| !word.is_zero()).map(|word| Address::from_word(*word)).collect();
    let beacon = beacon.map(Address::from_word).filter(|beacon| !beacon.is_zero());
    codes.extend(beacon.and_then(|beacon| versions::beacon_implementation(beacon, opener.questions)));
    if let Some(Answer::Data(code)) = opener.ask_node(Read::Code(subject)) {
        codes.extend(versions::minimal_proxy_target(code));
    }
    codes
}
