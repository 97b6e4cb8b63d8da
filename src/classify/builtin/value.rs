//! Value that moves without a judged act, and allowances.

use super::names::{APPROVAL, OUTFLOW, POISONING};
use super::{DefaultFinding, finding_with_reason};
use crate::classify::rule::WatchRules;
use crate::model::activity::Note;
use crate::model::holding::{Holding, Said, Tie};
use crate::model::{Activity, ActivityKind, Severity};
use alloy_primitives::{Address, U256};

/// Returns the default findings for a movement that no judged act explains. `used`: the subject is remembered to use
/// the token.
///
/// Returns the cost of a movement. A token that neither the configuration knows nor the subject uses can log anything,
/// so its movements never cost more than a warning.
pub(super) fn movement_findings(activity: &Activity, rules: &WatchRules, used: bool) -> Vec<DefaultFinding> {
    let amount = amount_of(activity);
    let token = activity.deed.args.first().and_then(|arg| arg.value.as_address()).unwrap_or_default();
    let known = rules.known_tokens.contains(&token);
    let close = known || used || activity.token_holding().is_some_and(|holding| holding.tie != Tie::Stranger);
    let cost = if &*activity.deed.name == "approval" {
        if amount.is_zero() || activity.to == Some(Address::ZERO) {
            let why = "an allowance is set to nothing and no judged act explains it";
            finding_with_reason(POISONING, Severity::Info, why.to_owned())
        } else if close {
            allowance_finding(activity, amount, known)
        } else {
            stranger_allowance(activity, token)
        }
    } else if activity.from != rules.address {
        return unbacked_arrival_finding(activity, token, close).into_iter().collect();
    } else if amount.is_zero() {
        let why = "nothing moves: anyone can log a transfer of zero from anybody";
        finding_with_reason(POISONING, Severity::Info, why.to_owned())
    } else if close {
        outflow_finding(activity, rules, known)
    } else {
        stranger_outflow(activity, token)
    };
    vec![cost]
}

/// Returns the cost of an allowance of a token that the configuration knows or the subject uses.
fn allowance_finding(activity: &Activity, amount: U256, known: bool) -> DefaultFinding {
    if let Some(Said::Allowance(U256::ZERO)) = activity.token_holding().map(|holding| &holding.said)
        && !known
    {
        let why = "an allowance is logged, and the token says that there is none after the block";
        return finding_with_reason(POISONING, Severity::Warning, why.to_owned());
    }
    if is_unlimited(amount) {
        let why = "an allowance without limit, and no judged act explains it";
        return finding_with_reason(APPROVAL, Severity::Critical, why.to_owned());
    }
    finding_with_reason(OUTFLOW, Severity::High, "an allowance, and no judged act explains it".to_owned())
}

/// Returns the cost of an allowance of a token that the subject never used.
fn stranger_allowance(activity: &Activity, token: Address) -> DefaultFinding {
    let holding = activity.token_holding();
    let (severity, what) = match holding.map(|holding| &holding.said) {
        Some(Said::Allowance(U256::ZERO)) => (Severity::Info, "says that there is none after the block".to_owned()),
        Some(Said::Allowance(_)) => (Severity::Warning, "says that it stands".to_owned()),
        said => assess_unverified_balance(said),
    };
    let severity = if holding.is_some_and(|holding| !holding.first) { Severity::Info } else { severity };
    let why = format!(
        "an allowance of {token}, which is not listed and which the subject {}; the token {what}",
        describe_token_history(holding)
    );
    finding_with_reason(POISONING, severity, why)
}

/// Returns the cost of an outflow of a token that the configuration knows or the subject uses.
fn outflow_finding(activity: &Activity, rules: &WatchRules, known: bool) -> DefaultFinding {
    let holding = activity.token_holding();
    if holding.is_some_and(Holding::is_denied) && !known {
        let why = "the token logs that it left, and the balance did not change";
        return finding_with_reason(POISONING, Severity::Warning, why.to_owned());
    }
    let mostly = holding.is_some_and(Holding::is_mostly_gone);
    let severity = match known {
        _ if mostly => Severity::Critical,
        true => rules.contract().known_outflow,
        false => Severity::High,
    };
    let told = match holding.map(|holding| &holding.said) {
        Some(Said::Balance { before, after, .. }) if after < before => {
            format!("; {} of the holding left in this block", percent_of_holding(*before, *after))
        }
        Some(Said::Balance { before, after, .. }) if before == after => "; the balance did not change".to_owned(),
        Some(Said::Unread) => "; the balance could not be read".to_owned(),
        Some(Said::BeyondBound(_)) => {
            "; the balance was not read, since too many tokens moved in this block".to_owned()
        }
        _ => String::new(),
    };
    finding_with_reason(OUTFLOW, severity, format!("it left, and no judged act explains it{told}"))
}

