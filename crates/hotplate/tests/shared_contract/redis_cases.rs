//! What only a server can be brought to: keys without end, garbage that somebody else wrote, a clock that goes back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hotplate::log::Mode;
use hotplate::tier::shared::{Cursor, Fault, Head, LeaseEnd, Leased, Notice, Publication, Tail};
use redis::Value;

use crate::bench::*;
use crate::redis_bench::{PARTS, Servers};

const DAY: Duration = Duration::from_secs(86_400);
const LONG: Duration = Duration::from_secs(60);

/// Tells that everything that is stored ends.
fn assert_mortal(bench: &impl Servers, after: &str) {
    let names = bench.names();
    for name in &names {
        // What expires between the two looks has an end.
        let Value::Int(left) = bench.say(&["PTTL", name]) else { panic!("no number") };
        assert!(left != -1, "{name} lives for ever after {after}");
    }
}

pub(crate) async fn nothing_is_without_end<B: Servers>(bench: &B) {
    let tier = bench.tier();
    let key = key(1);
    let value = publication(key, stamp(1, 1, 1), "v");
    store(&tier, &value).await;
    assert_mortal(bench, "publish");
    store(&tier, &Publication { force: true, ..value.clone() }).await;
    assert_mortal(bench, "a forced publish");
    store(&tier, &Publication { extend: true, ..value.clone() }).await;
    assert_mortal(bench, "an extending publish");
    bench.say(&["SET", &bench.value_name(key), "garbage that lives for ever"]);
    store(&tier, &Publication { extend: true, ..value.clone() }).await;
    assert_mortal(bench, "a publish over what had no end");
    let holder = token();
    tier.lease(key, holder, LONG, Some(value.value.clone())).await.unwrap();
    assert_mortal(bench, "lease");
    tier.lease(key, holder, LONG, Some(value.value.clone())).await.unwrap();
    assert_mortal(bench, "a second lease");
    assert_eq!(tier.renew(key, holder, LONG).await, Ok(true));
    assert_mortal(bench, "renew");
    tier.release(key, holder, LeaseEnd::Stored).await.unwrap();
    tier.remove(key).await.unwrap();
    assert_eq!(bench.names(), Vec::<String>::new(), "nothing is left");
    tier.retain(LONG).await.unwrap();
    assert_mortal(bench, "retain without a log");
    bench.flush();
    let cursor = tier.snapshot(None).await.unwrap().cursor;
    assert_mortal(bench, "snapshot");
    for (mode, targets) in [
        (Mode::Soft, &[Some(1)][..]),
        (Mode::Hard, &[Some(1), Some(2)]),
        (Mode::Hard, &[None]),
        (Mode::Soft, &[None]),
    ] {
        tier.append(record(mode, targets)).await.unwrap();
        assert_mortal(bench, &format!("append of {targets:?}"));
    }
    for _ in 0..3 {
        let many: Vec<_> = (0..60_000).map(Some).collect();
        tier.append(record(Mode::Hard, &many)).await.unwrap();
        assert_mortal(bench, "append of many");
    }
    let ahead = Cursor { head: Head { position: 1 << 40, ..cursor.head }, nonce: 1 };
    tier.snapshot(Some(ahead)).await.unwrap();
    assert_mortal(bench, "a new epoch");
    for part in PARTS {
        bench.evict(part);
        tier.append(naming(1)).await.unwrap();
        assert_mortal(bench, &format!("append without {part:?}"));
        bench.evict(part);
        tier.snapshot(None).await.unwrap();
        assert_mortal(bench, &format!("snapshot without {part:?}"));
        bench.evict_if_there(part);
        tier.retain(LONG).await.unwrap();
        assert_mortal(bench, &format!("retain without {part:?}"));
        tier.append(naming(1)).await.unwrap();
    }
    tier.retain(400 * DAY).await.unwrap();
    assert_mortal(bench, "retain for long");
}

