//! Watches: the head of each is compiled first, then its rules and tests, which may refer to every other watch.

use super::abis::{Abis, Spelled, WatchAbi};
use super::address::parse_address;
use super::chains::{Chains, unknown_name_problem};
use super::directory::{AddressBook, Scope};
use super::paths::Paths;
use super::rule::{self, Compiled};
use super::{absent, reach, roles, tests_of_watches, versions};
use crate::abi::Abi;
use crate::classify;
use crate::classify::address_poisoning::KnownAddresses;
use crate::classify::builtin::{BUILTINS, DRIFT, POSTURE};
use crate::classify::rule::{AddressSet, Polarity, Rule, Rules, TokenUnit, WatchRules};
use crate::contracts::{self, Property, list_kinds};
use crate::decode::{Counted, Expected, KNOWN_LIBRARIES, Name, Subject, Subjects, WEAKNESSES};
use crate::model::pending::PendingVoice;
use crate::model::watch::ChainInfo;
use crate::model::{ChainId, Item, Kind, WatchId, WatchInfo};
use crate::settings::{At, Problems};
use crate::watchlist::book::{Registry, WatchTest};
use crate::watchlist::file::{RegistryText, TokenKind, WatchText};
use alloy_primitives::map::AddressHashSet;
use alloy_primitives::{Address, B256, U256};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A watch without its rules. Parts that could not be parsed are replaced by harmless values, so that its rules are
/// still read; a configuration with such a head is never returned.
pub(super) struct Head<'t> {
    text: &'t WatchText<'t>,
    pub(super) info: WatchInfo,
    /// All ABIs that the watch may have, whichever implementation it runs.
    pub(super) abi: WatchAbi,
    /// ABI for code that has no known ABI of its own.
    own_abi: WatchAbi,
    /// ABIs of implementations, with their names in the watchlist.
    spoken: Vec<(Address, Arc<str>, Arc<Abi>)>,
    /// Absent where the chain is unknown.
    chain: Option<Arc<ChainInfo>>,
    registry: Registry,
    executors: Option<AddressSet>,
    refund_receivers: Option<AddressSet>,
    /// A name in ENS, with the contracts that store it.
    name: Option<(Name, Vec<Address>)>,
    /// True if the address was understood.
    placed: bool,
}

/// All heads, by the id of their watch.
pub(super) struct Heads<'t> {
    heads: Vec<Head<'t>>,
    by_address: HashMap<(ChainId, Address), usize>,
    token_abis: HashMap<(ChainId, Address), Arc<Abi>>,
}

/// Result of compiling all watches.
pub(super) struct CompiledWatches {
    pub(super) infos: Vec<WatchInfo>,
    pub(super) rules: Rules,
    pub(super) registries: Vec<Registry>,
    pub(super) subjects: HashMap<ChainId, Subjects>,
    pub(super) tests: Vec<WatchTest>,
    /// Safes whose queues are polled where there is a service.
    pub(super) queued: Vec<WatchId>,
}

