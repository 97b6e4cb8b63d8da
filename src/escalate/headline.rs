//! Sentence about what happened, with units.

use super::phrases::{format_token_amount, format_value, function_phrase};
use super::routing::{AddressNames, Routing};
use super::state;
use crate::model::activity::{Fate, Note, Operation, Role};
use crate::model::amount::Unit;
use crate::model::text::escape_unprintable;
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
pub fn activity_headline(activity: &Activity, watch: &WatchInfo, roster: &Routing) -> String {
    let chain = watch.chain.id;
    let matter = activity.notes.iter().find_map(|note| if let Note::Queue(what) = note { Some(what) } else { None });
    if let Some(what) = matter {
        let progress = activity.proposal_progress().map_or_else(String::new, |progress| format!(" ({progress})"));
        return escape_unprintable(format!("{} {what}{progress}", watch.label), HEADLINE_CHARS_MAX);
    }
    let sentence = match (activity.kind, &activity.position) {
        (_, Position::Due(due)) => {
            format!("{}: {} did not come by {}", watch.label, activity.deed.name, super::lines::format_rfc3339(*due))
        }
        (ActivityKind::Move, _) => movement_sentence(activity, watch, roster),
        (ActivityKind::State, _) => state::state_sentence(activity, watch, roster),
        (ActivityKind::Event, _) => format!("{} logged {}", watch.label, call_with_arguments(activity, chain, roster)),
        (_, Position::Authorization(_)) if activity.stage == Stage::Pending => {
            format!("{} (pending)", delegation_sentence(activity, watch, roster))
        }
        (_, Position::Authorization(_)) => delegation_sentence(activity, watch, roster),
        (ActivityKind::Act, _) => call_sentence(&watch.label, activity, chain, roster),
        (ActivityKind::Call, _) => {
            call_sentence(&roster.names.display_name(chain, activity.from), activity, chain, roster)
        }
    };
    escape_unprintable(sentence, HEADLINE_CHARS_MAX)
}

/// Wrappers around an activity, outermost first: `execTransaction at Treasury Safe`.
pub(super) fn wrapper_descriptions(activity: &Activity, chain: ChainId, names: &AddressNames) -> Vec<String> {
    let shown = |wrapper: &crate::model::Wrapper| {
        clean_line(&format!("{} at {}", wrapper.function, names.display_name(chain, wrapper.at)))
    };
    activity.via.iter().take(VIA_MAX).map(shown).collect()
}

/// Text that may come from the chain, on one line and of bounded length.
pub(super) fn clean_line(text: &str) -> String {
    escape_unprintable(text, TEXT_CHARS_MAX)
}

