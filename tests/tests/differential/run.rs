//! Plays the cases of a table on both sides, some at once.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use podnet_tests::programs::newest_peer;

use crate::case::{Case, Table};
use crate::compare::{differences, judge};
use crate::document::{self, Row};
use crate::side::{self, Side};

/// More than there are processors: a case waits for the kernel half of its time.
const AT_ONCE: usize = 4;

/// What one case showed.
struct Shown<'a> {
    rows: BTreeSet<&'a str>,
    complaints: Vec<String>,
}

/// Plays every case. Fails with all that was different and is not in the document.
pub(crate) fn table(table: &Table, test: &str) {
    let Some((theirs, ours)) = sides(test) else { return };
    let begun = Instant::now();
    let rows = document::rows();
    let shown = at_once(&table.cases, |case| play(case, table, &rows, &theirs, &ours));
    println!("{} cases in {:.1} s", shown.len(), begun.elapsed().as_secs_f64());
    let mut complaints: Vec<String> =
        shown.iter().flat_map(|case| case.complaints.clone()).collect();
    let unseen =
        table.everywhere.iter().filter(|id| !shown.iter().any(|case| case.rows.contains(**id)));
    complaints.extend(unseen.map(|id| format!("no case shows {id}")));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// What comes of each case; some are played at once.
pub(crate) fn at_once<T: Send>(cases: &[Case], play: impl Fn(&Case) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(place) else { return };
                    let result = play(case);
                    done.lock().unwrap().insert(place, result);
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().collect()
}

/// Both sides' programs. Older Go programs know neither the newest version of the specification nor its verbs.
pub(crate) fn sides(test: &str) -> Option<(Side, Side)> {
    let program = newest_peer("bridge", test)?;
    Some((Side::theirs(program.parent().expect("a program is in a folder")), Side::ours()))
}

fn play<'a>(case: &Case, table: &Table, rows: &'a [Row], theirs: &Side, ours: &Side) -> Shown<'a> {
    let played = catch_unwind(AssertUnwindSafe(|| {
        (side::play(case, theirs, ours), side::play(case, ours, theirs))
    }));
    let Ok((theirs, ours)) = played else {
        let complaint = format!("{}: the case cannot be played, see above", case.name);
        return Shown { rows: BTreeSet::new(), complaints: vec![complaint] };
    };
    let named = |row: &&Row| case.differs.iter().chain(table.everywhere).any(|id| *id == row.id());
    let (left, rows) =
        judge(differences(&theirs, &ours), &rows.iter().filter(named).collect::<Vec<_>>());
    let mut complaints: Vec<String> =
        left.iter().map(|difference| format!("{}: {difference}", case.name)).collect();
    let unseen = case.differs.iter().filter(|id| !rows.contains(**id));
    complaints.extend(unseen.map(|id| format!("{}: shows nothing of {id}", case.name)));
    Shown { rows, complaints }
}
