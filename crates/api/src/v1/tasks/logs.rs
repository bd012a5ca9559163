//! GET `/v1/tasks/{task}/logs`: what attempts said, page by page or as they say it.

use tasklane_core::limit;
use tasklane_core::log::{Level, LineId};
use tasklane_core::ports::store::LogQuery;
use tasklane_engine::{Following, Said};
use tasklane_wire::log;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::error::{BAD_CURSOR, Refused, task_not_found};
use crate::query::Query;
use crate::stream::{Stream, last_line};

/// Lines of a page unless the caller says otherwise.
const PAGE: usize = 200;

pub(crate) async fn logs(call: Call) -> Answer {
    let mut query = call.query();
    let follow = flag(&mut query, "follow");
    let attempt = query.read("attempt", "a whole number from 1", |it| it.parse().ok().filter(|it| *it > 0));
    let level = query.read("level", "one of debug, info, warn, error", log::level_from_word);
    let most = query.limit(limit::LOG_PAGE_LINES);
    if follow && most.is_some() {
        query.wrong("limit", "is of a page, and there is none with `follow`");
    }
    let cursor = query.take("cursor");
    query.finish()?;
    let after = cursor.map(|it| read_cursor(&it)).transpose()?;
    let wanted = LogQuery { after, attempt, level: level.unwrap_or(Level::Debug), limit: most.unwrap_or(PAGE) };
    if follow { stream(&call, wanted).await } else { page(&call, wanted).await }
}

async fn page(call: &Call, wanted: LogQuery) -> Answer {
    let page = call.engine().logs(call.task().await?, wanted).await?.ok_or_else(task_not_found)?;
    Ok(answer::page(&page.lines, log::write, page.next.map(log::encode).as_deref()))
}

async fn stream(call: &Call, wanted: LogQuery) -> Answer {
    let resumed = last_line(&call.headers);
    let wanted = LogQuery { after: resumed.or(wanted.after), limit: limit::LOG_PAGE_LINES, ..wanted };
    let mut stream = call.engine().follow(call.task().await?, Following::Log(wanted), None).await?;
    let mut first = Vec::new();
    if resumed.is_some() && stream.is_of_final() {
        first = stream.next().await?.unwrap_or_default();
        if first.iter().all(|it| matches!(it, Said::End(_))) {
            // Nothing is left: this tells a browser not to come again.
            return Ok(answer::nothing());
        }
    }
    Ok(Stream::Log(Box::new(stream)).answer(first, call.ended()))
}

/// A parameter that may stand without a value.
fn flag(query: &mut Query, name: &str) -> bool {
    let read = |it: &str| match it {
        "" | "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    };
    query.read(name, "true, false, or nothing", read).unwrap_or(false)
}

fn read_cursor(text: &str) -> Result<LineId, Refused> {
    let detail = "this is no cursor that a page of this log ended with; begin without one";
    log::decode(text).ok_or_else(|| Refused::new(BAD_CURSOR, detail))
}
