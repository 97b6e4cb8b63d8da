//! Secret values that must never be shown. A configuration names the place of a secret and never contains the secret
//! itself.

use super::problem::Problems;
use super::table::Table;
use super::value::Value;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Maximum size of a secret in bytes: a larger file is the wrong file.
const SECRET_BYTES_MAX: usize = 64 << 10;

/// Handling of the secrets that a configuration names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// Fetches each secret at once: a missing variable or an unreadable file is a problem.
    Resolve,
    /// Checks only the notation: a watchlist can be checked on a machine without its secrets.
    NamesOnly,
    /// Fetches each secret on first use: a command that only queries a node needs no pager key.
    OnUse,
}

/// A secret and where it was found. It has no `Display`, and its `Debug` shows neither.
#[derive(Clone)]
pub struct Secret {
    source: String,
    place: Option<Place>,
    value: Arc<OnceLock<Result<SecretString, String>>>,
}

/// Place from which a secret is fetched when it is first used.
#[derive(Clone)]
enum Place {
    Variable(String),
    File(PathBuf),
}

impl Place {
    /// Returns the secret without surrounding white space.
    fn fetch_secret(&self, source: &str) -> Result<SecretString, String> {
        let text = match self {
            Self::Variable(name) => std::env::var(name).map_err(|e| match e {
                std::env::VarError::NotPresent => format!("{source} is not set"),
                std::env::VarError::NotUnicode(_) => format!("{source} is not UTF-8"),
            }),
            Self::File(path) => {
                std::fs::read_to_string(path).map_err(|e| format!("cannot read the secret in {source}: {e}"))
            }
        }?;
        match text.trim() {
            "" => Err(format!("{source} is empty")),
            text if text.len() > SECRET_BYTES_MAX => Err(format!("{source} is too long for a secret")),
            text => Ok(SecretString::from(text.to_owned())),
        }
    }
}

impl Secret {
    /// A secret that was not read from a configuration. `source` says where it came from, and may be shown.
    #[must_use]
    pub fn new(source: impl Into<String>, value: impl Into<String>) -> Self {
        let value = Arc::new(OnceLock::from(Ok(SecretString::from(value.into()))));
        Self { source: source.into(), place: None, value }
    }

    /// Reads `{ env = "NAME" }` or `{ file = "path" }`; a relative path is resolved against the directory of the
    /// configuration file.
    ///
    /// White space around the secret is dropped, as editors end a file with a line break.
    pub fn from_value(value: Value<'_>, problems: &mut Problems) -> Option<Self> {
        let name = value.name();
        let usage = format!("write `{name} = {{ env = \"NAME\" }}` or `{name} = {{ file = \"path\" }}`");
        if value.is_broken() {
            return None;
        }
        let Some(mut table) = value.as_table() else {
            let problem = value.spot().problem(format!("`{name}` is a secret and must not stand in the file"));
            problems.push(problem.with_hint(usage).without_snippet());
            return None;
        };
        let secret = Self::of_table(&mut table, &usage, problems);
        table.report_unknown_keys(problems);
        secret
    }

    fn of_table(table: &mut Table<'_>, usage: &str, problems: &mut Problems) -> Option<Self> {
        let (env, file) = (table.value("env"), table.value("file"));
        let (spot, source, place) = match (env, file) {
            (Some(env), None) => {
                let name = env.string(problems)?;
                let source = format!("environment variable `{}`", *name);
                let place = Place::Variable((*name).to_owned());
                (name.spot, source, place)
            }
            (None, Some(file)) => {
                let name = file.string(problems)?;
                if name.refuse_tilde(problems) {
                    return None;
                }
                let source = format!("file `{}`", *name);
                let path = Path::new(&name.spot.file.path).parent().unwrap_or(Path::new("")).join(*name);
                (name.spot, source, Place::File(path))
            }
            _ => {
                problems.push(table.spot().problem("a secret names either `env` or `file`").with_hint(usage));
                return None;
            }
        };
        match table.secrets_mode() {
            Secrets::NamesOnly => Some(Self { source, place: None, value: Arc::default() }),
            Secrets::OnUse => Some(Self { source, place: Some(place), value: Arc::default() }),
            Secrets::Resolve => match place.fetch_secret(&source) {
                Ok(value) => Some(Self { source, place: None, value: Arc::new(OnceLock::from(Ok(value))) }),
                Err(why) => {
                    problems.push(spot.problem(why));
                    None
                }
            },
        }
    }