impl<'t> Heads<'t> {
    pub(super) fn compile(
        texts: &'t [WatchText<'t>],
        chains: &Chains<'_>,
        directory: &AddressBook<'_>,
        paths: &Paths<'_>,
        abis: &mut Abis<'_>,
        problems: &mut Problems,
    ) -> Self {
        let tokens = directory.tokens().map(|(_, token)| ((token.chain.id, token.address), abis.of_token(token.kind)));
        let mut heads =
            Self { heads: Vec::with_capacity(texts.len()), token_abis: tokens.collect(), by_address: HashMap::new() };
        let mut labels: HashMap<&str, &At<&str>> = HashMap::new();
        for (index, text) in texts.iter().enumerate() {
            if let Some(label) = &text.label
                && let Some(first) = labels.insert(label.value, label)
            {
                let problem = label.problem(format!("label `{}` is used twice", **label));
                problems.push(
                    problem
                        .with_related_spot(first.spot.clone(), "first here")
                        .with_hint("a page would not say which is meant"),
                );
            }
            let id = WatchId(u32::try_from(index).unwrap_or(u32::MAX));
            let head = Head::compile(id, text, chains, directory, paths, abis, problems);
            if let (true, Some(chain), Some(written)) = (head.placed, &head.chain, &text.address)
                && let Some(first) = heads.by_address.insert((chain.id, head.info.address), index)
            {
                let problem = written.problem(format!("`{}` is watched twice on {}", head.info.address, chain.name));
                let other = texts[first].address.as_ref().map_or(&texts[first].spot, |at| &at.spot);
                problems.push(
                    problem
                        .with_related_spot(other.clone(), "first here")
                        .with_hint("put all its rules into one watch"),
                );
            }
            heads.heads.push(head);
        }
        heads
    }

    /// Returns the ABI by which the decoder reads a call to `address`: that of its watch, or that of its token.
    pub(super) fn abi_of(&self, address: Address, scope: &Scope<'_>) -> Option<Arc<Abi>> {
        let key = (scope.chain?.id, address);
        let watch = self.by_address.get(&key).map(|index| &self.heads[*index].abi);
        // An open ABI is not used: the contract may have any function.
        let watch = watch.filter(|abi| !abi.open).map(|abi| &abi.abi);
        watch.or_else(|| self.token_abis.get(&key)).cloned()
    }
}

impl<'t> Head<'t> {
    fn compile(
        id: WatchId,
        text: &'t WatchText<'t>,
        chains: &Chains<'_>,
        directory: &AddressBook<'_>,
        paths: &Paths<'_>,
        abis: &mut Abis<'_>,
        problems: &mut Problems,
    ) -> Self {
        let chain = text.chain.as_ref().and_then(|name| chains.find_chain(name, problems)).cloned();
        let address = text.address.as_ref().and_then(|address| parse_address(address, problems));
        if let Some(path) = &text.path {
            paths.check_path(path, problems);
        }
        if let (Some(at), Some(chain)) = (&text.pending, &text.chain)
            && !chains.hears_pending(chain.value)
        {
            let problem = at.problem(format!("nothing is heard of `{}` before its blocks", **chain));
            problems.push(problem.with_hint(format!("write `pending = true` into `[chain.{}]`", **chain)));
        }
        let own = address.unwrap_or(Address::ZERO);
        let kind = text.kind.as_ref().map(|kind| kind.value);
        let name = name(text, kind, problems);
        // A missing kind is reported by itself, and allows every key.
        let allows = |property| kind.is_none_or(|kind| contracts::of_kind(kind).has(property));
        let waits = allows(Property::Delays);
        if let Some(delay) = text.registry.as_ref().and_then(|registry| registry.delay.as_ref()).filter(|_| !waits) {
            let problem =
                delay.problem(format!("nothing waits here: only {} has a `delay`", list_kinds(Property::Delays)));
            problems.push(problem.with_hint("remove it, or say of which kind the contract is"));
        }
        let open = text.registry.as_ref().and_then(|registry| registry.open_executor.as_ref());
        if let Some(open) = open.filter(|_| !allows(Property::OpenExecutor)) {
            let problem = open.problem(format!("only {} has executors", list_kinds(Property::OpenExecutor)));
            problems.push(problem.with_hint("remove `open_executor`, or say of which kind the contract is"));
        }
        let scope = Scope { directory, chain: chain.as_deref(), own, owners: None };
        let registry = text.registry.as_ref().map(|text| compile_registry(text, &scope, problems)).unwrap_or_default();
        let scope = Scope { owners: registry.owners.as_ref(), ..scope };
        let executors = text.executors.as_ref().and_then(|list| scope.set_or_nobody(list, problems));
        let refund_receivers = text.refund_receivers.as_ref().and_then(|list| scope.set_or_nobody(list, problems));
        let contracts = text.contracts.as_ref().and_then(|list| scope.resolve_set(list, problems));
        let contracts = contracts.iter().flat_map(|set| set.members.iter().copied()).chain(address);
        let name = name.map(|name| (name, contracts.collect::<Vec<_>>()));
        let abi = kind.and_then(|kind| abis.of_watch(kind, text.abi.as_ref(), problems));
        // A head without its ABI accepts every function, so that one mistake is not reported for each of its rules.
        let abi = abi.unwrap_or_else(|| WatchAbi { abi: Arc::default(), open: true, versions: vec![] });
        let spoken =
            text.registry.as_ref().map(|text| versions::implementation_abis(text, kind, &scope, abis, problems));
        let spoken = spoken.unwrap_or_default();
        let own_abi = abi;
        let listed = registry.implementations.as_ref().map_or(0, |set| set.members.len());
        let abi = versions::combine_abis(&own_abi, &spoken, listed, abis);
        roles::check_role_support(text.registry.as_ref(), kind, &abi.abi, problems);
        let said = |at: &Option<At<&str>>| Arc::from(at.as_ref().map_or("", |at| at.value.trim()));
        let path = text.path.as_ref().and_then(|path| paths.shared_name(path)).unwrap_or_else(|| "".into());
        let nowhere = || Arc::new(ChainInfo { name: "".into(), id: ChainId(0), explorer: None });
        let info = WatchInfo {
            id,
            label: said(&text.label),
            chain: chain.clone().unwrap_or_else(nowhere),
            // A name is not a contract: a substitute address distinguishes two names of one registry.
            address: name.as_ref().map_or(own, |(name, _)| name.stands_for()),
            kind: kind.unwrap_or_else(contracts::unknown_kind),
            purpose: said(&text.purpose),
            path,
            runbook: text.runbook.as_ref().map(|at| at.value.trim().into()),
            observe: text.observe,
            pending: text.pending.as_ref().map_or_else(PendingVoice::default, |at| at.value),
            roles: registry
                .roles
                .as_ref()
                .map(|roles| roles.iter().map(|role| (role.role, Arc::clone(&role.name))).collect()),
        };
        Self {
            text,
            info,
            abi,
            own_abi,
            spoken,
            chain,
            registry,
            executors,
            refund_receivers,
            name,
            placed: address.is_some(),
        }
    }
}

