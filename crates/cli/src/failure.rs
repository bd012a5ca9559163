//! How a command ends other than well: cause, remedy, request id, exit code.

use std::io;
use std::process::ExitCode;

use serde::Deserialize;
use tasklane_server::StartError;
use tasklane_server::data::DataError;
use tasklane_server::error::exit as server_exit;

/// The exit codes. Scripts rely on them; they never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// Something failed.
    Failed = 1,
    /// Asked for wrongly.
    Usage = 2,
    /// The task that was waited for did not succeed.
    TaskFailed = 3,
    /// A key is missing or grants too little.
    Auth = 4,
    /// No such task or queue.
    NotFound = 5,
    /// It was not finished in time.
    Timeout = 6,
    /// The state of things does not allow it.
    Conflict = 7,
    /// The data is not what it should be.
    Data = 65,
    /// No server there, or it takes nothing now.
    Away = 69,
    /// The disk is full or cannot be read or written.
    Disk = 74,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What went wrong, for a person.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    /// What happened; `None` where there is nobody left to tell (a closed pipe).
    pub(crate) cause: Option<String>,
    /// More lines of it, such as the fields that were refused.
    pub(crate) details: Vec<String>,
    /// What to do.
    pub(crate) remedy: Option<Box<str>>,
    /// The problem's stable code.
    pub(crate) code: Option<Box<str>>,
    /// Which request; the server's log knows it by this.
    pub(crate) request: Option<Box<str>>,
    /// The process ends with this.
    pub(crate) exit: Exit,
}

impl Failure {
    /// A failure with a cause and nothing more.
    pub(crate) fn new(exit: Exit, cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), details: Vec::new(), remedy: None, code: None, request: None, exit }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub(crate) fn remedy(self, remedy: impl Into<Box<str>>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// The same, naming what it is about.
    #[must_use]
    pub(crate) fn about(self, what: &str) -> Self {
        Self { cause: self.cause.map(|it| format!("{what}: {it}")), ..self }
    }

    /// The same, said more clearly where the server has no such route: it is older than this program.
    #[must_use]
    pub(crate) fn or_too_old(self, what: &str) -> Self {
        match self.code.as_deref() {
            Some("not_found" | "not_supported" | "method_not_allowed") => {
                Self { cause: Some(format!("this server cannot {what}")), ..self }
                    .remedy("its version is another than this program's: `tasklane doctor` tells both")
            }
            _ => self,
        }
    }

    /// Asked for wrongly.
    pub(crate) fn usage(cause: impl Into<String>) -> Self {
        Self::new(Exit::Usage, cause)
    }

    /// Whoever read our output has seen enough: a good end, without a word.
    pub(crate) fn closed_pipe() -> Self {
        Self { cause: None, ..Self::new(Exit::Ok, "") }
    }

    /// The system failed us.
    pub(crate) fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::closed_pipe(),
            io::ErrorKind::StorageFull => Self::new(Exit::Disk, error.to_string()).remedy("free some space"),
            _ => Self::new(Exit::Failed, error.to_string()),
        }
    }

    /// The answer of a server that refused: a problem as `/v1` writes it, or whatever else it said.
    pub(crate) fn from_answer(status: u16, body: &[u8], request: Option<Box<str>>) -> Self {
        let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
            let cause = format!("the answer was HTTP {status}, but not as a Tasklane server answers");
            return Self { request, ..Self::new(Exit::Failed, cause) }
                .remedy("see whether --url or TASKLANE_URL names the right server");
        };
        // Where members are named one by one, the detail only points at them.
        let (first, second) =
            if problem.errors.is_empty() { (problem.detail, problem.title) } else { (problem.title, problem.detail) };
        let cause = first.or(second).unwrap_or_else(|| format!("the answer was HTTP {status}"));
        let exit = exit_of(status, problem.code.as_deref());
        Self {
            remedy: (status == 401).then(|| "set TASKLANE_API_KEY to a key of this server".into()),
            details: problem.errors.into_iter().map(|it| format!("{}: {}", it.path, it.message)).collect(),
            code: problem.code,
            request: request.or(problem.instance),
            ..Self::new(exit, cause)
        }
    }
}