    /// Returns the secret itself; `None` if the configuration was read with [`Secrets::NamesOnly`] or the secret cannot
    /// be fetched.
    #[must_use]
    pub fn expose(&self) -> Option<&str> {
        self.fetch_result()?.as_ref().ok().map(ExposeSecret::expose_secret)
    }

    /// Returns the reason why the secret is not available, for people.
    #[must_use]
    pub fn why_absent(&self) -> String {
        match self.fetch_result() {
            Some(Err(why)) => why.clone(),
            _ => format!("the secret in {} was not read", self.source),
        }
    }

    fn fetch_result(&self) -> Option<&Result<SecretString, String>> {
        match &self.place {
            Some(place) => Some(self.value.get_or_init(|| place.fetch_secret(&self.source))),
            None => self.value.get(),
        }
    }

    /// Returns the place where the secret is kept, such as ``environment variable `PAGERDUTY_KEY` ``; may be shown.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Document, SourceFile};
    use super::*;

    fn read(text: &str, dir: &Path, mode: Secrets) -> (Option<Secret>, Problems) {
        let file = SourceFile::new(dir.join("watch.toml").display().to_string(), text);
        let mut problems = Problems::new();
        let document = Document::parse(&file, mode, &mut problems);
        let secret = document.root_table().secret("key", &mut problems);
        (secret, problems)
    }

    #[test]
    fn a_secret_comes_from_the_environment_or_a_file_and_never_shows() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("key.txt"), "hunter2\n").unwrap();
        let (secret, problems) = read("key = { file = \"key.txt\" }", dir.path(), Secrets::Resolve);
        assert!(problems.is_empty(), "{}", problems.render(false));
        let secret = secret.unwrap();
        assert_eq!(secret.expose(), Some("hunter2"));
        assert_eq!(format!("{secret:?}"), "***");
        // Cargo sets this one for every test.
        let (secret, _) = read("key = { env = \"CARGO_PKG_NAME\" }", dir.path(), Secrets::Resolve);
        assert_eq!(secret.unwrap().expose(), Some("watchfire"));
    }

    #[test]
    fn a_secret_that_is_not_there_is_named_at_its_place() {
        let dir = Path::new("");
        let (_, problems) = read("key = { env = \"WATCHFIRE_NO_SUCH\" }", dir, Secrets::Resolve);
        assert_eq!(problems.to_lines(), ["watch.toml:1:15: environment variable `WATCHFIRE_NO_SUCH` is not set"]);
        let (_, problems) = read("key = { file = \"no/such\" }", dir, Secrets::Resolve);
        assert!(problems.to_lines()[0].contains("cannot read the secret in file `no/such`"));
        let (secret, problems) = read("key = { env = \"WATCHFIRE_NO_SUCH\" }", dir, Secrets::NamesOnly);
        assert!(problems.is_empty());
        assert_eq!(secret.unwrap().expose(), None);
    }

    #[test]
    fn a_secret_that_is_fetched_on_use_is_no_problem_until_then() {
        let dir = tempfile::tempdir().unwrap();
        let (secret, problems) = read("key = { file = \"key.txt\" }", dir.path(), Secrets::OnUse);
        assert!(problems.is_empty(), "{}", problems.render(false));
        let secret = secret.unwrap();
        std::fs::write(dir.path().join("key.txt"), " hunter2\n").unwrap();
        assert_eq!(secret.expose(), Some("hunter2"));
        let (secret, problems) = read("key = { env = \"WATCHFIRE_NO_SUCH\" }", dir.path(), Secrets::OnUse);
        let secret = secret.filter(|_| problems.is_empty()).unwrap();
        assert_eq!(secret.expose(), None);
        assert_eq!(secret.why_absent(), "environment variable `WATCHFIRE_NO_SUCH` is not set");
    }

    #[test]
    fn a_secret_in_the_file_itself_is_refused_without_repeating_it_in_the_message() {
        let (secret, problems) = read("key = \"hunter2\"", Path::new(""), Secrets::Resolve);
        assert!(secret.is_none());
        assert!(!problems.render(false).contains("hunter2"), "{}", problems.render(false));
        for text in ["key = {}", "key = { env = \"A\", file = \"b\" }", "key = { envv = \"A\" }"] {
            let (secret, problems) = read(text, Path::new(""), Secrets::Resolve);
            assert!(secret.is_none() && !problems.is_empty(), "{text}");
        }
    }
}
