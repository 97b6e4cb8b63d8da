//! Tokens that have ids, as a Safe and an account hold them: what leaves is told with its ids and how many of each, what arrives is
//! nobody's business, and what a rule vouches for is silent.

use crate::rows::{CaseChain, Seen, watch};
use crate::support::accounts::{GRANTEE, KEEPER, OWNER_A, STRANGER};
use crate::support::anvil::Tx;
use crate::support::contracts::deploy;
use crate::support::kit::Version;
use crate::support::safe::{Safe, SafeTx, Signer};
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, sol};

sol! {
    interface IPortraits {
        function mint(address to, uint256 id);
        function safeTransferFrom(address from, address to, uint256 tokenId);
        function transferFrom(address from, address to, uint256 tokenId);
        function setApprovalForAll(address operator, bool approved);
    }

    interface IBadges {
        function mint(address to, uint256 id, uint256 amount);
        function safeTransferFrom(address from, address to, uint256 id, uint256 amount, bytes data);
        function safeBatchTransferFrom(address from, address to, uint256[] ids, uint256[] amounts, bytes data);
    }
}

/// A chain with a Safe and an account that each hold portraits 7 and 8, five badges of id 3 and two of id 4, and have an operator for
/// all of them; what came before is the past.
struct Collection {
    stage: CaseChain,
    safe: Safe,
    portraits: Address,
    badges: Address,
}

/// Who holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    Safe,
    Account,
}

impl Collection {
    async fn new() -> Self {
        let (stage, safe) = CaseChain::with_safe(Version::V1_4_1, &[OWNER_A.address], 1).await;
        let portraits = deploy(&stage.anvil, KEEPER.address, "Portraits", []).await;
        let badges = deploy(&stage.anvil, KEEPER.address, "Badges", []).await;
        let mut collection = Self { stage, safe, portraits, badges };
        for (holder, base) in [(Holder::Safe, 0), (Holder::Account, 100)] {
            let to = collection.address(holder);
            for id in [7, 8].map(|id| U256::from(base + id)) {
                collection.send(portraits, IPortraits::mintCall { to, id }.abi_encode()).await;
            }
            for (id, amount) in [(3, 5), (4, 2)].map(|(id, amount)| (U256::from(id), U256::from(amount))) {
                collection.send(badges, IBadges::mintCall { to, id, amount }.abi_encode()).await;
            }
            for token in [portraits, badges] {
                let allow = IPortraits::setApprovalForAllCall { operator: KEEPER.address, approved: true };
                collection.acts(holder, token, allow.abi_encode()).await;
            }
        }
        collection.begin().await;
        collection
    }

    /// From now on counts, once the balances are known.
    async fn begin(&mut self) {
        self.stage.begin().await;
        self.stage.anvil.mine(2).await;
    }

    fn address(&self, holder: Holder) -> Address {
        match holder {
            Holder::Safe => self.safe.address,
            Holder::Account => OWNER_A.address,
        }
    }

    async fn send(&self, token: Address, data: Vec<u8>) {
        self.stage.send(KEEPER.address, token, data).await;
    }

    async fn acts(&self, holder: Holder, token: Address, data: Vec<u8>) {
        match holder {
            Holder::Account => drop(self.stage.send(OWNER_A.address, token, data).await),
            Holder::Safe => {
                let signers = [Signer::Key(OWNER_A)];
                self.safe.exec(&self.stage.anvil, OWNER_A, &SafeTx::call(token, data), &signers).await;
            }
        }
    }

