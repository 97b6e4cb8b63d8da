//! Groups findings by cause: all findings of one transaction for one path belong together, and one watch owns the
//! incident.

use super::routing::Routing;
use crate::contracts::{self, Property};
use crate::model::{Abnormal, ActivityKind, FindingId, Judged, JudgedBlock, Position, Verdict, WatchId, WatchInfo};
use alloy_primitives::B256;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

/// A verdict that is a finding of its own.
#[derive(Clone, Debug)]
pub(super) struct RaisedFinding<'a> {
    pub(super) id: FindingId,
    /// Place among the block's judged activities.
    pub(super) index: usize,
    pub(super) judged: &'a Judged,
    pub(super) abnormal: &'a Abnormal,
    pub(super) watch: &'a WatchInfo,
    /// The rule or the whole watch is in observe mode.
    pub(super) observe: bool,
}

/// Abnormal activities of one transaction for one path.
#[derive(Clone, Debug)]
pub(super) struct FindingCause<'a> {
    /// Never empty, each id once, in the order of the block.
    pub(super) raised: Vec<RaisedFinding<'a>>,
    /// Index of the innermost finding, whose watch owns the incident.
    pub(super) innermost: usize,
    /// Labels of the other watches through which the abnormal act passes.
    pub(super) touches: BTreeSet<String>,
    /// True if all of it is noise, which is kept apart from other findings.
    pub(super) noise: bool,
}

impl<'a> FindingCause<'a> {
    pub(super) fn owner(&self) -> &RaisedFinding<'a> {
        &self.raised[self.innermost]
    }
}

/// Returns the causes of a block in transaction order. There is one for each path with watches for which a transaction
/// is abnormal, so that the sender cannot choose the recipients by touching other contracts. Noise of a transaction is
/// a separate cause for each watch, and so is a finding without a transaction.
pub(super) fn block_causes<'a>(block: &'a JudgedBlock, roster: &'a Routing) -> Vec<FindingCause<'a>> {
    type Whole = (B256, Option<WatchId>, bool);
    type Key<'a> = (Whole, &'a str);
    let mut order: Vec<Key<'a>> = Vec::new();
    let mut by_path: HashMap<Key<'a>, IncidentGroup<'a>> = HashMap::new();
    // Watches with any abnormal verdict, including repeated ones and those of other paths.
    let mut passed: HashMap<Whole, BTreeSet<WatchId>> = HashMap::new();
    for (index, judged) in block.judged.iter().enumerate() {
        let Verdict::Abnormal(abnormal) = &judged.verdict else { continue };
        let Some(watch) = roster.watch(judged.activity.watch) else { continue };
        // Findings without a transaction have only the block in common.
        let (tx, noise) = (judged.activity.tx, abnormal.is_noise());
        let whole = (tx, (noise || block.transaction_of(&judged.activity).is_zero()).then_some(watch.id), noise);
        passed.entry(whole).or_default().insert(watch.id);
        let key = (whole, &*watch.path);
        let gathered = by_path.entry(key).or_insert_with(|| {
            order.push(key);
            IncidentGroup::default()
        });
        if let Some(id) = judged.finding_id(block.chain, watch.address) {
            let observe = abnormal.observe || watch.observe;
            gathered.merge_raised(RaisedFinding { id, index, judged, abnormal, watch, observe });
        }
    }
    let cause = |key: Key<'a>| {
        let IncidentGroup { raised, .. } = by_path.remove(&key)?;
        let innermost = (0..raised.len()).max_by_key(|at| finding_depth(&raised[*at], *at))?;
        let owner = raised[innermost].watch.id;
        let others = passed.get(&key.0).into_iter().flatten().filter(|id| **id != owner);
        let touches = others.filter_map(|id| roster.watch(*id)).map(|watch| watch.label.to_string()).collect();
        Some(FindingCause { raised, innermost, touches, noise: key.0.2 })
    };
    order.into_iter().filter_map(cause).collect()
}

/// Findings collected so far for one transaction and one path.
#[derive(Default)]
struct IncidentGroup<'a> {
    raised: Vec<RaisedFinding<'a>>,
    /// Index of each finding among them. A hostile transaction may hold thousands.
    places: HashMap<FindingId, usize>,
}

impl<'a> IncidentGroup<'a> {
    /// Adds a finding. An act of a contract on itself is both an act and a call; if the same rule raises both, they are
    /// one finding with the higher severity.
    fn merge_raised(&mut self, next: RaisedFinding<'a>) {
        let Some(place) = self.places.get(&next.id) else {
            self.places.insert(next.id.clone(), self.raised.len());
            self.raised.push(next);
            return;
        };
        let known = &mut self.raised[*place];
        let observe = known.observe && next.observe;
        if next.abnormal.severity > known.abnormal.severity {
            *known = next;
        }
        known.observe = observe;
    }
}

/// Returns the sort key for the depth of a finding inside its transaction; the largest owns the incident.
///
/// Findings that page come before observed ones, since an incident on an observed watch notifies no one. Calls, by
/// their depth, come before logs, whose position does not show the depth. At the same depth, the actor comes before the
/// called, logging or moved contract: a Safe that transfers an unlisted amount owns the incident, not the token it
/// calls. Then wallets come before other contracts, then the higher severity, then the first.
fn finding_depth(raised: &RaisedFinding<'_>, at: usize) -> impl Ord + use<> {
    let activity = &raised.judged.activity;
    let depth = match &activity.position {
        Position::Call(path) | Position::Inside(path) | Position::Told { path, .. } => path.len() + 1,
        Position::Log(_) | Position::Authorization(_) | Position::Due(_) | Position::State(_) => 0,
    };
    let part = match activity.kind {
        ActivityKind::Act => 3,
        ActivityKind::Call => 2,
        ActivityKind::Event => 1,
        ActivityKind::Move | ActivityKind::State => 0,
    };
    let contract = contracts::of_kind(raised.watch.kind);
    let wallet = contract.has(Property::CarriesOut) || contract.has(Property::Account);
    (!raised.observe, depth, part, wallet, raised.abnormal.severity, Reverse(at))
}