/// Evicts what an earlier step may not have made.
trait EvictIfThere: Servers {
    fn evict_if_there(&self, part: Part) {
        self.say(&["DEL", &self.part_name(part)]);
    }
}

impl<B: Servers> EvictIfThere for B {}

pub(crate) async fn nothing_is_under_another_name<B: Servers>(bench: &B) {
    let tier = bench.tier();
    let key = key(0xabc);
    store(&tier, &publication(key, stamp(1, 1, 1), "v")).await;
    tier.lease(key, token(), LONG, None).await.unwrap();
    tier.lease(self::key(2), token(), LONG, None).await.unwrap();
    tier.append(naming(1)).await.unwrap();
    tier.retain(LONG).await.unwrap();
    let tail = |name: &String| name.strip_prefix(&bench.name("")).map(str::to_owned);
    let mut names: Vec<_> =
        bench.names().iter().map(|name| tail(name).unwrap_or_else(|| panic!("{name}"))).collect();
    names.retain(|name| !name.starts_with("{log}:n:"));
    names.sort();
    let two = self::key(2);
    let mut expected = ["head", "m0", "m1", "state", "stream"].map(|part| format!("{{log}}:{part}")).to_vec();
    expected.extend([format!("{{{key}}}:v"), format!("{{{two}}}:l")]);
    expected.sort();
    assert_eq!(names, expected);
}

/// The shortest life of a part of the log.
fn life_of_log(bench: &impl Servers) -> Duration {
    PARTS
        .map(|part| bench.life(&bench.part_name(part)).expect("nothing is immortal"))
        .into_iter()
        .min()
        .unwrap()
}

pub(crate) async fn retain_raises_and_never_lowers<B: Servers>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    append_all(&one, 2).await;
    one.retain(10 * DAY).await.unwrap();
    assert!(life_of_log(bench) > 10 * DAY - LONG, "{:?}", life_of_log(bench));
    other.retain(DAY).await.unwrap();
    assert!(life_of_log(bench) > 10 * DAY - LONG, "{:?}", life_of_log(bench));
    other.append(record(Mode::Hard, &[None])).await.unwrap();
    assert!(life_of_log(bench) > 10 * DAY - LONG, "{:?}", life_of_log(bench));
    other.retain(20 * DAY).await.unwrap();
    assert!(life_of_log(bench) > 20 * DAY - LONG, "{:?}", life_of_log(bench));
}

pub(crate) async fn a_log_that_is_used_goes_on_living<B: Servers>(bench: &B) {
    let tier = bench.tier();
    append_all(&tier, 2).await;
    for call in ["retain", "append"] {
        for part in PARTS {
            bench.say(&["PEXPIRE", &bench.part_name(part), "5000"]);
        }
        if call == "retain" {
            tier.retain(LONG).await.unwrap();
        } else {
            tier.append(naming(1)).await.unwrap();
        }
        assert!(life_of_log(bench) > LONG, "{:?} after {call}", life_of_log(bench));
    }
}

/// What somebody else may have written where a value is to be.
fn garbage() -> Vec<Vec<u8>> {
    let random: Vec<u8> = (0..64_u32).map(|number| (number * 97 + 11) as u8).collect();
    let mut texts =
        vec![b"x".to_vec(), b"HPS1".to_vec(), b"HPS0 and then something longer than a head".to_vec()];
    for length in [7, 8, 9, 31, 32, 33, 64] {
        texts.push(random[..length].to_vec());
    }
    texts
}

pub(crate) async fn garbage_is_fetched_as_it_is<B: Servers>(bench: &B) {
    let tier = bench.tier();
    for text in garbage().into_iter().chain([Vec::new()]) {
        bench.raw(&[b"SET", bench.value_name(key(1)).as_bytes(), &text]).unwrap();
        assert_eq!(stored(&tier, key(1)).await.as_deref(), Some(&text[..]));
    }
    assert!(tier.is_up());
}

