//! Keeps the documents true where a machine can tell: what they show of the demo is printed, their configurations compile and pass their own tests, the
//! commands they show are commands, and the tables of reference name every command, key, destination and field there is.

use crate::support::examples::{check_examples, check_settings};
use clap::{CommandFactory, Parser};
use std::path::{Path, PathBuf};
use std::process::Command;
use syn::visit::Visit;
use watchfire::cli::Cli;
use watchfire::deliver::DESTINATIONS;
use watchfire::heartbeat::HEARTBEATS;
use watchfire::settings::Secrets;
use watchfire::watchlist::{self, Memory};

/// Pages of reference, in `docs/`.
const PAGES: [&str; 10] = [
    "commands",
    "configuration",
    "watchlists",
    "proposals",
    "destinations",
    "output",
    "outages",
    "tapes",
    "monitoring",
    "state",
];

/// Most lines of the README: more is reference, and belongs in a page of its own.
const README_LINES_MAX: usize = 200;

#[test]
fn the_readme_is_short_and_no_link_of_the_documents_is_broken() {
    let lines = read("README.md").lines().count();
    assert!(lines <= README_LINES_MAX, "README.md has {lines} lines: move reference to docs/");
    let mut broken = Vec::new();
    for file in &documents() {
        let text = std::fs::read_to_string(file).expect("a page");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") || link.contains(char::is_whitespace) {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { file.clone() } else { file.with_file_name(path) };
            let is_there =
                target.exists() && (anchor.is_empty() || anchors(&target).iter().any(|known| known == anchor));
            if !is_there {
                broken.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links\n{}", broken.join("\n"));
}

/// README.md, the other pages of the root that people read, and every page of the book.
fn documents() -> Vec<PathBuf> {
    let roots = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|page| root().join(page));
    let pages = files_below(&root().join("docs"), "md");
    assert!(pages.len() > 40, "only {} pages", pages.len());
    roots.into_iter().chain(pages).collect()
}

/// Files below a folder whose names end with an extension.
fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path, extension),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}

/// Anchors of a page's headings, as the usual renderers make them.
fn anchors(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).unwrap_or_default();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let kept = |c: char| c.is_alphanumeric() || c == ' ' || c == '-' || c == '_';
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase().chars().filter(|c| kept(*c)).collect::<String>())
        .map(|heading| heading.replace(' ', "-"))
        .collect()
}

#[test]
fn every_configuration_in_the_readme_compiles_and_passes_its_tests() {
    let readme = manual();
    let (lists, setup): (Vec<&str>, Vec<&str>) = blocks(&readme, "toml").partition(|block| block.contains("[[watch]]"));
    let files = [("watchfire.toml", setup.join("\n")), ("watchlists/all.toml", lists.join("\n"))];
    let book = watchlist::compile_config(Path::new("watchfire.toml"), &Memory::new(files), Secrets::NamesOnly);
    let book = book.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let outcomes = watchlist::check::run_tests(&book);
    assert!(!outcomes.is_empty(), "the README shows no test of a watchlist");
    for outcome in outcomes {
        assert!(outcome.has_passed(), "{}: {:?}", outcome.name, outcome.failures);
    }
}

#[test]
fn the_tutorial_shows_of_the_demo_what_it_prints() {
    let tutorial = read("docs/tutorial.md");
    let shown = blocks(&tutorial, "text").next().expect("the tutorial shows the demo");
    let demo = Command::new(env!("CARGO_BIN_EXE_watchfire")).args(["demo", "--fast"]).output().expect("it runs");
    let printed = [demo.stdout, demo.stderr].concat();
    let printed = String::from_utf8(printed).expect("text");
    let missing: Vec<&str> = shown.lines().filter(|line| !printed.lines().any(|printed| printed == *line)).collect();
    assert!(missing.is_empty(), "the demo no longer prints {missing:#?}");
}

#[test]
fn every_configuration_in_a_guide_compiles_and_passes_its_tests() {
    for (guide, tests) in [("safe", 2), ("token", 2), ("governance", 1), ("key", 1), ("rules", 2)] {
        check_examples(&format!("guides/{guide}.md"), tests);
    }
    for guide in ["paging", "prometheus", "second-instance"] {
        check_settings(&format!("guides/{guide}.md"));
    }
}

