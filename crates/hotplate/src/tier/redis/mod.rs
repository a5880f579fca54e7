//! The shared tier on Redis (7.0 and later) and Valkey (7.2 and later), through the crate `redis`.
//!
//! * `config`: settings from a URL and from keywords. `connect`: standalone, Sentinel, Cluster; TCP, TLS, Unix sockets.
//! * `supervise`: being connected, and the circuit breaker.
//! * `names`: what is stored under which name. `scripts` and `lua/`: every change of several keys is one script.
//! * `answers`: what the server says, read without trust.
//!
//! Two connections: one for commands, pipelined, which also hears the notices of leases; one that waits for records of
//! the log. Every command has the deadline of the settings.
//!
//! # Newer servers
//!
//! Works from Redis 7.0 on (`flags=allow-oom` of scripts). Newer commands that would do the same in fewer steps and are
//! not used: `SET … IFEQ` and `DELEX` (8.4) for leases, `HEXPIRE` (7.4) for markers.
//!
//! # Scope
//!
//! Asynchronous replication may lose what was acknowledged: a failover can lose an invalidation. Whoever applied it
//! notices that the log went back, and the epoch changes; if nobody did, nothing tells.

mod answers;
mod config;
mod connect;
mod names;
mod scripts;
mod supervise;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::time::{sleep, timeout};

pub use config::{
    DEFAULT_COMMAND_TIMEOUT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_LEASE, DEFAULT_PREFIX, RedisOptions,
    RedisSettings,
};

use self::names::Names;
use self::scripts::{Scripts, ask};
use self::supervise::Connected;
use super::sealed::{STAMP_AT, STAMP_BYTES};
use super::shared::{
    Answer, Cursor, Fault, Fetched, Head, LeaseEnd, Leased, Listener, Publication, Published, Record,
    SharedTier, Snapshot, Tail, Token,
};
use crate::key::Key;

/// How many records one read takes.
const RECORDS: usize = 1000;

/// How much longer than a command a read of the log may take: it may be large.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// A shared tier on Redis. Its futures need a tokio runtime; a clone is the same tier.
#[derive(Clone)]
pub struct RedisTier(Arc<Inner>);

struct Inner {
    connected: Arc<Connected>,
    names: Names,
    scripts: Scripts,
}

impl RedisTier {
    /// A tier by these settings, which is not connected yet: see [`RedisTier::supervise`].
    #[must_use]
    pub fn new(settings: RedisSettings) -> Self {
        let names = Names::new(settings.prefix());
        let connected = Arc::new(Connected::new(settings, names.notices.clone()));
        Self(Arc::new(Inner { connected, names, scripts: Scripts::new() }))
    }

    /// Keeps it connected, for ever; dropping the future closes the connections. One task of the driver runs it.
    pub fn supervise(&self) -> impl Future<Output = ()> + Send + 'static {
        Arc::clone(&self.0.connected).supervise()
    }

    /// Begins anew in a process that was forked off. [`RedisTier::supervise`] has to be run there too.
    pub fn after_fork(&self) {
        self.0.connected.after_fork();
    }

    /// Why it is not connected, in words; `None` while it is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.0.connected.last_error()
    }

    /// Who answers, and in which version; `None` while nobody does.
    #[must_use]
    pub fn server(&self) -> Option<String> {
        self.0.connected.server()
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &RedisSettings {
        &self.0.connected.settings
    }
}

impl Inner {
    fn answer<T>(
        &self,
        answer: Result<Value, RedisError>,
        read: impl FnOnce(Value) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        match answer.map_err(|error| self.fault(&error)).and_then(read) {
            Ok(value) => {
                self.connected.answered();
                Ok(value)
            }
            Err(Fault::Garbled) => {
                // Whatever speaks there, the next answer would not be one either.
                self.connected.broke();
                Err(Fault::Garbled)
            }
            Err(fault) => Err(fault),
        }
    }

