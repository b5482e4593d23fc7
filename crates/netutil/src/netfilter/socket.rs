//! A socket of the calling thread's network namespace on which each exchange is made whole before the next begins.
//!
//! The kernel carries out a netfilter request inside the call that sends it, so that all answers are there when that
//! call returns, and each part of a listing when the one before it was taken. Nothing is waited for, and no answer is
//! left over for the next request, even where the caller stopped waiting.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST};
use rtnetlink::sys::{Socket as NetlinkSocket, protocols::NETLINK_NETFILTER};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_send_buffer_size_force;

use super::message::{Answer, Message};
use crate::error::{Error, RequestError};
use crate::netlink::ext_ack;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Every datagram of a listing fits: the kernel makes them no longer than 32 KiB.
const DATAGRAM_BYTES: usize = 64 << 10;
/// Room for a transaction, which is sent as one: some ten thousand elements.
const TRANSACTION_BYTES: usize = 4 << 20;
const DUMP_ATTEMPTS: u32 = 16;

/// What the kernel answered to one or more messages sent at once.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The objects it sent.
    pub(crate) objects: Vec<Answer>,
    /// The first refusal, with the number of the message that was refused.
    pub(crate) refusal: Option<(usize, RequestError)>,
    /// The numbers of the messages that were acknowledged.
    pub(crate) acknowledged: Vec<usize>,
    /// Whether a listing came to its end.
    pub(crate) done: bool,
    interrupted: bool,
}

/// A netfilter socket. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Socket {
    socket: Arc<Mutex<NetlinkSocket>>,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub(crate) fn open() -> Result<Self, Error> {
        let opened = || {
            let mut socket = NetlinkSocket::new(NETLINK_NETFILTER)?;
            socket.bind_auto()?;
            socket.set_non_blocking(true)?;
            // Refused in a user namespace, where a transaction is bounded by the system's default (200 KiB).
            let _ = set_socket_send_buffer_size_force(&socket, TRANSACTION_BYTES);
            socket.set_ext_ack(true)?;
            // Keeps the refused request out of the error: only the kernel's words are of use.
            socket.set_cap_ack(true)?;
            Ok(socket)
        };
        let socket = opened().map_err(Error::Socket)?;
        Ok(Self { socket: Arc::new(Mutex::new(socket)) })
    }

    /// Lists objects, again if they changed meanwhile. An object that is listed in does not exist: an empty list.
    pub(crate) async fn list(&self, message: Message) -> Result<Vec<Answer>, RequestError> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut request = message.clone();
            request.flags |= NLM_F_REQUEST | NLM_F_DUMP;
            let outcome = self.exchange(vec![request]).await?;
            match outcome.refusal {
                Some((_, RequestError::Kernel { errno: Errno::NOENT, .. })) => {
                    return Ok(Vec::new());
                }
                // A table changed under the listing (nftables says so by an error of its own).
                Some((_, RequestError::Kernel { errno: Errno::INTR | Errno::AGAIN, .. })) => {}
                Some((_, refusal)) => return Err(refusal),
                None if !outcome.done => return Err(RequestError::AnswerIncomplete),
                None if outcome.interrupted => {}
                None => return Ok(outcome.objects),
            }
        }
        Err(RequestError::DumpInterrupted { attempts: DUMP_ATTEMPTS })
    }

    /// Makes one request, acknowledged, and returns the objects that the kernel sent.
    pub(crate) async fn request(&self, mut message: Message) -> Result<Vec<Answer>, RequestError> {
        message.flags |= NLM_F_REQUEST | NLM_F_ACK;
        let outcome = self.exchange(vec![message]).await?;
        match outcome.refusal {
            Some((_, refusal)) => Err(refusal),
            None if outcome.acknowledged.is_empty() => Err(RequestError::AnswerIncomplete),
            None => Ok(outcome.objects),
        }
    }

    /// Sends messages at once and reads all that the kernel answers.
    ///
    /// On a thread where waiting harms nobody: the kernel may make a transaction wait for another's.
    pub(crate) async fn exchange(&self, messages: Vec<Message>) -> Result<Outcome, RequestError> {
        let socket = Arc::clone(&self.socket);
        let exchanged = tokio::task::spawn_blocking(move || {
            let socket = socket.lock().unwrap_or_else(PoisonError::into_inner);
            exchange(&socket, &messages)
        });
        exchanged.await.unwrap_or(Err(RequestError::ConnectionEnded))
    }
}

