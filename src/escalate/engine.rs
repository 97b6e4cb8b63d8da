//! Processing of a chain step: retracted, moved and new evidence, and the resulting changes of each incident.

use super::group::{FindingCause, RaisedFinding, block_causes};
use super::headline::activity_headline;
use super::lifecycle;
use super::lines::{incident_line, verdict_line};
use super::news::{IncidentChange, IncidentNews, NewAct, Pager};
use super::routing::{Routing, StepJudged};
use super::shown::shown_content;
use super::weight::Lines;
use super::{catch_up_report, feed, noise, page, storm};
use crate::model::coverage::Shown;
use crate::model::incident::{ChangeSet, Contested, Finding, Incident, OpenState};
use crate::model::incident_state::{CloseCause, Resolution};
use crate::model::page::Evidence;
use crate::model::pending::{Ended, Ending, PendingVoice};
use crate::model::record::{Line, RetractionLine, VerdictLine};
use crate::model::span::format_duration;
use crate::model::verdict::CAME_LATE;
use crate::model::{BlockRef, FindingId, IncidentId, JudgedBlock, Origin, Position, Severity, Stage, Verdict};
use alloy_primitives::B256;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Plans the changes for a step of the chain: new findings, incidents opened, joined or closed, messages and feed
/// lines.
///
/// All findings of one transaction for one path join one incident, that of the innermost watch on that path. An
/// incident belongs to one watch and path, and further findings join it while it is live. Findings that a reorg removes
/// are retracted; a finding that one block of the step loses and another contains again only moves and pages no one.
/// `now_ms` is wall-clock milliseconds since the Unix epoch.
#[must_use]
pub fn step_change_set(step: &StepJudged<'_>, standing: &OpenState, roster: &Routing, now_ms: u64) -> ChangeSet {
    let blocks: Vec<(&JudgedBlock, Vec<FindingCause<'_>>)> =
        step.blocks.iter().map(|b| (b, block_causes(b, roster))).collect();
    let mut engine = Engine::new(step, standing, roster, now_ms);
    let again: HashSet<&FindingId> =
        blocks.iter().flat_map(|(_, causes)| causes).flat_map(|cause| &cause.raised).map(|raised| &raised.id).collect();
    engine.retract_findings(&again);
    for (block, causes) in &blocks {
        engine.end_the_day(block);
        causes.iter().for_each(|cause| engine.process_cause(block, cause));
        engine.make_up(block);
        engine.write_verdicts(block, causes);
    }
    engine.finish()
}

/// Plans the changes for a look at a queue: as [`step_change_set`], for transactions that are in no block yet.
///
/// Each of `step.blocks` stands for the moment at which something was first seen, so nothing in it is late or retracted
/// by a reorg. A known finding that is closer to its execution is sent as an update. Each of `news` gives the result of
/// a transaction by its hash, and is sent as an update if the incident of its findings is live.
#[must_use]
pub fn proposal_change_set(
    step: &StepJudged<'_>,
    standing: &OpenState,
    roster: &Routing,
    now_ms: u64,
    news: &[(B256, String)],
) -> ChangeSet {
    let mut engine = Engine { aside: true, ..Engine::new(step, standing, roster, now_ms) };
    for block in step.blocks {
        let causes = block_causes(block, roster);
        causes.iter().for_each(|cause| engine.process_cause(block, cause));
        engine.write_verdicts(block, &causes);
    }
    for (hash, what) in news {
        engine.pass_on(*hash, what);
    }
    engine.finish()
}

/// Plans the changes for news of pending transactions: as [`proposal_change_set`], and each of `ended` takes back the findings of a
/// transaction that is no longer pending, whether it was included in a block with other effects or not at all.
#[must_use]
pub fn pending_change_set(
    step: &StepJudged<'_>,
    standing: &OpenState,
    roster: &Routing,
    now_ms: u64,
    ended: &[Ended],
) -> ChangeSet {
    let mut engine = Engine { aside: true, ..Engine::new(step, standing, roster, now_ms) };
    ended.iter().for_each(|ended| engine.end_pending(ended));
    for block in step.blocks {
        let causes = block_causes(block, roster);
        causes.iter().for_each(|cause| engine.process_cause(block, cause));
        engine.write_verdicts(block, &causes);
    }
    engine.finish()
}

struct Engine<'a> {
    step: &'a StepJudged<'a>,
    roster: &'a Routing,
    now_ms: u64,
    pager: Pager,
    contested: Vec<Contested>,
    /// True if the engine does not process a step of the chain: see [`proposal_change_set`].
    aside: bool,
    incidents: Vec<Incident>,
    by_id: HashMap<IncidentId, usize>,
    findings: HashMap<FindingId, Finding>,
    /// Changes by incident index, so that messages follow the order in which the incidents were opened.
    changes: BTreeMap<usize, IncidentChange>,
    /// Findings named in the line of each changed incident.
    named: BTreeMap<usize, BTreeSet<FindingId>>,
    written: Vec<FindingId>,
    /// Incidents of noise whose day is over.
    concluded: BTreeSet<usize>,
    /// Incidents that end because the missing action came, with the text of the message.
    made_up: BTreeMap<usize, String>,
    lines: Lines,
    feed: ChangeSet,
}

