//! Every built-in judgment by its name.

pub(crate) use crate::model::difference::DRIFT;
pub(crate) use crate::model::verdict::POISONING;

/// A built-in judgment, as `check` lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// `builtin/…`: name used in verdicts and in `builtins = { off = [...] }`.
    ///
    /// An activity that a switched-off built-in would have raised goes to the next judgment, and finally to
    /// `builtin/unvouched`, which cannot be switched off. Switching off a built-in makes nothing normal. A switched-off
    /// condition of an envelope is not tested, and its leaves are still judged.
    pub name: &'static str,
    /// True if it vouches, false if it raises.
    pub vouches: bool,
    /// Description in one line, for people.
    pub about: &'static str,
}

/// All of them.
pub const BUILTINS: &[Builtin] = &[
    new_vouching_builtin(INBOUND, "ether or tokens received, unless the watch says `inbound = \"judge\"`"),
    new_vouching_builtin(VIEW, "a call of a view whose trace, logs and watched state show no change"),
    new_vouching_builtin(REJECTION, "a Safe's empty call to itself, which only uses up a nonce"),
    new_vouching_builtin(ENVELOPE, "a wallet's envelope whose own conditions hold and whose leaves are all normal"),
    new_vouching_builtin(PUBLIC, "what anybody may do and nobody decides: a vote, a release, a renewal"),
    new_vouching_builtin(TEXT, "a proposal that calls nothing"),
    new_vouching_builtin(IMPLEMENTATION, "new code that `registry.implementations` lists, once in a transaction"),
    new_raising_builtin(UNVOUCHED, "no rule vouches for it"),
    new_raising_builtin(
        UNDECODABLE,
        "bytes that cannot be decoded, are not encoded as an honest encoder would, or name an unknown function",
    ),
    new_raising_builtin(BUDGET, "more nested calls or values than are followed in one transaction"),
    new_raising_builtin(UNREAD, "what it does had to be read from the node and could not be"),
    new_raising_builtin(
        ATTEMPT,
        "a transaction that reverted; high at a control function, and from the fourth in ten minutes on; one page an hour",
    ),
    new_raising_builtin(
        UNCONFIRMED,
        "a wrapper claims it, and no log of the subject confirms it; critical where the subject surely was called",
    ),
    new_raising_builtin(DELEGATECALL, "foreign code run with the subject's storage and money"),
    new_raising_builtin(CONTROL, "owners, threshold, modules, guards, controllers, roles, supply or code change"),
    new_raising_builtin(APPROVAL, "an allowance without limit, or above the supply"),
    new_raising_builtin(OUTFLOW, "value left and no judged act explains it"),
    new_raising_builtin(FOREIGN, "it runs code that `registry.implementations` does not list, and no rule vouched for"),
    new_raising_builtin(STATE, "watched state changed, and no judged act explains it"),
    new_raising_builtin(
        DRIFT,
        "watched state, a token's decimals or the kind of a watch is not what the configuration says",
    ),
    new_raising_builtin(
        POSTURE,
        "what is weak as it stands, and the registry does not say that it is meant; told once",
    ),
    new_raising_builtin(
        POISONING,
        "noise: a transfer of nothing, of a token unknown here, or from a look-alike; told of once a day, never a page",
    ),
    new_raising_builtin(LOOK_ALIKE, "the subject pays or allows an address that only looks like one it knows"),
    new_raising_builtin(
        TEST_THEN_DRAIN,
        "a first small payment to an unknown address, and within a day ten times as much",
    ),
    new_raising_builtin(SWEEP, "three different assets leave for one unknown address within an hour"),
    new_raising_builtin(INNER_FAILURE, "an inner call failed although the transaction succeeded"),
    new_raising_builtin(EXECUTOR, "a signed transaction carried by somebody who is not in `executors`"),
    new_raising_builtin(REFUND, "a Safe pays for its execution"),
    new_raising_builtin(MODULE, "a module acts that is not in `registry.modules`, or does what no rule vouches for"),
    new_raising_builtin(CONFIRMER, "a confirmation by somebody who is not in `registry.owners`"),
    new_raising_builtin(STALE, "a confirmation of a submission older than 30 days"),
    new_raising_builtin(
        HASTY,
        "a confirmation less than a minute after the submission, too soon for anybody to have read it",
    ),
    new_raising_builtin(HASH, "a Safe logs a transaction hash that its fields do not give"),
    new_raising_builtin(SHORT_DELAY, "less time to react than `registry.delay` says, as scheduled or as it came"),
    new_raising_builtin(UNSCHEDULED, "carried out without a schedule that was seen before its block"),
    new_raising_builtin(
        CHANGED_TARGET,
        "what is carried out runs other code than stood there when it was scheduled or proposed",
    ),
    new_raising_builtin(
        FRESH_VOTES,
        "a vote by power that its voter did not have a day before; a quarter of the quorum or more",
    ),
    new_raising_builtin(
        TIP,
        "an account pays ten times what is usual for being included, and 0.02 ether at least; or 0.1 ether beyond what it sends",
    ),
    new_raising_builtin(
        REPLACED,
        "a pending act of an account that a rule vouched for is displaced by something else, for the same nonce",
    ),
    new_raising_builtin(DELEGATION, "an account's code is delegated or cleared (EIP-7702)"),
    new_raising_builtin(CREATION, "an account creates a contract"),
    new_raising_builtin(QUEUE_SIGNATURE, "a queued Safe transaction with a signature that is not its owner's"),
    new_raising_builtin(QUEUE_HASH, "a queued Safe transaction under a hash that its fields do not give"),
    new_raising_builtin(
        QUEUE_PROPOSER,
        "a queued Safe transaction by nobody among the owners and `registry.delegates`",
    ),
    new_raising_builtin(QUEUE_REPLACED, "a second queued Safe transaction for one nonce, unless it rejects the first"),
    new_raising_builtin(QUEUE_GAP, "a queued Safe transaction behind a nonce that nothing is queued for"),
    new_raising_builtin(
        QUEUE_STALE,
        "a queued Safe transaction that was agreed to long ago and could be executed next",
    ),
    new_raising_builtin(QUEUE_APPROVAL, "an approval on chain of a hash that is not in the Safe's queue"),
    new_raising_builtin(QUEUE_UNPROPOSED, "an execution that was never in the Safe's queue"),
];

