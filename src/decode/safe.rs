//! Safe 1.1.1 to 1.5.0: the fields of `execTransaction`, the hash that its owners sign, and the signers.
//!
//! Source: Safe.sol / GnosisSafe.sol `execTransaction`, `encodeTransactionData`, `checkNSignatures`; SignatureDecoder.sol.

use super::frames::{Frame, FrameKind};
use super::multisig::Verb;
use super::{Questions, Subjects, decoded_call};
use crate::abi::{Budget, bundled};
use crate::contracts::Envelope;
use crate::model::activity::Note;
use crate::model::proposals::Queued;
use crate::model::read::{Answer, Read};
use crate::model::value::Value;
use crate::model::{Block, DecodedCall, Fate, Operation, Stage, Tx};
use alloy_primitives::{Address, B256, Bytes, Signature, U256, b256, keccak256};

/// `execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)`
pub(crate) const EXEC_TRANSACTION: [u8; 4] = [0x6a, 0x76, 0x12, 0x02];
/// `execTransactionFromModule(address,uint256,bytes,uint8)`
const EXEC_FROM_MODULE: [u8; 4] = [0x46, 0x87, 0x21, 0xa7];
/// `execTransactionFromModuleReturnData(address,uint256,bytes,uint8)`
const EXEC_FROM_MODULE_RETURN_DATA: [u8; 4] = [0x52, 0x29, 0x07, 0x3f];

/// `ExecutionSuccess(bytes32,uint256)`; the hash is indexed from 1.4.1 on.
pub(crate) const EXECUTION_SUCCESS: B256 = b256!("442e715f626346e8c54381002da614f62bee8d27386535b2521ec8540898556e");
/// `ExecutionFailure(bytes32,uint256)`; likewise.
pub(crate) const EXECUTION_FAILURE: B256 = b256!("23428b18acfb3ea64b08dc0c1d296ea9c09702c09083ca5272e64d115b687d23");
/// `ExecutionFromModuleSuccess(address)`
pub(crate) const MODULE_SUCCESS: B256 = b256!("6895c13664aa4f67288b25d7a21d7aaa34916e355fb9b6fae0a139a9085becb8");
/// `ExecutionFromModuleFailure(address)`
pub(crate) const MODULE_FAILURE: B256 = b256!("acd2c8702804128fdb0db2bb49f6d127dd0181c13fd45dbfe16de0930e2bd375");

/// `SafeMultiSigTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes,bytes)` of SafeL2.
pub(crate) const L2_MULTISIG: B256 = b256!("66753cd2356569ee081232e3be8909b950e0a76c1f8460c3a5e3c2be32b11bed");
/// `SafeModuleTransaction(address,address,uint256,bytes,uint8)` of SafeL2.
pub(crate) const L2_MODULE: B256 = b256!("b648d3644f584ed1c2232d53c46d87e693586486ad0d1175f8656013110b714e");

/// keccak256("SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256
/// gasPrice,address gasToken,address refundReceiver,uint256 nonce)")
const SAFE_TX_TYPEHASH: B256 = b256!("bb8310d486368db6bd6f849402fdd73ad53d316b5a4b2644ad6efe0f941286d8");
/// keccak256("EIP712Domain(uint256 chainId,address verifyingContract)"), from 1.3.0 on.
const DOMAIN_TYPEHASH: B256 = b256!("47e79534a245952e8b16893a336b85a3d9ea9fa8c573f3d803afb92a79469218");
/// keccak256("EIP712Domain(address verifyingContract)"), before 1.3.0.
const DOMAIN_TYPEHASH_OLD: B256 = b256!("035aff83d86937d35b32e04f0ddc6ff469290eef2f1b692d8a815c89404d4749");
/// `nonce()`
pub(super) const NONCE: [u8; 4] = [0xaf, 0xfe, 0xd0, 0xe0];
/// `getThreshold()`
pub(super) const GET_THRESHOLD: [u8; 4] = [0xe7, 0x52, 0x35, 0xb8];
/// `getOwners()`
const GET_OWNERS: [u8; 4] = [0xa0, 0xe6, 0x7e, 0x2b];
/// `domainSeparator()`
pub(super) const DOMAIN_SEPARATOR: [u8; 4] = [0xf6, 0x98, 0xda, 0x25];