impl<'a> Engine<'a> {
    fn new(step: &'a StepJudged<'a>, standing: &OpenState, roster: &'a Routing, now_ms: u64) -> Self {
        Self {
            step,
            roster,
            now_ms,
            pager: Pager::new(&standing.paged, now_ms),
            contested: standing.contested.clone(),
            aside: false,
            by_id: standing.incidents.iter().enumerate().map(|(at, incident)| (incident.id.clone(), at)).collect(),
            incidents: standing.incidents.clone(),
            findings: standing.findings.iter().map(|finding| (finding.id.clone(), finding.clone())).collect(),
            changes: BTreeMap::new(),
            named: BTreeMap::new(),
            written: Vec::new(),
            concluded: BTreeSet::new(),
            made_up: BTreeMap::new(),
            lines: Lines::default(),
            feed: ChangeSet::default(),
        }
    }

    /// Retracts the findings of the retracted blocks that no new block contains again.
    fn retract_findings(&mut self, again: &HashSet<&FindingId>) {
        let gone: HashSet<&BlockRef> = self.step.retract.iter().collect();
        let chain = self.step.chain.id;
        let lost = self
            .findings
            .values()
            .filter(|f| !f.orphaned && f.chain == chain && f.anchor.block().is_some_and(|block| gone.contains(&block)));
        let lost: BTreeSet<(u64, FindingId)> =
            lost.filter(|f| !again.contains(&f.id)).map(|f| (f.anchor.number(), f.id.clone())).collect();
        for (number, id) in lost {
            let replaced_by = self.step.blocks.iter().find(|block| block.anchor.number() == number);
            let Some((finding, change)) = self.take_back(
                &id,
                lifecycle::REORG,
                replaced_by.and_then(|block| block.anchor.block()).map(|block| block.hash),
            ) else {
                continue;
            };
            if !finding.observe {
                change.gone.push(finding.headline);
            }
            if let Some(block) = finding.anchor.block() {
                self.contest_block(&finding.incident, block);
            }
        }
    }

    /// Records that endpoints still hold a retracted block with evidence.
    fn contest_block(&mut self, incident: &IncidentId, at: BlockRef) {
        let held = self.contested.iter().find(|held| held.chain == self.step.chain.id && held.block == at);
        let Some((held, place)) = held.zip(self.by_id.get(incident).copied()) else { return };
        if !self.incidents[place].contested.contains(&at) {
            self.incidents[place].contested.push(at);
        }
        self.changes.entry(place).or_default().contested_by.extend(held.by.iter().cloned());
    }

