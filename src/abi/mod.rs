//! ABI index and decoder.
//!
//! Input: ABI files and signatures at start, bytes from the chain afterwards. Output: typed, named arguments with the
//! span of each and the [`Flaws`] of its encoding, or [`Opaque`] with the reason. The decoder is as lenient as the EVM
//! and reports it: input that does not encode back to the same bytes has a flaw. Never here: copies of payloads, memory
//! beyond the order of the input, recursion whose depth the input decides, or a panic.
//!
//! Reading order: [`item`] holds the contents of an ABI, [`index`] finds them by selector and topic, [`decode`] applies
//! them to bytes within a [`budget`], [`mod@encode`] is the inverse.
//!
//! ```
//! use watchfire::abi::{Budget, Function, bundled};
//!
//! let abi = bundled::erc20();
//! let transfer = abi.function_by_selector([0xa9, 0x05, 0x9c, 0xbb]).expect("ERC-20 has transfer");
//! let mut calldata = vec![0; 64];
//! calldata[63] = 7;
//! let decoded = transfer.decode_arguments(&calldata.into(), &mut Budget::default()).expect("64 bytes are enough");
//! assert_eq!(decoded.args[1].to_string(), "amount: 7");
//! assert!(decoded.flaws.is_empty());
//! assert_eq!(transfer.selector, Function::parse("transfer(address,uint256)").expect("parses").selector);
//! ```
pub mod attribution;
pub mod budget;
pub mod bundled;
pub mod decode;
pub mod encode;
pub mod flaws;
pub mod index;
pub mod item;
mod json;
pub mod multisend;
mod shapes;
mod structs;
mod syntax;

pub use self::{
    attribution::attributed_codes,
    budget::{Budget, Opaque},
    decode::Decoded,
    encode::encode_values,
    flaws::Flaws,
    index::Abi,
    item::{AbiError, Event, Function, Kind, Param},
    json::AbiFile,
};
