//! What is announced and in no block yet: a node whose blocks come when they are told to, and the program as it is run; and what wallets,
//! timelocks and governors are asked to do, opened before it happens.
//!
//! Every other row holds the other half: what is silent beside it was silent when it was announced.

use super::{CaseChain as Scene, Row, pays, watch};
use crate::support::abi::{IGovernor, ITimelock};
use crate::support::accounts::{DEPLOYER, GRANTEE, KEEPER, OWNER_A, OWNER_B, OWNER_C, PAYER, RELAYER, STRANGER};
use crate::support::contracts::deploy;
use crate::support::kit::Version;
use crate::support::multisig::Multisig;
use crate::support::pending_chain::PendingChain;
use crate::support::safe::SafeTx;
use crate::support::treasury::{SIGNERS, ether};
use crate::support::tx::Tx;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolValue};
use serde_json::Value;
use watchfire::model::Severity::High;

pub(super) const ROWS: &[&Row] = &[&E6, &P1, &P2, &P3];

const E6: Row = Row {
    id: "E6-war",
    finds: "a payment that waits for its block is displaced by something else for the same nonce, though a rule vouches for that as well",
    by: "builtin/replaced",
    severity: High,
    incidents: 1,
    beside: "a higher bid for the same payment; and a cancellation, by a rule that may replace",
};