#[test]
fn every_command_in_the_documents_is_one() {
    let (mut shown, mut wrong) = (0, Vec::new());
    for file in documents() {
        let text = std::fs::read_to_string(&file).expect("a page");
        let lines = blocks(&text, "sh").flat_map(str::lines).filter_map(|line| line.split("watchfire ").nth(1));
        for line in lines.filter(|line| !line.starts_with('&')) {
            let words = line.split(" #").next().unwrap_or_default().split_whitespace();
            shown += 1;
            if let Err(error) = Cli::try_parse_from(std::iter::once("watchfire").chain(words)) {
                wrong.push(format!("{}: watchfire {line}\n{error}", file.display()));
            }
        }
    }
    assert!(shown > 20, "only {shown} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_runbook_that_a_sample_names_is_a_page_or_a_placeholder() {
    let samples = ["examples", "watchlists"].iter().flat_map(|folder| files_below(&root().join(folder), "toml"));
    let (mut named, mut missing) = (0, Vec::new());
    for sample in samples {
        let text = std::fs::read_to_string(&sample).expect("a sample");
        for runbook in text.split("runbook = \"").skip(1).filter_map(|rest| rest.split('"').next()) {
            named += 1;
            let is_placeholder = runbook.starts_with("https://wiki.example.org/");
            let is_page = runbook.starts_with("docs/runbooks/") && root().join(runbook).is_file();
            if !is_placeholder && !is_page {
                missing.push(format!("{}: {runbook}", sample.display()));
            }
        }
    }
    assert!(named > 4, "only {named} runbooks are named");
    assert!(missing.is_empty(), "runbooks that do not exist\n{}", missing.join("\n"));
}

#[test]
fn every_kind_of_destination_is_shown_as_its_example() {
    let readme = manual();
    for kind in DESTINATIONS {
        assert!(readme.contains(kind.example()), "{}: the README does not show\n{}", kind.name(), kind.example());
    }
}

#[test]
fn every_kind_of_heartbeat_is_shown_as_its_example_and_every_metric_is_named() {
    let readme = manual();
    for kind in HEARTBEATS {
        assert!(readme.contains(kind.example()), "{}: the README does not show\n{}", kind.name(), kind.example());
    }
    let signs = section(&readme, "## Signs of life");
    let series = read("src/telemetry/metrics/series.rs");
    let names: Vec<&str> = series.split('"').filter(|text| is_metric(text)).collect();
    assert!(names.len() > 50, "{names:?}");
    let missing: Vec<_> = names.iter().filter(|name| !signs.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "the README does not name {missing:?}");
}

/// Whether a literal is the name of a series: labels and help are not.
fn is_metric(text: &str) -> bool {
    let labels = ["version", "sha256", "chain", "phase", "kind", "endpoint", "method", "outcome", "ability", "queue"];
    let others = [
        "watch",
        "verdict",
        "severity",
        "state",
        "path",
        "step",
        "destination",
        "check",
        "heartbeat",
        "reason",
        "service",
    ];
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !labels.contains(&text)
        && !others.contains(&text)
}

#[test]
fn every_command_and_every_flag_is_named() {
    let readme = manual();
    let commands = section(&readme, "## Commands");
    let mut missing = Vec::new();
    name_all(&Cli::command(), "", commands, &mut missing);
    assert!(missing.is_empty(), "the README's commands lack {missing:#?}");
}

fn name_all(command: &clap::Command, path: &str, readme: &str, missing: &mut Vec<String>) {
    for argument in command.get_arguments().filter_map(|argument| argument.get_long()) {
        let shown = readme.contains(&format!("--{argument}"));
        // What several commands have is written down once.
        if !shown && !["help", "version"].contains(&argument) {
            missing.push(format!("{path} --{argument}"));
        }
    }
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        let path = format!("{path} {}", inner.get_name()).trim().to_owned();
        if !inner.has_subcommands() && !readme.contains(&format!("| `{path}")) {
            missing.push(path.clone());
        }
        name_all(inner, &path, readme, missing);
    }
}

