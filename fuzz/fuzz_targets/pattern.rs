//! libFuzzer over [`hotplate_fuzz::pattern`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hotplate_fuzz::pattern::check(bytes));
