//! News of one incident: what changed, what of that is new, and the messages that result.

use super::page;
use super::storm::PageLimit;
use crate::model::Severity;
use crate::model::coverage::{Coverage, Held, Paged, Shown};
use crate::model::ids::FindingId;
use crate::model::incident::{Delivery, Incident};
use crate::model::page::{Evidence, Link};
use crate::model::path::Path;
use crate::model::watch::ChainInfo;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Changes of one incident by one step of the chain, to be reported together.
#[derive(Debug, Default)]
pub(super) struct IncidentChange {
    /// Findings that are new, have become louder, or came back.
    pub(super) fresh: Vec<NewAct>,
    /// Headlines of pending findings, which page no one, and whether each has a higher severity than all findings
    /// before it.
    pub(super) ahead: Vec<(IncidentNews, bool)>,
    /// Headlines of findings that the step moved from one block to another.
    pub(super) moved: Vec<String>,
    /// Headlines of findings that a reorg retracted.
    pub(super) gone: Vec<String>,
    /// Progress of standing evidence: a queued transaction that is closer to its execution, or past it.
    pub(super) went: Vec<IncidentNews>,
    /// Endings of pending transactions that people were notified of, with what was found in them.
    pub(super) ended: Vec<String>,
    /// Reason that evidence was taken away, observed findings included.
    pub(super) shrunk: Option<&'static str>,
    /// Endpoints that still hold a retracted block with evidence.
    pub(super) contested_by: BTreeSet<String>,
}

/// A finding that people are to be notified of.
#[derive(Debug)]
pub(super) struct NewAct {
    pub(super) news: IncidentNews,
    /// Act for comparison with acts on earlier pages; absent if no transaction caused the finding.
    pub(super) act: Option<Shown>,
    /// True if the finding pages nobody by itself.
    pub(super) hushed: bool,
}

impl NewAct {
    /// Returns the finding that leads its line, if the page has evidence of it.
    pub(super) fn id(&self) -> Option<&FindingId> {
        self.evidence().map(|evidence| &evidence.finding)
    }

    /// Returns the finding's line of the page, which it may share with others of its transaction.
    pub(super) fn evidence(&self) -> Option<&Evidence> {
        self.news.evidence.as_ref().map(|news| &news.0)
    }
}

/// The new part of a message, which comes before the first finding of the incident.
#[derive(Clone, Debug)]
pub(super) struct IncidentNews {
    pub(super) severity: Severity,
    pub(super) headline: String,
    /// Evidence of the news, which comes first, with explorer links for it.
    pub(super) evidence: Option<Box<(Evidence, Vec<Link>)>>,
    /// Summary of the other news, such as `2 more findings`.
    pub(super) more: Option<String>,
}

impl IncidentNews {
    /// News of `evidence` on the page of `incident`.
    pub(super) fn from_evidence(incident: &Incident, evidence: &Evidence, chain: &ChainInfo) -> Self {
        let links = page::links_of(&incident.page, Some(evidence), chain);
        Self {
            severity: evidence.severity,
            headline: evidence.headline.clone(),
            evidence: Some(Box::new((evidence.clone(), links))),
            more: None,
        }
    }
}

impl IncidentChange {
    /// Returns whether the change holds findings that people are notified of, pending ones included.
    pub(super) fn has_news(&self) -> bool {
        !self.fresh.is_empty() || !self.ahead.is_empty()
    }

    /// Returns the finding to lead with: highest severity, then not on a page yet, then the subject's own act, then
    /// still stoppable, then the largest weight, then the first.
    pub(super) fn leading_finding(&self, coverage: &Coverage) -> Option<&NewAct> {
        let fresh = self.fresh.iter().enumerate().max_by_key(|(at, fresh)| {
            let act = fresh.act.as_ref();
            let unseen = act.is_some_and(|act| !coverage.covers_act(act));
            let (doer, stoppable) = (act.map(|act| act.doer), act.is_some_and(|act| act.reach.is_stoppable()));
            let weight = fresh.evidence().map(|evidence| (evidence.weight, evidence.alike));
            (fresh.news.severity, unseen, doer, stoppable, weight, Reverse(*at))
        });
        fresh.map(|(_, fresh)| fresh)
    }
}

/// Messages under construction, and how many pages each path may still send.
pub(super) struct Pager {
    pub(super) now_ms: u64,
    pub(super) limit: PageLimit,
    pub(super) out: Vec<Delivery>,
    /// Pages that the limit held back, each with its path.
    pub(super) held: Vec<(Path, Held)>,
}

impl Pager {
    pub(super) fn new(paged: &[Paged], now_ms: u64) -> Self {
        Self { now_ms, limit: PageLimit::new(paged, now_ms), out: Vec::new(), held: Vec::new() }
    }

    /// Records a page that is held back and listed in the storm's incident instead.
    pub(super) fn hold_page(&mut self, incident: &Incident, news: &IncidentNews, findings: u64) {
        let line = news.evidence.as_ref().map(|news| &news.0).or(incident.page.evidence.first());
        let held = Held {
            incident: incident.id.clone(),
            label: incident.label.clone(),
            severity: news.severity,
            headline: news.headline.clone(),
            own: line.is_some_and(|line| line.own),
            weight: line.map_or(0, |line| line.weight),
            findings,
        };
        self.held.push((incident.path.clone(), held));
    }
}
