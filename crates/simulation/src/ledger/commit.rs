//! After a commit: was everything it answered right, given what was known before it, and may everything happen that did?

use std::collections::BTreeSet;
use std::sync::Arc;

use tasklane_core::checkpoint::Checkpointed;
use tasklane_core::decision::Next;
use tasklane_core::event::Transition;
use tasklane_core::hand::Hand;
use tasklane_core::lease::{Lease, LeaseKey};
use tasklane_core::limit;
use tasklane_core::ports::store::{Answers, Logged};
use tasklane_core::settle::Settled;
use tasklane_core::state::{Reason, State, permits};
use tasklane_core::task::TaskId;
use tasklane_core::time::Timestamp;

use super::{Known, Ledger, Lent, Seen};

/// Attempts whose outcome this commit wrote.
type Settlements = BTreeSet<LeaseKey>;

impl Ledger {
    /// Takes in what a commit at `now` answered, verb by verb in the order of the road.
    pub fn committed(&mut self, seen: &Seen, answers: &Answers, now: Timestamp) {
        self.tally.commits += 1;
        self.signs_of_life(seen, answers, now);
        let settled = self.settlements(seen, answers);
        self.hands(seen, answers);
        for transition in &answers.transitions {
            self.moved(transition, seen, &settled);
        }
        self.leases(seen, answers, now);
        self.gates(answers, now);
    }

    fn valid(&mut self, key: &LeaseKey) -> Option<&mut Lent> {
        let known = self.tasks.get_mut(&key.id)?;
        let runs = known.state == State::Running && known.attempt == key.attempt;
        known.lease.as_mut().filter(|lent| runs && lent.lease.token == key.token)
    }

    /// A write under a lease is answered as the lease is.
    fn write(&mut self, verb: &str, key: &LeaseKey, held: bool, change: impl FnOnce(&mut Lent)) {
        let lent = self.valid(key);
        let is_valid = lent.is_some();
        if let Some(lent) = lent.filter(|_| held) {
            change(lent);
        }
        self.demand(held == is_valid, || {
            let LeaseKey { id, attempt, .. } = key;
            format!("{verb} for {id} attempt {attempt} was answered {held}, though its lease is {is_valid}")
        });
    }

    fn signs_of_life(&mut self, seen: &Seen, answers: &Answers, now: Timestamp) {
        for (key, held) in seen.renew.iter().zip(&answers.renew) {
            self.write("a renewal", key, *held, |lent| lent.lease.renew(now));
        }
        for (key, held) in seen.progress.iter().zip(&answers.progress) {
            self.write("progress", key, *held, |lent| lent.lease.heard_at = now);
        }
        for (key, held) in seen.grace.iter().zip(&answers.grace) {
            let asked = self.tasks.get(&key.id).is_some_and(|it| it.cancel_requested);
            self.write("a grace", key, *held, |lent| {
                if asked {
                    lent.lease.grace_until.get_or_insert(now.plus(limit::CANCEL_GRACE));
                }
            });
        }
        for (key, logged) in seen.logs.iter().zip(&answers.logs) {
            self.write("a log", key, *logged != Logged::Lost, |lent| lent.lease.heard_at = now);
        }
        for (key, kept) in seen.checkpoints.iter().zip(&answers.checkpoints) {
            self.write("a checkpoint", key, *kept != Checkpointed::Lost, |lent| lent.lease.heard_at = now);
        }
    }

    fn settlements(&mut self, seen: &Seen, answers: &Answers) -> Settlements {
        let mut written = Settlements::new();
        for ((key, to, result), settled) in seen.settle.iter().zip(&answers.settle) {
            let is_valid = self.valid(key).is_some() && !written.contains(key);
            let LeaseKey { id, attempt, token } = *key;
            let known = self.tasks.get(&id);
            let before = known.and_then(|it| it.ended.get(&attempt).copied().flatten());
            let before = before == Some(token) || written.contains(key);
            let returned = known.and_then(|it| it.returned.get(&attempt));
            let is_returned = returned.is_some_and(|all| result.as_ref().is_some_and(|it| all.contains(it)));
            let right = match settled {
                Settled::Held => is_valid,
                Settled::Repeated => before && !is_valid,
                Settled::Lost => !is_valid,
            };
            self.demand(right, || {
                format!("an outcome of {id} attempt {attempt} was {settled:?}, its lease {is_valid}")
            });
            match settled {
                Settled::Held => {
                    let is_honest = *to != Next::Succeeded || is_returned;
                    self.demand(is_honest, || format!("{id} attempt {attempt} succeeded with what nobody returned"));
                    written.insert(*key);
                }
                Settled::Repeated => self.tally.repeated += 1,
                Settled::Lost => self.tally.late += 1,
            }
        }
        written
    }

    fn hands(&mut self, seen: &Seen, answers: &Answers) {
        for ((id, hand), answer) in seen.hand.iter().zip(&answers.hand) {
            let Ok(task) = answer else { continue };
            match (hand, self.tasks.get_mut(id)) {
                (Hand::Delete, Some(known)) => {
                    let is_final = known.state.is_final();
                    self.demand(is_final, || format!("{id} was deleted before its end"));
                    self.tasks.remove(id);
                    self.deleted.insert(*id);
                }
                (Hand::Cancel, Some(known)) if task.facts.state == State::Running => {
                    known.cancel_requested = true;
                    known.asked.get_or_insert(self.now);
                }
                _ => {}
            }
        }
    }

