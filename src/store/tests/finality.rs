//! Finality of blocks and findings, their confirmations, and permissions to undo final blocks.

use super::*;
use crate::model::incident::Finding;
use crate::model::incident_state::State;
use crate::model::{Confidence, Finality, FindingId, Provenance, Severity, Verification};
use crate::store::{ConfidenceGain, Filter, GAINED_MAX, OverrideEnd, Settled, StoreError};

use Finality::{Finalized, Included, Safe};

/// Returns a block that one of two endpoints has served so far.
fn once(block: JudgedBlock) -> JudgedBlock {
    JudgedBlock { sight: Provenance { sources: 1, endpoints: 2, proof: Verification::Proven }, ..block }
}

/// Creates a kit with blocks 1 to 4 and a finding in each, all in one incident.
async fn four() -> (Kit, Vec<FindingId>) {
    let kit = Kit::new().await;
    let mut ids = Vec::new();
    for number in 1..=4 {
        let judged = vec![treasury_finding(number as u32, Severity::High)];
        let plan = kit
            .step(&[], vec![once(judged_block(block_ref(number, 0), block_ref(number - 1, 0), judged))])
            .await
            .unwrap();
        ids.push(plan.findings[0].id.clone());
    }
    (kit, ids)
}

impl Kit {
    async fn promote(&self, level: Finality, number: u64) -> Option<Vec<FindingId>> {
        self.store.promote_finality(MAINNET, level, block_ref(number, 0)).await.unwrap().map(|gained| gained.findings)
    }

    async fn confirm(&self, number: u64, sources: u32) -> Option<Vec<FindingId>> {
        self.store.confirm_block(MAINNET, block_ref(number, 0), sources).await.unwrap().map(|gained| gained.findings)
    }

    async fn settled(&self) -> (Option<u64>, Option<u64>) {
        let Settled { safe, finalized } = self.store.settled_finality(MAINNET).await.unwrap();
        (safe.map(|at| at.number), finalized.map(|at| at.number))
    }

    pub(super) async fn only(&self) -> crate::model::incident::Incident {
        let incidents = self.store.list_incidents(Filter::default()).await.unwrap();
        assert_eq!(incidents.len(), 1);
        incidents.into_iter().next().unwrap()
    }

    async fn findings(&self) -> Vec<Finding> {
        self.store.findings_of(&self.only().await.id).await.unwrap()
    }

    async fn levels(&self) -> Vec<Finality> {
        self.findings().await.iter().map(|finding| finding.footing.finality).collect()
    }

    async fn sources(&self) -> Vec<u32> {
        self.findings().await.iter().map(|finding| finding.footing.sources).collect()
    }
}

#[tokio::test]
async fn a_promotion_reaches_every_finding_up_to_its_block_and_no_other() {
    let (kit, ids) = four().await;
    assert_eq!(kit.levels().await, [Included; 4]);
    let messages = kit.number("SELECT count(*) FROM outbox");
    assert_eq!(kit.promote(Safe, 3).await.unwrap(), ids[..3]);
    assert_eq!(kit.levels().await, [Safe, Safe, Safe, Included]);
    assert_eq!(kit.promote(Finalized, 2).await.unwrap(), ids[..2]);
    assert_eq!(kit.levels().await, [Finalized, Finalized, Safe, Included]);
    assert_eq!(kit.settled().await, (Some(3), Some(2)));
    // Only findings that the next block makes final are returned, and none twice.
    assert_eq!(kit.promote(Finalized, 3).await.unwrap(), ids[2..3]);
    assert_eq!(kit.number("SELECT count(*) FROM outbox"), messages, "nobody is told of a promotion");
}

