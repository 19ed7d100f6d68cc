//! Work with a model outside of its scheduler.

use std::sync::Arc;

use tercet_engine::Cancel;
use tokio::sync::Mutex;

use crate::error::{ApiError, Result};
use crate::models::Model;

/// Held by the request whose work is under way: one already uses all threads.
#[derive(Debug, Default)]
pub(crate) struct Turn(Mutex<()>);

impl Model {
    /// Returns what `work` makes of the model, once it is this request's turn. The work is cancelled if nobody waits for it
    /// any more.
    ///
    /// # Errors
    /// Fails if `work` does.
    pub(crate) async fn in_turn<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Model, &Cancel) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _turn = self.turn.0.lock().await;
        let unwanted = CancelOnDrop(Cancel::new());
        let (model, cancel) = (Arc::clone(self), unwanted.0.clone());
        let done = tokio::task::spawn_blocking(move || work(&model, &cancel)).await;
        done.map_err(|_| ApiError::internal("the model has failed: this is a fault of the server"))?
    }
}

/// Ends the work of a request whose client is gone.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
