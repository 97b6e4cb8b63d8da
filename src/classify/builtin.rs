//! What is judged without a rule: the few things that are normal by themselves, and what everything else costs.
//!
//! Functions are recognized by name where the table of severities speaks of their meaning: a control function is one on any
//! contract. Sources are named at each list.

use super::rule::WatchRules;
use super::state;
use crate::model::activity::Note;
use crate::model::{Activity, ActivityKind, Decoding, Fate, Kind, Operation, Severity};
use alloy_primitives::{Address, U256};

/// A built-in judgment, as `check` lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// `builtin/…`: what a verdict names, and what `builtins = { off = [...] }` switches off.
    ///
    /// What a switched-off built-in would have raised goes on to the next judgment, and to `builtin/unvouched` at last, which cannot be
    /// switched off: nothing becomes normal by it. An envelope's own condition that is switched off is not asked, and its leaves
    /// still answer for themselves.
    pub name: &'static str,
    /// Whether it vouches or raises.
    pub vouches: bool,
    /// One line for people.
    pub about: &'static str,
}

/// All of them.
pub const BUILTINS: &[Builtin] = &[
    vouching(INBOUND, "ether or tokens received, unless the watch says `inbound = \"judge\"`"),
    vouching(VIEW, "a call of a function that the ABI says changes nothing"),
    vouching(REJECTION, "a Safe's empty call to itself, which only uses up a nonce"),
    vouching(ENVELOPE, "a wallet's envelope whose own conditions hold and whose leaves are all normal"),
    raising(UNVOUCHED, "no rule vouches for it"),
    raising(
        UNDECODABLE,
        "bytes that cannot be decoded, are not encoded as an honest encoder would, or name an unknown function",
    ),
    raising(BUDGET, "more nested calls or values than are followed in one transaction"),
    raising(UNREAD, "what it does had to be read from the node and could not be"),
    raising(ATTEMPT, "a transaction that reverted; from the fourth in ten minutes on it is high"),
    raising(
        UNCONFIRMED,
        "a wrapper claims it, and no log of the subject confirms it; critical where the subject surely was called",
    ),
    raising(DELEGATECALL, "foreign code run with the subject's storage and money"),
    raising(CONTROL, "owners, threshold, modules, guards, controllers, roles, supply or code change"),
    raising(APPROVAL, "an allowance without limit, or above the supply"),
    raising(OUTFLOW, "value left and no judged act explains it"),
    raising(STATE, "watched state changed, and no judged act explains it"),
    raising(DRIFT, "watched state is not what the registry says"),
    raising(POISONING, "a transfer of nothing, or of a token unknown here, that names the subject"),
    raising(INNER_FAILURE, "an inner call failed although the transaction succeeded"),
    raising(EXECUTOR, "a signed transaction carried by somebody who is not in `executors`"),
    raising(REFUND, "a Safe pays for its execution"),
    raising(MODULE, "a module acts that is not in `registry.modules`"),
    raising(CONFIRMER, "a confirmation by somebody who is not in `registry.owners`"),
    raising(STALE, "a confirmation of a submission older than 30 days"),
    raising(HASH, "a Safe logs a transaction hash that its fields do not give"),
    raising(DELEGATION, "an account's code is delegated or cleared (EIP-7702)"),
    raising(CREATION, "an account creates a contract"),
];

pub(crate) const INBOUND: &str = "builtin/inbound";
pub(crate) const VIEW: &str = "builtin/view";
pub(crate) const REJECTION: &str = "builtin/rejection";
pub(crate) const ENVELOPE: &str = "builtin/envelope";
pub(crate) const UNVOUCHED: &str = "builtin/unvouched";
pub(crate) const UNDECODABLE: &str = "builtin/undecodable";
pub(crate) const BUDGET: &str = "builtin/budget";
pub(crate) const UNREAD: &str = "builtin/unread";
pub(crate) const ATTEMPT: &str = "builtin/attempt";
pub(crate) const UNCONFIRMED: &str = "builtin/unconfirmed";
pub(crate) const DELEGATECALL: &str = "builtin/delegatecall";
pub(crate) const CONTROL: &str = "builtin/control";
pub(crate) const APPROVAL: &str = "builtin/approval";
pub(crate) const OUTFLOW: &str = "builtin/outflow";
pub(crate) const STATE: &str = "builtin/state";
pub(crate) const DRIFT: &str = "builtin/drift";
pub(crate) const POISONING: &str = "builtin/poisoning";
pub(crate) const INNER_FAILURE: &str = "builtin/inner-failure";
pub(crate) const EXECUTOR: &str = "builtin/executor";
pub(crate) const REFUND: &str = "builtin/refund";
pub(crate) const MODULE: &str = "builtin/module";
pub(crate) const CONFIRMER: &str = "builtin/confirmer";
pub(crate) const STALE: &str = "builtin/stale-confirmation";
pub(crate) const HASH: &str = "builtin/hash-mismatch";
pub(crate) const DELEGATION: &str = "builtin/delegation";
pub(crate) const CREATION: &str = "builtin/creation";

