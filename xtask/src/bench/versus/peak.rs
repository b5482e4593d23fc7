//! The most memory that a program had.
//!
//! `ru_maxrss` does not serve: a child's begins with what its parent had. The kernel's own mark, `VmHWM`, can only be
//! read while the program lives. So its stdout is a pipe that is full: it waits to write its result, which is the last
//! thing that it does, and is asked meanwhile.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::call::{Call, Ended};

/// How long a call may take until it writes.
const DEADLINE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(1);
/// The smallest pipe that there is.
const PIPE_BYTES: usize = 4096;
/// How the kernel's functions are named in which a writer waits.
const WRITING: &str = "pipe_write";

impl Call {
    /// Makes it as [`Call::make`] does, and tells its peak.
    pub(super) fn make_and_weigh(mut self) -> Result<Ended> {
        let (mut reader, mut writer) = std::io::pipe().context("cannot make a pipe")?;
        let room = rustix::pipe::fcntl_setpipe_size(&writer, PIPE_BYTES)?;
        writer.write_all(&vec![b' '; room]).context("cannot fill a pipe")?;
        self.send_stdout_to(writer);
        let begun = Instant::now();
        let mut child = self.start()?;
        let peak = peak_of(&mut child, begun);
        // Nobody but the program may hold the pipe when it is read to its end.
        self.send_stdout_to(std::process::Stdio::null());
        let mut said = Vec::new();
        reader.read_to_end(&mut said).context("cannot read what a program says")?;
        let status = child.wait().context("cannot wait for a program")?;
        self.ended(begun.elapsed(), status, &said, peak?)
    }
}

/// Waits until the program writes; none where the kernel does not say what it waits for.
fn peak_of(child: &mut Child, begun: Instant) -> Result<Option<u64>> {
    while begun.elapsed() < DEADLINE {
        if is_writing(child.id()) {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
            return Ok(high_water(&status));
        }
        ensure!(child.try_wait()?.is_none(), "a program ended without a result");
        thread::sleep(PAUSE);
    }
    Ok(None)
}

/// Whether a thread of it waits to write into a pipe.
fn is_writing(process: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let mut waiting = threads.filter_map(|it| fs::read_to_string(it.path().join("wchan")).ok());
    waiting.any(|function| function.contains(WRITING))
}

/// `VmHWM` in bytes (`proc_pid_status(5)`).
fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::call::{Attachment, Program};
    use super::*;

    #[test]
    fn the_high_water_mark_is_found_among_the_other_lines() {
        let status = "Name:\ta\nVmPeak:\t    9 kB\nVmHWM:\t    4242 kB\nVmRSS:\t    1 kB\n";
        assert_eq!(high_water(status), Some(4242 * 1024));
        assert_eq!(high_water("Name:\ta\n"), None);
    }

    #[test]
    fn a_program_is_weighed_with_what_it_had_and_gave_back() {
        let weigh = |script: &str| {
            let program =
                Program { path: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] };
            let attachment = Attachment { id: "one", netns: "/", host_port: 1 };
            program.call("ADD", attachment, &Value::Null).make_and_weigh()
        };
        let small = weigh("echo 1").unwrap();
        assert_eq!(small.said, 1);
        let large = weigh("x=$(head -c 8000000 /dev/zero | tr '\\0' x); unset x; echo 1").unwrap();
        let grown = large.peak.unwrap() - small.peak.unwrap();
        assert!(grown > 7_000_000, "{grown}");
        assert!(weigh("exit 0").is_err());
    }
}
