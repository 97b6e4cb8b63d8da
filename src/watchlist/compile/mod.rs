//! Compilation of the written text into the configuration: every name is looked up, every problem is collected.
//!
//! The order is important only for references: chains before addresses, addresses before watches, the heads of all
//! watches before the first rule, since a rule may name another watch as its target. A part that cannot be compiled is
//! left out and the rest continues; the compiled configuration is returned only if there was no problem at all.

mod abis;
mod absent;
mod address;
mod amounts;
mod args;
mod chains;
mod deed;
mod directory;
mod endpoints;
mod habits;
mod known;
mod limits;
mod paths;
mod queues;
mod reach;
mod roles;
mod rule;
mod several;
mod signs;
mod tests_of_watches;
mod units;
mod versions;
mod via;
mod watch;

pub(super) use self::tests_of_watches::{STRANGER, zero_value};

use self::abis::Abis;
use self::chains::Chains;
use self::directory::AddressBook;
use self::watch::Heads;
use super::book::Config;
use super::file::{Lost, SECTIONS, SetupText, Texts};
use super::files::{Files, expand_glob};
use crate::escalate::Routing;
use crate::settings::{At, Document, Problem, Problems, Secrets, SourceFile};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Default path of the store's file.
const STORE: &str = "watchfire.db";

pub(super) fn compile_config(path: &Path, files: &dyn Files, secrets: Secrets) -> Result<Config, Problems> {
    let mut problems = Problems::new();
    let main = match files.read(path) {
        Ok(main) => main,
        Err(problem) => {
            problems.push(hinted(*problem, path, files));
            return Err(problems);
        }
    };
    let document = Document::parse(&main, secrets, &mut problems);
    if document.is_foreign() {
        return Err(problems);
    }
    let mut table = document.root_table();
    if ["chain", "path"].iter().all(|key| !table.has_key(key)) && table.has_key("watch") {
        let problem = main.spot_at(0..0).problem("this is a watchlist: it has no `[chain.NAME]` and no `[path.NAME]`");
        problems.push(problem.with_hint("name the main file, the one that lists it under `watchlists`"));
        return Err(problems);
    }
    let mut texts = Texts::default();
    let mut setup = SetupText::from_table(&mut table, &mut problems);
    texts.lost.extend(std::mem::take(&mut setup.lost));
    texts.read_sections(&mut table, &mut problems);
    table.report_unknown_keys(&mut problems);

    let base = path.parent().unwrap_or(Path::new(""));
    let sound = problems.len();
    let lists = read_lists(&setup, base, path, files, &mut problems);
    if problems.len() > sound {
        texts.lost.record_file();
    }
    let documents: Vec<_> =
        run_on_thread(|| lists.iter().map(|file| Document::parse(file, secrets, &mut problems)).collect());
    let texts = run_on_thread(|| {
        for document in &documents {
            let mut table = document.root_table();
            if document.is_foreign() {
                texts.lost.record_file();
            } else if table.is_empty() {
                problems.push_note(table.spot().problem("this file is empty: nothing of it is watched"));
            }
            refuse_setup(&mut table, path, &mut texts.lost, &mut problems);
            texts.read_sections(&mut table, &mut problems);
            table.report_unknown_keys(&mut problems);
        }
        texts
    });
    let store = place_of_store(setup.store.as_ref(), base, files, &mut problems);
    let written_store = setup.store.as_ref().map(|written| written.spot.clone());
    let mut book = assemble_config(&main, setup, &texts, store, &mut Abis::new(files), &mut problems);
    book.hash = hash([&main].into_iter().chain(&lists));
    if problems.is_empty() {
        [&document].into_iter().chain(&documents).for_each(|document| document.report_unread_keys(&mut problems));
    }
    if let Some(folder) = book.store.parent().filter(|folder| !files.is_directory(folder)) {
        let spot = written_store.unwrap_or_else(|| main.spot_at(0..0));
        let note = format!("the store's directory {} is not there; `run` waits for it", folder.display());
        problems.push_note(spot.problem(note));
    }
    if texts.watches.is_empty() {
        let note = main.spot_at(0..0).problem("no address is watched");
        problems.push_note(note.with_hint("write a `[[watch]]`, in this file or in one that `watchlists` names"));
    }
    book.notes = problems.take_notes();
    run_on_thread(|| drop(texts));
    run_on_thread(|| drop(documents));
    if problems.is_empty() { Ok(book) } else { Err(problems) }
}

/// Returns the path of the store's file. A directory is rejected.
fn place_of_store(written: Option<&At<&str>>, base: &Path, files: &dyn Files, problems: &mut Problems) -> PathBuf {
    let Some(written) = written else { return base.join(STORE) };
    let store = base.join(written.value);
    if !written.refuse_tilde(problems) && (written.value.ends_with('/') || files.is_directory(&store)) {
        let problem = written.problem(format!("`{}` is a directory, and the store is a file", written.value));
        problems
            .push(problem.with_hint(format!("write `store = \"{}/{STORE}\"`", written.value.trim_end_matches('/'))));
    }
    store
}

