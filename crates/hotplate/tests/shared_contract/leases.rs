//! Leases: who may load, and how the others hear that it ended.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hotplate::key::Key;
use hotplate::tier::shared::{LeaseEnd, Leased, Notice, Publication};

use crate::bench::*;

const SHORT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(60);
const ENDS: [LeaseEnd; 4] = [LeaseEnd::Stored, LeaseEnd::NotStorable, LeaseEnd::Failed, LeaseEnd::Abandoned];

/// Held, for at most this long.
fn is_held(leased: &Leased, most: Duration) -> bool {
    matches!(leased, Leased::Held(left) if *left <= most)
}

/// How long it takes until a stranger is granted the lease.
async fn free_after<B: Bench>(bench: &B, tier: &Tier, key: Key) -> Duration {
    let (begin, stranger) = (bench.now(), token());
    let free = async || tier.lease(key, stranger, LONG, None).await == Ok(Leased::Granted);
    bench.until("the lease to expire", free).await;
    bench.now() - begin
}

pub(crate) async fn one_at_a_time_has_the_lease<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    assert_eq!(one.lease(key(1), token(), LONG, None).await, Ok(Leased::Granted));
    for tier in [&one, &other] {
        assert!(is_held(&tier.lease(key(1), token(), LONG, None).await.unwrap(), LONG));
    }
}

pub(crate) async fn of_many_who_ask_at_once_one_has_it<B: Bench>(bench: &B) {
    let tiers = [bench.tier(), bench.tier()];
    for number in 0..10 {
        let calls: Vec<_> =
            (0..20).map(|caller| begin(tiers[caller % 2].lease(key(number), token(), LONG, None))).collect();
        let mut granted = 0;
        for call in calls {
            granted += u32::from(bench.ended(call).await == Leased::Granted);
        }
        assert_eq!(granted, 1);
    }
}

pub(crate) async fn the_holder_who_asks_again_keeps_it<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let holder = token();
    for tier in [&one, &other, &one] {
        assert_eq!(tier.lease(key(1), holder, LONG, None).await, Ok(Leased::Granted));
    }
    assert!(is_held(&other.lease(key(1), token(), LONG, None).await.unwrap(), LONG));
}

pub(crate) async fn held_tells_how_long_at_most<B: Bench>(bench: &B) {
    let tier = bench.tier();
    for lasting in [LONG, 2 * LONG, Duration::from_millis(86_400_001)] {
        let key = Key::from_u128(lasting.as_millis());
        assert_eq!(tier.lease(key, token(), lasting, None).await, Ok(Leased::Granted));
        bench.pass(Duration::from_millis(20)).await;
        let held = tier.lease(key, token(), LONG, None).await.unwrap();
        assert!(is_held(&held, lasting - Duration::from_millis(19)), "{held:?} of {lasting:?}");
        assert!(!is_held(&held, lasting - 10 * SECOND), "{held:?} of {lasting:?}");
    }
}

pub(crate) async fn a_lease_expires_and_not_before_its_time<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    stored(&other, key(1)).await;
    let begin = bench.now();
    assert_eq!(one.lease(key(1), token(), SHORT, None).await, Ok(Leased::Granted));
    free_after(bench, &other, key(1)).await;
    assert!(bench.now() - begin >= SHORT, "{:?}", bench.now() - begin);
}

pub(crate) async fn the_holder_who_asks_again_gets_all_of_the_time<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let holder = token();
    for lasting in [SHORT, LONG] {
        assert_eq!(tier.lease(key(1), holder, lasting, None).await, Ok(Leased::Granted));
    }
    let held = tier.lease(key(1), token(), LONG, None).await.unwrap();
    assert!(is_held(&held, LONG) && !is_held(&held, SHORT), "{held:?}");
}

pub(crate) async fn leases_of_two_keys_do_not_meet<B: Bench>(bench: &B) {
    let tier = bench.tier();
    for number in 0..10 {
        assert_eq!(tier.lease(key(number), token(), LONG, None).await, Ok(Leased::Granted));
    }
}

pub(crate) async fn a_value_that_came_since_is_changed<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let seen = stored(&one, key(1)).await;
    store(&other, &publication(key(1), stamp(1, 1, 1), "v")).await;
    assert_eq!(one.lease(key(1), token(), LONG, seen).await, Ok(Leased::Changed));
}

pub(crate) async fn a_value_that_went_since_is_changed<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    store(&other, &publication(key(1), stamp(1, 1, 1), "v")).await;
    let seen = stored(&one, key(1)).await;
    other.remove(key(1)).await.unwrap();
    assert_eq!(one.lease(key(1), token(), LONG, seen).await, Ok(Leased::Changed));
}

