//! Acts and movements that move value or rights out of a subject. A verdict that vouches for a call does not by itself
//! vouch for them.
//!
//! Input: an activity inside of a judged call. Output: whether it moves value or rights out of the subject. Never here:
//! a verdict.

use super::rule::WatchRules;
use super::{builtin, noise};
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind, DecodedCall, Decoding, Operation};
use alloy_primitives::{Address, U256, keccak256};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Party whose value or rights a call of a token gives away.
#[derive(Clone, Copy, Debug)]
enum OutwardEffect {
    /// The caller's.
    Own,
    /// Value or rights of the address in the first argument.
    First,
    /// The caller's, unless the number at this position is zero.
    Amount(usize),
    /// Value or rights of the address in the first argument, unless the number at this position is zero.
    FirstAmount(usize),
    /// The caller's, if the second argument is true.
    IfSecond,
    /// Value for the address at this position, unless that is the caller.
    To(usize),
}

/// Functions that move tokens, allowances, operators and votes away from their caller.
///
/// Source: EIP-20, 223, 677, 721, 777, 1155, 1363, 2612, 3009, 6909; OpenZeppelin ERC20, ERC20Burnable, ERC1155Burnable and Votes; DS-Token
/// and Vat of Maker; AllowanceTransfer.sol of Permit2; credit delegation of Aave 3 and `allow` of Compound 3; withdrawals of EntryPoint.sol 0.6 to
/// 0.8, Comet.sol, Pool.sol of Aave 3 and EIP-4626; mints of OpenZeppelin's token presets.
const GIVING: &[(&str, OutwardEffect)] = &[
    ("transfer(address,uint256)", OutwardEffect::Amount(1)),
    ("transfer(address,uint256,bytes)", OutwardEffect::Amount(1)),
    ("transfer(address,uint256,uint256)", OutwardEffect::Own),
    ("transferAndCall(address,uint256)", OutwardEffect::Amount(1)),
    ("transferAndCall(address,uint256,bytes)", OutwardEffect::Amount(1)),
    ("send(address,uint256,bytes)", OutwardEffect::Amount(1)),
    ("push(address,uint256)", OutwardEffect::Amount(1)),
    ("burn(uint256)", OutwardEffect::Amount(0)),
    ("burn(uint256,bytes)", OutwardEffect::Amount(0)),
    ("burn(address,uint256)", OutwardEffect::FirstAmount(1)),
    ("burn(address,uint256,uint256)", OutwardEffect::First),
    ("burnBatch(address,uint256[],uint256[])", OutwardEffect::First),
    ("transferFrom(address,address,uint256)", OutwardEffect::First),
    ("transferFrom(address,address,uint256,uint256)", OutwardEffect::First),
    ("transferFromAndCall(address,address,uint256)", OutwardEffect::First),
    ("transferFromAndCall(address,address,uint256,bytes)", OutwardEffect::First),
    ("safeTransferFrom(address,address,uint256)", OutwardEffect::First),
    ("safeTransferFrom(address,address,uint256,bytes)", OutwardEffect::First),
    ("safeTransferFrom(address,address,uint256,uint256,bytes)", OutwardEffect::First),
    ("safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)", OutwardEffect::First),
    ("transferFrom(address,address,uint160,address)", OutwardEffect::First),
    ("operatorSend(address,address,uint256,bytes,bytes)", OutwardEffect::First),
    ("operatorBurn(address,uint256,bytes,bytes)", OutwardEffect::First),
    ("move(address,address,uint256)", OutwardEffect::First),
    (
        "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
        OutwardEffect::First,
    ),
    ("transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)", OutwardEffect::First),
    ("approve(address,uint256)", OutwardEffect::Amount(1)),
    ("approve(address,uint256,uint256)", OutwardEffect::Own),
    ("approve(address,address,uint160,uint48)", OutwardEffect::Amount(2)),
    ("approveAndCall(address,uint256)", OutwardEffect::Amount(1)),
    ("approveAndCall(address,uint256,bytes)", OutwardEffect::Amount(1)),
    ("increaseAllowance(address,uint256)", OutwardEffect::Amount(1)),
    ("increaseApproval(address,uint256)", OutwardEffect::Amount(1)),
    ("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", OutwardEffect::First),
    ("permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)", OutwardEffect::First),
    ("permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)", OutwardEffect::First),
    ("setApprovalForAll(address,bool)", OutwardEffect::IfSecond),
    ("setOperator(address,bool)", OutwardEffect::IfSecond),
    ("authorizeOperator(address)", OutwardEffect::Own),
    ("allow(address,bool)", OutwardEffect::IfSecond),
    ("hope(address)", OutwardEffect::Own),
    ("approveDelegation(address,uint256)", OutwardEffect::Amount(1)),
    ("delegate(address)", OutwardEffect::Own),
    ("withdrawTo(address,uint256)", OutwardEffect::To(0)),
    ("withdrawStake(address)", OutwardEffect::To(0)),
    ("withdrawTo(address,address,uint256)", OutwardEffect::To(0)),
    ("withdrawFrom(address,address,address,uint256)", OutwardEffect::To(1)),
    ("transferAsset(address,address,uint256)", OutwardEffect::To(0)),
    ("transferAssetFrom(address,address,address,uint256)", OutwardEffect::To(1)),
    ("withdraw(address,uint256,address)", OutwardEffect::To(2)),
    ("withdraw(uint256,address,address)", OutwardEffect::To(1)),
    ("redeem(uint256,address,address)", OutwardEffect::To(1)),
    ("mint(address,uint256)", OutwardEffect::To(0)),
    ("mint(uint256,address)", OutwardEffect::To(1)),
    ("mint(address,uint256,bytes)", OutwardEffect::To(0)),
    ("mint(address,uint256,uint256,bytes)", OutwardEffect::To(0)),
    ("mintBatch(address,uint256[],uint256[],bytes)", OutwardEffect::To(0)),
    ("mintTo(address,uint256)", OutwardEffect::To(0)),
    ("safeMint(address,uint256)", OutwardEffect::To(0)),
    ("safeMint(address,uint256,bytes)", OutwardEffect::To(0)),
];

