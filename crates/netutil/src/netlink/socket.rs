//! A netlink socket on which each exchange is made whole before the next begins.
//!
//! The kernel carries out a request inside the call that sends it, so that all answers are there when that call returns,
//! and each part of a listing when the one before it was taken. Nothing is waited for, and no answer is left over for
//! the next request, even where the caller stopped waiting. So neither a task nor a thread of its own serves a socket.

use std::io;
use std::sync::Arc;

use netlink_packet_core::NLM_F_DUMP_INTR;
use rtnetlink::sys::Socket as NetlinkSocket;
use rustix::io::Errno;
use rustix::net::netdevice::index_to_name_inlined;
use rustix::net::sockopt::set_socket_send_buffer_size_force;
use tokio::sync::Mutex;

use super::answer::Answer;
use super::ext_ack;
use crate::error::{Error, RequestError};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Every datagram fits: the kernel makes those of a listing no longer.
const DATAGRAM_BYTES: usize = 32 << 10;
/// Room for a transaction, which is sent as one: some ten thousand elements of a map.
const TRANSACTION_BYTES: usize = 4 << 20;
/// With one writer churning links a third of all listings is interrupted; sixteen in a row are not.
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

/// A netlink socket. Cloning shares it; exchanges take turns.
#[derive(Clone)]
pub(crate) struct Socket {
    socket: Arc<NetlinkSocket>,
    /// Room for what it receives, which whoever makes an exchange has for himself.
    datagram: Arc<Mutex<Vec<u8>>>,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

impl Socket {
    /// Opens a socket of this protocol (`NETLINK_*`) in the calling thread's network namespace.
    pub(crate) fn open(protocol: isize) -> Result<Self, Error> {
        let opened = || {
            let socket = NetlinkSocket::new(protocol)?;
            socket.set_non_blocking(true)?;
            socket.set_ext_ack(true)?;
            // Keeps the refused request out of the error: only the kernel's words are of use.
            socket.set_cap_ack(true)?;
            Ok(socket)
        };
        let socket = Arc::new(opened().map_err(Error::Socket)?);
        Ok(Self { socket, datagram: Arc::new(Mutex::new(Vec::with_capacity(DATAGRAM_BYTES))) })
    }

    /// Makes room for transactions.
    ///
    /// Refused in a user namespace, where a transaction is bounded by the system's default (200 KiB).
    pub(crate) fn with_room_for_transactions(self) -> Self {
        let _ = set_socket_send_buffer_size_force(&*self.socket, TRANSACTION_BYTES);
        self
    }

    /// Has the kernel refuse listings with a filter that it does not know, instead of listing everything.
    pub(crate) fn with_strict_checks(self) -> Result<Self, Error> {
        self.socket.set_netlink_get_strict_chk(true).map_err(Error::Socket)?;
        Ok(self)
    }

    /// Whether the socket's namespace has an interface of this number.
    ///
    /// Unlike a request, this waits for no lock: the kernel makes changes one after the other, and whoever asks in the
    /// usual way while many interfaces are being deleted stands in that line.
    pub(crate) fn has_interface(&self, index: u32) -> Result<bool, RequestError> {
        match index_to_name_inlined(&*self.socket, index) {
            Ok(_) => Ok(true),
            Err(Errno::NODEV) => Ok(false),
            Err(errno) => Err(RequestError::Kernel { errno, text: None }),
        }
    }

    /// Makes one request, which asks to be acknowledged, and returns the objects that the kernel sent.
    pub(crate) async fn request(&self, message: &[u8]) -> Result<Vec<Answer>, RequestError> {
        let outcome = self.exchange(message).await?;
        match outcome.refusal {
            Some((_, refusal)) => Err(refusal),
            None if outcome.acknowledged.is_empty() => Err(RequestError::AnswerIncomplete),
            None => Ok(outcome.objects),
        }
    }

    /// Lists objects, again if they changed meanwhile.
    pub(crate) async fn list(&self, message: &[u8]) -> Result<Vec<Answer>, RequestError> {
        for _ in 0..DUMP_ATTEMPTS {
            let outcome = self.exchange(message).await?;
            match outcome.refusal {
                // What is listed changed under the listing: nftables says so by an error of its own.
                Some((_, RequestError::Kernel { errno: Errno::INTR | Errno::AGAIN, .. })) => {}
                Some((_, refusal)) => return Err(refusal),
                None if !outcome.done => return Err(RequestError::AnswerIncomplete),
                None if outcome.interrupted => {}
                None => return Ok(outcome.objects),
            }
        }
        Err(RequestError::DumpInterrupted { attempts: DUMP_ATTEMPTS })
    }

    /// Sends messages at once and reads all that the kernel answers.
    pub(crate) async fn exchange(&self, messages: &[u8]) -> Result<Outcome, RequestError> {
        let mut datagram = self.datagram.lock().await;
        self.socket.send(messages, 0).map_err(|error| system(&error))?;
        let mut outcome = Outcome::default();
        while receive(&self.socket, &mut datagram)? {
            for answer in Answer::all(&datagram) {
                outcome.take(answer);
            }
        }
        Ok(outcome)
    }
}

/// Takes the next datagram. Says whether there was one. After an overrun the rest is taken and thrown away.
fn receive(socket: &NetlinkSocket, datagram: &mut Vec<u8>) -> Result<bool, RequestError> {
    loop {
        datagram.clear();
        match socket.recv(datagram, 0) {
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NOBUFS) => {
                while receive(socket, datagram).is_ok_and(|more| more) {}
                return Err(RequestError::Overrun);
            }
            Err(error) => return Err(system(&error)),
        }
    }
}

fn system(error: &io::Error) -> RequestError {
    match Errno::from_io_error(error) {
        Some(errno) => RequestError::Kernel { errno, text: None },
        None => RequestError::AnswerIncomplete,
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

    fn answer(kind: u16, flags: u16, sequence: u32, code: i32) -> Answer {
        Answer { kind, flags, sequence, payload: code.to_ne_bytes().to_vec() }
    }

    #[test]
    fn the_first_refusal_counts_whatever_is_acknowledged() {
        let mut outcome = Outcome::default();
        outcome.take(answer(NLMSG_ERROR, 0, 3, -17));
        outcome.take(answer(NLMSG_ERROR, 0, 4, -2));
        outcome.take(answer(NLMSG_ERROR, 0, 5, 0));
        let Some((3, RequestError::Kernel { errno, .. })) = outcome.refusal else { panic!() };
        assert_eq!((errno, outcome.acknowledged), (Errno::EXIST, vec![5]));
    }

    #[test]
    fn a_listing_may_end_in_an_error() {
        let mut outcome = Outcome::default();
        outcome.take(answer(NLMSG_DONE, 0, 0, -4));
        assert!(!outcome.done && outcome.refusal.is_some());
    }

    #[test]
    fn an_interruption_anywhere_in_a_listing_is_seen() {
        for flags in [[NLM_F_DUMP_INTR, 0], [0, NLM_F_DUMP_INTR]] {
            let mut outcome = Outcome::default();
            outcome.take(answer(16, flags[0], 0, 0));
            outcome.take(answer(NLMSG_DONE, flags[1], 0, 0));
            assert!(outcome.done && outcome.interrupted);
        }
    }
}
