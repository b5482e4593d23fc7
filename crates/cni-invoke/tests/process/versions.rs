//! The VERSION probe and what is made of it.

use podnet_cni_invoke::{Exec, ExecError, require_version};
use semver::Version;

use crate::bed::Bed;

const MODERN: &str = "printf '%s,' $CNI_COMMAND $CNI_CONTAINERID $CNI_NETNS $CNI_IFNAME > @/seen
cat > @/stdin
echo '{\"cniVersion\": \"1.1.0\", \"supportedVersions\": [\"0.4.0\", \"1.0.0\", \"1.1.0\"]}'";

/// A plugin from before the verb: it wants all of the variables, then does not know it.
const ANCIENT: &str = "test -n \"$CNI_NETNS\" -a -n \"$CNI_IFNAME\" -a -n \"$CNI_PATH\" || exit 1
echo '{\"code\": 100, \"msg\": \"unknown CNI_COMMAND: VERSION\"}'; exit 1";

#[tokio::test]
async fn a_plugin_is_asked_with_dummy_values() {
    let bed = Bed::with(MODERN);
    let versions = bed.exec.versions(&bed.plugin).await.unwrap();
    assert_eq!(versions.supported, ["0.4.0", "1.0.0", "1.1.0"]);
    assert_eq!(bed.read("seen"), "VERSION,dummy,dummy,dummy,");
    assert_eq!(bed.read("stdin"), r#"{"cniVersion":"1.1.0"}"#);
}

#[tokio::test]
async fn a_plugin_older_than_the_verb_speaks_0_1_0() {
    let bed = Bed::with(ANCIENT);
    assert_eq!(bed.exec.versions(&bed.plugin).await.unwrap().supported, ["0.1.0"]);
}

#[tokio::test]
async fn a_new_enough_plugin_is_accepted() {
    let bed = Bed::with(MODERN);
    for needed in [Version::new(0, 2, 0), Version::new(1, 1, 0)] {
        require_version(&bed.exec, &bed.plugin, &needed).await.unwrap();
    }
}

#[tokio::test]
async fn a_plugin_that_is_too_old_is_refused_with_what_it_said() {
    let bed = Bed::with(ANCIENT);
    let needed = Version::new(0, 2, 0);
    let error = require_version(&bed.exec, &bed.plugin, &needed).await.unwrap_err();
    assert!(matches!(error, ExecError::VersionTooOld { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "plugin scripted: supports CNI 0.1.0, at least 0.2.0 is needed; install a newer scripted"
    );
}
