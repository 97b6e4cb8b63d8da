//! What a Safe's queue shows to be wrong beside what its transactions would do: signatures that are nobody's, nonces that are
//! used twice or left out, approvals and executions that the queue never saw.
//!
//! In: what a service lists, each signature checked; what is remembered of earlier looks; what the Safe logged. Out: findings of
//! their own, of the cause that the Safe transaction hash names, so that another look and another machine find the same.

use super::builtin;
use super::rule::WatchRules;
use crate::model::activity::Note;
use crate::model::queue::{Checked, Progress, Queued, Remembered, SafeState, Trace, Waits};
use crate::model::value::{Arg, Value};
use crate::model::{
    Abnormal, Activity, ActivityKind, Decoding, Deed, Fate, Judged, Operation, Position, Role, Severity, Stage,
    Verdict, WatchId,
};
use alloy_primitives::{Address, B256, U256};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// One transaction that a service lists, with its signatures checked.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// As the service says.
    pub queued: &'a Queued,
    /// What its signatures come to.
    pub checked: &'a Checked,
}

/// When, and by how much patience, a queue is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Wall-clock milliseconds.
    pub now_ms: u64,
    /// Seconds after which agreement that nobody made use of is unusual.
    pub stale_after: u64,
    /// The nonce that the service believes the Safe to have: where it is ahead of the block we know, what lies between is no gap.
    pub service_nonce: U256,
}

/// One thing that is wrong with a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matter {
    /// The built-in that raises it.
    pub name: &'static str,
    /// How loud.
    pub severity: Severity,
    /// What is wrong, in one sentence for a headline.
    pub what: String,
    /// Why that counts.
    pub why: String,
}

/// What one look says of a listed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    /// How far it is.
    pub progress: Progress,
    /// What is wrong with it.
    pub matters: Vec<Matter>,
    /// Something is not certain yet, and counts if it is so at the next look: the service and our node need not be equally far.
    pub doubtful: bool,
}

/// What is known of a hash that the chain names and the queue does not list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The service knows who proposed it.
    Proposed,
    /// The service knows it from the chain alone, or is past it and does not know it.
    Never,
    /// The service is not as far as the chain yet, or did not answer.
    Unknown,
}

/// Looks at each of `listed`, all of one Safe and in the same order.
#[must_use]
pub fn weigh(
    listed: &[Listed<'_>],
    state: &SafeState,
    remembered: &[Remembered],
    rules: &WatchRules,
    look: Look,
) -> Vec<Weighed> {
    let known: HashMap<B256, &Remembered> = remembered.iter().map(|one| (one.hash, one)).collect();
    let nonces: BTreeSet<U256> = listed.iter().map(|one| one.queued.nonce).collect();
    let base = state.nonce.max(look.service_nonce);
    listed
        .iter()
        .map(|one| {
            let before = known.get(&one.checked.hash).copied();
            let progress = Progress {
                nonce: one.queued.nonce,
                confirmed: u32::try_from(one.checked.signers.len()).unwrap_or(u32::MAX),
                threshold: state.threshold,
                next: one.queued.nonce == state.nonce,
            };
            let mut matters: Vec<Matter> = [
                forged(one.checked),
                claimed(one),
                proposer(one.queued, state, rules),
                replaces(one, listed, remembered, &known),
                old(one, before, progress, look),
            ]
            .into_iter()
            .flatten()
            .collect();
            let doubts: Vec<Matter> =
                [unproven(one.checked), gap(one.queued.nonce, base, &nonces)].into_iter().flatten().collect();
            let doubtful = !doubts.is_empty();
            if before.is_some_and(|before| before.doubtful) {
                matters.extend(doubts);
            }
            matters.retain(|matter| !rules.builtins_off.contains(matter.name));
            Weighed { progress, matters, doubtful }
        })
        .collect()
}

/// The findings that `matters` are, each beside the envelope's own verdict.
pub fn raise<'a>(
    envelope: &'a Activity,
    matters: &'a [Matter],
    rules: &'a WatchRules,
) -> impl Iterator<Item = Judged> + 'a {
    matters.iter().map(|matter| {
        let mut activity = Activity { role: Role::Leaf, ..envelope.clone() };
        activity.notes.push(Note::Queue(matter.what.clone()));
        Judged { activity, verdict: verdict(matter, rules) }
    })
}

