//! The checks are checked: each rule is broken in turn, and some seed must notice. And the program itself has none of it.

#![allow(clippy::unwrap_used)]

use tasklane_core::sabotage::{Sabotage, choose};
use tasklane_simulation::{Lines, run};

/// So many seeds at most until a broken rule is noticed.
const SEEDS: u64 = 120;

#[test]
fn every_broken_rule_is_noticed() {
    for &rule in Sabotage::ALL {
        choose(Some(rule));
        let noticed = (0..SEEDS).find_map(|seed| run(seed, Lines::Hashed).err());
        choose(None);
        let broken = noticed.unwrap_or_else(|| panic!("{} was not noticed in {SEEDS} seeds", rule.word()));
        println!("{}: {broken}", rule.word());
        assert!(run(broken.seed, Lines::Hashed).is_ok(), "seed {} breaks a law by itself", broken.seed);
    }
}

/// What stands in a program only where rules can be broken.
fn marks(program: &[u8]) -> Vec<String> {
    let marks = Sabotage::ALL.iter().map(|it| it.word());
    marks.filter(|mark| program.windows(mark.len()).any(|it| it == mark.as_bytes())).map(String::from).collect()
}

#[test]
fn the_program_has_none_of_it() {
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert_eq!(marks(&own).len(), Sabotage::ALL.len(), "this very program has them, and they are not found");
    let program = std::fs::read(tasklane_testkit::binary::tasklane()).unwrap();
    assert_eq!(marks(&program), Vec::<String>::new());
}
