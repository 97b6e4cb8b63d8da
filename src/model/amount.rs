//! Amounts with their units, in human-readable form.

use alloy_primitives::U256;
use std::fmt;
use std::sync::Arc;

/// Unit of a number: ether, a token's units, or none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unit {
    /// `ETH`, a token's name, or empty for a bare number.
    pub symbol: Arc<str>,
    /// Number of decimals of one whole unit.
    pub decimals: u8,
}

impl Unit {
    /// Returns the unit of ether, counted in wei.
    #[must_use]
    pub fn ether() -> Self {
        Self { symbol: Arc::from("ETH"), decimals: 18 }
    }

    /// Returns the unit of a bare number.
    #[must_use]
    pub fn bare_number() -> Self {
        Self { symbol: Arc::from(""), decimals: 0 }
    }

    /// Formats `value` with thousands separators, without trailing zeros, and with the symbol after it: `60,000 SNT`,
    /// `0.25 ETH`.
    #[must_use]
    pub fn format_amount(&self, value: U256) -> String {
        let number = self.format_number(value);
        if self.symbol.is_empty() { number } else { format!("{number} {}", self.symbol) }
    }

    /// Formats like [`Unit::format_amount`], without the symbol.
    #[must_use]
    pub fn format_number(&self, value: U256) -> String {
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

/// A number with its unit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Amount {
    /// In the smallest unit (wei for ether).
    pub value: U256,
    /// Unit of the value.
    pub unit: Unit,
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.unit.format_amount(self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: u128, symbol: &str, decimals: u8) -> String {
        Unit { symbol: symbol.into(), decimals }.format_amount(U256::from(value))
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
