//! Snapshots: the whole log in one answer, and when it is not the same log any more.

use std::collections::BTreeMap;
use std::time::Duration;

use hotplate::log::{Mode, TargetId};
use hotplate::tier::shared::{Cursor, Head, Record, Snapshot, Tail};

use crate::bench::*;

/// More than two generations of markers.
const MANY: u64 = 120_000;
const AT_ONCE: u64 = 2_000;

async fn load(tier: &Tier) -> Snapshot {
    tier.snapshot(None).await.unwrap()
}

/// The markers by target and whether they are hard.
fn markers(snapshot: &Snapshot) -> BTreeMap<(Option<u64>, bool), u64> {
    let markers: Vec<_> = snapshot
        .markers
        .iter()
        .map(|(target, mode, position)| ((target.map(TargetId::as_u64), *mode == Mode::Hard), *position))
        .collect();
    let map: BTreeMap<_, _> = markers.iter().copied().collect();
    assert_eq!(map.len(), markers.len(), "a target is there twice");
    map
}

pub(crate) async fn snapshot_makes_a_log_where_there_is_none<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let snapshot = load(&tier).await;
    let Cursor { head, nonce } = snapshot.cursor;
    assert!(head.epoch != 0, "{head:?}");
    assert_eq!((head.position, nonce, snapshot.floor), (0, 0, 0));
    assert_eq!(snapshot.markers, []);
    assert_eq!(tier.fetch(key(1)).await.unwrap().head, Some(head));
}

pub(crate) async fn a_second_snapshot_changes_nothing<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    assert_eq!(load(&one).await, load(&other).await);
    append_all(&one, 5).await;
    assert_eq!(load(&one).await, load(&other).await);
}

pub(crate) async fn snapshot_has_every_target_with_its_last_position_by_mode<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let records = [
        record(Mode::Hard, &[Some(1), Some(2)]),
        record(Mode::Soft, &[Some(2), Some(u64::MAX)]),
        record(Mode::Soft, &[Some(1), Some(1)]),
        record(Mode::Hard, &[Some(2), Some(0)]),
        record(Mode::Soft, &[Some(3)]),
    ];
    for record in records {
        tier.append(record).await.unwrap();
    }
    let expected = [
        ((Some(0), true), 4),
        ((Some(1), false), 3),
        ((Some(1), true), 1),
        ((Some(2), false), 2),
        ((Some(2), true), 4),
        ((Some(3), false), 5),
        ((Some(u64::MAX), false), 2),
    ];
    assert_eq!(markers(&load(&tier).await), expected.into());
}

pub(crate) async fn snapshot_has_the_cursor_of_the_last_record<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let (cursors, _) = append_all(&tier, 5).await;
    assert_eq!(load(&tier).await.cursor, cursors[5]);
    bench.trim(0);
    assert_eq!(load(&tier).await.cursor, cursors[5], "although its record is gone");
}

pub(crate) async fn after_many_records_nothing_after_the_floor_is_missing<B: Bench>(bench: &B) {
    let tier = bench.tier();
    // Else markers are summed up as soon as they are a second old.
    tier.retain(3600 * SECOND).await.unwrap();
    let mut named = BTreeMap::new();
    let mut halfway = 0;
    for first in (0..MANY).step_by(usize::try_from(AT_ONCE).unwrap()) {
        let targets: Vec<_> = (first..first + AT_ONCE).map(Some).collect();
        let head = tier.append(record(Mode::Hard, &targets)).await.unwrap();
        named.extend(targets.into_iter().map(|target| ((target, true), head.position)));
        if first == MANY / 2 {
            halfway = load(&tier).await.floor;
        }
    }
    let snapshot = load(&tier).await;
    assert_eq!(snapshot.cursor.head.position, MANY / AT_ONCE);
    let kept = markers(&snapshot);
    for (target, position) in &named {
        match kept.get(target) {
            Some(kept) => assert_eq!(kept, position),
            None => assert!(*position <= snapshot.floor, "{position} is after {}", snapshot.floor),
        }
    }
    assert_eq!(snapshot.floor > 0, B::SUMS_UP, "the floor is {}", snapshot.floor);
    assert!(snapshot.floor < snapshot.cursor.head.position / 2 + 10, "the younger generation is there");
    assert!(!B::SUMS_UP || kept.len() < named.len(), "something was forgotten");
    assert!(halfway <= snapshot.floor, "{halfway} before {}", snapshot.floor);
}

pub(crate) async fn a_target_named_long_ago_and_again_has_its_last_position<B: Bench>(bench: &B) {
    let tier = bench.tier();
    tier.retain(3600 * SECOND).await.unwrap();
    tier.append(naming(u64::MAX)).await.unwrap();
    // So many that the markers are split in two.
    for first in (0..30).map(|number| number * AT_ONCE) {
        let targets: Vec<_> = (first..first + AT_ONCE).map(Some).collect();
        tier.append(record(Mode::Hard, &targets)).await.unwrap();
    }
    let last = tier.append(naming(u64::MAX)).await.unwrap().position;
    let snapshot = load(&tier).await;
    assert!(!usable(&snapshot, last - 1, u64::MAX) && usable(&snapshot, last, u64::MAX));
    assert_eq!(markers(&snapshot).get(&(Some(u64::MAX), true)), Some(&last));
}

