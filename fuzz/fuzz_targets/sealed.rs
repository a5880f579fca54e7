//! libFuzzer over [`hotplate_fuzz::sealed`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hotplate_fuzz::sealed::check(bytes));