/// Returns the sentence of a call or an act by `who`.
fn call_sentence(who: &str, activity: &Activity, chain: ChainId, roster: &Routing) -> String {
    let (past, infinitive, rest) = activity_verb(activity, chain, roster);
    match activity.fate {
        Fate::Executed => format!("{who} {past} {rest}"),
        Fate::Waiting => match activity.proposal_progress() {
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
fn activity_verb(activity: &Activity, chain: ChainId, roster: &Routing) -> (&'static str, &'static str, String) {
    let to = match activity.to {
        Some(to) => roster.names.display_name(chain, to),
        None => "an unknown contract".to_owned(),
    };
    let worth = if activity.value.is_zero() {
        String::new()
    } else {
        format!(", along with {}", Unit::ether().format_amount(activity.value))
    };
    // Foreign code runs on the wallet's own storage, so the function's name does not say what it does.
    if activity.operation == Operation::Delegatecall {
        return (
            "ran",
            "run",
            format!(
                "foreign code as itself: {} of {to}, by delegatecall",
                call_with_arguments(activity, chain, roster)
            ),
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
        Decoding::Ether => ("sent", "send", format!("{} to {to}", Unit::ether().format_amount(activity.value))),
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
            if let Some(said) = function_phrase(activity, chain, roster) {
                return said;
            }
            if matches!(activity.role, Role::Envelope { .. }) {
                return ("executed", "execute", format!("{} of {to}{worth}", activity.deed.name));
            }
            ("called", "call", format!("{} on {to}{worth}", call_with_arguments(activity, chain, roster)))
        }
    }
}

/// Returns the sentence of a movement: a token's log that names the watch.
fn movement_sentence(activity: &Activity, watch: &WatchInfo, roster: &Routing) -> String {
    let chain = watch.chain.id;
    let address = |place: usize| activity.deed.args.get(place).and_then(|arg| arg.value.as_address());
    let value = activity.deed.args.get(3).and_then(|arg| arg.value.as_uint());
    let (Some(token), Some(from), Some(to), Some(value)) = (address(0), address(1), address(2), value) else {
        return format!("{} was part of {}", watch.label, call_with_arguments(activity, chain, roster));
    };
    let worth =
        token_pieces(activity, chain, roster).unwrap_or_else(|| format_token_amount(value, Some(token), chain, roster));
    let name = |address: Address| {
        if address == watch.address { watch.label.to_string() } else { roster.names.display_name(chain, address) }
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
fn token_pieces(activity: &Activity, chain: ChainId, roster: &Routing) -> Option<String> {
    let list = |at: usize| activity.deed.args.get(at).and_then(|arg| arg.value.as_array());
    let collection = activity.deed.args.first()?.value.as_address()?;
    let one = |(id, amount): (&Value, &Value)| {
        let id = escape_unprintable(id.to_string(), ARG_CHARS_MAX);
        if amount.as_uint() == Some(U256::ONE) {
            format!("token {id}")
        } else {
            format!("{} of token {id}", format_value(amount, chain, roster))
        }
    };
    let (ids, amounts) = (list(4)?, list(5)?);
    let mut parts: Vec<String> = ids.iter().zip(amounts).take(PIECES_SAID_MAX).map(one).collect();
    if ids.len() > PIECES_SAID_MAX {
        parts.push(format!("{} more", ids.len() - PIECES_SAID_MAX));
    }
    Some(format!("{} of {}", join_with_and(&parts), roster.names.display_name(chain, collection)))
}

/// `a`, `a and b`, `a, b and c`.
fn join_with_and(parts: &[String]) -> String {
    match parts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => "nothing".to_owned(),
    }
}

/// An authorization of EIP-7702: an account lets a contract's code act as its own.
fn delegation_sentence(activity: &Activity, watch: &WatchInfo, roster: &Routing) -> String {
    match activity.deed.args.first().and_then(|arg| arg.value.as_address()) {
        Some(Address::ZERO) => format!("{} took back the delegation of its code", watch.label),
        Some(to) => format!("{} delegated its code to {}", watch.label, roster.names.display_name(watch.chain.id, to)),
        None => format!("{} signed a delegation of its code", watch.label),
    }
}

/// `name(to: Grantee: docs, amount: 5 SNT, …)`.
fn call_with_arguments(activity: &Activity, chain: ChainId, roster: &Routing) -> String {
    let args = &activity.deed.args;
    let mut parts: Vec<String> = Vec::new();
    for arg in args.iter().take(ARGS_MAX) {
        let value =
            argument_amount(arg, activity, chain, roster).unwrap_or_else(|| format_value(&arg.value, chain, roster));
        let value = escape_unprintable(value, ARG_CHARS_MAX);
        parts.push(if arg.name.is_empty() { value } else { format!("{}: {value}", arg.name) });
    }
    if args.len() > ARGS_MAX {
        parts.push("…".to_owned());
    }
    format!("{}({})", escape_unprintable(&*activity.deed.name, ARG_CHARS_MAX), parts.join(", "))
}

/// Returns the amount of a token's own event, function or movement in the token's unit; `None` for every other
/// argument, and if the token's decimals are not known.
pub(super) fn argument_amount(arg: &Arg, activity: &Activity, chain: ChainId, roster: &Routing) -> Option<String> {
    let token = token_of(activity)?;
    let number = arg.value.as_uint().filter(|_| is_amount(&arg.name) && roster.tokens.contains_key(&(chain, token)))?;
    Some(format_token_amount(number, Some(token), chain, roster))
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
