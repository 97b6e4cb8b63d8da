//! RLP helpers that the library lacks: lists of mixed items, and a search through lists of unknown structure.

use alloy_rlp::Header;

/// Maximum nesting depth of lists that are searched; an access list needs three.
const DEPTH_MAX: usize = 8;

/// Appends a list of the items that `fill` writes.
pub(super) fn encode_list(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    fill(out);
    // The length precedes the items but is known only after them, so it is written last and rotated to the front.
    let head = Header { list: true, payload_length: out.len() - start };
    head.encode(out);
    out[start..].rotate_right(head.length());
}

/// Appends a list like [`encode_list`], where an item may be missing.
pub(super) fn try_list<E>(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    let mut filled = Ok(());
    encode_list(out, |out| filled = fill(out));
    filled
}

/// Returns the payload, if the bytes are exactly one list.
pub(super) fn list_payload(mut bytes: &[u8]) -> Option<&[u8]> {
    let head = Header::decode(&mut bytes).ok()?;
    (head.list && head.payload_length == bytes.len()).then_some(bytes)
}

/// Calls `look` with every item of a list that is not a list itself, at any depth; returns false when the bytes are not
/// valid items.
pub(super) fn each_item<'a>(list: &'a [u8], look: &mut impl FnMut(&'a [u8])) -> bool {
    walk_items(list, DEPTH_MAX, look)
}

fn walk_items<'a>(mut rest: &'a [u8], depth: usize, look: &mut impl FnMut(&'a [u8])) -> bool {
    while !rest.is_empty() {
        let Ok(head) = Header::decode(&mut rest) else { return false };
        let Some((item, behind)) = rest.split_at_checked(head.payload_length) else { return false };
        if !head.list {
            look(item);
        } else if depth == 0 || !walk_items(item, depth - 1, look) {
            return false;
        }
        rest = behind;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_rlp::Encodable;

    fn items(list: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        each_item(list, &mut |item| found.push(item.to_vec())).then_some(found)
    }

    #[test]
    fn lists_of_every_length_are_what_the_library_reads() {
        for n in [0, 1, 54, 55, 56, 57, 253, 254, 255, 256, 70_000] {
            let mut out = vec![0xff];
            encode_list(&mut out, |out| out.extend(std::iter::repeat_n(0x01, n)));
            let payload = list_payload(&out[1..]).expect("a list");
            assert_eq!((out[0], payload.len()), (0xff, n));
        }
    }

    #[test]
    fn items_are_found_however_deep_and_hostile_bytes_end_the_search() {
        let mut nested = Vec::new();
        1u8.encode(&mut nested);
        encode_list(&mut nested, |out| {
            [0xaa; 60][..].encode(out);
            encode_list(out, |out| 2u8.encode(out));
        });
        assert_eq!(items(&nested), Some(vec![vec![1], vec![0xaa; 60], vec![2]]));
        for hostile in [&[0xf8][..], &[0x82, 1], &[0xff; 9], &[0xb8, 0x01, 0x05]] {
            assert_eq!(items(hostile), None, "{hostile:x?}");
        }
        // Nested lists, two thousand deep.
        let mut deep = Vec::new();
        for _ in 0..2_000 {
            let inner = std::mem::take(&mut deep);
            encode_list(&mut deep, |out| out.extend_from_slice(&inner));
        }
        assert_eq!(items(&deep), None);
    }
}
