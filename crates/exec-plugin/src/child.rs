//! A child and all its descendants, from start to end.
//!
//! Knows nothing of plugins: a command goes in, what it wrote comes out, everything ends.

use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::capture::{self, STDOUT_LIMIT};

/// How long a program that is open for writing (ETXTBSY) is tried again, and how often.
const BUSY_PATIENCE: Duration = Duration::from_secs(1);
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// How long the pipes are read once the child has ended: a descendant may hold them for ever.
const GRACE: Duration = Duration::from_millis(250);

/// How long a killed child may take to go; one that sits in the kernel does not go at all.
const REAP: Duration = Duration::from_secs(5);

/// A limit without end is this long, lest the clock overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A child that came to its end.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr_tail: String,
}

/// Why a child did not come to its end.
pub(crate) enum Failure {
    Start(io::Error),
    Contact(io::Error),
    Deadline { after: Duration, stderr_tail: String },
    TooMuchOutput { limit: usize, stderr_tail: String },
}

enum Cut {
    Deadline,
    TooMuchOutput,
    Io(io::Error),
}

impl From<io::Error> for Cut {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[derive(Default)]
struct Captured {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Starts `command`, which has a process group of its own and pipes for stdout and stderr, and reads what it writes
/// until it ends. After `limit` the group is killed.
pub(crate) async fn run(command: &mut Command, limit: Duration) -> Result<Ended, Failure> {
    let deadline = Instant::now() + limit.min(LONGEST);
    let mut group = start(command, deadline).await.map_err(Failure::Start)?;
    let mut captured = Captured::default();
    let outcome = follow(&mut group, &mut captured, deadline).await;
    let Captured { stdout, stderr } = captured;
    let stderr_tail = capture::tail_text(stderr);
    let cut = match outcome {
        Ok(status) => return Ok(Ended { status, stdout, stderr_tail }),
        Err(cut) => cut,
    };
    group.end().await;
    Err(match cut {
        Cut::Deadline => Failure::Deadline { after: limit, stderr_tail },
        Cut::TooMuchOutput => Failure::TooMuchOutput { limit: STDOUT_LIMIT, stderr_tail },
        Cut::Io(source) => Failure::Contact(source),
    })
}

async fn start(command: &mut Command, deadline: Instant) -> io::Result<Group> {
    let give_up = deadline.min(Instant::now() + BUSY_PATIENCE);
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy
                    && Instant::now() < give_up =>
            {
                sleep(BUSY_PAUSE).await;
            }
            spawned => return spawned.map(Group::led_by),
        }
    }
}

async fn follow(
    group: &mut Group,
    captured: &mut Captured,
    deadline: Instant,
) -> Result<ExitStatus, Cut> {
    let (stdout, stderr) = (group.leader.stdout.take(), group.leader.stderr.take());
    let mut listening = pin!(listen(stdout, stderr, captured));
    let first = async {
        tokio::select! {
            status = group.exit() => Ok(Some(status?)),
            heard = listening.as_mut() => heard.map(|()| None),
        }
    };
    if let Some(status) = in_time(deadline, first).await?? {
        // Whoever still holds the pipes is no longer waited for.
        timeout(GRACE, listening).await.unwrap_or(Ok(()))?;
        return Ok(status);
    }
    Ok(in_time(deadline, group.exit()).await??)
}

async fn in_time<T>(deadline: Instant, wait: impl Future<Output = T>) -> Result<T, Cut> {
    timeout_at(deadline, wait).await.map_err(|_| Cut::Deadline)
}

/// Reads both pipes at the same time: a child blocks on the one that is full.
async fn listen(
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    captured: &mut Captured,
) -> Result<(), Cut> {
    let Captured { stdout: output, stderr: tail } = captured;
    let answer = async {
        let Some(pipe) = stdout else {
            return Ok(());
        };
        let whole = capture::read_all(pipe, output).await?;
        if whole { Ok(()) } else { Err(Cut::TooMuchOutput) }
    };
    let remarks = async {
        let Some(pipe) = stderr else {
            return Ok(());
        };
        Ok(capture::read_tail(pipe, tail).await?)
    };
    tokio::try_join!(answer, remarks).map(|((), ())| ())
}

/// A child that leads a process group. Dropping it kills the group, unless the child has ended.
struct Group {
    leader: Child,
    /// Absent once the leader is reaped, for from then on the number may be given to others.
    id: Option<Pid>,
}

impl Group {
    fn led_by(leader: Child) -> Self {
        let number = leader.id().and_then(|id| i32::try_from(id).ok());
        Self { leader, id: number.and_then(Pid::from_raw) }
    }

    /// Waits for the leader. If it fails, its descendants are killed: what they would still do would come after the
    /// caller's undo.
    async fn exit(&mut self) -> io::Result<ExitStatus> {
        let status = self.leader.wait().await?;
        if !status.success() {
            self.kill();
        }
        self.id = None;
        Ok(status)
    }

    async fn end(&mut self) {
        self.kill();
        if timeout(REAP, self.leader.wait()).await.is_ok() {
            self.id = None;
        } else {
            tracing::warn!(group = ?self.id, "killed, and not gone after {REAP:?}");
        }
    }

    fn kill(&self) {
        if let Some(id) = self.id {
            // The one error there can be is that nobody is left.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
