//! Errors as plugins print them.

use super::*;

#[test]
fn error_is_read_back() {
    let error = CniError::new(ErrorCode::TRY_AGAIN_LATER, "busy").with_details("lock of 7");
    let printed = error.to_json(Some(SpecVersion::V1_0_0));
    let expected =
        json!({"cniVersion": "1.0.0", "code": 11, "msg": "busy", "details": "lock of 7"});
    assert_eq!(printed, expected);
    assert_eq!(CniError::from_json(&printed), Some(error));
}

#[test]
fn error_without_version_or_details_has_no_such_keys() {
    let printed = CniError::new(ErrorCode::INTERNAL, "oops").to_json(None);
    assert_eq!(printed, json!({"code": 999, "msg": "oops"}));
}

#[test]
fn only_objects_with_code_or_message_are_errors() {
    for other in [json!(null), json!({}), json!("x"), json!({"cniVersion": "1.0.0", "ips": []})] {
        assert_eq!(CniError::from_json(&other), None, "{other}");
    }
    let bare = CniError::from_json(&json!({"Msg": "no code"})).unwrap();
    assert_eq!(bare, CniError::new(ErrorCode::INTERNAL, "no code"));
}

#[test]
fn error_is_displayed_as_in_go() {
    let error = CniError::new(ErrorCode(100), "no free address");
    assert_eq!(error.to_string(), "no free address");
    assert_eq!(error.with_details("range 0").to_string(), "no free address; range 0");
    assert_eq!(CniError::new(ErrorCode(7), "").to_string(), "error code 7 without a message");
}
