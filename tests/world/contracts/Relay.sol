// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// Calls whom it is told to call, and logs nothing: to whoever reads blocks, what it does shows nowhere.
contract Relay {
    /// Passes a call on; what fails there fails here.
    function pass(address to, uint256 value, bytes calldata data) external payable {
        (bool ok, bytes memory answer) = to.call{value: value}(data);
        if (!ok) assembly {
            revert(add(answer, 0x20), mload(answer))
        }
    }

    /// Passes a call on, and does not mind that it fails.
    function attempt(address to, bytes calldata data) external {
        (bool ok, ) = to.call(data);
        ok;
    }

    /// Makes a contract whose creation makes this call.
    function make(address to, bytes calldata data) external payable {
        new Maker{value: msg.value}(to, data);
    }

    receive() external payable {}
}

/// Calls somebody while it is created, and is nothing afterwards.
contract Maker {
    constructor(address to, bytes memory data) payable {
        (bool ok, ) = to.call{value: msg.value}(data);
        require(ok);
        selfdestruct(payable(msg.sender));
    }
}

/// A purse that its keeper may spend from, two calls deep, without a log.
contract Purse {
    Hand private immutable hand = new Hand();

    function spend(address payable to, uint256 amount) external {
        hand.give{value: 0}(this, to, amount);
    }

    /// Only its own hand gets here.
    function release(address payable to, uint256 amount) external {
        require(msg.sender == address(hand));
        (bool ok, ) = to.call{value: amount}("");
        require(ok);
    }

    receive() external payable {}
}

contract Hand {
    function give(Purse purse, address payable to, uint256 amount) external payable {
        purse.release(to, amount);
    }
}