/// Runs `work` on a thread of its own, and waits for it.
///
/// A parsed file takes twenty times the memory of its text and is needed for a second; the compiled configuration is
/// needed for months. An allocator separates the memory of different threads, so that the memory of the first can be
/// released although the second remains. With 100,000 watches this is most of a gigabyte.
fn run_on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn assemble_config(
    main: &Arc<SourceFile>,
    mut setup: SetupText<'_>,
    texts: &Texts<'_>,
    store: PathBuf,
    abis: &mut Abis<'_>,
    problems: &mut Problems,
) -> Config {
    let chains = Chains::compile(main, &setup.chains, &texts.lost, problems);
    let destinations = paths::compile_destinations(std::mem::take(&mut setup.destinations), &texts.lost, problems);
    let paths = paths::compile_paths(main, &setup, &destinations, problems);
    let console = signs::compile_console_address(setup.console.as_ref(), problems);
    let heartbeats = signs::compile_heartbeats(std::mem::take(&mut setup.heartbeats), problems);
    let directory = AddressBook::compile(texts, &chains, problems);
    let heads = Heads::compile(&texts.watches, &chains, &directory, &paths, abis, problems);
    let compiled = watch::compile_watches(&heads, &directory, abis, problems);
    let watches: Arc<[_]> = compiled.infos.into();
    let queues = queues::compile_safe_services(
        std::mem::take(&mut setup.services),
        &chains,
        &watches,
        &compiled.queued,
        problems,
    );
    let roster = Routing {
        feeds: paths::feed_destinations(&destinations),
        paths: paths.compiled,
        names: directory.address_book(&chains, &watches, &compiled.rules),
        tokens: directory.units_by_token(),
        lateness: chains.lateness_thresholds(),
        watches: Arc::clone(&watches),
    };
    Config {
        chains: chains.into_books(compiled.subjects),
        watches,
        rules: Arc::new(compiled.rules),
        queues,
        registries: compiled.registries,
        roster: Arc::new(roster),
        destinations: destinations.compiled,
        console,
        heartbeats,
        store,
        tests: compiled.tests,
        notes: Vec::new(),
        hash: String::new(),
    }
}

/// Returns a hash of the text of all these files, in their order. Their paths are not included.
fn hash<'f>(files: impl Iterator<Item = &'f Arc<SourceFile>>) -> String {
    let mut hash = Sha256::new();
    for file in files {
        hash.update((file.text.len() as u64).to_be_bytes());
        hash.update(file.text.as_bytes());
    }
    const_hex::encode(hash.finalize())
}

/// Reads every watchlist once, in the order they are named.
fn read_lists(
    setup: &SetupText<'_>,
    base: &Path,
    main: &Path,
    files: &dyn Files,
    problems: &mut Problems,
) -> Vec<Arc<SourceFile>> {
    let mut seen = HashSet::from([main.to_path_buf()]);
    let mut lists = Vec::new();
    for pattern in &setup.watchlists {
        if pattern.refuse_tilde(problems) {
            continue;
        }
        let Some(paths) = expand_glob(files, base, pattern) else {
            problems.push(pattern.problem(format!("`{}` has a `*` outside its last segment", **pattern)));
            continue;
        };
        if paths.is_empty() {
            let folder = base.join(pattern.value).parent().map(Path::to_path_buf).unwrap_or_default();
            let problem = pattern.problem(format!("`{}` matches no file", **pattern));
            problems.push(match files.is_directory(&folder) {
                true => problem,
                false => problem.with_hint(format!("there is no directory `{}`", folder.display())),
            });
        }
        for path in paths.into_iter().filter(|path| seen.insert(path.clone())) {
            match files.read(&path) {
                Ok(list) => lists.push(list),
                // The problem is reported at the place that names the file: the file itself has no line to point at.
                Err(problem) => problems.push(pattern.problem(problem.message)),
            }
        }
    }
    lists
}

/// Adds the next move to a main file that cannot be read.
fn hinted(problem: Problem, path: &Path, files: &dyn Files) -> Problem {
    if problem.hint.is_some() {
        return problem;
    }
    let hint = match files.is_directory(path) {
        true => format!("name the main file in it, such as `{}`", path.join("watchfire.toml").display()),
        false => {
            "name the main file with `--config FILE` or in WATCHFIRE_CONFIG; `examples/minimal` has one to begin with"
                .to_owned()
        }
    };
    problem.with_hint(hint)
}

/// Rejects tables of the main file in a watchlist, with a message that differs from that for a typing error.
fn refuse_setup<'a>(table: &mut crate::settings::Table<'a>, main: &Path, lost: &mut Lost<'a>, problems: &mut Problems) {
    for key in ["store", "watchlists"].into_iter().chain(SECTIONS) {
        let Some(spot) = table.key_spot(key) else { continue };
        if let Some(value) = table.value(key) {
            lost.record_misplaced(value.name(), &value);
        }
        let hint = format!("move it to `{}`", main.display());
        problems.push(spot.problem(format!("`{key}` stands in the main file, not in a watchlist")).with_hint(hint));
    }
}
