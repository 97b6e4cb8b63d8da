//! Time and answers.

use crate::escalate::fixtures::*;
use crate::escalate::{ResponseError, acknowledge_incident, false_alarm, resolve_incident};
use crate::model::incident::Body;
use crate::model::incident_state::State;
use crate::model::page::Page;
use crate::model::{Judged, Severity};

fn paged() -> Kept {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    kept
}

#[test]
fn each_step_is_told_when_its_time_comes_and_the_last_repeats_for_ever() {
    let mut kept = paged();
    assert_eq!(notified_recipients(&kept.advance_timers(T + 299_999)), "");
    // The pager is in the second step too, and was notified already.
    assert_eq!(notified_recipients(&kept.advance_timers(T + 300_000)), "trigger phone");
    assert_eq!(notified_recipients(&kept.advance_timers(T + 300_000)), "");
    assert_eq!(notified_recipients(&kept.advance_timers(T + 900_000)), "trigger sms");
    for round in 1..=100 {
        assert_eq!(notified_recipients(&kept.advance_timers(T + 900_000 + round * 900_000)), "trigger sms");
    }
    assert_eq!(kept.only_incident().cycle, 0);
}

#[test]
fn after_a_pause_one_step_is_told_and_gets_its_time() {
    let mut kept = paged();
    assert_eq!(notified_recipients(&kept.advance_timers(T + 86_400_000)), "trigger phone");
    assert_eq!(kept.only_incident().state.next_escalation(), Some(T + 86_400_000 + 600_000));
}

#[test]
fn a_step_of_people_who_were_told_already_is_passed_over() {
    let mut kept = Kept::new();
    let path = kept.roster.paths.get_mut("treasury").unwrap();
    path.steps[1].to = vec!["pager".into()];
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    assert_eq!(notified_recipients(&kept.advance_timers(T + 300_000)), "trigger sms");
    assert_eq!(kept.only_incident().step, 2);
}

#[test]
fn an_acknowledgement_stops_the_escalation_and_tells_whoever_was_told() {
    let mut kept = paged();
    kept.advance_timers(T + 300_000);
    let plan = kept.respond_with(|incident| acknowledge_incident(incident, "security-primary", T + 310_000));
    assert_eq!(notified_recipients(&plan), "acknowledge pager, acknowledge phone");
    assert_eq!(
        (kept.only_incident().state.kind(), kept.only_incident().state.next_escalation()),
        (State::Acknowledged, None)
    );
    assert_eq!(notified_recipients(&kept.advance_timers(T + 900_000)), "");
    assert_eq!(
        acknowledge_incident(kept.only_incident(), "security-secondary", T),
        Err(ResponseError::Acknowledged("security-primary".to_owned()))
    );
}

#[test]
fn an_acknowledgement_expires_and_paging_begins_anew() {
    let mut kept = paged();
    kept.advance_timers(T + 300_000);
    kept.respond_with(|incident| acknowledge_incident(incident, "security-primary", T));
    assert_eq!(notified_recipients(&kept.advance_timers(T + 1_800_000)), "trigger pager");
    let incident = kept.only_incident();
    assert_eq!((incident.state.kind(), incident.cycle, incident.step), (State::Open, 1, 0));
    assert_eq!((incident.state.acknowledged_by(), incident.state.next_escalation()), (None, Some(T + 2_100_000)));
    // The destinations of the first round are notified again in this one.
    assert_eq!(notified_recipients(&kept.advance_timers(T + 2_100_000)), "trigger phone");
}

#[test]
fn a_resolved_incident_is_over_and_everybody_who_was_told_knows() {
    let mut kept = paged();
    kept.advance_timers(T + 300_000);
    let plan = kept.respond_with(|incident| resolve_incident(incident, "security-primary", T + 1));
    assert_eq!(notified_recipients(&plan), "resolve pager, resolve phone");
    let incident = kept.only_incident();
    assert_eq!((incident.state.kind(), incident.state.closed_by()), (State::Resolved, Some("security-primary")));
    assert_eq!(incident.state.closed_at(), Some(T + 1));
    assert_eq!(notified_recipients(&kept.advance_timers(T + 86_400_000)), "");
    assert_eq!(resolve_incident(kept.only_incident(), "x", T), Err(ResponseError::Closed(State::Resolved)));
    assert_eq!(acknowledge_incident(kept.only_incident(), "x", T), Err(ResponseError::Closed(State::Resolved)));
}

