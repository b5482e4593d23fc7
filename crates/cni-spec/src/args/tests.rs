//! `CNI_ARGS`.

use proptest::prelude::*;

use super::*;

#[test]
fn arguments_keep_their_order_and_the_last_of_a_key() {
    let args = CniArgs::parse("IgnoreUnknown=1;K8S_POD_NAME=web;IP=;K8S_POD_NAME=db").unwrap();
    let pairs: Vec<_> = args.iter().collect();
    assert_eq!(pairs, [("IgnoreUnknown", "1"), ("K8S_POD_NAME", "db"), ("IP", "")]);
    assert_eq!(args.get("K8S_POD_NAME"), Some("db"));
    assert_eq!(args.get("k8s_pod_name"), None);
    assert_eq!(args.to_string(), "IgnoreUnknown=1;K8S_POD_NAME=db;IP=");
}

#[test]
fn no_arguments_are_no_error() {
    let args = CniArgs::parse("").unwrap();
    assert!(args.is_empty());
    assert_eq!(args.to_string(), "");
}

#[test]
fn malformed_pairs_are_refused_as_in_go() {
    for bad in ["a", "a=b=c", "a=b;", ";", "=b", "a=b;;c=d", "a=\0"] {
        let error = CniArgs::parse(bad).unwrap_err();
        assert_eq!(error.code, ErrorCode::INVALID_ENVIRONMENT, "{bad:?}");
    }
}

#[test]
fn unknown_arguments_are_refused_unless_ignored() {
    let args = CniArgs::parse("IP=10.0.0.1;A=1;B=2").unwrap();
    let error = args.refuse_unknown(&["IP"]).unwrap_err();
    assert!(error.msg.contains("A, B"), "{error}");
    assert!(args.refuse_unknown(&["IP", "A", "B"]).is_ok());
    for (value, ignored) in [("1", true), ("TRUE", true), ("0", false), ("yes", false)] {
        let args = CniArgs::parse(&format!("A=1;IgnoreUnknown={value}")).unwrap();
        assert_eq!(args.ignores_unknown(), ignored);
        assert_eq!(args.refuse_unknown(&[]).is_ok(), ignored);
    }
}

proptest! {
    #[test]
    fn what_is_displayed_is_read_back(pairs in proptest::collection::vec(("[^;=\0]+", "[^;=\0]*"), 0..6)) {
        let mut args = CniArgs::default();
        for (key, value) in pairs {
            args.insert(key, value).unwrap();
        }
        prop_assert_eq!(CniArgs::parse(&args.to_string()).unwrap(), args);
    }

    #[test]
    fn what_is_read_is_displayed_back(text in "[a-c=;]{0,12}") {
        if let Ok(args) = CniArgs::parse(&text) {
            let again = CniArgs::parse(&args.to_string()).unwrap();
            prop_assert_eq!(again, args);
        }
    }
}
