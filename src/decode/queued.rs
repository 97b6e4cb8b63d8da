//! Checks and decodes a transaction proposed in a Safe's queue: its hash, the owners whose valid signatures it carries,
//! and its effects.
//!
//! In: the service's data about it, and the chain's data about the Safe. Out: the activities that its execution would
//! give, at stage proposed. Nothing from the service is trusted: the hash is computed, each signer recovered, the
//! calldata decoded.
//!
//! Source: Safe.sol / GnosisSafe.sol `checkNSignatures`, `domainSeparator` of 1.1.1 to 1.5.0; EIP-1271.

mod standing;

pub use standing::{QueueState, resolve_safe_state};

use super::safe::{self, SafeExec};
use super::versions::Codes;
use super::{Decoded, Questions, Subjects, activities, allowance, code, frames, minime};
use crate::model::activity::Note;
use crate::model::proposals::{Checked, Progress, Queued, SafeState};
use crate::model::read::{Answer, Answers, Read};
use crate::model::{Fate, Known, Stage, Status, Tx};
use alloy_primitives::{Address, B256, Bytes, U256};

/// `isValidSignature(bytes,bytes)` and its return value, which Safes before 1.5.0 use to ask a contract that is an
/// owner.
const IS_VALID_LEGACY: [u8; 4] = [0x20, 0xc1, 0x3b, 0x0b];
/// `isValidSignature(bytes32,bytes)` and its return value (EIP-1271).
const IS_VALID: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];

/// The hash that the Safe's owners sign for it, from its fields and the Safe's own domain.
#[must_use]
pub fn hash(queued: &Queued, state: &SafeState) -> B256 {
    SafeExec::from_proposal(queued).hash(state.domain, queued.nonce)
}

/// Verifies each signature against the hash of the fields. Approvals that are stored only on the chain are taken from
/// `answers`.
#[must_use]
pub fn check_signatures(queued: &Queued, state: &SafeState, answers: &Answers) -> Checked {
    let hash = hash(queued, state);
    let mut checked = Checked { hash, ..Checked::default() };
    // The Safe ignores signatures of accounts that are not owners.
    let owners = queued.confirmations.iter().filter(|confirmation| state.owners.contains(&confirmation.owner));
    for confirmation in owners.take(safe::SIGNATURES_MAX) {
        let owner = confirmation.owner;
        let word = classify_signature(&confirmation.signature, owner, hash);
        let proven = match word {
            SignatureWord::By(Some(signer)) if signer == owner => Some(true),
            SignatureWord::By(signer) => {
                checked.forged.push((owner, signer));
                continue;
            }
            SignatureWord::Approved => is_hash_approved(queued.safe, owner, hash, answers, &mut checked.wanted),
            SignatureWord::Contract(signature) => {
                let preimage = safe_tx_preimage(queued, state);
                says_so(owner, hash, &preimage, &signature, answers, &mut checked.wanted)
            }
        };
        match proven {
            Some(true) if !checked.signers.contains(&owner) => checked.signers.push(owner),
            Some(true) => {}
            Some(false) => checked.unproven.push(owner),
            // Still to be asked.
            None => {}
        }
    }
    checked
}