#[tokio::test]
async fn finality_is_written_once_never_lowered_and_never_taken_from_a_block_of_another_chain() {
    let (kit, _) = four().await;
    assert_eq!(kit.promote(Included, 4).await, None, "everything is included");
    assert!(kit.promote(Safe, 3).await.is_some());
    assert_eq!(kit.promote(Safe, 3).await, None, "the same again is nothing new");
    assert_eq!(kit.promote(Safe, 2).await, None, "a node that lags lowers nothing");
    assert_eq!(kit.promote(Safe, 99).await, None, "a block we do not have is nothing of ours");
    let foreign = kit.store.promote_finality(MAINNET, Finalized, block_ref(4, 7)).await.unwrap();
    assert_eq!(foreign, None, "a block of another branch says nothing of ours");
    assert_eq!(kit.store.promote_finality(ChainId(5), Safe, block_ref(3, 0)).await.unwrap(), None);
    assert_eq!(kit.settled().await, (Some(3), None));
    assert!(kit.promote(Finalized, 4).await.is_some());
    assert_eq!(kit.settled().await, (Some(4), Some(4)), "what is finalized is safe");
}

#[tokio::test]
async fn an_incident_is_as_final_as_the_newest_of_its_standing_findings() {
    let (kit, _) = four().await;
    let finality =
        |incident: &crate::model::incident::Incident| (incident.footing.unwrap().finality, incident.page.finality);
    kit.promote(Safe, 3).await.unwrap();
    assert_eq!(finality(&kit.only().await), (Included, Some(Included)));
    kit.promote(Safe, 4).await.unwrap();
    assert_eq!(finality(&kit.only().await), (Safe, Some(Safe)));
    kit.promote(Finalized, 3).await.unwrap();
    assert_eq!(finality(&kit.only().await), (Safe, Some(Safe)));
    // The reorg removes the weakest evidence; the remaining evidence was final before.
    let plan =
        kit.step(&[block_ref(4, 0)], vec![judged_block(block_ref(4, 1), block_ref(3, 0), vec![])]).await.unwrap();
    assert_eq!(notified_recipients(&plan), "retract pager");
    assert_eq!(finality(&kit.only().await), (Finalized, Some(Finalized)));
    let id = kit.only().await.id;
    let how = |incident: &_| crate::escalate::resolve_incident(incident, "x", T);
    kit.store.commit_response(id, T, Some(u32::MAX), how).await.unwrap().unwrap();
    assert_eq!((kit.only().await.state.kind(), finality(&kit.only().await).0), (State::Resolved, Finalized));
}

#[tokio::test]
async fn the_page_that_is_told_next_knows_what_was_confirmed_and_promoted_meanwhile() {
    let (kit, _) = four().await;
    let page = |plan: &ChangeSet| match &plan.deliveries[0].body {
        crate::model::incident::Body::Page(page) => page.clone(),
        body => panic!("a page, not {body:?}"),
    };
    let unconfirmed =
        page(&kit.store.commit_change(T, |live| crate::escalate::advance_timers(live, T + 301_000)).await.unwrap());
    assert!(unconfirmed.evidence.iter().all(|evidence| evidence.footing.is_unconfirmed()));
    kit.confirm(4, 2).await.unwrap();
    kit.promote(Safe, 2).await.unwrap();
    let later =
        page(&kit.store.commit_change(T, |live| crate::escalate::advance_timers(live, T + 2_000_000)).await.unwrap());
    assert!(!later.evidence.iter().any(|evidence| evidence.footing.is_unconfirmed()));
    let levels: Vec<_> = later.evidence.iter().map(|evidence| (evidence.block, evidence.footing.finality)).collect();
    assert_eq!(levels, [(4, Included), (3, Included), (2, Safe), (1, Safe)]);
}

#[tokio::test]
async fn a_confirmation_counts_for_every_block_before_it_and_is_never_lowered() {
    let (kit, ids) = four().await;
    assert_eq!(kit.confirm(2, 2).await.unwrap(), ids[..2]);
    assert_eq!(kit.sources().await, [2, 2, 1, 1]);
    assert!(kit.only().await.footing.unwrap().is_unconfirmed(), "its newest finding is");
    assert_eq!(kit.confirm(2, 2).await, None, "the same again is nothing new");
    assert_eq!(kit.confirm(4, 3).await.unwrap(), ids, "whoever holds block 4 holds the others");
    assert_eq!(kit.confirm(4, 2).await, None, "an endpoint that went away takes nothing back");
    assert_eq!(kit.store.confirm_block(MAINNET, block_ref(4, 7), 9).await.unwrap(), None, "a block of another branch");
    assert_eq!((kit.sources().await, kit.only().await.footing.unwrap().sources), (vec![3; 4], 3));
    assert_eq!(kit.number("SELECT min(sources) FROM blocks"), 3);
    assert!(!kit.only().await.footing.unwrap().is_unconfirmed());
}

