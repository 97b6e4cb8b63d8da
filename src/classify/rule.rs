//! A rule, compiled: what a watchlist said, with every name resolved and every amount in its smallest unit.
//!
//! Deny by default reaches into the rules themselves: a rule that says nothing of `value` vouches for no ether, and one that says
//! nothing of `operation` vouches for no delegatecall.

pub use super::absence::{Due, Expected, Weekly};
use super::familiar::Familiar;
pub use super::habit::{Habit, Party};
use crate::abi::attributed_codes;
use crate::model::amount::Unit;
use crate::model::arg_path::ArgPath;
use crate::model::{ActivityKind, ChainId, Fate, Operation, Severity, Stage, WatchId};
use alloy_primitives::map::AddressHashSet;
use alloy_primitives::{Address, B256, U256};
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::sync::Arc;

/// All that is judged by, for every watch of a configuration. Immutable; a reload makes another.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// By [`WatchId`].
    pub watches: Vec<WatchRules>,
    /// Those that expect something, or ask since when they are watched: looked at in every block, whatever happens in it.
    pub timed: Vec<WatchId>,
}

impl Rules {
    /// Seconds that the longest rolling window of any rule reaches back; what is older counts for nothing.
    #[must_use]
    pub fn longest_window(&self) -> u64 {
        let rules = || self.watches.iter().flat_map(|watch| &watch.rules);
        let limits = rules().flat_map(|rule| &rule.limits).map(|limit| limit.per);
        let habits = rules().flat_map(|rule| &rule.habits).map(Habit::looks_back);
        let expected = self.watches.iter().flat_map(|watch| &watch.expected).map(Expected::looks_back);
        let builtins = [super::judge::PAGES_WINDOW, super::memory::TEST_WINDOW];
        limits.chain(habits).chain(expected).chain(builtins).max().unwrap_or(0)
    }
}

/// What one watch says is normal, and what it says is not.
#[derive(Clone, Debug)]
pub struct WatchRules {
    /// Whose rules these are.
    pub watch: WatchId,
    /// Where it lives.
    pub chain: ChainId,
    /// The watched address: part of a window's key.
    pub address: Address,
    /// The watch's kind: chooses the built-in severities.
    pub kind: crate::model::Kind,
    /// In the order of the file.
    pub rules: Vec<Rule>,
    /// What must come, `[[watch.absent]]`, in the order of the file.
    pub expected: Vec<Expected>,
    /// Built-ins switched off by name.
    pub builtins_off: BTreeSet<Arc<str>>,
    /// `inbound = "judge"`: received value needs a rule like everything else.
    pub judge_inbound: bool,
    /// Who may carry a signed transaction to the wallet; `None` means that the signatures are authority enough.
    pub executors: Option<AddressSet>,
    /// `registry.owners`, if given: `@owners` in rules, and the expected confirmers of a multisig.
    pub owners: Option<AddressSet>,
    /// `registry.threshold`, if given: how many owners sign.
    pub threshold: Option<u32>,
    /// `registry.modules`, if given: modules expected to act.
    pub modules: Option<AddressSet>,
    /// `registry.delay` in seconds, if given: how long everybody has at least to look at what is scheduled or proposed.
    pub delay: Option<u64>,
    /// `registry.implementations`, if given: code that was reviewed.
    pub implementations: Option<AddressSet>,
    /// `registry.delegates`, if given: who may propose to a Safe's queue beside its owners.
    pub delegates: Option<AddressSet>,
    /// Receivers a Safe may refund gas to, besides nobody.
    pub refund_receivers: Option<AddressSet>,
    /// Tokens known to the configuration on this watch's chain: a move of any other token is quieter, since anyone can emit a
    /// `Transfer` that names anybody.
    pub known_tokens: Arc<AddressHashSet>,
    /// Addresses that the configuration names on this watch's chain: whoever only looks like one of them is nobody's friend.
    pub familiar: Arc<Familiar>,
    /// Every watched address on this watch's chain.
    pub watched: Arc<AddressHashSet>,
    /// `mode = "observe"` on the watch.
    pub observe: bool,
}

/// Whether a rule vouches or raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// `[[watch.normal]]`
    Normal,
    /// `[[watch.abnormal]]`
    Abnormal,
}

