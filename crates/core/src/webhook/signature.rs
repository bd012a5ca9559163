//! Signatures by Standard Webhooks 1.0 (<https://github.com/standard-webhooks/standard-webhooks>): HMAC-SHA256 (RFC 2104) over
//! `id.timestamp.body`, the very bytes that are sent, written `v1,<base64>`; several of them stand behind one another, so that a
//! secret can be changed without a gap.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::secret::Secret;
use crate::time::Timestamp;

/// The header that names what is told, the same over all attempts: receivers drop what they have heard before by it.
pub const ID: &str = "webhook-id";
/// The header with the second at which it was sent, since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures.
pub const SIGNATURE: &str = "webhook-signature";
/// How far a clock may be off, and how old a message may be, as is customary.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// A header is missing, or is not what it should be.
    #[error("the headers webhook-id, webhook-timestamp and webhook-signature are not all there, or make no sense")]
    Malformed,
    /// Somebody else signed it, or it was changed.
    #[error("no signature is right: another secret signed this, or it was changed on its way")]
    Wrong,
    /// It was sent too long ago, or is to be sent later than now.
    #[error("the message is too old, or its sender's clock is ahead; it may be a repetition by somebody else")]
    OutOfTime,
}

/// The second of a moment, since 1970.
pub fn second(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(1_000_000)
}

/// The value of the header [`SIGNATURE`]: one signature by each secret. Empty where there is none.
pub fn sign<'s>(secrets: impl Iterator<Item = &'s Secret>, id: &str, second: i64, body: &[u8]) -> String {
    let each = |secret: &Secret| format!("v1,{}", STANDARD.encode(digest(secret, id, second, body)));
    secrets.map(each).collect::<Vec<_>>().join(" ")
}

/// Whether this message was signed by `secret` and sent about now.
///
/// # Errors
/// Why it is not to be believed.
pub fn verify(secret: &Secret, headers: (&str, &str, &str), body: &[u8], now: Timestamp) -> Result<(), SignatureError> {
    let (id, timestamp, signatures) = headers;
    let sent: i64 = timestamp.parse().map_err(|_| SignatureError::Malformed)?;
    if id.is_empty() {
        return Err(SignatureError::Malformed);
    }
    if second(now).abs_diff(sent) > TOLERANCE.as_secs() {
        return Err(SignatureError::OutOfTime);
    }
    let right = digest(secret, id, sent, body);
    // Versions that are not known are passed over.
    let known = signatures.split(' ').filter_map(|it| STANDARD.decode(it.strip_prefix("v1,")?).ok());
    let is_right = known.fold(false, |found, it| found | bool::from(it.ct_eq(&right)));
    if is_right { Ok(()) } else { Err(SignatureError::Wrong) }
}

fn digest(secret: &Secret, id: &str, second: i64, body: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("a key of any length is good for HMAC");
    mac.update(format!("{id}.{second}.").as_bytes());
    mac.update(body);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const MESSAGE: (&str, i64, &[u8]) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secret(text: &str) -> Secret {
        Secret::parse(text).expect("it is one")
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn the_vector_of_the_specification_is_met() {
        let (id, sent, body) = MESSAGE;
        assert_eq!(sign([secret(SECRET)].iter(), id, sent, body), SIGNED);
    }

    #[test]
    fn what_was_altered_or_repeated_is_not_believed() {
        let (id, sent, body) = MESSAGE;
        let key = secret(SECRET);
        let check = |id, sent: &str, signed, body, now| verify(&key, (id, sent, signed), body, at(now));
        let text = sent.to_string();
        assert_eq!(check(id, &text, SIGNED, body, sent), Ok(()));
        assert_eq!(check(id, &text, SIGNED, body, sent + 300), Ok(()), "within five minutes");
        assert_eq!(check(id, &text, SIGNED, b"{}", sent), Err(SignatureError::Wrong));
        assert_eq!(check("msg_other", &text, SIGNED, body, sent), Err(SignatureError::Wrong));
        assert_eq!(check(id, &(sent + 1).to_string(), SIGNED, body, sent), Err(SignatureError::Wrong));
        assert_eq!(check(id, &text, SIGNED, body, sent + 301), Err(SignatureError::OutOfTime));
        assert_eq!(check(id, &text, SIGNED, body, sent - 301), Err(SignatureError::OutOfTime));
        assert_eq!(check(id, "soon", SIGNED, body, sent), Err(SignatureError::Malformed));
        assert_eq!(check("", &text, SIGNED, body, sent), Err(SignatureError::Malformed));
        assert_eq!(check(id, &text, "v1a,xyz v2,abc", body, sent), Err(SignatureError::Wrong));
    }

    #[test]
    fn two_secrets_sign_and_either_is_enough() {
        let (id, sent, body) = MESSAGE;
        let [old, new] = [secret(SECRET), Secret::of(&[9; 32]).expect("long enough")];
        let signed = sign([&new, &old].into_iter(), id, sent, body);
        assert_eq!(signed.split(' ').count(), 2);
        for key in [&old, &new] {
            assert_eq!(verify(key, (id, &sent.to_string(), &signed), body, at(sent)), Ok(()));
        }
        let other = Secret::of(&[8; 32]).expect("long enough");
        assert_eq!(verify(&other, (id, &sent.to_string(), &signed), body, at(sent)), Err(SignatureError::Wrong));
    }
}
