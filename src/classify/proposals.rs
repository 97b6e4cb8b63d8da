//! Problems in a Safe's proposals, apart from the effects of their transactions: signatures that are not the owners',
//! nonces that are used twice or left out, approvals and executions of transactions that were never proposed.
//!
//! Input: the transactions that a service lists, each signature checked; the results of earlier looks; the logs of the
//! Safe. Output: separate findings whose cause is the Safe transaction hash, so that another look and another machine
//! produce the same ones.

use super::builtin;
use super::rule::WatchRules;
use crate::model::activity::Note;
use crate::model::proposals::{Checked, Progress, Queued, Remembered, SafeState, Trace, Waits};
use crate::model::value::{Arg, Value};
use crate::model::{
    Abnormal, Activity, ActivityKind, DecodedCall, Fate, Judged, Operation, Position, Role, Severity, Stage, Verdict,
    WatchId,
};
use alloy_primitives::{Address, B256, U256};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Transaction that a service lists, with its signatures checked.
#[derive(Clone, Copy, Debug)]
pub struct ListedProposal<'a> {
    /// Transaction as the service reports it.
    pub queued: &'a Queued,
    /// Result of the check of its signatures.
    pub checked: &'a Checked,
}

/// Time and limits of one check of a Safe's proposals.
#[derive(Clone, Copy, Debug)]
pub struct ProposalSnapshot {
    /// Wall-clock milliseconds.
    pub now_ms: u64,
    /// Number of seconds after which a confirmed but unexecuted transaction is unusual.
    pub stale_after: u64,
    /// Nonce of the Safe according to the service. Where it is ahead of our newest block, the nonces in between are not
    /// a gap.
    pub service_nonce: U256,
}

/// Problem in a Safe's proposals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalIssue {
    /// The built-in that raises it.
    pub name: &'static str,
    /// Severity of the problem.
    pub severity: Severity,
    /// Problem in one sentence, for a headline.
    pub what: String,
    /// Reason why the problem matters.
    pub why: String,
}

/// Result of one check of a listed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedProposals {
    /// Progress of the transaction towards execution.
    pub progress: Progress,
    /// Problems of the transaction.
    pub matters: Vec<ProposalIssue>,
    /// Some result is uncertain and counts only if the next look confirms it: the service and our node may be at
    /// different blocks.
    pub doubtful: bool,
}

/// Knowledge of the service about a hash that the chain names and the proposals do not list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The service knows who proposed it.
    Proposed,
    /// The service knows it only from the chain, or has passed its block and does not know it.
    Never,
    /// The service has not reached that block of the chain yet, or did not answer.
    Unknown,
}

/// Checks each of `listed`, which all belong to one Safe, and returns the results in the same order.
#[must_use]
pub fn assess_proposals(
    listed: &[ListedProposal<'_>],
    state: &SafeState,
    remembered: &[Remembered],
    rules: &WatchRules,
    look: ProposalSnapshot,
) -> Vec<JudgedProposals> {
    let known: HashMap<B256, &Remembered> = remembered.iter().map(|one| (one.hash, one)).collect();
    let nonces: BTreeSet<U256> = listed.iter().map(|one| one.queued.nonce).collect();
    let waiting: HashSet<B256> = listed.iter().map(|one| one.checked.hash).collect();
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
            let mut matters: Vec<ProposalIssue> = [
                forged_signature(one.checked),
                mismatched_hash(one),
                unexpected_proposer(one.queued, state, rules),
                replaced_proposal(one, listed, &waiting, remembered, &known),
                stale_proposal(one, before, progress, look),
            ]
            .into_iter()
            .flatten()
            .collect();
            let doubts: Vec<ProposalIssue> =
                [unproven_approval(one.checked), nonce_gap(one.queued.nonce, base, &nonces)]
                    .into_iter()
                    .flatten()
                    .collect();
            let doubtful = !doubts.is_empty();
            if before.is_some_and(|before| before.doubtful) {
                matters.extend(doubts);
            }
            matters.retain(|matter| !rules.builtins_off.contains(matter.name));
            JudgedProposals { progress, matters, doubtful }
        })
        .collect()
}

/// Returns a finding for each of `matters`, in addition to the envelope's own verdict.
pub fn proposal_findings<'a>(
    envelope: &'a Activity,
    matters: &'a [ProposalIssue],
    rules: &'a WatchRules,
) -> impl Iterator<Item = Judged> + 'a {
    matters.iter().map(|matter| {
        let mut activity = Activity { role: Role::Leaf, ..envelope.clone() };
        activity.notes.push(Note::Queue(matter.what.clone()));
        Judged { activity, verdict: matter_verdict(matter, rules) }
    })
}

