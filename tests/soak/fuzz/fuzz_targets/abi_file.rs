//! Any text as an ABI file and as a signature: read or refused with a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchfire::{
    abi::{Abi, Event, Function},
    model::{arg_path::ArgPath, text::printable},
};

fuzz_target!(|text: &str| {
    let _ = Abi::from_json(text);
    if let Ok(function) = Function::parse(text) {
        let again = Function::parse(&function.signature).expect("a canonical signature");
        assert_eq!(again.selector, function.selector);
    }
    let _ = Event::parse(text);
    if let Ok(path) = text.parse::<ArgPath>() {
        assert_eq!(path.to_string().parse(), Ok(path));
    }
    assert!(printable(text, 100).chars().count() <= 100);
});
