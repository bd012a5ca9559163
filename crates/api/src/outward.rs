//! URLs that callers set and the server will call: whether it may is asked when they are set, so that whoever sets one hears of it.

use std::fmt;
use std::sync::Arc;

use tasklane_wire::problem::FieldError;

use crate::error::{INVALID, Refused};

/// Tells whether a URL may be called, as far as its text tells; why not, else. Every one may unless whoever starts the router
/// says otherwise: what calls them asks again.
#[derive(Clone)]
pub struct Outward(Arc<MayCall>);

type MayCall = dyn Fn(&str) -> Result<(), String> + Send + Sync;

impl Outward {
    /// As this tells.
    pub fn new(may_call: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(may_call))
    }

    /// Refuses a URL that stands at `path` of the request and may not be called.
    pub(crate) fn check(&self, path: &str, url: &str) -> Result<(), Refused> {
        (self.0)(url).map_err(|message| {
            let refused = Refused::new(INVALID, "this URL will not be called; `errors` says why");
            refused.with_errors(vec![FieldError { path: path.to_owned(), message }])
        })
    }
}

impl Default for Outward {
    fn default() -> Self {
        Self::new(|_| Ok(()))
    }
}

impl fmt::Debug for Outward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outward(..)")
    }
}
