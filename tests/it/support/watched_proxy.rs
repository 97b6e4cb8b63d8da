//! A node, the wire to it, the program, and three receivers; and the comparison everything ends with.

use crate::support::anvil::{Anvil, Options, Tx};
use crate::support::bill_payers;
use crate::support::inbox::{Inbox, Received};
use crate::support::process::Process;
use crate::support::proxy::Proxy;
use crate::support::stored::{self, Message, Stored};
use crate::support::treasury::Treasury;
use crate::support::watch::Watch;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What every webhook here is signed with.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Where the program finds it.
const SECRET_ENV: &str = "WATCHFIRE_TEST_SECRET";
/// How many clerks work here.
pub(crate) const CLERKS: usize = 24;
/// Blocks between the clerks' hiring and the first watched block.
pub(crate) const SPARE: u64 = 5;
/// A loaded machine, and leases of dead workers that have to run out, take their time; longer means that nothing comes.
const PATIENCE: Duration = Duration::from_secs(120);
/// The path of every watch, unless a test wants another.
pub(crate) const PATH: &str =
    "page_at = \"warning\"\nnotify = [\"pager\"]\nsteps = [{ to = [\"pager\"], ack_within = \"1h\" }]\n";

/// The path of the program's own troubles.
const SELF: &str = "notify = [\"chat\"]\nsteps = [{ to = [\"keeper\"], ack_within = \"1h\" }]\n";
/// How a chain goes that grows when it is told to.
const TOLD: &str = "clock = \"chain\"\nslot = \"1s\"";

pub(crate) struct WatchedProxy {
    pub(crate) anvil: Anvil,
    pub(crate) proxy: Proxy,
    pub(crate) watch: Watch,
    /// Hears pages.
    pub(crate) pager: Inbox,
    /// Hears findings.
    pub(crate) feed: Inbox,
    /// Hears every verdict.
    pub(crate) ledger: Inbox,
    /// Is paged when the program is blind, or cannot write.
    pub(crate) keeper: Inbox,
    /// Hears what of that is not bad enough to wake anybody.
    pub(crate) chat: Inbox,
    /// The first block that is watched.
    pub(crate) first: u64,
    pub(crate) treasury: Option<Treasury>,
    /// The paths that the clerks share, how each reads, and destinations beside the three.
    paths: Vec<String>,
    path: String,
    more: String,
    /// How the chain goes.
    pace: String,
    /// Where the store lies, from the configuration's directory.
    store: &'static str,
}

impl WatchedProxy {
    /// Clerks on a chain that grows only when told.
    pub(crate) async fn new() -> Self {
        Self::with(Options::default(), "", PATH).await
    }

    /// As [`Self::new`], with other options of the node, more destinations, and another path.
    pub(crate) async fn with(options: Options, more: &str, path: &str) -> Self {
        let (anvil, proxy) = Self::chain(options).await;
        Self::around(anvil, proxy, None, more, path).await
    }

    /// The treasury of the demo beside the clerks.
    pub(crate) async fn with_treasury() -> Self {
        let (anvil, proxy) = Self::chain(Options::default()).await;
        let treasury = Treasury::deploy(&anvil).await;
        Self::around(anvil, proxy, Some(treasury), "", PATH).await
    }

    async fn chain(options: Options) -> (Anvil, Proxy) {
        let anvil = Anvil::start_with(Options { accounts: bill_payers::ACCOUNTS, ..options }).await;
        let proxy = Proxy::start(anvil.port()).await;
        (anvil, proxy)
    }

    async fn around(anvil: Anvil, proxy: Proxy, treasury: Option<Treasury>, more: &str, path: &str) -> Self {
        Self::furnish(&anvil).await;
        let mut stage = Self {
            first: anvil.block_number().await + 1,
            watch: Watch::empty(),
            pager: Inbox::start().await,
            feed: Inbox::start().await,
            ledger: Inbox::start().await,
            keeper: Inbox::start().await,
            chat: Inbox::start().await,
            anvil,
            proxy,
            treasury,
            paths: vec!["treasury".to_owned()],
            path: path.to_owned(),
            more: more.to_owned(),
            pace: TOLD.to_owned(),
            store: "watchfire.db",
        };
        stage.watch = stage.told_by(&stage.proxy.url("/"));
        stage
    }

