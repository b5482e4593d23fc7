//! Versions, and the answers to VERSION that plugins of any age give.

use serde_json::json;

use super::*;

#[test]
fn versions_are_ordered_and_read_back() {
    assert!(SpecVersion::ALL.is_sorted());
    assert_eq!(SpecVersion::ALL.last(), Some(&SpecVersion::LATEST));
    for version in SpecVersion::ALL {
        assert_eq!(version.to_string().parse(), Ok(*version));
    }
}

#[test]
fn unknown_version_has_code_1() {
    for text in ["", "1.2.0", "0.2", "1.1.0 ", "v1.0.0"] {
        let error = text.parse::<SpecVersion>().unwrap_err();
        assert_eq!(CniError::from(error).code, ErrorCode::INCOMPATIBLE_VERSION);
    }
}

#[test]
fn version_numbers_are_up_to_three() {
    assert_eq!(version_numbers("1.10").unwrap(), [1, 10, 0]);
    assert_eq!(version_numbers("2.0.1").unwrap(), [2, 0, 1]);
    for bad in ["", "1.x", "1.0.0.0", "1..0", "-1"] {
        assert_eq!(version_numbers(bad).unwrap_err().code, ErrorCode::DECODING_FAILURE);
    }
}

#[test]
fn version_answer_is_read_back() {
    let versions = PluginVersions::new(SpecVersion::ALL);
    assert_eq!(versions.cni_version, "1.1.0");
    assert_eq!(PluginVersions::from_json(&versions.to_json()).unwrap(), versions);
    assert!(versions.supports(SpecVersion::V0_3_1));
}

#[test]
fn answer_of_0_2_0_without_a_list_means_both_old_versions() {
    let versions = PluginVersions::from_json(&json!({"cniVersion": "0.2.0"})).unwrap();
    assert_eq!(versions.supported, ["0.1.0", "0.2.0"]);
}

#[test]
fn answer_with_a_version_of_the_future_is_read() {
    let reply = json!({"CNIVersion": "2.0.0", "supportedVersions": ["1.0.0", "2.0.0"]});
    let versions = PluginVersions::from_json(&reply).unwrap();
    assert!(versions.supports(SpecVersion::V1_0_0) && !versions.supports(SpecVersion::V1_1_0));
}

#[test]
fn answers_without_versions_are_refused() {
    let refused = [
        json!({}),
        json!("1.0.0"),
        json!({"cniVersion": "1.0.0"}),
        json!({"supportedVersions": ["1.0.0"]}),
        json!({"cniVersion": "1.0.0", "supportedVersions": "1.0.0"}),
    ];
    for reply in refused {
        let error = PluginVersions::from_json(&reply).unwrap_err();
        assert_eq!(error.code, ErrorCode::DECODING_FAILURE, "{reply}");
    }
}
