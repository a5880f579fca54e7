//! Connecting, with real servers of every kind.

#[path = "../../../../tests/servers/mod.rs"]
mod servers;

use std::error::Error;

use redis::aio::ConnectionLike;
use redis::{PushInfo, PushKind};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use self::servers::{Cluster, RedisServer, Sentinel, free_port, until};
use super::server::{OLDEST_REDIS, Product};
use super::*;
use crate::tier::redis::config::RedisOptions;

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
            let options = RedisOptions { connect_timeout: Some(Duration::from_millis(200)), ..options(&url) };
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
    let short = RedisOptions { command_timeout: Some(Duration::from_millis(20)), ..options(&server.url()) };
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