#[tokio::test]
async fn a_block_that_comes_confirmed_confirms_what_it_builds_on() {
    let (kit, _) = four().await;
    kit.block(5, vec![]).await;
    assert_eq!(kit.sources().await, [2; 4]);
    assert!(kit.only().await.page.evidence.iter().all(|evidence| evidence.footing.sources == 2));
}

#[tokio::test]
async fn a_reorg_takes_back_what_was_said_of_the_blocks_it_takes_away() {
    let (kit, _) = four().await;
    kit.promote(Safe, 4).await.unwrap();
    kit.promote(Finalized, 1).await.unwrap();
    kit.confirm(4, 2).await.unwrap();
    let moved = once(judged_block(block_ref(3, 1), block_ref(2, 0), vec![treasury_finding(4, Severity::High)]));
    kit.step(&[block_ref(4, 0), block_ref(3, 0)], vec![moved]).await.unwrap();
    assert_eq!(kit.settled().await, (Some(2), Some(1)), "the block below was as safe as those above");
    assert_eq!(kit.store.settled_finality(MAINNET).await.unwrap().safe, Some(block_ref(2, 0)));
    assert_eq!(kit.levels().await, [Finalized, Safe, Included, Included]);
    assert_eq!(kit.sources().await, [2, 2, 2, 1], "in its new block nobody else has seen it yet");
    assert!(kit.findings().await[2].orphaned);
    assert!(kit.only().await.footing.unwrap().is_unconfirmed());
}

#[tokio::test]
async fn what_is_final_is_not_undone_and_the_refusal_leaves_everything_as_it_was() {
    let (kit, _) = four().await;
    kit.promote(Finalized, 3).await.unwrap();
    kit.step(&[block_ref(4, 0)], vec![judged_block(block_ref(4, 1), block_ref(3, 0), vec![])])
        .await
        .expect("above the final block all is as ever");
    let refusal = kit
        .step(&[block_ref(4, 1), block_ref(3, 0)], vec![judged_block(block_ref(3, 1), block_ref(2, 0), vec![])])
        .await
        .unwrap_err();
    assert!(
        matches!(refusal, StoreError::Finalized { finalized, retracted } if (finalized, retracted) == (block_ref(3, 0), block_ref(3, 0)))
    );
    assert_eq!(kit.store.last_committed_block(MAINNET).await.unwrap(), Some(block_ref(4, 1)));
    assert_eq!(kit.settled().await, (Some(3), Some(3)));
}