    /// Retracts one finding, and returns it with the change of its incident, or `None` if either is not known.
    fn take_back(
        &mut self,
        id: &FindingId,
        why: &'static str,
        by: Option<B256>,
    ) -> Option<(Finding, &mut IncidentChange)> {
        let finding = self.findings.get_mut(id)?;
        finding.orphaned = true;
        finding.revision += 1;
        let finding = finding.clone();
        let line = Line::Retraction(RetractionLine {
            finding_id: id.to_string(),
            revision: finding.revision,
            reason: why.to_owned(),
            orphaned_block: finding.anchor.number(),
            orphaned_hash: finding.anchor.block_hash(),
            replaced_by: by.map(|by| format!("{by:#x}")),
        });
        feed::send_retraction_line(&finding, &line, self.roster, &mut self.feed.deliveries);
        self.feed.lines.push(line);
        self.written.push(id.clone());
        let place = self.by_id.get(&finding.incident).copied()?;
        self.named.entry(place).or_default().insert(id.clone());
        let incident = &mut self.incidents[place];
        incident.standing = incident.standing.saturating_sub(1);
        page::mark_orphaned(&mut incident.page, &finding);
        let change = self.changes.entry(place).or_default();
        change.shrunk = Some(why);
        Some((finding, change))
    }

    /// Ends a pending transaction and retracts its findings that no block repeated.
    fn end_pending(&mut self, ended: &Ended) {
        let waits = |finding: &&Finding| finding.tx == ended.tx && finding.pending.is_some() && !finding.orphaned;
        let lost: BTreeSet<FindingId> =
            self.findings.values().filter(waits).map(|finding| finding.id.clone()).collect();
        for id in lost {
            let Some((finding, change)) = self.take_back(&id, ended.how.as_str(), ended.by) else { continue };
            if !finding.observe {
                let what = match (ended.how, ended.by) {
                    (Ending::Included, _) => "It was included, and is something else".to_owned(),
                    (Ending::Replaced, Some(by)) => format!("It was replaced by {by}"),
                    (Ending::Replaced, None) => "It was replaced by another transaction".to_owned(),
                    (Ending::Expired, _) => "No block took it in time".to_owned(),
                };
                change.ended.push(format!("{what}: {}", finding.headline));
            }
        }
    }

    /// Ends the noise of the days before this block's.
    fn end_the_day(&mut self, block: &JudgedBlock) {
        let over = self.incidents.iter().enumerate().filter(|(_, incident)| noise::is_over(incident, block));
        let over: Vec<usize> = over.map(|(place, _)| place).filter(|place| !self.concluded.contains(place)).collect();
        for place in over {
            self.changes.entry(place).or_default();
            self.concluded.insert(place);
        }
    }

    /// Closes incidents about an expected action that came late, if they are about nothing else.
    fn make_up(&mut self, block: &JudgedBlock) {
        for delta in &block.deltas {
            let Some(rule) = delta.rule.strip_prefix(CAME_LATE) else { continue };
            let due = u64::try_from(delta.amount).unwrap_or(u64::MAX);
            let id = FindingId::new(block.chain, delta.watch, B256::ZERO, &Position::Due(due), rule);
            let told_of = |incident: &Incident| {
                incident.state.is_live()
                    && incident.rules.iter().all(|known| known == rule)
                    && incident.page.evidence.iter().any(|evidence| evidence.finding == id)
            };
            let Some(place) = self.incidents.iter().position(told_of) else { continue };
            let late = format_duration(block.time.saturating_sub(due));
            self.changes.entry(place).or_default();
            self.made_up.insert(place, format!("{rule} came, {late} late"));
        }
    }

    /// Processes all findings of one transaction for one path.
    fn process_cause(&mut self, block: &JudgedBlock, cause: &FindingCause<'_>) {
        let (stands, rest): (Vec<_>, Vec<_>) =
            cause.raised.iter().filter(|raised| !self.came_true(raised)).partition(|raised| self.is_unchanged(raised));
        stands.into_iter().for_each(|raised| self.move_along(block, raised));
        if rest.is_empty() {
            return;
        }
        let place = self.incident_for_cause(block, cause);
        for raised in rest {
            self.add_finding(block, cause, raised, place);
        }
    }

