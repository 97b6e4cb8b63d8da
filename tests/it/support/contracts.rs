//! Compiled contracts from `target/world/artifacts`, and their deployment.

use alloy_json_abi::JsonAbi;
use alloy_primitives::{Address, Bytes};
use serde::Deserialize;

use super::anvil::{Anvil, Tx, world_dir};

/// One contract as the build script wrote it.
#[derive(Debug, Deserialize)]
pub(crate) struct Artifact {
    pub(crate) abi: JsonAbi,
    /// Init code without constructor arguments.
    pub(crate) bytecode: Bytes,
}

/// Reads `target/world/artifacts/<name>.json`.
pub(crate) fn artifact(name: &str) -> Artifact {
    let path = world_dir().join("artifacts").join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}: run tests/run (or tests/world/build.mjs) first", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Deploys `name` with ABI-encoded constructor arguments (`(a, b).abi_encode_params()`, empty for none).
pub(crate) async fn deploy(anvil: &Anvil, from: Address, name: &str, arguments: impl AsRef<[u8]>) -> Address {
    let init_code: Bytes = [artifact(name).bytecode.as_ref(), arguments.as_ref()].concat().into();
    let receipt = anvil.succeed(&Tx::create(from, init_code)).await;
    receipt.contract_address.expect("a creation has an address")
}
