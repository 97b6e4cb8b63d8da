//! ABI files: the JSON that compilers and explorers write.
//!
//! The files are read with our own types, because files of solc 0.4 have `constant` and `payable` where later ones have
//! `stateMutability`, and because an error should name its entry. Entries that the decoder does not use (errors,
//! constructors) are skipped. An entry that cannot be read affects only itself: its function or event stays
//! undecodable, and is a finding when it occurs.

use serde::Deserialize;
use serde_json::Value;

use super::{
    index::Abi,
    item::{AbiError, Event, Function, Kind, Param, TYPE_DEPTH_MAX},
    shapes,
    structs::Structs,
    syntax::{is_identifier, parse_elementary_type, wrap_in_arrays},
};

/// Contents of an ABI file.
#[derive(Clone, Debug)]
pub struct AbiFile {
    /// Entries that could be read.
    pub abi: Abi,
    /// Entries that could not be read, in the order of the file.
    pub unread: Vec<AbiError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    /// Absent means `function` (ABI specification, "JSON").
    #[serde(rename = "type", default = "default_entry_type")]
    what: String,
    name: Option<String>,
    inputs: Option<Vec<Input>>,
    outputs: Option<Vec<Input>>,
    state_mutability: Option<String>,
    constant: Option<bool>,
    payable: Option<bool>,
    anonymous: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    name: Option<String>,
    #[serde(rename = "type")]
    ty: String,
    /// Type as named in the source, such as `enum Vault.Mode`.
    internal_type: Option<String>,
    components: Option<Vec<Input>>,
    indexed: Option<bool>,
}

fn default_entry_type() -> String {
    "function".to_owned()
}

impl Abi {
    /// Reads an ABI like [`Abi::read_file`], and skips entries that cannot be read.
    ///
    /// # Errors
    /// As [`Abi::read_file`].
    pub fn from_json(text: &str) -> Result<Self, AbiError> {
        Self::read_file(text, None).map(|file| file.abi)
    }

    /// Reads an ABI: an array of entries or of signatures, an artifact of Hardhat, Foundry or Truffle, the output of
    /// solc (standard and combined JSON), metadata of Sourcify, or an explorer's response. `contract` selects one of
    /// several contracts in the same file.
    ///
    /// # Errors
    /// When there is no ABI in it, or when nothing of it can be read, with the first entry's problem.
    pub fn read_file(text: &str, contract: Option<&str>) -> Result<AbiFile, AbiError> {
        let entries = shapes::extract_abi_entries(text, contract)?;
        let structs = Structs::from_lines(entries.iter().filter_map(Value::as_str));
        let (mut abi, mut unread, n_entries) = (Self::default(), Vec::new(), entries.len());
        for (i, json) in entries.into_iter().enumerate() {
            let at = format!("entry {i}");
            let added = match json {
                Value::String(line) => add_line(&mut abi, &line, &structs, &at),
                json => Entry::deserialize(json).map_err(|e| AbiError::new(&at, e.to_string())).and_then(|entry| {
                    let at = format!("{at} ({} {})", entry.what, entry.name.as_deref().unwrap_or_default());
                    add(&mut abi, &entry, &at)
                }),
            };
            unread.extend(added.err());
        }
        if n_entries > 0 && unread.len() == n_entries {
            return Err(unread.swap_remove(0));
        }
        Ok(AbiFile { abi, unread })
    }
}

/// Adds a human-readable signature, such as `function pay(address to) payable`.
fn add_line(abi: &mut Abi, line: &str, structs: &Structs, at: &str) -> Result<(), AbiError> {
    let within = |error: AbiError| AbiError::new(format!("{at}, {}", error.at), error.why);
    let first = line.trim().split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let payable = line.contains("payable") && !line.contains("nonpayable");
    match first {
        "constructor" | "error" | "struct" => {}
        "receive" => {
            abi.has_receive = true;
            abi.takes_ether = true;
        }
        "fallback" => {
            abi.has_fallback = true;
            abi.takes_ether |= payable;
        }
        "event" => {
            let line = structs.expand_structs(line).map_err(|why| AbiError::new(at, why))?;
            let event = Event::parse(&line).map_err(within)?;
            abi.note_renamed(&event.signature, &event.inputs);
            abi.add_event(event.into());
        }
        _ => {
            let line = structs.expand_structs(line).map_err(|why| AbiError::new(at, why))?;
            let function = Function::parse(&line).map_err(within)?;
            abi.note_renamed(&function.signature, &function.inputs);
            abi.add_function(function.into());
        }
    }
    Ok(())
}

