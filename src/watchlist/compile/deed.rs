//! Functions, events and movements of rules and tests, and the names of their arguments.

use super::abis::{Spelled, WatchAbi, bundled_names};
use super::chains::unknown_name_problem;
use super::several;
use crate::abi::{Abi, Event, Function, Kind as Type, Param};
use crate::classify::rule::CallMatch;
use crate::model::ActivityKind;
use crate::model::activity::BY_ITSELF;
use crate::model::arg_path::{ArgPath, Step};
use crate::model::state::{DECIMALS, ITEMS, ItemKind, KIND, OWNER_DELEGATE, QUESTION, RELEASED_EARLY, Shape, TOKEN};
use crate::settings::{At, Problem, Problems, nearest_name};
use crate::watchlist::file::DeedText;
use alloy_primitives::{B256, hex};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

/// A resolved deed.
pub(super) struct CallMatcher {
    pub(super) kind: ActivityKind,
    pub(super) matches: CallMatch,
    /// Parameters under the accepted names, in order of preference: the rule's own signature, then the ABIs'. All have
    /// the same types. Empty where there are no arguments or they are unknown.
    pub(super) shapes: Vec<Arc<[Param]>>,
    /// The function, where it is known: its name, and whether it changes state.
    pub(super) function: Option<Function>,
    /// Functions and events that the text spells out in full.
    pub(super) spelled: Spelled,
    /// Deeds of a list, each resolved by itself; empty for a single deed.
    pub(super) parts: Vec<CallMatcher>,
}

/// Contracts whose functions an act may name.
#[derive(Default)]
pub(super) struct Targets {
    /// ABIs of the targets that have one.
    pub(super) abis: Vec<Arc<Abi>>,
    /// True if other contracts are meant too, or no targets are named.
    pub(super) others: bool,
}

/// A resolved argument.
pub(super) struct Argument {
    /// Path by position.
    pub(super) path: ArgPath,
    pub(super) ty: Type,
    /// True if the log holds only the hash of the argument, since the argument is indexed and longer than a topic.
    pub(super) hashed: bool,
}

/// Arguments of a move, in the order the decoder gives them.
static MOVE: LazyLock<Arc<[Param]>> = LazyLock::new(|| transfer_params("to"));
static APPROVAL: LazyLock<Arc<[Param]>> = LazyLock::new(|| transfer_params("spender"));

fn transfer_params(other_side: &str) -> Arc<[Param]> {
    let address = |name| Param::new(name, Type::Address);
    let numbers = |name| Param::new(name, Type::Array(Arc::new(Type::Uint(256))));
    let amount = Param::new("amount", Type::Uint(256));
    [address("token"), address("from"), address(other_side), amount, numbers("ids"), numbers("amounts")].into()
}

/// Returns the items whose changes are reported; answers of an oracle are only remembered.
fn told_items() -> impl Iterator<Item = &'static ItemKind> + Clone {
    ITEMS.iter().filter(|item| ![DECIMALS, KIND, QUESTION, TOKEN].contains(&item.name))
}

/// Arguments of a change of state, in the order the decoder gives them.
fn state_change_params(item: &ItemKind) -> Arc<[Param]> {
    let address = |name| Param::new(name, Type::Address);
    let of = |ty: fn() -> Type| [Param::new("before", ty()), Param::new("after", ty())];
    match item.shape {
        Shape::Address if item.name == OWNER_DELEGATE => {
            [address("who")].into_iter().chain(of(|| Type::Address)).collect()
        }
        Shape::Address => of(|| Type::Address).into(),
        Shape::Number if item.name == RELEASED_EARLY => {
            [address("token")].into_iter().chain(of(|| Type::Uint(256))).collect()
        }
        Shape::Number => of(|| Type::Uint(256)).into(),
        Shape::Flag => of(|| Type::Bool).into(),
        Shape::Hash => of(|| Type::FixedBytes(32)).into(),
        Shape::Member => [address("who")].into_iter().chain(of(|| Type::Bool)).collect(),
        Shape::Holder => {
            let role = Param::new("role", Type::FixedBytes(32));
            [role, address("who")].into_iter().chain(of(|| Type::Bool)).collect()
        }
        Shape::Sum => {
            let sums = ["before", "after", "missing", "surplus"].map(|name| Param::new(name, Type::Uint(256)));
            [address("token")].into_iter().chain(sums).collect()
        }
    }
}

