//! A lock that all programs in a network namespace share, whatever folders they have.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::LockError;

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(1);

/// An exclusive lock by a name, held until it is dropped or its holder ends: an abstract socket, of which a network
/// namespace has one by each name.
///
/// It keeps apart those who mean well. Any user may take the name, so that whoever cannot have it should go on.
#[derive(Debug)]
pub struct NamespaceLock {
    _socket: UnixDatagram,
}

impl NamespaceLock {
    /// Takes the lock in the calling thread's network namespace and waits for it at most `wait`, without blocking the
    /// thread.
    ///
    /// # Errors
    /// [`LockError::Held`] with the name as `ss -x` shows it; [`LockError::Unusable`].
    pub async fn acquire(name: &str, wait: Duration) -> Result<Self, LockError> {
        let path = PathBuf::from(format!("@{name}"));
        let unusable = |source| LockError::Unusable { path: path.clone(), source };
        let address = SocketAddr::from_abstract_name(name).map_err(unusable)?;
        let started = Instant::now();
        loop {
            match UnixDatagram::bind_addr(&address) {
                Ok(socket) => return Ok(Self { _socket: socket }),
                Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                    return Err(unusable(error));
                }
                Err(_) if started.elapsed() >= wait => {
                    return Err(LockError::Held { path, waited: wait, holder: None });
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::in_own_netns;

    #[test]
    fn one_in_a_namespace_has_it_at_a_time() {
        in_own_netns(async || {
            let held = NamespaceLock::acquire("podnet/test", Duration::ZERO).await.unwrap();
            let refused = NamespaceLock::acquire("podnet/test", Duration::ZERO).await.unwrap_err();
            assert!(refused.to_string().contains("@podnet/test"), "{refused}");
            let other = std::thread::spawn(|| {
                in_own_netns(async || {
                    NamespaceLock::acquire("podnet/test", Duration::ZERO).await.unwrap();
                });
            });
            other.join().unwrap();
            drop(held);
            NamespaceLock::acquire("podnet/test", Duration::ZERO).await.unwrap();
        });
    }
}
