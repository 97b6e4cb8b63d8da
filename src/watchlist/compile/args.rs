//! `args`: conditions on arguments.

use super::amounts;
use super::deed::CallMatcher;
use super::directory::Scope;
use super::units::{self, Counts};
use crate::abi::Kind as Type;
use crate::classify::rule::{ArgTest, Bound, Condition, Scalar};
use crate::model::amount::Unit;
use crate::settings::{At, Problems, Spot, Value};
use crate::watchlist::file::ListText;
use alloy_primitives::{B256, Bytes, I256, Sign, U256, hex};

/// Keys of a test.
const WORDS: [&str; 6] = ["eq", "in", "not_in", "min", "max", "hash"];

/// Compiles one argument's tests. `counts` is the unit that amounts in it count.
pub(super) fn compile_arg_condition(
    label: &At<&str>,
    value: &Value<'_>,
    deed: &CallMatcher,
    counts: &Counts<'_>,
    scope: &Scope<'_>,
    problems: &mut Problems,
) -> Option<Condition> {
    let argument = deed.argument_or_hash(label, problems)?;
    let is_amount = amounts::is_amount(deed, &argument.path);
    let (ty, hashed) = (&argument.ty, argument.hashed);
    let mut reader = Reader { label: label.value, ty, hashed, is_amount, counts, scope, units: Vec::new() };
    if argument.hashed && argument.path.steps().len() > 1 {
        let message = format!("`{}` is indexed, so the log holds only the hash of all of it", **label);
        problems.push(label.problem(message).with_hint("compare the hash of the whole: `{ hash = \"0x…\" }`"));
        return None;
    }
    if matches!(argument.ty, Type::Array(_) | Type::FixedArray(..) | Type::Tuple(_)) && !argument.hashed {
        let (what, hint) = match argument.ty {
            Type::Tuple(_) => ("a tuple", format!("say which field of it: `\"{}.#0\"`", **label)),
            _ => (
                "a list",
                format!("say which of its elements: `\"{0}[*]\"` for all, `\"{0}[0]\"` for the first", **label),
            ),
        };
        problems.push(label.problem(format!("`{}` is {what}", **label)).with_hint(hint));
        return None;
    }
    let tests = reader.read_tests(value, problems)?;
    let units = reader.units;
    Some(Condition::Arg { path: argument.path, label: label.value.into(), tests, units })
}

/// Reader of the values that one argument is compared with.
struct Reader<'r> {
    label: &'r str,
    ty: &'r Type,
    /// True if the log holds only the hash of the value.
    hashed: bool,
    /// True if the value is an amount of the token that the rule is about.
    is_amount: bool,
    counts: &'r Counts<'r>,
    scope: &'r Scope<'r>,
    /// Units of the amounts read so far, without duplicates.
    units: Vec<Unit>,
}

