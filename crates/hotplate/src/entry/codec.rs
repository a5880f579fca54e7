//! The binary form of an entry: one layout, with a version.
//!
//! # Layout, version 2
//!
//! Numbers are little-endian. Everything before the body is the *head*; the body comes last and raw, so that it
//! can be sliced without copying.
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | magic `HPL2` (the last byte is the version) |
//! | 8 | checksum: XXH3-64 of everything after it, body included |
//! | 8 | log position at which the load began |
//! | 8, 8, 8 | request time, response time, `Date` (milliseconds since 1970) |
//! | 8 | `Last-Modified`, or the smallest number for none |
//! | 8, 8, 8, 8 | initial age, freshness lifetime, stale-while-revalidate, stale-if-error (milliseconds) |
//! | 2, 2 | status; flags of policy |
//! | 1 | bit 0: the key has a partition |
//! | 4, 4, 8 | bytes of field lines, of tags, of body |
//! | … | field lines, ordered, repeated names kept; see `lines` |
//! | … | tags; see `lines` |
//! | … | body |
//!
//! **To add a field:** raise the version, write the new field after the flags of its group, and let [`Entry::decode`]
//! refuse the older version: it is a miss, and the next load stores the new form. Writers of both versions may share
//! one store during a deployment; each reads its own. A name added at the end of the list in `lines` is a new version
//! too.
//!
//! The checksum tells accidents, not forgery. Whatever does not decode is a miss with a [`DecodeError`], never a panic,
//! and decoding cannot run code.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64};

use bytes::Bytes;
use hotplate_policy::freshness::Flags;
use hotplate_policy::time::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

use super::packed::{PackedMeta, Span};
use super::{Body, Entry, Extent, LENGTH_BYTES, NO_VARIANT, lines, push_footprint};
use crate::log::{Footprint, Position};

const MAGIC: [u8; 4] = *b"HPL2";
const FIXED_BYTES: usize = 4 + 8 + 8 + 3 * 8 + 8 + 4 * 8 + 2 + 2 + 1 + 4 + 4 + 8;
const CHECKED_FROM: usize = 4 + 8;

impl<B: Body> Entry<B> {
    /// Appends the binary form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let body = self.body.as_slice();
        let start = out.len();
        let text = self.text();
        out.reserve(FIXED_BYTES + text.len() + body.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 8]);
        let meta = &self.meta;
        out.extend_from_slice(&self.position.as_u64().to_le_bytes());
        for time in meta.times.map(Timestamp::unix_millis).into_iter().chain([meta.last_modified]) {
            out.extend_from_slice(&time.to_le_bytes());
        }
        for span in meta.spans {
            out.extend_from_slice(&span.millis().to_le_bytes());
        }
        out.extend_from_slice(&meta.status.to_le_bytes());
        out.extend_from_slice(&meta.flags.bits().to_le_bytes());
        out.push(u8::from(self.is_partitioned()));
        let tags_bytes =
            u32::try_from(text.len()).unwrap_or(u32::MAX).saturating_sub(self.extent.fields_bytes());
        out.extend_from_slice(&self.extent.fields_bytes().to_le_bytes());
        out.extend_from_slice(&tags_bytes.to_le_bytes());
        out.extend_from_slice(&(body.len() as u64).to_le_bytes());
        out.extend_from_slice(text);
        out.extend_from_slice(body);
        let checksum = xxh3_64(&out[start + CHECKED_FROM..]);
        out[start + 4..start + CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// Why bytes are not an entry. Each is a miss.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DecodeError {
    /// They do not begin like an entry of this version.
    Magic,
    /// They end early, or go on after the end.
    Length,
    /// They are not what was written.
    Checksum,
    /// The checksum is right, and yet the field lines or tags do not add up.
    Lines,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Magic => "not a stored response of this version",
            Self::Length => "a stored response that ends early, or goes on after its end",
            Self::Checksum => "a stored response whose checksum is wrong",
            Self::Lines => "a stored response whose field lines or tags do not add up",
        })
    }
}

impl std::error::Error for DecodeError {}

impl Entry<Bytes> {
    /// Reads the binary form. The body is a slice of `bytes`, not a copy, and keeps all of `bytes` in memory.
    ///
    /// # Arguments
    ///
    /// `footprint`: makes the entry's footprint from its tags; it is not stored, because its hashes are seeded.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for anything that was not written by [`Entry::encode`] of this version.
    pub fn decode(bytes: &Bytes, footprint: impl FnOnce(&[&str]) -> Footprint) -> Result<Self, DecodeError> {
        if let Some(rest) = bytes.strip_prefix(&MAGIC) {
            let mut reader = Reader(rest);
            let checksum = reader.u64()?;
            if xxh3_64(reader.0) != checksum {
                return Err(DecodeError::Checksum);
            }
        }
        Self::decode_checked(bytes, footprint)
    }

