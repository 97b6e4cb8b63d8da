//! The command line: arguments in, an exit code out.
//!
//! Answers go to stdout, progress and logs to stderr, `--format json` gives one object a line. Never here: a judgment; every
//! command goes through the same rooms as `run`.

mod abilities;
mod chain;
mod check;
mod demo;
mod drift;
mod explain;
mod incidents;
mod printer;
mod probe;
mod queue;
mod run;
mod session;
mod store;
mod tape;
mod test_page;

use crate::runtime::command;
use crate::settings::{Problems, Secrets};
use crate::store::Store;
use crate::telemetry::{Form, Outlet};
use crate::watchlist::{self, Book};
use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use printer::Printer;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The configuration where none is named.
const CONFIG: &str = "watchfire.toml";
/// How long the end of the process waits for what others hold up.
const FAREWELL: Duration = Duration::from_secs(1);

/// Watches Ethereum addresses and pages a person for whatever no rule vouches for.
#[derive(Debug, Parser)]
#[command(name = "watchfire", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 calm or done, 1 findings, 2 could not tell (bad input, no node, blind or behind at the end)."
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
struct Global {
    /// The configuration.
    #[arg(long, short, global = true, value_name = "FILE", default_value = CONFIG, env = "WATCHFIRE_CONFIG")]
    config: PathBuf,
    /// The store to work on, instead of the configuration's; a tape that is played keeps there what it found.
    #[arg(long, global = true, value_name = "FILE")]
    store: Option<PathBuf>,
    /// How answers are written on stdout.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// When to color.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    color: Color,
    /// What is logged on stderr: a level, or levels by room such as `info,watchfire::source=debug`.
    #[arg(long, global = true, value_name = "FILTER", default_value = "warn", env = "WATCHFIRE_LOG")]
    log: String,
    /// How the log is written; as the answers are, unless said.
    #[arg(long, global = true, value_enum, env = "WATCHFIRE_LOG_FORMAT")]
    log_format: Option<Format>,
}

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// When to color.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch, until stopped.
    Run(run::Run),
    /// See a treasury live through a normal day and an attack: a recorded chain, the real way.
    Demo(demo::Demo),
    /// Check the configuration: every problem at once, the watchlists' own tests, and what would happen for each function.
    Check(check::Check),
    /// Show what a transaction does to the watched addresses, the verdict, and how every rule fared.
    Explain(explain::Explain),
    /// List, show and answer incidents.
    #[command(subcommand)]
    Incidents(incidents::Incidents),
    /// Show where the chain differs from the configuration now.
    Drift(drift::Drift),
    /// Show what waits in the queues of watched Safes, and what is thought of it.
    Queue(queue::Queue),
    /// Show where each chain stands, and decide whether what is final may be undone.
    #[command(subcommand)]
    Chain(chain::ChainCommand),
    /// Back the store up while a run goes on, and restore it.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Record a stretch of chain, import recorded blocks, play a tape back.
    #[command(subcommand)]
    Tape(tape::TapeCommand),
    /// Try out what endpoints can do, and say what stays unseen with them.
    Probe(probe::Probe),
    /// Send a page marked TEST down a path.
    TestPage(test_page::TestPage),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, and nothing abnormal is standing.
    Calm,
    /// There are findings.
    Findings,
    /// It could not be told.
    Unknown,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Calm => 0,
            Outcome::Findings => 1,
            Outcome::Unknown => 2,
        })
    }
}

/// Parses the arguments of this process and does what they say.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers; anything else is bad input.
            let printed = error.print();
            let is_lost = printed.is_err_and(|error| error.kind() != std::io::ErrorKind::BrokenPipe);
            return if error.use_stderr() || is_lost { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let printer = Printer::new(cli.global.format, cli.global.color);
    let config = Some(&*cli.global.config).filter(|config| *config != Path::new(CONFIG));
    crate::runtime::name_places(config, cli.global.store.as_deref());
    let form = match cli.global.log_format.unwrap_or(cli.global.format) {
        Format::Text => Form::Text,
        Format::Json => Form::Json,
    };
    let logs = match crate::telemetry::start(&cli.global.log, form, printer.colors_stderr()) {
        Ok(logs) => logs,
        Err(error) => {
            printer.error(&error);
            return Outcome::Unknown.into();
        }
    };
    crate::runtime::install_tls();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            printer.error(&anyhow::Error::new(error).context("failed to start the runtime"));
            return Outcome::Unknown.into();
        }
    };
    let outcome = runtime.block_on(dispatch(&cli, &printer, &logs));
    // Whatever still hangs in a name lookup or a read of a terminal must not keep the process.
    runtime.shutdown_timeout(FAREWELL);
    // Nor must a log that nobody reads.
    let _ = logs.finish(FAREWELL);
    let outcome = outcome.and_then(|outcome| match printer.failure() {
        Some(error) => anyhow::bail!("failed to write answers to stdout: {error}"),
        None => Ok(outcome),
    });
    match outcome {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            printer.error(&error);
            Outcome::Unknown.into()
        }
    }
}

async fn dispatch(cli: &Cli, printer: &Printer, logs: &Outlet) -> anyhow::Result<Outcome> {
    let global = &cli.global;
    match &cli.command {
        Command::Run(args) => Box::pin(run::run(args, global, printer, logs)).await,
        Command::Demo(args) => Box::pin(demo::demo(args, printer)).await,
        Command::Check(args) => Ok(check::check(args, global, printer)),
        Command::Explain(args) => Box::pin(explain::explain(args, global, printer)).await,
        Command::Incidents(command) => incidents::incidents(command, global, printer).await,
        Command::Drift(args) => Box::pin(drift::drift(args, global, printer)).await,
        Command::Queue(args) => queue::queue(args, global, printer).await,
        Command::Chain(command) => chain::chain(command, global, printer).await,
        Command::Store(command) => store::store(command, global, printer).await,
        Command::Tape(command) => Box::pin(tape::tape(command, global, printer)).await,
        Command::Probe(args) => Box::pin(probe::probe(args, global, printer)).await,
        Command::TestPage(args) => test_page::test_page(args, global, printer).await,
    }
}

/// The configuration, compiled; its problems are printed where there are any.
fn book(global: &Global, secrets: Secrets, printer: &Printer) -> Result<Book, Outcome> {
    let book = watchlist::load(&global.config, secrets).map_err(|problems| {
        tell(&problems, printer);
        Outcome::Unknown
    });
    book.map(|book| match &global.store {
        Some(store) => Book { store: store.clone(), ..book },
        None => book,
    })
}

/// The configuration and the store it names, for what asks or answers and makes neither.
async fn opened(global: &Global, printer: &Printer) -> anyhow::Result<Result<(Book, Store), Outcome>> {
    let book = match book(global, Secrets::NamesOnly, printer) {
        Ok(book) => book,
        Err(outcome) => return Ok(Err(outcome)),
    };
    require_store(&book.store)?;
    let store =
        Store::open(&book.store).await.with_context(|| format!("failed to open the store {}", book.store.display()))?;
    // Deadlines that are written here are read by the process that sends.
    if let Some(noted) = store.noted().await.context("failed to read the clock of the store")? {
        crate::runtime::carry_on(&noted);
    }
    Ok(Ok((book, store)))
}

/// Refuses a store that no run has made yet.
fn require_store(path: &Path) -> anyhow::Result<()> {
    if Store::is_first_start(path) {
        anyhow::bail!("there is no store at {} yet: `{}` makes it", path.display(), command("run"));
    }
    Ok(())
}

fn tell(problems: &Problems, printer: &Printer) {
    printer.problems(problems);
}
