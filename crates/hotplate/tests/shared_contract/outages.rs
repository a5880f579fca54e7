//! A server that stops, hangs, comes back, has no memory left or is no master any more.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hotplate::key::Key;
use hotplate::tier::redis::{RedisOptions, RedisTier};
use hotplate::tier::shared::{
    Cursor, Fault, Fetched, LeaseEnd, Leased, Notice, Publication, Published, Tail,
};
use tokio::runtime::Builder;

use crate::bench::*;
use crate::calls::all_faults;
use crate::servers::{Cluster, RedisServer};

/// The deadline of commands.
const DEADLINE: Duration = Duration::from_millis(200);

/// By when a tier is back after its server is.
const BACK: Duration = Duration::from_secs(2);

/// What a busy machine may take more.
const SLACK: Duration = Duration::from_millis(300);

fn tier(url: &str) -> Tier {
    tier_within(url, DEADLINE)
}

fn tier_within(url: &str, deadline: Duration) -> Tier {
    let options = RedisOptions {
        url: url.to_owned(),
        command_timeout: Some(deadline),
        connect_timeout: Some(2 * SLACK),
        ..RedisOptions::default()
    };
    let tier = RedisTier::new(options.compile().unwrap());
    tokio::spawn(tier.supervise());
    Arc::new(tier)
}

fn run(case: impl Future<Output = ()>) {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(case);
}