/// Decodes the effects that the queued transaction would have, at its present progress: the activities of its execution
/// at stage `proposed`, with the cause that its hash names and the signatures that were found to be its owners'.
///
/// Like [`super::decode_block`], it is called again with the answers to its open questions.
#[must_use]
pub fn decode_proposal(
    queued: &Queued,
    checked: &Checked,
    progress: Progress,
    subjects: &Subjects,
    answers: &Answers,
) -> Decoded {
    let mut questions = Questions::new(answers);
    let tx = as_tx(queued, checked.hash);
    let mut frames = frames::open_ahead(&tx, subjects, &mut questions);
    // The code that a proxy will run at execution is not known; the code that would run now is.
    let known = Known::default();
    let mut codes = Codes::new(&[], subjects, &known);
    codes.read_calls(&mut frames, &tx, &mut questions);
    for frame in &mut frames {
        (frame.stage, frame.fate) = (Stage::Proposed, Fate::Waiting);
        frame.notes.push(Note::Queued(progress));
    }
    if let Some(outer) = frames.first_mut() {
        outer.signers = Some(checked.signers.clone());
    }
    let mut found = Vec::new();
    activities::from_frames(&mut frames, &tx, subjects, &mut found);
    activities::append_unopened_subjects(&frames, &tx, subjects, 0, &mut found);
    codes.note_implementations(&frames, &tx, 0, &mut found);
    allowance::note_oversized_allowances(&mut found, &mut questions);
    minime::note_controller_transfers(&mut found, subjects, &mut questions);
    minime::recognize_issuer(&mut found, subjects, &mut questions);
    code::look_up(&mut found, subjects, &mut questions);
    // The executor is not known yet, so the proposer takes its place as origin. The proposer is not recorded as a
    // caller: a watched owner sends no transaction by proposing.
    let proposer = queued.proposer.unwrap_or_default();
    for activity in &mut found {
        activity.origin = proposer;
        if activity.from.is_zero() {
            activity.from = proposer;
        }
    }
    Decoded { activities: found, wanted: questions.wanted, ..Decoded::default() }
}

/// Returns a transaction as if the Safe executed the proposal now. The hash is the Safe's: the hash of the executing
/// transaction is not known yet.
fn as_tx(queued: &Queued, hash: B256) -> Tx {
    Tx {
        hash,
        index: 0,
        kind: 2,
        from: Address::ZERO,
        to: Some(queued.safe),
        value: U256::ZERO,
        input: exec_transaction_calldata(queued),
        nonce: 0,
        authorizations: vec![],
        status: Status::Success,
        created: None,
        logs: vec![],
        fee: None,
        tip: None,
        bid: None,
    }
}

/// `execTransaction` with these fields and no signatures.
fn exec_transaction_calldata(queued: &Queued) -> Bytes {
    let data_at = U256::from(10 * 32);
    let padded = queued.data.len().next_multiple_of(32);
    let signatures_at = data_at + U256::from(32 + padded);
    let words = [
        queued.to.into_word(),
        queued.value.into(),
        data_at.into(),
        queued.operation.into(),
        queued.safe_tx_gas.into(),
        queued.base_gas.into(),
        queued.gas_price.into(),
        queued.gas_token.into_word(),
        queued.refund_receiver.into_word(),
        signatures_at.into(),
        U256::from(queued.data.len()).into(),
    ];
    let mut calldata = safe::EXEC_TRANSACTION.to_vec();
    calldata.extend(words.iter().flat_map(|word: &B256| word.0));
    calldata.extend_from_slice(&queued.data);
    calldata.resize(calldata.len() + padded - queued.data.len(), 0);
    calldata.extend([0; 32]);
    calldata.into()
}

/// Meaning of a signature by its own bytes.
enum SignatureWord {
    /// Signed with a key: the signer, where it can be recovered.
    By(Option<Address>),
    /// The owner is said to have called `approveHash`.
    Approved,
    /// A contract must be asked whether the signature is valid.
    Contract(Bytes),
}

fn classify_signature(signature: &Bytes, owner: Address, hash: B256) -> SignatureWord {
    let Some(part) = signature.first_chunk::<65>() else { return SignatureWord::By(None) };
    let (r, s, v) = (&part[..32], &part[32..64], part[64]);
    let named = Address::from_slice(&r[12..]);
    match v {
        0 | 1 if named != owner => SignatureWord::By(Some(named)),
        1 => SignatureWord::Approved,
        0 => contract_part(signature, s).map_or(SignatureWord::By(None), SignatureWord::Contract),
        27 | 28 => SignatureWord::By(safe::recover_signer(hash, r, s, v)),
        // `eth_sign` over the hash adds 4 to v.
        31 | 32 => SignatureWord::By(safe::recover_signer(safe::eip191_hash(hash), r, s, v - 4)),
        _ => SignatureWord::By(None),
    }
}

