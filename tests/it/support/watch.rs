//! The program itself as a user runs it: a configuration in a directory of its own, the real binary, its answers line by line.

use super::process::Process;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A configuration on disk.
pub(crate) struct Watch {
    dir: TempDir,
    env: Vec<(String, String)>,
}

/// How a run ended and what it answered.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) code: i32,
    pub(crate) lines: Vec<Value>,
    pub(crate) stderr: String,
}

impl Watch {
    /// The demo's treasury watched through the node at `url`, told to `destinations` (tables in TOML) along one path to `pager`.
    pub(crate) fn treasury(url: &str, destinations: &str) -> Self {
        let watch = Self::empty();
        watch.add_treasury();
        watch.write(
            "watchfire.toml",
            &format!(
                r#"
store = "watchfire.db"
watchlists = ["treasury.toml"]

[chain.demo]
id = 31337
endpoint = "{url}"
clock = "chain"

{destinations}

[path.self]
notify = ["pager"]
steps = [{{ to = ["pager"], ack_within = "5m" }}]

[path.treasury]
page_at = "warning"
notify = ["pager"]
steps = [{{ to = ["pager"], ack_within = "5m" }}]
"#
            ),
        );
        watch
    }

    /// A directory without a configuration.
    pub(crate) fn empty() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory"), env: Vec::new() }
    }

    /// The chain `local` through this `endpoint`, as TOML, with `more` keys; a watchlist; and paths called `self` and `treasury` that
    /// end on the terminal.
    pub(crate) fn local(endpoint: &str, more: &str, watchlist: &str) -> Self {
        let watch = Self::empty();
        let main = format!(
            r#"
watchlists = ["list.toml"]
[chain.local]
id = 31337
endpoint = {endpoint}
{more}
[destination.console]
kind = "terminal"
[path.self]
steps = [{{ to = ["console"], ack_within = "5m" }}]
[path.treasury]
steps = [{{ to = ["console"], ack_within = "5m" }}]
"#
        );
        watch.write("watchfire.toml", &main);
        watch.write("list.toml", watchlist);
        watch
    }

    /// Puts the demo's watchlist and ABI there.
    pub(crate) fn add_treasury(&self) {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo");
        for file in ["treasury.toml", "box.json"] {
            std::fs::copy(demo.join(file), self.dir.path().join(file)).expect("the demo's files are there");
        }
    }

    /// Sets a variable in the environment of every program run here.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a file beside the others.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).expect("the file is written");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Forgets everything that was committed.
    pub(crate) fn forget(&self) {
        for file in ["watchfire.db", "watchfire.db-wal", "watchfire.db-shm", "watchfire.db.lock"] {
            let _ = std::fs::remove_file(self.dir.path().join(file));
        }
    }

    /// A command in the configuration's directory, answering in JSON.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        // A long run may want another build of the same program, an optimized one for example.
        let program = std::env::var_os("WATCHFIRE_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_watchfire").into());
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).args(["--format", "json"]).args(args).env_remove("WATCHFIRE_LOG");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// What the program answers for people.
    pub(crate) fn shows(&self, args: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        command.current_dir(self.dir.path()).args(args).env_remove("WATCHFIRE_LOG").stdin(Stdio::null());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        String::from_utf8(command.output().expect("the program starts").stdout).expect("answers are UTF-8")
    }

    /// Runs to the end.
    pub(crate) fn run(&self, args: &[&str]) -> Answers {
        let output = self.command(args).stdin(Stdio::null()).output().expect("the program starts");
        let stdout = String::from_utf8(output.stdout).expect("answers are UTF-8");
        Answers {
            code: output.status.code().unwrap_or(-1),
            lines: stdout
                .lines()
                .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
                .collect(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// As [`Watch::start`], but a limit on the size of files is an error of writing, as on a full disk, and no signal.
    pub(crate) fn start_on_a_small_disk(&self, args: &[&str]) -> Process {
        let program = self.command(args);
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(program.get_program()).args(program.get_args());
        command.current_dir(self.dir.path());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        self.spawn(command)
    }

    /// Starts, and leaves it running; its answers are added to `answers.jsonl`, its log to `log.txt`.
    pub(crate) fn start(&self, args: &[&str]) -> Process {
        self.spawn(self.command(args))
    }

    fn spawn(&self, mut command: Command) -> Process {
        let file = |name| {
            let file = std::fs::File::options().create(true).append(true).open(self.path(name));
            file.expect("a file can be added to")
        };
        command.stdin(Stdio::null()).stdout(file("answers.jsonl")).stderr(file("log.txt"));
        Process::new(command.spawn().expect("the program starts"))
    }

    /// What the programs started here answered so far. A line that a crash cut short is left out.
    pub(crate) fn answers(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("answers.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What they wrote on standard error.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log.txt")).unwrap_or_default()
    }
}

impl Answers {
    /// Lines of one type.
    pub(crate) fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.lines.iter().filter(move |line| line["type"] == kind)
    }

    /// Findings of their own, as `watch severity by function`.
    pub(crate) fn findings(&self) -> Vec<String> {
        let text = |line: &Value, key: &str| line[key].as_str().unwrap_or("-").to_owned();
        self.of("verdict")
            .filter(|line| line["finding_id"].is_string())
            .map(|line| {
                let name = text(line, "function");
                let name = name.split('(').next().unwrap_or("").to_owned();
                format!("{} {} {} {name}", text(line, "watch"), text(line, "severity"), text(line, "by"))
            })
            .collect()
    }

    /// Distinct incidents named by verdicts.
    pub(crate) fn incidents(&self) -> Vec<String> {
        let mut ids: Vec<String> =
            self.of("verdict").filter_map(|line| line["incident_id"].as_str().map(str::to_owned)).collect();
        ids.sort();
        ids.dedup();
        ids
    }
}
