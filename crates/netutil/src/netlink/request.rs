//! The request layer: every change is acknowledged, every listing is whole, every refusal keeps the kernel's words.
//!
//! rtnetlink's own `execute()` hides acknowledgements and reads a closed connection as success; nothing here uses it.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::Handle;
use rustix::io::Errno;
use tokio::sync::Mutex;

use super::ext_ack;
use crate::error::RequestError;

/// A kernel that takes longer is stuck; waiting for ever would hang the pod's whole life with it.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
/// With one writer churning links a third of all dumps is interrupted; sixteen in a row are not.
const DUMP_ATTEMPTS: u32 = 16;
/// A listing that nobody waits for ends by itself, as soon as it is read.
const BUSY_PAUSE: Duration = Duration::from_millis(2);

/// Asks for a change and returns what the kernel sent back before its acknowledgement.
pub(super) async fn acknowledged(
    handle: &Handle,
    message: RouteNetlinkMessage,
    flags: u16,
) -> Result<Vec<RouteNetlinkMessage>, RequestError> {
    let answer = exchange(handle, message, NLM_F_REQUEST | NLM_F_ACK | flags).await?;
    match answer.end {
        End::Acknowledged => Ok(answer.messages),
        End::DumpDone { .. } => Err(RequestError::AnswerIncomplete),
    }
}

/// Reads a listing when it is its turn on the socket, and again if it changed while it was read.
pub(super) async fn dump(
    handle: &Handle,
    turns: &Mutex<()>,
    message: &RouteNetlinkMessage,
) -> Result<Vec<RouteNetlinkMessage>, RequestError> {
    let turn = tokio::time::timeout(ANSWER_DEADLINE, turns.lock()).await;
    let _turn = turn.map_err(|_| RequestError::TimedOut(ANSWER_DEADLINE.as_secs()))?;
    for _ in 0..DUMP_ATTEMPTS {
        let answer = exchange_when_free(handle, message).await?;
        match answer.end {
            End::DumpDone { interrupted: false } => return Ok(answer.messages),
            End::DumpDone { interrupted: true } => {}
            End::Acknowledged => return Err(RequestError::AnswerIncomplete),
        }
    }
    Err(RequestError::DumpInterrupted { attempts: DUMP_ATTEMPTS })
}

/// Asks again as long as the socket still makes a listing for somebody who has stopped waiting for it.
async fn exchange_when_free(
    handle: &Handle,
    message: &RouteNetlinkMessage,
) -> Result<Answer, RequestError> {
    let begun = Instant::now();
    loop {
        match exchange(handle, message.clone(), NLM_F_REQUEST | NLM_F_DUMP).await {
            Err(RequestError::Kernel { errno: Errno::BUSY, .. })
                if begun.elapsed() < ANSWER_DEADLINE =>
            {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            answer => return answer,
        }
    }
}

struct Answer {
    messages: Vec<RouteNetlinkMessage>,
    end: End,
}

enum End {
    Acknowledged,
    DumpDone { interrupted: bool },
}

async fn exchange(
    handle: &Handle,
    message: RouteNetlinkMessage,
    flags: u16,
) -> Result<Answer, RequestError> {
    let mut request = NetlinkMessage::from(message);
    request.header.flags = flags;
    let answers = handle.clone().request(request).map_err(|_| RequestError::ConnectionEnded)?;
    tokio::time::timeout(ANSWER_DEADLINE, collect(answers))
        .await
        .map_err(|_| RequestError::TimedOut(ANSWER_DEADLINE.as_secs()))?
}

/// Reads until the kernel's last word. A stream that ends without one is a connection that died.
async fn collect(
    mut answers: impl futures_util::Stream<Item = NetlinkMessage<RouteNetlinkMessage>> + Unpin,
) -> Result<Answer, RequestError> {
    let mut messages = Vec::new();
    let mut interrupted = false;
    while let Some(answer) = answers.next().await {
        let flags = answer.header.flags;
        interrupted |= flags & NLM_F_DUMP_INTR != 0;
        match answer.payload {
            NetlinkPayload::InnerMessage(message) => messages.push(message),
            NetlinkPayload::Error(error) if error.code.is_some() => {
                return Err(ext_ack::refusal(error.raw_code(), flags, &error.header));
            }
            NetlinkPayload::Error(_) => return Ok(Answer { messages, end: End::Acknowledged }),
            NetlinkPayload::Done(done) if done.code < 0 => {
                return Err(ext_ack::refusal(done.code, 0, &[]));
            }
            NetlinkPayload::Done(_) => {
                return Ok(Answer { messages, end: End::DumpDone { interrupted } });
            }
            NetlinkPayload::Overrun(_) => return Err(RequestError::Overrun),
            _ => {}
        }
    }
    Err(RequestError::ConnectionEnded)
}

#[cfg(test)]
mod tests;
