//! What programs wrote, made fit for a line of an error.

/// The beginning of a text, on one line.
pub(crate) fn beginning(text: &str, characters: usize) -> String {
    let line = on_one_line(text);
    match line.char_indices().nth(characters) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// The end of a text, on one line.
pub(crate) fn end(text: &str, characters: usize) -> String {
    let line = on_one_line(text);
    let skipped = line.chars().count().saturating_sub(characters);
    match line.char_indices().nth(skipped) {
        Some((start, _)) if skipped > 0 => format!("...{}", line.get(start..).unwrap_or_default()),
        _ => line,
    }
}

/// Each run of white space becomes one space; other control characters are escaped.
fn on_one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut line = String::new();
    for character in words.join(" ").chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_control_characters_escaped() {
        assert_eq!(beginning("one\n\ttwo \u{1b}[31m\n", 80), "one two \\u{1b}[31m");
    }

    #[test]
    fn cut_text_shows_that_it_is_cut() {
        assert_eq!(beginning("äbcdef", 3), "äbc...");
        assert_eq!(end("abcdéf", 3), "...déf");
        assert_eq!((beginning("abc", 3), end("abc", 3)), ("abc".to_owned(), "abc".to_owned()));
        assert_eq!(end("", 3), "");
    }
}
