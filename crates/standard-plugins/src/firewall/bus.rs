//! A connection to a message bus (D-Bus) for a few method calls, one after the other.

mod message;

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream as StdStream};
use std::time::Duration;

use podnet_netutil::system_text;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

pub(super) use message::{MethodCall, Returned};

/// How long a bus may take to let us in, and a service to answer.
const LIMIT: Duration = Duration::from_secs(25);
/// The longest line of the conversation before the first message, in bytes.
const LINE_LIMIT: usize = 512;
/// The name by which a bus itself is called.
const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// A call that brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum BusError {
    #[error("no bus answers at {address}: {}", system_text(source))]
    Unreachable { address: String, source: io::Error },
    #[error(
        "{0:?} is no address of a bus on this host; write unix:path=/run/dbus/system_bus_socket"
    )]
    InvalidAddress(String),
    #[error("the bus lets nobody in: {0:?}")]
    Rejected(String),
    #[error("the connection to the bus broke: {}", system_text(.0))]
    Broken(#[from] io::Error),
    #[error("the bus sent something that is no message")]
    Malformed,
    #[error("no answer came within {} s", LIMIT.as_secs())]
    Overdue,
    #[error("{words} ({name})")]
    Refused { name: String, words: String },
}

/// A connection to a bus.
#[derive(Debug)]
pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
}

impl Bus {
    /// Connects to the first address of a list that is on this host: `unix:path=/run/bus;unix:abstract=bus`.
    pub(super) async fn connect(addresses: &str) -> Result<Self, BusError> {
        let stream = open(addresses)?;
        let mut bus = Self { stream, serial: 0 };
        let entered = timeout(LIMIT, bus.enter()).await;
        entered.map_err(|_| BusError::Overdue)??;
        bus.call(Self::own("Hello", &[])).await?;
        Ok(bus)
    }

    /// A method of the bus itself.
    pub(super) fn own<'a>(member: &'a str, arguments: &'a [&'a str]) -> MethodCall<'a> {
        MethodCall {
            destination: BUS,
            path: BUS_PATH,
            interface: BUS,
            member,
            arguments,
            may_start: false,
        }
    }

    /// Calls a method and returns the first thing that it returned.
    pub(super) async fn call(&mut self, call: MethodCall<'_>) -> Result<Returned, BusError> {
        let called = timeout(LIMIT, self.exchange(call)).await;
        called.map_err(|_| BusError::Overdue)?
    }

    /// Whose process this is, the bus learns from the socket.
    async fn enter(&mut self) -> Result<(), BusError> {
        self.stream.write_all(b"\0AUTH EXTERNAL\r\nDATA\r\n").await?;
        loop {
            let line = self.line().await?;
            match line.split(' ').next() {
                Some("DATA") => {}
                Some("OK") => break,
                _ => return Err(BusError::Rejected(line)),
            }
        }
        Ok(self.stream.write_all(b"BEGIN\r\n").await?)
    }

    /// One byte after the other, because a message could follow.
    async fn line(&mut self) -> Result<String, BusError> {
        let mut line = Vec::new();
        while line.len() < LINE_LIMIT {
            match self.stream.read_u8().await? {
                b'\n' => return Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
                byte => line.push(byte),
            }
        }
        Err(BusError::Malformed)
    }

    async fn exchange(&mut self, call: MethodCall<'_>) -> Result<Returned, BusError> {
        self.serial = self.serial.wrapping_add(1).max(1);
        let bytes = call.to_bytes(self.serial).ok_or(BusError::Malformed)?;
        self.stream.write_all(&bytes).await?;
        loop {
            // Signals come in between, and answers to calls that were given up.
            let message = self.message().await?;
            match message::answer(&message) {
                Some(answer) if answer.to == self.serial => {
                    return answer
                        .outcome
                        .map_err(|(name, words)| BusError::Refused { name, words });
                }
                _ => {}
            }
        }
    }

    async fn message(&mut self) -> Result<Vec<u8>, BusError> {
        let mut fixed = [0; message::FIXED_BYTES];
        self.stream.read_exact(&mut fixed).await?;
        let rest = message::rest_of(&fixed).ok_or(BusError::Malformed)?;
        let mut message = fixed.to_vec();
        let read = (&mut self.stream).take(u64::try_from(rest).unwrap_or(0));
        let (mut read, whole) = (read, fixed.len() + rest);
        read.read_to_end(&mut message).await?;
        if message.len() < whole { Err(BusError::Malformed) } else { Ok(message) }
    }
}