/// Returns the finding that the proposals support against a log of the Safe; `None` unless the transaction was never
/// proposed. `displaced`: another transaction was queued at the nonce that was used meanwhile.
#[must_use]
pub fn judge_safe_log(
    trace: &Trace,
    lookup: Lookup,
    displaced: bool,
    watch: WatchId,
    rules: &WatchRules,
) -> Option<Judged> {
    if lookup != Lookup::Never {
        return None;
    }
    let matter = match (trace.executed, displaced) {
        (true, true) => ProposalIssue {
            name: builtin::QUEUE_UNPROPOSED,
            severity: Severity::Critical,
            what: "executed something else than what was queued".to_owned(),
            why: format!("{} was never proposed, and another transaction waited for its nonce", trace.hash),
        },
        (true, false) => ProposalIssue {
            name: builtin::QUEUE_UNPROPOSED,
            severity: Severity::High,
            what: "executed a transaction that was never proposed".to_owned(),
            why: format!("{} went past the queue in which its owners look at transactions", trace.hash),
        },
        (false, _) => ProposalIssue {
            name: builtin::QUEUE_APPROVAL,
            severity: Severity::High,
            what: "was given an approval for a hash that is not in its queue".to_owned(),
            why: format!("nobody can see what {} stands for", trace.hash),
        },
    };
    if rules.builtins_off.contains(matter.name) {
        return None;
    }
    let mut activity = safe_log_activity(trace, watch, rules.address);
    activity.notes.push(Note::Queue(matter.what.clone()));
    Some(Judged { activity, verdict: matter_verdict(&matter, rules) })
}

/// Updates the remembered transactions, given the hashes in `listed` that wait and the hashes in `executed` that the
/// Safe has logged. Returns those that changed.
#[must_use]
pub fn resolve_remembered(
    remembered: &[Remembered],
    listed: &BTreeSet<B256>,
    executed: &BTreeSet<B256>,
    state: &SafeState,
) -> Vec<Remembered> {
    let now = |one: &Remembered| match one.waits {
        _ if executed.contains(&one.hash) => Waits::Executed,
        // A reorg may have undone the transaction that used up its nonce.
        _ if listed.contains(&one.hash) && one.nonce >= state.nonce => Waits::Queued,
        Waits::Queued | Waits::Withdrawn if one.nonce < state.nonce => Waits::Replaced,
        Waits::Queued => Waits::Withdrawn,
        ended => ended,
    };
    let changed = remembered.iter().map(|one| Remembered { waits: now(one), ..one.clone() });
    changed.zip(remembered).filter(|(after, before)| after.waits != before.waits).map(|(after, _)| after).collect()
}

fn matter_verdict(matter: &ProposalIssue, rules: &WatchRules) -> Verdict {
    Verdict::Abnormal(Abnormal {
        rule: Arc::from(matter.name),
        severity: matter.severity,
        reasons: vec![matter.why.clone()],
        near: 1,
        observe: rules.observe,
        hushed: false,
        repeats: None,
    })
}

fn forged_signature(checked: &Checked) -> Option<ProposalIssue> {
    let (owner, signer) = checked.forged.first()?;
    let signed = match signer {
        Some(signer) => format!("over this transaction it is the signature of {signer}"),
        None => "it is no signature at all".to_owned(),
    };
    let more = match checked.forged.len() {
        1 => String::new(),
        n => format!("; {} more are not their owners' either", n - 1),
    };
    Some(ProposalIssue {
        name: builtin::QUEUE_SIGNATURE,
        severity: Severity::Critical,
        what: "has a queued transaction whose signatures are not its owners'".to_owned(),
        why: format!("{owner} is said to have signed, and {signed}: what the owner saw was something else{more}"),
    })
}

fn unproven_approval(checked: &Checked) -> Option<ProposalIssue> {
    let owner = checked.unproven.first()?;
    Some(ProposalIssue {
        name: builtin::QUEUE_SIGNATURE,
        severity: Severity::Critical,
        what: "has a queued transaction with an approval that the chain does not know".to_owned(),
        why: format!("{owner} is said to have agreed, and neither the Safe nor that contract says so"),
    })
}

