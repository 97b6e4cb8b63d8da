//! OpenZeppelin Governor, Governor Bravo, Aragon Voting, and the Zodiac modules that execute voted proposals.
//!
//! Source: Governor.sol and its extensions 4.x and 5.x; GovernorBravoDelegate.sol; Voting.sol of Aragon; Delay.sol, RealityModule.sol
//! and Module.sol of Zodiac; GovernanceFacet.sol of Beanstalk.

use super::control::{Control, critical_row, high_row, warning_row};
use super::kind::Property::{CarriesOut, Delays, Open, Proxy, Votes};
use super::kind::{ContractKind, NormalAct, UNLOGGED_BY_WALLETS};
use crate::abi::bundled;
use crate::model::Severity;

/// Kind of this file, as [`super::CONTRACTS`] lists it.
pub(super) static CONTRACT: ContractKind = ContractKind {
    word: "governor",
    about: "OpenZeppelin Governor, Alpha and Bravo, Aragon Voting, Zodiac modules",
    abis: &[bundled::governor, bundled::zodiac],
    properties: &[CarriesOut, Open, Proxy, Delays, Votes],
    entry_points: &["propose", "execute", "newVote", "executeVote", "forward"],
    normal_act: Some(NormalAct::TextProposal),
    unlogged: UNLOGGED_BY_WALLETS,
    unread: Some("what is executed of a proposal that was made earlier"),
    control: Control {
        unreadable: Severity::Critical,
        functions: &[
            critical_row("emergencyCommit", "a proposal is carried out before its time"),
            critical_row("relay", "the governor calls something by itself"),
            critical_row("updateTimelock", "the timelock is replaced"),
            critical_row("setVotingDelay", "the time before a vote changes"),
            critical_row("setVotingPeriod", "the time for a vote changes"),
            critical_row("setProposalThreshold", "who may propose changes"),
            critical_row("updateQuorumNumerator", "the quorum changes"),
            critical_row("_setVotingDelay", "the time before a vote changes"),
            critical_row("_setVotingPeriod", "the time for a vote changes"),
            critical_row("_setProposalThreshold", "who may propose changes"),
            high_row("_setWhitelistAccountExpiration", "an account may propose below the threshold"),
            high_row("_setWhitelistGuardian", "who may list accounts changes"),
            critical_row("_setPendingAdmin", "the administrator is to change"),
            critical_row("_acceptAdmin", "the administrator changes"),
            critical_row("_setImplementation", "the governor's code is replaced"),
            critical_row("changeSupportRequiredPct", "the share of votes required changes"),
            critical_row("changeMinAcceptQuorumPct", "the quorum changes"),
            critical_row("setAvatar", "the Safe that the module acts on is replaced"),
            critical_row("setTarget", "where the module sends its calls changes"),
            critical_row("setTxCooldown", "the delay changes"),
            critical_row("setTxExpiration", "how long a queued call is good changes"),
            critical_row("setArbitrator", "who decides a disputed answer changes"),
            high_row("setTxNonce", "queued calls are skipped"),
            high_row("setQuestionTimeout", "the time to dispute an answer changes"),
            high_row("setQuestionCooldown", "the time between an answer and its execution changes"),
            high_row("setAnswerExpiration", "how long an answer is good changes"),
            high_row("setMinimumBond", "what an answer costs at least changes"),
            high_row("markProposalAsInvalid", "a proposal is made invalid"),
            warning_row("cancel", "a proposal is cancelled"),
        ],
        events: &[
            critical_row("TimelockChange", "the timelock was replaced"),
            critical_row("QuorumNumeratorUpdated", "the quorum changed"),
            critical_row("VotingDelaySet", "the time before a vote changed"),
            critical_row("VotingPeriodSet", "the time for a vote changed"),
            critical_row("ProposalThresholdSet", "who may propose changed"),
            critical_row("NewImplementation", "the governor's code was replaced"),
            critical_row("NewPendingAdmin", "the administrator is to change"),
            critical_row("NewAdmin", "the administrator changed"),
            high_row("WhitelistAccountExpirationSet", "an account may propose below the threshold"),
            high_row("WhitelistGuardianSet", "who may list accounts changed"),
            critical_row("ChangeSupportRequired", "the share of votes required changed"),
            critical_row("ChangeMinQuorum", "the quorum changed"),
            critical_row("SetPermission", "a permission was given or taken"),
            critical_row("AvatarSet", "the Safe that the module acts on was replaced"),
            critical_row("TargetSet", "where the module sends its calls changed"),
            critical_row("TxCooldownSet", "the delay changed"),
            critical_row("TxExpirationSet", "how long a queued call is good changed"),
            high_row("TxNonceSet", "queued calls were skipped"),
            high_row("LogNewAnswer", "an answer was given to a question whose answer executes a proposal"),
            high_row("ProposalQuestionCreated", "a question was asked whose answer executes a proposal"),
            warning_row("ProposalCanceled", "a proposal was cancelled"),
        ],
        public: PUBLIC,
        elsewhere: true,
        ..Control::BASE
    },
    ..ContractKind::BASE
};

/// Votes, and functions that advance an already decided proposal. A vote is one of many and pages no one.
const PUBLIC: &[&str] = &[
    "castVote",
    "castVoteWithReason",
    "castVoteWithReasonAndParams",
    "castVoteBySig",
    "castVoteWithReasonAndParamsBySig",
    "vote",
    "queue",
    "VoteCast",
    "VoteCastWithParams",
    "CastVote",
    "ProposalQueued",
];
