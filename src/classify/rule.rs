//! Compiled rules: a watchlist's rules with every name resolved and every amount in its smallest unit.
//!
//! Rules deny by default too: a rule that does not mention `value` vouches for no ether, and a rule that does not
//! mention `operation` vouches for no delegatecall.

use super::address_poisoning::KnownAddresses;
pub use super::baseline::{Baseline, Party};
pub use super::expected::{Due, Expected, Weekly};
use crate::abi::attributed_codes;
use crate::contracts::{self, ContractKind, WatchedContract};
use crate::model::amount::Unit;
use crate::model::arg_path::ArgPath;
use crate::model::{ActivityKind, ChainId, Fate, Kind, Operation, Severity, Stage, WatchId};
use alloy_primitives::map::AddressHashSet;
use alloy_primitives::{Address, B256, U256};
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Rules for every watch of a configuration. Immutable; a reload creates new ones.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Rules of each watch, by [`WatchId`].
    pub watches: Vec<WatchRules>,
    /// Watches with expected actions, or with rules that depend on how long they have been watched. They are checked in
    /// every block, whatever happens in it.
    pub timed: Vec<WatchId>,
}

impl Rules {
    /// Returns the length in seconds of the longest rolling window of any rule. Older entries have no effect.
    #[must_use]
    pub fn longest_window(&self) -> u64 {
        let rules = || self.watches.iter().flat_map(|watch| &watch.rules);
        let limits = rules().flat_map(|rule| &rule.limits).map(|limit| limit.per);
        let habits = rules().flat_map(|rule| &rule.habits).map(Baseline::looks_back);
        let expected = self.watches.iter().flat_map(|watch| &watch.expected).map(Expected::looks_back);
        let builtins = [super::judge::PAGES_WINDOW, super::first_seen::TEST_WINDOW];
        limits.chain(habits).chain(expected).chain(builtins).max().unwrap_or(0)
    }
}

/// Rules of one watch for normal and abnormal activity.
#[derive(Clone, Debug)]
pub struct WatchRules {
    /// Watch that the rules belong to.
    pub watch: WatchId,
    /// Chain of the watch.
    pub chain: ChainId,
    /// The watched address: part of a window's key.
    pub address: Address,
    /// Kind of the watch, which selects the built-in severities.
    pub kind: Kind,
    /// In the order of the file.
    pub rules: Vec<Rule>,
    /// Actions that must occur, `[[watch.absent]]`, in the order of the file.
    pub expected: Vec<Expected>,
    /// Built-ins switched off by name.
    pub builtins_off: BTreeSet<Arc<str>>,
    /// `inbound = "judge"`: received value needs a rule, like all other activity.
    pub judge_inbound: bool,
    /// Addresses that may submit a signed transaction to the wallet; `None` means that the signatures are sufficient
    /// authority.
    pub executors: Option<AddressSet>,
    /// `registry.owners`, if given: `@owners` in rules, and the expected confirmers of a multisig.
    pub owners: Option<AddressSet>,
    /// `registry.threshold`, if given: number of owners that must sign.
    pub threshold: Option<u32>,
    /// `registry.modules`, if given: modules expected to act.
    pub modules: Option<AddressSet>,
    /// `registry.delay` in seconds, if given: minimum time between scheduling or proposing something and its execution.
    pub delay: Option<u64>,
    /// `registry.implementations`, if given: code that was reviewed.
    pub implementations: Option<AddressSet>,
    /// `registry.delegates`, if given: addresses other than the owners that may propose to a Safe's queue.
    pub delegates: Option<AddressSet>,
    /// Receivers to which a Safe may refund gas, besides the zero address.
    pub refund_receivers: Option<AddressSet>,
    /// Tokens known to the configuration on this watch's chain. Movements of any other token have a lower severity,
    /// since anyone can emit a `Transfer` that names any address.
    pub known_tokens: Arc<AddressHashSet>,
    /// Addresses that the configuration names on this watch's chain. An address that only looks like one of them is
    /// suspect.
    pub familiar: Arc<KnownAddresses>,
    /// Every watched address on this watch's chain.
    pub watched: Arc<AddressHashSet>,
    /// `mode = "observe"` on the watch.
    pub observe: bool,
}

impl WatchRules {
    /// Returns the description of the kind of the watch.
    pub(crate) fn contract(&self) -> &'static ContractKind {
        contracts::of_kind(self.kind)
    }

    /// Returns the facts that the tables of the kind need.
    pub(crate) fn watched_contract(&self) -> WatchedContract {
        WatchedContract { address: self.address, threshold: self.threshold }
    }
}

