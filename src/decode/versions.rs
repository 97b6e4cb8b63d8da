//! Determines the code that a proxy ran for a call or a log, and the ABI to decode it by.
//!
//! The code that runs is the code in the proxy's slots before the block, until a log of the proxy or of its beacon
//! reports a replacement: before that log the old ABI applies, after it the new one. A trace shows the code itself. It
//! can reveal code that no log names, but it never clears code that a log or the state names.

use super::frames::{Frame, FrameKind};
use super::logs::log_argument;
use super::state::IMPLEMENTATIONS;
use super::{Questions, Subjects, decoded_call};
use crate::abi::{Abi, Budget};
use crate::contracts::{BEACON, GET_IMPLEMENTATION, IMPLEMENTATION, PROXIABLE, ZOS_IMPLEMENTATION};
use crate::model::activity::Note;
use crate::model::read::{Answer, Read};
use crate::model::{
    Activity, ActivityKind, Block, CallHow, Decoding, Item, Known, Log, Operation, Position, TracedCall, Tx, TxTrace,
};
use alloy_primitives::map::{AddressHashMap, HashMap};
use alloy_primitives::{Address, B256, Bytes, b256, hex};
use std::sync::Arc;

/// `Upgraded(address)` of a proxy, and of a beacon. Source: EIP-1967; UpgradeableBeacon.sol. The oldest do not index the address.
const UPGRADED: B256 = b256!("bc7cd75a20ee27fd9adebab32041f755214dbc6bffa90cc0225b39da2e5c2d3b");
/// `BeaconUpgraded(address)` of a proxy. Source: EIP-1967.
const BEACON_UPGRADED: B256 = b256!("1cf3b03a6cf19fa2baba4df148e9dcabedea7f8a5c07840e207e5c089be95d3e");
/// Bytes before and behind the address in the code of a minimal proxy. Source: EIP-1167, EIP-7511.
const MINIMAL: [(&[u8], &[u8]); 2] = [
    (&hex!("363d3d373d3d3d363d73"), &hex!("5af43d82803e903d91602b57fd5bf3")),
    (&hex!("365f5f375f5f365f73"), &hex!("5af43d5f5f3e5f3d91602a57fd5bf3")),
];

/// Maximum number of new beacons of one proxy that are read in one block: foreign code may log any number of them.
const BEACONS_MAX: usize = 4;

/// Implementations that a proxy may run, as listed in its registry.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    listed: AddressHashMap<Version>,
}

/// Implementation of a proxy.
#[derive(Clone, Debug)]
pub struct Version {
    /// Name of its ABI in the watchlist: a file, or a bundled one. The watch's own ABI where absent.
    pub name: Option<Arc<str>>,
    /// Functions and events of this code, of the watch's kind and of the proxy itself.
    pub abi: Arc<Abi>,
}

impl Versions {
    /// Creates the list from these implementations only.
    #[must_use]
    pub fn new(listed: impl IntoIterator<Item = (Address, Version)>) -> Self {
        Self { listed: listed.into_iter().collect() }
    }

    /// Returns whether `code` is a listed implementation.
    #[must_use]
    pub fn is_listed(&self, code: &Address) -> bool {
        self.listed.contains_key(code)
    }

    /// Each implementation, in the order of their addresses.
    #[must_use]
    pub fn all(&self) -> Vec<(Address, &Version)> {
        let mut all: Vec<_> = self.listed.iter().map(|(address, version)| (*address, version)).collect();
        all.sort_unstable_by_key(|(address, _)| *address);
        all
    }
}

/// The code that ran.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodeThatRan<'a> {
    implementation: Address,
    /// Version of the code; `None` where it is not listed.
    version: Option<&'a Version>,
}

impl<'a> CodeThatRan<'a> {
    /// Returns the ABI of the code; `None` where it is not known and the subject's own ABI must be used.
    pub(crate) fn abi(&self) -> Option<&'a Arc<Abi>> {
        self.version.map(|version| &version.abi)
    }

    fn note(&self) -> Note {
        Note::Runs {
            implementation: self.implementation,
            abi: self.version.and_then(|version| version.name.clone()),
            listed: self.version.is_some(),
        }
    }
}

/// Log in a block that reports a replacement of code.
#[derive(Clone, Copy, Debug)]
struct Upgrade {
    tx: u32,
    ordinal: u32,
    /// Address that wrote the log.
    by: Address,
    /// Address of the code or beacon named by the log.
    names: Address,
    /// Address of the code that runs from then on; `None` where a beacon was replaced and the new one was not read or
    /// could not be read.
    to: Option<Address>,
}

