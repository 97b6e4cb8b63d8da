//! Watched addresses on one chain, and the ABIs by which the decoder reads them.

use super::ens::{Name, Names};
use super::state::{Expected, Tolerance};
use super::versions::Versions;
use crate::abi::Abi;
use crate::contracts::{self, ContractKind, Property};
use crate::model::{Activity, ChainId, Kind, Log, WatchId};
use alloy_primitives::map::{AddressHashMap, AddressHashSet};
use alloy_primitives::{Address, address};
use std::num::NonZeroU64;
use std::sync::Arc;

/// Everything that the decoder needs from a configuration, for one chain. Immutable.
#[derive(Clone, Debug)]
pub struct Subjects {
    /// Chain of these addresses.
    pub chain: ChainId,
    by_address: AddressHashMap<Subject>,
    has_accounts: bool,
    has_governors: bool,
    looks_inside: bool,
    /// In the order in which they were given.
    addresses: Vec<Address>,
    /// Number of blocks between two reads of a state that no block touches.
    beat: Option<NonZeroU64>,
    expected: AddressHashMap<Arc<Expected>>,
    counted: Vec<Counted>,
    tokens: AddressHashMap<Arc<Abi>>,
    libraries: AddressHashMap<Library>,
    codes: AddressHashSet,
    names: Names,
    versions: AddressHashMap<Arc<Versions>>,
}

/// A watched address, from the decoder's point of view.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Watch of the subject.
    pub watch: WatchId,
    /// Kind of the subject, which selects the envelope decoder.
    pub kind: Kind,
    /// The ABI of the kind, or of the watch's own file, with the functions and events of its implementations where its
    /// registry lists them.
    pub abi: Arc<Abi>,
    /// Functions and events written out in its own rules: the last resort for leaf calls that no other ABI knows.
    pub rule_abi: Arc<Abi>,
}

impl Subject {
    /// Returns the description of its kind.
    pub(crate) fn contract(&self) -> &'static ContractKind {
        contracts::of_kind(self.kind)
    }
}

/// A token whose balances are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Address of the token.
    pub token: Address,
    /// Tolerance between the token's transfers and its balances.
    pub tolerance: Tolerance,
}

/// Maximum number of watches read after one block because of the schedule. Where a period has more than this for each
/// block, the period is longer.
const TURNS_MAX: u64 = 16;

/// A contract that is known to be safe to run by delegatecall, or whose effects are at least known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// MultiSend: a packed list of calls and delegatecalls.
    MultiSend,
    /// MultiSendCallOnly: rejects delegatecalls.
    MultiSendCallOnly,
    /// Replaces the Safe's own code: a known library, and always reported.
    Migration,
    /// Signs a message in the Safe's name: a known library, and always reported.
    SignMessage,
}

impl Library {
    /// Returns the common name of the library.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MultiSend => "MultiSend",
            Self::MultiSendCallOnly => "MultiSendCallOnly",
            Self::Migration => "SafeMigration",
            Self::SignMessage => "SignMessageLib",
        }
    }
}

/// Deployments that are at the same address on every chain. Source: safe-deployments, canonical and eip155 variants.
pub const KNOWN_LIBRARIES: [(Address, Library); 16] = [
    (address!("8D29bE29923b68abfDD21e541b9374737B49cdAD"), Library::MultiSend), // 1.1.1
    (address!("A238CBeb142c10Ef7Ad8442C6D1f9E89e07e7761"), Library::MultiSend), // 1.3.0
    (address!("998739BFdAAdde7C933B942a68053933098f9EDa"), Library::MultiSend), // 1.3.0 eip155
    (address!("38869bf66a61cF6bDB996A6aE40D5853Fd43B526"), Library::MultiSend), // 1.4.1
    (address!("218543288004CD07832472D464648173c77D7eB7"), Library::MultiSend), // 1.5.0
    (address!("40A2aCCbd92BCA938b02010E17A5b8929b49130D"), Library::MultiSendCallOnly), // 1.3.0
    (address!("A1dabEF33b3B82c7814B6D82A79e50F4AC44102B"), Library::MultiSendCallOnly), // 1.3.0 eip155
    (address!("9641d764fc13c8B624c04430C7356C1C7C8102e2"), Library::MultiSendCallOnly), // 1.4.1
    (address!("A83c336B20401Af773B6219BA5027174338D1836"), Library::MultiSendCallOnly), // 1.5.0
    (address!("526643F69b81B008F46d95CD5ced5eC0edFFDaC6"), Library::Migration), // 1.4.1
    (address!("6439e7ABD8Bb915A5263094784C5CF561c4172AC"), Library::Migration), // 1.5.0
    (address!("fF83F6335d8930cBad1c0D439A841f01888D9f69"), Library::Migration), // SafeToL2Migration
    (address!("A65387F16B013cf2Af4605Ad8aA5ec25a2cbA3a2"), Library::SignMessage), // 1.3.0
    (address!("98FFBBF51bb33A056B08ddf711f289936AafF717"), Library::SignMessage), // 1.3.0 eip155
    (address!("d53cd0aB83D845Ac265BE939c57F53AD838012c9"), Library::SignMessage), // 1.4.1
    (address!("4FfeF8222648872B3dE295Ba1e49110E61f5b5aa"), Library::SignMessage), // 1.5.0
];

