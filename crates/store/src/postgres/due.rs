//! Tasks whose moment has come, running or not: what promote and rescue have in common.

use std::time::Duration;

use tasklane_core::decision::Decision;
use tasklane_core::time::Timestamp;

use super::error::Result;
use super::row::Kept;
use super::session::Statement;
use super::turns::Joining;
use super::tx::{Ended, Tx};

const NEXT: Statement = Statement {
    sql: "SELECT least((SELECT min(due) FROM tasklane.tasks WHERE due IS NOT NULL), (SELECT min(at) FROM tasklane.alarms),
            (SELECT min(opens) FROM tasklane.gates WHERE opens IS NOT NULL))",
    types: &[],
};

impl Tx<'_> {
    /// Carries out what `decide` says of each, of at most `most`. Answers how many were decided.
    pub(crate) async fn decide_each(
        &mut self,
        due: &mut [Kept],
        mut decide: impl FnMut(&Kept, usize) -> Option<Decision>,
    ) -> Result<usize> {
        let (mut ended, mut freed, mut changed, mut decided) = (Ended::default(), Vec::new(), Vec::new(), 0);
        self.look_at_lines(due.iter().map(Joining::of)).await?;
        for kept in due {
            if let Some(decision) = decide(kept, decided) {
                if self.must_see_ends(&Joining::of(kept), decision.to) {
                    let ended = std::mem::take(&mut ended);
                    self.write(&std::mem::take(&mut changed), ended, std::mem::take(&mut freed)).await?;
                    self.see_ends(&Joining::of(kept)).await?;
                }
                freed.extend(self.apply(kept, decision, &mut ended));
                changed.push(&*kept);
                decided += 1;
            }
        }
        self.write(&changed, ended, freed).await?;
        Ok(decided)
    }

    /// Notes when something will next happen to any task, but not before `rest` is over.
    pub(crate) async fn look_ahead(&mut self, rest: Duration) -> Result<()> {
        let next: Option<i64> = self.session.row(&NEXT, &[]).await?.try_get(0)?;
        let earliest = self.now.plus(rest);
        self.will_be_due(next.map(|at| Timestamp::from_micros(at).max(earliest)));
        Ok(())
    }
}