pub(super) fn compile_watches(
    heads: &Heads<'_>,
    directory: &AddressBook<'_>,
    abis: &mut Abis<'_>,
    problems: &mut Problems,
) -> CompiledWatches {
    let mut all = CompiledWatches {
        infos: Vec::with_capacity(heads.heads.len()),
        rules: Rules { watches: Vec::with_capacity(heads.heads.len()), timed: Vec::new() },
        registries: Vec::with_capacity(heads.heads.len()),
        subjects: HashMap::new(),
        tests: Vec::new(),
        queued: Vec::new(),
    };
    let (known_tokens, watched) = (known_tokens(heads, directory), watched_addresses(heads));
    let mut expectations: Vec<(ChainId, Address, Expected)> = Vec::with_capacity(heads.heads.len());
    for head in &heads.heads {
        let registry = head.registry.clone();
        let scope =
            Scope { directory, chain: head.chain.as_deref(), own: head.info.address, owners: registry.owners.as_ref() };
        let texts = head.text.rules.iter();
        let mut compiled: Vec<Compiled> =
            texts.filter_map(|text| rule::compile_rule(text, head, heads, &scope, problems)).collect();
        reach::check_reachability(&compiled, problems);
        note_rules(head.text, problems);
        let absent = absent::compile_expected(&head.text.absent, &compiled, head, heads, &scope, problems);
        all.tests.extend(tests_of_watches::compile_watch_tests(
            head,
            &head.text.tests,
            &compiled,
            &absent,
            heads,
            &scope,
            problems,
        ));
        let mut spelled = take_spelled(&mut compiled);
        let mut expected = Vec::with_capacity(absent.len());
        for (one, compiled) in absent {
            expected.push(one);
            spelled.functions.extend(compiled.spelled.functions);
            spelled.events.extend(compiled.spelled.events);
        }
        let (subject, own) = compile_subject(head, spelled, abis);
        // A collect would reuse the larger allocation of `compiled`, and there may be 100,000 of them.
        let mut rules = Vec::with_capacity(compiled.len());
        rules.extend(compiled.into_iter().map(|compiled| compiled.rule));
        let chain = head.info.chain.id;
        let measured = assign_token_units(&mut rules, directory, chain);
        let subjects = all.subjects.entry(chain).or_insert_with(|| Subjects::new(chain));
        let code = versions::compile_versions(head.info.kind, &registry, &head.spoken, &own);
        subjects.insert_subject(head.info.address, subject);
        if let Some(versions) = code {
            subjects.run(head.info.address, versions);
        }
        if rules.iter().chain(expected.iter().map(|expected| &expected.rule)).any(Rule::asks_code) {
            subjects.ask_code(head.info.address);
        }
        if let Some((name, contracts)) = &head.name {
            subjects.name(*name, contracts.iter().copied());
        }
        all.rules.watches.push(WatchRules {
            watch: head.info.id,
            chain,
            address: head.info.address,
            kind: head.info.kind,
            rules,
            expected,
            builtins_off: builtins_off(&head.text.builtins_off, problems),
            judge_inbound: head.text.judge_inbound,
            executors: head.executors.clone(),
            owners: registry.owners.clone(),
            threshold: registry.threshold,
            modules: registry.modules.clone(),
            delay: registry.delay.map(|delay| delay.as_secs()),
            implementations: registry.implementations.clone(),
            delegates: registry.delegates.clone(),
            refund_receivers: head.refund_receivers.clone(),
            known_tokens: known_tokens.get(&chain).cloned().unwrap_or_default(),
            familiar: Arc::default(),
            watched: watched.get(&chain).cloned().unwrap_or_default(),
            observe: head.info.observe,
        });
        // If registry drift is switched off, the state is not compared with the registry at all: another finding would
        // report the same under another name.
        let off = |name: &str| head.text.builtins_off.iter().any(|off| off.value == name);
        let mut expected = expected_state(head.info.kind, &registry);
        if off(DRIFT) {
            expected = Expected { accepted: expected.accepted, ..Expected::default() };
        }
        // A rule whose unit cannot be verified vouches for nothing, whichever built-ins are switched off.
        expected.decimals = measured;
        // The same applies to misconfigurations that do not depend on the registry.
        if off(POSTURE) {
            expected.accepted.extend(WEAKNESSES.iter().filter_map(|name| Item::from_name(name)));
        }
        expectations.push((chain, head.info.address, expected));
        let has_queue = contracts::of_kind(head.info.kind).has(Property::ProposalService);
        if has_queue && head.text.queue.as_ref().is_none_or(|at| at.value) {
            all.queued.push(head.info.id);
        }
        if let Some(at) = head.text.queue.as_ref().filter(|_| !has_queue) {
            let problem = at.problem(format!("only {} has a queue", list_kinds(Property::ProposalService)));
            problems.push(problem.with_hint("remove `queue`"));
        }
        all.registries.push(registry);
        all.infos.push(head.info.clone());
    }
    // A token whose unit no rule uses is read with the first watch of its chain, since its amounts are shown on pages.
    for (_, token) in directory.tokens().filter(|(_, token)| token.kind != TokenKind::Collectible) {
        let mut here = expectations.iter_mut().filter(|(chain, ..)| *chain == token.chain.id).map(|(.., of)| of);
        if !here.by_ref().any(|of| of.decimals.iter().any(|(known, _)| *known == token.address))
            && let Some((.., first)) = expectations.iter_mut().find(|(chain, ..)| *chain == token.chain.id)
        {
            first.decimals.push((token.address, token.unit.decimals));
        }
    }
    for (chain, address, expected) in expectations.into_iter().filter(|(.., of)| *of != Expected::default()) {
        all.subjects.entry(chain).or_insert_with(|| Subjects::new(chain)).expect_state(address, expected);
    }
    for (_, token) in directory.tokens() {
        let subjects = all.subjects.entry(token.chain.id).or_insert_with(|| Subjects::new(token.chain.id));
        subjects.count_token(Counted { token: token.address, tolerance: token.tolerance });
    }
    let familiar = named_addresses_by_chain(&all.infos, &all.rules, &all.registries, directory);
    for rules in &mut all.rules.watches {
        rules.familiar = familiar.get(&rules.chain).cloned().unwrap_or_default();
    }
    let timed = all.rules.watches.iter().filter(|rules| classify::keeps_time(rules)).map(|rules| rules.watch);
    all.rules.timed = timed.collect();
    for ((chain, address), abi) in &heads.token_abis {
        all.subjects.entry(*chain).or_insert_with(|| Subjects::new(*chain)).insert_token(*address, Arc::clone(abi));
    }
    all
}

