//! One pool of a chain's endpoints for everything that uses them: one limit, one health. The nodes are fakes at the wire, and the
//! clock moves only when nothing else can happen.

use futures::future::{BoxFuture, join_all};
use serde_json::value::RawValue;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use watchfire::model::ChainId;
use watchfire::runtime::Stop;
use watchfire::source::mempool::Interest;
use watchfire::source::rpc::NodeError;
use watchfire::source::{Deadlines, Mempool, Node, Pool, Priority, RawHeads, Transport};

/// Requests that the endpoint permits in a second, and the burst that it permits after a pause.
const RATE: usize = 10;
const BURST: usize = 2 * RATE;

const USERS: [Priority; 5] =
    [Priority::Probe, Priority::Recorder, Priority::Mempool, Priority::Proposals, Priority::Blocks];

/// A node that counts its requests, and answers them or not.
struct Counting {
    asked: AtomicUsize,
    is_dead: bool,
}

impl Counting {
    fn new(is_dead: bool) -> Arc<Self> {
        Arc::new(Self { asked: AtomicUsize::new(0), is_dead })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn node(self: &Arc<Self>, name: &str) -> Node {
        Node::with_transport(name, ChainId(1), Deadlines::default(), self.clone())
    }
}

impl Transport for Counting {
    fn ask<'a>(&'a self, method: &'a str, _: &'a RawValue) -> BoxFuture<'a, Result<Box<RawValue>, NodeError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let header = format!(
            r#"{{"number":"0x10","hash":"0x{}","parentHash":"0x{}","timestamp":"0x6b00b1a0"}}"#,
            "10".repeat(32),
            "0f".repeat(32)
        );
        let answer = match method {
            "eth_chainId" | "eth_newPendingTransactionFilter" => "\"0x1\"",
            "eth_getFilterChanges" => "[]",
            _ => &header,
        };
        let answer = match self.is_dead {
            true => Err(NodeError::Unreachable("connection refused".to_owned())),
            false => Ok(RawValue::from_string(answer.to_owned()).expect("JSON")),
        };
        Box::pin(std::future::ready(answer))
    }

    fn subscribe(&self) -> BoxFuture<'_, Result<RawHeads, NodeError>> {
        Box::pin(std::future::ready(Err(NodeError::Another)))
    }

    fn can_subscribe(&self) -> bool {
        false
    }
}

#[tokio::test(start_paused = true)]
async fn requests_of_all_users_together_stay_within_the_limit_and_blocks_come_first() {
    let counting = Counting::new(false);
    let pool = Pool::new(vec![(counting.node("metered"), Some(RATE as f64))]).expect("one endpoint");
    let interest: Interest = Arc::new(|_| true);
    let _mempool = Mempool::spawn_listeners(&pool.with_priority(Priority::Mempool), &interest, &Stop::new());
    let answered = Mutex::new([0_usize; USERS.len()]);
    let users = USERS.iter().enumerate().map(|(user, priority)| {
        let (pool, answered) = (pool.with_priority(*priority), &answered);
        async move {
            loop {
                pool.fetch_newest_head().await.expect("an answer");
                answered.lock().expect("no panic")[user] += 1;
            }
        }
    });
    let seconds = 60;
    let never = tokio::time::timeout(Duration::from_secs(seconds as u64), join_all(users)).await;
    assert!(never.is_err(), "they go on asking");
    let (asked, most) = (counting.asked(), BURST + RATE * seconds);
    assert!(asked <= most, "{asked} requests in {seconds} s, of which {most} are permitted");
    assert!(asked >= most - USERS.len(), "{asked} requests in {seconds} s: the limit of {most} is made use of");
    let answered = answered.into_inner().expect("no panic");
    assert!(answered.iter().all(|n| *n > 0), "everybody has a turn: {answered:?}");
    assert!(answered[4] > answered[..4].iter().sum::<usize>(), "blocks come first: {answered:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_endpoint_is_found_dead_once_and_by_one_user() {
    let (dead, alive) = (Counting::new(true), Counting::new(false));
    let pool = Pool::new(vec![(dead.node("dead"), None), (alive.node("alive"), None)]).expect("two endpoints");
    pool.with_priority(Priority::Proposals).fetch_newest_head().await.expect("the other answers");
    let asked = dead.asked();
    assert!(asked > 0, "the first in the list is asked first");
    for priority in USERS {
        pool.with_priority(priority).fetch_newest_head().await.expect("the other answers");
    }
    assert_eq!(dead.asked(), asked, "nobody finds out again");
}