/// The exit code of a command that a server refused.
pub(crate) fn exit_of(status: u16, code: Option<&str>) -> Exit {
    match (status, code) {
        (_, Some("task_failed")) => Exit::TaskFailed,
        (_, Some("idempotency_mismatch")) => Exit::Conflict,
        (401 | 403, _) => Exit::Auth,
        (404, _) => Exit::NotFound,
        (408 | 504, _) => Exit::Timeout,
        (409, _) => Exit::Conflict,
        (400 | 413, _) => Exit::Data,
        (415 | 422, _) => Exit::Usage,
        (429 | 502 | 503, _) => Exit::Away,
        (507, _) => Exit::Disk,
        _ => Exit::Failed,
    }
}

/// What the server side calls an exit code.
fn exit_of_server(code: u8) -> Exit {
    match code {
        server_exit::USAGE => Exit::Usage,
        server_exit::CONFLICT => Exit::Conflict,
        server_exit::DATA => Exit::Data,
        server_exit::UNREACHABLE => Exit::Away,
        server_exit::DISK => Exit::Disk,
        _ => Exit::Failed,
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::new(exit_of_server(error.exit_code()), error.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let exit = exit_of_server(error.exit_code());
        Self { remedy: error.remedy().map(Into::into), ..Self::new(exit, error.to_string()) }
    }
}

impl From<tasklane_client::Error> for Failure {
    fn from(error: tasklane_client::Error) -> Self {
        use tasklane_client::Error;
        match &error {
            Error::Refused { problem, .. } => Self {
                code: Some(problem.code.as_str().into()),
                request: problem.instance.as_deref().map(Into::into),
                ..Self::new(exit_of(problem.status, Some(&problem.code)), problem.detail.clone())
            },
            Error::Invalid(_) => Self::usage(error.to_string()),
            Error::Unreachable { .. } | Error::OutcomeUnknown { .. } => Self::new(Exit::Away, error.to_string())
                .remedy("start a server with `tasklane dev`, or name one with --url or TASKLANE_URL"),
            _ => Self::new(Exit::Failed, error.to_string()),
        }
    }
}

/// RFC 9457, as far as it is shown.
#[derive(Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    code: Option<Box<str>>,
    instance: Option<Box<str>>,
    #[serde(default)]
    errors: Vec<FieldError>,
}

#[derive(Deserialize)]
struct FieldError {
    #[serde(default)]
    path: String,
    #[serde(default)]
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_shown_with_its_code_fields_and_request() {
        let body =
            br#"{"title":"The request is invalid","detail":"mend what `errors` names","code":"invalid","status":422,
            "instance":"req-1","errors":[{"path":"/priority","message":"must be -1000 to 1000"}]}"#;
        let failure = Failure::from_answer(422, body, None);
        assert_eq!(failure.cause.as_deref(), Some("The request is invalid"));
        assert_eq!(failure.details, ["/priority: must be -1000 to 1000"]);
        assert_eq!((failure.code.as_deref(), failure.request.as_deref()), (Some("invalid"), Some("req-1")));
        assert_eq!(failure.exit, Exit::Usage);
    }

    #[test]
    fn statuses_have_exit_codes() {
        let problem = |status: u16, code: &str| {
            Failure::from_answer(status, format!(r#"{{"code":"{code}"}}"#).as_bytes(), None).exit as u8
        };
        assert_eq!(problem(400, "malformed_json"), 65);
        assert_eq!(problem(401, "no_key"), 4);
        assert_eq!(problem(404, "task_not_found"), 5);
        assert_eq!(problem(409, "invalid_transition"), 7);
        assert_eq!(problem(422, "task_failed"), 3);
        assert_eq!(problem(422, "idempotency_mismatch"), 7);
        assert_eq!(problem(503, "store_away"), 69);
        assert_eq!(problem(507, "disk_full"), 74);
        assert_eq!(problem(500, "internal"), 1);
    }

    #[test]
    fn another_program_on_the_port_is_recognised() {
        let failure = Failure::from_answer(404, b"<html>", None);
        assert_eq!(failure.exit, Exit::Failed);
        assert!(failure.remedy.is_some_and(|it| it.contains("TASKLANE_URL")));
    }
}
