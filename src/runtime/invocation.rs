//! Command lines for an operator, which refer to the configuration and the store of this process.

use std::path::Path;
use std::sync::OnceLock;

/// Arguments appended to every command that is shown, each with a leading space; set once, at the start.
static ARGUMENTS: OnceLock<String> = OnceLock::new();

/// Sets the configuration and the store that are named in all commands shown from now on; each is named only if it is
/// not at its default place.
///
/// Only the first call in a process has an effect.
pub fn name_places(config: Option<&Path>, store: Option<&Path>) {
    let _ = ARGUMENTS.set(global_arguments(config, store));
}

/// Returns the command line that runs `subcommand` of this program on the same configuration and store.
#[must_use]
pub fn command_line(subcommand: &str) -> String {
    let arguments = ARGUMENTS.get().map_or("", String::as_str);
    format!("watchfire {subcommand}{arguments}")
}

/// Returns a word quoted for a shell.
#[must_use]
pub fn quoted_word(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-:".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Returns an absolute path quoted for a shell: the command may be run in another directory.
#[must_use]
pub fn quoted_path(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    quoted_word(&path.display().to_string())
}

fn global_arguments(config: Option<&Path>, store: Option<&Path>) -> String {
    let named = |(name, path): (&str, Option<&Path>)| Some(format!(" --{name} {}", quoted_path(path?)));
    [("config", config), ("store", store)].into_iter().filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_absolute_quoted_and_left_out_where_it_is_the_default() {
        let at = |config: &str, store: Option<&str>| global_arguments(Some(Path::new(config)), store.map(Path::new));
        assert_eq!(global_arguments(None, None), "");
        assert_eq!(at("/etc/watchfire/main.toml", None), " --config /etc/watchfire/main.toml");
        assert_eq!(at("/srv/o'er here/a.toml", Some("/b.db")), " --config '/srv/o'\\''er here/a.toml' --store /b.db");
        let here = std::env::current_dir().expect("a directory");
        assert_eq!(
            at("my.toml", None),
            format!(" --config {}", quoted_word(&here.join("my.toml").display().to_string()))
        );
        for (word, expected) in [("mainnet", "mainnet"), ("", "''"), ("$HOME", "'$HOME'"), ("a b", "'a b'")] {
            assert_eq!(quoted_word(word), expected);
        }
    }
}
