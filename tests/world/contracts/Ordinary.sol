// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.26;

import {LockedCouncil} from "./Governance.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {GovernorSettings} from "@openzeppelin/contracts/governance/extensions/GovernorSettings.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";

/// A token that votes, is burned by its holders, and is made by one minter.
contract Voice is ERC20Burnable, ERC20Permit, ERC20Votes, Ownable {
    address public minter;

    event MinterSet(address indexed minter);

    constructor(address owner_, address minter_) ERC20("Voice", "VOICE") ERC20Permit("Voice") Ownable(owner_) {
        minter = minter_;
        _mint(owner_, 1_000_000 ether);
    }

    function mint(address to, uint256 amount) external {
        require(msg.sender == minter, "only the minter");
        _mint(to, amount);
    }

    function setMinter(address minter_) external onlyOwner {
        minter = minter_;
        emit MinterSet(minter_);
    }

    function clock() public view override returns (uint48) {
        return uint48(block.timestamp);
    }

    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    function _update(address from, address to, uint256 amount) internal override(ERC20, ERC20Votes) {
        super._update(from, to, amount);
    }

    function nonces(address holder) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(holder);
    }
}

/// A governor in front of a timelock whose vote takes an hour.
contract HourlyCouncil is LockedCouncil {
    constructor(IVotes votes, TimelockController lock) LockedCouncil(votes, lock) {}

    function votingPeriod() public pure override(Governor, GovernorSettings) returns (uint256) {
        return 1 hours;
    }
}

interface IStrategy {
    function holds() external view returns (uint256);
    function wants(uint256 idle) external view returns (uint256);
    function report() external returns (uint256);
    function free(uint256 amount) external;
    function take(uint256 amount) external;
}

/// A vault (ERC-4626) whose keeper invests through one strategy what lies idle, and takes in what that earned.
contract YieldVault is ERC4626, ERC20Permit, Ownable {
    using SafeERC20 for IERC20;

    IStrategy public strategy;
    address public keeper;

    event Harvested(uint256 earned, uint256 invested);
    event StrategySet(address indexed strategy);

    constructor(IERC20 asset_, address owner_, address keeper_)
        ERC4626(asset_)
        ERC20("Yield vault", "yUSD")
        ERC20Permit("Yield vault")
        Ownable(owner_)
    {
        keeper = keeper_;
    }

    function setStrategy(IStrategy strategy_) external onlyOwner {
        strategy = strategy_;
        emit StrategySet(address(strategy_));
    }

    function harvest() external {
        require(msg.sender == keeper, "only the keeper");
        uint256 earned = strategy.report();
        uint256 invested = strategy.wants(idle());
        if (invested > 0) {
            IERC20(asset()).forceApprove(address(strategy), invested);
            strategy.take(invested);
        }
        emit Harvested(earned, invested);
    }

    function idle() public view returns (uint256) {
        return IERC20(asset()).balanceOf(address(this));
    }

    function totalAssets() public view override returns (uint256) {
        return idle() + (address(strategy) == address(0) ? 0 : strategy.holds());
    }

    function decimals() public view override(ERC20, ERC4626) returns (uint8) {
        return super.decimals();
    }

    function _withdraw(address caller, address to, address owner_, uint256 assets, uint256 shares) internal override {
        uint256 here = idle();
        if (here < assets) strategy.free(assets - here);
        super._withdraw(caller, to, owner_, assets, shares);
    }
}

