//! Transactions that change the stored state: a step of the chain, the passing of time, an answer.

use super::chain::{self, u64_to_sql};
use super::unseen::{self, Unseen};
use super::{Result, StoreError, finality, incidents, lanes, outbox, reorg_override};
use crate::escalate::{self, StepJudged};
use crate::model::incident::{ChangeSet, Finding, Incident, OpenState};
use crate::model::record::Line;
use crate::model::watch::ChainInfo;
use crate::model::{Anchor, BlockRef, ChainId, FindingId, IncidentId, IncidentScope, JudgedBlock, Link, WatchInfo};
use alloy_primitives::B256;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::collections::HashSet;
use std::sync::Arc;

/// Owned form of a [`StepJudged`] that can be sent to the writer's thread.
#[derive(Clone, Debug)]
pub struct OwnedStepJudged {
    /// The chain it happened on.
    pub chain: Arc<ChainInfo>,
    /// All watches of the configuration, to find out which findings the step repeats.
    pub watches: Arc<[WatchInfo]>,
    /// Removed blocks, in any order.
    pub retract: Vec<BlockRef>,
    /// New blocks, oldest first.
    pub blocks: Vec<JudgedBlock>,
    /// The block that a person named when they allowed final blocks to be undone, if the step may use that permission.
    /// The caller guarantees that the new branch contains this block.
    pub undo: Option<B256>,
}

impl OwnedStepJudged {
    /// Returns the step in the form that the engine takes.
    #[must_use]
    pub fn as_step_judged(&self) -> StepJudged<'_> {
        StepJudged { chain: &self.chain, retract: &self.retract, blocks: &self.blocks }
    }
}

pub(super) fn commit_step<F>(db: &mut Connection, step: &OwnedStepJudged, now_ms: u64, engine: F) -> Result<ChangeSet>
where
    F: FnOnce(&StepJudged<'_>, &OpenState) -> ChangeSet,
{
    let tx = begin_immediate(db)?;
    let standing = load_step_state(&tx, step, now_ms)?;
    move_chain(&tx, step, now_ms)?;
    let plan = engine(&step.as_step_judged(), &standing);
    write_plan(&tx, &plan, now_ms)?;
    write_lines(&tx, step.chain.id, &plan)?;
    finality::record_step_sources(&tx, step.chain.id, sources_of(step))?;
    tx.commit()?;
    Ok(plan)
}

/// Returns the blocks of a step, each with the number of endpoints that reported it.
fn sources_of(step: &OwnedStepJudged) -> impl Iterator<Item = (BlockRef, u32)> {
    step.blocks.iter().filter_map(|block| Some((block.anchor.block()?, block.sight.sources)))
}

/// Stores every judged activity as its record line.
pub(super) fn write_lines(db: &Connection, chain: ChainId, plan: &ChangeSet) -> Result<()> {
    for line in &plan.lines {
        if let Line::Verdict(verdict) = line {
            let sql = "INSERT INTO activities (chain, number, block_hash, tx, address, verdict, line) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            db.prepare_cached(sql)?.execute(params![
                u64_to_sql(chain.0),
                u64_to_sql(verdict.block),
                verdict.block_hash,
                verdict.tx,
                verdict.address,
                verdict.verdict,
                incidents::encode_body("activities", line)?
            ])?;
        }
    }
    Ok(())
}

pub(super) fn commit_change<F>(db: &mut Connection, now_ms: u64, engine: F) -> Result<ChangeSet>
where
    F: FnOnce(&OpenState) -> ChangeSet,
{
    let tx = begin_immediate(db)?;
    let plan = engine(&load_open_state(&tx, now_ms)?);
    write_plan(&tx, &plan, now_ms)?;
    tx.commit()?;
    Ok(plan)
}

/// Returns the live incidents of all chains, and the recent pages.
pub(super) fn load_open_state(db: &Connection, now_ms: u64) -> Result<OpenState> {
    let (incidents, paged) = (incidents::all_live_incidents(db)?, incidents::paged_lately(db, now_ms)?);
    Ok(OpenState { incidents, paged, findings: Vec::new(), contested: finality::contested_blocks(db)? })
}

/// Does the same as [`commit_change`], and passes recently closed incidents of `scope` in addition to the live ones.
pub(super) fn commit_visibility<F>(
    db: &mut Connection,
    scope: IncidentScope,
    now_ms: u64,
    engine: F,
) -> Result<ChangeSet>
where
    F: FnOnce(&[Incident]) -> ChangeSet,
{
    let tx = begin_immediate(db)?;
    let mut known = incidents::all_live_incidents(&tx)?;
    known.extend(incidents::closed_lately(&tx, scope)?);
    let plan = engine(&known);
    write_plan(&tx, &plan, now_ms)?;
    tx.commit()?;
    Ok(plan)
}

