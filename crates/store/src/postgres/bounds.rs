//! Where in a lane to begin to look for what may be leased. Before the first task of a lane may lie thousands of index
//! entries of tasks that were leased, which the database may not take away yet: while somebody holds an old snapshot, not for
//! hours. So a server remembers for each lane a frontier, before which it found nothing.
//!
//! What comes in before it is known: this server's own commits say so, other servers' hints do, and a hint that was lost is
//! made up for by looking at the whole lane now and then, the less often the longer that takes.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use foldhash::fast::RandomState;
use tasklane_core::limit;

use super::ahead::Line;
pub(crate) use super::standing::{Arrivals, BEGINNING, END, Place, Ranges, Span, arrived};
use super::standing::{Standing, add};
use crate::encoding::LaneNo;

/// A whole look takes at most this part of the time.
const SHARE: u32 = 20;
/// The shortest time between two whole looks at a lane.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The longest.
const LOOK_AT_LEAST: Duration = Duration::from_secs(10);
/// Arrivals in a lane that are remembered for looks under way.
const REMEMBERED: usize = 64;
/// Most strands that one look looks at whole.
pub(super) const WHOLE: usize = 200;
/// Most urgencies before the frontier that are told apart; a lane of more is looked at whole.
const RANGES: usize = 100;

/// What is known of a lane.
pub(super) struct Known {
    standing: Standing,
    /// When it is to be looked at whole again.
    whole_again: Duration,
    /// Grows when a look that is under way can tell nothing any more: one at the whole lane was quicker, or a commit failed.
    pub(super) epoch: u64,
    /// Bytes of a payload, as the last look found them.
    payload: usize,
    /// How often something has come, and what came lately.
    pub(super) arrivals: u64,
    lately: VecDeque<(u64, Ranges)>,
    /// What was read and not taken.
    pub(super) ahead: Option<Line>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            standing: Standing::unknown(),
            whole_again: Duration::ZERO,
            epoch: 0,
            payload: 0,
            arrivals: 0,
            lately: VecDeque::default(),
            ahead: None,
        }
    }
}

impl Known {
    /// The lane is to be looked at whole, and nothing that is under way counts.
    fn begin_anew(&mut self) {
        self.whole_again = Duration::ZERO;
        self.epoch += 1;
        self.ahead = None;
    }

    /// The parts that may hold something; `own` came in by the commit under way.
    fn parts(&self, lane: LaneNo, own: &Arrivals, spans: &mut Vec<Span>) {
        match own.get(&lane) {
            None => spans.extend(self.standing.spans(lane)),
            Some(came) => {
                let mut standing = self.standing.clone();
                standing.let_in(came);
                spans.extend(standing.spans(lane));
            }
        }
    }

    fn is_to_be_looked_at_whole(&self, now: Duration) -> bool {
        now >= self.whole_again || self.standing.parts() > RANGES
    }
}

/// A lane of a look, with its epoch and how many arrivals it had had when the look began.
pub(super) struct Seen {
    pub lane: LaneNo,
    pub epoch: u64,
    pub arrivals: u64,
    whole: bool,
}

/// A look at lanes, until its commit is over.
#[derive(Default)]
pub(crate) struct Look {
    pub(super) lanes: Vec<Seen>,
    /// Places that were taken.
    taken: HashMap<LaneNo, BTreeMap<i16, i64>, RandomState>,
    /// Fewer were found than were wanted.
    short: bool,
    /// Of these lanes all was taken.
    emptied: HashSet<LaneNo, RandomState>,
    /// Not all that was found was taken.
    left: bool,
    /// Those that were to be looked at whole were, for so long.
    whole: Option<Duration>,
    /// More were locked than were taken.
    cut: bool,
    /// Bytes of a payload: of the largest before the look, then of those that were found.
    payload: usize,
}

impl Look {
    /// One of these was taken.
    pub(crate) fn took(&mut self, lane: LaneNo, (urgency, rank): Place) {
        let last = self.taken.entry(lane).or_default().entry(urgency).or_insert(rank);
        *last = rank.max(*last);
    }

