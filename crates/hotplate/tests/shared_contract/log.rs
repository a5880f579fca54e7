//! The log: what is appended, and what is read after a cursor.

use std::collections::BTreeSet;
use std::time::Duration;

use hotplate::log::Mode;
use hotplate::tier::shared::{Cursor, Head, Record, Tail};

use crate::bench::*;

const WAIT: Duration = Duration::from_millis(60);
const LONG: Duration = Duration::from_secs(60);

/// Long enough for a call to have reached the storage.
const ON_ITS_WAY: Duration = Duration::from_millis(50);

/// The cursor of a new log.
async fn fresh(tier: &Tier) -> Cursor {
    tier.snapshot(None).await.unwrap().cursor
}

/// What follows a cursor, waited for.
async fn tail_waiting<B: Bench>(bench: &B, tier: &Tier, after: Cursor, wait: Duration) -> Tail {
    bench.ended(begin(tier.tail(after, wait))).await
}

pub(crate) async fn positions_grow_by_one_over_all_handles<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let epoch = fresh(&one).await.head.epoch;
    for position in 1..=20 {
        let tier = if position % 3 == 0 { &other } else { &one };
        let mode = if position % 2 == 0 { Mode::Hard } else { Mode::Soft };
        let appended = tier.append(record(mode, &[Some(7)])).await;
        assert_eq!(appended, Ok(Head { epoch, position }));
    }
}

pub(crate) async fn appended_at_once_each_has_its_own_position<B: Bench>(bench: &B) {
    let tiers = [bench.tier(), bench.tier()];
    let epoch = fresh(&tiers[0]).await.head.epoch;
    let calls: Vec<_> = (0..100)
        .map(|number| {
            let record = naming(number);
            let call = begin(tiers[usize::try_from(number % 2).unwrap()].append(record.clone()));
            (record, call)
        })
        .collect();
    let (mut appended, mut positions) = (Vec::new(), BTreeSet::new());
    for (record, call) in calls {
        let head = bench.ended(call).await;
        assert_eq!(head.epoch, epoch);
        positions.insert(head.position);
        appended.push((head.position, record));
    }
    assert_eq!(positions, (1..=100).collect());
    // And each names the record it was given to.
    appended.sort_by_key(|(position, _)| *position);
    let records = appended.into_iter().map(|(_, record)| record).collect();
    assert_eq!(
        tail(&tiers[0], Cursor { head: Head { epoch, position: 0 }, nonce: 0 }).await,
        Tail::Records(records)
    );
}

pub(crate) async fn a_record_is_appended_once_although_it_is_sent_twice<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let before = fresh(&one).await;
    let (first, second) = (naming(1), naming(2));
    let at_one = one.append(first.clone()).await.unwrap();
    let at_two = one.append(second.clone()).await.unwrap();
    assert_eq!(other.append(first.clone()).await, Ok(at_one), "its own position");
    assert_eq!(other.append(second.clone()).await, Ok(at_two));
    assert_eq!(tail(&other, before).await, Tail::Records(vec![first, second]));
    assert_eq!(one.append(naming(3)).await.unwrap().position, 3);
}

pub(crate) async fn a_record_sent_twice_at_once_is_appended_once<B: Bench>(bench: &B) {
    let tiers = [bench.tier(), bench.tier()];
    let before = fresh(&tiers[0]).await;
    for number in 1..=10 {
        let record = naming(number);
        let calls: Vec<_> =
            tiers.iter().cycle().take(6).map(|tier| begin(tier.append(record.clone()))).collect();
        for call in calls {
            assert_eq!(bench.ended(call).await.position, number);
        }
    }
    let Tail::Records(records) = tail(&tiers[0], before).await else { panic!("a gap") };
    assert_eq!(records.len(), 10);
}

pub(crate) async fn a_nonce_among_the_last_thousand_is_known<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let first = naming(0);
    let head = tier.append(first.clone()).await.unwrap();
    let calls: Vec<_> = (1..1000).map(|number| begin(tier.append(naming(number)))).collect();
    for call in calls {
        bench.ended(call).await;
    }
    assert_eq!(tier.append(first).await, Ok(head));
    assert_eq!(tier.append(naming(1000)).await.unwrap().position, 1001);
}

pub(crate) async fn the_first_append_makes_the_log<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let head = one.append(naming(1)).await.unwrap();
    assert!(head.epoch != 0 && head.position == 1, "{head:?}");
    assert_eq!(other.fetch(key(1)).await.unwrap().head, Some(head));
    assert_eq!(fresh(&other).await.head, head);
}

