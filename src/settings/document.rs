//! Parsed configuration file, with or without errors.

use super::problem::{Problem, Problems, SourceFile};
use super::reading::{ReadKeys, Reading};
use super::secret::Secrets;
use super::table::Table;
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeTable;

/// Start of the parser's message when it stops early; see [`blank_unparsable_lines`].
const STOPS: &str = "key with no value";

/// Most lines blanked in one file; each costs a pass over it.
const MENDED_LINES_MAX: usize = 50;

/// Parsed configuration file.
pub struct Document<'a> {
    file: &'a Arc<SourceFile>,
    secrets: Secrets,
    root: Spanned<DeTable<'a>>,
    read: ReadKeys,
    foreign: bool,
}

impl<'a> Document<'a> {
    /// Parses `file`. Syntax errors are reported as problems; the rest of the file can still be read.
    pub fn parse(file: &'a Arc<SourceFile>, secrets: Secrets, problems: &mut Problems) -> Self {
        let (mut root, mut errors) = DeTable::parse_recoverable(&file.text);
        if let Some(foreign) = (!errors.is_empty()).then(|| foreign_format_problem(file)).flatten() {
            problems.push(foreign);
            // Otherwise every line would be reported as an error, and none of these errors would help.
            let empty = DeTable::parse_recoverable("").0;
            return Self { file, secrets, root: empty, read: ReadKeys::new(file.text.len()), foreign: true };
        }
        if errors.iter().any(|e| e.message().starts_with(STOPS)) {
            let (mended, dropped) = blank_unparsable_lines(&file.text);
            (root, errors) = DeTable::parse_recoverable(file.mended.get_or_init(|| mended));
            errors.extend(dropped);
        }
        problems.extend(syntax_problems(file, errors));
        Self { file, secrets, root, read: ReadKeys::new(file.text.len()), foreign: false }
    }

    /// Returns whether the file is written in another language, which was reported. No keys can be read from such a
    /// file.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// The top level of the file.
    #[must_use]
    pub fn root_table(&'a self) -> Table<'a> {
        Table::new(self.reading_context(), 0..0, self.root.get_ref())
    }

    /// Reports every key whose value was never read, at any depth: a key without effect is a mistake.
    ///
    /// The readers report unknown keys themselves, with the nearest known key, and stop at values that they cannot
    /// interpret. Call this only for files in which the readers found no problem.
    pub fn report_unread_keys(&self, problems: &mut Problems) {
        self.reading_context().report_unread(self.root.get_ref(), problems);
    }

    fn reading_context(&self) -> Reading<'_> {
        Reading { file: self.file, secrets: self.secrets, read: &self.read }
    }
}

/// Returns a problem if the file is written in another common configuration language than TOML.
fn foreign_format_problem(file: &Arc<SourceFile>) -> Option<Problem> {
    let text = file.text.trim_start_matches('\u{feff}');
    let lines = text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let key = |line: &str| {
        let (key, value) = line.trim_start_matches("- ").split_once(':')?;
        let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_. \"'".contains(&b));
        (plain && (value.is_empty() || value.starts_with(' '))).then_some(())
    };
    let first = lines.clone().next()?;
    let (language, instead) = if first.trim_start().starts_with('{') {
        (
            "JSON",
            "`\"key\": \"value\"` is `key = \"value\"`, and `\"chain\": { \"mainnet\": { … } }` is `[chain.mainnet]`",
        )
    } else if first == "---"
        || lines.clone().take(3).filter(|line| key(line.trim_start()).is_some()).count() >= 2.min(lines.count())
    {
        (
            "YAML",
            "`key: value` is `key = \"value\"`, `chain:` and `mainnet:` below it are `[chain.mainnet]`, and `- ` is `[[…]]`",
        )
    } else {
        return None;
    };
    let start = text.find(first).unwrap_or(0) + (file.text.len() - text.len());
    let message = format!("this is {language}, and a configuration is written in TOML");
    Some(file.spot_at(start..start + first.len()).problem(message).with_hint(instead).without_snippet())
}

