//! Address book: `[name]`, `[set]` and `[token.X]`, global over all files, and the addresses a rule means by them.

use super::address::{parse_address, try_parse_address};
use super::chains::Chains;
use crate::classify::address_poisoning::KnownAddresses;
use crate::classify::rule::AddressSet;
use crate::classify::rule::Rules;
use crate::decode::{KNOWN_LIBRARIES, Tolerance};
use crate::escalate::AddressNames;
use crate::model::amount::Unit;
use crate::model::watch::ChainInfo;
use crate::model::{ChainId, WatchInfo};
use crate::settings::{At, Problem, Problems, nearest_name};
use crate::watchlist::file::{ListText, Lost, NameText, SetText, Texts, TokenKind, TokenText};
use alloy_primitives::Address;
use alloy_primitives::map::AddressHashSet;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Maximum depth of sets within one another: deeper nesting would let a file exhaust the stack.
const SET_DEPTH_MAX: usize = 32;
/// Maximum number of addresses shown of a list without a name; the rest is counted.
const SHOWN_MAX: usize = 3;
/// Names behind an `@` that have a meaning in every watch.
const RESERVED: [&str; 2] = ["self", "owners"];

/// All names of a configuration.
pub(super) struct AddressBook<'a> {
    tokens: BTreeMap<&'a str, Token>,
    token_at: HashMap<(ChainId, Address), &'a str>,
    /// Sets by name. `None` for a set that could not be resolved, which was reported already.
    sets: HashMap<&'a str, Option<Set>>,
    named: HashMap<&'a str, Vec<Place>>,
    names: Vec<(Place, Arc<str>)>,
    chains: HashMap<ChainId, Arc<str>>,
    /// Names in sections that could not be parsed.
    lost: Lost<'a>,
    /// Unknown names that resemble no known name and were reported once.
    told: RefCell<BTreeSet<String>>,
}

/// A `[token.X]`.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) chain: Arc<ChainInfo>,
    pub(super) address: Address,
    pub(super) unit: Unit,
    pub(super) kind: TokenKind,
    pub(super) tolerance: Tolerance,
    /// `@SNT`, as a set of one.
    set: AddressSet,
}

/// An address, on one chain or on any.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    address: Address,
    chain: Option<ChainId>,
}

#[derive(Clone)]
struct Set {
    addresses: AddressSet,
    chain: Option<ChainId>,
}

/// Context of a list of addresses: the watch that `@self` and `@owners` refer to, and its chain.
#[derive(Clone, Copy)]
pub(super) struct Scope<'d> {
    pub(super) directory: &'d AddressBook<'d>,
    /// Absent where the watch names an unknown chain, which was reported already: addresses of every chain are then
    /// accepted.
    pub(super) chain: Option<&'d ChainInfo>,
    pub(super) own: Address,
    pub(super) owners: Option<&'d AddressSet>,
}

// === impl Directory ===

impl<'a> AddressBook<'a> {
    pub(super) fn compile(texts: &Texts<'a>, chains: &Chains<'_>, problems: &mut Problems) -> Self {
        let mut directory = Self {
            tokens: BTreeMap::new(),
            token_at: HashMap::new(),
            sets: HashMap::new(),
            named: HashMap::new(),
            names: Vec::new(),
            chains: chains.chain_infos().map(|info| (info.id, Arc::clone(&info.name))).collect(),
            lost: texts.lost.clone(),
            told: RefCell::default(),
        };
        directory.read_names(&texts.names, chains, problems);
        directory.read_tokens(&texts.tokens, chains, problems);
        // A label is also a name, and may be used before the watch itself is compiled.
        for watch in &texts.watches {
            if let (Some(label), Some(address)) = (&watch.label, &watch.address)
                && let Ok(address) = try_parse_address(address)
            {
                let chain = watch.chain.as_ref().and_then(|chain| chains.find_chain(chain, &mut Problems::new()));
                directory.add_name(label.value, Place { address, chain: chain.map(|chain| chain.id) });
            }
        }
        directory.read_sets(&texts.sets, chains, problems);
        directory
    }