fn mismatched_hash(one: &ListedProposal<'_>) -> Option<ProposalIssue> {
    (one.queued.claimed != one.checked.hash).then(|| ProposalIssue {
        name: builtin::QUEUE_HASH,
        severity: Severity::Critical,
        what: "has a queued transaction under a hash that its fields do not give".to_owned(),
        why: format!("the service names {}, its fields give {}", one.queued.claimed, one.checked.hash),
    })
}

/// Checks the proposer. Owners may propose, and so may the delegates of `registry.delegates`.
fn unexpected_proposer(queued: &Queued, state: &SafeState, rules: &WatchRules) -> Option<ProposalIssue> {
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
    Some(ProposalIssue { name: builtin::QUEUE_PROPOSER, severity: Severity::Warning, what, why })
}

/// Finds an earlier transaction for the same nonce. Owners withdraw a transaction by a rejection.
fn replaced_proposal(
    one: &ListedProposal<'_>,
    listed: &[ListedProposal<'_>],
    waiting: &HashSet<B256>,
    remembered: &[Remembered],
    known: &HashMap<B256, &Remembered>,
) -> Option<ProposalIssue> {
    if one.queued.is_rejection() {
        return None;
    }
    let own = one.checked.hash;
    let seen_at = |hash: &B256| known.get(hash).map_or(u64::MAX, |known| known.seen_at);
    // A transaction that was not seen before counts as later than one that was. For two that were first seen together,
    // the service's submission time decides; then a rejection comes after the transaction it rejects; then the hash
    // decides, so that every look gives the same order.
    let age = |one: &ListedProposal<'_>| {
        (seen_at(&one.checked.hash), one.queued.submitted, one.queued.is_rejection(), one.checked.hash)
    };
    let beside = listed.iter().filter(|other| other.queued.nonce == one.queued.nonce && other.checked.hash != own);
    let beside = beside.filter(|other| age(other) < age(one)).map(|other| other.checked.hash);
    let gone = remembered.iter().filter(|other| other.nonce == one.queued.nonce && !waiting.contains(&other.hash));
    let gone =
        gone.filter(|other| other.waits != Waits::Replaced && other.seen_at < seen_at(&own)).map(|other| other.hash);
    let other = beside.chain(gone).min()?;
    Some(ProposalIssue {
        name: builtin::QUEUE_REPLACED,
        severity: Severity::Warning,
        what: "has a second queued transaction for one nonce".to_owned(),
        why: format!("nonce {} was {other} before: only one of them can be executed", one.queued.nonce),
    })
}

/// Returns a problem if no proposal has the preceding nonce, so that an unseen transaction has to be executed first.
fn nonce_gap(nonce: U256, base: U256, nonces: &BTreeSet<U256>) -> Option<ProposalIssue> {
    let before = nonce.checked_sub(U256::ONE).filter(|before| *before >= base && !nonces.contains(before))?;
    Some(ProposalIssue {
        name: builtin::QUEUE_GAP,
        severity: Severity::Warning,
        what: "has a queued transaction behind a nonce that nothing is queued for".to_owned(),
        why: format!("nonce {before} has to be used first, and nothing that can be seen uses it"),
    })
}

fn stale_proposal(
    one: &ListedProposal<'_>,
    before: Option<&Remembered>,
    progress: Progress,
    look: ProposalSnapshot,
) -> Option<ProposalIssue> {
    let since_ms = before.map_or(look.now_ms, |before| before.seen_at);
    let since = one.queued.submitted.unwrap_or(u64::MAX).min(since_ms / 1_000);
    let age = (look.now_ms / 1_000).saturating_sub(since);
    let stale = progress.next && progress.confirmed > 0 && age > look.stale_after;
    stale.then(|| ProposalIssue {
        name: builtin::QUEUE_STALE,
        severity: Severity::High,
        what: "has a queued transaction that was agreed to long ago".to_owned(),
        why: format!("it waits for {} days, and {} of {} agreed", age / 86_400, progress.confirmed, progress.threshold),
    })
}

