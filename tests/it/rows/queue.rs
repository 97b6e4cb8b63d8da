//! Queues of Safes: what a Safe Transaction Service lists, and what the Safe does past it. Seen by the program as it is run.

use super::Row;
use crate::support::accounts::{OWNER_A, OWNER_B, OWNER_C, RELAYER, STRANGER};
use crate::support::queued_treasury::{QueuedTreasury, SOON};
use crate::support::safe::{SafeTx, Signer};
use crate::support::treasury::SIGNERS;
use alloy_primitives::B256;
use watchfire::model::Severity::{self, Critical, High, Warning};

pub(super) const ROWS: &[&Row] = &[&Q1, &Q2, &Q3, &Q4, &Q5, &S14_QUEUE, &S14_OLD, &S15];

/// The attack of `row` is found as the row says.
async fn found(row: &Row, stage: &QueuedTreasury) {
    let wanted = format!(" {} {} ", row.severity, row.by);
    stage.until(&format!("{} is found", row.id), || stage.findings().iter().any(|found| found.contains(&wanted))).await;
    stage.looked(2).await;
    let findings = stage.findings();
    assert_eq!(stage.incidents().len(), row.incidents, "incidents of {}: {findings:#?}", row.id);
    let loud = |found: &&String| Severity::ALL.into_iter().rfind(|level| found.contains(&format!(" {level} ")));
    let loudest = findings.iter().collect::<Vec<_>>().iter().filter_map(loud).max();
    assert_eq!(loudest, Some(row.severity), "the loudest of {}: {findings:#?}", row.id);
}

/// What looks like it is silent.
async fn is_quiet(row: &Row, stage: &QueuedTreasury) {
    stage.looked(4).await;
    assert!(!stage.verdicts().is_empty(), "beside {}: nothing was seen at all", row.id);
    assert!(stage.findings().is_empty(), "beside {}: {:#?}", row.id, stage.findings());
}

const Q1: Row = Row {
    id: "Q1",
    finds: "the confirmations of a queued payment are signatures over something else",
    by: "builtin/queue-signature",
    severity: Critical,
    incidents: 1,
    beside: "signatures by key, by `eth_sign` and by a contract that is an owner, all over the payment",
};

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_of_something_else() {
    let stage = QueuedTreasury::new().await;
    let _process = stage.start().await;
    let (grants, vault) = (&stage.treasury.grants, &stage.treasury.vault);
    let (grant, nonce) = (stage.grant(), stage.nonce(grants).await);
    let honest = stage.service.propose(grants, &grant, nonce, OWNER_A.address);
    honest.signed(Signer::Key(OWNER_A)).signed(Signer::PersonalMessage(OWNER_B)).list();
    let coins = stage.small_grant();
    let by_contract = Signer::Contract(&stage.treasury.council, &[OWNER_A, OWNER_B]);
    stage.service.propose(vault, &coins, stage.nonce(vault).await, OWNER_C.address).signed(by_contract).list();
    is_quiet(&Q1, &stage).await;
    let swapped = stage.service.propose(grants, &grant, nonce + 1, OWNER_A.address);
    swapped.signed_instead(Signer::Key(OWNER_A), &stage.takeover()).list();
    found(&Q1, &stage).await;
}

