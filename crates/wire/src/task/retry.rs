//! The back-off policy: `{initial, factor, max, jitter}`, or `{delays, jitter}`.

use std::time::Duration;

use tasklane_core::limit;
use tasklane_core::retry::Retry;

use crate::duration;
use crate::json::{Array, Object, Value, number};
use crate::read::{self, Findings, Path, put};

/// Beyond this factor a second attempt already waits for `max`.
const FACTOR_MOST: f64 = 1e6;

#[derive(Default)]
struct Draft {
    initial: Option<Duration>,
    factor: Option<f64>,
    max: Option<Duration>,
    jitter: Option<bool>,
    delays: Option<Vec<Duration>>,
}

/// Reads a policy; what is left out is as in the default one, but a list of delays has no jitter unless asked for: who
/// writes delays one by one means them.
pub(super) fn read(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<Retry> {
    let mut draft = Draft::default();
    read::object(value, at, findings, |key, value, at, findings| match key {
        "initial" => put(&mut draft.initial, read::duration(value, at, findings), at, findings),
        "factor" => put(&mut draft.factor, factor(value, at, findings), at, findings),
        "max" => put(&mut draft.max, read::duration(value, at, findings), at, findings),
        "jitter" => put(&mut draft.jitter, read::bool(value, at, findings), at, findings),
        "delays" => put(&mut draft.delays, Some(delays(value, at, findings)), at, findings),
        _ => findings.unknown(at),
    });
    match draft.delays.take() {
        Some(delays) => draft.listed(delays, at, findings),
        None => draft.exponential(at, findings),
    }
}

impl Draft {
    fn listed(self, delays: Vec<Duration>, at: &Path<'_>, findings: &mut Findings) -> Option<Retry> {
        if self.initial.is_some() || self.factor.is_some() || self.max.is_some() {
            findings.invalid(at, "give delays, or initial, factor and max");
            return None;
        }
        Some(Retry::Delays { delays, jitter: self.jitter.unwrap_or(false) })
    }

    fn exponential(self, at: &Path<'_>, findings: &mut Findings) -> Option<Retry> {
        let Retry::Exponential { mut initial, mut factor, mut max, mut jitter } = Retry::default() else { return None };
        initial = self.initial.unwrap_or(initial);
        factor = self.factor.unwrap_or(factor);
        max = self.max.unwrap_or(max);
        jitter = self.jitter.unwrap_or(jitter);
        if initial > max && self.initial.is_some() {
            findings.invalid(&at.key("initial"), format!("must not be over max ({})", duration::format(max)));
            return None;
        }
        Some(Retry::Exponential { initial, factor, max, jitter })
    }
}

fn factor(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Option<f64> {
    let Some(factor) = value.number() else {
        findings.wrong_type(at, "a number", value);
        return None;
    };
    if (1.0..=FACTOR_MOST).contains(&factor) {
        return Some(factor);
    }
    findings.invalid(at, "must be from 1 to 1000000");
    None
}

fn delays(value: Value<'_>, at: &Path<'_>, findings: &mut Findings) -> Vec<Duration> {
    let delays = read::array(value, at, limit::RETRY_DELAYS, findings, read::duration);
    if value.items().is_some_and(|mut it| it.next().is_none()) {
        findings.invalid(at, "must have at least one delay");
    }
    delays
}

/// Writes a policy.
pub(super) fn write(out: &mut Vec<u8>, retry: &Retry) {
    let mut object = Object::begin(out);
    let jitter = match retry {
        Retry::Exponential { initial, factor, max, jitter } => {
            object.word("initial", &duration::format(*initial));
            number(object.key("factor"), *factor);
            object.word("max", &duration::format(*max));
            *jitter
        }
        Retry::Delays { delays, jitter } => {
            let mut array = Array::begin(object.key("delays"));
            for delay in delays {
                array.item().extend_from_slice(format!("\"{}\"", duration::format(*delay)).as_bytes());
            }
            array.end();
            *jitter
        }
    };
    object.bool("jitter", jitter);
    object.end();
}
