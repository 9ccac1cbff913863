//! A page on its way out, and how many bytes of pages may be on their way at a time.

use super::seats::Asking;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    LOCATION,
};
use hyper::{Response, StatusCode};
use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::sync::mpsc::Receiver;

/// Bytes of pages that clients have not taken yet, all together. A page of 50,000 connections has some 30 MB.
const BYTES_MAX: usize = 256 << 20;
/// What hyper is given at a time, so that the rest is known not to be sent.
const PIECE_BYTES: usize = 64 * 1024;
/// What is no matter, times all connections there may be.
const SMALL_BYTES_MAX: usize = 64 * 1024;

pub(super) const JSON: &str = "application/json";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const CSS: &str = "text/css; charset=utf-8";
pub(super) const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
pub(super) const EVENTS: &str = "text/event-stream";

/// Our own pages need nothing from anywhere else, and nothing that gets into them may fetch anything.
const OWN_ONLY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:; \
                        connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a page has come to.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: Vec<u8>,
    /// What comes later, for as long as it comes.
    pub(super) more: Option<Receiver<Bytes>>,
    /// Where to look instead.
    pub(super) location: Option<String>,
}

/// Why there is no page.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The question is wrong.
    Bad(String),
    NotFound(&'static str),
    /// The server cannot answer now.
    Unavailable(String),
}

impl Reply {
    pub(super) fn page(content_type: &'static str, body: impl Into<Vec<u8>>) -> Reply {
        Reply {
            status: StatusCode::OK,
            content_type,
            body: body.into(),
            more: None,
            location: None,
        }
    }

    pub(super) fn elsewhere(path: &str) -> Reply {
        Reply {
            status: StatusCode::TEMPORARY_REDIRECT,
            content_type: HTML,
            body: b"Temporary Redirect\n".to_vec(),
            more: None,
            location: Some(path.to_owned()),
        }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        let (status, text) = match refusal {
            Refusal::Bad(text) => (StatusCode::BAD_REQUEST, text),
            Refusal::NotFound(text) => (StatusCode::NOT_FOUND, text.to_owned()),
            Refusal::Unavailable(text) => (StatusCode::SERVICE_UNAVAILABLE, text),
        };
        Reply {
            status,
            content_type: TEXT,
            body: text.into_bytes(),
            more: None,
            location: None,
        }
    }
}

/// Counts the bytes on their way.
#[derive(Clone, Debug, Default)]
pub(super) struct Outgoing(Rc<Cell<usize>>);

impl Outgoing {
    /// Sends a reply, or says that there are too many already. A small one is always sent: whoever asks for the server's
    /// health is not told that it is bad because others read large pages slowly.
    pub(super) fn send(&self, reply: Reply) -> Response<Sending> {
        let owed = self.0.get() + reply.body.len();
        if owed > BYTES_MAX && self.0.get() > 0 && reply.body.len() > SMALL_BYTES_MAX {
            let text = "too many pages are being read; try again".to_owned();
            return self.response(Refusal::Unavailable(text).into());
        }
        self.response(reply)
    }

    fn response(&self, reply: Reply) -> Response<Sending> {
        self.0.set(self.0.get() + reply.body.len());
        let mut response = Response::new(Sending {
            left: reply.body.into(),
            more: reply.more,
            owed: 0,
            outgoing: self.clone(),
            asking: None,
        });
        response.body_mut().owed = response.body().left.len();
        *response.status_mut() = reply.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
        if reply.content_type == JSON {
            let everybody = HeaderValue::from_static("*");
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, everybody);
        } else if reply.content_type == HTML {
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(OWN_ONLY));
        } else if reply.content_type == EVENTS {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        } else if reply.status == StatusCode::NOT_FOUND {
            let nosniff = HeaderValue::from_static("nosniff");
            headers.insert("x-content-type-options", nosniff);
        }
        if let Some(location) = reply.location
            && let Ok(location) = HeaderValue::try_from(location)
        {
            headers.insert(LOCATION, location);
        }
        response
    }
}

/// A body that hands itself out piece by piece.
#[derive(Debug)]
pub(super) struct Sending {
    left: Bytes,
    more: Option<Receiver<Bytes>>,
    /// What it counts for until it is gone.
    owed: usize,
    outgoing: Outgoing,
    /// Whose answer it is: while it is on its way, the place is kept.
    asking: Option<Asking>,
}

impl Sending {
    pub(super) fn asked_by(&mut self, asking: Asking) {
        self.asking = Some(asking);
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            let Some(more) = &mut self.more else {
                return Poll::Ready(None);
            };
            return more
                .poll_recv(context)
                .map(|next| Some(Ok(Frame::data(next?))));
        }
        let piece = self.left.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.more.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.more {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.left.len() as u64),
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let others = self.outgoing.0.get().saturating_sub(self.owed);
        self.outgoing.0.set(others);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(bytes: usize) -> Reply {
        Reply::page(TEXT, vec![b'x'; bytes])
    }

    #[test]
    fn pages_are_refused_at_the_limit_until_one_is_gone() {
        const LARGE: usize = SMALL_BYTES_MAX + 1;
        let outgoing = Outgoing::default();
        let first = outgoing.send(page(BYTES_MAX - LARGE));
        let second = outgoing.send(page(LARGE));
        assert_eq!(
            second.status(),
            StatusCode::OK,
            "the limit itself is allowed"
        );
        let third = outgoing.send(page(LARGE));
        assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
        drop((first, third));
        assert_eq!(outgoing.send(page(BYTES_MAX / 2)).status(), StatusCode::OK);
        drop(second);
        assert_eq!(outgoing.0.get(), 0, "nothing is owed in the end");
    }

    #[test]
    fn a_page_larger_than_the_limit_goes_alone() {
        let outgoing = Outgoing::default();
        let large = outgoing.send(page(BYTES_MAX + 1));
        assert_eq!(large.status(), StatusCode::OK);
        let another = outgoing.send(page(SMALL_BYTES_MAX + 1));
        assert_eq!(another.status(), StatusCode::SERVICE_UNAVAILABLE);
        let small = outgoing.send(page(SMALL_BYTES_MAX));
        assert_eq!(small.status(), StatusCode::OK, "small ones are always sent");
    }
}