/// Waits until something is so; how long it took.
async fn until(what: &str, limit: Duration, mut met: impl AsyncFnMut() -> bool) -> Duration {
    let begin = Instant::now();
    while !met().await {
        assert!(begin.elapsed() < limit, "waited for {what} in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begin.elapsed()
}

async fn is_back(tier: &Tier) {
    until("the tier to be back", BACK, async || tier.is_up() && tier.fetch(key(1)).await.is_ok()).await;
}

/// Tells that every call ends at once, as it does where nothing is asked.
async fn assert_down(tier: &Tier, after: Cursor) {
    assert!(!tier.is_up());
    let begin = Instant::now();
    assert_eq!(all_faults(tier, after).await, [Some(Fault::Down); 11]);
    assert!(begin.elapsed() < DEADLINE / 2, "{:?} for eleven calls", begin.elapsed());
}

#[test]
fn calls_to_a_server_that_was_killed_end_and_then_at_once() {
    let mut server = RedisServer::start(&[]);
    run(async {
        let tier = tier(&server.url());
        let (cursors, _) = append_all(&tier, 2).await;
        let waiting = tokio::spawn(tier.tail(cursors[2], 60 * SECOND));
        tokio::time::sleep(DEADLINE / 4).await;
        server.stop();
        let begin = Instant::now();
        let fault = tier.fetch(key(1)).await.unwrap_err();
        assert!(begin.elapsed() < DEADLINE + SLACK, "{:?}", begin.elapsed());
        assert!(matches!(fault, Fault::Lost | Fault::Down | Fault::Timeout), "{fault:?}");
        promptly("tail", waiting).await.unwrap_err();
        until("the tier to be down", SLACK, async || !tier.is_up()).await;
        assert_down(&tier, cursors[2]).await;
    });
}

#[test]
fn a_killed_server_that_is_started_again_is_used_within_two_seconds() {
    let mut server = RedisServer::start(&[]);
    run(async {
        let tier = tier(&server.url());
        let mut last = tier.snapshot(None).await.unwrap().cursor;
        for _ in 0..3 {
            server.stop();
            until("the tier to be down", SECOND, async || !tier.is_up()).await;
            server.restart();
            is_back(&tier).await;
            assert_eq!(tail(&tier, last).await, Tail::Gap);
            let cursor = tier.snapshot(Some(last)).await.unwrap().cursor;
            assert!(cursor.head.epoch > last.head.epoch);
            last = cursor;
            assert_eq!(all_faults(&tier, last).await, [None; 11]);
        }
    });
}

#[test]
fn a_server_that_was_away_for_long_is_used_within_two_seconds() {
    let mut server = RedisServer::start(&[]);
    run(async {
        let tier = tier(&server.url());
        stored(&tier, key(1)).await;
        server.stop();
        // The pauses between attempts have grown by then.
        tokio::time::sleep(2 * SECOND).await;
        server.restart();
        is_back(&tier).await;
    });
}

#[test]
fn calls_to_a_server_that_hangs_end_within_the_deadline_and_then_at_once() {
    let server = RedisServer::start(&[]);
    run(async {
        let tier = tier(&server.url());
        let (cursors, _) = append_all(&tier, 2).await;
        server.pause();
        let begin = Instant::now();
        let calls: Vec<_> = (0..10).map(|number| tokio::spawn(tier.fetch(key(number)))).collect();
        for call in calls {
            let fault = call.await.unwrap().unwrap_err();
            assert!(matches!(fault, Fault::Timeout | Fault::Lost | Fault::Down), "{fault:?}");
        }
        assert!(begin.elapsed() < DEADLINE + SLACK, "{:?}", begin.elapsed());
        assert_down(&tier, cursors[2]).await;
        server.resume();
        is_back(&tier).await;
        assert_eq!(tail(&tier, cursors[2]).await, Tail::Records(Vec::new()), "nothing was lost");
    });
}

#[test]
fn every_call_to_a_server_that_hangs_ends() {
    let server = RedisServer::start(&[]);
    run(async {
        // One each: what one call is late for does not end another.
        let mut tiers = Vec::new();
        for _ in 0..10 {
            let tier = tier(&server.url());
            let (cursors, _) = append_all(&tier, 1).await;
            tiers.push((tier, cursors[1]));
        }
        server.pause();
        let calls = tiers.into_iter().enumerate().map(|(call, (tier, after))| {
            tokio::spawn(async move {
                let begin = Instant::now();
                let fault = match call {
                    0 => tier.fetch(key(1)).await.err(),
                    1 => tier.publish(publication(key(1), stamp(1, 1, 1), "v")).await.err(),
                    2 => tier.remove(key(1)).await.err(),
                    3 => tier.lease(key(1), token(), SECOND, None).await.err(),
                    4 => tier.renew(key(1), token(), SECOND).await.err(),
                    5 => tier.release(key(1), token(), LeaseEnd::Failed).await.err(),
                    6 => tier.append(naming(1)).await.err(),
                    7 => tier.retain(SECOND).await.err(),
                    8 => tier.tail(after, DEADLINE).await.err(),
                    _ => tier.snapshot(None).await.err(),
                };
                // What may be large has more time.
                let most = if call < 8 { DEADLINE } else { 3 * SECOND };
                assert!(begin.elapsed() < most + SLACK, "call {call}: {:?}", begin.elapsed());
                assert_eq!(fault, Some(Fault::Timeout), "call {call}");
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
        server.resume();
    });
}

#[test]
fn a_server_that_was_never_there_is_used_when_it_comes() {
    let mut server = RedisServer::start(&[]);
    server.stop();
    run(async {
        let tier = tier(&server.url());
        let begin = Instant::now();
        tier.fetch(key(1)).await.unwrap_err();
        assert!(begin.elapsed() < DEADLINE + SLACK, "{:?}", begin.elapsed());
        until("the tier to be down", SECOND, async || !tier.is_up()).await;
        assert_down(&tier, Cursor::default()).await;
        server.restart();
        is_back(&tier).await;
    });
}

#[test]
fn a_tier_that_nobody_supervises_ends_its_calls() {
    let server = RedisServer::start(&[]);
    run(async {
        let tier =
            RedisTier::new(RedisOptions { url: server.url(), ..RedisOptions::default() }.compile().unwrap());
        let tier: Tier = Arc::new(tier);
        let begin = Instant::now();
        assert!(all_faults(&tier, Cursor::default()).await.iter().all(Option::is_some));
        assert!(begin.elapsed() < 10 * DEADLINE, "{:?}", begin.elapsed());
    });
}

#[test]
fn notices_are_heard_again_after_an_outage() {
    let mut server = RedisServer::start(&[]);
    run(async {
        let (one, other) = (tier(&server.url()), tier(&server.url()));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        other.listen(Arc::new(move |notice: Notice| ear.lock().unwrap().push(notice)));
        for round in 1..=2 {
            is_back(&one).await;
            is_back(&other).await;
            let holder = token();
            assert_eq!(one.lease(key(1), holder, SECOND, None).await, Ok(Leased::Granted));
            assert_eq!(one.release(key(1), holder, LeaseEnd::Stored).await, Ok(true));
            until("the notice", SECOND, async || heard.lock().unwrap().len() >= round).await;
            assert_eq!(heard.lock().unwrap().len(), round);
            server.restart();
            until("the tiers to notice", SECOND, async || !one.is_up() || one.fetch(key(1)).await.is_ok())
                .await;
        }
    });
}

#[test]
fn connections_that_are_cut_are_made_again_within_two_seconds() {
    let server = RedisServer::start(&[]);
    run(async {
        let tier = tier(&server.url());
        let (cursors, _) = append_all(&tier, 2).await;
        for kind in ["normal", "pubsub"] {
            let waiting = tokio::spawn(tier.tail(cursors[2], Duration::from_millis(400)));
            server.cli(&["CLIENT", "KILL", "TYPE", kind]);
            let _ = waiting.await.unwrap();
            is_back(&tier).await;
            until("the log", BACK, async || {
                tier.tail(cursors[2], Duration::ZERO).await == Ok(Tail::Records(Vec::new()))
            })
            .await;
        }
    });
}

#[test]
fn without_memory_values_are_refused_and_the_log_and_leases_go_on() {
    let server = RedisServer::start(&["--maxmemory-policy", "noeviction"]);
    run(async {
        let tier = tier(&server.url());
        let (cursors, _) = append_all(&tier, 2).await;
        let old = publication(key(1), stamp(1, 1, 1), "v");
        store(&tier, &old).await;
        assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "1"]), "OK");
        for known in [true, false] {
            if !known {
                server.cli(&["SCRIPT", "FLUSH"]);
            }
            let refused = tier.publish(publication(key(2), stamp(1, 1, 1), "v")).await;
            assert_eq!(refused, Err(Fault::Refused));
            let forced = Publication { force: true, ..publication(key(1), stamp(9, 1, 1), "w") };
            assert_eq!(tier.publish(forced).await, Err(Fault::Refused));
            assert_eq!(stored(&tier, key(1)).await, Some(old.value.clone()), "what is there stays");
            let (record, holder) = (naming(3), token());
            let head = tier.append(record.clone()).await.unwrap();
            assert_eq!(tier.append(record).await, Ok(head), "once");
            let seen = Some(old.value.clone());
            assert_eq!(tier.lease(key(1), holder, SECOND, seen).await, Ok(Leased::Granted));
            assert_eq!(tier.renew(key(1), holder, SECOND).await, Ok(true));
            assert_eq!(tier.release(key(1), holder, LeaseEnd::NotStorable).await, Ok(true));
            assert_eq!(tier.retain(SECOND).await, Ok(()));
            assert!(matches!(tail(&tier, cursors[2]).await, Tail::Records(records) if !records.is_empty()));
            assert_eq!(tier.snapshot(None).await.unwrap().cursor.head, head);
            assert!(tier.is_up());
        }
        assert_eq!(tier.remove(key(1)).await, Ok(()));
        server.cli(&["FLUSHALL"]);
        assert_eq!(tier.snapshot(None).await.unwrap().cursor.head.position, 0, "a new log is made");
        server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
        assert_eq!(tier.publish(old).await, Ok(Published::Stored));
    });
}

#[test]
fn a_master_that_becomes_a_replica_is_not_written_to() {
    let (server, master) = (RedisServer::start(&[]), RedisServer::start(&[]));
    run(async {
        let tier = tier(&server.url());
        let (cursors, _) = append_all(&tier, 2).await;
        server.cli(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
        let begin = Instant::now();
        let published = tier.publish(publication(key(1), stamp(1, 1, 1), "v")).await;
        assert!(matches!(published, Err(Fault::Refused | Fault::Down | Fault::Lost)), "{published:?}");
        assert!(begin.elapsed() < DEADLINE + SLACK, "{:?}", begin.elapsed());
        until("the tier to be down", SECOND, async || !tier.is_up()).await;
        assert_down(&tier, cursors[2]).await;
        server.cli(&["REPLICAOF", "NO", "ONE"]);
        is_back(&tier).await;
    });
}

#[test]
fn a_node_of_a_cluster_that_hangs_holds_no_call_longer_than_the_deadline() {
    let cluster = Cluster::start(&[]);
    run(async {
        let tier = tier(&cluster.url());
        is_back(&tier).await;
        let node = &cluster.nodes[1];
        node.pause();
        for number in 0..12 {
            let begin = Instant::now();
            let answer = tier.fetch(key(number)).await;
            assert!(begin.elapsed() < DEADLINE + SLACK, "{:?} until {answer:?}", begin.elapsed());
        }
        node.resume();
        is_back(&tier).await;
        assert_eq!(all_faults(&tier, tier.snapshot(None).await.unwrap().cursor).await, [None; 11]);
    });
}

#[test]
fn a_node_of_a_cluster_that_hangs_holds_up_no_call_to_the_others() {
    let cluster = Cluster::start(&[]);
    let node_of = |name: &str| {
        let moved = |node: &RedisServer| node.cli(&["GET", name]).starts_with("MOVED");
        cluster.nodes.iter().position(|node| !moved(node)).unwrap()
    };
    let hangs = (node_of("hotplate:{log}:head") + 1) % cluster.nodes.len();
    let (away, there): (Vec<_>, Vec<_>) =
        (0..10).map(Key::from_u128).partition(|key| node_of(&format!("hotplate:{{{key}}}:v")) == hangs);
    assert!(there.len() > 1, "{away:?} are all there are");
    run(async {
        let tier = tier_within(&cluster.url(), 10 * SECOND);
        is_back(&tier).await;
        cluster.nodes[hangs].pause();
        let late = tokio::spawn(tier.fetch(away[0]));
        // By then it is asked for, and nothing else happens on the connection.
        tokio::time::sleep(DEADLINE).await;
        let absent = Ok(Fetched { value: None, head: None });
        for key in &there {
            assert_eq!(promptly("fetch", tokio::spawn(tier.fetch(*key))).await, absent);
        }
        let several = promptly("fetch_all", tokio::spawn(tier.fetch_all(there.clone()))).await;
        assert_eq!(several, vec![absent.clone(); there.len()]);
        assert!(!late.is_finished());
        cluster.nodes[hangs].resume();
        assert_eq!(late.await.unwrap(), absent);
    });
}
