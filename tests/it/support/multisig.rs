//! The legacy MultiSigWallet, with and without a daily limit. A submission counts as its sender's confirmation, and the
//! last confirmation that is needed executes in the same transaction.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent, SolValue};

use super::abi::IMultiSigWallet;
use super::accounts::Account;
use super::anvil::{Anvil, Receipt, Tx};
use super::contracts::deploy;

/// One deployed wallet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Multisig {
    pub(crate) address: Address,
}

impl Multisig {
    /// A wallet of `owners`, `required` of whom must confirm.
    pub(crate) async fn deploy(anvil: &Anvil, from: Address, owners: &[Address], required: u64) -> Self {
        let arguments = (owners.to_vec(), U256::from(required)).abi_encode_params();
        Self { address: deploy(anvil, from, "MultiSigWallet", arguments).await }
    }

    /// The same, with `daily_limit` wei a day on one owner's word.
    pub(crate) async fn deploy_with_daily_limit(
        anvil: &Anvil,
        from: Address,
        owners: &[Address],
        required: u64,
        daily_limit: U256,
    ) -> Self {
        let arguments = (owners.to_vec(), U256::from(required), daily_limit).abi_encode_params();
        Self { address: deploy(anvil, from, "MultiSigWalletWithDailyLimit", arguments).await }
    }

    /// Submits and thereby confirms; returns the wallet's id of it and the transaction's hash. `value` in wei.
    pub(crate) async fn submit(
        &self,
        anvil: &Anvil,
        owner: Account,
        destination: Address,
        value: U256,
        data: Bytes,
    ) -> (U256, B256) {
        let call = IMultiSigWallet::submitTransactionCall { destination, value, data };
        let receipt = anvil.succeed(&Tx::call(owner.address, self.address, call.abi_encode())).await;
        let submission = receipt.log(self.address, IMultiSigWallet::Submission::SIGNATURE_HASH);
        (submission.expect("a submission logs its id").topics[1].into(), receipt.transaction_hash)
    }

    /// Confirms an hour later, time enough to read what is confirmed, and executes if that was the last one needed.
    pub(crate) async fn confirm_later(&self, anvil: &Anvil, owner: Account, id: U256) -> Receipt {
        anvil.set_next_timestamp(anvil.now().await + 3_600).await;
        self.confirm(anvil, owner, id).await
    }

    /// Confirms at once, and executes if that was the last one needed.
    pub(crate) async fn confirm(&self, anvil: &Anvil, owner: Account, id: U256) -> Receipt {
        let call = IMultiSigWallet::confirmTransactionCall { transactionId: id };
        anvil.succeed(&Tx::call(owner.address, self.address, call.abi_encode())).await
    }

    /// Takes a confirmation back.
    pub(crate) async fn revoke(&self, anvil: &Anvil, owner: Account, id: U256) -> Receipt {
        let call = IMultiSigWallet::revokeConfirmationCall { transactionId: id };
        anvil.succeed(&Tx::call(owner.address, self.address, call.abi_encode())).await
    }

    /// Executes again what failed before.
    pub(crate) async fn execute(&self, anvil: &Anvil, owner: Account, id: U256) -> Receipt {
        let call = IMultiSigWallet::executeTransactionCall { transactionId: id };
        anvil.succeed(&Tx::call(owner.address, self.address, call.abi_encode())).await
    }
}
