use tasklane_core::hand::Hand;
use tasklane_core::lease::{LeaseKey, Token};
use tasklane_core::limit::CANCEL_GRACE;
use tasklane_core::ports::store::Batch;
use tasklane_core::state::State;
use tasklane_core::task::Progress;

use super::world::{LEASE, SECOND, World, success};

pub async fn a_renewal_begins_the_length_again(world: World) {
    let leased = world.run(world.task("t")).await;
    world.advance(20 * SECOND);
    let answers = world.commit(Batch { renew: vec![leased.key()], ..Batch::default() }).await;
    assert_eq!(answers.renew, [true]);
    let until = world.get(leased.facts.id).await.facts.lease.unwrap().until;
    assert_eq!(until, world.store.now().plus(LEASE));
    world.advance(20 * SECOND);
    assert_eq!(world.rescue(9).await, 0);
    world.advance(10 * SECOND);
    assert_eq!(world.rescue(9).await, 1);
}

pub async fn a_stranger_renews_nothing(world: World) {
    let leased = world.run(world.task("t")).await;
    let key = leased.key();
    let renew = vec![
        LeaseKey { token: Token(key.token.0 ^ 1), ..key },
        LeaseKey { attempt: 2, ..key },
        LeaseKey { id: world.task("t").id, ..key },
    ];
    let progress = renew.iter().map(|key| (*key, Some(Progress::default()))).collect();
    let grace = renew.clone();
    let answers = world.commit(Batch { renew, progress, grace, ..Batch::default() }).await;
    assert_eq!((answers.renew, answers.progress, answers.grace), (vec![false; 3], vec![false; 3], vec![false; 3]));
    world.report(&leased, success("1")).await;
    let answers = world.commit(Batch { renew: vec![key], progress: vec![(key, None)], ..Batch::default() }).await;
    assert_eq!((answers.renew, answers.progress), (vec![false], vec![false]));
}

pub async fn progress_is_kept_and_heard(world: World) {
    let leased = world.run(world.task("t")).await;
    let (id, key) = (leased.facts.id, leased.key());
    let half = Progress { percent: Some(50.0), message: Some("half".into()), data: Some("[1]".into()) };
    world.advance(SECOND);
    world.commit(Batch { progress: vec![(key, Some(half.clone()))], ..Batch::default() }).await;
    let task = world.get(id).await;
    assert_eq!((task.progress.as_ref(), task.facts.state), (Some(&half), State::Running));
    assert_eq!(task.facts.lease.as_ref().unwrap().heard_at, world.store.now());
    assert_eq!(task.facts.lease.as_ref().unwrap().until, leased.facts.lease.as_ref().unwrap().until);
    world.advance(SECOND);
    let answers = world.commit(Batch { progress: vec![(key, None)], ..Batch::default() }).await;
    assert_eq!(answers.progress, [true]);
    let task = world.get(id).await;
    assert_eq!((task.progress.as_ref(), task.facts.lease.unwrap().heard_at), (Some(&half), world.store.now()));
    world.fail(&leased).await;
    assert_eq!(world.get(id).await.progress, Some(half));
    world.advance(3600 * SECOND);
    world.promote(1).await;
    world.lease(1).await;
    assert_eq!(world.get(id).await.progress, None, "a new attempt has made no progress");
}

pub async fn grace_begins_once(world: World) {
    let leased = world.run(world.task("t")).await;
    let (id, key) = (leased.facts.id, leased.key());
    let grace = || Batch { grace: vec![key], ..Batch::default() };
    assert_eq!(world.commit(grace()).await.grace, [true]);
    assert_eq!(world.get(id).await.facts.lease.unwrap().grace_until, None, "nobody asked to cancel it");
    world.hand(id, Hand::Cancel).await.unwrap();
    let answers = world.commit(grace()).await;
    assert_eq!(answers.next_due, Some(CANCEL_GRACE));
    let until = world.store.now().plus(CANCEL_GRACE);
    world.advance(SECOND);
    world.commit(grace()).await;
    assert_eq!(world.get(id).await.facts.lease.unwrap().grace_until, Some(until));
}
