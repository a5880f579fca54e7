//! Payloads made smaller: the length, then one zstd frame.
//!
//! The length is what the writer says; nothing is believed of it. It is bounded by [`MOST_BYTES`], it must be what the
//! frame itself records, and memory for it is taken in steps, each of them only after the frame has filled the one
//! before: a few bytes that claim much are refused for the price of a few bytes.

use zstd::zstd_safe::{self, DCtx, zstd_sys};

use super::OpenError;

/// A payload that is larger is not compressed, and one that claims to be is refused.
pub(super) const MOST_BYTES: u64 = 256 * 1024 * 1024;

const LENGTH_BYTES: usize = 8;
const LEVEL: i32 = 3;

/// What a frame of `n` bytes may fill at first: more than text of a usual ratio needs, so that one pass does.
const FIRST_ROOM: usize = 64 * 1024;
const FIRST_RATIO: usize = 16;
const GROWTH: usize = 8;

/// How the decoder says that the buffer is full and the frame is not at its end.
const FULL: usize = (zstd_sys::ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize).wrapping_neg();

/// The compressed form, if that saves at least a tenth.
pub(super) fn compress(payload: &[u8]) -> Option<Vec<u8>> {
    let length = payload.len() as u64;
    if length > MOST_BYTES {
        return None;
    }
    let frame = zstd::bulk::compress(payload, LEVEL).ok()?;
    let saved = payload.len().checked_sub(LENGTH_BYTES + frame.len())?;
    if saved == 0 || saved.saturating_mul(10) < payload.len() {
        return None;
    }
    let mut compressed = Vec::with_capacity(LENGTH_BYTES + frame.len());
    compressed.extend_from_slice(&length.to_le_bytes());
    compressed.extend_from_slice(&frame);
    Some(compressed)
}

/// The payload. Takes no more memory than the declared length, nor more than [`MOST_BYTES`].
pub(super) fn decompress(compressed: &[u8]) -> Result<Vec<u8>, OpenError> {
    decompress_in_steps(compressed, |_| ())
}

/// The payload; `step` is told the size of each buffer.
pub(super) fn decompress_in_steps(
    compressed: &[u8],
    mut step: impl FnMut(usize),
) -> Result<Vec<u8>, OpenError> {
    let (length, frame) = compressed.split_first_chunk::<LENGTH_BYTES>().ok_or(OpenError::Compression)?;
    let length = u64::from_le_bytes(*length);
    if length > MOST_BYTES {
        return Err(OpenError::TooLarge);
    }
    let length = usize::try_from(length).map_err(|_| OpenError::TooLarge)?;
    if !is_one_frame_of(frame, length) {
        return Err(OpenError::Compression);
    }
    // The whole frame into one buffer: decoding it as a stream would take the window that the frame asks for as well.
    let mut decoder = DCtx::try_create().ok_or(OpenError::TooLarge)?;
    let mut room = frame.len().saturating_mul(FIRST_RATIO).saturating_add(FIRST_ROOM).min(length);
    loop {
        step(room);
        let mut payload = Vec::new();
        payload.try_reserve_exact(room).map_err(|_| OpenError::TooLarge)?;
        match decoder.decompress(&mut payload, frame) {
            Ok(_) if payload.len() == length => return Ok(payload),
            Err(FULL) if room < length => room = room.saturating_mul(GROWTH).min(length),
            Ok(_) | Err(_) => return Err(OpenError::Compression),
        }
    }
}

/// Whether this is one frame and nothing else, and says of itself that it holds this many bytes: every frame that was
/// written here does.
fn is_one_frame_of(frame: &[u8], length: usize) -> bool {
    zstd_safe::find_frame_compressed_size(frame) == Ok(frame.len())
        && zstd_safe::get_frame_content_size(frame).ok().flatten() == Some(length as u64)
}
