//! Options that fit together and options that do not.

use super::*;

fn kubenet() -> NodeOptions {
    NodeOptions {
        network_plugin: Some("kubenet".to_owned()),
        pod_cidr: Some("10.9.0.0/24".parse().unwrap()),
        ..NodeOptions::default()
    }
}

fn refusal(options: &NodeOptions) -> OptionsError {
    options.check(Subnet::Required).unwrap_err()
}

#[test]
fn what_excludes_kubenet_is_refused() {
    let cbr0 = NodeOptions { configure_cbr0: true, ..kubenet() };
    assert_eq!(refusal(&cbr0), OptionsError::ConfigureCbr0WithKubenet);
    let fixed = NodeOptions { reconcile_cidr: false, ..kubenet() };
    assert_eq!(refusal(&fixed), OptionsError::ReconcileCidrOff);
    let without = NodeOptions { pod_cidr: None, ..kubenet() };
    assert_eq!(refusal(&without), OptionsError::NoSubnet);
    assert!(without.check(Subnet::Optional).is_ok());
}

#[test]
fn configuring_cbr0_is_refused_without_kubenet_too() {
    let options = NodeOptions { configure_cbr0: true, ..NodeOptions::default() };
    assert_eq!(refusal(&options), OptionsError::ConfigureCbr0);
}

#[test]
fn the_mtu_must_be_in_range_and_fit_the_family() {
    let with = |bytes, cidr: &str| NodeOptions {
        network_plugin_mtu: bytes,
        pod_cidr: Some(cidr.parse().unwrap()),
        ..kubenet()
    };
    for bytes in [67, 65536] {
        assert_eq!(refusal(&with(bytes, "10.9.0.0/24")), OptionsError::Mtu(InvalidMtu(bytes)));
    }
    let refused = refusal(&with(1279, "10.9.0.0/24,fd00::/64"));
    assert!(matches!(refused, OptionsError::MtuBelowIpv6 { .. }));
    for options in [with(68, "10.9.0.0/24"), with(1280, "fd00::/64"), with(0, "fd00::/64")] {
        assert!(options.check(Subnet::Required).is_ok());
    }
}

#[test]
fn every_refusal_is_one_line_that_says_what_to_do() {
    let options = NodeOptions { network_plugin_mtu: 9, ..kubenet() };
    assert_eq!(
        refusal(&options).to_string(),
        "--network-plugin-mtu: an MTU of 9 is out of range: it must be 68 to 65535 bytes, or 0 to take the host's"
    );
}

#[test]
fn what_has_no_effect_or_is_changed_is_a_warning() {
    let options = NodeOptions {
        network_plugin_mtu: 9001,
        pod_cidr: Some("10.9.0.5/24".parse().unwrap()),
        ..NodeOptions::default()
    };
    let warnings = options.check(Subnet::Required).unwrap().warnings;
    let lines: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "--network-plugin-mtu=9001 has no effect: of the network plugins only kubenet uses it",
            "--pod-cidr=10.9.0.5/24 has host bits set: taken as 10.9.0.0/24",
        ]
    );
}

#[cfg(feature = "cni")]
#[test]
fn kubenet_takes_any_choice_of_plugins_and_the_folders_with_them() {
    use podnet_standard_plugins::PluginChoice;

    for cni_plugins in PluginChoice::ALL {
        let cni_bin_dir = "/a:/b".parse().unwrap();
        let options = NodeOptions { cni_bin_dir, cni_plugins, ..kubenet() };
        assert_eq!(options.check(Subnet::Required).unwrap().warnings, []);
    }
}

#[cfg(feature = "cni")]
#[test]
fn options_of_cni_are_a_warning_for_another_plugin() {
    let cni = NodeOptions {
        network_plugin: Some("cni".to_owned()),
        network_plugin_mtu: 1400,
        cni_conf_dir: "/etc/nets".into(),
        ..NodeOptions::default()
    };
    let warnings = |options: &NodeOptions| options.check(Subnet::Required).unwrap().warnings;
    assert_eq!(warnings(&cni), [OptionsWarning::MtuUnused(Mtu::new(1400).unwrap())]);
    let kubenet = NodeOptions { cni_conf_dir: "/etc/nets".into(), ..kubenet() };
    assert_eq!(warnings(&kubenet), [OptionsWarning::CniOptionUnused("--cni-conf-dir")]);
}

