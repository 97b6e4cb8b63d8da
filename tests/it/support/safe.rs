//! Safes of four versions: deployed from their published bytecode, signed for as wallets do, executed by anyone.

use alloy_primitives::{Address, B256, Bytes, U256, b256, keccak256};
use alloy_sol_types::{SolCall, SolValue};

use super::abi::{IMultiSend, IPayModule, IProxyFactory, ISafe};
use super::accounts::Account;
use super::anvil::{Anvil, Receipt, Tx};
use super::kit::{Kit, Version};

/// `EIP712Domain(uint256 chainId,address verifyingContract)`, from Safe 1.3.0 on.
const DOMAIN_WITH_CHAIN: B256 = b256!("47e79534a245952e8b16893a336b85a3d9ea9fa8c573f3d803afb92a79469218");
/// `EIP712Domain(address verifyingContract)`, up to Safe 1.2.0.
const DOMAIN_WITHOUT_CHAIN: B256 = b256!("035aff83d86937d35b32e04f0ddc6ff469290eef2f1b692d8a815c89404d4749");
/// The type hash of a Safe transaction, the same since 1.0.0 (Safe.sol, `SAFE_TX_TYPEHASH`).
const SAFE_TX: B256 = b256!("bb8310d486368db6bd6f849402fdd73ad53d316b5a4b2644ad6efe0f941286d8");
/// `SafeMessage(bytes message)` (CompatibilityFallbackHandler.sol, `SAFE_MSG_TYPEHASH`).
const SAFE_MESSAGE: B256 = b256!("60b3cbf8b4a223d68d641b3b6ddf9a298e7f33710cf3d3a9d1146b5a6150fbca");
/// The head of every owner and module list inside a Safe.
pub(crate) const SENTINEL: Address = Address::with_last_byte(1);

/// One deployed Safe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Safe {
    pub(crate) address: Address,
    pub(crate) kit: Kit,
    chain_id: u64,
}

/// What owners sign, without the nonce.
#[derive(Clone, Debug, Default)]
pub(crate) struct SafeTx {
    pub(crate) to: Address,
    /// Wei.
    pub(crate) value: U256,
    pub(crate) data: Bytes,
    /// Runs the target's code in the Safe's own storage.
    pub(crate) delegate: bool,
    /// With anything but zero, a failing inner call ends in `ExecutionFailure` under status 1.
    pub(crate) safe_tx_gas: u64,
    pub(crate) base_gas: u64,
    /// Wei, or the token's unit, that each unit of gas is refunded with; zero for no refund.
    pub(crate) gas_price: u64,
    /// Zero for ether.
    pub(crate) gas_token: Address,
    /// Zero for whoever sends the execution.
    pub(crate) refund_receiver: Address,
}

impl SafeTx {
    /// A call with `data` and no ether.
    pub(crate) fn call(to: Address, data: impl Into<Bytes>) -> Self {
        Self { to, data: data.into(), ..Self::default() }
    }

    /// Ether and nothing else; `value` in wei.
    pub(crate) fn pay(to: Address, value: U256) -> Self {
        Self { to, value, ..Self::default() }
    }

    /// Runs `to`'s code as the Safe itself.
    pub(crate) fn delegate(to: Address, data: impl Into<Bytes>) -> Self {
        Self { delegate: true, ..Self::call(to, data) }
    }

    /// The same, tolerating that the inner call fails.
    pub(crate) fn with_safe_tx_gas(self, safe_tx_gas: u64) -> Self {
        Self { safe_tx_gas, ..self }
    }
}

/// How one owner agrees.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signer<'a> {
    /// Signs the Safe transaction's hash (v 27 or 28).
    Key(Account),
    /// Signs it as a personal message (v 31 or 32).
    PersonalMessage(Account),
    /// Called `approveHash` before, or is the sender of the execution (v 1).
    Approved(Address),
    /// A Safe that is an owner; its own owners sign (v 0).
    Contract(&'a Safe, &'a [Account]),
}

impl Signer<'_> {
    pub(crate) fn address(&self) -> Address {
        match self {
            Self::Key(account) | Self::PersonalMessage(account) => account.address,
            Self::Approved(owner) => *owner,
            Self::Contract(safe, _) => safe.address,
        }
    }
}