/// Knowledge about one proxy in this block.
#[derive(Clone, Debug)]
struct ActiveCode {
    /// Code that it ran before the block; `None` if unknown.
    before: Option<Address>,
    /// In the order of the block.
    upgrades: Vec<Upgrade>,
    /// Code that runs after each upgrade.
    after: Vec<Option<Address>>,
}

impl ActiveCode {
    /// Returns the code that runs after the first `n` upgrades.
    fn code_after_upgrades(&self, n: usize) -> Option<Address> {
        if n == 0 { self.before } else { self.after.get(n - 1).copied().flatten() }
    }
}

/// Code that proxies ran in one block.
pub(crate) struct Codes<'a> {
    subjects: &'a Subjects,
    /// State before the block; `None` where it is not known.
    known: Option<&'a Known>,
    upgrades: AddressHashMap<Vec<Upgrade>>,
    met: AddressHashMap<ActiveCode>,
    /// Calls of this transaction that request an upgrade, by the address that would log it and the address that the log
    /// would name.
    asked: HashMap<(Address, Address), usize>,
}

impl<'a> Codes<'a> {
    pub(crate) fn new(txs: &[Tx], subjects: &'a Subjects, known: &'a Known) -> Self {
        let mut upgrades: AddressHashMap<Vec<Upgrade>> = AddressHashMap::default();
        for tx in txs.iter().filter(|_| subjects.has_versions()) {
            for log in &tx.logs {
                if let Some(named) = upgrade_target(log) {
                    let is_beacon = log.topics.first() == Some(&BEACON_UPGRADED);
                    let to = Some(named).filter(|_| !is_beacon);
                    let by = log.address;
                    upgrades.entry(by).or_default().push(Upgrade {
                        tx: tx.index,
                        ordinal: log.ordinal,
                        by,
                        names: named,
                        to,
                    });
                }
            }
        }
        // Where no state is read, the known facts are not about this block.
        let known = subjects.looks_at_state().then_some(known);
        Self { subjects, known, upgrades, met: AddressHashMap::default(), asked: HashMap::default() }
    }

    /// Finds the known code of every proxy involved in the transaction, and decodes calls to them again by the ABI of
    /// the code that ran.
    pub(crate) fn read_calls(&mut self, frames: &mut [Frame], tx: &Tx, questions: &mut Questions<'_>) {
        if !self.subjects.has_versions() {
            return;
        }
        let parties = frames.iter().flat_map(|frame| [Some(frame.caller), frame.target]).flatten();
        for address in parties.chain(tx.logs.iter().map(|log| log.address)) {
            self.load_proxy(address, questions);
        }
        self.asked.clear();
        if tx.logs.iter().any(|log| upgrade_target(log).is_some()) {
            frames.iter().enumerate().for_each(|(index, frame)| self.record_requested_code(index, frame));
        }
        let mut budget = Budget::default();
        for index in 0..frames.len() {
            let frame = &frames[index];
            let Some(target) = frame.target.filter(|_| frame.operation == Operation::Call) else { continue };
            // The content of a wrapper was opened according to the kind of its wallet, independent of the code that
            // ran.
            let is_plain =
                matches!(frame.shape, FrameKind::Plain | FrameKind::Carrier(_)) && frame.deed.selector.is_some();
            let ran = self.at_frame(frames, index, tx);
            let Some(abi) = ran.and_then(|ran| ran.abi()).filter(|abi| is_plain && !self.is_own(&target, abi)) else {
                continue;
            };
            let deed = decoded_call::of_call_by(abi, &frame.input, &mut budget);
            let frame = &mut frames[index];
            frame.deed = deed;
            if budget.was_reached()
                && let Decoding::Opaque(why) = &frame.deed.decoding
            {
                frame.notes.push(Note::BudgetReached(why.clone()));
            }
        }
    }

    /// Notes on every activity of a proxy the code that ran for it.
    pub(crate) fn note_implementations(&self, frames: &[Frame], tx: &Tx, first: usize, out: &mut [Activity]) {
        if self.met.is_empty() {
            return;
        }
        for (index, frame) in frames.iter().enumerate() {
            for at in &frame.acts {
                let activity = &mut out[*at];
                let ran = match activity.kind {
                    ActivityKind::Call => self.at_frame(frames, index, tx),
                    ActivityKind::Act => self.caller_code(frames, index, tx),
                    _ => None,
                };
                activity.notes.extend(ran.map(|ran| ran.note()));
            }
        }
        for activity in &mut out[first..] {
            let Position::Log(ordinal) = activity.position else { continue };
            // In a movement, only the outflow is the proxy's act. An event of an ENS name is an act of its registry.
            let own = self.subjects.get(&activity.from).is_some_and(|subject| subject.watch == activity.watch);
            if let Some(ran) = self.at_log(&activity.from, tx, ordinal).filter(|_| own) {
                activity.notes.push(ran.note());
            }
        }
    }

