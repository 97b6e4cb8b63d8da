//! The contracts that all Safes of one version share, at the addresses they have on mainnet. The published bytecode sent
//! through the published factories lands there by itself, which also proves that it is the same code; 1.1.1 is older
//! than those factories and is put in place.

use alloy_primitives::{Address, B256, Bytes, U256, address, hex, keccak256};
use serde_json::json;

use super::anvil::{Anvil, Tx};
use super::contracts::{artifact, deploy};

/// The deterministic deployment proxy, through which 1.3.0 was deployed. The node has it from the start.
const FACTORY_1_3_0: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");
/// The Safe singleton factory, through which later versions were deployed.
const FACTORY_LATER: Address = address!("914d7Fec6aaC8cd542e72Bca78B30650d45643d7");
/// The code of either: CREATE2 of the calldata after its first word, which is the salt.
const FACTORY_CODE: [u8; 69] = hex!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);
/// Safe 1.1.1 on mainnet (safe-deployments, v1.1.1).
const SAFE_1_1_1: Address = address!("34CfAC646f301356fAa8B21e94227e3583Fe3F5F");
/// MultiSend 1.1.1 on mainnet (safe-deployments, v1.1.1).
const MULTI_SEND_1_1_1: Address = address!("8D29bE29923b68abfDD21e541b9374737B49cdAD");

/// Which Safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V1_1_1,
    V1_3_0,
    V1_4_1,
    V1_5_0,
}

impl Version {
    /// All of them, old to new.
    pub(crate) const ALL: [Self; 4] = [Self::V1_1_1, Self::V1_3_0, Self::V1_4_1, Self::V1_5_0];

    /// As the Safe itself says it in `VERSION()`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V1_1_1 => "1.1.1",
            Self::V1_3_0 => "1.3.0",
            Self::V1_4_1 => "1.4.1",
            Self::V1_5_0 => "1.5.0",
        }
    }
}

/// The shared contracts of one version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kit {
    pub(crate) version: Version,
    /// The plain Safe, which logs no calldata.
    pub(crate) singleton: Address,
    /// SafeL2, which does; before 1.3.0 there is none and this is `singleton`.
    pub(crate) singleton_l2: Address,
    pub(crate) factory: Address,
    pub(crate) fallback_handler: Address,
    pub(crate) multi_send: Address,
    /// There is none before 1.3.0; there this is `multi_send`.
    pub(crate) multi_send_call_only: Address,
}

impl Kit {
    /// Deploys what is not there yet.
    pub(crate) async fn deploy(anvil: &Anvil, from: Address, version: Version) -> Self {
        let part = async |name: &str| {
            let name = format!("{name}-{}", version.name());
            match version {
                Version::V1_1_1 => deploy(anvil, from, &name, []).await,
                Version::V1_3_0 => create2(anvil, from, FACTORY_1_3_0, artifact(&name).bytecode).await,
                Version::V1_4_1 | Version::V1_5_0 => {
                    anvil.rpc("anvil_setCode", json!([FACTORY_LATER, Bytes::from(FACTORY_CODE)])).await;
                    create2(anvil, from, FACTORY_LATER, artifact(&name).bytecode).await
                }
            }
        };
        let (factory, fallback_handler) = (part("ProxyFactory").await, part("FallbackHandler").await);
        let (singleton, multi_send) = (part("Safe").await, part("MultiSend").await);
        if version == Version::V1_1_1 {
            // Slot 4 of the singleton is a threshold nobody can meet, slot 0 of MultiSend the mark of the library itself.
            put_in_place(anvil, singleton, SAFE_1_1_1, 4).await;
            put_in_place(anvil, multi_send, MULTI_SEND_1_1_1, 0).await;
            return Self {
                version,
                singleton: SAFE_1_1_1,
                singleton_l2: SAFE_1_1_1,
                factory,
                fallback_handler,
                multi_send: MULTI_SEND_1_1_1,
                multi_send_call_only: MULTI_SEND_1_1_1,
            };
        }
        Self {
            version,
            singleton,
            singleton_l2: part("SafeL2").await,
            factory,
            fallback_handler,
            multi_send,
            multi_send_call_only: part("MultiSendCallOnly").await,
        }
    }

    /// The same kit, whose Safes log their calldata.
    pub(crate) fn l2(self) -> Self {
        Self { singleton: self.singleton_l2, ..self }
    }
}

/// Deploys `init_code` through `factory` with salt zero, unless it was.
async fn create2(anvil: &Anvil, from: Address, factory: Address, init_code: Bytes) -> Address {
    let address = factory.create2(B256::ZERO, keccak256(&init_code));
    if anvil.code(address).await.is_empty() {
        let data = [B256::ZERO.as_slice(), &init_code].concat();
        anvil.succeed(&Tx { to: Some(factory), ..Tx::create(from, data) }).await;
    }
    assert!(!anvil.code(address).await.is_empty(), "{factory} created {address}");
    address
}

/// Copies code and one storage slot of `from` to `to`.
async fn put_in_place(anvil: &Anvil, from: Address, to: Address, slot: u64) {
    let slot = U256::from(slot);
    let (code, word) = (anvil.code(from).await, anvil.storage(from, slot).await);
    anvil.rpc("anvil_setCode", json!([to, code])).await;
    anvil.rpc("anvil_setStorageAt", json!([to, slot, word])).await;
}
