//! The shared tier on Redis (7.0 and later) and Valkey (7.2 and later), through the crate `redis`.
//!
//! * `config`: settings from a URL and from keywords. `connect`: standalone, Sentinel, Cluster; TCP, TLS, Unix sockets.
//! * `supervise`: being connected, and the circuit breaker.
//! * `names`: what is stored under which name. `scripts` and `lua/`: every change of several keys is one script.
//! * `answers`: what the server says, read without trust.
//!
//! Three connections: one for commands, pipelined, which also hears the notices of leases; one that waits for records of
//! the log; one for large values. Every command has the deadline of the settings.
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
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::time::{Instant, sleep_until, timeout};

pub use config::{
    DEFAULT_COMMAND_TIMEOUT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_LEASE, DEFAULT_PREFIX, RedisOptions,
    RedisSettings,
};

use self::connect::Link;
use self::names::Names;
use self::scripts::{Scripts, ask};
use self::supervise::{Connected, Kind};
use super::calls::{Call, all};
use super::sealed::{STAMP_AT, STAMP_BYTES};
use super::shared::{
    Answer, Answers, Cursor, Fault, Fetched, Head, LeaseEnd, Leased, Listener, Pauses, Publication,
    Published, Record, SharedTier, Snapshot, Stamp, Tail, Token,
};
use crate::key::Key;

/// Values of more bytes than this are written by a connection of their own, with more time.
const BULK: usize = 128 << 10;

/// So many bytes of them are expected to go through in a second, at least.
const BULK_BYTES_PER_SECOND: usize = 4 << 20;

/// What stands behind the stamp of an encrypted value: see `lease.lua`.
const NONCE_BYTES: usize = 28;

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

    /// Whether something is wrong: it is not connected, or refuses what it is asked. Costs two atomic loads.
    #[must_use]
    pub fn is_troubled(&self) -> bool {
        self.0.connected.is_troubled()
    }

    /// What is wrong, in words.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.0.connected.trouble()
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
    fn answer<A, T>(
        &self,
        kind: Kind,
        answer: Result<A, RedisError>,
        read: impl FnOnce(A) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        match answer.map_err(|error| self.fault(kind, &error)).and_then(read) {
            Ok(value) => {
                self.connected.answered(kind);
                Ok(value)
            }
            Err(Fault::Garbled) => {
                // Whatever speaks there, the next answer would not be one either.
                self.connected.broke("an answer was none");
                Err(Fault::Garbled)
            }
            Err(fault) => Err(fault),
        }
    }

    fn fault(&self, kind: Kind, error: &RedisError) -> Fault {
        if error.is_timeout() {
            self.connected.was_late();
            return Fault::Timeout;
        }
        match error.kind() {
            ErrorKind::Server(
                ServerErrorKind::ReadOnly | ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown,
            ) => {
                // Somebody else is in charge by now, or nobody yet.
                self.connected.broke(error.code().unwrap_or("the server is not in charge"));
                Fault::Refused
            }
            ErrorKind::Server(_) | ErrorKind::Extension => {
                self.connected.spoke();
                let code = error.code().unwrap_or("ERR");
                // While a slot moves: milliseconds, and nothing that anybody can do.
                if !matches!(code, "MOVED" | "ASK" | "TRYAGAIN") {
                    self.connected.refused(kind, code);
                }
                Fault::Refused
            }
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Fault::Garbled,
            _ => {
                self.connected.broke("the connection was lost");
                Fault::Lost
            }
        }
    }

    async fn read_values(&self, link: &mut Link, keys: &[Key]) -> Result<Vec<Fetched>, Fault> {
        let mut command = redis::cmd("MGET");
        command.arg(self.names.head());
        for key in keys {
            command.arg(self.names.value(*key));
        }
        let answer = ask(link, &command).await;
        self.answer(Kind::Read, answer, |value| answers::fetched(value, keys.len()))
    }

    /// As [`Inner::read_values`], in a cluster, where one node may be away, and the others not.
    ///
    /// Each name is asked for by itself. A command for several nodes the client divides itself, and sends the parts when
    /// its task is woken next, but nothing wakes it for that: the call is late where all others are answered by then, or
    /// wait for a node that hangs (valkey-io/valkey-glide#7052, of code it shares with the crate `redis`).
    async fn read_apart(&self, link: &Link, keys: &[Key]) -> Vec<Result<Fetched, Fault>> {
        let names =
            iter::once(self.names.head().to_owned()).chain(keys.iter().map(|key| self.names.value(*key)));
        let calls = names.map(|name| -> Call<Result<Value, RedisError>> {
            let mut link = link.clone();
            Box::pin(async move { ask(&mut link, redis::cmd("MGET").arg(name)).await })
        });
        let mut answers = all(calls.collect()).await.into_iter();
        let Some(head) = answers.next() else { return vec![Err(Fault::Garbled); keys.len()] };
        let both = |value: Result<Value, _>| head.clone().and_then(|head| Ok((head, value?)));
        answers.map(|value| self.answer(Kind::Read, both(value), answers::fetched_apart)).collect()
    }

    async fn read(&self, link: &mut Link, after: Cursor, wait: Duration) -> Result<Option<Tail>, Fault> {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(RECORDS);
        if !wait.is_zero() {
            command.arg("BLOCK").arg(millis(wait));
        }
        let last = format!("{}-{}", after.head.epoch, after.head.position);
        command.arg("STREAMS").arg(self.names.stream()).arg(last);
        self.slowly(wait, ask(link, &command), |value| answers::tail(value, after)).await
    }

    /// A read of the log by the connection that may wait; `wait` is how long the server may take by intent.
    async fn slowly<T>(
        &self,
        wait: Duration,
        call: impl Future<Output = Result<Value, RedisError>>,
        read: impl FnOnce(Value) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        match timeout(wait + self.connected.settings.command_timeout().max(LOG_PATIENCE / 4), call).await {
            Ok(answer) => self.answer(Kind::Log, answer, read),
            Err(_) => {
                self.connected.broke("a read of the log was not answered");
                Err(Fault::Timeout)
            }
        }
    }
}

