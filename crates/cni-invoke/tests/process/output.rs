//! What a plugin writes: answers, errors, floods.

use podnet_cni_invoke::{Exec, ExecError};
use podnet_cni_spec::{CniError, ErrorCode, Verb};

use crate::bed::{Bed, all_gone, request};

async fn error_of(bed: &Bed) -> ExecError {
    bed.exec.run(&bed.plugin, &request(Verb::Add)).await.unwrap_err()
}

#[tokio::test]
async fn the_result_of_add_comes_back_and_other_verbs_have_none() {
    let bed =
        Bed::with("echo '{\"ips\": [{\"address\": \"10.1.0.2/24\", \"gateway\": \"10.1.0.1\"}]}'");
    let result = bed.exec.run(&bed.plugin, &request(Verb::Add)).await.unwrap().unwrap();
    assert_eq!(result.ips[0].address.to_string(), "10.1.0.2/24");
    for verb in [Verb::Del, Verb::Check, Verb::Gc, Verb::Status] {
        assert!(bed.exec.run(&bed.plugin, &request(verb)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn an_error_object_keeps_code_message_details_and_stderr() {
    let bed = Bed::with(
        "echo 'looking around' >&2
        echo '{\"cniVersion\": \"1.1.0\", \"code\": 11, \"msg\": \"locked\", \"details\": \"by 42\"}'
        exit 1",
    );
    let error = error_of(&bed).await;
    assert_eq!(
        error.to_string(),
        "plugin scripted: ADD of container c0ffee: locked: by 42 (code 11)"
    );
    let ExecError::Plugin { stderr_tail, .. } = &error else { panic!("{error:?}") };
    assert_eq!(stderr_tail, "looking around\n");
    let locked = CniError::new(ErrorCode::TRY_AGAIN_LATER, "locked").with_details("by 42");
    assert_eq!(CniError::from(error), locked);
}

#[tokio::test]
async fn silence_is_reported_with_status_and_stderr() {
    let bed = Bed::with("echo 'panic: nil map' >&2; exit 2");
    assert_eq!(
        error_of(&bed).await.to_string(),
        "plugin scripted: ADD of container c0ffee: ended without a message, exit status: 2; \
         stderr: panic: nil map"
    );
}

#[tokio::test]
async fn output_that_is_not_json_is_quoted_on_one_line() {
    let bed = Bed::with("printf 'Usage:\\n  scripted\\377'; exit 1");
    let error = error_of(&bed).await;
    assert!(matches!(error, ExecError::BadOutput { .. }), "{error:?}");
    assert!(error.to_string().contains("from \"Usage: scripted\u{fffd}\""), "{error}");
}

#[tokio::test]
async fn a_flood_on_stdout_is_cut_and_its_group_killed() {
    for flood in ["cat /dev/zero", "yes | head -c 1073741824"] {
        let bed = Bed::with(&format!("echo $$ > @/pids; sleep 600 & echo $! >> @/pids; {flood}"));
        let error = error_of(&bed).await;
        assert!(matches!(error, ExecError::OutputTooLarge { limit: 4_194_304, .. }), "{error:?}");
        all_gone(&bed.pids("pids")).await;
    }
}

#[tokio::test]
async fn four_mebibytes_are_still_an_answer() {
    let bed = Bed::with("echo '{}'; head -c 4194301 /dev/zero | tr '\\0' ' '");
    bed.exec.run(&bed.plugin, &request(Verb::Add)).await.unwrap();
}

#[tokio::test]
async fn of_a_flood_on_stderr_the_end_is_kept() {
    let bed = Bed::with("yes 'still trying' | head -c 2999997 >&2; echo 'gave up' >&2; exit 1");
    let ExecError::NoMessage { stderr_tail, .. } = error_of(&bed).await else {
        panic!("another error")
    };
    assert_eq!(stderr_tail.len(), 64 << 10);
    assert!(stderr_tail.ends_with("still trying\ngave up\n"), "{:?}", stderr_tail.get(65_000..));
}
