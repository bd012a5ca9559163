//! The worker's side: a handler for a type.

use std::collections::HashMap;

use tasklane_client::{Client, Error, HandlerError, TaskContext};

use crate::{Counts, TYPE, Text};

/// Counts until Ctrl-C or SIGTERM.
pub(crate) async fn work(client: &Client) -> Result<(), Error> {
    client.worker().handle(TYPE, handle).run().await?;
    Ok(())
}

async fn handle(context: TaskContext, input: Text) -> Result<Counts, HandlerError> {
    if input.text.is_empty() {
        // Trying again would not fill the file.
        return Err(HandlerError::permanent(format!("{} is empty", input.name)));
    }
    context.progress(0.0, format!("counting {}", input.name));
    Ok(count(&input.text))
}

fn count(text: &str) -> Counts {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let words = text.split(|it: char| !it.is_alphanumeric() && it != '\'').filter(|it| !it.is_empty());
    words.for_each(|word| *seen.entry(word.to_lowercase()).or_default() += 1);
    let long = seen.iter().filter(|(word, _)| word.chars().count() > 3);
    // Of two words that stand there as often, the first in the alphabet.
    let favourite = long.max_by_key(|(word, count)| (**count, std::cmp::Reverse(*word)));
    Counts {
        lines: text.lines().count(),
        words: seen.values().sum(),
        distinct: seen.len(),
        favourite: favourite.map(|(word, _)| word.clone()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_words_whatever_their_case() {
        let counts = count("The licence,\nthe LICENCE (it's short).\n");
        let favourite = "licence".to_owned();
        assert_eq!(counts, Counts { lines: 2, words: 6, distinct: 4, favourite });
    }
}
