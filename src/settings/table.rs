//! TOML tables that remember which keys were asked for.

use super::duration::parse_duration;
use super::problem::{At, Problem, Problems, SourceFile, Spot};
use super::secret::{Secret, Secrets};
use crate::model::Severity;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// How the parser says that it stopped; see [`mend`].
const STOPS: &str = "key with no value";

/// Most lines blanked in one file; each costs a pass over it.
const MENDED_LINES_MAX: usize = 50;

/// A parsed file.
pub struct Document<'a> {
    file: &'a Arc<SourceFile>,
    secrets: Secrets,
    root: Spanned<DeTable<'a>>,
}

/// A table. Every getter marks its key as known; [`Table::finish`] reports the keys that nobody asked for.
///
/// A getter returns `None` when the key is absent, and when its value is wrong, which it has then reported.
pub struct Table<'a> {
    file: &'a Arc<SourceFile>,
    secrets: Secrets,
    span: std::ops::Range<usize>,
    entries: &'a DeTable<'a>,
    known: BTreeSet<String>,
    open: bool,
}

/// A value with its key.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    file: &'a Arc<SourceFile>,
    secrets: Secrets,
    name: &'a str,
    raw: &'a Spanned<DeValue<'a>>,
}

impl<'a> Document<'a> {
    /// Parses `file`. What cannot be parsed is a problem; everything else in the file is still there to be read.
    pub fn parse(file: &'a Arc<SourceFile>, secrets: Secrets, problems: &mut Problems) -> Self {
        let (mut root, mut errors) = DeTable::parse_recoverable(&file.text);
        if errors.iter().any(|e| e.message().starts_with(STOPS)) {
            let (mended, dropped) = mend(&file.text);
            (root, errors) = DeTable::parse_recoverable(file.mended.get_or_init(|| mended));
            errors.extend(dropped);
        }
        problems.extend(syntax_problems(file, errors));
        Self { file, secrets, root }
    }

    /// The top level of the file.
    #[must_use]
    pub fn table(&'a self) -> Table<'a> {
        Table::new(self.file, self.secrets, 0..0, self.root.get_ref())
    }
}

impl<'a> Table<'a> {
    fn new(
        file: &'a Arc<SourceFile>,
        secrets: Secrets,
        span: std::ops::Range<usize>,
        entries: &'a DeTable<'a>,
    ) -> Self {
        Self { file, secrets, span, entries, known: BTreeSet::new(), open: false }
    }

    /// Its header, or the braces of an inline table.
    #[must_use]
    pub fn spot(&self) -> Spot {
        self.file.spot(self.span.clone())
    }

    /// The file it stands in.
    #[must_use]
    pub fn file(&self) -> &'a Arc<SourceFile> {
        self.file
    }

