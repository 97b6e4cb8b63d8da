//! Plain technical English in the source, as far as a test can tell: how doc comments open, and what log lines say.

use std::path::Path;
use syn::visit::Visit;

/// Words that open a clause or stand for a noun. A doc comment opens with the noun, or with a verb and its object.
const OPENINGS: &[&str] = &[
    "how", "it", "its", "nobody", "one", "somebody", "that", "these", "this", "those", "what", "whatever", "when",
    "where", "whether", "which", "who", "whoever", "whose", "why",
];

/// Words of a log line that hide the operation: a failure says `failed to`.
const EVASIONS: &[&str] = &["cannot", "could not", "told", "heard", "believed", "nobody", "whoever"];

/// Macros that write a log line.
const LOGGERS: &[&str] = &["debug", "error", "info", "trace", "warn"];

/// Every file below `src`, with its path from there.
fn sources() -> Vec<(String, String)> {
    fn read(dir: &Path, root: &Path, files: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                read(&path, root, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("below it").display().to_string();
                files.push((name, std::fs::read_to_string(&path).expect("text")));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    read(&root, &root, &mut files);
    files.sort();
    files
}

/// The doc comments of `text` that open with a word of [`OPENINGS`], with their lines.
fn misopened(text: &str) -> Vec<(usize, &str)> {
    let doc = |line: &str| (line.starts_with("///") && !line.starts_with("////")) || line.starts_with("//!");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let opens = |at: &usize| doc(lines[*at]) && (*at == 0 || !doc(lines[*at - 1]));
    let word = |line: &str| {
        let rest = line.trim_start_matches(['/', '!']).trim_start();
        rest.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_lowercase()
    };
    let places = (0..lines.len()).filter(opens);
    places.filter(|at| OPENINGS.contains(&&*word(lines[*at]))).map(|at| (at + 1, lines[at])).collect()
}

/// Collects the texts of log lines.
#[derive(Default)]
struct Logs(Vec<(usize, String)>);

impl<'a> Visit<'a> for Logs {
    // What tests write to the log nobody reads.
    fn visit_item_mod(&mut self, found: &'a syn::ItemMod) {
        let for_tests = |attribute: &syn::Attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
        };
        if !found.attrs.iter().any(for_tests) {
            syn::visit::visit_item_mod(self, found);
        }
    }

    fn visit_macro(&mut self, found: &'a syn::Macro) {
        let name = found.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        if LOGGERS.contains(&&*name) {
            let text = found.tokens.clone().into_iter().find_map(|token| match token {
                proc_macro2::TokenTree::Literal(literal) => syn::parse_str::<syn::LitStr>(&literal.to_string()).ok(),
                _ => None,
            });
            let line = found.path.segments[0].ident.span().start().line;
            self.0.extend(text.map(|text| (line, text.value())));
        }
        syn::visit::visit_macro(self, found);
    }
}

/// Why a log line does not name its operation and object, if so. A line that is all placeholders was written elsewhere.
fn flaw(text: &str) -> Option<String> {
    let mut words = String::new();
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 => words.push(c),
            _ => {}
        }
    }
    let words: Vec<&str> =
        words.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return None;
    }
    let plain = format!(" {} ", words.join(" ").to_lowercase());
    if let Some(evasion) = EVASIONS.iter().find(|evasion| plain.contains(&format!(" {evasion} "))) {
        return Some(format!("says `{evasion}`: name what failed, as in `failed to read the store`"));
    }
    let objects = words.len() + text.matches('{').count();
    (objects < 3).then(|| "names no operation and object".to_owned())
}

#[test]
fn doc_comments_open_with_a_noun_or_a_verb() {
    let mut flaws = Vec::new();
    for (file, text) in sources() {
        flaws.extend(misopened(&text).into_iter().map(|(line, comment)| format!("src/{file}:{line}: {comment}")));
    }
    assert!(
        flaws.is_empty(),
        "{} doc comments open with a pronoun or a question word\n{}",
        flaws.len(),
        flaws.join("\n")
    );
}

#[test]
fn log_lines_name_operation_and_object() {
    let (mut flaws, mut n_lines) = (Vec::new(), 0);
    for (file, text) in sources() {
        let mut logs = Logs::default();
        logs.visit_file(&syn::parse_file(&text).expect("it compiles"));
        n_lines += logs.0.len();
        let flawed = logs.0.iter().filter_map(|(line, text)| Some((line, text, flaw(text)?)));
        flaws.extend(flawed.map(|(line, text, why)| format!("src/{file}:{line}: \"{text}\" {why}")));
    }
    assert!(n_lines > 50, "only {n_lines} log lines were found");
    assert!(flaws.is_empty(), "{} log lines\n{}", flaws.len(), flaws.join("\n"));
}

#[test]
fn both_checks_find_what_they_are_for() {
    assert_eq!(
        misopened("/// What it is.\nstruct A;\n/// A thing.\n/// What else.\nstruct B;"),
        [(1, "/// What it is.")]
    );
    assert_eq!(
        misopened("//! Whether so.\n\n//// Whether\n  /// Nobody knows."),
        [(1, "//! Whether so."), (4, "/// Nobody knows.")]
    );
    assert!(flaw("cannot read {file}: {error}").is_some());
    assert!(flaw("told {name}").is_some());
    assert!(flaw("stopped").is_some());
    for fine in ["failed to read {file}: {error}", "delivered {key} to {name}", "{error:#}"] {
        assert_eq!(flaw(fine), None, "{fine}");
    }
}
