//! Answers of a played tape, limited to visible data on the tape.

use super::faults::{FaultKind, Faults};
use crate::model::ChainId;
use crate::model::read::{Answer, ROLE_GRANTED, Read, parse_role_members};
use crate::source::RawPair;
use crate::source::trace::{RawTraces, TraceMethod};
use crate::tape::{Script, Stretch, TapeBlock};
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io;

/// An error of JSON-RPC: code and message.
pub(super) type Refusal = (i64, String);

/// Content of the tape, and the part of it that each scene shows.
pub(super) struct Shelf {
    chain: ChainId,
    blocks: Vec<Shelved>,
    by_hash: HashMap<B256, usize>,
    /// Transactions by hash. A transaction may be in several blocks, of which one is on the chain.
    by_tx: HashMap<B256, Vec<(usize, usize)>>,
    /// States before the first scene and after each scene.
    views: Vec<View>,
}

/// State known to the node at some moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct View {
    /// Number of blocks of the stretch that have appeared.
    n_come: usize,
    head: Option<usize>,
    safe: Option<usize>,
    finalized: Option<usize>,
}

/// Block in every form in which it is requested.
struct Shelved {
    number: u64,
    hash: B256,
    parent: Option<usize>,
    /// Newest block of the previous stretch, if a stretch begins with this block.
    earlier: Option<usize>,
    /// Position in the stretch at which the block first came.
    came: usize,
    n_txs: usize,
    raw: RawPair,
    /// Block with the hashes of its transactions.
    brief: Box<RawValue>,
    /// Block without transactions, in the form of a subscription.
    header: Box<RawValue>,
    receipts: Vec<Box<RawValue>>,
    reads: HashMap<Read, Answer>,
    traces: Option<RawTraces>,
}

impl Shelf {
    pub(super) fn new(chain: ChainId, stretch: Stretch, script: &Script) -> io::Result<Self> {
        let mut shelf = Self {
            chain,
            blocks: Vec::with_capacity(stretch.blocks.len()),
            by_hash: HashMap::new(),
            by_tx: HashMap::new(),
            views: vec![View::default()],
        };
        for (came, block) in stretch.blocks.into_iter().enumerate() {
            shelf.add_block(came, block)?;
        }
        for scene in &script.scenes {
            let mut view = shelf.views.last().copied().unwrap_or_default();
            shelf.begin_stretch(scene.blocks.clone(), view.head);
            view.n_come = scene.blocks.end;
            view.head = scene.head.and_then(|head| shelf.by_hash.get(&head.hash).copied());
            for (level, at) in &scene.promote {
                // A block from before the tape cannot be shown, so the tag cannot be shown either.
                let place = shelf.by_hash.get(&at.hash).copied();
                match level {
                    crate::model::Finality::Included => {}
                    crate::model::Finality::Safe => view.safe = place,
                    crate::model::Finality::Finalized => view.finalized = place,
                }
            }
            shelf.views.push(view);
        }
        Ok(shelf)
    }

    /// Connects blocks without a parent on the tape to the newest block before them, so that every stretch can be
    /// queried.
    fn begin_stretch(&mut self, came: std::ops::Range<usize>, head: Option<usize>) {
        let Some((head, number)) = head.and_then(|head| Some((head, self.block_at(head)?.number))) else { return };
        let orphans = self.blocks.iter_mut().filter(|block| came.contains(&block.came) && block.parent.is_none());
        orphans.filter(|block| block.number > number).for_each(|block| block.earlier = Some(head));
    }

    /// Adds a block to the indices. A block that left the chain and returned is already there.
    fn add_block(&mut self, came: usize, block: TapeBlock) -> io::Result<()> {
        if let Some(there) = self.by_hash.get(&block.block.at.hash).and_then(|place| self.blocks.get_mut(*place)) {
            there.reads.extend(block.reads);
            there.traces = there.traces.take().or(block.traces);
            return Ok(());
        }
        let place = self.blocks.len();
        self.by_hash.insert(block.block.at.hash, place);
        for (index, tx) in block.block.txs.iter().enumerate() {
            self.by_tx.entry(tx.hash).or_default().push((place, index));
        }
        let parent = self.by_hash.get(&block.block.parent).copied().filter(|parent| *parent != place);
        self.blocks.push(Shelved::new(came, parent, block)?);
        Ok(())
    }

    /// Returns the state known after `n_scenes` scenes to a node that is `lag` blocks behind, preceded by the number of
    /// scenes that corresponds to it.
    pub(super) fn view_at(&self, n_scenes: usize, lag: u64) -> (usize, View) {
        let here = n_scenes.min(self.views.len().saturating_sub(1));
        let view = |place: usize| self.views.get(place).copied().unwrap_or_default();
        let Some(number) = self.newest_number(&view(here)).filter(|_| lag > 0) else { return (here, view(here)) };
        let behind =
            |place: &usize| self.newest_number(&view(*place)).is_none_or(|it| it <= number.saturating_sub(lag));
        let place = (0..=here).rev().find(behind).unwrap_or(0);
        (place, view(place))
    }

