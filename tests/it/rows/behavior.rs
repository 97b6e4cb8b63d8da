//! What is unusual by what happened before, what does not come, and noise: an account with a real token, one block after the other.

use super::{CaseChain, Row, watch};
use crate::support::abi::IToken;
use crate::support::accounts::{DEPLOYER, GRANTEE, HOLDER, PAYER, STRANGER};
use crate::support::anvil::{GENESIS_TIME, Tx};
use crate::support::tokens::{Token, transfer, transfer_from};
use alloy_primitives::{Address, U256, keccak256};
use alloy_sol_types::SolCall;
use watchfire::model::Severity::{Critical, High, Info, Warning};

pub(super) const ROWS: &[&Row] =
    &[&T5, &T8, &T8_PAID, &R1, &R2, &R3, &R4, &R5_FROM, &R5_TO, &R5_FUNCTION, &R6, &R7, &R8, &R8_WEEKLY, &CODE, &AGE];

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// Ether and tokens for whomever.
const ANYBODY: &str = "[[watch.normal]]\nname = \"ether\"\nact = \"ether\"\n\
    [[watch.normal]]\nname = \"tokens\"\nact = \"transfer(address to, uint256 amount)\"\n";

/// A chain with a token of which the payer holds some.
struct Purse {
    stage: CaseChain,
    coin: Token,
}

impl Purse {
    async fn new() -> Self {
        let stage = CaseChain::new().await;
        let coin = coin(&stage).await;
        let mut purse = Self { stage, coin };
        purse.stage.begin().await;
        purse
    }

    /// The payer with these rules; the grantee is the one payee, the coin the one token.
    fn watchlist(&self, rules: &str) -> String {
        let (grantee, coin) = (GRANTEE.address, self.coin.address);
        format!(
            "[set]\npayees = [\"{grantee}\"]\n[token.COIN]\nchain = \"demo\"\naddress = \"{coin}\"\ndecimals = 18\n{}",
            watch("eoa", PAYER.address, rules)
        )
    }

    async fn pay(&self, to: Address, wei: u64) {
        self.stage.anvil.succeed(&Tx::pay(PAYER.address, to, U256::from(wei))).await;
    }

    /// So many coins, which the payer may not have.
    async fn coins(&self, to: Address, n: u64) {
        self.stage.anvil.transact(&Tx::call(PAYER.address, self.coin.address, transfer(to, self.coin.units(n)))).await;
    }

    /// An empty block so many seconds after the newest.
    async fn pass(&self, seconds: u64) {
        self.stage.anvil.set_next_timestamp(self.stage.anvil.now().await + seconds).await;
        self.stage.anvil.mine(1).await;
    }

    async fn finds(&self, row: &Row, rules: &str) {
        self.stage.finds(row, &self.watchlist(rules)).await;
    }

    async fn is_quiet(&self, row: &Row, rules: &str) {
        self.stage.is_quiet(row, &self.watchlist(rules)).await;
    }
}

async fn coin(stage: &CaseChain) -> Token {
    let coin = Token::deploy_coin(&stage.anvil, DEPLOYER.address, "COIN", 18, DEPLOYER.address).await;
    coin.mint(&stage.anvil, DEPLOYER.address, PAYER.address, coin.units(1_000)).await;
    coin
}

/// The same ends and another middle.
fn twin(of: Address) -> Address {
    let mut twin = of;
    twin[9] ^= 0xff;
    twin
}

const T5: Row = Row {
    id: "T5",
    finds: "three assets leave for one new address within an hour",
    by: "builtin/sweep",
    severity: Critical,
    incidents: 1,
    beside: "the same three for a payee that the configuration names",
};

#[tokio::test(flavor = "multi_thread")]
async fn everything_leaves_for_a_new_address() {
    let mut purse = Purse::new().await;
    let other = coin(&purse.stage).await;
    for (to, found) in [(STRANGER.address, true), (GRANTEE.address, false)] {
        purse.stage.begin().await;
        purse.pay(to, 5).await;
        purse.coins(to, 5).await;
        purse.stage.send(PAYER.address, other.address, transfer(to, U256::ONE)).await;
        if found { purse.finds(&T5, ANYBODY).await } else { purse.is_quiet(&T5, ANYBODY).await }
    }
}

