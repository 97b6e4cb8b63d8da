//! Responses by which services confirm that they accepted a request.
//!
//! A 2xx status alone proves only that a server answered: a captive portal, a parked domain and a service that reports
//! its error in the body all answer 200. Each destination and heartbeat therefore states the exact response that its
//! service documents. Any other response is a failure that quotes the response.

use reqwest::StatusCode;

/// Response that means success for one service.
#[derive(Clone, Copy, Debug)]
pub struct Success {
    /// Description of that response, such as "200 with the body `ok`".
    pub is: &'static str,
    /// Page of the service's documentation that states it.
    pub source: &'static str,
    /// True if the body decides the outcome, so that the whole body is waited for.
    pub(crate) reads_body: bool,
    /// Judges a response with a 2xx status by its status and the beginning of its body.
    pub(crate) judge: fn(StatusCode, &str) -> Answer,
}

/// Meaning of a response with a 2xx status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The service accepted the request.
    Taken,
    /// Not accepted, because something else answered or the service is in trouble: worth another try.
    NotTaken,
    /// The service will never accept the request.
    Refused,
}

impl Answer {
    /// Returns `Taken` if `taken`, otherwise the failure that is retried.
    pub(crate) fn taken_if(taken: bool) -> Self {
        if taken { Self::Taken } else { Self::NotTaken }
    }
}

/// Accepts any 2xx whose body is not a web page: Standard Webhooks leaves the body to the receiver, and no receiver of
/// webhooks answers with a page.
pub(crate) const ANY_2XX: Success = Success {
    is: "a status from 200 to 299 and a body that is no web page",
    source: "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
    reads_body: false,
    judge: |_, body| Answer::taken_if(!is_web_page(body)),
};

/// Returns whether a body begins like an HTML page. The content type is less reliable: many frameworks label the word
/// `ok` as HTML.
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
