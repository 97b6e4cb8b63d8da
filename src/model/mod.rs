//! The nouns that travel between the rooms.
pub mod value;
