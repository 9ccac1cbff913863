//! HTTP/2, for those who ask for it in their TLS handshake.
//!
//! Limits: so many requests at a time on a connection, so long a head; a connection on which nothing moves for a while is
//! closed, be it that nobody asks for anything, or that nobody takes what was asked for.

use super::reply::Sending;
use super::seats::Seat;
use super::server::{HEAD_BYTES_MAX, STUCK_MAX};
use super::site::Site;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::cell::Cell;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

const REQUESTS_MAX: u32 = 8;
/// What is kept of a page on its way, beside the page.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Answers requests until the client or a limit ends the connection.
pub(super) async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    site: Rc<Site>,
    seat: &Rc<Seat>,
) {
    let activity = Activity::default();
    let asked = activity.clone();
    let seat = Rc::clone(seat);
    let answer = service_fn(move |request| {
        let (site, activity, asking) = (Rc::clone(&site), asked.clone(), seat.asks());
        async move {
            let making = activity.making();
            let mut response = site.current().answer(&request).await;
            response.body_mut().asked_by(asking);
            drop(making);
            Ok::<_, Infallible>(response.map(|body| Watched { body, activity }))
        }
    });
    let connection = http2::Builder::new(OnThisThread)
        .timer(TokioTimer::new())
        .max_concurrent_streams(REQUESTS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    loop {
        let before = activity.moves();
        let is_over = timeout(STUCK_MAX, &mut connection).await.is_ok();
        if is_over || activity.rests_since(before) {
            return;
        }
    }
}

/// Runs what hyper wants to run beside the connection.
#[derive(Clone, Copy, Debug)]
struct OnThisThread;

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

/// Whether anything moves on a connection.
#[derive(Clone, Debug, Default)]
struct Activity {
    moves: Rc<Cell<u64>>,
    /// Pages that are being made: their client waits for us, not we for it.
    making: Rc<Cell<usize>>,
}

impl Activity {
    fn moved(&self) {
        self.moves.set(self.moves.get().wrapping_add(1));
    }

    fn moves(&self) -> u64 {
        self.moves.get()
    }

    fn rests_since(&self, before: u64) -> bool {
        self.making.get() == 0 && self.moves.get() == before
    }

    fn making(&self) -> Making {
        self.making.set(self.making.get() + 1);
        Making(self.clone())
    }
}

/// A page that is being made, until it is made or given up.
struct Making(Activity);

impl Drop for Making {
    fn drop(&mut self) {
        self.0.making.set(self.0.making.get() - 1);
        self.0.moved();
    }
}

/// A body that says when some of it was taken.
struct Watched {
    body: Sending,
    activity: Activity,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() {
            self.activity.moved();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