/// Of how many elements of a list (`payees[*]`, nested lists too) a condition must hold. Of an empty list none ever does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elements {
    /// Of every one: what vouches, and what must come.
    Every,
    /// Of at least one: what raises. A good payee beside a thief hides nothing.
    Any,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Unique within its watch.
    pub name: Arc<str>,
    /// Vouches or raises.
    pub polarity: Polarity,
    /// `call`, `act`, `event`, `move` or `state`.
    pub kind: ActivityKind,
    /// Which function, event or movement.
    pub deed: DeedMatch,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// Of how many elements of a list a condition must hold.
    pub elements: Elements,
    /// Wei that may go along.
    pub value: ValueRule,
    /// How it may be executed; `[Call]` where the rule does not say.
    pub operations: Vec<Operation>,
    /// Bytes that may stand behind the arguments; none where a normal rule does not say.
    pub suffix: Option<Suffix>,
    /// What is compared with what happened before.
    pub habits: Vec<Habit>,
    /// Count or sum over a rolling window.
    pub limits: Vec<Limit>,
    /// Severity when an abnormal rule raises, or when this normal rule was the nearest that refused; the table decides otherwise.
    pub severity: Option<Severity>,
    /// `mode = "observe"` on the rule.
    pub observe: bool,
    /// Tokens in whose units it measures, and the decimals that the configuration gives them.
    pub units: Vec<TokenUnit>,
    /// `effects = "any"` on a rule for a call: it vouches for what goes out inside of the call as well.
    pub effects: bool,
    /// Whether what it vouches for may take the place of something else that is pending.
    pub replaces: bool,
}

impl Rule {
    /// Sets of addresses that the rule asks for: whoever is in one of them is known by name.
    pub fn lists(&self) -> impl Iterator<Item = &AddressSet> {
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

    /// Whether the code of a counterparty has to be read for it.
    #[must_use]
    pub fn asks_code(&self) -> bool {
        self.conditions.iter().any(|condition| matches!(condition, Condition::Code { .. }))
            || self.habits.iter().any(|habit| matches!(habit, Habit::Age { .. }))
    }

    /// Whether it says how much may be paid for being included.
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

    /// Addresses that the rule asks for one by one.
    pub fn singles(&self) -> impl Iterator<Item = Address> {
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
    /// Where it is.
    pub token: Address,
    /// Its name and decimals, as the configuration has them.
    pub unit: Unit,
}

/// Bytes behind the arguments of a call. A normal rule that names one lets it be; an abnormal one raises where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suffix {
    /// `erc8021`: an attribution and nothing else (see [`crate::abi::attribution`]).
    Erc8021,
    /// `any`: whatever stands there.
    Any,
}

impl Suffix {
    /// The word a watchlist uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Erc8021 => "erc8021",
            Self::Any => "any",
        }
    }

    /// Whether these bytes are such a suffix.
    #[must_use]
    pub fn admits(self, bytes: &[u8]) -> bool {
        self == Self::Any || attributed_codes(bytes).is_some()
    }
}

/// What ether a rule lets go along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueRule {
    /// Not said: none for a function, any for `ether` (whose other conditions and limits still bind).
    Unsaid,
    /// Within bounds, in wei.
    Within {
        /// At least.
        min: Option<U256>,
        /// At most.
        max: Option<U256>,
    },
}

/// Which function, event or movement a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeedMatch {
    /// `*`: any.
    Any,
    /// `ether`: no calldata.
    Ether,
    /// `creation`: a contract creation.
    Creation,
    /// A function by selector; the signature is for people.
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
    OneOf(Arc<[DeedMatch]>),
}

impl DeedMatch {
    /// Those that it consists of: of a list its elements, else itself.
    #[must_use]
    pub fn each(&self) -> &[Self] {
        if let Self::OneOf(several) = self { several } else { std::slice::from_ref(self) }
    }

    /// Whether it takes everything that `other` takes, `*` aside.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        other.each().iter().all(|one| self.each().contains(one))
    }

    /// What it is, as a watchlist writes it.
    #[must_use]
    pub fn text(&self) -> Arc<str> {
        match self {
            Self::Any => "*".into(),
            Self::Ether => "ether".into(),
            Self::Creation => "creation".into(),
            Self::Function { signature, .. } | Self::Event { signature, .. } => Arc::clone(signature),
            Self::MoveIn => "in".into(),
            Self::MoveOut => "out".into(),
            Self::Approval => "approval".into(),
            Self::Item(name) => (*name).into(),
            Self::OneOf(several) => several.iter().map(Self::text).collect::<Vec<_>>().join(" or ").into(),
        }
    }
}