    /// The same without a socket: the node is polled over HTTP, past the proxy.
    pub(crate) fn polled(self) -> Self {
        let watch = self.told_by(&self.anvil.http_url());
        Self { watch, ..self }
    }

    /// The same with `n` more paths, which the clerks share. A clerk alone has less new to show than a path pages in a minute.
    pub(crate) fn spread(self, n: usize) -> Self {
        let stage = Self { paths: (0..n).map(|n| format!("desk-{n}")).collect(), ..self };
        stage.configure();
        stage
    }

    /// The same with a chain that goes otherwise.
    pub(crate) fn paced(self, pace: &str) -> Self {
        let stage = Self { pace: pace.to_owned(), ..self };
        stage.configure();
        stage
    }

    /// The same with a store elsewhere.
    pub(crate) fn stored_at(self, store: &'static str) -> Self {
        let stage = Self { store, ..self };
        stage.configure();
        stage
    }

    /// Writes the configuration anew.
    fn configure(&self) {
        self.watch.write("clerks.toml", &bill_payers::watchlist(CLERKS, &self.paths));
        self.write_main(&self.watch, &self.proxy.url("/"), &self.urls());
    }

    fn urls(&self) -> [String; 5] {
        [&self.pager, &self.feed, &self.ledger, &self.keeper, &self.chat].map(|inbox| inbox.url("/hook"))
    }

    fn told_by(&self, endpoint: &str) -> Watch {
        self.configured(endpoint, &self.urls())
    }

    /// Makes a fresh chain, or one that forgot everything, fit for clerks; then it grows only when told.
    pub(crate) async fn furnish(anvil: &Anvil) {
        bill_payers::hire(anvil, CLERKS).await;
        // Room for reorgs that reach below the first watched block.
        anvil.mine(SPARE).await;
        anvil.set_automine(false).await;
    }

    /// A configuration of its own, telling the receivers at `urls`.
    fn configured(&self, endpoint: &str, urls: &[String; 5]) -> Watch {
        let mut watch = Watch::empty();
        watch.set(SECRET_ENV, SECRET);
        watch.write("clerks.toml", &bill_payers::watchlist(CLERKS, &self.paths));
        if self.treasury.is_some() {
            watch.add_treasury();
        }
        self.write_main(&watch, endpoint, urls);
        watch
    }

    fn write_main(&self, watch: &Watch, endpoint: &str, urls: &[String; 5]) {
        let lists = if self.treasury.is_some() { "\"clerks.toml\", \"treasury.toml\"" } else { "\"clerks.toml\"" };
        let hook = |name: &str, url: &str, feed: &str| {
            format!(
                "[destination.{name}]\nkind = \"webhook\"\nurl = \"{url}\"\nsecret = {{ env = \"{SECRET_ENV}\" }}\n\
                 timeout = \"1s\"\n{feed}\n"
            )
        };
        let [pager, feed, ledger, keeper, chat] = urls;
        let destinations = [
            hook("pager", pager, ""),
            hook("feed", feed, "feed = \"findings\"\n"),
            hook("ledger", ledger, "feed = \"verdicts\"\n"),
            hook("keeper", keeper, ""),
            hook("chat", chat, ""),
        ];
        let shared = self.paths.iter().filter(|path| *path != "treasury");
        let shared: String = shared.map(|path| format!("[path.{path}]\n{}\n", self.path)).collect();
        let store = watch.path(self.store);
        std::fs::create_dir_all(store.parent().expect("a directory")).expect("there is room for a directory");
        watch.write(
            "watchfire.toml",
            &format!(
                "store = \"{}\"\nwatchlists = [{lists}]\n\n\
                 [chain.demo]\nid = 31337\nendpoint = \"{endpoint}\"\n{}\n\n\
                 {}{}\n[path.treasury]\n{}\n{shared}[path.self]\n{SELF}",
                self.store,
                self.pace,
                destinations.concat(),
                self.more,
                self.path
            ),
        );
    }

