//! The program is killed (SIGKILL) again and again while a chain streams by, and nothing is lost and nothing is new.
//!
//! Where a kill lands is seen, not guessed: the program is frozen first, and what stands still is looked at from outside. The
//! proxy knows which questions the node has not answered, the file's lock says whether a transaction is open, the outbox names
//! the messages in hand, and the receivers know which requests they hold.

use super::random;
use crate::support::abi::IBox;
use crate::support::accounts::{DEPUTY, KEEPER, STRANGER};
use crate::support::anvil::Tx;
use crate::support::bill_payers::{SHOPS, bill, theft};
use crate::support::inbox::{Answer, Inbox};
use crate::support::stored::{self, Lease, Message, Stored};
use crate::support::watched_proxy::{CLERKS, WatchedProxy};
use alloy_primitives::{U256, hex};
use alloy_sol_types::SolCall;
use serde_json::Value;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// Blocks that stream by at least.
const BLOCKS_MIN: u64 = 300;
/// Kills aimed at each phase, and kills at any time at all.
const AIMED: usize = 10;
const WILD: usize = 10;
/// How long a kill waits for the phase it is aimed at before it takes whatever it finds.
const AIM: Duration = Duration::from_secs(6);
/// Most messages that a worker has on their way to one destination.
const FLIGHTS_TO_ONE: usize = 16;

/// What the program was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// It had asked for a block or its receipts and not been answered.
    Fetching,
    /// It was inside a transaction of the store, with a whole block in hand that was not committed.
    Committing,
    /// It had leased a message that was not on the wire yet.
    Leasing,
    /// A receiver held its request and had not answered.
    Sending,
    /// A receiver had answered, and that was not written down.
    Recording,
    /// None of these: starting, or waiting for the chain.
    Between,
}

const AIMS: [Phase; 5] = [Phase::Fetching, Phase::Committing, Phase::Leasing, Phase::Sending, Phase::Recording];

#[tokio::test(flavor = "multi_thread")]
async fn sixty_crashes_lose_nothing_and_tell_nothing_anew() {
    let mut rng = random("crashes");
    let stage = WatchedProxy::with_treasury().await.spread(CLERKS);
    let mut aims: Vec<Option<Phase>> = AIMS.into_iter().flat_map(|aim| [Some(aim); AIMED]).collect();
    aims.extend([None; WILD]);
    rng.shuffle(&mut aims);

    let (done, mined) = (Cell::new(false), Cell::new(0));
    let mut stream = Stream { stage: &stage, rng: rng.fork(), abnormal: BTreeSet::new() };
    let crashing = async {
        let mut table: BTreeMap<Phase, usize> = BTreeMap::new();
        let mut crasher = Crasher { stage: &stage, rng, known: Vec::new() };
        let mut aims = aims.into_iter();
        // Aimed kills first; then at any time, until the whole chain has streamed by.
        while let Some(aim) = aims.next().or_else(|| (mined.get() < BLOCKS_MIN).then_some(None)) {
            let hit = crasher.live_and_die(aim).await;
            let n: usize = table.values().sum();
            println!("crash {:>2} at block {:>3}: {hit:?}, aimed at {aim:?}", n + 1, mined.get());
            *table.entry(hit).or_default() += 1;
        }
        done.set(true);
        table
    };
    let streaming = async {
        while !done.get() {
            mined.set(mined.get() + stream.some_blocks().await);
        }
    };
    let (table, ()) = tokio::join!(crashing, streaming);

    answer(&stage, &Answer::Ok);
    stage.proxy.delay(Duration::ZERO);
    let process = stage.start();
    stage.settle().await;
    assert!([0, 1].contains(&process.end().await), "{}", stage.watch.log());

    println!("{} crashes over {} blocks: {table:?}", table.values().sum::<usize>(), mined.get());
    for aim in AIMS {
        assert!(table.get(&aim).copied().unwrap_or(0) >= 5, "too few crashes while {aim:?}: {table:?}");
    }
    stream.abnormal.extend(stage.reckon().await);
    let (ours, calm) = stage.check(&stream.abnormal).await;
    // Without a reorg the two agree in everything but clocks: in revisions, in incidents, in the identity of each message.
    let lines = |all: &[(bool, Value)]| -> Vec<Value> { all.iter().map(|(_, line)| line.clone()).collect() };
    assert_eq!(lines(&ours.activities), lines(&calm.activities));
    assert_eq!(ours.findings, calm.findings);
    let storms = |stored: &Stored| -> Vec<Value> {
        stored.incidents.values().filter(|incident| incident["origin"]["kind"] == "storm").cloned().collect()
    };
    let none: Vec<Value> = Vec::new();
    assert_eq!(
        [storms(&ours), storms(&calm)],
        [none.clone(), none],
        "no path pages so often that the clock decides which"
    );
    assert_eq!(ours.incidents.keys().collect::<Vec<_>>(), calm.incidents.keys().collect::<Vec<_>>());
    let messages = |outbox: &BTreeMap<String, Message>| -> Vec<[String; 3]> {
        outbox.iter().map(|(key, m)| [key.clone(), m.destination.clone(), m.kind.clone()]).collect()
    };
    assert_eq!(messages(&ours.outbox), messages(&calm.outbox));
    // Between two words about one incident the next one may come, and shows the whole incident anew.
    let kept = |message: &&Message| message.kind != "update";
    assert!(ours.outbox.values().filter(kept).all(|message| message.state == "sent"));
    let requests: usize = [&stage.pager, &stage.feed, &stage.ledger].map(Inbox::count).iter().sum();
    println!("{} messages in {requests} requests about {} findings", ours.outbox.len(), ours.findings.len());
    assert!(requests > ours.outbox.len(), "no crash made a message repeat, so none was dropped by its id either");
}

