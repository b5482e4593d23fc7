//! What programs print, and where.

use podnet_plugin_api::{Error, NetworkPlugin, PodNetworkStatus};

use crate::bed::{Bed, web};

async fn status_of(script: &str) -> Result<Option<PodNetworkStatus>, Error> {
    let bed = Bed::with(&format!("test $1 = status || exit 0\n{script}"));
    bed.plugin().pod_network_status(&web()).await
}

#[tokio::test]
async fn an_ipv6_address_is_an_address() {
    let status = status_of(r#"echo '{"ip": "fe80::42:acff:fe11:2"}'"#).await.unwrap().unwrap();
    assert_eq!(status.ip().to_string(), "fe80::42:acff:fe11:2");
}

#[tokio::test]
async fn noise_on_stderr_does_not_break_a_status() {
    let script =
        r#"echo "warning: deprecated" >&2; printf '{"IP": "10.0.'; echo more >&2; echo '0.2"}'"#;
    let status = status_of(script).await.unwrap().unwrap();
    assert_eq!(status.ip().to_string(), "10.0.0.2");
}

#[tokio::test]
async fn blank_output_is_no_status() {
    for script in ["", "echo", "printf ' \\t\\r\\n\\n'", "echo only noise >&2"] {
        assert_eq!(status_of(script).await.unwrap(), None, "{script}");
    }
}

#[tokio::test]
async fn garbage_is_quoted_with_what_stderr_says() {
    let error = status_of("echo 'Segmentation\nfault'; echo core dumped >&2").await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("cannot tell the addresses of pod default/web: /"), "{text}");
    let end = ", in \"Segmentation fault\"; stderr: core dumped";
    assert!(text.ends_with(end) && !text.contains('\n'), "{text}");
}

#[tokio::test]
async fn a_status_is_no_status_if_the_program_fails() {
    let error = status_of(r#"echo '{"ip": "10.0.0.2"}'; kill -TERM $$"#).await.unwrap_err();
    assert!(error.to_string().contains("status: signal: 15 (SIGTERM)"), "{error}");
}

#[tokio::test]
async fn a_flood_on_stdout_is_cut_off() {
    let error = status_of("echo help >&2; exec cat /dev/zero").await.unwrap_err().to_string();
    assert!(error.contains("wrote more than 4194304 bytes to stdout; stderr: help"), "{error}");
}

#[tokio::test]
async fn of_a_flood_on_stderr_the_end_is_told() {
    let script = "head -c 1000000 /dev/zero | tr '\\0' x >&2; echo ' the reason' >&2; exit 4";
    let error = status_of(script).await.unwrap_err().to_string();
    assert!(error.ends_with("xxx the reason") && error.len() < 1000, "{error}");
}