/// `transfer(address,uint256)`
const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];
/// `checkTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes,address)`,
/// `checkAfterExecution(bytes32,bool)`, `checkModuleTransaction(address,uint256,bytes,uint8,address)`,
/// `checkAfterModuleExecution(bytes32,bool)`
const GUARD_CHECKS: [[u8; 4]; 4] =
    [[0x75, 0xf0, 0xbb, 0x52], [0x93, 0x27, 0x13, 0x68], [0x72, 0x8c, 0x29, 0x72], [0x2a, 0xcc, 0x37, 0xaa]];

/// Maximum number of signatures examined in one execution. No Safe that can execute has more signers: checking each
/// signature costs 6,000 gas and more.
pub(super) const SIGNATURES_MAX: usize = 64;
/// Maximum number of executions by which a node's answer may be ahead of the requested block. Development nodes that
/// mine meanwhile answer with the state after the next block, although they were asked at a hash.
const AHEAD_MAX: u64 = 8;

/// Returns whether a call with this selector requests an execution by a Safe.
pub(crate) fn is_exec(selector: [u8; 4]) -> bool {
    selector == EXEC_TRANSACTION || is_module_exec(selector)
}

/// Returns whether a module requests the execution.
pub(crate) fn is_module_exec(selector: [u8; 4]) -> bool {
    matches!(selector, EXEC_FROM_MODULE | EXEC_FROM_MODULE_RETURN_DATA)
}

/// Arguments of `execTransaction`.
#[derive(Clone, Debug)]
pub(crate) struct SafeExec {
    to: Address,
    value: U256,
    data: Bytes,
    operation: U256,
    safe_tx_gas: U256,
    base_gas: U256,
    gas_price: U256,
    gas_token: Address,
    refund_receiver: Address,
    signatures: Bytes,
}

impl SafeExec {
    pub(crate) fn from_call(deed: &DecodedCall) -> Option<Self> {
        Some(Self {
            to: decoded_call::address_at(deed, 0)?,
            value: decoded_call::uint_at(deed, 1)?,
            data: decoded_call::bytes_at(deed, 2)?.clone(),
            operation: decoded_call::uint_at(deed, 3)?,
            safe_tx_gas: decoded_call::uint_at(deed, 4)?,
            base_gas: decoded_call::uint_at(deed, 5)?,
            gas_price: decoded_call::uint_at(deed, 6)?,
            gas_token: decoded_call::address_at(deed, 7)?,
            refund_receiver: decoded_call::address_at(deed, 8)?,
            signatures: decoded_call::bytes_at(deed, 9)?.clone(),
        })
    }

    /// The token that pays for the execution; zero is ether, which moves without a log.
    pub(crate) fn gas_token(&self) -> Address {
        self.gas_token
    }

    /// Returns the recipient of the payment for the execution, if there is one; zero means the sender of the
    /// transaction.
    pub(crate) fn effective_refund_receiver(&self) -> Option<Address> {
        (!self.gas_price.is_zero()).then_some(self.refund_receiver)
    }

    /// Reads a proposal from the queue. It carries no signatures here: those are checked individually.
    pub(super) fn from_proposal(queued: &Queued) -> Self {
        Self {
            to: queued.to,
            value: queued.value,
            data: queued.data.clone(),
            operation: queued.operation,
            safe_tx_gas: queued.safe_tx_gas,
            base_gas: queued.base_gas,
            gas_price: queued.gas_price,
            gas_token: queued.gas_token,
            refund_receiver: queued.refund_receiver,
            signatures: Bytes::new(),
        }
    }

    /// EIP-712 hash that the owners sign, under one of the two domains.
    pub(super) fn hash(&self, domain: B256, nonce: U256) -> B256 {
        keccak256([&[0x19, 0x01], domain.as_slice(), self.struct_hash(nonce).as_slice()].concat())
    }

    /// Returns the part of the hash that depends on the fields.
    pub(super) fn struct_hash(&self, nonce: U256) -> B256 {
        let mut words = Vec::with_capacity(11 * 32);
        words.extend_from_slice(SAFE_TX_TYPEHASH.as_slice());
        words.extend_from_slice(self.to.into_word().as_slice());
        words.extend_from_slice(&self.value.to_be_bytes::<32>());
        words.extend_from_slice(keccak256(&self.data).as_slice());
        for number in [self.operation, self.safe_tx_gas, self.base_gas, self.gas_price] {
            words.extend_from_slice(&number.to_be_bytes::<32>());
        }
        words.extend_from_slice(self.gas_token.into_word().as_slice());
        words.extend_from_slice(self.refund_receiver.into_word().as_slice());
        words.extend_from_slice(&nonce.to_be_bytes::<32>());
        keccak256(words)
    }

