//! Requests spent of a service's quota.

use super::*;
use crate::store::quota::QuotaSpent;

#[tokio::test]
async fn every_request_of_a_month_is_counted_whoever_sends_it_and_the_next_begins_with_none() {
    let kit = Kit::new().await;
    let other = kit.other().await;
    assert_eq!(kit.store.quota_spent("own", "2026-11").await.unwrap(), QuotaSpent::default());
    assert_eq!(kit.store.spend_quota("own", "2026-11", 9.0, T).await.unwrap(), 1);
    assert_eq!(other.spend_quota("own", "2026-11", 8.5, T + 1).await.unwrap(), 2);
    assert_eq!(kit.store.spend_quota("other", "2026-11", 3.0, T + 2).await.unwrap(), 1);
    drop(kit.store.clone());
    let again = kit.other().await;
    assert_eq!(
        again.quota_spent("own", "2026-11").await.unwrap(),
        QuotaSpent { requests: 2, last: Some((8.5, T + 1)) }
    );
    // A new month starts with a count of its own; the number of requests that may be sent at once carries over.
    assert_eq!(
        again.quota_spent("own", "2026-12").await.unwrap(),
        QuotaSpent { requests: 0, last: Some((8.5, T + 1)) }
    );
    assert_eq!(again.spend_quota("own", "2026-12", 7.0, T + 3).await.unwrap(), 1);
    assert_eq!(
        again.spend_quota("own", "2026-11", 6.0, T + 4).await.unwrap(),
        3,
        "a clock that goes back finds its month"
    );
}

#[tokio::test]
async fn a_year_of_months_is_kept() {
    let kit = Kit::new().await;
    for month in 0..30_u64 {
        let name = format!("{}-{:02}", 2026 + month / 12, 1 + month % 12);
        kit.store.spend_quota("own", &name, 1.0, T + month).await.unwrap();
    }
    kit.store.spend_quota("other", "2026-01", 1.0, T).await.unwrap();
    assert_eq!(kit.number("SELECT count(*) FROM quotas WHERE service = 'own'"), 12);
    assert_eq!(kit.number("SELECT count(*) FROM quotas"), 13);
    assert_eq!(kit.store.quota_spent("own", "2028-06").await.unwrap().requests, 1, "the newest");
}