    fn moved(&mut self, moved: &Transition, seen: &Seen, settled: &Settlements) {
        let Transition { task, from, to, reason, attempt, at, .. } = *moved;
        self.demand(permits(from, to, reason), || format!("{task}: {from:?} -> {to} for {reason} is not in the table"));
        let Some(mut known) = self.tasks.remove(&task) else { return self.accepted(moved, seen) };
        let next = known.attempt + u32::from(to == State::Running);
        self.demand(from == Some(known.state), || format!("{task} was {}, not {from:?}", known.state));
        self.demand(attempt == next, || format!("{task}: attempt {attempt} after {}", known.attempt));
        self.demand(at >= known.moved_at, || format!("{task} moved before it had moved"));
        if from == Some(State::Running) {
            self.ended(&mut known, moved, settled);
        }
        if reason == Reason::Retried {
            known.spent = 0;
        }
        (known.state, known.attempt, known.moved_at, known.since) = (to, attempt, at, self.now);
        self.tasks.insert(task, known);
    }

    fn accepted(&mut self, moved: &Transition, seen: &Seen) {
        let Transition { task, from, to, attempt, at, .. } = *moved;
        self.demand(from.is_none() && attempt == 0, || format!("{task} moved and was never accepted"));
        let Some((number, spec, limits)) = seen.accept.get(&task) else {
            return self.break_law(|| format!("{task} was accepted and nobody submitted it"));
        };
        let (is_sent, is_new) = (self.sent.contains(number), self.accepted.insert(*number));
        self.demand(is_sent, || format!("{task} was accepted with number {number}, which nobody sent"));
        // An id of the caller's own is remembered as long as its task: once that was deleted, the id makes a task again.
        let is_again = self.deleted.contains(&task);
        self.demand(is_new || is_again, || format!("number {number} was accepted twice, now as {task}"));
        let known = Known {
            state: to,
            attempt,
            since: self.now,
            spent: 0,
            spec: Arc::clone(spec),
            limits: Arc::clone(limits),
            cancel_requested: false,
            asked: None,
            moved_at: at,
            lease: None,
            given: Default::default(),
            ended: Default::default(),
            returned: Default::default(),
        };
        self.tasks.insert(task, known);
    }

    /// An attempt ends once: by an outcome under its valid lease, or because a time of it was over.
    fn ended(&mut self, known: &mut Known, moved: &Transition, settled: &Settlements) {
        let Transition { task, to, reason, at, .. } = *moved;
        let (attempt, lent) = (known.attempt, known.lease.take());
        let by_outcome = lent.as_ref().map(|it| LeaseKey { id: task, attempt, token: it.lease.token });
        let by_outcome = by_outcome.filter(|key| settled.contains(key));
        let is_first = known.ended.insert(attempt, by_outcome.map(|it| it.token)).is_none();
        self.demand(is_first, || format!("{task} attempt {attempt} ended twice"));
        if by_outcome.is_some() {
            let is_obeyed = !known.cancel_requested || to == State::Cancelled;
            self.demand(is_obeyed, || format!("{task} was to be cancelled, and an outcome made it {to}"));
        } else {
            let is_over = lent.is_some_and(|it| it.is_over(known, at));
            self.demand(is_over, || format!("{task} attempt {attempt} was ended ({reason}) before its time was over"));
            self.tally.leases_lost += 1;
        }
        self.tally.cancelled += u64::from(known.cancel_requested);
        (known.cancel_requested, known.asked) = (false, None);
    }

    fn leases(&mut self, seen: &Seen, answers: &Answers, now: Timestamp) {
        for (worker, leased) in seen.lease.iter().zip(&answers.lease) {
            for task in leased {
                let LeaseKey { id, attempt, token } = task.key();
                let length = task.facts.lease.as_ref().map(|it| it.length).unwrap_or_default();
                let Some(known) = self.tasks.get_mut(&id) else {
                    return self.break_law(|| format!("{id} was leased and is not there"));
                };
                let runs = known.state == State::Running && known.attempt == attempt;
                let is_new = known.given.insert(attempt, (token, Arc::clone(worker))).is_none();
                known.lease = Some(Lent { lease: Lease::begun(token, length, now), started: now });
                self.demand(runs && is_new, || format!("{id} attempt {attempt} was given away twice"));
            }
        }
    }

    /// The first task that runs without anybody having been given it, if there is one.
    pub(super) fn unlent(&self) -> Option<TaskId> {
        self.tasks.iter().find(|(_, it)| (it.state == State::Running) != it.lease.is_some()).map(|(id, _)| *id)
    }
}

impl Lent {
    /// Whether something ends the attempt at `at` by itself.
    fn is_over(&self, known: &Known, at: Timestamp) -> bool {
        let (spec, lease) = (&known.spec, &self.lease);
        let silent = spec.heartbeat_timeout.is_some_and(|it| lease.heard_at.plus(it) <= at);
        let slow = spec.attempt_timeout.is_some_and(|it| self.started.plus(it) <= at);
        let told = known.cancel_requested && lease.grace_until.is_some_and(|it| it <= at);
        let late = spec.deadline.is_some_and(|it| it <= at);
        lease.until <= at || silent || slow || told || late
    }
}