    /// The token at an address of a chain, with its name.
    pub(super) fn token_at(&self, chain: ChainId, address: Address) -> Option<(&'a str, &Token)> {
        let name = self.token_at.get(&(chain, address))?;
        Some((name, self.tokens.get(name)?))
    }

    /// Reports an unknown name. A name whose section could not be parsed was reported with that section. A name that
    /// resembles no known name is reported only at its first use, since its definition is missing.
    pub(super) fn report_unknown(&self, name: &str, problem: Problem, problems: &mut Problems) {
        let is_slip = problem.hint.as_ref().is_some_and(|hint| hint.starts_with("did you mean"));
        if !self.lost.has_named(name) && (is_slip || self.told.borrow_mut().insert(name.to_owned())) {
            problems.push(problem);
        } else {
            problems.hold_back();
        }
    }

    pub(super) fn token(&self, name: &str) -> Option<&Token> {
        self.tokens.get(name)
    }

    pub(super) fn tokens(&self) -> impl Iterator<Item = (&'a str, &Token)> {
        self.tokens.iter().map(|(name, token)| (*name, token))
    }

    /// Units by chain and address.
    pub(super) fn units_by_token(&self) -> HashMap<(ChainId, Address), Unit> {
        self.tokens.values().map(|token| ((token.chain.id, token.address), token.unit.clone())).collect()
    }

    /// Returns the address book. A watch's label takes precedence over a `[name]`, which takes precedence over a
    /// token's name, and that over a library's.
    pub(super) fn address_book(&self, chains: &Chains<'_>, watches: &[WatchInfo], rules: &Rules) -> AddressNames {
        let mut names = AddressNames::default();
        for info in chains.chain_infos() {
            KNOWN_LIBRARIES.iter().for_each(|(address, library)| names.insert(info.id, *address, library.name()));
        }
        for (name, token) in &self.tokens {
            names.insert(token.chain.id, token.address, *name);
        }
        for (place, name) in &self.names {
            let wanted = chains.chain_infos().filter(|info| place.chain.is_none_or(|chain| chain == info.id));
            wanted.for_each(|info| names.insert(info.id, place.address, Arc::clone(name)));
        }
        for watch in watches {
            names.insert(watch.chain.id, watch.address, Arc::clone(&watch.label));
        }
        for watch in &rules.watches {
            let label = &watches[watch.watch.index()].label;
            let owners = watch.owners.iter().flat_map(|owners| owners.members.iter());
            owners.for_each(|owner| names.insert_owner(watch.chain, *owner, label));
        }
        names
    }

    /// Collects the addresses that the configuration names on `chain`: tokens, the address book, members of sets.
    pub(super) fn add_named_addresses(&self, chain: ChainId, familiar: &mut KnownAddresses) {
        for (name, token) in self.tokens.iter().filter(|(_, token)| token.chain.id == chain) {
            familiar.insert(token.address, &Arc::from(*name));
        }
        for (place, name) in self.names.iter().filter(|(place, _)| place.chain.is_none_or(|only| only == chain)) {
            familiar.insert(place.address, name);
        }
        let here = |set: &&Set| set.chain.is_none_or(|only| only == chain);
        let mut sets: Vec<&Set> = self.sets.values().flatten().filter(here).collect();
        // Sorting makes an address in several sets get its name from the same set on every machine.
        sets.sort_by(|a, b| a.addresses.name.cmp(&b.addresses.name));
        for set in sets {
            set.addresses.members.iter().for_each(|address| familiar.insert(*address, &set.addresses.name));
        }
    }

    fn add_name(&mut self, name: &'a str, place: Place) {
        let places = self.named.entry(name).or_default();
        if !places.contains(&place) {
            places.push(place);
        }
    }

