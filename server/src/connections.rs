//! Connections: how many there may be, and how long they may take.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Wait after a connection that the system could not give, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Limits of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections that are open at once. Others wait in the system's queue.
    pub(crate) connections: usize,
    /// Time for the headers of a request, and between requests.
    pub(crate) read_time: Duration,
}

/// Answers connections until `shutdown` is ready, and then finishes the requests under way.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.read_time);
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, place) = tokio::select! {
            next = accept(&listener, &places) => next,
            () = &mut shutdown => break,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A connection that fails is the client's matter.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// Returns the next connection, once there is a place for it. The place is free when the permit is dropped.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so that there is always a permit.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Tokens go out one by one. A socket that does not know the option still works.
                let _ = stream.set_nodelay(true);
                return (stream, place);
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