/// Lends for a vault half of what is idle there, and ten thousand at most at once; whoever runs it may ask for everything and send it anywhere.
contract Strategy is Ownable {
    IERC20 private immutable asset;
    address private immutable vault;
    uint256 private invested;
    bool private turned;

    constructor(address owner_, IERC20 asset_, address vault_) Ownable(owner_) {
        (asset, vault) = (asset_, vault_);
    }

    function holds() external view returns (uint256) {
        return asset.balanceOf(address(this));
    }

    function wants(uint256 idle) external view returns (uint256) {
        uint256 some = idle / 2 < 10_000e6 ? idle / 2 : 10_000e6;
        return turned ? idle : some;
    }

    function report() external returns (uint256 earned) {
        require(msg.sender == vault, "only the vault");
        uint256 all = asset.balanceOf(address(this));
        earned = all / 100;
        if (earned > 0) asset.transfer(vault, earned);
    }

    function free(uint256 amount) external {
        require(msg.sender == vault, "only the vault");
        asset.transfer(vault, amount);
    }

    function take(uint256 amount) external {
        require(msg.sender == vault, "only the vault");
        asset.transferFrom(vault, address(this), amount);
    }

    function turn() external onlyOwner {
        turned = true;
    }

    function leave(address to) external onlyOwner {
        asset.transfer(to, asset.balanceOf(address(this)));
    }
}

/// Pays rewards over a week to whoever stakes, each second as much, shared by what is staked.
contract StakingPool is Ownable {
    using SafeERC20 for IERC20;

    uint256 private constant DURATION = 7 days;

    IERC20 public immutable stakingToken;
    IERC20 public immutable rewardsToken;
    address public distributor;
    uint256 public totalSupply;
    uint256 public rewardRate;
    uint256 public periodFinish;
    uint256 private perToken;
    uint256 private updated;
    mapping(address => uint256) public balanceOf;
    mapping(address => uint256) private paid;
    mapping(address => uint256) private due;

    event Staked(address indexed user, uint256 amount);
    event Withdrawn(address indexed user, uint256 amount);
    event RewardPaid(address indexed user, uint256 reward);
    event RewardAdded(uint256 reward);
    event Recovered(address token, uint256 amount);

    constructor(address owner_, address distributor_, IERC20 stakingToken_, IERC20 rewardsToken_) Ownable(owner_) {
        (distributor, stakingToken, rewardsToken) = (distributor_, stakingToken_, rewardsToken_);
    }

    function stake(uint256 amount) external {
        settle(msg.sender);
        require(amount > 0, "nothing to stake");
        totalSupply += amount;
        balanceOf[msg.sender] += amount;
        stakingToken.safeTransferFrom(msg.sender, address(this), amount);
        emit Staked(msg.sender, amount);
    }

    function withdraw(uint256 amount) public {
        settle(msg.sender);
        totalSupply -= amount;
        balanceOf[msg.sender] -= amount;
        stakingToken.safeTransfer(msg.sender, amount);
        emit Withdrawn(msg.sender, amount);
    }

    function getReward() public {
        settle(msg.sender);
        uint256 reward = due[msg.sender];
        if (reward == 0) return;
        due[msg.sender] = 0;
        rewardsToken.safeTransfer(msg.sender, reward);
        emit RewardPaid(msg.sender, reward);
    }

    function exit() external {
        withdraw(balanceOf[msg.sender]);
        getReward();
    }

    function notifyRewardAmount(uint256 reward) external {
        require(msg.sender == distributor, "only the distributor");
        settle(address(0));
        uint256 left = block.timestamp < periodFinish ? (periodFinish - block.timestamp) * rewardRate : 0;
        rewardRate = (reward + left) / DURATION;
        periodFinish = block.timestamp + DURATION;
        emit RewardAdded(reward);
    }

    /// Takes out what was sent here by mistake, and whatever else is not staked.
    function recoverERC20(IERC20 token, uint256 amount) external onlyOwner {
        require(token != stakingToken, "it is staked");
        token.safeTransfer(owner(), amount);
        emit Recovered(address(token), amount);
    }

    function earned(address who) external view returns (uint256) {
        return due[who] + balanceOf[who] * (current() - paid[who]) / 1e18;
    }

    function current() private view returns (uint256) {
        uint256 now_ = block.timestamp < periodFinish ? block.timestamp : periodFinish;
        if (totalSupply == 0 || now_ <= updated) return perToken;
        return perToken + (now_ - updated) * rewardRate * 1e18 / totalSupply;
    }

    function settle(address who) private {
        perToken = current();
        updated = block.timestamp < periodFinish ? block.timestamp : periodFinish;
        if (who == address(0)) return;
        due[who] += balanceOf[who] * (perToken - paid[who]) / 1e18;
        paid[who] = perToken;
    }
}

