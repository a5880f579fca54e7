//! The binary form of a stored response. Eight numbers, field lines, tags and a body; the same bytes are also read as
//! if they were an entry themselves.

use std::time::Duration;

use bytes::Bytes;
use hotplate::entry::{DecodeError, Entry, EntryParts, SelectionParts};
use hotplate::key::Key;
use hotplate::log::{Footprint, Position};
use hotplate_policy::freshness::{Flags, StoredMeta};
use hotplate_policy::time::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

use crate::input::Input;

/// Where to begin.
pub const SEEDS: &[&[u8]] = &[
    b"200\n7\n1700000000000\n5\n60000\n10\n34\n99\netag: \"a\"\nLink: <x>\nlink: <y>\nvary: accept\n\nt\nproduct:42\n\nhello",
    b"404\n0\n-1\n0\n0\n0\n0\n3\ncontent-type: text/plain\nx\n\n\n\n",
    b"HPL2\0\0\0\0\0\0\0\0",
];

/// The bytes before the field lines, and those of them that the checksum does not cover.
const MAGIC: &[u8] = b"HPL2";
const CHECKED_FROM: usize = 12;

/// What was encoded is decoded the same; no flipped bit and no missing byte goes unnoticed; and any other bytes are
/// refused or read, with a right checksum too.
pub fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let numbers: [i64; 8] = std::array::from_fn(|_| input.number());
    let fields = input.fields();
    let tags: Vec<String> =
        input.block().into_iter().map(|tag| String::from_utf8_lossy(tag).into_owned()).collect();
    let body = Bytes::copy_from_slice(input.rest());
    let selecting = [Box::from("accept-encoding")];
    let written = Entry::new(EntryParts {
        meta: meta(&numbers),
        position: Position::from_u64(numbers[1].cast_unsigned()),
        footprint: Footprint::default(),
        // It is not encoded.
        selection: (numbers[0] % 2 == 0).then(|| SelectionParts {
            variant: Key::from_u128(1),
            text: bytes,
            names: &selecting,
        }),
        fields: fields.iter().copied(),
        tags: &tags,
        partitioned: numbers[7] & 1 == 1,
        body: body.clone(),
    });
    let encoded = encode(&written);
    let read = decode(encoded.clone()).expect("what was encoded can be decoded");
    assert_same(&read, &written);
    assert_eq!(read.fields().collect::<Vec<_>>(), fields, "other field lines");
    assert_eq!(read.tags().collect::<Vec<_>>(), tags, "other tags");
    assert_eq!(encode(&read), encoded, "the form is not canonical");

    let place = usize::try_from(numbers[7].unsigned_abs()).unwrap_or_default();
    let (index, bit) = (place / 8 % encoded.len(), place % 8);
    let mut flipped = encoded.clone();
    flipped[index] ^= 1 << bit;
    assert!(decode(flipped).is_err(), "bit {bit} of byte {index} was flipped unnoticed");
    assert!(decode(encoded[..index].to_vec()).is_err(), "an end at byte {index} went unnoticed");

    as_they_are(bytes);
}

/// Reads bytes nobody encoded. What decodes must come back, though not byte for byte: a name that stands in the list of
/// known ones may have been spelt out.
fn as_they_are(bytes: &[u8]) {
    let _ = decode(bytes.to_vec());
    let content = bytes.get(CHECKED_FROM..).unwrap_or_default();
    let framed = [MAGIC, &xxh3_64(content).to_le_bytes(), content].concat();
    match decode(framed) {
        Ok(entry) => {
            let again = decode(encode(&entry)).expect("what was decoded can be encoded");
            assert_same(&again, &entry);
        }
        Err(error) => assert!(matches!(error, DecodeError::Length | DecodeError::Lines), "{error}"),
    }
}

fn meta(numbers: &[i64; 8]) -> StoredMeta {
    let time = Timestamp::from_unix_millis;
    let span = |millis: i64| Duration::from_millis(millis.unsigned_abs());
    StoredMeta {
        status: numbers[0] as u16,
        request_time: time(numbers[2]),
        response_time: time(numbers[2].wrapping_add(numbers[3])),
        initial_age: span(numbers[3]),
        lifetime: span(numbers[4]),
        stale_while_revalidate: span(numbers[5]),
        stale_if_error: span(numbers[6]),
        flags: Flags::from_bits(numbers[7] as u16),
        date: time(numbers[6]),
        // The smallest number is how the form says that there is none.
        last_modified: Some(time(numbers[5])).filter(|time| time.unix_millis() != i64::MIN),
    }
}

fn encode(entry: &Entry<Bytes>) -> Vec<u8> {
    let mut out = Vec::new();
    entry.encode(&mut out);
    out
}

fn decode(bytes: Vec<u8>) -> Result<Entry<Bytes>, DecodeError> {
    Entry::decode(&Bytes::from(bytes), |_| Footprint::default())
}

fn assert_same(one: &Entry<Bytes>, two: &Entry<Bytes>) {
    assert_eq!(one.meta(), two.meta());
    assert_eq!(one.position, two.position);
    assert_eq!(one.is_partitioned(), two.is_partitioned());
    assert_eq!(one.body(), two.body());
    assert!(one.fields().eq(two.fields()), "other field lines");
    assert!(one.tags().eq(two.tags()), "other tags");
    assert_eq!(one.etag(), two.etag());
}