#[tokio::test]
async fn a_person_s_word_undoes_what_is_final_once_and_stays_on_record() {
    let (kit, _) = four().await;
    kit.promote(Finalized, 3).await.unwrap();
    let fork = || {
        vec![
            judged_block(block_ref(3, 1), block_ref(2, 0), vec![]),
            judged_block(block_ref(4, 1), block_ref(3, 1), vec![]),
        ]
    };
    let retract = [block_ref(4, 0), block_ref(3, 0)];
    let undo = |named: BlockRef| {
        let roster = kit.roster.clone();
        let step = OwnedStepJudged { undo: Some(named.hash), ..kit.owned(&retract, fork()) };
        kit.store.commit_step(step, T + 5, move |step, standing| step_change_set(step, standing, &roster, T))
    };
    let refused = |outcome| matches!(outcome, Err(StoreError::Finalized { .. }));
    assert!(refused(undo(block_ref(4, 1)).await), "a step that says so itself is not enough");
    let ours = kit.store.allow_reorg(MAINNET, block_ref(2, 0).hash, "treasury-lead", T).await;
    assert!(matches!(ours, Err(StoreError::Unknown(_))), "a block that is ours undoes nothing");
    assert!(
        kit.store.allow_reorg(ChainId(5), block_ref(4, 1).hash, "treasury-lead", T).await.is_err(),
        "no such chain"
    );

    kit.store.allow_reorg(MAINNET, block_ref(9, 9).hash, "on-call", T + 1).await.unwrap();
    let allowed = kit.store.allow_reorg(MAINNET, block_ref(4, 1).hash, "treasury-lead", T + 2).await.unwrap();
    assert_eq!(kit.store.open_reorg_override(MAINNET).await.unwrap(), Some(allowed.clone()));
    assert!(refused(undo(block_ref(9, 9)).await), "it has been replaced");
    assert!(refused(kit.step(&retract, fork()).await), "a step has to name it");
    assert_eq!(notified_recipients(&undo(block_ref(4, 1)).await.unwrap()), "retract pager");
    assert_eq!(kit.store.last_committed_block(MAINNET).await.unwrap(), Some(block_ref(4, 1)));
    assert_eq!(kit.settled().await, (Some(2), Some(2)), "what lies below is as final as it was");

    let used = OverrideEnd::Used { at_ms: T + 5, undone: block_ref(3, 0) };
    let replaced = OverrideEnd::Replaced { by: "treasury-lead".to_owned(), at_ms: T + 2 };
    let record = kit.store.list_reorg_overrides(MAINNET, 10).await.unwrap();
    let ends: Vec<_> = record.into_iter().map(|allowance| (allowance.by, allowance.end)).collect();
    assert_eq!(ends, [("treasury-lead".to_owned(), Some(used)), ("on-call".to_owned(), Some(replaced))]);
    assert_eq!(kit.store.open_reorg_override(MAINNET).await.unwrap(), None);

    kit.store.promote_finality(MAINNET, Finalized, block_ref(4, 1)).await.unwrap().unwrap();
    let again = OwnedStepJudged { undo: Some(block_ref(4, 1).hash), ..kit.owned(&[block_ref(4, 1)], vec![]) };
    assert!(refused(kit.store.commit_step(again, T, |_, _| ChangeSet::default()).await), "it was good for one step");
}

#[tokio::test]
async fn what_was_allowed_can_be_taken_back_and_an_ordinary_reorg_does_not_use_it_up() {
    let (kit, _) = four().await;
    kit.promote(Finalized, 2).await.unwrap();
    kit.store.allow_reorg(MAINNET, block_ref(4, 1).hash, "treasury-lead", T).await.unwrap();
    let shallow = vec![judged_block(block_ref(4, 2), block_ref(3, 0), vec![])];
    let step = OwnedStepJudged { undo: Some(block_ref(4, 1).hash), ..kit.owned(&[block_ref(4, 0)], shallow) };
    kit.store.commit_step(step, T, |_, _| ChangeSet::default()).await.unwrap();
    assert!(kit.store.open_reorg_override(MAINNET).await.unwrap().is_some());
    let withdrawn = kit.store.withdraw_reorg_override(MAINNET, "on-call", T + 1).await.unwrap().unwrap();
    assert_eq!(withdrawn.end, Some(OverrideEnd::Withdrawn { by: "on-call".to_owned(), at_ms: T + 1 }));
    assert_eq!(kit.store.list_reorg_overrides(MAINNET, 10).await.unwrap(), [withdrawn]);
    assert_eq!(kit.store.withdraw_reorg_override(MAINNET, "on-call", T + 2).await.unwrap(), None);
    let retract = [block_ref(4, 2), block_ref(3, 0), block_ref(2, 0)];
    let step = OwnedStepJudged { undo: Some(block_ref(4, 1).hash), ..kit.owned(&retract, vec![]) };
    let outcome = kit.store.commit_step(step, T, |_, _| ChangeSet::default()).await;
    assert!(matches!(outcome, Err(StoreError::Finalized { finalized, .. }) if finalized == block_ref(2, 0)));
}

