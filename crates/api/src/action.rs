//! Colon actions: `/v1/tasks/{task}:cancel`, `/v1/tasks:batch`. A router matches whole segments, so each noun has one
//! capture, whose decoded text (`%3A` is `:`) is split at the last colon.

/// Where a route's requests arrive, and the action that its last segment names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The pattern for the router: actions of a noun share one.
    pub pattern: String,
    /// What follows the last colon.
    pub action: Option<&'static str>,
}

impl Place {
    /// The place of a path as the table of routes writes it.
    pub fn of(path: &'static str) -> Self {
        let start = path.rfind('/').map_or(0, |it| it + 1);
        let (parents, last) = path.split_at(start);
        match last.rsplit_once(':') {
            None => Self { pattern: path.to_owned(), action: None },
            Some((noun, action)) if noun.ends_with('}') => {
                Self { pattern: format!("{parents}{noun}"), action: Some(action) }
            }
            Some((noun, action)) => Self { pattern: format!("{parents}{noun}{{action}}"), action: Some(action) },
        }
    }
}

/// The name and the action of a capture; without a colon there is no action.
pub(crate) fn split(captured: &str) -> (&str, Option<&str>) {
    captured.rsplit_once(':').map_or((captured, None), |(name, action)| (name, Some(action)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_of_a_noun_share_its_pattern() {
        let place = |path| {
            let Place { pattern, action } = Place::of(path);
            (pattern, action)
        };
        assert_eq!(place("/v1/tasks"), ("/v1/tasks".into(), None));
        assert_eq!(place("/v1/tasks/{task}"), ("/v1/tasks/{task}".into(), None));
        assert_eq!(place("/v1/tasks/{task}:cancel"), ("/v1/tasks/{task}".into(), Some("cancel")));
        assert_eq!(place("/v1/tasks:batch"), ("/v1/tasks{action}".into(), Some("batch")));
        assert_eq!(place("/"), ("/".into(), None));
    }

    #[test]
    fn the_last_colon_splits() {
        assert_eq!(split("a:b:pause"), ("a:b", Some("pause")));
        assert_eq!(split("a"), ("a", None));
        assert_eq!(split(":batch"), ("", Some("batch")));
    }
}