impl CallMatcher {
    /// Resolves the written text. `own` is the ABI of the watch; `targets` is used for an act only.
    pub(super) fn resolve(
        text: &DeedText<'_>,
        own: &WatchAbi,
        targets: &Targets,
        problems: &mut Problems,
    ) -> Option<Self> {
        match &text.more[..] {
            [] => Self::resolve_one(text.kind, &text.text, own, targets, problems),
            _ => several::resolve_deed_list(text, own, targets, problems),
        }
    }

    pub(super) fn resolve_one(
        kind: ActivityKind,
        text: &At<&str>,
        own: &WatchAbi,
        targets: &Targets,
        problems: &mut Problems,
    ) -> Option<Self> {
        let written = At { value: text.trim(), spot: text.spot.clone() };
        let plain = |matches, shapes| {
            let (function, spelled) = (None, Spelled::default());
            Some(Self { kind, matches, shapes, function, spelled, parts: Vec::new() })
        };
        match (kind, written.value) {
            (ActivityKind::Move, "in") => plain(CallMatch::MoveIn, vec![MOVE.clone()]),
            (ActivityKind::Move, "out") => plain(CallMatch::MoveOut, vec![MOVE.clone()]),
            (ActivityKind::Move, "approval") => plain(CallMatch::Approval, vec![APPROVAL.clone(), MOVE.clone()]),
            (ActivityKind::Move, "*") => plain(CallMatch::Any, vec![MOVE.clone()]),
            (ActivityKind::Move, other) => {
                let problem = written.problem(format!("`move` cannot be `{other}`"));
                problems.push(problem.with_hint("write `move = \"in\"`, `\"out\"`, `\"approval\"` or `\"*\"`"));
                None
            }
            (ActivityKind::State, "*") => plain(CallMatch::Any, Vec::new()),
            (ActivityKind::State, name) => match told_items().find(|item| item.name == name) {
                Some(item) => plain(CallMatch::Item(item.name), vec![state_change_params(item)]),
                None => {
                    let names = told_items().map(|item| item.name);
                    problems.push(unknown_name_problem(
                        "item of state",
                        &written,
                        names,
                        "`check` and the documentation list all of them",
                    ));
                    None
                }
            },
            (_, "*") => plain(CallMatch::Any, Vec::new()),
            (ActivityKind::Event, _) => Self::from_event(&written, own, problems),
            (_, "ether") => plain(CallMatch::Ether, Vec::new()),
            (ActivityKind::Act | ActivityKind::Call, "creation") => plain(CallMatch::Creation, Vec::new()),
            (ActivityKind::Act, word) if BY_ITSELF.contains(&word) => {
                let name = BY_ITSELF.into_iter().find(|name| *name == word).unwrap_or_default();
                plain(CallMatch::Item(name), Vec::new())
            }
            (ActivityKind::Act, _) => Self::from_function(kind, &written, &targets.abis, targets.others, problems),
            (ActivityKind::Call, _) => Self::from_function(kind, &written, &own.all_abis(), own.open, problems),
        }
    }

    /// Resolves a function. `open` allows a function that no ABI here contains.
    fn from_function(
        kind: ActivityKind,
        written: &At<&str>,
        abis: &[Arc<Abi>],
        open: bool,
        problems: &mut Problems,
    ) -> Option<Self> {
        if let Some(digits) = written.strip_prefix("0x") {
            return Self::from_selector(kind, written, digits, abis, open, problems);
        }
        let spelled = match written.contains('(') {
            false => None,
            true => match Function::parse(written) {
                Ok(function) => Some(function),
                Err(error) => {
                    let problem = written.problem(format!("this is not a signature: {error}"));
                    problems.push(match suggest_signature(written, abis) {
                        Some(hint) => problem.with_hint(hint),
                        None => problem,
                    });
                    return None;
                }
            },
        };
        let find = |abi: &Abi| abi.functions_named(written).into_iter().cloned().collect::<Vec<_>>();
        let mut found: Vec<Arc<Function>> = abis.iter().flat_map(|abi| find(abi)).collect();
        if found.is_empty() && open {
            // Common ABIs come before special ones: `approve` is a function of tokens.
            found = bundled_names().map(|(_, abi)| find(abi)).find(|found| !found.is_empty()).unwrap_or_default();
        }
        if let (None, true) = (&spelled, found.is_empty()) {
            problems.push(unknown_function(written, None, abis, open));
            return None;
        }
        if found.is_empty() && !open {
            problems.push(unknown_function(written, spelled.as_ref(), abis, open));
            return None;
        }
        let signatures: BTreeSet<&str> = found.iter().map(|function| &*function.signature).collect();
        if signatures.len() > 1 {
            let list: Vec<&str> = signatures.into_iter().collect();
            let problem = written.problem(format!("`{}` could be {} functions", **written, list.len()));
            problems.push(problem.with_hint(format!("write one of `{}`", list.join("`, `"))));
            return None;
        }
        let known = found.first().map(|function| (**function).clone());
        let shapes = spelled.iter().map(|f| Arc::clone(&f.inputs)).chain(found.iter().map(|f| Arc::clone(&f.inputs)));
        let shapes = distinct_shapes(shapes);
        // An ABI's statement about payability and views takes precedence over a signature copied into a rule.
        let function = known.or_else(|| spelled.clone())?;
        Some(Self {
            kind,
            matches: CallMatch::Function { selector: function.selector, signature: Arc::clone(&function.signature) },
            shapes,
            function: Some(function),
            spelled: Spelled { functions: spelled.into_iter().collect(), events: Vec::new() },
            parts: Vec::new(),
        })
    }

