//! What `Objects` promises, and that it holds against a map that forgets nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;

type Plain = Objects<u64, u64, &'static str>;

fn by_number(entries: u32) -> Bounds {
    Bounds { entries: Some(entries), weight: None }
}

fn always() -> Moment {
    Moment::from_nanos(0)
}

fn stored(value: u64) -> Stored<u64> {
    Stored { value, weight: 1, end: Moment::NEVER }
}

fn find(objects: &Plain, index: u64, now: u64) -> Option<u64> {
    objects.get(index, || Moment::from_nanos(now), |_, value| *value)
}

#[test]
fn what_was_put_is_found_until_it_is_taken_out() {
    let objects = Plain::new(by_number(10));
    assert_eq!(find(&objects, 1, 0), None);
    assert!(objects.put(1, 1, stored(10)));
    assert_eq!(find(&objects, 1, 0), Some(10));
    assert_eq!(objects.remove_if(1, always(), |_, _| false), None);
    assert_eq!(objects.remove_if(1, always(), |_, _| true), Some((1, 10)));
    assert_eq!(find(&objects, 1, 0), None);
    objects.put(2, 2, stored(20));
    objects.clear();
    let numbers = objects.numbers();
    assert_eq!((numbers.entries, numbers.hits, numbers.misses), (0, 1, 2));
}

#[test]
fn an_entry_is_there_until_its_end_and_not_at_it() {
    let objects = Plain::new(by_number(10));
    let end = Moment::from_nanos(100).after(Duration::from_nanos(50));
    objects.put(1, 1, Stored { value: 5, weight: 1, end });
    assert_eq!(find(&objects, 1, 149), Some(5));
    assert_eq!((objects.len(|| Moment::from_nanos(150)), objects.numbers().entries), (0, 1));
    assert_eq!(objects.peek(1, || end, |_, _| ()), None);
    assert_eq!(find(&objects, 1, 150), None);
    assert_eq!(objects.numbers().entries, 0, "who finds an ended entry drops it");
}

#[test]
fn time_is_not_asked_for_what_has_no_end() {
    let objects = Plain::new(by_number(10));
    objects.put(1, 1, stored(5));
    assert_eq!(objects.get(1, || panic!("asked"), |_, value| *value), Some(5));
    assert_eq!(objects.len(|| panic!("asked")), 1);
}

#[test]
fn a_cache_has_room_for_as_many_as_it_says_and_for_no_more() {
    for most in [1_u32, 2, 3, 7, 100, 1000] {
        let objects = Plain::new(by_number(most));
        for index in 0..u64::from(most) {
            assert!(objects.put(index, index, stored(index)));
        }
        let found = (0..u64::from(most)).filter(|index| find(&objects, *index, 0).is_some()).count();
        assert_eq!((found, objects.numbers().evictions), (most as usize, 0), "{most}");
        for index in 0..3 * u64::from(most) {
            objects.put(1_000_000 + index, index, stored(index));
            assert_eq!(objects.numbers().entries, most as usize, "{most}");
        }
        assert_eq!(objects.numbers().evictions, 3 * u64::from(most));
    }
}

#[test]
fn both_bounds_hold_at_once_and_number_evicts_no_more_than_it_must() {
    let objects = Plain::new(Bounds { entries: Some(10), weight: Some(1000) });
    for index in 0..500 {
        objects.put(index, index, Stored { weight: 1, ..stored(index) });
        let numbers = objects.numbers();
        assert_eq!(numbers.entries as u64, (index + 1).min(10));
        assert_eq!(numbers.weight, numbers.entries as u64);
    }
    objects.put(1000, 0, Stored { weight: 900, ..stored(0) });
    let numbers = objects.numbers();
    assert_eq!((numbers.entries, numbers.weight), (10, 909));
}

/// How many of a thousand entries that were asked for are left after ten times as many that were not.
fn left_after_a_scan(bounds: Bounds) -> usize {
    let objects = Plain::new(bounds);
    let asked = |index| find(&objects, index, 0).is_some();
    for index in (0..1_000).chain(0..1_000) {
        if !asked(index) {
            objects.put(index, index, Stored { weight: 100, ..stored(index) });
        }
    }
    for index in 1_000..11_000 {
        objects.put(index, index, Stored { weight: 100, ..stored(index) });
        assert!(objects.numbers().entries <= 1_000);
    }
    (0..1_000).filter(|index| asked(*index)).count()
}

