//! Check of the configuration against the chain: the decimals of tokens whose units rules use, and the contract at a
//! watch's address.

use super::{Reader, Told, call_read};
use crate::model::state::{BARE, CODE_AT_KEY, FITS, NO_CODE, UNLIKE, UNSAID};
use crate::model::{Item, Kind};
use alloy_primitives::B256;

/// `decimals()`. Source: EIP-20, where it is optional.
const GET_DECIMALS: [u8; 4] = [0x31, 0x3c, 0xe5, 0x67];

/// Returns the items that every contract of a kind has, and whether zero counts as missing. Kinds that accept contracts
/// of many shapes have no such items.
const fn essential_items(kind: Kind) -> &'static [(&'static str, bool)] {
    match kind {
        Kind::Safe => &[("threshold", true), ("singleton", true)],
        Kind::Multisig => &[("required", true)],
        Kind::Erc20 => &[("supply", false)],
        Kind::Minime => &[("supply", false), ("controller", false)],
        Kind::Timelock => &[("delay", false)],
        Kind::Governor
        | Kind::ParityMultisig
        | Kind::Proxy
        | Kind::Ownable
        | Kind::AccessControl
        | Kind::Vesting
        | Kind::EnsName
        | Kind::Contract
        | Kind::Eoa => &[],
    }
}

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
        let kind = self.look.subject.kind;
        let read = |name: &str| {
            let found = self.took.values.iter().find(|(item, _)| item.name() == name && item.of.is_none());
            found.map(|(_, word)| *word)
        };
        let is_dark = |name: &str| self.took.dark.iter().any(|item| item.name() == name);
        let Some(code) = read("code").filter(|_| kind != Kind::EnsName) else { return };
        let lacks = |(name, zero_is_none): &(&str, bool)| match read(name) {
            Some(word) => *zero_is_none && word == B256::ZERO,
            None => !is_dark(name),
        };
        let word = match kind {
            Kind::Eoa if code.is_zero() => FITS,
            Kind::Eoa => CODE_AT_KEY,
            _ if code.is_zero() => BARE,
            _ if essential_items(kind).iter().any(lacks) => UNLIKE,
            _ => FITS,
        };
        self.took.values.push((item, word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::state::lines::LINES;
    use alloy_primitives::keccak256;

    #[test]
    fn what_a_kind_must_have_is_read_of_it() {
        assert_eq!(keccak256("decimals()")[..4], GET_DECIMALS);
        for kind in Kind::ALL {
            for (name, _) in essential_items(kind) {
                assert!(
                    LINES.iter().any(|line| line.item == *name && line.kinds.contains(&kind)),
                    "{name} of {kind:?}"
                );
            }
        }
    }
}
