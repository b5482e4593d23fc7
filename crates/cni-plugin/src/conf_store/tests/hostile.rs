//! Ten thousand files and everything that is no configuration, and still the right network in time.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::conf_bed::strange_files;

const FILES: usize = 10_000;
const IN_TIME: Duration = Duration::from_secs(2);

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Half of [`FILES`] are good, the others and some more are not: their names.
fn fill(folder: &Folder) -> BTreeSet<String> {
    let strange = strange_files(folder).into_iter().map(|(name, _)| name.to_owned());
    let mut bad: BTreeSet<String> = strange.collect();
    for number in 0..FILES / 2 {
        let half = format!("10-{number:05}.conf");
        folder.write(&half, r#"{"name": "half", "#);
        bad.insert(half);
        folder.write(&format!("20-{number:05}.conf"), &conf(&format!("pods-{number}"), "bridge"));
    }
    bad
}

/// Has this thread's subscriber asked about the warning. Whichever thread comes by a warning first is asked for all of
/// them, and one of another test has no subscriber.
async fn notice_warnings() {
    let folder = Folder::new();
    folder.write("00-half.conf", r#"{"name": "half", "#);
    folder.write("10-whole.conf", &conf("whole", "bridge"));
    assert_eq!(default_name(&ConfStore::new(folder.path())).await, "whole");
    tracing::callsite::rebuild_interest_cache();
}

#[tokio::test]
async fn the_right_network_is_chosen_in_time_and_each_bad_file_named_in_a_warning() {
    let folder = Folder::new();
    let bad = fill(&folder);
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    notice_warnings().await;
    log.0.lock().unwrap().clear();

    let store = ConfStore::new(folder.path());
    let began = Instant::now();
    let chosen = default_name(&store).await;
    assert!(began.elapsed() < IN_TIME, "{:?}", began.elapsed());
    assert_eq!(chosen, "pods-0");

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let start = format!("skipped network configuration {}/", folder.path().display());
    let warnings = logged.lines().filter(|line| line.contains(" WARN "));
    let warned = warnings.map(|line| line.split_once(&start).unwrap().1.split_once(": ").unwrap());
    assert_eq!(warned.map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>(), bad);
}
