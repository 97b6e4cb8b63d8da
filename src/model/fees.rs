//! The fee of a transaction, with one function for each family of chains.
//!
//! Input: the fields that the sender signed, the block's base fee, and the receipt. Output: a [`Fee`], exact where
//! every part is known, otherwise its bounds and the name of the missing part. Most prices in a receipt are not covered
//! by a hash, so they are accepted only up to the signed limit: gas costs at most its limit times the price that was
//! offered, whatever a node reports. A rollup's data fee is not signed by any party; it has bounds of its own.

use alloy_primitives::U256;

/// Fee that a transaction costs its sender, in wei.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fee {
    /// Lower bound.
    pub least: U256,
    /// Upper bound.
    pub most: U256,
    /// The part that the node does not report, or reports above the signed limit; absent where the fee is exact.
    pub lacks: Option<&'static str>,
}

/// All values that determine a fee. A value is absent if the node left it out or wrote it in an unreadable form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Charged {
    /// EIP-155 id that the transaction is signed for.
    pub(crate) chain: Option<u64>,
    /// EIP-2718 type.
    pub(crate) kind: u64,
    /// Maximum gas that it may use.
    pub(crate) gas_limit: Option<u64>,
    /// Gas used: derived from the receipts root where receipts have cumulative gas, otherwise as the receipt states it.
    pub(crate) gas_used: Option<u64>,
    /// Wei for each unit of gas, as signed in types 0 and 1.
    pub(crate) gas_price: Option<u128>,
    /// EIP-1559, signed.
    pub(crate) max_fee: Option<u128>,
    /// Base fee of the block.
    pub(crate) base_fee: Option<u128>,
    /// As stated in the receipt.
    pub(crate) effective_price: Option<u128>,
    /// EIP-4844, signed: number of blobs, and wei for each unit of their gas.
    pub(crate) blobs: usize,
    pub(crate) max_blob_fee: Option<u128>,
    /// As stated in the receipt.
    pub(crate) blob_price: Option<u128>,
    /// Length of the calldata in bytes.
    pub(crate) n_bytes: usize,
    /// The fee is paid in a token (CIP-64), or by another party (a zkSync paymaster).
    pub(crate) paid_otherwise: bool,
    /// Additional receipt fields of some chain families.
    pub(crate) extra: Extra,
    /// True if the header encodes its parameters as the OP Stack does since Jovian.
    pub(crate) since_jovian: bool,
}

/// Fields of receipts that only some families have.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extra {
    /// OP Stack, Scroll: the data fee.
    pub(crate) l1_fee: Option<U256>,
    /// OP Stack since Isthmus.
    pub(crate) operator_scalar: Option<u64>,
    /// OP Stack since Isthmus.
    pub(crate) operator_constant: Option<u64>,
    /// Mantle: units of its own coin for one of Ethereum's.
    pub(crate) token_ratio: Option<u64>,
}

/// Chains with the same fee model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// Gas, and blobs.
    Ethereum,
    /// Gas, data and an operator fee.
    OpStack,
    /// Gas in the chain's own coin, with the data fee included.
    Mantle,
    /// Gas only, at the base fee regardless of the price that was offered.
    Arbitrum,
    /// Gas only, with refunds subtracted.
    ZkSync,
    /// Gas, and a share of the unused gas limit.
    Filecoin,
}

/// Chains whose fee is known to consist of gas and blobs only: additional fees reported by their nodes are ignored. Ids
/// as in ethereum-lists/chains: Ethereum and its test networks, BNB Chain, Gnosis, Polygon, Fantom, Avalanche, Linea.
const PLAIN: &[u64] =
    &[1, 17_000, 560_048, 11_155_111, 56, 97, 100, 10_200, 137, 80_002, 250, 43_113, 43_114, 59_141, 59_144];
/// Members of the OP Stack's superchain registry whose coin is ether, and their test networks.
const OP_STACK: &[u64] =
    &[10, 130, 252, 480, 1_135, 1_301, 1_868, 8_453, 34_443, 57_073, 84_532, 7_777_777, 11_155_420, 81_457];
const MANTLE: &[u64] = &[5_000, 5_003];
const ARBITRUM: &[u64] = &[42_161, 42_170, 421_614];
const ZKSYNC: &[u64] = &[300, 324, 2_741, 11_124, 232, 37_111];
const FILECOIN: &[u64] = &[314, 314_159];