    /// Whether secrets are fetched.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        self.secrets
    }

    /// Where the key is written. Does not mark it as known.
    #[must_use]
    pub fn key_spot(&self, key: &str) -> Option<Spot> {
        self.entries.get_key_value(key).map(|(key, _)| self.file.spot(key.span()))
    }

    /// Whether the key is written. Does not mark it as known.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Any value.
    pub fn value(&mut self, key: &str) -> Option<Value<'a>> {
        if !self.known.contains(key) {
            self.known.insert(key.to_owned());
        }
        let (name, raw) = self.entries.get_key_value(key)?;
        Some(Value { file: self.file, secrets: self.secrets, name: name.get_ref(), raw })
    }

    /// All entries in the order of the file, for tables whose keys are the writer's own. All become known.
    pub fn entries(&mut self) -> Vec<(At<&'a str>, Value<'a>)> {
        self.open = true;
        let mut entries: Vec<_> = self
            .entries
            .iter()
            .map(|(key, raw)| {
                let name: &'a str = key.get_ref();
                let at = At { value: name, spot: self.file.spot(key.span()) };
                (at, Value { file: self.file, secrets: self.secrets, name, raw })
            })
            .collect();
        entries.sort_by_key(|(key, _)| key.spot.span.start);
        entries
    }

    /// What `get` finds under `key`; that the key is absent is a problem.
    ///
    /// ```ignore
    /// let label = table.require("label", problems, Table::string);
    /// ```
    pub fn require<T>(
        &mut self,
        key: &str,
        problems: &mut Problems,
        get: impl FnOnce(&mut Self, &str, &mut Problems) -> Option<T>,
    ) -> Option<T> {
        if !self.has(key) {
            self.known.insert(key.to_owned());
            problems.push(self.missing(key));
            return None;
        }
        get(self, key, problems)
    }

    /// The problem that `key` is absent, for callers with more to say about it.
    #[must_use]
    pub fn missing(&self, key: &str) -> Problem {
        self.spot().problem(format!("`{key}` is missing"))
    }

    /// A string.
    pub fn string(&mut self, key: &str, problems: &mut Problems) -> Option<At<&'a str>> {
        self.value(key)?.string(problems)
    }

    /// An integer of 64 bits.
    pub fn int(&mut self, key: &str, problems: &mut Problems) -> Option<At<i64>> {
        self.value(key)?.int(problems)
    }

    /// An integer within `range`.
    pub fn int_in(&mut self, key: &str, range: RangeInclusive<i64>, problems: &mut Problems) -> Option<At<i64>> {
        let int = self.int(key, problems)?;
        if range.contains(&int) {
            return Some(int);
        }
        problems.push(int.problem(format!("`{key}` must be from {} to {}", range.start(), range.end())));
        None
    }

    /// `true` or `false`.
    pub fn bool(&mut self, key: &str, problems: &mut Problems) -> Option<At<bool>> {
        self.value(key)?.bool(problems)
    }

    /// A length of time: `"90s"`, `"5m"`, `"7d"`.
    pub fn duration(&mut self, key: &str, problems: &mut Problems) -> Option<At<Duration>> {
        self.value(key)?.duration(problems)
    }

    /// A list of strings. Those that are strings are returned even if others are not.
    pub fn strings(&mut self, key: &str, problems: &mut Problems) -> Option<Vec<At<&'a str>>> {
        self.value(key)?.strings(problems)
    }

    /// A list of strings, or one string that stands for a list of one.
    pub fn one_or_more(&mut self, key: &str, problems: &mut Problems) -> Option<Vec<At<&'a str>>> {
        self.value(key)?.one_or_more(problems)
    }

    /// A table.
    pub fn table(&mut self, key: &str, problems: &mut Problems) -> Option<Table<'a>> {
        self.value(key)?.table(problems)
    }

    /// An array of tables: `[[key]]`. Empty when absent.
    pub fn tables(&mut self, key: &str, problems: &mut Problems) -> Vec<Table<'a>> {
        self.value(key).map(|value| value.tables(problems)).unwrap_or_default()
    }

    /// `info`, `warning`, `high` or `critical`.
    pub fn severity(&mut self, key: &str, problems: &mut Problems) -> Option<At<Severity>> {
        self.value(key)?.severity(problems)
    }

    /// `{ env = "NAME" }` or `{ file = "path" }`.
    pub fn secret(&mut self, key: &str, problems: &mut Problems) -> Option<Secret> {
        Secret::parse(self.value(key)?, problems)
    }

    /// One of several words.
    pub fn choice<T: Clone>(&mut self, key: &str, words: &[(&str, T)], problems: &mut Problems) -> Option<At<T>> {
        self.value(key)?.choice(words, problems)
    }

    /// Reports every key that no getter asked for, with the nearest known one as a hint.
    pub fn finish(self, problems: &mut Problems) {
        if self.open {
            return;
        }
        for key in self.entries.keys().filter(|key| !self.known.contains(key.get_ref().as_ref())) {
            let name = key.get_ref();
            let known = self.known.iter().map(String::as_str);
            let hint = nearest(name, known.clone()).map_or_else(
                || format!("known keys are {}", known.map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            let problem = self.file.spot(key.span()).problem(format!("unknown key `{name}`"));
            problems.push(if self.known.is_empty() { problem } else { problem.hint(hint) });
        }
    }
}

impl<'a> Value<'a> {
    /// Its key.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Where it is written.
    #[must_use]
    pub fn spot(&self) -> Spot {
        self.file.spot(self.raw.span())
    }

    /// As TOML has it.
    #[must_use]
    pub fn raw(&self) -> &'a DeValue<'a> {
        self.raw.get_ref()
    }

    /// Whether it stands in for text that could not be parsed, which was reported with the syntax error.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.raw.span().is_empty()
    }

    /// The string, if it is one; nothing is reported.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        self.raw().as_str()
    }

    /// The table, if it is one; nothing is reported.
    #[must_use]
    pub fn as_table(&self) -> Option<Table<'a>> {
        self.raw().as_table().map(|entries| Table::new(self.file, self.secrets, self.raw.span(), entries))
    }

    /// The items of a list, each under the list's key; nothing is reported.
    #[must_use]
    pub fn as_items(&self) -> Option<Vec<Value<'a>>> {
        let items = self.raw().as_array()?;
        Some(items.iter().map(|raw| Value { raw, ..*self }).collect())
    }

    /// A string.
    pub fn string(&self, problems: &mut Problems) -> Option<At<&'a str>> {
        self.expect(self.as_str(), "a string", problems)
    }

    /// An integer of 64 bits.
    pub fn int(&self, problems: &mut Problems) -> Option<At<i64>> {
        let raw = self.expect(self.raw().as_integer(), "an integer", problems)?;
        let parsed = i64::from_str_radix(raw.as_str(), raw.radix());
        if parsed.is_err() {
            problems.push(self.spot().problem(format!("`{}` must be an integer of 64 bits", self.name)));
        }
        parsed.ok().map(|value| At { value, spot: self.spot() })
    }

    /// `true` or `false`.
    pub fn bool(&self, problems: &mut Problems) -> Option<At<bool>> {
        self.expect(self.raw().as_bool(), "`true` or `false`", problems)
    }

    /// A length of time.
    pub fn duration(&self, problems: &mut Problems) -> Option<At<Duration>> {
        let text = self.expect(self.as_str(), "a length of time such as \"5m\"", problems)?;
        self.parsed(parse_duration(&text), problems)
    }

    /// A list of strings.
    pub fn strings(&self, problems: &mut Problems) -> Option<Vec<At<&'a str>>> {
        let items = self.expect(self.as_items(), "a list of strings", problems)?;
        Some(items.iter().filter_map(|item| item.expect(item.as_str(), "a list of strings", problems)).collect())
    }

    /// A list of strings, or one string.
    pub fn one_or_more(&self, problems: &mut Problems) -> Option<Vec<At<&'a str>>> {
        if self.as_str().is_some() {
            return self.string(problems).map(|one| vec![one]);
        }
        let items = self.expect(self.as_items(), "a string or a list of strings", problems)?;
        Some(items.iter().filter_map(|item| item.expect(item.as_str(), "a list of strings", problems)).collect())
    }

    /// A table.
    pub fn table(&self, problems: &mut Problems) -> Option<Table<'a>> {
        self.expect(self.as_table(), "a table", problems).map(|at| at.value)
    }

    /// An array of tables.
    pub fn tables(&self, problems: &mut Problems) -> Vec<Table<'a>> {
        if let Some(one) = self.as_table() {
            let problem = self.spot().problem(format!("`{}` is a list of tables", self.name));
            problems.push(problem.hint(format!("write `[[{}]]`", self.name)));
            return vec![one];
        }
        let items = self.expect(self.as_items(), "a list of tables", problems);
        items.into_iter().flat_map(|at| at.value).filter_map(|item| item.table(problems)).collect()
    }

    /// A severity.
    pub fn severity(&self, problems: &mut Problems) -> Option<At<Severity>> {
        self.choice(&Severity::ALL.map(|severity| (severity.as_str(), severity)), problems)
    }

    /// One of several words.
    pub fn choice<T: Clone>(&self, words: &[(&str, T)], problems: &mut Problems) -> Option<At<T>> {
        let text = self.string(problems)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == *text) {
            return Some(text.map(|_| value.clone()));
        }
        let names = words.iter().map(|(word, _)| *word);
        let hint = nearest(&text, names.clone()).map_or_else(
            || format!("write one of {}", names.map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean \"{near}\"?"),
        );
        problems.push(text.problem(format!("`{}` cannot be \"{}\"", self.name, *text)).hint(hint));
        None
    }

    /// Reports a parse that failed, at this value.
    pub fn parsed<T>(&self, result: Result<T, String>, problems: &mut Problems) -> Option<At<T>> {
        match result {
            Ok(value) => Some(At { value, spot: self.spot() }),
            Err(message) => {
                problems.push(self.spot().problem(message));
                None
            }
        }
    }

    fn expect<T>(&self, found: Option<T>, wanted: &str, problems: &mut Problems) -> Option<At<T>> {
        if self.is_broken() {
            return None;
        }
        if found.is_none() {
            let message = format!("`{}` must be {wanted}, not {}", self.name, type_name(self.raw()));
            problems.push(self.spot().problem(message));
        }
        found.map(|value| At { value, spot: self.spot() })
    }
}