    /// Returns whether a pending transaction was announced late: a block that includes it is known already, and says
    /// more.
    fn came_true(&self, raised: &RaisedFinding<'_>) -> bool {
        let known = self.findings.get(&raised.id).is_some_and(|known| known.pending.is_none() && !known.orphaned);
        known && raised.judged.activity.stage == Stage::Pending
    }

    /// Returns whether the finding stood before the step and stands after it, at the same or a lower severity and as
    /// the same act: whoever was notified of it, or closed it, is not notified again.
    fn is_unchanged(&self, raised: &RaisedFinding<'_>) -> bool {
        self.findings.get(&raised.id).is_some_and(|known| {
            let incident = self.by_id.get(&known.incident).map(|place| &self.incidents[*place]);
            // People who were not paged while it was pending, or who closed it then, are notified that it was included.
            let told = match known.pending.filter(|_| !self.aside) {
                None => incident.is_some(),
                Some(PendingVoice::Page) => incident.is_some_and(|incident| incident.state.is_live()),
                Some(PendingVoice::Quiet) => false,
            };
            told && !known.orphaned && raised.abnormal.severity <= known.severity && self.is_the_same_act(known, raised)
        })
    }

    /// Returns whether a block holds the act that people were notified of under this identity, or a part of it: the
    /// same transaction may move another amount in the block that replaces its own. A queued or pending transaction is
    /// reported again as it progresses.
    fn is_the_same_act(&self, known: &Finding, raised: &RaisedFinding<'_>) -> bool {
        let same = |told: &Shown| {
            let now = shown_content(raised, self.roster);
            *told == now || told.covers_act(&now)
        };
        self.aside || known.pending.is_some() || known.act.as_deref().is_none_or(same)
    }

    /// Moves a finding that a reorg moved to another block. In a replayed stretch the block is the same, and nothing is
    /// sent.
    fn move_along(&mut self, block: &JudgedBlock, raised: &RaisedFinding<'_>) {
        if self.aside {
            return self.go_on(block, raised);
        }
        let Some(known) = self.findings.get(&raised.id).filter(|known| known.anchor.block() != block.anchor.block())
        else {
            return;
        };
        let was_pending = known.pending.is_some();
        let Some(place) = self.by_id.get(&known.incident).copied() else { return };
        let finding = self.write_finding(block, raised, place);
        let evidence = self.show_finding(block, raised, &finding, place);
        if raised.observe {
            return;
        }
        let news = IncidentNews::from_evidence(&self.incidents[place], &evidence, self.step.chain);
        let change = self.changes.entry(place).or_default();
        if was_pending {
            // The transaction was included and can no longer be stopped.
            let news = IncidentNews { headline: format!("It was included: {}", finding.headline), ..news };
            change.fresh.push(NewAct { news, act: Some(shown_content(raised, self.roster)), hushed: false });
        } else {
            change.moved.push(finding.headline);
        }
    }

    /// Reports progress of a queued transaction, if its sentence changed.
    fn go_on(&mut self, block: &JudgedBlock, raised: &RaisedFinding<'_>) {
        let Some(known) = self.findings.get(&raised.id) else { return };
        let headline = activity_headline(&raised.judged.activity, raised.watch, self.roster);
        let Some(place) = self.by_id.get(&known.incident).copied().filter(|_| known.headline != headline) else {
            return;
        };
        let finding = self.write_finding(block, raised, place);
        let evidence = self.show_finding(block, raised, &finding, place);
        if !raised.observe {
            let news = IncidentNews::from_evidence(&self.incidents[place], &evidence, self.step.chain);
            self.changes.entry(place).or_default().went.push(news);
        }
    }

