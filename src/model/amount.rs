//! Amounts with their units, as people read and write them.

use alloy_primitives::U256;
use std::fmt;
use std::sync::Arc;

/// What a number counts: ether, a token's units, or nothing at all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unit {
    /// `ETH`, a token's name, or empty for a bare number.
    pub symbol: Arc<str>,
    /// Digits behind the point of one whole unit.
    pub decimals: u8,
}

impl Unit {
    /// Ether, counted in wei.
    #[must_use]
    pub fn ether() -> Self {
        Self { symbol: Arc::from("ETH"), decimals: 18 }
    }

    /// A bare number.
    #[must_use]
    pub fn none() -> Self {
        Self { symbol: Arc::from(""), decimals: 0 }
    }

    /// `value` with thousands separated, trailing zeros dropped and the symbol behind it: `60,000 SNT`, `0.25 ETH`.
    #[must_use]
    pub fn show(&self, value: U256) -> String {
        let number = self.number(value);
        if self.symbol.is_empty() { number } else { format!("{number} {}", self.symbol) }
    }

    /// Like [`Unit::show`] without the symbol.
    #[must_use]
    pub fn number(&self, value: U256) -> String {
        let digits = value.to_string();
        let decimals = usize::from(self.decimals);
        let (whole, fraction) =
            if digits.len() > decimals { digits.split_at(digits.len() - decimals) } else { ("0", digits.as_str()) };
        let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 2);
        for (i, digit) in whole.chars().enumerate() {
            if i > 0 && (whole.len() - i).is_multiple_of(3) {
                out.push(',');
            }
            out.push(digit);
        }
        let padding = decimals.saturating_sub(digits.len());
        let fraction = format!("{}{fraction}", "0".repeat(padding));
        let fraction = fraction.trim_end_matches('0');
        if decimals > 0 && !fraction.is_empty() {
            out.push('.');
            out.push_str(fraction);
        }
        out
    }
}

/// A number that knows its unit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Amount {
    /// In the smallest unit (wei for ether).
    pub value: U256,
    /// What it counts.
    pub unit: Unit,
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.unit.show(self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: u128, symbol: &str, decimals: u8) -> String {
        Unit { symbol: symbol.into(), decimals }.show(U256::from(value))
    }

    #[test]
    fn amounts_read_as_people_write_them() {
        assert_eq!(shown(60_000 * 10u128.pow(18), "SNT", 18), "60,000 SNT");
        assert_eq!(shown(250_000_000_000_000_000, "ETH", 18), "0.25 ETH");
        assert_eq!(shown(1, "USDC", 6), "0.000001 USDC");
        assert_eq!(shown(0, "USDC", 6), "0 USDC");
        assert_eq!(shown(1_234_567, "", 0), "1,234,567");
        assert_eq!(shown(1_500_000, "USDC", 6), "1.5 USDC");
    }
}
