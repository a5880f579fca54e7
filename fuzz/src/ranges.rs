//! `Range`, `Content-Range` and `multipart/byteranges`. The first line is a `Range`, the second a `Content-Range`, the
//! third a length, and the rest a body.

use hotplate_policy::range::{
    ByteRange, ContentRange, MOST_RANGES, RangeRequest, content_range, multipart, parse,
};

use crate::input::Input;

/// Where to begin.
pub const SEEDS: &[&[u8]] = &[
    b"bytes=0-1, 3-4, -2\nbytes 0-4/10\n10\nabcdefghij",
    b"bytes=0-0,2-2,4-4,6-6\nbytes */18446744073709551615\n9223372036854775807\n0123456789",
    b"BYTES=5-,0-3\nbytes 0-18446744073709551614/18446744073709551615\n-1\nabcdefghij",
    b"bytes=-0, 99-\nbytes 2-1/*\n0\n",
    b"bytes=0-0,-1\nlines 1-2/3\n1\n--hotplate-part-0000000000000000\r\nhotplate-part-0000000000000001",
    b"bytes=0-5,3-9\nbytes 0-9/9\n18446744073709551616\nabc",
];

/// Ranges lie within the length, in parts that do not overlap; what is written can be read; and a multipart answer
/// holds just the bytes asked for.
pub fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (range, field) = (input.line(), input.line());
    let length = input.number().cast_unsigned();
    let body = input.rest();
    for length in [0, 1, length, u64::MAX] {
        within(&parse(Some(range), length), length);
    }
    if let Some(read) = ContentRange::parse(field) {
        assert_eq!(ContentRange::parse(read.to_string().as_bytes()), Some(read), "{read}");
    }
    if let RangeRequest::Several(ranges) = parse(Some(range), body.len() as u64) {
        parts(&ranges, body);
    }
}

fn within(request: &RangeRequest, length: u64) {
    let ranges = match request {
        RangeRequest::None | RangeRequest::Unsatisfiable => &[][..],
        RangeRequest::Single(range) => std::slice::from_ref(range),
        RangeRequest::Several(ranges) => ranges,
    };
    for (index, range) in ranges.iter().enumerate() {
        assert!(range.start <= range.end_inclusive && range.end_inclusive < length, "{range:?} of {length}");
        let text = content_range(*range, length);
        let expected = ContentRange::Part { range: *range, complete_length: Some(length) };
        assert_eq!(ContentRange::parse(text.as_bytes()), Some(expected), "{text}");
        let apart =
            |other: &ByteRange| range.end_inclusive < other.start || other.end_inclusive < range.start;
        assert!(ranges[..index].iter().all(apart), "{range:?} overlaps one of {ranges:?}");
    }
    if let RangeRequest::Several(ranges) = request {
        assert!((2..=MOST_RANGES).contains(&ranges.len()), "{} parts", ranges.len());
    }
}

fn parts(ranges: &[ByteRange], body: &[u8]) {
    let (boundary, content) = multipart(ranges, body, Some(b"text/plain"));
    assert!(!contains(body, boundary.as_bytes()), "the boundary stands in the body");
    assert_eq!(multipart(ranges, body, Some(b"text/plain")).1, content, "the same arguments, other bytes");
    let mut rest = content.as_slice();
    for range in ranges {
        let head = format!(
            "--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes {}-{}/{}\r\n\r\n",
            range.start,
            range.end_inclusive,
            body.len()
        );
        rest = rest.strip_prefix(head.as_bytes()).expect("each part has its head");
        let length = usize::try_from(range.length()).expect("it lies within the body");
        let (part, after) = rest.split_at(length);
        assert_eq!(Some(part), range.within(body.len()).map(|indices| &body[indices]), "other bytes");
        rest = after.strip_prefix(b"\r\n").expect("each part ends with its line");
    }
    assert_eq!(rest, format!("--{boundary}--\r\n").as_bytes(), "the end is missing");
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len()).any(|window| window == text)
}
