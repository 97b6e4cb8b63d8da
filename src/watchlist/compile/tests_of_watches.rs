//! `[[watch.test]]`: conversion of a few keys to a complete activity.

use super::amounts;
use super::deed::CallMatcher;
use super::directory::Scope;
use super::rule::Compiled;
use super::units::{self, Counts};
use super::via;
use super::watch::{Head, Heads};
use crate::abi::{Kind as Type, Param};
use crate::classify::rule::{AddressSet, CallMatch, Expected};
use crate::model::activity::Note;
use crate::model::arg_path::ArgPath;
use crate::model::value::{Arg, Value as Decoded};
use crate::model::{
    Activity, ActivityKind, DecodedCall as Done, Decoding, Fate, Item, Operation, Position, Role, Stage,
};
use crate::settings::{At, Problems, Value, nearest_name};
use crate::watchlist::book::{Expectation, TestOf, WatchTest};
use crate::watchlist::file::{BeforeText, SignersGiven, TestText};
use alloy_primitives::{Address, B256, Bytes, I256, Sign, U256, address, hex, keccak256};
use jiff::Timestamp;
use std::cmp::Reverse;
use std::sync::Arc;

/// Address of a party that a test does not name; no list contains it. The low bytes spell `stranger`.
pub(in crate::watchlist) const STRANGER: Address = address!("0000000000000000000000007374Ff616E676572");
/// Default block time of a test: Monday, 2026-01-05 at noon UTC.
const AT: u64 = 1_767_614_400;
/// Maximum number of elements that `x[n]` creates in a test's list.
const ELEMENTS_MAX: usize = 256;

pub(super) fn compile_watch_tests(
    head: &Head<'_>,
    texts: &[TestText<'_>],
    rules: &[Compiled],
    absent: &[(Expected, Compiled)],
    heads: &Heads<'_>,
    scope: &Scope<'_>,
    problems: &mut Problems,
) -> Vec<WatchTest> {
    let builder = Builder { head, rules, absent, heads, scope };
    texts.iter().filter_map(|text| builder.build_test(text, problems)).collect()
}

struct Builder<'b> {
    head: &'b Head<'b>,
    rules: &'b [Compiled],
    absent: &'b [(Expected, Compiled)],
    heads: &'b Heads<'b>,
    scope: &'b Scope<'b>,
}

