//! Finds, eight bytes at a time, where the plain part of a string ends.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The place of the first quote, backslash or control byte (below 0x20) at or after `at`, or the length of `bytes`.
#[inline]
pub(super) fn special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let found = specials(u64::from_le_bytes(*chunk));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if byte == b'"' || byte == b'\\' || byte < 0x20 {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

/// The high bit of each special byte; bits above the lowest one may be wrong, as a borrow runs upward.
/// Source: Anderson, "Bit Twiddling Hacks", determine if a word has a byte less than n.
#[inline]
const fn specials(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    (quote | backslash | control) & HIGHS
}

/// The place after the string that begins with the quote at `at`, in validated text.
#[inline]
pub(super) fn after_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        at = special(bytes, at);
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') => return at + 1,
            Some(_) => at += 1,
            None => return bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_plain_loop_finds(bytes: Vec<u8>, at in 0_usize..20) {
            let plain = bytes.iter().enumerate().skip(at)
                .find(|(_, it)| matches!(it, b'"' | b'\\' | 0..0x20)).map_or(bytes.len(), |(place, _)| place);
            prop_assert_eq!(special(&bytes, at.min(bytes.len())), plain);
        }
    }
}
