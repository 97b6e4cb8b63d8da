// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

import {AccessControlDefaultAdminRules} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";

/// The slots of a proxy and the logs of their changes as OpenZeppelin writes them, for whoever asks.
contract Gate {
    function changeAdmin(address next) external {
        ERC1967Utils.changeAdmin(next);
    }

    function changeBeacon(address next) external {
        ERC1967Utils.upgradeBeaconToAndCall(next, "");
    }
}

/// Roles whose default administrator changes in two steps, a day apart; who gives a role can be changed.
contract Chancery is AccessControlDefaultAdminRules {
    constructor(address admin) AccessControlDefaultAdminRules(1 days, admin) {}

    function setRoleAdmin(bytes32 role, bytes32 admin) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _setRoleAdmin(role, admin);
    }
}

/// An owner and an authority under DappHub's names, and wards, of whom no log tells by name.
contract Ward {
    event LogSetAuthority(address indexed authority);
    event LogSetOwner(address indexed owner);

    address public owner;
    address public authority;
    mapping(address => uint256) public wards;

    constructor(address owner_) {
        owner = owner_;
        wards[owner_] = 1;
    }

    modifier auth() {
        require(msg.sender == owner || wards[msg.sender] == 1, "not authorized");
        _;
    }

    function setOwner(address owner_) external auth {
        owner = owner_;
        emit LogSetOwner(owner_);
    }

    function setAuthority(address authority_) external auth {
        authority = authority_;
        emit LogSetAuthority(authority_);
    }

    function rely(address who) external auth {
        wards[who] = 1;
    }

    function deny(address who) external auth {
        wards[who] = 0;
    }
}

/// An administrator under Curve's names: committed first, applied later.
contract Gauge {
    event CommitOwnership(address admin);
    event ApplyOwnership(address admin);

    address public admin;
    address public future_admin;

    constructor(address admin_) {
        admin = admin_;
    }

    function commit_transfer_ownership(address next) external {
        require(msg.sender == admin, "only the administrator");
        future_admin = next;
        emit CommitOwnership(next);
    }

    function apply_transfer_ownership() external {
        require(msg.sender == admin, "only the administrator");
        admin = future_admin;
        emit ApplyOwnership(admin);
    }
}

/// Who may do what in which application, in the shape of Aragon's ACL.
contract PermissionBook {
    event SetPermission(address indexed entity, address indexed app, bytes32 indexed role, bool allowed);
    event ChangePermissionManager(address indexed app, bytes32 indexed role, address indexed manager);

    function grantPermission(address entity, address app, bytes32 role) external {
        emit SetPermission(entity, app, role, true);
    }

    function revokePermission(address entity, address app, bytes32 role) external {
        emit SetPermission(entity, app, role, false);
    }

    function setPermissionManager(address manager, address app, bytes32 role) external {
        emit ChangePermissionManager(app, role, manager);
    }
}

/// Makes controllers of tokens, and says when it makes another kind of them.
contract ControllerFactory {
    event ControllerUpgraded(address newController);

    function upgrade(address newController) external {
        emit ControllerUpgraded(newController);
    }
}

/// An owner who hands over to whoever asks for it, in the way of Solady's Ownable.
contract AskedFor {
    event OwnershipTransferred(address indexed oldOwner, address indexed newOwner);
    event OwnershipHandoverRequested(address indexed pendingOwner);

    address public owner;
    mapping(address => bool) private asked;

    constructor(address owner_) {
        owner = owner_;
    }

    function requestOwnershipHandover() external {
        asked[msg.sender] = true;
        emit OwnershipHandoverRequested(msg.sender);
    }

    function completeOwnershipHandover(address next) external {
        require(msg.sender == owner && asked[next], "not now");
        emit OwnershipTransferred(owner, next);
        owner = next;
    }
}