/// The parser recovers from every mistake but a key without `=`, behind which it reads nothing. Those lines are blanked
/// one by one, until it reaches the end of the file.
fn mend(text: &str) -> (String, Vec<toml::de::Error>) {
    let mut mended = text.to_owned();
    let mut dropped = Vec::new();
    while dropped.len() < MENDED_LINES_MAX {
        let (_, errors) = DeTable::parse_recoverable(&mended);
        let Some(stop) = errors.into_iter().find(|e| e.message().starts_with(STOPS)) else { break };
        let at = text.floor_char_boundary(stop.span().map_or(0, |span| span.start));
        dropped.push(stop);
        let from = text[..at].rfind('\n').map_or(0, |at| at + 1);
        let to = text[at..].find('\n').map_or(text.len(), |end| at + end);
        if from == to {
            break;
        }
        mended.replace_range(from..to, &" ".repeat(to - from));
    }
    (mended, dropped)
}

/// One problem for each mistake of the writer's. A bracket that is never closed makes an error of every line behind it;
/// only the first line that looks wrong is told of those.
fn syntax_problems(file: &Arc<SourceFile>, mut errors: Vec<toml::de::Error>) -> Vec<Problem> {
    errors.sort_by_key(|e| e.span().map_or(0, |span| span.start));
    let follows = |e: &toml::de::Error| {
        ["must be quoted", "in array", "array elements", "inline table", "key-value pairs", "unclosed"]
            .iter()
            .any(|part| e.message().contains(part))
    };
    let unclosed = errors
        .iter()
        .any(|e| e.message().starts_with("unclosed array") || e.message().starts_with("unclosed inline table"))
        .then(|| errors.iter().position(follows))
        .flatten();
    if let Some(first) = unclosed {
        errors.truncate(first + 1);
    }
    let mut problems: Vec<Problem> = errors.iter().map(|error| syntax_problem(file, error)).collect();
    if let (Some(_), Some(last)) = (unclosed, problems.last_mut()) {
        "a list or a table is not closed before this".clone_into(&mut last.message);
    }
    problems
}

