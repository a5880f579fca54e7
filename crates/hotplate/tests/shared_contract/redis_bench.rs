//! Storage on real servers: a server for each case, or one cluster for all, where each case has a prefix of its own.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hotplate::key::Key;
use hotplate::tier::redis::{RedisOptions, RedisTier};
use redis::{ErrorKind, RedisResult, ServerErrorKind, Value};

use crate::bench::{Bench, Part, Tier};
use crate::servers::{Cluster, RedisServer};

/// Machines that test are busy; what is about deadlines has its own.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server of its own.
pub(crate) type OneServer = Served<false>;

/// The cluster, and a prefix of its own.
pub(crate) type ThreeMasters = Served<true>;

/// Storage on servers.
pub(crate) struct Served<const CLUSTER: bool> {
    url: String,
    ports: Vec<u16>,
    prefix: String,
    begin: Instant,
    /// Ends with the bench.
    _server: Option<RedisServer>,
}

/// What only servers can be brought to.
pub(crate) trait Servers: Bench {
    /// One command, sent to where its key is. An error of the server is an error.
    fn raw(&self, command: &[&[u8]]) -> RedisResult<Value>;

    /// One command, sent to every server.
    fn everywhere(&self, command: &[&[u8]]) -> Vec<Value>;

    /// The name of something of this cache.
    fn name(&self, suffix: &str) -> String;

    /// Every name of this cache.
    fn names(&self) -> Vec<String>;

    /// Where a value is.
    fn value_name(&self, key: Key) -> String {
        self.name(&format!("{{{key}}}:v"))
    }

    /// Where a part of the log is.
    fn part_name(&self, part: Part) -> String {
        self.name(match part {
            Part::Head => "{log}:head",
            Part::State => "{log}:state",
            Part::Stream => "{log}:stream",
            Part::Markers(0) => "{log}:m0",
            Part::Markers(_) => "{log}:m1",
        })
    }

    /// One command of words, which has to succeed.
    fn say(&self, words: &[&str]) -> Value {
        let command: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        self.raw(&command).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// How long something lives; `None` where it has no end.
    fn life(&self, name: &str) -> Option<Duration> {
        let Value::Int(left) = self.say(&["PTTL", name]) else { panic!("no number") };
        assert!(left != -2, "{name} is not there");
        u64::try_from(left).ok().map(Duration::from_millis)
    }
}

/// Every part of a log.
pub(crate) const PARTS: [Part; 5] =
    [Part::Head, Part::State, Part::Stream, Part::Markers(0), Part::Markers(1)];

/// The cluster of all cases, and what ends it with this process: nothing is dropped that is static.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<(Cluster, Child)> = OnceLock::new();
    let (cluster, _) = CLUSTER.get_or_init(|| {
        let cluster = Cluster::start(&[]);
        let pids = cluster.nodes.iter().map(|node| node.pid.to_string());
        let dirs = cluster.nodes.iter().map(|node| node.dir().display().to_string());
        // Its input ends when this process does, however it does.
        let guard = Command::new("sh")
            .args(["-c", "cat >/dev/null; kill -9 $1 $2 $3; rm -rf \"$4\" \"$5\" \"$6\"", "guard"])
            .args(pids.chain(dirs))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        (cluster, guard)
    });
    cluster
}

fn connection(port: u16) -> redis::Connection {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/?protocol=resp3")).unwrap();
    client.get_connection().unwrap()
}

fn packed(command: &[&[u8]]) -> redis::Cmd {
    let mut packed = redis::Cmd::new();
    for word in command {
        packed.arg(*word);
    }
    packed
}

impl<const CLUSTER: bool> Bench for Served<CLUSTER> {
    const SUMS_UP: bool = true;

    fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("contract-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (url, ports, server) = if CLUSTER {
            let cluster = cluster();
            (cluster.url(), cluster.nodes.iter().map(|node| node.port).collect(), None)
        } else {
            let server = RedisServer::start(&[]);
            (server.url(), vec![server.port], Some(server))
        };
        Self { url, ports, prefix, begin: Instant::now(), _server: server }
    }

    fn tier(&self) -> Tier {
        let options = RedisOptions {
            url: self.url.clone(),
            prefix: Some(self.prefix.clone()),
            command_timeout: Some(PATIENCE),
            connect_timeout: Some(2 * PATIENCE),
            ..RedisOptions::default()
        };
        let tier = RedisTier::new(options.compile().unwrap());
        tokio::spawn(tier.supervise());
        Arc::new(tier)
    }

    fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    async fn pass(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    fn flush(&self) {
        if !CLUSTER {
            self.say(&["FLUSHALL"]);
            return;
        }
        // The log goes in one step, as it does in a flush.
        let log = PARTS.map(|part| self.part_name(part));
        let mut command = vec!["DEL"];
        command.extend(log.iter().map(String::as_str));
        self.say(&command);
        for name in self.names() {
            self.say(&["DEL", &name]);
        }
    }

    fn evict(&self, part: Part) {
        assert_eq!(self.say(&["DEL", &self.part_name(part)]), Value::Int(1), "{part:?} was not there");
    }

    fn trim(&self, keep: usize) {
        self.say(&["XTRIM", &self.part_name(Part::Stream), "MAXLEN", &keep.to_string()]);
    }
}

impl<const CLUSTER: bool> Servers for Served<CLUSTER> {
    fn raw(&self, command: &[&[u8]]) -> RedisResult<Value> {
        let mut answer = None;
        for port in &self.ports {
            match packed(command).query(&mut connection(*port)) {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::Moved) => {}
                other => {
                    answer = Some(other);
                    break;
                }
            }
        }
        answer.expect("one node has every key")
    }

    fn everywhere(&self, command: &[&[u8]]) -> Vec<Value> {
        self.ports.iter().map(|port| packed(command).query(&mut connection(*port)).unwrap()).collect()
    }

    fn name(&self, suffix: &str) -> String {
        format!("{}:{suffix}", self.prefix)
    }

    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for port in &self.ports {
            // A server of its own has nothing else in it.
            let pattern = if CLUSTER { self.name("*") } else { "*".to_owned() };
            let mut scan = redis::cmd("SCAN");
            scan.cursor_arg(0).arg("MATCH").arg(pattern).arg("COUNT").arg(10_000);
            let mut connection = connection(*port);
            names.extend(scan.iter::<String>(&mut connection).unwrap().map(Result::unwrap));
        }
        names
    }
}