    /// Sends an update about the transaction with this hash.
    fn pass_on(&mut self, hash: B256, what: &str) {
        let found =
            self.findings.values().filter(|finding| finding.tx == hash && !finding.orphaned && !finding.observe);
        let places = found.filter_map(|finding| Some((self.by_id.get(&finding.incident)?, finding)));
        let places: BTreeMap<usize, (FindingId, Severity)> =
            places.map(|(place, finding)| (*place, (finding.id.clone(), finding.severity))).collect();
        for (place, (id, severity)) in places {
            let incident = &mut self.incidents[place];
            let known = incident.page.evidence.iter_mut().find(|evidence| evidence.finding == id);
            let evidence = known.map(|evidence| {
                evidence.stoppable = false;
                evidence.clone()
            });
            let news = evidence.map(|evidence| IncidentNews::from_evidence(incident, &evidence, self.step.chain));
            let news =
                news.unwrap_or_else(|| IncidentNews { severity, headline: String::new(), evidence: None, more: None });
            self.changes.entry(place).or_default().went.push(IncidentNews { headline: what.to_owned(), ..news });
        }
    }

    /// Returns the incident of a cause: the live one that already has its evidence, else the live one of the owner's
    /// watch and path, else the closed one with its evidence, reopened, else a new one.
    fn incident_for_cause(&mut self, block: &JudgedBlock, cause: &FindingCause<'_>) -> usize {
        let before = cause.raised.iter().filter_map(|raised| self.findings.get(&raised.id));
        // A finding that is no longer noise, because more is remembered, leaves the noise incident.
        let same = |place: &usize| self.incidents[*place].origin.noise().is_some() == cause.noise;
        let before = before.filter_map(|finding| self.by_id.get(&finding.incident)).copied();
        let before: Vec<usize> = before.filter(same).collect();
        let live = |place: &usize| self.incidents[*place].state.is_live();
        if let Some(place) = before.iter().copied().find(live) {
            return place;
        }
        let owner = cause.owner();
        // A test page, a dead letter or an outage may name the watch too. Evidence must not hide in those incidents,
        // nor in noise.
        let subject = owner.watch.watched_address();
        let of_a_kind = |incident: &Incident| match &incident.origin {
            Origin::Findings { watch } => !cause.noise && *watch == subject,
            Origin::Noise { watch, noise } => cause.noise && noise.day == noise::block_day(block) && *watch == subject,
            _ => false,
        };
        let joins = |incident: &Incident| {
            incident.state.is_live() && of_a_kind(incident) && incident.path.name == *owner.watch.path
        };
        if let Some(place) = self.incidents.iter().position(joins) {
            return place;
        }
        let id = if cause.noise {
            noise::noise_incident_id(&owner.watch.path, &owner.id)
        } else {
            IncidentId::new(&owner.watch.path, &owner.id)
        };
        if let Some(place) = before.first().or_else(|| self.by_id.get(&id)).copied() {
            lifecycle::reopen_incident(&mut self.incidents[place]);
            return place;
        }
        let origin =
            if cause.noise { noise::noise_origin(owner.watch, block) } else { Origin::Findings { watch: subject } };
        let mut incident = lifecycle::new_incident(id.clone(), origin, owner.watch, self.roster, self.now_ms);
        if cause.noise {
            incident.marked = Some("NOISE".to_owned());
        }
        self.incidents.push(incident);
        self.by_id.insert(id, self.incidents.len() - 1);
        self.incidents.len() - 1
    }