#[tokio::test]
async fn finality_outlives_a_restart_and_a_stretch_of_its_own_begins_without_any() {
    let (kit, _) = four().await;
    kit.promote(Finalized, 2).await.unwrap();
    let other = kit.other().await;
    assert_eq!(other.settled_finality(MAINNET).await.unwrap().finalized, Some(block_ref(2, 0)));
    kit.store.begin_stretch(MAINNET, 70).await.unwrap();
    assert_eq!(other.settled_finality(MAINNET).await.unwrap(), Settled::default());
    assert_eq!(other.settled_finality(ChainId(5)).await.unwrap(), Settled::default());
}

#[tokio::test]
async fn a_promotion_names_as_many_findings_as_anybody_reads_and_counts_the_rest() {
    let kit = Kit::new().await;
    let n = GAINED_MAX as u32 + 5;
    kit.block(1, (1..=n).map(|n| treasury_finding(n, Severity::Warning)).collect()).await;
    let ConfidenceGain { findings, more } =
        kit.store.promote_finality(MAINNET, Safe, block_ref(1, 0)).await.unwrap().unwrap();
    assert_eq!((findings.len(), more), (GAINED_MAX, 5));
}

#[tokio::test]
async fn an_auditor_reads_the_stage_of_every_activity_out_of_the_file() {
    let (kit, _) = four().await;
    kit.promote(Safe, 3).await.unwrap();
    kit.promote(Finalized, 1).await.unwrap();
    kit.step(&[block_ref(4, 0)], vec![]).await.unwrap();
    let db = rusqlite::Connection::open(kit.file()).unwrap();
    let mut statement = db.prepare("SELECT stage FROM staged ORDER BY number").unwrap();
    let stages: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(stages, ["finalized", "safe", "safe", "orphaned"]);
}

#[tokio::test]
async fn a_store_of_before_there_was_finality_keeps_its_findings_in_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(include_str!("../migrations/0001_first.sql")).unwrap();
    let plan = {
        let mut kept = Kept::new();
        kept.commit_block(7, vec![treasury_finding(1, Severity::High)], T)
    };
    // The shape of a body of that schema.
    let shaped = |body: serde_json::Value, earlier: serde_json::Value| {
        let (serde_json::Value::Object(mut body), serde_json::Value::Object(earlier)) = (body, earlier) else {
            panic!("objects")
        };
        body.retain(|name, _| !["footing", "origin", "state", "anchor"].contains(&name.as_str()));
        body.extend(earlier);
        serde_json::Value::Object(body).to_string()
    };
    let watch = numbered_address(TREASURY);
    let earlier = serde_json::json!({ "chain": 1, "watch": watch, "state": "open" });
    let incident = shaped(serde_json::to_value(&plan.incidents[0]).unwrap(), earlier);
    let earlier = serde_json::json!({ "at": block_ref(7, 0) });
    let finding = shaped(serde_json::to_value(&plan.findings[0]).unwrap(), earlier);
    let (id, block) = (plan.incidents[0].id.as_str(), block_ref(7, 0).hash.to_string());
    db.execute_batch(&format!(
        "PRAGMA application_id = 1464224082; PRAGMA user_version = 1; INSERT INTO chains VALUES (1, 7); \
         INSERT INTO blocks VALUES (1, 7, '{block}', '{}', 1); \
         INSERT INTO incidents VALUES (1, '{id}', 1, 'w', 'treasury', 'open', 1, 'high', 0, NULL, '{incident}'); \
         INSERT INTO findings VALUES (1, '{}', '{id}', 1, '{block}', 't', 'w', 'r', 'high', 1, 0, '{finding}');",
        block_ref(6, 0).hash,
        plan.findings[0].id,
    ))
    .unwrap();
    drop(db);
    let store = Store::open(&path).await.unwrap();
    let incident = store.find_incident(id).await.unwrap();
    assert_eq!(incident.footing, Some(Confidence::default()), "one endpoint's word, as everything was then");
    let gained = store.promote_finality(MAINNET, Safe, block_ref(7, 0)).await.unwrap().unwrap();
    assert_eq!(gained.findings, [plan.findings[0].id.clone()]);
    assert_eq!(store.findings_of(&incident.id).await.unwrap()[0].footing.finality, Safe);
}