impl Builder<'_> {
    fn build_test(&self, text: &TestText<'_>, problems: &mut Problems) -> Option<WatchTest> {
        let time = match &text.at {
            None => AT,
            Some(at) => {
                match at.value.parse::<Timestamp>().ok().and_then(|time| u64::try_from(time.as_second()).ok()) {
                    Some(time) => time,
                    None => {
                        let problem = at.problem(format!("`{}` is not a moment", at.value));
                        problems.push(problem.with_hint("write it with its offset: \"2026-11-20T10:00:00Z\""));
                        AT
                    }
                }
            }
        };
        let expect = self.build_expectation(text, problems);
        let of = match &text.absent {
            Some(name) => self.build_expected_activity(name, text, problems)?,
            None => {
                let activity = Box::new(self.build_activity(text, None, 0, problems)?);
                let before = text.before.iter().enumerate().map(|(index, before)| {
                    let activity = self.build_activity(text, Some(before), index + 1, problems)?;
                    Some((before.ago.length.as_secs(), activity))
                });
                let mut before = before.collect::<Option<Vec<_>>>()?;
                before.sort_by_key(|(ago, _)| Reverse(*ago));
                TestOf::Activity { activity, before }
            }
        };
        Some(WatchTest {
            watch: self.head.info.id,
            name: text.name.as_ref().map_or("", |name| name.value).into(),
            spot: text.spot.clone(),
            time,
            of,
            expect,
        })
    }

    /// Compiles a test of an expected action that does not happen.
    fn build_expected_activity(&self, name: &At<&str>, text: &TestText<'_>, problems: &mut Problems) -> Option<TestOf> {
        let names = || self.absent.iter().map(|(expected, _)| &*expected.rule.name);
        if !names().any(|known| known == name.value) {
            let problem = name.problem(format!("this watch has no `[[watch.absent]]` called `{}`", **name));
            problems.push(match nearest_name(name, names()) {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem,
            });
            return None;
        }
        let same = |before: &BeforeText<'_>| {
            before.from.is_none() && before.args.is_empty() && before.value.is_none() && before.fate.is_none()
        };
        if let Some(other) = text.before.iter().find(|before| !same(before)) {
            problems
                .push(other.ago.length.problem("of what does not come there is only the time at which it came before"));
            return None;
        }
        let mut before: Vec<u64> = text.before.iter().map(|before| before.ago.length.as_secs()).collect();
        before.sort_by_key(|ago| Reverse(*ago));
        Some(TestOf::Absence { name: name.value.into(), before })
    }

    fn build_expectation(&self, text: &TestText<'_>, problems: &mut Problems) -> Expectation {
        for expected in text.by.iter().chain(&text.refused) {
            let name = expected.split(':').next().unwrap_or_default().trim();
            let absent = self.absent.iter().map(|(_, compiled)| compiled);
            let names = self.rules.iter().chain(absent).map(|rule| &*rule.rule.name);
            if !name.starts_with("builtin/") && !names.clone().any(|known| known == name) {
                let problem = expected.problem(format!("this watch has no rule `{name}`"));
                problems.push(match nearest_name(name, names) {
                    Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                    None => problem,
                });
            }
        }
        Expectation {
            normal: text.normal.unwrap_or_default(),
            by: text.by.as_ref().map(|by| by.value.into()),
            severity: text.severity,
            refused: text.refused.iter().map(|refused| refused.value.into()).collect(),
        }
    }

    /// Builds the activity of a test, or the activity that happened `earlier`, in another transaction, numbered `nth`.
    fn build_activity(
        &self,
        text: &TestText<'_>,
        earlier: Option<&BeforeText<'_>>,
        nth: usize,
        problems: &mut Problems,
    ) -> Option<Activity> {
        let own = self.head.info.address;
        let mut one = |at: &Option<At<&str>>| at.as_ref().map(|at| self.scope.resolve_address(at, problems));
        let caller = earlier.and_then(|earlier| earlier.from.clone()).or_else(|| text.from.clone());
        let (from, origin, to) = (one(&caller), one(&text.origin), one(&text.to));
        let written = text.deed.as_ref()?;
        let kind = written.kind;
        let targets =
            to.flatten().map(|to| AddressSet { name: "".into(), members: Arc::new([to].into_iter().collect()) });
        let targets = self.heads.target_abis(targets.as_ref(), self.scope);
        let deed = CallMatcher::resolve(written, &self.head.abi, &targets, problems)?;
        if matches!(deed.matches, CallMatch::Any | CallMatch::OneOf(_)) {
            problems.push(written.text.problem("a test names one thing that happens"));
            return None;
        }
        if kind == ActivityKind::Act && text.to.is_none() && deed.matches != CallMatch::Creation {
            problems.push(text.spot.problem("`to` is missing: a test of an act says on whom it acts"));
        }
        let other = earlier.map_or(&[][..], |earlier| &earlier.args);
        let kept = text.args.iter().filter(|(label, _)| other.iter().all(|(name, _)| name.value != label.value));
        let written: Vec<_> = kept.chain(other).collect();
        let mut args = self.build_args(&written, &deed, to.flatten(), problems);
        let (from, origin, to) = (from.flatten(), origin.flatten(), to.flatten());
        let party = |args: &[Arg], index: usize| {
            args.get(index).and_then(|arg| arg.value.as_address()).filter(|a| !a.is_zero())
        };
        let (from, to) = match kind {
            ActivityKind::Call => (from.unwrap_or(STRANGER), Some(own)),
            ActivityKind::Act => (own, to),
            ActivityKind::Event | ActivityKind::State => (own, None),
            ActivityKind::Move => {
                let inward = deed.matches == CallMatch::MoveIn;
                let from = from.or_else(|| party(&args, 1)).unwrap_or(if inward { STRANGER } else { own });
                let to = to.or_else(|| party(&args, 2)).unwrap_or(if inward { own } else { STRANGER });
                for (index, party) in [(1, from), (2, to)] {
                    if let Some(arg) = args.get_mut(index) {
                        arg.value = Decoded::Address(party);
                    }
                }
                (from, Some(to))
            }
        };
        let value = earlier
            .and_then(|earlier| earlier.value)
            .or(text.value)
            .and_then(|value| units::read_ether(&value, "value", self.scope, problems))
            .map_or(U256::ZERO, |at| at.value);
        let creation = deed.matches == CallMatch::Creation;
        let operation = text.operation.unwrap_or(if creation { Operation::Create } else { Operation::Call });
        let hash = match text.code.as_ref().filter(|code| code.value != "none") {
            None => Some(keccak256([])),
            Some(code) => {
                let hash = code.parse::<B256>().ok();
                if hash.is_none() {
                    problems.push(code.problem(format!("`{}` is no hash of code", **code)));
                }
                hash
            }
        };
        let parties =
            [Some(from), to].into_iter().flatten().chain(args.iter().filter_map(|arg| arg.value.as_address()));
        let mut notes: Vec<Note> =
            hash.map_or_else(Vec::new, |hash| parties.map(|of| Note::Code { of, hash }).collect());
        if let Some(via) = &text.via {
            notes.extend(via::sample_via_note(via, self.head, self.heads, self.scope, problems));
        }
        let is_log = matches!(kind, ActivityKind::Event | ActivityKind::Move);
        Some(Activity {
            watch: self.head.info.id,
            kind,
            stage: text.stage,
            fate: earlier.and_then(|earlier| earlier.fate).or(text.fate).unwrap_or(match text.stage {
                Stage::Proposed | Stage::Pending => Fate::Waiting,
                Stage::Included => Fate::Executed,
                Stage::Reverted => Fate::Reverted,
            }),
            tx: B256::from(U256::from(nth)),
            tx_index: 0,
            position: match &deed.matches {
                CallMatch::Item(name) => Item::from_name(name).map_or(Position::Log(0), Position::State),
                _ if is_log => Position::Log(0),
                _ => Position::Call(Vec::new()),
            },
            from,
            origin: origin.unwrap_or(if kind == ActivityKind::Call { from } else { STRANGER }),
            to,
            value,
            deed: self.with_suffix(build_decoded_call(&deed, args), text.suffix.as_ref(), problems),
            operation,
            signers: text.signers.as_ref().and_then(|signers| self.build_signers(signers, problems)),
            via: Vec::new(),
            role: Role::Leaf,
            notes,
        })
    }

    /// The deed with bytes behind its arguments.
    fn with_suffix(&self, deed: Done, written: Option<&At<&str>>, problems: &mut Problems) -> Done {
        let Some(written) = written else { return deed };
        let bytes = written.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
        match bytes.filter(|bytes| !bytes.is_empty()) {
            None => problems.push(written.problem("`suffix` is written as `0x…`, a byte at least")),
            Some(_) if deed.selector.is_none() => {
                problems.push(written.problem("only a call of a function has arguments that something stands behind"));
            }
            Some(bytes) => return Done { decoding: Decoding::Suffixed(bytes.into()), ..deed },
        }
        deed
    }

    /// Returns the arguments in order; arguments that a test does not give are zero or empty.
    fn build_args(
        &self,
        written: &[&(At<&str>, Value<'_>)],
        deed: &CallMatcher,
        to: Option<Address>,
        problems: &mut Problems,
    ) -> Vec<Arg> {
        // A test may use the argument names of the watch's rules for the same function.
        let parts = self.rules.iter().flat_map(|rule| rule.deed.each());
        let same = parts.filter(|part| part.kind == deed.kind && part.matches == deed.matches);
        let shapes = deed.shapes.iter().chain(same.flat_map(|part| &part.shapes)).cloned().collect();
        let named = CallMatcher {
            shapes,
            matches: deed.matches.clone(),
            function: None,
            spelled: Default::default(),
            kind: deed.kind,
            parts: Vec::new(),
        };
        let Some(params) = deed.params().or_else(|| named.params()) else {
            if let Some((label, _)) = written.first() {
                named.find_argument(label, problems);
            }
            return Vec::new();
        };
        let mut args: Vec<Arg> = params.iter().map(|param| build_arg(param, zero_value(&param.kind))).collect();
        let mut token = to.or(Some(self.head.info.address)).and_then(|address| self.scope.token_at(address));
        let found: Vec<_> = written
            .iter()
            .filter_map(|(label, value)| Some((label, value, named.argument_or_hash(label, problems)?)))
            .collect();
        // The token of a movement determines the unit of its amount, wherever it is written, so it is read first.
        for first in [true, false] {
            for (label, value, argument) in &found {
                let is_token = deed.kind == ActivityKind::Move && argument.path.to_string() == "#0";
                if is_token != first {
                    continue;
                }
                let counts = token.map_or(Counts::Anything, |token| Counts::Tokens(vec![token]));
                if amounts::is_amount(&named, &argument.path)
                    && let Some(measured) = units::read_amount(value, label, &counts, self.scope, &mut Problems::new())
                {
                    units::refuse_bare(&measured, label, &counts, problems);
                }
                let decoded = if argument.hashed {
                    indexed_hash(label, value, &argument.ty, problems)
                } else {
                    self.build_value(label, value, &argument.ty, &counts, problems)
                };
                let Some(decoded) = decoded else { continue };
                if let (true, Decoded::Address(address)) = (is_token, &decoded) {
                    token = self.scope.token_at(*address);
                }
                if !place_value(&mut args, params, &argument.path, decoded) {
                    problems.push(label.problem(format!("`{}` does not lead to one value", label.value)));
                }
            }
            if deed.kind == ActivityKind::Move
                && first
                && found.iter().all(|(.., argument)| argument.path.to_string() != "#0")
            {
                token = None;
            }
        }
        args
    }

    fn build_value(
        &self,
        label: &At<&str>,
        value: &Value<'_>,
        ty: &Type,
        counts: &Counts<'_>,
        problems: &mut Problems,
    ) -> Option<Decoded> {
        Some(match ty {
            Type::Address => Decoded::Address(self.scope.resolve_address(&value.string(problems)?, problems)?),
            Type::Bool => Decoded::Bool(value.bool(problems)?.value),
            Type::Uint(_) | Type::Int(_) => {
                let bound = units::read_amount(value, label, counts, self.scope, problems)?.value.bound;
                let sign = if bound.negative { Sign::Negative } else { Sign::Positive };
                match ty {
                    Type::Uint(_) if !bound.negative => Decoded::Uint(bound.value),
                    Type::Int(_) => Decoded::Int(I256::checked_from_sign_and_abs(sign, bound.value)?),
                    _ => {
                        problems.push(value.spot().problem(format!("`{}` is never below zero", **label)));
                        return None;
                    }
                }
            }
            Type::String => Decoded::String(Bytes::copy_from_slice(value.string(problems)?.as_bytes())),
            Type::Bytes | Type::FixedBytes(_) | Type::Function => {
                let written = value.string(problems)?;
                let bytes = written.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
                let len = match ty {
                    Type::FixedBytes(len) => Some(*len),
                    Type::Function => Some(24),
                    _ => None,
                };
                let Some(bytes) = bytes.filter(|bytes| len.is_none_or(|len| bytes.len() == usize::from(len))) else {
                    problems.push(written.problem(format!("`{}` is `{ty}`, written as `0x…`", **label)));
                    return None;
                };
                match len {
                    Some(len) => Decoded::FixedBytes(B256::right_padding_from(&bytes), len),
                    None => Decoded::Bytes(bytes.into()),
                }
            }
            Type::Array(element) | Type::FixedArray(element, _) => {
                let Some(items) = value.as_items() else {
                    problems.push(value.spot().problem(format!("`{}` is a list", **label)));
                    return None;
                };
                let elements = items.iter().map(|item| self.build_value(label, item, element, counts, problems));
                Decoded::Array(elements.collect::<Option<Vec<_>>>()?)
            }
            Type::Tuple(fields) => {
                let Some(items) = value.as_items().filter(|items| items.len() == fields.len()) else {
                    let message = format!("`{}` is a tuple: write its {} values in a list", **label, fields.len());
                    problems.push(value.spot().problem(message));
                    return None;
                };
                let pairs = fields.iter().zip(items);
                let values = pairs.map(|(field, item)| {
                    Some(build_arg(field, self.build_value(label, &item, &field.kind, counts, problems)?))
                });
                Decoded::Tuple(values.collect::<Option<Vec<_>>>()?)
            }
        })
    }

    /// Returns this number of the registry's owners, or of arbitrary addresses if the watch lists none.
    fn build_signers(&self, given: &SignersGiven<'_>, problems: &mut Problems) -> Option<Vec<Address>> {
        match given {
            SignersGiven::List(list) => {
                Some(self.scope.set_or_nobody(list, problems)?.members.iter().copied().collect())
            }
            SignersGiven::Number(number) => {
                let mut owners: Vec<Address> =
                    self.scope.owners.map(|owners| owners.members.iter().copied().collect()).unwrap_or_default();
                owners.sort_unstable();
                let most = if owners.is_empty() { ELEMENTS_MAX } else { owners.len() };
                let Some(wanted) = usize::try_from(number.value).ok().filter(|wanted| *wanted <= most) else {
                    problems.push(number.problem(format!("there are at most {most} signers")));
                    return None;
                };
                if owners.is_empty() {
                    owners =
                        (1..=wanted).map(|n| Address::left_padding_from(&[0x5e, (n >> 8) as u8, n as u8])).collect();
                }
                owners.truncate(wanted);
                Some(owners)
            }
        }
    }
}

/// Reads the hash that a log holds of an indexed text, of bytes or of a list: written as a hash, or as the text or the
/// bytes themselves.
fn indexed_hash(label: &At<&str>, value: &Value<'_>, ty: &Type, problems: &mut Problems) -> Option<Decoded> {
    let written = value.string(problems)?;
    if let Some(hash) = written.parse::<B256>().ok().filter(|_| written.starts_with("0x")) {
        return Some(Decoded::Hash(hash));
    }
    let bytes = match ty {
        Type::String => Some(written.as_bytes().to_vec()),
        Type::Bytes => written.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok()),
        _ => None,
    };
    if bytes.is_none() {
        problems.push(written.problem(format!("`{}` is indexed: write its hash as `0x…`", **label)));
    }
    Some(Decoded::Hash(keccak256(bytes?)))
}

