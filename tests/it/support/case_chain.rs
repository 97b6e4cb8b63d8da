//! A fresh chain, what happened on it since the case began, and what the program makes of it: judged block by block with the
//! windows of the blocks before, and told as one step.

use crate::support::anvil::{Anvil, Tx, world_dir};
use crate::support::kit::{Kit, Version};
use crate::support::safe::Safe;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use std::fmt::Display;
use std::path::Path;
use watchfire::classify::{History, Moment, judge_activities};
use watchfire::decode::pending;
use watchfire::escalate::{StepJudged, step_change_set};
use watchfire::model::incident::{ChangeSet, OpenState};
use watchfire::model::read::Answers;
use watchfire::model::{Block, ChainId, Judged, JudgedBlock, Severity, Status, Verdict};
use watchfire::pipeline::{Reader, examine_block};
use watchfire::settings::Secrets;
use watchfire::source::{Deadlines, Endpoint, Fetched, Node, Pool};
use watchfire::watchlist::{Config, Memory, compile_config};

/// One line of the table.
pub(crate) struct Row {
    /// What the table calls it.
    pub(crate) id: &'static str,
    /// What happens, in one line.
    pub(crate) finds: &'static str,
    /// The built-in that raises it, or the rule.
    pub(crate) by: &'static str,
    /// How loud the incident is.
    pub(crate) severity: Severity,
    /// How many incidents it makes, however many transactions it takes.
    pub(crate) incidents: usize,
    /// The harmless thing that looks like it, and what vouches for that.
    pub(crate) beside: &'static str,
}

/// A chain under test.
pub(crate) struct CaseChain {
    pub(crate) anvil: Anvil,
    pool: Pool,
    /// The last block that is the past.
    since: u64,
    /// Whether the node is asked what ran inside of transactions.
    traces: bool,
}

/// What was made of the blocks since the case began.
pub(crate) struct Seen {
    /// `label kind name: severity builtin`, for each finding of its own.
    pub(crate) findings: Vec<String>,
    /// How each is told, in the same order.
    pub(crate) headlines: Vec<String>,
    /// The loudest of each incident.
    pub(crate) incidents: Vec<Severity>,
    /// Every activity in a line, for whoever wonders.
    pub(crate) lines: Vec<String>,
    /// The same, whole.
    pub(crate) judged: Vec<Judged>,
    /// What would have been found in the same transactions when they were announced, one block before they were included: as `findings`.
    pub(crate) announced: Vec<String>,
}

impl CaseChain {
    pub(crate) async fn new() -> Self {
        let anvil = Anvil::start().await;
        let endpoint = Endpoint { name: "anvil".into(), url: anvil.http_url().into() };
        let node = Node::new(&endpoint, ChainId(anvil.chain_id()), Deadlines::default()).expect("a URL");
        let pool = Pool::new(vec![(node, None)]).expect("one node is a pool");
        Self { anvil, pool, since: 0, traces: true }
    }

    /// From now on nothing is known but what calldata and logs tell, as from a node that does not trace.
    pub(crate) fn without_traces(&mut self) {
        self.trace(false);
    }

    /// Sets whether the node is asked what ran inside of transactions.
    pub(crate) fn trace(&mut self, traces: bool) {
        self.traces = traces;
    }

    /// From now on the node behind this URL is asked, about blocks and state alike.
    pub(crate) fn ask_through(&mut self, url: String) {
        let endpoint = Endpoint { name: "glass".into(), url: url.into() };
        let node = Node::new(&endpoint, ChainId(self.anvil.chain_id()), Deadlines::default()).expect("a URL");
        self.pool = Pool::new(vec![(node, None)]).expect("one node is a pool");
    }

    /// With a Safe of this version and threshold, owned by `owners`, its library contracts where they stand on mainnet.
    pub(crate) async fn with_safe(version: Version, owners: &[Address], threshold: u64) -> (Self, Safe) {
        let stage = Self::new().await;
        let from = crate::support::accounts::DEPLOYER.address;
        let kit = Kit::deploy(&stage.anvil, from, version).await;
        let safe = Safe::create(&stage.anvil, from, kit, owners, threshold, 1).await;
        let ether = crate::support::treasury::ether(100);
        stage.anvil.succeed(&Tx::pay(from, safe.address, ether)).await;
        (stage, safe)
    }