/// Type of a deposit on the OP Stack, which was paid for on L1. Source: OP Stack specification, deposits.
const OP_DEPOSIT: u64 = 0x7e;
/// Nitro's unsigned transaction types, from deposits to system transactions. Source: Nitro, arbos/arbostypes.
const ARBITRUM_OWN: std::ops::RangeInclusive<u64> = 0x64..=0x6a;
/// Gas of one blob. Source: EIP-4844.
const GAS_PER_BLOB: u64 = 1 << 17;
/// Upper bound of the L1 gas price, which determines the price of data, in wei for each unit of gas. The highest prices
/// so far were a tenth of it.
const L1_PRICE_MAX: u64 = 20_000_000_000_000;
/// Gas of a byte of calldata (EIP-2028), and number of bytes beside calldata: the signature, the fixed fields, the
/// rollup's additions.
const L1_GAS_PER_BYTE: u64 = 16;
const L1_BYTES_BESIDE: usize = 300;
/// Maximum accepted constant of an operator fee, in wei, because no other source confirms it: a hundredth of an ether.
const OPERATOR_CONSTANT_MAX: u64 = 10_000_000_000_000_000;
/// Gas limit that is assumed where a node leaves the limit out: that of a whole block of Ethereum.
const GAS_MAX: u64 = 60_000_000;
/// Price that is assumed where no offered price is known, in wei for each unit of gas.
const PRICE_MAX: u128 = 20_000_000_000_000;

impl Fee {
    /// Returns a fee that is known exactly.
    #[must_use]
    pub const fn exact(wei: U256) -> Self {
        Self { least: wei, most: wei, lacks: None }
    }

    fn between(least: U256, most: U256, lacks: &'static str) -> Self {
        Self { least: least.min(most), most, lacks: Some(lacks) }
    }

    /// Returns the sum of both.
    fn combined_with(self, other: Self) -> Self {
        Self {
            least: self.least.saturating_add(other.least),
            most: self.most.saturating_add(other.most),
            lacks: self.lacks.or(other.lacks),
        }
    }
}

/// Returns the fee that the transaction costs its sender.
pub(crate) fn transaction_fee(of: &Charged) -> Fee {
    match chain_family(of) {
        Family::Ethereum => ethereum_fee(of),
        Family::OpStack => op_stack(of),
        Family::Mantle => mantle_fee(of),
        Family::Arbitrum => arbitrum_fee(of),
        Family::ZkSync => zksync_fee(of),
        Family::Filecoin => filecoin_fee(of),
    }
}

/// Selects the family by the chain that the transaction is signed for, or, for an unknown chain, by the fields of its
/// receipts.
fn chain_family(of: &Charged) -> Family {
    let adds = of.extra.l1_fee.is_some() || of.extra.operator_scalar.is_some() || of.extra.operator_constant.is_some();
    let id = of.chain.unwrap_or_default();
    match id {
        _ if PLAIN.contains(&id) => Family::Ethereum,
        _ if MANTLE.contains(&id) || of.extra.token_ratio.is_some_and(|ratio| ratio > 1) => Family::Mantle,
        _ if ARBITRUM.contains(&id) => Family::Arbitrum,
        _ if ZKSYNC.contains(&id) => Family::ZkSync,
        _ if FILECOIN.contains(&id) => Family::Filecoin,
        _ if OP_STACK.contains(&id) || adds || of.kind == OP_DEPOSIT => Family::OpStack,
        _ => Family::Ethereum,
    }
}

/// Gas and blobs. Source: EIP-1559, EIP-4844.
fn ethereum_fee(of: &Charged) -> Fee {
    let fee = gas_fee(of).combined_with(blob_fee(of));
    if of.paid_otherwise { Fee::between(U256::ZERO, fee.most, "whether somebody else paid") } else { fee }
}

/// Gas, the fee for L1's data, and the operator fee. Deposits are paid for on L1. Source: OP Stack specification, Isthmus and
/// Jovian, execution engine.
fn op_stack(of: &Charged) -> Fee {
    if of.kind == OP_DEPOSIT {
        return Fee::exact(U256::ZERO);
    }
    let most = l1_most(of);
    let data = match of.extra.l1_fee {
        Some(fee) if fee <= most => Fee::exact(fee),
        Some(_) => Fee::between(U256::ZERO, most, "an l1Fee that can be believed"),
        None => Fee::between(U256::ZERO, most, "l1Fee"),
    };
    ethereum_fee(of).combined_with(data).combined_with(operator_fee(of))
}

