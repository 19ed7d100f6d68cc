//! Keys and certificates from files, which are read again on SIGHUP.

use std::sync::Arc;

use crate::State;

impl State {
    /// Returns true if there are files to read again.
    fn has_files(&self) -> bool {
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return true;
        }
        self.keys.has_file()
    }

    fn reload(&self) -> std::io::Result<()> {
        self.keys.reload()?;
        #[cfg(feature = "tls")]
        self.tls.iter().try_for_each(|tls| tls.reload())?;
        Ok(())
    }
}

/// Reads the files again whenever SIGHUP comes. Without files, the signal ends the process as always.
pub(crate) async fn on_hangup(state: Arc<State>) {
    use tokio::signal::unix::{SignalKind, signal};
    if !state.has_files() {
        return;
    }
    let Ok(mut hangups) = signal(SignalKind::hangup()) else { return };
    while hangups.recv().await.is_some() {
        match state.reload() {
            Ok(()) => tracing::info!("keys and certificates are read again"),
            Err(error) => tracing::error!("{error}; what cannot be read stays as it was"),
        }
    }
}
