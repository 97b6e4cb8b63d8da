//! Human-readable signatures: `transfer(address to, uint256 amount)`.
//!
//! Spaces, parameter names, data locations, modifiers and `returns` are read or skipped, so that a line can be copied
//! from a contract's source. `uint`, `int` and `byte` are replaced by their canonical names.

use super::item::{AbiError, Event, Function, Kind, Param, TYPE_DEPTH_MAX};

impl Function {
    /// Reads `transfer(address to, uint256 amount)`, with or without `function` in front and modifiers after it.
    ///
    /// A function without `view` or `pure` counts as state-changing; one without `payable` counts as rejecting ether.
    ///
    /// # Errors
    /// Where the text is no function; the place is a character of it.
    pub fn parse(signature: &str) -> Result<Self, AbiError> {
        let mut cursor = Cursor::new(signature);
        cursor.take_keyword("function");
        let name = cursor.name("the name of a function")?;
        let inputs = cursor.parse_params(0)?;
        let mut outputs = Vec::new();
        let (mut mutates, mut payable) = (true, false);
        loop {
            match cursor.take_word() {
                "view" | "pure" | "constant" => mutates = false,
                "payable" => payable = true,
                "external" | "public" | "internal" | "private" | "virtual" | "override" | "nonpayable" => {}
                "returns" => outputs = cursor.parse_params(0)?,
                "" => break,
                other => return Err(cursor.fail_before(other, format!("`{other}` is no modifier the ABI knows"))),
            }
        }
        cursor.expect_end()?;
        let refuse = |param: &&Param| param.indexed;
        if let Some(param) = inputs.iter().chain(&outputs).find(refuse) {
            return Err(cursor.syntax_error(format!("`{}` cannot be indexed: this is a function", param.name)));
        }
        Ok(Self::new(name, inputs, outputs, mutates, payable))
    }
}

impl Event {
    /// Reads `Transfer(address indexed from, address indexed to, uint256 value)`, with or without `event` in front and
    /// `anonymous` after it.
    ///
    /// # Errors
    /// Where the text is no event; the place is a character of it.
    pub fn parse(signature: &str) -> Result<Self, AbiError> {
        let mut cursor = Cursor::new(signature);
        cursor.take_keyword("event");
        let name = cursor.name("the name of an event")?;
        let inputs = cursor.parse_params(0)?;
        let anonymous = cursor.take_keyword("anonymous");
        cursor.expect_end()?;
        Self::new(name, inputs, anonymous)
    }
}

/// Returns a type without arrays and tuples, by any of its names in Solidity.
pub(super) fn parse_elementary_type(name: &str) -> Option<Kind> {
    Some(match name {
        "address" => Kind::Address,
        "bool" => Kind::Bool,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        "function" => Kind::Function,
        "uint" => Kind::Uint(256),
        "int" => Kind::Int(256),
        "byte" => Kind::FixedBytes(1),
        _ => {
            if let Some(bits) = name.strip_prefix("uint") {
                Kind::Uint(parse_bit_width(bits)?)
            } else if let Some(bits) = name.strip_prefix("int") {
                Kind::Int(parse_bit_width(bits)?)
            } else {
                let len = parse_decimal(name.strip_prefix("bytes")?)?.try_into().ok()?;
                (1..=32).contains(&len).then_some(Kind::FixedBytes(len))?
            }
        }
    })
}

/// Wraps `element` in the `[k]` and `[]` of `suffixes`, innermost first.
pub(super) fn wrap_in_arrays(element: Kind, suffixes: &str) -> Result<Kind, String> {
    let mut kind = element;
    let mut rest = suffixes;
    let mut depth = 0;
    while !rest.is_empty() {
        let inner = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let Some((len, after)) = inner else { return Err(format!("`{rest}` is no array such as `[]` or `[3]`")) };
        depth += 1;
        if depth > TYPE_DEPTH_MAX {
            return Err("the type is nested too deep".to_owned());
        }
        kind = if len.is_empty() {
            Kind::Array(kind.into())
        } else {
            Kind::FixedArray(
                kind.into(),
                parse_decimal(len).ok_or_else(|| format!("`{len}` is no length of an array"))?,
            )
        };
        rest = after;
    }
    kind.check_bounds()?;
    Ok(kind)
}

