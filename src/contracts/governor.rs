//! OpenZeppelin Governor, Governor Bravo, Aragon Voting, and the Zodiac modules that execute voted proposals.
//!
//! Source: Governor.sol and its extensions 4.x and 5.x; GovernorBravoDelegate.sol; Voting.sol of Aragon; Delay.sol, RealityModule.sol
//! and Module.sol of Zodiac; GovernanceFacet.sol of Beanstalk.

use super::announced::{
    AnnouncedCall, Announces, CallSource, GovernorTimelock, LoggedCalls, RequestedCalls, StoredCalls, Verb, bytes_at,
    parallel_list_calls, single_call, uint_at, word_at,
};
use super::control::{Control, critical_row, high_row, warning_row};
use super::kind::Property::{CarriesOut, Delays, Open, Proxy, Votes};
use super::kind::{ContractKind, NormalAct, UNLOGGED_BY_WALLETS};
use crate::abi::bundled;
use crate::model::{DecodedCall, Severity};
use alloy_primitives::{Address, Bytes, U256};

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
    announces: Some(&Announces {
        proposes: "ProposalCreated",
        carries_out: "ProposalExecuted",
        by_log: calls_in_log,
        by_call: requested_calls,
        companions: &[("ProposalQueued(uint256,uint256)", 0)],
        log_per_call: false,
        by_others: true,
        timelock: Some(GovernorTimelock { view: TIMELOCK, by_call: timelock_calls }),
    }),
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

/// `timelock()`. Source: GovernorTimelockControl.sol and GovernorTimelockCompound.sol of OpenZeppelin; GovernorBravoDelegateStorageV1.
const TIMELOCK: [u8; 4] = [0xd3, 0x32, 0x19, 0xb4];

/// Maximum number of calls that are followed in an Aragon script, which is far above what a vote can execute in a block.
const SCRIPT_CALLS_MAX: usize = 256;

/// Calls of a proposal. Its number is the hash of the encoded arguments, so that matching arguments are the proposal's
/// calls, no matter who passed them on. Source: Governor.sol `getProposalId`; GovernorBravoDelegate.sol `getActions`;
/// GovernorStorage.sol `proposalDetails`.
static PROPOSAL: StoredCalls = StoredCalls {
    bound_by: Some(("execute(address[],uint256[],bytes[],bytes32)", |deed| parallel_list_calls(deed, 0, 1, None, 2))),
    views: &[
        ("getActions(uint256)", |deed| parallel_list_calls(deed, 0, 1, Some(2), 3).filter(|calls| !calls.is_empty())),
        ("proposalDetails(uint256)", |deed| parallel_list_calls(deed, 0, 1, None, 2).filter(|calls| !calls.is_empty())),
    ],
    unread: |id| format!("What proposal {id} does could not be read from the governor."),
};

/// Calls of a vote. Source: Voting.sol of Aragon, `getVote`.
static VOTE: StoredCalls = StoredCalls {
    bound_by: None,
    views: &[("getVote(uint256)", |deed| parse_evm_script(bytes_at(deed, 9)?))],
    unread: |id| format!("What vote {id} is about could not be read from the contract."),
};

/// Reads the calls in a log, or the number of a proposal whose calls the governor stores.
fn calls_in_log(deed: &DecodedCall, _: u64) -> Option<LoggedCalls> {
    let stored = |calls: &'static StoredCalls| Some(CallSource::Stored(calls, uint_at(deed, 0)?));
    let (verb, id, calls) = match &*deed.signature {
        "ProposalCreated(uint256,address,address[],uint256[],string[],bytes[],uint256,uint256,string)" => {
            let calls = parallel_list_calls(deed, 2, 3, Some(4), 5)?;
            (Verb::Proposes, word_at(deed, 0), CallSource::Listed(calls))
        }
        "TransactionAdded(uint256,bytes32,address,uint256,bytes,uint8)" => {
            (Verb::Proposes, word_at(deed, 1), CallSource::Listed(single_call(deed, 2, 3, 4)?))
        }
        "ProposalExecuted(uint256)" => (Verb::CarriesOut, word_at(deed, 0), stored(&PROPOSAL)?),
        "StartVote(uint256,address,string)" => (Verb::Proposes, word_at(deed, 0), stored(&VOTE)?),
        "ExecuteVote(uint256)" => (Verb::CarriesOut, word_at(deed, 0), stored(&VOTE)?),
        _ => return None,
    };
    Some(LoggedCalls { verb, id, delay: None, calls })
}