/// Effect of a matching rule: vouches or raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// `[[watch.normal]]`
    Normal,
    /// `[[watch.abnormal]]`
    Abnormal,
}

/// Number of elements of a list (`payees[*]`, nested lists too) for which a condition must hold. No condition holds for
/// an empty list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elements {
    /// Every element: for rules that vouch and for expected actions.
    Every,
    /// At least one element: for rules that raise. A good payee beside a thief then hides nothing.
    Any,
}

/// Rule of a watch.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Unique within its watch.
    pub name: Arc<str>,
    /// Vouches or raises.
    pub polarity: Polarity,
    /// `call`, `act`, `event`, `move` or `state`.
    pub kind: ActivityKind,
    /// Functions, events or movements that the rule is about.
    pub deed: CallMatch,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// Number of elements of a list for which a condition must hold.
    pub elements: Elements,
    /// Wei that may be sent along.
    pub value: ValueRule,
    /// Operations by which the call may be executed; `[Call]` where the rule does not say.
    pub operations: Vec<Operation>,
    /// Bytes allowed after the arguments; none if a normal rule does not mention them.
    pub suffix: Option<Suffix>,
    /// Conditions that compare an activity with earlier ones.
    pub habits: Vec<Baseline>,
    /// Count or sum over a rolling window.
    pub limits: Vec<Limit>,
    /// Severity when an abnormal rule raises, or when this normal rule was the nearest that refused. Without it, the
    /// table decides.
    pub severity: Option<Severity>,
    /// `mode = "observe"` on the rule.
    pub observe: bool,
    /// Tokens in whose units it measures, and the decimals that the configuration gives them.
    pub units: Vec<TokenUnit>,
    /// `effects = "any"` on a rule for a call: the rule also vouches for value and rights that leave inside of the
    /// call.
    pub effects: bool,
    /// True if an activity that it vouches for may take the place of another pending transaction.
    pub replaces: bool,
}

impl Rule {
    /// Returns the sets of addresses that the rule names. Addresses in them count as known.
    pub fn address_sets(&self) -> impl Iterator<Item = &AddressSet> {
        self.conditions.iter().flat_map(|condition| {
            let (one, tests): (Option<&AddressSet>, &[ArgTest]) = match condition {
                Condition::From(AddressTest::In(set))
                | Condition::Origin(AddressTest::In(set))
                | Condition::To(AddressTest::In(set)) => (Some(set), &[]),
                Condition::Arg { tests, .. } => (None, tests),
                _ => (None, &[]),
            };
            one.into_iter().chain(tests.iter().filter_map(|test| match test {
                ArgTest::InAddresses(set) => Some(set),
                _ => None,
            }))
        })
    }

    /// Returns whether the rule needs the code of a counterparty.
    #[must_use]
    pub fn asks_code(&self) -> bool {
        self.conditions.iter().any(|condition| matches!(condition, Condition::Code { .. }))
            || self.habits.iter().any(|habit| matches!(habit, Baseline::Age { .. }))
    }

    /// Returns whether the rule limits the payment for inclusion.
    #[must_use]
    pub fn minds_tips(&self) -> bool {
        self.conditions.iter().any(|condition| matches!(condition, Condition::Tip { .. }))
    }

    /// Units in which the rule measures anything, each once.
    pub fn measures_in(&self) -> Vec<&Unit> {
        let compared = self.conditions.iter().flat_map(Condition::units);
        let mut units: Vec<&Unit> = compared.chain(self.limits.iter().map(|limit| &limit.unit)).collect();
        units.dedup();
        units
    }

    /// Returns the single addresses that the rule names.
    pub fn single_addresses(&self) -> impl Iterator<Item = Address> {
        self.conditions.iter().flat_map(|condition| {
            let tests: &[ArgTest] = if let Condition::Arg { tests, .. } = condition { tests } else { &[] };
            tests.iter().filter_map(|test| match test {
                ArgTest::Eq(Scalar::Address(address)) => Some(*address),
                _ => None,
            })
        })
    }
}

/// A token in whose unit a rule measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUnit {
    /// Address of the token.
    pub token: Address,
    /// Name and decimals of the token, as configured.
    pub unit: Unit,
}

/// Bytes after the arguments of a call. A normal rule that names a suffix allows it; an abnormal one raises where it is
/// present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suffix {
    /// `erc8021`: an attribution and no other bytes (see [`crate::abi::attribution`]).
    Erc8021,
    /// `any`: any bytes.
    Any,
}

