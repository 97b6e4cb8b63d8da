//! ABIs of the implementations of a proxy.

use super::abis::{Abis, WatchAbi};
use super::directory::Scope;
use crate::abi::Abi;
use crate::contracts::{self, Property};
use crate::decode::{Version, Versions};
use crate::model::Kind;
use crate::settings::Problems;
use crate::watchlist::book::Registry;
use crate::watchlist::file::RegistryText;
use alloy_primitives::Address;
use std::collections::HashMap;
use std::sync::Arc;

/// Returns the ABIs of implementations, with their names in the watchlist.
pub(super) fn implementation_abis(
    text: &RegistryText<'_>,
    kind: Option<Kind>,
    scope: &Scope<'_>,
    abis: &mut Abis<'_>,
    problems: &mut Problems,
) -> Vec<(Address, Arc<str>, Arc<Abi>)> {
    let mut spoken = Vec::new();
    let mut known: HashMap<Address, &str> = HashMap::new();
    for (address, written) in text.implementations.iter().flat_map(|text| &text.spoken) {
        let Some(kind) = kind else { continue };
        if !contracts::of_kind(kind).has(Property::Proxy) {
            let problem = written.problem(format!("the code of a `{kind}` is not looked up behind a proxy"));
            problems.push(problem.with_hint("write the ABI as `abi` of the watch"));
            continue;
        }
        // An unknown address is reported where the whole list is read.
        let mut told = Problems::default();
        let (Some(at), Some(abi)) = (scope.resolve_address(address, &mut told), abis.of_code(kind, written, problems))
        else {
            continue;
        };
        match known.insert(at, written.value) {
            Some(first) if first != written.value => {
                let problem = written.problem(format!("`{at}` is listed with two ABIs, `{first}` is the other"));
                problems.push(problem.with_hint("code speaks one ABI: list each address once"));
            }
            Some(_) => {}
            None => spoken.push((at, Arc::from(written.value), abi)),
        }
    }
    spoken
}

/// Returns all ABIs of a watch: its own and those of `spoken`. `listed` is the total number of implementations.
pub(super) fn combine_abis(
    own: &WatchAbi,
    spoken: &[(Address, Arc<str>, Arc<Abi>)],
    listed: usize,
    abis: &mut Abis<'_>,
) -> WatchAbi {
    let abi = spoken.iter().fold(Arc::clone(&own.abi), |all, (_, _, abi)| abis.merge_abis(&all, abi));
    // If every version has its ABI, rules need not add signatures.
    let open = own.open && (listed == 0 || spoken.len() < listed);
    WatchAbi { abi, open, versions: spoken.iter().map(|(_, _, abi)| Arc::clone(abi)).collect() }
}

/// Returns the code versions of a proxy for the decoder; `None` if its registry lists none.
pub(super) fn compile_versions(
    kind: Kind,
    registry: &Registry,
    spoken: &[(Address, Arc<str>, Arc<Abi>)],
    own: &Arc<Abi>,
) -> Option<Versions> {
    let listed = registry.implementations.as_ref().filter(|_| contracts::of_kind(kind).has(Property::Proxy))?;
    let version = |address: &Address| {
        let said = spoken.iter().find(|(known, _, _)| known == address);
        said.map_or_else(
            || Version { name: None, abi: Arc::clone(own) },
            |(_, name, abi)| Version { name: Some(Arc::clone(name)), abi: Arc::clone(abi) },
        )
    };
    Some(Versions::new(listed.members.iter().map(|address| (*address, version(address)))))
}
