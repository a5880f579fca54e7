//! What holds for every call: it may be dropped, and holds nobody up.

use std::time::Duration;

use hotplate::tier::memory::Condition;
use hotplate::tier::shared::{Answer, Cursor, Fault, LeaseEnd, Leased, Tail};
use tokio::time::timeout;

use crate::bench::*;

/// Polls once, and drops.
async fn drop_soon<T>(call: Answer<T>) {
    let _ = timeout(Duration::ZERO, call).await;
}

/// Begins every call there is, and drops it.
async fn drop_all(tier: &Tier, number: u128, after: Cursor) {
    let key = key(number);
    drop_soon(tier.fetch(key)).await;
    drop_soon(tier.publish(publication(key, stamp(1, 1, 1), "dropped"))).await;
    drop_soon(tier.remove(key)).await;
    drop_soon(tier.lease(key, token(), Duration::from_millis(50), None)).await;
    drop_soon(tier.renew(key, token(), SECOND)).await;
    drop_soon(tier.release(key, token(), LeaseEnd::Failed)).await;
    drop_soon(tier.append(naming(1))).await;
    drop_soon(tier.snapshot(None)).await;
    drop_soon(tier.retain(SECOND)).await;
    drop_soon(tier.tail(after, Duration::ZERO)).await;
}

pub(crate) async fn a_dropped_call_harms_nothing<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let before = one.snapshot(None).await.unwrap().cursor;
    for number in 0..50 {
        drop_all(&one, number, before).await;
    }
    for number in 0..50 {
        let key = key(number);
        let newer = publication(key, stamp(2, 1, 1), "newer");
        store(&one, &newer).await;
        assert_eq!(stored(&other, key).await, Some(newer.value.clone()));
        let holder = token();
        let free = async || {
            one.lease(key, holder, 60 * SECOND, Some(newer.value.clone())).await == Ok(Leased::Granted)
        };
        bench.until("the lease to expire", free).await;
        assert_eq!(one.release(key, holder, LeaseEnd::Stored).await, Ok(true));
    }
    // The records that were appended are all there, and no others.
    let Tail::Records(records) = tail(&one, before).await else { panic!("a gap") };
    assert!(records.len() <= 50, "{}", records.len());
    assert_eq!(one.snapshot(None).await.unwrap().cursor.head.position, records.len() as u64);
    assert!(one.is_up() && other.is_up());
}

pub(crate) async fn a_dropped_tail_holds_nobody_up<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let (cursors, records) = append_all(&tier, 2).await;
    let waiting = begin(tier.tail(cursors[2], 60 * SECOND));
    bench.pass(Duration::from_millis(50)).await;
    waiting.abort();
    let read = promptly("tail", begin(tier.tail(cursors[0], Duration::ZERO))).await;
    assert_eq!(read, Tail::Records(records));
    promptly("snapshot", begin(tier.snapshot(None))).await;
    assert!(tier.is_up());
}

pub(crate) async fn a_tail_that_waits_holds_no_call_up<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let (cursors, _) = append_all(&tier, 2).await;
    let waiting = begin(tier.tail(cursors[2], 60 * SECOND));
    bench.pass(Duration::from_millis(50)).await;
    let key = key(1);
    promptly("fetch", begin(tier.fetch(key))).await;
    promptly("publish", begin(tier.publish(publication(key, stamp(1, 1, 1), "v")))).await;
    promptly("remove", begin(tier.remove(key))).await;
    promptly("lease", begin(tier.lease(key, token(), SECOND, None))).await;
    promptly("renew", begin(tier.renew(key, token(), SECOND))).await;
    promptly("release", begin(tier.release(key, token(), LeaseEnd::Failed))).await;
    promptly("retain", begin(tier.retain(SECOND))).await;
    promptly("snapshot", begin(tier.snapshot(None))).await;
    assert!(!waiting.is_finished(), "nothing was appended");
    promptly("append", begin(tier.append(naming(3)))).await;
    promptly("tail", waiting).await;
}

pub(crate) async fn a_clone_of_the_handle_may_outlive_it<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let (cursors, _) = append_all(&tier, 1).await;
    let (fetch, waiting) = (tier.fetch(key(1)), begin(tier.tail(cursors[1], 60 * SECOND)));
    drop(tier);
    assert!(fetch.await.is_ok());
    bench.tier().append(naming(2)).await.unwrap();
    promptly("tail", waiting).await;
}

pub(crate) async fn pause_ends_after_its_span<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let begin = bench.now();
    bench.ended(tokio::spawn(tier.pause(Duration::from_millis(100)))).await;
    assert!(bench.now() - begin >= Duration::from_millis(100));
}

/// The tier in memory is told that it is down; servers are in `outages`.
pub(crate) async fn down_is_told_at_once(bench: &InMemory) {
    let tier = bench.tier();
    let (cursors, _) = append_all(&tier, 2).await;
    let waiting = tokio::spawn(tier.tail(cursors[2], 60 * SECOND));
    assert!(tier.is_up());
    for (condition, fault) in [(Condition::Down, Fault::Down), (Condition::Failing, Fault::Lost)] {
        bench.set(condition);
        assert_eq!(tier.is_up(), fault != Fault::Down);
        assert_eq!(all_faults(&tier, cursors[2]).await, [Some(fault); 11]);
    }
    assert_eq!(promptly("tail", waiting).await, Err(Fault::Down));
    bench.set(Condition::Up);
    assert_eq!(all_faults(&tier, cursors[2]).await, [None; 11]);
    assert!(tier.is_up());
}

/// How every call fails, if it does.
pub(crate) async fn all_faults(tier: &Tier, after: Cursor) -> [Option<Fault>; 11] {
    let key = key(1);
    [
        tier.fetch(key).await.err(),
        tier.fetch_all(vec![key]).await[0].clone().err(),
        tier.publish(publication(key, stamp(1, 1, 1), "v")).await.err(),
        tier.remove(key).await.err(),
        tier.lease(key, token(), SECOND, None).await.err(),
        tier.renew(key, token(), SECOND).await.err(),
        tier.release(key, token(), LeaseEnd::Failed).await.err(),
        tier.append(naming(1)).await.err(),
        tier.tail(after, Duration::ZERO).await.err(),
        tier.snapshot(None).await.err(),
        tier.retain(SECOND).await.err(),
    ]
}
