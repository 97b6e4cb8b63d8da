//! Blocks that no chain here made, judged by a configuration of strings.
//!
//! In: transactions as a node would tell them. Out: verdicts, one line each. What a node would answer to a read is said
//! beforehand; everything else it cannot say.

use crate::support::abi::{IMultiSend, ISafe, IToken};
use crate::support::accounts::Account;
use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use alloy_sol_types::{SolCall, SolEvent, SolValue};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::path::Path;
use watchfire::classify::History;
use watchfire::escalate::{StepJudged, step_change_set};
use watchfire::model::incident::{ChangeSet, OpenState};
use watchfire::model::read::{Answer, Answers, Read};
use watchfire::model::{Block, BlockRef, Judged, JudgedBlock, TxTrace, Verdict};
use watchfire::pipeline::{Reader, examine_block};
use watchfire::settings::Secrets;
use watchfire::watchlist::{Config, Memory, compile_config};
use watchfire::wire;

/// Friday, 2026-11-20T10:00:00Z.
pub(crate) const FRIDAY: u64 = 1_795_168_800;

pub(crate) const SAFE: Address = address!("5AfE000000000000000000000000000000000001");
pub(crate) const CHILD: Address = address!("5aFE000000000000000000000000000000000002");
pub(crate) const MULTISIG: Address = address!("5151000000000000000000000000000000000003");
pub(crate) const TOKEN: Address = address!("7070000000000000000000000000000000000004");
pub(crate) const MINIME: Address = address!("7171000000000000000000000000000000000005");
pub(crate) const COIN: Address = address!("C01C000000000000000000000000000000000007");
pub(crate) const MODULE: Address = address!("3030000000000000000000000000000000000008");
/// A contract of the attacker's that does and logs whatever it likes.
pub(crate) const FAKE: Address = address!("Fa6e000000000000000000000000000000000009");
pub(crate) const EVIL: Address = address!("e1E1e1E1e1e1e1E1e1E1e1E1E1e1E1e1E1E1E10A");
/// A token that the configuration does not know.
pub(crate) const OTHER_TOKEN: Address = address!("ee0000000000000000000000000000000000000b");

pub(crate) const MULTI_SEND_1_3_0: Address = address!("A238CBeb142c10Ef7Ad8442C6D1f9E89e07e7761");
pub(crate) const MULTI_SEND_1_4_1: Address = address!("38869bf66a61cF6bDB996A6aE40D5853Fd43B526");
pub(crate) const MULTI_SEND_1_5_0: Address = address!("218543288004CD07832472D464648173c77D7eB7");
pub(crate) const CALL_ONLY_1_4_1: Address = address!("9641d764fc13c8B624c04430C7356C1C7C8102e2");

/// One transaction with its receipt.
#[derive(Clone, Debug)]
pub(crate) struct Tx {
    pub(crate) from: Address,
    pub(crate) to: Option<Address>,
    pub(crate) value: U256,
    pub(crate) input: Bytes,
    pub(crate) logs: Vec<Log>,
    pub(crate) holds: bool,
    pub(crate) authorizations: Vec<Value>,
}

/// One log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) address: Address,
    pub(crate) topics: Vec<B256>,
    pub(crate) data: Bytes,
}

impl Tx {
    pub(crate) fn call(from: Address, to: Address, input: impl Into<Bytes>) -> Self {
        Self {
            from,
            to: Some(to),
            value: U256::ZERO,
            input: input.into(),
            logs: vec![],
            holds: true,
            authorizations: vec![],
        }
    }

    /// A contract creation.
    pub(crate) fn create(from: Address, code: impl Into<Bytes>) -> Self {
        Self { to: None, ..Self::call(from, Address::ZERO, code) }
    }

    pub(crate) fn value(self, wei: impl TryInto<U256>) -> Self {
        Self { value: wei.try_into().ok().expect("fits"), ..self }
    }

    pub(crate) fn log(mut self, log: Log) -> Self {
        self.logs.push(log);
        self
    }

    pub(crate) fn reverted(self) -> Self {
        Self { holds: false, ..self }
    }

    /// With an EIP-7702 authorization that `signer` gave.
    pub(crate) fn authorized(mut self, signer: Account, chain: u64, delegate: Address, nonce: u64) -> Self {
        let signature = signer.sign(authorization_hash(chain, delegate, nonce));
        self.authorizations.push(json!({
            "chainId": format!("{chain:#x}"),
            "address": delegate,
            "nonce": format!("{nonce:#x}"),
            "yParity": format!("{:#x}", signature[64] - 27),
            "r": U256::from_be_slice(&signature[..32]),
            "s": U256::from_be_slice(&signature[32..64]),
        }));
        self
    }

    fn hash(&self, index: usize) -> B256 {
        keccak256([&index.to_be_bytes()[..], &self.input, self.from.as_slice()].concat())
    }
}

