//! Which Redis or Valkey, and how it is spoken to: a URL and keywords, checked once.
//!
//! [`RedisOptions`] holds what a developer wrote; [`RedisOptions::compile`] checks it and makes [`RedisSettings`].
//!
//! ```text
//! redis://[[user]:password@]host[:port][/db]                       rediss://  is the same over TLS
//! redis+unix:///path/to.sock[?db=1]                                unix://    is the same
//! redis+sentinel://[[user]:password@]host[:port],…/service[/db]    rediss+sentinel://
//! redis+cluster://[[user]:password@]host[:port],…                  rediss+cluster://
//! ```
//!
//! `valkey` may be written for `redis` everywhere. User, password, service and path are percent-decoded. Every other
//! setting is a query parameter or a keyword ([`RedisOptions`]); written twice, it has to say the same.
//!
//! # Scope
//!
//! Nothing here connects. Certificate files are looked at, so that a wrong path is found at start, and read again for
//! every connection, so that a renewed certificate is used.
//!
//! # Secrets
//!
//! A password is in no error and in no `Debug` output. An error about a URL that cannot be read shows only the parts
//! that cannot hold a password that somebody forgot to encode.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::duration;
use crate::error::ConfigError;

/// How long a command may take unless set otherwise.
pub const DEFAULT_COMMAND_TIMEOUT: Duration = Duration::from_millis(50);

/// How long connecting may take unless set otherwise.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a process that died keeps a key from being loaded by others, unless set otherwise.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(3);

/// What every key in the server begins with unless set otherwise.
pub const DEFAULT_PREFIX: &str = "hotplate";

/// For both timeouts.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
const SHORTEST_LEASE: Duration = Duration::from_millis(200);
const LONGEST_LEASE: Duration = Duration::from_secs(60);
const LONGEST_PREFIX: usize = 64;
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Every query parameter.
const PARAMETERS: [&str; 10] = [
    "ca_file",
    "cert_file",
    "command_timeout",
    "connect_timeout",
    "db",
    "key_file",
    "lease",
    "prefix",
    "sentinel_password",
    "sentinel_username",
];

const SCHEMES: &str = "begin the URL with redis://, rediss:// (TLS), redis+unix://, redis+sentinel:// or \
     redis+cluster:// (valkey may be written for redis), or write memory:// for a cache of this process alone";
const ENCODE: &str = "percent-encode special characters in user and password: / as %2F, ? as %3F, # as %23, @ as %40, \
     : as %3A, % as %25";

/// Settings as they are written; nothing is checked yet. `None` leaves a setting to the URL, and then to its default.
#[derive(Clone, Default)]
pub struct RedisOptions {
    /// Where the server is, with user and password. See the head of this module.
    pub url: String,
    /// How long a command may take; more than zero, at most a minute.
    pub command_timeout: Option<Duration>,
    /// How long connecting may take, with everything that belongs to it; more than zero, at most a minute.
    pub connect_timeout: Option<Duration>,
    /// What every key in the server begins with: 1 to 64 letters, digits and `-_.:`. Caches with one prefix are one.
    pub prefix: Option<String>,
    /// How long a process that died keeps a key from being loaded by others; 200 ms to a minute.
    pub lease: Option<Duration>,
    /// User at the sentinels themselves.
    pub sentinel_username: Option<String>,
    /// Password at the sentinels themselves.
    pub sentinel_password: Option<String>,
    /// PEM file with the authorities that may have signed the server's certificate; else those of the system.
    pub ca_file: Option<PathBuf>,
    /// PEM file with a certificate to show to the server.
    pub cert_file: Option<PathBuf>,
    /// PEM file with the key of `cert_file`.
    pub key_file: Option<PathBuf>,
    /// Number of the database; not with a cluster, which has only one.
    pub db: Option<u32>,
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("url", &redact(&self.url))
            .field("command_timeout", &self.command_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("prefix", &self.prefix)
            .field("lease", &self.lease)
            .field("sentinel_username", &self.sentinel_username)
            .field("sentinel_password", &self.sentinel_password.as_ref().map(|_| HIDDEN))
            .field("ca_file", &self.ca_file)
            .field("cert_file", &self.cert_file)
            .field("key_file", &self.key_file)
            .field("db", &self.db)
            .finish()
    }
}

/// Checked settings: where the server is, and how it is spoken to.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    scheme: String,
    pub(super) place: Place,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    /// 0 with a cluster.
    pub(super) db: u32,
    /// `None`: no TLS.
    pub(super) tls: Option<TlsFiles>,
    pub(super) command_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) prefix: String,
    pub(super) lease: Duration,
}

