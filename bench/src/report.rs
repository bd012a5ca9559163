//! What is printed: the median of the runs and all of them.

use std::io::Write;

use serde_json::{Value, json};

use crate::machine::Others;
use crate::settings::Settings;
use crate::{Failure, machine};

/// What one run measured, in the order it is printed.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<(String, Value)>);

impl Sample {
    /// Adds a figure.
    pub fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.push((name.to_owned(), figure(value)));
    }

    /// The same, with the figures of `more` behind its own.
    pub fn with(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// The number under `name`; NaN where there is none.
    pub fn number(&self, name: &str) -> f64 {
        self.value(name).as_f64().unwrap_or(f64::NAN)
    }

    fn value(&self, name: &str) -> &Value {
        self.0.iter().find(|(it, _)| it == name).map_or(&Value::Null, |(_, value)| value)
    }

    /// The members of a JSON object, without its braces.
    fn members(&self) -> String {
        let members: Vec<String> = self.0.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
        members.join(",")
    }
}

/// Builds a [`Sample`] from `"name": value` pairs.
macro_rules! sample {
    ($($name:literal: $value:expr),* $(,)?) => {{
        let mut sample = $crate::report::Sample::default();
        $(sample.put($name, $value);)*
        sample
    }};
}
pub(crate) use sample;

/// A number as it is printed: four digits that say something.
pub fn figure(value: impl Into<Value>) -> Value {
    match value.into() {
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap_or(f64::NAN);
            let digits = if float.abs() >= 1000.0 { 0 } else { 3 };
            let scale = 10f64.powi(digits);
            let rounded = (float * scale).round() / scale;
            if digits == 0 { json!(rounded as i64) } else { json!(rounded) }
        }
        other => other,
    }
}

/// A line to be: its name, and the figure by which its runs are ordered.
pub struct Line {
    /// `bench` in the output.
    pub name: &'static str,
    /// The figure whose median is shown.
    pub by: &'static str,
}

impl Line {
    /// Measures `reps` times, prints the median run with all values of its figure, and returns it.
    pub fn measure(
        &self,
        settings: &Settings,
        mut run: impl FnMut() -> Result<Sample, Failure>,
    ) -> Result<Sample, Failure> {
        let mut samples = Vec::new();
        for rep in 1..=settings.reps {
            let others = Others::watch(settings.postgres.pid());
            let mut sample = run().map_err(|failure| format!("{}: {failure}", self.name))?;
            sample.put("others_cores", others.cores(settings.postgres.pid()));
            say(&format!("{} {rep}/{}: {{{}}}", self.name, settings.reps, sample.members()));
            samples.push(sample);
        }
        let median = self.median(samples);
        self.print(settings, &median)?;
        Ok(median)
    }

    fn median(&self, mut samples: Vec<Sample>) -> Sample {
        let runs: Vec<Value> = samples.iter().map(|it| it.value(self.by).clone()).collect();
        samples.sort_by(|a, b| a.number(self.by).total_cmp(&b.number(self.by)));
        let mut median = samples.swap_remove(samples.len() / 2);
        median.put(&format!("runs_{}", self.by), runs);
        median
    }

    fn print(&self, settings: &Settings, sample: &Sample) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        writeln!(out, r#"{{"bench":"{}","store":"{}",{}}}"#, self.name, settings.store.word(), sample.members())?;
        out.flush()?;
        Ok(())
    }
}

/// Progress, on stderr.
pub fn say(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// A rate and the time it took.
pub fn rate(tasks: usize, seconds: f64) -> Sample {
    sample! { "tasks": tasks, "seconds": seconds, "per_second": tasks as f64 / seconds }
}

/// [`rate`] since `start` (ns, [`machine::monotonic_ns`]).
pub fn rate_since(tasks: usize, start: i64) -> Sample {
    rate(tasks, machine::seconds_since(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_run_is_printed_whole_and_the_others_by_their_figure() {
        let line = Line { name: "x", by: "per_second" };
        let median = line.median(vec![rate(1, 1.0), rate(100, 1.0), rate(10, 1.0)]);
        assert_eq!(median.number("tasks"), 10.0);
        assert_eq!(median.value("runs_per_second"), &json!([1.0, 100.0, 10.0]));
    }
}
