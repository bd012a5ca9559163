//! What a route is, and how a request finds its own among those of one pattern.

use std::fmt;

use http::Method;
use tasklane_core::key::Scope;
use tasklane_core::ports::BoxFuture;

use crate::action::{self, Place};
use crate::answer::Answer;
use crate::call::Call;
use crate::dialects::Dialect;
use crate::error::{METHOD_NOT_ALLOWED, Refused, not_found};

/// Who may call a route once keys exist. A key of a tenant reaches that tenant's things alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody, with or without a key.
    Everyone,
    /// The same, unless a setting says otherwise.
    Metrics,
    /// A key that may submit.
    Submit,
    /// A key that may read.
    Read,
    /// A key that may read, of no tenant: it tells of all of them.
    ReadAll,
    /// A key that may work, of no tenant: leases are of all of them.
    Work,
    /// An admin's key.
    Admin,
    /// An admin's key of no tenant: it concerns all of them.
    AdminAll,
}

impl Access {
    /// The scope that a key needs.
    pub const fn scope(self) -> Option<Scope> {
        match self {
            Self::Everyone => None,
            Self::Submit => Some(Scope::Submit),
            Self::Metrics | Self::Read | Self::ReadAll => Some(Scope::Read),
            Self::Work => Some(Scope::Work),
            Self::Admin | Self::AdminAll => Some(Scope::Admin),
        }
    }

    /// Whether a key of a tenant is not enough.
    pub const fn is_of_everybody(self) -> bool {
        matches!(self, Self::Metrics | Self::ReadAll | Self::Work | Self::AdminAll)
    }
}

/// The methods that routes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// GET, and HEAD.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Verb {
    fn of(method: &Method) -> Option<Self> {
        match *method {
            Method::GET | Method::HEAD => Some(Self::Get),
            Method::POST => Some(Self::Post),
            Method::PUT => Some(Self::Put),
            Method::PATCH => Some(Self::Patch),
            Method::DELETE => Some(Self::Delete),
            _ => None,
        }
    }

    /// The method, as the OpenAPI document writes it.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Does what a route is for; one file in `v1` or `service`.
pub(crate) type Handler = fn(Call) -> BoxFuture<'static, Answer>;

/// A line of the table of routes.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub verb: Verb,
    /// As it is documented; also the label in metrics.
    pub path: &'static str,
    pub access: Access,
    pub handler: Handler,
    /// Whose it is; `None` is Tasklane's own.
    pub dialect: Option<Dialect>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} for {:?}", self.verb, self.path, self.access)
    }
}

/// The routes that arrive under one pattern.
#[derive(Debug)]
pub(crate) struct Group {
    pub pattern: String,
    routes: Vec<(Option<&'static str>, Route)>,
}

/// The groups of a table, in its order.
pub(crate) fn groups<'t>(table: impl IntoIterator<Item = &'t Route>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for route in table {
        let Place { pattern, action } = Place::of(route.path);
        match groups.iter_mut().find(|it| it.pattern == pattern) {
            Some(group) => group.routes.push((action, *route)),
            None => groups.push(Group { pattern, routes: vec![(action, *route)] }),
        }
    }
    groups
}

impl Group {
    /// The route for a request, and the name it captured without the action.
    ///
    /// # Errors
    /// There is no such route, or not by this method.
    pub fn choose(&self, method: &Method, captured: Option<String>) -> Result<(Route, String), Refused> {
        let verb = Verb::of(method);
        let captured = captured.unwrap_or_default();
        // A name may hold colons, so only a method that actions have, or a noun without a name, splits it.
        if verb == Some(Verb::Post) || self.is_collection() {
            if let (name, Some(action)) = action::split(&captured) {
                return self.find(verb, Some(action)).map(|route| (route, name.to_owned()));
            }
            if self.is_collection() {
                return Err(not_found());
            }
        }
        self.find(verb, None).map(|route| (route, captured))
    }

    /// Whose routes these are: a pattern belongs to one interface.
    pub fn dialect(&self) -> Option<Dialect> {
        self.routes.first().and_then(|it| it.1.dialect)
    }

    /// Whether it belongs to one interface, with each method of an action once.
    #[cfg(test)]
    pub fn is_of_one(&self) -> bool {
        let of_one = self.routes.iter().all(|it| it.1.dialect == self.dialect());
        let mut verbs: Vec<_> = self.routes.iter().map(|it| (it.0, it.1.verb.as_str())).collect();
        verbs.sort_unstable();
        verbs.dedup();
        of_one && verbs.len() == self.routes.len()
    }

    /// Every method of the pattern, each once.
    pub fn methods(&self) -> String {
        let mut verbs: Vec<_> = self.routes.iter().map(|it| it.1.verb.as_str()).collect();
        verbs.sort_unstable();
        verbs.dedup();
        verbs.join(", ")
    }

    /// Whether the pattern captures a part of the path.
    pub fn captures(&self) -> bool {
        self.pattern.contains('{')
    }

    fn is_collection(&self) -> bool {
        self.pattern.ends_with("{action}")
    }

    fn find(&self, verb: Option<Verb>, action: Option<&str>) -> Result<Route, Refused> {
        let mut named = self.routes.iter().filter(|it| it.0 == action).peekable();
        if named.peek().is_none() {
            return Err(not_found());
        }
        let allowed: Vec<_> = named.clone().map(|it| it.1.verb.as_str()).collect();
        named.find(|it| Some(it.1.verb) == verb).map(|it| it.1).ok_or_else(|| {
            let allowed = allowed.join(", ");
            Refused::new(METHOD_NOT_ALLOWED, format!("this route answers {allowed}")).allow(&allowed)
        })
    }
}
