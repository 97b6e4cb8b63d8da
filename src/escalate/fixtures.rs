//! Builders of judged blocks for tests, and a stand-in for the store that keeps the contents of plans.

use super::{ResponseError, Routing, StepJudged, advance_timers, pending_change_set, step_change_set};
use crate::contracts::kind_named;
use crate::model::amount::Unit;
use crate::model::coverage::Paged;
use crate::model::incident::{ChangeSet, Contested, Delivery, DeliveryKind, Finding, Incident, OpenState};
use crate::model::path::{Feed, Path, PathStep};
use crate::model::pending::{Ended, PendingVoice};
use crate::model::value::{Arg, Value};
use crate::model::watch::ChainInfo;
use crate::model::{
    Abnormal, Activity, ActivityKind, Anchor, BlockRef, ChainId, DecodedCall, Decoding, Fate, FindingId, IncidentId,
    Judged, JudgedBlock, Operation, Position, Provenance, Role, Severity, Stage, Verdict, Verification, Voucher,
    WatchId, WatchInfo,
};
use alloy_primitives::{Address, B256, U256, keccak256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) const TREASURY: u32 = 0;
pub(crate) const CHILD: u32 = 1;
pub(crate) const TOKEN: u32 = 2;
pub(crate) const OBSERVED: u32 = 3;

/// A moment, wall-clock milliseconds: 2026-11-20T10:00:00Z.
pub(crate) const T: u64 = 1_795_168_800_000;

pub(crate) fn numbered_address(n: u32) -> Address {
    Address::left_padding_from(&(0xa000 + n).to_be_bytes())
}

pub(crate) fn mainnet_info() -> Arc<ChainInfo> {
    Arc::new(ChainInfo { name: "mainnet".into(), id: ChainId(1), explorer: Some("https://etherscan.io".into()) })
}

/// Four watches; the path `treasury` pages `pager`, then `pager` and `phone`, then `sms`, and notifies `chat`.
pub(crate) fn sample_routing() -> Routing {
    let watch = |id: u32, label: &str, kind: &str, path: &str| WatchInfo {
        id: WatchId(id),
        label: label.into(),
        chain: mainnet_info(),
        address: numbered_address(id),
        kind: kind_named(kind).expect("a kind"),
        purpose: "Pays grants on Fridays".into(),
        path: path.into(),
        runbook: Some("runbooks/stolen-funds.md".into()),
        observe: id == OBSERVED,
        pending: PendingVoice::Quiet,
        roles: None,
    };
    let paths = [
        paging_path("treasury", &[(&["pager"], 300), (&["pager", "phone"], 600), (&["sms"], 900)]),
        paging_path("token", &[(&["token-pager"], 300)]),
    ];
    let watches: Vec<WatchInfo> = vec![
        watch(TREASURY, "Treasury Safe", "safe", "treasury"),
        watch(CHILD, "Child Safe", "safe", "treasury"),
        watch(TOKEN, "SNT", "minime", "token"),
        watch(OBSERVED, "New Safe", "safe", "treasury"),
    ];
    let mut roster = Routing {
        paths: paths.into_iter().map(|path| (path.name.clone(), path)).collect(),
        feeds: vec![("findings".into(), Feed::Findings), ("verdicts".into(), Feed::Verdicts)],
        watches: watches.into(),
        ..Routing::default()
    };
    for watch in roster.watches.iter() {
        roster.names.insert(ChainId(1), watch.address, watch.label.clone());
    }
    roster.names.insert(ChainId(1), numbered_address(99), "Grantee: docs");
    roster.tokens.insert((ChainId(1), numbered_address(TOKEN)), Unit { symbol: "SNT".into(), decimals: 18 });
    roster
}

/// A path of these steps, each with its seconds, which notifies `chat`.
pub(crate) fn paging_path(name: &str, steps: &[(&[&str], u64)]) -> Path {
    let step = |(to, ack_within): &(&[&str], u64)| PathStep {
        to: to.iter().map(ToString::to_string).collect(),
        ack_within: *ack_within,
    };
    Path {
        name: name.into(),
        steps: steps.iter().map(step).collect(),
        page_at: Severity::High,
        notify: vec!["chat".into()],
        ack_expires: 1800,
    }
}

/// Transaction number `n`.
pub(crate) fn numbered_tx_hash(n: u32) -> B256 {
    keccak256(n.to_be_bytes())
}

/// Block `number` of fork `fork`.
pub(crate) fn block_ref(number: u64, fork: u8) -> BlockRef {
    BlockRef { number, hash: keccak256([number.to_be_bytes().as_slice(), &[fork]].concat()) }
}

