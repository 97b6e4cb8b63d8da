//! ABIs of a watch: its own file, a bundled one, and the ABI of its kind.

use super::chains::unknown_name_problem;
use crate::abi::{Abi, AbiFile, Event, Function, bundled};
use crate::contracts::{self, Property};
use crate::model::Kind;
use crate::settings::{At, Problems};
use crate::watchlist::file::TokenKind;
use crate::watchlist::files::Files;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// ABIs, each read once and shared by all watches that name it.
pub(super) struct Abis<'f> {
    files: &'f dyn Files,
    /// ABIs by name or path, and by the kind they are merged with. `None` for one that could not be read, which was
    /// reported already.
    read: HashMap<(String, Kind), Option<Arc<Abi>>>,
    kinds: HashMap<Kind, Arc<Abi>>,
    /// Functions and events that rules spell out, by the text of their signatures.
    spelled: HashMap<String, Arc<Abi>>,
    /// Merged ABIs of open kinds and rules, by the two shared indexes: one for all watches that have the same.
    both: HashMap<(*const Abi, *const Abi), Arc<Abi>>,
}

/// The ABI of a watch.
#[derive(Clone)]
pub(super) struct WatchAbi {
    pub(super) abi: Arc<Abi>,
    /// Set if nothing is known of the contract except the signatures in its rules, so that any signature is accepted.
    pub(super) open: bool,
    /// ABIs of further versions of the contract, each under its own names.
    pub(super) versions: Vec<Arc<Abi>>,
}

impl WatchAbi {
    /// Returns every ABI that the contract may have.
    pub(super) fn all_abis(&self) -> Vec<Arc<Abi>> {
        std::iter::once(&self.abi).chain(&self.versions).cloned().collect()
    }
}

/// Functions and events whose full signatures are written in rules.
#[derive(Clone, Debug, Default)]
pub(super) struct Spelled {
    pub(super) functions: Vec<Function>,
    pub(super) events: Vec<Event>,
}

impl Spelled {
    /// Returns the signatures of both.
    pub(super) fn joined(mut self, other: Self) -> Self {
        self.functions.extend(other.functions);
        self.events.extend(other.events);
        self
    }
}

impl<'f> Abis<'f> {
    pub(super) fn new(files: &'f dyn Files) -> Self {
        let (read, kinds, spelled, both) = Default::default();
        Self { files, read, kinds, spelled, both }
    }

    /// Returns the ABI that a kind of contract has, whoever wrote the contract.
    pub(super) fn of_kind(&mut self, kind: Kind) -> Arc<Abi> {
        let build = || Arc::new(contracts::of_kind(kind).merged_abi());
        Arc::clone(self.kinds.entry(kind).or_insert_with(build))
    }

    /// Returns the ABI of a listed token.
    pub(super) fn of_token(&mut self, kind: TokenKind) -> Arc<Abi> {
        match kind {
            TokenKind::Watchable(kind) => self.of_kind(kind),
            TokenKind::Collectible => Arc::new(bundled::collectibles().clone()),
        }
    }

    /// Returns the ABI that a watch names, followed by the ABI of its kind; only the latter if the watch names none.
    pub(super) fn of_watch(
        &mut self,
        kind: Kind,
        written: Option<&At<&str>>,
        problems: &mut Problems,
    ) -> Option<WatchAbi> {
        let Some(written) = written else {
            return Some(WatchAbi {
                abi: self.of_kind(kind),
                open: contracts::of_kind(kind).has(Property::Open),
                versions: vec![],
            });
        };
        let (file, contract) = written.split_once('#').map_or((written.value, None), |(file, name)| (file, Some(name)));
        let is_file = file.contains(['/', '\\']) || file.ends_with(".json") || file.ends_with(".abi");
        let base = Path::new(&written.spot.file.path).parent().unwrap_or(Path::new(""));
        let path = base.join(file).display().to_string();
        let part = contract.map_or(String::new(), |name| format!("#{name}"));
        let name = if is_file { format!("{path}{part}") } else { written.value.to_owned() };
        let key = (name, kind);
        if !self.read.contains_key(&key) {
            let own = if written.refuse_tilde(problems) {
                None
            } else if is_file {
                self.read_file(&path, contract, written, problems)
            } else {
                from_bundle(written, problems)
            };
            let merged = own.map(|own| Arc::new(own.merge(&self.of_kind(kind))));
            self.read.insert(key.clone(), merged);
        }
        let abi = self.read.get(&key)?.clone()?;
        Some(WatchAbi { abi, open: false, versions: vec![] })
    }