/// Returns the dynamic part of a contract's signature: its length, then its bytes. A service that stores each
/// confirmation separately counts the offset in s from the beginning of that confirmation. Where the offset points
/// elsewhere, the part follows immediately.
fn contract_part(signature: &Bytes, place: &[u8]) -> Option<Bytes> {
    let place = usize::try_from(U256::from_be_slice(place)).unwrap_or(65);
    [place, 65].into_iter().find_map(|at| {
        let rest = signature.get(at.max(65)..)?;
        let len = usize::try_from(U256::from_be_bytes(*rest.first_chunk::<32>()?)).ok()?;
        let bytes = rest.get(32..32usize.checked_add(len)?)?;
        Some(signature.slice_ref(bytes))
    })
}

/// Returns whether the chain records that `owner` approved `hash`; false if the node cannot return it.
fn is_hash_approved(
    safe: Address,
    owner: Address,
    hash: B256,
    answers: &Answers,
    wanted: &mut Vec<Read>,
) -> Option<bool> {
    let word = look_up_answer(standing::approval_read(safe, owner, hash), answers, wanted)?;
    Some(word.is_some_and(|word| word.iter().take(32).any(|byte| *byte != 0)))
}

/// Checks whether the contract at `owner` accepts the signature as its own, in the form of either standard.
fn says_so(
    owner: Address,
    hash: B256,
    preimage: &[u8],
    signature: &Bytes,
    answers: &Answers,
    wanted: &mut Vec<Read>,
) -> Option<bool> {
    let of_hash = [IS_VALID.as_slice(), hash.as_slice(), &number(64), &encode_bytes_tail(signature)].concat();
    let behind = 64 + encode_bytes_tail(preimage).len();
    let of_preimage = [
        IS_VALID_LEGACY.as_slice(),
        &number(64),
        &number(behind),
        &encode_bytes_tail(preimage),
        &encode_bytes_tail(signature),
    ]
    .concat();
    let asked = [(IS_VALID, of_hash), (IS_VALID_LEGACY, of_preimage)];
    let told: Vec<Option<bool>> = asked
        .into_iter()
        .map(|(magic, data)| {
            let word = look_up_answer(call_read(owner, &data), answers, wanted)?;
            Some(word.is_some_and(|word| word.starts_with(&magic)))
        })
        .collect();
    told.into_iter().try_fold(false, |valid, told| Some(valid | told?))
}

/// Returns the preimage of the hash that owners sign; Safes before 1.5.0 pass it to contracts in full.
fn safe_tx_preimage(queued: &Queued, state: &SafeState) -> Vec<u8> {
    let fields = SafeExec::from_proposal(queued).struct_hash(queued.nonce);
    [&[0x19, 0x01], state.domain.as_slice(), fields.as_slice()].concat()
}

/// Returns the answer, if it was received: data, or `None` where the call reverted or the node could not answer.
fn look_up_answer<'a>(read: Read, answers: &'a Answers, wanted: &mut Vec<Read>) -> Option<Option<&'a Bytes>> {
    match answers.get(&read) {
        Some(Answer::Data(data)) => Some(Some(data)),
        Some(Answer::Reverted | Answer::Unavailable | Answer::Traces(_)) => Some(None),
        None => {
            wanted.push(read);
            None
        }
    }
}

fn call_read(to: Address, data: &[u8]) -> Read {
    Read::Call { to, data: Bytes::copy_from_slice(data) }
}

fn number(number: usize) -> [u8; 32] {
    U256::from(number).to_be_bytes()
}

