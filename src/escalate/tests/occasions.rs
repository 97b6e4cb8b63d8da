//! Test pages and dead letters.

use crate::escalate::fixtures::*;
use crate::escalate::{PAGES_MAX, acknowledge_incident, dead_letter, pass_on, resolve_incident, test_page};
use crate::model::Severity;
use crate::model::incident::{Body, Delivery, DeliveryKind};
use crate::model::incident_state::State;
use std::collections::BTreeSet;

fn bury(kept: &mut Kept, letter: &Delivery) -> String {
    let plan = dead_letter(letter, "410 Gone", &kept.open_state(), &kept.roster, T);
    kept.keep_at(&plan, T);
    notified_recipients(&plan)
}

#[test]
fn a_test_page_is_marked_goes_down_the_path_and_can_be_acknowledged() {
    let mut kept = Kept::new();
    let path = kept.roster.paths["treasury"].clone();
    let plan = test_page(&path, &kept.roster, T);
    kept.apply_change_set(&plan);
    assert_eq!(notified_recipients(&plan), "trigger pager");
    let Body::Page(page) = &plan.deliveries[0].body else { panic!("a page") };
    assert_eq!((page.marked.as_deref(), page.label.as_str()), (Some("TEST"), "Treasury Safe"));
    assert_eq!(notified_recipients(&kept.advance_timers(T + 300_000)), "trigger phone");
    assert_eq!(
        notified_recipients(&kept.respond_with(|i| acknowledge_incident(i, "on-call", T))),
        "acknowledge pager, acknowledge phone"
    );
    // A real finding is not hidden by a test.
    assert_eq!(
        notified_recipients(&kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T)),
        "trigger pager"
    );
    assert_eq!(kept.incidents.len(), 2);
}

#[test]
fn a_dead_page_takes_the_rest_of_the_path_and_is_one_incident_however_often() {
    let mut kept = Kept::new();
    let letter = kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T).deliveries[0].clone();
    assert_eq!(bury(&mut kept, &letter), "trigger phone");
    assert_eq!(bury(&mut kept, &letter), "", "further ones join without a word");
    let dead = kept.incidents.values().find(|i| i.label == "Delivery to pager").unwrap();
    assert_eq!(dead.page.headline, "A trigger about Treasury Safe could not be delivered to pager: 410 Gone");
    assert_eq!((dead.findings, dead.path.steps.len()), (1, 2));
    assert_eq!(dead.state.next_escalation(), Some(T + 600_000));
}

#[test]
fn a_dead_letter_about_a_dead_letter_comes_to_an_end() {
    let mut kept = Kept::new();
    kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T);
    let mut buried = 0;
    while let Some(letter) = kept.outbox.iter().find(|d| d.incident.is_some() && d.kind.as_str() == "trigger").cloned()
    {
        kept.outbox.retain(|other| other.key != letter.key);
        bury(&mut kept, &letter);
        buried += 1;
        assert!(buried < 20, "it goes on");
    }
    assert_eq!(buried, 4, "pager, phone, sms, and at last whoever else there is");
}

#[test]
fn a_path_whose_only_destination_is_dead_asks_everybody_else() {
    let mut kept = Kept::new();
    let finding = judged_abnormal(snt_transfer(TOKEN, 1, &[0], 1), "builtin/unvouched", Severity::High);
    let letter = kept.commit_block(1, vec![finding], T).deliveries[0].clone();
    assert_eq!(letter.destination, "token-pager");
    assert_eq!(bury(&mut kept, &letter), "trigger pager, trigger phone, trigger sms");
}

#[test]
fn a_dead_line_of_the_feed_is_notified_to_the_path_of_its_watch() {
    let mut kept = Kept::new();
    let plan = kept.commit_block(1, vec![judged_normal(snt_transfer(TREASURY, 1, &[0], 1))], T);
    assert_eq!(bury(&mut kept, &plan.deliveries[0]), "trigger chat");
}

