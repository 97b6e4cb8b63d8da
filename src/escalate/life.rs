//! One incident's life: opening, paging, going quiet, closing, and who is told of each.

use super::group::Raised;
use super::page;
use super::roster::Roster;
use crate::model::incident::{Body, Delivery, DeliveryKind, Incident, State};
use crate::model::page::{Evidence, Page};
use crate::model::{DeliveryKey, IncidentId, Severity};

/// Labels of touched watches, and rules, that an incident lists.
const LISTED_MAX: usize = 64;

/// Why an incident closes all of whose evidence a reorg took back.
pub(super) const REORG: &str = "reorg";

/// An incident nobody has been told of.
pub(super) fn open(id: IncidentId, raised: &Raised<'_>, roster: &Roster, now_ms: u64) -> Incident {
    let watch = raised.watch;
    let path = roster.path(&watch.path);
    Incident {
        page: page::of_watch(&id, watch, &path),
        id,
        chain: watch.chain.id,
        watch: watch.address,
        label: watch.label.to_string(),
        touches: Vec::new(),
        path,
        severity: Severity::Info,
        heard: None,
        mentioned: false,
        state: State::Open,
        close_reason: None,
        closed_by: None,
        closed_at: None,
        opened_at: now_ms,
        paging: false,
        step: 0,
        next_escalation: None,
        cycle: 0,
        revision: 0,
        told: Vec::new(),
        findings: 0,
        standing: 0,
        footing: None,
        rules: Vec::new(),
        acked_by: None,
        ack_expires: None,
        marked: None,
        blindness: None,
        noise: None,
    }
}

/// What a step of the chain brought to one incident, to be told in one breath.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Findings that are new, have become louder, or came back.
    pub(super) fresh: Vec<Fresh>,
    /// Headlines of findings in what is only pending, which wake nobody, and whether each is louder than all that was found before.
    pub(super) ahead: Vec<(String, bool)>,
    /// Headlines of findings the step took from one block and brought in another.
    pub(super) moved: Vec<String>,
    /// Headlines of findings a reorg took away.
    pub(super) gone: Vec<String>,
    /// What became of evidence that stands: a queued transaction is closer to its execution, or past it.
    pub(super) went: Vec<String>,
    /// How pending transactions ended that people were told of, and what was found in them.
    pub(super) ended: Vec<String>,
    /// Why anything was taken away, observed findings too.
    pub(super) shrunk: Option<&'static str>,
}

/// One finding people are to hear of.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) severity: Severity,
    pub(super) headline: String,
    /// Whether nothing of this rule was in the incident before.
    pub(super) new_rule: bool,
    /// Whether it pages nobody by itself.
    pub(super) hushed: bool,
}

impl Change {
    /// Whether what people will hear of is on the page already.
    pub(super) fn counts(&self) -> bool {
        !self.fresh.is_empty() || !self.ahead.is_empty()
    }
}

/// Begins a new round on a closed incident whose evidence came back: whoever comes next hears of it as of a new one.
pub(super) fn reopen(incident: &mut Incident) {
    incident.state = State::Open;
    incident.cycle += 1;
    incident.heard = None;
    incident.mentioned = false;
    incident.paging = false;
    incident.step = 0;
    incident.close_reason = None;
    incident.closed_by = None;
    incident.closed_at = None;
    forget_ack(incident);
    incident.page.evidence.clear();
}

/// Writes down which watches and rules an incident involves, and says whether the rule is new to it. A rule that nobody is woken for
/// yet is none.
pub(super) fn involve<'a>(
    incident: &mut Incident,
    touches: impl Iterator<Item = &'a String>,
    rule: Option<&str>,
) -> bool {
    for label in touches {
        if incident.touches.len() < LISTED_MAX && *label != incident.label && !incident.touches.contains(label) {
            incident.touches.push(label.clone());
        }
    }
    let new = rule.filter(|_| incident.rules.len() < LISTED_MAX);
    let new = new.filter(|rule| !incident.rules.iter().any(|known| known == rule));
    incident.rules.extend(new.map(str::to_owned));
    new.is_some()
}

/// Puts evidence on the page. Observed findings are listed only while there is nothing else.
pub(super) fn show(incident: &mut Incident, change: &Change, observe: bool, evidence: Evidence) {
    let heard = incident.heard.is_some() || incident.mentioned || change.counts();
    if observe && heard {
        return;
    }
    if !observe && !heard {
        incident.page.evidence.clear();
    }
    page::put(&mut incident.page, evidence);
}

