//! The environment of an Atropos task service, where Tasklane takes its place.

use super::Environment;

/// Variables of its `.env` that mean nothing here: there is no broker, and the page is a program of its own.
const NOT_NEEDED: [&str; 5] =
    ["REDIS_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "DEBUG", "NEXT_PUBLIC_API_URL"];

/// Which of them are set.
pub fn not_needed(environment: &Environment) -> Vec<&'static str> {
    NOT_NEEDED.into_iter().filter(|name| environment.get(name).is_some()).collect()
}

/// Says in the log, once, which variables are set and not needed. Their values may hold secrets and are not shown.
pub fn say_not_needed(environment: &Environment) {
    let names = not_needed(environment);
    if !names.is_empty() {
        tracing::info!(names = names.join(", "), "these variables are not needed here and nothing reads them");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_set_is_named() {
        let environment = Environment::from([("DEBUG", "false"), ("REDIS_URL", "redis://:s3cret@r"), ("HOME", "/")]);
        assert_eq!(not_needed(&environment), ["REDIS_URL", "DEBUG"]);
        assert!(not_needed(&Environment::default()).is_empty());
    }
}
