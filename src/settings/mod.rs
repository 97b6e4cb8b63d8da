//! Reading what people write: TOML with its places kept, so that every mistake in a file is told at once and underlined.
//!
//! Comes in: the text of a configuration file. Goes out: typed values that know where they stand, and [`Problems`].
//! Never here: what a key means. Each room reads its own tables and says which values it accepts; this room knows only
//! TOML, places in files, and secrets. Nothing here stops at the first mistake, and no key is accepted that no reader looks at.

mod document;
mod duration;
mod problem;
mod reading;
mod secret;
mod table;
mod value;

pub use document::Document;
pub use duration::{parse_duration, show_duration};
pub use problem::{At, Problem, Problems, SourceFile, Spot};
pub use secret::{Secret, Secrets};
pub use table::Table;
pub use value::{Value, nearest};
