//! Requests and their variables.

use super::*;

fn attachment(netns: Option<&str>) -> Attachment {
    Attachment {
        container_id: ContainerId::new("c0ffee").unwrap(),
        interface: InterfaceName::new("eth0").unwrap(),
        netns: netns.map(PathBuf::from),
        args: CniArgs::parse("IgnoreUnknown=1;A=b").unwrap(),
    }
}

fn request(verb: Verb, attachment: Option<Attachment>) -> Request {
    Request { verb, attachment, config: PluginConfig::default() }
}

#[test]
fn verbs_are_read_back_and_others_refused() {
    for verb in Verb::ALL {
        assert_eq!(verb.as_str().parse::<Verb>().unwrap(), *verb);
    }
    for other in ["", "add", "FROB\n"] {
        let error = other.parse::<Verb>().unwrap_err();
        assert_eq!(error.code, ErrorCode::INVALID_ENVIRONMENT);
        assert!(error.msg.starts_with("unknown CNI_COMMAND: ") && !error.msg.contains('\n'));
    }
}

#[test]
fn environment_has_every_variable_of_an_attachment() {
    let expected = [
        ("CNI_COMMAND", "ADD"),
        ("CNI_CONTAINERID", "c0ffee"),
        ("CNI_NETNS", "/run/netns/x"),
        ("CNI_IFNAME", "eth0"),
        ("CNI_ARGS", "IgnoreUnknown=1;A=b"),
    ];
    let request = request(Verb::Add, Some(attachment(Some("/run/netns/x"))));
    let expected: Vec<_> = expected.map(|(name, value)| (name, OsString::from(value))).into();
    assert_eq!(request.environment(), expected);
}

#[test]
fn environment_of_gc_is_the_command() {
    let environment = request(Verb::Gc, None).environment();
    assert_eq!(environment, [("CNI_COMMAND", OsString::from("GC"))]);
}

#[test]
fn missing_parts_have_code_4_and_name_their_variables() {
    let error = request(Verb::Add, Some(attachment(None))).netns().unwrap_err();
    assert_eq!(error.code, ErrorCode::INVALID_ENVIRONMENT);
    assert_eq!(error.msg, "ADD needs CNI_NETNS, which the request does not have");
    let error = request(Verb::Del, None).attachment().unwrap_err();
    assert_eq!(error.code, ErrorCode::INVALID_ENVIRONMENT);
}
