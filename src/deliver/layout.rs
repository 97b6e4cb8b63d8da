//! Lays out a page in the order in which a person who was just woken reads it.
//!
//! Every destination renders the same [`Layout`], so that all of them show the same facts in the same order: severity,
//! event, reason, people, place, purpose of the address, recommended action, next step. Its strings are single
//! sanitized lines.

use super::escape::{is_plain_address, sanitize_line, without_links};
use crate::model::Finality;
use crate::model::incident::DeliveryKind;
use crate::model::incident_state::State;
use crate::model::likeness::mark_matching_digits;
use crate::model::page::{Evidence, Gist, Page, Party, Way};
use crate::model::span::format_duration;
use crate::runtime::command_line;
use alloy_primitives::Address;
use jiff::Timestamp;
use std::collections::HashSet;

/// Maximum number of characters of a label or a name.
const NAME_CHARS_MAX: usize = 80;
/// Maximum number of characters of a sentence.
const SENTENCE_CHARS_MAX: usize = 400;
/// Maximum number of reasons shown for one finding.
const REASONS_MAX: usize = 6;
/// Maximum number of names in a list of people.
const PARTIES_MAX: usize = 12;
/// Most addresses without a name below one of the further findings.
const ALSO_PARTIES_MAX: usize = 4;
/// Maximum number of acts that can still be stopped and are shown at the top of a page.
const STOPPABLE_MAX: usize = 3;
/// Maximum number of characters of a command and its description: the longest paths of a configuration and a store,
/// each quoted.
const COMMAND_CHARS_MAX: usize = 16_384;
/// Maximum number of commands in addition to the acknowledgement.
const WAYS_MAX: usize = 4;
/// Maximum number of links on a page.
const LINKS_MAX: usize = 8;

/// A page, ready to be laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// `TEST`, `DRILL`.
    pub(super) mark: Option<String>,
    /// `CRITICAL`, or the incident's state: `RESOLVED`, `FALSE ALARM`.
    pub(super) banner: String,
    /// Label of the watched address, as people know it.
    pub(super) label: String,
    /// Summary of the event, in one sentence.
    pub(super) headline: String,
    /// In reading order; none is empty.
    pub(super) sections: Vec<Section>,
    /// Text and address. Only `https` and `http` addresses.
    pub(super) links: Vec<(String, String)>,
}

/// Lines under one heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// Heading: `WHY`, `WHO` ...
    pub(super) name: &'static str,
    /// Lines of the section; at least one.
    pub(super) lines: Vec<String>,
}

impl Layout {
    /// Creates the brief of `page`. Without `kind`, the page is shown on request and not sent.
    pub(super) fn new(kind: Option<DeliveryKind>, page: &Page) -> Self {
        let first = page.evidence.first();
        let mut brief = Self {
            mark: page.marked.as_deref().map(|mark| sanitize_line(mark, NAME_CHARS_MAX)),
            banner: page_banner(kind, page),
            label: sanitize_line(&page.label, NAME_CHARS_MAX),
            headline: without_links(&sanitize_line(&page.headline, SENTENCE_CHARS_MAX)),
            sections: Vec::new(),
            links: page_links(page),
        };
        // A responder who can still stop something should read this first.
        brief.add_section("STOPPABLE", stoppable_lines(page));
        // An update that only repeats the headline adds nothing.
        let change = page.change.iter().filter(|change| **change != page.headline);
        brief.add_section("CHANGE", change.map(|change| sanitize_line(change, SENTENCE_CHARS_MAX)).collect());
        let loudest = |gist: &Gist| format!("{}: {}", gist.severity, sanitize_line(&gist.headline, SENTENCE_CHARS_MAX));
        brief.add_section("INCIDENT", page.loudest.iter().map(loudest).collect());
        brief.add_section("REPORT", page.report.iter().map(|said| sanitize_line(said, SENTENCE_CHARS_MAX)).collect());
        brief.add_section("WHY", first.map(reason_lines).unwrap_or_default());
        brief.add_section("WHO", first.map(actor_lines).unwrap_or_default());
        brief.add_section("WITH", first.map(counterparty_lines).unwrap_or_default());
        brief.add_section("WHERE", location_lines(page, first));
        brief.add_section("ALSO", other_evidence_lines(page));
        brief.add_section("PURPOSE", vec![sanitize_line(&page.purpose, SENTENCE_CHARS_MAX)]);
        brief.add_section(
            "RUNBOOK",
            page.runbook.iter().map(|runbook| sanitize_line(runbook, SENTENCE_CHARS_MAX)).collect(),
        );
        brief.add_section("NEXT STEP", next(page));
        brief
    }

