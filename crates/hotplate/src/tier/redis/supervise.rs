//! Being connected, and knowing when not to try: a circuit breaker around three connections, for commands, for the tail
//! of the log and for what is large. They are made together and given up together.
//!
//! ```text
//! starting ──► up ── a connection lost, three calls late in a row ──► down ── connected again ──► up
//! ```
//!
//! While down, calls end at once and nothing is queued. One task connects again, after pauses that grow and are drawn at
//! random, so that the processes of a service do not come back all at once.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use redis::{PushInfo, PushKind, Value};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::answers;
use super::config::RedisSettings;
use super::connect::{ConnectError, Link, Purpose, Pushes, connect, subscribe};
use super::scripts::ask;
use crate::tier::shared::{Fault, Listener};

/// So many calls in a row without an answer, and no more are made.
const MOST_LATE: u32 = 3;

/// The first pause before connecting again, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

const STARTING: u8 = 0;
const UP: u8 = 1;
const DOWN: u8 = 2;

/// Where the connections are, and whether they work.
pub(super) struct Connected {
    pub(super) settings: RedisSettings,
    state: AtomicU8,
    late: AtomicU32,
    links: RwLock<Option<Links>>,
    /// Somebody wants the connections to be made anew.
    remake: Notify,
    /// The state has changed.
    changed: Notify,
    listeners: Mutex<Vec<Listener>>,
    /// Why it is not connected, or was not; for people.
    last_error: Mutex<Option<String>>,
    /// What the server refuses, and whether it refuses anything.
    refused: Mutex<[Option<String>; 3]>,
    refuses: AtomicU8,
    channel: String,
    /// When it was connected after it had been down.
    back_at: Mutex<Option<Instant>>,
}

/// What a call asks for; each may be refused for a reason of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Read,
    Write,
    Log,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Log => "keep the log",
        }
    }
}

#[derive(Clone)]
struct Links {
    commands: Link,
    tail: Link,
    bulk: Link,
}

impl Connected {
    pub(super) fn new(settings: RedisSettings, channel: String) -> Self {
        Self {
            settings,
            state: AtomicU8::new(STARTING),
            late: AtomicU32::new(0),
            links: RwLock::new(None),
            remake: Notify::new(),
            changed: Notify::new(),
            listeners: Mutex::new(Vec::new()),
            last_error: Mutex::new(None),
            refused: Mutex::new([const { None }; 3]),
            refuses: AtomicU8::new(0),
            channel,
            back_at: Mutex::new(None),
        }
    }

    pub(super) fn listen(&self, listener: Listener) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Not known to be down.
    pub(super) fn is_up(&self) -> bool {
        self.state.load(Ordering::Acquire) != DOWN
    }

    /// Whether it is down, or refuses anything.
    pub(super) fn is_troubled(&self) -> bool {
        !self.is_up() || self.refuses.load(Ordering::Relaxed) != 0
    }

    /// For how long it has been up after it was down.
    pub(super) fn back_for(&self) -> Option<Duration> {
        self.back_at.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }

    /// What is wrong, in words.
    pub(super) fn trouble(&self) -> Option<String> {
        let unconnected = self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        unconnected.or_else(|| {
            let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            refused.iter().flatten().next().cloned()
        })
    }

