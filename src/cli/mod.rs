//! Command line: takes arguments and returns an exit code.
//!
//! Answers go to stdout, progress and logs to stderr; `--format json` prints one object a line. Never here: a judgment;
//! every command uses the same modules as `run`.

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
mod store;
mod tape;
mod test_page;

pub use crate::app::Outcome;
use crate::runtime::command_line;
use crate::settings::{Problems, Secrets};
use crate::store::Store;
use crate::telemetry::{Form, Outlet};
use crate::watchlist::{self, Config};
use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use printer::Printer;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Path of the configuration if none is given.
const CONFIG: &str = "watchfire.toml";
/// Time that the process waits at its end for work that others hold up.
const FAREWELL: Duration = Duration::from_secs(1);

/// Watches Ethereum addresses and pages a person for every activity that no rule vouches for.
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

/// Options of every command.
#[derive(Clone, Debug, Args)]
struct Global {
    /// The configuration.
    #[arg(long, short, global = true, value_name = "FILE", default_value = CONFIG, env = "WATCHFIRE_CONFIG")]
    config: PathBuf,
    /// Store to work on, instead of the one in the configuration; playing a tape writes its findings there.
    #[arg(long, global = true, value_name = "FILE")]
    store: Option<PathBuf>,
    /// Format of answers on stdout.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Use of color.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    color: Color,
    /// Log filter for stderr: a level, or levels by module such as `info,watchfire::source=debug`.
    #[arg(long, global = true, value_name = "FILTER", default_value = "warn", env = "WATCHFIRE_LOG")]
    log: String,
    /// Format of the log; by default that of the answers.
    #[arg(long, global = true, value_enum, env = "WATCHFIRE_LOG_FORMAT")]
    log_format: Option<Format>,
}

/// Format of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// JSON, one object per line.
    Json,
}

/// Use of color in the output.
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
    /// Show a treasury on a normal day and during an attack, from a recorded chain.
    Demo(demo::Demo),
    /// Check the configuration: all problems, the watchlists' own tests, and the verdict for each function.
    Check(check::Check),
    /// Show the effects of a transaction on the watched addresses, the verdict, and the result of every rule.
    Explain(explain::Explain),
    /// List, show, acknowledge and resolve incidents.
    #[command(subcommand)]
    Incidents(incidents::Incidents),
    /// Show the current differences between the chain and the configuration.
    Drift(drift::Drift),
    /// Show the transactions in the queues of watched Safes, and the verdicts on them.
    Queue(queue::Queue),
    /// Show the state of each chain, and decide whether final blocks may be undone.
    #[command(subcommand)]
    Chain(chain::ChainCommand),
    /// Back up the store while a run is active, and restore it.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Record a part of a chain, import recorded blocks, play a tape.
    #[command(subcommand)]
    Tape(tape::TapeCommand),
    /// Test the capabilities of endpoints, and list what stays unseen with them.
    Probe(probe::Probe),
    /// Send a page marked TEST to a path.
    TestPage(test_page::TestPage),
}

/// Parses the arguments of this process and runs the command.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are normal output; any other error is bad input.
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
    let logs = match crate::telemetry::start_logging(&cli.global.log, form, printer.colors_stderr()) {
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
    let outcome = runtime.block_on(run_command(&cli, &printer, &logs));
    // A pending name lookup or a pending read of a terminal must not keep the process alive.
    runtime.shutdown_timeout(FAREWELL);
    // Unread log output must not keep the process alive either.
    let _ = logs.finish_within(FAREWELL);
    let outcome = outcome.and_then(|outcome| match printer.write_failure() {
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

async fn run_command(cli: &Cli, printer: &Printer, logs: &Outlet) -> anyhow::Result<Outcome> {
    let global = &cli.global;
    match &cli.command {
        Command::Run(args) => Box::pin(run::run(args, global, printer, logs)).await,
        Command::Demo(args) => Box::pin(demo::run_demo(args, printer)).await,
        Command::Check(args) => Ok(check::run_check(args, global, printer)),
        Command::Explain(args) => Box::pin(explain::run_explain(args, global, printer)).await,
        Command::Incidents(command) => incidents::run_incidents(command, global, printer).await,
        Command::Drift(args) => Box::pin(drift::run_drift(args, global, printer)).await,
        Command::Queue(args) => queue::run_proposals(args, global, printer).await,
        Command::Chain(command) => chain::run_chain(command, global, printer).await,
        Command::Store(command) => store::run_store(command, global, printer).await,
        Command::Tape(command) => Box::pin(tape::run_tape(command, global, printer)).await,
        Command::Probe(args) => Box::pin(probe::run_probe(args, global, printer)).await,
        Command::TestPage(args) => test_page::test_page(args, global, printer).await,
    }
}

/// Returns the compiled configuration. Prints its problems, if there are any.
fn load_config(global: &Global, secrets: Secrets, printer: &Printer) -> Result<Config, Outcome> {
    let book = watchlist::load_config(&global.config, secrets).map_err(|problems| {
        print_problems(&problems, printer);
        Outcome::Unknown
    });
    book.map(|book| match &global.store {
        Some(store) => Config { store: store.clone(), ..book },
        None => book,
    })
}

/// Opens the configuration and its store for commands that read or answer incidents. Creates neither.
async fn load_config_and_store(global: &Global, printer: &Printer) -> anyhow::Result<Result<(Config, Store), Outcome>> {
    let book = match load_config(global, Secrets::NamesOnly, printer) {
        Ok(book) => book,
        Err(outcome) => return Ok(Err(outcome)),
    };
    require_store(&book.store)?;
    let store =
        Store::open(&book.store).await.with_context(|| format!("failed to open the store {}", book.store.display()))?;
    // The sending process reads the deadlines that are written here, so both must use the same clock.
    if let Some(noted) = store.last_moment().await.context("failed to read the clock of the store")? {
        crate::runtime::carry_on(&noted);
    }
    Ok(Ok((book, store)))
}

/// Refuses a store that no run has made yet.
fn require_store(path: &Path) -> anyhow::Result<()> {
    if Store::is_first_start(path) {
        anyhow::bail!("there is no store at {} yet: `{}` makes it", path.display(), command_line("run"));
    }
    Ok(())
}

fn print_problems(problems: &Problems, printer: &Printer) {
    printer.problems(problems);
}