#[test]
fn evidence_does_not_hide_behind_a_dead_letter_of_the_same_watch() {
    let mut kept = Kept::new();
    let letter = kept.commit_block(1, vec![judged_normal(snt_transfer(TREASURY, 1, &[0], 1))], T).deliveries[0].clone();
    kept.roster.paths.get_mut("treasury").unwrap().notify.clear();
    assert_eq!(bury(&mut kept, &letter), "trigger pager");
    assert_eq!(
        notified_recipients(&kept.commit_block(2, vec![treasury_finding(2, Severity::High)], T)),
        "trigger pager"
    );
    assert_eq!(kept.incidents.len(), 2);
}

#[test]
fn a_dead_page_pages_although_only_a_line_of_the_feed_had_died_there() {
    let mut kept = Kept::new();
    let line = kept.commit_block(1, vec![judged_normal(snt_transfer(TREASURY, 1, &[0], 1))], T).deliveries[0].clone();
    assert_eq!(bury(&mut kept, &Delivery { destination: "pager".into(), ..line }), "trigger chat");
    let page = kept.commit_block(2, vec![treasury_finding(2, Severity::Critical)], T).deliveries[0].clone();
    assert_eq!(page.destination, "pager");
    assert_eq!(bury(&mut kept, &page), "trigger phone, update chat");
    let dead = kept.incidents.values().find(|i| i.label == "Delivery to pager").unwrap();
    assert_eq!((dead.severity, dead.heard, dead.paging), (Severity::Critical, Some(Severity::Critical), true));
    let Body::Page(told) = &kept.outbox.iter().rfind(|d| d.destination == "phone").unwrap().body else { panic!() };
    assert!(told.headline.contains("Treasury Safe") && told.headline.contains("60,000"), "{}", told.headline);
}

#[test]
fn an_acknowledged_dead_letter_covers_no_other_incident_s_page() {
    let mut kept = Kept::new();
    // A path with one destination, so that no escalation would bring what it misses to anybody else.
    kept.roster.paths.insert("treasury".into(), paging_path("treasury", &[(&["pager"], 300)]));
    let first = kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T).deliveries[0].clone();
    assert_eq!(bury(&mut kept, &first), "trigger token-pager");
    let dead = kept.incidents.values().find(|i| i.label == "Delivery to pager").unwrap().clone();
    kept.apply_change_set(&acknowledge_incident(&dead, "on-call", T).unwrap());
    kept.apply_change_set(&resolve_incident(&kept.incidents[first.incident.as_ref().unwrap()], "on-call", T).unwrap());
    let second = kept.commit_block(2, vec![treasury_finding(2, Severity::High)], T).deliveries[0].clone();
    assert_ne!(second.incident, first.incident);
    assert_eq!(bury(&mut kept, &second), "trigger token-pager");
    let known = &kept.incidents[&dead.id];
    assert_eq!((known.state.kind(), known.state.acknowledged_by()), (State::Open, None));
    assert_eq!(bury(&mut kept, &second), "", "once for each incident");
    // Whoever answers the first of them answers what was on its pages.
    let escalated = kept.advance_timers(T + 300_000);
    let again = escalated.deliveries.iter().find(|d| d.destination == "pager").unwrap().clone();
    kept.apply_change_set(&acknowledge_incident(&kept.incidents[&dead.id], "on-call", T + 300_000).unwrap());
    assert_eq!(bury(&mut kept, &again), "", "it was on a page that somebody got");
}

#[test]
fn a_dead_page_that_somebody_alive_was_paged_for_joins_without_a_word() {
    let mut kept = Kept::new();
    kept.roster.paths.insert("treasury".into(), paging_path("treasury", &[(&["pager", "phone"], 300)]));
    let first = kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T).deliveries[0].clone();
    assert_eq!((first.destination.as_str(), bury(&mut kept, &first).as_str()), ("pager", "trigger phone"));
    kept.apply_change_set(&resolve_incident(&kept.incidents[first.incident.as_ref().unwrap()], "on-call", T).unwrap());
    let second = kept.commit_block(2, vec![treasury_finding(2, Severity::High)], T).deliveries[0].clone();
    assert_eq!(bury(&mut kept, &second), "");
}