    fn from_selector(
        kind: ActivityKind,
        written: &At<&str>,
        digits: &str,
        abis: &[Arc<Abi>],
        open: bool,
        problems: &mut Problems,
    ) -> Option<Self> {
        let Ok(selector) = hex::decode(digits).map_err(drop).and_then(|bytes| <[u8; 4]>::try_from(bytes).map_err(drop))
        else {
            let problem = written.problem(format!("`{}` is not a selector", **written));
            problems.push(problem.with_hint("a selector is `0x` and eight hexadecimal digits"));
            return None;
        };
        let mut found: Vec<Arc<Function>> = abis.iter().flat_map(|abi| abi.functions_of(selector)).cloned().collect();
        if found.is_empty() && open {
            found = bundled_names().flat_map(|(_, abi)| abi.functions_of(selector)).cloned().collect();
        }
        let signatures: BTreeSet<&str> = found.iter().map(|function| &*function.signature).collect();
        // Several functions with the same selector have different arguments, so no argument can be named.
        let one = signatures.len() == 1;
        let function = found.first().filter(|_| one).map(|function| (**function).clone());
        let signature =
            function.as_ref().map_or_else(|| written.value.to_ascii_lowercase().into(), |f| Arc::clone(&f.signature));
        let shapes = if one { distinct_shapes(found.iter().map(|f| Arc::clone(&f.inputs))) } else { Vec::new() };
        let matches = CallMatch::Function { selector, signature };
        Some(Self { kind, matches, shapes, function, spelled: Spelled::default(), parts: Vec::new() })
    }

    fn from_event(written: &At<&str>, own: &WatchAbi, problems: &mut Problems) -> Option<Self> {
        let event = |topic0, signature, shapes, spelled: Option<Event>| {
            let spelled = Spelled { functions: Vec::new(), events: spelled.into_iter().collect() };
            let matches = CallMatch::Event { topic0, signature };
            let (function, parts) = (None, Vec::new());
            Some(Self { kind: ActivityKind::Event, matches, shapes, function, spelled, parts })
        };
        if let Some(digits) = written.strip_prefix("0x") {
            let Ok(topic0) = digits.parse::<B256>() else {
                let problem = written.problem(format!("`{}` is not a topic", **written));
                problems.push(problem.with_hint("a first topic is `0x` and 64 hexadecimal digits"));
                return None;
            };
            let known = own.abi.events_by_topic(topic0);
            let signature = known.first().map_or_else(|| written.value.into(), |event| Arc::clone(&event.signature));
            return event(topic0, signature, distinct_shapes(known.iter().map(|e| Arc::clone(&e.inputs))), None);
        }
        let spelled = match written.contains('(').then(|| Event::parse(written)).transpose() {
            Ok(spelled) => spelled,
            Err(error) => {
                problems.push(written.problem(format!("this is not a signature: {error}")));
                return None;
            }
        };
        let all = own.all_abis();
        let found: Vec<Arc<Event>> = all.iter().flat_map(|abi| abi.events_named(written)).cloned().collect();
        if found.is_empty() && !(own.open && spelled.is_some()) {
            problems.push(unknown_event(written, own));
            return None;
        }
        let signatures: BTreeSet<&str> = found.iter().map(|event| &*event.signature).collect();
        if signatures.len() > 1 {
            let list: Vec<&str> = signatures.into_iter().collect();
            let problem = written.problem(format!("`{}` could be {} events", **written, list.len()));
            problems.push(problem.with_hint(format!("write one of `{}`", list.join("`, `"))));
            return None;
        }
        let shapes = distinct_shapes(spelled.iter().map(|e| &e.inputs).chain(found.iter().map(|e| &e.inputs)).cloned());
        let known = found.first().map(|event| (**event).clone()).or_else(|| spelled.clone())?;
        let Some(topic0) = known.topic0 else {
            problems.push(
                written.problem(format!("`{}` is anonymous, so no log says that it is this event", known.signature)),
            );
            return None;
        };
        event(topic0, known.signature, shapes, spelled)
    }

