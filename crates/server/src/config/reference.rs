//! The pages about settings, made from their declarations: `docs/reference/configuration.md` and `.env.example`.

use super::setting::{Kind, Section, Setting};
use super::{CONFIG, SECTIONS};

/// What a reader of the page should know before its list.
const HEAD: &str = "\
<!-- Made by `tasklane config reference`. The declarations stand in crates/server/src/config. -->
# Configuration

A setting can be said in four places. The first that says it holds:

1. a flag: `tasklane serve --listen 127.0.0.1:9000`;
2. the environment: `TASKLANE_LISTEN=127.0.0.1:9000`, and after it the lines of a file `.env` in the current directory.
   An empty variable counts as absent;
3. a file: `tasklane.toml` in the current directory, or the one that `--config FILE` or `TASKLANE_CONFIG` names; then every
   `*.toml` of the directory `config` beside it, in the order of their names, a later one over an earlier;
4. the default.

A key that nothing reads is an error, and the nearest one that is known is named. Some settings have a second name in the
environment that other programs know too, such as `LOG_LEVEL`; the name of ours wins.

What holds here and now, and who said it:

```sh
tasklane config check
```

The JSON Schema of the file, for editors: `tasklane config schema`.

";

/// The page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for section in SECTIONS {
        page += &format!("## `[{}]`\n\n{}\n\n", section.name, section.doc);
        for setting in section.settings {
            page += &of_setting(setting);
        }
    }
    page + "## All of it as a file\n\n```toml\n" + &file() + "```\n"
}

fn of_setting(setting: &Setting) -> String {
    let code = |it: &str| format!("`{it}`");
    let mut facts = vec![setting.kind.expected()];
    facts.extend(setting.default.map(|it| format!("default {}", code(it))));
    let variables: Vec<_> = setting.variables().map(code).collect();
    facts.extend((!variables.is_empty()).then(|| variables.join(" or ")));
    facts.extend(setting.flag.map(|it| code(&it.shown())));
    let more = if setting.more.is_empty() { String::new() } else { format!(" {}", setting.more) };
    format!("### `{}`\n\n{}.{more}\n\n{}\n\n", setting.key, setting.doc, facts.join(" · "))
}

/// Every setting as a file says it: those with a default at it, the others as comments.
fn file() -> String {
    // Those of which every setting has a name of the user's choice have nothing to show.
    let shown = SECTIONS.iter().filter(|it| it.settings.iter().any(|it| !it.key.contains('*')));
    shown.map(|it| of_section(it)).collect::<Vec<_>>().join("\n")
}

fn of_section(section: &Section) -> String {
    let mut text = format!("[{}]\n", section.name);
    for setting in section.settings.iter().filter(|it| !it.key.contains('*')) {
        text += &format!("# {}\n", setting.doc);
        text += &match setting.default {
            Some(default) => format!("{} = {}\n", setting.name(), written(setting.kind, default)),
            None => {
                format!("# {} = {}\n", setting.name(), if let Kind::List(_) = setting.kind { "[]" } else { "\"\"" })
            }
        };
    }
    text
}

fn written(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Switch | Kind::Number(..) | Kind::Weight => text.to_owned(),
        Kind::List(_) => {
            format!("[{}]", super::setting::items(text).map(|it| format!("{it:?}")).collect::<Vec<_>>().join(", "))
        }
        _ => format!("{text:?}"),
    }
}

/// The text of `.env.example`.
pub fn env_example() -> String {
    let mut text = String::from(
        "# What may stand in a file `.env` beside which tasklane is started; the process's own environment wins.\n\
         # Made by `tasklane config reference --env`; docs/reference/configuration.md tells more.\n\n",
    );
    text += &format!("# A configuration file\n# {CONFIG}=tasklane.toml\n");
    for section in SECTIONS.iter().filter(|it| it.settings.iter().any(|it| it.variables().next().is_some())) {
        text += &format!("\n# --- {}\n", section.doc);
        for setting in section.settings {
            let Some(name) = setting.variables().next() else { continue };
            let also = setting.foreign.iter().filter(|it| **it != name).map(|it| format!(" (also {it})"));
            let doc = format!("{}{}", setting.doc, also.collect::<String>());
            text += &format!("# {doc}\n# {name}={}\n", setting.default.unwrap_or_default());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::super::{Environment, file as files};
    use super::*;

    /// The committed pages; `scripts/reference` writes them anew.
    const PAGE: &str = include_str!("../../../../docs/reference/configuration.md");
    const EXAMPLE: &str = include_str!("../../../../.env.example");

    #[test]
    fn the_committed_pages_are_current() {
        assert!(
            PAGE == format!("{}\n", page().trim_end()),
            "docs/reference/configuration.md is not current: run scripts/reference"
        );
        assert!(
            EXAMPLE == format!("{}\n", env_example().trim_end()),
            ".env.example is not current: run scripts/reference"
        );
    }

    #[test]
    fn the_file_on_the_page_says_what_holds_anyway() {
        let (entries, wrong) = files::read(Path::new("page"), &file(), SECTIONS);
        assert!(wrong.is_empty(), "{wrong:?}");
        for entry in entries {
            assert_eq!(Some(entry.text.as_str()), entry.setting.default, "{}", entry.setting.key);
        }
    }

    #[test]
    fn the_example_says_nothing_and_names_every_variable() {
        let text = env_example();
        assert!(text.lines().all(|it| it.is_empty() || it.starts_with("# ")), "{text}");
        let names = SECTIONS.iter().flat_map(|it| it.settings).filter_map(|it| it.variables().next());
        assert!(names.into_iter().all(|it| text.contains(&format!("# {it}="))));
        assert_eq!(Environment::default().names().count(), 0);
    }
}
