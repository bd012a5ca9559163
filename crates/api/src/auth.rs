//! Who calls, and whether he may. The only place that reads keys out of requests.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tasklane_core::audit::Actor;
use tasklane_core::key::{Digest, Grant, KeyError, KeyText};
use tasklane_engine::{Engine, Keyed};

use crate::error::{FORBIDDEN, Refused, TOO_MANY_BAD_KEYS, UNAUTHORIZED};
use crate::limits;
use crate::rates::{CallLimits, Counted, Rates, UnderWay};
use crate::route::{Access, Route};

/// Where a request comes from; whoever listens puts it into the request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Keys that no store keeps: those of settings.
#[derive(Debug, Clone, Default)]
pub struct SetKeys {
    /// Each opens everything.
    pub admins: Arc<[Digest]>,
    /// Whether there is any, also of those that open only what a dialect has.
    pub any: bool,
    /// Whether `/metrics` needs a key, too.
    pub close_metrics: bool,
}

/// Who calls.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// Anybody: the server has no keys, or the route needs none.
    Nobody,
    /// Who has an admin's key of the settings.
    Setting,
    /// Who has a key.
    Holder(Keyed, KeyText),
}

impl Caller {
    /// What he may do.
    pub fn grant(&self) -> &Grant {
        static EVERYTHING: LazyLock<Grant> = LazyLock::new(Grant::everything);
        match self {
            Self::Nobody | Self::Setting => &EVERYTHING,
            Self::Holder(held, _) => &held.key.grant,
        }
    }

    /// Which key he has, where it is one that is stored.
    pub fn of_key(&self) -> Option<String> {
        if let Self::Holder(held, _) = self { Some(held.id.0.simple().to_string()) } else { None }
    }

    /// What is noted of him.
    pub fn actor(&self, from: Option<IpAddr>) -> Actor {
        let (name, key) = match self {
            Self::Nobody => (Actor::NOBODY.into(), None),
            Self::Setting => (Actor::SETTING.into(), None),
            Self::Holder(held, _) => ((&*held.name).into(), Some(held.id)),
        };
        Actor { name, key, from: from.map(|it| it.to_string().into()) }
    }
}

/// Lets in who may.
pub(crate) struct Door {
    set: SetKeys,
    limits: CallLimits,
    bad: BadKeys,
    rates: Rates,
    /// How many refusals may still be noted, and since when.
    noted: Mutex<(Instant, u32)>,
}

impl Door {
    pub fn new(set: SetKeys, limits: CallLimits) -> Self {
        let noted = Mutex::new((Instant::now(), 0));
        Self { set, limits, bad: BadKeys::default(), rates: Rates::default(), noted }
    }

    /// Notes that a call was refused for its key, a number of them a minute: whoever floods the door shall not flood the log.
    pub fn note(&self, engine: &Engine, caller: &Caller, route: &Route, from: Option<IpAddr>, code: &'static str) {
        let now = Instant::now();
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(noted.0) >= limits::NOTED_REFUSALS_PER {
            *noted = (now, 0);
        }
        noted.1 += 1;
        if noted.1 > limits::NOTED_REFUSALS {
            return;
        }
        let (engine, tenant) = (engine.by(caller.actor(from)), caller.grant().tenant.clone().unwrap_or_default());
        let path = route.path;
        tokio::spawn(async move {
            if let Err(error) = engine.note_refusal(code, path, &tenant).await {
                tracing::debug!(%error, "a refused call was not noted");
            }
        });
    }

    /// Whether callers need keys.
    pub fn is_closed(&self, engine: &Engine) -> bool {
        self.set.any || engine.has_keys()
    }

    /// Whether some setting opens everything.
    pub fn has_admin(&self) -> bool {
        !self.set.admins.is_empty()
    }

    /// Who calls a route.
    ///
    /// # Errors
    /// His key is missing or wrong.
    pub fn admit(
        &self,
        engine: &Engine,
        route: &Route,
        headers: &HeaderMap,
        from: Option<IpAddr>,
    ) -> Result<Caller, Refused> {
        let is_open = match route.access {
            Access::Everyone => true,
            Access::Metrics => !self.set.close_metrics,
            _ => false,
        };
        if is_open || !self.is_closed(engine) {
            return Ok(Caller::Nobody);
        }
        let caller = match sent(headers) {
            // Nothing is noted of who shows none: browsers and probes do so all the while.
            None => return Err(unauthorized("send a key: Authorization: Bearer KEY, or X-API-Key: KEY")),
            Some(text) => self.caller(engine, text).map_err(|why| self.bad.refused(why, from)),
        };
        let caller = caller.inspect_err(|it| self.note(engine, &Caller::Nobody, route, from, it.code.code))?;
        Ok(caller)
    }

    /// Counts a call of a route that not everyone may call, unless its caller calls too much.
    ///
    /// # Errors
    /// He does.
    pub fn count(&self, caller: &Caller, route: &Route, from: Option<IpAddr>) -> Result<Option<UnderWay>, Refused> {
        let CallLimits { rate, at_once } = self.limits;
        let (who, rate) = match (caller, from) {
            (Caller::Holder(held, _), _) => (Counted::Key(held.id), held.key.grant.rate.or(rate)),
            (Caller::Nobody, Some(from)) if route.access.scope().is_some() => (Counted::Address(from), rate),
            _ => return Ok(None),
        };
        self.rates.begin(who, rate, at_once).map(Some)
    }

