//! Acceptance of data from nodes: each block is accepted, or rejected with the evidence kept.
//!
//! Comes in: a block and its receipts as a node wrote them, and the [`Checks`] for the chain. Goes out: a block that
//! matches its own hash, with the gaps in its proof, or [`NodeError::Lie`].

use super::intake::BoundedText;
use super::node::Node;
use super::rpc::NodeError;
use super::verify::{self, Flaw, Gap, Raw, Wanted};
use super::{Fetched, RawPair, RawText};
use crate::model::{Block, ChainId, Evidence, Link, Provenance, Verification};
use crate::wire;
use crate::wire::Sealed;
use crate::wire::seal::Header;
use crate::wire::{BlockWire, ReceiptsWire};
use alloy_primitives::{B256, Bytes};
use futures::StreamExt;
use serde_json::value::RawValue;
use std::fmt;
use std::sync::Arc;
use tracing::warn;

/// Number of raw transactions requested at the same time.
const RAW_AT_ONCE: usize = 16;
/// Number of bytes of a large answer that are kept as evidence.
const BEGINNING_BYTES: usize = 64 << 10;
/// Number of senders that are recovered inline. More of them, at about 175 µs each, would delay other tasks and are
/// moved to a separate thread.
const SENDERS_IN_PASSING: usize = 8;

/// Checks applied to the blocks of a chain before they are accepted.
#[derive(Clone, Debug)]
pub struct Checks {
    /// True if a block is checked against its own hash.
    pub verify: bool,
    /// Transactions whose signer is recovered. Without `verify` there are none, because nothing proves that the
    /// signature belongs to this chain.
    pub senders: Senders,
}

/// Returns the indices of the transactions in a block whose sender must be recovered. It is called for every block, so
/// it should be fast.
pub type Matters = Arc<dyn Fn(&Block) -> Vec<u32> + Send + Sync>;

/// Transactions whose signer is recovered and compared with the sender that the node reports.
#[derive(Clone, Default)]
pub enum Senders {
    /// No transactions: the node's senders are trusted.
    #[default]
    Nobody,
    /// All transactions, about 50 ms for a block of 300 transactions. Only this setting detects a transaction for which
    /// a node reports a false sender.
    Everybody,
    /// Transactions at the indices that this function returns.
    Of(Matters),
}

impl Checks {
    /// No checks beyond those of the parser.
    pub const NONE: Self = Self { verify: false, senders: Senders::Nobody };

    /// Returns the checks for this chain. In some blocks Polygon's nodes list a transaction that was never signed and
    /// is in no root (Bor's state sync), so these blocks cannot be verified against their headers. ZKsync's blocks have
    /// hashes of their own and no roots.
    #[must_use]
    pub fn for_chain(chain: ChainId) -> Self {
        Self { verify: !matches!(chain, ChainId(137 | 80_002 | 324 | 300)), senders: Senders::Nobody }
    }

    /// Sets the transactions whose senders are recovered.
    #[must_use]
    pub fn with_senders(self, senders: Senders) -> Self {
        Self { senders, ..self }
    }
}

impl fmt::Debug for Senders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Everybody => "Everybody",
            Self::Of(_) => "Of(_)",
        })
    }
}

/// Block, or its receipts, as received.
pub(super) struct Unverified<T> {
    pub(super) wire: T,
    pub(super) text: Accepted,
    /// Use of the text beside that as evidence.
    pub(super) raw_text: RawText,
}

/// Part of an answer that is kept after the answer was read.
pub(super) enum Accepted {
    /// Full text.
    Whole(Box<RawValue>),
    /// The beginning of what is too large to be kept.
    Beginning(String),
}

impl Accepted {
    /// Keeps the full text if it has ordinary size or is recorded.
    pub(super) fn from_text(text: BoundedText, raw_text: RawText) -> Self {
        if raw_text == RawText::Kept || !text.is_large() {
            return Self::Whole(text.into_raw());
        }
        let end = (0..=BEGINNING_BYTES).rev().find(|end| text.get().is_char_boundary(*end)).unwrap_or(0);
        Self::Beginning(text.get()[..end].to_owned())
    }

    fn get(&self) -> &str {
        match self {
            Self::Whole(raw) => raw.get(),
            Self::Beginning(text) => text,
        }
    }
}