pub(crate) async fn a_value_with_another_stamp_is_changed<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let far = i64::try_from(1_u64 << 53).unwrap();
    let stamps = [
        stamp(1, 1, 1),
        stamp(1, 1, 2),
        stamp(1, 1, far),
        stamp(1, 1, far + 1),
        stamp(1, 2, 1),
        stamp(2, 0, 0),
    ];
    for newer in stamps {
        let seen = stored(&one, key(1)).await;
        store(&other, &publication(key(1), newer, "v")).await;
        assert_eq!(one.lease(key(1), token(), LONG, seen).await, Ok(Leased::Changed), "{newer:?}");
    }
}

pub(crate) async fn another_value_with_the_same_stamp_is_changed<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    store(&other, &publication(key(1), stamp(1, 1, 1), "v")).await;
    let seen = stored(&one, key(1)).await;
    store(&other, &publication(key(1), stamp(1, 1, 1), "w")).await;
    assert_eq!(one.lease(key(1), token(), LONG, seen).await, Ok(Leased::Changed));
}

pub(crate) async fn what_was_seen_and_is_still_there_is_granted<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    for stamp in [stamp(0, 0, 0), stamp(1, 1, 1), stamp(u64::MAX, u64::MAX, i64::MAX)] {
        let holder = token();
        store(&other, &publication(key(1), stamp, "v")).await;
        let seen = stored(&one, key(1)).await;
        assert_eq!(one.lease(key(1), holder, LONG, seen).await, Ok(Leased::Granted), "{stamp:?}");
        assert_eq!(other.release(key(1), holder, LeaseEnd::Stored).await, Ok(true));
    }
}

pub(crate) async fn changed_takes_no_lease<B: Bench>(bench: &B) {
    let tier = bench.tier();
    store(&tier, &publication(key(1), stamp(1, 1, 1), "v")).await;
    let present = stored(&tier, key(1)).await;
    let late = token();
    assert_eq!(tier.lease(key(1), late, LONG, None).await, Ok(Leased::Changed));
    assert_eq!(tier.renew(key(1), late, LONG).await, Ok(false));
    assert_eq!(tier.lease(key(1), token(), LONG, present).await, Ok(Leased::Granted));
}

pub(crate) async fn changed_comes_before_held<B: Bench>(bench: &B) {
    let tier = bench.tier();
    assert_eq!(tier.lease(key(1), token(), LONG, None).await, Ok(Leased::Granted));
    store(&tier, &publication(key(1), stamp(1, 1, 1), "v")).await;
    assert_eq!(tier.lease(key(1), token(), LONG, None).await, Ok(Leased::Changed));
}

pub(crate) async fn a_value_that_is_published_leaves_the_lease_alone<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let holder = token();
    assert_eq!(tier.lease(key(1), holder, LONG, None).await, Ok(Leased::Granted));
    store(&tier, &Publication { ttl: SHORT, ..publication(key(1), stamp(1, 1, 1), "v") }).await;
    tier.remove(key(1)).await.unwrap();
    assert!(is_held(&tier.lease(key(1), token(), LONG, None).await.unwrap(), LONG));
    assert_eq!(tier.release(key(1), holder, LeaseEnd::Stored).await, Ok(true));
}

pub(crate) async fn only_the_holder_renews<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let holder = token();
    assert_eq!(one.renew(key(1), holder, LONG).await, Ok(false), "nobody has it");
    one.lease(key(1), holder, LONG, None).await.unwrap();
    assert_eq!(other.renew(key(1), token(), 2 * LONG).await, Ok(false));
    assert!(is_held(&other.lease(key(1), token(), LONG, None).await.unwrap(), LONG));
    assert_eq!(one.renew(key(1), holder, LONG).await, Ok(true));
    assert_eq!(one.renew(key(2), holder, LONG).await, Ok(false), "of another key");
}

pub(crate) async fn a_renewed_lease_lasts_longer<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let holder = token();
    one.lease(key(1), holder, SHORT, None).await.unwrap();
    assert_eq!(one.renew(key(1), holder, LONG).await, Ok(true));
    let held = other.lease(key(1), token(), LONG, None).await.unwrap();
    assert!(is_held(&held, LONG) && !is_held(&held, SHORT), "{held:?}");
}

pub(crate) async fn an_expired_lease_is_not_renewed<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let holder = token();
    tier.lease(key(1), holder, SHORT, None).await.unwrap();
    free_after(bench, &tier, key(1)).await;
    assert_eq!(tier.renew(key(1), holder, LONG).await, Ok(false));
    tier.lease(key(2), holder, Duration::from_millis(1), None).await.unwrap();
    bench.pass(Duration::from_millis(10)).await;
    assert_eq!(tier.renew(key(2), holder, LONG).await, Ok(false), "nobody has it");
}

