// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.5.9;

import "@0x/contracts-multisig/contracts/src/MultiSigWallet.sol";

/// The multisig with petty cash: up to `dailyLimit` wei a day leave on one owner's word.
/// Names, events and storage order are those of the wallet deployed since 2016; the arithmetic is written anew.
contract MultiSigWalletWithDailyLimit is MultiSigWallet {
    event DailyLimitChange(uint256 dailyLimit);

    uint256 public dailyLimit;
    uint256 public lastDay;
    uint256 public spentToday;

    constructor(address[] memory _owners, uint256 _required, uint256 _dailyLimit) public MultiSigWallet(_owners, _required) {
        dailyLimit = _dailyLimit;
    }

    function changeDailyLimit(uint256 _dailyLimit) public onlyWallet {
        dailyLimit = _dailyLimit;
        emit DailyLimitChange(_dailyLimit);
    }

    function executeTransaction(uint256 transactionId)
        public
        ownerExists(msg.sender)
        confirmed(transactionId, msg.sender)
        notExecuted(transactionId)
    {
        Transaction storage txn = transactions[transactionId];
        bool isFullyConfirmed = isConfirmed(transactionId);
        bool isPettyCash = !isFullyConfirmed && txn.data.length == 0 && isUnderLimit(txn.value);
        if (!isFullyConfirmed && !isPettyCash) return;

        txn.executed = true;
        if (isPettyCash) spentToday += txn.value;
        if (_externalCall(txn.destination, txn.value, txn.data.length, txn.data)) {
            emit Execution(transactionId);
        } else {
            emit ExecutionFailure(transactionId);
            txn.executed = false;
            if (isPettyCash) spentToday -= txn.value;
        }
    }

    /// What may still leave today without a second owner, in wei.
    function calcMaxWithdraw() public view returns (uint256) {
        if (now > lastDay + 24 hours) return dailyLimit;
        return dailyLimit < spentToday ? 0 : dailyLimit - spentToday;
    }

    function isUnderLimit(uint256 amount) internal returns (bool) {
        if (now > lastDay + 24 hours) {
            lastDay = now;
            spentToday = 0;
        }
        return spentToday + amount >= spentToday && spentToday + amount <= dailyLimit;
    }
}
