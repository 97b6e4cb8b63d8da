//! Commands that the program shows for a person to run: each works as it is shown, wherever the configuration lies and whoever
//! runs it stands.

use crate::support::accounts::OWNER_A;
use crate::support::inbox::{Answer, Inbox};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use syn::visit::Visit;
use tempfile::TempDir;

/// A configuration under a name that a shell takes apart, and the program on the path of programs.
struct Desk {
    dir: TempDir,
}

const FOLDER: &str = "o'er here";

impl Desk {
    fn new(more: &str) -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(desk.path("bin")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_watchfire"), desk.path("bin/watchfire")).unwrap();
        std::fs::create_dir(desk.path(FOLDER)).unwrap();
        let main = format!(
            "watchlists = [\"list.toml\"]\n[chain.local]\nid = 31337\nendpoint = \"ws://127.0.0.1:9\"\n\
             [destination.screen]\nkind = \"terminal\"\n[path.self]\nsteps = [{{ to = [\"screen\"], ack_within = \"5m\" }}]\n\
             [path.treasury]\nsteps = [{{ to = [\"screen\"], ack_within = \"5m\" }}]\n{more}"
        );
        std::fs::write(desk.config(), main).unwrap();
        let list = format!(
            "[[watch]]\nlabel = \"Key\"\nchain = \"local\"\naddress = \"{}\"\nkind = \"eoa\"\npurpose = \"Pays\"\npath = \"treasury\"\n",
            OWNER_A.address
        );
        std::fs::write(desk.path(FOLDER).join("list.toml"), list).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path(FOLDER).join("my watch.toml")
    }

    fn store(&self) -> PathBuf {
        self.path(FOLDER).join("watchfire.db")
    }

    /// Runs a command line in a shell, elsewhere.
    fn shell(&self, line: &str) -> Said {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir("/").env("PATH", path).env_remove("WATCHFIRE_LOG");
        Said::of(&command.env_remove("WATCHFIRE_CONFIG").stdin(Stdio::null()).output().expect("a shell"))
    }

    /// Runs the program on the configuration, as a person does who names it by a relative path.
    fn run(&self, args: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        command.current_dir(self.path(FOLDER)).args(["--config", "my watch.toml"]).args(args);
        Said::of(&command.env_remove("WATCHFIRE_LOG").stdin(Stdio::null()).output().expect("the program starts"))
    }
}

/// What a command printed on both streams, and how it ended.
#[derive(Debug)]
struct Said {
    code: i32,
    text: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned();
        Self { code: output.status.code().unwrap_or(-1), text }
    }

    /// The commands that stand between backticks.
    fn commands(&self) -> Vec<String> {
        let odd = self.text.split('`').skip(1).step_by(2);
        odd.filter(|text| text.starts_with("watchfire ")).map(str::to_owned).collect()
    }

    /// The only command between backticks.
    #[track_caller]
    fn command(&self) -> String {
        let [only] = &self.commands()[..] else { panic!("one command in {}", self.text) };
        only.clone()
    }

    /// The command behind `to: `, on a line of its own or on a page that breaks lines.
    #[track_caller]
    fn way(&self, to: &str) -> String {
        let words: Vec<&str> = self.text.split_whitespace().filter(|word| *word != "┃").collect();
        let text = words.join(" ");
        let (_, rest) = text.split_once(&format!("{to}: watchfire ")).unwrap_or_else(|| panic!("no {to} in {text}"));
        let end = [" if nobody does", " begin anew", " ┗"].iter().filter_map(|end| rest.find(end)).min();
        format!("watchfire {}", &rest[..end.unwrap_or(rest.len())])
    }
}

#[track_caller]
fn went(said: &Said, words: &str) {
    assert!(said.code == 0 && said.text.contains(words), "{said:?}");
}

#[test]
fn a_page_and_a_test_page_name_an_acknowledgement_that_works() {
    let desk = Desk::new("");
    for printed in 0..3 {
        let test = desk.run(&["test-page", "treasury"]);
        let id = test.text.split_whitespace().find(|word| word.starts_with("inc_")).expect("an id");
        let shown = desk.run(&["incidents", "show", id]);
        let command = [test.command(), test.way("take it"), shown.way("take it")][printed].clone();
        assert!(command.contains(id), "{command}");
        went(&desk.shell(&command), "acknowledged");
    }
}

