//! Value that moves without a judged act, and allowances.

use super::names::{APPROVAL, OUTFLOW, POISONING};
use super::{Cost, because};
use crate::classify::rule::WatchRules;
use crate::model::activity::Note;
use crate::model::{Activity, Kind, Severity};
use alloy_primitives::{Address, U256};

/// What a move costs that no judged act explains.
pub(super) fn movement(activity: &Activity, rules: &WatchRules) -> Vec<Cost> {
    let amount = amount_of(activity);
    let token = activity.deed.args.first().and_then(|arg| arg.value.as_address()).unwrap_or_default();
    let known = rules.known_tokens.contains(&token);
    let cost = if &*activity.deed.name == "approval" {
        if amount.is_zero() || activity.to == Some(Address::ZERO) {
            let why = "an allowance is set to nothing and no judged act explains it";
            because(POISONING, Severity::Info, why.to_owned())
        } else if !known {
            let why = format!("an allowance of {token}, a token unknown here, names the subject");
            because(POISONING, Severity::Warning, why)
        } else if is_unlimited(amount) {
            let why = "an allowance without limit, and no judged act explains it";
            because(APPROVAL, Severity::Critical, why.to_owned())
        } else {
            because(OUTFLOW, Severity::High, "an allowance, and no judged act explains it".to_owned())
        }
    } else if activity.from != rules.address {
        return vec![];
    } else if amount.is_zero() {
        let why = "nothing moves: anyone can log a transfer of zero from anybody";
        because(POISONING, Severity::Info, why.to_owned())
    } else if !known {
        let why = format!("{token}, a token unknown here, says that it left, and no judged act explains it");
        because(POISONING, Severity::Warning, why)
    } else {
        let severity = if rules.kind == Kind::Safe { Severity::Critical } else { Severity::High };
        because(OUTFLOW, severity, "it left, and no judged act explains it".to_owned())
    };
    vec![cost]
}

fn amount_of(activity: &Activity) -> U256 {
    activity.deed.args.get(3).and_then(|arg| arg.value.as_uint()).unwrap_or_default()
}

/// Whether an allowance of this size is one without limit.
fn is_unlimited(amount: U256) -> bool {
    amount >= U256::ONE << 128
}

/// Why an allowance is one without limit, if it is.
pub(super) fn unlimited(activity: &Activity) -> Option<String> {
    let deed = &activity.deed;
    let allows =
        matches!(&*deed.name, "approve" | "increaseAllowance" | "approveAndCall" | "permit" | "increaseApproval");
    if !allows {
        // ERC-721 and ERC-1155: everything of a collection, to one operator.
        let all =
            &*deed.name == "setApprovalForAll" && deed.args.get(1).and_then(|arg| arg.value.as_bool()) == Some(true);
        return all.then(|| "the operator may take everything of this collection".to_owned());
    }
    // Which token of a collection says nothing of how much.
    let amounts = deed.args.iter().filter(|arg| &*arg.name != "tokenId");
    let amount = amounts.filter_map(|arg| arg.value.as_uint()).next()?;
    if is_unlimited(amount) {
        return Some("the allowance is without limit".to_owned());
    }
    activity.notes.contains(&Note::AboveSupply).then(|| "the allowance is at or above the token's supply".to_owned())
}