pub(crate) async fn tail_gives_what_follows_in_order<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let (cursors, records) = append_all(&one, 30).await;
    for (read, cursor) in cursors.iter().enumerate() {
        assert_eq!(tail(&other, *cursor).await, Tail::Records(records[read..].to_vec()), "after {read}");
    }
}

pub(crate) async fn a_record_comes_back_as_it_was_appended<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let before = fresh(&tier).await;
    let shapes: [&[Option<u64>]; 7] = [
        &[Some(0)],
        &[Some(u64::MAX)],
        &[None],
        &[Some(1), Some(2), Some(u64::MAX), Some(1 << 53), Some((1 << 53) + 1)],
        &[Some(1), None, Some(2)],
        &[None, Some(1)],
        &[Some(5), Some(5)],
    ];
    let mut records = Vec::new();
    for shape in shapes {
        for mode in [Mode::Hard, Mode::Soft] {
            records.push(record(mode, shape));
        }
    }
    for nonce in [1, 0x10, u64::MAX - 1, 1 << 63, (1 << 53) + 1] {
        records.push(Record { nonce, ..naming(1) });
    }
    for record in &records {
        tier.append(record.clone()).await.unwrap();
    }
    assert_eq!(tail(&tier, before).await, Tail::Records(records));
}

pub(crate) async fn a_record_that_names_nothing_comes_back<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let before = fresh(&tier).await;
    let records = vec![record(Mode::Hard, &[]), naming(1)];
    for record in &records {
        tier.append(record.clone()).await.unwrap();
    }
    assert_eq!(tier.tail(before, Duration::ZERO).await, Ok(Tail::Records(records)));
}

pub(crate) async fn a_record_of_seventy_thousand_targets_comes_back_whole<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let before = fresh(&tier).await;
    let targets: Vec<_> = (0..70_000).map(Some).collect();
    let record = record(Mode::Hard, &targets);
    tier.append(record.clone()).await.unwrap();
    let Tail::Records(came) = tail(&tier, before).await else { panic!("a gap") };
    assert_eq!(came.iter().map(|record| record.targets.len()).collect::<Vec<_>>(), [70_000]);
    assert!(came == [record]);
}

pub(crate) async fn more_records_than_one_read_takes_come_in_order<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let mut cursor = fresh(&tier).await;
    let records: Vec<_> = (0..2500).map(naming).collect();
    // Sent at once on one connection: they arrive in order or not, but each once.
    let calls: Vec<_> = records.iter().map(|record| begin(tier.append(record.clone()))).collect();
    for call in calls {
        bench.ended(call).await;
    }
    let mut came = BTreeSet::new();
    while came.len() < records.len() {
        let Tail::Records(next) = tail(&tier, cursor).await else { panic!("a gap after {}", came.len()) };
        assert!(!next.is_empty(), "nothing after {}", came.len());
        cursor.head.position += next.len() as u64;
        cursor.nonce = next.last().unwrap().nonce;
        came.extend(next.into_iter().map(|record| record.nonce));
    }
    assert_eq!(came, records.iter().map(|record| record.nonce).collect());
    assert_eq!(cursor.head, fresh(&tier).await.head);
}

pub(crate) async fn tail_is_empty_when_its_wait_is_over<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let (cursors, _) = append_all(&tier, 3).await;
    let begin = bench.now();
    assert_eq!(tail_waiting(bench, &tier, cursors[3], WAIT).await, Tail::Records(Vec::new()));
    let waited = bench.now() - begin;
    assert!((WAIT..WAIT + SECOND).contains(&waited), "{waited:?}");
}

pub(crate) async fn tail_does_not_wait_where_it_is_not_to<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let (cursors, records) = append_all(&tier, 3).await;
    let empty = promptly("nothing follows", begin(tier.tail(cursors[3], Duration::ZERO))).await;
    assert_eq!(empty, Tail::Records(Vec::new()));
    let one = promptly("one follows", begin(tier.tail(cursors[2], LONG))).await;
    assert_eq!(one, Tail::Records(records[2..].to_vec()));
}

pub(crate) async fn tail_wakes_when_another_handle_appends<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let mut cursor = fresh(&one).await;
    for target in 0..3 {
        let waiting = begin(one.tail(cursor, LONG));
        bench.pass(ON_ITS_WAY).await;
        assert!(!waiting.is_finished(), "there is nothing yet");
        let record = naming(target);
        let head = other.append(record.clone()).await.unwrap();
        cursor = Cursor { head, nonce: record.nonce };
        assert_eq!(promptly("the record", waiting).await, Tail::Records(vec![record]));
    }
}