#[test]
fn what_is_said_of_a_store_that_is_not_there_works() {
    let desk = Desk::new("");
    let started = |line: &str| {
        let said = desk.shell(&format!("{line} --for 100ms"));
        assert!(said.text.contains("watching 1 address on local"), "{line}: {said:?}");
    };
    let none = desk.run(&["incidents", "list"]);
    assert_eq!(none.code, 2);
    started(&none.command());

    // A backup, and its way back.
    let copy = desk.path("the copy.db");
    let restore = desk.run(&["store", "backup", copy.to_str().unwrap()]).command();
    let restored = desk.shell(&restore);
    went(&restored, "restored");
    started(&restored.command());

    // Gone, with the traces of an earlier run.
    let remove = || std::fs::remove_file(desk.store()).unwrap();
    remove();
    let gone = desk.run(&["incidents", "list"]);
    assert!(gone.code == 2 && gone.text.contains("is gone"), "{gone:?}");
    let restore = gone.way("restore a backup").replace(" FILE", &format!(" '{}'", copy.display()));
    went(&desk.shell(&restore), "restored");
    remove();
    started(&desk.run(&["incidents", "list"]).way("begin anew, without what was judged and told before"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_a_message_that_was_given_up_works() {
    let inbox = Inbox::start().await;
    inbox.otherwise(Answer::Status(410));
    let more = format!(
        "[destination.dead]\nkind = \"webhook\"\nurl = \"{}\"\nsecret = {{ file = \"secret\" }}\n\
         [path.dead]\nsteps = [{{ to = [\"dead\"], ack_within = \"5m\" }}]\n",
        inbox.url("/hook")
    );
    let desk = Desk::new(&more);
    std::fs::write(desk.path(FOLDER).join("secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    tokio::task::block_in_place(|| {
        desk.run(&["test-page", "dead"]);
        let listed = desk.run(&["incidents", "list"]);
        let revived = desk.shell(&listed.command());
        went(&revived, "is due again");
        let run = desk.shell(&format!("{} --for 100ms", revived.command()));
        assert!(run.text.contains("watching 1 address"), "{run:?}");
        let unknown = desk.run(&["incidents", "resend", "nothing"]);
        assert_eq!(unknown.code, 2);
        assert_eq!(desk.shell(&unknown.command()).code, 0);
    });
}

#[test]
fn what_is_said_of_a_store_that_a_tape_left_works() {
    let desk = Desk::new("");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo");
    for (from, to) in
        [("watchfire.toml", "my watch.toml"), ("treasury.toml", "treasury.toml"), ("box.json", "box.json")]
    {
        std::fs::copy(examples.join(from), desk.path(FOLDER).join(to)).unwrap();
    }
    let tape = examples.join("treasury.tape.gz");
    let played = desk.run(&["tape", "play", tape.to_str().unwrap(), "--store", "found here.db"]);
    assert_eq!(played.code, 1, "{played:?}");
    let listed = desk.shell(&played.command());
    went(&listed, "inc_");
    let id = listed.text.split_whitespace().find(|word| word.starts_with("inc_")).expect("an id");
    let shown = desk.run(&["incidents", "show", id, "--store", "found here.db"]);
    went(&desk.shell(&shown.way("take it")), "acknowledged");
}

#[test]
fn a_configuration_at_its_default_place_is_not_named() {
    let desk = Desk::new("");
    std::fs::rename(desk.config(), desk.path(FOLDER).join("watchfire.toml")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    command.current_dir(desk.path(FOLDER)).args(["test-page", "treasury"]).env_remove("WATCHFIRE_CONFIG");
    let said = Said::of(&command.output().unwrap());
    assert!(said.way("take it").starts_with("watchfire incidents ack inc_"), "{said:?}");
    assert!(!said.text.contains("--config"), "{said:?}");
}

/// Literals of a file that name a subcommand behind the program's name, outside of tests and of help texts.
#[derive(Default)]
struct Literals(Vec<String>);

const SUBCOMMANDS: [&str; 12] =
    ["run", "demo", "check", "explain", "incidents", "drift", "queue", "chain", "store", "tape", "probe", "test-page"];

impl<'ast> Visit<'ast> for Literals {
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let tests = |attr: &syn::Attribute| attr.path().is_ident("cfg");
        if !item.attrs.iter().any(tests) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.0.push(literal.value());
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let mut open = vec![mac.tokens.clone()];
        while let Some(tokens) = open.pop() {
            for token in tokens {
                match token {
                    proc_macro2::TokenTree::Group(group) => open.push(group.stream()),
                    proc_macro2::TokenTree::Literal(literal) => {
                        if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                            self.0.push(text.value());
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn every_command_that_is_shown_is_made_in_one_place() {
    // These speak of a process, and give nobody anything to run.
    let of_processes = ["a running `watchfire run`", "what `watchfire run` saw", "another `watchfire run` works"];
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut shown = Vec::new();
    while let Some(place) = open.pop() {
        if place.is_dir() {
            open.extend(std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let is_test = place.components().any(|part| part.as_os_str() == "tests") || place.ends_with("tests.rs");
        if is_test || place.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let file = syn::parse_file(&std::fs::read_to_string(&place).unwrap()).unwrap();
        let mut literals = Literals::default();
        literals.visit_file(&file);
        for text in literals.0 {
            let names = |command: &&str| text.contains(&format!("watchfire {command}")) || text.contains("`incidents ");
            if SUBCOMMANDS.iter().any(names) && !of_processes.iter().any(|of| text.contains(of)) {
                shown.push(format!("{}: {text}", place.display()));
            }
        }
    }
    assert!(shown.is_empty(), "write these with `runtime::command`, or as a `Way`:\n{}", shown.join("\n"));
}