const Q2: Row = Row {
    id: "Q2",
    finds: "a queued payment to somebody who is not listed",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "a queued payment to a listed payee, not signed yet, by the rule about payments",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_payment_to_somebody_unlisted() {
    let stage = QueuedTreasury::new().await;
    let _process = stage.start().await;
    let grants = &stage.treasury.grants;
    let nonce = stage.nonce(grants).await;
    stage.service.propose(grants, &stage.grant(), nonce, OWNER_A.address).list();
    is_quiet(&Q2, &stage).await;
    stage.service.propose(grants, &stage.theft(), nonce + 1, OWNER_A.address).list();
    found(&Q2, &stage).await;
}

const Q3: Row = Row {
    id: "Q3",
    finds: "foreign code is queued to run as the Safe by delegatecall",
    by: "builtin/delegatecall",
    severity: Critical,
    incidents: 1,
    beside: "a queued batch through MultiSend, whose payments the rules list",
};

#[tokio::test(flavor = "multi_thread")]
async fn foreign_code_is_queued() {
    let stage = QueuedTreasury::new().await;
    let _process = stage.start().await;
    let grants = &stage.treasury.grants;
    let nonce = stage.nonce(grants).await;
    let batch = grants.batch(&[stage.grant(), stage.grant()]);
    stage.service.propose(grants, &batch, nonce, OWNER_A.address).list();
    is_quiet(&Q3, &stage).await;
    stage.service.propose(grants, &stage.takeover(), nonce + 1, OWNER_A.address).list();
    found(&Q3, &stage).await;
}

const Q4: Row = Row {
    id: "Q4",
    finds: "somebody proposes who is no owner, among what the service does not trust",
    by: "builtin/queue-proposer",
    severity: Warning,
    incidents: 1,
    beside: "a relayer that `registry.delegates` lists",
};

#[tokio::test(flavor = "multi_thread")]
async fn somebody_unknown_proposes() {
    let stage = QueuedTreasury::new().await;
    stage.delegate(RELAYER.address);
    let _process = stage.start().await;
    let grants = &stage.treasury.grants;
    let nonce = stage.nonce(grants).await;
    stage.service.propose(grants, &stage.grant(), nonce, RELAYER.address).untrusted().list();
    is_quiet(&Q4, &stage).await;
    stage.service.propose(grants, &stage.small_grant(), nonce + 1, STRANGER.address).untrusted().list();
    found(&Q4, &stage).await;
}

const Q5: Row = Row {
    id: "Q5",
    finds: "a payment is queued behind a nonce that nothing is queued for",
    by: "builtin/queue-gap",
    severity: Warning,
    incidents: 1,
    beside: "payments for one nonce after the other",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_is_left_out() {
    let stage = QueuedTreasury::new().await;
    let _process = stage.start().await;
    let grants = &stage.treasury.grants;
    let nonce = stage.nonce(grants).await;
    for more in [0, 1, 2] {
        stage.service.propose(grants, &stage.grant(), nonce + more, OWNER_A.address).list();
    }
    is_quiet(&Q5, &stage).await;
    stage.service.propose(grants, &stage.grant(), nonce + 4, OWNER_A.address).list();
    found(&Q5, &stage).await;
}

const S14_QUEUE: Row = Row {
    id: "S14-queue",
    finds: "an owner approves a hash on chain that is not in the queue",
    by: "builtin/queue-approval",
    severity: High,
    incidents: 1,
    beside: "an owner who always approves on chain, by a rule about `approveHash`, and what is queued",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_is_approved_that_is_not_queued() {
    let stage = QueuedTreasury::new().await;
    let _process = stage.start().await;
    let ops = &stage.treasury.ops;
    let coins = stage.small_grant();
    let hash = stage.service.propose(ops, &coins, stage.nonce(ops).await, OWNER_A.address).list();
    stage.approve(ops, OWNER_A.address, hash).await;
    is_quiet(&S14_QUEUE, &stage).await;
    stage.approve(ops, OWNER_B.address, B256::repeat_byte(7)).await;
    stage.looked(2).await;
    stage.anvil.mine(2).await;
    found(&S14_QUEUE, &stage).await;
}

const S14_OLD: Row = Row {
    id: "S14-old",
    finds: "what could be executed next was agreed to years ago",
    by: "builtin/queue-stale",
    severity: High,
    incidents: 1,
    beside: "the same, agreed to just now",
};

#[tokio::test(flavor = "multi_thread")]
async fn old_agreement_waits() {
    let stage = QueuedTreasury::with(&format!("{SOON}\nstale_after = \"1d\"")).await;
    let _process = stage.start().await;
    let (grants, ops) = (&stage.treasury.grants, &stage.treasury.ops);
    let (grant, nonce) = (stage.grant(), stage.nonce(grants).await);
    let fresh = stage.service.propose(grants, &grant, nonce, OWNER_A.address).signed(Signer::Key(OWNER_A));
    fresh.submitted("2999-01-01T00:00:00Z").list();
    is_quiet(&S14_OLD, &stage).await;
    let coins = stage.small_grant();
    let old = stage.service.propose(ops, &coins, stage.nonce(ops).await, OWNER_A.address).signed(Signer::Key(OWNER_A));
    old.submitted("2020-01-01T00:00:00Z").list();
    found(&S14_OLD, &stage).await;
}

const S15: Row = Row {
    id: "S15",
    finds: "a nonce is used for something else than what was queued for it",
    by: "builtin/queue-unproposed",
    severity: Critical,
    incidents: 1,
    beside: "a cancel: an empty call of the Safe to itself, proposed for the same nonce and executed",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_is_used_for_something_else() {
    let stage = QueuedTreasury::new().await;
    let _process = stage.start().await;
    let grants = &stage.treasury.grants;
    let nonce = stage.nonce(grants).await;
    stage.service.propose(grants, &stage.grant(), nonce, OWNER_A.address).list();
    let cancel = SafeTx::call(grants.address, []);
    let proposal = stage.service.propose(grants, &cancel, nonce, OWNER_B.address);
    SIGNERS.into_iter().fold(proposal, |proposal, signer| proposal.signed(signer)).list();
    stage.looked(3).await;
    stage.execute(grants, &cancel, nonce).await;
    stage.follow().await;
    is_quiet(&S15, &stage).await;
    stage.service.propose(grants, &stage.grant(), nonce + 1, OWNER_A.address).list();
    stage.looked(3).await;
    stage.execute(grants, &stage.small_grant(), nonce + 1).await;
    stage.follow().await;
    found(&S15, &stage).await;
}
