//! libFuzzer over [`hotplate_fuzz::freshness`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hotplate_fuzz::freshness::check(bytes));