fn open(addresses: &str) -> Result<UnixStream, BusError> {
    let invalid = || BusError::InvalidAddress(addresses.to_owned());
    let socket = addresses.split(';').find_map(socket_of).ok_or_else(invalid)?;
    let connect = |socket| {
        let stream = StdStream::connect_addr(&socket)?;
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    };
    let unreachable = |source| BusError::Unreachable { address: addresses.to_owned(), source };
    socket.and_then(connect).map_err(unreachable)
}

/// The socket of an address, if it is one of this host.
fn socket_of(address: &str) -> Option<io::Result<SocketAddr>> {
    let keys = address.strip_prefix("unix:")?;
    keys.split(',').find_map(|key| {
        let (name, value) = key.split_once('=')?;
        let value = unescaped(value);
        match name {
            "path" => Some(SocketAddr::from_pathname(String::from_utf8_lossy(&value).into_owned())),
            "abstract" => Some(SocketAddr::from_abstract_name(value)),
            _ => None,
        }
    })
}

/// `%20` is a blank; whatever is no such thing stays as it is.
fn unescaped(text: &str) -> Vec<u8> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match digits {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(part.get(2..).unwrap_or_default().bytes());
            }
            None => bytes.extend(b"%".iter().copied().chain(part.bytes())),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_address_of_this_host_is_found_in_a_list() {
        let path = |list: &str| {
            let socket = list.split(';').find_map(socket_of)?.unwrap();
            socket.as_pathname().map(Path::to_owned)
        };
        let socket = Some(Path::new("/run/a b").to_owned());
        assert_eq!(path("unix:path=/run/a%20b,guid=0f"), socket);
        assert_eq!(path("tcp:host=localhost,port=1;unix:path=/run/a%20b"), socket);
        for none in ["", "autolaunch:", "/run/bus", "unix:tmpdir=/tmp"] {
            assert_eq!(path(none), None, "{none}");
        }
        let abstract_name = socket_of("unix:abstract=/tmp/bus").unwrap().unwrap();
        assert_eq!(abstract_name.as_abstract_name(), Some(&b"/tmp/bus"[..]));
        assert_eq!(unescaped("100%"), b"100%");
    }

    #[tokio::test]
    async fn a_bus_that_is_not_there_is_told_with_its_address() {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("unix:path={}/bus", folder.path().display());
        let error = Bus::connect(&address).await.unwrap_err();
        assert!(error.to_string().contains(&address), "{error}");
        assert!(matches!(error, BusError::Unreachable { .. }));
        assert!(matches!(Bus::connect("no").await, Err(BusError::InvalidAddress(_))));
    }

    /// What comes of a bus that says this to whoever connects.
    async fn told_by(words: &'static [u8]) -> BusError {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bus");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(words).await.unwrap();
            stream.shutdown().await.unwrap();
            // Until the other side ends it, so that the answer is not lost by closing.
            drop(stream.read_to_end(&mut Vec::new()).await);
        };
        let address = format!("unix:path={}", path.display());
        let (connected, ()) = futures_util::future::join(Bus::connect(&address), serving).await;
        connected.unwrap_err()
    }

    #[tokio::test]
    async fn a_bus_that_refuses_or_talks_nonsense_is_an_error() {
        let rejected = told_by(b"REJECTED EXTERNAL\r\n").await;
        assert!(matches!(rejected, BusError::Rejected(line) if line == "REJECTED EXTERNAL"));
        assert!(matches!(told_by(b"").await, BusError::Broken(_)));
        assert!(matches!(told_by(&[b'x'; LINE_LIMIT]).await, BusError::Malformed));
        let nonsense = told_by(b"DATA\r\nOK 0f\r\nthis is no message").await;
        assert!(matches!(nonsense, BusError::Malformed), "{nonsense}");
        let cut_off = told_by(b"OK 0f\r\nl\x02\x01\x01").await;
        assert!(matches!(cut_off, BusError::Broken(_)), "{cut_off}");
    }
}
