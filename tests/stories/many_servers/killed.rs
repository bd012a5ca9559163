//! Two servers and three workers; any of them is killed at any moment, and started again.

use std::thread;
use std::time::{Duration, Instant};

use tasklane_testkit::story::story;

use super::fleet::Fleet;
use super::load::{under_load, unfinished};
use super::stuck::Stuck;
use super::{say, seconds, setting};

/// Choices that a seed repeats (splitmix64).
struct Choices(u64);

impl Choices {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    }

    fn moment(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.next(most))
    }
}

#[test]
fn killed_at_random_nothing_is_lost_doubled_or_stuck() {
    story("many_servers::killed", || {
        let seed = setting("TASKLANE_STORY_SEED").unwrap_or_else(|| u64::from(std::process::id()));
        let mut choices = Choices(seed);
        say(&format!("many_servers::killed: TASKLANE_STORY_SEED={seed}"));
        let (fleet, mut kills, length) = (Fleet::start(2, 3), 0, seconds(6));
        let figures = under_load(&fleet, 50 * length.as_secs() as usize / 6, |_| {
            let (start, mut stuck) = (Instant::now(), Stuck::new());
            while start.elapsed() < length {
                thread::sleep(Duration::from_millis(100) + choices.moment(700));
                kills += strike(&fleet, &mut choices);
                stuck.look(&fleet, unfinished(&fleet));
            }
        });
        say(&format!("many_servers::killed: {kills} kills, {figures:?}"));
        assert!(figures.looped * 50 <= figures.acked, "{figures:?}");
    });
}

/// Kills one or two of the five, and starts them again a moment later.
fn strike(fleet: &Fleet, choices: &mut Choices) -> usize {
    let mut victims = vec![choices.next(5) as usize];
    let second = choices.next(10) as usize;
    if second < 5 && second != victims[0] {
        victims.push(second);
    }
    let servers = fleet.servers.len();
    for victim in &victims {
        if *victim < servers { fleet.kill_server(*victim) } else { fleet.kill_worker(victim - servers) }
    }
    thread::sleep(choices.moment(500));
    for victim in &victims {
        if *victim < servers { fleet.spawn_server(*victim) } else { fleet.start_worker(victim - servers) }
    }
    for victim in victims.iter().filter(|it| **it < servers) {
        fleet.wait_server(*victim);
    }
    victims.len()
}
