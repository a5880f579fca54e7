//! libFuzzer over [`hotplate_fuzz::cache_control`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hotplate_fuzz::cache_control::check(bytes));
