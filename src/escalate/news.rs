//! What is to be told of one incident: what changed, what of that is new, and the messages that come of it.

use super::page;
use super::storm::Limit;
use crate::model::Severity;
use crate::model::coverage::{Coverage, Held, Paged, Shown};
use crate::model::ids::FindingId;
use crate::model::incident::{Delivery, Incident};
use crate::model::page::{Evidence, Link};
use crate::model::path::Path;
use crate::model::watch::ChainInfo;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What a step of the chain brought to one incident, to be told in one breath.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Findings that are new, have become louder, or came back.
    pub(super) fresh: Vec<Fresh>,
    /// Headlines of findings in what is only pending, which wake nobody, and whether each is louder than all that was found before.
    pub(super) ahead: Vec<(News, bool)>,
    /// Headlines of findings the step took from one block and brought in another.
    pub(super) moved: Vec<String>,
    /// Headlines of findings a reorg took away.
    pub(super) gone: Vec<String>,
    /// What became of evidence that stands: a queued transaction is closer to its execution, or past it.
    pub(super) went: Vec<News>,
    /// How pending transactions ended that people were told of, and what was found in them.
    pub(super) ended: Vec<String>,
    /// Why anything was taken away, observed findings too.
    pub(super) shrunk: Option<&'static str>,
    /// Endpoints that still hold a block that was taken back with evidence in it.
    pub(super) contested_by: BTreeSet<String>,
}

/// One finding people are to hear of.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) news: News,
    /// The act, to compare with what pages showed; absent where no transaction caused it.
    pub(super) act: Option<Shown>,
    /// Whether it pages nobody by itself.
    pub(super) hushed: bool,
}

impl Fresh {
    /// The finding that its line begins with, where the page has evidence of it.
    pub(super) fn id(&self) -> Option<&FindingId> {
        self.evidence().map(|evidence| &evidence.finding)
    }

    /// Its line of the page, which it may share with others of its transaction.
    pub(super) fn evidence(&self) -> Option<&Evidence> {
        self.news.evidence.as_ref().map(|news| &news.0)
    }
}

/// The part of a message that is new: it comes before what the incident began with.
#[derive(Clone, Debug)]
pub(super) struct News {
    pub(super) severity: Severity,
    pub(super) headline: String,
    /// Its evidence, which comes first, with explorer links for it.
    pub(super) evidence: Option<Box<(Evidence, Vec<Link>)>>,
    /// What else is new, such as `2 more findings`.
    pub(super) more: Option<String>,
}

impl News {
    /// News of `evidence` on the page of `incident`.
    pub(super) fn of(incident: &Incident, evidence: &Evidence, chain: &ChainInfo) -> Self {
        let links = page::links_of(&incident.page, Some(evidence), chain);
        Self {
            severity: evidence.severity,
            headline: evidence.headline.clone(),
            evidence: Some(Box::new((evidence.clone(), links))),
            more: None,
        }
    }
}

impl Change {
    /// Whether what people will hear of is on the page already.
    pub(super) fn counts(&self) -> bool {
        !self.fresh.is_empty() || !self.ahead.is_empty()
    }

    /// The finding to lead with: the loudest, then what no page showed, then the subject's own act, then what can still be stopped, then
    /// what weighs most, then the first.
    pub(super) fn leading(&self, coverage: &Coverage) -> Option<&Fresh> {
        let fresh = self.fresh.iter().enumerate().max_by_key(|(at, fresh)| {
            let act = fresh.act.as_ref();
            let unseen = act.is_some_and(|act| !coverage.covers(act));
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
    pub(super) limit: Limit,
    pub(super) out: Vec<Delivery>,
    /// What the limit held back, with its path.
    pub(super) held: Vec<(Path, Held)>,
}

impl Pager {
    pub(super) fn new(paged: &[Paged], now_ms: u64) -> Self {
        Self { now_ms, limit: Limit::new(paged, now_ms), out: Vec::new(), held: Vec::new() }
    }

    /// Takes a page into account that is held back and stands in the storm's incident instead.
    pub(super) fn hold(&mut self, incident: &Incident, news: &News, findings: u64) {
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
