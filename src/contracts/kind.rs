//! Description of one kind of contract or account, as data and functions.

use super::announced::Announces;
use super::control::Control;
use super::shared_state::ANY_CONTRACT;
use super::state::{ItemChange, StateGroup, StateLine, StatedValue};
use crate::abi::Abi;
use crate::model::{Kind, Severity};

/// Everything that is specific to one kind. A file of this room contains one; whatever it leaves out is as in
/// [`ContractKind::BASE`], which describes a contract of which nothing is known in advance.
#[derive(Debug)]
pub struct ContractKind {
    /// Word of the kind in watchlists.
    pub word: &'static str,
    /// Contracts of this kind, in a few words, as `docs/kinds.md` lists them.
    pub about: &'static str,
    /// ABIs that every contract of the kind has. Where two have the same function, the first counts.
    pub abis: &'static [fn() -> &'static Abi],
    /// Properties on which the mechanisms of other rooms depend.
    pub properties: &'static [Property],
    /// Functions and events that change control of the contract.
    pub control: Control,
    /// Functions that the decoder opens: judged by the calls that they contain.
    pub entry_points: &'static [&'static str],
    /// Envelope by which its owners make it act.
    pub envelope: Option<Envelope>,
    /// Calls that it announces in logs of its own.
    pub announces: Option<&'static Announces>,
    /// State that is read, in this order, and what explains a change of it.
    pub state: &'static [&'static StateGroup],
    /// State items that every contract of the kind has, and true if zero counts as missing. Empty for kinds that accept
    /// contracts of many shapes.
    pub essentials: &'static [(&'static str, bool)],
    /// State item of the number of owners who have to agree, which `registry.threshold` expects.
    pub threshold_item: &'static str,
    /// Signatures of the events by which the contract reports ether that it received.
    pub ether_logs: &'static [&'static str],
    /// Events that report an execution, which is an outflow unless a visible call explains it.
    pub execution_logs: &'static [&'static str],
    /// An empty act that has a harmless meaning.
    pub normal_act: Option<NormalAct>,
    /// Functions whose unvouched call is a warning, since it has no effect by itself.
    pub quiet_calls: &'static [&'static str],
    /// Severity of an unexplained outflow of a token that the configuration lists.
    pub known_outflow: Severity,
    /// Activity that happens inside calls, leaves no log, and is only visible in traces; a noun phrase for reports.
    pub unlogged: &'static str,
    /// Facts that the decoder reads from state for this kind, as a noun phrase for reports.
    pub unread: Option<&'static str>,
}

/// Property of a kind on which a mechanism depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// Acts only through an envelope of its own. Its other actions are not those of its owners.
    Wallet,
    /// Carries out the decisions of its owners or voters, itself or through another contract, and its acts are
    /// judged one by one.
    CarriesOut,
    /// May have functions beyond those of its kind: an owner, roles or an upgrade mechanism can accompany any other
    /// function.
    Open,
    /// May stand behind a proxy, so that one of its slots names the code that it runs.
    Proxy,
    /// An account with a key, which has no code or delegated code.
    Account,
    /// Makes the calls that an ERC-4337 EntryPoint requests.
    SmartAccount,
    /// A name without an address of its own.
    Name,
    /// A token, listed by being watched.
    Token,
    /// Lets its controller move the tokens of any holder by `transferFrom`.
    MovedByController,
    /// Keeps calls waiting before it executes them, for at least `registry.delay`.
    Delays,
    /// Has executors, which `registry.open_executor` describes.
    OpenExecutor,
    /// A governor may execute its proposals through it.
    ActsForGovernors,
    /// Has roles, whose holders are found in its logs.
    Roles,
    /// Only a set of accounts may cancel: the holders of a role, an administrator, owners. A governor also lets proposers
    /// cancel their own proposals, so that a cancellation says nothing about roles there.
    ///
    /// Source: TimelockController.sol 5.x, `CANCELLER_ROLE`; Timelock.sol of Compound, `admin`; Wallet.sol of EthDev,
    /// `onlyowner`.
    RestrictedCancel,
    /// Has owners that are known only from the registry; without one, every owner is a stranger.
    OwnersKnownByRegistry,
    /// Each of its [`ContractKind::ether_logs`] that no call explains counts as an inflow of its balance.
    EtherLogsAddUp,
    /// A service lists its waiting proposals.
    ProposalService,
    /// Modules make it act without signatures of its owners.
    Modules,
    /// Passes unknown calls on to a handler, with the caller behind the calldata. Source: FallbackManager.sol.
    FallbackHandler,
    /// Counts votes, and modules of it may execute the answers of an oracle.
    Votes,
    /// A log of it is explained by the call in which it was written, because its own code decides what it logs.
    LogsFollowCalls,
}