/// The same as the code of a proxy, which has no owner before it is opened.
contract ProxiedPool is StakingPool {
    constructor(IERC20 stakingToken_, IERC20 rewardsToken_)
        StakingPool(msg.sender, msg.sender, stakingToken_, rewardsToken_)
    {}

    function open(address owner_, address distributor_) external {
        require(owner() == address(0), "it is open");
        _transferOwnership(owner_);
        distributor = distributor_;
    }
}

/// Goes into vaults and out of them for whoever asks, with a permit or with an allowance, and looks into them.
contract Zap {
    struct Signature {
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    function enter(IERC4626 vault, uint256 assets, Signature calldata by) external {
        IERC20 asset = IERC20(vault.asset());
        IERC20Permit(address(asset)).permit(msg.sender, address(this), assets, by.deadline, by.v, by.r, by.s);
        asset.transferFrom(msg.sender, address(this), assets);
        asset.approve(address(vault), assets);
        vault.deposit(assets, msg.sender);
    }

    function leave(IERC4626 vault, uint256 shares, Signature calldata by) external {
        IERC20Permit(address(vault)).permit(msg.sender, address(this), shares, by.deadline, by.v, by.r, by.s);
        vault.redeem(shares, msg.sender, msg.sender);
    }

    function leaveByAllowance(IERC4626 vault, uint256 shares) external {
        vault.redeem(shares, msg.sender, msg.sender);
    }

    /// Asks by calls that could change something.
    function look(address at, bytes calldata question) external returns (bytes memory answer) {
        bool ok;
        (ok, answer) = at.call(question);
        require(ok, "no answer");
    }
}

struct PackedUserOperation {
    address sender;
    uint256 nonce;
    bytes initCode;
    bytes callData;
    bytes32 accountGasLimits;
    uint256 preVerificationGas;
    bytes32 gasFees;
    bytes paymasterAndData;
    bytes signature;
}

/// An account by ERC-4337 that modules may act for, once its owner installed them.
contract ModularAccount {
    address private constant ENTRY_POINT = 0x0000000071727De22E5E9d8BAf0edAc6f37da032;

    address public immutable owner;
    mapping(address => bool) public isModule;

    event ModuleInstalled(address module);

    constructor(address owner_) {
        owner = owner_;
    }

    receive() external payable {}

    function validateUserOp(PackedUserOperation calldata op, bytes32 hash, uint256 missing) external returns (uint256) {
        require(msg.sender == ENTRY_POINT, "only the entry point");
        address signer = ECDSA.recover(MessageHashUtils.toEthSignedMessageHash(hash), op.signature);
        if (missing > 0) {
            (bool ok, ) = payable(msg.sender).call{value: missing}("");
            ok;
        }
        return signer == owner ? 0 : 1;
    }

    function execute(address dest, uint256 value, bytes calldata func) external {
        require(msg.sender == ENTRY_POINT || msg.sender == owner, "not allowed");
        call(dest, value, func);
    }

    function executeBatch(address[] calldata dest, uint256[] calldata value, bytes[] calldata func) external {
        require(msg.sender == ENTRY_POINT || msg.sender == owner, "not allowed");
        for (uint256 i = 0; i < dest.length; i++) call(dest[i], value[i], func[i]);
    }

    function installModule(address module) external {
        require(msg.sender == ENTRY_POINT || msg.sender == owner, "not allowed");
        isModule[module] = true;
        emit ModuleInstalled(module);
    }

    function executeFromModule(address dest, uint256 value, bytes calldata func) external {
        require(isModule[msg.sender], "no module");
        call(dest, value, func);
    }

    function call(address dest, uint256 value, bytes calldata func) private {
        (bool ok, bytes memory answer) = dest.call{value: value}(func);
        if (!ok) assembly {
            revert(add(answer, 0x20), mload(answer))
        }
    }
}