/// Checks whether `name` is a valid name of a function, event or parameter.
pub(super) fn is_identifier(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(is_identifier_char)
}

fn is_identifier_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

fn parse_bit_width(bits: &str) -> Option<u16> {
    let bits = parse_decimal(bits)?.try_into().ok()?;
    (bits % 8 == 0 && (8..=256).contains(&bits)).then_some(bits)
}

/// Reads a number as the ABI writes it: digits only, no leading zero.
fn parse_decimal(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

struct Cursor<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        let text = text.trim().trim_end_matches(';');
        Self { text, rest: text }
    }

    /// Reads the next word, which may be empty, and the spaces after it.
    fn take_word(&mut self) -> &'a str {
        let end = self.rest.find(|c| !is_identifier_char(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }

    /// Skips `keyword` where it stands alone. `function(...)`, a type, is not skipped.
    fn take_keyword(&mut self, keyword: &str) -> bool {
        let before = self.rest;
        let found = self.take_word() == keyword && !self.rest.starts_with('(');
        if !found {
            self.rest = before;
        }
        found
    }

    fn name(&mut self, what: &str) -> Result<&'a str, AbiError> {
        let before = self.rest;
        let name = self.take_word();
        if name.is_empty() || !is_identifier(name) {
            self.rest = before;
            return Err(self.syntax_error(format!("{what} is expected")));
        }
        Ok(name)
    }

    fn take_char(&mut self, c: char) -> bool {
        let after = self.rest.strip_prefix(c);
        self.rest = after.unwrap_or(self.rest).trim_start();
        after.is_some()
    }

    /// Reads a parameter list: `(type name, ...)`.
    fn parse_params(&mut self, depth: usize) -> Result<Vec<Param>, AbiError> {
        if !self.take_char('(') {
            return Err(self.syntax_error("`(` is expected"));
        }
        if depth > TYPE_DEPTH_MAX {
            return Err(self.syntax_error("the type is nested too deep"));
        }
        let mut params = Vec::new();
        if self.take_char(')') {
            return Ok(params);
        }
        loop {
            params.push(self.parse_param(depth)?);
            if self.take_char(')') {
                return Ok(params);
            }
            if !self.take_char(',') {
                return Err(self.syntax_error("`,` or `)` is expected"));
            }
        }
    }

    fn parse_param(&mut self, depth: usize) -> Result<Param, AbiError> {
        let start = self.rest;
        let base = self.take_word();
        let element = if self.rest.starts_with('(') && (base.is_empty() || base == "tuple") {
            Kind::Tuple(self.parse_params(depth + 1)?.into())
        } else {
            parse_elementary_type(base).ok_or_else(|| {
                self.rest = start;
                self.syntax_error(if base.is_empty() {
                    "a type is expected".to_owned()
                } else {
                    format!("`{base}` is no type of the ABI")
                })
            })?
        };
        let suffixes = self.rest;
        while self.take_char('[') {
            self.take_word();
            if !self.take_char(']') {
                return Err(self.syntax_error("`]` is expected"));
            }
        }
        let suffixes: String = suffixes[..suffixes.len() - self.rest.len()].split_whitespace().collect();
        let kind = wrap_in_arrays(element, &suffixes).map_err(|why| self.syntax_error(why))?;

        let mut param = Param::new("", kind);
        loop {
            let before = self.rest;
            match self.take_word() {
                "" => return Ok(param),
                "indexed" => param.indexed = true,
                "memory" | "calldata" | "storage" | "payable" => {}
                name if is_identifier(name) && param.name.is_empty() => param.name = name.into(),
                _ => {
                    self.rest = before;
                    return Err(self.syntax_error("`,` or `)` is expected"));
                }
            }
        }
    }

    fn expect_end(&self) -> Result<(), AbiError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.syntax_error("the end is expected")) }
    }

    fn syntax_error(&self, why: impl Into<String>) -> AbiError {
        let at = self.text.chars().count() - self.rest.chars().count() + 1;
        AbiError::new(format!("`{}`, character {at}", self.text), why)
    }

    /// Returns an error like [`Cursor::syntax_error`], at the start of `word`, which has just been read.
    fn fail_before(&mut self, word: &'a str, why: String) -> AbiError {
        let start = word.as_ptr() as usize - self.text.as_ptr() as usize;
        self.rest = &self.text[start..];
        self.syntax_error(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(text: &str) -> Function {
        Function::parse(text).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn a_signature_is_read_as_written_in_any_source() {
        for text in [
            "transfer(address,uint256)",
            "transfer(address to, uint256 amount)",
            "  function transfer ( address  to,uint amount ) external  returns (bool);",
            "transfer(address payable to, uint256 amount) public virtual override",
        ] {
            let f = function(text);
            assert_eq!((&*f.signature, f.selector), ("transfer(address,uint256)", [0xa9, 0x05, 0x9c, 0xbb]), "{text}");
            assert!(f.mutates && !f.payable);
        }
        assert_eq!(&*function("transfer(address to, uint256 amount)").inputs[1].name, "amount");
        assert!(!function("owner() view returns (address)").mutates);
        assert!(function("deposit() external payable").payable);
        assert_eq!(&*function("getOwners() view returns (address[] memory owners)").outputs[0].ty, "address[]");
    }

    #[test]
    fn tuples_and_arrays_keep_their_shape() {
        let f =
            function("execute((address to, uint value)[] calldata calls, tuple(bytes, bytes4)[2][] x, function cb)");
        assert_eq!(&*f.signature, "execute((address,uint256)[],(bytes,bytes4)[2][],function)");
        assert_eq!((&*f.inputs[0].name, &*f.inputs[2].name), ("calls", "cb"));
        assert_eq!(&*function("f(uint8[3][ ])").signature, "f(uint8[3][])");
    }

    #[test]
    fn an_event_knows_what_is_indexed() {
        let event = Event::parse("event Transfer(address indexed from, address indexed to, uint256 value)");
        let event = event.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(event.n_topics(), 3);
        assert_eq!(event.inputs.iter().map(|i| i.indexed).collect::<Vec<_>>(), [true, true, false]);
        let note = Event::parse("LogNote(bytes4 indexed sig, bytes data) anonymous").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((note.topic0, note.n_topics()), (None, 1));
    }

    #[test]
    fn a_broken_signature_says_where_and_why() {
        let told = |text: &str| Function::parse(text).expect_err(text).to_string();
        assert_eq!(
            told("transfer(address to, unit256 amount)"),
            "`transfer(address to, unit256 amount)`, character 22: `unit256` is no type of the ABI"
        );
        assert_eq!(told("transfer(address to"), "`transfer(address to`, character 20: `,` or `)` is expected");
        assert_eq!(told("f() sideways"), "`f() sideways`, character 5: `sideways` is no modifier the ABI knows");
        for text in [
            "",
            "(",
            "f",
            "f(",
            "f(,)",
            "f(uint256,)",
            "f(uint256",
            "f(uint7)",
            "f(uint264)",
            "f(bytes33)",
            "f(bytes0)",
            "f(uint08)",
            "f(uint256[)",
            "f(uint256[x])",
            "f(uint256[-1])",
            "f(uint256 a b)",
            "f() returns",
            "1f()",
            "f()g()",
            "f(uint256 indexed a)",
            "f(IERC20 token)",
            "f(fixed128x18)",
            "f(uint256[99999999999])",
            "f(uint256[70000])",
        ] {
            assert!(Function::parse(text).is_err(), "{text}");
        }
        assert!(Event::parse("E(uint256 indexed,uint256 indexed,uint256 indexed,uint256 indexed)").is_err());
    }

    #[test]
    fn a_type_of_any_depth_is_refused_without_recursion() {
        assert!(Function::parse(&format!("f(uint256{})", "[]".repeat(100_000))).is_err());
        assert!(Function::parse(&format!("f({}", "(".repeat(100_000))).is_err());
        assert!(Function::parse(&format!("f(uint256{})", "[]".repeat(TYPE_DEPTH_MAX))).is_ok());
    }
}
