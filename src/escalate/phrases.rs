//! Phrases for known functions: one line each, past and infinitive, with places for the variable parts.
//!
//! In a phrase, `{0}` is the first argument, with addresses shown by name; `{0$}` is an amount of the called token;
//! `{0=}` is an amount of ether; `{to}` is the called contract.

use super::routing::Routing;
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

const fn verb_phrase(
    signature: &'static str,
    past: &'static str,
    infinitive: &'static str,
    rest: &'static str,
) -> Phrase {
    Phrase { signature, past, infinitive, rest }
}

/// Phrases for tokens, Safes, legacy multisigs, MiniMe tokens and proxies, with signatures from their sources.
const PHRASES: &[Phrase] = &[
    verb_phrase("transfer(address,uint256)", "sent", "send", "{1$} to {0}"),
    verb_phrase("transferFrom(address,address,uint256)", "moved", "move", "{2$} from {0} to {1}"),
    verb_phrase("safeTransferFrom(address,address,uint256)", "moved", "move", "token {2} of {to} from {0} to {1}"),
    verb_phrase(
        "safeTransferFrom(address,address,uint256,bytes)",
        "moved",
        "move",
        "token {2} of {to} from {0} to {1}",
    ),
    verb_phrase(
        "safeTransferFrom(address,address,uint256,uint256,bytes)",
        "moved",
        "move",
        "{3} of token {2} of {to} from {0} to {1}",
    ),
    verb_phrase(
        "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)",
        "moved",
        "move",
        "tokens {2} of {to}, so many of each: {3}, from {0} to {1}",
    ),
    verb_phrase("setApprovalForAll(address,bool)", "set", "set", "whether {0} may take everything of {to}: {1}"),
    verb_phrase("approve(address,uint256)", "allowed", "allow", "{0} to spend {1$}"),
    verb_phrase("increaseAllowance(address,uint256)", "allowed", "allow", "{0} to spend {1$} more"),
    verb_phrase("decreaseAllowance(address,uint256)", "allowed", "allow", "{0} to spend {1$} less"),
    verb_phrase("approveAndCall(address,uint256,bytes)", "allowed", "allow", "{0} to spend {1$}, and called it"),
    verb_phrase("mint(address,uint256)", "minted", "mint", "{1$} for {0}"),
    verb_phrase("mint(uint256)", "minted", "mint", "{0$}"),
    verb_phrase("burn(uint256)", "burned", "burn", "{0$}"),
    verb_phrase("burnFrom(address,uint256)", "burned", "burn", "{1$} of {0}"),
    verb_phrase("generateTokens(address,uint256)", "generated", "generate", "{1$} for {0}"),
    verb_phrase("destroyTokens(address,uint256)", "destroyed", "destroy", "{1$} of {0}"),
    verb_phrase("changeController(address)", "made", "make", "{0} the controller of {to}"),
    verb_phrase("enableTransfers(bool)", "switched", "switch", "transfers of {to}: {0}"),
    verb_phrase("claimTokens(address)", "claimed", "claim", "what {to} holds of {0}"),
    verb_phrase("pause()", "paused", "pause", "{to}"),
    verb_phrase("unpause()", "unpaused", "unpause", "{to}"),
    verb_phrase("addOwnerWithThreshold(address,uint256)", "added", "add", "owner {0} to {to}, with a threshold of {1}"),
    verb_phrase(
        "removeOwner(address,address,uint256)",
        "removed",
        "remove",
        "owner {1} from {to}, with a threshold of {2}",
    ),
    verb_phrase("swapOwner(address,address,address)", "replaced", "replace", "owner {1} of {to} by {2}"),
    verb_phrase("changeThreshold(uint256)", "set", "set", "the threshold of {to} to {0}"),
    verb_phrase("enableModule(address)", "enabled", "enable", "module {0} of {to}"),
    verb_phrase("disableModule(address,address)", "disabled", "disable", "module {1} of {to}"),
    verb_phrase("setGuard(address)", "set", "set", "the guard of {to} to {0}"),
    verb_phrase("setModuleGuard(address)", "set", "set", "the module guard of {to} to {0}"),
    verb_phrase("setFallbackHandler(address)", "set", "set", "the fallback handler of {to} to {0}"),
    verb_phrase("changeMasterCopy(address)", "set", "set", "the singleton of {to} to {0}"),
    verb_phrase("approveHash(bytes32)", "approved", "approve", "the transaction hash {0} at {to}"),
    verb_phrase("addOwner(address)", "added", "add", "owner {0} to {to}"),
    verb_phrase("removeOwner(address)", "removed", "remove", "owner {0} from {to}"),
    verb_phrase("replaceOwner(address,address)", "replaced", "replace", "owner {0} of {to} by {1}"),
    verb_phrase("changeRequirement(uint256)", "set", "set", "the confirmations {to} requires to {0}"),
    verb_phrase("changeDailyLimit(uint256)", "set", "set", "the daily limit of {to} to {0=}"),
    verb_phrase("submitTransaction(address,uint256,bytes)", "submitted", "submit", "a call of {0} with {1=} to {to}"),
    verb_phrase("confirmTransaction(uint256)", "confirmed", "confirm", "transaction {0} of {to}"),
    verb_phrase("revokeConfirmation(uint256)", "revoked", "revoke", "a confirmation of transaction {0} of {to}"),
    verb_phrase("executeTransaction(uint256)", "executed", "execute", "transaction {0} of {to}"),
    verb_phrase("transferOwnership(address)", "made", "make", "{0} the owner of {to}"),
    verb_phrase("renounceOwnership()", "renounced", "renounce", "the ownership of {to}"),
    verb_phrase("upgradeTo(address)", "upgraded", "upgrade", "{to} to {0}"),
    verb_phrase("upgradeToAndCall(address,bytes)", "upgraded", "upgrade", "{to} to {0}"),
    verb_phrase("changeAdmin(address)", "made", "make", "{0} the admin of {to}"),
    verb_phrase("grantRole(bytes32,address)", "granted", "grant", "role {0} of {to} to {1}"),
    verb_phrase("revokeRole(bytes32,address)", "revoked", "revoke", "role {0} of {to} from {1}"),
];