/// An act inside of a call to the subject by which most of a holding leaves. A smaller part costs what the act does.
pub(super) fn drained(activity: &Activity) -> Option<DefaultFinding> {
    let holding = activity.token_holding().filter(|holding| holding.is_mostly_gone())?;
    let Said::Balance { before, after, .. } = &holding.said else { return None };
    let why = format!(
        "{} of the holding left in this block, and no rule vouches for this act",
        percent_of_holding(*before, *after)
    );
    Some(finding_with_reason(OUTFLOW, Severity::Critical, why))
}

/// Returns the cost of an outflow logged by a token that the subject never used.
fn stranger_outflow(activity: &Activity, token: Address) -> DefaultFinding {
    let holding = activity.token_holding();
    let (severity, what) = match holding.map(|holding| &holding.said) {
        Some(Said::Balance { before, after, .. }) if after < before => {
            (Severity::Warning, format!("says that the balance fell by {}", percent_of_holding(*before, *after)))
        }
        Some(Said::Balance { .. }) => (Severity::Info, "says that the balance did not fall".to_owned()),
        said => assess_unverified_balance(said),
    };
    let severity = if holding.is_some_and(|holding| !holding.first) { Severity::Info } else { severity };
    let past = describe_token_history(holding);
    let why = format!("{token}, which is not listed and which the subject {past}, logs that it left; the token {what}");
    finding_with_reason(POISONING, severity, why)
}

/// Describes the known past of the subject with a token.
fn describe_token_history(holding: Option<&Holding>) -> &'static str {
    if holding.is_some_and(|holding| holding.searched) { "never used" } else { "was not seen to use" }
}

/// Returns the cost of an arrival that a token logs while the balance does not change. Any other arrival costs nothing.
fn unbacked_arrival_finding(activity: &Activity, token: Address, close: bool) -> Option<DefaultFinding> {
    let denied = is_denied_arrival(activity);
    let severity = if close { Severity::Warning } else { Severity::Info };
    denied.then(|| {
        let why = format!("{token} logs that it arrived, and the balance did not change");
        finding_with_reason(POISONING, severity, why)
    })
}

/// Returns whether a token logs an arrival that its own views deny.
pub(super) fn is_denied_arrival(activity: &Activity) -> bool {
    let transfer = activity.kind == ActivityKind::Move && &*activity.deed.name == "transfer";
    transfer && activity.token_holding().is_some_and(Holding::is_denied)
}

/// Returns the severity and the text for a token without ties to the subject that was not queried, or could not be
/// queried.
fn assess_unverified_balance(said: Option<&Said>) -> (Severity, String) {
    match said {
        Some(Said::Unread) => (Severity::Warning, "could not be asked about the holding".to_owned()),
        Some(Said::BeyondBound(n)) => {
            let others =
                format!("was not asked: it is one of {n} tokens beyond those that are asked about in one block");
            (Severity::Warning, others)
        }
        _ => (Severity::Info, "was not asked about the holding".to_owned()),
    }
}

/// Returns the part of a holding that left, in whole percent and at least 1.
fn percent_of_holding(before: U256, after: U256) -> String {
    let (gone, hundred) = (before.saturating_sub(after), U256::from(100));
    // For a number this large, dividing by a hundredth of it is exact enough.
    let percent = gone.checked_mul(hundred).map_or_else(|| gone / (before / hundred), |gone| gone / before);
    format!("{} %", percent.max(U256::ONE))
}

fn amount_of(activity: &Activity) -> U256 {
    activity.deed.args.get(3).and_then(|arg| arg.value.as_uint()).unwrap_or_default()
}

/// Returns whether an allowance of this size is unlimited.
fn is_unlimited(amount: U256) -> bool {
    amount >= U256::ONE << 128
}

/// Returns the reason why an allowance is unlimited, if it is.
pub(super) fn unlimited_allowance_reason(activity: &Activity) -> Option<String> {
    let deed = &activity.deed;
    let allows =
        matches!(&*deed.name, "approve" | "increaseAllowance" | "approveAndCall" | "permit" | "increaseApproval");
    if !allows {
        // ERC-721, ERC-1155 and ERC-6909: one operator for all tokens of a collection; ERC-777: for every unit.
        let is_set = || deed.args.get(1).and_then(|arg| arg.value.as_bool()) == Some(true);
        return match &*deed.signature {
            "setApprovalForAll(address,bool)" | "setOperator(address,bool)" if is_set() => {
                Some("the operator may take everything of this collection".to_owned())
            }
            "authorizeOperator(address)" => Some("the operator may take all of this token".to_owned()),
            _ => None,
        };
    }
    // A token id in a collection is not an amount.
    let of_id = usize::from(&*deed.signature == "approve(address,uint256,uint256)");
    let amounts = deed.args.iter().filter(|arg| &*arg.name != "tokenId");
    let amount = amounts.filter_map(|arg| arg.value.as_uint()).nth(of_id)?;
    if is_unlimited(amount) {
        return Some("the allowance is without limit".to_owned());
    }
    activity.notes.contains(&Note::AboveSupply).then(|| "the allowance is at or above the token's supply".to_owned())
}
