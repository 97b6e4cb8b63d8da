//! Hostile text: for any text of an editor or an attacker, problems are reported and nothing panics.

use super::*;
use crate::watchlist::check::{coverage_rows, run_tests};
use proptest::prelude::*;

const SHIPPED: [&str; 3] = [
    include_str!("../../../watchlists/status.toml"),
    include_str!("../../../watchlists/safe-template.toml"),
    include_str!("../../../examples/minimal/watchlists/treasury.toml"),
];
const PIECES: [&str; 22] = [
    "\"",
    "[",
    "]",
    "[[watch]]\n",
    "{",
    "}",
    "=",
    "@",
    "0x",
    "e999",
    "-",
    "\n",
    "é",
    "[watch.test]\n",
    "999999999999999999999",
    "\"\"\"",
    "#",
    ".",
    "[*]",
    "1e77",
    "to = [[[]]]\n",
    "\u{0}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn no_text_whatever_panics_the_compiler(
        which in 0..SHIPPED.len(),
        cuts in prop::collection::vec((0.0..1.0f64, 0..PIECES.len(), 0..12usize), 1..6),
    ) {
        let mut text = SHIPPED[which].to_owned();
        for (at, piece, drop) in cuts {
            let start = text.floor_char_boundary((text.len() as f64 * at) as usize);
            let end = text.floor_char_boundary((start + drop).min(text.len())).max(start);
            text.replace_range(start..end, PIECES[piece]);
        }
        match build(MAIN, &text) {
            Ok(book) => {
                prop_assert!(run_tests(&book).len() <= 100 && coverage_rows(&book).len() <= 10_000);
            }
            Err(problems) => prop_assert!(!problems.render(false).is_empty()),
        }
        // The same text is used as a main file, where chains and paths are read as well.
        if let Err(problems) = build(&format!("{MAIN}{text}"), "") {
            prop_assert!(!problems.render(true).is_empty());
        }
    }
}
