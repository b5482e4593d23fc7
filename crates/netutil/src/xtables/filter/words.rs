//! The words of a rule in the text of `iptables-save` and `iptables-restore`.

/// Splits a line at white space; what stands between double quotes is one word, and a backslash takes the next character
/// as it is.
pub(super) fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), None::<String>, false);
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            '\\' => word.get_or_insert_default().extend(characters.next()),
            blank if blank.is_whitespace() && !is_quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// A word as it must be written to be read as one.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |character: char| character.is_ascii_graphic() && !"\"'\\".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_listed_rule_is_split_into_its_words() {
        let line = r#"-i br0 ! -o br0 -m comment --comment "a \"b\" (c: d|e)" -j DROP"#;
        let words = [
            "-i",
            "br0",
            "!",
            "-o",
            "br0",
            "-m",
            "comment",
            "--comment",
            "a \"b\" (c: d|e)",
            "-j",
            "DROP",
        ];
        assert_eq!(split(line), words);
        assert_eq!(split("  "), [""; 0]);
        assert_eq!(split(r#"--comment """#), ["--comment", ""]);
    }

    proptest! {
        #[test]
        fn words_are_read_as_they_were_written(words in prop::collection::vec("[ -~]{0,8}", 0..6)) {
            let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            prop_assert_eq!(split(&line.join(" ")), words);
        }
    }
}