pub(crate) async fn everything_makes_what_began_before_it_unusable<B: Bench>(bench: &B) {
    let tier = bench.tier();
    append_all(&tier, 5).await;
    for targets in [&[None][..], &[Some(9), None], &[None, Some(9)]] {
        let position = tier.append(record(Mode::Hard, targets)).await.unwrap().position;
        let snapshot = load(&tier).await;
        for target in [1, 9, 77] {
            assert!(!usable(&snapshot, position - 1, target), "{target} from before {position}");
            assert!(usable(&snapshot, position, target), "{target} from {position} on");
        }
        if B::SUMS_UP {
            assert_eq!((snapshot.floor, snapshot.markers.len()), (position, 0));
        }
    }
    let last = tier.append(naming(3)).await.unwrap().position;
    let snapshot = load(&tier).await;
    assert!(!usable(&snapshot, last - 1, 3) && usable(&snapshot, last - 1, 4) && usable(&snapshot, last, 3));
}

pub(crate) async fn everything_stale_keeps_the_markers<B: Bench>(bench: &B) {
    let tier = bench.tier();
    append_all(&tier, 2).await;
    tier.append(record(Mode::Soft, &[None])).await.unwrap();
    let snapshot = load(&tier).await;
    assert_eq!(snapshot.floor, 0, "stale is not gone");
    let expected = [((None, false), 3), ((Some(1), true), 1), ((Some(2), true), 2)];
    assert_eq!(markers(&snapshot), expected.into());
}

/// A cursor that the log would have reached, and has not: the epoch ends.
async fn assert_ends<B: Bench>(bench: &B, change: impl Fn(Cursor) -> Cursor, place: usize) {
    let (one, other) = (bench.tier(), bench.tier());
    let (cursors, _) = append_all(&one, 5).await;
    let (last, distrusted) = (cursors[5], change(cursors[place]));
    let snapshot = one.snapshot(Some(distrusted)).await.unwrap();
    assert!(snapshot.cursor.head.epoch > last.head.epoch, "{:?} after {last:?}", snapshot.cursor);
    assert_eq!((snapshot.cursor.head.position, snapshot.cursor.nonce, snapshot.floor), (0, 0, 0));
    assert_eq!(snapshot.markers, []);
    // Everybody has it, and it does not end again for the same reason.
    assert_eq!(load(&other).await, snapshot);
    assert_eq!(other.snapshot(Some(distrusted)).await.unwrap(), snapshot);
    assert_eq!(other.fetch(key(1)).await.unwrap().head, Some(snapshot.cursor.head));
}

pub(crate) async fn a_cursor_ahead_of_the_log_ends_the_epoch<B: Bench>(bench: &B) {
    for ahead in [1, 2, 1 << 32, 1 << 53, u64::MAX / 2] {
        let change = |cursor: Cursor| {
            let head = Head { position: cursor.head.position + ahead, ..cursor.head };
            Cursor { head, nonce: 7 }
        };
        assert_ends(bench, change, 5).await;
    }
}

pub(crate) async fn a_cursor_with_another_nonce_ends_the_epoch<B: Bench>(bench: &B) {
    assert_ends(bench, |cursor| Cursor { nonce: cursor.nonce ^ 1, ..cursor }, 5).await;
    assert_ends(bench, |cursor| Cursor { nonce: 0, ..cursor }, 5).await;
}

pub(crate) async fn an_earlier_cursor_with_another_nonce_ends_the_epoch<B: Bench>(bench: &B) {
    assert_ends(bench, |cursor| Cursor { nonce: cursor.nonce ^ (1 << 63), ..cursor }, 2).await;
}

pub(crate) async fn a_cursor_of_the_log_does_not_end_the_epoch<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let (cursors, _) = append_all(&one, 5).await;
    let expected = load(&one).await;
    for cursor in cursors {
        assert_eq!(other.snapshot(Some(cursor)).await.unwrap(), expected, "{cursor:?}");
    }
}

pub(crate) async fn a_cursor_of_an_earlier_epoch_does_not_end_this_one<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let (cursors, _) = append_all(&tier, 5).await;
    let expected = load(&tier).await;
    for epoch in [0, cursors[5].head.epoch - 1] {
        for position in [0, 5, 1 << 40] {
            let cursor = Cursor { head: Head { epoch, position }, nonce: 9 };
            assert_eq!(tier.snapshot(Some(cursor)).await.unwrap(), expected, "{cursor:?}");
        }
    }
}