const fn vouching(name: &'static str, about: &'static str) -> Builtin {
    Builtin { name, vouches: true, about }
}

const fn raising(name: &'static str, about: &'static str) -> Builtin {
    Builtin { name, vouches: false, about }
}

/// What an unvouched activity costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The built-in that raises it.
    pub name: &'static str,
    /// How loud.
    pub severity: Severity,
    /// Why, where the built-in recognized something; empty for `builtin/unvouched`.
    pub reason: Option<String>,
}

/// The built-in that vouches for `activity`, if one does.
#[must_use]
pub fn vouches(activity: &Activity, rules: &WatchRules) -> Option<&'static str> {
    let name = candidate(activity, rules)?;
    (!rules.builtins_off.contains(name)).then_some(name)
}

fn candidate(activity: &Activity, rules: &WatchRules) -> Option<&'static str> {
    let deed = &activity.deed;
    match activity.kind {
        ActivityKind::Call if deed.decoding == Decoding::Ether => (!rules.judge_inbound).then_some(INBOUND),
        ActivityKind::Call => {
            (deed.decoding == Decoding::Clean && !deed.mutates && activity.value.is_zero()).then_some(VIEW)
        }
        ActivityKind::Move => {
            let received =
                &*deed.name == "transfer" && activity.to == Some(rules.address) && activity.from != rules.address;
            // An allowance that somebody else gives the subject moves nothing of its own.
            let allowed = &*deed.name == "approval" && activity.from != rules.address;
            ((received || allowed) && !rules.judge_inbound).then_some(INBOUND)
        }
        ActivityKind::Act => {
            let empty = deed.decoding == Decoding::Ether && activity.value.is_zero();
            let own = activity.to == Some(activity.from) && activity.operation == Operation::Call;
            (rules.kind == Kind::Safe && empty && own).then_some(REJECTION)
        }
        // Ether from inside another call shows in nothing but the wallet's own log.
        ActivityKind::Event => {
            let received = match rules.kind {
                Kind::Safe => "SafeReceived(address,uint256)",
                Kind::Multisig => "Deposit(address,uint256)",
                _ => return None,
            };
            (&*deed.signature == received && !rules.judge_inbound).then_some(INBOUND)
        }
        // More than what was seen to come: ether from inside another call, a block's reward. Nobody is robbed by it.
        ActivityKind::State => {
            let received = state::is_surplus(activity) && !activity.notes.contains(&Note::Drift);
            (received && !rules.judge_inbound).then_some(INBOUND)
        }
    }
}

/// What `activity` costs when no rule vouches for it: what the first built-in says that recognizes it and is not switched off.
#[must_use]
pub fn cost(activity: &Activity, rules: &WatchRules) -> Cost {
    let recognized = match activity.kind {
        ActivityKind::Act => act(activity, rules),
        ActivityKind::Call => call(activity, rules),
        ActivityKind::Event => event(activity, rules),
        ActivityKind::Move => movement(activity, rules),
        ActivityKind::State => vec![state::cost(activity)],
    };
    let on = |cost: &Cost| !rules.builtins_off.contains(cost.name);
    let severity = match (activity.kind, rules.kind, &*activity.deed.name) {
        (ActivityKind::Call, Kind::Safe, "approveHash") => Severity::Warning,
        _ => Severity::High,
    };
    let unvouched = Cost { name: UNVOUCHED, severity, reason: None };
    trouble(activity, rules).into_iter().chain(recognized).find(on).unwrap_or(unvouched)
}

