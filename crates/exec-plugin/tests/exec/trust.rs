//! Programs that are not executed, or cannot be.

use podnet_plugin_api::{NetworkPlugin, Settings};

use crate::bed::{Bed, OBEDIENT, chmod, web};

#[tokio::test]
async fn what_everybody_can_write_to_is_not_executed() {
    for (path, mode) in [("scripted/scripted", 0o757), ("scripted", 0o777), ("", 0o1777)] {
        let bed = Bed::with(OBEDIENT);
        let plugin = bed.ready().await;
        let open = bed.net().join(path);
        chmod(&open, mode);
        let fresh = bed.plugin();
        let shown = open.display().to_string();
        let refusal =
            format!("{} (mode {mode:04o}) is writable by everybody", shown.trim_end_matches('/'));
        for error in [
            fresh.init(&Settings::default()).await.unwrap_err(),
            plugin.set_up_pod(&web()).await.unwrap_err(),
            plugin.tear_down_pod(&web()).await.unwrap_err(),
            plugin.pod_network_status(&web()).await.unwrap_err(),
        ] {
            assert_eq!(error.to_string().matches(&refusal).count(), 1, "{error}");
        }
        assert_eq!(bed.read("calls"), "init\n");
    }
}

#[tokio::test]
async fn where_a_link_leads_is_checked_too() {
    let bed = Bed::with(OBEDIENT);
    let elsewhere = bed.file("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::rename(bed.net().join("scripted/scripted"), elsewhere.join("program")).unwrap();
    std::os::unix::fs::symlink(elsewhere.join("program"), bed.net().join("scripted/scripted"))
        .unwrap();
    bed.plugin().check().unwrap();
    chmod(&elsewhere, 0o777);
    let error = bed.plugin().check().unwrap_err().to_string();
    assert!(error.contains("elsewhere (mode 0777) is writable by everybody"), "{error}");
}

#[tokio::test]
async fn a_program_that_cannot_be_executed_is_told_at_init() {
    let bed = Bed::with(OBEDIENT);
    chmod(&bed.net().join("scripted/scripted"), 0o444);
    let error = bed.plugin().init(&Settings::default()).await.unwrap_err().to_string();
    let expected = "Permission denied; is it executable, and on a file system without noexec?";
    assert!(error.ends_with(expected), "{error}");
}

#[tokio::test]
async fn a_missing_program_is_told_at_init() {
    let bed = Bed::empty();
    bed.make_folder("example.org~sdn");
    let error = bed.plugin().init(&Settings::default()).await.unwrap_err().to_string();
    let path = bed.net().join("example.org~sdn/sdn");
    assert!(error.contains(&format!("there is no program {}", path.display())), "{error}");

    bed.make_folder("example.org~sdn/sdn");
    let error = bed.plugin().init(&Settings::default()).await.unwrap_err().to_string();
    assert!(error.contains(&format!("{} is no file", path.display())), "{error}");
}

#[tokio::test]
async fn a_program_that_does_not_start_is_named_with_the_reason() {
    for (text, expected) in [("#!/no/such/sh\n", "interpreter"), ("echo\n", "`#!` line")] {
        let bed = Bed::empty();
        bed.install("sdn/sdn", text);
        let error = bed.plugin().init(&Settings::default()).await.unwrap_err().to_string();
        assert!(error.contains("cannot start ") && error.contains(expected), "{error}");
    }
}
