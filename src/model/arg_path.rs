//! Path to an argument: `to`, `#0`, `order.amount`, `items[3].to`, `items[*].to`.
//!
//! Input: a path in a rule. Output: the values at that path in a decoded call or event. A path without a match yields
//! nothing; the rule parser must check beforehand whether it can match (`abi` checks it against the types).

use std::{fmt, str::FromStr, sync::Arc};

use super::value::{Arg, Value};

/// A parsed path. It is compared and printed as written, without spaces around it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ArgPath {
    steps: Vec<Step>,
}

/// A step of a path. The first is a [`Step::Name`] or a [`Step::Position`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// `to`, `.to`: the arguments or fields of this name.
    Name(Arc<str>),
    /// `#0`, `.#0`: the argument or field at this position, from zero.
    Position(usize),
    /// `[3]`: the element at this index, from zero.
    Index(usize),
    /// `[*]`: every element.
    Every,
}

/// Reason why a path cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a path to an argument: {why} at character {at}")]
pub struct ArgPathError {
    /// The path as written.
    pub path: String,
    /// Position of the error in characters, from one.
    pub at: usize,
    /// Description of the error at that position.
    pub why: &'static str,
}

impl ArgPath {
    /// The steps, in order; at least one.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Returns every value at the path in `args`, in order. Empty where an argument, field or element is missing.
    pub fn find_values<'a>(&self, args: &'a [Arg]) -> Vec<&'a Value> {
        let mut found = Vec::new();
        self.visit_values(args, &mut |value| found.push(value));
        found
    }

    /// Passes every value that [`ArgPath::find_values`] returns to `see`, without building a list.
    pub fn visit_values<'a>(&self, args: &'a [Arg], see: &mut dyn FnMut(&'a Value)) {
        if let Some((first, rest)) = self.steps.split_first() {
            for arg in args_at_step(first, args) {
                walk_steps(rest, &arg.value, see);
            }
        }
    }
}

fn walk_steps<'a>(steps: &[Step], value: &'a Value, found: &mut dyn FnMut(&'a Value)) {
    let Some((step, rest)) = steps.split_first() else { return found(value) };
    match (step, value) {
        (Step::Every, Value::Array(elements)) => elements.iter().for_each(|element| walk_steps(rest, element, found)),
        (Step::Index(i), Value::Array(elements)) => {
            elements.get(*i).into_iter().for_each(|e| walk_steps(rest, e, found));
        }
        (Step::Name(_) | Step::Position(_), Value::Tuple(fields)) => {
            args_at_step(step, fields).for_each(|field| walk_steps(rest, &field.value, found));
        }
        _ => {}
    }
}

fn args_at_step<'a>(step: &Step, args: &'a [Arg]) -> impl Iterator<Item = &'a Arg> {
    args.iter()
        .enumerate()
        .filter(move |(i, arg)| match step {
            Step::Name(name) => arg.name == *name,
            Step::Position(position) => i == position,
            Step::Index(_) | Step::Every => false,
        })
        .map(|(_, arg)| arg)
}

impl fmt::Display for ArgPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps.iter().enumerate() {
            let dot = if i == 0 { "" } else { "." };
            match step {
                Step::Name(name) => write!(f, "{dot}{name}")?,
                Step::Position(position) => write!(f, "{dot}#{position}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Every => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

impl FromStr for ArgPath {
    type Err = ArgPathError;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        let text = path.trim();
        let fail = |rest: &str, why| ArgPathError {
            path: text.to_owned(),
            at: text.chars().count() - rest.chars().count() + 1,
            why,
        };
        let mut steps = Vec::new();
        let mut rest = text;
        loop {
            // The syntax is a name or a position, then any number of indices, then the end or a dot.
            if let Some(after) = rest.strip_prefix('#') {
                let (position, after) =
                    parse_leading_number(after).ok_or_else(|| fail(after, "a position like `#0` is expected"))?;
                steps.push(Step::Position(position));
                rest = after;
            } else {
                let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
                if end == 0 || rest.starts_with(|c: char| c.is_ascii_digit()) {
                    return Err(fail(rest, "a name or a position like `#0` is expected"));
                }
                steps.push(Step::Name(rest[..end].into()));
                rest = &rest[end..];
            }
            while let Some(after) = rest.strip_prefix('[') {
                let (step, after) = match after.strip_prefix('*') {
                    Some(after) => (Step::Every, after),
                    None => {
                        let (index, after) = parse_leading_number(after)
                            .ok_or_else(|| fail(after, "an index like `[0]` or `[*]` is expected"))?;
                        (Step::Index(index), after)
                    }
                };
                steps.push(step);
                rest = after.strip_prefix(']').ok_or_else(|| fail(after, "`]` is expected"))?;
            }
            if rest.is_empty() {
                return Ok(Self { steps });
            }
            rest = rest.strip_prefix('.').ok_or_else(|| fail(rest, "`.`, `[` or the end is expected"))?;
        }
    }
}

/// Checks whether `c` may occur in a Solidity identifier.
fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

fn parse_leading_number(text: &str) -> Option<(usize, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;

    fn arg(name: &str, value: Value) -> Arg {
        Arg { name: name.into(), ty: "".into(), value, span: None }
    }

    fn uint(n: u64) -> Value {
        Value::Uint(U256::from(n))
    }

    /// `f(uint256 amount, (uint256 to, uint256)[] items)`
    fn args() -> Vec<Arg> {
        let item = |a, b| Value::Tuple(vec![arg("to", uint(a)), arg("", uint(b))]);
        vec![arg("amount", uint(7)), arg("items", Value::Array(vec![item(1, 10), item(2, 20)]))]
    }

    fn find(path: &str) -> String {
        let path: ArgPath = path.parse().unwrap_or_else(|e| panic!("{e}"));
        path.find_values(&args()).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_path_leads_by_name_position_and_index() {
        assert_eq!(find("amount"), "7");
        assert_eq!(find("#0"), "7");
        assert_eq!(find("items[1].to"), "2");
        assert_eq!(find("items[*].to"), "1 2");
        assert_eq!(find("#1[*].#1"), "10 20");
    }

    #[test]
    fn a_path_to_what_is_not_there_finds_nothing() {
        for path in
            ["missing", "#2", "amount.to", "amount[0]", "items.to", "items[2].to", "items[*].missing", "items[*][*]"]
        {
            assert_eq!(find(path), "", "{path}");
        }
    }

    #[test]
    fn a_path_prints_as_written() {
        for path in ["to", "#0", "order.amount", "items[3].to", "items[*].to", "a[0][*].#12.b_$1"] {
            assert_eq!(path.parse::<ArgPath>().map(|p| p.to_string()), Ok(path.to_owned()));
        }
        assert_eq!(" to ".parse::<ArgPath>().map(|p| p.to_string()), Ok("to".to_owned()));
    }

    #[test]
    fn a_broken_path_says_where_and_why() {
        let told = |path: &str| path.parse::<ArgPath>().expect_err(path).to_string();
        assert_eq!(
            told("order..amount"),
            "`order..amount` is not a path to an argument: a name or a position like `#0` is expected at character 7"
        );
        for (path, at) in
            [("", 1), ("#", 2), ("#x", 2), ("a[", 3), ("a[1", 4), ("a[-1]", 3), ("a b", 2), ("1a", 1), ("a.", 3)]
        {
            assert_eq!(path.parse::<ArgPath>().map_err(|e| e.at), Err(at), "{path}");
        }
        assert!("#99999999999999999999999".parse::<ArgPath>().is_err());
    }
}