/// Whether `activity` is judged as an attempt: what was undone, or is merely claimed.
pub(crate) fn is_attempt(activity: &Activity, rules: &WatchRules) -> bool {
    match activity.fate {
        Fate::Reverted => !rules.builtins_off.contains(ATTEMPT),
        Fate::Unconfirmed => !rules.builtins_off.contains(UNCONFIRMED),
        Fate::Executed | Fate::Failed | Fate::Waiting => false,
    }
}

/// Whether `event` tells of a change of control that `act`, though its words agree, does not ask for.
pub(crate) fn is_change_without_asking(event: &Activity, act: &Activity, rules: &WatchRules) -> bool {
    event.kind == ActivityKind::Event
        && CONTROL_EVENTS.contains(&&*event.deed.name)
        && control(act, rules).is_none()
        && stem(&event.deed.name) != stem(&act.deed.name)
}

/// `pause`, `Paused` and `Pause` have one stem.
fn stem(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_suffix("ed").or_else(|| name.strip_suffix('e')).unwrap_or(&name).to_owned()
}

/// Bytes that could not be read, or were not read to their end. No rule vouches for those.
#[must_use]
pub fn trouble(activity: &Activity, rules: &WatchRules) -> Option<Cost> {
    let loud = if matches!(rules.kind, Kind::Safe | Kind::Multisig | Kind::Minime) {
        Severity::Critical
    } else {
        Severity::High
    };
    for note in &activity.notes {
        match note {
            Note::BudgetReached(why) => return Some(because(BUDGET, loud, why.clone())),
            Note::Unread(why) => return Some(because(UNREAD, loud, why.clone())),
            Note::Unlogged if activity.kind == ActivityKind::Call => {
                let why =
                    "the subject was called and logged nothing of what it always logs: it is not the wallet it was";
                return Some(because(UNCONFIRMED, Severity::Critical, why.to_owned()));
            }
            Note::HashMismatch => {
                let why = "the Safe logged a transaction hash that the executed fields do not give";
                return Some(because(HASH, Severity::Critical, why.to_owned()));
            }
            _ => {}
        }
    }
    // Foreign code is what counts of a delegatecall, whatever its calldata is.
    let delegated = activity.operation == Operation::Delegatecall;
    match &activity.deed.decoding {
        Decoding::Clean | Decoding::Ether => None,
        Decoding::Opaque(_) if delegated => None,
        Decoding::Opaque(why) => Some(because(UNDECODABLE, loud, why.clone())),
        Decoding::Flawed(flaws) => {
            let why = format!("the encoding is not one that an honest encoder writes: {}", flaws.join("; "));
            Some(because(UNDECODABLE, loud, why))
        }
        Decoding::Ambiguous(several) => {
            Some(because(UNDECODABLE, loud, format!("several functions fit: {}", several.join(", "))))
        }
    }
}

pub(super) fn because(name: &'static str, severity: Severity, reason: String) -> Cost {
    Cost { name, severity, reason: Some(reason) }
}

fn act(activity: &Activity, rules: &WatchRules) -> Vec<Cost> {
    let to = activity.to.unwrap_or_default();
    let mut costs = Vec::new();
    if activity.notes.contains(&Note::Delegation) {
        let why = if to.is_zero() {
            "the account's delegated code is cleared".to_owned()
        } else {
            format!("from now on the account runs the code of {to}")
        };
        costs.push(because(DELEGATION, Severity::Critical, why));
    }
    if activity.operation == Operation::Delegatecall {
        let why = activity.notes.iter().find_map(|note| match note {
            Note::KnownLibrary(name) => {
                Some(format!("delegatecall to {name}, which is known and changes the Safe itself"))
            }
            _ => None,
        });
        let why = why.unwrap_or_else(|| {
            format!("delegatecall to {to}, which is no known library: it can do anything in the subject's name")
        });
        costs.push(because(DELEGATECALL, Severity::Critical, why));
    }
    if activity.notes.contains(&Note::Destroyed) {
        let why = format!("it destroys itself, and what it held goes to {to}");
        costs.push(because(CONTROL, Severity::Critical, why));
    }
    if activity.operation == Operation::Create {
        costs.push(because(CREATION, Severity::High, "the account creates a contract".to_owned()));
    }
    costs.extend(control(activity, rules).map(|(severity, why)| because(CONTROL, severity, why)));
    if rules.kind == Kind::Multisig && activity.to == Some(rules.address) {
        costs.push(because(CONTROL, Severity::Critical, "the wallet calls itself".to_owned()));
    }
    costs.extend(unlimited(activity).map(|why| because(APPROVAL, Severity::Critical, why)));
    costs
}