    /// The server refused a call of this kind, for a reason in one word.
    pub(super) fn refused(&self, kind: Kind, code: &str) {
        let words = format!("{} refuses to {}: {code}", self.settings.display_url(), kind.words());
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)[kind as usize] = Some(words);
        self.refuses.fetch_or(1 << kind as u8, Ordering::Relaxed);
    }

    /// Who answers, and in which version; `None` while nobody does.
    pub(super) fn server(&self) -> Option<String> {
        let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
        links.as_ref().map(|links| links.commands.server().to_string())
    }

    /// The connection for commands. Waits only while the first one is being made.
    pub(super) async fn commands(&self) -> Result<Link, Fault> {
        self.links().await.map(|links| links.commands)
    }

    /// The connection for what takes its time.
    pub(super) async fn tail(&self) -> Result<Link, Fault> {
        self.links().await.map(|links| links.tail)
    }

    /// The connection for what is large: it holds up nobody.
    pub(super) async fn bulk(&self) -> Result<Link, Fault> {
        self.links().await.map(|links| links.bulk)
    }

    async fn links(&self) -> Result<Links, Fault> {
        loop {
            let changed = self.changed.notified();
            match self.state.load(Ordering::Acquire) {
                UP => {
                    let links = self.links.read().unwrap_or_else(PoisonError::into_inner).clone();
                    return links.ok_or(Fault::Down);
                }
                STARTING => {
                    if timeout(self.settings.command_timeout, changed).await.is_err() {
                        return Err(Fault::Timeout);
                    }
                }
                _ => return Err(Fault::Down),
            }
        }
    }

    /// Begins anew in a process that was forked off: the connections are the parent's.
    pub(super) fn after_fork(&self) {
        // Not dropped: that would speak to the parent's tasks.
        std::mem::forget(self.links.write().unwrap_or_else(PoisonError::into_inner).take());
        self.late.store(0, Ordering::Relaxed);
        self.state.store(STARTING, Ordering::Release);
    }

    /// A call was answered.
    pub(super) fn answered(&self, kind: Kind) {
        if self.refuses.load(Ordering::Relaxed) & (1 << kind as u8) != 0 {
            self.refuses.fetch_and(!(1 << kind as u8), Ordering::Relaxed);
            self.refused.lock().unwrap_or_else(PoisonError::into_inner)[kind as usize] = None;
        }
        self.spoke();
    }

    /// Somebody is there.
    pub(super) fn spoke(&self) {
        if self.late.load(Ordering::Relaxed) != 0 {
            self.late.store(0, Ordering::Relaxed);
        }
    }

    /// A call was not answered in time.
    pub(super) fn was_late(&self) {
        if self.late.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_LATE {
            let most = self.settings.command_timeout;
            self.broke(&format!("{MOST_LATE} calls in a row were not answered within {most:?}"));
        }
    }

    /// The connections are of no more use; `words` say why.
    pub(super) fn broke(&self, words: &str) {
        // Nobody finds it down without a reason.
        let mut last_error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        if self.state.compare_exchange(UP, DOWN, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return;
        }
        *last_error = Some(format!("{}: {words}", self.settings.display_url()));
        drop(last_error);
        *self.links.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.remake.notify_one();
        self.changed.notify_waiters();
    }

    /// Keeps the connections for ever. Dropping the future closes them.
    pub(super) async fn supervise(self: Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.connect().await {
                Ok(links) => {
                    pause = FIRST_PAUSE;
                    self.late.store(0, Ordering::Relaxed);
                    *self.links.write().unwrap_or_else(PoisonError::into_inner) = Some(links);
                    *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    if self.state.swap(UP, Ordering::AcqRel) == DOWN {
                        *self.back_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                    }
                    self.changed.notify_waiters();
                    self.remake.notified().await;
                }
                Err(words) => {
                    *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(words);
                    self.state.store(DOWN, Ordering::Release);
                    self.changed.notify_waiters();
                    sleep(jittered(pause)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn connect(self: &Arc<Self>) -> Result<Links, String> {
        let words = |error: ConnectError| {
            let mut words = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                words = format!("{words}: {cause}");
                source = cause.source();
            }
            words
        };
        let weak = Arc::downgrade(self);
        let pushes: Pushes = Arc::new(move |push: PushInfo| {
            match weak.upgrade() {
                Some(connected) => connected.pushed(push),
                None => return Err(()),
            }
            Ok(())
        });
        let mut commands = connect(&self.settings, Purpose::Commands, Some(pushes)).await.map_err(words)?;
        let tail = connect(&self.settings, Purpose::Tail, None).await.map_err(words)?;
        let bulk = connect(&self.settings, Purpose::Tail, None).await.map_err(words)?;
        subscribe(&mut commands, &self.channel).await.map_err(|error| error.to_string())?;
        ask(&mut commands, &redis::cmd("PING")).await.map_err(|error| error.to_string())?;
        Ok(Links { commands, tail, bulk })
    }

    fn pushed(&self, push: PushInfo) {
        match push.kind {
            PushKind::Disconnection => self.broke("the connection ended"),
            PushKind::Message => {
                if let Some(Value::BulkString(message)) = push.data.get(1)
                    && let Some(notice) = answers::notice(message)
                {
                    let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    listeners.iter().for_each(|listener| listener(notice));
                }
            }
            _ => {}
        }
    }
}

/// Between half of a pause and all of it.
fn jittered(pause: Duration) -> Duration {
    let draw = getrandom::u32().unwrap_or(u32::MAX / 2);
    pause.mul_f64(0.5 + 0.5 * f64::from(draw) / f64::from(u32::MAX))
}
