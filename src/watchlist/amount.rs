//! Amounts as people write them: `"250 ether"`, `"50_000 SNT"`, `"1_000e6"`.
//!
//! Exact: a number is an integer mantissa with a power of ten, never a float. A number with more digits than its unit
//! has is an error, since the program does not round a limit.

use crate::settings::{At, Problems, Value};
use alloy_primitives::U256;
use toml::de::DeValue;

/// A number as written, and the unit behind it, not looked up yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number<'a> {
    /// Set for a number with a minus sign.
    pub negative: bool,
    /// All digits, without the decimal point.
    pub mantissa: U256,
    /// Power of ten by which the mantissa is multiplied; negative for digits behind the point.
    pub exponent: i32,
    /// The word behind the number; empty when there is none.
    pub unit: &'a str,
}

/// The unit of a number in the smallest unit of the token it is compared with, as contracts count.
pub(super) const BASE_UNITS: &str = "base units";
/// Maximum power of ten of an exponent: 10^77 is the last one below 2^256.
const EXPONENT_MAX: i32 = 77;

impl<'a> Number<'a> {
    /// Parses digits with underscores, an optional point, an optional exponent and an optional unit.
    ///
    /// Returns an error with the problem and the accepted form.
    pub(super) fn parse(text: &'a str) -> Result<Self, (String, String)> {
        let trimmed = text.trim();
        let fail = |why: &str, hint: &str| Err((format!("`{text}` is not an amount: {why}"), hint.to_owned()));
        let usage = "write one such as \"250 ether\", \"50_000 SNT\" or \"1_000e6\"";
        let (negative, body) = trimmed.strip_prefix('-').map_or((false, trimmed), |rest| (true, rest));
        if body.starts_with("0x") {
            return fail("it is hexadecimal", usage);
        }
        let end = body.find(|c: char| !c.is_ascii_digit() && c != '_' && c != '.').unwrap_or(body.len());
        let (number, mut rest) = body.split_at(end);
        if rest.starts_with([',', '\'']) {
            return fail("thousands are not separated so", "separate thousands with underscores: \"50_000 SNT\"");
        }
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if !whole.starts_with(|c: char| c.is_ascii_digit()) || fraction.contains('.') || number.ends_with('.') {
            return fail("it begins with no number", usage);
        }
        let digits: String = whole.chars().chain(fraction.chars()).filter(char::is_ascii_digit).collect();
        let Ok(mantissa) = U256::from_str_radix(&digits, 10) else {
            return fail("it does not fit into 256 bits", usage);
        };
        let n_fraction = fraction.chars().filter(char::is_ascii_digit).count();
        let mut exponent = -i32::try_from(n_fraction).unwrap_or(i32::MAX);
        if let Some(after) = rest.strip_prefix('e').filter(|after| after.starts_with(|c: char| c.is_ascii_digit())) {
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            match after[..end].parse::<i32>() {
                Ok(power) if power <= EXPONENT_MAX => exponent += power,
                _ => return fail("its exponent is above 77", usage),
            }
            rest = &after[end..];
        }
        let unit = rest.trim_start();
        if unit.split_whitespace().eq(BASE_UNITS.split(' ')) {
            return Ok(Self { negative, mantissa, exponent, unit: BASE_UNITS });
        }
        if unit.chars().any(char::is_whitespace) || unit.starts_with(|c: char| !c.is_alphabetic()) && !unit.is_empty() {
            return fail(&format!("`{unit}` is no unit"), usage);
        }
        Ok(Self { negative, mantissa, exponent, unit })
    }

