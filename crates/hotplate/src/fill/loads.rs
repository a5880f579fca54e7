//! Loads under way, the permit to run one, and the tickets of those who wait.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use super::sync::Mutex;
use crate::key::{Key, Spreading};
use crate::log::Position;

const SHARDS: usize = 16;

/// How a load ended, for those who waited.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum End<T> {
    /// Its answer is stored: look it up.
    Stored,
    /// Its answer is this, and is not stored where waiters look.
    Given(T),
    /// Its answer cannot be stored: load for yourself, all at once.
    NotStorable,
    /// It failed: this is everybody's failure, nobody tries again at once.
    Failed(T),
    /// It will not end: join again, somebody else leads.
    Abandoned,
}

/// What joining gives.
pub enum Join<T> {
    /// Load, then say how it ended.
    Lead(Permit<T>),
    /// Another one loads.
    Wait(Ticket<T>),
}

/// The loads under way. `T` is what a failed load leaves to its waiters.
pub struct Fills<T> {
    shards: Box<[Shard<T>]>,
}

type Shard<T> = Arc<Mutex<HashMap<Key, Arc<Fill<T>>, Spreading>>>;

struct Fill<T> {
    position: Position,
    /// It renews what may be served meanwhile.
    refreshes: AtomicBool,
    state: Mutex<State<T>>,
}

struct State<T> {
    end: Option<End<T>>,
    wakers: HashMap<u64, Waker>,
    next_waiter: u64,
}

impl<T> Default for Fills<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Fills<T> {
    /// No loads.
    #[must_use]
    pub fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Arc::new(Mutex::new(HashMap::default()))).collect() }
    }

    /// Asks to load `key`.
    ///
    /// # Arguments
    ///
    /// `position`: the log's position now; the load is stamped with it. `is_current`: whether what began to load at
    /// a position may still be served; asked only where a load is under way, with the key's shard locked.
    ///
    /// # Returns
    ///
    /// [`Join::Lead`] to exactly one caller at a time, unless `is_current` refused the load under way. Between a
    /// caller's lookup and its call another load may have ended: a leader who can look up cheaply does so once more.
    ///
    /// # Cost
    ///
    /// Never waits for a load; locks one of several shards.
    pub fn join(&self, key: Key, position: Position, is_current: impl FnOnce(Position) -> bool) -> Join<T> {
        let shard = &self.shards[usize::from(key.as_u128().to_le_bytes()[0]) % SHARDS];
        let mut fills = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fill) = fills.get(&key)
            && is_current(fill.position)
        {
            return Join::Wait(Ticket { fill: Arc::clone(fill), waiter: None });
        }
        let fill = Arc::new(Fill {
            position,
            refreshes: AtomicBool::new(false),
            state: Mutex::new(State { end: None, wakers: HashMap::new(), next_waiter: 0 }),
        });
        fills.insert(key, Arc::clone(&fill));
        Join::Lead(Permit { key, fill, shard: Arc::clone(shard), finished: false })
    }

    /// Forgets every load under way: in a process that was forked off, nobody runs them. Those who wait are woken.
    pub fn forget_all(&self) {
        for shard in &self.shards {
            let fills = std::mem::take(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner));
            for fill in fills.into_values() {
                let wakers = {
                    let mut state = fill.state.lock().unwrap_or_else(PoisonError::into_inner);
                    state.end.get_or_insert(End::Abandoned);
                    std::mem::take(&mut state.wakers)
                };
                wakers.into_values().for_each(Waker::wake);
            }
        }
    }

    /// How many keys are being loaded.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

impl<T> fmt::Debug for Fills<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fills").finish_non_exhaustive()
    }
}

/// The right to load a key. Dropping it abandons the load.
#[must_use = "dropping the permit abandons the load"]
pub struct Permit<T> {
    key: Key,
    fill: Arc<Fill<T>>,
    shard: Shard<T>,
    finished: bool,
}

impl<T> Permit<T> {
    /// Says how the load ended and wakes everybody who waits for it. What was stored must be visible to lookups before.
    pub fn finish(mut self, end: End<T>) {
        self.end(end);
    }

    /// The log's position when the load began: the stamp of what it stores.
    #[must_use]
    pub fn position(&self) -> Position {
        self.fill.position
    }

    /// Notes that the load renews what may be served meanwhile.
    pub fn note_refresh(&self) {
        self.fill.refreshes.store(true, Ordering::Relaxed);
    }

    /// How many tasks have been told to wait for this load and still do.
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.fill.state.lock().unwrap_or_else(PoisonError::into_inner).wakers.len()
    }

    fn end(&mut self, end: End<T>) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        {
            // Out of the table first, so that whoever is woken and joins again cannot meet this load.
            let mut fills = self.shard.lock().unwrap_or_else(PoisonError::into_inner);
            // A newer load may have taken the place.
            if fills.get(&self.key).is_some_and(|present| Arc::ptr_eq(present, &self.fill)) {
                fills.remove(&self.key);
            }
        }
        let wakers = {
            let mut state = self.fill.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.end = Some(end);
            std::mem::take(&mut state.wakers)
        };
        // No lock is held here: a waker may run anything.
        for waker in wakers.into_values() {
            waker.wake();
        }
    }
}

impl<T> Drop for Permit<T> {
    fn drop(&mut self) {
        self.end(End::Abandoned);
    }
}

impl<T> fmt::Debug for Permit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Waits for a load to end. Dropping it, also in the middle of waiting, leaves nothing behind.
pub struct Ticket<T> {
    fill: Arc<Fill<T>>,
    waiter: Option<u64>,
}

impl<T: Clone> Ticket<T> {
    /// The log's position when the load was taken up.
    #[must_use]
    pub fn position(&self) -> Position {
        self.fill.position
    }

    /// Whether the load renews what may be served meanwhile.
    #[must_use]
    pub fn is_refresh(&self) -> bool {
        self.fill.refreshes.load(Ordering::Relaxed)
    }

    /// How the load ended, or `None` while it has not.
    #[must_use]
    pub fn try_end(&self) -> Option<End<T>> {
        self.fill.state.lock().unwrap_or_else(PoisonError::into_inner).end.clone()
    }
}

impl<T: Clone> Future for Ticket<T> {
    type Output = End<T>;

    /// Only the waker of the last call is woken. Ready stays ready.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<End<T>> {
        let this = &mut *self;
        // Cloned, and the one it replaces dropped, while nothing is locked: a waker's code is not ours.
        let waker = context.waker().clone();
        let mut state = this.fill.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = &state.end {
            return Poll::Ready(end.clone());
        }
        let id = *this.waiter.get_or_insert_with(|| {
            state.next_waiter += 1;
            state.next_waiter
        });
        let replaced = state.wakers.insert(id, waker);
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        if let Some(id) = self.waiter {
            let own = self.fill.state.lock().unwrap_or_else(PoisonError::into_inner).wakers.remove(&id);
            drop(own);
        }
    }
}

impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}
