//! `/v1/keys`: who may call. The holder of a tenant's key sees, makes and ends keys of that tenant alone, and no key grants
//! more than the one it was made with.

use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use tasklane_core::key::{Grant, KeyId, Scope};
use tasklane_engine::{KeyQuery, Keyed, NewKey};
use tasklane_wire::json::{Value, validate};
use tasklane_wire::key::{self, KeyShape};
use tasklane_wire::read::{Findings, Mistake, Path, task_id};

use crate::answer::{self, Answer};
use crate::body::Accepts;
use crate::call::Call;
use crate::error::{FORBIDDEN, LAST_MASTER_KEY, Refused, key_not_found};
use crate::id_page::IdPage;
use crate::limits;

/// POST `/v1/keys`: answers with the secret, this once.
pub(crate) async fn make(mut call: Call) -> Answer {
    call.no_query()?;
    let received = call.receive(Accepts::Json, limits::ACTION_BODY).await?;
    let new = read(&call, &received.bytes)?;
    let is_first = !call.app.door.has_admin() && !call.engine().has_keys();
    if is_first && !new.grant.is_master() {
        let detail =
            "the first key must have the scope admin, no tenant and no end: from then on every call needs a key";
        return Err(Refused::new(LAST_MASTER_KEY, detail));
    }
    let (made, text) = call.acting().make_key(new).await?;
    let mut answer = answer::shape(&KeyShape { key: Some(text), ..shape(&made) })?;
    *answer.status_mut() = StatusCode::CREATED;
    let location = HeaderValue::from_str(&format!("/v1/keys/{}", made.id.0));
    answer.headers_mut().insert(LOCATION, location.expect("an id is ASCII"));
    Ok(answer)
}

fn read(call: &Call, body: &[u8]) -> Result<NewKey, Refused> {
    let mut findings = Findings::default();
    let read = key::read(Value::new(validate(body, 0)?), &mut findings);
    let Some((name, grant)) = read else { return Err(findings.into()) };
    let grant = Grant { tenant: call.tenant_of(grant.tenant)?, ..grant };
    if !grant.is_within(call.caller.grant()) {
        return Err(Refused::new(FORBIDDEN, "a key cannot grant more than the one that was sent"));
    }
    if grant.tenant.is_some() && grant.scopes.contains(&Scope::Work) {
        let message = "work for one tenant alone is not supported by this version of the server";
        findings.note(Mistake::NotSupported, &Path::ROOT.key("tenant"), message);
        return Err(findings.into());
    }
    Ok(NewKey { name, grant })
}

/// GET `/v1/keys`: in the order in which they were made.
pub(crate) async fn list(call: Call) -> Answer {
    let mut query = call.query();
    let wanted = IdPage::take(&mut query);
    let (tenant, name) = (query.take("tenant").map(Box::from), query.take("name").map(Box::from));
    query.finish()?;
    let (after, tenant) = (wanted.after()?.map(KeyId), call.tenant_of(tenant)?);
    let found = call.engine().keys(KeyQuery { tenant, name, after, most: wanted.reads() }).await?;
    answer::shape(&wanted.cut(found, |it| it.id.0, shape))
}

/// GET `/v1/keys/{key}`
pub(crate) async fn get(call: Call) -> Answer {
    call.no_query()?;
    answer::shape(&shape(&named(&call).await?))
}

/// POST `/v1/keys/{key}:rotate`: answers with the new secret, this once.
pub(crate) async fn rotate(mut call: Call) -> Answer {
    call.no_query()?;
    let id = named(&call).await?.id;
    let mut findings = Findings::default();
    let overlap = match call.action_body().await? {
        Some(received) => key::read_rotation(Value::new(validate(&received.bytes, 0)?), &mut findings),
        None => key::OVERLAP,
    };
    if !findings.is_empty() {
        return Err(findings.into());
    }
    let (rotated, text) = call.acting().rotate_key(id, overlap).await?;
    answer::shape(&KeyShape { key: Some(text), ..shape(&rotated) })
}

/// POST `/v1/keys/{key}:revoke`: it opens nothing any more, here at once, on other servers within a second.
pub(crate) async fn revoke(mut call: Call) -> Answer {
    call.no_query()?;
    call.no_members().await?;
    let key = named(&call).await?;
    let is_needed = key.key.is_master() && !call.app.door.has_admin();
    if is_needed && !call.engine().has_master_beside(key.id).await? {
        let detail = "no other key opens everything: make one first, or set TASKLANE_ADMIN_KEY";
        return Err(Refused::new(LAST_MASTER_KEY, detail));
    }
    answer::shape(&shape(&call.acting().revoke_key(key.id).await?))
}

/// DELETE `/v1/keys/{key}`: of one that was revoked nothing is kept.
pub(crate) async fn delete(mut call: Call) -> Answer {
    call.no_query()?;
    call.no_members().await?;
    let id = named(&call).await?.id;
    answer::shape(&shape(&call.acting().remove_key(id).await?))
}

/// The key that the path names, if the caller may see it.
async fn named(call: &Call) -> Result<Keyed, Refused> {
    let id = task_id(&call.name).map(|it| KeyId(it.0)).ok_or_else(key_not_found)?;
    let found = call.engine().key(id).await?;
    let is_own = |it: &Keyed| call.tenant().is_none_or(|own| it.key.grant.tenant.as_deref() == Some(own));
    found.filter(is_own).ok_or_else(key_not_found)
}

fn shape(it: &Keyed) -> KeyShape {
    KeyShape::new(it.id, &it.name, &it.key)
}