    /// Returns the number of the newest block.
    pub(super) fn newest_number(&self, view: &View) -> Option<u64> {
        self.block_at(view.head?).map(|block| block.number)
    }

    /// Returns the notifications of a subscription after the scenes from `told` up to `now` have been shown: each new
    /// head, and the old head that a rollback returns to.
    pub(super) fn subscription_news(&self, told: usize, now: usize) -> Vec<&RawValue> {
        let mut news = Vec::new();
        for pair in self.views.get(told..=now).unwrap_or_default().windows(2) {
            let [before, after] = pair else { continue };
            let came: Vec<_> = self.canonical_chain(after).take_while(|block| block.came >= before.n_come).collect();
            match (came.is_empty(), before.head == after.head) {
                (true, false) => news.extend(after.head.and_then(|head| self.block_at(head))),
                _ => news.extend(came.into_iter().rev()),
            }
        }
        news.into_iter().map(|block| &*block.header).collect()
    }

    /// Answers one request.
    pub(super) fn answer_request(
        &self,
        view: &View,
        faults: &Faults,
        method: &str,
        params: &[Value],
    ) -> Result<Box<RawValue>, Refusal> {
        let null = || RawValue::NULL.to_owned();
        let param = |n: usize| params.get(n).unwrap_or(&Value::Null);
        let spoilt = |kind, block: &Shelved| faults.should_corrupt(kind, block.number, method);
        // A fault can hide a block, which is then treated as absent.
        let found = |name: &Value| {
            let found = self.find_block(view, name)?;
            Ok::<_, Refusal>(found.filter(|block| !spoilt(FaultKind::Null, block)))
        };
        match method {
            "eth_chainId" => Ok(to_raw_json(&format!("{:#x}", self.chain.0))),
            "net_version" => Ok(to_raw_json(&self.chain.0.to_string())),
            "web3_clientVersion" => Ok(to_raw_json(&concat!("watchfire-tape/", env!("CARGO_PKG_VERSION")))),
            "eth_syncing" => Ok(to_raw_json(&false)),
            "eth_blockNumber" => Ok(to_raw_json(&format!("{:#x}", self.newest_number(view).unwrap_or(0)))),
            "eth_getBlockByHash" | "eth_getBlockByNumber" => {
                let whole = param(1).as_bool().unwrap_or(false);
                let shape = |block: &Shelved| if whole { block.raw.block.clone() } else { block.brief.clone() };
                Ok(found(param(0))?.map_or_else(null, shape))
            }
            "eth_getBlockReceipts" => match found(param(0))? {
                Some(block) if spoilt(FaultKind::EmptyReceipts, block) => Ok(to_raw_json::<[u8]>(&[])),
                Some(block) if spoilt(FaultKind::DropLog, block) => Ok(without_last_log(&block.raw.receipts)),
                Some(block) => Ok(block.raw.receipts.clone()),
                None => Ok(null()),
            },
            "eth_getTransactionReceipt" => {
                let receipt = self.including_block(view, &parse_param(param(0))?);
                let receipt = receipt.filter(|(block, _)| !spoilt(FaultKind::Null, block));
                Ok(receipt.and_then(|(block, index)| block.receipts.get(index).cloned()).unwrap_or_else(null))
            }
            "eth_call" => self.answer_call(view, param(0), param(1)),
            "eth_getStorageAt" => {
                let slot: U256 = parse_param(param(1))?;
                let read = Read::Storage { of: parse_param(param(0))?, slot: slot.into() };
                self.answer_state(view, &read, param(2))
            }
            "eth_getCode" => self.answer_state(view, &Read::Code(parse_param(param(0))?), param(1)),
            "eth_getTransactionCount" => self.answer_state(view, &Read::Nonce(parse_param(param(0))?), param(1)),
            "eth_getBalance" => self.answer_state(view, &Read::Balance(parse_param(param(0))?), param(1)),
            "eth_getLogs" => self.answer_role_logs(view, param(0)),
            "debug_traceBlockByHash" | "debug_traceBlockByNumber" => {
                only_call_tracer(param(1))?;
                self.answer_traces(found(param(0))?, TraceMethod::CallTracer)
            }
            "trace_block" => self.answer_traces(found(param(0))?, TraceMethod::TraceBlock),
            "debug_traceTransaction" => {
                only_call_tracer(param(1))?;
                let (block, index) = self
                    .including_block(view, &parse_param(param(0))?)
                    .ok_or((-32000, "transaction not found".to_owned()))?;
                let each = block.traces.as_ref().and_then(RawTraces::by_tx);
                each.and_then(|mut each| (index < each.len()).then(|| each.swap_remove(index)))
                    .ok_or_else(traces_not_recorded)
            }
            _ => Err((-32601, format!("the method {method} does not exist on a tape"))),
        }
    }

