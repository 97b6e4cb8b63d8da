//! The world the other end-to-end tests stand on, put to the test itself: each step of the stories does on chain what
//! its name says.

mod attacks;
mod normal;
mod parts;
