//! Connections: how many there may be, and how long they may take.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutWriter;

#[cfg(feature = "tls")]
use crate::tls::Tls;

/// Wait after a connection that the system could not give, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Time between questions to a silent peer whether it lives.
const PROBES: Duration = Duration::from_secs(10);

/// Limits of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections that are open at once. Others wait in the system's queue.
    pub(crate) connections: usize,
    /// Time for a handshake, for the headers of a request, between requests, and until a client reads on.
    pub(crate) idle_time: Duration,
}

/// The means to answer a connection.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) router: Router,
    pub(crate) limits: Limits,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<Tls>>,
}

/// Answers connections until `shutdown` is ready, and then finishes the requests under way.
pub(crate) async fn serve(listener: TcpListener, service: Service, shutdown: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(service.limits.connections));
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, place) = tokio::select! {
            next = accept(&listener, &places, service.limits) => next,
            () = &mut shutdown => break,
        };
        let connection = service.clone().answer(stream, graceful.watcher());
        tokio::spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

impl Service {
    /// Answers the requests of one connection. One that fails is the client's matter.
    async fn answer(self, stream: TcpStream, watcher: Watcher) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let greeted = tokio::time::timeout(self.limits.idle_time, tls.accept(stream)).await;
            if let Ok(Ok(stream)) = greeted {
                self.serve(stream, watcher).await;
            }
            return;
        }
        self.serve(stream, watcher).await;
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Send + 'static, watcher: Watcher) {
        let idle_time = self.limits.idle_time;
        // A client that does not read on fails the connection, which cancels its request.
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(idle_time));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(idle_time);
        let service = TowerToHyperService::new(self.router);
        let _ = watcher.watch(http.serve_connection(TokioIo::new(Box::pin(stream)), service)).await;
    }
}

/// Returns the next connection, once there is a place for it. The place is free when the permit is dropped.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    limits: Limits,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so that there is always a permit.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                set_options(&stream, limits.idle_time);
                return (stream, place);
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Sets the options of a socket. One that does not know them still works.
fn set_options(stream: &TcpStream, idle_time: Duration) {
    // Tokens go out one by one.
    let _ = stream.set_nodelay(true);
    // A peer that vanished without a word is found while it says nothing, and while it reads nothing.
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle_time).with_interval(PROBES));
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(idle_time));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn vanished_peers_are_looked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let limits = Limits { connections: 1, idle_time: Duration::from_secs(7) };
        let (stream, _) = accept(&listener, &Arc::new(Semaphore::new(1)), limits).await;
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(limits.idle_time));
    }
}
