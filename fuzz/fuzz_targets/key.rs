//! libFuzzer over [`hotplate_fuzz::key`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hotplate_fuzz::key::check(bytes));