impl Suffix {
    /// Returns the word used in a watchlist.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Erc8021 => "erc8021",
            Self::Any => "any",
        }
    }

    /// Returns whether `bytes` are such a suffix.
    #[must_use]
    pub fn admits(self, bytes: &[u8]) -> bool {
        self == Self::Any || attributed_codes(bytes).is_some()
    }
}

/// Amount of ether that a rule allows with an activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueRule {
    /// Not given: none for a function, any for `ether` (whose other conditions and limits still apply).
    Unsaid,
    /// Within bounds, in wei.
    Within {
        /// At least.
        min: Option<U256>,
        /// At most.
        max: Option<U256>,
    },
}

/// Functions, events or movements that a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallMatch {
    /// `*`: any.
    Any,
    /// `ether`: no calldata.
    Ether,
    /// `creation`: a contract creation.
    Creation,
    /// A function by selector; the signature is only shown to people.
    Function {
        /// First four bytes of the canonical signature's hash.
        selector: [u8; 4],
        /// Canonical signature, or the selector in hex.
        signature: Arc<str>,
    },
    /// An event by first topic.
    Event {
        /// Hash of the canonical signature.
        topic0: B256,
        /// Canonical signature.
        signature: Arc<str>,
    },
    /// `move = "in"`: value received.
    MoveIn,
    /// `move = "out"`: value that left.
    MoveOut,
    /// `move = "approval"`: an allowance that the subject gave.
    Approval,
    /// `state = "threshold"`: an item of the subject's state. `act = "self-destruct"`: an act without a function, one of
    /// [`BY_ITSELF`](crate::model::activity::BY_ITSELF).
    Item(&'static str),
    /// `call = ["deposit", "withdraw"]`: one of several functions, events or movements.
    OneOf(Arc<[CallMatch]>),
}

impl CallMatch {
    /// Returns the elements of a list, or the match itself.
    #[must_use]
    pub fn each(&self) -> &[Self] {
        if let Self::OneOf(several) = self { several } else { std::slice::from_ref(self) }
    }

    /// Returns whether it matches everything that `other` matches, `*` aside.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        other.each().iter().all(|one| self.each().contains(one))
    }

    /// Returns its text, as a watchlist writes it.
    #[must_use]
    pub fn watchlist_text(&self) -> Arc<str> {
        match self {
            Self::Any => "*".into(),
            Self::Ether => "ether".into(),
            Self::Creation => "creation".into(),
            Self::Function { signature, .. } | Self::Event { signature, .. } => Arc::clone(signature),
            Self::MoveIn => "in".into(),
            Self::MoveOut => "out".into(),
            Self::Approval => "approval".into(),
            Self::Item(name) => (*name).into(),
            Self::OneOf(several) => several.iter().map(Self::watchlist_text).collect::<Vec<_>>().join(" or ").into(),
        }
    }
}

/// Condition of a rule. A mismatch names it by its key, as the watchlist writes it.
#[derive(Clone, Debug)]
pub enum Condition {
    /// `from`: the direct caller, or the party that value leaves.
    From(AddressTest),
    /// `origin`: sender of the transaction.
    Origin(AddressTest),
    /// `to`: the target, or the party that value reaches.
    To(AddressTest),
    /// `args.<path>`: the values at the path must pass; [`Rule::elements`] says how many. A path without values is a
    /// mismatch.
    Arg {
        /// Path by position, so that argument names of different ABIs do not matter.
        path: ArgPath,
        /// Text as written in the watchlist.
        label: Arc<str>,
        /// Tests that each value must pass.
        tests: Vec<ArgTest>,
        /// Units of the amounts in the tests.
        units: Vec<Unit>,
    },
    /// `signers`: all parts must hold; unknown signers are a mismatch.
    Signers {
        /// Least number of distinct signers.
        at_least: Option<u32>,
        /// Set that must contain all signers.
        within: Option<AddressSet>,
        /// Addresses that must all be among the signers.
        include: Option<AddressSet>,
    },
    /// `tip`: amount in wei paid for inclusion, where that is above the usual amount.
    Tip {
        /// At most.
        max: U256,
    },
    /// `code`: the code at each of these addresses has one of these hashes.
    Code {
        /// Party whose code is tested.
        of: Party,
        /// Text as written in the watchlist.
        label: Arc<str>,
        /// Keccak-256 hashes; the hash of empty input stands for an account without code.
        hashes: Vec<B256>,
    },
    /// `via`: a party through which it came, or a call inside of which it happened.
    Via(Via),
    /// `hours`: block time falls into one of these spans.
    Hours(Hours),
    /// `outcome`: one of these. A waiting transaction may still be executed, so a normal rule about executed
    /// transactions accepts it.
    Outcome(Vec<Fate>),
    /// `stage`: one of these. A transaction in a block is `included`, whether or not it reverted.
    Stage(Vec<Stage>),
}