    /// The watch of a holder, in the words of whoever agreed to give the grantee portrait 7 or 107, and badges 3 and 4.
    fn watchlist(&self, holder: Holder) -> String {
        let (portraits, badges, grantee) = (self.portraits, self.badges, GRANTEE.address);
        let known = |name: &str, address: Address| {
            format!("[token.{name}]\nchain = \"demo\"\naddress = \"{address}\"\ndecimals = 0\nkind = \"collectible\"\n")
        };
        let rules = format!(
            r#"[[watch.normal]]
name = "portrait"
act = "safeTransferFrom(address from, address to, uint256 tokenId)"
to = ["{portraits}"]
args = {{ to = "{grantee}", tokenId = {{ in = ["7", "107"] }} }}
[[watch.normal]]
name = "badge"
act = "safeTransferFrom(address from, address to, uint256 id, uint256 amount, bytes data)"
to = ["{badges}"]
args = {{ to = "{grantee}", id = {{ in = ["3", "4"] }}, amount = {{ max = "3" }} }}
[[watch.normal]]
name = "badges"
act = "safeBatchTransferFrom(address from, address to, uint256[] ids, uint256[] amounts, bytes data)"
to = ["{badges}"]
args = {{ to = "{grantee}", "ids[*]" = {{ in = ["3", "4"] }}, "amounts[*]" = {{ max = "3" }} }}
[[watch.normal]]
name = "collected"
move = "out"
args = {{ token = "{badges}", to = "{grantee}", "ids[*]" = {{ in = ["3"] }}, amount = {{ max = "2" }} }}
[[watch.normal]]
name = "operator"
act = "setApprovalForAll"
args = {{ approved = false }}
"#
        );
        let (kind, registry) = match holder {
            Holder::Safe => ("safe", "registry = { threshold = 1 }\n"),
            Holder::Account => ("eoa", ""),
        };
        let watched = watch(kind, self.address(holder), &format!("{registry}{rules}"));
        [known("PORTRAITS", portraits), known("BADGES", badges), watched].concat()
    }

    /// What was found of the holder since the case began.
    async fn seen(&self, holder: Holder) -> Seen {
        self.stage.seen(&self.watchlist(holder)).await
    }
}

fn portrait(from: Address, to: Address, id: u64) -> Vec<u8> {
    IPortraits::safeTransferFromCall { from, to, tokenId: U256::from(id) }.abi_encode()
}

fn badge(from: Address, to: Address, id: u64, amount: u64) -> Vec<u8> {
    let (id, amount) = (U256::from(id), U256::from(amount));
    IBadges::safeTransferFromCall { from, to, id, amount, data: Bytes::new() }.abi_encode()
}

fn badges(from: Address, to: Address, of: &[(u64, u64)]) -> Vec<u8> {
    let (ids, amounts) = of.iter().map(|(id, amount)| (U256::from(*id), U256::from(*amount))).unzip();
    IBadges::safeBatchTransferFromCall { from, to, ids, amounts, data: Bytes::new() }.abi_encode()
}

