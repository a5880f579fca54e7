//! The right to load a key, of all processes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Share;
use crate::key::Key;
use crate::tier::shared::{LeaseEnd, Token};

/// The pause after a lease could not be given back.
const RELEASE_AGAIN: Duration = Duration::from_millis(50);

/// The leases this process holds.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<HashMap<Key, Token>>);

impl Leases {
    fn held(&self) -> Vec<(Key, Token)> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().map(|(key, token)| (*key, *token)).collect()
    }

    pub(super) fn forget_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn add(&self, key: Key, token: Token) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, token);
    }

    fn remove(&self, key: Key, token: Token) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.get(&key) == Some(&token) {
            held.remove(&key);
        }
    }
}

/// A lease of this process. Renewed by [`Share::keep_leases`] until it is ended; dropping it abandons the load.
#[must_use = "dropping the lease abandons the load"]
#[derive(Debug)]
pub struct Lease {
    share: Arc<Share>,
    key: Key,
    token: Token,
    ended: bool,
}

impl Lease {
    pub(super) fn new(share: &Arc<Share>, key: Key, token: Token) -> Self {
        share.leases.add(key, token);
        Self { share: Arc::clone(share), key, token, ended: false }
    }

    /// Says how the load ended, to those in other processes who wait for it.
    pub fn end(mut self, end: LeaseEnd) {
        self.ended = true;
        self.share.end_lease(self.key, self.token, end);
    }

    /// As [`Lease::end`], by the caller's own task.
    pub(super) async fn end_now(mut self, end: LeaseEnd) {
        self.ended = true;
        self.share.release(self.key, self.token, end).await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.ended {
            self.share.end_lease(self.key, self.token, LeaseEnd::Abandoned);
        }
    }
}

impl Share {
    /// Renews the leases of this process for ever, three times within their time.
    pub async fn keep_leases(self: Arc<Self>) {
        loop {
            self.tier.pause(self.options.lease / 3).await;
            for (key, token) in self.leases.held() {
                let renewed = self.tier.renew(key, token, self.options.lease).await;
                if self.counters.answer(renewed) == Some(false) {
                    // Somebody else may load by now. What this one stores is compared with theirs.
                    self.leases.remove(key, token);
                }
            }
        }
    }

    /// Gives a lease back, as often as it takes: one that is not given back holds everybody up until it expires.
    pub(super) async fn release(&self, key: Key, token: Token, end: LeaseEnd) {
        self.leases.remove(key, token);
        let mut left = self.options.lease;
        while self.counters.answer(self.tier.release(key, token, end).await).is_none() {
            let Some(less) = left.checked_sub(RELEASE_AGAIN) else { return };
            left = less;
            self.tier.pause(RELEASE_AGAIN).await;
        }
    }
}
