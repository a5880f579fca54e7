//! libFuzzer over [`hotplate_fuzz::duration`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hotplate_fuzz::duration::check(bytes));
