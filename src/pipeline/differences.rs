//! Lasting differences between chain and configuration: when they are checked again, and which of them still exist.
//!
//! A responder can close an incident about such a difference while the difference still exists. At the start and once a
//! day every watch with a known difference is read again with the next block; if the difference still exists, its
//! closed incident is opened again.

use super::{Reader, examine_block};
use crate::classify::History;
use crate::decode::{self, Subjects};
use crate::escalate;
use crate::model::state::{BARE, KIND, Reading};
use crate::model::{Block, BlockRef, Difference, Item, Link, Severity, Verdict, WatchInfo};
use crate::watchlist::{ChainBook, Config};
use alloy_primitives::Address;
use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::sync::Arc;

/// Period after which closed incidents of persisting differences are reopened, in wall-clock milliseconds: once a day.
pub const REOPEN_EVERY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Watches that must be read before their closed incidents can be opened again.
#[derive(Debug, Default)]
pub struct Reopening {
    /// Time at which reopening was last due, wall-clock milliseconds; absent before the first block after the start.
    last_ms: Option<u64>,
    waiting: BTreeSet<Address>,
}

impl Reopening {
    /// Schedules watches with a known difference to be read with the next block, when the interval has passed. A clock
    /// that was set back restarts the interval.
    pub(super) fn schedule_state_reads(&mut self, subjects: &Subjects, history: &mut History, now_ms: u64) {
        let last = self.last_ms.filter(|last| *last <= now_ms);
        if self.last_ms.is_some() && last.is_none_or(|last| now_ms - last < REOPEN_EVERY_MS) {
            self.last_ms = last.or(Some(now_ms));
            return;
        }
        self.last_ms = Some(now_ms);
        for address in subjects.addresses() {
            if !decode::registry_differences(subjects, history.known_state(), address).is_empty() {
                history.look_again(address);
                self.waiting.insert(address);
            }
        }
    }

    /// Returns the remaining differences of watches that were read since. Watches that could not be read wait until
    /// they can be.
    pub(super) fn remaining_drift(&mut self, subjects: &Subjects, history: &History) -> Vec<Difference> {
        let known = history.known_state();
        let is_read =
            |address: &Address| !known.is_due(*address) && known.last_reading(*address) == Some(Reading::Whole);
        let read: Vec<Address> = self.waiting.iter().copied().filter(is_read).collect();
        read.into_iter()
            .flat_map(|address| {
                self.waiting.remove(&address);
                decode::registry_differences(subjects, known, address)
            })
            .collect()
    }

    /// Schedules watches again whose incidents could not be stored.
    pub(super) fn try_again(&mut self, watches: Vec<Address>) {
        self.waiting.extend(watches);
    }
}

/// Maximum number of rounds in which all watches of a chain are read: more than the largest configuration needs,
/// because each round reads dozens.
const ROUNDS_MAX: usize = 4_096;

/// Result of comparing a chain with the configuration.
#[derive(Debug)]
pub struct Survey<'b> {
    /// Block at which the state was read.
    pub at: BlockRef,
    /// Items that differ from the configuration, or that are a misconfiguration by themselves, in the order of the
    /// configuration.
    pub told: Vec<Told<'b>>,
    /// Watches whose state could not be read completely.
    pub unread: Vec<&'b WatchInfo>,
}

/// An item reported for a watch.
#[derive(Debug)]
pub struct Told<'b> {
    /// The watch.
    pub watch: &'b WatchInfo,
    /// Difference from the configuration; absent for a misconfiguration.
    pub difference: Option<Difference>,
    /// The difference in one sentence.
    pub headline: String,
    /// Severity of the item.
    pub severity: Severity,
}

/// Reads the state of all watches of a chain at the block `head`, and compares it with the configuration.
pub async fn detect_registry_drift<'b>(
    book: &'b Config,
    chain: &ChainBook,
    head: Link,
    reader: &dyn Reader,
) -> Survey<'b> {
    let mut subjects = (*chain.subjects).clone();
    subjects.look_at_state(NonZeroU64::MIN);
    let addresses: Vec<Address> = subjects.addresses().collect();
    let chain = ChainBook { subjects: Arc::new(subjects), ..chain.clone() };
    let block = Block { at: head.at, parent: head.parent, time: head.time, txs: vec![], withdrawals: vec![] };
    let (mut history, mut told, mut is_confirmed) = (History::default(), Vec::new(), false);
    let is_open = |history: &History| {
        let known = history.known_state();
        addresses.iter().any(|address| matches!(known.last_reading(*address), None | Some(Reading::Due)))
    };
    let is_bare =
        |history: &History, address| history.known_state().last_value(address, Item::of_table(KIND)) == Some(BARE);
    for _ in 0..ROUNDS_MAX {
        let judged = examine_block(&block, &chain, book, &history, reader).await.judged;
        for delta in &judged.deltas {
            history.add(block.at.hash, judged.time, delta);
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
    let known = history.known_state();
    let differences: Vec<Difference> =
        addresses.iter().flat_map(|address| decode::registry_differences(&chain.subjects, known, *address)).collect();
    let of = |judged: crate::model::Judged| {
        let watch = book.watch(judged.activity.watch)?;
        let Verdict::Abnormal(abnormal) = &judged.verdict else { return None };
        let difference = differences.iter().find(|one| {
            one.watch == watch.address && judged.activity.position == crate::model::Position::State(one.item)
        });
        let headline = escalate::activity_headline(&judged.activity, watch, &book.roster);
        Some(Told { watch, difference: difference.cloned(), headline, severity: abnormal.severity })
    };
    let whole = |watch: &&WatchInfo| {
        watch.chain.id == chain.info.id && known.last_reading(watch.address) != Some(Reading::Whole)
    };
    let mut told: Vec<Told<'_>> = told.into_iter().filter_map(of).collect();
    told.sort_by_key(|told| told.watch.id);
    Survey { at: head.at, told, unread: book.watches.iter().filter(whole).collect() }
}
