//! What an operation costs, counted rather than timed: what the kernel was asked and told, and what was done with files.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use podnet_netutil::Netns;
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::bed::inside;

/// What an operation cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cost {
    /// Requests to the kernel by netlink.
    pub(super) requests: u64,
    /// Objects that the kernel told of in answer.
    pub(super) answers: u64,
    /// Files and folders that were opened, read, written or listed.
    pub(super) files: u64,
}

/// Counts what is done on this thread, and by whomever with the files of these folders.
pub(super) struct Meter {
    netlink: Arc<Netlink>,
    _counting: tracing::subscriber::DefaultGuard,
    files: OwnedFd,
}

#[derive(Default)]
struct Netlink {
    requests: AtomicU64,
    answers: AtomicU64,
}

impl Meter {
    pub(super) fn new(folders: &[&Path]) -> Self {
        let files = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        let watched = WatchFlags::OPEN | WatchFlags::ACCESS | WatchFlags::MODIFY;
        for folder in folders {
            inotify::add_watch(&files, *folder, watched).unwrap();
        }
        let netlink = Arc::new(Netlink::default());
        let counting = tracing::subscriber::set_default(Counter(Arc::clone(&netlink)));
        Self { netlink, _counting: counting, files }
    }

    /// What was done since it was asked last.
    pub(super) fn read(&self) -> Cost {
        let mut buffer = vec![MaybeUninit::uninit(); 64 << 10];
        let mut events = Reader::new(&self.files, &mut buffer);
        let mut files = 0;
        while events.next().is_ok() {
            files += 1;
        }
        Cost {
            requests: self.netlink.requests.swap(0, Ordering::Relaxed),
            answers: self.netlink.answers.swap(0, Ordering::Relaxed),
            files,
        }
    }
}

/// Adds up what the netlink layer says of each request.
struct Counter(Arc<Netlink>);

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::TRACE && metadata.target().starts_with("podnet_netutil")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        event.record(&mut Answers(&self.0.answers));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Answers<'a>(&'a AtomicU64);

impl Visit for Answers<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "answers" {
            self.0.fetch_add(value, Ordering::Relaxed);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// How many frames came in by an interface.
pub(super) fn frames(netns: &Netns, interface: &str) -> u64 {
    let table = inside(netns, || std::fs::read_to_string("/proc/thread-self/net/dev").unwrap());
    let start = format!("{interface}:");
    let row = table.lines().find_map(|line| line.trim().strip_prefix(&start)).unwrap();
    row.split_whitespace().nth(1).unwrap().parse().unwrap()
}