/// Where the server is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// One server.
    Single(Host),
    /// One server, on this machine.
    Socket(PathBuf),
    /// The master that sentinels know by the name of the service. At least one sentinel.
    Sentinel { sentinels: Vec<Host>, service: String, user: Option<String>, password: Option<Secret> },
    /// A cluster that has at least these nodes. At least one.
    Cluster(Vec<Host>),
}

/// Name or address of a machine, without brackets, and a port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}

/// Files for TLS, all PEM. `cert` and `key` come together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct TlsFiles {
    pub(super) ca: Option<PathBuf>,
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

const HIDDEN: &str = "***";

/// Text that `Debug` does not show.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl RedisOptions {
    /// Checks everything.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for the first setting that cannot be meant. It does not hold the password.
    ///
    /// # Cost
    ///
    /// Reads the certificate files, where there are any.
    pub fn compile(self) -> Result<RedisSettings, ConfigError> {
        let shown = redact(&self.url);
        let refuse = |remedy: &str| ConfigError::new("url", shown.clone(), remedy.to_owned());
        let url = Url::split(self.url.trim()).map_err(refuse)?;
        let scheme = url.scheme.to_ascii_lowercase();
        let (kind, tls) = kind(&scheme).ok_or_else(|| refuse(SCHEMES))?;
        let (user, password) = credentials(url.userinfo).map_err(refuse)?;
        let query = Query::read(url.query).map_err(|remedy| refuse(&remedy))?;

        let db = query.merged_text("db", None)?.map(|text| number(&text)).transpose()?;
        let mut db = once("db", self.db, db, u32::to_string)?;
        let sentinel_user = query.merged_text("sentinel_username", self.sentinel_username)?;
        let sentinel_password = query.merged_text("sentinel_password", self.sentinel_password)?;
        if kind != Kind::Sentinel && (sentinel_user.is_some() || sentinel_password.is_some()) {
            let setting = if sentinel_password.is_some() { "sentinel_password" } else { "sentinel_username" };
            return Err(ConfigError::new(setting, HIDDEN, "it is for redis+sentinel:// only: leave it out"));
        }

        let mut in_path = |text: &str, remedy| {
            let number = if text.is_empty() { None } else { Some(number(text).map_err(|_| refuse(remedy))?) };
            db = once("db", number, db, u32::to_string)?;
            Ok(())
        };
        let place = match kind {
            Kind::Single => {
                in_path(
                    url.path,
                    "write the number of a database, or nothing, after the host, as in redis://host/0",
                )?;
                let mut hosts = hosts(url.hosts, PORT).map_err(refuse)?;
                match (hosts.pop(), hosts.is_empty()) {
                    (Some(host), true) => Place::Single(host),
                    _ => {
                        return Err(refuse(
                            "write one host, or redis+cluster:// or redis+sentinel:// for several",
                        ));
                    }
                }
            }
            Kind::Socket => Place::Socket(socket(&url).map_err(refuse)?),
            Kind::Sentinel => {
                let (service, number) = url.path.split_once('/').unwrap_or((url.path, ""));
                in_path(number, "write the number of a database after the service, as in /service/0")?;
                let service = decode(service).map_err(refuse)?;
                if service.is_empty() {
                    return Err(refuse(
                        "write the name of the service the sentinels watch, as in redis+sentinel://host:26379/mymaster",
                    ));
                }
                Place::Sentinel {
                    sentinels: hosts(url.hosts, SENTINEL_PORT).map_err(refuse)?,
                    service,
                    user: sentinel_user,
                    password: sentinel_password.map(Secret),
                }
            }
            Kind::Cluster => {
                if !url.path.is_empty() || db.is_some_and(|db| db != 0) {
                    return Err(refuse("leave the database out: a cluster has only one"));
                }
                Place::Cluster(hosts(url.hosts, PORT).map_err(refuse)?)
            }
        };

        let within = |setting, keyword, default, shortest: Duration, longest: Duration| {
            let value = query.merged_duration(setting, keyword)?.unwrap_or(default);
            if (shortest..=longest).contains(&value) {
                return Ok(value);
            }
            let remedy = format!("write {shortest:?} to {longest:?}; the default is {default:?}");
            Err(ConfigError::new(setting, format!("{value:?}"), remedy))
        };
        let timeout =
            |setting, keyword, default| within(setting, keyword, default, SHORTEST_TIMEOUT, LONGEST_TIMEOUT);
        let command_timeout = timeout("command_timeout", self.command_timeout, DEFAULT_COMMAND_TIMEOUT)?;
        let connect_timeout = timeout("connect_timeout", self.connect_timeout, DEFAULT_CONNECT_TIMEOUT)?;
        let lease = within("lease", self.lease, DEFAULT_LEASE, SHORTEST_LEASE, LONGEST_LEASE)?;
        let prefix = query.merged_text("prefix", self.prefix)?.unwrap_or_else(|| DEFAULT_PREFIX.to_owned());
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if prefix.is_empty() || prefix.len() > LONGEST_PREFIX || !prefix.bytes().all(allowed) {
            return Err(ConfigError::new("prefix", prefix, "write 1 to 64 letters, digits and -_.: only"));
        }
        let tls = tls_files(
            tls,
            query.merged_path("ca_file", self.ca_file)?,
            query.merged_path("cert_file", self.cert_file)?,
            query.merged_path("key_file", self.key_file)?,
        )?;

        let db = db.unwrap_or(0);
        let password = password.map(Secret);
        Ok(RedisSettings {
            scheme,
            place,
            user,
            password,
            db,
            tls,
            command_timeout,
            connect_timeout,
            prefix,
            lease,
        })
    }
}

