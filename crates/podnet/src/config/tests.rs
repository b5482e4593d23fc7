//! Files with node options, good and bad.

use serde_json::json;

use super::*;

fn apply(values: &Value, given: &[&str]) -> Result<NodeOptions, ConfigError> {
    let mut options = NodeOptions::default();
    let file = ConfigFile::from_json("node.json", values.to_string().as_bytes())?;
    file.apply(&mut options, |key| given.contains(&key))?;
    Ok(options)
}

#[test]
fn every_option_can_be_set() {
    let values = json!({
        "network-plugin": "lab",
        "network-plugin-dir": "/plugins",
        "network-plugin-mtu": 9001,
        "pod-cidr": "10.244.0.0/24",
        "allocate-node-cidrs": true,
        "cluster-cidr": ["10.244.0.0/16", "fd00:244::/56"],
        "node-cidr-mask-size": 25,
        "non-masquerade-cidr": ["10.0.0.0/8", "192.168.0.0/16"],
        "hairpin-mode": "none",
        "configure-cbr0": true,
        "reconcile-cidr": false,
        "cni-conf-dir": "/nets",
        "cni-bin-dir": "/a:/b",
        "cni-plugins": "builtin",
        "state-dir": "/state",
    });
    let usual = NodeOptions::default();
    for (key, value) in
        values.as_object().unwrap().iter().filter(|(key, _)| KEYS.contains(&key.as_str()))
    {
        let one = json!({ key.as_str(): value });
        assert_ne!(apply(&one, &[]).unwrap(), usual, "{key}");
        assert_eq!(apply(&one, &[key]).unwrap(), usual, "{key} is given elsewhere");
    }
    let missing: Vec<_> = KEYS.iter().filter(|key| values.get(**key).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[cfg(feature = "clap")]
#[test]
fn the_keys_are_the_flags() {
    use clap::Args as _;

    let command = NodeOptions::augment_args(clap::Command::new("node"));
    let flags: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    let (mut flags, mut keys) = (flags, KEYS.to_vec());
    flags.sort_unstable();
    keys.sort_unstable();
    assert_eq!(flags, keys);
}

#[test]
fn what_is_wrong_is_one_line_with_the_file() {
    let cases = [
        (
            json!({"pod-cdir": "x"}),
            "node.json: no option is called \"pod-cdir\"; did you mean pod-cidr?",
        ),
        (
            json!({"pod_cidr": "x"}),
            "node.json: no option is called \"pod_cidr\"; did you mean pod-cidr?",
        ),
        (json!({"verbose": 1}), "node.json: no option is called \"verbose\""),
        (
            json!({"pod-cidr": "10.9.0.0/31"}),
            "node.json: pod-cidr: pod CIDR 10.9.0.0/31 is too small: it has no room for a gateway and a pod; use a prefix length of at most 30",
        ),
        (
            json!({"network-plugin-mtu": "9001"}),
            "node.json: network-plugin-mtu: invalid type: string \"9001\", expected u32",
        ),
    ];
    for (values, message) in cases {
        assert_eq!(apply(&values, &[]).unwrap_err().to_string(), message);
    }
    let list = apply(&json!([]), &[]).unwrap_err().to_string();
    assert!(list.starts_with("node.json: invalid type: sequence, expected a map"), "{list}");
}

#[test]
fn a_bad_value_is_refused_though_another_one_wins() {
    let error = apply(&json!({"hairpin-mode": "hairpin"}), &["hairpin-mode"]).unwrap_err();
    assert!(error.to_string().starts_with("node.json: hairpin-mode: "), "{error}");
}

#[test]
fn what_is_no_regular_file_or_too_large_is_not_read() {
    let device = ConfigFile::read(Path::new("/dev/zero")).unwrap_err();
    assert!(device.to_string().ends_with("it is not a regular file"), "{device}");
    let large = tempfile::NamedTempFile::new().unwrap();
    large.as_file().set_len(1 << 30).unwrap();
    let error = ConfigFile::read(large.path()).unwrap_err();
    assert!(matches!(error, ConfigError::TooLarge { .. }), "{error}");
}