    /// Returns the code that `proxy` ran when it wrote this log.
    pub(crate) fn at_log(&self, proxy: &Address, tx: &Tx, ordinal: u32) -> Option<CodeThatRan<'a>> {
        let standing = self.met.get(proxy)?;
        let n = standing.upgrades.partition_point(|upgrade| (upgrade.tx, upgrade.ordinal) < (tx.index, ordinal));
        standing.code_after_upgrades(n).and_then(|code| self.proxy_code(proxy, code))
    }

    /// Returns the code that the target of this frame ran for it.
    fn at_frame(&self, frames: &[Frame], index: usize, tx: &Tx) -> Option<CodeThatRan<'a>> {
        let frame = &frames[index];
        let told = self.by_logs(&frame.target?, frames, index, tx);
        let shown = frame.code.and_then(|code| self.proxy_code(&frame.target?, code));
        match (told, shown) {
            (Some(told), Some(shown)) if told.version.is_some() => Some(shown),
            (told, shown) => told.or(shown),
        }
    }

    /// Returns the code that the caller of this frame ran when it made the call.
    fn caller_code(&self, frames: &[Frame], index: usize, tx: &Tx) -> Option<CodeThatRan<'a>> {
        let caller = frames[index].caller;
        let mut around = frames[index].parent;
        while let Some(at) = around {
            if frames[at].target == Some(caller) {
                return self.at_frame(frames, at, tx);
            }
            around = frames[at].parent;
        }
        self.by_logs(&caller, frames, index, tx)
    }

    /// Returns the same according to the logs. A transaction's own call begins before its logs. An inner call comes
    /// after every upgrade except those that a later call requests, so an upgrade at an unknown position is assumed to
    /// precede it.
    fn by_logs(&self, proxy: &Address, frames: &[Frame], index: usize, tx: &Tx) -> Option<CodeThatRan<'a>> {
        let standing = self.met.get(proxy)?;
        let n_before = standing.upgrades.partition_point(|upgrade| upgrade.tx < tx.index);
        let here = standing.upgrades[n_before..].iter().take_while(|upgrade| upgrade.tx == tx.index);
        let passed = here.filter(|upgrade| {
            let asked = self.asked.get(&(upgrade.by, upgrade.names));
            frames[index].parent.is_some() && asked.is_none_or(|asked| *asked < index)
        });
        let ran = passed.fold(standing.code_after_upgrades(n_before), |ran, upgrade| self.next(proxy, ran, upgrade));
        ran.and_then(|code| self.proxy_code(proxy, code))
    }

    /// Returns the code that runs after an upgrade. Unlisted code may write any log, including one that reports its own
    /// replacement: once it runs, nothing in the same block clears it. The state is read after the block.
    fn next(&self, proxy: &Address, ran: Option<Address>, upgrade: &Upgrade) -> Option<Address> {
        let foreign = ran.filter(|code| self.proxy_code(proxy, *code).is_some_and(|ran| ran.version.is_none()));
        foreign.or(upgrade.to)
    }

    fn proxy_code(&self, proxy: &Address, implementation: Address) -> Option<CodeThatRan<'a>> {
        let versions = self.subjects.versions_of(proxy)?;
        Some(CodeThatRan { implementation, version: versions.listed.get(&implementation) })
    }

    /// Returns whether the calls to `proxy` were already read by this exact ABI.
    fn is_own(&self, proxy: &Address, abi: &Arc<Abi>) -> bool {
        self.subjects.get(proxy).is_some_and(|subject| Arc::ptr_eq(&subject.abi, abi))
    }

    fn load_proxy(&mut self, proxy: Address, questions: &mut Questions<'_>) {
        if self.met.contains_key(&proxy) || self.subjects.versions_of(&proxy).is_none() {
            return;
        }
        let known = |name| self.known.and_then(|known| known.last_value(proxy, Item::of_table(name)));
        let beacon = match known("beacon") {
            Some(beacon) => Some(beacon),
            None => questions.ask(Read::Storage { of: proxy, slot: BEACON }).and_then(Answer::first_word),
        };
        let beacon = beacon.map(Address::from_word).filter(|beacon| !beacon.is_zero());
        let mut upgrades: Vec<Upgrade> = [Some(proxy), beacon]
            .into_iter()
            .flatten()
            .filter_map(|by| self.upgrades.get(&by))
            .flatten()
            .copied()
            .collect();
        upgrades.sort_unstable_by_key(|upgrade| (upgrade.tx, upgrade.ordinal));
        for upgrade in upgrades.iter_mut().filter(|upgrade| upgrade.to.is_none()).take(BEACONS_MAX) {
            upgrade.to = beacon_implementation(upgrade.names, questions);
        }
        let first = IMPLEMENTATIONS.iter().filter_map(|name| known(name)).find(|word| !word.is_zero());
        let before = match first {
            Some(word) => Some(Address::from_word(word)),
            // Without any upgrade log, the code after the block was also the code before it.
            None => implementation_after_block(proxy, beacon, questions).filter(|_| upgrades.is_empty()),
        };
        let mut ran = before;
        let after = upgrades.iter().map(|upgrade| {
            ran = self.next(&proxy, ran, upgrade);
            ran
        });
        let after = after.collect();
        self.met.insert(proxy, ActiveCode { before, upgrades, after });
    }

    /// Records the upgrades that a call may request: of the called contract, or of an address that it names.
    fn record_requested_code(&mut self, index: usize, frame: &Frame) {
        let named: Vec<Address> = frame.deed.args.iter().filter_map(|arg| arg.value.as_address()).collect();
        for by in frame.target.iter().chain(&named) {
            for names in &named {
                self.asked.entry((*by, *names)).or_insert(index);
            }
        }
    }
}

