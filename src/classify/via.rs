//! `via`: parties through which an activity came, and calls inside of which it happened.
//!
//! Input: the calls that the decoder saw around an activity ([`Activity::enclosing_calls`]). A rule does not vouch where no call
//! is known.

use super::rule::{AddressSet, CallMatch, RoleKey, Via};
use super::rule_result::Mismatches;
use crate::model::Activity;
use crate::model::activity::Around;
use alloy_primitives::Address;

/// Maximum number of calls named in one mismatch.
const NAMED_MAX: usize = 4;

/// Tests one `via` condition and adds each mismatch.
pub(super) fn test_via(via: &Via, activity: &Activity, refusals: &mut Mismatches) {
    let calls = activity.enclosing_calls().map_or(&[][..], |calls| calls);
    // The call that entered the subject lies between its caller and the acts of the subject.
    let entry = calls.iter().find(|call| call.to == Some(activity.from) && call.from != activity.from);
    let is_in = |set: &AddressSet, who: Option<Address>| who.is_some_and(|who| set.members.contains(&who));
    match via {
        Via::Party(set) => {
            let through = |call: &Around| is_in(set, Some(call.from)) || is_in(set, call.to);
            if !calls.iter().any(through) {
                refusals.add("via", || format!("{}, and not through {}", format_outer_calls(calls), set.name));
            }
        }
        Via::Call { deed, of } => {
            let holds = |call: &Around| is_in(of, call.to) && is_call(deed, call);
            if !calls.iter().any(holds) {
                refusals.add("via", || {
                    format!("{}, and not inside {} of {}", format_outer_calls(calls), deed.watchlist_text(), of.name)
                });
            }
        }
        Via::Module { module, role } => {
            if !entry.is_some_and(|call| is_in(module, Some(call.from))) {
                refusals.add("via", || format!("{}, and not by the module {}", format_outer_calls(calls), module.name));
            } else if let Some(role) = role
                && !asked_as(calls, module, role)
            {
                let asked = calls.iter().find(|call| is_in(module, call.to)).and_then(|call| call.role);
                refusals.add("via", || match asked {
                    Some(other) => format!("is under the role {other}, and not {}", role.text),
                    None => format!("names no role, and the rule asks for {}", role.text),
                });
            }
        }
    }
}

/// Returns whether the call to the module names the role.
fn asked_as(calls: &[Around], module: &AddressSet, role: &RoleKey) -> bool {
    let asked = calls.iter().find(|call| call.to.is_some_and(|to| module.members.contains(&to)));
    asked.and_then(|call| call.role).is_some_and(|key| role.keys.contains(&key))
}

fn is_call(deed: &CallMatch, call: &Around) -> bool {
    deed.each().iter().any(|one| match one {
        CallMatch::Any => true,
        CallMatch::Ether => call.selector.is_none() && call.to.is_some(),
        CallMatch::Function { selector, .. } => call.selector == Some(*selector),
        _ => false,
    })
}

/// Returns the calls around an activity as text, at most [`NAMED_MAX`] of them.
fn format_outer_calls(calls: &[Around]) -> String {
    if calls.is_empty() {
        return "is not known: nothing shows a call that it happened inside of".to_owned();
    }
    let one = |call: &Around| match call.to {
        Some(to) => format!("{} of {to}", call.function),
        None => call.function.to_string(),
    };
    let named: Vec<String> = calls.iter().take(NAMED_MAX).map(one).collect();
    format!("is {}", named.join(" inside "))
}
