//! Grouping by cause: everything one transaction makes abnormal belongs together, and one watch owns it.

use super::roster::Roster;
use crate::model::{Abnormal, ActivityKind, FindingId, Judged, JudgedBlock, Kind, Position, Verdict, WatchInfo};
use alloy_primitives::{Address, B256};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

/// A verdict that is a finding of its own.
#[derive(Clone, Debug)]
pub(super) struct Raised<'a> {
    pub(super) id: FindingId,
    /// Place among the block's judged activities.
    pub(super) index: usize,
    pub(super) judged: &'a Judged,
    pub(super) abnormal: &'a Abnormal,
    pub(super) watch: &'a WatchInfo,
    /// The rule or the whole watch is only observed.
    pub(super) observe: bool,
}

/// What one transaction makes abnormal.
#[derive(Clone, Debug)]
pub(super) struct Cause<'a> {
    /// Never empty, each id once, in the order of the block.
    pub(super) raised: Vec<Raised<'a>>,
    /// Which of them is the innermost; its watch owns the incident.
    pub(super) innermost: usize,
    /// Labels of other watches the abnormal act passes through.
    pub(super) touches: BTreeSet<String>,
}

impl<'a> Cause<'a> {
    pub(super) fn owner(&self) -> &Raised<'a> {
        &self.raised[self.innermost]
    }
}

/// The causes of a block, in transaction order.
pub(super) fn causes<'a>(block: &'a JudgedBlock, roster: &'a Roster) -> Vec<Cause<'a>> {
    let mut order: Vec<B256> = Vec::new();
    let mut by_tx: HashMap<B256, (Vec<Raised<'a>>, BTreeSet<Address>)> = HashMap::new();
    for (index, judged) in block.judged.iter().enumerate() {
        let Verdict::Abnormal(abnormal) = &judged.verdict else { continue };
        let Some(watch) = roster.watch(judged.activity.watch) else { continue };
        let (raised, passed) = by_tx.entry(judged.activity.tx).or_insert_with(|| {
            order.push(judged.activity.tx);
            Default::default()
        });
        passed.insert(watch.address);
        if let Some(id) = judged.finding_id(block.chain, watch.address) {
            let observe = abnormal.observe || watch.observe;
            join(raised, Raised { id, index, judged, abnormal, watch, observe });
        }
    }
    let cause = |tx| {
        let (raised, passed) = by_tx.remove(&tx)?;
        let innermost = (0..raised.len()).max_by_key(|at| depth(&raised[*at], *at))?;
        let owner = raised[innermost].watch.address;
        let labels = roster.watches.iter().filter(|w| w.chain.id == block.chain && passed.contains(&w.address));
        let touches = labels.filter(|w| w.address != owner).map(|w| w.label.to_string()).collect();
        Some(Cause { raised, innermost, touches })
    };
    order.into_iter().filter_map(cause).collect()
}

/// An act of a contract on itself is both its act and a call to it: where both are raised by the same rule they are one
/// finding, the louder of the two.
fn join<'a>(raised: &mut Vec<Raised<'a>>, next: Raised<'a>) {
    match raised.iter_mut().find(|known| known.id == next.id) {
        Some(known) => {
            let observe = known.observe && next.observe;
            if next.abnormal.severity > known.abnormal.severity {
                *known = next;
            }
            known.observe = observe;
        }
        None => raised.push(next),
    }
}

/// How far inside its transaction a finding is; the largest owns the incident.
///
/// First what pages before what is only observed, since nobody would hear of an incident on an observed watch. Then a call by
/// its depth before any log, whose place says nothing of depth. At the same depth, who acts before who is called, logs or is
/// moved: a Safe that transfers an unlisted amount owns it, not the token it calls. Then wallets before other contracts, the
/// louder, and the first.
fn depth(raised: &Raised<'_>, at: usize) -> impl Ord + use<> {
    let activity = &raised.judged.activity;
    let depth = match &activity.position {
        Position::Call(path) => path.len() + 1,
        Position::Log(_) | Position::Authorization(_) => 0,
    };
    let part = match activity.kind {
        ActivityKind::Act => 3,
        ActivityKind::Call => 2,
        ActivityKind::Event => 1,
        ActivityKind::Move => 0,
    };
    let wallet = matches!(raised.watch.kind, Kind::Safe | Kind::Multisig | Kind::Eoa);
    (!raised.observe, depth, part, wallet, raised.abnormal.severity, Reverse(at))
}
