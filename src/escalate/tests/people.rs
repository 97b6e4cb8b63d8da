//! Time and answers.

use crate::escalate::fixtures::*;
use crate::escalate::{Refusal, acknowledge, false_alarm, resolve};
use crate::model::Severity;
use crate::model::incident::State;

fn paged() -> Kept {
    let mut kept = Kept::new();
    kept.block(1, vec![stray(1, Severity::High)], T);
    kept
}

#[test]
fn each_step_is_told_when_its_time_comes_and_the_last_repeats_for_ever() {
    let mut kept = paged();
    assert_eq!(told(&kept.tick(T + 299_999)), "");
    // The pager is in the second step too, and was told.
    assert_eq!(told(&kept.tick(T + 300_000)), "trigger phone");
    assert_eq!(told(&kept.tick(T + 300_000)), "");
    assert_eq!(told(&kept.tick(T + 900_000)), "trigger sms");
    for round in 1..=100 {
        assert_eq!(told(&kept.tick(T + 900_000 + round * 900_000)), "trigger sms");
    }
    assert_eq!(kept.only().cycle, 0);
}

#[test]
fn after_a_pause_one_step_is_told_and_gets_its_time() {
    let mut kept = paged();
    assert_eq!(told(&kept.tick(T + 86_400_000)), "trigger phone");
    assert_eq!(kept.only().next_escalation, Some(T + 86_400_000 + 600_000));
}

#[test]
fn a_step_of_people_who_were_told_already_is_passed_over() {
    let mut kept = Kept::new();
    let path = kept.roster.paths.get_mut("treasury").unwrap();
    path.steps[1].to = vec!["pager".into()];
    kept.block(1, vec![stray(1, Severity::High)], T);
    assert_eq!(told(&kept.tick(T + 300_000)), "trigger sms");
    assert_eq!(kept.only().step, 2);
}

#[test]
fn an_acknowledgement_stops_the_escalation_and_tells_whoever_was_told() {
    let mut kept = paged();
    kept.tick(T + 300_000);
    let plan = kept.answer(|incident| acknowledge(incident, "security-primary", T + 310_000));
    assert_eq!(told(&plan), "acknowledge pager, acknowledge phone");
    assert_eq!((kept.only().state, kept.only().next_escalation), (State::Acknowledged, None));
    assert_eq!(told(&kept.tick(T + 900_000)), "");
    assert_eq!(
        acknowledge(kept.only(), "security-secondary", T),
        Err(Refusal::Acknowledged("security-primary".to_owned()))
    );
}

#[test]
fn an_acknowledgement_expires_and_paging_begins_anew() {
    let mut kept = paged();
    kept.tick(T + 300_000);
    kept.answer(|incident| acknowledge(incident, "security-primary", T));
    assert_eq!(told(&kept.tick(T + 1_800_000)), "trigger pager");
    let incident = kept.only();
    assert_eq!((incident.state, incident.cycle, incident.step), (State::Open, 1, 0));
    assert_eq!((&incident.acked_by, incident.next_escalation), (&None, Some(T + 2_100_000)));
    // Whoever was told in the first round is told again in this one.
    assert_eq!(told(&kept.tick(T + 2_100_000)), "trigger phone");
}

#[test]
fn a_resolved_incident_is_over_and_everybody_who_was_told_knows() {
    let mut kept = paged();
    kept.tick(T + 300_000);
    let plan = kept.answer(|incident| resolve(incident, "security-primary", T + 1));
    assert_eq!(told(&plan), "resolve pager, resolve phone");
    let incident = kept.only();
    assert_eq!((incident.state, incident.closed_by.as_deref()), (State::Resolved, Some("security-primary")));
    assert_eq!(incident.closed_at, Some(T + 1));
    assert_eq!(told(&kept.tick(T + 86_400_000)), "");
    assert_eq!(resolve(kept.only(), "x", T), Err(Refusal::Closed(State::Resolved)));
    assert_eq!(acknowledge(kept.only(), "x", T), Err(Refusal::Closed(State::Resolved)));
}

#[test]
fn what_comes_after_a_resolved_incident_opens_a_new_one() {
    let mut kept = paged();
    kept.answer(|incident| false_alarm(incident, "security-primary", T));
    assert_eq!(kept.only().state, State::FalseAlarm);
    let plan = kept.block(2, vec![stray(2, Severity::High)], T);
    assert_eq!((told(&plan).as_str(), kept.incidents.len()), ("trigger pager", 2));
}
