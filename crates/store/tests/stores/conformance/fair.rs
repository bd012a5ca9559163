use std::collections::BTreeSet;
use std::sync::Arc;

use tasklane_core::accept::NewTask;
use tasklane_core::hand::Hand;
use tasklane_core::lease::{LaneFilter, Leased, TypeFilter};
use tasklane_core::outcome::Outcome;
use tasklane_core::task::{Scope, TaskId};

use super::world::{SECOND, World, ids};

impl World {
    fn task_of(&self, tenant: &str) -> NewTask {
        let scope = Arc::new(Scope { origin: "".into(), tenant: tenant.into() });
        NewTask { scope, ..self.task("t") }
    }

    /// Accepts so many of a tenant, a hundred at a time.
    async fn accept_of(&self, tenant: &str, many: usize) -> Vec<TaskId> {
        let mut ids = Vec::new();
        while ids.len() < many {
            let tasks = (ids.len()..many).take(100).map(|_| self.task_of(tenant)).collect();
            ids.extend(self.submit(tasks).await.unwrap().iter().map(|it| it.id));
        }
        ids
    }

    async fn accept_in(&self, queue: &str, tenant: &str, many: usize) -> Vec<TaskId> {
        let mut ids = Vec::new();
        for _ in 0..many {
            let scope = Arc::new(Scope { origin: "".into(), tenant: tenant.into() });
            ids.push(self.accept(NewTask { scope, ..self.task_in(queue, "t") }).await.id);
        }
        ids
    }
}

fn of(leased: &[Leased], tenant: &str) -> usize {
    leased.iter().filter(|it| *it.facts.scope.tenant == *tenant).count()
}

fn are_about(found: usize, expected: usize) {
    assert!(found.abs_diff(expected) <= 1, "{found} instead of {expected}");
}

pub async fn a_backlog_is_in_nobodys_way(world: World) {
    world.accept_of("a", 1000).await;
    world.lease(10).await;
    let late = world.accept_of("b", 1).await;
    assert!(ids(&world.lease(2).await).contains(&late[0]));
}

pub async fn equals_take_turns(world: World) {
    world.accept_of("a", 20).await;
    world.advance(SECOND);
    world.accept_of("b", 40).await;
    for limit in [2, 10, 1, 1, 16] {
        let leased = world.lease(limit).await;
        assert!(of(&leased, "a").abs_diff(of(&leased, "b")) <= 1, "{:?}", ids(&leased));
    }
    // Nobody is a tenant like others from then on.
    world.accept_of("", 20).await;
    let leased = world.lease(20).await;
    assert_eq!(of(&leased, "a"), 5, "all it had left");
    are_about(of(&leased, ""), 7);
    are_about(of(&leased, "b"), 8);
}

pub async fn weights_are_shares(world: World) {
    world.accept_of("b", 100).await;
    world.accept_of("three", 100).await;
    are_about(of(&world.lease(40).await, "three"), 30);
    are_about(of(&world.lease(4).await, "three"), 3);
}

pub async fn priority_goes_before_turns(world: World) {
    world.accept_of("a", 10).await;
    let urgent = |tenant| NewTask { priority: 5, ..world.task_of(tenant) };
    let (of_a, of_b) = (urgent("a"), urgent("b"));
    let later = world.accept_of("b", 10).await;
    let first = [world.accept(of_a).await.id, world.accept(of_b).await.id];
    let leased = world.lease(4).await;
    assert_eq!(ids(&leased)[..2].iter().collect::<BTreeSet<_>>(), first.iter().collect());
    assert!(ids(&leased[2..]).contains(&later[0]), "what was urgent counts for nothing there");
}

pub async fn a_lane_that_nobody_shares_goes_by_age(world: World) {
    let mut expected = world.accept_of("", 30).await;
    world.advance(SECOND);
    expected.extend(world.accept_of("", 30).await);
    let turns = world.store.tasks(expected.clone()).await.unwrap().into_iter().map(|it| it.unwrap().turn);
    assert!(turns.into_iter().all(|turn| turn.is_none()));
    assert_eq!(ids(&world.lease(99).await), expected);
    // What the system does is of no tenant.
    let expected = [world.accept_in("~s", "a", 3).await, world.accept_in("~s", "b", 3).await].concat();
    let lanes = vec![LaneFilter { queue: Some("~s".into()), types: TypeFilter::Any }];
    assert_eq!(ids(&world.lease_as(world.request_for(9, lanes)).await), expected);
}

