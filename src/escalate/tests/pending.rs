//! Findings that are only pending: announced, then paged when the transaction is included, or taken back.

use super::super::fixtures::*;
use crate::escalate::acknowledge_incident;
use crate::model::incident::{Body, ChangeSet, Incident};
use crate::model::incident_state::State;
use crate::model::pending::{Ended, Ending, PendingVoice};
use crate::model::record::Line;
use crate::model::{Severity, WatchInfo};

/// Returns a roster whose watches page for pending transactions.
fn loud() -> Kept {
    let mut kept = Kept::new();
    let page = |watch: &WatchInfo| WatchInfo { pending: PendingVoice::Page, ..watch.clone() };
    kept.roster.watches = kept.roster.watches.iter().map(page).collect();
    kept
}

fn ended(n: u32, how: Ending) -> Ended {
    Ended { tx: numbered_tx_hash(n), how, by: (how == Ending::Replaced).then(|| numbered_tx_hash(99)) }
}

fn reasons(plan: &ChangeSet) -> Vec<&str> {
    let mut reasons = Vec::new();
    for line in &plan.lines {
        if let Line::Retraction(line) = line {
            reasons.push(&*line.reason);
        }
    }
    reasons
}

#[test]
fn what_is_pending_is_mentioned_and_pages_once_a_block_holds_it() {
    let mut kept = Kept::new();
    let found = treasury_finding(1, Severity::Critical);
    assert_eq!(notified_recipients(&kept.commit_pending(vec![pending_only(found.clone())], &[], T)), "trigger chat");
    let opened = kept.only_incident().clone();
    assert!(!opened.paging && opened.heard.is_none());
    assert_eq!(
        notified_recipients(&kept.commit_pending(vec![pending_only(found.clone())], &[], T)),
        "",
        "heard twice, told once"
    );
    let plan = kept.commit_block(8, vec![found], T + 12_000);
    assert_eq!(notified_recipients(&plan), "trigger pager, update chat");
    assert_eq!(
        (kept.only_incident().id.clone(), kept.only_incident().findings),
        (opened.id, 1),
        "one incident, one finding"
    );
    assert_eq!(kept.findings.values().map(|finding| finding.revision).collect::<Vec<_>>(), [2]);
    assert_eq!(
        notified_recipients(&kept.commit_pending(vec![], &[ended(1, Ending::Included)], T)),
        "",
        "nothing is left to take back"
    );
    assert!(kept.only_incident().state.is_live());
}

#[test]
fn what_is_announced_after_its_block_changes_nothing() {
    let mut kept = Kept::new();
    let found = treasury_finding(1, Severity::High);
    kept.commit_block(8, vec![found.clone()], T);
    assert_eq!(notified_recipients(&kept.commit_pending(vec![pending_only(found)], &[], T)), "");
    assert!(kept.findings.values().all(|finding| finding.pending.is_none()));
}

#[test]
fn a_watch_may_page_for_what_is_pending_and_its_inclusion_pages_again_since_nothing_stops_it_now() {
    for acknowledged in [false, true] {
        let mut kept = loud();
        let found = treasury_finding(1, Severity::Critical);
        assert_eq!(
            notified_recipients(&kept.commit_pending(vec![pending_only(found.clone())], &[], T)),
            "trigger pager"
        );
        assert!(kept.only_incident().page.evidence[0].stoppable);
        if acknowledged {
            kept.respond_with(|incident| acknowledge_incident(incident, "on-call", T));
        }
        let plan = kept.commit_block(8, vec![found], T + 12_000);
        assert_eq!(notified_recipients(&plan), "trigger pager");
        let Body::Page(page) = &plan.deliveries[0].body else { panic!("a page") };
        assert!(page.headline.starts_with("It was included: Treasury Safe sent"), "{}", page.headline);
        assert!(!page.evidence[0].stoppable);
    }
}

#[test]
fn what_was_dealt_with_while_pending_and_is_included_all_the_same_pages_again() {
    let mut kept = loud();
    let found = treasury_finding(1, Severity::Critical);
    kept.commit_pending(vec![pending_only(found.clone())], &[], T);
    kept.respond_with(|incident| crate::escalate::resolve_incident(incident, "duty", T));
    assert!(notified_recipients(&kept.commit_block(8, vec![found], T + 12_000)).starts_with("trigger pager"));
}

#[test]
fn each_end_is_told_and_closes_an_incident_that_has_nothing_else() {
    for (how, word) in [(Ending::Replaced, "replaced"), (Ending::Expired, "expired"), (Ending::Included, "included")] {
        let mut kept = Kept::new();
        kept.commit_pending(vec![pending_only(treasury_finding(1, Severity::High))], &[], T);
        let plan = kept.commit_pending(vec![], &[ended(1, how)], T + 60_000);
        assert_eq!(notified_recipients(&plan), "retract chat, resolve chat", "{word}");
        assert_eq!(reasons(&plan), [word]);
        let Incident { state, standing, .. } = kept.only_incident();
        assert_eq!((state.kind(), state.close_reason(), *standing), (State::Resolved, Some(word), 0));
        assert_eq!(notified_recipients(&kept.commit_pending(vec![], &[ended(1, how)], T + 61_000)), "", "once");
    }
}

#[test]
fn other_evidence_keeps_an_incident_open() {
    let mut kept = Kept::new();
    kept.commit_block(8, vec![treasury_finding(2, Severity::High)], T);
    kept.commit_pending(vec![pending_only(treasury_finding(1, Severity::High))], &[], T);
    assert_eq!(notified_recipients(&kept.commit_pending(vec![], &[ended(1, Ending::Expired)], T)), "retract pager");
    assert!(kept.only_incident().state.is_live());
}

#[test]
fn a_replaced_transaction_that_is_included_after_all_is_found_again() {
    let mut kept = Kept::new();
    let found = treasury_finding(1, Severity::High);
    kept.commit_pending(vec![pending_only(found.clone())], &[], T);
    kept.commit_pending(vec![], &[ended(1, Ending::Replaced)], T);
    assert!(notified_recipients(&kept.commit_block(8, vec![found], T)).starts_with("trigger pager"));
}

#[test]
fn whoever_took_less_is_paged_when_something_louder_that_was_pending_comes_true() {
    let mut kept = Kept::new();
    kept.commit_block(8, vec![treasury_finding(2, Severity::High)], T);
    kept.respond_with(|incident| acknowledge_incident(incident, "duty", T));
    let louder = treasury_finding(1, Severity::Critical);
    assert_eq!(notified_recipients(&kept.commit_pending(vec![pending_only(louder.clone())], &[], T)), "update pager");
    assert!(notified_recipients(&kept.commit_block(9, vec![louder], T)).starts_with("trigger pager"));
}

#[test]
fn more_of_the_same_is_on_the_page_and_in_the_feed_and_only_what_is_louder_is_told_again() {
    let mut kept = Kept::new();
    assert_eq!(
        notified_recipients(&kept.commit_pending(vec![pending_only(treasury_finding(1, Severity::High))], &[], T)),
        "trigger chat"
    );
    let more = (2..40).map(|n| pending_only(treasury_finding(n, Severity::High))).collect();
    let plan = kept.commit_pending(more, &[], T);
    assert_eq!((notified_recipients(&plan).as_str(), kept.only_incident().standing), ("", 39));
    assert_eq!(
        notified_recipients(&kept.commit_pending(vec![pending_only(treasury_finding(40, Severity::Critical))], &[], T)),
        "update chat"
    );
}
