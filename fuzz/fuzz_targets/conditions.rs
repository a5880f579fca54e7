//! libFuzzer over [`hotplate_fuzz::conditions`].
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hotplate_fuzz::conditions::check(bytes));
