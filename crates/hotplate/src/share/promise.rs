//! An answer that is given once.

use std::sync::{Mutex, PoisonError};
use std::task::{Poll, Waker};

/// An answer that one task gives and another may wait for.
pub(super) struct Promise<T>(Mutex<(Option<T>, Option<Waker>)>);

impl<T> Default for Promise<T> {
    fn default() -> Self {
        Self(Mutex::new((None, None)))
    }
}

impl<T> Promise<T> {
    /// Gives the answer, and wakes whoever waits for it.
    pub(super) fn tell(&self, answer: T) {
        let waker = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.0 = Some(answer);
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The answer, once; until it is there, the last waker given is woken by it.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<T> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.0.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                state.1 = Some(waker.clone());
                Poll::Pending
            }
        }
    }
}
