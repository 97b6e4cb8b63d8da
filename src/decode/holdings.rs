//! Holdings of a subject as tokens report them in their views, beside the logs in which they claim that something moved
//! or was allowed.
//!
//! In: a block's activities, the tokens that each subject is known to use, and the node's answers. Out: a [`Note::Holding`] on each
//! movement of a token, on each act by which something leaves inside of a call to the subject, and the tokens that a subject uses from now
//! on. Balances are read at the parent and at the block, allowances at the block. How many holdings are read of one block is bounded by [`HOLDINGS_MAX`]: tokens that the configuration lists or the
//! subject uses come first, then what leaves, then what arrives. What is left out is noted as such.
//!
//! Source of the views: EIP-20 `balanceOf`, `allowance`; EIP-721 `getApproved`, `isApprovedForAll`; EIP-1155 `balanceOf(address,uint256)`;
//! EIP-6909 `balanceOf(address,uint256)`, `allowance(address,address,uint256)`, `isOperator`; EIP-777 `isOperatorFor`; AllowanceTransfer.sol of Permit2 `allowance(address,address,address)`.

use super::movement::{Movement, PERMIT2, Piece, Views};
use super::state::bool_word;
use super::{Questions, Subjects};
use crate::model::activity::Note;
use crate::model::holding::{Holding, Said, Tie};
use crate::model::read::{Answer, Read};
use crate::model::state::TOKEN;
use crate::model::{
    Activity, ActivityKind, Block, Fact, Fate, Item, Known, Log, Operation, Position, Role, Stage, Tx, WatchId,
    WindowEntry,
};
use alloy_primitives::map::HashSet;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of holdings read for one block. A block moves more tokens of its watches only if an attacker creates
/// tokens.
pub(crate) const HOLDINGS_MAX: usize = 64;
/// Maximum number of tokens remembered as used by one subject. When the list is full, every token counts as used, so
/// that filling it raises more alerts, not fewer.
const TOKENS_MAX: usize = 1_024;
/// Maximum number of tokens for which older transactions are searched after one block: each search may take several
/// requests.
const SEARCHES_MAX: usize = 4;
/// Maximum number of strangers' tokens of one subject that are searched together after one block. A block of Ethereum
/// has no room for more, since each takes some ten thousand gas to log something.
const SOUGHT_MAX: usize = 4_096;
/// Maximum number of ids of one log whose balances are read: those with the largest outflow in the block. A log that
/// moves more ids is judged by these. Ids left out do not count as a denial of the log.
const IDS_MAX: usize = 4;

/// `balanceOf(address)`, `balanceOf(address,uint256)`, `allowance(address,address)`, `getApproved(uint256)`,
/// `isApprovedForAll(address,address)`, `allowance(address,address,uint256)` and `isOperator(address,address)` of ERC-6909,
/// `isOperatorFor(address,address)` of ERC-777, and `allowance(address,address,address)` of Permit2.
const BALANCE_OF: [u8; 4] = [0x70, 0xa0, 0x82, 0x31];
const BALANCE_OF_ID: [u8; 4] = [0x00, 0xfd, 0xd5, 0x8e];
const ALLOWANCE: [u8; 4] = [0xdd, 0x62, 0xed, 0x3e];
const GET_APPROVED: [u8; 4] = [0x08, 0x18, 0x12, 0xfc];
const IS_APPROVED_FOR_ALL: [u8; 4] = [0xe9, 0x85, 0xe9, 0xc5];
const ALLOWANCE_OF_ID: [u8; 4] = [0x59, 0x8a, 0xf9, 0xe7];
const IS_OPERATOR: [u8; 4] = [0xb6, 0x36, 0x3c, 0xf2];
const IS_OPERATOR_FOR: [u8; 4] = [0xd9, 0x5b, 0x63, 0x71];
const PERMIT2_ALLOWANCE: [u8; 4] = [0x92, 0x7d, 0xa1, 0x05];