/// `keccak(0x05 || rlp([chain, address, nonce]))` for a chain id below 2^16 and a nonce below 128.
fn authorization_hash(chain: u64, delegate: Address, nonce: u64) -> B256 {
    let number = |n: u64| match n {
        0 => vec![0x80],
        1..=0x7f => vec![n as u8],
        0x80..=0xff => vec![0x81, n as u8],
        _ => vec![0x82, (n >> 8) as u8, n as u8],
    };
    let list = [number(chain), [&[0x94], delegate.as_slice()].concat(), number(nonce)].concat();
    keccak256([vec![0x05, 0xc0 + list.len() as u8], list].concat())
}

/// The block and its receipts as a node writes them.
pub(crate) fn wire(number: u64, time: u64, txs: &[Tx]) -> (String, String) {
    let hash = keccak256(number.to_be_bytes());
    let parent = keccak256((number - 1).to_be_bytes());
    let mut log_index = 0;
    let mut receipts = Vec::new();
    let mut transactions = Vec::new();
    for (index, tx) in txs.iter().enumerate() {
        let tx_hash = tx.hash(index);
        let mut transaction = json!({
            "hash": tx_hash, "transactionIndex": format!("{index:#x}"), "from": tx.from, "to": tx.to,
            "value": tx.value, "input": tx.input, "nonce": "0x0",
            "type": if tx.authorizations.is_empty() { "0x2" } else { "0x4" },
        });
        if !tx.authorizations.is_empty() {
            transaction["authorizationList"] = json!(tx.authorizations);
        }
        transactions.push(transaction);
        let logs: Vec<Value> = tx
            .logs
            .iter()
            .map(|log| {
                log_index += 1;
                json!({
                    "address": log.address, "topics": log.topics, "data": log.data, "blockHash": hash,
                    "transactionHash": tx_hash, "transactionIndex": format!("{index:#x}"),
                    "logIndex": format!("{:#x}", log_index - 1), "removed": false,
                })
            })
            .collect();
        receipts.push(json!({
            "transactionHash": tx_hash, "transactionIndex": format!("{index:#x}"), "blockHash": hash,
            "status": if tx.holds { "0x1" } else { "0x0" }, "logs": logs, "contractAddress": null,
        }));
    }
    let block = json!({
        "number": format!("{number:#x}"), "hash": hash, "parentHash": parent,
        "timestamp": format!("{time:#x}"), "transactions": transactions,
    });
    (block.to_string(), Value::Array(receipts).to_string())
}

/// A configuration, what a node would answer, and the windows so far.
pub(crate) struct Court {
    pub(crate) book: Config,
    answers: Answers,
    pub(crate) history: History,
    pub(crate) time: u64,
    number: u64,
}

/// Answers what was said beforehand; the rest cannot be told.
struct Told<'a>(&'a Answers);

impl Reader for Told<'_> {
    fn read<'a>(&'a self, _: BlockRef, reads: &'a [Read]) -> BoxFuture<'a, Vec<Answer>> {
        let answers = reads.iter().map(|read| self.0.get(read).cloned().unwrap_or_else(|| unknown(read))).collect();
        Box::pin(std::future::ready(answers))
    }
}

/// No contract here keeps balances or allowances; everything else the node cannot say.
fn unknown(read: &Read) -> Answer {
    let of_token = ["balanceOf(address)", "balanceOf(address,uint256)", "allowance(address,address)"];
    let asks = |data: &[u8]| of_token.iter().any(|view| data.starts_with(&keccak256(view)[..4]));
    match read {
        Read::Call { data, .. } | Read::Before { data, .. } if asks(data) => Answer::Reverted,
        _ => Answer::Unavailable,
    }
}

impl Court {
    /// Judges by this watchlist, on a chain called `demo` and with a path called `duty`.
    pub(crate) fn new(watchlist: &str) -> Self {
        Self::with(watchlist, &[])
    }

    /// The same with further files beside it.
    pub(crate) fn with(watchlist: &str, files: &[(&str, &str)]) -> Self {
        let main = "store = \"w.db\"\nwatchlists = [\"w.toml\"]\n\
            [chain.demo]\nid = 31337\nendpoint = \"ws://127.0.0.1:8545\"\nclock = \"chain\"\n\
            [destination.screen]\nkind = \"terminal\"\n\
            [path.self]\nsteps = [{ to = [\"screen\"], ack_within = \"5m\" }]\n\
            [path.duty]\npage_at = \"info\"\nsteps = [{ to = [\"screen\"], ack_within = \"5m\" }]\n";
        let files = [("main.toml", main), ("w.toml", watchlist)].into_iter().chain(files.iter().copied());
        let book = compile_config(Path::new("main.toml"), &Memory::new(files), Secrets::NamesOnly)
            .unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        Self { book, answers: Answers::new(), history: History::default(), time: FRIDAY, number: 1 }
    }