    /// Returns the owners whose signatures the list contains, in its order, without repeats.
    ///
    /// A Safe checks as many signatures as its `threshold`; signatures after those are not read. Contract signatures (v
    /// = 0) and hashes approved beforehand (v = 1) name their owner in r. Nothing is checked here that the Safe checked
    /// before it executed; for an attempt that reverted, the result is only the claim of the signatures.
    fn recover_signers(&self, hash: B256, threshold: usize) -> Vec<Address> {
        let mut signers = Vec::new();
        // The dynamic parts of contract signatures follow the fixed parts, so the list of fixed parts ends where the
        // first dynamic part begins.
        let mut end = self.signatures.len();
        for (at, part) in self.signatures.chunks_exact(65).enumerate().take(threshold.min(SIGNATURES_MAX)) {
            if (at + 1) * 65 > end {
                break;
            }
            let (r, s, v) = (&part[..32], &part[32..64], part[64]);
            let named = Address::from_slice(&r[12..]);
            let signer = match v {
                0 => {
                    let offset = usize::try_from(U256::from_be_slice(s)).unwrap_or(usize::MAX);
                    end = end.min(offset);
                    (offset >= (at + 1) * 65).then_some(named)
                }
                1 => Some(named),
                27 | 28 => recover_signer(hash, r, s, v),
                // `eth_sign` over the hash adds 4 to v.
                31.. => recover_signer(eip191_hash(hash), r, s, v - 4),
                _ => None,
            };
            match signer {
                Some(signer) if !signers.contains(&signer) => signers.push(signer),
                Some(_) => {}
                None => break,
            }
        }
        signers
    }
}

/// Returns whether a Safe queries the guard that it was given, before or after it executes. The check does not cover
/// whether the guard is the right one.
///
/// Source: Guard interfaces of GuardManager.sol (1.3.0 on) and ModuleManager.sol (1.5.0).
pub(crate) fn asks_its_guard(frame: &Frame) -> bool {
    let asks = frame.input.first_chunk::<4>().is_some_and(|selector| GUARD_CHECKS.contains(selector));
    asks && frame.value.is_zero() && frame.operation == Operation::Call
}

/// Returns whether `paid` is the payment by a Safe for the execution that `envelope` requested, in ether or in a token.
///
/// Source: Safe.sol `handlePayment`: a zero receiver means the sender of the transaction.
pub(crate) fn pays_refund(envelope: &Frame, paid: &Frame, tx: &Tx) -> bool {
    let FrameKind::SafeExec(exec) = &envelope.shape else { return false };
    let Some(receiver) = exec.effective_refund_receiver() else { return false };
    let receiver = if receiver.is_zero() { tx.from } else { receiver };
    let amount = envelope.confirmed_by.and_then(|at| tx.logs.get(at as usize)).and_then(logged_payment);
    if exec.gas_token().is_zero() {
        return paid.input.is_empty() && paid.target == Some(receiver) && amount == Some(paid.value);
    }
    paid.target == Some(exec.gas_token())
        && paid.deed.selector == Some(TRANSFER)
        && decoded_call::address_at(&paid.deed, 0) == Some(receiver)
        && decoded_call::uint_at(&paid.deed, 1) == amount
}

/// Returns the hash that a wallet signs for `hash` by `eth_sign` (EIP-191 version 0x45).
pub(super) fn eip191_hash(hash: B256) -> B256 {
    keccak256([b"\x19Ethereum Signed Message:\n32".as_slice(), hash.as_slice()].concat())
}

pub(super) fn recover_signer(hash: B256, r: &[u8], s: &[u8], v: u8) -> Option<Address> {
    let signature = Signature::new(U256::from_be_slice(r), U256::from_be_slice(s), v == 28);
    signature.recover_address_from_prehash(&hash).ok()
}

/// Returns the two domains under which a Safe may sign: with its chain's id from 1.3.0 on, without it before.
pub(super) fn domains(chain: u64, safe: Address) -> [B256; 2] {
    let word = safe.into_word();
    let chain = U256::from(chain).to_be_bytes::<32>();
    [
        keccak256([DOMAIN_TYPEHASH.as_slice(), &chain, word.as_slice()].concat()),
        keccak256([DOMAIN_TYPEHASH_OLD.as_slice(), word.as_slice()].concat()),
    ]
}

