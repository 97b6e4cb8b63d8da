// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// Ether locked for a beneficiary, with the functions and logs of OpenZeppelin 2 and of the locks that came after it.
contract TokenLock {
    event TokensReleased(address token, uint256 amount);
    event TokenVestingRevoked(address token);
    event BeneficiaryUpdated(address indexed beneficiary);

    address public owner;
    address public beneficiary;

    constructor(address owner_, address beneficiary_) payable {
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

    /// Everything at once, for the owner and whomever the owner says.
    function emergencyWithdraw(address payable to) external {
        require(msg.sender == owner, "only the owner");
        (bool ok, ) = to.call{value: address(this).balance}("");
        require(ok, "it was refused");
    }

    receive() external payable {}

    function setBeneficiary(address next) external {
        require(msg.sender == owner, "only the owner");
        beneficiary = next;
        emit BeneficiaryUpdated(next);
    }
}