    /// Banner, label and headline on one line: `TEST CRITICAL Treasury Safe: sends 60,000 SNT`.
    pub(super) fn title(&self) -> String {
        let mark = self.mark.as_ref().map(|mark| format!("{mark} ")).unwrap_or_default();
        format!("{mark}{} {}: {}", self.banner, self.label, self.headline)
    }

    fn add_section(&mut self, name: &'static str, lines: Vec<String>) {
        // Links from the configuration are kept; links from the chain are disabled.
        let ours = ["PURPOSE", "RUNBOOK"].contains(&name);
        let shown = |line: String| if ours { line } else { without_links(&line) };
        let lines: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).map(shown).collect();
        if !lines.is_empty() {
            self.sections.push(Section { name, lines });
        }
    }
}

fn page_banner(kind: Option<DeliveryKind>, page: &Page) -> String {
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

/// Returns the proposed or pending activities that can be stopped, as far as seen: the headline itself, or the others.
fn stoppable_lines(page: &Page) -> Vec<String> {
    let waits = |evidence: &&Evidence| evidence.stoppable && !evidence.orphaned && page.state.is_live();
    let said = |evidence: &Evidence| {
        let stage = sanitize_line(&evidence.stage, NAME_CHARS_MAX);
        if evidence.headline == page.headline {
            format!("{stage}, not executed: it can still be stopped")
        } else {
            format!("{stage}, not executed: {}", sanitize_line(&evidence.headline, SENTENCE_CHARS_MAX))
        }
    };
    let mut lines: Vec<String> = page.evidence.iter().filter(waits).map(said).collect();
    let more = lines.len().saturating_sub(STOPPABLE_MAX);
    lines.truncate(STOPPABLE_MAX);
    if more > 0 {
        lines.push(format!("and {more} more that can still be stopped"));
    }
    lines
}

fn reason_lines(evidence: &Evidence) -> Vec<String> {
    let mut lines: Vec<String> =
        evidence.reasons.iter().take(REASONS_MAX).map(|reason| sanitize_line(reason, SENTENCE_CHARS_MAX)).collect();
    if lines.is_empty() {
        lines.push(format!("raised by {}", sanitize_line(&evidence.rule, NAME_CHARS_MAX)));
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

fn actor_lines(evidence: &Evidence) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    if let Some(sender) = &evidence.sender {
        let mut said = address_lines(sender);
        said[0] = format!("sent by {}", said[0]);
        lines.append(&mut said);
    }
    match &evidence.signers {
        // What nobody's transaction did, such as a state that differs, has no signers.
        None if evidence.tx.is_zero() => {}
        None => lines.push("signers unknown".to_owned()),
        Some(signers) if signers.is_empty() => {}
        Some(signers) => {
            let shown = signers.iter().take(PARTIES_MAX);
            lines.extend(shown.map(|signer| format!("signed by {}", format_party(signer))));
            let more = signers.len().saturating_sub(PARTIES_MAX);
            if more > 0 {
                lines.push(format!("signed by {more} more"));
            }
        }
    }
    lines
}

/// Returns the counterparty's address in full: thousands of different addresses can look the same when shortened.
fn counterparty_lines(evidence: &Evidence) -> Vec<String> {
    let mut lines: Vec<String> = evidence.parties.iter().flat_map(address_lines).collect();
    if evidence.more_parties > 0 {
        lines.push(format!("and {} more addresses", evidence.more_parties));
    }
    lines
}

/// Returns the lines for an address, including the matching characters where it only resembles an address that has a
/// name.
fn address_lines(other: &Party) -> Vec<String> {
    let mut lines = vec![format_party(other)];
    if let Some(known) = &other.looks_like {
        let same = mark_matching_digits(&other.address, &known.address);
        lines.push(format!("NOT {}: only what is in brackets is the same, {same}", format_party(known)));
    }
    lines
}

fn location_lines(page: &Page, evidence: Option<&Evidence>) -> Vec<String> {
    let chain = sanitize_line(&page.chain, NAME_CHARS_MAX);
    // Incidents about the program itself have no address.
    let mut lines = vec![page.watch.map_or(chain.clone(), |watch| format!("{watch} on {chain}"))];
    let Some(evidence) = evidence else { return lines };
    let at = show_time(i64::try_from(evidence.time).ok());
    lines.push(format!("block {}, {}, {at}", evidence.block, describe_stage(evidence)));
    lines.extend(block_doubt_lines(evidence));
    if !evidence.tx.is_zero() {
        lines.push(format!("tx {}", evidence.tx));
    }
    lines.extend(evidence.late.map(|seconds| format!("seen {} late", format_duration(seconds))));
    if !evidence.via.is_empty() {
        lines.push(format!("through {}", format_list(&evidence.via, ", then ")));
    }
    if !page.touches.is_empty() {
        lines.push(format!("touches {}", format_list(&page.touches, ", ")));
    }
    lines
}

/// Returns the stage reached so far: an inclusion continues to `safe` and `finalized`, an attempt remains one.
fn describe_stage(evidence: &Evidence) -> String {
    match (evidence.stage.as_str(), evidence.footing.finality) {
        (stage, Finality::Included) => sanitize_line(stage, NAME_CHARS_MAX),
        ("included", finality) => finality.as_str().to_owned(),
        (stage, finality) => format!("{} ({})", sanitize_line(stage, NAME_CHARS_MAX), finality.as_str()),
    }
}

/// Returns the reasons to doubt that the block is the chain's; empty on most pages.
fn block_doubt_lines(evidence: &Evidence) -> Vec<String> {
    let footing = &evidence.footing;
    let mut doubts = Vec::new();
    // An orphaned block is already refuted by the reorg, and from finality `safe` on the chain itself confirms the
    // block.
    if footing.is_unconfirmed() && !evidence.orphaned && footing.finality == Finality::Included {
        doubts.push(format!("seen by {} of {} endpoints, not yet confirmed", footing.sources, footing.endpoints));
    }
    if footing.is_unverified() {
        doubts.push("unverified: the block's header could not vouch for it".to_owned());
    }
    doubts
}

/// Returns the lines about further evidence. A headline shortens addresses without a name, so each of them stands below it in full, once on the page.
fn other_evidence_lines(page: &Page) -> Vec<String> {
    let first = page.evidence.first().into_iter().flat_map(|evidence| &evidence.parties);
    let mut shown: HashSet<Address> = first.map(|party| party.address).collect();
    let rest = page.evidence.iter().enumerate().filter(|(i, evidence)| *i > 0 || evidence.orphaned);
    let mut lines: Vec<String> = Vec::new();
    for (_, evidence) in rest {
        let gone = match evidence.orphaned {
            true if evidence.stage == "pending" => "pending no longer: ",
            true => "taken back by a reorg: ",
            false => "",
        };
        lines.push(format!("{gone}{}: {}", evidence.severity, sanitize_line(&evidence.headline, SENTENCE_CHARS_MAX)));
        let unnamed = evidence.parties.iter().filter(|party| party.name.is_none());
        for party in unnamed.filter(|party| shown.insert(party.address)).take(ALSO_PARTIES_MAX) {
            lines.extend(address_lines(party).into_iter().map(|said| format!("  {said}")));
        }
    }
    if page.more > 0 {
        lines.push(format!("not shown: {} more findings", page.more));
    }
    lines
}

fn next(page: &Page) -> Vec<String> {
    if !page.state.is_live() {
        return vec!["nothing: it is closed".to_owned()];
    }
    let acknowledged = page.acked_by.as_ref().map(|who| format!("taken by {}", sanitize_line(who, NAME_CHARS_MAX)));
    let take = Way::new("take it", format!("incidents ack {}", page.incident));
    let led = |way: &Way| sanitize_line(&format!("{}: {}", way.to, command_line(&way.command)), COMMAND_CHARS_MAX);
    let escalates = page.next.as_ref().map(|next| {
        let at = show_time(i64::try_from(next.at / 1_000).ok());
        let to = format_list(&next.to, ", ");
        format!("if nobody does: {to}, at {at}")
    });
    let mut lines: Vec<String> = match acknowledged {
        Some(who) => vec![who],
        None => [Some(led(&take)), escalates].into_iter().flatten().collect(),
    };
    lines.extend(page.ways.iter().take(WAYS_MAX).map(led));
    lines
}

/// Returns the explorer links, and the runbook if it has an address. Text that is not a plain web address does not
/// become a link.
fn page_links(page: &Page) -> Vec<(String, String)> {
    let runbook = page.runbook.as_ref().map(|href| ("Runbook".to_owned(), href.clone()));
    let listed = page.links.iter().map(|link| (link.text.clone(), link.href.clone()));
    runbook
        .into_iter()
        .chain(listed)
        .filter(|(_, href)| is_plain_address(href))
        .map(|(text, href)| (sanitize_line(&text, NAME_CHARS_MAX), href))
        .take(LINKS_MAX)
        .collect()
}

/// `Grantee: docs (0x70997970C51812dc3A010C7d01b50e0d17dc79C8)`.
fn format_party(party: &Party) -> String {
    match &party.name {
        Some(name) => format!("{} ({})", sanitize_line(name, NAME_CHARS_MAX), party.address),
        None => party.address.to_string(),
    }
}

/// Joins as many items as fit into a sentence, and marks the cut.
fn format_list(items: &[String], between: &str) -> String {
    let items: Vec<String> =
        items.iter().take(PARTIES_MAX + 1).map(|item| sanitize_line(item, NAME_CHARS_MAX)).collect();
    sanitize_line(&items.join(between), SENTENCE_CHARS_MAX)
}

/// `2026-11-20 10:00:00 UTC`, from Unix seconds.
pub(super) fn show_time(seconds: Option<i64>) -> String {
    seconds
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(|| "at an unknown time".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// RFC 3339 in UTC, from Unix seconds.
pub(super) fn format_rfc3339(seconds: u64) -> Option<String> {
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok().map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::samples::sample_page;
    use super::*;
    use crate::model::{Confidence, Provenance, Verification};

    fn place_of(stage: &str, footing: Confidence) -> Vec<String> {
        let mut page = sample_page();
        let evidence = &mut page.evidence[0];
        (evidence.stage, evidence.footing, evidence.via) = (stage.to_owned(), footing, Vec::new());
        page.touches.clear();
        let brief = Layout::new(None, &page);
        let place = brief.sections.into_iter().find(|section| section.name == "WHERE").expect("a page says where");
        place.lines.into_iter().skip(1).filter(|line| !line.starts_with("tx ")).collect()
    }

    fn footing(finality: Finality, sources: u32, endpoints: u32, proof: Verification) -> Confidence {
        Confidence { finality, ..Confidence::new(Provenance { sources, endpoints, proof }) }
    }

    #[test]
    fn a_page_says_how_far_its_block_has_come() {
        let lines = |stage, finality| place_of(stage, footing(finality, 1, 1, Verification::NotAsked)).join(" | ");
        assert_eq!(lines("included", Finality::Included), "block 21234567, included, 2026-11-20 10:00:00 UTC");
        assert_eq!(lines("included", Finality::Safe), "block 21234567, safe, 2026-11-20 10:00:00 UTC");
        assert_eq!(lines("included", Finality::Finalized), "block 21234567, finalized, 2026-11-20 10:00:00 UTC");
        let attempt = lines("reverted", Finality::Finalized);
        assert_eq!(attempt, "block 21234567, reverted (finalized), 2026-11-20 10:00:00 UTC");
    }

    #[test]
    fn a_page_names_a_doubt_only_where_there_is_one() {
        let doubts = |sources, endpoints, proof| {
            place_of("included", footing(Finality::Included, sources, endpoints, proof)).split_off(1)
        };
        assert_eq!(doubts(1, 1, Verification::NotAsked), [""; 0], "one endpoint and no proof is how most begin");
        assert_eq!(doubts(2, 3, Verification::Proven), [""; 0]);
        assert_eq!(doubts(1, 3, Verification::Proven), ["seen by 1 of 3 endpoints, not yet confirmed"]);
        assert_eq!(doubts(1, 1, Verification::Unproven), ["unverified: the block's header could not vouch for it"]);
        assert_eq!(doubts(1, 2, Verification::Unproven).len(), 2);
        let settled = place_of("included", footing(Finality::Safe, 1, 3, Verification::Proven));
        assert_eq!(settled.len(), 1, "the chain itself has answered: {settled:?}");
    }

    #[test]
    fn every_address_without_a_name_stands_on_the_page_in_full_once() {
        let mut page = sample_page();
        let stranger = |byte| Party { address: Address::repeat_byte(byte), name: None, looks_like: None };
        let known = Party { name: Some("Grantee".to_owned()), ..stranger(3) };
        let (mut one, mut other) = (page.evidence[0].clone(), page.evidence[0].clone());
        page.evidence[0].parties = vec![stranger(1)];
        one.parties = vec![stranger(1), stranger(2), known];
        other.parties = vec![stranger(2), Party { looks_like: Some(Box::new(stranger(5))), ..stranger(4) }];
        page.evidence.truncate(1);
        page.evidence.extend([one, other]);
        let brief = Layout::new(None, &page);
        let lines: Vec<&str> =
            brief.sections.iter().flat_map(|section| &section.lines).map(|line| line.trim()).collect();
        for byte in [1, 2, 4] {
            let address = Address::repeat_byte(byte).to_string();
            assert_eq!(lines.iter().filter(|line| **line == address).count(), 1, "{address} in {lines:#?}");
        }
        assert!(lines.iter().any(|line| line.starts_with("NOT ")), "a look-alike is marked: {lines:#?}");
    }

    #[test]
    fn what_nobody_signed_has_no_signers() {
        let mut page = sample_page();
        page.evidence[0].signers = None;
        let who = |page: &Page| actor_lines(&page.evidence[0]);
        assert!(who(&page).contains(&"signers unknown".to_owned()));
        page.evidence[0].tx = alloy_primitives::B256::ZERO;
        assert!(who(&page).iter().all(|line| !line.contains("signers")));
    }

    #[test]
    fn what_can_still_be_stopped_is_never_further_down_than_the_second_line() {
        use crate::model::page::Gist;
        let mut page = sample_page();
        let mut waits = page.evidence[0].clone();
        (waits.stoppable, waits.stage) = (true, "proposed".to_owned());
        waits.headline = "Treasury Safe is to add an owner (proposed)".to_owned();
        page.evidence.extend([page.evidence[0].clone(), waits.clone(), Evidence { orphaned: true, ..waits.clone() }]);
        page.change = Some("2 more findings".to_owned());
        page.loudest = Some(Gist { severity: crate::model::Severity::High, headline: "something before".to_owned() });
        let brief = Layout::new(Some(DeliveryKind::Update), &page);
        let first = &brief.sections[0];
        assert_eq!(first.name, "STOPPABLE");
        assert_eq!(first.lines, ["proposed, not executed: Treasury Safe is to add an owner (proposed)"]);
        let names: Vec<&str> = brief.sections.iter().map(|section| section.name).take(4).collect();
        assert_eq!(names, ["STOPPABLE", "CHANGE", "INCIDENT", "WHY"]);
        assert_eq!(brief.sections[2].lines, ["high: something before"]);
        page.headline.clone_from(&waits.headline);
        let brief = Layout::new(None, &page);
        assert_eq!(brief.sections[0].lines, ["proposed, not executed: it can still be stopped"]);
        page.state = State::Resolved;
        assert!(Layout::new(None, &page).sections.iter().all(|section| section.name != "STOPPABLE"));
        (page.state, page.evidence) = (State::Open, vec![waits; 9]);
        assert_eq!(Layout::new(None, &page).sections[0].lines.len(), 4, "some, and how many more");
    }
}
