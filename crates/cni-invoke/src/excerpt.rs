//! What plugins wrote, made fit for a line of an error.

/// The beginning of a text, on one line.
pub(crate) fn beginning(text: &str, characters: usize) -> String {
    let line = on_one_line(text);
    let kept: String = line.chars().take(characters).collect();
    if kept.len() < line.len() { format!("{kept}...") } else { kept }
}

/// The end of a text, on one line.
pub(crate) fn end(text: &str, characters: usize) -> String {
    let line = on_one_line(text);
    let skipped = line.chars().count().saturating_sub(characters);
    if skipped == 0 {
        return line;
    }
    let kept: String = line.chars().skip(skipped).collect();
    format!("...{kept}")
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
        assert_eq!(beginning("abcdef", 3), "abc...");
        assert_eq!(end("abcdef", 3), "...def");
        assert_eq!(end("ab", 3), "ab");
    }
}