#[test]
fn a_scan_pushes_out_little_whichever_bound_binds() {
    for (entries, weight) in [
        (Some(1_000), None),
        (None, Some(100_000)),
        (Some(1_000), Some(100_000)),
        (Some(1_000), Some(400_000)),
        (Some(1_000), Some(1 << 40)),
        (Some(1_000_000), Some(100_000)),
    ] {
        let left = left_after_a_scan(Bounds { entries, weight });
        assert!(left >= 900, "{entries:?}, {weight:?}: {left}");
    }
}

#[test]
fn the_ballast_makes_way_when_entries_become_heavier() {
    let objects = Plain::new(Bounds { entries: Some(100), weight: Some(100_000) });
    for index in 0..1_000 {
        objects.put(index, index, Stored { weight: 1, ..stored(index) });
    }
    objects.clear();
    for round in 0..2 {
        for index in 0..100 {
            objects.put(index, index, Stored { weight: 1 + round * 999, ..stored(index) });
        }
        let numbers = objects.numbers();
        assert_eq!((numbers.entries, numbers.weight), (100, 100 + round * 99_900));
        assert_eq!(numbers.evictions, 900);
    }
}

#[test]
fn what_is_heavier_than_the_room_is_refused_and_takes_the_older_one_with_it() {
    let objects = Plain::new(Bounds { entries: None, weight: Some(100) });
    assert!(objects.put(1, 1, Stored { weight: 60, ..stored(1) }));
    assert!(!objects.put(1, 1, Stored { weight: 101, ..stored(2) }));
    assert_eq!((find(&objects, 1, 0), objects.numbers().weight), (None, 0));
}

#[test]
fn what_weighs_nothing_counts_as_one_and_can_be_evicted() {
    let objects = Plain::new(Bounds { entries: None, weight: Some(100) });
    for index in 0..1_000 {
        objects.put(index, index, Stored { weight: 0, ..stored(index) });
    }
    assert!(objects.numbers().entries <= 100);
}

#[test]
fn the_last_two_indexes_do_not_disturb_the_ballast() {
    let objects = Plain::new(Bounds { entries: Some(2), weight: Some(100) });
    for index in [u64::MAX, 1, 2, u64::MAX, 3, 4] {
        objects.put(index, index, stored(index));
        assert_eq!(find(&objects, index, 0), Some(index));
        assert!(objects.numbers().entries <= 2);
    }
}

#[test]
fn put_if_asks_about_what_stands_there_and_not_about_what_has_ended() {
    let objects = Plain::new(by_number(10));
    let mut asked = 0;
    let end = Moment::from_nanos(10);
    let entry = Stored { end, ..stored(1) };
    let may = |_: &u64, _: &u64| panic!("nothing stands there");
    assert!(objects.put_if(1, 1, entry, always(), may).is_ok());
    let refused = objects.put_if(1, 1, stored(2), always(), |_, _| {
        asked += 1;
        false
    });
    assert!(refused.is_err() && asked == 1);
    assert!(objects.put_if(1, 1, stored(3), end, may).is_ok());
    assert_eq!(find(&objects, 1, 0), Some(3));
}

#[test]
fn one_load_runs_for_an_index_and_the_others_are_given_it() {
    let objects = Plain::new(by_number(10));
    let permit = objects.begin(1, || "first").expect("nothing is under way");
    assert_eq!(objects.begin(1, || "second"), Err("first"));
    assert!(objects.begin(2, || "other index").is_ok());
    assert!(objects.end(1, permit, Some((1, stored(7)))));
    assert_eq!(find(&objects, 1, 0), Some(7));
    assert!(objects.begin(1, || "third").is_ok());
}

type Write = fn(&Plain);

#[test]
fn what_was_written_during_a_load_is_not_overwritten_by_it() {
    for alone in [false, true] {
        let writes: [(&str, Write); 3] = [
            ("put", |objects| assert!(objects.put(1, 1, stored(99)))),
            ("remove", |objects| assert_eq!(objects.remove_if(1, always(), |_, _| true), None)),
            ("clear", Plain::clear),
        ];
        for (what, write) in writes {
            let objects = Plain::new(by_number(10));
            let permit = if alone { objects.begin_alone() } else { objects.begin(1, || "").expect("first") };
            write(&objects);
            let next = objects.begin(1, || "").expect("the first is outdated");
            assert!(!objects.end(1, permit, Some((1, stored(7)))), "{what}");
            assert_ne!(find(&objects, 1, 0), Some(7), "{what}");
            assert!(objects.end(1, next, Some((1, stored(8)))), "{what}");
        }
    }
}

