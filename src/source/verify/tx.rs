//! Transactions as they were signed and hashed. Source: EIP-2718 for the envelope; EIP-155, EIP-2930, EIP-1559, EIP-4844 and EIP-7702
//! for the types.

use super::rlp;
use crate::model::{Authorization, Tx};
use crate::wire::seal::{Access, TxSeal};
use alloy_primitives::{Address, B256, Bytes, Signature, U256, keccak256, uint};
use alloy_rlp::{EMPTY_STRING_CODE, Encodable};

/// Reason why no encoding, and therefore no sender, of a transaction can be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSender {
    /// Transaction type whose encoding is unknown.
    #[error("type {0:#x} is not known here")]
    UnknownType(u64),
    /// Transaction of a known type that does not fit the type.
    #[error("{0}")]
    Malformed(&'static str),
}

/// Known types, by their EIP-2718 number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Legacy,
    AccessList,
    DynamicFee,
    Blob,
    SetCode,
}

/// Half the order of secp256k1: the largest `s` since EIP-2.
const S_MAX: U256 = uint!(0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0_U256);

/// Returns whether transactions of this type can be encoded.
pub(super) fn is_known(kind: u64) -> bool {
    Kind::from_type(kind).is_ok()
}

/// Returns the encoding whose hash is the transaction's hash, and which its block's root covers.
pub(super) fn encode_transaction(tx: &Tx, seal: &TxSeal) -> Result<Bytes, NoSender> {
    let kind = Kind::from_type(tx.kind)?;
    encode_enveloped(kind, tx, |out| {
        encode_unsigned_fields(kind, tx, seal, out)?;
        if kind == Kind::Legacy {
            require_field(seal.v, "it has no v")?.encode(out);
        } else {
            u8::from(signature_parity(seal)?).encode(out);
        }
        require_field(seal.r, "it has no r")?.encode(out);
        require_field(seal.s, "it has no s")?.encode(out);
        Ok(())
    })
}

/// Recovers the signer of a transaction, in about 175 µs. The sender named by the node is not used.
pub fn recover_sender(tx: &Tx, seal: &TxSeal) -> Result<Address, NoSender> {
    const NOBODY: NoSender = NoSender::Malformed("its signature is nobody's");
    let kind = Kind::from_type(tx.kind)?;
    let (r, s) = (require_field(seal.r, "it has no r")?, require_field(seal.s, "it has no s")?);
    let (y_parity, chain) = if kind == Kind::Legacy {
        legacy_v(require_field(seal.v, "it has no v")?)?
    } else {
        (signature_parity(seal)?, None)
    };
    // Before EIP-2 both halves were valid, and a transaction does not show whether its block is that old; but a
    // transaction that names its chain is newer.
    if s > S_MAX && (kind != Kind::Legacy || chain.is_some()) {
        return Err(NoSender::Malformed("its signature has a high s"));
    }
    let signed = encode_enveloped(kind, tx, |out| {
        encode_unsigned_fields(kind, tx, seal, out)?;
        if let Some(chain) = chain {
            chain.encode(out);
            out.extend_from_slice(&[EMPTY_STRING_CODE; 2]);
        }
        Ok(())
    })?;
    let signature = Signature::new(r, s, y_parity);
    signature.recover_address_from_prehash(&keccak256(signed)).map_err(|_| NOBODY)
}

/// Returns a transaction outside of a block, with its sender recovered from the signature, if its fields match its
/// hash.
pub fn by_itself(tx: Tx, seal: &TxSeal) -> Result<Tx, NoSender> {
    if keccak256(encode_transaction(&tx, seal)?) != tx.hash {
        return Err(NoSender::Malformed("its fields do not give its hash"));
    }
    let from = recover_sender(&tx, seal)?;
    Ok(Tx { from, ..tx })
}

impl Kind {
    fn from_type(kind: u64) -> Result<Self, NoSender> {
        Ok(match kind {
            0 => Self::Legacy,
            1 => Self::AccessList,
            2 => Self::DynamicFee,
            3 => Self::Blob,
            4 => Self::SetCode,
            unknown => return Err(NoSender::UnknownType(unknown)),
        })
    }
}

/// Returns the list that `fill` writes, after the type's number if it has one.
fn encode_enveloped(
    kind: Kind,
    tx: &Tx,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<(), NoSender>,
) -> Result<Bytes, NoSender> {
    // Everything except calldata fits in a few hundred bytes, unless there is a long access list.
    let mut out = Vec::with_capacity(tx.input.len() + 320);
    if kind != Kind::Legacy {
        out.push(kind as u8);
    }
    rlp::try_list(&mut out, fill)?;
    Ok(out.into())
}