    fn fault(&self, error: &RedisError) -> Fault {
        if error.is_timeout() {
            self.connected.was_late();
            return Fault::Timeout;
        }
        match error.kind() {
            ErrorKind::Server(
                ServerErrorKind::ReadOnly | ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown,
            ) => {
                // Somebody else is in charge by now, or nobody yet.
                self.connected.broke();
                Fault::Refused
            }
            ErrorKind::Server(_) | ErrorKind::Extension => {
                self.connected.answered();
                Fault::Refused
            }
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Fault::Garbled,
            _ => {
                self.connected.broke();
                Fault::Lost
            }
        }
    }

    /// A read of the log by the connection that may wait; `wait` is how long the server may take by intent.
    async fn slowly<T>(
        &self,
        wait: Duration,
        call: impl Future<Output = Result<Value, RedisError>>,
        read: impl FnOnce(Value) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        match timeout(wait + self.connected.settings.command_timeout().max(LOG_PATIENCE / 4), call).await {
            Ok(answer) => self.answer(answer, read),
            Err(_) => {
                self.connected.broke();
                Err(Fault::Timeout)
            }
        }
    }
}

/// The suffix that makes an epoch differ from one begun in the same microsecond elsewhere.
fn suffix() -> String {
    format!("{:03}", getrandom::u32().unwrap_or_default() % 1000)
}

fn millis(span: Duration) -> String {
    span.as_millis().max(1).to_string()
}

/// The piece of a value that scripts compare.
fn stamp_of(value: Option<&Bytes>) -> &[u8] {
    let Some(value) = value else { return b"" };
    value.get(STAMP_AT..value.len().min(STAMP_AT + STAMP_BYTES)).unwrap_or_default()
}

