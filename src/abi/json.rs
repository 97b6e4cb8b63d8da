//! ABI files: the JSON that compilers and explorers write.
//!
//! Read by our own shape, since files of solc 0.4 say `constant` and `payable` where later ones say `stateMutability`, and
//! since a problem should name its entry. What the decoder has no use for (errors, constructors, internal types) is passed
//! over.

use serde::Deserialize;

use super::{
    index::Abi,
    item::{AbiError, Event, Function, Kind, Param, TYPE_DEPTH_MAX},
    syntax::{arrays, elementary, is_identifier},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    /// Absent means `function` (ABI specification, "JSON").
    #[serde(rename = "type", default = "function")]
    what: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    inputs: Vec<Input>,
    #[serde(default)]
    outputs: Vec<Input>,
    state_mutability: Option<String>,
    #[serde(default)]
    constant: bool,
    #[serde(default)]
    payable: bool,
    #[serde(default)]
    anonymous: bool,
}

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    name: String,
    #[serde(rename = "type")]
    ty: String,
    #[serde(default)]
    components: Vec<Input>,
    #[serde(default)]
    indexed: bool,
}

fn function() -> String {
    "function".to_owned()
}

impl Abi {
    /// Reads an ABI: an array of entries, or an artifact of Hardhat, Foundry or Truffle that holds one as `abi`.
    ///
    /// # Errors
    /// The first problem, with the entry it is in.
    pub fn from_json(text: &str) -> Result<Self, AbiError> {
        let json = serde_json::from_str(text)
            .map_err(|e| AbiError::new(format!("line {} column {}", e.line(), e.column()), "this is not JSON"))?;
        let entries = match json {
            serde_json::Value::Array(entries) => entries,
            serde_json::Value::Object(mut artifact) => match artifact.remove("abi") {
                Some(serde_json::Value::Array(entries)) => entries,
                Some(_) => return Err(AbiError::new("`abi`", "an array of entries is expected")),
                None => {
                    return Err(AbiError::new("file", "an array of entries, or an artifact with `abi`, is expected"));
                }
            },
            _ => return Err(AbiError::new("file", "an array of entries, or an artifact with `abi`, is expected")),
        };
        let mut abi = Self::default();
        for (i, json) in entries.into_iter().enumerate() {
            let at = format!("entry {i}");
            let entry = Entry::deserialize(json).map_err(|e| AbiError::new(&at, e.to_string()))?;
            let at = format!("{at} ({} {})", entry.what, entry.name);
            add(&mut abi, &entry, &at)?;
        }
        Ok(abi)
    }
}

fn add(abi: &mut Abi, entry: &Entry, at: &str) -> Result<(), AbiError> {
    let payable = entry.payable || entry.state_mutability.as_deref() == Some("payable");
    match entry.what.as_str() {
        "function" => {
            let constant = matches!(entry.state_mutability.as_deref(), Some("view" | "pure")) || entry.constant;
            let inputs = params(&entry.inputs, &format!("{at}, input"))?;
            let outputs = params(&entry.outputs, &format!("{at}, output"))?;
            abi.add_function(Function::new(named(entry, at)?, inputs, outputs, !constant, payable).into());
        }
        "event" => {
            let inputs = params(&entry.inputs, &format!("{at}, input"))?;
            let event = Event::new(named(entry, at)?, inputs, entry.anonymous);
            abi.add_event(event.map_err(|e| AbiError::new(at, e.why))?.into());
        }
        "fallback" => {
            abi.has_fallback = true;
            abi.takes_ether |= payable;
        }
        "receive" => {
            abi.has_receive = true;
            abi.takes_ether = true;
        }
        "constructor" | "error" => {}
        other => return Err(AbiError::new(at, format!("`{other}` is no kind of entry"))),
    }
    Ok(())
}

fn named<'a>(entry: &'a Entry, at: &str) -> Result<&'a str, AbiError> {
    if entry.name.is_empty() || !is_identifier(&entry.name) {
        return Err(AbiError::new(at, "a name of letters, digits, `_` and `$` is expected"));
    }
    Ok(&entry.name)
}

fn params(inputs: &[Input], at: &str) -> Result<Vec<Param>, AbiError> {
    let params = inputs.iter().enumerate().map(|(i, input)| {
        let mut param = param(input, 0).map_err(|why| AbiError::new(format!("{at} {i}"), why))?;
        param.indexed = input.indexed;
        Ok(param)
    });
    params.collect()
}