    /// The node answers `data` at `to` with `answer`.
    pub(crate) fn knows(mut self, to: Address, data: impl Into<Bytes>, answer: impl Into<Bytes>) -> Self {
        self.answers.insert(Read::Call { to, data: data.into() }, Answer::Data(answer.into()));
        self
    }

    /// The node says that this code stands at `address`.
    pub(crate) fn stands_at(mut self, address: Address, code: impl Into<Bytes>) -> Self {
        self.answers.insert(Read::Code(address), Answer::Data(code.into()));
        self
    }

    /// The Safe's nonce and threshold at the block's end.
    pub(crate) fn safe_at(self, safe: Address, nonce: u64, threshold: u64) -> Self {
        self.knows(safe, ISafe::nonceCall {}.abi_encode(), U256::from(nonce).abi_encode()).knows(
            safe,
            ISafe::getThresholdCall {}.abi_encode(),
            U256::from(threshold).abi_encode(),
        )
    }

    pub(crate) fn at(mut self, time: u64) -> Self {
        self.time = time;
        self
    }

    pub(crate) fn examine(&self, block: &Block) -> JudgedBlock {
        let chain = &self.book.chains[0];
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(examine_block(block, chain, &self.book, &self.history, &Told(&self.answers))).judged
    }

    /// The same where the node says what ran inside of the block's transactions, in their order.
    pub(crate) fn examine_traced(&self, block: &Block, traces: Vec<TxTrace>) -> JudgedBlock {
        let chain = &self.book.chains[0];
        let mut answers = self.answers.clone();
        answers.insert(Read::Traces, Answer::Traces(traces.into()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(examine_block(block, chain, &self.book, &self.history, &Told(&answers))).judged
    }

    pub(crate) fn judge(&self, txs: &[Tx]) -> Vec<Judged> {
        let (block, receipts) = wire(self.number, self.time, txs);
        let block = wire::parse_block(&block, &receipts).unwrap_or_else(|why| panic!("{why}"));
        self.examine(&block).judged
    }

    /// One line for each activity, see [`Evaluator::line`].
    pub(crate) fn told(&self, txs: &[Tx]) -> Vec<String> {
        self.judge(txs).iter().map(|judged| self.line(judged)).collect()
    }

    /// Judges a block, and adds it to the windows as a block that stands.
    pub(crate) fn stands(&mut self, txs: &[Tx]) -> Vec<String> {
        let (block, receipts) = wire(self.number, self.time, txs);
        let block = wire::parse_block(&block, &receipts).unwrap_or_else(|why| panic!("{why}"));
        let judged = self.examine(&block);
        for delta in &judged.deltas {
            self.history.add(block.at.hash, block.time, delta);
        }
        self.number += 1;
        judged.judged.iter().map(|judged| self.line(judged)).collect()
    }

    /// Takes back the block that stood last.
    pub(crate) fn falls(&mut self) {
        self.number -= 1;
        self.history.rewind_block(keccak256(self.number.to_be_bytes()));
    }

    /// What the engine makes of a judged block, with nothing before it.
    pub(crate) fn plan(&self, judged: &JudgedBlock) -> ChangeSet {
        let chain = &self.book.chains[0].info;
        let step = StepJudged { chain, retract: &[], blocks: std::slice::from_ref(judged) };
        step_change_set(&step, &OpenState::default(), &self.book.roster, self.time * 1000)
    }

    /// `Treasury act transfer: normal by grants`, `Treasury act transfer: high builtin/unvouched`; in brackets what only repeats
    /// another verdict.
    pub(crate) fn line(&self, judged: &Judged) -> String {
        let activity = &judged.activity;
        let label = &self.book.watches[activity.watch.index()].label;
        let verdict = match &judged.verdict {
            Verdict::Normal { by } => format!("normal by {by}"),
            Verdict::Abnormal(abnormal) if abnormal.repeats.is_some() => {
                format!("({} {})", abnormal.severity, abnormal.rule)
            }
            Verdict::Abnormal(abnormal) => format!("{} {}", abnormal.severity, abnormal.rule),
        };
        format!("{label} {} {}: {verdict}", activity.kind.as_str(), activity.deed.name)
    }
}

/// What owners sign of a Safe transaction, without the refund.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    pub(crate) to: Address,
    pub(crate) value: U256,
    pub(crate) data: Bytes,
    pub(crate) operation: u8,
    /// Receiver of a refund at a gas price of 1, or nobody.
    pub(crate) refund: Option<Address>,
}

impl Order {
    pub(crate) fn call(to: Address, data: impl Into<Bytes>) -> Self {
        Self { to, data: data.into(), ..Self::default() }
    }