/// Sets the tokens whose units each rule uses, and returns these tokens with their decimals.
fn assign_token_units(rules: &mut [Rule], directory: &AddressBook<'_>, chain: ChainId) -> Vec<(Address, u8)> {
    let mut all: Vec<(Address, u8)> = Vec::new();
    for rule in rules {
        let named = rule.measures_in().into_iter().filter_map(|unit| {
            let token = directory.token(&unit.symbol)?;
            (token.chain.id == chain && token.unit == *unit && token.kind != TokenKind::Collectible)
                .then(|| TokenUnit { token: token.address, unit: unit.clone() })
        });
        rule.units = named.collect();
        for unit in &rule.units {
            let known = (unit.token, unit.unit.decimals);
            if !all.contains(&known) {
                all.push(known);
            }
        }
    }
    all
}

/// Returns the state of the watch that the registry expects.
fn expected_state(kind: Kind, registry: &Registry) -> Expected {
    let item = |name| Item::from_name(name);
    let mut expected = Expected { kind: true, ..Expected::default() };
    let mut value = |name, word: B256| expected.values.extend(item(name).map(|item| (item, word)));
    let contract = contracts::of_kind(kind);
    if let Some(number) = registry.threshold {
        value(contract.threshold_item, B256::from(U256::from(number)));
    }
    if let Some(open) = registry.open_executor {
        value("open-executor", B256::with_last_byte(u8::from(open)));
    }
    // An account with a key runs no code of others, unless the registry names the delegate.
    let delegated = registry.values.iter().any(|(item, _)| item.name() == "delegate");
    if contract.has(Property::Account) && !delegated {
        expected.assumed.extend(item("delegate").map(|item| (item, B256::ZERO)));
    }
    expected.values.extend(registry.values.iter().map(|(item, address)| (*item, address.into_word())));
    let code = registry.implementations.as_ref().filter(|_| contract.has(Property::Proxy));
    expected.code = code.map(|set| set.members.iter().copied().collect());
    for (name, set) in [("owner", &registry.owners), ("module", &registry.modules)] {
        if let (Some(item), Some(set)) = (item(name), set) {
            expected.sets.push((item, set.members.iter().copied().collect()));
        }
    }
    expected.roles = registry.roles.as_ref().map(|roles| {
        let each = roles.iter().flat_map(|role| role.holders.members.iter().map(|who| (role.role, *who)));
        each.collect()
    });
    expected.roles_since = registry.roles_since;
    let spoken = expected.values.iter().map(|(item, _)| item).chain(expected.sets.iter().map(|(set, _)| set));
    // A registry that lists the members of each role also determines whether the executor role is open to everyone.
    let open = registry.roles.as_ref().and_then(|_| item("open-executor"));
    expected.accepted = spoken.copied().chain(open).collect();
    expected
}

