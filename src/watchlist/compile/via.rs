//! `via`: the party through which an activity came, and the call that contains it; and `effects`, the reach of a rule
//! for a call.

use super::deed::{CallMatcher, Targets};
use super::directory::Scope;
use super::watch::{Head, Heads};
use crate::classify::rule::{AddressSet, CallMatch, Condition, Polarity, RoleKey, Via};
use crate::contracts::{self, Property};
use crate::model::activity::{Around, Note};
use crate::model::{ActivityKind, Kind};
use crate::settings::{At, Problems};
use crate::watchlist::file::{RuleText, ViaSays, ViaText};
use alloy_primitives::{Address, B256, U256, keccak256};
use std::sync::Arc;

/// Maximum number of bytes of a name in a role's key. Source: Zodiac Roles modifier 2, whose keys are `bytes32`
/// strings.
const ROLE_NAME_MAX: usize = 31;

/// Returns the condition of a rule's `via`.
pub(super) fn compile_via_condition(
    text: &RuleText<'_>,
    kind: ActivityKind,
    head: &Head<'_>,
    heads: &Heads<'_>,
    scope: &Scope<'_>,
    problems: &mut Problems,
) -> Option<Condition> {
    let written = text.via.as_ref()?;
    if !matches!(kind, ActivityKind::Act | ActivityKind::Move) {
        let problem =
            written.spot.problem("`via` says nothing here: it is about what the watch does, and about what moves");
        problems.push(problem.with_hint("who calls is `from`; make it a rule about `act` or `move`"));
        return None;
    }
    compile_via(written, head, heads, scope, problems).map(Condition::Via)
}

/// Returns whether a rule for a call also vouches for what goes out inside of it.
pub(super) fn compile_effects(text: &RuleText<'_>, kind: ActivityKind, of: Kind, problems: &mut Problems) -> bool {
    let Some(written) = &text.effects else { return false };
    let (why, hint) = match (kind, text.polarity) {
        (_, Polarity::Abnormal) => ("an abnormal rule vouches for nothing", "remove it"),
        (ActivityKind::Call, _) if contracts::of_kind(of).has(Property::Wallet) => {
            ("what a wallet does is judged one by one, whoever calls it", "write a rule about `act` for it")
        }
        (ActivityKind::Call, _) => return written.value,
        _ => ("it is about what happens inside of a call", "put it on the rule for the `call`"),
    };
    problems.push(written.problem(format!("`effects` says nothing here: {why}")).with_hint(hint));
    false
}

fn compile_via(
    text: &ViaText<'_>,
    head: &Head<'_>,
    heads: &Heads<'_>,
    scope: &Scope<'_>,
    problems: &mut Problems,
) -> Option<Via> {
    Some(match &text.says {
        ViaSays::Party(list) => Via::Party(scope.resolve_set(list, problems)?),
        ViaSays::Call { deed, of } => {
            let itself =
                || AddressSet { name: "@self".into(), members: Arc::new([head.info.address].into_iter().collect()) };
            let of = match of {
                Some(of) => Some(scope.resolve_set(of, problems)?),
                None => None,
            };
            let targets = of.as_ref().map_or_else(Targets::default, |of| heads.target_abis(Some(of), scope));
            let deed = CallMatcher::resolve(deed, &head.abi, &targets, problems)?;
            if deed.matches == CallMatch::Creation {
                problems.push(text.spot.problem("nothing happens inside of a creation that a rule could name"));
                return None;
            }
            Via::Call { deed: deed.matches, of: of.unwrap_or_else(itself) }
        }
        ViaSays::Module { module, role } => {
            let role = match role {
                Some(role) => Some(role_key(role, problems)?),
                None => None,
            };
            Via::Module { module: scope.resolve_set(module, problems)?, role }
        }
    })
}

/// Parses a role given by its name, hash or number.
fn role_key(role: &At<&str>, problems: &mut Problems) -> Option<RoleKey> {
    let word = role.strip_prefix("0x").map(|_| role.parse::<B256>());
    let keys = match word {
        Some(Ok(word)) => vec![word],
        None if !role.is_empty() && role.len() <= ROLE_NAME_MAX => {
            let number = role.parse::<u16>().ok().map(|number| B256::from(U256::from(number)));
            let name = [B256::right_padding_from(role.as_bytes()), keccak256(role.as_bytes())];
            name.into_iter().chain(number).collect()
        }
        _ => {
            let problem = role.problem(format!("`{}` is no role", **role));
            problems.push(problem.with_hint(format!(
                "write its name of at most {ROLE_NAME_MAX} bytes, its number, or its key as `0x` and 64 hexadecimal digits"
            )));
            return None;
        }
    };
    Some(RoleKey { text: role.value.into(), keys })
}

/// Returns the note that the decoder would make on an activity of a test: the calls around it that its `via` names.
pub(super) fn sample_via_note(
    text: &ViaText<'_>,
    head: &Head<'_>,
    heads: &Heads<'_>,
    scope: &Scope<'_>,
    problems: &mut Problems,
) -> Option<Note> {
    let own = head.info.address;
    let one = |set: &AddressSet| set.members.iter().min().copied().unwrap_or(Address::ZERO);
    let call = |from, to, deed: Option<&CallMatch>| Around {
        from,
        to: Some(to),
        selector: match deed {
            Some(CallMatch::Function { selector, .. }) => Some(*selector),
            _ => None,
        },
        function: deed.map_or_else(|| "a call".into(), CallMatch::watchlist_text),
        role: None,
    };
    let stranger = super::STRANGER;
    if let ViaSays::Call { deed, .. } = &text.says
        && let Some(second) = deed.more.first()
    {
        problems.push(second.problem("a test describes one call that something happens inside of"));
        return None;
    }
    let calls = match compile_via(text, head, heads, scope, problems)? {
        Via::Party(set) => vec![call(one(&set), own, None)],
        Via::Call { deed, of } if one(&of) == own => vec![call(stranger, own, Some(&deed))],
        Via::Call { deed, of } => vec![call(own, one(&of), Some(&deed))],
        Via::Module { module, role } => {
            let asked =
                Around { role: role.and_then(|role| role.keys.first().copied()), ..call(stranger, one(&module), None) };
            vec![call(one(&module), own, None), asked]
        }
    };
    Some(Note::Inside(calls.into()))
}