/// Returns the code that `proxy` runs after the block, according to its slots or its code.
fn implementation_after_block(
    proxy: Address,
    beacon: Option<Address>,
    questions: &mut Questions<'_>,
) -> Option<Address> {
    for slot in [IMPLEMENTATION, ZOS_IMPLEMENTATION, PROXIABLE] {
        let word = questions.ask(Read::Storage { of: proxy, slot }).and_then(Answer::first_word)?;
        if !word.is_zero() {
            return Some(Address::from_word(word));
        }
    }
    if let Some(beacon) = beacon {
        return beacon_implementation(beacon, questions);
    }
    match questions.ask(Read::Code(proxy))? {
        Answer::Data(code) => minimal_proxy_target(code),
        _ => None,
    }
}

/// Returns the implementation that a beacon names after the block.
pub(super) fn beacon_implementation(beacon: Address, questions: &mut Questions<'_>) -> Option<Address> {
    let call = Read::Call { to: beacon, data: Bytes::copy_from_slice(&GET_IMPLEMENTATION) };
    questions.ask(call).and_then(Answer::first_word).map(Address::from_word).filter(|code| !code.is_zero())
}

/// The code behind a minimal proxy.
pub(super) fn minimal_proxy_target(code: &[u8]) -> Option<Address> {
    let rest = MINIMAL.iter().find_map(|(before, behind)| code.strip_prefix(*before)?.strip_suffix(*behind))?;
    (rest.len() == 20).then(|| Address::from_slice(rest))
}

/// Returns the code or the beacon that a log reports as in use from now on.
pub(super) fn upgrade_target(log: &Log) -> Option<Address> {
    let topic = log.topics.first()?;
    matches!(*topic, UPGRADED | BEACON_UPGRADED).then(|| Address::from_word(log_argument(log, 0)))
}

/// Returns the emitters of logs that report replaced code.
pub(super) fn upgraded_proxies(block: &Block) -> impl Iterator<Item = Address> + '_ {
    block.txs.iter().flat_map(|tx| &tx.logs).filter(|log| upgrade_target(log).is_some()).map(|log| log.address)
}

/// Returns, for each call of a trace to a proxy with listed versions, by its index, the address of the code that
/// received its calldata.
///
/// Source: EIP-1167, EIP-1967 and EIP-2535 forward their calldata as it is.
pub(super) fn traced_implementations(trace: &TxTrace, subjects: &Subjects) -> HashMap<usize, Address> {
    let mut shown = HashMap::default();
    if !subjects.has_versions() {
        return shown;
    }
    for call in trace.calls.iter().filter(|call| call.how == CallHow::Delegatecall) {
        let Some(parent) = call.parent.map(|parent| parent as usize) else { continue };
        let hands_on = |outer: &TracedCall| outer.to == Some(call.from) && outer.input == call.input;
        if subjects.versions_of(&call.from).is_some() && trace.calls.get(parent).is_some_and(hands_on) {
            shown.extend(call.to.filter(|_| !shown.contains_key(&parent)).map(|code| (parent, code)));
        }
    }
    shown
}

#[cfg(test)]
mod tests;