/// Returns the addresses that the configuration names, by chain: watches and other named addresses, and members of
/// registries and rules.
fn named_addresses_by_chain(
    infos: &[WatchInfo],
    rules: &Rules,
    registries: &[Registry],
    directory: &AddressBook<'_>,
) -> HashMap<ChainId, Arc<KnownAddresses>> {
    let mut all: HashMap<ChainId, KnownAddresses> = HashMap::new();
    for info in infos {
        all.entry(info.chain.id).or_default().insert(info.address, &info.label);
    }
    for (chain, familiar) in &mut all {
        directory.add_named_addresses(*chain, familiar);
        for (address, library) in KNOWN_LIBRARIES {
            familiar.insert(address, &library.name().into());
        }
    }
    for watch in &rules.watches {
        let Some(familiar) = all.get_mut(&watch.chain) else { continue };
        let lists = [&watch.owners, &watch.executors, &watch.modules, &watch.refund_receivers];
        let roles = registries.get(watch.watch.index()).and_then(|registry| registry.roles.as_ref());
        let holders = roles.into_iter().flatten().map(|role| &role.holders);
        let listed = lists.into_iter().flatten().chain(holders).chain(rules_of(watch).flat_map(Rule::address_sets));
        for set in listed {
            set.members.iter().for_each(|address| familiar.insert(*address, &set.name));
        }
        for address in rules_of(watch).flat_map(Rule::single_addresses) {
            familiar.insert(address, &format!("in a rule of {}", infos[watch.watch.index()].label).into());
        }
    }
    all.into_iter().map(|(chain, familiar)| (chain, Arc::new(familiar))).collect()
}

