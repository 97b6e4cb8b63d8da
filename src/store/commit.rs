//! The transactions that change what stands: a step of the chain, the passing of time, an answer.

use super::chain::{self, int};
use super::unseen::{self, Unseen};
use super::{Result, StoreError, allowance, finality, incidents, lanes, outbox};
use crate::escalate::{self, StepJudged};
use crate::model::incident::{Finding, Incident, Plan, Standing, State};
use crate::model::record::Line;
use crate::model::watch::ChainInfo;
use crate::model::{BlockRef, ChainId, FindingId, IncidentId, JudgedBlock, Link, WatchInfo};
use alloy_primitives::B256;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::collections::HashSet;
use std::sync::Arc;

/// A [`StepJudged`] that can travel to the writer's thread.
#[derive(Clone, Debug)]
pub struct OwnedStepJudged {
    /// The chain it happened on.
    pub chain: Arc<ChainInfo>,
    /// The book's watches, to tell which findings the step repeats.
    pub watches: Arc<[WatchInfo]>,
    /// Blocks that are gone, in any order.
    pub retract: Vec<BlockRef>,
    /// Blocks that are new, oldest first.
    pub blocks: Vec<JudgedBlock>,
    /// The block that a person named when they allowed to undo what is final, if the step may make use of that. Whoever makes the
    /// step vouches for it that the new branch contains this block.
    pub undo: Option<B256>,
}

impl OwnedStepJudged {
    /// The step as the engine takes it.
    #[must_use]
    pub fn view(&self) -> StepJudged<'_> {
        StepJudged { chain: &self.chain, retract: &self.retract, blocks: &self.blocks }
    }
}

pub(super) fn step<F>(db: &mut Connection, step: &OwnedStepJudged, now_ms: u64, engine: F) -> Result<Plan>
where
    F: FnOnce(&StepJudged<'_>, &Standing) -> Plan,
{
    let tx = begin(db)?;
    let standing = standing(&tx, step, now_ms)?;
    move_chain(&tx, step, now_ms)?;
    let plan = engine(&step.view(), &standing);
    write(&tx, &plan, now_ms)?;
    write_lines(&tx, step.chain.id, &plan)?;
    finality::appended(&tx, step.chain.id, step.blocks.iter().map(|block| (block.at, block.sight.sources)))?;
    tx.commit()?;
    Ok(plan)
}

/// Writes down every judged activity as the line that is told of it.
pub(super) fn write_lines(db: &Connection, chain: ChainId, plan: &Plan) -> Result<()> {
    for line in &plan.lines {
        if let Line::Verdict(verdict) = line {
            let sql = "INSERT INTO activities (chain, number, block_hash, tx, address, verdict, line) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            db.prepare_cached(sql)?.execute(params![
                int(chain.0),
                int(verdict.block),
                verdict.block_hash,
                verdict.tx,
                verdict.address,
                verdict.verdict,
                incidents::write("activities", line)?
            ])?;
        }
    }
    Ok(())
}

pub(super) fn change<F>(db: &mut Connection, now_ms: u64, engine: F) -> Result<Plan>
where
    F: FnOnce(&Standing) -> Plan,
{
    let tx = begin(db)?;
    let plan = engine(&everything(&tx, now_ms)?);
    write(&tx, &plan, now_ms)?;
    tx.commit()?;
    Ok(plan)
}

/// The live incidents of all chains, and what was paged lately.
pub(super) fn everything(db: &Connection, now_ms: u64) -> Result<Standing> {
    let (incidents, paged) = (incidents::live(db, None)?, incidents::paged_lately(db, now_ms)?);
    Ok(Standing { incidents, paged, findings: Vec::new(), contested: finality::contested(db)? })
}

/// As [`change`], with incidents of `chain` that closed lately beside the live ones.
pub(super) fn sight<F>(db: &mut Connection, chain: ChainId, now_ms: u64, engine: F) -> Result<Plan>
where
    F: FnOnce(&[Incident]) -> Plan,
{
    let tx = begin(db)?;
    let mut known = incidents::live(&tx, None)?;
    known.extend(incidents::closed_lately(&tx, chain)?);
    let plan = engine(&known);
    write(&tx, &plan, now_ms)?;
    tx.commit()?;
    Ok(plan)
}

