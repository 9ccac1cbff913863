//! Places for connections: so many at a time. Who comes when all are taken gets the place of whoever has asked for nothing
//! for longest, so that nobody can shut others out by connecting and saying nothing.
//!
//! - A connection that is being answered keeps its place; when all are, who comes waits.
//! - A place is given back when it is dropped, whatever ends the connection.
//!
//! It does not close connections: it tells them, and they go.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use tokio::sync::Notify;

/// All places.
#[derive(Clone, Debug)]
pub(super) struct Seats(Rc<State>);

#[derive(Debug)]
struct State {
    free: Cell<usize>,
    /// Those who ask for nothing, by the moment since when; the moments are numbered.
    resting: RefCell<BTreeMap<u64, Rc<Notify>>>,
    moments: Cell<u64>,
    /// Somebody was told to go and has not gone yet.
    is_leaving: Cell<bool>,
    /// A place has become free, or somebody has come to rest.
    changed: Notify,
}

impl Seats {
    pub(super) fn new(count: usize) -> Seats {
        Seats(Rc::new(State {
            free: Cell::new(count),
            resting: RefCell::default(),
            moments: Cell::new(0),
            is_leaving: Cell::new(false),
            changed: Notify::new(),
        }))
    }

    /// A place; if all are taken somebody who rests is told to go, and if nobody rests it is waited for.
    pub(super) async fn take(&self) -> Rc<Seat> {
        loop {
            let free = self.0.free.get();
            if free > 0 {
                self.0.free.set(free - 1);
                let seat = Rc::new(Seat {
                    seats: self.clone(),
                    dismissed: Rc::new(Notify::new()),
                    asking: Cell::new(0),
                    resting_since: Cell::new(0),
                });
                seat.rest();
                return seat;
            }
            if !self.0.is_leaving.get() {
                self.dismiss();
            }
            // Nobody else runs before this waits, so that nothing is missed.
            self.0.changed.notified().await;
        }
    }

    fn dismiss(&self) {
        let longest = self.0.resting.borrow_mut().pop_first();
        if let Some((_, dismissed)) = longest {
            dismissed.notify_one();
            self.0.is_leaving.set(true);
        }
    }
}

/// The place of one connection.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    dismissed: Rc<Notify>,
    /// Requests that are being answered.
    asking: Cell<usize>,
    resting_since: Cell<u64>,
}

impl Seat {
    /// Returns when the connection should go.
    pub(super) async fn dismissed(&self) {
        self.dismissed.notified().await;
    }

    /// A request has come. It is being answered until what this gives is dropped.
    pub(super) fn asks(self: &Rc<Seat>) -> Asking {
        self.asking.set(self.asking.get() + 1);
        self.stir();
        Asking(Rc::clone(self))
    }

    fn rest(&self) {
        let state = &self.seats.0;
        let moment = state.moments.get();
        state.moments.set(moment + 1);
        self.resting_since.set(moment);
        let dismissed = Rc::clone(&self.dismissed);
        state.resting.borrow_mut().insert(moment, dismissed);
    }

    fn stir(&self) {
        let since = self.resting_since.get();
        self.seats.0.resting.borrow_mut().remove(&since);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.stir();
        let state = &self.seats.0;
        state.free.set(state.free.get() + 1);
        state.is_leaving.set(false);
        state.changed.notify_waiters();
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Asking(Rc<Seat>);

impl Drop for Asking {
    fn drop(&mut self) {
        let seat = &self.0;
        seat.asking.set(seat.asking.get() - 1);
        if seat.asking.get() == 0 {
            seat.rest();
            seat.seats.0.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    fn taken(seats: &Seats) -> Rc<Seat> {
        poll(pin!(seats.take())).expect("there is room")
    }

    fn is_dismissed(seat: &Seat) -> bool {
        poll(pin!(seat.dismissed())).is_some()
    }

    #[test]
    fn whoever_has_rested_longest_goes_for_who_comes() {
        let seats = Seats::new(3);
        let (first, second, third) = (taken(&seats), taken(&seats), taken(&seats));
        // It rests again, but not since as long as the second.
        drop(first.asks());
        {
            let mut fourth = pin!(seats.take());
            assert!(poll(fourth.as_mut()).is_none(), "all places are taken");
            assert!(is_dismissed(&second));
            drop(second);
            assert!(poll(fourth.as_mut()).is_some());
        }
        assert!(!is_dismissed(&first) && !is_dismissed(&third));
        let _fifth = taken(&seats);
        assert!(!is_dismissed(&first), "the fourth had gone");
    }

    #[test]
    fn whoever_is_answered_stays() {
        let seats = Seats::new(2);
        let (one, other) = (taken(&seats), taken(&seats));
        let (asking, again, others) = (one.asks(), one.asks(), other.asks());
        let mut late = pin!(seats.take());
        assert!(poll(late.as_mut()).is_none());
        drop(asking);
        assert!(poll(late.as_mut()).is_none());
        assert!(!is_dismissed(&one), "there is another question");
        drop(again);
        assert!(poll(late.as_mut()).is_none());
        assert!(is_dismissed(&one) && !is_dismissed(&other));
        drop(one);
        assert!(poll(late.as_mut()).is_some());
        drop(others);
    }

    #[test]
    fn whoever_gives_up_waiting_takes_no_place() {
        let seats = Seats::new(1);
        let seat = taken(&seats);
        let asking = seat.asks();
        assert!(poll(pin!(seats.take())).is_none());
        drop(asking);
        drop(seat);
        let _seat = taken(&seats);
        assert!(poll(pin!(seats.take())).is_none(), "there is one place");
    }
}
