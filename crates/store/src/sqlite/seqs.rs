//! Lists of task numbers, packed: pairs of (gap, length - 1) of the runs of neighbours, counted from a number known
//! beforehand. A thousand tasks accepted together are three bytes.

use super::error::Result;
use crate::encoding::varint::{Bytes, put};

/// Packs `seqs`, which ascend and are not below `first`.
pub(crate) fn pack(first: i64, seqs: &[i64]) -> Vec<u8> {
    let mut packed = Vec::new();
    let (mut end, mut rest) = (first, seqs);
    while let Some(start) = rest.first().copied() {
        let length = rest.iter().zip(start..).take_while(|(seq, expected)| **seq == *expected).count();
        put(&mut packed, (start - end) as u128);
        put(&mut packed, length as u128 - 1);
        end = start + length as i64;
        rest = &rest[length..];
    }
    packed
}

/// Unpacks what [`pack`] packed.
pub(crate) fn unpack(first: i64, packed: &[u8]) -> Result<Vec<i64>> {
    let (mut bytes, mut seqs, mut end) = (Bytes(packed), Vec::new(), first);
    while !bytes.is_empty() {
        let (gap, more): (u32, u16) = (bytes.fitting()?, bytes.fitting()?);
        let start = end + i64::from(gap);
        end = start + i64::from(more) + 1;
        seqs.extend(start..end);
    }
    Ok(seqs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_cost_nothing() {
        let seqs: Vec<i64> = (501..1001).collect();
        assert_eq!(pack(501, &seqs).len(), 3);
    }

    proptest! {
        #[test]
        fn leads_back(seqs in proptest::collection::btree_set(7_i64..1000, 0..200)) {
            let seqs: Vec<i64> = seqs.into_iter().collect();
            prop_assert_eq!(unpack(7, &pack(7, &seqs)).expect("what was packed"), seqs);
        }
    }
}