pub(crate) async fn tail_waits_longer_than_half_a_second<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let cursor = fresh(&one).await;
    let waiting = begin(one.tail(cursor, LONG));
    bench.pass(Duration::from_millis(1200)).await;
    assert!(!waiting.is_finished(), "there is nothing yet");
    let record = naming(1);
    other.append(record.clone()).await.unwrap();
    assert_eq!(promptly("the record", waiting).await, Tail::Records(vec![record]));
}

pub(crate) async fn two_tails_of_one_handle_wait_at_once<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let cursor = fresh(&one).await;
    let waiting = [begin(one.tail(cursor, LONG)), begin(one.tail(cursor, LONG))];
    bench.pass(ON_ITS_WAY).await;
    let record = naming(1);
    other.append(record.clone()).await.unwrap();
    for waiting in waiting {
        assert_eq!(promptly("the record", waiting).await, Tail::Records(vec![record.clone()]));
    }
}

/// Tells that something is a gap, whether it is waited for or not.
async fn assert_gap<B: Bench>(bench: &B, tier: &Tier, after: Cursor, what: &str) {
    assert_eq!(tail(tier, after).await, Tail::Gap, "{what}, without waiting");
    assert_eq!(tail_waiting(bench, tier, after, WAIT).await, Tail::Gap, "{what}, waiting");
}

pub(crate) async fn tail_of_an_unknown_epoch_is_a_gap<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let (cursors, _) = append_all(&tier, 3).await;
    let known = cursors[2];
    for epoch in [0, known.head.epoch - 1, known.head.epoch + 1, u64::MAX] {
        let unknown = Cursor { head: Head { epoch, ..known.head }, ..known };
        assert_gap(bench, &tier, unknown, &format!("epoch {epoch}")).await;
    }
}

pub(crate) async fn tail_where_there_is_no_log_is_a_gap<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let cursor = Cursor { head: Head { epoch: 1_700_000_000_000_000_000, position: 3 }, nonce: 5 };
    assert_gap(bench, &tier, cursor, "no log").await;
    assert_gap(bench, &tier, Cursor::default(), "no log, no cursor").await;
}

pub(crate) async fn tail_of_a_position_ahead_of_the_log_is_a_gap<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let (cursors, _) = append_all(&tier, 3).await;
    for position in [4, 5, 1 << 32, (1 << 53) + 1, u64::MAX] {
        let ahead = Cursor { head: Head { position, ..cursors[3].head }, ..cursors[3] };
        assert_gap(bench, &tier, ahead, &format!("position {position}")).await;
    }
}

pub(crate) async fn tail_of_another_nonce_is_a_gap<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let (cursors, _) = append_all(&tier, 3).await;
    for cursor in &cursors[..3] {
        let other = Cursor { nonce: cursor.nonce ^ 1, ..*cursor };
        assert_gap(bench, &tier, other, &format!("{}", cursor.head.position)).await;
    }
}

pub(crate) async fn tail_of_another_nonce_at_the_end_is_a_gap<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let (cursors, _) = append_all(&tier, 3).await;
    let other = Cursor { nonce: cursors[3].nonce ^ 1, ..cursors[3] };
    assert_gap(bench, &tier, other, "nothing follows").await;
}

pub(crate) async fn tail_of_a_trimmed_log_is_a_gap<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let (cursors, records) = append_all(&tier, 10).await;
    bench.trim(4);
    for cursor in &cursors[..6] {
        assert_gap(bench, &tier, *cursor, &format!("{}", cursor.head.position)).await;
    }
    // The first that is left tells which nonce was before it.
    assert_eq!(tail(&tier, cursors[6]).await, Tail::Records(records[6..].to_vec()));
}

pub(crate) async fn tail_of_a_log_trimmed_to_nothing_is_a_gap<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let (cursors, _) = append_all(&tier, 10).await;
    bench.trim(0);
    for cursor in [cursors[0], cursors[5], cursors[9]] {
        assert_gap(bench, &tier, cursor, &format!("{}", cursor.head.position)).await;
    }
}

pub(crate) async fn tail_goes_on_where_only_what_it_has_read_was_trimmed<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let (cursors, _) = append_all(&tier, 10).await;
    bench.trim(0);
    assert_eq!(tail(&tier, cursors[10]).await, Tail::Records(Vec::new()));
    let record = naming(11);
    tier.append(record.clone()).await.unwrap();
    assert_eq!(tail(&tier, cursors[10]).await, Tail::Records(vec![record]));
    assert_eq!(tail(&tier, cursors[9]).await, Tail::Gap);
}