#[test]
fn every_field_of_the_record_is_in_its_row() {
    let readme = manual();
    let output = section(&readme, "## Output");
    let source = syn::parse_file(&read("src/model/record.rs")).expect("it compiles");
    let structs = source.items.iter().filter_map(|item| match item {
        syn::Item::Struct(item) => Some(item),
        _ => None,
    });
    for item in structs {
        let word = item.ident.to_string().trim_end_matches("Line").to_lowercase();
        let fields = item.fields.iter().map(|field| {
            let name = field.ident.as_ref().expect("a named field");
            let attributes = field.attrs.iter().filter_map(|attribute| attribute.meta.require_list().ok());
            let optional = attributes.into_iter().any(|list| list.tokens.to_string().contains("skip_serializing_if"));
            format!("`{name}`{}", if optional { "?" } else { "" })
        });
        let row = format!("| `{word}` | {} |", fields.collect::<Vec<_>>().join(", "));
        assert!(output.contains(&row), "the README lacks the row\n{row}");
    }
}

/// Lines that commands put together by hand, besides those of `src/model/record.rs`.
#[test]
fn every_line_of_a_command_is_in_the_readme_with_its_fields() {
    let readme = manual();
    let (mut told, mut missing) = (0, Vec::new());
    for source in ["src/app", "src/cli"].iter().flat_map(|room| sources(&root().join(room))) {
        for object in source.split("json!({").skip(1).filter(|object| object.trim_start().starts_with("\"type\":")) {
            let object = object.split("})").next().unwrap_or_default();
            let kind = object.split('"').nth(3).expect("a word");
            // What a tape holds is told in a paragraph, everything else in a row.
            let row = match kind {
                "tape" => readme.split("`tape info` tells").nth(1).and_then(|text| text.split("\n\n").next()),
                _ => section(&readme, "## Output")
                    .split(&format!("| `{kind}` | "))
                    .nth(1)
                    .and_then(|text| text.lines().next()),
            };
            let parts: Vec<&str> = object.split('"').collect();
            let keys = parts.windows(2).skip(2).filter(|pair| pair[1].starts_with(": "));
            let lacks = keys.map(|pair| pair[0]).filter(|key| row.is_none_or(|row| !row.contains(&format!("`{key}`"))));
            missing.extend(lacks.map(|key| format!("`{key}` of `{kind}`")));
            told += 1;
        }
    }
    assert!(told > 10, "only {told} lines were found");
    assert!(missing.is_empty(), "the README does not name {}", missing.join(", "));
}

/// Texts of all files of Rust below a folder.
fn sources(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => vec![std::fs::read_to_string(&path).expect("a source")],
        })
        .collect()
}

#[test]
fn every_key_of_a_configuration_is_named() {
    let readme = manual();
    let named: Vec<&str> = readme.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let mut keys = Keys::default();
    for file in crate::ranks::files(&root().join("src/watchlist/file")) {
        keys.visit_file(&syn::parse_file(&std::fs::read_to_string(file).expect("readable")).expect("it compiles"));
    }
    assert!(keys.0.iter().any(|key| key == "ack_within"), "no key was found where keys are read");
    let missing: Vec<_> = keys.0.iter().filter(|key| !named.contains(&key.as_str())).collect();
    assert!(missing.is_empty(), "the README does not name {missing:#?}");
}

/// Words in quotes among the arguments of calls: where files are read, these are keys and the words they may be set to.
#[derive(Default)]
struct Keys(Vec<String>);

impl Keys {
    fn take<'e>(&mut self, arguments: impl IntoIterator<Item = &'e syn::Expr>) {
        for argument in arguments {
            let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = argument else { continue };
            let text = text.value();
            if !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                self.0.push(text);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Keys {
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        self.take(&call.args);
        syn::visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.take(&call.args);
        syn::visit::visit_expr_method_call(self, call);
    }
}

/// The insides of code blocks in `language`.
fn blocks<'a>(text: &'a str, language: &str) -> impl Iterator<Item = &'a str> {
    let fence = format!("\n```{language}\n");
    let starts: Vec<usize> = text.match_indices(&fence).map(|(at, fence)| at + fence.len()).collect();
    starts.into_iter().map(|start| &text[start..start + text[start..].find("```").expect("a closed block")])
}

/// From the heading that begins so to the next one.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let start = text.find(heading).unwrap_or_else(|| panic!("no {heading}"));
    let rest = &text[start + heading.len()..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

/// The README and the pages of reference that it leads to, each a section of one text.
fn manual() -> String {
    let pages =
        PAGES.iter().map(|page| read(&format!("docs/{page}.md")).replace("\n## ", "\n### ").replacen("# ", "\n## ", 1));
    std::iter::once(read("README.md")).chain(pages).collect()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
