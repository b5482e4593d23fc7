//! An image out of busybox, made without a registry: one layer, in the archive format of `docker save`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::node::Wanted;

/// What the image is made of. The program is the same path in Debian's `busybox`, which is not linked statically.
pub(crate) const BUSYBOX: Wanted = ("/usr/share/doc/busybox-static", "busybox-static");

/// The name by which runtimes know it, and the page that its containers serve on port 80.
pub(crate) const IMAGE: &str = "podnet.test/busybox:1";
pub(crate) const PAGE: &str = "served by a container\n";

const PROGRAM: &str = "/bin/busybox";
const APPLETS: [&str; 5] = ["httpd", "ip", "ping", "sleep", "wget"];

/// Writes the archive into this folder and returns its path.
pub(crate) fn write_archive(folder: &Path) -> String {
    let root = folder.join("image");
    make_root(&root);
    tar(&root, "../layer.tar", &["."]);
    let layer = fs::read(folder.join("layer.tar")).unwrap();
    write_json(&folder.join("config.json"), &config(&layer));
    let manifest =
        json!([{ "Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"] }]);
    write_json(&folder.join("manifest.json"), &manifest);
    tar(folder, "image.tar", &["manifest.json", "config.json", "layer.tar"]);
    folder.join("image.tar").to_str().unwrap().to_owned()
}

/// As a container runtime finds it usual: the folders it mounts on are there.
fn make_root(root: &Path) {
    for folder in ["bin", "dev", "etc", "proc", "sys", "tmp", "www"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::copy(PROGRAM, root.join("bin/busybox")).unwrap();
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("www/index.html"), PAGE).unwrap();
}

fn config(layer: &[u8]) -> Value {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    json!({
        "architecture": architecture,
        "os": "linux",
        "config": { "Cmd": ["/bin/httpd", "-f", "-p", "80", "-h", "/www"], "Env": ["PATH=/bin"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{:x}", Sha256::digest(layer))] },
    })
}

fn write_json(path: &Path, value: &Value) {
    fs::write(path, value.to_string()).unwrap();
}

fn tar(folder: &Path, archive: &str, names: &[&str]) {
    let mut command = Command::new("tar");
    command.arg("--directory").arg(folder).args(["--create", "--file"]);
    let status = command.arg(folder.join(archive)).args(names).status().unwrap();
    assert!(status.success(), "tar: {status}");
}