impl Condition {
    /// Units of the amounts that an argument is compared with.
    pub fn units(&self) -> &[Unit] {
        if let Self::Arg { units, .. } = self { units } else { &[] }
    }
}

/// A party through which an activity came, or a call inside of which it happened. If no known call shows it, it is a
/// mismatch.
#[derive(Clone, Debug)]
pub enum Via {
    /// Surrounding call made or received by one of these addresses.
    Party(AddressSet),
    /// Surrounding call to one of these functions.
    Call {
        /// Function that was called.
        deed: CallMatch,
        /// Contract that was called.
        of: AddressSet,
    },
    /// Call to the subject made by one of these modules.
    Module {
        /// Modules.
        module: AddressSet,
        /// Role that the call to the module names.
        role: Option<RoleKey>,
    },
}

/// A role of a Zodiac Roles modifier.
#[derive(Clone, Debug)]
pub struct RoleKey {
    /// Text as written in the watchlist.
    pub text: Arc<str>,
    /// Forms in which a call may carry the role: its name as 32 bytes, its keccak-256, or a number.
    pub keys: Vec<B256>,
}

/// `in` or `not_in` on an address.
#[derive(Clone, Debug)]
pub enum AddressTest {
    /// Any of these addresses.
    In(AddressSet),
    /// None of these.
    NotIn(AddressSet),
}

/// A set of addresses with the name shown to people.
#[derive(Clone, Debug)]
pub struct AddressSet {
    /// `@grantees`, or the addresses as written.
    pub name: Arc<str>,
    /// Members.
    pub members: Arc<AddressHashSet>,
}

/// Test of an argument's value.
#[derive(Clone, Debug)]
pub enum ArgTest {
    /// `eq` on anything.
    Eq(Scalar),
    /// `in` on addresses.
    InAddresses(AddressSet),
    /// `not_in` on addresses.
    NotInAddresses(AddressSet),
    /// `in` on other values.
    InScalars(Vec<Scalar>),
    /// `not_in` on other values.
    NotInScalars(Vec<Scalar>),
    /// `min`, in the smallest unit.
    Min(Bound),
    /// `max`, in the smallest unit.
    Max(Bound),
}

/// A bound with the unit in which it was written, for the text of a mismatch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// In the smallest unit.
    pub value: U256,
    /// The bound is below zero (only for signed arguments): `value` is its magnitude.
    pub negative: bool,
    /// Unit of the bound.
    pub unit: Unit,
    /// Token that the unit belongs to, where the rule is about this token only.
    pub token: Option<Address>,
}

/// A value that an argument is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// `address`
    Address(Address),
    /// `uintN`, and non-negative `intN`
    Uint(U256),
    /// negative `intN`
    Int(alloy_primitives::I256),
    /// `bool`
    Bool(bool),
    /// `bytesN` and `bytes`: compared byte by byte.
    Bytes(alloy_primitives::Bytes),
    /// `string`
    Text(Arc<str>),
    /// Keccak-256 of a value that a log holds only by its hash.
    Hash(B256),
}

/// Weekly spans in a time zone.
#[derive(Clone, Debug)]
pub struct Hours {
    /// Text as written in the watchlist.
    pub text: Arc<str>,
    /// IANA zone.
    pub zone: TimeZone,
    /// Spans, any of which may match.
    pub spans: Vec<Span>,
}

/// Minutes of some weekdays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Bit 0 is Monday. For a span over midnight, the day it begins on.
    pub days: u8,
    /// First minute of the day, 0 to 1439.
    pub from: u16,
    /// First minute after, 1 to 1440; at or below `from` means that the span ends the next day.
    pub until: u16,
}

/// Limit on a measure within a rolling window over block time. It counts the activities that this rule vouched for and
/// that ran.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Measure that is summed.
    pub measure: Measure,
    /// At most, in the smallest unit, this activity included.
    pub max: U256,
    /// Unit of `max`.
    pub unit: Unit,
    /// Token that the unit belongs to, where the rule is about this token only.
    pub token: Option<Address>,
    /// Length of the window in seconds.
    pub per: u64,
    /// Window as written in the watchlist: `7d`.
    pub per_text: Arc<str>,
}

/// Measure that a limit sums.
#[derive(Clone, Debug)]
pub enum Measure {
    /// Count of activities: one for each.
    Count,
    /// Wei sent along.
    Value,
    /// An argument.
    Arg {
        /// Path by position.
        path: ArgPath,
        /// Text as written in the watchlist.
        label: Arc<str>,
    },
}