impl Safe {
    /// A new Safe. Its address depends on nothing but the kit, the owners, the threshold and `salt`.
    pub(crate) async fn create(
        anvil: &Anvil,
        from: Address,
        kit: Kit,
        owners: &[Address],
        threshold: u64,
        salt: u64,
    ) -> Self {
        let setup = ISafe::setupCall {
            owners: owners.to_vec(),
            threshold: U256::from(threshold),
            to: Address::ZERO,
            data: Bytes::new(),
            fallbackHandler: kit.fallback_handler,
            paymentToken: Address::ZERO,
            payment: U256::ZERO,
            paymentReceiver: Address::ZERO,
        };
        let create = IProxyFactory::createProxyWithNonceCall {
            singleton: kit.singleton,
            initializer: setup.abi_encode().into(),
            saltNonce: U256::from(salt),
        };
        let output = anvil.call(kit.factory, create.abi_encode()).await;
        let address = IProxyFactory::createProxyWithNonceCall::abi_decode_returns(&output).expect("an address");
        anvil.succeed(&Tx::call(from, kit.factory, create.abi_encode())).await;
        Self { address, kit, chain_id: anvil.chain_id() }
    }

    /// The nonce that the next execution uses.
    pub(crate) async fn nonce(&self, anvil: &Anvil) -> u64 {
        let output = anvil.call(self.address, ISafe::nonceCall {}.abi_encode()).await;
        U256::abi_decode(&output).expect("a number").to()
    }

    /// The owners as the Safe lists them: the newest first, then those of its setup in order.
    pub(crate) async fn owners(&self, anvil: &Anvil) -> Vec<Address> {
        let output = anvil.call(self.address, ISafe::getOwnersCall {}.abi_encode()).await;
        Vec::<Address>::abi_decode(&output).expect("a list of addresses")
    }

    /// The hash that owners sign and that the execution's log names.
    pub(crate) fn hash(&self, tx: &SafeTx, nonce: u64) -> B256 {
        keccak256(self.hash_input(tx, nonce))
    }

    /// The same on another chain.
    pub(crate) fn hash_on(&self, tx: &SafeTx, nonce: u64, chain_id: u64) -> B256 {
        Self { chain_id, ..*self }.hash(tx, nonce)
    }

    fn domain_separator(&self) -> B256 {
        match self.kit.version {
            Version::V1_1_1 => keccak256((DOMAIN_WITHOUT_CHAIN, self.address).abi_encode()),
            _ => keccak256((DOMAIN_WITH_CHAIN, U256::from(self.chain_id), self.address).abi_encode()),
        }
    }

    /// `0x19 0x01 domain struct`, whose keccak is the hash.
    fn hash_input(&self, tx: &SafeTx, nonce: u64) -> Vec<u8> {
        let head = (SAFE_TX, tx.to, tx.value, keccak256(&tx.data), U256::from(u8::from(tx.delegate)));
        let gas = (U256::from(tx.safe_tx_gas), U256::from(tx.base_gas), U256::from(tx.gas_price));
        let tail = (tx.gas_token, tx.refund_receiver, U256::from(nonce));
        let structure = keccak256([head.abi_encode(), gas.abi_encode(), tail.abi_encode()].concat());
        [&[0x19, 0x01], self.domain_separator().as_slice(), structure.as_slice()].concat()
    }

    /// What the keys of a parent sign so that this Safe, as an owner, agrees to `message` (EIP-1271).
    fn message_hash(&self, message: &[u8]) -> B256 {
        let structure = keccak256((SAFE_MESSAGE, keccak256(message)).abi_encode());
        keccak256([&[0x19, 0x01], self.domain_separator().as_slice(), structure.as_slice()].concat())
    }

