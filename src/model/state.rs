//! Watched items of a subject's state, and their last known values.
//!
//! A value is a word of 32 bytes, as the chain stores it. It is kept together with the block that set it, so that a
//! reorg can undo it. Facts are passed as [`WindowEntry`]s, so that commits and restarts need no extra code.

use super::verdict::WindowEntry;
use alloy_primitives::{Address, B256, U256};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Prefix of the names under which facts of the state are stored among the windows. No rule of a watchlist can have
/// such a name.
pub const STATES: &str = "builtin/state/";

/// Number of blocks whose changes can be undone one by one: the depth to which a reorg is searched.
const JOURNAL_BLOCKS_MAX: usize = 2048;

/// The item that exists once for each owner. No single value of it can be expected.
pub const OWNER_DELEGATE: &str = "owner-delegate";

/// The expiry of an ENS name's registration, in Unix seconds.
pub const NAME_EXPIRY: &str = "name-expiry";
/// The item of a vesting wallet, of ether or a token: the amount released beyond the vested amount, in its smallest
/// unit.
pub const RELEASED_EARLY: &str = "released-early";

/// The item that exists once for each question that a module asked of an oracle; it is only stored, and never reported
/// as a change.
pub const QUESTION: &str = "question";

/// The item that exists once for each token that the subject sent, approved or obtained by an act of its own; it is
/// only stored, and never reported as a change.
pub const TOKEN: &str = "token";

/// The item that exists once for each token whose unit a rule uses: the decimals that the token reports, [`NO_CODE`] or
/// [`UNSAID`].
pub const DECIMALS: &str = "decimals";
/// The item that records whether a watch's kind matches the code at its address: [`FITS`], [`BARE`], [`UNLIKE`] or
/// [`CODE_AT_KEY`].
pub const KIND: &str = "kind";
/// Value in place of a token's decimals: there is no code at its address.
pub const NO_CODE: B256 = B256::repeat_byte(0xff);
/// Value in place of a token's decimals: there is code at its address, but it does not report its decimals. EIP-20
/// leaves that open.
pub const UNSAID: B256 = B256::repeat_byte(0xfe);
/// Value for a contract or account that matches its kind, as far as its state shows.
pub const FITS: B256 = B256::with_last_byte(1);
/// There is no code at the address of a contract.
pub const BARE: B256 = B256::ZERO;
/// There is code at the address, but it lacks functions that every contract of the kind has.
pub const UNLIKE: B256 = B256::with_last_byte(2);
/// There is code other than a delegation at the address of an account with a key.
pub const CODE_AT_KEY: B256 = B256::with_last_byte(3);

/// Interpretation of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An address in the low twenty bytes.
    Address,
    /// A number.
    Number,
    /// A boolean.
    Flag,
    /// A hash; zero where there is nothing.
    Hash,
    /// Membership of an address in a set.
    Member,
    /// Assignment of a role to an address.
    Holder,
    /// An amount of ether or of a token, in its smallest unit; amounts can be added.
    Sum,
}

/// A kind of watched state item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemKind {
    /// Name used in rules: `state = "implementation"`.
    pub name: &'static str,
    /// Interpretation of its values.
    pub shape: Shape,
    /// Description, as used within a sentence.
    pub about: &'static str,
}

const fn item_kind(name: &'static str, shape: Shape, about: &'static str) -> ItemKind {
    ItemKind { name, shape, about }
}

