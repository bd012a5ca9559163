//! What people set up has a name; `/v1` goes by ids.

use clap::Args;
use serde::Deserialize;

use crate::failure::{Exit, Failure};
use crate::remote::{Call, Remote, task_id};
use crate::task::read;

/// Something by name or id.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Its name, or its id
    #[arg(value_name = "NAME")]
    pub(crate) which: String,
    /// Whose, where several tenants have one of this name
    #[arg(long = "of", value_name = "TENANT")]
    pub(crate) of_tenant: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    id: String,
}

impl Named {
    /// Its id, among what is below `/v1/{noun}`; `one` is what one of them is called.
    pub(crate) async fn id(&self, remote: &Remote, noun: &'static str, one: &str) -> Result<String, Failure> {
        let Self { which: name, of_tenant } = self;
        if task_id(name).is_ok() {
            return Ok(name.clone());
        }
        let call = Call::get([noun]).query("name", Some(name)).query("tenant", of_tenant.as_ref());
        let body = remote.call(call).await.map_err(|failure| failure.or_too_old(&format!("tell of {noun}")))?;
        let page: Page = read(&body)?;
        match &page.items[..] {
            [it] => Ok(it.id.clone()),
            [] => Err(Failure::new(Exit::NotFound, format!("there is no {one} named {name}"))
                .remedy(format!("tasklane {one} ls"))),
            _ => Err(Failure::usage(format!("several tenants have a {one} named {name}; say which with --of"))),
        }
    }
}
