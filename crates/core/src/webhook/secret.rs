//! What an endpoint and whoever tells it something both know.

use std::fmt;
use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// How many bytes a secret may have (Standard Webhooks 1.0, "Signature scheme").
pub const BYTES: RangeInclusive<usize> = 24..=64;
/// What its text begins with.
const PREFIX: &str = "whsec_";

/// A text is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a secret is written as whsec_ and the base64 of 24 to 64 random bytes")]
pub struct SecretError;

/// The key that bodies are signed by. It is shown when it is made, never in a log or an error.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// One of these bytes.
    ///
    /// # Errors
    /// Too few or too many.
    pub fn of(bytes: &[u8]) -> Result<Self, SecretError> {
        if BYTES.contains(&bytes.len()) { Ok(Self(bytes.into())) } else { Err(SecretError) }
    }

    /// The one by which a receiver is tried out on somebody's own machine: made of its URL alone, so that it is the same each time,
    /// and no secret to whoever knows that.
    pub fn for_trials(url: &str) -> Self {
        Self(Sha256::digest(format!("tasklane trial {url}")).to_vec().into())
    }

    /// The one with this text: `whsec_` and its bytes in base64.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError)?;
        Self::of(&STANDARD.decode(encoded).map_err(|_| SecretError)?)
    }

    /// Its text, to be shown to whoever is to know it.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        secret.reveal()
    }
}

impl TryFrom<String> for Secret {
    type Error = SecretError;

    fn try_from(text: String) -> Result<Self, SecretError> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_leads_back_and_is_told_to_nobody_by_accident() {
        let secret = Secret::of(&[7; 24]).expect("long enough");
        assert_eq!(Secret::parse(&secret.reveal()), Ok(secret.clone()));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        for wrong in ["", "whsec_", "whsec_AAAA", "abc", "whsec_****************************************"] {
            assert_eq!(Secret::parse(wrong), Err(SecretError), "{wrong}");
        }
        assert!(Secret::of(&[0; 65]).is_err());
    }
}
