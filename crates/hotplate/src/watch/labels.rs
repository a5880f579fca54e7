//! What a key stands for, in words: a key is a digest, and people want to know of what.
//!
//! So many are kept: nearly those of what is asked for most. A label costs nothing on most hits: it is kept when something
//! is stored, as long as there is room, and when its number of hits reaches a power of two.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::key::{Key, Spreading};

/// So many labels are kept.
const MOST: usize = 2048;

/// A longer label is cut.
const MOST_BYTES: usize = 256;

/// From so many hits on a key pushes out the label of one that has fewer.
const OFTEN: u32 = 16;

/// Whether this many hits are a reason to note a label: so that a key that is asked for often is noted again and again, ever
/// more rarely.
pub(crate) const fn is_due(hits: u32) -> bool {
    hits >= OFTEN && hits.is_power_of_two()
}

/// So many labels are looked at for one with fewer hits: a hit must not pay for all of them.
const LOOKED_AT: usize = 8;

/// Labels of keys.
#[derive(Debug, Default)]
pub(crate) struct Labels(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    labels: Vec<Label>,
    places: HashMap<Key, usize, Spreading>,
    /// Where the next look begins.
    hand: usize,
}

#[derive(Debug)]
struct Label {
    key: Key,
    text: Box<str>,
    hits: u32,
}

impl Labels {
    /// Notes what a key stands for, which had so many hits. Where there is no room, one of the next few that has fewer
    /// hits goes, if there is any.
    pub(crate) fn note(&self, key: Key, hits: u32, text: impl FnOnce() -> String) {
        let mut kept = self.lock();
        if let Some(label) = kept.of(key) {
            label.hits = label.hits.max(hits);
        } else if let Some(place) = kept.room_for(hits) {
            kept.put(place, Label { key, text: cut(text()).into(), hits });
        }
    }

    /// Notes what a key stands for that is stored, if there is room.
    pub(crate) fn note_stored(&self, key: Key, text: impl FnOnce() -> String) {
        if self.lock().labels.len() < MOST {
            self.note(key, 0, text);
        }
    }

    /// What a key stands for; the key itself where that is not known.
    pub(crate) fn of(&self, key: Key) -> String {
        self.lock().of(key).map_or_else(|| key.to_string(), |label| label.text.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn of(&mut self, key: Key) -> Option<&mut Label> {
        let place = *self.places.get(&key)?;
        self.labels.get_mut(place)
    }

    /// A free place, or that of a label with fewer hits.
    fn room_for(&mut self, hits: u32) -> Option<usize> {
        if self.labels.len() < MOST {
            return Some(self.labels.len());
        }
        let looked_at = (self.hand..self.hand + LOOKED_AT).map(|place| place % MOST);
        self.hand = (self.hand + LOOKED_AT) % MOST;
        let fewest = looked_at.min_by_key(|place| self.labels[*place].hits)?;
        (self.labels[fewest].hits < hits).then_some(fewest)
    }

    fn put(&mut self, place: usize, label: Label) {
        self.places.insert(label.key, place);
        match self.labels.get_mut(place) {
            Some(other) => {
                self.places.remove(&other.key);
                *other = label;
            }
            None => self.labels.push(label),
        }
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MOST_BYTES {
        let end = (0..=MOST_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_a_label_is_shown_as_itself() {
        assert_eq!(Labels::default().of(Key::from_u128(7)), Key::from_u128(7).to_string());
    }

    #[test]
    fn the_most_used_push_out_the_least_used_and_nobody_else() {
        let labels = Labels::default();
        for number in 0..MOST as u128 {
            labels.note_stored(Key::from_u128(number), || format!("stored {number}"));
        }
        let late = Key::from_u128(u128::MAX);
        labels.note_stored(late, || "late".into());
        assert_eq!(labels.of(late), late.to_string());
        labels.note(late, 16, || "often".into());
        assert_eq!(labels.of(late), "often");
        let kept = labels.lock();
        assert_eq!((kept.labels.len(), kept.places.len()), (MOST, MOST));
    }

    #[test]
    fn who_is_asked_for_more_and_more_gets_a_label_beside_those_that_are_asked_for_most() {
        let labels = Labels::default();
        let key = |number: usize| Key::from_u128(number as u128);
        // One in four has few hits.
        for number in 0..MOST {
            labels.note(key(number), if number % 4 == 0 { 1 } else { 1_000 }, || number.to_string());
        }
        for late in MOST..MOST + 400 {
            labels.note(key(late), 32, || "late".into());
        }
        let kept = |numbers: std::ops::Range<usize>| {
            numbers.filter(|number| labels.of(key(*number)) != key(*number).to_string()).count()
        };
        assert_eq!(kept(MOST..MOST + 400), 400);
        assert_eq!(kept(0..MOST), MOST - 400);
        assert!((0..MOST).all(|number| number % 4 == 0 || kept(number..number + 1) == 1));
    }

    #[test]
    fn a_long_label_is_cut_between_characters() {
        let labels = Labels::default();
        labels.note(Key::from_u128(1), 0, || "ä".repeat(1000));
        let text = labels.of(Key::from_u128(1));
        assert_eq!(text, format!("{}…", "ä".repeat(128)));
    }

    #[test]
    fn a_label_is_due_at_powers_of_two() {
        let due: Vec<u32> = (0..200).filter(|hits| is_due(*hits)).collect();
        assert_eq!(due, [16, 32, 64, 128]);
    }
}
