//! Connections to the server that [`RedisSettings`] name, ready to be used: authenticated, in the right database, in
//! RESP3, with somebody at the other end who can do what the shared tier needs.
//!
//! ```text
//! one server, socket    ──────────────────────────────────────────► HELLO: version? role? ──► Link
//! sentinels             ──► each in turn: who is the master? ─────► HELLO: version? role? ──► Link
//! cluster               ──► each node in turn: HELLO: version? a cluster? ──► all nodes   ──► Link
//! ```
//!
//! `HELLO` tells version, mode and role in one round trip, and unlike `ROLE` and `INFO` it is open to every user.
//!
//! # Scope
//!
//! A [`Link`] to one server ends with its connection: whoever wants another calls [`connect`] again, which asks the
//! sentinels again. A [`Link`] to a cluster follows its cluster by itself. Nothing here retries, waits between
//! attempts, or knows what is stored.
//!
//! # Secrets
//!
//! No [`ConnectError`] holds a password, not even where a server repeats it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{AsyncPushSender, ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, Pipeline, ProtocolVersion, RedisConnectionInfo, RedisError, RedisFuture, RedisResult,
    TlsCertificates, Value,
};
use tokio::time::timeout;

use super::config::{Host, Place, RedisSettings, Secret, TlsFiles};

/// What servers call these connections.
const NAME: &str = "hotplate";

/// Attempts of one command in a cluster that is moving, and the milliseconds between them.
const CLUSTER_RETRIES: u32 = 2;
const CLUSTER_SHORTEST_WAIT: u64 = 5;
const CLUSTER_LONGEST_WAIT: u64 = 20;

/// The oldest servers that have what the shared tier uses.
const OLDEST_REDIS: Version = Version { major: 7, minor: 0, patch: 0 };
const OLDEST_VALKEY: Version = Version { major: 7, minor: 2, patch: 0 };

/// Who hears what the server says unasked. Called by the connection's own task: must not wait.
pub(super) type Pushes = Arc<dyn AsyncPushSender>;

/// What a connection is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// Commands that are answered at once: each has the command timeout.
    Commands,
    /// Commands that wait for something to happen. None has a timeout; the caller sees to it.
    Tail,
}

/// A connection, shared by its clones. It ends when the last of them is dropped.
#[derive(Clone)]
pub(super) struct Link {
    wire: Wire,
    server: Arc<Server>,
}

#[derive(Clone)]
enum Wire {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Who answers; in a cluster, the node that was asked first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Server {
    /// Host and port, or the path of a socket.
    pub(super) address: String,
    /// Redis, or what says that it is.
    pub(super) product: Product,
    /// The product's own version.
    pub(super) version: Version,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let product = match self.product {
            Product::Redis => "Redis",
            Product::Valkey => "Valkey",
        };
        write!(f, "{product} {} at {}", self.version, self.address)
    }
}

/// Which server it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Product {
    Redis,
    Valkey,
}

/// The version of a server.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Version {
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) patch: u32,
}