/// Returns a log of the Safe as an activity, as far as it is remembered.
fn safe_log_activity(trace: &Trace, watch: WatchId, safe: Address) -> Activity {
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
        deed: DecodedCall::without_calldata(name, signature, args),
        operation: Operation::Call,
        signers: None,
        via: vec![],
        role: Role::Leaf,
        notes: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::kind_named;
    use crate::model::{BlockRef, ChainId};

    const SAFE: Address = Address::repeat_byte(0x5a);
    const OWNER: Address = Address::repeat_byte(0xa);

    fn rules() -> WatchRules {
        WatchRules {
            watch: WatchId(0),
            chain: ChainId(1),
            address: SAFE,
            kind: kind_named("safe").unwrap(),
            rules: vec![],
            expected: vec![],
            builtins_off: BTreeSet::new(),
            judge_inbound: false,
            executors: None,
            owners: None,
            threshold: None,
            modules: None,
            delay: None,
            implementations: None,
            delegates: None,
            refund_receivers: None,
            known_tokens: Arc::default(),
            watched: Arc::default(),
            familiar: Arc::default(),
            observe: false,
        }
    }

    fn state(nonce: u64) -> SafeState {
        SafeState { nonce: U256::from(nonce), threshold: 2, owners: vec![OWNER], domain: B256::ZERO }
    }

    fn hash(n: u8) -> B256 {
        B256::repeat_byte(n)
    }

    /// Returns transaction `n` at `nonce` with nothing wrong.
    fn item(n: u8, nonce: u64) -> (Queued, Checked) {
        let queued = Queued {
            safe: SAFE,
            to: Address::repeat_byte(1),
            nonce: U256::from(nonce),
            claimed: hash(n),
            proposer: Some(OWNER),
            submitted: Some(1_000),
            ..Queued::default()
        };
        (queued, Checked { hash: hash(n), ..Checked::default() })
    }

    fn remembered(n: u8, nonce: u64, seen_at: u64) -> Remembered {
        let progress = Progress { nonce: U256::from(nonce), confirmed: 0, threshold: 2, next: false };
        Remembered {
            hash: hash(n),
            nonce: U256::from(nonce),
            waits: Waits::Queued,
            first: 1,
            time: 1,
            seen_at,
            rejects: false,
            judged: B256::ZERO,
            progress,
            doubtful: false,
        }
    }

    /// Returns the problems of each item, by name, at nonce 5.
    fn said(items: &[(Queued, Checked)], known: &[Remembered]) -> Vec<String> {
        let listed: Vec<_> = items.iter().map(|(queued, checked)| ListedProposal { queued, checked }).collect();
        let look = ProposalSnapshot { now_ms: 2_000_000, stale_after: 1_500, service_nonce: U256::from(5) };
        let name = |matter: &ProposalIssue| matter.name.trim_start_matches("builtin/queue-").to_owned();
        let names = |one: JudgedProposals| one.matters.iter().map(name).collect::<Vec<_>>().join(" ");
        assess_proposals(&listed, &state(5), known, &rules(), look).into_iter().map(names).collect()
    }

    #[test]
    fn the_later_of_two_for_one_nonce_is_told_and_a_rejection_is_not() {
        assert_eq!(said(&[item(1, 5)], &[]), [""]);
        assert_eq!(
            said(&[item(2, 5), item(1, 5)], &[]),
            ["replaced", ""],
            "of two that are new every look says the same"
        );
        let both = [remembered(1, 5, 9), remembered(2, 5, 9)];
        assert_eq!(said(&[item(2, 5), item(1, 5)], &both), ["replaced", ""], "also the looks after it");
        assert_eq!(
            said(&[item(2, 5), item(1, 5)], &[remembered(2, 5, 9)]),
            ["", "replaced"],
            "who was there first is known"
        );
        let (mut rejection, checked) = item(3, 5);
        rejection.to = SAFE;
        assert_eq!(said(&[item(1, 5), (rejection, checked)], &[remembered(1, 5, 9)]), ["", ""]);
        let (mut rejection, checked) = item(3, 5);
        rejection.to = SAFE;
        assert_eq!(said(&[item(4, 5), (rejection, checked)], &[]), ["", ""], "a rejection comes after what it rejects");
        let gone = Remembered { waits: Waits::Withdrawn, ..remembered(1, 5, 9) };
        assert_eq!(said(&[item(2, 5)], &[gone]), ["replaced"], "what was taken away and put there anew");
    }

    #[test]
    fn a_gap_counts_at_the_second_look_and_not_where_the_service_is_ahead_of_us() {
        assert_eq!(said(&[item(1, 7)], &[]), [""]);
        let doubted = Remembered { doubtful: true, ..remembered(1, 7, 9) };
        assert_eq!(said(&[item(1, 7)], std::slice::from_ref(&doubted)), ["gap"]);
        assert_eq!(said(&[item(1, 7), item(2, 6), item(3, 5)], &[doubted]), ["", "", ""]);
        let ahead = Remembered { doubtful: true, ..remembered(1, 6, 9) };
        let (queued, checked) = item(1, 6);
        let listed = [ListedProposal { queued: &queued, checked: &checked }];
        let look = ProposalSnapshot { now_ms: 0, stale_after: 0, service_nonce: U256::from(6) };
        assert!(assess_proposals(&listed, &state(5), &[ahead], &rules(), look)[0].matters.is_empty());
    }

    #[test]
    fn agreement_grows_old_for_what_comes_next() {
        let agreed = |n, nonce| {
            let (mut queued, mut checked) = item(n, nonce);
            queued.submitted = Some(100);
            checked.signers.push(OWNER);
            (queued, checked)
        };
        assert_eq!(said(&[agreed(1, 5), agreed(2, 6)], &[]), ["stale", ""]);
        let (mut nobody, checked) = item(1, 5);
        nobody.submitted = Some(100);
        assert_eq!(said(&[(nobody, checked)], &[]), [""], "that nobody agreed to is no news");
        let seen_long_ago = remembered(1, 5, 100_000);
        let (mut future, mut checked) = item(1, 5);
        (future.submitted, checked.signers) = (Some(u64::MAX), vec![OWNER]);
        assert_eq!(said(&[(future, checked)], &[seen_long_ago]), ["stale"], "a service cannot make it younger");
    }

    #[test]
    fn what_is_switched_off_is_not_told() {
        let off = WatchRules { builtins_off: [Arc::from(builtin::QUEUE_PROPOSER)].into(), ..rules() };
        let (mut queued, checked) = item(1, 5);
        queued.proposer = None;
        let listed = [ListedProposal { queued: &queued, checked: &checked }];
        let look = ProposalSnapshot { now_ms: 0, stale_after: 1, service_nonce: U256::ZERO };
        let told = |rules: &WatchRules| assess_proposals(&listed, &state(5), &[], rules, look)[0].matters.len();
        assert_eq!((told(&rules()), told(&off)), (1, 0));
    }

    #[test]
    fn what_becomes_of_a_queued_transaction_is_seen_from_the_chain_and_from_the_list() {
        let known = [remembered(1, 5, 1), remembered(2, 5, 2), remembered(3, 6, 3), remembered(4, 7, 4)];
        let settled = resolve_remembered(&known, &[hash(4)].into(), &[hash(1)].into(), &state(6));
        let became: Vec<_> = settled.iter().map(|one| (one.hash, one.waits)).collect();
        assert_eq!(became, [(hash(1), Waits::Executed), (hash(2), Waits::Replaced), (hash(3), Waits::Withdrawn)]);
        // A reorg undoes the execution, and the service lists the transaction again.
        let executed = Remembered { waits: Waits::Executed, ..remembered(1, 5, 1) };
        let again = resolve_remembered(&[executed], &[hash(1)].into(), &BTreeSet::new(), &state(5));
        assert_eq!(again[0].waits, Waits::Queued);
    }

    #[test]
    fn a_log_is_held_against_the_queue_once_the_service_can_know_of_it() {
        let trace = |executed| Trace {
            seq: 1,
            executed,
            hash: hash(1),
            owner: None,
            tx: hash(9),
            origin: OWNER,
            ordinal: 3,
            at: BlockRef { number: 1, hash: hash(8) },
            time: 1,
        };
        let told = |executed, lookup, displaced| {
            let judged = judge_safe_log(&trace(executed), lookup, displaced, WatchId(0), &rules())?;
            let Verdict::Abnormal(abnormal) = judged.verdict else { panic!("a finding") };
            assert_eq!((judged.activity.tx, &judged.activity.position), (hash(9), &Position::Log(3)));
            Some((abnormal.rule.to_string(), abnormal.severity))
        };
        for lookup in [Lookup::Proposed, Lookup::Unknown] {
            assert_eq!(told(true, lookup, true), None);
        }
        let unproposed = |severity| Some(("builtin/queue-unproposed".to_owned(), severity));
        assert_eq!(told(true, Lookup::Never, false), unproposed(Severity::High));
        assert_eq!(told(true, Lookup::Never, true), unproposed(Severity::Critical));
        assert_eq!(told(false, Lookup::Never, true), Some(("builtin/queue-approval".to_owned(), Severity::High)));
    }
}
