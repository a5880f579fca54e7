//! Real servers for tests: `redis-server` on free ports of 127.0.0.1, in directories of their own.
//!
//! * [`RedisServer`]: one server; with a password, users, TLS or a socket as the arguments say.
//! * [`Sentinel`]: a master, a replica and a sentinel that watches them.
//! * [`Cluster`]: three masters.
//!
//! Each ends, and its directory goes, when the value is dropped. They answer when the constructor returns. Whatever is
//! not ready within ten seconds is a panic with the server's log. Nothing here is asynchronous: call it outside of a
//! runtime, or while nothing in it has to move.

#![allow(dead_code, unreachable_pub, reason = "each test target uses its part of the servers")]
#![allow(
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic, and their deadlines are real time"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(10);

/// Between two looks at something.
const PAUSE: Duration = Duration::from_millis(5);

/// One server.
pub struct RedisServer {
    /// Where it listens, with TLS or without. Stays the same over restarts. Of a server that was started with
    /// `--port 0`, nothing listens there.
    pub port: u16,
    /// The running process; 0 while it is stopped.
    pub pid: u32,
    kind: Kind,
    args: Vec<String>,
    child: Option<Child>,
    dir: Directory,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Server,
    Tls,
    Sentinel,
}

impl RedisServer {
    /// Starts a server with more arguments, such as `["--requirepass", "secret"]`. `{dir}` in them is its directory.
    pub fn start(args: &[&str]) -> Self {
        Self::start_as(Kind::Server, args, &Directory::new)
    }

    /// Starts a server that speaks TLS only, with a certificate for `localhost` and `127.0.0.1` of [`Self::ca_file`].
    /// It does not ask clients for theirs, unless the arguments say `--tls-auth-clients yes`.
    pub fn start_tls(args: &[&str]) -> Self {
        Self::start_as(Kind::Tls, args, &|| {
            let dir = Directory::new();
            make_certificates(dir.path());
            dir
        })
    }

    /// Starts a server that listens on a socket only: [`Self::socket`].
    pub fn start_socket(args: &[&str]) -> Self {
        let args = [&["--port", "0", "--unixsocket", "{dir}/redis.sock"], args].concat();
        Self::start(&args)
    }

    fn start_as(kind: Kind, args: &[&str], directory: &dyn Fn() -> Directory) -> Self {
        // Somebody else may be given the port before the server has it: then another.
        for _ in 0..5 {
            let dir = directory();
            let named = dir.path().display().to_string();
            let args = args.iter().map(|arg| arg.replace("{dir}", &named)).collect();
            let mut server = Self { port: free_port(), pid: 0, kind, args, child: None, dir };
            if server.spawn() {
                return server;
            }
            assert!(server.log().contains("Address already in use"), "no server: {}", server.log());
        }
        panic!("no free port after five attempts");
    }

