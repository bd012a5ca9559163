//! Slots as several servers see them, on a real database.
#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use tasklane_testkit::{ManualClock, postgres};

use super::*;
use crate::postgres::{Options, PostgresStore};

const GATE: GateNo = GateNo(1);
/// In another stripe.
const OTHER: GateNo = GateNo(2);
const NOW: Timestamp = Timestamp::from_micros(60_000_000);

/// A schema, and a server's knowledge of it.
struct Server {
    store: Arc<PostgresStore>,
    slots: Slots,
}

impl Server {
    async fn first() -> Self {
        let options = Options {
            schema: postgres::fresh_schema_name().into(),
            ..Options::new(postgres::shared().url(), ManualClock::at(NOW))
        };
        Self { store: PostgresStore::open(options).await.unwrap(), slots: Slots::default() }
    }

    fn another(&self) -> Self {
        Self { store: Arc::clone(&self.store), slots: Slots::default() }
    }

    async fn session(&self) -> Session {
        self.store.sessions.get().await.unwrap()
    }

    /// Counts the gate after so long, changes it by so many, and says how many there were.
    async fn change(&self, gate: GateNo, by: i64, after: Duration) -> i64 {
        let session = self.session().await;
        session.begin().await.unwrap();
        let held = self.change_in(&session, gate, by, after).await;
        session.commit().await.unwrap();
        held
    }

    async fn change_in(&self, session: &Session, gate: GateNo, by: i64, after: Duration) -> i64 {
        let stripes = vec![stripe_of(GATE), stripe_of(OTHER)];
        let (mut held, _) = self.slots.lock(session, stripes, (NOW.plus(after), after)).await.unwrap();
        let n = self.slots.held(&held, gate);
        let mut changed = Changes::from_iter([(gate, by)]);
        self.slots.add(session, &mut held, &mut changed).await.unwrap();
        assert!(changed.is_empty());
        n
    }

    async fn run(&self, sql: &str) {
        self.session().await.batch(sql).await.unwrap();
    }

    async fn rows(&self) -> i64 {
        let count = Statement { sql: "SELECT count(*) FROM tasklane.slots", types: &[] };
        self.session().await.row(&count, &[]).await.unwrap().get(0)
    }

    async fn leave(&self, by: i64, at: Timestamp) {
        let left = Left::of(&Changes::from_iter([(GATE, by)]));
        leave(&self.session().await, &left, at).await.unwrap();
    }
}

const ONCE: Duration = Duration::ZERO;
/// When what was left at first does not count as left lately.
const LATER: Duration = Duration::from_secs(8);

#[tokio::test]
async fn whoever_counts_sees_what_others_counted_and_few_rows_tell_it() {
    let one = Server::first().await;
    let two = one.another();
    for round in 0..100 {
        let who = if round % 3 == 0 { &two } else { &one };
        assert_eq!(who.change(GATE, 1, ONCE).await, round);
        assert_eq!(who.change(OTHER, if round % 2 == 0 { 1 } else { -1 }, ONCE).await, round % 2);
        assert!(one.rows().await <= 2 * (ROWS + 2));
    }
    assert_eq!(one.another().change(GATE, 0, ONCE).await, 100);
}

#[tokio::test]
async fn more_gates_than_a_row_holds_are_counted() {
    let one = Server::first().await;
    let gates = || (0..1200).map(|n| GateNo(1 + 16 * n));
    let session = one.session().await;
    session.begin().await.unwrap();
    let (mut held, _) = one.slots.lock(&session, vec![1], (NOW, ONCE)).await.unwrap();
    one.slots.add(&session, &mut held, &mut gates().map(|gate| (gate, 2)).collect()).await.unwrap();
    session.commit().await.unwrap();
    drop(session);
    for _ in 0..=ROWS {
        one.change(GATE, 1, ONCE).await;
    }
    let (two, session) = (one.another(), one.session().await);
    let (held, _) = two.slots.lock(&session, vec![1], (NOW, ONCE)).await.unwrap();
    assert_eq!(gates().skip(1).map(|gate| two.slots.held(&held, gate)).sum::<i64>(), 2 * 1199);
    assert_eq!(two.slots.held(&held, GATE), 3 + ROWS);
}