fn operator_fee(of: &Charged) -> Fee {
    let Extra { operator_scalar, operator_constant, .. } = of.extra;
    let scalar = operator_scalar.unwrap_or_default();
    let used = of.gas_used.or(of.gas_limit).unwrap_or(GAS_MAX);
    let by_gas = U256::from(used).saturating_mul(U256::from(scalar));
    let by_gas = if of.since_jovian { by_gas.saturating_mul(U256::from(100)) } else { by_gas / U256::from(1_000_000) };
    let constant = operator_constant.unwrap_or_default();
    if constant > OPERATOR_CONSTANT_MAX {
        let most = by_gas.saturating_add(U256::from(OPERATOR_CONSTANT_MAX));
        return Fee::between(by_gas, most, "an operatorFeeConstant that can be believed");
    }
    Fee::exact(by_gas.saturating_add(U256::from(constant)))
}

/// Computes gas at Mantle's own price. Its releases differ in whether the data fee is included in the gas or added to
/// it.
fn mantle_fee(of: &Charged) -> Fee {
    let gas = ethereum_fee(of);
    let ratio = U256::from(of.extra.token_ratio.unwrap_or(1));
    let data = of.extra.l1_fee.unwrap_or_default().min(l1_most(of)).saturating_mul(ratio);
    if data.is_zero() {
        gas
    } else {
        gas.combined_with(Fee::between(U256::ZERO, data, "whether l1Fee is part of the gas"))
    }
}

/// Computes gas only: the data is counted as gas. Source: Arbitrum documentation, gas and fees.
fn arbitrum_fee(of: &Charged) -> Fee {
    let fee = ethereum_fee(of);
    if ARBITRUM_OWN.contains(&of.kind) { Fee::between(U256::ZERO, fee.most, "what a retryable pays") } else { fee }
}

/// Computes gas only; the receipt has already subtracted the refund, and a paymaster may pay. Source: ZKsync
/// documentation, fee model.
fn zksync_fee(of: &Charged) -> Fee {
    ethereum_fee(of)
}

/// Adds gas, the miner's tip for the whole limit, and a burn for gas that was requested but not used. Source: Filecoin
/// documentation, gas usage and pricing. Receipts contain neither of the two.
fn filecoin_fee(of: &Charged) -> Fee {
    let used = ethereum_fee(of);
    let most = U256::from(of.gas_limit.unwrap_or(GAS_MAX)).saturating_mul(U256::from(signed_price(of)));
    Fee::between(used.least, used.most.max(most), "the overestimation burn")
}

fn gas_fee(of: &Charged) -> Fee {
    let (limit, signed) = (of.gas_limit.unwrap_or(GAS_MAX), signed_price(of));
    let paid = |gas: u64, price: u128| U256::from(gas).saturating_mul(U256::from(price));
    // A system transaction of a rollup can use more gas than its limit, and has no price.
    let used = of.gas_used.filter(|used| of.gas_limit.is_none_or(|limit| *used <= limit));
    let price = of.effective_price.filter(|price| *price <= signed);
    match (used, price) {
        (Some(used), Some(price)) => Fee::exact(paid(used, price)),
        (Some(used), None) => {
            Fee::between(paid(used, of.base_fee.unwrap_or_default()), paid(used, signed), "effectiveGasPrice")
        }
        (None, Some(price)) => Fee::between(U256::ZERO, paid(limit, price), "gasUsed"),
        (None, None) => Fee::between(U256::ZERO, paid(limit, signed), "gasUsed and effectiveGasPrice"),
    }
}

fn blob_fee(of: &Charged) -> Fee {
    // Chains without blobs use the receipt's `blobGasUsed` for something else.
    if of.kind != 3 {
        return Fee::exact(U256::ZERO);
    }
    let gas = U256::from(of.blobs).saturating_mul(U256::from(GAS_PER_BLOB));
    let signed = of.max_blob_fee.unwrap_or(PRICE_MAX);
    match of.blob_price.filter(|price| *price <= signed) {
        Some(price) => Fee::exact(gas.saturating_mul(U256::from(price))),
        None => Fee::between(gas, gas.saturating_mul(U256::from(signed)), "blobGasPrice"),
    }
}

/// Returns the maximum price for a unit of gas that the sender signed.
fn signed_price(of: &Charged) -> u128 {
    let signed = match of.kind {
        0 | 1 => of.gas_price,
        // For later types nodes write the price that was finally paid as `gasPrice`, which is not signed.
        2..=4 => of.max_fee,
        _ => of.max_fee.or(of.gas_price),
    };
    signed.unwrap_or(PRICE_MAX)
}

