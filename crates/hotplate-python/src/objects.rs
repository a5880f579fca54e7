//! Python objects in process: `hotplate.LocalCache`, and the callables that `hotplate.memoize` makes.
//!
//! The one hazard: `__hash__`, `__eq__` and `__del__` are programs. They come back to the cache, raise, or let another
//! thread run. So none of them runs while the engine's lock is held:
//!
//! * an object is found by its hash alone (`index.rs`), which is made before;
//! * under the lock references are copied and pointers compared; the keys themselves are compared after it;
//! * what is replaced, evicted or cleared is dropped by the engine after it is unlocked.
//!
//! So no thread ever waits for the interpreter while it holds the lock, either.

mod cache;
mod claim;
mod index;
mod load;
mod memoize;
mod signature;
mod store;

pub(crate) use cache::LocalCache;
pub(crate) use claim::Claim;
pub(crate) use memoize::Memo;