/// Returns the deed as the decoder would produce it.
fn build_decoded_call(deed: &CallMatcher, args: Vec<Arg>) -> Done {
    let plain = |name: &str, signature: &Arc<str>| Done::without_calldata(name, Arc::clone(signature), Vec::new());
    let word = |word: &str| Done::without_calldata(word, word, Vec::new());
    let done = match &deed.matches {
        CallMatch::Any => Done { decoding: Decoding::Opaque("nothing is known of it".to_owned()), ..word("*") },
        CallMatch::Ether => Done { decoding: Decoding::Ether, ..word("ether") },
        CallMatch::Creation => word("creation"),
        CallMatch::Function { selector, signature } => {
            let known = deed.function.as_ref();
            Done {
                selector: Some(*selector),
                decoding: known.map_or(Decoding::Opaque("unknown selector".to_owned()), |_| Decoding::Clean),
                mutates: known.is_none_or(|function| function.mutates),
                ..plain(known.map_or(signature, |function| &function.name), signature)
            }
        }
        CallMatch::Event { topic0, signature } => {
            let name = signature.split('(').next().unwrap_or_default();
            Done { topic0: Some(*topic0), ..plain(name, signature) }
        }
        CallMatch::MoveIn | CallMatch::MoveOut => word("transfer"),
        CallMatch::Approval => word("approval"),
        CallMatch::Item(name) => word(name),
        // Each test has a single function, event or movement.
        CallMatch::OneOf(_) => word("*"),
    };
    Done { args, ..done }
}