#[tokio::test]
async fn what_failed_did_not_happen() {
    let one = Server::first().await;
    one.leave(2, NOW).await;
    for _ in 0..3 {
        let session = one.session().await;
        session.begin().await.unwrap();
        assert_eq!(one.change_in(&session, GATE, 7, LATER).await, 2);
        session.roll_back().await.unwrap();
        one.slots.failed();
    }
    assert_eq!([one.change(GATE, 1, LATER).await, one.change(GATE, 0, LATER).await], [2, 3]);
}

#[tokio::test]
async fn rows_that_were_lost_with_a_database_are_forgotten() {
    let one = Server::first().await;
    for _ in 0..3 {
        one.change(GATE, 1, ONCE).await;
    }
    one.run("DELETE FROM tasklane.slots WHERE no = 3").await;
    assert_eq!(one.change(GATE, 0, ONCE).await, 2);
    // Lost again, and another server was quicker.
    one.run("UPDATE tasklane.slots SET mark = 7, n = '{5}' WHERE no = 2").await;
    one.run("INSERT INTO tasklane.slots VALUES (1, 3, 1, 8, '{1}', '{1}')").await;
    assert_eq!(one.change(GATE, 0, ONCE).await, 7);
    one.run("TRUNCATE tasklane.slots").await;
    assert_eq!(one.change(GATE, 0, ONCE).await, 0);
}

#[tokio::test]
async fn what_was_left_is_taken_up_once_even_if_it_comes_late() {
    let one = Server::first().await;
    one.leave(4, NOW).await;
    assert_eq!(one.change(GATE, 0, ONCE).await, 4);
    one.leave(-1, NOW.plus(Duration::from_secs(2))).await;
    // Of a commit that began long before it ended.
    one.leave(-1, Timestamp::EPOCH).await;
    assert_eq!(one.change(GATE, 0, LATER).await, 3);
    assert_eq!(one.change(GATE, 0, LOOK_EVERY).await, 2);
    assert_eq!(one.another().change(GATE, 0, ONCE).await, 2);
}

#[tokio::test]
async fn who_stands_still_with_a_stripe_is_not_waited_for_long() {
    let one = Server::first().await;
    let (holds, waits) = (one.session().await, one.session().await);
    holds.begin().await.unwrap();
    drop(one.slots.lock(&holds, vec![1], (NOW, ONCE)).await.unwrap());
    waits.begin().await.unwrap();
    drop(one.slots.lock(&waits, vec![2], (NOW, ONCE)).await.unwrap());
    assert!(one.slots.lock(&waits, vec![1], (NOW, ONCE)).await.is_err_and(|fault| fault.is_locked()));
}

#[tokio::test]
async fn what_nobody_takes_up_is_put_together() {
    let one = Server::first().await;
    for n in 0..=LEFT {
        one.leave(if n % 2 == 0 { 1 } else { -1 }, NOW).await;
    }
    fold(&one.session().await, &one.slots, NOW, ONCE).await.unwrap();
    assert_eq!(one.rows().await, 1);
    assert_eq!(one.another().change(GATE, 0, ONCE).await, 1);
}

#[tokio::test]
async fn a_server_of_the_version_before_reads_and_adds_what_it_did() {
    let one = Server::first().await;
    one.run("INSERT INTO tasklane.held (gate, n) SELECT * FROM unnest('{1,2}'::int[], '{3,4}'::bigint[])").await;
    assert_eq!([one.change(GATE, 1, ONCE).await, one.change(OTHER, 0, ONCE).await], [3, 4]);
    let held = Statement {
        sql: "SELECT gate, sum(n)::bigint, count(*) FROM tasklane.held WHERE gate = ANY($1) GROUP BY gate",
        types: &[Type::INT4_ARRAY],
    };
    let rows = one.session().await.rows(&held, &[&vec![1]]).await.unwrap();
    assert_eq!((rows[0].get::<_, i64>(1), rows[0].get::<_, i64>(2)), (4, 1));
}