/// Envelope that the decoder opens from calldata, by its layout and signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// `execTransaction` with signatures, and the functions of modules. Source: Safe.sol and ModuleManager.sol, Safe
    /// 1.1.1 to 1.5.0.
    SafeTransaction,
    /// `submitTransaction`, confirmed and executed by its number. Source: MultiSigWallet.sol.
    Submission,
}

/// Harmless meaning of an empty act: a call without data and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormalAct {
    /// A call to itself, which replaces a waiting transaction of the same nonce.
    Rejection,
    /// The content of a proposal that is only a text, since a proposal must contain a call.
    TextProposal,
}

/// Activity inside calls that leaves no log, for wallets and for contracts that carry out votes.
pub(super) const UNLOGGED_BY_WALLETS: &str =
    "calls from inside other contracts that log nothing, ether they bring, and ether that a module takes";
/// Fact read from state for accounts and wallets whose approvals are judged.
pub(super) const ALLOWANCES_UNREAD: &str = "whether an allowance exceeds the supply";
/// Events of the wallets whose executions are opened. Source: Safe.sol and ModuleManager.sol, Safe 1.1.1 to 1.5.0;
/// MultiSigWallet.sol.
pub(super) const WALLET_EXECUTION_LOGS: &[&str] = &["ExecutionSuccess", "ExecutionFromModuleSuccess", "Execution"];

impl ContractKind {
    /// A contract of which nothing is known in advance.
    pub const BASE: Self = Self {
        word: "contract",
        about: "anything with an ABI",
        abis: &[],
        properties: &[],
        control: Control::BASE,
        entry_points: &[],
        envelope: None,
        announces: None,
        state: ANY_CONTRACT,
        essentials: &[],
        threshold_item: "threshold",
        ether_logs: &[],
        execution_logs: &[],
        normal_act: None,
        quiet_calls: &[],
        known_outflow: Severity::High,
        unlogged: "calls from inside other contracts that log nothing, and ether that comes or goes in them",
        unread: None,
    };

    /// Returns whether the kind has this property.
    #[must_use]
    pub fn has(&self, property: Property) -> bool {
        self.properties.contains(&property)
    }

    /// Returns the ABI that every contract of the kind has, whoever wrote it.
    #[must_use]
    pub fn merged_abi(&self) -> Abi {
        self.abis.iter().fold(Abi::default(), |merged, abi| merged.merge(abi()))
    }

    /// Returns the state items that are read, in the order in which they are read.
    pub fn state_lines(&self) -> impl Iterator<Item = &'static StateLine> {
        self.state.iter().flat_map(|group| group.lines)
    }

    /// Returns whether an item of this kind is read on the slow beat alone.
    #[must_use]
    pub fn is_slow(&self, item: &str) -> bool {
        self.state_lines().filter(|line| line.item == item).all(|line| line.slow)
    }

    /// Returns the ways in which a function or event called `name` accounts for such a change of an item.
    pub fn causes_of(&self, item: &str, does: ItemChange, name: &str) -> impl Iterator<Item = StatedValue> {
        let rows = self.state.iter().flat_map(|group| group.causes);
        let rows = rows.filter(move |row| row.item == item && row.does == does);
        rows.flat_map(|row| row.by).filter(move |(known, _)| *known == name).map(|(_, says)| *says)
    }

    /// Returns the identifier by which other rooms carry the kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        Kind::from_word(self.word)
    }
}