    /// The case begins: what came before is the past and is not judged.
    pub(crate) async fn begin(&mut self) {
        self.since = self.anvil.block_number().await;
    }

    /// A transaction that has to succeed.
    pub(crate) async fn send(&self, from: Address, to: Address, data: impl Into<Bytes>) -> B256 {
        self.anvil.succeed(&Tx::call(from, to, data)).await.transaction_hash
    }

    /// Calls that the same block holds, in this order, all by one account. Whether each succeeds is not looked at.
    pub(crate) async fn send_together(&self, from: Address, calls: &[(Address, Vec<u8>)]) {
        self.anvil.set_automine(false).await;
        for (to, data) in calls {
            self.anvil.send(&Tx::call(from, *to, data.clone())).await;
        }
        self.anvil.mine(1).await;
        self.anvil.set_automine(true).await;
    }

    /// The newest block, as the program gets it.
    pub(crate) async fn newest(&self) -> Fetched {
        let hash = self.anvil.block("latest").await["hash"].clone();
        let hash: B256 = serde_json::from_value(hash).expect("a block has a hash");
        self.pool.get(hash).await.expect("the block is there")
    }

    /// Whom the program asks.
    pub(crate) fn reader(&self) -> &Pool {
        &self.pool
    }

    /// The case begins, and this call is what happens.
    pub(crate) async fn when(&mut self, from: Address, to: Address, data: impl Into<Bytes>) -> &Self {
        self.begin().await;
        self.send(from, to, data).await;
        self
    }

    /// Two calls of `to`, alike but for what they ask: the first is found as the row says, the second is silent.
    pub(crate) async fn tells_apart(
        &mut self,
        row: &Row,
        watchlist: &str,
        [from, to]: [Address; 2],
        [found, silent]: [Vec<u8>; 2],
    ) {
        self.when(from, to, found).await.finds(row, watchlist).await;
        self.when(from, to, silent).await.is_quiet(row, watchlist).await;
    }

    /// Judges what happened since the case began by a watchlist on the chain `demo`.
    pub(crate) async fn seen(&self, watchlist: &str) -> Seen {
        let book = book(watchlist, self.traces);
        let (chain, mut history) = (&book.chains[0], History::default());
        let (mut blocks, mut announced) = (Vec::new(), Vec::new());
        for number in self.since + 1..=self.anvil.block_number().await {
            let hash = self.anvil.block(&format!("{number:#x}")).await["hash"].clone();
            let hash: B256 = serde_json::from_value(hash).expect("a block has a hash");
            let fetched = self.pool.get(hash).await.expect("the block is there");
            announced.extend(self.announced(&fetched.block, &book, &history).await);
            let judged = examine_block(&fetched.block, chain, &book, &history, &self.pool).await.judged;
            for delta in &judged.deltas {
                history.add(fetched.block.at.hash, judged.time, delta);
            }
            blocks.push(judged);
        }
        let step = StepJudged { chain: &chain.info, retract: &[], blocks: &blocks };
        let plan = step_change_set(&step, &OpenState::default(), &book.roster, 0);
        Seen { announced, ..Seen::of(&book, &blocks, &plan) }
    }