fn rules_of(watch: &WatchRules) -> impl Iterator<Item = &Rule> {
    watch.rules.iter().chain(watch.expected.iter().map(|expected| &expected.rule))
}

/// Tokens by chain: those that are defined, and watches that are tokens.
fn known_tokens(heads: &Heads<'_>, directory: &AddressBook<'_>) -> HashMap<ChainId, Arc<AddressHashSet>> {
    let mut sets: HashMap<ChainId, AddressHashSet> = HashMap::new();
    for (_, token) in directory.tokens() {
        sets.entry(token.chain.id).or_default().insert(token.address);
    }
    for head in heads.heads.iter().filter(|head| contracts::of_kind(head.info.kind).has(Property::Token)) {
        sets.entry(head.info.chain.id).or_default().insert(head.info.address);
    }
    sets.into_iter().map(|(chain, set)| (chain, Arc::new(set))).collect()
}

/// Watched addresses by chain.
fn watched_addresses(heads: &Heads<'_>) -> HashMap<ChainId, Arc<AddressHashSet>> {
    let mut sets: HashMap<ChainId, AddressHashSet> = HashMap::new();
    for head in &heads.heads {
        sets.entry(head.info.chain.id).or_default().insert(head.info.address);
    }
    sets.into_iter().map(|(chain, set)| (chain, Arc::new(set))).collect()
}

/// Adds notes about a watch's rules that match everything, or notify no one.
fn note_rules(text: &WatchText<'_>, problems: &mut Problems) {
    let label = || text.label.as_ref().map_or(&text.spot, |label| &label.spot);
    if text.rules.is_empty() && text.absent.is_empty() {
        let note = label().problem("this watch has no rules: whatever no built-in vouches for is a finding");
        problems.push_note(note.with_hint("write what is normal for it as `[[watch.normal]]`"));
    }
    let observed = !text.rules.is_empty() && text.rules.iter().all(|rule| rule.observe);
    if text.observe || observed {
        let what = if text.observe { "this watch is" } else { "every rule of this watch is" };
        let note = label().problem(format!("{what} in `observe`: nothing that is found wakes anybody"));
        problems.push_note(note.with_hint("remove `mode = \"observe\"` once the findings are what they should be"));
    }
    for rule in text.rules.iter().filter(|rule| rule.polarity == Polarity::Normal) {
        let Some(deed) = rule.deed.as_ref().filter(|deed| deed.text.trim() == "*") else { continue };
        let note =
            format!("`{} = \"*\"` vouches for whatever it is, functions that are added later too", deed.kind.as_str());
        problems.push_note(deed.text.problem(note).with_hint("write one rule for each function"));
    }
}

