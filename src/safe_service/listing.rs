//! A Safe's queue as listed by a service, assembled from its pages.
//!
//! Pages are requested by offset and never by the link in a page: such a link could point to any host and would receive
//! our key. Owners add and remove transactions while pages are read. Therefore each request overlaps the end of the
//! previous page, and a list whose pages do not overlap is read again.

use super::parse::{self, PageJson};
use crate::model::proposals::Queued;
use alloy_primitives::{Address, B256};
use std::collections::{HashMap, HashSet};

/// Maximum number of transactions of one Safe that are read, for trusted transactions and for the others. Owners of a
/// busy Safe have dozens waiting; transactions beyond the limit have the highest nonces and are executed last.
pub const QUEUED_MAX: usize = 500;
/// Number of transactions in one request.
pub(super) const PAGE: usize = 100;
/// Number of items repeated from the page before. Up to that many may be removed between two requests without any other
/// being missed.
const OVERLAP: usize = 5;
/// Maximum number of requests for one list; [`QUEUED_MAX`] transactions take six.
const PAGES_MAX: usize = 8;
/// Maximum number of reported complaints about items of one list.
const FLAWS_MAX: usize = 3;

/// Proposals of a Safe, as listed by a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Transactions in no particular order, without duplicates. Two different transactions listed under one hash are
    /// both included.
    pub queued: Vec<Queued>,
    /// Descriptions of items that could not be read, are about something else or were left out; not all of them.
    pub flaws: Vec<String>,
}

/// A listing that is being read.
pub(super) struct Reading {
    safe: Address,
    listing: Listing,
    /// Indexes in the listing by the hash that the service reports.
    places: HashMap<B256, Vec<usize>>,
}

/// Paging state of one list.
#[derive(Default)]
pub(super) struct Pages {
    offset: usize,
    n_read: usize,
    /// Hashes on the pages so far.
    seen: HashSet<B256>,
    overlaps: bool,
    again: bool,
}

impl Reading {
    pub(super) fn for_safe(safe: Address) -> Self {
        Self { safe, listing: Listing::default(), places: HashMap::new() }
    }

    /// Adds the content of `page`, and returns the offset of the next page; `None` at the end of the list, or at the
    /// limit of requests, which is a flaw of the list.
    pub(super) fn read_page(&mut self, page: &PageJson<'_>, pages: &mut Pages) -> Option<usize> {
        let hashes = self.take_entries(page);
        let n = page.results.items.len() + page.results.beyond;
        if page.results.beyond > 0 {
            self.record_flaw(format!(
                "it lists {n} transactions on one page; the first {} are looked at",
                n - page.results.beyond
            ));
            return None;
        }
        pages.n_read += 1;
        let n_before = pages.seen.len();
        let meets = hashes.iter().any(|hash| pages.seen.contains(hash));
        pages.seen.extend(hashes);
        let is_new = pages.seen.len() > n_before;
        if pages.overlaps && n > 0 && !meets {
            // More transactions were removed between two pages than the pages share, or the service returns arbitrary
            // pages.
            if pages.again || pages.n_read >= PAGES_MAX {
                self.record_flaw(format!(
                    "the queue of {} changes faster than it can be read, or its pages are made up",
                    self.safe
                ));
                return None;
            }
            *pages = Pages { n_read: pages.n_read, again: true, ..Pages::default() };
            return Some(0);
        }
        if !page.has_next() || n == 0 {
            return None;
        }
        if !is_new && meets {
            self.record_flaw(format!("it gives the same page of the queue of {} again and again", self.safe));
            return None;
        }
        if pages.offset + n >= QUEUED_MAX || pages.n_read >= PAGES_MAX {
            let beyond = pages.offset + n;
            self.record_flaw(format!("more than {beyond} transactions wait for {}; those are looked at", self.safe));
            return None;
        }
        pages.overlaps = n > OVERLAP;
        pages.offset += if pages.overlaps { n - OVERLAP } else { n };
        Some(pages.offset)
    }

    /// Returns the listing with the first of its flaws.
    pub(super) fn into_listing(mut self) -> Listing {
        self.listing.flaws.truncate(FLAWS_MAX);
        self.listing
    }

    /// Adds the items of the Safe, and returns the hashes under which they are listed.
    fn take_entries(&mut self, page: &PageJson<'_>) -> Vec<B256> {
        let mut hashes = Vec::new();
        for json in &page.results.items {
            match parse::parse_proposal(json.get()) {
                Ok(item) if item.safe != self.safe => {
                    self.record_flaw(format!("asked about {}, it lists a transaction of {}", self.safe, item.safe));
                }
                Ok(item) => {
                    hashes.push(item.claimed);
                    self.keep_proposal(item);
                }
                Err(why) => self.record_flaw(format!("it lists what is no transaction: {why}")),
            }
        }
        hashes
    }

    /// Adds an item that is not there yet. An item listed under the hash of another is kept as well: the decoder
    /// decides which of them has that hash.
    fn keep_proposal(&mut self, item: Queued) {
        let queued = &mut self.listing.queued;
        let places = self.places.entry(item.claimed).or_default();
        if places.iter().any(|place| queued.get(*place) == Some(&item)) {
            return;
        }
        if queued.len() >= 2 * QUEUED_MAX {
            return self.record_flaw(format!("it lists more than {} transactions of {}", 2 * QUEUED_MAX, self.safe));
        }
        places.push(queued.len());
        queued.push(item);
    }