fn call(activity: &Activity, rules: &WatchRules) -> Vec<Cost> {
    let mut costs = Vec::new();
    if activity.notes.contains(&Note::Controller) {
        let why = "the token's controller moves somebody's tokens, and needs no allowance for it".to_owned();
        costs.push(because(CONTROL, Severity::Critical, why));
    }
    costs.extend(control(activity, rules).map(|(severity, why)| because(CONTROL, severity, why)));
    costs
}

fn event(activity: &Activity, rules: &WatchRules) -> Vec<Cost> {
    let deed = &activity.deed;
    let control = |why: String| because(CONTROL, Severity::Critical, why);
    let mut costs = Vec::new();
    if CONTROL_EVENTS.contains(&&*deed.name) {
        costs.push(control(format!("{} is logged and no judged call explains it", deed.name)));
    }
    let token = matches!(rules.kind, Kind::Erc20 | Kind::Minime);
    if token && &*deed.name == "Transfer" {
        let party = |index: usize| deed.args.get(index).and_then(|arg| arg.value.as_address());
        if party(0) == Some(Address::ZERO) {
            costs.push(control("tokens are minted and no judged call explains it".to_owned()));
        }
        if party(1) == Some(Address::ZERO) {
            costs.push(control("tokens are burned and no judged call explains it".to_owned()));
        }
    }
    match &*deed.name {
        // A watched Safe or multisig executed, and no call that we could see asked it to.
        "ExecutionSuccess" | "ExecutionFromModuleSuccess" | "Execution"
            if matches!(rules.kind, Kind::Safe | Kind::Multisig) =>
        {
            let why = format!("{} is logged and no call that could be seen explains it", deed.name);
            costs.push(because(OUTFLOW, Severity::Critical, why));
        }
        "ExecutionFailure" | "ExecutionFromModuleFailure" => {
            costs.push(because(INNER_FAILURE, Severity::Warning, format!("{} is logged", deed.name)));
        }
        "Submission" => {
            let why = "a submission arrived through a contract: what it would do could not be seen".to_owned();
            costs.push(because(UNREAD, Severity::Critical, why));
        }
        _ => {}
    }
    costs
}

fn movement(activity: &Activity, rules: &WatchRules) -> Vec<Cost> {
    let amount = amount_of(activity);
    // Of a single token the number is its name, and says nothing of how much.
    let single = activity.deed.args.last().is_some_and(|arg| &*arg.name == "id");
    let token = activity.deed.args.first().and_then(|arg| arg.value.as_address()).unwrap_or_default();
    let known = rules.known_tokens.contains(&token);
    let cost = if &*activity.deed.name == "approval" {
        if !single && amount.is_zero() || activity.to == Some(Address::ZERO) {
            let why = "an allowance is set to nothing and no judged act explains it";
            because(POISONING, Severity::Info, why.to_owned())
        } else if !known {
            let why = format!("an allowance of {token}, a token unknown here, names the subject");
            because(POISONING, Severity::Warning, why)
        } else if !single && is_unlimited(amount) {
            let why = "an allowance without limit, and no judged act explains it";
            because(APPROVAL, Severity::Critical, why.to_owned())
        } else {
            because(OUTFLOW, Severity::High, "an allowance, and no judged act explains it".to_owned())
        }
    } else if activity.from != rules.address {
        return vec![];
    } else if !single && amount.is_zero() {
        let why = "nothing moves: anyone can log a transfer of zero from anybody";
        because(POISONING, Severity::Info, why.to_owned())
    } else if !known {
        let why = format!("{token}, a token unknown here, says that it left, and no judged act explains it");
        because(POISONING, Severity::Warning, why)
    } else {
        let severity = if rules.kind == Kind::Safe { Severity::Critical } else { Severity::High };
        because(OUTFLOW, severity, "it left, and no judged act explains it".to_owned())
    };
    vec![cost]
}

fn amount_of(activity: &Activity) -> U256 {
    activity.deed.args.iter().rev().find_map(|arg| arg.value.as_uint()).unwrap_or_default()
}

/// Whether an allowance of this size is one without limit.
fn is_unlimited(amount: U256) -> bool {
    amount >= U256::ONE << 128
}