    /// The signatures argument: one word triple for each signer in the order of addresses, then the dynamic parts.
    pub(crate) fn signatures(&self, tx: &SafeTx, nonce: u64, signers: &[Signer<'_>]) -> Bytes {
        let input = self.hash_input(tx, nonce);
        let hash = keccak256(&input);
        let mut signers = signers.to_vec();
        signers.sort_by_key(Signer::address);
        let mut fixed = Vec::new();
        let mut dynamic = Vec::new();
        for signer in &signers {
            match signer {
                Signer::Key(account) => fixed.extend(account.sign(hash)),
                Signer::PersonalMessage(account) => {
                    let prefix = b"\x19Ethereum Signed Message:\n32".as_slice();
                    let mut signature = account.sign(keccak256([prefix, hash.as_slice()].concat()));
                    signature[64] += 4;
                    fixed.extend(signature);
                }
                Signer::Approved(owner) => {
                    fixed.extend(owner.into_word());
                    fixed.extend([0; 32]);
                    fixed.push(1);
                }
                Signer::Contract(parent, keys) => {
                    // Up to 1.4.1 a Safe shows its contract owners the hash's preimage, from 1.5.0 the hash itself.
                    let asked = match self.kit.version {
                        Version::V1_5_0 => parent.message_hash(hash.as_slice()),
                        _ => parent.message_hash(&input),
                    };
                    let mut keys = keys.to_vec();
                    keys.sort_by_key(|account| account.address);
                    let inner: Vec<u8> = keys.iter().flat_map(|account| account.sign(asked)).collect();
                    fixed.extend(parent.address.into_word());
                    fixed.extend(U256::from(65 * signers.len() + dynamic.len()).to_be_bytes::<32>());
                    fixed.push(0);
                    dynamic.extend(U256::from(inner.len()).to_be_bytes::<32>());
                    dynamic.extend(inner);
                }
            }
        }
        [fixed, dynamic].concat().into()
    }

    /// The calldata of `execTransaction`, signed for `nonce`.
    pub(crate) fn exec_calldata(&self, tx: &SafeTx, nonce: u64, signers: &[Signer<'_>]) -> Bytes {
        let call = ISafe::execTransactionCall {
            to: tx.to,
            value: tx.value,
            data: tx.data.clone(),
            operation: u8::from(tx.delegate),
            safeTxGas: U256::from(tx.safe_tx_gas),
            baseGas: U256::from(tx.base_gas),
            gasPrice: U256::from(tx.gas_price),
            gasToken: tx.gas_token,
            refundReceiver: tx.refund_receiver,
            signatures: self.signatures(tx, nonce, signers),
        };
        call.abi_encode().into()
    }

    /// Signs at the current nonce and lets `executor` send it; the transaction must succeed, the inner call need not.
    pub(crate) async fn exec(&self, anvil: &Anvil, executor: Account, tx: &SafeTx, signers: &[Signer<'_>]) -> Receipt {
        let nonce = self.nonce(anvil).await;
        anvil.succeed(&Tx::call(executor.address, self.address, self.exec_calldata(tx, nonce, signers))).await
    }

    /// Enables `module`, agreed to by `keys`.
    pub(crate) async fn enable_module(&self, anvil: &Anvil, module: Address, keys: &[Account]) -> Receipt {
        let tx = SafeTx::call(self.address, ISafe::enableModuleCall { module }.abi_encode());
        let signers: Vec<Signer<'_>> = keys.iter().copied().map(Signer::Key).collect();
        self.exec(anvil, keys[0], &tx, &signers).await
    }

    /// A delegatecall of this version's MultiSend over `items`.
    pub(crate) fn batch(&self, items: &[SafeTx]) -> SafeTx {
        SafeTx::delegate(self.kit.multi_send, multi_send_calldata(items))
    }

    /// The same through MultiSendCallOnly.
    pub(crate) fn batch_call_only(&self, items: &[SafeTx]) -> SafeTx {
        SafeTx::delegate(self.kit.multi_send_call_only, multi_send_calldata(items))
    }
}

/// `multiSend(bytes)` over packed items: operation (1 byte), to (20), value (32), length (32), data.
pub(crate) fn multi_send_calldata(items: &[SafeTx]) -> Bytes {
    let packed: Vec<u8> = items
        .iter()
        .flat_map(|item| {
            let words = [item.value, U256::from(item.data.len())].map(|word| word.to_be_bytes::<32>()).concat();
            [&[u8::from(item.delegate)], item.to.as_slice(), &words, &item.data].concat()
        })
        .collect();
    IMultiSend::multiSendCall { transactions: packed.into() }.abi_encode().into()
}

/// A payment by a module: `token` zero for ether, `amount` in its smallest unit.
pub(crate) fn module_payment(safe: Address, token: Address, to: Address, amount: U256) -> Bytes {
    IPayModule::payCall { safe, token, to, amount }.abi_encode().into()
}