#[test]
fn a_load_that_failed_stores_nothing_and_makes_way() {
    let objects = Plain::new(by_number(10));
    let permit = objects.begin(1, || "").expect("first");
    assert!(!objects.end(1, permit, None));
    assert!(objects.begin(1, || "").is_ok());
}

/// A value whose drop comes back to the cache: it hangs if the lock is held.
struct ComesBack(Arc<Objects<u64, ComesBack, ()>>, Arc<AtomicUsize>);

impl Drop for ComesBack {
    fn drop(&mut self) {
        let _ = self.0.numbers();
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn nothing_is_dropped_while_the_lock_is_held() {
    let objects = Arc::new(Objects::new(Bounds { entries: Some(2), weight: Some(100) }));
    let dropped = Arc::new(AtomicUsize::new(0));
    let entry = |weight, end| {
        let value = ComesBack(Arc::clone(&objects), Arc::clone(&dropped));
        Stored { value, weight, end: Moment::from_nanos(end) }
    };
    for index in 0..4 {
        objects.put(index, index, entry(1, 50)); // evicts two
    }
    objects.put(3, 3, entry(1, 50)); // replaces
    objects.put(3, 3, entry(1000, 50)); // is refused
    assert!(objects.get(3, always, |_, _| ()).is_none());
    objects.put(3, 3, entry(1, 50));
    assert!(objects.get(3, || Moment::from_nanos(50), |_, _| ()).is_none()); // has ended
    objects.put(3, 3, entry(1, 50));
    drop(objects.remove_if(3, always(), |_, _| true));
    let permit = objects.begin(5, || ()).expect("first");
    objects.put(5, 5, entry(1, 50));
    objects.end(5, permit, Some((5, entry(1, 50)))); // is outdated
    objects.clear();
    assert_eq!((dropped.load(Ordering::Relaxed), objects.numbers().entries), (10, 0));
}

proptest! {
    /// Against a map that forgets nothing: what is found is what was put last and has not ended, and there is never
    /// too much.
    #[test]
    fn nothing_is_found_that_was_not_put_last(
        entries in proptest::option::of(1_u32..40),
        weight in proptest::option::of(1_u64..4000),
        operations in proptest::collection::vec((0_u8..12, 0_u64..60, any::<u64>(), 0_u64..300, 1_u64..40), 0..600),
    ) {
        prop_assume!(entries.is_some() || weight.is_some());
        let objects = Plain::new(Bounds { entries, weight });
        let mut put: HashMap<u64, (u64, u64)> = HashMap::new();
        let mut loading = HashMap::new();
        let mut now = 0;
        for (what, index, value, heavy, time) in operations {
            let moment = Moment::from_nanos(now);
            let end = now + time * 10;
            let entry = Stored { value, weight: heavy, end: Moment::from_nanos(end) };
            match what {
                0 => {
                    objects.remove_if(index, moment, |_, _| true);
                    put.remove(&index);
                    loading.remove(&index);
                }
                1 if index == 0 => {
                    objects.clear();
                    put.clear();
                    loading.clear();
                }
                2 => now += time,
                3 => {
                    if let Ok(permit) = objects.begin(index, || "") {
                        loading.insert(index, permit);
                    }
                }
                4 => {
                    if let Some(permit) = loading.remove(&index) {
                        let is_stored = objects.end(index, permit, Some((index, entry)));
                        prop_assert_eq!(is_stored, weight.is_none_or(|most| heavy <= 1 || heavy as f64 <= most as f64 * 0.97));
                        put.insert(index, (value, end));
                    }
                }
                5..=8 => {
                    if objects.put(index, index, entry) {
                        put.insert(index, (value, end));
                    } else {
                        put.remove(&index);
                    }
                    loading.remove(&index);
                }
                _ => {
                    let found = find(&objects, index, now);
                    let known = put.get(&index).filter(|(_, end)| now < *end).map(|(value, _)| *value);
                    prop_assert!(found.is_none() || found == known);
                }
            }
            let numbers = objects.numbers();
            prop_assert!(numbers.entries <= entries.map_or(usize::MAX, |most| most as usize));
            prop_assert!(numbers.weight <= weight.unwrap_or(u64::MAX));
            let mut walked = 0;
            objects.for_each(Moment::from_nanos(now), |_, _| walked += 1);
            prop_assert_eq!(walked, objects.len(|| Moment::from_nanos(now)));
        }
    }
}
