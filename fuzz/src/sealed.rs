//! The sealed form of a value in the shared tier. Eight numbers and a payload; the same bytes are also read as if they
//! were a sealed value themselves, and as what follows its magic, with a right checksum.

use std::sync::OnceLock;

use bytes::Bytes;
use hotplate::key::Key;
use hotplate::tier::sealed::{Kind, OpenError, Opened, STAMP_AT, STAMP_BYTES, Sealer, SealerOptions};
use hotplate::tier::shared::{Head, Stamp};
use hotplate_policy::time::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

use crate::input::Input;

/// Where to begin.
pub const SEEDS: &[&[u8]] = &[
    b"0\n0\n1\n7\n1700000000000\n12345\n40\n99\nhello, hello; ",
    b"1\n4\n18446744073709551615\n0\n-1\n0\n0\n300\n",
    b"2\n0\n1\n7\n1700000000000\n12345\n3\n99\nhello, hello; ",
    b"3\n2\n9\n8\n7\n6\n1\n5\nvary: accept\nnothing repeats here",
    b"HPS1\x01\0\0\0",
    // A compressed value, from its kind on: 1000 times one letter.
    b"\x01\x01\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\
      \xe8\x03\0\0\0\0\0\0\x28\xb5\x2f\xfd\xe0\xe8\x03\0\0\0\0\0\0\x43\x1f\0x",
    // One that declares 256 MiB, in two blocks.
    b"\x02\x01\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\
      \0\0\0\x10\0\0\0\0\x28\xb5\x2f\xfd\xe0\0\0\0\x10\0\0\0\0\x02\0\x10x\x03\0\x10x",
    // One that is not compressed.
    b"\x03\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0payload",
];

const MAGIC: &[u8] = b"HPS1";

/// What of a clear value stands between the magic and the checksum.
const HEAD_AFTER_MAGIC: usize = STAMP_AT + STAMP_BYTES - 4;

/// A payload repeats its text fewer times than this.
const MOST_REPETITIONS: u64 = 64;

/// What was sealed opens the same for every sealer with the same keys, and for no other; no flipped bit, no missing byte
/// and no other cache key goes unnoticed; and any other bytes are refused or read, with a right checksum too.
pub fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let numbers: [u64; 8] = std::array::from_fn(|_| input.number().cast_unsigned());
    let [sealer, kind, epoch, position, request_time, key, repetitions, place] = numbers;
    let repetitions = usize::try_from(repetitions % MOST_REPETITIONS).unwrap_or_default();
    let written = Opened {
        kind: Kind::ALL[usize::try_from(kind).unwrap_or_default() % Kind::ALL.len()],
        stamp: Stamp {
            head: Head { epoch, position },
            request_time: Timestamp::from_unix_millis(request_time.cast_signed()),
        },
        payload: [input.rest().repeat(repetitions).as_slice(), input.rest()].concat().into(),
    };
    let key = Key::from_u128(u128::from(key));
    // One of the four: encryption without optimisation takes its time.
    let [sealer, place] = [sealer % 4, place % (1 << 32)].map(|n| usize::try_from(n).unwrap_or_default());
    sealed_by(sealer, key, &written, place);
    as_they_are(key, bytes);
}

/// Clear, compressing, encrypting, both.
fn sealers() -> &'static [Sealer; 4] {
    static SEALERS: OnceLock<[Sealer; 4]> = OnceLock::new();
    SEALERS.get_or_init(|| {
        [(false, None), (false, Some(0)), (true, None), (true, Some(0))].map(|(encrypts, compress_above)| {
            let encryption_keys = if encrypts { vec![vec![5; 32], vec![6; 32]] } else { Vec::new() };
            SealerOptions { encryption_keys, compress_above }.compile().expect("they can be meant")
        })
    })
}

fn sealed_by(number: usize, key: Key, written: &Opened, place: usize) {
    let sealer = &sealers()[number];
    let sealed = seal(sealer, key, written);
    assert!(is_encrypted(&sealed) || sealed.len() <= written.payload.len() + 40, "a clear value grew");
    assert_eq!(is_encrypted(&sealed), encrypts(number));
    assert_eq!(sealers()[number ^ 1].open(key, &sealed).as_ref(), Ok(written), "with the same keys");
    let refusal = if encrypts(number) { OpenError::UnknownKey } else { OpenError::Clear };
    assert_eq!(sealers()[number ^ 2].open(key, &sealed), Err(refusal), "with other keys");

    let elsewhere = Key::from_u128(key.as_u128() ^ (1 << (place % 128)));
    let moved = sealer.open(elsewhere, &sealed).expect_err("it is not for that key");
    assert!(matches!(moved, OpenError::Checksum | OpenError::Forged), "{moved}");

    let (index, bit) = (place / 8 % sealed.len(), place % 8);
    let mut flipped = sealed.to_vec();
    flipped[index] ^= 1 << bit;
    assert!(sealer.open(key, &flipped.into()).is_err(), "bit {bit} of byte {index} was flipped unnoticed");
    assert!(sealer.open(key, &sealed.slice(..index)).is_err(), "an end at byte {index} went unnoticed");
}

/// Reads bytes nobody sealed.
fn as_they_are(key: Key, bytes: &[u8]) {
    let after_magic = Bytes::from([MAGIC, bytes].concat());
    let (head, payload) = bytes.split_at(bytes.len().min(HEAD_AFTER_MAGIC));
    let digest = key.as_u128().to_le_bytes();
    let checksum = xxh3_64(&[MAGIC, head, &digest, payload].concat());
    let framed = Bytes::from([MAGIC, head, &checksum.to_le_bytes(), payload].concat());
    for (number, sealer) in sealers().iter().enumerate() {
        for value in [&Bytes::copy_from_slice(bytes), &after_magic, &framed] {
            if let Ok(opened) = sealer.open(key, value) {
                assert!(!encrypts(number), "somebody has guessed a secret");
                assert_eq!(
                    sealer.open(key, &seal(sealer, key, &opened)),
                    Ok(opened),
                    "it does not come back"
                );
            }
        }
    }
    if head.len() == HEAD_AFTER_MAGIC {
        let refused = sealers()[0].open(key, &framed).err();
        assert_ne!(refused, Some(OpenError::Checksum), "another checksum");
    }
}

fn seal(sealer: &Sealer, key: Key, value: &Opened) -> Bytes {
    sealer.seal(key, value.kind, value.stamp, &value.payload).expect("there is randomness")
}

fn is_encrypted(sealed: &[u8]) -> bool {
    sealed[5] & 2 != 0
}

const fn encrypts(sealer: usize) -> bool {
    sealer >= 2
}