impl RedisSettings {
    /// The URL as it may be shown: without the password, and without what was in the query.
    #[must_use]
    pub fn display_url(&self) -> String {
        let credentials = match (&self.user, &self.password) {
            (Some(user), Some(_)) => format!("{}:{HIDDEN}@", encode(user).replace('/', "%2F")),
            (None, Some(_)) => format!(":{HIDDEN}@"),
            _ => String::new(),
        };
        let list = |hosts: &[Host], usual: u16| {
            let shown = hosts.iter().map(|host| {
                let text = host.to_string();
                let bare = text.strip_suffix(&format!(":{usual}")).map(str::to_owned);
                bare.unwrap_or(text)
            });
            shown.collect::<Vec<_>>().join(",")
        };
        let Self { scheme, db, .. } = self;
        match &self.place {
            Place::Single(host) => {
                format!("{scheme}://{credentials}{}/{db}", list(std::slice::from_ref(host), PORT))
            }
            Place::Socket(path) => {
                format!("{scheme}://{credentials}{}?db={db}", encode(&path.to_string_lossy()))
            }
            Place::Sentinel { sentinels, service, .. } => {
                let hosts = list(sentinels, SENTINEL_PORT);
                let service = encode(service).replace('/', "%2F");
                format!("{scheme}://{credentials}{hosts}/{service}/{db}")
            }
            Place::Cluster(nodes) => format!("{scheme}://{credentials}{}", list(nodes, PORT)),
        }
    }

    /// How long a command may take.
    #[must_use]
    pub fn command_timeout(&self) -> Duration {
        self.command_timeout
    }

    /// How long connecting may take.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// What every key in the server begins with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// How long a process that died keeps a key from being loaded by others.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.lease
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Single,
    Socket,
    Sentinel,
    Cluster,
}

/// What a scheme in lower case means, and whether it means TLS.
fn kind(scheme: &str) -> Option<(Kind, bool)> {
    if scheme == "unix" {
        return Some((Kind::Socket, false));
    }
    let (family, kind) = match scheme.split_once('+') {
        None => (scheme, Kind::Single),
        Some((family, "unix")) => (family, Kind::Socket),
        Some((family, "sentinel")) => (family, Kind::Sentinel),
        Some((family, "cluster")) => (family, Kind::Cluster),
        Some(_) => return None,
    };
    match family {
        "redis" | "valkey" => Some((kind, false)),
        "rediss" | "valkeys" if kind != Kind::Socket => Some((kind, true)),
        _ => None,
    }
}

/// The parts of a URL, as they were written.
struct Url<'a> {
    scheme: &'a str,
    userinfo: Option<&'a str>,
    hosts: &'a str,
    /// Without the slash it begins with, and without those it ends with.
    path: &'a str,
    query: &'a str,
}

