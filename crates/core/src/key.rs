//! Keys: who may call, and for whom. A key is shown once, when it is made; what is kept of it is a digest.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::lease::LaneFilter;
use crate::limit;
use crate::time::Timestamp;

/// Which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub Uuid);

/// What a key lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Hand tasks in, and act on them.
    Submit,
    /// Look.
    Read,
    /// Lease tasks and report on them.
    Work,
    /// Everything.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Submit, Self::Read, Self::Work, Self::Admin];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Read => "read",
            Self::Work => "work",
            Self::Admin => "admin",
        }
    }
}

/// The SHA-256 of a secret (FIPS 180-4). Secrets have 256 random bits, so nothing is won by a slower function. What is
/// compared takes the same time wherever it differs.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of this secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        hex(&digest.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        bytes(&text).map(Self).ok_or("a digest is 64 hexadecimal digits")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

fn bytes(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        text.bytes().map(|it| char::from(it).to_digit(16)).map(|it| Some(it? as u8)).collect::<Option<_>>()?;
    let pairs: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (digits.len() == 64).then(|| pairs.try_into().ok()).flatten()
}

/// What the holder of a key sends: `tl_<id>_<secret>`, both in hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText {
    /// Of this key.
    pub id: KeyId,
    /// Of the whole text.
    pub digest: Digest,
}

/// What a key begins with, so that whoever finds one knows what it is.
const PREFIX: &str = "tl_";

impl KeyText {
    /// A key's text with these random bits. It is a secret: to be shown once, and never kept.
    pub fn write(id: KeyId, secret: &[u8; 32]) -> String {
        format!("{PREFIX}{}_{}", id.0.simple(), hex(secret))
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyText({})", self.id.0)
    }
}

impl FromStr for KeyText {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (id, secret) = text.strip_prefix(PREFIX).and_then(|it| it.split_once('_')).ok_or(())?;
        let id = Some(id).filter(|it| it.len() == 32).and_then(|it| Uuid::try_parse(it).ok()).ok_or(())?;
        bytes(secret).map(|_| Self { id: KeyId(id), digest: Digest::of(text) }).ok_or(())
    }
}

/// So many calls at once, for which there is room again evenly within this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRate {
    /// How many.
    pub count: u32,
    /// In how long.
    pub per: Duration,
}

impl CallRate {
    fn is_within(self, most: Self) -> bool {
        let of = |count: u32, per: Duration| u128::from(count) * per.as_micros();
        self.count <= most.count && of(self.count, most.per) <= of(most.count, self.per)
    }
}

/// What is asked of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// What its holder may do.
    pub scopes: BTreeSet<Scope>,
    /// For whom: its holder sees and touches nothing else. `None` is everybody.
    pub tenant: Option<Box<str>>,
    /// A person it was given to, for whoever reads the list.
    pub user: Option<Box<str>>,
    /// A program it was given to, for whoever reads the list.
    pub app: Option<Box<str>>,
    /// Work is leased of these lanes alone; none is of all.
    pub lanes: Vec<LaneFilter>,
    /// How often it may call.
    pub rate: Option<CallRate>,
    /// It opens nothing from then on.
    pub expires_at: Option<Timestamp>,
}

/// A secret of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// What is kept of it.
    pub digest: Digest,
    /// It opens nothing from then on: a newer one took its place.
    pub until: Option<Timestamp>,
}

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// What was asked for.
    pub grant: Grant,
    /// The last one is the newest.
    pub secrets: Vec<Secret>,
    /// When it was made.
    pub created_at: Timestamp,
    /// It opens nothing from then on.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, give or take [`limit::KEY_USE`].
    pub used_at: Option<Timestamp>,
}

/// Why a key opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nobody made it.
    #[error("this is no key of this server")]
    Unknown,
    /// Somebody revoked it.
    #[error("this key was revoked")]
    Revoked,
    /// Its time is over.
    #[error("this key has expired")]
    Expired,
}

impl Key {
    /// A key that is made now, with the digest of its secret.
    pub fn new(grant: Grant, digest: Digest, at: Timestamp) -> Self {
        let secrets = vec![Secret { digest, until: None }];
        Self { grant, secrets, created_at: at, revoked_at: None, used_at: None }
    }

    /// Whether the secret of this digest opens something now.
    ///
    /// # Errors
    /// Why not. That it was revoked or has expired is told only to who has the secret.
    pub fn opens(&self, digest: &Digest, now: Timestamp) -> Result<(), KeyError> {
        let secret = self.secrets.iter().find(|it| it.digest == *digest).ok_or(KeyError::Unknown)?;
        if self.revoked_at.is_some() {
            return Err(KeyError::Revoked);
        }
        let ends = [self.grant.expires_at, secret.until].into_iter().flatten().min();
        if ends.is_some_and(|it| it <= now) { Err(KeyError::Expired) } else { Ok(()) }
    }

