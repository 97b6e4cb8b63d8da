//! Configuration reader: TOML with source positions, so that all mistakes in a file are reported together and
//! underlined.
//!
//! Comes in: the text of a configuration file. Goes out: typed values with their source positions, and [`Problems`].
//! Never here: the meaning of a key. Each room reads its own tables and states which values it accepts; this room
//! handles only TOML, source positions and secrets. Reading does not stop at the first mistake, and a key that no
//! reader uses is rejected.

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
pub use value::{Value, nearest_name};
