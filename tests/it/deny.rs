//! The rules of `deny.toml`, enforced from what cargo itself knows. In: Cargo.lock, `cargo metadata`, deny.toml. Out:
//! every crate that breaks a rule, by name. Never: the network.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The part of deny.toml that is enforced here.
struct Rules {
    banned: BTreeSet<String>,
    licenses: BTreeSet<String>,
    registries: BTreeSet<String>,
}

impl Rules {
    fn read() -> Self {
        let file = table("deny.toml");
        let words = |value: &toml::Value| -> BTreeSet<String> {
            let words = value.as_array().expect("a list").iter();
            words.map(|word| word.as_str().expect("a string").to_owned()).collect()
        };
        let banned = file["bans"]["deny"].as_array().expect("a list").iter();
        Self {
            banned: banned.map(|ban| ban["crate"].as_str().expect("a crate's name").to_owned()).collect(),
            licenses: words(&file["licenses"]["allow"]),
            registries: words(&file["sources"]["allow-registry"]),
        }
    }

    /// Whether a crate under this SPDX expression may come in.
    fn allows(&self, expression: &str) -> bool {
        // Before SPDX, crates.io took `MIT/Apache-2.0` to mean either.
        let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut rest = words.as_slice();
        let allowed = self.any(&mut rest);
        allowed && rest.is_empty()
    }

    /// `all (OR all)*`
    fn any(&self, rest: &mut &[&str]) -> bool {
        let mut allowed = self.all(rest);
        while let ["OR", tail @ ..] = *rest {
            *rest = tail;
            allowed |= self.all(rest);
        }
        allowed
    }

    /// `one (AND one)*`
    fn all(&self, rest: &mut &[&str]) -> bool {
        let mut allowed = self.one(rest);
        while let ["AND", tail @ ..] = *rest {
            *rest = tail;
            allowed &= self.one(rest);
        }
        allowed
    }

    /// A license, a license with an exception, or an expression in parentheses.
    fn one(&self, rest: &mut &[&str]) -> bool {
        match *rest {
            ["(", tail @ ..] => {
                *rest = tail;
                let allowed = self.any(rest);
                let [")", tail @ ..] = *rest else { return false };
                *rest = tail;
                allowed
            }
            [license, "WITH", exception, tail @ ..] => {
                *rest = tail;
                self.licenses.contains(&format!("{license} WITH {exception}"))
            }
            [license, tail @ ..] => {
                *rest = tail;
                self.licenses.contains(*license)
            }
            [] => false,
        }
    }
}

#[test]
fn every_crate_in_the_lock_file_is_welcome_and_comes_from_the_registry() {
    let rules = Rules::read();
    let lock = table("Cargo.lock");
    let mut problems = Vec::new();
    for package in lock["package"].as_array().expect("a list") {
        let name = package["name"].as_str().expect("a name");
        if rules.banned.contains(name) {
            problems.push(format!("{name} is banned"));
        }
        // A package without a source is this one.
        let Some(source) = package.get("source").and_then(|source| source.as_str()) else { continue };
        let known = source.strip_prefix("registry+").is_some_and(|registry| rules.registries.contains(registry));
        if !known {
            problems.push(format!("{name} comes from {source}"));
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn every_crate_that_is_built_here_has_a_license_on_the_list() {
    let rules = Rules::read();
    let problems: Vec<String> = packages()
        .iter()
        .filter_map(|package| {
            let name = package["name"].as_str().expect("a name");
            match package["license"].as_str() {
                Some(license) if rules.allows(license) => None,
                Some(license) => Some(format!("{name}: {license}")),
                None => Some(format!("{name}: no license given")),
            }
        })
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn no_dependency_is_asked_for_at_any_version() {
    let manifest = table("Cargo.toml");
    for section in ["dependencies", "dev-dependencies"] {
        for (name, wanted) in manifest[section].as_table().expect("a table") {
            let version = wanted.as_str().or_else(|| wanted.get("version").and_then(|version| version.as_str()));
            assert!(version.is_some_and(|version| version != "*"), "{name} in [{section}] names no version");
        }
    }
}

#[test]
fn license_expressions_are_read_as_spdx_means_them() {
    let rules = Rules { banned: BTreeSet::new(), licenses: BTreeSet::new(), registries: BTreeSet::new() };
    let licenses = ["MIT", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"].map(str::to_owned).into();
    let rules = Rules { licenses, ..rules };
    let good = ["MIT", "GPL-3.0 OR MIT", "GPL-3.0/MIT", "(MIT OR GPL-3.0) AND Unicode-3.0"];
    for expression in good.into_iter().chain(["Apache-2.0 WITH LLVM-exception"]) {
        assert!(rules.allows(expression), "{expression}");
    }
    for expression in ["", "GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0", "(MIT", "MIT MIT", "GPL-3.0 OR MIT AND ISC"] {
        assert!(!rules.allows(expression), "{expression}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn table(file: &str) -> toml::Table {
    let text = std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    text.parse().unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The packages that a build on this machine compiles, tests included. Everything was fetched to build this test.
fn packages() -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["metadata", "--format-version", "1", "--locked", "--offline", "--all-features"]);
    cargo.args(["--filter-platform", &host()]);
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let compiled: BTreeSet<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect();
    let packages = metadata["packages"].as_array().expect("a list").iter();
    packages.filter(|package| package["id"].as_str().is_some_and(|id| compiled.contains(id))).cloned().collect()
}

fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8(output.stdout).expect("rustc writes text");
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc knows its host").to_owned()
}
