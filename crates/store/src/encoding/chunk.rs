//! Log lines as bytes: all that a report brought of one attempt, one behind the other, compressed (LZ4), behind the
//! xxh3-64 of what follows it. A line is, numbers as varints:
//!
//! number (difference from the one before) · time (zigzag difference, µs) · level · length and bytes of the message ·
//! length + 1 and bytes of the fields, 0 where there are none

use tasklane_core::log::{Level, LineId, LogLine};
use tasklane_core::time::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

use super::varint::{Bytes, put};
use super::{Damaged, Result};

const SUM: usize = 8;

/// The bytes of these lines.
pub(crate) fn encode(lines: &[LogLine]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(lines.iter().map(|it| it.bytes() + 12).sum());
    let (mut n, mut at) = (0_u64, 0_i64);
    for line in lines {
        put(&mut plain, line.id.n.wrapping_sub(n).into());
        let micros = line.at.as_micros();
        let difference = micros.wrapping_sub(at);
        put(&mut plain, (((difference << 1) ^ (difference >> 63)) as u64).into());
        plain.push(line.level.code());
        put(&mut plain, line.message.len() as u128);
        plain.extend_from_slice(line.message.as_bytes());
        put(&mut plain, line.fields.as_ref().map_or(0, |it| it.len() as u128 + 1));
        plain.extend_from_slice(line.fields.as_deref().unwrap_or_default().as_bytes());
        (n, at) = (line.id.n, micros);
    }
    let packed = lz4_flex::block::compress_prepend_size(&plain);
    let mut body = Vec::with_capacity(SUM + packed.len());
    body.extend_from_slice(&xxh3_64(&packed).to_le_bytes());
    body.extend_from_slice(&packed);
    body
}

/// The lines of a chunk of attempt `attempt`.
pub(crate) fn decode(body: &[u8], attempt: u32) -> Result<Vec<LogLine>> {
    let damaged = || Damaged::new("a chunk of a log does not match its checksum");
    let (sum, packed) = body.split_first_chunk::<SUM>().ok_or_else(damaged)?;
    if u64::from_le_bytes(*sum) != xxh3_64(packed) {
        return Err(damaged());
    }
    let plain = lz4_flex::block::decompress_size_prepended(packed);
    let plain = plain.map_err(|error| Damaged::new(format!("a chunk of a log: {error}")))?;
    let (mut bytes, mut lines) = (Bytes(&plain), Vec::new());
    let (mut n, mut at) = (0_u64, 0_i64);
    while !bytes.is_empty() {
        n = n.wrapping_add(bytes.fitting()?);
        let zigzag: u64 = bytes.fitting()?;
        at = at.wrapping_add(((zigzag >> 1) ^ (zigzag & 1).wrapping_neg()) as i64);
        let level = Level::from_code(bytes.byte()?).ok_or_else(|| Damaged::new("a log line of no known level"))?;
        let length = bytes.fitting()?;
        let message = text(bytes.take(length)?)?;
        let fields = match bytes.fitting::<usize>()? {
            0 => None,
            length => Some(text(bytes.take(length - 1)?)?),
        };
        lines.push(LogLine { id: LineId { attempt, n }, at: Timestamp::from_micros(at), level, message, fields });
    }
    Ok(lines)
}

fn text(bytes: &[u8]) -> Result<Box<str>> {
    std::str::from_utf8(bytes).map(Box::from).map_err(|_| Damaged::new("a log line that is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line() -> impl Strategy<Value = LogLine> {
        (any::<u64>(), any::<i64>(), 0..4_usize, any::<String>(), any::<Option<String>>()).prop_map(
            |(n, at, level, message, fields)| LogLine {
                id: LineId { attempt: 7, n },
                at: Timestamp::from_micros(at),
                level: Level::ALL[level],
                message: message.into(),
                fields: fields.map(Into::into),
            },
        )
    }

    proptest! {
        #[test]
        fn leads_back(lines in proptest::collection::vec(line(), 0..9)) {
            prop_assert_eq!(decode(&encode(&lines), 7).expect("what was encoded"), lines);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut body = xxh3_64(&bytes).to_le_bytes().to_vec();
            body.extend(bytes);
            // The size that is claimed is the first thing in it: no claim may cost more memory than a chunk can have.
            if body.get(SUM + 3).is_none_or(|high| *high == 0) {
                let _ = decode(&body, 1);
            }
            body[0] ^= 1;
            prop_assert!(decode(&body, 1).is_err());
        }
    }
}
