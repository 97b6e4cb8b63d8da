//! Answers by which services say that they took what was sent.
//!
//! A status of 2xx alone says that somebody answered: a captive portal, a parked domain and a service that names its error in the body
//! all answer 200. Each destination and heartbeat therefore states the exact answer that its service documents, and anything else is a
//! failure that quotes the answer.

use reqwest::StatusCode;

/// The answer that means success to one service.
#[derive(Clone, Copy, Debug)]
pub struct Success {
    /// The answer in words, such as "200 with the body `ok`".
    pub is: &'static str,
    /// The page of the service's documentation that says so.
    pub source: &'static str,
    /// Whether the body decides, so that it is waited for.
    pub(crate) reads_body: bool,
    /// Judges an answer with a 2xx status and the beginning of its body.
    pub(crate) judge: fn(StatusCode, &str) -> Answer,
}

/// Meaning of an answer with a 2xx status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The service took it.
    Taken,
    /// Somebody else answered, or the service is in trouble: worth another try.
    NotTaken,
    /// The service says that it will never take it.
    Refused,
}

impl Answer {
    /// Taken or not.
    pub(crate) fn taken_if(taken: bool) -> Self {
        if taken { Self::Taken } else { Self::NotTaken }
    }
}

/// Any 2xx whose body is no web page: Standard Webhooks leaves the body to the receiver, and no receiver of webhooks answers with a page.
pub(crate) const ANY_2XX: Success = Success {
    is: "a status from 200 to 299 and a body that is no web page",
    source: "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
    reads_body: false,
    judge: |_, body| Answer::taken_if(!is_web_page(body)),
};

/// Whether a body begins as a page of HTML does. The content type says less: many a framework calls the word `ok` HTML.
fn is_web_page(body: &str) -> bool {
    let mut rest = body.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    while let Some(comment) = rest.strip_prefix("<!--") {
        rest = comment.split_once("-->").map_or("", |(_, behind)| behind).trim_start();
    }
    let begins = |with: &str| rest.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    ["<!doctype", "<html", "<head", "<body", "<?xml", "<meta", "<script", "<title"].into_iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_page_is_known_by_how_it_begins() {
        for page in
            ["<!DOCTYPE html>\n<html>", " \u{feff}<HTML lang=en>", "<!-- portal --><html>", "<?xml version=\"1.0\"?>"]
        {
            assert!(is_web_page(page), "{page}");
        }
        for body in ["", "ok", "{\"ok\": true}", "accepted <1>", "<3", "é"] {
            assert!(!is_web_page(body), "{body}");
        }
    }
}