#[test]
fn a_real_page_that_joins_the_dead_letter_of_a_test_is_no_test() {
    let mut kept = Kept::new();
    let path = kept.roster.paths["treasury"].clone();
    let plan = test_page(&path, &kept.roster, T);
    kept.apply_change_set(&plan);
    assert_eq!(bury(&mut kept, &plan.deliveries[0]), "trigger phone");
    let real = kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T).deliveries[0].clone();
    assert_eq!(bury(&mut kept, &real), "trigger phone");
    let Body::Page(told) = &kept.outbox.last().unwrap().body else { panic!("a page") };
    assert_eq!(told.marked, None);
}

#[test]
fn the_dead_pages_of_a_storm_are_held_back_as_its_pages_are() {
    let mut kept = Kept::new();
    kept.roster.paths.insert("treasury".into(), paging_path("treasury", &[(&["pager"], 300)]));
    let mut pages = 0;
    for n in 1..40_u32 {
        let plan = kept.commit_block(u64::from(n), vec![treasury_finding(n, Severity::High)], T + u64::from(n));
        let of_it = |d: &&Delivery| d.destination == "pager" && d.kind == DeliveryKind::Trigger;
        for letter in plan.deliveries.iter().filter(of_it) {
            let plan = dead_letter(letter, "410 Gone", &kept.open_state(), &kept.roster, T + u64::from(n));
            let others = |d: &&Delivery| d.destination == "token-pager" && d.kind == DeliveryKind::Trigger;
            pages += plan.deliveries.iter().filter(others).count();
            kept.keep_at(&plan, T + u64::from(n));
        }
        let about = kept.incidents.values().find(|i| {
            i.state.kind() == State::Open && i.origin.delivery_failure().is_none() && i.origin.storm().is_none()
        });
        if let Some(incident) = about.cloned() {
            kept.apply_change_set(&resolve_incident(&incident, "on-call", T + u64::from(n)).unwrap());
        }
    }
    assert!((2..=PAGES_MAX + 1).contains(&pages), "{pages}");
    assert!(kept.incidents.values().any(|incident| incident.origin.storm().is_some()), "the rest stands in the storm");
}

#[test]
fn a_message_past_the_store_goes_to_whoever_is_next_until_nobody_is_left() {
    let mut kept = Kept::new();
    let page = kept.commit_block(1, vec![treasury_finding(1, Severity::High)], T).deliveries[0].clone();
    let mut incident = kept.only_incident().clone();
    let mut keys = BTreeSet::from([page.key.clone()]);
    let mut refused: Vec<String> = Vec::new();
    for next in ["phone", "sms", "token-pager"] {
        refused.push(incident.told.last().unwrap().clone());
        let passed = pass_on(&mut incident, &page, &refused, &kept.roster);
        assert_eq!(passed.iter().map(|d| d.destination.as_str()).collect::<Vec<_>>(), [next]);
        assert_eq!((passed[0].kind, &passed[0].body), (DeliveryKind::Trigger, &page.body));
        assert!(keys.insert(passed[0].key.clone()), "each has a key of its own");
    }
    assert_eq!(incident.told, ["pager", "phone", "sms", "token-pager"]);
    refused.push("token-pager".to_owned());
    assert!(pass_on(&mut incident, &page, &refused, &kept.roster).is_empty());
    // Those who took it are told again, those who did not are not asked again.
    let passed = pass_on(&mut incident, &page, &refused[..1], &kept.roster);
    assert_eq!(passed.iter().map(|d| d.destination.as_str()).collect::<Vec<_>>(), ["phone"]);
}