    /// How many of these tasks one lease has room for, as far as is known.
    pub(crate) fn room(&self) -> usize {
        limit::LEASE_BYTES.checked_div(self.payload).unwrap_or(usize::MAX).saturating_add(1)
    }

    /// So many were found, whose payloads have so many bytes together.
    pub(crate) fn found(&mut self, tasks: usize, bytes: usize) {
        self.payload = bytes.checked_div(tasks).unwrap_or(self.payload);
    }

    /// More were locked than were taken: whoever looked meanwhile passed over what is free again.
    pub(crate) fn was_cut(&mut self) {
        self.cut = true;
    }

    /// No more were found.
    pub(crate) fn came_short(&mut self) {
        self.short = true;
    }

    /// Not all that was found was taken.
    pub(crate) fn left_some(&mut self) {
        (self.short, self.left) = (false, true);
    }

    /// Of this lane there was no more.
    pub(crate) fn came_short_in(&mut self, lane: LaneNo) {
        self.emptied.insert(lane);
    }

    /// Whether all that was found was taken, as far as is known.
    pub(crate) fn is_all_taken(&self) -> bool {
        !self.left && !self.cut
    }

    /// All of the lanes were looked at, or will be by as many looks, for so long together.
    pub(crate) fn was_whole(&mut self, took: Duration) {
        self.whole = Some(took);
    }
}

/// How to look: at all of the lanes, or at these parts of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Whole,
    Spans(Vec<Span>),
}

/// What a server knows of lanes.
#[derive(Default)]
pub(crate) struct Bounds {
    pub(super) lanes: HashMap<LaneNo, Known, RandomState>,
    /// How many tasks were remembered since all were forgotten.
    pub(super) ahead: usize,
}

impl Bounds {
    /// How to look at these lanes at `now`, by a clock that does not go back; `own` came in by the commit under way.
    pub(crate) fn plan(&mut self, lanes: &[i32], own: &Arrivals, now: Duration) -> (Plan, Look) {
        let (mut spans, mut whole, mut look) = (Vec::new(), false, Look::default());
        for lane in lanes.iter().map(|no| LaneNo(*no as u32)) {
            let known = self.lanes.entry(lane).or_default();
            look.lanes.push(Seen { lane, epoch: known.epoch, arrivals: known.arrivals, whole: true });
            let before = spans.len();
            known.parts(lane, own, &mut spans);
            whole |= known.is_to_be_looked_at_whole(now);
            if spans.len() > before {
                look.payload = look.payload.max(known.payload);
            }
        }
        (if whole { Plan::Whole } else { Plan::Spans(spans) }, look)
    }

    /// How to look at each of these lanes and strands by itself: a few of them whole, where it is time, of the others what
    /// may hold something. [`Look::was_whole`] is of the few.
    pub(crate) fn plan_each(&mut self, lanes: &[LaneNo], own: &Arrivals, now: Duration) -> (Vec<Span>, Look) {
        let (mut spans, mut whole, mut look) = (Vec::new(), 0, Look::default());
        for lane in lanes.iter().copied() {
            let known = self.lanes.entry(lane).or_default();
            let is_whole = whole < WHOLE && known.is_to_be_looked_at_whole(now);
            let before = spans.len();
            if is_whole {
                whole += 1;
                spans.push(Span { lane, from: BEGINNING, to: END });
            } else {
                known.parts(lane, own, &mut spans);
            }
            if spans.len() > before {
                look.lanes.push(Seen { lane, epoch: known.epoch, arrivals: known.arrivals, whole: is_whole });
                look.payload = look.payload.max(known.payload);
            }
        }
        (spans, look)
    }

    /// Whether this lane or strand is worth a look.
    pub(crate) fn is_to_be_looked_at(&self, lane: LaneNo, now: Duration) -> bool {
        let known = self.lanes.get(&lane);
        known.is_none_or(|known| known.standing.may_hold() || known.is_to_be_looked_at_whole(now))
    }

    /// Whether something may stand in this lane or strand.
    pub(crate) fn may_hold(&self, lane: LaneNo) -> bool {
        self.lanes.get(&lane).is_none_or(|known| known.standing.may_hold())
    }