/// One condition. A refusal names it by its key, as the watchlist writes it.
#[derive(Clone, Debug)]
pub enum Condition {
    /// `from`: the direct caller, or the party that value leaves.
    From(AddressTest),
    /// `origin`: who sent the transaction.
    Origin(AddressTest),
    /// `to`: the target, or the party that value reaches.
    To(AddressTest),
    /// `args.<path>`: the values at the path must pass, as many of them as [`Rule::elements`] says; a path that leads nowhere refuses.
    Arg {
        /// By position, so that names of whichever ABI decoded it do not matter.
        path: ArgPath,
        /// As the watchlist writes it.
        label: Arc<str>,
        /// What must hold of each value.
        tests: Vec<ArgTest>,
        /// Units of the amounts that the values are compared with.
        units: Vec<Unit>,
    },
    /// `signers`: all parts must hold; unknown signers refuse.
    Signers {
        /// How many distinct ones.
        at_least: Option<u32>,
        /// All of them must be in here.
        within: Option<AddressSet>,
        /// Each of these must be among them.
        include: Option<AddressSet>,
    },
    /// `tip`: what is paid for being included, where that is more than is usual; wei.
    Tip {
        /// At most.
        max: U256,
    },
    /// `code`: what stands at each of these addresses has one of these hashes.
    Code {
        /// Whose.
        of: Party,
        /// As the watchlist writes it.
        label: Arc<str>,
        /// Keccak-256; that of nothing stands for an account without code.
        hashes: Vec<B256>,
    },
    /// `via`: through whom it came, or inside of which call it happened.
    Via(Via),
    /// `hours`: block time falls into one of these spans.
    Hours(Hours),
    /// `outcome`: one of these. What waits may still be executed, so a normal rule about what is executed holds of it.
    Outcome(Vec<Fate>),
    /// `stage`: one of these; what is in a block is `included`, whatever came of it.
    Stage(Vec<Stage>),
}

impl Condition {
    /// Units of the amounts that an argument is compared with.
    pub fn units(&self) -> &[Unit] {
        if let Self::Arg { units, .. } = self { units } else { &[] }
    }
}

/// Through whom something came, or inside of which call it happened. What nothing shows refuses.
#[derive(Clone, Debug)]
pub enum Via {
    /// One of these made one of the calls around it, or got one.
    Party(AddressSet),
    /// It happened inside of such a call.
    Call {
        /// Which function.
        deed: DeedMatch,
        /// Whose.
        of: AddressSet,
    },
    /// One of these modules made the call to the subject.
    Module {
        /// Modules.
        module: AddressSet,
        /// What the call that asked the module names.
        role: Option<RoleKey>,
    },
}

/// A role of a Zodiac Roles modifier.
#[derive(Clone, Debug)]
pub struct RoleKey {
    /// As the watchlist writes it.
    pub text: Arc<str>,
    /// What a call may carry for it: the name as 32 bytes, its keccak-256, or a number.
    pub keys: Vec<B256>,
}

/// `in` or `not_in` on an address.
#[derive(Clone, Debug)]
pub enum AddressTest {
    /// One of these.
    In(AddressSet),
    /// None of these.
    NotIn(AddressSet),
}

/// A set of addresses with the name people know it by.
#[derive(Clone, Debug)]
pub struct AddressSet {
    /// `@grantees`, or the addresses as written.
    pub name: Arc<str>,
    /// Members.
    pub members: Arc<AddressHashSet>,
}

/// One test on an argument's value.
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

/// A bound with the unit it was written in, for the refusal's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// In the smallest unit.
    pub value: U256,
    /// The bound is below zero (only for signed arguments): `value` is its magnitude.
    pub negative: bool,
    /// What it counts.
    pub unit: Unit,
    /// The token whose unit that is, where the rule is about this token and no other.
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
    /// As the watchlist writes it.
    pub text: Arc<str>,
    /// IANA zone.
    pub zone: TimeZone,
    /// Any of these.
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

/// How much of something within a rolling window over block time, counting what this rule vouched for and what ran.
#[derive(Clone, Debug)]
pub struct Limit {
    /// What adds up.
    pub measure: Measure,
    /// At most, in the smallest unit, this activity included.
    pub max: U256,
    /// Unit of `max`.
    pub unit: Unit,
    /// The token whose unit that is, where the rule is about this token and no other.
    pub token: Option<Address>,
    /// Length of the window in seconds.
    pub per: u64,
    /// As the watchlist writes the window: `7d`.
    pub per_text: Arc<str>,
}

/// What a limit adds up.
#[derive(Clone, Debug)]
pub enum Measure {
    /// One for each.
    Count,
    /// Wei sent along.
    Value,
    /// An argument.
    Arg {
        /// By position.
        path: ArgPath,
        /// As the watchlist writes it.
        label: Arc<str>,
    },
}