/// Deployments of MultiSend and MultiSendCallOnly that treat the zero address as an ordinary address.
const ZERO_IS_ZERO: [Address; 7] = [
    address!("8D29bE29923b68abfDD21e541b9374737B49cdAD"),
    address!("A238CBeb142c10Ef7Ad8442C6D1f9E89e07e7761"),
    address!("998739BFdAAdde7C933B942a68053933098f9EDa"),
    address!("38869bf66a61cF6bDB996A6aE40D5853Fd43B526"),
    address!("40A2aCCbd92BCA938b02010E17A5b8929b49130D"),
    address!("A1dabEF33b3B82c7814B6D82A79e50F4AC44102B"),
    address!("9641d764fc13c8B624c04430C7356C1C7C8102e2"),
];

/// Returns whether a batch library calls the account that runs it where an item names the zero address. Source:
/// MultiSend.sol and MultiSendCallOnly.sol from 1.5.0 on; for an unknown deployment, the reading with the higher
/// severity is taken.
pub(crate) fn zero_is_itself(library: &Address) -> bool {
    !ZERO_IS_ZERO.contains(library)
}

impl Subjects {
    /// Creates a set without subjects, with the libraries that every chain has.
    #[must_use]
    pub fn new(chain: ChainId) -> Self {
        Self {
            chain,
            by_address: AddressHashMap::default(),
            has_accounts: false,
            has_governors: false,
            looks_inside: false,
            addresses: Vec::new(),
            beat: None,
            expected: AddressHashMap::default(),
            counted: Vec::new(),
            tokens: AddressHashMap::default(),
            libraries: KNOWN_LIBRARIES.into_iter().collect(),
            codes: AddressHashSet::default(),
            names: Names::default(),
            versions: AddressHashMap::default(),
        }
    }

    /// Watches `address` from now on. A second watch of the same address replaces the first; the configuration compiler
    /// rejects such a pair.
    pub fn insert_subject(&mut self, address: Address, subject: Subject) {
        self.has_accounts |= subject.contract().has(Property::Account);
        self.has_governors |= subject.contract().has(Property::Votes);
        if self.by_address.insert(address, subject).is_none() {
            self.addresses.push(address);
        }
    }

    /// Reads the state of every subject from now on: after each block that touches the subject, and in addition every
    /// `every` blocks.
    pub fn look_at_state(&mut self, every: NonZeroU64) {
        self.beat = Some(every);
    }

    /// Returns whether state is read.
    #[must_use]
    pub fn looks_at_state(&self) -> bool {
        self.beat.is_some()
    }

    /// Returns the subjects without reading of state: the facts known today do not apply to a block of the past.
    #[must_use]
    pub fn without_state(self) -> Self {
        Self { beat: None, ..self }
    }

    /// Sets the expected state of the subject at `address`.
    pub fn expect_state(&mut self, address: Address, expected: Expected) {
        self.expected.insert(address, Arc::new(expected));
    }

    /// Returns the expected state of the subject at `address`.
    #[must_use]
    pub fn expected_of(&self, address: &Address) -> Option<&Expected> {
        self.expected.get(address).map(AsRef::as_ref)
    }

    /// Tracks the code that the proxy at `address` runs, and decodes its calls and logs by the ABI of that code.
    pub fn run(&mut self, address: Address, versions: Versions) {
        self.versions.insert(address, Arc::new(versions));
    }

    /// Returns the code that the proxy at `address` may run, where its registry lists it.
    #[must_use]
    pub fn versions_of(&self, address: &Address) -> Option<&Versions> {
        self.versions.get(address).map(AsRef::as_ref)
    }

    /// Returns whether the code of any subject is tracked.
    pub(crate) fn has_versions(&self) -> bool {
        !self.versions.is_empty()
    }