impl<'a> Url<'a> {
    fn split(text: &'a str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or(SCHEMES)?;
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (userinfo, hosts) = match authority.rsplit_once('@') {
            Some((userinfo, hosts)) => (Some(userinfo), hosts),
            None => (None, authority),
        };
        if rest.contains('#') {
            return Err("leave out what follows #; in user and password write %23 for it");
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        // The tail of a password with a slash or a question mark in it.
        let in_path = userinfo.is_none() && !hosts.is_empty() && path.contains('@');
        if in_path || (query.contains('@') && !names_are_known(query)) {
            return Err(ENCODE);
        }
        let path = path.strip_prefix('/').unwrap_or(path).trim_end_matches('/');
        Ok(Self { scheme, userinfo, hosts, path, query })
    }
}

fn names_are_known(query: &str) -> bool {
    query.split('&').all(|pair| pair.split_once('=').is_some_and(|(name, _)| PARAMETERS.contains(&name)))
}

/// The URL for an error: what may be part of a password that was not encoded is not shown.
fn redact(text: &str) -> String {
    let Some((scheme, rest)) = text.trim().split_once("://") else {
        return HIDDEN.to_owned();
    };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (userinfo, hosts) = match authority.rsplit_once('@') {
        Some((userinfo, hosts)) => match userinfo.split_once(':') {
            Some((user, password)) if !password.is_empty() => (format!("{user}:{HIDDEN}@"), hosts),
            _ => (format!("{HIDDEN}@"), hosts),
        },
        None => (String::new(), authority),
    };
    // What stands where a port belongs and is none may be the password of somebody who forgot the host.
    let is_odd = |host: &str| match host.rsplit_once(':') {
        Some((name, port)) => name.is_empty() || !(port.ends_with(']') || is_number(port)),
        None => false,
    };
    if tail.contains(['@', '#']) || hosts.split(',').any(is_odd) {
        return format!("{scheme}://{HIDDEN}");
    }
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
        Some((name, _)) if PARAMETERS.contains(&name) && !name.contains("password") => pair.to_owned(),
        Some((name, _)) => format!("{name}={HIDDEN}"),
        None => HIDDEN.to_owned(),
    });
    let query = query.collect::<Vec<_>>().join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{userinfo}{hosts}{path}{mark}{query}")
}

fn credentials(userinfo: Option<&str>) -> Result<(Option<String>, Option<String>), &'static str> {
    let Some(userinfo) = userinfo.filter(|text| !text.is_empty()) else {
        return Ok((None, None));
    };
    let Some((user, password)) = userinfo.split_once(':') else {
        return Err("write user:password@, or :password@ for a password alone, before the host");
    };
    let user = Some(decode(user)?).filter(|user| !user.is_empty());
    let password = decode(password)?;
    match (&user, password.is_empty()) {
        (None, true) => Ok((None, None)),
        (Some(_), true) => Err("write the password of the user as well: user:password@"),
        _ => Ok((user, Some(password))),
    }
}

fn hosts(text: &str, usual: u16) -> Result<Vec<Host>, &'static str> {
    const REMEDY: &str = "write a host after ://, as in redis://localhost:6379/0, or several, with commas between, \
         for sentinels and clusters";
    text.split(',')
        .map(|text| {
            let (name, port) = match text.strip_prefix('[') {
                Some(rest) => {
                    let (name, port) = rest.split_once(']').ok_or("close the bracket of the IPv6 address")?;
                    name.parse::<Ipv6Addr>()
                        .map_err(|_| "write an IPv6 address in the brackets, as in [::1]:6379")?;
                    (name, port)
                }
                None if text.matches(':').count() > 1 => {
                    return Err("write an IPv6 address in brackets, as in [::1]:6379");
                }
                None => text.split_at(text.find(':').unwrap_or(text.len())),
            };
            let port = match port.strip_prefix(':') {
                _ if name.is_empty() => return Err(REMEDY),
                None if port.is_empty() => usual,
                Some(port) if is_number(port) => match port.parse() {
                    Ok(0) | Err(_) => return Err("write a port from 1 to 65535"),
                    Ok(port) => port,
                },
                _ => return Err("write a port from 1 to 65535 after the colon"),
            };
            if matches!(name, "0.0.0.0" | "::") {
                return Err("write the address of a server: 0.0.0.0 and [::] are what a server listens on");
            }
            let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
            if !name.bytes().all(in_name) {
                return Err("write a host name of letters, digits, dots and hyphens, or an address");
            }
            Ok(Host { name: name.to_owned(), port })
        })
        .collect()
}

fn socket(url: &Url<'_>) -> Result<PathBuf, &'static str> {
    const REMEDY: &str = "write three slashes and the path of the socket, as in redis+unix:///run/redis.sock";
    if !url.hosts.is_empty() || url.path.is_empty() {
        return Err(REMEDY);
    }
    Ok(PathBuf::from(format!("/{}", decode(url.path)?)))
}

/// The query, decoded, in the order written.
struct Query<'a>(Vec<(&'a str, String)>);