/// Functions by which a subject uses a token, independent of their effect on the token.
const USES: &[&str] = &[
    "transfer",
    "transferFrom",
    "transferAndCall",
    "transferFromAndCall",
    "send",
    "safeTransferFrom",
    "safeBatchTransferFrom",
    "approve",
    "approveAndCall",
    "increaseAllowance",
    "increaseApproval",
    "decreaseAllowance",
    "setApprovalForAll",
    "setOperator",
    "authorizeOperator",
    "permit",
    "burn",
    "deposit",
    "withdraw",
];

/// A holding: its owner and token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    own: Address,
    token: Address,
    /// Id of a token of ERC-1155 or ERC-6909.
    id: Option<U256>,
}

/// Log whose token is queried.
struct Claim {
    /// Index of the log's activity.
    at: usize,
    movement: Movement,
    own: Address,
    tie: Tie,
    /// True if the configuration lists the token.
    listed: bool,
    rank: u8,
}

/// Notes the tokens' own data on movements of tokens. Returns the tokens that are used from now on.
pub(crate) fn note_token_balances(
    block: &Block,
    subjects: &Subjects,
    known: &Known,
    activities: &mut [Activity],
    questions: &mut Questions<'_>,
) -> Vec<WindowEntry> {
    let acted = acting_subjects(subjects, activities);
    let used = used_tokens(subjects, activities, &acted);
    let mut claims = unexplained_claims(block, subjects, known, activities, &acted, &used);
    let sought = seek_many(&mut claims, known, block, questions);
    let flows = block_flows(block, subjects, activities);
    // Within a rank, use an order that an attacker cannot choose, so that a flood cannot reliably displace other
    // holdings. The order is the same in each round of questions.
    claims.sort_by_cached_key(|claim| {
        (claim.rank, keccak256([block.at.hash.as_slice(), claim.movement.token.as_slice()].concat()))
    });
    let mut asked: BTreeSet<(Address, Address)> = BTreeSet::new();
    let mut notes: Vec<(usize, Holding)> = Vec::with_capacity(claims.len());
    let mut seen: HashSet<(Address, Option<(Address, bool)>)> = HashSet::default();
    let (mut n_searched, mut found) = (0, BTreeMap::new());
    let n_places = claims.iter().map(|claim| (claim.own, claim.movement.token)).collect::<BTreeSet<_>>().len();
    for claim in &claims {
        let place = (claim.own, claim.movement.token);
        let said = if !asked.contains(&place) && asked.len() >= HOLDINGS_MAX {
            Said::BeyondBound(n_places - HOLDINGS_MAX)
        } else {
            asked.insert(place);
            claim.query_balances(block, &flows, questions)
        };
        let fell = matches!(said, Said::Balance { before, after, .. } if after < before);
        let (mut tie, mut searched) = (claim.tie, known.last_value(place.0, token_item(place.1)) == Some(B256::ZERO));
        searched |= sought.contains(&place);
        if sought.contains(&place) && tie == Tie::Used {
            found.insert(place, Some(true));
        }
        if tie == Tie::Stranger && fell && !searched && (n_searched < SEARCHES_MAX || found.contains_key(&place)) {
            n_searched += usize::from(!found.contains_key(&place));
            let read = Read::Uses { token: place.1, by: place.0 };
            let used = questions.ask_holding(read).and_then(Answer::first_word).map(|word| !word.is_zero());
            found.insert(place, used);
            searched = used.is_some();
            tie = if used == Some(true) { Tie::Used } else { tie };
        }
        // Holdings that were not asked about or could not be read are reported once for all tokens of the block.
        let is_dark = matches!(said, Said::BeyondBound(_) | Said::Unread);
        let first = seen.insert((claim.own, (!is_dark).then_some((claim.movement.token, claim.movement.approval))));
        notes.push((claim.at, Holding { tie, searched, said, first }));
    }
    for (at, holding) in notes {
        activities[at].notes.push(Note::Holding(Box::new(holding)));
    }
    note_explained(activities, &acted, &used);
    note_inner(block, subjects, activities, questions);
    let by_search = found.into_iter().filter_map(|(place, used)| Some((place, used?)));
    let learned = used.iter().map(|place| (*place, true)).chain(by_search.filter(|(place, _)| !used.contains(place)));
    token_use_facts(learned, known)
}

