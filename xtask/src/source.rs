//! A Rust file as the checks read it: code apart from comments, literals blanked, tests told from the rest.
//!
//! Not a parser: it knows comments, literals and brackets, which is all that the checks need.

use std::ops::Range;

/// One Rust file.
#[derive(Debug)]
pub(crate) struct Source {
    /// The path relative to the workspace.
    pub(crate) path: String,
    /// The text as written.
    pub(crate) text: String,
    /// The text with comments and literals blanked; lines stay where they are.
    pub(crate) code: String,
    /// The text with everything but comments blanked; lines stay where they are.
    pub(crate) comments: String,
}

impl Source {
    /// Reads a file's text.
    pub(crate) fn new(path: String, text: String) -> Self {
        let (code, comments) = split(&text);
        Self { path, text, code, comments }
    }

    /// Whether the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    /// Whether the file is a program for a reader, which cargo builds for nobody else.
    pub(crate) fn is_example(&self) -> bool {
        self.path.split('/').any(|part| part == "examples")
    }

    /// The code without what only `cfg(test)` builds; lines stay where they are.
    pub(crate) fn production(&self) -> String {
        if self.is_test() {
            return String::new();
        }
        let mut code = self.code.clone();
        while let Some(start) = code.find("#[cfg(test)]") {
            let end = item_end(&code, start);
            let blank = blanked(code.get(start..end).unwrap_or_default());
            code.replace_range(start..end, &blank);
        }
        code
    }
}

/// Where a word stands in the code, not as part of a longer one.
pub(crate) fn find_word<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(offset, _)| offset).filter(move |offset| {
        let before = code.get(..*offset).and_then(|text| text.chars().next_back());
        let after = code.get(offset + word.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The line of an offset, counted from 1.
pub(crate) fn line_of(code: &str, offset: usize) -> usize {
    code.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The braces of the item whose head starts at `from`, both included; `None` when it ends with a semicolon.
pub(crate) fn body(code: &str, from: usize) -> Option<Range<usize>> {
    let end = head_end(code, from)?;
    (code.as_bytes().get(end) == Some(&b'{')).then(|| end..closing_brace(code, end))
}

/// The offset of the brace or semicolon that ends the head which starts at `from`.
pub(crate) fn head_end(code: &str, from: usize) -> Option<usize> {
    let mut nested = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested = nested.saturating_sub(1),
            b'{' | b';' if nested == 0 => return Some(offset),
            _ => {}
        }
    }
    None
}

/// The offset behind the brace that closes the one at `open`.
pub(crate) fn closing_brace(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return offset + 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    code.len()
}

/// Whether a character can be part of an identifier.
pub(crate) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn item_end(code: &str, from: usize) -> usize {
    match head_end(code, from) {
        Some(end) if code.as_bytes().get(end) == Some(&b'{') => closing_brace(code, end),
        Some(end) => end + 1,
        None => code.len(),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Code,
    Comment,
    Literal,
}

/// Separates code from comments; literals are in neither.
fn split(text: &str) -> (String, String) {
    let (mut code, mut comments) = (String::new(), String::new());
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, length) = next_piece(rest);
        let (head, tail) = rest.split_at(length);
        let blank = blanked(head);
        code.push_str(if piece == Piece::Code { head } else { &blank });
        comments.push_str(if piece == Piece::Comment { head } else { &blank });
        rest = tail;
    }
    (code, comments)
}

fn next_piece(rest: &str) -> (Piece, usize) {
    if rest.starts_with("//") {
        (Piece::Comment, rest.find('\n').unwrap_or(rest.len()))
    } else if rest.starts_with("/*") {
        (Piece::Comment, block_comment(rest))
    } else if let Some(length) = text_literal(rest).or_else(|| character_literal(rest)) {
        (Piece::Literal, length)
    } else {
        (Piece::Code, word_or_character(rest))
    }
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut offset) = (0_usize, 0);
    while let Some(tail) = rest.get(offset..).filter(|tail| !tail.is_empty()) {
        let step =
            if tail.starts_with("/*") || tail.starts_with("*/") { 2 } else { first_length(tail) };
        if tail.starts_with("/*") {
            depth += 1;
        } else if tail.starts_with("*/") {
            depth -= 1;
        }
        offset += step;
        if depth == 0 {
            break;
        }
    }
    offset
}

fn text_literal(rest: &str) -> Option<usize> {
    ["br", "cr", "r"].iter().find_map(|prefix| raw_text(rest, prefix)).or_else(|| {
        ["b", "c", ""].iter().find_map(|prefix| {
            let inside = rest.strip_prefix(prefix)?.strip_prefix('"')?;
            Some(prefix.len() + 1 + until_unescaped(inside, '"'))
        })
    })
}

fn raw_text(rest: &str, prefix: &str) -> Option<usize> {
    let tail = rest.strip_prefix(prefix)?;
    let hashes = tail.len() - tail.trim_start_matches('#').len();
    let inside = tail.trim_start_matches('#').strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inside.find(&end).map_or(inside.len(), |found| found + end.len());
    Some(prefix.len() + hashes + 1 + length)
}

/// A quote opens a character, or a lifetime that nothing closes.
fn character_literal(rest: &str) -> Option<usize> {
    let prefix = usize::from(rest.starts_with("b'"));
    let inside = rest.get(prefix..)?.strip_prefix('\'')?;
    let is_character = inside.starts_with('\\') || inside.chars().nth(1) == Some('\'');
    is_character.then(|| prefix + 1 + until_unescaped(inside, '\''))
}

/// The length up to and with the first `end` that no backslash precedes.
fn until_unescaped(inside: &str, end: char) -> usize {
    let mut escaped = false;
    for (offset, character) in inside.char_indices() {
        if character == end && !escaped {
            return offset + end.len_utf8();
        }
        escaped = character == '\\' && !escaped;
    }
    inside.len()
}

fn word_or_character(rest: &str) -> usize {
    let word = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
    if word == 0 { first_length(rest) } else { word }
}

fn first_length(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

/// Spaces of the same length, line ends kept.
fn blanked(text: &str) -> String {
    text.chars()
        .flat_map(|character| match character {
            '\n' => vec!['\n'],
            other => vec![' '; other.len_utf8()],
        })
        .collect()
}

#[cfg(test)]
mod tests;