    /// Returns the parts of the deed: the deeds of a list, else the deed itself.
    pub(super) fn each(&self) -> &[Self] {
        if self.parts.is_empty() { std::slice::from_ref(self) } else { &self.parts }
    }

    /// The parameters under their first names.
    pub(super) fn params(&self) -> Option<&Arc<[Param]>> {
        self.shapes.first()
    }

    /// Finds an argument by any of its names; reports a problem if there is none, or if only its hash is known.
    pub(super) fn find_argument(&self, label: &At<&str>, problems: &mut Problems) -> Option<Argument> {
        let found = self.argument_or_hash(label, problems)?;
        if found.hashed {
            let message = format!("`{}` is indexed, so the log holds only its hash", **label);
            problems.push(label.problem(message));
            return None;
        }
        Some(found)
    }

    /// Finds an argument by any of its names; reports a problem if there is none, or if a name means several arguments.
    pub(super) fn argument_or_hash(&self, label: &At<&str>, problems: &mut Problems) -> Option<Argument> {
        if !self.parts.is_empty() {
            return several::find_common_argument(&self.parts, label, problems);
        }
        let path: ArgPath = match label.parse() {
            Ok(path) => path,
            Err(error) => {
                problems.push(label.problem(format!("{error}")));
                return None;
            }
        };
        let own = !self.spelled.functions.is_empty() || !self.spelled.events.is_empty();
        let places: Vec<Place> = self.shapes.iter().map(|shape| resolve_path(shape, &path)).collect();
        // The rule's own signature takes precedence: a version that uses the same name for another argument cannot be
        // meant.
        let counts = if own && places.first().is_some_and(Place::is_any) { &places[..1] } else { &places[..] };
        if let Some(several) = counts.iter().find_map(Place::as_several) {
            let message =
                format!("`{}` is the name of {} arguments: {}", **label, several.len(), several.join(" and "));
            let hint = several.iter().map(|place| format!("`\"{place}\"`")).collect::<Vec<_>>().join(" or ");
            problems.push(label.problem(message).with_hint(format!("say which is meant by its position: {hint}")));
            return None;
        }
        let mut found = counts.iter().filter_map(Place::as_one);
        let first = found.next();
        if let Some((first, ..)) = first {
            let places: BTreeSet<&str> = found.map(|(place, ..)| &**place).chain([&**first]).collect();
            if places.len() > 1 {
                let places: Vec<&str> = places.into_iter().collect();
                let message = format!("`{}` is one argument here and another there: {}", **label, places.join(" and "));
                problems.push(
                    label
                        .problem(message)
                        .with_hint("write the signature with the names that are meant, or the position"),
                );
                return None;
            }
        }
        if let Some((path, ty, hashed)) = first {
            // A path of positions always parses.
            return Some(Argument { path: path.parse().ok()?, ty: ty.clone(), hashed: *hashed });
        }
        problems.push(self.unknown_argument(label));
        None
    }

