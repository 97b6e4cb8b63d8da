//! A receiver of the feed that stays away until its lines fill the room there is for them.

use crate::support::inbox::{Answer, Received};
use crate::support::stored;
use crate::support::watched_proxy::WatchedProxy;

/// Lines that may wait for one destination.
const WAITING_MAX: i64 = 500_000;

#[tokio::test(flavor = "multi_thread")]
async fn lines_beyond_the_room_of_the_feed_are_left_out_and_a_dead_letter_says_so() {
    let stage = WatchedProxy::new().await;
    let store = stage.store();
    let tally = "tallies WHERE destination = 'feed' AND feed = 1 AND dead = 0";
    let waiting = || stored::number(&store, &format!("SELECT coalesce(sum(messages), 0) FROM {tally}"));
    stage.feed.otherwise(Answer::Status(500));
    let process = stage.start();
    stage.theft(0).await;
    stage.catch_up().await;
    stage.until("a line waits", || waiting() > 0).await;
    process.end().await;

    // As if so many waited: to write them would take minutes.
    let missing = WAITING_MAX - waiting();
    let add = |n: i64| {
        stored::tamper(
            &store,
            &format!("UPDATE {}", tally.replace(" WHERE", &format!(" SET messages = messages + {n} WHERE"))),
        );
    };
    add(missing);
    let process = stage.start();
    for n in 1..=3 {
        stage.theft(n).await;
    }
    stage.catch_up().await;
    let left_out = || stored::number(&store, "SELECT coalesce(sum(lines), 0) FROM gaps WHERE told");
    stage.until("what was left out is counted and told", || left_out() >= 3).await;
    let says = |words: &str, all: &[Received]| {
        all.iter().any(|page| page.json()["data"]["headline"].to_string().contains(words))
    };
    stage.pager.wait_until("the dead letter's page", |all| says("are left out until there is room", all)).await;
    let findings = "SELECT count(*) FROM findings WHERE orphaned = 0";
    assert_eq!(stored::number(&store, findings), 4, "the store has what was left out");
    let pages = stage.pager.received();
    let thefts =
        pages.iter().filter(|page| page.json()["data"]["label"].as_str().is_some_and(|l| l.starts_with("Clerk")));
    assert!(thefts.count() >= 4, "and whoever is paged hears of each");
    process.end().await;

    // There is room again, and the receiver is back.
    add(-missing);
    stage.feed.otherwise(Answer::Ok);
    let process = stage.start();
    stage.theft(4).await;
    stage.settle().await;
    stage.until("the stretch is over", || stored::number(&store, "SELECT count(*) FROM gaps") == 0).await;
    let listed = tokio::task::block_in_place(|| stage.watch.run(&["incidents", "list", "--all"]));
    let dead: Vec<&str> = listed.of("delivery").filter_map(|line| line["error"].as_str()).collect();
    assert!(dead.len() == 1 && dead[0].contains("were left out, this one first"), "{dead:?}");
    let heard = stage.feed.received().iter().filter(|line| line.body.windows(7).any(|part| part == b"finding")).count();
    assert!(heard > 0, "what comes after is told");
    process.end().await;
}