/// Blanks the lines at which the parser stops. The parser recovers from every mistake except a key without `=`, after
/// which it reads nothing. Those lines are blanked one by one, until the parser reaches the end of the file.
fn blank_unparsable_lines(text: &str) -> (String, Vec<toml::de::Error>) {
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

/// Returns one problem for each mistake of the writer. An unclosed bracket causes an error on every line after it; of
/// those, only the first line that looks wrong is reported.
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
    let spot = file.spot_at(error.span().unwrap_or(0..0));
    let message = error.message();
    match message {
        "duplicate key" => {
            let key = &file.text[spot.span.clone()];
            spot.problem(format!("`{key}` is written twice")).with_hint("a key stands once in its table; remove one")
        }
        // For these two errors the parser's list of expected tokens does not help.
        _ => spot.problem(
            message
                .strip_suffix(", expected nothing")
                .or(message.strip_suffix(", expected literal string"))
                .unwrap_or(message),
        ),
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
        let mut table = document.root_table();
        read(&mut table, &mut problems);
        table.report_unknown_keys(&mut problems);
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
                step.require_key("within", problems, Table::duration);
                step.report_unknown_keys(problems);
            }
            table.require_key("chain", problems, Table::string);
            let names = table.table("name", problems).unwrap();
            let order: Vec<&str> = names.into_entries().iter().map(|(key, _)| key.value).collect();
            assert_eq!(order, ["0xB", "0xA"]);
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
        assert_eq!(problems.to_lines(), expected);
    }

    #[test]
    fn a_key_that_no_reader_looks_at_is_reported_wherever_it_stands() {
        let text = "a = { b = 1, c = 2 }\nd = [{ e = 1 }, { f = 2 }]\ng = 1\nh.i = 1\n[j.k]\nl = 1\n[[m]]\nn = 1\n";
        let file = SourceFile::new("x.toml", text);
        let mut problems = Problems::new();
        let document = Document::parse(&file, Secrets::Resolve, &mut problems);
        let mut table = document.root_table();
        // The four cases: a table that was opened and never finished, one item of a list, a value that was requested
        // and never read, and a table opened through its entries.
        let mut a = table.table("a", &mut problems).unwrap();
        assert!(a.int("b", &mut problems).is_some());
        table.tables("d", &mut problems)[0].int("e", &mut problems);
        assert!(table.value("g").is_some_and(|value| value.name() == "g"));
        table.table("h", &mut problems);
        assert_eq!(table.table("j", &mut problems).unwrap().into_entries().len(), 1);
        assert_eq!(table.tables("m", &mut problems).len(), 1);
        assert!(problems.is_empty());
        document.report_unread_keys(&mut problems);
        let places: Vec<String> = problems.sorted_by_position().iter().map(|problem| problem.message.clone()).collect();
        let unread = |key: &str| format!("`{key}` has no effect here");
        assert_eq!(places, ["c", "f", "g", "i", "k", "n"].map(unread));
    }

    #[test]
    fn a_problem_is_underlined_with_its_hint_below() {
        let problems = read("[oncall]\nadress = 1\n", |table, problems| {
            let mut oncall = table.table("oncall", problems).unwrap();
            assert!(oncall.value("address").is_none());
            oncall.report_unknown_keys(problems);
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
        problems.push(
            file.spot_at(10..11).problem("`x` again").with_related_spot(file.spot_at(0..1), "first written here"),
        );
        let shown = problems.render(false);
        assert!(shown.contains("a.toml:6:1") && shown.contains("first written here"), "{shown}");
    }

    #[test]
    fn an_unreadable_file_is_a_problem_that_names_it() {
        let problem = SourceFile::read_file(std::path::Path::new("no/such.toml")).unwrap_err();
        let mut problems = Problems::new();
        problems.push(*problem);
        assert!(problems.render(false).contains("cannot read `no/such.toml`"), "{}", problems.render(false));
    }

    #[test]
    fn no_text_whatever_panics_the_reader() {
        // An editor may save any prefix of a file when it is interrupted.
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
            let lines = read(text, |table, _| {
                for key in ["to", "a", "b", "c", "x", "watch", "t"] {
                    table.value(key);
                }
            })
            .to_lines();
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
