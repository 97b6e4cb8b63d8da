//! A minute of everything at once, in an order that a seed decides.

use super::node::{some_block, some_reorg};
use super::random;
use crate::support::anvil::Options;
use crate::support::inbox::Answer;
use crate::support::watched_proxy::{PATH, WatchedProxy, only_unread};
use std::time::Duration;
use tokio::time::Instant;

/// How long faults go on.
const STORM: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_of_faults_at_random_ends_on_the_canonical_chain() {
    let mut rng = random("schedule");
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options { state: Some(dir.path().join("state.json")), ..Options::default() };
    let mut stage = WatchedProxy::with(options, "", PATH).await;
    // A node that is killed goes back to where it last stopped; the clerks are hired by then.
    stage.anvil.stop();
    restart_node(&mut stage).await;
    let mut process = stage.start();
    let ms = Duration::from_millis;
    let until = Instant::now() + STORM;
    let mut done = std::collections::BTreeMap::<&str, u32>::new();
    while Instant::now() < until {
        // Half of what happens next happens to a program that has seen all there was.
        if rng.bool() {
            stage.maybe_catch_up(ms(1_500)).await;
        }
        let what = match rng.u8(..40) {
            0..=14 => {
                for _ in 0..rng.u8(1..4) {
                    some_block(&stage, &mut rng).await;
                }
                "blocks"
            }
            15..=21 => {
                some_reorg(&stage, rng.u64(1..6), &mut rng).await;
                "reorg"
            }
            22 | 23 => {
                let head = stage.anvil.block_number().await;
                let depth = rng.u64(1..4).min((head + 1).saturating_sub(stage.first));
                if depth > 0 {
                    stage.anvil.rollback(depth).await;
                }
                "rollback"
            }
            24 => {
                stage.anvil.mine(rng.u64(20..100)).await;
                "burst"
            }
            25 | 26 => {
                stage.proxy.cut();
                "cut"
            }
            27 => {
                stage.proxy.stall();
                "stall"
            }
            28 => {
                stage.proxy.refuse(true);
                stage.proxy.cut();
                tokio::time::sleep(ms(rng.u64(100..2_000))).await;
                stage.proxy.refuse(false);
                "refusal"
            }
            29 | 30 => {
                stage.proxy.delay(ms(rng.u64(..80)));
                "delay"
            }
            31 => {
                stage.anvil.freeze();
                tokio::time::sleep(ms(rng.u64(200..4_000))).await;
                stage.anvil.thaw();
                "freeze"
            }
            32 | 33 => {
                process.kill();
                // The chain goes on, or back, while nobody watches.
                if rng.bool() {
                    some_reorg(&stage, rng.u64(1..6), &mut rng).await;
                }
                some_block(&stage, &mut rng).await;
                process = stage.start();
                "crash"
            }
            34 => {
                process.end().await;
                process = stage.start();
                "restart"
            }
            35 => {
                // Now and then the node forgets what it mined since it last stopped.
                if rng.u8(..3) == 0 {
                    stage.anvil.kill();
                } else {
                    stage.anvil.stop();
                }
                restart_node(&mut stage).await;
                "node restart"
            }
            _ => {
                let answers = [
                    Answer::Status(500),
                    Answer::Close,
                    Answer::TooMany(1),
                    Answer::Hang,
                    Answer::Late(ms(400)),
                    Answer::Ok,
                ];
                let inbox = [&stage.pager, &stage.feed, &stage.ledger][rng.usize(..3)];
                inbox.script((0..rng.u8(1..5)).map(|_| answers[rng.usize(..answers.len())].clone()));
                "receiver"
            }
        };
        *done.entry(what).or_default() += 1;
        tokio::time::sleep(ms(rng.u64(..300))).await;
    }
    stage.proxy.delay(Duration::ZERO);
    // Behind a slow line it may have seen of no reorg what was before it. Of this one it does.
    stage.theft(0).await;
    stage.catch_up().await;
    some_reorg(&stage, 1, &mut rng).await;
    // A node that was taken back announces that with its next block.
    some_block(&stage, &mut rng).await;
    stage.settle().await;
    println!("{done:?}, {} blocks", stage.anvil.block_number().await + 1 - stage.first);
    let abnormal = stage.reckon().await;
    let (ours, _) = stage.check(&abnormal).await;
    let code = process.end().await;
    assert!(code != 2 || only_unread(&stage.watch.answers()), "{}", stage.watch.log());
    let taken_back = ours.activities.iter().filter(|(orphaned, _)| *orphaned).count();
    println!("{} findings, {} stand; {taken_back} verdicts taken back", ours.findings.len(), ours.standing().count());
    assert!(taken_back > 0, "no change of the past was noticed");
}

/// Starts the node again, which mines for each transaction until it is told not to.
async fn restart_node(stage: &mut WatchedProxy) {
    stage.anvil.revive().await;
    stage.anvil.set_automine(false).await;
}