/// Encodes `bytes` as a dynamic argument: its length, the bytes, and zeros up to a full word.
fn encode_bytes_tail(bytes: &[u8]) -> Vec<u8> {
    let mut tail = [&number(bytes.len()), bytes].concat();
    tail.resize(tail.len().next_multiple_of(32), 0);
    tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::kind_named;
    use crate::decode::Subject;
    use crate::model::proposals::Confirmation;
    use crate::model::{ActivityKind, ChainId, Position, Role, WatchId};
    use k256::ecdsa::SigningKey;

    const SAFE: Address = Address::repeat_byte(0x5a);
    const CHAIN: ChainId = ChainId(1);

    fn key(n: u8) -> (Address, SigningKey) {
        let key = SigningKey::from_slice(&[n; 32]).unwrap();
        (Address::from_public_key(key.verifying_key()), key)
    }

    fn sign(key: &SigningKey, hash: B256, more: u8) -> Bytes {
        let (signature, recovery) = key.sign_prehash_recoverable(hash.as_slice()).unwrap();
        [&signature.to_bytes()[..], &[27 + more + recovery.to_byte()]].concat().into()
    }

    fn state(owners: &[Address]) -> SafeState {
        SafeState { nonce: U256::from(7), threshold: 2, owners: owners.into(), domain: safe::domains(1, SAFE)[0] }
    }

    fn queued() -> Queued {
        Queued { safe: SAFE, to: Address::repeat_byte(1), value: U256::ONE, nonce: U256::from(7), ..Queued::default() }
    }

    fn with(confirmations: &[(Address, Bytes)]) -> Queued {
        let confirmation =
            |(owner, signature): &(Address, Bytes)| Confirmation { owner: *owner, signature: signature.clone() };
        Queued { confirmations: confirmations.iter().map(confirmation).collect(), ..queued() }
    }

    /// Returns a signature whose r is `owner`, with the given s and v.
    fn named(owner: Address, s: u64, v: u8, rest: &[u8]) -> Bytes {
        [owner.into_word().as_slice(), &U256::from(s).to_be_bytes::<32>(), &[v], rest].concat().into()
    }

    #[test]
    fn signatures_count_for_their_owners_and_over_their_hash_alone() {
        let ((a, key_a), (b, key_b), (stranger, key_c)) = (key(1), key(2), key(3));
        let state = state(&[a, b]);
        let hash = hash(&queued(), &state);
        let other = hash_of_another(&state);
        let queued = with(&[
            (a, sign(&key_a, hash, 0)),
            (b, sign(&key_b, safe::eip191_hash(hash), 4)),
            (stranger, sign(&key_c, hash, 0)),
            (a, sign(&key_a, hash, 0)),
        ]);
        let checked = check_signatures(&queued, &state, &Answers::new());
        assert_eq!((checked.signers, checked.forged.len(), checked.unproven.len()), (vec![a, b], 0, 0));
        for signature in [
            sign(&key_a, other, 0),
            sign(&key_b, hash, 0),
            sign(&key_a, hash, 2),
            Bytes::from_static(&[0; 64]),
            Bytes::new(),
            Bytes::from_static(&[0xff; 65]),
        ] {
            let checked = check_signatures(&with(&[(a, signature.clone())]), &state, &Answers::new());
            assert_eq!(checked.forged.len(), 1, "{signature}");
            assert!(checked.signers.is_empty(), "{signature}");
        }
        assert_eq!(
            check_signatures(&with(&[(a, sign(&key_b, hash, 0))]), &state, &Answers::new()).forged,
            [(a, Some(b))]
        );
    }

    fn hash_of_another(state: &SafeState) -> B256 {
        hash(&Queued { value: U256::from(2), ..queued() }, state)
    }

    #[test]
    fn what_only_the_chain_can_tell_is_asked_of_it() {
        let (a, contract) = (Address::repeat_byte(0xa), Address::repeat_byte(0xc));
        let state = state(&[a, contract]);
        let inner = [U256::from(3).to_be_bytes::<32>().as_slice(), &[1, 2, 3]].concat();
        let queued = with(&[(a, named(a, 0, 1, &[])), (contract, named(contract, 65, 0, &inner))]);
        let checked = check_signatures(&queued, &state, &Answers::new());
        assert_eq!(
            (checked.signers.len(), checked.wanted.len()),
            (0, 3),
            "one approval, and two ways to ask a contract"
        );
        let answer = |answer: fn(&Read) -> Answer| {
            let answers: Answers = checked.wanted.iter().map(|read| (read.clone(), answer(read))).collect();
            check_signatures(&queued, &state, &answers)
        };
        let yes = answer(|read| match read {
            Read::Storage { .. } => Answer::Data([&[0; 31][..], &[1]].concat().into()),
            Read::Call { data, .. } if data.starts_with(&IS_VALID_LEGACY) => {
                Answer::Data([IS_VALID_LEGACY.as_slice(), &[0; 28]].concat().into())
            }
            _ => Answer::Reverted,
        });
        assert_eq!((yes.signers, yes.unproven.len()), (vec![a, contract], 0));
        let no = answer(|_| Answer::Data(vec![0; 32].into()));
        assert_eq!((no.signers.len(), no.unproven), (0, vec![a, contract]));
        let other = check_signatures(&with(&[(a, named(contract, 0, 1, &[]))]), &state, &Answers::new());
        assert_eq!(other.forged, [(a, Some(contract))], "an approval in somebody else's name is none");
    }

    fn decoded(queued: &Queued) -> Vec<crate::model::Activity> {
        let mut subjects = Subjects::new(CHAIN);
        let abi = crate::abi::bundled::safe();
        let subject = |watch, kind| Subject {
            watch: WatchId(watch),
            kind,
            abi: abi.clone().into(),
            rule_abi: Default::default(),
        };
        subjects.insert_subject(SAFE, subject(0, kind_named("safe").unwrap()));
        subjects.insert_subject(Address::repeat_byte(0xe), subject(1, kind_named("eoa").unwrap()));
        let state = state(&[]);
        let checked = check_signatures(queued, &state, &Answers::new());
        let progress = Progress { nonce: queued.nonce, confirmed: 0, threshold: 2, next: true };
        decode_proposal(queued, &checked, progress, &subjects, &Answers::new()).activities
    }

    #[test]
    fn a_queued_transaction_gives_its_envelope_and_its_act_whoever_proposes_it() {
        let owner = Address::repeat_byte(0xe);
        for proposer in [None, Some(owner), Some(SAFE), Some(Address::repeat_byte(3))] {
            let activities = decoded(&Queued { proposer, data: vec![1, 2, 3, 4, 5].into(), ..queued() });
            let kinds: Vec<_> = activities.iter().map(|activity| (activity.watch, activity.kind)).collect();
            // A watched owner who proposes sends no transaction by proposing.
            assert_eq!(kinds, [(WatchId(0), ActivityKind::Call), (WatchId(0), ActivityKind::Act)], "{proposer:?}");
            let [envelope, act] = activities.as_slice() else { panic!("two") };
            assert_eq!(envelope.position, Position::Call(vec![]));
            assert_eq!(envelope.role, Role::Envelope { carries: vec![1] });
            assert_eq!((act.stage, act.fate, act.to), (Stage::Proposed, Fate::Waiting, Some(Address::repeat_byte(1))));
            assert_eq!(act.tx, hash(&queued_with(proposer), &state(&[])), "its cause is its hash");
            assert!(activities.iter().all(|activity| activity.proposal_progress().is_some()));
        }
    }

    fn queued_with(proposer: Option<Address>) -> Queued {
        Queued { proposer, data: vec![1, 2, 3, 4, 5].into(), ..queued() }
    }

    #[test]
    fn calldata_is_what_a_wallet_would_send_so_that_nothing_about_it_is_odd() {
        for len in [0, 1, 31, 32, 33, 64] {
            let activities = decoded(&Queued { data: vec![7; len].into(), ..queued() });
            assert_eq!(activities[0].deed.decoding, crate::model::Decoding::Clean, "{len} bytes of data");
            assert_eq!(&*activities[0].deed.name, "execTransaction");
        }
    }
}