    /// The same with a new secret; the old one opens for `overlap` more.
    #[must_use]
    pub fn rotated(self, digest: Digest, overlap: Duration, now: Timestamp) -> Self {
        let until = now.plus(overlap);
        let old = self.secrets.last().map(|it| Secret { until: Some(it.until.unwrap_or(until).min(until)), ..*it });
        let secrets = old.filter(|_| !overlap.is_zero()).into_iter().chain([Secret { digest, until: None }]).collect();
        Self { secrets, ..self }
    }

    /// The same, revoked now.
    #[must_use]
    pub fn revoked(self, now: Timestamp) -> Self {
        Self { revoked_at: self.revoked_at.or(Some(now)), ..self }
    }

    /// The same, used now; `None` where that was noted lately.
    pub fn used(self, now: Timestamp) -> Option<Self> {
        let is_noted = self.used_at.is_some_and(|it| now.since(it) < limit::KEY_USE);
        (!is_noted).then_some(Self { used_at: Some(now), ..self })
    }

    /// Whether it opens everything, for everybody, and for good.
    pub fn is_master(&self) -> bool {
        self.grant.is_master() && self.revoked_at.is_none()
    }
}

impl Grant {
    /// Everything, for everybody.
    pub fn everything() -> Self {
        let scopes = [Scope::Admin].into();
        Self { scopes, tenant: None, user: None, app: None, lanes: Vec::new(), rate: None, expires_at: None }
    }

    /// Whether it has this scope; an admin has all.
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    /// Whether what belongs to this tenant is its holder's affair.
    pub fn covers(&self, tenant: &str) -> bool {
        self.tenant.as_deref().is_none_or(|it| it == tenant)
    }

    /// Whether it is everything, for everybody, and for good.
    pub fn is_master(&self) -> bool {
        self.scopes.contains(&Scope::Admin) && self.tenant.is_none() && self.expires_at.is_none()
    }

    /// Whether it grants nothing that the other one does not: no more, to nobody else, not longer, not more often.
    pub fn is_within(&self, other: &Self) -> bool {
        let has_scopes = self.scopes.iter().all(|it| other.has(*it));
        let is_of_tenant = other.tenant.as_ref().is_none_or(|tenant| self.tenant.as_ref() == Some(tenant));
        let ends = other.expires_at.is_none_or(|last| self.expires_at.is_some_and(|it| it <= last));
        let is_slower = other.rate.is_none_or(|most| self.rate.is_some_and(|it| it.is_within(most)));
        let has_lanes = other.lanes.is_empty()
            || !self.has(Scope::Work)
            || (!self.lanes.is_empty() && other.lanes_of(&self.lanes).is_ok_and(|it| it == self.lanes));
        has_scopes && is_of_tenant && ends && is_slower && has_lanes
    }

