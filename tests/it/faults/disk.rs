//! A disk that is full, for a moment and for good.

use super::stage::Stage;
use crate::support::inbox::Answer;
use crate::support::stored;

/// How large the store's log may become: no larger than it is.
fn full(stage: &Stage) -> Option<u64> {
    Some(std::fs::metadata(stage.watch.path("watchfire.db-wal")).expect("there is a log").len())
}

/// A program that has committed and told something, and whose pager is in trouble.
async fn in_trouble(stage: &Stage) -> crate::support::process::Process {
    let first = stage.first.to_string();
    let process = stage.watch.start_on_a_small_disk(&["run", "--from-block", &first]);
    stage.bill(1).await;
    stage.catch_up().await;
    stage.pager.otherwise(Answer::Status(500));
    stage.theft(1).await;
    stage.until("the pager is in trouble", || stored::failed_attempts(&stage.store(), "pager") > 0).await;
    process
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_for_a_moment_silences_nobody() {
    let stage = Stage::new().await;
    let process = in_trouble(&stage).await;
    process.limit_files(full(&stage));
    let said = |words: &'static str| {
        let log = stage.watch.path("log.txt");
        move || std::fs::read_to_string(&log).is_ok_and(|log| log.contains(words))
    };
    stage.until("the worker cannot write", said("messages are held up")).await;
    stage.theft(2).await;
    stage.until("the chain cannot be committed", said("trying again")).await;
    stage.pager.otherwise(Answer::Ok);
    process.limit_files(None);
    stage.settle().await;
    let abnormal = stage.reckon().await;
    stage.check(&abnormal).await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_stays_full_ends_the_watch_and_the_next_start_goes_on() {
    let stage = Stage::new().await;
    let process = in_trouble(&stage).await;
    process.limit_files(full(&stage));
    stage.theft(2).await;
    stage.bill(3).await;
    assert_eq!(process.code().await, 2, "{}", stage.watch.log());
    stage.pager.otherwise(Answer::Ok);
    let process = stage.start();
    stage.settle().await;
    let abnormal = stage.reckon().await;
    stage.check(&abnormal).await;
    assert_eq!(process.end().await, 1, "{}", stage.watch.log());
}