    /// Adds a finding that is new, has a higher severity, or came back.
    fn add_finding(&mut self, block: &JudgedBlock, cause: &FindingCause<'_>, raised: &RaisedFinding<'_>, place: usize) {
        let target = self.incidents[place].id.clone();
        let known = self.findings.get(&raised.id).map(|known| (known.incident.clone(), known.orphaned));
        let incident = &mut self.incidents[place];
        match known {
            None => {
                incident.findings += 1;
                incident.standing += 1;
            }
            Some((former, orphaned)) if former == target => incident.standing += u64::from(orphaned),
            // Its own incident is over, and another of the same watch and path is live.
            Some((former, orphaned)) => {
                incident.findings += 1;
                incident.standing += 1;
                if let Some(former) = self.by_id.get(&former).copied().filter(|_| !orphaned) {
                    self.incidents[former].standing = self.incidents[former].standing.saturating_sub(1);
                    self.changes.entry(former).or_default();
                }
            }
        }
        let incident = &mut self.incidents[place];
        // This block stands again, whoever holds it; others that are held have evidence of their own.
        incident.contested.retain(|held| Some(*held) != block.anchor.block());
        let louder = raised.abnormal.severity > incident.severity;
        incident.severity = incident.severity.max(raised.abnormal.severity);
        let rule = (!is_quiet(raised)).then_some(&*raised.abnormal.rule);
        lifecycle::record_involvement(incident, cause.touches.iter(), rule);
        let finding = self.write_finding(block, raised, place);
        let evidence = self.show_finding(block, raised, &finding, place);
        let news = IncidentNews::from_evidence(&self.incidents[place], &evidence, self.step.chain);
        let change = self.changes.entry(place).or_default();
        if cause.noise {
            noise::count_noise(&mut self.incidents[place], &raised.judged.activity, raised.watch);
        } else if !raised.observe && is_quiet(raised) {
            change.ahead.push((news, louder));
        } else if !raised.observe {
            change.fresh.push(NewAct {
                news,
                act: Some(shown_content(raised, self.roster)),
                hushed: raised.abnormal.hushed,
            });
        }
    }

    /// Stores the finding at its next revision, active in `block`.
    fn write_finding(&mut self, block: &JudgedBlock, raised: &RaisedFinding<'_>, place: usize) -> Finding {
        let first = page::raised_finding(raised, &self.incidents[place].id, block, self.roster);
        let revision = self.findings.get(&raised.id).map_or(1, |known| known.revision + 1);
        let finding = Finding { revision, ..first };
        let incident = &mut self.incidents[place];
        incident.footing = Some(incident.footing.map_or(finding.footing, |before| before.weaker_of(finding.footing)));
        self.written.push(raised.id.clone());
        self.findings.insert(raised.id.clone(), finding.clone());
        finding
    }

    /// Adds the finding to the incident's page, and returns its evidence there.
    fn show_finding(
        &mut self,
        block: &JudgedBlock,
        raised: &RaisedFinding<'_>,
        finding: &Finding,
        place: usize,
    ) -> Evidence {
        self.named.entry(place).or_default().insert(finding.id.clone());
        let evidence = page::finding_evidence(finding, raised, block, self.roster);
        let evidence = Evidence { late: self.lateness_seconds(block), ..evidence };
        // People were not notified of noise, so any part of it may be a sample.
        let quiet = raised.observe || self.incidents[place].origin.noise().is_some();
        // Queued transactions are checked repeatedly, each part separately.
        let evidence =
            if quiet || self.aside { evidence } else { self.lines.join(place, raised, evidence, self.roster) };
        if evidence.finding != finding.id {
            self.incidents[place].page.evidence.retain(|known| known.finding != finding.id);
        }
        let change = self.changes.entry(place).or_default();
        lifecycle::show_evidence(&mut self.incidents[place], change, quiet, evidence.clone());
        evidence
    }

    fn lateness_seconds(&self, block: &JudgedBlock) -> Option<u64> {
        if self.aside { None } else { self.roster.lateness_seconds(block, self.now_ms) }
    }

