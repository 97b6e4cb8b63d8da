//! A page, brought into the order in which a person just woken reads it.
//!
//! Every destination lays out the same [`Brief`], so that all of them tell the same facts in the same order: how bad,
//! what, why, who, where, what the address is for, what to do, what comes next. Its strings are single harmless lines.

use super::escape::line;
use crate::model::incident::{DeliveryKind, State};
use crate::model::page::{Evidence, Page, Party};
use crate::model::span::lasting;
use jiff::Timestamp;

/// Most characters of a label or a name.
const NAME_CHARS_MAX: usize = 80;
/// Most characters of a sentence.
const SENTENCE_CHARS_MAX: usize = 400;
/// Most reasons of one finding that are shown.
const REASONS_MAX: usize = 6;
/// Most names in a list of people.
const PARTIES_MAX: usize = 12;
/// Most links of a page.
const LINKS_MAX: usize = 8;

/// A page, ready to be laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Brief {
    /// `TEST`, `DRILL`.
    pub(super) mark: Option<String>,
    /// `CRITICAL`, or what became of it: `RESOLVED`, `FALSE ALARM`.
    pub(super) banner: String,
    /// What people call the watched address.
    pub(super) label: String,
    /// What happened, in one sentence.
    pub(super) headline: String,
    /// In reading order; none is empty.
    pub(super) sections: Vec<Section>,
    /// Text and address. Only `https` and `http` addresses.
    pub(super) links: Vec<(String, String)>,
}

/// Lines under one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// `WHY`, `WHO` ...
    pub(super) name: &'static str,
    /// At least one.
    pub(super) lines: Vec<String>,
}

impl Brief {
    /// What `page` says. Without `kind` it is shown on request and not sent.
    pub(super) fn new(kind: Option<DeliveryKind>, page: &Page) -> Self {
        let loudest = page.evidence.first();
        let mut brief = Self {
            mark: page.marked.as_deref().map(|mark| line(mark, NAME_CHARS_MAX)),
            banner: banner(kind, page),
            label: line(&page.label, NAME_CHARS_MAX),
            headline: line(&page.headline, SENTENCE_CHARS_MAX),
            sections: Vec::new(),
            links: links(page),
        };
        // An update that only repeats the headline has nothing of its own to say.
        let change = page.change.iter().filter(|change| **change != page.headline);
        brief.section("CHANGE", change.map(|change| line(change, SENTENCE_CHARS_MAX)).collect());
        brief.section("REPORT", page.report.iter().map(|said| line(said, SENTENCE_CHARS_MAX)).collect());
        brief.section("WHY", loudest.map(why).unwrap_or_default());
        brief.section("WHO", loudest.map(who).unwrap_or_default());
        brief.section("WHERE", place(page, loudest));
        brief.section("ALSO", also(page));
        brief.section("PURPOSE", vec![line(&page.purpose, SENTENCE_CHARS_MAX)]);
        brief.section("RUNBOOK", page.runbook.iter().map(|runbook| line(runbook, SENTENCE_CHARS_MAX)).collect());
        brief.section("NEXT STEP", next(page));
        brief
    }

    /// Banner, label and headline on one line: `TEST CRITICAL Treasury Safe: sends 60,000 SNT`.
    pub(super) fn title(&self) -> String {
        let mark = self.mark.as_ref().map(|mark| format!("{mark} ")).unwrap_or_default();
        format!("{mark}{} {}: {}", self.banner, self.label, self.headline)
    }

    fn section(&mut self, name: &'static str, lines: Vec<String>) {
        let lines: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        if !lines.is_empty() {
            self.sections.push(Section { name, lines });
        }
    }
}

fn banner(kind: Option<DeliveryKind>, page: &Page) -> String {
    let severity = page.severity.as_str().to_uppercase();
    match (kind, page.state) {
        (_, State::Resolved) => "RESOLVED".to_owned(),
        (_, State::FalseAlarm) => "FALSE ALARM".to_owned(),
        (Some(DeliveryKind::Retract), _) => format!("{severity} (RETRACTED IN PART)"),
        (Some(DeliveryKind::Update), _) => format!("{severity} (UPDATE)"),
        (_, State::Acknowledged) => format!("{severity} (ACKNOWLEDGED)"),
        (_, State::Open) => severity,
    }
}

fn why(evidence: &Evidence) -> Vec<String> {
    let mut lines: Vec<String> =
        evidence.reasons.iter().take(REASONS_MAX).map(|reason| line(reason, SENTENCE_CHARS_MAX)).collect();
    if lines.is_empty() {
        lines.push(format!("raised by {}", line(&evidence.rule, NAME_CHARS_MAX)));
    }
    let more = evidence.reasons.len().saturating_sub(REASONS_MAX);
    if more > 0 {
        lines.push(format!("and {more} more reasons"));
    }
    match evidence.other_rules {
        0 => {}
        1 => lines.push("one more rule is about something else".to_owned()),
        n => lines.push(format!("{n} more rules are about something else")),
    }
    lines
}