/// The same functions by selector.
static BY_SELECTOR: LazyLock<HashMap<[u8; 4], OutwardEffect>> = LazyLock::new(|| {
    let selector = |signature: &str| {
        let hash = keccak256(signature);
        [hash[0], hash[1], hash[2], hash[3]]
    };
    GIVING.iter().map(|(signature, gives)| (selector(signature), *gives)).collect()
});

/// Returns whether value or rights leave the subject by this act or movement: ether, tokens, allowances, execution of
/// foreign code, creation of contracts, and any change of control on any contract.
pub(crate) fn goes_out(activity: &Activity, rules: &WatchRules) -> bool {
    match activity.kind {
        ActivityKind::Act => {
            is_self_destruct(activity)
                || activity.notes.contains(&Note::Delegation)
                || is_ether_outflow(activity)
                || activity.operation == Operation::Create
                || runs_foreign_code(activity)
                || builtin::changes_control(activity, rules)
                || is_asset_outflow(&activity.deed, rules.address)
                || names_somebody(activity, rules)
        }
        ActivityKind::Move => {
            activity.from == rules.address
                && activity.to != Some(rules.address)
                && is_effective_movement(&activity.deed)
        }
        ActivityKind::Call | ActivityKind::Event | ActivityKind::State => false,
    }
}

/// Returns whether the subject destroys itself by the activity. No rule for a call vouches for that, whatever it states
/// about effects.
pub(crate) fn is_self_destruct(activity: &Activity) -> bool {
    activity.notes.contains(&Note::Destroyed)
}

/// Returns whether ether leaves the subject.
fn is_ether_outflow(activity: &Activity) -> bool {
    let itself = activity.to == Some(activity.from);
    !activity.value.is_zero() && activity.operation != Operation::Delegatecall && !itself
}

/// Returns whether the activity runs code that is not the subject's. Code to which a proxy forwards its calldata is
/// excepted, since the rule for the call was written for it.
fn runs_foreign_code(activity: &Activity) -> bool {
    let known = activity.notes.iter().any(|note| matches!(note, Note::OwnCode | Note::HandsOn));
    activity.operation == Operation::Delegatecall && activity.to != Some(activity.from) && !known
}

/// Returns whether the act can change anything outside of the subject. A built-in that vouches for a call vouches for
/// no such act.
pub(crate) fn reaches_out(activity: &Activity, rules: &WatchRules) -> bool {
    let itself = activity.to == Some(activity.from) || activity.notes.contains(&Note::OwnCode);
    goes_out(activity, rules) || !itself && !activity.notes.contains(&Note::Still)
}