/// Tells what a step brought: first what is gone, then what is new or has moved.
pub(super) fn settle(incident: &mut Incident, change: &Change, now_ms: u64, out: &mut Vec<Delivery>) {
    if !change.gone.is_empty() {
        let what = match change.gone.as_slice() {
            [one] => format!("A reorg took back: {one}"),
            several => format!("A reorg took back {} findings, among them: {}", several.len(), several[0]),
        };
        let told = incident.told.clone();
        tell(incident, DeliveryKind::Retract, &told, Some(what), out);
    }
    if !change.ended.is_empty() {
        let what = match change.ended.as_slice() {
            [one] => one.clone(),
            several => format!("{} of what was pending ended, among them: {}", several.len(), several[0]),
        };
        let told = incident.told.clone();
        tell(incident, DeliveryKind::Retract, &told, Some(what), out);
    }
    if let Some(why) = change.shrunk.filter(|_| incident.standing == 0 && incident.state.is_live()) {
        incident.close_reason = Some(why.to_owned());
        let (state, what) = if why == REORG {
            (State::FalseAlarm, "Closed: a reorg took back all of its evidence".to_owned())
        } else {
            (State::Resolved, format!("Closed: all of its evidence was pending, and ended ({why})"))
        };
        close(incident, state, what, now_ms, out);
    } else if let Some(loudest) = change.fresh.iter().max_by_key(|fresh| fresh.severity) {
        hear(incident, change, loudest, now_ms, out);
    } else if !change.ahead.is_empty() {
        mention(incident, &change.ahead, out);
    } else if let Some(first) = change.moved.first() {
        let told = incident.told.clone();
        tell(incident, DeliveryKind::Update, &told, Some(format!("A reorg moved it to another block: {first}")), out);
    } else if let Some(last) = change.went.last().filter(|_| incident.state.is_live()) {
        let told = incident.told.clone();
        tell(incident, DeliveryKind::Update, &told, Some(last.clone()), out);
    }
}

/// What is only pending: whoever is told hears of it, and nobody is woken. It costs next to nothing to announce more of the same, so
/// that after the first only what is louder is worth a message; the rest is on the page, and in the feed.
fn mention(incident: &mut Incident, ahead: &[(String, bool)], out: &mut Vec<Delivery>) {
    if incident.heard.is_none() && !incident.mentioned {
        incident.mentioned = true;
        let notify = incident.path.notify.clone();
        tell(incident, DeliveryKind::Trigger, &notify, None, out);
    } else if let Some((headline, _)) = ahead.iter().rfind(|(_, louder)| *louder) {
        let told = incident.told.clone();
        tell(incident, DeliveryKind::Update, &told, Some(headline.clone()), out);
    }
}