fn unlimited(activity: &Activity) -> Option<String> {
    let deed = &activity.deed;
    let allows =
        matches!(&*deed.name, "approve" | "increaseAllowance" | "approveAndCall" | "permit" | "increaseApproval");
    if !allows {
        // ERC-721 and ERC-1155: everything of a collection, to one operator.
        let all =
            &*deed.name == "setApprovalForAll" && deed.args.get(1).and_then(|arg| arg.value.as_bool()) == Some(true);
        return all.then(|| "the operator may take everything of this collection".to_owned());
    }
    let amount = deed.args.iter().find_map(|arg| arg.value.as_uint())?;
    if is_unlimited(amount) {
        return Some("the allowance is without limit".to_owned());
    }
    activity.notes.contains(&Note::AboveSupply).then(|| "the allowance is at or above the token's supply".to_owned())
}

/// Whether this is a change of who or what rules, and how loud that is.
fn control(activity: &Activity, rules: &WatchRules) -> Option<(Severity, String)> {
    let name = &*activity.deed.name;
    activity.deed.selector?;
    let own = activity.to == Some(rules.address);
    match rules.kind {
        Kind::Safe if own => {
            if let Some(what) = lookup(SAFE_CONTROL, name) {
                let severity = match name {
                    "disableModule" => Severity::High,
                    "changeThreshold" if raises_threshold(activity, rules) => Severity::High,
                    _ => Severity::Critical,
                };
                return Some((severity, what.to_owned()));
            }
        }
        Kind::Multisig if own => {
            if let Some(what) = lookup(MULTISIG_CONTROL, name) {
                return Some((Severity::Critical, what.to_owned()));
            }
        }
        Kind::Minime if own => {
            let severity = match name {
                "changeController" | "generateTokens" | "destroyTokens" => Severity::Critical,
                "enableTransfers" | "claimTokens" => Severity::High,
                "createCloneToken" => Severity::Warning,
                _ => return lookup(CONTROL_FUNCTIONS, name).map(|what| (Severity::Critical, what.to_owned())),
            };
            let what = lookup(CONTROL_FUNCTIONS, name).unwrap_or("the token's controller acts");
            return Some((severity, what.to_owned()));
        }
        _ => {}
    }
    lookup(CONTROL_FUNCTIONS, name).map(|what| (Severity::Critical, what.to_owned()))
}

/// More signatures than the registry says are asked for. Without a registry nobody knows, so it may as well be fewer.
fn raises_threshold(activity: &Activity, rules: &WatchRules) -> bool {
    let asked = activity.deed.args.first().and_then(|arg| arg.value.as_uint());
    asked.zip(rules.threshold).is_some_and(|(asked, threshold)| asked > U256::from(threshold))
}

fn lookup(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(function, _)| *function == name).map(|(_, what)| *what)
}

/// Source: OwnerManager.sol, ModuleManager.sol, GuardManager.sol, FallbackManager.sol, MasterCopy.sol of Safe 1.1.1 to 1.5.0.
const SAFE_CONTROL: &[(&str, &str)] = &[
    ("addOwnerWithThreshold", "an owner is added"),
    ("removeOwner", "an owner is removed"),
    ("swapOwner", "an owner is replaced"),
    ("changeThreshold", "the number of signatures required changes"),
    ("enableModule", "a module is enabled: it can move everything without signatures"),
    ("disableModule", "a module is disabled"),
    ("setGuard", "the guard changes"),
    ("setModuleGuard", "the module guard changes"),
    ("setFallbackHandler", "the fallback handler changes"),
    ("changeMasterCopy", "the Safe's code is replaced"),
    ("setup", "a live Safe is set up again"),
];

/// Source: MultiSigWallet.sol, MultiSigWalletWithDailyLimit.sol.
const MULTISIG_CONTROL: &[(&str, &str)] = &[
    ("addOwner", "an owner is added"),
    ("removeOwner", "an owner is removed"),
    ("replaceOwner", "an owner is replaced"),
    ("changeRequirement", "the number of confirmations required changes"),
    ("changeDailyLimit", "the daily limit changes"),
];