    /// What is found in the transactions of a block when they are announced: judged by their own bytes, by what the node says of the block
    /// before, and at the block's time. What fails was announced as something that may go well, and what stands behind another of the same
    /// sender does what that makes of it: of these the announcement says something else.
    async fn announced(&self, block: &Block, book: &Config, history: &History) -> Vec<String> {
        let before = self.pool.get(block.parent).await.expect("the block before is there").block;
        let tip = Block { txs: vec![], withdrawals: vec![], ..before };
        let mut found = Vec::new();
        let is_first =
            |tx: &&watchfire::model::Tx| block.txs.iter().all(|other| other.index >= tx.index || other.from != tx.from);
        for tx in block.txs.iter().filter(is_first).filter(|tx| tx.status.has_effects()) {
            let announced = watchfire::model::Tx {
                index: 0,
                status: Status::Unknown,
                created: None,
                logs: vec![],
                fee: None,
                tip: None,
                ..tx.clone()
            };
            let mut answers = Answers::new();
            let activities = loop {
                let decoded = pending::decode_pending(&announced, &tip, &book.chains[0].subjects, &answers);
                if decoded.wanted.is_empty() {
                    break decoded.activities;
                }
                let told = Reader::read(&self.pool, tip.at, &decoded.wanted).await;
                answers.extend(decoded.wanted.into_iter().zip(told));
            };
            let (judged, _) = judge_activities(activities, &book.rules, history, Moment { time: block.time });
            found.extend(judged.iter().filter(|judged| is_found(judged)).map(|judged| line(book, judged)));
        }
        found
    }

    /// What `row` says is found when it is announced, before any block holds it.
    pub(crate) async fn announces(&self, row: &Row, watchlist: &str) {
        let seen = self.seen(watchlist).await;
        let wanted = format!("{} {}", row.severity, row.by);
        let told = || format!("{}: announced {:#?}\nof {:#?}", row.id, seen.announced, seen.lines);
        assert!(seen.announced.iter().any(|line| line.ends_with(&wanted)), "no `{wanted}` for {}", told());
    }

    /// The attack of `row` is found as the row says.
    pub(crate) async fn finds(&self, row: &Row, watchlist: &str) -> Seen {
        let seen = self.seen(watchlist).await;
        let wanted = format!("{} {}", row.severity, row.by);
        let told = || format!("{}: {:#?}\nof {:#?}", row.id, seen.findings, seen.lines);
        assert!(seen.findings.iter().any(|line| line.ends_with(&wanted)), "no `{wanted}` for {}", told());
        assert_eq!(seen.incidents.len(), row.incidents, "incidents of {}", told());
        let loudest = seen.incidents.iter().max().copied();
        assert_eq!(loudest, Some(row.severity), "the loudest of {}", told());
        seen
    }

    /// Silent from its announcement on, or found when it is announced, as the row says.
    pub(crate) async fn is_announced(&self, row: &Row, watchlist: &str, silent: bool) {
        if silent {
            self.is_quiet(row, watchlist).await;
        } else {
            self.announces(row, watchlist).await;
        }
    }

    /// Silent, or found as the row says.
    pub(crate) async fn judged(&self, row: &Row, watchlist: &str, silent: bool) {
        if silent {
            self.is_quiet(row, watchlist).await;
        } else {
            self.finds(row, watchlist).await;
        }
    }

    /// What looks like it is silent, and was so when it was announced.
    pub(crate) async fn is_quiet(&self, row: &Row, watchlist: &str) {
        let seen = self.seen(watchlist).await;
        assert!(!seen.lines.is_empty(), "beside {}: nothing was seen at all", row.id);
        assert!(seen.findings.is_empty(), "beside {}: {:#?}\nof {:#?}", row.id, seen.findings, seen.lines);
        assert!(seen.announced.is_empty(), "announced beside {}: {:#?}\nof {:#?}", row.id, seen.announced, seen.lines);
    }
}

impl Seen {
    fn of(book: &Config, blocks: &[JudgedBlock], plan: &ChangeSet) -> Self {
        let judged = || blocks.iter().flat_map(|block| &block.judged);
        let own = |judged: &&Judged| is_found(judged);
        Self {
            findings: judged().filter(own).map(|judged| line(book, judged)).collect(),
            headlines: judged().filter(own).map(|judged| headline(book, judged)).collect(),
            incidents: plan.incidents.iter().map(|incident| incident.severity).collect(),
            lines: judged().map(|judged| line(book, judged)).collect(),
            judged: judged().cloned().collect(),
            announced: Vec::new(),
        }
    }
}