pub(crate) async fn tail_after_a_flush_is_a_gap<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let (cursors, _) = append_all(&one, 3).await;
    bench.flush();
    assert_gap(bench, &one, cursors[3], "no log").await;
    // As many records again, and more: none is taken for one of the old log.
    for target in 0..5 {
        other.append(naming(target)).await.unwrap();
        assert_gap(bench, &one, cursors[3], "a new log").await;
    }
}

pub(crate) async fn tail_that_waits_over_a_flush_wakes_with_the_new_log<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let (cursors, _) = append_all(&one, 3).await;
    let waiting = begin(one.tail(cursors[3], LONG));
    bench.pass(ON_ITS_WAY).await;
    bench.flush();
    other.append(naming(1)).await.unwrap();
    assert_eq!(promptly("the gap", waiting).await, Tail::Gap);
}

pub(crate) async fn tail_that_waits_over_a_flush_wakes_with_a_snapshot<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let (cursors, _) = append_all(&one, 3).await;
    let waiting = begin(one.tail(cursors[3], LONG));
    bench.pass(ON_ITS_WAY).await;
    bench.flush();
    other.snapshot(None).await.unwrap();
    assert_eq!(promptly("the gap", waiting).await, Tail::Gap);
}

/// A part is gone: whoever reads from the end cannot tell, and whoever reads from further back neither.
async fn gone_is_a_gap<B: Bench>(bench: &B, part: Part, cursors: &[usize]) {
    let (one, other) = (bench.tier(), bench.tier());
    let (known, _) = append_all(&one, 3).await;
    bench.evict(part);
    for place in cursors {
        let came = tail_waiting(bench, &one, known[*place], WAIT).await;
        assert_eq!(came, Tail::Gap, "after {place} without {part:?}");
    }
    let head = other.append(naming(4)).await.unwrap();
    for place in cursors {
        let came = tail_waiting(bench, &one, known[*place], WAIT).await;
        assert_eq!(came, Tail::Gap, "after {place} without {part:?}, with a new record at {head:?}");
    }
}

pub(crate) async fn tail_without_the_head_is_a_gap<B: Bench>(bench: &B) {
    gone_is_a_gap(bench, Part::Head, &[3]).await;
}

pub(crate) async fn tail_without_the_state_is_a_gap<B: Bench>(bench: &B) {
    gone_is_a_gap(bench, Part::State, &[3]).await;
}

pub(crate) async fn tail_without_the_stream_is_a_gap<B: Bench>(bench: &B) {
    gone_is_a_gap(bench, Part::Stream, &[0, 1, 2]).await;
}

/// Whatever is gone: somebody who read all of the log either reads on without loss, or is told.
pub(crate) async fn without_any_part_of_the_log_nothing_is_taken_for_what_it_was<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    for part in [Part::Head, Part::State, Part::Stream, Part::Markers(0), Part::Markers(1)] {
        let (cursors, _) = append_all(&one, 5).await;
        let (last, waiting) = (cursors[5], begin(one.tail(cursors[5], LONG)));
        bench.pass(ON_ITS_WAY).await;
        bench.evict(part);
        let record = naming(6);
        let head = other.append(record.clone()).await.unwrap();
        let came = promptly("what follows", waiting).await;
        if head.epoch == last.head.epoch {
            assert_eq!(head.position, last.head.position + 1, "{part:?}");
            assert_eq!(came, Tail::Records(vec![record]), "{part:?}");
        } else {
            assert!(head.epoch > last.head.epoch && head.position == 1, "{part:?}");
            assert_eq!(came, Tail::Gap, "{part:?}");
        }
    }
}

pub(crate) async fn retain_is_no_fault_with_and_without_a_log<B: Bench>(bench: &B) {
    let tier = bench.tier();
    for span in [Duration::ZERO, Duration::from_millis(1), LONG, LONG * 60 * 24 * 365 * 100] {
        assert_eq!(tier.retain(span).await, Ok(()), "{span:?}");
    }
    let (cursors, _) = append_all(&tier, 2).await;
    assert_eq!(tier.retain(LONG).await, Ok(()));
    assert_eq!(tail(&tier, cursors[2]).await, Tail::Records(Vec::new()), "the log is the same");
}

pub(crate) async fn however_long_values_live_records_are_appended<B: Bench>(bench: &B) {
    let tier = bench.tier();
    let (_, _) = append_all(&tier, 2).await;
    // Whether it can be kept for so long or not.
    let kept = tier.retain(Duration::MAX).await;
    assert_eq!(tier.append(naming(3)).await.map(|head| head.position), Ok(3), "after {kept:?}");
    assert!(tier.snapshot(None).await.is_ok());
}
