//! Check of the configuration against the chain: the decimals of tokens whose units rules use, and the contract at a
//! watch's address.

use super::{Reader, Told, call_read};
use crate::contracts::Property;
use crate::model::Item;
use crate::model::state::{BARE, CODE_AT_KEY, FITS, NO_CODE, UNLIKE, UNSAID};
use alloy_primitives::B256;

/// `decimals()`. Source: EIP-20, where it is optional.
const GET_DECIMALS: [u8; 4] = [0x31, 0x3c, 0xe5, 0x67];

impl Reader<'_, '_, '_> {
    /// Reads the decimals that tokens report. Where a node cannot answer, the known value is kept, the item is reported
    /// as state that could not be read, and it is read again later.
    pub(super) fn read_decimals(&mut self) {
        let expected = self.look.subjects.expected_of(&self.look.address);
        let tokens: Vec<_> =
            expected.into_iter().flat_map(|expected| &expected.decimals).map(|(token, _)| *token).collect();
        for token in tokens {
            let item = Item::decimals_of(token);
            let told = match self.read_word(call_read(token, &GET_DECIMALS)) {
                Told::Nothing => match self.read_code(token) {
                    Ok(code) if code.is_empty() => Told::Is(NO_CODE),
                    Ok(_) => Told::Is(UNSAID),
                    Err(told) => told,
                },
                told => told,
            };
            match told {
                Told::Is(word) => self.took.values.push((item, word)),
                told => self.record_unread(item, told),
            }
        }
    }

    /// Checks the kind of the watch against the code and the items that were read. Items that could not be read are
    /// ignored.
    pub(super) fn check_kind(&mut self, item: Item) {
        let contract = self.look.subject.contract();
        let read = |name: &str| {
            let found = self.took.values.iter().find(|(item, _)| item.name() == name && item.of.is_none());
            found.map(|(_, word)| *word)
        };
        let is_dark = |name: &str| self.took.dark.iter().any(|item| item.name() == name);
        let Some(code) = read("code").filter(|_| !contract.has(Property::Name)) else { return };
        let lacks = |(name, zero_is_none): &(&str, bool)| match read(name) {
            Some(word) => *zero_is_none && word == B256::ZERO,
            None => !is_dark(name),
        };
        let word = match (contract.has(Property::Account), code.is_zero()) {
            (true, true) => FITS,
            (true, false) => CODE_AT_KEY,
            (false, true) => BARE,
            (false, false) if contract.essentials.iter().any(lacks) => UNLIKE,
            (false, false) => FITS,
        };
        self.took.values.push((item, word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn the_selector_is_that_of_its_name() {
        assert_eq!(keccak256("decimals()")[..4], GET_DECIMALS);
    }
}
