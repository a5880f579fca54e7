//! libFuzzer over [`hotplate_fuzz::dates`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hotplate_fuzz::dates::check(bytes));
