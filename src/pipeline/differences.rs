//! Differences between chain and configuration that stand: when it is time to look at them again, and which still stand then.
//!
//! An incident about such a difference can be closed by hand while the difference is still there. At the start and once a day every watch
//! of which a difference is known is read again with the next block; what still differs then opens its closed incident again.

use super::{Reader, examine};
use crate::classify::History;
use crate::decode::{self, Subjects};
use crate::escalate;
use crate::model::state::{BARE, KIND, Reading};
use crate::model::{Block, BlockRef, Difference, Item, Link, Severity, Verdict, WatchInfo};
use crate::watchlist::{Book, ChainBook};
use alloy_primitives::Address;
use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::sync::Arc;

/// How often closed incidents of standing differences are opened again, in wall-clock milliseconds: once a day.
pub const REOPEN_EVERY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Which watches have to be read before their closed incidents can be opened again.
#[derive(Debug, Default)]
pub struct Reopening {
    /// When it was time last, wall-clock milliseconds; absent before the first block after the start.
    last_ms: Option<u64>,
    waiting: BTreeSet<Address>,
}

impl Reopening {
    /// Has watches with a known difference read with the next block, where it is time. A clock that was set back starts the day anew.
    pub(super) fn begin(&mut self, subjects: &Subjects, history: &mut History, now_ms: u64) {
        let last = self.last_ms.filter(|last| *last <= now_ms);
        if self.last_ms.is_some() && last.is_none_or(|last| now_ms - last < REOPEN_EVERY_MS) {
            self.last_ms = last.or(Some(now_ms));
            return;
        }
        self.last_ms = Some(now_ms);
        for address in subjects.addresses() {
            if !decode::differences(subjects, history.known(), address).is_empty() {
                history.look_again(address);
                self.waiting.insert(address);
            }
        }
    }

    /// What still differs of the watches that were read since. What could not be read waits until it can be.
    pub(super) fn standing(&mut self, subjects: &Subjects, history: &History) -> Vec<Difference> {
        let known = history.known();
        let is_read = |address: &Address| !known.is_due(*address) && known.reading(*address) == Some(Reading::Whole);
        let read: Vec<Address> = self.waiting.iter().copied().filter(is_read).collect();
        read.into_iter()
            .flat_map(|address| {
                self.waiting.remove(&address);
                decode::differences(subjects, known, address)
            })
            .collect()
    }

    /// These could not be written down.
    pub(super) fn try_again(&mut self, watches: Vec<Address>) {
        self.waiting.extend(watches);
    }
}

/// Rounds in which all watches of a chain are read: more than the largest configuration needs, where each round reads dozens.
const ROUNDS_MAX: usize = 4_096;

/// How a chain differs from the configuration.
#[derive(Debug)]
pub struct Survey<'b> {
    /// The block that was looked at.
    pub at: BlockRef,
    /// What differs, or is weak as it stands, in the order of the configuration.
    pub told: Vec<Told<'b>>,
    /// Watches of which not everything could be read.
    pub unread: Vec<&'b WatchInfo>,
}

/// One thing that is told of a watch.
#[derive(Debug)]
pub struct Told<'b> {
    /// The watch.
    pub watch: &'b WatchInfo,
    /// What differs; absent for what is weak as it stands.
    pub difference: Option<Difference>,
    /// The same in one sentence.
    pub headline: String,
    /// How loud it is.
    pub severity: Severity,
}

/// Reads the state of all watches of a chain at the block `head`, and holds it against the configuration.
pub async fn survey<'b>(book: &'b Book, chain: &ChainBook, head: Link, reader: &dyn Reader) -> Survey<'b> {
    let mut subjects = (*chain.subjects).clone();
    subjects.look_at_state(NonZeroU64::MIN);
    let addresses: Vec<Address> = subjects.addresses().collect();
    let chain = ChainBook { subjects: Arc::new(subjects), ..chain.clone() };
    let block = Block { at: head.at, parent: head.parent, time: head.time, txs: vec![], withdrawals: vec![] };
    let (mut history, mut told, mut is_confirmed) = (History::default(), Vec::new(), false);
    let is_open = |history: &History| {
        let known = history.known();
        addresses.iter().any(|address| matches!(known.reading(*address), None | Some(Reading::Due)))
    };
    let is_bare = |history: &History, address| history.known().value(address, Item::of_table(KIND)) == Some(BARE);
    for _ in 0..ROUNDS_MAX {
        let judged = examine(&block, &chain, book, &history, reader).await.judged;
        for delta in &judged.deltas {
            history.add(judged.at.hash, judged.time, delta);
        }
        told.extend(judged.judged);
        if is_open(&history) {
            continue;
        }
        // A run reports missing code at its second reading, since a contract may be about to be made. A survey has no later reading.
        let bare: Vec<Address> = addresses.iter().copied().filter(|address| is_bare(&history, *address)).collect();
        if is_confirmed || bare.is_empty() {
            break;
        }
        is_confirmed = true;
        bare.into_iter().for_each(|address| history.look_again(address));
    }
    let known = history.known();
    let differences: Vec<Difference> =
        addresses.iter().flat_map(|address| decode::differences(&chain.subjects, known, *address)).collect();
    let of = |judged: crate::model::Judged| {
        let watch = book.watch(judged.activity.watch)?;
        let Verdict::Abnormal(abnormal) = &judged.verdict else { return None };
        let difference = differences.iter().find(|one| {
            one.watch == watch.address && judged.activity.position == crate::model::Position::State(one.item)
        });
        let headline = escalate::headline(&judged.activity, watch, &book.roster);
        Some(Told { watch, difference: difference.cloned(), headline, severity: abnormal.severity })
    };
    let whole =
        |watch: &&WatchInfo| watch.chain.id == chain.info.id && known.reading(watch.address) != Some(Reading::Whole);
    let mut told: Vec<Told<'_>> = told.into_iter().filter_map(of).collect();
    told.sort_by_key(|told| told.watch.id);
    Survey { at: head.at, told, unread: book.watches.iter().filter(whole).collect() }
}