/// Does the same as [`commit_change`], with the findings of `chain` by `rule` whose incidents are closed.
pub(super) fn commit_reopening<F>(
    db: &mut Connection,
    chain: ChainId,
    rule: &str,
    now_ms: u64,
    engine: F,
) -> Result<ChangeSet>
where
    F: FnOnce(&[(Finding, Incident)]) -> ChangeSet,
{
    let tx = begin_immediate(db)?;
    let plan = engine(&incidents::closed_by_rule(&tx, chain, rule)?);
    write_plan(&tx, &plan, now_ms)?;
    tx.commit()?;
    Ok(plan)
}

/// Writes the plan that `engine` computes for one incident. If the incident would stop paging while pages wait whose
/// evidence no destination accepted, the incident stays open and those pages stay due, unless the responder has `seen`
/// them: `seen` is the revision of the incident that listed them.
pub(super) fn commit_response<F, E>(
    db: &mut Connection,
    id: &IncidentId,
    now_ms: u64,
    seen: Option<u32>,
    engine: F,
) -> Result<Result<Answered, E>>
where
    F: FnOnce(&Incident) -> Result<ChangeSet, E>,
{
    let tx = begin_immediate(db)?;
    let incident = incidents::by_id(&tx, id)?.ok_or_else(|| StoreError::NoIncident(id.to_string()))?;
    let plan = match engine(&incident) {
        Ok(plan) => plan,
        Err(refused) => return Ok(Err(refused)),
    };
    let rests = plan.incidents.iter().find(|next| next.id == *id && !next.state.is_open());
    let asks = rests.filter(|_| seen.is_none_or(|seen| seen < incident.revision));
    let unseen = if asks.is_some() { unseen::unseen_findings(&tx, &incident)? } else { Vec::new() };
    let plan = match asks.filter(|_| !unseen.is_empty()) {
        Some(answer) => escalate::stay_open(&incident, answer, &unseen[0].headline, unseen.len(), now_ms),
        None => plan,
    };
    write_plan(&tx, &plan, now_ms)?;
    tx.commit()?;
    Ok(Ok(Answered { plan, unseen }))
}

/// Result of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Changes that were written.
    pub plan: ChangeSet,
    /// Evidence that no accepted page contains and because of which the incident stays open; empty where the answer
    /// takes effect.
    pub unseen: Vec<Unseen>,
}