pub async fn what_is_given_back_goes_to_the_front_uncharged(world: World) {
    world.accept_of("a", 20).await;
    world.accept_of("b", 20).await;
    let leased = world.lease(4).await;
    for given in leased.iter().filter(|it| &*it.facts.scope.tenant == "a") {
        world.report(given, Outcome::Released).await;
        assert_eq!(ids(&world.lease(1).await), [given.facts.id]);
    }
    are_about(of(&world.lease(10).await, "a"), 5);
}

pub async fn a_newcomer_joins_at_the_front_and_nobody_pays_for_the_past(world: World) {
    world.accept_of("a", 200).await;
    world.lease(100).await;
    world.accept_of("b", 3).await;
    assert_eq!(of(&world.lease(7).await, "b"), 3);
    world.accept_of("c", 100).await;
    are_about(of(&world.lease(20).await, "a"), 10);
}

pub async fn whoever_takes_his_back_is_not_charged(world: World) {
    let taken = world.accept_of("a", 100).await;
    world.accept_of("b", 20).await;
    for id in taken {
        world.hand(id, Hand::Cancel).await.unwrap();
    }
    world.accept_of("a", 20).await;
    are_about(of(&world.lease(10).await, "a"), 5);
}

pub async fn lanes_are_merged_by_age_whatever_their_turns(world: World) {
    // Turns run ahead of the time here, and in a quiet lane they stay behind.
    let busy = world.accept_in("busy", "a", 50).await;
    world.advance(SECOND);
    let plain = world.accept_in("plain", "", 5).await;
    world.advance(SECOND);
    let later = world.accept_in("busy", "a", 50).await;
    world.advance(SECOND);
    let last = world.accept_in("plain", "", 5).await;
    assert_eq!(ids(&world.lease(200).await), [busy, plain, later, last].concat());
    world.advance(1000 * SECOND);
    let old = world.accept_in("busy", "b", 1).await;
    world.advance(SECOND);
    let young = world.accept_in("plain", "", 1).await;
    assert_eq!(ids(&world.lease(2).await), [old, young].concat());
}

pub async fn a_lane_is_as_old_as_its_first(world: World) {
    // Who joins at the front of a shared lane does not wait for other lanes longer than by its own age, nor they for it.
    world.accept_in("shared", "a", 10).await;
    world.advance(SECOND);
    let other = world.accept_in("other", "", 3).await;
    world.advance(SECOND);
    let newcomer = world.accept_in("shared", "b", 1).await;
    let leased = ids(&world.lease(14).await);
    let at = |id: &TaskId| leased.iter().position(|it| it == id).unwrap();
    assert!(at(&newcomer[0]) > at(&other[2]), "it is younger: {leased:?}");
    assert!(at(&newcomer[0]) < 9, "and not behind the backlog: {leased:?}");
}

pub async fn those_ahead_are_those_before_it_by_turns(world: World) {
    let backlog = world.accept_of("a", 20).await;
    world.lease(2).await;
    let newcomer = world.accept_of("b", 2).await;
    let ahead = async |id: TaskId| world.store.standing(id, 100).await.unwrap().unwrap().ahead;
    assert!(ahead(newcomer[0]).await.is_some_and(|it| it <= 1));
    assert_eq!(ahead(backlog[19]).await, Some(19), "17 of its own and 2 of the other");
}

pub async fn a_lane_becomes_shared_at_what_stands_first(world: World) {
    let mut all = Vec::new();
    for _ in 0..3 {
        all.extend(world.accept_of("", 1).await);
        world.advance(SECOND);
    }
    world.lease(1).await;
    let new = world.accept_of("a", 1).await;
    assert_eq!(ids(&world.lease(9).await), [all[1], new[0], all[2]], "turns begin behind what was leased");
}