/// Control functions by name, on whichever contract. Source: MiniMeToken.sol, Owned.sol, OpenZeppelin Ownable, AccessControl, Pausable
/// and proxies, FiatToken and TetherToken, DS-Auth.
const CONTROL_FUNCTIONS: &[(&str, &str)] = &[
    ("changeController", "the token's controller is replaced: it can mint, burn and move anybody's tokens"),
    ("generateTokens", "tokens are minted"),
    ("destroyTokens", "tokens are burned from a holder"),
    ("enableTransfers", "transfers are switched on or off"),
    ("claimTokens", "the controller takes what lies in the token contract"),
    ("createCloneToken", "a clone of the token is created"),
    ("mint", "tokens are minted"),
    ("issue", "tokens are minted"),
    ("redeem", "tokens are taken out of supply"),
    ("burnFrom", "tokens are burned from a holder"),
    ("destroyBlackFunds", "a holder's tokens are destroyed"),
    ("pause", "the contract is paused"),
    ("unpause", "the contract is unpaused"),
    ("blacklist", "an account is blocked"),
    ("unBlacklist", "an account is unblocked"),
    ("addBlackList", "an account is blocked"),
    ("removeBlackList", "an account is unblocked"),
    ("configureMinter", "a minter is allowed"),
    ("addMinter", "a minter is allowed"),
    ("removeMinter", "a minter is removed"),
    ("setMinter", "the minter changes"),
    ("updateMasterMinter", "the master minter changes"),
    ("updatePauser", "the pauser changes"),
    ("updateBlacklister", "the blacklister changes"),
    ("rescueERC20", "tokens are taken out of the contract"),
    ("setParams", "the token's fees change"),
    ("deprecate", "the token is replaced by another contract"),
    ("transferOwnership", "ownership changes hands"),
    ("renounceOwnership", "ownership is given up"),
    ("acceptOwnership", "ownership changes hands"),
    ("changeOwner", "ownership changes hands"),
    ("setOwner", "ownership changes hands"),
    ("setAuthority", "the authority changes"),
    ("setController", "the controller changes"),
    ("setPendingAdmin", "the administrator is to change"),
    ("acceptAdmin", "the administrator changes"),
    ("changeAdmin", "the administrator changes"),
    ("changeProxyAdmin", "the administrator changes"),
    ("grantRole", "a role is granted"),
    ("revokeRole", "a role is revoked"),
    ("renounceRole", "a role is given up"),
    ("beginDefaultAdminTransfer", "the administrator is to change"),
    ("rely", "an account is given authority"),
    ("deny", "an account loses authority"),
    ("upgradeTo", "the contract's code is replaced"),
    ("upgradeToAndCall", "the contract's code is replaced"),
    ("upgradeAndCall", "the contract's code is replaced"),
    ("upgrade", "the contract's code is replaced"),
    ("diamondCut", "the contract's code is replaced"),
    ("initialize", "a live contract is initialized again"),
    ("updateDelay", "the delay changes"),
];

/// Events that tell of a change of control. Source: the contracts named above.
const CONTROL_EVENTS: &[&str] = &[
    "AddedOwner",
    "RemovedOwner",
    "ChangedThreshold",
    "EnabledModule",
    "DisabledModule",
    "ChangedGuard",
    "ChangedModuleGuard",
    "ChangedFallbackHandler",
    "ChangedMasterCopy",
    "SafeSetup",
    "OwnerAddition",
    "OwnerRemoval",
    "RequirementChange",
    "DailyLimitChange",
    "OwnershipTransferred",
    "OwnershipTransferStarted",
    "OwnerUpdated",
    "OwnerChanged",
    "NewOwner",
    "LogSetOwner",
    "LogSetAuthority",
    "NewAdmin",
    "NewPendingAdmin",
    "AdminChanged",
    "Upgraded",
    "BeaconUpgraded",
    "Initialized",
    "DiamondCut",
    "RoleGranted",
    "RoleRevoked",
    "RoleAdminChanged",
    "DefaultAdminTransferScheduled",
    "NewController",
    "ControllerChanged",
    "Paused",
    "Unpaused",
    "Pause",
    "Unpause",
    "MinterAdded",
    "MinterRemoved",
    "MinterConfigured",
    "Blacklisted",
    "UnBlacklisted",
    "AddedBlackList",
    "RemovedBlackList",
    "DestroyedBlackFunds",
    "Issue",
    "Redeem",
    "Deprecate",
    "Mint",
    "Burn",
    "ClaimedTokens",
    "MinDelayChange",
];
