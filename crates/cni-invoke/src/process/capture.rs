//! What a child writes, kept within bounds.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The most that a plugin may write to stdout, in bytes.
pub(crate) const STDOUT_LIMIT: usize = 4 << 20;

/// How much of the end of stderr is kept.
const STDERR_TAIL: usize = 64 << 10;

/// The least that is read at once.
const CHUNK: usize = 8 << 10;

/// Reads all into `output`; false if there is more than [`STDOUT_LIMIT`].
pub(super) async fn read_all(
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

/// The last 64 KiB of what was written.
#[derive(Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    pub(super) async fn follow(&mut self, mut pipe: impl AsyncRead + Unpin) -> io::Result<()> {
        loop {
            self.bytes.reserve(CHUNK);
            if pipe.read_buf(&mut self.bytes).await? == 0 {
                return Ok(());
            }
            // Twice the tail before it is cut, so that a flood is not moved at every chunk.
            if self.bytes.len() > 2 * STDERR_TAIL {
                self.cut();
            }
        }
    }

    pub(super) fn into_text(mut self) -> String {
        self.cut();
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn cut(&mut self) {
        self.bytes.drain(..self.bytes.len().saturating_sub(STDERR_TAIL));
    }
}
