//! Addresses as people write them: `0x` and forty digits whose case is the checksum (EIP-55).

use crate::settings::{At, Problems};
use alloy_primitives::Address;

/// Parses an address in EIP-55 form. Other forms are rejected, since only the checksum detects typing errors.
pub(super) fn parse_address(at: &At<&str>, problems: &mut Problems) -> Option<Address> {
    match try_parse_address(at) {
        Ok(address) => Some(address),
        Err((message, hint)) => {
            let problem = at.problem(message);
            problems.push(match hint {
                Some(hint) => problem.with_hint(hint),
                None => problem,
            });
            None
        }
    }
}

/// Returns the address, or the problem and the accepted form.
pub(super) fn try_parse_address(at: &At<&str>) -> Result<Address, (String, Option<String>)> {
    let text = at.value;
    // EIP-3770 form: a chain's short name and an address, as copied from wallets.
    if let Some((chain, rest)) = text.split_once(':').filter(|(_, rest)| rest.starts_with("0x")) {
        let hint = format!("write `{rest}` alone; on which chain it is, `chain` says");
        return Err((
            format!("`{chain}:` in front of an address names a chain, and that is named elsewhere"),
            Some(hint),
        ));
    }
    let Some(digits) = text.strip_prefix("0x") else {
        return Err((format!("`{text}` is not an address"), Some("an address begins with `0x`".to_owned())));
    };
    if let Some(other) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err((format!("`{text}` is not an address: `{other}` is no hexadecimal digit"), None));
    }
    if digits.len() != 40 {
        let message = format!("`{text}` is not an address: it has {} digits, an address has 40", digits.len());
        return Err((message, None));
    }
    let Ok(address) = text.parse::<Address>() else {
        return Err((format!("`{text}` is not an address"), None));
    };
    let right = address.to_checksum(None);
    if right == text {
        return Ok(address);
    }
    let bare = digits == digits.to_ascii_lowercase() || digits == digits.to_ascii_uppercase();
    Err(if bare {
        (format!("`{text}` has no checksum, which guards against a mistyped address"), Some(format!("write `{right}`")))
    } else {
        let hint = format!("compare it with its source; if every digit is right, write `{right}`");
        (format!("the checksum of `{text}` is wrong"), Some(hint))
    })
}
