//! What the shared tier costs where no border to Python is crossed: the reference of `bench/sections/border.py`, which
//! runs it.
//!
//! `border CONTENDER URL PREFIX KEY`: the contender is `tier` ([`RedisTier::fetch`], as a lookup calls it) or `redis-rs`
//! (a plain `GET` through the crate `redis`); `Cache.set` of Python has stored a value under the key. Each line
//! `IN_FLIGHT SECONDS` of standard input is a round, answered by a line `CALLS SECONDS CPU_SECONDS`. One thread runs
//! everything; each of the tasks in flight asks again as soon as it has its answer.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::error::Error;
use std::future::Future;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use hotplate::key::Key;
use hotplate::tier::redis::{RedisOptions, RedisTier};
use hotplate::tier::shared::SharedTier;
use tokio::runtime::{Builder, Runtime};

type Failed = Box<dyn Error + Send + Sync>;

/// The bench's machine is busy; what is about deadlines is tested elsewhere.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [contender, url, prefix, key] = &arguments[..] else {
        // Run by `cargo test --benches` or by hand: there is no server to speak to.
        println!("usage: border CONTENDER URL PREFIX KEY (see bench/sections/border.py)");
        return Ok(());
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    if contender == "tier" {
        let options = RedisOptions {
            url: url.clone(),
            prefix: Some(prefix.clone()),
            command_timeout: Some(PATIENCE),
            ..RedisOptions::default()
        };
        let tier = RedisTier::new(options.compile()?);
        let key = Key::named(key.as_bytes());
        runtime.spawn(tier.supervise());
        answer_rounds(&runtime, move || {
            let fetch = tier.fetch(key);
            async move {
                let fetched = fetch.await?;
                Ok::<_, Failed>(fetched.value.map_or(0, |value| value.len()))
            }
        })
    } else {
        let connection =
            runtime.block_on(redis::Client::open(url.as_str())?.get_multiplexed_async_connection())?;
        let name = format!("{prefix}:{{{}}}:v", Key::named(key.as_bytes()));
        answer_rounds(&runtime, move || {
            let (mut connection, name) = (connection.clone(), name.clone());
            async move {
                let value: Vec<u8> = redis::cmd("GET").arg(&name).query_async(&mut connection).await?;
                Ok(value.len())
            }
        })
    }
}

/// One round for each line of standard input, until it ends.
fn answer_rounds<F>(runtime: &Runtime, call: impl Fn() -> F + Clone + Send + 'static) -> Result<(), Failed>
where
    F: Future<Output = Result<usize, Failed>> + Send,
{
    // Connecting takes a moment.
    let begin = Instant::now();
    while let Err(error) = runtime.block_on(call()) {
        if begin.elapsed() > PATIENCE {
            return Err(error);
        }
        runtime.block_on(tokio::time::sleep(Duration::from_millis(5)));
    }
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (in_flight, seconds) = line.split_once(' ').ok_or("write IN_FLIGHT SECONDS")?;
        let (in_flight, length) = (in_flight.parse()?, Duration::try_from_secs_f64(seconds.parse()?)?);
        let (begin, cpu) = (Instant::now(), cpu_seconds());
        let calls = runtime.block_on(round(&call, in_flight, begin + length))?;
        println!("{calls} {} {}", begin.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// How many calls so many tasks make until then.
async fn round<F>(
    call: &(impl Fn() -> F + Clone + Send + 'static),
    in_flight: usize,
    deadline: Instant,
) -> Result<u64, Failed>
where
    F: Future<Output = Result<usize, Failed>> + Send,
{
    let tasks: Vec<_> = (0..in_flight)
        .map(|_| {
            let call = call.clone();
            tokio::spawn(async move {
                let mut calls = 0;
                while Instant::now() < deadline {
                    if call().await? < 1024 {
                        return Err(Failed::from("a value was not there"));
                    }
                    calls += 1;
                }
                Ok(calls)
            })
        })
        .collect();
    let mut all = 0;
    for task in tasks {
        all += task.await??;
    }
    Ok(all)
}

/// What this process's first thread, its only one, has used; 0 where the system does not tell.
#[allow(clippy::cast_precision_loss, reason = "a benchmark does not run for years")]
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or_default() as f64 / 1e9
}
