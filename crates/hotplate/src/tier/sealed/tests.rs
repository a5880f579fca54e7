#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const SECRET: [u8; 32] = *b"0123456789abcdef0123456789abcdef";
const OTHER_SECRET: [u8; 32] = [7; 32];
const KEY: Key = Key::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);

fn sealer(secrets: &[[u8; 32]], compress_above: Option<u64>) -> Sealer {
    let encryption_keys = secrets.iter().map(|secret| secret.to_vec()).collect();
    SealerOptions { encryption_keys, compress_above }.compile().unwrap()
}

/// Clear, compressing, encrypting, both.
fn sealers() -> [Sealer; 4] {
    [sealer(&[], None), sealer(&[], Some(0)), sealer(&[SECRET], None), sealer(&[SECRET], Some(0))]
}

fn stamp_of(epoch: u64, position: u64, request_time: i64) -> Stamp {
    Stamp { head: Head { epoch, position }, request_time: Timestamp::from_unix_millis(request_time) }
}

fn sample() -> Stamp {
    stamp_of(0x0102_0304_0506_0708, 9, -5)
}

fn seal(sealer: &Sealer, payload: &[u8]) -> Bytes {
    sealer.seal(KEY, Kind::Response, sample(), payload).unwrap()
}

/// A clear value with a right checksum, whatever else is wrong with it.
fn framed(kind: u8, flags: u8, payload: &[u8]) -> Bytes {
    let head = head(kind, flags, sample());
    [&head, &checksum(&head, place(KEY), payload)[..], payload].concat().into()
}

/// An encrypted value with a right tag, whatever is wrong with the rest.
fn encrypted(sealer: &Sealer, kind: u8, flags: u8, payload: &[u8]) -> Bytes {
    let head = head(kind, flags | ENCRYPTED, sample());
    sealer.keys.writing().unwrap().encrypt(&head, place(KEY), payload).unwrap().into()
}

fn declaring(length: u64, frame: &[u8]) -> Vec<u8> {
    [&length.to_le_bytes(), frame].concat()
}

const RUN_BYTES: usize = 128 * 1024;

/// A frame that records this length and holds so many blocks, each of them one byte repeated 131072 times.
fn frame_of_runs(length: u64, runs: usize) -> Vec<u8> {
    // Content size in 8 bytes, single segment.
    let mut frame = [&0xFD2F_B528_u32.to_le_bytes()[..], &[0b1110_0000], &length.to_le_bytes()].concat();
    for left in (0..runs).rev() {
        let block = (u32::try_from(RUN_BYTES).unwrap() << 3) | (1 << 1) | u32::from(left == 0);
        frame.extend_from_slice(&block.to_le_bytes()[..3]);
        frame.push(b'x');
    }
    frame
}

proptest! {
    #[test]
    fn a_value_comes_back_as_it_was(
        kind in prop::sample::select(&Kind::ALL[..]),
        numbers in any::<(u64, u64, i64)>(),
        key in any::<u128>(),
        pattern in prop::collection::vec(any::<u8>(), 0..40),
        repeated in 0_usize..50,
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let stamp = stamp_of(numbers.0, numbers.1, numbers.2);
        let payload = [pattern.repeat(repeated), noise].concat();
        for sealer in sealers() {
            let sealed = sealer.seal(Key::from_u128(key), kind, stamp, &payload).unwrap();
            let opened = sealer.open(Key::from_u128(key), &sealed).unwrap();
            prop_assert_eq!((opened.kind, opened.stamp), (kind, stamp));
            prop_assert_eq!(&opened.payload[..], &payload);
        }
    }

    #[test]
    fn any_bytes_are_taken_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        flags in 0_u8..4,
    ) {
        let mut begun = head(1, flags, sample()).to_vec();
        begun.extend_from_slice(&bytes);
        for sealer in sealers() {
            for value in [Bytes::from(bytes.clone()), begun.clone().into(), framed(1, flags & 1, &bytes)] {
                let _ = sealer.open(KEY, &value);
            }
            if sealer.keys.writing().is_some() {
                let _ = sealer.open(KEY, &encrypted(&sealer, 1, flags, &bytes));
            }
        }
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let payload = b"a small value, a small value, a small value, a small value, a small value";
    for (number, sealer) in sealers().iter().enumerate() {
        let sealed = seal(sealer, payload);
        for place in 0..sealed.len() * 8 {
            let mut flipped = sealed.to_vec();
            flipped[place / 8] ^= 1 << (place % 8);
            let refused = sealer.open(KEY, &flipped.into());
            assert!(refused.is_err(), "sealer {number}, bit {place}: {refused:?}");
        }
    }
}

