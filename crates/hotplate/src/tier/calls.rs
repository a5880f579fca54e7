//! Several calls at once, by one task.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// A call under way.
pub(crate) type Call<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// Ends when every call has: with what each came to, in their order. May be dropped, and drops the calls.
///
/// # Cost
///
/// Polls a call when it was woken, not when another was: answers to hundreds of calls come one by one.
pub(crate) fn all<T: Send + 'static>(calls: Vec<Call<T>>) -> Call<Vec<T>> {
    let task = Arc::new(Mutex::new(Waker::noop().clone()));
    let under_way = |call| Place { call, bell: Arc::new(Bell::new(&task)), answer: None };
    let mut places: Vec<_> = calls.into_iter().map(under_way).collect();
    let mut missing = places.len();
    Box::pin(poll_fn(move |context| {
        // Before the bells are looked at: one that rings from now on wakes this task.
        task.lock().unwrap_or_else(PoisonError::into_inner).clone_from(context.waker());
        for place in &mut places {
            missing -= usize::from(place.goes_on());
        }
        if missing > 0 {
            return Poll::Pending;
        }
        Poll::Ready(places.drain(..).filter_map(|place| place.answer).collect())
    }))
}

/// A call, and what it came to.
struct Place<T> {
    call: Call<T>,
    bell: Arc<Bell>,
    answer: Option<T>,
}

impl<T> Place<T> {
    /// Polls the call if it was woken. Whether it has ended by that.
    fn goes_on(&mut self) -> bool {
        if self.answer.is_some() || !self.bell.rang.swap(false, Ordering::AcqRel) {
            return false;
        }
        let waker = Waker::from(Arc::clone(&self.bell));
        if let Poll::Ready(answer) = self.call.as_mut().poll(&mut Context::from_waker(&waker)) {
            self.answer = Some(answer);
        }
        self.answer.is_some()
    }
}

/// What wakes one call.
struct Bell {
    rang: AtomicBool,
    task: Arc<Mutex<Waker>>,
}

impl Bell {
    /// One that has rung: a call begins when it is polled.
    fn new(task: &Arc<Mutex<Waker>>) -> Self {
        Self { rang: AtomicBool::new(true), task: Arc::clone(task) }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rang.swap(true, Ordering::AcqRel) {
            // The lock is not held while somebody else's code runs.
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    /// A number that is told to whoever waits for it.
    #[derive(Default)]
    struct Told {
        number: Option<u32>,
        waiting: Option<Waker>,
        polls: u32,
    }

    fn calls(count: usize) -> (Vec<Arc<Mutex<Told>>>, Call<Vec<u32>>) {
        let told: Vec<Arc<Mutex<Told>>> = (0..count).map(|_| Arc::default()).collect();
        let call = |told: &Arc<Mutex<Told>>| -> Call<u32> {
            let told = Arc::clone(told);
            Box::pin(poll_fn(move |context| {
                let mut told = told.lock().unwrap();
                told.polls += 1;
                told.waiting = Some(context.waker().clone());
                told.number.map_or(Poll::Pending, Poll::Ready)
            }))
        };
        let calls = all(told.iter().map(call).collect());
        (told, calls)
    }

    fn tell(told: &Mutex<Told>, number: u32) {
        let mut told = told.lock().unwrap();
        told.number = Some(number);
        told.waiting.take().unwrap().wake();
    }

    fn polls(told: &[Arc<Mutex<Told>>]) -> Vec<u32> {
        told.iter().map(|told| told.lock().unwrap().polls).collect()
    }

    /// A task, and how often it was woken.
    #[derive(Default)]
    struct Task(AtomicU32);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Task {
        fn poll<T>(self: &Arc<Self>, call: &mut Call<T>) -> Poll<T> {
            call.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(self))))
        }

        fn wakes(&self) -> u32 {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn no_calls_come_to_nothing() {
        assert_eq!(Arc::new(Task::default()).poll(&mut calls(0).1), Poll::Ready(Vec::new()));
    }

    #[test]
    fn answers_are_in_the_order_of_the_calls_and_only_who_was_woken_is_polled() {
        let task = Arc::new(Task::default());
        let (told, mut calls) = calls(3);
        assert_eq!(task.poll(&mut calls), Poll::Pending);
        for (wakes, (place, polled)) in [(2, [1, 1, 2]), (0, [2, 1, 2])].into_iter().enumerate() {
            tell(&told[place], place as u32);
            assert_eq!(task.wakes(), wakes as u32 + 1);
            assert_eq!(task.poll(&mut calls), Poll::Pending);
            assert_eq!(polls(&told), polled);
        }
        tell(&told[1], 1);
        assert_eq!(task.poll(&mut calls), Poll::Ready(vec![0, 1, 2]));
    }

    #[test]
    fn the_task_that_polled_last_is_woken() {
        let (first, last) = (Arc::new(Task::default()), Arc::new(Task::default()));
        let (told, mut calls) = calls(2);
        assert!(first.poll(&mut calls).is_pending() && last.poll(&mut calls).is_pending());
        assert_eq!(polls(&told), [1, 1]);
        told.iter().for_each(|told| tell(told, 7));
        assert_eq!((first.wakes(), last.wakes()), (0, 2));
        assert_eq!(last.poll(&mut calls), Poll::Ready(vec![7, 7]));
    }

    #[test]
    fn a_call_that_yields_is_polled_again() {
        let task = Arc::new(Task::default());
        let mut turns = 3;
        let yields: Call<()> = Box::pin(poll_fn(move |context| {
            turns -= 1;
            context.waker().wake_by_ref();
            if turns > 0 { Poll::Pending } else { Poll::Ready(()) }
        }));
        let mut calls = all(vec![yields]);
        for wakes in 1..3 {
            assert!(task.poll(&mut calls).is_pending());
            assert_eq!(task.wakes(), wakes);
        }
        assert_eq!(task.poll(&mut calls), Poll::Ready(vec![()]));
    }
}
