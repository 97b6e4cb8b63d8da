//! Standing allowances at the start: spender, token and amount for each watch. An old allowance is not a finding, but a
//! token can leave through it without a signature.

use super::App;
use crate::contracts::{self, Property};
use crate::decode::Subjects;
use crate::escalate::AddressNames;
use crate::model::WatchInfo;
use crate::model::amount::Unit;
use crate::model::read::{Answer, Read};
use crate::source::Pool;
use crate::watchlist::{ChainBook, ChainClock, Config};
use alloy_primitives::{Address, Bytes, U256};
use serde_json::{Value, json};
use tracing::{info, warn};

/// `allowance(address,address)`, `isApprovedForAll(address,address)` and `isOperator(address,address)`. Source: EIP-20; EIP-721, EIP-1155;
/// EIP-6909.
const ALLOWANCE: [u8; 4] = [0xdd, 0x62, 0xed, 0x3e];
const IS_APPROVED_FOR_ALL: [u8; 4] = [0xe9, 0x85, 0xe9, 0xc5];
const IS_OPERATOR: [u8; 4] = [0xb6, 0x36, 0x3c, 0xf2];
const VIEWS: [[u8; 4]; 3] = [ALLOWANCE, IS_APPROVED_FOR_ALL, IS_OPERATOR];
/// Maximum number of allowances read for one watch, newest first. More than any treasury has given.
const ALLOWANCES_MAX: usize = 64;

/// An allowance in force.
#[derive(Clone, Debug)]
pub(crate) struct Exposure<'b> {
    pub(crate) watch: &'b WatchInfo,
    pub(crate) token: Address,
    pub(crate) spender: Address,
    /// Amount in the smallest unit; the largest number for an operator of all tokens.
    pub(crate) amount: U256,
}

/// Returns the standing allowances of the watches of a chain, and the watches whose allowances could not be listed,
/// with the reason. `used` returns tokens that a watch has used, in addition to those that the configuration lists.
pub(crate) async fn find_exposures<'b>(
    book: &'b Config,
    chain: &ChainBook,
    used: impl Fn(Address) -> Vec<Address>,
    pool: &Pool,
) -> (Vec<Exposure<'b>>, Vec<(&'b WatchInfo, String)>) {
    let (mut found, mut unlisted) = (Vec::new(), Vec::new());
    let watches = book.watches.iter().filter(|watch| watch.chain.id == chain.info.id);
    let watches = watches.filter(|watch| !contracts::of_kind(watch.kind).has(Property::Name));
    for watch in watches {
        let mut tokens = counted_tokens(&chain.subjects);
        tokens.extend(used(watch.address));
        tokens.sort_unstable();
        tokens.dedup();
        match find_watch_exposures(watch, &tokens, pool).await {
            Ok(standing) => found.extend(standing),
            Err(why) => unlisted.push((watch, why)),
        }
    }
    (found, unlisted)
}

fn counted_tokens(subjects: &Subjects) -> Vec<Address> {
    subjects.counted_tokens().iter().map(|counted| counted.token).collect()
}

async fn find_watch_exposures<'b>(
    watch: &'b WatchInfo,
    tokens: &[Address],
    pool: &Pool,
) -> Result<Vec<Exposure<'b>>, String> {
    if tokens.is_empty() {
        return Ok(vec![]);
    }
    let head = pool.fetch_newest_head().await.map_err(|error| error.to_string())?;
    let Some(head) = head else { return Ok(vec![]) };
    let given = pool.fetch_spenders(watch.address, tokens, head.at.number).await.map_err(|error| error.to_string())?;
    let mut pairs: Vec<(Address, Address)> = Vec::new();
    for pair in given.into_iter().rev() {
        if !pairs.contains(&pair) && pairs.len() < ALLOWANCES_MAX {
            pairs.push(pair);
        }
    }
    let view = |selector: [u8; 4], (token, spender): &(Address, Address)| {
        let words = [watch.address.into_word(), spender.into_word()];
        let data: Vec<u8> = selector.into_iter().chain(words.iter().flat_map(|word| word.0)).collect();
        Read::Call { to: *token, data: Bytes::from(data) }
    };
    let reads: Vec<Read> = pairs.iter().flat_map(|pair| VIEWS.map(|selector| view(selector, pair))).collect();
    let answers = pool.answer_reads(head.at, &reads).await;
    let mut standing = Vec::new();
    for ((token, spender), answers) in pairs.into_iter().zip(answers.chunks_exact(VIEWS.len())) {
        let number = |answer: &Answer| answer.as_number().unwrap_or_default();
        if answers.iter().all(|answer| matches!(answer, Answer::Unavailable)) {
            return Err(format!("no endpoint says what {spender} may take of {token}"));
        }
        let is_operator = answers[1..].iter().any(|answer| !number(answer).is_zero());
        let amount = if is_operator { U256::MAX } else { number(&answers[0]) };
        if !amount.is_zero() {
            standing.push(Exposure { watch, token, spender, amount });
        }
    }
    Ok(standing)
}

impl Exposure<'_> {
    /// For people: `Treasury lets Exchange take 1,000 USDC`.
    pub(crate) fn sentence(&self, book: &Config) -> String {
        let names: &AddressNames = &book.roster.names;
        let (chain, label) = (self.watch.chain.id, &self.watch.label);
        format!("{label} lets {} take {}", names.display_name(chain, self.spender), self.amount_text(book))
    }

    fn amount_text(&self, book: &Config) -> String {
        let chain = self.watch.chain.id;
        let unit = book.roster.tokens.get(&(chain, self.token));
        let name = book.roster.names.display_name(chain, self.token);
        match unit {
            _ if self.amount >= U256::ONE << 128 => format!("any amount of {name}"),
            Some(unit) => unit.format_amount(self.amount),
            None => format!("{} units of {name}", Unit::bare_number().format_amount(self.amount)),
        }
    }

    /// For programs.
    pub(crate) fn json_record(&self, book: &Config) -> Value {
        json!({
            "type": "exposure", "chain": &*self.watch.chain.name, "watch": &*self.watch.label,
            "address": self.watch.address.to_checksum(None), "token": self.token.to_checksum(None),
            "spender": self.spender.to_checksum(None), "amount": self.amount.to_string(),
            "amount_human": self.amount_text(book),
        })
    }
}

impl App {
    /// Reports the standing allowances of a chain's watches.
    pub(super) async fn report_exposures(
        &self,
        chain: &ChainBook,
        used: impl Fn(Address) -> Vec<Address>,
        pool: &Pool,
    ) {
        let (found, unlisted) = find_exposures(&self.book, chain, used, pool).await;
        for exposure in &found {
            if self.printer.is_json() {
                self.printer.record(&exposure.json_record(&self.book));
            } else {
                self.printer.progress(&format!("exposure: {}", exposure.sentence(&self.book)));
            }
        }
        let Some((first, why)) = unlisted.first() else { return };
        let more = match unlisted.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        let what = format!("failed to list standing allowances of {}{more}: {why}", first.label);
        // A tape has no earlier logs.
        match chain.clock {
            ChainClock::Wall => warn!("{what}"),
            ChainClock::Chain => info!("{what}"),
        }
    }
}
