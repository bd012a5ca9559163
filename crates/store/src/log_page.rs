//! Which log lines a page shows: one rule for every store.

use tasklane_core::limit;
use tasklane_core::log::{LineId, LogLine};
use tasklane_core::ports::store::{LogPage, LogQuery};

/// A page that is being filled, with lines in their order.
pub(crate) struct Filling {
    query: LogQuery,
    page: LogPage,
    last: Option<LineId>,
    examined: usize,
    bytes: usize,
}

impl Filling {
    pub(crate) fn new(query: LogQuery) -> Self {
        Self { query, page: LogPage::default(), last: None, examined: 0, bytes: 0 }
    }

    /// Takes a line in, if it is wanted; `false`: the page is full and ends before this line.
    pub(crate) fn offer(&mut self, line: LogLine) -> bool {
        let after = self.query.after.is_none_or(|after| line.id > after);
        if !after || self.query.attempt.is_some_and(|it| it != line.id.attempt) {
            return true;
        }
        let full = self.page.lines.len() >= self.query.limit
            || self.bytes >= limit::LOG_PAGE_BYTES
            || self.examined >= limit::READ_ROWS;
        if full {
            self.page.next = self.last;
            return false;
        }
        self.examined += 1;
        self.last = Some(line.id);
        if line.level >= self.query.level {
            self.bytes += line.bytes();
            self.page.lines.push(line);
        }
        true
    }

    pub(crate) fn page(self) -> LogPage {
        self.page
    }
}