#[track_caller]
fn tells(seen: &Seen, finding: &str, words: &str) {
    assert_eq!(seen.findings.len(), 1, "{:#?}\nof {:#?}", seen.findings, seen.lines);
    assert!(seen.findings[0].ends_with(finding), "{:#?}", seen.findings);
    assert!(seen.headlines[0].contains(words), "no `{words}` in {:#?}", seen.headlines);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_holder_gives_away_by_itself_is_found_with_its_ids_and_how_many_and_silent_where_a_rule_vouches() {
    let mut case = Collection::new().await;
    for (holder, first) in [(Holder::Safe, 7), (Holder::Account, 107)] {
        let own = case.address(holder);
        let (portraits, held) = (case.portraits, case.badges);
        let gifts = [
            (portraits, portrait(own, GRANTEE.address, first)),
            (held, badge(own, GRANTEE.address, 3, 1)),
            (held, badges(own, GRANTEE.address, &[(3, 1), (4, 1)])),
        ];
        case.begin().await;
        for (token, gift) in gifts {
            case.acts(holder, token, gift).await;
        }
        let seen = case.seen(holder).await;
        assert!(seen.findings.is_empty(), "{:#?}\nof {:#?}", seen.findings, seen.lines);
        assert!(seen.lines.iter().filter(|line| line.contains(" move ")).count() >= 3, "{:#?}", seen.lines);

        let more = first + 1;
        let name = if holder == Holder::Safe { "token 8 of" } else { "token 108 of" };
        for (token, theft, words) in [
            (portraits, portrait(own, STRANGER.address, more), name),
            (held, badge(own, STRANGER.address, 4, 1), "1 of token 4 of"),
            (held, badges(own, STRANGER.address, &[(3, 3)]), "tokens [3] of"),
        ] {
            case.begin().await;
            case.acts(holder, token, theft).await;
            tells(&case.seen(holder).await, "high builtin/unvouched", words);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_takes_is_found_with_its_ids_and_how_many_and_silent_where_a_rule_vouches() {
    let mut case = Collection::new().await;
    for (holder, first, loud) in
        [(Holder::Safe, 7, ["critical"; 3]), (Holder::Account, 107, ["high", "critical", "critical"])]
    {
        let own = case.address(holder);
        case.begin().await;
        case.send(case.badges, badge(own, GRANTEE.address, 3, 2)).await;
        let seen = case.seen(holder).await;
        assert!(seen.findings.is_empty(), "{:#?}\nof {:#?}", seen.findings, seen.lines);
        let (portraits, held) = (case.portraits, case.badges);
        // One of two, two of three, and all that is left.
        for (loud, (token, theft, words)) in loud.into_iter().zip([
            (portraits, portrait(own, STRANGER.address, first), format!("token {first} of")),
            (held, badge(own, STRANGER.address, 3, 2), "2 of token 3 of".to_owned()),
            (held, badges(own, STRANGER.address, &[(3, 1), (4, 2)]), "token 3 and 2 of token 4 of".to_owned()),
        ]) {
            case.begin().await;
            case.send(token, theft).await;
            tells(&case.seen(holder).await, &format!("{loud} builtin/outflow"), &words);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_wakes_nobody_and_a_transfer_that_reverts_moves_nothing() {
    let mut case = Collection::new().await;
    let unknown = deploy(&case.stage.anvil, STRANGER.address, "Badges", []).await;
    for (holder, id) in [(Holder::Safe, 501), (Holder::Account, 502)] {
        let own = case.address(holder);
        let (number, amount) = (U256::from(id), U256::from(9));
        let more = IBadges::mintCall { to: STRANGER.address, id: number, amount }.abi_encode();
        case.send(case.badges, more).await;
        case.begin().await;
        for (token, data) in [
            (case.portraits, IPortraits::mintCall { to: own, id: number }.abi_encode()),
            (case.badges, badge(STRANGER.address, own, id, 2)),
            (case.badges, badges(STRANGER.address, own, &[(id, 1), (id, 3)])),
            (unknown, IBadges::mintCall { to: own, id: number, amount }.abi_encode()),
        ] {
            case.stage.send(STRANGER.address, token, data).await;
        }
        let seen = case.seen(holder).await;
        assert!(seen.findings.is_empty(), "{:#?}\nof {:#?}", seen.findings, seen.lines);
        let came = seen.lines.iter().filter(|line| line.ends_with("transfer: normal by builtin/inbound")).count();
        assert_eq!(came, 4, "{:#?}", seen.lines);

        // Nobody may take what is another's.
        case.begin().await;
        let theft = Tx::call(STRANGER.address, case.badges, badge(own, STRANGER.address, 3, 1));
        assert!(!case.stage.anvil.transact(&theft).await.succeeded());
        let seen = case.seen(holder).await;
        assert!(seen.lines.is_empty(), "it moved nothing, and is of no concern: {:#?}", seen.lines);
    }
    // What an account tries for itself and may not is an attempt, and no move.
    case.begin().await;
    let other = case.safe.address;
    let refused = Tx::call(OWNER_A.address, case.portraits, portrait(other, OWNER_A.address, 7));
    assert!(!case.stage.anvil.transact(&refused).await.succeeded());
    let seen = case.seen(Holder::Account).await;
    tells(&seen, "info builtin/attempt", "token 7 of");
    assert!(!seen.lines.iter().any(|line| line.contains(" move ")), "{:#?}", seen.lines);
}
