//! What somebody may have meant.

use super::setting::Setting;

/// How alike two texts must be for one to be offered for the other; 0 is not at all, 1 is the same.
const ALIKE: f64 = 0.4;

/// Whichever of `known` is most like `text`, if any is.
pub fn of<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    let alike = |it: &str| strsim::normalized_damerau_levenshtein(&text, &it.to_lowercase());
    let scored = known.into_iter().map(|it| (alike(it), it)).filter(|(score, _)| *score > ALIKE);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, it)| it)
}

/// The key that `key` may have been meant to be; one of that name in another section comes first.
pub(super) fn key(key: &str, settings: &[&'static Setting]) -> Option<String> {
    let last = key.rsplit('.').next().unwrap_or(key);
    let named = settings.iter().find(|it| it.name() == last).map(|it| it.key);
    let sections = settings.iter().filter_map(|it| it.key.split_once('.')).map(|(section, _)| section);
    let whole = of(key, settings.iter().map(|it| it.key).chain(sections));
    named.or(whole).or_else(|| of(last, settings.iter().map(|it| it.name()))).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_offered() {
        const A: Setting = Setting { key: "http.listen", ..Setting::NEW };
        const B: Setting = Setting { key: "log.level", ..Setting::NEW };
        let of = |text| key(text, &[&A, &B]);
        assert_eq!(of("http.lisetn").as_deref(), Some("http.listen"));
        assert_eq!(of("listen").as_deref(), Some("http.listen"));
        assert_eq!(of("lgo").as_deref(), Some("log"));
        assert_eq!(of("logging.level").as_deref(), Some("log.level"));
        assert_eq!(of("zzz"), None);
    }
}
