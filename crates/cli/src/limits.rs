//! Limits as the command line says them: `KEY=3`, `100/1m`, `KEY=100/1m`.

use serde::Serialize;
use tasklane_core::limit;
use tasklane_wire::duration;
use tasklane_wire::gate::{LimitsShape, RateShape};

/// A limit of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Limit {
    key: String,
    #[serde(flatten)]
    limits: LimitsShape,
}

/// `N/TIME`: so many starts in any span of this length.
pub(crate) fn rate(text: &str) -> Result<RateShape, String> {
    let odd = || format!("{text:?} is no rate; write it like 100/1m");
    let (count, per) = text.split_once('/').ok_or_else(odd)?;
    let count = count.parse().map_err(|_| odd())?;
    let per = duration::parse(per).map_err(|why| format!("{text:?}: {why}"))?;
    let (least, most) = (*limit::RATE_PER.start(), *limit::RATE_PER.end());
    if !limit::RATE_COUNT.contains(&count) || !limit::RATE_PER.contains(&per) {
        let (counts, [least, most]) = (limit::RATE_COUNT, [least, most].map(duration::format));
        return Err(format!(
            "a rate is of {} to {} starts, in {least} to {most}, not {text}",
            counts.start(),
            counts.end()
        ));
    }
    Ok(RateShape { count, per })
}

/// `KEY=N`, or a key alone: its gate is passed as it is.
pub(crate) fn of_key(text: &str) -> Result<Limit, String> {
    let Some((key, most)) = text.rsplit_once('=') else {
        return Ok(Limit { key: text.to_owned(), limits: LimitsShape::default() });
    };
    let most: u32 = most.parse().map_err(|_| format!("{text:?} is no limit; write it like smtp=3, or smtp alone"))?;
    Ok(Limit { key: key.to_owned(), limits: LimitsShape::running(most) })
}

/// `KEY=N/TIME`.
pub(crate) fn rate_of_key(text: &str) -> Result<Limit, String> {
    let odd = || format!("{text:?} is no rate of a key; write it like smtp=100/1m");
    let (key, of_key) = text.rsplit_once('=').ok_or_else(odd)?;
    Ok(Limit { key: key.to_owned(), limits: LimitsShape { rate: Some(rate(of_key)?), ..LimitsShape::default() } })
}

/// One limit a key, of all that was said; else what was said twice.
pub(crate) fn joined<'l>(said: impl IntoIterator<Item = &'l Limit>) -> Result<Vec<Limit>, String> {
    let mut all: Vec<Limit> = Vec::new();
    for Limit { key, limits } in said {
        let Some(known) = all.iter_mut().find(|it| it.key == *key) else {
            all.push(Limit { key: key.clone(), limits: *limits });
            continue;
        };
        let (before, more) = (known.limits, limits);
        if before.max_running.and(more.max_running).is_some() || before.rate.and(more.rate).is_some() {
            return Err(format!("the key {key:?} is limited twice"));
        }
        known.limits =
            LimitsShape { max_running: before.max_running.or(more.max_running), rate: before.rate.or(more.rate) };
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_rate_is_a_number_and_a_time() {
        assert_eq!(rate("100/1m").unwrap(), RateShape { count: 100, per: Duration::from_secs(60) });
        for odd in ["100", "1m", "x/1m", "0/1m", "1/10ms", "1/", "-1/1m", "1/1"] {
            assert!(rate(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_key_has_what_was_said_of_it() {
        let said = [of_key("a=b=3"), rate_of_key("a=b=5/1s"), of_key("open")].map(Result::unwrap);
        let json = serde_json::to_string(&joined(&said).unwrap()).unwrap();
        assert_eq!(json, r#"[{"key":"a=b","max_running":3,"rate":{"count":5,"per":"1s"}},{"key":"open"}]"#);
        assert!(joined(&[of_key("a=1").unwrap(), of_key("a=2").unwrap()]).is_err());
        assert!(of_key("a=many").is_err() && rate_of_key("a").is_err() && rate_of_key("a=3").is_err());
    }
}
