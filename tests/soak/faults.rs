//! Minutes of every fault at once: three endpoints of one live chain, of which the first breaks and lies, the second lags and lies,
//! and the third takes another branch for the chain for a while. In the end everything that was committed and told is compared with
//! the chain as it stands, and every lie with what the program said of it.

use super::fork::Fork;
use super::life::{self, Life};
use super::oracle;
use super::signs::Metrics;
use super::support::watched_proxy::{PATH, WatchedProxy};
use super::wire::{Lie, Slip, Wire};
use super::{Args, duration_of};
use crate::support::inbox::{Inbox, Received};
use crate::support::process::Process;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Seconds between blocks.
const SLOT: Duration = Duration::from_secs(1);
/// Slots within which not seeing at all has to be told, and the least that this is in time: a provider that changes a node takes
/// some seconds, which on a chain of fast slots is no outage.
const TOLD_SLOTS: u32 = 4;
const TOLD_LEAST: Duration = Duration::from_secs(20);
/// What a loaded machine and the way to the receiver may add to it.
const TOLD_MARGIN: Duration = Duration::from_secs(3);
/// How long nothing at all can be reached, twice in a run.
const DARK: Duration = Duration::from_secs(30);
/// Least time that the other branch stands beside the chain while both can be heard: two slots and what it takes to see them.
const FORK_SECONDS: u64 = 7;
/// How long an endpoint may stay unheard after something was done to it: until a silent socket is given up, until a question that
/// stays unanswered is, and until a line that broke is tried again.
const UNHEARD_SILENT: u64 = 25;
const UNHEARD_UNANSWERED: u64 = 15;
const UNHEARD_BROKEN: u64 = 5;
/// Blocks between two faults.
const PACE: u64 = 2;

/// Everything that goes wrong, each as often as any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Card {
    Cut,
    HalfOpenIdle,
    HalfOpenBusy,
    RefusedResubscription,
    Refused,
    Frozen,
    Slip(Slip),
    Lie(Lie),
    Lag,
    OtherBranch,
    Reorg(u64),
    Rollback,
}

const DECK: [Card; 32] = [
    Card::Cut,
    Card::HalfOpenIdle,
    Card::HalfOpenBusy,
    Card::RefusedResubscription,
    Card::Refused,
    Card::Frozen,
    Card::Slip(Slip::WithoutId),
    Card::Slip(Slip::NullNull),
    Card::Slip(Slip::Limited),
    Card::Slip(Slip::Unanswered),
    Card::Slip(Slip::Slow),
    Card::Slip(Slip::Huge),
    Card::Lie(Lie::EmptyReceipts),
    Card::Lie(Lie::LogRemoved),
    Card::Lie(Lie::LogAltered),
    Card::Lie(Lie::StatusSwapped),
    Card::Lie(Lie::ValueAltered),
    Card::Lie(Lie::TxRemoved),
    Card::Lie(Lie::LogRemoved),
    Card::Lie(Lie::EmptyReceipts),
    Card::Lie(Lie::StateAltered),
    Card::Lie(Lie::StateAltered),
    Card::Lag,
    Card::OtherBranch,
    Card::Reorg(1),
    Card::Reorg(1),
    Card::Reorg(2),
    Card::Reorg(3),
    Card::Reorg(4),
    Card::Reorg(5),
    Card::Rollback,
    Card::Reorg(2),
];

/// When something that lasts is over.
enum End {
    Lag,
    Refusal(usize),
}

/// A branch that is shown instead of the chain. As long as it stands who shows it can be heard, and one other who does not: what
/// goes untold then goes untold without an excuse. It is gone long before its blocks count as final, since nothing but a person
/// gets a watcher out of that.
struct Branch {
    from: Timestamp,
    over: Instant,
    /// Who may suffer meanwhile.
    victim: usize,
}