fn build_arg(param: &Param, value: Decoded) -> Arg {
    Arg { name: Arc::clone(&param.name), ty: Arc::clone(&param.ty), value, span: None }
}

/// Returns the value that calldata of nothing but zeros decodes to.
pub(in crate::watchlist) fn zero_value(ty: &Type) -> Decoded {
    match ty {
        Type::Address => Decoded::Address(Address::ZERO),
        Type::Bool => Decoded::Bool(false),
        Type::Uint(_) => Decoded::Uint(U256::ZERO),
        Type::Int(_) => Decoded::Int(I256::ZERO),
        Type::FixedBytes(len) => Decoded::FixedBytes(B256::ZERO, *len),
        Type::Function => Decoded::FixedBytes(B256::ZERO, 24),
        Type::Bytes => Decoded::Bytes(Bytes::new()),
        Type::String => Decoded::String(Bytes::new()),
        Type::Array(_) => Decoded::Array(Vec::new()),
        Type::FixedArray(element, len) => {
            let len = usize::try_from(*len).unwrap_or(usize::MAX).min(ELEMENTS_MAX);
            Decoded::Array(vec![zero_value(element); len])
        }
        Type::Tuple(fields) => {
            Decoded::Tuple(fields.iter().map(|field| build_arg(field, zero_value(&field.kind))).collect())
        }
    }
}