    /// A commit is over: what was taken by it and what came in.
    pub(crate) fn landed(&mut self, looks: Vec<Look>, arrivals: &Arrivals, now: Duration) {
        looks.iter().for_each(|look| self.looked(look, now));
        self.arrived(arrivals);
    }

    /// Tasks came into lanes, by a commit of this server or another.
    pub(crate) fn arrived(&mut self, arrivals: &Arrivals) {
        for (lane, came) in arrivals {
            let Some(known) = self.lanes.get_mut(lane) else { continue };
            known.standing.let_in(came);
            known.ahead.iter_mut().for_each(|line| line.let_in(came));
            known.arrivals += 1;
            known.lately.push_back((known.arrivals, came.clone()));
            if known.lately.len() > REMEMBERED
                && let Some((_, oldest)) = known.lately.pop_front()
                && let Some((_, next)) = known.lately.front_mut()
            {
                // Remembered with the next: who began between the two takes it for newer than it is.
                oldest.into_iter().for_each(|(urgency, range)| add(next, urgency, range));
            }
        }
    }

    /// Anything may have happened in any lane.
    pub(crate) fn forget(&mut self) {
        self.lanes.values_mut().for_each(Known::begin_anew);
    }

    /// The commit of a look failed: what it held back is still there.
    pub(crate) fn failed(&mut self, looks: &[Look]) {
        for Seen { lane, .. } in looks.iter().flat_map(|look| &look.lanes) {
            self.lanes.entry(*lane).or_default().begin_anew();
        }
    }

