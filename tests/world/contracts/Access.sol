// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

/// One owner, who hands over in one step.
contract Office is Ownable {
    constructor(address owner_) Ownable(owner_) {}
}

/// One owner, and a next one who has to accept.
contract CarefulOffice is Ownable2Step {
    constructor(address owner_) Ownable(owner_) {}
}

/// Roles and nothing else.
contract Offices is AccessControl {
    constructor(address admin) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }
}

/// Calls whatever it is told to: what a contract does from inside shows in nobody's calldata.
contract Puppet {
    function make(address to, bytes calldata data) external payable {
        (bool ok, bytes memory why) = to.call{value: msg.value}(data);
        if (!ok) {
            assembly {
                revert(add(why, 0x20), mload(why))
            }
        }
    }

    function makeTwo(address to, bytes calldata first, bytes calldata second) external {
        (bool one, ) = to.call(first);
        (bool two, ) = to.call(second);
        require(one && two, "Puppet: refused");
    }

    receive() external payable {}
}