#[test]
fn every_truncation_and_every_addition_is_refused() {
    for (number, sealer) in sealers().iter().enumerate() {
        let sealed = seal(sealer, &b"hello ".repeat(20));
        for end in 0..sealed.len() {
            assert!(sealer.open(KEY, &sealed.slice(..end)).is_err(), "sealer {number}, {end} bytes");
        }
        assert!(sealer.open(KEY, &[&sealed[..], b"\0"].concat().into()).is_err(), "sealer {number}");
    }
}

#[test]
fn a_value_moved_to_another_key_is_refused() {
    let expected = [OpenError::Checksum, OpenError::Checksum, OpenError::Forged, OpenError::Forged].map(Err);
    let moved = sealers().map(|sealer| {
        let sealed = seal(&sealer, &b"mine ".repeat(20));
        sealer.open(Key::from_u128(KEY.as_u128() ^ 1), &sealed)
    });
    assert_eq!(moved, expected);
}

#[test]
fn the_payload_is_a_slice_where_it_is_clear_and_not_compressed() {
    let sealed = seal(&sealer(&[], Some(0)), b"ab");
    let opened = sealer(&[], None).open(KEY, &sealed).unwrap();
    assert_eq!(opened.payload.as_ptr(), sealed[HEAD_BYTES + CHECKSUM_BYTES..].as_ptr());
}

#[test]
fn the_stamp_stands_at_its_place_in_every_form() {
    for sealer in sealers() {
        let sealed = seal(&sealer, &b"abc".repeat(50));
        let mut expected = 0x0102_0304_0506_0708_u64.to_le_bytes().to_vec();
        expected.extend_from_slice(&9_u64.to_le_bytes());
        expected.extend_from_slice(&(-5_i64).to_le_bytes());
        assert_eq!(sealed[STAMP_AT..STAMP_AT + STAMP_BYTES], expected);
    }
}

#[test]
fn the_layout_does_not_change_within_a_version() {
    let sealed = seal(&sealer(&[], None), b"hi");
    let text: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = [
        "48505331",
        "01000000",
        "0807060504030201",
        "0900000000000000",
        "fbffffffffffffff",
        "6a544a52150bb116",
        "6869",
    ];
    assert_eq!(text, expected.concat());
    assert_eq!(Kind::ALL.map(Kind::code), [1, 2, 3, 4, 5]);

    let encrypted = seal(&sealer(&[SECRET], None), b"hi");
    assert_eq!(encrypted.len(), 32 + 4 + 24 + 2 + 16);
    assert_eq!(encrypted[FLAGS_AT], ENCRYPTED);
    let id = blake3::derive_key("hotplate 2026 encryption key id", &SECRET);
    assert_eq!(encrypted[HEAD_BYTES..HEAD_BYTES + 4], id[..4]);
    assert_eq!(id[..4], [0x8c, 0x1c, 0xdc, 0x46]);
}

#[test]
fn a_value_encrypted_by_another_implementation_opens() {
    let sealed: Vec<u8> = STORED.as_bytes().chunks(2).map(hexadecimal_pair).collect();
    let opened = sealer(&[SECRET], None).open(KEY, &sealed.into()).unwrap();
    assert_eq!((opened.kind, opened.stamp, &opened.payload[..]), (Kind::Response, sample(), &b"hi"[..]));
}

const STORED: &str = "485053310102000008070605040302010900000000000000fbffffffffffffff8c1cdc4600010203\
                      0405060708090a0b0c0d0e0f101112131415161733429665a1869de8b98b7bdb89e3d723c095";

fn hexadecimal_pair(pair: &[u8]) -> u8 {
    u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()
}

#[test]
fn the_first_key_writes_and_all_read() {
    let (old, new) = (sealer(&[SECRET], None), sealer(&[OTHER_SECRET], None));
    let both = sealer(&[OTHER_SECRET, SECRET], None);
    let (by_old, by_both) = (seal(&old, b"x"), seal(&both, b"x"));
    assert!(both.open(KEY, &by_old).is_ok());
    assert!(new.open(KEY, &by_both).is_ok());
    assert_eq!(old.open(KEY, &by_both), Err(OpenError::UnknownKey));
    assert_eq!(new.open(KEY, &by_old), Err(OpenError::UnknownKey));
    assert_eq!(sealer(&[], None).open(KEY, &by_old), Err(OpenError::UnknownKey));
}

#[test]
fn a_clear_value_is_refused_by_a_sealer_with_keys() {
    for clear in [seal(&sealer(&[], None), b"x"), seal(&sealer(&[], Some(0)), &b"x".repeat(100))] {
        assert_eq!(sealer(&[SECRET], Some(0)).open(KEY, &clear), Err(OpenError::Clear));
    }
}