fn exchange(socket: &NetlinkSocket, messages: &[Message]) -> Result<Outcome, RequestError> {
    let mut bytes = Vec::new();
    for (sequence, message) in (0_u32..).zip(messages) {
        let encoded = message.encode(sequence);
        bytes.extend(encoded.ok_or_else(|| {
            RequestError::Malformed("the request is longer than netlink allows".to_owned())
        })?);
    }
    socket.send(&bytes, 0).map_err(|error| system(&error))?;
    let mut outcome = Outcome::default();
    while let Some(datagram) = receive(socket)? {
        for answer in Answer::all(&datagram) {
            outcome.take(answer);
        }
    }
    Ok(outcome)
}

/// The next datagram, where there is one. After an overrun the rest is taken and thrown away.
fn receive(socket: &NetlinkSocket) -> Result<Option<Vec<u8>>, RequestError> {
    let mut datagram = Vec::with_capacity(DATAGRAM_BYTES);
    match socket.recv(&mut datagram, 0) {
        Ok(_) => Ok(Some(datagram)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => receive(socket),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => {
            while receive(socket).is_ok_and(|rest| rest.is_some()) {}
            Err(RequestError::Overrun)
        }
        Err(error) => Err(system(&error)),
    }
}

fn system(error: &io::Error) -> RequestError {
    match Errno::from_io_error(error) {
        Some(errno) => RequestError::Kernel { errno, text: None },
        None => RequestError::ConnectionEnded,
    }
}

impl Outcome {
    fn take(&mut self, answer: Answer) {
        self.interrupted |= answer.flags & NLM_F_DUMP_INTR != 0;
        let message = usize::try_from(answer.sequence).unwrap_or(usize::MAX);
        let code = answer.payload.first_chunk::<4>().copied().map_or(0, i32::from_ne_bytes);
        match answer.kind {
            NLMSG_ERROR if code == 0 => self.acknowledged.push(message),
            NLMSG_ERROR | NLMSG_DONE if code != 0 => {
                let rest = answer.payload.get(4..).unwrap_or_default();
                let words = if answer.kind == NLMSG_ERROR { rest } else { &[] };
                let refusal = ext_ack::refusal(code, answer.flags, words);
                self.refusal.get_or_insert((message, refusal));
            }
            NLMSG_DONE => self.done = true,
            _ => self.objects.push(answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: u16, sequence: u32, code: i32) -> Answer {
        Answer { kind, flags: 0, sequence, payload: code.to_ne_bytes().to_vec() }
    }

    #[test]
    fn the_first_refusal_counts_whatever_is_acknowledged() {
        let mut outcome = Outcome::default();
        outcome.take(answer(NLMSG_ERROR, 3, -17));
        outcome.take(answer(NLMSG_ERROR, 4, -2));
        outcome.take(answer(NLMSG_ERROR, 5, 0));
        let Some((3, RequestError::Kernel { errno, .. })) = outcome.refusal else { panic!() };
        assert_eq!((errno, outcome.acknowledged), (Errno::EXIST, vec![5]));
    }

    #[test]
    fn a_listing_may_end_in_an_error() {
        let mut outcome = Outcome::default();
        outcome.take(answer(NLMSG_DONE, 0, -4));
        assert!(!outcome.done && outcome.refusal.is_some());
    }
}
