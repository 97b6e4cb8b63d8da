//! Which code a subject consists of: its own, what a proxy's slots name, what its registry lists, what a minimal proxy was made of.
//!
//! Whatever else it runs by delegatecall is somebody else's code with the subject's storage and money.

use super::frames::Opener;
use super::state::{BEACON, IMPLEMENTATION, IMPLEMENTATIONS, PROXIABLE, ZOS_IMPLEMENTATION};
use super::versions;
use crate::model::read::{Answer, Read};
use crate::model::{Item, Known, Tx};
use alloy_primitives::Address;
use alloy_primitives::map::AddressHashMap;

/// What is known of the code of the subjects of one transaction.
pub(super) struct Own<'a> {
    tx: &'a Tx,
    known: Option<&'a Known>,
    /// What the node says stands in their slots and code after the block, of those whose known state did not tell.
    read: AddressHashMap<Vec<Address>>,
}

impl<'a> Own<'a> {
    pub(super) fn new(tx: &'a Tx, known: Option<&'a Known>) -> Self {
        Self { tx, known, read: AddressHashMap::default() }
    }

    /// Whether `code` is the subject's. What cannot be read is not known to be.
    pub(super) fn is(&mut self, subject: Address, code: Address, opener: &mut Opener<'_, '_, '_>) -> bool {
        if code == subject || opener.subjects.versions_of(&subject).is_some_and(|listed| listed.lists(&code)) {
            return true;
        }
        let known = |known: &&Known| {
            let value = |name: &&str| known.value(subject, Item::of_table(name));
            IMPLEMENTATIONS.iter().filter_map(value).any(|word| Address::from_word(word) == code)
        };
        // An upgrade that says so is judged for itself.
        let said = || self.tx.logs.iter().any(|log| log.address == subject && versions::named(log) == Some(code));
        if self.known.as_ref().is_some_and(known) || said() {
            return true;
        }
        let read = self.read.entry(subject).or_insert_with(|| read(subject, opener));
        read.contains(&code)
    }
}

/// What a subject's slots name after the block, and its own code where that is a minimal proxy's.
fn read(subject: Address, opener: &mut Opener<'_, '_, '_>) -> Vec<Address> {
    let slots = [IMPLEMENTATION, ZOS_IMPLEMENTATION, PROXIABLE, BEACON];
    let words = slots.map(|slot| opener.ask(Read::Storage { of: subject, slot }).and_then(Answer::word));
    let [.., beacon] = words;
    let mut codes: Vec<Address> =
        words[..3].iter().flatten().filter(|word| !word.is_zero()).map(|word| Address::from_word(*word)).collect();
    let beacon = beacon.map(Address::from_word).filter(|beacon| !beacon.is_zero());
    codes.extend(beacon.and_then(|beacon| versions::behind(beacon, opener.questions)));
    if let Some(Answer::Data(code)) = opener.ask(Read::Code(subject)) {
        codes.extend(versions::minimal(code));
    }
    codes
}
