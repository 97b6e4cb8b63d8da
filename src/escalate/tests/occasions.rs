//! Test pages and dead letters.

use crate::escalate::fixtures::*;
use crate::escalate::{acknowledge, dead_letter, test_page};
use crate::model::incident::Body;
use crate::model::{Severity, incident::Delivery};

fn bury(kept: &mut Kept, letter: &Delivery) -> String {
    let plan = dead_letter(letter, "410 Gone", &kept.live(), &kept.roster, T);
    kept.keep_at(&plan, T);
    told(&plan)
}

#[test]
fn a_test_page_is_marked_goes_down_the_path_and_can_be_acknowledged() {
    let mut kept = Kept::new();
    let path = kept.roster.paths["treasury"].clone();
    let plan = test_page(&path, &kept.roster, T);
    kept.keep(&plan);
    assert_eq!(told(&plan), "trigger pager");
    let Body::Page(page) = &plan.deliveries[0].body else { panic!("a page") };
    assert_eq!((page.marked.as_deref(), page.label.as_str()), (Some("TEST"), "Treasury Safe"));
    assert_eq!(told(&kept.tick(T + 300_000)), "trigger phone");
    assert_eq!(told(&kept.answer(|i| acknowledge(i, "on-call", T))), "acknowledge pager, acknowledge phone");
    // The real thing does not hide behind a test.
    assert_eq!(told(&kept.block(1, vec![stray(1, Severity::High)], T)), "trigger pager");
    assert_eq!(kept.incidents.len(), 2);
}

#[test]
fn a_dead_page_takes_the_rest_of_the_path_and_is_one_incident_however_often() {
    let mut kept = Kept::new();
    let letter = kept.block(1, vec![stray(1, Severity::High)], T).deliveries[0].clone();
    assert_eq!(bury(&mut kept, &letter), "trigger phone");
    assert_eq!(bury(&mut kept, &letter), "", "further ones join without a word");
    let dead = kept.incidents.values().find(|i| i.label == "Delivery to pager").unwrap();
    assert_eq!(dead.page.headline, "A trigger about Treasury Safe could not be delivered to pager: 410 Gone");
    assert_eq!((dead.findings, dead.path.steps.len()), (1, 2));
    assert_eq!(dead.next_escalation, Some(T + 600_000));
}

#[test]
fn a_dead_letter_about_a_dead_letter_comes_to_an_end() {
    let mut kept = Kept::new();
    kept.block(1, vec![stray(1, Severity::High)], T);
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
    let finding = raise(transfer(TOKEN, 1, &[0], 1), "builtin/unvouched", Severity::High);
    let letter = kept.block(1, vec![finding], T).deliveries[0].clone();
    assert_eq!(letter.destination, "token-pager");
    assert_eq!(bury(&mut kept, &letter), "trigger pager, trigger phone, trigger sms");
}

#[test]
fn a_dead_line_of_the_feed_is_notified_to_the_path_of_its_watch() {
    let mut kept = Kept::new();
    let plan = kept.block(1, vec![normal(transfer(TREASURY, 1, &[0], 1))], T);
    assert_eq!(bury(&mut kept, &plan.deliveries[0]), "trigger chat");
}

#[test]
fn evidence_does_not_hide_behind_a_dead_letter_of_the_same_watch() {
    let mut kept = Kept::new();
    let letter = kept.block(1, vec![normal(transfer(TREASURY, 1, &[0], 1))], T).deliveries[0].clone();
    kept.roster.paths.get_mut("treasury").unwrap().notify.clear();
    assert_eq!(bury(&mut kept, &letter), "trigger pager");
    assert_eq!(told(&kept.block(2, vec![stray(2, Severity::High)], T)), "trigger pager");
    assert_eq!(kept.incidents.len(), 2);
}