/// Returns whether an unreadable call may give something away: it goes to a listed token or to a watch, or it contains
/// an address that the configuration does not name.
fn names_somebody(activity: &Activity, rules: &WatchRules) -> bool {
    let opaque = matches!(activity.deed.decoding, Decoding::Opaque(_) | Decoding::Ambiguous(_));
    let Some(to) = activity.to.filter(|to| opaque && *to != activity.from) else { return false };
    if activity.operation != Operation::Call {
        return false;
    }
    let is_known = |address: &Address| {
        *address == to
            || *address == activity.from
            || rules.known_tokens.contains(address)
            || rules.familiar.is_named(address)
    };
    let words = activity.notes.iter().find_map(|note| if let Note::Names(words) = note { Some(words) } else { None });
    let strange = words.is_some_and(|words| words.as_ref().is_none_or(|words| !words.iter().all(is_known)));
    rules.known_tokens.contains(&to) || rules.watched.contains(&to) || strange
}

/// Returns whether a log of the subject reports that its own tokens were minted, burned, sent or allowed for an address
/// that the call does not name.
///
/// A deposit into a vault gives the caller shares, and a withdrawal burns them.
pub(crate) fn issues_own_tokens(event: &Activity, call: &Activity, rules: &WatchRules) -> bool {
    let address = |at: usize| event.deed.args.get(at).and_then(|arg| arg.value.as_address());
    let (from, to, approval) = match &*event.deed.name {
        "Transfer" => (address(0), address(1), false),
        "TransferSingle" | "TransferBatch" => (address(1), address(2), false),
        "Approval" => (address(0), address(1), true),
        _ => return false,
    };
    let (Some(from), Some(to)) = (from, to) else { return false };
    if from == rules.address {
        let nothing = event.deed.args.get(2).and_then(|arg| arg.value.as_uint()) == Some(U256::ZERO);
        return to != from && !nothing;
    }
    let named = |who: &Address| {
        *who == rules.address
            || *who == call.from
            || rules.familiar.is_named(who)
            || noise::mentioned_addresses(call).contains(who)
    };
    !approval && (from.is_zero() && !named(&to) || to.is_zero() && !named(&from))
}

/// Returns whether the act is only a movement or an allowance of a token, so that the token's own log describes it
/// completely.
pub(crate) fn is_token_act(activity: &Activity) -> bool {
    let known = activity.deed.selector.is_some_and(|selector| BY_SELECTOR.contains_key(&selector));
    known && activity.value.is_zero() && activity.operation == Operation::Call
}

/// Returns whether a movement moves or allows a non-zero amount.
fn is_effective_movement(deed: &DecodedCall) -> bool {
    deed.args.get(3).and_then(|arg| arg.value.as_uint()).is_none_or(|amount| amount > U256::ZERO)
}

/// Returns whether a call gives away something of `own`. Arguments that cannot be read count as giving.
fn is_asset_outflow(deed: &DecodedCall, own: Address) -> bool {
    let Some(gives) = deed.selector.and_then(|selector| BY_SELECTOR.get(&selector)) else { return false };
    let number = |at: usize| deed.args.get(at).and_then(|arg| arg.value.as_uint());
    let is_some_amount = |at: usize| number(at).is_none_or(|amount| amount > U256::ZERO);
    let is_own = || deed.args.first().and_then(|arg| arg.value.as_address()).is_none_or(|whose| whose == own);
    match gives {
        OutwardEffect::Own => true,
        OutwardEffect::First => is_own(),
        OutwardEffect::Amount(at) => is_some_amount(*at),
        OutwardEffect::FirstAmount(at) => is_own() && is_some_amount(*at),
        // Where the argument cannot be read, the raw words decide.
        OutwardEffect::To(at) => deed.args.get(*at).and_then(|arg| arg.value.as_address()).is_some_and(|to| to != own),
        OutwardEffect::IfSecond => deed.args.get(1).and_then(|arg| arg.value.as_bool()).unwrap_or(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_giving_function_is_spelled_canonically_and_once() {
        assert_eq!(BY_SELECTOR.len(), GIVING.len());
        for (signature, _) in GIVING {
            let parsed = crate::abi::Function::parse(signature).unwrap_or_else(|why| panic!("{signature}: {why}"));
            assert_eq!(&*parsed.signature, *signature);
        }
    }
}
