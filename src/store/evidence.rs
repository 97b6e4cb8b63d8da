//! Self-contradictory answers of endpoints, kept beside the store for whoever has to talk to their owners.
//!
//! Evidence files: one gzip'd JSON file for each rejected response, named by its time, chain, endpoint and block; never
//! by the URL of an endpoint. The directory is bounded: new files replace the oldest ones, so an endpoint that returns
//! invalid responses all day cannot fill the disk.

use super::place::PRIVATE;
use crate::model::Evidence;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Maximum number of files that are kept: more than a person reads.
const FILES_MAX: usize = 64;
/// Bytes of all files together. A block of mainnet with its receipts is a tenth of a megabyte once compressed.
const BYTES_MAX: u64 = 64 << 20;
/// Maximum number of bytes of responses in one file before compression; the rest of a longer response is cut off.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Maximum number of characters of a name within a file name.
const NAME_CHARS_MAX: usize = 40;

/// Directory of evidence.
#[derive(Clone, Debug)]
pub struct EvidenceStore {
    dir: PathBuf,
}

impl EvidenceStore {
    /// Returns the evidence directory of the store at `store`: `<store>.evidence`, created with the first file.
    #[must_use]
    pub fn for_store(store: &Path) -> Self {
        let mut dir = store.as_os_str().to_owned();
        dir.push(".evidence");
        Self { dir: dir.into() }
    }

    /// Stores the responses that `endpoint` of `chain` returned, and returns the path of the file. Blocks while it
    /// writes.
    ///
    /// # Errors
    /// When the disk does not take it; nothing is left behind then.
    pub fn save_evidence(
        &self,
        at: Timestamp,
        chain: &str,
        endpoint: &str,
        evidence: &Evidence,
    ) -> io::Result<PathBuf> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let block = block_of(&evidence.asked).unwrap_or("unknown");
        let time = at.strftime("%Y%m%dT%H%M%S%3fZ");
        let name = format!("{time}-{}-{}-{block}.json.gz", file_safe_name(chain), file_safe_name(endpoint));
        let path = self.dir.join(name);
        let answers: Vec<Json> =
            evidence.answers.iter().map(|(to, answer)| json!({ "to": to, "answer": json_or_text(answer) })).collect();
        let text = json!({
            "chain": chain,
            "endpoint": endpoint,
            "at": at.to_string(),
            "asked": evidence.asked,
            "flaw": evidence.flaw,
            "answers": answers,
        });
        // The file has a name that is ignored until it is complete.
        let part = path.with_extension("part");
        let written = write_gzip_json(&part, &text).and_then(|()| fs::rename(&part, &path));
        if let Err(error) = written {
            let _ = fs::remove_file(&part);
            return Err(error);
        }
        self.remove_oldest(&path)?;
        Ok(path)
    }

    /// Removes the oldest files until the bounds hold; `newest` stays.
    fn remove_oldest(&self, newest: &Path) -> io::Result<()> {
        let mut files: Vec<(PathBuf, u64)> = fs::read_dir(&self.dir)?
            .filter_map(|entry| entry.ok())
            .filter(|entry| entry.path() != newest)
            .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?.len())))
            .collect();
        // File names begin with the time.
        files.sort_by(|a, b| b.0.cmp(&a.0));
        let mut bytes = newest.metadata()?.len();
        for (place, (path, length)) in files.iter().enumerate() {
            bytes = bytes.saturating_add(*length);
            if place + 1 >= FILES_MAX || bytes > BYTES_MAX {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

fn write_gzip_json(path: &Path, text: &Json) -> io::Result<()> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(PRIVATE).open(path)?;
    let mut out = GzEncoder::new(file, Compression::default());
    serde_json::to_writer(&mut out, text)?;
    out.write_all(b"\n")?;
    out.finish()?.sync_all()
}

/// Parses a response as JSON if it is JSON, so that the usual tools can read it; keeps it as text otherwise.
fn json_or_text(answer: &str) -> Json {
    if answer.len() > ANSWER_BYTES_MAX {
        return Json::String(answer[..answer.floor_char_boundary(ANSWER_BYTES_MAX)].to_owned());
    }
    let whole = serde_json::from_str::<&RawValue>(answer).ok();
    whole.and_then(|raw| serde_json::to_value(raw).ok()).unwrap_or_else(|| Json::String(answer.to_owned()))
}

/// The hash in `block 0x…`.
fn block_of(asked: &str) -> Option<&str> {
    let hash = asked.split(|c: char| !c.is_ascii_alphanumeric()).find(|word| word.starts_with("0x"))?;
    (hash.len() == 66 && hash[2..].bytes().all(|b| b.is_ascii_hexdigit())).then_some(hash)
}

/// Converts a name to characters that a file name may contain.
fn file_safe_name(name: &str) -> String {
    let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    plain.take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::fs::File;
    use std::io::Read;

    const HASH: &str = "0x2222222222222222222222222222222222222222222222222222222222222222";

    fn lie(answer: &str) -> Evidence {
        Evidence {
            asked: format!("block {HASH}"),
            flaw: "its receipts have another root".to_owned(),
            answers: vec![("eth_getBlockReceipts", answer.into()), ("eth_getBlockByHash", "<html>".into())],
        }
    }

    fn drawer() -> (tempfile::TempDir, EvidenceStore) {
        let dir = tempfile::tempdir().unwrap();
        let drawer = EvidenceStore::for_store(&dir.path().join("watchfire.db"));
        (dir, drawer)
    }

    #[test]
    fn what_an_endpoint_gave_can_be_read_by_the_usual_tools() {
        let (dir, drawer) = drawer();
        let path = drawer.save_evidence(Timestamp::UNIX_EPOCH, "mainnet", "back/up", &lie("[{\"a\":1}]")).unwrap();
        let name = format!("19700101T000000000Z-mainnet-back_up-{HASH}.json.gz");
        assert_eq!(path, dir.path().join("watchfire.db.evidence").join(name));
        let mut text = String::new();
        GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        let json: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(json["answers"][0]["answer"][0]["a"], 1);
        assert_eq!(json["answers"][1]["answer"], "<html>");
        assert_eq!(json["flaw"], "its receipts have another root");
    }

    #[test]
    fn the_newest_lies_push_the_oldest_out() {
        let (dir, drawer) = drawer();
        for second in 0..FILES_MAX as i64 + 10 {
            drawer.save_evidence(Timestamp::from_second(second).unwrap(), "mainnet", "main", &lie("[]")).unwrap();
        }
        let mut names: Vec<String> = fs::read_dir(dir.path().join("watchfire.db.evidence"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names.len(), FILES_MAX);
        assert!(names[0].starts_with("19700101T000010"), "{}", names[0]);
    }

    #[test]
    fn whatever_was_asked_for_leads_nowhere_else() {
        assert_eq!(block_of("block ../../etc/passwd"), None);
        assert_eq!(block_of("block 0x12"), None);
        assert_eq!(file_safe_name("wss://node.example/key?x").chars().filter(|c| *c == '/').count(), 0);
    }
}
