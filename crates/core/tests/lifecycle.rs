//! `docs/LIFECYCLE.md` says what `state.rs` does: both are expanded to single transitions and compared.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use tasklane_core::state::{Reason, State, TRANSITIONS};

const PAGE: &str = include_str!("../../../docs/LIFECYCLE.md");

/// The rows of the table under this heading, without its head.
fn table(heading: &str) -> Vec<Vec<String>> {
    let section = PAGE.split(&format!("\n## {heading}\n")).nth(1).expect("the page has this heading");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn words(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(',').map(str::trim)
}

#[test]
fn the_page_and_the_code_name_the_same_transitions() {
    let mut page = BTreeSet::new();
    for row in table("Transitions") {
        for from in words(&row[0]) {
            let from = (from != "(new)").then(|| State::from_word(from).expect("a state"));
            for to in words(&row[1]) {
                for reason in words(&row[2]) {
                    let to = State::from_word(to).expect("a state");
                    page.insert((from, to, Reason::from_word(reason).expect("a reason")));
                }
            }
        }
    }
    let mut code = BTreeSet::new();
    for rule in TRANSITIONS {
        for &from in rule.from {
            for &to in rule.to {
                code.extend(rule.reasons.iter().map(|&reason| (from, to, reason)));
            }
        }
    }
    let only_page: Vec<_> = page.difference(&code).collect();
    let only_code: Vec<_> = code.difference(&page).collect();
    assert!(
        only_page.is_empty() && only_code.is_empty(),
        "only on the page: {only_page:?}; only in code: {only_code:?}"
    );
}

#[test]
fn the_page_and_the_code_name_the_same_states() {
    let page: Vec<_> = table("States").iter().map(|row| (row[0].clone(), row[2] == "yes")).collect();
    let code: Vec<_> = State::ALL.iter().map(|it| (it.to_string(), it.is_final())).collect();
    assert_eq!(page, code);
}
