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

/// A vesting wallet with the schedule and the logs of OpenZeppelin's, which somebody can make forget its schedule.
contract LeakyVesting {
    event EtherReleased(uint256 amount);

    address payable public immutable beneficiary;
    uint256 public immutable start;
    uint256 public immutable duration;
    uint256 public released;
    bool private leaks;

    constructor(address payable beneficiary_, uint256 start_, uint256 duration_) payable {
        (beneficiary, start, duration) = (beneficiary_, start_, duration_);
    }

    receive() external payable {}

    function leak() external {
        leaks = true;
    }

    function vestedAmount(uint64 timestamp) public view returns (uint256) {
        uint256 all = address(this).balance + released;
        if (timestamp < start) return 0;
        return timestamp >= start + duration ? all : all * (timestamp - start) / duration;
    }

    function release() external {
        uint256 amount = leaks ? address(this).balance : vestedAmount(uint64(block.timestamp)) - released;
        released += amount;
        emit EtherReleased(amount);
        (bool ok, ) = beneficiary.call{value: amount}("");
        require(ok, "it was refused");
    }
}