/// A failover to a copy from before a flush: what was appended in the epoch that was seen is gone.
pub(crate) async fn a_cursor_of_a_later_epoch_ends_this_one<B: Bench>(bench: &B) {
    let tier = bench.tier();
    for later in [1, 1000, 1 << 40] {
        let (cursors, _) = append_all(&tier, 5).await;
        let head = Head { epoch: cursors[5].head.epoch + later, position: 1 };
        let cursor = tier.snapshot(Some(Cursor { head, nonce: 9 })).await.unwrap().cursor;
        assert!(cursor.head.epoch > head.epoch, "{cursor:?} after {head:?} was seen");
        assert_eq!(tail(&tier, cursors[5]).await, Tail::Gap);
    }
}

pub(crate) async fn a_log_that_was_ended_is_a_gap_for_others<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let (cursors, _) = append_all(&one, 5).await;
    let waiting = begin(one.tail(cursors[5], 60 * SECOND));
    bench.pass(Duration::from_millis(50)).await;
    let distrusted = Cursor { head: Head { position: 6, ..cursors[5].head }, nonce: 9 };
    other.snapshot(Some(distrusted)).await.unwrap();
    assert_eq!(promptly("the gap", waiting).await, Tail::Gap);
    for cursor in cursors {
        assert_eq!(tail(&one, cursor).await, Tail::Gap);
    }
}

pub(crate) async fn an_append_to_a_new_epoch_begins_at_one<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let (_, records) = append_all(&tier, 5).await;
    bench.flush();
    let epoch = load(&tier).await.cursor.head.epoch;
    assert_eq!(tier.append(naming(1)).await, Ok(Head { epoch, position: 1 }));
    // A record of the old epoch that is sent again is a record of the new one.
    assert_eq!(tier.append(records[0].clone()).await, Ok(Head { epoch, position: 2 }));
}

pub(crate) async fn an_epoch_is_greater_than_every_earlier_one<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let mut last = 0;
    for round in 0..20 {
        let epoch = if round % 2 == 0 {
            load(&one).await.cursor.head.epoch
        } else {
            other.append(naming(1)).await.unwrap().epoch
        };
        assert!(epoch > last, "{epoch} after {last}, in round {round}");
        last = epoch;
        bench.flush();
    }
}

pub(crate) async fn snapshot_and_tail_have_every_record_of_a_busy_log<B: Bench>(bench: &B) {
    const RECORDS: u64 = 400;
    let (reader, writer) = (bench.tier(), bench.tier());
    let writing = tokio::spawn(async move {
        let mut appended = Vec::new();
        for target in 1..=RECORDS {
            let record = naming(target);
            let head = writer.append(record.clone()).await.unwrap();
            assert_eq!(head.position, target);
            appended.push(record);
        }
        appended
    });
    bench.until("some records", async || load(&reader).await.cursor.head.position >= RECORDS / 8).await;
    let mut followers = Vec::new();
    for _ in 0..4 {
        let reader = reader.clone();
        let snapshot = load(&reader).await;
        followers.push((
            snapshot.clone(),
            tokio::spawn(async move {
                let mut cursor = snapshot.cursor;
                let mut came: Vec<Record> = Vec::new();
                while cursor.head.position < RECORDS {
                    let Tail::Records(next) = reader.tail(cursor, SECOND).await.unwrap() else {
                        panic!("a gap after {cursor:?}");
                    };
                    cursor.head.position += next.len() as u64;
                    cursor.nonce = next.last().map_or(cursor.nonce, |record| record.nonce);
                    came.extend(next);
                }
                came
            }),
        ));
    }
    let appended = bench.ended(writing).await;
    for (snapshot, following) in followers {
        let came = bench.ended(following).await;
        let read = usize::try_from(snapshot.cursor.head.position).unwrap();
        assert!(came == appended[read..], "after {read}");
        let marked = markers(&snapshot);
        assert!((1..=read as u64).all(|target| marked.get(&(Some(target), true)) == Some(&target)));
    }
}

/// A part is gone: the markers may not be whole.
async fn gone_ends_the_epoch<B: Bench>(bench: &B, part: Part) {
    let (one, other) = (bench.tier(), bench.tier());
    let (cursors, _) = append_all(&one, 5).await;
    bench.evict(part);
    let snapshot = load(&other).await;
    assert!(snapshot.cursor.head.epoch > cursors[5].head.epoch, "{:?} without {part:?}", snapshot.cursor);
    assert_eq!(snapshot.cursor.head.position, 0);
    assert_eq!(tail(&one, cursors[5]).await, Tail::Gap);
    assert_eq!(load(&one).await, snapshot);
}

pub(crate) async fn a_marker_generation_that_is_gone_ends_the_epoch<B: Bench>(bench: &B) {
    gone_ends_the_epoch(bench, Part::Markers(0)).await;
    gone_ends_the_epoch(bench, Part::Markers(1)).await;
}

pub(crate) async fn a_head_that_is_gone_ends_the_epoch<B: Bench>(bench: &B) {
    gone_ends_the_epoch(bench, Part::Head).await;
}

pub(crate) async fn a_state_that_is_gone_ends_the_epoch<B: Bench>(bench: &B) {
    gone_ends_the_epoch(bench, Part::State).await;
}
