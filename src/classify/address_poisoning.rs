//! Addresses that the configuration names, and addresses that only look like one of them (address poisoning).
//!
//! Wallets show only the ends of an address. A thief therefore searches for a key whose address has the same ends, and
//! leaves that address where the next payer copies from. Seven matching hex digits in the right places take 268 million
//! tries, which is seconds on one machine. That two honest addresses match in these digits by chance happens in only
//! one of many configurations with thousands of addresses.

pub use crate::model::likeness::lookalike_key;
use alloy_primitives::Address;
use alloy_primitives::map::{AddressHashMap, HashMap};
use std::sync::Arc;

/// Addresses with a name, on one chain. Bounded by the configuration that names them.
#[derive(Clone, Debug, Default)]
pub struct KnownAddresses {
    names: AddressHashMap<Arc<str>>,
    by_ends: HashMap<u32, Vec<Address>>,
}

impl KnownAddresses {
    /// Adds `address` under `name`; the first name of an address stays. The zero address is never added.
    pub fn insert(&mut self, address: Address, name: &Arc<str>) {
        if address.is_zero() || self.names.contains_key(&address) {
            return;
        }
        self.names.insert(address, Arc::clone(name));
        self.by_ends.entry(lookalike_key(&address)).or_default().push(address);
    }

    /// Returns whether the configuration names the address.
    #[must_use]
    pub fn is_named(&self, address: &Address) -> bool {
        self.names.contains_key(address)
    }

    /// Returns a named address that `address` looks like, unless `address` is named itself.
    #[must_use]
    pub fn find_lookalike(&self, address: &Address) -> Option<(Address, &Arc<str>)> {
        if self.is_named(address) || address.is_zero() {
            return None;
        }
        let twin = self.by_ends.get(&lookalike_key(address))?.first()?;
        Some((*twin, self.names.get(twin)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;

    const PAYEE: Address = address!("7099797051812dC3A010C7D01b50e0d17dC779c8");

    fn familiar() -> KnownAddresses {
        let mut familiar = KnownAddresses::default();
        familiar.insert(PAYEE, &"Grantee".into());
        familiar
    }

    #[test]
    fn three_digits_in_front_and_four_behind_make_a_look_alike() {
        let twin = |address: Address| familiar().find_lookalike(&address).map(|(twin, name)| (twin, name.to_string()));
        let alike = Some((PAYEE, "Grantee".to_owned()));
        assert_eq!(twin(address!("709fffffffffffffffffffffffffffffffff79c8")), alike);
        // The fourth digit in front may differ; the third may not, nor any of the last four.
        assert_eq!(twin(address!("709effffffffffffffffffffffffffffffff79c8")), alike);
        assert_eq!(twin(address!("708fffffffffffffffffffffffffffffffff79c8")), None);
        assert_eq!(twin(address!("709fffffffffffffffffffffffffffffffff69c8")), None);
        assert_eq!(twin(address!("709fffffffffffffffffffffffffffffffff79c9")), None);
    }

    #[test]
    fn whoever_is_named_looks_like_nobody() {
        let twin = address!("709fffffffffffffffffffffffffffffffff79c8");
        let mut familiar = familiar();
        familiar.insert(twin, &"A second one".into());
        assert_eq!(familiar.find_lookalike(&twin), None);
        assert_eq!(familiar.find_lookalike(&PAYEE), None);
    }

    #[test]
    fn the_zero_address_looks_like_nobody() {
        let mut familiar = familiar();
        familiar.insert(address!("0000000000000000000000000000000000010000"), &"Vanity".into());
        familiar.insert(Address::ZERO, &"Nobody".into());
        assert_eq!(familiar.find_lookalike(&Address::ZERO), None);
        assert!(!familiar.is_named(&Address::ZERO));
    }
}
