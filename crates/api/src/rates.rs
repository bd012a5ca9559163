//! How often somebody may call, and how much at once: whoever has a key by that, whoever has none by his address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tasklane_core::key::{CallRate, KeyId};

use crate::error::{RATE_LIMITED, Refused, TOO_MANY_CALLS};
use crate::limits;

/// Bounds for everybody; a key may have a rate of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallLimits {
    /// How often each may call.
    pub rate: Option<CallRate>,
    /// How many calls of each may be under way.
    pub at_once: Option<u32>,
}

/// Who is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    /// The holder of this key.
    Key(KeyId),
    /// Whoever calls from there without one.
    Address(IpAddr),
}

/// Counts calls.
#[derive(Default)]
pub(crate) struct Rates {
    /// When each may call next (the generic cell rate algorithm, ITU-T I.371: one moment each).
    due: Mutex<HashMap<Counted, Instant>>,
    under_way: Counts,
}

/// How many calls of each are under way.
type Counts = Arc<Mutex<HashMap<Counted, u32>>>;

/// A call under way.
pub(crate) struct UnderWay(Option<(Counted, Counts)>);

impl Rates {
    /// Counts a call, unless there are too many.
    ///
    /// # Errors
    /// There are; with when to try again.
    pub fn begin(&self, who: Counted, rate: Option<CallRate>, at_once: Option<u32>) -> Result<UnderWay, Refused> {
        if let Some(rate) = rate {
            self.take(who, rate, Instant::now()).map_err(|after| too_often(rate, after))?;
        }
        let Some(most) = at_once else { return Ok(UnderWay(None)) };
        let mut all = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(who).or_default();
        if *count >= most {
            let detail =
                format!("{most} calls of this caller are under way, and more may not be; wait for the end of one");
            return Err(Refused::new(TOO_MANY_CALLS, detail).quota("calls", most as usize, 1));
        }
        *count += 1;
        drop(all);
        Ok(UnderWay(Some((who, Arc::clone(&self.under_way)))))
    }

    /// Counts a call, or says how soon there will be room for one.
    fn take(&self, who: Counted, rate: CallRate, now: Instant) -> Result<(), Duration> {
        let mut all = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= limits::COUNTED_CALLERS {
            all.retain(|_, due| *due > now);
        }
        let due = all.entry(who).or_insert(now);
        let after = due.checked_duration_since(now).unwrap_or_default() + rate.per / rate.count.max(1);
        if after > rate.per {
            return Err(after - rate.per);
        }
        *due = now + after;
        Ok(())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Some((who, all)) = self.0.take() else { return };
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&who) {
            *count -= 1;
            if *count == 0 {
                all.remove(&who);
            }
        }
    }
}

fn too_often(CallRate { count, .. }: CallRate, after: Duration) -> Refused {
    let seconds = u32::try_from(after.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
    let detail = format!("this caller may call {count} times in its time; try again in {seconds} s");
    Refused::new(RATE_LIMITED, detail).quota("caller", count as usize, seconds)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use uuid::Uuid;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(n: u128) -> Counted {
        Counted::Key(KeyId(Uuid::from_u128(n)))
    }

    #[test]
    fn a_caller_calls_so_often_at_once_and_evenly_from_then_on() {
        let (rates, start) = (Rates::default(), Instant::now());
        let rate = CallRate { count: 4, per: 2 * SECOND };
        for _ in 0..4 {
            rates.take(key(1), rate, start).unwrap();
        }
        assert_eq!(rates.take(key(1), rate, start), Err(SECOND / 2));
        rates.take(key(2), rate, start).unwrap();
        rates.take(key(1), rate, start + SECOND / 2).unwrap();
        assert!(rates.take(key(1), rate, start + SECOND / 2).is_err());
        for _ in 0..4 {
            rates.take(key(1), rate, start + 10 * SECOND).unwrap();
        }
    }

    #[test]
    fn so_many_calls_are_under_way() {
        let rates = Rates::default();
        let address = Counted::Address(IpAddr::from([10, 0, 0, 7]));
        let first = rates.begin(address, None, Some(2)).unwrap();
        let _second = rates.begin(address, None, Some(2)).unwrap();
        assert_eq!(rates.begin(address, None, Some(2)).map(drop).unwrap_err().code, TOO_MANY_CALLS);
        rates.begin(key(1), None, Some(2)).unwrap();
        drop(first);
        rates.begin(address, None, Some(2)).unwrap();
        assert!(rates.begin(address, None, None).is_ok());
    }
}
