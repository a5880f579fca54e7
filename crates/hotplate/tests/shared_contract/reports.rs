//! What processes tell of themselves.

use std::time::Duration;

use bytes::Bytes;

use crate::bench::*;

const LONG: Duration = Duration::from_secs(60);
/// Long enough for a busy machine to ask in time.
const SHORT: Duration = Duration::from_millis(700);

async fn told(tier: &Tier) -> Vec<Bytes> {
    let mut reports = tier.reports(LONG).await.unwrap();
    reports.sort();
    reports
}

pub(crate) async fn nothing_told_is_an_empty_list<B: Bench>(bench: &B) {
    assert_eq!(told(&bench.tier()).await, Vec::<Bytes>::new());
}

pub(crate) async fn everybody_reads_what_each_told_last<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    let every_byte = Bytes::from((0..=255).collect::<Vec<u8>>());
    one.report("one".into(), "before".into(), LONG).await.unwrap();
    one.report("one".into(), every_byte.clone(), LONG).await.unwrap();
    other.report("two".into(), "12:34".into(), LONG).await.unwrap();
    assert_eq!(told(&one).await, [every_byte, "12:34".into()]);
    assert_eq!(told(&one).await, told(&other).await);
}

pub(crate) async fn what_is_not_told_again_goes<B: Bench>(bench: &B) {
    let tier = bench.tier();
    tier.report("gone".into(), "gone".into(), LONG).await.unwrap();
    bench.pass(SHORT).await;
    tier.report("alive".into(), "alive".into(), LONG).await.unwrap();
    assert_eq!(tier.reports(SHORT).await.unwrap(), ["alive"]);
    bench.pass(SHORT).await;
    assert_eq!(tier.reports(SHORT).await.unwrap(), Vec::<Bytes>::new());
}

pub(crate) async fn who_tells_hears_that_somebody_asks<B: Bench>(bench: &B) {
    let (one, other) = (bench.tier(), bench.tier());
    assert_eq!(one.report("one".into(), "1".into(), LONG).await, Ok(false));
    other.reports(SHORT).await.unwrap();
    assert_eq!(one.report("one".into(), "2".into(), SHORT).await, Ok(true));
    bench.pass(SHORT).await;
    assert_eq!(one.report("one".into(), "3".into(), SHORT).await, Ok(false));
}
