//! libFuzzer over [`hotplate_fuzz::ranges`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hotplate_fuzz::ranges::check(bytes));