/// What the queue says against a log of the Safe; nothing where it knows of it. `displaced`: something else was queued at the nonce
/// that was used meanwhile.
#[must_use]
pub fn account(trace: &Trace, lookup: Lookup, displaced: bool, watch: WatchId, rules: &WatchRules) -> Option<Judged> {
    if lookup != Lookup::Never {
        return None;
    }
    let matter = match (trace.executed, displaced) {
        (true, true) => Matter {
            name: builtin::QUEUE_UNPROPOSED,
            severity: Severity::Critical,
            what: "executed something else than what was queued".to_owned(),
            why: format!("{} was never proposed, and another transaction waited for its nonce", trace.hash),
        },
        (true, false) => Matter {
            name: builtin::QUEUE_UNPROPOSED,
            severity: Severity::High,
            what: "executed a transaction that was never proposed".to_owned(),
            why: format!("{} went past the queue in which its owners look at transactions", trace.hash),
        },
        (false, _) => Matter {
            name: builtin::QUEUE_APPROVAL,
            severity: Severity::High,
            what: "was given an approval for a hash that is not in its queue".to_owned(),
            why: format!("nobody can see what {} stands for", trace.hash),
        },
    };
    if rules.builtins_off.contains(matter.name) {
        return None;
    }
    let mut activity = logged(trace, watch, rules.address);
    activity.notes.push(Note::Queue(matter.what.clone()));
    Some(Judged { activity, verdict: verdict(&matter, rules) })
}

/// What became of what is remembered, now that `listed` are the hashes that wait and `executed` those that the Safe has logged.
/// Gives back those that changed.
#[must_use]
pub fn settle(
    remembered: &[Remembered],
    listed: &BTreeSet<B256>,
    executed: &BTreeSet<B256>,
    state: &SafeState,
) -> Vec<Remembered> {
    let now = |one: &Remembered| match one.waits {
        _ if executed.contains(&one.hash) => Waits::Executed,
        // A reorg may have undone what used its nonce up.
        _ if listed.contains(&one.hash) && one.nonce >= state.nonce => Waits::Queued,
        Waits::Queued | Waits::Withdrawn if one.nonce < state.nonce => Waits::Replaced,
        Waits::Queued => Waits::Withdrawn,
        ended => ended,
    };
    let changed = remembered.iter().map(|one| Remembered { waits: now(one), ..one.clone() });
    changed.zip(remembered).filter(|(after, before)| after.waits != before.waits).map(|(after, _)| after).collect()
}

fn verdict(matter: &Matter, rules: &WatchRules) -> Verdict {
    Verdict::Abnormal(Abnormal {
        rule: Arc::from(matter.name),
        severity: matter.severity,
        reasons: vec![matter.why.clone()],
        near: 1,
        observe: rules.observe,
        repeats: None,
    })
}

fn forged(checked: &Checked) -> Option<Matter> {
    let (owner, signer) = checked.forged.first()?;
    let signed = match signer {
        Some(signer) => format!("over this transaction it is the signature of {signer}"),
        None => "it is no signature at all".to_owned(),
    };
    let more = match checked.forged.len() {
        1 => String::new(),
        n => format!("; {} more are not their owners' either", n - 1),
    };
    Some(Matter {
        name: builtin::QUEUE_SIGNATURE,
        severity: Severity::Critical,
        what: "has a queued transaction whose signatures are not its owners'".to_owned(),
        why: format!("{owner} is said to have signed, and {signed}: what the owner saw was something else{more}"),
    })
}

fn unproven(checked: &Checked) -> Option<Matter> {
    let owner = checked.unproven.first()?;
    Some(Matter {
        name: builtin::QUEUE_SIGNATURE,
        severity: Severity::Critical,
        what: "has a queued transaction with an approval that the chain does not know".to_owned(),
        why: format!("{owner} is said to have agreed, and neither the Safe nor that contract says so"),
    })
}

fn claimed(one: &Listed<'_>) -> Option<Matter> {
    (one.queued.claimed != one.checked.hash).then(|| Matter {
        name: builtin::QUEUE_HASH,
        severity: Severity::Critical,
        what: "has a queued transaction under a hash that its fields do not give".to_owned(),
        why: format!("the service names {}, its fields give {}", one.queued.claimed, one.checked.hash),
    })
}

/// Owners may propose, and whom the registry says they delegate it to.
fn proposer(queued: &Queued, state: &SafeState, rules: &WatchRules) -> Option<Matter> {
    let owns = |who: &Address| {
        rules.owners.as_ref().map_or_else(|| state.owners.contains(who), |set| set.members.contains(who))
    };
    let delegated = |who: &Address| rules.delegates.as_ref().is_some_and(|set| set.members.contains(who));
    let why = match queued.proposer {
        Some(who) if owns(&who) || delegated(&who) => return None,
        Some(who) => format!("{who} proposed it, and is neither an owner nor in registry.delegates"),
        None => "the service does not say who proposed it".to_owned(),
    };
    let what = "has a queued transaction that nobody known proposed".to_owned();
    Some(Matter { name: builtin::QUEUE_PROPOSER, severity: Severity::Warning, what, why })
}