impl<'a> Query<'a> {
    fn read(text: &'a str) -> Result<Self, String> {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !PARAMETERS.contains(&name) {
                let known = PARAMETERS.join(", ");
                return Err(format!("there is no query parameter \"{name}\"; there are {known}"));
            }
            let value = decode(value).map_err(str::to_owned)?;
            if value.is_empty() {
                return Err(format!("give the query parameter {name} a value, or leave it out"));
            }
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(format!("write the query parameter {name} once"));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
    }

    fn merged_text(&self, name: &str, keyword: Option<String>) -> Result<Option<String>, ConfigError> {
        let hidden = name.contains("password");
        let show = |text: &String| if hidden { HIDDEN.to_owned() } else { text.clone() };
        once(name, keyword, self.value(name).map(str::to_owned), show)
    }

    fn merged_path(&self, name: &str, keyword: Option<PathBuf>) -> Result<Option<PathBuf>, ConfigError> {
        once(name, keyword, self.value(name).map(PathBuf::from), |path| path.display().to_string())
    }

    fn merged_duration(
        &self,
        name: &str,
        keyword: Option<Duration>,
    ) -> Result<Option<Duration>, ConfigError> {
        let in_url = self.value(name).map(|text| duration::parse(name, text)).transpose()?;
        once(name, keyword, in_url, |span| format!("{span:?}"))
    }
}