struct Storm<'a> {
    life: Life<'a>,
    stage: &'a WatchedProxy,
    wires: &'a [Wire; 3],
    rng: fastrand::Rng,
    deck: Vec<Card>,
    played: BTreeMap<String, u32>,
    ends: Vec<(Instant, End)>,
    /// Until when each endpoint may not be heard, for what was done to it.
    unheard: [Instant; 3],
    branch: Option<Branch>,
    /// From when to when another branch was shown.
    branches: Vec<(Timestamp, Timestamp)>,
    /// When nothing could be reached.
    dark: Vec<(Instant, Instant)>,
}

pub(crate) async fn run(args: &Args) {
    let mut rng = fastrand::Rng::with_seed(args.seed);
    let mut stage = WatchedProxy::with_treasury().await;
    life::wake(&mut stage).await;
    let port = stage.anvil.port();
    let wires = [Wire::start("broken", port).await, Wire::start("late", port).await, Wire::start("other", port).await];
    configure(&stage, &wires);
    // Once an endpoint is caught, its further lies are no news, and told only to those who ask for all there is.
    stage.watch.set("WATCHFIRE_LOG", "info,watchfire::source::drive=debug");
    let life = Life::begin(&stage, rng.fork());
    let began = Instant::now();
    let mut process = stage.start();
    let mut storm = Storm {
        life,
        stage: &stage,
        wires: &wires,
        rng,
        deck: Vec::new(),
        played: BTreeMap::new(),
        ends: Vec::new(),
        unheard: [began; 3],
        branch: None,
        branches: Vec::new(),
        dark: Vec::new(),
    };
    storm.blow(args.time, &mut process).await;
    storm.calm().await;
    println!(
        "\n{:.0} s, {} blocks to {}",
        began.elapsed().as_secs_f64(),
        storm.life.n_blocks,
        stage.anvil.block_number().await
    );
    println!("reorgs by depth {:?}, rollbacks {}", storm.life.reorgs, storm.life.rollbacks);
    let metrics = Metrics::of(&stage).await;
    // An endpoint that was caught with a lie is still on record at the end, and that is an exit code of its own.
    println!("exit code {}", process.end().await);
    storm.report(&metrics);
    let abnormal = storm.life.abnormal().await;
    let ours = oracle::compare(&stage, &abnormal).await;
    let taken_back = ours.activities.iter().filter(|(orphaned, _)| *orphaned).count();
    println!(
        "\n  {} verdicts taken back; {} findings, {} stand",
        taken_back,
        ours.findings.len(),
        ours.standing().count()
    );
    storm.judge(&metrics);
    println!("\nnothing missed, nothing phantom, nothing double");
}

fn configure(stage: &WatchedProxy, wires: &[Wire; 3]) {
    let endpoints: Vec<String> =
        wires.iter().map(|wire| format!("    {{ name = \"{}\", url = \"{}\" }},\n", wire.name(), wire.url())).collect();
    let hook = |name: &str, url: String, feed: &str| {
        format!(
            "[destination.{name}]\nkind = \"webhook\"\nurl = \"{url}\"\n\
             secret = {{ env = \"WATCHFIRE_TEST_SECRET\" }}\n{feed}\n"
        )
    };
    let destinations = [
        hook("pager", stage.pager.url("/hook"), ""),
        hook("feed", stage.feed.url("/hook"), "feed = \"findings\"\n"),
        hook("ledger", stage.ledger.url("/hook"), "feed = \"verdicts\"\n"),
        hook("keeper", stage.keeper.url("/hook"), ""),
        hook("chat", stage.chat.url("/hook"), ""),
    ];
    let text = format!(
        "store = \"watchfire.db\"\nwatchlists = [\"clerks.toml\", \"treasury.toml\"]\n\n[console]\nlisten = \"127.0.0.1:0\"\n\n\
         [chain.demo]\nid = 31337\nclock = \"wall\"\nslot = \"{}s\"\nfinality = {{ safe = 16, finalized = 32 }}\nendpoint = [\n{}]\n\n\
         {}\n[path.treasury]\n{PATH}\n[path.self]\nnotify = [\"chat\"]\n\
         steps = [{{ to = [\"keeper\"], ack_within = \"1h\" }}]\n",
        SLOT.as_secs(),
        endpoints.concat(),
        destinations.concat()
    );
    stage.watch.write("watchfire.toml", &text);
}