/// Searches many tokens without ties to a subject in one query. If more such tokens log an outflow from the subject
/// than are searched one by one, the query asks which of them the subject ever used, so that a flood of them cannot
/// hide the used one. The used ones come first from then on. Returns the tokens that were searched.
fn seek_many(
    claims: &mut [Claim],
    known: &Known,
    block: &Block,
    questions: &mut Questions<'_>,
) -> HashSet<(Address, Address)> {
    let mut of_own: BTreeMap<Address, BTreeSet<Address>> = BTreeMap::new();
    for claim in claims.iter().filter(|claim| claim.tie == Tie::Stranger && claim.movement.from == claim.own) {
        if known.last_value(claim.own, token_item(claim.movement.token)) != Some(B256::ZERO) {
            of_own.entry(claim.own).or_default().insert(claim.movement.token);
        }
    }
    let mut sought: HashSet<(Address, Address)> = HashSet::default();
    for (own, tokens) in of_own.into_iter().filter(|(_, tokens)| tokens.len() > SEARCHES_MAX).take(SEARCHES_MAX) {
        let mut tokens: Vec<Address> = tokens.into_iter().collect();
        tokens.sort_by_cached_key(|token| keccak256([block.at.hash.as_slice(), token.as_slice()].concat()));
        tokens.truncate(SOUGHT_MAX);
        let read = Read::UsedOf { tokens: tokens.clone().into(), by: own };
        let Some(used) = questions.ask_holding(read).and_then(Answer::addresses) else { continue };
        sought.extend(tokens.into_iter().map(|token| (own, token)));
        for claim in claims.iter_mut().filter(|claim| claim.own == own && used.contains(&claim.movement.token)) {
            (claim.tie, claim.rank) = (Tie::Used, 0);
        }
    }
    sought
}

/// Returns the tokens found to be used, and those that were searched without a result, as far as there is room to
/// remember them.
fn token_use_facts(learned: impl Iterator<Item = ((Address, Address), bool)>, known: &Known) -> Vec<WindowEntry> {
    let mut deltas = Vec::new();
    for ((own, token), is_used) in learned {
        let before = known.last_value(own, token_item(token));
        let has_room = if is_used { !is_full(own, known) } else { known.count_items(own, TOKEN) < TOKENS_MAX };
        if before != Some(bool_word(is_used)) && (before.is_none() || is_used) && has_room && deltas.len() < TOKENS_MAX
        {
            deltas.push(Fact::Value(token_item(token)).window_entry(own, bool_word(is_used)));
        }
    }
    deltas
}

/// Returns whether a subject is known to use a token.
fn is_token_used(own: Address, token: Address, known: &Known) -> bool {
    known.last_value(own, token_item(token)).is_some_and(|word| !word.is_zero()) || is_full(own, known)
}

fn is_full(own: Address, known: &Known) -> bool {
    known.set_members(own, TOKEN).take(TOKENS_MAX).count() >= TOKENS_MAX
}

fn token_item(token: Address) -> Item {
    Item::of_table(TOKEN).for_address(token)
}

/// Returns the subjects that act, each with the transaction in which it acts.
fn acting_subjects(subjects: &Subjects, activities: &[Activity]) -> HashSet<(WatchId, u32)> {
    let acts = activities.iter().filter(|activity| {
        let ran = activity.fate == Fate::Executed && activity.stage == Stage::Included;
        activity.kind == ActivityKind::Act && ran && !matches!(activity.position, Position::Authorization(_))
    });
    let sent = activities.iter().filter(|activity| {
        activity.stage == Stage::Included
            && subjects.get(&activity.origin).is_some_and(|own| own.watch == activity.watch)
    });
    acts.chain(sent).map(|activity| (activity.watch, activity.tx_index)).collect()
}

