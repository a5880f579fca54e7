//! libFuzzer over [`hotplate_fuzz::entry`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hotplate_fuzz::entry::check(bytes));
