//! Sentence about what happened, with units.

use super::phrases::{amount, say, shown};
use super::roster::{AddressNames, Routing};
use super::state;
use crate::model::activity::{Fate, Note, Operation, Role};
use crate::model::amount::Unit;
use crate::model::text::printable;
use crate::model::value::{Arg, Value};
use crate::model::{Activity, ActivityKind, ChainId, Decoding, Position, Stage, WatchInfo};
use alloy_primitives::{Address, U256};

/// Maximum number of characters of a headline; other parts of the page hold the rest.
const HEADLINE_CHARS_MAX: usize = 240;
/// Characters of one argument in a headline.
const ARG_CHARS_MAX: usize = 64;
/// Tokens with ids that are named; the rest is counted.
const PIECES_SAID_MAX: usize = 3;
/// Maximum number of arguments listed for a function without a phrase.
const ARGS_MAX: usize = 6;
/// Characters of one reason, one name.
const TEXT_CHARS_MAX: usize = 400;
/// Wrappers listed.
const VIA_MAX: usize = 16;

/// `Treasury Safe sent 60,000 SNT to Grantee: docs`.
///
/// The headline names the actor, the act and the recipient, with names from the address book, and its stage: a
/// proposal, an attempt that reverted or failed, a claim without confirmation. Text from the chain is escaped.
#[must_use]
pub fn headline(activity: &Activity, watch: &WatchInfo, roster: &Routing) -> String {
    let chain = watch.chain.id;
    let matter = activity.notes.iter().find_map(|note| if let Note::Queue(what) = note { Some(what) } else { None });
    if let Some(what) = matter {
        let progress = activity.progress().map_or_else(String::new, |progress| format!(" ({progress})"));
        return printable(format!("{} {what}{progress}", watch.label), HEADLINE_CHARS_MAX);
    }
    let sentence = match (activity.kind, &activity.position) {
        (_, Position::Due(due)) => {
            format!("{}: {} did not come by {}", watch.label, activity.deed.name, super::lines::utc(*due))
        }
        (ActivityKind::Move, _) => movement(activity, watch, roster),
        (ActivityKind::State, _) => state::sentence(activity, watch, roster),
        (ActivityKind::Event, _) => format!("{} logged {}", watch.label, listed(activity, chain, roster)),
        (_, Position::Authorization(_)) if activity.stage == Stage::Pending => {
            format!("{} (pending)", delegation(activity, watch, roster))
        }
        (_, Position::Authorization(_)) => delegation(activity, watch, roster),
        (ActivityKind::Act, _) => deed(&watch.label, activity, chain, roster),
        (ActivityKind::Call, _) => deed(&roster.names.show(chain, activity.from), activity, chain, roster),
    };
    printable(sentence, HEADLINE_CHARS_MAX)
}

/// Wrappers around an activity, outermost first: `execTransaction at Treasury Safe`.
pub(super) fn via(activity: &Activity, chain: ChainId, names: &AddressNames) -> Vec<String> {
    let shown =
        |wrapper: &crate::model::Wrapper| clean(&format!("{} at {}", wrapper.function, names.show(chain, wrapper.at)));
    activity.via.iter().take(VIA_MAX).map(shown).collect()
}

/// Text that may come from the chain, on one line and of bounded length.
pub(super) fn clean(text: &str) -> String {
    printable(text, TEXT_CHARS_MAX)
}

/// Returns the sentence of a call or an act by `who`.
fn deed(who: &str, activity: &Activity, chain: ChainId, roster: &Routing) -> String {
    let (past, infinitive, rest) = verb(activity, chain, roster);
    match activity.fate {
        Fate::Executed => format!("{who} {past} {rest}"),
        Fate::Waiting => match activity.progress() {
            Some(progress) => format!("{who} is to {infinitive} {rest} ({progress})"),
            None if activity.stage == Stage::Pending => format!("{who} is about to {infinitive} {rest} (pending)"),
            None => format!("{who} is to {infinitive} {rest} (proposed)"),
        },
        Fate::Reverted => format!("{who} tried to {infinitive} {rest} (reverted)"),
        Fate::Failed => format!("{who} tried to {infinitive} {rest} (failed inside a transaction that succeeded)"),
        Fate::Unconfirmed => format!("{who} {past} {rest} (as its wrapper claims; no log confirms it)"),
    }
}

