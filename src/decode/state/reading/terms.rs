//! Items that depend on the time of the block: the expiry of a name, and the amount released beyond the vested amount.

use super::{Reader, Told, call_read, sums};
use crate::decode::ens::eth_node;
use crate::model::Item;
use crate::model::read::{Answer, Read};
use alloy_primitives::{Address, B256, U256};

/// `nameExpires(uint256)` of the registrar: Unix seconds, by the hash of the label below `eth`. Source: BaseRegistrarImplementation.sol.
const NAME_EXPIRES: [u8; 4] = [0xd6, 0xe4, 0xfa, 0x86];
/// `getData(uint256)` of the wrapper: owner, fuses and expiry, by the hash of the name. Source: NameWrapper.sol.
const GET_DATA: [u8; 4] = [0x01, 0x78, 0xfe, 0x3f];
/// Fuse of a name that its parent cannot take back before the name expires; without the fuse, the expiry means nothing.
/// Source: INameWrapper.sol.
const PARENT_CANNOT_CONTROL: u64 = 1 << 16;

/// `released()`, `vestedAmount(uint64)`, and the variants of both with a token. Source: VestingWallet.sol of
/// OpenZeppelin.
const RELEASED: [u8; 4] = [0x96, 0x13, 0x25, 0x21];
const VESTED: [u8; 4] = [0x0a, 0x17, 0xb0, 0x6b];
const RELEASED_OF: [u8; 4] = [0x98, 0x52, 0x59, 0x5c];
const VESTED_OF: [u8; 4] = [0x81, 0x0e, 0xc2, 0x3b];

impl Reader<'_, '_, '_> {
    /// Reads the earliest expiry of a watched name among those reported by its contracts. Records nothing where no
    /// contract reports one.
    pub(super) fn read_expiry(&mut self, item: Item) {
        let Some((name, contracts)) = self.look.subjects.name_at(&self.look.address) else { return };
        let (name, contracts) = (*name, contracts.to_vec());
        let mut earliest: Option<B256> = None;
        for contract in contracts {
            let registered = name.registered.map(|label| self.read_word(view_read(contract, NAME_EXPIRES, &[label])));
            // A name directly below `eth` expires at the registrar's time, wrapped or not.
            let wrapped = (name.parent != eth_node()).then(|| self.read_wrapper_expiry(contract, name.node));
            for told in [registered, wrapped].into_iter().flatten() {
                match told {
                    Told::Is(end) if !end.is_zero() => {
                        earliest = Some(earliest.map_or(end, |known| known.min(end)));
                    }
                    Told::Is(_) | Told::Nothing => {}
                    told => return self.record_unread(item, told),
                }
            }
        }
        self.took.values.extend(earliest.map(|end| (item, end)));
    }

    /// Returns the time until which the parent cannot take back a wrapped name.
    fn read_wrapper_expiry(&mut self, wrapper: Address, node: B256) -> Told {
        match self.questions.ask_state(view_read(wrapper, GET_DATA, &[node])) {
            None => Told::Waits,
            Some(Answer::Data(data)) => {
                let word = |n: usize| data.get(n * 32..(n + 1) * 32).map(B256::from_slice);
                let binds =
                    |fuses: B256| U256::from_be_bytes(fuses.0) & U256::from(PARENT_CANNOT_CONTROL) != U256::ZERO;
                let end = word(1).filter(|fuses| binds(*fuses)).and_then(|_| word(2));
                end.map_or(Told::Nothing, Told::Is)
            }
            Some(Answer::Reverted) => Told::Nothing,
            Some(Answer::Unavailable | Answer::Traces(_)) => Told::Dark,
        }
    }

    /// Reads the amount released beyond the vested amount of the contract's own schedule, for ether and for each
    /// counted token.
    pub(super) fn read_vesting_schedule(&mut self, item: Item) {
        let (own, now) = (self.look.address, B256::from(U256::from(self.look.block.time)));
        self.read_early_release(item, view_read(own, RELEASED, &[]), view_read(own, VESTED, &[now]));
        for token in sums::tokens_due(self.look) {
            let word = token.into_word();
            self.read_early_release(
                item.for_address(token),
                view_read(own, RELEASED_OF, &[word]),
                view_read(own, VESTED_OF, &[word, now]),
            );
        }
    }

    fn read_early_release(&mut self, item: Item, released: Read, vested: Read) {
        match (self.read_word(released), self.read_word(vested)) {
            (Told::Is(released), Told::Is(vested)) => {
                let number = |word: B256| U256::from_be_bytes(word.0);
                let early = number(released).saturating_sub(number(vested));
                self.took.values.push((item, B256::from(early)));
            }
            (Told::Nothing, _) | (_, Told::Nothing) => {}
            (Told::Is(_), told) | (told, _) => self.record_unread(item, told),
        }
    }
}

fn view_read(of: Address, view: [u8; 4], words: &[B256]) -> Read {
    let words = words.iter().flat_map(|word| word.0);
    call_read(of, &view.into_iter().chain(words).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn selectors_are_those_of_their_names() {
        for (signature, selector) in [
            ("nameExpires(uint256)", NAME_EXPIRES),
            ("getData(uint256)", GET_DATA),
            ("released()", RELEASED),
            ("vestedAmount(uint64)", VESTED),
            ("released(address)", RELEASED_OF),
            ("vestedAmount(address,uint64)", VESTED_OF),
        ] {
            assert_eq!(keccak256(signature)[..4], selector, "{signature}");
        }
    }
}