/// Returns the past tense, the infinitive and the rest of the sentence, if the function is known and all its arguments
/// are present.
pub(super) fn function_phrase(
    activity: &Activity,
    chain: ChainId,
    roster: &Routing,
) -> Option<(&'static str, &'static str, String)> {
    let phrase = PHRASES.iter().find(|phrase| phrase.signature == &*activity.deed.signature)?;
    let rest = fill_template(phrase.rest, activity, chain, roster)?;
    let value = activity.value;
    let rest =
        if value.is_zero() { rest } else { format!("{rest}, along with {}", Unit::ether().format_amount(value)) };
    Some((phrase.past, phrase.infinitive, rest))
}

/// Formats a value for a person: addresses by name, plain numbers with thousands separators.
pub(super) fn format_value(value: &Value, chain: ChainId, roster: &Routing) -> String {
    match value {
        Value::Address(address) => roster.names.display_name(chain, *address),
        Value::Uint(number) => Unit::bare_number().format_amount(*number),
        other => other.to_string(),
    }
}

/// Formats an amount of the token at `token`, or of plain units if its decimals are not known.
pub(super) fn format_token_amount(
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
        Some(unit) => unit.format_amount(value),
        None => format!("{} units of {}", Unit::bare_number().format_amount(value), name(token, chain, roster)),
    }
}

fn name(token: Option<alloy_primitives::Address>, chain: ChainId, roster: &Routing) -> String {
    token.map_or_else(|| "an unknown token".to_owned(), |token| roster.names.display_name(chain, token))
}

fn fill_template(template: &str, activity: &Activity, chain: ChainId, roster: &Routing) -> Option<String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (place, after) = after.split_once('}')?;
        out.push_str(before);
        out.push_str(&fill_placeholder(place, activity, chain, roster)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

fn fill_placeholder(place: &str, activity: &Activity, chain: ChainId, roster: &Routing) -> Option<String> {
    if place == "to" {
        return Some(match activity.to {
            Some(to) if to == activity.from => "itself".to_owned(),
            Some(to) => roster.names.display_name(chain, to),
            None => "a new contract".to_owned(),
        });
    }
    let digits = place.trim_end_matches(['$', '=']);
    let arg = activity.deed.args.get(digits.parse::<usize>().ok()?)?;
    let value = &arg.value;
    match place.as_bytes().last() {
        // A call for a single token of a collection has an id in the place of the amount.
        Some(b'$') if &*arg.name == "tokenId" => Some(format!("token {value} of {}", name(activity.to, chain, roster))),
        Some(b'$') => Some(format_token_amount(value.as_uint()?, activity.to, chain, roster)),
        Some(b'=') => Some(Unit::ether().format_amount(value.as_uint()?)),
        _ => Some(format_value(value, chain, roster)),
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
