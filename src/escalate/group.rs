//! Grouping by cause: everything one transaction makes abnormal for the people of one path belongs together, and one watch owns it.

use super::roster::Roster;
use crate::model::{
    Abnormal, ActivityKind, FindingId, Judged, JudgedBlock, Kind, Position, Verdict, WatchId, WatchInfo,
};
use alloy_primitives::B256;
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

/// What one transaction makes abnormal for one path.
#[derive(Clone, Debug)]
pub(super) struct Cause<'a> {
    /// Never empty, each id once, in the order of the block.
    pub(super) raised: Vec<Raised<'a>>,
    /// Which of them is the innermost; its watch owns the incident.
    pub(super) innermost: usize,
    /// Labels of other watches the abnormal act passes through.
    pub(super) touches: BTreeSet<String>,
    /// Whether all of it is noise, which stays apart from what counts.
    pub(super) noise: bool,
}

impl<'a> Cause<'a> {
    pub(super) fn owner(&self) -> &Raised<'a> {
        &self.raised[self.innermost]
    }
}

/// The causes of a block, in transaction order: one for each path whose watches a transaction is abnormal for, so that whoever sends it
/// does not choose by what else it touches who is told. Noise of a transaction is a cause of its own for each watch it names, and so
/// is what no transaction caused.
pub(super) fn causes<'a>(block: &'a JudgedBlock, roster: &'a Roster) -> Vec<Cause<'a>> {
    type Whole = (B256, Option<WatchId>, bool);
    type Key<'a> = (Whole, &'a str);
    let mut order: Vec<Key<'a>> = Vec::new();
    let mut by_path: HashMap<Key<'a>, Gathered<'a>> = HashMap::new();
    // Watches with anything abnormal, verdicts that only repeat another's and those of other paths too.
    let mut passed: HashMap<Whole, BTreeSet<WatchId>> = HashMap::new();
    for (index, judged) in block.judged.iter().enumerate() {
        let Verdict::Abnormal(abnormal) = &judged.verdict else { continue };
        let Some(watch) = roster.watch(judged.activity.watch) else { continue };
        // What no transaction caused has nothing in common but the block.
        let (tx, noise) = (judged.activity.tx, abnormal.is_noise());
        let whole = (tx, (noise || block.transaction_of(&judged.activity).is_zero()).then_some(watch.id), noise);
        passed.entry(whole).or_default().insert(watch.id);
        let key = (whole, &*watch.path);
        let gathered = by_path.entry(key).or_insert_with(|| {
            order.push(key);
            Gathered::default()
        });
        if let Some(id) = judged.finding_id(block.chain, watch.address) {
            let observe = abnormal.observe || watch.observe;
            gathered.join(Raised { id, index, judged, abnormal, watch, observe });
        }
    }
    let cause = |key: Key<'a>| {
        let Gathered { raised, .. } = by_path.remove(&key)?;
        let innermost = (0..raised.len()).max_by_key(|at| depth(&raised[*at], *at))?;
        let owner = raised[innermost].watch.id;
        let others = passed.get(&key.0).into_iter().flatten().filter(|id| **id != owner);
        let touches = others.filter_map(|id| roster.watch(*id)).map(|watch| watch.label.to_string()).collect();
        Some(Cause { raised, innermost, touches, noise: key.0.2 })
    };
    order.into_iter().filter_map(cause).collect()
}

/// What is known so far of one transaction and one path.
#[derive(Default)]
struct Gathered<'a> {
    raised: Vec<Raised<'a>>,
    /// Where each finding stands among them. A hostile transaction may hold thousands.
    places: HashMap<FindingId, usize>,
}

impl<'a> Gathered<'a> {
    /// An act of a contract on itself is both its act and a call to it: where both are raised by the same rule they are one
    /// finding, the louder of the two.
    fn join(&mut self, next: Raised<'a>) {
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

/// How far inside its transaction a finding is; the largest owns the incident.
///
/// First what pages before what is only observed, since nobody would hear of an incident on an observed watch. Then a call by
/// its depth before any log, whose place says nothing of depth. At the same depth, who acts before who is called, logs or is
/// moved: a Safe that transfers an unlisted amount owns it, not the token it calls. Then wallets before other contracts, the
/// louder, and the first.
fn depth(raised: &Raised<'_>, at: usize) -> impl Ord + use<> {
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
    let wallet = raised.watch.kind.carries_out() || raised.watch.kind == Kind::Eoa;
    (!raised.observe, depth, part, wallet, raised.abnormal.severity, Reverse(at))
}