impl Reader<'_> {
    fn read_tests(&mut self, value: &Value<'_>, problems: &mut Problems) -> Option<Vec<ArgTest>> {
        if value.is_broken() {
            return None;
        }
        let Some(mut table) = value.as_table() else {
            let one = if value.as_items().is_some() {
                self.read_membership(value, true, problems)
            } else {
                self.eq(value, problems)
            };
            return Some(vec![one?]);
        };
        let told = problems.seen_count();
        let mut tests = Vec::new();
        let mut bounds: [Option<At<Bound>>; 2] = [None, None];
        for word in WORDS {
            let Some(value) = table.value(word) else { continue };
            let test = match word {
                "eq" => self.eq(&value, problems),
                "in" => self.read_membership(&value, true, problems),
                "not_in" => self.read_membership(&value, false, problems),
                "hash" => self.hash(&value, problems),
                bound => self.read_bound(&value, problems).map(|found| {
                    let is_max = bound == "max";
                    bounds[usize::from(is_max)] = Some(found.clone());
                    if is_max { ArgTest::Max(found.value) } else { ArgTest::Min(found.value) }
                }),
            };
            tests.extend(test);
        }
        if let [Some(min), Some(max)] = &bounds
            && signed_order_key(min) > signed_order_key(max)
        {
            let message = format!("the least is above the most, so `{}` could never hold", self.label);
            problems.push(min.problem(message).with_related_spot(max.spot.clone(), "the most"));
        }
        if table.is_empty() {
            let hint = "write one of `eq`, `in`, `not_in`, `min`, `max` and `hash`";
            problems.push(value.spot().problem(format!("`{}` says nothing", self.label)).with_hint(hint));
        }
        table.report_unknown_keys(problems);
        tests.shrink_to_fit();
        (problems.seen_count() == told).then_some(tests)
    }

    fn eq(&mut self, value: &Value<'_>, problems: &mut Problems) -> Option<ArgTest> {
        if *self.ty == Type::Address {
            let text = value.string(problems)?;
            if text.starts_with('@') {
                // A name may mean several addresses: equality with a set means membership.
                let list = ListText { spot: text.spot.clone(), items: vec![text] };
                return self.scope.resolve_set(&list, problems).map(ArgTest::InAddresses);
            }
            return self.scope.resolve_address(&text, problems).map(|address| ArgTest::Eq(Scalar::Address(address)));
        }
        self.read_scalar(value, problems).map(ArgTest::Eq)
    }

    /// Compiles `in`, or `not_in` where `inside` is false.
    fn read_membership(&mut self, value: &Value<'_>, inside: bool, problems: &mut Problems) -> Option<ArgTest> {
        if *self.ty == Type::Address {
            let list = ListText::from_value(value, problems)?;
            let set = self.scope.resolve_set(&list, problems)?;
            return Some(if inside { ArgTest::InAddresses(set) } else { ArgTest::NotInAddresses(set) });
        }
        let items = value.as_items().unwrap_or_else(|| vec![*value]);
        if items.is_empty() {
            problems.push(value.spot().problem("no value is listed, so this could never hold"));
            return None;
        }
        let scalars: Vec<Option<Scalar>> = items.iter().map(|item| self.read_scalar(item, problems)).collect();
        let scalars = scalars.into_iter().collect::<Option<Vec<_>>>()?;
        Some(if inside { ArgTest::InScalars(scalars) } else { ArgTest::NotInScalars(scalars) })
    }

    /// Reads one hash or several, for a value that is known by its hash alone.
    fn hash(&self, value: &Value<'_>, problems: &mut Problems) -> Option<ArgTest> {
        if !self.hashed {
            let problem =
                value.spot().problem(format!("`{}` is not indexed, so the value itself is there", self.label));
            problems.push(problem.with_hint("write `eq` or `in` with the value"));
            return None;
        }
        let written = value.one_or_more(problems)?;
        let hashes = written.iter().map(|text| {
            let hash = text.parse::<B256>().ok().filter(|_| text.starts_with("0x"));
            if hash.is_none() {
                let problem = text.problem(format!("`{}` is no hash", **text));
                problems.push(problem.with_hint("write a keccak-256 as `0x` and 64 hexadecimal digits"));
            }
            hash.map(Scalar::Hash)
        });
        let hashes = hashes.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>()?;
        if hashes.is_empty() {
            problems.push(value.spot().problem("no hash is listed, so this could never hold"));
            return None;
        }
        Some(ArgTest::InScalars(hashes))
    }

    fn read_bound(&mut self, value: &Value<'_>, problems: &mut Problems) -> Option<At<Bound>> {
        if !matches!(self.ty, Type::Uint(_) | Type::Int(_)) {
            let message = format!("`{}` is `{}`, which has neither a least nor a most", self.label, self.ty);
            problems.push(value.spot().problem(message).with_hint("write `eq`, `in` or `not_in`"));
            return None;
        }
        Some(self.read_number(value, problems)?.map(|measured| measured.bound))
    }

    fn read_number(&mut self, value: &Value<'_>, problems: &mut Problems) -> Option<At<units::Measured>> {
        let measured = units::read_amount(value, self.label, self.counts, self.scope, problems)?;
        if self.is_amount {
            units::refuse_bare(&measured, self.label, self.counts, problems);
        }
        let bound = &measured.bound;
        if !self.units.contains(&bound.unit) {
            self.units.push(bound.unit.clone());
        }
        let fits = match self.ty {
            Type::Uint(bits) => !bound.negative && bound.value <= U256::MAX >> (256 - usize::from(*bits)),
            // The minimum of intN has a magnitude that is one larger than the maximum.
            Type::Int(bits) => {
                let half = U256::ONE << (usize::from(*bits) - 1);
                if bound.negative { bound.value <= half } else { bound.value < half }
            }
            _ => true,
        };
        if !fits {
            problems.push(measured.problem(format!("`{}` is `{}`, which never has this value", self.label, self.ty)));
            return None;
        }
        Some(measured)
    }

    fn read_scalar(&mut self, value: &Value<'_>, problems: &mut Problems) -> Option<Scalar> {
        match self.ty {
            Type::Address => {
                let text = value.string(problems)?;
                self.scope.resolve_address(&text, problems).map(Scalar::Address)
            }
            Type::Bool => value.bool(problems).map(|at| Scalar::Bool(at.value)),
            Type::Uint(_) | Type::Int(_) => {
                let bound = self.read_number(value, problems)?.value.bound;
                if !bound.negative {
                    return Some(Scalar::Uint(bound.value));
                }
                I256::checked_from_sign_and_abs(Sign::Negative, bound.value).map(Scalar::Int)
            }
            Type::FixedBytes(len) => self.read_bytes(value, Some(usize::from(*len)), problems).map(Scalar::Bytes),
            Type::Function => self.read_bytes(value, Some(24), problems).map(Scalar::Bytes),
            Type::Bytes => {
                let bytes = self.read_bytes(value, None, problems)?;
                if self.hashed && bytes.len() == B256::len_bytes() {
                    let message = format!("`{}` is indexed, and this could be its bytes or their hash", self.label);
                    problems.push(value.spot().problem(message).with_hint("write the hash: `{ hash = \"0x…\" }`"));
                    return None;
                }
                Some(Scalar::Bytes(bytes))
            }
            Type::String => {
                let text = value.string(problems)?;
                // A hash in place of an indexed text is taken as the hash of the text, since no one would index a text
                // that looks like one.
                let hash = text.parse::<B256>().ok().filter(|_| self.hashed && text.starts_with("0x"));
                Some(hash.map_or_else(|| Scalar::Text(text.value.into()), Scalar::Hash))
            }
            Type::Array(_) | Type::FixedArray(..) | Type::Tuple(_) => {
                let problem = value.spot().problem(format!("of `{}` the log holds only the hash", self.label));
                problems.push(problem.with_hint("write `{ hash = \"0x…\" }`"));
                None
            }
        }
    }

    fn read_bytes(&self, value: &Value<'_>, len: Option<usize>, problems: &mut Problems) -> Option<Bytes> {
        let text = value.string(problems)?;
        let decoded = text.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
        let spot: &Spot = &text.spot;
        let Some(bytes) = decoded else {
            let problem = spot.problem(format!("`{}` is `{}`, and this is not hexadecimal", self.label, self.ty));
            problems.push(problem.with_hint("write `0x` and two digits for each byte"));
            return None;
        };
        if let Some(len) = len.filter(|len| *len != bytes.len()) {
            let message = format!("`{}` has {len} bytes, and this has {}", self.label, bytes.len());
            problems.push(spot.problem(message));
            return None;
        }
        Some(bytes.into())
    }
}

/// Returns a key that orders bounds with negative numbers before positive ones.
fn signed_order_key(bound: &Bound) -> (bool, U256) {
    if bound.negative { (false, !bound.value) } else { (true, bound.value) }
}