    fn answer_call(&self, view: &View, call: &Value, at: &Value) -> Result<Box<RawValue>, Refusal> {
        #[derive(Deserialize)]
        struct Call {
            to: Address,
            #[serde(alias = "input")]
            data: Bytes,
        }
        let Call { to, data } = parse_param(call)?;
        let block = self.find_block(view, at)?;
        let after = block.and_then(|block| block.reads.get(&Read::Call { to, data: data.clone() }));
        // The state after a block, or the state before the next block, whose parent may be older than the tape.
        let named = || at.get("blockHash").and_then(Value::as_str).and_then(|hash| hash.parse().ok());
        let before = || {
            let read = Read::Before { parent: block.map(|block| block.hash).or_else(named)?, to, data };
            self.blocks.iter().find_map(|next| next.reads.get(&read))
        };
        match after.or_else(before) {
            None if block.is_none() => Err((-32000, "header not found".to_owned())),
            Some(Answer::Data(data)) => Ok(to_raw_json(data)),
            Some(Answer::Reverted) => Err((3, "execution reverted".to_owned())),
            _ => Err(read_not_recorded()),
        }
    }

    /// State at a block: 32 bytes of storage, code, or a quantity.
    fn answer_state(&self, view: &View, read: &Read, at: &Value) -> Result<Box<RawValue>, Refusal> {
        let block = self.find_block(view, at)?.ok_or((-32000, "header not found".to_owned()))?;
        match (read, block.reads.get(read)) {
            (Read::Nonce(_) | Read::Balance(_), Some(answer)) => {
                answer.as_number().map(|number| to_raw_json(&number)).ok_or_else(read_not_recorded)
            }
            (_, Some(Answer::Data(data))) => Ok(to_raw_json(data)),
            _ => Err(read_not_recorded()),
        }
    }

    /// Returns the recorded holders of roles, as logs that grant those roles. No other logs are on the tape.
    fn answer_role_logs(&self, view: &View, filter: &Value) -> Result<Box<RawValue>, Refusal> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Filter {
            address: Address,
            from_block: U256,
            to_block: Value,
        }
        let Filter { address, from_block, to_block } = parse_param(filter)?;
        let block = self.find_block(view, &to_block)?.ok_or((-32000, "header not found".to_owned()))?;
        let read = Read::Grants { by: address, since: from_block.saturating_to() };
        let Some(Answer::Data(data)) = block.reads.get(&read) else { return Err(read_not_recorded()) };
        let log = |(n, (role, who)): (usize, (B256, Address))| {
            json!({
                "address": address, "topics": [ROLE_GRANTED, role, who.into_word(), B256::ZERO], "data": "0x",
                "blockNumber": format!("{:#x}", block.number), "logIndex": format!("{n:#x}"), "blockHash": block.hash,
            })
        };
        Ok(to_raw_json(&parse_role_members(data).enumerate().map(log).collect::<Vec<_>>()))
    }

    fn answer_traces(&self, block: Option<&Shelved>, method: TraceMethod) -> Result<Box<RawValue>, Refusal> {
        let block = block.ok_or((-32000, "block not found".to_owned()))?;
        match &block.traces {
            Some(traces) if traces.method == method => Ok(traces.answer.clone()),
            // A recorder requests no traces for a block without transactions.
            None if block.n_txs == 0 && self.has_traces(method) => Ok(to_raw_json::<[u8]>(&[])),
            _ if !self.has_traces(method) => Err((-32601, format!("{} is not on this tape", method.name()))),
            _ => Err(traces_not_recorded()),
        }
    }

    fn has_traces(&self, method: TraceMethod) -> bool {
        self.blocks.iter().any(|block| block.traces.as_ref().is_some_and(|traces| traces.method == method))
    }

    /// The visible block that a hash, a number, a tag or `{"blockHash": …}` names.
    fn find_block(&self, view: &View, name: &Value) -> Result<Option<&Shelved>, Refusal> {
        let canonical = name.get("requireCanonical").and_then(Value::as_bool).unwrap_or(false);
        let text = match name {
            Value::Object(name) => name.get("blockHash").or_else(|| name.get("blockNumber")).and_then(Value::as_str),
            name => name.as_str(),
        };
        let Some(text) = text else { return Err((-32602, "which block?".to_owned())) };
        if text.len() == 66 {
            let hash: B256 = text.parse().map_err(|_| (-32602, "not a hash".to_owned()))?;
            // Nodes still know a block that left the chain.
            let block = self.by_hash.get(&hash).and_then(|place| self.block_at(*place));
            let block = block.filter(|block| block.came < view.n_come);
            return Ok(block.filter(|block| !canonical || self.is_canonical(view, block)));
        }
        let tagged = |place: Option<usize>| {
            // geth's error message while no block is final yet.
            place.and_then(|place| self.block_at(place)).ok_or((-32000, format!("{text} block not found"))).map(Some)
        };
        Ok(match text {
            "latest" | "pending" => self.canonical_chain(view).next(),
            "safe" => tagged(view.safe)?,
            "finalized" => tagged(view.finalized)?,
            "earliest" => self.canonical_chain(view).last(),
            number => {
                let digits = number.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
                let number = digits.ok_or((-32602, "not a number in hex".to_owned()))?;
                self.canonical_chain(view).find(|block| block.number <= number).filter(|block| block.number == number)
            }
        })
    }

    /// Returns the block of the chain that includes a transaction, and the index of the transaction in it.
    fn including_block(&self, view: &View, tx: &B256) -> Option<(&Shelved, usize)> {
        let places = self.by_tx.get(tx)?.iter().filter_map(|(place, index)| Some((self.block_at(*place)?, *index)));
        places.into_iter().find(|(block, _)| block.came < view.n_come && self.is_canonical(view, block))
    }

    fn is_canonical(&self, view: &View, block: &Shelved) -> bool {
        let there = self.canonical_chain(view).find(|it| it.number <= block.number);
        there.is_some_and(|there| there.hash == block.hash)
    }

    /// Returns the blocks of the current chain, newest first.
    fn canonical_chain<'a>(&'a self, view: &View) -> impl Iterator<Item = &'a Shelved> {
        let head = view.head.and_then(|head| self.block_at(head));
        std::iter::successors(head, |block| {
            // Block numbers must decrease at each step, so that no tape, even an invalid one, causes an endless loop.
            self.block_at(block.parent.or(block.earlier)?).filter(|parent| parent.number < block.number)
        })
    }

    fn block_at(&self, place: usize) -> Option<&Shelved> {
        self.blocks.get(place)
    }
}