/// One setting from two places, which have to agree.
fn once<T: PartialEq>(
    setting: &str,
    first: Option<T>,
    second: Option<T>,
    show: impl Fn(&T) -> String,
) -> Result<Option<T>, ConfigError> {
    match (first, second) {
        (Some(first), Some(second)) if first != second => {
            let remedy = format!("it is written twice, and once as {}: write it once", show(&second));
            Err(ConfigError::new(setting, show(&first), remedy))
        }
        (first, second) => Ok(first.or(second)),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(text: &str) -> Result<u32, ConfigError> {
    // Servers count databases with a signed number.
    let number = text.parse::<u32>().ok().filter(|number| is_number(text) && *number <= i32::MAX as u32);
    number.ok_or_else(|| ConfigError::new("db", text, "write the number of a database, 0 or more"))
}

/// Checks the files for TLS. `wanted`: the scheme says TLS.
fn tls_files(
    wanted: bool,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<TlsFiles>, ConfigError> {
    for (setting, file) in [("ca_file", &ca), ("cert_file", &cert), ("key_file", &key)] {
        let Some(file) = file else { continue };
        let shown = file.display().to_string();
        if !wanted {
            let remedy = "begin the URL with rediss:// (TLS), or leave it out";
            return Err(ConfigError::new(setting, shown, remedy));
        }
        check_pem(file).map_err(|remedy| ConfigError::new(setting, shown, remedy))?;
    }
    let alone =
        |setting, file: &Path, remedy| Err(ConfigError::new(setting, file.display().to_string(), remedy));
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(cert), None) => {
            return alone("cert_file", &cert, "write key_file as well: the certificate's key");
        }
        (None, Some(key)) => {
            return alone("key_file", &key, "write cert_file as well: the key's certificate");
        }
    };
    Ok(wanted.then_some(TlsFiles { ca, identity }))
}

fn check_pem(file: &Path) -> Result<(), String> {
    let bytes = std::fs::read(file).map_err(|error| format!("write a file that can be read ({error})"))?;
    let begin = b"-----BEGIN ";
    if bytes.windows(begin.len()).any(|window| window == begin) {
        return Ok(());
    }
    Err("write a PEM file: it has a line that starts with -----BEGIN".to_owned())
}

fn decode(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(ENCODE);
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    String::from_utf8(bytes).map_err(|_| "percent-encode the bytes of UTF-8")
}

/// Percent-encodes all but slashes and what never needs it.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> RedisOptions {
        RedisOptions { url: url.to_owned(), ..RedisOptions::default() }
    }

    fn compile(url: &str) -> RedisSettings {
        options(url).compile().unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    #[track_caller]
    fn refused(options: RedisOptions) -> String {
        let shown = format!("{options:?}");
        options.compile().map_or_else(|error| error.to_string(), |_| panic!("{shown} was taken"))
    }

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port }
    }

    #[test]
    fn every_scheme_says_where_the_server_is_and_whether_tls_is_spoken() {
        let sentinel = |sentinels, service: &str| Place::Sentinel {
            sentinels,
            service: service.to_owned(),
            user: None,
            password: None,
        };
        let two = || vec![host("a", 1), host("b", 2)];
        let socket = |path: &str| Place::Socket(PathBuf::from(path));
        for (url, place, tls, db) in [
            ("redis://localhost", Place::Single(host("localhost", 6379)), false, 0),
            ("redis://localhost/", Place::Single(host("localhost", 6379)), false, 0),
            ("REDIS://localhost:7000/3/", Place::Single(host("localhost", 7000)), false, 3),
            (" valkey://10.0.0.1/3?db=3 ", Place::Single(host("10.0.0.1", 6379)), false, 3),
            ("redis://host?db=4", Place::Single(host("host", 6379)), false, 4),
            ("rediss://my_host.example.org", Place::Single(host("my_host.example.org", 6379)), true, 0),
            ("valkeys://[::1]", Place::Single(host("::1", 6379)), true, 0),
            ("redis://[2001:db8::1]:7000/1", Place::Single(host("2001:db8::1", 7000)), false, 1),
            ("redis+unix:///run/redis.sock", socket("/run/redis.sock"), false, 0),
            ("valkey+unix:///run/a%20b.sock?db=1", socket("/run/a b.sock"), false, 1),
            ("unix:///run/a@b.sock", socket("/run/a@b.sock"), false, 0),
            ("redis+sentinel://a:1,b:2/mymaster", sentinel(two(), "mymaster"), false, 0),
            ("rediss+sentinel://a:1,b:2/my%2Fmaster/5", sentinel(two(), "my/master"), true, 5),
            ("valkey+sentinel://a/m", sentinel(vec![host("a", 26379)], "m"), false, 0),
            ("redis+cluster://a:1,b:2", Place::Cluster(two()), false, 0),
            ("redis+cluster://a:1,b:2/?db=0", Place::Cluster(two()), false, 0),
            ("rediss+cluster://[::1]:1,b", Place::Cluster(vec![host("::1", 1), host("b", 6379)]), true, 0),
            ("valkey+cluster://a", Place::Cluster(vec![host("a", 6379)]), false, 0),
            ("valkeys+cluster://a", Place::Cluster(vec![host("a", 6379)]), true, 0),
        ] {
            let settings = compile(url);
            assert_eq!(settings.place, place, "{url}");
            assert_eq!(settings.tls.is_some(), tls, "{url}");
            assert_eq!(settings.db, db, "{url}");
        }
    }

    #[test]
    fn user_and_password_are_percent_decoded() {
        for (url, user, password) in [
            ("redis://host", None, None),
            ("redis://@host", None, None),
            ("redis://:@host", None, None),
            ("redis://:secret@host", None, Some("secret")),
            ("redis://user:secret@host", Some("user"), Some("secret")),
            ("redis://a%40b:%2f%3A%25%C3%A9@host", Some("a@b"), Some("/:%é")),
            ("redis://user:with@at:and@host", Some("user"), Some("with@at:and")),
            ("redis+sentinel://user:secret@a,b/m", Some("user"), Some("secret")),
            ("unix://user:secret@/run/redis.sock", Some("user"), Some("secret")),
        ] {
            let settings = compile(url);
            assert_eq!(settings.user.as_deref(), user, "{url}");
            assert_eq!(settings.password.as_ref().map(Secret::expose), password, "{url}");
        }
    }

    #[test]
    fn settings_have_defaults_and_come_from_the_query_or_from_keywords() {
        let settings = compile("redis://host");
        assert_eq!(settings.command_timeout(), Duration::from_millis(50));
        assert_eq!(settings.connect_timeout(), Duration::from_secs(1));
        assert_eq!(settings.lease(), Duration::from_secs(3));
        assert_eq!(settings.prefix(), "hotplate");

        let url = "redis://host?command_timeout=20ms&connect_timeout=2&lease=1s&prefix=shop-1_a.b:c&db=2";
        let keywords = RedisOptions {
            command_timeout: Some(Duration::from_millis(20)),
            connect_timeout: Some(Duration::from_secs(2)),
            lease: Some(Duration::from_secs(1)),
            prefix: Some("shop-1_a.b:c".to_owned()),
            db: Some(2),
            ..options("redis://host/2")
        };
        let both = RedisOptions { url: url.to_owned(), ..keywords.clone() };
        for settings in [compile(url), keywords.compile().unwrap(), both.compile().unwrap()] {
            assert_eq!(settings.command_timeout(), Duration::from_millis(20));
            assert_eq!(settings.connect_timeout(), Duration::from_secs(2));
            assert_eq!(settings.lease(), Duration::from_secs(1));
            assert_eq!(settings.prefix(), "shop-1_a.b:c");
            assert_eq!(settings.db, 2);
        }
    }

    #[test]
    fn sentinels_have_a_user_and_a_password_of_their_own() {
        let settings = compile("redis+sentinel://u:p@a/m?sentinel_username=s&sentinel_password=t%40u");
        let Place::Sentinel { user, password, .. } = settings.place else { panic!("{settings:?}") };
        assert_eq!((user.as_deref(), password.as_ref().map(Secret::expose)), (Some("s"), Some("t@u")));
        assert_eq!(settings.user.as_deref(), Some("u"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_to_write() {
        for (url, expected) in [
            ("", "begin the URL with redis://"),
            ("localhost:6379", "begin the URL with redis://"),
            ("http://localhost", "begin the URL with redis://"),
            ("redis+what://localhost", "begin the URL with redis://"),
            ("rediss+unix:///run/redis.sock", "begin the URL with redis://"),
            ("redis://", "write a host after ://"),
            ("redis:///0", "write a host after ://"),
            ("redis://:6379", "write a host after ://"),
            ("redis+cluster://", "write a host after ://"),
            ("redis+cluster://a,,b", "write a host after ://"),
            ("redis+sentinel:///mymaster", "write a host after ://"),
            ("redis://a,b", "redis+cluster:// or redis+sentinel:// for several"),
            ("redis://host:", "write a port from 1 to 65535"),
            ("redis://host:0", "write a port from 1 to 65535"),
            ("redis://host:65536", "write a port from 1 to 65535"),
            ("redis://host:+1", "write a port from 1 to 65535"),
            ("redis://host:port", "write a port from 1 to 65535"),
            ("redis://::1", "write an IPv6 address in brackets"),
            ("redis://a:b:c", "write an IPv6 address in brackets"),
            ("redis://[::1", "close the bracket"),
            ("redis://[host]", "write an IPv6 address in the brackets"),
            ("redis://[::1]6379", "write a port from 1 to 65535"),
            ("redis://0.0.0.0", "the address of a server"),
            ("redis://[::]:6379", "the address of a server"),
            ("redis://my host", "write a host name of letters"),
            ("redis://host/zero", "write the number of a database"),
            ("redis://host/-1", "write the number of a database"),
            ("redis://host/0/1", "write the number of a database"),
            ("redis://host/4294967296", "write the number of a database"),
            ("redis://host?db=x", "write the number of a database"),
            ("redis://host/1?db=2", "write it once"),
            ("redis+sentinel://host", "the name of the service"),
            ("redis+sentinel://host//1", "the name of the service"),
            ("redis+sentinel://host/m/x", "write the number of a database after the service"),
            ("redis+cluster://host/1", "a cluster has only one"),
            ("redis+cluster://host?db=1", "a cluster has only one"),
            ("redis+unix://run/redis.sock", "write three slashes"),
            ("redis+unix:///", "write three slashes"),
            (
                "redis://host?timeout=1",
                "no query parameter \"timeout\"; there are ca_file, cert_file, command_timeout,",
            ),
            ("redis://host?prefix=a&prefix=a", "write the query parameter prefix once"),
            ("redis://host?prefix", "give the query parameter prefix a value"),
            ("redis://host?prefix=", "give the query parameter prefix a value"),
            ("redis://host?prefix=a{b}", "write 1 to 64 letters"),
            ("redis://host?prefix=a%20b", "write 1 to 64 letters"),
            ("redis://host?command_timeout=fast", "command_timeout=\"fast\" cannot be used"),
            ("redis://host?command_timeout=2m", "to 60s; the default is"),
            ("redis://host?connect_timeout=0", "connect_timeout=0 cannot be used"),
            ("redis://host?lease=100ms", "write 200ms to 60s; the default is 3s"),
            ("redis://host?lease=61s", "to 60s; the default is"),
            ("redis://host?sentinel_username=u", "it is for redis+sentinel:// only"),
            ("redis://host?ca_file=/ca.pem", "begin the URL with rediss://"),
            ("rediss://host?ca_file=/no/such/file", "write a file that can be read"),
            ("rediss://host?ca_file=/proc/self/status", "write a PEM file"),
            ("redis://host#0", "leave out what follows #"),
            ("redis://user@host", "write user:password@"),
            ("redis://user:@host", "write the password of the user as well"),
            ("redis://u:%zz@host", "percent-encode"),
            ("redis://u:%2@host", "percent-encode"),
            ("redis://u:%ff@host", "percent-encode"),
        ] {
            let text = refused(options(url));
            assert!(text.contains(expected), "{url}: {text}");
        }
        for prefix in ["", "{a}", &"x".repeat(65)] {
            let text = refused(RedisOptions { prefix: Some(prefix.to_owned()), ..options("redis://host") });
            assert!(text.starts_with("prefix="), "{text}");
        }
        let zero = RedisOptions { command_timeout: Some(Duration::ZERO), ..options("redis://host") };
        assert!(refused(zero).starts_with("command_timeout="));
    }

    #[test]
    fn a_keyword_that_contradicts_the_url_is_refused() {
        let text = refused(RedisOptions { db: Some(2), ..options("redis://host/1") });
        assert_eq!(text, "db=1 cannot be used: it is written twice, and once as 2: write it once");
        let other = RedisOptions { lease: Some(Duration::from_secs(2)), ..options("redis://host?lease=1s") };
        assert!(refused(other).starts_with("lease="));
        let hidden = RedisOptions {
            sentinel_password: Some("hush".to_owned()),
            ..options("redis+sentinel://a/m?sentinel_password=silence")
        };
        let text = refused(hidden);
        assert!(text.starts_with("sentinel_password="), "{text}");
        assert!(!text.contains("hush") && !text.contains("silence"), "{text}");
    }

    #[test]
    fn certificate_and_key_come_together_and_only_with_tls() {
        // This very file has the line that is looked for: -----BEGIN
        let pem = Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tier/redis/config.rs")));
        let one = RedisOptions { cert_file: pem.clone(), ..options("rediss://host") };
        assert!(refused(one).contains("write key_file as well"));
        let other = RedisOptions { key_file: pem.clone(), ..options("rediss://host") };
        assert!(refused(other).contains("write cert_file as well"));
        let plain = RedisOptions { cert_file: pem.clone(), ..options("redis+cluster://host") };
        assert!(refused(plain).contains("begin the URL with rediss://"));
        let (cert_file, key_file) = (pem.clone(), pem.clone());
        let all = RedisOptions { ca_file: pem, cert_file, key_file, ..options("rediss://host") };
        let files = all.compile().unwrap().tls.unwrap();
        assert!(files.ca.is_some() && files.identity.is_some());
    }

    #[test]
    fn the_url_that_is_shown_has_no_password() {
        for (url, shown) in [
            ("redis://user:secret@host/0", "redis://user:***@host/0"),
            ("redis://:secret@host:6379", "redis://:***@host/0"),
            ("redis://host:7000/2", "redis://host:7000/2"),
            ("rediss://a%40b:secret@[::1]:7000", "rediss://a%40b:***@[::1]:7000/0"),
            ("valkey+unix://u:secret@/run/x.sock?db=1", "valkey+unix://u:***@/run/x.sock?db=1"),
            (
                "redis+sentinel://u:secret@a:26379,b:1/m/2?sentinel_password=secret",
                "redis+sentinel://u:***@a,b:1/m/2",
            ),
            ("redis+cluster://:secret@a,b:7000", "redis+cluster://:***@a,b:7000"),
        ] {
            let settings = compile(url);
            assert_eq!(settings.display_url(), shown);
            let options = options(url);
            assert!(!format!("{settings:?}{options:?}").contains("secret"), "{settings:?}{options:?}");
        }
        let keyword =
            RedisOptions { sentinel_password: Some("hush".to_owned()), ..options("redis+sentinel://host/m") };
        assert!(!format!("{keyword:?}{:?}", keyword.clone().compile()).contains("hush"));
    }

    #[test]
    fn no_error_shows_a_password_however_the_url_is_wrong() {
        for url in [
            "redis://:hush!hush@",
            "redis://:hush!hush@host:port",
            "redis://user:hush!hush@host/zero",
            "redis://user:hush!hush@host?what=hush",
            "redis://user:hush!hush@host?sentinel_password=hush",
            "redis://host?sentinel_password=hush",
            "redis://host?password=hush",
            "redis+what://user:hush@host",
            "redis://hush@host",
            "redis://hush:@host",
            "redis://:hush",
            "redis://:hush/0",
            "redis://user:hush",
            "redis://user:hush/hush@host",
            "redis://user:hush?hush@host",
            "redis://user:hush?hush=hush@host",
            "redis://user:hush#hush@host",
            "redis://:hush#hush",
            "redis://user:hu@hush/hush@host",
            "redis://user:hu@hush?hush=1@host",
            "redis://user:%zzhush@host",
            ":hush@host",
            "redis:hush@host",
        ] {
            let text = format!("{:?} {}", options(url), refused(options(url)));
            assert!(!text.contains("hush"), "{url}: {text}");
        }
    }

    #[test]
    fn whatever_is_written_is_read_or_refused_and_what_is_shown_names_the_same_place() {
        use proptest::prelude::*;

        let scheme = "(redis|rediss|unix|valkey[+]sentinel|redis[+]cluster)";
        let rest = r"(user:pw@)?[a-z0-9:@/?#%,=&.\[\]é]{0,24}";
        proptest!(|(scheme in scheme, rest in rest)| {
            let written = options(&format!("{scheme}://{rest}"));
            let _ = format!("{written:?}");
            if let Ok(settings) = written.compile() {
                let again = options(&settings.display_url()).compile();
                prop_assert_eq!(again.map(|again| again.place), Ok(settings.place));
            }
        });
    }
}