/// Returns the past tense, the infinitive and the rest of the sentence.
fn verb(activity: &Activity, chain: ChainId, roster: &Routing) -> (&'static str, &'static str, String) {
    let to = match activity.to {
        Some(to) => roster.names.show(chain, to),
        None => "an unknown contract".to_owned(),
    };
    let worth = if activity.value.is_zero() {
        String::new()
    } else {
        format!(", along with {}", Unit::ether().show(activity.value))
    };
    // Foreign code runs on the wallet's own storage, so the function's name does not say what it does.
    if activity.operation == Operation::Delegatecall {
        return (
            "ran",
            "run",
            format!("foreign code as itself: {} of {to}, by delegatecall", listed(activity, chain, roster)),
        );
    }
    if activity.operation == Operation::Create {
        let at = activity.to.map_or_else(String::new, |_| format!(" at {to}"));
        return ("created", "create", format!("a contract{at}{worth}"));
    }
    if activity.to.is_none() {
        return ("made", "make", format!("a call that could not be read{worth}"));
    }
    if activity.notes.contains(&Note::Destroyed) {
        return ("destroyed", "destroy", format!("itself: what it held goes to {to}{worth}"));
    }
    match &activity.deed.decoding {
        Decoding::Ether if activity.value.is_zero() => ("called", "call", format!("{to} without data")),
        Decoding::Ether => ("sent", "send", format!("{} to {to}", Unit::ether().show(activity.value))),
        Decoding::Opaque(_) if activity.deed.selector.is_some() && activity.deed.signature.starts_with("0x") => {
            ("called", "call", format!("the unknown function {} of {to}{worth}", activity.deed.name))
        }
        Decoding::Opaque(_) => {
            ("called", "call", format!("{to} with data nobody can read ({}){worth}", activity.deed.name))
        }
        Decoding::Ambiguous(fits) => {
            ("called", "call", format!("{} or another function of {to}{worth}", fits.join(" or ")))
        }
        Decoding::Clean | Decoding::Suffixed(_) | Decoding::Flawed(_) => {
            if let Some(said) = say(activity, chain, roster) {
                return said;
            }
            if matches!(activity.role, Role::Envelope { .. }) {
                return ("executed", "execute", format!("{} of {to}{worth}", activity.deed.name));
            }
            ("called", "call", format!("{} on {to}{worth}", listed(activity, chain, roster)))
        }
    }
}

/// Returns the sentence of a movement: a token's log that names the watch.
fn movement(activity: &Activity, watch: &WatchInfo, roster: &Routing) -> String {
    let chain = watch.chain.id;
    let address = |place: usize| activity.deed.args.get(place).and_then(|arg| arg.value.as_address());
    let value = activity.deed.args.get(3).and_then(|arg| arg.value.as_uint());
    let (Some(token), Some(from), Some(to), Some(value)) = (address(0), address(1), address(2), value) else {
        return format!("{} was part of {}", watch.label, listed(activity, chain, roster));
    };
    let worth = pieces(activity, chain, roster).unwrap_or_else(|| amount(value, Some(token), chain, roster));
    let name = |address: Address| {
        if address == watch.address { watch.label.to_string() } else { roster.names.show(chain, address) }
    };
    match (&*activity.deed.name, from, to) {
        ("approval", ..) => format!("{} allowed {} to spend {worth}", name(from), name(to)),
        (_, Address::ZERO, _) => format!("{} received {worth}, newly minted", name(to)),
        (_, _, Address::ZERO) => format!("{worth} of {} left for the zero address", name(from)),
        (_, _, to) if to == watch.address => format!("{} received {worth} from {}", name(to), name(from)),
        _ => format!("{worth} left {} for {}", name(from), name(to)),
    }
}