/// Another transaction was there for its nonce before. A rejection is how owners take one back.
fn replaces(
    one: &Listed<'_>,
    listed: &[Listed<'_>],
    remembered: &[Remembered],
    known: &HashMap<B256, &Remembered>,
) -> Option<Matter> {
    if one.queued.rejects() {
        return None;
    }
    let own = one.checked.hash;
    // What was never seen came later than what was; of two that are new, the service's word and then the hash decide, so that every
    // look says the same.
    let age = |hash: B256, submitted: Option<u64>| match known.get(&hash) {
        Some(known) => (0, known.seen_at, submitted, hash),
        None => (1, 0, submitted, hash),
    };
    let mine = age(own, one.queued.submitted);
    let beside = listed.iter().filter(|other| other.queued.nonce == one.queued.nonce && other.checked.hash != own);
    let beside =
        beside.filter(|other| age(other.checked.hash, other.queued.submitted) < mine).map(|other| other.checked.hash);
    let gone = remembered.iter().filter(|other| other.nonce == one.queued.nonce && other.hash != own);
    let gone =
        gone.filter(|other| other.waits != Waits::Replaced && age(other.hash, None) < mine).map(|other| other.hash);
    let other = beside.chain(gone).min()?;
    Some(Matter {
        name: builtin::QUEUE_REPLACED,
        severity: Severity::Warning,
        what: "has a second queued transaction for one nonce".to_owned(),
        why: format!("nonce {} was {other} before: only one of them can be executed", one.queued.nonce),
    })
}

/// Nobody in the queue is there for the nonce before it, so that something out of sight has to be executed first.
fn gap(nonce: U256, base: U256, nonces: &BTreeSet<U256>) -> Option<Matter> {
    let before = nonce.checked_sub(U256::ONE).filter(|before| *before >= base && !nonces.contains(before))?;
    Some(Matter {
        name: builtin::QUEUE_GAP,
        severity: Severity::Warning,
        what: "has a queued transaction behind a nonce that nothing is queued for".to_owned(),
        why: format!("nonce {before} has to be used first, and nothing that can be seen uses it"),
    })
}

fn old(one: &Listed<'_>, before: Option<&Remembered>, progress: Progress, look: Look) -> Option<Matter> {
    let since_ms = before.map_or(look.now_ms, |before| before.seen_at);
    let since = one.queued.submitted.unwrap_or(u64::MAX).min(since_ms / 1_000);
    let age = (look.now_ms / 1_000).saturating_sub(since);
    let stale = progress.next && progress.confirmed > 0 && age > look.stale_after;
    stale.then(|| Matter {
        name: builtin::QUEUE_STALE,
        severity: Severity::High,
        what: "has a queued transaction that was agreed to long ago".to_owned(),
        why: format!("it waits for {} days, and {} of {} agreed", age / 86_400, progress.confirmed, progress.threshold),
    })
}

/// A log of the Safe, as far as it is remembered.
fn logged(trace: &Trace, watch: WatchId, safe: Address) -> Activity {
    let name = if trace.executed { "ExecutionSuccess" } else { "ApproveHash" };
    let signature = if trace.executed { "ExecutionSuccess(bytes32,uint256)" } else { "ApproveHash(bytes32,address)" };
    let arg = |name: &str, ty: &str, value| Arg { name: name.into(), ty: ty.into(), value, span: None };
    let mut args = vec![arg("hash", "bytes32", Value::FixedBytes(trace.hash, 32))];
    args.extend(trace.owner.map(|owner| arg("owner", "address", Value::Address(owner))));
    Activity {
        watch,
        kind: ActivityKind::Event,
        stage: Stage::Included,
        fate: Fate::Executed,
        tx: trace.tx,
        tx_index: 0,
        position: Position::Log(trace.ordinal),
        from: safe,
        origin: trace.origin,
        to: None,
        value: U256::ZERO,
        deed: Deed {
            name: name.into(),
            signature: signature.into(),
            selector: None,
            topic0: None,
            args,
            decoding: Decoding::Clean,
            mutates: true,
        },
        operation: Operation::Call,
        signers: None,
        via: vec![],
        role: Role::Leaf,
        notes: vec![],
    }
}