impl Version {
    /// Reads `7`, `7.2`, `7.2.5` and `7.2.5-rc1`.
    fn read(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part.split_at(digits).0.parse().ok()
        });
        let mut next = || numbers.next().flatten();
        Some(Self { major: next()?, minor: next().unwrap_or(0), patch: next().unwrap_or(0) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Link {
    /// Who answers.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Whether all keys are in one place.
    pub(super) fn is_one(&self) -> bool {
        matches!(self.wire, Wire::One(_))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.server)
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.wire {
            Wire::One(connection) => connection.req_packed_command(cmd),
            Wire::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.wire {
            Wire::One(connection) => connection.req_packed_commands(pipeline, offset, count),
            Wire::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.wire {
            Wire::One(connection) => connection.get_db(),
            Wire::Cluster(connection) => connection.get_db(),
        }
    }
}

/// What was in the way. From the least telling to the most: of several, the last is reported.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Obstacle {
    /// Nobody answers there, or not in time.
    Unreachable,
    /// Whoever answers does not speak the protocol.
    Protocol,
    /// The server refused for a reason of its own.
    Refused,
    /// A replica answers, or the sentinels know no master.
    NotMaster,
    /// The server is too old, or of another kind than the URL says.
    Unsupported,
    /// No trusted connection: certificates, or a server without TLS.
    Tls,
    /// User, password or permissions.
    Denied,
}

/// There is no connection. One sentence says why, with the address; the source has what the other end said.
#[derive(Debug)]
pub(super) struct ConnectError {
    /// What was in the way.
    pub(super) obstacle: Obstacle,
    sentence: Cow<'static, str>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ConnectError {
    fn new(obstacle: Obstacle, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self { obstacle, sentence: sentence.into(), source: None }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// Opens a connection and makes sure that it can be used.
///
/// # Arguments
///
/// `pushes`: hears what the server says unasked, such as messages of channels ([`subscribe`]), and that the connection
/// has ended.
///
/// # Errors
///
/// [`ConnectError`], at the latest when the connect timeout has passed.
///
/// # Cost
///
/// Needs a tokio runtime with time and I/O, on which the connection lives. Reads the certificate files. May be dropped.
pub(super) async fn connect(
    settings: &RedisSettings,
    purpose: Purpose,
    pushes: Option<Pushes>,
) -> Result<Link, ConnectError> {
    let certificates = settings.tls.as_ref().map(certificates).transpose()?;
    let way = Way { settings, purpose, pushes, certificates };
    let mut noted = Noted(None);
    let end = timeout(settings.connect_timeout, way.go(&mut noted)).await;
    end.unwrap_or_else(|_| Err(way.given_up(&mut noted)))
}

/// Subscribes to a channel. Its messages come to the [`Pushes`] the link was made with.
///
/// # Errors
///
/// As any command: the connection is gone, the answer is late, the user has no permission.
pub(super) async fn subscribe(link: &mut Link, channel: &str) -> RedisResult<()> {
    match &mut link.wire {
        Wire::One(connection) => connection.subscribe(channel).await,
        Wire::Cluster(connection) => connection.subscribe(channel).await,
    }
}

/// The most telling of the errors met on the way.
struct Noted(Option<ConnectError>);

impl Noted {
    fn note(&mut self, error: ConnectError) {
        if self.0.as_ref().is_none_or(|noted| noted.obstacle < error.obstacle) {
            self.0 = Some(error);
        }
    }
}

/// What a server says of itself in answer to `HELLO`.
struct Hello {
    server: Server,
    mode: String,
    role: String,
}

/// One call of [`connect`].
struct Way<'a> {
    settings: &'a RedisSettings,
    purpose: Purpose,
    pushes: Option<Pushes>,
    certificates: Option<TlsCertificates>,
}

impl Way<'_> {
    /// Where it leads, for errors.
    fn target(&self) -> String {
        let list = |hosts: &[Host]| hosts.iter().map(Host::to_string).collect::<Vec<_>>().join(",");
        match &self.settings.place {
            Place::Single(host) => host.to_string(),
            Place::Socket(path) => path.display().to_string(),
            Place::Sentinel { sentinels, .. } => format!("the sentinels {}", list(sentinels)),
            Place::Cluster(nodes) => format!("the cluster {}", list(nodes)),
        }
    }

    async fn go(&self, noted: &mut Noted) -> Result<Link, ConnectError> {
        match &self.settings.place {
            Place::Single(host) => self.to_master(&self.address(host)).await,
            Place::Socket(path) => self.to_master(&ConnectionAddr::Unix(path.clone())).await,
            Place::Sentinel { sentinels, service, user, password } => {
                let login = login(user.as_deref(), password.as_ref()).set_skip_set_lib_name();
                self.by_sentinels(sentinels, service, &login, noted).await
            }
            Place::Cluster(nodes) => self.to_cluster(nodes, noted).await,
        }
    }

    /// A server that is to be written to, alone.
    async fn to_master(&self, address: &ConnectionAddr) -> Result<Link, ConnectError> {
        let mut config = unhurried();
        if self.purpose == Purpose::Commands {
            config = config.set_response_timeout(Some(self.settings.command_timeout));
        }
        if let Some(pushes) = &self.pushes {
            config = config.set_push_sender(Arc::clone(pushes));
        }
        let (connection, hello) = self.open(address, &config).await?;
        let address = &hello.server.address;
        let (obstacle, what) = match (hello.mode.as_str(), hello.role.as_str()) {
            ("cluster", _) => {
                (Obstacle::Unsupported, "is a node of a cluster: write redis+cluster:// in the URL")
            }
            ("sentinel", _) => (Obstacle::Unsupported, "is a sentinel: write redis+sentinel:// in the URL"),
            (_, "master") => return Ok(Link { wire: Wire::One(connection), server: Arc::new(hello.server) }),
            _ => (
                Obstacle::NotMaster,
                "is a replica, which cannot be written to: write the address of the master",
            ),
        };
        Err(ConnectError::new(obstacle, format!("{address} {what}")))
    }

    /// The master the sentinels name. Each step has its share of the time, so that one that hangs does not take it all.
    async fn by_sentinels(
        &self,
        sentinels: &[Host],
        service: &str,
        login: &RedisConnectionInfo,
        noted: &mut Noted,
    ) -> Result<Link, ConnectError> {
        let share = self.share(sentinels.len());
        let mut tried = Vec::new();
        for sentinel in sentinels {
            let address = format!("the sentinel {sentinel}");
            let master =
                match self.within(share, &address, self.ask(sentinel, service, login, &address)).await {
                    Ok(master) if tried.contains(&master) => continue,
                    Ok(master) => master,
                    Err(error) => {
                        noted.note(error);
                        continue;
                    }
                };
            match self.within(share, &master.to_string(), self.to_master(&self.address(&master))).await {
                Ok(link) => return Ok(link),
                Err(error) => noted.note(error),
            }
            tried.push(master);
        }
        Err(self.given_up(noted))
    }

    /// Where a sentinel says the master is.
    async fn ask(
        &self,
        sentinel: &Host,
        service: &str,
        login: &RedisConnectionInfo,
        address: &str,
    ) -> Result<Host, ConnectError> {
        let asked = async {
            let client = self.client(&self.address(sentinel), login.clone())?;
            let mut connection = client.get_multiplexed_async_connection_with_config(&unhurried()).await?;
            let mut command = Cmd::new();
            command.arg("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(service);
            command.query_async::<Option<(String, u16)>>(&mut connection).await
        };
        match asked.await {
            Ok(Some((name, port))) => Ok(Host { name, port }),
            Ok(None) => {
                let sentence = format!("{address} knows no master \"{service}\"");
                Err(ConnectError::new(Obstacle::NotMaster, sentence))
            }
            Err(error) if error.detail().is_some_and(|detail| detail.contains("command 'SENTINEL'")) => {
                let sentence = format!("{address} is no sentinel: write redis:// in the URL");
                Err(ConnectError::new(Obstacle::Unsupported, sentence))
            }
            Err(error) => Err(self.failed(address, error)),
        }
    }

    /// All nodes of a cluster. One of them is asked alone first: what a cluster's client reports does not say why.
    async fn to_cluster(&self, nodes: &[Host], noted: &mut Noted) -> Result<Link, ConnectError> {
        let share = self.share(nodes.len());
        let mut found = None;
        for node in nodes {
            match self.within(share, &node.to_string(), self.open(&self.address(node), &unhurried())).await {
                Ok((_, hello)) => {
                    found = Some(hello);
                    break;
                }
                Err(error) if error.obstacle == Obstacle::Unreachable => noted.note(error),
                Err(error) => return Err(error),
            }
        }
        let Some(hello) = found else {
            return Err(self.given_up(noted));
        };
        if hello.mode != "cluster" {
            let address = &hello.server.address;
            let sentence = format!("{address} is not a node of a cluster: write redis:// in the URL");
            return Err(ConnectError::new(Obstacle::Unsupported, sentence));
        }
        let connection = self.cluster(nodes).await.map_err(|error| self.failed(&self.target(), error))?;
        Ok(Link { wire: Wire::Cluster(connection), server: Arc::new(hello.server) })
    }

    async fn cluster(&self, nodes: &[Host]) -> RedisResult<ClusterConnection> {
        let nodes = nodes.iter().map(|node| self.info(&self.address(node), self.login()));
        let mut builder = ClusterClient::builder(nodes.collect::<RedisResult<Vec<_>>>()?)
            .use_protocol(ProtocolVersion::RESP3)
            .tcp_settings(tcp())
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(CLUSTER_SHORTEST_WAIT)
            .max_retry_wait(CLUSTER_LONGEST_WAIT)
            // The nodes of the URL are waited for, then the nodes they name: twice, with time to spare.
            .connection_timeout(self.settings.connect_timeout / 4);
        if self.purpose == Purpose::Commands {
            builder = builder.response_timeout(self.settings.command_timeout);
        }
        if let Some(pushes) = &self.pushes {
            builder = builder.push_sender(Arc::clone(pushes));
        }
        if let Some(certificates) = &self.certificates {
            builder = builder.certs(certificates.clone());
        }
        builder.build()?.get_async_connection().await
    }

    /// A connection whose other end is new enough.
    async fn open(
        &self,
        address: &ConnectionAddr,
        config: &AsyncConnectionConfig,
    ) -> Result<(MultiplexedConnection, Hello), ConnectError> {
        let shown = show(address);
        let opened = async {
            let client = self.client(address, self.login())?;
            let connection = client.get_multiplexed_async_connection_with_config(config).await?;
            // Belongs to connecting, not to the commands that have a timeout.
            let mut asking = connection.clone();
            asking.set_response_timeout(self.settings.connect_timeout);
            let mut command = Cmd::new();
            command.arg("HELLO").arg(3).arg("SETNAME").arg(NAME);
            let said = command.query_async::<HashMap<String, Value>>(&mut asking).await?;
            Ok((connection, said))
        };
        let (connection, said) = opened.await.map_err(|error| self.failed(&shown, error))?;
        Ok((connection, understand(shown, &said)?))
    }

    fn address(&self, host: &Host) -> ConnectionAddr {
        let Host { name, port } = host.clone();
        if self.settings.tls.is_some() {
            ConnectionAddr::TcpTls { host: name, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(name, port)
        }
    }

    fn login(&self) -> RedisConnectionInfo {
        let RedisSettings { user, password, db, .. } = self.settings;
        let version = env!("CARGO_PKG_VERSION");
        login(user.as_deref(), password.as_ref()).set_db(i64::from(*db)).set_lib_name(NAME, version)
    }

    fn info(&self, address: &ConnectionAddr, login: RedisConnectionInfo) -> RedisResult<ConnectionInfo> {
        Ok(address.clone().into_connection_info()?.set_redis_settings(login).set_tcp_settings(tcp()))
    }

    fn client(&self, address: &ConnectionAddr, login: RedisConnectionInfo) -> RedisResult<Client> {
        let info = self.info(address, login)?;
        match (&self.certificates, address) {
            (Some(certificates), ConnectionAddr::TcpTls { .. }) => {
                Client::build_with_tls(info, certificates.clone())
            }
            _ => Client::open(info),
        }
    }

    fn share(&self, steps: usize) -> Duration {
        self.settings.connect_timeout / u32::try_from(steps + 1).unwrap_or(u32::MAX)
    }

    async fn within<T>(
        &self,
        share: Duration,
        address: &str,
        step: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        timeout(share, step).await.unwrap_or_else(|_| Err(self.too_late(address, share)))
    }

    fn given_up(&self, noted: &mut Noted) -> ConnectError {
        noted.0.take().unwrap_or_else(|| self.too_late(&self.target(), self.settings.connect_timeout))
    }

    fn too_late(&self, address: &str, after: Duration) -> ConnectError {
        // A server without TLS takes what it is sent for a command that has not ended yet.
        let hint =
            if self.settings.tls.is_some() { "; if it speaks no TLS, write redis:// in the URL" } else { "" };
        ConnectError::new(Obstacle::Unreachable, format!("{address} did not answer within {after:?}{hint}"))
    }

    /// Whether the connection was made, and ended without TLS being spoken.
    fn hung_up(&self, error: &RedisError) -> bool {
        let by_system = error.source().is_some();
        by_system
            && self.settings.tls.is_none()
            && error.is_connection_dropped()
            && !error.is_connection_refusal()
    }

    /// An error of the client, with what it means. Its text is kept only where no password is in it: servers that do
    /// not know a command repeat what they were sent.
    fn failed(&self, address: &str, error: RedisError) -> ConnectError {
        let obstacle = obstacle(&error, self.settings.tls.is_some());
        let sentence = match obstacle {
            Obstacle::Unreachable if self.hung_up(&error) => {
                format!("{address} hung up: if it speaks TLS only, write rediss:// in the URL")
            }
            Obstacle::Unreachable => format!("{address} does not answer"),
            Obstacle::Protocol => format!("{address} does not answer as Redis does"),
            Obstacle::Refused => format!("{address} refused the connection"),
            Obstacle::NotMaster => format!("{address} is not a master"),
            Obstacle::Unsupported => format!("{address} does not speak RESP3: {NEEDED}"),
            Obstacle::Tls => format!(
                "{address} has no TLS that can be trusted: check ca_file, cert_file, and the host name in the certificate"
            ),
            Obstacle::Denied => {
                format!("{address} denied the authentication: check user, password and permissions")
            }
        };
        let text = error.to_string();
        let of_sentinel = match &self.settings.place {
            Place::Sentinel { password, .. } => password.as_ref(),
            _ => None,
        };
        let secrets = [self.settings.password.as_ref(), of_sentinel];
        let repeats = text.contains(UNKNOWN_COMMAND)
            || secrets.into_iter().flatten().any(|secret| text.contains(secret.expose()));
        // The words only: the client's errors have the same words again below themselves.
        let source = (!repeats).then(|| text.into());
        ConnectError { obstacle, sentence: sentence.into(), source }
    }
}

const NEEDED: &str = "Redis 7.0 or later, or Valkey 7.2 or later, is needed";

/// For connections whose time the caller limits.
fn unhurried() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None)
}

fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn login(user: Option<&str>, password: Option<&Secret>) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
    if let Some(user) = user {
        login = login.set_username(user);
    }
    if let Some(password) = password {
        login = login.set_password(password.expose());
    }
    login
}

fn show(address: &ConnectionAddr) -> String {
    match address {
        ConnectionAddr::Tcp(name, port) | ConnectionAddr::TcpTls { host: name, port, .. } => {
            Host { name: name.clone(), port: *port }.to_string()
        }
        other => other.to_string(),
    }
}

/// Reads the files again for each connection, and sees to it that there is cryptography to use them with.
fn certificates(files: &TlsFiles) -> Result<TlsCertificates, ConnectError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only if another thread was faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| ConnectError {
            obstacle: Obstacle::Tls,
            sentence: format!("the file {} cannot be read", path.display()).into(),
            source: Some(error.into()),
        })
    };
    let root_cert = files.ca.as_deref().map(read).transpose()?;
    let client_tls = match &files.identity {
        Some((cert, key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
        None => None,
    };
    Ok(TlsCertificates { client_tls, root_cert })
}

/// The answer to `HELLO`, if it is that of a server that will do.
fn understand(address: String, said: &HashMap<String, Value>) -> Result<Hello, ConnectError> {
    let text = |name| match said.get(name) {
        Some(Value::BulkString(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Value::SimpleString(text)) => text.clone(),
        _ => String::new(),
    };
    let Some(version) = Version::read(&text("version")) else {
        let sentence = format!("{address} does not tell its version: {NEEDED}");
        return Err(ConnectError::new(Obstacle::Protocol, sentence));
    };
    let (product, oldest) = match text("server").as_str() {
        "valkey" => (Product::Valkey, OLDEST_VALKEY),
        _ => (Product::Redis, OLDEST_REDIS),
    };
    let server = Server { address, product, version };
    if version < oldest {
        return Err(ConnectError::new(Obstacle::Unsupported, format!("{server} is too old: {NEEDED}")));
    }
    Ok(Hello { server, mode: text("mode"), role: text("role") })
}

fn obstacle(error: &RedisError, over_tls: bool) -> Obstacle {
    let says = |words| error.detail().is_some_and(|detail| detail.contains(words));
    match error.kind() {
        _ if matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM")) => Obstacle::Denied,
        ErrorKind::AuthenticationFailed => Obstacle::Denied,
        // A server that refuses the database tells why in words only.
        ErrorKind::Server(_) | ErrorKind::Extension if says("no permissions") => Obstacle::Denied,
        ErrorKind::Server(_) | ErrorKind::Extension if says(UNKNOWN_COMMAND) => Obstacle::Unsupported,
        ErrorKind::RESP3NotSupported => Obstacle::Unsupported,
        ErrorKind::Server(_) | ErrorKind::Extension => Obstacle::Refused,
        ErrorKind::Io | ErrorKind::InvalidClientConfig if over_tls && is_of_tls(error) => Obstacle::Tls,
        ErrorKind::Io | ErrorKind::InvalidClientConfig => Obstacle::Unreachable,
        _ => Obstacle::Protocol,
    }
}

/// With this servers begin to repeat what they were sent.
const UNKNOWN_COMMAND: &str = "unknown command";

/// Whether TLS said it, not the operating system.
fn is_of_tls(error: &RedisError) -> bool {
    let Some(source) = error.source() else {
        return error.kind() == ErrorKind::InvalidClientConfig;
    };
    let source = source.downcast_ref::<Arc<dyn Error + Send + Sync>>();
    match source.and_then(|source| source.downcast_ref::<std::io::Error>()) {
        Some(io) => {
            // A server that does not know TLS hangs up.
            io.kind() == std::io::ErrorKind::UnexpectedEof
                || io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
        }
        None => true,
    }
}

#[cfg(test)]
#[path = "../../../tests/servers/mod.rs"]
mod servers;

#[cfg(test)]
mod tests {

    use redis::{PushInfo, PushKind};
    use tokio::runtime::{Builder, Runtime};
    use tokio::sync::mpsc;

    use super::super::config::RedisOptions;
    use super::servers::{Cluster, RedisServer, Sentinel, free_port, until};
    use super::*;

    const SECRET: &str = "hush-hush";

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    fn options(url: &str) -> RedisOptions {
        // Test machines are busy: only the tests about timeouts have short ones.
        let long = Some(Duration::from_secs(10));
        RedisOptions {
            url: url.to_owned(),
            command_timeout: long,
            connect_timeout: long,
            ..RedisOptions::default()
        }
    }

    fn link(runtime: &Runtime, options: RedisOptions) -> Result<Link, ConnectError> {
        let settings = options.compile().unwrap();
        runtime.block_on(connect(&settings, Purpose::Commands, None))
    }

    fn say<T: redis::FromRedisValue>(runtime: &Runtime, link: &mut Link, words: &[&str]) -> RedisResult<T> {
        let mut command = Cmd::new();
        for word in words {
            command.arg(*word);
        }
        runtime.block_on(command.query_async(link))
    }

    /// All that an error shows to people and to logs.
    fn all_of(error: &ConnectError) -> String {
        let mut text = format!("{error} {error:?}");
        let mut source = error.source();
        while let Some(error) = source {
            text += &format!(" {error} {error:?}");
            source = error.source();
        }
        text
    }

    #[track_caller]
    fn assert_fails(result: Result<Link, ConnectError>, obstacle: Obstacle, words: &str) {
        let error = result.unwrap_err();
        assert_eq!(error.obstacle, obstacle, "{}", all_of(&error));
        assert!(error.to_string().contains(words), "{words:?} is not in {error}");
        assert!(!all_of(&error).contains(SECRET), "{}", all_of(&error));
    }

    #[test]
    fn one_server_is_entered_with_user_password_and_database() {
        let user = ["--user", "alice", "on", ">of-alice", "~*", "&*", "+@all", "-@dangerous"];
        let server = RedisServer::start(&[&["--requirepass", SECRET], &user[..]].concat());
        let runtime = runtime();
        for login in [format!(":{SECRET}"), format!("default:{SECRET}"), "alice:of-alice".to_owned()] {
            let url = format!("redis://{login}@{}/3", server.address());
            let mut link = link(&runtime, options(&url)).unwrap();
            say::<()>(&runtime, &mut link, &["SET", "whose", &login]).unwrap();
            assert_eq!(server.cli(&["-n", "3", "GET", "whose"]), login);
            assert_eq!(say::<String>(&runtime, &mut link, &["CLIENT", "GETNAME"]).unwrap(), NAME);
            assert_eq!(link.get_db(), 3);
            let found = link.server();
            assert_eq!((found.address.clone(), found.product), (server.address(), Product::Redis));
            assert!(found.version >= OLDEST_REDIS, "{found}");
        }
    }

    #[test]
    fn whoever_is_not_let_in_learns_that_it_is_the_authentication_and_nothing_else() {
        let user = ["--user", "alice", "on", ">of-alice", "~*", "&*", "+@all", "-select"];
        let server = RedisServer::start(&[&["--requirepass", "right"], &user[..]].concat());
        let (runtime, address) = (runtime(), server.address());
        for login in ["", &format!(":{SECRET}@"), &format!("nobody:{SECRET}@")] {
            let link = link(&runtime, options(&format!("redis://{login}{address}")));
            assert_fails(link, Obstacle::Denied, "denied the authentication");
        }
        let without_select = link(&runtime, options(&format!("redis://alice:of-alice@{address}/3")));
        assert_fails(without_select, Obstacle::Denied, &address);
        let no_such_database = link(&runtime, options(&format!("redis://:right@{address}/99")));
        assert_fails(no_such_database, Obstacle::Refused, &address);
    }

    #[test]
    fn a_server_that_repeats_what_it_was_sent_does_not_put_the_password_into_an_error() {
        let server = RedisServer::start(&["--rename-command", "HELLO", ""]);
        let link = link(&runtime(), options(&format!("redis://:{SECRET}@{}", server.address())));
        assert_fails(link, Obstacle::Unsupported, "does not speak RESP3");
    }

    #[test]
    fn a_socket_is_a_server_like_any_other() {
        let server = RedisServer::start_socket(&[]);
        let (runtime, path) = (runtime(), server.socket());
        let mut link = link(&runtime, options(&format!("redis+unix://{}?db=1", path.display()))).unwrap();
        say::<()>(&runtime, &mut link, &["SET", "key", "value"]).unwrap();
        assert_eq!(server.cli(&["-n", "1", "GET", "key"]), "value");
        assert_eq!(link.server().address, path.display().to_string());
    }

    #[test]
    fn tls_is_trusted_only_with_the_authority_that_signed_the_certificate() {
        let server = RedisServer::start_tls(&[]);
        let (runtime, by_name) = (runtime(), format!("rediss://localhost:{}", server.port));
        for url in [server.url(), by_name] {
            let trusting = RedisOptions { ca_file: Some(server.ca_file()), ..options(&url) };
            let mut link = link(&runtime, trusting).unwrap();
            assert_eq!(say::<String>(&runtime, &mut link, &["PING"]).unwrap(), "PONG");
        }
        assert_fails(link(&runtime, options(&server.url())), Obstacle::Tls, &server.address());
    }

    #[test]
    fn a_url_that_is_wrong_about_tls_is_told_from_a_server_that_is_not_there() {
        let (runtime, plain, tls) = (runtime(), RedisServer::start(&[]), RedisServer::start_tls(&[]));
        let to_tls = link(&runtime, options(&format!("redis://{}", tls.address())));
        assert_fails(to_tls, Obstacle::Unreachable, "if it speaks TLS only, write rediss://");
        let to_plain = RedisOptions {
            ca_file: Some(tls.ca_file()),
            connect_timeout: Some(Duration::from_millis(200)),
            ..options(&format!("rediss://{}", plain.address()))
        };
        assert_fails(link(&runtime, to_plain), Obstacle::Unreachable, "if it speaks no TLS, write redis://");
    }

    #[test]
    fn a_server_that_asks_for_a_certificate_is_shown_one() {
        let server = RedisServer::start_tls(&["--tls-auth-clients", "yes"]);
        let runtime = runtime();
        let without = RedisOptions { ca_file: Some(server.ca_file()), ..options(&server.url()) };
        let (cert_file, key_file) = server.identity();
        let with = RedisOptions { cert_file: Some(cert_file), key_file: Some(key_file), ..without.clone() };
        let mut shown = link(&runtime, with).unwrap();
        assert_eq!(say::<String>(&runtime, &mut shown, &["PING"]).unwrap(), "PONG");
        assert_fails(link(&runtime, without), Obstacle::Tls, &server.address());
    }

    #[test]
    fn sentinels_lead_to_the_master_and_after_a_failover_to_the_new_one() {
        let sentinel = Sentinel::start();
        let runtime = runtime();
        // The first of them is not there.
        let url = sentinel.url().replace("://", &format!("://127.0.0.1:{},", free_port()));
        let before = sentinel.master_port();
        let mut first = link(&runtime, options(&url)).unwrap();
        assert_eq!(first.server().address, format!("127.0.0.1:{before}"));
        say::<()>(&runtime, &mut first, &["SET", "key", "value"]).unwrap();

        sentinel.failover();
        let after = sentinel.master_port();
        assert_ne!(before, after);
        let mut second = link(&runtime, options(&url)).unwrap();
        assert_eq!(second.server().address, format!("127.0.0.1:{after}"));
        say::<()>(&runtime, &mut second, &["SET", "key", "other"]).unwrap();

        let unknown = url.replace(Sentinel::SERVICE, "nobody");
        assert_fails(link(&runtime, options(&unknown)), Obstacle::NotMaster, "knows no master \"nobody\"");
        let directly = format!("redis://{}", sentinel.sentinel.address());
        assert_fails(link(&runtime, options(&directly)), Obstacle::Unsupported, "write redis+sentinel://");
    }

    #[test]
    fn a_cluster_is_reached_with_all_of_its_nodes() {
        let cluster = Cluster::start(&["--requirepass", SECRET]);
        let runtime = runtime();
        // The first of the nodes is not there.
        let url = cluster.url().replace("://", &format!("://:{SECRET}@127.0.0.1:{},", free_port()));
        let mut link = link(&runtime, options(&url)).unwrap();
        for number in 0..60 {
            say::<()>(&runtime, &mut link, &["SET", &format!("key-{number}"), &number.to_string()]).unwrap();
        }
        for number in 0..60 {
            let found: u32 = say(&runtime, &mut link, &["GET", &format!("key-{number}")]).unwrap();
            assert_eq!(found, number);
        }
        for node in &cluster.nodes {
            assert_ne!(node.cli(&["DBSIZE"]), "0");
        }
        let mut together = redis::pipe();
        together.atomic().set("{a}b", 1).ignore().incr("{a}b", 1);
        let (incremented,): (u32,) = runtime.block_on(together.query_async(&mut link)).unwrap();
        assert_eq!(incremented, 2);

        let one = cluster.nodes.first().unwrap().address();
        let as_one = self::link(&runtime, options(&format!("redis://:{SECRET}@{one}")));
        assert_fails(as_one, Obstacle::Unsupported, "write redis+cluster://");
        let wrong = cluster.url().replace("://", "://:wrong@");
        assert_fails(self::link(&runtime, options(&wrong)), Obstacle::Denied, "denied the authentication");
    }

    #[test]
    fn a_node_that_hangs_leaves_time_for_the_others() {
        let cluster = Cluster::start(&[]);
        let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = cluster.url().replace("://", &format!("://{},", silent.local_addr().unwrap()));
        let options = RedisOptions { connect_timeout: Some(Duration::from_secs(3)), ..options(&url) };
        let runtime = runtime();
        let mut link = link(&runtime, options).unwrap();
        say::<()>(&runtime, &mut link, &["SET", "key", "value"]).unwrap();
    }

    #[test]
    fn a_cluster_speaks_tls_too() {
        let bus = free_port().to_string();
        let enabled = ["--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-port", &bus];
        let node = RedisServer::start_tls(&enabled);
        assert_eq!(node.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]), "OK");
        let whole = || node.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok").then_some(());
        until("the cluster", || node.log(), whole);
        let runtime = runtime();
        let url = format!("rediss+cluster://localhost:{}", node.port);
        let trusting = RedisOptions { ca_file: Some(node.ca_file()), ..options(&url) };
        let mut link = link(&runtime, trusting).unwrap();
        say::<()>(&runtime, &mut link, &["SET", "key", "value"]).unwrap();
        assert_fails(self::link(&runtime, options(&url)), Obstacle::Tls, "no TLS that can be trusted");
    }

    #[test]
    fn servers_of_another_kind_than_the_url_says_are_told_apart() {
        let master = RedisServer::start(&[]);
        let runtime = runtime();
        let replica = RedisServer::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
        assert_fails(link(&runtime, options(&replica.url())), Obstacle::NotMaster, "is a replica");
        let as_cluster = format!("redis+cluster://{}", master.address());
        assert_fails(link(&runtime, options(&as_cluster)), Obstacle::Unsupported, "write redis://");
        let as_sentinel = format!("redis+sentinel://{}/mymaster", master.address());
        assert_fails(link(&runtime, options(&as_sentinel)), Obstacle::Unsupported, "is no sentinel");
    }

    #[test]
    fn where_nobody_answers_connecting_ends_in_time() {
        let runtime = runtime();
        // Accepts connections, and says nothing.
        let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let silent = silent.local_addr().unwrap();
        let stopped = RedisServer::start(&[]);
        stopped.pause();
        let nobody = format!("127.0.0.1:{}", free_port());
        for address in [nobody, silent.to_string(), stopped.address()] {
            for url in [
                format!("redis://{address}"),
                format!("redis+cluster://{address}"),
                format!("redis+sentinel://{address}/mymaster"),
            ] {
                let options =
                    RedisOptions { connect_timeout: Some(Duration::from_millis(200)), ..options(&url) };
                let settings = options.compile().unwrap();
                let connecting = connect(&settings, Purpose::Commands, None);
                let end = runtime.block_on(async { timeout(Duration::from_secs(5), connecting).await });
                assert_fails(end.expect("it ends"), Obstacle::Unreachable, &address);
            }
        }
        let no_socket = link(&runtime, options("redis+unix:///no/such.sock"));
        assert_fails(no_socket, Obstacle::Unreachable, "/no/such.sock does not answer");
    }

    #[test]
    fn a_sentinel_that_hangs_leaves_time_for_the_others() {
        let sentinel = Sentinel::start();
        let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = sentinel.url().replace("://", &format!("://{},", silent.local_addr().unwrap()));
        let options = RedisOptions { connect_timeout: Some(Duration::from_secs(3)), ..options(&url) };
        let link = link(&runtime(), options).unwrap();
        assert_eq!(link.server().address, format!("127.0.0.1:{}", sentinel.master_port()));
    }

    #[test]
    fn commands_end_after_their_timeout_and_a_tail_waits() {
        let server = RedisServer::start(&[]);
        let runtime = runtime();
        let short =
            RedisOptions { command_timeout: Some(Duration::from_millis(20)), ..options(&server.url()) };
        let settings = short.compile().unwrap();
        let wait = ["BLPOP", "empty", "0.2"];
        for (purpose, waits) in [(Purpose::Commands, false), (Purpose::Tail, true)] {
            let mut link = runtime.block_on(connect(&settings, purpose, None)).unwrap();
            let said = say::<Option<(String, String)>>(&runtime, &mut link, &wait);
            assert_eq!(said.as_ref().is_ok_and(Option::is_none), waits, "{purpose:?}: {said:?}");
            assert_eq!(said.is_err_and(|error| error.is_timeout()), !waits, "{purpose:?}");
        }
    }

    async fn next(pushes: &mut mpsc::UnboundedReceiver<PushInfo>, kind: PushKind) -> Vec<Value> {
        let found = async {
            loop {
                let push = pushes.recv().await.expect("the connection is there");
                if push.kind == kind {
                    return push.data;
                }
            }
        };
        timeout(Duration::from_secs(10), found).await.expect("the server says it")
    }

    #[test]
    fn messages_of_a_channel_are_pushed_and_so_is_the_end_of_the_connection() {
        let mut server = RedisServer::start(&[]);
        let cluster = Cluster::start(&[]);
        let runtime = runtime();
        let speakers = [(server.url(), &server), (cluster.url(), cluster.nodes.last().unwrap())];
        for (url, speaker) in speakers {
            let settings = options(&url).compile().unwrap();
            let (sender, mut pushes) = mpsc::unbounded_channel();
            let mut link =
                runtime.block_on(connect(&settings, Purpose::Commands, Some(Arc::new(sender)))).unwrap();
            runtime.block_on(subscribe(&mut link, "news")).unwrap();
            speaker.cli(&["PUBLISH", "news", "hello"]);
            let data = runtime.block_on(next(&mut pushes, PushKind::Message));
            let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
            assert_eq!(data, [text("news"), text("hello")]);
        }

        let settings = options(&server.url()).compile().unwrap();
        let (sender, mut pushes) = mpsc::unbounded_channel();
        let link = runtime.block_on(connect(&settings, Purpose::Commands, Some(Arc::new(sender)))).unwrap();
        server.stop();
        runtime.block_on(next(&mut pushes, PushKind::Disconnection));
        drop(link);
        assert_fails(self::link(&runtime, options(&server.url())), Obstacle::Unreachable, "does not answer");
        server.restart();
        self::link(&runtime, options(&server.url())).unwrap();
    }

    #[test]
    fn servers_that_are_too_old_are_refused_by_name_and_version() {
        let said = |server: &str, version: &str| {
            let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
            let pairs =
                [("server", server), ("version", version), ("mode", "standalone"), ("role", "master")];
            let map = pairs.map(|(name, value)| (name.to_owned(), text(value)));
            understand("host:6379".to_owned(), &map.into_iter().collect())
        };
        for (server, version) in [
            ("redis", "7.0.0"),
            ("redis", "7.0.15"),
            ("redis", "8.2"),
            ("redis", "255.255.255"),
            ("valkey", "7.2.0"),
            ("valkey", "8.1.1-rc2"),
            ("something", "7.2.4"),
        ] {
            let hello = said(server, version).unwrap_or_else(|error| panic!("{server} {version}: {error}"));
            assert_eq!(hello.server.product == Product::Valkey, server == "valkey");
        }
        for (server, version, words) in [
            ("redis", "6.2.14", "Redis 6.2.14 at host:6379 is too old: Redis 7.0 or later, or Valkey 7.2"),
            ("valkey", "7.1.9", "Valkey 7.1.9 at host:6379 is too old"),
            ("redis", "new", "host:6379 does not tell its version"),
            ("redis", "", "host:6379 does not tell its version"),
        ] {
            let text = said(server, version).map_or_else(|error| error.to_string(), |_| String::new());
            assert!(text.starts_with(words), "{server} {version}: {text}");
        }
    }
}
