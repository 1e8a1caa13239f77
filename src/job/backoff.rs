//! How long to wait before the next attempt: growing, bounded, jittered (so that what failed together does not come
//! back together). Pure but for the dice.

use std::time::Duration;

/// The pause after the `attempt`th failure (from 1): between a half and the whole of `first · 2^(attempt−1)`, and
/// never more than `longest`.
pub fn pause(attempt: u32, first: Duration, longest: Duration) -> Duration {
    let doubled = first.saturating_mul(1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(longest).mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_differ() {
        let (first, longest) = (Duration::from_secs(5), Duration::from_secs(900));
        for attempt in 1..80u32 {
            let most = (5.0 * 2f64.powi(attempt as i32 - 1)).min(900.0);
            for _ in 0..20 {
                let p = pause(attempt, first, longest).as_secs_f64();
                assert!(p <= most + 1e-6 && p >= most / 2.0 - 1e-6, "attempt {attempt}: {p}");
            }
        }
        let some: std::collections::HashSet<_> = (0..20).map(|_| pause(4, first, longest)).collect();
        assert!(some.len() > 1);
    }
}
