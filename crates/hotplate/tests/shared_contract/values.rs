//! Values: absent or present, older or newer, and for how long.

use std::time::Duration;

use bytes::Bytes;
use hotplate::tier::shared::{Fetched, Publication, Published, Stamp};

use crate::bench::*;

const SHORT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(60);

/// Beyond what 32 bits, and what a double, can tell apart.
const NUMBERS: [u64; 8] = [0, 1, u32::MAX as u64, 1 << 32, (1 << 32) + 1, 1 << 53, (1 << 53) + 1, u64::MAX];

pub(crate) async fn absent_is_no_fault_and_has_no_head_where_there_is_no_log<B: Bench>(bench: &B) {
    assert_eq!(bench.tier().fetch(key(1)).await, Ok(Fetched { value: None, head: None }));
}

pub(crate) async fn absent_comes_with_the_head_where_there_is_a_log<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let made = tier.snapshot(None).await.unwrap().cursor.head;
    assert_eq!(tier.fetch(key(1)).await, Ok(Fetched { value: None, head: Some(made) }));
    assert!(made.epoch != 0 && made.position == 0, "{made:?}");
}

pub(crate) async fn what_is_published_is_fetched_byte_for_byte<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let every_byte: Vec<u8> = (0..=255).collect();
    for payload in [&b""[..], b"v", b"\r\n$-1\r\n\0", &every_byte] {
        let stamp = stamp(1, 2, 3);
        let value = value(key(1), stamp, payload);
        store(&tier, &Publication { value: value.clone(), ..publication(key(1), stamp, "") }).await;
        assert_eq!(tier.fetch(key(1)).await, Ok(Fetched { value: Some(value), head: None }));
    }
}

pub(crate) async fn a_value_of_eight_mebibytes_is_kept_whole<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let stamp = stamp(1, 2, 3);
    let value = value(key(1), stamp, &vec![b'v'; 8 << 20]);
    store(&tier, &Publication { value: value.clone(), ..publication(key(1), stamp, "") }).await;
    assert!(stored(&tier, key(1)).await == Some(value));
}

pub(crate) async fn every_handle_sees_what_one_published<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let publication = publication(key(1), stamp(1, 2, 3), "v");
    store(&one, &publication).await;
    assert_eq!(stored(&other, key(1)).await, Some(publication.value));
}

pub(crate) async fn a_counter_counts_for_everybody_and_is_no_value<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    store(&one, &publication(key(1), stamp(1, 1, 1), "v")).await;
    assert_eq!(one.tally(key(1), 2, LONG).await, Ok(2));
    assert_eq!(other.tally(key(1), -5, LONG).await, Ok(-3));
    assert_eq!(other.tally(key(2), 1, LONG).await, Ok(1));
    one.remove(key(1)).await.unwrap();
    assert_eq!(one.tally(key(1), i64::MIN + 3, LONG).await, Ok(i64::MIN));
    assert_eq!(one.tally(key(1), -1, LONG).await, Err(hotplate::tier::shared::Fault::Refused));
    assert_eq!(one.tally(key(1), 0, LONG).await, Ok(i64::MIN));
}

pub(crate) async fn a_counter_lives_from_its_first_addition_on<B: Bench>(bench: &B) {
    let tier = bench.tier();
    assert_eq!(tier.tally(key(1), 1, SHORT).await, Ok(1));
    bench.pass(SHORT / 3).await;
    assert!(tier.tally(key(1), 1, LONG).await.is_ok());
    bench.pass(SHORT).await;
    assert_eq!(tier.tally(key(1), 1, LONG).await, Ok(1));
}

pub(crate) async fn several_keys_are_fetched_in_their_order<B: Bench>(bench: &B) {
    let tier = bench.tier();
    for number in [1, 3] {
        store(&tier, &publication(key(number), stamp(1, 1, 1), &number.to_string())).await;
    }
    let head = tier.snapshot(None).await.unwrap().cursor.head;
    for numbers in [&[][..], &[1], &[2], &[3, 2, 1, 3], &[2; 300]] {
        let mut one_by_one = Vec::new();
        for number in numbers {
            one_by_one.push(tier.fetch(key(*number)).await);
        }
        assert!(one_by_one.iter().all(|fetched| fetched.as_ref().unwrap().head == Some(head)));
        assert_eq!(tier.fetch_all(numbers.iter().map(|number| key(*number)).collect()).await, one_by_one);
    }
}

pub(crate) async fn keys_do_not_meet<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let numbers = [0, 1, u128::MAX, 0x7b7d << 64, 1 << 127];
    let keys = numbers.map(hotplate::key::Key::from_u128);
    for key in keys {
        assert_eq!(stored(&tier, key).await, None, "{key}");
        store(&tier, &publication(key, stamp(1, 1, 1), &key.to_string())).await;
    }
    for key in keys {
        let expected = publication(key, stamp(1, 1, 1), &key.to_string()).value;
        assert_eq!(stored(&tier, key).await, Some(expected), "{key}");
    }
}