/// As [`change`], with the findings of `chain` by `rule` whose incidents are closed.
pub(super) fn reopen<F>(db: &mut Connection, chain: ChainId, rule: &str, now_ms: u64, engine: F) -> Result<Plan>
where
    F: FnOnce(&[(Finding, Incident)]) -> Plan,
{
    let tx = begin(db)?;
    let plan = engine(&incidents::closed_by_rule(&tx, chain, rule)?);
    write(&tx, &plan, now_ms)?;
    tx.commit()?;
    Ok(plan)
}

/// Writes what `engine` makes of one incident. Where it would no longer page, though pages wait whose evidence no destination accepted,
/// the incident stays open and those pages stay due; unless whoever answers has `seen` them, by its revision that listed them.
pub(super) fn answer<F, E>(
    db: &mut Connection,
    id: &IncidentId,
    now_ms: u64,
    seen: Option<u32>,
    engine: F,
) -> Result<Result<Answered, E>>
where
    F: FnOnce(&Incident) -> Result<Plan, E>,
{
    let tx = begin(db)?;
    let incident = incidents::by_id(&tx, id)?.ok_or_else(|| StoreError::NoIncident(id.to_string()))?;
    let plan = match engine(&incident) {
        Ok(plan) => plan,
        Err(refused) => return Ok(Err(refused)),
    };
    let rests = plan.incidents.iter().find(|next| next.id == *id && next.state != State::Open);
    let asks = rests.filter(|_| seen.is_none_or(|seen| seen < incident.revision));
    let unseen = if asks.is_some() { unseen::of(&tx, &incident)? } else { Vec::new() };
    let plan = match asks.filter(|_| !unseen.is_empty()) {
        Some(answer) => escalate::stay_open(&incident, answer, &unseen[0].headline, unseen.len(), now_ms),
        None => plan,
    };
    write(&tx, &plan, now_ms)?;
    tx.commit()?;
    Ok(Ok(Answered { plan, unseen }))
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// What was written.
    pub plan: Plan,
    /// Evidence that no destination accepted a page about, for which the incident stays open; empty where the answer holds.
    pub unseen: Vec<Unseen>,
}