fn take_spelled(compiled: &mut [Compiled]) -> Spelled {
    let mut all = Spelled::default();
    for rule in compiled {
        let spelled = std::mem::take(&mut rule.spelled);
        all.functions.extend(spelled.functions);
        all.events.extend(spelled.events);
    }
    all
}

/// Returns the decoder's view of a watch, and the ABI of implementations that have none of their own.
fn compile_subject(head: &Head<'_>, spelled: Spelled, abis: &mut Abis<'_>) -> (Subject, Arc<Abi>) {
    let rule_abi = abis.of_signatures(spelled);
    // An open contract has the ABI of its kind, and the signatures in its rules.
    let mut of = |abi: &WatchAbi| if abi.open { abis.merge_abis(&abi.abi, &rule_abi) } else { Arc::clone(&abi.abi) };
    let (abi, own) = (of(&head.abi), of(&head.own_abi));
    (Subject { watch: head.info.id, kind: head.info.kind, abi, rule_abi }, own)
}

/// Returns the ENS name of a watch of that kind.
fn name(text: &WatchText<'_>, kind: Option<Kind>, problems: &mut Problems) -> Option<Name> {
    let kind = kind?;
    match (&text.node, contracts::of_kind(kind).has(Property::Name)) {
        (Some(written), true) => {
            let name = Name::parse(written.value);
            if name.is_none() {
                let problem = written.problem(format!("`{}` is not a name that can be watched", written.value));
                problems.push(problem.with_hint("write it in full and in lower case: \"treasury.example.eth\""));
            }
            name
        }
        (None, true) => {
            let problem = text.spot.problem("`node` is missing: a watch of a name says which");
            problems.push(problem.with_hint("write `node = \"treasury.example.eth\"`; `address` is the registry"));
            None
        }
        (Some(written), false) => {
            problems.push(written.problem(format!("only {} has a `node`", list_kinds(Property::Name))));
            None
        }
        (None, false) => None,
    }
}

fn compile_registry(text: &RegistryText<'_>, scope: &Scope<'_>, problems: &mut Problems) -> Registry {
    let mut registry = Registry {
        owners: text.owners.as_ref().and_then(|list| scope.resolve_set(list, problems)),
        threshold: text.threshold.as_ref().and_then(|at| u32::try_from(at.value).ok()),
        modules: text.modules.as_ref().and_then(|list| scope.set_or_nobody(list, problems)),
        delegates: text.delegates.as_ref().and_then(|list| scope.set_or_nobody(list, problems)),
        values: text
            .values
            .iter()
            .filter_map(|(item, at)| match at.value {
                "none" => Some((*item, Address::ZERO)),
                _ => scope.resolve_address(at, problems).map(|address| (*item, address)),
            })
            .collect(),
        delay: text.delay.as_ref().map(|at| at.value),
        open_executor: text.open_executor.as_ref().map(|at| at.value),
        implementations: text.implementations.as_ref().and_then(|text| scope.set_or_nobody(&text.all, problems)),
        roles: text.roles.as_ref().map(|text| roles::compile_roles(text, scope, problems)),
        roles_since: text.roles_since.as_ref().and_then(|at| u64::try_from(at.value).ok()).unwrap_or(0),
    };
    if let Some(owners) = &mut registry.owners {
        owners.name = "@owners".into();
    }
    registry
}

fn builtins_off(written: &[At<&str>], problems: &mut Problems) -> BTreeSet<Arc<str>> {
    let known = BUILTINS.iter().map(|builtin| builtin.name);
    for name in written.iter().filter(|name| !known.clone().any(|known| known == name.value)) {
        problems.push(unknown_name_problem("built-in", name, known.clone(), "`check` lists all of them"));
    }
    written.iter().map(|name| name.value.into()).collect()
}
