//! Which pages may call the server from a browser.

use super::Settings;
use super::setting::{Kind, Setting};
use crate::error::StartError;

/// Pages that may call the server.
pub const CORS_ORIGINS: Setting = Setting {
    key: "http.cors_origins",
    kind: Kind::List(100),
    variable: Some("TASKLANE_CORS_ORIGINS"),
    doc: "Pages of these origins, such as https://app.example, may call every route and read the answers",
    more: "Without this a browser's page of another origin is refused, but for the Atropos routes and pages of this machine.",
    ..Setting::NEW
};

/// What HTTP callers may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Http {
    /// Pages of these origins may call every route and read the answers; each as a browser writes it.
    pub cors_origins: Vec<Box<str>>,
}

impl Http {
    /// Reads the section.
    ///
    /// # Errors
    /// Something that is no origin.
    pub fn read(settings: &Settings) -> Result<Self, StartError> {
        let (found, words) = (settings.get(&CORS_ORIGINS), settings.list(&CORS_ORIGINS));
        let cors_origins = words.iter().map(|word| {
            let expected =
                "a list of origins with commas between, each such as https://app.example or http://10.0.0.7:3000";
            origin(word).ok_or_else(|| StartError::setting(&found.name(), word, expected))
        });
        Ok(Self { cors_origins: cors_origins.collect::<Result<_, _>>()? })
    }
}

/// An origin as a browser writes it: lower case, without the scheme's own port and without a path.
fn origin(word: &str) -> Option<Box<str>> {
    let word = word.to_ascii_lowercase();
    let (scheme, host) = word.split_once("://")?;
    let is_plain = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_graphic() && !b"/?#@*\\".contains(&it));
    if !is_plain(scheme) || !is_plain(host) || scheme.contains(':') {
        return None;
    }
    let own_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    Some(format!("{scheme}://{}", host.strip_suffix(own_port).unwrap_or(host)).into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Environment, Flags};
    use super::*;

    fn read(text: &str) -> Result<Vec<Box<str>>, StartError> {
        let environment = Environment::from([("TASKLANE_CORS_ORIGINS", text)]);
        let settings = Settings::without_files(&Flags::default(), &environment)?;
        Http::read(&settings).map(|it| it.cors_origins)
    }

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        assert_eq!(Http::read(&Settings::default()).unwrap(), Http::default());
        let read = read("https://App.example:443, http://10.0.0.7:3000,,http://[::1]:80").unwrap();
        assert_eq!(read, ["https://app.example".into(), "http://10.0.0.7:3000".into(), Box::from("http://[::1]")]);
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in
            ["*", "https://*.example", "app.example", "https://", "https://a/", "https://u@a", "null", "a b://c"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
