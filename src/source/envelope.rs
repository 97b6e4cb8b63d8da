//! The only parser of the envelope around an answer: JSON-RPC 2.0 as servers write it, over any transport.
//!
//! Input: the bytes of one message. Output: answers, each with the id of its request, and announcements. The parser
//! accepts the differences between correct servers: members in any order, null or unknown members, ids as numbers or as
//! text, batches in any order, surrounding white space. Input that is not JSON, or is neither an answer nor an error,
//! is an error; nothing is guessed.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Message from a server.
#[derive(Debug)]
pub(super) enum Message {
    /// Answer to a request, with the id of the request; without an id it belongs to the only open request.
    Answer(Option<u64>, Result<Box<RawValue>, Refusal>),
    /// Notification of a subscription.
    Announced(Box<RawValue>),
    /// Any other message that needs no answer.
    Other,
}

/// Error as reported by the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: i64,
    pub(super) message: String,
    /// True if the error carries data, as for reverted calls.
    pub(super) data: bool,
}

/// Input that is not JSON-RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Returns the messages in one frame or one body. A batch yields one message for each of its members.
pub(super) fn read_messages(bytes: &[u8]) -> Result<Vec<Message>, Unreadable> {
    // A byte order mark is not part of JSON, but some servers write one.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let is_batch = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if !is_batch {
        let one: Envelope<'_> = serde_json::from_slice(bytes).map_err(|_| Unreadable)?;
        return Ok(vec![one.into_message()?]);
    }
    let batch: Vec<Envelope<'_>> = serde_json::from_slice(bytes).map_err(|_| Unreadable)?;
    if batch.is_empty() { Err(Unreadable) } else { batch.into_iter().map(Envelope::into_message).collect() }
}

/// Returns the result of a body that contains one answer, in place: a large result is not copied.
pub(super) fn take_result(mut body: Vec<u8>) -> Result<Message, Unreadable> {
    let place = |text: &str| text.as_ptr() as usize - body.as_ptr() as usize;
    let one: Envelope<'_> = serde_json::from_slice(&body).map_err(|_| Unreadable)?;
    let error = one.error.filter(|error| error.get() != "null");
    let (Some(result), None) = (one.result, error) else { return one.into_message() };
    let (id, start, end) = (one.id.0, place(result.get()), place(result.get()) + result.get().len());
    body.truncate(end);
    body.drain(..start);
    let text = String::from_utf8(body).map_err(|_| Unreadable)?;
    RawValue::from_string(text).map(|result| Message::Answer(id, Ok(result))).map_err(|_| Unreadable)
}

/// Formats a request as it is sent.
pub(super) fn encode_request(id: u64, method: &str, params: &RawValue) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default)]
    id: Id,
    // A borrowed value that is null is `Some("null")`, so that an absent and a null member can be distinguished below.
    #[serde(default, borrow, deserialize_with = "deserialize_present")]
    result: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "deserialize_present")]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

fn deserialize_present<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Id of a request. Any other id does not belong to our requests.
#[derive(Default)]
struct Id(Option<u64>);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<'a> {
            Number(u64),
            Float(f64),
            Text(#[serde(borrow)] Cow<'a, str>),
            Other(IgnoredAny),
        }
        Ok(Self(match Either::deserialize(from)? {
            Either::Number(id) => Some(id),
            // JavaScript has only floating-point numbers, and some servers write ids as such.
            Either::Float(id) if id.fract() == 0.0 && (0.0..9e15).contains(&id) => Some(id as u64),
            Either::Text(text) => text.parse().ok(),
            Either::Float(_) | Either::Other(_) => None,
        }))
    }
}

impl Envelope<'_> {
    fn into_message(self) -> Result<Message, Unreadable> {
        let is_null = |value: &RawValue| value.get() == "null";
        if let Some(error) = self.error.filter(|error| !is_null(error)) {
            return Ok(Message::Answer(self.id.0, Err(parse_rpc_error(error))));
        }
        if let Some(result) = self.result {
            return Ok(Message::Answer(self.id.0, Ok(result.to_owned())));
        }
        match (self.method.as_deref(), self.params) {
            (Some(method), Some(params)) if method.ends_with("_subscription") => {
                #[derive(Deserialize)]
                struct Params<'a> {
                    #[serde(borrow)]
                    result: &'a RawValue,
                }
                let params: Params<'_> = serde_json::from_str(params.get()).map_err(|_| Unreadable)?;
                Ok(Message::Announced(params.result.to_owned()))
            }
            (Some(_), _) => Ok(Message::Other),
            // `"error": null` without a result is not an answer.
            (None, _) => Err(Unreadable),
        }
    }
}