/// All items that can be watched. `decode::state` defines which kinds of subjects have which items.
pub const ITEMS: &[ItemKind] = &[
    item_kind("singleton", Shape::Address, "the code that it runs (its singleton)"),
    item_kind("owner", Shape::Member, "owner"),
    item_kind("role", Shape::Holder, "a role"),
    item_kind("threshold", Shape::Number, "the number of signatures required"),
    item_kind("module", Shape::Member, "module"),
    item_kind("guard", Shape::Address, "the guard"),
    item_kind("module-guard", Shape::Address, "the module guard"),
    item_kind("fallback-handler", Shape::Address, "the fallback handler"),
    item_kind("required", Shape::Number, "the number of confirmations required"),
    item_kind("daily-limit", Shape::Sum, "the daily limit"),
    item_kind("nonce", Shape::Number, "the nonce"),
    item_kind("implementation", Shape::Address, "the implementation"),
    item_kind("admin", Shape::Address, "the administrator"),
    item_kind("beacon", Shape::Address, "the beacon"),
    item_kind("zos-implementation", Shape::Address, "the implementation (ZeppelinOS slot)"),
    item_kind("zos-admin", Shape::Address, "the administrator (ZeppelinOS slot)"),
    item_kind("uups-implementation", Shape::Address, "the implementation (EIP-1822 slot)"),
    item_kind("beacon-implementation", Shape::Address, "the implementation that the beacon names"),
    item_kind("admin-owner", Shape::Address, "the owner of its proxy administrator"),
    item_kind("code", Shape::Hash, "the code"),
    item_kind("implementation-code", Shape::Hash, "the code of its implementation"),
    item_kind("delegate", Shape::Address, "the code that the account runs (EIP-7702)"),
    item_kind("controller", Shape::Address, "the controller"),
    item_kind("transfers-enabled", Shape::Flag, "whether transfers are enabled"),
    item_kind("ownership", Shape::Address, "the owner"),
    item_kind("pending-ownership", Shape::Address, "the owner to be"),
    item_kind("timelock-admin", Shape::Address, "the administrator"),
    item_kind("pending-admin", Shape::Address, "the administrator to be"),
    item_kind("delay", Shape::Number, "the delay"),
    item_kind("default-admin", Shape::Address, "the administrator of all roles"),
    item_kind("open-executor", Shape::Flag, "whether anybody may carry out what is due"),
    item_kind(OWNER_DELEGATE, Shape::Address, "the code that an owner runs (EIP-7702)"),
    item_kind("executor", Shape::Address, "the contract that carries out what is voted"),
    item_kind("voting-delay", Shape::Number, "the delay before a vote"),
    item_kind("voting-period", Shape::Number, "the length of a vote"),
    item_kind("proposal-threshold", Shape::Number, "what it takes to propose"),
    item_kind(NAME_EXPIRY, Shape::Number, "until when the name is registered"),
    item_kind(RELEASED_EARLY, Shape::Number, "what was released beyond the schedule"),
    item_kind(QUESTION, Shape::Member, "a question that an oracle answers for it"),
    item_kind(TOKEN, Shape::Member, "a token that it uses"),
    item_kind(DECIMALS, Shape::Number, "the decimals of a token"),
    item_kind(KIND, Shape::Number, "the kind"),
    item_kind("owners", Shape::Number, "the number of owners"),
    item_kind("balance", Shape::Sum, "the balance"),
    item_kind("supply", Shape::Sum, "the supply"),
];

/// A watched item of one subject's state.
///
/// Written `threshold`, or `owner:0x…` and `balance:0x…` for an item with an address, or `role:0x…:0x…` for an item
/// with a role and its possible holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Item {
    /// Index into [`ITEMS`], kept small because there may be millions of items in memory.
    place: u8,
    /// The member of a set, the possible holder of a role, or the token of a balance; `None` for ether.
    pub of: Option<Address>,
    /// The role, if the item is about a role's holder.
    pub role: Option<B256>,
}

/// Returns the index of the item with this name; past the end where there is none.
const fn place_of(name: &str) -> usize {
    let mut place = 0;
    while place < ITEMS.len() && !bytes_equal(ITEMS[place].name.as_bytes(), name.as_bytes()) {
        place += 1;
    }
    place
}