/// Returns the Safe transaction hash in an `ExecutionSuccess` or `ExecutionFailure` log, in either layout.
pub(crate) fn logged_hash(log: &crate::model::Log) -> Option<B256> {
    match log.topics.as_slice() {
        [EXECUTION_SUCCESS | EXECUTION_FAILURE, hash] => Some(*hash),
        [EXECUTION_SUCCESS | EXECUTION_FAILURE] => log.data.first_chunk::<32>().map(B256::from),
        _ => None,
    }
}

/// Returns the payment for the execution, according to an `ExecutionSuccess` or `ExecutionFailure` log.
pub(crate) fn logged_payment(log: &crate::model::Log) -> Option<U256> {
    let words =
        if log.topics.len() == 2 { log.data.first_chunk::<32>() } else { log.data.get(32..)?.first_chunk::<32>() };
    words.map(|word| U256::from_be_bytes(*word))
}

/// Returns whether a log reports an execution by a Safe, successful or failed.
pub(crate) fn is_execution(log: &crate::model::Log) -> bool {
    matches!(log.topics.first(), Some(&EXECUTION_SUCCESS | &EXECUTION_FAILURE))
}

/// Recovers the signers of each execution of a watched Safe, and checks the hash that the Safe logged against its
/// fields.
///
/// The nonce is not in the calldata: it is the nonce at the block's end, less the number of executions that the Safe
/// logged from this one on.
pub(crate) fn recover_safe_signers(
    frames: &mut [Frame],
    block: &Block,
    tx: &Tx,
    subjects: &Subjects,
    questions: &mut Questions<'_>,
) {
    for frame in frames {
        let Some(safe) = frame.target else { continue };
        match &frame.shape {
            FrameKind::ModuleExec => frame.signers = Some(vec![]),
            FrameKind::Proposal { .. } => {
                if let Some(id) = proposal_id(frame) {
                    frame.signers = super::multisig::submission_confirmers(safe, id, questions);
                    if !frame.certain && matches!(frame.shape, FrameKind::Proposal { verb: Verb::Submit, .. }) {
                        let doubt = super::multisig::submission_doubt(&frame.deed, safe, id, questions);
                        frame.notes.extend(doubt.map(Note::Unread));
                    }
                }
            }
            FrameKind::SafeExec(exec)
                if subjects.get(&safe).is_some_and(|s| s.contract().envelope == Some(Envelope::SafeTransaction)) =>
            {
                let (signers, notes) = execution_signers(exec, frame, safe, block, tx, subjects, questions);
                frame.signers = signers;
                frame.notes.extend(notes);
            }
            FrameKind::Plain
            | FrameKind::Batch
            | FrameKind::SafeExec(_)
            | FrameKind::Told(_)
            | FrameKind::Carrier(_) => {}
            FrameKind::Operations | FrameKind::Account => {}
        }
    }
}

fn proposal_id(frame: &Frame) -> Option<U256> {
    frame.notes.iter().find_map(|note| if let Note::Submission(id) = note { Some(*id) } else { None })
}