/// Returns the tokens of a collection that move and the number of each, if they have ids: `token 7 of Apes`, `5 of
/// token 7 and 1 of token 9 of Badges`. If there are many, they are counted.
fn pieces(activity: &Activity, chain: ChainId, roster: &Routing) -> Option<String> {
    let list = |at: usize| activity.deed.args.get(at).and_then(|arg| arg.value.as_array());
    let collection = activity.deed.args.first()?.value.as_address()?;
    let one = |(id, amount): (&Value, &Value)| {
        let id = printable(id.to_string(), ARG_CHARS_MAX);
        if amount.as_uint() == Some(U256::ONE) {
            format!("token {id}")
        } else {
            format!("{} of token {id}", shown(amount, chain, roster))
        }
    };
    let (ids, amounts) = (list(4)?, list(5)?);
    let mut parts: Vec<String> = ids.iter().zip(amounts).take(PIECES_SAID_MAX).map(one).collect();
    if ids.len() > PIECES_SAID_MAX {
        parts.push(format!("{} more", ids.len() - PIECES_SAID_MAX));
    }
    Some(format!("{} of {}", joined(&parts), roster.names.show(chain, collection)))
}

/// `a`, `a and b`, `a, b and c`.
fn joined(parts: &[String]) -> String {
    match parts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => "nothing".to_owned(),
    }
}

/// An authorization of EIP-7702: an account lets a contract's code act as its own.
fn delegation(activity: &Activity, watch: &WatchInfo, roster: &Routing) -> String {
    match activity.deed.args.first().and_then(|arg| arg.value.as_address()) {
        Some(Address::ZERO) => format!("{} took back the delegation of its code", watch.label),
        Some(to) => format!("{} delegated its code to {}", watch.label, roster.names.show(watch.chain.id, to)),
        None => format!("{} signed a delegation of its code", watch.label),
    }
}

/// `name(to: Grantee: docs, amount: 5 SNT, …)`.
fn listed(activity: &Activity, chain: ChainId, roster: &Routing) -> String {
    let args = &activity.deed.args;
    let mut parts: Vec<String> = Vec::new();
    for arg in args.iter().take(ARGS_MAX) {
        let value = worth(arg, activity, chain, roster).unwrap_or_else(|| shown(&arg.value, chain, roster));
        let value = printable(value, ARG_CHARS_MAX);
        parts.push(if arg.name.is_empty() { value } else { format!("{}: {value}", arg.name) });
    }
    if args.len() > ARGS_MAX {
        parts.push("…".to_owned());
    }
    format!("{}({})", printable(&*activity.deed.name, ARG_CHARS_MAX), parts.join(", "))
}

/// Returns the amount of a token's own event, function or movement in the token's unit; `None` for every other
/// argument, and if the token's decimals are not known.
pub(super) fn worth(arg: &Arg, activity: &Activity, chain: ChainId, roster: &Routing) -> Option<String> {
    let token = token_of(activity)?;
    let number = arg.value.as_uint().filter(|_| is_amount(&arg.name) && roster.tokens.contains_key(&(chain, token)))?;
    Some(amount(number, Some(token), chain, roster))
}

fn is_amount(name: &str) -> bool {
    matches!(name.trim_matches('_'), "amount" | "value" | "wad")
}

/// Returns the contract whose function or event it is, or the token that moves.
pub(super) fn token_of(activity: &Activity) -> Option<Address> {
    match activity.kind {
        ActivityKind::Event | ActivityKind::State => Some(activity.from),
        ActivityKind::Move => activity.deed.args.first()?.value.as_address(),
        ActivityKind::Act | ActivityKind::Call => Some(activity.to.unwrap_or(activity.from)),
    }
}