const fn bytes_equal(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

impl Item {
    /// Returns the item with this name; `None` where there is no such item.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        (place_of(name) < ITEMS.len()).then(|| Self::of_table(name))
    }

    /// Ether balance.
    pub const ETHER: Self = Self::of_table("balance");
    /// Number of transactions sent, or of executions.
    pub const NONCE: Self = Self::of_table("nonce");
    /// Total supply of the token.
    pub const SUPPLY: Self = Self::of_table("supply");

    /// Returns an item of the table; a name that is not in it is a bug in this program, and selects the first item.
    #[must_use]
    pub(crate) const fn of_table(name: &str) -> Self {
        let place = place_of(name);
        debug_assert!(place < ITEMS.len(), "no such item");
        #[expect(clippy::cast_possible_truncation, reason = "the table is shorter than that")]
        Self { place: if place < ITEMS.len() { place as u8 } else { 0 }, of: None, role: None }
    }

    /// Returns the same item for the address `of`.
    #[must_use]
    pub const fn for_address(self, of: Address) -> Self {
        Self { of: Some(of), ..self }
    }

    /// Returns the item of this token's decimals.
    #[must_use]
    pub const fn decimals_of(token: Address) -> Self {
        Self::of_table(DECIMALS).for_address(token)
    }

    /// Returns the item for the assignment of this role to this address.
    #[must_use]
    pub const fn role_membership(role: B256, by: Address) -> Self {
        Self { of: Some(by), role: Some(role), ..Self::of_table("role") }
    }

    /// Returns the same item without address and role: the set that a member belongs to.
    #[must_use]
    pub const fn containing_set(self) -> Self {
        Self { of: None, role: None, ..self }
    }

    /// Returns the name used in rules.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind().name
    }

    /// Returns the name used in a registry: `fallback_handler`.
    #[must_use]
    pub fn registry_key(&self) -> String {
        self.name().replace('-', "_")
    }

    /// Returns the kind of the item, which defines the interpretation of its values.
    #[must_use]
    pub fn kind(&self) -> &'static ItemKind {
        ITEMS.get(usize::from(self.place)).unwrap_or(&ITEMS[0])
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.role.map_or(Ok(()), |role| write!(f, ":{role}"))?;
        self.of.map_or(Ok(()), |of| write!(f, ":{of}"))
    }
}

impl FromStr for Item {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (name, about) = text.split_once(':').map_or((text, None), |(name, about)| (name, Some(about)));
        let (role, of) = match about.map(|about| about.split_once(':').ok_or(about)) {
            None => (None, None),
            Some(Err(of)) => (None, Some(of)),
            Some(Ok((role, of))) => (Some(role), Some(of)),
        };
        let of = of.map(|of| of.parse::<Address>()).transpose().map_err(drop)?;
        let role = role.map(|role| role.parse::<B256>()).transpose().map_err(drop)?;
        Self::from_name(name).map(|item| Self { of, role, ..item }).ok_or(())
    }
}

/// A stored fact about a watch's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// The last known value.
    Value(Item),
    /// A digest of the value for which registry drift was reported; zero where none is reported.
    Told(Item),
    /// Result of the last reading: see [`Reading`].
    Reading,
}

/// Result of the last reading of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// All values were read.
    Whole,
    /// The node could not return all values.
    Dark,
    /// The block's questions had no room left for the watch: it is read next.
    Due,
}

impl Reading {
    fn from_word(value: B256) -> Self {
        match value[31] {
            2 => Self::Dark,
            3 => Self::Due,
            _ => Self::Whole,
        }
    }

    /// Returns its stored form.
    #[must_use]
    pub fn to_word(self) -> B256 {
        B256::with_last_byte(match self {
            Self::Whole => 1,
            Self::Dark => 2,
            Self::Due => 3,
        })
    }
}

impl Fact {
    /// Returns the delta that records this fact of `watch` with this value.
    #[must_use]
    pub fn window_entry(self, watch: Address, value: B256) -> WindowEntry {
        WindowEntry { watch, rule: Arc::from(format!("{STATES}{self}")), amount: U256::from_be_bytes(value.0) }
    }

    /// Returns the fact of a delta, if it has one.
    #[must_use]
    pub fn of_rule(rule: &str) -> Option<Self> {
        rule.strip_prefix(STATES)?.parse().ok()
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(item) => write!(f, "{item}"),
            Self::Told(item) => write!(f, "told/{item}"),
            Self::Reading => f.write_str("reading"),
        }
    }
}

impl FromStr for Fact {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match (text, text.strip_prefix("told/")) {
            ("reading", _) => Ok(Self::Reading),
            (_, Some(item)) => item.parse().map(Self::Told),
            (item, None) => item.parse().map(Self::Value),
        }
    }
}

/// The last known values of one chain's watches.
#[derive(Clone, Debug, Default)]
pub struct Known {
    watches: HashMap<Address, Vec<(Fact, Vec<Entry>)>>,
    /// Changes made by each of the newest blocks, oldest first.
    journal: VecDeque<(B256, Vec<(Address, Fact)>)>,
    due: BTreeSet<Address>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    block: B256,
    value: B256,
}