fn who(evidence: &Evidence) -> Vec<String> {
    let mut lines = vec![format!("sent by {}", party(&evidence.sender))];
    match &evidence.signers {
        None => lines.push("signers could not be told".to_owned()),
        Some(signers) if signers.is_empty() => {}
        Some(signers) => {
            let shown = signers.iter().take(PARTIES_MAX);
            lines.extend(shown.map(|signer| format!("signed by {}", party(signer))));
            let more = signers.len().saturating_sub(PARTIES_MAX);
            if more > 0 {
                lines.push(format!("signed by {more} more"));
            }
        }
    }
    lines
}

fn place(page: &Page, evidence: Option<&Evidence>) -> Vec<String> {
    let chain = line(&page.chain, NAME_CHARS_MAX);
    // What is about the program itself is about no address.
    let mut lines = if page.watch.is_zero() { vec![chain] } else { vec![format!("{} on {chain}", page.watch)] };
    let Some(evidence) = evidence else { return lines };
    let stage = line(&evidence.stage, NAME_CHARS_MAX);
    lines.push(format!("block {}, {stage}, {}", evidence.block, show_time(i64::try_from(evidence.time).ok())));
    lines.push(format!("tx {}", evidence.tx));
    lines.extend(evidence.late.map(|seconds| format!("seen {} late", lasting(seconds))));
    if !evidence.via.is_empty() {
        lines.push(format!("through {}", list(&evidence.via, ", then ")));
    }
    if !page.touches.is_empty() {
        lines.push(format!("touches {}", list(&page.touches, ", ")));
    }
    lines
}

fn also(page: &Page) -> Vec<String> {
    let rest = page.evidence.iter().enumerate().filter(|(i, evidence)| *i > 0 || evidence.orphaned);
    let mut lines: Vec<String> = rest
        .map(|(_, evidence)| {
            let gone = if evidence.orphaned { "taken back by a reorg: " } else { "" };
            format!("{gone}{}: {}", evidence.severity, line(&evidence.headline, SENTENCE_CHARS_MAX))
        })
        .collect();
    if page.more > 0 {
        lines.push(format!("and {} more findings", page.more));
    }
    lines
}

fn next(page: &Page) -> Vec<String> {
    if !page.state.is_live() {
        return vec!["nothing: it is closed".to_owned()];
    }
    let acknowledged = page.acked_by.as_ref().map(|who| format!("taken by {}", line(who, NAME_CHARS_MAX)));
    let take = format!("take it: watchfire incidents ack {}", line(page.incident.as_str(), NAME_CHARS_MAX));
    let escalates = page.next.as_ref().map(|next| {
        let at = show_time(i64::try_from(next.at / 1_000).ok());
        let to = list(&next.to, ", ");
        format!("if nobody does: {to}, at {at}")
    });
    match acknowledged {
        Some(who) => vec![who],
        None => [Some(take), escalates].into_iter().flatten().collect(),
    }
}

/// Explorer links, and the runbook if it has an address. Whatever is not plainly a web address is no link.
fn links(page: &Page) -> Vec<(String, String)> {
    let runbook = page.runbook.as_ref().map(|href| ("Runbook".to_owned(), href.clone()));
    let listed = page.links.iter().map(|link| (link.text.clone(), link.href.clone()));
    runbook
        .into_iter()
        .chain(listed)
        .filter(|(_, href)| {
            href.len() <= 1_000 && url::Url::parse(href).is_ok_and(|url| matches!(url.scheme(), "https" | "http"))
        })
        .filter(|(_, href)| href.chars().all(|c| c.is_ascii_graphic() && !"<>|\"'`\\".contains(c)))
        .map(|(text, href)| (line(&text, NAME_CHARS_MAX), href))
        .take(LINKS_MAX)
        .collect()
}

/// `Grantee: docs (0x7099…79C8 in full)`.
fn party(party: &Party) -> String {
    match &party.name {
        Some(name) => format!("{} ({})", line(name, NAME_CHARS_MAX), party.address),
        None => party.address.to_string(),
    }
}

/// As many items as fit into a sentence; the cut is marked.
fn list(items: &[String], between: &str) -> String {
    let items: Vec<String> = items.iter().take(PARTIES_MAX + 1).map(|item| line(item, NAME_CHARS_MAX)).collect();
    line(&items.join(between), SENTENCE_CHARS_MAX)
}

/// `2026-11-20 10:00:00 UTC`, from Unix seconds.
pub(super) fn show_time(seconds: Option<i64>) -> String {
    seconds
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(|| "at an unknown time".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// RFC 3339 in UTC, from Unix seconds.
pub(super) fn rfc3339(seconds: u64) -> Option<String> {
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok().map(|time| time.to_string())
}