    fn looked(&mut self, look: &Look, now: Duration) {
        for Seen { lane, epoch, arrivals: before, whole } in &look.lanes {
            let Some(known) = self.lanes.get_mut(lane).filter(|known| known.epoch == *epoch) else { continue };
            let since: Vec<Ranges> =
                known.lately.iter().filter(|(version, _)| version > before).map(|(_, came)| came.clone()).collect();
            if let Some(took) = look.whole.filter(|_| *whole) {
                known.whole_again = now + (took * SHARE).clamp(LOOK_EVERY, LOOK_AT_LEAST);
                known.epoch += 1;
                known.standing = Standing::unknown();
            }
            if look.taken.contains_key(lane) {
                known.payload = look.payload;
            }
            if look.cut {
                known.begin_anew();
                continue;
            }
            let short = look.short || look.emptied.contains(lane);
            known.standing.took(look.taken.get(lane).unwrap_or(&BTreeMap::new()), short);
            since.iter().for_each(|came| known.standing.let_in(came));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const LANE: LaneNo = LaneNo(1);

    fn came(place: Place) -> Arrivals {
        let mut arrivals = Arrivals::default();
        arrived(&mut arrivals, LANE, place);
        arrivals
    }

    fn look(bounds: &mut Bounds) -> Look {
        bounds.plan(&[1], &Arrivals::default(), NOW).1
    }

    fn land(bounds: &mut Bounds, mut look: Look, taken: &[Place]) {
        taken.iter().for_each(|place| look.took(LANE, *place));
        bounds.landed(vec![look], &Arrivals::default(), NOW);
    }

    /// A lane that was looked at whole, where what stood at these places was taken.
    fn whole(taken: &[Place]) -> Bounds {
        let mut bounds = Bounds::default();
        let mut look = look(&mut bounds);
        look.was_whole(Duration::from_millis(1));
        land(&mut bounds, look, taken);
        bounds
    }

    fn plan(bounds: &mut Bounds) -> Plan {
        bounds.plan(&[1], &Arrivals::default(), NOW).0
    }

    fn span(from: Place, to: Place) -> Span {
        Span { lane: LANE, from, to }
    }

    #[test]
    fn a_look_begins_where_the_last_one_ended() {
        assert_eq!(plan(&mut Bounds::default()), Plan::Whole);
        let mut bounds = whole(&[(0, 5), (0, 9)]);
        assert_eq!(plan(&mut bounds), Plan::Spans(vec![span((0, 9), END)]), "the less urgent behind it too");
    }

    #[test]
    fn what_comes_in_before_is_found_and_nothing_else_looked_through() {
        let mut bounds = whole(&[(0, 9)]);
        for place in [(0, 4), (-2, 7), (-2, 8), (0, 12)] {
            bounds.arrived(&came(place));
        }
        let before = [span((-2, 7), (-2, 8)), span((0, 4), (0, 4)), span((0, 9), END)];
        assert_eq!(plan(&mut bounds), Plan::Spans(before.to_vec()));
        let look = look(&mut bounds);
        land(&mut bounds, look, &[(-2, 7), (-2, 8)]);
        assert_eq!(
            plan(&mut bounds),
            Plan::Spans([span((-2, 8), (-2, 8)), span((0, 4), (0, 4)), span((0, 9), END)].to_vec())
        );
    }

    #[test]
    fn what_comes_in_while_a_commit_looks_is_not_passed_over() {
        let mut bounds = whole(&[(0, 1)]);
        let mut look = look(&mut bounds);
        bounds.arrived(&came((0, 5)));
        look.came_short();
        land(&mut bounds, look, &[(0, 9)]);
        assert_eq!(plan(&mut bounds), Plan::Spans(vec![span((0, 5), (0, 5))]));
    }

    #[test]
    fn an_empty_lane_is_not_looked_at_until_something_comes() {
        let mut bounds = whole(&[(0, 9)]);
        let mut short = look(&mut bounds);
        short.came_short();
        land(&mut bounds, short, &[]);
        assert_eq!(plan(&mut bounds), Plan::Spans(Vec::new()));
        let own = bounds.plan(&[1], &came((0, 12)), NOW).0;
        assert_eq!(own, Plan::Spans(vec![span((0, 9), END)]), "what the same commit brings in is found");
        bounds.arrived(&came((0, 11)));
        assert_eq!(plan(&mut bounds), Plan::Spans(vec![span((0, 9), END)]));
    }

    #[test]
    fn a_whole_look_at_a_lane_that_was_thought_empty_shows_what_it_left() {
        let mut bounds = whole(&[(0, 9)]);
        let mut short = look(&mut bounds);
        short.came_short();
        land(&mut bounds, short, &[]);
        [(0, 4), (0, 5)].iter().for_each(|place| bounds.arrived(&came(*place)));
        bounds.forget();
        let (plan_of_all, mut all) = bounds.plan(&[1], &Arrivals::default(), NOW);
        assert_eq!(plan_of_all, Plan::Whole);
        all.was_whole(Duration::from_millis(1));
        land(&mut bounds, all, &[(0, 4)]);
        assert_eq!(plan(&mut bounds), Plan::Spans(vec![span((0, 4), END)]));
    }

    #[test]
    fn a_lane_is_looked_at_whole_now_and_then_and_the_slower_the_less_often() {
        let mut bounds = Bounds::default();
        let mut look = look(&mut bounds);
        look.was_whole(Duration::from_millis(200));
        land(&mut bounds, look, &[]);
        let mut at = |after: u64| bounds.plan(&[1], &Arrivals::default(), NOW + Duration::from_millis(after)).0;
        assert!(matches!(at(3_999), Plan::Spans(_)));
        assert_eq!(at(4_000), Plan::Whole);
    }

    #[test]
    fn a_commit_that_failed_left_what_it_took() {
        let mut bounds = whole(&[(0, 9)]);
        let look = look(&mut bounds);
        bounds.failed(&[look]);
        assert_eq!(plan(&mut bounds), Plan::Whole);
    }

    #[test]
    fn more_than_is_remembered_is_remembered_together() {
        let mut bounds = whole(&[(0, 1)]);
        let look = look(&mut bounds);
        (0..REMEMBERED as i64 + 2).for_each(|it| bounds.arrived(&came((0, 10 + it))));
        land(&mut bounds, look, &[(0, 90)]);
        assert_eq!(plan(&mut bounds), Plan::Spans(vec![span((0, 10), (0, 75)), span((0, 90), END)]));
    }

    #[test]
    fn no_more_is_looked_for_than_one_lease_has_room_for() {
        let mut bounds = whole(&[(0, 1)]);
        assert_eq!(look(&mut bounds).room(), usize::MAX);
        let mut heavy = look(&mut bounds);
        heavy.found(4, limit::LEASE_BYTES);
        land(&mut bounds, heavy, &[(0, 2)]);
        assert_eq!(look(&mut bounds).room(), 5);
        let mut light = look(&mut bounds);
        light.found(10, 10);
        land(&mut bounds, light, &[(0, 3)]);
        assert_eq!(look(&mut bounds).room(), limit::LEASE_BYTES + 1);
    }

    #[test]
    fn what_was_locked_and_not_taken_is_looked_at_again() {
        let mut bounds = whole(&[(0, 1)]);
        let (mut cut, beyond) = (look(&mut bounds), look(&mut bounds));
        land(&mut bounds, beyond, &[(5, 90)]);
        cut.was_cut();
        cut.found(2, limit::LEASE_BYTES);
        land(&mut bounds, cut, &[(0, 2)]);
        let (plan, next) = bounds.plan(&[1], &Arrivals::default(), NOW);
        assert_eq!((plan, next.room()), (Plan::Whole, 3));
    }

    #[test]
    fn a_lane_of_which_nothing_is_left_makes_no_other_lane_heavy() {
        let mut bounds = whole(&[(0, 1)]);
        let mut last = look(&mut bounds);
        last.found(1, limit::LEASE_BYTES);
        last.came_short();
        land(&mut bounds, last, &[(0, 2)]);
        assert_eq!(look(&mut bounds).room(), usize::MAX);
        bounds.arrived(&came((0, 3)));
        assert_eq!(look(&mut bounds).room(), 2);
    }

    #[test]
    fn a_look_that_began_before_a_whole_one_landed_tells_nothing() {
        let mut bounds = whole(&[(0, 100)]);
        let early = look(&mut bounds);
        bounds.forget();
        let (plan_of_all, mut all) = bounds.plan(&[1], &Arrivals::default(), NOW);
        assert_eq!(plan_of_all, Plan::Whole);
        all.was_whole(Duration::from_millis(1));
        land(&mut bounds, all, &[(0, 10)]);
        land(&mut bounds, early, &[(0, 110)]);
        assert_eq!(plan(&mut bounds), Plan::Spans(vec![span((0, 10), END)]));
    }
    #[test]
    fn each_of_several_is_looked_at_by_itself() {
        let (mut bounds, other) = (whole(&[(0, 9)]), LaneNo(u32::MAX));
        bounds.arrived(&came((0, 4)));
        let (spans, mut look) = bounds.plan_each(&[LANE, other], &Arrivals::default(), NOW);
        let unknown = Span { lane: other, from: BEGINNING, to: END };
        assert_eq!(spans, [span((0, 4), (0, 4)), span((0, 9), END), unknown]);
        look.was_whole(Duration::from_millis(1));
        look.came_short_in(other);
        bounds.landed(vec![look], &Arrivals::default(), NOW);
        assert!(bounds.may_hold(LANE) && !bounds.may_hold(other) && bounds.may_hold(LaneNo(7)));
        let (spans, look) = bounds.plan_each(&[other, LANE], &Arrivals::default(), NOW);
        assert_eq!((spans, look.is_all_taken()), (vec![span((0, 4), (0, 4)), span((0, 9), END)], true));
        let mut arrivals = Arrivals::default();
        arrived(&mut arrivals, other, (0, 1));
        let (spans, _) = bounds.plan_each(&[other], &arrivals, NOW);
        assert_eq!(spans, [unknown], "what the commit under way brings in");
        bounds.arrived(&arrivals);
        assert!(bounds.may_hold(other));
    }

    #[test]
    fn few_of_many_strands_are_looked_at_whole_at_a_time() {
        let mut bounds = Bounds::default();
        let strands: Vec<LaneNo> = (0..300).map(LaneNo).collect();
        let whole = |look: &Look| look.lanes.iter().filter(|it| it.whole).count();
        let (spans, mut look) = bounds.plan_each(&strands, &Arrivals::default(), NOW);
        assert_eq!((spans.len(), whole(&look)), (300, WHOLE));
        look.was_whole(Duration::from_millis(1));
        bounds.landed(vec![look], &Arrivals::default(), NOW);
        let (_, look) = bounds.plan_each(&strands, &Arrivals::default(), NOW);
        assert_eq!(whole(&look), 300 - WHOLE);
    }
}