    pub(crate) fn pay(to: Address, wei: u64) -> Self {
        Self { to, value: U256::from(wei), ..Self::default() }
    }

    pub(crate) fn delegate(to: Address, data: impl Into<Bytes>) -> Self {
        Self { operation: 1, ..Self::call(to, data) }
    }

    /// A delegatecall of MultiSend 1.4.1.
    pub(crate) fn batch(items: &[(u8, Address, u64, Bytes)]) -> Self {
        Self::delegate(MULTI_SEND_1_4_1, multi_send(items))
    }

    /// The hash that owners sign and the Safe logs, from 1.3.0 on. Source: Safe.sol `encodeTransactionData`.
    pub(crate) fn hash(&self, safe: Address, nonce: u64) -> B256 {
        let domain = (keccak256("EIP712Domain(uint256 chainId,address verifyingContract)"), U256::from(31_337), safe);
        let kind = keccak256(
            "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,\
             address gasToken,address refundReceiver,uint256 nonce)",
        );
        let price = U256::from(u8::from(self.refund.is_some()));
        let body = (
            (kind, self.to, self.value, keccak256(&self.data), U256::from(self.operation)).abi_encode(),
            (U256::ZERO, U256::ZERO, price, Address::ZERO).abi_encode(),
            (self.refund.unwrap_or_default(), U256::from(nonce)).abi_encode(),
        );
        let body = keccak256([body.0, body.1, body.2].concat());
        keccak256([&[0x19, 0x01], keccak256(domain.abi_encode()).as_slice(), body.as_slice()].concat())
    }

    /// Calldata with these signatures as they stand.
    pub(crate) fn calldata(&self, signatures: impl Into<Bytes>) -> Bytes {
        let call = ISafe::execTransactionCall {
            to: self.to,
            value: self.value,
            data: self.data.clone(),
            operation: self.operation,
            safeTxGas: U256::ZERO,
            baseGas: U256::ZERO,
            gasPrice: U256::from(u8::from(self.refund.is_some())),
            gasToken: Address::ZERO,
            refundReceiver: self.refund.unwrap_or_default(),
            signatures: signatures.into(),
        };
        call.abi_encode().into()
    }

    /// Calldata signed by these owners, and the hash that they signed.
    pub(crate) fn signed(&self, safe: Address, nonce: u64, owners: &[Account]) -> (Bytes, B256) {
        let hash = self.hash(safe, nonce);
        let mut owners = owners.to_vec();
        owners.sort_by_key(|owner| owner.address);
        let signatures: Vec<u8> = owners.iter().flat_map(|owner| owner.sign(hash)).collect();
        (self.calldata(signatures), hash)
    }
}

/// One watch of a watchlist on the chain `demo` and the path `duty`, with its other keys and its rules.
pub(crate) fn watched(label: &str, address: Address, kind: &str, rest: &str) -> String {
    format!(
        "[[watch]]\nlabel = \"{label}\"\nchain = \"demo\"\naddress = \"{address}\"\nkind = \"{kind}\"\n\
         purpose = \"x\"\npath = \"duty\"\n{rest}\n"
    )
}

pub(crate) fn multi_send(items: &[(u8, Address, u64, Bytes)]) -> Bytes {
    let items = items.iter().map(|(operation, to, value, data)| (*operation, *to, U256::from(*value), &data[..]));
    let transactions = watchfire::abi::multisend::encode_multisend(items).into();
    IMultiSend::multiSendCall { transactions }.abi_encode().into()
}

pub(crate) fn transfer(to: Address, amount: u64) -> Bytes {
    IToken::transferCall { to, amount: U256::from(amount) }.abi_encode().into()
}

/// A log of an event declared in `support::abi`.
pub(crate) fn event(address: Address, event: &impl SolEvent) -> Log {
    let data = event.encode_log_data();
    Log { address, topics: data.topics().to_vec(), data: data.data }
}

/// A log of any event: its signature, then its indexed words, then its data.
pub(crate) fn raw(address: Address, signature: &str, indexed: &[B256], data: impl Into<Bytes>) -> Log {
    let topics = [&[keccak256(signature)], indexed].concat();
    Log { address, topics, data: data.into() }
}

pub(crate) fn moved(token: Address, from: Address, to: Address, amount: u64) -> Log {
    event(token, &IToken::Transfer { from, to, value: U256::from(amount) })
}

/// A Safe says that it executed.
pub(crate) fn success(safe: Address, hash: B256) -> Log {
    event(safe, &ISafe::ExecutionSuccess { txHash: hash, payment: U256::ZERO })
}

pub(crate) fn word(address: Address) -> B256 {
    address.into_word()
}

pub(crate) fn number(n: u64) -> B256 {
    B256::from(U256::from(n))
}
