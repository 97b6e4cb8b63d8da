//! The hash of a header. Source: the Yellow Paper, 4.3.4; what later forks append is in the order of EIP-1559, EIP-4895, EIP-4844,
//! EIP-4788 and EIP-7685.

use super::{Flaw, Gap, rlp};
use crate::model::Link;
use crate::wire::seal::{Header, Unknown};
use alloy_primitives::{B64, B256, keccak256};
use alloy_rlp::Encodable;

/// Unknown fields that are tried at the end of the header, in every order: at most 64 hashes of 2 µs each.
const TRIED_MAX: usize = 4;

/// Verifies the header against the block's hash. Forks append fields, so unknown ones are tried after the known ones.
/// Nodes also write fields that the headers of their chain do not have, zero or not, so shorter headers are tried as
/// well.
pub(super) fn verify_header(link: Link, header: &Header, gaps: &mut Vec<Gap>) -> Result<(), Flaw> {
    let expected = link.at.hash;
    let fields = Fields::from_header(link, header)?;
    let found = hash(&fields.encode_all());
    if found == expected || fields.shorter_encodings().any(|fields| hash(&fields) == expected) {
        return Ok(());
    }
    let unknown = &header.unknown;
    if unknown.is_empty() {
        return Err(Flaw::Header { expected, found });
    }
    let mut values: Vec<&[u8]> =
        unknown.iter().filter_map(|field| field.value.as_ref().map(|value| value.as_ref())).take(TRIED_MAX).collect();
    if !hashes_with(expected, &fields.encode_all(), &mut values) {
        gaps.push(Gap::Header(unknown.iter().map(|Unknown { name, .. }| name.clone()).collect()));
    }
    Ok(())
}

/// Encoded fields of a header.
struct Fields {
    /// Fields that every header has.
    front: Vec<u8>,
    /// `mixHash` and `nonce`, which the headers of chains without proof of work may lack.
    work: Vec<u8>,
    /// Fields appended by forks, one by one.
    tail: Vec<Vec<u8>>,
}

impl Fields {
    fn from_header(link: Link, header: &Header) -> Result<Self, Flaw> {
        fn require_field<T: Copy>(field: Option<T>, name: &'static str) -> Result<T, Flaw> {
            field.ok_or(Flaw::Lacks(name))
        }
        let (mut out, mut work) = (Vec::with_capacity(700), Vec::with_capacity(42));
        link.parent.encode(&mut out);
        require_field(header.uncles_hash, "sha3Uncles")?.encode(&mut out);
        require_field(header.miner, "miner")?.encode(&mut out);
        require_field(header.state_root, "stateRoot")?.encode(&mut out);
        require_field(header.transactions_root, "transactionsRoot")?.encode(&mut out);
        require_field(header.receipts_root, "receiptsRoot")?.encode(&mut out);
        require_field(header.logs_bloom.as_deref(), "logsBloom")?.encode(&mut out);
        require_field(header.difficulty, "difficulty")?.encode(&mut out);
        link.at.number.encode(&mut out);
        require_field(header.gas_limit, "gasLimit")?.encode(&mut out);
        require_field(header.gas_used, "gasUsed")?.encode(&mut out);
        link.time.encode(&mut out);
        require_field(header.extra_data.as_ref(), "extraData")?.encode(&mut out);
        // Chains that never had proof of work omit these two fields in their answers, and use zero in their headers.
        header.mix_hash.unwrap_or_default().encode(&mut work);
        B64::from(header.nonce.unwrap_or_default()).encode(&mut work);
        let tail = [
            header.base_fee.map(alloy_rlp::encode),
            header.withdrawals_root.map(alloy_rlp::encode),
            header.blob_gas_used.map(alloy_rlp::encode),
            header.excess_blob_gas.map(alloy_rlp::encode),
            header.parent_beacon_root.map(alloy_rlp::encode),
            header.requests_hash.map(alloy_rlp::encode),
        ];
        Ok(Self { front: out, work, tail: tail.into_iter().flatten().collect() })
    }

    /// Returns all fields, one after the other.
    fn encode_all(&self) -> Vec<u8> {
        self.up_to(true, self.tail.len())
    }

    /// Returns variants without some of the last fields, and without the proof of work: at most 13 hashes of 2 µs each,
    /// for a block that may be false.
    fn shorter_encodings(&self) -> impl Iterator<Item = Vec<u8>> {
        let lengths = (0..=self.tail.len()).rev().flat_map(|n| [(true, n), (false, n)]);
        lengths.skip(1).map(|(work, n)| self.up_to(work, n))
    }

    fn up_to(&self, work: bool, n: usize) -> Vec<u8> {
        let work: &[u8] = if work { &self.work } else { &[] };
        [&self.front, work].into_iter().chain(self.tail[..n].iter().map(Vec::as_slice)).flatten().copied().collect()
    }
}

fn hash(fields: &[u8]) -> B256 {
    let mut header = Vec::with_capacity(fields.len() + 9);
    rlp::encode_list(&mut header, |out| out.extend_from_slice(fields));
    keccak256(header)
}

/// Returns whether the fields hash to `expected` with some of these values appended, in some order.
fn hashes_with(expected: B256, fields: &[u8], values: &mut Vec<&[u8]>) -> bool {
    (0..values.len()).any(|place| {
        let value = values.remove(place);
        let mut longer = fields.to_vec();
        value.encode(&mut longer);
        let fits = hash(&longer) == expected || hashes_with(expected, &longer, values);
        values.insert(place, value);
        fits
    })
}
