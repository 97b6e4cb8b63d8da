//! Expected holders of roles.

use super::*;
use alloy_primitives::{B256, address, keccak256};

/// Returns a watch of this kind with this registry.
fn with(kind: &str, registry: &str) -> String {
    let watch = WATCH.replace("\"safe\"", &format!("\"{kind}\""));
    let (head, _) = watch.split_once("registry").expect("a registry");
    format!("{head}[watch.registry]\n{registry}\n")
}

const A: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

#[test]
fn a_role_is_written_by_its_name_or_as_its_hash_and_the_default_administrator_is_zero() {
    let hash = keccak256("BRIDGE");
    let book = accepted(&with(
        "access-control",
        &format!(
            "roles_since = 18_000_000\n[watch.registry.roles]\nDEFAULT_ADMIN_ROLE = \"{A}\"\nKEEPER = [\"@grantees\", \"{A}\"]\n\
             \"{hash}\" = []\n"
        ),
    ));
    let registry = &book.registries[0];
    let roles = registry.roles.as_ref().expect("roles");
    let found: Vec<_> = roles.iter().map(|role| (role.role, &*role.name, role.holders.members.len())).collect();
    let named = hash.to_string();
    assert_eq!(found, [(B256::ZERO, "DEFAULT_ADMIN_ROLE", 1), (keccak256("KEEPER"), "KEEPER", 3), (hash, &*named, 0)]);
    assert_eq!(registry.roles_since, 18_000_000);
    let chain = &book.chains[0];
    let expected = chain.subjects.expected_of(&book.watches[0].address).expect("something is expected");
    let expected = expected.roles.as_ref().expect("roles");
    assert_eq!(expected.len(), 4);
    assert!(expected.contains(&(keccak256("KEEPER"), address!("15d34AAf54267DB7D7c367839AAf71A00a2C6A65"))));
}

#[test]
fn nobody_at_all_is_something_to_expect() {
    let book = accepted(&with("timelock", "roles = {}"));
    let expected = book.chains[0].subjects.expected_of(&book.watches[0].address).expect("something is expected");
    assert_eq!(expected.roles, Some(Default::default()));
}

#[test]
fn every_mistake_about_roles_is_told() {
    let told = |kind: &str, registry: &str| told_of(&with(kind, registry));
    let admin = format!("roles = {{ DEFAULT_ADMIN_ROLE = \"{A}\" }}");
    let none: [&str; 0] = [];
    assert_eq!(told("access-control", &admin), none);
    assert_eq!(told("safe", &admin), ["10:11: a `safe` has no roles | remove `roles` and `roles_since`"]);
    assert_eq!(
        told("erc20", &admin),
        [
            "10:11: there are no roles: the ABI of this watch has no `hasRole(bytes32,address)` | write `kind = \"access-control\"`, or an `abi` that has it"
        ]
    );
    let minter = keccak256("MINTER_ROLE");
    assert_eq!(
        told("access-control", &format!("roles = {{ MINTER_ROLE = [], \"{minter}\" = [\"{A}\"], \"0x12\" = [] }}")),
        [
            format!("10:29: the role `{minter}` is listed twice | put all who hold it into one list"),
            "10:148: `0x12` is no role: its hash has 32 bytes, which is 64 hex digits | write the hash whole, or the name that it is made of: `MINTER_ROLE`".to_owned()
        ]
    );
    let problems = told("access-control", "roles_since = -1\nroles = { A = [\"@nobody\"], B = 7 }");
    assert_eq!(problems.len(), 3, "{problems:?}");
}
