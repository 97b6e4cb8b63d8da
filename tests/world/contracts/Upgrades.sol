// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";

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