impl Storm<'_> {
    /// Blocks and faults for so long. Nothing can be reached at all from a third and from three quarters of it on.
    async fn blow(&mut self, time: Duration, process: &mut Process) {
        let began = Instant::now();
        let mut outages = vec![time.mul_f64(0.75), time.mul_f64(0.33)];
        let mut n = 0;
        while began.elapsed() < time {
            self.slot().await;
            assert!(process.lives(), "the program ended by itself:\n{}", self.stage.watch.log());
            if self.branch.is_none() && outages.last().is_some_and(|at| began.elapsed() >= *at) {
                outages.pop();
                self.darkness().await;
            }
            n += 1;
            if n % PACE == 0 {
                let card = self.draw();
                self.play(card).await;
            }
        }
    }

    /// One slot goes by.
    async fn slot(&mut self) {
        let until = Instant::now() + SLOT;
        self.life.block().await;
        let now = Instant::now();
        let (over, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.ends).into_iter().partition(|(at, _)| *at <= now);
        self.ends = left;
        for (_, end) in over {
            match end {
                End::Lag => self.wires[1].agree(),
                End::Refusal(n) => self.wires[n].refuse(false),
            }
        }
        if let Some(branch) = self.branch.take_if(|branch| now >= branch.over) {
            self.wires[2].agree();
            self.branches.push((branch.from, Timestamp::now()));
        }
        tokio::time::sleep_until(until).await;
    }

    /// Nothing can be reached for a while, and the chain goes on.
    async fn darkness(&mut self) {
        let began = Instant::now();
        // The end of an earlier outage would let light in.
        self.ends.retain(|(_, end)| !matches!(end, End::Refusal(_)));
        for wire in self.wires {
            wire.refuse(true);
            wire.cut();
        }
        let mut n = 0;
        while began.elapsed() < DARK {
            self.slot().await;
            n += 1;
            if n % 9 == 0 {
                let depth = self.rng.u64(1..6);
                self.life.reorg(depth).await;
            }
        }
        self.wires.iter().for_each(|wire| wire.refuse(false));
        (0..3).for_each(|n| self.hurt(n, UNHEARD_BROKEN));
        self.dark.push((began, Instant::now()));
    }

    /// An endpoint may not be heard for so many seconds.
    fn hurt(&mut self, n: usize, seconds: u64) {
        self.unheard[n] = self.unheard[n].max(Instant::now() + Duration::from_secs(seconds));
    }

    /// Whether the third can be heard, and one of the others.
    fn can_be_contradicted(&self) -> bool {
        let [broken, late, other] = self.unheard;
        other.max(broken.min(late)) <= Instant::now()
    }

    /// Takes an endpoint away for so many seconds.
    fn refuse(&mut self, n: usize, seconds: u64) {
        self.wires[n].refuse(true);
        self.wires[n].cut();
        self.ends.push((Instant::now() + Duration::from_secs(seconds), End::Refusal(n)));
        self.hurt(n, seconds + UNHEARD_BROKEN);
    }

    fn draw(&mut self) -> Card {
        if self.deck.is_empty() {
            self.deck = DECK.to_vec();
            self.rng.shuffle(&mut self.deck);
        }
        self.deck.pop().expect("just filled")
    }

    async fn play(&mut self, card: Card) {
        let victim = self.branch.as_ref().map(|branch| branch.victim);
        let any = victim.unwrap_or_else(|| self.rng.usize(..3));
        // The third says nothing false, so that nothing false may ever be said of it.
        let liar = victim.unwrap_or_else(|| self.rng.usize(..2));
        match card {
            Card::Cut => {
                self.wires[any].cut();
                self.hurt(any, UNHEARD_BROKEN);
            }
            Card::HalfOpenIdle => {
                self.wires[any].stall_idle().await;
                self.hurt(any, UNHEARD_SILENT);
            }
            Card::HalfOpenBusy => {
                self.wires[any].stall_busy();
                self.hurt(any, UNHEARD_SILENT);
            }
            Card::RefusedResubscription => {
                self.wires[any].refuse_subscriptions(3);
                self.hurt(any, UNHEARD_BROKEN);
            }
            Card::Refused => {
                let seconds = self.rng.u64(2..8);
                self.refuse(any, seconds);
            }
            Card::Frozen => {
                self.stage.anvil.freeze();
                tokio::time::sleep(Duration::from_millis(2_500)).await;
                self.stage.anvil.thaw();
                (0..3).for_each(|n| self.hurt(n, UNHEARD_BROKEN));
                if let Some(branch) = &mut self.branch {
                    branch.over += Duration::from_secs(UNHEARD_BROKEN);
                }
            }
            Card::Slip(slip) => {
                self.wires[any].slip(slip);
                self.hurt(any, if slip == Slip::Unanswered { UNHEARD_UNANSWERED } else { UNHEARD_BROKEN });
            }
            Card::Lie(lie) => {
                self.wires[liar].lie(lie);
                // Who was caught is asked last. Mostly the others are away for a moment, so that the lie is heard and has to be
                // seen through, instead of coming too late.
                if self.rng.u8(..3) > 0 && victim.is_none() {
                    (0..3).filter(|n| *n != liar).for_each(|n| self.refuse(n, 3));
                }
            }
            Card::Lag => {
                self.wires[1].lag(self.rng.u64(3..7));
                let over = Instant::now() + Duration::from_secs(self.rng.u64(8..16));
                self.ends.push((over, End::Lag));
            }
            // One at a time, and when it can be heard; else it is played when the deck is through.
            Card::OtherBranch if victim.is_some() || !self.can_be_contradicted() => {
                self.deck.insert(0, card);
                return;
            }
            Card::OtherBranch => {
                let head = self.stage.anvil.block_number().await;
                let parent = self.stage.anvil.whole_block(head.saturating_sub(1)).await;
                self.wires[2].fork(Fork::on(&parent));
                let over = Instant::now() + Duration::from_secs(self.rng.u64(FORK_SECONDS..FORK_SECONDS + 5));
                // Whoever is heard later than the other.
                let victim = usize::from(self.unheard[1] > self.unheard[0]);
                self.branch = Some(Branch { from: Timestamp::now(), over, victim });
            }
            Card::Reorg(depth) => self.life.reorg(depth).await,
            Card::Rollback => {
                self.life.rollback(self.rng.u64(1..4)).await;
                // Sometimes long enough for the program to find out by itself.
                if self.rng.bool() {
                    tokio::time::sleep(Duration::from_secs(4)).await;
                }
            }
        }
        *self.played.entry(format!("{card:?}")).or_default() += 1;
    }

    /// Nothing goes wrong any more, and everything is seen and told.
    async fn calm(&mut self) {
        while self.branch.is_some() {
            self.slot().await;
        }
        self.wires.iter().for_each(Wire::heal);
        self.ends.clear();
        for _ in 0..12 {
            self.slot().await;
        }
        self.stage.settle().await;
    }

    /// What was done, and what the program said of it.
    fn report(&self, metrics: &Metrics) {
        println!("\nplayed");
        for (card, n) in &self.played {
            println!("  {card:<28} {n:>4}");
        }
        println!("\nlies said, and what became of them");
        println!(
            "  {:<10} {:>6} {:>12} {:>8} {:>10} {:>12}",
            "endpoint", "said", "seen through", "strikes", "overtaken", "other slips"
        );
        for wire in self.wires {
            let strikes = metrics.sum("watchfire_endpoint_strikes_total", &[&format!("endpoint=\"{}\"", wire.name())]);
            let (said, seen, slipped) = (wire.said().len(), self.seen_through(wire).len(), wire.slipped().len());
            // An answer that came when another endpoint had given the block was never looked at.
            let overtaken = said.saturating_sub(seen);
            println!("  {:<10} {said:>6} {seen:>12} {strikes:>8} {overtaken:>10} {slipped:>12}", wire.name());
        }
        let mut kinds: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for wire in self.wires {
            let seen = self.seen_through(wire);
            for said in wire.said() {
                let (n, caught) = kinds.entry(format!("{:?}", said.lie)).or_default();
                *n += 1;
                // Where the counts of transactions and receipts differ, no block is named: nothing was hashed.
                *caught += usize::from(seen.iter().any(|line| line.contains(&format!("{:#x}", said.about))));
            }
        }
        for (kind, (n, caught)) in kinds {
            println!("  {kind:<16} said {n:>3}, refused by the hash of its block {caught:>3}");
        }
        println!("\nblindness as it was told {:>21} {:>6} {:>12} {:>9}", "begins", "over", "blocks late", "evidence");
        let mut told: BTreeMap<(String, String), [u64; 4]> = BTreeMap::new();
        for line in self.blindness() {
            let word = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
            let told = told.entry((word("kind"), word("endpoint"))).or_default();
            told[usize::from(line["until"].is_string())] += 1;
            told[2] += line["blocks"].as_u64().unwrap_or(0);
            told[3] = told[3].max(line["evidence"].as_array().map_or(0, |files| files.len() as u64));
        }
        for ((kind, endpoint), [begins, over, late, evidence]) in told {
            println!("  {kind:<20} {endpoint:<20} {begins:>6} {over:>6} {late:>12} {evidence:>9}");
        }
        println!(
            "  branches shown {}, disagreements counted {}",
            self.branches.len(),
            metrics.sum("watchfire_rpc_disagreement_total", &[])
        );
        for (from, to) in self.untold() {
            println!("  another branch was shown from {from} to {to}, and nobody was told");
        }
        for (began, over) in &self.dark {
            let told = self.told_dark(*began).map(|told| duration_of(told - *began));
            println!(
                "  dark for {}: told after {}",
                duration_of(*over - *began),
                told.unwrap_or_else(|| "-".to_owned())
            );
        }
        println!("\nfigures");
        for name in [
            "judge_duration",
            "commit_duration",
            "head_to_commit",
            "block_to_commit",
            "detection_latency",
            "page_latency",
        ] {
            if let Some((n, half, most)) = metrics.histogram(&format!("watchfire_{name}_seconds")) {
                println!("  {name:<20} {n:>5} times, p50 within {half} ms, p99 within {most} ms");
            }
        }
        println!("  hedged {}", metrics.sum("watchfire_rpc_hedged_total", &[]));
    }

    /// When somebody first heard that nothing is seen of the chain, after `began`. What comes back within minutes of its end goes on
    /// as the same incident: that is told where people read, and pages only if it lasts.
    fn told_dark(&self, began: Instant) -> Option<Instant> {
        let heard = [&self.stage.keeper, &self.stage.chat].into_iter().flat_map(Inbox::received);
        let dark = |page: &Received| {
            let told = page.json()["data"].to_string();
            page.at >= began && ["cannot be seen since", "stands still since"].iter().any(|words| told.contains(words))
        };
        heard.filter(dark).map(|page| page.at).min()
    }

    /// True if an outage of the whole chain stood at this moment, as the program reported it.
    fn was_dark_at(&self, at: Instant) -> bool {
        let (at, lines) = (wall_of(at), self.blindness());
        let time = |line: &Value, key: &str| line[key].as_str().and_then(|time| time.parse::<Timestamp>().ok());
        let stands = |line: &Value| {
            let same = |other: &&Value| ["kind", "endpoint", "since"].iter().all(|key| other[*key] == line[*key]);
            let until = lines.iter().filter(same).find_map(|line| time(line, "until"));
            time(line, "since").is_some_and(|since| since < at) && until.is_none_or(|until| until > at)
        };
        let is_total = |line: &&Value| line["kind"] == "stale-head" || line["kind"] == "unreachable";
        lines.iter().filter(is_total).any(stands)
    }

    /// Lines of the log in which the program says of an endpoint that it gave what cannot be right.
    fn seen_through(&self, wire: &Wire) -> Vec<String> {
        let words = ["an", "another"].map(|one| format!("rejected {one} invalid response of {}", wire.name()));
        let log = self.stage.watch.log();
        log.lines().filter(|line| words.iter().any(|words| line.contains(words))).map(str::to_owned).collect()
    }

    /// Branches during which no disagreement stood.
    fn untold(&self) -> Vec<(Timestamp, Timestamp)> {
        let blindness = self.blindness();
        let time = |line: &Value, key: &str| line[key].as_str().map(|time| time.parse::<Timestamp>().expect("a time"));
        // A disagreement is told twice, the second time with its end.
        let over = |line: &Value| {
            let same = |other: &&Value| ["kind", "endpoint", "since"].iter().all(|key| other[*key] == line[*key]);
            blindness.iter().filter(same).find_map(|line| time(line, "until"))
        };
        let told: Vec<(Timestamp, Timestamp)> = blindness
            .iter()
            .filter(|line| line["kind"] == "disagreement")
            .map(|line| (time(line, "since").expect("it says since when"), over(line).unwrap_or(Timestamp::MAX)))
            .collect();
        let stood = |(from, to): &(Timestamp, Timestamp)| told.iter().any(|(since, until)| since < to && until > from);
        self.branches.iter().filter(|branch| !stood(branch)).copied().collect()
    }

    /// Lines about sight, as the program printed them.
    fn blindness(&self) -> Vec<Value> {
        self.stage.watch.answers().into_iter().filter(|line| line["type"] == "blindness").collect()
    }

    /// What has to hold beside the comparison.
    fn judge(&self, metrics: &Metrics) {
        let honest = format!("endpoint=\"{}\"", self.wires[2].name());
        for name in ["watchfire_endpoint_strikes_total", "watchfire_blocks_refused_total"] {
            assert_eq!(metrics.sum(name, &[&honest]), 0.0, "an endpoint that told no lie was not caught with one");
        }
        for wire in self.wires {
            let (said, seen) = (wire.said().len(), self.seen_through(wire).len());
            assert!(seen <= said, "{} said {said} lies, and {seen} are held against it", wire.name());
            assert!(seen > 0 || said < 5, "{} said {said} lies, and none was seen through", wire.name());
        }
        let bound = (SLOT * TOLD_SLOTS).max(TOLD_LEAST) + TOLD_MARGIN;
        for (began, over) in &self.dark {
            // One that stood already, since the node was frozen a moment before, was told then.
            if self.was_dark_at(*began) {
                continue;
            }
            let told = self.told_dark(*began);
            let shown = || format!("dark from {} to {}: {:#?}", wall_of(*began), wall_of(*over), self.blindness());
            let told = told.unwrap_or_else(|| panic!("nobody was told that nothing was seen, {}", shown()));
            assert!(told - *began <= bound, "told after {:?}, {}", told - *began, shown());
        }
        let bridged = self.blindness().iter().filter(|line| line["blocks"].as_u64() > Some(0)).count();
        assert!(bridged >= self.dark.len(), "the end of each darkness says which blocks were seen late");
        assert_eq!(self.untold(), [], "whoever shows another branch is told of while it stands");
    }
}

/// The wall clock's time at a moment of this run.
fn wall_of(at: Instant) -> Timestamp {
    Timestamp::now().checked_sub(at.elapsed()).expect("a time of this run")
}