impl Node {
    /// The block with this hash, if these are that block and its receipts and nothing in them contradicts the hash.
    pub(super) async fn let_through(
        &self,
        hash: B256,
        body: Unverified<BlockWire>,
        receipts: Unverified<ReceiptsWire>,
    ) -> Result<Fetched, NodeError> {
        let raw = match (&body.text, &receipts.text) {
            (Accepted::Whole(block), Accepted::Whole(receipts)) => {
                Some(RawPair { block: block.clone(), receipts: receipts.clone() })
            }
            _ => None,
        };
        let raw = raw.filter(|_| body.raw_text == RawText::Kept);
        let (block, proof, gaps) = if self.checks().verify {
            self.held_against_its_hash(hash, body, receipts).await?
        } else {
            let block = wire::join_receipts(body.wire, receipts.wire)?;
            expect_hash(hash, block.at.hash)?;
            (block, Verification::NotAsked, Vec::new())
        };
        if let Some(part) = block.txs.iter().find_map(|tx| tx.fee?.lacks)
            && self.lapses().leaves_out(part)
        {
            let name = self.name();
            warn!(
                endpoint = name,
                "receipts of {name} lack {part}: fees are bounded by the signed maximum, and a difference of ether within that bound is not reported"
            );
        }
        Ok(Fetched { block, sight: Provenance { proof, ..Provenance::default() }, gaps, raw })
    }

    /// Returns the parsed block. The text is parsed at once so that no large text is kept. A large block is verified
    /// against its hash before anything else is awaited.
    pub(super) fn read_block_body(
        &self,
        text: BoundedText,
        raw_text: RawText,
    ) -> Result<Unverified<BlockWire>, NodeError> {
        let (wire, is_large) = (wire::read_block(text.get())?, text.is_large());
        let body = Unverified { wire, text: Accepted::from_text(text, raw_text), raw_text };
        if is_large && self.checks().verify {
            let sealed = wire::seal_alone(&body.wire)?;
            let answers = [("eth_getBlockByHash", body.text.get())];
            let lie = |flaw| invalid_response(format!("block {}", sealed.block.at.hash), flaw, &answers);
            verify::prove_body(&sealed).map_err(lie)?;
        }
        Ok(body)
    }

    async fn held_against_its_hash(
        &self,
        hash: B256,
        body: Unverified<BlockWire>,
        receipts: Unverified<ReceiptsWire>,
    ) -> Result<(Block, Verification, Vec<Gap>), NodeError> {
        let mut sealed = wire::seal_block(body.wire, receipts.wire)?;
        expect_hash(hash, sealed.block.at.hash)?;
        let missing = verify::fill_in(&mut sealed, self.chain_id().0);
        let answers = [("eth_getBlockByHash", body.text.get()), ("eth_getBlockReceipts", receipts.text.get())];
        let lie = |flaw| {
            // The value that was filled in may differ from the one that the node left out.
            let flaw = match (flaw, missing) {
                (Flaw::Header { .. }, Some(name)) => Flaw::Lacks(name),
                (flaw, _) => flaw,
            };
            invalid_response(format!("block {hash}"), flaw, &answers)
        };
        let mut gaps = verify::verify_block(&sealed, &Raw::default()).map_err(lie)?;
        if let Some(wanted) = verify::wants_raw(&sealed, &gaps) {
            gaps = verify::verify_block(&sealed, &self.fetch_raw(hash, wanted, sealed.block.txs.len()).await)
                .map_err(lie)?;
        }
        // A part that the node left out is accepted only if all the rest is proven.
        if let Some(lapse) = sealed.lapse.take().filter(|_| !gaps.is_empty()) {
            return Err(lapse.into());
        }
        self.root_of(sealed.block.link(), &sealed.header, &gaps);
        let (sealed, unsigned) = self.checks().senders.recover_senders(sealed).await.map_err(lie)?;
        gaps.extend(unsigned);
        if gaps.is_empty() && !sealed.block.txs.is_empty() {
            self.note_a_verified_block();
        }
        Ok((sealed.block, if gaps.is_empty() { Verification::Proven } else { Verification::Unproven }, gaps))
    }

