//! Numbers in as few bytes as they need: seven bits a byte, the lowest first, the top bit says that more follow (LEB128).

use super::{Damaged, Result};

pub(crate) fn put(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push((number as u8) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads what [`put`] and plain bytes made.
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.0.split_first().ok_or_else(cut_off)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(cut_off)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn number(&mut self) -> Result<u128> {
        let (mut number, mut shift) = (0_u128, 0_u32);
        loop {
            let byte = self.byte()?;
            if shift > 126 {
                return Err(Damaged::new("a number of a record is too long"));
            }
            number |= u128::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
            shift += 7;
        }
    }

    /// A number that has to fit its place.
    pub(crate) fn fitting<T: TryFrom<u128>>(&mut self) -> Result<T> {
        T::try_from(self.number()?).map_err(|_| Damaged::new("a number of a record is too large"))
    }
}

fn cut_off() -> Damaged {
    Damaged::new("a record ends too early")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn leads_back(numbers in proptest::collection::vec(any::<u128>(), 0..20)) {
            let mut out = Vec::new();
            numbers.iter().for_each(|it| put(&mut out, *it));
            let mut bytes = Bytes(&out);
            let read: Vec<u128> = numbers.iter().map(|_| bytes.number().expect("what was written")).collect();
            prop_assert_eq!(read, numbers);
            prop_assert!(bytes.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Bytes(&bytes).number();
        }
    }
}
