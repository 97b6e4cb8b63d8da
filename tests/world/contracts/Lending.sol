// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {OldCoin} from "./Coin.sol";

/// A lending pool as the oldest of them are: whoever lends gets units of it, and takes his ether back for them.
contract LendingPool {
    mapping(address => uint256) public balanceOf;

    event Mint(address minter, uint256 mintAmount, uint256 mintTokens);
    event Redeem(address redeemer, uint256 redeemAmount, uint256 redeemTokens);

    function mint() external payable {
        balanceOf[msg.sender] += msg.value;
        emit Mint(msg.sender, msg.value, msg.value);
    }

    function redeem(uint256 redeemTokens) external returns (uint256) {
        balanceOf[msg.sender] -= redeemTokens;
        (bool ok, ) = msg.sender.call{value: redeemTokens}("");
        require(ok, "LendingPool: it was refused");
        emit Redeem(msg.sender, redeemTokens, redeemTokens);
        return 0;
    }
}

/// The oldest big stablecoin takes supply back by a function of the same name, which is its owner's.
contract RedeemedCoin is OldCoin {
    event Redeem(uint256 amount);

    constructor(address owner_) OldCoin(owner_) {}

    function redeem(uint256 amount) external onlyOwner {
        totalSupply -= amount;
        balanceOf[owner] -= amount;
        emit Redeem(amount);
    }
}

/// A token that logs what is left of an allowance when it is used, as those of OpenZeppelin before 5 do: up to 3 behind the transfer, in 4
/// before it. It counts down from what others take for an allowance without end.
contract CountingCoin {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    string public constant name = "Counting coin";
    string public constant symbol = "COUNT";
    uint8 public constant decimals = 18;
    uint256 public totalSupply;
    bool public immutable behind;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    constructor(address holder, bool behind_) {
        behind = behind_;
        totalSupply = 1_000_000 ether;
        balanceOf[holder] = totalSupply;
        emit Transfer(address(0), holder, totalSupply);
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        move(msg.sender, to, amount);
        return true;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allow(msg.sender, spender, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        uint256 left = allowance[from][msg.sender] - amount;
        if (!behind) allow(from, msg.sender, left);
        move(from, to, amount);
        if (behind) allow(from, msg.sender, left);
        return true;
    }

    /// What no honest token has: whoever asks is allowed as much as he likes of anybody's, in a log that looks like the others.
    function seize(address from, address spender, address to, uint256 amount, uint256 allowed) external {
        allow(from, spender, allowed);
        move(from, to, amount);
    }

    function allow(address owner, address spender, uint256 amount) private {
        allowance[owner][spender] = amount;
        emit Approval(owner, spender, amount);
    }

    function move(address from, address to, uint256 amount) private {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        emit Transfer(from, to, amount);
    }
}

/// Pulls what it was allowed, as a vault does when somebody deposits.
contract Puller {
    function pull(CountingCoin coin, address from, uint256 amount) external {
        coin.transferFrom(from, address(this), amount);
    }

    function pullTwice(CountingCoin coin, address from, uint256 first, uint256 second) external {
        coin.transferFrom(from, address(this), first);
        coin.transferFrom(from, address(this), second);
    }
}