/// Starts the program and kills it.
struct Crasher<'a> {
    stage: &'a WatchedProxy,
    rng: fastrand::Rng,
    /// Leases that earlier lives left behind.
    known: Vec<Lease>,
}

impl Crasher<'_> {
    /// One life of the program: it is killed while it does what `aim` says, or at any time.
    async fn live_and_die(&mut self, aim: Option<Phase>) -> Phase {
        let before = [&self.stage.pager, &self.stage.feed, &self.stage.ledger].map(Inbox::count);
        self.stage.proxy.forget();
        let ms = Duration::from_millis;
        let (delay, pace) = match aim {
            Some(Phase::Fetching) => (ms(30), Answer::Ok),
            // With every hand full, nobody but the chain writes.
            Some(Phase::Committing) => (ms(0), Answer::Late(ms(800))),
            Some(Phase::Sending) => (ms(1), Answer::Late(ms(200))),
            Some(_) => (ms(1), Answer::Ok),
            None => (ms(self.rng.u64(..20)), Answer::Late(ms(self.rng.u64(..200)))),
        };
        self.stage.proxy.delay(delay);
        answer(self.stage, &pace);
        let process = self.stage.start();
        if aim.is_none() {
            tokio::time::sleep(ms(self.rng.u64(..1_500))).await;
        }
        let until = Instant::now() + AIM;
        loop {
            tokio::time::sleep(ms(self.rng.u64(1..10))).await;
            process.freeze();
            let seen = self.look(before);
            if aim.is_none_or(|aim| seen.contains(&aim)) || Instant::now() > until {
                self.known = stored::glance(&self.stage.store()).map(|glance| glance.leases).unwrap_or_default();
                process.kill();
                // What a wild kill hits is named by the rarest of what it hit.
                let order = [Phase::Recording, Phase::Leasing, Phase::Committing, Phase::Sending, Phase::Fetching];
                let hit = aim.filter(|aim| seen.contains(aim));
                return hit.or_else(|| order.into_iter().find(|phase| seen.contains(phase))).unwrap_or(Phase::Between);
            }
            process.thaw();
        }
    }

    /// What the frozen program is in the middle of. `before` is how much the receivers had heard when it started.
    fn look(&self, before: [usize; 3]) -> BTreeSet<Phase> {
        let mut seen = BTreeSet::new();
        if self.stage.proxy.asking() > 0 {
            seen.insert(Phase::Fetching);
        }
        let Some(glance) = stored::glance(&self.stage.store()) else { return seen };
        // Of a lane several messages leave in a row, and what became of them is written down after the last one.
        let mut lanes: BTreeMap<(&str, &str), Vec<Phase>> = BTreeMap::new();
        for lease in glance.leases.iter().filter(|lease| !self.known.contains(lease)) {
            let (inbox, from) = match lease.destination.as_str() {
                "pager" => (&self.stage.pager, before[0]),
                "feed" => (&self.stage.feed, before[1]),
                _ => (&self.stage.ledger, before[2]),
            };
            let answered = inbox.look(|received, held| {
                let place = (from..received.len()).rfind(|place| received[*place].id() == lease.key)?;
                Some(!held.contains(&place))
            });
            let phase = match answered {
                None => Phase::Leasing,
                Some(true) => Phase::Recording,
                Some(false) => Phase::Sending,
            };
            lanes.entry((&lease.destination, &lease.lane)).or_default().push(phase);
        }
        let mut on_the_wire: BTreeMap<&str, usize> = BTreeMap::new();
        for ((destination, _), phases) in &lanes {
            // All alike: not on the wire yet, or all answered. Else the row is on its way.
            let all = |phase| phases.iter().all(|seen| *seen == phase);
            if let Some(phase) = [Phase::Leasing, Phase::Recording].into_iter().find(|phase| all(*phase)) {
                seen.insert(phase);
            } else {
                seen.insert(Phase::Sending);
                *on_the_wire.entry(destination).or_default() += 1;
            }
        }
        // Whoever writes now is the chain, if nobody has an answer to record and nobody has a hand free to lease. What is
        // left is the look at the clock once a second, which takes a millisecond.
        let full = |to: &String| on_the_wire.get(to.as_str()).is_some_and(|n| *n >= FLIGHTS_TO_ONE);
        let nobody_else =
            !seen.contains(&Phase::Recording) && !seen.contains(&Phase::Leasing) && glance.leasable.keys().all(full);
        let in_hand = self.stage.proxy.handed_over() > glance.cursor;
        if glance.writing && in_hand && nobody_else {
            seen.insert(Phase::Committing);
        }
        seen
    }
}