/// Returns a block on top of the previous one of the same fork, or of `parent`.
pub(crate) fn judged_block(at: impl Into<Anchor>, parent: BlockRef, judged: Vec<Judged>) -> JudgedBlock {
    let anchor = at.into();
    JudgedBlock {
        chain: ChainId(1),
        anchor,
        parent: parent.hash,
        time: 1_795_168_000 + anchor.number() * 12,
        judged,
        deltas: vec![],
        sight: Provenance { sources: 2, endpoints: 2, proof: Verification::Proven },
    }
}

pub(crate) fn untyped_argument(name: &str, value: Value) -> Arg {
    Arg { name: name.into(), ty: "".into(), value, span: None }
}

/// A transfer of `whole` SNT to the grantee by `watch`, at `position` (`[0]` is `call.0`) of transaction `n`.
pub(crate) fn snt_transfer(watch: u32, n: u32, position: &[u16], whole: u64) -> Activity {
    let amount = U256::from(whole) * U256::from(10).pow(U256::from(18));
    Activity {
        watch: WatchId(watch),
        kind: ActivityKind::Act,
        stage: Stage::Included,
        fate: Fate::Executed,
        tx: numbered_tx_hash(n),
        tx_index: n,
        position: Position::Call(position.to_vec()),
        from: numbered_address(watch),
        origin: numbered_address(50),
        to: Some(numbered_address(TOKEN)),
        value: U256::ZERO,
        deed: DecodedCall {
            name: "transfer".into(),
            signature: "transfer(address,uint256)".into(),
            selector: Some([0xa9, 0x05, 0x9c, 0xbb]),
            topic0: None,
            args: vec![
                untyped_argument("to", Value::Address(numbered_address(99))),
                untyped_argument("amount", Value::Uint(amount)),
            ],
            decoding: Decoding::Clean,
            mutates: true,
        },
        operation: Operation::Call,
        signers: None,
        via: vec![],
        role: Role::Leaf,
        notes: vec![],
    }
}

pub(crate) fn judged_normal(activity: Activity) -> Judged {
    Judged { activity, verdict: Verdict::Normal { by: Voucher::Rule("friday-grants".into()) } }
}

pub(crate) fn judged_abnormal(activity: Activity, rule: &str, severity: Severity) -> Judged {
    let reasons = vec!["friday-grants: amount 60,000 SNT is above 50,000".to_owned()];
    let abnormal = Abnormal {
        rule: rule.into(),
        severity,
        near: reasons.len(),
        reasons,
        observe: false,
        hushed: false,
        repeats: None,
    };
    Judged { activity, verdict: Verdict::Abnormal(abnormal) }
}

pub(crate) fn judged_repeat(activity: Activity, of: usize) -> Judged {
    let mut judged = judged_abnormal(activity, "builtin/envelope", Severity::High);
    if let Verdict::Abnormal(abnormal) = &mut judged.verdict {
        abnormal.repeats = Some(of);
    }
    judged
}

/// Returns one finding of the treasury in transaction `n`.
pub(crate) fn treasury_finding(n: u32, severity: Severity) -> Judged {
    judged_abnormal(snt_transfer(TREASURY, n, &[0], 60_000), "builtin/unvouched", severity)
}

/// Returns the same verdict for the pending transaction.
pub(crate) fn pending_only(judged: Judged) -> Judged {
    let activity = Activity { stage: Stage::Pending, fate: Fate::Waiting, ..judged.activity };
    Judged { activity, ..judged }
}

/// Contents of a store.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) roster: Routing,
    pub(crate) incidents: BTreeMap<IncidentId, Incident>,
    pub(crate) findings: BTreeMap<FindingId, Finding>,
    pub(crate) outbox: Vec<Delivery>,
    pub(crate) paged: Vec<Paged>,
    pub(crate) contested: Vec<Contested>,
}

impl Kept {
    pub(crate) fn new() -> Self {
        Self { roster: sample_routing(), ..Self::default() }
    }