pub(crate) async fn fetch_gives_a_head_as_new_as_the_call<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    for target in 1..20 {
        let appended = one.append(naming(target)).await.unwrap();
        assert_eq!(other.fetch(key(1)).await.unwrap().head, Some(appended));
    }
}

/// Pairs of stamps, the older one first, that differ in one part each.
fn in_order() -> Vec<(Stamp, Stamp)> {
    let mut pairs = Vec::new();
    for window in NUMBERS.windows(2) {
        let (less, more) = (window[0], window[1]);
        pairs.push((stamp(less, 7, 7), stamp(more, 7, 7)));
        pairs.push((stamp(7, less, 7), stamp(7, more, 7)));
        // What stands before decides, whatever stands behind.
        pairs.push((stamp(less, u64::MAX, i64::MAX), stamp(more, 0, 0)));
        pairs.push((stamp(7, less, i64::MAX), stamp(7, more, 0)));
        if let (Ok(less), Ok(more)) = (i64::try_from(less), i64::try_from(more)) {
            pairs.push((stamp(7, 7, less), stamp(7, 7, more)));
        }
    }
    pairs.push((stamp(7, 7, i64::MAX - 1), stamp(7, 7, i64::MAX)));
    pairs
}

pub(crate) async fn an_older_value_does_not_replace_a_newer<B: Bench>(bench: &B) {
    let tier = bench.tier();
    for (number, (older, newer)) in in_order().into_iter().enumerate() {
        let key = key(number as u128);
        let newer = publication(key, newer, "newer");
        store(&tier, &newer).await;
        let refused = tier.publish(publication(key, older, "older")).await;
        assert_eq!(refused, Ok(Published::Older), "{older:?} after {:?}", newer.stamp);
        assert_eq!(stored(&tier, key).await, Some(newer.value));
    }
}

pub(crate) async fn a_newer_value_replaces_an_older<B: Bench>(bench: &B) {
    let tier = bench.tier();
    for (number, (older, newer)) in in_order().into_iter().enumerate() {
        let key = key(number as u128);
        store(&tier, &publication(key, older, "older")).await;
        let newer = publication(key, newer, "newer");
        store(&tier, &newer).await;
        assert_eq!(stored(&tier, key).await, Some(newer.value));
    }
}

pub(crate) async fn a_time_before_1970_is_older<B: Bench>(bench: &B) {
    let tier = bench.tier();
    for (number, (older, newer)) in [(-1, 0), (i64::MIN, i64::MAX), (-2, -1)].into_iter().enumerate() {
        let key = key(number as u128);
        store(&tier, &publication(key, stamp(1, 1, older), "older")).await;
        store(&tier, &publication(key, stamp(1, 1, newer), "newer")).await;
        let refused = tier.publish(publication(key, stamp(1, 1, older), "older")).await;
        assert_eq!(refused, Ok(Published::Older), "{older} after {newer}");
    }
}

pub(crate) async fn an_equal_stamp_replaces<B: Bench>(bench: &B) {
    let tier = bench.tier();
    for number in NUMBERS {
        let stamp = stamp(number, number, i64::try_from(number).unwrap_or(i64::MAX));
        store(&tier, &publication(key(1), stamp, "first")).await;
        let second = publication(key(1), stamp, "second");
        store(&tier, &second).await;
        assert_eq!(stored(&tier, key(1)).await, Some(second.value));
    }
}

pub(crate) async fn a_forced_value_replaces_a_newer<B: Bench>(bench: &B) {
    let tier = bench.tier();
    for (number, (older, newer)) in in_order().into_iter().enumerate() {
        let key = key(number as u128);
        store(&tier, &publication(key, newer, "newer")).await;
        let forced = Publication { force: true, ..publication(key, older, "older") };
        store(&tier, &forced).await;
        assert_eq!(stored(&tier, key).await, Some(forced.value));
    }
}

/// The time, on a tier that is connected: what is stored from here on begins to live later.
async fn connected<B: Bench>(bench: &B, tier: &Tier) -> Duration {
    assert!(tier.fetch(key(2)).await.is_ok());
    bench.now()
}

/// How long it lives from `begin` on, at least as long as `least`.
async fn lives<B: Bench>(bench: &B, tier: &Tier, begin: Duration, least: Duration) -> Duration {
    bench.until("the value to expire", async || stored(tier, key(1)).await.is_none()).await;
    let lived = bench.now() - begin;
    assert!(lived >= least, "{lived:?} instead of {least:?}");
    lived
}

pub(crate) async fn a_value_expires_and_not_before_its_time<B: Bench>(bench: &B) {
    let tier = bench.tier();
    assert_eq!(stored(&tier, key(1)).await, None, "connected");
    let begin = bench.now();
    store(&tier, &Publication { ttl: SHORT, ..publication(key(1), stamp(1, 1, 1), "v") }).await;
    bench.until("the value to expire", async || stored(&tier, key(1)).await.is_none()).await;
    assert!(bench.now() - begin >= SHORT, "{:?}", bench.now() - begin);
}

