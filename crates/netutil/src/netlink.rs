//! A netlink connection that belongs to one network namespace.

pub(crate) mod ext_ack;
mod request;

use std::sync::Arc;

use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::Handle;
use rtnetlink::sys::AsyncSocket as _;
use tokio::sync::Mutex;

use crate::error::Error;
use crate::netns::Netns;

/// An open connection to the kernel's routing netlink in one network namespace.
///
/// The connection stays in the namespace in which it was opened, whatever thread uses it. Cloning shares it; it is
/// closed when the last clone is dropped. Its operations stand in the modules [`link`](crate::link),
/// [`veth`](crate::veth), [`bridge`](crate::bridge), [`address`](crate::address) and [`route`](crate::route).
#[derive(Clone, Debug)]
pub struct Netlink {
    handle: Handle,
    /// The kernel makes one listing at a time on a socket and refuses a second with EBUSY.
    listing: Arc<Mutex<()>>,
}

impl Netlink {
    /// Opens a connection in the calling thread's network namespace.
    ///
    /// # Errors
    /// [`Error::Socket`] when the system gives no socket.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled, as every tokio socket does.
    pub fn open() -> Result<Self, Error> {
        let (mut connection, handle, _) =
            rtnetlink::new_connection_with_strict_check().map_err(Error::Socket)?;
        connection.set_forward_ack(true);
        connection.set_forward_done(true);
        let socket = connection.socket_mut().socket_mut();
        socket.set_ext_ack(true).map_err(Error::Socket)?;
        // Keeps the refused request out of the error: only the kernel's words are of use.
        socket.set_cap_ack(true).map_err(Error::Socket)?;
        tokio::spawn(connection);
        Ok(Self { handle, listing: Arc::default() })
    }

    /// Opens a connection in `netns`, by way of a thread that ends there.
    ///
    /// # Errors
    /// [`Error::Netns`] when the namespace cannot be entered, [`Error::Socket`] when the system gives no socket.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub fn open_in(netns: &Netns) -> Result<Self, Error> {
        let runtime = tokio::runtime::Handle::current();
        netns.run(|| {
            let _entered = runtime.enter();
            Self::open()
        })?
    }

    /// Makes a change, or asks for one object, and returns what the kernel sent before its acknowledgement.
    pub(crate) async fn request(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        action: impl FnOnce() -> String,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        request::acknowledged(&self.handle, message, flags)
            .await
            .map_err(|source| Error::Netlink { action: action(), source })
    }

    /// Lists objects.
    pub(crate) async fn dump(
        &self,
        message: &RouteNetlinkMessage,
        action: impl FnOnce() -> String,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        request::dump(&self.handle, &self.listing, message)
            .await
            .map_err(|source| Error::Netlink { action: action(), source })
    }
}
