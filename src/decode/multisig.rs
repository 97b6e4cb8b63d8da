//! The legacy Gnosis/ConsenSys MultiSigWallet: its payload is stored at submission and executed inside the last
//! confirmation, whose own calldata is only a number.
//!
//! Source: MultiSigWallet.sol and MultiSigWalletWithDailyLimit.sol (solc 0.4).

use super::{Questions, decoded_call};
use crate::abi::{Budget, bundled};
use crate::model::DecodedCall;
use crate::model::read::{Answer, Read};
use alloy_primitives::{Address, B256, Bytes, U256, b256};

/// `Submission(uint256)`
pub(crate) const SUBMISSION: B256 = b256!("c0ba8fe4b176c1714197d43b9cc6bcf797a4a7461c5fe8d0ef6e184ae7601e51");
/// `Confirmation(address,uint256)`
pub(crate) const CONFIRMATION: B256 = b256!("4a504a94899432a9846e1aa406dceb1bcfd538bb839071d49d1e5e23f5be30ef");
/// `Execution(uint256)`
pub(crate) const EXECUTION: B256 = b256!("33e13ecb54c3076d8e8bb8c2881800a4d972b792045ffae98fdf46df365fed75");
/// `ExecutionFailure(uint256)`
pub(crate) const EXECUTION_FAILURE: B256 = b256!("526441bb6c1aba3c9a4a6ca1d6545da9c2333c8c48343ef398eb858d72b79236");

const SUBMIT: [u8; 4] = [0xc6, 0x42, 0x74, 0x74];
const CONFIRM: [u8; 4] = [0xc0, 0x1a, 0x8c, 0x84];
const EXECUTE: [u8; 4] = [0xee, 0x22, 0x61, 0x0b];
/// `transactions(uint256)`
const TRANSACTIONS: [u8; 4] = [0x9a, 0xce, 0x38, 0xc2];
/// `getConfirmations(uint256)`
const GET_CONFIRMATIONS: [u8; 4] = [0xb5, 0xdc, 0x40, 0xc3];

/// Action of an envelope of the wallet on its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Stores it, and confirms it in the submitter's name.
    Submit,
    /// Confirms it; the last confirmation executes.
    Confirm,
    /// Executes it, if it is confirmed or within the daily limit.
    Execute,
}

impl Verb {
    pub(crate) fn from_selector(selector: [u8; 4]) -> Option<Self> {
        match selector {
            SUBMIT => Some(Self::Submit),
            CONFIRM => Some(Self::Confirm),
            EXECUTE => Some(Self::Execute),
            _ => None,
        }
    }
}

/// Call that a proposal would make.
pub(crate) enum MultisigPayload {
    /// Call to another contract, executed.
    Is { to: Address, value: U256, data: Bytes },
    /// The node is being asked.
    Asked,
    /// The submission does not exist: the id was never submitted, so the call does nothing or reverts.
    None,
    /// The node could not answer; the text gives the consequence.
    Unread(String),
}

pub(crate) fn submission_payload(
    deed: &DecodedCall,
    verb: Verb,
    wallet: Address,
    id: Option<U256>,
    questions: &mut Questions<'_>,
    budget: &mut Budget,
) -> MultisigPayload {
    if verb == Verb::Submit {
        let parts =
            (decoded_call::address_at(deed, 0), decoded_call::uint_at(deed, 1), decoded_call::bytes_at(deed, 2));
        return match parts {
            (Some(to), Some(value), Some(data)) => MultisigPayload::Is { to, value, data: data.clone() },
            _ => MultisigPayload::Unread("The submission's payload cannot be decoded.".to_owned()),
        };
    }
    let Some(id) = id else { return MultisigPayload::Unread("The submission's id cannot be decoded.".to_owned()) };
    match questions.ask(Read::Call { to: wallet, data: encode_id_call(TRANSACTIONS, id) }) {
        None => MultisigPayload::Asked,
        Some(Answer::Data(returned)) => {
            let decoded = bundled::multisig_wallet()
                .function_by_selector(TRANSACTIONS)
                .and_then(|function| function.decode_output(returned, budget).ok());
            let args = decoded.map(|decoded| decoded.args).unwrap_or_default();
            match args.as_slice() {
                [to, value, data, ..] => match (to.value.as_address(), value.value.as_uint(), data.value.as_bytes()) {
                    (Some(to), Some(value), Some(data)) if to.is_zero() && value.is_zero() && data.is_empty() => {
                        MultisigPayload::None
                    }
                    (Some(to), Some(value), Some(data)) => MultisigPayload::Is { to, value, data: data.clone() },
                    _ => {
                        MultisigPayload::Unread(format!("The wallet's answer about submission {id} cannot be decoded."))
                    }
                },
                _ => MultisigPayload::Unread(format!("The wallet's answer about submission {id} cannot be decoded.")),
            }
        }
        Some(Answer::Reverted | Answer::Unavailable | Answer::Traces(_)) => {
            MultisigPayload::Unread(format!("What submission {id} does could not be read from the node."))
        }
    }
}

/// Returns the reason to doubt a submission that an unwatched contract claims: the wallet recorded another one, or
/// cannot be queried.
pub(crate) fn submission_doubt(
    deed: &DecodedCall,
    wallet: Address,
    id: U256,
    questions: &mut Questions<'_>,
) -> Option<String> {
    let claimed =
        (decoded_call::address_at(deed, 0)?, decoded_call::uint_at(deed, 1)?, decoded_call::bytes_at(deed, 2)?);
    match submission_payload(deed, Verb::Confirm, wallet, Some(id), questions, &mut Budget::default()) {
        MultisigPayload::Is { to, value, data } if (to, value, &data) == claimed => None,
        MultisigPayload::None if claimed.0.is_zero() && claimed.1.is_zero() && claimed.2.is_empty() => None,
        MultisigPayload::Is { .. } | MultisigPayload::None => Some(format!(
            "A contract that is not watched claims submission {id}, and the wallet wrote down something else."
        )),
        MultisigPayload::Asked => None,
        MultisigPayload::Unread(why) => Some(why),
    }
}

/// Returns the owners that confirmed submission `id`, if the node returns them.
pub(crate) fn submission_confirmers(wallet: Address, id: U256, questions: &mut Questions<'_>) -> Option<Vec<Address>> {
    match questions.ask(Read::Call { to: wallet, data: encode_id_call(GET_CONFIRMATIONS, id) })? {
        Answer::Data(returned) => {
            let function = bundled::multisig_wallet().function_by_selector(GET_CONFIRMATIONS)?;
            let decoded = function.decode_output(returned, &mut Budget::default()).ok()?;
            let owners = decoded.args.first()?.value.as_array()?;
            Some(owners.iter().filter_map(crate::model::value::Value::as_address).collect())
        }
        Answer::Reverted | Answer::Unavailable | Answer::Traces(_) => None,
    }
}

fn encode_id_call(selector: [u8; 4], number: U256) -> Bytes {
    [selector.as_slice(), &number.to_be_bytes::<32>()].concat().into()
}