impl Known {
    /// Sets the value found at `block`. Blocks arrive in the order of the chain.
    pub fn record_value(&mut self, block: B256, watch: Address, fact: Fact, value: B256) {
        let facts = self.watches.entry(watch).or_default();
        let place = facts.iter().position(|(known, _)| *known == fact).unwrap_or_else(|| {
            facts.push((fact, Vec::with_capacity(1)));
            facts.len() - 1
        });
        facts[place].1.push(Entry { block, value });
        match self.journal.back_mut() {
            Some((last, changes)) if *last == block => changes.push((watch, fact)),
            _ => self.journal.push_back((block, vec![(watch, fact)])),
        }
        if self.journal.len() > JOURNAL_BLOCKS_MAX {
            self.finalize_oldest_block();
        }
        if fact == Fact::Reading {
            self.note_due(watch);
        }
    }

    /// Undoes everything that `block` set.
    pub fn rewind_block(&mut self, block: B256) {
        let Some(at) = self.journal.iter().rposition(|(known, _)| *known == block) else { return };
        let Some((_, changes)) = self.journal.remove(at) else { return };
        for (watch, fact) in changes {
            let Some(facts) = self.watches.get_mut(&watch) else { continue };
            if let Some((_, entries)) = facts.iter_mut().find(|(known, _)| *known == fact) {
                entries.retain(|entry| entry.block != block);
            }
            facts.retain(|(_, entries)| !entries.is_empty());
            if facts.is_empty() {
                self.watches.remove(&watch);
            }
            if fact == Fact::Reading {
                self.note_due(watch);
            }
        }
    }

    /// Returns the last known value; `None` where it was never read.
    #[must_use]
    pub fn get(&self, watch: Address, fact: Fact) -> Option<B256> {
        let (_, entries) = self.watches.get(&watch)?.iter().find(|(known, _)| *known == fact)?;
        entries.last().map(|entry| entry.value)
    }

    /// Returns the last known value of an item; `None` where it was never read.
    #[must_use]
    pub fn last_value(&self, watch: Address, item: Item) -> Option<B256> {
        self.get(watch, Fact::Value(item))
    }

    /// Returns the known members of a set of `watch`.
    pub fn set_members<'a>(&'a self, watch: Address, name: &'a str) -> impl Iterator<Item = Address> + 'a {
        let facts = self.watches.get(&watch).into_iter().flatten();
        facts.filter_map(move |(fact, entries)| match fact {
            Fact::Value(item) if item.name() == name => {
                item.of.filter(|_| entries.last().is_some_and(|entry| !entry.value.is_zero()))
            }
            _ => None,
        })
    }

    /// Returns the number of known items of this name of `watch`, whatever their values.
    #[must_use]
    pub fn count_items(&self, watch: Address, name: &str) -> usize {
        let facts = self.watches.get(&watch).into_iter().flatten();
        facts.filter(|(fact, _)| matches!(fact, Fact::Value(item) if item.name() == name)).count()
    }