#[test]
fn no_two_encryptions_of_a_value_are_alike() {
    let sealer = sealer(&[SECRET], None);
    let sealed: HashSet<Bytes> = (0..100).map(|_| seal(&sealer, b"hello hello")).collect();
    assert_eq!(sealed.len(), 100);
    assert!(sealed.iter().all(|sealed| !sealed.windows(5).any(|window| window == b"hello")));
}

#[test]
fn only_long_payloads_are_compressed_and_only_where_it_saves_a_tenth() {
    let sealer = sealer(&[], Some(100));
    let flags = |payload: &[u8]| seal(&sealer, payload)[FLAGS_AT];
    assert_eq!(flags(&[b'a'; 100]), 0);
    assert_eq!(flags(&[b'a'; 101]), COMPRESSED);
    // Digests do not compress; with a run of one letter behind them they do, as far as that goes.
    let noise: Vec<u8> = (0_u32..100).flat_map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect();
    let with_a_run = |bytes| [&noise[..], &vec![b'a'; bytes]].concat();
    assert_eq!(flags(&noise), 0);
    assert_eq!(flags(&with_a_run(noise.len() / 20)), 0);
    assert_eq!(flags(&with_a_run(noise.len() / 5)), COMPRESSED);
}

#[test]
fn a_payload_that_compresses_well_needs_more_than_one_pass_and_comes_back() {
    for sealer in sealers() {
        let payload = vec![b'a'; 3_000_000];
        assert_eq!(sealer.open(KEY, &seal(&sealer, &payload)).unwrap().payload, payload);
    }
}

#[test]
fn a_bomb_is_refused_for_the_price_of_what_it_fills() {
    let most = compression::MOST_BYTES;
    let rooms = |compressed: &[u8]| {
        let mut rooms = Vec::new();
        let outcome = compression::decompress_in_steps(compressed, |room| rooms.push(room));
        (outcome.map(|payload| payload.len()), rooms)
    };
    let (refused, taken) = rooms(&declaring(most, &frame_of_runs(most, 1)));
    assert_eq!(refused, Err(OpenError::Compression));
    assert!(taken.iter().sum::<usize>() < 1024 * 1024, "{taken:?}");

    // It declares the most that is allowed, and fills a little of it.
    let (refused, taken) = rooms(&declaring(most, &frame_of_runs(most, 100)));
    assert_eq!(refused, Err(OpenError::Compression));
    assert!(taken.iter().all(|room| *room <= 8 * 100 * RUN_BYTES), "{taken:?}");

    // It declares less than it fills.
    assert_eq!(rooms(&declaring(5, &frame_of_runs(5, 2000))), (Err(OpenError::Compression), vec![5]));

    // It declares what it fills, and that is more than is allowed.
    let whole = u64::try_from(2049 * RUN_BYTES).unwrap();
    assert_eq!(rooms(&declaring(whole, &frame_of_runs(whole, 2049))), (Err(OpenError::TooLarge), vec![]));

    // The same by hand, and sound.
    let whole = u64::try_from(20 * RUN_BYTES).unwrap();
    assert_eq!(rooms(&declaring(whole, &frame_of_runs(whole, 20))).0, Ok(20 * RUN_BYTES));
}

#[test]
fn what_was_written_and_does_not_decompress_is_refused() {
    let sound = zstd::bulk::compress(&[b'a'; 1000], 3).unwrap();
    let skippable = [0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0];
    let streamed = zstd::stream::encode_all(&[b'a'; 1000][..], 3).unwrap();
    let mut damaged = sound.clone();
    *damaged.last_mut().unwrap() ^= 0xFF;
    damaged.truncate(damaged.len() - 1);
    let cases: [(&str, Vec<u8>, OpenError); 11] = [
        ("no length", b"1234567".to_vec(), OpenError::Compression),
        ("no frame", declaring(1000, b""), OpenError::Compression),
        ("no frame for nothing", declaring(0, b""), OpenError::Compression),
        ("no zstd", declaring(1000, b"something else"), OpenError::Compression),
        ("a frame cut short", declaring(1000, &damaged), OpenError::Compression),
        ("too short a length", declaring(999, &sound), OpenError::Compression),
        ("too long a length", declaring(1001, &sound), OpenError::Compression),
        ("a second frame", declaring(1000, &[&sound[..], &skippable].concat()), OpenError::Compression),
        ("a frame without its length", declaring(1000, &streamed), OpenError::Compression),
        ("more than is allowed", declaring(compression::MOST_BYTES + 1, &sound), OpenError::TooLarge),
        ("more than there is", declaring(u64::MAX, &sound), OpenError::TooLarge),
    ];
    let encrypting = sealer(&[SECRET], None);
    for (name, payload, error) in cases {
        assert_eq!(sealer(&[], None).open(KEY, &framed(1, COMPRESSED, &payload)), Err(error), "{name}");
        let sealed = encrypted(&encrypting, 1, COMPRESSED, &payload);
        assert_eq!(encrypting.open(KEY, &sealed), Err(error), "{name}, encrypted");
    }
}