    /// `run` from the first watched block on, left running.
    pub(crate) fn start(&self) -> Process {
        self.start_with(&[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(&self, more: &[&str]) -> Process {
        let first = self.first.to_string();
        self.watch.start(&[&["run", "--from-block", &first], more].concat())
    }

    pub(crate) fn store(&self) -> std::path::PathBuf {
        self.watch.path(self.store)
    }

    // === The chain ===

    /// One block with these transactions.
    pub(crate) async fn mine(&self, txs: &[Tx]) {
        bill_payers::mine(&self.anvil, txs).await;
    }

    /// One block in which clerk `n` robs the till.
    pub(crate) async fn theft(&self, n: usize) {
        let nonce = self.nonce(n).await;
        self.mine(&[bill_payers::theft(n, nonce)]).await;
    }

    /// One block in which clerk `n` pays a shop one ether.
    pub(crate) async fn bill(&self, n: usize) {
        let nonce = self.nonce(n).await;
        self.mine(&[bill_payers::bill(n, bill_payers::SHOPS[0], 1, nonce)]).await;
    }

    /// The number of clerk `n`'s next transaction.
    pub(crate) async fn nonce(&self, n: usize) -> u64 {
        self.anvil.sent_by(bill_payers::clerk(n), self.anvil.block_number().await).await
    }

    /// Hash of the node's newest block.
    pub(crate) async fn head(&self) -> String {
        self.anvil.block("latest").await["hash"].as_str().expect("a hash").to_owned()
    }

    // === Waiting ===

    /// Waits until the program has committed the node's newest block.
    pub(crate) async fn catch_up(&self) {
        let head = self.head().await;
        self.until("the newest block is committed", || {
            stored::progress(&self.store()).is_some_and(|(tip, _)| tip == head)
        })
        .await;
    }

    /// Waits until the program has committed the node's newest block and has nothing left to tell.
    pub(crate) async fn settle(&self) {
        let head = self.head().await;
        self.until("everything is committed and told", || {
            stored::progress(&self.store()).is_some_and(|(tip, waiting)| tip == head && waiting == 0)
        })
        .await;
    }

    /// Gives the program some time to commit the node's newest block, which it may not be able to.
    pub(crate) async fn maybe_catch_up(&self, patience: Duration) {
        let head = self.head().await;
        let wait = async {
            while stored::progress(&self.store()).is_none_or(|(tip, _)| tip != head) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(patience, wait).await;
    }

    /// Waits until `done`; `what` says in the panic what did not come.
    pub(crate) async fn until(&self, what: &str, done: impl Fn() -> bool) {
        let wait = async {
            while !done() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            let log = self.watch.log();
            let tail = &log[log.floor_char_boundary(log.len().saturating_sub(4_000))..];
            panic!("waited in vain until {what}; {:?}; the log ends:\n{tail}", stored::progress(&self.store()));
        }
    }

    // === The comparison ===

    /// The oracle: one calm pass over the chain as it stands, with a store and receivers of its own.
    pub(crate) async fn rescan(&self) -> Stored {
        let calm = Inbox::start().await;
        let watch = self.configured(&self.anvil.ws_url(), &["/a", "/b", "/c", "/d", "/e"].map(|path| calm.url(path)));
        let (first, last) = (self.first.to_string(), self.anvil.block_number().await.to_string());
        let args = ["run", "--from-block", &first, "--until-block", &last];
        let answers = tokio::task::block_in_place(|| watch.run(&args));
        let calm = [0, 1].contains(&answers.code);
        assert!(calm || answers.code == 2 && only_unread(&answers.lines), "{}", answers.stderr);
        Stored::read(&watch.path(self.store))
    }

    /// Everything that was committed and told, against the calm pass, and against what `abnormal` says of the chain: the
    /// hashes of its abnormal transactions. Returns what was committed, and the calm pass, for further comparison.
    pub(crate) async fn check(&self, abnormal: &BTreeSet<String>) -> (Stored, Stored) {
        let (ours, [pager, feed, ledger]) = self.quiet_moment().await;
        let calm = self.rescan().await;
        self.check_store(&ours, &calm, abnormal);
        let canonical: BTreeSet<&str> = calm.blocks.iter().map(|(_, hash, _)| hash.as_str()).collect();
        let expected: Vec<Value> = calm.activities.iter().map(|(_, line)| plain(line)).collect();
        let findings: Vec<&Value> = expected.iter().filter(|line| line["finding_id"].is_string()).collect();

        let feed = fold(&told(feed, &ours, "feed"));
        let same: BTreeMap<&str, &Value> = findings.iter().map(|line| (id(line), *line)).collect();
        assert_eq!(feed.keys().map(String::as_str).collect::<Vec<_>>(), same.keys().copied().collect::<Vec<_>>());
        for (id, line) in &feed {
            assert_eq!(&plain(line), same[id.as_str()], "what the feed was told of {id} last");
        }
        let ledger = told(ledger, &ours, "ledger");
        assert_eq!(fold(&ledger), feed, "both feeds say the same of findings");
        let rest = |line: &&Value| line["type"] == "verdict" && line["finding_id"].is_null();
        let stands = |line: &&Value| canonical.contains(line["block_hash"].as_str().unwrap_or_default());
        let heard: BTreeSet<String> = ledger.iter().filter(rest).filter(stands).map(|l| plain(l).to_string()).collect();
        let expected: BTreeSet<String> = expected.iter().filter(|line| rest(line)).map(Value::to_string).collect();
        assert_eq!(heard, expected, "verdicts without a finding, in blocks that stand");

        check_pages(pager, &ours);
        (ours, calm)
    }

    /// The store, and what pager, feed and ledger heard until then: a moment in which nothing is on its way to them, since the program goes
    /// on while it is looked at.
    pub(crate) async fn quiet_moment(&self) -> (Stored, [Vec<Received>; 3]) {
        let inboxes = [&self.pager, &self.feed, &self.ledger];
        let wait = async {
            loop {
                let heard = inboxes.map(Inbox::received);
                let ours = Stored::read(&self.store());
                let waits = |message: &Message| {
                    let is_ours = ["pager", "feed", "ledger"].contains(&message.destination.as_str());
                    is_ours && ["due", "leased"].contains(&message.state.as_str())
                };
                let is_quiet = heard.each_ref().map(Vec::len) == inboxes.map(Inbox::count);
                if is_quiet && !ours.outbox.values().any(waits) {
                    return (ours, heard);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("a moment without a message on its way")
    }

    pub(crate) fn check_store(&self, ours: &Stored, calm: &Stored, abnormal: &BTreeSet<String>) {
        assert_eq!(ours.blocks, calm.blocks, "the committed chain is the node's, without a gap");
        assert_eq!(ours.blocks.first().map(|block| block.0), Some(self.first));
        assert!(ours.blocks.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1 && pair[1].2 == pair[0].1));
        // A state that could not be read after one block is read after a later one, and known from then on.
        let windows = |stored: &Stored| -> Vec<_> {
            stored.deltas.iter().filter(|delta| !delta.3.starts_with("builtin/state/")).cloned().collect()
        };
        assert_eq!(windows(ours), windows(calm), "what rolling windows hold");
        let lines = |stored: &Stored| -> Vec<Value> {
            stored.activities.iter().filter(|(orphaned, _)| !orphaned).map(|(_, line)| plain(line)).collect()
        };
        let (left, right) = (lines(ours), lines(calm));
        assert_eq!(left.len(), right.len(), "the number of verdicts that stand");
        for (left, right) in left.iter().zip(&right) {
            assert_eq!(left, right);
        }
        let standing = |stored: &Stored| -> BTreeMap<String, [String; 4]> {
            let told = |finding: &Value| {
                ["tx", "rule", "severity", "watch"].map(|key| finding[key].as_str().unwrap_or("?").to_owned())
            };
            let place = |finding: &Value| finding["anchor"]["hash"].as_str().unwrap_or("?").to_owned();
            stored.standing().map(|(id, f)| (format!("{id} in {}", place(f)), told(f))).collect()
        };
        assert_eq!(standing(ours), standing(calm), "findings that stand");
        let txs: BTreeSet<String> = ours.standing().map(|(_, f)| f["tx"].as_str().unwrap_or("?").to_owned()).collect();
        assert_eq!(&txs, abnormal, "findings and what the test knows to be abnormal");
    }

    /// Which transactions of the chain are abnormal, reckoned by hand.
    pub(crate) async fn reckon(&self) -> BTreeSet<String> {
        bill_payers::reckon(&self.anvil, CLERKS, self.first).await
    }
}

/// Returns the name of a stored incident's state.
pub(crate) fn state_name(incident: &Value) -> &str {
    let state = &incident["state"];
    state["resolution"].as_str().or(state["kind"].as_str()).unwrap_or("?")
}

/// Every incident reached its path's pager, and every end of one did.
fn check_pages(pager: Vec<Received>, ours: &Stored) {
    let pages = told_events(pager, ours, "pager");
    let kinds = |incident: &str| -> BTreeSet<&str> {
        let about = pages.iter().filter(|event| event["subject"] == incident);
        about.filter_map(|event| event["type"].as_str()?.split('.').nth(2)).collect()
    };
    let mut live: BTreeSet<&str> = BTreeSet::new();
    // Not to see is an incident too. It comes and goes with the line, which is not what is compared here.
    let dark = |incident: &Value| incident["origin"]["outage"].is_object();
    // What a path holds back stands in the incident of its storm.
    let held: BTreeSet<&str> = ours
        .incidents
        .values()
        .flat_map(|incident| incident["origin"]["storm"]["held"].as_array().into_iter().flatten())
        .filter_map(|held| held["incident"].as_str())
        .collect();
    let own = |incident: &Value| !dark(incident) && incident["origin"]["kind"] != "storm";
    for (id, incident) in ours.incidents.iter().filter(|(_, incident)| own(incident)) {
        let (state, kinds) = (state_name(incident), kinds(id));
        match state {
            "open" => {
                let told = kinds.contains("trigger") || held.contains(id.as_str());
                assert!(told, "{id} was never told: {incident:#}");
                assert!(
                    live.insert(incident["origin"]["watch"]["address"].as_str().unwrap_or("?")),
                    "one incident for each watch"
                );
            }
            "false-alarm" => {
                let why = &incident["state"]["cause"]["itself"];
                assert_eq!((why, &incident["standing"]), (&"reorg".into(), &0.into()));
                // A page that was still waiting was not worth sending any more; then its end is told alone.
                assert!(kinds.contains("retract") && kinds.contains("resolve"), "{id} heard {kinds:?}");
            }
            other => panic!("{id} is {other}, and nobody answered"),
        }
    }
    let standing: BTreeSet<&str> = ours.standing().filter_map(|(_, finding)| finding["watch"].as_str()).collect();
    assert_eq!(live, standing, "watches with findings that stand, and watches with an open incident");
    let mut rounds = BTreeSet::new();
    for event in pages.iter().filter(|event| event["type"] == "watchfire.incident.trigger.v1") {
        let round = ["incident", "cycle", "step"].map(|key| event["data"][key].to_string());
        assert!(rounds.insert(round.clone()), "{round:?} was paged twice");
    }
}

/// The events one receiver heard, repetitions dropped by their id, in order of first arrival. Checks the wire on the way: each
/// request is signed, each id has one body, and what came is what the outbox says was sent.
pub(crate) fn told_events(heard: Vec<Received>, ours: &Stored, destination: &str) -> Vec<Value> {
    let mut bodies: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut events = Vec::new();
    for received in heard {
        assert!(is_signed(&received), "a request with a wrong signature: {received:?}");
        let event = received.json();
        assert_eq!(event["id"], received.id());
        match bodies.get(received.id()) {
            Some(body) => assert!(*body == received.body, "{} came with two bodies", received.id()),
            None => {
                bodies.insert(received.id().to_owned(), received.body);
                events.push(event);
            }
        }
    }
    for (key, message) in ours.messages(destination) {
        match message.state.as_str() {
            "sent" => assert!(bodies.contains_key(key), "{key} is said to be sent to {destination}: {message:?}"),
            "superseded" => {
                let news = newer_word(ours, message);
                assert!(news.is_some(), "{key} was given up for nothing newer: {message:?}");
            }
            state => panic!("{key} to {destination} is {state}"),
        }
    }
    for event in &events {
        let committed = event["id"].as_str().is_some_and(|id| ours.outbox.contains_key(id));
        assert!(committed, "{destination} heard what was never committed: {event:#}");
    }
    events
}

/// The message for which `given_up` was not sent. An update that waits makes room for the next update or page of its incident; a page
/// that waits, for the end of its incident. Whatever is given up, the newest word about an incident is sent.
fn newer_word<'a>(ours: &'a Stored, given_up: &Message) -> Option<&'a Message> {
    let successors: &[&str] = match given_up.kind.as_str() {
        "update" => &["update", "trigger"],
        "trigger" => &["retract", "resolve"],
        _ => return None,
    };
    let same = |other: &&Message| other.incident == given_up.incident && other.destination == given_up.destination;
    let about: Vec<&Message> = ours.outbox.values().filter(same).collect();
    let newest = about.iter().max_by_key(|message| message.seq)?;
    let fits = |other: &&Message| other.seq > given_up.seq && successors.contains(&other.kind.as_str());
    (newest.state == "sent").then(|| about.iter().copied().find(fits)).flatten()
}

/// The lines one listener of the feed heard.
pub(crate) fn told(heard: Vec<Received>, ours: &Stored, destination: &str) -> Vec<Value> {
    told_events(heard, ours, destination).into_iter().map(|mut event| event["data"].take()).collect()
}

/// What a listener believes to stand: the last revision of each finding, without those that were taken back.
pub(crate) fn fold(lines: &[Value]) -> BTreeMap<String, Value> {
    let mut last: BTreeMap<String, Value> = BTreeMap::new();
    let mut told = BTreeSet::new();
    for line in lines.iter().filter(|line| line["finding_id"].is_string()) {
        let revision = |line: &Value| line["revision"].as_u64().unwrap_or(0);
        assert!(told.insert((id(line).to_owned(), revision(line))), "{} is told twice", id(line));
        let known = last.get(id(line)).map_or(0, revision);
        assert!(revision(line) > known, "revisions of {} come in order", id(line));
        last.insert(id(line).to_owned(), line.clone());
    }
    last.retain(|_, line| line["type"] == "verdict");
    last
}

fn id(line: &Value) -> &str {
    line["finding_id"].as_str().expect("a finding")
}

/// A verdict without what depends on the way it was come by: how often it was told, and which incident it joined.
pub(crate) fn plain(line: &Value) -> Value {
    // A webhook sets a space behind the `@` of a set, so that no chat behind it takes the name for a mention.
    let mut line: Value = serde_json::from_str(&line.to_string().replace("@ ", "@")).expect("JSON");
    if let Some(fields) = line.as_object_mut() {
        fields.remove("revision");
        fields.remove("incident_id");
    }
    line
}

fn is_signed(received: &Received) -> bool {
    let key = BASE64.decode(SECRET.trim_start_matches("whsec_")).expect("base64");
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).expect("a key");
    mac.update(format!("{}.{}.", received.id(), received.header("webhook-timestamp").unwrap_or_default()).as_bytes());
    mac.update(&received.body);
    received.header("webhook-signature") == Some(&format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
}

/// Whether what was not seen is state or traces alone, and there is some of it. A node that was killed, started again and taken back
/// may prove another state of a block than the one its header has, or trace another block than the one it was asked about; it is not
/// believed, and that is said.
pub(crate) fn only_unread(told: &[Value]) -> bool {
    let is_over = |begun: &Value| {
        let same = |line: &Value| ["kind", "since", "endpoint"].iter().all(|key| line[*key] == begun[*key]);
        told.iter().any(|line| same(line) && line["until"].is_string())
    };
    let blind = told.iter().filter(|line| line["type"] == "blindness");
    let mut standing = blind.filter(|line| !line["until"].is_string() && !is_over(line)).peekable();
    standing.peek().is_some() && standing.all(|line| line["kind"] == "state-unread" || line["kind"] == "ability-lost")
}