    fn unknown_argument(&self, label: &At<&str>) -> Problem {
        let what = match &self.matches {
            CallMatch::Any => "`*`".to_owned(),
            CallMatch::Ether => "plain ether".to_owned(),
            CallMatch::Creation => "a creation".to_owned(),
            CallMatch::Function { .. } | CallMatch::Event { .. } | CallMatch::OneOf(_) => {
                format!("`{}`", self.matches.watchlist_text())
            }
            CallMatch::MoveIn | CallMatch::MoveOut | CallMatch::Approval => "a move".to_owned(),
            CallMatch::Item(name) if self.kind == ActivityKind::Act => format!("`{name}`"),
            CallMatch::Item(name) => format!("a change of `{name}`"),
        };
        let problem = label.problem(format!("{what} has no argument `{}`", **label));
        let mut names: Vec<&str> = Vec::new();
        for name in self.shapes.iter().flat_map(|shape| shape.iter()).map(|param| &*param.name) {
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        let first = label.split(['.', '[']).next().unwrap_or_default();
        match nearest_name(first, names.iter().copied()).filter(|near| *near != first) {
            Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
            None if !names.is_empty() => problem.with_hint(format!("its arguments are `{}`", names.join("`, `"))),
            None if self.shapes.is_empty() && matches!(self.matches, CallMatch::Function { .. }) => {
                problem.with_hint("write the whole signature, such as `transfer(address to, uint256 amount)`")
            }
            None if self.shapes.iter().any(|shape| !shape.is_empty()) => {
                problem.with_hint("its arguments have no names: write `\"#0\"` for the first")
            }
            None => problem,
        }
    }
}

/// Target of a path among the parameters of one shape.
enum Place {
    Nowhere,
    /// The same path by positions, the type of its target, and whether the log holds only its hash.
    One(String, Type, bool),
    /// A name on the path that several parameters have: the paths by positions up to each of them.
    Several(Vec<String>),
}

impl Place {
    fn is_any(&self) -> bool {
        !matches!(self, Self::Nowhere)
    }

    fn as_one(&self) -> Option<(&String, &Type, &bool)> {
        if let Self::One(path, ty, hashed) = self { Some((path, ty, hashed)) } else { None }
    }

    fn as_several(&self) -> Option<&Vec<String>> {
        if let Self::Several(places) = self { Some(places) } else { None }
    }
}

fn resolve_path(shape: &[Param], path: &ArgPath) -> Place {
    match walk_path(shape, path) {
        Ok(Some((path, ty, hashed))) => Place::One(path, ty, hashed),
        Ok(None) => Place::Nowhere,
        Err(several) => Place::Several(several),
    }
}

/// Follows a path. Returns an error for a name that several parameters have, as in [`Place::Several`].
fn walk_path(shape: &[Param], path: &ArgPath) -> Result<Option<(String, Type, bool)>, Vec<String>> {
    let mut fields = shape;
    let mut ty: Option<&Type> = None;
    let mut out = String::new();
    let mut hashed = false;
    for step in path.steps() {
        let place = match step {
            Step::Name(name) => {
                let mut named = (0..fields.len()).filter(|place| fields[*place].name == *name);
                let Some(place) = named.next() else { return Ok(None) };
                if named.clone().next().is_some() {
                    let before = if out.is_empty() { String::new() } else { format!("{out}.") };
                    return Err([place].into_iter().chain(named).map(|place| format!("{before}#{place}")).collect());
                }
                Some(place)
            }
            Step::Position(place) => Some(*place),
            Step::Index(_) | Step::Every => None,
        };
        ty = Some(match place {
            Some(place) => {
                let Some(field) = fields.get(place) else { return Ok(None) };
                hashed |= field.indexed && is_composite(&field.kind);
                out.push_str(if out.is_empty() { "#" } else { ".#" });
                out.push_str(&place.to_string());
                &field.kind
            }
            None => match (ty, step) {
                (Some(Type::Array(element)), Step::Index(index)) => index_step(&mut out, *index, element),
                (Some(Type::FixedArray(element, len)), Step::Index(index)) if *index < *len as usize => {
                    index_step(&mut out, *index, element)
                }
                (Some(Type::Array(element) | Type::FixedArray(element, _)), Step::Every) => {
                    out.push_str("[*]");
                    element
                }
                _ => return Ok(None),
            },
        });
        fields = match ty {
            Some(Type::Tuple(fields)) => fields,
            _ => &[],
        };
    }
    Ok(ty.map(|ty| (out, ty.clone(), hashed)))
}

fn index_step<'t>(out: &mut String, index: usize, element: &'t Type) -> &'t Type {
    out.push_str(&format!("[{index}]"));
    element
}

/// Returns whether the topic of an indexed value of this type is a hash (Solidity ABI specification, "Encoding of
/// Indexed Event Parameters").
fn is_composite(ty: &Type) -> bool {
    matches!(ty, Type::Bytes | Type::String | Type::Array(_) | Type::FixedArray(..) | Type::Tuple(_))
}

