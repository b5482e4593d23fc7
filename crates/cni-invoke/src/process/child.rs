//! A child and all its descendants, from start to end.
//!
//! Knows nothing of CNI: text goes in, text comes out, everything ends.

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use futures_util::future::{Either, select, try_join3};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::capture::{self, STDOUT_LIMIT, Tail};

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
    Start { program: PathBuf, source: io::Error },
    Talk(io::Error),
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
    stderr: Tail,
}

struct Pipes {
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

/// Starts `command`, which has a process group of its own and three pipes, writes `input` to it and
/// reads what it writes until it ends. After `limit` the group is killed.
pub(crate) async fn run(
    command: &mut Command,
    input: &[u8],
    limit: Duration,
) -> Result<Ended, Failure> {
    let deadline = Instant::now() + limit.min(LONGEST);
    let mut group = start(command, deadline).await.map_err(|source| Failure::Start {
        program: command.as_std().get_program().into(),
        source,
    })?;
    let mut captured = Captured::default();
    let outcome = follow(&mut group, input, &mut captured, deadline).await;
    let Captured { stdout, stderr } = captured;
    let cut = match outcome {
        Ok(status) => {
            return Ok(Ended { status, stdout, stderr_tail: stderr.into_text() });
        }
        Err(cut) => cut,
    };
    group.end().await;
    let stderr_tail = stderr.into_text();
    Err(match cut {
        Cut::Deadline => Failure::Deadline { after: limit, stderr_tail },
        Cut::TooMuchOutput => Failure::TooMuchOutput { limit: STDOUT_LIMIT, stderr_tail },
        Cut::Io(source) => Failure::Talk(source),
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
    input: &[u8],
    captured: &mut Captured,
    deadline: Instant,
) -> Result<ExitStatus, Cut> {
    let pipes = group.pipes();
    let talk = pin!(talk(pipes, input, captured));
    let exit = pin!(group.exit());
    match timeout_at(deadline, select(exit, talk)).await {
        Ok(Either::Left((status, talk))) => {
            let status = status?;
            // Whoever still holds the pipes is no longer waited for.
            timeout(GRACE, talk).await.unwrap_or(Ok(()))?;
            Ok(status)
        }
        Ok(Either::Right((done, exit))) => {
            done?;
            Ok(timeout_at(deadline, exit).await.map_err(|_| Cut::Deadline)??)
        }
        Err(_) => Err(Cut::Deadline),
    }
}

/// Writes and reads at the same time: a child that blocks on a full pipe reads nothing.
async fn talk(pipes: Pipes, input: &[u8], captured: &mut Captured) -> Result<(), Cut> {
    let Captured { stdout, stderr } = captured;
    try_join3(
        feed(pipes.stdin, input),
        async {
            let Some(pipe) = pipes.stdout else {
                return Ok(());
            };
            let whole = capture::read_all(pipe, stdout).await?;
            if whole { Ok(()) } else { Err(Cut::TooMuchOutput) }
        },
        async {
            let Some(pipe) = pipes.stderr else {
                return Ok(());
            };
            Ok(stderr.follow(pipe).await?)
        },
    )
    .await?;
    Ok(())
}

async fn feed(stdin: Option<ChildStdin>, input: &[u8]) -> Result<(), Cut> {
    let Some(mut stdin) = stdin else {
        return Ok(());
    };
    match stdin.write_all(input).await {
        // It need not read what it does not want; its answer decides.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
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

    fn pipes(&mut self) -> Pipes {
        Pipes {
            stdin: self.leader.stdin.take(),
            stdout: self.leader.stdout.take(),
            stderr: self.leader.stderr.take(),
        }
    }

    /// Waits for the leader. If it fails, its descendants are killed: what they would still do,
    /// such as reserve an address, would come after the caller's undo.
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