/// Takes the write lock at once: a transaction that reads first and writes later would be refused when another process
/// wrote in between.
pub(super) fn begin(db: &mut Connection) -> Result<Transaction<'_>> {
    Ok(db.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

/// Writes a plan. Incidents come first, since findings and messages refer to them.
pub(super) fn write(db: &Connection, plan: &Plan, now_ms: u64) -> Result<()> {
    for incident in &plan.incidents {
        incidents::write_incident(db, incident)?;
        outbox::supersede(db, incident, now_ms)?;
    }
    plan.findings.iter().try_for_each(|finding| incidents::write_finding(db, finding))?;
    incidents::write_pages(db, plan, now_ms)?;
    plan.deliveries.iter().try_for_each(|delivery| lanes::enter(db, delivery, now_ms))
}

/// What the engine must know: live incidents, findings in blocks that go, findings that come again, and their incidents.
pub(super) fn standing(db: &Connection, step: &OwnedStepJudged, now_ms: u64) -> Result<Standing> {
    let paged = incidents::paged_lately(db, now_ms)?;
    let mut standing = Standing {
        incidents: incidents::live(db, Some(step.chain.id))?,
        findings: Vec::new(),
        contested: finality::contested(db)?,
        paged,
    };
    // What hides every chain, such as a store that refuses, belongs to none; nor does the storm of a path.
    standing.incidents.extend(incidents::live(db, Some(ChainId(0)))?);
    let mut seen: HashSet<FindingId> = HashSet::new();
    let mut keep = |finding: Finding, standing: &mut Standing| {
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
        if let Some(finding) = incidents::finding(db, &id)? {
            keep(finding, &mut standing);
        }
    }
    with_incidents(db, &mut standing)?;
    Ok(standing)
}

/// Adds findings that the engine must know as well, with their incidents.
pub(super) fn keep(db: &Connection, findings: Vec<Finding>, standing: &mut Standing) -> Result<()> {
    for finding in findings {
        if standing.findings.iter().all(|known| known.id != finding.id) {
            standing.findings.push(finding);
        }
    }
    with_incidents(db, standing)
}

fn with_incidents(db: &Connection, standing: &mut Standing) -> Result<()> {
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

/// Takes retracted blocks off, newest first, and appends the new ones, each onto its committed parent.
fn move_chain(db: &Connection, step: &OwnedStepJudged, now_ms: u64) -> Result<()> {
    let chain = step.chain.id;
    let mut retract = step.retract.clone();
    retract.sort_unstable_by_key(|block| std::cmp::Reverse(block.number));
    let unbegun = || StoreError::Unknown(format!("chain {chain} was not begun"));
    let first = chain::first(db, chain)?.ok_or_else(unbegun)?;
    let mut tip = chain::tip(db, chain)?;
    // What the next block has to be: its number, and its parent where we hold one. Nothing before the first block is of
    // interest, so a reorg may replace everything from there on.
    let mut lowest = None;
    let mut next = tip.map_or((first, None), |tip| (tip.at.number.saturating_add(1), Some(tip.at.hash)));
    for block in retract {
        let stands = tip.filter(|tip| tip.at == block);
        let Some(gone) = stands else {
            let at = tip.map_or("nowhere".to_owned(), |tip| format!("at {}", tip.at));
            return Err(StoreError::Unknown(format!("block {block} cannot be retracted: the cursor stands {at}")));
        };
        chain::retract(db, chain, block)?;
        lowest = Some(gone);
        tip = chain::tip(db, chain)?;
        next = (block.number, (block.number > first).then_some(gone.parent));
    }
    if let Some(lowest) = lowest {
        undo(db, step, &lowest, now_ms)?;
    }
    if tip.is_none() && next.0 > first && step.blocks.is_empty() {
        let why = format!("nothing would be left of chain {chain}, which is remembered from block {} on", next.0);
        return Err(StoreError::Unknown(why));
    }
    for block in &step.blocks {
        if block.chain != chain {
            return Err(StoreError::Unknown(format!("block {} is of chain {}, not of {chain}", block.at, block.chain)));
        }
        let (number, parent) = next;
        if block.at.number != number || parent.is_some_and(|parent| parent != block.parent) {
            let hash = parent.unwrap_or_default();
            return Err(StoreError::Gap {
                cursor: BlockRef { number: number.wrapping_sub(1), hash },
                parent: block.parent,
            });
        }
        chain::append(db, chain, &Link { at: block.at, parent: block.parent, time: block.time }, block.sight)?;
        block.deltas.iter().try_for_each(|delta| chain::add_delta(db, chain, block.at, block.time, delta))?;
        next = (block.at.number.saturating_add(1), Some(block.at.hash));
    }
    // A chain without a block begins again at its first one after a restart. Where that is not what comes next, its place would
    // be lost.
    if next.0 != first && chain::tip(db, chain)?.is_none() {
        return Err(StoreError::Unknown(format!("nothing would be left of chain {chain} to go on from")));
    }
    Ok(())
}

/// Takes back what was said of the finality of blocks from `lowest` on; refuses when that undoes what is final and nobody allowed
/// it. The source never makes such a step: this is the second lock on that door.
fn undo(db: &Connection, step: &OwnedStepJudged, lowest: &Link, now_ms: u64) -> Result<()> {
    let chain = step.chain.id;
    let undone = finality::settled(db, chain)?.finalized.filter(|finalized| finalized.number >= lowest.at.number);
    if let Some(finalized) = undone {
        let allowed = step.undo.map(|block| allowance::consume(db, chain, block, finalized, now_ms)).transpose()?;
        if allowed != Some(true) {
            return Err(StoreError::Finalized { finalized, retracted: lowest.at });
        }
    }
    finality::lower(db, chain, lowest)
}