    fn caller(&self, engine: &Engine, text: &str) -> Result<Caller, KeyError> {
        let digest = Digest::of(text);
        // Each is looked at, whichever it is.
        if self.set.admins.iter().fold(false, |found, it| found | (*it == digest)) {
            return Ok(Caller::Setting);
        }
        let text: KeyText = text.parse().map_err(|()| KeyError::Unknown)?;
        engine.holder(&text).map(|held| Caller::Holder(held, text))
    }
}

/// The key that a request carries.
fn sent(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    let bearer = text(AUTHORIZATION.as_str()).and_then(|it| it.split_once(' '));
    let bearer = bearer.filter(|(word, _)| word.eq_ignore_ascii_case("bearer")).map(|(_, key)| key.trim());
    bearer.or_else(|| text("x-api-key")).filter(|it| !it.is_empty())
}

/// Whether this caller may call this route.
///
/// # Errors
/// His key grants too little.
pub(crate) fn may(caller: &Caller, route: &Route) -> Result<(), Refused> {
    let (grant, Some(scope)) = (caller.grant(), route.access.scope()) else { return Ok(()) };
    if !grant.has(scope) {
        let scopes: Vec<_> = grant.scopes.iter().map(|it| it.as_str()).collect();
        let detail = format!(
            "this needs a key with the scope {}; the one that was sent has {}",
            scope.as_str(),
            scopes.join(", ")
        );
        return Err(Refused::new(FORBIDDEN, detail));
    }
    match &grant.tenant {
        Some(tenant) if route.access.is_of_everybody() => {
            Err(Refused::new(FORBIDDEN, format!("this concerns all tenants; the key that was sent is of {tenant:?}")))
        }
        _ => Ok(()),
    }
}

/// No key, or none that opens anything.
pub(crate) fn unauthorized(detail: &str) -> Refused {
    Refused::new(UNAUTHORIZED, detail).challenge()
}

/// The key was ended while it was used.
pub(crate) fn ended() -> Refused {
    unauthorized("this key was revoked or has expired; send another one")
}

/// Bad keys that were sent lately, by who sent them. Who has a good one is never held up by those of others behind the same
/// address: behind a proxy all have one.
#[derive(Default)]
struct BadKeys(Mutex<HashMap<IpAddr, Tries>>);

#[derive(Clone, Copy)]
struct Tries {
    since: Instant,
    count: u32,
}

impl BadKeys {
    fn refused(&self, why: KeyError, from: Option<IpAddr>) -> Refused {
        let Some(from) = from else { return unauthorized(&said(why)) };
        let now = Instant::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= limits::BAD_KEY_ADDRESSES {
            all.retain(|_, it| now.duration_since(it.since) < limits::BAD_KEYS_PER);
        }
        if all.len() >= limits::BAD_KEY_ADDRESSES && !all.contains_key(&from) {
            return too_many_bad(limits::BAD_KEYS_PER);
        }
        let tries = all.entry(from).or_insert(Tries { since: now, count: 0 });
        if now.duration_since(tries.since) >= limits::BAD_KEYS_PER {
            *tries = Tries { since: now, count: 0 };
        }
        tries.count = tries.count.saturating_add(1);
        match tries.count > limits::BAD_KEYS {
            true => too_many_bad(limits::BAD_KEYS_PER.saturating_sub(now.duration_since(tries.since))),
            false => unauthorized(&said(why)),
        }
    }
}

fn said(why: KeyError) -> String {
    format!("{why}; send another one")
}

fn too_many_bad(after: Duration) -> Refused {
    let seconds = u32::try_from(after.as_secs()).unwrap_or(u32::MAX).max(1);
    let detail = "too many bad keys came from this address; a good one is let in all the same";
    Refused::new(TOO_MANY_BAD_KEYS, detail).quota("bad_keys", limits::BAD_KEYS as usize, seconds)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_comes_in_one_of_two_headers() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let headers: HeaderMap =
                pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect();
            sent(&headers).map(str::to_owned)
        };
        assert_eq!(of(&[("authorization", "Bearer a")]).as_deref(), Some("a"));
        assert_eq!(of(&[("authorization", "bearer  a ")]).as_deref(), Some("a"));
        assert_eq!(of(&[("x-api-key", "b")]).as_deref(), Some("b"));
        assert_eq!(of(&[("authorization", "Basic x"), ("x-api-key", "b")]).as_deref(), Some("b"));
        for none in [&[][..], &[("authorization", "Bearer ")], &[("authorization", "a")], &[("x-api-key", "")]] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }

    #[test]
    fn bad_keys_are_counted_by_who_sends_them() {
        let bad = BadKeys::default();
        let code = |from: u8| bad.refused(KeyError::Unknown, Some(IpAddr::from([10, 0, 0, from]))).code;
        for _ in 0..limits::BAD_KEYS {
            assert_eq!(code(1), UNAUTHORIZED);
        }
        assert_eq!((code(1), code(2)), (TOO_MANY_BAD_KEYS, UNAUTHORIZED));
    }
}
