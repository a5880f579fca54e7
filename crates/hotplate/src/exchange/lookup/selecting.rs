//! The selecting text of preferences that come often.
//!
//! Browsers send the same few values of `Accept-Encoding` with every request. To put one in its canonical order takes as long
//! as a quarter of a hit, so each thread remembers what it has read last. Only of fields that are compared by rank:
//! others are copied as they came, and may be nobody's business (`Cookie`).

use std::cell::RefCell;

use hotplate_policy::fields::{Fields, Single};
use hotplate_policy::vary::{self, SelectOptions};
use xxhash_rust::xxh3::xxh3_64;

/// So many values are remembered; a power of two.
const PLACES: usize = 32;

/// Longer ones are read each time.
const MOST_BYTES: usize = 95;

/// A value as it came, of which field, and its selecting text.
#[derive(Clone)]
struct Known {
    /// What the options say of the field is in it: `0` for an empty place.
    field: u8,
    value: Short,
    text: Short,
}

#[derive(Clone)]
struct Short {
    length: u8,
    bytes: [u8; MOST_BYTES],
}

impl Short {
    const EMPTY: Self = Self { length: 0, bytes: [0; MOST_BYTES] };

    fn of(bytes: &[u8]) -> Option<Self> {
        let mut short = Self::EMPTY;
        short.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        short.length = u8::try_from(bytes.len()).ok()?;
        Some(short)
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

thread_local! {
    static KNOWN: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

/// As [`vary::normalise_with`].
pub(super) fn normalise(options: SelectOptions, name: &str, request: Fields<'_>, out: &mut Vec<u8>) {
    let field = match name {
        "accept-encoding" if options.normalise_encoding => 1,
        "accept-language" if options.normalise_language => 2,
        _ => return vary::normalise_with(options, name, request, out),
    };
    let remembered = match request.only(name) {
        Single::One(value) if value.len() <= MOST_BYTES => KNOWN
            .try_with(|known| recall(&mut known.borrow_mut(), (field, value), options, name, request, out))
            // While a thread ends there is no table any more.
            .is_ok(),
        _ => false,
    };
    if !remembered {
        vary::normalise_with(options, name, request, out);
    }
}

fn recall(
    known: &mut Vec<Known>,
    (field, value): (u8, &[u8]),
    options: SelectOptions,
    name: &str,
    request: Fields<'_>,
    out: &mut Vec<u8>,
) {
    if known.is_empty() {
        known.resize(PLACES, Known { field: 0, value: Short::EMPTY, text: Short::EMPTY });
    }
    #[allow(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
    let place = xxh3_64(value) as usize % PLACES;
    let known = &mut known[place];
    if known.field == field && known.value.as_slice() == value {
        out.extend_from_slice(known.text.as_slice());
        return;
    }
    let start = out.len();
    vary::normalise_with(options, name, request, out);
    if let (Some(value), Some(text)) = (Short::of(value), Short::of(&out[start..])) {
        *known = Known { field, value, text };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BY_MEANING: SelectOptions = SelectOptions { normalise_encoding: true, normalise_language: true };
    const AS_SENT: SelectOptions = SelectOptions { normalise_encoding: false, normalise_language: false };

    fn both(options: SelectOptions, name: &str, values: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
        let lines: Vec<(&[u8], &[u8])> =
            values.iter().map(|value| (name.as_bytes(), value.as_slice())).collect();
        let (mut remembered, mut read) = (b"before".to_vec(), b"before".to_vec());
        normalise(options, name, Fields::new(&lines), &mut remembered);
        vary::normalise_with(options, name, Fields::new(&lines), &mut read);
        (remembered, read)
    }

    /// Few values, so that each comes again, under other options and another name.
    fn value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            "(gzip|br|en|de)(;q=0\\.[1-3])?(, (gzip|br|en))?".prop_map(String::into_bytes),
            (90_usize..100).prop_map(|length| vec![b'a'; length]),
            prop::collection::vec(any::<u8>(), 0..3),
        ]
    }

    proptest! {
        #[test]
        fn what_is_remembered_is_what_would_be_read(
            asked in prop::collection::vec(
                (any::<bool>(), 0_usize..3, prop::collection::vec(value(), 0..3)), 1..40)
        ) {
            for (by_meaning, name, values) in asked {
                let name = ["accept-encoding", "accept-language", "accept"][name];
                let (remembered, read) = both(if by_meaning { BY_MEANING } else { AS_SENT }, name, &values);
                prop_assert_eq!(remembered, read);
            }
        }
    }
}