fn l1_most(of: &Charged) -> U256 {
    let n_bytes = u64::try_from(of.n_bytes.saturating_add(L1_BYTES_BESIDE)).unwrap_or(u64::MAX);
    U256::from(n_bytes).saturating_mul(U256::from(L1_GAS_PER_BYTE)).saturating_mul(U256::from(L1_PRICE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GWEI: u128 = 1_000_000_000;

    /// A payment of type 2 with a limit of 100,000 gas at no more than 2 gwei, which used 21,000 at 1 gwei.
    fn payment(chain: u64) -> Charged {
        Charged {
            chain: Some(chain),
            kind: 2,
            gas_limit: Some(100_000),
            gas_used: Some(21_000),
            max_fee: Some(2 * GWEI),
            base_fee: Some(GWEI),
            effective_price: Some(GWEI),
            ..Charged::default()
        }
    }

    fn wei(amount: u128) -> U256 {
        U256::from(amount)
    }

    #[test]
    fn a_fee_whose_parts_are_all_there_is_exact_in_every_family() {
        let gas = 21_000 * GWEI;
        let with = |chain, extra| Charged { extra, ..payment(chain) };
        let data = Extra { l1_fee: Some(wei(7)), ..Extra::default() };
        let operated = Extra { operator_scalar: Some(3_000_000), operator_constant: Some(5), ..data };
        let cases = [
            ("Ethereum", payment(1), gas),
            ("a development chain", payment(31_337), gas),
            ("Ethereum, whatever a node adds", with(1, operated), gas),
            ("OP Stack", with(10, data), gas + 7),
            ("OP Stack with an operator fee", with(8_453, operated), gas + 7 + 63_000 + 5),
            ("a chain by its receipts", with(424_242, operated), gas + 7 + 63_000 + 5),
            ("Jovian", Charged { since_jovian: true, ..with(10, operated) }, gas + 7 + 21_000 * 3_000_000 * 100 + 5),
            ("a deposit", Charged { kind: OP_DEPOSIT, ..payment(10) }, 0),
            ("Arbitrum", payment(42_161), gas),
            ("zkSync", payment(324), gas),
            (
                "blobs",
                Charged { kind: 3, blobs: 2, max_blob_fee: Some(9), blob_price: Some(3), ..payment(1) },
                gas + 2 * 131_072 * 3,
            ),
            (
                "no blobs, and their field for something else",
                Charged { blob_price: Some(3), ..with(10, data) },
                gas + 7,
            ),
        ];
        for (name, of, expected) in cases {
            assert_eq!(transaction_fee(&of), Fee::exact(wei(expected)), "{name}");
        }
    }

    #[test]
    fn a_part_that_is_missing_has_bounds_and_a_name_and_nothing_goes_beyond_what_was_signed() {
        let most = 21_000 * 2 * GWEI;
        let limit = 100_000 * 2 * GWEI;
        let lie = Some(7_000_000 * GWEI);
        let cases = [
            ("effectiveGasPrice", Charged { effective_price: None, ..payment(1) }, 21_000 * GWEI, most),
            ("effectiveGasPrice", Charged { effective_price: lie, ..payment(1) }, 21_000 * GWEI, most),
            ("gasUsed", Charged { gas_used: None, ..payment(1) }, 0, 100_000 * GWEI),
            ("gasUsed", Charged { gas_used: Some(9_000_000_000), ..payment(1) }, 0, 100_000 * GWEI),
            (
                "gasUsed and effectiveGasPrice",
                Charged { gas_used: None, effective_price: None, ..payment(1) },
                0,
                limit,
            ),
            ("the overestimation burn", payment(314), 21_000 * GWEI, limit),
            ("whether somebody else paid", Charged { paid_otherwise: true, ..payment(324) }, 0, 21_000 * GWEI),
        ];
        for (lacks, of, least, most) in cases {
            assert_eq!(transaction_fee(&of), Fee { least: wei(least), most: wei(most), lacks: Some(lacks) }, "{of:?}");
        }
    }

    #[test]
    fn what_nobody_signed_hides_no_theft() {
        let theft = wei(7_000_000_000 * GWEI);
        let says = |extra| [10, 424_242].map(|chain| transaction_fee(&Charged { extra, ..payment(chain) }));
        for (extra, lacks) in [
            (Extra::default(), "l1Fee"),
            (Extra { l1_fee: Some(theft), ..Extra::default() }, "an l1Fee that can be believed"),
            (
                Extra {
                    l1_fee: Some(U256::ZERO),
                    operator_scalar: Some(0),
                    operator_constant: Some(7_000_000_000_000_000_000),
                    ..Extra::default()
                },
                "an operatorFeeConstant that can be believed",
            ),
        ] {
            for fee in says(extra).into_iter().filter(|fee| lacks != "l1Fee" || fee.lacks.is_some()) {
                assert_eq!(fee.lacks, Some(lacks));
                assert!(fee.most < theft / U256::from(10), "{fee:?}");
            }
        }
    }
}
