//! Lists of nouns other than tasks: one page after the other, as a table or as they are.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::failure::{Exit, Failure};
use crate::output::{Output, Tone};
use crate::remote::{Call, Remote};
use crate::table::Table;
use crate::task::read;

/// Most names of a cell.
const NAMES: usize = 6;
/// Most items of a list; past it there is a `next_cursor` in the document.
const ITEMS: usize = 10_000;

#[derive(Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// Everything below `/v1/{noun}`.
pub(crate) async fn gather(remote: &Remote, noun: &str) -> Result<Vec<Box<RawValue>>, Failure> {
    gather_at(remote, &[noun], None).await
}

/// A parameter of a list's query.
pub(crate) type Wish<'w> = Option<(&'static str, &'w str)>;

/// Everything at a path below `/v1` that is wished for.
async fn gather_at(remote: &Remote, path: &[&str], wish: Wish<'_>) -> Result<Vec<Box<RawValue>>, Failure> {
    let noun = path.last().copied().unwrap_or_default();
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let call = Call::get(path.iter().copied()).query("cursor", cursor);
        let call = wish.iter().fold(call, |call, (name, value)| call.query(name, Some(value)));
        let body = remote.call(call).await;
        let page: Page = read(&body.map_err(|failure| failure.or_too_old(&format!("list {noun}")))?)?;
        items.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() || items.len() >= ITEMS {
            return Ok(items);
        }
    }
}

/// The items as shapes.
pub(crate) fn shapes<T: DeserializeOwned>(items: &[Box<RawValue>]) -> Result<Vec<T>, Failure> {
    items.iter().map(|it| read(it.get().as_bytes())).collect()
}

/// Shows everything below `/v1/{noun}`.
pub(crate) async fn show<T: DeserializeOwned>(
    remote: &Remote,
    output: &Output,
    noun: &str,
    nothing: &str,
    table: impl Fn(Vec<T>) -> Table,
) -> Result<Exit, Failure> {
    show_at(remote, output, (&[noun], None), nothing, table).await
}

/// Shows everything at a path below `/v1` that is wished for.
pub(crate) async fn show_at<T: DeserializeOwned>(
    remote: &Remote,
    output: &Output,
    (path, wish): (&[&str], Wish<'_>),
    nothing: &str,
    table: impl Fn(Vec<T>) -> Table,
) -> Result<Exit, Failure> {
    let items = gather_at(remote, path, wish).await?;
    if !output.is_for_people() {
        let joined = items.iter().map(|it| it.get()).collect::<Vec<_>>().join(",");
        output.items(&items, || format!("{{\"items\":[{joined}]}}"))?;
    } else if items.is_empty() {
        output.note(Tone::Dim, nothing);
    } else {
        output.table(&table(shapes(&items)?))?;
    }
    Ok(Exit::Ok)
}

/// Names in order, each once, the first few of many.
pub(crate) fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let all: std::collections::BTreeSet<_> = names.collect();
    let shown = all.iter().take(NAMES).copied().collect::<Vec<_>>().join(",");
    if all.len() > NAMES { format!("{shown},… {} in all", all.len()) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_counted() {
        assert_eq!(names(["b", "a", "b"].into_iter()), "a,b");
        let many: Vec<_> = (0..20).map(|it| format!("n{it:02}")).collect();
        assert_eq!(names(many.iter().map(String::as_str)), "n00,n01,n02,n03,n04,n05,… 20 in all");
    }
}