/// The suffix that makes an epoch differ from one begun in the same microsecond elsewhere.
fn suffix() -> String {
    format!("{:03}", getrandom::u32().unwrap_or_default() % 1000)
}

/// A thousand years: more is more than servers take.
const LONGEST: u128 = 1000 * 365 * 86_400_000;

/// How long the server holds one read of the log.
const SLICE: Duration = Duration::from_millis(250);

fn millis(span: Duration) -> String {
    span.as_millis().clamp(1, LONGEST).to_string()
}

/// The piece of a value by which scripts tell it from others: its stamp, and the nonce or checksum that follows it.
fn stamp_of(value: Option<&Bytes>) -> &[u8] {
    let Some(value) = value else { return b"" };
    value.get(STAMP_AT..value.len().min(STAMP_AT + STAMP_BYTES + NONCE_BYTES)).unwrap_or_default()
}

impl SharedTier for RedisTier {
    fn fetch(&self, key: Key) -> Answer<Fetched> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.commands().await?;
            if !link.is_one() {
                return inner.read_apart(&link, &[key]).await.pop().unwrap_or(Err(Fault::Garbled));
            }
            let found = inner.read_values(&mut link, &[key]).await?;
            found.into_iter().next().ok_or(Fault::Garbled)
        })
    }

    fn fetch_all(&self, keys: Vec<Key>) -> Answers<Fetched> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let found = match inner.connected.commands().await {
                Ok(mut link) if link.is_one() => inner.read_values(&mut link, &keys).await,
                Ok(link) => return inner.read_apart(&link, &keys).await,
                Err(fault) => Err(fault),
            };
            match found {
                Ok(found) => found.into_iter().map(Ok).collect(),
                Err(fault) => vec![Err(fault); keys.len()],
            }
        })
    }

    fn publish(&self, publication: Publication) -> Answer<Published> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let size = publication.value.len();
            let mut link = match size > BULK {
                true => inner.connected.bulk().await?,
                false => inner.connected.commands().await?,
            };
            let flag = |flag: bool| if flag { &b"1"[..] } else { b"0" };
            let (name, ttl) = (inner.names.value(publication.key), millis(publication.ttl));
            let arguments =
                [&publication.value[..], ttl.as_bytes(), flag(publication.force), flag(publication.extend)];
            let keys = [name.as_bytes()];
            let run = inner.scripts.publish.run(&mut link, &keys, &arguments);
            let answer = if size > BULK {
                let most = Duration::from_secs_f64(size as f64 / BULK_BYTES_PER_SECOND as f64);
                // Late, it says nothing of the server: commands do.
                timeout(inner.connected.settings.command_timeout() + most, run)
                    .await
                    .map_err(|_| Fault::Timeout)?
            } else {
                run.await
            };
            let stored = inner.answer(Kind::Write, answer, answers::yes)?;
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
            inner.answer(Kind::Write, answer, |_| Ok(()))
        })
    }

    fn remove_seen(&self, key: Key, seen: Bytes) -> Answer<()> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.commands().await?;
            let value = inner.names.value(key);
            let keys = [value.as_bytes()];
            let answer = inner.scripts.remove_seen.run(&mut link, &keys, &[stamp_of(Some(&seen))]).await;
            inner.answer(Kind::Write, answer, |_| Ok(()))
        })
    }

    fn remove_older(&self, key: Key, than: Stamp) -> Answer<()> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.commands().await?;
            let value = inner.names.value(key);
            let mut start = vec![0; STAMP_AT];
            for number in
                [than.head.epoch, than.head.position, than.request_time.unix_millis().cast_unsigned()]
            {
                start.extend_from_slice(&number.to_le_bytes());
            }
            let answer = inner.scripts.remove_older.run(&mut link, &[value.as_bytes()], &[&start]).await;
            inner.answer(Kind::Write, answer, |_| Ok(()))
        })
    }

    fn tally(&self, key: Key, number: i64, ttl: Duration) -> Answer<i64> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.commands().await?;
            let (counter, number, ttl) = (inner.names.counter(key), number.to_string(), millis(ttl));
            let arguments = [number.as_bytes(), ttl.as_bytes()];
            let answer = inner.scripts.tally.run(&mut link, &[counter.as_bytes()], &arguments).await;
            inner.answer(Kind::Write, answer, answers::count)
        })
    }

    fn report(&self, process: String, report: Bytes, lasting: Duration) -> Answer<bool> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.commands().await?;
            let lasting = millis(lasting);
            let arguments = [process.as_bytes(), &report, lasting.as_bytes()];
            let answer = inner.scripts.report.run(&mut link, &inner.names.reports(), &arguments).await;
            inner.answer(Kind::Write, answer, answers::yes)
        })
    }

    fn reports(&self, lasting: Duration) -> Answer<Vec<Bytes>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.commands().await?;
            let lasting = millis(lasting);
            let names = inner.names.reports();
            let answer = inner.scripts.reports.run(&mut link, &names, &[lasting.as_bytes()]).await;
            inner.answer(Kind::Write, answer, answers::reports)
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
            inner.answer(Kind::Write, answer, answers::leased)
        })
    }

    fn renew(&self, key: Key, token: Token, lasting: Duration) -> Answer<bool> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.commands().await?;
            let (lease, token, lasting) = (inner.names.lease(key), token.0.to_string(), millis(lasting));
            let arguments = [token.as_bytes(), lasting.as_bytes()];
            let answer = inner.scripts.renew.run(&mut link, &[lease.as_bytes()], &arguments).await;
            inner.answer(Kind::Write, answer, answers::yes)
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
            inner.answer(Kind::Write, answer, answers::yes)
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
            inner.answer(Kind::Log, answer, answers::appended)
        })
    }

    fn tail(&self, after: Cursor, wait: Duration) -> Answer<Tail> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.tail().await?;
            let mut left = wait;
            loop {
                // In slices: a call that was dropped holds the next up for so long.
                let slice = left.min(SLICE);
                left -= slice;
                if let Some(tail) = inner.read(&mut link, after, slice).await? {
                    return Ok(tail);
                }
                if left.is_zero() {
                    break;
                }
            }
            // Nothing came. Because nothing was appended, or because the log is gone?
            let keys = inner.names.log();
            let run = inner.scripts.cursor.run(&mut link, &keys, &[]);
            match inner.slowly(Duration::ZERO, run, answers::cursor).await? {
                Some(now) if now == after => Ok(Tail::Records(Vec::new())),
                Some(now)
                    if now.head.epoch == after.head.epoch && now.head.position > after.head.position =>
                {
                    // Appended since, or lost.
                    Ok(inner.read(&mut link, after, Duration::ZERO).await?.unwrap_or(Tail::Gap))
                }
                _ => Ok(Tail::Gap),
            }
        })
    }

    fn snapshot(&self, distrusted: Option<Cursor>) -> Answer<Snapshot> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut link = inner.connected.bulk().await?;
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
            inner.answer(Kind::Write, answer, |_| Ok(()))
        })
    }

    fn listen(&self, listener: Listener) {
        self.0.connected.listen(listener);
    }

    fn is_up(&self) -> bool {
        self.0.connected.is_up()
    }

    fn server(&self) -> Option<String> {
        self.0.connected.server()
    }

    fn trouble(&self) -> Option<String> {
        self.0.connected.trouble()
    }

    fn back_for(&self) -> Option<Duration> {
        self.0.connected.back_for()
    }

    fn pauses(&self, span: Duration) -> Pauses {
        let end = Instant::now().checked_add(span);
        // The timer itself is made when it is first polled, by the runtime that polls it.
        Arc::new(move || {
            Box::pin(async move {
                match end {
                    Some(end) => sleep_until(end).await,
                    None => std::future::pending().await,
                }
            })
        })
    }
}