/// Returns subjects and the tokens that they use in this block: they call a function for that, or move or obtain the
/// token while they act.
fn used_tokens(
    subjects: &Subjects,
    activities: &[Activity],
    acted: &HashSet<(WatchId, u32)>,
) -> BTreeSet<(Address, Address)> {
    let of = |activity: &Activity| -> Option<(Address, Address)> {
        let here = activity.fate == Fate::Executed && activity.stage == Stage::Included;
        match activity.kind {
            ActivityKind::Act if here && activity.deed.selector.is_some() && USES.contains(&&*activity.deed.name) => {
                Some((activity.from, activity.to?))
            }
            ActivityKind::Move if acted.contains(&(activity.watch, activity.tx_index)) => {
                Some((subjects.address_of(activity)?, token_of(activity)?))
            }
            _ => None,
        }
    };
    activities.iter().filter_map(of).filter(|(own, _)| subjects.get(own).is_some()).collect()
}

fn token_of(activity: &Activity) -> Option<Address> {
    activity.deed.args.first()?.value.as_address()
}

/// Returns the logs that no act explains, with the known facts about the token.
fn unexplained_claims(
    block: &Block,
    subjects: &Subjects,
    known: &Known,
    activities: &[Activity],
    acted: &HashSet<(WatchId, u32)>,
    used: &BTreeSet<(Address, Address)>,
) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut ties: BTreeMap<(Address, Address), bool> = BTreeMap::new();
    for (at, activity) in activities.iter().enumerate() {
        let inner = inner_act(activities, activity);
        if activity.kind != ActivityKind::Move || activity.role != Role::Leaf && inner.is_none() {
            continue;
        }
        let (Some((_, log)), Some(own)) = (log_of(block, activity), subjects.address_of(activity)) else { continue };
        let Some(movement) = Movement::from_log(log).filter(|movement| !movement.amount.is_zero()) else { continue };
        let outgoing = movement.from == own;
        if movement.approval && (!outgoing || movement.to.is_zero()) || movement.from == movement.to {
            continue;
        }
        if inner.is_some() && (movement.approval || !outgoing) {
            continue;
        }
        let place = (own, movement.token);
        let is_used =
            *ties.entry(place).or_insert_with(|| used.contains(&place) || is_token_used(own, movement.token, known));
        let tie = match (acted.contains(&(activity.watch, activity.tx_index)), is_used) {
            (true, _) => Tie::Acts,
            (false, true) => Tie::Used,
            (false, false) => Tie::Stranger,
        };
        let listed = subjects.lists_token(&movement.token);
        let close = listed || tie != Tie::Stranger;
        // What an act explains is found by that act whatever the token says: it comes behind what nothing explains.
        let rank = match (close, outgoing, movement.approval) {
            _ if inner.is_some() => 1,
            (true, true, _) => 0,
            (false, true, false) => 1,
            (false, true, true) => 2,
            (true, false, _) => 3,
            (false, false, _) => 4,
        };
        claims.push(Claim { at, movement, own, tie, listed, rank });
    }
    claims
}

/// The act that explains a movement, where the subject did it inside of a call that somebody made to it.
fn inner_act(activities: &[Activity], moved: &Activity) -> Option<usize> {
    let Role::Effect { of } = moved.role else { return None };
    activities.get(of).filter(|act| is_inner(activities, act)).map(|_| of)
}

/// Returns whether the subject acts inside a call that another account made to it.
fn is_inner(activities: &[Activity], act: &Activity) -> bool {
    let Role::Effect { of } = act.role else { return false };
    let ran = act.fate == Fate::Executed && act.stage == Stage::Included;
    let called = activities.get(of).is_some_and(|cause| cause.kind == ActivityKind::Call);
    act.kind == ActivityKind::Act && ran && called
}