    /// Ends it at once (SIGKILL). What was stored is gone.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.pid = 0;
    }

    /// Starts it again, empty, on the same port with the same arguments. A running one is ended first.
    pub fn restart(&mut self) {
        self.stop();
        assert!(self.spawn(), "no server: {}", self.log());
    }

    /// Stops it from doing anything, while its connections stay open (SIGSTOP).
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// What `redis-cli` prints, without the end of the line. Errors of the server are what it prints, too.
    pub fn cli(&self, args: &[&str]) -> String {
        let output = run(self.client().args(args));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Its socket, if it was started with one.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// The authority that signed the certificate of a server with TLS.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.crt")
    }

    /// A certificate that authority signed, and its key: the server's own, which clients may show as well.
    pub fn identity(&self) -> (PathBuf, PathBuf) {
        (self.dir.path().join("server.crt"), self.dir.path().join("server.key"))
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `redis://127.0.0.1:port`, or `rediss://` for a server with TLS.
    pub fn url(&self) -> String {
        let scheme = if self.kind == Kind::Tls { "rediss" } else { "redis" };
        format!("{scheme}://{}", self.address())
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn argument(&self, name: &str) -> Option<&str> {
        let place = self.args.iter().position(|arg| arg == name)?;
        self.args.get(place + 1).map(String::as_str)
    }

    fn client(&self) -> Command {
        let mut command = Command::new("redis-cli");
        if self.argument("--port") == Some("0") {
            command.arg("-s").arg(self.socket());
        } else {
            command.args(["-h", "127.0.0.1", "-p"]).arg(self.port.to_string());
        }
        if self.kind == Kind::Tls {
            let (cert, key) = self.identity();
            command.arg("--tls").arg("--cacert").arg(self.ca_file());
            command.arg("--cert").arg(cert).arg("--key").arg(key);
        }
        if let Some(password) = self.argument("--requirepass") {
            command.env("REDISCLI_AUTH", password);
        }
        command
    }

    /// Whether it came up; not if it ended by itself, as one does whose port is taken.
    fn spawn(&mut self) -> bool {
        let dir = self.dir.path().to_owned();
        let _ = fs::remove_file(dir.join("log"));
        let port = self.port.to_string();
        let mut command = Command::new(program());
        match self.kind {
            Kind::Server => command.args(["--port", &port]),
            Kind::Tls => {
                let (cert, key) = self.identity();
                command.args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]);
                command.arg("--tls-cert-file").arg(cert).arg("--tls-key-file").arg(key);
                command.arg("--tls-ca-cert-file").arg(self.ca_file())
            }
            Kind::Sentinel => command.arg(dir.join("sentinel.conf")).args(["--sentinel", "--port", &port]),
        };
        if self.kind != Kind::Sentinel {
            command.args(["--save", "", "--appendonly", "no"]);
        }
        command.args(["--bind", "127.0.0.1", "--daemonize", "no"]);
        command.arg("--dir").arg(&dir).arg("--logfile").arg(dir.join("log")).args(&self.args);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| {
            panic!("redis-server cannot be started ({error}): apt-get install redis-server")
        });
        self.pid = child.id();
        self.child = Some(child);
        let begin = Instant::now();
        while self.is_running() {
            if self.answers() {
                return true;
            }
            assert!(begin.elapsed() < DEADLINE, "the server does not answer; its log:\n{}", self.log());
            std::thread::park_timeout(PAUSE);
        }
        self.stop();
        false
    }

    fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// The log tells that it is this process that listens; `PING`, that it answers.
    fn answers(&self) -> bool {
        let log = self.log();
        if !log.contains("eady to accept connections") && !log.contains("Sentinel ID is") {
            return false;
        }
        if self.kind == Kind::Server && self.argument("--port").is_none() {
            return ping(self.port)
                .is_some_and(|said| said.starts_with("+PONG") || said.starts_with("-NOAUTH"));
        }
        let said = self.cli(&["PING"]);
        said == "PONG" || said.contains("NOAUTH")
    }

    fn signal(&self, signal: &str) {
        assert_ne!(self.pid, 0, "the server is stopped");
        run(Command::new("kill").arg(signal).arg(self.pid.to_string()));
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A master and its replica, watched by one sentinel that may decide alone (quorum 1, down after 500 ms), as the
/// service [`Sentinel::SERVICE`].
pub struct Sentinel {
    /// The sentinel itself.
    pub sentinel: RedisServer,
    /// Both servers. Which of them is the master changes: [`Sentinel::master_port`].
    pub servers: [RedisServer; 2],
}

impl Sentinel {
    /// The name of the service.
    pub const SERVICE: &'static str = "mymaster";

    /// Starts all three. Returns when the sentinel knows the replica.
    pub fn start() -> Self {
        let master = RedisServer::start(&["--repl-diskless-sync-delay", "0"]);
        let port = master.port.to_string();
        let replica =
            RedisServer::start(&["--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", &port]);
        until(
            "the replica",
            || replica.log(),
            || {
                let replication = master.cli(&["INFO", "replication"]);
                replication.contains("state=online").then_some(())
            },
        );
        let service = Self::SERVICE;
        let sentinel = RedisServer::start_as(Kind::Sentinel, &[], &|| {
            let dir = Directory::new();
            let config = format!(
                "sentinel monitor {service} 127.0.0.1 {port} 1\n\
                 sentinel down-after-milliseconds {service} 500\n\
                 sentinel failover-timeout {service} 3000\n"
            );
            write(&dir.path().join("sentinel.conf"), &config);
            dir
        });
        until(
            "the sentinel",
            || sentinel.log(),
            || sentinel.cli(&["INFO", "sentinel"]).contains("slaves=1").then_some(()),
        );
        Self { sentinel, servers: [master, replica] }
    }

    /// `redis+sentinel://127.0.0.1:port/mymaster`.
    pub fn url(&self) -> String {
        format!("redis+sentinel://{}/{}", self.sentinel.address(), Self::SERVICE)
    }

    /// Where the sentinel says that the master is.
    pub fn master_port(&self) -> u16 {
        let said = self.sentinel.cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Self::SERVICE]);
        let port = said.lines().nth(1).and_then(|line| line.parse().ok());
        port.unwrap_or_else(|| panic!("the sentinel says {said:?}"))
    }

    /// The server that is the master, as the sentinel says.
    pub fn master(&mut self) -> &mut RedisServer {
        let port = self.master_port();
        let master = self.servers.iter_mut().find(|server| server.port == port);
        master.unwrap_or_else(|| panic!("the master is none of the two"))
    }

    /// Makes the replica the master. Returns when it is, and the sentinel says so.
    pub fn failover(&self) {
        let before = self.master_port();
        // Refused while the sentinel has no fresh news of the replica.
        until(
            "a failover to begin",
            || self.sentinel.log(),
            || (self.sentinel.cli(&["SENTINEL", "FAILOVER", Self::SERVICE]) == "OK").then_some(()),
        );
        self.wait_for_other_master(before);
    }

    /// Returns when another server than the one on this port is the master, and the sentinel says so.
    pub fn wait_for_other_master(&self, before: u16) {
        until(
            "the new master",
            || self.sentinel.log(),
            || {
                let now = self.master_port();
                let server = self.servers.iter().find(|server| server.port == now && now != before)?;
                server.cli(&["ROLE"]).starts_with("master").then_some(())
            },
        );
    }
}

