//! Outputs that are a status, that are none, and that are wrong.

use super::*;

fn addresses(output: &str) -> Vec<String> {
    let status = parse(output.as_bytes()).unwrap_or_else(|error| panic!("{output}: {error}"));
    status.iter().flat_map(PodNetworkStatus::ips).map(IpAddr::to_string).collect()
}

#[test]
fn what_the_kubelet_took_for_a_status_is_one() {
    let cases = [
        (r#"{"ip": "10.20.30.40"}"#, "10.20.30.40"),
        (r#"{"kind": "PodNetworkStatus", "apiVersion": "v1beta1", "ip": "10.0.0.2"}"#, "10.0.0.2"),
        (r#"{"kind": "", "apiVersion": null, "ip": "10.0.0.2"}"#, "10.0.0.2"),
        ("\n {\"ip\":\"fe80::42:acff:fe11:2\"}\r\n", "fe80::42:acff:fe11:2"),
        (r#"{"IP": "10.0.0.2", "APIversion": "v1beta1", "KIND": ""}"#, "10.0.0.2"),
        (r#"{"ip": "10.0.0.2", "Ip": "10.0.0.3"}"#, "10.0.0.3"),
        (r#"{"Ip": "10.0.0.3", "ip": "10.0.0.2"}"#, "10.0.0.2"),
        (r#"{"ip": "10.0.0.2", "IP": null}"#, "10.0.0.2"),
        (r#"{"ip": "::ffff:10.0.0.2"}"#, "10.0.0.2"),
        (r#"{"mac": {"deep": [1, {"ip": 2}]}, "ip": "10.0.0.2", "ttl": 5}"#, "10.0.0.2"),
    ];
    for (output, ip) in cases {
        assert_eq!(addresses(output), [ip], "{output}");
    }
}

#[test]
fn several_addresses_keep_their_order_and_the_primary_one_is_first() {
    let cases: [(&str, &[&str]); 4] = [
        (r#"{"ips": ["10.0.0.2", "fd00::2"]}"#, &["10.0.0.2", "fd00::2"]),
        (r#"{"ip": "10.0.0.2", "ips": ["10.0.0.2", "fd00::2"]}"#, &["10.0.0.2", "fd00::2"]),
        (r#"{"ip": "fd00::2", "ips": ["10.0.0.2", "fd00::2"]}"#, &["fd00::2", "10.0.0.2"]),
        (r#"{"ip": "", "Ips": [null, "fd00::2", ""]}"#, &["fd00::2"]),
    ];
    for (output, ips) in cases {
        assert_eq!(addresses(output), ips, "{output}");
    }
}

#[test]
fn no_address_is_no_status() {
    let outputs =
        ["", "\n", " \t\r\n ", "null", "{}", r#"{"ip": ""}"#, r#"{"ip": null}"#, r#"{"ips": []}"#];
    for output in outputs {
        assert_eq!(parse(output.as_bytes()).unwrap(), None, "{output:?}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let cases = [
        ("10.20.30.40", "not the JSON of a PodNetworkStatus: "),
        ("warning: x\n{\"ip\": \"10.0.0.2\"}", "not the JSON of a PodNetworkStatus: "),
        (r#"{"ip": "10.0.0.2"} trailing"#, "not the JSON of a PodNetworkStatus: "),
        (r#"["10.0.0.2"]"#, "not the JSON of a PodNetworkStatus: "),
        (r#"{"kind": 5}"#, "not the JSON of a PodNetworkStatus: "),
        (r#"{"ips": "10.0.0.2"}"#, "not the JSON of a PodNetworkStatus: "),
        (r#"{"kind": "Pod", "ip": 5}"#, "unknown version: kind \"Pod\" and apiVersion \"\""),
        (r#"{"apiVersion": "v1"}"#, "unknown version: kind \"\" and apiVersion \"v1\""),
        (r#"{"kind": "podnetworkstatus"}"#, "unknown version: "),
        (r#"{"ip": "10.0.0.256"}"#, "\"10.0.0.256\" is no IP address"),
        (r#"{"ip": "10.0.0.2/24"}"#, "\"10.0.0.2/24\" is no IP address"),
        (r#"{"ip": " 10.0.0.2"}"#, "\" 10.0.0.2\" is no IP address"),
        (r#"{"ip": "fe80::1%eth0"}"#, "\"fe80::1%eth0\" is no IP address"),
        (r#"{"ip": 10}"#, "10 is no IP address"),
        (r#"{"ip": "10.0.0.2", "ips": ["web"]}"#, "\"web\" is no IP address"),
    ];
    for (output, message) in cases {
        let error = parse(output.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(message), "{output}: {error}");
    }
}

#[test]
fn depth_is_no_way_to_exhaust_the_stack() {
    let deep = |key: &str| format!("{{\"{key}\": {}", "[".repeat(100_000));
    assert!(parse(deep("other").as_bytes()).is_err());
    assert!(parse(deep("ip").as_bytes()).is_err());
}

#[test]
fn a_message_has_no_megabytes() {
    let long = "x".repeat(1 << 20);
    for key in ["ip", "ips", "kind"] {
        let error = parse(format!("{{\"{key}\": \"{long}\"}}").as_bytes()).unwrap_err();
        assert!(error.to_string().len() < 500, "{key}");
    }
}