/// Notes on acts inside of a call how much of the holding left in the block: of the token whose movement they explain, else of ether.
fn note_inner(block: &Block, subjects: &Subjects, activities: &mut [Activity], questions: &mut Questions<'_>) {
    let mut notes: Vec<(usize, Holding)> = Vec::new();
    for moved in activities.iter() {
        if let (Some(of), Some(holding)) = (inner_act(activities, moved), moved.token_holding())
            && holding.has_decreased()
        {
            notes.push((of, holding.clone()));
        }
    }
    for (at, act) in activities.iter().enumerate() {
        let pays = !act.value.is_zero() && act.operation != Operation::Delegatecall && act.to != Some(act.from);
        if is_inner(activities, act) && pays && subjects.get(&act.from).is_some() {
            notes.extend(ether_holding(block, act.from, activities, questions).map(|holding| (at, holding)));
        }
    }
    for (at, holding) in notes {
        let known = activities[at].token_holding().is_some_and(Holding::is_mostly_gone);
        if !known {
            activities[at].notes.retain(|note| !matches!(note, Note::Holding(_)));
            activities[at].notes.push(Note::Holding(Box::new(holding)));
        }
    }
}

/// The ether of a subject before the block and after it. What it held before follows from what it holds after, and from what the block moved:
/// no node has to keep the state of the parent for that.
fn ether_holding(
    block: &Block,
    own: Address,
    activities: &[Activity],
    questions: &mut Questions<'_>,
) -> Option<Holding> {
    let after = questions.ask_holding(Read::Balance(own)).and_then(Answer::as_number)?;
    let ran = |activity: &&Activity| {
        let moves = activity.operation != Operation::Delegatecall && activity.from != activity.to.unwrap_or_default();
        activity.fate == Fate::Executed && activity.stage == Stage::Included && moves
    };
    let (mut came, mut went) = (U256::ZERO, U256::ZERO);
    for activity in activities.iter().filter(ran) {
        match activity.kind {
            ActivityKind::Act if activity.from == own => went = went.saturating_add(activity.value),
            ActivityKind::Call if activity.to == Some(own) => came = came.saturating_add(activity.value),
            _ => {}
        }
    }
    let withdrawn = block.withdrawals.iter().filter(|(to, _)| *to == own);
    let came = withdrawn.fold(came, |came, (_, wei)| came.saturating_add(*wei));
    let before = after.saturating_add(went).saturating_sub(came);
    let said = Said::Balance { before, after, agrees: true, whole: true };
    Some(Holding { tie: Tie::Acts, searched: false, said, first: true })
}

/// Notes on movements by the subject's own acts that the subject makes them: without a vouch for the act, the movement
/// has none either.
fn note_explained(activities: &mut [Activity], acted: &HashSet<(WatchId, u32)>, used: &BTreeSet<(Address, Address)>) {
    for activity in activities.iter_mut() {
        let explained = activity.kind == ActivityKind::Move && matches!(activity.role, Role::Effect { .. });
        let acts =
            explained && activity.token_holding().is_none() && acted.contains(&(activity.watch, activity.tx_index));
        if acts && token_of(activity).is_some_and(|token| used.contains(&(activity.from, token))) {
            let holding = Holding { tie: Tie::Acts, searched: false, said: Said::Unasked, first: true };
            activity.notes.push(Note::Holding(Box::new(holding)));
        }
    }
}

/// Returns the log from which an activity was made, with its transaction.
pub(super) fn log_of<'a>(block: &'a Block, activity: &Activity) -> Option<(&'a Tx, &'a Log)> {
    let Position::Log(ordinal) = activity.position else { return None };
    let tx = block.txs.get(activity.tx_index as usize).filter(|tx| tx.hash == activity.tx)?;
    let log = tx.logs.get(ordinal as usize).filter(|log| log.ordinal == ordinal)?;
    Some((tx, log))
}

/// Returns the calldata of the view that reads the allowance of `spender` on the holding of `owner`.
pub(super) fn allowance_of(owner: Address, spender: Address) -> Bytes {
    encode_view_call(ALLOWANCE, &[owner.into_word(), spender.into_word()])
}