pub(crate) const INBOUND: &str = "builtin/inbound";
pub(crate) const VIEW: &str = "builtin/view";
pub(crate) const REJECTION: &str = "builtin/rejection";
pub(crate) const ENVELOPE: &str = "builtin/envelope";
pub(crate) const PUBLIC: &str = "builtin/public";
pub(crate) const TEXT: &str = "builtin/text-proposal";
pub(crate) const IMPLEMENTATION: &str = "builtin/implementation";
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
pub(crate) const FOREIGN: &str = "builtin/foreign-implementation";
pub(crate) const STATE: &str = "builtin/state";
pub(crate) const POSTURE: &str = "builtin/posture";
pub(crate) const LOOK_ALIKE: &str = "builtin/look-alike";
pub(crate) const TEST_THEN_DRAIN: &str = "builtin/test-then-drain";
pub(crate) const SWEEP: &str = "builtin/sweep";
pub(crate) const INNER_FAILURE: &str = "builtin/inner-failure";
pub(crate) const EXECUTOR: &str = "builtin/executor";
pub(crate) const REFUND: &str = "builtin/refund";
pub(crate) const MODULE: &str = "builtin/module";
pub(crate) const CONFIRMER: &str = "builtin/confirmer";
pub(crate) const STALE: &str = "builtin/stale-confirmation";
pub(crate) const HASTY: &str = "builtin/hasty-confirmation";
pub(crate) const HASH: &str = "builtin/hash-mismatch";
pub(crate) const SHORT_DELAY: &str = "builtin/short-delay";
pub(crate) const UNSCHEDULED: &str = "builtin/unscheduled";
pub(crate) const CHANGED_TARGET: &str = "builtin/changed-target";
pub(crate) const FRESH_VOTES: &str = "builtin/fresh-votes";
pub(crate) const TIP: &str = "builtin/tip";
pub(crate) const REPLACED: &str = "builtin/replaced";
pub(crate) const DELEGATION: &str = "builtin/delegation";
pub(crate) const CREATION: &str = "builtin/creation";
pub(crate) const QUEUE_SIGNATURE: &str = "builtin/queue-signature";
pub(crate) const QUEUE_HASH: &str = "builtin/queue-hash";
pub(crate) const QUEUE_PROPOSER: &str = "builtin/queue-proposer";
pub(crate) const QUEUE_REPLACED: &str = "builtin/queue-replaced";
pub(crate) const QUEUE_GAP: &str = "builtin/queue-gap";
pub(crate) const QUEUE_STALE: &str = "builtin/queue-stale";
pub(crate) const QUEUE_APPROVAL: &str = "builtin/queue-approval";
pub(crate) const QUEUE_UNPROPOSED: &str = "builtin/queue-unproposed";

const fn new_vouching_builtin(name: &'static str, about: &'static str) -> Builtin {
    Builtin { name, vouches: true, about }
}

const fn new_raising_builtin(name: &'static str, about: &'static str) -> Builtin {
    Builtin { name, vouches: false, about }
}
