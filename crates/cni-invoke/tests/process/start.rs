//! Programs that cannot be started, or not yet.

use std::fs::{self, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use podnet_cni_invoke::{Exec, ExecError};
use podnet_cni_spec::{CniError, ErrorCode, PluginConfig, Verb};

use crate::bed::{Bed, request};

/// Linux 6.11 and 6.12 execute files that are open for writing.
fn kernel_refuses_busy_programs(bed: &Bed) -> bool {
    let refused = match Command::new(bed.file("scripted")).output() {
        Err(error) => error.kind() == ErrorKind::ExecutableFileBusy,
        Ok(_) => false,
    };
    if !refused {
        eprintln!("skipped: this kernel executes programs that are open for writing");
    }
    refused
}

#[tokio::test]
async fn a_program_that_is_written_is_tried_again() {
    let bed = Bed::empty();
    let mut program = bed.open_program();
    program.write_all(b"#!/bin/sh\necho '{}'\n").unwrap();
    if !kernel_refuses_busy_programs(&bed) {
        return;
    }
    let request = request(Verb::Add);
    // The call is polled first, so that the program is closed after the first attempt.
    let (result, ()) =
        tokio::join!(biased; bed.exec.run(&bed.plugin, &request), async { drop(program) });
    result.unwrap();
}

#[tokio::test]
async fn a_program_that_stays_busy_is_an_error_in_the_end() {
    let bed = Bed::empty();
    let _program = bed.open_program();
    if !kernel_refuses_busy_programs(&bed) {
        return;
    }
    let error = bed.exec.run(&bed.plugin, &request(Verb::Del)).await.unwrap_err();
    assert!(matches!(error, ExecError::Spawn { .. }), "{error:?}");
    assert!(error.to_string().contains("it is being written"), "{error}");
}

#[tokio::test]
async fn a_program_that_does_not_start_is_named_with_the_reason() {
    let cases = [
        ("#!/bin/sh\n", 0o644, "is it executable"),
        ("#!/no/such/interpreter\n", 0o755, "interpreter"),
        ("\u{1}\u{2}", 0o755, "no program for this machine"),
    ];
    for (text, mode, expected) in cases {
        let bed = Bed::empty();
        bed.open_program().write_all(text.as_bytes()).unwrap();
        fs::set_permissions(bed.file("scripted"), Permissions::from_mode(mode)).unwrap();
        let message = bed.exec.run(&bed.plugin, &request(Verb::Add)).await.unwrap_err().to_string();
        assert!(message.contains(bed.file("scripted").to_str().unwrap()), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test]
async fn a_missing_program_is_named_with_the_folders_searched() {
    let bed = Bed::empty();
    let error = bed.exec.run(&bed.plugin, &request(Verb::Add)).await.unwrap_err();
    let folder = bed.folder().display();
    assert_eq!(
        error.to_string(),
        format!(
            "plugin scripted: no such program in {folder}; install it or correct the search path"
        )
    );
}

#[tokio::test]
async fn a_configuration_of_an_unknown_version_starts_nothing() {
    let bed = Bed::with("touch @/started");
    let mut request = request(Verb::Add);
    let text = br#"{"cniVersion": "9.9.9", "name": "pods", "type": "scripted"}"#;
    request.config = PluginConfig::from_json(text).unwrap();
    let error = bed.exec.run(&bed.plugin, &request).await.unwrap_err();
    assert!(error.to_string().contains("9.9.9"), "{error}");
    assert_eq!(CniError::from(error).code, ErrorCode::INCOMPATIBLE_VERSION);
    assert!(!bed.file("started").exists());
}

#[tokio::test]
async fn a_timeout_without_end_is_allowed() {
    let mut bed = Bed::with("echo '{}'");
    bed.exec.timeout = std::time::Duration::MAX;
    bed.exec.run(&bed.plugin, &request(Verb::Add)).await.unwrap();
}