    /// Commits blocks, after retracting others.
    pub(crate) fn commit_step(&mut self, retract: &[BlockRef], blocks: &[JudgedBlock], now_ms: u64) -> ChangeSet {
        let again: BTreeSet<FindingId> = blocks
            .iter()
            .flat_map(|block| &block.judged)
            .filter_map(|judged| judged.finding_id(ChainId(1), numbered_address(judged.activity.watch.0)))
            .collect();
        let findings: Vec<Finding> = self
            .findings
            .values()
            .filter(|f| {
                again.contains(&f.id) || (!f.orphaned && f.anchor.block().is_some_and(|block| retract.contains(&block)))
            })
            .cloned()
            .collect();
        let wanted = |i: &&Incident| i.state.is_live() || findings.iter().any(|finding| finding.incident == i.id);
        let incidents = self.incidents.values().filter(wanted).cloned().collect();
        let standing = OpenState { incidents, findings, paged: self.paged.clone(), contested: self.contested.clone() };
        let chain = mainnet_info();
        let step = StepJudged { chain: &chain, retract, blocks };
        let plan = step_change_set(&step, &standing, &self.roster, now_ms);
        self.keep_at(&plan, now_ms);
        plan
    }

    /// Commits one block of fork 0 with these verdicts.
    pub(crate) fn commit_block(&mut self, number: u64, judged: Vec<Judged>, now_ms: u64) -> ChangeSet {
        self.commit_step(&[], &[judged_block(block_ref(number, 0), block_ref(number - 1, 0), judged)], now_ms)
    }

    /// Commits pending transactions: these verdicts, and the ends of others.
    pub(crate) fn commit_pending(&mut self, judged: Vec<Judged>, ended: &[Ended], now_ms: u64) -> ChangeSet {
        let pending = Anchor::Pending { since: 7 };
        let blocks: Vec<JudgedBlock> =
            judged.into_iter().map(|judged| judged_block(pending, block_ref(6, 0), vec![judged])).collect();
        let standing = OpenState {
            incidents: self.incidents.values().cloned().collect(),
            findings: self.findings.values().cloned().collect(),
            paged: self.paged.clone(),
            contested: self.contested.clone(),
        };
        let chain = mainnet_info();
        let step = StepJudged { chain: &chain, retract: &[], blocks: &blocks };
        let plan = pending_change_set(&step, &standing, &self.roster, now_ms, ended);
        self.keep_at(&plan, now_ms);
        plan
    }

    pub(crate) fn advance_timers(&mut self, now_ms: u64) -> ChangeSet {
        let plan = advance_timers(&self.open_state(), now_ms);
        self.keep_at(&plan, now_ms);
        plan
    }

    pub(crate) fn respond_with(&mut self, how: impl Fn(&Incident) -> Result<ChangeSet, ResponseError>) -> ChangeSet {
        let plan = how(self.only_incident()).unwrap();
        self.apply_change_set(&plan);
        plan
    }

    pub(crate) fn only_incident(&self) -> &Incident {
        assert_eq!(self.incidents.len(), 1, "one incident");
        self.incidents.values().next().unwrap()
    }

    /// Returns all live incidents, as the store returns them outside of a step of the chain.
    pub(crate) fn open_state(&self) -> OpenState {
        let incidents = self.incidents.values().filter(|incident| incident.state.is_live()).cloned().collect();
        OpenState { incidents, paged: self.paged.clone(), findings: Vec::new(), contested: self.contested.clone() }
    }

    /// Keeps a plan, and counts its pages as the store does.
    pub(crate) fn keep_at(&mut self, plan: &ChangeSet, now_ms: u64) {
        let wakes = |incident: &&Incident| {
            let triggers = |d: &Delivery| d.kind == DeliveryKind::Trigger && d.incident.as_ref() == Some(&incident.id);
            incident.paging && incident.origin.storm().is_none() && plan.deliveries.iter().any(triggers)
        };
        for incident in plan.incidents.iter().filter(wakes) {
            let severity = incident.heard.unwrap_or(incident.severity);
            self.paged.push(Paged { path: incident.path.name.clone(), severity, at_ms: now_ms });
        }
        self.apply_change_set(plan);
    }

    pub(crate) fn apply_change_set(&mut self, plan: &ChangeSet) {
        self.incidents.extend(plan.incidents.iter().map(|incident| (incident.id.clone(), incident.clone())));
        self.findings.extend(plan.findings.iter().map(|finding| (finding.id.clone(), finding.clone())));
        self.outbox.extend(plan.deliveries.iter().cloned());
    }
}

/// Returns the notifications of a plan without the feed: `trigger pager, update chat`.
pub(crate) fn notified_recipients(plan: &ChangeSet) -> String {
    let pages = plan.deliveries.iter().filter(|delivery| delivery.kind != DeliveryKind::Feed);
    let words: Vec<String> = pages.map(|d| format!("{} {}", d.kind.as_str(), d.destination)).collect();
    words.join(", ")
}
