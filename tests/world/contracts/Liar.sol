// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// A token that logs what anybody tells it to log, and answers about holdings as it was last told to.
contract Liar {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    uint8 public constant decimals = 18;

    /// What everybody holds, if one believes it.
    uint256 public said;
    /// What every spender may take, if one believes it.
    uint256 public allowed;

    function say(uint256 held, uint256 allowance_) external {
        said = held;
        allowed = allowance_;
    }

    function balanceOf(address) external view returns (uint256) {
        return said;
    }

    function allowance(address, address) external view returns (uint256) {
        return allowed;
    }

    /// Logs a transfer, and is said to hold so much from now on.
    function move(address from, address to, uint256 value, uint256 held) external {
        said = held;
        emit Transfer(from, to, value);
    }

    /// The same log, again and again.
    function repeat(address from, address to, uint256 value, uint256 held, uint256 times) external {
        said = held;
        for (uint256 n = 0; n < times; n++) emit Transfer(from, to, value);
    }

    function allow(address owner, address spender, uint256 value) external {
        emit Approval(owner, spender, value);
    }
}

/// So many tokens at once, each of which logs a transfer from somebody who holds nothing of it.
contract Swarm {
    function spawn(uint256 n, address from, address to) external {
        for (uint256 i = 0; i < n; i++) new Forger(from, to);
    }
}

/// Logs a transfer while it is created, and says that nobody holds anything.
contract Forger {
    event Transfer(address indexed from, address indexed to, uint256 value);

    constructor(address from, address to) {
        emit Transfer(from, to, 1);
    }

    function balanceOf(address) external pure returns (uint256) {
        return 0;
    }
}