fn syntax_problem(file: &Arc<SourceFile>, error: &toml::de::Error) -> Problem {
    let spot = file.spot(error.span().unwrap_or(0..0));
    let message = error.message();
    match message {
        "duplicate key" => {
            let key = &file.text[spot.span.clone()];
            spot.problem(format!("`{key}` is written twice")).hint("a key stands once in its table; remove one")
        }
        // What the parser expected helps nobody in these two.
        _ => spot.problem(
            message
                .strip_suffix(", expected nothing")
                .or(message.strip_suffix(", expected literal string"))
                .unwrap_or(message),
        ),
    }
}

/// The name among `names` that `written` most likely meant.
pub fn nearest<'n>(written: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names
        .map(|name| (strsim::damerau_levenshtein(written, name), name))
        .filter(|(distance, name)| *distance <= (name.chars().count() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
page_att = "high"
page_at = "loud"
retries = "three"
limit = 70
wait = "5 minutes"
label = "Treasury"
label = "Treasury again"
to = ["a", 5, "b"]
token = "hunter2"
nonsense
broken =

[[step]]
within = "5m"

[[step]]
withim = "5m"

[name]
"0xB" = "second"
"0xA" = "first"
"#;

    fn read(text: &str, read: impl FnOnce(&mut Table<'_>, &mut Problems)) -> Problems {
        let file = SourceFile::new("dir/watch.toml", text);
        let mut problems = Problems::new();
        let document = Document::parse(&file, Secrets::Resolve, &mut problems);
        let mut table = document.table();
        read(&mut table, &mut problems);
        table.finish(&mut problems);
        problems
    }

    #[test]
    fn every_mistake_of_a_file_is_told_at_once_and_at_its_place() {
        let problems = read(TEXT, |table, problems| {
            assert_eq!(table.severity("page_at", problems), None);
            assert_eq!(table.int("retries", problems), None);
            assert_eq!(table.int_in("limit", 1..=60, problems), None);
            assert_eq!(table.duration("wait", problems), None);
            assert!(table.string("label", problems).is_some());
            assert_eq!(table.strings("to", problems).map(|items| items.len()), Some(2));
            assert!(table.secret("token", problems).is_none());
            assert_eq!(table.string("broken", problems), None);
            assert!(table.value("nonsense").is_none_or(|value| value.is_broken()));
            for mut step in table.tables("step", problems) {
                step.require("within", problems, Table::duration);
                step.finish(problems);
            }
            table.require("chain", problems, Table::string);
            let mut names = table.table("name", problems).unwrap();
            let order: Vec<&str> = names.entries().iter().map(|(key, _)| key.value).collect();
            assert_eq!(order, ["0xB", "0xA"]);
            names.finish(problems);
        });
        let expected = [
            "dir/watch.toml:1:1: `chain` is missing",
            "dir/watch.toml:2:1: unknown key `page_att`",
            "dir/watch.toml:3:11: `page_at` cannot be \"loud\"",
            "dir/watch.toml:4:11: `retries` must be an integer, not a string",
            "dir/watch.toml:5:9: `limit` must be from 1 to 60",
            "dir/watch.toml:6:8: `5 minutes` is not a length of time; write one such as \"90s\", \"5m\", \"1h30m\" or \"7d\"",
            "dir/watch.toml:8:1: `label` is written twice",
            "dir/watch.toml:9:12: `to` must be a list of strings, not an integer",
            "dir/watch.toml:10:9: `token` is a secret and must not stand in the file",
            "dir/watch.toml:11:9: key with no value, expected `=`",
            "dir/watch.toml:12:9: string values must be quoted",
            "dir/watch.toml:17:1: `within` is missing",
            "dir/watch.toml:18:1: unknown key `withim`",
        ];
        assert_eq!(problems.lines(), expected);
    }

    #[test]
    fn a_problem_is_underlined_with_its_hint_below() {
        let problems = read("[oncall]\nadress = 1\n", |table, problems| {
            let mut oncall = table.table("oncall", problems).unwrap();
            assert!(oncall.value("address").is_none());
            oncall.finish(problems);
        });
        let expected = "error: unknown key `adress`
 --> dir/watch.toml:2:1
  |
2 | adress = 1
  | ^^^^^^
  |
  = help: did you mean `address`?
";
        assert_eq!(problems.render(false), expected);
        assert!(problems.render(true).contains("\u{1b}["));
    }

    #[test]
    fn a_problem_may_point_to_a_second_place() {
        let file = SourceFile::new("a.toml", "x = 1\n\n\n\n\nx = 2\n");
        let mut problems = Problems::new();
        problems.push(file.spot(10..11).problem("`x` again").also(file.spot(0..1), "first written here"));
        let shown = problems.render(false);
        assert!(shown.contains("a.toml:6:1") && shown.contains("first written here"), "{shown}");
    }

    #[test]
    fn an_unreadable_file_is_a_problem_that_names_it() {
        let problem = SourceFile::read(std::path::Path::new("no/such.toml")).unwrap_err();
        let mut problems = Problems::new();
        problems.push(*problem);
        assert!(problems.render(false).contains("cannot read `no/such.toml`"), "{}", problems.render(false));
    }

    #[test]
    fn no_text_whatever_panics_the_reader() {
        // Every prefix of a file is what an editor may have saved half way.
        for end in 0..TEXT.len() {
            let problems = read(&TEXT[..end], |table, problems| {
                for key in ["page_at", "label", "to", "token", "broken", "step", "name", "wait"] {
                    table.string(key, problems);
                    table.strings(key, problems);
                    table.tables(key, problems);
                    table.duration(key, problems);
                }
            });
            let _ = problems.render(false);
        }
    }

    #[test]
    fn a_bracket_never_closed_is_one_problem() {
        for text in ["to = [\"a\",\nx = 1\n[[watch]]\nlabel = \"x\"\n", "a = { x = 1\nb = 1\n[t]\nc = 2"] {
            let lines = read(text, |table, _| drop(table.entries())).lines();
            assert_eq!(lines, ["dir/watch.toml:2:1: a list or a table is not closed before this"]);
        }
    }

    #[test]
    fn a_word_that_is_not_a_choice_is_answered_with_the_nearest_or_with_all() {
        let lines = |text: &str| read(text, |table, problems| drop(table.severity("s", problems))).render(false);
        assert!(lines("s = \"hgih\"").contains("did you mean \"high\"?"));
        assert!(lines("s = \"x\"").contains("write one of \"info\", \"warning\", \"high\", \"critical\""));
    }
}
