//! OpenZeppelin Governor, Governor Bravo, Aragon Voting, and the Zodiac modules that execute voted proposals.
//!
//! Source: Governor.sol and its extensions 4.x and 5.x; GovernorBravoDelegate.sol; Voting.sol of Aragon; Delay.sol, RealityModule.sol
//! and Module.sol of Zodiac; GovernanceFacet.sol of Beanstalk.

use super::table::{Table, critical, high, names_say_all, warning};
use crate::model::{Kind, Severity};

pub(crate) static TABLE: Table = Table {
    kind: Kind::Governor,
    unreadable: Severity::Critical,
    functions: &[
        critical("emergencyCommit", "a proposal is carried out before its time"),
        critical("relay", "the governor calls something by itself"),
        critical("updateTimelock", "the timelock is replaced"),
        critical("setVotingDelay", "the time before a vote changes"),
        critical("setVotingPeriod", "the time for a vote changes"),
        critical("setProposalThreshold", "who may propose changes"),
        critical("updateQuorumNumerator", "the quorum changes"),
        critical("_setVotingDelay", "the time before a vote changes"),
        critical("_setVotingPeriod", "the time for a vote changes"),
        critical("_setProposalThreshold", "who may propose changes"),
        high("_setWhitelistAccountExpiration", "an account may propose below the threshold"),
        high("_setWhitelistGuardian", "who may list accounts changes"),
        critical("_setPendingAdmin", "the administrator is to change"),
        critical("_acceptAdmin", "the administrator changes"),
        critical("_setImplementation", "the governor's code is replaced"),
        critical("changeSupportRequiredPct", "the share of votes required changes"),
        critical("changeMinAcceptQuorumPct", "the quorum changes"),
        critical("setAvatar", "the Safe that the module acts on is replaced"),
        critical("setTarget", "where the module sends its calls changes"),
        critical("setTxCooldown", "the delay changes"),
        critical("setTxExpiration", "how long a queued call is good changes"),
        critical("setArbitrator", "who decides a disputed answer changes"),
        high("setTxNonce", "queued calls are skipped"),
        high("setQuestionTimeout", "the time to dispute an answer changes"),
        high("setQuestionCooldown", "the time between an answer and its execution changes"),
        high("setAnswerExpiration", "how long an answer is good changes"),
        high("setMinimumBond", "what an answer costs at least changes"),
        high("markProposalAsInvalid", "a proposal is made invalid"),
        warning("cancel", "a proposal is cancelled"),
    ],
    events: &[
        critical("TimelockChange", "the timelock was replaced"),
        critical("QuorumNumeratorUpdated", "the quorum changed"),
        critical("VotingDelaySet", "the time before a vote changed"),
        critical("VotingPeriodSet", "the time for a vote changed"),
        critical("ProposalThresholdSet", "who may propose changed"),
        critical("NewImplementation", "the governor's code was replaced"),
        critical("NewPendingAdmin", "the administrator is to change"),
        critical("NewAdmin", "the administrator changed"),
        high("WhitelistAccountExpirationSet", "an account may propose below the threshold"),
        high("WhitelistGuardianSet", "who may list accounts changed"),
        critical("ChangeSupportRequired", "the share of votes required changed"),
        critical("ChangeMinQuorum", "the quorum changed"),
        critical("SetPermission", "a permission was given or taken"),
        critical("AvatarSet", "the Safe that the module acts on was replaced"),
        critical("TargetSet", "where the module sends its calls changed"),
        critical("TxCooldownSet", "the delay changed"),
        critical("TxExpirationSet", "how long a queued call is good changed"),
        high("TxNonceSet", "queued calls were skipped"),
        high("LogNewAnswer", "an answer was given to a question whose answer executes a proposal"),
        high("ProposalQuestionCreated", "a question was asked whose answer executes a proposal"),
        warning("ProposalCanceled", "a proposal was cancelled"),
    ],
    public: PUBLIC,
    gates: &[],
    weigh: names_say_all,
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