impl Shelved {
    fn new(came: usize, parent: Option<usize>, block: TapeBlock) -> io::Result<Self> {
        let raw_pair = block.raw.ok_or_else(|| io::Error::other("the text of a block was not kept"))?;
        let mut fields: BTreeMap<&str, &RawValue> = serde_json::from_str(raw_pair.block.get())?;
        let hashes = to_raw_value(&block.block.txs.iter().map(|tx| tx.hash).collect::<Vec<_>>())?;
        fields.insert("transactions", &hashes);
        let brief = to_raw_value(&fields)?;
        for unheard in ["transactions", "uncles", "withdrawals", "size"] {
            fields.remove(unheard);
        }
        Ok(Self {
            number: block.block.at.number,
            hash: block.block.at.hash,
            parent,
            earlier: None,
            came,
            n_txs: block.block.txs.len(),
            brief,
            header: to_raw_value(&fields)?,
            receipts: serde_json::from_str(raw_pair.receipts.get())?,
            reads: block.reads.into_iter().collect(),
            traces: block.traces,
            raw: raw_pair,
        })
    }
}

/// Rejects other tracers: the tape contains only the results of this one.
fn only_call_tracer(options: &Value) -> Result<(), Refusal> {
    match options.get("tracer").and_then(Value::as_str) {
        Some("callTracer") => Ok(()),
        _ => Err((-32602, "a tape has what callTracer found, and nothing of other tracers".to_owned())),
    }
}

fn read_not_recorded() -> Refusal {
    (-32000, "this read is not on the tape".to_owned())
}

fn traces_not_recorded() -> Refusal {
    (-32000, "its traces are not on the tape".to_owned())
}

/// Returns the receipts without the last log. Receipts without logs are returned unchanged.
fn without_last_log(receipts: &RawValue) -> Box<RawValue> {
    let Ok(mut list) = serde_json::from_str::<Vec<Value>>(receipts.get()) else { return receipts.to_owned() };
    let logs = list.iter_mut().rev().filter_map(|receipt| receipt.get_mut("logs")?.as_array_mut());
    if let Some(logs) = logs.into_iter().find(|logs| !logs.is_empty()) {
        logs.pop();
    }
    to_raw_json(&list)
}

fn parse_param<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, Refusal> {
    T::deserialize(value).map_err(|_| (-32602, "invalid parameters".to_owned()))
}

/// Serializes a value. Strings, numbers and byte strings always become JSON; on a failure the result is `null`.
pub(super) fn to_raw_json<T: serde::Serialize + ?Sized>(value: &T) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