    /// Returns the known roles of `watch` and their holders.
    pub fn role_members(&self, watch: Address) -> impl Iterator<Item = (B256, Address)> + '_ {
        let facts = self.watches.get(&watch).into_iter().flatten();
        facts.filter_map(|(fact, entries)| match fact {
            Fact::Value(Item { role: Some(role), of: Some(of), .. }) => {
                entries.last().filter(|entry| !entry.value.is_zero()).map(|_| (*role, *of))
            }
            _ => None,
        })
    }

    /// Returns the result of the last reading of `watch`, or `None` if it was never read.
    #[must_use]
    pub fn last_reading(&self, watch: Address) -> Option<Reading> {
        self.get(watch, Fact::Reading).map(Reading::from_word)
    }

    /// Returns true if any value of `watch` was ever read.
    #[must_use]
    pub fn has_values(&self, watch: Address) -> bool {
        let mut facts = self.watches.get(&watch).into_iter().flatten();
        facts.any(|(fact, _)| matches!(fact, Fact::Value(_)))
    }

    /// Returns the watches for which an earlier block's questions had no room.
    pub fn due_watches(&self) -> impl Iterator<Item = Address> + '_ {
        self.due.iter().copied()
    }

    /// Schedules `watch` to be read again with the next block, as if its questions had not fitted before.
    pub fn look_again(&mut self, watch: Address) {
        if self.last_reading(watch).is_some() {
            self.due.insert(watch);
        }
    }

    /// Returns true if `watch` will be read with the next block, whatever that block contains.
    #[must_use]
    pub fn is_due(&self, watch: Address) -> bool {
        self.due.contains(&watch)
    }

    /// Returns the items of `watch` with a reported difference, each with the digest of the reported value.
    pub fn reported_items(&self, watch: Address) -> impl Iterator<Item = (Item, B256)> + '_ {
        let facts = self.watches.get(&watch).into_iter().flatten();
        facts.filter_map(|(fact, entries)| match (fact, entries.last()) {
            (Fact::Told(item), Some(entry)) if !entry.value.is_zero() => Some((*item, entry.value)),
            _ => None,
        })
    }

    /// Returns the number of watches with known values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.watches.len()
    }

    /// Returns true if nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.watches.is_empty()
    }

    fn note_due(&mut self, watch: Address) {
        if self.last_reading(watch) == Some(Reading::Due) {
            self.due.insert(watch);
        } else {
            self.due.remove(&watch);
        }
    }

    /// Drops the oldest block from the journal: the values it set stay, and can no longer be undone.
    fn finalize_oldest_block(&mut self) {
        let Some((block, changes)) = self.journal.pop_front() else { return };
        for (watch, fact) in changes {
            let Some(facts) = self.watches.get_mut(&watch) else { continue };
            if let Some((_, entries)) = facts.iter_mut().find(|(known, _)| *known == fact)
                && let Some(at) = entries.iter().position(|entry| entry.block == block)
            {
                entries.drain(..at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATCH: Address = Address::repeat_byte(0xaa);

    fn word(n: u8) -> B256 {
        B256::with_last_byte(n)
    }

    #[test]
    fn a_fact_is_written_and_read_back() {
        let owner = Item::of_table("owner").for_address(Address::repeat_byte(7));
        let held = Item::role_membership(word(9), Address::repeat_byte(7));
        assert_eq!((held.name(), owner.name()), ("role", "owner"));
        for fact in [Item::ETHER, owner, held].map(Fact::Value).into_iter().chain([Fact::Told(held), Fact::Reading]) {
            let delta = fact.window_entry(WATCH, word(3));
            assert_eq!(Fact::of_rule(&delta.rule), Some(fact), "{}", delta.rule);
        }
        assert_eq!(Fact::of_rule("builtin/attempt"), None);
        assert_eq!(Fact::of_rule("builtin/state/unheard-of"), None);
    }

    #[test]
    fn a_reorg_brings_back_the_value_before() {
        let mut known = Known::default();
        let fact = Fact::Value(Item::of_table("threshold"));
        known.record_value(word(1), WATCH, fact, word(2));
        known.record_value(word(2), WATCH, fact, word(1));
        known.record_value(word(2), WATCH, Fact::Reading, Reading::Due.to_word());
        assert_eq!(known.due_watches().count(), 1);
        known.rewind_block(word(2));
        assert_eq!((known.get(WATCH, fact), known.due_watches().count()), (Some(word(2)), 0));
        known.rewind_block(word(1));
        assert!(known.is_empty());
    }

    #[test]
    fn what_is_too_old_to_be_taken_back_takes_no_room() {
        let mut known = Known::default();
        let blocks = JOURNAL_BLOCKS_MAX as u64 * 2;
        for n in 0..blocks {
            known.record_value(B256::from(U256::from(n)), WATCH, Fact::Value(Item::ETHER), B256::from(U256::from(n)));
        }
        assert_eq!(known.journal.len(), JOURNAL_BLOCKS_MAX);
        assert!(known.watches[&WATCH][0].1.len() <= JOURNAL_BLOCKS_MAX + 1);
        assert_eq!(known.last_value(WATCH, Item::ETHER), Some(B256::from(U256::from(blocks - 1))));
    }

    #[test]
    fn members_are_those_that_were_last_seen_in_the_set() {
        let mut known = Known::default();
        let owner = |n| Fact::Value(Item::of_table("owner").for_address(Address::repeat_byte(n)));
        known.record_value(word(1), WATCH, owner(1), word(1));
        known.record_value(word(1), WATCH, owner(2), word(1));
        known.record_value(word(2), WATCH, owner(1), word(0));
        assert_eq!(known.set_members(WATCH, "owner").collect::<Vec<_>>(), [Address::repeat_byte(2)]);
    }

    #[test]
    fn every_item_has_a_name_of_its_own() {
        for known in ITEMS {
            assert_eq!(ITEMS.iter().filter(|other| other.name == known.name).count(), 1, "{}", known.name);
        }
    }
}