pub(crate) async fn a_value_may_live_a_millisecond<B: Bench>(bench: &B) {
    let tier = bench.tier();
    for ttl in [Duration::from_millis(1), Duration::from_micros(1500), Duration::from_nanos(1)] {
        let begin = connected(bench, &tier).await;
        store(&tier, &Publication { ttl, ..publication(key(1), stamp(1, 1, 1), "v") }).await;
        lives(bench, &tier, begin, ttl).await;
    }
}

pub(crate) async fn however_long_a_value_may_live_it_is_stored<B: Bench>(bench: &B) {
    let tier = bench.tier();
    bench.pass(Duration::from_millis(1)).await;
    for ttl in [LONG * 60 * 24 * 365 * 100, Duration::MAX] {
        let publication = Publication { ttl, ..publication(key(1), stamp(1, 1, 1), "v") };
        assert_eq!(tier.publish(publication.clone()).await, Ok(Published::Stored), "{ttl:?}");
        assert_eq!(stored(&tier, key(1)).await, Some(publication.value));
    }
}

pub(crate) async fn an_expired_value_does_not_stand_in_the_way_of_an_older<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let begin = connected(bench, &tier).await;
    store(&tier, &Publication { ttl: SHORT, ..publication(key(1), stamp(9, 9, 9), "v") }).await;
    lives(bench, &tier, begin, SHORT).await;
    store(&tier, &publication(key(1), stamp(1, 1, 1), "older")).await;
}

pub(crate) async fn a_shorter_life_replaces_a_longer_one<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let begin = connected(bench, &tier).await;
    store(&tier, &Publication { ttl: LONG, ..publication(key(1), stamp(1, 1, 1), "v") }).await;
    store(&tier, &Publication { ttl: SHORT, ..publication(key(1), stamp(1, 1, 2), "w") }).await;
    assert!(lives(bench, &tier, begin, SHORT).await < LONG / 2);
}

pub(crate) async fn extend_keeps_the_longer_life<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let begin = connected(bench, &tier).await;
    store(&tier, &Publication { ttl: 3 * SHORT, ..publication(key(1), stamp(1, 1, 1), "v") }).await;
    let shorter = Publication { ttl: SHORT, extend: true, ..publication(key(1), stamp(1, 1, 2), "w") };
    store(&tier, &shorter).await;
    assert_eq!(stored(&tier, key(1)).await, Some(shorter.value));
    lives(bench, &tier, begin, 3 * SHORT).await;
}

pub(crate) async fn extend_lengthens_a_shorter_life<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let begin = connected(bench, &tier).await;
    store(&tier, &Publication { ttl: SHORT, ..publication(key(1), stamp(1, 1, 1), "v") }).await;
    let longer = Publication { ttl: 3 * SHORT, extend: true, ..publication(key(1), stamp(1, 1, 2), "w") };
    store(&tier, &longer).await;
    lives(bench, &tier, begin, 3 * SHORT).await;
}

pub(crate) async fn extend_does_not_bring_back_what_expired<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let extending = Publication { ttl: SHORT, extend: true, ..publication(key(1), stamp(1, 1, 1), "v") };
    for _ in 0..2 {
        let begin = connected(bench, &tier).await;
        store(&tier, &extending).await;
        assert!(lives(bench, &tier, begin, SHORT).await < LONG);
    }
}

pub(crate) async fn a_refused_value_changes_no_life<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let begin = connected(bench, &tier).await;
    store(&tier, &Publication { ttl: SHORT, ..publication(key(1), stamp(2, 1, 1), "v") }).await;
    let longer = Publication { ttl: LONG, extend: true, ..publication(key(1), stamp(1, 1, 1), "w") };
    assert_eq!(tier.publish(longer).await, Ok(Published::Older));
    assert!(lives(bench, &tier, begin, SHORT).await < LONG / 2);
}

pub(crate) async fn a_removed_value_is_absent_and_an_older_may_follow<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    store(&one, &publication(key(1), stamp(9, 9, 9), "v")).await;
    store(&one, &publication(key(2), stamp(9, 9, 9), "kept")).await;
    assert_eq!(other.remove(key(1)).await, Ok(()));
    assert_eq!(stored(&one, key(1)).await, None);
    assert!(stored(&one, key(2)).await.is_some());
    store(&one, &publication(key(1), stamp(1, 1, 1), "older")).await;
}

pub(crate) async fn removing_what_is_absent_is_no_fault<B: Bench>(bench: &B) {
    assert_eq!(bench.tier().remove(key(1)).await, Ok(()));
}

pub(crate) async fn of_many_at_once_the_newest_stays<B: Bench>(bench: &B) {
    let tiers = [bench.tier(), bench.tier()];
    let stamps = 0..100_u64;
    let publications: Vec<_> = stamps
        .map(|number| (number * 37) % 100)
        .map(|number| publication(key(1), stamp(1, number, 1), &number.to_string()))
        .collect();
    let calls: Vec<_> = publications
        .iter()
        .zip(tiers.iter().cycle())
        .map(|(publication, tier)| begin(tier.publish(publication.clone())))
        .collect();
    for call in calls {
        bench.ended(call).await;
    }
    let newest: Bytes = publications.into_iter().max_by_key(|publication| publication.stamp).unwrap().value;
    assert_eq!(stored(&tiers[0], key(1)).await, Some(newest));
}