/// Takes the write lock at once: a transaction that reads first and writes later would be rejected if another process
/// wrote in between.
pub(super) fn begin_immediate(db: &mut Connection) -> Result<Transaction<'_>> {
    Ok(db.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

/// Writes a plan. Incidents come first, since findings and messages refer to them.
pub(super) fn write_plan(db: &Connection, plan: &ChangeSet, now_ms: u64) -> Result<()> {
    for incident in &plan.incidents {
        incidents::write_incident(db, incident)?;
        outbox::supersede_pages(db, incident, now_ms)?;
    }
    plan.findings.iter().try_for_each(|finding| incidents::write_finding(db, finding))?;
    incidents::write_pages(db, plan, now_ms)?;
    plan.deliveries.iter().try_for_each(|delivery| lanes::enqueue_message(db, delivery, now_ms))
}

/// Reads the state that the engine needs: live incidents, findings in blocks that go, findings that come again, and
/// their incidents.
pub(super) fn load_step_state(db: &Connection, step: &OwnedStepJudged, now_ms: u64) -> Result<OpenState> {
    let paged = incidents::paged_lately(db, now_ms)?;
    let mut standing = OpenState {
        incidents: incidents::live_incidents(db, IncidentScope::Chain(step.chain.id))?,
        findings: Vec::new(),
        contested: finality::contested_blocks(db)?,
        paged,
    };
    // Incidents about the whole program, such as a store that rejects writes or the storm of a path.
    standing.incidents.extend(incidents::live_incidents(db, IncidentScope::Program)?);
    let mut seen: HashSet<FindingId> = HashSet::new();
    let mut keep = |finding: Finding, standing: &mut OpenState| {
        if seen.insert(finding.id.clone()) {
            standing.findings.push(finding);
        }
    };
    for block in &step.retract {
        for finding in incidents::findings_in(db, step.chain.id, *block)? {
            keep(finding, &mut standing);
        }
    }
    for id in step.blocks.iter().flat_map(|block| finding_ids(block, &step.watches)) {
        if let Some(finding) = incidents::finding_by_id(db, &id)? {
            keep(finding, &mut standing);
        }
    }
    with_incidents(db, &mut standing)?;
    Ok(standing)
}

/// Adds findings that the engine needs as well, with their incidents.
pub(super) fn add_findings(db: &Connection, findings: Vec<Finding>, standing: &mut OpenState) -> Result<()> {
    for finding in findings {
        if standing.findings.iter().all(|known| known.id != finding.id) {
            standing.findings.push(finding);
        }
    }
    with_incidents(db, standing)
}

fn with_incidents(db: &Connection, standing: &mut OpenState) -> Result<()> {
    let mut known: HashSet<IncidentId> = standing.incidents.iter().map(|incident| incident.id.clone()).collect();
    for finding in &standing.findings {
        if known.insert(finding.incident.clone())
            && let Some(incident) = incidents::by_id(db, &finding.incident)?
        {
            standing.incidents.push(incident);
        }
    }
    Ok(())
}

fn finding_ids<'a>(block: &'a JudgedBlock, watches: &'a [WatchInfo]) -> impl Iterator<Item = FindingId> + 'a {
    block.judged.iter().filter_map(|judged| {
        let watch = watches.get(judged.activity.watch.index())?;
        judged.finding_id(block.chain, watch.address)
    })
}

/// Removes retracted blocks, newest first, and appends the new ones, each onto its committed parent.
fn move_chain(db: &Connection, step: &OwnedStepJudged, now_ms: u64) -> Result<()> {
    let chain = step.chain.id;
    let mut retract = step.retract.clone();
    retract.sort_unstable_by_key(|block| std::cmp::Reverse(block.number));
    let unbegun = || StoreError::Unknown(format!("chain {chain} was not begun"));
    let first = chain::first_block_number(db, chain)?.ok_or_else(unbegun)?;
    let mut tip = chain::chain_tip(db, chain)?;
    // The expected next block: its number, and its parent if the store has it. Blocks before the first one are
    // irrelevant, so a reorg may replace everything from the first block on.
    let mut lowest = None;
    let mut next = tip.map_or((first, None), |tip| (tip.at.number.saturating_add(1), Some(tip.at.hash)));
    for block in retract {
        let stands = tip.filter(|tip| tip.at == block);
        let Some(gone) = stands else {
            let at = tip.map_or("nowhere".to_owned(), |tip| format!("at {}", tip.at));
            return Err(StoreError::Unknown(format!("block {block} cannot be retracted: the cursor stands {at}")));
        };
        chain::retract_block(db, chain, block)?;
        lowest = Some(gone);
        tip = chain::chain_tip(db, chain)?;
        next = (block.number, (block.number > first).then_some(gone.parent));
    }
    if let Some(lowest) = lowest {
        revert_finality(db, step, &lowest, now_ms)?;
    }
    if tip.is_none() && next.0 > first && step.blocks.is_empty() {
        let why = format!("nothing would be left of chain {chain}, which is remembered from block {} on", next.0);
        return Err(StoreError::Unknown(why));
    }
    for block in &step.blocks {
        if block.chain != chain {
            let number = block.anchor.number();
            return Err(StoreError::Unknown(format!("block {number} is of chain {}, not of {chain}", block.chain)));
        }
        let Anchor::Block(at) = block.anchor else {
            return Err(StoreError::Unknown(format!("what is {} is no block of the chain", block.anchor.as_str())));
        };
        let (number, parent) = next;
        if at.number != number || parent.is_some_and(|parent| parent != block.parent) {
            let hash = parent.unwrap_or_default();
            return Err(StoreError::Gap {
                cursor: BlockRef { number: number.wrapping_sub(1), hash },
                parent: block.parent,
            });
        }
        chain::append_block(db, chain, &Link { at, parent: block.parent, time: block.time }, block.sight)?;
        block.deltas.iter().try_for_each(|delta| chain::add_delta(db, chain, at, block.time, delta))?;
        next = (at.number.saturating_add(1), Some(at.hash));
    }
    // A chain without a block starts again at its first block after a restart. If the next block is a different one,
    // the position would be lost.
    if next.0 != first && chain::chain_tip(db, chain)?.is_none() {
        return Err(StoreError::Unknown(format!("nothing would be left of chain {chain} to go on from")));
    }
    Ok(())
}

/// Lowers the recorded finality of blocks from `lowest` on; returns an error if that undoes final blocks without
/// permission. The source never makes such a step: this is a second, independent check.
fn revert_finality(db: &Connection, step: &OwnedStepJudged, lowest: &Link, now_ms: u64) -> Result<()> {
    let chain = step.chain.id;
    let undone =
        finality::settled_finality(db, chain)?.finalized.filter(|finalized| finalized.number >= lowest.at.number);
    if let Some(finalized) = undone {
        let allowed = step
            .undo
            .map(|block| reorg_override::consume_reorg_override(db, chain, block, finalized, now_ms))
            .transpose()?;
        if allowed != Some(true) {
            return Err(StoreError::Finalized { finalized, retracted: lowest.at });
        }
    }
    finality::lower_finality(db, chain, lowest)
}