pub(crate) async fn a_value_of_another_type_is_no_panic<B: Servers>(bench: &B) {
    let tier = bench.tier();
    for command in [["RPUSH", "a", ""], ["SADD", "a", ""], ["HSET", "a", "b"], ["ZADD", "1", "b"]] {
        let name = bench.value_name(key(1));
        let words: Vec<_> =
            [command[0], &name, command[1], command[2]].into_iter().filter(|word| !word.is_empty()).collect();
        bench.say(&words);
        let fetched = tier.fetch(key(1)).await;
        assert!(matches!(&fetched, Ok(fetched) if fetched.value.is_none()) || fetched == Err(Fault::Refused));
        let leased = tier.lease(key(1), token(), Duration::from_millis(1), None).await;
        assert!(leased.is_ok() || leased == Err(Fault::Refused), "{leased:?}");
        assert_eq!(tier.remove(key(1)).await, Ok(()));
        assert_eq!(stored(&tier, key(1)).await, None);
        assert!(tier.is_up());
    }
}

pub(crate) async fn a_value_is_published_over_garbage<B: Servers>(bench: &B) {
    let tier = bench.tier();
    let value = publication(key(1), stamp(1, 1, 1), "v");
    for text in garbage() {
        for (force, extend) in [(false, false), (true, false), (false, true)] {
            bench.raw(&[b"SET", bench.value_name(key(1)).as_bytes(), &text]).unwrap();
            store(&tier, &Publication { force, extend, ..value.clone() }).await;
            assert_eq!(stored(&tier, key(1)).await, Some(value.value.clone()), "over {text:?}");
        }
    }
}

pub(crate) async fn a_value_is_published_over_another_type<B: Servers>(bench: &B) {
    let tier = bench.tier();
    bench.say(&["RPUSH", &bench.value_name(key(1)), "a"]);
    let value = publication(key(1), stamp(1, 1, 1), "v");
    store(&tier, &value).await;
    assert_eq!(stored(&tier, key(1)).await, Some(value.value));
}

pub(crate) async fn garbage_that_was_seen_is_leased<B: Servers>(bench: &B) {
    let tier = bench.tier();
    for text in garbage() {
        bench.raw(&[b"SET", bench.value_name(key(1)).as_bytes(), &text]).unwrap();
        let (seen, holder) = (stored(&tier, key(1)).await, token());
        assert_eq!(tier.lease(key(1), holder, LONG, seen).await, Ok(Leased::Granted), "{text:?}");
        assert_eq!(tier.release(key(1), holder, LeaseEnd::Stored).await, Ok(true));
    }
}

/// Tells that there is a new log, and that it works.
async fn assert_new_log(tier: &Tier, last: Cursor, after: &str) {
    let snapshot = tier.snapshot(None).await.unwrap_or_else(|fault| panic!("{fault:?} after {after}"));
    let head = snapshot.cursor.head;
    assert!(head.epoch > last.head.epoch && head.position == 0, "{head:?} after {after}");
    assert_eq!(tier.append(naming(1)).await, Ok(Head { position: 1, ..head }), "{after}");
    assert_eq!(tail(tier, last).await, Tail::Gap, "{after}");
    assert!(tier.is_up(), "{after}");
}

pub(crate) async fn garbage_in_the_log_is_replaced_by_a_new_log<B: Servers>(bench: &B) {
    let tier = bench.tier();
    let name = |part| bench.part_name(part);
    let heads = ["", "nonsense", "5", ":", "1:", "-1:2", "1:2:3", "99999999999999999999999:1", " 1:1"];
    let mut changes: Vec<Vec<String>> =
        heads.iter().map(|head| vec!["SET".into(), name(Part::Head), (*head).into()]).collect();
    for part in [Part::Markers(0), Part::Markers(1)] {
        changes.push(vec!["HSET".into(), name(part), "#".into(), "1".into()]);
    }
    changes.push(vec!["HSET".into(), name(Part::State), "epoch".into(), "nonsense".into()]);
    for field in ["epoch", "nonce", "generation", "floor", "start", "turned", "retain"] {
        changes.push(vec!["HDEL".into(), name(Part::State), field.into()]);
    }
    for change in changes {
        let (cursors, _) = append_all(&tier, 2).await;
        bench.say(&change.iter().map(String::as_str).collect::<Vec<_>>());
        assert_new_log(&tier, cursors[2], &format!("{change:?}")).await;
    }
}