/// Makes a chain: bills and thefts of clerks, the Box, grants of the treasury, and empty blocks.
struct Stream<'a> {
    stage: &'a WatchedProxy,
    rng: fastrand::Rng,
    /// Abnormal transactions that no clerk sent.
    abnormal: BTreeSet<String>,
}

impl Stream<'_> {
    /// Adds some blocks after a while, and says how many.
    async fn some_blocks(&mut self) -> u64 {
        let pause = if self.rng.u8(..4) == 0 { 600 } else { 150 };
        tokio::time::sleep(Duration::from_millis(self.rng.u64(20..pause))).await;
        let anvil = &self.stage.anvil;
        let treasury = self.stage.treasury.as_ref().expect("the treasury stands");
        match self.rng.u8(..12) {
            0 => {
                // The same number each time: another one would be news for a page of its own.
                let store = IBox::storeCall { value: U256::from(7) }.abi_encode();
                let unknown = hex!("deadbeef0000000000000000000000000000000000000000000000000000000000000001");
                anvil.send(&Tx::call(KEEPER.address, treasury.watched_box, store.clone())).await;
                let raised = [
                    anvil.send(&Tx::call(DEPUTY.address, treasury.watched_box, store)).await,
                    anvil.send(&Tx::call(STRANGER.address, treasury.watched_box, unknown)).await,
                ];
                self.abnormal.extend(raised.map(|hash| hash.to_string()));
                anvil.mine(1).await;
                1
            }
            1 => {
                // Each of its transactions waits to be mined.
                anvil.set_automine(true).await;
                self.abnormal.insert(treasury.unknown_recipient(anvil).await.to_string());
                treasury.ops_pays_old_coins(anvil).await;
                anvil.set_automine(false).await;
                2
            }
            2 => {
                let n = self.rng.u64(1..6);
                anvil.mine(n).await;
                n
            }
            _ => {
                let mut clerks: Vec<usize> = (0..CLERKS).collect();
                self.rng.shuffle(&mut clerks);
                let mut txs = Vec::new();
                for n in clerks.into_iter().take(self.rng.usize(1..4)) {
                    let nonce = self.stage.nonce(n).await;
                    let ether = self.rng.u64(1..4);
                    let shop = SHOPS[self.rng.usize(..2)];
                    txs.push(if self.rng.u8(..4) == 0 { theft(n, nonce) } else { bill(n, shop, ether, nonce) });
                }
                self.stage.mine(&txs).await;
                1
            }
        }
    }
}

fn answer(stage: &WatchedProxy, answer: &Answer) {
    for inbox in [&stage.pager, &stage.feed, &stage.ledger] {
        inbox.otherwise(answer.clone());
    }
}
