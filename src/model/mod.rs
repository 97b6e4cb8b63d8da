//! The nouns that travel between the rooms.
pub mod arg_path;
pub mod text;
pub mod value;