fn add(abi: &mut Abi, entry: &Entry, at: &str) -> Result<(), AbiError> {
    let payable = entry.payable == Some(true) || entry.state_mutability.as_deref() == Some("payable");
    match entry.what.as_str() {
        "function" => {
            let constant =
                matches!(entry.state_mutability.as_deref(), Some("view" | "pure")) || entry.constant == Some(true);
            let inputs = parse_params(entry.inputs.as_deref(), &format!("{at}, input"))?;
            let outputs = parse_params(entry.outputs.as_deref(), &format!("{at}, output"))?;
            let function = Function::new(require_name(entry, at)?, inputs, outputs, !constant, payable);
            abi.note_renamed(&function.signature, &function.inputs);
            abi.add_function(function.into());
        }
        "event" => {
            let inputs = parse_params(entry.inputs.as_deref(), &format!("{at}, input"))?;
            let event = Event::new(require_name(entry, at)?, inputs, entry.anonymous == Some(true));
            let event = event.map_err(|e| AbiError::new(at, e.why))?;
            abi.note_renamed(&event.signature, &event.inputs);
            abi.add_event(event.into());
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

fn require_name<'a>(entry: &'a Entry, at: &str) -> Result<&'a str, AbiError> {
    match entry.name.as_deref() {
        Some(name) if !name.is_empty() && is_identifier(name) => Ok(name),
        _ => Err(AbiError::new(at, "a name of letters, digits, `_` and `$` is expected")),
    }
}

fn parse_params(inputs: Option<&[Input]>, at: &str) -> Result<Vec<Param>, AbiError> {
    let params = inputs.unwrap_or_default().iter().enumerate().map(|(i, input)| {
        let mut param = parse_param(input, 0).map_err(|why| AbiError::new(format!("{at} {i}"), why))?;
        param.indexed = input.indexed == Some(true);
        Ok(param)
    });
    params.collect()
}

fn parse_param(input: &Input, depth: usize) -> Result<Param, String> {
    let name = input.name.as_deref().unwrap_or_default();
    if !is_identifier(name) {
        return Err("a name of letters, digits, `_` and `$` is expected".to_owned());
    }
    if depth > TYPE_DEPTH_MAX {
        return Err("the type is nested too deep".to_owned());
    }
    // The location of the value in storage, which only libraries accept: one word, under the whole name.
    if input.ty.ends_with(" storage") {
        return Ok(Param { ty: input.ty.as_str().into(), ..Param::new(name, Kind::Uint(256)) });
    }
    let (base, suffixes) = input.ty.split_at(input.ty.find('[').unwrap_or(input.ty.len()));
    let is_tuple = base == "tuple" || base.starts_with("struct ");
    let element = match (is_tuple, parse_elementary_type(base)) {
        (true, _) => {
            let fields =
                input.components.as_deref().unwrap_or_default().iter().map(|field| parse_param(field, depth + 1));
            Named { kind: Kind::Tuple(fields.collect::<Result<Vec<_>, _>>()?.into()), name: None }
        }
        (_, Some(kind)) => Named { kind, name: None },
        (_, None) => by_source(base, input).ok_or_else(|| format!("`{}` is no type of the ABI", input.ty))?,
    };
    let mut param = Param::new(name, wrap_in_arrays(element.kind, suffixes)?);
    if let Some(name) = element.name {
        param.ty = format!("{name}{suffixes}").into();
    }
    Ok(param)
}

/// A type, and its name in a signature where that differs from the type's own name.
struct Named {
    kind: Kind,
    name: Option<String>,
}

/// Returns the type that `base` names in a contract's source. Contracts are addresses and enums are bytes. The ABI of a
/// library writes an enum as `Library.Enum`, and that name is part of the signature behind the selector (Solidity
/// documentation, "Function Signatures and Selectors in Libraries").
fn by_source(base: &str, input: &Input) -> Option<Named> {
    let is_name = |name: &str| !name.is_empty() && name.split('.').all(|part| !part.is_empty() && is_identifier(part));
    for (word, kind) in [("contract ", Kind::Address), ("interface ", Kind::Address), ("enum ", Kind::Uint(8))] {
        if base.strip_prefix(word).is_some_and(is_name) {
            return Some(Named { kind, name: None });
        }
    }
    if base == "address payable" {
        return Some(Named { kind: Kind::Address, name: None });
    }
    if !is_name(base) {
        return None;
    }
    match input.internal_type.as_deref()?.split_once(' ')?.0 {
        "contract" | "interface" => Some(Named { kind: Kind::Address, name: None }),
        "enum" => Some(Named { kind: Kind::Uint(8), name: Some(base.to_owned()) }),
        _ => None,
    }
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
            let transfer = abi.function_by_selector([0xa9, 0x05, 0x9c, 0xbb]).unwrap_or_else(|| panic!("{text}"));
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
        assert!(told("{}").starts_with("file: an ABI is expected: "));
        assert_eq!(told(r#"{"abi":3}"#), "`abi`: a list of entries is expected");
        assert_eq!(
            told(&format!("[{}]", TRANSFER.replace("uint256", "unit256"))),
            "entry 0 (function transfer), input 1: `unit256` is no type of the ABI"
        );
        assert_eq!(
            told(r#"{"status":"0","message":"NOTOK","result":"Contract source code not verified"}"#),
            "`result`: the explorer has no ABI: Contract source code not verified"
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

    #[test]
    fn an_abi_is_found_wherever_tools_put_it() {
        let list = format!("[{TRANSFER}]");
        let text = serde_json::to_string(&list).unwrap();
        let metadata = format!(r#"{{"compiler":{{}},"output":{{"abi":{list}}},"settings":{{}},"version":1}}"#);
        let held = serde_json::to_string(&metadata).unwrap();
        let cases = [
            ("a BOM", format!("\u{feff}{list}")),
            ("Etherscan, getabi", format!(r#"{{"status":"1","message":"OK","result":{text}}}"#)),
            (
                "Etherscan, getsourcecode",
                format!(r#"{{"status":"1","message":"OK","result":[{{"SourceCode":"","ABI":{text}}}]}}"#),
            ),
            ("the result alone", text.clone()),
            (
                "Hardhat",
                format!(r#"{{"_format":"hh-sol-artifact-1","contractName":"T","abi":{list},"bytecode":"0x"}}"#),
            ),
            ("Foundry", format!(r#"{{"abi":{list},"bytecode":{{"object":"0x"}},"methodIdentifiers":{{}}}}"#)),
            ("Truffle", format!(r#"{{"contractName":"T","abi":{list},"metadata":{held},"networks":{{}}}}"#)),
            ("Sourcify and solc metadata", metadata),
            ("metadata as text", format!(r#"{{"metadata":{held}}}"#)),
            ("solc, standard JSON", format!(r#"{{"contracts":{{"T.sol":{{"T":{{"abi":{list}}}}}}},"sources":{{}}}}"#)),
            (
                "solc, standard JSON with a library",
                format!(r#"{{"contracts":{{"T.sol":{{"L":{{"abi":[]}},"T":{{"abi":{list}}}}}}}}}"#),
            ),
            (
                "solc, combined JSON",
                format!(r#"{{"contracts":{{"T.sol:T":{{"abi":{list},"bin":""}}}},"version":"0.8.28"}}"#),
            ),
            ("solc, combined JSON before 0.8", format!(r#"{{"contracts":{{"T.sol:T":{{"abi":{text}}}}}}}"#)),
            (
                "Hardhat's build info",
                format!(r#"{{"input":{{}},"output":{{"contracts":{{"T.sol":{{"T":{{"abi":{list}}}}}}}}}}}"#),
            ),
            ("nulls", list.replace(r#""outputs":[]"#, r#""outputs":null,"constant":null"#)),
            ("signatures", r#"["function transfer(address to, uint256 amount) returns (bool)"]"#.to_owned()),
        ];
        for (what, text) in cases {
            let file = Abi::read_file(&text, None).unwrap_or_else(|e| panic!("{what}: {e}"));
            let transfer = file.abi.function_by_selector([0xa9, 0x05, 0x9c, 0xbb]).unwrap_or_else(|| panic!("{what}"));
            assert_eq!((&*transfer.inputs[1].name, file.unread.len()), ("amount", 0), "{what}");
        }
    }

    #[test]
    fn one_of_several_contracts_is_named() {
        let two = format!(r#"{{"contracts":{{"a.sol":{{"T":{{"abi":[{TRANSFER}]}},"U":{{"abi":[{TRANSFER}]}}}}}}}}"#);
        let told = Abi::read_file(&two, None).unwrap_err().to_string();
        assert!(told.contains("name one behind a `#`") && told.ends_with("a.sol:T, a.sol:U"), "{told}");
        for name in ["T", "a.sol:U"] {
            assert!(Abi::read_file(&two, Some(name)).is_ok(), "{name}");
        }
        let told = Abi::read_file(&two, Some("V")).unwrap_err().to_string();
        assert_eq!(told, "`contracts`: no contract is called `V`; there are a.sol:T, a.sol:U");
    }

    #[test]
    fn an_entry_that_cannot_be_read_costs_itself_alone() {
        let wrong = TRANSFER.replace("uint256", "unit256").replace("transfer", "broken");
        let text =
            format!(r#"[{wrong},{TRANSFER},{{"type":"functoin"}},{{"type":"function","name":"f","inputs":3}},"f(",7]"#);
        let file = Abi::read_file(&text, None).unwrap();
        assert_eq!(file.abi.functions().map(|f| &*f.name).collect::<Vec<_>>(), ["transfer"]);
        let unread: Vec<&str> = file.unread.iter().map(|e| e.at.split([' ', ',']).nth(1).unwrap()).collect();
        assert_eq!(unread, ["0", "2", "3", "4", "5"]);
        assert_eq!(file.unread[0].to_string(), "entry 0 (function broken), input 1: `unit256` is no type of the ABI");
    }

    #[test]
    fn types_are_read_as_the_source_calls_them() {
        let signature = |ty: &str, internal: &str| {
            let internal = if internal.is_empty() { String::new() } else { format!(r#","internalType":"{internal}""#) };
            let text = format!(
                r#"[{{"type":"function","name":"f","inputs":[{{"name":"x","type":"{ty}"{internal},"components":[{{"name":"a","type":"bool"}}]}}]}}]"#
            );
            Abi::read_file(&text, None).ok()?.abi.functions().next().map(|f| f.signature.to_string())
        };
        let cases = [
            ("uint8", "enum Vault.Mode", Some("f(uint8)")),
            ("address", "contract IERC20", Some("f(address)")),
            ("tuple[]", "struct Vault.Order[]", Some("f((bool)[])")),
            ("contract IERC20", "", Some("f(address)")),
            ("contract IERC20[2]", "", Some("f(address[2])")),
            ("IERC20", "contract IERC20", Some("f(address)")),
            ("enum Vault.Mode", "", Some("f(uint8)")),
            ("struct Vault.Order", "", Some("f((bool))")),
            ("address payable", "", Some("f(address)")),
            // Types in libraries, whose selectors are computed from these names.
            ("Lib.Mode", "enum Lib.Mode", Some("f(Lib.Mode)")),
            ("Lib.Mode[]", "enum Lib.Mode[]", Some("f(Lib.Mode[])")),
            ("Lib.Set storage", "struct Lib.Set", Some("f(Lib.Set storage)")),
            ("mapping(uint256 => uint256[]) storage", "", Some("f(mapping(uint256 => uint256[]) storage)")),
            ("Mode", "", None),
            ("a..b", "enum a..b", None),
        ];
        for (ty, internal, expected) in cases {
            assert_eq!(signature(ty, internal).as_deref(), expected, "{ty} {internal}");
        }
    }

    #[test]
    fn signatures_with_structs_are_spelled_out() {
        let file = Abi::read_file(
            r#"["struct Order { address to; Leg[] legs; }", "struct Leg { uint256 amount; bool last; }",
                "function fill(Order calldata order, Order[2] more) external payable", "event Filled(address indexed by, Leg leg)",
                "error Nope()", "constructor(address owner)", "receive() external payable", "fallback()",
                "struct Loop { Loop next; }", "function turn(Loop x)"]"#,
            None,
        )
        .unwrap();
        let told: Vec<_> = file.abi.functions().map(|f| (&*f.signature, f.payable)).collect();
        assert_eq!(told, [("fill((address,(uint256,bool)[]),(address,(uint256,bool)[])[2])", true)]);
        assert_eq!(&*file.abi.events_named("Filled")[0].signature, "Filled(address,(uint256,bool))");
        assert!(file.abi.has_receive() && file.abi.has_fallback());
        assert_eq!(file.unread.len(), 1, "{:?}", file.unread);
    }

    #[test]
    fn structs_that_grow_with_every_level_are_refused() {
        let mut lines = vec!["struct S0 { uint256 a; }".to_owned()];
        lines.extend((1..40).map(|n| format!("struct S{n} {{ S{m} a; S{m} b; S{m} c; }}", m = n - 1)));
        lines.push("function f(S39 x)".to_owned());
        lines.push("function g(S2 x)".to_owned());
        let file = Abi::read_file(&serde_json::to_string(&lines).unwrap(), None).unwrap();
        assert_eq!((file.abi.functions().count(), file.unread.len()), (1, 1));
    }
}