/// Writes a value at the end of the path and extends lists as needed. Returns false if the path does not lead to
/// exactly one place.
fn place_value(args: &mut [Arg], params: &[Param], path: &ArgPath, decoded: Decoded) -> bool {
    use crate::model::arg_path::Step;
    let mut fields = args;
    let mut types = params;
    let mut steps = path.steps().iter().peekable();
    while let Some(Step::Position(position)) = steps.next() {
        let (Some(field), Some(param)) = (fields.get_mut(*position), types.get(*position)) else { return false };
        let (mut value, mut ty) = (&mut field.value, &param.kind);
        while let Some(step) = steps.next_if(|step| matches!(step, Step::Index(_) | Step::Every)) {
            let (Step::Index(index), Decoded::Array(elements)) = (step, value) else { return false };
            let (Type::Array(element) | Type::FixedArray(element, _)) = ty else { return false };
            if *index >= ELEMENTS_MAX {
                return false;
            }
            if elements.len() <= *index {
                elements.resize(*index + 1, zero_value(element));
            }
            (value, ty) = (&mut elements[*index], &**element);
        }
        if steps.peek().is_none() {
            *value = decoded;
            return true;
        }
        let (Decoded::Tuple(inner), Type::Tuple(inner_types)) = (value, ty) else { return false };
        (fields, types) = (inner, inner_types);
    }
    false
}