    /// The header with this hash, if `answer` is that header.
    pub(super) fn header_let_through(&self, hash: B256, answer: &RawValue) -> Result<Link, NodeError> {
        let link = self.head_let_through(answer)?;
        expect_hash(hash, link.at.hash).map(|()| link)
    }

    /// Returns the header in `answer`, if it matches its own hash. It is used only to find the parent block, so a gap
    /// in its proof is not reported: every evaluated block has its own proof.
    pub(super) fn head_let_through(&self, answer: &RawValue) -> Result<Link, NodeError> {
        if !self.checks().verify {
            return Ok(wire::parse_header(answer.get())?);
        }
        let (link, header) = wire::sealed_header(answer.get())?;
        let lie = |flaw| invalid_response(format!("block {}", link.at.hash), flaw, &[("header", answer.get())]);
        let gaps = verify::prove_header(link, &header).map_err(lie)?;
        self.root_of(link, &header, &gaps);
        Ok(link)
    }

    /// Stores the state root of a header that matches its hash.
    fn root_of(&self, link: Link, header: &Header, gaps: &[Gap]) {
        if let Some(root) = header.state_root.filter(|_| !gaps.iter().any(|gap| matches!(gap, Gap::Header(_)))) {
            self.state_roots().record_root(link.at.hash, root, header);
        }
    }

    /// Returns the node's raw bytes of the wanted items. Missing items remain gaps, so a failure is not reported as an
    /// error.
    async fn fetch_raw(&self, hash: B256, wanted: Wanted, n_txs: usize) -> Raw {
        let receipts = async {
            if !wanted.receipts {
                return None;
            }
            let answer = self.send_request("debug_getRawReceipts", [hash], self.deadlines().block).await.ok()?;
            wire::byte_strings(answer.get(), n_txs).ok()
        };
        // Collected first: a lazy map's closure would tie the future to one lifetime, and it could not be boxed.
        let asked: Vec<_> = wanted.txs.iter().map(|(index, tx)| self.raw_tx(*index, *tx)).collect();
        let txs = futures::stream::iter(asked).buffer_unordered(RAW_AT_ONCE);
        let (txs, receipts) = futures::join!(txs.filter_map(std::future::ready).collect(), receipts);
        Raw { txs, receipts }
    }

    async fn raw_tx(&self, index: u32, tx: B256) -> Option<(u32, Bytes)> {
        // Some nodes support only one of these methods.
        for method in ["eth_getRawTransactionByHash", "debug_getRawTransaction"] {
            if let Ok(answer) = self.send_request(method, [tx], self.deadlines().block).await
                && let Ok(bytes) = wire::return_data(answer.get())
            {
                return Some((index, bytes));
            }
        }
        None
    }
}

impl Senders {
    /// Recovers the senders. Returns the block with the gaps for senders that could not be recovered.
    async fn recover_senders(&self, sealed: Sealed) -> Result<(Sealed, Vec<Gap>), Flaw> {
        let which: Vec<u32> = match self {
            Self::Nobody => return Ok((sealed, Vec::new())),
            Self::Everybody => sealed.block.txs.iter().map(|tx| tx.index).collect(),
            Self::Of(matters) => matters(&sealed.block),
        };
        let n_senders = which.len();
        let recover = move || verify::verify_senders(&sealed, which).map(|gaps| (sealed, gaps));
        if n_senders <= SENDERS_IN_PASSING {
            return recover();
        }
        match tokio::task::spawn_blocking(recover).await {
            Ok(recovered) => recovered,
            Err(error) => match error.try_into_panic() {
                // A bug in there must not look like a quiet chain.
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down, and the result is no longer needed.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

fn expect_hash(hash: B256, found: B256) -> Result<(), NodeError> {
    if found == hash { Ok(()) } else { Err(NodeError::Another) }
}

/// Returns the error for a false answer: the request, the endpoint's answers, and their flaw.
pub(super) fn invalid_response(asked: String, flaw: Flaw, answers: &[(&'static str, &str)]) -> NodeError {
    let answers = answers.iter().map(|(method, answer)| (*method, (*answer).into())).collect();
    let evidence = Evidence { asked, flaw: flaw.to_string(), answers };
    NodeError::Lie { flaw, evidence: Arc::new(evidence) }
}
