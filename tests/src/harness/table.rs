//! The tables of the page of promises, made of the lines that fault stories left.

use std::fmt::Write;

use super::run::Line;

/// The page.
pub const PAGE: &str = "docs/reference/guarantees.md";
/// The lines of the last whole run.
pub const RESULTS: &str = "tests/chaos/results.jsonl";
const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

/// The page with the tables of these lines between its marks.
///
/// # Errors
/// The page has no marks, or a line cannot be read.
pub fn page_with(page: &str, results: &str) -> Result<String, String> {
    let (before, rest) = page.split_once(BEGIN).ok_or("the page has no mark where its tables begin")?;
    let (_, after) = rest.split_once(END).ok_or("the page has no mark where its tables end")?;
    let lines: Result<Vec<Line>, _> = results.lines().map(serde_json::from_str).collect();
    let lines = lines.map_err(|why| format!("{RESULTS}: {why}"))?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", tables(&lines)))
}

fn tables(lines: &[Line]) -> String {
    let Some(first) = lines.first() else { return "\nNothing was measured yet.\n\n".to_owned() };
    let mut text = format!("\nMeasured with version {} ({}) on {}.\n", first.version, first.commit, first.date);
    text +=
        "\n| Story | Runs | Strikes | Acknowledged | Succeeded | Lost | Doubled | Longest stall | Seed | Minutes |\n";
    text += "|---|---|---|---|---|---|---|---|---|---|\n";
    for it in lines {
        let stall = it.longest_stall_ms.map_or_else(|| "-".to_owned(), |it| format!("{:.1} s", it as f64 / 1000.0));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {stall} | {} | {:.1} |",
            told(it),
            it.runs,
            it.faults,
            it.acked,
            it.succeeded,
            it.lost,
            it.doubled,
            it.seed,
            it.seconds / 60.0
        );
    }
    text += "\n| Story | Figure | Measured |\n|---|---|---|\n";
    for it in lines {
        for (name, value) in &it.figures {
            let _ = writeln!(text, "| {} | `{name}` | {value} |", told(it));
        }
    }
    text + "\n"
}

/// The story by its number and what it is called there, and the store it was told on.
fn told(line: &Line) -> String {
    let (story, part) = line.story.split_once("::").unwrap_or((&line.story, ""));
    let number = story.split('_').next().unwrap_or(story).to_uppercase();
    let part = if part == line.store { String::new() } else { format!("{part}, ") };
    format!("{number}, {part}{}", line.store)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tasklane_testkit::binary::root;

    use super::*;

    #[test]
    fn the_page_shows_what_was_measured_last() {
        let [page, results] = [PAGE, RESULTS].map(|it| fs::read_to_string(root().join(it)).unwrap());
        assert_eq!(page_with(&page, &results).unwrap(), page, "run `chaos-table`");
    }

    #[test]
    fn a_line_becomes_a_row_and_one_for_each_of_its_figures() {
        let mut line =
            Line { story: "t17_cut::listener".into(), store: "postgres".into(), faults: 7, ..Line::default() };
        line.figures.insert("serving_again_ms".into(), 12.5);
        line.longest_stall_ms = Some(1500);
        let text = serde_json::to_string(&line).unwrap();
        let page = page_with(&format!("a\n{BEGIN}old\n{END}z\n"), &text).unwrap();
        assert!(page.starts_with("a\n") && page.ends_with("z\n") && !page.contains("old"), "{page}");
        assert!(page.contains("| T17, listener, postgres | 0 | 7 | 0 | 0 | 0 | 0 | 1.5 s | 0 | 0.0 |\n"), "{page}");
        assert!(page.contains("| T17, listener, postgres | `serving_again_ms` | 12.5 |\n"), "{page}");
        assert!(page_with("a page", &text).is_err() && page_with(&page, "{").is_err());
    }
}
