//! Which parts of a file are code.

use super::*;

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn comments_and_literals_are_not_code() {
    let cases = [
        ("let a = 1; // fn {", "let a = 1;"),
        ("a /* { /* nested */ } */ b", "a b"),
        (r#"say("{ \" }", b"{", c"{")"#, "say( , , )"),
        (r##"say(r#"{ " }"#, br"{")"##, "say( , )"),
        (r"['{', '\'', '\\', b'{', '\u{7b}']", "[ , , , , ]"),
        ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
        ("r#fn break_b car", "r#fn break_b car"),
        ("a /* open", "a"),
        ("say(\"open", "say("),
        ("ü \"ü\" ü", "ü ü"),
    ];
    for (text, code) in cases {
        assert_eq!(squeezed(&split(text).0), code, "{text}");
    }
}

#[test]
fn lines_and_offsets_stay_where_they_are() {
    let text = "// ü\nlet a = \"x\ny\"; /* z\n */ b\n";
    let (code, comments) = split(text);
    assert_eq!((code.len(), comments.len()), (text.len(), text.len()));
    assert_eq!(code.lines().count(), text.lines().count());
    assert_eq!(line_of(&code, code.find('b').unwrap()), 4);
    assert_eq!(squeezed(&comments), "// ü /* z */");
}

#[test]
fn test_modules_are_no_production_code() {
    let text =
        "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\n#[cfg(test)]\nmod more;\nfn c() {}\n";
    let source = Source::new("crates/x/src/a.rs".into(), text.into());
    assert_eq!(squeezed(&source.production()), "fn a() {} fn c() {}");
    assert_eq!(line_of(&source.production(), source.production().find("fn c").unwrap()), 8);
    for path in ["crates/x/src/a/tests.rs", "crates/x/tests/a.rs", "tests/src/lib.rs"] {
        assert!(Source::new(path.into(), text.into()).is_test(), "{path}");
    }
}

#[test]
fn words_are_whole() {
    assert_eq!(find_word("fn a fnb bfn _fn fn", "fn").collect::<Vec<_>>(), [0, 17]);
}

#[test]
fn a_body_starts_behind_its_head() {
    let code = "fn f(a: [u8; 4]) -> B where C: D { { } } fn";
    assert_eq!(code.get(body(code, 0).unwrap()), Some("{ { } }"));
    assert_eq!(body("fn f(); {}", 0), None);
}
