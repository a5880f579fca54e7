//! libFuzzer over [`hotplate_fuzz::vary`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hotplate_fuzz::vary::check(bytes));