#[test]
fn what_comes_after_a_resolved_incident_opens_a_new_one() {
    let mut kept = paged();
    kept.respond_with(|incident| false_alarm(incident, "security-primary", T));
    assert_eq!(kept.only_incident().state.kind(), State::FalseAlarm);
    let plan = kept.commit_block(2, vec![treasury_finding(2, Severity::High)], T);
    assert_eq!((notified_recipients(&plan).as_str(), kept.incidents.len()), ("trigger pager", 2));
}

/// The page that a plan sends to `destination`.
fn sent<'a>(plan: &'a crate::model::incident::ChangeSet, destination: &str) -> &'a Page {
    let found = plan.deliveries.iter().find(|delivery| delivery.destination == destination);
    match found.map(|delivery| &delivery.body) {
        Some(Body::Page(page)) => page,
        other => panic!("{other:?}"),
    }
}

/// A payment of so many SNT in transaction `n`.
fn pays(n: u32, amount: u64, severity: Severity) -> Judged {
    let mut payment = snt_transfer(TREASURY, n, &[0], amount);
    payment.origin = numbered_address(500 + n);
    judged_abnormal(payment, "builtin/unvouched", severity)
}

#[test]
fn every_update_begins_with_what_is_new_and_says_what_the_incident_is_about_behind_it() {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![pays(1, 60_000, Severity::Critical)], T);
    let cases = [
        (pays(2, 7, Severity::Warning), "update pager", "sent 7 SNT", true),
        (pays(3, 8, Severity::High), "trigger pager", "sent 8 SNT", true),
        // Of two findings with the same severity, the incident is about the one with the larger weight; with equal
        // weights, about the newer.
        (pays(4, 9, Severity::Critical), "trigger pager", "sent 9 SNT", true),
        (pays(5, 60_000, Severity::Critical), "trigger pager", "sent 60,000 SNT", false),
    ];
    for (n, (judged, expected, headline, of_another)) in (2..).zip(cases) {
        let transaction = judged.activity.tx;
        let severity = match &judged.verdict {
            crate::model::Verdict::Abnormal(abnormal) => abnormal.severity,
            crate::model::Verdict::Normal { .. } => unreachable!(),
        };
        let plan = kept.commit_block(n, vec![judged], T + n * 1000);
        assert_eq!(notified_recipients(&plan), expected);
        let page = sent(&plan, "pager");
        assert!(page.headline.contains(headline), "{}", page.headline);
        assert_eq!(
            (page.severity, page.evidence[0].tx, plan.deliveries[0].severity),
            (severity, transaction, severity)
        );
        assert!(page.links[0].href.ends_with(&format!("/tx/{transaction:#x}")), "{:?}", page.links);
        let loudest = page.loudest.as_ref().map(|gist| (gist.severity, gist.headline.contains("sent 60,000 SNT")));
        assert_eq!(loudest, of_another.then_some((Severity::Critical, true)));
        assert_eq!(page.change, None, "nothing else is new");
    }
    // The incident itself stays about the loudest finding for the next recipients.
    let plan = kept.advance_timers(T + 305_000);
    assert_eq!(notified_recipients(&plan), "trigger phone");
    assert_eq!(sent(&plan, "phone").evidence[0].tx, numbered_tx_hash(5), "the loudest and newest");
    assert_eq!(sent(&plan, "phone").loudest, None);
}

#[test]
fn what_is_new_leads_even_where_the_page_is_full_of_what_is_louder() {
    let mut kept = Kept::new();
    kept.commit_block(1, (1..30).map(|n| pays(n, 60_000, Severity::Critical)).collect(), T);
    let plan = kept.commit_block(2, vec![pays(40, 7, Severity::Warning)], T + 1000);
    let page = sent(&plan, "pager");
    assert!(page.headline.contains("sent 7 SNT"), "{}", page.headline);
    assert_eq!((page.evidence[0].tx, page.evidence.len(), page.more), (numbered_tx_hash(40), 10, 20));
}

#[test]
fn of_several_that_are_new_the_one_that_no_page_showed_leads() {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    let plan = kept.commit_block(
        2,
        vec![treasury_finding(2, Severity::High), pays(3, 5, Severity::High), treasury_finding(4, Severity::High)],
        T,
    );
    assert_eq!(notified_recipients(&plan), "trigger pager");
    let page = sent(&plan, "pager");
    assert!(page.headline.contains("sent 5 SNT"), "{}", page.headline);
    assert_eq!(page.change.as_deref(), Some("2 more findings"));
}