/// Parses an error. Servers that do not follow the format write a text, or omit the code.
fn parse_rpc_error(error: &RawValue) -> Refusal {
    #[derive(Deserialize)]
    struct Told<'a> {
        code: Option<serde_json::Number>,
        #[serde(borrow)]
        message: Option<Cow<'a, str>>,
        data: Option<IgnoredAny>,
    }
    match serde_json::from_str::<Told<'_>>(error.get()) {
        Ok(told) => Refusal {
            code: told
                .code
                .and_then(|code| code.as_i64().or_else(|| code.as_f64().map(|code| code as i64)))
                .unwrap_or(0),
            message: told.message.unwrap_or_default().into_owned(),
            data: told.data.is_some(),
        },
        Err(_) => {
            let text = serde_json::from_str::<String>(error.get()).unwrap_or_else(|_| error.get().to_owned());
            Refusal { code: 0, message: text, data: false }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the messages read from a text, in short form.
    fn read(text: &str) -> Vec<String> {
        match read_messages(text.as_bytes()) {
            Err(Unreadable) => vec!["unreadable".to_owned()],
            Ok(messages) => messages
                .into_iter()
                .map(|message| match message {
                    Message::Answer(id, Ok(result)) => format!("{id:?} {result}"),
                    Message::Answer(id, Err(Refusal { code, message, data })) => {
                        format!("{id:?} {code} {message} {data}")
                    }
                    Message::Announced(what) => format!("announced {what}"),
                    Message::Other => "other".to_owned(),
                })
                .collect(),
        }
    }

    #[test]
    fn answers_are_read_however_servers_write_them() {
        let one = |text: &str, expected: &str| assert_eq!(read(text), [expected], "{text}");
        for text in [
            r#"{"jsonrpc":"2.0","id":7,"result":"0x1"}"#,
            r#"{"id":7,"result":"0x1"}"#,
            r#"{"result":"0x1","id":"7","error":null,"jsonrpc":"2.0","usage":{"cost":[1]}}"#,
            " \r\n{ \"error\" : null , \"result\" : \"0x1\" , \"id\" : 7.0 }\n",
            "\u{feff}{\"jsonrpc\":2.0,\"id\":7,\"result\":\"0x1\",\"method\":null,\"params\":null}",
        ] {
            one(text, r#"Some(7) "0x1""#);
        }
        one(r#"{"id":7,"result":null}"#, "Some(7) null");
        one(r#"{"id":7,"result":null,"error":null}"#, "Some(7) null");
        one(r#"{"id":null,"result":1}"#, "None 1");
        one(r#"{"id":7,"error":{"code":-32000,"message":"no","data":"0x"},"result":null}"#, "Some(7) -32000 no true");
        one(r#"{"id":7,"error":{"message":"no"}}"#, "Some(7) 0 no false");
        one(r#"{"id":7,"error":"no such thing"}"#, "Some(7) 0 no such thing false");
        one(r#"{"id":7,"error":{"code":-32000.0,"message":null}}"#, "Some(7) -32000  false");
        let announced =
            r#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":81,"result":{"a":1}}}"#;
        one(announced, r#"announced {"a":1}"#);
        one(r#"{"jsonrpc":"2.0","method":"server_notice","params":[]}"#, "other");
        assert_eq!(
            read(r#"[{"id":2,"result":1},{"id":"1","error":{"code":3,"message":"x"}}]"#),
            ["Some(2) 1", "Some(1) 3 x false"]
        );
    }

    #[test]
    fn a_result_is_taken_out_of_its_body() {
        let body = |text: &str| take_result(text.as_bytes().to_vec());
        let Ok(Message::Answer(Some(7), Ok(result))) = body(r#"{"error":null,"result":{"a":["é"]} ,"id":7}"#) else {
            panic!("an answer")
        };
        assert_eq!(result.get(), r#"{"a":["é"]}"#);
        assert!(matches!(body(r#"{"id":7,"error":{"code":3}}"#), Ok(Message::Answer(Some(7), Err(_)))));
        assert!(matches!(body("[]"), Err(Unreadable)));
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        let deep = format!("{}{}", "[".repeat(400), "]".repeat(400));
        for text in [
            "",
            "null",
            "[]",
            "7",
            "{}",
            r#"{"id":7}"#,
            r#"{"id":7,"error":null}"#,
            r#"{"id":7,"result":nullnull}"#,
            "<html>",
            &deep,
        ] {
            assert_eq!(read(text), ["unreadable"], "{text}");
        }
    }
}