/// Returns the amounts that came into each holding in the block and went out of it, according to logs.
fn block_flows(block: &Block, subjects: &Subjects, activities: &[Activity]) -> BTreeMap<Place, (U256, U256)> {
    let mut flows: BTreeMap<Place, (U256, U256)> = BTreeMap::new();
    for activity in activities.iter().filter(|activity| activity.kind == ActivityKind::Move) {
        let (Some((_, log)), Some(own)) = (log_of(block, activity), subjects.address_of(activity)) else { continue };
        let Some(movement) = Movement::from_log(log).filter(|movement| !movement.approval) else { continue };
        for (place, amount) in holding_changes(own, &movement) {
            let (came, went) = flows.entry(place).or_default();
            if movement.from == own {
                *went = went.saturating_add(amount);
            }
            if movement.to == own {
                *came = came.saturating_add(amount);
            }
        }
    }
    flows
}

/// Returns the holdings that a log changes, and the amount of each change.
fn holding_changes(own: Address, movement: &Movement) -> Vec<(Place, U256)> {
    let place = Place { own, token: movement.token, id: None };
    if movement.views != Views::ById {
        return vec![(place, movement.amount)];
    }
    movement.pieces.iter().map(|Piece { id, amount }| (Place { id: Some(*id), ..place }, *amount)).collect()
}

impl Place {
    /// Returns the calldata of the view that reads the balance.
    fn balance_call(&self) -> Bytes {
        match self.id {
            None => encode_view_call(BALANCE_OF, &[self.own.into_word()]),
            Some(id) => encode_view_call(BALANCE_OF_ID, &[self.own.into_word(), id.into()]),
        }
    }
}

fn encode_view_call(selector: [u8; 4], words: &[B256]) -> Bytes {
    selector.into_iter().chain(words.iter().flat_map(|word| word.0)).collect::<Vec<u8>>().into()
}

impl Claim {
    /// Queries the token for the holdings that the log is about, before the block and after it.
    fn query_balances(
        &self,
        block: &Block,
        flows: &BTreeMap<Place, (U256, U256)>,
        questions: &mut Questions<'_>,
    ) -> Said {
        if self.movement.approval {
            return self.ask_allowance(questions);
        }
        let (places, whole) = self.asked_about(flows);
        let (mut agrees, mut open, mut dark) = (true, false, false);
        let mut held: Vec<(U256, U256)> = Vec::with_capacity(places.len());
        for place in &places {
            let data = place.balance_call();
            let then = Read::Before { parent: block.parent, to: place.token, data: data.clone() };
            let now = Read::Call { to: place.token, data };
            let mut number = |read: Read| match questions.ask_holding(read) {
                None => {
                    open = true;
                    U256::ZERO
                }
                Some(answer) => answer.as_number().unwrap_or_else(|| {
                    dark |= self.is_dark(answer);
                    U256::ZERO
                }),
            };
            let (was, is) = (number(then), number(now));
            let (came, went) = flows.get(place).copied().unwrap_or_default();
            agrees &= was.saturating_add(came) == is.saturating_add(went);
            held.push((was, is));
        }
        let Some((before, after)) = hardest_hit(&held) else { return Said::Unread };
        match (open, dark) {
            (true, _) => Said::Unasked,
            (false, true) => Said::Unread,
            (false, false) => Said::Balance { before, after, agrees, whole },
        }
    }

    /// Returns the holdings that are read, those with the largest outflow in the block first, and whether the log has
    /// no others.
    fn asked_about(&self, flows: &BTreeMap<Place, (U256, U256)>) -> (Vec<Place>, bool) {
        let mut places: Vec<Place> =
            holding_changes(self.own, &self.movement).into_iter().map(|(place, _)| place).collect();
        places.sort_unstable();
        places.dedup();
        let left = |place: &Place| {
            let (came, went) = flows.get(place).copied().unwrap_or_default();
            went.saturating_sub(came)
        };
        places.sort_by_key(|place| std::cmp::Reverse(left(place)));
        let whole = places.len() <= IDS_MAX;
        places.truncate(IDS_MAX);
        (places, whole)
    }