fn param(input: &Input, depth: usize) -> Result<Param, String> {
    if !is_identifier(&input.name) {
        return Err("a name of letters, digits, `_` and `$` is expected".to_owned());
    }
    if depth > TYPE_DEPTH_MAX {
        return Err("the type is nested too deep".to_owned());
    }
    let (base, suffixes) = input.ty.split_at(input.ty.find('[').unwrap_or(input.ty.len()));
    let element = if base == "tuple" {
        let fields: Result<Vec<_>, _> = input.components.iter().map(|field| param(field, depth + 1)).collect();
        Kind::Tuple(fields?.into())
    } else {
        elementary(base).ok_or_else(|| format!("`{}` is no type of the ABI", input.ty))?
    };
    Ok(Param::new(&input.name, arrays(element, suffixes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSFER: &str = r#"{"type":"function","name":"transfer","stateMutability":"nonpayable","outputs":[],
        "inputs":[{"name":"to","type":"address","internalType":"address"},{"name":"amount","type":"uint256"}]}"#;

    fn abi(text: &str) -> Abi {
        Abi::from_json(text).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn an_array_and_an_artifact_read_the_same() {
        for text in
            [format!("[{TRANSFER}]"), format!(r#"{{"contractName":"Token","abi":[{TRANSFER}],"bytecode":"0x"}}"#)]
        {
            let abi = abi(&text);
            let transfer = abi.function([0xa9, 0x05, 0x9c, 0xbb]).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((&*transfer.signature, &*transfer.inputs[1].name), ("transfer(address,uint256)", "amount"));
        }
    }

    #[test]
    fn the_old_words_for_mutability_are_understood() {
        let abi = abi(r#"[{"constant":true,"inputs":[],"name":"owner","outputs":[],"payable":false,"type":"function"},
            {"constant":false,"inputs":[],"name":"deposit","outputs":[],"payable":true,"type":"function"},
            {"inputs":[],"name":"sweep","outputs":[]},
            {"payable":true,"type":"fallback"}]"#);
        let told: Vec<_> = abi.functions().map(|f| (&*f.name, f.mutates, f.payable)).collect();
        assert_eq!(told, [("owner", false, false), ("deposit", true, true), ("sweep", true, false)]);
        assert!(abi.has_fallback() && abi.takes_ether() && !abi.has_receive());
    }

    #[test]
    fn structs_become_tuples() {
        let abi = abi(r#"[{"type":"function","name":"f","inputs":[{"name":"orders","type":"tuple[2][]","components":[
            {"name":"to","type":"address"},{"name":"","type":"tuple","components":[]}]}]}]"#);
        assert_eq!(abi.functions().map(|f| &*f.signature).collect::<Vec<_>>(), ["f((address,())[2][])"]);
    }

    #[test]
    fn a_broken_file_says_what_and_where() {
        let told = |text: &str| Abi::from_json(text).expect_err(text).to_string();
        assert_eq!(told("[\n  oops]"), "line 2 column 3: this is not JSON");
        assert_eq!(told("{}"), "file: an array of entries, or an artifact with `abi`, is expected");
        assert_eq!(told(r#"{"abi":"[]"}"#), "`abi`: an array of entries is expected");
        assert_eq!(
            told(&format!("[{TRANSFER},{}]", TRANSFER.replace("uint256", "unit256"))),
            "entry 1 (function transfer), input 1: `unit256` is no type of the ABI"
        );
        assert!(told(r#"[{"type":"function","name":"f","inputs":3}]"#).starts_with("entry 0: "));
        assert!(told(r#"[{"type":"functoin","name":"f"}]"#).contains("`functoin` is no kind of entry"));
        for text in [
            r#"[{"type":"function"}]"#,
            r#"[{"name":"a b"}]"#,
            r#"[{"name":"f","inputs":[{"name":"a.b","type":"bool"}]}]"#,
            r#"[{"name":"f","inputs":[{"type":"uint256[2"}]}]"#,
            "3",
            r#"[{"name":"f","inputs":[{"type":"uint256[2]x"}]}]"#,
        ] {
            assert!(Abi::from_json(text).is_err(), "{text}");
        }
    }
}