    fn read_names(&mut self, texts: &[NameText<'a>], chains: &Chains<'_>, problems: &mut Problems) {
        let mut first: HashMap<(Address, Option<ChainId>), &At<&str>> = HashMap::new();
        for text in texts {
            let chain = text.chain.as_ref().map(|chain| chains.find_chain(chain, problems));
            let (Some(address), false) = (parse_address(&text.address, problems), matches!(chain, Some(None))) else {
                self.lost.name(text.name.value);
                continue;
            };
            let chain = chain.flatten().map(|info| info.id);
            match first.insert((address, chain), &text.address) {
                Some(earlier) => {
                    let problem = text.address.problem(format!("`{}` is named twice", *text.address));
                    problems.push(problem.with_related_spot(earlier.spot.clone(), "first here"));
                }
                None => {
                    let place = Place { address, chain };
                    self.names.push((place, text.name.trim().into()));
                    self.add_name(text.name.value, place);
                }
            }
        }
    }

    fn read_tokens(&mut self, texts: &[TokenText<'a>], chains: &Chains<'_>, problems: &mut Problems) {
        let mut first: HashMap<&str, &At<&str>> = HashMap::new();
        for text in texts {
            if let Some(earlier) = first.insert(text.name.value, &text.name) {
                let problem = text.name.problem(format!("token `{}` is defined twice", *text.name));
                problems.push(problem.with_related_spot(earlier.spot.clone(), "first here"));
                continue;
            }
            refuse_name(&text.name, problems);
            let chain = text.chain.as_ref().and_then(|chain| chains.find_chain(chain, problems));
            let address = text.address.as_ref().and_then(|address| parse_address(address, problems));
            // A token without valid decimals still gets a unit, so that one mistake is not reported for each of its
            // amounts.
            let unit =
                Unit { symbol: text.name.value.into(), decimals: text.decimals.as_ref().map_or(18, |at| at.value) };
            let (Some(chain), Some(address)) = (chain, address) else {
                self.tokens.remove(text.name.value);
                self.lost.name(text.name.value);
                continue;
            };
            if let Some(other) = self.token_at.insert((chain.id, address), text.name.value) {
                problems.push(text.name.problem(format!("token `{}` has the address of token `{other}`", *text.name)));
            }
            let set = AddressSet {
                name: format!("@{}", *text.name).into(),
                members: Arc::new(std::iter::once(address).collect()),
            };
            let token =
                Token { chain: Arc::clone(chain), address, unit, kind: text.kind, tolerance: text.tolerance, set };
            self.tokens.insert(text.name.value, token);
        }
    }

    fn read_sets(&mut self, texts: &[SetText<'a>], chains: &Chains<'_>, problems: &mut Problems) {
        let mut by_name: HashMap<&str, &SetText<'a>> = HashMap::new();
        for text in texts {
            if let Some(earlier) = by_name.insert(text.name.value, text) {
                let problem = text.name.problem(format!("set `{}` is defined twice", *text.name));
                problems.push(problem.with_related_spot(earlier.name.spot.clone(), "first here"));
            }
            refuse_name(&text.name, problems);
            if self.tokens.contains_key(text.name.value) {
                let message =
                    format!("`{}` is a token already, so `@{}` would mean two things", *text.name, *text.name);
                problems.push(text.name.problem(message));
            }
        }
        for text in texts {
            self.resolve_set(text, &by_name, chains, &mut Vec::new(), problems);
        }
    }

    /// Resolves a set after the sets it contains. `open` are the enclosing sets.
    fn resolve_set(
        &mut self,
        text: &SetText<'a>,
        by_name: &HashMap<&str, &SetText<'a>>,
        chains: &Chains<'_>,
        open: &mut Vec<&'a str>,
        problems: &mut Problems,
    ) {
        if self.sets.contains_key(text.name.value) {
            return;
        }
        open.push(text.name.value);
        let mut sound = true;
        for item in &text.members.items {
            let Some(inner) = item.strip_prefix('@').and_then(|name| by_name.get(name)) else { continue };
            if open.contains(&inner.name.value) {
                let round = format!("@{} → {}", open.join(" → @"), **item);
                problems.push(item.problem(format!("set `{}` contains itself: {round}", *inner.name)));
                sound = false;
            } else if open.len() >= SET_DEPTH_MAX {
                problems.push(item.problem(format!("sets are nested more than {SET_DEPTH_MAX} deep")));
                sound = false;
            } else {
                self.resolve_set(inner, by_name, chains, open, problems);
            }
        }
        open.pop();
        let set = if sound { self.set_of(text, chains, problems) } else { None };
        self.sets.insert(text.name.value, set);
    }

    fn set_of(&self, text: &SetText<'a>, chains: &Chains<'_>, problems: &mut Problems) -> Option<Set> {
        if text.members.items.is_empty() {
            // A list whose items all have a wrong type was reported already.
            let message = format!("set `{}` is empty, so a rule that asks for it could never hold", *text.name);
            problems.push(text.members.spot.problem(message).with_hint("remove it, or write its addresses"));
            return None;
        }
        let mut chain = match &text.chain {
            Some(chain) => Some(chains.find_chain(chain, problems)?.id),
            None => None,
        };
        let mut members = AddressHashSet::default();
        let mut sound = true;
        for item in &text.members.items {
            let Some((addresses, only)) = self.resolve_item(item, chain, None, problems) else {
                sound = false;
                continue;
            };
            members.extend(addresses);
            chain = chain.or(only);
        }
        let addresses = AddressSet { name: format!("@{}", *text.name).into(), members: Arc::new(members) };
        sound.then_some(Set { addresses, chain })
    }

    /// Returns the addresses that one item means, and the chain it is bound to. `chain` is the chain it is wanted on,
    /// if that is known.
    fn resolve_item(
        &self,
        item: &At<&str>,
        chain: Option<ChainId>,
        scope: Option<&Scope<'_>>,
        problems: &mut Problems,
    ) -> Option<(Vec<Address>, Option<ChainId>)> {
        let (addresses, only) = if let Some(name) = item.strip_prefix('@') {
            match (name, scope) {
                ("self", Some(scope)) => (vec![scope.own], None),
                ("owners", Some(scope)) => match scope.owners {
                    Some(owners) => (owners.members.iter().copied().collect(), None),
                    None => {
                        let problem = item.problem("`@owners` are the registry's, and this watch has none");
                        problems.push(problem.with_hint("write `registry = { owners = [\"0x…\"] }` in the watch"));
                        return None;
                    }
                },
                ("self" | "owners", None) => {
                    problems.push(item.problem(format!("`{}` belongs to a watch, not to a set", **item)));
                    return None;
                }
                _ => match (self.sets.get(name), self.tokens.get(name)) {
                    (Some(Some(set)), _) => (set.addresses.members.iter().copied().collect(), set.chain),
                    (Some(None), _) => return None,
                    (None, Some(token)) => (vec![token.address], Some(token.chain.id)),
                    (None, None) => {
                        let names = self.sets.keys().chain(self.tokens.keys()).copied().chain(RESERVED);
                        let hint = nearest_name(name, names).map_or_else(
                            || "define it as `[set]` or `[token.X]`, in any of the files".to_owned(),
                            |near| format!("did you mean `@{near}`?"),
                        );
                        let problem = item.problem(format!("unknown set or token `{}`", **item)).with_hint(hint);
                        self.report_unknown(name, problem, problems);
                        return None;
                    }
                },
            }
        } else if item.starts_with("0x") || item.starts_with("0X") {
            (vec![parse_address(item, problems)?], None)
        } else {
            let place = self.resolve_name(item, chain, problems)?;
            (vec![place.address], place.chain)
        };
        if let (Some(wanted), Some(only)) = (chain, only)
            && wanted != only
        {
            let there = |id| self.chains.get(&id).map_or("another chain", |name| name);
            let message = format!("`{}` is on {}, and {} is meant here", **item, there(only), there(wanted));
            problems.push(item.problem(message));
            return None;
        }
        Some((addresses, only))
    }

    /// Returns the address that has this name.
    fn resolve_name(&self, item: &At<&str>, chain: Option<ChainId>, problems: &mut Problems) -> Option<Place> {
        let places = self.named.get(item.value).map_or(&[][..], Vec::as_slice);
        let here = |place: &&Place| chain.is_none() || place.chain.is_none() || place.chain == chain;
        let mut fitting: Vec<Place> = places.iter().filter(here).copied().collect();
        fitting.sort_by_key(|place| place.address);
        fitting.dedup_by_key(|place| place.address);
        match (fitting.first(), fitting.len(), places.first()) {
            (Some(place), 1, _) => Some(*place),
            (Some(_), _, _) => {
                problems.push(item.problem(format!("`{}` is the name of {} addresses", **item, fitting.len())));
                None
            }
            // The name exists on another chain only: the caller reports that.
            (None, _, Some(place)) => Some(*place),
            (None, _, None) => {
                let hint = match nearest_name(item, self.named.keys().copied()) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None if self.sets.contains_key(item.value) || self.tokens.contains_key(item.value) => {
                        format!("did you mean `@{}`?", **item)
                    }
                    None => "write an address, `@set`, `@token`, or a name from `[name]`".to_owned(),
                };
                let problem = item.problem(format!("nobody is called `{}`", **item)).with_hint(hint);
                self.report_unknown(item.value, problem, problems);
                None
            }
        }
    }
}

// === impl Scope ===

impl<'d> Scope<'d> {
    /// Returns the addresses of a list. An empty list is a problem: no condition on it could ever hold.
    pub(super) fn resolve_set(&self, list: &ListText<'_>, problems: &mut Problems) -> Option<AddressSet> {
        if let [only] = &list.items[..]
            && let Some(name) = only.strip_prefix('@')
        {
            // The set is shared by all rules that name it.
            let here = |chain| self.chain_id().is_none_or(|here| chain == here);
            match (self.directory.sets.get(name), self.directory.tokens.get(name)) {
                (Some(Some(set)), _) if set.chain.is_none_or(here) => return Some(set.addresses.clone()),
                (None, Some(token)) if here(token.chain.id) => return Some(token.set.clone()),
                _ => {}
            }
            if let ("owners", Some(owners)) = (name, self.owners) {
                return Some(owners.clone());
            }
        }
        if list.items.is_empty() {
            problems.push(list.spot.problem("no address is listed, so this could never hold"));
            return None;
        }
        let resolved: Vec<_> = list.items.iter().map(|item| self.resolve_addresses(item, problems)).collect();
        let members = resolved.into_iter().collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
        Some(AddressSet { name: list_summary(list).into(), members: Arc::new(members) })
    }

    /// Returns the addresses of a list that may be empty.
    pub(super) fn set_or_nobody(&self, list: &ListText<'_>, problems: &mut Problems) -> Option<AddressSet> {
        if list.items.is_empty() {
            return Some(AddressSet { name: "nobody".into(), members: Arc::default() });
        }
        self.resolve_set(list, problems)
    }

    /// Returns the address of an item; a set of several is a problem.
    pub(super) fn resolve_address(&self, item: &At<&str>, problems: &mut Problems) -> Option<Address> {
        let addresses = self.resolve_addresses(item, problems)?;
        if let [address] = addresses[..] {
            return Some(address);
        }
        problems.push(item.problem(format!("`{}` is {} addresses, and one is meant here", **item, addresses.len())));
        None
    }

    /// The token at an address of this watch's chain.
    pub(super) fn token_at(&self, address: Address) -> Option<(&'d str, &'d Token)> {
        self.directory.token_at(self.chain_id()?, address)
    }

    fn chain_id(&self) -> Option<ChainId> {
        self.chain.map(|chain| chain.id)
    }

    fn resolve_addresses(&self, item: &At<&str>, problems: &mut Problems) -> Option<Vec<Address>> {
        Some(self.directory.resolve_item(item, self.chain_id(), Some(self), problems)?.0)
    }
}

// === helpers ===

fn list_summary(list: &ListText<'_>) -> String {
    let mut text = list.items.iter().take(SHOWN_MAX).map(|item| item.value).collect::<Vec<_>>().join(", ");
    if let Some(more @ 1..) = list.items.len().checked_sub(SHOWN_MAX) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// Rejects names that are ambiguous behind an `@`, or unusable as the unit of an amount.
fn refuse_name(name: &At<&str>, problems: &mut Problems) {
    if RESERVED.contains(&name.value) {
        problems.push(name.problem(format!("`@{}` has a meaning of its own; choose another name", **name)));
    } else if ["ether", "gwei", "wei"].contains(&name.value) {
        problems.push(name.problem(format!("`{}` is a unit of its own; choose another name", **name)));
    } else if !name.starts_with(|c: char| c.is_alphabetic()) || name.contains(char::is_whitespace) {
        let hint = "a name begins with a letter and holds no space";
        problems.push(name.problem(format!("`{}` cannot be the name of a set or a token", **name)).with_hint(hint));
    }
}