    fn record_flaw(&mut self, flaw: String) {
        if self.listing.flaws.len() < FLAWS_MAX {
            self.listing.flaws.push(flaw);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const SAFE: Address = Address::repeat_byte(0x5a);

    fn item(n: usize) -> Value {
        let hash = B256::from(alloy_primitives::U256::from(n + 1));
        json!({ "safe": SAFE, "to": SAFE, "nonce": n.to_string(), "safeTxHash": hash })
    }

    /// Reads the list that `serve` returns for each offset, with a flag for further pages; returns the offsets and the
    /// resulting listing.
    fn read(mut serve: impl FnMut(usize) -> (Vec<Value>, bool)) -> (Vec<usize>, Listing) {
        let (mut reading, mut pages, mut next, mut offsets) =
            (Reading::for_safe(SAFE), Pages::default(), Some(0), vec![]);
        while let Some(offset) = next {
            offsets.push(offset);
            let (items, more) = serve(offset);
            let body = json!({ "next": more.then_some("http://elsewhere.example/"), "results": items }).to_string();
            let page: PageJson<'_> = serde_json::from_str(&body).expect("a page");
            next = reading.read_page(&page, &mut pages);
        }
        (offsets, reading.into_listing())
    }

    fn window(list: &[Value], offset: usize) -> (Vec<Value>, bool) {
        (list.iter().skip(offset).take(PAGE).cloned().collect(), offset + PAGE < list.len())
    }

    #[test]
    fn a_long_queue_is_read_to_its_end_in_pages_that_overlap() {
        let list: Vec<Value> = (0..250).map(item).collect();
        let (offsets, listing) = read(|offset| window(&list, offset));
        assert_eq!(offsets, [0, 95, 190]);
        assert_eq!((listing.queued.len(), listing.flaws.len()), (250, 0));
    }

    #[test]
    fn what_goes_away_between_two_pages_lets_nothing_be_passed_over() {
        for gone in [1, OVERLAP - 1, OVERLAP, 60] {
            let mut list: Vec<Value> = (0..250).map(item).collect();
            let mut first = true;
            let (_, listing) = read(|offset| {
                let page = window(&list, offset);
                if std::mem::take(&mut first) {
                    list.drain(..gone);
                }
                page
            });
            assert_eq!((listing.queued.len(), listing.flaws), (250, vec![]), "{gone} gone");
        }
        // A list that changes all the time is reported.
        let mut from = 0;
        let (offsets, listing) = read(|_| {
            from += 1_000;
            ((from..from + PAGE).map(item).collect(), true)
        });
        assert_eq!(offsets, [0, 95, 0, 95]);
        assert!(listing.flaws[0].contains("changes faster than it can be read"), "{:?}", listing.flaws);
        assert_eq!(listing.queued.len(), 4 * PAGE, "all that it showed is looked at");
    }

    #[test]
    fn a_list_without_an_end_ends_and_that_is_told() {
        let (offsets, listing) = read(|offset| ((offset..offset + PAGE).map(item).collect(), true));
        assert_eq!(offsets.len(), 6);
        assert!(listing.flaws[0].starts_with("more than 575 transactions wait"), "{:?}", listing.flaws);
        let (offsets, listing) = read(|offset| (vec![item(offset)], true));
        assert_eq!((offsets.len(), listing.queued.len()), (PAGES_MAX, PAGES_MAX), "one at a time");
        assert!(listing.flaws[0].starts_with("more than 8 transactions wait"), "{:?}", listing.flaws);
        let (offsets, listing) = read(|_| ((0..PAGE).map(item).collect(), true));
        assert_eq!((offsets.len(), listing.queued.len()), (2, PAGE), "in circles");
        assert!(listing.flaws[0].contains("the same page"), "{:?}", listing.flaws);
        let (offsets, listing) = read(|_| (vec![], true));
        assert_eq!((offsets.len(), listing), (1, Listing::default()), "of nothing");
        let (offsets, listing) = read(|_| ((0..5_000).map(item).collect(), true));
        assert_eq!((offsets.len(), listing.queued.len()), (1, 2 * QUEUED_MAX), "all at once");
        assert!(listing.flaws[0].starts_with("it lists 5000 transactions on one page"), "{:?}", listing.flaws);
    }

    #[test]
    fn two_under_one_hash_are_both_kept_and_the_same_twice_is_once() {
        let mut other = item(1);
        other["to"] = json!(Address::ZERO);
        let (_, listing) = read(|_| (vec![item(1), item(1), other.clone(), item(1), item(2)], false));
        assert_eq!((listing.queued.len(), listing.flaws.len()), (3, 0));
    }

    #[test]
    fn one_item_that_makes_no_sense_hides_no_other() {
        let mut foreign = item(3);
        foreign["safe"] = json!(Address::ZERO);
        let mut huge = item(4);
        huge["nonce"] = json!("9".repeat(78));
        let deep: Value = (0..100).fold(json!(null), |inner, _| json!([inner]));
        let last = alloy_primitives::U256::MAX.to_string();
        let mut end = item(5);
        end["nonce"] = json!(last);
        let items = vec![json!(7), json!(null), foreign, huge, deep, json!("item"), end, item(6)];
        let (_, listing) = read(|_| (items.clone(), false));
        let nonces: Vec<_> = listing.queued.iter().map(|one| one.nonce.to_string()).collect();
        assert_eq!(nonces, [last, "6".to_owned()]);
        assert_eq!(listing.flaws.len(), FLAWS_MAX);
    }
}
