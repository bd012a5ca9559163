//! Single members of a JSON value, as plain text: for scripts without a JSON program.

use crate::failure::Failure;
use crate::shape::json::{Level, compact, level};
use crate::table::visible;

/// What stands at each of `paths` (`id`, `progress.percent`, `items.0.id`), with a tab between two. Strings lose their
/// quotes; what is not there, or `null`, is empty.
pub(crate) fn line(text: &str, paths: &[String]) -> Result<String, Failure> {
    let found = paths.iter().map(|path| at(text, path)).collect::<Result<Vec<_>, _>>()?;
    Ok(found.join("\t"))
}

fn at(text: &str, path: &str) -> Result<String, Failure> {
    match level(text)? {
        Level::Object(members) => {
            // A member's own name may hold points, as labels' do: the longest that fits is meant.
            let fits = |name: &str| path == name || path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
            let found = members.iter().filter(|(name, _)| fits(name)).max_by_key(|(name, _)| name.len());
            match found {
                Some((name, value)) => inner(value.get(), path.get(name.len() + 1..)),
                None if path.is_empty() => Ok(compact(text)),
                None => Ok(String::new()),
            }
        }
        Level::Array(items) => {
            let (index, rest) = path.split_once('.').map_or((path, None), |(index, rest)| (index, Some(rest)));
            let item = index.parse().ok().and_then(|it: usize| items.get(it));
            item.map_or_else(|| Ok(String::new()), |it| inner(it.get(), rest))
        }
        _ => Ok(String::new()),
    }
}

fn inner(text: &str, rest: Option<&str>) -> Result<String, Failure> {
    match (rest, level(text)?) {
        (Some(rest), _) => at(text, rest),
        (None, Level::Text(text)) => Ok(visible(&text)),
        (None, Level::Other("null")) => Ok(String::new()),
        (None, Level::Other(text)) => Ok(text.to_owned()),
        (None, _) => Ok(compact(text)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn members_are_plain_text() {
        let json = r#"{"id":"i","n":1.10,"progress":{"percent":40,"message":"a\tb"},"labels":{"a.b":"c"},"x":null,"l":[{"y":2}]}"#;
        let of = |path: &str| line(json, &[path.to_owned()]).unwrap();
        let cases = [
            ("id", "i"),
            ("n", "1.10"),
            ("progress.percent", "40"),
            ("progress.message", "a\\tb"),
            ("progress", r#"{"percent":40,"message":"a\tb"}"#),
            ("labels.a.b", "c"),
            ("x", ""),
            ("nothing.there", ""),
            ("l.0.y", "2"),
        ];
        for (path, want) in cases {
            assert_eq!(of(path), want, "{path}");
        }
        assert_eq!(line(json, &["id".into(), "x".into(), "n".into()]).unwrap(), "i\t\t1.10");
    }
}
