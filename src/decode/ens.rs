//! Names in ENS. A name is not a contract: several contracts record its changes, under its hash.
//!
//! Source: EIP-137 (`namehash`); ENSRegistry.sol; BaseRegistrarImplementation.sol, whose token of a name below `eth` is the hash of
//! its label; NameWrapper.sol, whose token is the hash of the name; the profiles of PublicResolver.sol.

use crate::model::Log;
use alloy_primitives::map::{AddressHashSet, HashMap};
use alloy_primitives::{Address, B256, b256, keccak256};

/// `NewOwner(bytes32,bytes32,address)`: parent, label.
const NEW_OWNER: B256 = b256!("ce0457fe73731f824cc272376169235128c118b49d344817417c6d108d155e82");
/// `ControllerAdded(address)` of the registrar: a controller can register any name below `eth`.
const CONTROLLER_ADDED: B256 = b256!("0a8bb31534c0ed46f380cb867bd5c803a189ced9a764e30b3a4991a9901d7474");
/// `TransferSingle(address,address,address,uint256,uint256)`: the id is first in the data.
const TRANSFER_SINGLE: B256 = b256!("c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62");

/// A watched name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Hash of the name.
    pub node: B256,
    /// Hash of the parent name.
    pub parent: B256,
    /// Hash of its first label.
    pub label: B256,
    /// Hash of the name's label below `eth`, or of the label of the name above it, as used by the registrar. `None` for
    /// a name that is not below `eth`.
    pub registered: Option<B256>,
}

impl Name {
    /// Parses a name such as `treasury.example.eth`. Labels consist of lower-case letters, digits, `-` and `_`. Other
    /// characters that ENS allows need normalization, which is not implemented here, and would be hashed wrongly.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |label: &str| {
            let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
            !label.is_empty() && label.bytes().all(sound)
        };
        let labels: Vec<&str> = text.split('.').collect();
        if labels.len() < 2 || !labels.iter().all(|label| plain(label)) {
            return None;
        }
        let below = |node: B256, label: &str| keccak256([node.as_slice(), keccak256(label).as_slice()].concat());
        let parent = labels[1..].iter().rev().fold(B256::ZERO, |node, label| below(node, label));
        let registered = match labels.as_slice() {
            [.., label, "eth"] => Some(keccak256(label)),
            _ => None,
        };
        Some(Self { node: below(parent, labels[0]), parent, label: keccak256(labels[0]), registered })
    }

    /// Returns the address that represents the name where an address is required: no contract has it, and two names
    /// have different ones.
    #[must_use]
    pub fn stands_for(&self) -> Address {
        Address::from_slice(&self.node[..20])
    }
}

/// Watched names, and the contracts that are trusted about them.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    contracts: AddressHashSet,
    by_node: HashMap<B256, Address>,
    by_subject: HashMap<Address, (Name, Vec<Address>)>,
    by_label: HashMap<B256, Vec<Name>>,
}

impl Names {
    pub(super) fn add(&mut self, name: Name, contracts: impl IntoIterator<Item = Address>) {
        let contracts: Vec<Address> = contracts.into_iter().collect();
        self.contracts.extend(contracts.iter().copied());
        self.by_subject.insert(name.stands_for(), (name, contracts));
        self.by_node.insert(name.node, name.stands_for());
        self.by_label.entry(name.label).or_default().push(name);
    }

    /// Returns the name whose subject is at this address, and its contracts.
    pub(super) fn name_of_subject(&self, subject: &Address) -> Option<(&Name, &[Address])> {
        self.by_subject.get(subject).map(|(name, contracts)| (name, contracts.as_slice()))
    }

    /// Returns the names that a log concerns: those whose hash it indexes or whose token it names, or all names of the
    /// registrar.
    pub(super) fn subjects_in_log(&self, log: &Log) -> Vec<Address> {
        if self.contracts.is_empty() || !self.contracts.contains(&log.address) {
            return Vec::new();
        }
        let mut found = Vec::new();
        let mut add = |address: Address| {
            if !found.contains(&address) {
                found.push(address);
            }
        };
        if log.topics.first() == Some(&CONTROLLER_ADDED) {
            let all = self.by_label.values().flatten().filter(|name| name.parent == eth_node());
            all.for_each(|name| add(name.stands_for()));
            // The other topic is an address and not the hash of a name.
            return found;
        }
        let id = log.data.first_chunk::<32>().map(B256::from).filter(|_| log.topics.first() == Some(&TRANSFER_SINGLE));
        for word in log.topics.iter().skip(1).copied().chain(id) {
            if let Some(address) = self.by_node.get(&word) {
                add(*address);
            }
            for name in self.by_label.get(&word).into_iter().flatten() {
                let below = match log.topics.as_slice() {
                    [NEW_OWNER, parent, _] => *parent == name.parent,
                    _ => name.parent == eth_node(),
                };
                if below {
                    add(name.stands_for());
                }
            }
        }
        found
    }
}

/// `namehash("eth")`.
pub(super) fn eth_node() -> B256 {
    b256!("93cdeb708b7545dc668eb9280176169d1c33cfd8ed6f04690a0bcc88a93fc4ae")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Bytes;

    #[test]
    fn a_name_is_hashed_label_by_label() {
        // Source: the examples of EIP-137.
        let foo = Name::parse("foo.eth").map(|name| (name.node, name.parent));
        assert_eq!(foo, Some((b256!("de9b09fd7c5f901e23a3f19fecc54828e9c848539801e86591bd9801b019f84f"), eth_node())));
        for bad in ["", "eth", "Foo.eth", "foo..eth", ".eth", "foo.eth.", "fo o.eth", "föö.eth"] {
            assert_eq!(Name::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_same_label_below_another_name_is_another_name() {
        let book = Address::repeat_byte(1);
        let ours = Name::parse("foo.eth").unwrap_or_else(|| panic!("a name"));
        let mut names = Names::default();
        names.add(ours, [book]);
        let log = |topics: Vec<B256>, address| Log { address, topics, data: Bytes::new(), ordinal: 0 };
        let of = |topics: &[B256], address| names.subjects_in_log(&log(topics.to_vec(), address));
        assert_eq!(of(&[NEW_OWNER, eth_node(), ours.label], book), [ours.stands_for()]);
        assert!(of(&[NEW_OWNER, B256::ZERO, ours.label], book).is_empty());
        assert_eq!(of(&[NEW_OWNER, ours.node, B256::ZERO], book), [ours.stands_for()]);
        assert!(
            of(&[B256::ZERO, ours.node], Address::repeat_byte(2)).is_empty(),
            "a stranger's contract says anything"
        );
        assert_eq!(CONTROLLER_ADDED, keccak256("ControllerAdded(address)"));
        assert_eq!(of(&[CONTROLLER_ADDED, B256::ZERO], book), [ours.stands_for()]);
        assert!(of(&[CONTROLLER_ADDED, B256::ZERO], Address::repeat_byte(2)).is_empty());
    }
}
