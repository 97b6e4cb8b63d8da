//! Phrases for known functions: one line each, past and infinitive, with places for the variable parts.
//!
//! In a phrase, `{0}` is the first argument, with addresses shown by name; `{0$}` is an amount of the called token;
//! `{0=}` is an amount of ether; `{to}` is the called contract.

use super::roster::Routing;
use crate::model::amount::Unit;
use crate::model::value::Value;
use crate::model::{Activity, ChainId};
use alloy_primitives::U256;

/// A function, by its canonical signature, and the phrase for a call of it.
pub(super) struct Phrase {
    signature: &'static str,
    /// Past tense: `sent`.
    past: &'static str,
    /// Infinitive, for an attempt: `send`.
    infinitive: &'static str,
    /// Rest of the phrase.
    rest: &'static str,
}

const fn phrase(signature: &'static str, past: &'static str, infinitive: &'static str, rest: &'static str) -> Phrase {
    Phrase { signature, past, infinitive, rest }
}

/// Phrases for tokens, Safes, legacy multisigs, MiniMe tokens and proxies, with signatures from their sources.
const PHRASES: &[Phrase] = &[
    phrase("transfer(address,uint256)", "sent", "send", "{1$} to {0}"),
    phrase("transferFrom(address,address,uint256)", "moved", "move", "{2$} from {0} to {1}"),
    phrase("safeTransferFrom(address,address,uint256)", "moved", "move", "token {2} of {to} from {0} to {1}"),
    phrase("safeTransferFrom(address,address,uint256,bytes)", "moved", "move", "token {2} of {to} from {0} to {1}"),
    phrase(
        "safeTransferFrom(address,address,uint256,uint256,bytes)",
        "moved",
        "move",
        "{3} of token {2} of {to} from {0} to {1}",
    ),
    phrase(
        "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)",
        "moved",
        "move",
        "tokens {2} of {to}, so many of each: {3}, from {0} to {1}",
    ),
    phrase("setApprovalForAll(address,bool)", "set", "set", "whether {0} may take everything of {to}: {1}"),
    phrase("approve(address,uint256)", "allowed", "allow", "{0} to spend {1$}"),
    phrase("increaseAllowance(address,uint256)", "allowed", "allow", "{0} to spend {1$} more"),
    phrase("decreaseAllowance(address,uint256)", "allowed", "allow", "{0} to spend {1$} less"),
    phrase("approveAndCall(address,uint256,bytes)", "allowed", "allow", "{0} to spend {1$}, and called it"),
    phrase("mint(address,uint256)", "minted", "mint", "{1$} for {0}"),
    phrase("mint(uint256)", "minted", "mint", "{0$}"),
    phrase("burn(uint256)", "burned", "burn", "{0$}"),
    phrase("burnFrom(address,uint256)", "burned", "burn", "{1$} of {0}"),
    phrase("generateTokens(address,uint256)", "generated", "generate", "{1$} for {0}"),
    phrase("destroyTokens(address,uint256)", "destroyed", "destroy", "{1$} of {0}"),
    phrase("changeController(address)", "made", "make", "{0} the controller of {to}"),
    phrase("enableTransfers(bool)", "switched", "switch", "transfers of {to}: {0}"),
    phrase("claimTokens(address)", "claimed", "claim", "what {to} holds of {0}"),
    phrase("pause()", "paused", "pause", "{to}"),
    phrase("unpause()", "unpaused", "unpause", "{to}"),
    phrase("addOwnerWithThreshold(address,uint256)", "added", "add", "owner {0} to {to}, with a threshold of {1}"),
    phrase("removeOwner(address,address,uint256)", "removed", "remove", "owner {1} from {to}, with a threshold of {2}"),
    phrase("swapOwner(address,address,address)", "replaced", "replace", "owner {1} of {to} by {2}"),
    phrase("changeThreshold(uint256)", "set", "set", "the threshold of {to} to {0}"),
    phrase("enableModule(address)", "enabled", "enable", "module {0} of {to}"),
    phrase("disableModule(address,address)", "disabled", "disable", "module {1} of {to}"),
    phrase("setGuard(address)", "set", "set", "the guard of {to} to {0}"),
    phrase("setModuleGuard(address)", "set", "set", "the module guard of {to} to {0}"),
    phrase("setFallbackHandler(address)", "set", "set", "the fallback handler of {to} to {0}"),
    phrase("changeMasterCopy(address)", "set", "set", "the singleton of {to} to {0}"),
    phrase("approveHash(bytes32)", "approved", "approve", "the transaction hash {0} at {to}"),
    phrase("addOwner(address)", "added", "add", "owner {0} to {to}"),
    phrase("removeOwner(address)", "removed", "remove", "owner {0} from {to}"),
    phrase("replaceOwner(address,address)", "replaced", "replace", "owner {0} of {to} by {1}"),
    phrase("changeRequirement(uint256)", "set", "set", "the confirmations {to} requires to {0}"),
    phrase("changeDailyLimit(uint256)", "set", "set", "the daily limit of {to} to {0=}"),
    phrase("submitTransaction(address,uint256,bytes)", "submitted", "submit", "a call of {0} with {1=} to {to}"),
    phrase("confirmTransaction(uint256)", "confirmed", "confirm", "transaction {0} of {to}"),
    phrase("revokeConfirmation(uint256)", "revoked", "revoke", "a confirmation of transaction {0} of {to}"),
    phrase("executeTransaction(uint256)", "executed", "execute", "transaction {0} of {to}"),
    phrase("transferOwnership(address)", "made", "make", "{0} the owner of {to}"),
    phrase("renounceOwnership()", "renounced", "renounce", "the ownership of {to}"),
    phrase("upgradeTo(address)", "upgraded", "upgrade", "{to} to {0}"),
    phrase("upgradeToAndCall(address,bytes)", "upgraded", "upgrade", "{to} to {0}"),
    phrase("changeAdmin(address)", "made", "make", "{0} the admin of {to}"),
    phrase("grantRole(bytes32,address)", "granted", "grant", "role {0} of {to} to {1}"),
    phrase("revokeRole(bytes32,address)", "revoked", "revoke", "role {0} of {to} from {1}"),
];

