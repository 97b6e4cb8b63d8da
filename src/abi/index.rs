//! Functions and events of a contract, indexed by selector and by topic.

use std::sync::Arc;

use alloy_primitives::{B256, map::HashMap};

use super::item::{Event, Function, Param};

/// The functions and events of one or several ABI files. Immutable once built.
///
/// Two events with the same topic but different indexed parameters are both kept, because the Safe has such events
/// across its versions. Two functions with the same selector are also both kept.
#[derive(Debug, Clone, Default)]
pub struct Abi {
    functions: Vec<Arc<Function>>,
    by_selector: HashMap<[u8; 4], Vec<Arc<Function>>>,
    events: Vec<Arc<Event>>,
    by_topic: HashMap<B256, Vec<Arc<Event>>>,
    anonymous: Vec<Arc<Event>>,
    pub(super) has_fallback: bool,
    pub(super) has_receive: bool,
    pub(super) takes_ether: bool,
    renamed: Vec<Arc<str>>,
}

impl Abi {
    /// Creates an index of these functions and events, for contracts of which only signatures are known.
    pub fn from_items(functions: impl IntoIterator<Item = Function>, events: impl IntoIterator<Item = Event>) -> Self {
        let mut abi = Self::default();
        functions.into_iter().for_each(|function| abi.add_function(function.into()));
        events.into_iter().for_each(|event| abi.add_event(event.into()));
        abi
    }

    /// Returns true if there are no functions and no events.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty() && self.events.is_empty()
    }

    /// Returns the function with this selector; the first one where several share it (see [`Abi::functions_of`]).
    pub fn function_by_selector(&self, selector: [u8; 4]) -> Option<&Arc<Function>> {
        self.functions_of(selector).first()
    }

    /// Returns all functions with this selector. There is more than one only after a merge of contracts whose selectors
    /// collide.
    pub fn functions_of(&self, selector: [u8; 4]) -> &[Arc<Function>] {
        self.by_selector.get(&selector).map_or(&[], Vec::as_slice)
    }

    /// Every function, in the order of the files.
    pub fn functions(&self) -> impl ExactSizeIterator<Item = &Arc<Function>> {
        self.functions.iter()
    }

    /// Returns the functions that `name` selects: a name selects all its overloads, a signature one function.
    /// Signatures may be in any spelling that [`Function::parse`] reads.
    pub fn functions_named(&self, name: &str) -> Vec<&Arc<Function>> {
        if name.contains('(') {
            let Ok(wanted) = Function::parse(name) else { return Vec::new() };
            return self.functions_of(wanted.selector).iter().filter(|f| f.signature == wanted.signature).collect();
        }
        self.functions.iter().filter(|f| *f.name == *name.trim()).collect()
    }

    /// Returns the events with this first topic, in all layouts of indexed parameters.
    pub fn events_by_topic(&self, topic0: B256) -> &[Arc<Event>] {
        self.by_topic.get(&topic0).map_or(&[], Vec::as_slice)
    }

    /// Returns the event of a log with these topics, by its first topic and the number of topics.
    ///
    /// A log that matches no named event, including one without topics, may be an anonymous event with the same number
    /// of indexed parameters, if there is exactly one such event.
    pub fn event_for(&self, topics: &[B256]) -> Option<&Arc<Event>> {
        let named = topics.first().map_or(&[] as &[_], |topic0| self.events_by_topic(*topic0));
        let fits = |event: &&Arc<Event>| event.n_topics() == topics.len();
        named.iter().find(fits).or_else(|| {
            let mut anonymous = self.anonymous.iter().filter(fits);
            anonymous.next().filter(|_| anonymous.next().is_none())
        })
    }

    /// Returns the events that `name` selects: by name, or by signature in any spelling that [`Event::parse`] reads, in
    /// every layout.
    pub fn events_named(&self, name: &str) -> Vec<&Arc<Event>> {
        if name.contains('(') {
            let Ok(wanted) = Event::parse(name) else { return Vec::new() };
            return self.events.iter().filter(|e| e.signature == wanted.signature).collect();
        }
        self.events.iter().filter(|e| *e.name == *name.trim()).collect()
    }

    /// Every event, in the order of the files.
    pub fn all_events(&self) -> impl ExactSizeIterator<Item = &Arc<Event>> {
        self.events.iter()
    }

    /// Returns true if calldata that names no function still runs code.
    pub fn has_fallback(&self) -> bool {
        self.has_fallback
    }

    /// Returns true if there is a function for plain ether.
    pub fn has_receive(&self) -> bool {
        self.has_receive
    }

    /// Returns true if ether without calldata is accepted, by `receive` or by a payable fallback.
    pub fn takes_ether(&self) -> bool {
        self.takes_ether
    }

    /// Returns the signatures that the file lists twice with different argument names; the first names are used.
    pub fn renamed_signatures(&self) -> &[Arc<str>] {
        &self.renamed
    }

    /// Records that `signature` is listed again, if its argument names differ.
    pub(super) fn note_renamed(&mut self, signature: &Arc<str>, inputs: &[Param]) {
        let functions = self.functions.iter().map(|known| (&known.signature, &known.inputs));
        let mut known = functions.chain(self.events.iter().map(|known| (&known.signature, &known.inputs)));
        let differs = |known: &[Param]| {
            let same_layout = known.iter().zip(inputs).all(|(a, b)| a.indexed == b.indexed);
            same_layout && known != inputs
        };
        if known.any(|(known, names)| known == signature && differs(names)) && !self.renamed.contains(signature) {
            self.renamed.push(Arc::clone(signature));
        }
    }

    /// Merges both indexes. For an entry that both have, the parameter names of `self` are kept.
    #[must_use]
    pub fn merge(mut self, other: &Abi) -> Self {
        other.functions.iter().for_each(|function| self.add_function(function.clone()));
        other.events.iter().for_each(|event| self.add_event(event.clone()));
        self.has_fallback |= other.has_fallback;
        self.has_receive |= other.has_receive;
        self.takes_ether |= other.takes_ether;
        self
    }

    pub(super) fn add_function(&mut self, function: Arc<Function>) {
        let same = self.by_selector.entry(function.selector).or_default();
        if same.iter().all(|known| known.signature != function.signature) {
            same.push(function.clone());
            self.functions.push(function);
        }
    }

    pub(super) fn add_event(&mut self, event: Arc<Event>) {
        let same = match event.topic0 {
            Some(topic0) => self.by_topic.entry(topic0).or_default(),
            None => &mut self.anonymous,
        };
        if same
            .iter()
            .all(|known| known.signature != event.signature || indexed_layout(known).ne(indexed_layout(&event)))
        {
            same.push(event.clone());
            self.events.push(event);
        }
    }
}

