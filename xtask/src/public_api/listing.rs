//! Gathers the public items of one file: their heads, public fields, variants, and the traits that types implement.

use std::ops::Range;

use crate::source::{closing_brace, find_word, head_end, is_word};

/// The public items of production code, one a line, members indented.
pub(crate) fn items(code: &str) -> String {
    let mut lines = Vec::new();
    gather(code, Scope::Module, &mut lines);
    let private: Vec<&str> = private_types(code).collect();
    lines.retain(|line| !implemented_for(line).is_some_and(|name| private.contains(&name)));
    lines.into_iter().flat_map(|line| [line, "\n".to_owned()]).collect()
}

/// The types of this file that are not public: nobody outside sees which traits they implement.
fn private_types(code: &str) -> impl Iterator<Item = &str> {
    ["struct", "enum", "union"].into_iter().flat_map(move |keyword| {
        let private =
            |offset: &usize| !code.get(..*offset).is_some_and(|head| head.ends_with("pub "));
        let name = move |offset: usize| first_word(code.get(offset + keyword.len()..)?);
        find_word(code, keyword).filter(private).filter_map(name)
    })
}

/// The type that an `impl Trait for Type` is about.
fn implemented_for(line: &str) -> Option<&str> {
    let (_, implementor) = line.strip_prefix("impl")?.split_once(" for ")?;
    first_word(implementor)
}

fn first_word(text: &str) -> Option<&str> {
    text.split(|character| !is_word(character)).find(|word| !word.is_empty())
}

/// Where an item stands decides what makes it public.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Module,
    /// What says `pub` in an implementation belongs to the type.
    Implementation,
    /// Everything in a public trait is public.
    Trait,
}

/// One item: its head without attributes, and what stands between its braces.
struct Item<'a> {
    attributes: Vec<&'a str>,
    head: &'a str,
    body: Option<&'a str>,
}

fn gather(code: &str, scope: Scope, lines: &mut Vec<String>) {
    let mut rest = code;
    while let Some((item, length)) = next_item(rest) {
        describe(&item, scope, lines);
        rest = rest.get(length..).unwrap_or_default();
    }
}

fn describe(item: &Item<'_>, scope: Scope, lines: &mut Vec<String>) {
    let public = scope == Scope::Trait || item.head.starts_with("pub ");
    let body = item.body.unwrap_or_default();
    let indent = if scope == Scope::Module { "" } else { "    " };
    match keyword(item.head) {
        "impl" if item.head.contains(" for ") => lines.push(dense(item.head)),
        "impl" => group(item, Scope::Implementation, lines),
        "fn" | "use" | "const" | "static" | "type" => {
            lines.extend(public.then(|| format!("{indent}{}", signature(item.head))));
        }
        "trait" if public => {
            lines.push(dense(item.head));
            gather(body, Scope::Trait, lines);
        }
        "struct" | "enum" | "union" if public => {
            lines.extend(item.attributes.iter().map(|attribute| dense(attribute)));
            lines.push(dense(item.head));
            lines.extend(members(body, keyword(item.head) == "enum"));
        }
        "trait" | "struct" | "enum" | "union" => {}
        // A module, or a macro whose body holds items.
        _ => group(item, scope, lines),
    }
}

/// The word that says what kind of item this is.
fn keyword(head: &str) -> &str {
    const KEYWORDS: &[&str] = &[
        "impl", "fn", "use", "const", "static", "type", "trait", "struct", "enum", "union", "mod",
    ];
    let mut words = head.split(|character| !is_word(character));
    words.find(|word| KEYWORDS.contains(word)).unwrap_or_default()
}

/// The items inside, under the head; nothing where none is public.
fn group(item: &Item<'_>, scope: Scope, lines: &mut Vec<String>) {
    let mut inside = Vec::new();
    gather(item.body.unwrap_or_default(), scope, &mut inside);
    if !inside.is_empty() {
        lines.push(dense(item.head));
        lines.append(&mut inside);
    } else if item.body.is_none() && item.head.starts_with("pub ") {
        lines.push(dense(item.head));
    }
}

/// The first item of `code`, and how far it reaches.
fn next_item(code: &str) -> Option<(Item<'_>, usize)> {
    let end = head_end(code, 0)?;
    let (attributes, head) = split_attributes(code.get(..end)?);
    let braces = braces(code, end);
    let is_import = keyword(head) == "use";
    match braces {
        Some(braces) if is_import => {
            let length = code
                .get(braces.end..)?
                .find(';')
                .map_or(code.len(), |found| braces.end + found + 1);
            let start = code.len() - code.trim_start().len();
            let (_, head) = split_attributes(code.get(start..length - 1)?);
            Some((Item { attributes, head, body: None }, length))
        }
        Some(braces) => {
            let body = code.get(braces.start + 1..braces.end.saturating_sub(1));
            Some((Item { attributes, head, body }, braces.end))
        }
        None => Some((Item { attributes, head, body: None }, end + 1)),
    }
}

fn braces(code: &str, end: usize) -> Option<Range<usize>> {
    (code.as_bytes().get(end) == Some(&b'{')).then(|| end..closing_brace(code, end))
}

/// The attributes that belong to the API, and the rest of the head.
fn split_attributes(head: &str) -> (Vec<&str>, &str) {
    let mut attributes = Vec::new();
    let mut rest = head.trim();
    while let Some(length) = rest.strip_prefix('#').map(|_| attribute_length(rest)) {
        let (attribute, tail) = rest.split_at(length);
        if attribute.starts_with("#[derive") || attribute.starts_with("#[non_exhaustive") {
            attributes.push(attribute);
        }
        rest = tail.trim_start();
    }
    (attributes, rest)
}

fn attribute_length(text: &str) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' if depth == 1 => return offset + 1,
            b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    text.len()
}

/// Public fields, or all variants, one a line.
fn members(body: &str, is_enum: bool) -> Vec<String> {
    let parts = split_at_commas(body).into_iter().map(|part| split_attributes(part).1);
    let public = parts.filter(|part| !part.is_empty() && (is_enum || part.starts_with("pub ")));
    public.map(|part| format!("    {}", dense(&without_attributes(part)))).collect()
}

/// A variant's fields have attributes too.
fn without_attributes(text: &str) -> String {
    let mut kept = text.to_owned();
    while let Some(start) = kept.find("#[") {
        let length = attribute_length(kept.get(start..).unwrap_or_default());
        kept.replace_range(start..start + length, "");
    }
    kept
}

/// Splits at the commas that stand in no bracket.
fn split_at_commas(body: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let mut before = ' ';
    body.split(|character| {
        match character {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '>' if before != '-' && before != '=' => depth -= 1,
            _ => {}
        }
        before = character;
        character == ',' && depth == 0
    })
    .collect()
}

/// A head without the value that a constant has.
fn signature(head: &str) -> String {
    let has_value = ["const", "static"].iter().any(|word| find_word(head, word).next().is_some())
        && find_word(head, "fn").next().is_none();
    dense(if has_value { head.split(" = ").next().unwrap_or(head) } else { head })
}

fn dense(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words
        .replace("( ", "(")
        .replace(", )", ")")
        .replace(" )", ")")
        .replace(", }", " }")
        .replace(" .", ".")
        .trim_end_matches(',')
        .to_owned()
}

#[cfg(test)]
mod tests;
