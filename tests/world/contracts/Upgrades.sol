// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {IERC1967} from "@openzeppelin/contracts/interfaces/IERC1967.sol";

/// Code behind a proxy that anybody may replace, so that tests need no ceremony.
contract Engine is Initializable, UUPSUpgradeable {
    uint256 public speed;

    function initialize() external initializer {
        speed = 1;
    }

    function initializeAgain() external reinitializer(2) {
        speed = 2;
    }

    function run(uint256 speed_) external {
        speed = speed_;
    }

    function _authorizeUpgrade(address) internal override {}
}

/// A diamond that only says it was cut. Source of the shapes: EIP-2535.
contract Diamond {
    struct FacetCut {
        address facetAddress;
        uint8 action;
        bytes4[] functionSelectors;
    }

    event DiamondCut(FacetCut[] _diamondCut, address _init, bytes _calldata);

    function diamondCut(FacetCut[] calldata cut, address init, bytes calldata data) external {
        emit DiamondCut(cut, init, data);
    }
}

/// The next version: the same function means another thing, and there is one more.
contract NextEngine is Initializable, UUPSUpgradeable {
    event Driven(address indexed by, uint256 miles);

    uint256 public speed;
    uint256 public limit;

    function run(uint256 limit_) external {
        limit = limit_;
    }

    function drive(address by, uint256 miles) external {
        emit Driven(by, miles);
    }

    function _authorizeUpgrade(address) internal override {}
}

/// A version that looks like the first and gives everything to whoever calls.
contract HijackedEngine is Initializable, UUPSUpgradeable {
    function run(uint256) external {
        payable(msg.sender).transfer(address(this).balance);
    }

    /// Says what the owners would like to hear.
    function pretend(address implementation) external {
        emit IERC1967.Upgraded(implementation);
    }

    function _authorizeUpgrade(address) internal override {}
}