#[test]
fn what_was_written_of_another_version_or_kind_is_refused_as_such() {
    let clear = sealer(&[], None);
    assert_eq!(clear.open(KEY, &framed(0, 0, b"")), Err(OpenError::Kind));
    assert_eq!(clear.open(KEY, &framed(6, 0, b"")), Err(OpenError::Kind));
    let encrypting = sealer(&[SECRET], None);
    assert_eq!(encrypting.open(KEY, &encrypted(&encrypting, 6, 0, b"")), Err(OpenError::Kind));
    assert_eq!(clear.open(KEY, &framed(1, 4, b"")), Err(OpenError::Version));
    for at in [3, 6, 7] {
        let mut sealed = seal(&clear, b"x").to_vec();
        sealed[at] ^= 1;
        assert_eq!(clear.open(KEY, &sealed.into()), Err(OpenError::Version), "byte {at}");
    }
    assert_eq!(clear.open(KEY, &Bytes::new()), Err(OpenError::Length));
}

#[test]
fn keys_are_read_from_base64_of_both_alphabets_and_from_hexadecimal() {
    let secret: Vec<u8> = (0..32).map(|n: u8| n.wrapping_mul(41) ^ 0xF8).collect();
    let hexadecimal: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let url_safe = "-NGqg1w1DuewiWI7FO3Gn2hBGvPMpX5XIPnSq4RdNg8";
    let standard = url_safe.replace('-', "+").replace('_', "/");
    assert_ne!(standard, url_safe);
    let texts = [
        url_safe.to_owned(),
        format!("{url_safe}="),
        format!("{standard}="),
        standard,
        format!(" {url_safe}\n"),
        hexadecimal.to_uppercase(),
        hexadecimal,
    ];
    for text in texts {
        assert_eq!(parse_encryption_key(&text).unwrap(), secret, "{text}");
    }
}

#[test]
fn a_text_that_is_no_key_is_refused_and_not_shown() {
    let short = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
    let cases = [
        String::new(),
        short.to_owned(),
        "secret!".repeat(6) + "s",
        "secret".repeat(7) + "t=",
        "secret".repeat(7) + "ss",
        "g".repeat(64),
        "é".repeat(32),
        "secret".repeat(50),
        // Bits that no byte takes.
        "A".repeat(42) + "B",
    ];
    for text in cases {
        let error = parse_encryption_key(&text).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(text.is_empty() || !shown.contains(&text), "{shown}");
        assert!(!shown.contains("secret!") && !shown.contains("secretsecret"), "{shown}");
        assert_eq!(error.setting(), "encryption_keys");
        assert!(shown.contains(r#"python -c "import secrets; print(secrets.token_urlsafe(32))""#), "{shown}");
        assert!(error.value().contains(&text.chars().count().to_string()), "{shown}");
    }
}

#[test]
fn options_that_cannot_be_meant_are_refused() {
    let encryption_keys = vec![SECRET.to_vec(), b"hunter2-hunter2".to_vec()];
    let error = SealerOptions { encryption_keys, compress_above: None }.compile().unwrap_err();
    assert_eq!(
        error.to_string(),
        "encryption_keys=(key 2 of 2 has 15 bytes) cannot be used: a key is 32 random bytes as text; make one with \
         `python -c \"import secrets; print(secrets.token_urlsafe(32))\"`"
    );
    let most = 256 * 1024 * 1024;
    let options = |bytes| SealerOptions { encryption_keys: Vec::new(), compress_above: Some(bytes) };
    assert!(options(most).compile().is_ok());
    assert_eq!(options(most + 1).compile().unwrap_err().setting(), "compress_above");
}

#[test]
fn nothing_that_can_be_printed_shows_a_key() {
    let options = SealerOptions { encryption_keys: vec![SECRET.to_vec()], compress_above: Some(5) };
    assert_eq!(
        format!("{options:?}"),
        "SealerOptions { encryption_keys: (1 keys), compress_above: Some(5) }"
    );
    let sealer = options.compile().unwrap();
    assert_eq!(format!("{sealer:?}"), "Sealer { keys: (1 keys), compress_above: Some(5) }");
}

#[test]
fn every_error_has_its_own_word_and_text() {
    let words: HashSet<&str> = OpenError::ALL.map(OpenError::token).into_iter().collect();
    let texts: HashSet<String> = OpenError::ALL.map(|error| error.to_string()).into_iter().collect();
    assert_eq!((words.len(), texts.len()), (OpenError::ALL.len(), OpenError::ALL.len()));
}
