//! Findings of queued transactions.

use crate::escalate::fixtures::*;
use crate::escalate::{Routing, StepJudged, proposal_change_set};
use crate::model::activity::Note;
use crate::model::incident::{ChangeSet, OpenState};
use crate::model::incident_state::State;
use crate::model::proposals::Progress;
use crate::model::{Anchor, ChainId, Fate, JudgedBlock, Severity, Stage};
use alloy_primitives::{B256, U256};

/// Returns a transfer that no rule vouches for, with `confirmed` of 2 confirmations, first seen at block 1.
fn waits(confirmed: u32) -> JudgedBlock {
    let mut judged = treasury_finding(1, Severity::High);
    (judged.activity.stage, judged.activity.fate) = (Stage::Proposed, Fate::Waiting);
    judged.activity.notes.push(Note::Queued(Progress { nonce: U256::from(7), confirmed, threshold: 2, next: true }));
    judged_block(Anchor::Proposed { since: 1 }, block_ref(0, 0), vec![judged])
}

fn look(kept: &mut Kept, blocks: &[JudgedBlock], news: &[(B256, String)]) -> ChangeSet {
    let standing = OpenState {
        incidents: kept.incidents.values().cloned().collect(),
        findings: kept.findings.values().cloned().collect(),
        paged: kept.paged.clone(),
        contested: Vec::new(),
    };
    let info = mainnet_info();
    let step = StepJudged { chain: &info, retract: &[], blocks };
    let plan = proposal_change_set(
        &step,
        &standing,
        &Routing { lateness: [(ChainId(1), 48)].into(), ..sample_routing() },
        T + 86_400_000,
        news,
    );
    kept.apply_change_set(&plan);
    plan
}

#[test]
fn it_pages_once_and_what_is_judged_again_tells_nothing() {
    let mut kept = Kept::new();
    assert_eq!(notified_recipients(&look(&mut kept, &[waits(0)], &[])), "trigger pager");
    let incident = kept.only_incident().clone();
    let evidence = &incident.page.evidence[0];
    assert!(evidence.headline.ends_with("(queued at nonce 7, 0 of 2 confirmed)"), "{}", evidence.headline);
    assert_eq!((&*evidence.stage, evidence.late), ("proposed", None), "a day later it is not late");
    assert!(incident.page.links.iter().all(|link| !link.href.contains("/tx/")), "no explorer knows its hash");
    let again = look(&mut kept, &[waits(0)], &[]);
    assert!(again.incidents.is_empty() && again.findings.is_empty() && notified_recipients(&again).is_empty());
}

#[test]
fn what_comes_of_it_is_an_update_to_whoever_was_told() {
    let mut kept = Kept::new();
    look(&mut kept, &[waits(0)], &[]);
    assert_eq!(notified_recipients(&look(&mut kept, &[waits(2)], &[])), "update pager");
    let headline = &kept.only_incident().page.headline;
    assert!(headline.ends_with("(queued at nonce 7, 2 of 2 confirmed, can be executed now)"), "{headline}");
    assert_eq!(
        notified_recipients(&look(&mut kept, &[], &[(numbered_tx_hash(1), "It was executed".to_owned())])),
        "update pager"
    );
    assert_eq!(
        notified_recipients(&look(&mut kept, &[], &[(numbered_tx_hash(2), "Nobody was told of this one".to_owned())])),
        ""
    );
}

#[test]
fn its_execution_joins_and_no_reorg_takes_it_back() {
    let mut kept = Kept::new();
    look(&mut kept, &[waits(0)], &[]);
    kept.commit_block(1, vec![treasury_finding(2, Severity::High)], T);
    let incident = kept.only_incident();
    assert_eq!((incident.findings, incident.standing), (2, 2));
    kept.commit_step(&[block_ref(1, 0)], &[], T);
    let incident = kept.only_incident();
    assert_eq!(
        (incident.state.kind(), incident.standing),
        (State::Open, 1),
        "what somebody proposed is proposed still"
    );
}