pub(crate) async fn only_the_holder_releases<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let holder = token();
    assert_eq!(one.release(key(1), holder, LeaseEnd::Stored).await, Ok(false), "nobody has it");
    one.lease(key(1), holder, LONG, None).await.unwrap();
    assert_eq!(other.release(key(1), token(), LeaseEnd::Stored).await, Ok(false));
    assert!(is_held(&other.lease(key(1), token(), LONG, None).await.unwrap(), LONG));
    assert_eq!(one.release(key(1), holder, LeaseEnd::Stored).await, Ok(true));
    assert_eq!(one.release(key(1), holder, LeaseEnd::Stored).await, Ok(false), "twice");
}

pub(crate) async fn an_expired_lease_is_not_released<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let holder = token();
    tier.lease(key(1), holder, SHORT, None).await.unwrap();
    free_after(bench, &tier, key(1)).await;
    assert_eq!(tier.release(key(1), holder, LeaseEnd::Stored).await, Ok(false));
    assert!(is_held(&tier.lease(key(1), token(), LONG, None).await.unwrap(), LONG), "the next has it still");
}

pub(crate) async fn a_released_lease_is_free<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    for tier in [&one, &other, &one] {
        let holder = token();
        assert_eq!(tier.lease(key(1), holder, LONG, None).await, Ok(Leased::Granted));
        assert_eq!(tier.release(key(1), holder, LeaseEnd::Failed).await, Ok(true));
    }
}

/// What is heard through a handle, from now on.
fn heard(tier: &Tier) -> Arc<Mutex<Vec<Notice>>> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    tier.listen(Arc::new(move |notice| ear.lock().unwrap().push(notice)));
    heard
}

/// Leases and releases.
async fn release(tier: &Tier, key: Key, end: LeaseEnd) {
    let holder = token();
    assert_eq!(tier.lease(key, holder, LONG, None).await, Ok(Leased::Granted), "{key}");
    assert_eq!(tier.release(key, holder, end).await, Ok(true), "{key}");
}

pub(crate) async fn a_release_sends_one_notice_with_its_end<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let heard = heard(&other);
    stored(&other, key(1)).await;
    for end in ENDS {
        release(&one, key(1), end).await;
    }
    bench.until("the notices", async || heard.lock().unwrap().len() >= ENDS.len()).await;
    // What came twice would come before this.
    release(&one, key(1), LeaseEnd::Stored).await;
    bench.until("the last notice", async || heard.lock().unwrap().len() > ENDS.len()).await;
    let expected: Vec<_> =
        ENDS.into_iter().chain([LeaseEnd::Stored]).map(|end| Notice { key: key(1), end }).collect();
    assert_eq!(*heard.lock().unwrap(), expected);
}

pub(crate) async fn a_release_by_a_stranger_sends_no_notice<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let heard = heard(&other);
    stored(&other, key(1)).await;
    assert_eq!(one.release(key(1), token(), LeaseEnd::Failed).await, Ok(false));
    let holder = token();
    one.lease(key(1), holder, LONG, None).await.unwrap();
    assert_eq!(one.release(key(1), token(), LeaseEnd::Abandoned).await, Ok(false));
    assert_eq!(one.release(key(1), holder, LeaseEnd::NotStorable).await, Ok(true));
    assert_eq!(one.release(key(1), holder, LeaseEnd::Stored).await, Ok(false));
    release(&one, key(1), LeaseEnd::Stored).await;
    bench.until("the notices", async || heard.lock().unwrap().len() >= 2).await;
    let ends: Vec<_> = heard.lock().unwrap().iter().map(|notice| notice.end).collect();
    assert_eq!(ends, [LeaseEnd::NotStorable, LeaseEnd::Stored]);
}

pub(crate) async fn every_listener_hears_a_notice<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    stored(&other, key(1)).await;
    let all = [heard(&one), heard(&other), heard(&other)];
    stored(&one, key(1)).await;
    release(&one, key(1), LeaseEnd::Stored).await;
    let notice = Notice { key: key(1), end: LeaseEnd::Stored };
    for heard in &all {
        bench.until("the notice", async || heard.lock().unwrap().contains(&notice)).await;
    }
}

pub(crate) async fn keys_that_are_no_text_are_leased_and_released<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let heard = heard(&other);
    stored(&other, key(1)).await;
    // NUL, CR LF, no UTF-8, braces, spaces and quotes, in the key's own bytes.
    let texts = [
        [0; 16],
        [0xff; 16],
        *b"\r\n$3\r\nabc\r\n{}\"'*",
        *b"{}{}{log} :\0\r\n:l",
        *b"\x80\xc0\0\0\0\0\0\0\n\n\n\n    ",
    ];
    let keys = texts.map(|text| Key::from_u128(u128::from_be_bytes(text)));
    for key in keys {
        release(&one, key, LeaseEnd::Failed).await;
    }
    for key in keys {
        let notice = Notice { key, end: LeaseEnd::Failed };
        bench.until("the notice", async || heard.lock().unwrap().contains(&notice)).await;
    }
    assert_eq!(heard.lock().unwrap().len(), keys.len());
}