    /// What of these lanes may be leased.
    ///
    /// # Errors
    /// The first of which nothing may be.
    pub fn lanes_of<'w>(&self, wanted: &'w [LaneFilter]) -> Result<Vec<LaneFilter>, &'w LaneFilter> {
        if self.lanes.is_empty() {
            return Ok(wanted.to_vec());
        }
        let mut allowed = Vec::new();
        for lane in wanted {
            let before = allowed.len();
            allowed.extend(self.lanes.iter().filter_map(|it| it.both(lane)));
            if allowed.len() == before {
                return Err(lane);
            }
        }
        Ok(allowed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::lease::TypeFilter;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn text(id: u128, secret: u8) -> String {
        KeyText::write(KeyId(Uuid::from_u128(id)), &[secret; 32])
    }

    fn digest(secret: u8) -> Digest {
        text(7, secret).parse::<KeyText>().unwrap().digest
    }

    #[test]
    fn a_text_leads_to_its_key_and_shows_itself_to_nobody() {
        let written = text(7, 0xab);
        let read: KeyText = written.parse().unwrap();
        assert_eq!((read.id, read.digest), (KeyId(Uuid::from_u128(7)), Digest::of(&written)));
        assert!(!format!("{read:?}").contains("abab") && !format!("{:?}", read.digest).contains('a'));
        for odd in
            ["", "tl_", "tl_7_8", &written[1..], &written[..90], &format!("{written}0"), &written.replace("ab", "xy")]
        {
            assert!(odd.parse::<KeyText>().is_err(), "{odd}");
        }
        let json = serde_json::to_string(&read.digest).unwrap();
        assert_eq!((json.len(), serde_json::from_str::<Digest>(&json).unwrap()), (66, read.digest));
        // The first vector of FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(String::from(Digest::of("abc")), abc);
    }

    #[test]
    fn a_key_opens_until_it_is_revoked_expires_or_another_secret_took_its_place() {
        let grant = Grant { expires_at: Some(at(100)), ..Grant::everything() };
        let key = Key::new(grant, digest(1), at(0));
        assert_eq!((key.opens(&digest(1), at(99)), key.opens(&digest(2), at(0))), (Ok(()), Err(KeyError::Unknown)));
        assert_eq!(key.opens(&digest(1), at(100)), Err(KeyError::Expired));
        assert_eq!(key.clone().revoked(at(5)).opens(&digest(1), at(6)), Err(KeyError::Revoked));
        let rotated = key.clone().rotated(digest(2), Duration::from_secs(10), at(20));
        assert_eq!((rotated.opens(&digest(1), at(29)), rotated.opens(&digest(2), at(99))), (Ok(()), Ok(())));
        assert_eq!(rotated.opens(&digest(1), at(30)), Err(KeyError::Expired));
        let again = rotated.rotated(digest(3), HOUR, at(25));
        assert_eq!(
            (again.opens(&digest(1), at(26)), again.opens(&digest(2), at(26))),
            (Err(KeyError::Unknown), Ok(()))
        );
        assert_eq!(key.rotated(digest(2), Duration::ZERO, at(20)).opens(&digest(1), at(20)), Err(KeyError::Unknown));
    }

    #[test]
    fn its_use_is_noted_now_and_then() {
        let key = Key::new(Grant::everything(), digest(1), at(0));
        let used = key.used(at(5)).unwrap();
        assert_eq!(used.used_at, Some(at(5)));
        assert_eq!(used.clone().used(at(6)), None);
        assert!(used.used(at(5).plus(limit::KEY_USE)).is_some());
    }

    #[test]
    fn a_grant_covers_its_scopes_and_its_tenant() {
        let of = |scopes: &[Scope], tenant: Option<&str>| Grant {
            scopes: scopes.iter().copied().collect(),
            tenant: tenant.map(Box::from),
            ..Grant::everything()
        };
        let (all, acme) = (Grant::everything(), of(&[Scope::Submit], Some("acme")));
        assert!(Scope::ALL.iter().all(|it| all.has(*it)) && acme.has(Scope::Submit) && !acme.has(Scope::Read));
        assert!(acme.covers("acme") && !acme.covers("") && !acme.covers("zeta") && all.covers("acme"));
        assert!(acme.is_within(&all) && !all.is_within(&acme) && acme.is_within(&acme));
        assert!(!of(&[Scope::Submit], None).is_within(&of(&[Scope::Admin], Some("acme"))));
        assert!(!of(&[Scope::Read], Some("acme")).is_within(&acme));
        let (rate, lane) = (
            |count, per| Some(CallRate { count, per }),
            |queue: &str| LaneFilter { queue: Some(queue.into()), types: TypeFilter::Any },
        );
        let bounded =
            Grant { expires_at: Some(at(9)), rate: rate(10, HOUR), lanes: vec![lane("a")], ..Grant::everything() };
        for wider in [
            Grant { expires_at: None, ..bounded.clone() },
            Grant { expires_at: Some(at(10)), ..bounded.clone() },
            Grant { rate: None, ..bounded.clone() },
            Grant { rate: rate(10, HOUR / 2), ..bounded.clone() },
            Grant { lanes: Vec::new(), ..bounded.clone() },
            Grant { lanes: vec![lane("a"), lane("b")], ..bounded.clone() },
        ] {
            assert!(!wider.is_within(&bounded), "{wider:?}");
        }
        assert!(bounded.is_within(&bounded) && bounded.is_within(&all));
    }

    #[test]
    fn of_the_lanes_that_are_wanted_those_of_the_key_are_leased() {
        let lane = |queue: Option<&str>, types: &[&str]| LaneFilter {
            queue: queue.map(Box::from),
            types: match types {
                [] => TypeFilter::Any,
                types => TypeFilter::Only(types.iter().map(|it| Box::from(*it)).collect()),
            },
        };
        let grant = Grant { lanes: vec![lane(Some("mail"), &[]), lane(None, &["a", "b"])], ..Grant::everything() };
        let everything = [lane(None, &[])];
        assert_eq!(grant.lanes_of(&everything).unwrap(), grant.lanes);
        assert_eq!(grant.lanes_of(&[lane(Some("x"), &["b", "c"])]).unwrap(), [lane(Some("x"), &["b"])]);
        let mail = [lane(Some("mail"), &["c"])];
        assert_eq!(grant.lanes_of(&mail).unwrap(), mail);
        let refused = [lane(Some("mail"), &[]), lane(Some("x"), &["c"])];
        assert_eq!(grant.lanes_of(&refused), Err(&refused[1]));
        assert_eq!(Grant::everything().lanes_of(&refused).unwrap(), refused);
    }
}