impl SharedTier for RedisTier {
    fn fetch(&self, key: Key) -> Answer<Fetched> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.commands().await?;
            let mut command = redis::cmd("MGET");
            command.arg(inner.names.value(key)).arg(inner.names.head());
            let answer = ask(&mut link, &command).await;
            inner.answer(answer, answers::fetched)
        })
    }

    fn publish(&self, publication: Publication) -> Answer<Published> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.commands().await?;
            let flag = |flag: bool| if flag { &b"1"[..] } else { b"0" };
            let (name, ttl) = (inner.names.value(publication.key), millis(publication.ttl));
            let arguments =
                [&publication.value[..], ttl.as_bytes(), flag(publication.force), flag(publication.extend)];
            let answer = inner.scripts.publish.run(&mut link, &[name.as_bytes()], &arguments).await;
            let stored = inner.answer(answer, answers::yes)?;
            Ok(if stored { Published::Stored } else { Published::Older })
        })
    }

    fn remove(&self, key: Key) -> Answer<()> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.commands().await?;
            let mut command = redis::cmd("UNLINK");
            command.arg(inner.names.value(key));
            let answer = ask(&mut link, &command).await;
            inner.answer(answer, |_| Ok(()))
        })
    }

    fn lease(&self, key: Key, token: Token, lasting: Duration, seen: Option<Bytes>) -> Answer<Leased> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.commands().await?;
            let (value, lease) = (inner.names.value(key), inner.names.lease(key));
            let (token, lasting) = (token.0.to_string(), millis(lasting));
            let keys = [value.as_bytes(), lease.as_bytes()];
            let arguments = [token.as_bytes(), lasting.as_bytes(), stamp_of(seen.as_ref())];
            let answer = inner.scripts.lease.run(&mut link, &keys, &arguments).await;
            inner.answer(answer, answers::leased)
        })
    }

    fn renew(&self, key: Key, token: Token, lasting: Duration) -> Answer<bool> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.commands().await?;
            let (lease, token, lasting) = (inner.names.lease(key), token.0.to_string(), millis(lasting));
            let arguments = [token.as_bytes(), lasting.as_bytes()];
            let answer = inner.scripts.renew.run(&mut link, &[lease.as_bytes()], &arguments).await;
            inner.answer(answer, answers::yes)
        })
    }

    fn release(&self, key: Key, token: Token, end: LeaseEnd) -> Answer<bool> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.commands().await?;
            let (lease, token) = (inner.names.lease(key), token.0.to_string());
            let message = answers::notice_message(key, end);
            let arguments = [token.as_bytes(), inner.names.notices.as_bytes(), &message];
            let answer = inner.scripts.release.run(&mut link, &[lease.as_bytes()], &arguments).await;
            inner.answer(answer, answers::yes)
        })
    }

    fn append(&self, record: Record) -> Answer<Head> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.commands().await?;
            let (nonce, name) = (answers::nonce_text_of(record.nonce), inner.names.nonce(record.nonce));
            let targets: Vec<String> = record.targets.into_iter().map(answers::target_text).collect();
            let suffix = suffix();
            let mut arguments =
                vec![suffix.as_bytes(), nonce.as_bytes(), answers::mode_text(record.mode).as_bytes()];
            arguments.extend(targets.iter().map(|target| target.as_bytes()));
            let mut keys = inner.names.log().to_vec();
            keys.push(name.as_bytes());
            let answer = inner.scripts.append.run(&mut link, &keys, &arguments).await;
            inner.answer(answer, answers::appended)
        })
    }

    fn tail(&self, after: Cursor, wait: Duration) -> Answer<Tail> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.tail().await?;
            let mut command = redis::cmd("XREAD");
            command.arg("COUNT").arg(RECORDS);
            if !wait.is_zero() {
                command.arg("BLOCK").arg(millis(wait));
            }
            let last = format!("{}-{}", after.head.epoch, after.head.position);
            command.arg("STREAMS").arg(inner.names.stream()).arg(last);
            let read = |value| answers::tail(value, after);
            let came = inner.slowly(wait, ask(&mut link, &command), read).await?;
            if let Some(tail) = came {
                return Ok(tail);
            }
            // Nothing came. Because nothing was appended, or because the log is gone?
            let mut command = redis::cmd("GET");
            command.arg(inner.names.head());
            let head = inner.slowly(Duration::ZERO, ask(&mut link, &command), answers::head).await?;
            match head {
                // Records that were appended since are read next time.
                Some(head) if head.epoch == after.head.epoch && head.position >= after.head.position => {
                    Ok(Tail::Records(Vec::new()))
                }
                _ => Ok(Tail::Gap),
            }
        })
    }

    fn snapshot(&self, distrusted: Option<Cursor>) -> Answer<Snapshot> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.tail().await?;
            let seen = distrusted.unwrap_or_default();
            let (epoch, position) = (seen.head.epoch.to_string(), seen.head.position.to_string());
            let (suffix, nonce) = (suffix(), answers::nonce_text_of(seen.nonce));
            let arguments = [suffix.as_bytes(), epoch.as_bytes(), position.as_bytes(), nonce.as_bytes()];
            let keys = inner.names.log();
            let run = inner.scripts.snapshot.run(&mut link, &keys, &arguments);
            inner.slowly(LOG_PATIENCE, run, answers::snapshot).await
        })
    }

    fn retain(&self, longest: Duration) -> Answer<()> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.commands().await?;
            let (suffix, longest) = (suffix(), millis(longest));
            let arguments = [suffix.as_bytes(), longest.as_bytes()];
            let answer = inner.scripts.retain.run(&mut link, &inner.names.log(), &arguments).await;
            inner.answer(answer, |_| Ok(()))
        })
    }

    fn listen(&self, listener: Listener) {
        self.0.connected.listen(listener);
    }

    fn is_up(&self) -> bool {
        self.0.connected.is_up()
    }

    fn pause(&self, span: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        // Made inside, so that the timer belongs to the runtime that polls it.
        Box::pin(async move { sleep(span).await })
    }
}