fn indexed_layout(event: &Event) -> impl Iterator<Item = bool> {
    event.inputs.iter().map(|input| input.indexed)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    fn function(text: &str) -> Function {
        Function::parse(text).unwrap_or_else(|e| panic!("{e}"))
    }

    fn event(text: &str) -> Event {
        Event::parse(text).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn functions_are_found_by_selector_name_and_signature() {
        let abi = Abi::from_items([function("f(uint256 a)"), function("f(address)"), function("g()")], []);
        assert_eq!(abi.function_by_selector(function("g()").selector).map(|f| &*f.name), Some("g"));
        assert!(abi.function_by_selector([0; 4]).is_none());
        assert_eq!(abi.functions_named("f").len(), 2);
        assert_eq!(
            abi.functions_named("f( uint whatever )").iter().map(|f| &*f.inputs[0].name).collect::<Vec<_>>(),
            ["a"]
        );
        assert!(abi.functions_named("h").is_empty() && abi.functions_named("f(").is_empty());
    }

    #[test]
    fn colliding_selectors_are_kept_side_by_side() {
        // A well-known pair of signatures with the same selector, 0x42966c68.
        let (burn, clash) = (function("burn(uint256)"), function("collate_propagate_storage(bytes16)"));
        assert_eq!(burn.selector, clash.selector);
        let abi = Abi::from_items([burn], []).merge(&Abi::from_items([clash], []));
        assert_eq!(abi.functions_of([0x42, 0x96, 0x6c, 0x68]).len(), 2);
        assert_eq!(abi.function_by_selector([0x42, 0x96, 0x6c, 0x68]).map(|f| &*f.name), Some("burn"));
        assert_eq!(abi.functions_named("burn(uint256)").len(), 1);
    }

    #[test]
    fn one_topic_in_two_layouts_is_told_apart_by_the_number_of_topics() {
        let old = "AddedOwner(address owner)";
        let new = "AddedOwner(address indexed owner)";
        let abi = Abi::from_items([], [event(old), event(new), event(old)]);
        let topic0 = keccak256("AddedOwner(address)");
        assert_eq!((abi.events_by_topic(topic0).len(), abi.all_events().len()), (2, 2));
        assert_eq!(abi.event_for(&[topic0]).map(|e| **e == event(old)), Some(true));
        assert_eq!(abi.event_for(&[topic0, B256::ZERO]).map(|e| **e == event(new)), Some(true));
        assert!(abi.event_for(&[topic0, B256::ZERO, B256::ZERO]).is_none());
        assert_eq!(abi.events_named("AddedOwner").len(), 2);
        assert_eq!(abi.events_named("AddedOwner(address)").len(), 2);
    }

    #[test]
    fn a_log_no_named_event_fits_may_be_the_one_anonymous_event() {
        let note = event("LogNote(bytes4 indexed sig, address indexed guy, bytes data) anonymous");
        let bare = event("Bare(uint256 x) anonymous");
        let abi = Abi::from_items([], [note, bare]);
        let name = |topics: &[B256]| abi.event_for(topics).map(|e| e.name.to_string());
        assert_eq!(name(&[]).as_deref(), Some("Bare"));
        assert_eq!(name(&[B256::ZERO; 2]).as_deref(), Some("LogNote"));
        assert_eq!(name(&[B256::ZERO]), None);
        let two = abi.merge(&Abi::from_items([], [event("Other(bytes b) anonymous")]));
        assert!(two.event_for(&[]).is_none(), "two candidates are none");
    }

    #[test]
    fn a_merge_keeps_what_was_there_first() {
        let ours = Abi::from_items([function("f(uint256 amount)")], [event("E(uint256 amount)")]);
        let both =
            ours.merge(&Abi::from_items([function("f(uint256 wad)"), function("g()")], [event("E(uint256 wad)")]));
        assert_eq!(both.functions().len(), 2);
        assert_eq!(both.functions().next().map(|f| &*f.inputs[0].name), Some("amount"));
        assert_eq!(both.all_events().len(), 1);
    }
}
