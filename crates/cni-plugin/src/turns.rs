//! Who waits for whom: ADD and DEL go side by side, GC goes alone (CNI 1.1.0, section 3, "Lifecycle & Ordering").

use std::sync::Arc;
use std::time::Duration;

use podnet_cni_spec::{CniError, ErrorCode};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::time::timeout;

/// Shared by all who must wait for each other. First come, first served.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Arc<RwLock<()>>);

impl Turns {
    /// For an ADD or DEL: waits for a GC that runs or waits.
    pub(crate) async fn beside_others(
        &self,
        patience: Duration,
    ) -> Result<RwLockReadGuard<'_, ()>, CniError> {
        let turn = timeout(patience, self.0.read()).await;
        turn.map_err(|_| too_long("a GC", patience))
    }

    /// For a GC: waits for every ADD and DEL under way.
    pub(crate) async fn alone(
        &self,
        patience: Duration,
    ) -> Result<RwLockWriteGuard<'_, ()>, CniError> {
        let turn = timeout(patience, self.0.write()).await;
        turn.map_err(|_| too_long("an ADD, DEL or other GC", patience))
    }
}

fn too_long(other: &str, patience: Duration) -> CniError {
    let msg = format!("{other} of this runtime is under way, and was not done after {patience:?}");
    CniError::new(ErrorCode::TRY_AGAIN_LATER, msg)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn whoever_waits_in_vain_is_told_to_try_again() {
        let turns = Turns::default();
        let (one, other) = (turns.beside_others(SHORT).await, turns.beside_others(SHORT).await);
        assert!(one.is_ok() && other.is_ok());
        let error = turns.alone(SHORT).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::TRY_AGAIN_LATER);
        drop((one, other));
        let alone = turns.alone(SHORT).await;
        assert!(alone.is_ok() && turns.clone().beside_others(SHORT).await.is_err());
    }
}