    /// As [`Entry::decode`], of bytes that are known to be what was written, such as those a
    /// [`Sealer`](crate::tier::sealed::Sealer) has opened: the checksum, which reads all of them, is passed over.
    ///
    /// # Errors
    ///
    /// As [`Entry::decode`], but for the checksum.
    pub fn decode_checked(
        bytes: &Bytes,
        footprint: impl FnOnce(&[&str]) -> Footprint,
    ) -> Result<Self, DecodeError> {
        let magic = bytes.get(..4).ok_or(DecodeError::Length)?;
        if magic != MAGIC {
            return Err(DecodeError::Magic);
        }
        let mut reader = Reader(bytes.get(CHECKED_FROM..).ok_or(DecodeError::Length)?);
        let position = reader.u64()?;
        let times = [reader.time()?, reader.time()?, reader.time()?];
        let last_modified = reader.time()?.unix_millis();
        let spans = [reader.span()?, reader.span()?, reader.span()?, reader.span()?];
        let (status, flags) = (reader.u16()?, Flags::from_bits(reader.u16()?));
        let partitioned = reader.take::<1>()?[0] & 1 == 1;
        let (fields_bytes, tags_bytes, body_bytes) = (reader.u32()?, reader.u32()?, reader.u64()?);
        if fields_bytes > Extent::MOST {
            return Err(DecodeError::Length);
        }
        let head_bytes =
            (fields_bytes as usize).checked_add(tags_bytes as usize).ok_or(DecodeError::Length)?;
        let (head, body) = reader.0.split_at_checked(head_bytes).ok_or(DecodeError::Length)?;
        if body.len() as u64 != body_bytes {
            return Err(DecodeError::Length);
        }
        let (fields, tags) = head.split_at_checked(fields_bytes as usize).ok_or(DecodeError::Length)?;
        if !lines::are_whole(fields, tags) {
            return Err(DecodeError::Lines);
        }
        let footprint = footprint(&lines::tags(tags).collect::<Vec<_>>());
        let mut kept = Vec::with_capacity(head.len() + footprint.targets().as_bytes().len() + LENGTH_BYTES);
        kept.extend_from_slice(head);
        push_footprint(&mut kept, &footprint);
        Ok(Self {
            meta: PackedMeta { times, last_modified, spans, status, flags },
            position: Position::from_u64(position),
            verified: AtomicU64::new(position),
            hits: AtomicU32::new(0),
            extent: Extent::new(fields_bytes, partitioned),
            variant: NO_VARIANT,
            head: kept.into(),
            body: bytes.slice_ref(body),
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Length)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        self.take().map(u64::from_le_bytes)
    }

    fn span(&mut self) -> Result<Span, DecodeError> {
        self.u64().map(Span::of_millis)
    }

    fn time(&mut self) -> Result<Timestamp, DecodeError> {
        self.take().map(|bytes| Timestamp::from_unix_millis(i64::from_le_bytes(bytes)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::super::{EntryParts, SelectionParts};
    use super::*;
    use crate::key::Key;
    use crate::log::Log;
    use hotplate_policy::freshness::StoredMeta;
    use proptest::prelude::*;

    type Line = (Vec<u8>, Vec<u8>);

    fn entry(log: &Log, lines: &[Line], tags: &[String], body: Vec<u8>, times: i64) -> Entry<Bytes> {
        let time = |offset| Timestamp::from_unix_millis(times.wrapping_add(offset));
        Entry::new(EntryParts {
            meta: StoredMeta {
                status: 200,
                request_time: time(0),
                response_time: time(5),
                initial_age: Duration::from_millis(1),
                lifetime: Duration::from_millis(30_000),
                stale_while_revalidate: Duration::ZERO,
                stale_if_error: Duration::from_secs(9),
                flags: Flags::HAS_ETAG,
                date: time(1),
                last_modified: (times % 2 == 0).then(|| time(-9)),
            },
            position: Position::from_u64(3),
            footprint: footprint(log, tags),
            // It does not leave the process.
            selection: Some(SelectionParts {
                variant: Key::from_u128(2),
                text: b"accept",
                names: &["accept".into()],
            }),
            fields: lines.iter().map(|(name, value)| (name.as_slice(), value.as_slice())),
            tags,
            partitioned: true,
            body: body.into(),
        })
    }

    fn footprint(log: &Log, tags: &[impl AsRef<str>]) -> Footprint {
        Footprint::new(log, Key::from_u128(1), b"h", b"/p", tags.iter().map(AsRef::as_ref))
    }

    fn sample(log: &Log) -> Vec<u8> {
        let lines = [(b"etag".to_vec(), b"\"a\"".to_vec()), (b"link".to_vec(), b"x".to_vec())];
        let mut bytes = Vec::new();
        entry(log, &lines, &["t".into()], b"hello".to_vec(), 1_000_000).encode(&mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn an_entry_comes_back_as_it_was(
            lines in proptest::collection::vec((".{0,8}|etag|Vary|vary", ".{0,20}"), 0..6),
            tags in proptest::collection::vec(".{0,8}", 0..4),
            body in proptest::collection::vec(any::<u8>(), 0..64),
            times in 0_i64..1_000_000_000_000,
        ) {
            let log = Log::new();
            let lines: Vec<Line> = lines.into_iter().map(|(n, v)| (n.into_bytes(), v.into_bytes())).collect();
            let written = entry(&log, &lines, &tags, body.clone(), times);
            let mut bytes = Vec::new();
            written.encode(&mut bytes);
            let read = Entry::decode(&Bytes::from(bytes), |tags| footprint(&log, tags)).unwrap();
            prop_assert_eq!(read.meta(), written.meta());
            prop_assert_eq!(read.position, written.position);
            prop_assert_eq!(read.footprint(), written.footprint());
            prop_assert_eq!(read.is_partitioned(), true);
            let read_lines: Vec<Line> = read.fields().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
            prop_assert_eq!(read_lines, lines);
            prop_assert_eq!(read.tags().collect::<Vec<_>>(), tags);
            prop_assert_eq!(read.body().as_slice(), body);
        }

        #[test]
        fn any_change_of_a_byte_is_noticed(index in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let log = Log::new();
            let mut bytes = sample(&log);
            let index = index.index(bytes.len());
            bytes[index] ^= 1 << bit;
            prop_assert!(Entry::decode(&Bytes::from(bytes), |tags| footprint(&log, tags)).is_err());
        }

        #[test]
        fn any_bytes_are_taken_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let log = Log::new();
            // Behind a right checksum too.
            let mut framed = MAGIC.to_vec();
            framed.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
            framed.extend_from_slice(&bytes);
            let _ = Entry::decode(&Bytes::from(bytes), |tags| footprint(&log, tags));
            if let Ok(entry) = Entry::decode(&Bytes::from(framed), |tags| footprint(&log, tags)) {
                let _ = (entry.fields().count(), entry.tags().count(), entry.etag());
            }
        }
    }

    #[test]
    fn lines_that_do_not_add_up_are_refused_behind_a_right_checksum() {
        let log = Log::new();
        let sound = sample(&log);
        let lines_at = FIXED_BYTES;
        // The number of the first name, the length of its value, and one length moved from lines to tags.
        for (at, byte) in [(lines_at, 0xEE), (lines_at + 1, 0xFF), (lines_at + 1, 0), (FIXED_BYTES - 16, 3)] {
            let mut bytes = sound.clone();
            bytes[at] = byte;
            let checksum = xxh3_64(&bytes[CHECKED_FROM..]).to_le_bytes();
            bytes[4..CHECKED_FROM].copy_from_slice(&checksum);
            let refused = Entry::decode(&Bytes::from(bytes), |tags| footprint(&log, tags)).err();
            assert!(matches!(refused, Some(DecodeError::Lines | DecodeError::Length)), "{at}: {refused:?}");
        }
    }

    #[test]
    fn the_layout_does_not_change_within_a_version() {
        let log = Log::new();
        assert_eq!(format!("{:016x}", xxh3_64(&sample(&log))), "fe4941f3b6f51647");
    }

    #[test]
    fn every_truncation_is_noticed() {
        let log = Log::new();
        let bytes = Bytes::from(sample(&log));
        for end in 0..bytes.len() {
            assert!(Entry::decode(&bytes.slice(..end), |tags| footprint(&log, tags)).is_err(), "{end}");
        }
    }

    #[test]
    fn another_version_is_refused_as_such() {
        let log = Log::new();
        let mut bytes = sample(&log);
        bytes[3] = b'1';
        let refused = Entry::decode(&Bytes::from(bytes), |tags| footprint(&log, tags));
        assert_eq!(refused.err(), Some(DecodeError::Magic));
    }
}
