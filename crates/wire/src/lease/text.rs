//! The opaque text of a lease: base64url (RFC 4648 §5, no padding) of id, attempt and token, big-endian.

use std::fmt;
use std::ops::Deref;

use tasklane_core::lease::{LeaseKey, Token};
use tasklane_core::task::TaskId;

const BYTES: usize = 16 + 4 + 8;
const CHARS: usize = (BYTES * 8).div_ceil(6);
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The text of one lease, without an allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LeaseText([u8; CHARS]);

impl Deref for LeaseText {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the alphabet is ASCII")
    }
}

impl fmt::Debug for LeaseText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text grants writes: it must not get into logs.
        f.write_str("LeaseText(..)")
    }
}

/// The text of a lease.
pub fn encode(key: &LeaseKey) -> LeaseText {
    let mut bytes = [0; BYTES];
    bytes[..16].copy_from_slice(key.id.as_bytes());
    bytes[16..20].copy_from_slice(&key.attempt.to_be_bytes());
    bytes[20..].copy_from_slice(&key.token.0.to_be_bytes());
    let mut text = [0; CHARS];
    for (bytes, text) in bytes.chunks(3).zip(text.chunks_mut(4)) {
        let mut bits = 0;
        for place in 0..3 {
            bits = bits << 8 | u32::from(bytes.get(place).copied().unwrap_or(0));
        }
        for (place, char) in text.iter_mut().enumerate() {
            *char = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
        }
    }
    LeaseText(text)
}

/// The lease that `text` names; `None` if [`encode`] never wrote it.
pub fn decode(text: &str) -> Option<LeaseKey> {
    let text: &[u8; CHARS] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; BYTES];
    for (text, bytes) in text.chunks(4).zip(bytes.chunks_mut(3)) {
        let mut bits = 0;
        for place in 0..4 {
            bits = bits << 6 | text.get(place).map_or(Some(0), |it| sextet(*it))?;
        }
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = (bits >> (16 - 8 * place)) as u8;
        }
    }
    let (id, rest) = bytes.split_first_chunk::<16>()?;
    let (attempt, token) = rest.split_first_chunk::<4>()?;
    let token = u64::from_be_bytes(token.try_into().ok()?);
    let key = LeaseKey { id: TaskId::from_bytes(*id), attempt: u32::from_be_bytes(*attempt), token: Token(token) };
    // The last character has spare bits: only one of its spellings is ours.
    (encode(&key).0 == *text).then_some(key)
}

fn sextet(char: u8) -> Option<u32> {
    Some(u32::from(match char {
        b'A'..=b'Z' => char - b'A',
        b'a'..=b'z' => char - b'a' + 26,
        b'0'..=b'9' => char - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    proptest! {
        #[test]
        fn what_is_written_reads_back(id: u128, attempt: u32, token: u64) {
            let key = LeaseKey { id: TaskId(Uuid::from_u128(id)), attempt, token: Token(token) };
            let text = encode(&key);
            prop_assert_eq!(decode(&text), Some(key));
            let shown = format!("{:?}", text);
            prop_assert!(!shown.contains(&*text));
        }

        #[test]
        fn only_one_spelling_is_taken(text in "[A-Za-z0-9_-]{38}") {
            if let Some(key) = decode(&text) {
                prop_assert_eq!(&*encode(&key), text);
            }
        }

        #[test]
        fn other_text_is_refused(text: String) {
            prop_assert_eq!(decode(&text), None);
        }
    }
}
