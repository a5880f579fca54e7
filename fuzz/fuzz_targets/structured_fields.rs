//! libFuzzer over [`hotplate_fuzz::structured_fields`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hotplate_fuzz::structured_fields::check(bytes));