/// Three masters that share the slots.
pub struct Cluster {
    /// The nodes.
    pub nodes: Vec<RedisServer>,
}

impl Cluster {
    /// Starts the nodes with more arguments and joins them. Returns when each knows all slots.
    pub fn start(args: &[&str]) -> Self {
        let nodes: Vec<RedisServer> = (0..3).map(|_| Self::start_node(args)).collect();
        let mut command = Command::new("redis-cli");
        if let Some(password) = nodes.first().and_then(|node| node.argument("--requirepass")) {
            command.env("REDISCLI_AUTH", password);
        }
        command
            .args(["--cluster", "create"])
            .args(nodes.iter().map(RedisServer::address))
            .arg("--cluster-yes");
        let output = run(&mut command);
        assert!(output.status.success(), "no cluster: {}", String::from_utf8_lossy(&output.stdout));
        let cluster = Self { nodes };
        for node in &cluster.nodes {
            until(
                "the cluster",
                || node.log(),
                || {
                    let info = node.cli(&["CLUSTER", "INFO"]);
                    let is_whole =
                        info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3");
                    (is_whole && info.contains("cluster_slots_ok:16384")).then_some(())
                },
            );
        }
        cluster
    }

    fn start_node(args: &[&str]) -> RedisServer {
        // The bus would be on the port plus 10000, which may not be free, or not be a port.
        let bus = free_port().to_string();
        let cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", &bus];
        RedisServer::start(&[&cluster, args].concat())
    }

    /// `redis+cluster://` with all nodes.
    pub fn url(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(RedisServer::address).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }
}

/// A port of 127.0.0.1 that nobody listens on, until somebody else is given it.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("127.0.0.1 has a free port");
    listener.local_addr().expect("a listener has an address").port()
}

/// Probes until there is an answer, at most ten seconds long; then panics, with the `log`.
pub fn until<T>(what: &str, log: impl Fn() -> String, mut probe: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(begin.elapsed() < DEADLINE, "waited for {what} in vain; the log:\n{}", log());
        std::thread::park_timeout(PAUSE);
    }
}

fn ping(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(b"PING\r\n").ok()?;
    let mut said = [0; 64];
    let length = stream.read(&mut said).ok()?;
    said.get(..length).map(|said| String::from_utf8_lossy(said).into_owned())
}

fn run(command: &mut Command) -> Output {
    let program = command.get_program().to_string_lossy().into_owned();
    let hint = if program == "openssl" { "openssl" } else { "redis-server" };
    command
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be run ({error}): apt-get install {hint}"))
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
}

/// Makes `ca.crt` and, signed by it, `server.crt` with `server.key`.
fn make_certificates(dir: &Path) {
    const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let openssl = |args: &[&str]| {
        let output = run(Command::new("openssl").current_dir(dir).args(args));
        assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let authority =
        ["-x509", "-days", "2", "-subj", "/CN=hotplate tests", "-keyout", "ca.key", "-out", "ca.crt"];
    openssl(&[&["req"], &KEY[..], &authority].concat());
    let request = ["-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"];
    openssl(&[&["req"], &KEY[..], &request].concat());
    write(&dir.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
    let signing = "x509 -req -days 2 -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile names";
    let signing: Vec<&str> = signing.split(' ').chain(["-out", "server.crt"]).collect();
    openssl(&signing);
}

/// A directory that is removed with what is in it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        // Short: the path of a socket has about a hundred bytes.
        let path = std::env::temp_dir().join(format!("hotplate-{}-{next}", std::process::id()));
        let made = fs::create_dir_all(&path);
        made.unwrap_or_else(|error| panic!("{} cannot be made: {error}", path.display()));
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The server's program: `redis-server`, or what `REDIS_SERVER` names (Valkey's, for one).
fn program() -> String {
    std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".into())
}