    /// Reads a string or an integer; anything else is a problem.
    pub(super) fn from_value(value: &Value<'a>, problems: &mut Problems) -> Option<At<Self>> {
        if value.is_broken() {
            return None;
        }
        let spot = value.spot();
        match value.raw_toml() {
            DeValue::String(_) => match Self::parse(value.as_str()?) {
                Ok(number) => Some(At { value: number, spot }),
                Err((message, hint)) => {
                    problems.push(spot.problem(message).with_hint(hint));
                    None
                }
            },
            DeValue::Integer(integer) => {
                let (negative, digits) =
                    integer.as_str().strip_prefix('-').map_or((false, integer.as_str()), |digits| (true, digits));
                let parsed = U256::from_str_radix(digits.trim_start_matches('+'), u64::from(integer.radix()));
                if parsed.is_err() {
                    problems.push(spot.problem(format!("`{}` does not fit into 256 bits", value.name())));
                }
                Some(At { value: Self { negative, mantissa: parsed.ok()?, exponent: 0, unit: "" }, spot })
            }
            DeValue::Float(float) => {
                let hint = format!("write it in quotes with its unit: \"{} ether\"", float.as_str());
                problems.push(
                    spot.problem(format!("`{}` is a float, and money is counted exactly", value.name()))
                        .with_hint(hint),
                );
                None
            }
            _ => {
                let usage = "write an integer, or a string such as \"250 ether\"";
                problems.push(spot.problem(format!("`{}` must be an amount", value.name())).with_hint(usage));
                None
            }
        }
    }

    /// Returns the number in the smallest unit of a token with this many decimals, without its sign.
    ///
    /// Returns an error that describes the problem.
    pub(super) fn in_smallest_unit(&self, decimals: u8) -> Result<U256, String> {
        if self.mantissa.is_zero() {
            return Ok(U256::ZERO);
        }
        let ten = U256::from(10);
        let mut mantissa = self.mantissa;
        let mut exponent = self.exponent.saturating_add(i32::from(decimals));
        while exponent < 0 {
            let (quotient, remainder) = mantissa.div_rem(ten);
            if !remainder.is_zero() {
                return Err(match decimals {
                    0 => "a part of the smallest unit does not exist".to_owned(),
                    n => format!("it has more than {n} digits behind the point"),
                });
            }
            mantissa = quotient;
            exponent += 1;
        }
        let power = ten.checked_pow(U256::from(exponent.unsigned_abs()));
        power.and_then(|power| mantissa.checked_mul(power)).ok_or_else(|| "it does not fit into 256 bits".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(text: &str, decimals: u8) -> Result<String, String> {
        Number::parse(text).map_err(|(message, _)| message)?.in_smallest_unit(decimals).map(|value| value.to_string())
    }

    #[test]
    fn amounts_are_read_exactly() {
        assert_eq!(scaled("250 ether", 18).unwrap(), format!("250{}", "0".repeat(18)));
        assert_eq!(scaled("0.5 SNT", 18).unwrap(), format!("5{}", "0".repeat(17)));
        assert_eq!(scaled("1.50 USDC", 6).unwrap(), "1500000");
        assert_eq!(scaled("1_000e6", 0).unwrap(), "1000000000");
        assert_eq!(scaled("2.5e3", 0).unwrap(), "2500");
        assert_eq!(scaled("30gwei", 9).unwrap(), "30000000000");
        assert_eq!(scaled("0.00", 0).unwrap(), "0");
        assert_eq!(scaled(&U256::MAX.to_string(), 0).unwrap(), U256::MAX.to_string());
        assert_eq!(
            Number::parse("1_000 base  units").map(|n| (n.mantissa, n.unit)),
            Ok((U256::from(1_000), BASE_UNITS))
        );
        assert_eq!(Number::parse("-5 X").map(|n| (n.negative, n.unit)), Ok((true, "X")));
    }

    #[test]
    fn what_would_be_rounded_or_overflow_is_refused() {
        assert_eq!(scaled("0.0000001 USDC", 6).unwrap_err(), "it has more than 6 digits behind the point");
        assert_eq!(scaled("1.5 wei", 0).unwrap_err(), "a part of the smallest unit does not exist");
        assert_eq!(scaled("1e77 SNT", 18).unwrap_err(), "it does not fit into 256 bits");
        assert!(scaled("2e77", 0).is_err());
        assert!(scaled(&format!("1{}", "0".repeat(200)), 0).is_err());
    }

    #[test]
    fn what_is_no_amount_says_why() {
        for text in
            ["", "ether", ".5", "5.", "1..2", "1.2.3", "_1", "5 SNT please", "5 %", "0x10", "1e99", "- 5", "1,000 SNT"]
        {
            assert!(Number::parse(text).unwrap_err().0.contains("is not an amount"), "{text}");
        }
        assert!(Number::parse("1,000 SNT").unwrap_err().1.contains("underscores"));
    }
}