fn execution_signers(
    exec: &SafeExec,
    frame: &Frame,
    safe: Address,
    block: &Block,
    tx: &Tx,
    subjects: &Subjects,
    questions: &mut Questions<'_>,
) -> (Option<Vec<Address>>, Vec<Note>) {
    let logged = frame.confirmed_by.and_then(|ordinal| tx.logs.get(ordinal as usize)).and_then(logged_hash);
    let nonce = query_number(safe, &NONCE, questions);
    let threshold = query_number(safe, &GET_THRESHOLD, questions).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let signers = |hash| threshold.map(|threshold| exec.recover_signers(hash, threshold));
    let before = nonce.and_then(|nonce| nonce.checked_sub(executions_from(block, tx, safe, frame.confirmed_by)));
    let hashes = |nonce| domains(subjects.chain.0, safe).map(|domain| exec.hash(domain, nonce));
    let ours = before.map(hashes);
    // The hash covers every field and the nonce, so a match under an earlier nonce proves that nonce.
    let agrees = |logged: &B256, nonce: U256| {
        (0..=AHEAD_MAX).map_while(|ahead| nonce.checked_sub(U256::from(ahead))).any(|n| hashes(n).contains(logged))
    };
    match (logged, ours) {
        (Some(logged), Some(_)) if !before.is_some_and(|nonce| agrees(&logged, nonce)) => {
            (signers(logged), vec![Note::HashMismatch])
        }
        // Only the hash shows whether a stranger's contract passed the claimed call to the Safe.
        (Some(_), None) if !frame.certain => {
            let why = "A contract that is not watched claims what the Safe executed, and the Safe's nonce could not be read to check it.";
            (None, vec![Note::Unread(why.to_owned())])
        }
        (Some(logged), _) => (signers(logged), vec![]),
        // Nothing was logged: the attempt reverted, or nothing ran yet. The domain is read from the Safe, since no log
        // shows it.
        (None, Some(ours)) if frame.fate == Fate::Reverted || frame.stage == Stage::Pending => {
            match questions.ask(Read::Call { to: safe, data: Bytes::from_static(&DOMAIN_SEPARATOR) }) {
                Some(Answer::Data(word)) => {
                    let domain = word.first_chunk::<32>().map(B256::from);
                    let at = domains(subjects.chain.0, safe).iter().position(|known| Some(*known) == domain);
                    let told = match at {
                        Some(at) if frame.stage == Stage::Pending => {
                            let owners = query_owners(safe, questions);
                            // Other executions may precede this one. Under a wrong nonce the recovered signers are not
                            // owners of the Safe.
                            let ahead = (0..=AHEAD_MAX).filter_map(|ahead| before?.checked_add(U256::from(ahead)));
                            let all = ahead.filter_map(|nonce| signers(hashes(nonce)[at]));
                            let mut own = all.filter(|all| is_enough(all, threshold, owners.as_deref()));
                            own.next()
                        }
                        Some(at) => signers(ours[at]),
                        None => None,
                    };
                    (told, vec![])
                }
                _ => (None, vec![]),
            }
        }
        (None, _) => (None, vec![]),
    }
}

/// Returns whether `signers` are all owners, and at least as many as the Safe requires: then they signed the hash from
/// which they were recovered.
fn is_enough(signers: &[Address], threshold: Option<usize>, owners: Option<&[Address]>) -> bool {
    threshold.is_some_and(|threshold| signers.len() >= threshold)
        && owners.is_some_and(|owners| signers.iter().all(|signer| owners.contains(signer)))
}

/// Returns the Safe's owners, read from the Safe at the block's end.
fn query_owners(safe: Address, questions: &mut Questions<'_>) -> Option<Vec<Address>> {
    match questions.ask(Read::Call { to: safe, data: Bytes::from_static(&GET_OWNERS) })? {
        Answer::Data(returned) => {
            let function = bundled::safe().function_by_selector(GET_OWNERS)?;
            let decoded = function.decode_output(returned, &mut Budget::default()).ok()?;
            let owners = decoded.args.first()?.value.as_array()?;
            Some(owners.iter().filter_map(Value::as_address).collect())
        }
        Answer::Reverted | Answer::Unavailable | Answer::Traces(_) => None,
    }
}

/// Returns a number that the Safe reports about itself at the block's end.
fn query_number(safe: Address, selector: &'static [u8; 4], questions: &mut Questions<'_>) -> Option<U256> {
    match questions.ask(Read::Call { to: safe, data: Bytes::from_static(selector) }) {
        Some(Answer::Data(word)) => word.first_chunk::<32>().map(|word| U256::from_be_bytes(*word)),
        _ => None,
    }
}

/// Returns the number of executions that the Safe logged in this block from the given log on; from this transaction's
/// end on for an attempt that logged nothing.
fn executions_from(block: &Block, tx: &Tx, safe: Address, from: Option<u32>) -> U256 {
    let counts = |log: &&crate::model::Log| log.address == safe && is_execution(log);
    let here = from.map_or(0, |from| tx.logs.iter().filter(|log| log.ordinal >= from).filter(counts).count());
    let later: usize = block
        .txs
        .iter()
        .filter(|other| other.index > tx.index)
        .map(|other| other.logs.iter().filter(counts).count())
        .sum();
    U256::from(here + later)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_those_of_their_signatures() {
        for (signature, selector) in [
            (
                "checkTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes,address)",
                GUARD_CHECKS[0],
            ),
            ("checkAfterExecution(bytes32,bool)", GUARD_CHECKS[1]),
            ("checkModuleTransaction(address,uint256,bytes,uint8,address)", GUARD_CHECKS[2]),
            ("checkAfterModuleExecution(bytes32,bool)", GUARD_CHECKS[3]),
            ("transfer(address,uint256)", TRANSFER),
        ] {
            assert_eq!(keccak256(signature)[..4], selector, "{signature}");
        }
    }
}