    /// Returns the ABI of a proxy's code: the named ABI, the ABI of the kind, and the ABI of the proxy itself.
    pub(super) fn of_code(&mut self, kind: Kind, written: &At<&str>, problems: &mut Problems) -> Option<Arc<Abi>> {
        let own = self.of_watch(kind, Some(written), problems)?.abi;
        let proxy = self.of_kind(contracts::proxy_kind());
        Some(self.merge_abis(&own, &proxy))
    }

    /// Returns an index of the signatures written in rules. Rules with the same signatures share it.
    pub(super) fn of_signatures(&mut self, spelled: Spelled) -> Arc<Abi> {
        let mut key = String::new();
        for function in &spelled.functions {
            key.push_str(&function.name);
            function.inputs.iter().for_each(|input| key.push_str(&format!(" {} {}", input.ty, input.name)));
            key.push(if function.payable { '$' } else { ';' });
        }
        for event in &spelled.events {
            key.push_str(&event.name);
            let inputs = event.inputs.iter();
            inputs.for_each(|input| key.push_str(&format!(" {} {} {}", input.ty, input.indexed, input.name)));
            key.push('!');
        }
        let build = || Arc::new(Abi::from_items(spelled.functions, spelled.events));
        Arc::clone(self.spelled.entry(key).or_insert_with(build))
    }

    /// Returns an index of two ABIs: that of a kind and that of rules, or those of two versions of a contract. Both
    /// ABIs are kept here, so that their addresses in memory identify them.
    pub(super) fn merge_abis(&mut self, first: &Arc<Abi>, second: &Arc<Abi>) -> Arc<Abi> {
        if first.is_empty() || second.is_empty() {
            return Arc::clone(if first.is_empty() { second } else { first });
        }
        let key = (Arc::as_ptr(first), Arc::as_ptr(second));
        Arc::clone(self.both.entry(key).or_insert_with(|| Arc::new((**first).clone().merge(second))))
    }

    fn read_file(
        &mut self,
        path: &str,
        contract: Option<&str>,
        written: &At<&str>,
        problems: &mut Problems,
    ) -> Option<Abi> {
        let file = match self.files.read(Path::new(path)) {
            Ok(file) => file,
            Err(problem) => {
                problems.push(
                    written
                        .problem(problem.message)
                        .with_hint("an ABI's path starts at the directory of its watchlist"),
                );
                return None;
            }
        };
        match Abi::read_file(&file.text, contract) {
            Ok(AbiFile { abi, unread }) => {
                for error in &unread {
                    let passed = "this entry is passed over, and what it is about counts as undecodable";
                    problems.push_note(written.problem(format!("`{path}`: {error}; {passed}")));
                }
                for signature in abi.renamed_signatures() {
                    let note = format!(
                        "`{path}` has `{signature}` twice with other names of its arguments: the first are taken"
                    );
                    problems.push_note(
                        written.problem(note).with_hint("name arguments by their position, such as `\"#0\"`"),
                    );
                }
                Some(abi)
            }
            Err(error) => {
                problems.push(written.problem(format!("`{path}` is not an ABI: {error}")));
                None
            }
        }
    }
}

/// Names of the bundled ABIs, without `.json`.
pub(super) fn bundled_names() -> impl Iterator<Item = (&'static str, &'static Abi)> {
    bundled::bundled_abis().into_iter().map(|(file, abi)| (file.trim_end_matches(".json"), abi))
}

fn from_bundle(written: &At<&str>, problems: &mut Problems) -> Option<Abi> {
    if let Some((_, abi)) = bundled_names().find(|(name, _)| *name == written.value) {
        return Some(abi.clone());
    }
    let names: Vec<&str> = bundled_names().map(|(name, _)| name).collect();
    let otherwise = format!("bundled are {}; a file's name ends in .json", names.join(", "));
    problems.push(unknown_name_problem("ABI", written, names.iter().copied(), &otherwise));
    None
}