    /// Counts all subjects' balances of a token. A second call for the same token replaces the first.
    pub fn count_token(&mut self, counted: Counted) {
        self.counted.retain(|known| known.token != counted.token);
        self.counted.push(counted);
    }

    /// Tokens whose balances are counted.
    #[must_use]
    pub fn counted_tokens(&self) -> &[Counted] {
        &self.counted
    }

    /// Returns whether the configuration knows this token: as a `[token.X]`, or as a watch of a token.
    pub(crate) fn lists_token(&self, token: &Address) -> bool {
        let watched = || self.get(token).is_some_and(|subject| subject.contract().has(Property::Token));
        self.counted.iter().any(|counted| counted.token == *token) || watched()
    }

    /// Returns all watched addresses, in the order in which they were given.
    pub fn addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.addresses.iter().copied()
    }

    /// Returns the addresses due for a read after block `number`: each once in a period, a few at a time.
    pub fn due_at_block(&self, number: u64) -> impl Iterator<Item = Address> + '_ {
        let period = self.cycle_blocks();
        let first = usize::try_from(number % period).unwrap_or(usize::MAX);
        let step = usize::try_from(period).unwrap_or(usize::MAX);
        self.addresses.iter().skip(first).step_by(step).copied()
    }

    /// Returns the number of blocks in which every subject is read once.
    pub(crate) fn cycle_blocks(&self) -> u64 {
        let n = self.addresses.len() as u64;
        self.beat.map_or(1, |beat| beat.get().max(n.div_ceil(TURNS_MAX)))
    }

    /// Returns the address of the subject of an activity.
    pub(crate) fn address_of(&self, activity: &Activity) -> Option<Address> {
        let own = |address: &Address| self.get(address).is_some_and(|subject| subject.watch == activity.watch);
        let named = activity.deed.args.iter().filter_map(|arg| arg.value.as_address());
        [Some(activity.from), activity.to].into_iter().flatten().chain(named).find(own)
    }

    /// Watches `name`, whose subject is at [`Name::stands_for`], in the logs of these ENS contracts.
    pub fn name(&mut self, name: Name, contracts: impl IntoIterator<Item = Address>) {
        self.names.add(name, contracts);
    }

    /// Returns the name whose subject is at `address`, and the ENS contracts that report about it.
    pub(crate) fn name_at(&self, address: &Address) -> Option<(&Name, &[Address])> {
        self.names.name_of_subject(address)
    }

    /// Returns whether a module that listens to an oracle may be watched.
    pub(crate) fn has_governors(&self) -> bool {
        self.has_governors
    }

    /// Returns the watched names that a log concerns.
    pub(crate) fn names_of(&self, log: &Log) -> Vec<Address> {
        self.names.subjects_in_log(log)
    }

    /// Reads calls to the token at `address` by `abi`.
    pub fn insert_token(&mut self, address: Address, abi: Arc<Abi>) {
        self.tokens.insert(address, abi);
    }

    /// Reads from now on the code of counterparties of the subject at `address`, because a rule tests it.
    pub fn ask_code(&mut self, address: Address) {
        self.codes.insert(address);
    }

    /// Returns whether the code of the counterparties of the subject at `address` is needed.
    #[must_use]
    pub fn asks_code(&self, address: &Address) -> bool {
        self.codes.contains(address)
    }

    /// Registers `address` as a library.
    pub fn insert_library(&mut self, address: Address, library: Library) {
        self.libraries.insert(address, library);
    }

    /// The subject at `address`.
    #[must_use]
    pub fn get(&self, address: &Address) -> Option<&Subject> {
        self.by_address.get(address)
    }

    /// Requests the traces of every block from now on, where a node has them: only a trace shows a call made inside
    /// another call.
    pub fn look_inside(&mut self) {
        self.looks_inside = true;
    }

    /// Returns whether traces are requested.
    #[must_use]
    pub fn looks_inside(&self) -> bool {
        self.looks_inside
    }

    /// Returns whether an account with a key is among the subjects.
    #[must_use]
    pub fn has_accounts(&self) -> bool {
        self.has_accounts
    }

    /// The ABI of the token at `address`.
    #[must_use]
    pub fn token_abi(&self, address: &Address) -> Option<&Arc<Abi>> {
        self.tokens.get(address)
    }

    /// The library at `address`.
    #[must_use]
    pub fn library_at(&self, address: &Address) -> Option<Library> {
        self.libraries.get(address).copied()
    }

    /// Returns the number of watched addresses.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    /// Returns whether no address is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }
}
