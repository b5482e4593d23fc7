//! Names: the table of the reference, and what holds for any text.

use proptest::prelude::*;

use super::*;

#[test]
fn interface_names_follow_the_kernel() {
    for good in ["eth0", "e", "abcdefghijklmno", "eth0.100", "...", "a@b", "-", "_"] {
        assert_eq!(InterfaceName::new(good).unwrap().as_str(), good);
    }
    let refused =
        ["", ".", "..", "abcdefghijklmnop", "a/b", "a:b", "a b", "a\tb", "a\0", "é", "eth%d"];
    for bad in refused {
        let error = InterfaceName::new(bad).unwrap_err();
        assert_eq!(error.code(), ErrorCode::INVALID_ENVIRONMENT, "{bad:?}");
    }
}

#[test]
fn interface_name_is_measured_in_bytes() {
    let error = InterfaceName::new("interface-é-too-long").unwrap_err();
    assert!(matches!(error, InvalidName::TooLong { length: 21, limit: 15, .. }), "{error}");
}

#[test]
fn identifiers_follow_the_specification() {
    for good in ["a", "0", "my_net.1-x", &"a".repeat(255)] {
        assert!(NetworkName::new(good).is_ok());
        assert!(ContainerId::new(good).is_ok());
        assert!(PluginType::new(good).is_ok());
    }
    for bad in ["", "_a", ".", "..", ".a", "-a", "a/b", "../a", "a b", "a\n", "ä", "a%", "a:b"] {
        assert!(NetworkName::new(bad).is_err(), "{bad:?}");
        assert!(ContainerId::new(bad).is_err(), "{bad:?}");
        assert!(PluginType::new(bad).is_err(), "{bad:?}");
    }
    assert!(ContainerId::new("a".repeat(256)).is_err());
}

#[test]
fn refused_names_have_the_codes_of_the_reference() {
    let code = |error: InvalidName| CniError::from(error).code;
    assert_eq!(code(ContainerId::new("").unwrap_err()), ErrorCode::UNKNOWN_CONTAINER);
    assert_eq!(code(ContainerId::new("/").unwrap_err()), ErrorCode::INVALID_ENVIRONMENT);
    assert_eq!(code(NetworkName::new("").unwrap_err()), ErrorCode::INVALID_NETWORK_CONFIG);
    assert_eq!(code(PluginType::new("a/b").unwrap_err()), ErrorCode::INVALID_NETWORK_CONFIG);
}

#[test]
fn refusal_says_what_and_where_in_one_line() {
    let error = ContainerId::new("web\n1").unwrap_err().to_string();
    let rule = "letters, digits, '_', '.' and '-' are allowed, the first a letter or a digit";
    let expected = format!(r#"container id "web\n1" must not have '\n' at position 4: {rule}"#);
    assert_eq!(error, expected);
}

#[test]
fn names_are_checked_when_deserialized() {
    let name: NetworkName = serde_json::from_str("\"pods\"").unwrap();
    assert_eq!(serde_json::to_string(&name).unwrap(), "\"pods\"");
    assert!(serde_json::from_str::<NetworkName>("\"../pods\"").is_err());
}

proptest! {
    #[test]
    fn accepted_names_are_one_safe_path_component(text in "[ -~é\n]{0,20}") {
        let accepted = [
            NetworkName::new(text.as_str()).map(String::from),
            ContainerId::new(text.as_str()).map(String::from),
            PluginType::new(text.as_str()).map(String::from),
            InterfaceName::new(text.as_str()).map(String::from),
        ];
        for name in accepted.into_iter().flatten() {
            prop_assert_eq!(&name, &text);
            prop_assert!(!name.is_empty() && name.len() <= MAX_NAME_BYTES);
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'));
            prop_assert!(name != "." && name != "..");
        }
    }

    #[test]
    fn refusals_are_one_short_line(text in any::<String>()) {
        if let Err(error) = ContainerId::new(text) {
            let message = error.to_string();
            prop_assert!(!message.contains('\n'));
            prop_assert!(message.len() < 700);
        }
    }
}