/// Whether a finding of this row was told, each incident counted once.
fn told(stage: &PendingChain, row: &Row) -> bool {
    let found = stage.of("verdict").into_iter().filter(|line| line["finding_id"].is_string());
    let found: Vec<Value> = found.collect();
    let mut incidents: Vec<&Value> = found.iter().map(|line| &line["incident_id"]).collect();
    incidents.dedup();
    let as_said = |line: &Value| line["by"] == row.by && line["severity"] == row.severity.to_string();
    assert!(found.iter().all(as_said) && incidents.len() <= row.incidents, "{}: {found:#?}", row.id);
    !found.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_payment_is_displaced() {
    let own = PAYER.address;
    let more = format!("[[watch.normal]]\nname = \"back\"\nact = \"ether\"\nto = [\"{own}\"]");
    for (rule, silent) in [(more.clone(), false), (format!("{more}\nreplaces = true"), true)] {
        let mut stage = PendingChain::new(&rule).await;
        stage.watch.set("WATCHFIRE_LOG", "info,watchfire::pipeline=debug");
        let process = stage.start().await;
        // A node tells of what it holds: what is displaced before it was asked for is not known to anybody.
        for (to, gwei) in [(GRANTEE.address, 10), (GRANTEE.address, 20), (own, 40)] {
            let hash = stage.pays(to, 0, gwei).await;
            let judged = format!("judged pending transaction {hash}");
            stage.until("it is judged", || stage.watch.log().contains(&judged)).await;
        }
        // What is found behind it says that all of these were heard.
        if silent {
            let beacon = stage.pays(STRANGER.address, 1, 10).await;
            let heard = |line: &Value| line["tx"] == beacon.to_string();
            stage.until("the last is heard", || stage.of("verdict").iter().any(heard)).await;
            let others = stage.of("verdict").into_iter().filter(|line| line["finding_id"].is_string() && !heard(line));
            assert_eq!(others.count(), 0, "{:#?}", stage.told());
        } else {
            stage.tells("high builtin/replaced pending").await;
            assert!(told(&stage, &E6), "{:#?}", stage.told());
        }
        process.end().await;
    }
}

const P1: Row = Row {
    id: "E6-timelock",
    finds: "a call for somebody unlisted is announced inside of what a timelock is to schedule or to carry out, alone and in a batch",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same for a listed payee",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_timelock_is_about_to_pay() {
    let mut scene = Scene::new().await;
    let keeper = vec![KEEPER.address];
    let arguments = (U256::from(60), keeper.clone(), keeper, Address::ZERO).abi_encode_params();
    let lock = deploy(&scene.anvil, DEPLOYER.address, "TimelockController", arguments).await;
    scene.anvil.succeed(&Tx::pay(DEPLOYER.address, lock, ether(10))).await;
    let rules = watch("timelock", lock, &pays(GRANTEE.address));
    for (payee, silent) in [(STRANGER.address, false), (GRANTEE.address, true)] {
        let (value, predecessor, salt, delay) = (ether(1), B256::ZERO, B256::ZERO, U256::from(60));
        let (targets, values, payloads) = (vec![GRANTEE.address, payee], vec![value; 2], vec![Bytes::new(); 2]);
        let steps = [
            ITimelock::scheduleCall { target: payee, value, data: Bytes::new(), predecessor, salt, delay }.abi_encode(),
            ITimelock::executeCall { target: payee, value, payload: Bytes::new(), predecessor, salt }.abi_encode(),
            ITimelock::scheduleBatchCall {
                targets: targets.clone(),
                values: values.clone(),
                payloads: payloads.clone(),
                predecessor,
                salt,
                delay,
            }
            .abi_encode(),
            ITimelock::executeBatchCall { targets, values, payloads, predecessor, salt }.abi_encode(),
        ];
        scene.begin().await;
        for step in steps {
            if !silent {
                scene.begin().await;
            }
            scene.send(KEEPER.address, lock, step).await;
            if !silent {
                scene.announces(&P1, &rules).await;
            }
            scene.anvil.set_next_timestamp(scene.anvil.now().await + 120).await;
        }
        if silent {
            scene.is_quiet(&P1, &rules).await;
        }
    }
}

const P2: Row = Row {
    id: "E6-governor",
    finds: "a call for somebody unlisted is announced inside of a proposal, of its queueing and of its execution",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same for a listed payee, from the proposal to its execution",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_governor_is_about_to_pay() {
    let mut scene = Scene::new().await;
    let from = DEPLOYER.address;
    let votes = deploy(&scene.anvil, from, "Ballot", []).await;
    let nobody: Vec<Address> = vec![];
    let arguments = (U256::from(60), nobody, vec![Address::ZERO], from).abi_encode_params();
    let lock = deploy(&scene.anvil, from, "TimelockController", arguments).await;
    let locked = deploy(&scene.anvil, from, "LockedCouncil", (votes, lock).abi_encode_params()).await;
    let proposer = (keccak256("PROPOSER_ROLE"), locked).abi_encode_params();
    scene.send(from, lock, [&[0x2f, 0x2f, 0xf1, 0x5d][..], &proposer].concat()).await;
    let council = deploy(&scene.anvil, from, "Council", (votes, 2_u32).abi_encode_params()).await;
    for wallet in [lock, council] {
        scene.anvil.succeed(&Tx::pay(from, wallet, ether(10))).await;
    }
    for (governor, queues) in [(council, false), (locked, true)] {
        // What it queues its timelock schedules, which is watched as well.
        let mut rules = watch("governor", governor, &pays(GRANTEE.address));
        if queues {
            rules +=
                &watch("timelock", lock, &format!("registry = {{ open_executor = true }}\n{}", pays(GRANTEE.address)));
        }
        for (payee, silent) in [(STRANGER.address, false), (GRANTEE.address, true)] {
            let (targets, values, calldatas) = (vec![payee], vec![ether(1)], vec![Bytes::new()]);
            let description = "pay".to_owned();
            let hash = keccak256(&description);
            let propose = IGovernor::proposeCall {
                targets: targets.clone(),
                values: values.clone(),
                calldatas: calldatas.clone(),
                description,
            };
            let execute = IGovernor::executeCall { targets, values, calldatas, descriptionHash: hash }.abi_encode();
            let queue = [&IGovernor::queueCall::SELECTOR[..], &execute[4..]].concat();
            let id = U256::from_be_bytes(keccak256(&execute[4..]).0);
            let steps = [Some(propose.abi_encode()), queues.then_some(queue), Some(execute)];
            scene.begin().await;
            for (nth, step) in steps.into_iter().enumerate().filter_map(|(nth, step)| Some((nth, step?))) {
                if !silent {
                    scene.begin().await;
                }
                scene.send(from, governor, step).await;
                if !silent {
                    scene.announces(&P2, &rules).await;
                }
                if nth == 0 {
                    scene.anvil.mine(2).await;
                    scene
                        .send(from, governor, IGovernor::castVoteCall { proposalId: id, support: 1 }.abi_encode())
                        .await;
                    scene.anvil.mine(3).await;
                }
                scene.anvil.set_next_timestamp(scene.anvil.now().await + 120).await;
            }
            if silent {
                scene.is_quiet(&P2, &rules).await;
            }
        }
    }
}

const P3: Row = Row {
    id: "E6-wallet",
    finds: "a payment to somebody unlisted is announced inside of what a legacy multisig is to submit, to confirm or to execute, and of what a Safe is",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same for a listed payee",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_is_about_to_pay() {
    let owners = [OWNER_A.address, OWNER_B.address, OWNER_C.address];
    let (mut scene, safe) = Scene::with_safe(Version::V1_4_1, &owners, 2).await;
    let wallet = Multisig::deploy(&scene.anvil, DEPLOYER.address, &owners, 2).await;
    scene.anvil.succeed(&Tx::pay(DEPLOYER.address, wallet.address, ether(10))).await;
    let (old, new) = (
        watch("multisig", wallet.address, &pays(GRANTEE.address)),
        watch("safe", safe.address, &pays(GRANTEE.address)),
    );
    for (payee, silent) in [(STRANGER.address, false), (GRANTEE.address, true)] {
        scene.begin().await;
        let (id, _) = wallet.submit(&scene.anvil, OWNER_A, payee, ether(1), Bytes::new()).await;
        scene.is_announced(&P3, &old, silent).await;
        if !silent {
            scene.begin().await;
        }
        wallet.confirm_later(&scene.anvil, OWNER_B, id).await;
        scene.is_announced(&P3, &old, silent).await;
        // What one confirmation too few left waiting runs by a call of its own.
        scene.begin().await;
        let (id, _) = wallet.submit(&scene.anvil, OWNER_A, payee, ether(100), Bytes::new()).await;
        wallet.confirm_later(&scene.anvil, OWNER_B, id).await;
        scene.anvil.succeed(&Tx::pay(DEPLOYER.address, wallet.address, ether(100))).await;
        scene.begin().await;
        wallet.execute(&scene.anvil, OWNER_A, id).await;
        scene.is_announced(&P3, &old, silent).await;
        scene.begin().await;
        safe.exec(&scene.anvil, RELAYER, &SafeTx::pay(payee, ether(1)), &SIGNERS).await;
        scene.is_announced(&P3, &new, silent).await;
    }
}
