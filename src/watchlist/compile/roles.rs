//! `registry.roles`: expected members of each role of a contract.

use super::directory::Scope;
use crate::abi::Abi;
use crate::contracts::{self, HAS_ROLE, Property};
use crate::model::Kind;
use crate::settings::{At, Problems};
use crate::watchlist::book::RoleBook;
use crate::watchlist::file::{ListText, RegistryText};
use alloy_primitives::{B256, keccak256};

/// Name of the role whose identifier is zero. Source: AccessControl.sol of OpenZeppelin.
const DEFAULT_ADMIN: &str = "DEFAULT_ADMIN_ROLE";

/// Resolves roles and lists, in the order of the file.
pub(super) fn compile_roles(
    text: &[(At<&str>, ListText<'_>)],
    scope: &Scope<'_>,
    problems: &mut Problems,
) -> Vec<RoleBook> {
    let mut roles: Vec<(RoleBook, &At<&str>)> = Vec::with_capacity(text.len());
    for (written, list) in text {
        let holders = scope.set_or_nobody(list, problems);
        let (Some(role), Some(holders)) = (parse_role(written, problems), holders) else { continue };
        if let Some((_, first)) = roles.iter().find(|(known, _)| known.role == role) {
            let problem = written.problem(format!("the role `{}` is listed twice", written.value));
            problems.push(
                problem
                    .with_related_spot(first.spot.clone(), "first here")
                    .with_hint("put all who hold it into one list"),
            );
            continue;
        }
        roles.push((RoleBook { role, name: written.value.into(), holders }, written));
    }
    roles.into_iter().map(|(role, _)| role).collect()
}

/// Reports roles on contracts that cannot have any.
pub(super) fn check_role_support(
    text: Option<&RegistryText<'_>>,
    kind: Option<Kind>,
    abi: &Abi,
    problems: &mut Problems,
) {
    let (Some(text), Some(kind)) = (text, kind) else { return };
    let first = text
        .roles
        .iter()
        .flatten()
        .map(|(role, _)| &role.spot)
        .chain(text.roles_since.iter().map(|at| &at.spot))
        .next();
    let Some(spot) = first else { return };
    if !contracts::of_kind(kind).has(Property::Proxy) {
        problems.push(spot.problem(format!("a `{kind}` has no roles")).with_hint("remove `roles` and `roles_since`"));
    } else if abi.function_by_selector(HAS_ROLE).is_none() {
        let problem = spot.problem("there are no roles: the ABI of this watch has no `hasRole(bytes32,address)`");
        problems.push(problem.with_hint("write `kind = \"access-control\"`, or an `abi` that has it"));
    }
}

/// Parses a role: the hash of its name, or the hash as written.
fn parse_role(written: &At<&str>, problems: &mut Problems) -> Option<B256> {
    let name = written.value;
    if name == DEFAULT_ADMIN {
        return Some(B256::ZERO);
    }
    if name.starts_with("0x") || name.starts_with("0X") {
        let word = name.parse().ok();
        if word.is_none() {
            let problem =
                written.problem(format!("`{name}` is no role: its hash has 32 bytes, which is 64 hex digits"));
            problems.push(problem.with_hint("write the hash whole, or the name that it is made of: `MINTER_ROLE`"));
        }
        return word;
    }
    Some(keccak256(name))
}