    /// Returns whether an answer without a number leaves the holding unknown. A contract that is not listed, that the
    /// subject never used and that has no such view holds nothing for it.
    fn is_dark(&self, answer: &Answer) -> bool {
        self.listed || self.tie != Tie::Stranger || !matches!(answer, Answer::Reverted | Answer::Data(_))
    }

    /// Queries the amount that the spender may take after the block.
    fn ask_allowance(&self, questions: &mut Questions<'_>) -> Said {
        let movement = &self.movement;
        let (owner, spender) = (movement.from.into_word(), movement.to.into_word());
        let id = movement.pieces.first().map(|piece| B256::from(piece.id));
        let (to, data) = match (movement.views, id) {
            (Views::Permit2, _) => {
                (PERMIT2, encode_view_call(PERMIT2_ALLOWANCE, &[owner, movement.token.into_word(), spender]))
            }
            (Views::ById, Some(id)) => (movement.token, encode_view_call(ALLOWANCE_OF_ID, &[owner, spender, id])),
            (_, Some(id)) => (movement.token, encode_view_call(GET_APPROVED, &[id])),
            (Views::ForAll, None) => (movement.token, encode_view_call(IS_APPROVED_FOR_ALL, &[owner, spender])),
            (Views::Operator, None) => (movement.token, encode_view_call(IS_OPERATOR, &[owner, spender])),
            (Views::OperatorFor, None) => (movement.token, encode_view_call(IS_OPERATOR_FOR, &[spender, owner])),
            (Views::Plain | Views::ById, None) => (movement.token, encode_view_call(ALLOWANCE, &[owner, spender])),
        };
        let Some(answer) = questions.ask_holding(Read::Call { to, data }) else { return Said::Unasked };
        if answer.first_word().is_none() && self.is_dark(answer) {
            return Said::Unread;
        }
        let word = answer.first_word().unwrap_or_default();
        Said::Allowance(match (movement.views, id) {
            (Views::Plain, Some(_)) => U256::from(u8::from(word == spender)),
            (Views::ForAll | Views::Operator | Views::OperatorFor, _) if !word.is_zero() => U256::MAX,
            _ => U256::from_be_bytes(word.0),
        })
    }
}

/// Balances before and after: of the holding that lost the largest part, or of all together where none lost any.
fn hardest_hit(held: &[(U256, U256)]) -> Option<(U256, U256)> {
    let part = |(was, is): &(U256, U256)| {
        let (gone, thousand) = (was.saturating_sub(*is), U256::from(1_000));
        // For numbers this large, a thousandth is exact enough.
        gone.checked_mul(thousand).map_or_else(|| gone / (*was / thousand), |gone| gone / (*was).max(U256::ONE))
    };
    let lost = held.iter().filter(|(was, is)| is < was).max_by_key(|held| part(held));
    let sum = || {
        held.iter().fold((U256::ZERO, U256::ZERO), |(before, after), (was, is)| {
            (before.saturating_add(*was), after.saturating_add(*is))
        })
    };
    (!held.is_empty()).then(|| lost.copied().unwrap_or_else(sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn views_are_those_of_their_names() {
        for (signature, selector) in [
            ("balanceOf(address)", BALANCE_OF),
            ("balanceOf(address,uint256)", BALANCE_OF_ID),
            ("allowance(address,address)", ALLOWANCE),
            ("getApproved(uint256)", GET_APPROVED),
            ("isApprovedForAll(address,address)", IS_APPROVED_FOR_ALL),
            ("allowance(address,address,uint256)", ALLOWANCE_OF_ID),
            ("isOperator(address,address)", IS_OPERATOR),
            ("isOperatorFor(address,address)", IS_OPERATOR_FOR),
            ("allowance(address,address,address)", PERMIT2_ALLOWANCE),
        ] {
            assert_eq!(keccak256(signature)[..4], selector, "{signature}");
        }
    }
}