/// Reads the calls that a call proposes or executes.
fn requested_calls(deed: &DecodedCall) -> Option<RequestedCalls> {
    let stored = |stored: &'static StoredCalls| RequestedCalls {
        id: word_at(deed, 0),
        stored: Some(stored),
        ..RequestedCalls::new(Verb::CarriesOut, None)
    };
    match &*deed.signature {
        "propose(address[],uint256[],bytes[],string)" => {
            Some(RequestedCalls::new(Verb::Proposes, parallel_list_calls(deed, 0, 1, None, 2)))
        }
        "propose(address[],uint256[],string[],bytes[],string)" => {
            Some(RequestedCalls::new(Verb::Proposes, parallel_list_calls(deed, 0, 1, Some(2), 3)))
        }
        "execute(address[],uint256[],bytes[],bytes32)" => {
            Some(RequestedCalls::new(Verb::CarriesOut, parallel_list_calls(deed, 0, 1, None, 2)))
        }
        "execute(uint256)" => Some(stored(&PROPOSAL)),
        "executeVote(uint256)" => Some(stored(&VOTE)),
        "newVote(bytes,string)" | "newVote(bytes,string,bool,bool)" | "forward(bytes)" => {
            let calls = parse_evm_script(bytes_at(deed, 0)?)?;
            Some(RequestedCalls { must: false, ..RequestedCalls::new(Verb::Proposes, Some(calls)) })
        }
        "execTransactionFromModule(address,uint256,bytes,uint8)" => {
            Some(RequestedCalls { must: false, ..RequestedCalls::new(Verb::Proposes, single_call(deed, 0, 1, 2)) })
        }
        _ => None,
    }
}

/// Reads a call that makes the governor's timelock announce calls: it schedules a queued proposal and executes an
/// executed one.
fn timelock_calls(deed: &DecodedCall) -> Option<(Verb, CallSource)> {
    let verb = match &*deed.name {
        "queue" => Verb::Proposes,
        "execute" => Verb::CarriesOut,
        _ => return None,
    };
    let calls = match &*deed.signature {
        "queue(address[],uint256[],bytes[],bytes32)" | "execute(address[],uint256[],bytes[],bytes32)" => {
            CallSource::Listed(parallel_list_calls(deed, 0, 1, None, 2)?)
        }
        "queue(uint256)" | "execute(uint256)" => CallSource::Stored(&PROPOSAL, uint_at(deed, 0)?),
        _ => return None,
    };
    Some((verb, calls))
}

/// Returns the calls of an EVM script: `0x00000001`, then for each call its target, the length of its calldata in four
/// bytes, and the calldata. An empty script has no calls. `None` where the script has another form.
fn parse_evm_script(text: &Bytes) -> Option<Vec<AnnouncedCall>> {
    if text.is_empty() {
        return Some(vec![]);
    }
    let mut at = text.strip_prefix(&[0, 0, 0, 1]).map(|_| 4)?;
    let mut calls = Vec::new();
    while at < text.len() {
        let to = Address::from_slice(text.get(at..at + 20)?);
        let len = text.get(at + 20..)?.first_chunk::<4>().map(|len| u32::from_be_bytes(*len) as usize)?;
        let from = at + 24;
        text.get(from..from.checked_add(len)?)?;
        if calls.len() >= SCRIPT_CALLS_MAX {
            return None;
        }
        calls.push(AnnouncedCall { to: Some(to), value: U256::ZERO, data: text.slice(from..from + len) });
        at = from + len;
    }
    Some(calls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn the_view_is_that_of_its_name() {
        assert_eq!(keccak256("timelock()")[..4], TIMELOCK);
    }

    #[test]
    fn a_script_is_read_to_its_end_or_not_at_all() {
        let call =
            |to: u8, data: &[u8]| [&[to; 20][..], &u32::try_from(data.len()).unwrap_or(0).to_be_bytes(), data].concat();
        let text: Bytes = [&[0, 0, 0, 1][..], &call(7, b"abcd"), &call(8, b"")].concat().into();
        let calls = parse_evm_script(&text).unwrap_or_default();
        assert_eq!(
            calls.iter().map(|call| (call.to, &call.data[..])).collect::<Vec<_>>(),
            [(Some(Address::repeat_byte(7)), &b"abcd"[..]), (Some(Address::repeat_byte(8)), &b""[..]),]
        );
        assert_eq!(parse_evm_script(&Bytes::new()), Some(vec![]));
        for cut in 1..text.len() {
            let whole = [4, 4 + 28].contains(&cut);
            assert_eq!(parse_evm_script(&text.slice(..cut)).is_some(), whole, "{cut}");
        }
        assert_eq!(parse_evm_script(&Bytes::from_static(&[0, 0, 0, 2])), None);
    }
}