/// New findings: who is told, and whether it wakes somebody.
pub(super) fn hear(incident: &mut Incident, change: &Change, loudest: &Fresh, now_ms: u64, out: &mut Vec<Delivery>) {
    let before = incident.heard;
    let mentioned = std::mem::take(&mut incident.mentioned);
    incident.heard = before.max(Some(loudest.severity));
    let may_page = change.fresh.iter().any(|fresh| !fresh.hushed && fresh.severity >= incident.path.page_at);
    let pages = may_page && !incident.path.steps.is_empty();
    let louder = before.is_none_or(|before| loudest.severity > before);
    let wider = change.fresh.iter().any(|fresh| fresh.new_rule && fresh.severity >= incident.path.page_at);
    let what = match change.fresh.len() {
        1 => loudest.headline.clone(),
        n => format!("{n} findings, the loudest: {}", loudest.headline),
    };
    let earlier = incident.told.clone();
    let triggered = match (before, incident.state) {
        (None, _) => {
            incident.state = State::Open;
            forget_ack(incident);
            if pages {
                // Whoever was told that it is pending must hear this as a page of its own.
                let first = incident.path.steps.first().map(|step| step.to.as_slice()).unwrap_or_default();
                incident.cycle += u32::from(mentioned && first.iter().any(|to| earlier.contains(to)));
                start(incident, now_ms, None, out)
            } else if mentioned {
                Vec::new()
            } else {
                let notify = incident.path.notify.clone();
                tell(incident, DeliveryKind::Trigger, &notify, None, out);
                notify
            }
        }
        // Whoever acknowledged took what there was then, not this.
        (Some(_), State::Acknowledged) if pages && (louder || wider || !incident.paging) => {
            incident.state = State::Open;
            incident.cycle += 1;
            forget_ack(incident);
            start(incident, now_ms, Some(what.clone()), out)
        }
        (Some(_), State::Open) if pages && !incident.paging => {
            // A destination that was only notified must hear this as a page of its own.
            let first = incident.path.steps.first().map(|step| step.to.as_slice()).unwrap_or_default();
            incident.cycle += u32::from(first.iter().any(|to| earlier.contains(to)));
            start(incident, now_ms, Some(what.clone()), out)
        }
        // The escalation goes on where it is, and when it was to: restarting would give whoever causes it more time.
        (Some(_), State::Open) if pages && louder => {
            incident.cycle += 1;
            let steps = stepped(incident);
            tell(incident, DeliveryKind::Trigger, &steps, Some(what.clone()), out);
            steps
        }
        _ => Vec::new(),
    };
    if before.is_some() || mentioned {
        let rest: Vec<String> = earlier.into_iter().filter(|to| !triggered.contains(to)).collect();
        let first = out.len();
        tell(incident, DeliveryKind::Update, &rest, Some(what), out);
        // As urgent as its news, however loud the incident is already.
        out[first..].iter_mut().for_each(|update| update.severity = loudest.severity);
    }
}

/// Begins to page at the first step of the path, and returns whom it tells.
pub(super) fn start(
    incident: &mut Incident,
    now_ms: u64,
    change: Option<String>,
    out: &mut Vec<Delivery>,
) -> Vec<String> {
    incident.paging = true;
    incident.step = 0;
    incident.next_escalation = due(incident, now_ms);
    let to = incident.path.steps.first().map(|step| step.to.clone()).unwrap_or_default();
    tell(incident, DeliveryKind::Trigger, &to, change, out);
    to
}

/// When the step after the present one is due.
pub(super) fn due(incident: &Incident, now_ms: u64) -> Option<u64> {
    let step = incident.path.steps.get(incident.step as usize)?;
    // A step without time to acknowledge would page at every tick.
    Some(now_ms.saturating_add(step.ack_within.max(1).saturating_mul(1000)))
}

/// Destinations of the steps told in this round, each once.
pub(super) fn stepped(incident: &Incident) -> Vec<String> {
    let mut to: Vec<String> = Vec::new();
    for name in incident.path.steps.iter().take(incident.step as usize + 1).flat_map(|step| &step.to) {
        if !to.contains(name) {
            to.push(name.clone());
        }
    }
    to
}

/// Ends an incident and tells whoever was told of it.
pub(super) fn close(incident: &mut Incident, state: State, change: String, now_ms: u64, out: &mut Vec<Delivery>) {
    incident.closed_at = Some(now_ms);
    incident.state = state;
    incident.next_escalation = None;
    incident.ack_expires = None;
    let told = incident.told.clone();
    tell(incident, DeliveryKind::Resolve, &told, Some(change), out);
}

/// Nobody holds the incident any more.
pub(super) fn forget_ack(incident: &mut Incident) {
    incident.acked_by = None;
    incident.ack_expires = None;
}

/// One message to each destination, all of one revision.
pub(super) fn tell(
    incident: &mut Incident,
    kind: DeliveryKind,
    to: &[String],
    change: Option<String>,
    out: &mut Vec<Delivery>,
) {
    page::refresh(incident);
    if to.is_empty() {
        return;
    }
    incident.revision += 1;
    let page = Page { change, ..incident.page.clone() };
    for destination in to {
        out.push(Delivery {
            key: DeliveryKey::new(
                incident.id.as_str(),
                incident.cycle,
                incident.step,
                destination,
                kind.as_str(),
                incident.revision,
            ),
            destination: destination.clone(),
            kind,
            incident: Some(incident.id.clone()),
            severity: page.severity,
            body: Body::Page(Box::new(page.clone())),
            lane: incident.id.to_string(),
        });
        if !incident.told.contains(destination) {
            incident.told.push(destination.clone());
        }
    }
}
