//! An error and its causes in one line.

/// Joins an error and its causes, the outermost first. What the text before already ends with is not repeated: some errors show their
/// cause themselves, since they are also shown alone.
#[must_use]
pub fn error_chain(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        let before = parts.last_mut();
        match before {
            Some(before) if before.ends_with(&cause) => {
                // The longer text stands; what is compared next is the cause itself.
                before.truncate(before.len() - cause.len());
                parts.push(cause);
            }
            Some(before) if cause.ends_with(&**before) => *before = cause,
            _ => {
                if let Some(before) = before {
                    before.push_str(": ");
                }
                parts.push(cause);
            }
        }
    }
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn every_cause_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("store.db: {source}")]
        struct Place {
            source: std::io::Error,
        }
        let place = || Place { source: std::io::Error::other("disk full") };
        for (error, expected) in [
            (anyhow!("failed"), "failed"),
            (anyhow!("disk full").context("failed to write"), "failed to write: disk full"),
            (
                anyhow!("code 28: disk full").context("disk full").context("refused: disk full"),
                "refused: code 28: disk full",
            ),
            (anyhow::Error::new(place()), "store.db: disk full"),
            (anyhow::Error::new(place()).context("failed to back up"), "failed to back up: store.db: disk full"),
        ] {
            assert_eq!(error_chain(&error), expected);
        }
    }
}
