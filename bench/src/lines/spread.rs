//! `end_to_end` with its tasks spread over many: 100 tenants, then 1 000 lanes, then 1 000 gates of four, compared with all of them in one lane of
//! nobody's.

use crate::Failure;
use crate::lines::end_to_end::measure;
use crate::payload::Spread;
use crate::report::{Line, sample};
use crate::settings::Settings;

const TENANTS: usize = 100;
const LANES: usize = 1000;
const GATES: usize = 1000;

/// Prints the line `tenants`.
pub fn tenants(settings: &Settings) -> Result<(), Failure> {
    run(settings, "tenants", Spread { tenants: TENANTS, ..Spread::NONE })
}

/// Prints the line `lanes`.
pub fn lanes(settings: &Settings) -> Result<(), Failure> {
    run(settings, "lanes", Spread { queues: LANES, ..Spread::NONE })
}

/// Prints the line `gates`.
pub fn gates(settings: &Settings) -> Result<(), Failure> {
    run(settings, "gates", Spread { gates: GATES, ..Spread::NONE })
}

fn run(settings: &Settings, name: &'static str, spread: Spread) -> Result<(), Failure> {
    let one = match settings.known.end_to_end.get() {
        known if known.is_finite() => known,
        _ => measure(settings, 1, Spread::NONE)?.number("per_second"),
    };
    settings.known.end_to_end.set(one);
    Line { name, by: "per_second" }.measure(settings, || {
        let sample = measure(settings, 1, spread)?;
        let ratio = sample.number("per_second") / one;
        let spread = sample! { "tenants": spread.tenants, "lanes": spread.queues, "gates": spread.gates };
        Ok(spread.with(sample).with(sample! { "ratio": ratio }))
    })?;
    Ok(())
}
