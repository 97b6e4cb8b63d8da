//! Location of the ABI in the files that tools write.
//!
//! Input: any JSON that contains an ABI: an explorer's response, the output of Hardhat, Foundry, Truffle, solc and
//! Sourcify, or a list of signatures as front-end libraries use it. Output: the entries of the ABI.

use super::item::AbiError;
use serde_json::{Map, Value};

/// Maximum nesting of JSON documents, such as the text in an explorer's response: no known tool exceeds it.
const DEPTH_MAX: usize = 4;
/// Maximum number of contracts listed in an error, to keep it readable.
const NAMES_MAX: usize = 8;

const EXPECTED: &str = "an ABI is expected: a list of entries or of signatures, an artifact of Hardhat, Foundry or Truffle, output \
                        of solc, metadata of Sourcify, or an explorer's answer";

/// Returns the entries of the ABI in `text`: those of the contract with this name, where the file holds several.
///
/// # Errors
/// When it is no JSON, holds no ABI, or several of which none is named.
pub(super) fn extract_abi_entries(text: &str, contract: Option<&str>) -> Result<Vec<Value>, AbiError> {
    parse_abi_entries(text, contract, 0)
}

fn parse_abi_entries(text: &str, contract: Option<&str>, depth: usize) -> Result<Vec<Value>, AbiError> {
    // Some editors write a byte order mark at the start.
    let text = text.trim_start_matches('\u{feff}');
    let json = serde_json::from_str(text)
        .map_err(|e| AbiError::new(format!("line {} column {}", e.line(), e.column()), "this is not JSON"))?;
    of_value(json, contract, depth)
}

fn of_value(json: Value, contract: Option<&str>, depth: usize) -> Result<Vec<Value>, AbiError> {
    if depth > DEPTH_MAX {
        return Err(AbiError::new("file", EXPECTED));
    }
    match json {
        // Explorers wrap a response with source code in a list of one element.
        Value::Array(mut list) => match list.as_mut_slice() {
            [Value::Object(one)] if one.contains_key("ABI") => {
                let inner = one.remove("ABI").unwrap_or_default();
                of_value(inner, contract, depth + 1)
            }
            _ => Ok(list),
        },
        Value::String(text) => parse_abi_entries(&text, contract, depth + 1)
            .map_err(|error| AbiError::new(format!("the text inside, {}", error.at), error.why)),
        Value::Object(object) => of_object(object, contract, depth),
        _ => Err(AbiError::new("file", EXPECTED)),
    }
}

fn of_object(mut object: Map<String, Value>, contract: Option<&str>, depth: usize) -> Result<Vec<Value>, AbiError> {
    // Etherscan's and Blockscout's API: `status` 1 and the ABI as text, or 0 and an error message.
    if let Some(status) = object.get("status").and_then(Value::as_str)
        && object.contains_key("result")
    {
        if status != "1" {
            let said = object.get("result").and_then(Value::as_str).unwrap_or("no reason");
            let said: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
            return Err(AbiError::new("`result`", format!("the explorer has no ABI: {said}")));
        }
        return of_value(object.remove("result").unwrap_or_default(), contract, depth + 1);
    }
    if let Some(abi) = object.remove("abi") {
        return match abi {
            Value::Array(_) | Value::String(_) => of_value(abi, contract, depth + 1),
            _ => Err(AbiError::new("`abi`", "a list of entries is expected")),
        };
    }
    if let Some(Value::Object(files)) = object.remove("contracts") {
        return of_contracts(files, contract, depth);
    }
    // Metadata of solc, the build info of Hardhat, and files that hold them as text.
    for key in ["output", "metadata", "rawMetadata"] {
        if let Some(inner @ (Value::Object(_) | Value::String(_))) = object.remove(key) {
            return of_value(inner, contract, depth + 1);
        }
    }
    Err(AbiError::new("file", EXPECTED))
}

/// `contracts` of solc: by file and name in its standard JSON, by `file:name` in its combined JSON.
fn of_contracts(files: Map<String, Value>, wanted: Option<&str>, depth: usize) -> Result<Vec<Value>, AbiError> {
    let mut found: Vec<(String, Value)> = Vec::new();
    for (file, inside) in files {
        let Value::Object(mut inside) = inside else { continue };
        if let Some(abi) = inside.remove("abi") {
            found.push((file, abi));
            continue;
        }
        let contracts = inside.into_iter().filter_map(|(name, mut contract)| {
            let abi = contract.get_mut("abi").map(Value::take)?;
            Some((format!("{file}:{name}"), abi))
        });
        found.extend(contracts);
    }
    let named = |full: &str, name: &str| full == name || full.rsplit(':').next() == Some(name);
    let says = |abi: &Value| abi.as_array().is_none_or(|entries| !entries.is_empty());
    let mut fits: Vec<(String, Value)> = match wanted {
        Some(name) => found.iter().filter(|(full, _)| named(full, name)).cloned().collect(),
        None => found.iter().filter(|(_, abi)| says(abi)).cloned().collect(),
    };
    if fits.len() == 1 {
        let (name, abi) = fits.remove(0);
        return of_value(abi, wanted, depth + 1)
            .map_err(|error| AbiError::new(format!("{name}, {}", error.at), error.why));
    }
    let of = if fits.is_empty() { &found } else { &fits };
    let mut names: Vec<&str> = of.iter().map(|(full, _)| full.as_str()).collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let names = format!("{}{more}", names.join(", "));
    Err(AbiError::new(
        "`contracts`",
        match (wanted, of.is_empty()) {
            (_, true) => "there is no contract in it".to_owned(),
            (Some(name), _) if fits.is_empty() => format!("no contract is called `{name}`; there are {names}"),
            _ => format!("several contracts are in it, name one behind a `#`, as in `out.json#Vault`: {names}"),
        },
    ))
}
