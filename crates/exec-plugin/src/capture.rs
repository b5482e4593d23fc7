//! What a child writes, kept within bounds.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The most that a program may write to stdout, in bytes.
pub(crate) const STDOUT_LIMIT: usize = 4 << 20;

/// How much of the end of stderr is kept, in bytes.
const STDERR_TAIL: usize = 64 << 10;

/// The least that is read at once, in bytes.
const CHUNK: usize = 8 << 10;

/// Reads all into `output`; false if there is more than [`STDOUT_LIMIT`].
pub(crate) async fn read_all(
    mut pipe: impl AsyncRead + Unpin,
    output: &mut Vec<u8>,
) -> io::Result<bool> {
    loop {
        output.reserve(CHUNK);
        if pipe.read_buf(output).await? == 0 {
            return Ok(true);
        }
        if output.len() > STDOUT_LIMIT {
            return Ok(false);
        }
    }
}

/// Reads all and keeps the last 64 KiB in `tail`, or twice as much until [`tail_text`] cuts it.
pub(crate) async fn read_tail(
    mut pipe: impl AsyncRead + Unpin,
    tail: &mut Vec<u8>,
) -> io::Result<()> {
    loop {
        tail.reserve(CHUNK);
        if pipe.read_buf(tail).await? == 0 {
            return Ok(());
        }
        // Not at every chunk, so that a flood is not moved again and again.
        if tail.len() > 2 * STDERR_TAIL {
            cut(tail);
        }
    }
}

/// The last 64 KiB as text.
pub(crate) fn tail_text(mut tail: Vec<u8>) -> String {
    cut(&mut tail);
    String::from_utf8_lossy(&tail).into_owned()
}

fn cut(tail: &mut Vec<u8>) {
    tail.drain(..tail.len().saturating_sub(STDERR_TAIL));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_the_end_is_kept() {
        let mut tail = vec![b'x'; 3 * STDERR_TAIL];
        tail.extend(b"the reason");
        let text = tail_text(tail);
        assert_eq!(text.len(), STDERR_TAIL);
        assert!(text.ends_with("xthe reason"));
    }
}