/// The fields before the signature.
fn encode_unsigned_fields(kind: Kind, tx: &Tx, seal: &TxSeal, out: &mut Vec<u8>) -> Result<(), NoSender> {
    if kind != Kind::Legacy {
        require_field(seal.chain_id, "it has no chainId")?.encode(out);
    }
    tx.nonce.encode(out);
    if matches!(kind, Kind::Legacy | Kind::AccessList) {
        require_field(seal.gas_price, "it has no gasPrice")?.encode(out);
    } else {
        require_field(seal.max_priority_fee, "it has no maxPriorityFeePerGas")?.encode(out);
        require_field(seal.max_fee, "it has no maxFeePerGas")?.encode(out);
    }
    require_field(seal.gas, "it has no gas")?.encode(out);
    match tx.to {
        Some(to) => to.encode(out),
        None => out.push(EMPTY_STRING_CODE),
    }
    tx.value.encode(out);
    tx.input.encode(out);
    if kind != Kind::Legacy {
        let accesses = seal.access_list.as_deref().ok_or(NoSender::Malformed("it has no accessList"))?;
        rlp::encode_list(out, |out| accesses.iter().for_each(|access| access_item(access, out)));
    }
    if kind == Kind::Blob {
        require_field(seal.max_blob_fee, "it has no maxFeePerBlobGas")?.encode(out);
        let hashes = seal.blob_hashes.as_deref().ok_or(NoSender::Malformed("it has no blobVersionedHashes"))?;
        encode_words(hashes, out);
    }
    if kind == Kind::SetCode {
        let signed = tx.authorizations.iter().zip(&seal.authorization_parities);
        rlp::encode_list(out, |out| {
            signed.for_each(|(authorization, parity)| authorization_item(authorization, *parity, out));
        });
    } else if !tx.authorizations.is_empty() {
        return Err(NoSender::Malformed("it has authorizations, which its type cannot carry"));
    }
    Ok(())
}

fn access_item(access: &Access, out: &mut Vec<u8>) {
    rlp::encode_list(out, |out| {
        access.address.encode(out);
        encode_words(&access.keys, out);
    });
}

fn authorization_item(authorization: &Authorization, parity: u64, out: &mut Vec<u8>) {
    rlp::encode_list(out, |out| {
        authorization.chain_id.encode(out);
        authorization.address.encode(out);
        authorization.nonce.encode(out);
        parity.encode(out);
        authorization.r.encode(out);
        authorization.s.encode(out);
    });
}

fn encode_words(words: &[B256], out: &mut Vec<u8>) {
    rlp::encode_list(out, |out| words.iter().for_each(|word| word.encode(out)));
}

/// Returns the parity of a signature of type 1 or later. Some nodes write only `v`, and a few write it in the form of
/// legacy transactions; the transaction's hash confirms this reading.
fn signature_parity(seal: &TxSeal) -> Result<bool, NoSender> {
    match seal.y_parity.map(u128::from).or(seal.v) {
        Some(0 | 27) => Ok(false),
        Some(1 | 28) => Ok(true),
        // The form that EIP-155 defines for legacy transactions.
        Some(v @ 35..) => Ok((v - 35) % 2 == 1),
        Some(_) => Err(NoSender::Malformed("its yParity is neither 0 nor 1")),
        None => Err(NoSender::Malformed("it has no yParity")),
    }
}

/// Parity, and the chain that the signature is bound to since EIP-155.
fn legacy_v(v: u128) -> Result<(bool, Option<u128>), NoSender> {
    match v {
        27 | 28 => Ok((v == 28, None)),
        35.. => Ok(((v - 35) % 2 == 1, Some((v - 35) / 2))),
        _ => Err(NoSender::Malformed("its v means nothing")),
    }
}

fn require_field<T: Copy>(field: Option<T>, lack: &'static str) -> Result<T, NoSender> {
    field.ok_or(NoSender::Malformed(lack))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Status;
    use alloy_primitives::{address, b256, hex};

    /// Returns the worked example of EIP-155.
    fn example() -> (Tx, TxSeal) {
        let tx = Tx {
            hash: B256::ZERO,
            index: 0,
            kind: 0,
            from: Address::ZERO,
            to: Some(Address::repeat_byte(0x35)),
            value: U256::from(10u64.pow(18)),
            input: Bytes::new(),
            nonce: 9,
            authorizations: vec![],
            status: Status::Success,
            created: None,
            logs: vec![],
            fee: None,
            tip: None,
            bid: None,
        };
        let seal = TxSeal {
            gas: Some(21_000),
            gas_price: Some(20_000_000_000),
            v: Some(37),
            r: Some(b256!("28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276").into()),
            s: Some(b256!("67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83").into()),
            ..TxSeal::default()
        };
        (tx, seal)
    }

    #[test]
    fn the_example_of_eip_155_is_encoded_and_its_sender_recovered() {
        let (tx, seal) = example();
        let expected = hex!(
            "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025"
            "a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276"
            "a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
        );
        assert_eq!(encode_transaction(&tx, &seal).expect("a legacy transaction"), expected[..]);
        assert_eq!(recover_sender(&tx, &seal), Ok(address!("9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f")));
    }

    #[test]
    fn a_signature_that_says_nothing_is_told_from_a_type_that_is_not_known() {
        let (tx, seal) = example();
        let with_v = |v| recover_sender(&tx, &TxSeal { v, ..seal.clone() });
        assert_eq!(with_v(None), Err(NoSender::Malformed("it has no v")));
        assert_eq!(with_v(Some(2)), Err(NoSender::Malformed("its v means nothing")));
        assert_ne!(with_v(Some(u128::MAX)), recover_sender(&tx, &seal), "signed for another chain, by somebody else");
        assert_eq!(recover_sender(&Tx { kind: 5, ..tx }, &seal), Err(NoSender::UnknownType(5)));
    }

    #[test]
    fn a_high_s_is_good_only_where_it_may_be_older_than_eip_2() {
        let order = S_MAX * U256::from(2) + U256::from(1);
        let (tx, seal) = example();
        let flipped = |v| TxSeal { v: Some(v), s: seal.s.map(|s| order - s), ..seal.clone() };
        assert_eq!(recover_sender(&tx, &flipped(38)), Err(NoSender::Malformed("its signature has a high s")));
        assert!(recover_sender(&tx, &flipped(27)).is_ok());
    }
}