/// A kubenet whose node takes its subnet out of these.
fn allocating(cluster: &str) -> NodeOptions {
    NodeOptions {
        pod_cidr: None,
        allocate_node_cidrs: true,
        cluster_cidr: Some(cluster.parse().unwrap()),
        ..kubenet()
    }
}

#[test]
fn a_node_takes_the_first_subnet_of_the_clusters() {
    let sized =
        |size, cluster| NodeOptions { node_cidr_mask_size: Some(size), ..allocating(cluster) };
    let cases = [
        (allocating("10.244.0.0/16"), "10.244.0.0/24"),
        (allocating("fd00:244::/56"), "fd00:244::/64"),
        (allocating("10.244.0.0/16,fd00:244::/56"), "10.244.0.0/24,fd00:244::/64"),
        (sized(26, "10.244.8.0/22"), "10.244.8.0/26"),
    ];
    for (options, expected) in cases {
        let plan = options.check(Subnet::Required).unwrap();
        assert_eq!(plan.pod_cidrs.unwrap().to_string(), expected);
    }
}

#[test]
fn a_subnet_is_given_once_and_in_one_way() {
    let cidr = |cidr: &str| Some(cidr.parse().unwrap());
    let cases = [
        (
            NodeOptions { pod_cidr: cidr("10.9.0.0/24"), ..allocating("10.244.0.0/16") },
            OptionsError::TwoSubnets,
        ),
        (
            NodeOptions { cluster_cidr: None, ..allocating("10.244.0.0/16") },
            OptionsError::NoClusterCidr,
        ),
        (
            NodeOptions { cluster_cidr: cidr("10.244.0.0/16"), ..kubenet() },
            OptionsError::NotAllocated("--cluster-cidr"),
        ),
        (
            NodeOptions { node_cidr_mask_size: Some(24), ..kubenet() },
            OptionsError::NotAllocated("--node-cidr-mask-size"),
        ),
        (
            NodeOptions {
                node_cidr_mask_size: Some(25),
                ..allocating("10.244.0.0/16,fd00:244::/56")
            },
            OptionsError::MaskSizeOfTwoFamilies(25),
        ),
    ];
    for (options, expected) in cases {
        assert_eq!(refusal(&options), expected);
    }
    let narrow = refusal(&allocating("10.244.0.0/25")).to_string();
    assert_eq!(
        narrow,
        "--allocate-node-cidrs: node CIDR mask size 24 is too small for the cluster CIDR 10.244.0.0/25: use one of at least 25; the size is that of --node-cidr-mask-size"
    );
}

#[test]
fn an_mtu_must_carry_the_subnet_that_is_taken_too() {
    let options = NodeOptions { network_plugin_mtu: 1279, ..allocating("fd00:244::/56") };
    assert!(matches!(refusal(&options), OptionsError::MtuBelowIpv6 { .. }));
}

#[test]
fn destinations_are_settings_of_kubenet_and_a_warning_for_others() {
    let usual = kubenet().check(Subnet::Required).unwrap();
    let ten = |plan: &NodePlan| plan.settings.non_masquerade_cidrs.clone();
    assert_eq!((ten(&usual), usual.warnings.len()), (vec!["10.0.0.0/8".parse().unwrap()], 0));

    let list: NonMasqueradeCidrs = "10.0.0.0/8,fd00::/8".parse().unwrap();
    let given = NodeOptions { non_masquerade_cidr: Some(list.clone()), ..kubenet() };
    let plan = given.check(Subnet::Required).unwrap();
    assert_eq!(ten(&plan), list.as_slice());
    assert_eq!(plan.warnings, []);
    let other = NodeOptions { network_plugin: None, ..given };
    let plan = other.check(Subnet::Required).unwrap();
    assert_eq!(plan.warnings, [OptionsWarning::NonMasqueradeUnused(list)]);
}