pub(crate) async fn another_type_in_the_log_is_replaced_by_a_new_log<B: Servers>(bench: &B) {
    let tier = bench.tier();
    for part in PARTS {
        let (cursors, _) = append_all(&tier, 2).await;
        bench.evict(part);
        bench.say(&["SADD", &bench.part_name(part), "a"]);
        assert_new_log(&tier, cursors[2], &format!("a set for {part:?}")).await;
    }
}

pub(crate) async fn garbage_on_the_channel_is_no_notice<B: Servers>(bench: &B) {
    let tier = bench.tier();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    tier.listen(Arc::new(move |notice: Notice| ear.lock().unwrap().push(notice)));
    stored(&tier, key(1)).await;
    let channel = bench.name("notices");
    let messages: [&[u8]; 6] = [b"", b"s", &[0; 16], &[0; 17], b"0123456789abcdefx", b"0123456789abcdefss"];
    for message in messages {
        bench.raw(&[b"PUBLISH", channel.as_bytes(), message]).unwrap();
    }
    let holder = token();
    tier.lease(key(1), holder, LONG, None).await.unwrap();
    tier.release(key(1), holder, LeaseEnd::Stored).await.unwrap();
    bench.until("the notice", async || !heard.lock().unwrap().is_empty()).await;
    assert_eq!(*heard.lock().unwrap(), [Notice { key: key(1), end: LeaseEnd::Stored }]);
    assert!(tier.is_up());
}

pub(crate) async fn scripts_that_the_servers_forgot_are_sent_again<B: Servers>(bench: &B) {
    let tier = bench.tier();
    for round in 1..4 {
        bench.everywhere(&[b"SCRIPT", b"FLUSH"]);
        let faults = crate::calls::all_faults(&tier, Cursor::default()).await;
        assert_eq!(faults, [None; 11], "in round {round}");
    }
}

pub(crate) async fn an_epoch_is_greater_although_the_clock_went_back<B: Servers>(bench: &B) {
    let tier = bench.tier();
    // The log was made by a clock that was ahead, and is whole.
    let epoch = 9_000_000_000_000_000_000_u64;
    let text = epoch.to_string();
    let make = || {
        bench.flush();
        let name = |part| bench.part_name(part);
        bench.say(&["SET", &name(Part::Head), &format!("{text}:1"), "EX", "1000"]);
        bench.say(&[
            "HSET",
            &name(Part::State),
            "epoch",
            &text,
            "nonce",
            "7",
            "generation",
            "0",
            "floor",
            "0",
            "start",
            "0",
            "turned",
            "9000000000",
            "retain",
            "0",
        ]);
        let entry = format!("{text}-1");
        bench.say(&[
            "XADD",
            &name(Part::Stream),
            &entry,
            "n",
            "7",
            "p",
            "0",
            "m",
            "h",
            "t",
            "0000000000000001",
        ]);
        for generation in 0..2 {
            bench.say(&["HSET", &name(Part::Markers(generation)), "#", &text]);
        }
    };
    let known = Cursor { head: Head { epoch, position: 1 }, nonce: 7 };
    make();
    assert_eq!(tier.snapshot(Some(known)).await.unwrap().cursor, known, "the test makes what it means to");
    let ahead = Cursor { head: Head { position: 2, ..known.head }, nonce: 8 };
    let after = tier.snapshot(Some(ahead)).await.unwrap().cursor.head.epoch;
    assert!(after > epoch, "{after} after a distrusted cursor");
    for part in [Part::Markers(0), Part::State, Part::Head] {
        make();
        bench.evict(part);
        let after = tier.append(naming(1)).await.unwrap().epoch;
        assert!(after > epoch, "{after} without {part:?}");
    }
}