/// Returns the past tense, the infinitive and the rest of the sentence, if the function is known and all its arguments
/// are present.
pub(super) fn say(
    activity: &Activity,
    chain: ChainId,
    roster: &Routing,
) -> Option<(&'static str, &'static str, String)> {
    let phrase = PHRASES.iter().find(|phrase| phrase.signature == &*activity.deed.signature)?;
    let rest = fill(phrase.rest, activity, chain, roster)?;
    let value = activity.value;
    let rest = if value.is_zero() { rest } else { format!("{rest}, along with {}", Unit::ether().show(value)) };
    Some((phrase.past, phrase.infinitive, rest))
}

/// Formats a value for a person: addresses by name, plain numbers with thousands separators.
pub(super) fn shown(value: &Value, chain: ChainId, roster: &Routing) -> String {
    match value {
        Value::Address(address) => roster.names.show(chain, *address),
        Value::Uint(number) => Unit::none().show(*number),
        other => other.to_string(),
    }
}

/// Formats an amount of the token at `token`, or of plain units if its decimals are not known.
pub(super) fn amount(
    value: U256,
    token: Option<alloy_primitives::Address>,
    chain: ChainId,
    roster: &Routing,
) -> String {
    let unit = token.and_then(|token| roster.tokens.get(&(chain, token)));
    // No one holds half of the number range or more, so such an amount means "any amount".
    if value >= U256::from(1) << 128 {
        let symbol = unit.map_or_else(|| name(token, chain, roster), |unit| unit.symbol.to_string());
        return format!("unlimited {symbol}");
    }
    match unit {
        Some(unit) => unit.show(value),
        None => format!("{} units of {}", Unit::none().show(value), name(token, chain, roster)),
    }
}

fn name(token: Option<alloy_primitives::Address>, chain: ChainId, roster: &Routing) -> String {
    token.map_or_else(|| "an unknown token".to_owned(), |token| roster.names.show(chain, token))
}

fn fill(template: &str, activity: &Activity, chain: ChainId, roster: &Routing) -> Option<String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (place, after) = after.split_once('}')?;
        out.push_str(before);
        out.push_str(&one(place, activity, chain, roster)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

fn one(place: &str, activity: &Activity, chain: ChainId, roster: &Routing) -> Option<String> {
    if place == "to" {
        return Some(match activity.to {
            Some(to) if to == activity.from => "itself".to_owned(),
            Some(to) => roster.names.show(chain, to),
            None => "a new contract".to_owned(),
        });
    }
    let digits = place.trim_end_matches(['$', '=']);
    let arg = activity.deed.args.get(digits.parse::<usize>().ok()?)?;
    let value = &arg.value;
    match place.as_bytes().last() {
        // A call for a single token of a collection has an id in the place of the amount.
        Some(b'$') if &*arg.name == "tokenId" => Some(format!("token {value} of {}", name(activity.to, chain, roster))),
        Some(b'$') => Some(amount(value.as_uint()?, activity.to, chain, roster)),
        Some(b'=') => Some(Unit::ether().show(value.as_uint()?)),
        _ => Some(shown(value, chain, roster)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Function;

    #[test]
    fn every_phrase_is_of_a_function_that_has_its_arguments() {
        for phrase in PHRASES {
            let function = Function::parse(phrase.signature).unwrap();
            assert_eq!(&*function.signature, phrase.signature);
            for place in phrase.rest.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
                let index = place.trim_end_matches(['$', '=']);
                assert!(
                    place == "to" || index.parse::<usize>().unwrap() < function.inputs.len(),
                    "{}",
                    phrase.signature
                );
            }
        }
    }
}