fn distinct_shapes(shapes: impl Iterator<Item = Arc<[Param]>>) -> Vec<Arc<[Param]>> {
    let mut distinct: Vec<Arc<[Param]>> = Vec::new();
    for shape in shapes {
        if !distinct.contains(&shape) {
            distinct.push(shape);
        }
    }
    distinct
}

/// Returns the most likely intended signature for one that cannot be parsed: that of a known function of this name with
/// as many parameters, under the written names. `None` if types are written; the mistake is then a different one.
fn suggest_signature(written: &str, abis: &[Arc<Abi>]) -> Option<String> {
    let (name, rest) = written.split_once('(').unwrap_or((written, ""));
    let parts: Vec<&str> = rest.trim_end().trim_end_matches(')').split(',').map(str::trim).collect();
    if parts.iter().any(|part| part.contains(char::is_whitespace)) {
        return None;
    }
    let all = abis.iter().map(|abi| &**abi).chain(bundled_names().map(|(_, abi)| abi));
    let mut known = all.flat_map(|abi| abi.functions_named(name.trim()));
    let Some(function) = known.find(|function| function.inputs.len() == parts.len()) else {
        return Some("every parameter has a type: `transfer(address to, uint256 amount)`".to_owned());
    };
    let params = function.inputs.iter().zip(parts).map(|(input, part)| {
        let is_name =
            !part.is_empty() && part != &*input.ty && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        format!("{} {}", input.ty, if is_name { part } else { &input.name }).trim_end().to_owned()
    });
    Some(format!("write the types too: `{}({})`", name.trim(), params.collect::<Vec<_>>().join(", ")))
}

fn unknown_function(written: &At<&str>, spelled: Option<&Function>, abis: &[Arc<Abi>], open: bool) -> Problem {
    let message = match (open, abis.len()) {
        (true, _) => format!("no known ABI has a function `{}`", **written),
        (false, 1) => format!("`{}` is not a function of the contract's ABI", **written),
        (false, _) => format!("`{}` is not a function of any of the targets' ABIs", **written),
    };
    let functions: Vec<&Arc<Function>> = match open {
        false => abis.iter().flat_map(|abi| abi.functions()).collect(),
        true => {
            abis.iter().map(|abi| &**abi).chain(bundled_names().map(|(_, abi)| abi)).flat_map(Abi::functions).collect()
        }
    };
    let problem = written.problem(message);
    let is_event = abis.iter().any(|abi| !abi.events_named(written).is_empty());
    // The nearest canonical signature is searched first; if it is too different, the name alone is compared.
    let signatures = functions.iter().map(|function| (&*function.signature, &*function.signature));
    let names = functions.iter().map(|function| (&*function.name, &*function.signature));
    let near = match spelled {
        Some(spelled) => {
            let same_name = functions.iter().find(|function| function.name == spelled.name).map(|f| &*f.signature);
            same_name
                .or_else(|| nearest_of(&spelled.signature, signatures))
                .or_else(|| nearest_of(&spelled.name, names))
        }
        None => nearest_name(written, functions.iter().map(|function| &*function.name)),
    };
    match near {
        Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
        None if is_event => problem.with_hint(format!("it is an event: write `event = \"{}\"`", **written)),
        None if open => problem.with_hint("write the whole signature, such as `transfer(address to, uint256 amount)`"),
        None => problem,
    }
}

/// Returns the value that belongs to the nearest of the words.
fn nearest_of<'n>(written: &str, words: impl Iterator<Item = (&'n str, &'n str)> + Clone) -> Option<&'n str> {
    let near = nearest_name(written, words.clone().map(|(word, _)| word))?;
    words.into_iter().find(|(word, _)| *word == near).map(|(_, meant)| meant)
}

fn unknown_event(written: &At<&str>, own: &WatchAbi) -> Problem {
    let spelled = Event::parse(written).ok();
    let near = match &spelled {
        Some(spelled) => nearest_name(&spelled.signature, own.abi.all_events().map(|event| &*event.signature)),
        None => nearest_name(written, own.abi.all_events().map(|event| &*event.name)),
    };
    let problem = written.problem(format!("`{}` is not an event of the contract's ABI", **written));
    let is_function = !own.abi.functions_named(written).is_empty();
    match near {
        Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
        None if is_function => problem.with_hint(format!("it is a function: write `call = \"{}\"`", **written)),
        None if own.open => problem.with_hint("write the whole signature, or give the watch an `abi`"),
        None => problem,
    }
}
