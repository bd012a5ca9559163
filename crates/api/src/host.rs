//! Under which names the server may be called while no key guards it. A page of another site can make a browser call an
//! address of this machine, by a name of its own that leads here (DNS rebinding) or by a form; both give themselves
//! away in the headers Host and Origin.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::uri::{Authority, Uri};
use http::{HeaderMap, HeaderValue};

use crate::cors::Grant;
use crate::error::{HOST_NOT_ALLOWED, ORIGIN_NOT_ALLOWED, Refused};

/// Which names are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hosts {
    /// Those of this machine itself: localhost, 127.0.0.0/8, [::1].
    #[default]
    Loopback,
    /// Every name.
    Any,
}

/// Refuses a request under another name, and one from a page of another site unless that page was granted answers.
pub(crate) fn check(hosts: Hosts, uri: &Uri, headers: &HeaderMap, grant: &Grant) -> Result<(), Refused> {
    if hosts == Hosts::Any {
        return Ok(());
    }
    let named: Vec<_> = headers.get_all(HOST).iter().collect();
    let by_header = !named.is_empty() && named.iter().all(|it| text(it).is_some_and(is_loopback));
    let by_target = uri.authority().is_none_or(|it| is_loopback(it.as_str()));
    if !by_header || !by_target {
        let detail = "without keys the server answers only as localhost, 127.0.0.1 or [::1]; call it by such a name, or start it with --insecure";
        return Err(Refused::new(HOST_NOT_ALLOWED, detail));
    }
    if grant.is_given() || headers.get_all(ORIGIN).iter().all(|it| text(it).is_some_and(is_own_page)) {
        return Ok(());
    }
    let detail = "without keys the server answers no pages of other sites; serve the page from this machine, name its origin in TASKLANE_CORS_ORIGINS, or start the server with --insecure";
    Err(Refused::new(ORIGIN_NOT_ALLOWED, detail))
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

/// Whether a page of this origin is one of this machine.
pub(crate) fn is_own_page(origin: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, host)| is_loopback(host))
}

fn is_loopback(authority: &str) -> bool {
    let Some(authority) = authority.parse::<Authority>().ok().filter(|it| !it.as_str().contains('@')) else {
        return false;
    };
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for name in ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.8.9.1:1", "[::1]", "[::1]:8000"] {
            assert!(is_loopback(name), "{name}");
        }
        for name in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "a@localhost",
            "10.0.0.1",
            "0.0.0.0",
            "[::2]",
            "localhost:x:y",
            "2130706433",
            "localhost/",
        ] {
            assert!(!is_loopback(name), "{name}");
        }
        for origin in ["null", "https://evil.example", "", "evil"] {
            assert!(!is_own_page(origin), "{origin}");
        }
        assert!(is_own_page("http://localhost:3000"));
    }
}