const T8: Row = Row {
    id: "T8",
    finds: "a stranger moves nothing from the account to an address that looks like a payee",
    by: "builtin/poisoning",
    severity: Info,
    incidents: 1,
    beside: "a payment to the payee itself",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_moves_nothing() {
    let mut purse = Purse::new().await;
    for _ in 0..3 {
        let nothing = transfer_from(PAYER.address, twin(GRANTEE.address), U256::ZERO);
        purse.stage.send(STRANGER.address, purse.coin.address, nothing).await;
    }
    purse.finds(&T8, ANYBODY).await;
    purse.stage.begin().await;
    purse.coins(GRANTEE.address, 5).await;
    purse.is_quiet(&T8, ANYBODY).await;
}

const T8_PAID: Row = Row {
    id: "T8-paid",
    finds: "the account pays an address that only looks like a payee, by a rule that lets anybody be paid",
    by: "builtin/look-alike",
    severity: Critical,
    incidents: 1,
    beside: "a payment to the same address by a rule that names it",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_look_alike_is_paid() {
    let purse = Purse::new().await;
    purse.coins(twin(GRANTEE.address), 5).await;
    purse.finds(&T8_PAID, ANYBODY).await;
    let named = format!(
        "[[watch.normal]]\nname = \"named\"\nact = \"transfer\"\nto = \"@COIN\"\nargs = {{ to = \"{}\" }}\n",
        twin(GRANTEE.address)
    );
    purse.is_quiet(&T8_PAID, &named).await;
}

const R1: Row = Row {
    id: "R1",
    finds: "a function is used more often than its rule lets it",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "as often, of which another function takes its part",
};

#[tokio::test(flavor = "multi_thread")]
async fn more_often_than_the_rule_says() {
    let limited = "[[watch.normal]]\nname = \"ether\"\nact = \"ether\"\nlimit = { count = 2, per = \"1h\" }\n\
        [[watch.normal]]\nname = \"coins\"\nact = \"transfer\"\nto = \"@COIN\"\nlimit = { count = 2, per = \"1h\" }\n";
    let mut purse = Purse::new().await;
    for _ in 0..3 {
        purse.pay(GRANTEE.address, 5).await;
    }
    purse.finds(&R1, limited).await;
    purse.stage.begin().await;
    purse.pay(GRANTEE.address, 5).await;
    purse.coins(GRANTEE.address, 5).await;
    purse.pay(GRANTEE.address, 5).await;
    purse.is_quiet(&R1, limited).await;
}

const R2: Row = Row {
    id: "R2",
    finds: "a payment outside the hours of its rule, by block time",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same payment within them",
};

#[tokio::test(flavor = "multi_thread")]
async fn outside_the_hours() {
    let hours = "[[watch.normal]]\nname = \"ether\"\nact = \"ether\"\nhours = \"Mon-Fri 09:00-17:00 UTC\"\n";
    let mut purse = Purse::new().await;
    // The chain begins on a Monday at 09:00.
    purse.stage.anvil.set_next_timestamp(GENESIS_TIME + 8 * HOUR).await;
    purse.pay(GRANTEE.address, 5).await;
    purse.finds(&R2, hours).await;
    purse.stage.begin().await;
    purse.stage.anvil.set_next_timestamp(GENESIS_TIME + DAY).await;
    purse.pay(GRANTEE.address, 5).await;
    purse.is_quiet(&R2, hours).await;
}

const R3: Row = Row {
    id: "R3",
    finds: "payments that are each small enough add up to more than the rule lets go in a week",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same sum over two weeks",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_salami() {
    let sum = "[[watch.normal]]\nname = \"ether\"\nact = \"ether\"\nvalue = { max = \"50 wei\" }\n\
        limit = { sum = \"ether\", max = \"100 wei\", per = \"7d\" }\n";
    let mut purse = Purse::new().await;
    for (apart, found) in [(DAY, true), (4 * DAY, false)] {
        purse.stage.begin().await;
        for _ in 0..3 {
            purse.pay(GRANTEE.address, 40).await;
            purse.pass(apart).await;
        }
        if found { purse.finds(&R3, sum).await } else { purse.is_quiet(&R3, sum).await }
    }
}

const R4: Row = Row {
    id: "R4",
    finds: "transactions fail again and again",
    by: "failing",
    severity: High,
    incidents: 1,
    beside: "two that fail among others that do not, which a rule vouches for",
};

#[tokio::test(flavor = "multi_thread")]
async fn failures_pile_up() {
    let rules = format!(
        "[[watch.abnormal]]\nname = \"failing\"\nact = \"*\"\nfailed = {{ count = 3, share = \"50%\", per = \"10m\" }}\n{ANYBODY}"
    );
    let mut purse = Purse::new().await;
    let more_than_it_has = 5_000;
    for _ in 0..3 {
        purse.coins(GRANTEE.address, more_than_it_has).await;
    }
    purse.finds(&R4, &rules).await;
    purse.stage.begin().await;
    for n in [more_than_it_has, 5, more_than_it_has, 5] {
        purse.coins(GRANTEE.address, n).await;
    }
    purse.is_quiet(&R4, &rules).await;
}

const R5_FROM: Row = Row {
    id: "R5-from",
    finds: "somebody moves tokens who never did",
    by: "stranger",
    severity: High,
    incidents: 1,
    beside: "an allowance by somebody new, which the rule is not about",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_for_the_first_time() {
    let rules = "[[watch.abnormal]]\nname = \"stranger\"\ncall = \"transfer\"\nfirst_seen = \"from\"\n\
        [[watch.normal]]\nname = \"calls\"\ncall = \"*\"\n[[watch.normal]]\nname = \"logs\"\nevent = \"*\"\n";
    let mut purse = Purse::new().await;
    let watchlist = watch("erc20", purse.coin.address, rules);
    purse.coins(GRANTEE.address, 5).await;
    purse.coins(HOLDER.address, 5).await;
    let seen = purse.stage.finds(&R5_FROM, &watchlist).await;
    assert_eq!(seen.findings.len(), 1, "the second is no news: {:#?}", seen.findings);
    purse.stage.begin().await;
    let approve = IToken::approveCall { spender: GRANTEE.address, amount: U256::ONE }.abi_encode();
    purse.stage.send(STRANGER.address, purse.coin.address, approve).await;
    purse.stage.is_quiet(&R5_FROM, &watchlist).await;
}

const R5_TO: Row = Row {
    id: "R5-to",
    finds: "somebody is paid who never was",
    by: "new-payee",
    severity: Warning,
    incidents: 1,
    beside: "a payment of ether, which is no part of the rule",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_for_the_first_time() {
    let rules = format!(
        "[[watch.abnormal]]\nname = \"new-payee\"\nact = \"transfer(address to, uint256 amount)\"\nto = \"@COIN\"\n\
         first_seen = \"args.to\"\nseverity = \"warning\"\n{ANYBODY}"
    );
    let mut purse = Purse::new().await;
    for to in [GRANTEE.address, GRANTEE.address, HOLDER.address, GRANTEE.address] {
        purse.coins(to, 5).await;
    }
    let seen = purse.stage.finds(&R5_TO, &purse.watchlist(&rules)).await;
    assert_eq!(seen.findings.len(), 2, "each is new once: {:#?}", seen.findings);
    purse.stage.begin().await;
    purse.pay(HOLDER.address, 5).await;
    purse.is_quiet(&R5_TO, &rules).await;
}

const R5_FUNCTION: Row = Row {
    id: "R5-function",
    finds: "the account uses a function it never used",
    by: "new-function",
    severity: High,
    incidents: 1,
    beside: "plain ether, which is no function",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_function_for_the_first_time() {
    let rules = format!(
        "[[watch.abnormal]]\nname = \"new-function\"\nact = \"*\"\nfirst_seen = \"function\"\n\
         [[watch.normal]]\nname = \"allowances\"\nact = \"approve\"\nto = \"@COIN\"\n{ANYBODY}"
    );
    let mut purse = Purse::new().await;
    let approve = || IToken::approveCall { spender: GRANTEE.address, amount: U256::ONE }.abi_encode();
    purse.stage.send(PAYER.address, purse.coin.address, approve()).await;
    purse.stage.send(PAYER.address, purse.coin.address, approve()).await;
    purse.finds(&R5_FUNCTION, &rules).await;
    purse.stage.begin().await;
    purse.pay(GRANTEE.address, 5).await;
    purse.is_quiet(&R5_FUNCTION, &rules).await;
}

const R6: Row = Row {
    id: "R6",
    finds: "a key wakes after a winter",
    by: "woken",
    severity: Critical,
    incidents: 1,
    beside: "a key that was used in between",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_wakes() {
    let rules = format!(
        "[[watch.abnormal]]\nname = \"woken\"\nact = \"*\"\ndormant = \"90d\"\nseverity = \"critical\"\n{ANYBODY}"
    );
    let mut purse = Purse::new().await;
    purse.pay(GRANTEE.address, 5).await;
    purse.pass(91 * DAY).await;
    purse.pay(GRANTEE.address, 5).await;
    purse.finds(&R6, &rules).await;
    purse.stage.begin().await;
    for _ in 0..3 {
        purse.pay(GRANTEE.address, 5).await;
        purse.pass(46 * DAY).await;
    }
    purse.is_quiet(&R6, &rules).await;
}

const R7: Row = Row {
    id: "R7",
    finds: "a small payment to a new address, and within a day a hundred times as much",
    by: "builtin/test-then-drain",
    severity: Critical,
    incidents: 1,
    beside: "the same to a payee that the configuration names; and to a new one in two parts of a kind",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_test_and_then_the_rest() {
    let mut purse = Purse::new().await;
    for (to, rest, found) in [(STRANGER.address, 100, true), (GRANTEE.address, 100, false), (HOLDER.address, 2, false)]
    {
        purse.stage.begin().await;
        purse.coins(to, 1).await;
        purse.pass(2 * HOUR).await;
        purse.coins(to, rest).await;
        if found { purse.finds(&R7, ANYBODY).await } else { purse.is_quiet(&R7, ANYBODY).await }
    }
}

const R8: Row = Row {
    id: "R8",
    finds: "a weekly payment does not come within its grace",
    by: "payroll",
    severity: High,
    incidents: 1,
    beside: "one that comes late, within its grace",
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_expected_does_not_come() {
    let rules = format!(
        "[[watch.absent]]\nname = \"payroll\"\nact = \"ether\"\nto = \"@payees\"\nevery = \"7d\"\ngrace = \"6h\"\n{ANYBODY}"
    );
    let mut purse = Purse::new().await;
    for (late, found) in [(7 * HOUR, true), (5 * HOUR, false)] {
        purse.stage.begin().await;
        purse.pay(GRANTEE.address, 5).await;
        purse.pass(7 * DAY + late).await;
        purse.pay(GRANTEE.address, 5).await;
        if found { purse.finds(&R8, &rules).await } else { purse.is_quiet(&R8, &rules).await }
    }
}

const R8_WEEKLY: Row = Row {
    id: "R8-weekly",
    finds: "nobody is paid by Friday evening in Zurich",
    by: "payroll",
    severity: High,
    incidents: 1,
    beside: "a payment on Thursday",
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_on_friday_does_not_come() {
    let rules = format!(
        "[[watch.absent]]\nname = \"payroll\"\nact = \"ether\"\nto = \"@payees\"\nby = \"Fri 18:00 Europe/Zurich\"\n{ANYBODY}"
    );
    let mut purse = Purse::new().await;
    // The chain begins on a Monday at 09:00 UTC; Zurich is an hour ahead.
    let friday = GENESIS_TIME + 4 * DAY + 8 * HOUR;
    for (week, found) in [(0, true), (7 * DAY, false)] {
        purse.stage.begin().await;
        purse.pass(60).await;
        if !found {
            purse.stage.anvil.set_next_timestamp(friday + week - DAY).await;
            purse.pay(GRANTEE.address, 5).await;
        }
        purse.stage.anvil.set_next_timestamp(friday + week + 1).await;
        purse.stage.anvil.mine(1).await;
        if found { purse.finds(&R8_WEEKLY, &rules).await } else { purse.is_quiet(&R8_WEEKLY, &rules).await }
    }
}

/// Allowances by a rule with this condition, and ether for whomever.
fn allowances(condition: &str) -> String {
    format!("[[watch.normal]]\nname = \"allow\"\nact = \"approve\"\nto = \"@COIN\"\n{condition}\n{ANYBODY}")
}

const CODE: Row = Row {
    id: "Code",
    finds: "an allowance for a spender whose code is not the one that the rule knows",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "an allowance for the contract with that code",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_spender_of_other_code() {
    let mut purse = Purse::new().await;
    let code = keccak256(purse.stage.anvil.code(purse.coin.address).await);
    let rules = allowances(&format!("code = {{ in = [\"{code}\"], of = \"args.spender\" }}"));
    for (spender, found) in [(STRANGER.address, true), (purse.coin.address, false)] {
        purse.stage.begin().await;
        let approve = IToken::approveCall { spender, amount: U256::ONE }.abi_encode();
        purse.stage.send(PAYER.address, purse.coin.address, approve).await;
        if found { purse.finds(&CODE, &rules).await } else { purse.is_quiet(&CODE, &rules).await }
    }
}

const AGE: Row = Row {
    id: "Age",
    finds: "an allowance for a spender with whom the account never dealt before",
    by: "builtin/unvouched",
    severity: High,
    incidents: 1,
    beside: "the same for one with whom it has dealt for a month",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_young_spender() {
    let rules = allowances("age = { min = \"30d\", of = \"args.spender\" }");
    let mut purse = Purse::new().await;
    let approve = || IToken::approveCall { spender: HOLDER.address, amount: U256::ONE }.abi_encode();
    purse.stage.send(PAYER.address, purse.coin.address, approve()).await;
    purse.finds(&AGE, &rules).await;
    purse.stage.begin().await;
    purse.pay(HOLDER.address, 5).await;
    purse.pass(30 * DAY).await;
    purse.stage.send(PAYER.address, purse.coin.address, approve()).await;
    purse.is_quiet(&AGE, &rules).await;
}
