//! Queues of Safes: a real node, real Safes and keys, a service that lists what it is told to, and the program as it is run.

use std::collections::BTreeSet;
use std::time::Duration;

use alloy_primitives::{B256, U256};
use alloy_sol_types::SolCall;
use serde_json::Value;

use crate::support::abi::ISafe;
use crate::support::accounts::{GRANTEE, OWNER_A, OWNER_B, OWNER_C, STRANGER};
use crate::support::queued_treasury::QueuedTreasury;
use crate::support::safe::{SafeTx, Signer};
use crate::support::service::{Fault, Proposal};
use crate::support::tokens::transfer;
use crate::support::treasury::{SIGNERS, Treasury};

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_over_another_hash_are_found_while_the_transaction_is_queued() {
    let stage = QueuedTreasury::new().await;
    let process = stage.start().await;
    let (grants, shown, meant) = (&stage.treasury.grants, stage.grant(), stage.takeover());
    let nonce = stage.nonce(grants).await;
    // What everybody sees is a grant; what everybody signed is something else.
    let proposal = stage.service.propose(grants, &shown, nonce, OWNER_A.address);
    let hash = SIGNERS.into_iter().fold(proposal, |proposal, signer| proposal.signed_instead(signer, &meant)).list();
    stage.finds("Grants Safe critical builtin/queue-signature proposed").await;
    let line = stage.verdicts().into_iter().find(|line| line["by"] == "builtin/queue-signature").expect("a finding");
    assert_eq!(line["tx"], hash.to_string(), "the cause is the hash that its fields give");
    let headline = line["headline"].as_str().expect("a headline");
    assert!(headline.ends_with("(queued at nonce 1, 0 of 2 confirmed)"), "{headline}");
    // Hours later what was meant executes, and is found again, in the same incident.
    stage.execute(grants, &meant, nonce).await;
    stage.follow().await;
    stage.finds("Grants Safe critical builtin/delegatecall included").await;
    stage.finds("Grants Safe critical builtin/queue-unproposed included").await;
    assert_eq!(stage.incidents().len(), 1, "{:#?}", stage.verdicts());
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_ahead_of_the_chain_as_we_have_it_hides_no_displacement() {
    let stage = QueuedTreasury::new().await;
    let process = stage.start().await;
    let grants = &stage.treasury.grants;
    let nonce = stage.nonce(grants).await;
    let hash = stage.service.propose(grants, &stage.theft(), nonce, OWNER_A.address).list();
    stage.finds("Grants Safe high builtin/unvouched proposed").await;
    // It has seen the block already in which another transaction uses the nonce.
    stage.service.unlist(hash);
    stage.looked(3).await;
    stage.execute(grants, &stage.grant(), nonce).await;
    stage.follow().await;
    stage.finds("Grants Safe critical builtin/queue-unproposed included").await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_the_rules_vouch_for_is_silent_to_its_execution() {
    let stage = QueuedTreasury::new().await;
    let process = stage.start().await;
    let Treasury { grants, vault, council, new_safe, old_safe, .. } = &stage.treasury;
    // As wallets propose: with one signature, by an owner; then a second, by `eth_sign`; then it executes.
    let (grant, nonce) = (stage.grant(), stage.nonce(grants).await);
    let hash = stage.service.propose(grants, &grant, nonce, OWNER_A.address).signed(Signer::Key(OWNER_A)).list();
    stage.looked(3).await;
    let second = stage.service.propose(grants, &grant, nonce, OWNER_A.address);
    second.signed(Signer::Key(OWNER_A)).signed(Signer::PersonalMessage(OWNER_B)).list();
    // A Safe that is an owner, by its owners' word.
    let ether = SafeTx::pay(GRANTEE.address, U256::from(1_000));
    let of_vault = stage.service.propose(vault, &ether, stage.nonce(vault).await, OWNER_C.address);
    of_vault.signed(Signer::Contract(council, &[OWNER_A, OWNER_B])).signed(Signer::Key(OWNER_C)).list();
    // Rejections, by Safes without and with their chain's id in what is signed, in hashes that are not the same.
    for safe in [old_safe, new_safe] {
        let rejection = SafeTx::call(safe.address, []);
        let nonce = stage.nonce(safe).await;
        let proposal = stage.service.propose(safe, &rejection, nonce, OWNER_B.address);
        SIGNERS.into_iter().fold(proposal, Proposal::signed).untrusted().list();
    }
    stage.looked(4).await;
    let progress: Vec<String> = stage
        .verdicts()
        .iter()
        .filter(|line| line["stage"] == "proposed" && line["activity"] == "call")
        .map(|line| format!("{} {}", line["watch"].as_str().unwrap_or("?"), line["headline"].as_str().unwrap_or("?")))
        .collect();
    for (watch, last) in [("Grants Safe", 2), ("Vault Safe", 2), ("Old Safe", 2), ("New Safe", 2)] {
        let whole = format!("{last} of 2 confirmed, can be executed now");
        assert!(progress.iter().any(|line| line.starts_with(watch) && line.contains(&whole)), "{watch}: {progress:#?}");
    }
    stage.execute(grants, &grant, nonce).await;
    stage.follow().await;
    let executed =
        |line: &Value| line["stage"] == "included" && line["watch"] == "Grants Safe" && line["activity"] == "act";
    stage.until("it executes", || stage.verdicts().iter().any(executed)).await;
    stage.looked(3).await;
    assert_eq!(stage.findings(), BTreeSet::new());
    stage.sees().await;
    // Its rule asks for two signatures, and vouches from the first look on: how many sign is told by the execution.
    let of_it = |line: &&Value| line["tx"] == hash.to_string() && line["activity"] == "act";
    let by: Vec<Value> = stage.verdicts().iter().filter(of_it).map(|line| line["by"].clone()).collect();
    assert!(by.len() >= 2 && by.iter().all(|by| by == "grants"), "{by:?}");
    assert_eq!(process.end().await, 0, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_rule_vouches_for_is_found_while_it_is_queued_and_its_execution_joins() {
    let stage = QueuedTreasury::new().await;
    let process = stage.start().await;
    let Treasury { grants, ops, .. } = &stage.treasury;
    let admin = ISafe::addOwnerWithThresholdCall { owner: STRANGER.address, threshold: U256::ONE };
    let admin = SafeTx::call(ops.address, admin.abi_encode());
    let (theft, takeover, nonce) = (stage.theft(), stage.takeover(), stage.nonce(grants).await);
    let hash = stage.service.propose(grants, &theft, nonce, OWNER_A.address).signed(Signer::Key(OWNER_A)).list();
    stage.service.propose(grants, &takeover, nonce + 1, OWNER_B.address).list();
    stage.service.propose(ops, &admin, stage.nonce(ops).await, OWNER_A.address).list();
    for finding in [
        "Grants Safe high builtin/unvouched proposed",
        "Grants Safe critical builtin/delegatecall proposed",
        "Operations Safe critical builtin/control proposed",
    ] {
        stage.finds(finding).await;
    }
    assert_eq!(stage.incidents().len(), 2, "one for each Safe: {:#?}", stage.verdicts());
    // More of the owners agree: whoever holds the page sees how far it is.
    let again = stage.service.propose(grants, &theft, nonce, OWNER_A.address);
    SIGNERS.into_iter().fold(again, Proposal::signed).list();
    let told = |text: &str| {
        let shown = stage.watch.shows(&["incidents", "show", &stage.incident_of(hash)]);
        shown.contains(text)
    };
    stage.until("the page says how far it is", || told("2 of 2 confirmed, can be executed now")).await;
    // So does whoever asks on the command line.
    let listed = stage.watch.run(&["queue", "Grants Safe"]);
    let rows: Vec<_> = listed
        .of("queued")
        .map(|row| (row["severity"].as_str(), row["confirmed"].as_u64(), row["executable"].as_bool()))
        .collect();
    assert_eq!(rows, [(Some("high"), Some(2), Some(true)), (Some("critical"), Some(0), Some(false))], "{listed:#?}");
    let shown = stage.watch.shows(&["queue"]);
    assert!(shown.contains("critical  Grants Safe on demo: queued at nonce 2, 0 of 2 confirmed"), "{shown}");
    assert!(shown.contains("is to send 1,000 COIN to 0xa0Ee…9720"), "{shown}");
    stage.execute(grants, &theft, nonce).await;
    stage.follow().await;
    stage.finds("Grants Safe high builtin/unvouched included").await;
    stage.looked(3).await;
    let ended = stage.watch.run(&["queue", "Grants Safe", "--all"]);
    assert!(ended.of("queued").any(|row| row["waits"] == "executed" && row["tx"] == hash.to_string()), "{ended:#?}");
    assert_eq!(stage.incidents().len(), 2, "{:#?}", stage.verdicts());
    assert!(!stage.findings().iter().any(|finding| finding.contains("unproposed")), "{:#?}", stage.findings());
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_was_never_proposed_is_found_and_one_that_was_is_not() {
    let stage = QueuedTreasury::new().await;
    let process = stage.start().await;
    let grants = &stage.treasury.grants;
    let (grant, nonce) = (stage.grant(), stage.nonce(grants).await);
    // Proposed, signed and executed between two looks: the service knows who proposed it.
    stage.service.fault(Fault::Status(503));
    stage.service.propose(grants, &grant, nonce, OWNER_A.address).list();
    stage.execute(grants, &grant, nonce).await;
    stage.follow().await;
    stage.service.fault(Fault::None);
    stage.looked(3).await;
    assert_eq!(stage.findings(), BTreeSet::new());
    // The rules vouch for it; nobody could look at it before.
    stage.execute(grants, &grant, nonce + 1).await;
    stage.looked(3).await;
    assert_eq!(stage.findings(), BTreeSet::new(), "the service has not come so far yet");
    stage.follow().await;
    stage.finds("Grants Safe high builtin/queue-unproposed included").await;
    assert_eq!(stage.findings().len(), 1, "{:#?}", stage.findings());
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_that_is_used_otherwise_and_one_that_is_left_out_are_found_and_a_rejection_is_not() {
    let stage = QueuedTreasury::new().await;
    let process = stage.start().await;
    let grants = &stage.treasury.grants;
    let (grant, nonce) = (stage.grant(), stage.nonce(grants).await);
    stage.service.propose(grants, &grant, nonce, OWNER_A.address).signed(Signer::Key(OWNER_A)).list();
    stage.looked(3).await;
    let rejection = SafeTx::call(grants.address, []);
    stage.service.propose(grants, &rejection, nonce, OWNER_B.address).signed(Signer::Key(OWNER_B)).list();
    stage.looked(3).await;
    assert_eq!(stage.findings(), BTreeSet::new(), "owners take a transaction back");
    let more = SafeTx::call(stage.treasury.coin.address, transfer(GRANTEE.address, stage.treasury.coin.units(2_000)));
    stage.service.propose(grants, &more, nonce, OWNER_B.address).list();
    stage.finds("Grants Safe warning builtin/queue-replaced proposed").await;
    stage.service.propose(grants, &grant, nonce + 5, OWNER_B.address).list();
    stage.finds("Grants Safe warning builtin/queue-gap proposed").await;
    stage.execute(grants, &stage.theft(), nonce).await;
    stage.follow().await;
    stage.finds("Grants Safe critical builtin/queue-unproposed included").await;
    assert_eq!(stage.incidents().len(), 1, "{:#?}", stage.verdicts());
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_says_of_hash_and_proposer_is_held_against_the_fields_and_the_registry() {
    let stage = QueuedTreasury::new().await;
    let process = stage.start().await;
    let (grants, grant) = (&stage.treasury.grants, stage.grant());
    let nonce = stage.nonce(grants).await;
    let theft = stage.theft();
    stage.service.propose(grants, &theft, nonce, OWNER_A.address).under(grants.hash(&grant, nonce)).list();
    stage.finds("Grants Safe critical builtin/queue-hash proposed").await;
    stage.finds("Grants Safe high builtin/unvouched proposed").await;
    stage.is_blind("service-lies high own").await;
    stage.service.withdraw(grants.hash(&grant, nonce));
    stage.sees().await;
    stage.service.propose(grants, &grant, nonce, STRANGER.address).untrusted().list();
    stage.finds("Grants Safe warning builtin/queue-proposer proposed").await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_on_chain_counts_for_what_is_queued_and_is_found_for_what_is_not() {
    let stage = QueuedTreasury::new().await;
    let process = stage.start().await;
    // A rule of this Safe vouches for owners that approve on chain.
    let ops = &stage.treasury.ops;
    let coins = SafeTx::call(stage.treasury.coin.address, transfer(GRANTEE.address, stage.treasury.coin.units(10)));
    let nonce = stage.nonce(ops).await;
    let unapproved =
        stage.service.propose(ops, &coins, nonce, OWNER_A.address).signed(Signer::Approved(OWNER_A.address));
    let hash = unapproved.list();
    stage.finds("Operations Safe critical builtin/queue-signature proposed").await;
    stage.approve(ops, OWNER_A.address, hash).await;
    let counted = |line: &Value| line["headline"].as_str().is_some_and(|text| text.contains("1 of 2 confirmed"));
    stage.until("the approval counts", || stage.verdicts().iter().any(counted)).await;
    stage.looked(3).await;
    assert!(!stage.findings().iter().any(|finding| finding.contains("queue-approval")), "{:#?}", stage.findings());
    stage.approve(ops, OWNER_B.address, B256::repeat_byte(7)).await;
    stage.looked(2).await;
    // What it approves may be proposed in the next minute; block times go on.
    stage.anvil.mine(2).await;
    stage.finds("Operations Safe high builtin/queue-approval included").await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_away_or_lies_is_told_and_what_it_hid_is_found_when_it_is_back() {
    let stage = QueuedTreasury::new().await;
    let process = stage.start().await;
    let (grants, theft) = (&stage.treasury.grants, stage.theft());
    let nonce = stage.nonce(grants).await;
    for (nth, (fault, blindness)) in [
        (Fault::Status(500), "service-down warning own"),
        (Fault::Close, "service-down warning own"),
        (Fault::TooMany(2), "service-down warning own"),
        // Longer than a request may take, which is more than this configuration is patient.
        (Fault::Hang(Duration::from_secs(30)), "service-down"),
        (Fault::Garbage, "service-lies high own"),
        (Fault::Huge(17 << 20), "service-lies high own"),
        (Fault::AnotherSafe(stage.treasury.ops.address), "service-lies high own"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("{fault:?}");
        if nth == 6 {
            // Something has to be listed for it to be another Safe's.
            let ether = SafeTx::pay(GRANTEE.address, U256::from(1));
            stage
                .service
                .propose(&stage.treasury.ops, &ether, stage.nonce(&stage.treasury.ops).await, OWNER_A.address)
                .list();
        }
        stage.service.fault(fault);
        stage.is_blind(blindness).await;
        // Whoever asks what waits hears that it is not known.
        let asked = stage.watch.run(&["queue"]);
        assert_eq!(asked.code, 2, "{name}: {}", asked.stderr);
        assert!(asked.of("note").any(|line| line["note"].as_str().unwrap().contains("Safe service own")), "{name}");
        // The chain is judged all the same.
        let before = stage.anvil.block_number().await;
        stage.anvil.mine(1).await;
        assert!(stage.anvil.block_number().await > before, "{name}");
        stage.service.fault(Fault::None);
        stage.sees().await;
    }
    stage.service.fault(Fault::Status(500));
    stage.is_blind("service-down warning own").await;
    stage.service.propose(grants, &theft, nonce, OWNER_A.address).list();
    stage.service.fault(Fault::None);
    stage.finds("Grants Safe high builtin/unvouched proposed").await;
    stage.sees().await;
    // It answers, and does not see the chain.
    stage.execute(grants, &theft, nonce).await;
    stage.is_blind("service-stale warning own").await;
    stage.follow().await;
    stage.sees().await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_neither_repeats_nor_loses_what_was_queued() {
    let stage = QueuedTreasury::new().await;
    let process = stage.start().await;
    let grants = &stage.treasury.grants;
    let (theft, nonce) = (stage.theft(), stage.nonce(grants).await);
    stage.service.propose(grants, &theft, nonce, OWNER_A.address).list();
    // One that waits all the while, and is seen again by the next process.
    stage.service.propose(grants, &theft, nonce + 1, OWNER_A.address).list();
    stage.finds("Grants Safe high builtin/unvouched proposed").await;
    stage.looked(3).await;
    process.kill();
    let told = stage.watch.answers().len();
    // Meanwhile something else executes that nobody proposed.
    stage.execute(grants, &stage.grant(), nonce).await;
    stage.follow().await;
    let process = stage.start().await;
    stage.finds("Grants Safe critical builtin/queue-unproposed included").await;
    stage.looked(3).await;
    let again: Vec<Value> = stage.watch.answers().split_off(told);
    let repeated = again.iter().filter(|line| line["type"] == "verdict" && line["stage"] == "proposed").count();
    assert_eq!(repeated, 0, "{again:#?}");
    assert_eq!(stage.incidents().len(), 1);
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}
