// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

interface IWrapped {
    function withdraw(uint256 wad) external;
}

/// Holds wrapped ether and pays in ether, so that the only log of a payment is that something was unwrapped.
contract Bridge {
    function pay(IWrapped wrapped, address payable to, uint256 wad) external {
        wrapped.withdraw(wad);
        (bool ok, ) = to.call{value: wad}("");
        require(ok, "it was refused");
    }

    receive() external payable {}
}

/// Ends itself for whoever asks, and leaves what it holds to whom they say.
contract Mortal {
    function end(address payable heir) external {
        selfdestruct(heir);
    }

    receive() external payable {}
}

/// Leaves what it is made with to somebody whose code is not asked.
contract Bequest {
    constructor(address payable heir) payable {
        selfdestruct(heir);
    }
}