    /// A line for each judged activity of the block, abnormal or not.
    fn write_verdicts(&mut self, block: &JudgedBlock, causes: &[FindingCause<'_>]) {
        let own: HashMap<usize, &FindingId> =
            causes.iter().flat_map(|cause| &cause.raised).map(|raised| (raised.index, &raised.id)).collect();
        self.feed.lines.reserve(block.judged.len());
        for (index, judged) in block.judged.iter().enumerate() {
            let Some(watch) = self.roster.watch(judged.activity.watch) else { continue };
            // An activity that shares its finding with a louder one has a line without a finding of its own.
            let own = own.get(&index).and_then(|id| self.findings.get(*id));
            let incident = own.or_else(|| {
                let leaf = source(block, index)?;
                let watch = self.roster.watch(block.judged[leaf].activity.watch)?;
                self.findings.get(&block.judged[leaf].finding_id(block.chain, watch.address)?)
            });
            let incident = incident.map(|finding| finding.incident.clone());
            let line = verdict_line(self.step, block, judged, watch, self.roster, own, incident.as_ref());
            let line = VerdictLine { late: self.lateness_seconds(block), ..line };
            let severity = match &judged.verdict {
                Verdict::Abnormal(abnormal) => abnormal.severity,
                Verdict::Normal { .. } => Severity::Info,
            };
            let known = own.map(|finding| (&finding.id, finding.revision));
            feed::send_verdict_line(
                &line,
                known,
                severity,
                block.chain,
                watch.address,
                self.roster,
                &mut self.feed.deliveries,
            );
            self.feed.lines.push(Line::Verdict(Box::new(line)));
        }
    }

    /// Adds the messages of each incident, pages before feed lines.
    fn finish(mut self) -> ChangeSet {
        let mut plan = ChangeSet::default();
        let mut lines = Vec::new();
        for (place, change) in &self.changes {
            let incident = &mut self.incidents[*place];
            page::set_confidence(incident);
            page::add_explorer_links(&mut incident.page, self.step.chain);
            lifecycle::notify_changes(incident, change, &mut self.pager);
            page::refresh_page(incident);
            if self.concluded.contains(place) && incident.state.is_live() {
                noise::conclude_noise(incident, self.roster, self.now_ms, &mut self.pager.out);
            }
            if let Some(said) = self.made_up.remove(place).filter(|_| incident.state.is_live()) {
                let closing = (Resolution::Resolved, CloseCause::Itself("it came".to_owned()));
                lifecycle::close_incident(incident, closing, said, self.now_ms, &mut self.pager.out);
                page::refresh_page(incident);
            }
            let named: Vec<FindingId> = self.named.remove(place).unwrap_or_default().into_iter().collect();
            lines.push(incident_line(incident, &named));
            plan.incidents.push(incident.clone());
        }
        let mut written = HashSet::new();
        self.written.retain(|id| written.insert(id.clone()));
        plan.findings = self.written.iter().filter_map(|id| self.findings.get(id).cloned()).collect();
        let new = |finding: &&Finding| !finding.orphaned && !finding.observe && finding.revision == 1;
        let found: Vec<Finding> = plan.findings.iter().filter(new).cloned().collect();
        let late = if self.aside {
            Vec::new()
        } else {
            catch_up_report::record_late_blocks(&mut self.incidents, self.step, &found)
        };
        plan.incidents.extend(late.into_iter().map(|place| self.incidents[place].clone()));
        plan.deliveries.append(&mut self.pager.out);
        plan.lines = self.feed.lines;
        plan.lines.append(&mut lines);
        storm::gather_storms(self.pager, &self.incidents, &mut plan);
        plan.deliveries.append(&mut self.feed.deliveries);
        plan
    }
}

/// Returns whether the activity is only pending, and its watch does not page for pending transactions.
fn is_quiet(raised: &RaisedFinding<'_>) -> bool {
    raised.judged.activity.stage == Stage::Pending && raised.watch.pending == PendingVoice::Quiet
}

/// Returns the activity whose verdict the one at `index` repeats, directly or indirectly.
fn source(block: &JudgedBlock, index: usize) -> Option<usize> {
    let mut at = index;
    // Bounded by the number of activities, should they ever repeat each other in a circle.
    for _ in 0..block.judged.len() {
        match &block.judged.get(at)?.verdict {
            Verdict::Abnormal(abnormal) => match abnormal.repeats {
                Some(of) => at = of,
                None => return Some(at),
            },
            Verdict::Normal { .. } => return None,
        }
    }
    None
}