/// Whether it is a finding of its own.
fn is_found(judged: &Judged) -> bool {
    matches!(&judged.verdict, Verdict::Abnormal(abnormal) if abnormal.repeats.is_none())
}

fn headline(book: &Config, judged: &Judged) -> String {
    watchfire::escalate::activity_headline(&judged.activity, &book.watches[judged.activity.watch.index()], &book.roster)
}

fn line(book: &Config, judged: &Judged) -> String {
    let activity = &judged.activity;
    let label = &book.watches[activity.watch.index()].label;
    let verdict = match &judged.verdict {
        Verdict::Normal { by } => format!("normal by {by}"),
        Verdict::Abnormal(abnormal) => format!("{} {}", abnormal.severity, abnormal.rule),
    };
    format!("{label} {} {} {}: {verdict}", activity.kind.as_str(), activity.position, activity.deed.name)
}

/// What the watchlist means on the chain `demo`. ABIs that it names, such as `abi/Engine.json`, are those of the contracts here.
pub(crate) fn book(watchlist: &str, traces: bool) -> Config {
    let main = format!(
        "store = \"w.db\"\nwatchlists = [\"w.toml\"]\n\
         [chain.demo]\nid = 31337\nendpoint = \"ws://127.0.0.1:8545\"\nclock = \"chain\"\ntraces = {traces}\n\
         [destination.screen]\nkind = \"terminal\"\n\
         [path.self]\nsteps = [{{ to = [\"screen\"], ack_within = \"5m\" }}]\n\
         [path.duty]\npage_at = \"info\"\nsteps = [{{ to = [\"screen\"], ack_within = \"5m\" }}]\n"
    );
    let named = watchlist.split("\"abi/").skip(1).filter_map(|rest| rest.split(".json\"").next());
    let abis: Vec<(String, String)> = named
        .map(|name| {
            let path = world_dir().join("artifacts").join(format!("{name}.json"));
            (format!("abi/{name}.json"), std::fs::read_to_string(path).expect("an artifact"))
        })
        .collect();
    let abis = abis.iter().map(|(path, text)| (&**path, &**text));
    let files = Memory::new([("main.toml", &*main), ("w.toml", watchlist)].into_iter().chain(abis));
    compile_config(Path::new("main.toml"), &files, Secrets::NamesOnly)
        .unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

/// A watch of `address`, with whatever more it says.
pub(crate) fn watch(kind: &str, address: Address, more: &str) -> String {
    format!(
        "[[watch]]\nlabel = \"The {kind} {address}\"\nchain = \"demo\"\naddress = \"{address}\"\nkind = \"{kind}\"\n\
         purpose = \"A case\"\npath = \"duty\"\n{more}\n"
    )
}

/// A rule about what comes by `way` (`call`, `act`, `event`, `move`, `state`) and is called `what`, with exactly these arguments.
pub(crate) fn vouch(way: &str, what: &str, arguments: &[(&str, &dyn Display)]) -> String {
    let argument = |(name, value): &(&str, &dyn Display)| match value.to_string().as_str() {
        truth @ ("true" | "false") => format!("\"{name}\" = {{ eq = {truth} }}"),
        value => format!("\"{name}\" = {{ eq = \"{value}\" }}"),
    };
    let arguments: Vec<String> = arguments.iter().map(argument).collect();
    let arguments =
        if arguments.is_empty() { String::new() } else { format!("args = {{ {} }}\n", arguments.join(", ")) };
    format!("[[watch.normal]]\nname = \"{way} {what}\"\n{way} = \"{what}\"\n{arguments}")
}

/// The same, of ether alone and for one receiver.
pub(crate) fn pays(to: Address) -> String {
    format!("[[watch.normal]]\nname = \"ether\"\nact = \"ether\"\nto = [\"{to}\"]\n")
}

/// A call of the function with this signature; `arguments` as they are encoded.
pub(crate) fn calldata(signature: &str, arguments: impl AsRef<[u8]>) -> Vec<u8> {
    [&keccak256(signature)[..4], arguments.as_ref()].concat()
}
